//! What is done with one field, and which of two such rules is the stricter one.
//!
//! ```text
//! fact, number           keep < remove
//! closed choice          keep < redact < remove
//! person                 pseudonym < none     ×  seal < no seal     neither is remove
//! e-mail, phone          as a person
//! address of a host      truncate(v4, v6): fewer bits < … < remove
//! place on earth         grid(m): wider < … < remove
//! label                  redact < generalize(table) < remove
//! free text              redact(detectors, bytes) and seal < score < remove
//! ```
//!
//! What always holds: [`Rule::join`] is associative, commutative and idempotent over all rules, and two
//! rules that cannot be compared join to `remove`. [`Rule::at_least`] is written down separately, so
//! that a join in the wrong direction is seen.

use alloc::string::String;
use core::fmt;

use crate::access::names;
use crate::event::Kind;
use crate::limits::CHAT_BYTES_MAX;

names! {
    /// What a field holds, as far as strictness goes.
    Holds {
        Fact = "fact", "An id, amount, count or moment.";
        Choice = "choice", "One of a closed set.";
        Subject = "subject", "A person.";
        Email = "email", "An e-mail address.";
        Phone = "phone", "A phone number.";
        Ip = "ip", "The address of a host.";
        Geo = "geo", "A place on earth.";
        Label = "label", "A short remark.";
        Digits4 = "digits4", "The last four digits of a card.";
        Text = "text", "What somebody wrote.";
    }
}

names! {
    /// Pseudonyms of one domain never meet those of another.
    Domain {
        Viewer = "viewer", "Who watches.";
        Buyer = "buyer", "Who buys.";
        Email = "email", "Whoever has the address.";
        Phone = "phone", "Whoever has the number.";
        Chat = "chat", "Who writes.";
    }
}

names! {
    /// What is looked for in free text.
    Detector {
        Track = "track", "Magnetic-stripe data.";
        Pan = "pan", "A payment card number.";
        Code = "code", "A card's security code.";
        Email = "email", "An e-mail address.";
        Iban = "iban", "A bank account.";
        Phone = "phone", "A phone number.";
        Ip = "ip", "The address of a host.";
        UrlQuery = "url_query", "What stands behind the path of an address.";
        Handle = "handle", "A name on a platform.";
    }
}

/// A set of [`Detector`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Detectors(u16);

impl Detectors {
    /// Those that free text is never kept without.
    pub const FLOOR: Self = Self::of(&[
        Detector::Track,
        Detector::Pan,
        Detector::Code,
        Detector::Email,
        Detector::Iban,
        Detector::Phone,
    ]);

    /// These.
    #[must_use]
    pub const fn of(detectors: &[Detector]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < detectors.len() {
            bits |= 1 << detectors[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, detector: Detector) -> Self {
        Self(self.0 | 1 << detector as u16)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, detector: Detector) -> bool {
        self.0 & 1 << detector as u16 != 0
    }

    /// All of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the others are among them.
    #[must_use]
    pub fn has_all(self, other: Self) -> bool {
        let mut all = Detector::ALL.iter();
        all.all(|one| self.has(*one) || !other.has(*one))
    }

    /// They, in order.
    pub fn iter(self) -> impl Iterator<Item = Detector> {
        let all = Detector::ALL.iter().copied();
        all.filter(move |one| self.has(*one))
    }
}

/// What is done with one field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It stays as it is.
    Keep,
    /// What detectors find in it is replaced; the rest stays.
    Redact,
    /// Its value is replaced by what a table of this name says.
    Generalize(String),
    /// A person: as pseudonym of a domain, sealed, or both. Never neither: that is [`Rule::Remove`].
    Person {
        /// The domain of the pseudonym; `None` for no pseudonym.
        domain: Option<Domain>,
        /// Whether the value itself is sealed under the key of its class.
        seal: bool,
    },
    /// The leading bits of an address.
    Truncate {
        /// Of IPv4.
        v4: u8,
        /// Of IPv6.
        v6: u8,
    },
    /// The square of a grid, metres wide.
    Grid {
        /// Its width, m.
        m: u32,
    },
    /// Free text: redacted, cut and sealed.
    Scan {
        /// What is looked for.
        detectors: Detectors,
        /// Bytes kept at most.
        max_bytes: u32,
    },
    /// Free text: read for its mood, never stored.
    Score,
    /// It goes, and is counted.
    Remove,
}

impl Rule {
    /// The stricter of both; where neither is, `remove`.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one.clone(),
            (Self::Keep, Self::Redact) | (Self::Redact, Self::Keep) => Self::Redact,
            (table @ Self::Generalize(_), Self::Keep | Self::Redact)
            | (Self::Keep | Self::Redact, table @ Self::Generalize(_)) => table.clone(),
            (Self::Scan { .. }, Self::Score) | (Self::Score, Self::Scan { .. }) => Self::Score,
            (
                Self::Person { domain, seal },
                Self::Person {
                    domain: other,
                    seal: sealed,
                },
            ) => Self::person(domain.filter(|_| domain == other), *seal && *sealed),
            (
                Self::Truncate { v4, v6 },
                Self::Truncate {
                    v4: other4,
                    v6: other6,
                },
            ) => Self::Truncate {
                v4: *v4.min(other4),
                v6: *v6.min(other6),
            },
            (Self::Grid { m }, Self::Grid { m: other }) => Self::Grid { m: *m.max(other) },
            (
                Self::Scan {
                    detectors,
                    max_bytes,
                },
                Self::Scan {
                    detectors: others,
                    max_bytes: bytes,
                },
            ) => Self::Scan {
                detectors: detectors.union(*others),
                max_bytes: *max_bytes.min(bytes),
            },
            // Rules of different families, and different tables.
            _ => Self::Remove,
        }
    }

    /// A person's rule; without either part it is `remove`.
    #[must_use]
    pub const fn person(domain: Option<Domain>, seal: bool) -> Self {
        match (domain, seal) {
            (None, false) => Self::Remove,
            (domain, seal) => Self::Person { domain, seal },
        }
    }

    /// Whether nothing passes it that the other holds back.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Remove, _)
            | (Self::Keep | Self::Redact | Self::Generalize(_), Self::Keep)
            | (Self::Redact | Self::Generalize(_), Self::Redact)
            | (Self::Score, Self::Scan { .. } | Self::Score) => true,
            (Self::Generalize(table), Self::Generalize(other)) => table == other,
            (
                Self::Person { domain, seal },
                Self::Person {
                    domain: other,
                    seal: sealed,
                },
            ) => (domain.is_none() || domain == other) && (!seal || *sealed),
            (
                Self::Truncate { v4, v6 },
                Self::Truncate {
                    v4: other4,
                    v6: other6,
                },
            ) => v4 <= other4 && v6 <= other6,
            (Self::Grid { m }, Self::Grid { m: other }) => m >= other,
            (
                Self::Scan {
                    detectors,
                    max_bytes,
                },
                Self::Scan {
                    detectors: others,
                    max_bytes: bytes,
                },
            ) => detectors.has_all(*others) && max_bytes <= bytes,
            _ => false,
        }
    }
}

impl Holds {
    /// What a field of the catalogue holds: code, so that no policy can misfile one.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Subject => Self::Subject,
            Kind::Remark => Self::Label,
            Kind::Text => Self::Text,
            Kind::Choice(_) | Kind::OpenChoice(_) => Self::Choice,
            Kind::Reference
            | Kind::Name
            | Kind::Currency
            | Kind::Minor
            | Kind::MinorSigned
            | Kind::Count
            | Kind::CountSigned
            | Kind::Bytes
            | Kind::Millis
            | Kind::Moment
            | Kind::Thousandths
            | Kind::Flag
            | Kind::Lines
            | Kind::Stages => Self::Fact,
        }
    }

    /// The loosest rule: no policy goes below it.
    #[must_use]
    pub fn loosest(self) -> Rule {
        match self {
            Self::Fact | Self::Choice | Self::Digits4 => Rule::Keep,
            Self::Subject => Rule::person(Some(Domain::Viewer), false),
            Self::Email => Rule::person(Some(Domain::Email), true),
            Self::Phone => Rule::person(Some(Domain::Phone), true),
            Self::Ip => Rule::Truncate { v4: 24, v6: 48 },
            Self::Geo => Rule::Grid { m: 500 },
            Self::Label => Rule::Redact,
            Self::Text => Rule::Scan {
                detectors: Detectors::FLOOR,
                max_bytes: u32::try_from(CHAT_BYTES_MAX).unwrap_or(u32::MAX),
            },
        }
    }

    /// Whether a rule is one for what is held, and not below the built-in floor.
    #[must_use]
    pub fn admits(self, rule: &Rule) -> bool {
        match (self, rule) {
            // A person may be one who buys as well as one who watches, and is never sealed.
            (Self::Subject, Rule::Person { domain, seal }) => {
                !seal && !matches!(domain, None | Some(Domain::Email | Domain::Phone))
            }
            (Self::Fact | Self::Digits4, Rule::Redact) => false,
            (Self::Fact | Self::Choice | Self::Digits4, Rule::Generalize(_)) => false,
            (_, rule) => rule.at_least(&self.loosest()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Redact => f.write_str("redact"),
            Self::Generalize(table) => write!(f, "generalize({table})"),
            Self::Person { domain, seal } => {
                if let Some(domain) = domain {
                    write!(f, "pseudonym({})", domain.text())?;
                }
                match (domain, seal) {
                    (_, false) => Ok(()),
                    (Some(_), true) => f.write_str(" + seal"),
                    (None, true) => f.write_str("seal"),
                }
            }
            Self::Truncate { v4, v6 } => write!(f, "truncate(/{v4}, /{v6})"),
            Self::Grid { m } => write!(f, "grid({m} m)"),
            Self::Scan {
                detectors,
                max_bytes,
            } => {
                f.write_str("redact(")?;
                for detector in detectors.iter() {
                    write!(f, "{} ", detector.text())?;
                }
                write!(f, "≤ {max_bytes} B) + seal")
            }
            Self::Score => f.write_str("score"),
            Self::Remove => f.write_str("remove"),
        }
    }
}
