//! Tokens: value and units post apart and meet in 2055 per token and order.

use alloc::vec::Vec;

use super::Fact;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Outcome};
use crate::event::Event;
use crate::id::TokenId;
/// The group of a token.
#[must_use]
pub fn key(token: &TokenId) -> GroupKey {
    GroupKey::of(GroupKind::Token, &[token.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let token = match_token(&fact.event);
    keys.extend(token.map(key));
}

fn match_token(event: &Event) -> Option<&TokenId> {
    if let Event::TokenIssued(of) = event {
        Some(&of.token)
    } else if let Event::TokenRedeemed(of) = event {
        Some(&of.token)
    } else if let Event::TokenVoided(of) = event {
        Some(&of.token)
    } else if let Event::PaymentCaptured(of) = event {
        of.token.as_ref()
    } else {
        None
    }
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let _ = group;
    Ok(Outcome::default())
}
