//! Beginning an epoch, popwatch's own records, and the one commit everything goes through.

use std::io;
use std::sync::Arc;

use popwatch_core::event::Event;
use popwatch_core::event::system::{PopupPolicy, RigStarted, SystemEvent};
use popwatch_core::id::{Epoch, EventId, PopupId, Seq, Source};
use popwatch_core::record::{Content, Flags, Record, Stamp};

use super::stage::{Head, Stage, gap_of, own_id};
use super::{DAY_MS, OWN_RECORD_BYTES};
use crate::fs::{File, Fs};
use crate::journal::footer::Footer;
use crate::journal::format::{BODY_AT, FLAG_FROM_RESERVE, SegmentHeader};
use crate::journal::segment::{DIR, OpenSegment, segment_name};
use crate::journal::{AppendError, Committed, EpochInfo, Journal};

/// What the next epoch says about the one before it.
#[derive(Debug, Clone, Default)]
pub(in crate::journal) struct Previous {
    pub(in crate::journal) started: RigStarted,
}

impl<F: Fs> Journal<F> {
    /// Opens a new epoch if the last commit could not be made; answers whether all was well.
    pub(in crate::journal) fn reopen(
        &mut self,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<bool, AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        if self.open.is_some() {
            return Ok(true);
        }
        self.fail_over(stamp, records).map(|()| false)
    }

    pub(super) fn not_durable(&mut self, error: io::Error) -> AppendError {
        self.abandon();
        AppendError::NotDurable(error)
    }

    /// Never touches the open file again.
    pub(super) fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            if open.end == 0 {
                // Nothing in it counts; a leftover is void by the next epoch's statement.
                drop(self.fs.unlink(&open.name));
            } else {
                self.sealed.push(open.abandon(self.head.chains));
            }
        }
    }

    pub(super) fn fail_over(
        &mut self,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        self.abandon();
        let started = RigStarted {
            reason: "sync_failed".into(),
            ..self.closing_head()
        };
        let policies: Vec<_> = self.popups.values().cloned().collect();
        let opened = self.begin_epoch(Previous { started }, policies, stamp);
        opened
            .map(|opening| records.extend(opening))
            .map_err(AppendError::NotDurable)
    }

    /// What the next epoch says of the current one.
    pub(super) fn closing_head(&self) -> RigStarted {
        RigStarted {
            previous_epoch: self.head.epoch.0,
            previous_epoch_id: self.head.epoch_id.0.to_vec(),
            previous_last_seq: self.head.seq,
            previous_chain_trunk: self.head.chains[0].to_vec(),
            previous_chain_bulk: self.head.chains[1].to_vec(),
            previous_totals: self.totals.statement(true),
            ..RigStarted::default()
        }
    }

    /// Opens a segment with a new epoch and commits its first records.
    pub(in crate::journal) fn begin_epoch(
        &mut self,
        previous: Previous,
        policies: Vec<PopupPolicy>,
        stamp: Stamp,
    ) -> io::Result<Vec<Committed>> {
        let epoch = Epoch(self.next_epoch);
        self.next_epoch = self.next_epoch.saturating_add(1);
        let (before, totals_before) = (self.head, std::mem::take(&mut self.totals));
        self.head = Head::new(epoch, (self.fresh_epoch)());
        let opened = self.try_begin(previous, policies, stamp);
        match &opened {
            Ok(_) => {
                if let Some(info) = self
                    .epochs
                    .iter_mut()
                    .find(|info| info.epoch == before.epoch)
                {
                    // A process that goes on knows what of the epoch it leaves is durable.
                    info.exact |= info.current;
                    info.current = false;
                    info.last_seq = info.last_seq.max(Seq(before.seq));
                }
                self.void_epochs.clear();
                self.epochs.push(EpochInfo {
                    epoch,
                    epoch_id: self.head.epoch_id,
                    last_seq: Seq(self.head.seq),
                    trimmed: Seq::NONE,
                    void: false,
                    current: true,
                    exact: true,
                });
            }
            Err(_) => {
                if self.open.is_some() {
                    self.abandon_start();
                    self.void_epochs.push(epoch.0);
                    // What an older one may have left behind holds nothing that anybody was told.
                    if self.void_epochs.len() > popwatch_core::limits::VOID_EPOCHS_MAX {
                        self.void_epochs.remove(0);
                    }
                } else {
                    // Without a file nobody can have seen the number.
                    self.next_epoch = epoch.0;
                }
                self.head = before;
                self.totals = totals_before;
            }
        }
        opened
    }

    pub(super) fn abandon_start(&mut self) {
        if let Some(open) = self.open.take() {
            drop(self.fs.unlink(&open.name));
        }
    }

    pub(super) fn try_begin(
        &mut self,
        previous: Previous,
        policies: Vec<PopupPolicy>,
        stamp: Stamp,
    ) -> io::Result<Vec<Committed>> {
        let started = RigStarted {
            epoch_id: self.head.epoch_id.0.to_vec(),
            journal_id: self.journal_id.0.to_vec(),
            boot_id: self.boot_id.0.to_vec(),
            version: self.version.clone(),
            void_epochs: self.void_epochs.clone(),
            ..previous.started
        };
        let gaps = self.gaps_waiting.clone();
        let mut events = vec![(SystemEvent::RigStarted(started), None)];
        events.extend(gaps.into_iter().map(|gap| (SystemEvent::RigGap(gap), None)));
        for policy in policies {
            let popup = PopupId::new(&policy.popup).ok();
            // A policy that only was implied stays one.
            let event = if policy.version == 0 && policy.digest.is_empty() {
                SystemEvent::PolicyImplied(policy)
            } else {
                SystemEvent::PolicyApplied(policy)
            };
            events.push((event, popup));
        }
        let bytes: usize = events
            .iter()
            .map(|(event, _)| event.encode().len() + OWN_RECORD_BYTES)
            .sum();
        self.create_segment(bytes, events.len(), stamp)?;
        self.popups.clear();
        let open = self.open.as_ref().expect("a segment was just made");
        let mut stage = Stage::new(self.head, open, bytes);
        self.totals.begin();
        for (event, popup) in events {
            self.stage_system(&mut stage, event, popup, stamp);
        }
        self.gaps_waiting.clear();
        let records = self.commit(stage).map_err(|(error, stage)| {
            self.gaps_waiting = stage.out.iter().filter_map(gap_of).collect();
            error
        })?;
        Ok(records)
    }

    pub(super) fn create_segment(
        &mut self,
        bytes: usize,
        records: usize,
        stamp: Stamp,
    ) -> io::Result<()> {
        let no = self.next_segment_no;
        self.next_segment_no += 1;
        let mut header = SegmentHeader {
            flags: 0,
            epoch: self.head.epoch,
            segment_no: no,
            first_seq: Seq(self.head.seq + 1),
            journal_id: self.journal_id,
            epoch_id: self.head.epoch_id,
            rig: self.rig.clone(),
            chains: self.head.chains,
            wall_ms: stamp.wall_ms,
            mono_ns: stamp.mono_ns,
            boot_id: self.boot_id,
        };
        let footer = Footer::bytes_bound(records + 2, records + 2, 32);
        let need = bytes + footer + self.seal_bytes() + 4_096;
        let need = BODY_AT + u64::try_from(need).unwrap_or(u64::MAX);
        let len = self.segment_bytes.max(need);
        let name = segment_name(no);
        let mut from_last = false;
        let made = match self.fs.create(&name, len) {
            Ok(file) => {
                self.has_room();
                Ok((file, len))
            }
            Err(error) => {
                // A file of that name may exist by half.
                drop(self.fs.unlink(&name));
                header.flags = FLAG_FROM_RESERVE;
                match self.take_reserve(&name, need, error) {
                    Ok(file) => Ok((file, self.segment_bytes)),
                    // Only a new epoch lets go of the one that filled the disk.
                    Err(error) if self.head.seq == 0 => {
                        from_last = true;
                        self.take_last(&name, need, error)
                    }
                    Err(error) => Err(error),
                }
            }
        };
        if made.is_err() {
            drop(self.fs.unlink(&name));
        }
        let (file, len) = made?;
        self.space.in_last = from_last;
        self.open = Some(OpenSegment::new(file, header, len));
        Ok(())
    }

    /// A popup nobody told of gets a window of the day it is first seen on.
    pub(super) fn stage_implied(&mut self, stage: &mut Stage, record: &Record, stamp: Stamp) {
        let Some(popup) = &record.popup else {
            return;
        };
        let own = matches!(record.event, Event::System(_));
        if own || self.popups.contains_key(popup.as_str()) {
            return;
        }
        let starts_ms = stamp.wall_ms.div_euclid(DAY_MS) * DAY_MS;
        let policy = PopupPolicy {
            popup: popup.into(),
            starts_ms,
            ends_ms: starts_ms + DAY_MS,
            zone: "UTC".into(),
            ..PopupPolicy::default()
        };
        self.stage_system(
            stage,
            SystemEvent::PolicyImplied(policy),
            Some(popup.clone()),
            stamp,
        );
    }

    /// Remembers the policies an epoch states. After a failed commit the next epoch begins with
    /// what was learned, which only repeats what was going to be stated.
    pub(super) fn learn(&mut self, event: &Event) {
        if let Event::System(
            SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy),
        ) = event
        {
            self.popups.insert(policy.popup.clone(), policy.clone());
        }
    }

    pub(super) fn stage_system(
        &mut self,
        stage: &mut Stage,
        event: SystemEvent,
        popup: Option<PopupId>,
        stamp: Stamp,
    ) {
        let id = own_id(&stage.head);
        let record = self.own_record(Event::System(event), popup, stamp, &id);
        self.learn(&record.event);
        stage.own(&mut self.totals, record, None, None);
    }

    pub(super) fn own_record(
        &self,
        event: Event,
        popup: Option<PopupId>,
        stamp: Stamp,
        id: &str,
    ) -> Record {
        let policy_version = popup
            .as_ref()
            .and_then(|popup| self.popups.get(popup.as_str()))
            .map_or(0, |policy| policy.version);
        Record {
            event,
            popup,
            source: self.own_source(),
            id: EventId::new(id).expect("letters and digits are an event id"),
            stamp,
            beyond: None,
            content: Content::default(),
            policy_version,
            flags: Flags::default(),
            totals: Vec::new(),
            origin: None,
        }
    }

    pub(super) fn own_source(&self) -> Source {
        Source::new(&format!("popwatch:{}", self.rig)).expect("a rig's name is printable and short")
    }

    /// One write, one sync. On failure the stage comes back untouched and nothing of it counts.
    pub(super) fn commit(
        &mut self,
        stage: Stage,
    ) -> Result<Vec<Committed>, (io::Error, Box<Stage>)> {
        let open = self
            .open
            .as_mut()
            .expect("a stage is made for an open segment");
        let written = open
            .file
            .write_at(&stage.buf, stage.base)
            .and_then(|()| open.file.sync_data())
            .and_then(|()| {
                if stage.base == 0 {
                    self.fs.sync_dir(DIR)
                } else {
                    Ok(())
                }
            });
        if let Err(error) = written {
            self.totals.undo();
            return Err((error, Box::new(stage)));
        }
        open.end = stage.base + u64::try_from(stage.buf.len()).unwrap_or(0);
        Ok(self.absorb(stage))
    }

    pub(super) fn absorb(&mut self, stage: Stage) -> Vec<Committed> {
        let epoch = stage.head.epoch;
        self.head = stage.head;
        self.since_seal |= stage.out.iter().any(|one| wants_seal(&one.record.event));
        if let Some(info) = self.epochs.iter_mut().rfind(|info| info.epoch == epoch) {
            info.last_seq = Seq(stage.head.seq);
        }
        let open = self
            .open
            .as_mut()
            .expect("a stage is made for an open segment");
        let staged = stage.out.into_iter();
        staged
            .map(|one| {
                open.footer.note(one.at, one.seq, &one.record);
                if let Some(entry) = one.key {
                    open.keys.insert(entry.key, entry);
                }
                Committed {
                    epoch,
                    seq: Seq(one.seq),
                    record: Arc::new(one.record),
                }
            })
            .collect()
    }
}

/// Whether a record is worth a seal of its own. What opens an epoch and what seals it state
/// themselves, so an idle rig writes nothing.
fn wants_seal(event: &Event) -> bool {
    !matches!(
        event,
        Event::System(
            SystemEvent::RigStarted(_)
                | SystemEvent::RigSeal(_)
                | SystemEvent::RigStopped(_)
                | SystemEvent::PolicyApplied(_)
        )
    )
}
