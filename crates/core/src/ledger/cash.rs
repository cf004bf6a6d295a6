//! Cash: a till's drawer as counted against what the books say is in it.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use super::post;
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
/// The group of a till's drawer.
#[must_use]
pub fn key(popup: &PopupId, rig: &str, currency: &str) -> GroupKey {
    GroupKey::of(GroupKind::Cash, &[popup.as_str(), rig, currency])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let rig = fact.position.rig.as_str();
    if let Event::PaymentCaptured(sale) = &fact.event {
        if post::is_cash(sale) {
            keys.push(key(&fact.popup, rig, sale.currency.code()));
        }
    } else if let Event::PaymentRefunded(asked) = &fact.event {
        keys.push(key(&fact.popup, rig, asked.currency.code()));
    } else if let Event::System(SystemEvent::CashCounted(of)) = &fact.event {
        keys.push(key(&fact.popup, &of.rig, &of.currency));
    }
}

/// Counts are read; of sales and refunds only the sum.
pub(super) fn reads(fact: &Fact) -> bool {
    matches!(&fact.event, Event::System(SystemEvent::CashCounted(_)))
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
