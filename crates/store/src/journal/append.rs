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

mod close;
mod epoch;
mod fork;
mod known;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use popwatch_core::event::system::{Conflict, Gap, PopupPolicy, SystemEvent};
use popwatch_core::event::{Class, Event, FieldSink, Value};
use popwatch_core::id::{Epoch, EventId, PopupId, Position, Seq};
use popwatch_core::limits;
use popwatch_core::record::{Content, Draft, Origin, Record, Stamp, event_key};
use popwatch_redact::proof::{Redacted, own};

pub(super) use epoch::Previous;
pub(super) use stage::Head;

use super::keys::Key;
use super::segment::indexed;
use super::{AppendError, Commit, Committed, Durable, Journal, Verdict};
use crate::fs::Fs;
use known::Known;
use stage::{Stage, gap_of, letters, own_id};

const DAY_MS: i64 = 86_400_000;
/// More than totals, origin, header and padding add to a record.
const RECORD_OVERHEAD_BYTES: usize = 288;
/// More than a record of popwatch's own that is no seal, start or gap takes.
const OWN_RECORD_BYTES: usize = 1_024;

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
    /// What popwatch itself has to say.
    Own {
        event: Event,
        popup: Option<PopupId>,
    },
}

impl Waiting {
    fn own(popup: Option<PopupId>, event: Event) -> Self {
        let bytes = if let Event::System(event) = &event {
            event.encode().len()
        } else {
            0
        };
        Self {
            bytes: OWN_RECORD_BYTES + bytes,
            key: Key::default(),
            content: Content::default(),
            origin: None,
            placed: None,
            what: What::Own { event, popup },
        }
    }
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
    PopupsFull,
    Shed(Class),
}

struct Plans {
    waiting: Vec<Waiting>,
    plans: Vec<Plan>,
    batch: BTreeMap<Key, (Content, First)>,
    /// Popups this batch opens.
    popups: BTreeSet<PopupId>,
    /// Popups that were open before it.
    open: usize,
}

impl Plans {
    /// Whether the record's popup may be opened; if so it is remembered.
    fn opens(&mut self, record: &Record) -> bool {
        let Some(popup) = &record.popup else {
            return true;
        };
        let room = self.open + self.popups.len() < limits::POPUPS_OPEN_MAX;
        if room {
            self.popups.insert(popup.clone());
        }
        room || self.popups.contains(popup)
    }
}

impl<F: Fs> Journal<F> {
    /// Appends drafts, in order. When it returns `Ok`, everything in the answer is durable.
    ///
    /// A repeat of an event answers the first place; another content under a known id is not
    /// appended but recorded as `rig.conflict`. A new event whose class the disk has no room for is
    /// [`Verdict::Shed`]. On failure nothing of what was given may be
    /// acknowledged; giving it again is safe.
    pub fn append(
        &mut self,
        drafts: Vec<Redacted<Draft>>,
        stamp: Stamp,
    ) -> Result<Commit, AppendError> {
        self.append_with(drafts, Vec::new(), stamp)
    }

    /// Appends what popwatch itself has to say (`clock.anchored`, `rig.loss`, `rig.sampled`, …), in
    /// order. These have no verdicts; samples are left out while the disk has no room for their
    /// class. On failure nothing of it is durable.
    pub fn append_own(
        &mut self,
        events: Vec<(Option<PopupId>, Event)>,
        stamp: Stamp,
    ) -> Result<Commit, AppendError> {
        self.append_with(Vec::new(), events, stamp)
    }

    /// As [`Journal::append`] and [`Journal::append_own`] together: one commit carries both. With
    /// nothing to append it finds out whether the disk takes records again.
    pub fn append_with(
        &mut self,
        drafts: Vec<Redacted<Draft>>,
        own: Vec<(Option<PopupId>, Event)>,
        stamp: Stamp,
    ) -> Result<Commit, AppendError> {
        let mut records = std::mem::take(&mut self.undelivered);
        // Before anything is refused for lack of room: it may be there again.
        let ready = self.reopen(stamp, &mut records);
        let ready = ready.and_then(|_| self.leave_last(stamp, &mut records));
        let ready = ready.and_then(|()| self.take_along(stamp, &mut records));
        if let Err(error) = ready {
            self.undelivered = records;
            return Err(error);
        }
        let mut plans = self.classify(drafts, stamp.wall_ms);
        let kept = own
            .into_iter()
            .filter(|(_, event)| !self.refuses(event.class()));
        plans
            .waiting
            .extend(kept.map(|(popup, event)| Waiting::own(popup, event)));
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

    /// One record of popwatch's own, in a commit of its own.
    pub(super) fn say(
        &mut self,
        event: Event,
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        self.commit_all(&mut [Waiting::own(None, event)], stamp, records)
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
            Plan::PopupsFull => Verdict::PopupsFull,
            Plan::Shed(class) => Verdict::Shed(*class),
        }
    }

    fn position(&self, epoch: Epoch, seq: u64) -> Position {
        Position {
            rig: self.rig.clone(),
            epoch,
            seq: Seq(seq),
        }
    }

    fn classify(&mut self, drafts: Vec<Redacted<Draft>>, wall_ms: i64) -> Plans {
        let mut plans = Plans {
            waiting: Vec::with_capacity(drafts.len()),
            plans: Vec::with_capacity(drafts.len()),
            batch: BTreeMap::new(),
            popups: BTreeSet::new(),
            open: self.popups_open(wall_ms),
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
        let indexed = indexed(&draft.record);
        // Where it stood before the disk lost it, so that the books can tell that it is not new.
        let mut lost = None;
        if indexed {
            let known = match plans.batch.get(&draft.key).copied() {
                Some(known) => Some(known),
                None => match self.find_key(&draft.key) {
                    Known::At(entry) => Some((entry.content, First::At(entry.epoch, entry.seq))),
                    Known::Lost(first) => {
                        lost = Some(first);
                        None
                    }
                    Known::Not => None,
                },
            };
            match known {
                Some((same, first)) if same == content => return Plan::Duplicate(first),
                Some((other, first)) => {
                    self.conflict(&draft, other, first, plans);
                    return Plan::Conflict(first);
                }
                None => {}
            }
        }
        let class = draft.record.event.class();
        if self.refuses(class) {
            return Plan::Shed(class);
        }
        let implied = self.implies_popup(&draft.record);
        if implied && !plans.opens(&draft.record) {
            return Plan::PopupsFull;
        }
        if indexed {
            let first = First::Waiting(plans.waiting.len());
            plans.batch.insert(draft.key, (content, first));
        }
        let extra = if implied { OWN_RECORD_BYTES } else { 0 };
        plans.waiting.push(Waiting {
            bytes: draft.bytes.len() + RECORD_OVERHEAD_BYTES + extra,
            key: draft.key,
            content,
            origin: lost,
            placed: None,
            what: What::Event {
                record: Some(draft.record),
                bytes: draft.bytes,
            },
        });
        Plan::New(plans.waiting.len() - 1)
    }

    /// Popups whose window, with its margin, has not passed.
    fn popups_open(&self, wall_ms: i64) -> usize {
        let open = |policy: &&PopupPolicy| {
            policy.ends_ms.saturating_add(limits::WINDOW_AFTER_MS) > wall_ms
        };
        self.popups.values().filter(open).count()
    }

    /// Whether the record's popup is one that nobody told of.
    fn implies_popup(&self, record: &Record) -> bool {
        let popup = record.popup.as_ref();
        popup.is_some_and(|popup| !self.popups.contains_key(popup.as_str()))
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
            let taken = in_batch.or_else(|| match self.find_key(&key) {
                Known::At(entry) => Some(entry.content),
                Known::Lost(_) | Known::Not => None,
            });
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
        self.takes(waiting)?;
        let mut next = 0;
        while next < waiting.len() || !self.gaps_waiting.is_empty() {
            let (end, bytes) = chunk(waiting, next);
            match self.commit_chunk(waiting, next..end, bytes, stamp, records) {
                Ok(()) => next = end,
                Err(error) if failed => return Err(self.not_durable(error)),
                Err(_) => {
                    failed = true;
                    self.fail_over(stamp, records)?;
                    self.takes(waiting)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the open segment is there for this: the last one is not for what others report.
    fn takes(&self, waiting: &[Waiting]) -> Result<(), AppendError> {
        let own = |one: &Waiting| matches!(one.what, What::Own { .. });
        if self.in_last() && !waiting.iter().all(own) {
            let full = io::ErrorKind::StorageFull;
            return Err(AppendError::NotDurable(full.into()));
        }
        Ok(())
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
                take_back(*stage, waiting, &mut self.gaps_waiting);
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
            Some(What::Event { .. } | What::Own { .. }) | None => (0, 0),
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
                let event = Event::System(SystemEvent::RigConflict(conflict.clone()));
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
            What::Own { event, popup } => {
                let id = own_id(&stage.head);
                let mut record = self.own_record(event.clone(), popup.clone(), stamp, &id);
                self.learn(&record.event);
                record.origin = one.origin;
                stage.own(&mut self.totals, record, None, Some(index));
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
fn take_back(stage: Stage, waiting: &mut [Waiting], gaps: &mut Vec<Gap>) {
    let epoch = stage.head.epoch.0;
    for mut one in stage.out {
        gaps.extend(gap_of(&one));
        let Some(target) = one.waiting.and_then(|index| waiting.get_mut(index)) else {
            continue;
        };
        target.placed = None;
        // A place that was lost says more than one that never became durable.
        target.origin.get_or_insert(Origin {
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
