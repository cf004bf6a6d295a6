//! The page of a popup as it was told, and of one that nobody told much about.

use super::*;
use chart::{Minute, takings};

fn told() -> Told {
    Told {
        popup: "fri".into(),
        summary: json!({
            "asof": { "stage": [{ "currency": "EUR", "durable": 3_800, "replicated": 3_800 }] },
            "rows": {
                "popup": { "starts_ms": 1_323_108_000_000_i64, "ends_ms": 1_323_118_800_000_i64, "zone": "Europe/Berlin" },
                "now": { "checkout": { "p50_ms": 900, "p95_ms": 41_000 } },
                "board/creators": { "rows": [{ "rank": 1, "id": "<b>ana</b>", "currency": "EUR",
                    "gross": 3_800, "refund": 0, "net": 3_800, "units": 4, "orders": 3 }] },
            },
        }),
        series: json!({ "points": [{ "start_ms": 1_323_108_000_000_i64,
            "money": [{ "currency": "EUR", "gross": 5_700, "refund": 1_900 }] }] }),
        slo: json!({ "slos": [
            { "slo": "checkout_success", "objective_ppm": 990_000, "n": 3, "bad": 0, "budget": { "consumed_ppm": 0 }, "page": null },
            { "slo": "refund_rate", "objective_ppm": 970_000, "n": 3, "bad": 1, "budget": { "consumed_ppm": 4_000_000 }, "page": null },
        ] }),
        found: json!({
            "as_of_ms": 1_323_205_200_000_i64, "closed": true,
            "totals": { "EUR": { "captured": 5_700, "refunded": 1_900, "net": 3_800, "sales": 3, "refunds": 1 } },
            "claims": { "EUR": { "claimed": 5_700, "confirmed": 5_600, "settled": 5_600 } },
            "suspense": { "EUR": 0 }, "cells": { "compared": 1, "drifted": 0 },
            "rigs": [{ "rig": "till-1", "epoch": 1, "last": 7, "missing": [], "lost": [] }],
        }),
        breaks: vec![
            json!({ "id": "k3", "class": "P-MISSING", "severity": "money", "state": "open",
            "sentence": "Nothing is known of p1.", "owner": "finance", "action": "Look it up." }),
        ],
        close: json!({ "close": { "n": 1, "scope": "settled" }, "hash": "ab", "key": "k" }),
        ..Told::default()
    }
}

#[test]
fn a_page_says_what_was_told_and_no_more() {
    let page = page::html(&told());
    for part in [
        "EUR 57.00",
        "38.00",
        "not kept",
        "kept",
        "P-MISSING",
        "EUR -1.00",
        "Open breaks about money: 1. In suspense: EUR 0.00.",
        "&lt;b&gt;ana&lt;/b&gt;",
        "41.0 s",
        "held in Europe/Berlin",
        "Closed up to the bank account",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("http"));
    assert!(page.len() < 40_000, "{}", page.len());
}

#[test]
fn nothing_told_is_said_to_be_so() {
    let told = Told {
        popup: "fri".into(),
        found: json!({ "totals": {} }),
        ..Told::default()
    };
    let page = page::html(&told);
    for part in [
        "Nothing was sold",
        "No region answered",
        "not closed",
        "window not known",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let mut told = told();
    told.breaks = vec![told.breaks[0].clone(); 1_000];
    let page = page::html(&told);
    assert!(page.contains("and 960 more"));
    assert!(page.len() <= REPORT_BYTES_MAX, "{}", page.len());
}

#[test]
fn one_huge_order_does_not_flatten_the_others() {
    let minute = |at: i64, gross| Minute {
        start_ms: at * 60_000,
        gross,
        refund: 0,
    };
    let usual: Vec<Minute> = (0..30).map(|at| minute(at, 1_000)).collect();
    assert!(!takings("EUR", &usual).contains("class=cut"));
    let mut with_one = usual.clone();
    with_one.push(minute(30, 100_000));
    let drawn = takings("EUR", &with_one);
    assert!(
        drawn.contains("class=cut") && drawn.contains(">1,000</text>"),
        "{drawn}"
    );
    // The others keep two thirds of the height.
    let height = drawn
        .split("height=")
        .nth(1)
        .and_then(|text| text.split('>').next());
    assert_eq!(height, Some("158"));
    assert!(takings("EUR", &[]).is_empty());
    let refund = Minute {
        start_ms: 60_000,
        gross: 0,
        refund: 500,
    };
    assert!(takings("EUR", &[refund]).contains("class=refund"));
}
