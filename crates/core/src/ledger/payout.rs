//! Payouts: their lines against what was paid (S5), and what was paid against the bank (S6).
//!
//! ```text
//! words of lines, lines of no payment ─► Σ net per book ─┐
//! payout's object or row ──────────────► amount ─────────┴─► R22 per book, residual in the account's
//! bank lines: by trace, by id, by amount and date ───────► R22 1310, or a break
//! ```
//!
//! A group holds what can concern each other: a bank line may name several payouts, and amount and
//! date count only where they are unique on both sides, so everything of one amount is together.

mod bank;
mod known;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass, Severity};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::pairing::{Counter, line_legs, payable_ms, takes, title, unknown_line, unpaid};
use super::{Account, Chart, Commodity, Fact, FactId};
use crate::event::Event;
use crate::event::central::{BankLine, ProviderObject, SettlementFile, SettlementLine};
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::limits::BANK_WORDS_MAX;
use crate::money::{Currency, Money};
use crate::provider::ObjectKind;
use crate::settlement::{Arithmetic, LineKind, arithmetic};
use known::{Known, Payout, Stage};

/// The group of a payout.
#[must_use]
pub fn key(provider: &str, account: &str, payout: &str) -> GroupKey {
    GroupKey::of(GroupKind::Payout, &["payout", provider, account, payout])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let Event::System(event) = &fact.event else {
        return;
    };
    if let SystemEvent::ProviderObject(of) = event {
        if of.kind == ObjectKind::Payout.text() {
            keys.push(key(&of.provider, &of.account, &of.object));
            sought(&[&of.object, &of.trace], &of.currency, of.amount, keys);
        }
    } else if let SystemEvent::SettlementLine(of) = event {
        keys_of_line(of, keys);
    } else if let SystemEvent::BankLine(of) = event {
        for word in words(&of.reference).into_iter().take(BANK_WORDS_MAX) {
            keys.push(named(&word));
        }
        keys.push(paid(&of.currency, of.amount));
    } else if let SystemEvent::SettlementFile(of) = event
        && !of.balances.is_empty()
    {
        let hash = super::hex(&of.blake3);
        let parts = ["file", &*of.provider, &*of.account, &hash];
        keys.push(GroupKey::of(GroupKind::Payout, &parts));
    }
}

fn keys_of_line(of: &SettlementLine, keys: &mut Vec<GroupKey>) {
    let payout = payout_of(of);
    if takes(of) {
        return;
    }
    if payout.is_empty() {
        let parts = ["line", &*of.provider, &*of.account, &of.line];
        keys.push(GroupKey::of(GroupKind::Payout, &parts));
        return;
    }
    keys.push(key(&of.provider, &of.account, payout));
    if is_row(of) {
        sought(&[payout], &of.currency, of.net.saturating_abs(), keys);
    }
}

/// Whether the line is a payout itself.
fn is_row(of: &SettlementLine) -> bool {
    matches!(
        LineKind::from_text(&of.kind),
        Some(LineKind::Payout | LineKind::PayoutReversal)
    )
}

/// The payout a line is in, or is.
fn payout_of(of: &SettlementLine) -> &str {
    match of.payout.is_empty() && is_row(of) {
        true => &of.object,
        false => &of.payout,
    }
}

/// By what a bank line may be this payout's.
fn sought(names: &[&str], currency: &str, amount: i64, keys: &mut Vec<GroupKey>) {
    for name in names {
        let longest = words(name).into_iter().max_by_key(|word| word.len());
        keys.extend(longest.map(|word| named(&word)));
    }
    keys.push(paid(currency, amount));
}

fn named(word: &str) -> GroupKey {
    GroupKey::of(GroupKind::Payout, &["bank", word])
}

fn paid(currency: &str, amount: i64) -> GroupKey {
    let amount = amount.to_string();
    GroupKey::of(GroupKind::Payout, &["paid", currency, &amount])
}

/// The words of a bank's text or a payout's name, in capitals as banks write them.
fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase)
        .collect()
}

/// One payout, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The provider.
    pub provider: String,
    /// The account's name.
    pub account: String,
    /// The payout.
    pub payout: String,
    /// What was paid.
    pub amount: Money,
    /// Σ net of its lines, minor units.
    pub lines: i64,
    /// Amount less lines, minor units: 0 when every unit is explained.
    pub residual: i64,
    /// What the bank got, minor units; `None` when no bank line is known.
    pub bank: Option<i64>,
}

/// The payouts of a group with their residuals, 0 too. `None` when a sum leaves 64 bits.
#[must_use]
pub fn explain(group: &Group<'_>) -> Option<Vec<Explained>> {
    let known = Known::of(group);
    let banked = bank::matched(&known, group.rules);
    (known.payouts.iter().zip(&banked))
        .map(|(one, line)| {
            Some(Explained {
                provider: one.provider.clone(),
                account: one.account.clone(),
                payout: one.id.clone(),
                amount: Money::new(fit(one.amount).ok()?, one.currency),
                lines: fit(one.sum()).ok()?,
                residual: fit(one.amount - one.sum()).ok()?,
                bank: line.map(|at| known.bank[at].line.amount),
            })
        })
        .collect()
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let known = Known::of(group);
    let banked = bank::matched(&known, group.rules);
    let mut desk = Desk {
        group,
        making: Making::default(),
    };
    for one in &known.own {
        desk.own_line(one.fact, one.line, one.currency)?;
    }
    for one in &known.rows {
        desk.row(one.fact, one.line, one.currency);
    }
    for (fact, file) in &known.files {
        desk.balances(fact, file)?;
    }
    for (one, line) in known.payouts.iter().zip(banked) {
        desk.payout(one, line.map(|at| known.bank[at].line))?;
    }
    Ok(desk.making.0)
}

struct Desk<'d, 'a> {
    group: &'d Group<'a>,
    making: Making,
}

impl Desk<'_, '_> {
    fn cause(&self, fact: FactId) -> FactId {
        GroupKey::cause_of(GroupKind::Payout, fact)
    }

    fn is_over(&mut self, at_ms: i64) -> bool {
        self.making.due(at_ms, self.group.as_of_ms);
        self.group.as_of_ms >= at_ms
    }

    /// A line of no payment: a fee, or what nobody knows.
    fn own_line(
        &mut self,
        fact: &Fact,
        line: &SettlementLine,
        currency: Currency,
    ) -> Result<(), EntryFault> {
        let kind = LineKind::from_text(&line.kind).unwrap_or(LineKind::Other);
        let (cause, book) = (self.cause(fact.id), fact.popup.clone());
        let counter = Counter::of(kind);
        let (legs, found) = match counter {
            Counter::Fee(chart) => {
                let (legs, found) = line_legs(line, (kind, currency), counter)?;
                let named = ownerless(line, currency, chart);
                self.making.name(cause, &book, named);
                (legs, found)
            }
            Counter::Pending | Counter::Reserve | Counter::Unknown => {
                let (legs, found) = unknown_line(line, currency)?;
                (legs, Some(found))
            }
        };
        self.making
            .post(cause, &book, Rule::Settled, fact.occurred_ms, legs)?;
        if let Some(found) = found {
            self.making.name(cause, &book, found);
        }
        if line.payout.is_empty() && line.net != 0 {
            let due = payable_ms(line, self.group.rules.timers.settle_ms);
            if self.is_over(due) {
                self.making.name(cause, &book, unpaid(line, currency));
            }
        }
        Ok(())
    }

    /// A payout's own row posts nothing, but its figures must agree.
    fn row(&mut self, fact: &Fact, line: &SettlementLine, currency: Currency) {
        let Arithmetic::Differs { by, .. } = arithmetic(line) else {
            return;
        };
        let sentence = format!(
            "{} payout {}: its row says {} and {} for what should be one amount.",
            title(&line.provider),
            payout_of(line),
            Money::new(line.gross, currency),
            Money::new(line.net, currency)
        );
        let keys = [&line.provider, &line.account, &line.line].map(String::clone);
        let found = Break::new(BreakClass::Arithmetic, keys.into(), sentence)
            .amounting(Commodity::Money(currency), by, None)
            .evident([line.line.clone()].into());
        let cause = self.cause(fact.id);
        self.making.name(cause, &fact.popup, found);
    }

    /// Opening and rows must make the closing balance.
    fn balances(&mut self, fact: &Fact, file: &SettlementFile) -> Result<(), EntryFault> {
        for stated in &file.balances {
            let Some(currency) = Currency::new(&stated.currency) else {
                continue;
            };
            let made = i128::from(stated.opening) + i128::from(stated.activity);
            let by = i128::from(stated.closing) - made;
            if by == 0 {
                continue;
            }
            let sentence = format!(
                "{} file of account {}: from {} its rows make {}, but it closes with {}.",
                title(&file.provider),
                file.account,
                Money::new(stated.opening, currency),
                Money::new(fit(made)?, currency),
                Money::new(stated.closing, currency)
            );
            let hash = super::hex(&file.blake3);
            let keys = [
                file.provider.clone(),
                file.account.clone(),
                hash.clone(),
                stated.currency.clone(),
            ];
            let found = Break::new(BreakClass::Balance, keys.into(), sentence);
            let found = found
                .evident([hash].into())
                .suspended(Commodity::Money(currency), fit(by)?);
            let legs = self::legs(
                &[
                    (Account::plain(Chart::PspAvailable), by),
                    (suspense(&found), -by),
                ],
                currency,
            );
            let (cause, book) = (self.cause(fact.id), &fact.popup);
            self.making
                .post(cause, book, Rule::Settled, fact.occurred_ms, legs)?;
            self.making.name(cause, book, found);
        }
        Ok(())
    }

    fn payout(&mut self, one: &Payout, bank: Option<&BankLine>) -> Result<(), EntryFault> {
        if matches!(one.stage, Stage::Begun | Stage::Canceled) {
            return Ok(());
        }
        let cause = self.cause(one.anchor);
        let account = PopupId::account_book(&one.provider, &one.account);
        let transit = Account::of(Chart::PayoutTransit, &one.id);
        let (available, at_bank) = (
            Account::plain(Chart::PspAvailable),
            Account::plain(Chart::Bank),
        );
        let residual = one.amount - one.sum();
        let settle_ms = self.group.rules.timers.settle_ms;
        let judged = residual == 0
            || !one.shares.is_empty()
            || self.is_over(one.at_ms.saturating_add(settle_ms));
        let unexplained = match judged && residual != 0 {
            true => Some(self.residual(one, residual)?),
            false => None,
        };
        let beyond = bank.map(|line| i128::from(line.amount) - one.amount);
        let other = match beyond.filter(|by| *by != 0).zip(bank) {
            Some((by, line)) => Some(other_at_bank(one, line, by)?),
            None => None,
        };
        let mut shares = one.shares.clone();
        shares.entry(account.clone()).or_default();
        for (book, share) in shares {
            let own = book == account;
            let sent = share + if own { residual } else { 0 };
            let mut legs = [(transit.clone(), sent), (available.clone(), -sent)].to_vec();
            if let Some(found) = unexplained.as_ref().filter(|_| own) {
                legs.push((available.clone(), residual));
                legs.push((suspense(found), -residual));
            }
            let made = self::legs(&legs, one.currency);
            self.making
                .post(cause, &book, Rule::PaidOut, one.at_ms, made)?;
            if one.stage == Stage::Failed {
                let back = [(available.clone(), sent), (transit.clone(), -sent)];
                let made = self::legs(&back, one.currency);
                self.making
                    .post(cause, &book, Rule::PaidOut, one.at_ms, made)?;
            } else if let Some(line) = bank {
                let by = beyond.filter(|_| own).unwrap_or(0);
                let mut legs = [(at_bank.clone(), sent + by), (transit.clone(), -sent)].to_vec();
                legs.extend(other.as_ref().map(|found| (suspense(found), -by)));
                let made = self::legs(&legs, one.currency);
                self.making
                    .post(cause, &book, Rule::PaidOut, line.date_ms, made)?;
            }
        }
        for found in unexplained.into_iter().chain(other) {
            self.making.name(cause, &account, found);
        }
        self.ends(one, bank.is_some())
    }

    fn residual(&self, one: &Payout, residual: i128) -> Result<Break, EntryFault> {
        let sentence = format!(
            "{} paid out {} ({}), but its lines come to {}.",
            title(&one.provider),
            Money::new(fit(one.amount)?, one.currency),
            one.id,
            Money::new(fit(one.sum())?, one.currency)
        );
        let found = Break::new(BreakClass::Residual, one.keys(), sentence);
        Ok(found
            .evident([one.id.clone()].into())
            .suspended(Commodity::Money(one.currency), fit(residual)?))
    }

    /// A payout that came back, or never arrived.
    fn ends(&mut self, one: &Payout, arrived: bool) -> Result<(), EntryFault> {
        let paid = Money::new(fit(one.amount)?, one.currency);
        let (class, stands, sentence) = if one.stage == Stage::Failed {
            let sentence = format!(
                "{} could not pay out {paid} ({}); the money is still with it.",
                title(&one.provider),
                one.id
            );
            (
                BreakClass::PayoutFailed,
                Account::plain(Chart::PspAvailable),
                sentence,
            )
        } else {
            let due = one.at_ms.saturating_add(self.group.rules.timers.bank_ms);
            if arrived || one.amount == 0 || !self.is_over(due) {
                return Ok(());
            }
            let sentence = format!(
                "{} paid out {paid} ({}), and no bank line shows it.",
                title(&one.provider),
                one.id
            );
            (
                BreakClass::BankMissing,
                Account::of(Chart::PayoutTransit, &one.id),
                sentence,
            )
        };
        let found = Break::new(class, one.keys(), sentence)
            .amounting(Commodity::Money(one.currency), paid.minor, Some(stands))
            .evident([one.id.clone(), one.trace.clone()].into());
        let book = PopupId::account_book(&one.provider, &one.account);
        let cause = self.cause(one.anchor);
        self.making.name(cause, &book, found);
        Ok(())
    }
}

fn legs(parts: &[(Account, i128)], currency: Currency) -> Legs {
    (parts.iter())
        .map(|(account, amount)| (account.clone(), Commodity::Money(currency), *amount))
        .collect()
}

fn suspense(found: &Break) -> Account {
    Account::of(Chart::Suspense, found.id.as_str())
}

/// A fee that names no payment.
fn ownerless(line: &SettlementLine, currency: Currency, chart: Chart) -> Break {
    let sentence = format!(
        "{} took {} ({}) for no payment in particular.",
        title(&line.provider),
        Money::new(line.net.saturating_neg(), currency),
        line.raw_kind
    );
    let keys = [&line.provider, &line.account, &line.line].map(String::clone);
    let mut found = Break::new(BreakClass::UnknownLine, keys.into(), sentence)
        .amounting(
            Commodity::Money(currency),
            line.net,
            Some(Account::plain(chart)),
        )
        .evident([line.line.clone()].into());
    found.severity = Severity::Info;
    found
}

fn other_at_bank(one: &Payout, line: &BankLine, by: i128) -> Result<Break, EntryFault> {
    let sentence = format!(
        "{} paid out {} ({}), and the bank got {}.",
        title(&one.provider),
        Money::new(fit(one.amount)?, one.currency),
        one.id,
        Money::new(line.amount, one.currency)
    );
    let found = Break::new(BreakClass::BankAmount, one.keys(), sentence);
    Ok(found
        .evident([one.id.clone(), line.line.clone()].into())
        .suspended(Commodity::Money(one.currency), fit(by)?))
}
