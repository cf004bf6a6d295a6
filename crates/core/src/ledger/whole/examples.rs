//! Worked examples of each rule.

mod goods;
mod statements;

use super::*;
use crate::event::central::{CashCounted, CloseSigned, CreatorPaid, ShareReleased};
use crate::event::commerce::{Coop, CoopMember, ShareCard};
use crate::event::{DisputeState, Moment};
use crate::ledger::sale::{self as shares_of_sale, Back, SaleWord};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;

fn card(creator: &str, rate_ppm: u32, coop: &str) -> ShareCard {
    ShareCard {
        creator: creator.into(),
        rate_ppm,
        hold_days: Some(1),
        coop: coop.into(),
        ..ShareCard::default()
    }
}

fn promised() -> Commerce {
    let member = |name: &str, weight_ppm| CoopMember {
        name: name.into(),
        weight_ppm,
    };
    Commerce {
        shares: [card("ana", 100_000, ""), card("bo", 50_000, "north")].into(),
        coops: [Coop {
            name: "north".into(),
            members: [member("bo", 333_333), member("cy", 666_667)].into(),
        }]
        .into(),
        ..Commerce::default()
    }
}

fn day(commerce: Commerce) -> Day {
    Day {
        cards: BTreeMap::from([(1, Rc::new(commerce))]),
        window: Some((0, 1_000)),
        as_of_ms: 500,
        ..Day::default()
    }
}

fn of_ana(mut sale: event::PaymentCaptured) -> event::PaymentCaptured {
    sale.creator = Some(CreatorId::new("ana").unwrap());
    sale
}

fn token(day: &mut Day, at_ms: i64, rig: &str, token: &str, order: Option<&str>, kind: u8) {
    let id = TokenId::new(token).unwrap();
    let value = Some(Minor(500));
    let currency = Some(gbp());
    let bought = order.map(|order| OrderId::new(order).unwrap());
    let (key, event): (Vec<&str>, Event) = match kind {
        0 => (
            [token].into(),
            Event::TokenIssued(event::TokenIssued {
                token: id,
                creator: None,
                order: bought,
                value,
                currency,
                expires: Some(Moment(900)),
            }),
        ),
        1 => (
            [token, order.unwrap_or_default()].into(),
            Event::TokenRedeemed(event::TokenRedeemed {
                token: id,
                creator: None,
                order: bought,
                value,
                currency,
                expires: None,
            }),
        ),
        _ => (
            [token].into(),
            Event::TokenVoided(event::TokenVoided {
                token: id,
                creator: None,
                order: None,
                value,
                currency,
                expires: None,
            }),
        ),
    };
    day.add(rig, at_ms, 1, &key, event);
}

#[track_caller]
fn check(books: &Books, expect: &[(&str, i128)]) {
    let expect: BTreeMap<String, i128> = expect
        .iter()
        .map(|(key, amount)| (key.to_string(), *amount))
        .collect();
    assert_eq!(books.balances(), expect);
}

/// Lines 2500 and 1500, tax 320, tip 400, a token worth 500: the buyer pays 4220.
fn worked() -> Day {
    let mut day = day(promised());
    let mut sold = of_ana(sale(
        "p1",
        4220,
        &[line("a", 1, 2500, None), line("b", 1, 1500, None)],
    ));
    (sold.tax, sold.tip) = (Some(Minor(320)), Some(Minor(400)));
    sold.token = Some(TokenId::new("t1").unwrap());
    day.add_sale("till-1", 100, sold);
    token(&mut day, 50, "till-1", "t1", Some("o-gift"), 0);
    token(&mut day, 101, "till-1", "t1", Some("o-p1"), 1);
    day
}

#[test]
fn the_worked_example_posts_as_it_is_written() {
    let books = worked().books();
    check(
        &books,
        &[
            ("1100:till-1:- GBP", 4220),
            ("2010 GBP", -320),
            ("2020:ana GBP", -400),
            ("2030:ana GBP", -400),
            ("4010 GBP", -4000 + 500),
            ("5040 GBP", 400),
            ("T100 t:house", -1),
            ("T130 t:house", 1),
        ],
    );
    assert_eq!(books.classes(), [""; 0]);
}

#[test]
fn a_whole_refund_takes_the_whole_share_back_in_any_pieces() {
    for pieces in [
        &[4220][..],
        &[1, 4219],
        &[1000, 1000, 1000, 1220],
        &[4000, 200, 20],
    ] {
        let mut day = worked();
        for (at, amount) in (200..).zip(pieces) {
            day.add_refund(at, &std::format!("r{at}"), "p1", *amount, &[]);
        }
        let books = day.books();
        assert_eq!(
            (books.at("2030:ana GBP"), books.at("5040 GBP")),
            (0, 0),
            "{pieces:?}"
        );
        assert_eq!(
            (books.at("2010 GBP"), books.at("2020:ana GBP")),
            (0, 0),
            "{pieces:?}"
        );
        assert_eq!(books.at("4030 GBP"), 3500);
    }
}

#[test]
fn refunds_end_the_same_whatever_order_they_come_in() {
    let mut day = worked();
    for (at, amount) in (200..).zip([700, 33, 1290, 4]) {
        day.add_refund(at, &std::format!("r{at}"), "p1", amount, &[]);
    }
    let sorted = |books: Books| {
        let mut entries: Vec<_> = books
            .entries
            .iter()
            .map(|entry| std::format!("{entry:?}"))
            .collect();
        entries.sort_unstable();
        entries
    };
    let one = sorted(day.books());
    for turn in 1..day.facts.len() {
        day.facts.rotate_left(turn);
        assert_eq!(sorted(day.books()), one);
    }
}

#[test]
fn the_rate_of_a_sale_stays_what_it_was() {
    let mut day = worked();
    let mut later = promised();
    later.shares[0].rate_ppm = 900_000;
    day.cards.insert(2, Rc::new(later));
    day.add_refund(300, "r", "p1", 4220, &[]);
    assert_eq!(day.books().at("2030:ana GBP"), 0);
    day.facts.pop();
    assert_eq!(day.books().at("2030:ana GBP"), -400);
}

#[test]
fn a_lost_card_and_a_creator_without_one_are_named() {
    let mut day = day(promised());
    let mut sold = of_ana(sale("p1", 100, &[]));
    day.add(
        "till-1",
        1,
        7,
        &["fri", "p1"],
        Event::PaymentCaptured(sold.clone()),
    );
    assert_eq!(day.books().classes(), ["C-CARD"]);
    sold.creator = Some(CreatorId::new("nobody").unwrap());
    day.facts.clear();
    day.add_sale("till-1", 1, sold);
    assert_eq!(day.books().classes(), ["C-CARD"]);
}

#[test]
fn the_strongest_evidence_decides_and_two_drops_decide_nothing() {
    let mut day = day(promised());
    let drop = |id: &str, creator: &str| event::DropOpened {
        drop: FlashDropId::new(id).unwrap(),
        sku: Sku::new("a").unwrap(),
        creator: Some(CreatorId::new(creator).unwrap()),
        qty: None,
        price: None,
    };
    day.add(
        "till-1",
        1,
        1,
        &["d1"],
        Event::DropOpened(drop("d1", "ana")),
    );
    day.add_sale("till-1", 10, sale("p1", 1000, &[line("a", 1, 1000, None)]));
    assert_eq!(day.books().at("2030:ana GBP"), -100);
    day.add_sale(
        "till-1",
        10,
        sale("p2", 1000, &[line("a", 1, 1000, Some("bo"))]),
    );
    assert_eq!(day.books().at("2040:north GBP"), -50);
    day.add("till-2", 2, 1, &["d2"], Event::DropOpened(drop("d2", "bo")));
    assert_eq!(day.books().at("2030:ana GBP"), 0);
}

#[test]
fn yen_and_dinars_round_once_in_their_own_units() {
    for (code, amount, share) in [
        ("JPY", 1005, 100),
        ("JPY", 1015, 102),
        ("KWD", 12_345, 1234),
    ] {
        let mut day = day(promised());
        let mut sold = of_ana(sale("p", amount, &[]));
        sold.currency = Currency::new(code).unwrap();
        day.add_sale("till-1", 1, sold);
        assert_eq!(day.books().at(&std::format!("2030:ana {code}")), -share);
    }
}

#[test]
fn a_tip_is_divided_by_the_card() {
    let mut commerce = promised();
    commerce.shares[0].tips_ppm = Some(250_000);
    let mut day = day(commerce);
    let mut sold = of_ana(sale("p", 1002, &[]));
    sold.tip = Some(Minor(102));
    day.add_sale("till-1", 1, sold);
    let books = day.books();
    assert_eq!(
        (books.at("2020:ana GBP"), books.at("2020:house GBP")),
        (-26, -76)
    );
    day.add_refund(2, "r", "p", 1002, &[]);
    let books = day.books();
    assert_eq!(
        (books.at("2020:ana GBP"), books.at("2020:house GBP")),
        (0, 0)
    );
}

fn counted(day: &mut Day, at_ms: i64, amount: i64) {
    let count = CashCounted {
        popup: "fri".into(),
        rig: "till-1".into(),
        currency: "GBP".into(),
        amount,
        counted_ms: at_ms,
        ..CashCounted::default()
    };
    day.add_own(at_ms, SystemEvent::CashCounted(count));
}

fn cash(mut sale: event::PaymentCaptured) -> event::PaymentCaptured {
    sale.method = PaymentMethod::new("cash").unwrap();
    sale
}

#[test]
fn a_share_is_to_be_had_once_its_time_came_and_never_twice() {
    let mut day = day(promised());
    day.add_sale("till-1", 10, cash(of_ana(sale("p1", 1000, &[]))));
    let released = ShareReleased {
        popup: "fri".into(),
        creator: "ana".into(),
        currency: "GBP".into(),
        amount: 60,
        ..ShareReleased::default()
    };
    day.add_own(20, SystemEvent::ShareReleased(released));
    let books = day.books();
    assert_eq!(
        (books.at("2030:ana GBP"), books.at("2031:ana GBP")),
        (-40, -60)
    );
    assert_eq!(books.due_ms, Some(1_000 + DAY_MS));
    counted(&mut day, 900, 1000);
    day.as_of_ms = 1_000 + DAY_MS - 1;
    assert_eq!(day.books().at("2031:ana GBP"), -60);
    day.as_of_ms += 1;
    let books = day.books();
    assert_eq!(
        (books.at("2030:ana GBP"), books.at("2031:ana GBP")),
        (0, -100)
    );

    let paid = CreatorPaid {
        popup: "fri".into(),
        creator: "ana".into(),
        currency: "GBP".into(),
        amount: 110,
        paid_ms: 5,
        reference: "x".into(),
    };
    day.add_own(30, SystemEvent::CreatorPaid(paid));
    let books = day.books();
    assert_eq!(books.classes(), ["C-OVERPAID"]);
    assert_eq!(
        (
            books.at("2031:ana GBP"),
            books.at("1400:ana GBP"),
            books.at("1310 GBP")
        ),
        (0, 10, -110)
    );
    day.add_refund(950, "r", "p1", 500, &[]);
    let books = day.books();
    assert_eq!(
        books.classes(),
        ["C-CLAWBACK", "C-OVERPAID", "D-OVER"]
            .map(|class| class)
            .split_last()
            .unwrap()
            .1
    );
    assert_eq!(books.at("1400:ana GBP"), 60);
}

#[test]
fn a_card_sale_waits_for_its_payout_and_pairing_can_take_it_back() {
    let mut day = day(promised());
    day.add_sale("till-1", 10, of_ana(sale("p1", 1000, &[])));
    day.as_of_ms = 1_000 + DAY_MS;
    assert_eq!(day.books().at("2031:ana GBP"), 0);
    let say = |word: SaleWord| Word {
        cause: FactId([9; 16]),
        part: "pairing".into(),
        to: shares_of_sale::key(&popup(), "p1"),
        bytes: word.encode(),
    };
    let settled = SaleWord {
        settled: true,
        ..SaleWord::default()
    };
    day.said = [say(settled.clone())].into();
    assert_eq!(day.books().at("2031:ana GBP"), -100);
    let troubled = SaleWord {
        troubled: true,
        ..settled.clone()
    };
    day.said = [say(troubled)].into();
    assert_eq!(day.books().at("2031:ana GBP"), 0);
    let back = |amount, dispute| Back {
        at_ms: 20 + amount,
        amount,
        dispute,
    };
    let some = SaleWord {
        back: [back(250, false), back(500, true)].into(),
        ..settled
    };
    assert_eq!(SaleWord::decode(&some.encode()), Some(some.clone()));
    day.said = [say(some)].into();
    let books = day.books();
    assert_eq!((books.at("2031:ana GBP"), books.at("5040 GBP")), (-25, 25));
}

#[test]
fn a_dispute_takes_the_share_and_gives_it_back_when_it_is_won() {
    let mut day = day(promised());
    day.add_sale("till-1", 10, of_ana(sale("p1", 1000, &[])));
    let dispute = |day: &mut Day, state: DisputeState, at_ms| {
        let of = event::PaymentDisputed {
            dispute: DisputeId::new("d").unwrap(),
            payment: PaymentId::new("p1").unwrap(),
            amount: Minor(400),
            currency: gbp(),
            state,
        };
        day.add(
            "till-1",
            at_ms,
            1,
            &["d", state.text()],
            Event::PaymentDisputed(of),
        );
        day.books().at("2030:ana GBP")
    };
    assert_eq!(dispute(&mut day, DisputeState::Opened, 20), -60);
    assert_eq!(dispute(&mut day, DisputeState::Lost, 30), -60);
    day.facts.pop();
    assert_eq!(dispute(&mut day, DisputeState::Won, 30), -100);
    day.facts.pop();
    day.add_refund(25, "r", "p1", 900, &[]);
    assert_eq!(
        day.books().at("2030:ana GBP"),
        0,
        "never more than the share"
    );
}

#[test]
fn a_pool_is_divided_whole_and_again_when_it_changes() {
    let mut day = day(promised());
    let of_bo = |payment: &str, amount| sale(payment, amount, &[line("a", 1, amount, Some("bo"))]);
    day.add_sale("till-1", 10, of_bo("p1", 2_020));
    assert_eq!(day.books().at("2040:north GBP"), -101);
    let close = CloseSigned {
        popup: "fri".into(),
        n: 1,
        ..CloseSigned::default()
    };
    day.add_own(2_000, SystemEvent::CloseSigned(close));
    let books = day.books();
    assert_eq!(books.at("2040:north GBP"), 0);
    assert_eq!(
        (books.at("2030:bo GBP"), books.at("2030:cy GBP")),
        (-34, -67)
    );
    day.add_sale("till-1", 11, of_bo("p2", 2_000));
    let books = day.books();
    assert_eq!(books.at("2030:bo GBP") + books.at("2030:cy GBP"), -201);
    let mut wrong = promised();
    wrong.coops[0].members.pop();
    day.cards.insert(1, Rc::new(wrong));
    assert_eq!(day.books().classes(), ["C-WEIGHT", "C-WEIGHT"]);
    let mut gone = promised();
    gone.coops.clear();
    day.cards.insert(1, Rc::new(promised()));
    day.cards.insert(2, Rc::new(gone));
    assert_eq!(day.books().classes(), ["C-SPLIT"]);
}

proptest! {
    #[test]
    fn shares_and_what_was_taken_back_are_what_stands(
        amount in 1i64..50_000,
        cuts in prop::collection::vec(1i64..9_000, 0..6),
        rate in 0u32..1_000_000,
    ) {
        let mut commerce = promised();
        commerce.shares[0].rate_ppm = rate;
        let mut day = day(commerce);
        day.add_sale("till-1", 1, of_ana(sale("p", amount, &[line("a", 1, amount, None)])));
        let share = -day.books().at("2030:ana GBP");
        let mut back = 0;
        for (at, cut) in (2..).zip(cuts) {
            back += cut;
            day.add_refund(at, &std::format!("r{at}"), "p", cut, &[]);
            let left = -day.books().at("2030:ana GBP");
            prop_assert!((0..=share).contains(&left));
            if back >= amount {
                prop_assert_eq!(left, 0);
            }
        }
    }
}
