//! Adyen: a batch of items, each signed by itself over eight of its fields.
//!
//! The time, the reason and the additional data of an item are not signed: no state, amount or id is
//! taken from them. The time serves as version, which decides only between equal states.

use popwatch_core::limits::WEBHOOK_ITEMS_MAX;
use popwatch_core::provider::{ObjectKind, ObjectState};
use serde_json::Value as Json;

use super::message::{Message, field, moment, path, text};
use super::signature::base64_mac;
use super::{Account, Delivery, Outcome, Received};

/// Verifies that each item is signed.
pub(super) fn verify(account: &Account, delivery: &Delivery<'_>) -> Result<(), Outcome> {
    let batch: Json = serde_json::from_slice(delivery.body).map_err(|_| Outcome::NoSignature)?;
    items(&batch)?.try_for_each(|item| check(account, item))
}

/// The items of a batch; a body that has none carries no signature either.
fn items(batch: &Json) -> Result<impl Iterator<Item = &Json>, Outcome> {
    let items = field(batch, "notificationItems")
        .as_array()
        .filter(|items| !items.is_empty())
        .ok_or(Outcome::NoSignature)?;
    if items.len() > WEBHOOK_ITEMS_MAX {
        return Err(Outcome::Unparsable);
    }
    Ok(items
        .iter()
        .map(|item| field(item, "NotificationRequestItem")))
}

fn check(account: &Account, item: &Json) -> Result<(), Outcome> {
    let header = path(item, "additionalData.hmacSignature")
        .as_str()
        .ok_or(Outcome::NoSignature)?;
    let mac = base64_mac(header).ok_or(Outcome::BadSignature)?;
    let signed = signed(item).ok_or(Outcome::BadSignature)?;
    match account.secrets.fit(&[signed.as_bytes()], &mac) {
        true => Ok(()),
        false => Err(Outcome::BadSignature),
    }
}

/// The eight fields, a colon between them, nothing escaped; null is empty. None when one of them is
/// neither a text nor a number nor true or false.
pub(super) fn signed(item: &Json) -> Option<String> {
    let amount = field(item, "amount");
    let parts = [
        field(item, "pspReference"),
        field(item, "originalReference"),
        field(item, "merchantAccountCode"),
        field(item, "merchantReference"),
        field(amount, "value"),
        field(amount, "currency"),
        field(item, "eventCode"),
        field(item, "success"),
    ];
    let mut signed = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            signed.push(':');
        }
        match part {
            Json::Null => {}
            Json::String(text) => signed.push_str(text),
            Json::Number(number) => signed.push_str(&number.to_string()),
            Json::Bool(flag) => signed.push_str(if *flag { "true" } else { "false" }),
            Json::Array(_) | Json::Object(_) => return None,
        }
    }
    Some(signed)
}

/// Verifies and reads a batch: items that verify are taken, the others counted. Fails when none
/// does.
pub(super) fn receive(account: &Account, delivery: &Delivery<'_>) -> Result<Received, Outcome> {
    let batch: Json = serde_json::from_slice(delivery.body).map_err(|_| Outcome::NoSignature)?;
    let is_live = flag(field(&batch, "live"));
    let mut received = Received::default();
    let (mut good, mut first_fault) = (0u64, None);
    for item in items(&batch)? {
        if let Err(fault) = check(account, item) {
            first_fault.get_or_insert(fault);
            received.bad += 1;
            continue;
        }
        good += 1;
        read(account, item, is_live, &mut received);
    }
    match first_fault {
        Some(fault) if good == 0 => Err(fault),
        Some(_) | None => Ok(received),
    }
}

fn flag(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(flag) => Some(*flag),
        Json::String(text) => text.parse().ok(),
        Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn read(account: &Account, item: &Json, is_live: Option<bool>, received: &mut Received) {
    let code = text(item, "eventCode");
    let Some(success) = flag(field(item, "success")) else {
        received.unreadable += 1;
        return;
    };
    let delivery = format!("{code}:{}:{success}", text(item, "pspReference"));
    let Some(message) = Message::new(account, &delivery, code, false, received) else {
        return;
    };
    let at_ms = moment(field(item, "eventDate"));
    let mut message = message.at(at_ms, at_ms);
    if !message.fits(is_live) {
        return;
    }
    match meaning(code, success, account.captures_at_once) {
        Some((kind, state)) => object(&mut message, item, kind, state),
        None => message.ignore(if success { "" } else { "false" }),
    }
}

/// What an item tells; none for what says nothing to the books, and for a change that was refused.
fn meaning(code: &str, success: bool, captures: bool) -> Option<(ObjectKind, ObjectState)> {
    use ObjectKind::{Dispute, Payment, Refund};
    Some(match (code, success) {
        ("AUTHORISATION", true) if captures => (Payment, ObjectState::Captured),
        ("AUTHORISATION", true) => (Payment, ObjectState::Authorised),
        ("AUTHORISATION", false) => (Payment, ObjectState::Declined),
        ("CAPTURE", true) => (Payment, ObjectState::Captured),
        ("CAPTURE_FAILED", true) => (Payment, ObjectState::CaptureFailed),
        ("CANCELLATION" | "TECHNICAL_CANCEL", true) => (Payment, ObjectState::Voided),
        ("EXPIRE", true) => (Payment, ObjectState::Expired),
        ("REFUND", true) => (Refund, ObjectState::Succeeded),
        ("REFUND", false) | ("REFUND_FAILED" | "REFUNDED_REVERSED", true) => {
            (Refund, ObjectState::Failed)
        }
        // Which of the two it was stands only where nothing is signed; a file will say.
        ("CANCEL_OR_REFUND", true) => (Refund, ObjectState::Requested),
        ("NOTIFICATION_OF_CHARGEBACK" | "REQUEST_FOR_INFORMATION", true) => {
            (Dispute, ObjectState::Inquiry)
        }
        ("CHARGEBACK" | "SECOND_CHARGEBACK", true) => (Dispute, ObjectState::Open),
        ("CHARGEBACK_REVERSED" | "PREARBITRATION_WON", true) => (Dispute, ObjectState::Won),
        ("PREARBITRATION_LOST", true) => (Dispute, ObjectState::Lost),
        _ => return None,
    })
}

fn object(message: &mut Message<'_>, item: &Json, kind: ObjectKind, state: ObjectState) {
    let (own, original) = (
        field(item, "pspReference"),
        field(item, "originalReference"),
    );
    let mut told = message.start(kind, state);
    match kind {
        // A change of a payment has an id of its own and names the payment.
        ObjectKind::Payment => {
            told.id(original);
            match told.object.object.is_empty() {
                true => told.id(own),
                false => told.alias(own),
            }
        }
        ObjectKind::Refund | ObjectKind::Dispute | ObjectKind::Payout => {
            told.id(own);
            told.parent(&[original]);
        }
    }
    told.stamp(field(item, "merchantReference"));
    told.currency(path(item, "amount.currency"));
    told.object.amount = told.units(path(item, "amount.value"));
    if text(item, "eventCode") == "AUTHORISATION" && state != ObjectState::Declined {
        told.object.authorised = told.object.amount;
    }
    told.object.created_ms = told.object.occurred_ms;
    message.tell(told);
}
