//! The JSON that pages read, as they read it.

use std::collections::BTreeSet;

use popwatch_core::access::Disclosure;
use popwatch_core::cell::{Cell, CreatorRow, CurrencySums, MoneyRow, SkuRow};
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::RegionId;
use popwatch_core::lane::{Beacon, CellBatch, Cut, MinorIn};
use popwatch_core::region::Region;
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_core::view::{Board, PopupView, RankBy};
use serde_json::{Value, json};

use super::*;

const MINUTE: u32 = 29_000_000;
const START_MS: i64 = MINUTE as i64 * 60_000;

fn at(minute: i64) -> Now {
    Now {
        wall: WallMs(START_MS + minute * 60_000),
        mono: MonoMs(1_000_000 + minute.unsigned_abs() * 60_000),
    }
}

fn cell(minute: u32, version: u64) -> Cell {
    Cell {
        popup: "stall".into(),
        rig: "till-1".into(),
        epoch: 1,
        epoch_id: vec![7; 16],
        minute: MINUTE + minute,
        version,
        ..Cell::default()
    }
}

fn sale(minute: u32, version: u64) -> Cell {
    let money = |currency: &str, gross, refund| MoneyRow {
        currency: currency.into(),
        method: "card".into(),
        gross,
        refund,
        tip: 5,
        captures: 2,
        refunds: 1,
        conversions: 2,
        ..MoneyRow::default()
    };
    Cell {
        money: vec![money("EUR", 1_200, 300), money("JPY", 9_000, 0)],
        skus: vec![SkuRow {
            sku: "mug".into(),
            sold: 2,
            received: 10,
            money: vec![CurrencySums {
                currency: "EUR".into(),
                gross: 1_200,
                refund: 300,
            }],
            ..SkuRow::default()
        }],
        creators: vec![CreatorRow {
            creator: "anna".into(),
            currency: "EUR".into(),
            evidence: 1,
            gross: 1_200,
            refund: 300,
            orders: 2,
            units: 2,
        }],
        ..cell(minute, version)
    }
}

fn region() -> Region {
    let mut region = Region::new(RegionId([1; 16]));
    let beacon = Beacon {
        popup: "stall".into(),
        rig: "till-1".into(),
        epoch: 1,
        number: 1,
        durable_seq: 12,
        trunk_seq: 9,
        bulk_seq: 8,
        unsent_records: 3,
        unsent_sales: 1,
        unsent_money: vec![MinorIn {
            currency: "EUR".into(),
            minor: 200,
        }],
        states: vec!["replaying".into()],
        clock_u_ms: 4,
        ..Beacon::default()
    };
    let cut = Cut {
        popup: "stall".into(),
        rig: "till-1".into(),
        epoch: 1,
        epoch_id: vec![7; 16],
        from_seq: 0,
        to_seq: 11,
        clear_ms: START_MS + 2 * 60_000,
    };
    let policy = PopupPolicy {
        popup: "stall".into(),
        version: 3,
        starts_ms: START_MS,
        ends_ms: START_MS + 3_600_000,
        zone: "Europe/Berlin".into(),
        currencies: vec!["EUR".into(), "JPY".into()],
        ..PopupPolicy::default()
    };
    let batch = CellBatch {
        sender: "till-1".into(),
        cells: vec![sale(1, 5).encode_canonical()],
        cuts: vec![cut],
        beacons: vec![beacon],
        popups: vec![policy],
        ..CellBatch::default()
    };
    assert_eq!(region.accept(&batch, at(2)).refused, vec![]);
    region
}

fn view() -> PopupView {
    region().view("stall", at(2)).unwrap()
}

fn json_of(value: &impl serde::Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn a_snapshot_has_the_rows_that_pages_are_built_against() {
    let found = json_of(&snapshot(&view()));
    assert_eq!(
        found["asof"],
        json!({
            "server_ms": START_MS + 120_000, "watermark_ms": START_MS + 120_000,
            "have": 11, "known": 12,
            "unsent": {"records": 3, "money": [{"currency": "EUR", "minor": 200}], "unknown": []},
            "silent": [],
            "stage": [
                {"currency": "EUR", "durable": 900, "replicated": 700, "reconciled": null},
                {"currency": "JPY", "durable": 9000, "replicated": 9000, "reconciled": null}],
        })
    );
    let rows = found["rows"].as_object().unwrap();
    let keys: Vec<_> = rows.keys().map(String::as_str).collect();
    let minute = format!("min/{}", MINUTE + 1);
    assert_eq!(
        keys,
        [
            "board/creators",
            "board/products",
            "board/rigs",
            &minute,
            "now",
            "popup",
            "rig/till-1",
            "sku/mug",
            "slo/refund_rate"
        ]
    );
    assert_eq!(
        rows["popup"],
        json!({"id": "stall", "starts_ms": START_MS, "ends_ms": START_MS + 3_600_000,
            "zone": "Europe/Berlin", "currencies": ["EUR", "JPY"], "version": 3, "settled": null})
    );
    assert_eq!(
        rows[&minute],
        json!({"minute": MINUTE + 1, "start_ms": START_MS + 60_000, "conversions": 4,
            "money": [{"currency": "EUR", "gross": 1200, "refund": 300, "net": 900},
                      {"currency": "JPY", "gross": 9000, "refund": 0, "net": 9000}],
            "checkout": {"started": 0, "completed": 0}})
    );
    assert_eq!(
        rows["sku/mug"],
        json!({"sku": "mug", "expected": 8, "sold": 2, "returned": 0, "received": 10, "adjusted": 0,
            "allocated": 0, "expected_low": 8, "counted": null, "skew": null, "skew_ratio": null,
            "plus_minus": null, "oversold": false,
            "money": [{"currency": "EUR", "gross": 1200, "refund": 300}]})
    );
}

#[test]
fn now_and_rig_rows_say_what_is_unknown() {
    let rows = json_of(&snapshot(&view()))["rows"].clone();
    let nothing = json!({"n": 0, "p50_ms": null, "p95_ms": null, "band_ms": null,
        "max_ms": null, "window_min": null});
    assert_eq!(
        rows["now"],
        json!({
            "currencies": [
                {"currency": "EUR", "exponent": 2, "gross": 1200, "refund": 300, "net": 900, "tip": 5,
                 "tax": 0, "fee": 0, "captures": 2, "refunds": 1, "conversions": 2,
                 "offline": {"gross": 0, "captures": 0},
                 "confirmed": {"gross": 0, "refund": 0}},
                {"currency": "JPY", "exponent": 0, "gross": 9000, "refund": 0, "net": 9000, "tip": 5,
                 "tax": 0, "fee": 0, "captures": 2, "refunds": 1, "conversions": 2,
                 "offline": {"gross": 0, "captures": 0},
                 "confirmed": {"gross": 0, "refund": 0}}],
            "last5": [{"currency": "EUR", "gross": 600, "refund": 150, "net": 450},
                      {"currency": "JPY", "gross": 4500, "refund": 0, "net": 4500}],
            "minutes_complete": 2,
            "checkout": {"n": 0, "p50_ms": null, "p95_ms": null, "band_ms": null, "max_ms": null,
                "window_min": null, "offline": nothing, "payment": nothing,
                "open": 0, "in_flight_bound_ms": null, "started": 0, "completed": 0,
                "abandoned": 0, "fault": 0, "recovered": 0},
            "risk": [],
            "refunds": {"minutes": 1, "recent": 2, "per_hour": 120.0, "orders_refunded": 0,
                "orders_paid": 4, "exposure": 0.0, "money": [
                    {"currency": "EUR", "ratio": 0.25}, {"currency": "JPY", "ratio": 0.0}]},
            "fulfilment": {"paid": 4, "out": 0, "gone": 0, "backlog": 4, "minutes": 1, "steps": [],
                "left_per_min": 0.0, "drain_min": null, "stalled": true, "took": nothing,
                "waiting_bound_ms": 0},
            "tokens": {"issued": 0, "redeemed": 0, "conflicts": 0, "voided": 0, "estimated": false,
                "duplicates": 0, "expired": 0, "redemptions_per_min": 0.0, "cohorts": []},
            "counts": {"losses": 0, "unmatched": 0, "duplicates": 0, "other": 0,
                "other_currencies": 0, "refunds_unknown": 0},
            "confidence": {"state": "ok", "parts": [
                {"part": "redemption", "state": "no_data", "n": 0},
                {"part": "refunds", "state": "few", "n": 4},
                {"part": "payments", "state": "no_data", "n": 0},
                {"part": "stock", "state": "ok", "n": 1},
            ]},
        })
    );
    assert_eq!(
        rows["rig/till-1"],
        json!({"rig": "till-1", "state": "replaying", "states": ["replaying"], "epoch": 1,
            "durable_seq": 12, "trunk_seq": 9, "bulk_seq": 8, "have_seq": 11, "records_known": 12,
            "unsent": {"records": 3, "sales": 1, "money": [{"currency": "EUR", "minor": 200}]},
            "last_heard_ms": START_MS + 120_000, "clock_u_ms": 4, "battery": null,
            "disk_minutes": null, "losses": 0, "gap_records": 0,
            "currencies": [{"currency": "EUR", "gross": 1200, "refund": 300, "net": 900},
                           {"currency": "JPY", "gross": 9000, "refund": 0, "net": 9000}]})
    );
    assert_eq!(
        rows["board/rigs"],
        json!({"rows": [
            {"rank": 1, "id": "till-1", "currency": "EUR", "gross": 1200, "refund": 300, "net": 900,
             "units": 2, "orders": 2},
            {"rank": 1, "id": "till-1", "currency": "JPY", "gross": 9000, "refund": 0, "net": 9000,
             "units": 2, "orders": 2}]})
    );
    assert_eq!(rows["board/products"]["rows"][0]["orders"], Value::Null);
}

#[test]
fn an_etag_covers_the_route_and_not_the_server_clock() {
    let region = region();
    let state = |second: i64| {
        let mut now = at(2);
        now.wall.0 += second * 1_000;
        now.mono.0 += second.unsigned_abs() * 1_000;
        region.etag("stall", now).unwrap()
    };
    let tag = etag(state(0), "/summary");
    assert!(tag.starts_with("W/\"") && tag.len() == 36);
    assert_eq!(tag, etag(state(14), "/summary"));
    assert_ne!(tag, etag(state(15), "/summary"), "a rig fell silent");
    assert_ne!(tag, etag(state(0), "/series"));
}

#[test]
fn members_of_a_coop_are_told_rounded_amounts_once_enough_of_them_sold() {
    use popwatch_core::access::Disclosure::{Coop, Own};
    let mut view = view();
    let row = view.boards.creators[0].clone();
    let eur = row.currency;
    let named = |(id, gross, orders): &(&str, i128, i128)| {
        let mut row = row.clone();
        row.id = String::from(*id);
        row.sums = popwatch_core::view::BoardSums {
            gross: *gross,
            refund: 160,
            units: 3,
            orders: *orders,
        };
        row
    };
    let sold = [
        ("ana", 1_249, 4),
        ("ben", 951, 3),
        ("cleo", 777, 0),
        ("dora", 551, 2),
        ("eve", 999, 9),
    ];
    view.boards.creators = sold.iter().map(named).collect();
    let told = |view: &PopupView, disclosure: &Disclosure| {
        let query = BoardQuery::parse(Board::Creators, [("currency", eur.code())]).unwrap();
        let mut rows = leaderboard(view, Board::Creators, query, disclosure).rows;
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows
    };
    let members = |ids: &[&str]| Coop(ids.iter().map(|id| String::from(*id)).collect());
    let amounts = |view: &PopupView, disclosure: &Disclosure| {
        let rows = told(view, disclosure);
        rows.iter()
            .map(|row| (row.gross, row.net))
            .collect::<Vec<_>>()
    };
    // Three of four members sold: the fourth is told too, who is no member is not.
    let four = members(&["ana", "ben", "cleo", "dora"]);
    let some = |gross: i128, net: i128| (Some(gross), Some(net));
    let shown = [
        some(1_200, 1_000),
        some(1_000, 800),
        some(800, 600),
        some(600, 400),
        (None, None),
    ];
    assert_eq!(amounts(&view, &four), shown);
    // Two sold: ranks alone.
    let three = members(&["ana", "ben", "cleo"]);
    assert_eq!(amounts(&view, &three), [(None, None); 5]);
    assert!(
        told(&view, &three)
            .iter()
            .all(|row| row.rank > 0 && row.units == 3)
    );
    // A policy asks for more, or rounds further.
    view.popup.coop.min_contributors = 4;
    assert_eq!(amounts(&view, &four), [(None, None); 5]);
    (view.popup.coop.min_contributors, view.popup.coop.money_step) = (3, 1_000);
    assert_eq!(amounts(&view, &four)[0], some(1_000, 1_000));
    // A creator sees her own, to the minor unit.
    let own = Own([String::from("ana")].into());
    assert_eq!(amounts(&view, &own)[0], some(1_249, 1_089));
}

#[test]
fn who_may_not_see_the_whole_is_told_ranks_and_their_own_amounts() {
    let view = view();
    let whole = |board: Board| {
        let query = BoardQuery::parse(board, [("currency", "EUR")]).unwrap();
        leaderboard(&view, board, query, &Disclosure::Whole)
    };
    let told = |board: Board, own: &[&str]| {
        let own = own.iter().map(|id| String::from(*id)).collect();
        let query = BoardQuery::parse(board, [("currency", "EUR")]).unwrap();
        leaderboard(&view, board, query, &Disclosure::Own(own))
    };
    let creators = whole(Board::Creators);
    let mine = creators.rows[0].id.clone();
    assert!(creators.rows[0].net.is_some() && !creators.asof.stage.is_empty());
    assert_eq!(told(Board::Creators, &[&mine]).rows[0], creators.rows[0]);
    for board in Board::ALL {
        let all = whole(board);
        // A rig or product that bears a creator's name is not theirs.
        let named = match board {
            Board::Creators => String::from("another"),
            Board::Products | Board::Rigs => all.rows[0].id.clone(),
        };
        let none = told(board, &[&named]);
        assert_eq!(none.rows.len(), all.rows.len());
        for (bare, full) in none.rows.iter().zip(&all.rows) {
            assert_eq!(
                (bare.rank, &bare.id, bare.units),
                (full.rank, &full.id, full.units)
            );
            assert_eq!((bare.gross, bare.refund, bare.net), (None, None, None));
        }
        assert!(none.asof.stage.is_empty() && none.asof.unsent.money.is_empty());
    }
    let stock = inventory(&view, &Disclosure::Own(BTreeSet::new()));
    assert!(stock.rows.iter().all(|row| row.money.is_empty()));
}

#[test]
fn other_reads_stand_under_asof() {
    let view = view();
    let steps = SeriesQuery::parse([("step", "5")]).unwrap();
    let series = json_of(&series(&view, steps));
    assert_eq!(series["points"][0]["minute"], MINUTE);
    assert_eq!(series["points"][0]["complete"], false);
    assert_eq!(series["points"][0]["orders"]["refunded"], 0);
    let some = SeriesQuery::parse([("metrics", "revenue")]).unwrap();
    let some = json_of(&super::series(&view, some));
    assert_eq!(some["points"][0]["money"][0]["net"], 900);
    assert_eq!(some["points"][0].get("chat"), None);
    let asked = BoardQuery::parse(Board::Creators, [("by", "gross"), ("currency", "EUR")]).unwrap();
    let board = json_of(&leaderboard(
        &view,
        Board::Creators,
        asked,
        &Disclosure::Whole,
    ));
    assert_eq!(
        (&board["kind"], &board["by"]),
        (&json!("creators"), &json!("gross"))
    );
    assert_eq!(board["rows"][0]["orders"], 2);
    let stock = inventory(&view, &Disclosure::Whole);
    assert_eq!(json_of(&stock)["rows"][0]["sku"], "mug");
    assert_eq!(json_of(&rigs(&view))["rigs"][0]["rig"], "till-1");
    for body in [
        series,
        board,
        json_of(&stock),
        json_of(&rigs(&view)),
        json_of(&signals(&view)),
    ] {
        assert_eq!(body["asof"]["have"], 11);
    }
    assert_eq!(
        json_of(&popups(&region().popups(), 5)),
        json!({"server_ms": 5, "popups": [{"id": "stall", "starts_ms": START_MS,
            "ends_ms": START_MS + 3_600_000, "rigs": ["till-1"], "currencies": ["EUR", "JPY"]}]})
    );
}

#[test]
fn signals_say_what_is_not_known() {
    let mut region = region();
    let mut told = cell(1, 9);
    told.drops = vec![popwatch_core::cell::DropRow {
        drop: "d".into(),
        opened_ms: START_MS + 60_000,
        sku: "mug".into(),
        ..popwatch_core::cell::DropRow::default()
    }];
    region.insert_local([told], at(2));
    let found = json_of(&signals(&region.view("stall", at(2)).unwrap()));
    assert_eq!(found["drops"][0]["drop"], "d");
    assert_eq!(
        found["drops"][0]["lift"],
        Value::Null,
        "a minute before is not there"
    );
    assert_eq!(
        found["funnel"]["with_chat"][0],
        json!({"step": "chat", "n": 0, "plus_minus": 0})
    );
    assert_eq!(found["streams"], json!([]));
}

#[test]
fn a_summary_shows_a_bounded_number_of_skus() {
    let mut region = region();
    let mut wide = cell(4, 9);
    let row = |i| SkuRow {
        sku: format!("s{i:04}"),
        received: i64::from(i),
        ..SkuRow::default()
    };
    wide.skus = (1..=300).map(row).collect();
    region.insert_local([wide], at(2));
    let view = region.view("stall", at(2)).unwrap();
    let rows = snapshot(&view).rows;
    let skus: Vec<_> = rows.keys().filter(|key| key.starts_with("sku/")).collect();
    assert_eq!(skus.len(), popwatch_core::limits::SUMMARY_SKUS_MAX);
    assert!(rows.contains_key("sku/s0001") && !rows.contains_key("sku/s0300"));
    assert_eq!(inventory(&view, &Disclosure::Whole).rows.len(), 301);
}

#[track_caller]
fn refused(found: Result<impl std::fmt::Debug, QueryFault>, parameter: &str) {
    assert_eq!(found.unwrap_err().parameter, parameter);
}

#[test]
fn wrong_parameters_are_named() {
    refused(SeriesQuery::parse([("step", "7")]), "step");
    refused(SeriesQuery::parse([("from", "-1")]), "from");
    refused(SeriesQuery::parse([("to", "noon")]), "to");
    refused(SeriesQuery::parse([("metric", "x")]), "?");
    refused(SeriesQuery::parse([("metrics", "x")]), "metrics");
    refused(SeriesQuery::parse([("from", "9"), ("to", "8")]), "from");
    let board = |pair| BoardQuery::parse(Board::Products, [pair]);
    refused(board(("by", "orders")), "by");
    refused(board(("by", "size")), "by");
    refused(board(("currency", "eur")), "currency");
    refused(board(("k", "101")), "k");
    refused(board(("k", "0")), "k");
    refused(check_inventory([("sort", "name")]), "sort");
    assert!(check_inventory([("sort", "risk")]).is_ok());
    let asked = BoardQuery::parse(Board::Rigs, [("by", "orders"), ("k", "100")]).unwrap();
    assert_eq!(
        (asked.by, asked.k, asked.currency),
        (RankBy::Orders, 100, None)
    );
}
