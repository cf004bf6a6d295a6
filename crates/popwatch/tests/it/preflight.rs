//! `popwatch preflight` against real roles: all well, a peer away, a disk that will not do, somebody
//! else in a peer's place.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use popwatch_core::membership::IdKey;
use serde_json::Value;

use crate::support::{Folder, Site, get, outcome, sale, sell, until};

const POPUP: &str = "fri";

/// Runs it on a site's till; exit status and document.
#[track_caller]
fn preflight(site: &Site, more: &[&str]) -> (Option<i32>, Value) {
    let config = site.folder.write("preflight.toml", &site.edge_config());
    let config = config.display().to_string();
    let mut args = vec!["preflight", POPUP, "--config", &config, "--format", "json"];
    args.extend(more);
    let (status, out, err) = outcome(&args);
    let document = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    (status, document)
}

/// The finding of a row.
#[track_caller]
fn row<'a>(document: &'a Value, check: &str) -> &'a Value {
    let mut rows = document["findings"].as_array().unwrap().iter();
    rows.find(|row| row["check"] == check).unwrap()
}

#[test]
fn a_healthy_site_goes_and_nothing_of_it_is_seen_afterwards() {
    let site = Site::new("preflight-well");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    sell(&site.edge, &[sale(POPUP, "a", "1", 500)]);
    until("the region knows the popup", || {
        let list = get(&site.region, "/v1/popups");
        (list["popups"][0]["id"] == POPUP).then_some(())
    });
    assert_eq!(get(&site.edge, "/v1/preflight")["verdict"], Value::Null);
    let page = site.folder.join("sheet.html");
    let page_name = page.display().to_string();
    let (status, document) = preflight(&site, &["--html", &page_name]);
    assert_eq!(
        (status, &document["verdict"]),
        (Some(0), &Value::from("go_with_warnings")),
        "{document:#}"
    );
    for check in [
        "disk",
        "clock",
        "net",
        "portal",
        "tls",
        "access",
        "rigs",
        "retention",
        "sale",
    ] {
        assert_eq!(row(&document, check)["severity"], "pass", "{document:#}");
    }
    let steps = document["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 8, "{document:#}");
    assert!(
        steps.iter().all(|step| step["outcome"] == "done"),
        "{document:#}"
    );
    let said = row(&document, "sale")["measured"].as_str().unwrap();
    assert!(said.contains("planted values: 0 in "), "{said}");
    let sheet = std::fs::read_to_string(&page).unwrap();
    // No phone reaches a till on loopback, so there is no code to scan.
    assert!(sheet.contains("Go with warnings") && !sheet.contains("<svg"));

    // The real popup has its one sale; the synthetic one stands in no list.
    let list = get(&site.region, "/v1/popups");
    assert_eq!(list["popups"].as_array().unwrap().len(), 1, "{list}");
    let books = get(&site.ledger, &format!("/v1/popups/{POPUP}/books"));
    assert_eq!(books["totals"]["EUR"]["captured"], 500);
    // The rig's page and its trail know of it.
    let kept = get(&site.edge, "/v1/preflight");
    assert_eq!(
        (&kept["verdict"], &kept["stale"]),
        (&document["verdict"], &Value::Null)
    );
    assert_eq!(kept["findings"], document["findings"]);
    until("it stands in the trail", || {
        let trail = get(&site.edge, "/v1/audit").to_string();
        trail.contains("preflight.made").then_some(())
    });
    let (status, document) = preflight(&site, &["--strict"]);
    assert_eq!(
        (status, &document["refused"]),
        (Some(3), &Value::from(true))
    );
}

#[test]
fn with_a_peer_away_it_goes_and_says_where_the_sale_stopped() {
    let site = Site::new("preflight-away");
    let _region = site.start_region();
    let _edge = site.start_edge();
    let (status, document) = preflight(&site, &[]);
    assert_eq!(status, Some(0), "{document:#}");
    let sale = row(&document, "sale");
    assert_eq!(sale["severity"], "not_checked", "{document:#}");
    let said = sale["measured"].as_str().unwrap();
    assert!(
        said.starts_with("stopped before replicated: nothing answers at "),
        "{said}"
    );
    let net = row(&document, "net");
    assert_eq!(net["severity"], "warning");
    assert!(
        net["measured"]
            .as_str()
            .unwrap()
            .contains("ledger: no way there"),
        "{net}"
    );
    assert_eq!(row(&document, "tls")["severity"], "not_checked");
    assert_eq!(row(&document, "portal")["severity"], "pass");
}

#[test]
fn with_nothing_running_it_still_ends_and_says_so() {
    let site = Site::new("preflight-alone");
    let (status, document) = preflight(&site, &[]);
    // The data directory is not there either.
    assert_eq!(status, Some(3), "{document:#}");
    assert_eq!(row(&document, "fsync")["severity"], "no_go");
    assert_eq!(row(&document, "sale")["severity"], "not_checked");
    assert_eq!(row(&document, "clock")["severity"], "not_checked");
    assert_eq!(row(&document, "page")["severity"], "warning");
}

#[test]
fn a_disk_that_will_not_do_is_a_no_go() {
    let site = Site::new("preflight-disk");
    // The kernel's own tree takes no files, whoever asks.
    let (status, document) = preflight(&site, &["--data", "/sys/kernel"]);
    assert_eq!(
        (status, &row(&document, "fsync")["code"]),
        (Some(3), &Value::from("PW1304"))
    );
    let said = row(&document, "fsync")["measured"].as_str().unwrap();
    assert!(said.starts_with("writing failed"), "{said}");
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        let folder = memory.join(format!("popwatch-preflight-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (status, document) = preflight(&site, &["--data", &folder.display().to_string()]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(status, Some(3));
        let said = row(&document, "fsync")["measured"].as_str().unwrap();
        assert!(said.contains("in memory"), "{said}");
    }
}

#[test]
fn a_stranger_and_a_sign_in_page_are_found_out() {
    let site = Site::new("preflight-stranger");
    let _ledger = site.start_ledger();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let portal = format!("http://{}", listener.local_addr().unwrap());
    // It answers everything with its own page, until the process ends.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer));
            let body = "<html>please sign in</html>";
            let length = body.len();
            drop(write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ));
        }
    });
    let stranger = format!("https://{}@{}", IdKey([7; 32]), site.ledger);
    let (status, document) = preflight(&site, &["--peer", &portal, "--peer", &stranger]);
    assert_eq!(status, Some(3), "{document:#}");
    assert_eq!(row(&document, "tls")["severity"], "no_go", "{document:#}");
    let portal_row = row(&document, "portal");
    assert_eq!(portal_row["severity"], "warning", "{portal_row}");
    assert!(
        portal_row["measured"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1")
    );
}

#[test]
fn a_name_of_its_own_is_refused() {
    let (status, _, err) = outcome(&["preflight", "preflight-fri-1"]);
    assert_eq!(status, Some(2), "{err}");
    let folder = Folder::new("preflight-missing");
    let missing = folder.join("none.toml").display().to_string();
    let (status, _, err) = outcome(&["preflight", "--config", &missing]);
    assert_ne!(status, Some(0), "{err}");
}
