//! Popups that are over, at a region and at a rig's own page.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::cell::{Subject, Subjects, TokenCounts, TokenTouch, TouchKind, touch};
use crate::code::Code;
use crate::event::system::{CellRung, CellTerms};
use crate::id::RegionId;
use crate::invariant;
use crate::lane::CellBatch;
use crate::view::series;
use crate::view::tests::{POPUP, batch, beacon, cell, creator, cut, money, now, sku};

const DAY_MIN: u32 = 24 * 60;
const DAY_MS: u64 = 86_400_000;
/// Where the popup's window ends.
const END: u32 = 60;
const HASH: u64 = 0xfeed_face_cafe_f00d;

/// The moment so many days after the end.
fn after(days: u32) -> Now {
    now(END + days * DAY_MIN)
}

fn policy(version: u32, ends: u32) -> PopupPolicy {
    let rung = |days: u64, step_min| CellRung {
        after_ms: days * DAY_MS,
        step_min,
    };
    PopupPolicy {
        popup: POPUP.into(),
        version,
        starts_ms: now(0).wall.0,
        ends_ms: now(ends).wall.0,
        cells: Some(CellTerms {
            keep_ms: 400 * DAY_MS,
            pseudonyms_ms: 14 * DAY_MS,
            min_group: 5,
            ladder: vec![rung(0, 1), rung(7, 15), rung(90, 1_440)],
        }),
        ..PopupPolicy::default()
    }
}

/// Twenty sales of two creators over two tills, with viewers and tokens.
fn evening() -> Vec<Cell> {
    let sale = |minute: u32| {
        let rig = ["till-1", "till-2"][usize::try_from(minute % 2).unwrap()];
        let who = if minute < 2 { "ben" } else { "anna" };
        let mut held = cell(rig, 2 * minute, u64::from(minute) + 1);
        held.money = vec![money("EUR", 500, 100)];
        held.money[0].conversions = 1;
        held.skus = vec![sku(if minute < 2 { "pen" } else { "mug" }, 0, 1)];
        let mut row = creator(who, 500, 100);
        row.orders = 1;
        held.creators = vec![row];
        held.subjects = Some(Subjects {
            set: vec![Subject {
                hash: HASH,
                touches: vec![touch(500, TouchKind::Chat), touch(900, TouchKind::Paid)],
            }],
            ..Subjects::default()
        });
        held.tokens = Some(TokenCounts {
            issued: 1,
            set: vec![TokenTouch {
                hash: HASH,
                kind: 1,
                offset_ms: 1,
                expires: 0,
            }],
            ..TokenCounts::default()
        });
        held
    };
    (0..20).map(sale).collect()
}

fn region(known: u64) -> Region {
    let mut held = Region::new(RegionId([1; 16]));
    let cuts = vec![cut("till-1", 0, 20, END), cut("till-2", 0, 20, END)];
    let beacons = vec![beacon("till-1", 1, known, 0), beacon("till-2", 1, 20, 0)];
    let sent = CellBatch {
        popups: vec![policy(1, END)],
        ..batch(&evening(), cuts, beacons)
    };
    assert_eq!(held.accept(&sent, now(END)).refused, vec![]);
    held
}

#[test]
fn a_popup_that_is_over_goes_in_the_steps_of_its_policy() {
    let mut held = region(20);
    held.tick(after(6));
    let fine = held.view(POPUP, after(6)).unwrap();
    assert!(fine.settled.is_none() && fine.minutes.len() == 20);
    let quarters = series(&fine, 0, u32::MAX, 15);
    let tag = held.etag(POPUP, after(6));

    held.tick(after(7));
    let view = held.view(POPUP, after(8)).unwrap();
    let step = view.settled.unwrap();
    assert_eq!((step.since_ms, step.step_min), (after(7).wall.0, 15));
    assert_eq!(view.asof.server_ms, after(8).wall.0);
    let minutes: Vec<_> = view
        .minutes
        .iter()
        .map(|one| (one.minute, &one.money))
        .collect();
    let merged: Vec<_> = quarters
        .iter()
        .map(|one| (one.minute, &one.money))
        .collect();
    assert_eq!(minutes, merged);
    assert_eq!(view.minutes.len(), 3);
    let left = |view: &PopupView| {
        (
            view.money.clone(),
            view.signals.clone(),
            view.tokens.clone(),
        )
    };
    assert_eq!(left(&view), left(&fine));
    assert!(view.rigs.is_empty() && view.boards.rigs.is_empty() && view.asof.silent.is_empty());
    assert_eq!(held.recompute(POPUP, after(8)), held.view(POPUP, after(8)));
    assert_ne!(held.etag(POPUP, after(7)), tag);
    let bytes = held
        .gauges()
        .into_iter()
        .find(|gauge| gauge.0 == "bytes of cells");
    assert_eq!(bytes.unwrap().1, 0);
    assert!(!format!("{held:?}").contains(&HASH.to_string()));
    assert_eq!(held.popups()[0].currencies, fine.popup.currencies);

    held.tick(after(90));
    let view = held.view(POPUP, after(90)).unwrap();
    assert_eq!((view.minutes.len(), left(&view)), (1, left(&fine)));
    let creators: Vec<_> = view
        .boards
        .creators
        .iter()
        .map(|row| row.id.as_str())
        .collect();
    assert_eq!(creators, ["anna"], "ben had two orders");
    assert!(view.stock.iter().all(|row| row.sku == "mug"));

    held.tick(after(400));
    assert!(held.popups().is_empty() && held.view(POPUP, after(400)).is_none());
    invariant::within_limits(held.gauges()).unwrap();
}

#[test]
fn a_coarser_step_waits_for_what_was_not_sent_and_pseudonyms_do_not() {
    let mut held = region(21);
    assert!(format!("{held:?}").contains(&HASH.to_string()));
    held.tick(after(13));
    assert!(held.view(POPUP, after(13)).unwrap().settled.is_none());
    held.tick(after(14));
    let view = held.view(POPUP, after(14)).unwrap();
    assert_eq!(view.settled.unwrap().step_min, 15);
    let silent: Vec<_> = view
        .asof
        .silent
        .iter()
        .map(|one| one.rig.as_str())
        .collect();
    assert_eq!(silent, ["till-1", "till-2"], "who held more stays named");
    assert!(!format!("{held:?}").contains(&HASH.to_string()));
}

#[test]
fn a_region_that_is_filled_again_waits_until_no_more_comes() {
    let mut held = Region::new(RegionId([1; 16]));
    let at = |s: i64| {
        let mut at = after(20);
        at.wall.0 += s * 1_000;
        at.mono = at.mono.after(u64::try_from(s).unwrap() * 1_000);
        at
    };
    let all = evening();
    let (first, rest) = all.split_at(4);
    let part = |cells: &[Cell]| CellBatch {
        popups: vec![policy(1, END)],
        ..batch(cells, vec![], vec![])
    };
    for (s, cells) in [(0, &[][..]), (26, first), (40, rest)] {
        held.accept(&part(cells), at(s));
        held.tick(at(s));
        let view = held.view(POPUP, at(s)).unwrap();
        assert_eq!(view.settled, None, "after {s} s");
    }
    held.tick(at(54));
    assert!(held.view(POPUP, at(54)).unwrap().settled.is_none());
    held.tick(at(60));
    let view = held.view(POPUP, at(60)).unwrap();
    assert_eq!(view.settled.unwrap().step_min, 15);
    assert_eq!(view.money[0].1.captures, 20);
}

#[test]
fn what_is_over_is_answered_as_held_and_not_filled_again() {
    for days in [7, 400] {
        let mut held = region(20);
        held.tick(after(days));
        let before = held.view(POPUP, after(days));
        let mut late = cell("till-1", 3, 30);
        late.money = vec![money("EUR", 900, 0)];
        let sent = CellBatch {
            popups: vec![policy(1, END)],
            ..batch(
                &[late.clone()],
                vec![cut("till-1", 20, 30, END)],
                vec![beacon("till-1", 9, 31, 0)],
            )
        };
        let ack = held.accept(&sent, after(days));
        assert_eq!((ack.refused.len(), ack.have.len()), (0, 1));
        assert_eq!((ack.have[0].from_seq, ack.have[0].to_seq), (0, 30));
        assert_eq!(held.insert_local([late], after(days)), vec![]);
        assert_eq!(held.counters().cells_past, 2);
        assert_eq!(held.view(POPUP, after(days)), before);
        assert_eq!(held.cells_held(POPUP), None);
        assert!(held.stands().is_empty() && held.policies().next().is_none());
    }
}

#[test]
fn a_popup_that_goes_on_is_shown_again() {
    // Somebody states a later window.
    let mut held = region(20);
    held.tick(after(400));
    let again = END + 410 * DAY_MIN;
    let sent = |policy, cell| CellBatch {
        popups: vec![policy],
        ..batch(&[cell], vec![], vec![])
    };
    held.accept(&sent(policy(1, END), cell("till-1", again, 40)), now(again));
    assert!(
        held.popups().is_empty(),
        "what is not stated is no later window"
    );
    held.accept(
        &sent(policy(2, again), cell("till-1", again, 40)),
        now(again),
    );
    assert_eq!(held.view(POPUP, now(again)).unwrap().popup.version, 2);

    // Nobody states anything, and something is sold on a later day.
    let mut held = Region::new(RegionId([1; 16]));
    held.accept(&batch(&evening(), vec![], vec![]), now(END));
    held.tick(after(15));
    assert!(held.view(POPUP, after(15)).unwrap().settled.is_some());
    held.accept(&batch(&[cell("till-3", 3, 5)], vec![], vec![]), after(15));
    assert!(held.view(POPUP, after(15)).unwrap().settled.is_some());
    let later = cell("till-1", END + 21 * DAY_MIN, 50);
    held.accept(&batch(&[later], vec![], vec![]), after(21));
    let view = held.view(POPUP, after(21)).unwrap();
    assert_eq!((view.settled, view.rigs.len()), (None, 1));
}

#[test]
fn what_ended_longest_ago_makes_room_and_what_runs_never_does() {
    let named = |popup: usize, minute: u32| Cell {
        popup: format!("stall-{popup}"),
        ..cell("till-1", minute, 1)
    };
    let mut held = Region::new(RegionId([1; 16]));
    let full = limits::REGION_POPUPS_MAX;
    for popup in 0..full {
        let minute = u32::try_from(full - popup).unwrap();
        assert_eq!(
            held.insert_local([named(popup, minute)], now(minute)),
            vec![]
        );
    }
    let refused = |held: &mut Region, popup: usize, minute: u32| {
        let refused = held.insert_local([named(popup, minute)], now(minute));
        refused.first().map(|one| one.code.clone())
    };
    let same_day = DAY_MIN - 10;
    assert_eq!(
        refused(&mut held, full, same_day),
        Some(Code::RegionFull.to_string())
    );
    assert_eq!(held.counters().popups_let_go, 0);
    assert_eq!(refused(&mut held, full, 2 * DAY_MIN), None);
    let ids: Vec<_> = held.popups().into_iter().map(|line| line.id).collect();
    assert_eq!((ids.len(), held.counters().popups_let_go), (full, 1));
    let oldest = format!("stall-{}", full - 1);
    assert!(!ids.contains(&oldest) && ids.contains(&format!("stall-{full}")));
    assert!(held.is_past(&oldest));
    invariant::within_limits(held.gauges()).unwrap();
}

#[test]
fn an_old_day_that_is_replayed_is_not_over_unless_somebody_signed_so() {
    let replayed = |signed: bool| {
        let mut held = Region::new(RegionId([1; 16]));
        let mut of = policy(1, END);
        of.cells = of.cells.filter(|_| signed);
        let sent = CellBatch {
            popups: vec![of],
            ..batch(&evening(), vec![], vec![])
        };
        held.accept(&sent, after(5_000));
        held.tick(after(5_000));
        held
    };
    assert!(replayed(true).popups().is_empty());
    let mut held = replayed(false);
    let view = held.view(POPUP, after(5_000)).unwrap();
    assert!(view.settled.is_none() && view.minutes.len() == 20);
    held.tick(after(5_014));
    assert!(held.view(POPUP, after(5_014)).unwrap().settled.is_some());
}

#[test]
fn a_rig_keeps_its_own_cells_as_long_as_its_records() {
    let mut page = Region::of_rig(RegionId([1; 16]));
    page.insert_local(evening(), now(END));
    page.tick(after(500));
    assert_eq!(page.cells(POPUP).len(), 20);
    assert!(page.view(POPUP, after(500)).unwrap().settled.is_none());
}
