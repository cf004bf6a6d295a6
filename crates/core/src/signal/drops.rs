//! What a flash drop changed: units sold while it ran beside those sold before, corrected by how
//! the audience grew.
//!
//! ```text
//!   t − 30          t − 5   t            t + w                t + w + 30
//!     ├── before: C ───┤     ├─ during: Y ─┤──────── halo ────────┤      w = 10 min, or to the end
//! ```
//!
//! Minutes that a window cuts count by the part of them inside it. Sources: a Poisson rate ratio
//! conditioned on the total is a binomial share; its interval is Jeffreys' (Beta with halves).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::beta;
use crate::cell::DropRow;
use crate::time::WallMs;
use crate::view::{BoardSums, Live};

/// How long a drop is looked at, ms.
const WINDOW_MS: i64 = 10 * 60_000;
/// The stretch before it, ms before its opening.
const BEFORE_MS: (i64, i64) = (30 * 60_000, 5 * 60_000);
/// The stretch after it, in which demand that was only moved shows, ms.
const HALO_MS: i64 = 30 * 60_000;
/// Less than this tells nothing, minutes.
const MINUTES_MIN: f64 = 1.0;

/// One flash drop, or several of one SKU that overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropView {
    /// The drop, the first of those that overlap.
    pub drop: String,
    /// The others.
    pub merged: Vec<String>,
    /// What was on offer.
    pub sku: String,
    /// Whose; empty when nobody's.
    pub creator: String,
    /// Its opening, ms since 1970.
    pub opened_ms: i64,
    /// Its closing, ms since 1970; `None` while it is open as far as is known.
    pub closed_ms: Option<i64>,
    /// How many at most; `None` when not said.
    pub qty: Option<i64>,
    /// Price each, minor units; `None` when not said.
    pub price: Option<i64>,
    /// What it changed; `None` while there is no data to tell.
    pub lift: Option<Lift>,
}

/// What a drop changed. Ratios and units are ten-thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift {
    /// How much of the ten minutes is looked at, ms.
    pub window_ms: i64,
    /// It sold out or was closed before its ten minutes were over.
    pub censored: bool,
    /// Its ten minutes are not over yet.
    pub running: bool,
    /// Units sold in the window.
    pub during: i64,
    /// Units sold in the stretch before.
    pub before: i64,
    /// How long that stretch is, ms: 25 minutes, less where the popup was not open yet.
    pub before_ms: i64,
    /// How much the audience grew.
    pub growth: i64,
    /// Where that is known from.
    pub growth_from: Growth,
    /// Rate during over rate before, corrected by the growth; `None` when nothing was sold before.
    pub ratio: Option<i64>,
    /// Where it lies with 90 % confidence.
    pub interval: Option<(i64, i64)>,
    /// Units beyond what the rate before would have given; may be negative.
    pub incremental: i64,
    /// Their money at the drop's price, minor units; `None` when no price was said.
    pub incremental_minor: Option<i64>,
    /// Units sold in the half hour after the window.
    pub halo: i64,
    /// What the rate before would have given in it.
    pub halo_expected: i64,
    /// Whether that half hour is over.
    pub halo_over: bool,
}

/// Where the growth of the audience is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Viewers, as sampled.
    Viewers,
    /// What else was sold.
    OtherSales,
    /// Nothing: taken as 1.
    Nothing,
}

impl Growth {
    /// Its text on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Viewers => "viewers",
            Self::OtherSales => "other_sales",
            Self::Nothing => "nothing",
        }
    }
}

pub(super) fn read(live: &Live, watermark: Option<WallMs>) -> Vec<DropView> {
    let mut found: Vec<DropView> = live
        .drops
        .iter()
        .filter_map(|(name, rows)| told(name, rows.values()))
        .collect();
    found.sort_by(|a, b| {
        let key = |of: &DropView| (of.sku.clone(), of.opened_ms, of.drop.clone());
        key(a).cmp(&key(b))
    });
    let mut drops: Vec<DropView> = Vec::new();
    for drop in found {
        match drops.last_mut() {
            Some(last) if last.sku == drop.sku && overlaps(last, &drop) => join(last, drop),
            Some(_) | None => drops.push(drop),
        }
    }
    if let Some(now) = watermark {
        for drop in &mut drops {
            drop.lift = lift(live, drop, now.0);
        }
    }
    drops.sort_by(|a, b| (a.opened_ms, &a.drop).cmp(&(b.opened_ms, &b.drop)));
    drops
}

/// What all cells say of one drop; its first opening and closing stand. `None` for one whose
/// opening nobody saw.
fn told<'a>(name: &str, rows: impl Iterator<Item = &'a DropRow> + Clone) -> Option<DropView> {
    let opened = rows.clone().filter(|row| row.opened_ms != 0);
    let opened = opened.min_by(|a, b| (a.opened_ms, &a.sku).cmp(&(b.opened_ms, &b.sku)))?;
    let closings = rows.map(|row| row.closed_ms);
    let said = |number: i64| Some(number).filter(|number| *number > 0);
    Some(DropView {
        drop: String::from(name),
        merged: Vec::new(),
        sku: opened.sku.clone(),
        creator: opened.creator.clone(),
        opened_ms: opened.opened_ms,
        closed_ms: closings.filter(|ms| *ms >= opened.opened_ms).min(),
        qty: said(opened.qty),
        price: said(opened.price),
        lift: None,
    })
}

fn overlaps(first: &DropView, next: &DropView) -> bool {
    let ends = first.opened_ms.saturating_add(WINDOW_MS);
    next.opened_ms < first.closed_ms.unwrap_or(i64::MAX).min(ends)
}

fn join(first: &mut DropView, next: DropView) {
    first.closed_ms = match (first.closed_ms, next.closed_ms) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (Some(_) | None, _) => None,
    };
    first.qty = match (first.qty, next.qty) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (Some(_) | None, _) => None,
    };
    first.price = first.price.filter(|price| next.price == Some(*price));
    first.merged.push(next.drop);
}

/// A stretch of time, ms since 1970, half open.
type Span = (i64, i64);

fn minutes_of((from, to): Span) -> f64 {
    real((to - from).max(0).into()) / 60_000.0
}

fn lift(live: &Live, drop: &DropView, now_ms: i64) -> Option<Lift> {
    let opened = drop.opened_ms;
    let of_sku = sold(live, &drop.sku);
    let ends = end_of(drop, &of_sku);
    let window = (opened, ends.min(now_ms));
    let opens = live.minutes.keys().next().map(|minute| start(*minute))?;
    let stretch = ((opened - BEFORE_MS.0).max(opens), opened - BEFORE_MS.1);
    let (minutes, minutes_before) = (minutes_of(window), minutes_of(stretch));
    if minutes < MINUTES_MIN || minutes_before < MINUTES_MIN {
        return None;
    }
    let during = units_in(&of_sku, window);
    let before = units_in(&of_sku, stretch);
    let (growth, growth_from) = growth(live, &of_sku, window, stretch);
    let halo = (window.1, window.1.saturating_add(HALO_MS));
    let rate = growth * before / minutes_before;
    let incremental = during - rate * minutes;
    let usual = growth * (before + 0.5) / minutes_before;
    let ratio = (before > 0.0).then(|| during / minutes / usual);
    let scale = minutes_before / (minutes * growth);
    let interval = interval(during, before).map(|bound| ten_thousandths(bound * scale));
    Some(Lift {
        window_ms: window.1 - window.0,
        censored: ends < opened.saturating_add(WINDOW_MS),
        running: now_ms < ends,
        during: ten_thousandths(during),
        before: ten_thousandths(before),
        before_ms: stretch.1 - stretch.0,
        growth: ten_thousandths(growth),
        growth_from,
        ratio: ratio.map(ten_thousandths),
        interval: ratio.map(|_| interval.into()),
        incremental: ten_thousandths(incremental),
        incremental_minor: drop
            .price
            .map(|price| whole(incremental * real(price.into()))),
        halo: ten_thousandths(units_in(&of_sku, halo)),
        halo_expected: ten_thousandths(rate * minutes_of(halo)),
        halo_over: now_ms >= halo.1,
    })
}

/// Where the ratio of what two counts are drawn from lies with 90 % confidence.
fn interval(during: f64, before: f64) -> [f64; 2] {
    [0.05, 0.95].map(|q| {
        let share = beta::quantile(q, during + 0.5, before + 0.5);
        share / (1.0 - share)
    })
}

/// When a drop ended at the latest: its ten minutes over, closed, or sold out.
fn end_of(drop: &DropView, of_sku: &BTreeMap<u32, i128>) -> i64 {
    let full = drop.opened_ms.saturating_add(WINDOW_MS);
    let closed = drop.closed_ms.unwrap_or(full).min(full);
    let Some(qty) = drop.qty else { return closed };
    let mut left = i128::from(qty);
    for (minute, units) in of_sku.range(minute_of(drop.opened_ms)..) {
        left -= units;
        if left <= 0 {
            return start(minute.saturating_add(1)).min(closed);
        }
    }
    closed
}

/// How much the audience grew from before to during.
fn growth(live: &Live, of_sku: &BTreeMap<u32, i128>, window: Span, before: Span) -> (f64, Growth) {
    if let (Some(during), Some(earlier)) = (viewers_in(live, window), viewers_in(live, before))
        && earlier > 0.0
        && during > 0.0
    {
        return (during / earlier, Growth::Viewers);
    }
    // The same length, ending where the stretch before ends.
    let earlier = (before.1 - (window.1 - window.0), before.1);
    let others: BTreeMap<u32, i128> = live
        .minutes
        .iter()
        .map(|(minute, sums)| {
            (
                *minute,
                sums.units - of_sku.get(minute).copied().unwrap_or(0),
            )
        })
        .collect();
    let (during, earlier) = (units_in(&others, window), units_in(&others, earlier));
    if during > 0.0 || earlier > 0.0 {
        return ((during + 0.5) / (earlier + 0.5), Growth::OtherSales);
    }
    (1.0, Growth::Nothing)
}

/// Mean viewers of all streams in the minutes of a span; `None` when nobody sampled them.
fn viewers_in(live: &Live, span: Span) -> Option<f64> {
    let mut streams: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
    let minutes = live
        .minutes
        .range(minute_of(span.0)..=minute_of(span.1 - 1));
    for (name, sums) in minutes.flat_map(|(_, sums)| &sums.streams) {
        let held = streams.entry(name).or_default();
        held.0 += sums.viewers;
        held.1 += sums.samples;
    }
    let sampled = streams.values().filter(|(_, samples)| *samples > 0);
    let means: Vec<f64> = sampled
        .map(|(viewers, samples)| real(*viewers) / real(*samples))
        .collect();
    (!means.is_empty()).then(|| means.iter().fold(0.0, |sum, mean| sum + mean))
}

/// Units of a SKU by minute.
fn sold(live: &Live, sku: &str) -> BTreeMap<u32, i128> {
    let rows = live.products.get(sku).and_then(|rows| rows.get(&None));
    let minutes = rows.into_iter().flat_map(|row| &row.minutes);
    minutes
        .map(|(minute, sums): (&u32, &BoardSums)| (*minute, sums.units))
        .collect()
}

/// Units within a span; a minute that it cuts counts by the part inside. Never negative.
fn units_in(units: &BTreeMap<u32, i128>, span: Span) -> f64 {
    if span.1 <= span.0 {
        return 0.0;
    }
    let minutes = units.range(minute_of(span.0)..=minute_of(span.1 - 1));
    let weighed = minutes.map(|(minute, units)| {
        let from = start(*minute).max(span.0);
        let to = start(minute.saturating_add(1)).min(span.1);
        real(*units) * minutes_of((from, to))
    });
    weighed.fold(0.0, |sum, units| sum + units).max(0.0)
}

fn start(minute: u32) -> i64 {
    crate::time::Minute(minute).start().0
}

fn minute_of(ms: i64) -> u32 {
    crate::time::Minute::of(WallMs(ms)).0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ratios of counts below 2^53 are exact, and beyond it nobody sees the digit"
)]
fn real(number: i128) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float beyond 64 bits is taken as their end"
)]
fn whole(number: f64) -> i64 {
    libm::rint(number) as i64
}

fn ten_thousandths(number: f64) -> i64 {
    whole(number * 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities of counts drawn from a mean, up to where hardly any is left.
    fn poisson(mean: f64) -> Vec<f64> {
        let most = mean + 8.0 * libm::sqrt(mean) + 8.0;
        let mut next = libm::exp(-mean);
        let mut all = Vec::new();
        let mut count = 0.0;
        while count <= most {
            all.push(next);
            count += 1.0;
            next *= mean / count;
        }
        all
    }

    /// How often the interval holds the true ratio of two means, where anything was sold before.
    fn coverage(before: f64, ratio: f64) -> f64 {
        let (mut held, mut all) = (0.0, 0.0);
        for (y, of_y) in (0_u32..).zip(poisson(before * ratio)) {
            for (c, of_c) in (0_u32..).zip(poisson(before)).skip(1) {
                let [low, high] = interval(y.into(), c.into());
                all += of_y * of_c;
                if (low..=high).contains(&ratio) {
                    held += of_y * of_c;
                }
            }
        }
        held / all
    }

    #[test]
    fn the_interval_of_nine_in_ten_holds_the_truth_about_as_often() {
        // Summed over all counts, so nothing is left to chance: means of 2 to 40 units before, drops
        // that did nothing, halved, doubled or quintupled what was sold.
        let means = [2.0, 4.0, 7.0, 12.0, 20.0, 40.0];
        let ratios = [0.5, 1.0, 2.0, 5.0];
        let pairs = means
            .iter()
            .flat_map(|mean| ratios.map(|ratio| coverage(*mean, ratio)));
        let all: Vec<f64> = pairs.collect();
        let mean = all.iter().sum::<f64>() / real(all.len() as i128);
        let least = all.iter().copied().fold(1.0, f64::min);
        assert!(mean >= 0.88, "{mean} {all:?}");
        assert!(least >= 0.88, "{least} {all:?}");
        assert!(
            mean <= 0.93,
            "an interval that always holds tells nothing: {mean}"
        );
    }
}
