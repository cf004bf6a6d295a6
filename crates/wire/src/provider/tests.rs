//! Every official vector, every mutant of it, every stored body.

mod bodies;
mod mapping;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::io::Read as _;

use super::signature::{base64, base64_mac, hex, hex_mac};
use super::*;

const NOW_MS: i64 = 1_796_061_600_000;

fn account(kind: ProviderKind, secret: &str) -> Account {
    Account {
        name: "main".into(),
        kind,
        is_live: false,
        secrets: Secrets::new(kind, &[secret]).unwrap(),
        notification_url: "https://hooks.example/square".into(),
        stamp_keys: vec!["metadata.pw_ref".into(), "metadata.event_id".into()],
        order_keys: vec!["metadata.orderId".into()],
        captures_at_once: false,
        currency: Currency::new("USD"),
        exponents: Vec::new(),
        reference: ReferenceKey::new([3; 32]),
    }
}

fn signatures() -> Json {
    let text = include_str!("../../../../fixtures/public/providers/signatures.json");
    serde_json::from_str(text).unwrap()
}

/// The lines of a packed fixture.
fn packed(bytes: &[u8]) -> Vec<Json> {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .take(64 << 20)
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The headers under which a body is good, with a secret of ours.
fn signed(account: &Account, body: &[u8], topic: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = sample(account, body, NOW_MS)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if account.kind == ProviderKind::Shopify {
        headers.push(("x-shopify-event-id".into(), "delivery-1".into()));
        headers.push(("x-shopify-topic".into(), topic.into()));
    }
    headers
}

fn give(account: &Account, headers: &[(String, String)], body: &[u8]) -> Result<Received, Outcome> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    let delivery = Delivery {
        headers: &headers,
        body,
        now_ms: Some(NOW_MS),
    };
    receive(account, &delivery)
}

fn check_fits(account: &Account, header: &str, value: &str, body: &[u8], now_ms: i64) -> bool {
    let delivery = Delivery {
        headers: &[(header, value)],
        body,
        now_ms: Some(now_ms),
    };
    verify(account, &delivery).is_ok()
}

/// Each byte of the body, each character of the signature and of the key, changed.
fn assert_no_mutant_fits(
    make: &dyn Fn(&str) -> Account,
    secret: &str,
    header: (&str, &str),
    body: &[u8],
    now_ms: i64,
) {
    let good = make(secret);
    let (name, value) = header;
    assert!(check_fits(&good, name, value, body, now_ms), "{value}");
    for at in 0..body.len() {
        let mut other = body.to_vec();
        other[at] ^= 1;
        assert!(!check_fits(&good, name, value, &other, now_ms), "body {at}");
    }
    for at in 0..value.len() {
        let mut other = value.as_bytes().to_vec();
        other[at] ^= 1;
        let Ok(other) = String::from_utf8(other) else {
            continue;
        };
        assert!(!check_fits(&good, name, &other, body, now_ms), "{other}");
    }
    for at in 0..secret.len() {
        let mut other = secret.as_bytes().to_vec();
        other[at] ^= if secret.len() == 64 { 4 } else { 1 };
        let other = String::from_utf8(other).unwrap();
        if Secrets::new(good.kind, &[&other]).is_ok() && !other.eq_ignore_ascii_case(secret) {
            let account = make(&other);
            assert!(!check_fits(&account, name, value, body, now_ms), "key {at}");
        }
    }
}

#[test]
fn official_vectors_of_headers_fit_and_no_mutant_does() {
    let mut seen = 0;
    let all = signatures();
    let official = all["official"].as_array().unwrap();
    let other = all["other"].as_array().unwrap();
    for vector in official.iter().chain(other) {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        let kind = match (text("provider") + &text("scheme")).as_str() {
            "stripe" => ProviderKind::Stripe,
            "square" => ProviderKind::Square,
            "shopify" => ProviderKind::Shopify,
            _ => continue,
        };
        seen += 1;
        let header = match kind {
            ProviderKind::Stripe => "stripe-signature",
            ProviderKind::Square => "x-square-hmacsha256-signature",
            ProviderKind::Shopify | ProviderKind::Adyen => "x-shopify-hmac-sha256",
        };
        let value = text("value") + &text("expect") + &text("signature");
        let secret = text("secret") + &text("key");
        let url = text("url");
        let make = |secret: &str| Account {
            notification_url: url.clone(),
            ..account(kind, secret)
        };
        let body = text("body");
        let now_ms = 1_700_000_000_000;
        assert_no_mutant_fits(&make, &secret, (header, &value), body.as_bytes(), now_ms);
        for at in 0..url.len() {
            let mut other = url.clone().into_bytes();
            other[at] ^= 1;
            let elsewhere = Account {
                notification_url: String::from_utf8(other).unwrap(),
                ..make(&secret)
            };
            assert!(!check_fits(
                &elsewhere,
                header,
                &value,
                body.as_bytes(),
                now_ms
            ));
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn official_items_of_adyen_fit_and_no_mutant_does() {
    let mut seen = 0;
    let all = signatures();
    let rows = all["official"].as_array().unwrap().iter();
    for vector in rows.chain(all["other"].as_array().unwrap()) {
        let Some(item) = vector.get("item") else {
            continue;
        };
        seen += 1;
        let key = vector["key_hex"]
            .as_str()
            .or(vector["key"].as_str())
            .unwrap();
        let good = account(ProviderKind::Adyen, key);
        let fits = |account: &Account, item: &Json| {
            let batch =
                json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]});
            let body = batch.to_string();
            receive(
                account,
                &Delivery {
                    headers: &[],
                    body: body.as_bytes(),
                    now_ms: None,
                },
            )
        };
        assert!(fits(&good, item).is_ok());
        for name in [
            "pspReference",
            "originalReference",
            "merchantAccountCode",
            "merchantReference",
            "eventCode",
            "success",
        ] {
            let mut other = item.clone();
            other[name] = json!(item[name].as_str().unwrap_or_default().to_owned() + "x");
            assert_eq!(fits(&good, &other), Err(Outcome::BadSignature), "{name}");
        }
        for (name, value) in [("value", json!(1)), ("currency", json!("XXX"))] {
            let mut other = item.clone();
            other["amount"][name] = value;
            assert_eq!(fits(&good, &other), Err(Outcome::BadSignature), "{name}");
        }
        // These are not signed, and nothing is done by them.
        for name in ["reason", "eventDate"] {
            let mut other = item.clone();
            other[name] = json!("https://10.0.0.1/report");
            assert!(fits(&good, &other).is_ok(), "{name}");
        }
        let mac = item["additionalData"]["hmacSignature"].as_str().unwrap();
        for at in 0..mac.len() {
            let mut bytes = mac.as_bytes().to_vec();
            bytes[at] ^= 1;
            let mut other = item.clone();
            other["additionalData"]["hmacSignature"] = json!(String::from_utf8(bytes).unwrap());
            assert_eq!(fits(&good, &other), Err(Outcome::BadSignature), "{at}");
        }
        for at in 0..key.len() {
            let mut other = key.as_bytes().to_vec();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = account(ProviderKind::Adyen, std::str::from_utf8(&other).unwrap());
            assert_eq!(fits(&other, item), Err(Outcome::BadSignature), "{at}");
        }
        let mut unsigned = item.clone();
        unsigned["additionalData"] = json!({});
        assert_eq!(fits(&good, &unsigned), Err(Outcome::NoSignature));
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_signed_day_of_stripe_fits_and_no_mutant_does() {
    let rows = packed(include_bytes!(
        "../../../../fixtures/public/providers/stripe_signed.jsonl.gz"
    ));
    assert_eq!(rows.len(), 49);
    for (at, row) in rows.iter().enumerate() {
        let secret = row["secret"].as_str().unwrap();
        let body = row["body"].as_str().unwrap().as_bytes();
        let value = row["headers"]["Stripe-Signature"].as_str().unwrap();
        let seconds = value[2..].split(',').next().unwrap();
        let now_ms = seconds.parse::<i64>().unwrap() * 1_000;
        let make = |secret: &str| account(ProviderKind::Stripe, secret);
        let stripe = make(secret);
        if at == 0 {
            assert_no_mutant_fits(&make, secret, ("stripe-signature", value), body, now_ms);
        }
        assert!(check_fits(&stripe, "stripe-signature", value, body, now_ms));
        for flip in (at..body.len()).step_by(41) {
            let mut other = body.to_vec();
            other[flip] ^= 1;
            assert!(!check_fits(
                &stripe,
                "stripe-signature",
                value,
                &other,
                now_ms
            ));
        }
        let told = receive(
            &stripe,
            &Delivery {
                headers: &[("stripe-signature", value)],
                body,
                now_ms: Some(now_ms),
            },
        );
        let told = told.unwrap();
        assert_eq!(told.objects.len(), 1);
        assert!(!told.objects[0].stamps.is_empty());
        assert_eq!(told.inexact, 0);
    }
}

#[test]
fn a_header_of_stripe_has_one_form() {
    let stripe = account(ProviderKind::Stripe, "whsec_x");
    let good = signed(&stripe, b"{}", "")[0].1.clone();
    let mac = good.rsplit('=').next().unwrap().to_owned();
    let time = NOW_MS / 1_000;
    let check = |header: String, expect: Result<(), Outcome>| {
        let delivery = Delivery {
            headers: &[("stripe-signature", &header)],
            body: b"{}",
            now_ms: Some(NOW_MS),
        };
        assert_eq!(verify(&stripe, &delivery), expect, "{header}");
    };
    check(good, Ok(()));
    check(format!("t={time},v1={},v1={mac}", "0".repeat(64)), Ok(()));
    check(
        format!("t={time},t={time},v1={mac}"),
        Err(Outcome::BadSignature),
    );
    check(format!("t= {time},v1={mac}"), Err(Outcome::BadSignature));
    check(format!("t=+{time},v1={mac}"), Err(Outcome::BadSignature));
    check(format!("t={time}"), Err(Outcome::BadSignature));
    check(format!("v1={mac}"), Err(Outcome::BadSignature));
    check(format!("t={time},v0={mac}"), Err(Outcome::BadSignature));
    check(
        format!("t={time},v1={}", mac.to_uppercase()),
        Err(Outcome::BadSignature),
    );
    check(String::new(), Err(Outcome::BadSignature));
    let many = format!("t={time},") + &vec![format!("v1={mac}"); 17].join(",");
    check(many, Err(Outcome::BadSignature));
    let none = Delivery {
        headers: &[],
        body: b"{}",
        now_ms: None,
    };
    assert_eq!(verify(&stripe, &none), Err(Outcome::NoSignature));
}

#[test]
fn stale_and_future_messages_are_refused_and_an_unsure_clock_marks_them() {
    let stripe = account(ProviderKind::Stripe, "whsec_x");
    let body = br#"{"id":"evt_1","type":"payout.paid","livemode":false,"created":1,
        "data":{"object":{"id":"po_1","status":"paid","amount":5,"currency":"gbp"}}}"#;
    let headers = signed(&stripe, body, "");
    let at = |now_ms| {
        let delivery = Delivery {
            headers: &[("stripe-signature", &headers[0].1)],
            body,
            now_ms,
        };
        receive(&stripe, &delivery)
    };
    assert!(!at(Some(NOW_MS + 300_000)).unwrap().objects[0].unwindowed);
    assert_eq!(at(Some(NOW_MS + 300_001)), Err(Outcome::Stale));
    assert_eq!(at(Some(NOW_MS - 300_001)), Err(Outcome::Future));
    let year = 365 * 86_400_000;
    assert_eq!(at(Some(NOW_MS - year)), Err(Outcome::Future));
    assert!(at(None).unwrap().objects[0].unwindowed);
}

#[test]
fn any_of_four_secrets_fits() {
    let old = account(ProviderKind::Shopify, "old");
    let body = b"{}";
    let headers = signed(&old, body, "app/uninstalled");
    let rotated = Account {
        secrets: Secrets::new(ProviderKind::Shopify, &["new", "x", "y", "old"]).unwrap(),
        ..account(ProviderKind::Shopify, "new")
    };
    assert!(give(&rotated, &headers, body).is_ok());
    let gone = account(ProviderKind::Shopify, "new");
    assert_eq!(give(&gone, &headers, body), Err(Outcome::BadSignature));
}

#[test]
fn strict_texts_read_what_is_written() {
    let mac: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
    assert_eq!(base64_mac(&base64(&mac)), Some(mac));
    assert_eq!(hex_mac(&hex(&mac)), Some(mac));
}

fn any_kind() -> impl Strategy<Value = ProviderKind> {
    prop::sample::select(ProviderKind::ALL.to_vec())
}

proptest! {
    #[test]
    fn hostile_bytes_do_no_harm(kind in any_kind(), body in prop::collection::vec(any::<u8>(), 0..300), header in ".{0,80}") {
        let secret = "00ff";
        let account = account(kind, secret);
        let headers = [("stripe-signature", header.as_str()), ("x-square-hmacsha256-signature", &header), ("x-shopify-hmac-sha256", &header)];
        let told = receive(&account, &Delivery { headers: &headers, body: &body, now_ms: Some(NOW_MS) });
        prop_assert!(told.is_err());
    }

    #[test]
    fn hostile_stripe_headers_do_no_harm(header in "(t=[0-9]{0,25},?|v1=[0-9a-f]{0,70},?|[a-z=,]{0,4}){0,6}") {
        let account = account(ProviderKind::Stripe, "x");
        let fits = check_fits(&account, "stripe-signature", &header, b"{}", NOW_MS);
        prop_assert!(!fits);
    }

    #[test]
    fn hostile_bodies_with_a_good_signature_do_no_harm(kind in any_kind(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), row in any::<prop::sample::Index>()) {
        let rows = bodies::all();
        let row = row.get(&rows);
        let mut body = row.body.clone().into_bytes();
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let account = account(kind, "00ff");
        let headers = signed(&account, &body, &row.topic);
        if let Ok(told) = give(&account, &headers, &body) {
            for object in told.objects {
                prop_assert!(object.amount.unsigned_abs() <= 999_999_999_999);
                let record = record(object, Stamp::default());
                prop_assert!(record.id.as_str().len() <= 128);
            }
        }
    }
}
