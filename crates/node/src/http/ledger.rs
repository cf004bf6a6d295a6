//! The records lane's receiving end, and what the books answer.

mod answer;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use popwatch_core::cell::Cell;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::lane::{CellBatch, RecordAck, RecordBatch};
use popwatch_core::ledger::reconcile::{CellState, Cells};
use popwatch_core::limits::{BATCH_WIRE_BYTES_MAX, CLOCK_PEER_U_MS, PEER_DELAY_MS_MAX};
use popwatch_store::books::BooksFault;
use popwatch_wire::lanes;

use super::lanes::{batch_answer, read_batch};
use super::live::popup_id;
use super::shared::{ProblemAnswer, problem};
use crate::ambient::Ambient;
use crate::books_thread::{BooksHandle, Busy};
use crate::client::Client;
use crate::metrics::LedgerMetrics;

/// A batch that takes longer is taken for a sign that the ledger is behind, ms.
const SLOW_MS: u64 = 1_000;
/// Fewer items a batch are not asked for: each batch costs a sync.
const SLOW_ITEMS_MIN: usize = 64;

/// What the ledger's handlers share.
#[derive(Debug, Clone)]
pub(crate) struct LedgerState {
    /// The books' thread.
    pub(crate) books: BooksHandle,
    /// Regions whose cells are compared with the re-fold.
    pub(crate) regions: Arc<[String]>,
    /// Clocks.
    pub(crate) ambient: Ambient,
    /// Counters.
    pub(crate) metrics: Arc<LedgerMetrics>,
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
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let arrived_us = state.ambient.wall_us();
    let batch: RecordBatch = read_batch(body).await?;
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
            ask_for_peace(&mut ack, items);
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
/// the others get their turn. One that did not has no wish.
fn ask_for_peace(ack: &mut RecordAck, items: usize) {
    let took_ms = ack.send_wall_us.saturating_sub(ack.recv_wall_us) / 1_000;
    let took_ms = u64::try_from(took_ms).unwrap_or(0);
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
pub(super) async fn popups(State(state): State<LedgerState>) -> Result<Response, ProblemAnswer> {
    let popups = state
        .books
        .ask(|books| books.popups())
        .await?
        .map_err(unreadable)?;
    let rows: Vec<_> = popups
        .iter()
        .map(|popup| serde_json::json!({ "id": popup.to_string() }))
        .collect();
    Ok(Json(serde_json::json!({ "popups": rows })).into_response())
}

fn unreadable(fault: BooksFault) -> ProblemAnswer {
    problem(fault.code(), fault.to_string())
}

async fn known(state: &LedgerState, popup: &str) -> Result<PopupId, ProblemAnswer> {
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

/// Accounts with their balances.
pub(super) async fn books(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let view = state
        .books
        .ask(move |books| books.books(&popup))
        .await?
        .map_err(unreadable)?;
    Ok(Json(answer::books(&view)).into_response())
}

/// Named differences.
pub(super) async fn breaks(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let breaks = state
        .books
        .ask(move |books| books.breaks(&popup))
        .await?
        .map_err(unreadable)?;
    Ok(Json(answer::breaks(&breaks)).into_response())
}

/// Completeness and the comparison of re-fold and region.
pub(super) async fn reconciliation(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let cells = region_cells(&state, &popup).await?;
    let as_of = state.ambient.now().wall;
    let asked = popup.clone();
    let (view, found) = state
        .books
        .ask(move |books| {
            let view = books.books(&asked)?;
            books
                .reconcile(&asked, cells, as_of)
                .map(|found| (view, found))
        })
        .await?
        .map_err(unreadable)?;
    Ok(Json(answer::reconciliation(&view, &found)).into_response())
}

/// What the first configured region holds; `None` without one.
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
    let answer = Client::new()
        .get(&url, &[])
        .await
        .map_err(|fault| unreachable(fault.to_string()))?;
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
