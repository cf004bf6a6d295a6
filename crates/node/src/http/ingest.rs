//! `POST /v1/events` and `GET /v1/status`: the till's side of an edge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::event::Class;
use popwatch_core::id::{Epoch, PopupId};
use popwatch_core::limits::{BODIES_IN_FLIGHT_BYTES_MAX, COMMIT_WAIT_MS_MAX, REQUEST_BYTES_MAX};
use popwatch_redact::apply::Counts;
use popwatch_wire::answer_v1::EdgeStatus;
use popwatch_wire::client_loss;
use popwatch_wire::cloudevents::Request;
use popwatch_wire::door::{Admission, Arrival, Door, Standing};
use popwatch_wire::problem::Problem;
use popwatch_wire::verdict::{Answer, EventProblem, Verdict};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::shared::{ProblemAnswer, problem, read_body};
use crate::ambient::Ambient;
use crate::gauges::Windows;
use crate::keyring::{Keyring, Rings};
use crate::metrics::EdgeMetrics;
use crate::policies::{Policies, Running};
use crate::store_thread::{Fate, JournalHandle, Refusal};

/// When to send again what a full disk shed, s.
const SHED_RETRY_AFTER_S: u32 = 10;
/// Longest wait of a status for the fold.
const STATUS_WAIT: Duration = Duration::from_secs(1);

/// What the edge's handlers share.
#[derive(Debug, Clone)]
pub(crate) struct EdgeState(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    door: Door,
    journal: JournalHandle,
    ambient: Ambient,
    status: watch::Receiver<Arc<EdgeStatus>>,
    bodies: Semaphore,
    metrics: Arc<EdgeMetrics>,
    keyring: Keyring,
}

impl EdgeState {
    /// Puts the parts together.
    #[must_use]
    pub(crate) fn new(
        door: Door,
        journal: JournalHandle,
        ambient: &Ambient,
        keyring: &Keyring,
        (status, metrics): (&watch::Receiver<Arc<EdgeStatus>>, &Arc<EdgeMetrics>),
    ) -> Self {
        Self(Arc::new(Inner {
            door,
            journal,
            ambient: ambient.clone(),
            status: status.clone(),
            bodies: Semaphore::new(BODIES_IN_FLIGHT_BYTES_MAX),
            metrics: Arc::clone(metrics),
            keyring: keyring.clone(),
        }))
    }
}

/// Takes events: answers after they are on disk, with a verdict per event in order.
pub(super) async fn events(
    State(EdgeState(edge)): State<EdgeState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let (_room, body) = edge.body(&headers, body).await?;
    let texts = headers_of(&headers);
    let text = |name| {
        texts
            .iter()
            .find(|(header, _)| *header == name)
            .map(|(_, value)| *value)
    };
    let request = Request {
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        ce_headers: &texts,
        body: &body,
    };
    let standings = edge.standings();
    let stands = |popup: &PopupId| standings.of(popup);
    let mut counts = Counts::default();
    let admitted = edge
        .door
        .admit_under(&request, edge.arrival(peer), &stands, &mut counts)?;
    edge.metrics.redaction.count(&counts);
    edge.policies().redacted(admitted.len(), &counts);
    let answer = edge.commit(admitted).await?;
    if let Some(told) = text(client_loss::HEADER) {
        match client_loss::parse(told) {
            Some(counts) => edge.journal.client_lost(&counts),
            None => edge.metrics.client_loss_ignored(),
        }
    }
    Ok((StatusCode::OK, Json(answer)).into_response())
}

/// How popups stand while one request is taken: their windows, what their policies keep, their keys.
pub(super) struct Standings<'a> {
    windows: Arc<Windows>,
    running: Arc<Running>,
    rings: Arc<Rings>,
    keyring: &'a Keyring,
}

impl Standings<'_> {
    /// How one stands.
    pub(super) fn of(&self, popup: &PopupId) -> Standing<'_> {
        Standing {
            plan: self.running.plan(popup),
            keys: Some(self.keyring.of(&self.rings, popup)),
            ..self.windows.get(popup).cloned().unwrap_or_default()
        }
    }
}

/// The headers as the door reads them: names in lower case, values that are text.
fn headers_of(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

impl Inner {
    /// What admits.
    pub(super) const fn door(&self) -> &Door {
        &self.door
    }

    /// The policies that it obeys.
    pub(super) fn policies(&self) -> &Policies {
        self.keyring.policies()
    }

    /// How popups stand now.
    pub(super) fn standings(&self) -> Standings<'_> {
        Standings {
            windows: self.journal.gauges().windows(),
            running: self.policies().running(),
            rings: self.keyring.shown(),
            keyring: &self.keyring,
        }
    }

    /// Its counters.
    pub(super) fn metrics(&self) -> &EdgeMetrics {
        &self.metrics
    }

    /// The whole body, still encoded, and the room it takes until the permit goes.
    pub(super) async fn body(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(SemaphorePermit<'_>, Bytes), ProblemAnswer> {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
            .unwrap_or(REQUEST_BYTES_MAX);
        let permits = u32::try_from(declared.clamp(1, REQUEST_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = self.bodies.try_acquire_many(permits).map_err(|_| {
            problem(
                Code::QueueFull,
                "too many requests are being read; send the same events again".to_owned(),
            )
        })?;
        let body = read_body(body, REQUEST_BYTES_MAX)
            .await
            .map_err(|fault| fault.problem("send fewer events at once"))?;
        Ok((room, body))
    }

    /// A request of `peer` arrives now.
    pub(super) fn arrival(&self, peer: SocketAddr) -> Arrival {
        Arrival {
            mono_ns: self.ambient.mono_ns(),
            wall_ms: self.ambient.wall_ms(),
            local_sender: peer.ip().is_loopback(),
        }
    }

    /// Makes what was admitted durable: a verdict each, in order.
    pub(super) async fn commit(&self, admitted: Vec<Admission>) -> Result<Answer, ProblemAnswer> {
        let mut drafts = Vec::with_capacity(admitted.len());
        let mut results = Vec::with_capacity(admitted.len());
        for admission in admitted {
            match admission {
                Admission::Ready(draft) => {
                    let record = &draft.get().record;
                    results.push(Pending::Waits(
                        record.id.as_str().to_owned(),
                        record.event.class(),
                        record.flags.late,
                    ));
                    drafts.push(draft);
                }
                Admission::Rejected { id, problem } => {
                    self.metrics.rejected(problem.code);
                    results.push(Pending::Rejected(Verdict::rejected(id, &problem)));
                }
            }
        }
        let fates = if drafts.is_empty() {
            Vec::new()
        } else {
            self.durable(drafts).await?
        };
        let (mut epoch, mut durable_seq) = self.journal.gauges().shown().head;
        for fate in &fates {
            if let Fate::Accepted(at, seq) = fate {
                (epoch, durable_seq) = (epoch, durable_seq).max((at.0, seq.0));
            }
        }
        let shed = |fate: &Fate| matches!(fate, Fate::Shed(_));
        let all_shed = !fates.is_empty() && fates.iter().all(shed);
        if all_shed && fates.len() == results.len() {
            return Err(all_shed_problem(&self.metrics, &fates, &results));
        }
        let mut fates = fates.into_iter();
        let mut verdicts = Vec::with_capacity(results.len());
        for result in results {
            verdicts.push(match result {
                Pending::Rejected(verdict) => verdict,
                Pending::Waits(id, class, late) => {
                    let fate = fates.next().expect("one fate per draft");
                    self.metrics.admitted(fate, class);
                    let accepted = matches!(fate, Fate::Accepted(..));
                    Verdict {
                        late: late && accepted,
                        ..verdict_of(id, fate, epoch)
                    }
                }
            });
        }
        Ok(Answer {
            rig: String::from(&self.door.rig),
            epoch,
            durable_seq,
            results: verdicts,
        })
    }

    async fn durable(
        &self,
        drafts: Vec<popwatch_redact::proof::Redacted<popwatch_core::record::Draft>>,
    ) -> Result<Vec<Fate>, ProblemAnswer> {
        let limit = Duration::from_millis(COMMIT_WAIT_MS_MAX);
        let outcome = tokio::time::timeout(limit, self.journal.append(drafts)).await;
        match outcome {
            Ok(Ok(fates)) => Ok(fates),
            Ok(Err(Refusal::QueueFull)) => Err(problem(
                Code::QueueFull,
                "the disk has more waiting than it should; send the same events again".to_owned(),
            )),
            Ok(Err(Refusal::NotDurable | Refusal::Stopping)) | Err(_) => Err(problem(
                Code::NotDurable,
                "this till could not make the events durable; keep them and send the same ids again"
                    .to_owned(),
            )),
        }
    }
}

/// Its id, class and whether it came late; or its verdict already.
enum Pending {
    Waits(String, Class, bool),
    Rejected(Verdict),
}

/// The whole request was shed: its sender slows down.
fn all_shed_problem(metrics: &EdgeMetrics, fates: &[Fate], results: &[Pending]) -> ProblemAnswer {
    for (fate, result) in fates.iter().zip(results) {
        if let Pending::Waits(_, class, _) = result {
            metrics.admitted(*fate, *class);
        }
    }
    let detail = "this till's disk is filling and keeps its room for sales; send the same events \
                  again later";
    Problem::new(Code::ClassShed, detail)
        .retry_after(SHED_RETRY_AFTER_S)
        .into()
}

/// `current` is the epoch at the head of the answer; another one is named beside its seq.
fn verdict_of(id: String, fate: Fate, current: u32) -> Verdict {
    let other = |epoch: Epoch| (epoch.0 != current).then_some(epoch.0);
    match fate {
        Fate::Accepted(epoch, seq) => Verdict {
            epoch: other(epoch),
            ..Verdict::accepted(id, seq.0)
        },
        Fate::Duplicate(epoch, seq) => Verdict::duplicate(id, other(epoch), seq.0),
        Fate::Conflict(epoch, seq) => {
            let detail = format!(
                "this source and id are taken by other content at epoch {epoch}, seq {seq}; the \
                 first stays and the books name the conflict"
            );
            let problem = EventProblem::of(Code::EventConflict, "id", detail);
            Verdict::rejected(Some(id), &problem)
        }
        Fate::PopupsFull => {
            let detail = "this till has as many popups open as it can; check the popup's name";
            let problem = EventProblem::of(Code::EventTooLarge, "popup", detail);
            Verdict::rejected(Some(id), &problem)
        }
        Fate::Shed(class) => {
            let detail = format!(
                "this till's disk is filling; {} events are not kept until there is room",
                class.name()
            );
            Verdict::rejected(Some(id), &EventProblem::whole(Code::ClassShed, &detail))
        }
        Fate::TooLarge => {
            let detail = "the event's record is too large; report it with fewer lines";
            Verdict::rejected(Some(id), &EventProblem::whole(Code::EventTooLarge, detail))
        }
    }
}

/// What the people at the till and their monitors need to know. Never older than an answer that was
/// given before: it waits for the fold, which is behind by milliseconds.
pub(super) async fn status(State(EdgeState(edge)): State<EdgeState>) -> Json<EdgeStatus> {
    let head = edge.journal.gauges().shown().head;
    let mut status = edge.status.clone();
    let fresh = status.wait_for(|status| (status.epoch, status.durable_seq) >= head);
    // A fold that hangs is said by /readyz; what it last showed is still worth showing.
    drop(tokio::time::timeout(STATUS_WAIT, fresh).await);
    Json(EdgeStatus::clone(&edge.status.borrow()))
}
