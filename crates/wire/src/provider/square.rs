//! Square: the signature covers the notification URL; objects stand under `data.object`.

use popwatch_core::provider::{ObjectKind, ObjectState};
use serde_json::Value as Json;

use super::message::{Message, Telling, field, moment, path, text};
use super::signature::base64_mac;
use super::stripe::step;
use super::{Account, Delivery, Outcome, Received};

/// Verifies against the configured URL; the request's own host says nothing.
pub(super) fn verify(account: &Account, delivery: &Delivery<'_>) -> Result<(), Outcome> {
    let header = delivery
        .header("x-square-hmacsha256-signature")
        .ok_or(Outcome::NoSignature)?;
    let mac = base64_mac(header).ok_or(Outcome::BadSignature)?;
    let parts = [account.notification_url.as_bytes(), delivery.body];
    match account.secrets.fit(&parts, &mac) {
        true => Ok(()),
        false => Err(Outcome::BadSignature),
    }
}

/// Verifies and reads a message.
pub(super) fn receive(account: &Account, delivery: &Delivery<'_>) -> Result<Received, Outcome> {
    verify(account, delivery)?;
    let event: Json = serde_json::from_slice(delivery.body).map_err(|_| Outcome::Unparsable)?;
    let mut received = Received::default();
    let (id, name) = (text(&event, "event_id"), text(&event, "type"));
    let Some(message) = Message::new(account, id, name, false, &mut received) else {
        return Ok(received);
    };
    let object = path(&event, "data.object");
    let kind = name.split('.').next().unwrap_or_default();
    let object = field(object, kind);
    let updated_ms = moment(field(object, "updated_at"));
    let version = field(object, "version").as_i64().unwrap_or(updated_ms);
    let mut message = message.at(moment(field(&event, "created_at")), version);
    let is_live = match delivery.header("square-environment") {
        Some("Production") => Some(true),
        Some("Sandbox") => Some(false),
        Some(_) | None => None,
    };
    if message.fits(is_live) {
        read(&mut message, object);
    }
    Ok(received)
}

fn read(message: &mut Message<'_>, object: &Json) {
    let name = message.name().to_owned();
    match name.as_str() {
        "payment.created" | "payment.updated" => payment(message, object),
        "refund.created" | "refund.updated" => refund(message, object),
        "dispute.created" | "dispute.state.updated" | "dispute.state.changed" => {
            dispute(message, object);
        }
        "payout.sent" => payout(message, object, ObjectState::InTransit),
        "payout.paid" => payout(message, object, ObjectState::Paid),
        "payout.failed" => payout(message, object, ObjectState::Failed),
        _ => message.ignore(""),
    }
}

/// Takes an amount with its currency; the first of one object says the currency of all.
fn money(told: &mut Telling<'_>, value: &Json) -> i64 {
    if value.is_null() {
        return 0;
    }
    let code = value
        .get("currency")
        .unwrap_or_else(|| field(value, "currency_code"));
    let before = told.object.currency.clone();
    told.currency(code);
    if !before.is_empty() && before != told.object.currency {
        told.inexact();
    }
    told.units(field(value, "amount"))
}

fn payment(message: &mut Message<'_>, payment: &Json) {
    let state = match text(payment, "status") {
        "APPROVED" => ObjectState::Authorised,
        "PENDING" => ObjectState::Created,
        "COMPLETED" => ObjectState::Captured,
        "CANCELED" => ObjectState::Voided,
        "FAILED" => ObjectState::Declined,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Payment, state);
    told.id(field(payment, "id"));
    told.order(field(payment, "order_id"));
    told.stamp(field(payment, "reference_id"));
    told.stamps(payment);
    let total = payment
        .get("total_money")
        .unwrap_or_else(|| field(payment, "amount_money"));
    told.object.amount = money(&mut told, total);
    told.object.tip = money(&mut told, field(payment, "tip_money"));
    told.object.authorised = money(&mut told, field(payment, "approved_money"));
    told.object.fee = fees(&mut told, payment);
    told.failure(&[path(payment, "card_details.errors")
        .get(0)
        .map_or(super::message::NULL, |error| field(error, "code"))]);
    told.created(field(payment, "created_at"));
    let details = field(payment, "offline_payment_details");
    told.object.stored_ms = moment(field(details, "client_created_at"));
    told.object.offline =
        field(payment, "is_offline_payment").as_bool() == Some(true) || told.object.stored_ms != 0;
    let so_far = refunded_so_far(message, payment);
    message.tell(told);
    if let Some(so_far) = so_far {
        message.tell(so_far);
    }
}

/// The running sum of what was refunded of a payment, if any was.
fn refunded_so_far<'a>(message: &Message<'a>, payment: &Json) -> Option<Telling<'a>> {
    let mut told = message.start(ObjectKind::Refund, ObjectState::Succeeded);
    let amount = money(&mut told, field(payment, "refunded_money"));
    if amount == 0 {
        return None;
    }
    told.id(field(payment, "id"));
    told.parent(&[field(payment, "id")]);
    told.stamp(field(payment, "reference_id"));
    told.stamps(payment);
    told.object.amount = amount;
    told.object.cumulative = true;
    step(&mut told);
    told.object.created_ms = moment(field(payment, "updated_at"));
    Some(told)
}

/// The sum of the fees it lists; none when it lists none.
fn fees(told: &mut Telling<'_>, object: &Json) -> Option<i64> {
    let rows = field(object, "processing_fee").as_array()?;
    let mut sum = None;
    for row in rows.iter().take(16) {
        let part = money(told, field(row, "amount_money"));
        sum = Some(sum.unwrap_or(0i64).saturating_add(part));
    }
    sum
}

fn refund(message: &mut Message<'_>, refund: &Json) {
    let state = match text(refund, "status") {
        "PENDING" => ObjectState::Pending,
        "COMPLETED" => ObjectState::Succeeded,
        "REJECTED" => ObjectState::Canceled,
        "FAILED" => ObjectState::Failed,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Refund, state);
    told.id(field(refund, "id"));
    told.parent(&[field(refund, "payment_id")]);
    told.order(field(refund, "order_id"));
    told.stamp(field(refund, "reference_id"));
    told.stamps(refund);
    told.object.amount = money(&mut told, field(refund, "amount_money"));
    told.object.fee = fees(&mut told, refund);
    told.created(field(refund, "created_at"));
    message.tell(told);
}

fn dispute(message: &mut Message<'_>, dispute: &Json) {
    let state = match text(dispute, "state") {
        "INQUIRY_EVIDENCE_REQUIRED" | "INQUIRY_PROCESSING" => ObjectState::Inquiry,
        "EVIDENCE_REQUIRED" | "PROCESSING" => ObjectState::Open,
        "WON" | "INQUIRY_CLOSED" => ObjectState::Won,
        "LOST" | "ACCEPTED" => ObjectState::Lost,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Dispute, state);
    told.id(field(dispute, "id"));
    if told.object.object.is_empty() {
        told.id(field(dispute, "dispute_id"));
    }
    told.parent(&[path(dispute, "disputed_payment.payment_id")]);
    told.object.amount = money(&mut told, field(dispute, "amount_money"));
    told.failure(&[field(dispute, "reason")]);
    told.created(field(dispute, "created_at"));
    message.tell(told);
}

fn payout(message: &mut Message<'_>, payout: &Json, state: ObjectState) {
    let mut told = message.start(ObjectKind::Payout, state);
    told.id(field(payout, "id"));
    told.object.amount = money(&mut told, field(payout, "amount_money"));
    told.trace(field(payout, "end_to_end_id"));
    told.created(field(payout, "created_at"));
    message.tell(told);
}
