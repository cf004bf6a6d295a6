//! The histogram of durations: base-2 exponential buckets of fixed scale 5.
//!
//! The base is 2^(1/32). Bucket i holds (base^i, base^(i+1)] seconds, i from −320 to 543: 27
//! octaves, from 2⁻¹⁰ s to 2¹⁷ s. Values up to 2⁻¹⁰ s are counted in `zero`, values beyond 2¹⁷ s in
//! the top bucket and in `over`. A value finds its bucket by search in a table of integers, so no
//! float decides anything and merging in any order gives the same bytes (L12).
//!
//! A quantile is the nearest rank, answered with the harmonic mean of its bucket's bounds: off by at
//! most (base − 1)/(base + 1) = 1.083 % and, as answers are whole µs, half a µs, as long as the value
//! lies in the 27 octaves.
#![deny(clippy::float_arithmetic)]

mod bounds;

use crate::cell::{CellFault, HistKind, HistRow};
use bounds::UPPER_US;

/// Index of the lowest bucket.
pub const INDEX_MIN: i32 = -320;
/// Index of the highest bucket.
pub const INDEX_MAX: i32 = 543;
/// Greatest value of `zero`: 2⁻¹⁰ s, in whole µs.
pub const ZERO_US_MAX: u64 = 976;

/// A histogram without a kind: what views merge and ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The row of a cell, kind 0.
    row: HistRow,
}

impl Histogram {
    /// Nothing measured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one duration, µs.
    pub fn insert(&mut self, us: u64) {
        insert(&mut self.row, us);
    }

    /// Adds all of another. Any order of merges gives the same histogram; sums saturate.
    pub fn merge(&mut self, other: &Self) {
        let (a, b) = (&mut self.row, &other.row);
        if b.count == 0 {
            return;
        }
        a.min_us = if a.count == 0 {
            b.min_us
        } else {
            a.min_us.min(b.min_us)
        };
        a.max_us = a.max_us.max(b.max_us);
        a.count = a.count.saturating_add(b.count);
        a.sum_us = a.sum_us.saturating_add(b.sum_us);
        a.zero = a.zero.saturating_add(b.zero);
        a.over = a.over.saturating_add(b.over);
        let mut place = 0;
        for (index, values) in b.index.iter().zip(&b.bucket) {
            place += a.index[place..].partition_point(|at| at < index);
            if a.index.get(place) == Some(index) {
                a.bucket[place] = a.bucket[place].saturating_add(*values);
            } else {
                a.index.insert(place, *index);
                a.bucket.insert(place, *values);
            }
        }
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.row.count
    }

    /// Their sum, µs, saturating.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.row.sum_us
    }

    /// The least, µs; `None` without values.
    #[must_use]
    pub fn min_us(&self) -> Option<u64> {
        (self.row.count > 0).then_some(self.row.min_us)
    }

    /// The greatest, µs; `None` without values.
    #[must_use]
    pub fn max_us(&self) -> Option<u64> {
        (self.row.count > 0).then_some(self.row.max_us)
    }

    /// How many values are too small for a bucket.
    #[must_use]
    pub fn zero(&self) -> u64 {
        self.row.zero
    }

    /// How many values lie beyond the top bucket, in which they are counted too.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.row.over
    }

    /// Buckets that have values, ascending: (index, values).
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        let values = self.row.bucket.iter().copied();
        self.row.index.iter().copied().zip(values)
    }

    /// The nearest-rank quantile, µs, for `q_ppm` parts per million: the value at rank
    /// max(1, ⌈q·n⌉). `None` without values.
    #[must_use]
    pub fn quantile_us(&self, q_ppm: u32) -> Option<u64> {
        let rank = (u128::from(q_ppm.min(1_000_000)) * u128::from(self.row.count))
            .div_ceil(1_000_000)
            .max(1);
        self.rank_us(u64::try_from(rank).expect("a rank is at most the count"))
    }

    /// The value at a rank from 1 to the count, µs; ranks beyond are taken as the nearest one.
    /// `None` without values.
    #[must_use]
    pub fn rank_us(&self, rank: u64) -> Option<u64> {
        let row = &self.row;
        if row.count == 0 {
            return None;
        }
        if rank >= row.count {
            return Some(row.max_us);
        }
        let mut seen = row.zero;
        if rank <= seen {
            return Some(row.min_us);
        }
        for (index, values) in self.buckets() {
            seen = seen.saturating_add(values);
            if rank <= seen {
                return Some(middle_us(index).clamp(row.min_us, row.max_us));
            }
        }
        Some(row.max_us)
    }

    /// The row of a cell that holds it.
    #[must_use]
    pub fn to_row(&self, kind: HistKind) -> HistRow {
        HistRow {
            kind: i32::from(kind),
            ..self.row.clone()
        }
    }

    /// Reads the row of a cell and proves that its parts agree.
    pub fn from_row(row: &HistRow) -> Result<Self, CellFault> {
        let fault = Err(CellFault::Range("histogram"));
        let ascending = row.index.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = row
            .index
            .iter()
            .all(|at| (INDEX_MIN..=INDEX_MAX).contains(at));
        if !ascending || !inside || row.index.len() != row.bucket.len() || row.bucket.contains(&0) {
            return fault;
        }
        let values: u128 = row.bucket.iter().map(|values| u128::from(*values)).sum();
        let top = match row.index.last() {
            Some(&INDEX_MAX) => row.bucket.last().copied().unwrap_or(0),
            _ => 0,
        };
        let counted = values + u128::from(row.zero) == u128::from(row.count) && row.count > 0;
        let ends = row.min_us <= row.max_us && row.max_us <= row.sum_us && row.over <= top;
        let first = if row.zero > 0 {
            None
        } else {
            row.index.first().copied()
        };
        let last = row.index.last().copied();
        if !counted || !ends || index_of(row.min_us) != first || index_of(row.max_us) != last {
            return fault;
        }
        Ok(Self {
            row: HistRow {
                kind: 0,
                ..row.clone()
            },
        })
    }
}

/// Adds one duration to the row of a cell, µs.
pub(crate) fn insert(row: &mut HistRow, us: u64) {
    row.min_us = if row.count == 0 {
        us
    } else {
        row.min_us.min(us)
    };
    row.max_us = row.max_us.max(us);
    row.count += 1;
    row.sum_us = row.sum_us.saturating_add(us);
    let Some(index) = index_of(us) else {
        row.zero += 1;
        return;
    };
    if us > UPPER_US[UPPER_US.len() - 1] {
        row.over += 1;
    }
    match row.index.binary_search(&index) {
        Ok(place) => row.bucket[place] += 1,
        Err(place) => {
            row.index.insert(place, index);
            row.bucket.insert(place, 1);
        }
    }
}

/// The bucket of a value; `None` is `zero`.
fn index_of(us: u64) -> Option<i32> {
    if us <= ZERO_US_MAX {
        return None;
    }
    let place = UPPER_US.partition_point(|upper| *upper < us);
    let place = i32::try_from(place).expect("the table has 864 entries");
    Some((INDEX_MIN + place).min(INDEX_MAX))
}

/// The harmonic mean of the least and the greatest whole µs of a bucket: it splits the relative
/// error evenly.
pub(crate) fn middle_us(index: i32) -> u64 {
    let place = usize::try_from(index - INDEX_MIN).expect("indexes start at INDEX_MIN");
    let high = UPPER_US[place];
    let low = 1 + if place == 0 {
        ZERO_US_MAX
    } else {
        UPPER_US[place - 1]
    };
    let (low, high) = (u128::from(low), u128::from(high));
    let middle = (2 * low * high + (low + high) / 2) / (low + high);
    u64::try_from(middle).expect("it lies between two values of 64 bits")
}

#[cfg(test)]
mod tests;
