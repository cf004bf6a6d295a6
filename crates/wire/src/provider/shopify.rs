//! Shopify: the topic and the delivery's id are headers, the body is the object itself.

use popwatch_core::provider::{ObjectKind, ObjectState};
use serde_json::Value as Json;

use super::message::{Message, NULL, Telling, field, moment, text};
use super::signature::base64_mac;
use super::{Account, Delivery, Outcome, Received};

/// Verifies the body.
pub(super) fn verify(account: &Account, delivery: &Delivery<'_>) -> Result<(), Outcome> {
    let header = delivery
        .header("x-shopify-hmac-sha256")
        .ok_or(Outcome::NoSignature)?;
    let mac = base64_mac(header).ok_or(Outcome::BadSignature)?;
    match account.secrets.fit(&[delivery.body], &mac) {
        true => Ok(()),
        false => Err(Outcome::BadSignature),
    }
}

/// Verifies and reads a message.
pub(super) fn receive(account: &Account, delivery: &Delivery<'_>) -> Result<Received, Outcome> {
    verify(account, delivery)?;
    let body: Json = serde_json::from_slice(delivery.body).map_err(|_| Outcome::Unparsable)?;
    let mut received = Received::default();
    let id = delivery
        .header("x-shopify-event-id")
        .or_else(|| delivery.header("x-shopify-webhook-id"))
        .unwrap_or_default();
    let topic = delivery.header("x-shopify-topic").unwrap_or_default();
    let Some(message) = Message::new(account, id, topic, false, &mut received) else {
        return Ok(received);
    };
    let triggered = delivery
        .header("x-shopify-triggered-at")
        .unwrap_or_default();
    let triggered_ms = crate::json::rfc3339_ms(triggered).unwrap_or(0);
    let version = version(&body).unwrap_or(triggered_ms);
    let mut message = message.at(version, version);
    let test = delivery
        .header("x-shopify-test")
        .is_some_and(|test| test == "true");
    let test = test
        .then_some(true)
        .or_else(|| field(&body, "test").as_bool());
    if message.fits(test.map(|test| !test)) {
        read(&mut message, &body);
    }
    Ok(received)
}

/// The newest time the object gives itself.
fn version(body: &Json) -> Option<i64> {
    ["updated_at", "processed_at", "created_at"]
        .into_iter()
        .map(|name| moment(field(body, name)))
        .find(|ms| *ms != 0)
}

fn read(message: &mut Message<'_>, body: &Json) {
    let topic = message.name().to_owned();
    match topic.as_str() {
        "order_transactions/create" => transaction(message, body),
        "refunds/create" => {
            let rows = field(body, "transactions").as_array();
            let rows = rows.map(Vec::as_slice).unwrap_or_default();
            if rows.is_empty() {
                message.ignore("empty");
            }
            for row in rows.iter().take(64) {
                transaction(message, row);
            }
        }
        "orders/create" | "orders/paid" | "orders/updated" | "orders/cancelled" => {
            order(message, body);
        }
        "disputes/create" | "disputes/update" => dispute(message, body),
        _ => message.ignore(""),
    }
}

fn transaction(message: &mut Message<'_>, row: &Json) {
    let done = text(row, "status");
    let (kind, state) = match (text(row, "kind"), done) {
        ("authorization" | "emv_authorization" | "sale" | "capture", "pending") => {
            (ObjectKind::Payment, ObjectState::Created)
        }
        ("authorization" | "emv_authorization", "success") => {
            (ObjectKind::Payment, ObjectState::Authorised)
        }
        ("sale" | "capture", "success") => (ObjectKind::Payment, ObjectState::Captured),
        ("authorization" | "emv_authorization" | "sale" | "capture", "failure" | "error") => {
            (ObjectKind::Payment, ObjectState::Declined)
        }
        ("void", "success") => (ObjectKind::Payment, ObjectState::Voided),
        ("refund", "pending") => (ObjectKind::Refund, ObjectState::Pending),
        ("refund", "success") => (ObjectKind::Refund, ObjectState::Succeeded),
        ("refund", "failure" | "error") => (ObjectKind::Refund, ObjectState::Failed),
        (kind, done) => {
            let detail = format!("{kind}:{done}");
            return message.ignore(&detail);
        }
    };
    let mut told = message.start(kind, state);
    match kind {
        ObjectKind::Refund => {
            told.id(field(row, "id"));
            told.parent(&[field(row, "parent_id")]);
        }
        // A capture or void is of the authorisation it names.
        ObjectKind::Payment | ObjectKind::Dispute | ObjectKind::Payout => {
            told.id(field(row, "parent_id"));
            match told.object.object.is_empty() {
                true => told.id(field(row, "id")),
                false => told.alias(field(row, "id")),
            }
        }
    }
    told.order(field(row, "order_id"));
    told.currency(field(row, "currency"));
    told.object.amount = told.decimal(field(row, "amount"));
    if state == ObjectState::Authorised {
        told.object.authorised = told.object.amount;
    }
    told.failure(&[field(row, "error_code")]);
    told.created(field(row, "created_at"));
    message.tell(told);
}

/// An order lends its reference to its transactions; it is itself no payment and has no amount.
fn order(message: &mut Message<'_>, order: &Json) {
    let mut told = message.start(ObjectKind::Payment, ObjectState::Created);
    told.order(field(order, "id"));
    if told.object.order.is_empty() {
        message.unreadable();
        return;
    }
    told.object.object = format!("order:{}", told.object.order);
    noted(&mut told, order, message.account());
    if told.object.stamps.is_empty() {
        told.stamp(field(order, "source_identifier"));
    }
    told.currency(field(order, "currency"));
    told.created(field(order, "created_at"));
    message.tell(told);
}

/// Takes our references out of the notes a till wrote on the order.
fn noted(told: &mut Telling<'_>, order: &Json, account: &Account) {
    let notes = field(order, "note_attributes").as_array();
    for note in notes.into_iter().flatten().take(64) {
        let name = text(note, "name");
        let is_ours = |key: &String| key.strip_prefix("metadata.").unwrap_or(key) == name;
        if account.stamp_keys.iter().any(is_ours) {
            told.stamp(note.get("value").unwrap_or(NULL));
        }
    }
}

fn dispute(message: &mut Message<'_>, dispute: &Json) {
    let asked = text(dispute, "type") == "inquiry";
    let state = match text(dispute, "status") {
        "needs_response" | "under_review" if asked => ObjectState::Inquiry,
        "needs_response" | "under_review" => ObjectState::Open,
        "won" | "charge_refunded" => ObjectState::Won,
        "lost" | "accepted" => ObjectState::Lost,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Dispute, state);
    told.id(field(dispute, "id"));
    told.order(field(dispute, "order_id"));
    told.currency(field(dispute, "currency"));
    told.object.amount = told.decimal(field(dispute, "amount"));
    told.failure(&[field(dispute, "reason")]);
    told.created(field(dispute, "initiated_at"));
    message.tell(told);
}
