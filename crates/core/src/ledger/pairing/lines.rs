//! Settlement lines: what they post (R20, R21, R62), and whether they fit their object (S4).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::matching::told;
use super::parties::{Line, Object, moved, moved_amount};
use super::table::Told;
use super::{Desk, PayoutWord, Stands, money, object_keys, plain, suspend, title};
use crate::event::central::SettlementLine;
use crate::id::PopupId;
use crate::ledger::breaks::{Break, BreakClass, Severity};
use crate::ledger::entry::{EntryFault, Rule};
use crate::ledger::group::{Legs, fit};
use crate::ledger::rules::FeeModel;
use crate::ledger::{Chart, payout};
use crate::money::{Currency, Money};
use crate::provider::ObjectKind;
use crate::settlement::{Arithmetic, LineKind, arithmetic, fees};

pub(super) fn evaluate(desk: &mut Desk<'_, '_>) -> Result<(), EntryFault> {
    for at in 0..desk.parties.lines.len() {
        line(desk, at)?;
    }
    for of in 0..desk.parties.objects.len() {
        settled(desk, of)?;
    }
    reserve(desk)
}

/// Against what a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ledger) enum Counter {
    /// What the provider owes for objects.
    Pending,
    /// Its reserve.
    Reserve,
    /// A fee, or tax on it.
    Fee(Chart),
    /// Nobody knows.
    Unknown,
}

impl Counter {
    /// Of a line's kind.
    pub(in crate::ledger) fn of(kind: LineKind) -> Self {
        match kind {
            LineKind::Charge
            | LineKind::ChargeReversal
            | LineKind::Refund
            | LineKind::RefundReversal
            | LineKind::Dispute
            | LineKind::DisputeReversal => Self::Pending,
            LineKind::ReserveHold | LineKind::ReserveRelease => Self::Reserve,
            LineKind::Fee => Self::Fee(Chart::Fee),
            LineKind::FeeTax => Self::Fee(Chart::FeeTax),
            LineKind::Payout
            | LineKind::PayoutReversal
            | LineKind::Adjustment
            | LineKind::Transfer
            | LineKind::Other => Self::Unknown,
        }
    }
}

/// The keys of a break about a line.
pub(in crate::ledger) fn line_keys(line: &SettlementLine) -> Vec<String> {
    [&line.provider, &line.account, &line.line]
        .map(String::clone)
        .into()
}

fn file_evidence(line: &SettlementLine) -> Vec<String> {
    let file = crate::ledger::hex(line.file.get(..8).unwrap_or_default());
    [
        line.line.clone(),
        line.object.clone(),
        format!("{file}:{}", line.row),
    ]
    .into_iter()
    .filter(|one| !one.is_empty())
    .collect()
}

/// The legs of a line whose kind is known, and the break of its own figures.
pub(in crate::ledger) fn line_legs(
    line: &SettlementLine,
    (kind, currency): (LineKind, Currency),
    counter: Counter,
) -> Result<(Legs, Option<Break>), EntryFault> {
    let fee = match moved(kind) {
        Some(ObjectKind::Dispute) => Chart::DisputeFee,
        Some(ObjectKind::Payment | ObjectKind::Refund | ObjectKind::Payout) | None => Chart::Fee,
    };
    let against = match counter {
        Counter::Pending | Counter::Unknown => Chart::PspPending,
        Counter::Reserve => Chart::PspReserve,
        Counter::Fee(chart) => chart,
    };
    let mut legs: Legs = [
        (Chart::PspAvailable, line.net),
        (fee, line.fee),
        (Chart::FeeTax, line.fee_tax),
        (Chart::SchemeFee, line.scheme_fee),
    ]
    .map(|(chart, amount)| (plain(chart), money(currency), i128::from(amount)))
    .into();
    legs.push((plain(against), money(currency), -i128::from(line.gross)));
    legs.push((
        plain(Chart::FxRounding),
        money(currency),
        -i128::from(line.rounding),
    ));
    let (by, converted) = match arithmetic(line) {
        Arithmetic::Agrees => return Ok((legs, None)),
        Arithmetic::Differs { by, converted } => (by, converted),
    };
    if converted && by.unsigned_abs() <= 1 {
        legs.push((plain(Chart::FxRounding), money(currency), -i128::from(by)));
        return Ok((legs, None));
    }
    let class = match converted {
        true => BreakClass::Conversion,
        false => BreakClass::Arithmetic,
    };
    let sentence = format!(
        "{} line {}: {} less {} in fees is not {}.",
        title(&line.provider),
        line.line,
        Money::new(line.gross, currency),
        Money::new(fit(fees(line))?, currency),
        Money::new(line.net, currency)
    );
    let found = Break::new(class, line_keys(line), sentence).evident(file_evidence(line));
    let (account, found) = suspend(found, currency, i128::from(by))?;
    legs.push((account, money(currency), -i128::from(by)));
    Ok((legs, Some(found)))
}

/// A line that nobody understands: its net is suspense until somebody says what it is.
pub(in crate::ledger) fn unknown_line(
    line: &SettlementLine,
    currency: Currency,
) -> Result<(Legs, Break), EntryFault> {
    let sentence = format!(
        "{} line {} of {} is called \"{}\"; nobody knows what it is for.",
        title(&line.provider),
        line.line,
        Money::new(line.net, currency),
        line.raw_kind
    );
    suspended_line(line, currency, BreakClass::UnknownLine, sentence)
}

fn suspended_line(
    line: &SettlementLine,
    currency: Currency,
    class: BreakClass,
    sentence: String,
) -> Result<(Legs, Break), EntryFault> {
    let net = i128::from(line.net);
    let found = Break::new(class, line_keys(line), sentence).evident(file_evidence(line));
    let (account, found) = suspend(found, currency, net)?;
    let legs = [
        (plain(Chart::PspAvailable), money(currency), net),
        (account, money(currency), -net),
    ];
    Ok((legs.into(), found))
}

/// A line that is in no payout in time.
pub(in crate::ledger) fn unpaid(line: &SettlementLine, currency: Currency) -> Break {
    let sentence = format!(
        "{} settled {} (line {}), and no payout holds it yet.",
        title(&line.provider),
        Money::new(line.net, currency),
        line.line
    );
    Break::new(BreakClass::Unpaid, line_keys(line), sentence)
        .amounting(money(currency), line.net, Some(plain(Chart::PspAvailable)))
        .evident(file_evidence(line))
}

/// When a line should be in a payout, ms since 1970.
pub(in crate::ledger) fn payable_ms(line: &SettlementLine, settle_ms: i64) -> i64 {
    line.occurred_ms
        .max(line.available_ms)
        .saturating_add(settle_ms)
}

fn line(desk: &mut Desk<'_, '_>, at: usize) -> Result<(), EntryFault> {
    let parties = desk.parties;
    let one = &parties.lines[at];
    let (line, currency, fact) = (one.line, one.currency, one.fact);
    let account = PopupId::account_book(&line.provider, &line.account);
    let counter = Counter::of(one.kind);
    let book = match one.object {
        Some(of) => desk.books[of].clone(),
        None => account,
    };
    let object = one.object.map(|of| &parties.objects[of]);
    let (mut legs, found) = if one.again {
        let sentence = format!(
            "{} settled {} twice; line {} pays {} again.",
            title(&line.provider),
            line.object,
            line.line,
            Money::new(line.net, currency)
        );
        let (legs, found) = suspended_line(line, currency, BreakClass::SettledTwice, sentence)?;
        (legs, Some(found))
    } else if counter == Counter::Unknown || (counter == Counter::Pending && object.is_none()) {
        let (legs, found) = unknown_line(line, currency)?;
        (legs, Some(found))
    } else {
        line_legs(line, (one.kind, currency), counter)?
    };
    let at_ms = fact.occurred_ms;
    if let Some(object) = object.filter(|_| counter == Counter::Pending && !one.again) {
        exchange(desk, one, object, &book)?;
    }
    let rule = match counter {
        Counter::Reserve => Rule::Reserve,
        Counter::Pending | Counter::Fee(_) | Counter::Unknown => Rule::Settled,
    };
    desk.post(fact.id, &book, rule, at_ms, core::mem::take(&mut legs))?;
    if let Some(found) = found {
        if let Some(of) = one.object.filter(|_| found.severity == Severity::Money) {
            desk.troubled_objects.insert(of);
        }
        desk.name(fact.id, &book, found);
    }
    paid_out(desk, one, &book);
    Ok(())
}

/// Tells the payout of a line, or that it is in none.
fn paid_out(desk: &mut Desk<'_, '_>, one: &Line<'_>, book: &PopupId) {
    let (line, cause) = (one.line, desk.cause(one.fact.id));
    if line.payout.is_empty() {
        let due = payable_ms(line, desk.group.rules.timers.settle_ms);
        if line.net != 0 && desk.is_over(due) {
            desk.name(one.fact.id, book, unpaid(line, one.currency));
        }
        return;
    }
    let word = PayoutWord {
        provider: line.provider.clone(),
        account: line.account.clone(),
        payout: line.payout.clone(),
        book: book.to_string(),
        currency: one.currency.to_string(),
        net: line.net,
    };
    let to = payout::key(&line.provider, &line.account, &line.payout);
    desk.making.tell(cause, "", to, word.encode());
}

/// R62: charged in one currency, settled in another.
fn exchange(
    desk: &mut Desk<'_, '_>,
    one: &Line<'_>,
    object: &Object,
    book: &PopupId,
) -> Result<(), EntryFault> {
    let (theirs, ours) = (object.currency, one.currency);
    if theirs == ours {
        return Ok(());
    }
    let (stated, named) = moved_amount(one.line);
    let sign = if one.line.gross < 0 { -1 } else { 1 };
    let there = match named == theirs.code() {
        true => i128::from(stated),
        false => object.amount() * sign,
    };
    let here = i128::from(one.line.gross);
    let clearing =
        |currency: Currency| crate::ledger::Account::of(Chart::FxClearing, currency.code());
    let legs = [
        (clearing(theirs), money(theirs), there),
        (plain(Chart::PspPending), money(theirs), -there),
        (plain(Chart::PspPending), money(ours), here),
        (clearing(ours), money(ours), -here),
    ];
    let fact = one.fact;
    desk.post(
        fact.id,
        book,
        Rule::Exchanged,
        fact.occurred_ms,
        legs.into(),
    )
}

/// S4: what lines settle of an object against what the provider took or gave back.
fn settled(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let expected = match (object.kind, told(object)) {
        (ObjectKind::Payment, Told::Success) => object.amount(),
        (ObjectKind::Refund, Told::Success) => -object.amount(),
        (ObjectKind::Payment | ObjectKind::Refund, _) => 0,
        (ObjectKind::Dispute | ObjectKind::Payout, _) => return dispute_fee(desk, of),
    };
    let family =
        || (desk.parties.lines_of(of)).filter(move |one| moved(one.kind) == Some(object.kind));
    let due = object
        .at_ms()
        .saturating_add(desk.group.rules.timers.settle_ms);
    if family().next().is_none() {
        let owes = expected != 0 && !matches!(desk.stands[of], Stands::Nowhere | Stands::Parked);
        if owes && desk.is_over(due) {
            unsettled(desk, of, expected)?;
        }
        return Ok(());
    }
    let sum: i128 = family()
        .map(|one| {
            let (amount, currency) = moved_amount(one.line);
            let (gross, sign) = (one.line.gross, if one.line.gross < 0 { -1 } else { 1 });
            if currency == object.currency.code() {
                i128::from(amount)
            } else if one.currency == object.currency {
                i128::from(gross)
            } else {
                object.amount() * sign
            }
        })
        .sum();
    let by = sum - expected;
    // Of what came undone the second half may still come.
    if by != 0 && (expected != 0 || desk.is_over(due)) {
        other_gross(desk, of, (sum, expected))?;
    }
    fee(desk, of)
}

fn unsettled(desk: &mut Desk<'_, '_>, of: usize, expected: i128) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let amount = fit(expected)?;
    let sentence = format!(
        "{} tells of {} {} of {}, but no settlement file holds it.",
        title(&object.place.0),
        object.kind.text(),
        object.id(),
        Money::new(object.merged.object.amount, object.currency)
    );
    let found = Break::new(BreakClass::Unsettled, object_keys(object), sentence)
        .amounting(
            money(object.currency),
            amount,
            Some(plain(Chart::PspPending)),
        )
        .evident(object.names());
    desk.name_of(of, found);
    Ok(())
}

fn other_gross(
    desk: &mut Desk<'_, '_>,
    of: usize,
    (sum, expected): (i128, i128),
) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let currency = object.currency;
    let sentence = format!(
        "{} settled {} for {} {}, where {} was due.",
        title(&object.place.0),
        Money::new(fit(sum)?, currency),
        object.kind.text(),
        object.id(),
        Money::new(fit(expected)?, currency)
    );
    let lines = desk.parties.lines_of(of).map(|one| one.line.line.clone());
    let evidence = lines.chain(object.names()).collect();
    let found = Break::new(BreakClass::SettledAmount, object_keys(object), sentence);
    let (account, found) = suspend(found.evident(evidence), currency, sum - expected)?;
    let legs = [
        (plain(Chart::PspPending), money(currency), sum - expected),
        (account, money(currency), expected - sum),
    ];
    let book = desk.books[of].clone();
    desk.post(
        object.anchor,
        &book,
        Rule::Settled,
        object.at_ms(),
        legs.into(),
    )?;
    desk.name_of(of, found);
    Ok(())
}

/// The fee of a payment: by the account's model, else as the till was told.
fn fee(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let parties = desk.parties;
    let object = &parties.objects[of];
    let (mut taken, mut gross, mut currency) = (0i128, 0i128, None);
    for one in parties.lines_of(of) {
        let line = one.line;
        match (moved(one.kind), one.kind) {
            (Some(ObjectKind::Payment), _) => {
                gross += i128::from(line.gross);
                taken += i128::from(line.fee) + i128::from(line.scheme_fee);
                currency = Some(one.currency);
            }
            (None, LineKind::Fee) => taken += -i128::from(line.net) - i128::from(line.fee_tax),
            (_, _) => {}
        }
    }
    let Some(currency) = currency.filter(|_| object.kind == ObjectKind::Payment) else {
        return Ok(());
    };
    let rules = desk.group.rules.accounts.iter();
    let account = rules
        .into_iter()
        .find(|one| one.provider.text() == object.place.0 && one.name == object.place.1);
    let claim = desk.pairs.of_object[of].map(|at| parties.claims[at].sale);
    let said = claim
        .filter(|sale| sale.currency == currency)
        .and_then(|sale| sale.fee)
        .map(|fee| (i128::from(fee.0), 0));
    let Some((expected, slack)) = (account.and_then(|one| one.fees))
        .map(|model| Ok(model_fee(&model, fit(gross)?)))
        .transpose()?
        .or(said)
    else {
        return Ok(());
    };
    let by = taken - expected;
    if by.abs() <= slack {
        return Ok(());
    }
    let sentence = format!(
        "{} took {} for payment {}, where {} was agreed.",
        title(&object.place.0),
        Money::new(fit(taken)?, currency),
        object.id(),
        Money::new(fit(expected)?, currency)
    );
    let found = Break::new(BreakClass::WrongFee, object_keys(object), sentence)
        .amounting(money(currency), fit(by)?, Some(plain(Chart::Fee)))
        .evident(object.names());
    desk.name_of(of, found);
    Ok(())
}

/// The agreed fee, and by how much another rounding of it may differ: exactly between two units
/// providers differ in which they take.
fn model_fee(model: &FeeModel, gross: i64) -> (i128, i128) {
    let tie = (i128::from(gross) * i128::from(model.percent_ppm)).rem_euclid(1_000_000) == 500_000;
    (i128::from(model.of(gross)), i128::from(tie))
}

fn dispute_fee(desk: &mut Desk<'_, '_>, of: usize) -> Result<(), EntryFault> {
    let object = &desk.parties.objects[of];
    let mut lines = desk.parties.lines_of(of).peekable();
    let Some(currency) = lines.peek().map(|one| one.currency) else {
        return Ok(());
    };
    let taken: i128 = lines.map(|one| fees(one.line)).sum();
    let agreed = (desk.group.rules.accounts.iter())
        .find(|one| one.provider.text() == object.place.0 && one.name == object.place.1)
        .and_then(|one| one.dispute_fee);
    let by = taken - i128::from(agreed.unwrap_or(0));
    if taken == 0 || by == 0 {
        return Ok(());
    }
    let sentence = format!(
        "{} took {} for dispute {}, which nobody agreed on.",
        title(&object.place.0),
        Money::new(fit(by)?, currency),
        object.id()
    );
    let found = Break::new(BreakClass::DisputeFee, object_keys(object), sentence)
        .amounting(money(currency), fit(by)?, Some(plain(Chart::DisputeFee)))
        .evident(object.names());
    desk.name_of(of, found);
    Ok(())
}

/// R21's other side: what a provider set aside must come free as it was, and in time. A release is
/// matched with a hold of its amount first, then with the oldest ones left.
fn reserve(desk: &mut Desk<'_, '_>) -> Result<(), EntryFault> {
    let parties = desk.parties;
    let of_kind = |kind| {
        let lines = parties.lines.iter().filter(move |one| one.kind == kind);
        lines.collect::<Vec<_>>()
    };
    let mut holds = of_kind(LineKind::ReserveHold);
    let mut releases = of_kind(LineKind::ReserveRelease);
    releases.retain(|release| {
        let amount = -i128::from(release.line.gross);
        let found = (holds.iter()).position(|hold| i128::from(hold.line.gross) == amount);
        if let Some(at) = found {
            holds.remove(at);
        }
        found.is_none()
    });
    let freed: i128 = releases.iter().map(|one| i128::from(one.line.gross)).sum();
    let (mut held, mut covered) = (0i128, 0);
    while held < freed && covered < holds.len() {
        held -= i128::from(holds[covered].line.gross);
        covered += 1;
    }
    let mut by = held - freed;
    let mut late = Vec::new();
    for hold in holds
        .iter()
        .skip(covered)
        .filter(|one| one.line.available_ms > 0)
    {
        if desk.is_over(payable_ms(hold.line, desk.group.rules.timers.settle_ms)) {
            by -= i128::from(hold.line.gross);
            late.push(hold.line.line.clone());
        }
    }
    let Some(one) = holds.first().or(releases.first()).filter(|_| by != 0) else {
        return Ok(());
    };
    let (line, currency) = (one.line, one.currency);
    let sentence = format!(
        "{} holds {} of its reserve that should be free, or released another sum than it held.",
        title(&line.provider),
        Money::new(fit(by)?, currency)
    );
    let keys = [&line.provider, &line.account, &line.currency].map(String::clone);
    let evidence = releases.iter().map(|one| one.line.line.clone()).chain(late);
    let found = Break::new(BreakClass::ReserveDiffers, keys.into(), sentence)
        .amounting(money(currency), fit(by)?, Some(plain(Chart::PspReserve)))
        .evident(evidence.collect());
    let book = PopupId::account_book(&line.provider, &line.account);
    desk.name(one.fact.id, &book, found);
    Ok(())
}
