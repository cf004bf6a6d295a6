//! Captures against payments: K1 to K4, R15 to R19, R26, and what each outcome is called.

use alloc::format;
use alloc::vec::Vec;

use super::super::breaks::{Break, BreakClass};
use super::super::entry::{EntryFault, Rule};
use super::super::group::{Making, fit};
use super::super::sale::{self, SaleWord};
use super::super::{Account, Chart};
use super::claim::{Claim, Said};
use super::object::Object;
use super::table::{Known, Row, Waited, row};
use super::{Desk, evidence, keys_text, money, suspense};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::money::Money;
use crate::provider::ObjectKind;
use crate::provider::reference::{Reference, safe_until_ms};

/// A till that caught up this long ago has told everything it will, ms.
const CAUGHT_UP_MS: i64 = 2 * 3_600_000;

/// Pairs captures with payments, each step over what the earlier ones left.
pub(super) fn pair(desk: &mut Desk<'_>) {
    by(desk, |claim, object| {
        object.stamps.iter().any(|stamp| claim.is_stamped(stamp))
    });
    by(desk, |claim, object| {
        !claim.provider_ref.is_empty() && object.ids.contains(&claim.provider_ref)
    });
    by_order(desk);
    by_word(desk);
}

fn is_open(desk: &Desk<'_>, object: usize) -> bool {
    desk.objects[object].kind == ObjectKind::Payment
        && desk.taken[object].is_none()
        && desk.doubles[object].is_none()
}

/// K1 and K2: the first success pairs, every other one is a second charge.
fn by(desk: &mut Desk<'_>, fits: impl Fn(&Claim, &Object) -> bool) {
    for claim in 0..desk.claims.len() {
        if !desk.claims[claim].is_tender() {
            continue;
        }
        for object in 0..desk.objects.len() {
            if !is_open(desk, object) || !fits(&desk.claims[claim], &desk.objects[object]) {
                continue;
            }
            if !desk.objects[object].succeeded() {
                note_attempt(desk, claim, object);
            } else if desk.pairs[claim].is_none() {
                desk.pairs[claim] = Some(object);
                desk.taken[object] = Some(claim);
            } else {
                desk.doubles[object] = Some(claim);
            }
        }
    }
}

fn note_attempt(desk: &mut Desk<'_>, claim: usize, object: usize) {
    if !desk.attempts.iter().flatten().any(|known| *known == object) {
        desk.attempts[claim].push(object);
    }
}

/// K3: an order's claims and objects of one amount, paired in turn; what is left over on an order
/// whose claims are all paired was charged twice.
fn by_order(desk: &mut Desk<'_>) {
    let mut orders: Vec<_> = desk
        .claims
        .iter()
        .filter(|claim| claim.is_tender() && !claim.order.is_empty())
        .map(|claim| claim.order.clone())
        .collect();
    orders.sort_unstable();
    orders.dedup();
    for order in orders {
        let of_order = |claim: &Claim| claim.is_tender() && claim.order == order;
        let names = |object: &Object| {
            object.order == order || object.stamps.iter().any(|stamp| *stamp == order)
        };
        let claims: Vec<usize> = (0..desk.claims.len())
            .filter(|at| of_order(&desk.claims[*at]))
            .collect();
        let objects: Vec<usize> = (0..desk.objects.len())
            .filter(|at| is_open(desk, *at) && names(&desk.objects[*at]))
            .collect();
        for object in &objects {
            if !desk.objects[*object].succeeded() {
                let waiting = claims.iter().find(|claim| desk.pairs[**claim].is_none());
                if let Some(claim) = waiting.copied() {
                    note_attempt(desk, claim, *object);
                }
                continue;
            }
            let same = |claim: &&usize| {
                desk.pairs[**claim].is_none()
                    && desk.claims[**claim].money == desk.objects[*object].money
            };
            if let Some(claim) = claims.iter().find(same).copied() {
                desk.pairs[claim] = Some(*object);
                desk.taken[*object] = Some(claim);
            }
        }
        let all_paired = claims.iter().all(|claim| desk.pairs[*claim].is_some());
        for object in objects {
            if all_paired && is_open(desk, object) && desk.objects[object].succeeded() {
                let same =
                    |claim: &&usize| desk.claims[**claim].money == desk.objects[object].money;
                desk.doubles[object] = claims.iter().find(same).or(claims.first()).copied();
            }
        }
    }
}

/// K4: a person said so.
fn by_word(desk: &mut Desk<'_>) {
    for fact in desk.group.members {
        let Event::System(SystemEvent::MatchAccepted(word)) = &fact.event else {
            continue;
        };
        if word.account != desk.account.name {
            continue;
        }
        let claim = (0..desk.claims.len()).find(|at| {
            let claim = &desk.claims[*at];
            let is_it = claim.fact.popup.as_str() == word.popup && claim.reference == word.claim;
            is_it && desk.pairs[*at].is_none()
        });
        let object = (0..desk.objects.len()).find(|at| {
            desk.taken[*at].is_none()
                && desk.doubles[*at].is_none()
                && desk.objects[*at].ids.contains(&word.object)
        });
        if let (Some(claim), Some(object)) = (claim, object)
            && desk.claims[claim].is_tender() == (desk.objects[object].kind == ObjectKind::Payment)
        {
            desk.pairs[claim] = Some(object);
            desk.taken[object] = Some(claim);
        }
    }
}

/// Posts every capture by its row, and every payment that no capture explains.
pub(super) fn post(desk: &mut Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    for claim in 0..desk.claims.len() {
        if desk.claims[claim].is_tender() {
            one(desk, making, claim)?;
        }
    }
    for object in 0..desk.objects.len() {
        if desk.objects[object].kind != ObjectKind::Payment {
            continue;
        }
        state_break(desk, making, object);
        if desk.objects[object].from_file && desk.objects[object].succeeded() {
            webhook_gap(desk, making, object);
        }
        if let Some(claim) = desk.doubles[object] {
            double(desk, making, claim, object)?;
        } else if desk.taken[object].is_none() && desk.objects[object].succeeded() {
            unclaimed(desk, making, object)?;
        }
    }
    Ok(())
}

fn known(desk: &Desk<'_>, claim: usize) -> Known {
    if let Some(at) = desk.pairs[claim] {
        let (said, told) = (&desk.claims[claim].money, &desk.objects[at]);
        return Known::Paid {
            same_currency: said.currency == told.money.currency,
            same_amount: said.minor == told.money.minor,
            less_than_authorised: told.authorised > told.money.minor
                && told.money.minor < said.minor,
        };
    }
    let attempts = &desk.attempts[claim];
    let refused = |at: &usize| desk.objects[*at].refused();
    match !attempts.is_empty() && attempts.iter().all(refused) {
        true => Known::Refused,
        false => Known::Nothing,
    }
}

fn waited(desk: &Desk<'_>, making: &mut Making, claim: usize) -> Waited {
    let (of, as_of) = (&desk.claims[claim], desk.group.as_of_ms);
    let since = of.fact.occurred_ms;
    if !of.is_offline() {
        let until = since.saturating_add(desk.group.rules.timers.confirm_ms);
        making.due(until, as_of);
        return match as_of >= until {
            true => Waited::TooLong,
            false => Waited::Little,
        };
    }
    let life = desk.account.offline_life_ms;
    let (most, over) = (
        since.saturating_add(life / 4 * 3),
        since.saturating_add(life),
    );
    let caught_up = desk.group.around.caught_up_ms(&of.fact.position.rig);
    let told_all = caught_up.map_or(i64::MAX, |at| at.max(since).saturating_add(CAUGHT_UP_MS));
    let over = over.min(told_all);
    making.due(most.min(over), as_of);
    making.due(over, as_of);
    if as_of >= over {
        Waited::TooLong
    } else if as_of >= most {
        Waited::Long
    } else {
        Waited::Little
    }
}

fn one(desk: &mut Desk<'_>, making: &mut Making, at: usize) -> Result<(), EntryFault> {
    let known = known(desk, at);
    let waited = match known {
        Known::Nothing => waited(desk, making, at),
        Known::Refused | Known::Paid { .. } => Waited::Little,
    };
    let taken = row(desk.claims[at].is_offline(), known, waited);
    match taken {
        Row::Confirmed => confirmed(desk, making, at, None),
        Row::Partial => confirmed(desk, making, at, Some(BreakClass::PartialCapture)),
        Row::Amount => confirmed(desk, making, at, Some(BreakClass::OtherAmount)),
        Row::OtherCurrency => other_currency(desk, making, at),
        Row::Declined => unpaid(desk, making, at, BreakClass::Declined),
        Row::Missing => unpaid(desk, making, at, BreakClass::Missing),
        Row::OfflineDeclined => offline_declined(desk, making, at),
        Row::Expiring => {
            exposed(desk, making, at, BreakClass::OfflineExpiring);
            Ok(())
        }
        Row::Stuck => {
            exposed(desk, making, at, BreakClass::OfflineStuck);
            Ok(())
        }
        Row::Pending | Row::Exposed => Ok(()),
    }?;
    if known == Known::Nothing {
        key_expired(desk, making, at);
    }
    Ok(())
}

/// R15: the provider confirms; a difference waits in suspense.
fn confirmed(
    desk: &mut Desk<'_>,
    making: &mut Making,
    at: usize,
    class: Option<BreakClass>,
) -> Result<(), EntryFault> {
    let Some(object) = desk.pairs[at] else {
        return Ok(());
    };
    let (claim, told) = (desk.claims[at].clone(), &desk.objects[object]);
    let (said, paid) = (i128::from(claim.money.minor), i128::from(told.money.minor));
    let unit = money(claim.money.currency);
    let mut legs = Vec::from([
        (desk.at(Chart::PspPending), unit.clone(), paid),
        (claim.stands.clone(), unit.clone(), -said),
    ]);
    let book = claim.fact.popup.clone();
    let cause = desk.cause(claim.fact.id);
    if let Some(class) = class {
        let off = fit(paid - said)?;
        let sentence = format!(
            "Payment {} of order {}: the till took {}, {} took {}.",
            claim.reference, claim.order, claim.money, desk.account.name, told.money
        );
        let found = Break::new(class, keys_text(&book, &[&claim.reference]), sentence)
            .suspended(unit.clone(), off)
            .evident(evidence(Some(&claim), &[told]));
        legs.push(suspense(&found, unit, i128::from(off)));
        desk.trouble(at, &found);
        making.name(cause, &book, found);
    } else {
        making.0.reconciled.push(claim.fact.id);
    }
    making.post(cause, &book, Rule::Confirmed, claim.fact.occurred_ms, legs)
}

fn other_currency(desk: &mut Desk<'_>, making: &mut Making, at: usize) -> Result<(), EntryFault> {
    let Some(object) = desk.pairs[at] else {
        return Ok(());
    };
    let (claim, told) = (desk.claims[at].clone(), desk.objects[object].clone());
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let sentence = format!(
        "Payment {}: the till took {}, {} took {}, another currency.",
        claim.reference, claim.money, desk.account.name, told.money
    );
    let mut legs = Vec::new();
    for (amount, account, sum) in [
        (claim.money, claim.stands.clone(), -claim.money.minor),
        (told.money, desk.at(Chart::PspPending), told.money.minor),
    ] {
        let unit = money(amount.currency);
        let keys = keys_text(&book, &[&claim.reference, amount.currency.code()]);
        let found = Break::new(BreakClass::OtherCurrency, keys, sentence.clone())
            .suspended(unit.clone(), sum)
            .evident(evidence(Some(&claim), &[&told]));
        legs.push((account, unit.clone(), i128::from(sum)));
        legs.push(suspense(&found, unit, i128::from(sum)));
        desk.trouble(at, &found);
        making.name(cause, &book, found);
    }
    making.post(cause, &book, Rule::Confirmed, claim.fact.occurred_ms, legs)
}

/// R19: claimed, and the provider has nothing of it.
fn unpaid(
    desk: &mut Desk<'_>,
    making: &mut Making,
    at: usize,
    class: BreakClass,
) -> Result<(), EntryFault> {
    let claim = desk.claims[at].clone();
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let unit = money(claim.money.currency);
    let tried: Vec<&Object> = desk.attempts[at]
        .iter()
        .map(|one| &desk.objects[*one])
        .collect();
    let word = match class == BreakClass::Declined {
        true => "says that the payment was declined",
        false => "knows nothing of it",
    };
    let sentence = format!(
        "Order {}: the till says that {} was paid, {} {word}.",
        claim.order, claim.money, desk.account.name
    );
    let found = Break::new(class, keys_text(&book, &[&claim.reference]), sentence)
        .suspended(unit.clone(), -claim.money.minor)
        .evident(evidence(Some(&claim), &tried));
    let lost = i128::from(claim.money.minor);
    let legs = Vec::from([
        suspense(&found, unit.clone(), -lost),
        (claim.stands.clone(), unit, -lost),
    ]);
    desk.trouble(at, &found);
    making.name(cause, &book, found);
    making.post(
        cause,
        &book,
        Rule::Unconfirmed,
        claim.fact.occurred_ms,
        legs,
    )
}

/// R26: taken offline, declined later. The goods stay sold.
fn offline_declined(desk: &mut Desk<'_>, making: &mut Making, at: usize) -> Result<(), EntryFault> {
    let claim = desk.claims[at].clone();
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let unit = money(claim.money.currency);
    let bearer = bearer(desk, &claim);
    let tried: Vec<&Object> = desk.attempts[at]
        .iter()
        .map(|one| &desk.objects[*one])
        .collect();
    let sentence = format!(
        "Order {} was taken offline for {}; {} declined it later.",
        claim.order, claim.money, desk.account.name
    );
    let found = Break::new(
        BreakClass::OfflineDeclined,
        keys_text(&book, &[&claim.reference]),
        sentence,
    )
    .amounting(unit.clone(), claim.money.minor, Some(bearer.clone()))
    .evident(evidence(Some(&claim), &tried));
    let lost = i128::from(claim.money.minor);
    let legs = Vec::from([
        (bearer, unit.clone(), lost),
        (claim.stands.clone(), unit, -lost),
    ]);
    desk.trouble(at, &found);
    making.name(cause, &book, found);
    making.post(
        cause,
        &book,
        Rule::OfflineLost,
        claim.fact.occurred_ms,
        legs,
    )
}

/// Who bears an offline payment that was declined: the shop, or by policy the customer.
fn bearer(desk: &Desk<'_>, claim: &Claim) -> Account {
    let commerce = desk.group.around.commerce(&claim.fact.popup);
    let owed = commerce.is_some_and(|commerce| commerce.offline_owed);
    Account::plain(if owed {
        Chart::CustomerReceivable
    } else {
        Chart::OfflineLoss
    })
}

fn exposed(desk: &mut Desk<'_>, making: &mut Making, at: usize, class: BreakClass) {
    let claim = desk.claims[at].clone();
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let over = class == BreakClass::OfflineStuck;
    let sentence = format!(
        "Order {} was taken offline for {} and {} {}.",
        claim.order,
        claim.money,
        desk.account.name,
        if over {
            "never heard of it"
        } else {
            "has not heard of it yet; it expires soon"
        }
    );
    let found = Break::new(class, keys_text(&book, &[&claim.reference]), sentence)
        .amounting(
            money(claim.money.currency),
            claim.money.minor,
            Some(claim.stands.clone()),
        )
        .evident(evidence(Some(&claim), &[]));
    desk.trouble(at, &found);
    making.name(cause, &book, found);
}

/// After this long a request may not be repeated under its key without looking first.
fn key_expired(desk: &mut Desk<'_>, making: &mut Making, at: usize) {
    let claim = desk.claims[at].clone();
    if Reference::read(&claim.reference).is_none() {
        return;
    }
    let until = safe_until_ms(claim.fact.occurred_ms);
    making.due(until, desk.group.as_of_ms);
    if desk.group.as_of_ms < until {
        return;
    }
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(claim.fact.id));
    let sentence = format!(
        "Payment {} of {} is still unconfirmed and the provider's key may be gone: look it up \
         before it is sent again.",
        claim.reference, claim.money
    );
    let found = Break::new(
        BreakClass::KeyExpired,
        keys_text(&book, &[&claim.reference]),
        sentence,
    )
    .amounting(
        money(claim.money.currency),
        claim.money.minor,
        Some(claim.stands.clone()),
    )
    .evident(evidence(Some(&claim), &[]));
    making.name(cause, &book, found);
}

/// R16: charged again; the money belongs to the customer. What was given back of it is off (R17).
fn double(
    desk: &mut Desk<'_>,
    making: &mut Making,
    of: usize,
    object: usize,
) -> Result<(), EntryFault> {
    let (claim, told) = (desk.claims[of].clone(), desk.objects[object].clone());
    let (book, cause) = (claim.fact.popup.clone(), desk.cause(told.fact));
    let unit = money(told.money.currency);
    let debt = Account::plain(Chart::CustomerOvercharge);
    let legs = Vec::from([
        (
            desk.at(Chart::PspPending),
            unit.clone(),
            i128::from(told.money.minor),
        ),
        (debt.clone(), unit.clone(), -i128::from(told.money.minor)),
    ]);
    let back = super::refunds::given_back(desk, object);
    let owed = told.money.minor.saturating_sub(back);
    if owed > 0 {
        let sentence = format!(
            "Order {} was charged again by {}: {} is owed back to the customer.",
            claim.order,
            desk.account.name,
            Money::new(owed, told.money.currency)
        );
        let found = Break::new(
            BreakClass::Double,
            keys_text(&book, &[&told.account, &told.id]),
            sentence,
        )
        .amounting(unit, owed, Some(debt))
        .evident(evidence(Some(&claim), &[&told]));
        making.name(cause, &book, found);
    }
    making.post(cause, &book, Rule::SecondCharge, told.occurred_ms, legs)
}

/// R18 and R51: money that no till claims.
fn unclaimed(desk: &mut Desk<'_>, making: &mut Making, object: usize) -> Result<(), EntryFault> {
    let told = desk.objects[object].clone();
    let cause = desk.cause(told.fact);
    let unit = money(told.money.currency);
    let paid = i128::from(told.money.minor);
    let around = desk.group.around;
    let lost = told
        .stamps
        .iter()
        .find_map(|stamp| Some((stamp, around.gap_at(stamp)?)));
    if let Some((stamp, at)) = lost
        && let Some(popup) = around.popup_of(stamp)
    {
        let sentence = format!(
            "{} took {} for {stamp}, a payment of {}'s whose record was lost: the gap explains it.",
            desk.account.name, told.money, at.rig
        );
        let found = Break::new(
            BreakClass::GapExplained,
            keys_text(&popup, &[&told.account, &told.id]),
            sentence,
        )
        .amounting(
            unit.clone(),
            told.money.minor,
            Some(Account::plain(Chart::Sales)),
        )
        .evident(evidence(None, &[&told]));
        making.name(cause, &popup, found);
        let legs = Vec::from([
            (desk.at(Chart::PspPending), unit.clone(), paid),
            (Account::plain(Chart::Sales), unit, -paid),
        ]);
        return making.post(cause, &popup, Rule::GapExplained, told.occurred_ms, legs);
    }
    let until = told
        .created_ms
        .saturating_add(desk.group.rules.timers.unclaimed_ms);
    making.due(until, desk.group.as_of_ms);
    if desk.group.as_of_ms < until {
        return Ok(());
    }
    let book = told
        .stamps
        .iter()
        .find_map(|stamp| around.popup_of(stamp))
        .unwrap_or_else(|| desk.own_book());
    let sentence = format!(
        "{} took {} as {}, and no till knows of it.",
        desk.account.name, told.money, told.id
    );
    let found = Break::new(
        BreakClass::Unclaimed,
        keys_text(&book, &[&told.account, &told.id]),
        sentence,
    )
    .suspended(unit.clone(), told.money.minor)
    .evident(evidence(None, &[&told]));
    let legs = Vec::from([
        (desk.at(Chart::PspPending), unit.clone(), paid),
        suspense(&found, unit, paid),
    ]);
    making.name(cause, &book, found);
    making.post(cause, &book, Rule::Unclaimed, told.occurred_ms, legs)
}

pub(super) fn state_break(desk: &Desk<'_>, making: &mut Making, object: usize) {
    let told = &desk.objects[object];
    let Some(conflict) = told.conflict else {
        return;
    };
    let book = desk.book_of(object);
    let sentence = format!(
        "{} says that {} is {} and that it is {}; the first counts.",
        desk.account.name,
        told.id,
        conflict.stands.text(),
        conflict.against.text()
    );
    let found = Break::new(
        BreakClass::State,
        keys_text(&book, &[&told.account, &told.id]),
        sentence,
    )
    .evident(evidence(None, &[told]));
    making.name(desk.cause(told.fact), &book, found);
}

pub(super) fn webhook_gap(desk: &Desk<'_>, making: &mut Making, object: usize) {
    let told = &desk.objects[object];
    let book = desk.book_of(object);
    let sentence = format!(
        "{} settled {} for {}, of which no message ever told.",
        desk.account.name, told.money, told.id
    );
    let found = Break::new(
        BreakClass::WebhookGap,
        keys_text(&book, &[&told.account, &told.id]),
        sentence,
    )
    .evident(evidence(None, &[told]));
    making.name(desk.cause(told.fact), &book, found);
}

/// What a sale's shares depend on.
pub(super) fn tell(desk: &Desk<'_>, making: &mut Making) {
    for (at, claim) in desk.claims.iter().enumerate() {
        let Said::Tender { offline } = claim.said else {
            continue;
        };
        let paid = desk.pairs[at];
        let settled = paid.is_some_and(|object| {
            let mut lines = desk
                .lines
                .iter()
                .filter(|line| line.object == Some(object))
                .peekable();
            lines.peek().is_some() && lines.all(|line| !line.of.payout.is_empty())
        });
        let word = SaleWord {
            settled,
            troubled: desk.troubled[at],
            lost: offline && known(desk, at) == Known::Refused,
            back: super::refunds::back(desk, at),
        };
        if word != SaleWord::default() {
            let to = sale::key(&claim.fact.popup, &claim.payment);
            making.tell(desk.cause(claim.fact.id), "sale", to, word.encode());
        }
    }
}
