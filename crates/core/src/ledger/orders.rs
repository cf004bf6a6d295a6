//! Orders: goods that were handed over.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use crate::event::Event;
use crate::id::{OrderId, PopupId};
fn key(popup: &PopupId, order: &OrderId) -> GroupKey {
    GroupKey::of(GroupKind::Order, &[popup.as_str(), order.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    if let Event::PaymentCaptured(sale) = &fact.event {
        keys.push(key(&fact.popup, &sale.order));
    } else if let Event::OrderFulfilled(of) = &fact.event {
        keys.push(key(&fact.popup, &of.order));
    }
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
