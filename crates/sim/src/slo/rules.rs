//! The burn-rate rules that are usual elsewhere, as written down there.
//!
//! A rule pages when the share of bad outcomes passes a multiple of what is allowed, in a long window
//! and in a short one at once. It is looked at after every outcome.

use super::Told;

/// (multiple, long window ms, short window ms).
type Rule = (u64, u64, u64);

/// The SRE workbook's two paging rules for a budget of 30 days.
pub(super) const WORKBOOK: [Rule; 2] = [
    (144, 60 * 60_000, 5 * 60_000),
    (60, 360 * 60_000, 30 * 60_000),
];

/// The same with every window shortened by 30 days over 3 hours: 240 times.
pub(super) const SCALED: [Rule; 2] = [(144, 15_000, 1_250), (60, 90_000, 7_500)];

/// When one of the rules pages first at `from_ms` or later, ms after the start. Multiples are tenths.
pub(super) fn first_page(
    rules: &[Rule],
    told: &[Told],
    epsilon_ppm: u64,
    from_ms: u64,
) -> Option<u64> {
    // Sums up to and with each outcome.
    let mut sums = Vec::with_capacity(told.len() + 1);
    let (mut n, mut bad) = (0, 0);
    sums.push((0, 0));
    for told in told {
        n += told.outcomes.n;
        bad += told.outcomes.bad;
        sums.push((n, bad));
    }
    let burns = |end: usize, now_ms: u64, window_ms: u64, tenths: u64| {
        let from = now_ms.saturating_sub(window_ms);
        let first = told.partition_point(|told| told.at_ms < from);
        let (n, bad) = (sums[end].0 - sums[first].0, sums[end].1 - sums[first].1);
        bad * 1_000_000 * 10 > n * epsilon_ppm * tenths
    };
    let pages = |(place, told): &(usize, &Told)| {
        told.at_ms >= from_ms
            && rules.iter().any(|(tenths, long, short)| {
                burns(place + 1, told.at_ms, *long, *tenths)
                    && burns(place + 1, told.at_ms, *short, *tenths)
            })
    };
    told.iter()
        .enumerate()
        .find(pages)
        .map(|(_, told)| told.at_ms)
}
