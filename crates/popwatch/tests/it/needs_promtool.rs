//! Prometheus' own checker finds nothing to say about what the three roles expose.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Site, http, post, sale, sell};

#[track_caller]
fn clean(address: &str) -> String {
    let answer = http(address, "GET /metrics", &[], b"").unwrap();
    assert_eq!(answer.status, 200);
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(&answer.body).unwrap();
    drop(stdin);
    let output = check.wait_with_output().unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    for said in [&output.stdout, &output.stderr] {
        assert_eq!(String::from_utf8_lossy(said), "", "{text}");
    }
    assert!(output.status.success(), "{text}");
    text
}

#[test]
#[ignore = "needs: promtool"]
fn promtool_has_nothing_to_say() {
    let site = Site::new("metrics");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    // Before the first event, and with every kind of sample.
    for address in [&site.edge, &site.region, &site.ledger] {
        clean(address);
    }
    sell(&site.edge, &[sale("stall", "checkout", "a", 450)]);
    drop(
        post(
            &site.edge,
            &[serde_json::json!({}), sale("stall", "checkout", "a", 451)],
        )
        .unwrap(),
    );
    site.drained("stall", 1);
    let edge = clean(&site.edge);
    assert!(
        edge.contains("verdict=\"accepted\",class=\"money\"} 1"),
        "{edge}"
    );
    assert!(edge.contains("code=\"PW0102\"} 1"), "{edge}");
    clean(&site.region);
    clean(&site.ledger);
}
