//! Merging tellings: examples of each kind, and that order and repeats do not matter.

use super::*;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

fn told(kind: ObjectKind, state: ObjectState, version: i64, amount: i64) -> ProviderObject {
    ProviderObject {
        provider: "stripe".into(),
        account: "main".into(),
        kind: kind.text().into(),
        object: "o".into(),
        state: state.text().into(),
        currency: "GBP".into(),
        version,
        amount,
        ..ProviderObject::default()
    }
}

#[track_caller]
fn check(
    kind: ObjectKind,
    states: &[(ObjectState, i64)],
    expect: ObjectState,
    conflict: Option<ObjectState>,
) -> Merged {
    let all: Vec<ProviderObject> = states
        .iter()
        .map(|(state, version)| told(kind, *state, *version, 1))
        .collect();
    let merged = merge(&all.iter().collect::<Vec<_>>());
    assert_eq!(merged.state(), Some(expect));
    assert_eq!(merged.conflict.map(|conflict| conflict.against), conflict);
    assert!(
        merged
            .conflict
            .is_none_or(|conflict| conflict.stands == expect)
    );
    merged
}

#[test]
fn a_payment_may_fail_and_then_succeed() {
    use ObjectState::{Authorised, CaptureFailed, Captured, Created, Declined, Expired, Voided};
    let kind = ObjectKind::Payment;
    check(
        kind,
        &[(Declined, 9), (Captured, 1), (Created, 3)],
        Captured,
        None,
    );
    check(kind, &[(Authorised, 1), (Voided, 1)], Voided, None);
    check(
        kind,
        &[(Captured, 1), (CaptureFailed, 0)],
        CaptureFailed,
        None,
    );
    check(kind, &[(Voided, 9), (Captured, 1)], Captured, Some(Voided));
    check(
        kind,
        &[(Captured, 1), (Expired, 9)],
        Captured,
        Some(Expired),
    );
}

#[test]
fn a_refund_that_succeeded_may_fail_but_not_be_canceled() {
    use ObjectState::{Canceled, Failed, Pending, Requested, Succeeded};
    let kind = ObjectKind::Refund;
    let merged = check(
        kind,
        &[(Failed, 5), (Succeeded, 1), (Requested, 0)],
        Failed,
        None,
    );
    assert!(merged.was(Succeeded) && !merged.was(Pending));
    check(kind, &[(Pending, 1), (Canceled, 2)], Canceled, None);
    check(
        kind,
        &[(Succeeded, 1), (Canceled, 2)],
        Succeeded,
        Some(Canceled),
    );
}

#[test]
fn a_dispute_goes_by_rounds() {
    use ObjectState::{Inquiry, Lost, Open, Won};
    let kind = ObjectKind::Dispute;
    check(kind, &[(Open, 2), (Inquiry, 1)], Open, None);
    assert_eq!(check(kind, &[(Won, 3), (Open, 2)], Won, None).round, 1);
    assert_eq!(
        check(kind, &[(Open, 4), (Won, 3), (Open, 2)], Open, None).round,
        2
    );
    assert_eq!(
        check(
            kind,
            &[(Lost, 5), (Open, 4), (Won, 3), (Open, 2)],
            Lost,
            None
        )
        .round,
        2
    );
    check(kind, &[(Won, 3), (Lost, 4)], Lost, Some(Won));
    check(kind, &[(Won, 4), (Lost, 3)], Won, Some(Lost));
}

#[test]
fn a_paid_payout_may_become_failed() {
    use ObjectState::{Canceled, Created, Failed, InTransit, Paid};
    let kind = ObjectKind::Payout;
    check(
        kind,
        &[(Failed, 1), (Paid, 2), (InTransit, 3)],
        Failed,
        None,
    );
    check(kind, &[(Created, 1), (Canceled, 1)], Canceled, None);
}

#[test]
fn amounts_are_of_the_greatest_state_and_names_are_of_all() {
    let authorised = ProviderObject {
        object: "pi_1".into(),
        stamps: vec!["pwr-b".into()],
        authorised: 500,
        tip: 7,
        created_ms: 90,
        ..told(ObjectKind::Payment, ObjectState::Authorised, 9, 500)
    };
    let captured = ProviderObject {
        object: "ch_1".into(),
        stamps: vec!["pwr-a".into()],
        order: "1001".into(),
        created_ms: 100,
        fee: Some(12),
        ..told(ObjectKind::Payment, ObjectState::Captured, 1, 450)
    };
    let merged = merge(&[&authorised, &captured]).object;
    assert_eq!(
        (merged.amount, merged.authorised, merged.tip),
        (450, 500, 0)
    );
    assert_eq!(merged.object, "ch_1");
    assert_eq!(merged.aliases, ["pi_1"]);
    assert_eq!(merged.stamps, ["pwr-a", "pwr-b"]);
    assert_eq!((merged.created_ms, merged.fee), (90, Some(12)));
    assert_eq!(merged.order, "1001");
}

#[test]
fn nothing_told_is_nothing() {
    assert_eq!(merge(&[]), Merged::default());
}

fn any_telling(kind: ObjectKind) -> impl Strategy<Value = ProviderObject> {
    let states: Vec<ObjectState> = ObjectState::ALL
        .iter()
        .copied()
        .filter(|state| rank(kind, *state).is_some())
        .collect();
    (
        prop::sample::select(states),
        0i64..4,
        0i64..3,
        0u8..3,
        prop::option::of(0i64..3),
    )
        .prop_map(move |(state, version, amount, name, fee)| ProviderObject {
            object: name.to_string(),
            stamps: vec![name.to_string()],
            order: if name == 1 {
                "order".into()
            } else {
                String::new()
            },
            tip: i64::from(name),
            fee,
            ..told(kind, state, version, amount)
        })
}

fn kinds() -> impl Strategy<Value = Vec<ProviderObject>> {
    prop::sample::select(ObjectKind::ALL.to_vec())
        .prop_flat_map(|kind| prop::collection::vec(any_telling(kind), 1..8))
}

proptest! {
    #[test]
    fn order_and_repeats_do_not_matter(all in kinds(), turn in 0usize..8, twice in 0usize..8) {
        let expect = merge(&all.iter().collect::<Vec<_>>());
        let mut other: Vec<&ProviderObject> = all.iter().rev().collect();
        let length = other.len();
        other.rotate_left(turn % length);
        other.push(&all[twice % length]);
        prop_assert_eq!(merge(&other), expect);
    }

    #[test]
    fn more_tellings_never_lower_a_state(all in kinds(), cut in 0usize..8) {
        let kind = ObjectKind::from_text(&all[0].kind).unwrap();
        let few = merge(&all[..cut % all.len()].iter().collect::<Vec<_>>());
        let more = merge(&all.iter().collect::<Vec<_>>());
        let place = |merged: &Merged| {
            (merged.round, merged.state().and_then(|state| rank(kind, state)))
        };
        if kind != ObjectKind::Dispute {
            prop_assert!(place(&few) <= place(&more));
        }
        prop_assert!(few.seen.iter().all(|state| more.was(*state)));
    }
}
