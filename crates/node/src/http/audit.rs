//! The audit trail for readers: pages of it, proofs, and the tiles that any verifier of C2SP logs reads.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::code::Code;
use popwatch_core::limits::{BOOKS_PAGE_ROWS_MAX, SESSION_BYTES_MAX};
use popwatch_core::tlog::Tile;
use popwatch_store::audit::AuditFault;
use popwatch_wire::audit::heads::{Swap, base};
use popwatch_wire::audit::{Action, Proof};
use serde::Deserialize;
use serde_json::{Value, json};

use super::live::popup_id;
use super::shared::{Path, ProblemAnswer, Query, problem, read_body};
use crate::access::Caller;
use crate::audit::Trail;
use crate::audit::cross::Peers;

/// Entries that are looked through at once.
const LOOKED_AT: u64 = 1_000;

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

/// Who looked at a popup's single records, and what became of each read; for a creator, the reads that
/// may have shown theirs. Nothing is ever left out of it but by age: the newest come first.
pub(super) async fn access_log(
    State(trail): State<Trail>,
    Extension(caller): Extension<Caller>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = String::from(&popup_id(&popup)?);
    let key = trail.key().to_string();
    let (origin, entries) = blocking(&trail, move |trail| {
        trail.with(|log| {
            let mut found = Vec::new();
            let mut from = 0;
            while from < log.size() {
                let page = log.read(from..from.saturating_add(LOOKED_AT))?;
                let of = (from..).zip(page);
                found.extend(of.filter_map(|(number, entry)| looked(number, &entry, &popup)));
                from = from.saturating_add(LOOKED_AT);
            }
            Ok((log.origin(), found))
        })
    })
    .await?;
    let closed: BTreeMap<&str, &Value> = entries
        .iter()
        .filter(|(_, entry)| entry["action"] == Action::RawClosed.text())
        .filter_map(|(_, entry)| Some((entry["id"].as_str()?, entry)))
        .collect();
    let creator = caller.creator();
    let reads = entries.iter().rev().filter(|(_, entry)| {
        let of = entry["read"]["creator"].as_str().unwrap_or_default();
        entry["action"] != Action::RawClosed.text()
            && creator.is_none_or(|own| of.is_empty() || of == own)
    });
    let rows = reads.take(BOOKS_PAGE_ROWS_MAX).map(|(number, entry)| {
        let end = entry["id"].as_str().and_then(|id| closed.get(id));
        let outcome = match (entry["decision"].as_str(), end) {
            (Some("denied"), _) => json!("denied"),
            (_, Some(end)) => end["detail"]["end"].clone(),
            (_, None) => json!("unfinished"),
        };
        json!({
            "number": number,
            "ts": entry["ts"],
            "action": entry["action"],
            "actor": entry["actor"],
            "scope": entry["scope"],
            "purpose": entry["purpose"],
            "read": entry["read"],
            "reason": entry["reason"],
            "policy": entry["policy"],
            "outcome": outcome,
            "rows": end.map_or(Value::Null, |end| end["detail"]["rows"].clone()),
            "proof": format!("/v1/audit/{number}/proof"),
        })
    });
    let body = json!({
        "origin": origin,
        "key": key,
        "verify": format!("popwatch audit verify FILE --key {key}"),
        "reads": rows.collect::<Vec<_>>(),
    });
    Ok(Json(body).into_response())
}

/// An entry about single records of a popup.
fn looked(number: u64, entry: &[u8], popup: &str) -> Option<(u64, Value)> {
    let entry: Value = serde_json::from_slice(entry).ok()?;
    let action = entry["action"].as_str()?;
    let is_read = [Action::RawRead, Action::RawClosed, Action::Exported]
        .iter()
        .any(|one| one.text() == action);
    let is_of = entry["resource"]["popup"] == popup;
    // An export holds all popups.
    let is_of = is_of || action == Action::Exported.text();
    (is_read && is_of).then_some((number, entry))
}

/// Takes a peer's newest head and answers with ours.
pub(super) async fn peer(
    State(peers): State<Peers>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let body = read_body(body, SESSION_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("a head and its proof are small"))?;
    let wrong = |detail: &str| problem(Code::QueryInvalid, detail.to_owned());
    let swap: Swap = serde_json::from_slice(&body)
        .map_err(|_| wrong("send the head of an audit trail, with its key and proof"))?;
    if let Some(head) = swap.told.head() {
        let of = base(&head.origin);
        caller.brings(of.rsplit('/').next().unwrap_or_default())?;
    }
    let swapped = tokio::task::spawn_blocking(move || peers.swap(&swap)).await;
    let unkept = || {
        problem(
            Code::AuditUnwritten,
            "a peer's head cannot be kept".to_owned(),
        )
    };
    let swapped = swapped.map_err(|_| unkept())?.map_err(|_| unkept())?;
    Ok(Json(swapped).into_response())
}

/// The peers' trails as they were last seen, and what peers say of ours.
pub(super) async fn peers(State(peers): State<Peers>) -> Result<Response, ProblemAnswer> {
    let asked = tokio::task::spawn_blocking(move || (peers.all(), peers.told_of_us())).await;
    let early = |_| problem(Code::Defect, "looking at the peers ended early".to_owned());
    let (all, told_of_us) = asked.map_err(early)?;
    let rows = all.iter().map(|kept| {
        let head = kept.head();
        json!({
            "origin": head.as_ref().map(|head| &head.origin),
            "size": head.as_ref().map(|head| head.size),
            "seen_ms": kept.at_ms,
            "checkpoint": kept.checkpoint,
            "code": kept.convicted.as_ref().map(|_| Code::AuditUnproved.to_string()),
            "convicted": kept.convicted,
            "may_hold_unseen_reads_since_ms": kept.at_ms,
        })
    });
    let rows: Vec<Value> = rows.collect();
    Ok(Json(json!({ "peers": rows, "told_of_us": told_of_us })).into_response())
}

/// The proof of one entry.
pub(super) async fn proof(
    State(trail): State<Trail>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<u64>,
) -> Result<Response, ProblemAnswer> {
    let found = blocking(&trail, move |trail| trail.with(|log| log.prove(number))).await?;
    let found = found.ok_or_else(|| absent("there is no entry of that number yet"))?;
    if !may_see(&caller, &found.entry) {
        let says = "the pass shows entries of its own popup, and a creator those of reads";
        return Err(problem(Code::ScopeRefused, says.to_owned()));
    }
    let proof = Proof {
        entry: found.entry,
        index: number,
        hashes: found.hashes,
        checkpoint: found.head,
    };
    Ok(text(proof.encode()))
}

/// Whether an entry is of the popup that a pass is for, and for a creator of a read that may have shown
/// theirs.
fn may_see(caller: &Caller, entry: &[u8]) -> bool {
    let entry: Value = serde_json::from_slice(entry).unwrap_or(Value::Null);
    let popup = entry["resource"]["popup"].as_str().unwrap_or_default();
    let of = entry["read"]["creator"].as_str().unwrap_or_default();
    let is_read = entry["action"] == Action::RawRead.text();
    caller.sees(popup)
        && caller
            .creator()
            .is_none_or(|own| is_read && (of.is_empty() || of == own))
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
