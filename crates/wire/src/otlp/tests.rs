use super::*;
use crate::door::Standing;
use popwatch_core::event::Event;
use popwatch_core::id::{JournalId, PopupId, RigId};
use popwatch_core::record::Record;
use popwatch_redact::apply::Plan;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const NOW: Arrival = Arrival {
    mono_ns: 5,
    wall_ms: 1_795_888_800_000,
    local_sender: true,
};
const START_NS: u64 = 1_795_888_790_000_000_000;
const TRACE: &str = "6ef0e6aa3f36b47bc436832bedaf382d";
const SPAN: &str = "5786483d6c32705c";

fn door() -> Door {
    Door {
        rig: RigId::new("till-1").unwrap(),
        journal_id: JournalId([7; 16]),
        default_popup: PopupId::new("night").ok(),
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: Plan::default(),
    }
}

fn admit(format: Format, encoding: Option<&str>, body: &[u8]) -> Result<Trace, Problem> {
    door().admit_trace(
        format,
        encoding,
        body,
        NOW,
        &|_| Standing::default(),
        &mut Counts::default(),
    )
}

fn records<'a>(trace: &'a Trace) -> Vec<&'a Record> {
    let record = |admission: &'a Admission| match admission {
        Admission::Ready(draft) => &draft.get().record,
        Admission::Rejected { problem, .. } => panic!("{problem:?}"),
    };
    trace.admissions.iter().map(record).collect()
}

fn request(resource: Json, spans: Json) -> Json {
    json!({"resourceSpans": [{
        "resource": {"attributes": resource, "droppedAttributesCount": 0},
        "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}],
    }]})
}

fn attributes(pairs: &[(&str, Json)]) -> Json {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

/// A checkout of 1.5005 s with these attributes.
fn checkout(pairs: &[(&str, Json)]) -> Json {
    json!({
        "traceId": TRACE, "spanId": SPAN, "name": "checkout", "kind": 1,
        "startTimeUnixNano": START_NS.to_string(), "endTimeUnixNano": START_NS + 1_500_500_000,
        "attributes": attributes(pairs), "status": {},
    })
}

fn shop() -> Json {
    let text = |text: &str| json!({"stringValue": text});
    attributes(&[
        ("service.name", text("shop")),
        ("service.instance.id", text("page-1")),
        ("popwatch.popup", text("stall")),
        ("popwatch.channel", text("stream")),
    ])
}

fn trace_of(spans: Json) -> Trace {
    let body = request(shop(), spans).to_string();
    admit(Format::Json, None, body.as_bytes()).unwrap()
}

fn text(text: &str) -> Json {
    json!({"stringValue": text})
}

#[test]
fn a_checkout_becomes_its_start_and_its_completion() {
    let mut span = checkout(&[
        ("popwatch.order", json!({"intValue": "580538"})),
        ("popwatch.channel", text("stall")),
        ("popwatch.creator", text("c3")),
        ("popwatch.viewer", text("ada@shop.example")),
        ("amount", json!({"doubleValue": 4.5})),
    ]);
    span["events"] = json!([
        {"name": "stage.payment", "timeUnixNano": (START_NS + 500_000_000).to_string()},
        {"name": "stage.basket", "timeUnixNano": START_NS},
        {"name": "exception", "timeUnixNano": START_NS},
    ]);
    let child = |ms: u64| {
        json!({
            "traceId": TRACE, "spanId": "00000000000000aa", "parentSpanId": SPAN,
            "name": "POST", "startTimeUnixNano": START_NS, "endTimeUnixNano": START_NS + ms * 1_000_000,
            "attributes": attributes(&[("popwatch.stage", text("provider"))]),
        })
    };
    let trace = trace_of(json!([child(250), span, child(40)]));
    let [started, completed] = records(&trace)[..] else {
        panic!("two events");
    };
    assert_eq!(started.id.as_str(), format!("{TRACE}.{SPAN}.started"));
    assert_eq!(started.source.as_str(), "otlp:shop/page-1");
    assert_eq!(started.popup.as_ref().unwrap().as_str(), "stall");
    assert_eq!(started.stamp.time_ms, Some(1_795_888_790_000));
    assert!(!started.flags.local_sender);
    let Event::CheckoutStarted(data) = &started.event else {
        panic!("{started:?}");
    };
    assert_eq!(data.checkout.as_str(), format!("{TRACE}.{SPAN}"));
    assert_eq!(data.channel.as_ref().unwrap().as_str(), "stall");
    assert_eq!(data.creator.as_ref().unwrap().as_str(), "c3");
    let viewer = data.viewer.as_ref().unwrap().as_str();
    assert!(!viewer.contains("ada"), "{viewer}");

    assert_eq!(completed.id.as_str(), format!("{TRACE}.{SPAN}.completed"));
    assert_eq!(completed.stamp.time_ms, Some(1_795_888_791_500));
    let Event::CheckoutCompleted(data) = &completed.event else {
        panic!("{completed:?}");
    };
    assert_eq!(data.order.as_str(), "580538");
    // Half a millisecond goes to the even neighbour.
    assert_eq!(data.duration_ms.unwrap().0, 1_500);
    let stages = data.stages.as_ref().unwrap().iter();
    let stages: Vec<_> = stages
        .map(|stage| (stage.name.as_str(), stage.ms))
        .collect();
    assert_eq!(
        stages,
        [("basket", 500), ("payment", 1_000), ("provider", 290)]
    );
    assert_eq!((trace.spans.checkouts, trace.spans.stages), (1, 2));
    assert_eq!(trace.answer(&kept(2)), Partial::default());
}

/// Verdicts of events that were all taken.
fn kept(count: u64) -> Vec<Verdict> {
    (1..=count)
        .map(|seq| Verdict::accepted(seq.to_string(), seq))
        .collect()
}

#[track_caller]
fn abandoned(span: Json) -> (String, Option<&'static str>) {
    let trace = trace_of(json!([span]));
    let Event::CheckoutAbandoned(data) = &records(&trace)[1].event else {
        panic!("not abandoned");
    };
    let reason = data.reason.map(popwatch_core::event::Reason::text);
    (String::from(&data.stage), reason)
}

#[test]
fn an_error_or_the_outcome_makes_it_abandoned() {
    let failed = |pairs: &[(&str, Json)]| {
        let mut span = checkout(pairs);
        span["status"] = json!({"code": 2, "message": "not for us"});
        span
    };
    let reason = |word| failed(&[("error.type", text(word))]);
    let plain = |word: &'static str| ("checkout".to_owned(), Some(word));
    assert_eq!(abandoned(reason("declined")), plain("declined"));
    assert_eq!(abandoned(reason("cancelled")), plain("cancelled"));
    assert_eq!(abandoned(reason("TimeoutError")), plain("technical"));
    assert_eq!(abandoned(failed(&[])), plain("technical"));
    let gone = ("popwatch.outcome", text("abandoned"));
    let at = ("popwatch.stage", text("address"));
    let mut span = checkout(&[gone.clone(), at]);
    assert_eq!(abandoned(span.clone()), ("address".to_owned(), None));
    span = checkout(&[gone]);
    span["events"] = json!([
        {"name": "stage.payment", "timeUnixNano": START_NS + 9},
        {"name": "stage.basket", "timeUnixNano": START_NS + 1},
    ]);
    assert_eq!(abandoned(span), ("payment".to_owned(), None));
}

#[test]
fn a_checkout_may_have_another_name_and_a_name_of_its_own() {
    let named = |value: Json| {
        let mut span = checkout(&[("popwatch.checkout", value)]);
        span["name"] = json!("pay");
        trace_of(json!([span]))
    };
    let checkout_of = |trace: &Trace| {
        let Event::CheckoutCompleted(data) = &records(trace)[1].event else {
            panic!("not completed");
        };
        (String::from(&data.checkout), String::from(&data.order))
    };
    let own = format!("{TRACE}.{SPAN}");
    let flag = named(json!({"boolValue": true}));
    assert_eq!(checkout_of(&flag), (own.clone(), own));
    let given = named(text("ck-7"));
    assert_eq!(checkout_of(&given), ("ck-7".to_owned(), "ck-7".to_owned()));
    let not = named(json!({"boolValue": false}));
    assert_eq!((not.admissions.len(), not.spans.others), (0, 1));
}

#[test]
fn what_is_no_checkout_is_counted_and_said() {
    let mut other = checkout(&[("payment.amount", json!({"intValue": "450"}))]);
    other["name"] = json!("payment.captured");
    let mut late = checkout(&[("popwatch.stage", text("provider"))]);
    late["name"] = json!("POST");
    late["parentSpanId"] = json!("1111111111111111");
    let mut back = checkout(&[]);
    back["endTimeUnixNano"] = json!(START_NS - 1);
    let mut nameless = checkout(&[]);
    nameless["spanId"] = json!("0000000000000000");
    let mut marked = checkout(&[]);
    let mark = json!({"name": "stage.again", "timeUnixNano": START_NS});
    marked["events"] = vec![mark; popwatch_core::limits::TRACE_MARKS_MAX + 1].into();
    let good = checkout(&[]);
    let trace = trace_of(json!([other, late, back, nameless, good, marked]));
    assert_eq!(
        trace.spans,
        SpanCounts {
            checkouts: 1,
            stages: 0,
            late_stages: 1,
            refused: 3,
            others: 1
        }
    );
    let answer = trace.answer(&kept(2));
    assert_eq!(answer.rejected, 5);
    for said in [
        "3 checkout spans",
        "PW0103: endTimeUnixNano",
        "1 stage spans",
        "1 spans are no",
    ] {
        assert!(answer.message.contains(said), "{}", answer.message);
    }
    // A refusal at the door or in the journal takes the span with it.
    let problem = EventProblem::of(Code::EventConflict, "id", "is taken");
    let verdicts = [
        kept(1).remove(0),
        Verdict::rejected(Some("x".into()), &problem),
    ];
    let answer = trace.answer(&verdicts);
    assert_eq!(answer.rejected, 6);
}

#[test]
fn the_door_names_a_bad_attribute_and_takes_its_neighbours() {
    let bad = checkout(&[("popwatch.order", json!({"doubleValue": 5.5}))]);
    let mut good = checkout(&[]);
    good["spanId"] = json!("5786483d6c32705d");
    let trace = trace_of(json!([bad, good]));
    let fields: Vec<_> = trace
        .admissions
        .iter()
        .map(|admission| match admission {
            Admission::Ready(_) => None,
            Admission::Rejected { problem, .. } => problem.field.as_deref(),
        })
        .collect();
    assert_eq!(fields, [None, Some("data.order"), None, None]);
}

#[test]
fn a_span_that_looks_like_a_card_still_has_its_name() {
    // Luhn holds: 4111111111111111.
    let mut span = checkout(&[]);
    span["spanId"] = json!("4111111111111111");
    let trace = trace_of(json!([span]));
    let id = records(&trace)[0].id.as_str().to_owned();
    let letters = "6ef0e6aa3f36b47bc436832bedaf382d".replace(|c: char| c.is_ascii_digit(), "");
    assert!(!id.contains("1111"), "{id}");
    assert!(id.ends_with(".khhhhhhhhhhhhhhh.started"), "{id}");
    assert!(id.len() > letters.len());
}

#[test]
fn garbage_is_refused_with_a_status_in_its_format() {
    for (format, body) in [
        (Format::Json, &b"{\"resourceSpans\": ["[..]),
        (Format::Json, b"[]"),
        (Format::Json, br#"{"resourceSpans": 7}"#),
        (Format::Protobuf, b"nonsense"),
        (Format::Protobuf, &[0x0a, 0x7f, 0x00]),
    ] {
        let problem = admit(format, None, body).unwrap_err();
        assert_eq!((problem.code, problem.status), (Code::BodyUnparsable, 400));
        let sent = failure(&problem, format);
        let status = match format {
            Format::Protobuf => RpcStatus::decode(&sent[..]).unwrap(),
            Format::Json => {
                let json: Json = serde_json::from_slice(&sent).unwrap();
                RpcStatus {
                    code: i32::try_from(json["code"].as_i64().unwrap()).unwrap(),
                    message: json["message"].as_str().unwrap().to_owned(),
                }
            }
        };
        assert_eq!(status.code, 3);
        assert!(status.message.starts_with("PW0101: "), "{}", status.message);
    }
    assert_eq!(
        admit(Format::Protobuf, Some("gzip"), b"no gzip")
            .unwrap_err()
            .status,
        400
    );
    assert_eq!(Format::of(Some("text/plain")).unwrap_err().status, 415);
    assert_eq!(
        Format::of(Some("Application/JSON; charset=utf-8")),
        Ok(Format::Json)
    );
}

#[test]
fn spans_beyond_the_bound_refuse_the_request() {
    let spans = |count| {
        let spans = vec![r#"{"name":"x"}"#; count].join(",");
        let scope = format!(r#"{{"spans":[{spans}]}}"#);
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{scope},{{}}]}},{{}},{{}}]}}"#)
    };
    let fits = admit(Format::Json, None, spans(TRACE_SPANS_MAX).as_bytes()).unwrap();
    assert_eq!(
        fits.spans.others,
        u64::try_from(TRACE_SPANS_MAX).unwrap_or_default()
    );
    let over = spans(TRACE_SPANS_MAX + 1);
    let problem = admit(Format::Json, None, over.as_bytes()).unwrap_err();
    assert_eq!(problem.code, Code::BodyTooLarge);
    let scope = [0x12, 0].repeat(TRACE_SPANS_MAX + 1);
    let nested = |tag: u8, inside: &[u8]| {
        let mut out = vec![tag];
        prost::encoding::encode_varint(u64::try_from(inside.len()).unwrap_or_default(), &mut out);
        out.extend(inside);
        out
    };
    let body = nested(0x0a, &nested(0x12, &scope));
    let problem = admit(Format::Protobuf, None, &body).unwrap_err();
    assert_eq!(problem.code, Code::BodyTooLarge);
}

macro_rules! captured {
    ($name:literal, $format:expr, $encoding:expr) => {
        (
            $name,
            $format,
            $encoding,
            &include_bytes!(concat!("../../../../fixtures/public/otlp/", $name, ".body"))[..],
        )
    };
}

/// Each capture holds a checkout of 900 ms with two marks and a child, one declined, and a span
/// that is neither.
#[test]
fn requests_of_the_public_sdks_are_understood() {
    for (name, format, encoding, body) in [
        captured!("traces_python-1.45.2", Format::Protobuf, Some("gzip")),
        captured!("traces_js-2.12.0_json", Format::Json, None),
        captured!("traces_js-2.12.0_protobuf", Format::Protobuf, Some("gzip")),
    ] {
        let trace = admit(format, encoding, body).unwrap();
        let expected = SpanCounts {
            checkouts: 2,
            stages: 1,
            others: 1,
            ..SpanCounts::default()
        };
        assert_eq!(trace.spans, expected, "{name}");
        let mut completed = 0;
        for record in records(&trace) {
            assert!(record.source.as_str().starts_with("otlp:shop/"), "{name}");
            assert_eq!(record.popup.as_ref().unwrap().as_str(), "stall", "{name}");
            if let Event::CheckoutCompleted(data) = &record.event {
                completed += 1;
                assert_eq!(data.duration_ms.unwrap().0, 900, "{name}");
                assert_eq!(data.order.as_str(), "o-0", "{name}");
                let stages = data.stages.as_ref().unwrap().iter();
                let stages: Vec<_> = stages.map(|stage| stage.ms).collect();
                assert_eq!(stages, [300, 600, 250], "{name}");
            } else if let Event::CheckoutAbandoned(data) = &record.event {
                completed += 10;
                assert_eq!(data.reason.unwrap().text(), "declined", "{name}");
            }
        }
        assert_eq!(completed, 11, "{name}");
        assert_eq!(trace.answer(&kept(4)).rejected, 1, "{name}");
    }
}

#[test]
fn an_answer_is_written_as_the_request_was() {
    let partial = Partial {
        rejected: 3,
        message: "why".to_owned(),
    };
    let json: Json =
        serde_json::from_slice(&partial.encode(Signal::Metrics, Format::Json)).unwrap();
    assert_eq!(
        json,
        json!({"partialSuccess": {"rejectedDataPoints": "3", "errorMessage": "why"}})
    );
    let bytes = partial.encode(Signal::Logs, Format::Protobuf);
    assert_eq!(bytes, [0x0a, 7, 0x08, 3, 0x12, 3, b'w', b'h', b'y']);
    let all = Partial::default();
    assert_eq!(all.encode(Signal::Traces, Format::Json), b"{}");
    assert_eq!(all.encode(Signal::Traces, Format::Protobuf), b"");
}

#[test]
fn logs_and_metrics_are_refused_whole_and_counted() {
    let logs = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"body":{}}]}]}]}"#;
    let partial = refuse_all(Signal::Logs, Format::Json, None, logs).unwrap();
    assert_eq!(partial.rejected, 2);
    assert!(
        partial.message.contains("/v1/events"),
        "{}",
        partial.message
    );
    let metrics = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"a","sum":{"dataPoints":[{"asDouble":67854}]}},
        {"gauge":{"dataPoints":[{},{}]}},{"name":"b"}]}]}]}"#;
    let partial = refuse_all(Signal::Metrics, Format::Json, None, metrics).unwrap();
    assert_eq!(partial.rejected, 3);
    // One metric of each kind, each with one data point.
    let kinds = [0x2a, 0x3a, 0x4a, 0x52, 0x5a];
    let metrics: Vec<u8> = kinds
        .iter()
        .flat_map(|kind| [0x12, 4, *kind, 2, 0x0a, 0])
        .collect();
    let length = u8::try_from(metrics.len()).unwrap();
    let body = [&[0x0a, length + 2, 0x12, length], &metrics[..]].concat();
    let partial = refuse_all(Signal::Metrics, Format::Protobuf, None, &body).unwrap();
    assert_eq!(partial.rejected, 5);
    let none = refuse_all(Signal::Metrics, Format::Protobuf, None, b"").unwrap();
    assert_eq!(none, Partial::default());
}

fn any_span() -> impl Strategy<Value = Json> {
    let name = prop_oneof![Just("checkout"), Just("GET /")];
    let times = 0..3u64;
    let key = prop::sample::select(vec![
        "popwatch.order",
        "popwatch.stage",
        "popwatch.viewer",
        "popwatch.checkout",
        "error.type",
        "http.route",
    ]);
    let value = prop_oneof![
        "[a-z0-9]{1,12}".prop_map(|text| json!({ "stringValue": text })),
        any::<i64>().prop_map(|number| json!({"intValue": number.to_string()})),
        any::<bool>().prop_map(|flag| json!({ "boolValue": flag })),
        Just(json!({"doubleValue": 0.5})),
    ];
    let pairs = prop::collection::vec((key, value), 0..5);
    let parent = prop_oneof![Just(""), Just("00000000000000b1")];
    (name, 1..9u8, parent, times, 0..3u32, pairs).prop_map(
        |(name, id, parent, ns, status, pairs)| {
            json!({
                "traceId": TRACE, "spanId": format!("00000000000000b{id}"), "parentSpanId": parent,
                "name": name, "startTimeUnixNano": START_NS.to_string(),
                "endTimeUnixNano": (START_NS + ns).to_string(), "status": {"code": status},
                "attributes": attributes(&pairs),
            })
        },
    )
}

#[test]
fn checkouts_of_a_popup_that_is_closed_are_late() {
    let body = request(shop(), json!([checkout(&[])])).to_string();
    let admit = |until: i64| {
        let of = |_: &PopupId| Standing {
            until_ms: Some(until),
            ..Standing::default()
        };
        let counts = &mut Counts::default();
        let trace = door().admit_trace(Format::Json, None, body.as_bytes(), NOW, &of, counts);
        let trace = trace.unwrap();
        let records = records(&trace);
        records
            .iter()
            .map(|record| record.flags.late)
            .collect::<Vec<_>>()
    };
    assert_eq!(admit(i64::MAX), [false, false]);
    assert_eq!(admit(1), [true, true]);
}

/// What the journal tells repeats by, or why there is nothing to tell.
fn identities(trace: &Trace) -> Vec<Result<[String; 3], Code>> {
    let identity = |admission: &Admission| match admission {
        Admission::Ready(draft) => {
            let record = &draft.get().record;
            Ok([
                record.source.as_str().to_owned(),
                record.id.as_str().to_owned(),
                format!("{:?}", record.content),
            ])
        }
        Admission::Rejected { problem, .. } => Err(problem.code),
    };
    trace.admissions.iter().map(identity).collect()
}

proptest! {
    /// The same spans again, later and in another order, are duplicates.
    #[test]
    fn spans_sent_twice_are_the_same_events(spans in prop::collection::vec(any_span(), 0..6)) {
        let ids: std::collections::BTreeSet<_> =
            spans.iter().map(|span| span["spanId"].to_string()).collect();
        prop_assume!(ids.len() == spans.len());
        let first = trace_of(json!(spans));
        let turned: Vec<_> = spans.into_iter().rev().collect();
        let body = request(shop(), json!(turned)).to_string();
        let later = Arrival { mono_ns: 9_000_000_000, wall_ms: NOW.wall_ms + 9_000, ..NOW };
        let again = door()
            .admit_trace(Format::Json, None, body.as_bytes(), later, &|_| Standing::default(), &mut Counts::default())
            .unwrap();
        prop_assert_eq!(first.spans, again.spans);
        let sorted = |trace: &Trace| {
            let mut all = identities(trace);
            all.sort_by_key(|one| format!("{one:?}"));
            all
        };
        let (first, again) = (sorted(&first), sorted(&again));
        prop_assert_eq!(&first, &again);
        prop_assert!(!first.contains(&Err(Code::Defect)));
    }

    #[test]
    fn hostile_bytes_are_refused_or_read_in_either_format(
        mut body in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
        cut in 0..6usize,
    ) {
        for format in [Format::Protobuf, Format::Json] {
            drop(admit(format, None, &body));
            drop(refuse_all(Signal::Metrics, format, None, &body));
        }
        let good = request(shop(), json!([checkout(&[])])).to_string().into_bytes();
        let at = at.index(good.len());
        let end = (at + cut).min(good.len());
        body.truncate(3);
        let patched = [&good[..at], &body, &good[end..]].concat();
        if let Ok(trace) = admit(Format::Json, None, &patched) {
            for identity in identities(&trace) {
                prop_assert_ne!(identity.err(), Some(Code::Defect));
            }
        }
    }
}
