//! Everything asynchronous: HTTP, peers, clocks, and the loops that run the machines.
//!
//! [`Node::start`] brings up the roles of one process; [`Node::stop`] ends them in order: no new
//! requests, what was handed over is committed, `rig.stopped` is journaled, files are closed.

pub mod ambient;
pub mod client;
pub mod config;

mod books_thread;
mod driver;
mod http;
mod keys;
mod live;
mod metrics;
mod page;
mod peer;
mod probes;
mod refold;
mod store_thread;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use popwatch_core::code::Code;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::{JournalId, RegionId, RigId};
use popwatch_core::limits::{EDGE_READERS_MAX, REGION_READERS_MAX};
use popwatch_core::region::Region;
use popwatch_core::role::edge::Edge;
use popwatch_redact::apply::Plan;
use popwatch_store::books::{Books, BooksFault};
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::{Fresh, Journal, OpenError, Opening, Recovery};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ambient::Ambient;
use crate::books_thread::{BooksHandle, spawn_books};
use crate::config::{Config, ConfigFault, EdgeConfig, LedgerConfig, RegionConfig, RoleName};
use crate::driver::{EdgeDriver, LiveReader, REGION_QUEUE_MAX, RegionDriver};
use crate::http::{AllowedHosts, Common, EdgeState, LedgerState, LiveState, Readers};
use crate::live::Publisher;
use crate::metrics::{EdgeMetrics, LedgerMetrics};
use crate::peer::{Link, PeerHandle, Reply};
use crate::probes::{Host, Look, Probes};
use crate::store_thread::{JournalHandle, spawn_journal};
use popwatch_wire::answer_v1::{EdgeStatus, Quarantine, Vitals};
use popwatch_wire::door::Door;

/// News and replies waiting for a driver. Beyond: the journal's thread or the link waits.
const DRIVER_QUEUE_MAX: usize = 64;

/// The running roles of one process.
#[derive(Debug)]
pub struct Node {
    /// Where the edge listens.
    pub edge: Option<SocketAddr>,
    /// Where the region listens.
    pub region: Option<SocketAddr>,
    /// Where the ledger listens.
    pub ledger: Option<SocketAddr>,
    shutdown: watch::Sender<bool>,
    tasks: JoinSet<()>,
    journal: Option<(JournalHandle, JoinHandle<()>)>,
    books: Option<(BooksHandle, JoinHandle<()>)>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// A listener.
    #[error("PW1101: {role} cannot listen on {address}; is another popwatch running there?")]
    Listen {
        /// Which role.
        role: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory.
    #[error("PW1102: the data directory {} cannot be used; check its rights and its disk", .path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the data directory.
    #[error("PW0206: another process uses {}; stop it, or give this one its own data directory", .path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The journal.
    #[error("the journal in {} did not open", .path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The books.
    #[error("the books in {} did not open", .path.display())]
    Books {
        /// Where.
        path: PathBuf,
        /// Why.
        source: BooksFault,
    },
}

impl Node {
    /// Starts the roles of `config`. Port 0 takes any free port; the node knows which.
    pub async fn start(config: Config, ambient: &Ambient) -> Result<Self, StartFault> {
        let policies: Vec<PopupPolicy> = config
            .popups
            .iter()
            .map(config::PopupConfig::policy)
            .collect::<Result<_, _>>()?;
        let (shutdown, _) = watch::channel(false);
        let mut node = Self {
            edge: None,
            region: None,
            ledger: None,
            shutdown,
            tasks: JoinSet::new(),
            journal: None,
            books: None,
        };
        if let Some(region) = &config.region {
            node.start_region(region, ambient).await?;
        }
        if let Some(ledger) = &config.ledger {
            node.start_ledger(ledger, &config, ambient).await?;
        }
        if let Some(edge) = &config.edge {
            node.start_edge(edge, &config, policies, ambient).await?;
        }
        Ok(node)
    }

    /// Ends all roles in order and waits for them.
    pub async fn stop(mut self) {
        self.shutdown.send_replace(true);
        if let Some((handle, thread)) = self.journal.take() {
            finish(move || handle.stop(), thread).await;
        }
        if let Some((handle, thread)) = self.books.take() {
            finish(move || handle.stop(), thread).await;
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn start_region(
        &mut self,
        config: &RegionConfig,
        ambient: &Ambient,
    ) -> Result<(), StartFault> {
        let listener = listen("region", config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let (publisher, live) = Publisher::new();
        let (orders, queue) = mpsc::channel(REGION_QUEUE_MAX);
        let driver = RegionDriver {
            region: Region::new(RegionId(ambient.random())),
            orders: queue,
            ambient: ambient.clone(),
            publisher,
        };
        self.tasks.spawn(driver.run(self.shutdown.subscribe()));
        let readers = Arc::new(Readers::new(REGION_READERS_MAX));
        let shown = live.clone();
        let counted = Arc::clone(&readers);
        let common = Common::new(
            RoleName::Region,
            "region",
            move || metrics::render_region(&shown.borrow(), counted.open()),
            || Ok(()),
        );
        let state = self.live_state(live, readers, ambient);
        let router = http::region_router(common, http::RegionLane::new(orders), state);
        self.serve(listener, router, address);
        self.region = Some(address);
        Ok(())
    }

    async fn start_ledger(
        &mut self,
        config: &LedgerConfig,
        whole: &Config,
        ambient: &Ambient,
    ) -> Result<(), StartFault> {
        let listener = listen("ledger", config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let data = &whole.data;
        std::fs::create_dir_all(data).map_err(|source| StartFault::Data {
            path: data.clone(),
            source,
        })?;
        let path = data.join("books.sqlite");
        let books = Books::open(&path).map_err(|source| StartFault::Books {
            path: path.clone(),
            source,
        })?;
        let (handle, thread) = spawn_books(books, ambient.clone())
            .map_err(|source| StartFault::Data { path, source })?;
        self.books = Some((handle.clone(), thread));
        let counters = Arc::new(LedgerMetrics::default());
        let shown = Arc::clone(&counters);
        let common = Common::new(
            RoleName::Ledger,
            "ledger",
            move || shown.render(),
            || Ok(()),
        );
        let state = LedgerState {
            books: handle,
            regions: config.regions.clone().into(),
            ambient: ambient.clone(),
            metrics: counters,
        };
        self.serve(listener, http::ledger_router(common, state), address);
        self.ledger = Some(address);
        Ok(())
    }

    async fn start_edge(
        &mut self,
        config: &EdgeConfig,
        whole: &Config,
        policies: Vec<PopupPolicy>,
        ambient: &Ambient,
    ) -> Result<(), StartFault> {
        let (rig, default_popup) = (config.rig_id()?, config.popup_id()?);
        config.check_regions()?;
        let keys = keys::keys(config, &whole.data, ambient)?;
        let listener = listen("edge", config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let (journal, edge, found) = open_journal(config, &whole.data, policies, ambient)?;
        // One sender per measuring task; each replaces its own part and no other.
        let (vitals, measured) = watch::channel(found);
        let host = self.start_probes(config, &whole.data, ambient, vitals.clone());
        let journal_id = journal.journal_id();
        let (news, heard) = mpsc::channel(DRIVER_QUEUE_MAX);
        let (handle, thread) =
            spawn_journal(journal, ambient.clone(), news, vitals).map_err(|source| {
                StartFault::Data {
                    path: whole.data.clone(),
                    source,
                }
            })?;
        self.journal = Some((handle.clone(), thread));

        let (asks, orders) = mpsc::channel(DRIVER_QUEUE_MAX);
        let (publisher, live) = Publisher::new();
        let (status, shown) = watch::channel(Arc::new(EdgeStatus::default()));
        let (ledger, regions, replies) = self.link_peers(config, &rig);
        let looked = host.clone();
        let driver = EdgeDriver {
            edge,
            journal: handle.clone(),
            news: heard,
            ledger,
            regions,
            replies,
            orders,
            ambient: ambient.clone(),
            publisher,
            host,
            vitals: measured,
            status,
            shown: 0,
        };
        self.tasks.spawn(driver.run(self.shutdown.subscribe()));

        let counters = Arc::new(EdgeMetrics::default());
        let door = Door {
            rig: rig.clone(),
            journal_id,
            default_popup,
            keys,
            plan: Plan::default(),
        };
        let state = EdgeState::new(door, handle, ambient, shown.clone(), &counters);
        let readers = Arc::new(Readers::new(EDGE_READERS_MAX));
        let common = edge_common(&rig, counters, shown, looked, &readers);
        let live = self.live_state(live, readers, ambient);
        let router = http::edge_router(common, state, http::RegionLane::new(asks), live);
        self.serve(listener, router, address);
        self.edge = Some(address);
        Ok(())
    }

    /// Starts a link to each configured peer; what they answer comes out of the last part.
    fn link_peers(
        &mut self,
        config: &EdgeConfig,
        rig: &RigId,
    ) -> (Option<PeerHandle>, Vec<PeerHandle>, mpsc::Receiver<Reply>) {
        let (replies, answered) = mpsc::channel(DRIVER_QUEUE_MAX);
        let mut connect = |link, url: &str, path| {
            let (peer, task) = peer::link(link, url, path, rig.as_str(), replies.clone());
            self.tasks.spawn(until(self.shutdown.subscribe(), task));
            peer
        };
        let ledger = config
            .ledger
            .as_ref()
            .map(|url| connect(Link::Ledger, url, "/v1/records"));
        let regions = config
            .regions
            .iter()
            .enumerate()
            .map(|(index, url)| connect(Link::Region(index), url, "/v1/cells"))
            .collect();
        (ledger, regions, answered)
    }

    /// Looks at the host from now on, if it is to be looked at.
    fn start_probes(
        &mut self,
        config: &EdgeConfig,
        data: &std::path::Path,
        ambient: &Ambient,
        vitals: watch::Sender<Vitals>,
    ) -> watch::Receiver<Look> {
        let (found, host) = watch::channel(Look::default());
        if config.host_probes {
            let place = Host {
                root: config.host_root.clone(),
                data: data.to_path_buf(),
                upsd: config.host_upsd,
            };
            let task = Probes::new(place, ambient.clone()).run(vitals, found);
            self.tasks.spawn(until(self.shutdown.subscribe(), task));
        }
        host
    }

    fn live_state(&self, live: LiveReader, readers: Arc<Readers>, ambient: &Ambient) -> LiveState {
        LiveState {
            live,
            readers,
            ambient: ambient.clone(),
            shutdown: self.shutdown.subscribe(),
        }
    }

    fn serve(&mut self, listener: TcpListener, router: axum::Router, address: SocketAddr) {
        let shutdown = self.shutdown.subscribe();
        self.tasks.spawn(async move {
            let allowed = AllowedHosts::of(address);
            if let Err(fault) = http::serve(listener, router, allowed, shutdown).await {
                tracing::error!(%fault, %address, "listener ended");
            }
        });
    }
}

/// What an edge serves as every role does.
fn edge_common(
    rig: &RigId,
    counters: Arc<EdgeMetrics>,
    status: watch::Receiver<Arc<EdgeStatus>>,
    host: watch::Receiver<Look>,
    readers: &Arc<Readers>,
) -> Common {
    let (readers, ready) = (Arc::clone(readers), status.clone());
    Common::new(
        RoleName::Edge,
        rig.as_str(),
        move || counters.render(&status.borrow(), &host.borrow().sample, readers.open()),
        move || match ready.borrow().states.contains(&"cannot_store") {
            true => Err(String::from("the journal cannot take records")),
            false => Ok(()),
        },
    )
}

/// Runs a task until it ends or the node stops.
async fn until(mut shutdown: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        _ = shutdown.changed() => {}
        () = task => {}
    }
}

/// Tells a store's thread to end and waits for it, off the async workers.
async fn finish(stop: impl FnOnce() + Send + 'static, thread: JoinHandle<()>) {
    let ended = tokio::task::spawn_blocking(move || {
        stop();
        thread.join()
    });
    if !matches!(ended.await, Ok(Ok(()))) {
        tracing::error!("a store's thread did not end well");
    }
}

async fn listen(role: &'static str, address: SocketAddr) -> Result<TcpListener, StartFault> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartFault::Listen {
            role,
            address,
            source,
        })
}

/// Opens the journal and brings its fold back.
fn open_journal(
    config: &EdgeConfig,
    data: &std::path::Path,
    popups: Vec<PopupPolicy>,
    ambient: &Ambient,
) -> Result<(Journal<OsFs>, Edge, Vitals), StartFault> {
    let rig = config.rig_id()?;
    let fs = OsFs::new(data).map_err(|source| StartFault::Data {
        path: data.to_path_buf(),
        source,
    })?;
    let fresh = ambient.clone();
    let opening = Opening {
        rig: rig.clone(),
        fresh: Fresh {
            journal_id: JournalId(ambient.random()),
            epoch_id: Box::new(move || popwatch_core::id::EpochId(fresh.random())),
        },
        boot_id: ambient.boot_id(),
        version: String::from(env!("CARGO_PKG_VERSION")),
        stamp: ambient.stamp(),
        popups,
        segment_bytes: popwatch_core::limits::SEGMENT_BYTES,
    };
    let (mut journal, recovery) =
        Journal::open(fs, opening).map_err(|fault| did_not_open(data, fault))?;
    report(&recovery);
    let mut edge = Edge::new(
        &rig,
        journal.journal_id(),
        config.ledger.is_some(),
        config.regions.len(),
    );
    let done = refold::refold(&mut journal, &mut edge, ambient.now());
    let done = done.map_err(|source| StartFault::Data {
        path: data.to_path_buf(),
        source,
    })?;
    let (records, restored) = (done.records, done.restored);
    tracing::info!(records, restored, "the journal is folded");
    Ok((journal, edge, found(&recovery)))
}

/// What the status says of a start.
fn found(recovery: &Recovery) -> Vitals {
    let files = recovery.quarantined.len() as u64;
    Vitals {
        quarantine: (files > 0).then_some(Quarantine { files, bytes: None }),
        newer_format: recovery.newer_format,
        ..Vitals::default()
    }
}

fn did_not_open(data: &std::path::Path, fault: OpenError) -> StartFault {
    let path = data.to_path_buf();
    match fault {
        OpenError::Locked => StartFault::Locked { path },
        source @ OpenError::Unavailable { .. } => StartFault::Journal { path, source },
    }
}

/// Says in the log what a start found.
fn report(recovery: &Recovery) {
    for gap in &recovery.gaps {
        let code = match gap.cause.as_str() {
            "missing_file" => Code::SegmentMissing,
            _media => Code::RecordDamaged,
        };
        tracing::error!(
            %code,
            epoch = gap.epoch,
            first = gap.first,
            last = gap.last,
            "records are lost to damage; the books will know which"
        );
    }
    for torn in &recovery.torn {
        let (code, file) = (Code::TailTorn, torn.file.as_str());
        tracing::info!(%code, file, bytes = torn.bytes, "a torn tail was cut; nothing acknowledged was in it");
    }
    for file in &recovery.quarantined {
        let code = Code::JournalForeign;
        tracing::warn!(%code, file, "a file that is not this journal's was put aside");
    }
    if recovery.newer_format {
        let code = Code::FormatNewer;
        tracing::error!(%code, "parts of the journal need a newer popwatch; they are left untouched");
    }
}
