//! `spec/vectors/`: what every SDK must do the same, computed by the Rust code and run by the tests
//! of each.

use popwatch_core::event::{Class, EventType, Field, Kind};
use popwatch_core::id::{Epoch, PopupId, RigId, Seq};
use popwatch_core::provider::reference::{PopupTag, Purpose, Reference, RigTag};
use popwatch_wire::outbox::{self, Fate, Held};
use popwatch_wire::verdict::Answer;
use serde_json::{Map, Value, json};

use super::{Generated, pretty, sdks};

/// All of them.
pub(super) fn files() -> [Generated; 6] {
    [
        pretty("spec/vectors/batch.json", &batch()),
        pretty("spec/vectors/events.json", &events()),
        pretty("spec/vectors/ids.json", &ids()),
        pretty("spec/vectors/references.json", &references()),
        pretty("spec/vectors/retry.json", &retry()),
        pretty("spec/vectors/verdicts.json", &verdicts()),
    ]
}

/// Moments and random bytes, and the id they make.
fn ids() -> Value {
    let cases = [
        (0, [0; 10]),
        (1_795_435_200_000, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ((1 << 48) - 1, [255; 10]),
        (
            951_782_400_000,
            [0x80, 0, 0xff, 0x0f, 0xf0, 0x55, 0xaa, 1, 0, 0x7f],
        ),
    ];
    let case = |(wall_ms, random): (u64, [u8; 10])| {
        json!({
            "wall_ms": wall_ms,
            "random": random,
            "id": outbox::event_id(wall_ms, random),
        })
    };
    cases.into_iter().map(case).collect()
}

/// Anchors and what each is for, and the reference stamped into the provider's object; null where
/// none is minted.
fn references() -> Value {
    let cases = [
        ("night-market", "till-1", 3, 1_000, "p0"),
        ("night-market", "till-1", 3, 1_000, "p1"),
        ("night-market", "till-1", 3, 1_000, "rz"),
        ("stall", "rig-0", 1, 0, "p0"),
        ("a", "b", u32::MAX, 1 << 24, "p0"),
        ("a", "b", u32::MAX, 1 << 25, "p0"),
        ("a", "b", 1, (1 << 48) + 12_345, "rg"),
        (
            "a-popup-whose-name-is-as-long-as-a-name-may-be-0123456789-012345",
            "a-rig-of-32-characters-01234567",
            12,
            34_567,
            "p0",
        ),
    ];
    let case = |(popup, rig, epoch, seq, using): (&str, &str, u32, u64, &str)| {
        json!({
            "popup": popup, "rig": rig, "epoch": epoch, "seq": seq, "use": using,
            "reference": reference(popup, rig, epoch, seq, using),
        })
    };
    cases.into_iter().map(case).collect()
}

fn reference(popup: &str, rig: &str, epoch: u32, seq: u64, using: &str) -> Option<String> {
    let (letter, nth) = using.split_at(1);
    let nth = "0123456789abcdefghjkmnpqrstvwxyz".find(nth)?;
    let nth = u8::try_from(nth).ok()?;
    let reference = Reference {
        popup: PopupTag::of_popup(&PopupId::new(popup).ok()?),
        rig: RigTag::of_rig(&RigId::new(rig).ok()?),
        epoch: Epoch(epoch),
        seq: Seq(seq),
        purpose: match letter {
            "p" => Purpose::Tender(nth),
            _ => Purpose::Refund(nth),
        },
    };
    Some(reference.mint()?.as_str().to_owned())
}

/// Failures in a row, the draw in millionths, the `Retry-After`, and the wait.
fn retry() -> Value {
    let mut rows = Vec::new();
    for failures in [1, 2, 3, 6, 7, 8, 60] {
        for ppm in [0, 1, 333_333, 500_000, 1_000_000] {
            for asked_s in [None, Some(1), Some(45)] {
                let wait_ms = outbox::retry_ms(failures, ppm, asked_s);
                rows.push(json!({
                    "failures": failures, "ppm": ppm, "retry_after_s": asked_s, "wait_ms": wait_ms,
                }));
            }
        }
    }
    Value::Array(rows)
}

/// Runs of equal events, so that the files stay small: class, bytes each, how many.
type Runs = &'static [(Class, usize, usize)];

fn spread(runs: Runs) -> Vec<Held> {
    let one = |&(class, bytes, count): &(Class, usize, usize)| vec![Held { class, bytes }; count];
    runs.iter().flat_map(one).collect()
}

fn written(runs: Runs) -> Value {
    let one = |(class, bytes, count): &(Class, usize, usize)| json!([class.name(), bytes, count]);
    runs.iter().map(one).collect()
}

const CHOICES: &[Runs] = &[
    &[
        (Class::Ambient, 250, 3),
        (Class::Money, 400, 2),
        (Class::Journey, 200, 1),
    ],
    &[(Class::Ambient, 250, 120)],
    &[(Class::Ambient, 250, 120), (Class::Money, 400, 30)],
    &[(Class::Money, 100_000, 5)],
    &[(Class::Money, 262_144, 1), (Class::Money, 1, 1)],
    &[(Class::Money, 262_145, 1), (Class::Money, 1, 1)],
    &[
        (Class::Ambient, 250, 100),
        (Class::Journey, 300, 1),
        (Class::Stock, 300, 1),
        (Class::Money, 300, 1),
    ],
];
const ROOMS: &[(Runs, (Class, usize))] = &[
    (&[(Class::Money, 300, 10)], (Class::Money, 300)),
    (&[(Class::Money, 300, 5_000)], (Class::Money, 300)),
    (
        &[
            (Class::Money, 300, 4_998),
            (Class::Journey, 9, 1),
            (Class::Ambient, 9, 1),
        ],
        (Class::Money, 300),
    ),
    (
        &[(Class::Money, 300, 4_999), (Class::Journey, 9, 1)],
        (Class::Stock, 300),
    ),
    (
        &[(Class::Money, 300, 4_999), (Class::Journey, 9, 1)],
        (Class::Ambient, 300),
    ),
    (
        &[(Class::Money, 300, 4_999), (Class::Ambient, 9, 1)],
        (Class::Ambient, 300),
    ),
    (&[(Class::Ambient, 200_000, 83)], (Class::Money, 250_000)),
    (&[(Class::Money, 200_000, 83)], (Class::Journey, 250_000)),
];

/// Which events make a request, and which go for a newcomer.
fn batch() -> Value {
    let choice = |runs: &Runs| json!({"held": written(runs), "request": outbox::batch(&spread(runs), usize::MAX)});
    let room = |(runs, (class, bytes)): &(Runs, (Class, usize))| {
        let (class, bytes) = (*class, *bytes);
        let done = outbox::make_room(&spread(runs), Held { class, bytes });
        json!({
            "held": written(runs),
            "newcomer": [class.name(), bytes],
            "dropped": done.as_ref().ok(),
            "code": done.err().map(|code| code.to_string()),
        })
    };
    json!({
        "requests": CHOICES.iter().map(choice).collect::<Vec<_>>(),
        "rooms": ROOMS.iter().map(room).collect::<Vec<_>>(),
    })
}

/// Answers of an edge, and the fate of each event sent.
fn verdicts() -> Value {
    let body = |results: Value| json!({"rig": "till-1", "epoch": 3, "durable_seq": 40, "results": results});
    let refused = |code: &str| {
        let error = json!({"code": code, "detail": "refused"});
        json!({"id": "b", "status": "rejected", "error": error})
    };
    let problem = |code: &str| json!({"title": "refused", "status": 400, "code": code});
    let kept = json!({"id": "a", "status": "accepted", "seq": 39});
    let again = json!({"id": "c", "status": "duplicate", "epoch": 2, "seq": 7});
    let mixed = body(json!([kept, refused("PW0103"), again]));
    let cases = [
        (200, mixed.clone(), 3),
        (200, mixed, 2),
        (200, body(json!([kept, refused("PW0120")])), 2),
        (200, body(json!([refused("PW0104")])), 1),
        (200, json!({"hello": "portal"}), 1),
        (200, Value::Null, 2),
        (302, Value::Null, 1),
        (400, Value::Null, 1),
        (400, problem("PW0101"), 1),
        (400, problem("PW0101"), 3),
        (400, problem("E42"), 3),
        (401, Value::Null, 2),
        (403, Value::Null, 2),
        (404, Value::Null, 1),
        (413, problem("PW0107"), 1),
        (413, problem("PW0107"), 2),
        (413, Value::Null, 2),
        (415, problem("PW0108"), 2),
        (429, problem("PW0121"), 2),
        (500, Value::Null, 1),
        (503, problem("PW0201"), 2),
    ];
    let case = |(status, body, sent): (u16, Value, usize)| {
        let answer: Option<Answer> = serde_json::from_value(body.clone()).ok();
        let code = body["code"].as_str();
        let fates = outbox::judge(status, answer.as_ref(), code, sent);
        let fates: Vec<_> = fates.into_iter().map(fate).collect();
        json!({"status": status, "body": body, "sent": sent, "fates": fates})
    };
    cases.into_iter().map(case).collect()
}

const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Dead => "dead",
        Fate::Later => "later",
        Fate::Halved => "halved",
    }
}

/// An event of each type with every field filled, and data that a client refuses itself.
fn events() -> Value {
    let accepted = EventType::ALL.iter().map(|kind| {
        let data: Map<String, Value> = kind
            .fields()
            .iter()
            .map(|field| (field.name.to_owned(), sample(field)))
            .collect();
        let id = format!("vector-{}", kind.name());
        let (name, data) = (kind.name(), Value::Object(data));
        json!({
            "type": name,
            "call": sdks::camel(name),
            "class": kind.class().name(),
            "id": id,
            "data": data,
            "event": {
                "specversion": "1.0", "id": id, "source": "vectors", "popup": "market",
                "type": format!("popwatch.{name}"), "data": data,
            },
        })
    });
    let paid = |field: &str, value: Value| {
        let mut data = json!({
            "payment": "p-1", "order": "o-1", "amount": 450, "currency": "EUR", "method": "card",
        });
        data[field] = value;
        json!({"type": "payment.captured", "data": data})
    };
    let refused = |event: Value, code: &str, field: &str| json!({"type": event["type"], "data": event["data"], "code": code, "field": field});
    let line = |qty: Value| json!([{"sku": "mug", "qty": qty, "amount": 450}]);
    json!({
        "accepted": accepted.collect::<Vec<_>>(),
        "refused": [
            refused(paid("amount", json!(4.5)), "PW0103", "data.amount"),
            refused(paid("amount", json!("450")), "PW0103", "data.amount"),
            refused(paid("tip", json!(true)), "PW0103", "data.tip"),
            refused(paid("lines", line(json!(1.5))), "PW0103", "data.lines[0].qty"),
            refused(paid("order", json!("4111111111111111")), "PW0106", "data.order"),
            refused(paid("order", json!("o 4111 1111 1111 1111")), "PW0106", "data.order"),
            refused(paid("method", json!("5555-5555-5555-4444")), "PW0106", "data.method"),
            refused(paid("provider_ref", json!("378282246310005")), "PW0106", "data.provider_ref"),
        ],
        "no_card": [
            "4111111111111112", "2011-12-05", "9780201379624", "0c1f4111111111111111ab",
            "41111111-1111-4111-8111-111111111111", "1795435200000",
        ],
    })
}

/// A value that the field takes.
fn sample(field: &Field) -> Value {
    match field.kind {
        Kind::Reference => json!(format!("{}-1", field.name)),
        Kind::Name => json!("mug"),
        Kind::Subject => json!("ada"),
        Kind::Remark | Kind::Text => json!("what a lovely mug"),
        Kind::Currency => json!("EUR"),
        Kind::Minor | Kind::MinorSigned => json!(450),
        Kind::Count | Kind::CountSigned => json!(1),
        Kind::Bytes => json!(1_048_576),
        Kind::Millis => json!(1_200),
        Kind::Moment => json!("2026-11-23T10:00:00Z"),
        Kind::Thousandths => json!(0.5),
        Kind::Flag => json!(true),
        Kind::Choice(choices) | Kind::OpenChoice(choices) => json!(choices[0]),
        Kind::Lines => json!([{"sku": "mug", "qty": 1, "amount": 450}]),
        Kind::Stages => json!({"pay_ms": 1_200}),
    }
}
