//! Bank account numbers (ISO 13616): a country's length and the check digits.

use super::{Rule, Spans};

/// How long a country's account numbers are, by length. Source: SWIFT IBAN Registry, release 101.
const LENGTHS: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];
const LENGTH_MAX: usize = 33;
/// Characters between two groups of one number.
const SEPARATORS_MAX: usize = 2;

/// Reports account numbers: two letters, two digits, and as many characters as the country has.
pub(super) fn find(text: &str, spans: &mut Spans) {
    let bytes = text.as_bytes();
    for (at, four) in bytes.windows(4).enumerate() {
        let opens = four[0].is_ascii_alphabetic()
            && four[1].is_ascii_alphabetic()
            && four[2].is_ascii_digit();
        if opens
            && begins(bytes, at)
            && let Some(end) = end_of(bytes, at)
        {
            spans.add(Rule::Iban, at, end);
        }
    }
}

/// No letter or digit stands before, but for the word itself.
fn begins(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[..at];
    let word = before.len().checked_sub(4).map(|from| &before[from..]);
    before
        .last()
        .is_none_or(|byte| !byte.is_ascii_alphanumeric())
        || word.is_some_and(|word| word.eq_ignore_ascii_case(b"iban"))
}

fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let country = [bytes[at], bytes[at + 1]].map(|byte| byte.to_ascii_uppercase());
    let length = length_of(country)?;
    let mut number = [0; LENGTH_MAX];
    let (mut filled, mut end, mut between) = (0, at, 0);
    while filled < length {
        let byte = *bytes.get(end)?;
        if byte.is_ascii_alphanumeric() {
            number[filled] = byte.to_ascii_uppercase();
            (filled, between) = (filled + 1, 0);
        } else if matches!(byte, b' ' | b'-' | b'.' | b'\n') && between < SEPARATORS_MAX {
            between += 1;
        } else {
            return None;
        }
        end += 1;
    }
    let ends = bytes
        .get(end)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (ends && is_valid(&number[..length])).then_some(end)
}

fn length_of(country: [u8; 2]) -> Option<usize> {
    let row = LENGTHS.iter().find(|(_, countries)| {
        let mut countries = countries.as_bytes().chunks(3);
        countries.any(|code| code[..2] == country)
    });
    row.map(|(length, _)| *length)
}

/// The remainder by 97 of ISO/IEC 7064 is one, the first four characters standing last.
fn is_valid(number: &[u8]) -> bool {
    let turned = number[4..].iter().chain(&number[..4]);
    let rest = turned.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    number[2..4].iter().all(u8::is_ascii_digit) && rest == 1
}
