//! Lines, payouts and bank lines, by example; and any order of arrival.

use super::*;
use proptest::prelude::*;

fn paid(amount: i64, state: &str) -> ProviderObject {
    ProviderObject {
        kind: "payout".into(),
        state: state.into(),
        trace: "TR 77".into(),
        ..object("po_1", "", amount)
    }
}

/// Two sales of two popups' worth, settled into one payout that reached the bank.
fn tied() -> World {
    let mut world = World::new();
    for (at, amount) in [(1, 500), (2, 800)] {
        let name = std::format!("p{at}");
        world.sell(sale(&name, amount));
        world.told(object(&std::format!("pi_{at}"), &name, amount));
        let line = charge(
            &std::format!("txn_{at}"),
            &std::format!("pi_{at}"),
            amount,
            20,
        );
        world.line(line);
    }
    world.told(paid(1_260, "paid"));
    world.bank("b1", 1, 1_260, "STRIPE tr-0 TR 77");
    world.as_of_ms = T0 + 200 * HOUR;
    world
}

#[test]
fn a_set_that_ties_leaves_nothing_open() {
    let world = tied();
    let books = world.books();
    assert_eq!(books.classes(), []);
    let open: Vec<_> = books.balances().into_iter().collect();
    let want = [("1310 USD", 1_260), ("4010 USD", -1_300), ("5010 USD", 40)];
    assert_eq!(open, want.map(|(key, sum)| (key.to_string(), sum)));
    assert_eq!(books.explained.len(), 1);
    assert_eq!(
        (books.explained[0].residual, books.explained[0].bank),
        (0, Some(1_260))
    );
    let settled = books.words.iter().filter_map(|word| {
        crate::ledger::sale::SaleWord::decode(&word.bytes)
            .filter(|_| word.to.kind == GroupKind::Sale)
    });
    assert!(
        settled
            .into_iter()
            .all(|word| word.settled && !word.troubled)
    );
}

#[test]
fn residual_bank_and_failure_are_named() {
    let mut world = tied();
    world
        .facts
        .retain(|fact| !matches!(&fact.event, Event::System(SystemEvent::BankLine(_))));
    assert_eq!(world.books().classes(), [("B-BANK-MISSING", 1_260)]);
    world.bank("b1", 1, 1_250, "po_1");
    let books = world.books();
    assert_eq!(books.classes(), [("B-BANK-AMT", -10)]);
    assert_eq!(books.at("1300 USD"), 0);
    world.told(paid(1_260, "failed"));
    let books = world.books();
    assert_eq!(books.classes(), [("B-PAYOUT-FAILED", 1_260)]);
    assert_eq!((books.at("1210 USD"), books.at("1300 USD")), (1_260, 0));

    let mut world = tied();
    world.line(SettlementLine {
        kind: "fee".into(),
        raw_kind: "fee".into(),
        object: String::new(),
        ..charge("txn_9", "", -5, 0)
    });
    let books = world.books();
    assert_eq!(books.classes(), [("B-RESIDUAL", 5), ("B-UNKNOWN", -5)]);
    assert_eq!((books.at("1210 USD"), books.at("5010 USD")), (0, 45));
    assert_eq!(books.explained[0].residual, 5);
}

#[test]
fn a_bank_line_of_equal_amount_counts_only_where_it_is_alone() {
    let mut world = tied();
    let bank = |fact: &Rc<Fact>| matches!(&fact.event, Event::System(SystemEvent::BankLine(_)));
    world.facts.retain(|fact| !bank(fact));
    world.bank("b1", 3, 1_260, "payment");
    assert_eq!(world.books().classes(), []);
    world.bank("b2", 2, 1_260, "another");
    assert_eq!(world.books().classes(), [("B-BANK-MISSING", 1_260)]);
    world.facts.retain(|fact| !bank(fact));
    world.bank("b1", 4, 1_260, "payment");
    assert_eq!(
        world.books().classes(),
        [("B-BANK-MISSING", 1_260)],
        "too late a day"
    );
}

#[test]
fn lines_that_do_not_fit_their_object_are_named() {
    let with = |line: SettlementLine| {
        let mut world = tied();
        world.line(line);
        let mut named = world.books().classes();
        named.retain(|one| one.0 != "B-RESIDUAL");
        named
    };
    assert_eq!(with(charge("t9", "pi_1", 500, 20)), [("B-DUP", 480)]);
    let reversal = SettlementLine {
        kind: "charge_reversal".into(),
        ..charge("t9", "pi_1", -100, 0)
    };
    assert_eq!(with(reversal), [("B-GROSS", -100)]);
    let other = SettlementLine {
        kind: "other".into(),
        object: String::new(),
        ..charge("t9", "", 30, 0)
    };
    assert_eq!(with(other), [("B-UNKNOWN", 30)]);
    let late = SettlementLine {
        payout: String::new(),
        kind: "fee".into(),
        ..charge("t9", "pi_1", -3, 0)
    };
    assert_eq!(with(late), [("B-UNPAID", -3)]);
    let alone = with(charge("t9", "pi_9", 70, 0));
    assert_eq!(alone, [("P-UNCLAIMED", 70), ("P-WEBHOOK-GAP", 0)]);
}

#[test]
fn a_file_alone_pairs_a_claim() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    let mut line = charge("t1", "ch_1", 500, 20);
    line.stamps.push("p".into());
    line.parent.push_str("pi_1");
    world.line(line);
    let books = world.books();
    assert_eq!(books.classes(), [("P-WEBHOOK-GAP", 0)]);
    assert_eq!((books.at("1100 USD"), books.at("1210 USD")), (0, 480));
    world.told(ProviderObject {
        state: "authorised".into(),
        ..object("pi_1", "p", 500)
    });
    assert_eq!(
        world.books().classes(),
        [],
        "the file proves what no message told"
    );
}

#[test]
fn charged_in_one_currency_and_settled_in_another() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(object("pi_1", "p", 500));
    let mut line = SettlementLine {
        currency: "EUR".into(),
        buyer_currency: "USD".into(),
        buyer_amount: 500,
        ..charge("t1", "pi_1", 460, 10)
    };
    line.net += 1;
    line.rounding = 1;
    world.line(line.clone());
    let books = world.books();
    assert_eq!(books.classes(), []);
    assert_eq!((books.at("1200 USD"), books.at("1200 EUR")), (0, 0));
    assert_eq!((books.at("3950 USD"), books.at("3950 EUR")), (500, -460));
    assert_eq!(books.at("4060 EUR"), -1);
    let mut world = tied();
    line.object = "pi_1".into();
    line.rounding = 0;
    line.net += 5;
    line.line = "t9".into();
    line.kind = "charge_reversal".into();
    world.line(line);
    assert!(world.books().classes().contains(&("B-FX", 6)));
}

#[test]
fn reserves_come_free_as_they_were_held() {
    let reserve = |id: &str, gross: i64| SettlementLine {
        kind: crate::settlement::LineKind::reserve(gross).text().into(),
        object: String::new(),
        payout: String::new(),
        ..charge(id, "", gross, 0)
    };
    let with = |amounts: &[i64]| {
        let mut world = World::new();
        for (at, gross) in amounts.iter().enumerate() {
            world.line(reserve(&std::format!("t{at}"), *gross));
        }
        let books = world.books();
        (books.classes(), books.at("1220 USD"))
    };
    assert_eq!(with(&[-300]), (Vec::new(), 300));
    assert_eq!(with(&[-300, -200, 200]), (Vec::new(), 300));
    assert_eq!(with(&[-300, 280]), ([("B-RESERVE", 20)].into(), 20));
    assert_eq!(with(&[280]), ([("B-RESERVE", -280)].into(), -280));
}

#[test]
fn balances_of_a_file_must_follow_from_its_rows() {
    let mut world = World::new();
    world.hear(SystemEvent::SettlementFile(SettlementFile {
        provider: "stripe".into(),
        account: "main".into(),
        blake3: [7; 32].into(),
        balances: [StatedBalance {
            currency: "USD".into(),
            opening: 100,
            closing: 170,
            activity: 60,
        }]
        .into(),
        ..SettlementFile::default()
    }));
    let books = world.books();
    assert_eq!(books.named(), [("B-BALANCE", 10, "~stripe:main".into())]);
}

/// Something of everything, with faults.
fn busy() -> World {
    let mut world = tied();
    world.told(object("pi_3", "p1", 500));
    world.told(object("pi_4", "p9", 90));
    let mut early = object("pi_1", "p1", 500);
    (early.state, early.version, early.amount) = ("authorised".into(), 1, 510);
    world.told(early);
    world.sell(sale("p5", 70));
    world.till(T0, Event::PaymentRefunded(refund("r1", "p1", 100)));
    let back = ProviderObject {
        kind: "refund".into(),
        state: "succeeded".into(),
        parent: "pi_1".into(),
        ..object("re_1", "r1", 100)
    };
    world.told(ProviderObject {
        version: 3,
        state: "pending".into(),
        ..back.clone()
    });
    world.told(back);
    world.line(charge("t7", "pi_3", 500, 0));
    world.line(charge("t8", "pi_3", 500, 0));
    world.told(ProviderObject {
        version: T0,
        ..paid(1_260, "in_transit")
    });
    world.bank("b2", 1, 1_260, "other");
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing depends on the order of arrival: entries, causes, breaks, words, timers.
    #[test]
    fn any_order_of_arrival_gives_the_same(order in Just((0..busy().facts.len()).collect::<Vec<_>>()).prop_shuffle()) {
        let world = busy();
        prop_assert_eq!(world.arrived(&order).books().print(), world.books().print());
    }
}
