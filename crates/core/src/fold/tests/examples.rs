//! What each kind of record does to a cell.

use super::*;
use crate::cell::FLAG_OVERFLOW;
use crate::event::system::{ClockAnchored, Gap, LossCount, Probed, RigStarted};

#[test]
fn money_of_a_capture() {
    let whole = PaymentCaptured {
        tip: Some(Minor(50)),
        tax: Some(Minor(100)),
        fee: Some(Minor(9)),
        latency_ms: Some(Millis(700)),
        ..capture("pay", "o", 1_150)
    };
    let second = PaymentCaptured {
        offline: Some(true),
        method: PaymentMethod::new("cash").unwrap(),
        ..capture("pay2", "o", 30)
    };
    check(
        vec![
            (5, Event::PaymentCaptured(whole)),
            (6, Event::PaymentCaptured(second)),
            (7, captured("pay", "o", 1_150)),
        ],
        &[
            "+0",
            "money GBP card gross 1150 tip 50 tax 100 fee 9 captures 1 conversions 1",
            "money GBP cash offline gross 30 captures 1",
            "creator house GBP 5 gross 1180 orders 1",
            "hist 3 n 1 ms 700",
            "counts duplicates 1",
        ],
    );
}

#[test]
fn risk_is_the_first_technical_failure_and_recovers_once() {
    check(
        vec![
            (1, failed("a", "o", 500, Reason::Declined)),
            (2, failed("b", "o", 500, Reason::Technical)),
            (3, failed("c", "o", 400, Reason::Technical)),
            (61, captured("d", "o", 450)),
            (62, captured("e", "o", 50)),
        ],
        &[
            "+0",
            "risk GBP failed 500",
            "+1",
            "money GBP card gross 500 captures 2 conversions 1",
            "risk GBP recovered 500",
            "creator house GBP 5 gross 500 orders 1",
        ],
    );
}

#[test]
fn lines_are_kept_by_sku_and_creator_and_identical_lines_both_count() {
    let lines = vec![
        line("b", 2, 40, "ann"),
        line("B", 1, 60, ""),
        line("b", 2, 40, "ann"),
    ];
    check(
        vec![(1, sale("a", 140, lines))],
        &[
            "+0",
            "money GBP card gross 140 captures 1 conversions 1",
            "sku B sold 1",
            " GBP gross 60",
            "sku b sold 4",
            " GBP gross 80",
            "creator ann GBP 1 gross 80 orders 1 units 4",
            "creator house GBP 5 gross 60 orders 1 units 1",
        ],
    );
}

#[test]
fn a_creator_is_known_by_line_then_token_then_payment() {
    let with = |payment: &str, token: &str, creator: &str| {
        Event::PaymentCaptured(PaymentCaptured {
            token: TokenId::new(token).ok(),
            creator: CreatorId::new(creator).ok(),
            ..capture(payment, payment, 10)
        })
    };
    check(
        vec![
            (0, issued("t", "bo", None)),
            (1, with("a", "t", "cy")),
            (2, with("b", "unknown", "cy")),
            (3, with("c", "", "")),
        ],
        &[
            "+0",
            "money GBP card gross 30 captures 3 conversions 3",
            "creator bo GBP 2 gross 10 orders 1",
            "creator cy GBP 3 gross 10 orders 1",
            "creator house GBP 5 gross 10 orders 1",
            "tokens issued 1 set 1",
        ],
    );
}

#[test]
fn refunds_reverse_their_sale_in_their_own_minute() {
    check(
        vec![
            (
                1,
                sale(
                    "a",
                    300,
                    vec![line("s", 2, 200, "ann"), line("t", 1, 100, "bo")],
                ),
            ),
            (70, refund("r", "a", 100, vec![line("t", 1, 100, "bo")])),
            (71, refund("r", "a", 100, vec![])),
            (
                130,
                refund("q", "elsewhere", 60, vec![line("s", 1, 50, "cy")]),
            ),
        ],
        &[
            "+0",
            "money GBP card gross 300 captures 1 conversions 1",
            "sku s sold 2",
            " GBP gross 200",
            "sku t sold 1",
            " GBP gross 100",
            "creator ann GBP 1 gross 200 orders 1 units 2",
            "creator bo GBP 1 gross 100 orders 1 units 1",
            "+1",
            "money GBP card refund 100 refunds 1",
            "sku t returned 1",
            " GBP refund 100",
            "creator bo GBP 1 refund 100 units -1",
            "counts duplicates 1",
            "+2",
            "money GBP  refund 60 refunds 1",
            "sku s returned 1",
            " GBP refund 50",
            "creator cy GBP 1 refund 50 units -1",
            "creator house GBP 5 refund 10",
            "counts unmatched 1 refunds_unknown 1",
        ],
    );
}

#[test]
fn a_checkout_has_one_outcome_counted_where_it_ends() {
    check(
        vec![
            (0, started("a")),
            (1, started("b")),
            (2, started("c")),
            (3, started("a")),
            (30, completed("a", "o", None)),
            (31, abandoned("a", None)),
            (61, abandoned("b", Some(Reason::Technical))),
            (62, abandoned("c", Some(Reason::ChangedMind))),
            (63, completed("x", "o2", Some(5_000))),
        ],
        &[
            "+0",
            "checkout started 3 ok 1",
            " from +0 closed 1 in_time 1",
            "hist 1 n 1 ms 30000",
            "counts unmatched 1 duplicates 1",
            "+1",
            "checkout ok 1 fault 1 left 1 unseen 1",
            " from +0 closed 2 left 1 fault 1",
            "hist 1 n 1 ms 5000",
            "counts unmatched 1",
        ],
    );
}

#[test]
fn a_slow_checkout_is_not_in_time_and_an_offline_one_stands_apart() {
    let offline = PaymentCaptured {
        offline: Some(true),
        ..capture("pay", "o", 5)
    };
    check(
        vec![
            (0, started("a")),
            (1, failed("f", "o", 5, Reason::Declined)),
            (2, Event::PaymentCaptured(offline)),
            (3, completed("a", "o", Some(60_001))),
        ],
        &[
            "+0",
            "money GBP card offline gross 5 captures 1 conversions 1",
            "creator house GBP 5 gross 5 orders 1",
            "checkout started 1 ok 1 recovered 1",
            " from +0 closed 1",
            "hist 2 n 1 ms 60001",
        ],
    );
}

#[test]
fn stock_counts_what_crosses_the_edge_of_the_selling_stock() {
    let received = Event::InventoryReceived(InventoryReceived {
        sku: Sku::new("s").unwrap(),
        qty: Count(100),
        to: None,
        reason: None,
    });
    let adjusted = Event::InventoryAdjusted(InventoryAdjusted {
        sku: Sku::new("s").unwrap(),
        qty: CountSigned(-3),
        from: None,
        to: None,
        reason: None,
    });
    check(
        vec![
            (0, received),
            (1, moved("pool", "till-9", 1)),
            (2, allocated("till-9", 10)),
            (3, moved("pool", "till-9", 2)),
            (4, moved("till-1", "pool", 4)),
            (5, moved("pool", "sold", 8)),
            (6, moved("office", "pool", 16)),
            (7, moved("office", "van", 32)),
            (8, adjusted),
        ],
        &[
            "+0",
            "sku s received 100 adjusted -3 in 16 out 9 allocated 10",
        ],
    );
}

#[test]
fn a_count_knows_what_was_sold_after_it_in_its_minute() {
    let sold = |payment: &str, qty| sale(payment, 1, vec![line("s", qty, 1, "")]);
    let fold = fold_events(vec![
        (30, sold("after-reported-first", 4)),
        (10, sold("before", 1)),
        (20, counted("s", 50)),
        (25, refund("r", "x", 0, vec![line("s", 1, 0, "")])),
        (40, sold("after", 2)),
        (15, sold("before-reported-late", 8)),
        (19, counted("s", 99)),
        (61, sold("next-minute", 16)),
    ]);
    let cell = fold.cell(&popup(), Minute(FIRST)).unwrap();
    let count = cell.skus[0].count.unwrap();
    assert_eq!((count.qty, count.sold_after_in_minute), (50, 5));
    assert_eq!(cell.skus[0].sold, 15);
}

#[test]
fn tokens_count_issues_first_and_further_redemptions() {
    let void = Event::TokenVoided(TokenVoided {
        token: TokenId::new("v").unwrap(),
        creator: None,
        order: None,
        value: None,
        currency: None,
        expires: None,
    });
    check(
        vec![
            (0, issued("a", "ann", Some(50))),
            (1, issued("v", "ann", None)),
            (2, redeemed("stranger")),
            (3, void),
            (61, redeemed("a")),
            (62, redeemed("a")),
            (63, redeemed("v")),
        ],
        &[
            "+0",
            "tokens issued 2 redeemed 1 voided 1 provisional 1 set 4",
            "counts unmatched 1",
            "+1",
            "tokens redeemed 2 duplicate 1 expired 2 set 2",
            "counts duplicates 1",
        ],
    );
}

#[test]
fn streams_drops_fulfilment_and_host() {
    let chat = Event::ChatMessage(ChatMessage {
        stream: ChatStream::new("live").unwrap(),
        viewer: Subject::new("v").unwrap(),
        text: ChatText::from_value(Value::Text("".into())).unwrap(),
    });
    let opened = Event::DropOpened(DropOpened {
        drop: FlashDropId::new("d").unwrap(),
        sku: Sku::new("s").unwrap(),
        creator: CreatorId::new("ann").ok(),
        qty: Some(Count(20)),
        price: Some(Minor(999)),
    });
    let closed = Event::DropClosed(DropClosed {
        drop: FlashDropId::new("d").unwrap(),
        sku: Sku::new("s").unwrap(),
        creator: None,
        qty: None,
        price: None,
    });
    let sampled = |battery, disk| {
        Event::RigSampled(RigSampled {
            battery: Some(Thousandths(battery)),
            on_battery: None,
            power_w: None,
            disk_free: Some(Bytes(disk)),
            rtt_ms: None,
            temperature: None,
        })
    };
    let late = Event::BooksAdjusted(BooksAdjusted {
        amount: MinorSigned(-500),
        currency: gbp(),
        reason: Remark::new("float").unwrap(),
    });
    check(
        vec![
            (1, chat),
            (2, watched("live", 9)),
            (3, watched("live", 4)),
            (4, opened),
            (5, closed),
            (6, captured("a", "o", 1)),
            (7, fulfilled("o", FulfilmentStep::Packed, "coop")),
            (9, fulfilled("o", FulfilmentStep::HandedOver, "coop")),
            (9, fulfilled("o", FulfilmentStep::HandedOver, "coop")),
            (10, sampled(50_000, 7)),
            (11, sampled(40_000, 8)),
            (300, late),
        ],
        &[
            "+0",
            "money GBP card gross 1 captures 1 conversions 1",
            "creator house GBP 5 gross 1 orders 1",
            "hist 4 n 1 ms 3000",
            "stream live messages 1 samples 2 sum 13 max 9 last 4",
            "drop d ann s opened 4 closed 5 qty 20 price 999",
            "fulfil coop handed_over orders 1",
            "fulfil coop packed orders 1",
            "host battery 40000 disk 7",
            "counts duplicates 1",
        ],
    );
}

#[test]
fn what_concerns_the_whole_rig_reaches_open_popups() {
    let loss = SystemEvent::RigLoss(Loss {
        counts: vec![
            LossCount {
                class: "ambient".into(),
                count: 5,
                ..LossCount::default()
            },
            LossCount {
                popup: "p".into(),
                count: 2,
                ..LossCount::default()
            },
        ],
        ..Loss::default()
    });
    let gap = SystemEvent::RigGap(Gap::default());
    let probed = |ok, fault| {
        Event::System(SystemEvent::RigProbed(Probed {
            ok,
            fault,
            ..Probed::default()
        }))
    };
    let fold = fold_events(vec![
        (5, Event::System(loss)),
        (6, probed(6, 0)),
        (7, probed(2, 1)),
        (65, Event::System(gap)),
        (
            4 * 3_600,
            Event::System(SystemEvent::RigGap(Gap::default())),
        ),
    ]);
    let expected = "+0\nhost battery -1 disk -1 ok 8 fault 1\ncounts losses 7\n+1";
    assert_eq!(show(&fold), expected);
    let flags: Vec<u32> = fold.cells().map(|cell| cell.flags & FLAG_GAP).collect();
    assert_eq!(flags, [0, FLAG_GAP]);
}

#[test]
fn seqs_that_were_left_out_flag_the_next_cell_and_old_ones_change_nothing() {
    let mut fold = fold_events(vec![(1, captured("a", "o", 1))]);
    let before = bytes(&fold);
    assert_eq!(
        fold.apply(Seq(2), &record(0, captured("z", "o", 9))),
        Step::Old
    );
    assert_eq!(bytes(&fold), before);
    assert_eq!(
        fold.apply(Seq(9), &record(2_000, captured("b", "o", 1))),
        Step::Folded
    );
    assert_eq!(fold.cells().next().unwrap().flags & FLAG_GAP, FLAG_GAP);
    assert_eq!(fold.head(), Seq(9));
}

#[test]
fn late_records_and_minutes_outside_the_window_are_counted_and_not_folded() {
    let mut late = record(0, captured("a", "o", 1));
    late.flags.late = true;
    let records = [
        record(0, policy()),
        late,
        record(-12 * HOUR_MS, captured("b", "o", 1)),
        record(-12 * HOUR_MS - 1, captured("c", "o", 1)),
        record(51 * HOUR_MS, captured("d", "o", 1)),
        record(51 * HOUR_MS + 1, captured("e", "o", 1)),
    ];
    let fold = fold(&records);
    let minutes: Vec<i64> = fold
        .cells()
        .map(|cell| i64::from(cell.minute) - i64::from(FIRST))
        .collect();
    assert_eq!(minutes, [-720, 51 * 60]);
    assert_eq!((fold.skipped().late, fold.skipped().out_of_window), (1, 2));
}

#[test]
fn a_late_event_opens_its_old_minute_again() {
    let mut old = record(600_000, captured("b", "o2", 5));
    old.stamp.age_ms = Some(599_000);
    let mut fold = fold(&[record(0, policy()), record(2_000, captured("a", "o", 7))]);
    assert_eq!(fold.take_changed(), [(popup(), Minute(FIRST))]);
    assert_eq!(fold.take_changed(), []);
    assert_eq!(fold.apply(Seq(3), &old), Step::Folded);
    assert_eq!(fold.take_changed(), [(popup(), Minute(FIRST))]);
    let cell = fold.cell(&popup(), Minute(FIRST)).unwrap();
    assert_eq!(
        (cell.money[0].gross, cell.version, cell.policy_version),
        (12, 3, 3)
    );
    assert_eq!(fold.changed_since(Seq(2)).count(), 1);
    assert_eq!(fold.changed_since(Seq(3)).count(), 0);
}

#[test]
fn a_minute_can_be_net_negative() {
    let refunds = (0..5).map(|n| (n * 60, refund(&format!("r{n}"), "x", 100, vec![])));
    let fold = fold_events(refunds.collect());
    let nets = fold
        .cells()
        .map(|cell| cell.money[0].gross - cell.money[0].refund);
    assert_eq!(nets.collect::<Vec<_>>(), [-100; 5]);
}

#[test]
fn a_sum_that_would_leave_64_bits_is_flagged_and_keeps_its_value() {
    let mut fold = fold_events(vec![(0, captured("a", "o", i64::MAX - 1))]);
    let big = record(1_000, captured("b", "o2", 5));
    assert_eq!(fold.apply(Seq(3), &big), Step::Folded);
    let cell = fold.cells().next().unwrap();
    assert_eq!(
        (cell.money[0].gross, cell.money[0].captures),
        (i64::MAX - 1, 2)
    );
    assert_eq!(cell.flags & FLAG_OVERFLOW, FLAG_OVERFLOW);
}

fn anchored(true_ahead_ms: i64, at_ms: i64, rebucket: bool) -> Event {
    let at = record(at_ms, policy()).stamp;
    Event::System(SystemEvent::ClockAnchored(ClockAnchored {
        boot_id: vec![4; 16],
        mono_ns: at.mono_ns,
        wall_us: (at.wall_ms + true_ahead_ms) * 1_000,
        u_ms: 10,
        rebucket,
        ..ClockAnchored::default()
    }))
}

/// Folds as a rig does: an anchor that moves earlier records has them folded again.
fn fold_anchored(records: &[Record]) -> EpochFold {
    let mut fold = empty();
    for (seq, record) in (1..).zip(records) {
        if fold.apply(Seq(seq), record) == Step::Rebucket {
            let mut again = fold.again(Seq(seq), record);
            for (seq, record) in (1..).map(Seq).zip(records) {
                again.apply(seq, record);
            }
            fold.adopt(again);
        }
    }
    fold
}

/// A rig that never met a peer keeps its wall clock's minutes, and each of its cells says so.
#[test]
fn without_an_anchor_every_cell_is_suspect() {
    let boot = RigStarted {
        boot_id: vec![4; 16],
        ..RigStarted::default()
    };
    let mut records = vec![
        record(0, Event::System(SystemEvent::RigStarted(boot))),
        record(0, policy()),
        record(1_000, captured("a", "o", 5)),
        record(61_000, captured("b", "o2", 7)),
    ];
    let suspect = |fold: &EpochFold| -> Vec<bool> {
        let cells = fold.cells();
        cells
            .map(|cell| cell.flags & FLAG_CLOCK_SUSPECT != 0)
            .collect()
    };
    assert_eq!(suspect(&fold_anchored(&records)), [true, true]);
    // The first contact answers for all of the epoch's earlier records.
    records.push(record(62_000, anchored(0, 62_000, true)));
    assert_eq!(suspect(&fold_anchored(&records)), [false, false]);
}

#[test]
fn an_anchor_moves_earlier_minutes_and_empties_the_old_ones() {
    let boot = RigStarted {
        boot_id: vec![4; 16],
        ..RigStarted::default()
    };
    let mut records = vec![
        record(0, Event::System(SystemEvent::RigStarted(boot))),
        record(0, policy()),
        record(1_000, captured("a", "o", 5)),
        record(2_000, anchored(3 * 60_000, 2_000, true)),
        record(3_000, captured("b", "o2", 7)),
    ];
    let rows = |fold: &EpochFold| -> Vec<(i64, i64, u64)> {
        let gross = |cell: &Cell| cell.money.iter().map(|row| row.gross).sum();
        let row = |cell: &Cell| {
            (
                i64::from(cell.minute) - i64::from(FIRST),
                gross(cell),
                cell.version,
            )
        };
        fold.cells().map(row).collect()
    };
    let mut fold = fold_anchored(&records);
    assert_eq!(rows(&fold), [(0, 0, 4), (3, 12, 5)]);
    assert_eq!(fold.take_changed().len(), 2);
    assert!(
        fold.cells()
            .all(|cell| cell.flags & FLAG_CLOCK_SUSPECT == 0)
    );

    records.push(record(4_000, anchored(4 * 60_000, 4_000, false)));
    records.push(record(5_000, captured("c", "o3", 9)));
    assert_eq!(
        rows(&fold_anchored(&records)),
        [(0, 0, 4), (3, 12, 5), (4, 9, 7)]
    );

    records.push(record(6_000, anchored(3 * 60_000, 6_000, true)));
    assert_eq!(
        rows(&fold_anchored(&records)),
        [(0, 0, 4), (3, 21, 8), (4, 0, 8)]
    );
}
