//! The funnel: how far viewers came on their way from a chat or a product to a payment.
//!
//! A viewer's touches stand in the order of time, those of one millisecond in the funnel's order, so
//! in which order they arrived cannot show. A viewer counts once, by the longest stretch of steps
//! reached in order within the window that the first of them opens.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cell::TouchKind;
use crate::money::div_half_even;
use crate::time::{Minute, WallMs};
use crate::view::Live;
use crate::view::viewers::Touches;

/// The steps from the chat on.
pub const WITH_CHAT: [TouchKind; 5] = TouchKind::ALL;
/// The steps without it.
pub const WITHOUT_CHAT: [TouchKind; 4] = [
    TouchKind::Viewed,
    TouchKind::Cart,
    TouchKind::Started,
    TouchKind::Paid,
];
/// From the first step to the last, ms.
const WINDOW_MS: i64 = 15 * 60_000;

/// Viewers by how far they came. A place of an array is a step; it counts who reached at least it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Funnel {
    /// From the chat on.
    pub with_chat: [Estimate; 5],
    /// The same without the chat.
    pub without_chat: [Estimate; 4],
    /// By the minute of the first step, ascending.
    pub minutes: Vec<FunnelMinute>,
    /// Checkouts started by somebody who cannot be named.
    pub not_linked_started: i128,
    /// Orders paid by somebody who cannot be named.
    pub not_linked_paid: i128,
    /// Whether the numbers of viewers are scaled from a part of them.
    pub estimated: bool,
}

/// A number of viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// How many.
    pub n: u64,
    /// Half the width of its 95 % interval; 0 where it is exact.
    pub plus_minus: u64,
}

/// Viewers whose first step was in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FunnelMinute {
    /// The minute since 1970.
    pub minute: u32,
    /// From the chat on.
    pub with_chat: [u64; 5],
    /// Without the chat.
    pub without_chat: [u64; 4],
    /// Whether the window has passed for all of them: nobody can come further.
    pub complete: bool,
}

/// How far touches in the order of time lead: when the first step was taken, and how many steps were
/// reached in order within `window_ms` of it. Of equally long ways the earliest counts. `None` where
/// the first step is missing.
pub(super) fn reached(
    touches: &Touches,
    steps: &[TouchKind],
    window_ms: i64,
) -> Option<(i64, usize)> {
    // Per step: the latest first touch from which it was reached.
    let mut from: Vec<Option<i64>> = steps.iter().map(|_| None).collect();
    let mut best: Option<(i64, usize)> = None;
    for (ms, kind) in touches.keys() {
        let Some(step) = steps.iter().position(|step| step == kind) else {
            continue;
        };
        let first = match step.checked_sub(1) {
            None => Some(*ms),
            Some(before) => from[before].filter(|first| ms.saturating_sub(*first) <= window_ms),
        };
        let Some(first) = first else { continue };
        from[step] = Some(first);
        if best.is_none_or(|(_, steps)| steps < step + 1) {
            best = Some((first, step + 1));
        }
    }
    best
}

pub(super) fn read(live: &Live, watermark: Option<WallMs>) -> Funnel {
    let cut = live.viewers.cut(live.names().viewer_cut());
    let mut minutes: BTreeMap<u32, FunnelMinute> = BTreeMap::new();
    let known = live.viewers.seen.range(..cut.unwrap_or(u64::MAX));
    for (_, touches) in known {
        if let Some((ms, steps)) = reached(touches, &WITH_CHAT, WINDOW_MS) {
            let row = minutes.entry(Minute::of(WallMs(ms)).0).or_default();
            row.with_chat[..steps].iter_mut().for_each(|n| *n += 1);
        }
        if let Some((ms, steps)) = reached(touches, &WITHOUT_CHAT, WINDOW_MS) {
            let row = minutes.entry(Minute::of(WallMs(ms)).0).or_default();
            row.without_chat[..steps].iter_mut().for_each(|n| *n += 1);
        }
    }
    let mut with_chat = [0; 5];
    let mut without_chat = [0; 4];
    for row in minutes.values() {
        add(&mut with_chat, &row.with_chat);
        add(&mut without_chat, &row.without_chat);
    }
    let row = |(minute, row): (u32, FunnelMinute)| {
        let ends = Minute(minute.saturating_add(1))
            .start()
            .0
            .saturating_add(WINDOW_MS);
        FunnelMinute {
            minute,
            with_chat: row.with_chat.map(|n| scaled(n, cut)),
            without_chat: row.without_chat.map(|n| scaled(n, cut)),
            complete: watermark.is_some_and(|now| now.0 >= ends),
        }
    };
    let not_linked = |all: i128, linked: i128| (all - linked).max(0);
    Funnel {
        with_chat: with_chat.map(|n| estimate(n, cut)),
        without_chat: without_chat.map(|n| estimate(n, cut)),
        minutes: minutes.into_iter().map(row).collect(),
        not_linked_started: not_linked(live.checkout.started, live.viewers.linked_started),
        not_linked_paid: not_linked(live.orders.paid, live.viewers.linked_paid),
        estimated: cut.is_some(),
    }
}

fn add<const N: usize>(sums: &mut [u64; N], more: &[u64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

/// What `n` viewers below `cut` stand for.
fn scaled(n: u64, cut: Option<u64>) -> u64 {
    let Some(cut) = cut else { return n };
    let all = div_half_even(i128::from(n) << 64, i128::from(cut).max(1));
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// Hashes are spread evenly, so `n` is a draw of a binomial share of all: 1.96 standard deviations.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an error bar needs no more than a few digits"
)]
fn estimate(n: u64, cut: Option<u64>) -> Estimate {
    let plus_minus = cut.map_or(0, |cut| {
        let share = cut.max(1) as f64 / 18_446_744_073_709_551_616.0;
        libm::ceil(1.96 * libm::sqrt(n as f64 * (1.0 - share)) / share) as u64
    });
    Estimate {
        n: scaled(n, cut),
        plus_minus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `session \t ms \t type`, as published: 20 sessions of a shop.
    const OTTO: &str = include_str!("../../../../fixtures/public/otto/sessions.tsv");

    fn touches(list: &[(i64, TouchKind)]) -> Touches {
        list.iter().map(|touch| (*touch, 1)).collect()
    }

    #[test]
    fn the_longest_way_within_the_window_counts_from_its_first_step() {
        use TouchKind::{Cart, Chat, Paid, Started, Viewed};
        let way = |list: &[(i64, TouchKind)]| reached(&touches(list), &WITH_CHAT, 100);
        assert_eq!(way(&[(1, Viewed), (2, Paid)]), None);
        assert_eq!(way(&[(1, Chat), (2, Cart)]), Some((1, 1)));
        assert_eq!(way(&[(5, Viewed), (5, Chat), (6, Cart)]), Some((5, 3)));
        assert_eq!(way(&[(1, Chat), (102, Viewed)]), Some((1, 1)));
        let late = [(1, Chat), (50, Chat), (120, Viewed), (149, Cart)];
        assert_eq!(way(&late), Some((50, 3)));
        let whole = [(1, Chat), (2, Viewed), (3, Cart), (4, Started), (5, Paid)];
        assert_eq!(way(&whole), Some((1, 5)));
    }

    #[test]
    fn real_sessions_reach_the_steps_that_were_counted_by_hand() {
        let steps = [TouchKind::Viewed, TouchKind::Cart, TouchKind::Paid];
        let mut sessions: BTreeMap<&str, Touches> = BTreeMap::new();
        for line in OTTO.lines() {
            let mut parts = line.split('\t');
            let session = parts.next().unwrap();
            let ms = parts.next().unwrap().parse().unwrap();
            let kind = match parts.next().unwrap() {
                "clicks" => TouchKind::Viewed,
                "carts" => TouchKind::Cart,
                "orders" => TouchKind::Paid,
                other => panic!("{other}"),
            };
            sessions.entry(session).or_default().insert((ms, kind), 1);
        }
        let seen = steps.map(|step| {
            let with = |touches: &&Touches| touches.keys().any(|(_, kind)| *kind == step);
            sessions.values().filter(with).count()
        });
        let in_order = [1, 2, 3].map(|least| {
            let levels = sessions.values().map(|of| reached(of, &steps, i64::MAX));
            levels
                .filter(|way| way.is_some_and(|way| way.1 >= least))
                .count()
        });
        assert_eq!((seen, in_order), ([20, 7, 3], [20, 7, 2]));
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_reaches_the_same(
            list in proptest::collection::vec((0i64..2_000_000, 0usize..5), 0..30),
            seed in any::<u64>(),
        ) {
            let of = |(ms, kind): &(i64, usize)| (*ms, TouchKind::ALL[*kind]);
            let mut shuffled = list.clone();
            shuffled.sort_by_key(|(ms, kind)| {
                seed.rotate_left(11).wrapping_mul(ms.unsigned_abs() * 8 + *kind as u64 + 1)
            });
            let a = touches(&list.iter().map(of).collect::<Vec<_>>());
            let b = touches(&shuffled.iter().map(of).collect::<Vec<_>>());
            prop_assert_eq!(reached(&a, &WITH_CHAT, WINDOW_MS), reached(&b, &WITH_CHAT, WINDOW_MS));
            // By exhaustion: from each first step, the greedy walk.
            let best = a.keys().filter(|(_, kind)| *kind == TouchKind::Chat).map(|(first, _)| {
                let mut next = 1;
                for (ms, kind) in a.range((*first, TouchKind::Chat)..).map(|(key, _)| key) {
                    if next < 5 && *kind == WITH_CHAT[next] && ms - first <= WINDOW_MS {
                        next += 1;
                    }
                }
                next
            });
            prop_assert_eq!(reached(&a, &WITH_CHAT, WINDOW_MS).map(|way| way.1), best.max());
        }
    }

    #[test]
    fn a_sample_is_scaled_and_says_how_far_it_may_be_off() {
        let half = Some(1 << 63);
        assert_eq!(scaled(7, None), 7);
        assert_eq!(scaled(7, half), 14);
        assert_eq!(estimate(7, None).plus_minus, 0);
        assert_eq!(
            estimate(100, half),
            Estimate {
                n: 200,
                plus_minus: 28
            }
        );
    }
}
