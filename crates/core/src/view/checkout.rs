//! How long a checkout takes: P50 and P95 with how many there are, how far to trust them, and what
//! hangs right now.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::completeness::Standing;
use super::durations::{Durations, Ladder, at_rank, band_ranks, nearest_rank};
use super::live::{Live, place_of};
use super::summary::full_minutes;
use super::sums::{CheckoutSums, OpenSums};
use crate::cell::HistKind;
use crate::money::div_half_even;
use crate::time::{Minute, WallMs};

/// With fewer values the greatest of them may well lie below the true P95 (0.95^59 < 5 %).
const VALUES_MIN: u64 = 59;
/// A start older than this is no longer counted as open, minutes.
const OPEN_MINUTES_MAX: u32 = 30;

/// What people are told of durations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Durations in the window.
    pub n: u64,
    /// Median, ms; `None` under 59 values.
    pub p50_ms: Option<u64>,
    /// 95th percentile, ms; `None` under 59 values.
    pub p95_ms: Option<u64>,
    /// Where the true P95 lies with 95 % confidence, ms.
    pub band_ms: Option<(u64, u64)>,
    /// The longest in the window, ms, exact.
    pub max_ms: Option<u64>,
    /// The window: the last 5 or 15 full minutes; `None` is the whole popup.
    pub window_min: Option<u32>,
}

/// Checkouts; those paid offline are apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckoutView {
    /// Checkouts with the provider reachable.
    pub online: Quantiles,
    /// Checkouts paid offline.
    pub offline: Quantiles,
    /// How long the provider took.
    pub payment: Quantiles,
    /// Started in the last 30 minutes and not closed.
    pub open: u64,
    /// "At least this": P95 of durations and ages of open checkouts together, ms, where that is
    /// more than the P95.
    pub in_flight_bound_ms: Option<u64>,
    /// Since the start.
    pub totals: CheckoutSums,
}

pub(crate) fn view(live: &Live, rigs: &[Standing<'_>], watermark: Option<WallMs>) -> CheckoutView {
    let (online, ladder) = quantiles(live, watermark, HistKind::CheckoutOnline);
    let ages = watermark.map_or_else(Vec::new, |as_of| open_ages(&live.open, rigs, as_of));
    let open = ages.iter().map(|(_, count)| *count).sum::<u128>();
    let p95_ms = online.p95_ms;
    CheckoutView {
        online,
        offline: quantiles(live, watermark, HistKind::CheckoutOffline).0,
        payment: quantiles(live, watermark, HistKind::Payment).0,
        open: u64::try_from(open).unwrap_or(u64::MAX),
        in_flight_bound_ms: in_flight_bound(ladder, ages)
            .filter(|bound| p95_ms.is_none_or(|p95| *bound > p95)),
        totals: live.checkout,
    }
}

/// Quantiles of the shortest window that holds enough values, and the values.
pub(crate) fn quantiles(
    live: &Live,
    watermark: Option<WallMs>,
    kind: HistKind,
) -> (Quantiles, Ladder) {
    let (window_min, durations) = window(live, watermark, kind);
    let (n, ladder) = (durations.count(), durations.ladder());
    let enough = n >= VALUES_MIN;
    let quantile = |percent| {
        let us = at_rank(&ladder, nearest_rank(n.into(), percent));
        us.filter(|_| enough).map(rounded_ms)
    };
    let band_ms = enough.then(|| band_ranks(n, 95)).and_then(|(low, high)| {
        let low = at_rank(&ladder, low.into()).map(rounded_ms)?;
        Some((low, at_rank(&ladder, high.into()).map(rounded_ms)?))
    });
    let quantiles = Quantiles {
        n,
        p50_ms: quantile(50),
        p95_ms: quantile(95),
        band_ms,
        max_ms: durations.max_us().map(rounded_ms),
        window_min,
    };
    (quantiles, ladder)
}

/// The shortest window that holds enough durations.
fn window(live: &Live, watermark: Option<WallMs>, kind: HistKind) -> (Option<u32>, Durations) {
    let place = place_of(kind);
    let whole = &live.durations[place];
    if whole.count() >= VALUES_MIN {
        for most in [5, 15] {
            let span = full_minutes(live, None, watermark, most);
            let mut durations = Durations::default();
            for (_, minute) in live.minutes.range(span) {
                durations.merge(&minute.durations[place]);
            }
            if durations.count() >= VALUES_MIN {
                return (Some(most), durations);
            }
        }
    }
    (None, whole.clone())
}

/// What is started and not closed in the last 30 minutes, by its least age, µs: in the newest epoch
/// of each rig.
pub(crate) fn open_ages(
    open: &BTreeMap<(String, u32), BTreeMap<u32, OpenSums>>,
    rigs: &[Standing<'_>],
    as_of: WallMs,
) -> Ladder {
    let minute_now = Minute::of(as_of).0;
    let recent = minute_now.saturating_sub(OPEN_MINUTES_MAX)..=minute_now;
    let mut ages = Vec::new();
    for rig in rigs {
        let key = (rig.rig.into(), rig.epoch);
        let Some(starts) = open.get(&key) else {
            continue;
        };
        for (minute, sums) in starts.range(recent.clone()) {
            let Ok(open @ 1..) = u128::try_from(sums.started - sums.closed) else {
                continue;
            };
            let age_ms = as_of
                .0
                .saturating_sub(Minute(minute.saturating_add(1)).start().0);
            let age_us = u64::try_from(age_ms.max(0))
                .unwrap_or(0)
                .saturating_mul(1_000);
            ages.push((age_us, open));
        }
    }
    ages
}

/// P95 of the closed and the open together, ms; `None` when nothing is open.
pub(crate) fn in_flight_bound(mut ladder: Ladder, ages: Ladder) -> Option<u64> {
    if ages.is_empty() {
        return None;
    }
    ladder.extend(ages);
    ladder.sort_unstable();
    let n = ladder.iter().map(|(_, count)| *count).sum();
    at_rank(&ladder, nearest_rank(n, 95)).map(rounded_ms)
}

fn rounded_ms(us: u64) -> u64 {
    u64::try_from(div_half_even(us.into(), 1_000)).expect("a thousandth of 64 bits fits")
}
