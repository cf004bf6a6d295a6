//! `popwatch demo` from start to exit, again on its own data, and after a SIGKILL in the middle.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{BINARY, Folder, Process, outcome, try_get, until};

/// Write-offs of the day that the replay withholds: what the closing count must find, by SKU.
const WITHHELD: [(&str, i64); 7] = [
    ("21201", -390),
    ("21804", 14),
    ("21808", 5),
    ("22043", -9),
    ("22927", 1),
    ("23406", -21),
    ("84876B", 66),
];

const ARGS: [&str; 7] = ["demo", "--speed", "0", "--exit", "--ports", "any", "--data"];

#[track_caller]
fn closed(data: &Path) -> Value {
    let args = [&ARGS[..], &[data.to_str().unwrap(), "--format", "json"]].concat();
    let (status, stdout, stderr) = outcome(&args);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["closed"], true, "{found}");
    for (name, truth) in [
        ("captured", 8_874_196),
        ("refunded", 3_099_064),
        ("net", 5_775_132),
        ("sales", 127),
        ("refunds", 16),
    ] {
        assert_eq!(found["totals"]["GBP"][name], truth, "{name}");
    }
    let cells = &found["cells"];
    assert!(cells["compared"].as_u64().unwrap() > 100, "{cells}");
    for none in ["drifted", "stale", "ahead", "drift_minor"] {
        assert_eq!(cells[none], 0, "{none}: {cells}");
    }
    assert!(
        found["rigs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|rig| rig["gaps"] == 0)
    );
    found
}

/// Exactly the withheld write-offs, and refunds of sales of other days as a matter of information.
#[track_caller]
fn only_the_known_breaks(found: &Value) {
    let mut counts = Vec::new();
    for found in found["breaks"].as_array().unwrap() {
        match found["class"].as_str().unwrap() {
            "K-COUNT" => {
                let sku = found["sku"].as_str().unwrap();
                counts.push((sku, found["amount"].as_i64().unwrap()));
            }
            "E-ORPHAN" => assert_eq!(found["severity"], "info", "{found}"),
            other => panic!("{other}: {found}"),
        }
    }
    counts.sort_unstable();
    assert_eq!(counts, WITHHELD);
    assert_eq!(
        counts.iter().map(|(_, units)| units.abs()).sum::<i64>(),
        506
    );
    assert_eq!(counts.iter().map(|(_, units)| units).sum::<i64>(), -334);
}

#[test]
fn the_day_closes_and_a_second_run_on_its_data_changes_nothing() {
    let folder = Folder::new("demo");
    let first = closed(&folder.join("data"));
    only_the_known_breaks(&first);

    let data = folder.join("data");
    let (status, stdout, stderr) = outcome(&[&ARGS[..], &[data.to_str().unwrap()]].concat());
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("3933 events: 0 accepted, 3933 duplicate, 0 rejected"),
        "{stdout}"
    );
    let third = closed(&data);
    only_the_known_breaks(&third);
    assert_eq!(third["breaks"], first["breaks"]);
    assert_eq!(third["rigs"][0]["epoch"], 3);
}

#[test]
fn a_day_killed_half_way_closes_when_it_is_started_again() {
    let folder = Folder::new("demo-killed");
    let data = folder.join("data");
    let mut command = Command::new(BINARY);
    // Three seconds for three hours: slow enough to be met half way.
    command.args([
        "demo", "--speed", "3600", "--exit", "--ports", "any", "--data",
    ]);
    let mut demo = Process::of(command.arg(&data));
    let region = demo.address("all rigs");
    until("half of the sales", || {
        let summary = try_get(&region, "/v1/popups/demo/summary")?;
        let sales = summary["rows"]["now"]["currencies"][0]["captures"].as_i64()?;
        (sales >= 60).then_some(())
    });
    demo.kill();
    only_the_known_breaks(&closed(&data));
}
