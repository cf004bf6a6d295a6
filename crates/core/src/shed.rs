//! The declared order in which a full disk costs observation before it costs money (L10).
//!
//! ```text
//! level       free below or used above                refuses
//! 1 low       min(1 GiB, 5 % of the disk) · 80 %      ambient
//! 2 tight     min(256 MiB, 2 %) · 92 %                + journey
//! 3 reserve   no new segment can be made              + stock when little reserve is left
//! 4 none      the reserve is used                     all
//! ```
//!
//! A level rises at its mark and falls only 10 % below it, so that a disk at the mark does not
//! flicker. What lies on disk is counted; nothing is reserved in arithmetic.

use crate::event::Class;
use crate::limits;

/// No new segment can be made; records go to the reserve.
pub const LEVEL_RESERVE: u8 = 3;
/// The reserve is used too.
pub const LEVEL_NONE: u8 = 4;

/// What is known of a disk, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// The file system.
    pub total: u64,
    /// What can still be allocated on it.
    pub free: u64,
    /// What popwatch's own files take.
    pub used: u64,
    /// One more segment.
    pub segment: u64,
}

/// How many bytes popwatch may take of a file system of `total` bytes.
#[must_use]
pub fn budget_bytes(total: u64) -> u64 {
    (total / 4).clamp(limits::DISK_BUDGET_BYTES_MIN, limits::DISK_BUDGET_BYTES_MAX)
}

/// How many reserve segments a file system of `total` bytes gets: 64 MiB, on a small one 5 % of
/// it, at least one.
#[must_use]
pub fn reserve_segments(total: u64, segment: u64) -> usize {
    let fits = (total / 20).checked_div(segment).unwrap_or(0);
    usize::try_from(fits)
        .unwrap_or(usize::MAX)
        .clamp(1, limits::RESERVE_SEGMENTS_MAX)
}

impl Disk {
    /// The level this disk is at, given the level it was at. Never [`LEVEL_NONE`]: that nothing is
    /// left shows only when a write is refused.
    #[must_use]
    pub fn level(&self, before: u8) -> u8 {
        let marks = [
            (3, self.segment, None),
            (2, limits::DISK_TIGHT_BYTES.min(self.total / 50), Some(92)),
            (1, limits::DISK_LOW_BYTES.min(self.total / 20), Some(80)),
        ];
        let reached = marks.iter().find(|(level, free, used)| {
            // A level that was reached holds until it is left by 10 %.
            let held = *level <= before;
            let free_mark = free.saturating_add(if held { free / 10 } else { 0 });
            let used_mark = used.map(|percent| {
                let mark = self.budget().saturating_mul(percent) / 100;
                mark - if held { mark / 10 } else { 0 }
            });
            self.free < free_mark || used_mark.is_some_and(|mark| self.used > mark)
        });
        reached.map_or(0, |(level, ..)| *level)
    }

    /// See [`budget_bytes`].
    #[must_use]
    pub fn budget(&self) -> u64 {
        budget_bytes(self.total)
    }
}

/// Whether a level refuses new records of a class while `reserve` bytes of reserve are left.
#[must_use]
pub fn refuses(level: u8, reserve: u64, class: Class) -> bool {
    match class {
        Class::Ambient => level >= 1,
        Class::Journey => level >= 2,
        Class::Stock => {
            level >= LEVEL_NONE
                || (level == LEVEL_RESERVE && reserve <= limits::RESERVE_STOCK_BYTES)
        }
        Class::System | Class::Money => level >= LEVEL_NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::sells_on;
    use std::vec::Vec;

    const GIB: u64 = 1 << 30;

    fn disk(total: u64, free: u64, used: u64) -> Disk {
        Disk {
            total,
            free,
            used,
            segment: 8 << 20,
        }
    }

    #[test]
    fn levels_rise_at_the_mark_and_fall_ten_percent_below() {
        let at = |free, before| disk(100 * GIB, free, 0).level(before);
        assert_eq!(at(GIB, 0), 0);
        assert_eq!(at(GIB - 1, 0), 1);
        assert_eq!(at(GIB + GIB / 20, 1), 1);
        assert_eq!(at(GIB + GIB / 10 + 1, 1), 0);
        assert_eq!(at(GIB / 4 - 1, 1), 2);
        assert_eq!(at(GIB / 4 + 1, 2), 2);
        assert_eq!(at(GIB / 3, 2), 1);
        assert_eq!(at((8 << 20) - 1, 0), 3);
        let used = |used, before| disk(100 * GIB, 50 * GIB, used).level(before);
        assert_eq!(used(16 * GIB / 100 * 80, 0), 0);
        assert_eq!(used(16 * GIB / 100 * 81, 0), 1);
        assert_eq!(used(16 * GIB / 100 * 75, 1), 1);
        assert_eq!(used(16 * GIB / 100 * 71, 1), 0);
        assert_eq!(used(16 * GIB / 100 * 93, 1), 2);
        assert_eq!(used(16 * GIB, 0), 2);
    }

    #[test]
    fn a_small_disk_has_small_marks_and_a_small_reserve() {
        const MIB: u64 = 1 << 20;
        assert_eq!(budget_bytes(512 * MIB), 256 * MIB);
        assert_eq!(budget_bytes(8 * GIB), 2 * GIB);
        assert_eq!(budget_bytes(u64::MAX), 16 * GIB);
        assert_eq!(disk(512 * MIB, 30 * MIB, 0).level(0), 0);
        assert_eq!(disk(512 * MIB, 25 * MIB, 0).level(0), 1);
        assert_eq!(disk(512 * MIB, 10 * MIB, 0).level(0), 2);
        assert_eq!(reserve_segments(64 * MIB, 8 * MIB), 1);
        assert_eq!(reserve_segments(512 * MIB, 8 * MIB), 3);
        assert_eq!(reserve_segments(64 * GIB, 8 * MIB), 8);
    }

    #[test]
    fn no_level_refuses_a_class_and_keeps_a_lesser_one() {
        for level in 0..=LEVEL_NONE {
            for reserve in [0, limits::RESERVE_STOCK_BYTES, u64::MAX] {
                let (refused, taken): (Vec<_>, Vec<_>) = Class::ALL
                    .into_iter()
                    .partition(|class| refuses(level, reserve, *class));
                assert!(sells_on(&refused, &taken).is_ok(), "{level} {reserve}");
                assert_eq!(taken.contains(&Class::Money), level < LEVEL_NONE);
            }
        }
        assert!(!refuses(LEVEL_RESERVE, u64::MAX, Class::Stock));
    }
}
