//! Orders after they were paid: on their way to the buyer, or back.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::checkout::{Quantiles, in_flight_bound, open_ages, quantiles};
use super::completeness::Standing;
use super::live::Live;
use super::summary::full_minutes;
use super::sums::{MoneySums, OrderSums};
use super::{Amounts, ten_thousandths};
use crate::cell::HistKind;
use crate::time::WallMs;

/// Full minutes before the watermark over which velocities are taken.
const VELOCITY_MINUTES: u32 = 15;

/// How fast orders leave, and how many wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FulfilmentView {
    /// Orders since the start.
    pub totals: OrderSums,
    /// Paid and neither handed over, shipped nor wholly refunded.
    pub backlog: i128,
    /// Full minutes that the velocities cover, 0 to 15; with 0 there is no data yet.
    pub minutes: u32,
    /// Orders in those minutes by (member, step); an empty member is one that was not said.
    pub steps: Vec<StepRow>,
    /// Orders that left in those minutes.
    pub left: i128,
    /// Minutes until nobody waits at that velocity, ten-thousandths; `None` while nobody waits, and
    /// while nothing leaves.
    pub drain: Option<i64>,
    /// Somebody waits and nothing left in those minutes.
    pub stalled: bool,
    /// From payment to buyer, those that left.
    pub took: Quantiles,
    /// "At least this": P95 of those and the ages of orders that wait, ms, where that is more.
    pub waiting_bound_ms: Option<u64>,
}

/// Orders that reached a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// The co-op member, empty when not said.
    pub member: String,
    /// The step.
    pub step: String,
    /// Orders.
    pub orders: i128,
}

pub(crate) fn fulfilment(
    live: &Live,
    rigs: &[Standing<'_>],
    watermark: Option<WallMs>,
) -> FulfilmentView {
    let span = full_minutes(live, None, watermark, VELOCITY_MINUTES);
    let minutes = span.end - span.start;
    let mut steps: BTreeMap<(&str, &str), i128> = BTreeMap::new();
    let mut left = 0;
    for (_, minute) in live.minutes.range(span) {
        left += minute.orders.out;
        for ((member, step), orders) in &minute.fulfil {
            *steps.entry((member, step)).or_default() += orders;
        }
    }
    let backlog = live.orders.backlog();
    let drains = backlog > 0 && left > 0 && minutes > 0;
    let row = |((member, step), orders): ((&str, &str), i128)| StepRow {
        member: String::from(member),
        step: String::from(step),
        orders,
    };
    let (took, ladder) = quantiles(live, watermark, HistKind::Fulfilment);
    let ages = watermark.map_or_else(Vec::new, |as_of| open_ages(&live.waiting, rigs, as_of));
    let bound = in_flight_bound(ladder, ages);
    FulfilmentView {
        totals: live.orders,
        backlog,
        minutes,
        steps: steps.into_iter().map(row).collect(),
        left,
        drain: drains.then(|| ten_thousandths(backlog * i128::from(minutes), left)),
        stalled: backlog > 0 && left == 0 && minutes > 0,
        waiting_bound_ms: bound.filter(|bound| took.p95_ms.is_none_or(|p95| *bound > p95)),
        took,
    }
}

/// How fast money goes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundView {
    /// Full minutes that `recent` covers, 0 to 15; with 0 there is no data yet.
    pub minutes: u32,
    /// Refunds in those minutes.
    pub recent: i128,
    /// Refunds an hour at that rate, ten-thousandths; `None` without data.
    pub per_hour: Option<i64>,
    /// Orders refunded, in part or wholly, a refund of an unknown sale too.
    pub orders_refunded: i128,
    /// Orders paid.
    pub orders_paid: i128,
    /// The former of the latter, ten-thousandths; `None` before the first paid order.
    pub exposure: Option<i64>,
    /// The same for money, per currency; `None` where nothing was captured.
    pub money: Amounts<Option<i64>>,
}

pub(crate) fn refunds(live: &Live, watermark: Option<WallMs>) -> RefundView {
    let span = full_minutes(live, None, watermark, VELOCITY_MINUTES);
    let minutes = span.end - span.start;
    let in_span = live
        .minutes
        .range(span)
        .flat_map(|(_, minute)| minute.money.values());
    let recent: i128 = in_span.map(|sums| sums.refunds).sum();
    let ratio = |part, whole| (whole > 0).then(|| ten_thousandths(part, whole));
    let money = |sums: &MoneySums| ratio(sums.refund, sums.gross);
    RefundView {
        minutes,
        recent,
        per_hour: (minutes > 0).then(|| ten_thousandths(recent * 60, minutes.into())),
        orders_refunded: live.orders.refunded,
        orders_paid: live.orders.paid,
        exposure: ratio(live.orders.refunded, live.orders.paid),
        money: live
            .money
            .iter()
            .map(|(currency, sums)| (*currency, money(sums)))
            .collect(),
    }
}
