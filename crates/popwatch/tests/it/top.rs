//! `popwatch top` without a terminal: one picture, rows as lines, plain words when there is nothing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{BINARY, Site, outcome, sale, sell, try_get, until};

const POPUP: &str = "market";

#[test]
fn one_picture_and_rows_as_lines() {
    let site = Site::new("top");
    let _edge = site.start_edge();
    let url = format!("http://{}", site.edge);
    let (status, _, said) = outcome(&["top", "--url", &url, "--once"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no popup has begun"), "{said}");

    sell(&site.edge, &[sale(POPUP, "a", "1", 450)]);
    until("it is shown", || {
        let summary = try_get(&site.edge, &format!("/v1/popups/{POPUP}/summary"))?;
        (summary["rows"]["now"]["currencies"][0]["gross"] == 450).then_some(())
    });
    let (status, picture, _) = outcome(&["top", "--url", &url]);
    assert_eq!(status, Some(0));
    assert!(picture.starts_with(" market "), "{picture}");
    assert!(
        picture.contains(" net EUR           4.50  1 orders"),
        "{picture}"
    );
    assert!(
        picture.contains(" till-1 ") && !picture.contains('\u{1b}'),
        "{picture}"
    );
    assert!(picture.lines().count() <= 24);
    assert!(
        picture.lines().all(|line| line.chars().count() <= 80),
        "{picture}"
    );

    let (status, rows, _) = outcome(&[
        "top", "--url", &url, "--popup", POPUP, "--once", "--format", "json",
    ]);
    assert_eq!(status, Some(0));
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert!(rows[0]["asof"]["have"].is_u64());
    assert!(rows.iter().any(|row| row["key"] == "rig/till-1"));

    // The stream, for as long as somebody reads.
    let mut top = Command::new(BINARY)
        .args(["top", "--url", &url, "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let mut until_gross = |minor: i64| loop {
        let row: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if row["key"] == "now" && row["row"]["currencies"][0]["gross"] == minor {
            return;
        }
    };
    until_gross(450);
    sell(&site.edge, &[sale(POPUP, "a", "2", 50)]);
    until_gross(500);
    drop(top.kill());
    drop(top.wait());
}
