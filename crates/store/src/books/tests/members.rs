//! The register, and records that wait for a person.

use popwatch_core::event::Cursor;
use popwatch_core::id::RigId;
use popwatch_core::membership::{IdKey, MemberKind, Membership};

use super::fixture::{Rig, T0, balance, captured, classes, deliver, fresh_books, now, state};
use crate::books::{Books, Enrolled};

fn till() -> RigId {
    RigId::new("till-1").unwrap()
}

fn membership(key: u8, not_after_ms: Option<i64>) -> Membership {
    Membership {
        org: "acme".into(),
        rig: till(),
        key: IdKey([key; 32]),
        kind: MemberKind::Rig,
        not_after_ms,
        popups: Vec::new(),
    }
}

/// Ten sales of 1.00, one a second, as numbers 2 to 11.
fn sales() -> Rig {
    let mut till = Rig::new("till-1", 1, 1);
    for at in 0..10 {
        till.event(&format!("s{at}"), at, captured(&format!("s{at}"), 100, &[]));
    }
    till
}

fn enrolled(not_after_ms: Option<i64>) -> Books {
    let mut books = fresh_books();
    let done = books.enrol(&membership(1, not_after_ms), now()).unwrap();
    assert_eq!(done, Enrolled::Done);
    books
}

#[test]
pub(super) fn what_a_revoked_rig_sends_is_kept_and_booked_when_somebody_says_so() {
    let rig = sales();
    let mut books = enrolled(None);
    let early = books
        .accept(&rig.batch(Cursor::Trunk, 1, 5), now())
        .unwrap();
    assert!(early.not_ok.is_empty());
    assert!(books.revoke(&till(), now()).unwrap());

    let late = books
        .accept(&rig.batch(Cursor::Trunk, 6, 11), now())
        .unwrap();
    assert_eq!(late.trunk_seq, 11, "they are held: the rig may let them go");
    assert_eq!(late.not_ok.len(), 6);
    let odd = &late.not_ok[0];
    assert_eq!(
        (odd.seq, &*odd.verdict, &*odd.code),
        (6, "quarantined", "PW0304")
    );
    assert_eq!(balance(&books, "4010"), -400, "four sales before");
    assert!(classes(&books).contains(&"E-HELD"));
    assert_eq!(books.members().unwrap()[0].held_back, 6);
    // Nothing is held twice, and what was booked before stays.
    let again = books.accept(&rig.trunk(), now()).unwrap();
    assert!(again.not_ok.is_empty());
    assert_eq!(books.members().unwrap()[0].held_back, 6);

    assert_eq!(books.accept_held_back(&till(), now()).unwrap(), 6);
    assert_eq!(books.accept_held_back(&till(), now()).unwrap(), 0);
    assert_eq!(balance(&books, "4010"), -1_000);
    assert!(!classes(&books).contains(&"E-HELD"));
    let plain = deliver(&[rig.trunk()]);
    assert_eq!(state(&books), state(&plain), "as if nothing had been held");
}

#[test]
pub(super) fn an_end_bounds_new_records_and_never_older_ones() {
    let rig = sales();
    let mut books = enrolled(Some(T0 + 4_000));
    let ack = books.accept(&rig.trunk(), now()).unwrap();
    // Sales at 0 to 4 s stand, however late they arrive; those of 5 to 9 s wait.
    assert_eq!(ack.not_ok.len(), 5);
    assert_eq!(balance(&books, "4010"), -500);
    books.accept_held_back(&till(), now()).unwrap();
    assert_eq!(balance(&books, "4010"), -1_000);
}

#[test]
pub(super) fn a_revoked_name_gets_no_other_key() {
    let mut books = enrolled(None);
    let other = membership(2, None);
    assert_eq!(books.enrol(&other, now()).unwrap(), Enrolled::Done);
    assert_eq!(books.members().unwrap()[0].membership, other);
    assert!(books.revoke(&till(), now()).unwrap());
    assert_eq!(
        books.enrol(&membership(3, None), now()).unwrap(),
        Enrolled::Revoked
    );
    assert_eq!(books.members().unwrap()[0].membership, other);
    let nobody = RigId::new("till-9").unwrap();
    assert!(!books.revoke(&nobody, now()).unwrap());
}
