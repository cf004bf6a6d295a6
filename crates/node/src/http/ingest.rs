//! `POST /v1/events` and `GET /v1/status`: the till's side of an edge.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::id::{JournalId, PopupId, RigId};
use popwatch_core::limits::{
    BODIES_IN_FLIGHT_BYTES_MAX, COMMIT_WAIT_MS_MAX, REQUEST_BYTES_MAX,
};
use popwatch_redact::apply::Plan;
use popwatch_redact::pseudonym::PseudonymKeys;
use popwatch_wire::door::{Admission, Door, Request};
use popwatch_wire::verdict::{EventProblem, Verdict, Verdicts};
use tokio::sync::{Semaphore, watch};

use super::shared::{ProblemAnswer, problem};
use crate::ambient::Ambient;
use crate::metrics::EdgeMetrics;
use crate::status::EdgeStatus;
use crate::store_thread::{Fate, JournalHandle, Refusal};

/// What the edge's handlers share.
#[derive(Debug, Clone)]
pub struct EdgeState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rig: RigId,
    journal_id: JournalId,
    default_popup: Option<PopupId>,
    keys: PseudonymKeys,
    plan: Plan,
    journal: JournalHandle,
    ambient: Ambient,
    status: watch::Receiver<Arc<EdgeStatus>>,
    bodies: Semaphore,
    metrics: Arc<EdgeMetrics>,
}

/// What an edge's handlers are made of.
#[derive(Debug)]
pub struct EdgeParts {
    /// The rig.
    pub rig: RigId,
    /// Its journal.
    pub journal_id: JournalId,
    /// The popup of events that name none.
    pub default_popup: Option<PopupId>,
    /// What pseudonyms are keyed with.
    pub keys: PseudonymKeys,
    /// What is kept of each event.
    pub plan: Plan,
    /// The journal's thread.
    pub journal: JournalHandle,
    /// Clocks.
    pub ambient: Ambient,
    /// The newest status.
    pub status: watch::Receiver<Arc<EdgeStatus>>,
    /// Counters.
    pub metrics: Arc<EdgeMetrics>,
}

impl EdgeState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: EdgeParts) -> Self {
        Self(Arc::new(Inner {
            rig: parts.rig,
            journal_id: parts.journal_id,
            default_popup: parts.default_popup,
            keys: parts.keys,
            plan: parts.plan,
            journal: parts.journal,
            ambient: parts.ambient,
            status: parts.status,
            bodies: Semaphore::new(BODIES_IN_FLIGHT_BYTES_MAX),
            metrics: parts.metrics,
        }))
    }
}

/// Takes events: answers after they are on disk, with a verdict per event in order.
pub(super) async fn events(
    State(EdgeState(edge)): State<EdgeState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(REQUEST_BYTES_MAX);
    let permits = u32::try_from(declared.clamp(1, REQUEST_BYTES_MAX)).unwrap_or(u32::MAX);
    let _room = edge.bodies.try_acquire_many(permits).map_err(|_| {
        problem(
            Code::QueueFull,
            "too many requests are being read; send the same events again".to_owned(),
        )
    })?;
    let body = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await.map_err(|_| {
        problem(
            Code::BodyTooLarge,
            format!("a request holds at most {REQUEST_BYTES_MAX} bytes; send fewer events at once"),
        )
    })?;
    let admitted = edge.door().admit(&Request::new(&headers_of(&headers), &body))?;
    let answer = edge.commit(admitted).await?;
    Ok((StatusCode::OK, Json(answer)).into_response())
}

/// The headers as the door reads them: names in lower case, values that are text.
fn headers_of(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

impl Inner {
    fn door(&self) -> Door<'_> {
        Door {
            rig: &self.rig,
            journal_id: self.journal_id,
            default_popup: self.default_popup.as_ref(),
            keys: &self.keys,
            plan: &self.plan,
            stamp: self.ambient.stamp(),
            local_sender: true,
        }
    }

    async fn commit(&self, admitted: Vec<Admission>) -> Result<Verdicts, ProblemAnswer> {
        let mut drafts = Vec::with_capacity(admitted.len());
        let mut results = Vec::with_capacity(admitted.len());
        for admission in admitted {
            match admission {
                Admission::Ready(draft) => {
                    let record = &draft.get().record;
                    results.push(Pending::Waits(record.id.as_str().to_owned(), record.event.class()));
                    drafts.push(draft);
                }
                Admission::Rejected { id, problem } => {
                    self.metrics.rejected(problem.code);
                    results.push(Pending::Rejected(Verdict::rejected(id, problem)));
                }
            }
        }
        let fates = if drafts.is_empty() { Vec::new() } else { self.durable(drafts).await? };
        let mut fates = fates.into_iter();
        let mut durable_seq = self.status.borrow().durable_seq;
        let mut epoch = self.status.borrow().epoch;
        let mut verdicts = Vec::with_capacity(results.len());
        for result in results {
            verdicts.push(match result {
                Pending::Rejected(verdict) => verdict,
                Pending::Waits(id, class) => {
                    let fate = fates.next().expect("one fate per draft");
                    self.metrics.admitted(fate, class);
                    if let Fate::Accepted(at, seq) = fate {
                        (epoch, durable_seq) = (epoch, durable_seq).max((at.0, seq.0));
                    }
                    verdict_of(id, fate)
                }
            });
        }
        Ok(Verdicts { rig: String::from(&self.rig), epoch, durable_seq, results: verdicts })
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

enum Pending {
    Waits(String, popwatch_core::event::Class),
    Rejected(Verdict),
}

fn verdict_of(id: String, fate: Fate) -> Verdict {
    match fate {
        Fate::Accepted(epoch, seq) => Verdict::accepted(id, epoch, seq),
        Fate::Duplicate(epoch, seq) => Verdict::duplicate(id, epoch, seq),
        Fate::Conflict(epoch, seq) => Verdict::rejected(
            Some(id),
            EventProblem {
                code: Code::EventConflict,
                field: Some(String::from("id")),
                detail: format!(
                    "this source and id are taken by other content at epoch {epoch}, seq {seq}; \
                     the first stays and the books name the conflict"
                ),
            },
        ),
    }
}

/// What the people at the till and their monitors need to know.
pub(super) async fn status(State(EdgeState(edge)): State<EdgeState>) -> Json<EdgeStatus> {
    Json(EdgeStatus::clone(&edge.status.borrow()))
}
