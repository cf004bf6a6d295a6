//! The region's loop: batches in, views out, and what is news on to the regions above.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use popwatch_core::access::Scope;
use popwatch_core::id::{PopupId, RegionId, RigId};
use popwatch_core::lane::relay::Relay;
use popwatch_core::lane::{CellAck, CellBatch};
use popwatch_core::limits::{CLOCK_PEER_U_MS, CONNECTIONS_MAX, REGION_READERS_MAX};
use popwatch_core::region::vector::Vector;
use popwatch_core::region::{Counters, PopupExports, Region};
use popwatch_core::time::Now;
use popwatch_wire::lanes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alerts;
use crate::ambient::Ambient;
use crate::config::{ConfigFault, RegionConfig, RoleName};
use crate::driver::{LiveReader, Pace, decoded, send};
use crate::health::Health;
use crate::http::{self, AllowedHosts, Common, Readers};
use crate::live::Publisher;
use crate::metrics::RegionSources;
use crate::mirror::Mirror;
use crate::peer::{self, Link, PeerHandle, Reply};
use crate::{DRIVER_QUEUE_MAX, Node, StartFault, fixed, listen, until};

/// A change shows this long after it came at the latest, ms.
const REGION_PUBLISH_MS: u64 = 100;
/// Between two minutes that are recomputed, ms.
const REGION_REPAIR_MS: u64 = 1_000;
/// Batches waiting for the region's machine. Beyond: the handler waits, its rig with it.
pub(crate) const REGION_QUEUE_MAX: usize = 64;
/// What a region that does not keep up asks of those that send to it.
const REGION_BUSY_BYTES: u32 = 128 << 10;
const REGION_BUSY_DELAY_MS: u32 = 1_000;

/// The regions that a region feeds, and what they answer.
type Upstreams = (Vec<(Relay, PeerHandle)>, mpsc::Receiver<Reply>);

impl Node {
    /// Starts a region with its listener.
    pub(crate) async fn start_region(
        &mut self,
        config: &RegionConfig,
        data: &Path,
        ambient: &Ambient,
    ) -> Result<(), StartFault> {
        config.check_upstream()?;
        config.check_alerts()?;
        let listener = listen("region", config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let (publisher, live) = Publisher::new();
        let (orders, queue) = mpsc::channel(REGION_QUEUE_MAX);
        let region = Region::new(RegionId(ambient.random()));
        let lane = http::RegionLane::new(orders);
        let own = (region.id(), lane.clone(), live.clone());
        let (upstreams, replies) = self.link_upstreams(config, own, ambient)?;
        let driver = RegionDriver {
            region,
            orders: queue,
            ambient: ambient.clone(),
            publisher,
            upstreams,
            replies,
        };
        self.tasks.spawn(driver.run(self.shutdown.subscribe()));
        for target in &config.alerts {
            let here = self.page(address);
            let (live, ambient) = (live.clone(), ambient.clone());
            let ends = self.shutdown.subscribe();
            let task = alerts::run((target.clone(), data.to_owned()), here, live, ambient, ends);
            self.tasks.spawn(task);
        }
        let readers = Arc::new(Readers::new(REGION_READERS_MAX));
        let sources = Arc::new(RegionSources {
            lane: lane.clone(),
            live: live.clone(),
            readers: Arc::clone(&readers),
        });
        let metrics = move || Arc::clone(&sources).tell().boxed();
        let common = Common::new(RoleName::Region, "region", metrics, Health::Answers);
        let state = self.live_state(live, lane.clone(), readers, ambient);
        let router = http::region_router(common, lane, state, self.gate.clone());
        let room = REGION_READERS_MAX + CONNECTIONS_MAX;
        let allowed = AllowedHosts::of(address, &config.hosts);
        let guard = self.access.guard(None);
        self.serve(listener, fixed(router, allowed, guard), room);
        self.region = Some(address);
        Ok(())
    }

    /// Starts a link to each region that this one feeds, and to its mirror.
    fn link_upstreams(
        &mut self,
        config: &RegionConfig,
        (own, lane, live): (RegionId, http::RegionLane, LiveReader),
        ambient: &Ambient,
    ) -> Result<Upstreams, ConfigFault> {
        let (replies, answered) = mpsc::channel(DRIVER_QUEUE_MAX);
        let name = own.0.iter().take(4).map(|byte| format!("{byte:02x}"));
        let name = format!("region-{}", name.collect::<String>());
        let name = RigId::new(&name).expect("letters, a dash and digits are a name");
        let mut upstreams = self.link_regions(&name, &config.upstream, &replies, ambient);
        if let Some(address) = config.mirror()? {
            let (peer, bodies) = PeerHandle::new("the mirror");
            let mirror = Mirror {
                address,
                link: Link::Region(upstreams.len()),
                name: String::from(&name),
                bodies,
                replies,
                lane,
                live,
                ambient: ambient.clone(),
            };
            self.tasks
                .spawn(until(self.shutdown.subscribe(), mirror.run()));
            upstreams.push((Relay::new(name), peer));
        }
        Ok((upstreams, answered))
    }

    /// Starts a link to each of these regions, to feed them as `name`.
    pub(crate) fn link_regions(
        &mut self,
        name: &RigId,
        urls: &[String],
        replies: &mpsc::Sender<Reply>,
        ambient: &Ambient,
    ) -> Vec<(Relay, PeerHandle)> {
        let pass = self.access.own_pass(Scope::Till, name.as_str());
        let mut linked = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let link = Link::Region(index);
            let (to, clock) = (replies.clone(), ambient.clone());
            let who = self.speaks_as(name.as_str(), pass.as_deref());
            let (peer, task) = peer::link(link, url, "/v1/cells", who, to, clock);
            self.tasks.spawn(until(self.shutdown.subscribe(), task));
            linked.push((Relay::new(name.clone()), peer));
        }
        linked
    }
}

/// What handlers ask of a region's loop.
#[derive(Debug)]
pub(crate) enum RegionOrder {
    /// Take a batch, answer it.
    Accept(CellBatch, oneshot::Sender<CellAck>),
    /// Answer with the canonical bytes of a popup's cells, for comparison; `None` where they are gone
    /// because it is over.
    Cells(PopupId, oneshot::Sender<Option<Vec<Vec<u8>>>>),
    /// Answer with the minutes that have a cell above a reader's version vector.
    Above(PopupId, Vector, oneshot::Sender<Vec<u32>>),
    /// Answer with what monitoring systems are told.
    Report(oneshot::Sender<RegionReport>),
    /// Answer when the peers that are heard hold what is here.
    Drained(oneshot::Sender<()>),
}

/// What monitoring systems are told of a region.
#[derive(Debug, Default)]
pub(crate) struct RegionReport {
    /// Totals of rigs, by popup.
    pub(crate) exports: Vec<PopupExports>,
    /// What it counted.
    pub(crate) counters: Counters,
    /// What it holds beside its bounds: (name, value, bound).
    pub(crate) gauges: Vec<(&'static str, usize, usize)>,
}

impl RegionReport {
    /// What a region tells now.
    pub(crate) fn of(region: &Region, now: Now) -> Self {
        Self {
            exports: region.exports(now),
            counters: region.counters(),
            gauges: region.gauges(),
        }
    }
}

/// The region's loop.
#[derive(Debug)]
pub(crate) struct RegionDriver {
    /// The machine.
    pub(crate) region: Region,
    /// What handlers ask.
    pub(crate) orders: mpsc::Receiver<RegionOrder>,
    /// Clocks.
    pub(crate) ambient: Ambient,
    /// Where views go.
    pub(crate) publisher: Publisher,
    /// Regions that this one feeds.
    pub(crate) upstreams: Vec<(Relay, PeerHandle)>,
    /// What they answer.
    pub(crate) replies: mpsc::Receiver<Reply>,
}

impl RegionDriver {
    /// Runs until `shutdown`.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut pace = Pace::new(REGION_PUBLISH_MS);
        let mut looked_at = self.ambient.now().mono;
        loop {
            let now = self.ambient.now();
            if now.mono >= pace.due_at() {
                self.region.tick(now);
                if now.mono.since(looked_at) >= REGION_REPAIR_MS {
                    looked_at = now.mono;
                    self.region.repair_next();
                }
                self.publisher.publish(&self.region, now, &BTreeMap::new());
                pace.done(now.mono);
            }
            self.feed_upstreams(now);
            let relays = self.upstreams.iter();
            let relays = relays.filter_map(|(relay, _)| relay.deadline()).min();
            let wake = relays.map_or(pace.due_at(), |at| at.min(pace.due_at()));
            let wait = wake.since(now.mono).max(1);
            tokio::select! {
                _ = shutdown.changed() => break,
                order = self.orders.recv() => match order {
                    Some(order) => { self.obey(order); pace.dirty = true; }
                    None => break,
                },
                Some(reply) = self.replies.recv() => self.reply(reply),
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }

    fn feed_upstreams(&mut self, now: Now) {
        for (relay, peer) in &mut self.upstreams {
            if let Some(mut batch) = relay.poll(&self.region, now) {
                batch.sent_mono_ns = self.ambient.mono_ns();
                send(peer, &batch);
            }
        }
    }

    fn reply(&mut self, reply: Reply) {
        let now = self.ambient.now().mono;
        let Link::Region(index) = reply.link else {
            return;
        };
        let Some((relay, peer)) = self.upstreams.get_mut(index) else {
            return;
        };
        let was_down = relay.down_since().is_some();
        match decoded(reply.outcome, |body| lanes::decode::<CellAck>(body).ok()) {
            Ok(ack) => relay.acked(&ack, now),
            Err(fault) => relay.failed(fault, now),
        }
        let is_down = relay.down_since().is_some();
        if was_down != is_down {
            let upstream = peer.url.as_str();
            tracing::info!(upstream, is_down, "the region above");
        }
    }

    fn obey(&mut self, order: RegionOrder) {
        match order {
            RegionOrder::Accept(batch, answer) => {
                let arrived_us = self.ambient.wall_us();
                let mut ack = self.region.accept(&batch, self.ambient.now());
                ack.echo_mono_ns = batch.sent_mono_ns;
                ack.recv_wall_us = arrived_us;
                ack.wall_u_ms = CLOCK_PEER_U_MS;
                ack.send_wall_us = self.ambient.wall_us();
                // More wait than this loop keeps up with: each sends less, and less often.
                if self.orders.len() > REGION_QUEUE_MAX / 2 {
                    (ack.max_bytes, ack.delay_ms) = (REGION_BUSY_BYTES, REGION_BUSY_DELAY_MS);
                }
                // A sender that hung up sends again; merging twice changes nothing.
                drop(answer.send(ack));
            }
            RegionOrder::Cells(popup, answer) => {
                // A reader that hung up needs no answer.
                drop(answer.send(self.region.cells_held(popup.as_str())));
            }
            RegionOrder::Above(popup, seen, answer) => {
                drop(answer.send(self.region.minutes_above(popup.as_str(), &seen)));
            }
            // What a region holds is its rigs' to send.
            RegionOrder::Drained(answer) => {
                answer.send(()).unwrap_or_default();
            }
            RegionOrder::Report(answer) => {
                drop(answer.send(RegionReport::of(&self.region, self.ambient.now())));
            }
        }
    }
}
