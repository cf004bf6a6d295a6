//! One day: rigs, a region, a ledger and the network between them, on virtual time.
//!
//! ```text
//! script ─► step ─► tills call rigs ─► journals ─► edges ─► net ─► region, ledger ─► net ─► edges
//!             └───► laws checked against the model, then the next step
//! ```
//!
//! One thread, no clock, no entropy: the seed decides everything, so a day can be told by its seed
//! and ended at any step.

mod traffic;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use popwatch_core::event::system::{Loss, LossCount, SystemEvent};
use popwatch_core::event::{Class, Event};
use popwatch_core::id::{EventId, Source};
use popwatch_core::invariant::{self, Law};
use popwatch_core::limits::COMMIT_WAIT_MS_MAX;
use popwatch_core::record::{Content, Flags, Record};
use popwatch_redact::proof;
use popwatch_store::fs::Fs;
use popwatch_store::fs::faulty::Fault;
use popwatch_store::journal::Committed;

use crate::check::{Checked, Finding, Memory, find_on_disk, same_cells};
use crate::model::{Fact, Model};
use crate::net::{Line, Net, Peer};
use crate::peers::{LedgerSide, RegionSide};
use crate::reads;
use crate::rig::{Heard, Outcome, Rig, announced};
use crate::saboteur::Saboteur;
use crate::script::{Day, Script, Step};
use crate::till::{Planted, Till, Told};

/// Events a till puts in one call.
const CALL_EVENTS: usize = 12;
/// A till calls again this long after it was not answered, ms.
const TILL_RETRY_MS: u64 = 2_000;
/// Answered events a till may send again.
const ANSWERED_KEPT: usize = 40;
/// Virtual time in which everything must be level after the day, ms.
const DRAIN_MS: u64 = 1_800_000;
/// Between two looks whether everything is level, ms: no multiple of a beacon.
const LOOK_MS: u64 = 3_700;
/// Moments one step may be made of: beyond, the world does not come to rest.
const MOMENTS_MAX: u64 = 400_000;

/// What happened in a day, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Steps of the script.
    pub(crate) steps: u64,
    /// Events that a till was told are safe.
    pub(crate) acked: u64,
    /// Power cuts and kills.
    pub(crate) crashes: u64,
    /// Bodies that reached a peer.
    pub(crate) deliveries: u64,
    /// Events that a disk did not take at once.
    pub(crate) put_off: u64,
    /// Lives of journals.
    pub(crate) epochs: u64,
    /// Times that records were let go.
    pub(crate) trims: u64,
    /// Segment files at the end of the day.
    pub(crate) segments: u64,
    /// Events of epochs with a contact that stand in their true minute.
    pub(crate) minutes_right: u64,
    /// All events of such epochs.
    pub(crate) minutes_all: u64,
}

impl Counts {
    /// Adds another day's.
    pub(crate) fn add(&mut self, day: Self) {
        self.steps += day.steps;
        self.acked += day.acked;
        self.crashes += day.crashes;
        self.deliveries += day.deliveries;
        self.put_off += day.put_off;
        self.epochs += day.epochs;
        self.trims += day.trims;
        self.segments += day.segments;
        self.minutes_right += day.minutes_right;
        self.minutes_all += day.minutes_all;
    }
}

/// How a day went.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Its seed.
    pub(crate) seed: u64,
    /// What happened.
    pub(crate) counts: Counts,
    /// The first thing that must not be, if any.
    pub(crate) finding: Option<Finding>,
    /// Hash of every byte the day put out.
    pub(crate) digest: [u8; 32],
    /// The steps, in words.
    pub(crate) steps: Vec<String>,
}

/// The world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now_ms: u64,
    pub(crate) day: Day,
    pub(crate) rigs: Vec<Rig>,
    pub(crate) region: RegionSide,
    pub(crate) ledger: LedgerSide,
    pub(crate) model: Model,
    pub(crate) planted: Planted,
    pub(crate) memory: Memory,
    net: Net,
    pub(crate) saboteur: Option<Saboteur>,
    kept: BTreeMap<Line, usize>,
    armed: BTreeMap<usize, u64>,
    retry_at: BTreeMap<usize, u64>,
    lost_answers: popwatch_store::fs::faulty::Dice,
    output: blake3::Hasher,
    pub(crate) counts: Counts,
    steps: Vec<String>,
}

/// Runs the day of a seed, up to a step if one is given.
#[must_use]
pub(crate) fn day(seed: u64, until: Option<u64>, saboteur: Option<Saboteur>) -> Ended {
    let mut script = Script::new(seed);
    let mut world = match World::new(seed, &mut script, saboteur) {
        Ok(world) => world,
        Err(finding) => return Ended::before_it_began(seed, finding),
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        world.run(&mut script, until)?;
        reads::read(seed, saboteur)
    }));
    let finding = match ran {
        Ok(Ok(())) => None,
        Ok(Err(finding)) => Some(finding),
        Err(panic) => Some(Finding::defect(format!(
            "a panic: {}",
            words_of(panic.as_ref())
        ))),
    };
    let step = world.counts.steps;
    let finding = finding.map(|finding| Finding { step, ..finding });
    let digest = *world.output.finalize().as_bytes();
    Ended {
        seed,
        counts: world.counts,
        finding,
        digest,
        steps: world.steps,
    }
}

impl Ended {
    fn before_it_began(seed: u64, finding: Finding) -> Self {
        let counts = Counts::default();
        Self {
            seed,
            counts,
            finding: Some(finding),
            digest: [0; 32],
            steps: Vec::new(),
        }
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words").to_owned()
}

impl World {
    fn new(seed: u64, script: &mut Script, saboteur: Option<Saboteur>) -> Result<Self, Finding> {
        let day = script.day().clone();
        let days = 3;
        let policies: Vec<_> = match day.announced {
            true => day
                .popups
                .iter()
                .map(|popup| announced(popup, days))
                .collect(),
            false => Vec::new(),
        };
        let rigs = (0..day.rigs).map(|no| {
            let name = format!("t{}", no + 1);
            let till = Till::new(
                &name,
                script.seed(),
                day.currencies.clone(),
                day.popups.clone(),
            );
            Rig::new(no, script.seed(), till, policies.clone(), day.segment_bytes)
        });
        Ok(Self {
            seed,
            now_ms: 1_000,
            rigs: rigs.collect(),
            region: RegionSide::new(seed, saboteur),
            ledger: LedgerSide::new(saboteur)?,
            model: Model::default(),
            planted: Planted::default(),
            memory: Memory::default(),
            net: Net::new(script.seed(), day.answer_ms),
            saboteur,
            kept: BTreeMap::new(),
            armed: BTreeMap::new(),
            retry_at: BTreeMap::new(),
            lost_answers: popwatch_store::fs::faulty::Dice(script.seed()),
            output: blake3::Hasher::new(),
            counts: Counts::default(),
            steps: Vec::new(),
            day,
        })
    }

    fn run(&mut self, script: &mut Script, until: Option<u64>) -> Checked {
        for rig in 0..self.rigs.len() {
            self.start(rig)?;
        }
        while let Some(step) = script.next() {
            self.counts.steps += 1;
            self.say(format!("{step:?}"));
            self.take(step)?;
            self.pump()?;
            self.check_step()?;
            if until == Some(self.counts.steps) {
                return Ok(());
            }
        }
        self.drain()?;
        self.check_end()?;
        self.close()
    }

    fn say(&mut self, words: String) {
        self.output.update(words.as_bytes());
        self.steps.push(format!(
            "{:>4} {:>9} ms  {words}",
            self.counts.steps, self.now_ms
        ));
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Sell { rig, events } => self.sell(rig, events),
            Step::Resend { rig } => self.resend(rig),
            Step::Edit { rig } => self.edit(rig),
            Step::Elsewhere { from, to, edited } => self.elsewhere(from, to, edited),
            Step::PowerCut { rig, after } => self.crash(rig, after, true),
            Step::Kill { rig, after } => self.crash(rig, after, false),
            Step::Stop { rig } => {
                self.check_folds(rig)?;
                self.stop(rig);
                Ok(())
            }
            Step::Start { rig, cut_after } => self.start_by_script(rig, cut_after),
            Step::Clock { rig, off_ms } => {
                self.rigs[rig].clock_off_ms = off_ms;
                Ok(())
            }
            Step::Cut { line, ms } => {
                self.net.cut(line, self.now_ms + ms);
                Ok(())
            }
            Step::Turn { line, weather } => {
                self.net.weather(line, weather);
                Ok(())
            }
            Step::ForgetRegion => {
                self.region.forget();
                Ok(())
            }
            Step::LedgerAway { ms, busy } => {
                self.ledger.away(self.now_ms + ms, busy);
                Ok(())
            }
            Step::BadDisk { rig, ppm } => {
                self.rigs[rig].disk.fail_rate(ppm);
                self.rigs[rig].disk_fails = true;
                Ok(())
            }
            Step::FullDisk {
                rig,
                bytes,
                cut_after,
            } => {
                self.fill_disk(rig, bytes);
                self.trim_on_a_full_disk(rig, cut_after)
            }
            Step::BadCall { rig, after, fault } => {
                let at = self.rigs[rig].disk.ops() + after;
                self.rigs[rig].disk.fail_at(at, fault);
                self.rigs[rig].hiccup_at = at.max(self.rigs[rig].hiccup_at);
                Ok(())
            }
            Step::GoodDisk { rig } => {
                self.heal_disk(rig);
                Ok(())
            }
            Step::Wait { ms } => self.wait(ms),
        }
    }

    fn sell(&mut self, rig: usize, events: u64) -> Checked {
        let wall_ms = self.rigs[rig].now(self.now_ms).wall.0;
        for _ in 0..events {
            let told = self.rigs[rig]
                .till
                .next(wall_ms, self.now_ms, &mut self.planted);
            self.rigs[rig].outbox.push(told);
        }
        self.call(rig)
    }

    fn resend(&mut self, rig: usize) -> Checked {
        if let Some(told) = self.any_answered(rig) {
            self.rigs[rig].outbox.push(told);
        }
        self.call(rig)
    }

    fn edit(&mut self, rig: usize) -> Checked {
        let told = self.any_answered(rig);
        if let Some(edited) = told.and_then(|told| self.rigs[rig].till.edited(&told)) {
            self.rigs[rig].outbox.push(edited);
        }
        self.call(rig)
    }

    fn elsewhere(&mut self, from: usize, to: usize, edited: bool) -> Checked {
        let told = self.any_answered(from);
        let told = match edited {
            true => told.and_then(|told| self.rigs[from].till.edited(&told)),
            false => told,
        };
        if let Some(told) = told {
            self.rigs[to].outbox.push(told);
        }
        self.call(to)
    }

    fn any_answered(&mut self, rig: usize) -> Option<Told> {
        let count = self.rigs[rig].answered.len();
        let index = self.lost_answers.index(count);
        self.rigs[rig].answered.get(index).cloned()
    }

    fn crash(&mut self, rig: usize, after: u64, power: bool) -> Checked {
        self.check_folds(rig)?;
        if self.rigs[rig].live.is_some() {
            let was = self.cut_power_at(rig, after);
            let sold = self.sell(rig, 3);
            self.rigs[rig].disk_fails = was;
            sold?;
        }
        self.end_process(rig, power)
    }

    /// The disk dies `after` calls from now. Answers whether it failed before.
    fn cut_power_at(&mut self, rig: usize, after: u64) -> bool {
        let disk = &self.rigs[rig].disk;
        let at = disk.ops() + after;
        disk.fail_at(at, Fault::PowerCut);
        self.armed.insert(rig, at);
        std::mem::replace(&mut self.rigs[rig].disk_fails, true)
    }

    /// The cells of a process about to end: its next life folds anew and could not tell.
    fn check_folds(&mut self, rig: usize) -> Checked {
        let (may_fail, lags) = (self.rigs[rig].may_fail(), self.rigs[rig].lags);
        match same_cells(&mut self.rigs[rig]) {
            Err(finding) if lags || (may_fail && finding.law.is_none()) => {
                drop(finding);
                Ok(())
            }
            checked => checked,
        }
    }

    fn end_process(&mut self, rig: usize, power: bool) -> Checked {
        self.counts.crashes += 1;
        self.net.forget(rig);
        let disk = self.rigs[rig].disk.clone();
        // A cut that was not reached comes now, not in a later life.
        while self.armed.get(&rig).is_some_and(|at| disk.ops() <= *at) {
            drop(disk.free_bytes());
        }
        match power {
            true => self.rigs[rig].lose_power(self.now_ms),
            false => self.rigs[rig].kill(),
        }
        if self.saboteur == Some(Saboteur::ForgetfulDisk) {
            self.forget_a_write(rig);
        }
        Ok(())
    }

    fn forget_a_write(&mut self, rig: usize) {
        let newest = self
            .model
            .facts()
            .iter()
            .rev()
            .find(|fact| fact.place.0 == rig);
        if let Some(fact) = newest
            && let Some((name, at)) = find_on_disk(&self.rigs[rig].disk, &fact.payload)
        {
            self.rigs[rig].disk.zero(&name, at, fact.payload.len());
        }
    }

    fn stop(&mut self, rig: usize) {
        self.net.forget(rig);
        self.rigs[rig].stop(self.now_ms);
    }

    fn start_by_script(&mut self, rig: usize, cut_after: Option<u64>) -> Checked {
        let Some(after) = cut_after.filter(|_| self.rigs[rig].live.is_none()) else {
            return self.start(rig);
        };
        let was = self.cut_power_at(rig, after);
        let started = self.start(rig);
        self.rigs[rig].disk_fails = was;
        started?;
        self.end_process(rig, true)?;
        self.start(rig)
    }

    /// Starts a rig that is down. One whose disk works must start, whatever is on it.
    fn start(&mut self, rig: usize) -> Checked {
        if self.rigs[rig].live.is_some() {
            return Ok(());
        }
        let (now_ms, may_fail) = (self.now_ms, self.rigs[rig].may_fail());
        self.memory.forget();
        match self.rigs[rig].start(now_ms) {
            Ok(read) => {
                let at_the_ledger = self.ledger.payloads(self.rigs[rig].id.as_str());
                self.check_start(rig, &read, &at_the_ledger)
            }
            Err(_) if may_fail => {
                self.rigs[rig].kill();
                Ok(())
            }
            Err(fault) => Err(Finding::of(
                Law::L10,
                format!(
                    "L10: {} does not start on a disk that works: {fault:?}",
                    self.rigs[rig].id
                ),
            )),
        }
    }

    fn fill_disk(&mut self, rig: usize, bytes: u64) {
        let disk = &self.rigs[rig].disk;
        let used: usize = disk
            .names()
            .iter()
            .filter_map(|name| disk.bytes(name))
            .map(|bytes| bytes.len())
            .sum();
        disk.capacity(u64::try_from(used).unwrap_or(0) + bytes);
        self.rigs[rig].disk_fails = true;
    }

    /// What the ledger holds goes; power may be cut in the middle of it.
    fn trim_on_a_full_disk(&mut self, rig: usize, cut_after: Option<u64>) -> Checked {
        let Some(after) = cut_after.filter(|_| self.rigs[rig].live.is_some()) else {
            self.trim(rig);
            return Ok(());
        };
        self.check_folds(rig)?;
        self.cut_power_at(rig, after);
        self.trim(rig);
        self.end_process(rig, true)
    }

    /// Looks at a rig's disk and lets go of what may go.
    fn trim(&mut self, rig: usize) {
        let Some((epochs, early)) = self.rigs[rig].may_go(self.now_ms) else {
            return;
        };
        self.commit(rig, early, true);
        if epochs.is_empty() {
            return;
        }
        if let Some(said) = self.rigs[rig].let_go(&epochs, self.now_ms) {
            self.counts.trims += u64::from(!said.is_empty());
            self.commit(rig, said, true);
        }
    }

    fn heal_disk(&mut self, rig: usize) {
        self.rigs[rig].disk.fail_rate(0);
        self.rigs[rig].disk.capacity(u64::MAX);
        while self.rigs[rig].hiccup_at >= self.rigs[rig].disk.ops() {
            drop(self.rigs[rig].disk.free_bytes());
        }
        self.rigs[rig].disk_fails = false;
    }

    /// One call of a till with what it was not answered for.
    fn call(&mut self, rig: usize) -> Checked {
        self.retry_at.insert(rig, self.now_ms + TILL_RETRY_MS);
        let waits = self.rigs[rig].outbox.len().min(CALL_EVENTS);
        if waits == 0 || self.rigs[rig].live.is_none() {
            return Ok(());
        }
        let mut told: Vec<Told> = self.rigs[rig].outbox.drain(..waits).collect();
        let held_back = self.wait_for_the_ledger(rig, &mut told);
        if self.saboteur == Some(Saboteur::DeafDetector) {
            self.write_past_the_detectors(rig, &told);
        }
        let may_fail = self.rigs[rig].may_fail();
        let heard = self.rigs[rig].call(&told, self.lost_answers.roll(), self.now_ms)?;
        self.look("an answer", &heard.body)?;
        self.output.update(&heard.body);
        self.sells_on(&told, &heard, &held_back, may_fail)?;
        self.rigs[rig].outbox.splice(0..0, held_back);
        let is_lost = self.lost_answers.below(12) == 0;
        self.hear(rig, told, &heard.outcomes, is_lost);
        self.told(rig, heard);
        Ok(())
    }

    /// L10: a disk that works takes everything; one that does not never takes chat and leaves money.
    fn sells_on(
        &self,
        told: &[Told],
        heard: &Heard,
        held_back: &[Told],
        may_fail: bool,
    ) -> Checked {
        let (mut refused, mut taken) = (Vec::new(), Vec::new());
        for (told, outcome) in told.iter().zip(&heard.outcomes) {
            match outcome {
                Outcome::Later => refused.push(told.class),
                Outcome::Safe(..) => taken.push(told.class),
                Outcome::Known(..) | Outcome::Refused | Outcome::Unheard => {}
            }
        }
        if !refused.is_empty() && !may_fail {
            let sentence = "L10: events were refused although the disk works".to_owned();
            return Err(Finding::of(Law::L10, sentence));
        }
        refused.extend(held_back.iter().map(|told| told.class));
        let held = invariant::sells_on(&refused, &taken);
        let in_bound = |sentence| format!("{sentence}, after {COMMIT_WAIT_MS_MAX} ms");
        held.map_err(|sentence| Finding::of(Law::L10, in_bound(sentence)))
    }

    /// What a door that waits for its peer leaves unanswered.
    fn wait_for_the_ledger(&self, rig: usize, told: &mut Vec<Told>) -> Vec<Told> {
        let waits = self.saboteur == Some(Saboteur::WaitingDoor)
            && self
                .net
                .is_cut((rig, Peer::Ledger), self.now_ms + COMMIT_WAIT_MS_MAX);
        let is_money = |told: &mut Told| waits && told.class == Class::Money;
        let held_back: Vec<Told> = told.extract_if(.., is_money).collect();
        held_back
    }

    fn write_past_the_detectors(&mut self, rig: usize, told: &[Told]) {
        let stamp = self.rigs[rig].stamp(self.now_ms);
        let Some(live) = &mut self.rigs[rig].live else {
            return;
        };
        let counts = told.iter().map(|told| LossCount {
            cause: told.body.clone(),
            ..LossCount::default()
        });
        let loss = Loss {
            counts: counts.collect(),
            ..Loss::default()
        };
        let record = Record {
            event: Event::System(SystemEvent::RigLoss(loss)),
            popup: None,
            source: Source::new("popwatch:debug").expect("a printable name"),
            id: EventId::new(&format!("debug-{}", self.now_ms)).expect("a printable name"),
            stamp,
            beyond: None,
            content: Content::default(),
            policy_version: 0,
            flags: Flags::default(),
            totals: Vec::new(),
            origin: None,
        };
        let written = live
            .journal
            .append(vec![proof::own(record, [0; 12])], stamp);
        let committed = written.map(|commit| commit.records).unwrap_or_default();
        self.commit(rig, committed, true);
    }

    /// What the till makes of the answers. One that got lost on the way is as none.
    fn hear(&mut self, rig: usize, told: Vec<Told>, outcomes: &[Outcome], is_lost: bool) {
        let mut again = Vec::new();
        for (told, outcome) in told.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Later | Outcome::Unheard => {
                    self.counts.put_off += 1;
                    again.push(told);
                }
                Outcome::Safe(..) | Outcome::Known(..) | Outcome::Refused if is_lost => {
                    again.push(told)
                }
                Outcome::Safe(epoch, seq, payload) => {
                    self.safe(rig, (*epoch, *seq, payload.clone()), told);
                }
                Outcome::Known(epoch, seq) => {
                    // Nobody may have heard of it when it became safe. What the ledger does not have
                    // is missed at the next start.
                    let payloads = self.ledger.payloads(self.rigs[rig].id.as_str());
                    let payload = payloads.get(&(*epoch, *seq)).cloned().unwrap_or_default();
                    self.safe(rig, (*epoch, *seq, payload), told);
                }
                Outcome::Refused => {}
            }
        }
        let rig = &mut self.rigs[rig];
        let beyond = rig.answered.len().saturating_sub(ANSWERED_KEPT);
        rig.answered.drain(..beyond);
        rig.outbox.splice(0..0, again);
    }

    /// A till was told that an event is safe.
    fn safe(&mut self, rig: usize, (epoch, seq, payload): (u32, u64, Vec<u8>), told: Told) {
        self.counts.acked += 1;
        self.model.acked(Fact {
            key: (told.source.clone(), told.id.clone()),
            popup: told.popup.clone(),
            place: (rig, epoch, seq),
            payload,
            worth: told.worth.clone(),
            at_ms: told.at_ms,
        });
        self.rigs[rig].answered.push(told);
    }

    fn told(&mut self, rig: usize, heard: Heard) {
        let failed = heard
            .outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Later));
        self.commit(rig, heard.committed, !failed);
    }

    /// Records became durable: the edge hears of them. `all` says that none is held back.
    fn commit(&mut self, rig: usize, committed: Vec<Committed>, all: bool) {
        let now = self.rigs[rig].now(self.now_ms);
        let of = &mut self.rigs[rig];
        of.lags = !all;
        for one in &committed {
            let mut seq = one.seq.0;
            let client = !matches!(one.record.event, Event::System(_));
            if self.saboteur == Some(Saboteur::ReusedSeq) && of.just_started && client && seq > 1 {
                seq -= 1;
            }
            of.just_started &= !client;
            of.told.entry(one.epoch.0).or_default().push(seq);
        }
        let mut committed = committed;
        if self.saboteur == Some(Saboteur::HastyFold) {
            let own = committed.partition_point(|it| matches!(it.record.event, Event::System(_)));
            committed[own..].reverse();
        }
        if let Some(live) = &mut of.live {
            live.tell(committed, now);
        }
    }

    /// Everything is well again; everything must arrive everywhere.
    fn drain(&mut self) -> Checked {
        self.net.heal();
        self.ledger.away(0, false);
        for rig in 0..self.rigs.len() {
            self.heal_disk(rig);
            self.start(rig)?;
        }
        let end = self.now_ms + DRAIN_MS;
        while self.now_ms < end {
            self.wait(LOOK_MS)?;
            self.check_step()?;
            if self.rigs.iter().all(|rig| self.is_level(rig)) {
                return Ok(());
            }
        }
        let late: Vec<_> = self
            .rigs
            .iter()
            .filter(|rig| !self.is_level(rig))
            .map(describe)
            .collect();
        Err(Finding::defect(format!(
            "not level {DRAIN_MS} ms after the day: {}",
            late.join("; ")
        )))
    }

    /// Whether all of a rig is everywhere. What it believes of a region counts only for the memory
    /// it last heard of: one that forgot everything is noticed at the next beacon.
    fn is_level(&self, rig: &Rig) -> bool {
        let Some(live) = &rig.live else { return false };
        let memory = Some(self.region.region.id());
        let heard = live
            .edge
            .regions()
            .iter()
            .all(|lane| lane.region() == memory);
        heard && live.edge.is_drained() && rig.outbox.is_empty()
    }

    /// The last word: power is cut everywhere once more, and nothing that was acknowledged is lost.
    fn close(&mut self) -> Checked {
        for rig in 0..self.rigs.len() {
            self.end_process(rig, true)?;
            self.start(rig)?;
        }
        for rig in &self.rigs {
            if let Some(live) = &rig.live {
                self.counts.epochs += live.journal.epochs().len() as u64;
                self.counts.segments += live.journal.segments() as u64;
            }
            for name in rig.disk.names() {
                self.output.update(name.as_bytes());
                self.output
                    .update(&rig.disk.bytes(&name).unwrap_or_default());
            }
        }
        for popup in &self.day.popups {
            for cell in self.region.region.cells(popup) {
                self.output.update(&cell);
            }
            let etag = self
                .region
                .region
                .etag(popup, crate::peers::true_now(self.now_ms));
            self.output.update(&etag.unwrap_or_default());
            if let Ok(popup) = popwatch_core::id::PopupId::new(popup) {
                let state = self.ledger.state(&popup)?;
                self.output.update(&state.view.books_root);
                self.output.update(&state.reconciliation.hash);
            }
        }
        Ok(())
    }
}

fn describe(rig: &Rig) -> String {
    let live = rig.live.as_ref();
    let unsent = live.map(|live| live.edge.unsent().records);
    let nonsense = live
        .and_then(|live| live.edge.records())
        .map(|lane| lane.nonsense());
    format!(
        "{} has {} events to tell and {unsent:?} records to send, {nonsense:?} answers made no sense",
        rig.id,
        rig.outbox.len()
    )
}
