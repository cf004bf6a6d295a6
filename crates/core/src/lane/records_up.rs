//! The sending end of the records lane: one rig's journal to its ledger.
//!
//! ```text
//!            hello                     positions differ
//!   Greet ──────────► Greeting ──────► Counting ─┐
//!     ▲                  │ same          ▲       ▼
//!     │                  └───────────────│► Idle ◄──────────┐
//!     │  refused, not admitted           │  │ work          │ ack
//!     ├── (after the retry) ◄── failure ─│─ Loading ─► Ready ─► Sending
//!     └────────── no new epoch ─── Forking ◄──────────── fork ──┘
//! ```
//!
//! What always holds: at most one batch is under way; a position only moves on the word of the
//! ledger, never beyond what is durable here and only for the epoch id it named; what opens an epoch
//! goes first, then trunk before bulk, 80 : 20 by bytes while both wait; ranges the ledger asks for
//! again are sent exactly. A record that the ledger cannot take holds nothing up: see [`suspect`].
//! Memory does not grow with the backlog: what is unsent is a [`Tally`], not a list.

mod cut;
mod ends;
mod suspect;
mod tally;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::Cursor;
use crate::id::{Epoch, EpochId, JournalId, RigId, Seq};
use crate::lane::retry::Retry;
use crate::lane::{EpochHeld, PROTOCOL, PeerFault, RecordAck, RecordBatch, Stretch};
use crate::limits::{
    ACK_RANGES_MAX, BATCH_BYTES_MIN, BATCH_ITEMS_MAX, BATCH_OPENING_ITEMS, BATCH_WIRE_BYTES_MAX,
    RETRY_MS_MAX, RETRY_MS_MIN,
};
use crate::record::Record;
use crate::time::MonoMs;
use cut::{chain_bytes, cut_at, frame_bytes, items_upto};
use suspect::Suspect;
pub use tally::Tally;

/// Of what is sent while both wait, bulk gets one byte for so many of the trunk.
const TRUNK_PER_BULK: u64 = 4;

/// A stretch the lane wants from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Which epoch.
    pub epoch: Epoch,
    /// For which cursor.
    pub cursor: Cursor,
    /// From which seq on.
    pub from: Seq,
    /// At most this many items.
    pub items_max: usize,
    /// At most about this many bytes of frames.
    pub bytes_max: usize,
}

/// What the lane asks of its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Read from the journal, then call [`RecordsUp::loaded`].
    Load(Want),
    /// Send to the ledger, then call [`RecordsUp::acked`] or [`RecordsUp::failed`].
    Send(RecordBatch),
}

/// One epoch as the lane sees it.
#[derive(Debug, Clone)]
struct Upstream {
    epoch_id: EpochId,
    last: Seq,
    acked: BTreeMap<Cursor, Seq>,
    /// Its events went on under another epoch: nothing of it is sent.
    void: bool,
    /// The ledger holds another history under its number.
    forked: bool,
}

/// A range the ledger asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again {
    epoch: Epoch,
    cursor: Cursor,
    first: Seq,
    last: Seq,
}

impl Upstream {
    fn is_left(&self) -> bool {
        self.forked && !self.void
    }

    fn waits(&self, cursor: Cursor) -> bool {
        !self.void && !self.forked && self.acked(cursor) < self.last
    }

    fn acked(&self, cursor: Cursor) -> Seq {
        self.acked.get(&cursor).copied().unwrap_or(Seq::NONE)
    }
}

#[derive(Debug, Clone)]
enum Phase {
    Greet,
    Greeting,
    /// What the ledger lacks is read once to count it; `next` is the first uncounted seq.
    Counting {
        next: BTreeMap<(Epoch, Cursor), Seq>,
        tally: Tally,
        asked: bool,
    },
    Idle,
    Loading(Want),
    Ready(Want, Stretch),
    Sending {
        want: Want,
        last: Seq,
        items: usize,
        /// Bytes of its frames.
        bytes: u64,
        tally: Tally,
    },
    /// The journal was asked for another epoch; if none comes the ledger is asked again.
    Forking {
        until: MonoMs,
    },
}

/// How the lane stands with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not heard yet, or heard and well.
    Fine,
    /// The ledger does not accept this rig.
    NotAdmitted,
    /// Another journal uses this rig's name; its epochs must start at this number.
    Forked(u32),
}

/// The sending end.
#[derive(Debug, Clone)]
pub struct RecordsUp {
    rig: RigId,
    journal_id: JournalId,
    epochs: BTreeMap<Epoch, Upstream>,
    phase: Phase,
    retry: Retry,
    unsent: Tally,
    items_max: usize,
    bytes_max: usize,
    /// Bytes sent while both cursors wait: trunk, bulk.
    shared: (u64, u64),
    /// Ranges the ledger asked for again, in its order.
    again: Vec<Again>,
    suspect: Option<Suspect>,
    /// The next epoch the ledger asks for, until the driver is told.
    fork: Option<u32>,
    standing: Standing,
    nonsense: u64,
    quarantined: u64,
    /// What the books reconciled, by epoch.
    reconciled: BTreeMap<Epoch, Seq>,
    /// How far the ledger said it holds epochs that ended earlier here, and what of it was not told
    /// to the journal yet.
    beyond: BTreeMap<Epoch, Seq>,
    claims: Vec<(Epoch, Seq)>,
}

impl RecordsUp {
    /// A lane that has not spoken to its ledger yet.
    #[must_use]
    pub fn new(rig: RigId, journal_id: JournalId) -> Self {
        let retry = Retry::new(&rig);
        Self {
            rig,
            journal_id,
            epochs: BTreeMap::new(),
            phase: Phase::Greet,
            retry,
            unsent: Tally::default(),
            items_max: BATCH_ITEMS_MAX,
            bytes_max: BATCH_WIRE_BYTES_MAX,
            shared: (0, 0),
            again: Vec::new(),
            suspect: None,
            fork: None,
            standing: Standing::Fine,
            nonsense: 0,
            quarantined: 0,
            reconciled: BTreeMap::new(),
            beyond: BTreeMap::new(),
            claims: Vec::new(),
        }
    }

    /// Makes an epoch known with what the journal remembers of the ledger's word about it.
    pub fn epoch(&mut self, epoch: Epoch, epoch_id: EpochId, trunk: Seq, bulk: Seq) {
        let acked = BTreeMap::from([(Cursor::Trunk, trunk), (Cursor::Bulk, bulk)]);
        self.epochs.insert(
            epoch,
            Upstream {
                epoch_id,
                last: Seq::NONE,
                acked,
                void: false,
                forked: false,
            },
        );
    }

    /// The epoch the ledger wants this rig to go on in at least, once per fork.
    pub fn take_fork(&mut self) -> Option<u32> {
        self.fork.take()
    }

    /// A record became durable. Unknown epochs must be made known first.
    pub fn durable(&mut self, epoch: Epoch, seq: Seq, record: &Record) {
        let upstream = self
            .epochs
            .get_mut(&epoch)
            .expect("an epoch is known before its records");
        upstream.last = upstream.last.max(seq);
        let counting = matches!(self.phase, Phase::Counting { .. });
        if !counting && seq > upstream.acked(record.event.class().cursor()) {
            self.unsent.add(&record.event);
        }
    }

    /// Counts records as unsent that are not told one by one.
    pub fn untold(&mut self, backlog: &Tally) {
        self.unsent.add_all(backlog);
    }

    /// The end of an epoch whose last records are lost or void: the seqs up to here are accounted
    /// for by skips.
    pub fn ended(&mut self, epoch: Epoch, last: Seq) {
        if let Some(upstream) = self.epochs.get_mut(&epoch) {
            upstream.last = upstream.last.max(last);
        }
    }

    /// What to do next; call until `None`.
    pub fn poll(&mut self, now: MonoMs) -> Option<Ask> {
        match &mut self.phase {
            Phase::Forking { until } if *until <= now => {
                self.phase = Phase::Greet;
                for upstream in self.epochs.values_mut() {
                    upstream.forked = false;
                }
                self.poll(now)
            }
            Phase::Greet if self.retry.is_due(now) => {
                self.phase = Phase::Greeting;
                Some(Ask::Send(self.envelope()))
            }
            Phase::Counting { next, tally, asked } => {
                if *asked || !self.retry.is_due(now) {
                    return None;
                }
                let uncounted = next.iter().find(|((epoch, _), from)| {
                    self.epochs
                        .get(epoch)
                        .is_some_and(|upstream| !upstream.void && **from <= upstream.last)
                });
                let Some(((epoch, cursor), from)) = uncounted else {
                    self.unsent = core::mem::take(tally);
                    self.phase = Phase::Idle;
                    return self.poll(now);
                };
                let want = Want {
                    epoch: *epoch,
                    cursor: *cursor,
                    from: *from,
                    items_max: BATCH_ITEMS_MAX,
                    bytes_max: BATCH_WIRE_BYTES_MAX,
                };
                *asked = true;
                Some(Ask::Load(want))
            }
            Phase::Idle if self.retry.is_due(now) => {
                let Some(want) = self.next_want() else {
                    return self.leave_forked(now);
                };
                self.phase = Phase::Loading(want);
                Some(Ask::Load(want))
            }
            Phase::Ready(want, _) => {
                let want = *want;
                let Phase::Ready(_, stretch) = core::mem::replace(&mut self.phase, Phase::Idle)
                else {
                    unreachable!("the phase was matched above")
                };
                Some(Ask::Send(self.batch(want, stretch)))
            }
            Phase::Greet
            | Phase::Idle
            | Phase::Greeting
            | Phase::Loading(_)
            | Phase::Sending { .. }
            | Phase::Forking { .. } => None,
        }
    }

    /// When [`Self::poll`] will have something to do without further input.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        match self.phase {
            Phase::Greet => Some(self.retry.due_at()),
            Phase::Idle => {
                let waits = !self.again.is_empty()
                    || self.next_cursor().is_some()
                    || self.epochs.values().any(Upstream::is_left);
                waits.then(|| self.retry.due_at())
            }
            Phase::Forking { until } => Some(until),
            Phase::Counting { asked: false, .. } => Some(self.retry.due_at()),
            Phase::Ready(..) => Some(MonoMs(0)),
            Phase::Counting { asked: true, .. }
            | Phase::Greeting
            | Phase::Loading(_)
            | Phase::Sending { .. } => None,
        }
    }

    /// The journal read what was wanted; an empty stretch says that it could not, and is wanted
    /// again a little later.
    pub fn loaded(&mut self, want: Want, stretch: Stretch, now: MonoMs) {
        let nothing = stretch.last_seq < want.from;
        if nothing {
            self.retry.told_to_wait(now, RETRY_MS_MIN);
        }
        match &mut self.phase {
            Phase::Counting { asked, .. } if nothing => *asked = false,
            Phase::Counting { next, tally, asked } => {
                *asked = false;
                // The journal may hold records that nobody was told of yet; those count when told.
                let upstream = self.epochs.get(&want.epoch);
                let known = upstream.map_or(Seq::NONE, |upstream| upstream.last);
                tally.add_all(&Tally::of_items(items_upto(&stretch, known)));
                let counted = stretch.last_seq.min(known);
                next.insert((want.epoch, want.cursor), counted.next());
            }
            Phase::Loading(wanted) if *wanted == want && stretch.last_seq >= want.from => {
                self.phase = Phase::Ready(want, stretch);
            }
            Phase::Loading(_) => self.phase = Phase::Idle,
            Phase::Greet
            | Phase::Greeting
            | Phase::Idle
            | Phase::Ready(..)
            | Phase::Sending { .. }
            | Phase::Forking { .. } => {}
        }
    }

    /// The ledger answered.
    pub fn acked(&mut self, ack: &RecordAck, now: MonoMs) {
        self.retry.worked(now, u64::from(ack.delay_ms));
        self.obey_wishes(ack);
        let told = (Epoch(ack.epoch), Seq(ack.reconciled_seq));
        if let Some(upstream) = self.epochs.get(&told.0)
            && told.1 > Seq::NONE
            && told.1 <= upstream.last
        {
            self.reconciled.insert(told.0, told.1);
        }
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Greeting => {
                if !matches!(self.standing, Standing::Forked(_)) {
                    self.standing = Standing::Fine;
                }
                self.greeted(ack);
                self.asked_again(ack);
            }
            Phase::Sending {
                want,
                last,
                bytes,
                tally,
                ..
            } => {
                self.share(want.cursor, bytes);
                self.batch_acked(want, last, &tally, ack, now);
            }
            // An answer nobody waits for: the exchange was given up before.
            other @ (Phase::Greet
            | Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)
            | Phase::Forking { .. }) => self.phase = other,
        }
    }

    /// Without a wish what was halved grows again.
    fn obey_wishes(&mut self, ack: &RecordAck) {
        let size = |wish: u32| usize::try_from(wish).unwrap_or(usize::MAX);
        self.items_max = match size(ack.max_items) {
            0 => self.items_max.saturating_mul(2).min(BATCH_ITEMS_MAX),
            wish => wish.min(BATCH_ITEMS_MAX),
        };
        self.bytes_max = match size(ack.max_bytes) {
            0 => self.bytes_max.saturating_mul(2).min(BATCH_WIRE_BYTES_MAX),
            wish => wish.clamp(BATCH_BYTES_MIN, BATCH_WIRE_BYTES_MAX),
        };
    }

    /// The exchange failed.
    pub fn failed(&mut self, fault: PeerFault, now: MonoMs) {
        match fault {
            PeerFault::Busy(delay_ms) => self.retry.told_to_wait(now, delay_ms),
            PeerFault::TooLarge => {
                self.items_max = (self.items_max / 2).max(1);
                self.bytes_max = (self.bytes_max / 2).max(BATCH_BYTES_MIN);
                self.retry.failed(now);
            }
            PeerFault::NotAdmitted => {
                self.standing = Standing::NotAdmitted;
                self.retry.failed(now);
            }
            PeerFault::Nonsense => {
                self.nonsense += 1;
                self.retry.failed(now);
            }
            PeerFault::Forked(_) | PeerFault::Unreachable | PeerFault::Refused => {
                self.retry.failed(now);
            }
        }
        self.phase = match core::mem::replace(&mut self.phase, Phase::Greet) {
            Phase::Greeting | Phase::Greet => Phase::Greet,
            Phase::Sending {
                want,
                last,
                items,
                bytes,
                ..
            } => {
                if matches!(fault, PeerFault::Refused) {
                    self.share(want.cursor, bytes);
                }
                self.sending_failed(fault, (want, last, items))
            }
            other @ (Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)
            | Phase::Forking { .. }) => other,
        };
    }

    fn sending_failed(
        &mut self,
        fault: PeerFault,
        (want, last, items): (Want, Seq, usize),
    ) -> Phase {
        match fault {
            PeerFault::Refused => {
                let of = (want.epoch, want.cursor);
                let span = (want.from, last);
                self.suspect = Some(Suspect::refused(self.suspect, of, span, items));
                Phase::Idle
            }
            PeerFault::Forked(next_epoch) => {
                self.forked(want.epoch, next_epoch);
                Phase::Idle
            }
            PeerFault::Unreachable
            | PeerFault::Busy(_)
            | PeerFault::TooLarge
            | PeerFault::NotAdmitted
            | PeerFault::Nonsense => Phase::Idle,
        }
    }

    fn forked(&mut self, epoch: Epoch, next_epoch: u32) {
        let next_epoch = match self.standing {
            Standing::Forked(before) => next_epoch.max(before),
            Standing::Fine | Standing::NotAdmitted => next_epoch,
        };
        self.standing = Standing::Forked(next_epoch);
        if let Some(upstream) = self.epochs.get_mut(&epoch) {
            upstream.forked = true;
        }
    }

    /// What the ledger takes is sent before a forked epoch is left: the journal appends the events of
    /// every epoch again that is not wholly acknowledged.
    fn leave_forked(&mut self, now: MonoMs) -> Option<Ask> {
        if self.epochs.values().any(Upstream::is_left)
            && let Standing::Forked(next_epoch) = self.standing
        {
            self.fork = Some(next_epoch);
            let until = now.after(RETRY_MS_MAX);
            self.phase = Phase::Forking { until };
        }
        None
    }

    /// What the ledger does not hold yet, of all epochs.
    #[must_use]
    pub fn unsent(&self) -> &Tally {
        &self.unsent
    }

    /// How far the ledger holds an epoch: (trunk, bulk).
    #[must_use]
    pub fn positions(&self, epoch: Epoch) -> (Seq, Seq) {
        self.epochs
            .get(&epoch)
            .map_or((Seq::NONE, Seq::NONE), |upstream| {
                (upstream.acked(Cursor::Trunk), upstream.acked(Cursor::Bulk))
            })
    }

    /// How far the ledger holds every epoch, for the next seal.
    #[must_use]
    pub fn all_positions(&self) -> Vec<EpochHeld> {
        let held = |(epoch, upstream): (&Epoch, &Upstream)| EpochHeld {
            epoch: epoch.0,
            epoch_id: upstream.epoch_id.0.to_vec(),
            trunk_seq: upstream.acked(Cursor::Trunk).0,
            bulk_seq: upstream.acked(Cursor::Bulk).0,
        };
        let counting = self.epochs.iter().filter(|(_, upstream)| !upstream.void);
        counting.map(held).collect()
    }

    /// Since when the ledger is out of reach, `None` while it answers.
    #[must_use]
    pub fn down_since(&self) -> Option<MonoMs> {
        self.retry.down_since()
    }

    /// Whether everything durable here is held there.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Idle)
            && self.again.is_empty()
            && self.next_cursor().is_none()
            && !self.epochs.values().any(Upstream::is_left)
    }

    /// How the lane stands with the ledger.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Answers that made no sense and were ignored.
    #[must_use]
    pub fn nonsense(&self) -> u64 {
        self.nonsense
    }

    /// Records of which the ledger keeps the bytes only, as it told.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.quarantined
    }

    fn greeted(&mut self, ack: &RecordAck) {
        let mut moved = false;
        let newest = self.epochs.keys().next_back().copied();
        let counting = self.epochs.iter_mut().filter(|(_, of)| !of.void);
        for (epoch, upstream) in counting {
            let held = ack.epochs.iter().find(|held| held.epoch == epoch.0);
            let held = held.filter(|held| held.epoch_id == upstream.epoch_id.0);
            // No further than both cursors: above that a clone of this rig may still have records to
            // send, and a gap told by this one would stand in their place.
            let whole = held.map_or(Seq::NONE, |held| Seq(held.trunk_seq.min(held.bulk_seq)));
            let is_news = self.beyond.get(epoch) < Some(&whole);
            if whole > upstream.last && Some(*epoch) != newest && is_news {
                self.beyond.insert(*epoch, whole);
                self.claims.push((*epoch, whole));
            }
            for cursor in Cursor::ALL {
                let position = held.map_or(Seq::NONE, |held| match cursor {
                    Cursor::Trunk => Seq(held.trunk_seq),
                    Cursor::Bulk => Seq(held.bulk_seq),
                });
                if position > upstream.last && Some(*epoch) == newest {
                    // Of the epoch that is written here nobody can hold more than is durable here.
                    self.nonsense += 1;
                    continue;
                }
                let position = position.min(upstream.last);
                moved |= position != upstream.acked(cursor);
                upstream.acked.insert(cursor, position);
            }
        }
        if moved {
            self.count();
        }
    }

    /// Counts anew what the ledger lacks.
    fn count(&mut self) {
        let next = self.epochs.iter().flat_map(|(epoch, upstream)| {
            Cursor::ALL.map(|cursor| ((*epoch, cursor), upstream.acked(cursor).next()))
        });
        self.phase = Phase::Counting {
            next: next.collect(),
            tally: Tally::default(),
            asked: false,
        };
    }

    /// Takes over the ranges the ledger asks for: those that exist here and that it passed.
    fn asked_again(&mut self, ack: &RecordAck) {
        self.again.clear();
        for range in ack.want.iter().take(ACK_RANGES_MAX) {
            let epoch = Epoch(range.epoch);
            let (first, last) = (Seq(range.first), Seq(range.last));
            let exists = self
                .epochs
                .get(&epoch)
                .is_some_and(|of| !of.void && last <= of.last);
            if !exists || range.first == 0 || first > last {
                self.nonsense += 1;
                continue;
            }
            let cursors = Cursor::ALL
                .into_iter()
                .filter(|cursor| range.cursor == 0 || range.cursor == *cursor as u32);
            self.again.extend(cursors.map(|cursor| Again {
                epoch,
                cursor,
                first,
                last,
            }));
        }
    }

    fn batch_acked(&mut self, want: Want, last: Seq, tally: &Tally, ack: &RecordAck, now: MonoMs) {
        // Of a closed epoch the ledger may hold more than a journal restored from a backup.
        let newest = self.epochs.keys().next_back().copied();
        // Its records went while they were on their way once more.
        let Some(upstream) = self.epochs.get_mut(&want.epoch) else {
            return;
        };
        let told = match want.cursor {
            Cursor::Trunk => Seq(ack.trunk_seq),
            Cursor::Bulk => Seq(ack.bulk_seq),
        };
        let held = ack.epochs.iter().find(|held| held.epoch == want.epoch.0);
        let other_life = held.is_some_and(|held| held.epoch_id != upstream.epoch_id.0);
        let beyond = told > upstream.last && (Some(want.epoch) == newest || held.is_none());
        if ack.epoch != want.epoch.0 || beyond || other_life {
            self.nonsense += 1;
            self.retry.failed(now);
            return;
        }
        // Another record stands where ours should: ours must come under another epoch.
        if ack.not_ok.iter().any(|odd| odd.verdict == "other_bytes") {
            self.forked(want.epoch, 0);
            return;
        }
        let kept_unread = ack.not_ok.iter().filter(|odd| odd.verdict == "quarantined");
        self.quarantined += kept_unread.count() as u64;
        self.suspect = self
            .suspect
            .and_then(|suspect| suspect.taken(want.epoch, want.cursor, last));
        let joins = upstream.acked(want.cursor).next() == want.from;
        if joins && told == last {
            upstream.acked.insert(want.cursor, told);
            self.unsent.subtract(tally);
        } else if held.is_some() {
            // The ledger stands elsewhere than this batch would put it: what is unsent is counted
            // anew from where it says it stands.
            let before = self.all_positions();
            self.greeted(ack);
            let asks = !ack.want.is_empty();
            if before == self.all_positions() && !asks {
                self.retry.told_to_wait(now, RETRY_MS_MIN);
            }
        } else {
            self.phase = Phase::Greet;
        }
        if !self.epochs.values().any(Upstream::is_left) {
            self.standing = Standing::Fine;
        }
        self.asked_again(ack);
    }

    fn next_cursor(&self) -> Option<Cursor> {
        let waits = |cursor: Cursor| self.epochs.values().any(|upstream| upstream.waits(cursor));
        let (trunk, bulk) = self.shared;
        match (waits(Cursor::Trunk), waits(Cursor::Bulk)) {
            (true, true) if trunk > bulk.saturating_mul(TRUNK_PER_BULK) => Some(Cursor::Bulk),
            (true, _) => Some(Cursor::Trunk),
            (false, true) => Some(Cursor::Bulk),
            (false, false) => None,
        }
    }

    /// What opens an epoch goes first, so that the ledger learns of ends and gaps; then the oldest.
    fn next_of(&self, cursor: Cursor) -> Option<(Epoch, usize)> {
        let mut waiting = self.epochs.iter().filter(|(_, of)| of.waits(cursor));
        let (oldest, _) = waiting.next()?;
        let unopened = |of: &Upstream| of.acked(cursor) == Seq::NONE;
        let opens = waiting.find(|(_, of)| cursor == Cursor::Trunk && unopened(of));
        Some(match opens {
            Some((epoch, _)) => (*epoch, BATCH_OPENING_ITEMS.min(self.items_max)),
            None => (*oldest, self.items_max),
        })
    }

    fn next_want(&mut self) -> Option<Want> {
        if let Some(again) = self.again.first() {
            return Some(self.sized(again.epoch, again.cursor, again.first, self.items_max));
        }
        let cursor = self.next_cursor()?;
        let (epoch, items_max) = self.next_of(cursor)?;
        let from = self.epochs.get(&epoch)?.acked(cursor).next();
        Some(self.sized(epoch, cursor, from, items_max))
    }

    fn sized(&self, epoch: Epoch, cursor: Cursor, from: Seq, items_max: usize) -> Want {
        let suspect = self.suspect.filter(|of| of.is_at(epoch, cursor, from));
        let items_max = suspect.map_or(items_max, |of| of.items_max.min(items_max));
        Want {
            epoch,
            cursor,
            from,
            items_max,
            bytes_max: self.bytes_max,
        }
    }

    /// Notes how the cursors share the link; while only one waits there is nothing to share.
    fn share(&mut self, cursor: Cursor, bytes: u64) {
        let waits = |of: Cursor| self.epochs.values().any(|upstream| upstream.waits(of));
        if !Cursor::ALL.into_iter().all(waits) {
            self.shared = (0, 0);
            return;
        }
        match cursor {
            Cursor::Trunk => self.shared.0 = self.shared.0.saturating_add(bytes),
            Cursor::Bulk => self.shared.1 = self.shared.1.saturating_add(bytes),
        }
    }

    fn batch(&mut self, want: Want, mut stretch: Stretch) -> RecordBatch {
        let asked = self.again.first().copied().filter(|again| {
            (again.epoch, again.cursor, again.first) == (want.epoch, want.cursor, want.from)
        });
        if let Some(asked) = asked {
            cut_at(&mut stretch, asked.last);
            self.again.remove(0);
        }
        let upstream = self
            .epochs
            .get(&want.epoch)
            .expect("a loaded epoch stays known");
        let epoch_id = upstream.epoch_id;
        let suspect = self
            .suspect
            .filter(|of| of.is_at(want.epoch, want.cursor, want.from));
        let quarantined = suspect.is_some_and(|of| of.alone) && stretch.items.len() == 1;
        self.phase = Phase::Sending {
            want,
            last: stretch.last_seq,
            items: stretch.items.len(),
            bytes: frame_bytes(&stretch.items),
            tally: Tally::of_items(&stretch.items),
        };
        RecordBatch {
            epoch: want.epoch.0,
            epoch_id: epoch_id.0.to_vec(),
            cursor: want.cursor as u32,
            first_seq: stretch.first_seq.0,
            items: stretch.items,
            chain_before: chain_bytes(stretch.chain_before),
            chain_after: chain_bytes(stretch.chain_after),
            quarantined,
            ..self.envelope()
        }
    }

    fn envelope(&self) -> RecordBatch {
        RecordBatch {
            protocol: PROTOCOL,
            rig: String::from(&self.rig),
            journal_id: self.journal_id.0.to_vec(),
            ..RecordBatch::default()
        }
    }
}

#[cfg(test)]
mod tests;
