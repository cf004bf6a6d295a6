//! How old the oldest record is that the ledger does not hold yet.
//!
//! What always holds: memory does not grow with the backlog. When the marks are full every second
//! one goes and fewer are set from then on, so that the answer is late by at most two strides, and
//! it is nothing, never a guess, where no mark is left.

use alloc::collections::{BTreeMap, VecDeque};

use crate::event::Cursor;
use crate::id::{Epoch, Seq};
use crate::limits::UNSENT_MARKS_MAX;

/// Where a record lies and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    epoch: Epoch,
    seq: Seq,
    wall_ms: i64,
}

/// The marks of one cursor: one record in `stride`.
#[derive(Debug, Clone, Default)]
struct Marks {
    marks: VecDeque<Mark>,
    stride: u64,
    /// Records since the last mark.
    passed: u64,
}

/// Marks along what is not acknowledged, per cursor.
#[derive(Debug, Clone, Default)]
pub(super) struct Oldest {
    cursors: BTreeMap<Cursor, Marks>,
}

impl Oldest {
    /// A record became durable.
    pub(super) fn durable(&mut self, cursor: Cursor, epoch: Epoch, seq: Seq, wall_ms: i64) {
        let own = self.cursors.entry(cursor).or_default();
        own.passed += 1;
        if own.marks.is_empty() {
            own.stride = 1;
        } else if own.passed < own.stride {
            return;
        }
        own.passed = 0;
        if own.marks.len() >= UNSENT_MARKS_MAX {
            let mut keep = false;
            own.marks.retain(|_| {
                keep = !keep;
                keep
            });
            own.stride *= 2;
        }
        own.marks.push_back(Mark {
            epoch,
            seq,
            wall_ms,
        });
    }

    /// Lets go of what the ledger holds; `held` tells the position of an epoch and cursor.
    pub(super) fn acked(&mut self, held: impl Fn(Epoch, Cursor) -> Seq) {
        for (cursor, own) in &mut self.cursors {
            while let Some(mark) = own.marks.front()
                && mark.seq <= held(mark.epoch, *cursor)
            {
                own.marks.pop_front();
            }
        }
    }

    /// When the oldest was made, ms since 1970 by the rig's clock.
    pub(super) fn wall_ms(&self) -> Option<i64> {
        let fronts = self.cursors.values().filter_map(|own| own.marks.front());
        fronts.map(|mark| mark.wall_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(oldest: &mut Oldest, cursor: Cursor, seq: u64) {
        let wall_ms = i64::try_from(seq).unwrap() * 10;
        oldest.durable(cursor, Epoch(1), Seq(seq), wall_ms);
    }

    #[test]
    fn the_oldest_of_both_cursors_is_told_until_it_is_acknowledged() {
        let mut oldest = Oldest::default();
        assert_eq!(oldest.wall_ms(), None);
        mark(&mut oldest, Cursor::Bulk, 1);
        mark(&mut oldest, Cursor::Trunk, 2);
        mark(&mut oldest, Cursor::Trunk, 3);
        assert_eq!(oldest.wall_ms(), Some(10));
        let held = |trunk, bulk| {
            move |_, cursor| match cursor {
                Cursor::Trunk => Seq(trunk),
                Cursor::Bulk => Seq(bulk),
            }
        };
        oldest.acked(held(2, 0));
        assert_eq!(oldest.wall_ms(), Some(10));
        oldest.acked(held(2, 2));
        assert_eq!(oldest.wall_ms(), Some(30));
        oldest.acked(held(3, 3));
        assert_eq!(oldest.wall_ms(), None);
    }

    #[test]
    fn marks_are_bounded_and_stay_near_the_truth() {
        let mut oldest = Oldest::default();
        for seq in 1..=100_000 {
            mark(&mut oldest, Cursor::Trunk, seq);
        }
        assert!(oldest.cursors[&Cursor::Trunk].marks.len() <= UNSENT_MARKS_MAX);
        assert_eq!(oldest.wall_ms(), Some(10));
        oldest.acked(|_, _| Seq(50_000));
        let told = oldest.wall_ms().unwrap();
        assert!((500_010..520_000).contains(&told), "{told}");
    }
}
