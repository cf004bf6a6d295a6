//! The sending end of the cells lane: one rig's cells to one region.
//!
//! There is no queue: what to send is always "every cell whose version lies above the region's cut",
//! read from the folds at the moment of sending, newest version only. A set too large for one batch
//! is sent newest minute first; its cuts move only with its last batch, so a region never believes
//! it holds what it does not. A region that answers with another id, or with a cut other than the
//! one we thought, is simply sent from there.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::system::PopupPolicy;
use crate::fold::EpochFold;
use crate::id::{Epoch, EpochId, PopupId, RegionId, RigId, Seq};
use crate::lane::retry::Retry;
use crate::lane::{CellAck, CellBatch, Cut, PROTOCOL, PeerFault};
use crate::limits::{BATCH_BYTES_MAX, BATCH_CELLS_MAX, BEACON_MS};
use crate::time::{Minute, MonoMs, Now};

/// The folds of one rig, by epoch.
pub type Folds = BTreeMap<Epoch, EpochFold>;

/// A set of cells on its way, over one or more batches.
#[derive(Debug, Clone)]
struct SendingSet {
    todo: VecDeque<(Minute, PopupId, Epoch)>,
    cuts: Vec<(PopupId, Epoch, Seq)>,
}

/// The sending end.
#[derive(Debug, Clone)]
pub struct CellsUp {
    rig: RigId,
    region: Option<RegionId>,
    have: BTreeMap<(PopupId, Epoch), Seq>,
    greeted: bool,
    waiting: bool,
    set: Option<SendingSet>,
    changed_at: Option<MonoMs>,
    delay_ms: u64,
    beacon_due: MonoMs,
    retry: Retry,
    refused: u64,
    /// Corrected time up to which the last complete set had sent all, ms since 1970.
    clear_ms: i64,
}

impl CellsUp {
    /// A lane that has not spoken to its region yet. Changes are sent `delay_ms` after the first.
    #[must_use]
    pub fn new(rig: RigId, delay_ms: u64) -> Self {
        let retry = Retry::new(&rig);
        Self {
            rig,
            region: None,
            have: BTreeMap::new(),
            greeted: false,
            waiting: false,
            set: None,
            changed_at: None,
            delay_ms,
            beacon_due: MonoMs(0),
            retry,
            refused: 0,
            clear_ms: 0,
        }
    }

    /// Some fold moved.
    pub fn changed(&mut self, now: MonoMs) {
        self.changed_at.get_or_insert(now);
    }

    /// The next batch, without beacons; `None` when nothing is due or an answer is awaited.
    pub fn poll(&mut self, folds: &Folds, now: Now) -> Option<CellBatch> {
        if self.waiting || !self.retry.is_due(now.mono) {
            return None;
        }
        let set_due = self.set.is_some() || self.set_due_at().is_some_and(|at| at <= now.mono);
        let beacon_due = self.beacon_due <= now.mono;
        if !set_due && !beacon_due {
            return None;
        }
        self.waiting = true;
        self.beacon_due = now.mono.after(BEACON_MS);
        if !self.greeted {
            return Some(self.hello(folds));
        }
        if self.set.is_none() && set_due {
            self.changed_at = None;
            self.set = self.next_set(folds);
        }
        Some(self.next_batch(folds, now))
    }

    /// When [`Self::poll`] will have something to do without further input.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        if self.waiting {
            return None;
        }
        let next = match self.set {
            Some(_) => MonoMs(0),
            None => self
                .set_due_at()
                .map_or(self.beacon_due, |at| at.min(self.beacon_due)),
        };
        Some(next.max(self.retry.due_at()))
    }

    /// The region answered.
    pub fn acked(&mut self, ack: &CellAck, folds: &Folds, now: MonoMs) {
        self.waiting = false;
        self.greeted = true;
        self.retry.worked(now, u64::from(ack.delay_ms));
        self.refused += ack.refused.len() as u64;
        let region = RegionId::from_slice(&ack.region_id);
        if region != self.region {
            self.region = region;
            self.have.clear();
            self.set = None;
        }
        for cut in ack.have.iter().filter(|cut| cut.rig == self.rig.as_str()) {
            let Ok(popup) = PopupId::new(&cut.popup) else {
                continue;
            };
            let epoch = Epoch(cut.epoch);
            let known = folds.get(&epoch).is_some_and(|fold| {
                fold.epoch_id().0[..] == cut.epoch_id[..] && cut.to_seq <= fold.head().0
            });
            self.have.insert(
                (popup, epoch),
                if known { Seq(cut.to_seq) } else { Seq::NONE },
            );
        }
        if self.set.is_none() && self.lags(folds) {
            self.changed_at.get_or_insert(now);
        }
    }

    /// The exchange failed; an unfinished set starts again.
    pub fn failed(&mut self, fault: PeerFault, now: MonoMs) {
        self.waiting = false;
        self.set = None;
        self.changed_at.get_or_insert(now);
        match fault {
            PeerFault::Busy(delay_ms) => self.retry.told_to_wait(now, delay_ms),
            PeerFault::Unreachable
            | PeerFault::TooLarge
            | PeerFault::NotAdmitted
            | PeerFault::Forked(_)
            | PeerFault::Refused => self.retry.failed(now),
        }
    }

    /// Since when the region is out of reach, `None` while it answers.
    #[must_use]
    pub fn down_since(&self) -> Option<MonoMs> {
        self.retry.down_since()
    }

    /// Whether the region holds every cell of `folds` as it is.
    #[must_use]
    pub fn is_level(&self, folds: &Folds) -> bool {
        self.greeted && !self.waiting && self.set.is_none() && !self.lags(folds)
    }

    /// Which memory of the region answered last.
    #[must_use]
    pub fn region(&self) -> Option<RegionId> {
        self.region
    }

    /// Cells the region did not take, ever.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn set_due_at(&self) -> Option<MonoMs> {
        self.changed_at.map(|at| at.after(self.delay_ms))
    }

    fn held(&self, popup: &PopupId, epoch: Epoch) -> Seq {
        self.have
            .get(&(popup.clone(), epoch))
            .copied()
            .unwrap_or(Seq::NONE)
    }

    fn lags(&self, folds: &Folds) -> bool {
        folds.iter().any(|(epoch, fold)| {
            fold.popups()
                .keys()
                .any(|popup| self.held(popup, *epoch) < fold.head())
        })
    }

    /// Asks where the region stands with each epoch we could send.
    fn hello(&self, folds: &Folds) -> CellBatch {
        let cuts = folds.iter().flat_map(|(epoch, fold)| {
            fold.popups()
                .keys()
                .map(|popup| self.cut(popup, *epoch, fold.epoch_id(), (Seq::NONE, Seq::NONE), 0))
        });
        CellBatch {
            cuts: cuts.collect(),
            ..self.envelope(folds)
        }
    }

    fn next_set(&self, folds: &Folds) -> Option<SendingSet> {
        let mut todo = Vec::new();
        let mut cuts = Vec::new();
        for (epoch, fold) in folds {
            for popup in fold.popups().keys() {
                let held = self.held(popup, *epoch);
                if held < fold.head() {
                    cuts.push((popup.clone(), *epoch, fold.head()));
                }
            }
            let oldest = fold
                .popups()
                .keys()
                .map(|popup| self.held(popup, *epoch))
                .min();
            for cell in fold.changed_since(oldest.unwrap_or(Seq::NONE)) {
                let Ok(popup) = PopupId::new(&cell.popup) else {
                    continue;
                };
                if Seq(cell.version) > self.held(&popup, *epoch) {
                    todo.push((Minute(cell.minute), popup, *epoch));
                }
            }
        }
        todo.sort_unstable();
        let todo: VecDeque<_> = todo.into_iter().rev().collect();
        if cuts.is_empty() && todo.is_empty() {
            None
        } else {
            Some(SendingSet { todo, cuts })
        }
    }

    fn next_batch(&mut self, folds: &Folds, now: Now) -> CellBatch {
        let mut batch = self.envelope(folds);
        let Some(mut set) = self.set.take() else {
            self.clear_ms = now.wall.0;
            batch.cuts = self.still_cuts(folds);
            return batch;
        };
        let mut bytes = 0;
        while batch.cells.len() < BATCH_CELLS_MAX && bytes < BATCH_BYTES_MAX / 2 {
            let Some((minute, popup, epoch)) = set.todo.pop_front() else {
                break;
            };
            if let Some(cell) = folds.get(&epoch).and_then(|fold| fold.cell(&popup, minute)) {
                let encoded = cell.encode_canonical();
                bytes += encoded.len();
                batch.cells.push(encoded);
            }
        }
        let complete = set.todo.is_empty();
        if complete {
            self.clear_ms = now.wall.0;
        }
        for (popup, epoch, to) in &set.cuts {
            let Some(fold) = folds.get(epoch) else {
                continue;
            };
            let held = self.held(popup, *epoch);
            let to = if complete { *to } else { held };
            let cut = self.cut(popup, *epoch, fold.epoch_id(), (held, to), self.clear_ms);
            batch.cuts.push(cut);
        }
        if !complete {
            self.set = Some(set);
        }
        batch
    }

    /// Nothing new since the region's cuts: says so, so that its watermark goes on.
    fn still_cuts(&self, folds: &Folds) -> Vec<Cut> {
        let level = |epoch: &Epoch, fold: &EpochFold, popup: &PopupId| {
            let held = self.held(popup, *epoch);
            (held == fold.head())
                .then(|| self.cut(popup, *epoch, fold.epoch_id(), (held, held), self.clear_ms))
        };
        let mut cuts = Vec::new();
        for (epoch, fold) in folds {
            cuts.extend(
                fold.popups()
                    .keys()
                    .filter_map(|popup| level(epoch, fold, popup)),
            );
        }
        cuts
    }

    fn cut(
        &self,
        popup: &PopupId,
        epoch: Epoch,
        epoch_id: EpochId,
        (from, to): (Seq, Seq),
        clear_ms: i64,
    ) -> Cut {
        Cut {
            popup: String::from(popup),
            rig: String::from(&self.rig),
            epoch: epoch.0,
            epoch_id: epoch_id.0.to_vec(),
            from_seq: from.0,
            to_seq: to.0,
            clear_ms,
        }
    }

    fn envelope(&self, folds: &Folds) -> CellBatch {
        let mut seen = BTreeSet::new();
        let mut popups: Vec<PopupPolicy> = Vec::new();
        for fold in folds.values().rev() {
            for (popup, policy) in fold.popups() {
                if seen.insert(popup.clone()) {
                    popups.push(policy.clone());
                }
            }
        }
        CellBatch {
            protocol: PROTOCOL,
            sender: String::from(&self.rig),
            popups,
            ..CellBatch::default()
        }
    }
}
