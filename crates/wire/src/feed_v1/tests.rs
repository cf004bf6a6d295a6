//! Editions and places.

use serde_json::Value;

use super::*;
use popwatch_core::access::Disclosure;
use popwatch_core::event::system::CoopTerms;

use crate::answer_v1::{BoardRows, Unsent};

fn place(number: u8) -> Place {
    let mut vector = Vector {
        memory: [1, 2, 3, number],
        lives: BTreeMap::new(),
    };
    for (rig, epoch, cut, beyond) in [(7, 1, 300, 0), (7, 2, 0, 5), (u64::MAX, 9, 1 << 52, 1)] {
        let top = cut + beyond;
        vector.lives.insert((rig, epoch), Reach { cut, top });
    }
    Place {
        state: [number; 8],
        vector: Some(vector),
    }
}

fn snapshot(rows: &[(&str, usize)]) -> Snapshot {
    let row = |(key, count): &(&str, usize)| {
        let lines = vec![crate::answer_v1::BoardLine {
            rank: u32::try_from(*count).unwrap(),
            id: String::from("a\"b"),
            currency: popwatch_core::money::Currency::new("EUR").unwrap(),
            gross: Some(1),
            refund: Some(0),
            net: Some(1),
            units: 1,
            orders: None,
        }];
        let coop = CoopTerms::usual();
        let board = BoardRows { rows: lines, coop };
        (String::from(*key), Row::Board(board))
    };
    Snapshot {
        asof: Asof {
            server_ms: 5,
            watermark_ms: Some(4),
            have: 1,
            known: 2,
            unsent: Unsent {
                records: 0,
                money: Vec::new(),
                unknown: Vec::new(),
            },
            silent: Vec::new(),
            stage: Vec::new(),
        },
        rows: rows.iter().map(row).collect(),
    }
}

/// An event's name, id and data.
fn read(event: &str) -> (String, String, Value) {
    let field = |name: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(str::trim).collect::<Vec<_>>().concat()
    };
    assert!(
        event.ends_with("\n\n") && event.lines().count() == 4,
        "{event}"
    );
    let data = serde_json::from_str(&field("data:")).unwrap();
    (field("event:"), field("id:"), data)
}

fn keys(data: &Value) -> Vec<&str> {
    let rows = data["rows"].as_object().unwrap();
    rows.keys().map(String::as_str).collect()
}

#[test]
fn a_place_reads_back_and_nothing_else_is_one() {
    let id = place(1).id();
    assert_eq!(Place::read(&id), Some(place(1)));
    let bare = Place {
        vector: None,
        ..place(2)
    };
    assert_eq!(Place::read(&bare.id()), Some(bare));
    let cut = &id[..id.len() - 3];
    for forged in [
        "",
        "v1.",
        "v2.AAAA",
        "v1.A A",
        "v1.AAAAAAAAAAAAAA",
        "W/\"abc\"",
        cut,
    ] {
        assert_eq!(Place::read(forged), None, "{forged}");
    }
    assert_eq!(Place::read(&format!("v1.{}", "A".repeat(9_000))), None);
}

#[test]
fn a_vector_too_large_for_an_id_is_left_out() {
    let mut large = place(1);
    let lives = (0..1_000).map(|rig| ((rig, 1), Reach { cut: 5, top: 5 }));
    large.vector.as_mut().unwrap().lives.extend(lives);
    let id = large.id();
    assert!(id.len() <= FEED_ID_BYTES_MAX);
    assert_eq!(Place::read(&id).unwrap().vector, None);
}

#[test]
fn a_delta_from_any_revision_leads_to_the_same_rows() {
    let all = &AUDIENCES[0];
    let days = [
        &[("board/products", 1), ("min/1", 1)][..],
        &[("board/products", 1), ("min/1", 2), ("sku/x", 1)],
        &[("board/products", 2), ("sku/x", 1)],
        &[("board/products", 2), ("min/1", 2)],
    ];
    let mut editions: Vec<Edition> = Vec::new();
    for (number, day) in (1..).zip(days) {
        let next = Edition::after(editions.last(), snapshot(day), &place(number));
        editions.push(next);
    }
    let newest = editions.last().unwrap();
    let whole: Value = serde_json::from_str(&newest.summary()).unwrap();
    for (edition, from) in editions.iter().zip(1..) {
        let (_, _, first) = read(&edition.snapshot(all, &Disclosure::Whole, false));
        let mut held = first["rows"].as_object().unwrap().clone();
        let (name, id, delta) = read(&newest.delta(all, &Disclosure::Whole, from).unwrap());
        assert_eq!((name.as_str(), id), ("delta", place(4).id()));
        for key in delta["gone"].as_array().unwrap() {
            held.remove(key.as_str().unwrap());
        }
        held.extend(delta["rows"].as_object().unwrap().clone());
        assert_eq!(&Value::Object(held), &whole["rows"], "from {from}");
    }
    let (.., last) = read(&newest.delta(all, &Disclosure::Whole, 3).unwrap());
    assert_eq!(
        (keys(&last), &last["gone"]),
        (vec!["min/1"], &serde_json::json!(["sku/x"]))
    );
}

#[test]
fn an_audience_sees_its_rows_and_is_left_alone_otherwise() {
    let board = Audience::named("board").unwrap();
    assert!(Audience::named("nobody").is_none());
    let first = Edition::after(
        None,
        snapshot(&[("board/products", 1), ("min/1", 1)]),
        &place(1),
    );
    let (_, _, shown) = read(&first.snapshot(board, &Disclosure::Whole, false));
    assert_eq!(keys(&shown), ["board/products"]);
    let second = Edition::after(
        Some(&first),
        snapshot(&[("board/products", 1), ("min/1", 2)]),
        &place(2),
    );
    assert_eq!(second.delta(board, &Disclosure::Whole, 1), None);
    assert!(second.delta(&AUDIENCES[0], &Disclosure::Whole, 1).is_some());
    let third = Edition::after(Some(&second), snapshot(&[("min/1", 2)]), &place(3));
    let (_, _, delta) = read(&third.delta(board, &Disclosure::Whole, 1).unwrap());
    assert_eq!(delta["gone"][0], "board/products");
}

#[test]
fn whoever_may_not_see_the_whole_is_sent_no_amount_but_their_own() {
    let board = Audience::named("board").unwrap();
    let rows = [
        ("board/creators", 1),
        ("board/products", 1),
        ("board/rigs", 1),
    ];
    let first = Edition::after(None, snapshot(&rows), &place(1));
    let rows = [
        ("board/creators", 2),
        ("board/products", 2),
        ("board/rigs", 2),
    ];
    let second = Edition::after(Some(&first), snapshot(&rows), &place(2));
    let frames = |disclosure: &Disclosure| {
        [
            second.snapshot(board, disclosure, false),
            second.delta(board, disclosure, 1).unwrap(),
            second.resumed(board, disclosure, &[]),
        ]
    };
    let net = |data: &Value, key: &str| data["rows"][key]["rows"][0]["net"].clone();
    for whole in frames(&Disclosure::Whole) {
        let (.., data) = read(&whole);
        assert_eq!(keys(&data), ["board/creators", "board/products"]);
        assert_eq!(
            [net(&data, "board/creators"), net(&data, "board/products")],
            [1, 1]
        );
    }
    let own = |id: &str| Disclosure::Own([String::from(id)].into());
    for mine in frames(&own("a\"b")) {
        let (.., data) = read(&mine);
        assert_eq!(net(&data, "board/creators"), 1);
        assert_eq!(net(&data, "board/products"), Value::Null);
    }
    // A co-op of one is told ranks.
    for coop in frames(&Disclosure::Coop([String::from("a\"b")].into())) {
        let (.., data) = read(&coop);
        assert_eq!(net(&data, "board/creators"), Value::Null);
        assert_eq!(data["asof"]["stage"], serde_json::json!([]));
    }
    for other in frames(&own("eve")) {
        let (.., data) = read(&other);
        assert_eq!(net(&data, "board/creators"), Value::Null);
        assert_eq!(data["rows"]["board/creators"]["rows"][0]["rank"], 2);
        assert_eq!(data["asof"]["stage"], serde_json::json!([]));
        assert_eq!(data["asof"]["unsent"]["money"], serde_json::json!([]));
    }
}

#[test]
fn who_comes_back_keeps_the_minutes_without_a_new_cell() {
    let rows = [("board/products", 1), ("min/1", 1), ("min/3", 1)];
    let edition = Edition::after(None, snapshot(&rows), &place(1));
    let (name, _, data) = read(&edition.resumed(&AUDIENCES[0], &Disclosure::Whole, &[2, 3]));
    assert_eq!(
        (name.as_str(), &data["keep"]),
        ("snapshot", &Value::from("min/"))
    );
    assert_eq!(keys(&data), ["board/products", "min/3"]);
    assert_eq!(data["gone"], serde_json::json!(["min/2"]));
    let (_, _, back) = read(&edition.snapshot(&AUDIENCES[0], &Disclosure::Whole, true));
    assert_eq!(back["regressed"], true);
}

#[test]
fn what_is_gone_is_told_in_bounds() {
    let many: Vec<String> = (0..=FEED_GONE_MAX).map(|n| format!("sku/{n}")).collect();
    let many: Vec<(&str, usize)> = many.iter().map(|key| (key.as_str(), 1)).collect();
    let first = Edition::after(None, snapshot(&many), &place(1));
    let second = Edition::after(Some(&first), snapshot(&[("board/products", 1)]), &place(2));
    let told = second.delta(&AUDIENCES[0], &Disclosure::Whole, 1).unwrap();
    assert!(told.starts_with("event: snapshot\n"));
}

#[test]
fn ticks_and_waits_are_one_line_of_data() {
    assert_eq!(
        tick(9, None),
        "event: tick\ndata: {\"server_ms\":9,\"watermark_ms\":null,\"silent\":[]}\n\n"
    );
    assert_eq!(
        behind(9, &[String::from("till-1")]),
        "event: behind\ndata: {\"server_ms\":9,\"rigs\":[\"till-1\"]}\n\n"
    );
    assert_eq!(retry(700), "retry: 700\n\n");
}
