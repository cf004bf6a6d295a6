//! Magnetic-stripe data: accepted by its form alone.

use super::{Rule, Spans};

/// Longest first track, characters.
const TRACK_MAX: usize = 79;
/// Digits that follow the `=` of a second track at least: expiry and service code.
const TAIL_MIN: usize = 7;

/// Reports tracks: `%B` digits `^` … `?`, and digits `=` digits.
pub(super) fn find(text: &str, spans: &mut Spans) {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'^' => first_track(text, at, spans),
            b'=' => second_track(bytes, at, spans),
            _ => {}
        }
    }
}

fn first_track(text: &str, caret: usize, spans: &mut Spans) {
    let bytes = text.as_bytes();
    let Some(digits) = number_before(bytes, caret) else {
        return;
    };
    if digits == 0 || !matches!(bytes[digits - 1], b'B' | b'b') {
        return;
    }
    let letter = digits - 1;
    let start = if letter > 0 && bytes[letter - 1] == b'%' {
        letter - 1
    } else {
        letter
    };
    let rest = super::head(&text[start..], TRACK_MAX);
    let end = match rest.find(['?', '\n']) {
        Some(at) => start + at + usize::from(rest.as_bytes()[at] == b'?'),
        None => start + rest.len(),
    };
    spans.add(Rule::Track, start, end.max(caret + 1));
}

fn second_track(bytes: &[u8], equals: usize, spans: &mut Spans) {
    let Some(digits) = number_before(bytes, equals) else {
        return;
    };
    let tail = bytes[equals + 1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if tail < TAIL_MIN {
        return;
    }
    let start = digits - usize::from(digits > 0 && bytes[digits - 1] == b';');
    let end = equals + 1 + tail;
    let end = end + usize::from(bytes.get(end) == Some(&b'?'));
    spans.add(Rule::Track, start, end);
}

/// Where the 12 to 19 digits that end before `at` begin.
fn number_before(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes[..at]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (12..=19).contains(&count).then(|| at - count)
}
