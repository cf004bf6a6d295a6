//! Everything asynchronous: HTTP, peers, clocks, and the loops that run the machines.
//!
//! [`Node::start`] brings up the roles of one process; [`Node::stop`] ends them in order: peers that
//! answer get the last sales, no new requests, what was handed over is committed, `rig.stopped` is
//! journaled, files are closed.

pub mod access;
pub mod ambient;
pub mod client;
pub mod config;
pub mod identity;
pub mod member;
pub mod preflight;

mod alerts;
mod audit;
mod books_thread;
mod books_word;
mod driver;
mod dry_runs;
mod gate;
mod gauges;
mod health;
mod http;
mod keyring;
mod keys;
mod live;
mod metrics;
mod mirror;
mod opening;
mod page;
mod peer;
mod policies;
mod probes;
mod refold;
mod region;
mod register;
mod retention;
mod stopping;
mod store_thread;
mod syncs;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::FutureExt;
use popwatch_core::access::Scope;
use popwatch_core::code::Code;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::{JournalId, PopupId, RigId};
use popwatch_core::ledger::rules::Rules;
use popwatch_core::limits::{CONNECTIONS_MAX, EDGE_READERS_MAX};
use popwatch_redact::apply::Plan;
use popwatch_redact::pseudonym::Keys;
use popwatch_store::audit::AuditFault;
use popwatch_store::books::{Books, BooksFault};
use popwatch_store::journal::OpenError;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::access::{Access, Guard, LOCAL_ORG};
use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::audit::cross::Peers;
use crate::audit::trails::trail;
use crate::books_thread::{BooksHandle, spawn_books};
use crate::config::{Config, ConfigFault, EdgeConfig, LedgerConfig, RoleName};
use crate::driver::{EdgeDriver, LiveReader};
use crate::health::{EdgeHealth, Health};
use crate::http::{
    AllowedHosts, Common, EdgeState, LedgerState, LiveState, PolicyState, RawState, Readers, Source,
};
use crate::identity::Identity;
use crate::keyring::Keyring;
use crate::live::Publisher;
use crate::member::Member;
use crate::metrics::{EdgeMetrics, EdgeSources, LedgerMetrics};
use crate::opening::{Reopening, doubt_disk, open_journal};
use crate::peer::{As, Link, PeerHandle, Reply};
use crate::policies::Policies;
use crate::probes::{Host, Look, Probes};
use crate::register::{Desk, Gate};
use crate::store_thread::{JournalHandle, spawn_journal};
use crate::tls::Reception;
use popwatch_wire::answer_v1::{EdgeStatus, Vitals};
use popwatch_wire::door::Door;
use popwatch_wire::exposition::Exposition;

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
    /// What peers know it by.
    pub identity: Identity,
    member: Option<Member>,
    gate: Gate,
    reception: Reception,
    shutdown: watch::Sender<bool>,
    tasks: JoinSet<()>,
    access: Access,
    policies: Policies,
    keyring: Keyring,
    trail: Option<Trail>,
    journal: Option<(JournalHandle, JoinHandle<()>)>,
    /// How the edge's machine is asked.
    page: Option<http::RegionLane>,
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
    /// The audit trail.
    #[error("{}: the audit trail in {} cannot be opened; check the folder's rights and its disk", .source.code(), .path.display())]
    Audit {
        /// Where.
        path: PathBuf,
        /// Why.
        source: AuditFault,
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

/// What the books are evaluated by.
fn rules(config: &Config, ambient: &Ambient) -> Result<Rules, ConfigFault> {
    let mut rules = Rules::default();
    if !config.providers.is_empty() {
        let reference = keys::reference(config, ambient)?;
        rules.accounts = config::provider::accounts(&config.providers, &reference)?.0;
    }
    Ok(rules)
}

/// What takes the messages of the configured providers, and its counters.
fn webhooks(
    config: &Config,
    keeper: http::Keeper,
    ambient: &Ambient,
) -> Result<(http::WebhookState, Arc<http::WebhookCounts>), ConfigFault> {
    let accounts = match config.providers.is_empty() {
        true => Vec::new(),
        false => {
            let reference = keys::reference(config, ambient)?;
            config::provider::accounts(&config.providers, &reference)?.1
        }
    };
    let state = http::WebhookState::new(accounts, keeper, ambient);
    let counts = state.counts();
    Ok((state, counts))
}

impl Node {
    /// Starts the roles of `config`. Port 0 takes any free port; the node knows which.
    pub async fn start(mut config: Config, ambient: &Ambient) -> Result<Self, StartFault> {
        let identity = identity_of(&config, ambient);
        let member = Member::read(&config.data, identity.key());
        if let Some(member) = &member {
            member.apply(&mut config)?;
        }
        speak_tls_with_oneself(&mut config, &identity);
        let policies: Vec<PopupPolicy> = config
            .popups
            .iter()
            .map(config::PopupConfig::policy)
            .collect::<Result<_, _>>()?;
        let gate = gate(&config, member.as_ref(), &identity, ambient)?;
        let access = Access::open(&config, ambient)?;
        let plain = config.plain_http || config.access.plain_lan;
        let org_key = policies::org_key(&config, member.as_ref(), ambient)?;
        let obeyed = Policies::open(&config.data, org_key, &access, ambient);
        let policies = obeyed.over(&policies);
        let custody = keys::custody(&config, member.as_ref());
        let keyring = Keyring::open(&config.data, custody, config.host_root(), &obeyed, ambient);
        let mut node = Self::empty(identity, plain, access.clone(), keyring.clone());
        (node.member, node.gate) = (member, gate);
        if let Some(region) = &config.region {
            node.start_region(region, &config.data, ambient).await?;
        }
        if let Some(ledger) = &config.ledger {
            node.start_ledger(ledger, &config, ambient).await?;
        }
        if let Some(edge) = &config.edge {
            node.start_edge(edge, &config, policies, ambient).await?;
        }
        let tended = until(node.shutdown.subscribe(), access.tended());
        node.tasks.spawn(tended);
        obeyed.began();
        let tended = until(node.shutdown.subscribe(), obeyed.tended());
        node.tasks.spawn(tended);
        let tended = until(node.shutdown.subscribe(), keyring.tended());
        node.tasks.spawn(tended);
        Ok(node)
    }

    /// Where peers reach what listens on `address`: over TLS with this node's key, but on this machine
    /// and where plain HTTP is answered.
    #[must_use]
    pub fn url(&self, address: SocketAddr) -> String {
        match self.is_plain(address) {
            true => format!("http://{address}/"),
            false => format!("https://{}@{address}/", self.identity.key()),
        }
    }

    /// Where people open what listens on `address`.
    fn page(&self, address: SocketAddr) -> String {
        let scheme = if self.is_plain(address) {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{address}/")
    }

    fn is_plain(&self, address: SocketAddr) -> bool {
        self.reception.is_plain() || address.ip().is_loopback()
    }

    fn empty(identity: Identity, plain: bool, access: Access, keyring: Keyring) -> Self {
        let (shutdown, _) = watch::channel(false);
        let reception = Reception::new(&identity, plain);
        Self {
            edge: None,
            region: None,
            ledger: None,
            identity,
            member: None,
            gate: Gate::default(),
            reception,
            shutdown,
            tasks: JoinSet::new(),
            access,
            policies: keyring.policies().clone(),
            keyring,
            trail: None,
            journal: None,
            page: None,
            books: None,
        }
    }

    /// As whom its links speak.
    fn speaks_as<'a>(&'a self, name: &'a str, pass: Option<&'a str>) -> As<'a> {
        As {
            name,
            identity: &self.identity,
            member: self.member.as_ref(),
            pass,
        }
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
        let rules = rules(whole, ambient)?;
        let (path, books) = open_books(config, data, rules, ambient.now()).await?;
        let (handle, thread) = spawn_books(books, ambient.clone())
            .map_err(|source| StartFault::Data { path, source })?;
        self.books = Some((handle.clone(), thread));
        let counters = Arc::new(LedgerMetrics::default());
        let shown = Arc::clone(&counters);
        let keeper = http::Keeper::Books(handle.clone());
        let (webhooks, told) = webhooks(whole, keeper, ambient)?;
        let keyring = self.keyring.clone();
        let common = Common::new(
            RoleName::Ledger,
            "ledger",
            move || {
                let mut text = shown.render();
                text.extend(told.render());
                text.extend(metrics::retention::render(&keyring));
                std::future::ready(text).boxed()
            },
            Health::Answers,
        );
        let trail = trail(whole, "ledger", ambient)?;
        self.access.set_trail(&trail);
        self.policies.set_trail(&trail);
        self.keyring.set_trail(&trail);
        self.trail = Some(trail.clone());
        let (raw_books, raw_trail) = (handle.clone(), trail.clone());
        self.tell_regions(&config.regions, handle.clone(), ambient);
        self.sweep(&handle, &trail, ambient);
        let desk = self.desk(whole, config, (&handle, &trail), ambient).await?;
        let state = LedgerState {
            desk,
            trail,
            close_key: Arc::new(keys::close(data, http::ORG, ambient)?),
            closing: Arc::default(),
            references: keys::reference(whole, ambient)?,
            files: config::provider::files(&whole.providers)?.into(),
            data: data.as_path().into(),
            books: handle,
            regions: config.regions.clone().into(),
            access: self.access.clone(),
            ambient: ambient.clone(),
            metrics: counters,
        };
        let raw = RawState {
            trail: self.trail.clone(),
            peers: Some(Peers::new(data, &raw_trail, ambient)),
            access: self.access.clone(),
            source: Source::Books(raw_books),
            keyring: self.keyring.clone(),
            ambient: ambient.clone(),
        };
        let policy = self.policy_state(Some(state.desk.clone()));
        let router = http::ledger_router(common, state, webhooks, (raw, policy));
        let allowed = AllowedHosts::of(address, &config.hosts);
        let guard = self.access.guard(None);
        self.serve(listener, fixed(router, allowed, guard), CONNECTIONS_MAX);
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
        let rig = config.rig_id()?;
        config.popup_id()?;
        config.check_regions()?;
        dry_runs::check(&config.checkout_probe)?;
        let listener = listen("edge", config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        self.edge = Some(address);
        let allowed = AllowedHosts::of(address, &config.hosts);
        let guard = self.access.guard(Some(rig.as_str()));
        let guard = guard.of_enrolled(self.member.is_some());
        let router = match self.open_edge(config, whole, policies.clone(), ambient) {
            Ok(router) => fixed(router, allowed.clone(), guard),
            Err(fault) if fault.may_pass() => {
                let fault = chain(&fault);
                tracing::error!(code = %Code::NotDurable, fault, "the journal cannot be opened; it is tried again");
                let router = unopened(&rig, &fault);
                let dressed = http::dressed(router, allowed.clone(), guard.clone());
                let (routers, served) = watch::channel(dressed);
                let again = Reopening {
                    config: config.clone(),
                    whole: whole.clone(),
                    policies,
                    ambient: ambient.clone(),
                    routers,
                    allowed,
                    guard,
                    access: self.access.clone(),
                    keyring: self.keyring.clone(),
                    identity: self.identity.clone(),
                    member: self.member.clone(),
                };
                self.tasks.spawn(again.run(self.shutdown.subscribe()));
                served
            }
            Err(fault) => return Err(fault),
        };
        self.serve(listener, router, CONNECTIONS_MAX);
        Ok(())
    }

    /// Opens the journal and starts all that works with it; answers what to serve.
    fn open_edge(
        &mut self,
        config: &EdgeConfig,
        whole: &Config,
        policies: Vec<PopupPolicy>,
        ambient: &Ambient,
    ) -> Result<http::Routes, StartFault> {
        let (rig, default_popup) = (config.rig_id()?, config.popup_id()?);
        let keys = keys::keys(config, &whole.data, ambient)?;
        let (journal, edge, found) = open_journal(config, &whole.data, &policies, ambient)?;
        // One sender per measuring task; each replaces its own part and no other.
        let (vitals, measured) = watch::channel(found);
        self.policies.show(&vitals);
        let host = self.start_probes(config, &whole.data, ambient, vitals.clone());
        let journal_id = journal.journal_id();
        let doubt = doubt_disk(journal.fs().clone(), ambient.clone(), vitals.clone());
        self.tasks.spawn(until(self.shutdown.subscribe(), doubt));
        let (news, heard) = mpsc::channel(DRIVER_QUEUE_MAX);
        let path = whole.data.clone();
        let spawned = spawn_journal(journal, ambient.clone(), news, vitals);
        let (handle, thread) = spawned.map_err(|source| StartFault::Data { path, source })?;
        self.journal = Some((handle.clone(), thread));

        let (asks, orders) = mpsc::channel(DRIVER_QUEUE_MAX);
        let (publisher, live) = Publisher::new();
        let (status, shown) = watch::channel(Arc::new(EdgeStatus::default()));
        let (ledger, regions, replies) = self.link_peers(config, &rig, ambient);
        let counters = Arc::new(EdgeMetrics::default());
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
            dry_runs: self.start_dry_runs(&config.checkout_probe, ambient),
            vitals: measured,
            status,
            shown: 0,
            metrics: Arc::clone(&counters),
            told_suspect: false,
            closed: std::collections::BTreeSet::new(),
            drains: Vec::new(),
        };
        self.tasks.spawn(driver.run(self.shutdown.subscribe()));

        let keeper = http::Keeper::Journal(handle.clone(), journal_id, shown.clone());
        let (webhooks, told) = webhooks(whole, keeper, ambient)?;
        let gauges = Arc::clone(handle.gauges());
        self.fetch_policies(config, &rig, &gauges);
        self.state_policies(&handle, policies);
        let door = door(&rig, journal_id, default_popup, keys);
        let state = EdgeState::new(door, handle, ambient, &self.keyring, (&shown, &counters));
        let readers = Arc::new(Readers::newest(EDGE_READERS_MAX));
        let page = self.page.insert(http::RegionLane::new(asks)).clone();
        let sources = EdgeSources {
            counters,
            gauges,
            status: shown.clone(),
            host: looked,
            page: page.clone(),
            live: live.clone(),
            readers: Arc::clone(&readers),
            webhooks: told,
            keyring: self.keyring.clone(),
            ambient: ambient.clone(),
        };
        let common = edge_common(&rig, sources, &whole.data);
        let live = self.live_state(live, page.clone(), readers, ambient);
        let raw = self.rig_raw(whole, config, rig, shown, ambient);
        let policy = self.policy_state(None);
        let shown = (raw, policy);
        Ok(http::edge_router(
            common, state, page, live, webhooks, shown,
        ))
    }

    /// Starts a link to each configured peer; what they answer comes out of the last part.
    fn link_peers(
        &mut self,
        config: &EdgeConfig,
        rig: &RigId,
        ambient: &Ambient,
    ) -> (Option<PeerHandle>, Vec<PeerHandle>, mpsc::Receiver<Reply>) {
        let (replies, answered) = mpsc::channel(DRIVER_QUEUE_MAX);
        let (identity, member) = (self.identity.clone(), self.member.clone());
        let pass = self.access.own_pass(Scope::Till, rig.as_str());
        let who = As {
            name: rig.as_str(),
            identity: &identity,
            member: member.as_ref(),
            pass: pass.as_deref(),
        };
        let mut connect = |link, url: &str, path| {
            let (peer, task) = peer::link(link, url, path, who, replies.clone(), ambient.clone());
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

    fn policy_state(&self, desk: Option<Desk>) -> PolicyState {
        PolicyState {
            keyring: self.keyring.clone(),
            desk,
        }
    }

    fn live_state(
        &self,
        live: LiveReader,
        lane: http::RegionLane,
        readers: Arc<Readers>,
        ambient: &Ambient,
    ) -> LiveState {
        LiveState {
            live,
            lane,
            readers,
            ambient: ambient.clone(),
            shutdown: self.shutdown.subscribe(),
        }
    }

    fn serve(
        &mut self,
        listener: TcpListener,
        routers: watch::Receiver<Arc<http::Served>>,
        room: usize,
    ) {
        let shutdown = self.shutdown.subscribe();
        let reception = self.reception.clone();
        self.tasks
            .spawn(http::serve(listener, reception, routers, room, shutdown));
    }
}

/// The one way in, under the built-in policy.
fn door(rig: &RigId, journal_id: JournalId, default_popup: Option<PopupId>, keys: Keys) -> Door {
    Door {
        rig: rig.clone(),
        journal_id,
        default_popup,
        keys,
        plan: Plan::default(),
    }
}

/// What an edge tells of itself: its metrics and its health.
fn edge_common(rig: &RigId, sources: EdgeSources, data: &Path) -> Common {
    let (gauges, status) = (sources.gauges.clone(), sources.status.clone());
    let health = EdgeHealth::new(gauges, status, sources.ambient.clone(), data);
    let sources = Arc::new(sources);
    let metrics = move || Arc::clone(&sources).tell().boxed();
    let health = Health::Edge(Arc::new(health));
    Common::new(RoleName::Edge, rig.as_str(), metrics, health)
}

/// Who this process is. A region alone on its machine needs no disk, so nor does its key.
fn identity_of(config: &Config, ambient: &Ambient) -> Identity {
    let is_reached = |region: &config::RegionConfig| !region.listen.ip().is_loopback();
    let is_kept = config.edge.is_some()
        || config.ledger.is_some()
        || config.region.as_ref().is_some_and(is_reached);
    if is_kept {
        match Identity::open(&config.data, ambient) {
            Ok(identity) => return identity,
            Err(fault) => {
                let fault = chain(&fault);
                tracing::error!(
                    fault,
                    "the identity cannot be had; a passing one is used until the next start"
                );
            }
        }
    }
    Identity::of(&ambient.random())
}

/// Where processes know each other by their keys, the roles of one process do too: what it calls on its
/// own plain address it calls over TLS.
fn speak_tls_with_oneself(config: &mut Config, identity: &Identity) {
    let is_local = config.access.org == LOCAL_ORG;
    let plain = config.plain_http || config.access.plain_lan;
    let needs = |address: &SocketAddr| match address.ip().is_loopback() {
        true => !is_local,
        false => !plain,
    };
    let ledger = config.ledger.as_ref().map(|ledger| ledger.listen);
    let region = config.region.as_ref().map(|region| region.listen);
    let (ledger, region) = (ledger.filter(needs), region.filter(needs));
    let own = |url: &mut String, address: Option<SocketAddr>| {
        if let Some(address) = address
            && *url == format!("http://{address}")
        {
            *url = format!("https://{}@{address}", identity.key());
        }
    };
    if let Some(edge) = &mut config.edge {
        if let Some(url) = &mut edge.ledger {
            own(url, ledger);
        }
        edge.regions.iter_mut().for_each(|url| own(url, region));
    }
    if let Some(books) = &mut config.ledger {
        books.regions.iter_mut().for_each(|url| own(url, region));
    }
}

/// Who may bring cells to a region of this process.
fn gate(
    config: &Config,
    member: Option<&Member>,
    identity: &Identity,
    ambient: &Ambient,
) -> Result<Gate, ConfigFault> {
    if config.access.org == LOCAL_ORG || config.region.is_none() {
        return Ok(Gate::default());
    }
    let org_key = match (member, &config.ledger) {
        (Some(member), _) => Some(member.org_key().clone()),
        (None, Some(_)) => Some(keys::org(&config.data, &config.access.org, ambient)?.public()),
        (None, None) => None,
    };
    Ok(Gate::new(identity.key(), org_key))
}

/// A router that stays.
fn fixed(
    router: impl Into<http::Routes>,
    allowed: AllowedHosts,
    guard: Guard,
) -> watch::Receiver<Arc<http::Served>> {
    watch::channel(http::dressed(router, allowed, guard)).1
}

/// What an edge without a journal serves.
fn unopened(rig: &RigId, fault: &str) -> axum::Router {
    let health = Health::Unopened(fault.into());
    http::unopened_router(Common::new(
        RoleName::Edge,
        rig.as_str(),
        || std::future::ready(Exposition::new()).boxed(),
        health,
    ))
}

/// An error with its causes.
fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut next = fault.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl StartFault {
    /// Whether it may pass by itself, as what a disk refuses may.
    fn may_pass(&self) -> bool {
        match self {
            Self::Data { .. } | Self::Journal { .. } => true,
            Self::Config(ConfigFault::Unreadable { .. }) => true,
            Self::Config(_)
            | Self::Listen { .. }
            | Self::Locked { .. }
            | Self::Audit { .. }
            | Self::Books { .. } => false,
        }
    }
}

/// Opens the books where the configuration says, and says where that is. A server is waited for on
/// a thread that may wait.
async fn open_books(
    config: &LedgerConfig,
    data: &Path,
    rules: Rules,
    now: popwatch_core::time::Now,
) -> Result<(PathBuf, Books), StartFault> {
    let url = match (&config.store, &config.store_file) {
        (Some(url), _) => Some(url.0.clone()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|source| StartFault::Data {
                path: file.clone(),
                source,
            })?;
            Some(text.trim().to_string())
        }
        (None, None) => None,
    };
    // The address may hold a password, so only the kind of store is told.
    let path = match &url {
        None => data.join("books.sqlite"),
        Some(_) => PathBuf::from("PostgreSQL"),
    };
    let file = path.clone();
    let open = move || {
        let mut books = match &url {
            None => Books::open(&file)?,
            Some(url) => Books::connect(url)?,
        };
        books.set_rules(rules, now)?;
        Ok(books)
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(Ok(books)) => Ok((path, books)),
        Ok(Err(source)) => Err(StartFault::Books { path, source }),
        Err(gone) => Err(StartFault::Data {
            path,
            source: std::io::Error::other(gone),
        }),
    }
}

/// Runs a task until it ends or the node stops.
async fn until(mut shutdown: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        _ = shutdown.changed() => {}
        () = task => {}
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
