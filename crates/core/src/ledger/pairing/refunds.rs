//! Refunds: what tills ask against what providers did, and what providers did without being asked.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::matching::told;
use super::parties::{Asked, Object};
use super::payments::{explains, in_gap};
use super::table::{Age, Amounts, Case, Row, Said, Told, row};
use super::{Desk, Stands, money, object_keys, plain, suspend, title};
use crate::ledger::breaks::{Break, BreakClass};
use crate::ledger::entry::{EntryFault, Rule};
use crate::ledger::group::{Legs, fit};
use crate::ledger::post::{position_text, undone};
use crate::ledger::sale::Back;
use crate::ledger::{Account, Chart};
use crate::money::{Currency, Money};
use crate::provider::{ObjectKind, ObjectState};

pub(super) fn evaluate(desk: &mut Desk<'_, '_>) -> Result<(), EntryFault> {
    for at in 0..desk.parties.asked.len() {
        asked(desk, at)?;
    }
    let of_kind = |kind| {
        let objects = desk.parties.objects.iter().enumerate();
        let found = objects.filter(|(_, one)| one.kind == kind);
        found.map(|(of, _)| of).collect::<Vec<_>>()
    };
    let (refunds, payments) = (of_kind(ObjectKind::Refund), of_kind(ObjectKind::Payment));
    for of in refunds {
        if desk.pairs.of_object[of].is_none() {
            unasked(desk, of)?;
        }
    }
    // Only now is it known which of them went back for what.
    for of in payments {
        excess(desk, of)?;
    }
    Ok(())
}

fn keys(asked: &Asked<'_>) -> Vec<alloc::string::String> {
    [
        asked.fact.popup.to_string(),
        asked.refund.refund.to_string(),
    ]
    .into()
}

fn asked(desk: &mut Desk<'_, '_>, at: usize) -> Result<(), EntryFault> {
    let asked = &desk.parties.asked[at];
    if asked.account.is_none() {
        return Ok(());
    }
    let other = desk.pairs.asked_others[at].first().copied();
    let paired = desk.pairs.of_asked[at];
    let object = paired.or(other).map(|of| &desk.parties.objects[of]);
    let told = object.map_or(Told::Nothing, told);
    // A provider that knows of the refund may take its time.
    let timers = &desk.group.rules.timers;
    let wait = match told {
        Told::Pending => timers.settle_ms,
        Told::Nothing | Told::Declined | Told::Success => timers.confirm_ms,
    };
    let over = asked.fact.occurred_ms + wait;
    let waits = !matches!(told, Told::Declined | Told::Success);
    let amounts = match object {
        Some(object) if object.currency != asked.refund.currency => Amounts::OtherCurrency,
        Some(object) if object.amount() != i128::from(asked.refund.amount.0) => Amounts::Other,
        Some(_) | None => Amounts::Equal,
    };
    let row = row(&Case {
        said: Said::Online,
        told,
        amounts,
        again: false,
        in_gap: false,
        age: match waits && !desk.is_over(over) {
            true => Age::Young,
            false => Age::Over,
        },
    });
    match (row, object) {
        (
            Row::Paired | Row::PairedAgain | Row::Partial | Row::OtherAmount | Row::OtherCurrency,
            Some(object),
        ) => {
            if let Some(of) = paired {
                desk.stands[of] = Stands::Confirmed;
            }
            confirm(desk, asked, object)
        }
        (Row::Declined, Some(object)) => undone_at_provider(desk, asked, object),
        (Row::Missing, _) => {
            missing(desk, asked);
            Ok(())
        }
        (_, _) => Ok(()),
    }
}

/// R25: the refund is done; what differs is suspense.
fn confirm(desk: &mut Desk<'_, '_>, asked: &Asked<'_>, object: &Object) -> Result<(), EntryFault> {
    let (claimed, gone) = (i128::from(asked.refund.amount.0), object.amount());
    let (ours, theirs) = (asked.refund.currency, object.currency);
    let mut legs: Legs = [
        (plain(Chart::RefundPayable), money(ours), claimed),
        (plain(Chart::PspPending), money(theirs), -gone),
    ]
    .into();
    let sentence = format!(
        "Refund {}: the till gave {} back, {} gave {}.",
        asked.refund.refund,
        Money::new(asked.refund.amount.0, ours),
        title(&object.place.0),
        Money::new(object.merged.object.amount, theirs)
    );
    let evidence = [object.id().to_string(), position_text(asked.fact)];
    let mut differ = |class, currency: Currency, amount: i128| {
        let mut keys = keys(asked);
        keys.push(object.id().to_string());
        if class == BreakClass::OtherCurrency {
            keys.push(currency.to_string());
        }
        let found = Break::new(class, keys, sentence.clone()).evident(evidence.to_vec());
        let (account, found) = suspend(found, currency, amount)?;
        legs.push((account, money(currency), -amount));
        Ok::<Break, EntryFault>(found)
    };
    let found = if ours != theirs {
        [
            differ(BreakClass::OtherCurrency, theirs, -gone)?,
            differ(BreakClass::OtherCurrency, ours, claimed)?,
        ]
        .into()
    } else if claimed != gone {
        [differ(BreakClass::OtherAmount, ours, claimed - gone)?].into()
    } else {
        Vec::new()
    };
    let (fact, book) = (asked.fact, &asked.fact.popup);
    desk.post(fact.id, book, Rule::RefundConfirmed, object.at_ms(), legs)?;
    for one in found {
        desk.name(fact.id, book, one);
    }
    Ok(())
}

/// A refund that failed or was canceled: it is owed again.
fn undone_at_provider(
    desk: &mut Desk<'_, '_>,
    asked: &Asked<'_>,
    object: &Object,
) -> Result<(), EntryFault> {
    let failed = object.state() == Some(ObjectState::Failed);
    let (fact, book) = (asked.fact, &asked.fact.popup);
    if object.merged.was(ObjectState::Succeeded) {
        done_and_undone(desk, fact.id, book, object)?;
    }
    let amount = Money::new(asked.refund.amount.0, asked.refund.currency);
    let (class, sentence) = match failed {
        true => (
            BreakClass::RefundFailed,
            format!(
                "Refund {} of {amount} failed at {}; the buyer still waits for it.",
                asked.refund.refund,
                title(&object.place.0)
            ),
        ),
        false => (
            BreakClass::RefundMissing,
            format!(
                "Refund {} of {amount} was canceled at {}; the buyer still waits for it.",
                asked.refund.refund,
                title(&object.place.0)
            ),
        ),
    };
    let found = Break::new(class, keys(asked), sentence)
        .amounting(
            money(asked.refund.currency),
            asked.refund.amount.0,
            Some(plain(Chart::RefundPayable)),
        )
        .evident([object.id().to_string(), position_text(fact)].into());
    desk.name(fact.id, book, found);
    Ok(())
}

/// R25 both ways: the books remember that it was done.
fn done_and_undone(
    desk: &mut Desk<'_, '_>,
    fact: crate::ledger::FactId,
    book: &crate::id::PopupId,
    object: &Object,
) -> Result<(), EntryFault> {
    for sign in [1, -1] {
        let amount = object.amount() * sign;
        let legs = [
            (plain(Chart::RefundPayable), money(object.currency), amount),
            (plain(Chart::PspPending), money(object.currency), -amount),
        ];
        desk.post(
            fact,
            book,
            Rule::RefundConfirmed,
            object.at_ms(),
            legs.into(),
        )?;
    }
    Ok(())
}

fn missing(desk: &mut Desk<'_, '_>, asked: &Asked<'_>) {
    let refund = asked.refund;
    let sentence = format!(
        "Refund {} of {} was promised, but the provider made none; the buyer still waits for it.",
        refund.refund,
        Money::new(refund.amount.0, refund.currency)
    );
    let found = Break::new(BreakClass::RefundMissing, keys(asked), sentence)
        .amounting(
            money(refund.currency),
            refund.amount.0,
            Some(plain(Chart::RefundPayable)),
        )
        .evident([position_text(asked.fact)].into());
    desk.name(asked.fact.id, &asked.fact.popup, found);
}

/// A refund made at the provider itself: the books follow it (R23, R25).
fn unasked(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let failed =
        object.state() == Some(ObjectState::Failed) && object.merged.was(ObjectState::Succeeded);
    if told(object) != Told::Success && !failed {
        return Ok(());
    }
    match object.parent.map(|at| desk.stands[at]) {
        // Taken off with the payment it gives back.
        Some(Stands::Double | Stands::Unclaimed) if !failed => {
            desk.stands[of] = Stands::Confirmed;
            return Ok(());
        }
        Some(Stands::Parked) => {
            desk.stands[of] = Stands::Parked;
            return Ok(());
        }
        Some(Stands::Double | Stands::Unclaimed | Stands::Confirmed | Stands::Nowhere) | None => {}
    }
    if !desk.is_over(object.at_ms() + desk.group.rules.timers.unclaimed_ms) {
        desk.stands[of] = Stands::Parked;
        return Ok(());
    }
    desk.stands[of] = Stands::Confirmed;
    let (amount, currency, book) = (object.amount(), object.currency, desk.books[of].clone());
    let (anchor, at_ms) = (object.anchor, object.at_ms());
    let owed = plain(Chart::RefundPayable);
    let mut legs: Legs = undone_sale(desk, of);
    legs.push((owed.clone(), money(currency), -amount));
    desk.post(anchor, &book, Rule::Refund, at_ms, legs)?;
    if failed {
        done_and_undone(desk, anchor, &book, object)?;
        let sentence = format!(
            "Refund {} of {} failed at {}; the buyer still waits for it.",
            object.id(),
            Money::new(fit(amount)?, currency),
            title(&object.place.0)
        );
        let found = Break::new(BreakClass::RefundFailed, object_keys(object), sentence)
            .amounting(money(currency), fit(amount)?, Some(owed))
            .evident(object.names());
        desk.name_of(of, found);
    } else {
        let legs = [
            (owed, money(currency), amount),
            (plain(Chart::PspPending), money(currency), -amount),
        ];
        desk.post(anchor, &book, Rule::RefundConfirmed, at_ms, legs.into())?;
    }
    if let Some(gap) = in_gap(desk, of).filter(|_| !failed) {
        let object = &desk.parties.objects[of];
        let sentence = format!(
            "{} refunded {} for a record that {} lost.",
            title(&object.place.0),
            Money::new(fit(amount)?, currency),
            gap.place.rig
        );
        return explains(desk, of, &gap, -amount, None, sentence);
    }
    let sentence = format!(
        "{} refunded {} ({}), and no till tells of it.",
        title(&object.place.0),
        Money::new(fit(amount)?, currency),
        object.id()
    );
    let found = Break::new(BreakClass::RefundUnclaimed, object_keys(object), sentence)
        .amounting(money(currency), fit(amount)?, None)
        .evident(object.names());
    desk.name_of(of, found);
    Ok(())
}

/// What of the sale such a refund undoes, after all that tills and earlier such refunds undid; all
/// returns where nobody knows the sale.
fn undone_sale(desk: &mut Desk<'_, '_>, of: usize) -> Legs {
    let (parties, pairs) = (desk.parties, desk.pairs);
    let object = &parties.objects[of];
    let amount = object.amount();
    let sale = object.parent.and_then(|at| pairs.of_object[at]);
    let known = sale
        .map(|at| (at, &parties.claims[at]))
        .filter(|(_, claim)| claim.sale.currency == object.currency);
    let Some((at, claim)) = known else {
        return [(plain(Chart::Returns), money(object.currency), amount)].into();
    };
    let by_tills = (parties.asked.iter())
        .filter(|asked| asked.sale == Some(at))
        .map(|asked| i128::from(asked.refund.amount.0));
    let earlier = (parties.objects.iter().enumerate())
        .filter(|(other, one)| {
            one.kind == ObjectKind::Refund
                && one.parent == object.parent
                && pairs.of_object[*other].is_none()
                && told(one) == Told::Success
                && one.order() < object.order()
        })
        .map(|(_, one)| one.amount());
    let before: i128 = by_tills.chain(earlier).sum();
    let card = desk.group.around.stock().card(claim.fact);
    if told(object) == Told::Success {
        desk.back.entry(at).or_default().push(Back {
            at_ms: object.at_ms(),
            amount: object.merged.object.amount,
            dispute: false,
        });
    }
    undone(claim.fact, claim.sale, card.commerce(), (before, amount))
}

/// More went back than was taken.
fn excess(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let from: Account = match desk.stands[of] {
        Stands::Confirmed => plain(Chart::Returns),
        Stands::Double | Stands::Unclaimed => plain(Chart::PspPending),
        Stands::Parked | Stands::Nowhere => return Ok(()),
    };
    let refunds = (desk.parties.objects.iter().enumerate()).filter(|(at, one)| {
        one.kind == ObjectKind::Refund
            && one.parent == Some(of)
            && one.currency == object.currency
            && one.state() == Some(ObjectState::Succeeded)
            && desk.stands[*at] == Stands::Confirmed
    });
    let back: i128 = refunds.map(|(_, one)| one.amount()).sum();
    let beyond = back - object.amount();
    if beyond <= 0 {
        return Ok(());
    }
    let (currency, book) = (object.currency, desk.books[of].clone());
    let sentence = format!(
        "{} was refunded {} more than was paid.",
        object.id(),
        Money::new(fit(beyond)?, currency)
    );
    let found =
        Break::new(BreakClass::OverRefund, object_keys(object), sentence).evident(object.names());
    let (account, found) = suspend(found, currency, -beyond)?;
    let legs = [
        (account, money(currency), beyond),
        (from, money(currency), -beyond),
    ];
    desk.post(
        object.anchor,
        &book,
        Rule::Refund,
        object.at_ms(),
        legs.into(),
    )?;
    desk.name_of(of, found);
    Ok(())
}
