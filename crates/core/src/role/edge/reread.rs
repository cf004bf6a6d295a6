//! Folding an epoch again after an anchor moved its minutes: in pieces, read from the journal.
//!
//! ```text
//! anchor at s ─► ask 1… ─► refold up to s ─► adopt ─► fold s+1… up to the head ─► live again
//!                           what becomes durable meanwhile waits in the journal
//! ```
//!
//! Until then the fold stays as it was before the anchor, cells and head: a region never hears of a
//! cut that the minutes do not match. Nothing of the epoch is held in memory but its cells.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::Reread;
use crate::fold::{EpochFold, Refold, Step};
use crate::id::{Epoch, Seq};
use crate::lane::cells_up::Folds;
use crate::record::Record;
use crate::time::MonoMs;

/// A journal that could not be read is asked again after this, ms.
const AGAIN_MS: u64 = 1_000;

/// One epoch on its way.
#[derive(Debug)]
struct Reading {
    /// `None` once it was adopted: what follows goes to the fold itself.
    refold: Option<Refold>,
    /// The next record needed.
    next: Seq,
    /// Head of the journal as told meanwhile.
    durable: Seq,
    asked: bool,
    not_before: MonoMs,
}

/// All epochs on their way.
#[derive(Debug, Default)]
pub(super) struct Rereads(BTreeMap<Epoch, Reading>);

impl Rereads {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fold at `seq` asks for its records again.
    pub(super) fn begin(&mut self, epoch: Epoch, fold: &EpochFold, seq: Seq, anchored: &Record) {
        let reading = Reading {
            refold: Some(fold.again(seq, anchored)),
            next: Seq(1),
            durable: seq,
            asked: false,
            not_before: MonoMs(0),
        };
        self.0.insert(epoch, reading);
    }

    /// Whether a record must wait in the journal until its epoch was folded again.
    pub(super) fn holds_back(&mut self, epoch: Epoch, seq: Seq) -> bool {
        let reading = self.0.get_mut(&epoch);
        reading.is_some_and(|reading| {
            reading.durable = reading.durable.max(seq);
            true
        })
    }

    /// Whether the epoch is on its way.
    pub(super) fn is_reading(&self, epoch: Epoch) -> bool {
        self.0.contains_key(&epoch)
    }

    /// The epoch counts no more: nothing of it is read.
    pub(super) fn forget(&mut self, epoch: Epoch) {
        self.0.remove(&epoch);
    }

    /// The head of an epoch, whose fold stands at `folded`.
    pub(super) fn head(&self, epoch: Epoch, folded: Seq) -> Seq {
        let reading = self.0.get(&epoch);
        reading.map_or(folded, |reading| reading.durable.max(folded))
    }

    pub(super) fn ask(&mut self, now: MonoMs) -> Option<Reread> {
        let due = |reading: &Reading| !reading.asked && reading.not_before <= now;
        let (epoch, reading) = self.0.iter_mut().find(|(_, reading)| due(reading))?;
        reading.asked = true;
        Some(Reread {
            epoch: *epoch,
            from: reading.next,
        })
    }

    pub(super) fn deadline(&self) -> Option<MonoMs> {
        let waiting = self.0.values().filter(|reading| !reading.asked);
        waiting.map(|reading| reading.not_before).min()
    }

    /// A piece was read. Answers whether the epoch is whole again.
    pub(super) fn read(
        &mut self,
        folds: &mut Folds,
        ask: Reread,
        records: &[(Seq, Arc<Record>)],
        next: Seq,
        now: MonoMs,
    ) -> bool {
        let Some((reading, fold)) = self.0.get_mut(&ask.epoch).zip(folds.get_mut(&ask.epoch))
        else {
            return false;
        };
        reading.asked = false;
        if ask.from != reading.next || next <= ask.from {
            reading.not_before = now.after(AGAIN_MS);
            return false;
        }
        for (seq, record) in records {
            if !reading.take(fold, *seq, record) {
                return false;
            }
        }
        reading.next = next;
        // The anchor itself may be among what is lost.
        reading.adopt_below(fold, next);
        let done = reading.refold.is_none() && next > reading.durable;
        if done {
            self.0.remove(&ask.epoch);
        }
        done
    }
}

impl Reading {
    /// False when the record is one more anchor that moves minutes: all begins again.
    fn take(&mut self, fold: &mut EpochFold, seq: Seq, record: &Record) -> bool {
        self.adopt_below(fold, seq);
        if let Some(refold) = &mut self.refold {
            refold.apply(seq, record);
            return true;
        }
        if fold.apply(seq, record) != Step::Rebucket {
            return true;
        }
        self.refold = Some(fold.again(seq, record));
        self.next = Seq(1);
        false
    }

    fn adopt_below(&mut self, fold: &mut EpochFold, seq: Seq) {
        if let Some(refold) = self.refold.take_if(|refold| refold.to() < seq) {
            fold.adopt(refold);
        }
    }
}
