//! Settlement lines of a payment (S4): R20, R21, and what differs from the objects.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::breaks::{Break, BreakClass, Severity};
use super::super::entry::{EntryFault, Rule};
use super::super::group::{Making, fit};
use super::super::payout::{self, PayoutWord};
use super::super::rules::AccountRules;
use super::super::{Account, Chart, Fact, FactId};
use super::object::Object;
use super::{Desk, evidence, keys_text, money, suspense};
use crate::event::Event;
use crate::event::central::SettlementLine;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::money::{Currency, Money};
use crate::provider::{ObjectKind, ObjectState};
use crate::settlement::{Arithmetic, LineKind, arithmetic};

/// One row of a settlement file.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) fact: Rc<Fact>,
    pub(super) of: SettlementLine,
    pub(super) kind: LineKind,
    pub(super) currency: Currency,
    /// The object it moves.
    pub(super) object: Option<usize>,
}

/// The lines of one account among the members, in canonical order.
pub(super) fn lines(members: &[Rc<Fact>], account: &AccountRules) -> Vec<Line> {
    let all = members.iter().filter_map(|fact| {
        let Event::System(SystemEvent::SettlementLine(of)) = &fact.event else {
            return None;
        };
        let kind = LineKind::from_text(&of.kind).unwrap_or(LineKind::Other);
        // The row of a payout is the payout's own matter.
        (of.account == account.name && kind.counts_in_payout()).then_some(())?;
        Some(Line {
            fact: Rc::clone(fact),
            kind,
            currency: Currency::new(&of.currency)?,
            of: of.clone(),
            object: None,
        })
    });
    let mut all: Vec<Line> = all.collect();
    all.sort_by(|a, b| (a.of.occurred_ms, &a.of.line).cmp(&(b.of.occurred_ms, &b.of.line)));
    all
}

fn object_kind(kind: LineKind) -> Option<ObjectKind> {
    match kind {
        LineKind::Charge | LineKind::ChargeReversal => Some(ObjectKind::Payment),
        LineKind::Refund | LineKind::RefundReversal => Some(ObjectKind::Refund),
        LineKind::Dispute | LineKind::DisputeReversal => Some(ObjectKind::Dispute),
        LineKind::Fee
        | LineKind::FeeTax
        | LineKind::ReserveHold
        | LineKind::ReserveRelease
        | LineKind::Payout
        | LineKind::PayoutReversal
        | LineKind::Adjustment
        | LineKind::Transfer
        | LineKind::Other => None,
    }
}

fn is_of(line: &Line, object: &Object) -> bool {
    object_kind(line.kind) == Some(object.kind)
        && !line.of.object.is_empty()
        && object.ids.contains(&line.of.object)
}

/// Whether a refund's or dispute's line is of an object the provider told of under another id: the
/// same payment, currency and amount.
fn is_like(line: &Line, object: &Object, objects: &[Object]) -> bool {
    let payment = |parent: &str| {
        let is_it = |one: &&Object| one.kind == ObjectKind::Payment && one.ids.contains(parent);
        objects.iter().position(|one| is_it(&one))
    };
    let same_parent = line.of.parent == object.parent
        || (payment(&line.of.parent).is_some()
            && payment(&line.of.parent) == payment(&object.parent));
    object_kind(line.kind) == Some(object.kind)
        && object.kind != ObjectKind::Payment
        && (same_parent && !line.of.parent.is_empty() || shares_stamp(line, object))
        && object.money == Money::new(line.of.gross.saturating_abs(), line.currency)
}

fn shares_stamp(line: &Line, object: &Object) -> bool {
    line.of
        .stamps
        .iter()
        .any(|stamp| object.stamps.contains(stamp))
}

/// Objects that only lines tell of.
pub(super) fn known_from_file(lines: &mut [Line], objects: &mut Vec<Object>) {
    for line in lines.iter() {
        let Some(kind) = object_kind(line.kind) else {
            continue;
        };
        if line.of.object.is_empty()
            || matches!(
                line.kind,
                LineKind::ChargeReversal | LineKind::RefundReversal | LineKind::DisputeReversal
            )
        {
            continue;
        }
        let known = objects.iter().any(|object| is_of(line, object))
            || objects.iter().any(|object| is_like(line, object, objects));
        if known {
            continue;
        }
        objects.push(Object {
            fact: line.fact.id,
            occurred_ms: line.fact.occurred_ms,
            account: line.of.account.clone(),
            kind,
            id: line.of.object.clone(),
            ids: BTreeSet::from([line.of.object.clone()]),
            parent: match kind {
                ObjectKind::Payment => String::new(),
                ObjectKind::Refund | ObjectKind::Dispute | ObjectKind::Payout => {
                    line.of.parent.clone()
                }
            },
            stamps: line.of.stamps.clone(),
            order: line.of.order.clone(),
            money: Money::new(line.of.gross.saturating_abs(), line.currency),
            authorised: 0,
            state: match kind {
                ObjectKind::Payment => ObjectState::Captured,
                ObjectKind::Refund | ObjectKind::Payout => ObjectState::Succeeded,
                ObjectKind::Dispute => ObjectState::Open,
            },
            created_ms: line.fact.occurred_ms,
            conflict: None,
            from_file: true,
        });
    }
}

/// Says of each line which object it moves: by id, else each unlinked object once by its likeness.
pub(super) fn link(lines: &mut [Line], objects: &[Object]) {
    for line in lines.iter_mut() {
        line.object = objects.iter().position(|object| is_of(line, object));
    }
    let mut linked: BTreeSet<usize> = lines.iter().filter_map(|line| line.object).collect();
    for line in lines.iter_mut().filter(|line| line.object.is_none()) {
        let found = (0..objects.len())
            .find(|at| !linked.contains(at) && is_like(line, &objects[*at], objects));
        if let Some(at) = found {
            linked.insert(at);
            line.object = Some(at);
        }
    }
}

pub(super) fn post(desk: &mut Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    let mut first: BTreeSet<(String, LineKind, String, String)> = BTreeSet::new();
    for at in 0..desk.lines.len() {
        let line = desk.lines[at].clone();
        let is_movement = object_kind(line.kind).is_some() && !line.of.object.is_empty();
        let movement = (
            line.of.object.clone(),
            line.kind,
            line.of.raw_kind.clone(),
            line.of.movement.clone(),
        );
        if is_movement && !first.insert(movement) {
            twice(desk, making, &line)?;
        } else {
            one(desk, making, &line)?;
        }
    }
    reserves(desk, making)?;
    for object in 0..desk.objects.len() {
        whole(desk, making, object)?;
    }
    Ok(())
}

/// Where a line posts: with its object, else in the account's own book.
fn book_of(desk: &Desk<'_>, line: &Line) -> PopupId {
    if let Some(object) = line.object {
        return desk.book_of(object);
    }
    let is_parent =
        |one: &Object| one.kind == ObjectKind::Payment && one.ids.contains(&line.of.parent);
    let owner = |one: &Object| one.ids.contains(&line.of.object);
    let found = desk.objects.iter().position(is_parent);
    let found = found.or_else(|| desk.objects.iter().position(owner));
    found.map_or_else(|| desk.own_book(), |object| desk.book_of(object))
}

/// R20 or R21 for one line.
fn one(desk: &mut Desk<'_>, making: &mut Making, line: &Line) -> Result<(), EntryFault> {
    let (book, cause) = (book_of(desk, line), desk.cause(line.fact.id));
    let unit = money(line.currency);
    let of = &line.of;
    let available = desk.at(Chart::PspAvailable);
    let plain = Account::plain;
    let sums = [
        of.net,
        of.fee,
        of.fee_tax,
        of.scheme_fee,
        of.gross,
        of.rounding,
    ]
    .map(i128::from);
    let [net, fee, fee_tax, scheme, gross, rounding] = sums;
    let mut legs = Vec::from([
        (available, unit.clone(), net),
        (plain(Chart::FeeTax), unit.clone(), fee_tax),
        (plain(Chart::SchemeFee), unit.clone(), scheme),
        (plain(Chart::FxRounding), unit.clone(), -rounding),
    ]);
    let mut rule = Rule::Settled;
    match line.kind {
        LineKind::Dispute | LineKind::DisputeReversal => {
            legs.push((plain(Chart::DisputeFee), unit.clone(), fee));
            legs.push((desk.at(Chart::PspPending), unit.clone(), -gross));
            dispute_fee(desk, making, line, &book);
        }
        LineKind::Charge
        | LineKind::ChargeReversal
        | LineKind::Refund
        | LineKind::RefundReversal => {
            legs.push((plain(Chart::Fee), unit.clone(), fee));
            legs.push((desk.at(Chart::PspPending), unit.clone(), -gross));
        }
        LineKind::Fee => {
            legs.push((plain(Chart::Fee), unit.clone(), fee - gross));
            unknown(desk, making, line, &book, Severity::Info);
        }
        LineKind::FeeTax => {
            legs.push((plain(Chart::Fee), unit.clone(), fee));
            legs.push((plain(Chart::FeeTax), unit.clone(), -gross));
            unknown(desk, making, line, &book, Severity::Info);
        }
        LineKind::ReserveHold | LineKind::ReserveRelease => {
            rule = Rule::Reserve;
            legs.push((plain(Chart::Fee), unit.clone(), fee));
            legs.push((desk.at(Chart::PspReserve), unit.clone(), -gross));
        }
        LineKind::Adjustment
        | LineKind::Transfer
        | LineKind::Other
        | LineKind::Payout
        | LineKind::PayoutReversal => {
            legs.push((plain(Chart::Fee), unit.clone(), fee));
            if let Some(found) = unknown(desk, making, line, &book, Severity::Money) {
                legs.push(suspense(&found, unit.clone(), gross));
            }
        }
    }
    if let Arithmetic::Differs { by, converted } = arithmetic(of) {
        let found = off(desk, making, line, &book, by, converted);
        legs.push(suspense(&found, unit, i128::from(by)));
    }
    fee_model(desk, making, line, &book);
    payable(desk, making, line, &book);
    making.post(cause, &book, rule, line.fact.occurred_ms, legs)
}

/// Tells the line's payout of it; a line that waits too long for one is named.
fn payable(desk: &Desk<'_>, making: &mut Making, line: &Line, book: &PopupId) {
    let (of, cause) = (&line.of, desk.cause(line.fact.id));
    if !of.payout.is_empty() {
        let to = payout::key(&of.account, &of.payout);
        let word = PayoutWord {
            book: book.clone(),
            currency: line.currency,
            net: of.net,
        };
        making.tell(cause, "payout", to, word.encode());
        return;
    }
    let until = line
        .fact
        .occurred_ms
        .saturating_add(desk.group.rules.timers.settle_ms);
    making.due(until, desk.group.as_of_ms);
    if desk.group.as_of_ms >= until && of.net != 0 {
        let sentence = format!(
            "{} of {} is settled and was never paid out.",
            Money::new(of.net, line.currency),
            of.line
        );
        let found = Break::new(
            BreakClass::Unpaid,
            keys_text(book, &[&of.account, &of.line]),
            sentence,
        )
        .amounting(
            money(line.currency),
            of.net,
            Some(desk.at(Chart::PspAvailable)),
        )
        .evident(Vec::from([row_text(line)]));
        making.name(cause, book, found);
    }
}

fn row_text(line: &Line) -> String {
    format!("{}/{} row {}", line.of.account, line.of.line, line.of.row)
}

fn off(
    desk: &Desk<'_>,
    making: &mut Making,
    line: &Line,
    book: &PopupId,
    by: i64,
    converted: bool,
) -> Break {
    let class = match converted {
        true => BreakClass::Conversion,
        false => BreakClass::Arithmetic,
    };
    let sentence = format!(
        "{}: amount less fees is not the net; the row is off by {}.",
        row_text(line),
        Money::new(by, line.currency)
    );
    let found = Break::new(
        class,
        keys_text(book, &[&line.of.account, &line.of.line]),
        sentence,
    )
    .suspended(money(line.currency), by)
    .evident(Vec::from([row_text(line)]));
    making.name(desk.cause(line.fact.id), book, found.clone());
    found
}

fn unknown(
    desk: &Desk<'_>,
    making: &mut Making,
    line: &Line,
    book: &PopupId,
    severity: Severity,
) -> Option<Break> {
    let of = &line.of;
    let amount = match severity == Severity::Money {
        true => of.gross,
        false => of.net,
    };
    if amount == 0 {
        return None;
    }
    let sentence = format!(
        "{}: {} of kind {} belongs to no payment.",
        row_text(line),
        Money::new(amount, line.currency),
        of.raw_kind
    );
    let mut found = Break::new(
        BreakClass::UnknownLine,
        keys_text(book, &[&of.account, &of.line]),
        sentence,
    )
    .evident(Vec::from([row_text(line)]));
    found.severity = severity;
    found = match severity == Severity::Money {
        true => found.suspended(money(line.currency), amount),
        false => found.amounting(
            money(line.currency),
            amount,
            Some(Account::plain(Chart::Fee)),
        ),
    };
    making.name(desk.cause(line.fact.id), book, found.clone());
    Some(found)
}

fn dispute_fee(desk: &Desk<'_>, making: &mut Making, line: &Line, book: &PopupId) {
    if line.of.fee == 0 || desk.account.dispute_fee == Some(line.of.fee.saturating_abs()) {
        return;
    }
    let sentence = format!(
        "{}: {} was taken for a dispute.",
        row_text(line),
        Money::new(line.of.fee, line.currency)
    );
    let found = Break::new(
        BreakClass::DisputeFee,
        keys_text(book, &[&line.of.account, &line.of.line]),
        sentence,
    )
    .amounting(
        money(line.currency),
        line.of.fee,
        Some(Account::plain(Chart::DisputeFee)),
    )
    .evident(Vec::from([row_text(line)]));
    making.name(desk.cause(line.fact.id), book, found);
}

/// The fee of a charge against the account's model, else against what the till was told.
fn fee_model(desk: &Desk<'_>, making: &mut Making, line: &Line, book: &PopupId) {
    if line.kind != LineKind::Charge {
        return;
    }
    let claimed = line
        .object
        .and_then(|object| desk.taken[object])
        .and_then(|claim| desk.claims[claim].fee);
    let Some(expected) = desk
        .account
        .fees
        .map(|model| model.of(line.of.gross))
        .or(claimed)
    else {
        return;
    };
    let taken = line
        .of
        .fee
        .saturating_add(line.of.scheme_fee)
        .saturating_add(line.of.fee_tax);
    let by = taken.saturating_sub(expected);
    if by == 0 {
        return;
    }
    let sentence = format!(
        "{}: the fee is {} where {} was agreed.",
        row_text(line),
        Money::new(taken, line.currency),
        Money::new(expected, line.currency)
    );
    let found = Break::new(
        BreakClass::WrongFee,
        keys_text(book, &[&line.of.account, &line.of.line]),
        sentence,
    )
    .amounting(money(line.currency), by, Some(Account::plain(Chart::Fee)))
    .evident(Vec::from([row_text(line)]));
    making.name(desk.cause(line.fact.id), book, found);
}

/// One movement in two rows: the second one's net waits in suspense.
fn twice(desk: &Desk<'_>, making: &mut Making, line: &Line) -> Result<(), EntryFault> {
    let (book, cause) = (book_of(desk, line), desk.cause(line.fact.id));
    let unit = money(line.currency);
    let net = i128::from(line.of.net);
    let sentence = format!(
        "{} was settled twice: {} stands there a second time.",
        line.of.object,
        Money::new(line.of.net, line.currency)
    );
    let found = Break::new(
        BreakClass::SettledTwice,
        keys_text(&book, &[&line.of.account, &line.of.line]),
        sentence,
    )
    .suspended(unit.clone(), line.of.net)
    .evident(Vec::from([row_text(line)]));
    let legs = Vec::from([
        (desk.at(Chart::PspAvailable), unit.clone(), net),
        suspense(&found, unit, net),
    ]);
    making.name(cause, &book, found);
    payable(desk, making, line, &book);
    making.post(cause, &book, Rule::Settled, line.fact.occurred_ms, legs)
}

/// More was released of a reserve than was ever held.
fn reserves(desk: &Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    let mut held: BTreeMap<Currency, i128> = BTreeMap::new();
    for line in &desk.lines {
        if matches!(line.kind, LineKind::ReserveHold | LineKind::ReserveRelease) {
            *held.entry(line.currency).or_default() -= i128::from(line.of.gross);
        }
    }
    for (currency, left) in held.into_iter().filter(|(_, left)| *left < 0) {
        let (book, over) = (desk.own_book(), fit(-left)?);
        let sentence = format!(
            "{} released {} more than it had held back.",
            desk.account.name,
            Money::new(over, currency)
        );
        let found = Break::new(
            BreakClass::ReserveDiffers,
            keys_text(&book, &[&desk.account.name, currency.code()]),
            sentence,
        )
        .amounting(money(currency), over, Some(desk.at(Chart::PspReserve)));
        let named = FactId::of(
            "reserve",
            &[desk.account.name.as_bytes(), currency.code().as_bytes()],
        );
        making.name(desk.cause(named), &book, found);
    }
    Ok(())
}

/// An object against all its lines: their sum, or that there are none.
fn whole(desk: &mut Desk<'_>, making: &mut Making, object: usize) -> Result<(), EntryFault> {
    let told = desk.objects[object].clone();
    if !told.succeeded() || !matches!(told.kind, ObjectKind::Payment | ObjectKind::Refund) {
        return Ok(());
    }
    let of_it = |line: &&Line| line.object == Some(object);
    let own: Vec<Line> = desk.lines.iter().filter(of_it).cloned().collect();
    if own.is_empty() {
        unsettled(desk, making, object, &told);
        return Ok(());
    }
    settled_amount(desk, making, object, &told, &own)
}

fn of_whole(desk: &Desk<'_>, told: &Object) -> FactId {
    desk.cause(FactId::of("settled", &[&told.fact.0]))
}

/// Captured long ago, and in no file.
fn unsettled(desk: &mut Desk<'_>, making: &mut Making, object: usize, told: &Object) {
    let until = told
        .created_ms
        .saturating_add(desk.group.rules.timers.settle_ms);
    making.due(until, desk.group.as_of_ms);
    if desk.group.as_of_ms < until {
        return;
    }
    let amount = match told.kind == ObjectKind::Payment {
        true => told.money.minor,
        false => told.money.minor.saturating_neg(),
    };
    let book = desk.book_of(object);
    let sentence = format!(
        "{} moved {} as {} and has never settled it.",
        desk.account.name, told.money, told.id
    );
    let keys = keys_text(&book, &[&told.account, &told.id]);
    let stands = desk.at(Chart::PspPending);
    let found = Break::new(BreakClass::Unsettled, keys, sentence)
        .amounting(money(told.money.currency), amount, Some(stands))
        .evident(evidence(None, &[told]));
    if let Some(claim) = desk.taken[object] {
        desk.trouble(claim, &found);
    }
    making.name(of_whole(desk, told), &book, found);
}

/// What was settled against what was told; the difference waits in suspense.
fn settled_amount(
    desk: &mut Desk<'_>,
    making: &mut Making,
    object: usize,
    told: &Object,
    own: &[Line],
) -> Result<(), EntryFault> {
    let unclaimed_ms = desk.group.rules.timers.unclaimed_ms;
    let is_posted = desk.taken[object].is_some()
        || desk.doubles[object].is_some()
        || told.kind == ObjectKind::Refund
        || desk.group.as_of_ms >= told.created_ms.saturating_add(unclaimed_ms);
    let same_currency = own.iter().all(|line| line.currency == told.money.currency);
    let mut seen = BTreeSet::new();
    let once = own.iter().filter(|line| {
        let movement = (
            line.kind,
            line.of.raw_kind.clone(),
            line.of.movement.clone(),
        );
        seen.insert(movement)
    });
    let gross: i128 = once.map(|line| i128::from(line.of.gross)).sum();
    let due = match told.kind == ObjectKind::Payment {
        true => i128::from(told.money.minor),
        false => -i128::from(told.money.minor),
    };
    if gross == due || !is_posted || !same_currency {
        return Ok(());
    }
    let (off, book) = (fit(gross - due)?, desk.book_of(object));
    let unit = money(told.money.currency);
    let sentence = format!(
        "{}: {} was told, {} was settled.",
        told.id,
        told.money,
        Money::new(fit(gross.saturating_abs())?, told.money.currency)
    );
    let keys = keys_text(&book, &[&told.account, &told.id]);
    let found = Break::new(BreakClass::SettledAmount, keys, sentence)
        .suspended(unit.clone(), off)
        .evident(own.iter().map(row_text).collect());
    let legs = Vec::from([
        (desk.at(Chart::PspPending), unit.clone(), i128::from(off)),
        suspense(&found, unit, i128::from(off)),
    ]);
    if let Some(claim) = desk.taken[object] {
        desk.trouble(claim, &found);
    }
    let cause = of_whole(desk, told);
    making.name(cause, &book, found);
    making.post(cause, &book, Rule::Settled, told.occurred_ms, legs)
}
