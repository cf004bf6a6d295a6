//! What is sealed opens for a granted read, and for nobody once its keep is over.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::enrolment::{POPUP, code, joins, start};
use crate::policies::{document, lay, signed, stands};
use crate::support::{Site, http, outcome, sale, sell, until};

const SAID: &str = "meet me behind the swordfish stall";
const EMAIL: &str = "ada@shop.example";

/// Texts stay sealed, an e-mail address is declared, and of a client's address the network stays.
fn keeps_more(text: String) -> String {
    let text = text.replace(
        "text: score",
        "text: {redact: {detectors: [track, pan, code, email, iban, phone], max_bytes: 200}, seal: true}",
    );
    let extra = "extra:\n\
        \x20 - {on: payment.captured, path: buyer.email, type: email, class: contact, do: {pseudonym: email, seal: true}}\n\
        \x20 - {on: payment.captured, path: client.ip, type: ip, class: raw, do: {truncate: {v4: 24, v6: 48}}}\n";
    text.replace(
        "extra: []                    # fields beyond the catalogue\n",
        extra,
    )
}

fn chat(id: &str) -> Value {
    let mut event = sale(POPUP, "a", id, 500);
    event["type"] = json!("popwatch.chat.message");
    event["data"] =
        json!({"stream": "s", "viewer": "v", "text": format!("{SAID} 4111 1111 1111 1111")});
    event
}

fn known(id: &str) -> Value {
    let mut event = sale(POPUP, "a", id, 500);
    event["data"]["buyer"] = json!({"email": EMAIL, "name": "Ada Lovelace"});
    event["data"]["client"] = json!({"ip": "203.0.113.77"});
    event
}

/// Files below a folder in which a text stands.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if fs::read(&path)
            .unwrap()
            .windows(text.len())
            .any(|part| part == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Keys of a popup as an address tells of them: classes that are alive, classes that are destroyed.
fn keys(address: &str) -> (Vec<String>, Vec<String>) {
    let told = stands(address, POPUP).unwrap_or_default();
    let keys = told["keys"].as_array().cloned().unwrap_or_default();
    let of = |state: &str| {
        let keys = keys.iter().filter(|key| key["state"] == state);
        keys.map(|key| key["class"].as_str().unwrap().to_owned())
            .collect()
    };
    (of("alive"), of("destroyed"))
}

/// Single records of the popup from the ledger, with their sealed parts.
fn read(site: &Site, pass: &str, code: &str) -> Vec<Value> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let time = |offset| popwatch_wire::json::rfc3339(now + offset);
    let body = json!({
        "purpose": "dispute", "from": time(-3_000_000), "to": time(3_000_000),
        "classes": ["contact", "freetext"],
    });
    let bearer = format!("Bearer {pass}");
    let headers = [("Authorization", &*bearer), ("popwatch-code", code)];
    let said = crate::access::http_stream(
        &site.ledger,
        &format!("POST /v1/popups/{POPUP}/raw"),
        &headers,
        body.to_string().as_bytes(),
    );
    assert_eq!(said.0, 200, "{}", said.1);
    said.1
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn what_is_sealed_opens_for_a_granted_read_and_for_nobody_after_its_keep() {
    let site = Site::new("retention");
    let books = site.folder.join("books");
    let data = books.display().to_string();
    assert_eq!(outcome(&["access", "keygen", "--data", &data]).0, Some(0));
    let _ledger = site.start_ledger();
    let _region = site.start_region();
    let (status, said) = joins(&code(&site, "till-7"), &site.ledger, &site.till());
    assert_eq!(status, Some(0), "{said}");
    let pass = outcome(&[
        "access", "issue", "--scope", "operator", "--actor", "lead", "--data", &data,
    ])
    .1;
    let factor = outcome(&[
        "access", "factor", "lead", "--data", &data, "--format", "json",
    ])
    .1;
    let factor: Value = serde_json::from_str(&factor).unwrap();
    let paper = |at: usize| factor["paper"][at].as_str().unwrap().to_owned();

    let first = document("local", POPUP, "version: 1 ", keeps_more);
    lay(&signed(&site, "first", &first), &books);
    until("the ledger takes it", || {
        stands(&site.ledger, POPUP).filter(|told| told["mode"] == "in_force")
    });
    let edge = start(&site);
    until("the till has the policy and the keys", || {
        let told = stands(&site.edge, POPUP).filter(|told| told["mode"] == "in_force");
        (told.is_some() && keys(&site.edge).0.len() == 4).then_some(())
    });
    sell(&site.edge, &[chat("c1"), known("s1")]);
    // No sale of today lies in these windows, so none has a cell.
    until("the first sale is in the books", || {
        site.booked(POPUP).filter(|sales| *sales == 1)
    });
    for secret in [SAID, "swordfish", EMAIL, "Lovelace", "203.0.113.77", "4111"] {
        assert_eq!(
            holding(site.folder.path(), secret),
            Vec::<String>::new(),
            "{secret}"
        );
    }

    let rows = until("the pass is known", || {
        let rows = read(&site, pass.trim(), &paper(0));
        (rows.len() == 2).then_some(rows)
    });
    let of = |rows: &[Value], end: &str| -> Value {
        let mut rows = rows
            .iter()
            .filter(|row| row["type"].as_str().unwrap().ends_with(end));
        rows.next().unwrap().clone()
    };
    let (talk, sold) = (of(&rows, "chat.message"), of(&rows, "payment.captured"));
    assert_eq!(talk["sealed"]["freetext"]["text"], format!("{SAID} [card]"));
    assert_eq!(talk["sealed"]["contact"], Value::Null);
    assert_eq!(sold["sealed"]["contact"]["buyer.email"], EMAIL);
    assert_eq!(sold["data"]["client.ip"], "203.0.113.0/24");
    let stand_in = sold["data"]["buyer.email"].as_str().unwrap();
    assert!(
        stand_in.starts_with("e_") && stand_in.len() == 28,
        "{stand_in}"
    );

    // The popup ended long ago: a version that says so ends its keys everywhere.
    let digest = stands(&site.ledger, POPUP).unwrap()["running"]["digest"].clone();
    let next = format!("version: 2\nparent: {} ", digest.as_str().unwrap());
    let ended = |text: String| keeps_more(text).replace("2098-11-28T", "2018-11-28T");
    let second = document("local", POPUP, &next, ended);
    lay(&signed(&site, "second", &second), &books);
    until("the ledger destroys its keys", || {
        (keys(&site.ledger).1.len() == 4).then_some(())
    });
    assert_eq!(edge.stop(), Some(0));
    let edge = start(&site);
    until("the till destroys its copies", || {
        (keys(&site.edge).0.is_empty() && keys(&site.edge).1.len() == 4).then_some(())
    });
    assert_eq!(edge.stop(), Some(0));
    let edge = start(&site);
    let at = format!("http://{}", site.ledger);
    let told = until("the till tells its ledger so", || {
        let (status, told, why) = outcome(&["policy", "status", POPUP, "--at", &at]);
        assert_eq!(status, Some(0), "{why}");
        (told.matches("2 of 2 holders destroyed theirs").count() == 4).then_some(told)
    });
    assert!(!told.contains("unconfirmed"), "{told}");
    let rows = read(&site, pass.trim(), &paper(1));
    let shut = of(&rows, "payment.captured")["sealed"]["contact"].clone();
    assert!(
        shut.as_str().unwrap().starts_with("sealed (destroyed 20"),
        "{shut}"
    );
    // Thirty days after its end the chat is gone from the books; that it was there is still told.
    until("observations go from the books", || {
        (site.reconciliation(POPUP)["cells"]["erased"].as_u64()? >= 1).then_some(())
    });
    let found = site.reconciliation(POPUP);
    assert_eq!(
        (&found["complete"], &found["cells"]["compared"]),
        (&json!(true), &json!(0))
    );

    // Selling goes on without the fields that nobody could open.
    sell(&site.edge, &[known("s2"), chat("c2")]);
    until("so is the second", || {
        site.booked(POPUP).filter(|sales| *sales == 2)
    });
    let rows = read(&site, pass.trim(), &paper(2));
    let sales: Vec<_> = rows
        .iter()
        .filter(|row| row["type"] == "popwatch.payment.captured")
        .collect();
    let without = sales
        .iter()
        .filter(|row| row["sealed"]["contact"].is_null());
    assert_eq!(
        (sales.len(), without.count()),
        (2, 1),
        "one part of before, shut for ever"
    );
    let trail = http(&site.edge, "GET /v1/audit", &[], b"").unwrap();
    let trail = String::from_utf8_lossy(&trail.body).into_owned();
    assert_eq!(trail.matches("key.destroyed").count(), 4, "{trail}");
    assert_eq!(edge.stop(), Some(0));
}
