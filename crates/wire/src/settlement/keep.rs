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
        let text = text.trim_ascii();
        if text.is_empty() {
            return Ok(String::new());
        }
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
