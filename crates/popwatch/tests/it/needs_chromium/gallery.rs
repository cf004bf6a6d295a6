//! The till's page, fed with one canned status per state: each state has its one clear sentence.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::until;

/// What a till may say of itself, and the sentence that people read.
const GALLERY: &str = include_str!("gallery.json");

/// Serves one status. Each has an address of its own, so that nothing the browser keeps of the one
/// before, rows or open streams, has a part in it.
fn serve(state: &Value) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(state.clone());
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let state = Arc::clone(&state);
            // A browser hangs up when it likes.
            thread::spawn(move || drop(answer(connection, &state)));
        }
    });
    address
}

fn popup() -> Value {
    json!({ "id": "stall", "starts_ms": 1_795_363_200_000_i64, "ends_ms": 1_795_392_000_000_i64,
        "zone": "UTC", "currencies": ["EUR"] })
}

/// The page's own files and one popup, without any till behind them.
fn answer(mut connection: TcpStream, given: &Value) -> std::io::Result<()> {
    let mut request = BufReader::new(connection.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut line = String::from("-");
    while !line.trim().is_empty() {
        line.clear();
        request.read_line(&mut line)?;
    }
    if path.contains("/stream?") {
        let asof = json!({ "server_ms": given["server_ms"], "watermark_ms": null, "have": 0,
            "known": 0, "unsent": { "records": 0, "money": [], "unknown": [] }, "silent": [],
            "stage": [] });
        let body = json!({ "asof": asof, "rows": { "popup": popup(), "edge": given["edge"] } });
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        write!(connection, "{head}event: snapshot\ndata: {body}\n\n")?;
        // The stream stays open until the browser goes.
        return request.read_to_end(&mut Vec::new()).map(drop);
    }
    let (kind, body) = if path == "/v1/popups" {
        let list = json!({ "popups": [popup()] });
        ("application/json", list.to_string())
    } else {
        file(&path)
    };
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn file(path: &str) -> (&'static str, String) {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    let text = std::fs::read_to_string(page.join(name)).unwrap_or_default();
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        _ => "text/html",
    };
    (
        kind,
        text.replace("%ROLE%", "edge").replace("%RIG%", "till-1"),
    )
}

#[test]
#[ignore = "needs: chromium"]
fn each_state_of_a_till_has_its_one_sentence() {
    let states: Vec<Value> = serde_json::from_str(GALLERY).unwrap();
    let mut page = Browser::open("gallery");
    for state in &states {
        page.go(&format!("http://{}/", serve(state)));
        let first = state["edge"]["states"][0].as_str().unwrap();
        page.shows("status", first);
        let script = "document.querySelector('.status [data-testid=\"status\"]').innerText \
            .replace(/\\s+/g, ' ').trim()";
        let wanted = state["sentence"].as_str().unwrap();
        until(&format!("the page says: {wanted}"), || {
            let said = page.evaluate(script);
            said.as_str()?.ends_with(wanted).then_some(())
        });
        let others = state["edge"]["states"].as_array().unwrap().len() - 1;
        let listed = page.evaluate("document.querySelectorAll('.status .also li').length");
        assert_eq!(listed, others, "{first}");
    }
    assert_eq!(page.complaints(), Vec::<Value>::new());
}
