//! The rows of a snapshot. Money is minor units, times are ms since 1970.

use popwatch_core::money::{Currency, div_half_even};
use popwatch_core::view::{
    Amounts, BoardSums, CheckoutSums, CheckoutView, FulfilmentView, MinutePoint, MoneySums,
    PopupView, Quantiles, RefundView, RigView, RiskSums, StockRow, TokenView,
};
use serde::Serialize;

use super::confidence::{ConfidenceRow, confidence};
use super::{code, codes, minors, start_ms};

/// An amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Minor {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Minor units.
    pub minor: i128,
}

/// Gross, refund and net of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetMoney {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Captured.
    pub gross: i128,
    /// Refunded, positive.
    pub refund: i128,
    /// Captured minus refunded, may be negative.
    pub net: i128,
}

/// Gross and refund of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineMoney {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Captured.
    pub gross: i128,
    /// Refunded, positive.
    pub refund: i128,
}

/// Row `popup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PopupRow {
    /// The popup.
    pub id: String,
    /// Start of its window; `null` while unknown.
    pub starts_ms: Option<i64>,
    /// End of its window, exclusive.
    pub ends_ms: Option<i64>,
    /// IANA time zone, empty while unknown.
    pub zone: String,
    /// Currencies expected or seen.
    #[serde(serialize_with = "codes")]
    pub currencies: Vec<Currency>,
    /// Version of its policy.
    pub version: u32,
    /// What is left of it once it is over and its minutes are merged; `null` before.
    pub settled: Option<SettledRow>,
}

/// How a popup stands that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SettledRow {
    /// Since when, ms since 1970.
    pub since_ms: i64,
    /// Minutes that one row of minutes stands for.
    pub step_minutes: u32,
}

/// Row `now`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NowRow {
    /// Sums since the start.
    pub currencies: Vec<CurrencyRow>,
    /// Means per minute of the last full minutes.
    pub last5: Vec<NetMoney>,
    /// How many minutes those are, 0 to 5; 0 is no data.
    pub minutes_complete: u32,
    /// Checkouts.
    pub checkout: CheckoutRow,
    /// Money that failed for a technical reason.
    pub risk: Vec<RiskRow>,
    /// Money that goes back.
    pub refunds: RefundsRow,
    /// Orders on their way to buyers.
    pub fulfilment: FulfilmentRow,
    /// Tokens.
    pub tokens: TokensRow,
    /// What did not fit or did not match.
    pub counts: CountsRow,
    /// Whether to go on, by what could spoil it.
    pub confidence: ConfidenceRow,
}

/// Sums of one currency, as the till reports them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurrencyRow {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Decimal digits of its minor unit.
    pub exponent: u32,
    /// Captured.
    pub gross: i128,
    /// Refunded, positive.
    pub refund: i128,
    /// Captured minus refunded.
    pub net: i128,
    /// Tips.
    pub tip: i128,
    /// Tax.
    pub tax: i128,
    /// Provider fees.
    pub fee: i128,
    /// Captures.
    pub captures: i128,
    /// Refunds.
    pub refunds: i128,
    /// Orders first paid.
    pub conversions: i128,
    /// Of it, taken while the provider could not be asked: it may still be declined.
    pub offline: OfflineMoney,
    /// What the provider confirms of it; never added to it.
    pub confirmed: Confirmed,
}

/// What was captured without asking the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfflineMoney {
    /// Captured.
    pub gross: i128,
    /// Captures.
    pub captures: i128,
}

/// Gross and refund as the provider reports them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmed {
    /// Captured.
    pub gross: i128,
    /// Refunded, positive.
    pub refund: i128,
}

/// Checkouts. The quantiles at the top are of those with the provider reachable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckoutRow {
    /// With the provider reachable.
    #[serde(flatten)]
    pub online: QuantilesRow,
    /// Paid offline.
    pub offline: QuantilesRow,
    /// How long the provider took.
    pub payment: QuantilesRow,
    /// Started in the last 30 minutes and not closed.
    pub open: u64,
    /// "At least this", where open checkouts raise the P95.
    pub in_flight_bound_ms: Option<u64>,
    /// Started since the start of the popup.
    pub started: i128,
    /// Completed.
    pub completed: i128,
    /// Abandoned.
    pub abandoned: i128,
    /// Of them for a technical reason.
    pub fault: i128,
    /// Completed after a failed payment.
    pub recovered: i128,
}

/// Quantiles of durations of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuantilesRow {
    /// Durations in the window.
    pub n: u64,
    /// Median; `null` under 59 values.
    pub p50_ms: Option<u64>,
    /// 95th percentile; `null` under 59 values.
    pub p95_ms: Option<u64>,
    /// Where the true P95 lies with 95 % confidence.
    pub band_ms: Option<[u64; 2]>,
    /// The longest.
    pub max_ms: Option<u64>,
    /// 5 or 15 minutes; `null` is the whole popup.
    pub window_min: Option<u32>,
}

/// Different tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokensRow {
    /// Issued.
    pub issued: u64,
    /// Redeemed, however often.
    pub redeemed: u64,
    /// Redeemed in more than one life of a journal.
    pub conflicts: u64,
    /// Voided.
    pub voided: u64,
    /// Whether the four above are scaled from a part.
    pub estimated: bool,
    /// Redemptions of a token that its rig knew as redeemed.
    pub duplicates: i128,
    /// Redemptions after the end.
    pub expired: i128,
    /// Redemptions per minute over the last full minutes; `null` before the first.
    pub redemptions_per_min: Option<Ratio>,
    /// By quarter of an hour of issue.
    pub cohorts: Vec<CohortRow>,
}

/// Tokens issued in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CohortRow {
    /// Its start, ms since 1970.
    pub start_ms: i64,
    /// Issued.
    pub issued: u64,
    /// Of them redeemed.
    pub redeemed: u64,
    /// The latter of the former.
    pub ratio: Ratio,
    /// Whether all have ended; if not, the ratio may rise.
    pub matured: bool,
}

/// Money of one currency that failed for a technical reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RiskRow {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Amounts of orders at their first technical failure.
    pub failed: i128,
    /// The same amounts when they were captured later.
    pub recovered: i128,
    /// The difference.
    pub at_risk: i128,
}

/// Money that goes back. `null` is no data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundsRow {
    /// Full minutes that `recent` covers.
    pub minutes: u32,
    /// Refunds in them.
    pub recent: i128,
    /// Refunds an hour at that rate.
    pub per_hour: Option<Ratio>,
    /// Orders refunded.
    pub orders_refunded: i128,
    /// Orders paid.
    pub orders_paid: i128,
    /// The former of the latter.
    pub exposure: Option<Ratio>,
    /// Refunded of captured money.
    pub money: Vec<MoneyRatio>,
}

/// A ratio within one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoneyRatio {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// The ratio; `null` where nothing was captured.
    pub ratio: Option<Ratio>,
}

/// Orders on their way to buyers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FulfilmentRow {
    /// First paid since the start.
    pub paid: i128,
    /// Handed over or shipped.
    pub out: i128,
    /// Wholly refunded before that.
    pub gone: i128,
    /// Neither.
    pub backlog: i128,
    /// Full minutes that the velocities cover; with 0 there is no data yet.
    pub minutes: u32,
    /// Orders a minute by member and step.
    pub steps: Vec<StepVelocity>,
    /// Orders a minute that left; `null` is no data.
    pub left_per_min: Option<Ratio>,
    /// Minutes until nobody waits; `null` while nobody does or nothing leaves.
    pub drain_min: Option<Ratio>,
    /// Somebody waits and nothing left.
    pub stalled: bool,
    /// From payment to buyer.
    pub took: QuantilesRow,
    /// "At least this", where waiting orders raise the P95.
    pub waiting_bound_ms: Option<u64>,
}

/// How fast one member does one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepVelocity {
    /// The co-op member, empty when not said.
    pub member: String,
    /// `packed`, `handed_over`, `shipped` or `delivered`.
    pub step: String,
    /// Orders in the minutes covered.
    pub orders: i128,
    /// Orders a minute.
    pub per_min: Ratio,
}

/// What did not fit or did not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountsRow {
    /// Events lost or shed, as declared.
    pub losses: i128,
    /// Facts about something unknown.
    pub unmatched: i128,
    /// Repeats under another id.
    pub duplicates: i128,
    /// Facts in a row `other` or in no row.
    pub other: i128,
    /// Of them amounts in currencies beyond the bound: only in the books.
    pub other_currencies: i128,
    /// Refunds of payments not seen.
    pub refunds_unknown: i128,
}

/// A ratio with four decimals, held as ten-thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(pub i64);

impl Serialize for Ratio {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double holds four decimals of any ratio people look at"
    )]
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0 as f64 / 10_000.0)
    }
}

impl Ratio {
    /// `part` of `whole`, half to even; `None` when there is no whole.
    pub(super) fn of(part: i128, whole: i128) -> Option<Self> {
        let ratio = (whole > 0).then(|| div_half_even(part.saturating_mul(10_000), whole))?;
        i64::try_from(ratio).ok().map(Self)
    }
}

/// Row `min/<minute>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MinuteRow {
    /// Minutes since 1970.
    pub minute: u32,
    /// Its start.
    pub start_ms: i64,
    /// Money.
    pub money: Vec<NetMoney>,
    /// Orders first paid.
    pub conversions: i128,
    /// Checkouts.
    pub checkout: CheckoutCounts,
}

/// Checkouts of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckoutCounts {
    /// Started.
    pub started: i128,
    /// Completed.
    pub completed: i128,
}

/// Row `rig/<id>`. `null` is what the rig never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RigRow {
    /// The rig.
    pub rig: String,
    /// The state that matters most.
    pub state: String,
    /// All its states.
    pub states: Vec<String>,
    /// Its newest epoch.
    pub epoch: u32,
    /// Head of its journal.
    pub durable_seq: Option<u64>,
    /// Trunk held by the ledger.
    pub trunk_seq: Option<u64>,
    /// Bulk held by the ledger.
    pub bulk_seq: Option<u64>,
    /// Received here without a hole.
    pub have_seq: u64,
    /// Records known to exist.
    pub records_known: u64,
    /// Its backlog.
    pub unsent: Option<UnsentRow>,
    /// When it was last heard.
    pub last_heard_ms: i64,
    /// Uncertainty of its clock.
    pub clock_u_ms: Option<u32>,
    /// Battery, per cent.
    pub battery: Option<u32>,
    /// Minutes of disk left.
    pub disk_minutes: Option<u32>,
    /// Events refused or shed.
    pub losses: Option<u64>,
    /// Records lost, named by gaps.
    pub gap_records: Option<u64>,
    /// Money it took.
    pub currencies: Vec<NetMoney>,
}

/// What one rig says the ledger does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnsentRow {
    /// Records.
    pub records: u64,
    /// Sales among them.
    pub sales: u64,
    /// Captured minus refunded among them.
    pub money: Vec<Minor>,
}

/// Row `sku/<sku>`. The empty SKU is all SKUs beyond the bound together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkuRow {
    /// The SKU.
    pub sku: String,
    /// Units that should be there; `null` where nobody keeps stock of it.
    pub expected: Option<i128>,
    /// Sold.
    pub sold: i128,
    /// Returned.
    pub returned: i128,
    /// Received.
    pub received: i128,
    /// Adjusted, signed.
    pub adjusted: i128,
    /// Set aside for rigs.
    pub allocated: i128,
    /// Units that are there at least, whatever silent rigs sell; `null` is no bound.
    pub expected_low: Option<i128>,
    /// Units counted last.
    pub counted: Option<i64>,
    /// Counted minus expected at the count.
    pub skew: Option<i128>,
    /// Its size, of what was expected.
    pub skew_ratio: Option<Ratio>,
    /// The skew is off by so many at most: what other rigs sold in the minute of the count.
    pub plus_minus: Option<i128>,
    /// More was sold than was there.
    pub oversold: bool,
    /// Line amounts.
    pub money: Vec<LineMoney>,
}

pub(super) fn popup(view: &PopupView) -> PopupRow {
    let facts = &view.popup;
    PopupRow {
        id: facts.id.clone(),
        starts_ms: facts.starts_ms,
        ends_ms: facts.ends_ms,
        zone: facts.zone.clone(),
        currencies: facts.currencies.clone(),
        version: facts.version,
        settled: view.settled.map(|settled| SettledRow {
            since_ms: settled.since_ms,
            step_minutes: settled.step_min,
        }),
    }
}

pub(super) fn now(view: &PopupView) -> NowRow {
    let last5 = view.last5.money.iter().map(|(currency, mean)| NetMoney {
        currency: *currency,
        gross: mean.gross,
        refund: mean.refund,
        net: mean.net,
    });
    NowRow {
        currencies: view.money.iter().map(currency_row).collect(),
        last5: last5.collect(),
        minutes_complete: view.last5.minutes_complete,
        checkout: checkout(&view.checkout),
        risk: view.risk.iter().map(risk).collect(),
        refunds: refunds(&view.refunds),
        fulfilment: fulfilment(&view.fulfilment),
        tokens: tokens(&view.tokens),
        counts: CountsRow {
            losses: view.counts.losses,
            unmatched: view.counts.unmatched,
            duplicates: view.counts.duplicates,
            other: view.counts.other,
            other_currencies: view.counts.other_currencies,
            refunds_unknown: view.counts.refunds_unknown,
        },
        confidence: confidence(view),
    }
}

fn currency_row((currency, sums): &(Currency, MoneySums)) -> CurrencyRow {
    CurrencyRow {
        currency: *currency,
        exponent: currency.exponent(),
        gross: sums.gross,
        refund: sums.refund,
        net: sums.net(),
        tip: sums.tip,
        tax: sums.tax,
        fee: sums.fee,
        captures: sums.captures,
        refunds: sums.refunds,
        conversions: sums.conversions,
        offline: OfflineMoney {
            gross: sums.offline_gross,
            captures: sums.offline_captures,
        },
        confirmed: Confirmed {
            gross: sums.confirmed_gross,
            refund: sums.confirmed_refund,
        },
    }
}

fn quantiles(of: &Quantiles) -> QuantilesRow {
    QuantilesRow {
        n: of.n,
        p50_ms: of.p50_ms,
        p95_ms: of.p95_ms,
        band_ms: of.band_ms.map(|(low, high)| [low, high]),
        max_ms: of.max_ms,
        window_min: of.window_min,
    }
}

fn checkout(view: &CheckoutView) -> CheckoutRow {
    CheckoutRow {
        online: quantiles(&view.online),
        offline: quantiles(&view.offline),
        payment: quantiles(&view.payment),
        open: view.open,
        in_flight_bound_ms: view.in_flight_bound_ms,
        started: view.totals.started,
        completed: view.totals.completed,
        abandoned: view.totals.abandoned,
        fault: view.totals.fault,
        recovered: view.totals.recovered,
    }
}

fn risk((currency, sums): &(Currency, RiskSums)) -> RiskRow {
    RiskRow {
        currency: *currency,
        failed: sums.failed,
        recovered: sums.recovered,
        at_risk: sums.at_risk(),
    }
}

fn refunds(view: &RefundView) -> RefundsRow {
    let money = view.money.iter().map(|(currency, ratio)| MoneyRatio {
        currency: *currency,
        ratio: ratio.map(Ratio),
    });
    RefundsRow {
        minutes: view.minutes,
        recent: view.recent,
        per_hour: view.per_hour.map(Ratio),
        orders_refunded: view.orders_refunded,
        orders_paid: view.orders_paid,
        exposure: view.exposure.map(Ratio),
        money: money.collect(),
    }
}

fn fulfilment(view: &FulfilmentView) -> FulfilmentRow {
    let per_min = |orders| Ratio::of(orders, view.minutes.into());
    let steps = view.steps.iter().filter_map(|row| {
        Some(StepVelocity {
            member: row.member.clone(),
            step: row.step.clone(),
            orders: row.orders,
            per_min: per_min(row.orders)?,
        })
    });
    FulfilmentRow {
        paid: view.totals.paid,
        out: view.totals.out,
        gone: view.totals.gone,
        backlog: view.backlog,
        minutes: view.minutes,
        steps: steps.collect(),
        left_per_min: per_min(view.left),
        drain_min: view.drain.map(Ratio),
        stalled: view.stalled,
        took: quantiles(&view.took),
        waiting_bound_ms: view.waiting_bound_ms,
    }
}

fn tokens(view: &TokenView) -> TokensRow {
    let flow = view
        .flow
        .and_then(|flow| Ratio::of(flow.n, flow.minutes.into()));
    let cohorts = view.cohorts.iter().filter_map(|cohort| {
        Some(CohortRow {
            start_ms: start_ms(cohort.minute),
            issued: cohort.issued,
            redeemed: cohort.redeemed,
            ratio: Ratio::of(cohort.redeemed.into(), cohort.issued.into())?,
            matured: cohort.matured,
        })
    });
    TokensRow {
        issued: view.issued,
        redeemed: view.redeemed,
        conflicts: view.conflicts,
        voided: view.voided,
        estimated: view.estimated,
        duplicates: view.duplicates,
        expired: view.expired,
        redemptions_per_min: flow,
        cohorts: cohorts.collect(),
    }
}

pub(super) fn minute(point: &MinutePoint) -> MinuteRow {
    MinuteRow {
        minute: point.minute,
        start_ms: start_ms(point.minute),
        money: net_money(&point.money),
        conversions: point.conversions(),
        checkout: checkout_counts(&point.checkout),
    }
}

pub(super) fn net_money(amounts: &Amounts<MoneySums>) -> Vec<NetMoney> {
    let net = |(currency, sums): &(Currency, MoneySums)| NetMoney {
        currency: *currency,
        gross: sums.gross,
        refund: sums.refund,
        net: sums.net(),
    };
    amounts.iter().map(net).collect()
}

pub(super) fn checkout_counts(sums: &CheckoutSums) -> CheckoutCounts {
    CheckoutCounts {
        started: sums.started,
        completed: sums.completed,
    }
}

pub(super) fn rig(view: &RigView) -> RigRow {
    let currencies = view.money.iter().map(|(currency, sums)| NetMoney {
        currency: *currency,
        gross: sums.gross,
        refund: sums.refund,
        net: sums.net(),
    });
    RigRow {
        rig: view.rig.clone(),
        state: view.state.clone(),
        states: view.states.clone(),
        epoch: view.epoch,
        durable_seq: view.durable_seq,
        trunk_seq: view.trunk_seq,
        bulk_seq: view.bulk_seq,
        have_seq: view.have_seq,
        records_known: view.records_known,
        unsent: view.unsent.as_ref().map(|backlog| UnsentRow {
            records: backlog.records,
            sales: backlog.sales,
            money: minors(&backlog.money),
        }),
        last_heard_ms: view.last_heard_ms,
        clock_u_ms: view.clock_u_ms,
        battery: view.battery,
        disk_minutes: view.disk_minutes,
        losses: view.losses,
        gap_records: view.gap_records,
        currencies: currencies.collect(),
    }
}

pub(super) fn sku(row: &StockRow) -> SkuRow {
    let line = |(currency, sums): &(Currency, BoardSums)| LineMoney {
        currency: *currency,
        gross: sums.gross,
        refund: sums.refund,
    };
    SkuRow {
        sku: row.sku.clone(),
        expected: row.expected,
        sold: row.moved.sold,
        returned: row.moved.returned,
        received: row.moved.received,
        adjusted: row.moved.adjusted,
        allocated: row.moved.allocated,
        expected_low: row.expected_low,
        counted: row.count.map(|count| count.counted),
        skew: row.count.map(|count| count.skew),
        skew_ratio: row.count.map(|count| Ratio(count.skew_ratio)),
        plus_minus: row.count.map(|count| count.plus_minus),
        oversold: row.oversold,
        money: row.money.iter().map(line).collect(),
    }
}
