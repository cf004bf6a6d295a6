//! Two journals under one name, as real processes on real disks: a backup put back, a disk cloned
//! while the till ran, a directory wiped. Selling goes on; the books hold each sale once; the fork
//! is named at the till and in the books.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Process, Site, cells, get, sale, sell, try_get, until};

const POPUP: &str = "stall";

/// Copies a data directory, as `cp -r` does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Three sales named after `who`; answers what they are worth.
fn three(edge: &str, who: &str) -> i64 {
    let sales: Vec<Value> = (0..3)
        .map(|n| sale(POPUP, who, &format!("{who}-{n}"), 100 + n))
        .collect();
    sell(edge, &sales);
    303
}

/// Waits until this device has nothing left to send.
#[track_caller]
fn level(edge: &str) {
    until("the device is level with the ledger", || {
        let status = try_get(edge, "/v1/status")?;
        let sent = status["unsent"]["records"] == 0
            && status["replicated"]["seq"] == status["durable_seq"];
        sent.then_some(())
    });
}

/// Waits until this device says that its journal was forked.
#[track_caller]
fn forked(edge: &str) {
    until("the till names the fork", || {
        let states = try_get(edge, "/v1/status")?["states"].clone();
        states.as_array()?.contains(&json!("fork")).then_some(())
    });
}

/// The books hold so many sales of so much, wait for nothing and name the fork; the region's cells
/// sum to the same.
#[track_caller]
fn once_each(site: &Site, sales: u64, minor: i64) {
    until("each sale is in the books once", || {
        let found = try_get(&site.ledger, &format!("/v1/popups/{POPUP}/reconciliation"))?;
        let euros = &found["totals"]["EUR"];
        (euros["sales"] == sales && euros["net"] == minor).then_some(())
    });
    let breaks = get(&site.ledger, &format!("/v1/popups/{POPUP}/breaks"));
    let text = breaks.to_string();
    assert!(text.contains("E-FORK"), "{text}");
    assert!(
        !text.contains("E-GAP") && !text.contains("E-CONFLICT"),
        "{text}"
    );
    until("the region sums to the same", || {
        cells(&site.region, POPUP)?;
        let view = try_get(&site.region, &format!("/v1/popups/{POPUP}/summary"))?;
        (view["rows"]["now"]["currencies"][0]["gross"] == minor).then_some(())
    });
}

/// A site whose till sold three, with all of it at ledger and region.
fn begun(name: &str) -> (Site, Process, Process, Process) {
    let site = Site::new(name);
    let (region, ledger) = (site.start_region(), site.start_ledger());
    let edge = site.start_edge();
    three(&site.edge, "first");
    site.drained(POPUP, 3);
    (site, region, ledger, edge)
}

#[test]
fn a_backup_put_back_sells_on_and_the_books_hold_each_sale_once() {
    let (site, _region, _ledger, edge) = begun("restored");
    assert_eq!(edge.stop(), Some(0));
    let backup = site.folder.join("backup");
    copy(&site.till(), &backup);
    let edge = site.start_edge();
    three(&site.edge, "second");
    site.drained(POPUP, 6);
    assert_eq!(edge.stop(), Some(0));

    fs::remove_dir_all(site.till()).unwrap();
    fs::rename(&backup, site.till()).unwrap();
    let edge = site.start_edge();
    three(&site.edge, "third");
    forked(&site.edge);
    level(&site.edge);
    once_each(&site, 9, 3 * 303);
    // The fork stands in the books until people explain it; a till that starts again is well.
    assert_eq!(edge.stop(), Some(0));
    let _edge = site.start_edge();
    three(&site.edge, "fourth");
    level(&site.edge);
    once_each(&site, 12, 4 * 303);
}

#[test]
fn a_cloned_disk_and_its_original_sell_at_once_and_nothing_is_lost_or_doubled() {
    let (site, _region, _ledger, mut edge) = begun("cloned");
    let clone = site.folder.join("clone");
    // The disk is read while the till runs, then its power goes.
    copy(&site.till(), &clone);
    edge.kill();
    let _edge = site.start_edge();
    let other = Site::new("cloned-too");
    let config = site
        .edge_config()
        .replace(site.till().to_str().unwrap(), clone.to_str().unwrap())
        .replace(&site.edge, &other.edge);
    let _other = other.started("edge", &config);
    let mut minor = 303;
    for round in 0..3 {
        minor += three(&site.edge, &format!("original-{round}"));
        minor += three(&other.edge, &format!("clone-{round}"));
    }
    level(&site.edge);
    level(&other.edge);
    once_each(&site, 21, minor);
    let state = |edge: &str| get(edge, "/v1/status")["states"].to_string();
    let states = [state(&site.edge), state(&other.edge)];
    assert!(states.iter().any(|of| of.contains("fork")), "{states:?}");
}

#[test]
fn a_wiped_directory_begins_anew_above_what_the_books_hold() {
    let (site, _region, _ledger, edge) = begun("wiped");
    assert_eq!(edge.stop(), Some(0));
    fs::remove_dir_all(site.till()).unwrap();
    let _edge = site.start_edge();
    three(&site.edge, "second");
    forked(&site.edge);
    level(&site.edge);
    once_each(&site, 6, 2 * 303);
}
