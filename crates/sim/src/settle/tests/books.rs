//! Books of generated sets, from claims, messages and files: they show each planted fault with its
//! amount, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popwatch_core::event::commerce::Commerce;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Event, Minor, PaymentCaptured, PaymentRefunded};
use popwatch_core::id::{
    Epoch, EventId, OrderId, PaymentId, PaymentMethod, PopupId, Position, RefundId, RigId, Seq,
    Sku, Source,
};
use popwatch_core::ledger::fact::EventKey;
use popwatch_core::ledger::group::{
    Group, GroupKey, GroupKind, Surroundings, Word, evaluate, keys_of,
};
use popwatch_core::ledger::post::{Card, StockContext};
use popwatch_core::ledger::rules::Rules;
use popwatch_core::ledger::{Account, Break, Chart, Commodity, Fact, FactId, Severity, payout};
use popwatch_store::fs::faulty::Dice;

use super::*;

/// Nothing is around but the facts.
struct Alone;

impl StockContext for Alone {
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

impl Surroundings for Alone {
    fn stock(&self) -> &dyn StockContext {
        self
    }
    fn gap_at(&self, _: &str) -> Option<Position> {
        None
    }
    fn popup_of(&self, _: &str) -> Option<PopupId> {
        None
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

fn fact(book: PopupId, rig: &str, at_ms: i64, seq: usize, key: &str, event: Event) -> Rc<Fact> {
    let event_id = EventId::new(&format!("event-{rig}-{seq}")).unwrap();
    Rc::new(Fact {
        id: FactId::of(event.type_name(), &[key.as_bytes()]),
        event_key: EventKey::of(&Source::new("set").unwrap(), &event_id),
        event_id,
        policy_version: 0,
        content: [0; 16],
        popup: book,
        position: Position {
            rig: RigId::new(rig).unwrap(),
            epoch: Epoch(1),
            seq: Seq(seq as u64 + 1),
        },
        occurred_ms: at_ms,
        event,
    })
}

fn claimed(set: &Set, seq: usize, claim: &Claim) -> Rc<Fact> {
    let currency = Currency::new(&claim.currency).unwrap();
    let event = match &claim.refund_of {
        Some(payment) => Event::PaymentRefunded(PaymentRefunded {
            refund: RefundId::new(&claim.reference).unwrap(),
            payment: PaymentId::new(payment).unwrap(),
            amount: Minor(claim.amount),
            currency,
            reason: None,
            remark: None,
            lines: None,
        }),
        None => Event::PaymentCaptured(PaymentCaptured {
            payment: PaymentId::new(&claim.reference).unwrap(),
            order: OrderId::new(&claim.order).unwrap(),
            amount: Minor(claim.amount),
            currency,
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
        }),
    };
    let at_ms = claim.at_ms;
    fact(
        set.popup.clone(),
        "till-1",
        at_ms,
        seq,
        &claim.reference,
        event,
    )
}

/// All facts of a set: what tills say, what messages say, and what its files read as.
fn facts(set: &Set) -> Vec<Rc<Fact>> {
    let claims = set.claims.iter().enumerate();
    let mut out: Vec<_> = claims
        .map(|(seq, claim)| claimed(set, seq, claim))
        .collect();
    let book = PopupId::account_book(set.provider.text(), ACCOUNT);
    let mut seen = BTreeSet::new();
    let mut hear = |book: &PopupId, at_ms: i64, key: String, event: SystemEvent| {
        if seen.insert(key.clone()) {
            let seq = seen.len();
            let event = Event::System(event);
            out.push(fact(book.clone(), "central", at_ms, seq, &key, event));
        }
    };
    let objects = set.objects.iter().cloned();
    let read: Vec<Kept> = (set.files.iter())
        .map(|file| kept(file, set.provider))
        .collect();
    let stated = read.iter().flat_map(|kept| kept.objects.iter().cloned());
    for object in objects.chain(stated) {
        let key = format!("{} {} {}", object.object, object.state, object.version);
        let at_ms = object.occurred_ms;
        hear(&book, at_ms, key, SystemEvent::ProviderObject(object));
    }
    for line in read.iter().flat_map(|kept| kept.lines.iter().cloned()) {
        let (key, at_ms) = (format!("line {}", line.line), line.occurred_ms);
        hear(&book, at_ms, key, SystemEvent::SettlementLine(line));
    }
    let bank = PopupId::account_book("bank", BANK);
    for line in read.iter().flat_map(|kept| kept.bank.iter().cloned()) {
        let (key, at_ms) = (format!("bank {}", line.line), line.date_ms);
        hear(&bank, at_ms, key, SystemEvent::BankLine(line));
    }
    out
}

/// Groups whose facts are joined by a chain of keys.
fn groups(
    facts: &[Rc<Fact>],
    rules: &Rules,
    kind: GroupKind,
) -> Vec<(BTreeSet<GroupKey>, Vec<Rc<Fact>>)> {
    let mut of_key: BTreeMap<GroupKey, usize> = BTreeMap::new();
    let mut groups: Vec<(BTreeSet<GroupKey>, Vec<Rc<Fact>>)> = Vec::new();
    for fact in facts {
        let keys = keys_of(fact, rules).into_iter();
        let keys: BTreeSet<GroupKey> = keys.filter(|key| key.kind == kind).collect();
        if keys.is_empty() {
            continue;
        }
        let meet: BTreeSet<usize> = keys
            .iter()
            .filter_map(|key| of_key.get(key).copied())
            .collect();
        let at = groups.len();
        let mut all = (keys, vec![Rc::clone(fact)]);
        for other in meet {
            let (keys, members) = std::mem::take(&mut groups[other]);
            all.0.extend(keys);
            all.1.extend(members);
        }
        of_key.extend(all.0.iter().map(|key| (*key, at)));
        groups.push(all);
    }
    groups.retain(|group| !group.1.is_empty());
    for (_, members) in &mut groups {
        members.sort_by(|a, b| a.order().cmp(&b.order()));
    }
    groups
}

/// The breaks of a set's books; every payout they explain has no residual but a named one.
fn breaks(set: &Set) -> Vec<Break> {
    let rules = Rules {
        accounts: vec![set.account_rules()],
        ..Rules::default()
    };
    let facts = facts(set);
    let (mut words, mut found): (Vec<Word>, Vec<Break>) = (Vec::new(), Vec::new());
    let mut suspense: BTreeMap<String, i128> = BTreeMap::new();
    for kind in [GroupKind::Pairing, GroupKind::Payout] {
        for (keys, members) in groups(&facts, &rules, kind) {
            let heard = words.iter().filter(|word| keys.contains(&word.to));
            let mut heard: Vec<Word> = heard.cloned().collect();
            heard.sort_by(|a, b| (a.cause, &a.part).cmp(&(b.cause, &b.part)));
            let group = Group {
                kind,
                key: *keys.first().unwrap(),
                members: &members,
                words: &heard,
                rules: &rules,
                as_of_ms: set.as_of_ms,
                around: &Alone,
            };
            let outcome = evaluate(&group);
            words.extend(outcome.words);
            for made in outcome.made {
                for entry in &made.posted.entries {
                    let legs = entry.get().legs.iter();
                    for leg in legs.filter(|leg| leg.account.of == Chart::Suspense) {
                        *suspense.entry(leg.account.part.clone()).or_default() -=
                            i128::from(leg.amount);
                    }
                }
                found.extend(made.posted.breaks);
            }
            if kind == GroupKind::Payout {
                for one in payout::explain(&group).unwrap() {
                    let named = found.iter().any(|found| {
                        found.class.text() == "B-RESIDUAL" && found.keys.contains(&one.payout)
                    });
                    assert_eq!(one.residual != 0, named, "{one:?}");
                }
            }
        }
    }
    suspense.retain(|_, sum| *sum != 0);
    let said: BTreeMap<String, i128> = (found.iter())
        .filter(|found| found.suspense != 0)
        .map(|found| (found.id.to_string(), i128::from(found.suspense)))
        .collect();
    assert_eq!(suspense, said, "every open unit has one address");
    found
}

#[test]
fn books_show_each_planted_fault_and_nothing_else() {
    for seed in 0..SEEDS * 5 {
        for provider in ProviderKind::ALL {
            let mut dice = Dice(seed.wrapping_mul(31) + 7);
            let count = dice.index(4);
            let faults: Vec<Fault> = (0..count)
                .map(|_| Fault::ALL[dice.index(Fault::ALL.len())])
                .collect();
            check(*provider, seed, &faults);
        }
    }
}

#[test]
fn each_fault_alone_is_shown() {
    for provider in ProviderKind::ALL {
        for fault in Fault::ALL {
            check(*provider, 5, &[fault]);
        }
    }
}

fn check(provider: ProviderKind, seed: u64, faults: &[Fault]) {
    let set = generate(provider, seed, faults);
    let found = breaks(&set);
    let what = format!("{provider:?} {seed} {faults:?}");
    let mut seen: Vec<(&str, String, i64)> = (found.iter())
        .filter(|found| found.class.text().starts_with("B-") || found.severity != Severity::Info)
        .map(|found| {
            let currency = found.commodity.as_ref().map(ToString::to_string);
            (
                found.class.text(),
                currency.unwrap_or_default(),
                found.amount,
            )
        })
        .collect();
    // Two tellings of one line are the intake's to name.
    let expected = || set.expected.iter().filter(|one| one.class != "B-FILE-DUP");
    let mut wanted: Vec<_> = expected()
        .map(|one| (one.class, one.currency.clone(), one.amount))
        .collect();
    seen.sort();
    wanted.sort();
    assert_eq!(seen, wanted, "{what}");
    for one in expected() {
        let names = |found: &&Break| {
            found.class.text() == one.class
                && found.amount == one.amount
                && (found.keys.contains(&one.hint)
                    || found.evidence.contains(&one.hint)
                    || found.sentence.contains(&one.hint))
        };
        assert!(found.iter().any(|found| names(&found)), "{what}: {one:?}");
    }
}
