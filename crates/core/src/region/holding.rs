//! What a region holds of one popup: cells as their bytes, by rig, epoch, life and minute, and the
//! running state of the view.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::outward::Stand;
use super::replace_older;
use super::settled::Settled;
use super::vector::Reach;
use crate::cell::{self, Cell, CellKey, Digest, Edition, Join, digest_of};
use crate::code::Code;
use crate::event::system::{CellTerms, PopupPolicy};
use crate::id::EpochId;
use crate::lane::{Beacon, Cut};
use crate::limits;
use crate::slo::{Scope, Watch};
use crate::time::{Minute, Now};
use crate::view::{Live, Shift, Standing};

/// A cell as it came.
#[derive(Debug, Clone)]
struct Held {
    edition: Edition,
    bytes: Vec<u8>,
}

impl Held {
    fn cell(&self) -> Cell {
        Cell::decode(&*self.bytes).expect("only bytes that decoded are held")
    }
}

/// One life of a rig's journal.
#[derive(Debug, Clone, Default)]
struct Life {
    cells: BTreeMap<u32, Held>,
    to_seq: u64,
    /// The highest version among the cells ever held.
    top: u64,
    clear_ms: Option<i64>,
    /// A cell was refused since the cut last stood still: it must stand still once more.
    tainted: bool,
}

impl Life {
    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// One rig in one popup. Of the lives of an epoch the one with the smallest id counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Rig {
    epochs: BTreeMap<u32, BTreeMap<EpochId, Life>>,
    beacon: Option<Beacon>,
    forked: bool,
}

/// What a cell that was let go took along.
#[derive(Debug, Default)]
pub(super) struct LetGo {
    /// Bytes of the memory.
    pub(super) bytes: usize,
    /// Whether anything was there.
    pub(super) any: bool,
}

/// One popup.
#[derive(Debug, Clone, Default)]
pub(super) struct Holding {
    policy: Option<PopupPolicy>,
    /// What the books say of it.
    books: Option<Beacon>,
    rigs: BTreeMap<String, Rig>,
    minutes: BTreeMap<u32, usize>,
    live: Live,
    watch: Watch,
    fingerprint: u128,
    silent: BTreeSet<String>,
    revision: u64,
    /// When a cell was taken last, ms since 1970.
    news_ms: Option<i64>,
    /// What is left of a popup that is over; then nothing else is held but its policy.
    settled: Option<Settled>,
}

/// What became of a cell. Bytes `grown` and `shrunk` are those of the memory.
pub(super) enum Taken {
    /// It is the newest of its key now.
    Newest { grown: usize, shrunk: usize },
    /// It is no newer than what is held.
    Stale,
    /// It has the version of the held one and other bytes; the greater digest stays.
    Forked { grown: usize, shrunk: usize },
}

impl Rig {
    /// What is known of this rig beyond its cells. `wide` is its beacon for all popups.
    pub(super) fn standing<'a>(
        &'a self,
        name: &'a str,
        wide: Option<&'a Beacon>,
        heard: Now,
        silent: bool,
    ) -> Standing<'a> {
        let newest = |beacon: &&Beacon| (beacon.epoch, beacon.number);
        let own = self.beacon.as_ref();
        let beacon = own.into_iter().chain(wide).max_by_key(newest);
        let held = self.epochs.keys().next_back().copied();
        let epoch = held.into_iter().chain(beacon.map(|said| said.epoch)).max();
        let epoch = epoch.unwrap_or(0);
        let counting = |lives: &'a BTreeMap<EpochId, Life>| lives.first_key_value();
        let current = self.epochs.get(&epoch).and_then(counting);
        let cut = self.epochs.values().rev().filter_map(counting);
        let forked = self.forked || self.epochs.values().any(|lives| lives.len() > 1);
        Standing {
            rig: name,
            epoch,
            have_seq: current.map_or(0, |(_, life)| life.to_seq),
            clear_ms: cut.into_iter().find_map(|(_, life)| life.clear_ms),
            beacon,
            backlog: own.or(wide),
            heard,
            silent,
            forked,
        }
    }

    fn lives(&self) -> usize {
        self.epochs.values().map(BTreeMap::len).sum()
    }

    /// Lets the oldest life without a cell go; whether there was one. Its rig sends it no more, for
    /// nothing is in it.
    fn drop_empty_life(&mut self) -> bool {
        let empty = self.epochs.iter().find_map(|(epoch, lives)| {
            let (id, _) = lives.iter().find(|(_, life)| life.is_empty())?;
            Some((*epoch, *id))
        });
        let Some((epoch, id)) = empty else {
            return false;
        };
        let lives = self.epochs.get_mut(&epoch);
        if lives.is_some_and(|lives| lives.remove(&id).is_some() && lives.is_empty()) {
            self.epochs.remove(&epoch);
        }
        true
    }
}

impl Holding {
    /// Nothing held; what is promised is watched for `scope`.
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            watch: Watch::new(scope),
            ..Self::default()
        }
    }

    /// What is promised, watched.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The same, to look at what is new.
    pub(super) fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    pub(super) fn policy(&self) -> Option<&PopupPolicy> {
        self.policy.as_ref()
    }

    /// What is left, where its cells are gone.
    pub(super) fn settled(&self) -> Option<&Settled> {
        self.settled.as_ref()
    }

    /// The same, to merge what is left.
    pub(super) fn settled_mut(&mut self) -> Option<&mut Settled> {
        self.settled.as_mut()
    }

    /// Keeps this of the popup and lets its cells go; answers how many bytes those were.
    pub(super) fn settle(&mut self, settled: Settled) -> usize {
        let bytes = self.bytes();
        *self = Self {
            policy: self.policy.take(),
            revision: self.revision + 1,
            settled: Some(settled),
            ..Self::default()
        };
        bytes
    }

    /// Bytes of its cells.
    pub(super) fn bytes(&self) -> usize {
        let lives = self.rigs.values().flat_map(|rig| rig.epochs.values());
        let cells = lives
            .flat_map(BTreeMap::values)
            .flat_map(|life| life.cells.values());
        cells.map(|held| held.bytes.len()).sum()
    }

    /// When it ends, ms since 1970: with its window, where somebody signed for it. Else nobody says
    /// that it is over, so not before its last minute, nor before its last news: old days are replayed.
    /// `None` while nothing says.
    pub(super) fn ends_ms(&self) -> Option<i64> {
        let stated = self.policy.as_ref().filter(|policy| policy.is_stated());
        let ends_ms = stated.map(|policy| policy.ends_ms);
        if stated.is_some_and(|policy| policy.cells.is_some()) {
            return ends_ms;
        }
        let last = self.minutes.last_key_value();
        let last = last.map(|(last, _)| Minute(last.saturating_add(1)).start().0);
        ends_ms.max(last).max(self.news_ms)
    }

    /// Takes note that a cell came.
    pub(super) fn heard_news(&mut self, now: Now) {
        self.news_ms = self.news_ms.max(Some(now.wall.0));
    }

    /// Whether cells came and have stopped coming.
    pub(super) fn is_quiet(&self, now: Now) -> bool {
        let since_ms = self
            .news_ms
            .map(|news_ms| now.wall.0.saturating_sub(news_ms));
        since_ms.is_some_and(|since_ms| since_ms >= limits::REGION_QUIET_MS)
    }

    /// How long its cells stay.
    pub(super) fn cell_terms(&self) -> CellTerms {
        let said = self.policy.as_ref().and_then(|policy| policy.cells.clone());
        said.unwrap_or_else(CellTerms::usual)
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn rigs(&self) -> impl Iterator<Item = (&String, &Rig)> {
        self.rigs.iter()
    }

    pub(super) fn has_rig(&self, rig: &str) -> bool {
        self.rigs.contains_key(rig)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn changed(&mut self) {
        self.revision += 1;
    }

    /// The sum of the digests of all counting cells: equal sets of cells, equal sum.
    pub(super) fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint.to_le_bytes()
    }

    /// The greater is in force; of two policies of one rank, the greater bytes.
    pub(super) fn learn(&mut self, policy: &PopupPolicy) -> bool {
        let rank = |of: &PopupPolicy| (of.rank(), of.encode_to_vec());
        if self
            .policy
            .as_ref()
            .is_some_and(|held| rank(held) >= rank(policy))
        {
            return false;
        }
        self.policy = Some(policy.clone());
        true
    }

    /// Takes a beacon about this popup; false when it is no newer or passes a bound.
    pub(super) fn hear(&mut self, beacon: &Beacon) -> bool {
        if !self.has_rig(&beacon.rig) {
            if self.rigs.len() >= limits::REGION_RIGS_MAX {
                return false;
            }
            self.rigs.insert(beacon.rig.clone(), Rig::default());
        }
        let rig = self.rigs.get_mut(&beacon.rig);
        rig.is_some_and(|rig| replace_older(&mut rig.beacon, beacon))
    }

    /// Takes the word of the books; false when it is no newer.
    pub(super) fn hear_books(&mut self, word: &Beacon) -> bool {
        replace_older(&mut self.books, word)
    }

    /// What the books said last.
    pub(super) fn books(&self) -> Option<&Beacon> {
        self.books.as_ref()
    }

    /// Whether anybody told of it but the books, which remember every popup there was.
    pub(super) fn is_live(&self) -> bool {
        self.policy.is_some() || !self.rigs.is_empty()
    }

    /// Makes room for a life; false when a bound is passed. A life whose id is smaller than the one
    /// that counted takes its place.
    pub(super) fn admit(&mut self, name: &str, epoch: u32, id: EpochId) -> bool {
        let room = self.rigs.len() < limits::REGION_RIGS_MAX;
        if !self.has_rig(name) && !room {
            return false;
        }
        let rig = self.rigs.entry(String::from(name)).or_default();
        let known = rig.epochs.get(&epoch);
        if known.is_some_and(|lives| lives.contains_key(&id)) {
            return true;
        }
        if rig.lives() >= limits::REGION_EPOCHS_MAX && !rig.drop_empty_life() {
            return false;
        }
        let lives = rig.epochs.entry(epoch).or_default();
        let unseated = lives.first_key_value().filter(|(first, _)| id < **first);
        if let Some((_, life)) = unseated {
            for held in life.cells.values() {
                let watch = Some(&mut self.watch);
                shift(
                    &mut self.live,
                    &mut self.fingerprint,
                    watch,
                    Shift::Take,
                    held,
                );
            }
        }
        lives.insert(id, Life::default());
        true
    }

    /// Keeps a cell of an admitted life when it is the greater by (version, digest), `room` bytes
    /// permitting.
    pub(super) fn take(
        &mut self,
        cell: &Cell,
        bytes: &[u8],
        id: EpochId,
        room: usize,
    ) -> Result<Taken, Code> {
        let fits = self.minutes.len() < limits::REGION_MINUTES_MAX
            || self.minutes.contains_key(&cell.minute);
        let rig = self.rigs.get_mut(&cell.rig).ok_or(Code::Defect)?;
        let lives = rig.epochs.get_mut(&cell.epoch).ok_or(Code::Defect)?;
        let counts = lives
            .first_key_value()
            .is_some_and(|(first, _)| *first == id);
        let life = lives.get_mut(&id).ok_or(Code::Defect)?;
        let digest = digest_of(bytes);
        let held = life.cells.get(&cell.minute);
        let edition = (cell.version, digest);
        let forked = held.is_some_and(|held| cell::forked(&held.edition, &edition));
        let newer = held.is_none_or(|held| cell::join(&held.edition, &edition) == Join::Take);
        let news = forked && !rig.forked;
        rig.forked |= forked;
        if !newer {
            return Ok(match (forked, news) {
                (true, true) => Taken::Forked {
                    grown: 0,
                    shrunk: 0,
                },
                (true, false) | (false, _) => Taken::Stale,
            });
        }
        let shrunk = held.map_or(0, |held| held.bytes.len());
        if !fits || bytes.len() > room + shrunk {
            return Err(Code::RegionFull);
        }
        let fresh = Held {
            edition,
            bytes: bytes.to_vec(),
        };
        if counts {
            match held {
                Some(held) => {
                    let old = held.cell();
                    self.watch.shift(Shift::Take, &old);
                    self.live.replace(old, cell);
                    let gone = u128::from_le_bytes(held.edition.1);
                    self.fingerprint = self.fingerprint.wrapping_sub(gone);
                }
                None => self.live.shift(Shift::Add, cell),
            }
            self.watch.shift(Shift::Add, cell);
            self.fingerprint = self.fingerprint.wrapping_add(u128::from_le_bytes(digest));
        }
        life.top = life.top.max(cell.version);
        if life.cells.insert(cell.minute, fresh).is_none() {
            *self.minutes.entry(cell.minute).or_default() += 1;
        }
        let grown = bytes.len();
        Ok(if forked {
            Taken::Forked { grown, shrunk }
        } else {
            Taken::Newest { grown, shrunk }
        })
    }

    /// Lets a life go whose events went on under another epoch; the next smallest id counts.
    pub(super) fn let_go(&mut self, name: &str, id: EpochId) -> LetGo {
        let of = self.rigs.get(name).and_then(|rig| {
            let mut epochs = rig.epochs.iter();
            epochs.find(|(_, lives)| lives.contains_key(&id))
        });
        let Some(epoch) = of.map(|(epoch, _)| *epoch) else {
            return LetGo::default();
        };
        let Some(lives) = self
            .rigs
            .get_mut(name)
            .and_then(|rig| rig.epochs.get_mut(&epoch))
        else {
            return LetGo::default();
        };
        let counted = lives
            .first_key_value()
            .is_some_and(|(first, _)| *first == id);
        let Some(life) = lives.remove(&id) else {
            return LetGo::default();
        };
        let mut gone = LetGo {
            bytes: 0,
            any: true,
        };
        for (minute, held) in &life.cells {
            gone.bytes += held.bytes.len();
            if counted {
                let watch = Some(&mut self.watch);
                shift(
                    &mut self.live,
                    &mut self.fingerprint,
                    watch,
                    Shift::Take,
                    held,
                );
            }
            if let Some(count) = self.minutes.get_mut(minute) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.minutes.remove(minute);
                }
            }
        }
        if counted && let Some((_, next)) = lives.first_key_value() {
            for held in next.cells.values() {
                let watch = Some(&mut self.watch);
                shift(
                    &mut self.live,
                    &mut self.fingerprint,
                    watch,
                    Shift::Add,
                    held,
                );
            }
        }
        if lives.is_empty()
            && let Some(rig) = self.rigs.get_mut(name)
        {
            rig.epochs.remove(&epoch);
        }
        gone
    }

    /// Remembers that a cell of this life was refused.
    pub(super) fn taint(&mut self, rig: &str, epoch: u32, id: EpochId) {
        if let Some(life) = self.life_mut(rig, epoch, id) {
            life.tainted = true;
        }
    }

    /// Moves the cut when everything up to its start was received; whether anything changed.
    pub(super) fn advance(&mut self, cut: &Cut, id: EpochId) -> bool {
        let Some(life) = self.life_mut(&cut.rig, cut.epoch, id) else {
            return false;
        };
        if cut.to_seq < cut.from_seq || cut.from_seq > life.to_seq || cut.to_seq < life.to_seq {
            return false;
        }
        if life.tainted {
            // The last batch of a set ends the taint: the rig sees where the cut stands and sends
            // all from there again.
            life.tainted = cut.to_seq == cut.from_seq;
            return false;
        }
        let before = (life.to_seq, life.clear_ms);
        life.to_seq = cut.to_seq;
        // 0 is a sender that has not sent everything once yet.
        life.clear_ms = life
            .clear_ms
            .max(Some(cut.clear_ms).filter(|clear_ms| *clear_ms > 0));
        before != (life.to_seq, life.clear_ms)
    }

    /// (to_seq, clear_ms) of one life, zeros when there is none.
    pub(super) fn cut(&self, rig: &str, epoch: u32, id: EpochId) -> (u64, i64) {
        let lives = self.rigs.get(rig).and_then(|rig| rig.epochs.get(&epoch));
        let life = lives.and_then(|lives| lives.get(&id));
        life.map_or((0, 0), |life| (life.to_seq, life.clear_ms.unwrap_or(0)))
    }

    /// Takes note of who is silent; a change is a change of the view.
    pub(super) fn watch_silence(&mut self, is_silent: impl Fn(&str) -> bool) {
        let silent: BTreeSet<_> = self
            .rigs
            .keys()
            .filter(|rig| is_silent(rig))
            .cloned()
            .collect();
        if silent != self.silent {
            self.silent = silent;
            self.changed();
        }
    }

    pub(super) fn digests(&self, popup: &str) -> BTreeMap<CellKey, (u64, Digest)> {
        let key = |rig: &str, epoch: u32, minute: u32| CellKey {
            popup: String::from(popup),
            rig: String::from(rig),
            epoch,
            minute,
        };
        self.counting()
            .map(|(rig, epoch, minute, held)| (key(rig, epoch, minute), held.edition))
            .collect()
    }

    /// The state as it follows from the cells alone.
    pub(super) fn cells(&self) -> Vec<Vec<u8>> {
        self.counting()
            .map(|(_, _, _, held)| held.bytes.clone())
            .collect()
    }

    pub(super) fn recompute(&self) -> Live {
        let mut live = Live::with_names(self.live.names().clone());
        for (.., held) in self.counting() {
            shift(&mut live, &mut 0, None, Shift::Add, held);
        }
        live
    }

    /// Replaces the running state when it differs from its recomputation; whether it did.
    pub(super) fn repair(&mut self) -> bool {
        let live = self.recompute();
        let differs = live != self.live;
        if differs {
            self.live = live;
            self.changed();
        }
        differs
    }

    /// The minute that follows `after` and has cells; from the first again after the last.
    pub(super) fn minute_after(&self, after: u32) -> Option<u32> {
        let next = self.minutes.range(after.saturating_add(1)..).next();
        let next = next.or_else(|| self.minutes.first_key_value());
        next.map(|(minute, _)| *minute)
    }

    /// Whether one minute of the running state is what its cells say; the whole state is replaced
    /// when it is not, and the answer is true.
    pub(super) fn repair_minute(&mut self, minute: u32) -> bool {
        let mut live = Live::with_names(self.live.names().clone());
        for rig in self.rigs.values() {
            let lives = rig.epochs.values().filter_map(BTreeMap::first_key_value);
            let held = lives.filter_map(|(_, life)| life.cells.get(&minute));
            held.for_each(|held| shift(&mut live, &mut 0, None, Shift::Add, held));
        }
        !live.same_minute(&self.live, minute) && self.repair()
    }

    /// How far the counting life of each epoch of each rig is held.
    pub(super) fn reaches(&self) -> impl Iterator<Item = (&str, u32, Reach)> {
        self.rigs.iter().flat_map(|(name, rig)| {
            let lives = rig.epochs.iter();
            lives.filter_map(move |(epoch, lives)| {
                let (_, life) = lives.first_key_value()?;
                let (cut, top) = (life.to_seq, life.top.max(life.to_seq));
                Some((name.as_str(), *epoch, Reach { cut, top }))
            })
        })
    }

    /// All lives, those that do not count too.
    pub(super) fn stands(&self, popup: &str) -> Vec<Stand> {
        let mut stands = Vec::new();
        for (name, rig) in &self.rigs {
            for (epoch, lives) in &rig.epochs {
                stands.extend(lives.iter().map(|(id, life)| Stand {
                    life: super::Life {
                        popup: String::from(popup),
                        rig: name.clone(),
                        epoch: *epoch,
                        epoch_id: *id,
                    },
                    to_seq: life.to_seq,
                    clear_ms: life.clear_ms.unwrap_or(0),
                }));
            }
        }
        stands
    }

    pub(super) fn cells_above(&self, of: &super::Life, seq: u64) -> Vec<(u32, u64, Digest)> {
        let cells = self.life(of).into_iter().flat_map(|life| &life.cells);
        let above = cells.filter(|(_, held)| held.edition.0 > seq);
        above
            .map(|(minute, held)| (*minute, held.edition.0, held.edition.1))
            .collect()
    }

    pub(super) fn cell(&self, of: &super::Life, minute: u32) -> Option<&[u8]> {
        Some(&self.life(of)?.cells.get(&minute)?.bytes)
    }

    pub(super) fn beacons(&self) -> impl Iterator<Item = &Beacon> {
        let of_rigs = self.rigs.values().filter_map(|rig| rig.beacon.as_ref());
        of_rigs.chain(&self.books)
    }

    fn life(&self, of: &super::Life) -> Option<&Life> {
        self.rigs
            .get(&of.rig)?
            .epochs
            .get(&of.epoch)?
            .get(&of.epoch_id)
    }

    /// Rig, epoch, minute and version of each counting cell.
    pub(super) fn editions(&self) -> impl Iterator<Item = (&str, u32, u32, u64)> {
        let counting = self.counting();
        counting.map(|(rig, epoch, minute, held)| (rig, epoch, minute, held.edition.0))
    }

    pub(super) fn gauges(&self) -> Vec<(&'static str, usize, usize)> {
        let lives = self.rigs.values().map(Rig::lives).max().unwrap_or(0);
        let mut gauges = Vec::from(self.live.names().gauges());
        gauges.extend([
            ("rigs of a popup", self.rigs.len(), limits::REGION_RIGS_MAX),
            ("epochs of a rig", lives, limits::REGION_EPOCHS_MAX),
            (
                "minutes of a popup",
                self.minutes.len(),
                limits::REGION_MINUTES_MAX,
            ),
        ]);
        gauges
    }

    fn counting(&self) -> impl Iterator<Item = (&str, u32, u32, &Held)> {
        self.rigs.iter().flat_map(|(name, rig)| {
            let lives = rig.epochs.iter();
            let counting = lives.filter_map(|(epoch, lives)| {
                let (_, life) = lives.first_key_value()?;
                Some((*epoch, life))
            });
            counting.flat_map(move |(epoch, life)| {
                let cells = life.cells.iter();
                cells.map(move |(minute, held)| (name.as_str(), epoch, *minute, held))
            })
        })
    }

    fn life_mut(&mut self, rig: &str, epoch: u32, id: EpochId) -> Option<&mut Life> {
        let lives = self.rigs.get_mut(rig)?.epochs.get_mut(&epoch)?;
        lives.get_mut(&id)
    }
}

/// Adds a held cell to the running state, or takes it away.
fn shift(
    live: &mut Live,
    fingerprint: &mut u128,
    watch: Option<&mut Watch>,
    by: Shift,
    held: &Held,
) {
    let cell = held.cell();
    live.shift(by, &cell);
    if let Some(watch) = watch {
        watch.shift(by, &cell);
    }
    let digest = u128::from_le_bytes(held.edition.1);
    *fingerprint = match by {
        Shift::Add => fingerprint.wrapping_add(digest),
        Shift::Take => fingerprint.wrapping_sub(digest),
    };
}

#[cfg(test)]
impl Holding {
    /// Counts the first cell twice, as a defect would.
    pub(super) fn damage(&mut self) {
        let first = self.counting().next().map(|(.., held)| held.clone());
        shift(
            &mut self.live,
            &mut 0,
            None,
            Shift::Add,
            &first.expect("the test holds a cell"),
        );
    }
}
