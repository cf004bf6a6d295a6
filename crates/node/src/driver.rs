//! The loops that run the machines: inputs in, outputs out, deadline kept.
//!
//! One task owns the edge's machine, one the region's (see [`crate::region`]); everybody else reads
//! what they publish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use popwatch_core::clock::Exchange;
use popwatch_core::code::Code;
use popwatch_core::event::Event;
use popwatch_core::event::system::{Acked, SystemEvent};
use popwatch_core::id::{Epoch, PopupId};
use popwatch_core::lane::records_up::Want;
use popwatch_core::lane::{CellAck, PeerFault, RecordAck};
use popwatch_core::limits::PAGE_DELAY_MS;
use popwatch_core::role::edge::{Edge, Input, Output, Remains, Reread, TimeOf};
use popwatch_core::time::{MonoMs, Now};
use popwatch_wire::answer_v1::{Clock as ClockStatus, EdgeStatus, Row, Vitals};
use popwatch_wire::lanes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::ambient::Ambient;
use crate::dry_runs::DryRunning;
use crate::live::{Live, Publisher};
use crate::metrics::EdgeMetrics;
use crate::peer::{Link, PeerHandle, Reply};
use crate::probes::{self, Look};
use crate::region::{RegionOrder, RegionReport};
use crate::store_thread::{JournalHandle, News, Parting};

/// A change shows on the rig's own page this long after the page got it at the latest, ms: within
/// 50 ms of its fold in all.
const EDGE_PUBLISH_MS: u64 = 50 - PAGE_DELAY_MS;
/// Ages and silences are looked at this often while nothing changes, ms.
const IDLE_PUBLISH_MS: u64 = 1_000;

/// When the next publication is due.
#[derive(Debug)]
pub(crate) struct Pace {
    changed_ms: u64,
    last: MonoMs,
    /// Something changed since.
    pub(crate) dirty: bool,
}

impl Pace {
    /// Changes are shown this long after the first, ms.
    pub(crate) fn new(changed_ms: u64) -> Self {
        Self {
            changed_ms,
            last: MonoMs(0),
            dirty: true,
        }
    }

    /// When to publish at the latest.
    pub(crate) fn due_at(&self) -> MonoMs {
        self.last.after(if self.dirty {
            self.changed_ms
        } else {
            IDLE_PUBLISH_MS
        })
    }

    /// It was published.
    pub(crate) fn done(&mut self, now: MonoMs) {
        self.last = now;
        self.dirty = false;
    }
}

/// The edge's loop.
#[derive(Debug)]
pub(crate) struct EdgeDriver {
    /// The machine.
    pub(crate) edge: Edge,
    /// The journal's thread.
    pub(crate) journal: JournalHandle,
    /// What it tells.
    pub(crate) news: mpsc::Receiver<News>,
    /// The ledger's link, if there is one.
    pub(crate) ledger: Option<PeerHandle>,
    /// The regions' links.
    pub(crate) regions: Vec<PeerHandle>,
    /// What they answer.
    pub(crate) replies: mpsc::Receiver<Reply>,
    /// What handlers ask.
    pub(crate) orders: mpsc::Receiver<RegionOrder>,
    /// Clocks.
    pub(crate) ambient: Ambient,
    /// Where views go.
    pub(crate) publisher: Publisher,
    /// What the probes found last; nothing more comes where they do not run.
    pub(crate) host: watch::Receiver<Look>,
    /// Dry runs of a checkout.
    pub(crate) dry_runs: DryRunning,
    /// What disk, clock and probes measured last.
    pub(crate) vitals: watch::Receiver<Vitals>,
    /// Where the status goes.
    pub(crate) status: watch::Sender<Arc<EdgeStatus>>,
    /// Cells its page had taken when it was last looked at.
    pub(crate) shown: u64,
    /// Counters.
    pub(crate) metrics: Arc<EdgeMetrics>,
    /// Whether the log was told that the clock may be wrong.
    pub(crate) told_suspect: bool,
    /// Popups known here that the ledger said are closed.
    pub(crate) closed: BTreeSet<String>,
    /// Who waits until the peers hold what is here.
    pub(crate) drains: Vec<oneshot::Sender<()>>,
}

impl EdgeDriver {
    /// Runs until `shutdown`, and on until the journal's thread has told everything.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut pace = Pace::new(EDGE_PUBLISH_MS);
        let mut postponed: Option<Want> = None;
        let mut unread: Option<Reread> = None;
        self.look();
        loop {
            let now = self.ambient.now();
            if let Some(want) = postponed.take() {
                postponed = (!self.journal.load(want)).then_some(want);
            }
            if let Some(ask) = unread.take() {
                unread = (!self.journal.reread(ask)).then_some(ask);
            }
            while let Some(output) = self.edge.poll(now) {
                if let Output::Load(want) = &output {
                    postponed = (!self.journal.load(*want)).then_some(*want);
                } else if let Output::Reread(ask) = &output {
                    unread = (!self.journal.reread(*ask)).then_some(*ask);
                } else {
                    self.send(output);
                }
            }
            if !self.drains.is_empty() && self.news.is_empty() && !self.edge.is_draining() {
                for answer in self.drains.drain(..) {
                    // Whoever hung up needs no answer.
                    answer.send(()).unwrap_or_default();
                }
            }
            let shown = self.edge.page().counters().cells_taken;
            pace.dirty |= std::mem::replace(&mut self.shown, shown) != shown;
            if now.mono >= pace.due_at() {
                self.publish(now);
                pace.done(now.mono);
            }
            let wake = self
                .edge
                .deadline()
                .map_or(pace.due_at(), |at| at.min(pace.due_at()));
            let wait = match (postponed, unread) {
                (None, None) => wake.since(now.mono).max(1),
                (Some(_), _) | (_, Some(_)) => 5,
            };
            tokio::select! {
                _ = shutdown.changed() => break,
                news = self.news.recv() => match news {
                    Some(news) => { self.hear(news); pace.dirty = true; }
                    None => break,
                },
                Some(order) = self.orders.recv() => self.obey(order),
                Some(reply) = self.replies.recv() => { self.reply(reply); pace.dirty = true; }
                Ok(()) = self.vitals.changed() => { self.look(); pace.dirty = true; }
                Some(run) = self.dry_runs.outcomes.recv() => {
                    self.edge.handle(Input::DryRun(run), self.ambient.now());
                    pace.dirty = true;
                }
                Ok(()) = self.host.changed() => { self.look_at_host(); pace.dirty = true; }
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
        while let Some(news) = self.news.recv().await {
            self.hear(news);
        }
        self.publish(self.ambient.now());
    }

    /// Tells the machine what its host measured.
    fn look(&mut self) {
        let host = self.vitals.borrow_and_update().host();
        self.edge.handle(Input::Host(host), self.ambient.now());
    }

    /// Tells the machine what the probes found, and the log what that changed.
    fn look_at_host(&mut self) {
        let sample = self.host.borrow_and_update().sample;
        let before = self.edge.host_watch().alarms();
        self.edge.handle(Input::Power(sample), self.ambient.now());
        probes::tell(before, self.edge.host_watch().alarms());
    }

    fn hear(&mut self, news: News) {
        let now = self.ambient.now();
        match news {
            News::Epoch(epoch, epoch_id) => {
                let acked = Default::default();
                self.edge.handle(
                    Input::Epoch {
                        epoch,
                        epoch_id,
                        acked,
                    },
                    now,
                );
            }
            News::Durable(records) => {
                for (epoch, seq, record) in records {
                    self.edge.handle(Input::Durable { epoch, seq, record }, now);
                }
            }
            News::Storing(can) => self.edge.handle(Input::Storing(can), now),
            News::Ended(epoch, last) => self.edge.handle(Input::Ended { epoch, last }, now),
            News::MayGo(epochs) => self.journal.let_go(partings(&self.edge, epochs, now)),
            News::Loaded(want, stretch) => self.edge.handle(Input::Loaded(want, stretch), now),
            News::Reread(ask, records, next) => {
                self.edge.handle(Input::Reread { ask, records, next }, now);
            }
        }
    }

    /// The rig's page answers for its cells; batches of others are not for an edge.
    fn obey(&mut self, order: RegionOrder) {
        match order {
            // The handler hears of it as of a region that is stopping.
            RegionOrder::Accept(..) => {}
            // A reader that hung up needs no answer.
            RegionOrder::Cells(popup, answer) => {
                drop(answer.send(self.edge.page().cells_held(popup.as_str())));
            }
            RegionOrder::Above(popup, seen, answer) => {
                let minutes = self.edge.page().minutes_above(popup.as_str(), &seen);
                drop(answer.send(minutes));
            }
            RegionOrder::Drained(answer) => self.drains.push(answer),
            RegionOrder::Report(answer) => {
                let now = self.edge.true_now(self.ambient.now());
                drop(answer.send(RegionReport::of(self.edge.page(), now)));
            }
        }
    }

    /// What the ledger closed is late from now on; a popup unknown here is another's to close.
    fn hear_closed(&mut self, ack: &RecordAck, now: Now) {
        for word in ack.popups.iter().filter(|word| word.closed) {
            let known = self.journal.gauges().close(&word.popup, now.wall.0);
            if known && self.closed.insert(word.popup.clone()) {
                let popup = word.popup.as_str();
                tracing::info!(
                    popup,
                    "the books of a popup were closed; what comes now is late"
                );
            }
        }
    }

    fn reply(&mut self, reply: Reply) {
        let now = self.ambient.now();
        match reply.link {
            Link::Ledger => {
                let answer = decoded(reply.outcome, |body| lanes::decode::<RecordAck>(body).ok());
                let heard = answer.is_ok();
                if let Ok(ack) = &answer {
                    self.hear_closed(ack, now);
                    let exchange = Exchange {
                        sent_mono_ns: ack.echo_mono_ns,
                        recv_wall_us: ack.recv_wall_us,
                        send_wall_us: ack.send_wall_us,
                        received_mono_ns: reply.received_mono_ns,
                        peer_u_ms: ack.wall_u_ms,
                    };
                    self.edge
                        .handle(Input::Exchange(TimeOf::Ledger, exchange), now);
                }
                self.edge.handle(Input::Ledger(answer), now);
                if heard {
                    self.remember_acked();
                }
            }
            Link::Region(index) => {
                let answer = decoded(reply.outcome, |body| lanes::decode::<CellAck>(body).ok());
                if let Ok(ack) = &answer {
                    let exchange = Exchange {
                        sent_mono_ns: ack.echo_mono_ns,
                        recv_wall_us: ack.recv_wall_us,
                        send_wall_us: ack.send_wall_us,
                        received_mono_ns: reply.received_mono_ns,
                        peer_u_ms: ack.wall_u_ms,
                    };
                    self.edge
                        .handle(Input::Exchange(TimeOf::Region(index), exchange), now);
                }
                self.edge.handle(Input::Region(index, answer), now);
            }
        }
    }

    fn remember_acked(&self) {
        let Some(records) = self.edge.records() else {
            return;
        };
        let acked = records.all_positions().into_iter().map(|held| Acked {
            epoch: held.epoch,
            epoch_id: held.epoch_id,
            trunk_seq: held.trunk_seq,
            bulk_seq: held.bulk_seq,
        });
        self.journal.acked(acked.collect());
    }

    fn send(&self, output: Output) {
        match output {
            Output::Load(_) | Output::Reread(_) => {}
            Output::Fork(next_epoch) => {
                tracing::error!(
                    code = %Code::EpochForked,
                    next_epoch,
                    "two journals use this rig's name; this one goes on in a new epoch"
                );
                if !self.journal.fork(next_epoch) {
                    tracing::warn!("the journal is busy; the ledger is asked once more");
                }
            }
            Output::Note(events) => {
                tell_steps(&events);
                if !self.journal.note(events) {
                    tracing::warn!("the journal is busy; a record of the rig itself is left out");
                }
            }
            Output::Seal => self.journal.seal(),
            Output::PeerKnows(epoch, seq) => self.journal.peer_knows(epoch, seq),
            Output::Records(mut batch) => {
                batch.sent_mono_ns = self.ambient.mono_ns();
                if let Some(peer) = &self.ledger {
                    send(peer, &batch);
                }
            }
            Output::Cells(index, mut batch) => {
                batch.sent_mono_ns = self.ambient.mono_ns();
                if let Some(peer) = self.regions.get(index) {
                    send(peer, &batch);
                }
            }
        }
    }

    /// Tells log and metrics how far the clock and the events' own times can be believed.
    fn tell_clock(&mut self, now: Now) {
        let suspect = self.edge.states(now.mono).contains(&"clock_suspect");
        if suspect && !self.told_suspect {
            let code = Code::ClockSuspect;
            tracing::warn!(%code, "nobody confirmed this rig's clock; minutes are corrected at the next contact");
        }
        self.told_suspect = suspect;
        let replaced = self.edge.times_replaced();
        if self.metrics.times_replaced(replaced) == 0 && replaced > 0 {
            let code = Code::TimeReplaced;
            tracing::warn!(%code, "an event's own time was out of reason; the time it came in counts");
        }
    }

    /// The clock as the status tells it; a rig that has nobody to ask is not blamed.
    fn clock_of(&self, now: Now) -> ClockStatus {
        let state = self.edge.clock(now);
        ClockStatus {
            offset_ms: state.offset_ms,
            u_ms: state
                .u_ms
                .map(|u_ms| u32::try_from(u_ms).unwrap_or(u32::MAX)),
            suspect: self.told_suspect,
            anchor_age_ms: state.anchor_age_ms,
        }
    }

    fn publish(&mut self, now: Now) {
        self.tell_clock(now);
        let is_open = self.edge.is_open(now);
        self.dry_runs
            .open
            .send_if_modified(|open| std::mem::replace(open, is_open) != is_open);
        let urls: Vec<&str> = self.regions.iter().map(|peer| peer.url.as_str()).collect();
        let ledger = self.ledger.as_ref().map(|peer| peer.url.as_str());
        let vitals = Vitals {
            clock: Some(self.clock_of(now)),
            ..self.vitals.borrow().clone()
        };
        let status = EdgeStatus {
            closed: self.closed.iter().cloned().collect(),
            ..EdgeStatus::of(&self.edge, now, ledger, &urls, &vitals)
        };
        let row = Row::Edge(Box::new(status.clone()));
        let extra = BTreeMap::from([(String::from("edge"), row)]);
        self.publisher
            .publish(self.edge.page(), self.edge.true_now(now), &extra);
        self.status.send_replace(Arc::new(status));
    }
}

/// What must be kept of each epoch that may go, up to the first that must stay a little longer.
fn partings(edge: &Edge, epochs: Vec<Epoch>, now: Now) -> Vec<Parting> {
    let known = epochs.into_iter().map_while(|epoch| {
        let cells = match edge.remains(epoch, now.wall) {
            Remains::NotYet => return None,
            Remains::Nothing => None,
            Remains::Cells(cells) => Some(cells),
        };
        Some((epoch, cells))
    });
    known.collect()
}

/// Says in the log that the wall clock was set.
fn tell_steps(events: &[(Option<PopupId>, Event)]) {
    for (_, event) in events {
        if let Event::System(SystemEvent::ClockStepped(step)) = event {
            let (code, by_ms) = (Code::ClockStepped, step.by_ms);
            tracing::warn!(%code, by_ms, "the wall clock was set");
        }
    }
}

/// Encodes a batch and hands it to its link. The lanes bound a batch, so it always encodes.
pub(crate) fn send<M: lanes::LaneBody>(peer: &PeerHandle, batch: &M) {
    match lanes::encode(batch) {
        Ok(body) => peer.send(body),
        Err(fault) => tracing::error!(%fault, "a batch passes its own bounds"),
    }
}

/// A lane's answer, or what stands for one that cannot be read.
pub(crate) fn decoded<T>(
    outcome: Result<Bytes, PeerFault>,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, PeerFault> {
    outcome.and_then(|body| {
        decode(&body).ok_or_else(|| {
            let code = Code::PeerNonsense;
            tracing::warn!(%code, "a peer's answer makes no sense and is ignored");
            PeerFault::Nonsense
        })
    })
}

/// The newest published views.
pub(crate) type LiveReader = watch::Receiver<Arc<Live>>;
