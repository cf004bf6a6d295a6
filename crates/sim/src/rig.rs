//! One rig in the world: a disk that may fail, the real journal and door on it, the real edge beside
//! them, and the till that talks to it. Driven the way the node drives them.

mod trim;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use popwatch_core::code::Code;
use popwatch_core::event::Event;
use popwatch_core::event::system::{Acked, PopupPolicy, SystemEvent};
use popwatch_core::id::{BootId, EpochId, JournalId, PopupId, RigId, Seq};
use popwatch_core::lane::records_up::Want;
use popwatch_core::lane::{FRAME_HEADER_BYTES, Stretch};
use popwatch_core::record::{self, Stamp};
use popwatch_core::role::edge::{Edge, Input, Reread};
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_redact::apply::Plan;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_store::fs::faulty::FaultFs;
use popwatch_store::journal::{
    Committed, EpochInfo, Fresh, Journal, OpenError, Opening, ReadItem, Verdict,
};
use popwatch_wire::cloudevents::Request;
use popwatch_wire::door::{Admission, Arrival, Door};
use popwatch_wire::verdict::{Answer, EventProblem, Verdict as Answered};

use crate::check::Finding;
use crate::till::{Till, Told};

/// When the world begins by a clock that is right, ms since 1970.
pub(crate) const WALL_MS: i64 = 1_778_922_000_000;
/// Seconds between two seals while records come in.
const SEAL_EVERY_MS: u64 = 60_000;

/// One rig.
pub(crate) struct Rig {
    /// Its number in the world.
    pub(crate) no: usize,
    /// Its name.
    pub(crate) id: RigId,
    /// Its disk.
    pub(crate) disk: FaultFs,
    /// Whether the script made the disk fail; while it does, a refusal is no breach.
    pub(crate) disk_fails: bool,
    /// The call of the disk that will fail once, by its number.
    pub(crate) hiccup_at: u64,
    /// Its process, while it runs.
    pub(crate) live: Option<Live>,
    /// How wrong its wall clock is, ms.
    pub(crate) clock_off_ms: i64,
    /// Its till.
    pub(crate) till: Till,
    /// What the till was not answered for yet.
    pub(crate) outbox: Vec<Told>,
    /// What it was answered for lately, to be sent once more.
    pub(crate) answered: Vec<Told>,
    /// Seqs as they became known, by epoch.
    pub(crate) told: BTreeMap<u32, Vec<u64>>,
    /// Closed ranges named as lost or void, by epoch.
    pub(crate) lost: BTreeMap<u32, Vec<(u64, u64)>>,
    /// A start has happened and no event was committed since.
    pub(crate) just_started: bool,
    /// The journal failed a call and may hold durable records it has not told of yet.
    pub(crate) lags: bool,
    seed: u64,
    booted_at_ms: u64,
    /// When each boot began, ms of the world.
    pub(crate) boot_starts: BTreeMap<BootId, u64>,
    boots: u64,
    lives: u64,
    popups: Vec<PopupPolicy>,
    segment_bytes: u64,
}

/// A running process.
pub(crate) struct Live {
    /// The journal.
    pub(crate) journal: Journal<FaultFs>,
    /// The edge's machine.
    pub(crate) edge: Edge,
    /// The door.
    pub(crate) door: Door,
    /// The next seal, ms of the world.
    pub(crate) seal_at_ms: u64,
    /// The next look at the disk, ms of the world.
    pub(crate) look_at_ms: u64,
}

/// One epoch as it was read back at a start.
pub(crate) struct EpochRead {
    /// Which.
    pub(crate) info: EpochInfo,
    /// Payloads by seq.
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
    /// Closed ranges that are lost or void.
    pub(crate) lost: Vec<(u64, u64)>,
}

/// What the till hears of one event.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It is safe: epoch, seq and the journaled payload.
    Safe(u32, u64, Vec<u8>),
    /// It is safe at this epoch and seq, and its record was let go: the ledger has it.
    Known(u32, u64),
    /// It will never be taken.
    Refused,
    /// The disk did not take it; send it again.
    Later,
    /// The rig died over its answer.
    Unheard,
}

/// The answer to one call.
pub(crate) struct Heard {
    /// One per event, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// The body of the answer.
    pub(crate) body: Vec<u8>,
    /// What became durable.
    pub(crate) committed: Vec<Committed>,
}

impl Rig {
    /// A rig with an empty disk, switched off.
    #[must_use]
    pub(crate) fn new(
        no: usize,
        seed: u64,
        till: Till,
        popups: Vec<PopupPolicy>,
        segment_bytes: u64,
    ) -> Self {
        let name = format!("till-{}", no + 1);
        Self {
            no,
            id: RigId::new(&name).expect("a short name"),
            disk: FaultFs::new(seed),
            disk_fails: false,
            live: None,
            clock_off_ms: 0,
            till,
            outbox: Vec::new(),
            answered: Vec::new(),
            told: BTreeMap::new(),
            lost: BTreeMap::new(),
            just_started: false,
            lags: false,
            seed,
            booted_at_ms: 0,
            boot_starts: BTreeMap::new(),
            boots: 1,
            lives: 0,
            popups,
            segment_bytes,
            hiccup_at: 0,
        }
    }

    /// Whether the next calls of the disk may fail by the script's will.
    pub(crate) fn may_fail(&self) -> bool {
        self.disk_fails || self.hiccup_at >= self.disk.ops()
    }

    /// Its clocks.
    #[must_use]
    pub(crate) fn now(&self, world_ms: u64) -> Now {
        let wall = WALL_MS + i64::try_from(world_ms).unwrap_or(0) + self.clock_off_ms;
        Now {
            wall: WallMs(wall),
            mono: MonoMs(world_ms - self.booted_at_ms),
        }
    }

    /// When the machine's deadline falls, ms of the world.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<u64> {
        let live = self.live.as_ref()?;
        let edge = live
            .edge
            .deadline()
            .map(|at| at.0.saturating_add(self.booted_at_ms));
        Some(edge.map_or(live.seal_at_ms, |at| at.min(live.seal_at_ms)))
    }

    /// What a record admitted now is stamped with.
    #[must_use]
    pub(crate) fn stamp(&self, world_ms: u64) -> Stamp {
        let now = self.now(world_ms);
        let mono_ns = now.mono.0 * 1_000_000;
        Stamp {
            mono_ns,
            wall_ms: now.wall.0,
            time_ms: None,
            age_ms: None,
        }
    }

    /// Power is cut: the process and what was not synced are gone.
    pub(crate) fn lose_power(&mut self, world_ms: u64) {
        self.live = None;
        self.disk.crash();
        self.booted_at_ms = world_ms;
        self.boots += 1;
    }

    /// The process is killed; the machine goes on.
    pub(crate) fn kill(&mut self) {
        self.live = None;
        self.disk.kill();
    }

    /// Starts the process: recovers the journal, folds it anew. Answers what was read back.
    pub(crate) fn start(&mut self, world_ms: u64) -> Result<Vec<EpochRead>, OpenError> {
        self.lives += 1;
        self.boot_starts.insert(self.boot_id(), self.booted_at_ms);
        let opening = self.opening(world_ms);
        let (mut journal, recovery) = Journal::open(self.disk.clone(), opening)?;
        drop(recovery);
        let read = reread(&mut journal).map_err(|source| OpenError::Unavailable {
            what: "read back",
            source,
        })?;
        let now = self.now(world_ms);
        let mut edge = Edge::new(&self.id, journal.journal_id(), true, 1);
        refold(&read, &mut journal, &mut edge, now).map_err(|source| OpenError::Unavailable {
            what: "read back",
            source,
        })?;
        self.restore_kept(&read, journal.journal_id(), &mut edge, now)?;
        self.told = read
            .iter()
            .map(|epoch| (epoch.info.epoch.0, seqs(epoch)))
            .collect();
        self.lost = read
            .iter()
            .map(|epoch| (epoch.info.epoch.0, epoch.lost.clone()))
            .collect();
        self.just_started = true;
        self.lags = false;
        let door = Door {
            rig: self.id.clone(),
            journal_id: journal.journal_id(),
            default_popup: None,
            keys: Keys::new(ReferenceKey::new([7; 32])).with_root([8; 32]),
            plan: Plan::default(),
        };
        self.live = Some(Live {
            journal,
            edge,
            door,
            seal_at_ms: world_ms + SEAL_EVERY_MS,
            look_at_ms: world_ms + SEAL_EVERY_MS,
        });
        Ok(read)
    }

    fn boot_id(&self) -> BootId {
        BootId([u8::try_from(self.boots % 251).unwrap_or(0); 16])
    }

    fn opening(&self, world_ms: u64) -> Opening {
        let (seed, no, life) = (self.seed, self.no, self.lives);
        let id = move |what: &str, count: u64| {
            let text = format!("{seed}/{no}/{life}/{what}/{count}");
            let mut out = [0; 16];
            out.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
            out
        };
        let mut epochs = 0;
        Opening {
            rig: self.id.clone(),
            fresh: Fresh {
                journal_id: JournalId(id("journal", 0)),
                epoch_id: Box::new(move || {
                    epochs += 1;
                    EpochId(id("epoch", epochs))
                }),
            },
            boot_id: self.boot_id(),
            version: "sim".into(),
            stamp: self.stamp(world_ms),
            popups: self.popups.clone(),
            segment_bytes: self.segment_bytes,
        }
    }

    /// Ends the process cleanly. Answers what became durable by it; `None` when the disk refused.
    pub(crate) fn stop(&mut self, world_ms: u64) -> Option<Vec<Committed>> {
        let stamp = self.stamp(world_ms);
        let mut live = self.live.take()?;
        let stopped = live.journal.stop(stamp).ok().map(|commit| commit.records);
        drop(live);
        self.disk.kill();
        stopped
    }

    /// States everything so far in the journal, when a minute has passed.
    pub(crate) fn seal_if_due(&mut self, world_ms: u64) -> Vec<Committed> {
        let stamp = self.stamp(world_ms);
        let Some(live) = self
            .live
            .as_mut()
            .filter(|live| live.seal_at_ms <= world_ms)
        else {
            return Vec::new();
        };
        live.seal_at_ms = world_ms + SEAL_EVERY_MS;
        match live.journal.seal(stamp) {
            Ok(commit) => {
                self.lags = false;
                commit.records
            }
            Err(_) => {
                self.lags = true;
                Vec::new()
            }
        }
    }

    /// The edge itself has something to say. `None`: the disk did not take it.
    pub(crate) fn note(
        &mut self,
        events: Vec<(Option<PopupId>, Event)>,
        world_ms: u64,
    ) -> Option<Vec<Committed>> {
        let stamp = self.stamp(world_ms);
        let live = self.live.as_mut()?;
        let done = live.journal.append_own(events, stamp);
        self.lags = done.is_err();
        done.ok().map(|commit| commit.records)
    }

    /// Another journal uses this rig's name: it goes on in another epoch. `None`: the disk did not
    /// take it.
    pub(crate) fn fork(&mut self, next_epoch: u32, world_ms: u64) -> Option<Vec<Committed>> {
        let stamp = self.stamp(world_ms);
        let live = self.live.as_mut()?;
        let done = live.journal.fork(next_epoch, stamp);
        self.lags = done.is_err();
        done.ok().map(|commit| commit.records)
    }

    /// The journal is read for the records lane.
    pub(crate) fn load(&mut self, want: Want, now: Now) {
        let Some(live) = &mut self.live else { return };
        let read = live.journal.batch(
            want.epoch,
            want.cursor,
            want.from,
            want.items_max,
            want.bytes_max,
        );
        let stretch = match read {
            Ok(parts) => Stretch {
                first_seq: parts.first_seq,
                last_seq: parts.last_seq,
                items: parts.items,
                chain_before: parts.chain_before,
                chain_after: parts.chain_after,
            },
            Err(_) => Stretch::nothing_at(want.from),
        };
        live.edge.handle(Input::Loaded(want, stretch), now);
    }

    /// The journal is read to fold an epoch again.
    pub(crate) fn reread(&mut self, ask: Reread, now: Now) {
        let Some(live) = &mut self.live else { return };
        let (records, next) =
            piece(&mut live.journal, ask).unwrap_or_else(|_| (Vec::new(), ask.from));
        live.edge.handle(Input::Reread { ask, records, next }, now);
    }

    /// What the ledger acknowledged is kept with the next seal.
    pub(crate) fn remember_acked(&mut self) {
        let Some(live) = &mut self.live else { return };
        let Some(records) = live.edge.records() else {
            return;
        };
        let acked = records.all_positions().into_iter().map(|held| Acked {
            epoch: held.epoch,
            epoch_id: held.epoch_id,
            trunk_seq: held.trunk_seq,
            bulk_seq: held.bulk_seq,
        });
        let acked = acked.collect();
        live.journal.set_acked(acked);
    }

    /// A call of the till: `told` in one body, of the form that `form` chooses.
    pub(crate) fn call(
        &mut self,
        told: &[Told],
        form: u64,
        world_ms: u64,
    ) -> Result<Heard, Finding> {
        let (stamp, id) = (self.stamp(world_ms), self.id.clone());
        let live = self.live.as_mut().expect("only a running rig is called");
        let admitted = live.admit(told, form, (stamp, world_ms))?;
        let (mut waiting, mut drafts) = (Vec::new(), Vec::new());
        for admission in admitted {
            waiting.push(match admission {
                Admission::Ready(draft) => {
                    drafts.push(draft);
                    None
                }
                Admission::Rejected { id, problem } => Some((id, problem)),
            });
        }
        let events: Vec<_> = drafts
            .iter()
            .map(|draft| draft.get().record.clone())
            .collect();
        let Ok(commit) = live.journal.append(drafts, stamp) else {
            let outcomes = waiting.iter().map(|waits| match waits {
                Some(_) => Outcome::Refused,
                None => Outcome::Later,
            });
            return Ok(Heard {
                outcomes: outcomes.collect(),
                body: b"503".to_vec(),
                committed: Vec::new(),
            });
        };
        let mut verdicts = commit.verdicts.iter().zip(&events);
        let (mut outcomes, mut results) = (Vec::new(), Vec::new());
        for waits in waiting {
            let (outcome, answered) = match waits {
                Some((id, problem)) => (Outcome::Refused, Answered::rejected(id, &problem)),
                None => {
                    let few = || Finding::defect("the journal gave too few verdicts".into());
                    let (verdict, event) = verdicts.next().ok_or_else(few)?;
                    live.outcome(verdict, event, &commit.records)?
                }
            };
            outcomes.push(outcome);
            results.push(answered);
        }
        if outcomes.iter().any(|one| matches!(one, Outcome::Unheard)) {
            outcomes.fill(Outcome::Unheard);
        }
        let body = live.answer(&id, results);
        let committed = commit.records;
        Ok(Heard {
            outcomes,
            body,
            committed,
        })
    }
}

impl Live {
    /// One admission per event, or the door failed.
    fn admit(
        &self,
        told: &[Told],
        form: u64,
        (stamp, world_ms): (Stamp, u64),
    ) -> Result<Vec<Admission>, Finding> {
        let (media, body) = body(told, form, world_ms);
        let request = Request {
            content_type: Some(media),
            body: body.as_bytes(),
            ..Request::default()
        };
        let arrival = Arrival {
            mono_ns: stamp.mono_ns,
            wall_ms: stamp.wall_ms,
            local_sender: form.is_multiple_of(3),
        };
        let admitted = self
            .door
            .admit(&request, arrival)
            .map_err(|problem| Finding::defect(format!("a body was not taken: {problem:?}")))?;
        if admitted.len() == told.len() {
            return Ok(admitted);
        }
        let (asked, got) = (told.len(), admitted.len());
        Err(Finding::defect(format!("{asked} events got {got} answers")))
    }

    /// The body of an answer, as the node's handler writes it.
    fn answer(&self, rig: &RigId, results: Vec<Answered>) -> Vec<u8> {
        let head = self.journal.head().into_inner();
        let answer = Answer {
            rig: String::from(rig),
            epoch: head.epoch.0,
            durable_seq: head.seq.0,
            results,
        };
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    /// What a verdict means to the till, and how it is said.
    fn outcome(
        &mut self,
        verdict: &Verdict,
        event: &record::Record,
        committed: &[Committed],
    ) -> Result<(Outcome, Answered), Finding> {
        let id = event.id.as_str().to_owned();
        match verdict {
            Verdict::Accepted(durable) => {
                let at = durable.get();
                let found = committed
                    .iter()
                    .find(|it| (it.epoch, it.seq) == (at.epoch, at.seq));
                let record = found.map(|it| &it.record).ok_or_else(|| {
                    Finding::defect(format!("{at:?} was accepted and is not among the records"))
                })?;
                let safe = Outcome::Safe(at.epoch.0, at.seq.0, record::encode(record));
                Ok((safe, Answered::accepted(id, at.seq.0)))
            }
            // Its records went, its key stayed; that they are at the ledger is looked at elsewhere.
            Verdict::Duplicate(at)
                if self.journal.epochs().iter().all(|of| of.epoch != at.epoch) =>
            {
                Ok((
                    Outcome::Known(at.epoch.0, at.seq.0),
                    Answered::duplicate(id, Some(at.epoch.0), at.seq.0),
                ))
            }
            Verdict::Duplicate(at) => {
                // The disk died under the look at it: no answer leaves this rig.
                let Ok(items) = self.journal.read(at.epoch, at.seq, 1) else {
                    return Ok((Outcome::Unheard, Answered::duplicate(id, None, at.seq.0)));
                };
                let payload = items
                    .into_iter()
                    .next()
                    .and_then(|item| payload(item, at.seq.0));
                let held = payload.as_deref().map(record::decode);
                let same = matches!(&held, Some(Ok(held)) if is_same(held, event));
                if !same {
                    return Err(Finding::of(
                        popwatch_core::invariant::Law::L1,
                        format!("L1: {at:?} was named as the place of an event that is not there"),
                    ));
                }
                let safe = Outcome::Safe(at.epoch.0, at.seq.0, payload.unwrap_or_default());
                Ok((safe, Answered::duplicate(id, Some(at.epoch.0), at.seq.0)))
            }
            Verdict::Conflict { .. } => Ok(refused(id, Code::EventConflict)),
            Verdict::TooLarge | Verdict::PopupsFull => Ok(refused(id, Code::EventTooLarge)),
            Verdict::Shed(_) => Ok(refused(id, Code::QueueFull)),
        }
    }

    /// Hands records that became durable to the edge, in order.
    pub(crate) fn tell(&mut self, committed: Vec<Committed>, now: Now) {
        for one in committed {
            if let Event::System(SystemEvent::RigStarted(started)) = &one.record.event
                && let Some(epoch_id) = EpochId::from_slice(&started.epoch_id)
            {
                let acked = (Seq::NONE, Seq::NONE);
                self.edge.handle(
                    Input::Epoch {
                        epoch: one.epoch,
                        epoch_id,
                        acked,
                    },
                    now,
                );
            }
            let Committed { epoch, seq, record } = one;
            self.edge.handle(Input::Durable { epoch, seq, record }, now);
        }
    }
}

/// The same event, as far as a second telling of it must agree with the first.
fn is_same(held: &record::Record, told: &record::Record) -> bool {
    held.content == told.content
        && held.event.type_number() == told.event.type_number()
        && (&held.source, &held.id) == (&told.source, &told.id)
}

fn refused(id: String, code: Code) -> (Outcome, Answered) {
    let problem = EventProblem::whole(code, "not kept");
    (Outcome::Refused, Answered::rejected(Some(id), &problem))
}

fn payload(item: ReadItem, at: u64) -> Option<Vec<u8>> {
    match item {
        ReadItem::Frame { seq, frame, .. } if seq.0 == at => {
            frame.get(FRAME_HEADER_BYTES..).map(<[u8]>::to_vec)
        }
        ReadItem::Frame { .. } | ReadItem::Gap(_) | ReadItem::Void { .. } => None,
    }
}

/// The events in one body of a call.
fn body(told: &[Told], form: u64, world_ms: u64) -> (&'static str, String) {
    let bodies: Vec<String> = told.iter().map(|one| one.sent(world_ms)).collect();
    match (form % 2, bodies.as_slice()) {
        (0, [one]) => ("application/cloudevents+json", one.clone()),
        (0, many) => ("application/x-ndjson", many.join("\n")),
        _ => (
            "application/cloudevents-batch+json",
            format!("[{}]", bodies.join(",")),
        ),
    }
}

/// Everything in a journal, epoch by epoch.
pub(crate) fn reread(journal: &mut Journal<FaultFs>) -> io::Result<Vec<EpochRead>> {
    let mut all = Vec::new();
    for info in journal.epochs() {
        let mut read = EpochRead {
            info,
            frames: Vec::new(),
            lost: Vec::new(),
        };
        let mut from = Seq(1);
        while from <= info.last_seq {
            let items = journal.read(info.epoch, from, 64 << 10)?;
            let Some(last) = items.last().map(ReadItem::last_seq) else {
                break;
            };
            from = last.next();
            for item in items {
                match item {
                    ReadItem::Frame { seq, frame, .. } => {
                        let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                        read.frames.push((seq.0, payload.to_vec()));
                    }
                    ReadItem::Gap(gap) => read.lost.push((gap.first, gap.last)),
                    ReadItem::Void { first, last } => read.lost.push((first.0, last.0)),
                }
            }
        }
        all.push(read);
    }
    Ok(all)
}

fn seqs(epoch: &EpochRead) -> Vec<u64> {
    epoch.frames.iter().map(|(seq, _)| *seq).collect()
}

/// Feeds every epoch to the edge, oldest first, with what the journal remembers of the ledger.
fn refold(
    read: &[EpochRead],
    journal: &mut Journal<FaultFs>,
    edge: &mut Edge,
    now: Now,
) -> io::Result<()> {
    for EpochRead { info, frames, .. } in read {
        let ours =
            |held: &&Acked| held.epoch == info.epoch.0 && held.epoch_id[..] == info.epoch_id.0[..];
        let held = journal.acked().iter().find(ours);
        let acked = held.map_or((Seq::NONE, Seq::NONE), |held| {
            (Seq(held.trunk_seq), Seq(held.bulk_seq))
        });
        edge.handle(
            Input::Epoch {
                epoch: info.epoch,
                epoch_id: info.epoch_id,
                acked,
            },
            now,
        );
        for (seq, payload) in frames {
            if let Ok(record) = record::decode(payload) {
                let (epoch, seq, record) = (info.epoch, Seq(*seq), Arc::new(record));
                edge.handle(Input::Durable { epoch, seq, record }, now);
                while let Some(ask) = edge.reread(now.mono) {
                    let (records, next) = piece(journal, ask)?;
                    edge.handle(Input::Reread { ask, records, next }, now);
                }
            }
        }
        edge.handle(
            Input::Ended {
                epoch: info.epoch,
                last: info.last_seq,
            },
            now,
        );
    }
    Ok(())
}

/// Records by their seqs.
type Records = Vec<(Seq, Arc<record::Record>)>;

/// A piece of an epoch and where it goes on: small, so that most take several.
fn piece(journal: &mut Journal<FaultFs>, ask: Reread) -> io::Result<(Records, Seq)> {
    let items = journal.read(ask.epoch, ask.from, 4 << 10)?;
    let next = items.last().map_or(ask.from, |item| item.last_seq().next());
    let records = items.into_iter().filter_map(|item| {
        let ReadItem::Frame { seq, frame, .. } = item else {
            return None;
        };
        let record = record::decode(frame.get(FRAME_HEADER_BYTES..)?).ok()?;
        Some((seq, Arc::new(record)))
    });
    Ok((records.collect(), next))
}

/// A popup's policy as an organiser announces it.
#[must_use]
pub(crate) fn announced(popup: &str, days: i64) -> PopupPolicy {
    debug_assert!(PopupId::new(popup).is_ok(), "scripts use good names");
    PopupPolicy {
        popup: popup.into(),
        version: 1,
        digest: vec![1; 32],
        starts_ms: WALL_MS - days * 86_400_000,
        ends_ms: WALL_MS + days * 86_400_000,
        zone: "UTC".into(),
        ..PopupPolicy::default()
    }
}
