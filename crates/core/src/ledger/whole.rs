//! Whole books in memory, for tests: every fact and group evaluated from nothing, the surroundings
//! answered by looking through everything.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the one event it made and for no other"
)]

mod examples;
mod oracle;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use super::fact::EventKey;
use super::group::{self, Group, GroupKey, GroupKind, Surroundings, Word};
use super::post::{self, Card, Posted, RefundContext, StockContext};
use super::rules::Rules;
use super::{Account, Break, Chart, Commodity, Entry, Fact, FactId};
use crate::event::commerce::Commerce;
use crate::event::system::SystemEvent;
use crate::event::{self, Event, Line, Minor};
use crate::id::*;
use crate::money::Currency;

/// A popup's facts and promises.
#[derive(Default)]
pub(super) struct Day {
    pub(super) facts: Vec<Rc<Fact>>,
    /// Promises by policy version; a fact of any other version but 0 has lost them.
    pub(super) cards: BTreeMap<u32, Rc<Commerce>>,
    pub(super) window: Option<(i64, i64)>,
    pub(super) as_of_ms: i64,
    /// What pairing would say.
    pub(super) said: Vec<Word>,
    made: RefCell<Vec<(Option<GroupKey>, Entry)>>,
}

/// What came of it.
pub(super) struct Books {
    pub(super) entries: Vec<Entry>,
    pub(super) breaks: Vec<Break>,
    pub(super) due_ms: Option<i64>,
}

impl Books {
    /// Balances that are not zero, by `account commodity`.
    pub(super) fn balances(&self) -> BTreeMap<String, i128> {
        let mut out: BTreeMap<String, i128> = BTreeMap::new();
        for leg in self.entries.iter().flat_map(|entry| &entry.legs) {
            let key = std::format!("{} {}", leg.account, leg.commodity);
            *out.entry(key).or_default() += i128::from(leg.amount);
        }
        out.retain(|_, amount| *amount != 0);
        out
    }

    pub(super) fn at(&self, key: &str) -> i128 {
        self.balances().get(key).copied().unwrap_or_default()
    }

    pub(super) fn classes(&self) -> Vec<&'static str> {
        let mut out: Vec<_> = self.breaks.iter().map(|found| found.class.text()).collect();
        out.sort_unstable();
        out
    }
}

pub(super) fn popup() -> PopupId {
    PopupId::new("fri").unwrap()
}

impl Day {
    /// Adds a fact of a rig; its seq is how many came before.
    pub(super) fn add(&mut self, rig: &str, at_ms: i64, version: u32, id: &[&str], event: Event) {
        let seq = self.facts.len() as u64 + 1;
        let parts: Vec<&[u8]> = id.iter().map(|part| part.as_bytes()).collect();
        let event_id = EventId::new(&seq.to_string()).unwrap();
        self.facts.push(Rc::new(Fact {
            id: FactId::of(event.type_name(), &parts),
            event_key: EventKey::of(&Source::new("t").unwrap(), &event_id),
            event_id,
            policy_version: version,
            content: [0; 16],
            popup: popup(),
            position: Position {
                rig: RigId::new(rig).unwrap(),
                epoch: Epoch(1),
                seq: Seq(seq),
            },
            occurred_ms: at_ms,
            event,
        }));
    }

    pub(super) fn add_sale(&mut self, rig: &str, at_ms: i64, sale: event::PaymentCaptured) {
        let id = sale.payment.to_string();
        self.add(rig, at_ms, 1, &["fri", &id], Event::PaymentCaptured(sale));
    }

    pub(super) fn add_refund(
        &mut self,
        at_ms: i64,
        id: &str,
        of: &str,
        amount: i64,
        lines: &[(&str, i64)],
    ) {
        let lines = lines.iter().map(|(sku, qty)| line(sku, *qty, 0, None));
        let refund = event::PaymentRefunded {
            refund: RefundId::new(id).unwrap(),
            payment: PaymentId::new(of).unwrap(),
            amount: Minor(amount),
            currency: gbp(),
            reason: None,
            remark: None,
            lines: Some(lines.collect()),
        };
        self.add(
            "till-1",
            at_ms,
            1,
            &["fri", id],
            Event::PaymentRefunded(refund),
        );
    }

    pub(super) fn add_own(&mut self, at_ms: i64, event: SystemEvent) {
        let n = self.facts.len().to_string();
        self.add("central", at_ms, 0, &[&n], Event::System(event));
    }

    /// All books, from nothing.
    pub(super) fn books(&self) -> Books {
        let mut facts = self.facts.clone();
        facts.sort_by(|a, b| a.order().cmp(&b.order()));
        self.made.borrow_mut().clear();
        let mut books = Books {
            entries: Vec::new(),
            breaks: Vec::new(),
            due_ms: None,
        };
        for fact in &facts {
            self.keep(None, self.alone(fact, &facts), &mut books);
        }
        let mut words = self.said.clone();
        for kind in GroupKind::ALL {
            self.together(kind, &facts, &mut words, &mut books);
        }
        let made = self.made.borrow();
        books.entries = made.iter().map(|(_, entry)| entry.clone()).collect();
        books
    }

    fn keep(&self, by: Option<GroupKey>, posted: Posted, books: &mut Books) {
        let entries = posted.entries.iter().map(|entry| (by, entry.get().clone()));
        self.made.borrow_mut().extend(entries);
        books.breaks.extend(posted.breaks);
    }

    fn alone(&self, fact: &Fact, facts: &[Rc<Fact>]) -> Posted {
        let posted = if let Event::PaymentRefunded(asked) = &fact.event {
            let sale = FactId::of_capture(&fact.popup, asked.payment.as_str());
            let earlier = facts.iter().filter(|other| other.order() < fact.order());
            let before = earlier.filter_map(|other| match &other.event {
                Event::PaymentRefunded(theirs) if theirs.payment == asked.payment => {
                    Some(i128::from(theirs.amount.0))
                }
                _ => None,
            });
            let before = before.sum();
            let sale = facts.iter().find(|other| other.id == sale);
            let sale = sale.map(|sale| &**sale);
            post::refund(fact, asked, &RefundContext { sale, before }, self)
        } else {
            post::post(fact, self)
        };
        posted.expect("one fact's amounts fit")
    }

    fn together(
        &self,
        kind: GroupKind,
        facts: &[Rc<Fact>],
        words: &mut Vec<Word>,
        books: &mut Books,
    ) {
        let rules = Rules::default();
        let mut groups: BTreeMap<GroupKey, Vec<Rc<Fact>>> = BTreeMap::new();
        for fact in facts {
            let keys = group::keys_of(fact, &rules).into_iter();
            for key in keys.filter(|key| key.kind == kind) {
                groups.entry(key).or_default().push(Rc::clone(fact));
            }
        }
        for (key, mut members) in groups {
            if members.iter().any(|fact| group::reads(kind, fact)) {
                members.retain(|fact| group::reads(kind, fact));
            } else {
                members.truncate(1);
            }
            let to_it = words.iter().filter(|word| word.to == key);
            let outcome = group::evaluate(&Group {
                kind,
                key,
                members: &members,
                words: &to_it.cloned().collect::<Vec<_>>(),
                rules: &rules,
                as_of_ms: self.as_of_ms,
                around: self,
            });
            words.extend(outcome.words);
            books.due_ms = [books.due_ms, outcome.due_ms].into_iter().flatten().min();
            for made in outcome.made {
                self.keep(Some(key), made.posted, books);
            }
        }
    }
}

impl StockContext for Day {
    fn stocked(&self, _: &PopupId, sku: &Sku) -> bool {
        self.facts
            .iter()
            .any(|fact| post::supplied(fact) == Some(sku))
    }
    fn granted(&self, _: &PopupId, sku: &Sku, rig: &RigId) -> bool {
        let wanted = (sku.clone(), rig.to_string());
        self.facts
            .iter()
            .any(|fact| post::grantee(fact).as_ref() == Some(&wanted))
    }
    fn card(&self, fact: &Fact) -> Card {
        match (fact.policy_version, self.cards.get(&fact.policy_version)) {
            (0, _) => Card::None,
            (_, Some(card)) => Card::Known(Rc::clone(card)),
            (_, None) => Card::Lost,
        }
    }
}

impl Surroundings for Day {
    fn stock(&self) -> &dyn StockContext {
        self
    }
    fn popup_of(&self, _: &str) -> Option<PopupId> {
        None
    }
    fn gap_at(&self, _: &str) -> Option<Position> {
        None
    }
    fn window(&self, _: &PopupId) -> Option<(i64, i64)> {
        self.window
    }
    fn caught_up_ms(&self, rig: &RigId) -> Option<i64> {
        rig.as_str().starts_with("till").then_some(0)
    }
    fn balances(
        &self,
        without: GroupKey,
        _: &PopupId,
        of: Chart,
        commodity: Option<&Commodity>,
    ) -> Vec<(Account, Commodity, i128)> {
        let mut out: BTreeMap<(Account, Commodity), i128> = BTreeMap::new();
        for (by, entry) in self.made.borrow().iter() {
            for leg in entry
                .legs
                .iter()
                .filter(|leg| leg.account.of == of && *by != Some(without))
            {
                if commodity.is_none_or(|wanted| *wanted == leg.commodity) {
                    *out.entry((leg.account.clone(), leg.commodity.clone()))
                        .or_default() += i128::from(leg.amount);
                }
            }
        }
        out.into_iter()
            .map(|((account, commodity), sum)| (account, commodity, sum))
            .collect()
    }
    fn skew(&self, _: &PopupId, _: &Sku) -> i128 {
        0
    }
    fn drawer(&self, _: &PopupId, rig: &RigId, currency: Currency, until_ms: i64) -> i128 {
        let made = self.made.borrow();
        let entries = made
            .iter()
            .filter(|(by, entry)| by.is_none() && entry.occurred_ms <= until_ms);
        let legs = entries.flat_map(|(_, entry)| &entry.legs);
        let till = Account::of(Chart::CashTill, rig.as_str());
        legs.filter(|leg| leg.account == till && leg.commodity == Commodity::Money(currency))
            .map(|leg| i128::from(leg.amount))
            .sum()
    }
    fn counted_ms(&self, _: &PopupId, rig: &RigId, currency: Currency) -> Option<i64> {
        let counts = self.facts.iter().filter_map(|fact| match &fact.event {
            Event::System(SystemEvent::CashCounted(of))
                if of.rig == rig.as_str() && of.currency == currency.code() =>
            {
                Some(fact.occurred_ms)
            }
            _ => None,
        });
        counts.max()
    }
    fn drops(&self, _: &PopupId, sku: &Sku) -> Vec<Rc<Fact>> {
        let of_sku = |fact: &&Rc<Fact>| match &fact.event {
            Event::DropOpened(of) => of.sku == *sku,
            Event::DropClosed(of) => of.sku == *sku,
            _ => false,
        };
        self.facts.iter().filter(of_sku).cloned().collect()
    }
    fn commerce(&self, _: &PopupId) -> Option<Rc<Commerce>> {
        self.cards.values().next_back().cloned()
    }
}

pub(super) fn gbp() -> Currency {
    Currency::new("GBP").unwrap()
}

pub(super) fn line(sku: &str, qty: i64, amount: i64, creator: Option<&str>) -> Line {
    Line {
        sku: Sku::new(sku).unwrap(),
        qty,
        amount,
        creator: creator.map(|name| CreatorId::new(name).unwrap()),
    }
}

/// A sale by card without anything else.
pub(super) fn sale(payment: &str, amount: i64, lines: &[Line]) -> event::PaymentCaptured {
    event::PaymentCaptured {
        payment: PaymentId::new(payment).unwrap(),
        order: OrderId::new(&std::format!("o-{payment}")).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
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
        lines: Some(lines.to_vec()),
    }
}
