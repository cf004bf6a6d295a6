//! Laws over generated journals: one fold whatever the cuts, exact money, cells that read back.

use super::*;
use crate::cell::{CellFault, Join, forked, join};
use crate::event::system::{ClockAnchored, SystemEvent};
use crate::invariant;
use proptest::prelude::*;

/// One event out of small worlds of ids, so that repeats, refunds of known sales and closings of
/// known checkouts happen.
fn any_event() -> impl Strategy<Value = Event> {
    (0u8..20, 0u8..12, 0u8..6, 0i64..5_000).prop_map(|(what, one, two, number)| {
        let (a, b) = (format!("a{one}"), format!("b{two}"));
        let lines = vec![
            line(&b, number % 5, number, ""),
            line(&a, 1, number / 2, &b),
        ];
        match what {
            0 | 1 => captured(&a, &b, number),
            2 | 3 => sale(&a, number * 2, lines),
            4 => refund(&format!("r{number}"), &a, number, vec![]),
            5 => refund(&b, &a, number, lines),
            6 => failed(&a, &b, number, Reason::Technical),
            7 => started(&a),
            8 => completed(&a, &b, None),
            9 => abandoned(&a, Some(Reason::Technical)),
            10 => issued(&a, &b, Some(number)),
            11 => redeemed(&a),
            12 => watched(&b, number),
            13 => counted(&b, number),
            14 => moved(&a, "pool", number),
            15 => allocated(&a, number),
            16 => Event::ProductViewed(ProductViewed {
                viewer: Subject::new(&a).unwrap(),
                sku: Sku::new(&b).unwrap(),
                creator: None,
            }),
            17 => Event::ChatMessage(ChatMessage {
                stream: ChatStream::new(&b).unwrap(),
                viewer: Subject::new(&a).unwrap(),
                text: ChatText::Scored(ChatScore::covered(i16::try_from(number).unwrap())),
            }),
            18 => Event::DropOpened(DropOpened {
                drop: FlashDropId::new(&a).unwrap(),
                sku: Sku::new(&b).unwrap(),
                creator: CreatorId::new(&a).ok(),
                qty: None,
                price: Some(Minor(number)),
            }),
            _ => fulfilled(&b, FulfilmentStep::HandedOver, &a),
        }
    })
}

fn any_journal() -> impl Strategy<Value = Vec<Record>> {
    let one = (
        any_event(),
        0i64..600_000,
        proptest::option::of(0u32..900_000),
        0u8..20,
    );
    proptest::collection::vec(one, 0..60).prop_map(|rows| {
        let mut records = vec![record(0, policy())];
        let mut now = 0;
        for (event, step, age_ms, late) in rows {
            now += step / 20;
            let mut next = record(now, event);
            next.stamp.age_ms = age_ms;
            next.flags.late = late == 0;
            records.push(next);
        }
        records
    })
}

/// First money facts of a journal, by hand: (currency, captured − refunded).
fn money_of(records: &[Record]) -> BTreeMap<Currency, i64> {
    let mut seen = std::collections::BTreeSet::new();
    let mut sums = BTreeMap::from([(gbp(), 0)]);
    for record in records.iter().filter(|record| !record.flags.late) {
        let (key, minor) = if let Event::PaymentCaptured(data) = &record.event {
            (format!("c{}", data.payment), data.amount.0)
        } else if let Event::PaymentRefunded(data) = &record.event {
            (format!("r{}", data.refund), -data.amount.0)
        } else {
            continue;
        };
        if seen.insert(key) {
            *sums.get_mut(&gbp()).unwrap() += minor;
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_is_from_scratch_and_cells_sum_to_their_events(records in any_journal()) {
        let mut held: BTreeMap<(PopupId, Minute), Vec<u8>> = BTreeMap::new();
        let mut live = empty();
        for (seq, record) in (1..).zip(&records) {
            prop_assert_eq!(live.apply(Seq(seq), record), Step::Folded);
            for (popup, minute) in live.take_changed() {
                let cell = live.cell(&popup, minute).unwrap();
                prop_assert_eq!(cell.version, seq);
                held.insert((popup, minute), cell.encode_canonical());
            }
        }
        let scratch = bytes(&fold(&records));
        prop_assert_eq!(invariant::same_cells(&bytes(&live), &scratch), Ok(()));
        let published: Vec<Vec<u8>> = held.into_values().collect();
        prop_assert_eq!(invariant::same_cells(&published, &scratch), Ok(()));

        let whole = money_of(&records);
        let parts = live.cells().flat_map(|cell| &cell.money);
        let parts: Vec<_> = parts.map(|row| (gbp(), row.gross - row.refund)).collect();
        prop_assert_eq!(invariant::money_exact("cells", parts, &whole), Ok(()));
        let shares = live.cells().flat_map(|cell| &cell.creators);
        let shares: Vec<_> = shares.map(|row| (gbp(), row.gross - row.refund)).collect();
        prop_assert_eq!(invariant::money_exact("creators", shares, &whole), Ok(()));
    }

    #[test]
    fn anchors_anywhere_give_the_cells_that_their_last_word_gives(
        records in any_journal(),
        anchors in proptest::collection::vec((any::<prop::sample::Index>(), -9i64..9, any::<bool>()), 1..4),
    ) {
        let mut records = records;
        for (at, minutes, rebucket) in anchors {
            let at = 1 + at.index(records.len());
            let now = records[at - 1].stamp;
            let anchored = ClockAnchored {
                mono_ns: now.mono_ns,
                wall_us: (now.wall_ms + minutes * 60_000) * 1_000,
                u_ms: 10,
                rebucket,
                ..ClockAnchored::default()
            };
            let mut next = record(0, Event::System(SystemEvent::ClockAnchored(anchored)));
            next.stamp = now;
            records.insert(at, next);
        }
        let mut live = empty();
        for (seq, one) in (1..).zip(&records) {
            if live.apply(Seq(seq), one) == Step::Rebucket {
                let before = live.head();
                let mut again = live.again(Seq(seq), one);
                for (seq, one) in (1..).zip(&records) {
                    again.apply(Seq(seq), one);
                }
                prop_assert_eq!(live.head(), before);
                live.adopt(again);
            }
        }
        prop_assert_eq!(live.head(), Seq(records.len() as u64));
        // Apart from versions: as if the last anchor that moves had been known from the start.
        let last = records.iter().rposition(|one| matches!(&one.event,
            Event::System(SystemEvent::ClockAnchored(anchored)) if anchored.rebucket));
        let mut known = empty();
        if let Some(last) = last {
            let mut again = known.again(Seq(last as u64 + 1), &records[last]);
            for (seq, one) in (1..).zip(&records) {
                again.apply(Seq(seq), one);
            }
            known.adopt(again);
        }
        for (seq, one) in (1..).zip(&records) {
            let step = known.apply(Seq(seq), one);
            prop_assert!(step != Step::Rebucket);
        }
        let plain = |fold: &EpochFold| {
            let filled = fold.cells().filter(|cell| **cell != Cell {
                popup: cell.popup.clone(), rig: cell.rig.clone(), epoch: cell.epoch,
                epoch_id: cell.epoch_id.clone(), minute: cell.minute, version: cell.version,
                ..Cell::default()
            });
            filled.map(|cell| Cell { version: 0, ..cell.clone() }).collect::<Vec<_>>()
        };
        prop_assert_eq!(plain(&live), plain(&known));
    }

    #[test]
    fn each_cell_reads_back_and_nothing_else_does(
        records in any_journal(), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        for encoded in bytes(&fold(&records)) {
            let cell = Cell::decode_canonical(&encoded).unwrap();
            prop_assert_eq!(cell.encode_canonical(), &encoded[..]);
            let mut bad = encoded.clone();
            bad[at.index(encoded.len())] ^= flip;
            if let Ok(other) = Cell::decode_canonical(&bad) {
                prop_assert_eq!(other.encode_canonical(), bad);
            }
        }
    }

    #[test]
    fn joins_are_a_join(editions in proptest::collection::vec((0u64..4, 0u8..4), 3)) {
        let [a, b, c] = [0, 1, 2].map(|at: usize| (editions[at].0, [editions[at].1; 16]));
        let both = |x, y| if join(&x, &y) == Join::Take { y } else { x };
        prop_assert_eq!(join(&a, &a), Join::Same);
        prop_assert_eq!(both(a, b), both(b, a));
        prop_assert_eq!(both(both(a, b), c), both(a, both(b, c)));
        prop_assert_eq!(forked(&a, &b), a.0 == b.0 && a.1 != b.1);
    }

    #[test]
    fn arbitrary_bytes_are_no_cell_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(cell) = Cell::decode_canonical(&bytes) {
            prop_assert_eq!(cell.encode_canonical(), bytes);
        }
    }
}

#[test]
fn only_the_canonical_form_of_a_possible_cell_is_read() {
    let lines = vec![line("a", 1, 5, "x"), line("b", 1, 5, "y")];
    let fold = fold_events(vec![
        (0, sale("p", 10, lines)),
        (1, started("c")),
        (2, completed("c", "o", None)),
    ]);
    let good = fold.cells().next().unwrap();
    assert!(Cell::decode_canonical(&good.encode_canonical()).is_ok());
    let spoil = |spoil: fn(&mut Cell)| {
        let mut bad = good.clone();
        spoil(&mut bad);
        Cell::decode_canonical(&bad.encode_canonical()).unwrap_err()
    };
    assert_eq!(spoil(|cell| cell.skus.swap(0, 1)), CellFault::NotCanonical);
    assert_eq!(
        spoil(|cell| cell.skus[1].sku = "a".into()),
        CellFault::NotCanonical
    );
    assert_eq!(
        spoil(|cell| cell.counts = Some(Default::default())),
        CellFault::NotCanonical
    );
    assert_eq!(spoil(|cell| cell.version = 0), CellFault::Range("version"));
    assert_eq!(
        spoil(|cell| cell.version = 1 << 53),
        CellFault::Range("version")
    );
    assert_eq!(
        spoil(|cell| cell.rig = "../x".into()),
        CellFault::Range("rig")
    );
    assert_eq!(spoil(|cell| cell.flags = 8), CellFault::Range("flags"));
    assert_eq!(
        spoil(|cell| cell.money[0].currency = "gbp".into()),
        CellFault::Range("currency")
    );
    assert_eq!(
        spoil(|cell| cell.hists[0].count += 1),
        CellFault::Range("histogram")
    );
    assert_eq!(
        spoil(|cell| cell.creators[0].evidence = 9),
        CellFault::Range("evidence")
    );
    let mut unknown = good.encode_canonical();
    unknown.extend([0xF8, 0x01, 1]);
    assert_eq!(
        Cell::decode_canonical(&unknown),
        Err(CellFault::NotCanonical)
    );
    let large = vec![0; limits::CELL_BYTES_MAX + 1];
    assert_eq!(
        Cell::decode_canonical(&large),
        Err(CellFault::Large(limits::CELL_BYTES_MAX))
    );
}
