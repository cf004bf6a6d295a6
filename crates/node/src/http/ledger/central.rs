//! What people bring to the books: settlement files, count sheets, decisions.
//!
//! ```text
//! body ─► temporary file ─► inspect (taken whole or not at all) ─► read ─► chunks ─► the centre's journal
//! ```
//!
//! What always holds: the answer comes after the last chunk is durable; the same bytes again add
//! nothing; the file itself is never kept.

use std::collections::BTreeSet;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use popwatch_core::code::Code;
use popwatch_core::event::Event;
use popwatch_core::event::central::{BreakAccepted, CreatorPaid, MatchAccepted};
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::{Epoch, EventId, PopupId, Position, RigId, Seq, Source};
use popwatch_core::ledger::close::Value as Detail;
use popwatch_core::ledger::{Account, Fact, hex};
use popwatch_core::limits::{
    CENTRAL_RECORDS_MAX, COUNT_SHEET_BYTES_MAX, DECISION_BYTES_MAX, REFUSED_ROWS_MAX,
    SETTLEMENT_FILE_BYTES_MAX,
};
use popwatch_core::provider::ProviderKind;
use popwatch_core::record::{Content, Flags, Record, Stamp};
use popwatch_core::time::Now;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_store::books::{Books, BooksFault, CENTRAL, CentralVerdict};
use popwatch_wire::audit::Action;
use popwatch_wire::close;
use popwatch_wire::count_sheet::{self, SheetContext};
use popwatch_wire::settlement::{self, FileContext, Item, Layout, Stopped};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::audit::blocking;
use super::super::shared::{Path, ProblemAnswer, Query, problem, read_body};
use super::{LedgerState, known, unreadable};
use crate::audit::Trail;
use crate::books_thread::{BooksHandle, Busy};
use crate::config::provider::FileTerms;

/// The record of what was said at the centre. Its id is made of what it says, so that the same said
/// again is known.
pub(super) fn record(event: SystemEvent, now: Now) -> Record {
    let mut out = Record {
        popup: None,
        source: Source::new("popwatch:central").expect("a short printable name"),
        id: EventId::new("central").expect("a short printable name"),
        stamp: Stamp {
            mono_ns: now.mono.0.saturating_mul(1_000_000),
            wall_ms: now.wall.0,
            time_ms: None,
            age_ms: None,
        },
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
        event: Event::System(event),
    };
    let nowhere = Position {
        rig: RigId::new(CENTRAL).expect("a short printable name"),
        epoch: Epoch(1),
        seq: Seq(1),
    };
    if let Some(fact) = Fact::of(&out, nowhere) {
        out.content.0.copy_from_slice(&fact.content[..8]);
        let id = format!("{}-{}", fact.id, hex(&out.content.0));
        out.id = EventId::new(&id).expect("hexadecimal digits");
    }
    out
}

/// `?provider=&account=&layout=`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct FileOf {
    provider: Option<String>,
    account: Option<String>,
    layout: Option<String>,
}

/// What became of the rows of a file.
#[derive(Debug, Default)]
struct Tally {
    new: u64,
    exists: u64,
    conflicts: u64,
}

impl Tally {
    fn add(&mut self, verdicts: &[CentralVerdict]) {
        for verdict in verdicts {
            match verdict {
                CentralVerdict::Stored(_) => self.new += 1,
                CentralVerdict::Exists(_) => self.exists += 1,
                CentralVerdict::Conflict(_) => self.conflicts += 1,
            }
        }
    }
}

/// Takes a settlement file.
pub(in crate::http) async fn settlements(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    Query(of): Query<FileOf>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let (provider, layout) = file_of(&of)?;
    let account = of.account.unwrap_or_else(|| String::from("main"));
    let name = PopupId::of_book(&format!(
        "~{}:{account}",
        provider.map_or("bank", ProviderKind::text)
    ));
    name.map_err(|_| bad_query("account is not a name of an account"))?;
    blocking(&state.trail, Trail::ready).await?;
    let before = open_breaks(&state, &popup).await?;
    let file = to_disk(&state, body).await?;
    let terms = state.files.iter().find(|terms| terms.account == account);
    let loading = Loading {
        terms: terms.cloned(),
        books: state.books.clone(),
        handle: tokio::runtime::Handle::current(),
        references: state.references.clone(),
        now: state.ambient.now(),
        provider,
        account,
        layout,
    };
    let loaded = tokio::task::spawn_blocking(move || loading.run(file)).await;
    let mut out = loaded.map_err(|_| {
        problem(
            Code::Defect,
            "reading the file ended early; send it again".to_owned(),
        )
    })??;
    let after = open_breaks(&state, &popup).await?;
    out["breaks_opened"] = json!(after.difference(&before).count());
    out["breaks_resolved"] = json!(before.difference(&after).count());
    trace(&state.trail, Action::SettlementTaken, &popup, &out).await?;
    Ok(Json(out).into_response())
}

fn bad_query(detail: &str) -> ProblemAnswer {
    problem(Code::QueryInvalid, detail.to_owned())
}

fn file_of(of: &FileOf) -> Result<(Option<ProviderKind>, Option<Layout>), ProblemAnswer> {
    let layout = match of.layout.as_deref() {
        None | Some("auto") => None,
        Some(name) => Some(Layout::from_text(name).ok_or_else(|| {
            bad_query("layout must be auto, stripe.itemized, square.payout, shopify.payments, adyen.settlement or bank")
        })?),
    };
    let provider =
        match of.provider.as_deref() {
            Some("bank") => None,
            Some(name) => Some(ProviderKind::from_text(name).ok_or_else(|| {
                bad_query("provider must be stripe, square, shopify, adyen or bank")
            })?),
            None => layout.and_then(Layout::provider),
        };
    if of.provider.is_none() && layout.is_none() {
        return Err(bad_query(
            "say whose file it is: provider=stripe (or square, shopify, adyen, bank)",
        ));
    }
    Ok((provider, layout))
}

async fn open_breaks(state: &LedgerState, popup: &PopupId) -> Result<BTreeSet<u64>, ProblemAnswer> {
    let popup = popup.clone();
    let found = state.books.ask(move |books| books.open_breaks(&popup));
    found.await?.map_err(unreadable)
}

/// Breaks of a popup and of the accounts, each with its book.
pub(super) fn all_breaks(
    books: &Books,
    popup: &PopupId,
) -> Result<Vec<(PopupId, popwatch_core::ledger::Break)>, BooksFault> {
    let mut out = books.account_breaks()?;
    let own = books.breaks(popup)?;
    out.extend(own.into_iter().map(|one| (popup.clone(), one)));
    Ok(out)
}

/// A file without a name: it is gone with its last handle, whatever happens.
async fn to_disk(state: &LedgerState, body: Body) -> Result<std::fs::File, ProblemAnswer> {
    let failed = |fault: std::io::Error| {
        problem(
            Code::LedgerUnavailable,
            format!("the file could not be put aside ({fault}); send it again"),
        )
    };
    let path: PathBuf = state.data.join(format!(
        "upload-{:016x}",
        u64::from_le_bytes(state.ambient.random())
    ));
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    let mut stream = body.into_data_stream();
    let mut bytes = 0u64;
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| {
            problem(
                Code::RequestSlow,
                "the file did not come whole; send it again".to_owned(),
            )
        })?;
        bytes += part.len() as u64;
        if bytes > SETTLEMENT_FILE_BYTES_MAX {
            let detail = format!(
                "a file holds at most {SETTLEMENT_FILE_BYTES_MAX} bytes; split it by payout or day"
            );
            return Err(problem(Code::FileTooLarge, detail));
        }
        file.write_all(&part).map_err(failed)?;
    }
    file.rewind().map_err(failed)?;
    Ok(file)
}

struct Loading {
    books: BooksHandle,
    handle: tokio::runtime::Handle,
    references: ReferenceKey,
    now: Now,
    provider: Option<ProviderKind>,
    account: String,
    layout: Option<Layout>,
    terms: Option<FileTerms>,
}

/// Why a chunk did not get into the books.
enum Hindered {
    Busy(Busy),
    Books(BooksFault),
}

impl Loading {
    fn run(&self, mut file: std::fs::File) -> Result<Value, ProblemAnswer> {
        let mut of = FileContext::new(self.provider, &self.account, &self.references);
        of.layout = self.layout;
        if let Some(terms) = &self.terms {
            of.stamp_columns = &terms.stamp_columns;
            of.order_columns = &terms.order_columns;
            of.test = terms.test;
            of.tz = settlement::zone(&terms.tz).unwrap_or(of.tz);
        }
        let refused = |fault: settlement::FileFault| problem(fault.code(), fault.to_string());
        let summary = settlement::inspect(&file, &of).map_err(refused)?;
        of.file = Some(summary.blake3);
        file.rewind().map_err(|fault| {
            problem(
                Code::LedgerUnavailable,
                format!("the file could not be read again ({fault})"),
            )
        })?;
        let (mut tally, mut bad, mut waiting) = (Tally::default(), Vec::new(), Vec::new());
        let mut sink = |item| {
            match item {
                Item::Line(line) => waiting.push(SystemEvent::SettlementLine(line)),
                Item::Bank(line) => waiting.push(SystemEvent::BankLine(line)),
                Item::Object(object) => waiting.push(SystemEvent::ProviderObject(object)),
                Item::Bad(row) if bad.len() < REFUSED_ROWS_MAX => bad.push(json!({
                    "row": row.row, "column": row.column, "code": row.code().to_string(),
                    "rule": row.rule,
                })),
                Item::Bad(_) => {}
            }
            match waiting.len() < CENTRAL_RECORDS_MAX {
                true => Ok(()),
                false => self.append(std::mem::take(&mut waiting), &mut tally),
            }
        };
        let read = settlement::read(&file, &of, &mut sink);
        let summary = match read {
            Ok(summary) => summary,
            Err(Stopped::File(fault)) => return Err(refused(fault)),
            Err(Stopped::Sink(hindered)) => return Err(hindered.into()),
        };
        self.append(waiting, &mut tally)?;
        let told = SystemEvent::SettlementFile(summary.fact(&of));
        self.append(vec![told], &mut Tally::default())?;
        Ok(json!({
            "file": hex(&summary.blake3),
            "layout": summary.layout.text(),
            "book": PopupId::account_book(of.provider_text(), &self.account).as_str(),
            "rows": summary.rows,
            "new": tally.new,
            "exists": tally.exists,
            "conflicts": tally.conflicts,
            "refused": summary.refused,
            "bad": bad,
        }))
    }

    fn append(&self, events: Vec<SystemEvent>, tally: &mut Tally) -> Result<(), Hindered> {
        let now = self.now;
        let records: Vec<_> = events.into_iter().map(|event| record(event, now)).collect();
        let verdicts = self
            .handle
            .block_on(
                self.books
                    .ask(move |books| books.append_central(records, now)),
            )
            .map_err(Hindered::Busy)?
            .map_err(Hindered::Books)?;
        tally.add(&verdicts);
        Ok(())
    }
}

impl From<Hindered> for ProblemAnswer {
    fn from(hindered: Hindered) -> Self {
        match hindered {
            Hindered::Busy(busy) => busy.into(),
            Hindered::Books(fault) => unreadable(fault),
        }
    }
}

/// Takes a count sheet.
pub(in crate::http) async fn counts(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let body = read_body(body, COUNT_SHEET_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("split the sheet"))?;
    blocking(&state.trail, Trail::ready).await?;
    let now = state.ambient.now();
    let before = open_breaks(&state, &popup).await?;
    let asked = popup.clone();
    let mut out = state
        .books
        .ask(move |books| count(books, &asked, &body, now))
        .await??;
    let after = open_breaks(&state, &popup).await?;
    out["breaks_opened"] = json!(after.difference(&before).count());
    out["breaks_resolved"] = json!(before.difference(&after).count());
    trace(&state.trail, Action::CountTaken, &popup, &out).await?;
    Ok(Json(out).into_response())
}

fn count(
    books: &mut Books,
    popup: &PopupId,
    body: &[u8],
    now: Now,
) -> Result<Value, ProblemAnswer> {
    let view = books.books(popup).map_err(unreadable)?;
    let rigs: BTreeSet<_> = view
        .coverage
        .iter()
        .map(|epoch| epoch.rig.clone())
        .collect();
    let sheet = count_sheet::read(
        body,
        &SheetContext {
            popup,
            tz: FileContext::new(None, "", &ReferenceKey::new([0; 32])).tz,
            now_ms: now.wall.0,
            knows_sku: &|sku| view.stock.contains_key(sku),
            knows_rig: &|rig| rigs.contains(rig),
        },
    )
    .map_err(|fault| problem(fault.code(), fault.to_string()))?;
    let mut tally = Tally::default();
    for part in sheet.records.chunks(CENTRAL_RECORDS_MAX) {
        let verdicts = books
            .append_central(part.to_vec(), now)
            .map_err(unreadable)?;
        tally.add(&verdicts);
    }
    let bad = sheet.bad.iter().take(REFUSED_ROWS_MAX).map(|row| {
        json!({"row": row.row, "column": row.column, "code": row.code().to_string(), "rule": row.rule})
    });
    Ok(json!({
        "file": hex(&sheet.blake3),
        "layout": "count_sheet",
        "rows": sheet.rows,
        "new": tally.new,
        "exists": tally.exists,
        "conflicts": tally.conflicts,
        "refused": sheet.bad.len(),
        "bad": bad.collect::<Vec<_>>(),
    }))
}

/// What a person decided.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    /// A break is taken as it is.
    Accept {
        /// Its id, or the beginning of it.
        #[serde(rename = "break")]
        id: String,
        /// Where its suspense goes.
        account: String,
        /// Why.
        why: String,
    },
    /// A claim and an object are one payment.
    Match {
        /// The claim's payment or refund.
        claim: String,
        /// The provider.
        provider: String,
        /// The account.
        account: String,
        /// The object.
        object: String,
        /// Why.
        why: String,
    },
    /// Creators got money.
    Paid(Vec<Paid>),
}

/// One payment to a creator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paid {
    creator: String,
    currency: String,
    amount: i64,
    paid_at: String,
    reference: String,
}

/// Takes a decision.
pub(in crate::http) async fn decisions(
    State(state): State<LedgerState>,
    Path(popup): Path<String>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let popup = known(&state, &popup).await?;
    let body = read_body(body, DECISION_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("send fewer payments at once"))?;
    let decision: Decision = serde_json::from_slice(&body).map_err(|_| {
        let detail = "a decision is JSON: {\"accept\": {break, account, why}}, {\"match\": {claim, provider, account, object, why}} or {\"paid\": [{creator, currency, amount, paid_at, reference}]}";
        problem(Code::BodyUnparsable, detail.to_owned())
    })?;
    blocking(&state.trail, Trail::ready).await?;
    let action = match &decision {
        Decision::Accept { .. } => Action::BreakAccepted,
        Decision::Match { .. } => Action::MatchAccepted,
        Decision::Paid(_) => Action::CreatorPaid,
    };
    let now = state.ambient.now();
    let asked = popup.clone();
    let tally = state
        .books
        .ask(move |books| decide(books, &asked, decision, now))
        .await??;
    let out = json!({"new": tally.new, "exists": tally.exists, "conflicts": tally.conflicts});
    trace(&state.trail, action, &popup, &out).await?;
    Ok(Json(out).into_response())
}

/// Writes down what was brought to the books: hashes and counts, never what it says. Where that fails the
/// books have it all the same, and bringing it again writes it down.
async fn trace(
    trail: &Trail,
    action: Action,
    popup: &PopupId,
    out: &Value,
) -> Result<(), ProblemAnswer> {
    const SHOWN: [&str; 5] = ["file", "rows", "new", "exists", "conflicts"];
    let fields = SHOWN.iter().filter_map(|name| {
        let value = close::from_json(out.get(*name)?.clone())?;
        Some((*name, value))
    });
    let entry = trail.entry(action, popup.as_str(), Detail::map(fields));
    blocking(trail, move |trail| trail.write(&entry)).await?;
    Ok(())
}

fn decide(
    books: &mut Books,
    popup: &PopupId,
    decision: Decision,
    now: Now,
) -> Result<Tally, ProblemAnswer> {
    let who = String::from("operator");
    let events = match decision {
        Decision::Accept { id, account, why } => {
            let known = Account::parse(&account).is_some();
            if !known {
                return Err(bad_query("account must be one of the chart, such as 5090"));
            }
            let breaks = all_breaks(books, popup).map_err(unreadable)?;
            let mut fitting = breaks
                .iter()
                .filter(|(_, one)| one.id.as_str().starts_with(&id));
            let (Some((book, found)), None) = (fitting.next(), fitting.next()) else {
                return Err(bad_query(
                    "there is not exactly one break whose id begins so",
                ));
            };
            let currency = found.commodity.as_ref().map(ToString::to_string);
            vec![SystemEvent::BreakAccepted(BreakAccepted {
                book: book.to_string(),
                id: found.id.to_string(),
                account,
                who,
                why,
                amount: found.suspense,
                currency: currency.unwrap_or_default(),
            })]
        }
        Decision::Match {
            claim,
            provider,
            account,
            object,
            why,
        } => vec![SystemEvent::MatchAccepted(MatchAccepted {
            popup: popup.to_string(),
            claim,
            provider,
            account,
            object,
            who,
            why,
        })],
        Decision::Paid(rows) => {
            let event = |row: Paid| {
                let paid_ms = popwatch_wire::json::rfc3339_ms(&row.paid_at)
                    .ok_or_else(|| bad_query("paid_at must be an RFC 3339 time"))?;
                Ok(SystemEvent::CreatorPaid(CreatorPaid {
                    popup: popup.to_string(),
                    creator: row.creator,
                    currency: row.currency,
                    amount: row.amount,
                    paid_ms,
                    reference: row.reference,
                }))
            };
            rows.into_iter()
                .map(event)
                .collect::<Result<_, ProblemAnswer>>()?
        }
    };
    let records = events.into_iter().map(|event| record(event, now)).collect();
    let verdicts = books.append_central(records, now).map_err(unreadable)?;
    let mut tally = Tally::default();
    tally.add(&verdicts);
    Ok(tally)
}
