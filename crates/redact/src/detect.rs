//! Detectors.

/// Whether a text holds a run of digits as long as a card number, or an address.
#[must_use]
pub fn second_look(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 12 && text.bytes().all(|byte| byte.is_ascii_digit()) || text.contains('@')
}
