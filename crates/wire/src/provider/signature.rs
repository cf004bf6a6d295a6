//! HMAC-SHA256 over raw bytes, under any of a few secrets.
//!
//! A signature is text in one form: lower-case hexadecimal or padded base64, nothing looser. It is
//! read strictly into its 32 bytes, which are then compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use popwatch_core::limits::{WEBHOOK_SECRETS_MAX, WEBHOOK_WINDOW_MS};
use popwatch_core::provider::ProviderKind;
use sha2::Sha256;

use super::Outcome;

/// The secrets of one account, ready to verify with; never shown.
#[derive(Clone)]
pub struct Secrets(Vec<Hmac<Sha256>>);

/// Why secrets cannot be used. Never carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// None, or too many.
    #[error("must hold between 1 and {WEBHOOK_SECRETS_MAX} secrets, one a line")]
    Count,
    /// Not the form this provider gives them in.
    #[error("holds a secret that is not hexadecimal, as Adyen gives it")]
    Form,
}

impl Secrets {
    /// Takes secrets as the provider shows them, newest first.
    pub fn new(kind: ProviderKind, texts: &[&str]) -> Result<Self, SecretFault> {
        if texts.is_empty() || texts.len() > WEBHOOK_SECRETS_MAX {
            return Err(SecretFault::Count);
        }
        let prepared = texts.iter().map(|text| match kind {
            // The whole text is the key, `whsec_` with it.
            ProviderKind::Stripe | ProviderKind::Square | ProviderKind::Shopify => {
                Ok(prepare(text.as_bytes()))
            }
            ProviderKind::Adyen => any_hex(text)
                .map(|key| prepare(&key))
                .ok_or(SecretFault::Form),
        });
        prepared.collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them signed these parts, one after the other.
    pub(super) fn fit(&self, parts: &[&[u8]], signature: &[u8; 32]) -> bool {
        self.0.iter().any(|secret| {
            let mut mac = secret.clone();
            for part in parts {
                mac.update(part);
            }
            mac.verify_slice(signature).is_ok()
        })
    }

    /// The signature of these parts, one after the other, under the first secret.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.first().expect("there is at least one").clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

fn prepare(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Whether a signature's time lies in the window, both sides.
pub(super) fn in_window(signed_ms: i64, now_ms: i64) -> Result<(), Outcome> {
    let age = now_ms.saturating_sub(signed_ms);
    if age > WEBHOOK_WINDOW_MS {
        Err(Outcome::Stale)
    } else if age < -WEBHOOK_WINDOW_MS {
        Err(Outcome::Future)
    } else {
        Ok(())
    }
}

/// Reads 64 lower-case hexadecimal digits.
pub(super) fn hex_mac(text: &str) -> Option<[u8; 32]> {
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let bytes = any_hex(text).filter(|_| !upper)?;
    bytes.try_into().ok()
}

fn any_hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

/// Reads the base64 of 32 bytes: 43 characters, one `=`, no stray bit in the last one.
pub(super) fn base64_mac(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=')?.as_bytes();
    if digits.len() != 43 {
        return None;
    }
    let mut out = [0; 32];
    let (mut bits, mut held, mut at) = (0u32, 0u32, 0);
    for digit in digits {
        bits = bits << 6 | sextet(*digit)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out[at] = u8::try_from(bits >> held & 0xff).ok()?;
            at += 1;
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

/// Writes what [`base64_mac`] reads.
pub(super) fn base64(mac: &[u8; 32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(44);
    for three in mac.chunks(3) {
        let bits = three
            .iter()
            .fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let at = usize::try_from(bits >> (18 - 6 * place) & 63).expect("six bits fit");
            text.push(char::from(DIGITS[at]));
        }
    }
    text.push('=');
    text
}

/// Writes what [`hex_mac`] reads.
pub(super) fn hex(mac: &[u8; 32]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sextet(digit: u8) -> Option<u32> {
    Some(match digit {
        b'A'..=b'Z' => u32::from(digit - b'A'),
        b'a'..=b'z' => u32::from(digit - b'a') + 26,
        b'0'..=b'9' => u32::from(digit - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_form_of_a_signature_is_read() {
        let good = "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=";
        assert!(base64_mac(good).is_some());
        for other in [
            "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N5=",
            "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4",
            "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW_S6vkZ9_2N4=",
            " GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=",
            "",
            "=",
        ] {
            assert_eq!(base64_mac(other), None, "{other}");
        }
        assert!(hex_mac(&"ab".repeat(32)).is_some());
        assert_eq!(hex_mac(&"AB".repeat(32)), None);
        assert_eq!(hex_mac(&"ab".repeat(31)), None);
        assert_eq!(hex_mac(&"+a".repeat(32)), None);
    }

    #[test]
    fn the_window_has_two_sides() {
        assert_eq!(in_window(1_000, 301_000), Ok(()));
        assert_eq!(in_window(1_000, 301_001), Err(Outcome::Stale));
        assert_eq!(in_window(301_000, 1_000), Ok(()));
        assert_eq!(in_window(301_001, 1_000), Err(Outcome::Future));
        assert_eq!(in_window(i64::MIN, i64::MAX), Err(Outcome::Stale));
        assert_eq!(in_window(i64::MAX, i64::MIN), Err(Outcome::Future));
    }

    #[test]
    fn secrets_are_counted_checked_and_never_shown() {
        assert_eq!(
            Secrets::new(ProviderKind::Stripe, &[]).err(),
            Some(SecretFault::Count)
        );
        assert_eq!(
            Secrets::new(ProviderKind::Stripe, &["a"; 5]).err(),
            Some(SecretFault::Count)
        );
        assert_eq!(
            Secrets::new(ProviderKind::Adyen, &["xyz"]).err(),
            Some(SecretFault::Form)
        );
        let secrets = Secrets::new(ProviderKind::Stripe, &["whsec_hidden"; 4]).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(4)");
    }
}
