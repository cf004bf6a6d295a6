//! One normal form to scan, with the way back to the text as it came.
//!
//! Folding is for looking only: what is kept is the original, less the spans that hit. Every
//! decimal digit of Unicode becomes 0–9, dashes become `-`, spaces a space, line ends `\n`,
//! full-width forms their ASCII; what cannot be seen goes; one level of `%xx`, `\uXXXX`, `\n` and
//! `&#n;` is decoded.

use std::borrow::Cow;

/// A folded text and where each of its bytes stood.
pub(crate) struct Folded<'a> {
    text: Cow<'a, str>,
    /// Start and end in the original of the character each byte came from, and whether it stood
    /// there as an escape; empty when nothing was folded.
    origin: Vec<(u32, u32, bool)>,
}

impl<'a> Folded<'a> {
    /// Folds a text. ASCII without escapes costs one pass and no allocation.
    #[must_use]
    pub(crate) fn new(text: &'a str) -> Self {
        let plain = |byte: u8| byte.is_ascii() && !matches!(byte, b'%' | b'\\' | b'&' | b'\r');
        if text.bytes().all(plain) {
            return Self {
                text: Cow::Borrowed(text),
                origin: Vec::new(),
            };
        }
        fold(text)
    }

    /// The folded text.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the character at this byte stood as an escape in the original.
    #[must_use]
    pub(crate) fn is_escaped(&self, at: usize) -> bool {
        self.origin.get(at).is_some_and(|origin| origin.2)
    }

    /// The span of the original that a non-empty span of the folded text came from.
    #[must_use]
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let wide = |at: u32| usize::try_from(at).expect("a 32-bit offset fits");
        match (self.origin.get(start), self.origin.get(end.max(1) - 1)) {
            (Some(first), Some(last)) => (wide(first.0), wide(last.1)),
            _ => (start, end),
        }
    }
}

fn fold(text: &str) -> Folded<'_> {
    let mut out = String::with_capacity(text.len());
    let mut origin = Vec::with_capacity(text.len());
    let (mut at, mut after_return) = (0, false);
    while let Some((c, length)) = decode(&text[at..]) {
        let span = (offset(at), offset(at + length), length > c.len_utf8());
        at += length;
        let second_half = after_return && c == '\n';
        after_return = c == '\r';
        let Some(folded) = fold_char(c).filter(|_| !second_half) else {
            continue;
        };
        out.push(folded);
        origin.extend(std::iter::repeat_n(span, folded.len_utf8()));
    }
    Folded {
        text: Cow::Owned(out),
        origin,
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("an event is far below 4 GiB")
}

/// The next character, escapes decoded, and how many bytes it took.
fn decode(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let escaped = match first {
        '%' => percent(text.as_bytes()),
        '\\' => backslash(text),
        '&' => entity(text),
        _ => None,
    };
    Some(escaped.unwrap_or((first, first.len_utf8())))
}

fn percent(text: &[u8]) -> Option<(char, usize)> {
    let byte_at = |index: usize| {
        let escape = text.get(index * 3..index * 3 + 3)?;
        let high = char::from(escape[1]).to_digit(16)?;
        let low = char::from(escape[2]).to_digit(16)?;
        u8::try_from(high * 16 + low)
            .ok()
            .filter(|_| escape[0] == b'%')
    };
    let lead = byte_at(0)?;
    let length = match lead {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut bytes = [0; 4];
    for (index, slot) in bytes.iter_mut().enumerate().take(length) {
        *slot = byte_at(index)?;
    }
    let c = std::str::from_utf8(&bytes[..length]).ok()?.chars().next()?;
    Some((c, length * 3))
}

fn backslash(text: &str) -> Option<(char, usize)> {
    match text.as_bytes().get(1)? {
        b'n' => Some(('\n', 2)),
        b'r' => Some(('\r', 2)),
        b't' => Some(('\t', 2)),
        b'u' => {
            let unit = hex4(text, 2)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((c, 6));
            }
            let low = hex4(text, 8).filter(|_| text.get(6..8) == Some("\\u"))?;
            let pair = [u16::try_from(unit).ok()?, u16::try_from(low).ok()?];
            let c = char::decode_utf16(pair).next()?.ok()?;
            Some((c, 12))
        }
        _ => None,
    }
}

fn hex4(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, 16).ok())?
}

fn entity(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix("&#")?;
    let end = body.bytes().take(9).position(|byte| byte == b';')?;
    let number = match body[..end].strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => body[..end].parse().ok()?,
    };
    Some((char::from_u32(number)?, end + 3))
}

fn fold_char(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(match c {
            '\t' => ' ',
            '\r' | '\x0b' | '\x0c' => '\n',
            _ => c,
        });
    }
    if invisible(c) {
        return None;
    }
    if let Some(digit) = digit(c) {
        return Some(digit);
    }
    Some(match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ if c.is_whitespace() => ' ',
        _ => c,
    })
}

/// Zero-width characters, marks of direction, the soft hyphen, variation selectors, the keycap.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{20e3}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}')
}

/// The zeros of Unicode's decimal digits beyond ASCII (general category Nd, version 16); nine more
/// digits follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50,
    0x11DA0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let row = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    char::from_digit(code - ZEROS[row], 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_digit_reads_as_one() {
        for (raw, plain) in [
            ("４１１１", "4111"),
            ("٤١١١", "4111"),
            ("4\u{200b}1\u{ad}1\u{fe0f}\u{20e3}1", "4111"),
            ("4–1—1−1", "4-1-1-1"),
            ("4\u{a0}1\u{2009}1", "4 1 1"),
            ("%34%31\\u0031&#49;&#x31;", "41111"),
            ("a\\nb\r\nc\rd", "a\nb\nc\nd"),
            ("a%40b", "a@b"),
            ("\\ud835\\udfd7%F0%9D%9F%97", "99"),
            (
                "100% \\x &#; %zz %E4 \\ud800",
                "100% \\x &#; %zz %E4 \\ud800",
            ),
        ] {
            assert_eq!(Folded::new(raw).as_str(), plain, "{raw:?}");
        }
    }

    #[test]
    fn a_span_leads_back_to_the_text_as_it_came() {
        let raw = "é %34\u{200b}1 z";
        let folded = Folded::new(raw);
        let at = folded.as_str().find("41").unwrap();
        let (start, end) = folded.origin(at, at + 2);
        assert_eq!(&raw[start..end], "%34\u{200b}1");
        assert_eq!(Folded::new("plain").origin(1, 3), (1, 3));
    }

    #[test]
    fn the_zeros_ascend_so_that_they_can_be_searched() {
        assert!(ZEROS.windows(2).all(|pair| pair[1] - pair[0] >= 10));
    }
}
