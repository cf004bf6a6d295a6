//! E-mail addresses, in ASCII and beyond.

use super::{Rule, Spans};

/// Reports addresses: a local part, `@`, and a domain whose last label has two letters or more.
pub(super) fn find(text: &str, spans: &mut Spans) {
    for (at, _) in text.match_indices('@') {
        let local = local_start(&text[..at]);
        let domain = domain_length(&text[at + 1..]);
        if let (Some(start), Some(length)) = (local, domain) {
            spans.add(Rule::Email, start, at + 1 + length);
        }
    }
}

fn local_start(before: &str) -> Option<usize> {
    if let Some(start) = quoted_start(before) {
        return Some(start);
    }
    let last = before.chars().next_back()?;
    // `…/@name` is a handle in a path.
    if !is_local(last) || last == '/' {
        return None;
    }
    let length: usize = before
        .chars()
        .rev()
        .take_while(|c| is_local(*c))
        .map(char::len_utf8)
        .sum();
    Some(before.len() - length)
}

/// The start of a local part in quotation marks.
fn quoted_start(before: &str) -> Option<usize> {
    let inner = before.strip_suffix('"')?;
    inner.rfind('"').filter(|start| inner.len() - start <= 64)
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric()
        || (!c.is_ascii() && !c.is_whitespace())
        || ".!#$%&'*+/=?^_`{|}~-".contains(c)
}

/// How much of the text is a domain: labels of letters, digits and hyphens; of all ends that close
/// with a top-level domain the farthest.
fn domain_length(after: &str) -> Option<usize> {
    let mut found = None;
    let (mut at, mut labels) = (0, 0);
    loop {
        let label: usize = after[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '-')
            .map(char::len_utf8)
            .sum();
        if label == 0 {
            return found;
        }
        labels += 1;
        let text = &after[at..at + label];
        at += label;
        if labels > 1 {
            found = top_level(text).map(|length| at - label + length).or(found);
        }
        if !after[at..].starts_with('.') {
            return found;
        }
        at += 1;
    }
}

/// How much of a label can be a top-level domain: two letters at least, or punycode.
fn top_level(label: &str) -> Option<usize> {
    if label.len() > 4 && label.starts_with("xn--") {
        return Some(label.len());
    }
    let letters = label.chars().take_while(|c| c.is_alphabetic());
    let (count, length) = letters.fold((0, 0), |(n, length), c| (n + 1, length + c.len_utf8()));
    (count >= 2).then_some(length)
}
