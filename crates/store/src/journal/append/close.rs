//! Seals, rolling to the next segment, and the clean end.

use std::io;

use popwatch_core::event::system::{PopupPolicy, Seal, SystemEvent};
use popwatch_core::limits;
use popwatch_core::record::Stamp;

use super::OWN_RECORD_BYTES;
use super::stage::Stage;
use crate::fs::{File, Fs};
use crate::journal::segment::{KeysAt, Sealed, closing_bytes, keys_offset};
use crate::journal::{AppendError, Commit, Committed, Journal};

impl<F: Fs> Journal<F> {
    pub(super) fn seal_bytes(&self) -> usize {
        OWN_RECORD_BYTES + self.totals.row_count() * 256 + self.acked.len() * 64
    }

    pub(super) fn seal_event(&self, complete: bool) -> Seal {
        Seal {
            counts: self.head.counts.to_vec(),
            chain_trunk: self.head.chains[0].to_vec(),
            chain_bulk: self.head.chains[1].to_vec(),
            totals: self.totals.statement(complete),
            acked: self.acked.clone(),
            complete,
        }
    }

    /// Writes the last seal, footer and trailer, cuts the file, syncs once.
    pub(super) fn close_segment(
        &mut self,
        last: SystemEvent,
        stamp: Stamp,
    ) -> io::Result<Vec<Committed>> {
        let open = self.open.as_ref().expect("only an open segment is closed");
        let mut stage = Stage::new(self.head, open, 4_096);
        self.totals.begin();
        self.totals.sealed();
        self.stage_system(&mut stage, last, None, stamp);
        let open = self.open.as_mut().expect("only an open segment is closed");
        let mut footer = open.footer.clone();
        for one in &stage.out {
            footer.note(one.at, one.seq, &one.record);
        }
        footer.chains = stage.head.chains.map(Some);
        let mut keys: Vec<_> = open.keys.values().copied().collect();
        let at = stage.base + u64::try_from(stage.buf.len()).unwrap_or(0);
        let epoch = (stage.head.epoch, &stage.head.epoch_id);
        let closing = closing_bytes(&mut footer, &mut keys, epoch, at);
        stage.buf.extend_from_slice(&closing);
        let len = stage.base + u64::try_from(stage.buf.len()).unwrap_or(0);
        let written = open
            .file
            .write_at(&stage.buf, stage.base)
            .and_then(|()| open.file.set_len(len))
            .and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            self.totals.undo();
            return Err(error);
        }
        let records = self.absorb(stage);
        self.since_seal = false;
        let open = self.open.take().expect("only an open segment is closed");
        self.sealed.push(Sealed {
            no: open.header.segment_no,
            name: open.name,
            epoch: open.header.epoch,
            epoch_id: open.header.epoch_id,
            chains_before: Some(open.header.chains),
            end: at,
            bytes: len,
            keys: KeysAt::File(keys_offset(at, &footer)),
            verified: true,
            footer,
        });
        self.bound_filters();
        Ok(records)
    }

    /// Keeps the newest filters in memory; older segments are asked on disk.
    pub(in crate::journal) fn bound_filters(&mut self) {
        let mut room = limits::KEY_FILTER_BYTES_MAX;
        let newest_first = self.sealed.iter_mut().rev();
        for segment in newest_first.chain(self.kept_keys.iter_mut().rev()) {
            match room.checked_sub(segment.footer.filter.len()) {
                Some(left) => room = left,
                None => segment.footer.filter = Vec::new(),
            }
        }
    }

    pub(super) fn roll(
        &mut self,
        bytes: usize,
        count: usize,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> io::Result<()> {
        let seal = SystemEvent::RigSeal(self.seal_event(true));
        records.extend(self.close_segment(seal, stamp)?);
        self.create_segment(bytes, count, stamp)
    }

    /// Goes on in a segment for all records, when the open one is for popwatch's own facts only.
    pub(super) fn leave_last(
        &mut self,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        if !self.in_last() {
            return Ok(());
        }
        self.make_room().map_err(AppendError::NotDurable)?;
        self.roll(0, 0, stamp, records)
            .map_err(|error| self.not_durable(error))
    }

    /// States everything so far, if other records came since the last such statement or a popup ended:
    /// a rig that says nothing after the end may hold what nobody knows. Call it each minute and when
    /// [`Self::popup_ended`].
    pub fn seal(&mut self, stamp: Stamp) -> Result<Commit, AppendError> {
        self.since_seal |= self.popup_ended(stamp.wall_ms);
        self.asked_seal_ms = stamp.wall_ms;
        let mut records = std::mem::take(&mut self.undelivered);
        let sealed = self.seal_into(stamp, &mut records);
        if let Err(error) = sealed {
            self.undelivered = records;
            return Err(error);
        }
        Ok(Commit {
            verdicts: Vec::new(),
            records,
        })
    }

    /// Whether the window of a popup ended since a seal was asked for last; ms since 1970.
    #[must_use]
    pub fn popup_ended(&self, now_ms: i64) -> bool {
        let before_ms = self.asked_seal_ms;
        let ended = |policy: &PopupPolicy| {
            let has_window = policy.starts_ms < policy.ends_ms;
            has_window && before_ms < policy.ends_ms && policy.ends_ms <= now_ms
        };
        self.popups.values().any(ended)
    }

    pub(super) fn seal_into(
        &mut self,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        self.commit_all(&mut [], stamp, records)?;
        self.take_along(stamp, records)?;
        if !self.since_seal {
            return Ok(());
        }
        let seal_bytes = self.seal_bytes() * 2;
        let fits = self
            .open
            .as_ref()
            .is_some_and(|open| open.fits(seal_bytes, 1, seal_bytes));
        let done = if fits {
            self.seal_here(stamp)
        } else {
            let mut rolled = Vec::new();
            let done = self.roll(seal_bytes, 1, stamp, &mut rolled);
            records.append(&mut rolled);
            done.map(|()| Vec::new())
        };
        match done {
            Ok(done) => {
                records.extend(done);
                Ok(())
            }
            Err(_) => self.fail_over(stamp, records),
        }
    }

    pub(super) fn seal_here(&mut self, stamp: Stamp) -> io::Result<Vec<Committed>> {
        let event = SystemEvent::RigSeal(self.seal_event(false));
        let open = self
            .open
            .as_ref()
            .expect("append opens a segment before it seals");
        let mut stage = Stage::new(self.head, open, 4_096);
        self.totals.begin();
        self.totals.sealed();
        self.stage_system(&mut stage, event, None, stamp);
        let records = self.commit(stage).map_err(|(error, _)| error)?;
        self.since_seal = false;
        Ok(records)
    }

    /// Ends the epoch cleanly: `rig.stopped`, footer. Afterwards nothing can be appended.
    pub fn stop(&mut self, stamp: Stamp) -> Result<Commit, AppendError> {
        let mut records = std::mem::take(&mut self.undelivered);
        self.commit_all(&mut [], stamp, &mut records)?;
        let stopped = SystemEvent::RigStopped(self.seal_event(true));
        match self.close_segment(stopped, stamp) {
            Ok(done) => records.extend(done),
            Err(error) => return Err(self.not_durable(error)),
        }
        self.stopped = true;
        Ok(Commit {
            verdicts: Vec::new(),
            records,
        })
    }
}
