//! Captures: a claim with its object, a claim alone, an object alone.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::matching::told;
use super::parties::{Claim, Object};
use super::table::{Age, Amounts, Case, Row, Said, Told, row};
use super::{Desk, Stands, claim_keys, money, object_keys, plain, suspend, title};
use crate::id::{PopupId, Position};
use crate::ledger::breaks::{Break, BreakClass};
use crate::ledger::entry::{EntryFault, Rule};
use crate::ledger::gap::{self, Explained, Unclaimed};
use crate::ledger::group::{Legs, fit};
use crate::ledger::post::position_text;
use crate::ledger::{Account, Chart};
use crate::limits::STUCK_AFTER_MS;
use crate::money::Money;
use crate::provider::reference::{Reference, safe_until_ms};
use crate::provider::{ObjectKind, ObjectState};

pub(super) fn evaluate(desk: &mut Desk<'_, '_>) -> Result<(), EntryFault> {
    for at in 0..desk.parties.claims.len() {
        claim(desk, at)?;
    }
    for of in 0..desk.parties.objects.len() {
        if desk.parties.objects[of].kind == ObjectKind::Payment {
            alone(desk, of)?;
            other_popup(desk, of)?;
        }
    }
    Ok(())
}

/// A reference was minted for one popup and its sale told of another.
fn other_popup(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let Some(at) = desk.pairs.of_object[of] else {
        return Ok(());
    };
    let (object, claim) = (&desk.parties.objects[of], &desk.parties.claims[at]);
    let told = &claim.fact.popup;
    let named = (object.merged.object.stamps.iter())
        .filter_map(|stamp| desk.group.around.popup_of(stamp))
        .find(|popup| popup != told);
    let Some(named) = named else {
        return Ok(());
    };
    let sentence = format!(
        "Order {}: {} was paid to {} for popup {named}, but the till tells it as a sale of {told}, \
         where it is counted.",
        claim.sale.order,
        Money::new(object.merged.object.amount, object.currency),
        title(&object.place.0)
    );
    let evidence = [
        object.id().to_string(),
        position_text(claim.fact),
        told.to_string(),
        named.to_string(),
    ];
    let found = Break::new(BreakClass::OtherPopup, object_keys(object), sentence)
        .amounting(
            money(object.currency),
            fit(object.amount())?,
            Some(plain(Chart::PspPending)),
        )
        .evident(evidence.into());
    let (fact, book) = (claim.fact.id, told.clone());
    desk.name(fact, &book, found);
    Ok(())
}

/// Where a claim's money stands until it is confirmed.
fn standing(claim: &Claim<'_>) -> Account {
    let of = match claim.sale.offline {
        Some(true) => Chart::OfflineStored,
        Some(false) | None => Chart::EdgeCaptured,
    };
    let provider = claim.sale.provider.as_ref().map(|name| name.as_str());
    Account::at_provider(of, &claim.fact.position.rig, provider)
}

/// How a claim's money compares with its object's.
fn amounts(claim: &Claim<'_>, object: &Object) -> Amounts {
    let (claimed, taken) = (i128::from(claim.sale.amount.0), object.amount());
    let promised = i128::from(object.merged.object.authorised);
    if claim.sale.currency != object.currency {
        Amounts::OtherCurrency
    } else if claimed == taken {
        Amounts::Equal
    } else if taken < promised && taken < claimed {
        Amounts::Partial
    } else {
        Amounts::Other
    }
}

fn case(desk: &mut Desk<'_, '_>, at: usize) -> Case {
    let (parties, pairs) = (desk.parties, desk.pairs);
    let claim = &parties.claims[at];
    let offline = claim.sale.offline == Some(true);
    let said = match (claim.cash, claim.account) {
        (true, _) => Said::Cash,
        (false, None) => Said::Unchecked,
        (false, Some(_)) if offline => Said::Offline,
        (false, Some(_)) => Said::Online,
    };
    let best = (pairs.others[at].iter())
        .map(|of| told(&parties.objects[*of]))
        .max();
    let paired = pairs.of_claim[at].map(|of| &parties.objects[of]);
    let waits = paired.is_none() && best != Some(Told::Declined);
    Case {
        said,
        told: paired.map_or(best.unwrap_or(Told::Nothing), |_| Told::Success),
        amounts: paired.map_or(Amounts::Equal, |object| amounts(claim, object)),
        again: pairs.double_of.contains(&Some(at)),
        in_gap: false,
        age: match said {
            Said::Online if waits => {
                let over = claim.fact.occurred_ms + desk.group.rules.timers.confirm_ms;
                if desk.is_over(over) {
                    Age::Over
                } else {
                    Age::Young
                }
            }
            Said::Offline if waits => stored_age(desk, claim),
            Said::Online | Said::Offline | Said::Nothing | Said::Unchecked | Said::Cash => {
                Age::Young
            }
        },
    }
}

/// How much of its life a stored payment has behind it. Once everything of its rig has arrived, an
/// object should have come too.
fn stored_age(desk: &mut Desk<'_, '_>, claim: &Claim<'_>) -> Age {
    let since = claim.fact.occurred_ms;
    let caught_up =
        (desk.group.around.caught_up_ms(&claim.fact.position.rig)).filter(|at_ms| *at_ms >= since);
    let sent = caught_up.is_some_and(|at_ms| desk.is_over(at_ms + STUCK_AFTER_MS));
    let life = claim.account.map_or(0, |account| account.offline_life_ms);
    if life <= 0 {
        return if sent { Age::Over } else { Age::Young };
    }
    let late = desk.is_over(since + life / 4 * 3);
    let over = desk.is_over(since + life);
    match (over || sent, late) {
        (true, _) => Age::Over,
        (false, true) => Age::Late,
        (false, false) => Age::Young,
    }
}

fn claim(desk: &mut Desk<'_, '_>, at: usize) -> Result<(), EntryFault> {
    let case = case(desk, at);
    let row = row(&case);
    desk.rows.push(row);
    let claim = &desk.parties.claims[at];
    match row {
        Row::NotChecked
        | Row::Cash
        | Row::GapExplained
        | Row::Parked
        | Row::Unclaimed
        | Row::Idle => Ok(()),
        Row::Paired | Row::PairedAgain | Row::Partial | Row::OtherAmount | Row::OtherCurrency => {
            confirm(desk, at, case.amounts)
        }
        Row::Declined | Row::Missing => {
            unconfirmed(desk, claim, row == Row::Declined)?;
            key_expired(desk, claim, row)
        }
        Row::OfflineDeclined => offline_lost(desk, claim),
        Row::Pending | Row::Exposed => key_expired(desk, claim, row),
        Row::Expiring | Row::Stuck => {
            stored(desk, claim, row == Row::Stuck);
            key_expired(desk, claim, row)
        }
    }
}

/// R15: the object confirms the claim; what differs is suspense.
fn confirm(desk: &mut Desk<'_, '_>, at: usize, how: Amounts) -> Result<(), EntryFault> {
    let (parties, claim) = (desk.parties, &desk.parties.claims[at]);
    let Some(of) = desk.pairs.of_claim[at] else {
        return Ok(());
    };
    let object = &parties.objects[of];
    desk.stands[of] = Stands::Confirmed;
    let (claimed, taken) = (i128::from(claim.sale.amount.0), object.amount());
    let (theirs, ours) = (object.currency, claim.sale.currency);
    let mut legs: Legs = [
        (plain(Chart::PspPending), money(theirs), taken),
        (standing(claim), money(ours), -claimed),
    ]
    .into();
    let said = Money::new(claim.sale.amount.0, ours);
    let has = Money::new(object.merged.object.amount, theirs);
    let (order, provider) = (&claim.sale.order, title(&object.place.0));
    let evidence = [object.id().to_string(), position_text(claim.fact)];
    let mut differ = |class, sentence: String, currency, amount: i128| {
        let keys = [claim_keys(claim), [String::from(object.id())].into()].concat();
        let mut keys = keys;
        if class == BreakClass::OtherCurrency {
            keys.push(money(currency).to_string());
        }
        let found = Break::new(class, keys, sentence).evident(evidence.to_vec());
        let (account, found) = suspend(found, currency, amount)?;
        legs.push((account, money(currency), -amount));
        Ok(found)
    };
    let mut found = Vec::new();
    match how {
        Amounts::Equal => {}
        Amounts::Partial => found.push(differ(
            BreakClass::PartialCapture,
            format!(
                "Order {order}: the till took {said}, but {provider} captured only {has} of what \
                 was authorised."
            ),
            ours,
            taken - claimed,
        )?),
        Amounts::Other => found.push(differ(
            BreakClass::OtherAmount,
            format!("Order {order}: the till took {said}, {provider} has {has}."),
            ours,
            taken - claimed,
        )?),
        Amounts::OtherCurrency => {
            let sentence = format!(
                "Order {order}: the till took {said}, {provider} has {has}, another currency."
            );
            found.push(differ(
                BreakClass::OtherCurrency,
                sentence.clone(),
                theirs,
                taken,
            )?);
            found.push(differ(BreakClass::OtherCurrency, sentence, ours, -claimed)?);
        }
    }
    desk.post(
        claim.fact.id,
        &claim.fact.popup,
        Rule::Confirmed,
        object.at_ms(),
        legs,
    )?;
    for one in found {
        desk.name(claim.fact.id, &claim.fact.popup, one);
    }
    Ok(())
}

/// R19: the provider declined the claim, or knows nothing of it.
fn unconfirmed(
    desk: &mut Desk<'_, '_>,
    claim: &Claim<'_>,
    declined: bool,
) -> Result<(), EntryFault> {
    let amount = i128::from(claim.sale.amount.0);
    let (currency, order) = (claim.sale.currency, &claim.sale.order);
    let said = Money::new(claim.sale.amount.0, currency);
    let (class, sentence) = match declined {
        true => (
            BreakClass::Declined,
            format!("Order {order}: the till took {said} for paid, but the provider declined it."),
        ),
        false => (
            BreakClass::Missing,
            format!(
                "Order {order}: the till says {said} was paid, but the provider has no such \
                 payment ({}).",
                claim.sale.payment
            ),
        ),
    };
    let found =
        Break::new(class, claim_keys(claim), sentence).evident([position_text(claim.fact)].into());
    let (account, found) = suspend(found, currency, -amount)?;
    let legs = [
        (account, money(currency), amount),
        (standing(claim), money(currency), -amount),
    ];
    let (fact, book) = (claim.fact, &claim.fact.popup);
    desk.post(
        fact.id,
        book,
        Rule::Unconfirmed,
        fact.occurred_ms,
        legs.into(),
    )?;
    desk.name(fact.id, book, found);
    Ok(())
}

/// R26: a stored payment that the provider declined or let expire. The goods stay sold.
fn offline_lost(desk: &mut Desk<'_, '_>, claim: &Claim<'_>) -> Result<(), EntryFault> {
    let currency = claim.sale.currency;
    let amount = i128::from(claim.sale.amount.0);
    let legs = [
        (plain(Chart::OfflineLoss), money(currency), amount),
        (standing(claim), money(currency), -amount),
    ];
    let sentence = format!(
        "Order {}: {} was taken offline on {}, and the provider declined it later.",
        claim.sale.order,
        Money::new(claim.sale.amount.0, currency),
        claim.fact.position.rig
    );
    let found = Break::new(BreakClass::OfflineDeclined, claim_keys(claim), sentence)
        .amounting(
            money(currency),
            claim.sale.amount.0,
            Some(plain(Chart::OfflineLoss)),
        )
        .evident([position_text(claim.fact)].into());
    let (fact, book) = (claim.fact, &claim.fact.popup);
    desk.post(
        fact.id,
        book,
        Rule::OfflineLost,
        fact.occurred_ms,
        legs.into(),
    )?;
    desk.name(fact.id, book, found);
    Ok(())
}

/// A stored payment that is about to be lost, or is.
fn stored(desk: &mut Desk<'_, '_>, claim: &Claim<'_>, stuck: bool) {
    let (rig, order) = (&claim.fact.position.rig, &claim.sale.order);
    let said = Money::new(claim.sale.amount.0, claim.sale.currency);
    let (class, sentence) = match stuck {
        true => (
            BreakClass::OfflineStuck,
            format!("{rig} stored {said} of order {order}, and it never reached the provider."),
        ),
        false => (
            BreakClass::OfflineExpiring,
            format!(
                "{rig} still stores {said} of order {order}; the provider will soon refuse it."
            ),
        ),
    };
    let found = Break::new(class, claim_keys(claim), sentence)
        .amounting(
            money(claim.sale.currency),
            claim.sale.amount.0,
            Some(standing(claim)),
        )
        .evident([position_text(claim.fact)].into());
    desk.name(claim.fact.id, &claim.fact.popup, found);
}

/// A minted reference protects a repeated request only for some hours.
fn key_expired(desk: &mut Desk<'_, '_>, claim: &Claim<'_>, row: Row) -> Result<(), EntryFault> {
    let minted = Reference::read(claim.sale.payment.as_str()).is_some();
    if !minted || row == Row::Declined || !desk.is_over(safe_until_ms(claim.fact.occurred_ms)) {
        return Ok(());
    }
    let said = Money::new(claim.sale.amount.0, claim.sale.currency);
    let sentence = format!(
        "Order {}: {said} is unconfirmed for more than 20 hours; trying it again could charge the \
         buyer twice.",
        claim.sale.order
    );
    let mut found = Break::new(BreakClass::KeyExpired, claim_keys(claim), sentence)
        .evident([position_text(claim.fact)].into());
    // Of a missing claim the amount already stands in that break's suspense.
    if row != Row::Missing {
        let amount = fit(i128::from(claim.sale.amount.0))?;
        found = found.amounting(money(claim.sale.currency), amount, Some(standing(claim)));
    }
    desk.name(claim.fact.id, &claim.fact.popup, found);
    Ok(())
}

/// An object that is nobody's first payment.
fn alone(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    if desk.pairs.of_object[of].is_some() {
        return Ok(());
    }
    if let Some(at) = desk.pairs.double_of[of] {
        let claim = &desk.parties.claims[at];
        let what = format!("Order {}", claim.sale.order);
        let evidence = [claim.sale.payment.to_string(), position_text(claim.fact)];
        return double(desk, of, &what, evidence.into());
    }
    let gap = in_gap(desk, of);
    if let Some(gap) = &gap
        && is_charged_before(desk, of, &gap.stamp)
    {
        desk.books[of] = gap.popup.clone();
        let what = format!("A sale that {} lost", gap.place.rig);
        return double(desk, of, &what, [gap.stamp.clone()].into());
    }
    let over = object.at_ms() + desk.group.rules.timers.unclaimed_ms;
    let told = told(object);
    let waits = told == Told::Success && gap.is_none();
    let row = row(&Case {
        said: Said::Nothing,
        told,
        amounts: Amounts::Equal,
        again: false,
        in_gap: gap.is_some(),
        age: match waits && !desk.is_over(over) {
            true => Age::Young,
            false => Age::Over,
        },
    });
    match (row, gap) {
        (Row::GapExplained, Some(gap)) => gap_explained(desk, of, &gap),
        (Row::Parked, _) => {
            desk.stands[of] = Stands::Parked;
            Ok(())
        }
        (Row::Unclaimed, _) => unclaimed(desk, of),
        (_, _) => Ok(()),
    }
}

/// A lost range that an object's reference points to.
pub(super) struct InGap {
    pub(super) stamp: String,
    pub(super) place: Position,
    pub(super) popup: PopupId,
}

/// The lost range that an object may be told by, if any.
pub(super) fn in_gap(desk: &Desk<'_, '_>, of: usize) -> Option<InGap> {
    let around = desk.group.around;
    (desk.parties.objects[of].merged.object.stamps.iter()).find_map(|stamp| {
        Some(InGap {
            stamp: stamp.clone(),
            place: around.gap_at(stamp)?,
            popup: around.popup_of(stamp)?,
        })
    })
}

/// Whether an earlier charge on the same reference already stands for the lost record.
fn is_charged_before(desk: &Desk<'_, '_>, of: usize, stamp: &str) -> bool {
    let own = &desk.parties.objects[of];
    told(own) == Told::Success
        && (desk.parties.objects.iter()).any(|other| {
            other.kind == own.kind
                && other.place == own.place
                && other.order() < own.order()
                && told(other) == Told::Success
                && other.merged.object.stamps.iter().any(|one| one == stamp)
        })
}

/// R51: a lost record's payment, known by what the provider tells.
fn gap_explained(desk: &mut Desk<'_, '_>, of: usize, gap: &InGap) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let (currency, amount) = (object.currency, object.amount());
    desk.stands[of] = Stands::Confirmed;
    desk.books[of] = gap.popup.clone();
    let sentence = format!(
        "{} has {} for a record that {} lost; it now counts as a sale.",
        title(&object.place.0),
        Money::new(object.merged.object.amount, currency),
        gap.place.rig
    );
    let legs = [
        (plain(Chart::PspPending), money(currency), amount),
        (plain(Chart::Sales), money(currency), -amount),
    ];
    let (anchor, at_ms) = (object.anchor, object.at_ms());
    desk.post(anchor, &gap.popup, Rule::GapExplained, at_ms, legs.into())?;
    explains(desk, of, gap, amount, Some(plain(Chart::Sales)), sentence)
}

/// Names what explains a lost range, and tells the range of it: so much of its value is no loss.
pub(super) fn explains(
    desk: &mut Desk<'_, '_>,
    of: usize,
    gap: &InGap,
    amount: i128,
    held_in: Option<Account>,
    sentence: String,
) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let place = &gap.place;
    let (amount, currency) = (fit(amount)?, object.currency);
    let evidence = [
        object.id().to_string(),
        gap.stamp.clone(),
        format!("{}/{}/{}", place.rig, place.epoch, place.seq),
    ];
    let word = Explained {
        seq: place.seq.0,
        object: object.id().to_string(),
        book: gap.popup.to_string(),
        amount,
        currency,
    };
    let cause = desk.cause(object.anchor);
    let found = Break::new(BreakClass::GapExplained, object_keys(object), sentence)
        .amounting(money(currency), amount, held_in)
        .evident(evidence.into());
    let to = gap::key(&place.rig, place.epoch.0);
    desk.making.tell(cause, &word.object, to, word.encode());
    desk.name_of(of, found);
    Ok(())
}

/// What went back of a payment by refunds that no till tells of.
pub(super) fn given_back(desk: &Desk<'_, '_>, of: usize) -> i128 {
    let objects = desk.parties.objects.iter().enumerate();
    objects
        .filter(|(at, one)| {
            one.kind == ObjectKind::Refund
                && one.parent == Some(of)
                && desk.pairs.of_object[*at].is_none()
                && one.state() == Some(ObjectState::Succeeded)
                && one.currency == desk.parties.objects[of].currency
        })
        .map(|(_, one)| one.amount())
        .sum()
}

/// R16, R17: the buyer was charged again; until it goes back it is owed.
fn double(
    desk: &mut Desk<'_, '_>,
    of: usize,
    what: &str,
    mut evidence: Vec<String>,
) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let (currency, amount) = (object.currency, object.amount());
    let book = desk.books[of].clone();
    let owed = plain(Chart::CustomerOvercharge);
    desk.stands[of] = Stands::Double;
    let legs = [
        (plain(Chart::PspPending), money(currency), amount),
        (owed.clone(), money(currency), -amount),
    ];
    let (anchor, at_ms) = (object.anchor, object.at_ms());
    desk.post(anchor, &book, Rule::SecondCharge, at_ms, legs.into())?;
    let back = given_back(desk, of).min(amount);
    let legs = [
        (owed.clone(), money(currency), back),
        (plain(Chart::PspPending), money(currency), -back),
    ];
    desk.post(anchor, &book, Rule::SecondChargeBack, at_ms, legs.into())?;
    if back < amount {
        let left = fit(amount - back)?;
        let sentence = format!(
            "{what} was charged more than once: {} of {} is owed back to the customer ({}).",
            Money::new(left, currency),
            title(&object.place.0),
            object.id()
        );
        evidence.push(object.id().to_string());
        let found = Break::new(BreakClass::Double, object_keys(object), sentence)
            .amounting(money(currency), left, Some(owed))
            .evident(evidence);
        desk.name_of(of, found);
    }
    Ok(())
}

/// R18: money that no till tells of, less what somebody already gave back.
fn unclaimed(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let (currency, amount) = (object.currency, object.amount());
    let left = amount - given_back(desk, of).min(amount);
    desk.stands[of] = Stands::Unclaimed;
    if left == 0 {
        return Ok(());
    }
    let book = desk.books[of].clone();
    let sentence = format!(
        "{} took {} ({}), and no till tells of it.",
        title(&object.place.0),
        Money::new(fit(left)?, currency),
        object.id()
    );
    let stamps = object.merged.object.stamps.iter().cloned();
    let evidence: Vec<String> = stamps.chain(object.names()).collect();
    let found = Break::new(BreakClass::Unclaimed, object_keys(object), sentence);
    let (account, found) = suspend(found.evident(evidence), currency, left)?;
    let legs = [
        (plain(Chart::PspPending), money(currency), left),
        (account, money(currency), -left),
    ];
    let (anchor, at_ms) = (object.anchor, object.at_ms());
    desk.post(anchor, &book, Rule::Unclaimed, at_ms, legs.into())?;
    may_be_lost(desk, of, fit(left)?);
    desk.name_of(of, found);
    Ok(())
}

/// Tells lost ranges of a charge whose reference does not say where its sale was recorded.
fn may_be_lost(desk: &mut Desk<'_, '_>, of: usize, amount: i64) {
    let object = &desk.parties.objects[of];
    let mut stamps = object.merged.object.stamps.iter();
    if stamps.any(|stamp| Reference::read(stamp).is_some()) {
        return;
    }
    let word = Unclaimed {
        at_ms: object.at_ms(),
        object: object.id().to_string(),
        amount,
        currency: object.currency,
    };
    let cause = desk.cause(object.anchor);
    let to = gap::unclaimed_key();
    desk.making.tell(cause, &word.object, to, word.encode());
}
