//! Two journals under one name: leaving the forked epochs, and taking their events along.
//!
//! ```text
//! rig.started{reason fork, void_epochs}   the forked epochs no longer count
//! their events, one segment a call        under new seqs, with their old place as `origin`
//! rig.trimmed, unlink                     nothing is left to take along
//! ```
//!
//! If power fails in between, the next life finds void epochs with files and goes on: an event that
//! stands somewhere else already is not appended again. What a client sends again meanwhile is taken
//! and then not doubled.

use popwatch_core::event::Event;
use popwatch_core::event::system::{RigStarted, SystemEvent};
use popwatch_core::id::Seq;
use popwatch_core::limits;
use popwatch_core::record::{Origin, Record, Stamp, decode, encode, event_key};

use super::epoch::Previous;
use super::known::Known;
use super::{RECORD_OVERHEAD_BYTES, Waiting, What, chunk};
use crate::fs::Fs;
use crate::journal::format::FRAME_HEADER_BYTES;
use crate::journal::read::ReadItem;
use crate::journal::segment::{indexed, load};
use crate::journal::{AppendError, Commit, Committed, EpochInfo, Journal};

impl<F: Fs> Journal<F> {
    /// Opens an epoch of at least `next_epoch` because a peer holds another history of this rig.
    /// Every epoch below it that is not wholly acknowledged becomes void; their events are appended
    /// again. Large backlogs go on with each later append and seal, see
    /// [`Journal::fork_goes_on`]. Fails as [`Journal::append`].
    pub fn fork(&mut self, next_epoch: u32, stamp: Stamp) -> Result<Commit, AppendError> {
        let mut records = std::mem::take(&mut self.undelivered);
        let done = self
            .reopen(stamp, &mut records)
            .and_then(|_| self.leave(next_epoch, stamp, &mut records))
            .and_then(|()| self.take_along(stamp, &mut records));
        if let Err(error) = done {
            self.undelivered = records;
            return Err(error);
        }
        Ok(Commit {
            verdicts: Vec::new(),
            records,
        })
    }

    /// Whether events of void epochs still wait to be appended again.
    #[must_use]
    pub fn fork_goes_on(&self) -> bool {
        self.forked().is_some()
    }

    fn leave(
        &mut self,
        next_epoch: u32,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        // A number out of all proportion is no word of a sane peer; any higher one will do.
        if next_epoch.saturating_sub(self.next_epoch) <= limits::EPOCH_JUMP_MAX {
            self.next_epoch = self.next_epoch.max(next_epoch);
        }
        let below = self.next_epoch;
        let forked: Vec<_> = self
            .epochs
            .iter()
            .filter(|info| !info.void && info.epoch.0 < below && !self.replicated(info))
            .copied()
            .collect();
        let stays = |info: &&EpochInfo| !info.void && !forked.contains(info);
        let kept = self.epochs.iter().rfind(stays).copied();
        let started = kept.map_or_else(RigStarted::default, |kept| self.closing(kept));
        self.void_epochs
            .extend(forked.iter().map(|info| info.epoch.0));
        let left_ids = self.left_ids(&forked);
        let started = RigStarted {
            reason: "fork".into(),
            left_ids,
            ..started
        };
        if let Err(error) = self.turn(started, stamp, records) {
            // Not left after all; the caller tries again.
            self.void_epochs
                .retain(|epoch| !forked.iter().any(|info| info.epoch.0 == *epoch));
            return Err(error);
        }
        for info in &mut self.epochs {
            info.void |= forked.iter().any(|one| one.epoch_id == info.epoch_id);
        }
        self.memo = [None, None];
        Ok(())
    }

    /// The lives that are left now, and those they had left themselves: nobody may have heard of
    /// these yet.
    fn left_ids(&mut self, forked: &[EpochInfo]) -> Vec<Vec<u8>> {
        let mut ids: Vec<Vec<u8>> = Vec::new();
        for info in forked {
            let first = self.read(info.epoch, Seq(1), 1).unwrap_or_default();
            for item in first {
                let ReadItem::Frame { frame, .. } = item else {
                    continue;
                };
                let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                if let Ok(record) = decode(payload)
                    && let Event::System(SystemEvent::RigStarted(started)) = record.event
                {
                    ids.extend(started.left_ids);
                }
            }
            ids.push(info.epoch_id.0.to_vec());
        }
        let beyond = ids.len().saturating_sub(limits::VOID_EPOCHS_MAX);
        ids.drain(..beyond);
        ids
    }

    /// What the new epoch says of the last one that stays.
    fn closing(&self, kept: EpochInfo) -> RigStarted {
        let newest = self
            .sealed
            .iter()
            .filter(|segment| segment.epoch_id == kept.epoch_id)
            .max_by_key(|segment| segment.footer.last_seq);
        let chain = |index: usize| {
            let chains = newest.map(|segment| segment.footer.chains);
            let chain = chains.and_then(|chains| chains.get(index).copied().flatten());
            chain.map(|chain| chain.to_vec()).unwrap_or_default()
        };
        RigStarted {
            previous_epoch: kept.epoch.0,
            previous_epoch_id: kept.epoch_id.0.to_vec(),
            previous_last_seq: kept.last_seq.0,
            previous_chain_trunk: chain(0),
            previous_chain_bulk: chain(1),
            previous_totals: self.stated(kept).unwrap_or_default(),
            ..RigStarted::default()
        }
    }

    /// Ends the current epoch in good order and begins another.
    pub(in crate::journal) fn turn_epoch(
        &mut self,
        reason: &str,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        self.reopen(stamp, records)?;
        let started = RigStarted {
            reason: reason.into(),
            ..RigStarted::default()
        };
        self.turn(started, stamp, records)
    }

    /// As [`Journal::turn_epoch`]; without a previous epoch in `started`, the current one is it.
    fn turn(
        &mut self,
        mut started: RigStarted,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        let seal = popwatch_core::event::system::SystemEvent::RigSeal(self.seal_event(true));
        match self.close_segment(seal, stamp) {
            Ok(done) => records.extend(done),
            // Its last records stand all the same; the next epoch states where it ended.
            Err(_) => self.abandon(),
        }
        if started.previous_epoch == 0 && started.reason != "fork" {
            started = RigStarted {
                reason: started.reason,
                ..self.closing_head()
            };
        }
        let policies: Vec<_> = self.popups.values().cloned().collect();
        let opened = self.begin_epoch(Previous { started }, policies, stamp);
        opened
            .map(|opening| records.extend(opening))
            .map_err(AppendError::NotDurable)
    }

    /// The void epoch whose events come next.
    fn forked(&self) -> Option<EpochInfo> {
        let has_files = |info: &&EpochInfo| {
            let mut segments = self.sealed.iter();
            info.void && segments.any(|segment| segment.epoch_id == info.epoch_id)
        };
        self.epochs.iter().find(has_files).copied()
    }

    /// Appends the events of one void segment again; after an epoch's last one, removes its files.
    pub(super) fn take_along(
        &mut self,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        let Some(info) = self.forked() else {
            return Ok(());
        };
        let next = self
            .sealed
            .iter()
            .filter(|segment| segment.epoch_id == info.epoch_id)
            .filter(|segment| Some(segment.no) > self.taken_along)
            .min_by_key(|segment| segment.no);
        let Some(segment) = next else {
            self.taken_along = None;
            return self.remove(&[info], stamp, records);
        };
        let no = segment.no;
        // A file that cannot be opened now is tried again.
        let loaded = load(&self.fs, segment).map_err(AppendError::NotDurable)?;
        let mut from = 0;
        let mut waiting = Vec::new();
        for frame in &loaded.scan.frames {
            let Some(record) = loaded.record(frame) else {
                continue;
            };
            let seq = frame.header.seq.0;
            if let Some(one) = self.again(
                record,
                Origin {
                    epoch: info.epoch.0,
                    seq,
                },
            ) {
                waiting.push(one);
            }
        }
        while from < waiting.len() {
            let (end, _) = chunk(&waiting, from);
            let part = waiting.get_mut(from..end).unwrap_or_default();
            self.commit_all(part, stamp, records)?;
            from = end;
        }
        self.taken_along = Some(no);
        Ok(())
    }

    /// A client's event that stands nowhere else, ready to be appended again.
    fn again(&mut self, mut record: Record, origin: Origin) -> Option<Waiting> {
        if matches!(record.event, Event::System(_)) {
            return None;
        }
        let key = event_key(&self.journal_key, &record.source, &record.id);
        if indexed(&record) && matches!(self.find_key(&key), Known::At(_)) {
            return None;
        }
        record.totals.clear();
        record.origin = None;
        let bytes = encode(&record);
        Some(Waiting {
            bytes: bytes.len() + RECORD_OVERHEAD_BYTES + super::OWN_RECORD_BYTES,
            key,
            content: record.content,
            origin: Some(origin),
            placed: None,
            what: What::Event {
                record: Some(record),
                bytes,
            },
        })
    }
}
