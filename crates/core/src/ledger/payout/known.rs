//! What is known of the payouts of a group.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{BankLine, ProviderObject, SettlementFile, SettlementLine, is_row, payout_of};
use crate::event::Event;
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::ledger::group::Group;
use crate::ledger::pairing::PayoutWord;
use crate::ledger::{Fact, FactId};
use crate::money::Currency;
use crate::provider::ObjectState;
use crate::provider::lattice::merge;
use crate::settlement::LineKind;

/// How far a payout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Sent,
    Failed,
    Canceled,
}

/// One payout.
pub(super) struct Payout {
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) id: String,
    pub(super) currency: Currency,
    /// Minor units.
    pub(super) amount: i128,
    pub(super) stage: Stage,
    /// When it was sent, ms since 1970.
    pub(super) at_ms: i64,
    /// By which the bank knows it; may be empty.
    pub(super) trace: String,
    /// The fact under which it posts.
    pub(super) anchor: FactId,
    /// Σ net of its lines by book.
    pub(super) shares: BTreeMap<PopupId, i128>,
}

impl Payout {
    pub(super) fn sum(&self) -> i128 {
        self.shares.values().sum()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        [&self.provider, &self.account, &self.id]
            .map(String::clone)
            .into()
    }
}

/// A line of a file, or of a bank.
pub(super) struct Told<'a, T> {
    pub(super) fact: &'a Fact,
    pub(super) line: &'a T,
    pub(super) currency: Currency,
}

type Name = (String, String, String);

/// All of it.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) payouts: Vec<Payout>,
    pub(super) bank: Vec<Told<'a, BankLine>>,
    /// Lines of no payment.
    pub(super) own: Vec<Told<'a, SettlementLine>>,
    /// Rows that are payouts.
    pub(super) rows: Vec<Told<'a, SettlementLine>>,
    pub(super) files: Vec<(&'a Fact, &'a SettlementFile)>,
}

impl<'a> Known<'a> {
    pub(super) fn of(group: &'a Group<'_>) -> Self {
        let mut out = Self::default();
        let mut told: BTreeMap<Name, Vec<(FactId, &ProviderObject)>> = BTreeMap::new();
        for fact in group.members {
            let Event::System(event) = &fact.event else {
                continue;
            };
            if let SystemEvent::ProviderObject(of) = event {
                let name = (of.provider.clone(), of.account.clone(), of.object.clone());
                told.entry(name).or_default().push((fact.id, of));
            } else if let SystemEvent::SettlementLine(line) = event {
                let into = if is_row(line) {
                    &mut out.rows
                } else {
                    &mut out.own
                };
                into.extend(Currency::new(&line.currency).map(|currency| Told {
                    fact,
                    line,
                    currency,
                }));
            } else if let SystemEvent::BankLine(line) = event {
                out.bank
                    .extend(Currency::new(&line.currency).map(|currency| Told {
                        fact,
                        line,
                        currency,
                    }));
            } else if let SystemEvent::SettlementFile(file) = event {
                out.files.push((fact, file));
            }
        }
        out.own.sort_by_key(|one| one.fact.id);
        out.rows
            .sort_by_key(|one| (one.line.occurred_ms, one.fact.id));
        out.bank.sort_by_key(|one| (one.line.date_ms, one.fact.id));
        out.files.sort_by_key(|one| one.0.id);
        let sums = out.sums(group);
        out.payouts = out.payouts_of(&told, &sums);
        out
    }

    /// Σ net by payout, currency and book.
    fn sums(&self, group: &Group<'_>) -> BTreeMap<(Name, String), BTreeMap<PopupId, i128>> {
        let mut sums: BTreeMap<(Name, String), BTreeMap<PopupId, i128>> = BTreeMap::new();
        let mut add = |name: Name, currency: String, book: PopupId, net: i64| {
            let sum = sums.entry((name, currency)).or_default();
            *sum.entry(book).or_default() += i128::from(net);
        };
        for word in group.words {
            if let Some(word) = PayoutWord::decode(&word.bytes)
                && let Ok(book) = PopupId::of_book(&word.book)
            {
                let name = (word.provider, word.account, word.payout);
                add(name, word.currency, book, word.net);
            }
        }
        for one in &self.own {
            let (line, book) = (one.line, one.fact.popup.clone());
            if !line.payout.is_empty() {
                add(name_of(line), line.currency.clone(), book, line.net);
            }
        }
        sums
    }

    fn payouts_of(
        &self,
        told: &BTreeMap<Name, Vec<(FactId, &ProviderObject)>>,
        sums: &BTreeMap<(Name, String), BTreeMap<PopupId, i128>>,
    ) -> Vec<Payout> {
        let mut rows: BTreeMap<Name, Vec<&Told<'_, SettlementLine>>> = BTreeMap::new();
        for row in &self.rows {
            rows.entry(name_of(row.line)).or_default().push(row);
        }
        let mut names: Vec<&Name> = told.keys().chain(rows.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let none = Vec::new();
        let mut out: Vec<Payout> = (names.into_iter())
            .filter_map(|name| {
                let tellings = told.get(name).map_or(&[][..], Vec::as_slice);
                let rows = rows.get(name).unwrap_or(&none);
                let mut payout = payout(name, tellings, rows)?;
                let of = (name.clone(), payout.currency.to_string());
                payout.shares = sums.get(&of).cloned().unwrap_or_default();
                Some(payout)
            })
            .collect();
        out.sort_by(|a, b| (a.at_ms, &a.id, &a.account).cmp(&(b.at_ms, &b.id, &b.account)));
        out
    }
}

fn name_of(line: &SettlementLine) -> Name {
    (
        line.provider.clone(),
        line.account.clone(),
        payout_of(line).to_string(),
    )
}

/// A payout by its object, else by its row.
fn payout(
    (provider, account, id): &Name,
    told: &[(FactId, &ProviderObject)],
    rows: &[&Told<'_, SettlementLine>],
) -> Option<Payout> {
    let merged = merge(&told.iter().map(|one| one.1).collect::<Vec<_>>());
    let object = merged.object;
    let by_object = Currency::new(&object.currency);
    let sent = rows
        .iter()
        .find(|one| LineKind::from_text(&one.line.kind) == Some(LineKind::Payout));
    let returned = (rows.iter())
        .any(|one| LineKind::from_text(&one.line.kind) == Some(LineKind::PayoutReversal));
    let stage = match ObjectState::from_text(&object.state) {
        _ if returned => Stage::Failed,
        Some(ObjectState::Failed) => Stage::Failed,
        Some(ObjectState::Canceled) => Stage::Canceled,
        Some(ObjectState::Created) if sent.is_none() => Stage::Begun,
        Some(_) | None => Stage::Sent,
    };
    let (currency, amount, at_ms) = match by_object {
        Some(currency) => {
            let at_ms = match object.occurred_ms {
                0 => object.created_ms,
                at_ms => at_ms,
            };
            (currency, i128::from(object.amount), at_ms)
        }
        None => {
            let row = sent.or(rows.first())?;
            let amount = i128::from(row.line.net).abs();
            (row.currency, amount, row.line.occurred_ms)
        }
    };
    let first = told.iter().map(|(fact, of)| (of.version, *fact)).min();
    let anchor = first
        .map(|one| one.1)
        .or(rows.first().map(|row| row.fact.id))?;
    Some(Payout {
        provider: provider.clone(),
        account: account.clone(),
        id: id.clone(),
        currency,
        amount,
        stage,
        at_ms,
        trace: object.trace,
        anchor,
        shares: BTreeMap::new(),
    })
}
