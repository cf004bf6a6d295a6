//! A day's books are closed, and the certificate is verified with the public key alone.

use serde_json::Value;

use crate::support::{Site, get, http, outcome, sale, sell};

#[test]
fn a_close_is_signed_once_and_verified_without_a_ledger() {
    let site = Site::new("closing");
    let (_region, ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    sell(
        &site.edge,
        &[
            sale("stall", "checkout", "a", 450),
            sale("stall", "checkout", "b", 550),
        ],
    );
    site.drained("stall", 2);
    let url = format!("http://{}", site.ledger);
    let never = http(&site.ledger, "GET /v1/popups/stall/close", &[], b"").unwrap();
    assert_eq!(
        (never.status, never.json()["code"].as_str().unwrap()),
        (404, "PW0351")
    );

    let close = ["close", "stall", "--ledger", &url, "--format", "json"];
    let (status, said, why) = outcome(&close);
    assert_eq!(status, Some(0), "{why}");
    let body: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(body["close"]["n"], 1);
    assert_eq!(
        outcome(&close).1,
        said,
        "the same books give the same certificate"
    );
    let shown = get(&site.ledger, "/v1/popups/stall/close");
    assert_eq!(shown["hash"], body["hash"]);

    let early = http(
        &site.ledger,
        "POST /v1/popups/stall/close",
        &[("content-type", "application/json")],
        b"{\"as_of_ms\": 1}",
    )
    .unwrap();
    assert_eq!(
        (early.status, early.json()["code"].as_str().unwrap()),
        (409, "PW0353")
    );

    let listed = get(
        &site.ledger,
        "/v1/popups/stall/books?entries=1&account=4010",
    );
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{listed}");

    let file = site.folder.write("close.json", &said);
    let key = body["key"].as_str().unwrap().to_owned();
    ledger.stop();
    let verify = |path: &std::path::Path| {
        outcome(&[
            "close",
            "stall",
            "--verify",
            path.to_str().unwrap(),
            "--key",
            &key,
        ])
    };
    assert_eq!(verify(&file).0, Some(0));
    let root = body["close"]["books_root"].as_str().unwrap();
    let other = said.replace(root, &"0".repeat(64));
    let file = site.folder.write("altered.json", &other);
    let (status, said, _) = verify(&file);
    assert_eq!(status, Some(3));
    assert!(said.contains("PW0354: books_root"), "{said}");
}

#[test]
fn a_file_is_taken_once_and_a_bad_row_is_named() {
    let site = Site::new("files");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    sell(&site.edge, &[sale("stall", "checkout", "a", 450)]);
    site.drained("stall", 1);
    let sheet = b"kind,key,qty,amount,currency,location,counted_at,counter\nstock,nothing,1,,,,2020-01-01T00:00:00Z,\n";
    let counted = http(&site.ledger, "POST /v1/popups/stall/counts", &[], sheet).unwrap();
    assert_eq!(counted.status, 200, "{}", counted.head);
    assert_eq!(counted.json()["refused"], 1);

    let bank = b"date,amount,currency,reference,id\n2026-11-23,10.00,GBP,PO-1,b1\n";
    let path = "POST /v1/popups/stall/settlements?provider=bank&account=giro";
    let taken = http(&site.ledger, path, &[], bank).unwrap();
    let first = taken.json();
    assert_eq!(
        (taken.status, &first["new"]),
        (200, &Value::from(1)),
        "{first}"
    );
    let again = http(&site.ledger, path, &[], bank).unwrap().json();
    assert_eq!(
        (&again["new"], &again["exists"]),
        (&Value::from(0), &Value::from(1)),
        "{again}"
    );
}
