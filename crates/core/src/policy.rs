//! The policy of a popup: what is kept, for how long, who may see it, and what is promised.
//!
//! ```text
//! YAML ──► Policy ──► signed, brought to rigs ──► built-in floor ⊔ org floor ⊔ policy = Effective
//!                                                  inside the window also ⊔ what ran before
//! ```
//!
//! What always holds (L8): what is in force is a join, so it is never weaker than any of its parts, and
//! the order in which documents came does not matter. What is not about strictness ([`Carried`]) comes
//! from the document with the greater version, then digest. Texts and signatures are read in `wire`.

pub mod cells;
pub mod compile;
pub mod duration;
pub mod ladder;
pub mod limit;
pub mod retention;
pub mod rule;
pub mod standing;
pub mod terms;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::event::commerce::Commerce;
use crate::event::promises::Promises;
use crate::event::system::{CellTerms, CoopTerms, PopupPolicy};
use crate::id::PopupId;
use crate::ledger::close::Value;
use crate::ledger::hex;
use crate::limits::{CHECKOUT_LIMIT_MS, WINDOW_DAYS_MAX};

use duration::Span;
use terms::Terms;

/// SHA-256 of a document's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads `sha256:` and 64 lower-case hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = crate::membership::IdKey::parse(text.strip_prefix("sha256:")?)?;
        Some(Self(key.0))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// How strict every policy of the organisation is at least, and who signs them.
    OrgFloor,
    /// The policy of one popup.
    Popup,
}

impl DocumentKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OrgFloor, Self::Popup];

    /// Its name in documents.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::OrgFloor => "org_floor",
            Self::Popup => "popup",
        }
    }
}

/// Who a document is for and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: DocumentKind,
    /// The organisation.
    pub org: String,
    /// The popup; none in the floor of an organisation.
    pub popup: Option<PopupId>,
    /// Only grows.
    pub version: u32,
    /// The version before; absent only in version 1.
    pub parent: Option<Digest>,
    /// Version of the organisation's floor that it was written under; 0 for none.
    pub floor: u32,
    /// From when it may run, ms since 1970.
    pub not_before_ms: i64,
    /// Until when, ms since 1970.
    pub expires_ms: i64,
}

/// When and where a popup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From when, ms since 1970.
    pub starts_ms: i64,
    /// Until when, exclusive.
    pub ends_ms: i64,
    /// IANA time zone for people.
    pub zone: String,
    /// ISO 4217 codes expected.
    pub currencies: Vec<String>,
    /// Whose national form of phone numbers is looked for; empty for none.
    pub phone_region: String,
}

/// Who may sign policies of popups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// How many must.
    pub threshold: u32,
    /// Public keys in the form of signed notes.
    pub signers: Vec<String>,
}

/// What a policy says that is no strictness: carried and signed, read elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Version of the document it is from.
    pub version: u32,
    /// Its digest.
    pub digest: Digest,
    /// When the popup is; none in a floor.
    pub window: Option<Window>,
    /// What is promised those who buy, as it was written.
    pub promises: Value,
    /// What is promised creators, co-ops and suppliers, as it was written.
    pub commerce: Value,
    /// Both, as rigs journal them.
    pub stated: Stated,
    /// How it is rolled out.
    pub rollout: Value,
    /// How long a new version is on trial.
    pub trial: Span,
}

/// What a popup promises, in the words of journals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// Those who buy; the defaults where nothing is said.
    pub promises: Option<Promises>,
    /// From when on a checkout is late; the default where nothing is said.
    pub checkout_limit: Option<Span>,
    /// Creators, co-ops and suppliers.
    pub commerce: Option<Commerce>,
}

/// A document that keeps every rule, whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which one it is.
    pub head: Head,
    /// What it is strict about.
    pub terms: Terms,
    /// What it says beside.
    pub carried: Carried,
    /// Who signs; only in the floor of an organisation.
    pub signing: Option<Signing>,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// How strict.
    pub terms: Terms,
    /// What it says beside.
    pub carried: Carried,
}

impl Effective {
    /// What a policy means under the built-in floor and that of its organisation.
    #[must_use]
    pub fn of(policy: &Policy, floor: Option<&Policy>) -> Self {
        let mut terms = Terms::floor().join(&policy.terms);
        if let Some(floor) = floor {
            terms = terms.join(&floor.terms);
        }
        Self {
            terms,
            carried: policy.carried.clone(),
        }
    }

    /// The stricter of both; what is no strictness from the greater (version, digest).
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let rank = |of: &Self| (of.carried.version, of.carried.digest);
        let newer = if rank(self) < rank(other) {
            other
        } else {
            self
        };
        Self {
            terms: self.terms.join(&other.terms),
            carried: newer.carried.clone(),
        }
    }

    /// Whether nothing passes it that the other holds back.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> bool {
        self.terms.at_least(&other.terms)
    }
}

/// How one coordinate changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Nothing passes now that did not before.
    Tighter,
    /// Something may pass now that did not before.
    Looser,
    /// It is no strictness.
    Other,
}

impl Turn {
    /// Its name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Tighter => "tighter",
            Self::Looser => "looser",
            Self::Other => "other",
        }
    }
}

/// A coordinate in which two policies differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one, by its path in the document.
    pub coordinate: String,
    /// What it was; empty where nothing was said.
    pub was: String,
    /// What it is.
    pub is: String,
    /// Which way.
    pub turn: Turn,
}

/// In what the two differ, in the order of paths. Of two that cannot be compared the newer one counts
/// as looser: something passes it that the older one held back.
#[must_use]
pub fn diff(old: &Effective, new: &Effective) -> Vec<Change> {
    let rows = |terms: &Terms| terms.rows().into_iter().collect::<BTreeMap<_, _>>();
    let both = rows(&old.terms.join(&new.terms));
    let (was, is) = (rows(&old.terms), rows(&new.terms));
    let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let text = |of: &BTreeMap<String, String>, name| of.get(name).cloned().unwrap_or_default();
    let mut changes = Vec::new();
    for name in names {
        let (was, is) = (text(&was, name), text(&is, name));
        if was != is {
            let is_tighter = text(&both, name) == is;
            changes.push(Change {
                coordinate: name.clone(),
                was,
                is,
                turn: if is_tighter {
                    Turn::Tighter
                } else {
                    Turn::Looser
                },
            });
        }
    }
    for ((name, was), (_, is)) in old.carried.rows().into_iter().zip(new.carried.rows()) {
        if was != is {
            let (coordinate, turn) = (String::from(name), Turn::Other);
            changes.push(Change {
                coordinate,
                was,
                is,
                turn,
            });
        }
    }
    changes
}

impl Carried {
    /// What a journal says of the popup, for fold, regions and ledger; `None` without a window. `terms`
    /// are those in force.
    #[must_use]
    pub fn popup_policy(&self, popup: &PopupId, terms: &Terms) -> Option<PopupPolicy> {
        let window = self.window.as_ref()?;
        let limit = self.stated.checkout_limit.map(Span::ms);
        let limit = limit.and_then(|ms| u32::try_from(ms).ok());
        Some(PopupPolicy {
            popup: String::from(popup),
            version: self.version,
            digest: self.digest.0.to_vec(),
            starts_ms: window.starts_ms,
            ends_ms: window.ends_ms,
            zone: window.zone.clone(),
            currencies: window.currencies.clone(),
            checkout_limit_ms: limit.unwrap_or(CHECKOUT_LIMIT_MS),
            commerce: self.stated.commerce.clone(),
            promises: self.stated.promises.clone(),
            cells: Some(CellTerms::of(terms)),
            coop: Some(CoopTerms::of(terms)),
        })
    }

    /// Each part in words.
    fn rows(&self) -> [(&'static str, String); 5] {
        let window = match &self.window {
            Some(window) => window.to_string(),
            None => String::new(),
        };
        [
            ("window", window),
            ("promises", self.promises.canonical()),
            ("commerce", self.commerce.canonical()),
            ("rollout", self.rollout.canonical()),
            ("rollout.trial", self.trial.to_string()),
        ]
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (currencies, region) = (self.currencies.join(" "), &self.phone_region);
        let (starts, ends, zone) = (self.starts_ms, self.ends_ms, &self.zone);
        write!(f, "{starts} to {ends} {zone} {currencies} {region}")
    }
}

/// What is wrong with a document as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Version 0, or too large a one.
    #[error("version: begins with 1")]
    Version,
    /// Version 1 names a parent, or another does not.
    #[error("parent: is named by every version but the first")]
    Parent,
    /// It expires before it may run.
    #[error("expires: lies after not_before")]
    Expires,
    /// It expires before its popup ends.
    #[error("expires: is not before the end of the window")]
    ExpiresInWindow,
    /// The window ends before it starts.
    #[error("window.ends: lies after its start")]
    WindowEmpty,
    /// The window is too long.
    #[error("window.ends: at most {WINDOW_DAYS_MAX} days after the start")]
    WindowLong,
    /// A signing threshold that nobody can reach, or that is none.
    #[error("signing.threshold: at least 1 and at most the number of signers")]
    Threshold,
}

impl HeadFault {
    /// The path that it names.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Parent => "parent",
            Self::Expires | Self::ExpiresInWindow => "expires",
            Self::WindowEmpty | Self::WindowLong => "window.ends",
            Self::Threshold => "signing.threshold",
        }
    }
}

impl Policy {
    /// Whether its head, window and signers go together.
    pub fn lawful_head(&self) -> Result<(), HeadFault> {
        let head = &self.head;
        if head.version == 0 {
            return Err(HeadFault::Version);
        }
        if head.parent.is_none() != (head.version == 1) {
            return Err(HeadFault::Parent);
        }
        if head.expires_ms <= head.not_before_ms {
            return Err(HeadFault::Expires);
        }
        if let Some(window) = &self.carried.window {
            if window.ends_ms <= window.starts_ms {
                return Err(HeadFault::WindowEmpty);
            }
            let longest = Span::days(WINDOW_DAYS_MAX).ms_signed();
            if window.ends_ms.saturating_sub(window.starts_ms) > longest {
                return Err(HeadFault::WindowLong);
            }
            if head.expires_ms < window.ends_ms {
                return Err(HeadFault::ExpiresInWindow);
            }
        }
        match &self.signing {
            Some(signing) => {
                let most = u32::try_from(signing.signers.len()).unwrap_or(u32::MAX);
                let reachable = (1..=most).contains(&signing.threshold);
                reachable.then_some(()).ok_or(HeadFault::Threshold)
            }
            None => Ok(()),
        }
    }

    /// The text that is signed: who, which, what, after what, from when and until when.
    #[must_use]
    pub fn signed_text(&self) -> String {
        let head = &self.head;
        let popup = head.popup.as_ref().map_or("-", |popup| popup.as_str());
        let parent = head
            .parent
            .map_or(String::from("-"), |parent| crate::base64::base64(&parent.0));
        format!(
            "{SIGNED_TITLE}\n{}/{popup}\n{}\n{}\n{parent}\n{}\n{}\n",
            head.org,
            head.version,
            crate::base64::base64(&self.carried.digest.0),
            head.not_before_ms,
            head.expires_ms,
        )
    }
}

/// First line of what is signed.
pub const SIGNED_TITLE: &str = "popwatch.dev/policy/v1";
