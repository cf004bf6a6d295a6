//! OTLP over HTTP: `POST /v1/traces`, and the refusals of `/v1/logs` and `/v1/metrics`.
//!
//! An answer comes after the same durable wait as that of `POST /v1/events`, in the format of the
//! request; errors are `google.rpc.Status` messages, since that is what exporters read.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popwatch_core::id::PopupId;
use popwatch_core::limits::REQUEST_EVENTS_MAX;
use popwatch_redact::apply::Counts;
use popwatch_wire::exposition::{Exposition, MetricKind};
use popwatch_wire::otlp::{self, EVENTS_PER_CHECKOUT, Format, Partial, Signal, SpanCounts};

use super::ingest::{EdgeState, Inner};
use super::shared::ProblemAnswer;

/// Events of one commit: whole checkouts, as many as a request of events may hold.
const EVENTS_AT_ONCE: usize = REQUEST_EVENTS_MAX / EVENTS_PER_CHECKOUT * EVENTS_PER_CHECKOUT;

/// Takes checkout spans.
pub(super) async fn traces(
    State(EdgeState(edge)): State<EdgeState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let format = match format_of(&headers) {
        Ok(format) => format,
        Err(problem) => return failed(problem, Format::Json),
    };
    match edge.trace(format, &headers, body, peer).await {
        Ok(partial) => answered(&partial, Signal::Traces, format),
        Err(problem) => failed(problem, format),
    }
}

/// Refuses logs, each record counted.
pub(super) async fn logs(
    State(EdgeState(edge)): State<EdgeState>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    edge.refuse(Signal::Logs, &headers, body).await
}

/// Refuses metrics, each data point counted.
pub(super) async fn metrics(
    State(EdgeState(edge)): State<EdgeState>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    edge.refuse(Signal::Metrics, &headers, body).await
}

impl Inner {
    async fn trace(
        &self,
        format: Format,
        headers: &HeaderMap,
        body: Body,
        peer: SocketAddr,
    ) -> Result<Partial, ProblemAnswer> {
        let (_room, body) = self.body(headers, body).await?;
        let standings = self.standings();
        let stands = |popup: &PopupId| standings.of(popup);
        let mut counts = Counts::default();
        let mut trace = self.door().admit_trace(
            format,
            encoding(headers),
            &body,
            self.arrival(peer),
            &stands,
            &mut counts,
        )?;
        self.metrics().redaction.count(&counts);
        (self.policies()).redacted(trace.admissions.len(), &counts);
        let mut verdicts = Vec::with_capacity(trace.admissions.len());
        let mut admissions = std::mem::take(&mut trace.admissions).into_iter();
        loop {
            let some: Vec<_> = admissions.by_ref().take(EVENTS_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            // What went before a failure is durable; the sender repeats all, and that is duplicates.
            verdicts.extend(self.commit(some).await?.results);
        }
        self.metrics().spans.count(trace.spans);
        Ok(trace.answer(&verdicts))
    }

    async fn refuse(&self, signal: Signal, headers: &HeaderMap, body: Body) -> Response {
        let format = match format_of(headers) {
            Ok(format) => format,
            Err(problem) => return failed(problem, Format::Json),
        };
        let refused = match self.body(headers, body).await {
            Ok((_room, body)) => {
                otlp::refuse_all(signal, format, encoding(headers), &body).map_err(Into::into)
            }
            Err(problem) => Err(problem),
        };
        match refused {
            Ok(partial) => answered(&partial, signal, format),
            Err(problem) => failed(problem, format),
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn format_of(headers: &HeaderMap) -> Result<Format, ProblemAnswer> {
    Format::of(text(headers, header::CONTENT_TYPE)).map_err(Into::into)
}

fn encoding(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::CONTENT_ENCODING)
}

fn answered(partial: &Partial, signal: Signal, format: Format) -> Response {
    let media = HeaderValue::from_static(format.media());
    let body = partial.encode(signal, format);
    (StatusCode::OK, [(header::CONTENT_TYPE, media)], body).into_response()
}

/// The status and headers of a problem, with the body that exporters read.
fn failed(answer: ProblemAnswer, format: Format) -> Response {
    let body = otlp::failure(answer.problem(), format);
    let (mut head, _) = answer.into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let media = HeaderValue::from_static(format.media());
    head.headers.insert(header::CONTENT_TYPE, media);
    Response::from_parts(head, Body::from(body))
}

/// Counters of spans.
#[derive(Debug, Default)]
pub(crate) struct SpanMetrics([AtomicU64; SPANS.len()]);

const SPANS: [&str; 5] = ["checkout", "stage", "late_stage", "refused", "other"];

impl SpanMetrics {
    fn count(&self, spans: SpanCounts) {
        let counts = [
            spans.checkouts,
            spans.stages,
            spans.late_stages,
            spans.refused,
            spans.others,
        ];
        for (counter, count) in self.0.iter().zip(counts) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The family of these counters.
    pub(crate) fn render(&self, text: &mut Exposition, rig: &str) {
        let mut family = text.family(
            "popwatch_otlp_spans_total",
            MetricKind::Counter,
            "OTLP spans by what they were; only checkouts and their stages are taken.",
        );
        for (kind, counter) in SPANS.iter().zip(&self.0) {
            family.sample(
                &[("rig", rig), ("kind", kind)],
                counter.load(Ordering::Relaxed),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::code::Code;

    #[test]
    fn what_can_be_sent_again_says_when() {
        for (code, status, again) in [
            (Code::QueueFull, 429, true),
            (Code::NotDurable, 503, true),
            (Code::BodyUnparsable, 400, false),
        ] {
            for format in [Format::Protobuf, Format::Json] {
                let problem = super::super::shared::problem(code, "why".to_owned());
                let response = failed(problem, format);
                assert_eq!(response.status(), status);
                let headers = response.headers();
                assert_eq!(headers[header::CONTENT_TYPE], format.media());
                assert_eq!(headers.contains_key(header::RETRY_AFTER), again);
                assert!(!headers.contains_key(header::CONTENT_LENGTH));
            }
        }
    }
}
