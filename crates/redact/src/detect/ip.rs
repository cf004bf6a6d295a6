//! Internet addresses, of both versions and in every written form.

use std::net::{IpAddr, Ipv6Addr};

use super::{Rule, Spans};

/// Longest written form, with four decimal parts at its end.
const SIX_MAX: usize = 45;
/// Longest run that is looked into: an address and words before it that read as a part of it.
const RUN_MAX: usize = 128;

/// Reports addresses.
pub(super) fn find(text: &str, spans: &mut Spans) {
    let bytes = text.as_bytes();
    six(text, spans);
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = end_of(bytes, at, |byte| byte.is_ascii_digit() || byte == b'.');
        let word = text[at..end].trim_end_matches('.');
        if begins_four(bytes, at) && is_four(word) {
            spans.add(Rule::Ip, at, at + word.len());
        }
        at = end;
    }
}

/// Whether a text as a whole is an address.
pub(super) fn is_whole(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() && text.bytes().any(|byte| byte != b':')
}

fn end_of(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|byte| fits(**byte)).count()
}

/// A version number (`v1.2.3.4`) is no address.
fn begins_four(bytes: &[u8], at: usize) -> bool {
    match bytes[..at] {
        [.., b'v' | b'V'] => false,
        [.., digit, b':'] => !digit.is_ascii_digit() || at < 3,
        _ => true,
    }
}

fn is_four(word: &str) -> bool {
    let mut parts = 0;
    let all = word.split('.').all(|part| {
        parts += 1;
        part.len() <= 3 && part.parse::<u8>().is_ok()
    });
    all && parts == 4
}

fn six(text: &str, spans: &mut Spans) {
    let bytes = text.as_bytes();
    let part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let mut at = 0;
    while let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') {
        let colon = at + colon;
        let back = bytes[at..colon]
            .iter()
            .rev()
            .take_while(|byte| part(**byte));
        let start = colon - back.count();
        let end = end_of(bytes, colon, part);
        at = end;
        let colons = bytes[start..end].iter().filter(|byte| **byte == b':');
        if colons.take(2).count() < 2 || end - start > RUN_MAX {
            continue;
        }
        let follows = bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if !follows && let Some((from, to)) = address_in(text, start, end) {
            let to = zone_end(bytes, to);
            at = at.max(to);
            spans.add(Rule::Ip, from, to);
        }
    }
}

/// The longest address that ends where the run does, give or take a last `.` or `:`.
fn address_in(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let run = text[start..end].trim_end_matches('.');
    let to = start + run.len();
    let to = if run.ends_with(':') && !run.ends_with("::") {
        to - 1
    } else {
        to
    };
    let glued = start > 0 && bytes[start - 1].is_ascii_alphanumeric();
    let starts = (start..to).filter(|at| {
        let after_colon = *at > start && bytes[*at - 1] == b':';
        after_colon || (*at == start && !glued)
    });
    let fits = |at: &usize| {
        let word = &text[*at..to];
        word.len() <= SIX_MAX && word.len() > 2 && word.parse::<Ipv6Addr>().is_ok()
    };
    starts.into_iter().find(fits).map(|from| (from, to))
}

/// The end of an address with its zone (`%eth0`), which names a machine's device.
fn zone_end(bytes: &[u8], end: usize) -> usize {
    if bytes.get(end) != Some(&b'%') {
        return end;
    }
    let zone = end_of(bytes, end + 1, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
    });
    if zone == end + 1 { end } else { zone }
}
