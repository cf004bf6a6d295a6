//! The sending end of the records lane: one rig's journal to its ledger.
//!
//! ```text
//!            hello                     positions differ
//!   Greet ──────────► Greeting ──────► Counting ─┐
//!     ▲                  │ same                  ▼
//!     │                  └──────────────► Idle ◄──────────┐
//!     │  not admitted, fork                │ work          │ ack
//!     └── (after the retry) ◄── failure ── Loading ─► Ready ─► Sending
//! ```
//!
//! What always holds: at most one batch is under way; a position only moves on the word of the
//! ledger, never beyond what is durable here and only for the epoch id it named; trunk goes before
//! bulk, with every fifth batch for bulk while both wait. Memory does not grow with the backlog:
//! what is unsent is a [`Tally`], not a list.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::{Cursor, Event};
use crate::id::{Epoch, EpochId, JournalId, RigId, Seq};
use crate::lane::retry::Retry;
use crate::lane::{
    EpochHeld, FRAME_HEADER_BYTES, Item, ItemBody, PROTOCOL, PeerFault, RecordAck, RecordBatch,
    Stretch,
};
use crate::limits::{BATCH_ITEMS_MAX, BATCH_WIRE_BYTES_MAX, RETRY_MS_MIN};
use crate::money::Currency;
use crate::record::{self, Record};
use crate::time::MonoMs;

/// Records, sales and money of some set of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records of every class.
    pub records: u64,
    /// Captures.
    pub sales: u64,
    /// Captured minus refunded, minor units per currency.
    pub money: BTreeMap<Currency, i64>,
}

impl Tally {
    /// Counts one record in.
    pub fn add(&mut self, event: &Event) {
        self.records += 1;
        if let Event::PaymentCaptured(sale) = event {
            self.sales += 1;
            self.add_minor(sale.currency, sale.amount.0);
        } else if let Event::PaymentRefunded(refund) = event {
            self.add_minor(refund.currency, -refund.amount.0);
        }
    }

    /// Counts another tally in.
    pub fn add_all(&mut self, part: &Self) {
        self.records += part.records;
        self.sales += part.sales;
        for (currency, minor) in &part.money {
            self.add_minor(*currency, *minor);
        }
    }

    fn add_minor(&mut self, currency: Currency, minor: i64) {
        let sum = self.money.entry(currency).or_default();
        *sum = sum.saturating_add(minor);
    }

    /// Takes a part away again.
    pub fn subtract(&mut self, part: &Self) {
        self.records = self.records.saturating_sub(part.records);
        self.sales = self.sales.saturating_sub(part.sales);
        for (currency, minor) in &part.money {
            self.add_minor(*currency, minor.saturating_neg());
        }
        self.money.retain(|_, minor| *minor != 0);
    }

    /// Counts the frames of a batch; frames that do not decode count as records alone.
    #[must_use]
    pub fn of_items(items: &[Item]) -> Self {
        let mut tally = Self::default();
        for item in items {
            if let Some(ItemBody::Frame(frame)) = &item.body {
                match frame.get(FRAME_HEADER_BYTES..).map(record::decode) {
                    Some(Ok(record)) => tally.add(&record.event),
                    Some(Err(_)) | None => tally.records += 1,
                }
            }
        }
        tally
    }
}

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
}

impl Upstream {
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
        tally: Tally,
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
    trunk_turns: u32,
    standing: Standing,
    nonsense: u64,
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
            trunk_turns: 0,
            standing: Standing::Fine,
            nonsense: 0,
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
            },
        );
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
                        .is_some_and(|upstream| **from <= upstream.last)
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
                let want = self.next_want()?;
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
            | Phase::Sending { .. } => None,
        }
    }

    /// When [`Self::poll`] will have something to do without further input.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        match self.phase {
            Phase::Greet => Some(self.retry.due_at()),
            Phase::Idle => self.next_cursor().map(|_| self.retry.due_at()),
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
            | Phase::Sending { .. } => {}
        }
    }

    /// The ledger answered.
    pub fn acked(&mut self, ack: &RecordAck, now: MonoMs) {
        self.retry.worked(now, u64::from(ack.delay_ms));
        self.standing = Standing::Fine;
        if ack.max_items > 0 {
            self.items_max = (ack.max_items as usize).min(BATCH_ITEMS_MAX);
        }
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Greeting => self.greeted(ack),
            Phase::Sending { want, last, tally } => self.batch_acked(want, last, &tally, ack, now),
            // An answer nobody waits for: the exchange was given up before.
            other @ (Phase::Greet
            | Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)) => self.phase = other,
        }
    }

    /// The exchange failed.
    pub fn failed(&mut self, fault: PeerFault, now: MonoMs) {
        match fault {
            PeerFault::Busy(delay_ms) => self.retry.told_to_wait(now, delay_ms),
            PeerFault::TooLarge => {
                self.items_max = (self.items_max / 2).max(1);
                self.bytes_max = (self.bytes_max / 2).max(64 << 10);
                self.retry.failed(now);
            }
            PeerFault::NotAdmitted => {
                self.standing = Standing::NotAdmitted;
                self.retry.failed(now);
            }
            PeerFault::Forked(next_epoch) => {
                self.standing = Standing::Forked(next_epoch);
                self.retry.failed(now);
            }
            PeerFault::Unreachable | PeerFault::Refused => self.retry.failed(now),
        }
        self.phase = match core::mem::replace(&mut self.phase, Phase::Greet) {
            Phase::Greeting | Phase::Greet => Phase::Greet,
            Phase::Sending { .. } if matches!(fault, PeerFault::Refused) => Phase::Greet,
            Phase::Sending { .. } => Phase::Idle,
            other @ (Phase::Counting { .. }
            | Phase::Idle
            | Phase::Loading(_)
            | Phase::Ready(..)) => other,
        };
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
        self.epochs.iter().map(held).collect()
    }

    /// Since when the ledger is out of reach, `None` while it answers.
    #[must_use]
    pub fn down_since(&self) -> Option<MonoMs> {
        self.retry.down_since()
    }

    /// Whether everything durable here is held there.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.next_cursor().is_none()
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

    fn greeted(&mut self, ack: &RecordAck) {
        let mut moved = false;
        for (epoch, upstream) in &mut self.epochs {
            let held = ack.epochs.iter().find(|held| held.epoch == epoch.0);
            let held = held.filter(|held| held.epoch_id == upstream.epoch_id.0);
            for cursor in Cursor::ALL {
                let position = held.map_or(Seq::NONE, |held| match cursor {
                    Cursor::Trunk => Seq(held.trunk_seq),
                    Cursor::Bulk => Seq(held.bulk_seq),
                });
                let position = position.min(upstream.last);
                moved |= position != upstream.acked(cursor);
                upstream.acked.insert(cursor, position);
            }
        }
        if moved {
            let next = self.epochs.iter().flat_map(|(epoch, upstream)| {
                Cursor::ALL.map(|cursor| ((*epoch, cursor), upstream.acked(cursor).next()))
            });
            self.phase = Phase::Counting {
                next: next.collect(),
                tally: Tally::default(),
                asked: false,
            };
        }
    }

    fn batch_acked(&mut self, want: Want, last: Seq, tally: &Tally, ack: &RecordAck, now: MonoMs) {
        let upstream = self
            .epochs
            .get_mut(&want.epoch)
            .expect("a sent epoch stays known");
        let told = match want.cursor {
            Cursor::Trunk => Seq(ack.trunk_seq),
            Cursor::Bulk => Seq(ack.bulk_seq),
        };
        if ack.epoch != want.epoch.0 || told > upstream.last {
            self.nonsense += 1;
            self.retry.failed(now);
            return;
        }
        if told == last {
            upstream.acked.insert(want.cursor, told);
            self.unsent.subtract(tally);
        } else {
            // The ledger stands elsewhere than this batch would put it: ask where. The position
            // stays, so that one that moved is seen by the greeting and what is unsent counted anew.
            self.phase = Phase::Greet;
        }
    }

    fn next_cursor(&self) -> Option<Cursor> {
        let waits = |cursor: Cursor| {
            self.epochs
                .values()
                .any(|upstream| upstream.acked(cursor) < upstream.last)
        };
        match (waits(Cursor::Trunk), waits(Cursor::Bulk)) {
            (true, true) if self.trunk_turns >= 4 => Some(Cursor::Bulk),
            (true, _) => Some(Cursor::Trunk),
            (false, true) => Some(Cursor::Bulk),
            (false, false) => None,
        }
    }

    fn next_want(&mut self) -> Option<Want> {
        let cursor = self.next_cursor()?;
        self.trunk_turns = match cursor {
            Cursor::Trunk => self.trunk_turns.saturating_add(1),
            Cursor::Bulk => 0,
        };
        let (epoch, upstream) = self
            .epochs
            .iter()
            .find(|(_, upstream)| upstream.acked(cursor) < upstream.last)?;
        Some(Want {
            epoch: *epoch,
            cursor,
            from: upstream.acked(cursor).next(),
            items_max: self.items_max,
            bytes_max: self.bytes_max,
        })
    }

    fn batch(&mut self, want: Want, stretch: Stretch) -> RecordBatch {
        let upstream = self
            .epochs
            .get(&want.epoch)
            .expect("a loaded epoch stays known");
        let epoch_id = upstream.epoch_id;
        self.phase = Phase::Sending {
            want,
            last: stretch.last_seq,
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

/// The items of a stretch that speak of nothing above `last`.
fn items_upto(stretch: &Stretch, last: Seq) -> &[Item] {
    let mut seq = stretch.first_seq;
    let beyond = stretch.items.iter().position(|item| {
        let is_beyond = seq > last;
        seq = Seq(seq.0 + item.seqs());
        is_beyond
    });
    stretch
        .items
        .get(..beyond.unwrap_or(stretch.items.len()))
        .unwrap_or_default()
}

/// A chain as the wire has it: empty when unknown.
fn chain_bytes(chain: Option<[u8; 32]>) -> Vec<u8> {
    chain.map(|chain| chain.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
