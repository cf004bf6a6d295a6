//! Processes that know each other by their keys: lanes over TLS, and who is not talked to.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Site, http, outcome, sale, sell, until};

const POPUP: &str = "market";

/// The public key of whoever lives in a data directory, as it is written in addresses.
pub(crate) fn key_in(data: &Path) -> String {
    let file = until("the identity is made", || {
        fs::read(data.join("identity")).ok()
    });
    file[40..]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn lanes_and_commands_go_over_tls_to_the_pinned_key_alone() {
    let site = Site::new("pinned");
    let _region = site.start_region();
    let _ledger = site.start_ledger();
    let key = key_in(&site.folder.join("books"));
    let plain = format!("ledger = \"http://{}\"", site.ledger);
    let told = |key: &str| format!("ledger = \"https://{key}@{}\"", site.ledger);
    let config = site.edge_config();
    assert!(config.contains(&plain));

    // Another key than the one it was told: nothing is said to whoever answers.
    let stranger = "5e".repeat(32);
    let edge = site.started("edge", &config.replace(&plain, &told(&stranger)));
    sell(&site.edge, &[sale(POPUP, "a", "1", 500)]);
    until("the stranger is named", || {
        edge.said().contains("PW0713").then_some(())
    });
    until("the sale waits for the true ledger", || {
        let waits = json!([{ "currency": "EUR", "minor": 500 }]);
        (site.status()["unsent"]["money"] == waits).then_some(())
    });
    assert_eq!(edge.stop(), Some(0));

    let _edge = site.started("edge", &config.replace(&plain, &told(&key)));
    sell(&site.edge, &[sale(POPUP, "a", "2", 700)]);
    site.drained(POPUP, 2);
    let ledger = format!("https://{key}@{}", site.ledger);
    let (status, out, said) = outcome(&["reconcile", POPUP, "--ledger", &ledger]);
    assert_eq!(status, Some(0), "{out}{said}");
    let ledger = format!("https://{stranger}@{}", site.ledger);
    let (status, _, said) = outcome(&["reconcile", POPUP, "--ledger", &ledger]);
    assert_eq!(status, Some(1));
    assert!(said.contains("PW0713"), "{said}");
    // This machine goes on as it always did.
    assert_eq!(
        http(&site.ledger, "GET /healthz", &[], b"").unwrap().status,
        200
    );
}
