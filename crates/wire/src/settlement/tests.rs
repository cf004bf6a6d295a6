//! Layouts and goldens, what is refused, and hostile bytes.

mod goldens;
mod hostile;

use super::*;
use popwatch_core::settlement::{Arithmetic, LineKind, arithmetic};

const KEY: ReferenceKey = ReferenceKey::new([3; 32]);

/// All that a file leads to.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    lines: Vec<SettlementLine>,
    bank: Vec<BankLine>,
    objects: Vec<ProviderObject>,
    bad: Vec<(u64, &'static str)>,
}

impl Kept {
    fn nets(&self) -> Vec<i64> {
        self.lines.iter().map(|line| line.net).collect()
    }

    /// Σ net of all rows but those of payouts.
    fn sum(&self) -> i64 {
        let lines = self
            .lines
            .iter()
            .filter(|line| LineKind::from_text(&line.kind).is_some_and(LineKind::counts_in_payout));
        lines.map(|line| line.net).sum()
    }
}

fn context(provider: Option<ProviderKind>) -> FileContext<'static> {
    FileContext::new(provider, "main", &KEY)
}

fn keep(bytes: &[u8], of: &FileContext<'_>) -> Result<(Kept, FileSummary), FileFault> {
    let mut kept = Kept::default();
    let summary = read(bytes, of, &mut |item| {
        match item {
            Item::Line(line) => kept.lines.push(line),
            Item::Bank(line) => kept.bank.push(line),
            Item::Object(object) => kept.objects.push(object),
            Item::Bad(bad) => kept.bad.push((bad.row, bad.column)),
        }
        Ok::<(), ()>(())
    });
    match summary {
        Ok(summary) => Ok((kept, summary)),
        Err(Stopped::File(fault)) => Err(fault),
        Err(Stopped::Sink(())) => unreachable!("the sink takes all"),
    }
}

#[track_caller]
fn kept(provider: Option<ProviderKind>, text: &str) -> Kept {
    keep(text.as_bytes(), &context(provider)).unwrap().0
}

#[track_caller]
fn refused(provider: Option<ProviderKind>, bytes: &[u8], expect: &FileFault, code: &str) {
    let fault = keep(bytes, &context(provider)).unwrap_err();
    assert_eq!((&fault, fault.code().to_string().as_str()), (expect, code));
}

const STRIPE: &str =
    "balance_transaction_id,created,currency,gross,fee,net,reporting_category,source_id\n";
const OF_STRIPE: Option<ProviderKind> = Some(ProviderKind::Stripe);
const BANK: &str = "date,amount,currency,reference\n";

#[test]
fn a_file_that_is_no_settlement_file_is_refused_whole() {
    refused(OF_STRIPE, b"", &FileFault::Empty, "PW0911");
    refused(
        OF_STRIPE,
        b"\xef\xbb\xbf \r\n\n",
        &FileFault::Empty,
        "PW0911",
    );
    let html = b"<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n";
    refused(OF_STRIPE, html, &FileFault::LayoutUnknown, "PW0911");
    let lacking = FileFault::LayoutUnknown;
    refused(
        OF_STRIPE,
        b"created,currency,gross,fee,net\n1\n",
        &lacking,
        "PW0911",
    );
    let foreign = FileFault::LayoutForeign {
        layout: Layout::Bank,
    };
    refused(OF_STRIPE, BANK.as_bytes(), &foreign, "PW0911");
    let bad = [
        STRIPE.as_bytes(),
        b"txn_1,2026-01-02,EUR,1,0,1,charge,\xff\n",
    ]
    .concat();
    refused(OF_STRIPE, &bad, &FileFault::NotUtf8 { row: 2 }, "PW0911");
    for cut in [
        "txn_1,2026-01-02,EUR,1",
        "txn_1,2026-01-02,EUR,1,0,1,charge,\"ch",
    ] {
        let whole = "txn_0,2026-01-02,EUR,1,0,1,charge,ch_0\n";
        let text = format!("{STRIPE}{whole}{cut}");
        refused(
            OF_STRIPE,
            text.as_bytes(),
            &FileFault::Truncated { row: 3 },
            "PW0911",
        );
    }
    let cut =
        br#"{"transactions":[{"id":1,"type":"charge","amount":"1.00","fee":"0.00","net":"1.00","#;
    refused(
        Some(ProviderKind::Shopify),
        cut,
        &FileFault::Truncated { row: 1 },
        "PW0911",
    );
    let other = br#"{"orders":[{"id":1}]}"#;
    refused(
        Some(ProviderKind::Shopify),
        other,
        &FileFault::LayoutUnknown,
        "PW0911",
    );
    let lacking = br#"{"transactions":[{"id":1,"payout_id":7,"amount":"1.00"}]}"#;
    let missing = FileFault::ColumnMissing {
        layout: Layout::ShopifyPayments,
        column: "type",
    };
    refused(Some(ProviderKind::Shopify), lacking, &missing, "PW0911");
}

#[test]
fn a_named_layout_says_which_column_is_missing() {
    let of = FileContext {
        layout: Some(Layout::StripeItemized),
        ..context(OF_STRIPE)
    };
    let fault = keep(
        b"created;currency;gross;fee;net;balance_transaction_id\n",
        &of,
    )
    .unwrap_err();
    let expect = FileFault::ColumnMissing {
        layout: Layout::StripeItemized,
        column: "reporting_category",
    };
    assert_eq!(fault, expect);
    assert_eq!(
        fault.to_string(),
        "a file laid out as stripe.itemized needs a column reporting_category"
    );
    assert!(keep(STRIPE.as_bytes(), &of).is_ok());
    for layout in Layout::ALL {
        assert_eq!(Layout::from_text(layout.text()), Some(layout));
    }
}

#[test]
fn a_bad_row_is_named_and_its_neighbours_are_taken() {
    let rows = [
        "txn_1,2026-01-02 10:00:00,EUR,10.00,0.50,9.50,charge,ch_1",
        "txn_2,2026-01-02 10:00:00,EUR,1e3,0.50,9.50,charge,ch_1",
        "txn_3,2026-01-02 10:00:00,EUR,\"1,000.00\",0.50,9.50,charge,ch_1",
        "txn_4,2026-01-02 10:00:00,EUR,10.001,0.50,9.50,charge,ch_1",
        "txn_5,2026-01-02 10:00:00,EUR,10.00,,9.50,charge,ch_1",
        "txn_6,2026-01-02 10:00:00,XXX,10.00,0.50,9.50,charge,ch_1",
        "txn_7,2026-01-02 10:00:00,EUR,10.00,0.50,9.50,charge",
        "txn_8,02.01.2026,EUR,10.00,0.50,9.50,charge,ch_1",
        ",2026-01-02 10:00:00,EUR,10.00,0.50,9.50,charge,ch_1",
        "txn_9,2026-01-02 10:00:00,EUR,10.00,0.50,9.50,charge,\"ch\"_1",
        "txn_0,2026-01-02 10:00:00,eur,10.00,0.500,9.50,charge,ch_1",
    ];
    let kept = kept(OF_STRIPE, &format!("{STRIPE}{}\n", rows.join("\n")));
    assert_eq!(kept.nets(), [950, 950]);
    let expect = [
        (3, "gross"),
        (4, "gross"),
        (5, "gross"),
        (6, "fee"),
        (7, "currency"),
        (8, ""),
        (9, "created"),
        (10, "balance_transaction_id"),
        (11, ""),
    ];
    assert_eq!(kept.bad, expect);
    assert_eq!(kept.lines[1].currency, "EUR");
    let bad = BadRow {
        row: 2,
        column: "gross",
        rule: "must be a decimal",
    };
    assert_eq!(bad.code().to_string(), "PW0912");
}

/// What a person looks for in the file: quoted line breaks and blank lines count.
#[test]
fn a_row_is_named_by_the_line_it_begins_in() {
    let good = "\"two\nlines\",txn_1,2026-01-02,EUR,1,0,1,charge,ch_1\n";
    let bad = "one,txn_2,2026-01-02,EUR,one,0,1,charge,ch_2\n";
    let text = format!("note,{STRIPE}{good}\n\r\n{bad}");
    let kept = kept(OF_STRIPE, &text);
    assert_eq!(kept.bad, [(6, "gross")]);
    assert_eq!(kept.lines[0].row, 2);
}

#[test]
fn bounds_hold_before_memory_grows() {
    /// Bytes without end.
    struct Endless(&'static [u8], u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for byte in &mut *buffer {
                let at = usize::try_from(self.1).unwrap() % self.0.len();
                *byte = self.0[at];
                self.1 += 1;
            }
            assert!(self.1 < 8 << 20, "no more than some buffers are read");
            Ok(buffer.len())
        }
    }
    let of = context(OF_STRIPE);
    let start = STRIPE.as_bytes();
    let what = |input: &mut dyn Read| match inspect(input, &of) {
        Err(fault @ FileFault::TooLarge { what, .. }) => (what, fault.code().to_string()),
        other => panic!("{other:?}"),
    };
    let row = ("a row in bytes", String::from("PW0913"));
    assert_eq!(what(&mut start.chain(Endless(b"x", 0))), row);
    assert_eq!(what(&mut start.chain(Endless(b"\"x\"\"", 0))), row);
    assert_eq!(what(&mut Endless(b"column ", 0)).0, "a row in bytes");
    assert_eq!(what(&mut Endless(b"a,", 0)).0, "the number of columns");
    let json = &b"{\"transactions\":[{\"id\":"[..];
    let entry = "an entry in bytes";
    assert_eq!(what(&mut json.chain(Endless(b"1", 0))).0, entry);
    let nested = &b"{\"transactions\":[{\"id\":["[..];
    assert_eq!(what(&mut nested.chain(Endless(b"1,", 0))).0, entry);
    assert_eq!(what(&mut (&b"{\""[..]).chain(Endless(b"n", 0))).0, entry);
    let name = &b"{\"unknown\":\""[..];
    assert_eq!(what(&mut name.chain(Endless(b"\\\"", 0))).0, entry);
}

#[test]
fn separators_marks_and_quotes_change_nothing() {
    let plain = "txn_1,2026-01-02 10:00:00,EUR,10.00,0.50,9.50,charge,ch_1\n";
    let expect = kept(OF_STRIPE, &format!("{STRIPE}{plain}"));
    let same = [
        format!("{STRIPE}{plain}").replace(',', ";"),
        format!("{STRIPE}{plain}").replace(',', "\t"),
        format!("\u{feff}{STRIPE}\n\n{plain}").replace('\n', "\r\n"),
        format!("{STRIPE}{}", plain.trim_end()),
        format!("{STRIPE}{plain}")
            .replace("txn_1", "\"txn_1\"")
            .replace("ch_1", "\"ch_1\""),
        format!("{}{plain}", STRIPE.replace("net", "\"net\"")),
    ];
    // Blank lines move a row; what it says stays.
    let kept = |text: &str| {
        let mut kept = kept(OF_STRIPE, text);
        kept.lines.iter_mut().for_each(|line| line.row = 2);
        kept
    };
    for text in same {
        assert_eq!(kept(&text), expect, "{text}");
    }
    let noted = "note,".to_owned() + STRIPE + "\"one\n\"\"two\"\", \",";
    assert_eq!(kept(&(noted + plain)), expect);
}

#[test]
fn what_looks_like_a_card_or_an_address_is_not_kept() {
    let text =
        format!("{STRIPE}4111111111111111,2026-01-02,EUR,1.00,0,1.00,charge,ada@example.org\n");
    let (kept, summary) = keep(text.as_bytes(), &context(OF_STRIPE)).unwrap();
    let line = &kept.lines[0];
    assert!(
        line.line.starts_with("x_") && line.object.starts_with("x_"),
        "{line:?}"
    );
    assert_eq!((summary.replaced, summary.columns_dropped), (2, 0));
    let text = format!("{BANK}2026-01-05,-12.00,EUR,PAID BY 4111 1111 1111 1111 ada@example.org\n");
    let (kept, summary) = keep(text.as_bytes(), &context(None)).unwrap();
    assert_eq!(kept.bank[0].reference, "PAID BY [card] [email]");
    assert_eq!((kept.bank[0].amount, summary.replaced), (-1_200, 1));
}

#[test]
fn bank_rows_have_their_id_or_are_numbered() {
    let text = "reference;id;amount;date;currency\nA;b-1;10.00;2026-01-05;EUR\n\
                A;;10.00;2026-01-05;EUR\nA;;10.00;2026-01-05;EUR\nB;;10.00;2026-01-05T10:00:00Z;EUR\n\
                C;;10.00;05/01/2026;EUR\n";
    let kept = kept(None, text);
    let ids: Vec<_> = kept.bank.iter().map(|line| line.line.as_str()).collect();
    assert_eq!(ids[0], "b-1");
    let (one, nth) = ids[1].rsplit_once('.').unwrap();
    assert_eq!((nth, ids[2]), ("1", format!("{one}.2").as_str()));
    assert!(!ids[3].starts_with(one));
    assert_eq!(kept.bank[3].date_ms, kept.bank[0].date_ms);
    assert_eq!(kept.bad, [(6, "date")]);
}

#[test]
fn a_fact_says_what_the_file_was_and_lines_name_it() {
    let text = format!("{STRIPE}txn_1,2026-01-02,EUR,1.00,0,1.00,charge,ch\nx\n");
    let of = context(OF_STRIPE);
    let seen = inspect(text.as_bytes(), &of).unwrap();
    let of = FileContext {
        file: Some(seen.blake3),
        ..of
    };
    let (kept, summary) = keep(text.as_bytes(), &of).unwrap();
    assert_eq!(kept.lines[0].file, seen.blake3);
    assert_eq!(seen, summary);
    let fact = summary.fact(&of);
    assert_eq!(
        (fact.rows, fact.refused, fact.layout.as_str()),
        (2, 1, "stripe.itemized")
    );
    assert_eq!(fact.blake3, blake3::hash(text.as_bytes()).as_bytes());
    let bytes = u64::try_from(text.len()).unwrap();
    assert_eq!((summary.bytes, fact.provider.as_str()), (bytes, "stripe"));
}

#[test]
fn a_sink_that_fails_stops_reading() {
    let text = format!("{STRIPE}txn_1,2026-01-02,EUR,1.00,0,1.00,charge,ch\n");
    let stopped = read(text.as_bytes(), &context(OF_STRIPE), &mut |_| Err("full"));
    assert_eq!(stopped, Err(Stopped::Sink("full")));
    let json = br#"{"payouts":[{"id":"po","amount_money":{"amount":1,"currency":"EUR"},"status":"PAID","version":1}]}"#;
    let stopped = read(&json[..], &context(Some(ProviderKind::Square)), &mut |_| {
        Err("full")
    });
    assert_eq!(stopped, Err(Stopped::Sink("full")));
}
