//! What an edge remembers of epochs whose records are gone.
//!
//! ```text
//! may go ─► remains? ─► cells to disk ─► rig.trimmed ─► no longer an upstream of the ledger's lane
//!                                                       its cells stay, for regions that forget,
//!                                                       until its popups are long over
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Edge, Remains};
use crate::event::system::Trimmed;
use crate::fold::EpochFold;
use crate::id::{Epoch, PopupId};
use crate::lane::records_up::Tally;
use crate::limits::JOURNAL_KEEP_MS;
use crate::time::WallMs;

impl Edge {
    /// What must be kept of an epoch when its records go at `wall` by the rig's clock.
    #[must_use]
    pub fn remains(&self, epoch: Epoch, wall: WallMs) -> Remains {
        if self.rereads.is_reading(epoch) {
            return Remains::NotYet;
        }
        match self.folds.get(&epoch) {
            Some(fold) if !self.is_over(fold, wall) => {
                let savepoint = fold.savepoint(Vec::new(), &Tally::default());
                Remains::Cells(Box::new(savepoint))
            }
            Some(_) | None => Remains::Nothing,
        }
    }

    /// Whether no region needs the cells of a closed epoch any more: it made none, or those of popups
    /// that ended so long ago as records are kept. A popup that the current epoch does not name is
    /// among those that ended first.
    #[must_use]
    pub fn is_over(&self, fold: &EpochFold, wall: WallMs) -> bool {
        let current = self.folds.get(&self.epoch).map(EpochFold::popups);
        let over = |popup: &PopupId| {
            let policy = current.and_then(|popups| popups.get(popup));
            policy.is_none_or(|of| of.ends_ms.saturating_add(JOURNAL_KEEP_MS) <= wall.0)
        };
        let mut sold_for = fold.popups().keys().filter(|popup| fold.has_cells(popup));
        sold_for.all(over)
    }

    /// The journal said that epochs are gone.
    pub(super) fn trimmed(&mut self, trimmed: &Trimmed, wall: WallMs) {
        for upto in &trimmed.upto {
            let epoch = Epoch(upto.epoch);
            let same = |fold: &EpochFold| fold.epoch_id().0[..] == upto.epoch_id[..];
            if epoch == self.epoch || !self.folds.get(&epoch).is_some_and(same) {
                continue;
            }
            self.kept.insert(epoch);
            self.rereads.forget(epoch);
            if let Some(records) = &mut self.records {
                records.trimmed(epoch);
            }
        }
        let over = |epoch: &&Epoch| {
            let fold = self.folds.get(epoch);
            fold.is_none_or(|fold| self.is_over(fold, wall))
        };
        let gone: Vec<Epoch> = self.kept.iter().filter(over).copied().collect();
        for epoch in gone {
            self.kept.remove(&epoch);
            if let Some(fold) = self.folds.remove(&epoch) {
                let replaced = fold.skipped().times_replaced;
                self.times_replaced_before = self.times_replaced_before.saturating_add(replaced);
            }
        }
    }
}
