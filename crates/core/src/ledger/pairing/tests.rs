//! Whole days of claims, objects, lines and payouts, evaluated from nothing.

mod examples;
mod oracle;
mod settled;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::event::central::*;
use crate::event::commerce::Commerce;
use crate::event::system::SystemEvent;
use crate::event::{self, Event, Minor};
use crate::id::*;
use crate::ledger::central::Central;
use crate::ledger::fact::EventKey;
use crate::ledger::group::{self, Group, GroupKey, GroupKind, Made, Surroundings, Word};
use crate::ledger::post::{self, Card, RefundContext, StockContext};
use crate::ledger::rules::{AccountRules, Rules};
use crate::ledger::{Account, Break, Chart, Commodity, Entry, Fact, FactId};
use crate::money::Currency;
use crate::provider::ProviderKind;

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const T0: i64 = 1_772_820_000_000;

/// Everything that is told.
#[derive(Clone)]
pub(super) struct World {
    pub(super) facts: Vec<Rc<Fact>>,
    pub(super) rules: Rules,
    pub(super) as_of_ms: i64,
    /// References whose anchors are lost.
    pub(super) lost: BTreeMap<String, (PopupId, Position)>,
}

/// What comes of it.
#[derive(Default)]
pub(super) struct Books {
    pub(super) entries: Vec<(PopupId, Entry)>,
    pub(super) breaks: Vec<(PopupId, Break)>,
    pub(super) made: Vec<Made>,
    pub(super) words: Vec<Word>,
    pub(super) reconciled: BTreeSet<FactId>,
    pub(super) due_ms: Option<i64>,
    pub(super) explained: Vec<crate::ledger::payout::Explained>,
}

pub(super) fn usd() -> Currency {
    Currency::new("USD").unwrap()
}

pub(super) fn account(kind: ProviderKind, name: &str, life_ms: i64) -> AccountRules {
    AccountRules {
        name: name.into(),
        provider: kind,
        fees: None,
        dispute_fee: None,
        offline_life_ms: life_ms,
        payout_bank: None,
    }
}

/// A card payment of order `o-{payment}` by the only account.
pub(super) fn sale(payment: &str, amount: i64) -> event::PaymentCaptured {
    event::PaymentCaptured {
        payment: PaymentId::new(payment).unwrap(),
        order: OrderId::new(&std::format!("o-{payment}")).unwrap(),
        amount: Minor(amount),
        currency: usd(),
        method: PaymentMethod::new("card").unwrap(),
        provider: None,
        provider_ref: None,
        offline: None,
        tip: None,
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: None,
    }
}

pub(super) fn refund(id: &str, of: &str, amount: i64) -> event::PaymentRefunded {
    event::PaymentRefunded {
        refund: RefundId::new(id).unwrap(),
        payment: PaymentId::new(of).unwrap(),
        amount: Minor(amount),
        currency: usd(),
        reason: None,
        remark: None,
        lines: None,
    }
}

/// A captured payment at `stripe:main`, stamped.
pub(super) fn object(id: &str, stamp: &str, amount: i64) -> ProviderObject {
    ProviderObject {
        provider: "stripe".into(),
        account: "main".into(),
        kind: "payment".into(),
        object: id.into(),
        stamps: if stamp.is_empty() {
            Vec::new()
        } else {
            [stamp.into()].into()
        },
        currency: "USD".into(),
        amount,
        state: "captured".into(),
        created_ms: T0,
        version: T0 / 1_000,
        occurred_ms: T0,
        ..ProviderObject::default()
    }
}

/// A settled charge in payout `po_1`.
pub(super) fn charge(id: &str, object: &str, gross: i64, fee: i64) -> SettlementLine {
    SettlementLine {
        provider: "stripe".into(),
        account: "main".into(),
        line: id.into(),
        kind: "charge".into(),
        raw_kind: "charge".into(),
        object: object.into(),
        currency: "USD".into(),
        gross,
        fee,
        net: gross - fee,
        payout: "po_1".into(),
        occurred_ms: T0,
        ..SettlementLine::default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            facts: Vec::new(),
            rules: Rules {
                accounts: [account(ProviderKind::Stripe, "main", 24 * HOUR)].into(),
                ..Rules::default()
            },
            as_of_ms: T0 + HOUR,
            lost: BTreeMap::new(),
        }
    }

    /// A till's own word.
    pub(super) fn till(&mut self, at_ms: i64, event: Event) -> FactId {
        let seq = self.facts.len() as u64 + 1;
        let event_id = EventId::new(&std::format!("e-{seq}")).unwrap();
        self.till_as(at_ms, seq, event_id.as_str(), event)
    }

    pub(super) fn till_as(&mut self, at_ms: i64, seq: u64, id: &str, event: Event) -> FactId {
        let popup = PopupId::new("fri").unwrap();
        let name = match &event {
            Event::PaymentCaptured(of) => of.payment.to_string(),
            Event::PaymentRefunded(of) => of.refund.to_string(),
            Event::PaymentDisputed(of) => of.dispute.to_string() + of.state.text(),
            _ => panic!("no claim"),
        };
        let key = [popup.as_str().as_bytes(), name.as_bytes()];
        let fact = FactId::of(event.type_name(), &key);
        let event_id = EventId::new(id).unwrap();
        self.facts.push(Rc::new(Fact {
            id: fact,
            event_key: EventKey::of(&Source::new("till").unwrap(), &event_id),
            event_id,
            policy_version: 0,
            content: [0; 16],
            popup,
            position: Position {
                rig: RigId::new("till-1").unwrap(),
                epoch: Epoch(1),
                seq: Seq(seq),
            },
            occurred_ms: at_ms,
            event,
        }));
        fact
    }

    pub(super) fn sell(&mut self, sale: event::PaymentCaptured) -> FactId {
        self.till(T0, Event::PaymentCaptured(sale))
    }

    /// A word from the centre; its place is that of its arrival.
    pub(super) fn hear(&mut self, event: SystemEvent) {
        let central = Central::of(&event).expect("a fact of the centre");
        let parts: Vec<&[u8]> = central.key.iter().map(String::as_bytes).collect();
        let seq = self.facts.len() as u64 + 1;
        let event_id = EventId::new(&std::format!("c-{seq}")).unwrap();
        self.facts.push(Rc::new(Fact {
            id: FactId::of(event.name(), &parts),
            event_key: EventKey::of(&Source::new("central").unwrap(), &event_id),
            event_id,
            policy_version: 0,
            content: [0; 16],
            popup: central.book,
            position: Position {
                rig: RigId::new("central").unwrap(),
                epoch: Epoch(1),
                seq: Seq(seq),
            },
            occurred_ms: central.occurred_ms.unwrap_or(T0),
            event: Event::System(event),
        }));
    }

    pub(super) fn told(&mut self, object: ProviderObject) {
        self.hear(SystemEvent::ProviderObject(object));
    }

    pub(super) fn line(&mut self, line: SettlementLine) {
        self.hear(SystemEvent::SettlementLine(line));
    }

    pub(super) fn bank(&mut self, id: &str, day: i64, amount: i64, reference: &str) {
        self.hear(SystemEvent::BankLine(BankLine {
            account: "current".into(),
            line: id.into(),
            date_ms: (T0 / (24 * HOUR) + day) * 24 * HOUR,
            currency: "USD".into(),
            amount,
            reference: reference.into(),
            ..BankLine::default()
        }));
    }

    /// The same facts come in another order; facts of the centre stand where they came.
    pub(super) fn arrived(&self, order: &[usize]) -> Self {
        let facts = order.iter().enumerate().map(|(at, from)| {
            let mut fact = (*self.facts[*from]).clone();
            if fact.position.rig.as_str() == "central" {
                fact.position.seq = Seq(at as u64 + 1);
            }
            Rc::new(fact)
        });
        Self {
            facts: facts.collect(),
            ..self.clone()
        }
    }

    fn groups(&self, kind: GroupKind) -> Vec<(GroupKey, BTreeSet<GroupKey>, Vec<Rc<Fact>>)> {
        let mut groups: Vec<(BTreeSet<GroupKey>, Vec<Rc<Fact>>)> = Vec::new();
        for fact in &self.facts {
            let keys = group::keys_of(fact, &self.rules).into_iter();
            let mut keys: BTreeSet<_> = keys.filter(|key| key.kind == kind).collect();
            if keys.is_empty() {
                continue;
            }
            let mut members = std::vec![Rc::clone(fact)];
            let (meet, rest) = (groups.into_iter())
                .partition::<Vec<_>, _>(|(theirs, _)| !theirs.is_disjoint(&keys));
            groups = rest;
            for (theirs, facts) in meet {
                keys.extend(theirs);
                members.extend(facts);
            }
            groups.push((keys, members));
        }
        (groups.into_iter())
            .map(|(keys, mut members)| {
                members.sort_by(|a, b| a.order().cmp(&b.order()));
                (*keys.first().unwrap(), keys, members)
            })
            .collect()
    }

    pub(super) fn books(&self) -> Books {
        let mut out = Books::default();
        self.post_facts(&mut out);
        for kind in [GroupKind::Pairing, GroupKind::Payout] {
            for (key, keys, members) in self.groups(kind) {
                let mut words: Vec<Word> = out.words.clone();
                words.retain(|word| keys.contains(&word.to));
                words.sort_by(|a, b| (a.cause, &a.part).cmp(&(b.cause, &b.part)));
                let group = Group {
                    kind,
                    key,
                    members: &members,
                    words: &words,
                    rules: &self.rules,
                    as_of_ms: self.as_of_ms,
                    around: self,
                };
                let outcome = group::evaluate(&group);
                if kind == GroupKind::Payout {
                    out.explained
                        .extend(crate::ledger::payout::explain(&group).unwrap());
                }
                out.words.extend(outcome.words);
                out.reconciled.extend(outcome.reconciled);
                out.due_ms = [out.due_ms, outcome.due_ms].into_iter().flatten().min();
                out.made.extend(outcome.made);
            }
        }
        for made in &out.made {
            let entries = made.posted.entries.iter();
            out.entries
                .extend(entries.map(|entry| (made.book.clone(), entry.get().clone())));
            let breaks = made.posted.breaks.iter().cloned();
            out.breaks
                .extend(breaks.map(|found| (made.book.clone(), found)));
            assert!(
                (made.posted.entries.iter()).all(|entry| entry.get().fact == made.cause),
                "an entry's fact is its cause"
            );
        }
        out.check();
        out
    }

    fn post_facts(&self, out: &mut Books) {
        let mut facts = self.facts.clone();
        facts.sort_by(|a, b| a.order().cmp(&b.order()));
        for fact in &facts {
            let posted = if let Event::PaymentRefunded(asked) = &fact.event {
                let sale = FactId::of_capture(&fact.popup, asked.payment.as_str());
                let sale = facts.iter().find(|one| one.id == sale).map(|one| &**one);
                let before = (facts.iter()).filter(|other| other.order() < fact.order());
                let before = before.filter_map(|other| match &other.event {
                    Event::PaymentRefunded(of) if of.payment == asked.payment => {
                        Some(i128::from(of.amount.0))
                    }
                    _ => None,
                });
                let before = before.sum();
                post::refund(fact, asked, &RefundContext { sale, before }, self)
            } else {
                post::post(fact, self)
            };
            let entries = posted.unwrap().entries;
            let entries = entries.iter().map(|entry| entry.get().clone());
            out.entries
                .extend(entries.map(|entry| (fact.popup.clone(), entry)));
        }
    }
}

impl Books {
    /// Suspense is what open breaks say (L6), each in its own account; no two breaks share an id in
    /// one book; no entry is there twice.
    fn check(&self) {
        let mut stands: BTreeMap<(PopupId, String, Commodity), i128> = BTreeMap::new();
        for (book, entry) in &self.entries {
            for leg in entry
                .legs
                .iter()
                .filter(|leg| leg.account.of == Chart::Suspense)
            {
                let key = (
                    book.clone(),
                    leg.account.part.clone(),
                    leg.commodity.clone(),
                );
                *stands.entry(key).or_default() -= i128::from(leg.amount);
            }
        }
        stands.retain(|_, sum| *sum != 0);
        let mut said = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (book, found) in &self.breaks {
            assert!(ids.insert((book.clone(), found.id.clone())), "{found:?}");
            assert!(found.sentence.ends_with('.'), "{}", found.sentence);
            if found.suspense != 0 {
                let money = found.commodity.clone().unwrap();
                let key = (book.clone(), found.id.to_string(), money);
                said.insert(key, i128::from(found.suspense));
            }
        }
        assert_eq!(stands, said, "suspense is named, all of it");
    }

    /// Balances over all books that are not zero, by `account currency`; suspense without its part.
    pub(super) fn balances(&self) -> BTreeMap<String, i128> {
        let mut out: BTreeMap<String, i128> = BTreeMap::new();
        for leg in self.entries.iter().flat_map(|(_, entry)| &entry.legs) {
            let key = std::format!("{} {}", leg.account.of.code(), leg.commodity);
            *out.entry(key).or_default() += i128::from(leg.amount);
        }
        out.retain(|_, amount| *amount != 0);
        out
    }

    pub(super) fn at(&self, key: &str) -> i128 {
        self.balances().get(key).copied().unwrap_or_default()
    }

    /// Class, amount and book of each break, sorted.
    pub(super) fn named(&self) -> Vec<(&'static str, i64, String)> {
        let mut out: Vec<_> = (self.breaks.iter())
            .map(|(book, found)| (found.class.text(), found.amount, book.to_string()))
            .collect();
        out.sort();
        out
    }

    pub(super) fn classes(&self) -> Vec<(&'static str, i64)> {
        self.named().into_iter().map(|one| (one.0, one.1)).collect()
    }

    /// All that an outcome says, in one order.
    pub(super) fn print(&self) -> Vec<String> {
        let mut out: Vec<String> = (self.made.iter())
            .map(|made| {
                let mut posted = made.posted.clone();
                posted.entries.sort_by_key(crate::ledger::Balanced::id);
                posted.breaks.sort_by(|a, b| a.id.cmp(&b.id));
                std::format!("{:?} {} {posted:?}", made.cause, made.book)
            })
            .chain(self.words.iter().map(|word| std::format!("{word:?}")))
            .chain(self.reconciled.iter().map(ToString::to_string))
            .chain([std::format!("{:?}", self.due_ms)])
            .collect();
        out.sort();
        out
    }
}

impl StockContext for World {
    fn stocked(&self, _: &PopupId, _: &Sku) -> bool {
        false
    }
    fn granted(&self, _: &PopupId, _: &Sku, _: &RigId) -> bool {
        false
    }
    fn card(&self, _: &Fact) -> Card {
        Card::None
    }
}

impl Surroundings for World {
    fn stock(&self) -> &dyn StockContext {
        self
    }
    fn gap_at(&self, reference: &str) -> Option<Position> {
        self.lost.get(reference).map(|one| one.1.clone())
    }
    fn popup_of(&self, reference: &str) -> Option<PopupId> {
        self.lost.get(reference).map(|one| one.0.clone())
    }
    fn window(&self, _: &PopupId) -> Option<(i64, i64)> {
        None
    }
    fn caught_up_ms(&self, _: &RigId) -> Option<i64> {
        None
    }
    fn balances(
        &self,
        _: GroupKey,
        _: &PopupId,
        _: Chart,
        _: Option<&Commodity>,
    ) -> Vec<(Account, Commodity, i128)> {
        Vec::new()
    }
    fn skew(&self, _: &PopupId, _: &Sku) -> i128 {
        0
    }
    fn drawer(&self, _: &PopupId, _: &RigId, _: Currency, _: i64) -> i128 {
        0
    }
    fn counted_ms(&self, _: &PopupId, _: &RigId, _: Currency) -> Option<i64> {
        None
    }
    fn drops(&self, _: &PopupId, _: &Sku) -> Vec<Rc<Fact>> {
        Vec::new()
    }
    fn commerce(&self, _: &PopupId) -> Option<Rc<Commerce>> {
        None
    }
}
