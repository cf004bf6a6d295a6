//! Bounds of rows and tables, and the golden bytes of a crowded journal.

use super::signals::started_by;
use super::*;
use crate::invariant;

/// A journal whose one minute tries to pass every bound.
fn crowd() -> Vec<(i64, Event)> {
    let currencies = [
        "AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK",
        "EGP", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES", "KRW", "KWD",
        "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "QAR", "RON",
    ];
    let mut events = Vec::new();
    for n in 0..1_500i64 {
        let currency = currencies[usize::try_from(n).unwrap() % currencies.len()];
        let lines = vec![line(
            &format!("sku{n}"),
            3,
            900,
            &format!("creator{}", n % 200),
        )];
        let pay = PaymentCaptured {
            currency: Currency::new(currency).unwrap(),
            method: PaymentMethod::new(&format!("method{}", n % 20)).unwrap(),
            lines: Some(lines),
            ..capture(&format!("p{n}"), &format!("o{n}"), 1_000)
        };
        events.push((1, Event::PaymentCaptured(pay)));
        events.push((1, issued(&format!("t{n}"), "", None)));
        events.push((1, watched(&format!("stream{}", n % 40), 1_000)));
        let member = format!("member{}", n % 100);
        events.push((
            1,
            fulfilled(&format!("o{n}"), FulfilmentStep::Packed, &member),
        ));
        events.push((
            1,
            failed(&format!("f{n}"), &format!("o{n}"), 5, Reason::Technical),
        ));
        events.push((1, started_by(&format!("k{n}"), &format!("v{n}"))));
        let drop = FlashDropId::new(&format!("d{}", n % 50)).unwrap();
        let sku = Sku::new("s").unwrap();
        let opened = DropOpened {
            drop,
            sku,
            creator: None,
            qty: None,
            price: None,
        };
        events.push((1, Event::DropOpened(opened)));
    }
    events
}

#[test]
fn rows_keep_to_their_bounds_and_the_rest_is_other() {
    let fold = fold_events(crowd());
    let cell = fold.cells().next().unwrap();
    let named = |names: Vec<&str>| {
        let mut names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.dedup();
        names.len()
    };
    let encoded = cell.encode_canonical();
    invariant::within_limits([
        (
            "currencies",
            named(cell.money.iter().map(|r| &*r.currency).collect()),
            limits::CELL_CURRENCIES_MAX,
        ),
        ("risk", cell.risk.len(), limits::CELL_CURRENCIES_MAX),
        (
            "skus",
            named(cell.skus.iter().map(|r| &*r.sku).collect()),
            limits::CELL_SKUS_MAX,
        ),
        (
            "creators",
            named(cell.creators.iter().map(|r| &*r.creator).collect()),
            limits::CELL_CREATORS_MAX,
        ),
        (
            "members",
            named(cell.fulfil.iter().map(|r| &*r.member).collect()),
            limits::CELL_MEMBERS_MAX,
        ),
        (
            "streams",
            named(cell.streams.iter().map(|r| &*r.stream).collect()),
            limits::CELL_STREAMS_MAX,
        ),
        ("drops", cell.drops.len(), limits::CELL_DROPS_MAX),
        (
            "tokens",
            cell.tokens.as_ref().unwrap().set.len(),
            limits::CELL_TOKENS_MAX,
        ),
        (
            "viewers",
            cell.subjects.as_ref().unwrap().set.len(),
            limits::CELL_SUBJECTS_MAX,
        ),
        ("bytes", encoded.len(), limits::CELL_BYTES_MAX),
    ])
    .unwrap();
    assert!(cell.counts.as_ref().unwrap().other() > 0);
    assert_eq!(cell.skus.iter().map(|row| row.sold).sum::<i64>(), 4_500);
    assert_eq!(
        cell.skus[0].sku, "",
        "what has no row of its own is in the first"
    );
    assert!(
        cell.skus.iter().any(|row| row.sku == "sku0"),
        "first come keeps its name"
    );
    assert_eq!(
        cell.streams.iter().map(|row| row.samples).sum::<u64>(),
        1_500
    );
    assert_eq!(cell.fulfil.iter().map(|row| row.orders).sum::<u64>(), 1_500);
    let gross: i64 = cell.money.iter().map(|row| row.gross).sum();
    let shared: i64 = cell.creators.iter().map(|row| row.gross).sum();
    assert_eq!(gross, shared);
    assert_eq!(Cell::decode_canonical(&encoded).unwrap(), *cell);
}

/// A cut that takes a token with both its touches leaves a place free: nothing larger may take it.
#[test]
fn the_token_set_keeps_the_smallest_hashes_whatever_their_order() {
    let set = |order: &[i64]| {
        let issues = order
            .iter()
            .map(|n| (1, issued(&format!("t{n}"), "", None)));
        let redemptions = order.iter().map(|n| (2, redeemed(&format!("t{n}"))));
        let fold = fold_events(issues.chain(redemptions).collect());
        let tokens = fold.cells().next().unwrap().tokens.clone().unwrap();
        assert_eq!((tokens.issued, tokens.redeemed), (1_201, 1_201));
        let touches = tokens.set.iter().map(|touch| (touch.hash, touch.kind));
        touches.collect::<Vec<_>>()
    };
    let up: Vec<i64> = (0..1_201).collect();
    let down: Vec<i64> = up.iter().rev().copied().collect();
    let all: Vec<u64> = set(&up).iter().map(|touch| touch.0).collect();
    for kept in [set(&up), set(&down)] {
        let whole = kept
            .chunk_by(|a, b| a.0 == b.0)
            .all(|touches| touches.len() == 2);
        assert!(whole, "a token below the cut is kept with all its touches");
        let prefix = kept.iter().zip(&all).all(|(touch, hash)| touch.0 == *hash);
        assert!(prefix, "no token below the cut is missing");
        assert!(kept.len() + 4 >= limits::CELL_TOKENS_MAX);
    }
}

#[test]
fn a_place_that_a_cut_leaves_free_stays_free_for_smaller_hashes() {
    let rig = RigId::new("till-1").unwrap();
    let mut slot = Slot::new(&popup(), &rig, Epoch(2), EpochId([7; 16]), Minute(FIRST));
    let at = At {
        popup_no: 0,
        seq: Seq(1),
        time: WallMs(STARTS),
        minute: Minute(FIRST),
        mono_ns: 0,
        checkout_limit_ms: 0,
    };
    let full = u64::try_from(limits::CELL_TOKENS_MAX).unwrap();
    (0..full).for_each(|n| slot.token_touch(&at, 10 * n, 1, 0));
    let largest = 10 * (full - 1);
    slot.token_touch(&at, largest, 2, 0);
    slot.token_touch(&at, largest + 1, 1, 0);
    let hashes = |slot: &Slot| -> (usize, u64) {
        let set = &slot.cell().tokens.as_ref().unwrap().set;
        (set.len(), set.last().unwrap().hash)
    };
    assert_eq!(hashes(&slot), (limits::CELL_TOKENS_MAX - 1, largest - 10));
    slot.token_touch(&at, 5, 1, 0);
    assert_eq!(hashes(&slot), (limits::CELL_TOKENS_MAX, largest - 10));
}

#[test]
fn forgotten_checkouts_are_counted() {
    let many = i64::try_from(limits::FOLD_CHECKOUTS_MAX).unwrap() + 3;
    let mut events: Vec<_> = (0..many).map(|n| (1, started(&format!("c{n}")))).collect();
    events.push((61, completed("c0", "o", None)));
    let fold = fold_events(events);
    let unmatched = fold
        .cells()
        .map(|cell| cell.counts.as_ref().unwrap().unmatched);
    assert_eq!(unmatched.collect::<Vec<_>>(), [3, 1]);
}

/// L12: the bytes of a fixed journal. A change of this digest is a change of the cell's format or of
/// what a metric means, and every holder of cells must learn of it.
#[test]
fn a_fixed_journal_has_the_same_cells_everywhere() {
    let mut events = crowd();
    events.extend((0..40).map(|n| {
        (
            n * 60,
            refund(&format!("r{n}"), &format!("p{n}"), 1_000, vec![]),
        )
    }));
    events.extend((0..40).map(|n| (n * 60, started(&format!("c{n}")))));
    events.extend((0..40).map(|n| (3_000, completed(&format!("c{n}"), &format!("o{n}"), None))));
    let whole: Vec<u8> = bytes(&fold_events(events)).concat();
    let digest: String = crate::cell::digest_of(&whole)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, "994947f385f3dc09f3711b0009bcaf16");
}
