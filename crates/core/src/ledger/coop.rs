//! Co-ops: a pool divided among its members once the popup is closed.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
/// The group of a popup's co-op pools.
#[must_use]
pub fn key(popup: &PopupId) -> GroupKey {
    GroupKey::of(GroupKind::Coop, &[popup.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    if let Event::System(SystemEvent::CloseSigned(_)) = &fact.event {
        keys.push(key(&fact.popup));
    }
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
