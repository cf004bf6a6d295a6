//! Shares: what one creator holds, can have and got.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
/// The group of a creator's shares in one currency of one popup.
#[must_use]
pub fn key(popup: &PopupId, creator: &str, currency: &str) -> GroupKey {
    GroupKey::of(GroupKind::Share, &[popup.as_str(), creator, currency])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    if let Event::System(SystemEvent::ShareReleased(of)) = &fact.event {
        keys.push(key(&fact.popup, &of.creator, &of.currency));
    } else if let Event::System(SystemEvent::CreatorPaid(of)) = &fact.event {
        keys.push(key(&fact.popup, &of.creator, &of.currency));
    }
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
