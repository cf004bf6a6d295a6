//! One batch into the books: its frames and chains verified, its records stored, what they say
//! handed on to [`super::identity`] and [`super::posting`].
//!
//! | a record's position | bytes | verdict |
//! |---|---|---|
//! | new | readable | stored |
//! | new | unreadable | `quarantined` PW0314, the position counts as held |
//! | held | the same | stored |
//! | held | others | `other_bytes` PW0311, the first stay |
//! | on a chain that is not ours | any other | the batch is a fork: kept aside, 409 |
//! | new, of a revoked rig | readable | held, not booked: `quarantined` PW0304 |
//! | refused alone, sent as `quarantined` | any | kept unread: `quarantined` PW0314 |

mod ack;
mod aside;
mod chain;
mod head;
mod held_back;
mod word;

use std::collections::BTreeMap;

use popwatch_core::code::Code;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Cursor, Event};
use popwatch_core::id::{PopupId, Position};
use popwatch_core::lane::{self, NotOk, RecordAck, RecordBatch, SkipWhy};
use popwatch_core::ledger::breaks::{Break, BreakClass};
use popwatch_core::ledger::{self, Commodity, Fact, FactId, Ranges};
use popwatch_core::money::{Currency, Money};
use popwatch_core::record::{self, Record};
use popwatch_core::time::Now;

use super::db::{Db, DbFault, Row, values};
use super::frame::Frame;
use super::held::{Held, Stretch};
use super::identity::Verdict;
use super::posting::Poster;
use super::rows::{column, number, set_breaks};
use super::tables::RECORDS;
use super::{BooksFault, Terms, gaps, groups, identity, members, policies};
use ack::ack;
use head::{Head, Place};
pub(super) use held_back::book_held_back;

/// Takes a batch inside the open transaction.
pub(super) fn take(
    db: &Db,
    terms: &Terms,
    batch: &RecordBatch,
    now: Now,
) -> Result<RecordAck, BooksFault> {
    let head = Head::read(batch)?;
    let places = head.places(batch)?;
    let held_back_after = members::held_back_after(db, &head.rig)?;
    let mut intake = Intake::new(db, terms, &head, held_back_after, now);
    intake.beacons(batch)?;
    if !places.is_empty() {
        intake.stretch(batch, &places)?;
        groups::answer(&mut intake.poster, &format!("rig:{}", head.rig))?;
    }
    if intake.waiting {
        intake.tell_waiting()?;
    }
    let Intake { poster, not_ok, .. } = intake;
    poster.finish()?;
    ack(db, batch, &head, now, not_ok)
}

/// Keeps the one item of a batch that [`take`] could not, unread.
pub(super) fn keep_unread(
    db: &Db,
    terms: &Terms,
    batch: &RecordBatch,
    now: Now,
) -> Result<RecordAck, BooksFault> {
    let head = Head::read(batch)?;
    let mut intake = Intake::new(db, terms, &head, None, now);
    intake.unread(batch)?;
    let Intake { poster, not_ok, .. } = intake;
    poster.finish()?;
    ack(db, batch, &head, now, not_ok)
}

struct Intake<'a> {
    db: &'a Db,
    now_ms: i64,
    head: &'a Head,
    poster: Poster<'a>,
    not_ok: Vec<NotOk>,
    /// What the rig says of later moments waits for a person.
    held_back_after: Option<i64>,
    /// Something of this batch waits.
    waiting: bool,
}

/// What a frame says; nothing where it cannot be read.
#[derive(Default)]
struct Said {
    record: Option<Record>,
    fact: Option<Fact>,
}

impl<'a> Intake<'a> {
    fn new(
        db: &'a Db,
        terms: &'a Terms,
        head: &'a Head,
        held_back_after: Option<i64>,
        now: Now,
    ) -> Self {
        Self {
            db,
            now_ms: now.wall.0,
            head,
            poster: Poster::new(db, terms, now.wall.0),
            not_ok: Vec::new(),
            held_back_after,
            waiting: false,
        }
    }
}

impl Intake<'_> {
    fn stretch(&mut self, batch: &RecordBatch, places: &[Place<'_>]) -> Result<(), BooksFault> {
        let (mut trunk, mut bulk) = self.held_epoch(places)?;
        let (held, other) = match self.head.cursor {
            Cursor::Trunk => (&mut trunk, &bulk),
            Cursor::Bulk => (&mut bulk, &trunk),
        };
        let last = places.last().map_or(batch.first_seq, Place::last);
        let walked = self.walk_chain(batch, places, (held, other), last)?;
        if walked.forked {
            return self.other_history(places);
        }
        let stretch = Stretch {
            first: batch.first_seq,
            last,
            before: walked.before,
            after: walked.after,
        };
        if !held.add(stretch) {
            return Err(BooksFault::Bound("separate stretches of one epoch"));
        }
        self.keep_held(&trunk, &bulk)?;
        let held = self.held_hashes(places)?;
        let mut news = self.read(places, &held)?.into_iter();
        for place in places {
            match place {
                Place::Frame(frame) => match held.get(&frame.seq) {
                    Some(held) if *held == hash_of(frame) => {}
                    Some(_) => self.other_bytes(frame)?,
                    None => self.frame(frame, news.next().unwrap_or_default())?,
                },
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

    fn keep_held(&self, trunk: &Held, bulk: &Held) -> Result<(), BooksFault> {
        self.db
            .run(
                "UPDATE rig_epochs SET trunk = ?3, bulk = ?4 WHERE rig = ?1 AND epoch = ?2",
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    trunk.encode(),
                    bulk.encode()
                ],
            )
            .map(drop)
            .map_err(BooksFault::sql("write what is held"))
    }

    /// What is held of the batch's epoch. Another epoch_id under its number is a fork.
    fn held_epoch(&mut self, places: &[Place<'_>]) -> Result<(Held, Held), BooksFault> {
        let (rig, epoch) = (self.head.rig.as_str(), self.head.epoch);
        let found: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> = self
            .db
            .row(
                "SELECT epoch_id, trunk, bulk FROM rig_epochs WHERE rig = ?1 AND epoch = ?2",
                values![rig, epoch],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(BooksFault::sql("read what is held"))?;
        let Some((epoch_id, trunk, bulk)) = found else {
            self.db
                .run(
                    "INSERT INTO rig_epochs (rig, epoch, epoch_id, journal_id, trunk, bulk)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                    values![
                        rig,
                        epoch,
                        self.head.epoch_id.0,
                        self.head.journal_id.0,
                        [0_u8; 0]
                    ],
                )
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

    /// What the frames say whose positions hold nothing yet, in their order. What identity will ask
    /// of their facts is asked here, at once.
    fn read(
        &mut self,
        places: &[Place<'_>],
        held: &BTreeMap<u64, [u8; 16]>,
    ) -> Result<Vec<Said>, BooksFault> {
        let mut news = Vec::new();
        for place in places {
            let Place::Frame(frame) = place else {
                continue;
            };
            if held.contains_key(&frame.seq) {
                continue;
            }
            // No journal compresses yet, so such a payload is from a newer one.
            let record = match frame.compressed {
                true => None,
                false => record::decode(frame.payload()).ok(),
            };
            let at = self.head.position(frame.seq);
            let fact = record.as_ref().and_then(|record| Fact::of(record, at));
            news.push(Said { record, fact });
        }
        identity::foresee(
            &mut self.poster,
            news.iter().filter_map(|said| said.fact.as_ref()),
        )?;
        Ok(news)
    }

    /// The hashes of the records that are held where frames of this batch stand.
    fn held_hashes(&self, places: &[Place<'_>]) -> Result<BTreeMap<u64, [u8; 16]>, BooksFault> {
        let seqs = places.iter().filter_map(|place| match place {
            Place::Frame(frame) => Some((frame.seq, frame.seq)),
            Place::Skip { .. } => None,
        });
        let mut held = BTreeMap::new();
        for (first, last) in Ranges::of(seqs).as_slice() {
            let found: Vec<(i64, [u8; 16])> = self
                .db
                .rows(
                    "SELECT seq, hash, bytes FROM records
                     WHERE rig = ?1 AND epoch = ?2 AND seq BETWEEN ?3 AND ?4",
                    values![
                        self.head.rig.as_str(),
                        self.head.epoch,
                        column(*first),
                        column(*last)
                    ],
                    |row| Ok((row.get(0)?, stored_hash(row, 1)?)),
                )
                .map_err(BooksFault::sql("look up records"))?;
            held.extend(found.into_iter().map(|(seq, hash)| (number(seq), hash)));
        }
        Ok(held)
    }

    fn frame(&mut self, frame: &Frame<'_>, said: Said) -> Result<(), BooksFault> {
        let Said { record, fact } = said;
        if let Some(record) = &record
            && self.waits(record, fact.as_ref())
        {
            return self.hold_back(frame, record);
        }
        self.store(frame, record.as_ref(), fact.as_ref())?;
        match record {
            Some(record) => self.said(frame.seq, record, fact),
            None => self.poison(frame.seq, frame.bytes),
        }
    }

    /// What a stored record means to the books.
    fn said(&mut self, seq: u64, record: Record, fact: Option<Fact>) -> Result<(), BooksFault> {
        let at = self.head.position(seq);
        if let Some(popup) = &record.popup {
            self.poster.took_part(popup, &at.rig, self.head.epoch)?;
        }
        if let Some(origin) = record.origin {
            gaps::resent(&mut self.poster, &at, origin)?;
        }
        match (fact, &record.event) {
            (Some(fact), _) => {
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
    ) -> Result<(), BooksFault> {
        let book = record.and_then(|record| record.popup.as_ref());
        self.db
            .put(
                &RECORDS,
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(frame.seq),
                    frame.class.byte(),
                    book.map(PopupId::as_str),
                    fact.map(|fact| fact.id.0),
                    frame.bytes
                ],
            )
            .map_err(BooksFault::sql("store a record"))
    }

    fn held_hash(&self, seq: u64) -> Result<Option<[u8; 16]>, BooksFault> {
        self.db
            .row(
                "SELECT hash, bytes FROM records WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
                values![self.head.rig.as_str(), self.head.epoch, column(seq)],
                |row| stored_hash(row, 0),
            )
            .map_err(BooksFault::sql("look up a record"))
    }

    fn odd(&mut self, seq: u64, verdict: &str, code: Option<Code>, detail: &str) {
        self.not_ok.push(NotOk {
            seq,
            verdict: verdict.to_string(),
            code: code.map(|code| code.to_string()).unwrap_or_default(),
            detail: detail.to_string(),
        });
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
            SystemEvent::RigStarted(started) => self.started(at.seq.0, started),
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
            SystemEvent::PolicyApplied(policy) => {
                self.policy(&policy.popup, false)?;
                let applied_ms = ledger::fact::occurred_ms(record);
                policies::note(&mut self.poster, at, policy, applied_ms)
            }
            SystemEvent::PolicyImplied(policy) => self.policy(&policy.popup, true),
            SystemEvent::RigConflict(conflict) => self.rig_conflict(at, conflict),
            SystemEvent::RigLoss(loss) => self.rig_loss(at, loss),
            SystemEvent::RigStopped(_)
            | SystemEvent::RigSeal(_)
            | SystemEvent::RigTrimmed(_)
            | SystemEvent::RigProbed(_)
            | SystemEvent::ClockAnchored(_)
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
            | SystemEvent::ProviderRefused(_) => Ok(()),
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
}

/// The hash of a record whose hash and bytes stand in these columns: where the bytes stand, of them.
fn stored_hash(row: &Row<'_>, at: usize) -> Result<[u8; 16], DbFault> {
    match row.get(at)? {
        Some(hash) => Ok(hash),
        None => Ok(hash_bytes(row.blob(at + 1)?)),
    }
}

fn hash_of(frame: &Frame<'_>) -> [u8; 16] {
    hash_bytes(frame.bytes)
}

/// What names the bytes of a record once they are gone.
pub(super) fn hash_bytes(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    blake3::Hasher::new()
        .update(bytes)
        .finalize_xof()
        .fill(&mut out);
    out
}
