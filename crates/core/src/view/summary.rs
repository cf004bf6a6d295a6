//! Money and checkouts over time: minutes, the last five of them, coarser steps.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::live::Live;
use super::sums::{CheckoutSums, MoneySums, OrderSums, StreamSums};
use super::{Amounts, PopupView};
use crate::event::system::PopupPolicy;
use crate::money::{Currency, div_half_even};
use crate::time::{Minute, WallMs};

/// Full minutes that "now" averages over.
const LAST_MINUTES: u32 = 5;

/// One minute in which something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinutePoint {
    /// Minutes since 1970.
    pub minute: u32,
    /// Money by currency.
    pub money: Amounts<MoneySums>,
    /// Checkouts.
    pub checkout: CheckoutSums,
    /// Orders.
    pub orders: OrderSums,
    /// Chat and audience, all streams.
    pub streams: StreamSums,
}

impl MinutePoint {
    /// Orders first paid in it, all currencies.
    #[must_use]
    pub fn conversions(&self) -> i128 {
        self.money.iter().map(|(_, sums)| sums.conversions).sum()
    }
}

/// Money per minute over the last full minutes before the watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Last5 {
    /// How many full minutes of the popup it averages over, 0 to 5; with 0 there is no data yet.
    pub minutes_complete: u32,
    /// Mean per minute, each number rounded by itself, half to even.
    pub money: Amounts<MeanMoney>,
}

/// Means per minute of one currency, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeanMoney {
    /// Captured.
    pub gross: i128,
    /// Refunded, positive.
    pub refund: i128,
    /// Captured minus refunded.
    pub net: i128,
}

/// The full minutes before the watermark, at most `most` of them and none before the popup: a
/// half-open range of minutes.
pub(crate) fn full_minutes(
    live: &Live,
    policy: Option<&PopupPolicy>,
    watermark: Option<WallMs>,
    most: u32,
) -> core::ops::Range<u32> {
    let first_seen = live.minutes.first_key_value().map(|(minute, _)| *minute);
    let opening = policy.map(|known| Minute::of(WallMs(known.starts_ms)).0);
    let (Some(end), Some(start)) = (watermark, first_seen.into_iter().chain(opening).min()) else {
        return 0..0;
    };
    let end = Minute::of(end).0;
    end.saturating_sub(most).max(start).min(end)..end
}

pub(crate) fn last5(live: &Live, policy: Option<&PopupPolicy>, watermark: Option<WallMs>) -> Last5 {
    let span = full_minutes(live, policy, watermark, LAST_MINUTES);
    let minutes_complete = span.end - span.start;
    if minutes_complete == 0 {
        return Last5::default();
    }
    let sums = sum_money(live.minutes.range(span).map(|(_, minute)| &minute.money));
    let mean = |sum| div_half_even(sum, i128::from(minutes_complete));
    let money = live.money.keys().map(|currency| {
        let sums = sums.get(currency).copied().unwrap_or_default();
        let means = MeanMoney {
            gross: mean(sums.gross),
            refund: mean(sums.refund),
            net: mean(sums.net()),
        };
        (*currency, means)
    });
    Last5 {
        minutes_complete,
        money: money.collect(),
    }
}

fn sum_money<'a>(
    minutes: impl Iterator<Item = &'a BTreeMap<Currency, MoneySums>>,
) -> BTreeMap<Currency, MoneySums> {
    let mut sums: BTreeMap<Currency, MoneySums> = BTreeMap::new();
    for (currency, money) in minutes.flatten() {
        let held = sums.entry(*currency).or_default();
        held.shift(super::Shift::Add, money);
    }
    sums
}

pub(crate) fn minutes(live: &Live) -> Vec<MinutePoint> {
    let point = |(minute, sums): (&u32, &super::live::MinuteSums)| MinutePoint {
        minute: *minute,
        money: sums.money.iter().map(|(c, money)| (*c, *money)).collect(),
        checkout: sums.checkout,
        orders: sums.orders,
        streams: sums
            .streams
            .values()
            .fold(StreamSums::default(), |mut all, stream| {
                all.shift(super::Shift::Add, stream);
                all
            }),
    };
    let shown = |point: &MinutePoint| {
        !point.money.is_empty()
            || point.checkout != CheckoutSums::default()
            || point.orders != OrderSums::default()
            || point.streams != StreamSums::default()
    };
    live.minutes.iter().map(point).filter(shown).collect()
}

/// One step of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPoint {
    /// Its first minute, a multiple of the step since 1970.
    pub minute: u32,
    /// Money by currency.
    pub money: Amounts<MoneySums>,
    /// Checkouts.
    pub checkout: CheckoutSums,
    /// Orders.
    pub orders: OrderSums,
    /// Chat and audience, all streams.
    pub streams: StreamSums,
    /// Whether all its minutes lie before the watermark.
    pub complete: bool,
}

/// The minutes in [`from`, `to`) in steps of `step` minutes; steps in which nothing happened are
/// left out. `step` of 0 counts as 1.
#[must_use]
pub fn series(view: &PopupView, from: u32, to: u32, step: u32) -> Vec<SeriesPoint> {
    let step = step.max(1);
    let clear = view.asof.watermark.map_or(0, |moment| Minute::of(moment).0);
    let mut steps: BTreeMap<u32, Step> = BTreeMap::new();
    let within = |point: &&MinutePoint| (from..to).contains(&point.minute);
    for point in view.minutes.iter().filter(within) {
        let sums = steps.entry(point.minute - point.minute % step).or_default();
        for (currency, money) in &point.money {
            let held = sums.money.entry(*currency).or_default();
            held.shift(super::Shift::Add, money);
        }
        sums.checkout.shift(super::Shift::Add, &point.checkout);
        sums.orders.shift(super::Shift::Add, &point.orders);
        sums.streams.shift(super::Shift::Add, &point.streams);
    }
    let point = |(minute, sums): (u32, Step)| SeriesPoint {
        minute,
        money: sums.money.into_iter().collect(),
        checkout: sums.checkout,
        orders: sums.orders,
        streams: sums.streams,
        complete: minute.saturating_add(step) <= clear,
    };
    steps.into_iter().map(point).collect()
}

/// The sums of one step.
#[derive(Default)]
struct Step {
    money: BTreeMap<Currency, MoneySums>,
    checkout: CheckoutSums,
    orders: OrderSums,
    streams: StreamSums,
}
