//! Epochs that are over for the records lane: left after a fork, trimmed, or held further by the
//! ledger than they go here.

use super::{Phase, RecordsUp};
use crate::id::{Epoch, Seq};

impl RecordsUp {
    /// The events of this epoch went on under another one: nothing of it is sent any more.
    pub fn void(&mut self, epoch: Epoch) {
        let Some(upstream) = self.epochs.get_mut(&epoch) else {
            return;
        };
        upstream.void = true;
        self.again.retain(|again| again.epoch != epoch);
        self.suspect = self.suspect.filter(|suspect| suspect.epoch != epoch);
        match self.phase {
            // What is unsent is asked for by the hello anyway, or a late answer ends the exchange.
            Phase::Greet | Phase::Greeting | Phase::Sending { .. } => {}
            Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)
            | Phase::Forking { .. } => self.count(),
        }
    }

    /// The records of an epoch were removed, since the ledger holds all of them.
    pub fn trimmed(&mut self, epoch: Epoch) {
        self.epochs.remove(&epoch);
        self.reconciled.remove(&epoch);
        self.beyond.remove(&epoch);
        self.again.retain(|again| again.epoch != epoch);
        self.suspect = self.suspect.filter(|suspect| suspect.epoch != epoch);
        match &self.phase {
            // What the ledger wanted again and is here no more.
            Phase::Loading(want) | Phase::Ready(want, _) if want.epoch == epoch => {
                self.phase = Phase::Idle;
            }
            // An answer about it moves nothing; nothing of it is counted.
            Phase::Greet
            | Phase::Greeting
            | Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)
            | Phase::Sending { .. }
            | Phase::Forking { .. } => {}
        }
    }

    /// The ledger holds this epoch further than it goes here, each such word once.
    pub fn take_claim(&mut self) -> Option<(Epoch, Seq)> {
        self.claims.pop()
    }

    /// Up to where the books are reconciled with the records of an epoch; `None` until they said.
    #[must_use]
    pub fn reconciled(&self, epoch: Epoch) -> Option<Seq> {
        self.reconciled.get(&epoch).copied()
    }
}
