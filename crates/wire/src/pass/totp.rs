//! Codes of six digits that change every 30 seconds (RFC 6238 with SHA-1, as all apps know it).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// How long a code lasts, ms.
pub const STEP_MS: i64 = 30_000;
/// How many codes there are.
const CODES: u32 = 1_000_000;

/// Which step of time a moment is in.
#[must_use]
pub fn step(now_ms: i64) -> u64 {
    u64::try_from(now_ms.div_euclid(STEP_MS)).unwrap_or(0)
}

/// The code of a step, with its leading zeros.
#[must_use]
pub fn code(secret: &[u8], step: u64) -> String {
    format!("{:06}", number(secret, step) % CODES)
}

/// The 31 bits that a step's codes are the last digits of (RFC 4226, 5.3).
fn number(secret: &[u8], step: u64) -> u32 {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret).expect("a key of any length is one for HMAC");
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    let at = usize::from(hash[19] & 0x0f);
    let bytes = [hash[at], hash[at + 1], hash[at + 2], hash[at + 3]];
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// What an app reads a secret from.
#[must_use]
pub fn uri(org: &str, actor: &str, secret: &[u8]) -> String {
    let secret = base32(secret);
    format!("otpauth://totp/{org}:{actor}?secret={secret}&issuer={org}")
}

/// RFC 4648 base32 without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    let (mut held, mut bits) = (0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(DIGITS[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(DIGITS[(held << (5 - bits) & 31) as usize]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_specification() {
        // RFC 6238, appendix B, the rows of SHA-1: eight digits there.
        let secret = b"12345678901234567890";
        for (seconds, eight) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = step(seconds * 1_000);
            assert_eq!(number(secret, step) % 100_000_000, eight, "{seconds}");
            assert_eq!(code(secret, step), format!("{:06}", eight % CODES));
        }
    }

    #[test]
    fn base32_is_that_of_the_specification() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("foo", "MZXW6"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            uri("acme", "ana", b"foobar"),
            "otpauth://totp/acme:ana?secret=MZXW6YTBOI&issuer=acme"
        );
    }
}
