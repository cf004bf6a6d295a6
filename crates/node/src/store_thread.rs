//! The thread that owns the journal of an edge.
//!
//! ```text
//! money, stock ──► commit at once ─────────────┐
//! journey ≤ 20 ms, ambient ≤ 250 ms, own ──────┴─► one write, one sync, then all the verdicts
//! ```
//!
//! A plain OS thread, since a flush must not wait for a scheduler slice of an async worker.
//! Everything that waits while a sync is under way goes into the next commit (group commit), and
//! what may wait longer joins the next one that cannot. A caller that goes away loses only its
//! answer: what it handed over is committed all the same.
//!
//! What always holds: what waits is bounded in events and bytes; each refusal is counted where it
//! happens; a disk that takes nothing is asked again every two seconds, and the thread never ends
//! because of it. While nothing happens and the disk has room, nothing is written.

mod parting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::event::system::{Acked, Loss, SystemEvent};
use popwatch_core::event::{Class, Event};
use popwatch_core::fold::savepoint::Savepoint;
use popwatch_core::id::{Epoch, EpochId, PopupId, Seq};
use popwatch_core::lane::Stretch;
use popwatch_core::lane::records_up::Want;
use popwatch_core::limits::{
    AMBIENT_WAIT_MS, COMMIT_RECORDS_MAX, JOURNEY_WAIT_MS, OWN_WAIT_MS, OWN_WAITING_MAX,
    REQUEST_EVENTS_MAX,
};
use popwatch_core::loss::Cause;
use popwatch_core::record::{Draft, Record};
use popwatch_core::role::edge::Reread;
use popwatch_redact::proof::Redacted;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::{Commit, Journal, Verdict};
use popwatch_wire::answer_v1::Vitals;
use tokio::sync::{mpsc, oneshot, watch};

use crate::ambient::Ambient;
use crate::gauges::{Gauges, Place};
use crate::refold;
use crate::syncs::Syncs;

/// Orders that may wait for the journal at once. Beyond: 429 PW0121.
const ORDERS_MAX: usize = 512;
/// The thread looks around at least this often while nothing happens: seals, health.
const LOOK_AROUND_NS: u64 = 2_000 * MS;
/// How long a commit waits for those that shared the last one, ns. Where it was measured a sync
/// takes 200 µs; a request that comes alone waits for nobody.
const GATHER_NS: u64 = 150_000;
/// Between two seals while records come in, ns.
const SEAL_EVERY_NS: u64 = 60_000 * MS;
/// Between two looks at the disk, ns.
const DISK_EVERY_NS: u64 = 1_000 * MS;
/// Between two tries of a disk that takes nothing, ns.
const RETRY_NS: u64 = 2_000 * MS;
const MS: u64 = 1_000_000;

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable here.
    Accepted(Epoch, Seq),
    /// The same event is durable here already.
    Duplicate(Epoch, Seq),
    /// Another event with this identity is durable here.
    Conflict(Epoch, Seq),
    /// Its record passes the bound of a frame.
    TooLarge,
    /// It would open one popup more than a rig has.
    PopupsFull,
    /// The disk is too full for its class.
    Shed(Class),
}

/// Why a request's events were not made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too many requests wait.
    #[error("too many events wait for the disk")]
    QueueFull,
    /// The disk did not take them.
    #[error("the disk did not take the events")]
    NotDurable,
    /// The process stops.
    #[error("this popwatch is stopping")]
    Stopping,
}

/// What the journal's thread tells the driver.
#[derive(Debug)]
pub(crate) enum News {
    /// An epoch opened; its records follow.
    Epoch(Epoch, EpochId),
    /// Records became durable, in order.
    Durable(Vec<(Epoch, Seq, Arc<Record>)>),
    /// The disk takes records again, or does not.
    Storing(bool),
    /// A stretch was read.
    Loaded(Want, Stretch),
    /// The end of a past epoch is further on than was known: what lies between is lost.
    Ended(Epoch, Seq),
    /// The records of these epochs, oldest first, may go; what must be kept of them is said by
    /// [`JournalHandle::let_go`].
    MayGo(Vec<Epoch>),
    /// A piece of an epoch was read, and where it goes on.
    Reread(Reread, Vec<(Seq, std::sync::Arc<Record>)>, Seq),
}

type Answer = oneshot::Sender<Result<Vec<Fate>, Refusal>>;
type Own = (Option<PopupId>, Event);
/// An epoch that may go, and its cells if a region may need them.
pub(crate) type Parting = (Epoch, Option<Box<Savepoint>>);

enum Order {
    Append(Vec<Redacted<Draft>>, Place, Answer),
    Own(Vec<Own>),
    Load(Want),
    Reread(Reread),
    Acked(Vec<Acked>),
    LetGo(Vec<Parting>),
    PeerKnows(Epoch, Seq),
    Fork(u32),
    Seal,
    Stop,
}

/// How handlers and the driver reach the journal.
#[derive(Debug, Clone)]
pub(crate) struct JournalHandle {
    orders: SyncSender<Order>,
    gauges: Arc<Gauges>,
    ambient: Ambient,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Append(..) => "Append",
            Self::Own(_) => "Own",
            Self::Load(_) => "Load",
            Self::Reread(_) => "Reread",
            Self::Acked(_) => "Acked",
            Self::LetGo(_) => "LetGo",
            Self::PeerKnows(..) => "PeerKnows",
            Self::Fork(_) => "Fork",
            Self::Seal => "Seal",
            Self::Stop => "Stop",
        })
    }
}

impl JournalHandle {
    /// Hands events over and waits until they are durable, duplicates or refused; fates come in
    /// the order of the drafts.
    pub(crate) async fn append(&self, drafts: Vec<Redacted<Draft>>) -> Result<Vec<Fate>, Refusal> {
        debug_assert!(
            drafts.len() <= REQUEST_EVENTS_MAX,
            "the door bounds a request"
        );
        let bytes = drafts.iter().map(|draft| draft.get().bytes.len()).sum();
        let Some(place) = self.gauges.enter(drafts.len(), bytes) else {
            self.refused(&drafts, Cause::QueueFull);
            return Err(Refusal::QueueFull);
        };
        let (answer, fates) = oneshot::channel();
        match self.orders.try_send(Order::Append(drafts, place, answer)) {
            Ok(()) => fates.await.unwrap_or(Err(Refusal::Stopping)),
            Err(TrySendError::Full(Order::Append(drafts, ..))) => {
                self.refused(&drafts, Cause::QueueFull);
                Err(Refusal::QueueFull)
            }
            Err(TrySendError::Full(_)) => Err(Refusal::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(Refusal::Stopping),
        }
    }

    fn refused(&self, drafts: &[Redacted<Draft>], cause: Cause) {
        count(&self.gauges, &self.ambient, &rows(drafts), cause);
    }

    /// A client says that its own outbox was full.
    pub(crate) fn client_lost(&self, counts: &[(Class, u64)]) {
        let now = self.ambient.now();
        let mut losses = self.gauges.losses();
        for (class, count) in counts {
            losses.count(*class, Cause::Client, None, *count, now);
        }
    }

    /// What the thread shows of itself.
    pub(crate) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    /// Hands over what popwatch itself has to say. False when the queue is full: say it again.
    #[must_use]
    pub(crate) fn note(&self, events: Vec<Own>) -> bool {
        self.orders.try_send(Order::Own(events)).is_ok()
    }

    /// Asks for a stretch; the answer comes as [`News::Loaded`]. False when the queue is full: ask
    /// again.
    #[must_use]
    pub(crate) fn load(&self, want: Want) -> bool {
        self.orders.try_send(Order::Load(want)).is_ok()
    }

    /// Asks for a piece of an epoch; the answer comes as [`News::Reread`]. False when the queue is
    /// full: ask again.
    #[must_use]
    pub(crate) fn reread(&self, ask: Reread) -> bool {
        self.orders.try_send(Order::Reread(ask)).is_ok()
    }

    /// Asks for an epoch of at least `next_epoch`, with the events of those that the ledger does not
    /// wholly hold; its records come as [`News`]. False when the queue is full.
    #[must_use]
    pub(crate) fn fork(&self, next_epoch: u32) -> bool {
        self.orders.try_send(Order::Fork(next_epoch)).is_ok()
    }

    /// Tells what the ledger acknowledged, for the next seal. Best effort: the next word says more.
    pub(crate) fn acked(&self, acked: Vec<Acked>) {
        let sent = self.orders.try_send(Order::Acked(acked));
        debug_assert!(
            !matches!(sent, Err(TrySendError::Disconnected(_))),
            "the thread lives"
        );
    }

    /// A peer holds an epoch further than it goes here. Best effort: the peer says it again.
    pub(crate) fn peer_knows(&self, epoch: Epoch, seq: Seq) {
        drop(self.orders.try_send(Order::PeerKnows(epoch, seq)));
    }

    /// Removes the records of epochs, oldest first, after what goes with them was kept. Best effort:
    /// they may still go a minute later.
    pub(crate) fn let_go(&self, epochs: Vec<Parting>) {
        drop(self.orders.try_send(Order::LetGo(epochs)));
    }

    /// Seals what came since the last seal, after what was handed over before. Best effort: a thread
    /// that is too busy to hear it seals within a minute.
    pub(crate) fn seal(&self) {
        drop(self.orders.try_send(Order::Seal));
    }

    /// Ends the thread after what was handed over before. Waits for a place in the queue.
    pub(crate) fn stop(&self) {
        // A thread that is already gone has nothing left to stop.
        drop(self.orders.send(Order::Stop));
    }
}

/// Class and popup of each draft, for the count of refusals.
fn rows(drafts: &[Redacted<Draft>]) -> Vec<Lost> {
    let row = |draft: &Redacted<Draft>| {
        let record = &draft.get().record;
        (record.event.class(), record.popup.clone())
    };
    drafts.iter().map(row).collect()
}

/// Class and popup of an event that may be refused.
type Lost = (Class, Option<PopupId>);

fn count(gauges: &Gauges, ambient: &Ambient, lost: &[Lost], cause: Cause) {
    let now = ambient.now();
    let mut losses = gauges.losses();
    for (class, popup) in lost {
        losses.count(*class, cause, popup.as_ref(), 1, now);
    }
}

/// How long a record of this class may wait for company, ns.
const fn wait_ns(class: Class) -> u64 {
    match class {
        Class::Money | Class::Stock => 0,
        Class::Journey => JOURNEY_WAIT_MS * MS,
        Class::Ambient => AMBIENT_WAIT_MS * MS,
        Class::System => OWN_WAIT_MS * MS,
    }
}

/// Starts the journal's thread. It ends at [`JournalHandle::stop`], with `rig.stopped` journaled.
pub(crate) fn spawn_journal(
    journal: Journal<OsFs>,
    ambient: Ambient,
    news: mpsc::Sender<News>,
    vitals: watch::Sender<Vitals>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (orders, queue) = sync_channel(ORDERS_MAX);
    let gauges = Arc::new(Gauges::default());
    for policy in journal.popups() {
        gauges.window(&policy);
    }
    let handle = JournalHandle {
        orders,
        gauges: Arc::clone(&gauges),
        ambient: ambient.clone(),
    };
    let thread = std::thread::Builder::new()
        .name(String::from("journal"))
        .spawn(move || {
            let now = ambient.mono_ns();
            let mut thread = JournalThread {
                journal,
                ambient,
                news,
                gauges,
                gathered: Gathered::default(),
                sealed_ns: now,
                looked_ns: None,
                trimmed_ns: now,
                acked: false,
                worked: true,
                failed_ns: None,
                level: 0,
                crowd: 1,
                syncs: Syncs::new(vitals.clone()),
                vitals,
            };
            thread.run(&queue);
        })?;
    Ok((handle, thread))
}

/// What waits for the next commit.
#[derive(Default)]
struct Gathered {
    drafts: Vec<Redacted<Draft>>,
    waiting: Vec<(usize, Place, Answer)>,
    own: VecDeque<Own>,
    /// When the most urgent of it wants its commit.
    due_ns: Option<u64>,
    /// Requests that may not wait.
    urgent: usize,
}

impl Gathered {
    fn add(&mut self, drafts: Vec<Redacted<Draft>>, place: Place, answer: Answer, now_ns: u64) {
        let classes = drafts.iter().map(|draft| draft.get().record.event.class());
        // What a provider tells is the system's class; the provider waits for its answer.
        let waits = classes.filter(|class| *class != Class::System);
        let wait = waits.map(wait_ns).min().unwrap_or(0);
        self.urgent += usize::from(wait == 0);
        self.due(now_ns + wait);
        self.waiting.push((drafts.len(), place, answer));
        self.drafts.extend(drafts);
    }

    fn say(&mut self, own: impl IntoIterator<Item = Own>, now_ns: u64) {
        self.own.extend(own);
        while self.own.len() > OWN_WAITING_MAX {
            self.own.pop_front();
        }
        if !self.own.is_empty() {
            self.due(now_ns + wait_ns(Class::System));
        }
    }

    fn due(&mut self, at_ns: u64) {
        self.due_ns = Some(self.due_ns.map_or(at_ns, |due| due.min(at_ns)));
    }

    fn is_full(&self) -> bool {
        self.drafts.len() + REQUEST_EVENTS_MAX > COMMIT_RECORDS_MAX
    }
}

struct JournalThread {
    journal: Journal<OsFs>,
    ambient: Ambient,
    news: mpsc::Sender<News>,
    gauges: Arc<Gauges>,
    gathered: Gathered,
    sealed_ns: u64,
    looked_ns: Option<u64>,
    /// When it was last looked for epochs that may go.
    trimmed_ns: u64,
    /// The ledger spoke since.
    acked: bool,
    /// Something was committed since the last look at the disk, or its reserve is being filled.
    worked: bool,
    /// When the disk last took nothing, while it does not.
    failed_ns: Option<u64>,
    /// How full the disk was then; see [`popwatch_core::shed`].
    level: u8,
    /// Requests that could not wait and shared the last commit.
    crowd: usize,
    syncs: Syncs,
    vitals: watch::Sender<Vitals>,
}

impl JournalThread {
    fn run(&mut self, queue: &Receiver<Order>) {
        let mut later = VecDeque::new();
        // What the start has found and not yet said: gaps. Nothing is written if there is none.
        self.seal();
        loop {
            let now = self.ambient.mono_ns();
            self.gauges.tick(now);
            if self.wants_commit(now) {
                self.gather(queue, &mut later);
                self.commit();
            }
            self.look_around();
            let order = match later.pop_front() {
                Some(order) => order,
                None => match queue.recv_timeout(self.idle_for()) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match order {
                Order::Append(drafts, place, answer) => {
                    let now = self.ambient.mono_ns();
                    self.gathered.add(drafts, place, answer, now);
                }
                Order::Own(events) => self.gathered.say(events, self.ambient.mono_ns()),
                Order::Load(want) => self.load(want),
                Order::Reread(ask) => self.reread(ask),
                Order::Acked(acked) => {
                    self.journal.set_acked(acked);
                    self.acked = true;
                }
                Order::LetGo(epochs) => self.let_go(epochs),
                Order::PeerKnows(epoch, seq) => self.peer_knows(epoch, seq),
                Order::Fork(next_epoch) => self.fork(next_epoch),
                Order::Seal => {
                    if self.gathered.due_ns.is_some() {
                        self.commit();
                    }
                    self.seal();
                }
                Order::Stop => break,
            }
        }
        self.commit();
        self.stop();
    }

    fn wants_commit(&self, now: u64) -> bool {
        let refusing = self.failed_ns.is_some() && !self.gathered.waiting.is_empty();
        let due = self.gathered.due_ns.is_some_and(|due| due <= now);
        refusing || due || self.gathered.is_full()
    }

    /// Takes what is there already, and waits a moment for those that were answered together last
    /// time: they report again together. What is no event waits until after the commit.
    fn gather(&mut self, queue: &Receiver<Order>, later: &mut VecDeque<Order>) {
        let until = self.ambient.mono_ns() + GATHER_NS;
        while !self.gathered.is_full() {
            let order = queue.try_recv().ok().or_else(|| {
                let left = until.saturating_sub(self.ambient.mono_ns());
                let urgent = self.gathered.urgent;
                let crowded = left > 0 && urgent > 0 && urgent < self.crowd;
                crowded.then(|| queue.recv_timeout(Duration::from_nanos(left)).ok())?
            });
            match order {
                Some(Order::Append(drafts, place, answer)) => {
                    let now = self.ambient.mono_ns();
                    self.gathered.add(drafts, place, answer, now);
                }
                Some(Order::Own(events)) => self.gathered.say(events, self.ambient.mono_ns()),
                Some(other) => later.push_back(other),
                None => break,
            }
        }
    }

    /// Commits what was gathered and answers it.
    fn commit(&mut self) {
        let started = self.ambient.mono_ns();
        let mut gathered = std::mem::take(&mut self.gathered);
        self.crowd = gathered.urgent.max(1);
        let lost = rows(&gathered.drafts);
        if self.refuses_for_a_while(started) {
            self.refuse(gathered, &lost);
            return;
        }
        gathered.own.extend(self.losses_to_say());
        let own: Vec<Own> = gathered.own.iter().cloned().collect();
        let drafts = std::mem::take(&mut gathered.drafts);
        match self.journal.append_with(drafts, own, self.ambient.stamp()) {
            Ok(commit) => {
                self.storing(true);
                // Repeats alone reach no disk.
                if !commit.records.is_empty() {
                    let now = self.ambient.mono_ns();
                    self.gauges.synced(now.saturating_sub(started));
                    self.syncs.took(started, now);
                }
                self.answer(gathered.waiting, &commit, &lost);
                self.tell(commit.records);
            }
            Err(fault) => {
                tracing::error!(code = %Code::NotDurable, %fault, "records could not be made durable");
                self.storing(false);
                self.refuse(gathered, &lost);
            }
        }
        self.worked = true;
    }

    /// Whether the disk took nothing a moment ago: asking it for every request would wear it.
    fn refuses_for_a_while(&self, now: u64) -> bool {
        self.failed_ns
            .is_some_and(|at| now.saturating_sub(at) < RETRY_NS)
    }

    fn answer(&self, waiting: Vec<(usize, Place, Answer)>, commit: &Commit, lost: &[Lost]) {
        if let Some(last) = commit.records.last() {
            self.gauges
                .committed(last.epoch, last.seq, self.ambient.mono_ns());
        }
        let mut fates = Vec::with_capacity(commit.verdicts.len());
        for (verdict, lost) in commit.verdicts.iter().zip(lost) {
            let cause = match verdict {
                Verdict::Shed(_) => Some(Cause::shed(self.journal.pressure().level)),
                Verdict::TooLarge => Some(Cause::TooLarge),
                Verdict::PopupsFull => Some(Cause::PopupsFull),
                Verdict::Accepted(_) | Verdict::Duplicate(_) | Verdict::Conflict { .. } => None,
            };
            if let Some(cause) = cause {
                count(
                    &self.gauges,
                    &self.ambient,
                    std::slice::from_ref(lost),
                    cause,
                );
            }
            fates.push(fate_of(verdict));
        }
        let mut fates = fates.into_iter();
        for (count, place, answer) in waiting {
            let own: Vec<Fate> = fates.by_ref().take(count).collect();
            drop(place);
            // The caller may have hung up; its events are durable all the same.
            drop(answer.send(Ok(own)));
        }
    }

    /// Nothing of it is durable; what popwatch itself had to say waits for the disk.
    fn refuse(&mut self, gathered: Gathered, lost: &[Lost]) {
        count(&self.gauges, &self.ambient, lost, Cause::NotDurable);
        for (_, place, answer) in gathered.waiting {
            drop(place);
            drop(answer.send(Err(Refusal::NotDurable)));
        }
        let mut own = gathered.own;
        own.retain(|(_, event)| {
            let Event::System(SystemEvent::RigLoss(loss)) = event else {
                return true;
            };
            self.gauges.losses().give_back(loss);
            false
        });
        self.gathered.own = own;
    }

    /// What is due by the clock: losses, seals, the disk.
    fn look_around(&mut self) {
        let now = self.ambient.now();
        let now_ns = self.ambient.mono_ns();
        if let Some(failed) = self.failed_ns {
            if now_ns.saturating_sub(failed) >= RETRY_NS {
                self.commit();
            }
        } else if self
            .gauges
            .losses()
            .deadline()
            .is_some_and(|due| due <= now.mono)
        {
            let losses = self.losses_to_say();
            self.gathered.say(losses, now_ns);
        }
        let is_due = now_ns.saturating_sub(self.sealed_ns) >= SEAL_EVERY_NS
            || self.journal.popup_ended(now.wall.0);
        if is_due && self.failed_ns.is_none() {
            self.seal();
        }
        let wanted = self.worked || self.level > 0;
        let soon = |at: u64| now_ns.saturating_sub(at) < DISK_EVERY_NS;
        if wanted && !self.looked_ns.is_some_and(soon) {
            self.looked_ns = Some(now_ns);
            let reserve_bytes = self.journal.pressure().reserve_bytes;
            let seen = self.journal.look_at_disk(self.ambient.stamp());
            if seen.level != self.level {
                let (level, free) = (seen.level, seen.free_bytes);
                tracing::warn!(code = %Code::ClassShed, level, free, "the room on disk has changed");
            }
            self.level = seen.level;
            self.vitals.send_modify(|vitals| {
                let disk = vitals.disk.get_or_insert_default();
                disk.level = Some(seen.level);
                disk.free_bytes = Some(seen.free_bytes);
                disk.budget_bytes = Some(seen.budget_bytes);
                disk.used_bytes = Some(seen.used_bytes);
            });
            self.worked = seen.reserve_bytes > reserve_bytes;
            self.gauges
                .show(seen, self.journal.bytes_used(), self.journal.segments());
        }
        // Most of all when the disk takes nothing: letting go is what helps.
        if now_ns >= self.trim_due_ns() {
            self.see_what_may_go(now_ns);
        }
    }

    /// How long nothing is due.
    fn idle_for(&self) -> Duration {
        let now = self.ambient.mono_ns();
        let mut wake = now + LOOK_AROUND_NS;
        if let Some(failed) = self.failed_ns {
            // Until then every request is refused, so nothing else that waits is due before.
            wake = wake.min(failed + RETRY_NS);
        } else if let Some(due) = self.gathered.due_ns {
            wake = wake.min(due);
        }
        if self.failed_ns.is_none()
            && let Some(due) = self.gauges.losses().deadline()
        {
            wake = wake.min(due.0.saturating_mul(MS));
        }
        if self.worked || self.level > 0 {
            let next = self.looked_ns.map_or(now, |at| at + DISK_EVERY_NS);
            wake = wake.min(next).min(self.trim_due_ns());
        }
        Duration::from_nanos(wake.saturating_sub(now))
    }

    /// The reports of losses that are due, said in the log as well.
    fn losses_to_say(&self) -> Vec<Own> {
        let reports = self.gauges.losses().report(self.ambient.now());
        reports.into_iter().map(said).collect()
    }

    /// Goes on in a new epoch. A large backlog is appended again part by part, each durable by itself.
    fn fork(&mut self, next_epoch: u32) {
        let mut done = self.journal.fork(next_epoch, self.ambient.stamp());
        loop {
            match done {
                Ok(commit) => self.tell(commit.records),
                Err(fault) => {
                    tracing::error!(code = %Code::NotDurable, %fault, "a fork was not left");
                    self.storing(false);
                    return;
                }
            }
            if !self.journal.fork_goes_on() {
                return;
            }
            done = self.journal.append(Vec::new(), self.ambient.stamp());
        }
    }

    fn storing(&mut self, can: bool) {
        let could = self.failed_ns.is_none();
        self.failed_ns = (!can).then(|| self.ambient.mono_ns());
        if could != can {
            self.gauges.storing(can);
            self.send(News::Storing(can));
        }
    }

    fn tell(&self, records: Vec<popwatch_store::journal::Committed>) {
        let mut durable = Vec::with_capacity(records.len());
        for committed in records {
            if let Event::System(SystemEvent::RigStarted(started)) = &committed.record.event
                && let Some(epoch_id) = EpochId::from_slice(&started.epoch_id)
            {
                let (epoch, reason) = (committed.epoch.0, started.reason.as_str());
                if reason == "trim" {
                    tracing::info!(epoch, "the disk is low; the journal goes on in a new epoch");
                } else {
                    let code = Code::SyncFailed;
                    tracing::warn!(%code, epoch, reason, "the journal goes on in a new epoch");
                }
                self.send(News::Durable(std::mem::take(&mut durable)));
                self.send(News::Epoch(committed.epoch, epoch_id));
            }
            if let Event::System(
                SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy),
            ) = &committed.record.event
            {
                self.gauges.window(policy);
            }
            durable.push((committed.epoch, committed.seq, committed.record));
        }
        self.send(News::Durable(durable));
    }

    fn send(&self, news: News) {
        if matches!(&news, News::Durable(records) if records.is_empty()) {
            return;
        }
        // A driver that is gone needs no news: the process stops.
        drop(self.news.blocking_send(news));
    }

    fn load(&mut self, want: Want) {
        let read = self.journal.batch(
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
            Err(fault) => {
                tracing::error!(%fault, epoch = want.epoch.0, seq = want.from.0, "journal not read");
                Stretch::nothing_at(want.from)
            }
        };
        self.send(News::Loaded(want, stretch));
    }

    fn reread(&mut self, ask: Reread) {
        let (records, next) = refold::piece(&mut self.journal, ask).unwrap_or_else(|fault| {
            tracing::error!(%fault, epoch = ask.epoch.0, seq = ask.from.0, "journal not read");
            (Vec::new(), ask.from)
        });
        self.send(News::Reread(ask, records, next));
    }

    fn seal(&mut self) {
        self.sealed_ns = self.ambient.mono_ns();
        match self.journal.seal(self.ambient.stamp()) {
            Ok(commit) => self.tell(commit.records),
            Err(fault) => {
                tracing::error!(code = %Code::NotDurable, %fault, "seal not written");
                self.storing(false);
            }
        }
    }

    fn stop(&mut self) {
        let losses = self.gauges.losses().drain(self.ambient.now());
        let own: Vec<Own> = losses.into_iter().map(said).collect();
        let stamp = self.ambient.stamp();
        if !own.is_empty() {
            match self.journal.append_own(own, stamp) {
                Ok(commit) => self.tell(commit.records),
                Err(fault) => tracing::error!(%fault, "losses could not be journaled"),
            }
        }
        match self.journal.stop(stamp) {
            Ok(commit) => self.tell(commit.records),
            Err(fault) => tracing::error!(%fault, "the journal did not end cleanly"),
        }
    }
}

/// A report of losses as what popwatch has to say; people must hear of it.
fn said(loss: Loss) -> Own {
    for row in &loss.counts {
        let (class, cause) = (row.class.as_str(), row.cause.as_str());
        tracing::error!(
            code = %Code::ClassShed,
            class,
            cause,
            place = loss.place,
            count = row.count,
            "events were refused and are counted"
        );
    }
    (None, Event::System(SystemEvent::RigLoss(loss)))
}

fn fate_of(verdict: &Verdict) -> Fate {
    match verdict {
        Verdict::Accepted(durable) => {
            let position = durable.get();
            Fate::Accepted(position.epoch, position.seq)
        }
        Verdict::Duplicate(position) => Fate::Duplicate(position.epoch, position.seq),
        Verdict::Conflict { first } => Fate::Conflict(first.epoch, first.seq),
        Verdict::TooLarge => Fate::TooLarge,
        Verdict::PopupsFull => Fate::PopupsFull,
        Verdict::Shed(class) => Fate::Shed(*class),
    }
}
