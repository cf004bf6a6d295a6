//! Shares: what one creator holds, can have and got (R60).
//!
//! Releases by hand count by totals: of what is held, so much can be had before its time. When a
//! payment's own time comes, it is released by itself and the hand's part shrinks, so nothing is
//! released twice. What was paid beyond what can be had is owed back (1400).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::position_text;
use super::{Account, Chart, Commodity, Fact};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::money::{Currency, Money};

/// The group of a creator's shares in one currency of one popup.
#[must_use]
pub fn key(popup: &PopupId, creator: &str, currency: &str) -> GroupKey {
    GroupKey::of(GroupKind::Share, &[popup.as_str(), creator, currency])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    keys.extend(subject(fact).map(|(creator, currency)| key(&fact.popup, creator, currency)));
}

fn subject(fact: &Fact) -> Option<(&str, &str)> {
    if let Event::System(SystemEvent::ShareReleased(of)) = &fact.event {
        Some((&of.creator, &of.currency))
    } else if let Event::System(SystemEvent::CreatorPaid(of)) = &fact.event {
        Some((&of.creator, &of.currency))
    } else {
        None
    }
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    let first = group.members.first();
    let Some((fact, (creator, code))) = first.and_then(|fact| Some((fact, subject(fact)?))) else {
        return Ok(making.0);
    };
    let Some(currency) = Currency::new(code) else {
        return Ok(making.0);
    };
    let (book, money) = (&fact.popup, || Commodity::Money(currency));
    let [held, available, receivable] = [
        Chart::CreatorHeld,
        Chart::CreatorAvailable,
        Chart::CreatorReceivable,
    ]
    .map(|of| Account::of(of, creator));
    let standing = |account: &Account| {
        let rows = (group.around).balances(group.key, book, account.of, Some(&money()));
        let own = rows.into_iter().find(|(found, ..)| found == account);
        own.map_or(0, |(_, _, amount)| -amount)
    };

    let (mut asked, mut paid, mut at_ms) = (0i128, 0i128, fact.occurred_ms);
    for fact in group.members {
        if let Event::System(SystemEvent::ShareReleased(of)) = &fact.event {
            asked += i128::from(of.amount);
        } else if let Event::System(SystemEvent::CreatorPaid(of)) = &fact.event {
            paid += i128::from(of.amount);
            let amount = i128::from(of.amount);
            let legs = [
                (available.clone(), money(), amount),
                (Account::plain(Chart::Bank), money(), -amount),
            ];
            let cause = GroupKey::cause_of(GroupKind::Share, fact.id);
            making.post(cause, book, Rule::SharePaid, fact.occurred_ms, legs.into())?;
        } else {
            continue;
        }
        at_ms = at_ms.max(fact.occurred_ms);
    }
    let released = asked.clamp(0, standing(&held).max(0));
    let excess = (paid - standing(&available) - released).max(0);
    let legs: Legs = [
        (held, money(), released),
        (receivable.clone(), money(), excess),
        (available, money(), -released - excess),
    ]
    .into();
    making.post(group.key.cause(), book, Rule::SharePaid, at_ms, legs)?;

    let back = taken_back(group).min(excess);
    let named = [
        (BreakClass::Clawback, back),
        (BreakClass::Overpaid, excess - back),
    ];
    for (class, amount) in named.into_iter().filter(|(_, amount)| *amount > 0) {
        let amount = fit(amount)?;
        let found = beyond(class, fact, creator, Money::new(amount, currency))
            .amounting(money(), amount, Some(receivable.clone()))
            .evident(
                group
                    .members
                    .iter()
                    .map(|fact| position_text(fact))
                    .collect(),
            );
        making.name(group.key.cause(), book, found);
    }
    Ok(making.0)
}

/// What refunds and disputes took back of this creator's shares, as their sales say.
fn taken_back(group: &Group<'_>) -> i128 {
    (group.words.iter())
        .filter_map(|word| word.bytes.as_slice().try_into().ok())
        .map(|bytes| i128::from(i64::from_le_bytes(bytes)))
        .sum()
}

fn beyond(class: BreakClass, fact: &Fact, creator: &str, amount: Money) -> Break {
    let sentence = match class == BreakClass::Clawback {
        true => format!(
            "{creator} was paid shares of sales that were refunded; {amount} are owed back."
        ),
        false => format!("{creator} was paid {amount} more than was available."),
    };
    let keys = [
        fact.popup.to_string(),
        creator.to_string(),
        amount.currency.to_string(),
    ];
    Break::new(class, keys.into(), sentence)
}
