//! What people do to the books is written down, and nobody can rewrite it unseen.

use serde_json::Value;

use crate::support::{Process, Site, get, http, outcome, sale, sell};

/// A ledger whose books were closed `times` times, and the region it asks.
pub(crate) fn closed_books(name: &str, times: u32) -> (Site, Process, Process) {
    let site = Site::new(name);
    let (region, ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    sell(&site.edge, &[sale("stall", "checkout", "a", 450)]);
    site.drained("stall", 1);
    let url = format!("http://{}", site.ledger);
    for _ in 0..times {
        let (status, _, why) = outcome(&["close", "stall", "--ledger", &url]);
        assert_eq!(status, Some(0), "{why}");
    }
    (site, ledger, region)
}

#[test]
fn a_close_leaves_a_trace_that_proves_itself_and_an_edit_is_named() {
    let (site, ledger, _region) = closed_books("audit", 2);
    let url = format!("http://{}", site.ledger);
    let tail = |format: &str| outcome(&["audit", "tail", "--ledger", &url, "--format", format]);
    let (status, said, why) = tail("json");
    assert_eq!(status, Some(0), "{why}");
    let page: Value = serde_json::from_str(&said).unwrap();
    let actions = page["entries"].as_array().unwrap().iter();
    let actions: Vec<_> = actions
        .map(|row| row["entry"]["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["log.begun", "books.closed", "books.closed"]);
    assert!(tail("text").1.contains("books.closed"));
    let hash = &get(&site.ledger, "/v1/popups/stall/close")["hash"];
    assert_eq!(&page["entries"][1]["entry"]["detail"]["certificate"], hash);

    let key = page["key"].as_str().unwrap();
    let proof = outcome(&["audit", "prove", "1", "--ledger", &url]).1;
    let held = outcome(&["audit", "checkpoint", "--ledger", &url]).1;
    let held = site.folder.write("held", &held);
    let whole = |key: &str| {
        let held = held.to_str().unwrap();
        outcome(&[
            "audit", "verify", "--key", key, "--held", held, "--ledger", &url,
        ])
    };
    assert_eq!(whole(key).0, Some(0), "{}", whole(key).1);
    assert_eq!(
        http(&site.ledger, "GET /v1/audit/9/proof", &[], b"")
            .unwrap()
            .status,
        404
    );
    ledger.stop();

    let verify = |text: &str| {
        let file = site.folder.write("close.tlog-proof", text);
        outcome(&["audit", "verify", file.to_str().unwrap(), "--key", key])
    };
    let (status, said, why) = verify(&proof);
    assert_eq!(status, Some(0), "{said}{why}");
    assert!(said.contains("books.closed"), "{said}");
    let (status, said, _) = verify(&proof.replace("index 1", "index 2"));
    assert_eq!(
        (status, said.starts_with("PW0806")),
        (Some(3), true),
        "{said}"
    );

    // Somebody takes an entry out of the stored trail: it is never continued, and its head convicts it.
    let trail = site.folder.path().join("books/audit/000001.entries");
    let bytes = std::fs::read(&trail).unwrap();
    std::fs::write(&trail, &bytes[..bytes.len() - 9]).unwrap();
    let _again = site.start_ledger();
    let page = get(&site.ledger, "/v1/audit");
    assert_eq!(page["origin"], "local/audit/ledger/2");
    let after = &page["entries"][0]["entry"]["detail"]["after"];
    assert_eq!(after["origin"], "local/audit/ledger");
    let (status, said, _) = whole(key);
    assert_eq!(
        (status, said.starts_with("PW0806")),
        (Some(3), true),
        "{said}"
    );
}

#[test]
fn while_the_trail_cannot_be_written_nothing_is_closed_and_selling_goes_on() {
    let (site, ledger, _region) = closed_books("audit-full", 1);
    ledger.stop();
    let folder = site.folder.path().join("books/audit");
    // A folder in the way of the file that each new head is written to: no head can be made.
    std::fs::create_dir(folder.join("fresh.tmp")).unwrap();
    let _ledger = site.start_ledger();
    let refused = || http(&site.ledger, "POST /v1/popups/stall/close", &[], b"").unwrap();
    refused();
    let answer = refused();
    assert_eq!(
        (answer.status, answer.json()["code"].as_str().unwrap()),
        (503, "PW0801")
    );
    std::fs::remove_dir(folder.join("fresh.tmp")).unwrap();
    assert_eq!(refused().status, 200);
}
