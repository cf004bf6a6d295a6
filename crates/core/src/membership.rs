//! Who belongs to an organisation: a key, the name it goes by, and the signed word that ties the two.
//!
//! What always holds: two keys are told apart by all their bytes, never by a name.

use core::fmt;

/// The public key of a process: Ed25519, as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdKey(pub [u8; 32]);

impl IdKey {
    /// Reads what Display wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(key))
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_key_reads_back_in_its_one_form() {
        let key = IdKey([0xa7; 32]);
        let text = key.to_string();
        assert_eq!(IdKey::parse(&text), Some(key));
        assert_eq!(IdKey::parse(&text.to_uppercase()), None);
        assert_eq!(IdKey::parse(&text[1..]), None);
        assert_eq!(IdKey::parse(&text.replace('7', "g")), None);
    }
}
