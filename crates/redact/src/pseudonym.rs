//! Keyed stand-ins for people and for card-like references.
//!
//! Two domains never join, nor do two popups: each has a key of its own, derived from the popup's
//! class key. A reference is mapped under a long-lived key, the same way wherever it enters.

use std::collections::BTreeMap;
use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use popwatch_core::id::PopupId;
use sha2::Sha256;

use crate::base32;

/// Bytes of the MAC that a pseudonym shows.
const PSEUDONYM_BYTES: usize = 16;
/// Characters of base 32 that a mapped reference shows.
const REFERENCE_CHARS: usize = 26;

/// What kind of person or address a pseudonym stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// Somebody who watches, browses or chats.
    Viewer,
    /// Somebody who pays.
    Buyer,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A name in a chat that is no viewer's.
    Chat,
}

impl Domain {
    /// All domains.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Buyer,
        Self::Email,
        Self::Phone,
        Self::Chat,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Buyer => "buyer",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Chat => "chat",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Viewer => "v_",
            Self::Buyer => "b_",
            Self::Email => "e_",
            Self::Phone => "p_",
            Self::Chat => "c_",
        }
    }

    fn normal(self, text: &str) -> String {
        let text = text.trim();
        match (self, text.rsplit_once('@')) {
            (Self::Email, Some((local, domain))) => format!("{local}@{}", domain.to_lowercase()),
            _ => text.to_owned(),
        }
    }
}

/// One popup's key for pseudonyms: 32 secret bytes.
#[derive(Clone)]
pub struct PseudonymKeys([u8; 32]);

impl PseudonymKeys {
    /// Takes the popup's class key.
    #[must_use]
    pub const fn new(class_key: [u8; 32]) -> Self {
        Self(class_key)
    }

    /// The bytes, for where keys are kept and lent.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The pseudonym of a text: the domain's prefix and 26 characters.
    #[must_use]
    pub fn stand_in(&self, domain: Domain, text: &str) -> String {
        let key = derive(&self.0, &["popwatch/v1/pseudonym/", domain.name()]);
        let mac = mac(&key, domain.normal(text).as_bytes());
        let mut out = String::from(domain.prefix());
        out.push_str(&base32::lower(&mac[..PSEUDONYM_BYTES]));
        out
    }
}

/// The long-lived key under which card-like references are mapped: 32 secret bytes.
#[derive(Clone)]
pub struct ReferenceKey([u8; 32]);

impl ReferenceKey {
    /// Takes the key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What stands for a reference: `x_` and 26 characters.
    #[must_use]
    pub fn map(&self, reference: &str) -> String {
        let mut out = base32::lower(&mac(&self.0, reference.as_bytes()));
        out.truncate(REFERENCE_CHARS);
        out.insert_str(0, "x_");
        out
    }
}

/// All keys redaction needs.
#[derive(Clone, Debug)]
pub struct Keys {
    /// For card-like references.
    pub reference: ReferenceKey,
    popups: BTreeMap<PopupId, PseudonymKeys>,
    root: Option<PseudonymKeys>,
}

impl Keys {
    /// Keys without any popup's: pseudonyms are then removed.
    #[must_use]
    pub const fn new(reference: ReferenceKey) -> Self {
        Self {
            reference,
            popups: BTreeMap::new(),
            root: None,
        }
    }

    /// Lets popups without a key of their own derive one from a secret that is the rig's or the
    /// organisation's.
    #[must_use]
    pub fn with_root(mut self, root: [u8; 32]) -> Self {
        self.root = Some(PseudonymKeys(root));
        self
    }

    /// Gives a popup its key.
    pub fn insert(&mut self, popup: PopupId, keys: PseudonymKeys) {
        self.popups.insert(popup, keys);
    }

    /// A popup's key, `None` when it has none that is alive.
    #[must_use]
    pub fn of(&self, popup: &PopupId) -> Option<PseudonymKeys> {
        let derived = || {
            let root = self.root.as_ref()?;
            let key = derive(&root.0, &["popwatch/v1/popup/", popup.as_str()]);
            Some(PseudonymKeys(key))
        };
        self.popups.get(popup).cloned().or_else(derived)
    }
}

impl fmt::Debug for PseudonymKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl fmt::Debug for ReferenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

fn derive(key: &[u8; 32], info: &[&str]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, key)
        .expand(info.concat().as_bytes(), &mut out)
        .expect("32 bytes are within what HKDF can give");
    out
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_domains_nor_popups_join() {
        let popup = |name| PopupId::new(name).unwrap();
        let keys = Keys::new(ReferenceKey::new([1; 32])).with_root([7; 32]);
        let one = keys.of(&popup("a")).unwrap();
        let other = keys.of(&popup("b")).unwrap();
        let viewer = one.stand_in(Domain::Viewer, " ada ");
        assert_eq!(viewer, one.stand_in(Domain::Viewer, "ada"));
        assert_eq!(viewer.len(), 28);
        assert_ne!(viewer[2..], one.stand_in(Domain::Buyer, "ada")[2..]);
        assert_ne!(viewer, other.stand_in(Domain::Viewer, "ada"));
        assert_eq!(
            one.stand_in(Domain::Email, "Ada@Shop.Example"),
            one.stand_in(Domain::Email, "Ada@shop.example"),
        );
    }

    #[test]
    fn a_mapped_reference_is_a_reference_and_stays_the_same() {
        let key = ReferenceKey::new([1; 32]);
        let mapped = key.map("4111111111111111");
        assert_eq!(mapped, key.map("4111111111111111"));
        assert_eq!(mapped.len(), 28);
        assert!(popwatch_core::id::PaymentId::new(&mapped).is_ok());
    }

    #[test]
    fn stand_ins_are_what_another_implementation_computes() {
        let keys = PseudonymKeys::new([9; 32]);
        assert_eq!(
            keys.stand_in(Domain::Viewer, "ada"),
            "v_fqtgepbz42vbot235lpxcil3me"
        );
        let reference = ReferenceKey::new([1; 32]);
        assert_eq!(
            reference.map("4111111111111111"),
            "x_qmutzqcov3xxpvfec3fwmmk3er"
        );
    }

    #[test]
    fn without_a_live_key_there_is_no_pseudonym() {
        let mut keys = Keys::new(ReferenceKey::new([1; 32]));
        let popup = PopupId::new("a").unwrap();
        assert!(keys.of(&popup).is_none());
        keys.insert(popup.clone(), PseudonymKeys::new([2; 32]));
        assert!(keys.of(&popup).is_some());
        assert_eq!(format!("{:?}", keys.of(&popup).unwrap()), "[key]");
    }
}
