//! Words that say what the digits after them are.

/// Lower case with every byte where it was.
pub(super) fn lower(text: &str) -> String {
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

/// Calls `each` with the end of every one of `words` in a text of lower case; what it answers is
/// where to go on. Of two words that fit the one that stands first in the list is taken.
pub(super) fn each(lower: &str, words: &[&str], mut each: impl FnMut(usize) -> usize) {
    let mut at = 0;
    while at < lower.len() {
        at = match word_at(lower, at, words) {
            Some(length) => each(at + length),
            None => at + lower[at..].chars().next().map_or(1, char::len_utf8),
        };
    }
}

/// A word has no letter or digit before it and no letter behind it; scripts that write no spaces
/// are not ASCII.
fn word_at(text: &str, at: usize, words: &[&str]) -> Option<usize> {
    let begins = text[..at]
        .chars()
        .next_back()
        .is_none_or(|c| !c.is_alphanumeric() || !c.is_ascii());
    if !begins {
        return None;
    }
    let word = words.iter().find(|word| text[at..].starts_with(**word))?;
    let next = text[at + word.len()..].chars().next();
    next.is_none_or(|c| !c.is_ascii_alphabetic())
        .then_some(word.len())
}
