//! What makes a fact of the centre one fact: its business key, its content and its book.
//!
//! Content leaves out by which way, file or row the same thing was told: a webhook that comes twice,
//! or through a till and the ledger, and overlapping settlement files are repeats. Two deliveries
//! about one object are two facts, and what the object is follows from both.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use prost::Message as _;

use crate::event::central::{BankLine, ProviderObject, SettlementLine};
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::provider;

/// The identity of a fact of the centre.
pub(super) struct Central {
    /// The parts of its business key.
    pub(super) key: Vec<String>,
    /// What must be equal for two tellings to be one.
    pub(super) content: Vec<u8>,
    /// The book it lies in.
    pub(super) book: PopupId,
    /// When it happened, where it says so, ms since 1970.
    pub(super) occurred_ms: Option<i64>,
}

impl Central {
    /// The identity of an event; `None` for what popwatch says of itself and for a popup's name that
    /// no popup can have.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm per type, each only a list of fields"
    )]
    pub(super) fn of(event: &SystemEvent) -> Option<Self> {
        match event {
            SystemEvent::ProviderObject(of) => Some(object(of)),
            SystemEvent::SettlementFile(of) => Some(Self {
                key: [&of.provider, &of.account, &super::hex(&of.blake3)]
                    .map(String::clone)
                    .into(),
                content: of.encode_to_vec(),
                book: PopupId::account_book(&of.provider, &of.account),
                occurred_ms: None,
            }),
            SystemEvent::SettlementLine(of) => Some(line(of)),
            SystemEvent::BankLine(of) => Some(bank(of)),
            SystemEvent::MatchAccepted(of) => Some(Self {
                key: [&of.popup, &of.claim, &of.provider, &of.account, &of.object]
                    .map(String::clone)
                    .into(),
                content: Vec::new(),
                book: PopupId::new(&of.popup).ok()?,
                occurred_ms: None,
            }),
            SystemEvent::BreakAccepted(of) => Some(Self {
                key: [
                    of.book.clone(),
                    of.id.clone(),
                    of.currency.clone(),
                    of.amount.to_string(),
                ]
                .into(),
                content: of.account.as_bytes().to_vec(),
                book: PopupId::of_book(&of.book).ok()?,
                occurred_ms: None,
            }),
            // Two equal releases or payments are two: they have no key but their own event.
            SystemEvent::ShareReleased(of) => Some(Self {
                key: [&of.popup, &of.creator, &of.currency, &of.why]
                    .map(String::clone)
                    .into(),
                content: of.encode_to_vec(),
                book: PopupId::new(&of.popup).ok()?,
                occurred_ms: None,
            }),
            SystemEvent::CreatorPaid(of) => Some(Self {
                key: [&of.popup, &of.creator, &of.currency, &of.reference]
                    .map(String::clone)
                    .into(),
                content: of.encode_to_vec(),
                book: PopupId::new(&of.popup).ok()?,
                occurred_ms: said(of.paid_ms),
            }),
            SystemEvent::CloseSigned(of) => Some(Self {
                key: [of.popup.clone(), of.n.to_string()].into(),
                content: of.certificate.clone(),
                book: PopupId::new(&of.popup).ok()?,
                occurred_ms: None,
            }),
            SystemEvent::CashCounted(of) => Some(Self {
                key: [
                    of.popup.clone(),
                    of.rig.clone(),
                    of.currency.clone(),
                    of.counted_ms.to_string(),
                ]
                .into(),
                content: of.amount.to_le_bytes().to_vec(),
                book: PopupId::new(&of.popup).ok()?,
                occurred_ms: said(of.counted_ms),
            }),
            SystemEvent::ProviderRefused(of) => Some(Self {
                key: [
                    of.provider.clone(),
                    of.account.clone(),
                    of.reason.clone(),
                    of.hour_ms.to_string(),
                ]
                .into(),
                content: Vec::new(),
                book: PopupId::account_book(&of.provider, &of.account),
                occurred_ms: said(of.hour_ms),
            }),
            SystemEvent::RigStarted(_)
            | SystemEvent::RigStopped(_)
            | SystemEvent::RigSeal(_)
            | SystemEvent::RigGap(_)
            | SystemEvent::RigLoss(_)
            | SystemEvent::RigTrimmed(_)
            | SystemEvent::RigConflict(_)
            | SystemEvent::RigProbed(_)
            | SystemEvent::PolicyApplied(_)
            | SystemEvent::PolicyImplied(_)
            | SystemEvent::ClockAnchored(_)
            | SystemEvent::ClockStepped(_) => None,
        }
    }
}

fn said(ms: i64) -> Option<i64> {
    (ms != 0).then_some(ms)
}

fn object(of: &ProviderObject) -> Central {
    Central {
        key: [
            of.provider.clone(),
            of.account.clone(),
            of.kind.clone(),
            of.object.clone(),
            of.state.clone(),
            of.version.to_string(),
            of.delivery.clone(),
        ]
        .into(),
        content: provider::told(of),
        book: PopupId::account_book(&of.provider, &of.account),
        occurred_ms: said(of.occurred_ms).or_else(|| said(of.created_ms)),
    }
}

fn line(of: &SettlementLine) -> Central {
    let told = SettlementLine {
        file: Vec::new(),
        row: 0,
        ..of.clone()
    };
    Central {
        key: [&of.provider, &of.account, &of.line]
            .map(String::clone)
            .into(),
        content: told.encode_to_vec(),
        book: PopupId::account_book(&of.provider, &of.account),
        occurred_ms: said(of.occurred_ms),
    }
}

fn bank(of: &BankLine) -> Central {
    let told = BankLine {
        file: Vec::new(),
        row: 0,
        ..of.clone()
    };
    Central {
        key: [&of.account, &of.line].map(String::clone).into(),
        content: told.encode_to_vec(),
        book: PopupId::account_book("bank", &of.account),
        occurred_ms: said(of.date_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured() -> ProviderObject {
        ProviderObject {
            provider: "stripe".into(),
            account: "main".into(),
            kind: "payment".into(),
            object: "pi_1".into(),
            state: "captured".into(),
            version: 7,
            amount: 500,
            ..ProviderObject::default()
        }
    }

    #[test]
    fn one_delivery_by_another_way_is_a_repeat_and_another_delivery_is_not() {
        let one = object(&captured());
        let other = object(&ProviderObject {
            unwindowed: true,
            ..captured()
        });
        assert_eq!((&one.key, one.content), (&other.key, other.content));
        // A provider tells of one state in one second with more or fewer names: both are kept.
        let next = object(&ProviderObject {
            delivery: "evt_2".into(),
            ..captured()
        });
        assert_ne!(one.key, next.key);
    }

    #[test]
    fn another_amount_of_the_same_telling_is_other_content() {
        let one = object(&captured());
        let other = object(&ProviderObject {
            amount: 501,
            ..captured()
        });
        assert_eq!(one.key, other.key);
        assert_ne!(one.content, other.content);
    }

    #[test]
    fn an_accounts_book_is_no_popups() {
        let book = object(&captured()).book;
        assert!(book.is_account_book());
        assert!(PopupId::new(book.as_str()).is_err());
        assert_eq!(PopupId::of_book(book.as_str()), Ok(book));
    }
}
