//! What rigs say of their epochs beyond what they sent: how far they are, where one ended, which do
//! not count. A word is about one life, not only about a number: after a fork two lives share one.

use std::collections::BTreeMap;

use popwatch_core::code::Code;
use popwatch_core::event::Class;
use popwatch_core::event::system::{Loss, LossCount, RigStarted};
use popwatch_core::id::{PopupId, Position};
use popwatch_core::lane::RecordBatch;
use popwatch_core::ledger::{Break, BreakClass, FactId};

use super::super::BooksFault;
use super::super::db::values;
use super::super::rows::{column, number, set_breaks};
use super::Intake;
use super::head::SEQ_MAX;

impl Intake<'_> {
    pub(super) fn beacons(&mut self, batch: &RecordBatch) -> Result<(), BooksFault> {
        for beacon in &batch.beacons {
            let ours = beacon.rig.is_empty() || beacon.rig == self.head.rig.as_str();
            if !ours || beacon.epoch == 0 || beacon.durable_seq >= SEQ_MAX {
                continue;
            }
            self.word(beacon.epoch, &beacon.epoch_id, None, beacon.durable_seq)?;
            if let Ok(popup) = PopupId::new(&beacon.popup) {
                self.poster
                    .took_part(&popup, &self.head.rig, beacon.epoch)?;
            }
        }
        Ok(())
    }

    /// A rig says what it refused or dropped: whatever of it carries money is a break of its popup.
    pub(super) fn rig_loss(&mut self, at: &Position, loss: &Loss) -> Result<(), BooksFault> {
        let mut lost: BTreeMap<&str, u64> = BTreeMap::new();
        let money = |one: &&LossCount| one.class == Class::Money.name() && one.count != 0;
        for one in loss.counts.iter().filter(money) {
            let sum = lost.entry(&one.popup).or_default();
            *sum = sum.saturating_add(one.count);
        }
        let rig = &self.head.rig;
        let place = format!("{rig}/{}/{}", at.epoch, at.seq);
        for (popup, count) in lost {
            let popup = PopupId::new(popup).ok();
            let sentence = format!(
                "{rig} could not take {count} {} that may carry money; nothing is known of what \
                 {} worth.",
                if count == 1 { "event" } else { "events" },
                if count == 1 { "it was" } else { "they were" }
            );
            let named = popup.as_ref().map_or("", PopupId::as_str);
            let keys = [named.to_string(), place.clone()];
            let found =
                Break::new(BreakClass::Loss, keys.into(), sentence).evident([place.clone()].into());
            let cause = FactId::of("rig loss", &[found.id.as_str().as_bytes()]);
            if let Some(popup) = &popup {
                self.poster.took_part(popup, rig, self.head.epoch)?;
            }
            // Of no popup it is the rig's own.
            let of_rig = popup.is_none().then_some(rig);
            set_breaks(self.db, cause, named, of_rig, &[found], self.now_ms, true)?;
        }
        Ok(())
    }

    /// A new epoch closes the one before it and names those that do not count.
    pub(super) fn started(&mut self, seq: u64, started: &RigStarted) -> Result<(), BooksFault> {
        let before = started.previous_epoch;
        for id in &started.left_ids {
            self.void(id)?;
        }
        if before == 0 {
            return Ok(());
        }
        let ended = started.previous_last_seq;
        self.word(before, &started.previous_epoch_id, Some(ended), 0)?;
        if self.holds_beyond(before, &started.previous_epoch_id, ended)? {
            let code = Some(Code::EpochRewound);
            self.odd(
                seq,
                "rewind",
                code,
                "the epoch before it is held further than it says",
            );
        }
        Ok(())
    }

    fn word(
        &self,
        epoch: u32,
        epoch_id: &[u8],
        ended: Option<u64>,
        head: u64,
    ) -> Result<(), BooksFault> {
        self.db
            .run(
                "INSERT INTO epoch_words (rig, epoch, epoch_id, ended, ended_least, head)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5)
                 ON CONFLICT (rig, epoch, epoch_id) DO UPDATE SET
                   head = CASE WHEN excluded.head > epoch_words.head
                               THEN excluded.head ELSE epoch_words.head END,
                   ended = CASE WHEN epoch_words.ended IS NULL
                                  OR excluded.ended > epoch_words.ended
                                THEN excluded.ended ELSE epoch_words.ended END,
                   ended_least = CASE WHEN epoch_words.ended_least IS NULL
                                        OR excluded.ended_least < epoch_words.ended_least
                                      THEN excluded.ended_least
                                      ELSE epoch_words.ended_least END",
                values![
                    self.head.rig.as_str(),
                    epoch,
                    epoch_id,
                    ended.map(column),
                    column(head)
                ],
            )
            .map(drop)
            .map_err(BooksFault::sql("note how far a rig is"))
    }

    fn void(&self, epoch_id: &[u8]) -> Result<(), BooksFault> {
        self.db
            .run(
                "INSERT INTO epoch_voids (rig, epoch_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                values![self.head.rig.as_str(), epoch_id],
            )
            .map(drop)
            .map_err(BooksFault::sql("note a void epoch"))
    }

    fn holds_beyond(&self, epoch: u32, epoch_id: &[u8], ended: u64) -> Result<bool, BooksFault> {
        let held: Option<i64> = self
            .db
            .one(
                "SELECT MAX(r.seq) FROM records r JOIN rig_epochs h
                   ON h.rig = r.rig AND h.epoch = r.epoch
                 WHERE r.rig = ?1 AND r.epoch = ?2 AND h.epoch_id = ?3",
                values![self.head.rig.as_str(), epoch, epoch_id],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("look how far an epoch is held"))?;
        Ok(held.is_some_and(|held| number(held) > ended))
    }
}
