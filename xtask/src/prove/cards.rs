//! Card numbers of every scheme in every form: none may pass; and what is no card: nothing may be
//! taken for one.

use std::collections::BTreeMap;

use anyhow::Result;
use popwatch_redact::detect::{Budget, Place, Rule, clean, scan};
use popwatch_redact::samples::{self, Dice};

use crate::table::Row;

/// Cards written, and other numbers.
const CASES: usize = 1_000_000;

pub(super) fn rows(quick: bool) -> Result<Vec<Row>> {
    let cases = if quick { CASES / 20 } else { CASES };
    let mut dice = Dice(1);
    let mut missed = 0;
    for _ in 0..cases {
        let text = written(&mut dice);
        let place = *dice.one(&[Place::Text, Place::Label, Place::Reference, Place::Identity]);
        let hit = scan(&text, place, &mut Budget::default())
            .iter()
            .any(|hit| matches!(hit.rule, Rule::Pan | Rule::Track));
        let left = clean(&text, place, &mut Budget::default(), |_| {});
        let digits = left.map_or(usize::MAX, |left| {
            left.chars().filter(char::is_ascii_digit).count()
        });
        missed += usize::from(!hit || digits > CONTEXT_DIGITS);
    }
    let mut false_hits: BTreeMap<&str, usize> = BTreeMap::new();
    for case in 0..cases {
        let (kind, text, place) = other(&mut dice, case);
        let hits = scan(&text, place, &mut Budget::default());
        let taken = hits
            .iter()
            .any(|hit| matches!(hit.rule, Rule::Pan | Rule::Track));
        *false_hits.entry(kind).or_default() += usize::from(taken);
    }
    let uuids = false_hits.remove("UUIDs").unwrap_or(0);
    Ok(vec![
        Row::note(
            "card numbers written, and as many numbers that are no cards",
            cases,
        ),
        Row::count("card numbers missed", missed, 0),
        Row::count(
            "times, ids and trade numbers taken for cards",
            false_hits.values().sum(),
            0,
        ),
        Row::at_most("UUIDs taken for cards", uuids, cases / 100_000),
    ])
}

/// Digits that the words around a number hold.
const CONTEXT_DIGITS: usize = 7;
const FRAMES: &[(&str, &str)] = &[
    ("", ""),
    ("paid with ", " today"),
    ("580538 ", ""),
    ("(", ")"),
    ("a:", ";b"),
    ("{\"note\":\"", "\"}"),
    ("é — ", " 🙂"),
];
/// A valid card number in one of its surface forms, in a context.
fn written(dice: &mut Dice) -> String {
    let (before, after) = *dice.one(FRAMES);
    format!("{before}{}{after}", samples::card(dice).text)
}

/// A number or id that is no card, by kind.
fn other(dice: &mut Dice, case: usize) -> (&'static str, String, Place) {
    // 2001 to 2034.
    let ms = 1_000_000_000_000 + dice.roll() % 1_050_000_000_000;
    let fraction = dice.roll() % 1_000_000;
    let place = *dice.one(&[Place::Text, Place::Label, Place::Identity, Place::Reference]);
    match case % 10 {
        0 => ("ms", ms.to_string(), place),
        1 => ("µs", (ms * 1_000 + fraction / 1_000).to_string(), place),
        2 => ("ns", (ms * 1_000_000 + fraction).to_string(), place),
        3 => ("times", iso(dice), place),
        4 => {
            let head = dice.letters(b"01234567", 1);
            let rest = dice.letters(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 25);
            ("ULIDs", format!("{head}{rest}"), place)
        }
        5 | 6 => {
            let prefix = *dice.one(&["pi_", "ch_", "cs_test_", "re_", "evt_", "txn-", "ord_"]);
            let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            (
                "ids",
                format!("{prefix}{}", dice.letters(alphabet, 24)),
                place,
            )
        }
        7 => ("trade numbers", gtin(dice), Place::Sku),
        _ => {
            let hex = dice.letters(b"0123456789abcdef", 32);
            let uuid = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ];
            ("UUIDs", uuid.join("-"), place)
        }
    }
}

fn iso(dice: &mut Dice) -> String {
    let mut two = |from: usize, end: usize| format!("{:02}", from + dice.below(end));
    let day = format!("20{}-{}-{}", two(10, 40), two(1, 12), two(1, 28));
    let time = format!("{}:{}:{}", two(0, 24), two(0, 60), two(0, 60));
    let nanos = dice.letters(b"0123456789", 9);
    let between = *dice.one(&["T", " "]);
    format!("{day}{between}{time}.{nanos}Z")
}

fn gtin(dice: &mut Dice) -> String {
    let length = *dice.one(&[8, 12, 13, 14]);
    let mut digits = dice.letters(b"0123456789", length - 1);
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(index, byte)| u32::from(byte - b'0') * if index % 2 == 0 { 3 } else { 1 })
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    digits
}
