//! Lower-case base 32 (RFC 4648 alphabet) without padding.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Encodes bytes: five bits a character, the last one filled with zero bits.
#[must_use]
pub fn lower(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut window, mut bits) = (0u32, 0u32);
    for byte in bytes {
        window = (window << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(letter(window >> bits));
        }
        window &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(letter(window << (5 - bits)));
    }
    out
}

fn letter(window: u32) -> char {
    char::from(ALPHABET[(window & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        for (plain, coded) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(lower(plain.as_bytes()), coded);
        }
    }
}
