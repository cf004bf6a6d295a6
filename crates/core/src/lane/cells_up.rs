//! The sending end of the cells lane: one rig's cells to one region.
//!
//! There is no queue: what to send is always "every cell whose version lies above the region's cut",
//! read from the folds at the moment of sending, newest version only. A set too large for one batch
//! goes in the order of use: the newest two minutes, then cells with money, then the others, newest
//! first each; what changes meanwhile in the newest two minutes goes before all that still waits. The
//! cuts move only with the last batch, so a region never believes it holds what it does not. A
//! region that answers with another id, or with a cut other than the one we thought, is simply sent
//! from there.
//!
//! On a slow link the wait between two sets grows, up to a bound, so that cells leave three quarters
//! of it to the records; a set that does not fit one batch may take it whole.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::cell::Cell;
use crate::event::system::PopupPolicy;
use crate::fold::EpochFold;
use crate::id::{Epoch, EpochId, PopupId, RegionId, RigId, Seq};
use crate::lane::retry::Retry;
use crate::lane::{CellAck, CellBatch, Cut, PROTOCOL, PeerFault, VoidEpoch};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_BYTES_MIN, BATCH_CELLS_MAX, BEACON_MS, CELLS_DELAY_MS_MAX,
    VOID_EPOCHS_MAX,
};
use crate::time::{Minute, MonoMs, Now};

/// The folds of one rig, by epoch.
pub type Folds = BTreeMap<Epoch, EpochFold>;

/// Bytes of cells in one batch when the region has no wish: half of what it would take at most.
const CELLS_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;
/// Cells leave this many times as long free as they take of the link: a quarter is theirs.
const FREE_PER_BUSY: u64 = 3;
/// Exchanges whose least round trip is taken for the way without a load.
const ROUND_TRIPS_KEPT: usize = 8;

/// Which cell.
type Key = (Minute, PopupId, Epoch);

/// A set of cells on its way, over one or more batches.
#[derive(Debug, Clone)]
struct SendingSet {
    todo: VecDeque<Key>,
    cuts: Vec<(PopupId, Epoch, Seq)>,
    /// Changes of the newest epoch up to here are in `todo`.
    live: Seq,
}

/// How much of the link the cells take.
#[derive(Debug, Clone, Default)]
struct Pace {
    sent_at: MonoMs,
    round_trips: VecDeque<u64>,
    /// The next set waits until here.
    free_at: MonoMs,
}

impl Pace {
    /// An exchange ended: what it took beyond the shortest way is what its bytes took.
    fn answered(&mut self, now: MonoMs) {
        let took = now.since(self.sent_at);
        self.round_trips.push_back(took);
        if self.round_trips.len() > ROUND_TRIPS_KEPT {
            self.round_trips.pop_front();
        }
        let way = self.round_trips.iter().min().copied().unwrap_or(took);
        let wait = (took - way).saturating_mul(FREE_PER_BUSY);
        self.free_at = now.after(wait.min(CELLS_DELAY_MS_MAX));
    }
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
    bytes_max: usize,
    pace: Pace,
    /// Lives that do not count, in the order they were left.
    voids: VecDeque<EpochId>,
    /// Lives the region was not told of yet.
    void_due: bool,
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
            bytes_max: CELLS_BYTES_MAX,
            pace: Pace::default(),
            voids: VecDeque::new(),
            void_due: false,
        }
    }

    /// A life whose events went on under another epoch; its fold is gone.
    pub fn void(&mut self, epoch_id: EpochId, now: MonoMs) {
        if self.voids.contains(&epoch_id) {
            return;
        }
        self.voids.push_back(epoch_id);
        if self.voids.len() > VOID_EPOCHS_MAX {
            self.voids.pop_front();
        }
        self.set = None;
        self.void_due = true;
        self.changed(now);
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
        self.void_due = false;
        self.pace.sent_at = now.mono;
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
        self.pace.answered(now);
        self.refused += ack.refused.len() as u64;
        self.bytes_max = match usize::try_from(ack.max_bytes).unwrap_or(0) {
            0 => self.bytes_max.saturating_mul(2).min(CELLS_BYTES_MAX),
            wish => wish.clamp(BATCH_BYTES_MIN, CELLS_BYTES_MAX),
        };
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
            // A region may hold more of an epoch than this journal: one that was restored from a
            // backup. Such cells stay, and there is nothing to send.
            let known = folds.get(&epoch).map_or(Seq::NONE, |fold| {
                let same = fold.epoch_id().0[..] == cut.epoch_id[..];
                if same {
                    Seq(cut.to_seq).min(fold.head())
                } else {
                    Seq::NONE
                }
            });
            self.have.insert((popup, epoch), known);
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
            PeerFault::TooLarge => {
                self.bytes_max = (self.bytes_max / 2).max(BATCH_BYTES_MIN);
                self.retry.failed(now);
            }
            PeerFault::Unreachable
            | PeerFault::NotAdmitted
            | PeerFault::Forked(_)
            | PeerFault::Refused
            | PeerFault::Nonsense => self.retry.failed(now),
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
        let changed_at = self.changed_at?;
        Some(changed_at.after(self.delay_ms).max(self.pace.free_at))
    }

    fn held(&self, popup: &PopupId, epoch: Epoch) -> Seq {
        self.have
            .get(&(popup.clone(), epoch))
            .copied()
            .unwrap_or(Seq::NONE)
    }

    fn lags(&self, folds: &Folds) -> bool {
        self.void_due
            || spoken_of(folds).any(|(popup, epoch, fold)| self.held(popup, epoch) < fold.head())
    }

    /// Asks where the region stands with each epoch we could send.
    fn hello(&self, folds: &Folds) -> CellBatch {
        let cuts = spoken_of(folds).map(|(popup, epoch, fold)| {
            self.cut(popup, epoch, fold.epoch_id(), (Seq::NONE, Seq::NONE), 0)
        });
        CellBatch {
            cuts: cuts.collect(),
            ..self.envelope(folds)
        }
    }

    fn next_set(&self, folds: &Folds) -> Option<SendingSet> {
        let mut todo = Vec::new();
        let mut cuts = Vec::new();
        for (popup, epoch, fold) in spoken_of(folds) {
            if self.held(popup, epoch) < fold.head() {
                cuts.push((popup.clone(), epoch, fold.head()));
            }
        }
        for (epoch, fold) in folds {
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
                    let has_money = !cell.money.is_empty();
                    todo.push((has_money, (Minute(cell.minute), popup, *epoch)));
                }
            }
        }
        let newest = todo.iter().map(|(_, (minute, ..))| *minute).max();
        let is_live = |minute: Minute| newest.is_some_and(|newest| is_newest_two(minute, newest));
        todo.sort_unstable_by(|(money, key), (other_money, other)| {
            (is_live(other.0), *other_money, other).cmp(&(is_live(key.0), *money, key))
        });
        let todo: VecDeque<_> = todo.into_iter().map(|(_, key)| key).collect();
        let live = folds
            .last_key_value()
            .map_or(Seq::NONE, |(_, fold)| fold.head());
        if cuts.is_empty() && todo.is_empty() {
            None
        } else {
            Some(SendingSet { todo, cuts, live })
        }
    }

    fn next_batch(&mut self, folds: &Folds, now: Now) -> CellBatch {
        let mut batch = self.envelope(folds);
        let Some(mut set) = self.set.take() else {
            self.clear_ms = now.wall.0;
            batch.cuts = self.still_cuts(folds);
            return batch;
        };
        go_before(&mut set, folds);
        let mut bytes = 0;
        while batch.cells.len() < BATCH_CELLS_MAX && bytes < self.bytes_max {
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
        let level = |(popup, epoch, fold): (&PopupId, Epoch, &EpochFold)| {
            let held = self.held(popup, epoch);
            (held == fold.head())
                .then(|| self.cut(popup, epoch, fold.epoch_id(), (held, held), self.clear_ms))
        };
        spoken_of(folds).filter_map(level).collect()
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
            voids: self.voids.iter().map(|id| self.void_of(*id)).collect(),
            ..CellBatch::default()
        }
    }

    fn void_of(&self, epoch_id: EpochId) -> VoidEpoch {
        VoidEpoch {
            rig: String::from(&self.rig),
            epoch_id: epoch_id.0.to_vec(),
        }
    }
}

/// The popups of each life that a region is told of: those with a cell, and all of the newest life.
/// A till that restarts often has many lives in which nothing was sold.
fn spoken_of(folds: &Folds) -> impl Iterator<Item = (&PopupId, Epoch, &EpochFold)> {
    let newest = folds.last_key_value().map(|(epoch, _)| *epoch);
    folds.iter().flat_map(move |(epoch, fold)| {
        let popups = fold.popups().keys();
        let told = popups.filter(move |popup| Some(*epoch) == newest || fold.has_cells(popup));
        told.map(move |popup| (popup, *epoch, fold))
    })
}

fn is_newest_two(minute: Minute, newest: Minute) -> bool {
    minute.0.saturating_add(1) >= newest.0
}

/// What changed in the newest two minutes since the set was made goes before the rest of it.
fn go_before(set: &mut SendingSet, folds: &Folds) {
    let Some((epoch, fold)) = folds.last_key_value() else {
        return;
    };
    if fold.head() <= set.live {
        return;
    }
    let changed: Vec<&Cell> = fold.changed_since(set.live).collect();
    set.live = fold.head();
    let newest = fold.cells().map(|cell| Minute(cell.minute)).max();
    for cell in changed {
        let minute = Minute(cell.minute);
        let live = newest.is_some_and(|newest| is_newest_two(minute, newest));
        let Ok(popup) = PopupId::new(&cell.popup) else {
            continue;
        };
        let key = (minute, popup, *epoch);
        if live {
            set.todo.retain(|waits| *waits != key);
            set.todo.push_front(key);
        }
    }
}

#[cfg(test)]
mod tests;
