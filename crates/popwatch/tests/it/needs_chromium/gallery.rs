//! The pages, fed with one canned status per state: each state has its one clear sentence, on the
//! till's own page and on a creator's.

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
        let silent = given.get("silent").cloned().unwrap_or(json!([]));
        let asof = json!({ "server_ms": given["server_ms"], "watermark_ms": null, "have": 9,
            "known": 9, "unsent": { "records": 0, "money": [], "unknown": [] }, "silent": silent,
            "stage": [] });
        let own = json!({ "edge": given["edge"] });
        let mut rows = given.get("rows").cloned().unwrap_or(own);
        rows["popup"] = popup();
        let body = json!({ "asof": asof, "rows": rows });
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        write!(connection, "{head}event: snapshot\ndata: {body}\n\n")?;
        // The stream stays open until the browser goes.
        return request.read_to_end(&mut Vec::new()).map(drop);
    }
    let (kind, body) = if path == "/v1/popups" {
        let list = json!({ "popups": [popup()] });
        ("application/json", list.to_string())
    } else {
        file(
            &path,
            if given.get("edge").is_some() {
                "edge"
            } else {
                "region"
            },
        )
    };
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn file(path: &str, role: &str) -> (&'static str, String) {
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
        text.replace("%ROLE%", role).replace("%RIG%", "till-1"),
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

/// 19:04 of the popup's evening.
const SINCE_MS: i64 = 1_795_374_240_000;

/// A till of the region, in this state, with what it has to say about it.
fn rig(state: &str, more: Value) -> Value {
    let mut row = json!({ "rig": "till-2", "state": state, "states": [state], "epoch": 1,
        "durable_seq": 9, "trunk_seq": 9, "bulk_seq": 9, "have_seq": 9, "records_known": 9,
        "unsent": null, "last_heard_ms": SINCE_MS, "clock_u_ms": null, "battery": null,
        "disk_minutes": null, "losses": 0, "gap_records": 0, "currencies": [] });
    for (name, value) in more.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    json!({ "rig/till-2": row })
}

/// What creators read: the state, what the region knows, and the agreed words.
#[expect(clippy::too_many_lines, reason = "one table, a state a row")]
fn creators_states() -> Vec<(&'static str, Value, Value, &'static str)> {
    let unsent = json!({ "unsent": { "records": 31, "sales": 12,
        "money": [{ "currency": "EUR", "minor": 21_450 }] } });
    let silent =
        |records: Value| json!([{ "rig": "till-2", "since_ms": SINCE_MS, "records": records }]);
    let offline = json!({ "now": { "currencies": [{ "currency": "EUR", "exponent": 2,
        "gross": 9_600, "refund": 0, "net": 9_600, "conversions": 2,
        "offline": { "gross": 9_600, "captures": 2 } }], "last5": [], "minutes_complete": 0 } });
    let failing = json!({ "slo/payment_success": { "slo": "payment_success", "state": "page",
        "n": 90, "bad": 12, "page": { "number": 1, "since_ms": SINCE_MS, "resolved_ms": null,
        "n": 10, "bad": 9, "evidence_milli": 3_000, "revised": null } } });
    let scarf = json!({ "sku/Red scarf": { "sku": "Red scarf", "expected": 2, "expected_low": -3,
        "sold": 9, "returned": 0, "oversold": false, "counted": null, "skew": null } });
    let none = || json!([]);
    vec![
        (
            "ok",
            rig("ok", json!({})),
            none(),
            "All tills live. The total is up to date.",
        ),
        (
            "selling_offline",
            rig("selling_offline", unsent.clone()),
            silent(json!(31)),
            "Till 2 is offline since 19:04 and still selling. 12 sales (EUR 214.50) are safe on the \
          till and not in the total yet.",
        ),
        (
            "silent",
            rig("silent", json!({})),
            silent(Value::Null),
            "We cannot hear Till 2 since 19:04. Earlier sales are counted. If its screen shows newer \
          ones, they are safe there.",
        ),
        (
            "replaying",
            rig("replaying", unsent),
            none(),
            "Till 2 is back and sending 12 sales (EUR 214.50). Your total will rise.",
        ),
        (
            "deferred_payments",
            offline,
            none(),
            "Cards are taken offline: EUR 96.00 is not charged yet and could still be declined.",
        ),
        (
            "payments_failing",
            failing,
            none(),
            "Card payments are failing: 9 of the last 10. Offer cash, or hold the drop.",
        ),
        (
            "clock_suspect",
            rig("clock_suspect", json!({ "clock_u_ms": 420_000 })),
            none(),
            "Till 2's clock may be 7 min off. Totals are right; a sale may move to another minute.",
        ),
        (
            "storage_pressure",
            rig("storage_pressure", json!({})),
            none(),
            "Till 2 is nearly full. Sales are kept; chat is no longer recorded.",
        ),
        (
            "cannot_store",
            rig("cannot_store", json!({})),
            none(),
            "Till 2 cannot record. Keep selling, note sales on paper until it recovers.",
        ),
        (
            "power",
            rig("power", json!({ "battery": 25 })),
            none(),
            "Till 2 has 25 % of battery. Recorded sales are safe if it stops.",
        ),
        (
            "gap",
            rig("gap", json!({ "gap_records": 4 })),
            none(),
            "A disk fault cost part of Till 2's record (4 records). The money is being checked with \
          the card provider.",
        ),
        (
            "fork",
            rig("fork", json!({})),
            none(),
            "Till 2 is held back for a check. Its sales are kept but not shown.",
        ),
        (
            "stock_conflict",
            scarf,
            none(),
            "Up to 3 more \u{201c}Red scarf\u{201d} may have been sold offline than you have. Pause \
          it, or say \u{201c}while stocks last\u{201d}.",
        ),
    ]
}

#[test]
#[ignore = "needs: chromium"]
fn each_state_of_a_popup_has_the_agreed_words_where_a_creator_looks() {
    let mut page = Browser::open("words");
    for (state, rows, silent, words) in creators_states() {
        assert!(words.chars().count() <= 140, "{state}: too long to read");
        let given = json!({ "server_ms": SINCE_MS + 360_000, "rows": rows, "silent": silent });
        page.go(&format!("http://{}/#/creator", serve(&given)));
        page.shows("status", state);
        let said = page.evaluate(
            "document.querySelector('.status [data-testid=\"status\"] > :last-child').textContent",
        );
        assert_eq!(said, words, "{state}");
    }
    assert_eq!(page.complaints(), Vec::<Value>::new());
}
