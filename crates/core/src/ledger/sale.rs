//! A sale's shares: what creators get of one payment, and what refunds and disputes take back.

use alloc::vec::Vec;

use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use super::{Fact, put_varint, take_varint, unzigzag, zigzag};
use crate::event::Event;
use crate::id::PopupId;

/// What pairing knows of a payment and its shares depend on: the bytes of a
/// [`super::group::Word`] to [`key`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaleWord {
    /// The claim is paired, and its settlement lines are in a payout.
    pub settled: bool,
    /// A break of severity money is open on it.
    pub troubled: bool,
    /// It was stored offline and the provider will never pay it.
    pub lost: bool,
    /// What went back to the buyer without a refund or dispute of the till's telling it: refunds and
    /// disputes that only the provider tells of. Negative where a dispute was won.
    pub back: Vec<Back>,
}

/// Money that went back to a buyer, as the provider tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Back {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Minor units of the payment's currency.
    pub amount: i64,
    /// By a dispute.
    pub dispute: bool,
}

impl SaleWord {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let marks = [self.settled, self.troubled, self.lost];
        let bits =
            (marks.iter().enumerate()).fold(0, |bits, (at, mark)| bits | u64::from(*mark) << at);
        put_varint(&mut out, bits);
        put_varint(&mut out, self.back.len() as u64);
        for back in &self.back {
            put_varint(&mut out, zigzag(back.at_ms));
            put_varint(&mut out, zigzag(back.amount));
            put_varint(&mut out, u64::from(back.dispute));
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let bits = take_varint(&mut rest)?;
        let count = take_varint(&mut rest)?;
        let mut back = Vec::new();
        for _ in 0..count {
            back.push(Back {
                at_ms: unzigzag(take_varint(&mut rest)?),
                amount: unzigzag(take_varint(&mut rest)?),
                dispute: take_varint(&mut rest)? != 0,
            });
        }
        rest.is_empty().then_some(Self {
            settled: bits & 1 != 0,
            troubled: bits & 2 != 0,
            lost: bits & 4 != 0,
            back,
        })
    }
}

/// The group of a payment.
#[must_use]
pub fn key(popup: &PopupId, payment: &str) -> GroupKey {
    GroupKey::of(GroupKind::Sale, &[popup.as_str(), payment])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let payment = if let Event::PaymentCaptured(of) = &fact.event {
        &of.payment
    } else if let Event::PaymentRefunded(of) = &fact.event {
        &of.payment
    } else if let Event::PaymentDisputed(of) = &fact.event {
        &of.payment
    } else {
        return;
    };
    keys.push(key(&fact.popup, payment.as_str()));
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
