//! All stored bodies: each is taken, counted by name, or of a form that is named here; and nothing
//! that must not be kept is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use popwatch_core::provider::lattice;
use prost::Message as _;

use super::*;

#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) kind: ProviderKind,
    pub(super) file: String,
    pub(super) topic: String,
    pub(super) body: String,
}

pub(super) fn all() -> Vec<Body> {
    static ALL: OnceLock<Vec<Body>> = OnceLock::new();
    ALL.get_or_init(read).clone()
}

fn read() -> Vec<Body> {
    let rows = packed(include_bytes!(
        "../../../../../fixtures/public/providers/bodies.jsonl.gz"
    ));
    let text = |row: &Json, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| Body {
            kind: ProviderKind::from_text(&text(row, "provider")).unwrap(),
            file: text(row, "file"),
            topic: text(row, "topic"),
            body: text(row, "body"),
        })
        .collect()
}

/// A body as its provider would send it, signed by us. Adyen's items are signed inside it.
fn told(body: &Body) -> Result<Received, Outcome> {
    let account = account(body.kind, "00ff");
    let mut text = body.body.clone();
    if body.kind == ProviderKind::Adyen {
        let mut batch: Json = serde_json::from_str(&text).unwrap();
        for item in batch["notificationItems"].as_array_mut().unwrap() {
            sign_item(&account, &mut item["NotificationRequestItem"]);
        }
        text = batch.to_string();
    }
    let headers = signed(&account, text.as_bytes(), &body.topic);
    give(&account, &headers, text.as_bytes())
}

pub(super) fn sign_item(account: &Account, item: &mut Json) {
    let mac = sample_item(account, item).unwrap();
    if !item["additionalData"].is_object() {
        item["additionalData"] = json!({});
    }
    item["additionalData"]["hmacSignature"] = json!(mac);
}

#[test]
fn every_stored_body_is_taken_or_counted_by_name() {
    let mut counts = BTreeMap::<(ProviderKind, &str), usize>::new();
    for body in all() {
        let told = told(&body).unwrap_or_else(|outcome| panic!("{}: {outcome:?}", body.file));
        assert_eq!(told.unreadable, 0, "{}", body.file);
        assert_eq!(told.bad, 0, "{}", body.file);
        assert!(
            told.ignored.iter().all(|name| name != "other"),
            "{}",
            body.file
        );
        let what = match (told.objects.len(), told.ignored.len(), told.test_mode) {
            (0, 0, 0) => panic!("{}: nothing came of it", body.file),
            (0, 0, _) => "test_mode",
            (0, _, _) => "ignored",
            (_, _, _) => "taken",
        };
        *counts.entry((body.kind, what)).or_default() += 1;
        if told.inexact > 0 {
            *counts.entry((body.kind, "inexact")).or_default() += 1;
        }
    }
    println!("{counts:?}");
    let count = |kind, what| counts.get(&(kind, what)).copied().unwrap_or(0);
    for kind in ProviderKind::ALL {
        assert!(count(*kind, "taken") > 5, "{kind:?}");
        assert_eq!(count(*kind, "inexact"), 0, "{kind:?}");
    }
}

/// Keys whose values are nobody's business; all texts below them count.
const FORBIDDEN: &[&str] = &[
    "name",
    "first_name",
    "last_name",
    "email",
    "phone",
    "address1",
    "address2",
    "line1",
    "line2",
    "city",
    "postal_code",
    "zip",
    "billing_address",
    "shipping_address",
    "billing_details",
    "shipping",
    "customer",
    "receipt_email",
    "receipt_url",
    "client_secret",
    "fingerprint",
    "last4",
    "last_4",
    "bin",
    "exp_month",
    "exp_year",
    "credit_card_number",
    "browser_ip",
    "ip",
    "cardSummary",
    "expiryDate",
    "cardHolderName",
    "shopperEmail",
    "shopperIP",
    "shopperName",
    "authCode",
    "statement_descriptor",
    "description",
    "note",
    "evidence",
    "cart_token",
    "token",
    "iban",
];

fn forbidden(value: &Json, below: bool, out: &mut BTreeSet<String>) {
    match value {
        Json::Object(fields) => {
            for (key, inner) in fields {
                forbidden(inner, below || FORBIDDEN.contains(&key.as_str()), out);
            }
        }
        Json::Array(rows) => rows.iter().for_each(|row| forbidden(row, below, out)),
        Json::String(text) if below && text.len() >= 4 => {
            out.insert(text.clone());
        }
        Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => {}
    }
}

#[test]
fn nothing_of_a_person_or_card_is_kept_of_any_stored_body() {
    let mut looked = 0;
    for body in all() {
        let json: Json = serde_json::from_str(&body.body).unwrap();
        let mut texts = BTreeSet::new();
        forbidden(&json, false, &mut texts);
        // A mock's client secret is its intent's id.
        let own = json.pointer("/data/object/id").and_then(Json::as_str);
        texts.retain(|text| Some(text.as_str()) != own);
        let told = told(&body).unwrap();
        for object in &told.objects {
            let debug = format!("{object:?}");
            let kept: BTreeSet<&str> = debug.split('"').skip(1).step_by(2).collect();
            for text in &texts {
                looked += 1;
                assert!(!kept.contains(text.as_str()), "{}: {text}", body.file);
            }
            for name in ["@", "@example", "4242", "http", "_secret_"] {
                assert!(
                    !kept.iter().any(|text| text.contains(name)),
                    "{}: {debug}",
                    body.file
                );
            }
        }
        assert!(told.ignored.iter().all(|name| !texts.contains(name)));
    }
    assert!(looked > 100, "{looked}");
}

#[test]
fn the_order_of_stored_bodies_does_not_matter() {
    let mut objects: Vec<ProviderObject> = all()
        .iter()
        .flat_map(|body| told(body).unwrap().objects)
        .collect();
    let finals = |objects: &[ProviderObject]| {
        let mut by_id = BTreeMap::<(String, String, String), Vec<&ProviderObject>>::new();
        for object in objects {
            let key = (
                object.provider.clone(),
                object.kind.clone(),
                object.object.clone(),
            );
            by_id.entry(key).or_default().push(object);
        }
        by_id
            .into_iter()
            .map(|(key, told)| (key, lattice::merge(&told)))
            .collect::<BTreeMap<_, _>>()
    };
    let expect = finals(&objects);
    let mut state = 7u64;
    for _ in 0..200 {
        for at in (1..objects.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let other = usize::try_from((state >> 33) % (at as u64 + 1)).unwrap();
            objects.swap(at, other);
        }
        assert_eq!(finals(&objects), expect);
    }
    assert!(objects.iter().all(|object| object.encoded_len() < 1_024));
}
