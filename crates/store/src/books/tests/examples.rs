//! One small story per rule and per odd delivery.

use popwatch_core::code::Code;
use popwatch_core::event::system::{PopupPolicy, SystemEvent};
use popwatch_core::event::{Class, Cursor, Event, Minor};
use popwatch_core::id::{PaymentMethod, TokenId};
use popwatch_core::lane::{Beacon, RecordBatch, SkipWhy};
use popwatch_core::ledger::BreakClass;
use popwatch_core::time::WallMs;

use super::fixture::*;
use crate::books::{Books, BooksFault};

fn hello() -> RecordBatch {
    RecordBatch {
        protocol: 1,
        rig: "till-1".into(),
        ..RecordBatch::default()
    }
}

#[test]
pub(super) fn a_sale_is_posted_to_its_accounts() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, received("mug", 10));
    let event = Event::PaymentCaptured(popwatch_core::event::PaymentCaptured {
        tip: Some(Minor(400)),
        tax: Some(Minor(320)),
        token: Some(TokenId::new("tok").unwrap()),
        ..sale("p1", 4_220, &[("mug", 1, 2_500), ("fee", 1, 1_500)])
    });
    till.event("2", 2, event);
    let books = deliver(&[till.trunk()]);
    for (account, expect) in [
        ("1100:till-1:-", 4_220),
        ("2055", 500),
        ("4010", -4_000),
        ("2010", -320),
        ("2020:house", -400),
        ("S100", -10),
        ("S120", 9),
        ("S150", 1),
    ] {
        assert_eq!(balance(&books, account), expect, "{account}");
    }
    assert_eq!(classes(&books), Vec::<&str>::new());
}

#[test]
pub(super) fn cash_offline_and_manual_money_stand_apart() {
    let mut till = Rig::new("till-1", 1, 1);
    let cash = popwatch_core::event::PaymentCaptured {
        method: PaymentMethod::new("cash").unwrap(),
        ..sale("p1", 100, &[])
    };
    let offline = popwatch_core::event::PaymentCaptured {
        offline: Some(true),
        ..sale("p2", 200, &[])
    };
    till.event("1", 1, Event::PaymentCaptured(cash));
    till.event("2", 2, Event::PaymentCaptured(offline));
    till.event("3", 3, manual(-30));
    let books = deliver(&[till.trunk()]);
    assert_eq!(balance(&books, "1010:till-1"), 100);
    assert_eq!(balance(&books, "1110:till-1:-"), 200);
    assert_eq!(balance(&books, "4010"), -300);
    assert_eq!(balance(&books, "1190"), -30);
    assert_eq!(balance(&books, "4090"), 30);
    assert_eq!(classes(&books), ["X-MANUAL"]);
    let totals = books.books(&popup()).unwrap().totals[&gbp()];
    assert_eq!((totals.captured, totals.sales), (300, 2));
}

#[test]
pub(super) fn lines_that_do_not_add_up_are_named_and_the_money_is_the_truth() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 1_000, &[("mug", 1, 900)]));
    till.event(
        "2",
        2,
        captured("p2", 500, &[("mug", 2, 700), ("off", 1, -200)]),
    );
    let books = deliver(&[till.trunk()]);
    assert_eq!(balance(&books, "4010"), -1_500);
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    assert_eq!(out.breaks.len(), 1);
    assert_eq!(out.breaks[0].class.text(), "E-BASKET");
    assert_eq!(out.breaks[0].amount, -100);
}

#[test]
pub(super) fn a_refund_waits_for_its_sale_without_losing_a_penny() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 9, refunded("r1", "p1", 51, &[("mug", 1, 50)]));
    till.event("2", 10, refunded("r2", "p1", 49, &[]));
    let mut books = deliver(&[till.trunk()]);
    assert_eq!(balance(&books, "4030"), 100);
    assert_eq!(balance(&books, "2070"), -100);
    assert_eq!(classes(&books), ["E-ORPHAN", "E-ORPHAN"]);

    let mut other = Rig::new("till-2", 1, 2);
    let event = popwatch_core::event::PaymentCaptured {
        tax: Some(Minor(33)),
        tip: Some(Minor(10)),
        ..sale("p1", 100, &[("mug", 1, 57)])
    };
    other.event("3", 1, Event::PaymentCaptured(event));
    books.accept(&other.trunk(), now()).unwrap();
    assert_eq!(balance(&books, "4030"), 57);
    assert_eq!(balance(&books, "2010"), 0);
    assert_eq!(balance(&books, "2020:house"), 0);
    assert_eq!(balance(&books, "2070"), -100);
    assert_eq!(classes(&books), Vec::<&str>::new());
}

#[test]
pub(super) fn a_delivery_makes_earlier_sales_move_stock() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[("mug", 2, 100)]));
    let mut books = deliver(&[till.trunk()]);
    assert_eq!(balance(&books, "S150"), 0);
    let mut store = Rig::new("stock", 1, 2);
    store.event("2", 5, received("mug", 10));
    books.accept(&store.trunk(), now()).unwrap();
    assert_eq!(balance(&books, "S150"), 2);
    assert_eq!(balance(&books, "S120"), 8);
    // Once stock is set aside for the till, its sales come out of that.
    till.event("3", 9, allocated("mug", 5));
    books.accept(&till.trunk(), now()).unwrap();
    assert_eq!(balance(&books, "S130:till-1"), 3);
    assert_eq!(balance(&books, "S120"), 5);
}

#[test]
pub(super) fn a_count_names_what_is_missing_and_a_late_sale_explains_it() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, received("mug", 30));
    till.event("2", 2, captured("p1", 100, &[("mug", 4, 100)]));
    till.event("3", 3, adjusted("mug", -2, "gift"));
    till.event("4", 10, counted("mug", 21));
    let mut books = deliver(&[till.trunk()]);
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    assert_eq!(out.breaks.len(), 1);
    assert_eq!(out.breaks[0].amount, -3);
    assert!(
        out.breaks[0]
            .sentence
            .starts_with("mug: 21 counted where 24 should be; 3 items missing"),
        "{}",
        out.breaks[0].sentence
    );
    assert_eq!(balance(&books, "S120"), 21);
    assert_eq!(balance(&books, "S180"), 2 + 3);

    let mut other = Rig::new("till-2", 1, 2);
    other.event("5", 9, captured("p2", 100, &[("mug", 3, 100)]));
    books.accept(&other.trunk(), now()).unwrap();
    assert_eq!(classes(&books), Vec::<&str>::new());
    assert_eq!(balance(&books, "S120"), 21);
    assert_eq!(balance(&books, "S180"), 2);
    let view = books.books(&popup()).unwrap();
    assert!(view.stock.values().all(|stock| stock.trial_balance == 0));
}

#[test]
pub(super) fn other_bytes_at_a_held_position_do_not_replace_the_first() {
    let mut till = Rig::new("till-1", 1, 1);
    let mut twin = till.clone();
    till.event("1", 1, captured("p1", 100, &[]));
    twin.event("1", 1, captured("p1", 900, &[]));
    let mut books = deliver(&[till.trunk()]);
    let before = books.books(&popup()).unwrap().books_root;
    let mut chainless = twin.batch(Cursor::Trunk, 2, 2);
    (chainless.chain_before, chainless.chain_after) = (Vec::new(), Vec::new());
    let ack = books.accept(&chainless, now()).unwrap();
    assert_eq!(ack.not_ok.len(), 1);
    assert_eq!(ack.not_ok[0].seq, 2);
    assert_eq!(ack.not_ok[0].verdict, "other_bytes");
    assert_eq!(ack.not_ok[0].code, "PW0311");
    assert_eq!(books.books(&popup()).unwrap().books_root, before);
    assert_eq!(classes(&books), ["E-FORK"]);
    // With its chain the same batch is a fork: its records must come under another epoch.
    let fault = books.accept(&twin.trunk(), now()).unwrap_err();
    assert_eq!(fault.code(), Code::ChainBroken);
    assert!(
        books
            .accept(&till.trunk(), now())
            .unwrap()
            .not_ok
            .is_empty()
    );
}

#[test]
pub(super) fn a_history_that_does_not_continue_ours_is_a_fork() {
    let mut till = Rig::new("till-1", 1, 1);
    let mut twin = till.clone();
    till.event("1", 1, captured("p1", 100, &[]));
    twin.event("1", 1, captured("p1", 900, &[]));
    twin.event("2", 2, captured("p2", 50, &[]));
    let mut books = deliver(&[till.trunk()]);
    let fault = books
        .accept(&twin.batch(Cursor::Trunk, 3, 3), now())
        .unwrap_err();
    assert!(matches!(
        fault,
        BooksFault::Fork {
            next_epoch: 2,
            code: Code::ChainBroken
        }
    ));
    assert_eq!(balance(&books, "4010"), -100);
    assert_eq!(classes(&books), ["E-FORK"]);
}

#[test]
pub(super) fn another_epoch_id_under_one_number_is_a_fork() {
    let mut till = Rig::new("till-1", 3, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    let mut twin = Rig::new("till-1", 3, 2);
    twin.event("2", 1, captured("p2", 900, &[]));
    let mut books = deliver(&[till.trunk()]);
    let fault = books.accept(&twin.trunk(), now()).unwrap_err();
    assert!(matches!(
        fault,
        BooksFault::Fork {
            next_epoch: 4,
            code: Code::EpochForked
        }
    ));
    assert_eq!(fault.code().to_string(), "PW0310");
    assert_eq!(balance(&books, "4010"), -100);
    assert!(classes(&books).contains(&"E-FORK"));
}

#[test]
pub(super) fn one_event_from_two_journals_counts_once() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    let mut again = Rig::new("till-1", 2, 2);
    again.event("1", 1, captured("p1", 100, &[]));
    let mut books = deliver(&[till.trunk()]);
    let root = books.books(&popup()).unwrap().books_root;
    let ack = books.accept(&again.trunk(), now()).unwrap();
    assert_eq!(ack.not_ok[0].verdict, "duplicate");
    assert_eq!(books.books(&popup()).unwrap().books_root, root);
}

#[test]
pub(super) fn one_id_with_two_contents_is_a_conflict_whose_first_counts() {
    let mut early = Rig::new("till-1", 1, 1);
    early.event("1", 1, captured("p1", 100, &[]));
    let mut late = Rig::new("till-1", 2, 2);
    late.event("1", 5, captured("p1", 130, &[]));
    for order in [[&early, &late], [&late, &early]] {
        let mut books = fresh_books();
        let mut verdicts = Vec::new();
        for rig in order {
            verdicts.extend(books.accept(&rig.trunk(), now()).unwrap().not_ok);
        }
        assert_eq!(balance(&books, "4010"), -100);
        let out = books.reconcile(&popup(), None, now().wall).unwrap();
        let found = out
            .breaks
            .iter()
            .find(|found| found.class.text() == "E-CONFLICT")
            .unwrap();
        assert_eq!(found.amount, 30);
        if order[0].epoch == 1 {
            assert_eq!(verdicts[0].verdict, "conflict");
            assert_eq!(verdicts[0].code, "PW0104");
        }
    }
}

#[test]
pub(super) fn one_payment_told_twice_with_other_amounts_counts_as_first_told() {
    let mut late = Rig::new("till-1", 1, 1);
    late.event("1", 5, captured("p1", 130, &[]));
    let mut early = Rig::new("till-2", 1, 2);
    early.event("2", 1, captured("p1", 100, &[]));
    for order in [[&early, &late], [&late, &early]] {
        let books = deliver(&order.map(Rig::trunk));
        assert_eq!(balance(&books, "4010"), -100);
        assert_eq!(classes(&books), ["E-CONFLICT"]);
    }
}

#[test]
pub(super) fn an_unreadable_record_is_kept_and_the_rest_posts() {
    let mut till = Rig::new("till-1", 1, 1);
    let poison = till.raw(Class::Money, &[8, 11, 255, 255]);
    till.event("1", 1, captured("p1", 100, &[]));
    let mut books = fresh_books();
    let ack = books.accept(&till.trunk(), now()).unwrap();
    assert_eq!(ack.trunk_seq, 3);
    assert_eq!(ack.not_ok[0].seq, poison);
    assert_eq!(ack.not_ok[0].verdict, "quarantined");
    assert_eq!(ack.not_ok[0].code, "PW0314");
    assert_eq!(balance(&books, "4010"), -100);
    assert_eq!(classes(&books), ["E-POISON"]);
}

/// A till whose seqs 3 and 4 are lost; they held a sale of 250 and one of 40.
fn broken_till() -> (Rig, Vec<popwatch_core::event::system::TotalsRow>) {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[("mug", 1, 100)]));
    till.event("2", 2, captured("p2", 250, &[("mug", 3, 250)]));
    till.event("3", 3, captured("p3", 40, &[("mug", 1, 40)]));
    let value = popwatch_core::event::system::TotalsRow {
        popup: "fri".into(),
        currency: "GBP".into(),
        n: 2,
        captured: 290,
        units: 4,
        ..Default::default()
    };
    (till, vec![value])
}

fn with_gap(till: &Rig, value: &[popwatch_core::event::system::TotalsRow]) -> RecordBatch {
    let mut items = till.trunk().items;
    items.splice(2..4, [skip_item(2, SkipWhy::Gap, value.to_vec())]);
    let mut batch = till.batch_of(Cursor::Trunk, 1, till.last(), items);
    batch.chain_after = Vec::new();
    batch
}

#[test]
pub(super) fn a_lost_range_is_worth_exactly_what_was_lost() {
    let (mut till, value) = broken_till();
    till.system(gap(1, 3, 4, value.clone()));
    till.seal();
    till.event("9", 9, captured("p9", 7, &[]));
    let mut books = deliver(&[with_gap(&till, &value)]);
    assert_eq!(balance(&books, "1100:till-1:gap"), 290);
    let view = books.books(&popup()).unwrap();
    assert_eq!(view.currencies[&gbp()].suspense, 290);
    assert_eq!(view.currencies[&gbp()].open_breaks, 290);
    assert_eq!(classes(&books), ["E-GAP-VALUE", "E-GAP"]);
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    assert!(
        out.breaks[0]
            .sentence
            .contains("till-1 lost 2 records (3 to 4")
    );
    assert!(out.breaks[0].sentence.contains("GBP 2.90"));

    // One of the two turns up after all.
    let found = till.batch(Cursor::Trunk, 3, 3);
    books.accept(&found, now()).unwrap();
    assert_eq!(balance(&books, "1100:till-1:gap"), 40);
    assert_eq!(
        books.books(&popup()).unwrap().currencies[&gbp()].suspense,
        40
    );
    books
        .accept(&till.batch(Cursor::Trunk, 4, 4), now())
        .unwrap();
    assert_eq!(balance(&books, "1100:till-1:gap"), 0);
    assert_eq!(classes(&books), Vec::<&str>::new());
    assert_eq!(balance(&books, "4010"), -397);
}

/// The till still had a lost sale and sent it again: it is no loss any more, and no second sale.
#[test]
pub(super) fn a_lost_sale_that_was_sent_again_is_counted_once_in_any_order() {
    let (till, value) = broken_till();
    let mut next = till.next(2);
    next.system(gap(1, 3, 4, value.clone()));
    next.again("2", 2, captured("p2", 250, &[("mug", 3, 250)]), (1, 3));
    let batches = [with_gap(&till, &value), next.trunk()];
    let books = deliver(&batches);
    assert_eq!(balance(&books, "1100:till-1:gap"), 40);
    assert_eq!(balance(&books, "4010"), -350);
    assert_eq!(classes(&books), ["E-GAP-VALUE", "E-GAP"]);
    assert_eq!(state(&books), state(&deliver(batches.iter().rev())));

    next.again("3", 3, captured("p3", 40, &[("mug", 1, 40)]), (1, 4));
    let batches = [with_gap(&till, &value), next.trunk()];
    let mut books = deliver(&batches);
    assert_eq!(balance(&books, "1100:till-1:gap"), 0);
    assert_eq!(balance(&books, "4010"), -390);
    let whole = books.books(&popup()).unwrap();
    assert_eq!(whole.currencies[&gbp()].suspense, 0);
    // That the records are gone stays said; there is nothing left to explain in money.
    assert_eq!(classes(&books), ["E-GAP"]);
    assert_eq!(state(&books), state(&deliver(batches.iter().rev())));

    // The ledger had one of them before the rig lost it: the second telling is a repeat.
    books
        .accept(&till.batch(Cursor::Trunk, 3, 3), now())
        .unwrap();
    assert_eq!(balance(&books, "1100:till-1:gap"), 0);
    assert_eq!(balance(&books, "4010"), -390);
}

#[test]
pub(super) fn a_rig_that_vanished_before_the_end_is_named_until_it_has_said_that_it_is_done() {
    let mut till = Rig::new("till-1", 1, 1);
    till.system(SystemEvent::PolicyApplied(PopupPolicy {
        popup: popup().to_string(),
        version: 1,
        starts_ms: T0,
        ends_ms: T0 + 600_000,
        ..PopupPolicy::default()
    }));
    till.event("1", 10, captured("p1", 500, &[("mug", 1, 500)]));
    till.seal_at(60);
    let named = |till: &Rig, at_s: i64| {
        let as_of = WallMs(T0 + at_s * 1_000);
        let found = deliver(&till.all()).reconcile(&popup(), None, as_of);
        let breaks = found.unwrap().breaks.into_iter();
        let of_rig = breaks.filter(|found| found.class == BreakClass::Unsealed);
        of_rig.map(|found| found.sentence).collect::<Vec<_>>()
    };
    assert!(named(&till, 599).is_empty(), "it is not over");
    assert_eq!(
        named(&till, 600),
        [
            "till-1 has not said that it is done; record 4 is the last that is known of it, and there \
          may be more."
        ]
    );
    till.seal_at(601);
    assert!(named(&till, 700).is_empty());
}

#[test]
pub(super) fn of_one_version_what_somebody_signed_counts() {
    // A till was configured with a popup that ended; then a signed policy came that says otherwise.
    let policy = |ends_s: i64, digest: Vec<u8>| {
        SystemEvent::PolicyApplied(PopupPolicy {
            popup: popup().to_string(),
            version: 1,
            digest,
            starts_ms: T0,
            ends_ms: T0 + ends_s * 1_000,
            ..PopupPolicy::default()
        })
    };
    let mut till = Rig::new("till-1", 1, 1);
    till.system(policy(600, Vec::new()));
    till.system(policy(900, vec![7; 32]));
    till.system(policy(700, Vec::new()));
    till.event("1", 10, captured("p1", 500, &[("mug", 1, 500)]));
    till.seal_at(60);
    let is_over = |at_s: i64| {
        let as_of = WallMs(T0 + at_s * 1_000);
        let found = deliver(&till.all()).reconcile(&popup(), None, as_of);
        let mut breaks = found.unwrap().breaks.into_iter();
        breaks.any(|found| found.class == BreakClass::Unsealed)
    };
    assert_eq!([899, 900].map(is_over), [false, true]);
}

#[test]
pub(super) fn a_skip_tells_the_value_until_the_record_does() {
    let (till, value) = broken_till();
    let books = deliver(&[with_gap(&till, &value)]);
    assert_eq!(balance(&books, "1100:till-1:gap"), 290);
    assert_eq!(classes(&books), ["E-GAP-VALUE", "E-GAP"]);
}

#[test]
pub(super) fn a_count_inside_what_lost_records_could_explain_is_not_decided() {
    let (mut till, value) = broken_till();
    till.event("7", 7, received("mug", 10));
    till.event("8", 8, counted("mug", 5));
    let books = deliver(&[with_gap(&till, &value)]);
    assert_eq!(classes(&books), ["E-GAP-VALUE", "E-GAP"]);
    till.event("9", 9, counted("mug", 3));
    let books = deliver(&[with_gap(&till, &value)]);
    assert!(classes(&books).contains(&"K-COUNT"));
}

#[test]
pub(super) fn what_a_rig_still_has_is_known_from_its_beacons_and_successors() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    let mut books = deliver(&till.all());
    let hello = RecordBatch {
        beacons: vec![Beacon {
            popup: "fri".into(),
            rig: "till-1".into(),
            epoch: 1,
            durable_seq: 12,
            ..Beacon::default()
        }],
        ..hello()
    };
    let ack = books.accept(&hello, now()).unwrap();
    assert_eq!((ack.epochs.len(), ack.epochs[0].trunk_seq), (1, 2));
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    assert_eq!(out.breaks[0].class.text(), "E-TAIL");
    assert_eq!(
        out.breaks[0].sentence,
        "till-1 still has 10 records (3 to 12) to send."
    );
    assert!(!out.closed);
}

#[test]
pub(super) fn a_holes_end_is_not_acknowledged_and_heals() {
    let mut till = Rig::new("till-1", 1, 1);
    for at in 0..5 {
        let id = at.to_string();
        till.event(&id, at, captured(&format!("p{at}"), 100, &[]));
    }
    let mut books = fresh_books();
    books
        .accept(&till.batch(Cursor::Trunk, 1, 2), now())
        .unwrap();
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 5, 6), now())
        .unwrap();
    assert_eq!(ack.trunk_seq, 2);
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 2, 5), now())
        .unwrap();
    assert_eq!(ack.trunk_seq, 6);
    assert_eq!(balance(&books, "4010"), -500);
}

#[test]
pub(super) fn damaged_batches_leave_nothing_behind() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    till.event("2", 2, captured("p2", 100, &[]));
    let good = till.trunk();
    let mut flipped = good.clone();
    if let Some(popwatch_core::lane::ItemBody::Frame(bytes)) = &mut flipped.items[2].body {
        *bytes.last_mut().unwrap() ^= 1;
    }
    let mut shifted = good.clone();
    shifted.first_seq = 2;
    let mut chain = good.clone();
    chain.chain_after[0] ^= 1;
    let mut cursor = good.clone();
    cursor.cursor = 2;
    let mut empty = good.clone();
    empty.items[1].body = None;
    let mut books = fresh_books();
    for (at, batch) in [flipped, shifted, chain, cursor, empty].iter().enumerate() {
        let fault = books.accept(batch, now()).unwrap_err();
        assert_eq!(fault.code(), Code::BatchInvalid, "batch {at}");
        assert!(books.popups().unwrap().is_empty(), "batch {at}");
        assert!(
            books.accept(&hello(), now()).unwrap().epochs.is_empty(),
            "batch {at}"
        );
    }
    let mut other = good.clone();
    other.protocol = 2;
    let fault = books.accept(&other, now()).unwrap_err();
    assert_eq!(fault.code(), Code::ProtocolUnsupported);
    assert_eq!(books.accept(&good, now()).unwrap().trunk_seq, 3);
}

#[test]
pub(super) fn totals_that_contradict_the_records_are_named() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    till.lie(50);
    till.event("2", 2, captured("p2", 100, &[]));
    let books = deliver(&[till.trunk()]);
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    let found = &out.breaks[0];
    assert_eq!((found.class.text(), found.amount), ("E-TOTAL", 50));
}

#[test]
pub(super) fn a_file_keeps_the_books() {
    let dir = std::env::temp_dir().join(format!("popwatch-books-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("books.db");
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[]));
    let before = {
        let mut books = Books::open(&path).unwrap();
        books.accept(&till.trunk(), now()).unwrap();
        state(&books)
    };
    let books = Books::open(&path).unwrap();
    assert_eq!(state(&books), before);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
pub(super) fn live_summaries_that_differ_from_the_records_are_found_to_the_minor_unit() {
    let mut till = Rig::new("till-1", 1, 1);
    till.event("1", 1, captured("p1", 100, &[("mug", 1, 100)]));
    till.event("2", 90, captured("p2", 250, &[("mug", 1, 250)]));
    till.event("3", 95, refunded("r1", "p1", 30, &[]));
    let books = deliver(&till.all());
    let region = cells(&[till.clone()]);
    let ask = |region| books.reconcile(&popup(), Some(region), now().wall).unwrap();
    let out = ask(region.clone());
    assert_eq!((out.cells.compared, out.cells.drift_minor_max()), (2, 0));
    assert!(out.closed && out.breaks.is_empty());
    let sums = out.totals[&gbp()];
    assert_eq!((sums.captured, sums.refunded, sums.net()), (350, 30, 320));
    assert_eq!((sums.sales, sums.refunds), (2, 1));

    let mut wrong = region.clone();
    let cell = wrong.values_mut().next().unwrap();
    cell.money.get_mut(&gbp()).unwrap().0 += 7;
    cell.digest[0] ^= 1;
    let out = ask(wrong);
    assert_eq!(out.cells.drift_minor, [(gbp(), 7)].into());
    assert_eq!(out.breaks[0].class.text(), "S-DRIFT");
    assert!(!out.closed);

    // The region lacks the newest minute.
    let mut behind = region;
    behind.pop_last();
    let out = ask(behind);
    assert_eq!(out.cells.drift_minor_max(), 280);
    assert_eq!(out.breaks[0].class.text(), "S-STALE");
}
