//! A region: holds the newest cells of every rig and reads them as views. The same machine serves an
//! edge's own page, fed with that edge's own cells.
//!
//! ```text
//! CellBatch ─► accept ─┬─ cells: kept when greater by (version, digest); views move by the difference
//!                      ├─ cuts: move only over ranges wholly received  ─► CellAck.have
//!                      ├─ beacons: the greater (epoch, number) is in force
//!                      └─ popups: the greater version is in force
//! ```
//!
//! What always holds:
//! - Batches in any order, number or split end in the same cells and views (L3); one bad cell never
//!   costs its neighbours, and a cut does not move over a cell that was refused.
//! - Two lives under one (rig, epoch) are both kept; the smaller epoch id counts, everywhere, and
//!   the rig shows `fork`.
//! - A life that its rig calls void after a fork counts nowhere, whether it comes before or after
//!   that word.
//! - The memory is bounded (L11): what passes a bound is refused with PW3121 and shows as coverage.
//! - A popup that is over goes in steps, and whatever is over makes room before a bound refuses.
//! - There is nothing to save: a region that starts empty has a new [`RegionId`] and is filled again
//!   by full sends.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use prost::Message;

mod holding;
pub mod outward;
mod settled;
#[cfg(test)]
mod tests;
mod told;
pub mod vector;

use holding::{Holding, Taken};
use settled::Past;
pub use told::{Counters, PopupExports};

use crate::cell::{Cell, CellFault, CellKey, Digest};
use crate::code::Code;
use crate::id::{EpochId, PopupId, RegionId, RigId};
use crate::lane::{Beacon, CENTRAL, CellAck, CellBatch, Cut, RefusedCell, VoidEpoch};
use crate::limits;
use crate::money::Currency;
use crate::slo::Scope;
use crate::time::{MonoMs, Now};
use crate::view::{self, PopupView, Silent, Standing};

/// A popup in the list of popups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupLine {
    /// The popup.
    pub id: String,
    /// Start of its window, ms since 1970; `None` while unknown.
    pub starts_ms: Option<i64>,
    /// End of its window, exclusive.
    pub ends_ms: Option<i64>,
    /// Rigs that take part, ascending.
    pub rigs: Vec<String>,
    /// Currencies expected or seen, ascending.
    pub currencies: Vec<Currency>,
}

/// A rig across popups.
#[derive(Debug, Clone)]
struct Contact {
    /// When it last spoke; until it does, when it was first heard of.
    heard: Now,
    beacon: Option<Beacon>,
    /// Lives that do not count, at most [`limits::VOID_EPOCHS_MAX`], in the order told.
    voids: VecDeque<EpochId>,
}

/// The cells of many rigs, and what they say of themselves.
#[derive(Debug, Clone)]
pub struct Region {
    id: RegionId,
    scope: Scope,
    popups: BTreeMap<String, Holding>,
    contacts: BTreeMap<String, Contact>,
    /// Popups of which nothing is held any more.
    past: BTreeMap<String, Past>,
    bytes: usize,
    counters: Counters,
    /// The popup and minute that were recomputed last.
    looked_at: (String, u32),
    /// When it was seen last what is over; `None` before the first time.
    aged: Option<MonoMs>,
}

impl Region {
    /// An empty memory under a fresh id.
    #[must_use]
    pub fn new(id: RegionId) -> Self {
        Self {
            id,
            scope: Scope::Popup,
            popups: BTreeMap::new(),
            contacts: BTreeMap::new(),
            past: BTreeMap::new(),
            bytes: 0,
            counters: Counters::default(),
            looked_at: (String::new(), 0),
            aged: None,
        }
    }

    /// The same for one rig's own page: promises are watched with a rig's share of false pages.
    #[must_use]
    pub fn of_rig(id: RegionId) -> Self {
        Self {
            scope: Scope::Rig,
            ..Self::new(id)
        }
    }

    /// Takes what it can of a batch; the answer names each cell it refused and where it stands.
    /// The wall-clock fields of the answer have the resolution of `now`; a caller with a finer
    /// clock overwrites them.
    pub fn accept(&mut self, batch: &CellBatch, now: Now) -> CellAck {
        let mut news = BTreeSet::new();
        let mut named = BTreeSet::new();
        let mut refused = Vec::new();
        for void in &batch.voids {
            self.accept_void(void, &mut news, now);
        }
        for (index, bytes) in batch.cells.iter().enumerate() {
            let taken = if index < limits::BATCH_CELLS_MAX {
                self.accept_cell(bytes, &mut named, &mut news, now)
            } else {
                Err(Code::BatchInvalid)
            };
            if let Err(code) = taken {
                refused.push(refusal(index, code));
            }
        }
        self.counters.cells_refused += refused.len() as u64;
        let unread = !refused.is_empty();
        for cut in &batch.cuts {
            self.accept_cut(cut, unread, &mut named, &mut news, now);
        }
        for beacon in &batch.beacons {
            self.accept_beacon(beacon, &mut news, now);
        }
        for policy in &batch.popups {
            self.revive_by(policy);
            let Some(holding) = self.popup_mut(&policy.popup, now) else {
                continue;
            };
            if holding.learn(policy) {
                news.insert(policy.popup.clone());
            }
        }
        self.hear(&batch.sender, now);
        self.publish(news, now);
        self.answer(batch, &named, refused, now)
    }

    /// Takes cells of this very process, for its own page: no bytes travel. Answers the cells it
    /// refused by their place.
    pub fn insert_local(
        &mut self,
        cells: impl IntoIterator<Item = Cell>,
        now: Now,
    ) -> Vec<RefusedCell> {
        let mut news = BTreeSet::new();
        let mut refused = Vec::new();
        for (index, mut cell) in cells.into_iter().enumerate() {
            if self.is_past(&cell.popup) {
                self.counters.cells_past += 1;
                continue;
            }
            let bytes = cell.encode_canonical();
            if let Err(code) = self.take(&mut cell, &bytes, &mut news, now) {
                refused.push(refusal(index, code));
            }
            self.hear(&cell.rig, now);
        }
        self.counters.cells_refused += refused.len() as u64;
        self.publish(news, now);
        refused
    }

    /// Notices rigs that fell silent or came back, and popups that are over. Answers when to call again at the latest.
    pub fn tick(&mut self, now: Now) -> MonoMs {
        let aged = self.aged.map(|aged| now.mono.since(aged));
        if aged.is_none_or(|ms| ms >= limits::REGION_AGE_MS) {
            self.aged = Some(now.mono);
            self.age(now);
        }
        let all: BTreeSet<_> = self.popups.keys().cloned().collect();
        self.watch_silence(all.iter(), now);
        for popup in &all {
            self.look(popup, now);
        }
        let ends = self.contacts.values().map(|contact| contact.heard.mono);
        let ends = ends.map(|heard| heard.after(limits::SILENT_MS));
        let next = ends.filter(|end| *end > now.mono).min();
        next.unwrap_or_else(|| now.mono.after(limits::SILENT_MS))
    }

    /// Recomputes a view from its cells. When it differs from the running one (a defect), the
    /// running one is replaced, counted, and the answer is true.
    pub fn repair(&mut self, popup: &str) -> bool {
        let Some(holding) = self.popups.get_mut(popup) else {
            return false;
        };
        let repaired = holding.repair();
        self.counters.views_repaired += u64::from(repaired);
        repaired
    }

    /// Recomputes the next minute of the next popup from its cells; called once a second it looks at
    /// everything in turn. A difference is a defect: the view is replaced, counted, and the answer
    /// is true (PW3006).
    pub fn repair_next(&mut self) -> bool {
        let (popup, minute) = &self.looked_at;
        let in_popup = self
            .popups
            .get(popup)
            .and_then(|it| it.minute_after(*minute));
        let (popup, minute) = match in_popup.filter(|next| next > minute) {
            Some(next) => (popup.clone(), next),
            None => {
                let after = (Bound::Excluded(popup.clone()), Bound::Unbounded);
                let next = self.popups.range(after).next();
                let Some((next, holding)) = next.or_else(|| self.popups.first_key_value()) else {
                    return false;
                };
                (next.clone(), holding.minute_after(u32::MAX).unwrap_or(0))
            }
        };
        let holding = self.popups.get_mut(&popup);
        let repaired = holding.is_some_and(|holding| holding.repair_minute(minute));
        self.looked_at = (popup, minute);
        self.counters.views_repaired += u64::from(repaired);
        repaired
    }

    /// The id of this memory.
    #[must_use]
    pub fn id(&self) -> RegionId {
        self.id
    }

    /// What it counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The popups it knows, ascending by id.
    #[must_use]
    pub fn popups(&self) -> Vec<PopupLine> {
        let line = |(id, holding): (&String, &Holding)| {
            let facts = match holding.settled() {
                Some(settled) => settled.facts().clone(),
                None => view::facts(id, holding.policy(), holding.live()),
            };
            PopupLine {
                id: id.clone(),
                starts_ms: facts.starts_ms,
                ends_ms: facts.ends_ms,
                rigs: holding.rigs().map(|(rig, _)| rig.clone()).collect(),
                currencies: facts.currencies,
            }
        };
        let shown = self.popups.iter().filter(|(_, holding)| holding.is_live());
        shown.map(line).collect()
    }

    /// Everything people read about one popup; `None` when it is unknown here.
    #[must_use]
    pub fn view(&self, popup: &str, now: Now) -> Option<PopupView> {
        let holding = self.popups.get(popup)?;
        if let Some(settled) = holding.settled() {
            return Some(settled.view(now));
        }
        let rigs = self.standings(holding, now);
        Some(view::read(
            popup,
            holding.policy(),
            holding.live(),
            (&rigs, holding.books()),
            holding.watch().views(),
            now,
        ))
    }

    /// The same as [`Self::view`], from the cells alone: nothing that was added up before is used.
    #[must_use]
    pub fn recompute(&self, popup: &str, now: Now) -> Option<PopupView> {
        let holding = self.popups.get(popup)?;
        if let Some(settled) = holding.settled() {
            return Some(settled.view(now));
        }
        let rigs = self.standings(holding, now);
        let live = holding.recompute();
        let slos = holding.watch().views();
        let told = (&rigs[..], holding.books());
        Some(view::read(popup, holding.policy(), &live, told, slos, now))
    }

    /// Rises with every visible change of the popup; 0 when it is unknown here.
    #[must_use]
    pub fn revision(&self, popup: &str) -> u64 {
        self.popups.get(popup).map_or(0, Holding::revision)
    }

    /// A hash of all that a view of the popup shows but the server's clock: the version vector,
    /// cells, beacons, the silent set. Equal for equal memories.
    #[must_use]
    pub fn etag(&self, popup: &str, now: Now) -> Option<[u8; 16]> {
        let holding = self.popups.get(popup)?;
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(popup.as_bytes());
        part(&holding.fingerprint());
        part(
            &holding
                .policy()
                .map_or_else(Vec::new, Message::encode_to_vec),
        );
        part(
            &holding
                .books()
                .map_or_else(Vec::new, Message::encode_to_vec),
        );
        part(format!("{:?}", holding.watch().views()).as_bytes());
        part(holding.settled().map_or(&[], |settled| settled.tag()));
        for rig in self.standings(holding, now) {
            part(rig.rig.as_bytes());
            part(&rig.epoch.to_le_bytes());
            part(&rig.have_seq.to_le_bytes());
            part(&rig.clear_ms.unwrap_or(i64::MIN).to_le_bytes());
            part(&rig.heard.wall.0.to_le_bytes());
            part(&[u8::from(rig.silent), u8::from(rig.forked)]);
            part(&rig.beacon.map_or_else(Vec::new, Message::encode_to_vec));
            part(&rig.backlog.map_or_else(Vec::new, Message::encode_to_vec));
        }
        let mut etag = [0; 16];
        hasher.finalize_xof().fill(&mut etag);
        Some(etag)
    }

    /// The counting cells of a popup by key, for comparison with a rig's or the ledger's fold (L4).
    #[must_use]
    pub fn digests(&self, popup: &str) -> BTreeMap<CellKey, (u64, Digest)> {
        let holding = self.popups.get(popup);
        holding.map_or_else(BTreeMap::new, |holding| holding.digests(popup))
    }

    /// The canonical bytes of the counting cells of a popup, in the order of their keys.
    #[must_use]
    pub fn cells(&self, popup: &str) -> Vec<Vec<u8>> {
        self.popups.get(popup).map_or_else(Vec::new, Holding::cells)
    }

    /// Rigs of a popup that missed three beacons, ascending by id.
    #[must_use]
    pub fn silent(&self, popup: &str, now: Now) -> Vec<Silent> {
        let holding = self.popups.get(popup);
        holding.map_or_else(Vec::new, |holding| {
            view::silent(&self.standings(holding, now))
        })
    }

    fn accept_cell(
        &mut self,
        bytes: &[u8],
        named: &mut BTreeSet<Life>,
        news: &mut BTreeSet<String>,
        now: Now,
    ) -> Result<(), Code> {
        let mut cell = Cell::decode_canonical(bytes).map_err(|fault| code_of(&fault))?;
        let life = Life::of(&cell.popup, &cell.rig, cell.epoch, &cell.epoch_id);
        let life = life.ok_or(Code::CellOutOfRange)?;
        self.revive_with(&cell);
        if self.is_over(&life) {
            let void = self.is_void(&life);
            self.counters.cells_void += u64::from(void);
            self.counters.cells_past += u64::from(!void);
            return Ok(());
        }
        let taken = self.take(&mut cell, bytes, news, now);
        if taken.is_err() {
            self.taint(&life, now);
        }
        named.insert(life);
        taken
    }

    /// Keeps a cell when it is the newest of its key.
    fn take(
        &mut self,
        cell: &mut Cell,
        bytes: &[u8],
        news: &mut BTreeSet<String>,
        now: Now,
    ) -> Result<(), Code> {
        let life = Life::of(&cell.popup, &cell.rig, cell.epoch, &cell.epoch_id);
        let life = life.ok_or(Code::CellOutOfRange)?;
        while self.bytes + bytes.len() > limits::REGION_BYTES_MAX {
            if !self.make_room(&life.popup, now) {
                break;
            }
        }
        let room = limits::REGION_BYTES_MAX.saturating_sub(self.bytes);
        let holding = self.life_mut(&life, now).ok_or(Code::RegionFull)?;
        let taken = holding.take(cell, bytes, life.epoch_id, room)?;
        holding.heard_news(now);
        match taken {
            Taken::Newest { grown, shrunk } => {
                self.bytes = self.bytes + grown - shrunk;
                self.counters.cells_taken += 1;
                news.insert(life.popup);
            }
            Taken::Stale => self.counters.cells_stale += 1,
            Taken::Forked { grown, shrunk } => {
                self.bytes = self.bytes + grown - shrunk;
                self.counters.cells_forked += 1;
                news.insert(life.popup);
            }
        }
        Ok(())
    }

    fn taint(&mut self, life: &Life, now: Now) {
        if let Some(holding) = self.life_mut(life, now) {
            holding.taint(&life.rig, life.epoch, life.epoch_id);
        }
    }

    /// `unread`: a cell of this batch was refused, and it may belong to any cut of it.
    fn accept_cut(
        &mut self,
        cut: &Cut,
        unread: bool,
        named: &mut BTreeSet<Life>,
        news: &mut BTreeSet<String>,
        now: Now,
    ) {
        let Some(life) = Life::of(&cut.popup, &cut.rig, cut.epoch, &cut.epoch_id) else {
            self.counters.cuts_ignored += 1;
            return;
        };
        if self.is_over(&life) {
            self.counters.cuts_ignored += 1;
            return;
        }
        named.insert(life.clone());
        if unread {
            self.taint(&life, now);
        }
        let moved = self
            .life_mut(&life, now)
            .is_some_and(|holding| holding.advance(cut, life.epoch_id));
        if moved {
            self.hear(&life.rig, now);
            news.insert(life.popup);
        } else {
            self.counters.cuts_ignored += 1;
        }
    }

    /// A rig says that one of its lives does not count.
    fn accept_void(&mut self, void: &VoidEpoch, news: &mut BTreeSet<String>, now: Now) {
        let id = EpochId::from_slice(&void.epoch_id);
        let (Some(id), Ok(_)) = (id, RigId::new(&void.rig)) else {
            return;
        };
        let Some(contact) = self.contact_mut(&void.rig, now) else {
            return;
        };
        if contact.voids.contains(&id) {
            return;
        }
        contact.voids.push_back(id);
        if contact.voids.len() > limits::VOID_EPOCHS_MAX {
            contact.voids.pop_front();
        }
        for (popup, holding) in &mut self.popups {
            let gone = holding.let_go(&void.rig, id);
            self.bytes -= gone.bytes;
            if gone.any {
                news.insert(popup.clone());
            }
        }
    }

    fn is_void(&self, life: &Life) -> bool {
        let contact = self.contacts.get(&life.rig);
        contact.is_some_and(|contact| contact.voids.contains(&life.epoch_id))
    }

    fn accept_beacon(&mut self, beacon: &Beacon, news: &mut BTreeSet<String>, now: Now) {
        if self.is_past(&beacon.popup) {
            return;
        }
        if beacon.rig == CENTRAL {
            return self.accept_books(beacon, news, now);
        }
        let known = within_rule(beacon) && self.contact_mut(&beacon.rig, now).is_some();
        if !known {
            self.counters.beacons_ignored += 1;
            return;
        }
        let newer = if beacon.popup.is_empty() {
            let contact = self.contact_mut(&beacon.rig, now);
            contact.is_some_and(|contact| replace_older(&mut contact.beacon, beacon))
        } else {
            let holding = self.popup_mut(&beacon.popup, now);
            holding.is_some_and(|holding| holding.hear(beacon))
        };
        if !newer {
            return;
        }
        self.hear(&beacon.rig, now);
        if !beacon.popup.is_empty() {
            news.insert(beacon.popup.clone());
            return;
        }
        let of_rig = self
            .popups
            .iter()
            .filter(|(_, held)| held.has_rig(&beacon.rig));
        news.extend(of_rig.map(|(popup, _)| popup.clone()));
    }

    /// The books are no rig: they sell nothing, and nobody waits for them.
    fn accept_books(&mut self, word: &Beacon, news: &mut BTreeSet<String>, now: Now) {
        let holding = match within_rule(word) {
            true => self.popup_mut(&word.popup, now),
            false => None,
        };
        match holding.map(|holding| holding.hear_books(word)) {
            Some(true) => drop(news.insert(word.popup.clone())),
            Some(false) => {}
            None => self.counters.beacons_ignored += 1,
        }
    }

    fn answer(
        &self,
        batch: &CellBatch,
        named: &BTreeSet<Life>,
        refused: Vec<RefusedCell>,
        now: Now,
    ) -> CellAck {
        let have = named.iter().map(|life| {
            let held = self.popups.get(&life.popup);
            let (to_seq, clear_ms) = held.map_or((0, 0), |held| {
                held.cut(&life.rig, life.epoch, life.epoch_id)
            });
            Cut {
                popup: life.popup.clone(),
                rig: life.rig.clone(),
                epoch: life.epoch,
                epoch_id: life.epoch_id.0.to_vec(),
                from_seq: 0,
                to_seq,
                clear_ms,
            }
        });
        // What does not count is answered as held: its sender need not send it again.
        let void = batch.cuts.iter().filter(|cut| {
            let life = Life::of(&cut.popup, &cut.rig, cut.epoch, &cut.epoch_id);
            life.is_some_and(|life| self.is_over(&life))
        });
        let void = void.map(|cut| Cut {
            from_seq: 0,
            ..cut.clone()
        });
        let wall_us = now.wall.0.saturating_mul(1_000);
        CellAck {
            region_id: self.id.0.to_vec(),
            have: have.chain(void).collect(),
            refused,
            echo_mono_ns: batch.sent_mono_ns,
            recv_wall_us: wall_us,
            send_wall_us: wall_us,
            ..CellAck::default()
        }
    }

    fn hear(&mut self, rig: &str, now: Now) {
        if let Some(contact) = self.contacts.get_mut(rig) {
            contact.heard = now;
        }
    }

    fn publish(&mut self, news: BTreeSet<String>, now: Now) {
        for popup in &news {
            if let Some(holding) = self.popups.get_mut(popup) {
                holding.changed();
            }
        }
        self.watch_silence(news.iter(), now);
        for popup in &news {
            self.look(popup, now);
        }
    }

    /// Looks at what is promised: every accepted cell, and every minute, may say something new.
    fn look(&mut self, popup: &str, now: Now) {
        let held = self.popups.get_mut(popup);
        let Some(holding) = held.filter(|holding| holding.settled().is_none()) else {
            return;
        };
        let mut watch = core::mem::take(holding.watch_mut());
        let before = watch.revision();
        if let Some(holding) = self.popups.get(popup) {
            let rigs = self.standings(holding, now);
            let conflicts = holding.live().token_conflicts();
            watch.look(holding.policy(), &rigs, conflicts, now.wall);
        }
        if let Some(holding) = self.popups.get_mut(popup) {
            if watch.revision() != before {
                holding.changed();
            }
            *holding.watch_mut() = watch;
        }
    }

    fn watch_silence<'a>(&mut self, popups: impl Iterator<Item = &'a String>, now: Now) {
        let contacts = &self.contacts;
        for popup in popups {
            if let Some(holding) = self.popups.get_mut(popup) {
                holding.watch_silence(|rig| is_silent(contacts.get(rig), now));
            }
        }
    }

    fn standings<'a>(&'a self, holding: &'a Holding, now: Now) -> Vec<Standing<'a>> {
        let standing = |(name, rig): (&'a String, &'a holding::Rig)| {
            let contact = self.contacts.get(name);
            let wide = contact.and_then(|contact| contact.beacon.as_ref());
            let heard = contact.map_or(Now::default(), |contact| contact.heard);
            rig.standing(name, wide, heard, is_silent(contact, now))
        };
        holding.rigs().map(standing).collect()
    }

    fn contact_mut(&mut self, rig: &str, now: Now) -> Option<&mut Contact> {
        if !self.contacts.contains_key(rig) {
            let full = self.contacts.len() >= limits::REGION_RIGS_TOTAL_MAX;
            if full && !self.make_room_for_rig(now) {
                return None;
            }
            let heard_of = Contact {
                heard: now,
                beacon: None,
                voids: VecDeque::new(),
            };
            self.contacts.insert(String::from(rig), heard_of);
        }
        self.contacts.get_mut(rig)
    }

    fn popup_mut(&mut self, popup: &str, now: Now) -> Option<&mut Holding> {
        if !self.popups.contains_key(popup) {
            PopupId::new(popup).ok()?;
            let full = self.popups.len() >= limits::REGION_POPUPS_MAX;
            if self.past.contains_key(popup) || (full && !self.make_room(popup, now)) {
                return None;
            }
            let holding = Holding::new(self.scope);
            self.popups.insert(String::from(popup), holding);
        }
        self.popups.get_mut(popup)
    }

    /// The holding that has room for this life; `None` when a bound is passed.
    fn life_mut(&mut self, life: &Life, now: Now) -> Option<&mut Holding> {
        self.contact_mut(&life.rig, now)?;
        let holding = self.popup_mut(&life.popup, now)?;
        holding
            .admit(&life.rig, life.epoch, life.epoch_id)
            .then_some(holding)
    }
}

/// One life of one rig's journal in one popup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// The popup.
    pub popup: String,
    /// The rig.
    pub rig: String,
    /// Which life.
    pub epoch: u32,
    /// Its id.
    pub epoch_id: EpochId,
}

impl Life {
    /// `None` when a part is out of its rule.
    #[must_use]
    pub fn of(popup: &str, rig: &str, epoch: u32, epoch_id: &[u8]) -> Option<Self> {
        PopupId::new(popup).ok()?;
        RigId::new(rig).ok()?;
        Some(Self {
            popup: String::from(popup),
            rig: String::from(rig),
            epoch,
            epoch_id: EpochId::from_slice(epoch_id)?,
        })
    }
}

fn refusal(index: usize, code: Code) -> RefusedCell {
    RefusedCell {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        code: format!("{code}"),
    }
}

fn code_of(fault: &CellFault) -> Code {
    match fault {
        CellFault::Bytes | CellFault::NotCanonical | CellFault::Large(_) => Code::CellInvalid,
        CellFault::Range(_) => Code::CellOutOfRange,
    }
}

fn is_silent(contact: Option<&Contact>, now: Now) -> bool {
    contact.is_none_or(|contact| now.mono.since(contact.heard.mono) >= limits::SILENT_MS)
}

/// What a beacon may say: known names, few rows.
fn within_rule(beacon: &Beacon) -> bool {
    RigId::new(&beacon.rig).is_ok()
        && (beacon.popup.is_empty() || PopupId::new(&beacon.popup).is_ok())
        && beacon.unsent_money.len() <= limits::BEACON_MONEY_ROWS_MAX
        && beacon.waiting_money.len() <= limits::REGION_CURRENCIES_MAX
        && beacon.states.len() <= limits::BEACON_STATES_MAX
        && beacon.states.iter().all(|state| RigId::new(state).is_ok())
}

/// The greater (epoch, number) is in force; of two with one number, the greater bytes, so that the
/// order in which they come does not matter.
fn replace_older(held: &mut Option<Beacon>, beacon: &Beacon) -> bool {
    let rank = |of: &Beacon| (of.epoch, of.number, of.encode_to_vec());
    if held.as_ref().is_some_and(|held| rank(held) >= rank(beacon)) {
        return false;
    }
    *held = Some(beacon.clone());
    true
}
