//! Metrics beside money and checkouts: refunds, orders on their way, tokens by cohort, signals.

use super::*;
use crate::cell::{
    DropRow, OrderCounts, PaidRow, RightRow, RiskRow, StreamRow, Subject, Subjects, TouchKind,
    touch,
};
use crate::signal::{ChatState, Growth};

fn sold(rig: &str, minute: u32, units: i64) -> Cell {
    Cell {
        skus: vec![sku("mug", 0, units)],
        ..cell(rig, minute, u64::from(minute) + 1)
    }
}

#[test]
fn money_at_risk_offline_captures_and_refunds_are_told_apart() {
    let mut first = cell("till-1", 0, 1);
    let mut offline = money("EUR", 700, 0);
    offline.offline = true;
    first.money = vec![money("EUR", 1_000, 250), offline];
    first.risk = vec![RiskRow {
        currency: "EUR".into(),
        failed: 900,
        recovered: 300,
    }];
    first.orders = Some(OrderCounts {
        refunded: 1,
        ..OrderCounts::default()
    });
    let view = read(&[first], 6);
    let sums = view.money[0].1;
    assert_eq!((sums.offline_gross, sums.offline_captures), (700, 1));
    assert_eq!(view.risk[0].1.at_risk(), 600);
    let refunds = view.refunds;
    assert_eq!((refunds.minutes, refunds.recent), (6, 1));
    assert_eq!(
        refunds.per_hour,
        Some(100_000),
        "one in six minutes is ten an hour"
    );
    assert_eq!(refunds.exposure, Some(5_000));
    assert_eq!(refunds.money, vec![(eur(), Some(1_471))]);
    let nothing = read(&[cell("till-1", 0, 1)], 0).refunds;
    assert_eq!(
        (nothing.per_hour, nothing.exposure),
        (None, None),
        "no data is not 0"
    );
}

#[test]
fn a_backlog_drains_stalls_and_shows_its_age() {
    let paid = |minute: u32, orders: u64| Cell {
        money: vec![crate::cell::MoneyRow {
            conversions: orders,
            captures: orders,
            ..money("EUR", 100, 0)
        }],
        ..cell("till-1", minute, u64::from(minute) + 1)
    };
    let mut second = paid(2, 1);
    second.orders = Some(OrderCounts {
        out: 2,
        gone: 1,
        by_paid: vec![PaidRow {
            minute: M0,
            closed: 3,
        }],
        ..OrderCounts::default()
    });
    let cells = [paid(0, 6), second];
    let seen = read(&cells, 4).fulfilment;
    assert_eq!((seen.backlog, seen.left, seen.minutes), (4, 2, 4));
    assert_eq!((seen.drain, seen.stalled), (Some(80_000), false));
    assert_eq!(
        seen.waiting_bound_ms,
        Some(180_000),
        "three wait since minute 0"
    );
    let later = read(&cells, 30).fulfilment;
    assert_eq!((later.drain, later.stalled, later.backlog), (None, true, 4));
}

#[test]
fn cohorts_mature_and_a_token_used_on_two_rigs_is_a_conflict() {
    let touch = |hash, kind, expires: u32| TokenTouch {
        hash,
        kind,
        offset_ms: 0,
        expires: if expires == 0 { 0 } else { M0 + expires },
    };
    let with = |rig: &str, minute: u32, set: Vec<TokenTouch>| Cell {
        tokens: Some(TokenCounts {
            redeemed: set.iter().filter(|touch| touch.kind == 2).count() as u64,
            set,
            ..TokenCounts::default()
        }),
        ..cell(rig, minute, u64::from(minute) + 1)
    };
    let first = M0 - M0 % 15 + 15 - M0;
    let cells = [
        with(
            "till-1",
            first,
            vec![touch(1, 1, 40), touch(2, 1, 40), touch(3, 1, 0)],
        ),
        with("till-1", first + 15, vec![touch(1, 2, 0), touch(4, 1, 90)]),
        with("till-2", first + 16, vec![touch(1, 2, 0), touch(9, 2, 0)]),
        with("till-2", first + 17, vec![touch(3, 3, 0)]),
    ];
    let seen = read(&cells, first + 41).tokens;
    assert_eq!(
        (seen.issued, seen.redeemed, seen.conflicts, seen.voided),
        (3, 2, 1, 1)
    );
    let rows: Vec<_> = seen
        .cohorts
        .iter()
        .map(|of| (of.minute - M0, of.issued, of.redeemed, of.matured))
        .collect();
    assert_eq!(rows, [(first, 2, 1, true), (first + 15, 1, 0, false)]);
    assert!(!read(&cells, 39).tokens.cohorts[0].matured);
    assert_eq!(
        read(&cells, first + 18)
            .tokens
            .flow
            .map(|flow| (flow.n, flow.minutes)),
        Some((3, 3))
    );
}

#[test]
fn a_silent_rigs_rights_bound_the_stock_and_no_rights_are_no_bound() {
    let mut first = cell("till-1", 0, 1);
    first.skus = vec![
        SkuRow {
            rights: vec![RightRow {
                rig: "till-2".into(),
                qty: 10,
            }],
            ..sku("mug", 50, 5)
        },
        sku("pen", 20, 0),
    ];
    let mut second = cell("till-2", 0, 1);
    second.skus = vec![sku("mug", 0, 4)];
    let mut region = Region::new(RegionId([1; 16]));
    let cuts = vec![cut("till-1", 0, 9, 1), cut("till-2", 0, 9, 1)];
    let ack = region.accept(
        &batch(
            &[first, second],
            cuts,
            vec![beacon("till-1", 1, 9, 0), beacon("till-2", 1, 9, 0)],
        ),
        now(1),
    );
    assert_eq!(ack.refused, vec![]);
    let low = |region: &Region, minute| -> Vec<_> {
        let view = region.view(POPUP, now(minute)).unwrap();
        let mut rows: Vec<_> = view
            .stock
            .iter()
            .map(|row| (row.sku.clone(), row.expected, row.expected_low))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(
        low(&region, 1),
        [
            ("mug".into(), Some(41), Some(41)),
            ("pen".into(), Some(20), Some(20))
        ]
    );
    let ack = region.accept(&batch(&[], vec![], vec![beacon("till-1", 2, 9, 0)]), now(3));
    assert_eq!(ack.refused, vec![]);
    region.tick(now(3));
    assert_eq!(
        low(&region, 3),
        [
            ("mug".into(), Some(41), Some(35)),
            ("pen".into(), Some(20), None)
        ]
    );
}

#[test]
fn a_count_says_what_others_sold_in_its_minute() {
    let mut counted = cell("till-1", 3, 2);
    counted.skus = vec![SkuRow {
        count: Some(CountRow {
            qty: 7,
            ms: Minute(M0 + 3).start().0,
            seq: 2,
            sold_after_in_minute: 0,
        }),
        ..sku("mug", 12, 0)
    }];
    let view = read(&[counted, sold("till-2", 3, 3), sold("till-2", 4, 1)], 5);
    let count = view.stock[0].count.unwrap();
    assert_eq!(
        (count.skew, count.skew_ratio, count.plus_minus),
        (-2, 2_222, 3)
    );
}

#[test]
fn a_chat_in_a_foreign_language_is_not_covered() {
    let chat = |messages: u64, covered: u64| {
        let mut held = cell("till-1", 1, 2);
        held.streams = vec![StreamRow {
            stream: "live".into(),
            messages,
            covered,
            negative: covered / 2,
            samples: 1,
            viewers_sum: 40,
            viewers_max: 40,
            viewers_last: 40,
            ..StreamRow::default()
        }];
        let stream = read(&[held], 5).signals.streams.remove(0);
        (stream.state, stream.negative, stream.watching)
    };
    assert_eq!(chat(100, 40), (ChatState::Covered, Some(2_000), Some(40)));
    assert_eq!(chat(100, 10), (ChatState::NotCovered, Some(500), Some(40)));
    assert_eq!(chat(0, 0).0, ChatState::NoData);
}

#[test]
fn a_drop_is_measured_against_the_stretch_before_it() {
    let mut cells: Vec<Cell> = (0..80)
        .map(|minute| {
            sold(
                "till-1",
                minute,
                if (40..50).contains(&minute) { 4 } else { 1 },
            )
        })
        .collect();
    cells[40].drops = vec![DropRow {
        drop: "d".into(),
        opened_ms: Minute(M0 + 40).start().0,
        sku: "mug".into(),
        price: 250,
        ..DropRow::default()
    }];
    let view = read(&cells, 79);
    let drop = &view.signals.drops[0];
    let lift = drop.lift.unwrap();
    assert_eq!(
        (lift.during, lift.before, lift.before_ms),
        (400_000, 250_000, 1_500_000)
    );
    assert_eq!((lift.growth, lift.growth_from), (10_000, Growth::Nothing));
    assert_eq!(lift.ratio, Some(39_216), "4 a minute against 25.5 in 25");
    assert_eq!(
        (lift.incremental, lift.incremental_minor),
        (300_000, Some(7_500))
    );
    assert_eq!(
        (lift.halo, lift.halo_expected, lift.halo_over),
        (300_000, 300_000, false)
    );
    let (low, high) = lift.interval.unwrap();
    assert!(
        low < 39_216 && 39_216 < high && low > 20_000,
        "{low} {high}"
    );
    assert_eq!((lift.running, lift.censored), (false, false));

    // Half an hour before, the popup was not open: what there is counts.
    let young = read(&cells[30..], 79).signals.drops[0].lift.unwrap();
    assert_eq!((young.before, young.before_ms), (50_000, 300_000));
    // Sold out after four minutes.
    let mut short = cells.clone();
    short[40].drops[0].qty = 14;
    let lift = read(&short, 79).signals.drops[0].lift.unwrap();
    assert_eq!(
        (lift.window_ms, lift.censored, lift.during),
        (240_000, true, 160_000)
    );
}

#[test]
fn the_funnel_joins_viewers_across_rigs_and_minutes() {
    let seen = |rig: &str, minute: u32, hash: u64, kinds: &[(u32, TouchKind)]| Cell {
        subjects: Some(Subjects {
            set: vec![Subject {
                hash,
                touches: kinds.iter().map(|(ms, kind)| touch(*ms, *kind)).collect(),
            }],
            ..Subjects::default()
        }),
        ..cell(rig, minute, u64::from(minute) + 1)
    };
    let cells = [
        seen("till-1", 0, 1, &[(5, TouchKind::Chat)]),
        seen(
            "till-2",
            1,
            1,
            &[(5, TouchKind::Viewed), (6, TouchKind::Cart)],
        ),
        seen(
            "till-1",
            2,
            1,
            &[(5, TouchKind::Started), (5, TouchKind::Paid)],
        ),
        seen("till-2", 3, 2, &[(5, TouchKind::Viewed)]),
        seen("till-2", 30, 2, &[(5, TouchKind::Cart)]),
    ];
    let funnel = read(&cells, 17).signals.funnel;
    assert_eq!(funnel.with_chat.map(|step| step.n), [1, 1, 1, 1, 1]);
    assert_eq!(funnel.without_chat.map(|step| step.n), [2, 1, 1, 1]);
    let rows: Vec<_> = funnel
        .minutes
        .iter()
        .map(|row| (row.minute - M0, row.complete))
        .collect();
    assert_eq!(rows, [(0, true), (1, true), (3, false)]);
}
