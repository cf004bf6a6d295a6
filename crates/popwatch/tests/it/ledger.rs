//! The ledger as a process of its own: what providers, files and people bring to it, what it answers,
//! what a third party verifies.

use std::time::{SystemTime, UNIX_EPOCH};

use popwatch_core::provider::ProviderKind;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::json::rfc3339;
use popwatch_wire::provider::{Account, Secrets, sample};
use serde_json::{Value, json};

use crate::support::{Process, Site, get, http, outcome, sale, sell, until};

const SECRET: &str = "00ff00ff";

/// A stall that promises ana a tenth, and its account at Stripe.
fn promised(site: &Site) -> (String, String) {
    let popup = "[[popups]]\nid = \"stall\"\nstarts = \"2020-01-01T00:00:00Z\"\n\
        ends = \"2100-01-01T00:00:00Z\"\n[popups.commerce]\n\
        shares = [{ creator = \"ana\", rate_ppm = 100000, hold_days = 0 }]\n";
    let secret = site.folder.write("secret", SECRET);
    let provider = format!(
        "[providers.main]\nkind = \"stripe\"\nsecrets_file = \"{}\"\n",
        secret.display()
    );
    (popup.to_owned(), provider)
}

/// Region, ledger and edge, each its own process.
fn started(site: &Site) -> [Process; 3] {
    let (popup, provider) = promised(site);
    let ledger = format!(
        "data = \"{}\"\n[ledger]\nlisten = \"{}\"\nregions = [\"http://{}\"]\n{provider}",
        site.folder.join("books").display(),
        site.ledger,
        site.region
    );
    let edge = format!("{}{popup}", site.edge_config());
    [
        site.start_region(),
        site.started("ledger", &ledger),
        site.started("edge", &edge),
    ]
}

fn of_ana(id: &str, minor: i64) -> Value {
    let mut event = sale("stall", "checkout", id, minor);
    event["data"]["lines"][0]["creator"] = json!("ana");
    event
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// What Stripe tells of a charge, signed.
fn told(site: &Site, intent: &str, stamp: &str, minor: i64) {
    let account = Account {
        name: "main".into(),
        kind: ProviderKind::Stripe,
        is_live: true,
        secrets: Secrets::new(ProviderKind::Stripe, &[SECRET]).unwrap(),
        notification_url: String::new(),
        stamp_keys: Vec::new(),
        order_keys: Vec::new(),
        captures_at_once: false,
        currency: None,
        exponents: Vec::new(),
        reference: ReferenceKey::new([0; 32]),
    };
    let at = now_ms() / 1_000;
    let body = json!({"id": format!("evt_{intent}"), "type": "payment_intent.succeeded",
        "created": at, "livemode": true, "data": {"object": {"id": intent, "created": at,
            "amount": minor, "amount_received": minor, "currency": "eur",
            "metadata": {"pw_ref": stamp}}}})
    .to_string();
    let signed = sample(&account, body.as_bytes(), now_ms());
    let headers: Vec<(&str, &str)> = signed.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let answer = http(
        &site.ledger,
        "POST /v1/webhooks/stripe",
        &headers,
        body.as_bytes(),
    );
    assert_eq!(answer.unwrap().status, 200);
}

/// The itemised file of two charges and the payout that holds them.
fn settled() -> String {
    "balance_transaction_id,created,currency,gross,fee,net,reporting_category,payment_intent_id,\
     source_id,automatic_payout_id\n\
     txn_1,2026-03-06 20:00:00,eur,10.00,0.30,9.70,charge,pi_1,,po_1\n\
     txn_2,2026-03-06 20:01:00,eur,5.00,0.20,4.80,charge,pi_2,,po_1\n\
     txn_3,2026-03-07 20:00:00,eur,-14.50,0,-14.50,payout,,po_1,po_1\n"
        .replace("     ", "")
}

#[test]
fn a_day_goes_from_the_till_to_a_certificate_over_the_command_line() {
    let site = Site::new("ledger");
    let [_region, ledger, _edge] = started(&site);
    sell(&site.edge, &[of_ana("a", 1_000), of_ana("b", 500)]);
    site.drained("stall", 2);
    told(&site, "pi_1", "p-a", 1_000);
    told(&site, "pi_2", "p-b", 500);
    let url = format!("http://{}", site.ledger);
    let claims = || site.reconciliation("stall")["claims"]["EUR"].clone();
    until("both charges are confirmed", || {
        (claims()["confirmed"] == 1_500).then_some(())
    });
    assert_eq!(
        claims(),
        json!({"claimed": 1_500, "confirmed": 1_500, "settled": 0, "stored_offline": 0})
    );

    let file = site.folder.write("stripe.csv", &settled());
    let of = format!("stripe:main={}", file.display());
    let bring = ["reconcile", "stall", "--ledger", &url, "--settlement", &of];
    let (_, said, notes) = outcome(&bring);
    assert!(notes.contains("3 rows, 3 new"), "{notes}");
    assert!(said.contains("settled EUR 15.00"), "{said}");
    assert!(
        said.contains("payout stripe:main:po_1   paid EUR 14.50   its lines EUR 14.50"),
        "{said}"
    );
    let (_, _, notes) = outcome(&bring);
    assert!(notes.contains("all of it was taken before"), "{notes}");

    let statement = get(&site.ledger, "/v1/popups/stall/statements/ana");
    let sums = &statement["currencies"]["EUR"];
    let sum = |name: &str| sums[name].as_i64().unwrap();
    assert_eq!((sum("earned"), sum("reversed")), (150, 0), "{statement}");
    assert_eq!(
        sum("earned") - sum("reversed"),
        sum("held") + sum("available") + sum("paid") - sum("receivable")
    );
    let books = get(&site.ledger, "/v1/popups/stall/books");
    let accounts = books["currencies"]["EUR"]["accounts"].as_array().unwrap();
    let held: i64 = (accounts.iter())
        .filter(|line| matches!(line["account"].as_str(), Some("2030:ana" | "2031:ana")))
        .map(|line| -line["balance"].as_i64().unwrap())
        .sum();
    assert_eq!(held, sum("held") + sum("available"), "{books}");
    let lines = statement["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{statement}");
    assert_eq!(
        lines[0]["evidence"], "line",
        "the line names its creator: {statement}"
    );
    let csv = ["statement", "stall", "ana", "--ledger", &url, "--csv"];
    let (status, rows, why) = outcome(&csv);
    assert_eq!((status, rows.lines().count()), (Some(0), 3), "{why}{rows}");

    let close = ["close", "stall", "--ledger", &url, "--format", "json"];
    let (status, certificate, why) = outcome(&close);
    assert_eq!(status, Some(0), "{why}");
    let body: Value = serde_json::from_str(&certificate).unwrap();
    let key = body["key"].as_str().unwrap().to_owned();
    let held = site.folder.write("close.json", &certificate);
    let (status, journal, _) = outcome(&["export", "stall", "--ledger", &url]);
    assert_eq!(status, Some(0));
    assert!(journal.contains("5040"), "{journal}");
    ledger.stop();
    let held = held.to_str().unwrap();
    let verified = outcome(&["close", "stall", "--verify", held, "--key", &key]);
    assert_eq!(verified.0, Some(0), "{}", verified.2);
}

#[test]
fn asking_about_another_moment_moves_nothing() {
    let site = Site::new("moment");
    let _running = started(&site);
    sell(&site.edge, &[of_ana("a", 1_000)]);
    site.drained("stall", 1);
    let state = || {
        let books = get(&site.ledger, "/v1/popups/stall/books");
        (books["books_root"].clone(), books["entries"].clone())
    };
    let before = state();
    let classes = |at_ms: i64| -> Vec<Value> {
        let at = rfc3339(at_ms);
        let path = format!("/v1/popups/stall/reconciliation?as_of={at}");
        let found = get(&site.ledger, &path);
        let breaks = found["breaks"].as_array().unwrap();
        breaks.iter().map(|one| one["class"].clone()).collect()
    };
    let (now, later) = (now_ms(), now_ms() + 3_600_000);
    assert!(classes(later).contains(&json!("P-MISSING")));
    assert_eq!(state(), before, "nothing was kept of what will be");
    assert!(!classes(now).contains(&json!("P-MISSING")));
    let shown = get(&site.ledger, "/v1/popups/stall/breaks");
    assert!(!shown.to_string().contains("P-MISSING"), "{shown}");
}

#[test]
fn a_parameter_that_cannot_be_read_is_named_in_a_problem() {
    let site = Site::new("parameters");
    let _ledger = site.start_ledger();
    for (path, names) in [
        ("/v1/audit?limit=", "limit"),
        ("/v1/audit/first/proof", "first"),
        ("/v1/popups/fri/close?n=-1", "n: "),
        ("/v1/popups/fri/reconciliation?full=yes", "full"),
        ("/v1/popups/%FF/reconciliation", "popup"),
    ] {
        let answer = http(&site.ledger, &format!("GET {path}"), &[], b"").unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
        let media = answer.header("content-type").unwrap();
        assert_eq!(media, "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["code"], "PW3135");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(names), "{detail}");
        assert!(!detail.contains("deserialize"), "{detail}");
    }
}
