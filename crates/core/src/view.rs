//! What people read: the cells of one popup, merged, under a statement of how complete they are.
//!
//! ```text
//! cells ─► Live (sums that can be added to and taken from) ─┐
//! rigs' cuts, beacons, silence ─► Standing ─────────────────┴─► PopupView ─► any wire
//! ```
//!
//! What always holds:
//! - A view is a pure function of the cells held, what rigs said of themselves, and the time. It
//!   does not depend on the order, number or route of deliveries.
//! - No number crosses currencies: every amount stands beside its currency, and there is no total.
//! - What is not known is absent, never 0: a silent rig's backlog, a quantile of too few values,
//!   the stock of a SKU nobody keeps.
//! - Every answer carries its [`Asof`].
#![deny(clippy::float_arithmetic)]

use alloc::string::String;
use alloc::vec::Vec;

mod boards;
mod checkout;
mod completeness;
mod difference;
mod durations;
pub mod exports;
mod live;
mod orders;
mod settled;
mod stock;
mod summary;
mod sums;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
pub(crate) mod viewers;

pub use boards::{Board, BoardRow, Boards, RankBy, RankedRow, rank};
pub use checkout::{CheckoutView, Quantiles};
pub(crate) use completeness::silent;
pub use completeness::{Asof, RigView, Silent, Stage, Standing, Unsent};
pub use live::{Live, Names};
pub use orders::{FulfilmentView, RefundView, StepRow};
pub use settled::Settled;
pub use stock::{CountView, StockRow};
pub(crate) use summary::full_minutes;
pub use summary::{Last5, MeanMoney, MinutePoint, SeriesPoint, series};
pub use sums::{
    BoardSums, CheckoutSums, CountSums, MoneySums, OrderSums, RiskSums, Shift, StockSums,
    StreamSums,
};
pub use tokens::{Cohort, Flow, TokenView};

use crate::event::system::{CoopTerms, PopupPolicy};
use crate::lane::Beacon;
use crate::money::{Currency, div_half_even};
use crate::signal::{self, Signals};
use crate::slo::SloView;
use crate::time::Now;

/// An amount per currency, ascending by code.
pub type Amounts<T> = Vec<(Currency, T)>;

/// What is known of the popup itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupFacts {
    /// The popup.
    pub id: String,
    /// Start of its window, ms since 1970; `None` while no rig has told its policy.
    pub starts_ms: Option<i64>,
    /// End of its window, exclusive, ms since 1970.
    pub ends_ms: Option<i64>,
    /// IANA time zone for people, empty when not known.
    pub zone: String,
    /// Currencies expected or seen, ascending.
    pub currencies: Vec<Currency>,
    /// Version of the policy; 0 when implied or unknown.
    pub version: u32,
    /// What members of a co-op are told of each other.
    pub coop: CoopTerms,
}

/// Everything people read about one popup at one moment: one consistent cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupView {
    /// The popup.
    pub popup: PopupFacts,
    /// How complete all below is.
    pub asof: Asof,
    /// Sums since the start, by currency.
    pub money: Amounts<MoneySums>,
    /// The last five full minutes.
    pub last5: Last5,
    /// Checkouts.
    pub checkout: CheckoutView,
    /// Money that failed for a technical reason, by currency.
    pub risk: Amounts<RiskSums>,
    /// Money that goes back.
    pub refunds: RefundView,
    /// Orders on their way to buyers.
    pub fulfilment: FulfilmentView,
    /// Tokens.
    pub tokens: TokenView,
    /// Funnel, chat, flash drops.
    pub signals: Signals,
    /// What did not fit or did not match.
    pub counts: CountSums,
    /// Minutes in which something happened, ascending.
    pub minutes: Vec<MinutePoint>,
    /// Rigs, ascending by id.
    pub rigs: Vec<RigView>,
    /// SKUs, the most at risk first.
    pub stock: Vec<StockRow>,
    /// What leaderboards are ranked from.
    pub boards: Boards,
    /// Promises, as far as they are watched here.
    pub slos: Vec<SloView>,
    /// Since when this is all that is held of the popup; `None` while its cells are.
    pub settled: Option<Settled>,
}

/// Reads the state of one popup: its rigs, ascending by id, and what the books say of it.
#[must_use]
pub fn read(
    id: &str,
    policy: Option<&PopupPolicy>,
    live: &Live,
    (rigs, books): (&[Standing<'_>], Option<&Beacon>),
    slos: &[SloView],
    now: Now,
) -> PopupView {
    let watermark = completeness::watermark(rigs);
    let rig_views = rigs.iter().map(|rig| rig.view(live)).collect();
    PopupView {
        popup: facts(id, policy, live),
        asof: completeness::asof(live, (rigs, books), watermark, now),
        money: live.money.iter().map(|(c, sums)| (*c, *sums)).collect(),
        last5: summary::last5(live, policy, watermark),
        checkout: checkout::view(live, rigs, watermark),
        risk: live.risk.iter().map(|(c, sums)| (*c, *sums)).collect(),
        refunds: orders::refunds(live, watermark),
        fulfilment: orders::fulfilment(live, rigs, watermark),
        tokens: tokens::view(live, watermark),
        signals: signal::read(live, watermark),
        counts: live.counts,
        minutes: summary::minutes(live),
        rigs: rig_views,
        stock: stock::rows(live, rigs),
        boards: boards::rows(live),
        slos: slos.to_vec(),
        settled: None,
    }
}

/// A ratio in ten-thousandths, rounded half to even. `whole` must be positive.
pub(crate) fn ten_thousandths(part: i128, whole: i128) -> i64 {
    let ratio = div_half_even(part.saturating_mul(10_000), whole);
    i64::try_from(ratio).unwrap_or(if ratio < 0 { i64::MIN } else { i64::MAX })
}

pub(crate) fn facts(id: &str, policy: Option<&PopupPolicy>, live: &Live) -> PopupFacts {
    let expected = policy.map_or(&[][..], |known| &known.currencies);
    let expected = expected.iter().filter_map(|code| Currency::new(code));
    let mut currencies: Vec<_> = expected.chain(live.money.keys().copied()).collect();
    currencies.sort_unstable();
    currencies.dedup();
    PopupFacts {
        id: String::from(id),
        starts_ms: policy.map(|known| known.starts_ms),
        ends_ms: policy.map(|known| known.ends_ms),
        zone: policy.map_or_else(String::new, |known| known.zone.clone()),
        currencies,
        version: policy.map_or(0, |known| known.version),
        coop: policy
            .and_then(|known| known.coop)
            .unwrap_or_else(CoopTerms::usual),
    }
}
