//! Card numbers of every scheme in every form: none may pass; and what is no card: nothing may be
//! taken for one.

use std::collections::BTreeMap;

use anyhow::Result;
use popwatch_redact::detect::{Budget, Check, Place, Rule, SCHEMES, Scheme, clean, scan};

use crate::table::Row;

/// Cards written, and other numbers.
const CASES: usize = 1_000_000;

/// Numbers that look random and never change.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from(self.roll() % end).unwrap_or(0)
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub(crate) fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count)
            .map(|_| char::from(*self.one(alphabet)))
            .collect()
    }
}

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
/// What stands between two groups.
const SEPARATORS: &[&str] = &[
    " ",
    "-",
    ".",
    "/",
    "_",
    ",",
    "  ",
    " -",
    "\u{a0}",
    "\u{2009}",
    "–",
    "—",
    "−",
    "－",
    "%20",
    "%2D",
    "\\u0020",
    "&#32;",
    "&#x2d;",
    "\u{200b} ",
];

/// A valid card number in one of its surface forms, in a context.
pub(crate) fn written(dice: &mut Dice) -> String {
    let scheme = dice.one(SCHEMES);
    let digits = number(dice, scheme);
    let (before, after) = *dice.one(FRAMES);
    format!("{before}{}{after}", surface(dice, scheme, &digits))
}

/// A number of the scheme with a right check digit.
pub(crate) fn number(dice: &mut Dice, scheme: &Scheme) -> String {
    let (low, high) = *dice.one(scheme.prefixes);
    let (from, to): (usize, usize) = (low.parse().unwrap_or(0), high.parse().unwrap_or(0));
    let mut digits = (from + dice.below(to - from + 1)).to_string();
    let length = *dice.one(scheme.lengths);
    let fill = length - 1 - digits.len();
    digits.push_str(&dice.letters(b"0123456789", fill));
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(index, byte)| match (index % 2, u32::from(byte - b'0')) {
            (0, digit) if digit > 4 => digit * 2 - 9,
            (0, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    digits
}

/// One of the ways a number is written, hidden or mangled on its way.
pub(crate) fn surface(dice: &mut Dice, scheme: &Scheme, digits: &str) -> String {
    let bare = scheme.check != Check::LuhnAndShape && digits.len() > 13;
    let shifted = |zero: u32| -> String {
        digits
            .bytes()
            .filter_map(|byte| char::from_u32(zero + u32::from(byte - b'0')))
            .collect()
    };
    let each = |form: &dyn Fn(u32) -> String| -> String {
        digits.bytes().map(|byte| form(u32::from(byte))).collect()
    };
    let half = digits.len() / 2;
    match dice.below(if bare { 16 } else { 5 }) {
        0 | 1 => grouped(digits, 4, *dice.one(SEPARATORS)),
        2 => format!("{}-{}", &digits[..6], &digits[6..]),
        3 => format!("{}\n{}", &digits[..half], &digits[half..]),
        4 => format!("card {digits}"),
        5 => shifted(0xff10),
        6 => shifted(0x660),
        7 => shifted(0x1d7ce),
        8 => grouped(
            digits,
            1,
            *dice.one(&["\u{200b}", "\u{ad}", "\u{feff}", "\u{fe0f}\u{20e3}"]),
        ),
        9 => each(&|code| format!("%{code:02x}")),
        10 => each(&|code| format!("\\u{code:04x}")),
        11 => each(&|code| format!("&#{code};")),
        12 => format!("x{digits}y"),
        13 => format!("%B{digits}^DOE/JANE^2512?"),
        14 => format!(";{digits}=25121011"),
        _ => digits.to_owned(),
    }
}

fn grouped(digits: &str, by: usize, separator: &str) -> String {
    let mut out = String::new();
    // No last group of one or two digits: those are not grouped as a card.
    let whole = digits.len() / by * by;
    let tail = digits.len() - whole;
    let last = if by > 1 && tail > 0 && tail < 3 {
        whole - by
    } else {
        whole
    };
    for at in (0..last).step_by(by) {
        if at > 0 {
            out.push_str(separator);
        }
        out.push_str(&digits[at..at + by]);
    }
    if last < digits.len() {
        out.push_str(separator);
        out.push_str(&digits[last..]);
    }
    out
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
