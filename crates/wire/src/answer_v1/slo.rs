//! Promises as rows: `/slo`, and `slo/<name>` of a snapshot.
//!
//! Shares are millionths, evidence thousandths of its log₁₀, both whole numbers, so that equal cells
//! give equal bytes on every node.

use popwatch_core::slo::{Budget, Outcomes, Overrun, Page, Signal, SloView};
use popwatch_core::view::PopupView;
use serde::Serialize;

use super::{Asof, asof};

/// `/slo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slos {
    /// How complete it is.
    pub asof: Asof,
    /// All promises that are watched.
    pub slos: Vec<SloRow>,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SloRow {
    /// Its name, such as `checkout_success`.
    pub slo: &'static str,
    /// `page`, `watch` or `off`.
    pub tier: &'static str,
    /// Share of good outcomes promised, millionths.
    pub objective_ppm: u32,
    /// Probability of a false page in the whole popup, millionths.
    pub alpha_ppm: u32,
    /// What its outcomes are called.
    pub outcomes: &'static str,
    /// Outcomes so far.
    pub n: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// `null` without an outcome.
    pub budget: Option<BudgetRow>,
    /// Of the popup as a whole.
    #[serde(flatten)]
    pub signal: SignalRow,
    /// `none`, `reserve` or `watch_only` (PW3302).
    pub overrun: &'static str,
    /// Of each rig with an outcome.
    pub rigs: Vec<RigSloRow>,
}

/// What may go wrong in the whole popup, and how much of that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetRow {
    /// Outcomes expected in the whole popup.
    pub expected: u64,
    /// Bad ones it allows, thousandths.
    pub allowed_milli: u64,
    /// Share of it that is gone, millionths; may pass a whole.
    pub consumed_ppm: u64,
    /// That over the share of the traffic that was: a whole is on course.
    pub pace_ppm: u64,
    /// Probability to finish within it, millionths.
    pub survival_ppm: u32,
}

/// What a detector says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignalRow {
    /// `no_data`, `quiet`, `watch`, `page` or `resolved`.
    pub state: &'static str,
    /// log₁₀ of the evidence against the promise, thousandths.
    pub evidence_milli: i64,
    /// From where on it pages; `null` when it only watches.
    pub page_at_milli: Option<i64>,
    /// So many failures in a row from a clean start would be noticed.
    pub notices_in_a_row: u32,
    /// The part of the false pages it may use up, thousandths of a millionth.
    pub alpha_ppb: u32,
    /// The newest page.
    pub page: Option<PageRow>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageRow {
    /// Which page of this promise it is, from 1.
    pub number: u32,
    /// When it was raised, ms since 1970.
    pub since_ms: i64,
    /// When it was over.
    pub resolved_ms: Option<i64>,
    /// Outcomes of the quarter of an hour before.
    pub n: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// log₁₀ of the evidence then, thousandths.
    pub evidence_milli: i64,
    /// The same quarter of an hour after late data changed it.
    pub revised: Option<RevisedRow>,
}

/// Evidence as late data revised it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisedRow {
    /// Outcomes.
    pub n: u64,
    /// Bad ones among them.
    pub bad: u64,
}

/// One rig of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RigSloRow {
    /// The rig.
    pub rig: String,
    /// Its outcomes.
    pub n: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// What its detector says.
    #[serde(flatten)]
    pub signal: SignalRow,
}

/// All promises of a view.
#[must_use]
pub fn slos(view: &PopupView) -> Slos {
    Slos {
        asof: asof(view),
        slos: view.slos.iter().map(slo_row).collect(),
    }
}

/// One promise.
#[must_use]
pub fn slo_row(view: &SloView) -> SloRow {
    let rig = |(rig, Outcomes { n, bad }, signal): &(String, Outcomes, Signal)| RigSloRow {
        rig: rig.clone(),
        n: *n,
        bad: *bad,
        signal: signal_row(signal),
    };
    SloRow {
        slo: view.slo.name(),
        tier: view.tier.name(),
        objective_ppm: view.objective_ppm,
        alpha_ppm: view.alpha_ppm,
        outcomes: view.slo.outcomes(),
        n: view.so_far.n,
        bad: view.so_far.bad,
        budget: view.budget.as_ref().map(budget_row),
        signal: signal_row(&view.popup),
        overrun: match view.overrun {
            Overrun::None => "none",
            Overrun::Reserve => "reserve",
            Overrun::WatchOnly => "watch_only",
        },
        rigs: view.rigs.iter().map(rig).collect(),
    }
}

fn budget_row(budget: &Budget) -> BudgetRow {
    BudgetRow {
        expected: budget.expected,
        allowed_milli: budget.allowed_milli,
        consumed_ppm: budget.consumed_ppm,
        pace_ppm: budget.pace_ppm,
        survival_ppm: budget.survival_ppm,
    }
}

fn signal_row(signal: &Signal) -> SignalRow {
    let page = |page: &Page| PageRow {
        number: page.number,
        since_ms: page.since_ms,
        resolved_ms: page.resolved_ms,
        n: page.seen.n,
        bad: page.seen.bad,
        evidence_milli: page.evidence_milli,
        revised: page
            .revised
            .map(|Outcomes { n, bad }| RevisedRow { n, bad }),
    };
    SignalRow {
        state: signal.state.name(),
        evidence_milli: signal.evidence_milli,
        page_at_milli: signal.page_at_milli,
        notices_in_a_row: signal.notices_in_a_row,
        alpha_ppb: signal.alpha_ppb,
        page: signal.page.as_ref().map(page),
    }
}
