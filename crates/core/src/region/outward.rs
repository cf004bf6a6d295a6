//! What a region passes on, to a region above it or to a mirror: lives with their cells and cuts,
//! beacons, policies, voids, each as it came.
#![deny(clippy::float_arithmetic)]

use alloc::string::String;
use alloc::vec::Vec;

use super::holding::Holding;
use super::{Life, Region};
use crate::cell::Digest;
use crate::event::system::PopupPolicy;
use crate::lane::{Beacon, Cut, VoidEpoch};

/// How far one life is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Which life.
    pub life: Life,
    /// Everything up to here was received.
    pub to_seq: u64,
    /// Corrected time up to which its rig had sent all, ms since 1970; 0 when it never said.
    pub clear_ms: i64,
}

impl Life {
    /// The cut of this life over a range.
    #[must_use]
    pub fn cut(&self, (from_seq, to_seq): (u64, u64), clear_ms: i64) -> Cut {
        Cut {
            popup: self.popup.clone(),
            rig: self.rig.clone(),
            epoch: self.epoch,
            epoch_id: self.epoch_id.0.to_vec(),
            from_seq,
            to_seq,
            clear_ms,
        }
    }
}

impl Region {
    /// All lives held, forks too, ascending.
    #[must_use]
    pub fn stands(&self) -> Vec<Stand> {
        let all = |(popup, holding): (&String, &Holding)| holding.stands(popup);
        self.popups.iter().flat_map(all).collect()
    }

    /// Minutes of a life with a cell above a seq: (minute, version, digest), ascending.
    #[must_use]
    pub fn cells_above(&self, life: &Life, seq: u64) -> Vec<(u32, u64, Digest)> {
        let holding = self.popups.get(&life.popup);
        holding.map_or_else(Vec::new, |holding| holding.cells_above(life, seq))
    }

    /// The bytes of one cell.
    #[must_use]
    pub fn cell(&self, life: &Life, minute: u32) -> Option<&[u8]> {
        self.popups.get(&life.popup)?.cell(life, minute)
    }

    /// The newest beacons, of rigs as a whole and by popup.
    pub fn beacons(&self) -> impl Iterator<Item = &Beacon> {
        let wide = self.contacts.values();
        let wide = wide.filter_map(|contact| contact.beacon.as_ref());
        wide.chain(self.popups.values().flat_map(Holding::beacons))
    }

    /// The policies of its popups.
    pub fn policies(&self) -> impl Iterator<Item = &PopupPolicy> {
        let held = self.popups.values();
        let held = held.filter(|holding| holding.settled().is_none());
        held.filter_map(Holding::policy)
    }

    /// Lives that rigs called void.
    #[must_use]
    pub fn voids(&self) -> Vec<VoidEpoch> {
        let of_rig = |(rig, contact): (&String, &super::Contact)| {
            let rig = rig.clone();
            let voids = contact.voids.iter().map(move |id| VoidEpoch {
                rig: rig.clone(),
                epoch_id: id.0.to_vec(),
            });
            voids.collect::<Vec<_>>()
        };
        self.contacts.iter().flat_map(of_rig).collect()
    }
}
