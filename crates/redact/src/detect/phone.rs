//! Phone numbers: `+` and a country, the national form of a region, digits after a word for them.

use super::{Place, Region, Rule, Spans, head, words};

/// Digits of an international number (ITU-T E.164 allows fifteen).
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;
/// Digits of a number in the form it is dialled at home.
const NATIONAL: std::ops::RangeInclusive<usize> = 7..=15;
/// Characters between two groups of one number.
const SEPARATORS_MAX: usize = 2;
/// Groups of one number.
const GROUPS_MAX: usize = 10;
/// How far from the word the digits may stand, characters.
const REACH: usize = 24;

/// Words for a phone number, lower case; of two that fit the longer comes first.
const WORDS: &[&str] = &[
    "phone number",
    "phone",
    "telephone",
    "telefonnummer",
    "telefon",
    "teléfono",
    "telefono",
    "telefone",
    "telefoon",
    "telemóvel",
    "téléphone",
    "tel",
    "mobile",
    "mobil",
    "mob",
    "móvil",
    "cellulare",
    "celular",
    "cell",
    "handynummer",
    "handy",
    "rufnummer",
    "portable",
    "whatsapp",
    "call me",
    "call",
    "sms",
    "fax",
    "puhelin",
    "телефон",
    "тел",
    "電話",
    "电话",
    "전화",
];
/// What stands beside an amount of money.
const MONEY: &[&str] = &[
    "€", "$", "£", "¥", "₹", "EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN",
];

/// Reports phone numbers. Only in free text do words count and does a region's own form.
pub(super) fn find(text: &str, place: Place, region: Option<Region>, spans: &mut Spans) {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let found = match byte {
            b'+' => international(text, at),
            b'0' | b'(' if place == Place::Text && region.is_some() => national(text, at),
            _ => None,
        };
        if let Some(end) = found {
            spans.add(Rule::Phone, at, end);
        }
    }
    if place == Place::Text {
        after_words(text, spans);
    }
}

fn international(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let glued = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'+');
    let from = at
        + 1
        + bytes[at + 1..]
            .iter()
            .take_while(|byte| **byte == b' ')
            .count()
            .min(1);
    let opens = bytes
        .get(from)
        .is_some_and(|byte| (b'1'..=b'9').contains(byte));
    if glued || !opens {
        return None;
    }
    let number = Number::read(bytes, from, *INTERNATIONAL.end())?;
    let is_date = number.digits == 8 && number.is_date(bytes);
    let fits = INTERNATIONAL.contains(&number.digits) && !is_date;
    (fits && !is_price(text, at, number.end)).then_some(number.end)
}

fn national(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let part_of_more = match bytes[..at] {
        [.., digit, b'.' | b',' | b':' | b'/' | b'-'] => digit.is_ascii_digit(),
        [.., byte] => byte.is_ascii_alphanumeric(),
        [] => false,
    };
    let closed = |area: &[u8]| {
        let digits = area.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (1..=5).contains(&digits) && area.get(digits) == Some(&b')')
    };
    if part_of_more || (bytes[at] == b'(' && !closed(&bytes[at + 1..])) {
        return None;
    }
    let from = at + usize::from(bytes[at] == b'(');
    let number = Number::read(bytes, from, *NATIONAL.end())?;
    let separated = number.count > 1;
    (separated && number.is_dialled(bytes) && !is_price(text, at, number.end)).then_some(number.end)
}

fn after_words(text: &str, spans: &mut Spans) {
    let lower = words::lower(text);
    words::each(&lower, WORDS, |from| {
        let reach = from + head(&lower[from..], REACH + 1).len();
        let bytes = lower.as_bytes();
        let Some(digit) = (from..reach).find(|at| bytes[*at].is_ascii_digit()) else {
            return from;
        };
        let Some(number) = Number::read(bytes, digit, *NATIONAL.end()) else {
            return digit;
        };
        let start = digit - usize::from(digit > from && bytes[digit - 1] == b'(');
        if number.is_dialled(bytes) && !is_price(text, start, number.end) {
            spans.add(Rule::Phone, start, number.end);
        }
        number.end
    });
}

/// Digits in groups, as somebody writes a number down.
struct Number {
    groups: [(usize, usize); GROUPS_MAX],
    count: usize,
    digits: usize,
    end: usize,
}

impl Number {
    /// Reads groups while they hold `most` digits together; `None` when the first alone holds more.
    fn read(bytes: &[u8], from: usize, most: usize) -> Option<Self> {
        let mut number = Self {
            groups: [(0, 0); GROUPS_MAX],
            count: 0,
            digits: 0,
            end: from,
        };
        let mut at = from;
        while number.count < GROUPS_MAX {
            let length = bytes[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let end = at + length;
            // What a colon follows is a time of day.
            let time =
                bytes.get(end) == Some(&b':') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if length == 0 || number.digits + length > most || time {
                break;
            }
            number.groups[number.count] = (at, end);
            number.count += 1;
            number.digits += length;
            number.end = end;
            let separator = |byte: &&u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')');
            let between = bytes[end..].iter().take_while(separator).count();
            if between == 0 || between > SEPARATORS_MAX {
                break;
            }
            at = end + between;
        }
        let whole = bytes
            .get(number.end)
            .is_none_or(|byte| !byte.is_ascii_digit());
        (number.count > 0 && whole).then_some(number)
    }

    fn is_dialled(&self, bytes: &[u8]) -> bool {
        NATIONAL.contains(&self.digits) && !self.is_date(bytes) && !self.is_decimal(bytes)
    }

    /// Whether three groups in a row are a day, or one group of eight digits is.
    fn is_date(&self, bytes: &[u8]) -> bool {
        let value = |&(start, end): &(usize, usize)| {
            let digits = &bytes[start..end];
            let value = digits
                .iter()
                .fold(0u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
            (digits.len(), value)
        };
        let day = |(length, value): (usize, u64)| length <= 2 && (1..=31).contains(&value);
        let year = |(length, value): (usize, u64)| {
            length == 2 || (length == 4 && (1900..=2100).contains(&value))
        };
        let groups = &self.groups[..self.count];
        groups.windows(3).any(|three| {
            let [a, b, c] = [&three[0], &three[1], &three[2]].map(value);
            let separator = |group: &(usize, usize)| bytes[group.1];
            let alike = separator(&three[0]) == separator(&three[1])
                && matches!(separator(&three[0]), b'-' | b'.' | b'/')
                && three[1].0 == three[0].1 + 1
                && three[2].0 == three[1].1 + 1;
            alike && day(b) && ((day(a) && year(c)) || (a.0 == 4 && year(a) && day(c)))
        }) || match groups {
            [one] if one.1 - one.0 == 8 => {
                let (_, value) = value(one);
                let (month, day) = (value / 100 % 100, value % 100);
                (1900..=2100).contains(&(value / 10_000))
                    && (1..=12).contains(&month)
                    && (1..=31).contains(&day)
            }
            _ => false,
        }
    }

    /// Whether the digits are a fraction (`0.1234567`).
    fn is_decimal(&self, bytes: &[u8]) -> bool {
        let (start, end) = self.groups[0];
        self.count == 2 && end - start == 1 && matches!(bytes[end], b'.')
    }
}

fn is_price(text: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text[..start].trim_end(), text[end..].trim_start());
    let cents = after.strip_prefix(',').unwrap_or(after);
    MONEY.iter().any(|sign| {
        let amount = cents
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start();
        before.ends_with(sign) || after.starts_with(sign) || amount.starts_with(sign)
    })
}
