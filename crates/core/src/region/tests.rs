//! The region against its laws: order, repeats and splits change nothing (L3), the running view is
//! the recomputed one, what is held is bounded (L11), a cut never overstates.

use alloc::vec::Vec;
use std::collections::BTreeMap;
use std::vec;

use proptest::prelude::*;

use super::Region;
use crate::cell::{
    Cell, CheckoutCounts, CountRow, Counts, DropRow, FulfilRow, HistKind, OrderCounts, PaidRow,
    RiskRow, StartRow, StreamRow, Subject, Subjects, TokenCounts, TokenTouch, TouchKind, touch,
};
use crate::code::Code;
use crate::event::system::PopupPolicy;
use crate::id::RegionId;
use crate::invariant;
use crate::lane::CellBatch;
use crate::limits;
use crate::sketch::Histogram;
use crate::slo::{Outcomes, Slo};
use crate::view::tests::{M0, POPUP, batch, beacon, cell, creator, cut, money, now, sku};

fn region() -> Region {
    Region::new(RegionId([1; 16]))
}

/// Which cell: rig, epoch, life, minute, version.
type Which = (u8, u32, u8, u32, u64);

/// A cell whose content follows from what it is, as a fold's does.
#[expect(clippy::too_many_lines, reason = "one row of every kind a cell has")]
fn folded(which: Which) -> Cell {
    let (rig, epoch, life, minute, version) = which;
    let mut held = cell(["till-1", "till-2"][usize::from(rig)], minute, version);
    (held.epoch, held.epoch_id) = (epoch, vec![life; 16]);
    let mut state = u64::from(rig) << 40 | u64::from(epoch) << 30 | u64::from(life) << 20;
    state = (state | u64::from(minute) << 10 | version).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let signed = |value: u64| i64::try_from(value).unwrap();
    if draw(4) == 0 {
        return held;
    }
    for currency in ["EUR", "GBP"] {
        if draw(2) == 0 {
            held.money
                .push(money(currency, signed(draw(3)) * 50, signed(draw(3)) * 50));
        }
    }
    for name in ["ink", "mug", "pen"] {
        if draw(2) == 0 {
            let mut row = sku(name, signed(draw(3)), signed(draw(3)));
            let ms = i64::from(held.minute) * 60_000 + signed(draw(60_000));
            row.count = (draw(3) == 0).then(|| CountRow {
                qty: signed(draw(9)),
                ms,
                seq: 1 + draw(version),
                sold_after_in_minute: 1,
            });
            held.skus.push(row);
        }
    }
    for name in ["anna", "ben"] {
        if draw(2) == 0 {
            held.creators
                .push(creator(name, signed(draw(3)) * 50, signed(draw(3)) * 50));
        }
    }
    if draw(2) == 0 {
        held.checkout = Some(CheckoutCounts {
            started: 3 + draw(3),
            ok: draw(3),
            left: draw(2),
            by_start: vec![StartRow {
                minute: held.minute,
                closed: draw(3),
                ..StartRow::default()
            }],
            ..CheckoutCounts::default()
        });
        let mut hist = Histogram::new();
        (0..=draw(40)).for_each(|_| hist.insert(draw(90_000_000)));
        held.hists = vec![hist.to_row(HistKind::CheckoutOnline)];
    }
    if draw(2) == 0 {
        let set = (1..4).map(|hash| TokenTouch {
            hash,
            kind: 1 + u32::try_from(draw(3)).unwrap(),
            offset_ms: 1,
            expires: 0,
        });
        held.tokens = Some(TokenCounts {
            issued: 1,
            set: set.collect(),
            ..TokenCounts::default()
        });
        held.counts = Some(Counts {
            losses: 1 + draw(3),
            ..Counts::default()
        });
    }
    viewed(&mut held, &mut draw);
    held
}

/// What viewers, chats, drops and orders add to a cell.
fn viewed(held: &mut Cell, draw: &mut impl FnMut(u64) -> u64) {
    if draw(2) == 0 {
        let touched = |hash| Subject {
            hash,
            touches: vec![touch(500, TouchKind::Chat), touch(900, TouchKind::Paid)],
        };
        held.subjects = Some(Subjects {
            set: (1..=1 + draw(3)).map(touched).collect(),
            cut: draw(2) * 3_000,
            linked_started: draw(3),
            linked_paid: 1,
        });
        held.streams = vec![StreamRow {
            stream: "live".into(),
            messages: 3,
            covered: 2,
            negative: draw(2),
            samples: 1 + draw(2),
            viewers_sum: 20,
            viewers_max: 20,
            viewers_last: draw(20),
            ..StreamRow::default()
        }];
    }
    if draw(2) == 0 {
        let opened = crate::time::Minute(held.minute).start().0 + 1;
        held.drops = vec![DropRow {
            drop: "d".into(),
            opened_ms: opened,
            sku: "mug".into(),
            ..DropRow::default()
        }];
        held.orders = Some(OrderCounts {
            out: 2,
            gone: draw(2),
            refunded: draw(3),
            by_paid: vec![PaidRow {
                minute: held.minute,
                closed: 1 + draw(2),
            }],
            older: 0,
        });
        held.fulfil = vec![FulfilRow {
            member: "coop".into(),
            step: "packed".into(),
            orders: 1 + draw(3),
        }];
        held.risk = vec![RiskRow {
            currency: "EUR".into(),
            failed: 500,
            recovered: 0,
        }];
    }
}

fn whiches() -> impl Strategy<Value = Vec<Which>> {
    let which = (0..2u8, 1..3u32, 1..3u8, 0..4u32, 1..6u64);
    proptest::collection::vec(which, 1..40)
}

fn deliver(region: &mut Region, sequence: &[Which], size: usize) {
    for part in sequence.chunks(size) {
        let cells: Vec<_> = part.iter().map(|which| folded(*which)).collect();
        let ack = region.accept(&batch(&cells, vec![], vec![]), now(20));
        assert_eq!(ack.refused, vec![]);
    }
}

fn same(one: &Region, other: &Region) {
    let (digests, others) = (one.digests(POPUP), other.digests(POPUP));
    invariant::folds_agree("two regions", &digests, &others).unwrap();
    let (view, seen) = (one.view(POPUP, now(20)), other.view(POPUP, now(20)));
    assert_eq!(view, seen);
    invariant::delivery_blind("the view", &view, &seen).unwrap();
    assert_eq!(one.etag(POPUP, now(20)), other.etag(POPUP, now(20)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_running_view_is_the_recomputed_one(sequence in whiches(), size in 1..9usize) {
        let mut region = region();
        for part in sequence.chunks(size) {
            deliver(&mut region, part, size);
            prop_assert_eq!(region.view(POPUP, now(20)), region.recompute(POPUP, now(20)));
            prop_assert!(!region.repair(POPUP));
        }
    }

    #[test]
    fn order_repeats_and_splits_change_nothing(
        (sequence, shuffled) in whiches().prop_flat_map(|sequence| {
            let twice = [&sequence[..], &sequence[..]].concat();
            (Just(sequence), Just(twice).prop_shuffle())
        }),
        sizes in (1..9usize, 1..9usize),
    ) {
        let (mut one, mut other) = (region(), region());
        deliver(&mut one, &sequence, sizes.0);
        deliver(&mut other, &shuffled, sizes.1);
        same(&one, &other);
    }

    #[test]
    fn a_region_that_lost_its_memory_is_filled_to_the_same(sequence in whiches()) {
        let mut before = region();
        deliver(&mut before, &sequence, 5);
        let mut newest = BTreeMap::new();
        for (rig, epoch, life, minute, version) in sequence {
            let held = newest.entry((rig, epoch, life, minute)).or_insert(version);
            *held = version.max(*held);
        }
        let full: Vec<Which> = newest
            .into_iter()
            .map(|((rig, epoch, life, minute), version)| (rig, epoch, life, minute, version))
            .collect();
        let mut after = Region::new(RegionId([2; 16]));
        deliver(&mut after, &full, 7);
        same(&before, &after);
    }
}

#[test]
fn a_damaged_view_is_replaced() {
    let mut held = region();
    deliver(&mut held, &[(0, 1, 1, 1, 3), (1, 1, 1, 2, 2)], 2);
    let sound = held.view(POPUP, now(20));
    let revision = held.revision(POPUP);
    held.popups.get_mut(POPUP).unwrap().damage();
    assert_ne!(held.view(POPUP, now(20)), sound);
    assert!(held.clone().repair(POPUP));
    let minutes_repaired = (0..4).filter(|_| held.repair_next()).count();
    assert_eq!(minutes_repaired, 1, "a minute a call, over and over");
    assert_eq!(held.view(POPUP, now(20)), sound);
    assert!(held.revision(POPUP) > revision);
    assert_eq!(held.counters().faults()[1], (Code::ViewRepaired, 1));
}

#[test]
fn a_bad_cell_is_named_and_costs_neither_neighbours_nor_the_truth_of_the_cut() {
    let mut held = region();
    let good = Cell {
        money: vec![money("EUR", 100, 0)],
        ..cell("till-1", 0, 5)
    };
    let mut wrong = cell("till-1", 1, 6);
    wrong.money = vec![money("ZZZ", 1, 0)];
    let mut sent = batch(
        &[good.clone(), wrong, good],
        vec![cut("till-1", 0, 6, 2)],
        vec![],
    );
    sent.cells[2] = vec![0xff, 0x01];
    let ack = held.accept(&sent, now(2));
    let refused: Vec<_> = ack
        .refused
        .iter()
        .map(|r| (r.index, r.code.as_str()))
        .collect();
    assert_eq!(refused, [(1, "PW3002"), (2, "PW3001")]);
    assert_eq!(held.view(POPUP, now(2)).unwrap().money[0].1.gross, 100);
    assert_eq!((ack.have[0].from_seq, ack.have[0].to_seq), (0, 0));

    sent.cells.truncate(1);
    // The whole set again, from where the cut stands, now without a fault.
    assert_eq!(held.accept(&sent, now(2)).have[0].to_seq, 6);
}

#[test]
fn a_refusal_in_an_early_batch_of_a_set_holds_the_cut_of_its_last() {
    let mut held = region();
    let mut damaged = batch(&[], vec![cut("till-1", 0, 0, 0)], vec![]);
    damaged.cells = vec![vec![0xff]];
    held.accept(&damaged, now(1));
    let last = batch(
        &[cell("till-1", 0, 9)],
        vec![cut("till-1", 0, 9, 1)],
        vec![],
    );
    assert_eq!(held.accept(&last, now(1)).have[0].to_seq, 0);
    assert_eq!(held.accept(&last, now(1)).have[0].to_seq, 9);
}

#[test]
fn a_cut_moves_only_from_where_it_stands() {
    let mut held = region();
    for (from, to, expect) in [
        (5, 9, 0),
        (0, 5, 5),
        (0, 3, 5),
        (5, 9, 9),
        (9, 9, 9),
        (4, 12, 12),
    ] {
        let ack = held.accept(
            &batch(&[], vec![cut("till-1", from, to, 1)], vec![]),
            now(1),
        );
        assert_eq!(ack.have[0].to_seq, expect, "({from}, {to}]");
        assert_eq!(ack.region_id, vec![1; 16]);
    }
}

#[test]
fn the_smaller_epoch_id_counts_and_the_rig_shows_a_fork() {
    let life = |id: u8, gross| {
        let mut held = cell("till-1", 0, 1);
        held.epoch_id = vec![id; 16];
        held.money = vec![money("EUR", gross, 0)];
        held
    };
    for order in [[life(3, 30), life(9, 90)], [life(9, 90), life(3, 30)]] {
        let mut held = region();
        for one in order {
            held.accept(&batch(&[one], vec![], vec![]), now(1));
        }
        let view = held.view(POPUP, now(1)).unwrap();
        assert_eq!(view.money[0].1.gross, 30);
        assert_eq!(view.rigs[0].state, "fork");
        assert_eq!(held.digests(POPUP).len(), 1);
    }
}

#[test]
fn two_contents_of_one_version_are_a_fork_and_the_same_one_stays() {
    let with = |gross| Cell {
        money: vec![money("EUR", gross, 0)],
        ..cell("till-1", 0, 4)
    };
    let mut views = Vec::new();
    for order in [[with(10), with(20)], [with(20), with(10)]] {
        let mut held = region();
        held.insert_local(order.clone(), now(1));
        held.insert_local(order, now(1));
        let (code, count) = held.counters().faults()[0];
        assert!(code == Code::CellForked && count >= 1);
        let view = held.view(POPUP, now(1)).unwrap();
        assert_eq!(view.rigs[0].states, ["fork"]);
        views.push(view);
    }
    assert_eq!(views[0], views[1]);
}

#[test]
fn the_newest_beacon_is_in_force_whatever_came_last() {
    let mut held = region();
    for number in [2, 3, 1] {
        held.accept(
            &batch(&[], vec![], vec![beacon("till-1", number, number * 10, 0)]),
            now(1),
        );
    }
    let wide = crate::lane::Beacon {
        popup: "".into(),
        ..beacon("till-1", 4, 44, 9)
    };
    held.accept(&batch(&[], vec![], vec![wide]), now(1));
    let rig = held.view(POPUP, now(1)).unwrap().rigs.remove(0);
    assert_eq!(rig.durable_seq, Some(44));
    assert_eq!(rig.unsent.unwrap().records, 0, "the popup's own backlog");
}

#[test]
fn beacons_out_of_rule_are_ignored_and_counted() {
    let mut held = region();
    let mut loud = beacon("till-1", 1, 1, 1);
    loud.states = vec!["ok".into(); limits::BEACON_STATES_MAX + 1];
    let nameless = beacon("../etc", 1, 1, 1);
    held.accept(&batch(&[], vec![], vec![loud, nameless]), now(1));
    assert_eq!(held.counters().beacons_ignored, 2);
    assert!(held.view(POPUP, now(1)).is_none());
}

#[test]
fn silence_raises_the_revision_and_the_etag() {
    let mut held = region();
    held.accept(&batch(&[], vec![], vec![beacon("till-1", 1, 1, 0)]), now(1));
    let (revision, etag) = (held.revision(POPUP), held.etag(POPUP, now(1)));
    let due = held.tick(now(1));
    assert_eq!(due, now(1).mono.after(limits::SILENT_MS));
    assert_eq!(held.revision(POPUP), revision);
    held.tick(now(2));
    assert!(held.revision(POPUP) > revision);
    assert_ne!(held.etag(POPUP, now(2)), etag);
    assert_eq!(held.silent(POPUP, now(2)).len(), 1);
}

#[test]
fn an_old_beacon_told_again_does_not_bring_a_rig_back() {
    let mut held = region();
    let said = batch(&[], vec![], vec![beacon("till-1", 1, 1, 0)]);
    held.accept(&said, now(1));
    held.accept(&said, now(2));
    assert_eq!(held.silent(POPUP, now(2)).len(), 1);
    let direct = CellBatch {
        sender: "till-1".into(),
        ..said
    };
    held.accept(&direct, now(2));
    assert_eq!(held.silent(POPUP, now(2)).len(), 0);
}

#[test]
fn a_repeat_is_no_news() {
    let mut held = region();
    let sent = batch(
        &[folded((0, 1, 1, 1, 3))],
        vec![],
        vec![beacon("till-1", 1, 9, 0)],
    );
    held.accept(&sent, now(1));
    let revision = held.revision(POPUP);
    held.accept(&sent, now(1));
    assert_eq!(held.revision(POPUP), revision);
    assert_eq!(held.counters().cells_stale, 1);
}

#[test]
fn the_greater_policy_version_tells_the_window() {
    let mut held = region();
    let policy = |version, starts_ms, signed: bool| PopupPolicy {
        popup: POPUP.into(),
        version,
        digest: vec![1; 32 * usize::from(signed)],
        starts_ms,
        currencies: vec!["JPY".into()],
        ..PopupPolicy::default()
    };
    // Of one version, what somebody signed.
    for (version, starts_ms, signed) in [
        (2, 20, true),
        (3, 90, false),
        (3, 30, true),
        (3, 95, false),
        (1, 10, false),
    ] {
        let mut sent = batch(&[], vec![], vec![]);
        sent.popups = vec![policy(version, starts_ms, signed)];
        held.accept(&sent, now(1));
    }
    let line = held.popups().remove(0);
    assert_eq!(
        (line.starts_ms, line.currencies[0].code()),
        (Some(30), "JPY")
    );
}

#[test]
fn bounds_refuse_and_say_so() {
    let mut held = region();
    for part in 0..=limits::REGION_EPOCHS_MAX {
        let mut one = cell("till-1", 0, 1);
        one.epoch = u32::try_from(part).unwrap() + 1;
        let ack = held.accept(&batch(&[one], vec![], vec![]), now(1));
        let full = part == limits::REGION_EPOCHS_MAX;
        assert_eq!(
            ack.refused.first().map(|r| r.code.as_str()),
            full.then_some("PW3121")
        );
    }
    for rig in 0..=limits::REGION_RIGS_MAX {
        let name = std::format!("rig-{rig}");
        let ack = held.accept(&batch(&[cell(&name, 0, 1)], vec![], vec![]), now(1));
        // One place is taken by till-1.
        assert_eq!(
            ack.refused.is_empty(),
            rig + 1 < limits::REGION_RIGS_MAX,
            "{name}"
        );
    }
    invariant::within_limits(held.gauges()).unwrap();
    assert_eq!(
        held.view(POPUP, now(1)).unwrap().rigs.len(),
        limits::REGION_RIGS_MAX
    );
}

#[test]
fn skus_beyond_the_bound_share_a_row_and_named_ones_stay_named() {
    let mut held = region();
    let per_cell = limits::CELL_SKUS_MAX;
    let cells = limits::REGION_SKUS_MAX / per_cell + 1;
    for part in 0..cells {
        let mut one = cell("till-1", u32::try_from(part).unwrap(), 1);
        let names = (0..per_cell).map(|i| std::format!("s{:06}", part * per_cell + i));
        one.skus = names.map(|name| sku(&name, 0, 1)).collect();
        held.insert_local([one], now(1));
    }
    let view = held.view(POPUP, now(30)).unwrap();
    assert_eq!(view.stock.len(), limits::REGION_SKUS_MAX + 1);
    let other = view.stock.iter().find(|row| row.sku.is_empty()).unwrap();
    let spilled = i128::try_from(per_cell).unwrap();
    assert_eq!(
        (other.moved.sold, other.money[0].1.gross),
        (spilled, spilled * 100)
    );
    invariant::within_limits(held.gauges()).unwrap();

    // The first cell empties: its names keep their rows, so the spilled ones stay where they are.
    held.insert_local([cell("till-1", 0, 2)], now(1));
    assert_eq!(held.view(POPUP, now(30)), held.recompute(POPUP, now(30)));
    assert!(!held.repair(POPUP));
}

#[test]
fn an_emptied_cell_takes_its_sums_along() {
    let mut held = region();
    let full = Cell {
        money: vec![money("EUR", 100, 0)],
        ..cell("till-1", 0, 1)
    };
    held.insert_local([full], now(1));
    held.insert_local([cell("till-1", 0, 2)], now(1));
    let view = held.view(POPUP, now(1)).unwrap();
    assert!(view.money.is_empty() && view.minutes.is_empty());
    assert_eq!(held.digests(POPUP).keys().next().unwrap().minute, M0);
}

#[test]
fn a_token_redeemed_at_two_tills_is_a_broken_promise_of_the_popup() {
    let redeemed = |rig: &str, hash| Cell {
        tokens: Some(TokenCounts {
            redeemed: 1,
            set: vec![TokenTouch {
                hash,
                kind: 2,
                offset_ms: 5,
                expires: 0,
            }],
            ..TokenCounts::default()
        }),
        ..cell(rig, 0, 1)
    };
    let mut held = region();
    let policy = PopupPolicy {
        popup: POPUP.into(),
        version: 1,
        starts_ms: now(0).wall.0,
        ends_ms: now(60).wall.0,
        ..PopupPolicy::default()
    };
    let cells = [redeemed("till-1", 7), redeemed("till-2", 8)];
    let cuts = vec![cut("till-1", 0, 1, 0), cut("till-2", 0, 1, 0)];
    let batch_of = |cells: &[Cell], cuts| CellBatch {
        popups: vec![policy.clone()],
        ..batch(cells, cuts, vec![])
    };
    held.accept(&batch_of(&cells, cuts), now(0));
    let bad = |held: &Region| {
        let view = held.view(POPUP, now(1)).unwrap();
        let slo = view.slos.iter().find(|slo| slo.slo == Slo::TokenConflict);
        slo.unwrap().so_far
    };
    assert_eq!(bad(&held), Outcomes { n: 2, bad: 0 });
    let mut second = redeemed("till-3", 7);
    second.minute += 1;
    held.accept(&batch_of(&[second], vec![cut("till-3", 0, 1, 1)]), now(1));
    assert_eq!(bad(&held), Outcomes { n: 3, bad: 1 });
    assert!(!held.repair(POPUP), "the sums are those of all cells");
}
