//! The screens through a whole day and through trouble: the figures are the API's at any moment, a
//! lost network costs freshness and nothing else, and names from data are text.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{DESK, POPUP, config, refunded, says};
use crate::browser::Browser;
use crate::support::{BINARY, Process, Site, get, sale, sell, try_get, until, until_within};

/// Names that want to be markup, code, another direction, or very long.
const NAMES: [&str; 4] = [
    "<img src=x onerror=document.title='broken'>",
    "\"><script>document.title='broken'</script>",
    "\u{202e}\u{645}\u{631}\u{62d}\u{628}\u{627} \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{3055}\u{304f}\u{3089}\u{5546}\u{5e97}\u{1f338}\u{1f469}\u{200d}\u{1f373}",
];

/// Four sales by creators and of products with such names.
pub(crate) fn hostile() -> Vec<Value> {
    let sold = |(minor, name): (i64, &&str)| {
        let mut sold = sale(POPUP, "checkout", &format!("h-{minor}"), minor);
        sold["data"]["currency"] = json!("GBP");
        sold["data"]["lines"][0]["creator"] = json!(name);
        sold["data"]["lines"][0]["sku"] = json!(name);
        sold
    };
    (997..=1_000).rev().zip(&NAMES).map(sold).collect()
}

#[test]
#[ignore = "needs: chromium"]
fn names_from_data_are_text_on_every_screen() {
    let site = Site::new("hostile");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    sell(&site.edge, &hostile());
    site.drained(POPUP, NAMES.len());
    let mut page = Browser::open("hostile");
    page.window(DESK, false, "light");
    for screen in ["", "#/creator", "#/coop", "#/board"] {
        page.go(&format!("http://{}/{screen}", site.region));
        until("the names are there", || {
            let text = page.evaluate("document.getElementById('main')?.innerText ?? ''");
            let text = text.as_str()?;
            (text.contains("<img src=x") || text.contains("onerror")).then_some(())
        });
        let made = page.evaluate("document.querySelectorAll('#app img, #app script').length");
        assert_eq!(made, 0, "{screen}");
        let title = page.evaluate("document.title");
        assert!(!title.as_str().unwrap().contains("broken"), "{screen}");
    }
    let cjk = page.evaluate("document.body.innerText.includes('\\u3055\\u304f\\u3089')");
    assert_eq!(cjk, true);
    assert_eq!(page.complaints(), Vec::<Value>::new());
}

/// What the operator's screen shows and what a summary says, as the same list.
fn figures(view: &Value) -> Option<Vec<(&'static str, String)>> {
    let (now, asof) = (&view["rows"]["now"], &view["asof"]);
    let money = now["currencies"].get(0)?;
    let text = |value: &Value| {
        if value.is_null() {
            String::new()
        } else {
            value.to_string()
        }
    };
    Some(vec![
        ("net-GBP", text(&money["net"])),
        ("gross-GBP", text(&money["gross"])),
        ("refund-GBP", text(&money["refund"])),
        ("sales", text(&money["conversions"])),
        ("have", text(&asof["have"])),
        ("known", text(&asof["known"])),
        ("p95", text(&now["checkout"]["p95_ms"])),
    ])
}

#[test]
#[ignore = "needs: chromium"]
fn the_figures_are_the_apis_at_four_moments_of_a_real_day() {
    let args = ["demo", "--speed", "450", "--ports", "any"];
    let mut demo = Process::of(Command::new(BINARY).args(args));
    let region = demo.address("all rigs");
    let mut page = Browser::open("day");
    page.window(DESK, false, "light");
    page.go(&format!("http://{region}/"));
    for minute in [30, 60, 90, 180] {
        let limit = Duration::from_secs(120);
        until_within(
            limit,
            &format!("screen and API agree at minute {minute}"),
            || {
                let read = || try_get(&region, "/v1/popups/demo/summary");
                let before = read()?;
                let starts = before["rows"]["popup"]["starts_ms"].as_i64()?;
                let at = before["asof"]["server_ms"].as_i64()?;
                if at < starts + minute * 60_000 {
                    return None;
                }
                let told = figures(&before)?;
                let shown = told
                    .iter()
                    .all(|(id, value)| page.value(id) == value.as_str());
                let still = figures(&read()?)? == told;
                (shown && still).then_some(())
            },
        );
    }
    assert_eq!(page.complaints(), Vec::<Value>::new());
}

/// Streams that a role serves now.
fn streams(address: &str) -> Option<u64> {
    let metrics = crate::support::http(address, "GET /metrics", &[], b"").ok()?;
    let metrics = String::from_utf8(metrics.body).ok()?;
    let mut lines = metrics.lines();
    let line = lines
        .find(|line| line.starts_with("popwatch_live_readers") && !line.contains("stalled"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
#[ignore = "needs: chromium"]
fn seven_tabs_share_one_stream_and_go_on_when_the_one_that_reads_is_closed() {
    let site = Site::new("tabs");
    let _edge = site.started("edge", &config(&site));
    let pence = |n: i64, minor: i64| {
        let mut sold = sale(POPUP, "checkout", &format!("t-{n}"), minor);
        sold["data"]["currency"] = json!("GBP");
        sold
    };
    sell(&site.edge, &[pence(1, 1_000)]);
    let mut page = Browser::open("tabs");
    // A page of the same server that shows nothing itself: it opens the tabs and looks into them.
    page.go(&format!("http://{}/openapi.json", site.edge));
    until("it is there", || {
        (page.evaluate("location.pathname") == "/openapi.json").then_some(())
    });
    page.evaluate("tabs = []; 0");
    for _ in 0..7 {
        page.gesture("tabs.push(open('/'))");
    }
    let all_show = |page: &mut Browser, tabs: usize, minor: &str| {
        until(&format!("{tabs} tabs show {minor}"), || {
            let shown = page.evaluate(
                "tabs.map(tab => tab.document?.querySelector('[data-testid=\"net-GBP\"]')?.dataset.minor ?? null)",
            );
            let shown = shown
                .as_array()?
                .iter()
                .filter(|net| **net == minor)
                .count();
            (shown == tabs).then_some(())
        });
    };
    all_show(&mut page, 7, "1000");
    let one_is_open = || {
        until("one stream is open", || {
            (streams(&site.edge)? == 1).then_some(())
        });
    };
    one_is_open();
    sell(&site.edge, &[pence(2, 500)]);
    all_show(&mut page, 7, "1500");
    assert_eq!(streams(&site.edge), Some(1));
    // The first one reads. Closed, it is followed by another, from where that one had come to.
    page.evaluate("tabs.shift().close()");
    sell(&site.edge, &[pence(3, 40)]);
    all_show(&mut page, 6, "1540");
    one_is_open();
    sell(&site.edge, &[pence(4, 2)]);
    all_show(&mut page, 6, "1542");
}

#[test]
#[ignore = "needs: chromium"]
fn a_minute_without_network_is_said_and_ends_without_a_reload() {
    let site = Site::new("offline-page");
    let (mut region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    let mut first = hostile();
    sell(&site.edge, &first.split_off(2));
    site.drained(POPUP, 2);
    let address = format!("http://{}/", site.region);
    let mut page = Browser::open("offline");
    page.window(DESK, false, "dark");
    // Clocks that the test can put forward.
    page.first_of_all(
        "window.skip = 0; for (const clock of [Date, performance]) { \
         const real = clock.now.bind(clock); clock.now = () => real() + window.skip; }",
    );
    page.go(&address);
    page.shows("net-GBP", "1995");
    page.shows("status", "ok");
    page.evaluate("window.never = 'reloaded'; 0");
    region.kill();
    page.evaluate("window.skip = 61000; 0");
    page.shows("status", "stream_lost");
    says(&mut page, "Numbers below are from then; sales go on.");
    until("all is drawn as old", || {
        let old = page.evaluate("document.documentElement.dataset.age");
        let stamps = page.evaluate("document.querySelectorAll('.stamp').length");
        (old == "old" && stamps.as_i64()? > 2).then_some(())
    });
    page.shows("net-GBP", "1995");
    sell(&site.edge, &first);
    let _region = site.start_region();
    page.shows("net-GBP", "3994");
    until("it is live again", || {
        let fresh = page.evaluate("document.documentElement.dataset.age");
        (fresh == "fresh" && page.value("status") == "ok").then_some(())
    });
    assert_eq!(page.evaluate("window.never"), "reloaded");
}

#[test]
#[ignore = "needs: chromium"]
fn what_was_shown_last_is_painted_while_nobody_answers() {
    let site = Site::new("kept-page");
    let (mut region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    sell(&site.edge, &hostile());
    site.drained(POPUP, NAMES.len());
    let address = format!("http://{}/", site.region);
    let mut page = Browser::open("kept");
    page.window(DESK, false, "dark");
    page.go(&address);
    page.shows("net-GBP", "3994");
    let kept = "indexedDB.databases().then(l => { window.kept = l.length; }); \
        caches.match('/app.js').then(m => { window.shell = !!m; }); \
        window.kept > 0 && window.shell === true";
    until("rows and shell are kept", || {
        (page.evaluate(kept) == true).then_some(())
    });
    // One more sale, so that the newest rows are kept some seconds after the first.
    page.evaluate("dispatchEvent(new Event('pagehide')); 0");
    region.kill();
    page.go("about:blank");
    page.go(&address);
    page.shows("net-GBP", "3994");
    page.shows("status", "stream_lost");
}

#[test]
#[ignore = "needs: chromium"]
fn a_refund_takes_a_place_on_the_board_back() {
    let site = Site::new("retracts");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    let sold = |n: i64, minor: i64, creator: &str| {
        let mut sold = sale(POPUP, "checkout", &format!("sale-{n}"), minor);
        sold["data"]["currency"] = json!("GBP");
        sold["data"]["lines"][0]["creator"] = json!(creator);
        sold
    };
    sell(&site.edge, &[sold(1, 900, "ana"), sold(2, 800, "ben")]);
    site.drained(POPUP, 2);
    let mut page = Browser::open("retracts");
    page.window(DESK, false, "dark");
    page.go(&format!("http://{}/#/board", site.region));
    page.shows("rank-1", "ana");
    let mut back = refunded(1, 900);
    back["data"]["lines"] = json!([{"sku": "mug", "qty": 1, "amount": 900, "creator": "ana"}]);
    sell(&site.edge, &[back]);
    page.shows("rank-1", "ben");
    let rows = get(
        &site.region,
        &format!("/v1/popups/{POPUP}/leaderboards/creators"),
    );
    assert_eq!(rows["rows"][0]["id"], "ben", "{rows}");
    assert_eq!(page.complaints(), Vec::<Value>::new());
}
