//! The HTTP surface: a handler parses, asks, answers.
//!
//! [`serve`] runs one role's router until shutdown. Every answer carries the headers that keep a
//! browser honest; errors are RFC 9457 problem documents.

mod access;
mod audit;
mod cors;
mod enrol;
mod feed;
mod ingest;
mod lanes;
mod ledger;
mod live;
mod otlp;
mod policy;
mod preflight;
mod raw;
mod shared;
mod webhooks;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use popwatch_core::code::Code;
use popwatch_core::limits::REQUEST_HEAD_MS_MAX;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub(crate) use feed::Readers;
pub(crate) use ingest::EdgeState;
pub(crate) use lanes::RegionLane;
pub(crate) use ledger::{LedgerState, ORG};
pub(crate) use live::LiveState;
pub(crate) use otlp::SpanMetrics;
pub(crate) use policy::PolicyState;
pub(crate) use raw::{RawState, Source};
pub(crate) use shared::Common;
pub(crate) use webhooks::{Keeper, WebhookCounts, WebhookState};

use self::feed::Handover;
use self::shared::ProblemAnswer;
use crate::access::{Asked, Caller, Guard};
use crate::audit::Trail;
use crate::audit::cross::Peers;
use crate::page;
use crate::register::{Desk, Gate};
use crate::tls::{Line, Received, Reception, Stream};

/// Where tills report.
const EVENTS: &str = "/v1/events";
/// Where providers send their messages.
const WEBHOOKS: &str = "/v1/webhooks/";
/// Wait after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The routes of an edge.
pub(crate) fn edge_router(
    common: Common,
    edge: EdgeState,
    page: RegionLane,
    live: LiveState,
    webhooks: WebhookState,
    (raw, policy): (RawState, PolicyState),
) -> Routes {
    let till = Some(edge.clone());
    let own = Router::new()
        .route(EVENTS, post(ingest::events))
        .route("/v1/status", get(ingest::status))
        .route("/v1/traces", post(otlp::traces))
        .route("/v1/logs", post(otlp::logs))
        .route("/v1/metrics", post(otlp::metrics))
        .with_state(edge);
    let audited = raw.trail.clone().map(audit_routes).unwrap_or_default();
    let peers = raw.peers.clone().map(peers_route).unwrap_or_default();
    let last = preflight_route(&raw, &policy);
    let router = own
        .merge(last)
        .merge(raw_route(raw))
        .merge(policy_routes(policy))
        .merge(audited)
        .merge(peers)
        .merge(cells_route(page))
        .merge(live_routes(live))
        .merge(webhook_route(webhooks))
        .merge(common_routes(common));
    Routes { router, till }
}

/// The routes of a region.
pub(crate) fn region_router(
    common: Common,
    lane: RegionLane,
    live: LiveState,
    gate: Gate,
) -> Router {
    let own = Router::new()
        .route("/v1/cells", post(lanes::cells))
        .layer(Extension(gate))
        .with_state(lane.clone());
    own.merge(cells_route(lane))
        .merge(live_routes(live))
        .merge(common_routes(common))
}

/// The routes of a ledger.
pub(crate) fn ledger_router(
    common: Common,
    ledger: LedgerState,
    webhooks: WebhookState,
    (raw, policy): (RawState, PolicyState),
) -> Router {
    let (trail, desk) = (ledger.trail.clone(), ledger.desk.clone());
    let own = Router::new()
        .route("/v1/records", post(ledger::records))
        .route("/v1/popups", get(ledger::popups))
        .route("/v1/popups/{popup}/books", get(ledger::books))
        .route("/v1/popups/{popup}/breaks", get(ledger::breaks))
        .route(
            "/v1/popups/{popup}/statements/{creator}",
            get(ledger::statements::shown),
        )
        .route(
            "/v1/popups/{popup}/reconciliation",
            get(ledger::reconciliation),
        )
        .route(
            "/v1/popups/{popup}/close",
            get(ledger::closing::shown).post(ledger::closing::close),
        )
        .route(
            "/v1/popups/{popup}/settlements",
            post(ledger::central::settlements).layer(DefaultBodyLimit::disable()),
        )
        .route("/v1/popups/{popup}/counts", post(ledger::central::counts))
        .route(
            "/v1/popups/{popup}/decisions",
            post(ledger::central::decisions),
        )
        .with_state(ledger);
    let peers = raw.peers.clone().map(|peers| {
        let swapped = Router::new()
            .route("/v1/audit/peer", post(audit::peer))
            .with_state(peers.clone());
        swapped.merge(peers_route(peers))
    });
    own.merge(webhook_route(webhooks))
        .merge(raw_route(raw))
        .merge(lease_routes(policy.clone()))
        .merge(policy_routes(policy))
        .merge(peers.unwrap_or_default())
        .merge(audit_routes(trail))
        .merge(member_routes(desk))
        .merge(common_routes(common))
}

fn peers_route(peers: Peers) -> Router {
    Router::new()
        .route("/v1/audit/peers", get(audit::peers))
        .with_state(peers)
}

fn raw_route(raw: RawState) -> Router {
    Router::new()
        .route("/v1/popups/{popup}/raw", post(raw::read))
        .with_state(raw)
}

fn policy_routes(policy: PolicyState) -> Router {
    Router::new()
        .route("/v1/policies", post(policy::bring))
        .route("/v1/popups/{popup}/policy", get(policy::shown))
        .with_state(policy)
}

/// The last preflight, where the data directory is a rig's.
fn preflight_route(raw: &RawState, policy: &PolicyState) -> Router {
    let Source::Journal { data, .. } = &raw.source else {
        return Router::new();
    };
    let state = preflight::PreflightState {
        data: data.clone(),
        keyring: policy.keyring.clone(),
        ambient: raw.ambient.clone(),
    };
    Router::new()
        .route("/v1/preflight", get(preflight::last))
        .with_state(state)
}

fn lease_routes(policy: PolicyState) -> Router {
    Router::new()
        .route("/v1/popups/{popup}/leases", post(policy::lend))
        .with_state(policy)
}

fn audit_routes(trail: Trail) -> Router {
    Router::new()
        .route("/v1/audit", get(audit::entries))
        .route("/v1/audit/{number}/proof", get(audit::proof))
        .route("/v1/popups/{popup}/access-log", get(audit::access_log))
        .route("/audit/checkpoint", get(audit::checkpoint))
        .route("/audit/tile/{*tile}", get(audit::tile))
        .with_state(trail)
}

fn member_routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/enrol", post(enrol::enrol))
        .route("/v1/rigs", get(enrol::members).post(enrol::invite))
        .route("/v1/rigs/{rig}/revocation", post(enrol::revoke))
        .route("/v1/rigs/{rig}/acceptance", post(enrol::accept))
        .with_state(desk)
}

fn webhook_route(webhooks: WebhookState) -> Router {
    Router::new()
        .route(&format!("{WEBHOOKS}{{provider}}"), post(webhooks::webhook))
        .with_state(webhooks)
}

fn cells_route(lane: RegionLane) -> Router {
    Router::new()
        .route("/v1/popups/{popup}/cells", get(lanes::held))
        .with_state(lane)
}

fn live_routes(live: LiveState) -> Router {
    Router::new()
        .route("/v1/popups", get(live::popups))
        .route("/v1/popups/{popup}/summary", get(live::summary))
        .route("/v1/popups/{popup}/series", get(live::series))
        .route(
            "/v1/popups/{popup}/leaderboards/{kind}",
            get(live::leaderboard),
        )
        .route("/v1/popups/{popup}/inventory", get(live::inventory))
        .route("/v1/popups/{popup}/rigs", get(live::rigs))
        .route("/v1/popups/{popup}/slo", get(live::slo))
        .route("/v1/popups/{popup}/signals", get(live::signals))
        .route("/v1/popups/{popup}/stream", get(live::stream))
        .with_state(live)
}

fn common_routes(common: Common) -> Router {
    let session = Router::new()
        .route("/v1/session", get(access::shown).post(access::changed))
        .with_state(());
    let mut router = Router::new()
        .merge(session)
        .route("/healthz", get(shared::healthz).post(shared::sink))
        .route("/readyz", get(shared::readyz))
        .route("/metrics", get(shared::metrics))
        .route("/openapi.json", get(shared::openapi))
        .route("/", get(shared::index));
    for asset in page::ASSETS.iter() {
        let path = format!("/{}", asset.path);
        let answer = move |headers: HeaderMap| async move { shared::asset(asset, &headers) };
        router = router.route(&path, get(answer));
    }
    router.fallback(shared::unknown).with_state(common)
}

/// An edge whose journal cannot be opened: pages, and 503 for everything that needs it.
pub(crate) fn unopened_router(common: Common) -> Router {
    let refuse = || async {
        shared::problem(
            Code::NotDurable,
            "this till's disk cannot be used; keep the events and send the same ids again"
                .to_owned(),
        )
    };
    let own = Router::new()
        .route("/v1/{*rest}", axum::routing::any(refuse))
        .route("/v1/status", get(shared::unopened_status))
        .with_state(common.clone());
    own.merge(common_routes(common))
}

/// The routes of a role.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    router: Router,
    /// Where a till reports, if this is its edge: found without a search, since most requests are
    /// such reports.
    till: Option<EdgeState>,
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self { router, till: None }
    }
}

/// What a listener serves: routes for those who may ask.
#[derive(Debug)]
pub(crate) struct Served {
    routes: Routes,
    allowed: AllowedHosts,
    guard: Guard,
}

/// Every answer carries what keeps a browser honest; other hosts, and who may not, are turned away.
pub(crate) fn dressed(
    routes: impl Into<Routes>,
    allowed: AllowedHosts,
    guard: Guard,
) -> Arc<Served> {
    let routes = routes.into();
    Arc::new(Served {
        routes,
        allowed,
        guard,
    })
}

impl Served {
    /// 403 for a `Host` or `Origin` that is not this popwatch (DNS rebinding, foreign pages); else
    /// the route's answer. A provider comes by a public name, and each of its messages is signed.
    async fn answer(&self, request: hyper::Request<Incoming>, line: Line) -> Response {
        let foreign = self.allowed.foreign(request.headers());
        let is_signed = request.uri().path().starts_with(WEBHOOKS);
        let foreign = foreign.filter(|_| !is_signed).map(|name| {
            let says = format!(
                "the {name} header names another host; call this popwatch by its own address"
            );
            shared::problem(Code::OriginForeign, says)
        });
        let page = cors::page(&request).filter(|_| foreign.is_none());
        let mut response = match foreign {
            Some(foreign) => foreign.into_response(),
            None if page.is_some() && request.method() == Method::OPTIONS => cors::preflight(),
            None => self.asked(request, line).await,
        };
        if let Some(page) = page {
            cors::allow(&mut response, page);
        }
        keep_honest(&mut response);
        response
    }

    /// The route's answer to those who may ask.
    async fn asked(&self, mut request: hyper::Request<Incoming>, line: Line) -> Response {
        let (peer, guard) = (line.peer, self.guard.on(&line));
        let caller = caller(&guard, &request, &line).await;
        match (caller, &self.routes.till) {
            (Err(refused), _) => refused.into_response(),
            (Ok(_), Some(till)) if is_report(&request) => {
                let (head, body) = request.into_parts();
                let body = Body::new(body);
                ingest::events(State(till.clone()), ConnectInfo(peer), head.headers, body)
                    .await
                    .into_response()
            }
            (Ok(caller), _) => {
                let extensions = request.extensions_mut();
                extensions.insert(ConnectInfo(peer));
                extensions.insert(line);
                extensions.insert(caller);
                extensions.insert(guard);
                let router = TowerToHyperService::new(self.routes.router.clone());
                match router.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
        }
    }
}

/// Who brings a request, if they may.
async fn caller(
    guard: &Guard,
    request: &hyper::Request<Incoming>,
    line: &Line,
) -> Result<Caller, ProblemAnswer> {
    let asked = Asked {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
    };
    Ok(guard.admit(&asked, line).await?)
}

fn is_report(request: &hyper::Request<Incoming>) -> bool {
    request.method() == Method::POST && request.uri().path() == EVENTS
}

/// Serves the newest of `routers` on `listener` until `shutdown`; open streams end with it. At most
/// `connections_max` connections are open: one more is closed at once.
pub(crate) async fn serve(
    listener: TcpListener,
    reception: Reception,
    routers: watch::Receiver<Arc<Served>>,
    connections_max: usize,
    mut shutdown: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(fault) => {
                // Mostly no file descriptor is free; one is as soon as a connection ends.
                tracing::warn!(%fault, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (routers, mut shutdown) = (routers.clone(), shutdown.clone());
        let reception = reception.clone();
        connections.spawn(async move {
            // An answer is small and somebody waits for it; a socket that refuses is only slower.
            drop(stream.set_nodelay(true));
            let received = tokio::select! {
                _ = shutdown.changed() => Received::Gone,
                received = reception.receive(stream, peer) => received,
            };
            match received {
                Received::Open(stream, line) => connection(stream, line, routers, shutdown).await,
                Received::Exposed(stream) => exposed(stream, shutdown).await,
                Received::Gone => {}
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection until it ends, or until its last answer after `shutdown`. A live stream takes it
/// out of HTTP's hands.
async fn connection(
    stream: Stream,
    line: Line,
    routers: watch::Receiver<Arc<Served>>,
    mut shutdown: watch::Receiver<bool>,
) {
    let (hand, mut handed) = mpsc::channel(1);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let served = Arc::clone(&routers.borrow());
        let hand = hand.clone();
        async move {
            let is_read = request.method() == hyper::Method::GET;
            let response = served.answer(request, line).await;
            let feed = response.extensions().get::<Handover>();
            if let Some(feed) = feed.filter(|_| is_read).and_then(Handover::take) {
                let (head, _) = response.into_parts();
                drop(hand.send((head, feed)).await);
                // The connection is taken from under this answer.
                return std::future::pending().await;
            }
            Ok::<_, Infallible>(response)
        }
    });
    // On the heap, so that a stream does not carry what it no longer needs.
    let mut connection = Box::new(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(REQUEST_HEAD_MS_MAX))
            .serve_connection(TokioIo::new(stream), service),
    );
    let (head, feed) = tokio::select! {
        // A connection that breaks is its client's to notice.
        ended = &mut *connection => return drop(ended),
        Some((head, feed)) = handed.recv() => (feed.head(&head), feed),
        _ = shutdown.changed() => {
            std::pin::Pin::new(&mut *connection).graceful_shutdown();
            return tokio::select! {
                ended = &mut *connection => drop(ended),
                _ = handed.recv() => {}
            };
        }
    };
    let stream = connection.into_parts().io.into_inner();
    feed.run(stream, head).await;
}

/// Tells whoever speaks plain HTTP from another machine what to speak.
async fn exposed(stream: TcpStream, mut shutdown: watch::Receiver<bool>) {
    let service = service_fn(|_: hyper::Request<Incoming>| async {
        let detail = "other machines are answered over TLS 1.3; call https://KEY@host:port with the \
                      key that this popwatch prints at its start";
        let mut response = shared::problem(Code::PlainExposed, detail.to_owned()).into_response();
        keep_honest(&mut response);
        Ok::<_, Infallible>(response)
    });
    let told = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(REQUEST_HEAD_MS_MAX))
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = shutdown.changed() => {}
        // A connection that breaks is its client's to notice.
        ended = told => drop(ended),
    }
}

/// Hosts this listener answers to: a foreign page must not reach a till through a browser.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHosts {
    address: SocketAddr,
    names: Arc<[String]>,
}

impl AllowedHosts {
    /// Loopback names, the listener's own address and what is configured.
    #[must_use]
    pub(crate) fn of(address: SocketAddr, names: &[String]) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { address, names }
    }

    /// The header that names another host, if one does.
    fn foreign(&self, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name| {
            headers
                .get(name)
                .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
        };
        if text(header::HOST).is_some_and(|host| !self.allows(host)) {
            return Some("Host");
        }
        let known = |origin: &str| {
            origin
                .split_once("://")
                .is_some_and(|(_, authority)| self.allows(authority))
        };
        text(header::ORIGIN)
            .is_some_and(|origin| !known(origin))
            .then_some("Origin")
    }

    fn allows(&self, authority: &str) -> bool {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| {
                if port.bytes().all(|byte| byte.is_ascii_digit()) {
                    host
                } else {
                    authority
                }
            });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || self
                .names
                .iter()
                .any(|name| host.eq_ignore_ascii_case(name))
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| {
                ip.is_loopback() || ip == self.address.ip() || self.address.ip().is_unspecified()
            })
    }
}

/// What keeps a browser honest.
fn keep_honest(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            page::CONTENT_SECURITY_POLICY,
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
}
