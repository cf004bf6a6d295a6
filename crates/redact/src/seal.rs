//! Parts of a record that only the key of their class opens.
//!
//! ```text
//! part = u8 1 | u8 class | key id [16] | nonce [24] | u16le length | XChaCha20-Poly1305 | tag [16]
//! aad  = "popwatch/v1/part" ‖ class ‖ key id ‖ BLAKE3 of what the record says and who says it
//! ```
//!
//! Each popup has a key per class, so what dies apart is sealed apart. Destroying a key changes no byte of
//! any record: positions, hashes and sums outlive what nobody can read any more. A part cannot be moved to
//! another record, rig or class. The nonce is a keyed hash of what is sealed and where, so that no chance is
//! needed and a cloned machine cannot use one twice for two texts.

use std::collections::BTreeMap;
use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use popwatch_core::access::raw::PartClass;
use popwatch_core::record::{Extra, decode_values, encode_values};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::pseudonym::PseudonymKeys;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 44;
const TAG_BYTES: usize = 16;
/// What one part says, encoded. Beyond: values are left out, and counted as cut.
pub const PART_BYTES_MAX: usize = 8_192;

/// A key of one popup and class: 32 secret bytes, wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ClassKey(Zeroizing<[u8; 32]>);

/// Names a key without telling anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl ClassKey {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(b"popwatch/v1/key-id")
            .update(self.0.as_slice());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        KeyId(id)
    }

    /// The bytes, for where keys are kept and leased.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.0
    }

    /// The same secret as the key of pseudonyms.
    #[must_use]
    pub fn for_pseudonyms(&self) -> PseudonymKeys {
        PseudonymKeys::new(*self.0)
    }

    /// Seals values for the record of this digest on this rig.
    #[must_use]
    pub fn seal(
        &self,
        class: PartClass,
        rig: &str,
        digest: &[u8; 32],
        values: Vec<Extra>,
    ) -> Vec<u8> {
        let said = Zeroizing::new(encode_values(values));
        let id = self.id();
        let aad = aad(class, id, digest);
        let nonce_key = self.derive(&[b"popwatch/v1/nonce"]);
        let mut hasher = blake3::Hasher::new_keyed(&nonce_key);
        hasher.update(&aad).update(said.as_slice());
        let mut nonce = [0; 24];
        hasher.finalize_xof().fill(&mut nonce);
        let payload = Payload {
            msg: said.as_slice(),
            aad: &aad,
        };
        let sealed = self.cipher(rig).encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a part is far shorter than what the cipher takes");
        let length = u16::try_from(said.len()).expect("what a part says is bounded");
        let mut part = Vec::with_capacity(HEAD_BYTES + sealed.len());
        part.extend([VERSION, number(class)]);
        part.extend(id.0);
        part.extend(nonce);
        part.extend(length.to_le_bytes());
        part.extend(sealed);
        part
    }

    /// The key that seals on one rig: the same in every epoch, since records may be appended again.
    fn cipher(&self, rig: &str) -> XChaCha20Poly1305 {
        let key = self.derive(&[b"popwatch/v1/dek", &[0], rig.as_bytes()]);
        XChaCha20Poly1305::new(&(*key).into())
    }

    fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand(&info.concat(), out.as_mut_slice())
            .expect("32 bytes are within what HKDF can give");
        out
    }
}

impl fmt::Debug for ClassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&popwatch_core::ledger::hex(&self.0))
    }
}

impl KeyId {
    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

/// A part as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its class.
    pub class: PartClass,
    /// Which key opens it.
    pub key: KeyId,
    nonce: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads a part; `None` for what is none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, sealed) = bytes.split_at_checked(HEAD_BYTES)?;
        let length = usize::from(u16::from_le_bytes([head[42], head[43]]));
        let class = (PartClass::ALL.iter()).find(|class| number(**class) == head[1])?;
        let is_whole = head[0] == VERSION && sealed.len() == length + TAG_BYTES;
        is_whole.then_some(Self {
            class: *class,
            key: KeyId(head[2..18].try_into().ok()?),
            nonce: &head[18..42],
            sealed,
        })
    }

    /// What it says; `None` under another key, rig or record. The key's name is compared first: the cipher
    /// alone would let two keys open one part.
    #[must_use]
    pub fn open(&self, key: &ClassKey, rig: &str, digest: &[u8; 32]) -> Option<Vec<Extra>> {
        if key.id() != self.key {
            return None;
        }
        let aad = aad(self.class, self.key, digest);
        let payload = Payload {
            msg: self.sealed,
            aad: &aad,
        };
        let nonce = <[u8; 24]>::try_from(self.nonce).ok()?;
        let said = key
            .cipher(rig)
            .decrypt(&XNonce::from(nonce), payload)
            .ok()?;
        let said = Zeroizing::new(said);
        decode_values(said.as_slice())
    }
}

/// The keys of one popup that are alive. A class without one loses just its own fields.
#[derive(Debug, Clone, Default)]
pub struct PopupKeys {
    /// Of pseudonyms.
    pub pseudonym: Option<PseudonymKeys>,
    /// Of sealed parts.
    pub parts: BTreeMap<PartClass, ClassKey>,
}

const fn number(class: PartClass) -> u8 {
    match class {
        PartClass::Raw => 1,
        PartClass::Contact => 2,
        PartClass::Freetext => 3,
    }
}

fn aad(class: PartClass, id: KeyId, digest: &[u8; 32]) -> Vec<u8> {
    let class = [number(class)];
    [b"popwatch/v1/part".as_slice(), &class, &id.0, digest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<Extra> {
        vec![Extra {
            path: "buyer.email".into(),
            text: text.into(),
        }]
    }

    #[test]
    fn a_part_opens_under_its_key_rig_class_and_record_alone() {
        let key = ClassKey::new([1; 32]);
        let part = key.seal(
            PartClass::Contact,
            "till-1",
            &[9; 32],
            values("ada@shop.example"),
        );
        let read = Part::read(&part).unwrap();
        assert_eq!((read.class, read.key), (PartClass::Contact, key.id()));
        assert_eq!(
            read.open(&key, "till-1", &[9; 32]),
            Some(values("ada@shop.example"))
        );
        assert_eq!(read.open(&key, "till-2", &[9; 32]), None);
        assert_eq!(read.open(&key, "till-1", &[8; 32]), None);
        assert_eq!(read.open(&ClassKey::new([2; 32]), "till-1", &[9; 32]), None);
        let mut moved = part.clone();
        moved[1] = number(PartClass::Raw);
        let moved = Part::read(&moved).unwrap();
        assert_eq!(moved.open(&key, "till-1", &[9; 32]), None);
        // The same again is the same: what is appended twice is one record.
        let again = key.seal(
            PartClass::Contact,
            "till-1",
            &[9; 32],
            values("ada@shop.example"),
        );
        assert_eq!(part, again);
        assert!(!String::from_utf8_lossy(&part).contains("ada"));
    }

    #[test]
    fn a_part_is_what_another_implementation_computes() {
        let key = ClassKey::new([1; 32]);
        assert_eq!(key.id().to_string(), KEY_ID);
        assert_eq!(KeyId::parse(KEY_ID), Some(key.id()));
        let part = key.seal(PartClass::Freetext, "till-1", &[9; 32], values("hi"));
        assert_eq!(popwatch_core::ledger::hex(&part), PART);
    }

    /// By Python's `blake3`, `cryptography` (HKDF) and `pycryptodome` (XChaCha20-Poly1305).
    const KEY_ID: &str = "f17bd55a66e61ce569d4188ec645752f";
    const PART: &str = "0103f17bd55a66e61ce569d4188ec645752fe2dc4a2c33508d75e8d0b5859af419cba97d74135b2a1b9f1300da0cb6eac390a38a55ff3f17f807d4bdfc71f32668f80ea890b2738ffdbd3dbde6db19";

    proptest! {
        #[test]
        fn no_flipped_bit_opens(at in 0usize..100, bit in 0u8..8) {
            let key = ClassKey::new([1; 32]);
            let mut part = key.seal(PartClass::Raw, "till-1", &[9; 32], values("what was said"));
            let at = at % part.len();
            part[at] ^= 1 << bit;
            let opened = Part::read(&part).and_then(|part| part.open(&key, "till-1", &[9; 32]));
            prop_assert_eq!(opened, None);
        }

        #[test]
        fn noise_is_no_part(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let key = ClassKey::new([1; 32]);
            let opened = Part::read(&bytes).and_then(|part| part.open(&key, "t", &[9; 32]));
            prop_assert_eq!(opened, None);
        }
    }
}
