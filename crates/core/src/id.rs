//! One type per identity, each valid by construction.
//!
//! Text identities are cheap to clone (shared bytes), compare as bytes (never case-folded: real
//! shops have SKUs that differ by case only) and carry their rule: which characters, how many.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::limits;

/// Why a text is not an identity of the kind asked for. Never carries the text itself, which may
/// hold personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than the bound, in bytes.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The bound, in bytes.
        max: usize,
    },
    /// A character outside the rule, at this byte offset.
    #[error("has a character at byte {at} that {rule}")]
    Character {
        /// Byte offset of the first offending character.
        at: usize,
        /// The rule in words.
        rule: &'static str,
    },
}

/// `[A-Za-z0-9][A-Za-z0-9._-]*`: names of rigs, popups, creators' handles.
fn name_rule(text: &str) -> Result<(), IdFault> {
    let rule = "is not a letter, digit, '.', '_' or '-' (or starts with a mark)";
    for (at, byte) in text.bytes().enumerate() {
        let fits = byte.is_ascii_alphanumeric() || (at > 0 && matches!(byte, b'.' | b'_' | b'-'));
        if !fits {
            return Err(IdFault::Character { at, rule });
        }
    }
    Ok(())
}

/// `[A-Za-z0-9._:~/-]+`: references that travel to and from payment providers.
fn reference_rule(text: &str) -> Result<(), IdFault> {
    let rule = "is not a letter, digit or one of . _ : ~ / -";
    for (at, byte) in text.bytes().enumerate() {
        let fits =
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'~' | b'/' | b'-');
        if !fits {
            return Err(IdFault::Character { at, rule });
        }
    }
    Ok(())
}

/// Anything printable: names that people chose.
fn printable_rule(text: &str) -> Result<(), IdFault> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(IdFault::Character {
            at,
            rule: "is a control character",
        }),
        None => Ok(()),
    }
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident, $max:expr, $rule:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest text taken, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// Checks length and characters. Fails with the rule that was broken.
            pub fn new(text: &str) -> Result<Self, IdFault> {
                Self::check(text)?;
                Ok(Self(Arc::from(text)))
            }

            fn check(text: &str) -> Result<(), IdFault> {
                if text.is_empty() {
                    return Err(IdFault::Empty);
                }
                if text.len() > Self::BYTES_MAX {
                    return Err(IdFault::TooLong { max: Self::BYTES_MAX });
                }
                $rule(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl From<&$name> for String {
            fn from(id: &$name) -> String {
                String::from(&*id.0)
            }
        }

        /// Without a copy of the text.
        impl TryFrom<Arc<str>> for $name {
            type Error = IdFault;
            fn try_from(text: Arc<str>) -> Result<Self, IdFault> {
                Self::check(&text)?;
                Ok(Self(text))
            }
        }

        impl core::str::FromStr for $name {
            type Err = IdFault;
            fn from_str(text: &str) -> Result<Self, IdFault> {
                Self::new(text)
            }
        }
    )*};
}

text_ids! {
    /// One device that takes part. Fits the 32 bytes of a segment header.
    RigId, 32, name_rule;
    /// One short-lived selling occasion.
    PopupId, 64, name_rule;
    /// CloudEvents `id`: with [`Source`] the identity of an event.
    EventId, limits::EVENT_ID_BYTES_MAX, printable_rule;
    /// CloudEvents `source`.
    Source, limits::EVENT_ID_BYTES_MAX, printable_rule;

    /// One attempt to be paid; also the reference stamped into provider objects.
    PaymentId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// One customer order.
    OrderId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// One passage through the checkout.
    CheckoutId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// One refund.
    RefundId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// One dispute of a payment.
    DisputeId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// What a viewer redeems.
    TokenId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// One flash drop.
    FlashDropId, limits::REFERENCE_BYTES_MAX, reference_rule;
    /// The provider's own id of an object.
    ProviderRef, limits::REFERENCE_BYTES_MAX, reference_rule;

    /// A person who sells through their audience.
    CreatorId, 64, printable_rule;
    /// A stock-keeping unit, byte for byte as the shop writes it.
    Sku, 64, printable_rule;
    /// How a payment was made: `card`, `cash`, `wallet` …
    PaymentMethod, 64, printable_rule;
    /// A payment provider's name.
    ProviderName, 64, printable_rule;
    /// Where a sale came from: stall, stream, web …
    SalesChannel, 64, printable_rule;
    /// How far a checkout had come.
    CheckoutStage, 64, printable_rule;
    /// A chat or video stream.
    ChatStream, 64, printable_rule;
    /// A place stock can be: pool, a rig, sold …
    StockPlace, 64, printable_rule;
    /// A member of a co-op.
    MemberId, 64, printable_rule;
    /// A viewer or buyer. Outside the rig only ever a pseudonym.
    Subject, 128, printable_rule;
    /// A short free remark, redacted before it is kept.
    Remark, 256, printable_rule;
}

impl PopupId {
    /// The id of a book that belongs to no popup but to a provider account: no popup's name begins
    /// with `~`.
    #[must_use]
    pub fn account_book(provider: &str, account: &str) -> Self {
        Self(Arc::from(alloc::format!("~{provider}:{account}")))
    }

    /// The id of a book as the ledger stored it: a popup's, or an account's.
    pub fn of_book(text: &str) -> Result<Self, IdFault> {
        match text.strip_prefix('~') {
            Some(rest) => {
                reference_rule(rest)?;
                Ok(Self(Arc::from(text)))
            }
            None => Self::new(text),
        }
    }

    /// Whether this names a provider account's book and not a popup.
    #[must_use]
    pub fn is_account_book(&self) -> bool {
        self.0.starts_with('~')
    }
}

/// One life of a journal: a new number at every start and after any truncation. From 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// A record's number in its epoch: 1, 2, 3 … with no gap. 0 means "none yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// No record yet.
    pub const NONE: Self = Self(0);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record stands: which rig, which life of its journal, which number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The rig that reported it.
    pub rig: RigId,
    /// The life of that rig's journal.
    pub epoch: Epoch,
    /// The number in that life.
    pub seq: Seq,
}

macro_rules! random_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads 16 bytes; `None` for any other length.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

random_ids! {
    /// Drawn when a journal first starts; tells two journals that use one rig name apart.
    JournalId;
    /// Drawn when an epoch starts; tells two lives with one number apart.
    EpochId;
    /// One run of the operating system: monotonic times compare only inside it.
    BootId;
    /// Drawn when a region's memory starts; a new one means "send me everything".
    RegionId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_refuse_what_a_path_or_header_could_trip_over() {
        assert!(RigId::new("till-1").is_ok());
        assert_eq!(RigId::new(""), Err(IdFault::Empty));
        assert!(RigId::new("../etc").is_err());
        assert!(RigId::new("-x").is_err());
        assert_eq!(
            RigId::new(&"x".repeat(33)),
            Err(IdFault::TooLong { max: 32 })
        );
    }

    #[test]
    fn skus_keep_their_bytes() {
        let (upper, lower) = (Sku::new("15056BL").unwrap(), Sku::new("15056bl").unwrap());
        assert_ne!(upper, lower);
        assert!(Sku::new("BANK CHARGES").is_ok());
        assert!(Sku::new("a\nb").is_err());
    }

    #[test]
    fn a_fault_does_not_repeat_the_text() {
        let fault = PaymentId::new("4111 1111").unwrap_err();
        assert!(!fault.to_string().contains("4111"));
    }
}
