//! Our SDK in a shop's page of another origin: what was emitted without a till survives the page, and
//! arrives once.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::sdks::sdk;
use crate::support::{Site, outcome, until};

/// A page that opens the client and counts what became of events.
const PAGE: &str = r#"<!doctype html><title>shop</title><script type="module">
import { open } from "/browser.js";
window.seen = { stored: [], done: [], failed: [] };
const edge = new URLSearchParams(location.search).get("edge");
const client = window.client = await open({ edge, source: "shop", popup: "stall" });
window.sell = (n) => {
  const sale = client.paymentCaptured({ payment: `p-${n}`, order: `o-${n}`, amount: 450, currency: "EUR", method: "card" });
  sale.stored.then((id) => seen.stored.push(id), (error) => seen.failed.push(`${error}`));
  sale.done.then(() => seen.done.push(sale.id), (error) => seen.failed.push(`${error}`));
};
</script>"#;

fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // A browser hangs up when it likes.
            thread::spawn(move || drop(answer(connection)));
        }
    });
    address
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut request = BufReader::new(connection.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut line = String::from("-");
    while !line.trim().is_empty() {
        line.clear();
        request.read_line(&mut line)?;
    }
    let path = first.split(' ').nth(1).unwrap_or("/");
    let (kind, body) = if path.ends_with(".js") {
        let file = sdk("typescript/src").join(path.trim_start_matches('/'));
        ("text/javascript", std::fs::read_to_string(file)?)
    } else {
        ("text/html", PAGE.to_owned())
    };
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// Waits until so many events have come so far on this page.
#[track_caller]
fn come(page: &mut Browser, what: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} are {what}"), || {
        let seen = page.evaluate("window.seen ?? null");
        assert!(
            seen["failed"].as_array().is_none_or(Vec::is_empty),
            "{seen}"
        );
        let found = seen[what].as_array()?;
        (found.len() == count).then(|| found.clone())
    })
}

#[test]
#[ignore = "needs: chromium"]
fn what_a_page_emits_without_a_till_survives_it_and_arrives_once() {
    let site = Site::new("sdk-browser");
    let shop = format!("http://{}/?edge=http://{}", serve(), site.edge);
    let mut page = Browser::open("sdk");
    page.go(&shop);
    let ready = "typeof window.sell === 'function'";
    until("the client is open", || {
        (page.evaluate(ready) == true).then_some(())
    });
    page.evaluate("for (let n = 0; n < 25; n++) sell(n)");
    let mut emitted = come(&mut page, "stored", 25);
    // The page goes and comes back: what it held is in the database.
    page.go("about:blank");
    page.go(&shop);
    until("25 wait again", || {
        let waiting = page.evaluate("window.client?.status().queued ?? null");
        (waiting == 25).then_some(())
    });
    page.evaluate("for (let n = 25; n < 30; n++) sell(n)");
    emitted.extend(come(&mut page, "stored", 5));
    let edge = site.start_edge();
    page.evaluate("client.hurry()");
    come(&mut page, "done", 5);
    until("nothing waits", || {
        (page.evaluate("client.status().queued") == 0).then_some(())
    });
    // A page that goes takes along what fits; the next one sends the rest.
    page.evaluate("for (let n = 30; n < 40; n++) sell(n)");
    emitted.extend(come(&mut page, "stored", 15).split_off(5));
    page.reload();
    until("nothing waits on the page that came back", || {
        let waiting = page.evaluate("window.client?.status().queued ?? null");
        (waiting == 0).then_some(())
    });
    assert_eq!(edge.stop(), Some(0));

    let (status, printed, complaint) =
        outcome(&["journal", "export", site.till().to_str().unwrap()]);
    assert_eq!(status, Some(0), "{complaint}");
    let events = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let held: Vec<Value> = events
        .filter(|event| event["type"] == "popwatch.payment.captured")
        .map(|event| event["id"].clone())
        .collect();
    let mut once: Vec<String> = held.iter().map(Value::to_string).collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), held.len(), "an event counts twice");
    for id in emitted {
        assert!(held.contains(&json!(id)), "lost: {id}");
    }
}
