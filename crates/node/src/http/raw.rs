//! `POST /v1/popups/{popup}/raw`: single records for whoever was granted them, a line of JSON each.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use popwatch_core::access::raw::{AccessGrant, Allowed, decide_read};
use popwatch_core::code::Code;
use popwatch_core::id::{Epoch, PopupId, Position, RigId, Seq};
use popwatch_core::limits::SESSION_BYTES_MAX;
use popwatch_core::record::Record;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::inspect;
use popwatch_wire::answer_v1::EdgeStatus;
use popwatch_wire::problem::Problem;
use popwatch_wire::raw;
use tokio::sync::{mpsc, watch};

use super::live::popup_id;
use super::shared::{Path, ProblemAnswer, problem, read_body};
use crate::access::{Access, Caller};
use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::audit::cross::Peers;
use crate::books_thread::BooksHandle;
use crate::gate;
use crate::keyring::Keyring;

/// Lines that wait for a reader. Beyond: the records wait.
const LINES_MAX: usize = 64;
/// Records that the books are asked for at once.
const PAGE: u32 = 500;

/// What the handler needs.
#[derive(Debug, Clone)]
pub(crate) struct RawState {
    /// Where it is written down; none while it cannot be opened.
    pub(crate) trail: Option<Trail>,
    /// What is known of the peers' trails.
    pub(crate) peers: Option<Peers>,
    /// The rules.
    pub(crate) access: Access,
    /// Where the records are.
    pub(crate) source: Source,
    /// What opens their sealed parts.
    pub(crate) keyring: Keyring,
    /// Clocks and entropy.
    pub(crate) ambient: Ambient,
}

/// Where single records are read from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A rig's journal, as far as it is durable.
    Journal {
        /// The data directory.
        data: PathBuf,
        /// Whose journal.
        rig: RigId,
        /// How far it is durable.
        status: watch::Receiver<Arc<EdgeStatus>>,
    },
    /// The ledger's books.
    Books(BooksHandle),
}

/// Reads single records.
pub(super) async fn read(
    State(state): State<RawState>,
    Extension(caller): Extension<Caller>,
    Path(popup): Path<String>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    let Caller::Holder(holder) = caller else {
        let says = "single records are read with a pass";
        return Err(problem(Code::PassInvalid, says.to_owned()));
    };
    let body = read_body(body, SESSION_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("a read is asked for in a few lines"))?;
    let request = raw::request(popup.as_str(), &body)?;
    let trail = state.trail.clone().ok_or_else(|| {
        let says = "this popwatch has no audit trail, so it shows no single record";
        problem(Code::AuditUnwritten, says.to_owned())
    })?;
    let (peers, rigs) = (state.peers.clone(), request.rigs.clone());
    let closed = tokio::task::spawn_blocking(move || peers?.closed_for(&rigs)).await;
    if let Some(why) = closed.unwrap_or_else(|_| Some("cannot be looked at".to_owned())) {
        let says = format!("{why}; no single record is shown until somebody says why it is so");
        let closed = Problem::new(Code::AuditUnproved, says).with_status(403);
        return Err(closed.into());
    }
    let id: [u8; 16] = state.ambient.random();
    let id = popwatch_core::ledger::hex(&id);
    let rules = state.access.rules(Some(popup.as_str()));
    let asked = (holder.subject.clone(), request.clone());
    let decided = decide_read(&rules, &holder.subject, holder.mfa, request, id.clone());
    let allowed = match decided {
        Ok(allowed) => allowed,
        Err(denial) => {
            let entry = gate::denied(state.ambient.wall_ms(), &id, &asked.0, &asked.1, denial);
            let written = tokio::task::spawn_blocking(move || trail.write(&entry).map(|_| ()));
            if !matches!(written.await, Ok(Ok(()))) {
                tracing::error!("a refused read could not be written down");
            }
            return Err(problem(denial.code(), denial.to_string()));
        }
    };
    let grant = granted(&trail, allowed).await?;
    let (lines, shown) = mpsc::channel(LINES_MAX);
    let ambient = state.ambient.clone();
    let (records, keyring) = (state.source.clone(), state.keyring.clone());
    drop(tokio::task::spawn_blocking(move || {
        let outlet = Outlet {
            trail: &trail,
            ambient: &ambient,
            lines: &lines,
            keyring: &keyring,
            popup: &popup,
        };
        pump(grant, &records, &outlet);
    }));
    let lines = stream::unfold(shown, |mut shown| async move {
        let line: String = shown.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), shown))
    });
    let media = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((media, Body::from_stream(lines)).into_response())
}

async fn granted(trail: &Trail, allowed: Allowed) -> Result<AccessGrant, ProblemAnswer> {
    let trail = trail.clone();
    let committed = tokio::task::spawn_blocking(move || trail.commit(allowed)).await;
    let early = |_| problem(Code::Defect, "writing the read down ended early".to_owned());
    committed.map_err(early)?.map_err(|fault| {
        let says = format!("{fault}; no record was shown");
        problem(fault.code(), says)
    })
}

/// Where lines go, and what the end of the read is written down with.
struct Outlet<'a> {
    trail: &'a Trail,
    ambient: &'a Ambient,
    lines: &'a mpsc::Sender<String>,
    keyring: &'a Keyring,
    popup: &'a PopupId,
}

fn pump(grant: AccessGrant, source: &Source, outlet: &Outlet<'_>) {
    match source {
        Source::Journal { data, rig, status } => {
            let status = Arc::clone(&status.borrow());
            let end = (Epoch(status.epoch), Seq(status.durable_seq));
            let fs = match OsFs::new(data) {
                Ok(fs) => fs,
                Err(fault) => return outlet.show(grant, std::iter::once(Err(fault))),
            };
            match inspect::records(&fs) {
                Ok(records) => outlet.show(grant, durable(records, rig, end)),
                Err(fault) => outlet.show(grant, std::iter::once(Err(fault))),
            }
        }
        Source::Books(books) => outlet.show(grant, booked(books, outlet.popup)),
    }
}

impl Outlet<'_> {
    /// Hands the lines over until the read is over or the reader went away.
    fn show(
        &self,
        grant: AccessGrant,
        records: impl Iterator<Item = std::io::Result<(Position, Record)>>,
    ) {
        let now_ms = || self.ambient.mono_ns() / 1_000_000;
        let close = |closing: gate::Closing| {
            let entry = closing.entry(self.ambient.wall_ms());
            if let Err(fault) = self.trail.write(&entry) {
                let code = fault.code();
                tracing::error!(%code, %fault, "the end of a read could not be written down");
            }
        };
        let parts = self.keyring.opener(self.popup);
        let mut reader = gate::open_raw(grant, records, parts, now_ms(), close);
        while let Some(line) = reader.next(now_ms()) {
            if self.lines.blocking_send(line).is_err() {
                return;
            }
        }
    }
}

/// The records of a journal as far as they are durable.
fn durable<'a>(
    records: impl Iterator<Item = std::io::Result<inspect::Placed>> + 'a,
    rig: &'a RigId,
    end: (Epoch, Seq),
) -> impl Iterator<Item = std::io::Result<(Position, Record)>> + 'a {
    records.filter_map(move |placed| match placed {
        Err(fault) => Some(Err(fault)),
        Ok(placed) if (placed.epoch, placed.seq) > end => None,
        Ok(placed) => {
            let position = Position {
                rig: rig.clone(),
                epoch: placed.epoch,
                seq: placed.seq,
            };
            Some(Ok((position, placed.record)))
        }
    })
}

/// The records that the books hold of a popup, a page at a time.
fn booked<'a>(
    books: &'a BooksHandle,
    popup: &'a PopupId,
) -> impl Iterator<Item = std::io::Result<(Position, Record)>> + 'a {
    let mut after: Option<Position> = None;
    let pages = std::iter::from_fn(move || {
        let (asked, from) = (popup.clone(), after.clone());
        let ask = books.ask(move |books| books.records_after(&asked, from.as_ref(), PAGE));
        let page = tokio::runtime::Handle::current().block_on(ask);
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(fault)) => return Some(vec![Err(std::io::Error::other(fault))]),
            Err(busy) => return Some(vec![Err(std::io::Error::other(busy))]),
        };
        after = Some(page.last()?.0.clone());
        let rows = page.into_iter();
        Some(
            rows.filter_map(|(at, record)| Some(Ok((at, record?))))
                .collect(),
        )
    });
    pages.flatten()
}
