//! Peers that go away: a region that forgets everything, a ledger that is down for a while.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Site, cells, sale, sell, try_get, until};

const POPUP: &str = "stall";

fn sales(from: u32, count: u32) -> Vec<serde_json::Value> {
    (from..from + count)
        .map(|n| sale(POPUP, "checkout", &format!("sale-{n}"), 100 + i64::from(n)))
        .collect()
}

#[test]
fn a_region_that_forgot_everything_refills_to_the_same_bytes() {
    let site = Site::new("refill");
    let mut region = site.start_region();
    let (_ledger, _edge) = (site.start_ledger(), site.start_edge());
    sell(&site.edge, &sales(0, 40));
    site.drained(POPUP, 40);
    let before = cells(&site.region, POPUP).unwrap();
    let gross = |view: serde_json::Value| view["rows"]["now"]["currencies"][0]["gross"].clone();
    let shown = (0..40).map(|n| 100 + n).sum::<i64>();
    let shows = || {
        let view = try_get(&site.region, "/v1/popups/stall/summary")?;
        (gross(view) == shown).then_some(())
    };
    until("it shows the money", shows);

    region.kill();
    let _region = site.start_region();
    let again = until("the region is full again", || {
        cells(&site.region, POPUP).filter(|held| held.len() >= before.len())
    });
    assert_eq!(again, before);
    until("it shows the same money", shows);
}

#[test]
fn a_till_that_is_told_to_stop_lets_its_last_sales_go_first() {
    let site = Site::new("last");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let edge = site.start_edge();
    sell(&site.edge, &sales(0, 1));
    site.drained(POPUP, 1);
    sell(&site.edge, &sales(1, 50));
    assert_eq!(edge.stop(), Some(0));
    let shown = (0..51).map(|n| 100 + n).sum::<i64>();
    until("the region shows them all", || {
        let view = try_get(&site.region, "/v1/popups/stall/summary")?;
        (view["rows"]["now"]["currencies"][0]["gross"] == shown).then_some(())
    });
    let totals = site.reconciliation(POPUP)["totals"]["EUR"].clone();
    assert_eq!(totals["sales"], 51, "{totals}");
}

#[test]
fn a_till_sells_on_while_the_ledger_is_down_and_catches_up() {
    let site = Site::new("offline");
    let _region = site.start_region();
    let mut ledger = site.start_ledger();
    let _edge = site.start_edge();
    sell(&site.edge, &sales(0, 3));
    site.drained(POPUP, 3);
    assert_eq!(site.status()["states"], json!(["ok"]));

    ledger.kill();
    let mut slowest = Duration::ZERO;
    for n in 3..23 {
        let start = Instant::now();
        sell(&site.edge, &sales(n, 1));
        slowest = slowest.max(start.elapsed());
    }
    eprintln!("slowest acknowledgement without a ledger: {slowest:?}");
    // An answer that waited for a peer would take its time-out, 5 s at least.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let unsent = (3..23).map(|n| 100 + n).sum::<i64>();
    until("the rig says that it sells offline", || {
        let status = site.status();
        let offline = status["states"] == json!(["selling_offline"])
            && status["unsent"]["sales"] == 20
            && status["unsent"]["money"] == json!([{"currency": "EUR", "minor": unsent}]);
        offline.then_some(())
    });
    until("everybody sees it", || {
        let rigs = try_get(&site.region, "/v1/popups/stall/rigs")?;
        let rig = &rigs["rigs"][0];
        (rig["state"] == "selling_offline" && rig["unsent"]["sales"] == 20).then_some(())
    });

    let _ledger = site.start_ledger();
    site.drained(POPUP, 23);
    until("the rig is well", || {
        (site.status()["states"] == json!(["ok"])).then_some(())
    });
    let found = site.reconciliation(POPUP);
    assert_eq!(found["totals"]["EUR"]["sales"], 23, "{found}");
    assert_eq!(found["totals"]["EUR"]["net"], unsent + 303, "{found}");
    assert_eq!(found["closed"], true, "{found}");
}
