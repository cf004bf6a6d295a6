//! From evidence to a page: when it is raised, when it is over, and what may never happen to it.
//!
//! Always holds: a page is raised only where the evidence reaches T/α and a twentieth of the budget
//! is gone; once raised it stays a page of this popup, resolved or not.
#![allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "thresholds of a probability; what leaves is clamped to whole thousandths"
)]

use super::detector::{Detector, Evidence};
use super::promises::{Promise, Promised, WHOLE_PPM};
use super::{Outcomes, Overrun, Page, SLOS, Signal, Slo, SloState, Tier};

/// A watch is raised where the evidence would be passed by chance in one popup of five.
const WATCH_ALPHA: f64 = 0.2;
/// Outcomes of a quarter of an hour below which nothing is called over.
const RESOLVE_OUTCOMES_MIN: u64 = 5;

/// Whose outcomes a guard watches: what share of false pages it may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The popup's: one half.
    Popup,
    /// A rig's: the other half, divided over the rigs planned.
    Rig,
    /// A rig's beyond the plan: none; it is only watched.
    Unplanned,
}

/// When somebody looks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// By the clock of who looks, ms since 1970.
    pub now_ms: i64,
    /// Its minute.
    pub minute: u32,
    /// Enough of the budget is gone.
    pub is_worth_a_page: bool,
    /// The popup and its overrun are over: nothing can still be wrong.
    pub is_over: bool,
}

/// One detector with its bars and its newest page.
#[derive(Debug, Clone)]
pub struct Guard {
    detector: Detector,
    slo: Slo,
    epsilon_ppm: u32,
    alpha_ppb: u32,
    /// ln of T/α, and of the same for the reserve; `None` where it never pages.
    ln_bars: [Option<f64>; 2],
    ln_watch: f64,
    in_a_row: u32,
    page: Option<Page>,
}

impl Guard {
    /// A guard that saw nothing yet.
    #[must_use]
    pub fn new(promised: &Promised, promise: &Promise, share: Share) -> Self {
        let detector = Detector::new(promise, promised.starts, promised.minutes);
        let minutes = f64::from(promised.minutes);
        let paging = promise.tier == Tier::Page && share != Share::Unplanned;
        let bar = |whole_ppb: f64| {
            let alpha = whole_ppb * part(share, promised.rigs) / 1e9;
            (paging && alpha > 0.0).then(|| libm::log(minutes / alpha))
        };
        let whole = f64::from(promise.alpha_ppm) * 1e3;
        let reserve = f64::from(promised.reserve_ppm) * 1e3 / SLOS as f64;
        let ln_bars = [bar(whole), bar(reserve)];
        let ln_watch = libm::log(minutes / WATCH_ALPHA);
        let in_a_row = detector.bets().in_a_row(ln_bars[0].unwrap_or(ln_watch));
        Self {
            detector,
            slo: promise.slo,
            epsilon_ppm: promise.epsilon_ppm(),
            alpha_ppb: (whole * part(share, promised.rigs)).clamp(0.0, 1e9) as u32,
            ln_bars,
            ln_watch,
            in_a_row,
            page: None,
        }
    }

    /// Feeds outcomes of a minute.
    pub fn feed(&mut self, minute: u32, outcomes: Outcomes) {
        self.detector.feed(minute, outcomes);
    }

    /// The newest page, whose reading may be revised.
    pub fn page_mut(&mut self) -> Option<&mut Page> {
        self.page.as_mut()
    }

    /// Looks at the evidence.
    pub fn look(&mut self, look: &Look) -> (Signal, Overrun) {
        let evidence = self.detector.evidence(look.minute);
        let overrun = match evidence.rearmed {
            0 => Overrun::None,
            1 => Overrun::Reserve,
            _ => Overrun::WatchOnly,
        };
        let bar = match overrun {
            Overrun::None => self.ln_bars[0],
            Overrun::Reserve => self.ln_bars[1],
            Overrun::WatchOnly => None,
        };
        let firing = self.page.is_some_and(|page| page.resolved_ms.is_none());
        if firing && (look.is_over || self.is_over(&evidence)) {
            if let Some(page) = &mut self.page {
                page.resolved_ms = Some(look.now_ms);
            }
            self.detector.restart(look.minute);
        } else if !firing
            && !look.is_over
            && look.is_worth_a_page
            && bar.is_some_and(|bar| evidence.ln_mean >= bar)
        {
            self.page = Some(Page {
                since_ms: look.now_ms,
                resolved_ms: None,
                seen: evidence.recent,
                revised: None,
                evidence_milli: milli_log10(evidence.ln_mean),
                number: self.page.map_or(1, |page| page.number.saturating_add(1)),
            });
        }
        let signal = Signal {
            state: self.state(&evidence),
            evidence_milli: milli_log10(evidence.ln_mean),
            page_at_milli: bar.map(milli_log10),
            notices_in_a_row: self.in_a_row,
            alpha_ppb: self.alpha_ppb,
            page: self.page,
        };
        (signal, overrun)
    }

    fn state(&self, evidence: &Evidence) -> SloState {
        match self.page {
            Some(page) if page.resolved_ms.is_none() => SloState::Page,
            Some(_) | None if evidence.ln_mean >= self.ln_watch => SloState::Watch,
            Some(_) => SloState::Resolved,
            None => SloState::Quiet,
        }
    }

    /// A quarter of an hour that speaks for the promise: nothing worse is likelier than it, and no
    /// more than promised went wrong.
    fn is_over(&self, evidence: &Evidence) -> bool {
        let Outcomes { n, bad } = evidence.recent;
        let within =
            u128::from(bad) * u128::from(WHOLE_PPM) <= u128::from(n) * u128::from(self.epsilon_ppm);
        let enough = n >= RESOLVE_OUTCOMES_MIN || self.slo == Slo::RefundRate;
        evidence.ln_recent < 0.0 && within && enough
    }
}

/// The part of a promise's false pages that one guard may use up.
fn part(share: Share, rigs: u32) -> f64 {
    match share {
        Share::Popup => 0.5,
        Share::Rig => 0.5 / f64::from(rigs.max(1)),
        Share::Unplanned => 0.0,
    }
}

/// Thousandths of log₁₀, from ln. No evidence at all reads as the least.
fn milli_log10(ln: f64) -> i64 {
    let milli = ln * core::f64::consts::LOG10_E * 1e3;
    libm::round(milli.clamp(-1e6, 1e9)) as i64
}
