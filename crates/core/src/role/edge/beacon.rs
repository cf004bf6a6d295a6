//! What the edge says of itself with every batch.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Edge;
use crate::lane::{Beacon, MinorIn};
use crate::time::Now;

/// Currencies named in one beacon.
const BEACON_MONEY_ROWS: usize = 6;

impl Edge {
    /// One beacon per popup of the current epoch. Unsent figures are the whole rig's.
    pub(super) fn next_beacons(&mut self, now: Now) -> Vec<Beacon> {
        self.beacons += 1;
        let Some(fold) = self.folds.get(&self.epoch) else {
            return Vec::new();
        };
        let unsent = self.unsent();
        let (trunk, bulk) = self.replicated();
        let mut money: Vec<MinorIn> = unsent
            .money
            .iter()
            .map(|(currency, minor)| MinorIn {
                currency: currency.to_string(),
                minor: *minor,
            })
            .collect();
        money.sort_by_key(|row| core::cmp::Reverse(row.minor.unsigned_abs()));
        money.truncate(BEACON_MONEY_ROWS);
        let states = self.states(now.mono).into_iter().map(ToString::to_string);
        let beacon = Beacon {
            rig: String::from(&self.rig),
            epoch: self.epoch.0,
            epoch_id: fold.epoch_id().0.to_vec(),
            number: self.beacons,
            durable_seq: self.rereads.head(self.epoch, fold.head()).0,
            trunk_seq: trunk.0,
            bulk_seq: bulk.0,
            unsent_records: unsent.records,
            unsent_money: money,
            states: states.collect(),
            clock_u_ms: self
                .clock
                .state(now)
                .u_ms
                .map_or(0, |u_ms| u32::try_from(u_ms).unwrap_or(u32::MAX)),
            wall_ms: now.wall.0,
            battery: self.watch.newest().battery.map(|charge| charge / 1_000),
            disk_minutes: self.watch.newest().disk_minutes,
            losses: self.losses(),
            unsent_sales: unsent.sales,
            gap_records: self.gap_records,
            ..Beacon::default()
        };
        let popups = fold.popups().keys();
        popups
            .map(|popup| Beacon {
                popup: String::from(popup),
                ..beacon.clone()
            })
            .collect()
    }
}
