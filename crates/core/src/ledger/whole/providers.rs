//! Claims, provider objects, lines and payouts, evaluated from nothing.

use super::*;
use crate::event::central::{BankLine, ProviderObject, SettlementLine};
use crate::ledger::rules::{AccountRules, Timers};
use crate::ledger::{pairing, payout};
use crate::provider::ProviderKind;
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;

fn rules() -> Rules {
    Rules {
        accounts: [AccountRules {
            name: "main".into(),
            provider: ProviderKind::Stripe,
            fees: None,
            dispute_fee: None,
            offline_life_ms: 24 * 60 * MINUTE_MS,
        }]
        .into(),
        timers: Timers::DEFAULT,
    }
}

fn object(id: &str, amount: i64, state: &str) -> ProviderObject {
    ProviderObject {
        provider: "stripe".into(),
        account: "main".into(),
        kind: "payment".into(),
        object: id.into(),
        currency: "GBP".into(),
        amount,
        state: state.into(),
        ..ProviderObject::default()
    }
}

fn stamped(id: &str, amount: i64, stamp: &str) -> ProviderObject {
    ProviderObject {
        stamps: [stamp.into()].into(),
        ..object(id, amount, "captured")
    }
}

fn told(day: &mut Day, at_ms: i64, of: ProviderObject) {
    day.add_own(at_ms, SystemEvent::ProviderObject(of));
}

fn settled(line: &str, kind: &str, of: &str, gross: i64, fee: i64, payout: &str) -> SettlementLine {
    SettlementLine {
        provider: "stripe".into(),
        account: "main".into(),
        line: line.into(),
        kind: kind.into(),
        object: of.into(),
        currency: "GBP".into(),
        gross,
        fee,
        net: gross - fee,
        payout: payout.into(),
        ..SettlementLine::default()
    }
}

/// All facts as one group of each kind.
fn books(day: &Day) -> Books {
    let mut facts = day.facts.clone();
    facts.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut out = Books {
        entries: Vec::new(),
        breaks: Vec::new(),
        due_ms: None,
    };
    let rules = rules();
    let mut words: Vec<Word> = Vec::new();
    for kind in [GroupKind::Pairing, GroupKind::Payout] {
        let group = Group {
            kind,
            key: GroupKey::of(kind, &[]),
            members: &facts,
            words: &words.clone(),
            rules: &rules,
            as_of_ms: day.as_of_ms,
            around: day,
        };
        let outcome = match kind == GroupKind::Pairing {
            true => pairing::evaluate(&group),
            false => payout::evaluate(&group),
        };
        let outcome = outcome.expect("amounts fit");
        words.extend(outcome.words);
        for made in outcome.made {
            out.entries
                .extend(made.posted.entries.iter().map(|entry| entry.get().clone()));
            out.breaks.extend(made.posted.breaks);
        }
    }
    for fact in &facts {
        let posted = day.alone(fact, &facts);
        out.entries
            .extend(posted.entries.iter().map(|entry| entry.get().clone()));
    }
    out
}

fn suspense(books: &Books) -> (i128, i128) {
    let stands = books.balances();
    let stands = stands.iter().filter(|(key, _)| key.starts_with("3900"));
    let named: i128 = books
        .breaks
        .iter()
        .map(|found| i128::from(found.suspense))
        .sum();
    (-stands.map(|(_, sum)| *sum).sum::<i128>(), named)
}

fn on_order(payment: &str, order: &str, amount: i64, offline: bool) -> event::PaymentCaptured {
    event::PaymentCaptured {
        order: OrderId::new(order).unwrap(),
        offline: Some(offline),
        ..sale(payment, amount, &[])
    }
}

/// A terminal that was offline took 8 orders; when it came back it charged 19 times, with nothing in
/// common but the order (the shape of a real report about Stripe's Terminal for Android).
#[test]
fn eleven_of_nineteen_charges_for_eight_orders_are_owed_back() {
    let mut day = Day {
        as_of_ms: 60 * MINUTE_MS,
        ..Day::default()
    };
    let charges = [3, 2, 2, 3, 2, 3, 2, 2];
    let mut owed = 0;
    for (order, count) in charges.into_iter().enumerate() {
        let amount = 1_000 + 137 * i64::try_from(order).unwrap();
        let name = std::format!("order-{order}");
        day.add_sale(
            "till-1",
            1_000,
            on_order(&std::format!("p-{order}"), &name, amount, true),
        );
        for charge in 0..count {
            let of = ProviderObject {
                order: name.clone(),
                ..object(&std::format!("pi_{order}_{charge}"), amount, "captured")
            };
            told(&mut day, 30 * MINUTE_MS + charge, of);
        }
        owed += amount * (count - 1);
    }
    let books = books(&day);
    let doubles = books
        .breaks
        .iter()
        .filter(|found| found.class.text() == "P-DOUBLE");
    assert_eq!(doubles.clone().count(), 11);
    assert_eq!(doubles.map(|found| found.amount).sum::<i64>(), owed);
    assert_eq!(books.at("2080 GBP"), -i128::from(owed));
    assert_eq!(books.classes().len(), 11, "{:?}", books.classes());
    assert_eq!(books.at("1110:till-1:- GBP"), 0);
}

#[test]
fn a_claim_is_confirmed_missing_declined_or_other() {
    for (state, amount, as_of, expect) in [
        ("captured", 500, 0, None),
        ("captured", 450, 0, Some(("P-AMOUNT", -50))),
        ("declined", 500, 0, Some(("P-DECLINED", -500))),
        ("created", 500, 0, None),
        ("created", 500, 40 * MINUTE_MS, Some(("P-MISSING", -500))),
    ] {
        let mut day = Day {
            as_of_ms: as_of,
            ..Day::default()
        };
        day.add_sale("till-1", 1, sale("p-1", 500, &[]));
        let of = ProviderObject {
            state: state.into(),
            ..stamped("pi_1", amount, "p-1")
        };
        told(&mut day, 2, of);
        let books = books(&day);
        let found = books
            .breaks
            .iter()
            .map(|found| (found.class.text(), found.amount));
        assert_eq!(
            found.collect::<Vec<_>>(),
            Vec::from_iter(expect),
            "{state} {amount}"
        );
        let (stands, named) = suspense(&books);
        assert_eq!(stands, named);
    }
}

#[test]
fn money_without_a_claim_is_parked_and_then_named() {
    let mut day = Day::default();
    told(&mut day, 2, stamped("pi_9", 700, "nobody"));
    assert!(books(&day).entries.is_empty());
    day.as_of_ms = 40 * MINUTE_MS;
    let late = books(&day);
    assert_eq!(late.classes(), ["P-UNCLAIMED"]);
    assert_eq!(late.at("1200:main GBP"), 700);
    assert_eq!(suspense(&late), (700, 700));
}

fn closed_day() -> Day {
    let mut day = Day {
        as_of_ms: 10 * MINUTE_MS,
        ..Day::default()
    };
    day.add_sale("till-1", 1, sale("p-1", 2_500, &[]));
    day.add_refund(5, "r-1", "p-1", 1_000, &[]);
    told(&mut day, 2, stamped("ch_1", 2_500, "p-1"));
    let refund = ProviderObject {
        kind: "refund".into(),
        parent: "ch_1".into(),
        ..stamped("re_1", 1_000, "r-1")
    };
    told(
        &mut day,
        6,
        ProviderObject {
            state: "succeeded".into(),
            ..refund
        },
    );
    for line in [
        settled("txn_1", "charge", "ch_1", 2_500, 95, "po_123456"),
        settled("txn_2", "refund", "re_1", -1_000, 0, "po_123456"),
        settled("txn_3", "payout", "po_123456", -1_405, 0, "po_123456"),
    ] {
        day.add_own(7, SystemEvent::SettlementLine(line));
    }
    let bank = BankLine {
        account: "giro".into(),
        line: "1".into(),
        currency: "GBP".into(),
        amount: 1_405,
        reference: "STRIPE po_123456".into(),
        date_ms: 8,
        ..BankLine::default()
    };
    day.add_own(8, SystemEvent::BankLine(bank));
    day
}

#[test]
fn a_settled_day_ends_on_the_bank_account() {
    let books = books(&closed_day());
    assert!(books.breaks.is_empty(), "{:?}", books.breaks);
    let left: Vec<(String, i128)> = books.balances().into_iter().collect();
    let expect = [
        ("1310 GBP", 1_405),
        ("4010 GBP", -2_500),
        ("4030 GBP", 1_000),
        ("5010 GBP", 95),
    ];
    assert_eq!(left, expect.map(|(key, sum)| (String::from(key), sum)));
}

#[test]
fn what_a_file_gets_wrong_is_named_with_its_amount() {
    type Spoil = fn(&mut SettlementLine);
    let wrong: [(&str, Spoil, &str, i64); 3] = [
        ("txn_1", |line| line.net -= 7, "B-ARITH", -7),
        (
            "txn_1",
            |line| {
                line.gross -= 100;
                line.net -= 100;
            },
            "B-GROSS",
            -100,
        ),
        (
            "txn_3",
            |line| {
                line.gross -= 5;
                line.net -= 5;
            },
            "B-RESIDUAL",
            5,
        ),
    ];
    for (which, spoil, class, amount) in wrong {
        let mut day = closed_day();
        for fact in &mut day.facts {
            let mut other = (**fact).clone();
            if let Event::System(SystemEvent::SettlementLine(line)) = &mut other.event
                && line.line == which
            {
                spoil(line);
                *fact = Rc::new(other);
            }
        }
        let books = books(&day);
        let found = books
            .breaks
            .iter()
            .find(|found| found.class.text() == class);
        assert_eq!(
            found.map(|found| found.amount),
            Some(amount),
            "{class}: {:?}",
            books.classes()
        );
        let (stands, named) = suspense(&books);
        assert_eq!(stands, named, "{class}");
    }
}

proptest! {
    #[test]
    fn the_order_in_which_facts_came_does_not_show(keys in prop::collection::vec(any::<u32>(), 8)) {
        let whole = books(&closed_day());
        let mut day = closed_day();
        let mut order: Vec<usize> = (0..day.facts.len()).collect();
        order.sort_by_key(|at| keys.get(*at).copied().unwrap_or_default());
        day.facts = order.into_iter().map(|at| Rc::clone(&day.facts[at])).collect();
        let again = books(&day);
        let ids = |books: &Books| {
            let mut ids: Vec<_> = books.entries.iter().map(|entry| (entry.fact, entry.rule, entry.legs.clone())).collect();
            ids.sort();
            ids
        };
        prop_assert_eq!(ids(&whole), ids(&again));
    }
}
