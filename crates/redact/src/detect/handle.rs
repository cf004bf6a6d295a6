//! Names people go by on other sites.

use super::{Rule, Spans};

/// Reports `@` and 2 to 30 letters, digits, `_` and `.`, with no letter or digit before.
pub(super) fn find(text: &str, spans: &mut Spans) {
    for (at, _) in text.match_indices('@') {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let after = &text.as_bytes()[at + 1..];
        let length = after.iter().take_while(|byte| name(byte)).count();
        let stop = after[..length]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'.');
        let length = length - stop.count();
        let before = text[..at].chars().next_back();
        if (2..=30).contains(&length) && before.is_none_or(|c| !c.is_alphanumeric()) {
            spans.add(Rule::Handle, at, at + 1 + length);
        }
    }
}
