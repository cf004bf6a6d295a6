//! The records lane's receiving end, and what the books answer.

mod answer;
pub(super) mod central;
pub(super) mod closing;
pub(super) mod statements;
mod unsettled;

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::access::Scope;
use popwatch_core::cell::Cell;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::lane::{CellBatch, RecordAck, RecordBatch};
use popwatch_core::ledger::reconcile::{CellState, Cells};
use popwatch_core::ledger::{Account, Break};
use popwatch_core::limits::{
    BATCH_WIRE_BYTES_MAX, BOOKS_PAGE_ROWS_MAX, CLOCK_PEER_U_MS, PEER_DELAY_MS_MAX,
};
use popwatch_core::time::WallMs;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_store::books::{Books, BooksFault, EntryQuestion};
use popwatch_wire::books_v1::csv;
use popwatch_wire::lanes;
use popwatch_wire::note::NoteKey;
use serde::Deserialize;

pub(crate) use closing::ORG;

use super::lanes::{batch_answer, read_batch};
use super::live::popup_id;
use super::shared::{Path, ProblemAnswer, Query, holds, problem};
use crate::access::{Access, Caller};
use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::books_thread::{BooksHandle, Busy};
use crate::client::Client;
use crate::config::provider::FileTerms;
use crate::metrics::LedgerMetrics;
use crate::register::Desk;
use crate::tls::Line;

/// A batch that takes longer is taken for a sign that the ledger is behind, ms.
const SLOW_MS: u64 = 1_000;
/// Fewer items a batch are not asked for: each batch costs a sync.
const SLOW_ITEMS_MIN: usize = 64;

/// What the ledger's handlers share.
#[derive(Debug, Clone)]
pub(crate) struct LedgerState {
    /// Who may speak as which rig.
    pub(crate) desk: Desk,
    /// The books' thread.
    pub(crate) books: BooksHandle,
    /// Regions whose cells are compared with the re-fold.
    pub(crate) regions: Arc<[String]>,
    /// Who this ledger is to its regions.
    pub(crate) access: Access,
    /// Clocks.
    pub(crate) ambient: Ambient,
    /// Counters.
    pub(crate) metrics: Arc<LedgerMetrics>,
    /// What certificates are signed with.
    pub(crate) close_key: Arc<NoteKey>,
    /// Where it is written down who did what.
    pub(crate) trail: Trail,
    /// Held while a close runs.
    pub(crate) closing: Arc<tokio::sync::Mutex<()>>,
    /// Under which card-like references are mapped.
    pub(crate) references: ReferenceKey,
    /// How the files of each configured account are read.
    pub(crate) files: Arc<[FileTerms]>,
    /// Where uploads wait while they are read.
    pub(crate) data: Arc<FilePath>,
}

impl From<Busy> for ProblemAnswer {
    fn from(busy: Busy) -> Self {
        problem(
            Code::LedgerUnavailable,
            format!("{busy}; send the same batch again"),
        )
    }
}

/// Stores a batch; answers after the commit.
pub(super) async fn records(
    State(state): State<LedgerState>,
    Extension(caller): Extension<Caller>,
    Extension(line): Extension<Line>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let (arrived_us, arrived_ns) = (state.ambient.wall_us(), state.ambient.mono_ns());
    let batch: RecordBatch = read_batch(body).await?;
    caller.brings(&batch.rig)?;
    (state.desk).admits(&batch.rig, line.key, caller.has_pass())?;
    let (items, echo) = (batch.items.len(), batch.sent_mono_ns);
    match state.books.accept(batch).await? {
        Ok(mut ack) => {
            state.metrics.accepted(items);
            for odd in ack.not_ok.iter().filter(|odd| !odd.code.is_empty()) {
                tracing::warn!(
                    code = odd.code,
                    verdict = odd.verdict,
                    seq = odd.seq,
                    epoch = ack.epoch,
                    "a record is odd"
                );
            }
            ack.echo_mono_ns = echo;
            ack.recv_wall_us = arrived_us;
            ack.wall_u_ms = CLOCK_PEER_U_MS;
            ack.send_wall_us = state.ambient.wall_us();
            let took_ns = state.ambient.mono_ns().saturating_sub(arrived_ns);
            ask_for_peace(&mut ack, items, took_ns / 1_000_000);
            batch_answer(&ack)
        }
        Err(fault) => {
            state.metrics.refused();
            tracing::warn!(%fault, "record batch refused");
            Ok(refusal(&fault))
        }
    }
}

/// A ledger that took long over a batch asks its rig for smaller ones and for as long a rest, so that
/// the others get their turn. One that did not has no wish. `took_ms` is by the steady clock.
fn ask_for_peace(ack: &mut RecordAck, items: usize, took_ms: u64) {
    if took_ms < SLOW_MS {
        return;
    }
    ack.delay_ms = u32::try_from(took_ms.min(PEER_DELAY_MS_MAX)).unwrap_or(u32::MAX);
    let fewer = (items / 2).max(SLOW_ITEMS_MIN);
    ack.max_items = u32::try_from(fewer).unwrap_or(u32::MAX);
    let bytes = BATCH_WIRE_BYTES_MAX as u64 * SLOW_MS / took_ms;
    ack.max_bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
}

fn refusal(fault: &BooksFault) -> Response {
    let mut response = problem(fault.code(), fault.to_string()).into_response();
    if let BooksFault::Fork { next_epoch, .. } = fault {
        response
            .headers_mut()
            .insert("popwatch-next-epoch", (*next_epoch).into());
    }
    response
}

/// The popups the books know.
pub(super) async fn popups(
    State(state): State<LedgerState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, ProblemAnswer> {
    let popups = state
        .books
        .ask(|books| books.popups())
        .await?
        .map_err(unreadable)?;
    let rows: Vec<_> = popups
        .iter()
        .filter(|popup| caller.sees(popup.as_str()))
        .map(|popup| serde_json::json!({ "id": popup.to_string() }))
        .collect();
    Ok(Json(serde_json::json!({ "popups": rows })).into_response())
}

fn unreadable(fault: BooksFault) -> ProblemAnswer {
    problem(fault.code(), fault.to_string())
}

async fn known(state: &LedgerState, popup: &str) -> Result<PopupId, ProblemAnswer> {
    if let Ok(book) = PopupId::of_book(popup)
        && book.is_account_book()
    {
        return Ok(book);
    }
    let popup = popup_id(popup)?;
    let popups = state
        .books
        .ask(|books| books.popups())
        .await?
        .map_err(unreadable)?;
    if popups.contains(&popup) {
        return Ok(popup);
    }
    Err(problem(
        Code::PopupUnknown,
        format!("the books hold no record of {popup}; /v1/popups lists the others"),
    ))
}

/// What of a book is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct BooksOf {
    account: Option<String>,
    entries: Option<u8>,
    correction: Option<u32>,
    cursor: Option<u64>,
}

/// Accounts with their balances, or the entries behind them.
pub(super) async fn books(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    Query(of): Query<BooksOf>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let as_of_ms = state.ambient.wall_ms();
    let wrong = |detail: &str| problem(Code::QueryInvalid, detail.to_owned());
    let account = match &of.account {
        Some(text) => Some(
            Account::parse(text)
                .ok_or_else(|| wrong("account must be one of the chart, such as 1310"))?,
        ),
        None => None,
    };
    let is_list = of.entries.is_some_and(|entries| entries != 0);
    if !is_list && (account.is_some() || of.correction.is_some()) {
        return Err(wrong("account and correction need entries=1"));
    }
    let question = EntryQuestion {
        account,
        correction: of.correction,
        after: of.cursor.unwrap_or(0),
    };
    let (view, entries, exposed) = state
        .books
        .ask(move |books| {
            let view = books.books(&popup)?;
            Ok(match is_list {
                true => (view, Some(books.entries(&popup, &question)?), Vec::new()),
                false => (view, None, books.exposed(&popup)?),
            })
        })
        .await?
        .map_err(unreadable)?;
    let (body, rows) = match &entries {
        Some(entries) => (answer::entries(&view, entries), answer::entry_rows(entries)),
        None => {
            let mut body = answer::books(&view);
            body["exposure"] = unsettled::exposure(&exposed);
            (body, answer::account_rows(&view))
        }
    };
    Ok(dressed(&headers, body, &rows, as_of_ms))
}

/// A list as JSON or, where that is asked for, as CSV; with an `ETag` that covers all but the moment.
fn dressed(
    headers: &HeaderMap,
    mut body: serde_json::Value,
    rows: &[Vec<String>],
    as_of_ms: i64,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let hash = blake3::hash(body.to_string().as_bytes()).to_hex();
    let is_csv = text(header::ACCEPT).is_some_and(|accept| accept.contains("text/csv"));
    let etag = format!("W/\"{}{}\"", &hash[..32], if is_csv { "-csv" } else { "" });
    if holds(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    if is_csv {
        let media = (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned());
        return ([media, (header::ETAG, etag)], csv(rows)).into_response();
    }
    body["as_of_ms"] = as_of_ms.into();
    ([(header::ETAG, etag)], Json(body)).into_response()
}

/// Which breaks are asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BreaksOf {
    state: Option<String>,
    class: Option<String>,
    severity: Option<String>,
    cursor: Option<String>,
}

impl BreaksOf {
    fn wants(&self, found: &Break) -> bool {
        let fits = |asked: &Option<String>, held: &str| asked.as_deref().is_none_or(|a| a == held);
        fits(&self.state, found.state.text())
            && fits(&self.class, found.class.text())
            && fits(&self.severity, found.severity.text())
    }
}

/// Named differences, those of the provider accounts apart.
pub(super) async fn breaks(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    Query(of): Query<BreaksOf>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let as_of_ms = state.ambient.wall_ms();
    let (view, mut own, accounts) = state
        .books
        .ask(move |books| {
            let accounts = books.account_breaks()?;
            Ok((books.books(&popup)?, books.breaks(&popup)?, accounts))
        })
        .await?
        .map_err(unreadable)?;
    own.retain(|found| of.wants(found));
    own.sort_by(|a, b| a.id.cmp(&b.id));
    let of_accounts: Vec<_> = accounts
        .into_iter()
        .map(|(_, found)| found)
        .filter(|found| of.wants(found))
        .take(BOOKS_PAGE_ROWS_MAX)
        .collect();
    let from = of.cursor.as_ref().map_or(0, |cursor| {
        own.partition_point(|found| found.id.as_str() <= cursor.as_str())
    });
    let page = &own[from..own.len().min(from + BOOKS_PAGE_ROWS_MAX)];
    let body = answer::breaks(&view, &own, page, &of_accounts);
    Ok(dressed(&headers, body, &answer::break_rows(page), as_of_ms))
}

/// As of when, and whether from nothing.
#[derive(Debug, Deserialize)]
pub(super) struct ReconciliationOf {
    as_of: Option<String>,
    full: Option<u8>,
}

/// Completeness and the comparison of re-fold and region.
pub(super) async fn reconciliation(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    Query(of): Query<ReconciliationOf>,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let cells = region_cells(&state, &popup).await?;
    let now = state.ambient.now();
    let as_of = match of.as_of.as_deref() {
        None => now.wall,
        Some(text) => WallMs(popwatch_wire::json::rfc3339_ms(text).ok_or_else(|| {
            let detail = "as_of must be an RFC 3339 time";
            problem(Code::QueryInvalid, detail.to_owned())
        })?),
    };
    let is_full = of.full.is_some_and(|full| full != 0);
    let is_asked = of.as_of.is_some();
    let asked = popup.clone();
    let (view, found, open) = state
        .books
        .ask(move |books| {
            if !is_asked {
                books.advance(as_of.0, now)?;
            }
            let look = |books: &Books| -> Result<_, BooksFault> {
                let found = books.reconcile(&asked, cells, as_of)?;
                Ok((books.books(&asked)?, found, books.unsettled(&asked)?))
            };
            match is_asked || is_full {
                // Another moment than now is asked about, never moved to.
                true => books.tried(as_of, is_full, now, look),
                false => look(books),
            }
        })
        .await?
        .map_err(unreadable)?;
    let mut body = answer::reconciliation(&view, &found);
    unsettled::add(&mut body, popup.as_str(), &open);
    Ok(Json(body).into_response())
}

/// HTTP's word for what was there and is no more.
const GONE: u16 = 410;

/// What the first configured region holds; `None` without one, and where it let go of the cells.
async fn region_cells(
    state: &LedgerState,
    popup: &PopupId,
) -> Result<Option<Cells>, ProblemAnswer> {
    let Some(region) = state.regions.first() else {
        return Ok(None);
    };
    let url = format!("{}/v1/popups/{popup}/cells", region.trim_end_matches('/'));
    let unreachable = |reason: String| {
        problem(
            Code::LedgerUnavailable,
            format!("region {region} did not show its cells ({reason}); try again when it answers"),
        )
    };
    let pass = state.access.own_pass(Scope::Operator, "");
    let answer = Client::new()
        .with_pass(pass.as_deref())
        .get(&url, &[])
        .await
        .map_err(|fault| unreachable(fault.to_string()))?;
    if answer.status == GONE {
        return Ok(None);
    }
    if !answer.is_success() {
        return Err(unreachable(format!("status {}", answer.status)));
    }
    let batch: CellBatch =
        lanes::decode(&answer.body).map_err(|fault| unreachable(fault.to_string()))?;
    let cells = batch.cells.iter().map(|bytes| {
        let cell = Cell::decode_canonical(bytes).map_err(|fault| unreachable(fault.to_string()))?;
        Ok((cell.key(), CellState::of(&cell)))
    });
    cells.collect::<Result<Cells, ProblemAnswer>>().map(Some)
}
