//! `popwatch export`: the books as a journal that hledger and ledger read, or as CSV.
//!
//! One transaction per effective entry, its legs as postings. Accounts are `code:part`, units of stock
//! and tokens are quoted commodities. What always holds: every transaction balances in every
//! commodity, and the sums of the journal are the balances of the books.

use anyhow::{Context, bail};
use popwatch_core::id::PopupId;
use popwatch_core::money::Currency;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::args::{ExportArgs, JournalFormat};
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print;
use crate::till::problem;

#[derive(Debug, Deserialize)]
struct Page {
    entries: Vec<Entry>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    entry_id: String,
    rule: String,
    legs: Vec<Leg>,
    occurred_at_ms: i64,
    #[serde(default)]
    position: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Leg {
    account: String,
    commodity: String,
    amount: i64,
}

pub(super) async fn run(args: &ExportArgs) -> anyhow::Result<Exit> {
    let popup = PopupId::of_book(&args.popup)
        .map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
    let accept = match args.journal {
        JournalFormat::Csv => "text/csv",
        JournalFormat::Hledger | JournalFormat::Ledger => "application/json",
    };
    let client = caller::client();
    let mut cursor: Option<String> = None;
    let mut declared = BTreeSet::new();
    loop {
        let after = cursor
            .as_ref()
            .map(|at| format!("&cursor={at}"))
            .unwrap_or_default();
        let url = |accept: &str| match accept {
            "text/csv" => format!("{}/v1/popups/{popup}/books", args.ledger),
            _json => format!("{}/v1/popups/{popup}/books?entries=1{after}", args.ledger),
        };
        let url = url(accept);
        let answer = client
            .get(&url, &[("accept", accept)])
            .await
            .with_context(|| {
                format!(
                    "cannot export {popup}; is a ledger running at {}?",
                    args.ledger
                )
            })?;
        if !answer.is_success() {
            bail!(
                "the ledger at {} cannot export {popup}: {}",
                args.ledger,
                problem(&answer)
            );
        }
        if args.journal == JournalFormat::Csv {
            let text = String::from_utf8_lossy(&answer.body);
            text.lines().try_for_each(print::line)?;
            return Ok(Exit::Done);
        }
        let page: Page = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{url} does not answer like a popwatch ledger"))?;
        for entry in &page.entries {
            if args.journal == JournalFormat::Hledger {
                for leg in &entry.legs {
                    if let Some(line) = directive(&leg.commodity, &mut declared) {
                        print::line(line)?;
                    }
                }
            }
            print::line(transaction(entry)?)?;
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(Exit::Done);
        }
    }
}

/// How hledger shows a currency, once; without it a lone point before three digits is ambiguous.
fn directive(commodity: &str, declared: &mut BTreeSet<String>) -> Option<String> {
    let currency = Currency::new(commodity)?;
    let point = if currency.exponent() == 0 { "." } else { "" };
    let thousand = decimal(1_000 * scale(currency), currency);
    declared
        .insert(commodity.to_owned())
        .then(|| format!("commodity {} {thousand}{point}\n", currency.code()))
}

fn scale(currency: Currency) -> i64 {
    10i64.pow(currency.exponent())
}

/// Minor units as a plain decimal.
fn decimal(minor: i64, currency: Currency) -> String {
    let digits = usize::try_from(currency.exponent()).unwrap_or(0);
    let sign = if minor < 0 { "-" } else { "" };
    let all = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = all.split_at(all.len() - digits);
    match digits {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part}"),
    }
}

fn transaction(entry: &Entry) -> anyhow::Result<String> {
    let time = popwatch_wire::json::rfc3339(entry.occurred_at_ms);
    let date = time.get(..10).context("a time begins with its date")?;
    let mut out = format!("{date} * ({}) {}", entry.rule, entry.entry_id);
    if let Some(position) = &entry.position {
        write!(out, "  ; {}", plain_part(position))?;
    }
    for leg in &entry.legs {
        let amount = match Currency::new(&leg.commodity) {
            Some(currency) => format!("{} {}", currency.code(), decimal(leg.amount, currency)),
            None => format!("{} \"{}\"", leg.amount, plain_part(&leg.commodity)),
        };
        write!(out, "\n    {}  {amount}", plain_part(&leg.account))?;
    }
    out.push('\n');
    Ok(out)
}

/// A name in which nothing means anything to a journal: what could is written as `%` and its code.
fn plain_part(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | ';' | '%' | '(' | ')' | '[' | ']' => {
                out.push_str(&format!("%{:02x}", u32::from(c)))
            }
            c if c.is_whitespace() || c.is_control() => {
                out.push_str(&format!("%{:02x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_in_every_exponent() {
        let shown = |minor, code| decimal(minor, Currency::new(code).unwrap());
        assert_eq!(shown(-5, "GBP"), "-0.05");
        assert_eq!(shown(123_456, "GBP"), "1234.56");
        assert_eq!(shown(100, "JPY"), "100");
        assert_eq!(shown(i64::MIN, "KWD"), "-9223372036854775.808");
        let mut declared = BTreeSet::new();
        assert_eq!(
            directive("GBP", &mut declared).as_deref(),
            Some("commodity GBP 1000.00\n")
        );
        assert_eq!(directive("GBP", &mut declared), None);
        assert_eq!(
            directive("JPY", &mut declared).as_deref(),
            Some("commodity JPY 1000.\n")
        );
        assert_eq!(directive("u:a", &mut declared), None);
    }

    #[test]
    fn a_transaction_has_a_posting_per_leg_and_no_surprise_in_its_names() {
        let leg = |account: &str, commodity: &str, amount| Leg {
            account: account.into(),
            commodity: commodity.into(),
            amount,
        };
        let entry = Entry {
            entry_id: "ab".into(),
            rule: "R10".into(),
            legs: vec![leg("1100:till 1;x", "GBP", 420), leg("S150", "u:85\"A", -2)],
            occurred_at_ms: 0,
            position: Some("till-1/1/7".into()),
        };
        assert_eq!(
            transaction(&entry).unwrap(),
            "1970-01-01 * (R10) ab  ; till-1/1/7\n    1100:till%201%3bx  GBP 4.20\n    S150  -2 \"u:85%22A\"\n"
        );
    }
}
