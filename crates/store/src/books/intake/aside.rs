//! What does not become a record of the books: forks, other bytes, what cannot be read. Its bytes are
//! kept, and a break names it.

use popwatch_core::code::Code;
use popwatch_core::event::{Class, Cursor};
use popwatch_core::lane::{ItemBody, RecordBatch};
use popwatch_core::ledger::FactId;
use popwatch_core::ledger::breaks::{Break, BreakClass};

use super::super::BooksFault;
use super::super::db::values;
use super::super::frame::Frame;
use super::super::held::Stretch;
use super::super::rows::{column, epoch_number, set_breaks};
use super::head::Place;
use super::{Intake, hash_bytes, hash_of};

impl Intake<'_> {
    /// The batch continues another history of this epoch. What we hold of it is compared byte by
    /// byte; what differs or is new is kept aside, and the batch refused.
    pub(super) fn other_history(&mut self, places: &[Place<'_>]) -> Result<(), BooksFault> {
        let mut differs = false;
        for place in places {
            if let Place::Frame(frame) = place {
                match self.held_hash(frame.seq)? {
                    Some(held) if held == hash_of(frame) => {}
                    Some(_) => {
                        self.other_bytes(frame)?;
                        differs = true;
                    }
                    None => differs = true,
                }
            }
        }
        if !differs {
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

    pub(super) fn other_bytes(&mut self, frame: &Frame<'_>) -> Result<(), BooksFault> {
        self.quarantine(frame.seq, frame.bytes, "other_bytes")?;
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

    pub(super) fn poison(&mut self, seq: u64, bytes: &[u8]) -> Result<(), BooksFault> {
        self.quarantine(seq, bytes, "poison")?;
        let (rig, epoch) = (&self.head.rig, self.head.epoch);
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

    pub(super) fn keep_aside(
        &self,
        places: &[Place<'_>],
        why: &'static str,
    ) -> Result<(), BooksFault> {
        for place in places {
            if let Place::Frame(frame) = place {
                self.quarantine(frame.seq, frame.bytes, why)?;
            }
        }
        Ok(())
    }

    pub(super) fn quarantine(
        &self,
        seq: u64,
        bytes: &[u8],
        why: &'static str,
    ) -> Result<(), BooksFault> {
        self.db
            .run(
                "INSERT INTO quarantine (rig, epoch, seq, hash, epoch_id, why, recorded_ms, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(seq),
                    hash_bytes(bytes),
                    self.head.epoch_id.0,
                    why,
                    self.now_ms,
                    bytes
                ],
            )
            .map(drop)
            .map_err(BooksFault::sql("keep a record aside"))
    }

    pub(super) fn fork_break(&self, what: &str, sentence: String) -> Result<(), BooksFault> {
        let head = self.head;
        let found = Break::new(BreakClass::Fork, head.keys(what), sentence)
            .evident([format!("{}/{}/{what}", head.rig, head.epoch)].into());
        self.rig_break(found)
    }

    pub(super) fn rig_break(&self, found: Break) -> Result<(), BooksFault> {
        let cause = FactId::of("rig break", &[found.id.as_str().as_bytes()]);
        let rig = Some(&self.head.rig);
        set_breaks(self.db, cause, "", rig, &[found], self.now_ms, true)
    }

    pub(super) fn fork(&self, code: Code) -> Result<BooksFault, BooksFault> {
        let newest: i64 = self
            .db
            .one(
                "SELECT MAX(e) FROM (SELECT MAX(epoch) AS e FROM rig_epochs WHERE rig = ?1
                   UNION ALL SELECT MAX(epoch) FROM quarantine WHERE rig = ?1
                   UNION ALL SELECT MAX(epoch) FROM epoch_words WHERE rig = ?1) AS newest",
                values![self.head.rig.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("find the newest epoch"))?;
        Ok(BooksFault::Fork {
            next_epoch: epoch_number(newest).saturating_add(1),
            code,
        })
    }

    /// One item that was refused alone: its bytes and position are kept, whatever they are, so that
    /// the cursor moves on.
    pub(super) fn unread(&mut self, batch: &RecordBatch) -> Result<(), BooksFault> {
        let [item] = &batch.items[..] else {
            return Err(BooksFault::Batch("quarantines more than one item"));
        };
        let Some(ItemBody::Frame(bytes)) = &item.body else {
            return Err(BooksFault::Batch("quarantines an item without bytes"));
        };
        let seq = batch.first_seq;
        let (mut trunk, mut bulk) = self.held_epoch(&[])?;
        let (held, class) = match self.head.cursor {
            Cursor::Trunk => (&mut trunk, Class::Money),
            Cursor::Bulk => (&mut bulk, Class::Ambient),
        };
        if held.has(seq) {
            return Ok(());
        }
        let alone = Stretch {
            first: seq,
            last: seq,
            before: None,
            after: None,
        };
        if !held.add(alone) {
            return Err(BooksFault::Bound("separate stretches of one epoch"));
        }
        self.keep_held(&trunk, &bulk)?;
        self.db
            .run(
                "INSERT INTO records (rig, epoch, seq, class, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(seq),
                    class.byte(),
                    bytes
                ],
            )
            .map_err(BooksFault::sql("keep a record unread"))?;
        self.poison(seq, bytes)
    }
}
