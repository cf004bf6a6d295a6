//! `GET …/statements/{creator}`: what a creator earned, sums and lines.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use popwatch_core::code::Code;
use popwatch_core::id::CreatorId;
use popwatch_core::ledger::statement::{Statement, StatementLine, Sums};
use popwatch_core::limits::BOOKS_PAGE_ROWS_MAX;
use popwatch_store::books::{BooksView, PolicyMark};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::shared::{Path, ProblemAnswer, Query, problem};
use super::unsettled::minor;
use super::{LedgerState, answer, dressed, known, unreadable};

/// Where the page before ended.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct LinesOf {
    cursor: Option<usize>,
}

/// Everything a statement shows.
struct Told {
    view: BooksView,
    statement: Statement,
    policy: Option<PolicyMark>,
    correction: u32,
}

/// A creator's statement; lines by page, sums always of all.
pub(in crate::http) async fn shown(
    State(state): State<LedgerState>,
    Path((popup, creator)): Path<(String, String)>,
    Query(of): Query<LinesOf>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let creator = CreatorId::new(&creator).map_err(|fault| {
        let detail = format!("the creator's name {fault}");
        problem(Code::QueryInvalid, detail)
    })?;
    let as_of_ms = state.ambient.wall_ms();
    let told = state
        .books
        .ask(move |books| {
            Ok(Told {
                view: books.books(&popup)?,
                statement: books.statement(&popup, &creator)?,
                policy: books.policy_mark(&popup)?,
                correction: books.newest_close(&popup)?,
            })
        })
        .await?
        .map_err(unreadable)?;
    let lines = &told.statement.lines;
    let from = of.cursor.unwrap_or(0).min(lines.len());
    let until = lines.len().min(from + BOOKS_PAGE_ROWS_MAX);
    let page = &lines[from..until];
    let mut body = json!({
        "creator": told.statement.creator.as_str(),
        "currencies": currencies(&told.statement),
        "lines": page.iter().map(line).collect::<Vec<_>>(),
        "cursor": (until < lines.len()).then(|| until.to_string()),
        "policy": told.policy.as_ref().map(|of| json!({
            "version": of.version, "blake3": answer::hex(&of.blake3),
        })),
        "correction": told.correction,
        "books_root": answer::hex(&told.view.books_root),
    });
    answer::covered(&told.view, &mut body);
    Ok(dressed(&headers, body, &rows(page), as_of_ms))
}

fn currencies(statement: &Statement) -> Value {
    let sums = |of: &Sums| {
        json!({
            "earned": minor(of.earned),
            "reversed": minor(of.reversed),
            "held": minor(of.held),
            "at_risk": minor(of.at_risk),
            "available": minor(of.available),
            "paid": minor(of.paid),
            "receivable": minor(of.receivable),
        })
    };
    let all = (statement.currencies.iter()).map(|(code, of)| (code.code().to_owned(), sums(of)));
    Value::Object(all.collect::<Map<_, _>>())
}

fn line(of: &StatementLine) -> Value {
    json!({
        "payment": of.payment,
        "at_ms": of.at_ms,
        "sku": of.sku,
        "qty": of.qty,
        "currency": of.currency.code(),
        "goods": minor(of.goods),
        "weight_ppm": of.weight_ppm,
        "evidence": of.evidence.text(),
        "rate_ppm": of.rate_ppm,
        "share": minor(of.share),
        "state": of.state.text(),
        "break": of.found.as_ref().map(|id| id.as_str()),
    })
}

/// Lines as rows.
fn rows(lines: &[StatementLine]) -> Vec<Vec<String>> {
    let head = [
        "payment", "time", "sku", "qty", "currency", "goods", "evidence", "rate_ppm", "share",
        "state", "break",
    ];
    let one = |of: &StatementLine| {
        vec![
            of.payment.clone(),
            popwatch_wire::json::rfc3339(of.at_ms),
            of.sku.clone(),
            of.qty.to_string(),
            of.currency.code().to_owned(),
            of.goods.to_string(),
            of.evidence.text().to_owned(),
            of.rate_ppm.to_string(),
            of.share.to_string(),
            of.state.text().to_owned(),
            of.found
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]
    };
    let mut out = vec![head.map(str::to_owned).to_vec()];
    out.extend(lines.iter().map(one));
    out
}
