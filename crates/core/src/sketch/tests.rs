use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// An unsigned integer of any size, least significant word first: just enough to prove the table.
#[derive(Clone, PartialEq, Eq)]
struct Big(Vec<u32>);

impl Big {
    fn one() -> Self {
        Self(Vec::from([1]))
    }

    fn times(mut self, factor: u64) -> Self {
        let (low, high) = (factor & 0xFFFF_FFFF, factor >> 32);
        let mut shifted = Self(core::iter::once(0).chain(self.0.iter().copied()).collect());
        self.scale(low);
        shifted.scale(high);
        self.plus(&shifted)
    }

    fn scale(&mut self, factor: u64) {
        let mut carry = 0u64;
        for word in &mut self.0 {
            carry += u64::from(*word) * factor;
            *word = u32::try_from(carry & 0xFFFF_FFFF).unwrap();
            carry >>= 32;
        }
        self.0.push(u32::try_from(carry).unwrap());
    }

    fn plus(self, other: &Self) -> Self {
        let words = self.0.len().max(other.0.len()) + 1;
        let mut carry = 0u64;
        let mut sum = Vec::new();
        for at in 0..words {
            let word = |big: &Self| u64::from(big.0.get(at).copied().unwrap_or(0));
            carry += word(&self) + word(other);
            sum.push(u32::try_from(carry & 0xFFFF_FFFF).unwrap());
            carry >>= 32;
        }
        while sum.last() == Some(&0) {
            sum.pop();
        }
        Self(sum)
    }

    fn power(base: u64, exponent: u32) -> Self {
        (0..exponent).fold(Self::one(), |product, _| product.times(base))
    }

    fn le(&self, other: &Self) -> bool {
        let key = |big: &Self| (big.0.len(), big.0.iter().rev().copied().collect::<Vec<_>>());
        key(self) <= key(other)
    }
}

#[test]
fn the_table_is_the_rounded_down_power_of_two() {
    let mega = Big::power(10, 192);
    let mut scaled = mega.clone();
    for (place, upper) in UPPER_US.iter().enumerate() {
        let exponent = INDEX_MIN + i32::try_from(place).unwrap() + 1;
        // 10¹⁹² · 2^exponent, with the power on the other side when it is negative.
        let (left, right);
        if exponent <= 0 {
            let shift = exponent.unsigned_abs();
            left = Big::power(2, shift);
            right = mega.clone();
        } else {
            left = Big::one();
            scaled = scaled.times(2);
            right = scaled.clone();
        }
        let low = (0..32).fold(left.clone(), |product, _| product.times(*upper));
        let high = (0..32).fold(left, |product, _| product.times(*upper + 1));
        assert!(low.le(&right), "bucket {exponent}");
        assert!(right.le(&high) && right != high, "bucket {exponent}");
    }
}

#[test]
fn each_value_lies_in_its_bucket_and_the_middle_within_the_bound() {
    for (place, upper) in UPPER_US.iter().enumerate() {
        let index = INDEX_MIN + i32::try_from(place).unwrap();
        let lower = if place == 0 {
            ZERO_US_MAX
        } else {
            UPPER_US[place - 1]
        };
        assert_eq!(index_of(*upper), Some(index));
        assert_eq!(index_of(lower + 1), Some(index));
        for value in [lower + 1, *upper] {
            assert!(within_bound(middle_us(index), value), "{index}");
        }
    }
    assert_eq!(index_of(ZERO_US_MAX), None);
    assert_eq!(index_of(u64::MAX), Some(INDEX_MAX));
}

/// |answer − exact| ≤ 1.0831 % of exact and half a µs of rounding, in integers.
fn within_bound(answer: u64, exact: u64) -> bool {
    let twice_off = (2 * u128::from(answer.abs_diff(exact))).saturating_sub(1);
    twice_off * 1_000_000 <= 2 * u128::from(exact) * 10_831
}

fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
    let mut histogram = Histogram::new();
    values.into_iter().for_each(|us| histogram.insert(us));
    histogram
}

#[test]
fn ends_are_exact_and_nothing_is_clipped() {
    let day_us = 86_400_000_000;
    let huge = of([0, 976, 977, 2 * day_us]);
    assert_eq!((huge.zero(), huge.over(), huge.count()), (2, 1, 4));
    assert_eq!((huge.min_us(), huge.max_us()), (Some(0), Some(2 * day_us)));
    assert_eq!(huge.quantile_us(1_000_000), Some(2 * day_us));
    assert_eq!(huge.quantile_us(0), Some(0));
    assert_eq!(Histogram::new().quantile_us(500_000), None);
    assert_eq!(of([41_000]).quantile_us(950_000), Some(41_000));
}

#[test]
fn a_row_whose_parts_disagree_is_refused() {
    let row = of([5_000, 80_000, 1]).to_row(HistKind::Payment);
    assert!(Histogram::from_row(&row).is_ok());
    let spoilers: [fn(&mut HistRow); 10] = [
        |row| row.count += 1,
        |row| row.zero = 0,
        |row| row.bucket[0] = 0,
        |row| row.index[0] = row.index[1],
        |row| row.index[1] = INDEX_MAX + 1,
        |row| row.over = 1,
        |row| row.min_us = row.max_us + 1,
        |row| row.max_us = 5_001,
        |row| row.sum_us = 0,
        |row| {
            row.bucket.pop();
        },
    ];
    for (at, spoil) in spoilers.iter().enumerate() {
        let mut bad = row.clone();
        spoil(&mut bad);
        assert!(Histogram::from_row(&bad).is_err(), "spoiler {at}");
    }
}

/// Durations over the octaves that matter, evenly by magnitude.
fn durations() -> impl Strategy<Value = u64> {
    (0u32..36, any::<u64>()).prop_map(|(octave, noise)| (1 << octave) + noise % (1 << octave))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quantiles_keep_the_bound(
        mut values in proptest::collection::vec(durations(), 1..200), q_ppm in 0u32..=1_000_000,
    ) {
        let histogram = of(values.iter().copied());
        values.sort_unstable();
        let rank = (u64::from(q_ppm) * values.len() as u64).div_ceil(1_000_000).max(1);
        let exact = values[usize::try_from(rank).unwrap() - 1];
        let answer = histogram.quantile_us(q_ppm).unwrap();
        if exact <= ZERO_US_MAX {
            prop_assert!(answer <= ZERO_US_MAX);
        } else {
            prop_assert!(within_bound(answer, exact), "{} for {}", answer, exact);
        }
    }

    #[test]
    fn merging_in_any_order_gives_the_same_bytes(
        parts in proptest::collection::vec(
            proptest::collection::vec(any::<u64>().prop_map(|us| us >> (us % 64)), 0..20), 1..6),
        turn in any::<prop::sample::Index>(),
    ) {
        let whole = of(parts.iter().flatten().copied());
        let mut sketches: Vec<Histogram> = parts.iter().map(|part| of(part.iter().copied())).collect();
        let middle = turn.index(sketches.len());
        sketches.rotate_left(middle);
        let mut left = Histogram::new();
        sketches.iter().for_each(|sketch| left.merge(sketch));
        let right = sketches.iter().rev().fold(Histogram::new(), |sum, sketch| {
            let mut next = sketch.clone();
            next.merge(&sum);
            next
        });
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&right, &whole);
        if whole.count() > 0 {
            let row = whole.to_row(HistKind::CheckoutOnline);
            prop_assert_eq!(Histogram::from_row(&row).unwrap(), whole);
        }
    }
}

/// 300,056 real operation latencies in µs, as exact counts.
const YCSB: &str = include_str!("../../../../fixtures/public/hdr/ycsb.logV1.hlog.counts.csv");

#[test]
fn real_latencies_keep_the_bound() {
    let rows: Vec<(u64, u64)> = YCSB
        .lines()
        .skip(1)
        .map(|line| {
            let (value, count) = line.split_once(',').unwrap();
            (value.parse().unwrap(), count.trim().parse().unwrap())
        })
        .collect();
    let mut histogram = Histogram::new();
    for (value, count) in &rows {
        (0..*count).for_each(|_| histogram.insert(*value));
    }
    let total: u64 = rows.iter().map(|(_, count)| count).sum();
    assert_eq!(histogram.count(), total);
    for q_ppm in [
        10_000, 250_000, 500_000, 900_000, 950_000, 990_000, 999_000, 999_990, 1_000_000,
    ] {
        let rank = (u64::from(q_ppm) * total).div_ceil(1_000_000);
        let mut seen = 0;
        let reached = |(_, count): &&(u64, u64)| {
            seen += count;
            seen >= rank
        };
        let (exact, _) = rows.iter().find(reached).unwrap();
        if *exact <= ZERO_US_MAX {
            continue;
        }
        let answer = histogram.quantile_us(q_ppm).unwrap();
        assert!(
            within_bound(answer, *exact),
            "{q_ppm}: {answer} for {exact}"
        );
    }
}
