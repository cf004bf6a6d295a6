//! Closing books, and the certificates of closes.
//!
//! What always holds: a certificate is answered only after it is in the books; two closes never run at
//! once; closing again what did not change answers the certificate that stands.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::event::central::CloseSigned;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::breaks::{BreakState, Severity};
use popwatch_core::ledger::close::{
    Balances, Certificate, InputFile, Pending, Scope, Value, Watermark,
};
use popwatch_core::ledger::reconcile::Reconciliation;
use popwatch_core::ledger::{Chart, Rule, hex};
use popwatch_core::limits::{CERTIFICATE_BYTES_MAX, DECISION_BYTES_MAX};
use popwatch_core::time::{Now, WallMs};
use popwatch_store::books::{AccountLine, Books, BooksView};
use popwatch_wire::audit::Action;
use popwatch_wire::close;
use popwatch_wire::note::NoteKey;
use serde::Deserialize;
use serde_json::json;

use super::super::audit::blocking;
use super::super::shared::{Path, ProblemAnswer, Query, problem, read_body};
use super::{LedgerState, central, known, region_cells, unreadable};
use crate::audit::Trail;

/// Whose books these are while one ledger serves one org.
pub(crate) const ORG: &str = "local";

/// `?n=`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Which {
    n: Option<u32>,
}

/// What a close is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    scope: Option<String>,
    allow_open: bool,
    as_of_ms: Option<i64>,
}

/// The newest certificate, or the one with this number.
pub(in crate::http) async fn shown(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let asked = popup.clone();
    let closes = state
        .books
        .ask(move |books| books.closes(&asked))
        .await?
        .map_err(unreadable)?;
    let found = match which.n {
        Some(n) => closes.get(&n),
        None => closes.values().next_back(),
    };
    let found = found.ok_or_else(|| {
        let detail = match which.n {
            Some(n) => format!("{popup} has no certificate {n}; leave n out for the newest"),
            None => format!("{popup} was never closed; close it with popwatch close {popup}"),
        };
        problem(Code::NeverClosed, detail)
    })?;
    answer(&state.close_key, &found.certificate)
}

/// Closes the books of a popup.
pub(in crate::http) async fn close(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let body = read_body(body, DECISION_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("a close says its scope and little else"))?;
    let asked: Asked = match body.is_empty() {
        true => Asked::default(),
        false => serde_json::from_slice(&body).map_err(|_| {
            let detail = "a close is JSON with scope, allow_open and as_of_ms, all optional";
            problem(Code::BodyUnparsable, detail.to_owned())
        })?,
    };
    let scope = Scope::from_text(asked.scope.as_deref().unwrap_or(Scope::Edge.text())).ok_or_else(
        || {
            let detail = "scope must be edge or settled";
            problem(Code::QueryInvalid, detail.to_owned())
        },
    )?;
    let _alone = state.closing.try_lock().map_err(|_| {
        let detail = "another close is running; look at its certificate first";
        problem(Code::CloseRunning, detail.to_owned())
    })?;
    blocking(&state.trail, Trail::ready).await?;
    let cells = region_cells(&state, &popup).await?;
    let name = popup.clone();
    let (key, now) = (state.close_key.clone(), state.ambient.now());
    let file = state
        .books
        .ask(move |books| {
            let closing = Closing {
                popup: &popup,
                scope,
                asked: &asked,
                now,
            };
            closing.run(books, cells, &key)
        })
        .await??;
    trace(&state.trail, &name, &file).await?;
    answer(&state.close_key, &file)
}

/// Writes down that the books were closed. Where that fails the certificate is signed and stored all the
/// same: asking again gives the same one, and writes it down.
async fn trace(trail: &Trail, popup: &PopupId, file: &[u8]) -> Result<(), ProblemAnswer> {
    let Ok((_, held)) = close::read(file) else {
        return Ok(());
    };
    let field = |name: &str| held.field(name).cloned().unwrap_or(Value::Null);
    let detail = Value::map([
        ("n", field("n")),
        ("scope", field("scope")),
        ("certificate", Value::text(hex(&held.digest()))),
    ]);
    let entry = trail.entry(Action::BooksClosed, popup.as_str(), detail);
    blocking(trail, move |trail| trail.write(&entry)).await?;
    Ok(())
}

fn answer(key: &NoteKey, file: &[u8]) -> Result<Response, ProblemAnswer> {
    let (note, held) = close::read(file).map_err(|fault| {
        problem(
            Code::LedgerUnavailable,
            format!("the stored certificate is damaged: {fault}"),
        )
    })?;
    let body = json!({
        "note": note,
        "close": close::to_json(&held),
        "hash": hex(&held.digest()),
        "key": key.public().to_string(),
    });
    Ok(Json(body).into_response())
}

struct Closing<'a> {
    popup: &'a PopupId,
    scope: Scope,
    asked: &'a Asked,
    now: Now,
}

impl Closing<'_> {
    fn run(
        &self,
        books: &mut Books,
        cells: Option<popwatch_core::ledger::reconcile::Cells>,
        key: &NoteKey,
    ) -> Result<Vec<u8>, ProblemAnswer> {
        let facts = books.facts(self.popup).map_err(unreadable)?;
        let newest = facts.newest_ms.unwrap_or(0);
        let as_of_ms = self.asked.as_of_ms.unwrap_or(self.now.wall.0.max(newest));
        if as_of_ms < newest {
            let at = popwatch_wire::json::rfc3339(newest);
            let detail = format!("the newest fact is of {at}; close as of then or later");
            return Err(problem(Code::CloseEarly, detail));
        }
        books.advance(as_of_ms, self.now).map_err(unreadable)?;
        let found = books
            .reconcile(self.popup, cells, WallMs(as_of_ms))
            .map_err(unreadable)?;
        let view = books.books(self.popup).map_err(unreadable)?;
        if !self.asked.allow_open {
            self.check_open(&view, &found)?;
        }
        let closes = books.closes(self.popup).map_err(unreadable)?;
        let last = closes.values().next_back();
        let prev = match last {
            Some(last) => Some(close::read(&last.certificate).map_err(|fault| {
                let detail = format!("the stored certificate is damaged: {fault}");
                problem(Code::LedgerUnavailable, detail)
            })?),
            None => None,
        };
        let mut certificate = certificate(&view, &found, self.scope);
        certificate.as_of_ms = as_of_ms;
        certificate.pending = books.pending(self.popup).map_err(unreadable)?;
        (certificate.facts, certificate.facts_root) = (facts.count, facts.root);
        certificate.inputs = books
            .files()
            .map_err(unreadable)?
            .into_iter()
            .map(|file| InputFile {
                file: file.layout,
                blake3: file.blake3,
                rows: file.rows,
            })
            .collect();
        if let (Some(last), Some((_, held))) = (last, &prev) {
            certificate.n = last.n;
            if is_same(held, &certificate.value()) {
                return Ok(last.certificate.clone());
            }
            certificate.n = last.n + 1;
            certificate.prev = Some(held.digest());
        }
        let file = signed(&mut certificate, key)?;
        let event = SystemEvent::CloseSigned(CloseSigned {
            popup: self.popup.to_string(),
            n: certificate.n,
            scope: self.scope.text().to_owned(),
            certificate: file.clone(),
        });
        let record = central::record(event, self.now);
        books
            .append_central(vec![record], self.now)
            .map_err(unreadable)?;
        Ok(file)
    }

    /// Refuses while money is open: breaks of severity money, and of the scope `settled` what has not
    /// reached the bank.
    fn check_open(&self, view: &BooksView, found: &Reconciliation) -> Result<(), ProblemAnswer> {
        let grave = found
            .breaks
            .iter()
            .filter(|one| one.state == BreakState::Open && one.severity == Severity::Money);
        let names: Vec<_> = grave
            .map(|one| format!("{} {}", one.class.text(), one.id))
            .take(10)
            .collect();
        if !names.is_empty() {
            let detail = format!(
                "open: {}; resolve or accept them, or allow open breaks",
                names.join(", ")
            );
            return Err(problem(Code::CloseOpen, detail));
        }
        if self.scope == Scope::Edge {
            return Ok(());
        }
        for (currency, books) in &view.currencies {
            let mut way = books
                .accounts
                .iter()
                .filter(|line| is_on_the_way(line.account.of));
            if let Some(line) = way.find(|line| line.balance() != 0) {
                let detail = format!(
                    "{} {} minor units stand on {} ({}) and not on the bank account; upload what \
                     settles them, or allow open breaks",
                    currency.code(),
                    line.balance(),
                    line.account,
                    line.account.of.title(),
                );
                return Err(problem(Code::CloseOpen, detail));
            }
        }
        Ok(())
    }
}

/// Accounts that money only passes on its way to the bank.
const fn is_on_the_way(of: Chart) -> bool {
    matches!(
        of,
        Chart::EdgeCaptured
            | Chart::OfflineStored
            | Chart::PspPending
            | Chart::PspAvailable
            | Chart::PayoutTransit
    )
}

/// Whether two certificates say the same of the books, whenever.
fn is_same(held: &Value, new: &Value) -> bool {
    let (Value::Map(held), Value::Map(new)) = (held, new) else {
        return false;
    };
    let apart = ["as_of", "prev", "kind", "stock", "pending"];
    held.len() == new.len()
        && held
            .iter()
            .all(|(name, value)| apart.contains(&name.as_str()) || new.get(name) == Some(value))
}

fn signed(certificate: &mut Certificate, key: &NoteKey) -> Result<Vec<u8>, ProblemAnswer> {
    let file = close::sign(key, certificate);
    if file.len() <= CERTIFICATE_BYTES_MAX {
        return Ok(file);
    }
    // So many goods do not fit in one record; the books_root vouches for each of them all the same.
    let goods = i64::try_from(certificate.stock.len()).unwrap_or(i64::MAX);
    certificate.stock = Balances::from([(
        String::from("*"),
        BTreeMap::from([(String::from("skus"), goods)]),
    )]);
    let file = close::sign(key, certificate);
    match file.len() <= CERTIFICATE_BYTES_MAX {
        true => Ok(file),
        false => Err(problem(
            Code::BoundPassed,
            format!(
                "the certificate has more than {CERTIFICATE_BYTES_MAX} bytes; resolve breaks first"
            ),
        )),
    }
}

fn certificate(view: &BooksView, found: &Reconciliation, scope: Scope) -> Certificate {
    let lines = |accounts: &[AccountLine]| {
        accounts
            .iter()
            .filter(|line| line.balance() != 0)
            .map(|line| (line.account.to_string(), line.balance()))
            .collect::<BTreeMap<_, _>>()
    };
    Certificate {
        org: ORG.to_owned(),
        popup: view.popup.clone(),
        n: 1,
        scope,
        prev: None,
        as_of_ms: found.as_of_ms,
        watermark: view
            .coverage
            .iter()
            .map(|epoch| Watermark {
                rig: epoch.rig.clone(),
                epoch: epoch.epoch,
                last: epoch.last,
                missing: popwatch_core::ledger::Ranges::of(
                    epoch
                        .missing
                        .as_slice()
                        .iter()
                        .chain(epoch.lost.as_slice())
                        .copied(),
                ),
                sealed: epoch.sealed,
            })
            // The centre's own journal grows by the certificate itself.
            .filter(|mark| mark.rig.as_str() != popwatch_store::books::CENTRAL)
            .collect(),
        facts: 0,
        facts_root: [0; 32],
        books_root: view.books_root,
        balances: view
            .currencies
            .iter()
            .map(|(currency, books)| (currency.code().to_owned(), lines(&books.accounts)))
            .collect(),
        stock: view
            .stock
            .iter()
            .map(|(sku, books)| (sku.to_string(), lines(&books.accounts)))
            .collect(),
        tokens: view
            .tokens
            .iter()
            .map(|(campaign, books)| (campaign.to_string(), lines(&books.accounts)))
            .collect(),
        creators: creators(view),
        breaks: found.breaks.clone(),
        pending: Pending::default(),
        suspense: found
            .suspense
            .iter()
            .map(|(currency, minor)| (currency.code().to_owned(), *minor))
            .collect(),
        inputs: Vec::new(),
        policy: String::new(),
        rules: Rule::VERSION,
        recon_hash: found.hash,
    }
}

/// What is held for each creator, available to them and owed back by them.
fn creators(view: &BooksView) -> Balances {
    let mut out = Balances::new();
    let names = [
        (Chart::CreatorHeld, "held"),
        (Chart::CreatorAvailable, "available"),
        (Chart::CreatorReceivable, "receivable"),
    ];
    for (currency, books) in &view.currencies {
        for line in books.accounts.iter().filter(|line| line.balance() != 0) {
            let Some((_, what)) = names.iter().find(|(of, _)| *of == line.account.of) else {
                continue;
            };
            let sums = out.entry(line.account.part.clone()).or_default();
            sums.insert(format!("{} {what}", currency.code()), line.balance());
        }
    }
    out
}
