//! The laws over generated days: whatever way the batches come, the books are the same (L3), they
//! balance (L6), money is exact (L5).

use std::collections::BTreeMap;

use popwatch_core::event::{Cursor, Event, Minor};
use popwatch_core::invariant;
use popwatch_core::lane::RecordBatch;
use popwatch_core::ledger::reconcile::Cells;
use proptest::prelude::*;

use super::fixture::*;
use crate::books::Books;

/// A small source of numbers, so that a day is a function of its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn number(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).unwrap()
    }
}

const SKUS: [&str; 3] = ["mug", "cap", "CAP"];

/// A day of a few rigs that share payments, refunds, stock and a few ids.
pub(super) fn day(seed: u64, events: u64) -> Vec<Rig> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut rigs = vec![
        Rig::new("till-1", 1, 1),
        Rig::new("till-2", 1, 2),
        Rig::new("till-1", 2, 3),
    ];
    for at in 0..events {
        let sku = SKUS[usize::try_from(dice.roll(3)).unwrap()];
        let payment = format!("p{}", dice.roll(6));
        let (qty, amount) = (dice.number(4), dice.number(500));
        let event = match dice.roll(9) {
            0 => received(sku, qty * 5),
            1 => allocated(sku, qty),
            2 => adjusted(sku, qty - 2, "damaged"),
            3 => counted(sku, dice.number(20)),
            4 => manual(amount - 250),
            5 => {
                let refund = format!("r{}", dice.roll(4));
                refunded(&refund, &payment, amount / 2, &[(sku, qty, amount / 2)])
            }
            _ => Event::PaymentCaptured(popwatch_core::event::PaymentCaptured {
                tax: Some(Minor(amount / 5)),
                tip: Some(Minor(dice.number(2))),
                ..sale(
                    &payment,
                    amount,
                    &[(sku, qty, amount - amount / 5), ("fee", 1, -1)],
                )
            }),
        };
        let id = match dice.roll(6) {
            0 => format!("shared-{}", dice.roll(2)),
            _ => format!("e{at}"),
        };
        let rig = usize::try_from(dice.roll(3)).unwrap();
        let time = dice.number(40);
        rigs[rig].event(&id, time, event);
    }
    rigs
}

/// Cuts each rig's records into batches of a few, both cursors.
fn batches(rigs: &[Rig], dice: &mut Dice) -> Vec<RecordBatch> {
    let mut out = Vec::new();
    for rig in rigs {
        for cursor in Cursor::ALL {
            let mut first = 1;
            while first <= rig.last() {
                let last = (first + dice.roll(5)).min(rig.last());
                out.push(rig.batch(cursor, first, last));
                first = last + 1;
            }
        }
    }
    out
}

#[track_caller]
fn same(what: &str, one: &State, other: &State) {
    assert_eq!(one.view.currencies, other.view.currencies, "{what}");
    assert_eq!(
        one.reconciliation.breaks, other.reconciliation.breaks,
        "{what}"
    );
    invariant::delivery_blind(what, one, other).unwrap();
}

fn check_laws(books: &Books) {
    let view = books.books(&popup()).unwrap();
    for money in view.currencies.values() {
        assert_eq!(money.trial_balance, 0);
        assert_eq!(money.suspense, money.open_breaks);
    }
    assert!(view.stock.values().all(|stock| stock.trial_balance == 0));
    // What the facts say was captured is what stands on the accounts of captured money.
    let parts = view.currencies.iter().flat_map(|(currency, money)| {
        money
            .accounts
            .iter()
            .filter(|line| ["1010", "1100", "1110"].contains(&line.account.of.code()))
            .filter(|line| !line.account.part.ends_with(":gap"))
            .map(|line| (*currency, line.debit))
    });
    let whole: BTreeMap<_, _> = view
        .totals
        .iter()
        .map(|(currency, sums)| (*currency, sums.captured))
        .collect();
    invariant::money_exact("captured", parts, &whole).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn deliveries_in_any_order_and_number_end_the_same(seed in any::<u64>(), shuffle in any::<u64>()) {
        let rigs = day(seed, 24);
        let whole: Vec<_> = rigs.iter().flat_map(Rig::all).collect();
        let expect = deliver(&whole);
        check_laws(&expect);
        let expect = state(&expect);

        let mut dice = Dice(shuffle | 1);
        let mut cut = batches(&rigs, &mut dice);
        let repeats = cut.clone();
        cut.extend(repeats.into_iter().filter(|_| dice.roll(3) == 0));
        for at in (1..cut.len()).rev() {
            let other = usize::try_from(dice.roll(at as u64 + 1)).unwrap();
            cut.swap(at, other);
        }
        let books = deliver(&cut);
        check_laws(&books);
        let map = |cells: &Cells| -> BTreeMap<_, _> {
            cells.iter().map(|(key, cell)| (key.clone(), (cell.version, cell.digest))).collect()
        };
        let (rig, again) = (cells(&rigs), books.refold(&popup()).unwrap());
        prop_assert!(!rig.is_empty());
        invariant::folds_agree("rig and ledger", &map(&rig), &map(&again)).unwrap();
        same("a shuffled day", &expect, &state(&books));
    }
}

/// The shuffled days, over whichever store is under test.
#[cfg(feature = "postgres")]
pub(super) fn shuffled_days() {
    deliveries_in_any_order_and_number_end_the_same();
}

#[test]
pub(super) fn every_order_of_four_batches_ends_the_same() {
    let mut rigs = day(7, 0);
    rigs[0].event("1", 1, captured("p1", 100, &[("mug", 2, 100)]));
    rigs[0].event("2", 8, counted("mug", 4));
    rigs[1].event("3", 3, received("mug", 9));
    rigs[1].event("4", 4, refunded("r1", "p1", 30, &[("mug", 1, 30)]));
    rigs[2].event("1", 0, captured("p1", 90, &[("mug", 1, 90)]));
    let mut fourth = Rig::new("till-3", 1, 4);
    fourth.event("5", 2, allocated("mug", 3));
    fourth.event("6", 5, captured("p2", 60, &[("mug", 1, 60)]));
    rigs.push(fourth);
    let batches: Vec<_> = rigs.iter().map(Rig::trunk).collect();
    let expect = state(&deliver(&batches));
    let mut orders = 0;
    for a in 0..4 {
        for b in 0..4 {
            for c in 0..4 {
                for d in 0..4 {
                    let order = [a, b, c, d];
                    if (0..4).any(|at| !order.contains(&at)) {
                        continue;
                    }
                    orders += 1;
                    let books = deliver(order.map(|at| &batches[at]));
                    same(&format!("order {order:?}"), &expect, &state(&books));
                }
            }
        }
    }
    assert_eq!(orders, 24);
}

#[test]
pub(super) fn a_crash_inside_a_batch_leaves_nothing_and_the_batch_can_come_again() {
    let rigs = day(11, 30);
    let batches: Vec<_> = rigs.iter().map(Rig::trunk).collect();
    let expect = state(&deliver(&batches));
    let mut books = fresh_books();
    for batch in &batches {
        let before = state(&books);
        let open = books.db.begin().unwrap();
        crate::books::intake::take(&books.db, &books.terms, batch, now()).unwrap();
        drop(open);
        assert_eq!(state(&books), before);
        books.accept(batch, now()).unwrap();
    }
    same("a day with crashes", &expect, &state(&books));
}
