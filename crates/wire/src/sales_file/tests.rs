//! The truths of two real days, and what a broken sheet is told.

use super::*;
use crate::cloudevents::Request;
use crate::door::{Admission, Arrival, Door};
use popwatch_core::id::JournalId;
use popwatch_core::time::WallMs;
use popwatch_redact::apply as redact;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use serde_json::{Value, json};

const DEC_05: &[u8] = include_bytes!("../../../popwatch/assets/online_retail/2011-12-05.csv");
const DEC_09: &[u8] = include_bytes!("../../../../fixtures/public/online_retail/2011-12-09.csv");
const DECK: &str = include_str!("../../../popwatch/assets/durations/ycsb_counts.csv");

fn plan(currency: CurrencyRule) -> Plan {
    Plan {
        source: "/replay/2011-12-05".parse().unwrap(),
        popup: "demo".parse().unwrap(),
        starts: WallMs(1_790_000_000_000),
        hours: 3,
        currency,
    }
}

fn events(day: &Day, rule: CurrencyRule) -> Vec<Value> {
    let deck = Durations::parse(DECK).unwrap();
    let of = |document| plan(rule).events(day, document, &deck).unwrap();
    day.documents
        .iter()
        .flat_map(of)
        .map(|timed| timed.event)
        .collect()
}

/// (documents, minor units) of one kind.
fn sum(day: &Day, kind: DocumentKind) -> (usize, i64) {
    let of_kind = day
        .documents
        .iter()
        .filter(|document| document.kind == kind);
    of_kind.fold((0, 0), |(count, minor), document| {
        (count + 1, minor + document.minor())
    })
}

fn goods(day: &Day, kind: DocumentKind) -> i64 {
    let of_kind = day
        .documents
        .iter()
        .filter(|document| document.kind == kind);
    let lines = of_kind.flat_map(|document| &document.lines);
    lines
        .filter(|line| line.is_goods)
        .map(|line| line.qty)
        .sum()
}

#[test]
fn the_fifth_of_december_is_told_exactly() {
    let day = Day::read(DEC_05).unwrap();
    assert_eq!(day.date, "2011-12-05");
    assert_eq!(day.documents.len(), 151);
    assert_eq!(
        day.documents.iter().map(|d| d.lines.len()).sum::<usize>(),
        5_331
    );
    assert_eq!(sum(&day, DocumentKind::Sale), (127, 8_874_196));
    assert_eq!(sum(&day, DocumentKind::Refund), (16, -3_099_064));
    assert_eq!(8_874_196 - 3_099_064, 5_775_132);
    assert_eq!(sum(&day, DocumentKind::StockAdjust), (8, 0));
    assert_eq!(goods(&day, DocumentKind::Sale), 43_755);
    assert_eq!(goods(&day, DocumentKind::Refund), -122);
}

#[test]
fn the_ninth_of_december_is_told_exactly() {
    let day = Day::read(DEC_09).unwrap();
    assert_eq!(sum(&day, DocumentKind::Sale), (44, 20_092_060));
    assert_eq!(sum(&day, DocumentKind::Refund), (5, -16_878_907));
    assert!(
        day.documents
            .iter()
            .any(|document| document.minor() == 16_846_960)
    );
}

/// Most of that day's refunds are fees and a charity payment, so some minutes go below zero.
#[test]
fn five_minutes_of_the_popup_are_net_negative() {
    let day = Day::read(DEC_05).unwrap();
    let mut minutes = std::collections::BTreeMap::<i64, i64>::new();
    for document in &day.documents {
        *minutes
            .entry(day.offset_ms(document, 3) / 60_000)
            .or_default() += document.minor();
    }
    assert_eq!(minutes.values().filter(|minor| **minor < 0).count(), 5);
    assert_eq!(minutes.values().sum::<i64>(), 5_775_132);
}

#[test]
fn one_order_dwarfs_the_median() {
    let day = Day::read(DEC_09).unwrap();
    let sales = day
        .documents
        .iter()
        .filter(|d| d.kind == DocumentKind::Sale);
    let mut minor: Vec<i64> = sales.map(Document::minor).collect();
    minor.sort_unstable();
    let nearest_rank = minor[minor.len().div_ceil(2) - 1];
    assert_eq!((nearest_rank, minor.last()), (32_905, Some(&16_846_960)));
}

#[test]
fn identical_lines_stay_apart() {
    let day = Day::read(DEC_05).unwrap();
    let mut seen = std::collections::BTreeMap::<_, u32>::new();
    let text = std::str::from_utf8(DEC_05).unwrap();
    for line in text.lines().skip(1) {
        *seen.entry(line).or_default() += 1;
    }
    let repeats: u32 = seen.values().map(|count| count - 1).sum();
    assert_eq!(repeats, 39);
    let mut apart = std::collections::BTreeMap::<_, u32>::new();
    let mut worth = 0;
    for document in &day.documents {
        for line in &document.lines {
            let count = apart
                .entry((&document.invoice, &line.sku, line.qty, line.minor))
                .or_default();
            worth += if *count > 0 { line.minor } else { 0 };
            *count += 1;
        }
    }
    assert_eq!(apart.values().map(|count| count - 1).sum::<u32>(), 39);
    assert_eq!(worth, 12_112);
}

/// Eight write-offs of seven SKUs: 21804 was written on twice.
#[test]
fn the_count_reveals_what_staff_wrote_off_and_nothing_else() {
    let day = Day::read(DEC_05).unwrap();
    let shelves = ShelfPlan::of(&day);
    let skews: Vec<i64> = shelves
        .shelves()
        .values()
        .map(|shelf| shelf.counted() - shelf.expected())
        .filter(|skew| *skew != 0)
        .collect();
    assert_eq!(sum(&day, DocumentKind::StockAdjust).0, 8);
    assert_eq!(skews.len(), 7);
    assert_eq!(skews.iter().map(|skew| skew.abs()).sum::<i64>(), 506);
    assert_eq!(skews.iter().sum::<i64>(), -334);
    for (sku, shelf) in shelves.shelves() {
        assert!(shelf.counted() >= 0, "{sku}");
        let raised = sku.as_str() == "21201";
        assert_eq!(
            shelf.opening() > shelf.sold + ShelfPlan::SPARE,
            raised,
            "{sku}"
        );
    }
    assert_eq!(
        shelves
            .shelves()
            .values()
            .map(|shelf| shelf.sold)
            .sum::<i64>(),
        43_755
    );
}

#[test]
fn the_shelf_is_filled_before_the_doors_open_and_counted_after_they_close() {
    let day = Day::read(DEC_05).unwrap();
    let (shelves, plan) = (ShelfPlan::of(&day), plan(CurrencyRule::Pounds));
    let opening = shelves.opening(&plan, &day);
    let count = shelves.closing(&plan, &day);
    assert_eq!(opening.len(), shelves.shelves().len());
    assert!(opening.iter().all(|event| event.time < plan.starts));
    assert_eq!(opening[0].time.0, plan.starts.0 - shelves.minutes_ms());
    assert!(count.iter().all(|event| event.time >= plan.ends()));
    assert_eq!(opening[0].event["type"], "popwatch.inventory.received");
    assert_eq!(count[0].event["type"], "popwatch.inventory.counted");
}

#[test]
fn documents_of_one_minute_spread_over_it_in_the_order_of_their_numbers() {
    let day = Day::read(
        b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
        C9,10001,a,-1,2011-12-05 08:00:00,1.00,,United Kingdom\n\
        12,10001,a,1,2011-12-05 08:00:00,1.00,,United Kingdom\n\
        11,10001,a,1,2011-12-05 08:00:00,1.00,,United Kingdom\n\
        13,10001,a,1,2011-12-05 08:01:00,1.00,,United Kingdom\n",
    )
    .unwrap();
    assert_eq!(day.span_s, 120);
    let offsets: Vec<_> = day
        .documents
        .iter()
        .map(|d| (d.invoice.as_str(), d.offset_s))
        .collect();
    assert_eq!(offsets, [("C9", 40), ("12", 20), ("11", 0), ("13", 60)]);
    assert_eq!(
        day.offset_ms(&day.documents[0], 3),
        40 * 3 * 3_600_000 / 120
    );
    let rigs: Vec<_> = day.documents.iter().map(|d| d.rig_index).collect();
    assert_eq!(rigs, [1, 0, 3, 1]);
}

#[test]
fn a_sale_becomes_three_events() {
    let day = Day::read(DEC_05).unwrap();
    let all = events(&day, CurrencyRule::Pounds);
    assert_eq!(all.len(), 127 * 3 + 16 + 8);
    assert_eq!(all[0]["id"], "2011-12-05/580538/sale/started");
    assert_eq!(
        all[0]["data"],
        json!({ "checkout": "580538", "viewer": "c14075" })
    );
    assert_eq!(all[1]["id"], "2011-12-05/580538/sale");
    assert_eq!(all[1]["type"], "popwatch.payment.captured");
    assert_eq!(all[1]["time"], "2026-09-21T14:13:20Z");
    let lines = all[1]["data"]["lines"].as_array().unwrap();
    assert_eq!(
        lines[0],
        json!({ "sku": "23084", "qty": 48, "amount": 8592, "creator": "c4" })
    );
    let amount: i64 = lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .sum();
    assert_eq!(all[1]["data"]["amount"], amount);
    assert!(all[2]["data"]["duration_ms"].as_u64().unwrap() > 0);
    assert!(all.iter().all(|event| event["popup"] == "demo"));
}

#[test]
fn a_refund_is_positive_and_names_no_sale() {
    let all = events(&Day::read(DEC_05).unwrap(), CurrencyRule::Pounds);
    let refunds: Vec<_> = all
        .iter()
        .filter(|e| e["type"] == "popwatch.payment.refunded")
        .collect();
    let minor: i64 = refunds
        .iter()
        .map(|e| e["data"]["amount"].as_i64().unwrap())
        .sum();
    assert_eq!((refunds.len(), minor), (16, 3_099_064));
    for refund in refunds {
        assert!(
            refund["data"]["payment"]
                .as_str()
                .unwrap()
                .starts_with("unknown:C")
        );
        let lines = refund["data"]["lines"].as_array().unwrap();
        assert!(lines.iter().all(|line| line["qty"].as_i64().unwrap() > 0));
    }
}

#[test]
fn gifts_and_write_offs_move_goods_one_line_at_a_time() {
    let day = Day::read(
        b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
        7,10001,\"a \"\"b\"\"\nc\",2,2011-12-05 08:00:00,0,123.0,EIRE\n\
        7,POST,x,1,2011-12-05 08:00:00,0.0,123.0,EIRE\n\
        7,10002,x,3,2011-12-05 08:00:00,0.00,123.0,EIRE\n\
        8,10001,lost,-4,2011-12-05 08:00:00,0.0,,EIRE\n\
        A1,B,Adjust bad debt,1,2011-12-05 08:00:00,-11062.06,,EIRE\n",
    )
    .unwrap();
    let all = events(&day, CurrencyRule::Pounds);
    let told: Vec<_> = all
        .iter()
        .map(|e| (e["id"].as_str().unwrap(), &e["data"]))
        .collect();
    assert_eq!(
        told,
        [
            (
                "2011-12-05/7/gift/1",
                &json!({ "sku": "10001", "qty": -2, "reason": "gift" })
            ),
            (
                "2011-12-05/7/gift/3",
                &json!({ "sku": "10002", "qty": -3, "reason": "gift" })
            ),
            (
                "2011-12-05/8/stock_adjust/1",
                &json!({ "sku": "10001", "qty": -4, "reason": "stock_adjust" })
            ),
            (
                "2011-12-05/A1/manual",
                &json!({ "amount": -1_106_206, "currency": "GBP", "reason": "manual" })
            ),
        ]
    );
}

fn door() -> Door {
    Door {
        rig: "rig-0".parse().unwrap(),
        journal_id: JournalId([7; 16]),
        default_popup: None,
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: redact::Plan::default(),
    }
}

/// No real sale trips a detector, no field is unknown, no id is used twice.
#[test]
fn every_event_passes_the_door_untouched() {
    let mut ids = std::collections::BTreeSet::new();
    for sheet in [DEC_05, DEC_09] {
        let day = Day::read(sheet).unwrap();
        let shelves = ShelfPlan::of(&day);
        let mut all = events(&day, CurrencyRule::ByCountry);
        let plan = plan(CurrencyRule::Pounds);
        all.extend(
            shelves
                .opening(&plan, &day)
                .into_iter()
                .map(|timed| timed.event),
        );
        all.extend(
            shelves
                .closing(&plan, &day)
                .into_iter()
                .map(|timed| timed.event),
        );
        for event in &all {
            let id = event["id"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let body = event.to_string();
            let request = Request {
                content_type: Some("application/cloudevents+json"),
                body: body.as_bytes(),
                ..Request::default()
            };
            let arrival = Arrival {
                mono_ns: 1,
                wall_ms: plan.ends().0,
                local_sender: true,
            };
            let mut counts = redact::Counts::default();
            let admitted = door()
                .admit_counted(&request, arrival, &mut counts)
                .unwrap();
            assert!(
                matches!(admitted[..], [Admission::Ready(_)]),
                "{id}: {admitted:?}"
            );
            assert_eq!(counts, redact::Counts::default(), "{id}");
        }
    }
    assert!(ids.len() > 4_000);
}

#[test]
fn countries_decide_the_currency_and_keep_the_integer() {
    let all = events(&Day::read(DEC_05).unwrap(), CurrencyRule::ByCountry);
    let mut minor = std::collections::BTreeMap::<&str, i64>::new();
    for event in all
        .iter()
        .filter(|e| e["type"] == "popwatch.payment.captured")
    {
        let data = &event["data"];
        *minor.entry(data["currency"].as_str().unwrap()).or_default() +=
            data["amount"].as_i64().unwrap();
    }
    assert_eq!(minor.values().sum::<i64>(), 8_874_196);
    assert_eq!(
        minor.keys().copied().collect::<Vec<_>>(),
        ["DKK", "EUR", "GBP", "NOK", "SEK", "USD"]
    );
}

#[test]
fn a_checkout_starts_before_its_payment_and_within_the_popup() {
    let day = Day::read(DEC_05).unwrap();
    let (deck, plan) = (Durations::parse(DECK).unwrap(), plan(CurrencyRule::Pounds));
    assert_eq!(deck.total(), 300_056);
    for document in day
        .documents
        .iter()
        .filter(|d| d.kind == DocumentKind::Sale)
    {
        let timed = plan.events(&day, document, &deck).unwrap();
        assert!(timed[0].time <= timed[1].time && timed[0].time >= plan.starts);
        assert!(timed[1].time < plan.ends());
    }
}

#[track_caller]
fn check_refused(sheet: &[u8], expect: &str) {
    assert_eq!(Day::read(sheet).unwrap_err().to_string(), expect);
}

const HEAD: &str = "\u{feff}InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country,Note\n";

#[test]
fn a_fault_names_row_and_column() {
    let row =
        |row: &str| format!("{HEAD}1,10001,\"two\nlines\",1,2011-12-05 08:00:00,1.00,,x,\n{row}\n");
    let check = |text: &str, expect: &str| check_refused(row(text).as_bytes(), expect);
    check(
        "2,10001,a,1.5,2011-12-05 08:00:00,1.00,,x,",
        "row 4, column Quantity: must be a whole number of units",
    );
    check(
        "2,10001,a,1,5/12/2011,1.00,,x,",
        "row 4, column InvoiceDate: must be a time such as 2011-12-05 08:38:00",
    );
    check(
        "2,10001,a,1,2011-12-05 08:00:00,1e2,,x,",
        "row 4, column UnitPrice: must be a decimal number such as 2.55",
    );
    check(
        ",10001,a,1,2011-12-05 08:00:00,1.00,,x,",
        "row 4, column InvoiceNo: must be 1 to 96 of A-Z a-z 0-9 . _ : ~ / -",
    );
    check(
        "2,10001,a,-1,2011-12-05 08:00:00,1.00,,x,",
        "row 4, column Quantity: the sum of a sale must not be negative",
    );
    check(
        "2,10001,a",
        "row 4 has another number of fields than the first row, or broken quotes",
    );
    check_refused(b"a,b\n", "the first row names no column InvoiceNo");
    check_refused(HEAD.as_bytes(), "the file holds no line");
}

#[test]
fn an_unknown_country_is_a_fault_only_where_it_decides() {
    let sheet = format!("{HEAD}1,10001,a,1,2011-12-05 08:00:00,1.00,,Atlantis,\n");
    let day = Day::read(sheet.as_bytes()).unwrap();
    let deck = Durations::parse(DECK).unwrap();
    assert!(
        plan(CurrencyRule::Pounds)
            .events(&day, &day.documents[0], &deck)
            .is_ok()
    );
    let fault = plan(CurrencyRule::ByCountry)
        .events(&day, &day.documents[0], &deck)
        .unwrap_err();
    assert_eq!(
        fault.to_string(),
        "row 2, column Country: has no currency in the table"
    );
}

#[test]
fn a_sequence_keeps_its_events_and_takes_the_replays_popup_and_time() {
    let file = b"\xef\xbb\xbf{\"id\":\"b\",\"source\":\"/2\",\"time\":\"2026-01-01T00:00:09Z\",\"data\":{\"x\":1}}\n\n\
        {\"id\":\"a\",\"source\":\"/1\",\"time\":\"2026-01-01T01:00:00+01:00\"}\r\n";
    let file = sequence::Sequence::read(file).unwrap();
    assert_eq!(file.span_ms, 10_000);
    let order: Vec<_> = file
        .events
        .iter()
        .map(|e| (e.rig_index, e.offset_ms))
        .collect();
    assert_eq!(order, [(1, 0), (0, 9_000)]);
    let sent = file.event(&plan(CurrencyRule::Pounds), &file.events[1]);
    assert_eq!(sent.time.0, 1_790_000_000_000 + 9_000 * 3 * 360);
    assert_eq!(sent.event["popup"], "demo");
    assert_eq!(sent.event["data"], json!({ "x": 1 }));
    for (broken, expect) in [
        (
            &b"{\"source\":\"/1\"}"[..],
            "row 1, column time: must be an RFC 3339 time",
        ),
        (b"\n[]", "row 2, column event: must be one JSON object"),
        (b"", "the file holds no line"),
    ] {
        assert_eq!(
            sequence::Sequence::read(broken).unwrap_err().to_string(),
            expect
        );
    }
}
