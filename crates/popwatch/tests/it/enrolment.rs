//! A machine joins by eight words, sells, is lost and revoked; and a machine in between gets nothing.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::identity::key_in;
use crate::support::{Process, Site, get, outcome, sale, sell, until};

pub(crate) const POPUP: &str = "market";

/// Runs `popwatch enrol` at the ledger.
pub(crate) fn at_ledger(site: &Site, args: &[&str]) -> Value {
    let ledger = format!("http://{}", site.ledger);
    let args = [&["enrol"], args, &["--ledger", &ledger, "--format", "json"]].concat();
    let (status, out, said) = outcome(&args);
    assert_eq!(status, Some(0), "{out}{said}");
    serde_json::from_str(&out).unwrap()
}

pub(crate) fn code(site: &Site, rig: &str) -> String {
    let made = at_ledger(site, &["--new", rig, "--popup", POPUP]);
    made["code"].as_str().unwrap().to_owned()
}

/// The new machine's part: exit status and what it said.
pub(crate) fn joins(words: &str, ledger: &str, data: &Path) -> (Option<i32>, String) {
    let data = data.display().to_string();
    let (status, out, said) = outcome(&["enrol", words, ledger, "--data", &data]);
    (status, out + &said)
}

/// An edge that is told of nobody but the region: the rest it knows from its membership.
pub(crate) fn start(site: &Site) -> Process {
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"{}\"\nhost_probes = false\nregions = [\"http://{}\"]\n",
        site.till().display(),
        site.edge,
        site.region
    );
    site.started("edge", &config)
}

fn held_back(site: &Site) -> u64 {
    at_ledger(site, &["--list"])["rigs"][0]["held_back"]
        .as_u64()
        .unwrap()
}

fn sales(site: &Site) -> u64 {
    let totals = site.reconciliation(POPUP)["totals"].clone();
    let rows = totals.as_object().unwrap().values();
    rows.filter_map(|row| row["sales"].as_u64()).sum()
}

#[test]
fn a_laptop_joins_sells_is_lost_and_its_sales_wait_for_a_person() {
    let site = Site::new("enrolled");
    let _region = site.start_region();
    let _ledger = site.start_ledger();
    let words = code(&site, "till-7");
    let address = site.ledger.clone();

    let slip = words.replacen(&words[..4], "bax", 1);
    let (status, said) = joins(&slip, &address, &site.till());
    assert_eq!(status, Some(2), "{said}");
    assert!(!site.till().join("membership").exists());
    let (status, said) = joins(&words, &address, &site.till());
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = joins(&words, &address, &site.folder.join("other"));
    assert_eq!(status, Some(1));
    assert!(said.contains("PW0710"), "a code works once: {said}");
    assert!(!site.folder.join("other/membership").exists());

    let edge = start(&site);
    sell(&site.edge, &[sale(POPUP, "a", "1", 500)]);
    site.drained(POPUP, 1);
    assert_eq!(site.status()["rig"], "till-7");

    // The same name from a machine with another key is not heard.
    let thief = format!(
        "data = \"{}\"\n[edge]\nlisten = \"127.0.0.1:0\"\nrig = \"till-7\"\nhost_probes = false\n\
         ledger = \"https://{}@{}\"\n",
        site.folder.join("thief").display(),
        key_in(&site.folder.join("books")),
        site.ledger
    );
    let mut thief = Process::run(&site.folder, "thief", &thief);
    let other = thief.address("edge");
    until("the thief is told so", || {
        thief.said().contains("PW0303").then_some(())
    });
    until("its page says so", || {
        let states = get(&other, "/v1/status")["states"].to_string();
        states.contains("not_admitted").then_some(())
    });
    drop(thief);

    at_ledger(&site, &["--revoke", "till-7"]);
    sell(
        &site.edge,
        &[sale(POPUP, "a", "2", 300), sale(POPUP, "a", "3", 200)],
    );
    until("the lost laptop's sales wait", || {
        (held_back(&site) == 2).then_some(())
    });
    assert_eq!(sales(&site), 1, "they are not booked");
    let breaks = get(&site.ledger, &format!("/v1/popups/{POPUP}/breaks"));
    assert!(breaks.to_string().contains("E-HELD"), "{breaks}");
    let (status, said) = joins(&code(&site, "till-7"), &address, &site.folder.join("other"));
    assert_eq!(status, Some(1), "a revoked name is not given again: {said}");

    // Somebody found it and sold on: they are true.
    assert_eq!(at_ledger(&site, &["--accept", "till-7"])["booked"], 2);
    assert_eq!(sales(&site), 3);
    site.drained(POPUP, 3);
    assert_eq!(edge.stop(), Some(0));
    let trail = get(&site.ledger, "/v1/audit").to_string();
    for action in ["invited", "enrolled", "revoked", "accepted"] {
        assert!(
            trail.contains(&format!("rig.{action}")),
            "{action}: {trail}"
        );
    }
}

#[test]
fn a_machine_in_between_gets_nothing_and_neither_end_keeps_anything() {
    let site = Site::new("between");
    let _ledger = site.start_ledger();
    let words = code(&site, "till-7");
    // A second ledger in the middle: it answers over TLS with a key of its own and knows no code.
    let other = format!(
        "data = \"{}\"\n[ledger]\nlisten = \"{}\"\n",
        site.folder.join("between").display(),
        site.edge
    );
    let _between = site.started("ledger", &other);
    let (status, said) = joins(&words, &site.edge, &site.till());
    assert_eq!(status, Some(1), "{said}");
    assert!(!site.till().join("membership").exists());
    assert!(!site.till().join("keys").exists());
    // An address that names the ledger's key finds the other one out before a word is said.
    let key = key_in(&site.folder.join("books"));
    let pinned = format!("https://{key}@{}", site.edge);
    let (status, said) = joins(&words, &pinned, &site.till());
    assert_eq!(status, Some(1));
    assert!(said.contains("PW0713"), "{said}");
    // The code was never shown, so it still is worth something to whom it was made for.
    let (status, said) = joins(&words, &site.ledger, &site.till());
    assert_eq!(status, Some(0), "{said}");
    assert!(fs::metadata(site.till().join("membership")).is_ok());
}
