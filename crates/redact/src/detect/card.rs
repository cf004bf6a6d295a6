//! Card numbers: groups of digits, windows over groups, schemes, and what is exempt.

use super::schemes::{Check, SCHEMES};
use super::{Budget, Place, Rule, Spans, head, tail};

const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 19;
/// Longest bare run that is looked into at both ends.
const RUN_MAX: usize = 40;
/// Characters between two groups of one number.
const SEPARATORS_MAX: usize = 2;
/// Line breaks inside one number.
const BREAKS_MAX: usize = 1;
/// How near a word that speaks of cards has to stand, characters.
const NEAR: usize = 24;

/// A run of digits, in bytes of the folded text.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    /// Belongs to a UUID, hash, ULID or GTIN.
    exempt: bool,
}

impl Group {
    const fn length(self) -> usize {
        self.end - self.start
    }
}

/// Reports card numbers. Windows that overlap go as one: the digits before a card may make a number
/// with its front half, and the rest of it must not stay.
pub(super) fn find(text: &str, place: Place, budget: &mut Budget, spans: &mut Spans) {
    let groups = groups(text, place);
    let mut open: Option<(usize, usize)> = None;
    for (first, group) in groups.iter().enumerate() {
        if group.exempt {
            continue;
        }
        if group.length() > DIGITS_MAX {
            long_run(text, *group, place, budget, spans);
            continue;
        }
        let Some((start, end)) = window(text, &groups[first..], budget) else {
            continue;
        };
        open = Some(match open {
            Some((from, to)) if start < to => (from, to.max(end)),
            Some((from, to)) => {
                spans.add(Rule::Pan, from, to);
                (start, end)
            }
            None => (start, end),
        });
    }
    if let Some((from, to)) = open {
        spans.add(Rule::Pan, from, to);
    }
}

/// Whether the bare digits of an integer are a card number.
pub(super) fn is_bare_card(magnitude: u64) -> bool {
    accepted(magnitude.to_string().as_bytes(), Shape::Bare, || false)
}

fn groups(text: &str, place: Place) -> Vec<Group> {
    let bytes = text.as_bytes();
    let mut groups = Vec::new();
    let (mut at, mut uuid_end) = (0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let end = run_end(bytes, at, |byte| byte.is_ascii_alphanumeric());
        if at >= uuid_end && is_uuid(bytes, at) {
            uuid_end = at + 36;
        }
        let word = &bytes[at..end];
        let exempt_word = at < uuid_end || is_hash(word) || is_ulid(word);
        let mut from = at;
        while let Some(digit) = (from..end).find(|index| bytes[*index].is_ascii_digit()) {
            let stop = run_end(bytes, digit, |byte| byte.is_ascii_digit());
            let exempt = exempt_word || (place == Place::Sku && is_gtin(&bytes[digit..stop]));
            groups.push(Group {
                start: digit,
                end: stop,
                exempt,
            });
            from = stop;
        }
        at = end;
    }
    if place == Place::Sku {
        expose_halves(text, &mut groups);
    }
    groups
}

/// A trade number stands alone, or before a short mark of size or colour. Beside a group of four digits
/// and more it may be the half of a card.
fn expose_halves(text: &str, groups: &mut [Group]) {
    for at in 1..groups.len() {
        let (one, two) = (groups[at - 1], groups[at]);
        let long = |group: Group| group.length() >= 4;
        if long(one) && long(two) && joint(text, one.end, two.start).is_some() {
            for half in &mut groups[at - 1..=at] {
                let digits = &text.as_bytes()[half.start..half.end];
                half.exempt &= !is_gtin(digits);
            }
        }
    }
}

fn run_end(bytes: &[u8], from: usize, fits: impl Fn(&u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|byte| fits(byte)).count()
}

/// Tests the windows that start at the first group, longest first; answers the span of the hit.
fn window(text: &str, groups: &[Group], budget: &mut Budget) -> Option<(usize, usize)> {
    let mut digits = [0; DIGITS_MAX];
    let mut filled = 0;
    let mut ends = [(0, 0); DIGITS_MAX];
    let mut count = 0;
    let mut breaks = 0;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            match joint(text, groups[index - 1].end, group.start) {
                Some(more) if breaks + more <= BREAKS_MAX => breaks += more,
                _ => break,
            }
        }
        let end = filled + group.length();
        if group.exempt || end > DIGITS_MAX {
            break;
        }
        digits[filled..end].copy_from_slice(&text.as_bytes()[group.start..group.end]);
        filled = end;
        if filled >= DIGITS_MIN {
            ends[count] = (filled, index);
            count += 1;
        }
    }
    for (length, last) in ends[..count].iter().rev() {
        budget.spend();
        let (start, end) = (groups[0].start, groups[*last].end);
        let near = || card_word_near(text, start, end);
        if accepted(&digits[..*length], Shape::of(&groups[..=*last]), near) {
            return Some((start, end));
        }
    }
    None
}

/// The line breaks between two groups of one number, `None` when they are not of one number.
fn joint(text: &str, end: usize, start: usize) -> Option<usize> {
    let between = &text.as_bytes()[end..start];
    let separator = |byte: &u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'_' | b',' | b'\n');
    let joins =
        !between.is_empty() && between.len() <= SEPARATORS_MAX && between.iter().all(separator);
    joins.then(|| between.iter().filter(|byte| **byte == b'\n').count())
}

/// Looks into a run of 20 digits and more at both its ends.
fn long_run(text: &str, group: Group, place: Place, budget: &mut Budget, spans: &mut Spans) {
    if !place.is_prose() || group.length() > RUN_MAX {
        return;
    }
    let digits = &text.as_bytes()[group.start..group.end];
    for length in (DIGITS_MIN..=DIGITS_MAX).rev() {
        let ends = [
            (group.start, group.start + length),
            (group.end - length, group.end),
        ];
        for (start, end) in ends {
            budget.spend();
            let near = || card_word_near(text, group.start, group.end);
            let part = &digits[start - group.start..end - group.start];
            if accepted(part, Shape::Bare, near) {
                spans.add(Rule::Pan, start, end);
            }
        }
    }
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// In one run.
    Bare,
    /// In groups, one of them shorter than three digits: so are dates and prices.
    Split,
    /// In groups of three digits and more: so are cards.
    Grouped,
}

impl Shape {
    fn of(groups: &[Group]) -> Self {
        match groups {
            [] | [_] => Self::Bare,
            _ if groups.iter().any(|group| group.length() < 3) => Self::Split,
            _ => Self::Grouped,
        }
    }
}

fn accepted(digits: &[u8], shape: Shape, near: impl Fn() -> bool) -> bool {
    let fitting = || SCHEMES.iter().filter(|scheme| scheme.fits(digits));
    if fitting().next().is_none() {
        return false;
    }
    let luhn = luhn(digits);
    let shaped = || shape != Shape::Bare || near();
    fitting().any(|scheme| match scheme.check {
        Check::Luhn => luhn && (digits.len() > 13 || shaped()),
        Check::LuhnOrShape => luhn || shape == Shape::Grouped || near(),
        Check::LuhnAndShape => luhn && shaped(),
    })
}

/// The check digit of ISO/IEC 7812-1.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            match (index % 2, digit) {
                (0, _) => digit,
                (_, 0..=4) => digit * 2,
                _ => digit * 2 - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Words that speak of cards.
const CARD_WORDS: &[&str] = &[
    "card",
    "cards",
    "cardno",
    "cardnumber",
    "creditcard",
    "debitcard",
    "cc",
    "ccnum",
    "ccnumber",
    "pan",
    "visa",
    "mastercard",
    "amex",
    "maestro",
    "discover",
    "diners",
    "jcb",
    "unionpay",
    "rupay",
    "uatp",
    "karte",
    "karten",
    "kartennummer",
    "kreditkarte",
    "kreditkartennummer",
    "carte",
    "tarjeta",
    "carta",
    "cartão",
    "kaart",
    "kaartnummer",
    "kort",
    "kortnummer",
    "karta",
    "kartı",
    "карта",
];
/// The same in scripts that write no spaces.
const CARD_SIGNS: &[&str] = &["カード", "卡", "카드"];

fn card_word_near(text: &str, start: usize, end: usize) -> bool {
    let before = tail(&text[..start], NEAR);
    let after = head(&text[end..], NEAR);
    speaks_of_cards(before) || speaks_of_cards(after)
}

fn speaks_of_cards(context: &str) -> bool {
    // What an earlier round put there says nothing about what stands beside it.
    let context = context.replace(Rule::Pan.word(), " ").to_lowercase();
    context
        .split(|c: char| !c.is_alphabetic())
        .any(|word| CARD_WORDS.contains(&word))
        || CARD_SIGNS.iter().any(|sign| context.contains(sign))
}

fn is_uuid(bytes: &[u8], at: usize) -> bool {
    let Some(form) = bytes.get(at..at + 36) else {
        return false;
    };
    let ends = bytes
        .get(at + 36)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    ends && form.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn is_hash(word: &[u8]) -> bool {
    matches!(word.len(), 32 | 40 | 64)
        && word.iter().all(u8::is_ascii_hexdigit)
        && letters(word) >= 4
}

fn is_ulid(word: &[u8]) -> bool {
    let crockford =
        |byte: &u8| byte.is_ascii_alphanumeric() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    word.len() == 26 && word[0] <= b'7' && word.iter().all(crockford) && letters(word) >= 4
}

fn letters(word: &[u8]) -> usize {
    word.iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count()
}

/// The check digit of GS1's trade item numbers. Those of 8 digits are too short to be a card and
/// need no exemption; half a card of 16 digits may look like one.
fn is_gtin(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, byte)| u32::from(byte - b'0') * if index % 2 == 0 { 1 } else { 3 })
        .sum();
    matches!(digits.len(), 12..=14) && sum.is_multiple_of(10)
}
