//! Sets of seqs as closed ranges: what is held, what is missing.

use alloc::vec::Vec;

/// A set of numbers as closed ranges, ascending, never touching each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The set of all numbers in the given closed ranges.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            set.insert(first, last);
        }
        set
    }

    /// Adds all of `first..=last`; nothing when it is empty.
    pub fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let from = self
            .0
            .partition_point(|range| range.1 < first.saturating_sub(1));
        let to = self
            .0
            .partition_point(|range| range.0 <= last.saturating_add(1));
        let joined = self.0[from..to].iter().fold((first, last), |sum, range| {
            (sum.0.min(range.0), sum.1.max(range.1))
        });
        self.0.splice(from..to, [joined]);
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The greatest number in it, 0 when empty.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |range| range.1)
    }

    /// All of 1..= this number is in it; 0 when 1 is not.
    #[must_use]
    pub fn contiguous(&self) -> u64 {
        match self.0.first() {
            Some((0..=1, last)) => *last,
            Some(_) | None => 0,
        }
    }

    /// The numbers of `first..=last` that are not in it.
    #[must_use]
    pub fn missing(&self, first: u64, last: u64) -> Self {
        let mut out = Vec::new();
        let mut next = first;
        for (from, to) in &self.0 {
            if *from > last || next > last {
                break;
            }
            if *from > next {
                out.push((next, from - 1));
            }
            next = next.max(to.saturating_add(1));
        }
        if next <= last {
            out.push((next, last));
        }
        Self(out)
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (first, last) in &self.0 {
            let absent = other.missing(*first, *last);
            let present = absent.missing(*first, *last);
            present
                .0
                .iter()
                .for_each(|(from, to)| out.insert(*from, *to));
        }
        out
    }

    /// The numbers that are in this and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let ranges = self
            .0
            .iter()
            .flat_map(|(first, last)| other.missing(*first, *last).0);
        Self::of(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(
            one in prop::collection::vec((0u64..40, 0u64..6), 0..12),
            other in prop::collection::vec((0u64..40, 0u64..6), 0..12),
        ) {
            let set = |ranges: &[(u64, u64)]| -> BTreeSet<u64> {
                ranges.iter().flat_map(|(first, length)| *first..*first + length).collect()
            };
            let make = |ranges: &[(u64, u64)]| Ranges::of(
                ranges.iter().filter(|(_, length)| *length > 0).map(|(first, length)| (*first, first + length - 1)),
            );
            let flat = |ranges: &Ranges| -> BTreeSet<u64> {
                ranges.as_slice().iter().flat_map(|(first, last)| *first..=*last).collect()
            };
            let (a, b) = (set(&one), set(&other));
            let (ra, rb) = (make(&one), make(&other));
            prop_assert_eq!(&flat(&ra), &a);
            prop_assert!(ra.as_slice().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert_eq!(flat(&ra.both(&rb)), a.intersection(&b).copied().collect());
            prop_assert_eq!(flat(&ra.without(&rb)), a.difference(&b).copied().collect());
            prop_assert_eq!(flat(&ra.missing(3, 30)), (3..=30).filter(|n| !a.contains(n)).collect());
            prop_assert_eq!(ra.len(), a.len() as u64);
        }
    }

    #[test]
    fn contiguous_counts_from_one() {
        assert_eq!(Ranges::of([(1, 4), (6, 9)]).contiguous(), 4);
        assert_eq!(Ranges::of([(2, 4)]).contiguous(), 0);
        assert_eq!(Ranges::default().contiguous(), 0);
    }
}
