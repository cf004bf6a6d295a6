//! Cash: a till's drawer as counted against what the books say is in it (R61, D-OVER, D-SHORT).
//!
//! A count is as of its own time: a sale that arrives late changes what it was compared with, and
//! the drawer is looked at again. After a count the books believe it.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Making, Outcome, fit};
use super::post::{self, position_text};
use super::{Account, Chart, Commodity, Fact};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::{PopupId, RigId};
use crate::money::{Currency, Money};

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
    let mut making = Making::default();
    let mut believed = 0i128;
    for fact in group.members {
        let Event::System(SystemEvent::CashCounted(of)) = &fact.event else {
            continue;
        };
        let (Ok(rig), Some(currency)) = (RigId::new(&of.rig), Currency::new(&of.currency)) else {
            continue;
        };
        let drawer = (group.around).drawer(&fact.popup, &rig, currency, fact.occurred_ms);
        let expected = drawer.checked_add(believed).ok_or(EntryFault::Overflow)?;
        let over = fit(i128::from(of.amount) - i128::from(fit(expected)?))?;
        if over == 0 {
            continue;
        }
        believed = believed
            .checked_add(i128::from(over))
            .ok_or(EntryFault::Overflow)?;
        let cause = GroupKey::cause_of(GroupKind::Cash, fact.id);
        let money = Commodity::Money(currency);
        let result = Account::plain(Chart::CashOverShort);
        let legs = [
            (
                Account::of(Chart::CashTill, rig.as_str()),
                money.clone(),
                i128::from(over),
            ),
            (result.clone(), money.clone(), -i128::from(over)),
        ];
        making.post(
            cause,
            &fact.popup,
            Rule::Manual,
            fact.occurred_ms,
            legs.into(),
        )?;
        let (class, word) = match over > 0 {
            true => (BreakClass::CashOver, "more than"),
            false => (BreakClass::CashShort, "not"),
        };
        let sentence = format!(
            "The drawer of {rig} held {}, {word} the {} it should hold.",
            Money::new(of.amount, currency),
            Money::new(fit(expected)?, currency)
        );
        let keys = [
            fact.popup.to_string(),
            of.rig.clone(),
            of.currency.clone(),
            of.counted_ms.to_string(),
        ];
        let found = Break::new(class, keys.into(), sentence)
            .amounting(money, over, Some(result))
            .evident([position_text(fact)].into());
        making.name(cause, &fact.popup, found);
    }
    Ok(making.0)
}
