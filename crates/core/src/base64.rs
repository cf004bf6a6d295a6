//! Bytes as text in base64 (RFC 4648, with padding). What always holds: a text that is read has the one
//! form that writing gives.

use alloc::string::String;
use alloc::vec::Vec;

/// The 64 digits.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as base64 (RFC 4648) with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let at = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
        let number = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let six = usize::try_from(number >> (18 - 6 * digit) & 63).expect("six bits fit");
            out.push(match digit <= part.len() {
                true => char::from(BASE64[six]),
                false => '=',
            });
        }
    }
    out
}

/// Bytes of base64 with padding; `None` for anything but its one form.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut number, mut bits) = (0u32, 0u32);
    for byte in body.bytes() {
        let six = BASE64.iter().position(|digit| *digit == byte)?;
        number = (number << 6 | u32::try_from(six).ok()?) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(number >> bits & 0xff).ok()?);
        }
    }
    // One form only: the bits that no byte takes are zero.
    (number & ((1 << bits) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_form() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(plain.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(from_base64("Zh=="), None);
        assert_eq!(from_base64("Zg="), None);
    }
}
