//! A rig lets go of what the ledger holds, as the node's journal thread does.

use std::io;

use popwatch_core::fold::EpochFold;
use popwatch_core::id::{Epoch, JournalId, Seq};
use popwatch_core::role::edge::{Edge, Input, Remains};
use popwatch_core::time::Now;
use popwatch_store::journal::{Committed, OpenError};
use popwatch_store::savepoint;

use super::{EpochRead, Rig, SEAL_EVERY_MS};

impl Rig {
    /// The cells of epochs whose records were trimmed.
    pub(super) fn restore_kept(
        &self,
        read: &[EpochRead],
        journal_id: JournalId,
        edge: &mut Edge,
        now: Now,
    ) -> Result<(), OpenError> {
        for (epoch, kept) in savepoint::kept_cells(&self.disk, (&self.id, journal_id)) {
            if read.iter().any(|of| of.info.epoch == epoch) {
                drop(savepoint::drop_cells(&self.disk, epoch));
                continue;
            }
            let fold = kept.and_then(|kept| EpochFold::restore(self.id.clone(), &kept).ok());
            let fold = fold.ok_or_else(|| OpenError::Unavailable {
                what: "read back",
                source: io::Error::other("kept cells"),
            })?;
            edge.handle(Input::Kept(epoch, Box::new(fold)), now);
        }
        Ok(())
    }

    /// Looks at the disk and which epochs may go; also what ending one early committed. `None`: the
    /// disk did not take that.
    pub(crate) fn may_go(&mut self, world_ms: u64) -> Option<(Vec<Epoch>, Vec<Committed>)> {
        let stamp = self.stamp(world_ms);
        let live = self.live.as_mut()?;
        live.look_at_ms = world_ms + SEAL_EVERY_MS;
        live.journal.look_at_disk(stamp);
        let done = live.journal.may_go(stamp);
        self.lags = done.is_err();
        done.ok().map(|(epochs, commit)| (epochs, commit.records))
    }

    /// A peer holds an epoch further than it goes here: what lies between is lost, by name.
    pub(crate) fn peer_knows(
        &mut self,
        (epoch, last): (Epoch, Seq),
        world_ms: u64,
        now: Now,
    ) -> Vec<Committed> {
        let Some(live) = self.live.as_mut() else {
            return Vec::new();
        };
        let ends = live.journal.epochs();
        let end = ends
            .iter()
            .find(|of| of.epoch == epoch)
            .map_or(0, |of| of.last_seq.0);
        if !live.journal.peer_knows(epoch, last) {
            return Vec::new();
        }
        self.lost
            .entry(epoch.0)
            .or_default()
            .push((end + 1, last.0));
        live.edge.handle(Input::Ended { epoch, last }, now);
        live.seal_at_ms = world_ms;
        self.seal_if_due(world_ms)
    }

    /// Keeps the cells of epochs and removes their records. `None`: the disk did not take it.
    pub(crate) fn let_go(&mut self, epochs: &[Epoch], world_ms: u64) -> Option<Vec<Committed>> {
        let (stamp, wall) = (self.stamp(world_ms), self.now(world_ms).wall);
        let live = self.live.as_mut()?;
        let mut goes = Vec::new();
        for epoch in epochs {
            let cells = match live.edge.remains(*epoch, wall) {
                Remains::NotYet => break,
                Remains::Nothing => None,
                Remains::Cells(cells) => Some(cells),
            };
            let of = (&self.id, live.journal.journal_id());
            if cells.is_some_and(|cells| savepoint::keep_cells(&self.disk, of, &cells).is_err()) {
                break;
            }
            goes.push(*epoch);
        }
        let done = live.journal.trim_only(&goes, stamp);
        self.lags = done.is_err();
        done.ok().map(|commit| commit.records)
    }
}
