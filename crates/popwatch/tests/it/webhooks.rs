//! Messages of payment providers at the real binary: a till's and the ledger's.

use std::time::{SystemTime, UNIX_EPOCH};

use popwatch_core::provider::ProviderKind;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::provider::{Account, Secrets, sample, sample_item};
use serde_json::{Value, json};

use crate::admission::{Till, alone, metric};
use crate::support::{Answer, Site, http, sale, sell, try_get, until};

const SECRET: &str = "00ff00ff";

fn account(kind: ProviderKind) -> Account {
    Account {
        name: kind.text().into(),
        kind,
        is_live: true,
        secrets: Secrets::new(kind, &[SECRET]).unwrap(),
        notification_url: "https://shop.example/hooks".into(),
        stamp_keys: Vec::new(),
        order_keys: Vec::new(),
        captures_at_once: false,
        currency: None,
        exponents: Vec::new(),
        reference: ReferenceKey::new([0; 32]),
    }
}

/// The section of each account, its secret in a file.
fn providers(site: &Site) -> String {
    let secret = site.folder.write("secret", SECRET);
    let section = |name: &str, kind: &str, more: &str| {
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nsecrets_file = \"{}\"\n{more}\n",
            secret.display()
        )
    };
    [
        section("stripe", "stripe", ""),
        section(
            "square",
            "square",
            "notification_url = \"https://shop.example/hooks\"",
        ),
        section("adyen", "adyen", ""),
        section("one", "shopify", ""),
        section("two", "shopify", ""),
    ]
    .concat()
}

/// An edge alone that takes messages.
fn with_providers(name: &str) -> Till {
    let site = Site::new(name);
    let more = providers(&site);
    let config = alone(&site, &site.till().display().to_string(), &more);
    let edge = site.started("edge", &config);
    Till { site, edge }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn send(
    address: &str,
    kind: ProviderKind,
    path: &str,
    body: &str,
    more: &[(&str, &str)],
) -> Answer {
    let signed = sample(&account(kind), body.as_bytes(), now_ms());
    let mut headers: Vec<(&str, &str)> = signed.iter().map(|(k, v)| (*k, v.as_str())).collect();
    headers.extend_from_slice(more);
    let request = format!("POST /v1/webhooks/{path}");
    http(address, &request, &headers, body.as_bytes()).unwrap()
}

fn captured(id: &str, amount: i64) -> String {
    json!({"id": id, "type": "payment_intent.succeeded", "created": 1_796_061_600, "livemode": true,
        "data": {"object": {"id": "pi_1", "amount": amount, "amount_received": amount, "currency": "gbp"}}})
    .to_string()
}

fn counted(address: &str, outcome: &str) -> String {
    let label = format!("outcome=\"{outcome}\"");
    metric(address, "popwatch_webhooks_total", &[&label]).to_string()
}

fn code(answer: &Answer) -> String {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_till_answers_a_provider_when_its_message_is_durable() {
    let till = with_providers("webhooks");
    let edge = till.site.edge.as_str();
    let stripe = ProviderKind::Stripe;
    let public = [("Host", "hooks.shop.example")];
    let first = send(edge, stripe, "stripe", &captured("evt_1", 500), &public);
    assert_eq!((first.status, first.body.as_slice()), (200, &b""[..]));
    assert_eq!(
        send(edge, stripe, "stripe", &captured("evt_1", 500), &[]).status,
        200
    );
    assert_eq!(
        send(edge, stripe, "stripe", &captured("evt_1", 501), &[]).status,
        200
    );
    let test_mode = captured("evt_2", 500).replace("true", "false");
    assert_eq!(send(edge, stripe, "stripe", &test_mode, &[]).status, 200);
    let other = captured("evt_3", 500).replace("payment_intent.succeeded", "customer.created");
    assert_eq!(send(edge, stripe, "stripe", &other, &[]).status, 200);
    for outcome in ["taken", "repeated", "conflict", "test_mode", "ignored"] {
        assert_eq!(counted(edge, outcome), "1", "{outcome}");
    }
    let named = metric(
        edge,
        "popwatch_webhooks_ignored_total",
        &["type=\"customer.created\""],
    );
    assert_eq!(named.to_string(), "1");

    let item = json!({"eventCode": "AUTHORISATION", "success": "true", "pspReference": "P1", "amount": {"value": 5, "currency": "EUR"}});
    let mac = sample_item(&account(ProviderKind::Adyen), &item).unwrap();
    let mut item = item;
    item["additionalData"] = json!({"hmacSignature": mac});
    let batch = json!({"live": "true", "notificationItems": [{"NotificationRequestItem": item}]});
    let answer = send(edge, ProviderKind::Adyen, "adyen", &batch.to_string(), &[]);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, &b"[accepted]"[..])
    );
}

#[test]
fn what_is_no_message_of_a_provider_is_refused_by_its_code() {
    let till = with_providers("webhooks-refused");
    let edge = till.site.edge.as_str();
    let stripe = ProviderKind::Stripe;
    let body = captured("evt_1", 500);
    let check = |answer: Answer, status: u16, expect: &str| {
        assert_eq!((answer.status, code(&answer).as_str()), (status, expect));
    };
    check(send(edge, stripe, "paypal", &body, &[]), 404, "PW0901");
    check(
        send(edge, stripe, "stripe?account=nobody", &body, &[]),
        404,
        "PW0901",
    );
    let shopify = ProviderKind::Shopify;
    check(send(edge, shopify, "shopify", "{}", &[]), 404, "PW0901");
    let headers = [
        ("x-shopify-event-id", "e-1"),
        ("x-shopify-topic", "app/uninstalled"),
    ];
    assert_eq!(
        send(edge, shopify, "shopify?account=two", "{}", &headers).status,
        200
    );
    let unsigned = http(edge, "POST /v1/webhooks/stripe", &[], body.as_bytes()).unwrap();
    check(unsigned, 401, "PW0902");
    let forged = [("stripe-signature", "t=1,v1=00")];
    let forged = http(edge, "POST /v1/webhooks/stripe", &forged, body.as_bytes()).unwrap();
    check(forged, 401, "PW0902");
    check(send(edge, stripe, "stripe", "<html>", &[]), 400, "PW0903");
    let large = vec![b' '; (1 << 20) + 1];
    let large = http(edge, "POST /v1/webhooks/stripe", &[], &large).unwrap();
    check(large, 413, "PW0904");
    for (outcome, count) in [
        ("no_signature", "1"),
        ("bad_signature", "1"),
        ("unparsable", "1"),
        ("too_large", "1"),
        ("taken", "0"),
    ] {
        assert_eq!(counted(edge, outcome), count, "{outcome}");
    }
}

#[test]
fn a_message_that_reaches_a_till_and_the_ledger_is_one_fact() {
    let site = Site::new("webhooks-both");
    let more = providers(&site);
    let config = format!(
        "data = \"{}\"\n[ledger]\nlisten = \"{}\"\n{more}",
        site.folder.join("books").display(),
        site.ledger
    );
    let _ledger = site.started("ledger", &config);
    let _edge = site.started("edge", &(site.edge_config() + &more));
    let stripe = ProviderKind::Stripe;
    let body = captured("evt_1", 500);
    assert_eq!(send(&site.edge, stripe, "stripe", &body, &[]).status, 200);
    until("the ledger holds all", || {
        let answer = http(&site.edge, "GET /v1/status", &[], b"").ok()?;
        let status: Value = serde_json::from_slice(&answer.body).ok()?;
        (status["unsent"]["records"] == json!(0)).then_some(())
    });
    assert_eq!(send(&site.ledger, stripe, "stripe", &body, &[]).status, 200);
    assert_eq!(
        (
            counted(&site.ledger, "repeated"),
            counted(&site.ledger, "taken")
        ),
        ("1".to_owned(), "0".to_owned())
    );
    // Bad signatures are told to the books once an hour and reason, wherever they came in.
    for address in [&site.edge, &site.ledger, &site.ledger] {
        let unsigned = http(address, "POST /v1/webhooks/stripe", &[], b"{}").unwrap();
        assert_eq!(unsigned.status, 401);
    }
    let next = captured("evt_2", 700).replace("pi_1", "pi_2");
    assert_eq!(send(&site.ledger, stripe, "stripe", &next, &[]).status, 200);
    assert_eq!(counted(&site.ledger, "taken"), "1");
}

/// The one account, so that a sale that names no provider is of it.
fn only_stripe(site: &Site) -> String {
    let secret = site.folder.write("secret", SECRET);
    format!(
        "[providers.stripe]\nkind = \"stripe\"\nsecrets_file = \"{}\"\n",
        secret.display()
    )
}

#[test]
fn what_the_provider_confirms_is_settled_on_the_regions_screen_also_after_it_forgot() {
    let site = Site::new("settled");
    let more = only_stripe(&site);
    let region = site.start_region();
    let config = format!(
        "data = \"{}\"\n[ledger]\nlisten = \"{}\"\nregions = [\"http://{}\"]\n{more}",
        site.folder.join("books").display(),
        site.ledger,
        site.region
    );
    let _ledger = site.started("ledger", &config);
    let _edge = site.started("edge", &(site.edge_config() + &more));
    sell(
        &site.edge,
        &[
            sale("stall", "pos-1", "a", 1_200),
            sale("stall", "pos-1", "b", 800),
        ],
    );
    site.drained("stall", 2);
    let shows = |settled: i64| {
        until("the region shows how far the books are", || {
            let summary = try_get(&site.region, "/v1/popups/stall/summary")?;
            let stage = &summary["asof"]["stage"][0];
            let told = json!({"currency": "EUR", "durable": 2_000, "replicated": 2_000, "reconciled": settled});
            (*stage == told).then_some(())
        });
    };
    shows(0);
    let paid = |event: &str, id: &str, payment: &str, minor: i64| {
        let object = json!({"id": id, "amount": minor, "amount_received": minor, "currency": "eur",
            "metadata": {"pw_ref": payment}});
        let body = json!({"id": event, "type": "payment_intent.succeeded", "created": now_ms() / 1_000,
            "livemode": true, "data": {"object": object}});
        let stripe = ProviderKind::Stripe;
        let answer = send(&site.ledger, stripe, "stripe", &body.to_string(), &[]);
        assert_eq!(answer.status, 200);
    };
    paid("evt_1", "pi_1", "p-a", 1_200);
    shows(1_200);
    paid("evt_2", "pi_2", "p-b", 750);
    assert_eq!(region.stop(), Some(0));
    let _region = site.start_region();
    // The amounts differ, so the second waits on; the new memory is told all of it again.
    shows(1_200);
}
