//! What of a web address says more than where it leads: user names, queries, fragments.

use super::{Rule, Spans};
use crate::text::Folded;

/// Reports everything of a URL but its scheme, host and path. What an earlier detector owns stays
/// its own; the rest beside it goes.
pub(super) fn find(folded: &Folded<'_>, spans: &mut Spans) {
    let text = folded.as_str();
    for (at, _) in text.match_indices("://") {
        parts(folded, at + 3, spans);
    }
    for (at, _) in text.match_indices("www.") {
        let before = text[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | '@' | '.')) {
            parts(folded, at, spans);
        }
    }
}

fn parts(folded: &Folded<'_>, host: usize, spans: &mut Spans) {
    let text = folded.as_str();
    let rest = &text[host..];
    let ends = |(at, c): &(usize, char)| {
        (c.is_whitespace() || matches!(c, '"' | '<' | '>')) && !folded.is_escaped(host + at)
    };
    let end = rest
        .char_indices()
        .find(ends)
        .map_or(rest.len(), |(at, _)| at);
    let url = &rest[..end];
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    if let Some(user) = url[..authority].rfind('@') {
        spans.add_rest(Rule::UrlQuery, host, host + user + 1);
    }
    if let Some(query) = url.find(['?', '#']) {
        spans.add_rest(Rule::UrlQuery, host + query, host + end);
    }
}
