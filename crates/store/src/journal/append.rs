//! Appending: verdict, seq, totals, chains, one write, one sync, and what happens when that fails.
//!
//! ```text
//! classify  key index ─► new │ duplicate │ conflict            nothing is numbered yet
//! stage     seq, totals, chains, frame bytes in memory         can be taken back as a whole
//! commit    write_at, sync_data (a new file: sync_dir too)     here records become durable
//! absorb    keys, offsets, head; answers                       only after the sync returned
//!
//! if power fails before the sync returned: nobody was told; what survived of the commit is kept
//! if it is whole up to some record, else cut as torn. If the sync itself fails: the file is never
//! written again; a new epoch states the last durable seq, everything above it is void, and what
//! waited is appended again with its old place as `origin`.
//! ```

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use popwatch_core::event::system::{Conflict, PopupPolicy, RigStarted, Seal, SystemEvent};
use popwatch_core::event::{Cursor, Event, FieldSink, Value};
use popwatch_core::id::{Epoch, EpochId, EventId, PopupId, Position, Seq, Source};
use popwatch_core::limits;
use popwatch_core::record::{Content, Draft, Flags, Origin, Record, Stamp, event_key, tail};
use popwatch_redact::proof::{Redacted, own};

use super::format::{
    BODY_AT, FLAG_FIRST, FRAME_HEADER_BYTES, FRAME_SIGNED_BYTES, FrameHeader, FrameKind,
    HeaderSeed, SegmentHeader, chain_index, chain_next, chain_start, padded,
};
use super::keys::{Key, KeyEntry};
use super::segment::{
    DIR, KeysAt, OpenSegment, Sealed, closing_bytes, indexed, keys_offset, segment_name,
};
use super::totals::Totals;
use super::{AppendError, Commit, Committed, Durable, EpochInfo, Journal, Verdict};
use crate::fs::{File, Fs};

const DAY_MS: i64 = 86_400_000;
/// More than totals, origin, header and padding add to a record.
const RECORD_OVERHEAD_BYTES: usize = 288;
/// More than a record of popwatch's own that is no seal, start or gap takes.
const OWN_RECORD_BYTES: usize = 1_024;

/// Where an epoch stands: all that a commit moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) epoch_id: EpochId,
    seed: HeaderSeed,
    pub(super) seq: u64,
    pub(super) counts: [u64; 5],
    pub(super) chains: [[u8; 32]; 2],
}

impl Head {
    pub(super) fn new(epoch: Epoch, epoch_id: EpochId) -> Self {
        Self {
            epoch,
            epoch_id,
            seed: HeaderSeed::new(&epoch_id),
            seq: 0,
            counts: [0; 5],
            chains: Cursor::ALL.map(|cursor| chain_start(epoch_id, cursor)),
        }
    }
}

/// What the next epoch says about the one before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Previous {
    pub(super) started: RigStarted,
}

/// Records that were given a place in memory.
struct Stage {
    head: Head,
    buf: Vec<u8>,
    base: u64,
    frames_from: usize,
    out: Vec<Staged>,
}

struct Staged {
    at: u64,
    seq: u64,
    record: Record,
    key: Option<KeyEntry>,
    waiting: Option<usize>,
}

impl Stage {
    fn new<T>(head: Head, segment: &OpenSegment<T>, bytes: usize) -> Self {
        let mut buf = Vec::new();
        if segment.end == 0 {
            buf = segment.header.block();
        }
        buf.reserve(bytes);
        Self {
            head,
            base: segment.end,
            frames_from: buf.len(),
            buf,
            out: Vec::new(),
        }
    }

    /// Gives a record its place. `bytes` is its encoding without totals and origin.
    fn push(
        &mut self,
        totals: &mut Totals,
        mut record: Record,
        bytes: &[u8],
        key: Option<Key>,
        waiting: Option<usize>,
    ) {
        let seq = self.head.seq + 1;
        let class = record.event.class();
        record.totals.extend(totals.add(&record));
        let start = self.buf.len();
        self.buf.resize(start + FRAME_HEADER_BYTES, 0);
        self.buf.extend_from_slice(bytes);
        if !record.totals.is_empty() || record.origin.is_some() {
            self.buf
                .extend_from_slice(&tail(record.totals.clone(), record.origin));
        }
        let payload = self
            .buf
            .get(start + FRAME_HEADER_BYTES..)
            .unwrap_or_default();
        let header = FrameHeader {
            kind: FrameKind::Record,
            class,
            flags: if start == self.frames_from {
                FLAG_FIRST
            } else {
                0
            },
            len: u32::try_from(payload.len()).expect("a payload has at most 256 KiB"),
            epoch: self.head.epoch,
            seq: Seq(seq),
        };
        let header = header.encode(payload, self.head.seed);
        let signed = header.get(..FRAME_SIGNED_BYTES).unwrap_or_default();
        let chain = &mut self.head.chains[chain_index(class.cursor())];
        *chain = chain_next(*chain, signed, payload);
        if let Some(place) = self.buf.get_mut(start..start + FRAME_HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        self.buf.resize(padded(self.buf.len()), 0);
        self.head.seq = seq;
        self.head.counts[usize::from(class.byte())] += 1;
        let entry = key.map(|key| KeyEntry {
            key,
            content: record.content,
            epoch: self.head.epoch.0,
            seq,
        });
        self.out.push(Staged {
            at: self.base + u64::try_from(start).unwrap_or(0),
            seq,
            record,
            key: entry,
            waiting,
        });
    }

    fn own(
        &mut self,
        totals: &mut Totals,
        record: Record,
        key: Option<Key>,
        waiting: Option<usize>,
    ) {
        let draft = own(record, key.unwrap_or_default()).into_inner();
        self.push(totals, draft.record, &draft.bytes, key, waiting);
    }
}

/// An event that has a verdict but no place yet.
struct Waiting {
    what: What,
    key: Key,
    content: Content,
    origin: Option<Origin>,
    placed: Option<(Epoch, u64)>,
    bytes: usize,
}

enum What {
    Event {
        record: Option<Record>,
        bytes: Vec<u8>,
    },
    Conflict {
        first: First,
        conflict: Conflict,
        popup: Option<PopupId>,
        id: String,
    },
}

#[derive(Clone, Copy)]
enum First {
    At(u32, u64),
    Waiting(usize),
}

enum Plan {
    New(usize),
    Duplicate(First),
    Conflict(First),
    TooLarge,
}

struct Plans {
    waiting: Vec<Waiting>,
    plans: Vec<Plan>,
    batch: BTreeMap<Key, (Content, First)>,
}

impl<F: Fs> Journal<F> {
    /// Appends drafts, in order. When it returns `Ok`, everything in the answer is durable.
    ///
    /// A repeat of an event answers the first place; another content under a known id is not
    /// appended but recorded as `rig.conflict`. On failure nothing of what was given may be
    /// acknowledged; giving it again is safe.
    pub fn append(
        &mut self,
        drafts: Vec<Redacted<Draft>>,
        stamp: Stamp,
    ) -> Result<Commit, AppendError> {
        let mut plans = self.classify(drafts);
        let mut records = std::mem::take(&mut self.undelivered);
        let done = self.commit_all(&mut plans.waiting, stamp, &mut records);
        if let Err(error) = done {
            self.undelivered = records;
            return Err(error);
        }
        let verdicts = plans
            .plans
            .iter()
            .map(|plan| self.verdict(plan, &plans.waiting));
        Ok(Commit {
            verdicts: verdicts.collect(),
            records,
        })
    }

    fn verdict(&self, plan: &Plan, waiting: &[Waiting]) -> Verdict {
        let position = |first: &First| match *first {
            First::At(epoch, seq) => self.position(Epoch(epoch), seq),
            First::Waiting(index) => {
                let placed = waiting.get(index).and_then(|waiting| waiting.placed);
                let (epoch, seq) = placed.expect("a commit places everything that waited");
                self.position(epoch, seq)
            }
        };
        match plan {
            Plan::New(index) => Verdict::Accepted(Durable(position(&First::Waiting(*index)))),
            Plan::Duplicate(first) => Verdict::Duplicate(position(first)),
            Plan::Conflict(first) => Verdict::Conflict {
                first: position(first),
            },
            Plan::TooLarge => Verdict::TooLarge,
        }
    }

    fn position(&self, epoch: Epoch, seq: u64) -> Position {
        Position {
            rig: self.rig.clone(),
            epoch,
            seq: Seq(seq),
        }
    }

    fn classify(&mut self, drafts: Vec<Redacted<Draft>>) -> Plans {
        let mut plans = Plans {
            waiting: Vec::with_capacity(drafts.len()),
            plans: Vec::with_capacity(drafts.len()),
            batch: BTreeMap::new(),
        };
        for draft in drafts {
            let draft = draft.into_inner();
            let plan = self.classify_one(draft, &mut plans);
            plans.plans.push(plan);
        }
        plans
    }

    fn classify_one(&mut self, draft: Draft, plans: &mut Plans) -> Plan {
        if draft.bytes.len() + RECORD_OVERHEAD_BYTES > limits::PAYLOAD_BYTES_MAX {
            return Plan::TooLarge;
        }
        let content = draft.record.content;
        if indexed(&draft.record) {
            let known = plans.batch.get(&draft.key).copied();
            let known = known.or_else(|| {
                let entry = self.find_key(&draft.key)?;
                Some((entry.content, First::At(entry.epoch, entry.seq)))
            });
            match known {
                Some((same, first)) if same == content => return Plan::Duplicate(first),
                Some((other, first)) => {
                    self.conflict(&draft, other, first, plans);
                    return Plan::Conflict(first);
                }
                None => {}
            }
            let first = First::Waiting(plans.waiting.len());
            plans.batch.insert(draft.key, (content, first));
        }
        let new_popup = draft.record.popup.as_ref();
        let unknown = new_popup.is_some_and(|popup| !self.popups.contains_key(popup.as_str()));
        let extra = if unknown { OWN_RECORD_BYTES } else { 0 };
        plans.waiting.push(Waiting {
            bytes: draft.bytes.len() + RECORD_OVERHEAD_BYTES + extra,
            key: draft.key,
            content,
            origin: None,
            placed: None,
            what: What::Event {
                record: Some(draft.record),
                bytes: draft.bytes,
            },
        });
        Plan::New(plans.waiting.len() - 1)
    }

    /// Finds the first place of an event by its key, newest segment first.
    fn find_key(&mut self, key: &Key) -> Option<KeyEntry> {
        let open = self.open.as_ref().and_then(|open| open.keys.get(key));
        if let Some(entry) = open {
            return Some(*entry);
        }
        let (fs, journal_key) = (&self.fs, &self.journal_key);
        let mut closed = self.sealed.iter_mut().rev();
        closed.find_map(|segment| segment.find(fs, key, journal_key))
    }

    /// One record per new content and at most 16 per key: each has a numbered id, so the key index
    /// itself remembers which exist.
    fn conflict(&mut self, draft: &Draft, first_content: Content, first: First, plans: &mut Plans) {
        let content = draft.record.content;
        let source = self.own_source();
        for slot in 0..limits::CONFLICTS_PER_KEY_MAX {
            let id = format!("conflict.{}.{slot}", letters(&draft.key));
            let event_id = EventId::new(&id).expect("letters and digits are an event id");
            let key = event_key(&self.journal_key, &source, &event_id);
            let in_batch = plans.batch.get(&key).map(|(content, _)| *content);
            let taken = in_batch.or_else(|| self.find_key(&key).map(|entry| entry.content));
            match taken {
                Some(same) if same == content => return,
                Some(_) => {}
                None => {
                    let (amount, currency) = amount_of(&draft.record.event);
                    plans
                        .batch
                        .insert(key, (content, First::Waiting(plans.waiting.len())));
                    plans.waiting.push(Waiting {
                        bytes: OWN_RECORD_BYTES,
                        key,
                        content,
                        origin: None,
                        placed: None,
                        what: What::Conflict {
                            first,
                            conflict: Conflict {
                                epoch: 0,
                                seq: 0,
                                first_content: first_content.0.to_vec(),
                                other_content: content.0.to_vec(),
                                amount,
                                currency,
                                popup: draft
                                    .record
                                    .popup
                                    .as_ref()
                                    .map(String::from)
                                    .unwrap_or_default(),
                            },
                            popup: draft.record.popup.clone(),
                            id,
                        },
                    });
                    return;
                }
            }
        }
    }

    fn commit_all(
        &mut self,
        waiting: &mut [Waiting],
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        let mut failed = !self.reopen(stamp, records)?;
        let mut next = 0;
        while next < waiting.len() || !self.gaps_waiting.is_empty() {
            let (end, bytes) = chunk(waiting, next);
            match self.commit_chunk(waiting, next..end, bytes, stamp, records) {
                Ok(()) => next = end,
                Err(error) if failed => return Err(self.not_durable(error)),
                Err(_) => {
                    failed = true;
                    self.fail_over(stamp, records)?;
                }
            }
        }
        Ok(())
    }

    /// Opens a new epoch if the last commit could not be made; answers whether all was well.
    fn reopen(&mut self, stamp: Stamp, records: &mut Vec<Committed>) -> Result<bool, AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        if self.open.is_some() {
            return Ok(true);
        }
        self.fail_over(stamp, records).map(|()| false)
    }

    fn not_durable(&mut self, error: io::Error) -> AppendError {
        self.abandon();
        AppendError::NotDurable(error)
    }

    /// Never touches the open file again.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            if open.end == 0 {
                // Nothing in it counts; a leftover is void by the next epoch's statement.
                drop(self.fs.unlink(&open.name));
            } else {
                self.sealed.push(open.abandon(self.head.chains));
            }
        }
    }

    fn fail_over(&mut self, stamp: Stamp, records: &mut Vec<Committed>) -> Result<(), AppendError> {
        self.abandon();
        let started = RigStarted {
            previous_epoch: self.head.epoch.0,
            previous_epoch_id: self.head.epoch_id.0.to_vec(),
            previous_last_seq: self.head.seq,
            previous_chain_trunk: self.head.chains[0].to_vec(),
            previous_chain_bulk: self.head.chains[1].to_vec(),
            previous_totals: self.totals.statement(true),
            reason: "sync_failed".into(),
            ..RigStarted::default()
        };
        let policies: Vec<_> = self.popups.values().cloned().collect();
        let opened = self.begin_epoch(Previous { started }, policies, stamp);
        opened
            .map(|opening| records.extend(opening))
            .map_err(AppendError::NotDurable)
    }

    /// Opens a segment with a new epoch and commits its first records.
    pub(super) fn begin_epoch(
        &mut self,
        previous: Previous,
        policies: Vec<PopupPolicy>,
        stamp: Stamp,
    ) -> io::Result<Vec<Committed>> {
        let epoch = Epoch(self.next_epoch);
        self.next_epoch += 1;
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
                    info.current = false;
                    info.last_seq = Seq(before.seq);
                }
                self.void_epochs.clear();
                self.epochs.push(EpochInfo {
                    epoch,
                    epoch_id: self.head.epoch_id,
                    last_seq: Seq(self.head.seq),
                    void: false,
                    current: true,
                });
            }
            Err(_) => {
                self.abandon_start();
                self.void_epochs.push(epoch.0);
                self.head = before;
                self.totals = totals_before;
            }
        }
        opened
    }

    fn abandon_start(&mut self) {
        if let Some(open) = self.open.take() {
            drop(self.fs.unlink(&open.name));
        }
    }

    fn try_begin(
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

    fn create_segment(&mut self, bytes: usize, records: usize, stamp: Stamp) -> io::Result<()> {
        let no = self.next_segment_no;
        self.next_segment_no += 1;
        let header = SegmentHeader {
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
        let footer = super::footer::Footer::bytes_bound(records + 2, records + 2, 32);
        let need = bytes + footer + self.seal_bytes() + 4_096;
        let need = BODY_AT + u64::try_from(need).unwrap_or(u64::MAX);
        let len = self.segment_bytes.max(need);
        let made = OpenSegment::create(&self.fs, header, len);
        if made.is_err() {
            // A file of that name may exist by half.
            drop(self.fs.unlink(&segment_name(no)));
        }
        self.open = Some(made?);
        Ok(())
    }

    fn seal_bytes(&self) -> usize {
        OWN_RECORD_BYTES + self.totals.len() * 256 + self.acked.len() * 64
    }

    fn commit_chunk(
        &mut self,
        waiting: &mut [Waiting],
        range: std::ops::Range<usize>,
        bytes: usize,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> io::Result<()> {
        let gap_bytes: usize = self
            .gaps_waiting
            .iter()
            .map(|gap| OWN_RECORD_BYTES + gap.value.len() * 256)
            .sum();
        let bytes = bytes + gap_bytes;
        let count = range.len() * 2 + self.gaps_waiting.len();
        let seal_bytes = self.seal_bytes() + range.len().min(limits::TOTALS_ROWS_MAX) * 256;
        let fits = self
            .open
            .as_ref()
            .is_some_and(|open| open.fits(bytes, count, seal_bytes));
        if !fits {
            self.roll(bytes + seal_bytes, count, stamp, records)?;
        }
        let open = self
            .open
            .as_ref()
            .expect("append opens a segment before it stages");
        let mut stage = Stage::new(self.head, open, bytes);
        self.totals.begin();
        let gaps = std::mem::take(&mut self.gaps_waiting);
        for gap in gaps {
            self.stage_system(&mut stage, SystemEvent::RigGap(gap), None, stamp);
        }
        for index in range {
            self.stage_waiting(&mut stage, waiting, index, stamp);
        }
        match self.commit(stage) {
            Ok(done) => {
                records.extend(done);
                Ok(())
            }
            Err((error, stage)) => {
                take_back(stage, waiting, &mut self.gaps_waiting);
                Err(error)
            }
        }
    }

    fn stage_waiting(
        &mut self,
        stage: &mut Stage,
        waiting: &mut [Waiting],
        index: usize,
        stamp: Stamp,
    ) {
        let resolve = |first: First, waiting: &[Waiting]| match first {
            First::At(epoch, seq) => (epoch, seq),
            First::Waiting(at) => waiting
                .get(at)
                .and_then(|waiting| waiting.placed)
                .map_or((0, 0), |(epoch, seq)| (epoch.0, seq)),
        };
        let first = match waiting.get(index).map(|waiting| &waiting.what) {
            Some(What::Conflict { first, .. }) => resolve(*first, waiting),
            Some(What::Event { .. }) | None => (0, 0),
        };
        let Some(one) = waiting.get_mut(index) else {
            return;
        };
        match &mut one.what {
            What::Conflict {
                conflict,
                popup,
                id,
                ..
            } => {
                (conflict.epoch, conflict.seq) = first;
                let event = SystemEvent::RigConflict(conflict.clone());
                let mut record = self.own_record(event, popup.clone(), stamp, id);
                record.content = one.content;
                record.origin = one.origin;
                let mut bare = record.clone();
                bare.origin = None;
                let draft = own(bare, one.key).into_inner();
                stage.push(
                    &mut self.totals,
                    record,
                    &draft.bytes,
                    Some(one.key),
                    Some(index),
                );
            }
            What::Event { record, bytes } => {
                let Some(mut record) = record.take() else {
                    return;
                };
                record.origin = one.origin;
                self.stage_implied(stage, &record, stamp);
                let key = indexed(&record).then_some(one.key);
                self.learn(&record.event);
                stage.push(&mut self.totals, record, bytes, key, Some(index));
            }
        }
        one.placed = Some((stage.head.epoch, stage.head.seq));
    }

    /// A popup nobody told of gets a window of the day it is first seen on.
    fn stage_implied(&mut self, stage: &mut Stage, record: &Record, stamp: Stamp) {
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
    fn learn(&mut self, event: &Event) {
        if let Event::System(
            SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy),
        ) = event
        {
            self.popups.insert(policy.popup.clone(), policy.clone());
        }
    }

    fn stage_system(
        &mut self,
        stage: &mut Stage,
        event: SystemEvent,
        popup: Option<PopupId>,
        stamp: Stamp,
    ) {
        let id = format!(
            "{}.{}",
            letters(&stage.head.epoch_id.0[..8]),
            stage.head.seq + 1
        );
        let record = self.own_record(event, popup, stamp, &id);
        self.learn(&record.event);
        stage.own(&mut self.totals, record, None, None);
    }

    fn own_record(
        &self,
        event: SystemEvent,
        popup: Option<PopupId>,
        stamp: Stamp,
        id: &str,
    ) -> Record {
        let policy_version = popup
            .as_ref()
            .and_then(|popup| self.popups.get(popup.as_str()))
            .map_or(0, |policy| policy.version);
        Record {
            event: Event::System(event),
            popup,
            source: self.own_source(),
            id: EventId::new(id).expect("letters and digits are an event id"),
            stamp,
            content: Content::default(),
            policy_version,
            flags: Flags::default(),
            totals: Vec::new(),
            origin: None,
        }
    }

    fn own_source(&self) -> Source {
        Source::new(&format!("popwatch:{}", self.rig)).expect("a rig's name is printable and short")
    }

    /// One write, one sync. On failure the stage comes back untouched and nothing of it counts.
    fn commit(&mut self, stage: Stage) -> Result<Vec<Committed>, (io::Error, Box<Stage>)> {
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

    fn absorb(&mut self, stage: Stage) -> Vec<Committed> {
        let epoch = stage.head.epoch;
        self.head = stage.head;
        self.since_seal = true;
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

    fn seal_event(&self, complete: bool) -> Seal {
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
    fn close_segment(&mut self, last: SystemEvent, stamp: Stamp) -> io::Result<Vec<Committed>> {
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
            footer,
        });
        self.bound_filters();
        Ok(records)
    }

    /// Keeps the newest filters in memory; older segments are asked on disk.
    pub(super) fn bound_filters(&mut self) {
        let mut room = limits::KEY_FILTER_BYTES_MAX;
        for segment in self.sealed.iter_mut().rev() {
            match room.checked_sub(segment.footer.filter.len()) {
                Some(left) => room = left,
                None => segment.footer.filter = Vec::new(),
            }
        }
    }

    fn roll(
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

    /// States everything so far, if other records came since the last such statement. Call it each
    /// minute.
    pub fn seal(&mut self, stamp: Stamp) -> Result<Commit, AppendError> {
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

    fn seal_into(&mut self, stamp: Stamp, records: &mut Vec<Committed>) -> Result<(), AppendError> {
        self.commit_all(&mut [], stamp, records)?;
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

    fn seal_here(&mut self, stamp: Stamp) -> io::Result<Vec<Committed>> {
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

/// How many of what waits go into one commit, and a bound of their bytes.
fn chunk(waiting: &[Waiting], from: usize) -> (usize, usize) {
    let mut bytes = 0;
    let mut end = from;
    for one in waiting.iter().skip(from).take(limits::COMMIT_RECORDS_MAX) {
        if end > from && bytes + one.bytes > limits::COMMIT_BYTES_MAX {
            break;
        }
        bytes += one.bytes;
        end += 1;
    }
    (end, bytes)
}

/// Gives what a failed commit had staged back to those who wait for it.
fn take_back(
    stage: Box<Stage>,
    waiting: &mut [Waiting],
    gaps: &mut Vec<popwatch_core::event::system::Gap>,
) {
    let epoch = stage.head.epoch.0;
    for mut one in stage.out {
        gaps.extend(gap_of(&one));
        let Some(target) = one.waiting.and_then(|index| waiting.get_mut(index)) else {
            continue;
        };
        target.placed = None;
        target.origin = Some(Origin {
            epoch,
            seq: one.seq,
        });
        if let What::Event { record, .. } = &mut target.what {
            one.record.totals.clear();
            one.record.origin = None;
            *record = Some(one.record);
        }
    }
}

fn gap_of(staged: &Staged) -> Option<popwatch_core::event::system::Gap> {
    match &staged.record.event {
        Event::System(SystemEvent::RigGap(gap)) => Some(gap.clone()),
        _ => None,
    }
}

/// Bytes as letters: never a run of digits that could be taken for a card number.
fn letters(bytes: &[u8]) -> String {
    let letter = |nibble: u8| char::from(b'a' + nibble);
    bytes
        .iter()
        .flat_map(|byte| [letter(byte >> 4), letter(byte & 15)])
        .collect()
}

/// An event's amount and currency, as far as it has them.
fn amount_of(event: &Event) -> (i64, String) {
    struct Money(i64, String);
    impl FieldSink for Money {
        fn put(&mut self, field: &'static popwatch_core::event::Field, value: Value) {
            match (field.name, value) {
                ("amount" | "value", Value::Int(minor)) => self.0 = minor,
                ("currency", Value::Text(code)) => self.1 = String::from(&*code),
                _ => {}
            }
        }
    }
    let mut money = Money(0, String::new());
    event.write(&mut money);
    (money.0, money.1)
}
