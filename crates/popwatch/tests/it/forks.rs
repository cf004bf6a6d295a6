//! Two journals under one name, as real processes on real disks: a backup put back, a disk cloned
//! while the till ran, a directory wiped. Selling goes on; the books hold each sale once; the fork
//! is named at the till and in the books.

use std::fs;
use std::path::Path;

use serde_json::Value;

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
            // What goes while a running till's disk is read is no part of the copy.
            let copied = fs::copy(entry.path(), target);
            let gone = |fault: &std::io::Error| fault.kind() == std::io::ErrorKind::NotFound;
            assert!(copied.as_ref().err().is_none_or(gone), "{copied:?}");
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

/// Waits until a till has said that its journal was forked. Its state says so too, until the ledger
/// takes the new epoch, which may be a moment.
#[track_caller]
fn forked(edge: &Process) {
    until("the till names the fork", || {
        edge.said().contains("PW0310").then_some(())
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
    forked(&edge);
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
    let disk = site.folder.join("clone");
    // The disk is read while the till runs, then its power goes.
    copy(&site.till(), &disk);
    edge.kill();
    let edge = site.start_edge();
    let other = Site::new("cloned-too");
    let config = site
        .edge_config()
        .replace(site.till().to_str().unwrap(), disk.to_str().unwrap())
        .replace(&site.edge, &other.edge);
    let clone = other.started("edge", &config);
    let mut minor = 303;
    for round in 0..3 {
        minor += three(&site.edge, &format!("original-{round}"));
        minor += three(&other.edge, &format!("clone-{round}"));
    }
    level(&site.edge);
    level(&other.edge);
    once_each(&site, 21, minor);
    let named = [&edge, &clone].map(|till| till.said().contains("PW0310"));
    assert_ne!(named, [false; 2], "who came second names the fork");
}

#[test]
fn a_wiped_directory_begins_anew_above_what_the_books_hold() {
    let (site, _region, _ledger, edge) = begun("wiped");
    assert_eq!(edge.stop(), Some(0));
    fs::remove_dir_all(site.till()).unwrap();
    let edge = site.start_edge();
    three(&site.edge, "second");
    forked(&edge);
    level(&site.edge);
    once_each(&site, 6, 2 * 303);
}
