//! Letting go of epochs that the ledger holds, and naming what was cut from the end of one.

use popwatch_core::code::Code;
use popwatch_core::id::{Epoch, Seq};
use popwatch_core::shed::LEVEL_RESERVE;
use popwatch_store::savepoint;

use super::{JournalThread, MS, News, Parting};

/// Between two looks for epochs that may go, ns; on a low disk sooner, and soonest after the ledger
/// took something: what it has then is room for the next sale.
const TRIM_EVERY_NS: u64 = 60_000 * MS;
const TRIM_SOON_NS: u64 = 5_000 * MS;
const TRIM_ACKED_NS: u64 = 250 * MS;

impl JournalThread {
    /// When to look next for epochs that may go.
    pub(super) fn trim_due_ns(&self) -> u64 {
        let every = match (self.level, self.acked) {
            (0, _) => TRIM_EVERY_NS,
            (_, false) => TRIM_SOON_NS,
            (_, true) => TRIM_ACKED_NS,
        };
        self.trimmed_ns.saturating_add(every)
    }

    /// Asks the driver what must be kept of the epochs that may go.
    pub(super) fn see_what_may_go(&mut self, now_ns: u64) {
        self.trimmed_ns = now_ns;
        self.acked = false;
        match self.journal.may_go(self.ambient.stamp()) {
            Ok((epochs, commit)) => {
                self.tell(commit.records);
                if !epochs.is_empty() {
                    self.send(News::MayGo(epochs));
                }
            }
            Err(fault) => {
                tracing::error!(code = %Code::NotDurable, %fault, "an epoch could not be ended early");
                self.storing(false);
            }
        }
    }

    /// What damage cut from the end of an epoch becomes a gap, in the journal at once.
    pub(super) fn peer_knows(&mut self, epoch: Epoch, seq: Seq) {
        if !self.journal.peer_knows(epoch, seq) {
            return;
        }
        let code = Code::RecordDamaged;
        tracing::error!(%code, epoch = epoch.0, seq = seq.0, "a peer holds records that were cut here as torn");
        self.send(News::Ended(epoch, seq));
        self.seal();
    }

    pub(super) fn let_go(&mut self, epochs: Vec<Parting>) {
        let mut goes = Vec::with_capacity(epochs.len());
        for (epoch, cells) in epochs {
            if let Some(cells) = cells {
                let of = (&self.journal.rig().clone(), self.journal.journal_id());
                let kept = savepoint::keep_cells(self.journal.fs(), of, &cells);
                // Room for sales goes before what a region needs only if it forgets.
                if let Err(fault) = kept {
                    tracing::warn!(%fault, epoch = epoch.0, "the cells of an epoch could not be kept");
                    if self.level < LEVEL_RESERVE {
                        break;
                    }
                }
            }
            goes.push(epoch);
        }
        if goes.is_empty() {
            return;
        }
        match self.journal.trim_only(&goes, self.ambient.stamp()) {
            Ok(commit) => {
                tracing::info!(
                    epochs = goes.len(),
                    "records that the ledger holds were removed"
                );
                self.tell(commit.records);
                self.worked = true;
            }
            Err(fault) => {
                tracing::error!(code = %Code::NotDurable, %fault, "records could not be removed");
                self.storing(false);
            }
        }
    }
}
