//! Rights: what was sold beyond what was there, by totals of place and SKU.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use super::post;
use crate::event::Event;
use crate::id::{PopupId, Sku};
/// The group of a SKU in a popup.
#[must_use]
pub fn key(popup: &PopupId, sku: &Sku) -> GroupKey {
    GroupKey::of(GroupKind::Rights, &[popup.as_str(), sku.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    keys.extend(post::skus(fact).iter().map(|sku| key(&fact.popup, sku)));
}

/// Deliveries, moves and refunds are read; of what was sold and counted only sums.
pub(super) fn reads(fact: &Fact) -> bool {
    post::supplied(fact).is_some()
        || matches!(
            fact.event,
            Event::InventoryMoved(_) | Event::PaymentRefunded(_)
        )
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
