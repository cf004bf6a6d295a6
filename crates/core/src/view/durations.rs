//! Durations of many cells together, with what people are told of them: quantiles by nearest rank,
//! and how far a quantile of so few values can be trusted.
//!
//! Buckets are those of [`crate::sketch`]; a value read back lies in the bucket of the true one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::sums::{Shift, touch};
use crate::cell::HistRow;
use crate::sketch::middle_us;

/// A histogram that can also give back what it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Durations {
    count: i128,
    zero: i128,
    buckets: BTreeMap<i32, i128>,
    least: BTreeMap<u64, i128>,
    greatest: BTreeMap<u64, i128>,
}

/// Values ascending, each with how many there are: µs, count.
pub(crate) type Ladder = Vec<(u64, u128)>;

impl Durations {
    /// Adds or takes the values of one cell's row.
    pub(crate) fn shift(&mut self, by: Shift, row: &HistRow) {
        if row.count == 0 {
            return;
        }
        self.count += by.of(row.count);
        self.zero += by.of(row.zero);
        for (index, values) in row.index.iter().zip(&row.bucket) {
            touch(&mut self.buckets, *index, |held| *held += by.of(*values));
        }
        touch(&mut self.least, row.min_us, |held| *held += by.of(1));
        touch(&mut self.greatest, row.max_us, |held| *held += by.of(1));
    }

    /// Adds all values of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.zero += other.zero;
        for (index, values) in &other.buckets {
            *self.buckets.entry(*index).or_default() += values;
        }
        for (us, cells) in &other.least {
            *self.least.entry(*us).or_default() += cells;
        }
        for (us, cells) in &other.greatest {
            *self.greatest.entry(*us).or_default() += cells;
        }
    }

    /// Values held.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.count).unwrap_or(0)
    }

    /// The greatest value, µs, exact; `None` when empty.
    pub(crate) fn max_us(&self) -> Option<u64> {
        self.greatest.last_key_value().map(|(us, _)| *us)
    }

    /// All values, ascending, each as its bucket's representative within [min, max]; the last one is
    /// the greatest, exact.
    pub(crate) fn ladder(&self) -> Ladder {
        let least = self.least.first_key_value().map_or(0, |(us, _)| *us);
        let most = self.max_us().unwrap_or(0).max(least);
        let positive = |values: i128| u128::try_from(values).unwrap_or(0);
        let zero = (self.zero > 0).then(|| (least, positive(self.zero)));
        let rest = self.buckets.iter().map(|(index, values)| {
            let us = middle_us(*index).clamp(least, most);
            (us, positive(*values))
        });
        let mut ladder: Ladder = zero.into_iter().chain(rest).collect();
        if let Some(top) = ladder.last_mut() {
            top.1 = top.1.saturating_sub(1);
            ladder.push((most, 1));
        }
        ladder
    }
}

/// The value of 1-based `rank` on an ascending ladder; `None` beyond its end.
pub(crate) fn at_rank(ladder: &Ladder, rank: u128) -> Option<u64> {
    let mut seen = 0;
    ladder.iter().find_map(|(us, values)| {
        seen += values;
        (rank >= 1 && seen >= rank).then_some(*us)
    })
}

/// Nearest rank of the quantile `percent` of `n` values, from 1.
pub(crate) fn nearest_rank(n: u128, percent: u128) -> u128 {
    (n * percent).div_ceil(100).max(1)
}

/// Ranks between which the quantile `percent` of the population lies with 95 % confidence, given
/// `n` values: the order statistics of the exact binomial under 100, of its normal limit above.
/// Both lie in 1..=n. `n` must be at least 1.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the one place where a quantile's confidence is computed; ranks below 2^53 are exact"
)]
pub(crate) fn band_ranks(n: u64, percent: u64) -> (u64, u64) {
    let (count, q) = (n as f64, percent as f64 / 100.0);
    if n >= 100 {
        let (middle, wide) = (count * q, 1.96 * libm::sqrt(count * q * (1.0 - q)));
        let low = libm::floor(middle - wide) as u64;
        let high = libm::ceil(middle + wide) as u64;
        return (low.clamp(1, n), high.clamp(1, n));
    }
    let mut mass = libm::pow(1.0 - q, count);
    let mut below = 0.0;
    let (mut low, mut high) = (1, n);
    for rank in 1..=n {
        // `below` becomes P(fewer than `rank` of n values lie under the quantile).
        below += mass;
        mass *= (n - rank + 1) as f64 / rank as f64 * q / (1.0 - q);
        if below <= 0.025 {
            low = rank;
        }
        if below >= 0.975 {
            high = rank;
            break;
        }
    }
    (low, high)
}
