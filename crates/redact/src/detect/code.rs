//! Card security codes: three or four digits soon after a word for them.

use super::{Rule, Spans, head};

/// How far from the word the digits may stand, characters.
const REACH: usize = 24;

/// Words for the code, lower case; of two that fit the longer comes first.
const WORDS: &[&str] = &[
    "cvv2",
    "cvv",
    "cvc2",
    "cvc",
    "cav2",
    "cid",
    "csc",
    "cvn",
    "security code",
    "security-code",
    "securitycode",
    "card code",
    "kartenprüfnummer",
    "prüfnummer",
    "prüfziffer",
    "sicherheitscode",
    "cryptogramme",
    "code de sécurité",
    "código de seguridad",
    "código de segurança",
    "codice di sicurezza",
    "veiligheidscode",
    "säkerhetskod",
    "sikkerhedskode",
    "sikkerhetskode",
    "turvakoodi",
    "kod bezpieczeństwa",
    "güvenlik kodu",
    "код безопасности",
    "セキュリティコード",
    "安全码",
    "安全碼",
    "보안 코드",
];

/// Reports codes, one per word.
pub(super) fn find(text: &str, spans: &mut Spans) {
    let lower = lower(text);
    let mut at = 0;
    while at < lower.len() {
        match word_at(&lower, at) {
            Some(length) => {
                at += length;
                if let Some((start, end)) = digits_after(&lower, at) {
                    spans.add(Rule::Code, start, end);
                    at = end;
                }
            }
            None => at += lower[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
}

/// Lower case with every byte where it was.
fn lower(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut small = c.to_lowercase();
            match (small.next(), small.next()) {
                (Some(one), None) if one.len_utf8() == c.len_utf8() => one,
                _ => c,
            }
        })
        .collect()
}

fn word_at(text: &str, at: usize) -> Option<usize> {
    let begins = text[..at]
        .chars()
        .next_back()
        .is_none_or(|c| !c.is_alphanumeric() || !c.is_ascii());
    if !begins {
        return None;
    }
    let word = WORDS.iter().find(|word| text[at..].starts_with(**word))?;
    let next = text[at + word.len()..].chars().next();
    next.is_none_or(|c| !c.is_ascii_alphabetic())
        .then_some(word.len())
}

fn digits_after(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let reach = from + head(&text[from..], REACH + 1).len();
    let mut at = from;
    while at < reach {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let count = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if (3..=4).contains(&count) {
            return Some((at, at + count));
        }
        at += count;
    }
    None
}
