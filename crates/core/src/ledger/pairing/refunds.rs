//! Refunds asked at tills against refunds the provider made: R25, R17, and those made elsewhere.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::super::breaks::{Break, BreakClass};
use super::super::entry::{EntryFault, Rule};
use super::super::group::{Making, fit};
use super::super::sale::Back;
use super::super::{Account, Chart, FactId};
use super::claim::Said;
use super::{Desk, evidence, keys_text, money, suspense, tenders};
use crate::money::Money;
use crate::provider::{ObjectKind, ObjectState};

/// Pairs refunds: by stamp, then by the payment they give back and their amount.
pub(super) fn pair(desk: &mut Desk<'_>) {
    for by_stamp in [true, false] {
        for claim in 0..desk.claims.len() {
            if desk.claims[claim].is_tender() || desk.pairs[claim].is_some() {
                continue;
            }
            if desk.claims[claim].said == (Said::Refund { cash: true }) {
                continue;
            }
            let fits = |object: usize| match by_stamp {
                true => {
                    let stamps = &desk.objects[object].stamps;
                    stamps
                        .iter()
                        .any(|stamp| desk.claims[claim].is_stamped(stamp))
                }
                false => gives_back(desk, claim, object),
            };
            let found = (0..desk.objects.len()).find(|object| {
                let told = &desk.objects[*object];
                told.kind == ObjectKind::Refund
                    && told.state != ObjectState::Canceled
                    && desk.taken[*object].is_none()
                    && fits(*object)
            });
            if let Some(object) = found {
                desk.pairs[claim] = Some(object);
                desk.taken[object] = Some(claim);
            }
        }
    }
}

/// Whether an unstamped refund is of the claim's own sale and amount.
fn gives_back(desk: &Desk<'_>, claim: usize, object: usize) -> bool {
    let (asked, told) = (&desk.claims[claim], &desk.objects[object]);
    let Some(sale) = desk
        .parent_of(object)
        .and_then(|payment| desk.taken[payment])
    else {
        return false;
    };
    let sold = &desk.claims[sale];
    sold.is_tender()
        && sold.payment == asked.payment
        && sold.fact.popup == asked.fact.popup
        && asked.money == told.money
}

/// Posts every refund by what is known of both sides.
pub(super) fn post(desk: &mut Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    for claim in 0..desk.claims.len() {
        if desk.claims[claim].said == (Said::Refund { cash: false }) {
            asked(desk, making, claim)?;
        }
    }
    for object in 0..desk.objects.len() {
        if desk.objects[object].kind != ObjectKind::Refund {
            continue;
        }
        tenders::state_break(desk, making, object);
        if desk.taken[object].is_none() && desk.objects[object].succeeded() {
            elsewhere(desk, making, object)?;
        }
    }
    beyond(desk, making)
}

fn asked(desk: &mut Desk<'_>, making: &mut Making, at: usize) -> Result<(), EntryFault> {
    let Some(object) = desk.pairs[at] else {
        return missing(desk, making, at);
    };
    let (claim, told) = (desk.claims[at].clone(), desk.objects[object].clone());
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    if told.state == ObjectState::Failed {
        let sentence = format!(
            "Refund {} of {} failed at {}; the buyer has not got the money.",
            claim.reference, claim.money, desk.account.name
        );
        let owed = Account::plain(Chart::RefundPayable);
        let found = Break::new(
            BreakClass::RefundFailed,
            keys_text(&book, &[&claim.reference]),
            sentence,
        )
        .amounting(money(claim.money.currency), claim.money.minor, Some(owed))
        .evident(evidence(Some(&claim), &[&told]));
        desk.trouble(at, &found);
        making.name(cause, &book, found);
        return Ok(());
    }
    if !told.succeeded() {
        return missing(desk, making, at);
    }
    let unit = money(claim.money.currency);
    if told.money.currency != claim.money.currency {
        return missing(desk, making, at);
    }
    let (said, paid) = (i128::from(claim.money.minor), i128::from(told.money.minor));
    let mut legs = Vec::from([
        (claim.stands.clone(), unit.clone(), said),
        (desk.at(Chart::PspPending), unit.clone(), -paid),
    ]);
    if said == paid {
        making.0.reconciled.push(claim.fact.id);
    } else {
        let off = fit(said - paid)?;
        let sentence = format!(
            "Refund {}: the till gave back {}, {} gave back {}.",
            claim.reference, claim.money, desk.account.name, told.money
        );
        let found = Break::new(
            BreakClass::OtherAmount,
            keys_text(&book, &[&claim.reference]),
            sentence,
        )
        .suspended(unit.clone(), off)
        .evident(evidence(Some(&claim), &[&told]));
        legs.push(suspense(&found, unit, i128::from(off)));
        desk.trouble(at, &found);
        making.name(cause, &book, found);
    }
    making.post(cause, &book, Rule::RefundConfirmed, told.occurred_ms, legs)
}

fn missing(desk: &mut Desk<'_>, making: &mut Making, at: usize) -> Result<(), EntryFault> {
    let claim = desk.claims[at].clone();
    let until = claim
        .fact
        .occurred_ms
        .saturating_add(desk.group.rules.timers.confirm_ms);
    making.due(until, desk.group.as_of_ms);
    if desk.group.as_of_ms < until {
        return Ok(());
    }
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let sentence = format!(
        "Refund {} of {} was promised at the till; {} has not made it.",
        claim.reference, claim.money, desk.account.name
    );
    let owed = Account::plain(Chart::RefundPayable);
    let found = Break::new(
        BreakClass::RefundMissing,
        keys_text(&book, &[&claim.reference]),
        sentence,
    )
    .amounting(money(claim.money.currency), claim.money.minor, Some(owed))
    .evident(evidence(Some(&claim), &[]));
    desk.trouble(at, &found);
    making.name(cause, &book, found);
    Ok(())
}

/// A refund made at the provider's own desk (R23 and R25 from the object), or of a second charge
/// (R17).
fn elsewhere(desk: &mut Desk<'_>, making: &mut Making, object: usize) -> Result<(), EntryFault> {
    let told = desk.objects[object].clone();
    let (book, cause) = (desk.book_of(object), desk.cause(told.fact));
    let unit = money(told.money.currency);
    let paid = i128::from(told.money.minor);
    let of_double = desk
        .parent_of(object)
        .is_some_and(|payment| desk.doubles[payment].is_some());
    let (from, rule) = match of_double {
        true => (Chart::CustomerOvercharge, Rule::SecondChargeBack),
        false => (Chart::Returns, Rule::RefundElsewhere),
    };
    if !of_double {
        let sentence = format!(
            "{} gave back {} as {}; no till asked for it.",
            desk.account.name, told.money, told.id
        );
        let found = Break::new(
            BreakClass::RefundUnclaimed,
            keys_text(&book, &[&told.account, &told.id]),
            sentence,
        )
        .amounting(unit.clone(), told.money.minor, None)
        .evident(evidence(None, &[&told]));
        making.name(cause, &book, found);
    }
    let legs = Vec::from([
        (Account::plain(from), unit.clone(), paid),
        (desk.at(Chart::PspPending), unit, -paid),
    ]);
    making.post(cause, &book, rule, told.occurred_ms, legs)
}

/// More was given back of a payment than was taken.
fn beyond(desk: &mut Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    let mut sums: BTreeMap<usize, i128> = BTreeMap::new();
    for object in 0..desk.objects.len() {
        let told = &desk.objects[object];
        if told.kind == ObjectKind::Refund
            && told.succeeded()
            && let Some(payment) = desk.parent_of(object)
            && desk.objects[payment].money.currency == told.money.currency
        {
            *sums.entry(payment).or_default() += i128::from(told.money.minor);
        }
    }
    for (payment, sum) in sums {
        let told = desk.objects[payment].clone();
        let excess = sum - i128::from(told.money.minor);
        if excess <= 0 || !told.succeeded() || desk.doubles[payment].is_some() {
            continue;
        }
        let (book, excess) = (desk.book_of(payment), fit(excess)?);
        let unit = money(told.money.currency);
        let cause = desk.cause(FactId::of("beyond", &[&told.fact.0]));
        let sentence = format!(
            "{} gave back {} more of {} than it had taken.",
            desk.account.name,
            Money::new(excess, told.money.currency),
            told.id
        );
        let found = Break::new(
            BreakClass::OverRefund,
            keys_text(&book, &[&told.account, &told.id]),
            sentence,
        )
        .suspended(unit.clone(), -excess)
        .evident(evidence(None, &[&told]));
        let legs = Vec::from([
            suspense(&found, unit.clone(), -i128::from(excess)),
            (Account::plain(Chart::Returns), unit, -i128::from(excess)),
        ]);
        making.name(cause, &book, found);
        making.post(cause, &book, Rule::RefundElsewhere, told.occurred_ms, legs)?;
    }
    Ok(())
}

/// What was given back of a payment by refunds the provider made, minor units.
pub(super) fn given_back(desk: &Desk<'_>, payment: usize) -> i64 {
    let of = (0..desk.objects.len()).filter(|object| {
        let told = &desk.objects[*object];
        told.kind == ObjectKind::Refund
            && told.succeeded()
            && told.money.currency == desk.objects[payment].money.currency
            && desk.parent_of(*object) == Some(payment)
    });
    of.map(|object| desk.objects[object].money.minor)
        .fold(0, i64::saturating_add)
}

/// What went back to the buyer of a claim without its till's telling.
pub(super) fn back(desk: &Desk<'_>, claim: usize) -> Vec<Back> {
    let Some(payment) = desk.pairs[claim] else {
        return Vec::new();
    };
    let unasked = (0..desk.objects.len()).filter(|object| {
        let told = &desk.objects[*object];
        desk.taken[*object].is_none()
            && told.kind == ObjectKind::Refund
            && told.succeeded()
            && told.money.currency == desk.claims[claim].money.currency
            && desk.parent_of(*object) == Some(payment)
    });
    let refunds = unasked.map(|object| Back {
        at_ms: desk.objects[object].occurred_ms,
        amount: desk.objects[object].money.minor,
        dispute: false,
    });
    let mut all: Vec<Back> = refunds
        .chain(super::disputes::back(desk, claim, payment))
        .collect();
    all.sort_unstable();
    all
}
