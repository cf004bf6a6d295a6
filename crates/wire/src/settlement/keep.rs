//! What is kept of a text: as much as is allowed, after redaction.

use popwatch_core::limits;
use popwatch_redact::apply;
use popwatch_redact::detect::{self, Budget, Place};
use popwatch_redact::pseudonym::ReferenceKey;

use super::{Fault, field};

/// Keeps texts, and counts those that held what must not be kept.
pub(super) struct Keep<'a> {
    references: &'a ReferenceKey,
    /// Texts that were replaced.
    pub(super) replaced: u64,
}

impl<'a> Keep<'a> {
    pub(super) const fn new(references: &'a ReferenceKey) -> Self {
        Self {
            references,
            replaced: 0,
        }
    }

    /// An id or reference. One that looks like a card number is mapped as at every other border.
    pub(super) fn id(&mut self, column: &'static str, text: &str) -> Result<String, Fault> {
        if is_plain(text) {
            return Ok(text.to_owned());
        }
        let text = text.trim_ascii();
        if text.len() > limits::EVENT_ID_BYTES_MAX {
            return Err(field(column, "must have at most 256 bytes"));
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(field(column, "must not hold control characters"));
        }
        let kept = apply::reference(text, self.references);
        self.replaced += u64::from(kept != text);
        Ok(kept.into_owned())
    }

    /// A text that a bank wrote: card numbers and addresses in it are replaced.
    pub(super) fn text(&mut self, column: &'static str, text: &str) -> Result<String, Fault> {
        let text = text.trim_ascii();
        if text.len() > limits::STRING_BYTES_MAX {
            return Err(field(column, "must have at most 1024 bytes"));
        }
        let mut hits = 0;
        let cleaned = detect::clean(text, Place::Label, &mut Budget::default(), |_| hits += 1);
        self.replaced += u64::from(cleaned.is_some());
        Ok(cleaned.unwrap_or_else(|| text.to_owned()))
    }
}

/// Whether a text holds nothing that any detector looks at: letters, a few marks, fewer digits than a
/// card number has and fewer dots and colons than an internet address. Most ids are such, and the look costs one pass.
fn is_plain(text: &str) -> bool {
    /// What a byte adds: nothing, a digit, or so much that the text is not plain.
    const WEIGHT: [u8; 256] = {
        let mut weight = [DIGITS_MAX + 1; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
            let as_byte = byte as u8;
            weight[byte] = match as_byte {
                b'0'..=b'9' => 1,
                b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' => 0,
                // Three dots or two colons may be an internet address.
                b'.' => DIGITS_MAX / 3 + 1,
                b':' => DIGITS_MAX / 2 + 1,
                _ => DIGITS_MAX + 1,
            };
            byte += 1;
        }
        weight
    };
    /// No detector looks at fewer digits than twelve.
    const DIGITS_MAX: u8 = 11;
    let weigh = |sum: u32, byte: u8| sum + u32::from(WEIGHT[usize::from(byte)]);
    text.len() <= limits::REFERENCE_BYTES_MAX
        && text.bytes().fold(0, weigh) <= u32::from(DIGITS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_keeps_only_what_the_long_way_keeps(
            text in "([a-f]{0,4}[_:. @%-]{0,2}[0-9]{0,16}[^a-z]{0,2}){0,4}",
        ) {
            if is_plain(&text) {
                prop_assert!(!detect::reference_must_go(&text));
                prop_assert_eq!(text.trim_ascii(), &text);
            }
        }
    }
}
