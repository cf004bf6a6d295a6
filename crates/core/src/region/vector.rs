//! The version vector of a popup: how far each life of each rig is held. A reader that comes back,
//! here or at another region, is told only what lies above the vector it was shown last.
//!
//! A life has two marks. Up to its `cut` everything was received; its `top` is the newest cell that
//! is shown, which lies beyond the cut while a set of cells is on its way. What a reader may have
//! seen ends at the top, what it surely has ends at the cut, so a memory stands for another only
//! when its own cut reaches the other's top.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Region;
use super::holding::Holding;

/// A rig in a vector: the first 8 bytes of the BLAKE3 of its name.
pub type RigHash = u64;

/// How far one life is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reach {
    /// Everything up to here was received.
    pub cut: u64,
    /// The newest cell held, never below the cut.
    pub top: u64,
}

/// How far a memory holds one popup, by (rig, epoch).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Vector {
    /// First 4 bytes of the memory's id: one memory holds later what it held before.
    pub memory: [u8; 4],
    /// Lives with anything in them.
    pub lives: BTreeMap<(RigHash, u32), Reach>,
}

/// The rig's name as vectors have it.
#[must_use]
pub fn rig_hash(rig: &str) -> RigHash {
    let hash = blake3::hash(rig.as_bytes());
    let (first, _) = hash.as_bytes().split_at(8);
    u64::from_be_bytes(first.try_into().expect("eight bytes were split off"))
}

impl Vector {
    /// Rigs of which `seen` may show more than is held here, ascending; empty when this memory can
    /// go on from `seen` without a number going backwards.
    #[must_use]
    pub fn lacks(&self, seen: &Self) -> Vec<RigHash> {
        let same = self.memory == seen.memory;
        let lacking = seen.lives.iter().filter(|(life, was)| {
            let held = self.lives.get(*life).copied().unwrap_or_default();
            let holds = held.cut >= was.top;
            let held_on = same && held.cut >= was.cut && held.top >= was.top;
            !holds && !held_on
        });
        let mut rigs: Vec<_> = lacking.map(|((rig, _), _)| *rig).collect();
        rigs.dedup();
        rigs
    }
}

impl Region {
    /// How far a popup is held; empty when it is unknown here.
    #[must_use]
    pub fn vector(&self, popup: &str) -> Vector {
        let id = self.id().0;
        let (first, _) = id.split_at(4);
        let lives = self
            .popups
            .get(popup)
            .into_iter()
            .flat_map(Holding::reaches);
        let lives = lives.filter(|(.., reach)| reach.top > 0);
        Vector {
            memory: first.try_into().expect("four bytes were split off"),
            lives: lives
                .map(|(rig, epoch, reach)| ((rig_hash(rig), epoch), reach))
                .collect(),
        }
    }

    /// Minutes with a cell that a reader of `seen` may not have been shown, ascending.
    #[must_use]
    pub fn minutes_above(&self, popup: &str, seen: &Vector) -> Vec<u32> {
        let editions = self
            .popups
            .get(popup)
            .into_iter()
            .flat_map(Holding::editions);
        let mut rig_before = ("", 0);
        let fresh = editions.filter(|(rig, epoch, _, version)| {
            if rig_before.0 != *rig {
                rig_before = (*rig, rig_hash(rig));
            }
            let was = seen.lives.get(&(rig_before.1, *epoch));
            was.is_none_or(|was| *version > was.cut)
        });
        let mut minutes: Vec<_> = fresh.map(|(_, _, minute, _)| minute).collect();
        minutes.sort_unstable();
        minutes.dedup();
        minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::id::RegionId;
    use crate::lane::{CellBatch, Cut, PROTOCOL};
    use crate::time::{MonoMs, Now, WallMs};
    use alloc::string::String;
    use alloc::vec;

    const NOW: Now = Now {
        wall: WallMs(1_700_000_000_000),
        mono: MonoMs(1),
    };
    const MINUTE: u32 = 28_333_333;

    fn region(id: u8) -> Region {
        Region::new(RegionId([id; 16]))
    }

    /// Cells as (minute, version) and where the cut ends.
    fn batch(cells: &[(u32, u64)], (from_seq, to_seq): (u64, u64)) -> CellBatch {
        let epoch_id = vec![7; 16];
        let cell = |(minute, version): &(u32, u64)| {
            let cell = Cell {
                popup: String::from("stall"),
                rig: String::from("till-1"),
                epoch: 1,
                epoch_id: epoch_id.clone(),
                minute: MINUTE + minute,
                version: *version,
                ..Cell::default()
            };
            cell.encode_canonical()
        };
        CellBatch {
            protocol: PROTOCOL,
            cells: cells.iter().map(cell).collect(),
            cuts: vec![Cut {
                popup: String::from("stall"),
                rig: String::from("till-1"),
                epoch: 1,
                epoch_id: epoch_id.clone(),
                from_seq,
                to_seq,
                clear_ms: 1,
            }],
            ..CellBatch::default()
        }
    }

    #[test]
    fn a_memory_that_holds_all_goes_on_and_says_which_minutes_are_new() {
        let mut here = region(1);
        here.accept(&batch(&[(0, 3), (1, 5)], (0, 5)), NOW);
        let seen = here.vector("stall");
        assert!(here.minutes_above("stall", &seen).is_empty());
        here.accept(&batch(&[(1, 6), (2, 8)], (5, 8)), NOW);
        assert!(here.vector("stall").lacks(&seen).is_empty());
        assert_eq!(here.minutes_above("stall", &seen), [MINUTE + 1, MINUTE + 2]);

        let mut other = region(2);
        assert_eq!(other.vector("stall").lacks(&seen), [rig_hash("till-1")]);
        other.accept(&batch(&[(0, 3), (1, 6), (2, 8)], (0, 8)), NOW);
        assert!(other.vector("stall").lacks(&seen).is_empty());
    }

    #[test]
    fn what_was_shown_beyond_the_cut_must_be_held_too() {
        let mut here = region(1);
        // The newest minute of a set came, the rest of it is on its way.
        here.accept(&batch(&[(0, 3), (9, 40)], (0, 0)), NOW);
        let seen = here.vector("stall");
        assert!(
            here.vector("stall").lacks(&seen).is_empty(),
            "the same memory"
        );
        let mut other = region(2);
        other.accept(&batch(&[(0, 3)], (0, 3)), NOW);
        assert!(!other.vector("stall").lacks(&seen).is_empty());
        other.accept(&batch(&[(4, 20), (9, 40)], (3, 40)), NOW);
        assert!(other.vector("stall").lacks(&seen).is_empty());
        let above = other.minutes_above("stall", &seen);
        assert_eq!(above, [MINUTE, MINUTE + 4, MINUTE + 9]);
    }

    #[test]
    fn one_memory_under_an_old_name_stands_for_nothing_it_lost() {
        let mut here = region(1);
        here.accept(&batch(&[(0, 3)], (0, 3)), NOW);
        let seen = here.vector("stall");
        let mut again = region(1);
        assert!(!again.vector("stall").lacks(&seen).is_empty());
        again.accept(&batch(&[(0, 3)], (0, 0)), NOW);
        assert!(!again.vector("stall").lacks(&seen).is_empty());
        again.accept(&batch(&[], (0, 3)), NOW);
        assert!(again.vector("stall").lacks(&seen).is_empty());
    }
}
