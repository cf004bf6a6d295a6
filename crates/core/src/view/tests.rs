//! Views through a region, as readers get them; and the parts that can be told apart from it.

mod metrics;

use alloc::vec::Vec;
use std::string::String;
use std::vec;

use super::durations::band_ranks;
use super::{Board, PopupView, RankBy, rank, series};
use crate::cell::{
    Cell, CheckoutCounts, CountRow, CreatorRow, CurrencySums, HistKind, MoneyRow, SkuRow, StartRow,
    TokenCounts, TokenTouch,
};
use crate::id::RegionId;
use crate::lane::{Beacon, CENTRAL, CellBatch, Cut, MinorIn};
use crate::limits;
use crate::money::Currency;
use crate::region::Region;
use crate::sketch::Histogram;
use crate::time::{Minute, MonoMs, Now, WallMs};

pub(crate) const POPUP: &str = "stall";
/// The popup's first minute.
pub(crate) const M0: u32 = 29_000_000;

pub(crate) fn now(minute: u32) -> Now {
    Now {
        wall: Minute(M0 + minute).start(),
        mono: MonoMs(u64::from(minute) * 60_000 + 1),
    }
}

pub(crate) fn cell(rig: &str, minute: u32, version: u64) -> Cell {
    Cell {
        popup: POPUP.into(),
        rig: rig.into(),
        epoch: 1,
        epoch_id: vec![7; 16],
        minute: M0 + minute,
        version,
        ..Cell::default()
    }
}

pub(crate) fn money(currency: &str, gross: i64, refund: i64) -> MoneyRow {
    MoneyRow {
        currency: currency.into(),
        method: "card".into(),
        gross,
        refund,
        captures: u64::from(gross != 0),
        refunds: u64::from(refund != 0),
        conversions: u64::from(gross != 0),
        ..MoneyRow::default()
    }
}

pub(crate) fn creator(name: &str, gross: i64, refund: i64) -> CreatorRow {
    CreatorRow {
        creator: name.into(),
        currency: "EUR".into(),
        evidence: 1,
        gross,
        refund,
        orders: u64::from(gross > 0),
        units: 1,
    }
}

pub(crate) fn sku(name: &str, received: i64, sold: i64) -> SkuRow {
    SkuRow {
        sku: name.into(),
        received,
        sold,
        money: vec![CurrencySums {
            currency: "EUR".into(),
            gross: sold * 100,
            refund: 0,
        }],
        ..SkuRow::default()
    }
}

fn took(cell: &mut Cell, seconds: impl IntoIterator<Item = u64>) {
    let mut hist = Histogram::new();
    seconds.into_iter().for_each(|s| hist.insert(s * 1_000_000));
    cell.hists = vec![hist.to_row(HistKind::CheckoutOnline)];
}

pub(crate) fn cut(rig: &str, from: u64, to: u64, clear_minute: u32) -> Cut {
    Cut {
        popup: POPUP.into(),
        rig: rig.into(),
        epoch: 1,
        epoch_id: vec![7; 16],
        from_seq: from,
        to_seq: to,
        clear_ms: Minute(M0 + clear_minute).start().0,
    }
}

pub(crate) fn beacon(rig: &str, number: u64, durable: u64, unsent: u64) -> Beacon {
    Beacon {
        popup: POPUP.into(),
        rig: rig.into(),
        epoch: 1,
        number,
        durable_seq: durable,
        unsent_records: unsent,
        ..Beacon::default()
    }
}

pub(crate) fn batch(cells: &[Cell], cuts: Vec<Cut>, beacons: Vec<Beacon>) -> CellBatch {
    CellBatch {
        protocol: 1,
        sender: "hub".into(),
        cells: cells.iter().map(Cell::encode_canonical).collect(),
        cuts,
        beacons,
        ..CellBatch::default()
    }
}

/// A region that holds these cells, all of each rig received up to the start of `clear_minute`.
pub(crate) fn read(cells: &[Cell], clear_minute: u32) -> PopupView {
    let mut region = Region::new(RegionId([1; 16]));
    let mut rigs: Vec<_> = cells.iter().map(|cell| cell.rig.clone()).collect();
    rigs.sort();
    rigs.dedup();
    let cuts = rigs.iter().map(|rig| cut(rig, 0, 100, clear_minute));
    let ack = region.accept(&batch(cells, cuts.collect(), vec![]), now(clear_minute));
    assert_eq!(ack.refused, vec![]);
    region.view(POPUP, now(clear_minute)).unwrap()
}

fn eur() -> Currency {
    Currency::new("EUR").unwrap()
}

#[track_caller]
fn ranks(view: &PopupView, board: Board, by: RankBy, expect: &[(&str, i128)]) {
    let ranked = rank(view.boards.of(board), by, eur(), 10);
    let found: Vec<_> = ranked
        .iter()
        .map(|ranked| (ranked.row.id.as_str(), ranked.row.sums.net()))
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn a_leader_by_gross_retracts_by_net() {
    let mut early = cell("till-1", 0, 1);
    early.creators = vec![creator("anna", 9_000, 0), creator("ben", 5_000, 0)];
    ranks(
        &read(&[early.clone()], 1),
        Board::Creators,
        RankBy::Net,
        &[("anna", 9_000), ("ben", 5_000)],
    );
    let mut late = cell("till-1", 7, 2);
    late.creators = vec![creator("anna", 0, 9_000)];
    let view = read(&[early, late], 8);
    let anna_gone = [("ben", 5_000), ("anna", 0)];
    ranks(&view, Board::Creators, RankBy::Net, &anna_gone);
    let anna_first = [("anna", 0), ("ben", 5_000)];
    ranks(&view, Board::Creators, RankBy::Gross, &anna_first);
}

#[test]
fn equal_values_rank_by_the_earlier_minute_then_by_id() {
    let mut first = cell("till-1", 0, 1);
    first.creators = vec![creator("cleo", 300, 0), creator("dora", 100, 0)];
    let mut second = cell("till-1", 1, 2);
    second.creators = vec![creator("anna", 300, 0), creator("ben", 300, 0)];
    let mut third = cell("till-1", 2, 3);
    third.creators = vec![creator("dora", 200, 0)];
    ranks(
        &read(&[third, second, first], 5),
        Board::Creators,
        RankBy::Net,
        &[("cleo", 300), ("anna", 300), ("ben", 300), ("dora", 300)],
    );
}

#[test]
fn the_row_other_has_no_rank_and_currencies_never_meet() {
    let mut held = cell("till-1", 0, 1);
    held.creators = vec![creator("", 9_999, 0), creator("anna", 10, 0)];
    held.creators.push(CreatorRow {
        currency: "JPY".into(),
        ..creator("anna", 5_000, 0)
    });
    held.money = vec![money("EUR", 10_009, 0), money("JPY", 5_000, 0)];
    let view = read(&[held], 1);
    ranks(&view, Board::Creators, RankBy::Net, &[("anna", 10)]);
    let sums: Vec<_> = view
        .money
        .iter()
        .map(|(c, sums)| (c.code(), sums.gross))
        .collect();
    assert_eq!(sums, [("EUR", 10_009), ("JPY", 5_000)]);
    ranks(&view, Board::Rigs, RankBy::Net, &[("till-1", 10_009)]);
}

#[test]
fn products_and_rigs_share_their_units_between_currencies() {
    let mut held = cell("till-1", 0, 1);
    let mut mug = sku("mug", 0, 3);
    mug.money.push(CurrencySums {
        currency: "JPY".into(),
        gross: 70,
        refund: 0,
    });
    held.skus = vec![mug];
    let view = read(&[held], 1);
    let units: Vec<_> = view
        .boards
        .products
        .iter()
        .map(|row| (row.currency.code(), row.sums.units, row.sums.gross))
        .collect();
    assert_eq!(units, [("EUR", 3, 300), ("JPY", 3, 70)]);
}

#[test]
fn a_minute_may_be_negative_and_a_huge_order_is_whole() {
    let amounts = [(50, 0), (999_999_999_999, 0), (40, 90), (0, 7)];
    let cells: Vec<_> = (1..)
        .zip(amounts)
        .map(|(minute, (gross, refund))| Cell {
            money: vec![money("EUR", gross, refund)],
            ..cell("till-1", minute, minute.into())
        })
        .collect();
    let view = read(&cells, 6);
    let nets: Vec<_> = view
        .minutes
        .iter()
        .map(|point| point.money[0].1.net())
        .collect();
    assert_eq!(nets, [50, 999_999_999_999, -50, -7]);
    assert_eq!(view.last5.minutes_complete, 5);
    // 999 999 999 992 / 5 and 97 / 5, each rounded by itself.
    let mean = view.last5.money[0].1;
    assert_eq!((mean.gross, mean.refund), (200_000_000_018, 19));
    assert_eq!(mean.net, 199_999_999_998);
}

#[test]
fn the_last_minutes_are_full_ones_of_the_popup() {
    let cells: Vec<_> = (0..4)
        .map(|minute| Cell {
            money: vec![money("EUR", 100 << minute, 0)],
            ..cell("till-1", minute, u64::from(minute) + 1)
        })
        .collect();
    for (clear, minutes, gross) in [(0, 0, None), (1, 1, Some(100)), (3, 3, Some(233))] {
        let last5 = read(&cells, clear).last5;
        assert_eq!(last5.minutes_complete, minutes, "{clear}");
        assert_eq!(
            last5.money.first().map(|(_, mean)| mean.gross),
            gross,
            "{clear}"
        );
    }
    let idle = read(&cells, 60).last5;
    assert_eq!((idle.minutes_complete, idle.money[0].1.gross), (5, 0));
}

#[test]
fn what_the_provider_confirms_is_not_added() {
    let mut held = cell("till-1", 0, 1);
    let confirmed = MoneyRow {
        origin: 1,
        ..money("EUR", 500, 20)
    };
    held.money = vec![money("EUR", 500, 0), confirmed];
    let sums = read(&[held], 1).money[0].1;
    assert_eq!((sums.gross, sums.captures, sums.net()), (500, 1, 500));
    assert_eq!((sums.confirmed_gross, sums.confirmed_refund), (500, 20));
}

#[test]
fn a_series_keeps_steps_apart_and_says_which_still_grow() {
    let cells: Vec<_> = [0, 4, 5, 9, 12]
        .into_iter()
        .map(|minute| Cell {
            money: vec![money("EUR", 10, 0)],
            ..cell("till-1", minute, u64::from(minute) + 1)
        })
        .collect();
    let view = read(&cells, 13);
    let points = series(&view, 0, u32::MAX, 5);
    let found: Vec<_> = points
        .iter()
        .map(|point| (point.minute - M0, point.money[0].1.gross, point.complete))
        .collect();
    assert_eq!(found, [(0, 20, true), (5, 20, true), (10, 10, false)]);
    assert_eq!(series(&view, M0 + 4, M0 + 6, 1).len(), 2);
}

#[test]
fn a_quantile_needs_fifty_nine_values_and_widens_its_window() {
    let minute = |at: u32, n: u64| {
        let mut held = cell("till-1", at, u64::from(at) + 1);
        took(&mut held, (0..n).map(|i| 10 + i % 40));
        held
    };
    let few = read(&[minute(0, 58)], 5).checkout.online;
    assert_eq!(
        (few.n, few.p50_ms, few.p95_ms, few.band_ms),
        (58, None, None, None)
    );
    assert_eq!((few.max_ms, few.window_min), (Some(49_000), None));

    let all = [minute(0, 20), minute(22, 30), minute(29, 40)];
    for (cells, n, window) in [
        (&[minute(0, 70), minute(29, 59)][..], 59, Some(5)),
        (&all[..], 70, Some(15)),
        (&[minute(0, 59), minute(29, 40)][..], 99, None),
    ] {
        let seen = read(cells, 30).checkout.online;
        assert_eq!((seen.n, seen.window_min), (n, window));
        let (low, high) = seen.band_ms.unwrap();
        let p95 = seen.p95_ms.unwrap();
        assert!(low <= p95 && p95 <= high && high <= seen.max_ms.unwrap());
        assert!(seen.p50_ms.unwrap() < p95);
    }
}

#[test]
fn bands_are_order_statistics() {
    // n, then 1-based ranks for the 95th percentile. Those under 100 values were summed in exact
    // fractions apart from this code.
    for (n, low, high) in [
        (1, 1, 1),
        (59, 52, 59),
        (99, 89, 99),
        (100, 90, 100),
        (212, 195, 208),
    ] {
        assert_eq!(band_ranks(n, 95), (low, high), "{n}");
    }
    assert_eq!(band_ranks(1_000, 50), (469, 531));
    assert_eq!(band_ranks(80, 50), (31, 50));
}

#[test]
fn a_hang_shows_although_the_completed_look_well() {
    let mut held = cell("till-1", 9, 5);
    took(&mut held, (0..60).map(|_| 20));
    held.checkout = Some(CheckoutCounts {
        started: 66,
        ok: 60,
        by_start: vec![StartRow {
            minute: M0 + 9,
            closed: 60,
            in_time: 60,
            ..StartRow::default()
        }],
        ..CheckoutCounts::default()
    });
    let calm = read(&[held.clone()], 10).checkout;
    assert_eq!((calm.open, calm.in_flight_bound_ms), (6, None));
    let hung = read(&[held.clone()], 12).checkout;
    assert_eq!((hung.open, hung.in_flight_bound_ms), (6, Some(120_000)));
    assert_eq!(hung.online.p95_ms, Some(20_000));
    assert_eq!(read(&[held.clone()], 41).checkout.open, 0);

    let mut next_life = cell("till-1", 11, 1);
    (next_life.epoch, next_life.epoch_id) = (2, vec![8; 16]);
    assert_eq!(read(&[held, next_life], 12).checkout.open, 0);
}

#[test]
fn stock_is_expected_against_counted_at_the_count() {
    let mut first = cell("till-1", 0, 1);
    first.skus = vec![sku("ink", 0, 4), sku("mug", 10, 2), sku("pen", 5, 6)];
    let mut second = cell("till-1", 3, 2);
    // Counted 7 when 8 should have been there; one more was sold later in that minute.
    second.skus = vec![SkuRow {
        count: Some(CountRow {
            qty: 7,
            ms: Minute(M0 + 3).start().0 + 5,
            seq: 2,
            sold_after_in_minute: 1,
        }),
        ..sku("mug", 0, 1)
    }];
    let mut third = cell("till-1", 4, 3);
    third.skus = vec![sku("mug", 0, 3)];
    let view = read(&[first, second, third], 5);
    let found: Vec<_> = view
        .stock
        .iter()
        .map(|row| {
            let count = row.count.map(|count| (count.counted, count.skew));
            (row.sku.as_str(), row.expected, count, row.oversold)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("mug", Some(4), Some((7, -1)), false),
            ("pen", Some(-1), None, true),
            ("ink", None, None, false),
        ]
    );
}

#[test]
fn tokens_are_told_apart_and_estimates_say_so() {
    let touch = |hash, kind| TokenTouch {
        hash,
        kind,
        offset_ms: 1,
        expires: 0,
    };
    let with = |rig: &str, set: Vec<TokenTouch>| Cell {
        tokens: Some(TokenCounts {
            issued: 1,
            set,
            ..TokenCounts::default()
        }),
        ..cell(rig, 0, 1)
    };
    let one = with(
        "till-1",
        vec![
            touch(1, 1),
            touch(1, 2),
            touch(2, 1),
            touch(3, 1),
            touch(3, 3),
        ],
    );
    let two = with("till-2", vec![touch(1, 2), touch(2, 2)]);
    let seen = read(&[one, two], 1).tokens;
    assert_eq!((seen.issued, seen.redeemed, seen.estimated), (2, 2, false));

    let step = u64::MAX / 4_096;
    let mut cut = with("till-1", (1..=1_024).map(|i| touch(i * step, 1)).collect());
    cut.tokens.as_mut().unwrap().cut = 1_024 * step + 1;
    let seen = read(&[cut], 1).tokens;
    assert!(
        seen.estimated && (4_090..=4_100).contains(&seen.issued),
        "{seen:?}"
    );
}

#[test]
fn a_silent_rig_is_named_and_its_unknown_backlog_is_not_zero() {
    let mut region = Region::new(RegionId([1; 16]));
    let mut told = beacon("till-1", 1, 40, 12);
    told.unsent_money = vec![MinorIn {
        currency: "EUR".into(),
        minor: 300,
    }];
    let held = Cell {
        money: vec![money("EUR", 1_000, 0)],
        ..cell("till-1", 0, 3)
    };
    let cuts = vec![cut("till-1", 0, 30, 1), cut("till-2", 0, 9, 2)];
    region.accept(&batch(&[held], cuts, vec![told]), now(2));
    let asof = region.view(POPUP, now(2)).unwrap().asof;
    assert_eq!((asof.have, asof.known, asof.silent.len()), (39, 49, 0));
    assert_eq!(asof.watermark, Some(Minute(M0 + 1).start()));

    region.accept(
        &batch(&[], vec![], vec![beacon("till-1", 2, 41, 13)]),
        now(3),
    );
    let view = region.view(POPUP, now(3)).unwrap();
    let silent: Vec<_> = view
        .asof
        .silent
        .iter()
        .map(|silent| (silent.rig.as_str(), silent.since_ms, silent.records))
        .collect();
    assert_eq!(silent, [("till-2", now(2).wall.0, None)]);
    assert_eq!(view.asof.unsent.unknown, [String::from("till-2")]);
    assert_eq!(view.asof.unsent.records, 13);
    assert_eq!(view.asof.stage[0].replicated, None);
    assert_eq!(view.rigs[1].state, "silent");
    assert_eq!(view.rigs[1].unsent, None);
}

/// What the books say waits, as the beacon of no rig.
fn books(number: u64, waiting: &[(&str, i64)]) -> Beacon {
    let row = |(currency, minor): &(&str, i64)| MinorIn {
        currency: (*currency).into(),
        minor: *minor,
    };
    Beacon {
        popup: POPUP.into(),
        rig: CENTRAL.into(),
        number,
        waiting_money: waiting.iter().map(row).collect(),
        ..Beacon::default()
    }
}

#[test]
fn what_the_books_say_waits_is_not_settled_and_they_are_no_rig() {
    let mut region = Region::new(RegionId([9; 16]));
    let mut sold = cell("till-1", 0, 1);
    sold.money = vec![money("EUR", 900, 100), money("JPY", 5_000, 0)];
    let mut till = beacon("till-1", 1, 1, 1);
    till.unsent_money = vec![MinorIn {
        currency: "EUR".into(),
        minor: 200,
    }];
    // Books remember every popup; of one that no rig told of, nothing is shown.
    region.accept(&batch(&[], vec![], vec![books(1, &[("EUR", 450)])]), now(1));
    assert!(region.popups().is_empty());
    region.accept(&batch(&[sold], vec![], vec![till]), now(1));
    let seen = |region: &Region| {
        let view = region.view(POPUP, now(1)).unwrap();
        assert_eq!(view.rigs.len(), 1, "{:?}", view.rigs);
        assert!(view.asof.silent.is_empty());
        let stages = view.asof.stage.iter();
        stages
            .map(|s| (s.durable, s.replicated, s.reconciled))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        seen(&region),
        [
            (800, Some(600), Some(150)),
            (5_000, Some(5_000), Some(5_000))
        ]
    );
    let before = region.etag(POPUP, now(1));
    region.accept(&batch(&[], vec![], vec![books(2, &[])]), now(1));
    assert_eq!(seen(&region)[0], (800, Some(600), Some(600)));
    assert_ne!(region.etag(POPUP, now(1)), before);
    // An older word changes nothing, one that is full leaves the rest unknown.
    region.accept(&batch(&[], vec![], vec![books(1, &[("EUR", 1)])]), now(1));
    assert_eq!(seen(&region)[0].2, Some(600));
    let full: Vec<_> = (0..limits::REGION_CURRENCIES_MAX)
        .map(|_| ("GBP", 1))
        .collect();
    region.accept(&batch(&[], vec![], vec![books(3, &full)]), now(1));
    assert_eq!(seen(&region)[0].2, None);
    assert_eq!(
        region.beacons().count(),
        2,
        "it is passed on like any other"
    );
}

#[test]
fn a_rig_in_touch_that_never_said_holds_the_watermark_back() {
    let mut region = Region::new(RegionId([1; 16]));
    let heard = vec![beacon("till-2", 1, 4, 4)];
    region.accept(&batch(&[], vec![cut("till-1", 0, 5, 3)], heard), now(3));
    assert_eq!(region.view(POPUP, now(3)).unwrap().asof.watermark, None);
    let all_silent = region.view(POPUP, now(9)).unwrap().asof;
    assert_eq!(all_silent.watermark, Some(Minute(M0 + 3).start()));
    assert_eq!(all_silent.silent.len(), 2);
}

#[test]
fn the_gravest_state_speaks_for_a_rig() {
    let mut region = Region::new(RegionId([1; 16]));
    let cases = [
        (&[][..], "ok"),
        (&["replaying", "selling_offline"][..], "selling_offline"),
        (&["power", "cannot_store"][..], "cannot_store"),
        (&["brand_new"][..], "brand_new"),
    ];
    for (number, (states, expect)) in (1..).zip(cases) {
        let mut said = beacon("till-1", number, 1, 0);
        said.states = states.iter().map(|state| String::from(*state)).collect();
        region.accept(&batch(&[], vec![], vec![said]), now(1));
        assert_eq!(region.view(POPUP, now(1)).unwrap().rigs[0].state, expect);
    }
}

#[test]
fn hostile_moments_do_not_panic() {
    let mut held = cell("till-1", 0, 1);
    held.minute = u32::MAX;
    held.checkout = Some(CheckoutCounts {
        started: u64::MAX,
        ok: u64::MAX,
        ..CheckoutCounts::default()
    });
    held.money = vec![money("EUR", i64::MAX, i64::MIN)];
    let mut far = cut("till-1", 0, u64::MAX, 0);
    far.clear_ms = i64::MAX;
    let mut region = Region::new(RegionId([1; 16]));
    region.accept(
        &batch(&[held], vec![far], vec![beacon("x", 1, u64::MAX, u64::MAX)]),
        Now {
            wall: WallMs(i64::MAX),
            mono: MonoMs(u64::MAX),
        },
    );
    let view = region.view(POPUP, now(0)).unwrap();
    assert_eq!(view.asof.have, u64::MAX);
}
