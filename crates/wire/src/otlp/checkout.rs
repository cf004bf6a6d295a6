//! From a checkout's span to the envelopes of its two events.

use std::collections::BTreeMap;

use popwatch_core::code::Code;
use popwatch_core::event::{EventType, Reason};
use popwatch_core::limits::TRACE_MARKS_MAX;
use popwatch_core::money::div_half_even;
use serde_json::{Map, Value as Json, json};

use super::span::{Attribute, Attributes, Key, Span};
use super::{EVENTS_PER_CHECKOUT, SpanCounts, Traces};
use crate::cloudevents::Envelope;
use crate::door;
use crate::event_v1::TYPE_PREFIX;
use crate::json::rfc3339;
use crate::verdict::EventProblem;

const NS_PER_MS: u64 = 1_000_000;
/// The stage of an abandoned checkout that names none.
const STAGE_UNNAMED: &str = "checkout";
/// What an SDK calls a service that nobody named.
const SERVICE_UNNAMED: &str = "unknown_service";

/// A checkout's envelopes, or why it cannot be told.
type Told = Result<[Envelope; EVENTS_PER_CHECKOUT], EventProblem>;

/// Tells each checkout of a request, and counts the spans that are none.
pub(super) fn tell(traces: &Traces, counts: &mut SpanCounts) -> Vec<Told> {
    let spans = || {
        let groups = traces.groups.iter();
        groups.flat_map(|(resource, kept)| kept.spans.iter().map(move |span| (resource, span)))
    };
    let mut children: BTreeMap<_, Vec<&Span>> = BTreeMap::new();
    for (_, span) in spans().filter(|(_, span)| span.stage().is_some()) {
        children
            .entry((span.trace, span.parent))
            .or_default()
            .push(span);
    }
    let waiting: usize = children.values().map(Vec::len).sum();
    let mut told = Vec::new();
    let mut used = 0;
    for (resource, span) in spans().filter(|(_, span)| span.is_checkout()) {
        let own = children.remove(&(span.trace, span.id)).unwrap_or_default();
        used += own.len();
        told.push(Checkout::of(resource, span, &own).and_then(|checkout| checkout.envelopes()));
    }
    counts.stages = count(used);
    counts.late_stages = count(waiting - used);
    counts.others = count(traces.seen - waiting - told.len());
    told
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

struct Checkout<'a> {
    resource: &'a Attributes,
    span: &'a Span,
    /// Trace and span, as the events' ids begin.
    name: String,
    duration_ns: u64,
    stages: Vec<StageSpan<'a>>,
}

/// One stretch of one stage.
struct StageSpan<'a> {
    stage: &'a str,
    start_ns: u64,
    took_ns: u64,
}

impl<'a> Checkout<'a> {
    fn of(
        resource: &'a Attributes,
        span: &'a Span,
        children: &[&'a Span],
    ) -> Result<Self, EventProblem> {
        if !span.is_named() {
            return Err(EventProblem::of(
                Code::EnvelopeInvalid,
                "traceId, spanId",
                "must be 16 and 8 bytes that are not all zero",
            ));
        }
        // Both events arrive together: without a duration the live view would take it for none.
        let duration_ns = span.duration_ns().ok_or_else(|| {
            EventProblem::of(
                Code::DataInvalid,
                "endTimeUnixNano",
                "must not lie before startTimeUnixNano, and both must be there",
            )
        })?;
        if span.marks.too_many() {
            return Err(EventProblem::of(
                Code::EventTooLarge,
                "events",
                format!("may hold {TRACE_MARKS_MAX} stages"),
            ));
        }
        Ok(Self {
            resource,
            span,
            name: name(span),
            duration_ns,
            stages: stages(span, children),
        })
    }

    /// An attribute of the span, else of its resource.
    fn find(&self, key: Key) -> Option<&Attribute> {
        let own = self.span.attributes.get(key);
        own.or_else(|| self.resource.get(key))
    }

    fn abandoned(&self) -> bool {
        let outcome = self.find(Key::Outcome).and_then(Attribute::text);
        self.span.error || outcome.is_some_and(|outcome| outcome == "abandoned")
    }

    fn envelopes(&self) -> Told {
        let started = self.envelope(
            EventType::CheckoutStarted,
            "started",
            self.span.start_ns,
            self.started(),
        );
        let (of, suffix, data) = match self.abandoned() {
            true => (
                EventType::CheckoutAbandoned,
                "abandoned",
                self.abandoned_data(),
            ),
            false => (EventType::CheckoutCompleted, "completed", self.completed()),
        };
        let ended = self.envelope(of, suffix, self.span.end_ns, data);
        Ok([started, ended])
    }

    fn envelope(
        &self,
        of: EventType,
        suffix: &str,
        at_ns: u64,
        data: Map<String, Json>,
    ) -> Envelope {
        let mut envelope = Envelope::new();
        let mut put = |name: &str, value: Json| {
            envelope.insert(name.to_owned(), value);
        };
        put("specversion", json!("1.0"));
        put("id", json!(format!("{}.{suffix}", self.name)));
        put("source", json!(self.source()));
        put("type", json!(format!("{TYPE_PREFIX}{}", of.name())));
        // 2^64 ns are the year 2554: the ms of any span fit.
        let at_ms = i64::try_from(at_ns / NS_PER_MS).unwrap_or(i64::MAX);
        put("time", json!(rfc3339(at_ms)));
        if let Some(popup) = self.find(Key::Popup) {
            put("popup", as_json(popup));
        }
        put("data", Json::Object(data));
        envelope
    }

    fn source(&self) -> String {
        let text = |key| self.resource.get(key).and_then(Attribute::text);
        let service = text(Key::ServiceName).unwrap_or_else(|| SERVICE_UNNAMED.to_owned());
        match text(Key::ServiceInstance) {
            Some(instance) => format!("otlp:{service}/{instance}"),
            None => format!("otlp:{service}"),
        }
    }

    /// The shop's own name of this passage where the attribute gives one.
    fn checkout(&self) -> Json {
        match self.span.attributes.get(Key::Checkout) {
            Some(Attribute::Text(text)) if !text.is_empty() && text != "true" => json!(text),
            Some(Attribute::Int(number)) => json!(number.to_string()),
            Some(Attribute::Text(_) | Attribute::Flag(_) | Attribute::Other) | None => {
                json!(self.name)
            }
        }
    }

    fn started(&self) -> Map<String, Json> {
        let mut data = Map::new();
        data.insert("checkout".to_owned(), self.checkout());
        for (name, key) in [
            ("channel", Key::Channel),
            ("creator", Key::Creator),
            ("viewer", Key::Viewer),
        ] {
            if let Some(value) = self.find(key) {
                data.insert(name.to_owned(), as_json(value));
            }
        }
        data
    }

    fn completed(&self) -> Map<String, Json> {
        let mut data = Map::new();
        let checkout = self.checkout();
        // A span that names no order has made one all the same: it goes by the checkout's name.
        let order = self.find(Key::Order).map(as_json);
        data.insert("order".to_owned(), order.unwrap_or(checkout.clone()));
        data.insert("checkout".to_owned(), checkout);
        data.insert("duration_ms".to_owned(), json!(ms(self.duration_ns)));
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for stage in &self.stages {
            let sum = sums.entry(stage.stage).or_default();
            *sum = sum.saturating_add(stage.took_ns);
        }
        if !sums.is_empty() {
            let stages = sums.into_iter();
            let stages = stages.map(|(stage, ns)| (format!("{stage}_ms"), json!(ms(ns))));
            data.insert("stages".to_owned(), Json::Object(stages.collect()));
        }
        data
    }

    fn abandoned_data(&self) -> Map<String, Json> {
        let mut data = Map::new();
        data.insert("checkout".to_owned(), self.checkout());
        // The name decides between equals, so that the order of a batch does not.
        let stages = self.stages.iter();
        let last = stages.max_by_key(|stage| (stage.start_ns, stage.stage));
        let own = self.span.attributes.get(Key::Stage).map(as_json);
        let stage = own.unwrap_or_else(|| json!(last.map_or(STAGE_UNNAMED, |last| last.stage)));
        data.insert("stage".to_owned(), stage);
        if let Some(reason) = self.reason() {
            data.insert("reason".to_owned(), json!(reason.text()));
        }
        data
    }

    /// `error.type` where it is a reason's word. Else it names, by its convention, an exception or a
    /// status code, as an error status does: a machine failed.
    fn reason(&self) -> Option<Reason> {
        let kind = self.span.attributes.get(Key::ErrorType);
        let word = kind.and_then(Attribute::text);
        let reason = Reason::ALL
            .iter()
            .find(|reason| word.as_deref() == Some(reason.text()));
        let failed = kind.is_some() || self.span.error;
        reason
            .copied()
            .or_else(|| failed.then_some(Reason::Technical))
    }
}

/// `TRACE.SPAN` in hex. A span's 16 random digits pass for a card number once in some ten thousand;
/// written in letters they are none, and still the same name each time.
fn name(span: &Span) -> String {
    let hex = |bytes: &[u8]| -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    };
    let name = format!("{}.{}", hex(&span.trace), hex(&span.id));
    if door::forbidden(&name).is_none() {
        return name;
    }
    let letters = "0123456789".chars().zip("ghijklmnop".chars());
    letters.fold(name, |name, (digit, letter)| {
        name.replace(digit, letter.encode_utf8(&mut [0; 4]))
    })
}

/// A stage lasts from its mark to the next one, or to the checkout's end; a child as long as it says.
fn stages<'a>(span: &'a Span, children: &[&'a Span]) -> Vec<StageSpan<'a>> {
    let mut marks: Vec<_> = span.marks.held.iter().collect();
    marks.sort_by_key(|mark| mark.at_ns);
    let ends = marks.iter().skip(1).map(|mark| mark.at_ns);
    let ends: Vec<u64> = ends.chain([span.end_ns]).collect();
    let marked = marks.iter().zip(ends).map(|(mark, end_ns)| StageSpan {
        stage: &mark.stage,
        start_ns: mark.at_ns,
        took_ns: end_ns.saturating_sub(mark.at_ns),
    });
    let spanned = children.iter().filter_map(|child| {
        Some(StageSpan {
            stage: child.stage()?,
            start_ns: child.start_ns,
            took_ns: child.duration_ns()?,
        })
    });
    marked.chain(spanned).collect()
}

fn ms(ns: u64) -> i64 {
    let ms = div_half_even(ns.into(), NS_PER_MS.into());
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// As the door reads it; a kind that is no text is refused there, by its field.
fn as_json(value: &Attribute) -> Json {
    value.text().map_or(Json::Bool(false), Json::String)
}
