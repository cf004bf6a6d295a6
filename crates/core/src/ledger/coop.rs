//! Co-ops: a pool divided among its members once the popup is closed (R60).
//!
//! After the first close the pool is divided as it stands; what changes it later divides it again, and
//! the difference is what a correction signs. Σ parts = pool, by largest remainder.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::position_text;
use super::{Account, Chart, Fact, FactId, split};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::money::Money;

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
    let mut making = Making::default();
    let Some(close) = group.members.first() else {
        return Ok(making.0);
    };
    let commerce = group.around.commerce(&close.popup);
    let pools = (group.around).balances(group.key, &close.popup, Chart::CoopPool, None);
    for (pool, commodity, standing) in pools {
        let Some(currency) = commodity.currency() else {
            continue;
        };
        let whole = standing.checked_neg().ok_or(EntryFault::Overflow)?;
        if whole == 0 {
            continue;
        }
        let coop = commerce
            .as_ref()
            .and_then(|commerce| commerce.coop(&pool.part));
        let members = coop
            .filter(|coop| coop.is_whole())
            .map(|coop| &coop.members);
        let seed = [close.popup.as_str(), &pool.part, currency.code()].map(str::as_bytes);
        let parts = members.and_then(|members| {
            let weights = members.iter().map(|member| i128::from(member.weight_ppm));
            let weights: Vec<i128> = weights.collect();
            let parts =
                split::by_largest_remainder(FactId::of("coop.pool", &seed), whole, &weights);
            parts.map(|parts| members.iter().zip(parts))
        });
        let Some(parts) = parts else {
            let amount = fit(whole)?;
            let found = undivided(close, &pool, Money::new(amount, currency)).amounting(
                commodity,
                amount,
                Some(pool),
            );
            making.name(group.key.cause(), &close.popup, found);
            continue;
        };
        let mut legs: Legs = [(pool, commodity.clone(), whole)].into();
        for (member, part) in parts {
            let held = Account::of(Chart::CreatorHeld, &member.name);
            legs.push((held, commodity.clone(), -part));
        }
        let cause = group.key.cause();
        making.post(
            cause,
            &close.popup,
            Rule::SharePaid,
            close.occurred_ms,
            legs,
        )?;
    }
    Ok(making.0)
}

fn undivided(close: &Fact, pool: &Account, amount: Money) -> Break {
    let sentence = format!(
        "The pool of co-op {} holds {amount} that could not be divided: its members' weights are \
         missing or not a whole.",
        pool.part
    );
    let keys = [
        close.popup.to_string(),
        pool.part.clone(),
        amount.currency.to_string(),
    ];
    Break::new(BreakClass::Split, keys.into(), sentence).evident([position_text(close)].into())
}
