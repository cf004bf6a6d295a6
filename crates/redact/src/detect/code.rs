//! Card security codes: three or four digits soon after a word for them.

use super::{Rule, Spans, head, words};

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
    let lower = words::lower(text);
    words::each(&lower, WORDS, |from| match digits_after(&lower, from) {
        Some((start, end)) => {
            spans.add(Rule::Code, start, end);
            end
        }
        None => from,
    });
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
