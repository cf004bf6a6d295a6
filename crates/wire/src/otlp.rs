//! OTLP over HTTP: spans of a checkout become its timings, everything else is counted and left.
//!
//! ```text
//! span `checkout`, or with `popwatch.checkout`
//!    status unset, ok                            → checkout.started + checkout.completed
//!    status error, `popwatch.outcome=abandoned`  → checkout.started + checkout.abandoned
//! its events `stage.NAME`, its children with `popwatch.stage` → stages
//! ```
//!
//! What always holds: nothing of it is ever money or stock (exporters send sums twice at shutdown,
//! and counters as floats); an event made of a span goes through the door that all events go
//! through; a repeated span makes the same identities and contents again, so it is a duplicate.

mod checkout;
mod json;
mod protobuf;
mod span;

use popwatch_core::code::Code;
use popwatch_core::limits::TRACE_SPANS_MAX;
use popwatch_redact::apply::Counts;
use prost::Message;
use serde_json::json;

use crate::cloudevents::unparsable;
use crate::door::{Admission, Arrival, Door, Stands};
use crate::inflate::inflate;
use crate::problem::Problem;
use crate::verdict::{ErrorBody, EventProblem, Status, Verdict};

/// Admissions that one span makes: its start and its end.
pub const EVENTS_PER_CHECKOUT: usize = 2;

/// How a request is written; the answer is written likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// Reads a header `Content-Type`; its parameters are ignored.
    pub fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        let media = content_type.unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let all = [Self::Protobuf, Self::Json];
        let found = all
            .into_iter()
            .find(|format| media.eq_ignore_ascii_case(format.media()));
        found.ok_or_else(|| {
            Problem::new(
                Code::MediaTypeUnsupported,
                "send OTLP as application/x-protobuf or application/json",
            )
        })
    }

    /// Its media type.
    #[must_use]
    pub const fn media(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `/v1/traces`.
    Traces,
    /// `/v1/logs`.
    Logs,
    /// `/v1/metrics`.
    Metrics,
}

impl Signal {
    /// What the answer calls those that were refused.
    const fn rejected_name(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Torn {
    /// Bytes of the innermost message that were left, where that is known.
    left: Option<usize>,
}

/// What is kept of a request: spans by the resource that sent them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traces {
    groups: Vec<(span::Attributes, span::Kept)>,
    /// Spans that came, kept or not.
    seen: usize,
}

impl Traces {
    fn add(&mut self, resource: span::Attributes, kept: span::Kept) {
        self.seen += kept.seen;
        if !kept.spans.is_empty() && self.seen <= TRACE_SPANS_MAX {
            self.groups.push((resource, kept));
        }
    }

    fn read(format: Format, body: &[u8]) -> Result<Self, Problem> {
        let traces = match format {
            Format::Protobuf => protobuf::traces(body).map_err(no_message)?,
            Format::Json => json::traces(body).map_err(|error| unparsable(&error, body))?,
        };
        if traces.seen > TRACE_SPANS_MAX {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!(
                    "a request may have {TRACE_SPANS_MAX} spans; set the exporter's batch to fewer"
                ),
            ));
        }
        Ok(traces)
    }
}

fn no_message(torn: Torn) -> Problem {
    let what = match torn.left {
        Some(left) => format!("breaks off {left} bytes before the end of a message"),
        None => "holds a text that is not UTF-8".to_owned(),
    };
    Problem::new(
        Code::BodyUnparsable,
        format!("the body {what}; send an OTLP message in protobuf, whole"),
    )
}

/// What the door made of a request's spans.
#[derive(Debug, Default)]
pub struct Trace {
    /// [`EVENTS_PER_CHECKOUT`] per checkout that could be told, its start before its end.
    pub admissions: Vec<Admission>,
    /// What became of the spans.
    pub spans: SpanCounts,
    /// Why the first span that could not be told was refused.
    fault: Option<EventProblem>,
}

/// Spans of a request by what they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Checkouts whose events went to the door.
    pub checkouts: u64,
    /// Stages that their checkout took in.
    pub stages: u64,
    /// Stages whose checkout was not in the same request.
    pub late_stages: u64,
    /// Checkouts that could not be told.
    pub refused: u64,
    /// Neither.
    pub others: u64,
}

impl Door {
    /// Takes an `ExportTraceServiceRequest`: what its checkouts make, or why the request as a whole
    /// is refused. `stands` as for [`Door::admit_under`]. Adds what redaction did to `counts`.
    pub fn admit_trace(
        &self,
        format: Format,
        content_encoding: Option<&str>,
        body: &[u8],
        arrival: Arrival,
        stands: Stands<'_>,
        counts: &mut Counts,
    ) -> Result<Trace, Problem> {
        let body = inflate(content_encoding, body)?;
        let traces = Traces::read(format, &body)?;
        // A collector next door passes on what other hosts timed: the connection says nothing about
        // whose clock it was.
        let arrival = Arrival {
            local_sender: false,
            ..arrival
        };
        let mut trace = Trace::default();
        let told = checkout::tell(&traces, &mut trace.spans);
        for envelopes in told {
            match envelopes {
                Ok(envelopes) => {
                    trace.spans.checkouts += 1;
                    let admitted = envelopes
                        .iter()
                        .map(|one| self.one(one, arrival, stands, counts));
                    trace.admissions.extend(admitted);
                }
                Err(fault) => {
                    trace.spans.refused += 1;
                    trace.fault.get_or_insert(fault);
                }
            }
        }
        Ok(trace)
    }
}

/// An answer's `partial_success`: how many were refused and what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// Spans, log records or data points that were not taken.
    pub rejected: u64,
    /// Why; empty when none was.
    pub message: String,
}

impl Trace {
    /// What the sender is told, given a verdict per admission, in order.
    #[must_use]
    pub fn answer(&self, verdicts: &[Verdict]) -> Partial {
        let refused = |pair: &&[Verdict]| pair.iter().any(|one| one.status == Status::Rejected);
        let pairs = verdicts.chunks(EVENTS_PER_CHECKOUT).filter(refused);
        let refused = self.spans.refused + pairs.fold(0, |count, _| count + 1);
        let at_door = verdicts.iter().find_map(|verdict| verdict.error.as_ref());
        let why = self
            .fault
            .as_ref()
            .map(in_words)
            .or_else(|| at_door.map(error_in_words));
        let mut said = Vec::new();
        if refused > 0 {
            let why = why.unwrap_or_default();
            said.push(format!(
                "{refused} checkout spans were refused, the first for {why}"
            ));
        }
        if self.spans.late_stages > 0 {
            said.push(format!(
                "{} stage spans came without their checkout; end stages before it and export them \
                 in one batch",
                self.spans.late_stages
            ));
        }
        if self.spans.others > 0 {
            said.push(format!(
                "{} spans are no checkouts; popwatch takes spans named checkout or with the \
                 attribute popwatch.checkout",
                self.spans.others
            ));
        }
        Partial {
            rejected: refused + self.spans.late_stages + self.spans.others,
            message: said.join(". "),
        }
    }
}

fn in_words(problem: &EventProblem) -> String {
    error_in_words(&ErrorBody {
        code: problem.code.to_string(),
        field: problem.field.clone(),
        detail: problem.detail.clone(),
    })
}

fn error_in_words(error: &ErrorBody) -> String {
    let field = error.field.as_deref().unwrap_or("the span");
    format!("{}: {field} {}", error.code, error.detail)
}

/// Reads a request of logs or metrics only to count what is in it: all of it is refused.
pub fn refuse_all(
    signal: Signal,
    format: Format,
    content_encoding: Option<&str>,
    body: &[u8],
) -> Result<Partial, Problem> {
    let body = inflate(content_encoding, body)?;
    let (fields, names, message): (&[&[u64]], &[&[&str]], _) = match signal {
        Signal::Traces => (
            &[&[1], &[2], &[2]],
            &[&["resourceSpans"], &["scopeSpans"], &["spans"]],
            "popwatch takes checkouts alone; send traces to /v1/traces",
        ),
        Signal::Logs => (
            &[&[1], &[2], &[2]],
            &[&["resourceLogs"], &["scopeLogs"], &["logRecords"]],
            "popwatch takes no logs; switch this exporter off (OTEL_LOGS_EXPORTER=none) and send \
             events to /v1/events, checkout spans to /v1/traces",
        ),
        Signal::Metrics => (
            &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]],
            &[
                &["resourceMetrics"],
                &["scopeMetrics"],
                &["metrics"],
                &[
                    "gauge",
                    "sum",
                    "histogram",
                    "exponentialHistogram",
                    "summary",
                ],
                &["dataPoints"],
            ],
            "popwatch takes no metrics, and never money from a counter; switch this exporter off \
             (OTEL_METRICS_EXPORTER=none) and send sales and stock to /v1/events",
        ),
    };
    let rejected = match format {
        Format::Protobuf => protobuf::count(&body, fields).map_err(no_message)?,
        Format::Json => json::count(&body, names).map_err(|error| unparsable(&error, &body))?,
    };
    let message = match rejected {
        0 => String::new(),
        _ => message.to_owned(),
    };
    Ok(Partial { rejected, message })
}

/// `Export…ServiceResponse`: the three signals number their fields alike.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`, without details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Partial {
    /// The body of a 200; without `partial_success` when all was taken.
    #[must_use]
    pub fn encode(&self, signal: Signal, format: Format) -> Vec<u8> {
        let all = self.rejected == 0 && self.message.is_empty();
        match format {
            Format::Protobuf => Response {
                partial_success: (!all).then(|| PartialSuccess {
                    rejected: i64::try_from(self.rejected).unwrap_or(i64::MAX),
                    error_message: self.message.clone(),
                }),
            }
            .encode_to_vec(),
            Format::Json if all => b"{}".to_vec(),
            Format::Json => json!({
                "partialSuccess": {
                    signal.rejected_name(): self.rejected.to_string(),
                    "errorMessage": self.message,
                }
            })
            .to_string()
            .into_bytes(),
        }
    }
}

/// The body of an error: a `google.rpc.Status` that names our code.
#[must_use]
pub fn failure(problem: &Problem, format: Format) -> Vec<u8> {
    let code = match problem.status {
        400 | 413 | 415 => 3,
        403 => 7,
        429 => 8,
        503 => 14,
        _ => 13,
    };
    let message = problem.to_string();
    match format {
        Format::Protobuf => RpcStatus { code, message }.encode_to_vec(),
        Format::Json => json!({"code": code, "message": message})
            .to_string()
            .into_bytes(),
    }
}

#[cfg(test)]
mod tests;
