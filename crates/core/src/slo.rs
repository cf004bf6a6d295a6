//! Promises of one popup and what became of them: budgets that end with the popup, and pages whose
//! probability of being false is proven.
//!
//! ```text
//! cells ─► tally (outcomes by rig and minute) ─┬─► budget, pace, survival            all outcomes
//!                                              └─► detectors, popup and each rig     fed at most
//!                                                   └─► page, watch, resolved        5 min late, once
//! ```
//!
//! What always holds:
//! - A false page of a promise has at most the probability its policy allows, over the whole popup,
//!   however often somebody looks ([`detector`]).
//! - The same cells at the same minutes give the same evidence, bit for bit, at a rig, at a region and
//!   in a re-fold: outcomes are whole numbers by minute, and a minute is weighed at once, whatever
//!   pieces it came in. Logs come from `libm`, not from a platform.
//! - What came late moves budgets and is named as a revision; it pages nobody and erases no page.
//! - What people read is whole numbers: millionths and thousandths of a power of ten.

mod budget;
mod conflicts;
pub mod detector;
pub mod guard;
pub mod promises;
mod tally;
#[cfg(test)]
mod tests;
pub mod watch;

use alloc::string::String;
use alloc::vec::Vec;

pub use budget::Budget;
pub use watch::{Scope, Watch};

/// What can be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Slo {
    /// Checkouts end without a technical fault.
    CheckoutSuccess = 1,
    /// Checkouts end within the limit.
    CheckoutDeadline = 2,
    /// Payments do not fail technically.
    PaymentSuccess = 3,
    /// Dry runs of a checkout pass.
    ProbeSuccess = 4,
    /// Tokens are redeemed once.
    TokenConflict = 5,
    /// Few orders are refunded.
    RefundRate = 6,
}

/// How many promises there are.
pub const SLOS: usize = Slo::ALL.len();

impl Slo {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::CheckoutSuccess,
        Self::CheckoutDeadline,
        Self::PaymentSuccess,
        Self::ProbeSuccess,
        Self::TokenConflict,
        Self::RefundRate,
    ];

    /// Its name in policies, rows, labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CheckoutSuccess => "checkout_success",
            Self::CheckoutDeadline => "checkout_deadline",
            Self::PaymentSuccess => "payment_success",
            Self::ProbeSuccess => "probe_success",
            Self::TokenConflict => "token_conflict",
            Self::RefundRate => "refund_rate",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slo| slo.name() == name)
    }

    /// Its number in policies.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its place in arrays of [`SLOS`].
    pub(crate) const fn place(self) -> usize {
        self as usize - 1
    }

    /// What one outcome is called, many of them.
    #[must_use]
    pub const fn outcomes(self) -> &'static str {
        match self {
            Self::CheckoutSuccess | Self::CheckoutDeadline => "checkouts",
            Self::PaymentSuccess => "payments",
            Self::ProbeSuccess => "probes",
            Self::TokenConflict => "redemptions",
            Self::RefundRate => "orders",
        }
    }
}

/// Whom a promise wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Tier {
    /// It pages.
    #[default]
    Page = 1,
    /// It is only shown.
    Watch = 2,
    /// It is not looked at.
    Off = 3,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 3] = [Self::Page, Self::Watch, Self::Off];

    /// Its name in policies and rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Watch => "watch",
            Self::Off => "off",
        }
    }

    /// The one with this number; 0 is `page`.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        let find = |tier: &Self| *tier as u32 == number;
        Self::ALL
            .into_iter()
            .find(find)
            .or((number == 0).then_some(Self::Page))
    }
}

/// Outcomes and how many of them are bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// All that count.
    pub n: u64,
    /// The bad ones among them; for `refund_rate` the refunds, which may be more than the orders.
    pub bad: u64,
}

impl Outcomes {
    /// Both sums, saturating.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n: self.n.saturating_add(other.n),
            bad: self.bad.saturating_add(other.bad),
        }
    }
}

/// What is thought of a promise right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SloState {
    /// No outcome yet.
    #[default]
    NoData,
    /// Nothing to say.
    Quiet,
    /// Worth a look: the evidence passed the lower bar.
    Watch,
    /// Somebody is woken, and it is not over.
    Page,
    /// A page that is over.
    Resolved,
}

impl SloState {
    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::Quiet => "quiet",
            Self::Watch => "watch",
            Self::Page => "page",
            Self::Resolved => "resolved",
        }
    }
}

/// A page: never erased, only resolved or revised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// When it was raised, ms since 1970, by the clock of who raised it.
    pub since_ms: i64,
    /// When it was over.
    pub resolved_ms: Option<i64>,
    /// The last quarter of an hour when it was raised.
    pub seen: Outcomes,
    /// The same as it reads now that late data came; `None` while nothing changed it.
    pub revised: Option<Outcomes>,
    /// log₁₀ of the evidence when it was raised, thousandths.
    pub evidence_milli: i64,
    /// Which page of this promise it is, from 1.
    pub number: u32,
}

/// What one detector says: the popup's or one rig's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signal {
    /// What is thought of it.
    pub state: SloState,
    /// log₁₀ of the evidence against the promise, thousandths.
    pub evidence_milli: i64,
    /// From where on it pages, likewise; `None` when it only watches.
    pub page_at_milli: Option<i64>,
    /// So many failures in a row from a clean start would be noticed.
    pub notices_in_a_row: u32,
    /// Share of false pages it may use up, thousandths of a millionth.
    pub alpha_ppb: u32,
    /// The newest page.
    pub page: Option<Page>,
}

/// One promise as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SloView {
    /// Which.
    pub slo: Slo,
    /// Whom it wakes.
    pub tier: Tier,
    /// Share of good outcomes promised, millionths.
    pub objective_ppm: u32,
    /// Probability of a false page in the whole popup, millionths.
    pub alpha_ppm: u32,
    /// All outcomes so far.
    pub so_far: Outcomes,
    /// What may be bad in the whole popup and how much of that is gone; `None` without an outcome.
    pub budget: Option<Budget>,
    /// Of the popup as a whole.
    pub popup: Signal,
    /// Of each rig with an outcome, ascending by id.
    pub rigs: Vec<(String, Outcomes, Signal)>,
    /// It ran past its window and overrun: once re-armed from the reserve, then only watched (PW3302).
    pub overrun: Overrun,
}

/// How far past its plan a popup runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Overrun {
    /// Within its minutes.
    #[default]
    None,
    /// Its minutes are used up; the reserve's share is in use.
    Reserve,
    /// That too: no more pages.
    WatchOnly,
}
