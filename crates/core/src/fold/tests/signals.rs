//! Viewers, chat scores, orders on their way, rights, and whose a sale is while a drop is open.

use super::*;
use crate::cell::{TouchKind, touch};

fn chat(viewer: &str, score: Option<i16>) -> Event {
    let score = score.map_or(ChatScore::NOT_COVERED, ChatScore::covered);
    Event::ChatMessage(ChatMessage {
        stream: ChatStream::new("live").unwrap(),
        viewer: Subject::new(viewer).unwrap(),
        text: ChatText::Scored(score),
    })
}

fn viewed(viewer: &str) -> Event {
    Event::ProductViewed(ProductViewed {
        viewer: Subject::new(viewer).unwrap(),
        sku: Sku::new("s").unwrap(),
        creator: None,
    })
}

pub(super) fn started_by(checkout: &str, viewer: &str) -> Event {
    Event::CheckoutStarted(CheckoutStarted {
        checkout: CheckoutId::new(checkout).unwrap(),
        channel: None,
        creator: None,
        viewer: Subject::new(viewer).ok(),
    })
}

fn only(fold: &EpochFold) -> &Cell {
    fold.cells().next().unwrap()
}

#[test]
fn chat_is_counted_by_its_score() {
    let scores = [None, Some(-500), Some(-499), Some(500), Some(10_000)];
    let events = scores.map(|score| (1, chat("v", score)));
    let fold = fold_events(events.to_vec());
    let row = &only(&fold).streams[0];
    assert_eq!(
        (row.messages, row.covered, row.negative, row.positive),
        (5, 4, 1, 2)
    );
    assert_eq!(row.score, 10_001 - 500);
}

#[test]
fn a_payment_belongs_to_the_viewer_who_began_its_checkout() {
    let pay = |order: &str, checkout: Option<&str>| {
        Event::PaymentCaptured(PaymentCaptured {
            checkout: checkout.map(|id| CheckoutId::new(id).unwrap()),
            ..capture(order, order, 5)
        })
    };
    let fold = fold_events(vec![
        (1, viewed("ann")),
        (2, started_by("c1", "ann")),
        (3, pay("o1", Some("c1"))),
        (4, completed("c1", "o1", None)),
        // Only the completion says whose order this is.
        (5, started_by("c2", "bo")),
        (6, pay("o2", None)),
        (7, completed("c2", "o2", None)),
        (8, pay("o3", None)),
        (9, viewed("[removed]")),
    ]);
    let subjects = only(&fold).subjects.as_ref().unwrap();
    assert_eq!(
        (subjects.linked_started, subjects.linked_paid, subjects.cut),
        (2, 2, 0)
    );
    let mut touches: Vec<_> = subjects.set.iter().map(|row| row.touches.clone()).collect();
    touches.sort();
    let ann = vec![
        touch(1_000, TouchKind::Viewed),
        touch(2_000, TouchKind::Started),
        touch(3_000, TouchKind::Paid),
    ];
    let bo = vec![
        touch(5_000, TouchKind::Started),
        touch(7_000, TouchKind::Paid),
    ];
    assert_eq!(touches, [ann, bo]);
}

#[test]
fn the_smallest_viewers_are_kept_with_all_they_did() {
    let mut events: Vec<_> = (0..700).map(|n| (1, viewed(&format!("v{n}")))).collect();
    events.extend((0..700).map(|n| (2, chat(&format!("v{n}"), None))));
    let up = fold_events(events.clone());
    events.reverse();
    events
        .iter_mut()
        .for_each(|(second, _)| *second = 3 - *second);
    let down = fold_events(
        events
            .into_iter()
            .map(|(second, event)| (3 - second, event))
            .rev()
            .collect(),
    );
    for fold in [&up, &down] {
        let cell = only(fold);
        let subjects = cell.subjects.as_ref().unwrap();
        assert_eq!(subjects.set.len(), limits::CELL_SUBJECTS_MAX);
        assert!(
            subjects
                .set
                .iter()
                .all(|row| row.touches.len() == 2 && row.hash < subjects.cut)
        );
        assert_eq!(
            Cell::decode_canonical(&cell.encode_canonical()).unwrap(),
            *cell
        );
    }
    assert_eq!(only(&up).subjects, only(&down).subjects);
    let busy = (0..400).map(|n| {
        (
            n % 50,
            if n % 2 == 0 {
                viewed("v")
            } else {
                chat("v", None)
            },
        )
    });
    let fold = fold_events(busy.collect());
    let touches = &only(&fold).subjects.as_ref().unwrap().set[0].touches;
    assert!(touches.len() <= limits::SUBJECT_TOUCHES_MAX);
}

#[test]
fn an_order_leaves_once_whichever_way() {
    let back = |name: &str, payment: &str, amount| refund(name, payment, amount, vec![]);
    let fold = fold_events(vec![
        (1, captured("p1", "o1", 100)),
        (2, captured("p2", "o2", 100)),
        (3, captured("p3", "o3", 100)),
        (4, fulfilled("o1", FulfilmentStep::Packed, "")),
        (5, fulfilled("o1", FulfilmentStep::Shipped, "")),
        (6, fulfilled("o1", FulfilmentStep::HandedOver, "")),
        (7, back("r1", "p1", 100)),
        (8, back("r2", "p2", 40)),
        (9, back("r3", "p2", 60)),
        (10, back("r4", "stranger", 60)),
        (11, fulfilled("unpaid", FulfilmentStep::HandedOver, "")),
    ]);
    let orders = only(&fold).orders.as_ref().unwrap();
    assert_eq!((orders.out, orders.gone, orders.refunded), (2, 1, 3));
    assert_eq!(orders.by_paid.iter().map(|row| row.closed).sum::<u64>(), 2);
}

#[test]
fn a_right_goes_with_what_is_given_and_moved() {
    let fold = fold_events(vec![
        (1, allocated("till-2", 10)),
        (2, allocated("", 4)),
        (3, moved("till-2", "till-1", 3)),
        (4, moved("till-1", "pool", 1)),
        (5, moved("pool", "back office", 2)),
    ]);
    let row = &only(&fold).skus[0];
    let rights: Vec<_> = row
        .rights
        .iter()
        .map(|right| (right.rig.as_str(), right.qty))
        .collect();
    assert_eq!(rights, [("till-1", 6), ("till-2", 7)]);
    assert_eq!((row.moved_in, row.moved_out, row.allocated), (0, 2, 14));
}

#[test]
fn while_one_creators_drop_is_open_the_sale_is_theirs() {
    let opened = |drop: &str, creator: &str| {
        Event::DropOpened(DropOpened {
            drop: FlashDropId::new(drop).unwrap(),
            sku: Sku::new("s").unwrap(),
            creator: CreatorId::new(creator).ok(),
            qty: None,
            price: None,
        })
    };
    let closed = |drop: &str| {
        Event::DropClosed(DropClosed {
            drop: FlashDropId::new(drop).unwrap(),
            sku: Sku::new("s").unwrap(),
            creator: None,
            qty: None,
            price: None,
        })
    };
    let sell = |payment: &str| sale(payment, 10, vec![line("s", 1, 10, "")]);
    let fold = fold_events(vec![
        (1, sell("before")),
        (2, opened("d1", "ann")),
        (3, sell("alone")),
        (4, opened("d2", "bo")),
        (5, sell("contested")),
        (6, closed("d2")),
        (7, sell("alone2")),
        (8, closed("d1")),
        (8, sell("after")),
    ]);
    let creators = &only(&fold).creators;
    let rows: Vec<_> = creators
        .iter()
        .map(|row| (row.creator.as_str(), row.evidence, row.gross))
        .collect();
    assert_eq!(rows, [("ann", 4, 20), ("house", 5, 30)]);
}
