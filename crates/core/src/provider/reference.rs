//! The reference stamped into provider objects: `pwr-{popup}-{rig}-{epoch}-{seq}-{k}-{check}`.
//!
//! A pure function of a record that is already durable, its anchor. So a till that lost the reply to
//! its request computes the same reference again, with no state of its own, and an object that
//! nobody claims says by its reference where the lost record stood. Tags of popup and rig are
//! consonants and the rest is short, so that a reference never looks like a card number.

use alloc::string::String;
use core::fmt;

use crate::id::{Epoch, PaymentId, PopupId, RigId, Seq};
use crate::limits::{REFERENCE_SAFE_MS, REFERENCE_USES, STAMP_BYTES_MAX};

const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A short name of a popup or rig inside references: `N` consonants of its BLAKE3.
///
/// Two names can share a tag; enrolment and the making of popups refuse the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag<const N: usize>([u8; N]);

/// The tag of a popup.
pub type PopupTag = Tag<6>;
/// The tag of a rig.
pub type RigTag = Tag<5>;

impl PopupTag {
    /// The tag of this popup.
    #[must_use]
    pub fn of_popup(popup: &PopupId) -> Self {
        Self::draw("popwatch.reference.popup.v1", popup.as_str())
    }
}

impl RigTag {
    /// The tag of this rig.
    #[must_use]
    pub fn of_rig(rig: &RigId) -> Self {
        Self::draw("popwatch.reference.rig.v1", rig.as_str())
    }
}

impl<const N: usize> Tag<N> {
    fn draw(domain: &str, name: &str) -> Self {
        let hash = blake3::derive_key(domain, name.as_bytes());
        let mut rest = number(&hash);
        let mut tag = [0; N];
        for letter in &mut tag {
            let at = usize::try_from(rest % 20).expect("a remainder of 20 fits");
            *letter = CONSONANTS[at];
            rest /= 20;
        }
        Self(tag)
    }

    fn read(text: &str) -> Option<Self> {
        let tag: [u8; N] = text.as_bytes().try_into().ok()?;
        tag.iter()
            .all(|letter| CONSONANTS.contains(letter))
            .then_some(Self(tag))
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("a tag is made of ASCII letters")
    }
}

impl<const N: usize> fmt::Debug for Tag<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.as_str())
    }
}

/// The first 16 bytes of a hash as a number.
fn number(hash: &[u8; 32]) -> u128 {
    hash.iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// What a reference is for, with which of several from one anchor it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A payment: the tender's number in its checkout, from 0.
    Tender(u8),
    /// A refund: its number among those of one captured payment, from 0.
    Refund(u8),
}

/// A reference, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Of the popup that sells.
    pub popup: PopupTag,
    /// Of the rig whose journal holds the anchor.
    pub rig: RigTag,
    /// The life of that journal.
    pub epoch: Epoch,
    /// The anchor: `checkout.started` of a first attempt, `payment.failed` of a later one,
    /// `payment.captured` of a refund.
    pub seq: Seq,
    /// What it is for.
    pub purpose: Purpose,
}

impl Reference {
    /// Writes it. `None` when the number in its purpose is 32 or more, or an epoch and seq together
    /// take more than 12 digits, which is past any journal.
    #[must_use]
    pub fn mint(&self) -> Option<PaymentId> {
        let mut text = String::from("pwr-");
        text.push_str(self.popup.as_str());
        text.push('-');
        text.push_str(self.rig.as_str());
        text.push('-');
        put_base32(&mut text, u64::from(self.epoch.0));
        text.push('-');
        put_base32(&mut text, self.seq.0);
        text.push('-');
        let (letter, nth) = match self.purpose {
            Purpose::Tender(nth) => ('p', nth),
            Purpose::Refund(nth) => ('r', nth),
        };
        if nth >= REFERENCE_USES {
            return None;
        }
        text.push(letter);
        text.push(char::from(DIGITS[usize::from(nth)]));
        let check = check(&text);
        text.push('-');
        text.extend(check);
        if text.len() > STAMP_BYTES_MAX {
            return None;
        }
        PaymentId::new(&text).ok()
    }

    /// Reads one back. `None` for every other text, a wrong check or a form that [`Self::mint`] does
    /// not write.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > STAMP_BYTES_MAX {
            return None;
        }
        let mut parts = text.strip_prefix("pwr-")?.split('-');
        let mut next = || parts.next();
        let (popup, rig) = (PopupTag::read(next()?)?, RigTag::read(next()?)?);
        let epoch = u32::try_from(take_base32(next()?)?).ok()?;
        let seq = take_base32(next()?)?;
        let (letter, nth) = next()?.split_at_checked(1)?;
        let nth = u8::try_from(take_base32(nth)?).ok()?;
        let reference = Self {
            popup,
            rig,
            epoch: Epoch(epoch),
            seq: Seq(seq),
            purpose: match letter {
                "p" => Purpose::Tender(nth),
                "r" => Purpose::Refund(nth),
                _ => return None,
            },
        };
        // One form: whatever is read must be what would be written, its check with it.
        (reference.mint()?.as_str() == text).then_some(reference)
    }

    /// Whether the anchor lies in this rig's journal.
    #[must_use]
    pub fn is_of(&self, rig: &RigId) -> bool {
        self.rig == RigTag::of_rig(rig)
    }
}

/// Until when a request may be repeated under its reference as idempotency key, ms since 1970: after
/// it, only once a search at the provider by the reference found nothing.
#[must_use]
pub fn safe_until_ms(anchor_ms: i64) -> i64 {
    anchor_ms.saturating_add(REFERENCE_SAFE_MS)
}

/// Two digits that a mistyped or cut reference fails by.
fn check(before: &str) -> [char; 2] {
    let number = number(&blake3::derive_key(
        "popwatch.reference.check.v1",
        before.as_bytes(),
    ));
    let digit = |shift: u32| {
        let at = usize::try_from(number >> shift & 31).expect("five bits fit");
        char::from(DIGITS[at])
    };
    [digit(5), digit(0)]
}

/// Appends a number in base 32, no leading zeros.
fn put_base32(text: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(5).max(1);
    for place in (0..digits).rev() {
        let at = usize::try_from(number >> (place * 5) & 31).expect("five bits fit");
        text.push(char::from(DIGITS[at]));
    }
}

/// Reads what [`put_base32`] wrote and larger forms of it; `None` for other digits and overflow.
fn take_base32(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |number, byte| {
        let digit = DIGITS.iter().position(|one| *one == byte)?;
        number
            .checked_mul(32)?
            .checked_add(u64::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(epoch: u32, seq: u64, purpose: Purpose) -> Reference {
        Reference {
            popup: PopupTag::of_popup(&PopupId::new("night-market").unwrap()),
            rig: RigTag::of_rig(&RigId::new("till-1").unwrap()),
            epoch: Epoch(epoch),
            seq: Seq(seq),
            purpose,
        }
    }

    #[test]
    fn a_reference_has_the_drawn_form() {
        let text = reference(3, 1_000, Purpose::Tender(0)).mint().unwrap();
        let parts: std::vec::Vec<&str> = text.as_str().split('-').collect();
        assert_eq!(parts.len(), 7);
        assert_eq!(
            (parts[0], parts[3], parts[4], parts[5]),
            ("pwr", "3", "z8", "p0")
        );
        assert_eq!((parts[1].len(), parts[2].len(), parts[6].len()), (6, 5, 2));
    }

    #[test]
    fn its_letters_and_check_never_change() {
        // Written down once: a till and a ledger of different versions must agree.
        let text = reference(3, 1_000, Purpose::Tender(0)).mint().unwrap();
        assert_eq!(text.as_str(), "pwr-wxtbvp-qtwwh-3-z8-p0-yw");
    }

    #[test]
    fn what_passes_36_characters_or_32_uses_is_not_minted() {
        assert!(reference(1, 0, Purpose::Refund(31)).mint().is_some());
        assert!(reference(1, 0, Purpose::Refund(32)).mint().is_none());
        assert!(
            reference(u32::MAX, 1 << 24, Purpose::Tender(0))
                .mint()
                .is_some()
        );
        assert!(
            reference(u32::MAX, 1 << 25, Purpose::Tender(0))
                .mint()
                .is_none()
        );
    }

    proptest! {
        #[test]
        fn what_is_minted_reads_back(epoch in 1u32..1 << 20, seq in 1u64..1 << 40, nth in 0u8..32, refund: bool) {
            let purpose = if refund { Purpose::Refund(nth) } else { Purpose::Tender(nth) };
            let one = reference(epoch, seq, purpose);
            let text = one.mint().unwrap();
            prop_assert!(text.as_str().len() <= STAMP_BYTES_MAX);
            prop_assert_eq!(Reference::read(text.as_str()), Some(one));
            let digits = text.as_str().split(|c: char| !c.is_ascii_digit() && c != '-');
            prop_assert!(digits.map(|run| run.chars().filter(char::is_ascii_digit).count()).max() < Some(13));
        }

        #[test]
        fn no_other_text_reads(text in "(pwr-)?[a-z0-9-]{0,40}") {
            if let Some(one) = Reference::read(&text) {
                let written = one.mint().unwrap();
                prop_assert_eq!(written.as_str(), text.as_str());
            }
        }

        #[test]
        fn one_changed_character_is_nearly_always_seen(at in 0usize..30, to in "[a-z0-9]") {
            let one = reference(2, 77, Purpose::Tender(1));
            let mut text = String::from(one.mint().unwrap().as_str());
            if at < text.len() && text[at..=at] != *to {
                text.replace_range(at..=at, &to);
                prop_assert_ne!(Reference::read(&text), Some(one));
            }
        }
    }
}
