//! A creator's link in a real browser: it opens that creator's screen, leaves no pass behind, and shows
//! nothing of the others.

use serde_json::{Value, json};

use super::{PHONE, POPUP, config};
use crate::access::Desk;
use crate::browser::Browser;
use crate::support::{http, sale, until};

fn credited(n: usize, creator: &str, minor: i64) -> Value {
    let mut sold = sale(POPUP, "checkout", &format!("s-{n}"), minor);
    sold["data"]["currency"] = json!("GBP");
    sold["data"]["lines"][0]["creator"] = json!(creator);
    sold
}

#[test]
#[ignore = "needs: chromium"]
fn a_creators_link_opens_their_own_screen_and_nothing_else() {
    let desk = Desk::new("link");
    let site = &desk.site;
    let (_region, _ledger) = (desk.region(), desk.ledger(&site.ledger, ""));
    let till = desk.pass(&["--scope", "till", "--of", "till-1"]);
    let file = site.folder.write("till.pass", &till);
    let access = desk.access(&format!("pass_file = \"{}\"\n", file.display()));
    let _edge = site.started("edge", &(config(site) + &access));
    let events = [credited(1, "ana", 900), credited(2, "ben", 4_100)];
    let headers = [
        ("Content-Type", "application/cloudevents-batch+json"),
        ("Authorization", &*format!("Bearer {till}")),
    ];
    let body = serde_json::to_vec(&events).unwrap();
    let taken = http(&site.edge, "POST /v1/events", &headers, &body).unwrap();
    assert_eq!(taken.status, 200, "{taken:?}");

    let page_of = format!("http://{}/", site.region);
    let text = "document.body?.innerText ?? ''";
    let mut stranger = Browser::open("stranger");
    stranger.go(&page_of);
    until("a stranger stands at the door", || {
        let text = stranger.evaluate(text);
        let door = text.as_str()?.contains("This popup is for invited people");
        door.then_some(())
    });

    let pass = desk.pass(&["--scope", "creator", "--of", "ana", "--popup", POPUP]);
    let mut page = Browser::open("creator");
    page.window(PHONE, true, "dark");
    page.go(&format!("{page_of}#{pass}"));
    page.shows("own-net-GBP", "900");
    let address = page.evaluate("location.href");
    assert!(!address.as_str().unwrap().contains("pw1."), "{address}");
    assert_eq!(page.evaluate("document.cookie"), "");
    // Neither the sum of all nor the way to other screens.
    let shown = page.evaluate(text);
    let shown = shown.as_str().unwrap();
    assert!(
        !shown.contains("ben") && !shown.contains("50.00"),
        "{shown}"
    );
    assert_eq!(
        page.evaluate("document.querySelectorAll('.tabs a').length"),
        0
    );
    // The session outlives a reload.
    page.go("about:blank");
    page.go(&page_of);
    page.shows("own-net-GBP", "900");
}
