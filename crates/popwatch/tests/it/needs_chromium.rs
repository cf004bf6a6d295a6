//! The pages in a real browser: what they show is what the API says, nothing breaks the content
//! policy, and the till's own page lives on without any network.

mod gallery;
mod pass;
mod screens;
mod sdk;
mod walk;

pub(crate) use screens::hostile;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{BINARY, Process, Site, get, sale, sell, try_get, until, until_within};

const POPUP: &str = "stall";
const DESK: (u32, u32) = (1280, 1400);
const DESK_SHOWN: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

/// A sale of `minor` pence whose checkout took `ms`.
fn sold(n: i64, minor: i64, ms: i64) -> [Value; 3] {
    let event = |kind: &str, data: Value| {
        json!({
            "specversion": "1.0", "id": format!("{kind}-{n}"), "source": "checkout",
            "popup": POPUP, "type": format!("popwatch.{kind}"), "data": data,
        })
    };
    let mut paid = sale(POPUP, "checkout", &format!("sale-{n}"), minor);
    paid["data"]["currency"] = json!("GBP");
    let (checkout, order) = (format!("c-{n}"), format!("o-sale-{n}"));
    let completed = json!({ "checkout": checkout, "order": order, "duration_ms": ms });
    [
        event("checkout.started", json!({ "checkout": checkout })),
        paid,
        event("checkout.completed", completed),
    ]
}

fn refunded(n: i64, minor: i64) -> Value {
    json!({
        "specversion": "1.0", "id": format!("refund-{n}"), "source": "checkout", "popup": POPUP,
        "type": "popwatch.payment.refunded",
        "data": {
            "refund": format!("r-{n}"), "payment": format!("p-sale-{n}"), "amount": minor,
            "currency": "GBP", "reason": "changed_mind",
        },
    })
}

/// Everything the page shows of the figures equals what its own server answers.
#[track_caller]
fn agrees(page: &mut Browser, address: &str) {
    let view = get(address, &format!("/v1/popups/{POPUP}/summary"));
    let now = &view["rows"]["now"];
    let money = &now["currencies"][0];
    let text = |value: &Value| {
        if value.is_null() {
            String::new()
        } else {
            value.to_string()
        }
    };
    for (testid, value) in [
        ("net-GBP", &money["net"]),
        ("gross-GBP", &money["gross"]),
        ("refund-GBP", &money["refund"]),
        ("sales", &money["conversions"]),
        ("p50", &now["checkout"]["p50_ms"]),
        ("p95", &now["checkout"]["p95_ms"]),
    ] {
        page.shows(testid, &text(value));
    }
    assert!(!now["checkout"]["p95_ms"].is_null(), "{now}");
    assert_eq!(money["net"], 69_420, "{money}");
}

/// The popup's window lies around now, so that the page shows an evening that is on.
pub(crate) fn config(site: &Site) -> String {
    let clock = Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .output()
        .unwrap();
    let day = String::from_utf8(clock.stdout).unwrap();
    let day = day.trim();
    site.edge_config()
        + &format!(
            "[[popups]]\nid = \"{POPUP}\"\nstarts = \"{day}T00:00:00Z\"\n\
             ends = \"{day}T23:59:59Z\"\nzone = \"Europe/London\"\ncurrencies = [\"GBP\"]\n"
        )
}

#[test]
#[ignore = "needs: chromium"]
fn the_pages_show_what_the_api_says_and_the_tills_own_lives_without_a_network() {
    let site = Site::new("pages");
    let (mut region, mut ledger) = (site.start_region(), site.start_ledger());
    let mut edge = site.started("edge", &config(&site));
    let events: Vec<Value> = (0..70)
        .flat_map(|n| sold(n, 1_000, 20_000 + 300 * n))
        .collect();
    sell(&site.edge, &events);
    sell(&site.edge, &[refunded(3, 580)]);
    site.drained(POPUP, 70);

    let mut everybody = Browser::open("region");
    everybody.window(DESK, false, "light");
    everybody.go(&format!("http://{}/", site.region));
    let mut till = Browser::open("rig");
    till.window(DESK, false, "light");
    till.go(&format!("http://{}/", site.edge));
    agrees(&mut everybody, &site.region);
    agrees(&mut till, &site.edge);
    everybody.shows("rig-till-1-state", "ok");
    everybody.shows("status", "ok");
    till.shows("status", "ok");
    let status = site.status();
    till.shows("durable-seq", &status["durable_seq"].to_string());
    till.shows("trunk-seq", &status["replicated"]["trunk"].to_string());
    // A sale appears by itself.
    sell(&site.edge, &sold(70, 80, 30_000));
    everybody.shows("net-GBP", "69500");
    till.shows("net-GBP", "69500");
    assert_eq!(everybody.complaints(), Vec::<Value>::new());
    drop(everybody);

    region.kill();
    ledger.kill();
    till.shows("status", "selling_offline");
    sell(&site.edge, &sold(71, 20, 30_000));
    till.shows("net-GBP", "69520");
    till.shows("unsent-GBP", "20");
    till.shows("durable-seq", &site.status()["durable_seq"].to_string());
    says(
        &mut till,
        "1 sale (GBP 0.20) is safe on this till, not in the total yet.",
    );
    assert_eq!(till.complaints(), Vec::<Value>::new());

    // Both come back: everything is sent, and the page says so by itself.
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    till.shows("status", "ok");
    till.shows("unsent", "0");
    says(&mut till, "Last sale safe on disk");
    // The till itself goes, and comes back.
    let last = site.status()["durable_seq"].clone();
    edge.kill();
    till.shows("status", "stream_lost");
    says(&mut till, "This page has lost its till; last heard");
    let _edge = site.started("edge", &config(&site));
    until("the page follows the till again", || {
        let shown = till.value("durable-seq");
        let more = shown.as_str()?.parse::<u64>().ok()? > 0;
        (more && till.value("status") == "ok" && shown != last).then_some(())
    });
}

/// Waits until the weightiest sentence holds these words.
#[track_caller]
fn says(page: &mut Browser, words: &str) {
    let script = "document.querySelector('.status [data-testid=\"status\"]')?.innerText ?? ''";
    until(&format!("the page says: {words}"), || {
        page.evaluate(script)
            .as_str()?
            .contains(words)
            .then_some(())
    });
}

/// Where pictures of the pages go, if they are wanted.
fn screens() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("POPWATCH_SCREENS")?);
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// With `POPWATCH_SCREENS=DIR`: pictures of the demo while one rig has no network.
#[test]
#[ignore = "needs: chromium"]
fn the_demo_is_photographed_when_asked() {
    let Some(folder) = screens() else {
        return;
    };
    let args = ["demo", "--speed", "160", "--exit", "--ports", "any"];
    let mut demo = Process::of(Command::new(BINARY).args(args));
    let (region, cut) = (demo.address("all rigs"), demo.address("rig-2"));
    let minutes = std::time::Duration::from_secs(120);
    until_within(minutes, "the region misses rig-2", || {
        let summary = try_get(&region, "/v1/popups/demo/summary")?;
        (summary["asof"]["silent"][0]["rig"] == "rig-2").then_some(())
    });
    let mut page = Browser::open("screens");
    for (name, address, screen) in [
        ("till", &cut, ""),
        ("operator", &region, ""),
        ("creator", &region, "#/creator"),
        ("board", &region, "#/board"),
        ("coop", &region, "#/coop"),
    ] {
        page.go("about:blank");
        page.go(&format!("http://{address}/{screen}"));
        until("the page has its figures", || {
            let shown = page.evaluate("document.querySelectorAll('.big, .ranks').length");
            (shown != 0).then_some(())
        });
        for (device, size, mobile) in [("desktop", DESK_SHOWN, false), ("phone", PHONE, true)] {
            for scheme in ["light", "dark"] {
                page.window(size, mobile, scheme);
                page.evaluate("window.drawn = 0; setTimeout(() => { window.drawn = 1; }, 250)");
                until("it is drawn", || {
                    (page.evaluate("window.drawn") == 1).then_some(())
                });
                page.screenshot(&folder.join(format!("{name}-{device}-{scheme}.png")));
            }
        }
    }
    assert_eq!(page.complaints(), Vec::<Value>::new());
}
