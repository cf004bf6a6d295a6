//! One batch into the books: its frames and chains verified, its records stored, what they say
//! handed on to [`super::identity`] and [`super::posting`].
//!
//! | a record's position | bytes | verdict |
//! |---|---|---|
//! | new | readable | stored |
//! | new | unreadable | `quarantined` PW0314, the position counts as held |
//! | held | the same | stored |
//! | held | others | `other_bytes` PW0311, the first stay |
//! | new, on a chain that is not ours | any | the batch is a fork: kept aside, 409 |

use popwatch_core::code::Code;
use popwatch_core::event::system::{RigStarted, Seal, SystemEvent};
use popwatch_core::event::{Class, Cursor, Event};
use popwatch_core::id::{Epoch, EpochId, JournalId, PopupId, Position, RigId, Seq};
use popwatch_core::lane::{
    self, EpochHeld, Item, ItemBody, NotOk, RecordAck, RecordBatch, SkipWhy,
};
use popwatch_core::ledger::breaks::{Break, BreakClass};
use popwatch_core::ledger::{self, Commodity, Fact, FactId};
use popwatch_core::limits;
use popwatch_core::money::{Currency, Money};
use popwatch_core::record::{self, Record};
use popwatch_core::time::Now;
use rusqlite::{Connection, OptionalExtension, params};

use super::frame::{self, Frame};
use super::held::{Chain, Held, Stretch};
use super::identity::Verdict;
use super::posting::Poster;
use super::rows::{column, epoch_number, set_breaks};
use super::{BooksFault, gaps, identity};

/// Seqs beyond this are damage: they do not fit a column.
const SEQ_MAX: u64 = 1 << 62;

/// Takes a batch inside the open transaction.
pub(super) fn take(
    db: &Connection,
    batch: &RecordBatch,
    now: Now,
) -> Result<RecordAck, BooksFault> {
    let head = Head::read(batch)?;
    let places = head.places(batch)?;
    let mut intake = Intake {
        db,
        now_ms: now.wall.0,
        head: &head,
        poster: Poster::new(db, now.wall.0),
        not_ok: Vec::new(),
    };
    intake.beacons(batch)?;
    if !places.is_empty() {
        intake.stretch(batch, &places)?;
    }
    let Intake { poster, not_ok, .. } = intake;
    poster.finish()?;
    ack(db, batch, &head, now, not_ok)
}

/// Whose records, which life, which cursor.
struct Head {
    rig: RigId,
    epoch: u32,
    epoch_id: EpochId,
    journal_id: JournalId,
    cursor: Cursor,
}

/// What stands at one or more seqs.
enum Place<'a> {
    Frame(Frame<'a>),
    Skip {
        first: u64,
        last: u64,
        skip: &'a lane::Skip,
    },
}

impl Place<'_> {
    fn last(&self) -> u64 {
        match self {
            Self::Frame(frame) => frame.seq,
            Self::Skip { last, .. } => *last,
        }
    }
}

impl Head {
    fn read(batch: &RecordBatch) -> Result<Self, BooksFault> {
        if batch.protocol != lane::PROTOCOL {
            return Err(BooksFault::Protocol(batch.protocol));
        }
        let hello = batch.items.is_empty();
        let rig = RigId::new(&batch.rig).map_err(|_| BooksFault::Batch("names no rig"))?;
        let epoch_id = EpochId::from_slice(&batch.epoch_id);
        let journal_id = JournalId::from_slice(&batch.journal_id);
        let cursor = Cursor::ALL
            .into_iter()
            .find(|cursor| *cursor as u32 == batch.cursor);
        if batch.items.len() > limits::BATCH_ITEMS_MAX {
            return Err(BooksFault::Batch("has too many items"));
        }
        if !hello && (batch.epoch == 0 || epoch_id.is_none() || cursor.is_none()) {
            return Err(BooksFault::Batch(
                "does not say which epoch or cursor it is of",
            ));
        }
        Ok(Self {
            rig,
            epoch: batch.epoch,
            epoch_id: epoch_id.unwrap_or(EpochId([0; 16])),
            journal_id: journal_id.unwrap_or(JournalId([0; 16])),
            cursor: cursor.unwrap_or(Cursor::Trunk),
        })
    }

    /// Checks every item's shape, checksums and number before anything is stored.
    fn places<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Place<'a>>, BooksFault> {
        let seed = frame::seed(&self.epoch_id);
        let mut next = batch.first_seq;
        let mut out = Vec::with_capacity(batch.items.len());
        for Item { body } in &batch.items {
            let place = match body {
                Some(ItemBody::Frame(bytes)) => {
                    let frame = frame::parse(bytes, seed)
                        .ok_or(BooksFault::Batch("holds a damaged frame"))?;
                    if frame.epoch != self.epoch || frame.seq != next {
                        return Err(BooksFault::Batch("holds a frame out of its place"));
                    }
                    if frame.class.cursor() != self.cursor {
                        return Err(BooksFault::Batch("holds a frame of the other cursor"));
                    }
                    Place::Frame(frame)
                }
                Some(ItemBody::Skip(skip)) if skip.count > 0 && skip.count < SEQ_MAX => {
                    Place::Skip {
                        first: next,
                        last: next.saturating_add(skip.count - 1),
                        skip,
                    }
                }
                Some(ItemBody::Skip(_)) | None => {
                    return Err(BooksFault::Batch("holds an empty item"));
                }
            };
            next = place.last().saturating_add(1);
            out.push(place);
        }
        let in_range = batch.first_seq > 0 && next < SEQ_MAX;
        if !in_range && !batch.items.is_empty() {
            return Err(BooksFault::Batch("holds seqs out of range"));
        }
        Ok(out)
    }

    fn position(&self, seq: u64) -> Position {
        Position {
            rig: self.rig.clone(),
            epoch: Epoch(self.epoch),
            seq: Seq(seq),
        }
    }

    fn keys(&self, last: &str) -> Vec<String> {
        [
            self.rig.to_string(),
            self.epoch.to_string(),
            last.to_string(),
        ]
        .into()
    }
}

struct Intake<'a> {
    db: &'a Connection,
    now_ms: i64,
    head: &'a Head,
    poster: Poster<'a>,
    not_ok: Vec<NotOk>,
}

impl Intake<'_> {
    fn stretch(&mut self, batch: &RecordBatch, places: &[Place<'_>]) -> Result<(), BooksFault> {
        let (mut trunk, mut bulk) = self.held_epoch(places)?;
        let held = match self.head.cursor {
            Cursor::Trunk => &mut trunk,
            Cursor::Bulk => &mut bulk,
        };
        let last = places.last().map_or(batch.first_seq, Place::last);
        let walked = self.walk_chain(batch, places, held, last)?;
        if walked.forked {
            return self.other_history(places);
        }
        let stretch = Stretch {
            first: batch.first_seq,
            last,
            before: walked.before,
            after: walked.after,
        };
        let before = held.clone();
        if !held.add(stretch) {
            return Err(BooksFault::Bound("separate stretches of one epoch"));
        }
        self.db
            .prepare_cached(
                "UPDATE rig_epochs SET trunk = ?3, bulk = ?4 WHERE rig = ?1 AND epoch = ?2",
            )
            .and_then(|mut put| {
                put.execute(params![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    trunk.encode(),
                    bulk.encode()
                ])
            })
            .map_err(BooksFault::sql("write what is held"))?;
        for place in places {
            match place {
                Place::Frame(frame) => self.frame(frame, before.has(frame.seq))?,
                Place::Skip { first, last, skip } => self.skip(*first, *last, skip)?,
            }
        }
        gaps::touch(
            &mut self.poster,
            &self.head.rig,
            self.head.epoch,
            batch.first_seq,
            last,
        )
    }

    /// What is held of the batch's epoch. Another epoch_id under its number is a fork.
    fn held_epoch(&mut self, places: &[Place<'_>]) -> Result<(Held, Held), BooksFault> {
        let (rig, epoch) = (self.head.rig.as_str(), self.head.epoch);
        let found: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> = self
            .db
            .prepare_cached(
                "SELECT epoch_id, trunk, bulk FROM rig_epochs WHERE rig = ?1 AND epoch = ?2",
            )
            .and_then(|mut ask| {
                ask.query_row(params![rig, epoch], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
            })
            .map_err(BooksFault::sql("read what is held"))?;
        let Some((epoch_id, trunk, bulk)) = found else {
            self.db
                .prepare_cached(
                    "INSERT INTO rig_epochs (rig, epoch, epoch_id, journal_id, trunk, bulk)
                     VALUES (?1, ?2, ?3, ?4, x'', x'')",
                )
                .and_then(|mut put| {
                    let head = self.head;
                    put.execute(params![rig, epoch, head.epoch_id.0, head.journal_id.0])
                })
                .map_err(BooksFault::sql("open an epoch"))?;
            return Ok((Held::default(), Held::default()));
        };
        if epoch_id != self.head.epoch_id.0 {
            self.keep_aside(places, "fork")?;
            let sentence = format!(
                "Two devices write as {rig}: its run {epoch} exists twice. The first one counts."
            );
            self.fork_break("epoch", sentence)?;
            return Err(self.fork(Code::EpochForked)?);
        }
        let read = |bytes: &[u8]| Held::decode(bytes).ok_or(BooksFault::Damaged("held stretches"));
        Ok((read(&trunk)?, read(&bulk)?))
    }

    /// Follows the chain through the batch and compares it wherever both sides know it.
    fn walk_chain(
        &self,
        batch: &RecordBatch,
        places: &[Place<'_>],
        held: &Held,
        last: u64,
    ) -> Result<Walked, BooksFault> {
        let start = batch.first_seq - 1;
        let mut known = held.checkpoints(start, last);
        if start == 0 {
            known.insert(0, frame::chain_start(self.head.epoch_id, self.head.cursor));
        }
        let before: Chain = batch.chain_before[..].try_into().ok();
        let mut chain = before;
        let differs = |seq: u64, chain: &Chain| match (known.get(&seq), chain) {
            (Some(ours), Some(theirs)) => ours != theirs,
            (Some(_) | None, _) => false,
        };
        let mut forked = differs(start, &chain);
        for place in places {
            match place {
                Place::Frame(frame) => {
                    if let Some(stated) = self.sealed_chain(frame) {
                        forked |= chain.is_some_and(|chain| chain != stated);
                        chain = Some(stated);
                    }
                    chain = chain.map(|chain| frame.chain(chain));
                }
                Place::Skip { skip, .. } => match skip.why() {
                    SkipWhy::OtherCursor | SkipWhy::Void => {}
                    SkipWhy::Gap | SkipWhy::Withheld | SkipWhy::Unsaid => chain = None,
                },
            }
            forked |= differs(place.last(), &chain);
        }
        let stated: Chain = batch.chain_after[..].try_into().ok();
        if let (Some(stated), Some(chain)) = (stated, chain)
            && stated != chain
            && !forked
        {
            return Err(BooksFault::Batch("does not end in the chain it states"));
        }
        Ok(Walked {
            before,
            after: chain,
            forked,
        })
    }

    /// The chain that a seal states for its own cursor, before itself.
    fn sealed_chain(&self, frame: &Frame<'_>) -> Option<[u8; 32]> {
        if self.head.cursor != Cursor::Trunk || frame.class != Class::System {
            return None;
        }
        let Event::System(event) = record::decode(frame.payload()).ok()?.event else {
            return None;
        };
        match event {
            SystemEvent::RigSeal(Seal { chain_trunk, .. })
            | SystemEvent::RigStopped(Seal { chain_trunk, .. }) => chain_trunk[..].try_into().ok(),
            SystemEvent::RigStarted(_)
            | SystemEvent::RigGap(_)
            | SystemEvent::RigLoss(_)
            | SystemEvent::RigTrimmed(_)
            | SystemEvent::RigConflict(_)
            | SystemEvent::PolicyApplied(_)
            | SystemEvent::PolicyImplied(_)
            | SystemEvent::ClockAnchored(_)
            | SystemEvent::ClockStepped(_) => None,
        }
    }

    /// The batch continues another history of this epoch. What we hold of it is compared byte by
    /// byte; what is new is kept aside and refused.
    fn other_history(&mut self, places: &[Place<'_>]) -> Result<(), BooksFault> {
        let mut news = false;
        for place in places {
            if let Place::Frame(frame) = place {
                match self.held_hash(frame.seq)? {
                    Some(held) if held == hash_of(frame) => {}
                    Some(_) => self.other_bytes(frame)?,
                    None => news = true,
                }
            }
        }
        if !news {
            return Ok(());
        }
        self.keep_aside(places, "chain")?;
        let rig = &self.head.rig;
        let sentence = format!(
            "{rig} sent a history of its run {} that does not continue what the books hold. \
             The first one counts.",
            self.head.epoch
        );
        self.fork_break("chain", sentence)?;
        Err(self.fork(Code::ChainBroken)?)
    }

    fn frame(&mut self, frame: &Frame<'_>, overlaps: bool) -> Result<(), BooksFault> {
        if overlaps && let Some(held) = self.held_hash(frame.seq)? {
            return match held == hash_of(frame) {
                true => Ok(()),
                false => self.other_bytes(frame),
            };
        }
        // No journal compresses yet, so such a payload is from a newer one.
        let record = match frame.compressed {
            true => None,
            false => record::decode(frame.payload()).ok(),
        };
        let at = self.head.position(frame.seq);
        let fact = record
            .as_ref()
            .and_then(|record| Fact::of(record, at.clone()));
        let stored = self.store(frame, record.as_ref(), fact.as_ref())?;
        if !stored {
            return self.other_bytes(frame);
        }
        let Some(record) = record else {
            return self.poison(frame);
        };
        if let Some(popup) = &record.popup {
            self.poster.took_part(popup, &at.rig, self.head.epoch)?;
        }
        if let Some(origin) = record.origin {
            gaps::resent(&mut self.poster, &at, origin)?;
        }
        match (fact, &record.event) {
            (Some(fact), _) => {
                let seq = frame.seq;
                match identity::identify(&mut self.poster, fact)? {
                    Verdict::Posts => {}
                    Verdict::Repeat => self.odd(seq, "duplicate", None, "known from elsewhere"),
                    Verdict::Conflict => self.odd(
                        seq,
                        "conflict",
                        Some(Code::EventConflict),
                        "its id says something else already; the first stays",
                    ),
                }
                Ok(())
            }
            (None, Event::System(event)) => self.system(&at, &record, event),
            // A client's record without a popup belongs to no book.
            (None, _) => Ok(()),
        }
    }

    fn store(
        &self,
        frame: &Frame<'_>,
        record: Option<&Record>,
        fact: Option<&Fact>,
    ) -> Result<bool, BooksFault> {
        let book = record.and_then(|record| record.popup.as_ref());
        self.db
            .prepare_cached(
                "INSERT INTO records (rig, epoch, seq, hash, class, book, fact_id, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut put| {
                put.execute(params![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(frame.seq),
                    hash_of(frame),
                    frame.class.byte(),
                    book.map(PopupId::as_str),
                    fact.map(|fact| fact.id.0),
                    frame.bytes
                ])
            })
            .map(|rows| rows == 1)
            .map_err(BooksFault::sql("store a record"))
    }

    fn held_hash(&self, seq: u64) -> Result<Option<[u8; 16]>, BooksFault> {
        self.db
            .prepare_cached("SELECT hash FROM records WHERE rig = ?1 AND epoch = ?2 AND seq = ?3")
            .and_then(|mut ask| {
                ask.query_row(
                    params![self.head.rig.as_str(), self.head.epoch, column(seq)],
                    |row| row.get(0),
                )
                .optional()
            })
            .map_err(BooksFault::sql("look up a record"))
    }

    fn other_bytes(&mut self, frame: &Frame<'_>) -> Result<(), BooksFault> {
        self.quarantine(frame, "other_bytes")?;
        let (rig, epoch, seq) = (&self.head.rig, self.head.epoch, frame.seq);
        let sentence = format!(
            "{rig} sent two different records as number {seq} of its run {epoch}. The first one \
             counts."
        );
        self.fork_break(&seq.to_string(), sentence)?;
        let code = Some(Code::PositionOtherBytes);
        self.odd(seq, "other_bytes", code, "another record stands here");
        Ok(())
    }

    fn poison(&mut self, frame: &Frame<'_>) -> Result<(), BooksFault> {
        self.quarantine(frame, "poison")?;
        let (rig, epoch, seq) = (&self.head.rig, self.head.epoch, frame.seq);
        let sentence =
            format!("Record {seq} of {rig}'s run {epoch} cannot be read here. Its bytes are kept.");
        let keys = self.head.keys(&seq.to_string());
        let found = Break::new(BreakClass::Poison, keys, sentence)
            .evident([format!("{rig}/{epoch}/{seq}")].into());
        self.rig_break(found)?;
        let code = Some(Code::RecordQuarantined);
        self.odd(seq, "quarantined", code, "it cannot be read here");
        Ok(())
    }

    fn odd(&mut self, seq: u64, verdict: &str, code: Option<Code>, detail: &str) {
        self.not_ok.push(NotOk {
            seq,
            verdict: verdict.to_string(),
            code: code.map(|code| code.to_string()).unwrap_or_default(),
            detail: detail.to_string(),
        });
    }

    fn keep_aside(&self, places: &[Place<'_>], why: &'static str) -> Result<(), BooksFault> {
        for place in places {
            if let Place::Frame(frame) = place {
                self.quarantine(frame, why)?;
            }
        }
        Ok(())
    }

    fn quarantine(&self, frame: &Frame<'_>, why: &'static str) -> Result<(), BooksFault> {
        self.db
            .prepare_cached(
                "INSERT INTO quarantine (rig, epoch, seq, hash, epoch_id, why, recorded_ms, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut put| {
                put.execute(params![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(frame.seq),
                    hash_of(frame),
                    self.head.epoch_id.0,
                    why,
                    self.now_ms,
                    frame.bytes
                ])
            })
            .map(drop)
            .map_err(BooksFault::sql("keep a record aside"))
    }

    fn fork_break(&self, what: &str, sentence: String) -> Result<(), BooksFault> {
        let head = self.head;
        let found = Break::new(BreakClass::Fork, head.keys(what), sentence)
            .evident([format!("{}/{}/{what}", head.rig, head.epoch)].into());
        self.rig_break(found)
    }

    fn rig_break(&self, found: Break) -> Result<(), BooksFault> {
        let cause = FactId::of("rig break", &[found.id.as_str().as_bytes()]);
        let rig = Some(&self.head.rig);
        set_breaks(self.db, cause, "", rig, &[found], self.now_ms, true)
    }

    fn fork(&self, code: Code) -> Result<BooksFault, BooksFault> {
        let newest: i64 = self
            .db
            .query_row(
                "SELECT MAX(e) FROM (SELECT MAX(epoch) AS e FROM rig_epochs WHERE rig = ?1
                   UNION ALL SELECT MAX(epoch) FROM quarantine WHERE rig = ?1)",
                [self.head.rig.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("find the newest epoch"))?;
        Ok(BooksFault::Fork {
            next_epoch: epoch_number(newest).saturating_add(1),
            code,
        })
    }

    fn skip(&mut self, first: u64, last: u64, skip: &lane::Skip) -> Result<(), BooksFault> {
        match skip.why() {
            SkipWhy::Gap => gaps::state(
                &mut self.poster,
                &self.head.rig,
                self.head.epoch,
                &gaps::Stated {
                    first,
                    last,
                    by_record: false,
                    unknown: false,
                    rows: skip.value.clone(),
                    at_ms: 0,
                },
            ),
            SkipWhy::OtherCursor | SkipWhy::Withheld | SkipWhy::Void | SkipWhy::Unsaid => Ok(()),
        }
    }

    fn system(
        &mut self,
        at: &Position,
        record: &Record,
        event: &SystemEvent,
    ) -> Result<(), BooksFault> {
        match event {
            SystemEvent::RigStarted(started) => self.started(started),
            SystemEvent::RigGap(gap) => gaps::state(
                &mut self.poster,
                &self.head.rig,
                gap.epoch,
                &gaps::Stated {
                    first: gap.first,
                    last: gap.last,
                    by_record: true,
                    unknown: gap.value_unknown,
                    rows: gap.value.clone(),
                    at_ms: ledger::fact::occurred_ms(record),
                },
            ),
            SystemEvent::PolicyApplied(policy) => self.policy(&policy.popup, false),
            SystemEvent::PolicyImplied(policy) => self.policy(&policy.popup, true),
            SystemEvent::RigConflict(conflict) => self.rig_conflict(at, conflict),
            SystemEvent::RigStopped(_)
            | SystemEvent::RigSeal(_)
            | SystemEvent::RigLoss(_)
            | SystemEvent::RigTrimmed(_)
            | SystemEvent::ClockAnchored(_)
            | SystemEvent::ClockStepped(_) => Ok(()),
        }
    }

    fn started(&mut self, started: &RigStarted) -> Result<(), BooksFault> {
        match started.previous_epoch {
            0 => Ok(()),
            epoch => self.claim(epoch, Some(started.previous_last_seq), 0),
        }
    }

    fn policy(&mut self, popup: &str, implied: bool) -> Result<(), BooksFault> {
        let Ok(popup) = PopupId::new(popup) else {
            return Ok(());
        };
        self.poster
            .took_part(&popup, &self.head.rig, self.head.epoch)?;
        if !implied {
            return Ok(());
        }
        let sentence = format!("Nobody had announced popup {popup}; it began with its first sale.");
        let found = Break::new(
            BreakClass::PopupImplied,
            [popup.to_string()].into(),
            sentence,
        );
        let cause = FactId::of("popup implied", &[popup.as_str().as_bytes()]);
        set_breaks(
            self.db,
            cause,
            popup.as_str(),
            None,
            &[found],
            self.now_ms,
            true,
        )
    }

    fn rig_conflict(
        &mut self,
        at: &Position,
        conflict: &popwatch_core::event::system::Conflict,
    ) -> Result<(), BooksFault> {
        let Ok(popup) = PopupId::new(&conflict.popup) else {
            return Ok(());
        };
        let rig = &self.head.rig;
        let other = ledger::hex(&conflict.other_content);
        let first = format!("{rig}/{}/{}", conflict.epoch, conflict.seq);
        let keys = [popup.to_string(), "rig".to_string(), first.clone(), other];
        let currency = Currency::new(&conflict.currency);
        let worth = currency.map(|currency| Money::new(conflict.amount, currency));
        let what = worth.map_or_else(|| "something".to_string(), |worth| worth.to_string());
        let sentence = format!(
            "{rig} was given one id twice with different content; the second, {what}, is not \
             counted."
        );
        let mut found = Break::new(BreakClass::Conflict, keys.into(), sentence)
            .evident([first, format!("{rig}/{}/{}", at.epoch, at.seq)].into());
        if let Some(worth) = worth {
            let money = Commodity::Money(worth.currency);
            found = found.amounting(money, worth.minor, None);
        }
        self.poster.took_part(&popup, rig, self.head.epoch)?;
        let cause = FactId::of("rig conflict", &[found.id.as_str().as_bytes()]);
        let (book, breaks) = (popup.as_str(), [found]);
        set_breaks(self.db, cause, book, None, &breaks, self.now_ms, true)
    }

    fn beacons(&mut self, batch: &RecordBatch) -> Result<(), BooksFault> {
        for beacon in &batch.beacons {
            let ours = beacon.rig.is_empty() || beacon.rig == self.head.rig.as_str();
            if !ours || beacon.epoch == 0 || beacon.durable_seq >= SEQ_MAX {
                continue;
            }
            self.claim(beacon.epoch, None, beacon.durable_seq)?;
            if let Ok(popup) = PopupId::new(&beacon.popup) {
                self.poster
                    .took_part(&popup, &self.head.rig, beacon.epoch)?;
            }
        }
        Ok(())
    }

    fn claim(&self, epoch: u32, ended: Option<u64>, head: u64) -> Result<(), BooksFault> {
        self.db
            .prepare_cached(
                "INSERT INTO epoch_claims (rig, epoch, ended, head) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (rig, epoch) DO UPDATE SET head = MAX(head, excluded.head),
                   ended = MAX(COALESCE(ended, excluded.ended), COALESCE(excluded.ended, ended))",
            )
            .and_then(|mut put| {
                let rig = self.head.rig.as_str();
                put.execute(params![rig, epoch, ended.map(column), column(head)])
            })
            .map(drop)
            .map_err(BooksFault::sql("note how far a rig is"))
    }
}

struct Walked {
    before: Chain,
    after: Chain,
    forked: bool,
}

fn hash_of(frame: &Frame<'_>) -> [u8; 16] {
    let mut out = [0; 16];
    blake3::Hasher::new()
        .update(frame.bytes)
        .finalize_xof()
        .fill(&mut out);
    out
}

fn ack(
    db: &Connection,
    batch: &RecordBatch,
    head: &Head,
    now: Now,
    not_ok: Vec<NotOk>,
) -> Result<RecordAck, BooksFault> {
    let epochs = epochs_held(db, &head.rig)?;
    let of = epochs.iter().find(|epoch| epoch.epoch == head.epoch);
    let (trunk_seq, bulk_seq) = of.map_or((0, 0), |epoch| (epoch.trunk_seq, epoch.bulk_seq));
    Ok(RecordAck {
        epoch: batch.epoch,
        trunk_seq,
        bulk_seq,
        not_ok,
        epochs,
        echo_mono_ns: batch.sent_mono_ns,
        recv_wall_us: now.wall.0.saturating_mul(1_000),
        send_wall_us: now.wall.0.saturating_mul(1_000),
        ..RecordAck::default()
    })
}

fn epochs_held(db: &Connection, rig: &RigId) -> Result<Vec<EpochHeld>, BooksFault> {
    let read = || {
        db.prepare_cached(
            "SELECT epoch, epoch_id, trunk, bulk FROM rig_epochs WHERE rig = ?1 ORDER BY epoch",
        )?
        .query_map([rig.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, Vec<u8>, Vec<u8>, Vec<u8>)>>>()
    };
    let rows = read().map_err(BooksFault::sql("read what is held"))?;
    rows.into_iter()
        .map(|(epoch, epoch_id, trunk, bulk)| {
            let upto = |bytes: &[u8]| {
                Held::decode(bytes)
                    .map(|held| held.ranges().contiguous())
                    .ok_or(BooksFault::Damaged("held stretches"))
            };
            Ok(EpochHeld {
                epoch: epoch_number(epoch),
                epoch_id,
                trunk_seq: upto(&trunk)?,
                bulk_seq: upto(&bulk)?,
            })
        })
        .collect()
}
