//! A damaged journal: the till starts by itself, loses only what was touched, and says so.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use serde_json::json;

use crate::support::{Site, get, outcome, sale, sell, try_get, until};

const POPUP: &str = "stall";

#[test]
fn a_flipped_byte_costs_one_record_which_everybody_names() {
    let site = Site::new("damage");
    let edge = site.start_edge();
    let sales: Vec<_> = (0..9)
        .map(|n| sale(POPUP, "checkout", &format!("sale-{n}"), 100 + n))
        .collect();
    for one in &sales {
        sell(&site.edge, std::slice::from_ref(one));
    }
    assert_eq!(edge.stop(), Some(0));
    flip(&site, b"sale-4");

    let till = site.till();
    let till = till.to_str().unwrap();
    let (status, stdout, stderr) = outcome(&["journal", "fsck", till]);
    assert_eq!(status, Some(3), "{stdout}{stderr}");
    // The fifth sale: 104 cents, which the totals of its neighbours give away.
    assert!(
        stdout.contains("missing") && stdout.contains("EUR 1.04"),
        "{stdout}"
    );

    // A copy is made elsewhere, never in place, and lacks the same.
    let out = site.till().with_file_name("repaired");
    let out = out.to_str().unwrap();
    let inside = format!("{till}/copy");
    let (status, _, stderr) = outcome(&["journal", "repair", "--out", &inside, till]);
    assert_eq!(
        (status, stderr.contains("PW1101")),
        (Some(2), true),
        "{stderr}"
    );
    let (status, said, stderr) = outcome(&["journal", "repair", "--out", out, till]);
    assert_eq!(status, Some(0), "{said}{stderr}");
    assert!(said.contains("EUR 1.04"), "{said}");
    let (status, copied, _) = outcome(&["journal", "fsck", out, "--format", "json"]);
    let copied: serde_json::Value = serde_json::from_str(&copied).unwrap();
    let gap = &copied["epochs"][0]["gaps"][0];
    assert_eq!(
        (status, &gap["rows"][0]["captured"]),
        (Some(3), &json!(104))
    );
    let (status, _, stderr) = outcome(&["journal", "repair", "--out", out, till]);
    assert_eq!(
        (status, stderr.contains("not empty")),
        (Some(2), true),
        "{stderr}"
    );

    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let edge = site.start_edge();
    let (status, _, stderr) = outcome(&["journal", "fsck", till]);
    assert_eq!(
        (status, stderr.contains("PW0206")),
        (Some(1), true),
        "{stderr}"
    );
    until("the till says so", || {
        let status = site.status();
        (status["gap_records"] == 1 && status["states"][0] == "gap").then_some(())
    });
    sell(&site.edge, &[sale(POPUP, "checkout", "after", 7)]);
    until("the region says so too", || {
        let rigs = try_get(&site.region, "/v1/popups/stall/rigs")?;
        (rigs["rigs"][0]["gap_records"] == 1).then_some(())
    });
    until("the books hold the rest", || {
        let found = try_get(&site.ledger, "/v1/popups/stall/reconciliation")?;
        (found["totals"]["EUR"]["sales"] == 9).then_some(())
    });
    let breaks = get(&site.ledger, "/v1/popups/stall/breaks");
    assert_ne!(breaks["items"], json!([]), "{breaks}");
    assert_eq!(edge.stop(), Some(0));
    let (status, again, _) = outcome(&["journal", "fsck", till]);
    assert_eq!(status, Some(3), "{again}");
    assert!(again.contains("EUR 1.04"), "{again}");
}

/// Flips one bit of the frame that holds these bytes.
#[track_caller]
fn flip(site: &Site, within: &[u8]) {
    for entry in fs::read_dir(site.till().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes
            .windows(within.len())
            .position(|bytes| bytes == within);
        if let Some(at) = found {
            let file: File = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_at(&[bytes[at] ^ 1], at as u64).unwrap();
            return;
        }
    }
    panic!("no segment holds these bytes");
}
