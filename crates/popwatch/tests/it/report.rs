//! `popwatch report` of a small popup, with a region and without.

use serde_json::Value;

use crate::support::{Site, outcome, sale, sell, try_get, until};

const POPUP: &str = "fri";

#[test]
fn a_popup_becomes_one_page_that_asks_nobody() {
    let site = Site::new("report");
    let (region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    sell(
        &site.edge,
        &[sale(POPUP, "a", "1", 123_456), sale(POPUP, "a", "2", 300)],
    );
    site.drained(POPUP, 2);
    until("the region shows the sales", || {
        let series = try_get(&site.region, &format!("/v1/popups/{POPUP}/series"))?;
        let text = series.to_string();
        text.contains("123756").then_some(())
    });
    let path = site.folder.join("fri.html").display().to_string();
    let ledger = format!("http://{}", site.ledger);
    let region_url = format!("http://{}", site.region);
    let args = [
        "report",
        POPUP,
        "--ledger",
        &ledger,
        "--region",
        &region_url,
        "--html",
        &path,
    ];
    let (status, out, err) = outcome(&args);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("fri.html"), "{out}");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("1,237.56") && page.contains("Booked") && page.contains("till-1"));
    assert!(page.contains("<svg class=chart"), "takings by minute");
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("url("));
    assert!(page.len() < 300_000);

    let document: Value = {
        let mut args = args.to_vec();
        args.extend(["--format", "json"]);
        serde_json::from_str(&outcome(&args).1).unwrap()
    };
    assert_eq!(
        document["reconciliation"]["totals"]["EUR"]["captured"],
        123_756
    );

    drop(region);
    let (status, _, err) = outcome(&args);
    assert_eq!(status, Some(0), "{err}");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("No region answered") && page.contains("1,237.56"));

    let nobody = [
        "report",
        POPUP,
        "--ledger",
        "http://127.0.0.1:1",
        "--html",
        &path,
    ];
    let (status, _, err) = outcome(&nobody);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("is a ledger running"), "{err}");
}
