//! Groups, decisions and closes: whatever way facts come, the books are what evaluating them all
//! from nothing gives.

use std::collections::BTreeMap;

use popwatch_core::event::central::{
    BreakAccepted, CashCounted, CloseSigned, ProviderObject, SettlementLine,
};
use popwatch_core::event::system::{Loss, LossCount, SystemEvent};
use popwatch_core::event::{Cursor, Event, Minor, PaymentCaptured, TokenIssued, TokenRedeemed};
use popwatch_core::id::{Epoch, OrderId, PaymentMethod, PopupId, RigId, Seq, TokenId};
use popwatch_core::lane::{RecordBatch, SkipWhy};
use popwatch_core::ledger::BreakClass;
use popwatch_core::ledger::rules::{AccountRules, Rules};
use popwatch_core::provider::ProviderKind;
use popwatch_core::provider::reference::*;
use popwatch_core::record::Record;
use popwatch_core::time::WallMs;
use proptest::prelude::*;

use super::central::{bank, central};
use super::fixture::*;
use crate::books::Books;

fn cash(payment: &str, amount: i64) -> Event {
    Event::PaymentCaptured(PaymentCaptured {
        method: PaymentMethod::new("cash").unwrap(),
        ..sale(payment, amount, &[("mug", 1, amount)])
    })
}

fn issued(token: &str, value: i64) -> Event {
    Event::TokenIssued(TokenIssued {
        token: TokenId::new(token).unwrap(),
        creator: None,
        order: None,
        value: Some(Minor(value)),
        currency: Some(gbp()),
        expires: None,
    })
}

fn redeemed(token: &str, order: &str, value: i64) -> Event {
    Event::TokenRedeemed(TokenRedeemed {
        token: TokenId::new(token).unwrap(),
        creator: None,
        order: Some(OrderId::new(order).unwrap()),
        value: Some(Minor(value)),
        currency: Some(gbp()),
        expires: None,
    })
}

fn counted_cash(rig: &str, amount: i64, at_s: i64) -> SystemEvent {
    SystemEvent::CashCounted(CashCounted {
        popup: "fri".into(),
        rig: rig.into(),
        currency: "GBP".into(),
        amount,
        counted_ms: T0 + at_s * 1_000,
        ..CashCounted::default()
    })
}

/// Facts of tills and of the centre that touch each other, as a function of a seed.
fn day(seed: u64) -> (Vec<Rig>, Vec<Record>) {
    let mut state = seed | 1;
    let mut roll = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut rigs = vec![Rig::new("till-1", 1, 1), Rig::new("till-2", 1, 2)];
    let mut desk = Vec::new();
    for at in 0..20u64 {
        let amount = i64::try_from(roll(300)).unwrap() + 1;
        let token = format!("t{}", roll(3));
        let payment = format!("p{}", roll(5));
        let event = match roll(7) {
            0 => issued(&token, 100),
            1 => redeemed(&token, &format!("o{}", roll(3)), 100),
            2 => refunded(&format!("r{at}"), &payment, amount / 3, &[]),
            3 => received("mug", amount % 7),
            4 => counted("mug", amount % 9),
            5 => cash(&payment, amount),
            _ => captured(&payment, amount, &[("mug", 1, amount)]),
        };
        let rig = usize::try_from(roll(2)).unwrap();
        let time = i64::try_from(roll(50)).unwrap();
        rigs[rig].event(&format!("e{at}"), time, event);
        if roll(4) == 0 {
            let id = format!("c{at}");
            let till = ["till-1", "till-2"][usize::try_from(roll(2)).unwrap()];
            let at_s = i64::try_from(at).unwrap();
            desk.push(central(&id, at_s, counted_cash(till, amount, at_s)));
            desk.push(central(&format!("b{at}"), at_s, bank(&id, amount)));
        }
        if roll(5) == 0 {
            let (epoch, seq) = ([1, 7][usize::try_from(roll(2)).unwrap()], roll(9) + 1);
            let told = charged(&format!("pi_{at}"), epoch, seq, amount);
            desk.push(central(&format!("o{at}"), 30, told));
        }
    }
    // A range that is held by and by, and one of a life that is lost altogether.
    for (epoch, first, last) in [(1, 4, 8), (7, 2, 3), (7, 6, 9)] {
        let value = popwatch_core::event::system::TotalsRow {
            popup: "fri".into(),
            currency: "GBP".into(),
            n: 2,
            captured: i64::try_from(roll(500)).unwrap(),
            refunded: i64::try_from(roll(50)).unwrap(),
            ..Default::default()
        };
        rigs[0].system(gap(epoch, first, last, vec![value]));
    }
    (rigs, desk)
}

enum Piece {
    Batch(Box<RecordBatch>),
    Desk(Box<Record>),
}

fn pieces(rigs: &[Rig], desk: &[Record], size: u64) -> Vec<Piece> {
    let mut out = Vec::new();
    for rig in rigs {
        for cursor in Cursor::ALL {
            let mut first = 1;
            while first <= rig.last() {
                let last = (first + size).min(rig.last());
                out.push(Piece::Batch(Box::new(rig.batch(cursor, first, last))));
                first = last + 1;
            }
        }
    }
    out.extend(desk.iter().map(|one| Piece::Desk(Box::new(one.clone()))));
    out
}

fn give(books: &mut Books, piece: &Piece) {
    match piece {
        Piece::Batch(batch) => drop(books.accept(batch, now()).unwrap()),
        Piece::Desk(record) => drop(
            books
                .append_central(vec![(**record).clone()], now())
                .unwrap(),
        ),
    }
}

const LATER: i64 = T0 + 40 * 86_400_000;

/// What a day comes to when everything is delivered three times in one of three orders, as text: the
/// popup's books with their root, and its breaks.
fn delivered(seed: u64, size: u64, order: u32) -> [String; 2] {
    let (rigs, desk) = day(seed);
    let mut all = pieces(&rigs, &desk, size);
    match order {
        1 => all.reverse(),
        2 => all.rotate_left(3),
        _ => {}
    }
    let mut books = fresh_books();
    for round in 0..3 {
        for piece in &all {
            give(&mut books, piece);
        }
        if round == 1 {
            books.advance(T0 + 3_600_000, now()).unwrap();
        }
    }
    books.advance(LATER, now()).unwrap();
    let of_popup = |books: &Books| {
        let view = books.books(&popup()).unwrap();
        for money in view.currencies.values() {
            assert_eq!(money.trial_balance, 0);
            assert_eq!(money.suspense, money.open_breaks);
        }
        let mut breaks = books.breaks(&popup()).unwrap();
        // Only SQLite answers in the order of its key.
        breaks.sort_by(|a, b| a.id.cmp(&b.id));
        // A seq of the centre's journal is the order of arrival.
        breaks.iter_mut().for_each(|one| {
            one.evidence.retain(|at| !at.starts_with("central/"));
        });
        let books = (view.books_root, view.currencies, view.stock, view.tokens);
        [format!("{books:#?}"), format!("{breaks:#?}")]
    };
    let stands = of_popup(&books);
    let stored = books.reconcile(&popup(), None, WallMs(LATER)).unwrap();
    let full = books
        .reconcile_full(&popup(), None, WallMs(LATER), now())
        .unwrap();
    assert_eq!(stored.breaks, full.breaks);
    assert_eq!(stored.hash, full.hash);
    let after = of_popup(&books);
    assert_eq!(after, stands, "evaluating from nothing changed the books");
    stands
}

/// One day in all orders, over the store under test.
pub(super) fn three_orders(seed: u64, size: u64) -> [String; 2] {
    let first = delivered(seed, size, 0);
    for order in 1..3 {
        assert_eq!(
            delivered(seed, size, order),
            first,
            "seed {seed}, order {order}"
        );
    }
    first
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn three_orders_three_times_over_and_from_nothing_are_one(seed in any::<u64>(), size in 0u64..4) {
        three_orders(seed, size);
    }
}

#[test]
pub(super) fn a_token_used_twice_is_named_whichever_use_came_first() {
    let mut till = Rig::new("till-1", 1, 1);
    let mut other = Rig::new("till-2", 1, 2);
    till.event("1", 1, issued("t", 100));
    till.event("2", 5, redeemed("t", "o1", 100));
    other.event("3", 4, redeemed("t", "o2", 100));
    let one = deliver([&till.trunk(), &other.trunk()]);
    let two = deliver([&other.trunk(), &till.trunk()]);
    assert_eq!(classes(&one), classes(&two));
    assert!(classes(&one).contains(&"T-DOUBLE"));
}

#[test]
pub(super) fn other_rules_evaluate_everything_anew_once() {
    let (rigs, desk) = day(3);
    let mut books = fresh_books();
    for piece in pieces(&rigs, &desk, 3) {
        give(&mut books, &piece);
    }
    let before = state(&books);
    assert!(books.set_rules(Rules::default(), now()).unwrap());
    assert_eq!(state(&books), before);
    assert!(!books.set_rules(Rules::default(), now()).unwrap());
    let mut slower = Rules::default();
    slower.timers.hold_ms += 1;
    assert!(books.set_rules(slower, now()).unwrap());
    assert_eq!(state(&books), before);
}

/// A till that lost two sales worth 290, and the books that know.
fn with_a_loss() -> (Rig, Books) {
    let (till, batch) = loss();
    let books = deliver(&[batch]);
    (till, books)
}

fn loss() -> (Rig, RecordBatch) {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    till.event("2", 2, captured("p2", 250, &[]));
    till.event("3", 3, captured("p3", 40, &[]));
    let value = vec![popwatch_core::event::system::TotalsRow {
        popup: "fri".into(),
        currency: "GBP".into(),
        n: 2,
        captured: 290,
        ..Default::default()
    }];
    till.system(gap(1, 3, 4, value.clone()));
    till.seal();
    let mut items = till.trunk().items;
    items.splice(2..4, [skip_item(2, SkipWhy::Gap, value)]);
    let mut batch = till.batch_of(Cursor::Trunk, 1, till.last(), items);
    batch.chain_after = Vec::new();
    (till, batch)
}

#[test]
pub(super) fn an_accepted_break_moves_its_suspense_until_its_amount_changes() {
    let (till, mut books) = with_a_loss();
    let suspense = |books: &Books| books.books(&popup()).unwrap().currencies[&gbp()].suspense;
    assert_eq!(suspense(&books), 290);
    let found = books.breaks(&popup()).unwrap();
    let value = found.iter().find(|one| one.suspense == 290).unwrap();
    let accepted = SystemEvent::BreakAccepted(BreakAccepted {
        book: "fri".into(),
        id: value.id.as_str().into(),
        account: "5090".into(),
        who: "ann".into(),
        why: "too old".into(),
        amount: 290,
        currency: "GBP".into(),
    });
    books
        .append_central(vec![central("a", 9, accepted)], now())
        .unwrap();
    assert_eq!(suspense(&books), 0);
    assert_eq!(balance(&books, "5090"), -290);
    let full = books
        .reconcile_full(&popup(), None, now().wall, now())
        .unwrap();
    assert_eq!(full.hash, state(&books).reconciliation.hash);

    books
        .accept(&till.batch(Cursor::Trunk, 3, 3), now())
        .unwrap();
    assert_eq!(suspense(&books), 40);
    assert_eq!(balance(&books, "5090"), 0);
}

/// What the provider tells of a payment whose reference is anchored at a record of the till.
fn charged(object: &str, epoch: u32, seq: u64, amount: i64) -> SystemEvent {
    let rig = RigId::new("till-1").unwrap();
    let reference = Reference {
        popup: PopupTag::of_popup(&popup()),
        rig: RigTag::of_rig(&rig),
        epoch: Epoch(epoch),
        seq: Seq(seq),
        purpose: Purpose::Tender(0),
    };
    SystemEvent::ProviderObject(ProviderObject {
        provider: "stripe".into(),
        account: "main".into(),
        kind: "payment".into(),
        object: object.into(),
        stamps: vec![reference.mint().unwrap().to_string()],
        currency: "GBP".into(),
        amount,
        state: "captured".into(),
        created_ms: T0,
        version: T0 / 1_000,
        occurred_ms: T0,
        ..ProviderObject::default()
    })
}

#[test]
pub(super) fn what_the_provider_tells_of_a_lost_sale_is_taken_off_its_value_in_any_order() {
    let value = |books: &Books| {
        let found = books.breaks(&popup()).unwrap();
        let found = found
            .into_iter()
            .find(|one| one.class == BreakClass::GapValue);
        found.map(|one| (one.suspense, one.sentence))
    };
    let (till, mut books) = with_a_loss();
    assert_eq!(value(&books).unwrap().0, 290);
    books
        .append_central(vec![central("o1", 5, charged("pi_1", 1, 2, 250))], now())
        .unwrap();
    let (left, sentence) = value(&books).unwrap();
    assert_eq!(left, 40);
    assert_eq!(
        sentence,
        "till-1 lost 2 records (3 to 4 of its run 1); they were worth GBP 2.90. The provider tells \
         of GBP 2.50 of it; GBP 0.40 is not explained."
    );
    assert!(classes(&books).contains(&"P-GAP-EXPLAINED"));
    assert_eq!(balance(&books, "1200"), 250);
    let full = books
        .reconcile_full(&popup(), None, now().wall, now())
        .unwrap();
    assert_eq!(full.hash, state(&books).reconciliation.hash);

    let mut other = fresh_books();
    other
        .append_central(vec![central("o1", 5, charged("pi_1", 1, 2, 250))], now())
        .unwrap();
    let (_, lossy) = loss();
    other.accept(&lossy, now()).unwrap();
    assert_eq!(state(&other), state(&books));

    // The rest is found too; then the till finds its records again.
    books
        .append_central(vec![central("o2", 6, charged("pi_2", 1, 4, 40))], now())
        .unwrap();
    assert_eq!(value(&books), None);
    books
        .accept(&till.batch(Cursor::Trunk, 3, 4), now())
        .unwrap();
    assert_eq!(value(&books), None);
    assert!(!classes(&books).contains(&"P-GAP-EXPLAINED"));
}

/// Cash kept the till's word of what is reconciled back for ever, where a provider was configured.
#[test]
pub(super) fn money_waits_until_its_provider_says_the_same_and_cash_for_nobody() {
    let said = |payment: &str, amount| {
        let SystemEvent::ProviderObject(of) = charged(&format!("pi_{payment}"), 1, 1, amount)
        else {
            unreachable!()
        };
        let stamps = vec![payment.to_owned()];
        SystemEvent::ProviderObject(ProviderObject { stamps, ..of })
    };
    let mut till = Rig::new("till-1", 1, 1);
    till.event("e1", 1, cash("p3", 70));
    till.event("e2", 2, refunded("r3", "p3", 20, &[]));
    till.event("e3", 3, captured("p1", 500, &[]));
    till.event("e4", 4, captured("p2", 300, &[]));
    till.event("e5", 5, refunded("r1", "p2", 100, &[]));
    let mut books = fresh_books();
    let all = till.batch(Cursor::Trunk, 1, till.last());
    books.accept(&all, now()).unwrap();
    assert_eq!(books.waiting().unwrap(), BTreeMap::new(), "nobody is asked");
    let account = AccountRules {
        name: "main".into(),
        provider: ProviderKind::Stripe,
        fees: None,
        dispute_fee: None,
        offline_life_ms: 0,
        payout_bank: None,
    };
    let rules = Rules {
        accounts: vec![account],
        ..Rules::default()
    };
    assert!(books.set_rules(rules, now()).unwrap());
    let look = |books: &mut Books| {
        let ack = books.accept(&all, now()).unwrap();
        let waits = books.waiting().unwrap()[&popup()].get(&gbp()).copied();
        (waits, till.last() - ack.reconciled_seq)
    };
    assert_eq!(look(&mut books), (Some(700), 3));
    let told = vec![central("o1", 5, said("p1", 500))];
    books.append_central(told, now()).unwrap();
    assert_eq!(look(&mut books), (Some(200), 2));
    // A charge of another amount is a break, and what it is about waits on.
    let told = vec![central("o2", 6, said("p2", 250))];
    books.append_central(told, now()).unwrap();
    assert_eq!(look(&mut books), (Some(200), 2));
}

/// A lost sale whose charge carries no reference was named twice, as a loss and as unclaimed.
#[test]
pub(super) fn an_unclaimed_charge_that_may_be_a_lost_sale_is_named_once_in_any_order() {
    let unstamped = |object: &str, amount| {
        let SystemEvent::ProviderObject(mut of) = charged(object, 1, 2, amount) else {
            unreachable!("it tells of an object");
        };
        of.stamps.clear();
        SystemEvent::ProviderObject(of)
    };
    let told = || vec![central("o1", 5, unstamped("pi_1", 250))];
    let (_, mut one) = with_a_loss();
    one.append_central(told(), now()).unwrap();
    one.advance(LATER, now()).unwrap();
    let mut other = fresh_books();
    other.append_central(told(), now()).unwrap();
    other.advance(LATER, now()).unwrap();
    let (_, lossy) = loss();
    other.accept(&lossy, now()).unwrap();
    let suspended = |books: &Books| {
        let account = PopupId::account_book("stripe", "main");
        let mut all = books.breaks(&popup()).unwrap();
        all.extend(books.breaks(&account).unwrap());
        let held = all.into_iter().filter(|one| one.suspense != 0);
        let mut held: Vec<_> = held.map(|one| (one.class.text(), one.suspense)).collect();
        held.sort_unstable();
        held
    };
    let once = [("E-GAP-VALUE", 40), ("P-UNCLAIMED", 250)];
    assert_eq!(suspended(&one), once, "290 were lost");
    assert_eq!(suspended(&other), once);
    // More than was lost is no lost sale.
    let more = vec![central("o2", 6, unstamped("pi_2", 41))];
    one.append_central(more, now()).unwrap();
    one.advance(LATER + 1, now()).unwrap();
    assert_eq!(
        suspended(&one),
        [
            ("E-GAP-VALUE", 40),
            ("P-UNCLAIMED", 41),
            ("P-UNCLAIMED", 250)
        ]
    );
}

#[test]
pub(super) fn what_a_rig_could_not_take_is_named_by_popup() {
    let mut till = Rig::new("till-1", 1, 1);
    let count = |class: &str, count| LossCount {
        class: class.into(),
        cause: "disk_full".into(),
        popup: "fri".into(),
        count,
    };
    till.system(SystemEvent::RigLoss(Loss {
        counts: vec![count("money", 2), count("money", 1), count("chat", 9)],
        ..Loss::default()
    }));
    let mut books = deliver(&[till.trunk()]);
    let found = books.breaks(&popup()).unwrap();
    let found = found
        .iter()
        .find(|one| one.class == BreakClass::Loss)
        .unwrap();
    assert_eq!(
        found.sentence,
        "till-1 could not take 3 events that may carry money; nothing is known of what they were \
         worth."
    );
    let full = books
        .reconcile_full(&popup(), None, now().wall, now())
        .unwrap();
    assert_eq!(full.hash, state(&books).reconciliation.hash);
}

#[test]
pub(super) fn a_row_told_differently_by_two_files_is_named_and_the_first_counts() {
    let row = |net| {
        SystemEvent::SettlementLine(SettlementLine {
            provider: "stripe".into(),
            account: "main".into(),
            line: "txn_1".into(),
            kind: "charge".into(),
            currency: "GBP".into(),
            gross: net,
            net,
            ..SettlementLine::default()
        })
    };
    let mut books = fresh_books();
    books
        .append_central(
            vec![central("a", 1, row(500)), central("b", 2, row(450))],
            now(),
        )
        .unwrap();
    let found = books.account_breaks().unwrap();
    let found: Vec<_> = found
        .iter()
        .filter(|(_, one)| one.class == BreakClass::FileTwice)
        .map(|(_, one)| (one.amount, one.sentence.as_str()))
        .collect();
    let sentence = "Files of account main tell row txn_1 twice and differently: net GBP 5.00 first, \
                    then GBP 4.50. The first counts.";
    assert_eq!(found, [(-50, sentence)]);
}

#[test]
pub(super) fn what_is_accepted_onto_the_value_of_tokens_stays_a_break_there() {
    let (_, mut books) = with_a_loss();
    let found = books.breaks(&popup()).unwrap();
    let value = found.iter().find(|one| one.suspense == 290).unwrap();
    let accepted = |account: &str| {
        SystemEvent::BreakAccepted(BreakAccepted {
            book: "fri".into(),
            id: value.id.as_str().into(),
            account: account.into(),
            amount: 290,
            currency: "GBP".into(),
            ..BreakAccepted::default()
        })
    };
    books
        .append_central(vec![central("a", 9, accepted("2050:summer"))], now())
        .unwrap();
    let found = books.breaks(&popup()).unwrap();
    let found = found.iter().find(|one| one.class == BreakClass::Liability);
    assert_eq!(found.unwrap().amount, 290);
    let full = books
        .reconcile_full(&popup(), None, now().wall, now())
        .unwrap();
    assert_eq!(full.hash, state(&books).reconciliation.hash);
}

#[test]
pub(super) fn what_comes_after_a_close_is_late_and_of_the_next_correction() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    till.event("2", 2, captured("p2", 250, &[]));
    let mut books = deliver(&[till.batch(Cursor::Trunk, 1, 2)]);
    let close = SystemEvent::CloseSigned(CloseSigned {
        popup: "fri".into(),
        n: 1,
        scope: "edge".into(),
        certificate: b"{}".to_vec(),
    });
    books
        .append_central(vec![central("close", 9, close)], now())
        .unwrap();
    assert!(!classes(&books).contains(&"X-LATE"));
    let signed = books.books_at(&popup(), 1).unwrap();
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 3, 3), now())
        .unwrap();
    let told: Vec<_> = ack.popups.iter().map(|of| of.popup.as_str()).collect();
    assert_eq!((told, ack.popups[0].closed), (vec!["fri"], true));
    assert!(classes(&books).contains(&"X-LATE"));
    assert_eq!(books.books_at(&popup(), 1).unwrap(), signed);
    let now_stands = books.books_at(&popup(), 2).unwrap();
    assert_eq!(
        now_stands.books_root,
        books.books(&popup()).unwrap().books_root
    );
    assert_ne!(now_stands.books_root, signed.books_root);
}
