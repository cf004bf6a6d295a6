//! Bytes of every kind, and honest files in every guise.

use proptest::prelude::*;

use super::*;

/// Pieces that files are made of, so that chance gets past the header.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&str] = &[
        STRIPE,
        BANK,
        "\n",
        "\r\n",
        ",",
        ";",
        "\t",
        "\"",
        "\"\"",
        "1.00",
        "-0.5",
        "EUR",
        "usd",
        "2026-01-02 10:00:00",
        "charge",
        "txn_1",
        "\u{feff}",
        "{",
        "}",
        "[",
        "]",
        ":",
        "\\",
        "\"transactions\":[",
        "\"payout_entries\":[",
        "\"payouts\":[",
        "\"data\":[",
        "\"id\":1",
        "\"payout_id\":7",
        "\"amount\":\"1.00\"",
        "\"amount_money\":{\"amount\":1}",
        "\"object\":\"balance_transaction\"",
        "null",
        "1e999",
        "4111111111111111",
    ];
    prop_oneof![
        6 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ]
}

fn providers() -> impl Strategy<Value = Option<ProviderKind>> {
    let all = ProviderKind::ALL.iter().copied().map(Some).chain([None]);
    proptest::sample::select(all.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_said_does_not_depend_on_how_they_come(
        pieces in proptest::collection::vec(piece(), 0..60),
        provider in providers(),
        layout in proptest::option::of(proptest::sample::select(&Layout::ALL[..])),
        by in 1_usize..40,
    ) {
        /// Hands out a few bytes at a time.
        struct Slow<'a>(&'a [u8], usize);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let count = self.1.min(self.0.len()).min(buffer.len());
                let (now, rest) = self.0.split_at(count);
                buffer[..count].copy_from_slice(now);
                self.0 = rest;
                Ok(count)
            }
        }
        let bytes = pieces.concat();
        let of = FileContext { layout, ..context(provider) };
        let whole = inspect(&bytes[..], &of);
        prop_assert_eq!(&inspect(Slow(&bytes, by), &of), &whole);
        if let Ok(summary) = whole {
            prop_assert!(summary.refused <= summary.rows);
            prop_assert_eq!(summary.layout.provider(), provider);
        }
    }

    #[test]
    fn an_honest_file_reads_the_same_in_every_guise(
        amounts in proptest::collection::vec((-999_999_i64..999_999, 0_i64..5_000), 1..40),
        order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        separator in proptest::sample::select(&[',', ';', '\t'][..]),
        note in "[ -~\n,;\t\"]{0,30}",
        mark in any::<bool>(),
    ) {
        let decimal = |minor: i64| {
            let sign = if minor < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
        };
        let quoted = format!("\"{}\"", note.replace('"', "\"\""));
        let mut text = String::from(if mark { "\u{feff}" } else { "" });
        let mut write = |cells: &[String; 8]| {
            let cells: Vec<_> = order.iter().map(|at| cells[*at].as_str()).collect();
            text.push_str(&cells.join(&separator.to_string()));
            text.push('\n');
        };
        write(&["balance_transaction_id", "created", "currency", "gross", "fee", "net",
            "reporting_category", "customer_note"].map(String::from));
        for (at, (gross, fee)) in amounts.iter().enumerate() {
            write(&[format!("txn_{at}"), "2026-01-02".into(), "GBP".into(), decimal(*gross),
                decimal(*fee), decimal(gross - fee), "charge".into(), quoted.clone()]);
        }
        let (kept, summary) = keep(text.as_bytes(), &context(OF_STRIPE)).unwrap();
        prop_assert_eq!(summary.columns_dropped, 1);
        let figures: Vec<_> = kept.lines.iter().map(|line| (line.gross, line.fee)).collect();
        prop_assert_eq!(figures, amounts);
        prop_assert!(kept.lines.iter().all(|line| arithmetic(line) == Arithmetic::Agrees));
        prop_assert!(kept.bad.is_empty());
    }
}
