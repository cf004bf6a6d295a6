//! Rights: what was used beyond what was there, by totals of place and SKU (R43).
//!
//! Rights are escrow: what was set aside for a rig, less what it gave away and sold. An instant means
//! nothing where tills sell offline, so only totals are judged: a place that ends below nothing was
//! oversold by that much. What counts put on the pool is left out: a count finds, it does not sell.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::{self, place, position_text};
use super::{Account, Chart, Commodity, Fact};
use crate::event::{Event, InventoryMoved};
use crate::id::{PopupId, RigId, Sku, StockPlace};

/// The group of a SKU in a popup.
#[must_use]
pub fn key(popup: &PopupId, sku: &Sku) -> GroupKey {
    GroupKey::of(GroupKind::Rights, &[popup.as_str(), sku.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let skus = post::skus(fact);
    // A fact has bounded keys; a sale of more SKUs than that still stirs them all by its entry.
    keys.extend(
        skus.iter()
            .take(crate::limits::GROUPS_OF_FACT_MAX / 2)
            .map(|sku| key(&fact.popup, sku)),
    );
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
    let mut making = Making::default();
    let subject = group.members.iter().find_map(|fact| {
        let skus = post::skus(fact);
        let sku = skus
            .into_iter()
            .find(|sku| key(&fact.popup, sku) == group.key);
        sku.map(|sku| (fact.popup.clone(), sku))
    });
    let Some((popup, sku)) = subject else {
        return Ok(making.0);
    };
    let commerce = group.around.commerce(&popup);
    let promised = |of: fn(&crate::event::commerce::Commerce) -> bool| {
        commerce.as_ref().is_some_and(|commerce| of(commerce))
    };
    let supplied = group
        .members
        .iter()
        .any(|fact| post::supplied(fact) == Some(&sku));
    if supplied || promised(|commerce| commerce.stock_all) {
        beyond(group, &popup, &sku, supplied, &mut making)?;
    }
    for fact in group.members {
        if let Some(found) = moved_by_other(group, fact) {
            making.name(
                GroupKey::cause_of(GroupKind::Rights, fact.id),
                &popup,
                found,
            );
        }
    }
    if promised(|commerce| commerce.returns_by_moves) {
        returns(group, &popup, &sku, &mut making)?;
    }
    Ok(making.0)
}

/// Places that ended below nothing are brought to nothing, and named.
fn beyond(
    group: &Group<'_>,
    popup: &PopupId,
    sku: &Sku,
    supplied: bool,
    making: &mut Making,
) -> Result<(), EntryFault> {
    let units = Commodity::Units(sku.clone());
    let cause = group.key.cause();
    let oversold = Account::plain(Chart::StockOversold);
    let mut legs = Legs::new();
    for of in [Chart::StockPool, Chart::StockRights] {
        for (account, _, standing) in group.around.balances(group.key, popup, of, Some(&units)) {
            let found = match of == Chart::StockPool {
                true => group.around.skew(popup, sku),
                false => 0,
            };
            let over = found.saturating_sub(standing);
            if over <= 0 {
                continue;
            }
            legs.push((account.clone(), units.clone(), over));
            legs.push((oversold.clone(), units.clone(), -over));
            let named = name_beyond(popup, sku, supplied, &account, fit(over)?);
            making.name(cause, popup, named);
        }
    }
    let at_ms = group.around.window(popup).map_or(0, |window| window.0);
    making.post(cause, popup, Rule::Oversold, at_ms, legs)
}

fn name_beyond(popup: &PopupId, sku: &Sku, supplied: bool, place: &Account, over: i64) -> Break {
    let items = if over == 1 { "item" } else { "items" };
    let from = match place.part.as_str() {
        "" => "the shared stock".to_string(),
        rig => format!("what was set aside for {rig}"),
    };
    let (class, sentence) = match supplied {
        true => (
            BreakClass::Oversell,
            format!("{sku}: {over} {items} went out beyond {from}."),
        ),
        false => (
            BreakClass::Phantom,
            format!("{sku}: {over} {items} went out from {from}, and none ever arrived."),
        ),
    };
    let keys = [popup.to_string(), sku.to_string(), place.to_string()];
    Break::new(class, keys.into(), sentence).amounting(
        Commodity::Units(sku.clone()),
        over,
        Some(Account::plain(Chart::StockOversold)),
    )
}

/// A move out of a rig's rights that another rig reports (K-RIGHTS): only the giver's own journal
/// can give them away.
fn moved_by_other(group: &Group<'_>, fact: &Rc<Fact>) -> Option<Break> {
    let (sku, qty, from) = if let Event::InventoryMoved(of) = &fact.event {
        (&of.sku, of.qty.0, place(of.from.as_ref()))
    } else if let Event::InventoryAllocated(of) = &fact.event {
        (&of.sku, of.qty.0, place(of.from.as_ref()))
    } else {
        return None;
    };
    if from.of != Chart::StockRights || from.part == fact.position.rig.as_str() {
        return None;
    }
    // A place that is no rig, such as a van, has no journal of its own.
    let rig = RigId::new(&from.part).ok()?;
    group.around.caught_up_ms(&rig)?;
    let sentence = format!(
        "{sku}: {} moved {qty} that were set aside for {rig}, and {rig} did not say so.",
        fact.position.rig
    );
    let keys = [fact.popup.to_string(), fact.id.to_string()];
    let found = Break::new(BreakClass::MovedByOther, keys.into(), sentence)
        .amounting(Commodity::Units(sku.clone()), qty, None)
        .evident([position_text(fact)].into());
    Some(found)
}

/// Where goods are back when they are moved: what came back against what was refunded, once the
/// popup is over.
fn returns(
    group: &Group<'_>,
    popup: &PopupId,
    sku: &Sku,
    making: &mut Making,
) -> Result<(), EntryFault> {
    let (mut back, mut refunded, mut over_ms) = (0i128, 0i128, i64::MIN);
    for fact in group.members {
        if let Event::InventoryMoved(of) = &fact.event {
            back += returned(of);
        } else if let Event::PaymentRefunded(asked) = &fact.event {
            let lines = asked.lines.as_deref().unwrap_or_default();
            let of_sku = lines.iter().filter(|line| line.sku == *sku);
            refunded += of_sku.map(|line| i128::from(line.qty)).sum::<i128>();
        } else {
            continue;
        }
        over_ms = over_ms.max(group.orphan_ms(fact));
    }
    if back == refunded {
        return Ok(());
    }
    making.due(over_ms, group.as_of_ms);
    if group.as_of_ms < over_ms {
        return Ok(());
    }
    let amount = fit(back - refunded)?;
    let (class, sentence) = match amount > 0 {
        true => (
            BreakClass::ReturnNoRefund,
            format!("{sku}: {back} came back, but only {refunded} were refunded."),
        ),
        false => (
            BreakClass::RefundNoReturn,
            format!("{sku}: {refunded} were refunded, but only {back} came back."),
        ),
    };
    let keys = [popup.to_string(), sku.to_string()];
    let found = Break::new(class, keys.into(), sentence).amounting(
        Commodity::Units(sku.clone()),
        amount,
        None,
    );
    making.name(group.key.cause(), popup, found);
    Ok(())
}

/// Items that a move brings back from buyers.
fn returned(of: &InventoryMoved) -> i128 {
    let sold = |place: Account| matches!(place.of, Chart::StockSold | Chart::StockHandedOver);
    let named = |at: &Option<StockPlace>| sold(place(at.as_ref()));
    match named(&of.from) && !named(&of.to) {
        true => i128::from(of.qty.0),
        false => 0,
    }
}
