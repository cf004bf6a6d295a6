use popwatch_core::code::Code;
use popwatch_core::event::{Event, EventType, Kind};
use popwatch_core::id::{Epoch, JournalId, PopupId, Position, RigId, Seq};
use popwatch_core::invariant;
use popwatch_core::record::{self, Record};
use popwatch_redact::apply::{Counts, Plan};
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_wire::door::{Admission, Arrival, Door, Request};
use popwatch_wire::event_v1;
use popwatch_wire::problem::Problem;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const MEDIA: [&str; 5] = [
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json; charset=utf-8",
    "application/x-ndjson",
    "text/plain",
];

const NOW: Arrival = Arrival {
    mono_ns: 5,
    wall_ms: 1_795_888_800_000,
    local_sender: false,
};

fn door() -> Door {
    Door {
        rig: RigId::new("till-1").unwrap(),
        journal_id: JournalId([7; 16]),
        default_popup: Some(PopupId::new("night").unwrap()),
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: Plan::default(),
    }
}

fn admit_as(media: &str, body: &[u8]) -> Result<Vec<Admission>, Problem> {
    let request = Request {
        content_type: Some(media),
        body,
        ..Request::default()
    };
    door().admit(&request, NOW)
}

fn admit(event: &Json) -> Admission {
    admit_as(MEDIA[0], event.to_string().as_bytes())
        .unwrap()
        .remove(0)
}

fn ready(admission: Admission) -> Record {
    match admission {
        Admission::Ready(draft) => draft.into_inner().record,
        Admission::Rejected { problem, .. } => panic!("rejected: {problem:?}"),
    }
}

fn rejected(admission: Admission) -> (Code, Option<String>, String) {
    match admission {
        Admission::Ready(_) => panic!("was admitted"),
        Admission::Rejected { problem, .. } => (problem.code, problem.field, problem.detail),
    }
}

fn sale() -> Json {
    json!({
        "specversion": "1.0", "id": "2011-12-05/580538/sale", "source": "/rigs/rig-2",
        "type": "popwatch.payment.captured", "time": "2026-11-28T18:00:00.000Z", "agems": "12",
        "popup": "night-market", "rigseq": 42,
        "data": {
            "payment": "p-580538", "order": "580538", "amount": 31_678, "currency": "GBP",
            "method": "card", "offline": true, "creator": "c3", "note": "unknown here", "cvv": "123",
            "lines": [{"sku": "22423", "qty": 2, "amount": 31_678, "creator": "c3", "pan": "x"}],
        },
    })
}

fn with(mut event: Json, pointer: &str, value: Json) -> Json {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[key] = value;
    event
}

fn without(mut event: Json, pointer: &str) -> Json {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    event
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(key);
    event
}

#[test]
fn a_sale_becomes_a_record_that_reads_back() {
    let Admission::Ready(draft) = admit(&sale()) else {
        panic!("rejected");
    };
    let draft = draft.into_inner();
    let record = &draft.record;
    assert_eq!(record::decode(&draft.bytes).as_ref(), Ok(record));
    assert_eq!(record.popup.as_ref().unwrap().as_str(), "night-market");
    assert_eq!(record.stamp.time_ms, Some(1_795_888_800_000));
    assert_eq!((record.stamp.age_ms, record.stamp.mono_ns), (Some(12), 5));
    assert!(!record.flags.time_ignored);
    let Event::PaymentCaptured(sale) = &record.event else {
        panic!("a sale");
    };
    assert_eq!((sale.amount.0, sale.offline), (31_678, Some(true)));
    assert_eq!(sale.lines.as_ref().unwrap()[0].qty, 2);
}

#[test]
fn unknown_fields_and_forbidden_names_are_counted() {
    let body = sale().to_string();
    let request = Request {
        content_type: Some(MEDIA[0]),
        body: body.as_bytes(),
        ..Request::default()
    };
    let mut counts = Counts::default();
    door().admit_counted(&request, NOW, &mut counts).unwrap();
    assert_eq!((counts.unknown_fields, counts.forbidden_names), (1, 2));
}

#[test]
fn what_is_exported_is_admitted_again_as_the_same_content() {
    for of in EventType::ALL
        .iter()
        .filter(|of| **of != EventType::ChatMessage)
    {
        let record = ready(admit(&example(*of, "x1")));
        let position = Position {
            rig: RigId::new("till-1").unwrap(),
            epoch: Epoch(3),
            seq: Seq(9),
        };
        let exported = event_v1::cloudevent(&record, Some(&position));
        assert_eq!(exported["popseq"], 9);
        let mut again = ready(admit(&exported));
        assert_eq!(again.content, record.content, "{}", of.name());
        if !of.fields().iter().any(|field| field.kind == Kind::Subject) {
            again.stamp = record.stamp;
            assert_eq!(again, record, "{}", of.name());
        }
    }
}

#[test]
fn a_retry_with_another_time_is_the_same_content() {
    let one = ready(admit(&sale()));
    let later = with(
        with(sale(), "/time", json!("2026-11-28T18:05:00Z")),
        "/agems",
        json!(99),
    );
    assert_eq!(ready(admit(&later)).content, one.content);
    let other = with(sale(), "/data/amount", json!(31_679));
    assert_ne!(ready(admit(&other)).content, one.content);
    let other = with(sale(), "/popup", json!("other"));
    assert_ne!(ready(admit(&other)).content, one.content);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_bad_event_gets_its_code_and_field() {
    let card = json!("4111 1111 1111 1111");
    let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
    let deep: Json = serde_json::from_str(&deep).unwrap();
    let lines: Vec<_> = (0..2_049)
        .map(|_| json!({"sku": "a", "qty": 1, "amount": 1}))
        .collect();
    for (event, code, field) in [
        (without(sale(), "/id"), Code::EnvelopeInvalid, "id"),
        (with(sale(), "/id", json!(5)), Code::EnvelopeInvalid, "id"),
        (
            with(sale(), "/id", json!("x".repeat(257))),
            Code::EnvelopeInvalid,
            "id",
        ),
        (
            with(sale(), "/id", json!("ada@shop.example")),
            Code::EnvelopeInvalid,
            "id",
        ),
        (
            with(sale(), "/specversion", json!("0.3")),
            Code::EnvelopeInvalid,
            "specversion",
        ),
        (without(sale(), "/source"), Code::EnvelopeInvalid, "source"),
        (
            with(sale(), "/data_base64", json!("e30=")),
            Code::EnvelopeInvalid,
            "data_base64",
        ),
        (
            with(sale(), "/datacontenttype", json!("text/xml")),
            Code::EnvelopeInvalid,
            "datacontenttype",
        ),
        (
            with(sale(), "/popup", json!("../x")),
            Code::EnvelopeInvalid,
            "popup",
        ),
        (
            with(sale(), "/type", json!("popwatch.rig.gap")),
            Code::TypeReserved,
            "type",
        ),
        (
            with(sale(), "/type", json!("popwatch.policy.x")),
            Code::TypeReserved,
            "type",
        ),
        (
            with(sale(), "/type", json!("popwatch.bank.line")),
            Code::TypeReserved,
            "type",
        ),
        (
            with(sale(), "/type", json!("popwatch.nothing")),
            Code::TypeUnknown,
            "type",
        ),
        (
            with(sale(), "/id", card.clone()),
            Code::CardInIdentity,
            "id",
        ),
        (
            with(sale(), "/source", card.clone()),
            Code::CardInIdentity,
            "source",
        ),
        (
            with(sale(), "/popup", json!("4111111111111111")),
            Code::CardInIdentity,
            "popup",
        ),
        (
            with(sale(), "/data/amount", json!(4_111_111_111_111_111i64)),
            Code::CardInIdentity,
            "data.amount",
        ),
        (
            with(sale(), "/data/amount", json!(1.5)),
            Code::DataInvalid,
            "data.amount",
        ),
        (
            with(sale(), "/data/amount", json!("5")),
            Code::DataInvalid,
            "data.amount",
        ),
        (
            with(sale(), "/data/amount", json!(-1)),
            Code::DataInvalid,
            "data.amount",
        ),
        (
            with(sale(), "/data/amount", json!(1_000_000_000_000i64)),
            Code::DataInvalid,
            "data.amount",
        ),
        (
            with(sale(), "/data/amount", json!(u64::MAX)),
            Code::DataInvalid,
            "data.amount",
        ),
        (
            with(sale(), "/data/currency", json!("XAU")),
            Code::DataInvalid,
            "data.currency",
        ),
        (
            without(sale(), "/data/order"),
            Code::DataInvalid,
            "data.order",
        ),
        (with(sale(), "/data", json!([])), Code::DataInvalid, "data"),
        (
            with(sale(), "/data/lines/0/qty", json!(1.5)),
            Code::DataInvalid,
            "data.lines[0].qty",
        ),
        (
            without(sale(), "/data/lines/0/sku"),
            Code::DataInvalid,
            "data.lines[0].sku",
        ),
        (
            with(sale(), "/data/lines", json!(lines)),
            Code::EventTooLarge,
            "data.lines",
        ),
        (
            with(sale(), "/data/method", json!("x".repeat(2_000))),
            Code::EventTooLarge,
            "data.method",
        ),
    ] {
        let (found, at, detail) = rejected(admit(&event));
        assert_eq!((found, at.as_deref()), (code, Some(field)), "{detail}");
        assert!(
            !detail.contains("4111") && !detail.contains("ada"),
            "{detail}"
        );
    }
    let (code, ..) = rejected(admit(&with(sale(), "/deep", deep)));
    assert_eq!(code, Code::EventTooLarge);
}

#[test]
fn a_bad_time_is_no_reason_to_refuse_a_sale() {
    for (pointer, value) in [
        ("/time", json!("1970-01-01T00:00:00Z")),
        ("/time", json!("2101-01-01T00:00:00Z")),
        ("/time", json!("yesterday")),
        ("/agems", json!(1u64 << 31)),
        ("/agems", json!("soon")),
    ] {
        let record = ready(admit(&with(sale(), pointer, value.clone())));
        assert!(record.flags.time_ignored, "{value}");
        assert!(record.stamp.time_ms.is_none() || record.stamp.age_ms.is_none());
    }
}

#[test]
fn an_address_as_source_is_mapped_and_stays_one_source() {
    let event = with(sale(), "/source", json!("mailto:ada@shop.example"));
    let (one, other) = (ready(admit(&event)), ready(admit(&event)));
    assert!(one.source.as_str().starts_with("x_"));
    assert_eq!(one.source, other.source);
}

#[test]
fn without_a_popup_only_the_rig_itself_reports() {
    let door = Door {
        default_popup: None,
        ..door()
    };
    let admit = |event: &Json| {
        let body = event.to_string();
        let request = Request {
            content_type: Some(MEDIA[0]),
            body: body.as_bytes(),
            ..Request::default()
        };
        door.admit(&request, NOW).unwrap().remove(0)
    };
    let (code, field, _) = rejected(admit(&without(sale(), "/popup")));
    assert_eq!(
        (code, field.as_deref()),
        (Code::EnvelopeInvalid, Some("popup"))
    );
    let sample = json!({"specversion": "1.0", "id": "1", "source": "s",
        "type": "popwatch.rig.sampled", "data": {"battery": 97.5}});
    assert_eq!(ready(admit(&sample)).popup, None);
}

#[test]
fn neighbours_of_a_bad_line_are_admitted_in_order() {
    let bad = with(sale(), "/data/amount", json!("5"));
    let body = format!("{}\nnonsense\n\n{bad}\n{}\n", sale(), sale());
    let admissions = admit_as(MEDIA[3], body.as_bytes()).unwrap();
    let shapes: Vec<_> = admissions
        .iter()
        .map(|admission| match admission {
            Admission::Ready(_) => "ready",
            Admission::Rejected { id: Some(_), .. } => "rejected with id",
            Admission::Rejected { id: None, .. } => "rejected",
        })
        .collect();
    assert_eq!(shapes, ["ready", "rejected", "rejected with id", "ready"]);
}

macro_rules! captured {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!(
                "../../../../fixtures/public/cloudevents/",
                $name,
                ".headers.json"
            )),
            include_str!(concat!(
                "../../../../fixtures/public/cloudevents/",
                $name,
                ".body"
            )),
        )
    };
}

fn headers(json: &str) -> Vec<(String, String)> {
    let headers: serde_json::Map<String, Json> = serde_json::from_str(json).unwrap();
    headers
        .into_iter()
        .map(|(name, value)| (name, value.as_str().unwrap().to_owned()))
        .collect()
}

/// The captures carry a type of their own, so the door's right answer is "unknown type"; renamed
/// and with the catalogue's fields they are admitted as they came.
#[test]
fn requests_of_the_public_sdks_are_understood() {
    for ((name, headers_json, body), events) in [
        (captured!("ce_binary_cloudevents-py-2.2.0_01"), 1),
        (captured!("ce_structured_cloudevents-py-2.2.0_02"), 1),
        (captured!("ce_binary_cloudevents-js-10.0.0_03"), 1),
        (captured!("ce_structured_cloudevents-js-10.0.0_04"), 1),
        (captured!("ce_batch_cloudevents-js-10.0.0_05"), 2),
    ] {
        let headers = headers(headers_json);
        let renamed: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.clone(), known_type(value)))
            .collect();
        let known = known_type(body).replace(
            "\"amount_minor\":",
            "\"payment\":\"p\",\"order\":\"580538\",\"method\":\"card\",\"amount\":",
        );
        let as_captured = send(&headers, body.as_bytes());
        assert_eq!(as_captured.len(), events, "{name}");
        for admission in as_captured {
            assert_eq!(rejected(admission).0, Code::TypeUnknown, "{name}");
        }
        for admission in send(&renamed, known.as_bytes()) {
            let record = ready(admission);
            assert_eq!(record.source.as_str(), "/rigs/rig-2", "{name}");
            assert_eq!(record.stamp.time_ms, Some(1_795_888_800_000), "{name}");
        }
    }
}

fn known_type(text: &str) -> String {
    text.replace("dev.popwatch.payment.captured", "popwatch.payment.captured")
}

fn send(headers: &[(String, String)], body: &[u8]) -> Vec<Admission> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let media = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let request = Request {
        content_type: media.map(|(_, value)| *value),
        content_encoding: None,
        ce_headers: &headers,
        body,
    };
    door().admit(&request, NOW).unwrap()
}

/// An event of a type with `text` in every field that takes text.
fn example(of: EventType, text: &str) -> Json {
    let mut data = serde_json::Map::new();
    for field in of.fields() {
        let value = match field.kind {
            Kind::Reference | Kind::Name | Kind::Subject | Kind::Remark | Kind::Text => json!(text),
            Kind::Currency => json!("GBP"),
            Kind::Minor | Kind::MinorSigned | Kind::Count | Kind::CountSigned => json!(5),
            Kind::Bytes | Kind::Millis => json!(7),
            Kind::Moment => json!("2026-11-28T18:00:00Z"),
            Kind::Thousandths => json!(20.125),
            Kind::Flag => json!(true),
            Kind::Choice(values) => json!(values[0]),
            Kind::OpenChoice(_) => json!(text),
            Kind::Lines => json!([{"sku": text, "qty": 1, "amount": 5, "creator": text}]),
            Kind::Stages => json!({ text: 5 }),
        };
        data.insert(field.name.to_owned(), value);
    }
    data.insert("note".to_owned(), json!(text));
    json!({
        "specversion": "1.0", "id": "e-1", "source": "till", "subject": text,
        "type": format!("popwatch.{}", of.name()), "data": data,
    })
}

/// Secrets and a piece of each that must not be found again.
const SECRETS: [(&str, &str); 9] = [
    ("4111111111111111", "411111"),
    ("4111-1111-1111-1111", "4111"),
    ("paid 5555 5555 5555 4444", "5555"),
    ("４１１１１１１１１１１１１１１１", "１１"),
    ("%B4111111111111111^DOE/JANE^25121011234?", "DOE"),
    (";4111111111111111=25121011234?", "411111"),
    ("ada.lovelace@shop.example", "lovelace"),
    ("write to ada%40shop.example", "ada%40"),
    ("card 4222222222222", "422222"),
];

#[test]
fn no_planted_secret_reaches_a_draft() {
    for of in EventType::ALL {
        for (secret, piece) in SECRETS {
            let scan = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(piece).count();
            let reference = of
                .fields()
                .iter()
                .any(|field| field.kind == Kind::Reference);
            match admit(&example(*of, secret)) {
                Admission::Ready(draft) => {
                    let draft = draft.get();
                    let place = format!("{} {secret}", of.name());
                    invariant::nothing_forbidden(&place, &draft.bytes, scan).unwrap();
                    let shown = format!("{:?}", draft.record);
                    invariant::nothing_forbidden(&place, shown.as_bytes(), scan).unwrap();
                }
                Admission::Rejected { id, problem } => {
                    assert!(reference, "{} refused {secret}: {problem:?}", of.name());
                    let shown = format!("{id:?} {problem:?}");
                    invariant::nothing_forbidden("problem", shown.as_bytes(), scan).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_secret_in_the_envelope_never_comes_back() {
    for (secret, piece) in SECRETS {
        for pointer in [
            "/id",
            "/source",
            "/popup",
            "/type",
            "/time",
            "/agems",
            "/specversion",
            "/subject",
            "/other",
        ] {
            let admission = admit(&with(sale(), pointer, json!(secret)));
            let shown = match admission {
                Admission::Ready(draft) => format!("{:?}", draft.get()),
                Admission::Rejected { id, problem } => format!("{id:?} {problem:?}"),
            };
            let scan = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(piece).count();
            invariant::nothing_forbidden(pointer, shown.as_bytes(), scan).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_get_past_a_bound(
        media in 0..MEDIA.len(),
        encoding in proptest::option::of(prop_oneof![Just("gzip"), Just("zstd"), Just("br")]),
        body in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let request = Request {
            content_type: Some(MEDIA[media]),
            content_encoding: encoding,
            ce_headers: &[],
            body: &body,
        };
        if let Ok(admissions) = door().admit(&request, NOW) {
            prop_assert!(admissions.len() <= 600);
        }
    }

    #[test]
    fn a_mutated_event_is_admitted_or_refused_but_never_a_defect(
        of in 0..EventType::ALL.len(),
        at in any::<prop::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 0..6),
        cut in 0..4usize,
    ) {
        let mut body = example(EventType::ALL[of], "x1").to_string().into_bytes();
        let at = at.index(body.len());
        let end = (at + cut).min(body.len());
        body.splice(at..end, patch);
        for media in &MEDIA[..4] {
            for admission in admit_as(media, &body).unwrap_or_default() {
                match admission {
                    Admission::Ready(draft) => {
                        let draft = draft.into_inner();
                        let decoded = record::decode(&draft.bytes).unwrap();
                        if !matches!(decoded.event, Event::ChatMessage(_)) {
                            prop_assert_eq!(decoded, draft.record);
                        }
                    }
                    Admission::Rejected { problem, .. } => {
                        prop_assert_ne!(problem.code, Code::Defect);
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_headers_never_panic(name in "(ce-|Ce-)?[ -~]{0,12}", value in "\\PC{0,24}") {
        let headers = [("ce-specversion", "1.0"), (name.as_str(), value.as_str())];
        let request = Request {
            content_type: None,
            content_encoding: None,
            ce_headers: &headers,
            body: b"{}",
        };
        prop_assert_eq!(door().admit(&request, NOW).unwrap().len(), 1);
    }
}
