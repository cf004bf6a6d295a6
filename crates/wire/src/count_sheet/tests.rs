//! Sheets as people write them.

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_772_835_000_000;
const HEADER: &str = "kind,key,qty,amount,currency,location,counted_at,counter\n";

fn sheet(bytes: &[u8]) -> Result<Sheet, SheetFault> {
    let popup = PopupId::new("fri-market").unwrap();
    let of = SheetContext {
        popup: &popup,
        tz: TimeZone::UTC,
        now_ms: NOW_MS,
        knows_sku: &|sku| sku.as_str().starts_with("mug"),
        knows_rig: &|rig| rig.as_str() == "till-1",
    };
    read(bytes, &of)
}

/// What the records say: key, figure, minutes before now.
fn told(sheet: &Sheet) -> Vec<(String, i64, i64)> {
    let of = |record: &Record| {
        let ago = (NOW_MS - record.stamp.time_ms.unwrap()) / 60_000;
        if let Event::InventoryCounted(of) = &record.event {
            return (of.sku.to_string(), of.qty.0, ago);
        }
        let Event::System(SystemEvent::CashCounted(of)) = &record.event else {
            panic!("{:?}", record.event);
        };
        (format!("{} {}", of.rig, of.currency), of.amount, ago)
    };
    sheet.records.iter().map(of).collect()
}

const ROWS: &str = "stock,mug-1,24,,,shelf,2026-03-06 22:00:00,Ada
stock,mug-1,3,,,crate,2026-03-06T22:00:00Z,Ada
cash,till-1,,312.50,eur,,2026-03-06 22:05,Bo
stock,mug-2,0,,,,2026-03-06 22:00:00,
";

#[test]
fn shelves_and_drawers_become_counts() {
    let read = sheet((HEADER.to_owned() + ROWS).as_bytes()).unwrap();
    let expect = [
        ("mug-1".to_owned(), 27, 10),
        ("till-1 EUR".to_owned(), 31_250, 5),
        ("mug-2".to_owned(), 0, 10),
    ];
    assert_eq!(told(&read), expect);
    assert_eq!((read.rows, read.bad.len()), (4, 0));
    let id = format!("{}/3", blake3::hash((HEADER.to_owned() + ROWS).as_bytes()));
    assert_eq!(read.records[1].id.as_str(), id);
    assert!(!format!("{:?}", read.records).contains("Ada"));
    let Event::System(SystemEvent::CashCounted(cash)) = &read.records[1].event else {
        panic!("a drawer")
    };
    assert_eq!((cash.row, cash.popup.as_str()), (3, "fri-market"));
    assert_eq!(cash.file, read.blake3);
}

#[test]
fn columns_in_any_order_separators_and_json_say_the_same() {
    let plain = sheet((HEADER.to_owned() + ROWS).as_bytes()).unwrap();
    let marked = format!("\u{feff}{HEADER}{ROWS}")
        .replace(',', ";")
        .replace('\n', "\r\n");
    assert_eq!(told(&sheet(marked.as_bytes()).unwrap()), told(&plain));
    let few = "counted_at,qty,key,kind\n2026-03-06 22:00:00,27,mug-1,stock\n";
    assert_eq!(told(&sheet(few.as_bytes()).unwrap()), told(&plain)[..1]);
    let json = r#"{"rows":[
        {"kind":"stock","key":"mug-1","qty":27,"counted_at":"2026-03-06T22:00:00Z"},
        {"kind":"cash","key":"till-1","amount":"312.5","currency":"EUR","counted_at":"2026-03-06T22:05:00Z"},
        {"kind":"stock","key":"mug-2","qty":"0","counted_at":"2026-03-06T22:00:00Z","counter":"Ada"}]}"#;
    assert_eq!(told(&sheet(json.as_bytes()).unwrap()), told(&plain));
}

#[test]
fn a_bad_row_is_named_and_its_neighbours_are_taken() {
    let rows = "\
stock,hat-1,1,,,,2026-03-06 22:00:00,
stock,mug-1,1.5,,,,2026-03-06 22:00:00,
stock,mug-1,-1,,,,2026-03-06 22:00:00,
stock,mug-1,7,,,,2026-03-06 23:00:00,
stock,mug-1,7,,,,yesterday,
stock,mug-1,7,,,,2026-03-06 22:00:00,
stock,mug-1,8,,,,2026-03-06 22:00:00,
cash,till-9,,1.00,EUR,,2026-03-06 22:00:00,
cash,till-1,,1.005,EUR,,2026-03-06 22:00:00,
cash,till-1,,1.00,XXX,,2026-03-06 22:00:00,
cash,till-1,,1.00,EUR,a,2026-03-06 22:00:00,
cash,till-1,,2.00,EUR,b,2026-03-06 22:00:00,
token,till-1,,1.00,EUR,,2026-03-06 22:00:00,
stock,mug-1,7
";
    let read = sheet((HEADER.to_owned() + rows).as_bytes()).unwrap();
    let bad: Vec<_> = read.bad.iter().map(|bad| (bad.row, bad.column)).collect();
    let expect = [
        (1, "key"),
        (2, "qty"),
        (3, "qty"),
        (4, "counted_at"),
        (5, "counted_at"),
        (7, "key"),
        (8, "key"),
        (9, "amount"),
        (10, "currency"),
        (12, "key"),
        (13, "kind"),
        (14, ""),
    ];
    assert_eq!(bad, expect);
    assert_eq!(read.bad[0].code().to_string(), "PW0931");
    let expect = [
        ("mug-1".to_owned(), 7, 10),
        ("till-1 EUR".to_owned(), 100, 10),
    ];
    assert_eq!(told(&read), expect);
}

#[test]
fn what_is_no_sheet_is_refused_whole() {
    let missing = SheetFault::ColumnMissing { column: "kind" };
    assert_eq!(sheet(b"sku,qty\nmug-1,7\n"), Err(missing));
    for bytes in [&b"\xff"[..], b"[1", b"{}", b"{\"rows\":1}"] {
        assert_eq!(sheet(bytes), Err(SheetFault::Unreadable));
    }
    let large = sheet(&vec![b' '; limits::COUNT_SHEET_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(large.code().to_string(), "PW0913");
    let many = format!("{HEADER}{}", "a\n".repeat(20_001));
    assert_eq!(
        sheet(many.as_bytes()).unwrap_err().code().to_string(),
        "PW0913"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), rows in "[ -~\n\",;]{0,200}") {
        drop(sheet(&bytes));
        if let Ok(read) = sheet((HEADER.to_owned() + &rows).as_bytes()) {
            prop_assert!(read.records.len() + read.bad.len() <= usize::try_from(read.rows).unwrap());
        }
    }
}
