//! Records that are taken and not booked: of a rig that was revoked, or of a moment after its
//! membership's end. A person looks at them first.
//!
//! What always holds: they are held, chained and acknowledged like all others, so that nothing stands
//! still behind them and accepting them needs nothing of the rig.

use popwatch_core::code::Code;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Cursor, Event};
use popwatch_core::id::{EpochId, JournalId, PopupId, RigId};
use popwatch_core::ledger::breaks::{Break, BreakClass};
use popwatch_core::ledger::{self, Fact, FactId};
use popwatch_core::limits::ACCEPT_RECORDS_MAX;
use popwatch_core::record::{self, Record};
use popwatch_core::time::Now;

use super::super::db::{Db, values};
use super::super::frame::{self, Frame};
use super::super::rows::{column, epoch_number, number, set_breaks};
use super::super::{BooksFault, Terms, gaps, groups};
use super::Intake;
use super::head::Head;

impl Intake<'_> {
    /// Whether a person looks at a record first: only what the books are made of waits.
    pub(super) fn waits(&self, record: &Record, fact: Option<&Fact>) -> bool {
        let is_late = |after: i64| ledger::fact::occurred_ms(record) > after;
        let says_terms = matches!(
            &record.event,
            Event::System(SystemEvent::PolicyApplied(_) | SystemEvent::PolicyImplied(_))
        );
        self.held_back_after.is_some_and(is_late) && (fact.is_some() || says_terms)
    }

    /// Keeps a record that waits.
    pub(super) fn hold_back(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
    ) -> Result<(), BooksFault> {
        self.store(frame, None, None)?;
        self.db
            .run(
                "INSERT INTO held_back (rig, epoch, seq, recorded_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(frame.seq),
                    self.now_ms
                ],
            )
            .map_err(BooksFault::sql("hold a record back"))?;
        if let Some(popup) = &record.popup {
            let (rig, epoch) = (self.head.rig.clone(), self.head.epoch);
            self.poster.took_part(popup, &rig, epoch)?;
        }
        self.waiting = true;
        let code = Some(Code::RigRevoked);
        let detail = "the rig was revoked; the record is kept and not booked";
        self.odd(frame.seq, "quarantined", code, detail);
        Ok(())
    }

    /// Says in the books that records wait, or no longer.
    pub(super) fn tell_waiting(&self) -> Result<(), BooksFault> {
        let rig = &self.head.rig;
        let count: i64 = self
            .db
            .one(
                "SELECT COUNT(*) FROM held_back WHERE rig = ?1",
                values![rig.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("count what is held back"))?;
        let cause = FactId::of("held back", &[rig.as_str().as_bytes()]);
        let sentence = format!(
            "{count} records of {rig} came after it was revoked or its time was over. They are kept \
             and not booked."
        );
        let keys = [rig.to_string()].into();
        let found = Break::new(BreakClass::Held, keys, sentence).evident([rig.to_string()].into());
        let found: &[Break] = match count {
            0 => &[],
            _ => &[found],
        };
        set_breaks(self.db, cause, "", Some(rig), found, self.now_ms, false)
    }
}

/// One record that waits: its seq, its frame, the ids of its epoch and journal.
type Waiting = (i64, i64, Vec<u8>, [u8; 16], [u8; 16]);

/// Books the oldest records of a rig that wait, those of one epoch; how many.
pub(in super::super) fn book_held_back(
    db: &Db,
    terms: &Terms,
    rig: &RigId,
    now: Now,
) -> Result<u64, BooksFault> {
    let most = i64::try_from(ACCEPT_RECORDS_MAX).unwrap_or(i64::MAX);
    let rows: Vec<Waiting> = db
        .rows(
            "SELECT h.epoch, h.seq, r.bytes, e.epoch_id, e.journal_id FROM held_back h
             JOIN records r ON r.rig = h.rig AND r.epoch = h.epoch AND r.seq = h.seq
             JOIN rig_epochs e ON e.rig = h.rig AND e.epoch = h.epoch
             WHERE h.rig = ?1
               AND h.epoch = (SELECT MIN(epoch) FROM held_back WHERE rig = ?1)
             ORDER BY h.seq LIMIT ?2",
            values![rig.as_str(), most],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            },
        )
        .map_err(BooksFault::sql("read what is held back"))?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(0);
    };
    let head = Head {
        rig: rig.clone(),
        epoch: epoch_number(first.0),
        epoch_id: EpochId(first.3),
        journal_id: JournalId(first.4),
        cursor: Cursor::Trunk,
    };
    let (from, to) = (number(first.1), number(last.1));
    let mut intake = Intake::new(db, terms, &head, None, now);
    for (_, seq, bytes, ..) in &rows {
        intake.book(number(*seq), bytes)?;
    }
    gaps::touch(&mut intake.poster, rig, head.epoch, from, to)?;
    groups::answer(&mut intake.poster, &format!("rig:{rig}"))?;
    intake.tell_waiting()?;
    let Intake { poster, .. } = intake;
    poster.finish()?;
    Ok(rows.len() as u64)
}

impl Intake<'_> {
    fn book(&mut self, seq: u64, bytes: &[u8]) -> Result<(), BooksFault> {
        let at = self.head.position(seq);
        self.db
            .run(
                "DELETE FROM held_back WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
                values![at.rig.as_str(), at.epoch.0, column(seq)],
            )
            .map_err(BooksFault::sql("let a record go"))?;
        let payload = bytes.get(frame::HEADER_BYTES..).unwrap_or_default();
        let record =
            record::decode(payload).map_err(|_| BooksFault::Damaged("record held back"))?;
        let fact = Fact::of(&record, at.clone());
        let book = record.popup.as_ref().map(PopupId::as_str);
        self.db
            .run(
                "UPDATE records SET book = ?4, fact_id = ?5 WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
                values![
                    at.rig.as_str(),
                    at.epoch.0,
                    column(seq),
                    book,
                    fact.as_ref().map(|fact| fact.id.0)
                ],
            )
            .map_err(BooksFault::sql("write a record"))?;
        self.said(seq, record, fact)
    }
}
