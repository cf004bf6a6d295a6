//! What a region tells of itself to monitoring systems: totals of rigs, counters, bounds.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::Region;
use super::holding::Holding;
use crate::code::Code;
use crate::limits;
use crate::time::Now;
use crate::view::exports::RigTotals;

/// What a region counts about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Cells that became the newest of their key.
    pub cells_taken: u64,
    /// Cells no newer than what was held.
    pub cells_stale: u64,
    /// Cells refused.
    pub cells_refused: u64,
    /// Cells that had a held cell's version and other bytes (PW3005).
    pub cells_forked: u64,
    /// Cuts not followed: out of rule, or from beyond what was held.
    pub cuts_ignored: u64,
    /// Beacons out of rule.
    pub beacons_ignored: u64,
    /// Cells of void lives, not kept.
    pub cells_void: u64,
    /// Cells of popups that are over, not kept.
    pub cells_past: u64,
    /// Popups let go before their time, for room.
    pub popups_let_go: u64,
    /// Views that differed from their recomputation and were replaced (PW3006).
    pub views_repaired: u64,
}

impl Counters {
    /// What should never happen, by its code: nothing is lost by it, and people must see it.
    #[must_use]
    pub fn faults(&self) -> [(Code, u64); 2] {
        [
            (Code::CellForked, self.cells_forked),
            (Code::ViewRepaired, self.views_repaired),
        ]
    }
}

/// What monitoring systems are told of one popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupExports {
    /// The popup.
    pub popup: String,
    /// Its rigs whose cells are complete, ascending.
    pub rigs: Vec<(String, RigTotals)>,
    /// SKUs that may be labels.
    pub skus: BTreeSet<String>,
}

impl Region {
    /// Totals for monitoring systems, by popup. A rig is withheld until the cells of its newest
    /// epoch are complete: a total that dips and recovers would count its sales twice.
    #[must_use]
    pub fn exports(&self, now: Now) -> Vec<PopupExports> {
        let export = |(id, holding): (&String, &Holding)| {
            let complete = self.standings(holding, now).into_iter();
            let complete = complete.filter(|rig| rig.have_seq > 0);
            let totals = complete.filter_map(|rig| {
                let totals = holding.live().exports.get(rig.rig)?;
                Some((String::from(rig.rig), totals.clone()))
            });
            PopupExports {
                popup: id.clone(),
                rigs: totals.collect(),
                skus: holding.live().names().labels().skus.clone(),
            }
        };
        self.popups.iter().map(export).collect()
    }

    /// What it holds beside its bounds: (name, value, bound), the fullest popup speaking for all
    /// (L11).
    #[must_use]
    pub fn gauges(&self) -> Vec<(&'static str, usize, usize)> {
        let mut gauges = Vec::from([
            ("popups", self.popups.len(), limits::REGION_POPUPS_MAX),
            (
                "popups that are over",
                self.past.len(),
                limits::REGION_PAST_MAX,
            ),
            ("rigs", self.contacts.len(), limits::REGION_RIGS_TOTAL_MAX),
            ("bytes of cells", self.bytes, limits::REGION_BYTES_MAX),
        ]);
        let mut fullest: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
        for (name, value, bound) in self.popups.values().flat_map(Holding::gauges) {
            let held = fullest.entry(name).or_insert((value, bound));
            held.0 = held.0.max(value);
        }
        gauges.extend(
            fullest
                .into_iter()
                .map(|(name, (value, bound))| (name, value, bound)),
        );
        gauges
    }
}
