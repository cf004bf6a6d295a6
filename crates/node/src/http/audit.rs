//! The audit trail for readers: pages of it, proofs, and the tiles that any verifier of C2SP logs reads.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::limits::BOOKS_PAGE_ROWS_MAX;
use popwatch_core::tlog::Tile;
use popwatch_store::audit::AuditFault;
use popwatch_wire::audit::Proof;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shared::{ProblemAnswer, problem};
use crate::audit::Trail;

/// Which entries are asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    from: Option<u64>,
    limit: Option<u64>,
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    trail: &Trail,
    ask: impl FnOnce(&Trail) -> Result<T, AuditFault> + Send + 'static,
) -> Result<T, ProblemAnswer> {
    let trail = trail.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&trail)).await;
    asked
        .map_err(|_| {
            problem(
                Code::Defect,
                "asking the audit trail ended early".to_owned(),
            )
        })?
        .map_err(|fault| problem(fault.code(), fault.to_string()))
}

/// A page of entries, each with its number.
pub(super) async fn entries(
    State(trail): State<Trail>,
    Query(page): Query<Page>,
) -> Result<Response, ProblemAnswer> {
    let rows_max = BOOKS_PAGE_ROWS_MAX as u64;
    let limit = page.limit.unwrap_or(rows_max).min(rows_max);
    let key = trail.key().to_string();
    let (origin, size, head, from, entries) = blocking(&trail, move |trail| {
        trail.with(|log| {
            let from = page.from.unwrap_or(log.size().saturating_sub(limit));
            let entries = log.read(from..from.saturating_add(limit))?;
            Ok((
                log.origin(),
                log.size(),
                log.head().to_owned(),
                from,
                entries,
            ))
        })
    })
    .await?;
    let rows = (from..).zip(&entries).map(|(number, entry)| {
        let entry: Value = serde_json::from_slice(entry).unwrap_or(Value::Null);
        json!({"number": number, "entry": entry})
    });
    let rows: Vec<Value> = rows.collect();
    let body = json!({
        "origin": origin,
        "size": size,
        "checkpoint": head,
        "key": key,
        "entries": rows,
    });
    Ok(Json(body).into_response())
}

/// The proof of one entry.
pub(super) async fn proof(
    State(trail): State<Trail>,
    Path(number): Path<u64>,
) -> Result<Response, ProblemAnswer> {
    let found = blocking(&trail, move |trail| trail.with(|log| log.prove(number))).await?;
    let found = found.ok_or_else(|| absent("there is no entry of that number yet"))?;
    let proof = Proof {
        entry: found.entry,
        index: number,
        hashes: found.hashes,
        checkpoint: found.head,
    };
    Ok(text(proof.encode()))
}

/// The signed head.
pub(super) async fn checkpoint(State(trail): State<Trail>) -> Result<Response, ProblemAnswer> {
    match trail.with(|log| log.head().to_owned()) {
        head if head.is_empty() => Err(absent("the trail has no entry yet")),
        head => Ok(text(head)),
    }
}

/// A tile or a bundle.
pub(super) async fn tile(
    State(trail): State<Trail>,
    Path(path): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let missing = || absent("there is no such tile yet; the checkpoint tells the size");
    let tile = Tile::parse(&path).ok_or_else(missing)?;
    let found = blocking(&trail, move |trail| trail.with(|log| log.tile(&tile))).await?;
    let bytes = found.ok_or_else(missing)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn absent(detail: &str) -> ProblemAnswer {
    problem(Code::AuditUnknown, detail.to_owned())
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}
