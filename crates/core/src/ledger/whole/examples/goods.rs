//! Tokens, stock, drawers and amounts beyond all bounds.

use super::*;
use crate::event::FulfilmentStep;

#[test]
fn of_two_uses_the_first_counts_whichever_is_told_first() {
    for turn in 0..4 {
        let mut day = day(promised());
        let paid = |payment: &str| {
            let mut sold = sale(payment, 500, &[line("a", 1, 1000, None)]);
            sold.token = Some(TokenId::new("t1").unwrap());
            sold
        };
        token(&mut day, 5, "till-1", "t1", Some("o-gift"), 0);
        day.add_sale("till-1", 10, paid("p1"));
        token(&mut day, 10, "till-1", "t1", Some("o-p1"), 1);
        day.add_sale("till-2", 9, paid("p2"));
        token(&mut day, 9, "till-2", "t1", Some("o-p2"), 1);
        day.facts.rotate_left(turn);
        let books = day.books();
        assert_eq!(books.classes(), ["T-DOUBLE"]);
        assert!(
            books.breaks[0].sentence.contains("till-1"),
            "{}",
            books.breaks[0].sentence
        );
        assert_eq!(
            (
                books.at("5031 GBP"),
                books.at("2055 GBP"),
                books.at("2050:house GBP")
            ),
            (500, 0, 0)
        );
        assert_eq!((books.at("T130 t:house"), books.at("T160 t:house")), (1, 1));
    }
}

#[test]
fn tokens_end_and_are_used_when_they_should_not() {
    let mut day = day(promised());
    token(&mut day, 5, "till-1", "sold", Some("o-gift"), 0);
    token(&mut day, 5, "till-1", "promo", None, 0);
    assert_eq!(day.books().at("2050:house GBP"), -500);
    assert_eq!(day.books().due_ms, Some(901));
    day.as_of_ms = 901;
    let books = day.books();
    assert_eq!(
        (
            books.at("2050:house GBP"),
            books.at("4050 GBP"),
            books.at("T140 t:house")
        ),
        (0, -500, 2)
    );
    token(&mut day, 20, "till-1", "sold", None, 2);
    assert_eq!(day.books().at("T150 t:house"), 1);
    token(&mut day, 30, "till-2", "sold", Some("o-9"), 1);
    let books = day.books();
    assert_eq!(
        (books.classes(), books.at("5031 GBP")),
        (["T-EXPIRED-USED"].into(), 500)
    );
    token(&mut day, 30, "till-2", "never", Some("o-9"), 1);
    assert_eq!(day.books().classes(), ["T-EXPIRED-USED", "T-UNISSUED"]);
    day.as_of_ms = DAY_MS;
    assert_eq!(
        day.books().classes(),
        ["E-ORPHAN", "E-ORPHAN", "T-EXPIRED-USED", "T-UNISSUED"]
    );
}

#[test]
fn a_token_without_lines_or_without_a_use_does_not_stay_open_unnamed() {
    let mut day = day(promised());
    token(&mut day, 5, "till-1", "t1", None, 0);
    let mut sold = sale("p1", 700, &[]);
    sold.token = Some(TokenId::new("t1").unwrap());
    day.add_sale("till-1", 10, sold);
    token(&mut day, 11, "till-1", "t1", Some("o-p1"), 1);
    let books = day.books();
    assert_eq!(
        (
            books.at("2055 GBP"),
            books.at("4010 GBP"),
            books.at("4020 GBP")
        ),
        (0, -1200, 500)
    );

    let mut sold = sale("p2", 700, &[line("a", 1, 1000, None)]);
    sold.token = Some(TokenId::new("t2").unwrap());
    day.add_sale("till-1", 10, sold);
    assert_eq!(day.books().classes(), [""; 0]);
    day.as_of_ms = 10 + 30 * 60_000;
    let books = day.books();
    assert_eq!(
        (books.classes(), books.breaks[0].amount),
        (["T-VALUE"].into(), 300)
    );
}

fn stock(day: &mut Day, rig: &str, sku: &str, qty: i64, from: Option<&str>, to: Option<&str>) {
    let place = |name: &str| StockPlace::new(name).unwrap();
    let n = day.facts.len().to_string();
    let (sku, qty) = (Sku::new(sku).unwrap(), event::Count(qty));
    let (from, to) = (from.map(place), to.map(place));
    let event = match from {
        None => Event::InventoryReceived(event::InventoryReceived {
            sku,
            qty,
            to,
            reason: None,
        }),
        Some(_) => Event::InventoryMoved(event::InventoryMoved {
            sku,
            qty,
            from,
            to,
            reason: None,
        }),
    };
    day.add(rig, 5, 1, &[&n], event);
}

#[test]
fn what_went_out_beyond_the_rights_is_named_by_totals() {
    let mut day = day(promised());
    stock(&mut day, "till-1", "a", 10, None, None);
    stock(&mut day, "till-1", "a", 4, Some("pool"), Some("till-1"));
    for at in 0..3 {
        let lines = [line("a", 2, 100, None)];
        day.add_sale("till-1", at, sale(&std::format!("p{at}"), 100, &lines));
    }
    let books = day.books();
    assert_eq!(
        (
            books.classes(),
            books.at("S130:till-1 u:a"),
            books.at("S195 u:a")
        ),
        (["K-OVERSELL"].into(), 0, -2)
    );
    stock(&mut day, "till-1", "a", 2, Some("pool"), Some("till-1"));
    let books = day.books();
    assert_eq!((books.classes(), books.at("S120 u:a")), ([""; 0].into(), 4));
    stock(&mut day, "till-2", "a", 0, Some("till-1"), Some("till-2"));
    assert_eq!(day.books().classes(), ["K-RIGHTS"]);
}

#[test]
fn what_never_arrived_is_a_phantom_where_all_is_stocked() {
    let mut day = day(Commerce {
        stock_all: true,
        ..promised()
    });
    day.add_sale("till-1", 1, sale("p", 100, &[line("a", 3, 100, None)]));
    let books = day.books();
    assert_eq!(
        (books.classes(), books.at("S195 u:a"), books.at("S120 u:a")),
        (["K-PHANTOM"].into(), -3, 0)
    );
}

#[test]
fn goods_come_back_by_lines_or_by_moves_and_from_where_they_were() {
    let mut day = day(promised());
    stock(&mut day, "till-1", "a", 10, None, None);
    day.add_sale("till-1", 6, sale("p", 100, &[line("a", 3, 100, None)]));
    let done = event::OrderFulfilled {
        order: OrderId::new("o-p").unwrap(),
        step: FulfilmentStep::HandedOver,
        coop_member: None,
    };
    day.add(
        "till-1",
        7,
        1,
        &["o-p", "handed_over"],
        Event::OrderFulfilled(done),
    );
    assert_eq!(
        (day.books().at("S150 u:a"), day.books().at("S160 u:a")),
        (0, 3)
    );
    day.add_refund(8, "r", "p", 30, &[("a", 1)]);
    let books = day.books();
    assert_eq!(
        (
            books.at("S120 u:a"),
            books.at("S150 u:a"),
            books.at("S160 u:a")
        ),
        (8, 0, 2)
    );

    let moves = Commerce {
        returns_by_moves: true,
        ..promised()
    };
    day.cards.insert(1, Rc::new(moves));
    day.as_of_ms = DAY_MS;
    let books = day.books();
    assert_eq!(
        (books.classes(), books.at("S120 u:a")),
        (["K-REFUND-NO-RETURN"].into(), 7)
    );
    stock(
        &mut day,
        "till-1",
        "a",
        2,
        Some("handed_over"),
        Some("returned"),
    );
    let books = day.books();
    assert_eq!(
        (books.classes(), books.at("S170 u:a")),
        (["K-RETURN-NO-REFUND"].into(), 2)
    );
}

#[test]
fn a_drawer_is_counted_as_of_its_time() {
    let mut day = day(promised());
    day.add_sale("till-1", 10, cash(sale("p1", 1000, &[])));
    day.add_sale("till-1", 30, cash(sale("p2", 500, &[])));
    counted(&mut day, 20, 990);
    counted(&mut day, 40, 1490);
    let books = day.books();
    assert_eq!(
        (
            books.classes(),
            books.at("5050 GBP"),
            books.at("1010:till-1 GBP")
        ),
        (["D-SHORT"].into(), 10, 1490)
    );
    day.add_sale("till-1", 15, cash(sale("late", 5, &[])));
    assert_eq!(day.books().at("5050 GBP"), 15);
    counted(&mut day, 50, 1500);
    assert_eq!(day.books().classes(), ["D-OVER", "D-SHORT"]);
}

#[test]
fn a_sale_outside_the_popups_time_is_named() {
    let mut day = day(promised());
    day.add_sale("till-1", DAY_MS, sale("p", 5, &[]));
    assert_eq!(day.books().classes(), ["X-POPUP"]);
}

#[test]
fn amounts_no_book_can_hold_make_a_break_and_nothing_else() {
    for amount in [i64::MAX, i64::MIN] {
        let mut day = day(promised());
        counted(&mut day, 20, amount);
        counted(&mut day, 21, -(amount / 2) - amount % 2);
        counted(&mut day, 22, i64::MAX);
        for n in 0..3 {
            let paid = CreatorPaid {
                popup: "fri".into(),
                creator: "ana".into(),
                currency: "GBP".into(),
                amount,
                paid_ms: 5,
                reference: n.to_string(),
            };
            day.add_own(30 + n, SystemEvent::CreatorPaid(paid));
        }
        day.add_sale(
            "till-1",
            9,
            of_ana(sale(
                "p",
                i64::MAX,
                &[
                    line("a", i64::MAX, i64::MAX, None),
                    line("b", i64::MIN, i64::MIN, Some("bo")),
                ],
            )),
        );
        token(&mut day, 11, "till-1", "t1", Some("o-p"), 1);
        let books = day.books();
        assert!(
            books.classes().contains(&"E-POISON"),
            "{:?}",
            books.classes()
        );
    }
}
