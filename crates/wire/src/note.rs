//! Signed notes: a text with Ed25519 signatures below it that whoever has the public key can check.
//!
//! ```text
//! <text, whose last line ends>\n
//! \n
//! — <key name> <base64 of key id and signature>\n      once per signer
//! ```
//!
//! The format is C2SP signed-note. What always holds: a text comes out of [`PublicKey::open`] only when
//! a signature of that key over exactly that text stands below it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use popwatch_core::base64::{base64, from_base64};
use popwatch_core::ledger::hex;
use sha2::{Digest as _, Sha256};

/// What an Ed25519 key is marked with in a note.
const ED25519: u8 = 1;
/// Stands before a secret key.
const SECRET: &str = "PRIVATE+KEY+";
/// Stands before a signature.
const DASH: &str = "\u{2014} ";

/// Who signs. The secret is never printed.
pub struct NoteKey {
    name: String,
    key: SigningKey,
}

/// Who signed, as everybody may know it: `name+key id+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Why a note is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// No text with signatures below it.
    #[error("is not a signed note")]
    Form,
    /// Nobody we know signed it.
    #[error("has no signature of this key")]
    Unknown,
    /// The signature is not of 64 bytes, or not of this text.
    #[error("is not what the key signed")]
    Wrong,
}

impl std::fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoteKey({})", self.name)
    }
}

impl NoteKey {
    /// The key called `name`, which has no space and no plus, from 32 secret bytes.
    #[must_use]
    pub fn new(name: &str, secret: &[u8; 32]) -> Self {
        Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(secret),
        }
    }

    /// The key and its secret as a line of text, in the form that signed notes have for it. `secret` is
    /// what the key was made from.
    #[must_use]
    pub fn secret_text(&self, secret: &[u8; 32]) -> String {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(secret);
        format!(
            "{SECRET}{}+{}+{}",
            self.name,
            hex(&self.public().id()),
            base64(&bytes)
        )
    }

    /// Reads what [`Self::secret_text`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(SECRET)?.splitn(3, '+');
        let (name, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = from_base64(secret)?;
        let (mark, secret) = bytes.split_first()?;
        let key = Self::new(name, secret.try_into().ok()?);
        (*mark == ED25519 && hex(&key.public().id()) == id).then_some(key)
    }

    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The note of a text, which ends with a line's end.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let mut stamp = self.public().id().to_vec();
        stamp.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{DASH}{} {}\n", self.name, base64(&stamp))
    }
}

impl PublicKey {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads what Display wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = from_base64(key)?;
        let (mark, key) = bytes.split_first()?;
        let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
        let of = Self {
            name: name.to_owned(),
            key,
        };
        (*mark == ED25519 && hex(&of.id()) == id).then_some(of)
    }

    /// The text of a note that this key signed, its last line's end included. Signatures of other keys
    /// are passed over.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteFault> {
        let (text, signatures) = parts(note).ok_or(NoteFault::Form)?;
        let stamp = signatures
            .lines()
            .filter_map(|line| line.strip_prefix(DASH)?.split_once(' '))
            .filter(|(name, _)| *name == self.name)
            .filter_map(|(_, stamp)| from_base64(stamp))
            .find_map(|stamp| Some(stamp.strip_prefix(&self.id())?.to_vec()))
            .ok_or(NoteFault::Unknown)?;
        let signature = Signature::from_slice(&stamp).map_err(|_| NoteFault::Wrong)?;
        (self.key)
            .verify_strict(text.as_bytes(), &signature)
            .map_err(|_| NoteFault::Wrong)?;
        Ok(text)
    }
}

/// `name+key id+base64`.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), base64(&bytes))
    }
}

/// The text and the signatures of a note, unverified; `None` for what is no note. The last empty line
/// divides them.
#[must_use]
pub fn parts(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    Some((note.get(..=at)?, note.get(at + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back() {
        let key = NoteKey::new("acme/ops", &[7; 32]);
        let text = key.secret_text(&[7; 32]);
        assert_eq!(NoteKey::parse(&text).unwrap().public(), key.public());
        assert!(NoteKey::parse(&text.replace("ops", "opt")).is_none());
        assert!(NoteKey::parse(&key.public().to_string()).is_none());
    }

    #[test]
    fn a_note_is_opened_only_by_the_key_that_signed_just_this() {
        let key = NoteKey::new("acme.audit", &[7; 32]);
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        assert_eq!(public, key.public());
        let note = key.sign("one\n\ntwo\n");
        assert_eq!(public.open(&note), Ok("one\n\ntwo\n"));
        assert_eq!(
            public.open(&note.replace("two", "too")),
            Err(NoteFault::Wrong)
        );
        assert_eq!(public.open("one\n"), Err(NoteFault::Form));
        let other = NoteKey::new("acme.audit", &[8; 32]).public();
        assert_eq!(other.open(&note), Err(NoteFault::Unknown));
        let mut both = note.clone();
        let cosigned = NoteKey::new("peer", &[9; 32]).sign("one\n\ntwo\n");
        both.push_str(parts(&cosigned).unwrap().1);
        assert_eq!(public.open(&both), Ok("one\n\ntwo\n"));
    }
}
