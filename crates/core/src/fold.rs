//! Records to cells: the pure fold of one epoch, in seq order.
//!
//! [`EpochFold`] takes each record of one (rig, epoch) once, in order, and keeps the cells of every
//! popup and minute in canonical form all along. The same records give the same bytes whatever way
//! they are cut into calls (L4, L12): state never crosses an epoch, and what the fold needs of
//! policy it reads from the epoch's own `policy.*` records.
//!
//! ```text
//! record ─► late? ─► popup, policy ─► t_evt (anchor) ─► in the window? ─► slot (popup, minute)
//!             │                                             │               ├ money  shares
//!             └── counted, not folded ◄─────────────────────┘               ├ stock  journey
//!                                                                           └ tables (what came before)
//! ```
//!
//! Memory: the tables of what came before are bounded first-in first-out; the rows of a cell are
//! bounded and what comes beyond goes to its row `other`.
#![deny(clippy::float_arithmetic)]

mod journey;
mod money;
pub mod savepoint;
mod shares;
mod slot;
mod stock;
mod tables;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::anchor::{Anchor, EventTime, admission, event_time};
use crate::cell::{Cell, FLAG_CLOCK_SUSPECT, FLAG_GAP, TouchKind};
use crate::event::Event;
use crate::event::system::{Loss, PopupPolicy, Probed, SystemEvent};
use crate::id::{BootId, Epoch, EpochId, PopupId, RigId, Seq};
use crate::limits;
use crate::record::Record;
use crate::time::{Minute, WallMs};
use journey::viewed;
use slot::Slot;
use tables::Tables;

/// What the fold did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a fold that asks for its records again is wrong until it gets them"]
pub enum Step {
    /// It is in the cells, as far as it belongs there.
    Folded,
    /// Its seq is not above the head: it was folded before, nothing changed.
    Old,
    /// An anchor moves the minutes of earlier records. Nothing changed yet: feed all records up to
    /// and with this one to [`EpochFold::again`] and give the result to [`EpochFold::adopt`].
    Rebucket,
}

/// Records that are in no cell, by reason. For status pages; not part of any cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// They came after their popup was closed.
    pub late: u64,
    /// Their time lies outside their popup's window and its margins.
    pub out_of_window: u64,
    /// Their popup came after [`limits::FOLD_POPUPS_MAX`] others.
    pub popups_beyond: u64,
    /// They name no popup.
    pub no_popup: u64,
    /// Not skipped, but their own time was out of reason and admission stands in.
    pub times_replaced: u64,
}

/// The fold of one epoch of one rig.
#[derive(Debug, Clone)]
pub struct EpochFold {
    rig: RigId,
    epoch: Epoch,
    epoch_id: EpochId,
    head: Seq,
    boot: Option<BootId>,
    clock: Clock,
    /// Losses of records known so far; each popup's next cell is flagged once per loss.
    gaps: u64,
    policies: BTreeMap<PopupId, PopupPolicy>,
    popups: BTreeMap<PopupId, Popup>,
    tables: Tables,
    changed: Vec<(PopupId, Minute)>,
    skipped: Skipped,
    /// Some record was given a minute, or none because its time lay outside a window.
    dated: bool,
}

/// An epoch folded once more under a later anchor, record by record, up to that anchor.
///
/// Nothing of the epoch is held but cells, so the records may come in any pieces.
#[derive(Debug, Clone)]
pub struct Refold {
    fold: EpochFold,
    to: Seq,
}

impl Refold {
    /// Folds one record. Seqs must ascend from 1; what lies above the anchor is left alone.
    pub fn apply(&mut self, seq: Seq, record: &Record) {
        if seq <= self.to {
            let step = self.fold.apply(seq, record);
            debug_assert_ne!(step, Step::Rebucket, "anchors up to the last are settled");
        }
    }

    /// The seq of the anchor that asked for it: the last record it needs.
    #[must_use]
    pub fn to(&self) -> Seq {
        self.to
    }
}

/// Which anchor governs the next record.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    anchor: Option<Anchor>,
    /// Anchors at and below this seq are already accounted for by a re-fold.
    settled: Seq,
}

/// The cells of one popup.
#[derive(Debug, Clone, Default)]
struct Popup {
    /// Its number among the popups of this fold.
    no: usize,
    slots: BTreeMap<Minute, Slot>,
    gaps_marked: u64,
}

/// Where and when a record is folded: what every part of the fold is told.
#[derive(Debug, Clone, Copy)]
struct At {
    /// The popup's number in this fold.
    popup_no: usize,
    seq: Seq,
    /// Corrected time of the event.
    time: WallMs,
    minute: Minute,
    /// Steady clock at admission, ns.
    mono_ns: u64,
    /// A checkout that takes longer is late, ms.
    checkout_limit_ms: u32,
}

impl At {
    /// Milliseconds into its minute.
    fn offset_ms(&self) -> u32 {
        let offset_ms = self.time.0.saturating_sub(self.minute.start().0);
        u32::try_from(offset_ms.clamp(0, 59_999)).expect("a minute has 60,000 ms")
    }
}

impl EpochFold {
    /// The empty fold of an epoch.
    #[must_use]
    pub fn new(rig: RigId, epoch: Epoch, epoch_id: EpochId) -> Self {
        let tables = Tables::new(rig.as_str());
        Self {
            rig,
            epoch,
            epoch_id,
            head: Seq::NONE,
            boot: None,
            clock: Clock::default(),
            gaps: 0,
            policies: BTreeMap::new(),
            popups: BTreeMap::new(),
            tables,
            changed: Vec::new(),
            skipped: Skipped::default(),
            dated: false,
        }
    }

    /// Folds the record at `seq`. Seqs must ascend; one at or below the head changes nothing, and
    /// one that leaves seqs out marks the records between as lost.
    pub fn apply(&mut self, seq: Seq, record: &Record) -> Step {
        if seq <= self.head {
            return Step::Old;
        }
        if self.moves_earlier(seq, record) {
            return Step::Rebucket;
        }
        if seq > self.head.next() {
            self.gaps += 1;
        }
        self.head = seq;
        if record.flags.late {
            self.skipped.late += 1;
            return Step::Folded;
        }
        if let Event::System(event) = &record.event {
            self.apply_system(seq, record, event);
            return Step::Folded;
        }
        self.dated = true;
        match &record.popup {
            Some(popup) => self.apply_client(seq, record, popup, &record.event),
            None => self.apply_host(seq, record, &record.event),
        }
        Step::Folded
    }

    /// Begins to fold the epoch again, all of it under the anchor in `anchored` at `seq`.
    #[must_use]
    pub fn again(&self, seq: Seq, anchored: &Record) -> Refold {
        let mut fold = Self::new(self.rig.clone(), self.epoch, self.epoch_id);
        fold.clock = Clock {
            anchor: self.anchor_in(anchored).or(self.clock.anchor),
            settled: seq,
        };
        Refold { fold, to: seq }
    }

    /// Takes over what was folded again. Cells that came out changed or empty carry the anchor's
    /// seq as their version; the others keep their bytes.
    pub fn adopt(&mut self, refold: Refold) {
        let Refold { fold: again, to } = refold;
        let before = core::mem::replace(self, again);
        self.head = to;
        self.restamp(before.popups);
    }

    /// Whether this is an anchor that moves records which were given their minutes before it.
    fn moves_earlier(&self, seq: Seq, record: &Record) -> bool {
        let Event::System(SystemEvent::ClockAnchored(anchored)) = &record.event else {
            return false;
        };
        let new = seq > self.clock.settled && anchored.rebucket && self.dated;
        new && self.anchor_in(record).is_some()
    }

    fn anchor_in(&self, record: &Record) -> Option<Anchor> {
        if let Event::System(SystemEvent::ClockAnchored(anchored)) = &record.event {
            return Anchor::of(anchored, self.boot);
        }
        None
    }

    /// After a re-fold: a cell whose content is as it was keeps its version, every other one, also
    /// one that is empty now, has the head's.
    fn restamp(&mut self, before: BTreeMap<PopupId, Popup>) {
        for slot in self
            .popups
            .values_mut()
            .flat_map(|popup| popup.slots.values_mut())
        {
            slot.restamp(self.head);
        }
        for (name, popup) in before {
            // A popup that is empty now gets a number that no other has.
            let no = self.popups.len();
            let after = self.popups.entry(name).or_insert_with(|| Popup {
                no,
                ..Popup::default()
            });
            for (minute, old) in popup.slots {
                let head = self.head;
                let emptied = || old.emptied(head);
                let slot = after.slots.entry(minute).or_insert_with(emptied);
                slot.keep_if_same(&old);
            }
        }
        self.changed.clear();
        for (name, popup) in &self.popups {
            let changed = popup.slots.iter().filter(|(_, slot)| slot.changed);
            let keys = changed.map(|(minute, _)| (name.clone(), *minute));
            self.changed.extend(keys);
        }
    }

    /// The id of the epoch this folds.
    #[must_use]
    pub fn epoch_id(&self) -> EpochId {
        self.epoch_id
    }

    /// The highest seq folded.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The popups this epoch's policy records speak of, with the newest word on each.
    #[must_use]
    pub fn popups(&self) -> &BTreeMap<PopupId, PopupPolicy> {
        &self.policies
    }

    /// All cells, by popup and minute.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.popups
            .values()
            .flat_map(|popup| popup.slots.values().map(Slot::cell))
    }

    /// Whether a popup has a cell.
    #[must_use]
    pub fn has_cells(&self, popup: &PopupId) -> bool {
        let popup = self.popups.get(popup);
        popup.is_some_and(|popup| !popup.slots.is_empty())
    }

    /// One cell.
    #[must_use]
    pub fn cell(&self, popup: &PopupId, minute: Minute) -> Option<&Cell> {
        self.popups.get(popup)?.slots.get(&minute).map(Slot::cell)
    }

    /// The cells that a record above `seq` changed.
    pub fn changed_since(&self, seq: Seq) -> impl Iterator<Item = &Cell> {
        self.cells().filter(move |cell| cell.version > seq.0)
    }

    /// The cells changed since the last call, each once, in the order they first changed.
    pub fn take_changed(&mut self) -> Vec<(PopupId, Minute)> {
        let changed = core::mem::take(&mut self.changed);
        for (popup, minute) in &changed {
            if let Some(slot) = self
                .popups
                .get_mut(popup)
                .and_then(|popup| popup.slots.get_mut(minute))
            {
                slot.changed = false;
            }
        }
        changed
    }

    /// What is in no cell.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    fn apply_system(&mut self, seq: Seq, record: &Record, event: &SystemEvent) {
        match event {
            SystemEvent::RigStarted(started) => {
                self.boot = BootId::from_slice(&started.boot_id);
            }
            SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy) => {
                self.apply_policy(policy);
            }
            SystemEvent::ClockAnchored(anchored) => {
                if seq > self.clock.settled
                    && let Some(anchor) = Anchor::of(anchored, self.boot)
                {
                    self.clock.anchor = Some(anchor);
                }
            }
            SystemEvent::RigGap(_) => {
                self.gaps += 1;
                self.dated = true;
                for popup in self.open_at(admission(&record.stamp, self.clock.anchor.as_ref())) {
                    self.with_slot(seq, record, &popup, |slot, _, at| slot.touch(at));
                }
            }
            SystemEvent::RigLoss(loss) => self.apply_loss(seq, record, loss),
            SystemEvent::RigProbed(probed) => self.apply_probed(seq, record, probed),
            SystemEvent::RigStopped(_)
            | SystemEvent::RigSeal(_)
            | SystemEvent::RigTrimmed(_)
            | SystemEvent::RigConflict(_)
            | SystemEvent::ClockStepped(_)
            | SystemEvent::ProviderObject(_)
            | SystemEvent::SettlementFile(_)
            | SystemEvent::SettlementLine(_)
            | SystemEvent::BankLine(_)
            | SystemEvent::MatchAccepted(_)
            | SystemEvent::BreakAccepted(_)
            | SystemEvent::ShareReleased(_)
            | SystemEvent::CreatorPaid(_)
            | SystemEvent::CloseSigned(_)
            | SystemEvent::CashCounted(_)
            | SystemEvent::ProviderRefused(_) => {}
        }
    }

    fn apply_policy(&mut self, policy: &PopupPolicy) {
        let Ok(popup) = PopupId::new(&policy.popup) else {
            return;
        };
        if self.policies.len() < limits::FOLD_POPUPS_MAX || self.policies.contains_key(&popup) {
            // What a shop promises its creators is the ledger's matter and no region's.
            let commerce = None;
            let policy = PopupPolicy {
                commerce,
                ..policy.clone()
            };
            self.policies.insert(popup, policy);
        }
    }

    /// Losses of an unnamed popup count in each that was open: any of them may have lost them.
    fn apply_loss(&mut self, seq: Seq, record: &Record, loss: &Loss) {
        self.dated = true;
        let now = admission(&record.stamp, self.clock.anchor.as_ref());
        for row in loss.counts.iter().filter(|row| row.count > 0) {
            let popups = match PopupId::new(&row.popup) {
                Ok(popup) => Vec::from([popup]),
                Err(_) => self.open_at(now),
            };
            for popup in popups {
                self.with_slot(seq, record, &popup, |slot, _, at| {
                    let counts = slot.counts(at);
                    counts.losses = counts.losses.saturating_add(row.count);
                });
            }
        }
    }

    /// The way to the provider is that of every popup that was open.
    fn apply_probed(&mut self, seq: Seq, record: &Record, probed: &Probed) {
        self.dated = true;
        for popup in self.open_at(admission(&record.stamp, self.clock.anchor.as_ref())) {
            self.with_slot(seq, record, &popup, |slot, _, at| {
                let host = slot.host(at);
                host.probe_ok = host.probe_ok.saturating_add(probed.ok.into());
                host.probe_fault = host.probe_fault.saturating_add(probed.fault.into());
            });
        }
    }

    fn apply_client(&mut self, seq: Seq, record: &Record, popup: &PopupId, event: &Event) {
        self.with_slot(seq, record, popup, |slot, tables, at| match event {
            Event::PaymentAuthorized(data) => money::authorized(slot, tables, at, data),
            Event::PaymentCaptured(data) => money::captured(slot, tables, at, data),
            Event::PaymentFailed(data) => money::failed(slot, tables, at, data),
            Event::PaymentRefunded(data) => money::refunded(slot, tables, at, data),
            Event::InventoryReceived(data) => stock::received(slot, at, data),
            Event::InventoryAllocated(data) => stock::allocated(slot, tables, at, data),
            Event::InventoryMoved(data) => stock::moved(slot, tables, at, data),
            Event::InventoryAdjusted(data) => stock::adjusted(slot, at, data),
            Event::InventoryCounted(data) => stock::counted(slot, tables, at, data),
            Event::CheckoutStarted(data) => journey::started(slot, tables, at, data),
            Event::CheckoutCompleted(data) => journey::completed(slot, tables, at, data),
            Event::CheckoutAbandoned(data) => journey::abandoned(slot, tables, at, data),
            Event::OrderFulfilled(data) => journey::fulfilled(slot, tables, at, data),
            Event::TokenIssued(data) => journey::token_issued(slot, tables, at, data),
            Event::TokenRedeemed(data) => journey::token_redeemed(slot, tables, at, data),
            Event::TokenVoided(data) => journey::token_voided(slot, tables, at, data),
            Event::ChatMessage(data) => journey::chat(slot, at, data),
            Event::AudienceSampled(data) => journey::audience(slot, at, data),
            Event::DropOpened(data) => journey::drop_opened(slot, tables, at, data),
            Event::DropClosed(data) => journey::drop_closed(slot, tables, at, data),
            Event::RigSampled(data) => journey::sampled(slot, at, data),
            Event::ProductViewed(data) => viewed(slot, at, &data.viewer, TouchKind::Viewed),
            Event::CartAdded(data) => viewed(slot, at, &data.viewer, TouchKind::Cart),
            // Manual bookings are never revenue, and disputes stand apart in the books.
            Event::BooksAdjusted(_) | Event::PaymentDisputed(_) | Event::System(_) => {}
        });
    }

    /// What concerns the whole rig counts in each popup that was open.
    fn apply_host(&mut self, seq: Seq, record: &Record, event: &Event) {
        let Event::RigSampled(data) = event else {
            self.skipped.no_popup += 1;
            return;
        };
        let now = admission(&record.stamp, self.clock.anchor.as_ref());
        for popup in self.open_at(now) {
            self.with_slot(seq, record, &popup, |slot, _, at| {
                journey::sampled(slot, at, data);
            });
        }
    }

    /// The number of a popup, given at its first record; `None` beyond the bound.
    fn popup_no(&mut self, name: &PopupId) -> Option<usize> {
        if let Some(popup) = self.popups.get(name) {
            return Some(popup.no);
        }
        let no = self.popups.len();
        if no >= limits::FOLD_POPUPS_MAX {
            return None;
        }
        let popup = Popup {
            no,
            ..Popup::default()
        };
        self.popups.insert(name.clone(), popup);
        Some(no)
    }

    fn open_at(&self, now: WallMs) -> Vec<PopupId> {
        self.policies
            .iter()
            .filter(|(_, policy)| (policy.starts_ms..policy.ends_ms).contains(&now.0))
            .map(|(popup, _)| popup.clone())
            .collect()
    }

    /// Finds the slot a record belongs to and lets `fold` change it; a slot that `fold` leaves
    /// untouched and that was not there before does not come to be.
    fn with_slot(
        &mut self,
        seq: Seq,
        record: &Record,
        name: &PopupId,
        fold: impl FnOnce(&mut Slot, &mut Tables, &At),
    ) {
        let policy = self.policies.get(name);
        let starts = policy.map(|policy| WallMs(policy.starts_ms));
        let checkout_limit_ms = match policy.map_or(0, |policy| policy.checkout_limit_ms) {
            0 => limits::CHECKOUT_LIMIT_MS,
            limit_ms => limit_ms,
        };
        let time = event_time(
            &record.stamp,
            record.flags,
            self.clock.anchor.as_ref(),
            starts,
        );
        self.skipped.times_replaced += u64::from(time.replaced);
        if !policy.is_none_or(|policy| in_window(policy, time.at)) {
            self.skipped.out_of_window += 1;
            return;
        }
        let Some(popup_no) = self.popup_no(name) else {
            self.skipped.popups_beyond += 1;
            return;
        };
        let at = At {
            popup_no,
            seq,
            time: time.at,
            minute: Minute::of(time.at),
            mono_ns: record.stamp.mono_ns,
            checkout_limit_ms,
        };
        let popup = self.popups.get_mut(name).expect("it was just put there");
        let slot = popup
            .slots
            .entry(at.minute)
            .or_insert_with(|| Slot::new(name, &self.rig, self.epoch, self.epoch_id, at.minute));
        fold(slot, &mut self.tables, &at);
        if slot.cell().version == seq.0 {
            let mut flags = flags_of(&time);
            if popup.gaps_marked < self.gaps {
                popup.gaps_marked = self.gaps;
                flags |= FLAG_GAP;
            }
            slot.mark(flags, record.policy_version);
            if !core::mem::replace(&mut slot.changed, true) {
                self.changed.push((name.clone(), at.minute));
            }
        } else if slot.cell().version == 0 {
            popup.slots.remove(&at.minute);
        }
    }
}

/// A window that is only implied came from a clock that may have been wrong: it bounds nothing.
fn in_window(policy: &PopupPolicy, at: WallMs) -> bool {
    if policy.version == 0 {
        return true;
    }
    let from = policy.starts_ms.saturating_sub(limits::WINDOW_BEFORE_MS);
    let to = policy.ends_ms.saturating_add(limits::WINDOW_AFTER_MS);
    (from..=to).contains(&at.0)
}

fn flags_of(time: &EventTime) -> u32 {
    if time.suspect { FLAG_CLOCK_SUSPECT } else { 0 }
}
