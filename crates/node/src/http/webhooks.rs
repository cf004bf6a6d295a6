//! `POST /v1/webhooks/{provider}`: what payment providers tell, at an edge or at the ledger.
//!
//! ```text
//! raw body ─► verify ─► read ─► journal (edge) or books (ledger) ─► durable ─► 200
//! ```
//!
//! What always holds: 200 is answered only after what the message told is durable, or when it told
//! nothing; whatever else happened, the provider keeps the message and sends it again. Nothing of a
//! message that did not verify is kept but a count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::event::central::ProviderObject;
use popwatch_core::id::JournalId;
use popwatch_core::limits::{
    BODIES_IN_FLIGHT_BYTES_MAX, COMMIT_WAIT_MS_MAX, WEBHOOK_BYTES_MAX, WEBHOOK_CLOCK_U_MS,
    WEBHOOK_NAMES_MAX,
};
use popwatch_core::provider::ProviderKind;
use popwatch_core::record::{Record, event_key};
use popwatch_redact::proof;
use popwatch_store::books::CentralVerdict;
use popwatch_wire::answer_v1::EdgeStatus;
use popwatch_wire::door::journal_key;
use popwatch_wire::exposition::{Exposition, MetricKind};
use popwatch_wire::provider::{Account, Delivery, Outcome, Received, receive, record, refused};
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::shared::{BodyFault, Path, ProblemAnswer, Query, problem, read_body};
use crate::ambient::Ambient;
use crate::books_thread::BooksHandle;
use crate::store_thread::{Fate, JournalHandle};

const HOUR_MS: i64 = 3_600_000;

/// Where what a message told becomes durable, and which clock judges its time.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// An edge's journal; its clock may be wrong and says by how much.
    Journal(JournalHandle, JournalId, watch::Receiver<Arc<EdgeStatus>>),
    /// The centre's own journal in the books.
    Books(BooksHandle),
}

/// What the handler needs.
#[derive(Debug, Clone)]
pub(crate) struct WebhookState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    accounts: Vec<Account>,
    keeper: Keeper,
    ambient: Ambient,
    bodies: Semaphore,
    /// In which hour a bad signature of an account was last told, by reason.
    told: Mutex<BTreeMap<(usize, Outcome), i64>>,
    counts: Arc<WebhookCounts>,
}

impl WebhookState {
    /// For these accounts.
    pub(crate) fn new(accounts: Vec<Account>, keeper: Keeper, ambient: &Ambient) -> Self {
        let names = accounts.iter().map(|one| (one.kind, one.name.clone()));
        let counts = Arc::new(WebhookCounts::of(names));
        Self(Arc::new(Inner {
            accounts,
            keeper,
            ambient: ambient.clone(),
            bodies: Semaphore::new(BODIES_IN_FLIGHT_BYTES_MAX),
            told: Mutex::default(),
            counts,
        }))
    }

    /// Its counters.
    pub(crate) fn counts(&self) -> Arc<WebhookCounts> {
        Arc::clone(&self.0.counts)
    }
}

/// The query.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    account: Option<String>,
}

/// Takes a provider's message.
pub(super) async fn webhook(
    State(WebhookState(state)): State<WebhookState>,
    Path(provider): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let (place, account) = state.account(&provider, asked.account.as_deref())?;
    let count = |outcome| state.counts.add(place, outcome, 1);
    let room = u32::try_from(WEBHOOK_BYTES_MAX).unwrap_or(u32::MAX);
    let _room = state.bodies.try_acquire_many(room).map_err(|_| {
        count(Outcome::NotDurable);
        refusal(Outcome::NotDurable)
    })?;
    let body = read_body(body, WEBHOOK_BYTES_MAX)
        .await
        .map_err(|fault| match fault {
            BodyFault::TooLarge(_) => {
                count(Outcome::TooLarge);
                refusal(Outcome::TooLarge)
            }
            BodyFault::Slow => fault.problem(""),
        })?;
    let texts: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let delivery = Delivery {
        headers: &texts,
        body: &body,
        now_ms: state.now_ms(),
    };
    let received = match receive(account, &delivery) {
        Ok(received) => received,
        Err(outcome) => {
            count(outcome);
            state.tell_refused(place, account, outcome).await;
            return Err(refusal(outcome));
        }
    };
    state.count(place, account, &received);
    if received.bad > 0 {
        let outcome = Outcome::BadSignature;
        state.tell_refused(place, account, outcome).await;
    }
    if let Err(outcome) = state.keep(place, received.objects).await {
        count(outcome);
        return Err(refusal(outcome));
    }
    let answer = match account.kind {
        ProviderKind::Adyen => "[accepted]",
        ProviderKind::Stripe | ProviderKind::Square | ProviderKind::Shopify => "",
    };
    Ok((StatusCode::OK, answer).into_response())
}

/// Why a message was not taken. Which part of a signature was wrong is nobody's business.
fn refusal(outcome: Outcome) -> ProblemAnswer {
    let (code, detail) = match outcome {
        Outcome::NoSignature | Outcome::BadSignature | Outcome::Stale | Outcome::Future => {
            (Code::SignatureRefused, "the message does not verify")
        }
        Outcome::TooLarge => (
            Code::WebhookTooLarge,
            "a message holds at most 1 MiB; send it in parts",
        ),
        Outcome::NotDurable => (
            Code::WebhookNotDurable,
            "the message could not be made durable; send it again",
        ),
        Outcome::Unparsable
        | Outcome::Taken
        | Outcome::Repeated
        | Outcome::Conflict
        | Outcome::Ignored
        | Outcome::TestMode
        | Outcome::Inexact => (
            Code::WebhookUnparsable,
            "the message verifies and is not what this provider sends",
        ),
    };
    problem(code, detail.to_owned())
}

impl Inner {
    /// The account of a request: the one it names, else the provider's only one.
    fn account(
        &self,
        provider: &str,
        name: Option<&str>,
    ) -> Result<(usize, &Account), ProblemAnswer> {
        let mut fitting = self.accounts.iter().enumerate().filter(|(_, account)| {
            account.kind.text() == provider && name.is_none_or(|name| account.name == name)
        });
        match (fitting.next(), fitting.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(problem(
                Code::ProviderUnknown,
                "this provider has several accounts here; name one with ?account=".to_owned(),
            )),
            (None, _) => Err(problem(
                Code::ProviderUnknown,
                "no such account is configured here; see [providers] of the configuration"
                    .to_owned(),
            )),
        }
    }

    /// The wall clock as far as it can judge five minutes.
    fn now_ms(&self) -> Option<i64> {
        let wall_ms = self.ambient.wall_ms();
        match &self.keeper {
            Keeper::Books(_) => Some(wall_ms),
            Keeper::Journal(_, _, status) => {
                let clock = status.borrow().clock?;
                let sure = u64::from(clock.u_ms?) <= WEBHOOK_CLOCK_U_MS;
                sure.then(|| wall_ms - clock.offset_ms.unwrap_or(0))
            }
        }
    }

    fn count(&self, place: usize, account: &Account, received: &Received) {
        for (outcome, number) in [
            (Outcome::BadSignature, received.bad),
            (Outcome::TestMode, received.test_mode),
            (Outcome::Inexact, received.inexact),
            (Outcome::Unparsable, received.unreadable),
            (Outcome::Ignored, received.ignored.len() as u64),
        ] {
            self.counts.add(place, outcome, number);
        }
        if received.test_mode > 0 {
            tracing::warn!(code = %Code::ModeRefused, account = account.name, "a message of the other mode was refused");
        }
        for object in received
            .objects
            .iter()
            .filter(|one| one.currency.is_empty())
        {
            tracing::warn!(code = %Code::AmountInexact, account = account.name, kind = object.kind, "an amount does not convert; the object is parked");
        }
        for name in &received.ignored {
            self.counts.ignored(account.kind, name);
        }
    }

    /// Says that a signature was not good, once an hour: more would let anybody fill the journal. What
    /// cannot be said now is said with the next one.
    async fn tell_refused(&self, place: usize, account: &Account, outcome: Outcome) {
        let now_ms = self.ambient.wall_ms();
        let hour = now_ms.div_euclid(HOUR_MS);
        {
            let mut told = self.told.lock().expect("no holder panics");
            if told.insert((place, outcome), hour) == Some(hour) {
                return;
            }
        }
        let Some(record) = refused(account, outcome, now_ms, self.ambient.stamp()) else {
            return;
        };
        let name = account.name.as_str();
        tracing::warn!(code = %Code::SignatureRefused, account = name, reason = outcome.text(), "a provider's message does not verify");
        let limit = Duration::from_millis(COMMIT_WAIT_MS_MAX);
        let said = tokio::time::timeout(limit, self.append(vec![record])).await;
        if !matches!(said, Ok(Ok(_))) {
            let mut told = self.told.lock().expect("no holder panics");
            told.remove(&(place, outcome));
        }
    }

    /// Makes objects durable, and counts what became of each.
    async fn keep(&self, place: usize, objects: Vec<ProviderObject>) -> Result<(), Outcome> {
        if objects.is_empty() {
            return Ok(());
        }
        let stamp = self.ambient.stamp();
        let records: Vec<Record> = objects
            .into_iter()
            .map(|object| record(object, stamp))
            .collect();
        let limit = Duration::from_millis(COMMIT_WAIT_MS_MAX);
        let kept = tokio::time::timeout(limit, self.append(records)).await;
        for outcome in kept.map_err(|_| Outcome::NotDurable)?? {
            self.counts.add(place, outcome, 1);
        }
        Ok(())
    }

    async fn append(&self, records: Vec<Record>) -> Result<Vec<Outcome>, Outcome> {
        match &self.keeper {
            Keeper::Journal(journal, id, _) => {
                let key = journal_key(id);
                let drafts = records.into_iter().map(|record| {
                    let key = event_key(&key, &record.source, &record.id);
                    proof::own(record, key)
                });
                let fates = journal.append(drafts.collect()).await;
                let fates = fates.map_err(|_| Outcome::NotDurable)?;
                fates.into_iter().map(outcome_of).collect()
            }
            Keeper::Books(books) => {
                let now = self.ambient.now();
                let verdicts = books
                    .ask(move |books| books.append_central(records, now))
                    .await
                    .map_err(|_| Outcome::NotDurable)?;
                let verdicts = verdicts.map_err(|fault| {
                    tracing::error!(code = %fault.code(), %fault, "a provider's message was not booked");
                    Outcome::NotDurable
                })?;
                let outcome = |verdict: &CentralVerdict| match verdict {
                    CentralVerdict::Stored(_) => Outcome::Taken,
                    CentralVerdict::Exists(_) => Outcome::Repeated,
                    CentralVerdict::Conflict(_) => Outcome::Conflict,
                };
                Ok(verdicts.iter().map(outcome).collect())
            }
        }
    }
}

fn outcome_of(fate: Fate) -> Result<Outcome, Outcome> {
    match fate {
        Fate::Accepted(..) => Ok(Outcome::Taken),
        Fate::Duplicate(..) => Ok(Outcome::Repeated),
        Fate::Conflict(..) => Ok(Outcome::Conflict),
        Fate::TooLarge | Fate::PopupsFull | Fate::Shed(_) => Err(Outcome::NotDurable),
    }
}

/// Counters of messages: by account and outcome, and by name of those that say nothing to the books.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounts {
    accounts: Vec<(ProviderKind, String, [AtomicU64; Outcome::ALL.len()])>,
    ignored: Mutex<BTreeMap<(ProviderKind, String), u64>>,
}

impl WebhookCounts {
    fn of(accounts: impl Iterator<Item = (ProviderKind, String)>) -> Self {
        Self {
            accounts: accounts
                .map(|(kind, name)| (kind, name, Default::default()))
                .collect(),
            ignored: Mutex::default(),
        }
    }

    fn add(&self, place: usize, outcome: Outcome, number: u64) {
        let at = Outcome::ALL.iter().position(|one| *one == outcome);
        let row = self.accounts.get(place).zip(at);
        if let Some(count) = row.and_then(|((_, _, counts), at)| counts.get(at)) {
            count.fetch_add(number, Ordering::Relaxed);
        }
    }

    fn ignored(&self, kind: ProviderKind, name: &str) {
        let mut ignored = self.ignored.lock().expect("no holder panics");
        let key = (kind, name.to_owned());
        let full = ignored.len() >= WEBHOOK_NAMES_MAX && !ignored.contains_key(&key);
        let key = if full {
            (kind, "other".to_owned())
        } else {
            key
        };
        *ignored.entry(key).or_default() += 1;
    }

    /// The exposition; empty where no account takes messages.
    pub(crate) fn render(&self) -> Exposition {
        let mut text = Exposition::new();
        if self.accounts.is_empty() {
            return text;
        }
        let mut family = text.family(
            "popwatch_webhooks_total",
            MetricKind::Counter,
            "What messages of payment providers came to, by account and outcome.",
        );
        for (kind, account, counts) in &self.accounts {
            for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                let labels = [
                    ("provider", kind.text()),
                    ("account", account.as_str()),
                    ("outcome", outcome.text()),
                ];
                family.sample(&labels, count.load(Ordering::Relaxed));
            }
        }
        let mut family = text.family(
            "popwatch_webhooks_ignored_total",
            MetricKind::Counter,
            "Verified messages that say nothing to the books, by the provider's name of them.",
        );
        for ((kind, name), count) in self.ignored.lock().expect("no holder panics").iter() {
            family.sample(&[("provider", kind.text()), ("type", name)], count);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_messages_are_bounded() {
        let counts = WebhookCounts::of([(ProviderKind::Stripe, "main".to_owned())].into_iter());
        for at in 0..2 * WEBHOOK_NAMES_MAX {
            counts.ignored(ProviderKind::Stripe, &format!("type.{at}"));
        }
        counts.add(0, Outcome::Taken, 2);
        counts.add(7, Outcome::Taken, 2);
        let text = counts.render().finish();
        let named = text
            .lines()
            .filter(|line| line.starts_with("popwatch_webhooks_ignored_total{"));
        assert_eq!(named.count(), WEBHOOK_NAMES_MAX + 1);
        assert!(text.contains(
            "popwatch_webhooks_total{provider=\"stripe\",account=\"main\",outcome=\"taken\"} 2"
        ));
        assert!(WebhookCounts::default().render().finish().is_empty());
    }
}
