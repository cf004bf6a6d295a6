//! Who belongs to an organisation: a key, the name it goes by, and the signed word that ties the two.
//!
//! ```text
//! popwatch.dev/membership/v1
//! <org>
//! <name>                  of the rig or region
//! <key>                   64 hexadecimal digits
//! <kind>                  rig, region
//! <not after>             ms since 1970, or -
//! <popup>                 none or more lines; none is all
//! ```
//!
//! What always holds: two keys are told apart by all their bytes, never by a name; a membership has one
//! form in text, and any other is none.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use crate::id::{PopupId, RigId};
use crate::limits::MEMBER_POPUPS_MAX;

/// First line of a membership.
const TITLE: &str = "popwatch.dev/membership/v1";

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

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// Takes sales.
    Rig,
    /// Holds cells.
    Region,
}

impl MemberKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rig, Self::Region];

    /// Its text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rig => "rig",
            Self::Region => "region",
        }
    }

    /// Reads its text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.text() == text)
    }
}

/// That a key belongs to an organisation, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organisation.
    pub org: String,
    /// The name that is tied to the key.
    pub rig: RigId,
    /// The key.
    pub key: IdKey,
    /// What it does.
    pub kind: MemberKind,
    /// Records of a later moment, ms since 1970, are looked at by a person first. Older ones are always
    /// taken.
    pub not_after_ms: Option<i64>,
    /// The popups it sells for; none named is all. At most [`MEMBER_POPUPS_MAX`].
    pub popups: Vec<PopupId>,
}

impl Membership {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let end = match self.not_after_ms {
            Some(end) => end.to_string(),
            None => String::from("-"),
        };
        write!(
            out,
            "{TITLE}\n{}\n{}\n{}\n{}\n{end}\n",
            self.org,
            self.rig,
            self.key,
            self.kind.text()
        )
        .and_then(|()| {
            let mut popups = self.popups.iter();
            popups.try_for_each(|popup| writeln!(out, "{popup}"))
        })
        .expect("writing to a string cannot fail");
        out
    }

    /// Reads what [`Self::text`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(TITLE) {
            return None;
        }
        let org = String::from(lines.next()?);
        let rig = RigId::new(lines.next()?).ok()?;
        let key = IdKey::parse(lines.next()?)?;
        let kind = MemberKind::from_text(lines.next()?)?;
        let not_after_ms = match lines.next()? {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        let popups = lines.take(MEMBER_POPUPS_MAX + 1).map(PopupId::new);
        let popups: Vec<PopupId> = popups.collect::<Result<_, _>>().ok()?;
        let read = Self {
            org,
            rig,
            key,
            kind,
            not_after_ms,
            popups,
        };
        let is_canonical =
            !read.org.is_empty() && read.popups.len() <= MEMBER_POPUPS_MAX && read.text() == text;
        is_canonical.then_some(read)
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

    #[test]
    fn a_membership_reads_back_in_its_one_form() {
        let mut membership = Membership {
            org: "acme".to_string(),
            rig: RigId::new("till-1").unwrap(),
            key: IdKey([3; 32]),
            kind: MemberKind::Rig,
            not_after_ms: None,
            popups: Vec::new(),
        };
        assert_eq!(
            Membership::parse(&membership.text()),
            Some(membership.clone())
        );
        membership.not_after_ms = Some(-7);
        membership.popups = ["a", "b"].map(|id| PopupId::new(id).unwrap()).into();
        let text = membership.text();
        assert_eq!(Membership::parse(&text), Some(membership));
        for wrong in [
            text.replace("-7", "-07"),
            text.replace("acme", ""),
            text.replace("rig\n", "rigs\n"),
            text.replace("\nb\n", "\nb"),
            text.replace("/v1", "/v2"),
            text.replace("\nb\n", "\nb\r\n"),
        ] {
            assert_ne!(wrong, text);
            assert_eq!(Membership::parse(&wrong), None, "{wrong}");
        }
        let many = "p\n".repeat(MEMBER_POPUPS_MAX + 1);
        assert_eq!(Membership::parse(&text.replace("a\nb\n", &many)), None);
    }
}
