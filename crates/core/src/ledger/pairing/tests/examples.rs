//! Each row of the table and each refund and dispute, by example.

use super::*;
use crate::event::DisputeState;
use crate::ledger::group::GroupKind;
use crate::ledger::sale::{self as sales, SaleWord};
use crate::provider::reference::{PopupTag, Purpose, Reference, RigTag};

fn of(kind: &str, id: &str, state: &str, parent: &str, amount: i64) -> ProviderObject {
    ProviderObject {
        kind: kind.into(),
        parent: parent.into(),
        state: state.into(),
        ..object(id, "", amount)
    }
}

fn word(books: &Books, payment: &str) -> SaleWord {
    let to = sales::key(&PopupId::new("fri").unwrap(), payment);
    let heard = books.words.iter().find(|word| word.to == to);
    heard.map_or_else(SaleWord::default, |word| {
        SaleWord::decode(&word.bytes).unwrap()
    })
}

fn minted(seq: u64) -> String {
    let reference = Reference {
        popup: PopupTag::of_popup(&PopupId::new("fri").unwrap()),
        rig: RigTag::of_rig(&RigId::new("till-1").unwrap()),
        epoch: Epoch(1),
        seq: Seq(seq),
        purpose: Purpose::Tender(0),
    };
    reference.mint().unwrap().to_string()
}

#[test]
fn a_claim_of_no_account_is_not_checked() {
    let mut world = World::new();
    world
        .rules
        .accounts
        .push(account(ProviderKind::Square, "stall", HOUR));
    world.sell(sale("p", 500));
    world.as_of_ms += 99 * HOUR;
    let books = world.books();
    assert_eq!(books.classes(), []);
    assert_eq!(books.at("1100 USD"), 500);
}

#[test]
fn cash_needs_no_object_and_takes_none() {
    let mut world = World::new();
    world.sell(event::PaymentCaptured {
        method: PaymentMethod::new("cash").unwrap(),
        ..sale("p", 500)
    });
    world.told(object("pi_1", "p", 500));
    assert_eq!(world.books().classes(), [("P-UNCLAIMED", 500)]);
}

#[test]
fn an_object_in_a_gap_explains_it() {
    let mut world = World::new();
    let reference = minted(7);
    let place = Position {
        rig: RigId::new("till-1").unwrap(),
        epoch: Epoch(1),
        seq: Seq(7),
    };
    let popup = PopupId::new("fri").unwrap();
    world.lost.insert(reference.clone(), (popup, place));
    world.told(object("pi_1", &reference, 500));
    let books = world.books();
    assert_eq!(books.named(), [("P-GAP-EXPLAINED", 500, "fri".into())]);
    assert_eq!((books.at("1200 USD"), books.at("4010 USD")), (500, -500));
    assert_eq!((books.at("3900 USD"), books.at("1100 USD")), (0, 0));
    world.told(object("pi_2", &reference, 500));
    let books = world.books();
    assert_eq!(
        books.classes(),
        [("P-DOUBLE", 500), ("P-GAP-EXPLAINED", 500)]
    );
    assert_eq!((books.at("1200 USD"), books.at("2080 USD")), (1000, -500));
}

#[test]
fn a_reference_of_another_popup_than_its_sale_is_named() {
    let mut world = World::new();
    let reference = minted(7);
    let place = Position {
        rig: RigId::new("till-1").unwrap(),
        epoch: Epoch(1),
        seq: Seq(7),
    };
    let popup = PopupId::new("sat").unwrap();
    world.lost.insert(reference.clone(), (popup, place));
    world.sell(sale(&reference, 500));
    world.told(object("pi_1", &reference, 500));
    let books = world.books();
    assert_eq!(books.named(), [("X-POPUP-PROV", 500, "fri".into())]);
}

#[test]
fn an_object_waits_for_its_claim_then_is_unclaimed() {
    let mut world = World::new();
    world.told(object("pi_1", "p", 500));
    world.as_of_ms = T0 + HOUR / 4;
    let books = world.books();
    assert_eq!((books.classes(), books.entries.len()), (Vec::new(), 0));
    assert_eq!(books.due_ms, Some(T0 + HOUR / 2));
    world.as_of_ms = T0 + HOUR / 2;
    let books = world.books();
    assert_eq!(books.named(), [("P-UNCLAIMED", 500, "~stripe:main".into())]);
    assert_eq!(books.at("1200 USD"), 500);
}

#[test]
fn what_came_to_nothing_is_nothing() {
    let mut world = World::new();
    world.told(of("payment", "pi_1", "declined", "", 500));
    world.told(of("payment", "pi_2", "created", "", 500));
    let books = world.books();
    assert_eq!((books.classes(), books.entries.len()), (Vec::new(), 0));
}

#[test]
fn a_claim_and_its_object_meet_by_each_key() {
    for key in 0..4 {
        let mut world = World::new();
        let mut claim = sale("p", 500);
        let mut object = object("pi_1", "", 500);
        match key {
            0 => object.stamps.push("p".into()),
            1 => object.stamps.push("e-1".into()),
            2 => {
                claim.provider_ref = Some(ProviderRef::new("ch_1").unwrap());
                object.aliases.push("ch_1".into());
            }
            _ => object.order.push_str("o-p"),
        }
        let claim = world.sell(claim);
        world.told(object);
        let books = world.books();
        assert_eq!(books.classes(), [], "key {key}");
        assert_eq!((books.at("1100 USD"), books.at("1200 USD")), (0, 500));
        assert!(books.reconciled.contains(&claim));
        assert_eq!(books.due_ms, Some(T0 + 72 * HOUR), "then a line is due");
    }
}

#[test]
fn a_second_success_is_owed_to_the_customer_until_it_goes_back() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(object("pi_1", "p", 500));
    world.told(object("pi_2", "p", 500));
    let books = world.books();
    assert_eq!(books.named(), [("P-DOUBLE", 500, "fri".into())]);
    assert_eq!((books.at("1200 USD"), books.at("2080 USD")), (1_000, -500));
    world.told(of("refund", "re_1", "succeeded", "pi_2", 500));
    let books = world.books();
    assert_eq!(books.classes(), []);
    assert_eq!((books.at("1200 USD"), books.at("2080 USD")), (500, 0));
}

#[test]
fn other_money_is_suspense() {
    let told = |change: fn(&mut ProviderObject)| {
        let mut world = World::new();
        world.sell(sale("p", 500));
        let mut object = object("pi_1", "p", 500);
        change(&mut object);
        world.told(object);
        world.books()
    };
    let books = told(|object| object.amount = 470);
    assert_eq!(books.classes(), [("P-AMOUNT", -30)]);
    assert_eq!(books.at("3900 USD"), 30);
    assert!(books.reconciled.is_empty());
    let books = told(|object| (object.amount, object.authorised) = (470, 500));
    assert_eq!(books.classes(), [("P-PARTIAL-CAPTURE", -30)]);
    let books = told(|object| object.currency = "EUR".into());
    assert_eq!(books.classes(), [("P-CCY", -500), ("P-CCY", 500)]);
    assert_eq!((books.at("1200 EUR"), books.at("1100 USD")), (500, 0));
}

#[test]
fn a_declined_claim_is_suspense_or_a_loss() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.sell(event::PaymentCaptured {
        offline: Some(true),
        ..sale("q", 300)
    });
    world.told(ProviderObject {
        stamps: ["p".into()].into(),
        ..of("payment", "pi_1", "declined", "", 500)
    });
    world.told(ProviderObject {
        order: "o-q".into(),
        ..of("payment", "pi_2", "expired", "", 300)
    });
    let books = world.books();
    assert_eq!(
        books.classes(),
        [("P-DECLINED", -500), ("P-OFFLINE-DECLINED", 300)]
    );
    assert_eq!((books.at("3900 USD"), books.at("5030 USD")), (500, 300));
    assert!(word(&books, "q").lost && word(&books, "p").troubled);
}

#[test]
fn a_claim_without_object_is_missing_after_half_an_hour() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(ProviderObject {
        stamps: ["p".into()].into(),
        ..of("payment", "pi_1", "authorised", "", 500)
    });
    world.as_of_ms = T0 + HOUR / 2 - 1;
    let books = world.books();
    assert_eq!(
        (books.classes(), books.due_ms),
        (Vec::new(), Some(T0 + HOUR / 2))
    );
    world.as_of_ms += 1;
    let books = world.books();
    assert_eq!(books.classes(), [("P-MISSING", -500)]);
    assert_eq!((books.at("1100 USD"), books.at("3900 USD")), (0, 500));
}

#[test]
fn a_stored_payment_is_exposed_then_expires() {
    let mut world = World::new();
    world.sell(event::PaymentCaptured {
        offline: Some(true),
        ..sale(&minted(3), 500)
    });
    let mut at = |hours| {
        world.as_of_ms = T0 + hours * HOUR;
        let books = world.books();
        assert_eq!(books.at("1110 USD"), 500);
        (books.classes(), books.due_ms.map(|due| (due - T0) / HOUR))
    };
    assert_eq!(at(17), (Vec::new(), Some(18)));
    assert_eq!(at(18), ([("P-OFFLINE-EXPIRING", 500)].into(), Some(20)));
    assert_eq!(
        at(20),
        (
            [("P-KEY-EXPIRED", 500), ("P-OFFLINE-EXPIRING", 500)].into(),
            Some(24)
        )
    );
    assert_eq!(
        at(24),
        (
            [("P-KEY-EXPIRED", 500), ("P-OFFLINE-STUCK", 500)].into(),
            None
        )
    );
}

/// Eight offline orders were charged nineteen times on reconnect; the objects share the order alone.
#[test]
fn all_eleven_extra_charges_of_eight_orders_are_named() {
    let times = [3, 2, 2, 3, 2, 2, 3, 2];
    let mut world = World::new();
    let mut extra = 0;
    for (at, times) in times.into_iter().enumerate() {
        let amount = 1_000 + i64::try_from(at).unwrap() * 111;
        world.sell(event::PaymentCaptured {
            offline: Some(true),
            ..sale(&std::format!("p{at}"), amount)
        });
        for n in 0..times {
            let mut charge = object(&std::format!("pi_{at}_{n}"), "", amount);
            charge.order = std::format!("o-p{at}");
            charge.created_ms += n;
            world.told(charge);
        }
        extra += amount * (times - 1);
    }
    let books = world.books();
    let named = books.classes();
    assert_eq!(named.len(), 11);
    assert!(named.iter().all(|one| one.0 == "P-DOUBLE"));
    assert_eq!(named.iter().map(|one| one.1).sum::<i64>(), extra);
    assert_eq!(books.at("2080 USD"), -i128::from(extra));
    assert_eq!((books.at("1110 USD"), books.reconciled.len()), (0, 8));
}

#[test]
fn refunds_are_confirmed_missing_or_fail() {
    let day = |objects: &[ProviderObject]| {
        let mut world = World::new();
        world.sell(sale("p", 500));
        world.told(object("pi_1", "p", 500));
        world.till(T0, Event::PaymentRefunded(refund("r", "p", 200)));
        for one in objects {
            world.told(one.clone());
        }
        world.books()
    };
    let stamped = |state| ProviderObject {
        stamps: ["r".into()].into(),
        ..of("refund", "re_1", state, "pi_1", 200)
    };
    let books = day(&[]);
    assert_eq!(books.classes(), [("P-REFUND-MISSING", 200)]);
    assert_eq!(books.at("2070 USD"), -200);
    let books = day(&[stamped("succeeded")]);
    assert_eq!((books.classes(), books.at("2070 USD")), (Vec::new(), 0));
    assert_eq!((books.at("1200 USD"), books.reconciled.len()), (300, 2));
    let books = day(&[stamped("pending")]);
    assert_eq!(books.classes(), [], "the provider knows of it");
    let books = day(&[stamped("succeeded"), stamped("failed")]);
    assert_eq!(books.classes(), [("P-REFUND-FAILED", 200)]);
    assert_eq!((books.at("2070 USD"), books.at("1200 USD")), (-200, 500));
    let books = day(&[stamped("canceled")]);
    assert_eq!(books.classes(), [("P-REFUND-MISSING", 200)]);
    // By its payment, without a stamp of its own.
    let books = day(&[of("refund", "re_1", "succeeded", "pi_1", 200)]);
    assert_eq!((books.classes(), books.at("2070 USD")), (Vec::new(), 0));
}

#[test]
fn refunds_made_at_the_provider_are_booked_and_taken_off_shares() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(object("pi_1", "p", 500));
    world.told(of("refund", "re_1", "succeeded", "pi_1", 200));
    let books = world.books();
    assert_eq!(books.named(), [("P-REFUND-UNCLAIMED", 200, "fri".into())]);
    assert_eq!((books.at("4030 USD"), books.at("1200 USD")), (200, 300));
    assert_eq!(
        word(&books, "p").back.first().map(|back| back.amount),
        Some(200)
    );
    world.told(of("refund", "re_2", "succeeded", "pi_1", 350));
    let books = world.books();
    let named = [
        ("P-OVERREFUND", -50),
        ("P-REFUND-UNCLAIMED", 200),
        ("P-REFUND-UNCLAIMED", 350),
    ];
    assert_eq!(books.classes(), named);
    assert_eq!((books.at("4030 USD"), books.at("3900 USD")), (500, 50));
}

#[test]
fn running_sums_of_refunds_are_taken_apart() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    let mut paid = object("pi_1", "p", 500);
    paid.aliases.push("ch_1".into());
    world.told(paid);
    for sum in [150, 400, 150] {
        world.told(ProviderObject {
            cumulative: true,
            stamps: ["p".into()].into(),
            ..of(
                "refund",
                &std::format!("ch_1:{sum}"),
                "succeeded",
                "ch_1",
                sum,
            )
        });
    }
    let seen = |world: &World| {
        let books = world.books();
        (books.classes(), books.at("1200 USD"))
    };
    let named = [("P-REFUND-UNCLAIMED", 150), ("P-REFUND-UNCLAIMED", 250)];
    assert_eq!(seen(&world), (named.into(), 100));
    world.told(of("refund", "re_1", "succeeded", "pi_1", 150));
    assert_eq!(
        seen(&world),
        (named.into(), 100),
        "a refund of its own replaces a step"
    );
    world.told(of("refund", "re_2", "succeeded", "ch_1", 250));
    assert_eq!(seen(&world), (named.into(), 100));
}

#[test]
fn a_dispute_told_twice_posts_once() {
    let opened = |state| {
        Event::PaymentDisputed(event::PaymentDisputed {
            dispute: DisputeId::new("d").unwrap(),
            payment: PaymentId::new("p").unwrap(),
            amount: Minor(500),
            currency: usd(),
            state,
        })
    };
    for by_id in [true, false] {
        let mut world = World::new();
        world.sell(sale("p", 500));
        world.told(object("pi_1", "p", 500));
        let id = if by_id { "d" } else { "dp_1" };
        world.told(of("dispute", id, "open", "pi_1", 500));
        let books = world.books();
        assert_eq!((books.at("1230 USD"), books.at("1200 USD")), (500, 0));
        assert!(
            word(&books, "p")
                .back
                .first()
                .is_some_and(|back| back.dispute)
        );
        world.till(T0, opened(DisputeState::Opened));
        let books = world.books();
        assert_eq!((books.at("1230 USD"), books.at("1200 USD")), (500, 0));
        assert_eq!(word(&books, "p").back, [], "the till told the sale itself");
        world.told(of("dispute", id, "lost", "pi_1", 500));
        world.till(T0, opened(DisputeState::Lost));
        let books = world.books();
        assert_eq!((books.at("1230 USD"), books.at("5020 USD")), (0, 500));
        assert_eq!(books.classes(), []);
    }
}

#[test]
fn a_dispute_only_a_till_tells_of_needs_no_account() {
    let mut world = World::new();
    world.rules.accounts.clear();
    for state in [DisputeState::Opened, DisputeState::Won] {
        let dispute = event::PaymentDisputed {
            dispute: DisputeId::new("d").unwrap(),
            payment: PaymentId::new("p").unwrap(),
            amount: Minor(500),
            currency: usd(),
            state,
        };
        world.till(T0, Event::PaymentDisputed(dispute));
        let held = if state == DisputeState::Opened {
            500
        } else {
            0
        };
        assert_eq!(world.books().at("1230 USD"), held);
    }
}

#[test]
fn a_conflict_of_states_is_named_and_the_money_stands() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(object("pi_1", "p", 500));
    world.told(of("payment", "pi_1", "voided", "", 500));
    let books = world.books();
    assert_eq!(books.classes(), [("P-STATE", 0)]);
    assert_eq!(books.at("1200 USD"), 500);
}

#[test]
fn an_accepted_match_pairs_what_a_suggestion_found() {
    let mut world = World::new();
    world.sell(sale("p", 500));
    world.told(object("pi_1", "", 500));
    assert_eq!(
        world.books().classes(),
        [("P-MISSING", -500), ("P-UNCLAIMED", 500)]
    );
    let (mut claims, mut objects) = (Vec::new(), Vec::new());
    for (key, _, members) in world.groups(GroupKind::Pairing) {
        let (left, right) = super::super::open_ends(&Group {
            kind: GroupKind::Pairing,
            key,
            members: &members,
            words: &[],
            rules: &world.rules,
            as_of_ms: world.as_of_ms,
            around: &world,
        });
        claims.extend(left);
        objects.extend(right);
    }
    let found = super::super::suggest(&claims, &objects);
    assert_eq!(found.len(), 1);
    objects[0].at_ms += 10 * 60_000 + 1;
    assert_eq!(super::super::suggest(&claims, &objects), []);
    world.hear(SystemEvent::MatchAccepted(MatchAccepted {
        popup: "fri".into(),
        claim: found[0].claim.id.clone(),
        provider: "stripe".into(),
        account: "main".into(),
        object: found[0].object.id.clone(),
        who: "kim".into(),
        why: "receipt".into(),
    }));
    assert_eq!(world.books().classes(), []);
}
