//! What the ledger answers on the records lane: holes, what it cannot read, forks.

use popwatch_core::code::Code;
use popwatch_core::event::Cursor;
use popwatch_core::event::system::{RigStarted, SystemEvent};
use popwatch_core::lane::{Beacon, ItemBody, Range, SkipWhy};

use super::fixture::{
    Rig, balance, captured, classes, deliver, fresh_books, gap, now, popup, skip_item, state,
};
use crate::books::BooksFault;

fn sales(name: &'static str, epoch: u32, mark: u8, count: i64) -> Rig {
    let mut till = Rig::new(name, epoch, mark);
    for at in 0..count {
        let id = format!("{epoch}/{at}");
        till.event(&id, at, captured(&id, 100, &[]));
    }
    till
}

#[test]
pub(super) fn holes_are_wanted_and_filled() {
    let till = sales("till-1", 1, 1, 9);
    let mut books = deliver(&[till.batch(Cursor::Trunk, 1, 3)]);
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 7, 10), now())
        .unwrap();
    let hole = Range {
        epoch: 1,
        first: 4,
        last: 6,
        cursor: 1,
    };
    assert_eq!(
        (ack.trunk_seq, &ack.want, &ack.missing),
        (3, &vec![hole], &vec![hole])
    );
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 4, 6), now())
        .unwrap();
    assert_eq!((ack.trunk_seq, ack.want.len()), (10, 0));
    let whole = deliver(&[till.trunk()]);
    assert_eq!(state(&books), state(&whole));
}

/// One frame is damaged: alone and said to be so it is kept unread, and its neighbours count.
#[test]
pub(super) fn an_undecodable_frame_is_kept_and_holds_nothing_up() {
    let till = sales("till-1", 1, 1, 9);
    let mut bad = till.batch(Cursor::Trunk, 5, 5);
    let Some(ItemBody::Frame(bytes)) = &mut bad.items[0].body else {
        panic!("a frame")
    };
    *bytes.last_mut().unwrap() ^= 1;
    let mut books = deliver(&[till.batch(Cursor::Trunk, 1, 4)]);
    let fault = books.accept(&bad, now()).unwrap_err();
    assert_eq!(fault.code(), Code::BatchInvalid);
    bad.quarantined = true;
    let ack = books.accept(&bad, now()).unwrap();
    assert_eq!(ack.trunk_seq, 5);
    let odd = &ack.not_ok[0];
    assert_eq!(
        (odd.seq, &*odd.verdict, &*odd.code),
        (5, "quarantined", "PW0314")
    );
    let ack = books
        .accept(&till.batch(Cursor::Trunk, 6, 10), now())
        .unwrap();
    assert_eq!((ack.trunk_seq, ack.want.len()), (10, 0));
    assert_eq!(balance(&books, "4010"), -800, "eight of nine sales");
    assert!(classes(&books).contains(&"E-POISON"));
    let held: Vec<u8> = books
        .db
        .one("SELECT bytes FROM quarantine WHERE seq = 5", &[], |row| {
            row.get(0)
        })
        .unwrap();
    let Some(ItemBody::Frame(bytes)) = &bad.items[0].body else {
        panic!("a frame")
    };
    assert_eq!(&held, bytes);
    assert_eq!(
        books.accept(&bad, now()).unwrap().trunk_seq,
        10,
        "once more"
    );
}

/// What was refused for a passing reason and works now is taken as any other record.
#[test]
pub(super) fn a_sound_record_that_says_quarantined_is_booked() {
    let till = sales("till-1", 1, 1, 1);
    let mut one = till.batch(Cursor::Trunk, 2, 2);
    one.quarantined = true;
    let mut books = deliver(&[till.batch(Cursor::Trunk, 1, 1)]);
    assert!(books.accept(&one, now()).unwrap().not_ok.is_empty());
    assert_eq!(balance(&books, "4010"), -100);
    assert!(!classes(&books).contains(&"E-POISON"));
}

/// Another history of bulk shows at the next seal, although no batch of bulk was sent twice.
#[test]
pub(super) fn the_bulk_chain_is_held_against_the_seals() {
    let build = |chat: &str| {
        let mut till = Rig::new("till-1", 1, 1);
        till.raw(popwatch_core::event::Class::Ambient, chat.as_bytes());
        till.seal();
        till
    };
    let (till, twin) = (build("one"), build("other"));
    for order in [false, true] {
        let (trunk, mut bulk) = (till.trunk(), twin.batch(Cursor::Bulk, 1, 3));
        bulk.chain_after = Vec::new();
        let mut books = fresh_books();
        let fault = if order {
            books.accept(&trunk, now()).unwrap();
            books.accept(&bulk, now()).unwrap_err()
        } else {
            books.accept(&bulk, now()).unwrap();
            books.accept(&trunk, now()).unwrap_err()
        };
        assert_eq!(fault.code(), Code::ChainBroken, "trunk first: {order}");
    }
    let [trunk, bulk] = till.all();
    deliver(&[bulk, trunk]);
}

/// After a gap a chain is not known; the next seal states it, and from there it is checked again.
#[test]
pub(super) fn after_a_gap_a_chain_restarts_at_the_next_seal() {
    let mut till = sales("till-1", 1, 1, 4);
    till.system(gap(1, 3, 3, Vec::new()));
    till.seal();
    let mut twin = till.clone();
    till.event("x", 9, captured("x", 100, &[]));
    twin.event("y", 9, captured("y", 100, &[]));
    let damaged = |rig: &Rig| {
        let mut batch = rig.trunk();
        batch.items[2] = skip_item(1, SkipWhy::Gap, Vec::new());
        batch
    };
    let mut books = deliver(&[damaged(&till)]);
    let fault = books
        .accept(&twin.batch(Cursor::Trunk, 8, 8), now())
        .unwrap_err();
    assert_eq!(fault.code(), Code::ChainBroken);
}

fn started(previous: &Rig, ended: u64) -> RigStarted {
    RigStarted {
        previous_epoch: previous.epoch,
        previous_epoch_id: previous.epoch_id.0.to_vec(),
        previous_last_seq: ended,
        ..RigStarted::default()
    }
}

/// A backup of a closed epoch: the rig says it ended earlier than what is held.
#[test]
pub(super) fn a_rewind_is_named_and_nothing_is_rewound() {
    let till = sales("till-1", 1, 1, 9);
    let mut after = Rig::new("till-1", 2, 2);
    let seq = after.system(SystemEvent::RigStarted(started(&till, 4)));
    let mut books = deliver(&[till.trunk()]);
    let ack = books.accept(&after.trunk(), now()).unwrap();
    let odd = ack.not_ok.iter().find(|odd| odd.seq == seq).unwrap();
    assert_eq!((&*odd.verdict, &*odd.code), ("rewind", "PW0313"));
    assert_eq!(balance(&books, "4010"), -900);
    assert!(classes(&books).contains(&"E-REWIND"));
    let other = deliver(&[after.trunk(), till.trunk()]);
    assert_eq!(state(&other), state(&books));
}

/// The forked life of a number that another life holds: nothing is missing of it, in any order.
#[test]
pub(super) fn what_a_void_life_said_is_not_waited_for() {
    let first = sales("till-1", 3, 1, 2);
    let second = sales("till-1", 3, 2, 9);
    let mut hello = second.batch(Cursor::Trunk, 1, 1);
    hello.items.clear();
    (hello.epoch, hello.epoch_id) = (0, Vec::new());
    hello.beacons = vec![Beacon {
        popup: popup().as_str().to_string(),
        rig: "till-1".into(),
        epoch: 3,
        epoch_id: second.epoch_id.0.to_vec(),
        durable_seq: second.last(),
        ..Beacon::default()
    }];
    let mut again = Rig::new("till-1", 5, 3);
    again.system(SystemEvent::RigStarted(RigStarted {
        reason: "fork".into(),
        void_epochs: vec![3],
        left_ids: vec![second.epoch_id.0.to_vec()],
        ..RigStarted::default()
    }));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut books = fresh_books();
        for at in order {
            let batch = [first.trunk(), hello.clone(), again.trunk()][at].clone();
            books.accept(&batch, now()).unwrap();
        }
        let view = books.books(&popup()).unwrap();
        assert!(
            view.coverage.iter().all(|epoch| epoch.missing.is_empty()),
            "{order:?}"
        );
        let found = classes(&books);
        assert!(
            !found.contains(&"E-REWIND") && !found.contains(&"E-TAIL"),
            "{found:?}"
        );
        let fault = books.accept(&second.trunk(), now()).unwrap_err();
        assert!(
            matches!(fault, BooksFault::Fork { next_epoch: 6, .. }),
            "{fault:?}"
        );
    }
}
