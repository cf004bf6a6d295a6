//! Measures a rig and its peers before doors open; what that means is judged by
//! [`popwatch_core::preflight`].
//!
//! What always holds: nothing of a real popup is read or written but lists of it; the synthetic sale
//! has a popup of its own; every measurement ends, within the client's waits; what could not be
//! measured is said to be so.

mod host;
mod peers;
mod sale;
mod search;
mod stack;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use popwatch_core::limits::{PREFLIGHT_EVENT_BYTES, PREFLIGHT_EVENTS_PER_HOUR};
use popwatch_core::preflight::{self, Check, Finding, Step, Verdict, Window};
use serde_json::Value;

use crate::access::{keep, note_preflight};
use crate::ambient::Ambient;
use crate::client::Client;
use crate::config::Config;

/// A popup whose window nobody knows is taken to last this long from now, hours.
const HOURS_UNKNOWN: i64 = 8;

/// What a preflight is told.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The rig's configuration.
    pub config: Config,
    /// The popup.
    pub popup: Option<String>,
    /// Peers beside those of the configuration: base URLs.
    pub peers: Vec<String>,
    /// The rig has mains all along.
    pub mains: bool,
    /// Cards are taken without a network, or it is known that they are not.
    pub offline_cards: bool,
    /// Events expected of this rig in the whole popup.
    pub events: Option<u64>,
    /// Log files to search for planted values.
    pub logs: Vec<PathBuf>,
    /// A pass and a code are shown.
    pub shows_pass: bool,
}

/// What a preflight found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The popup it was for.
    pub popup: Option<String>,
    /// The rig.
    pub rig: Option<String>,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// The policy that ran then, by its digest; null where none was signed.
    pub policy: Value,
    /// The window that it measured against.
    pub window: Window,
    /// Whether that window was announced.
    pub window_known: bool,
    /// Where phones find the rig's page.
    pub page: Option<String>,
    /// The synthetic popup.
    pub rehearsal: Option<String>,
    /// The steps of its sale.
    pub steps: Vec<Step>,
    /// Findings, one per row, in order.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The answer.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }
}

/// One peer to measure.
#[derive(Debug, Clone)]
struct Peer {
    /// `ledger`, `region` or its address.
    name: String,
    url: String,
}

/// Everything a measurement needs.
#[derive(Debug, Clone)]
struct Site {
    asked: Asked,
    client: Client,
    ambient: Ambient,
    edge: Option<String>,
    ledger: Option<String>,
    regions: Vec<String>,
    peers: Vec<Peer>,
    window: Window,
}

/// The last report, below the data directory of the rig.
pub(crate) const REPORT: &str = "preflight.json";

/// Keeps a report for the rig's page, and leaves a note of it for the audit trail.
pub fn remember(data: &Path, document: &Value, verdict: &str) -> std::io::Result<()> {
    let ambient = Ambient::system();
    let popup = document["popup"].as_str().unwrap_or_default();
    keep(&data.join(REPORT), document.to_string().as_bytes())?;
    note_preflight(data, popup, verdict, &ambient)
}

/// Measures everything. `client` shows who asks; `tell` hears which row is at work.
pub async fn run(asked: Asked, client: Client, tell: &mut dyn FnMut(Check)) -> Report {
    let ambient = Ambient::system();
    let (mut site, window_known) = Site::survey(asked, client, ambient).await;
    let mut findings = Vec::new();
    tell(Check::Power);
    let (power, ups) = site.power().await;
    findings.extend([power, ups]);
    tell(Check::Disk);
    findings.push(site.disk().await);
    tell(Check::Fsync);
    findings.push(site.fsync().await);
    tell(Check::Net);
    let ways = site.ways().await;
    findings.push(site.clock(&ways).await);
    findings.push(preflight::net(&ways.nets()));
    findings.push(preflight::portal(&ways.echoes()));
    findings.push(preflight::tls(&ways.pins(), None, &site.window));
    findings.push(site.policy().await);
    tell(Check::Rigs);
    findings.push(site.rigs(&ways).await);
    tell(Check::Provider);
    findings.push(site.provider().await);
    findings.push(site.retention().await);
    tell(Check::Sale);
    let sale = site.sale().await;
    findings.push(preflight::sale(&sale.check));
    tell(Check::Page);
    findings.push(site.page().await);
    tell(Check::Audit);
    let (audit, access) = site.audit(&sale.popup).await;
    findings.extend([audit, access]);
    findings.sort_by_key(|finding| finding.check);
    let policy = site.running().await;
    Report {
        policy,
        popup: site.asked.popup.take(),
        rig: site.asked.config.edge.as_ref().map(|edge| edge.rig.clone()),
        at_ms: site.window.now_ms,
        window: site.window,
        window_known,
        page: site.page_for_phones(),
        rehearsal: site.edge.is_some().then_some(sale.popup),
        steps: sale.check.steps,
        findings,
    }
}

impl Site {
    async fn survey(asked: Asked, client: Client, ambient: Ambient) -> (Self, bool) {
        let config = &asked.config;
        let edge = config.edge.as_ref();
        let ledger = edge.and_then(|edge| edge.ledger.clone());
        let own_ledger = config.ledger.as_ref().map(|own| here(own.listen));
        let own_region = config.region.as_ref().map(|own| here(own.listen));
        let ledger = ledger.or(own_ledger);
        let mut regions = edge.map(|edge| edge.regions.clone()).unwrap_or_default();
        if regions.is_empty() {
            regions.extend(own_region);
        }
        let mut peers = Vec::new();
        let mut add = |name: &str, url: &str| {
            if peers.iter().all(|peer: &Peer| peer.url != url) {
                let (name, url) = (name.to_owned(), url.to_owned());
                peers.push(Peer { name, url });
            }
        };
        ledger.iter().for_each(|url| add("ledger", url));
        regions.iter().for_each(|url| add("region", url));
        for url in &asked.peers {
            add(authority(url), url);
        }
        let mut site = Self {
            edge: edge.map(|edge| here(edge.listen)),
            ledger,
            regions,
            peers,
            window: Window {
                now_ms: ambient.wall_ms(),
                starts_ms: 0,
                ends_ms: 0,
            },
            asked,
            client,
            ambient,
        };
        let known = site.find_window().await;
        let now_ms = site.window.now_ms;
        let (starts_ms, ends_ms) = known.unwrap_or((now_ms, now_ms + HOURS_UNKNOWN * 3_600_000));
        site.window = Window {
            now_ms,
            starts_ms,
            ends_ms,
        };
        (site, known.is_some())
    }

    /// The popup's window, by the configuration, else by a region that knows the popup.
    async fn find_window(&self) -> Option<(i64, i64)> {
        let popup = self.asked.popup.as_deref()?;
        let mut stated = self.asked.config.popups.iter();
        if let Some(stated) = stated.find(|one| one.id == popup) {
            let ms = |text: &str| popwatch_wire::json::rfc3339_ms(text);
            return Some((ms(&stated.starts)?, ms(&stated.ends)?));
        }
        let region = self.regions.first()?;
        let list = self.json(&format!("{region}/v1/popups")).await?;
        let mut popups = list["popups"].as_array()?.iter();
        let found = popups.find(|one| one["id"] == popup)?;
        Some((found["starts_ms"].as_i64()?, found["ends_ms"].as_i64()?))
    }

    /// Where phones on this network find the rig's page; `None` when only this machine does.
    fn page_for_phones(&self) -> Option<String> {
        let edge = self.asked.config.edge.as_ref()?;
        let port = edge.listen.port();
        let ip = edge.listen.ip().to_canonical();
        let host = match (edge.hosts.first(), ip.is_unspecified()) {
            _ if ip.is_loopback() => return None,
            (Some(name), _) => format!("{name}:{port}"),
            (None, true) => SocketAddr::new(own_address()?, port).to_string(),
            (None, false) => edge.listen.to_string(),
        };
        let scheme = if self.asked.config.plain_http {
            "http"
        } else {
            "https"
        };
        Some(format!("{scheme}://{host}/"))
    }

    /// Events that this rig is expected to take in the whole popup.
    fn events(&self) -> u64 {
        let usual = self.window.hours() * PREFLIGHT_EVENTS_PER_HOUR;
        self.asked.events.unwrap_or(usual)
    }

    /// What it is expected to send, bytes a second.
    fn expected_up(&self) -> u64 {
        let seconds = self.window.hours() * 3_600;
        self.events() * PREFLIGHT_EVENT_BYTES / seconds
    }

    /// What a JSON resource says; `None` when it does not answer with 200.
    async fn json(&self, url: &str) -> Option<Value> {
        let headers = [("accept", "application/json")];
        let answer = self.client.get(url, &headers).await.ok()?;
        let is_told = answer.is_success();
        is_told.then(|| serde_json::from_slice(&answer.body).ok())?
    }
}

/// The address at which this machine reaches its own listener.
fn here(listen: SocketAddr) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        let loopback: IpAddr = match address.is_ipv4() {
            true => [127, 0, 0, 1].into(),
            false => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    format!("http://{address}")
}

/// The address this machine would send from. Nothing is sent: a datagram's socket only picks its way.
fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // Of the documentation's own network: nobody is there.
    socket.connect(("192.0.2.1", 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Host and port of a base URL, without the key.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('@').map_or(rest, |(_, host)| host)
}
