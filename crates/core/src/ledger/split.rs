//! Dividing money: parts of a whole by largest remainder, and parts over time.
//!
//! Σ parts = whole, always. Every module that divides an amount does it here.

use alloc::vec::Vec;

use super::{FactId, FieldHash};
use crate::money::div_half_even;

/// Divides `whole` in the proportion of `weights` (none negative). Each part is rounded down, and
/// the units left over go to the largest remainders; ties by a hash of the fact and the part's place,
/// so that over a day no part is favoured. A negative whole is divided by its magnitude.
///
/// `None` when nothing weighs anything, when a weight is negative, or beyond 128 bits.
#[must_use]
pub fn by_largest_remainder(seed: FactId, whole: i128, weights: &[i128]) -> Option<Vec<i128>> {
    if weights.iter().any(|weight| *weight < 0) {
        return None;
    }
    let total = (weights.iter()).try_fold(0i128, |sum, weight| sum.checked_add(*weight))?;
    if total == 0 {
        return None;
    }
    let magnitude = whole.checked_abs()?;
    let mut parts = Vec::with_capacity(weights.len());
    let mut rests: Vec<(i128, [u8; 8], usize)> = Vec::with_capacity(weights.len());
    for (at, weight) in weights.iter().enumerate() {
        let product = magnitude.checked_mul(*weight)?;
        parts.push(product / total);
        let place = u64::try_from(at).expect("a place fits 64 bits");
        let tie = FieldHash::new("popwatch.part.v1")
            .field(&seed.0)
            .field(&place.to_le_bytes())
            .finish();
        rests.push((-(product % total), tie, at));
    }
    let left = magnitude - parts.iter().sum::<i128>();
    rests.sort_unstable();
    let left = usize::try_from(left).expect("fewer units are left over than there are parts");
    for (_, _, at) in rests.into_iter().take(left) {
        parts[at] += 1;
    }
    if whole < 0 {
        parts.iter_mut().for_each(|part| *part = -*part);
    }
    Some(parts)
}

/// What of `whole` is due once `reached` of `total` is reached: rounded once, half to even, so that
/// the difference of two of these is the part in between and the last one meets the whole exactly.
/// Below nothing it is nothing, beyond the total it is the whole. `None` beyond 128 bits.
#[must_use]
pub fn due(whole: i128, reached: i128, total: i128) -> Option<i128> {
    if reached <= 0 || total <= 0 {
        return Some(0);
    }
    if reached >= total {
        return Some(whole);
    }
    whole
        .checked_mul(reached)
        .map(|product| div_half_even(product, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: FactId = FactId([3; 16]);

    #[test]
    fn left_over_units_go_to_the_largest_remainders() {
        let split = |whole, weights: &[i128]| by_largest_remainder(SEED, whole, weights).unwrap();
        assert_eq!(split(51, &[57, 33, 10]), [29, 17, 5]);
        assert_eq!(split(100, &[57, 33, 10]), [57, 33, 10]);
        assert_eq!(split(-51, &[57, 33, 10]), [-29, -17, -5]);
        assert_eq!(by_largest_remainder(SEED, 5, &[0, 0]), None);
        assert_eq!(by_largest_remainder(SEED, 5, &[1, -1]), None);
        assert_eq!(by_largest_remainder(SEED, i128::MAX, &[2, 1]), None);
    }

    #[test]
    fn over_many_facts_no_part_is_favoured() {
        let mut got = [0i128; 3];
        for mark in 0..=255u8 {
            let seed = FactId([mark; 16]);
            for (at, part) in
                (by_largest_remainder(seed, 1, &[1, 1, 1]).unwrap().iter()).enumerate()
            {
                got[at] += part;
            }
        }
        assert!(got.iter().all(|part| (60..=110).contains(part)), "{got:?}");
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(whole: i64, weights in prop::collection::vec(0i64.., 1..9)) {
            let weights: Vec<i128> = weights.into_iter().map(i128::from).collect();
            prop_assume!(weights.iter().sum::<i128>() > 0);
            let parts = by_largest_remainder(SEED, i128::from(whole), &weights).unwrap();
            prop_assert_eq!(parts.iter().sum::<i128>(), i128::from(whole));
            prop_assert!(parts.iter().all(|part| part.signum() * i128::from(whole).signum() >= 0));
        }

        #[test]
        fn what_is_due_over_time_meets_the_whole(whole: i32, steps in prop::collection::vec(1i64..1_000_000, 1..9)) {
            let total: i128 = steps.iter().copied().map(i128::from).sum();
            let (mut reached, mut given) = (0, 0);
            for step in steps {
                reached += i128::from(step);
                let now = due(i128::from(whole), reached, total).unwrap();
                given += now - given;
                prop_assert!(given.abs() <= i128::from(whole).abs());
            }
            prop_assert_eq!(given, i128::from(whole));
        }
    }
}
