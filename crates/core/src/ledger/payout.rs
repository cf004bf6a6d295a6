//! Payouts: what a provider sent, what it was made of, and whether the bank got it (S5, S6).
//!
//! ```text
//! lines, each in its book ──words──► payout ──► R22 sent     1210 ─► 1300:{payout}   per book
//!                                      │        R22 on bank  1300 ─► 1310            per book
//!                                      └─ residual, missing and other amounts are breaks
//! ```
//!
//! A payout over several popups is posted as each popup's share of its lines; what no line explains
//! stands in the book of the account. Payouts and bank lines that could belong together are one group,
//! so that each bank line is used once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Making, Outcome, fit};
use super::{Account, Chart, Commodity, Fact};
use super::{put_text, put_varint, take_text, take_varint, unzigzag, zigzag};
use crate::event::Event;
use crate::event::central::{BankLine, ProviderObject, SettlementLine};
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::money::{Currency, Money};
use crate::provider::{ObjectKind, ObjectState, lattice};
use crate::settlement::LineKind;

/// A bank writes a payout down at the earliest this long before it was sent, ms.
const BANK_BEFORE_MS: i64 = 86_400_000;
/// And without a reference it is recognised for this long after, ms.
const BANK_AFTER_MS: i64 = 3 * 86_400_000;
/// Words of a bank's text that can be references have at least this many characters.
const REFERENCE_CHARS_MIN: usize = 6;
/// As many words of a bank's text are looked at.
const REFERENCES_MAX: usize = 16;

/// What a settlement line tells its payout: the bytes of a [`super::group::Word`] to [`key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutWord {
    /// The book the line lies in.
    pub book: PopupId,
    /// Of what.
    pub currency: Currency,
    /// Minor units, positive towards us.
    pub net: i64,
}

impl PayoutWord {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(&mut out, self.book.as_str());
        put_text(&mut out, self.currency.code());
        put_varint(&mut out, zigzag(self.net));
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(mut rest: &[u8]) -> Option<Self> {
        let word = Self {
            book: PopupId::of_book(take_text(&mut rest)?).ok()?,
            currency: Currency::new(take_text(&mut rest)?)?,
            net: unzigzag(take_varint(&mut rest)?),
        };
        rest.is_empty().then_some(word)
    }
}

/// The group of a payout.
#[must_use]
pub fn key(account: &str, payout: &str) -> GroupKey {
    GroupKey::of(GroupKind::Payout, &["payout", account, payout])
}

fn at_bank(reference: &str) -> GroupKey {
    GroupKey::of(
        GroupKind::Payout,
        &["bank", &reference.to_ascii_uppercase()],
    )
}

fn amount_at_bank(currency: &str, amount: i64) -> GroupKey {
    GroupKey::of(
        GroupKind::Payout,
        &["amount", currency, &amount.to_string()],
    )
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    if let Some((account, id, currency, amount, trace)) = payout_of(fact) {
        keys.push(key(account, id));
        keys.push(amount_at_bank(currency, amount));
        let references = [id, trace].into_iter().filter(|text| !text.is_empty());
        keys.extend(references.map(at_bank));
    } else if let Event::System(SystemEvent::BankLine(of)) = &fact.event {
        keys.push(amount_at_bank(&of.currency, of.amount));
        keys.extend(references(&of.reference).map(at_bank));
    }
}

/// Account, id, currency, amount and trace of what tells of a payout.
fn payout_of(fact: &Fact) -> Option<(&str, &str, &str, i64, &str)> {
    if let Event::System(SystemEvent::ProviderObject(of)) = &fact.event {
        let is_payout = ObjectKind::from_text(&of.kind) == Some(ObjectKind::Payout);
        return is_payout.then_some((&of.account, &of.object, &of.currency, of.amount, &of.trace));
    }
    let Event::System(SystemEvent::SettlementLine(of)) = &fact.event else {
        return None;
    };
    let is_payout = is_payout_row(of) && !payout_id(of).is_empty();
    let amount = of.net.saturating_neg();
    is_payout.then_some((
        of.account.as_str(),
        payout_id(of),
        of.currency.as_str(),
        amount,
        "",
    ))
}

fn is_payout_row(of: &SettlementLine) -> bool {
    matches!(
        LineKind::from_text(&of.kind),
        Some(LineKind::Payout | LineKind::PayoutReversal)
    )
}

fn payout_id(of: &SettlementLine) -> &str {
    match of.payout.is_empty() {
        true => &of.object,
        false => &of.payout,
    }
}

/// Words of a bank's text that can name a payout.
fn references(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let words = text
        .split(is_mark)
        .filter(|word| word.len() >= REFERENCE_CHARS_MIN);
    words.take(REFERENCES_MAX)
}

/// One payout as everything told of it says.
struct Payout {
    account: String,
    provider: String,
    id: String,
    trace: String,
    money: Money,
    sent_ms: i64,
    failed: bool,
    /// Its lines' sums by book.
    parts: BTreeMap<PopupId, i128>,
    /// The bank line it is on.
    bank: Option<usize>,
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    let mut payouts = payouts(group);
    let bank: Vec<&BankLine> = group
        .members
        .iter()
        .filter_map(|fact| bank_line(fact))
        .collect();
    match_bank(&mut payouts, &bank);
    for payout in &payouts {
        one(group, &mut making, payout, &bank)?;
    }
    Ok(making.0)
}

fn bank_line(fact: &Fact) -> Option<&BankLine> {
    if let Event::System(SystemEvent::BankLine(of)) = &fact.event {
        Some(of)
    } else {
        None
    }
}

fn payouts(group: &Group<'_>) -> Vec<Payout> {
    let mut ids: BTreeSet<(&str, &str)> = BTreeSet::new();
    ids.extend(group.members.iter().filter_map(|fact| {
        let (account, id, ..) = payout_of(fact)?;
        Some((account, id))
    }));
    let built = ids
        .into_iter()
        .filter_map(|(account, id)| payout(group, account, id));
    built.collect()
}

fn payout(group: &Group<'_>, account: &str, id: &str) -> Option<Payout> {
    let of_it = |fact: &&alloc::rc::Rc<Fact>| {
        payout_of(fact).is_some_and(|(at, named, ..)| (at, named) == (account, id))
    };
    let facts: Vec<_> = group.members.iter().filter(of_it).collect();
    let mut tellings: Vec<&ProviderObject> = Vec::new();
    let mut rows: Vec<(&SettlementLine, i64)> = Vec::new();
    for fact in &facts {
        if let Event::System(SystemEvent::ProviderObject(of)) = &fact.event {
            tellings.push(of);
        } else if let Event::System(SystemEvent::SettlementLine(of)) = &fact.event {
            rows.push((of, fact.occurred_ms));
        }
    }
    let told = lattice::merge(&tellings);
    let state = told.state();
    let reversed = |(of, _): &(&SettlementLine, i64)| {
        LineKind::from_text(&of.kind) == Some(LineKind::PayoutReversal)
    };
    let sent = rows.iter().find(|row| !reversed(row));
    let is_sent = sent.is_some()
        || matches!(
            state,
            Some(ObjectState::InTransit | ObjectState::Paid | ObjectState::Failed)
        );
    if !is_sent {
        return None;
    }
    let code = sent.map_or(told.object.currency.as_str(), |(of, _)| {
        of.currency.as_str()
    });
    let currency = Currency::new(code)?;
    let minor = match (sent, tellings.is_empty()) {
        (Some((of, _)), true) => of.net.saturating_neg(),
        _ => told.object.amount,
    };
    let own = key(account, id);
    let mut parts: BTreeMap<PopupId, i128> = BTreeMap::new();
    for word in group.words.iter().filter(|word| word.to == own) {
        if let Some(word) = PayoutWord::decode(&word.bytes)
            && word.currency == currency
        {
            *parts.entry(word.book).or_default() += i128::from(word.net);
        }
    }
    let first_ms = facts.iter().map(|fact| fact.occurred_ms).min().unwrap_or(0);
    let provider = rows.first().map(|(of, _)| of.provider.clone());
    Some(Payout {
        account: account.to_string(),
        provider: provider.unwrap_or_else(|| told.object.provider.clone()),
        id: id.to_string(),
        trace: told.object.trace.clone(),
        money: Money::new(minor, currency),
        sent_ms: first_ms,
        failed: state == Some(ObjectState::Failed) || rows.iter().any(reversed),
        parts,
        bank: None,
    })
}

/// By reference first, then by amount and date where that is unique on both sides.
fn match_bank(payouts: &mut [Payout], bank: &[&BankLine]) {
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for payout in payouts.iter_mut().filter(|payout| !payout.failed) {
        let names = |line: &BankLine| {
            let mut words = references(&line.reference);
            let is_it = |word: &str| {
                word.eq_ignore_ascii_case(&payout.id)
                    || (!payout.trace.is_empty() && word.eq_ignore_ascii_case(&payout.trace))
            };
            line.currency == payout.money.currency.code() && words.any(is_it)
        };
        let found = (0..bank.len()).find(|at| !used.contains(at) && names(bank[*at]));
        payout.bank = found;
        used.extend(found);
    }
    let near = |payout: &Payout, line: &BankLine| {
        let after = line.date_ms.saturating_sub(payout.sent_ms);
        line.currency == payout.money.currency.code()
            && line.amount == payout.money.minor
            && (-2 * BANK_BEFORE_MS..=BANK_AFTER_MS).contains(&after)
    };
    let waiting: Vec<usize> = (0..payouts.len())
        .filter(|at| payouts[*at].bank.is_none() && !payouts[*at].failed)
        .collect();
    for at in &waiting {
        let lines: Vec<usize> = (0..bank.len())
            .filter(|line| !used.contains(line) && near(&payouts[*at], bank[*line]))
            .collect();
        let [only] = lines.as_slice() else {
            continue;
        };
        let rivals = waiting
            .iter()
            .filter(|other| near(&payouts[**other], bank[*only]));
        if rivals.count() == 1 {
            payouts[*at].bank = Some(*only);
            used.insert(*only);
        }
    }
}

fn one(
    group: &Group<'_>,
    making: &mut Making,
    payout: &Payout,
    bank: &[&BankLine],
) -> Result<(), EntryFault> {
    let own = PopupId::account_book(&payout.provider, &payout.account);
    let cause = key(&payout.account, &payout.id).cause();
    let unit = Commodity::Money(payout.money.currency);
    if payout.failed {
        let sentence = format!(
            "Payout {} of {} came back; the money stands with {}.",
            payout.id, payout.money, payout.account
        );
        let found = named(payout, &own, BreakClass::PayoutFailed, sentence).amounting(
            unit,
            payout.money.minor,
            Some(Account::of(Chart::PspAvailable, &payout.account)),
        );
        making.name(cause, &own, found);
        return Ok(());
    }
    let transit = Account::of(Chart::PayoutTransit, &payout.id);
    let mut parts = payout.parts.clone();
    let explained: i128 = parts.values().sum();
    let residual = fit(i128::from(payout.money.minor) - explained)?;
    let mut own_legs = Vec::new();
    if residual != 0 {
        let sentence = format!(
            "Payout {}: {} was sent, its rows make {}; {} is not explained.",
            payout.id,
            payout.money,
            Money::new(fit(explained)?, payout.money.currency),
            Money::new(residual, payout.money.currency)
        );
        let found =
            named(payout, &own, BreakClass::Residual, sentence).suspended(unit.clone(), residual);
        let account = Account::of(Chart::Suspense, found.id.as_str());
        own_legs.push((account, unit.clone(), -i128::from(residual)));
        own_legs.push((transit.clone(), unit.clone(), i128::from(residual)));
        making.name(cause, &own, found);
    }
    parts.entry(own.clone()).or_default();
    let arrived = payout.bank.and_then(|at| bank.get(at));
    for (book, net) in parts {
        let mut legs = match book == own {
            true => core::mem::take(&mut own_legs),
            false => Vec::new(),
        };
        legs.push((transit.clone(), unit.clone(), net));
        legs.push((
            Account::of(Chart::PspAvailable, &payout.account),
            unit.clone(),
            -net,
        ));
        making.post(cause, &book, Rule::PayoutSent, payout.sent_ms, legs)?;
        if let Some(line) = arrived {
            let all = net + if book == own { i128::from(residual) } else { 0 };
            let legs = Vec::from([
                (Account::plain(Chart::Bank), unit.clone(), all),
                (transit.clone(), unit.clone(), -all),
            ]);
            making.post(cause, &book, Rule::PayoutArrived, line.date_ms, legs)?;
        }
    }
    match arrived {
        Some(line) => other_amount(making, payout, &own, line),
        None => {
            not_on_bank(group, making, payout, &own);
            Ok(())
        }
    }
}

fn named(payout: &Payout, own: &PopupId, class: BreakClass, sentence: String) -> Break {
    let keys = [own.to_string(), payout.account.clone(), payout.id.clone()];
    Break::new(class, keys.into(), sentence)
        .evident([format!("{}/{}", payout.account, payout.id)].into())
}

fn other_amount(
    making: &mut Making,
    payout: &Payout,
    own: &PopupId,
    line: &BankLine,
) -> Result<(), EntryFault> {
    let off = line.amount.saturating_sub(payout.money.minor);
    if off == 0 {
        return Ok(());
    }
    let unit = Commodity::Money(payout.money.currency);
    let sentence = format!(
        "Payout {}: {} was sent, {} came to the bank.",
        payout.id,
        payout.money,
        Money::new(line.amount, payout.money.currency)
    );
    let found = named(payout, own, BreakClass::BankAmount, sentence).suspended(unit.clone(), off);
    let legs = Vec::from([
        (Account::plain(Chart::Bank), unit.clone(), i128::from(off)),
        (
            Account::of(Chart::Suspense, found.id.as_str()),
            unit,
            -i128::from(off),
        ),
    ]);
    let cause = key(&payout.account, &payout.id).cause();
    making.name(cause, own, found);
    making.post(cause, own, Rule::PayoutArrived, line.date_ms, legs)
}

fn not_on_bank(group: &Group<'_>, making: &mut Making, payout: &Payout, own: &PopupId) {
    let until = payout.sent_ms.saturating_add(group.rules.timers.bank_ms);
    making.due(until, group.as_of_ms);
    if group.as_of_ms < until {
        return;
    }
    let sentence = format!(
        "Payout {} of {} was sent and is not on the bank's list.",
        payout.id, payout.money
    );
    let unit = Commodity::Money(payout.money.currency);
    let transit = Account::of(Chart::PayoutTransit, &payout.id);
    let found = named(payout, own, BreakClass::BankMissing, sentence).amounting(
        unit,
        payout.money.minor,
        Some(transit),
    );
    making.name(key(&payout.account, &payout.id).cause(), own, found);
}
