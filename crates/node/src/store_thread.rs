//! The two threads that own a store: the journal of an edge, the books of a ledger.
//!
//! A plain OS thread each, since a flush must not wait for a scheduler slice of an async worker.
//! Everything that waits while a sync is under way goes into the next commit (group commit). A
//! caller that goes away loses only its answer: what it handed over is committed all the same.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::event::system::{Acked, SystemEvent};
use popwatch_core::event::{Class, Event};
use popwatch_core::id::{Epoch, EpochId, PopupId, Seq};
use popwatch_core::lane::Stretch;
use popwatch_core::lane::records_up::Want;
use popwatch_core::limits::{
    ADMISSION_QUEUE_EVENTS_MAX, COMMIT_RECORDS_MAX, REQUEST_EVENTS_MAX, SYNC_SAMPLES_MAX,
};
use popwatch_core::record::{Draft, Record};
use popwatch_redact::proof::Redacted;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::{Journal, Verdict};
use popwatch_wire::answer_v1::{Sync, Vitals};
use tokio::sync::{mpsc, oneshot, watch};

use crate::ambient::Ambient;

/// Requests that may wait for the journal at once; each holds at most [`REQUEST_EVENTS_MAX`]
/// events. Beyond: 429 PW0121.
const WAITING_REQUESTS_MAX: usize = ADMISSION_QUEUE_EVENTS_MAX / 16;
/// How often the thread looks whether a seal is due while nothing else happens.
const SEAL_CHECK: Duration = Duration::from_secs(5);
/// How long a commit waits for those that shared the last one, ns. Where it was measured a sync
/// takes 200 µs; a request that comes alone waits for nobody.
const GATHER_NS: u64 = 150_000;
/// How often the times of commits are told, ns.
const TELL_SYNC_NS: u64 = 1_000_000_000;
/// Seconds between two seals while records come in.
const SEAL_EVERY_MS: u64 = 60_000;

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
    Durable(Vec<(Epoch, Seq, std::sync::Arc<Record>)>),
    /// The disk takes records again, or does not.
    Storing(bool),
    /// A stretch was read.
    Loaded(Want, Stretch),
}

enum Order {
    Append(
        Vec<Redacted<Draft>>,
        oneshot::Sender<Result<Vec<Fate>, Refusal>>,
    ),
    Own(Vec<(Option<PopupId>, Event)>),
    Load(Want),
    Acked(Vec<Acked>),
    Seal,
    Stop,
}

/// How handlers and the driver reach the journal.
#[derive(Debug, Clone)]
pub(crate) struct JournalHandle {
    orders: SyncSender<Order>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Append(..) => "Append",
            Self::Own(_) => "Own",
            Self::Load(_) => "Load",
            Self::Acked(_) => "Acked",
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
        let (answer, fates) = oneshot::channel();
        match self.orders.try_send(Order::Append(drafts, answer)) {
            Ok(()) => fates.await.unwrap_or(Err(Refusal::Stopping)),
            Err(TrySendError::Full(_)) => Err(Refusal::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(Refusal::Stopping),
        }
    }

    /// Hands over what popwatch itself has to say. False when the queue is full: say it again.
    #[must_use]
    pub(crate) fn note(&self, events: Vec<(Option<PopupId>, Event)>) -> bool {
        self.orders.try_send(Order::Own(events)).is_ok()
    }

    /// Asks for a stretch; the answer comes as [`News::Loaded`]. False when the queue is full: ask
    /// again.
    #[must_use]
    pub(crate) fn load(&self, want: Want) -> bool {
        self.orders.try_send(Order::Load(want)).is_ok()
    }

    /// Tells what the ledger acknowledged, for the next seal. Best effort: the next word says more.
    pub(crate) fn acked(&self, acked: Vec<Acked>) {
        let sent = self.orders.try_send(Order::Acked(acked));
        debug_assert!(
            !matches!(sent, Err(TrySendError::Disconnected(_))),
            "the thread lives"
        );
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

/// Starts the journal's thread. It ends at [`JournalHandle::stop`], with `rig.stopped` journaled.
pub(crate) fn spawn_journal(
    journal: Journal<OsFs>,
    ambient: Ambient,
    news: mpsc::Sender<News>,
    vitals: watch::Sender<Vitals>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (orders, queue) = sync_channel(WAITING_REQUESTS_MAX);
    let thread = std::thread::Builder::new()
        .name(String::from("journal"))
        .spawn(move || {
            let mut thread = JournalThread {
                journal,
                ambient,
                news,
                sealed_ms: 0,
                can_store: true,
                crowd: 1,
                vitals,
                syncs: Syncs::default(),
            };
            thread.run(&queue);
        })?;
    Ok((JournalHandle { orders }, thread))
}

struct JournalThread {
    journal: Journal<OsFs>,
    ambient: Ambient,
    news: mpsc::Sender<News>,
    sealed_ms: u64,
    can_store: bool,
    /// Requests that shared the last commit.
    crowd: usize,
    vitals: watch::Sender<Vitals>,
    syncs: Syncs,
}

/// How long the last commits took, µs, and when that was told.
#[derive(Debug, Default)]
struct Syncs {
    took_us: VecDeque<u64>,
    told_ns: u64,
}

impl Syncs {
    /// Takes one commit in; answers the quantiles at most once in [`TELL_SYNC_NS`].
    fn took(&mut self, began_ns: u64, ended_ns: u64) -> Option<Sync> {
        if self.took_us.len() >= SYNC_SAMPLES_MAX {
            self.took_us.pop_front();
        }
        self.took_us
            .push_back(ended_ns.saturating_sub(began_ns) / 1_000);
        if self.told_ns != 0 && ended_ns.saturating_sub(self.told_ns) < TELL_SYNC_NS {
            return None;
        }
        self.told_ns = ended_ns;
        let mut sorted: Vec<u64> = self.took_us.iter().copied().collect();
        sorted.sort_unstable();
        let nearest = |per_cent: usize| sorted[(sorted.len() * per_cent).div_ceil(100) - 1];
        Some(Sync {
            p50_us: nearest(50),
            p99_us: nearest(99),
        })
    }
}

type Waiting = (usize, oneshot::Sender<Result<Vec<Fate>, Refusal>>);

impl JournalThread {
    fn run(&mut self, queue: &Receiver<Order>) {
        let mut pending = VecDeque::new();
        loop {
            let order = match pending.pop_front() {
                Some(order) => order,
                None => match queue.recv_timeout(SEAL_CHECK) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Timeout) => {
                        self.seal_if_due();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match order {
                Order::Append(drafts, answer) => {
                    self.commit_group(drafts, answer, queue, &mut pending);
                    self.seal_if_due();
                }
                Order::Own(events) => self.own(events),
                Order::Load(want) => self.load(want),
                Order::Acked(acked) => self.journal.set_acked(acked),
                Order::Seal => self.seal(),
                Order::Stop => break,
            }
        }
        self.stop();
    }

    /// Commits one request together with all that gathered meanwhile.
    fn commit_group(
        &mut self,
        first: Vec<Redacted<Draft>>,
        answer: oneshot::Sender<Result<Vec<Fate>, Refusal>>,
        queue: &Receiver<Order>,
        pending: &mut VecDeque<Order>,
    ) {
        let mut waiting: Vec<Waiting> = vec![(first.len(), answer)];
        let mut drafts = first;
        let until = self.ambient.mono_ns() + GATHER_NS;
        while drafts.len() + REQUEST_EVENTS_MAX <= COMMIT_RECORDS_MAX {
            let order = queue.try_recv().ok().or_else(|| {
                // Those answered together a moment ago report again together.
                let left = until.saturating_sub(self.ambient.mono_ns());
                let crowded = left > 0 && waiting.len() < self.crowd;
                crowded.then(|| queue.recv_timeout(Duration::from_nanos(left)).ok())?
            });
            match order {
                Some(Order::Append(more, answer)) => {
                    waiting.push((more.len(), answer));
                    drafts.extend(more);
                }
                Some(other) => pending.push_back(other),
                None => break,
            }
        }
        self.crowd = waiting.len();
        let began_ns = self.ambient.mono_ns();
        match self.journal.append(drafts, self.ambient.stamp()) {
            Ok(commit) => {
                self.storing(true);
                // Repeats alone reach no disk.
                if !commit.records.is_empty() {
                    self.committed(began_ns);
                }
                let mut fates = commit.verdicts.iter().map(fate_of);
                for (count, answer) in waiting {
                    let own: Vec<Fate> = fates.by_ref().take(count).collect();
                    // The caller may have hung up; its events are durable all the same.
                    drop(answer.send(Ok(own)));
                }
                self.tell(commit.records);
            }
            Err(fault) => {
                tracing::error!(%fault, "events could not be made durable");
                self.storing(false);
                for (_, answer) in waiting {
                    drop(answer.send(Err(Refusal::NotDurable)));
                }
            }
        }
    }

    fn own(&mut self, events: Vec<(Option<PopupId>, Event)>) {
        match self.journal.append_own(events, self.ambient.stamp()) {
            Ok(commit) => {
                self.storing(true);
                self.tell(commit.records);
            }
            Err(fault) => {
                tracing::error!(%fault, "popwatch's own records could not be made durable");
                self.storing(false);
            }
        }
    }

    /// Tells now and then how long commits take.
    fn committed(&mut self, began_ns: u64) {
        if let Some(sync) = self.syncs.took(began_ns, self.ambient.mono_ns()) {
            self.vitals.send_modify(|vitals| vitals.sync = Some(sync));
        }
    }

    fn storing(&mut self, can: bool) {
        if self.can_store != can {
            self.can_store = can;
            self.send(News::Storing(can));
        }
    }

    fn tell(&self, records: Vec<popwatch_store::journal::Committed>) {
        let mut durable = Vec::with_capacity(records.len());
        for committed in records {
            if let Event::System(SystemEvent::RigStarted(started)) = &committed.record.event
                && let Some(epoch_id) = EpochId::from_slice(&started.epoch_id)
            {
                tracing::warn!(
                    code = %Code::SyncFailed,
                    epoch = committed.epoch.0,
                    reason = started.reason,
                    "the journal goes on in a new epoch"
                );
                self.send(News::Durable(std::mem::take(&mut durable)));
                self.send(News::Epoch(committed.epoch, epoch_id));
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

    fn seal_if_due(&mut self) {
        let now = self.ambient.mono_ns() / 1_000_000;
        if now.saturating_sub(self.sealed_ms) < SEAL_EVERY_MS {
            return;
        }
        self.seal();
    }

    fn seal(&mut self) {
        self.sealed_ms = self.ambient.mono_ns() / 1_000_000;
        match self.journal.seal(self.ambient.stamp()) {
            Ok(commit) => self.tell(commit.records),
            Err(fault) => tracing::error!(%fault, "seal not written"),
        }
    }

    fn stop(&mut self) {
        match self.journal.stop(self.ambient.stamp()) {
            Ok(commit) => self.tell(commit.records),
            Err(fault) => tracing::error!(%fault, "the journal did not end cleanly"),
        }
    }
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
