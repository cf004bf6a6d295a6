//! A till is told that its popup's books were closed: what it sells then is late, kept and sent.

use serde_json::{Value, json};

use crate::support::{Site, get, outcome, post, sale, sell, until};

#[test]
fn a_till_hears_that_its_popup_is_closed_and_sells_on_late() {
    let site = Site::new("closed");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let edge = site.start_edge();
    sell(&site.edge, &[sale("stall", "checkout", "a", 450)]);
    site.drained("stall", 1);
    assert_eq!(site.status()["closed"], Value::Null);

    let url = format!("http://{}", site.ledger);
    let (status, _, why) = outcome(&["close", "stall", "--ledger", &url]);
    assert_eq!(status, Some(0), "{why}");
    // A till hears of it with its next answer: of what it sells next, or at its next start.
    assert_eq!(edge.stop(), Some(0));
    let _edge = site.start_edge();
    until("the till knows", || {
        (site.status()["closed"] == json!(["stall"])).then_some(())
    });

    let sold = post(&site.edge, &[sale("stall", "checkout", "b", 550)]).unwrap();
    let verdict = &sold.json()["results"][0];
    assert_eq!(
        (&verdict["status"], &verdict["late"]),
        (&json!("accepted"), &json!(true)),
        "{verdict}"
    );
    until("the books name the late sale", || {
        let breaks = get(&site.ledger, "/v1/popups/stall/breaks");
        let items = breaks["items"].as_array()?;
        items.iter().find(|of| of["class"] == "X-LATE").map(drop)
    });
    let summary = get(&site.edge, "/v1/popups/stall/summary");
    let gross = &summary["rows"]["now"]["currencies"][0]["gross"];
    assert_eq!(gross, 450, "a late sale is not folded: {summary}");
}
