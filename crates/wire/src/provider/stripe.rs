//! Stripe: `Stripe-Signature`, events, and objects in `data.object`.

use popwatch_core::limits::WEBHOOK_SIGNATURES_MAX;
use popwatch_core::provider::{ObjectKind, ObjectState};
use serde_json::Value as Json;

use super::message::{Message, Telling, field, moment, path, text};
use super::signature::{hex_mac, in_window};
use super::{Account, Delivery, Outcome, Received};

/// Verifies; answers whether the window was skipped.
pub(super) fn verify(account: &Account, delivery: &Delivery<'_>) -> Result<bool, Outcome> {
    let header = delivery
        .header("stripe-signature")
        .ok_or(Outcome::NoSignature)?;
    let signed = read_header(header).ok_or(Outcome::BadSignature)?;
    let parts: [&[u8]; 3] = [signed.time.as_bytes(), b".", delivery.body];
    let fits = |mac: &[u8; 32]| account.secrets.fit(&parts, mac);
    if !signed.macs.iter().any(fits) {
        return Err(Outcome::BadSignature);
    }
    let Some(now_ms) = delivery.now_ms else {
        return Ok(true);
    };
    in_window(signed.seconds.saturating_mul(1_000), now_ms)?;
    Ok(false)
}

struct Signed<'a> {
    time: &'a str,
    seconds: i64,
    macs: Vec<[u8; 32]>,
}

/// Reads `t=…,v1=…`; other schemes are passed over. None when the time is missing, repeated or no
/// whole number, when there is no `v1`, and when there are too many.
fn read_header(header: &str) -> Option<Signed<'_>> {
    let (mut time, mut macs, mut told) = (None, Vec::new(), 0);
    for part in header.split(',') {
        let (key, value) = part.split_once('=')?;
        match key {
            "t" if time.is_some() => return None,
            "t" => time = Some(value),
            "v1" => {
                told += 1;
                macs.extend(hex_mac(value));
            }
            _ => {}
        }
    }
    let time = time.filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()))?;
    (told > 0 && told <= WEBHOOK_SIGNATURES_MAX).then_some(Signed {
        time,
        seconds: time.parse().ok()?,
        macs,
    })
}

/// Verifies and reads an event.
pub(super) fn receive(account: &Account, delivery: &Delivery<'_>) -> Result<Received, Outcome> {
    let unwindowed = verify(account, delivery)?;
    let event: Json = serde_json::from_slice(delivery.body).map_err(|_| Outcome::Unparsable)?;
    let mut received = Received::default();
    let (id, name) = (text(&event, "id"), text(&event, "type"));
    let Some(message) = Message::new(account, id, name, unwindowed, &mut received) else {
        return Ok(received);
    };
    let created = field(&event, "created");
    let mut message = message.at(moment(created), created.as_i64().unwrap_or(0));
    if message.fits(field(&event, "livemode").as_bool()) {
        read(&mut message, path(&event, "data.object"));
    }
    Ok(received)
}

fn read(message: &mut Message<'_>, object: &Json) {
    let name = message.name().to_owned();
    match name.as_str() {
        "charge.refund.updated" => refund(message, object),
        "charge.refunded" => refunded_so_far(message, object),
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => dispute(message, object),
        "charge.succeeded" | "charge.captured" | "charge.updated" | "charge.failed"
        | "charge.expired" | "charge.pending" => charge(message, object),
        "refund.created" | "refund.updated" | "refund.failed" => refund(message, object),
        "payout.created"
        | "payout.updated"
        | "payout.paid"
        | "payout.failed"
        | "payout.canceled"
        | "payout.reconciliation_completed" => payout(message, object),
        _ => match intent_state(&name) {
            Some(state) => intent(message, object, state),
            None => message.ignore(""),
        },
    }
}

fn intent_state(name: &str) -> Option<ObjectState> {
    Some(match name.strip_prefix("payment_intent.")? {
        "created" | "processing" | "requires_action" => ObjectState::Created,
        "amount_capturable_updated" => ObjectState::Authorised,
        "succeeded" => ObjectState::Captured,
        "payment_failed" => ObjectState::Declined,
        "canceled" => ObjectState::Voided,
        _ => return None,
    })
}

fn intent(message: &mut Message<'_>, intent: &Json, state: ObjectState) {
    let mut told = message.start(ObjectKind::Payment, state);
    told.id(field(intent, "id"));
    told.alias(field(intent, "latest_charge"));
    let charges = path(intent, "charges.data").as_array();
    for charge in charges.into_iter().flatten().take(16) {
        told.alias(field(charge, "id"));
    }
    told.stamps(intent);
    told.currency(field(intent, "currency"));
    let amount = if state == ObjectState::Captured {
        "amount_received"
    } else if state == ObjectState::Authorised {
        "amount_capturable"
    } else {
        "amount"
    };
    told.object.amount = told.units(field(intent, amount));
    if matches!(state, ObjectState::Captured | ObjectState::Authorised) {
        told.object.authorised = told.units(field(intent, "amount"));
    }
    told.object.tip = told.units(path(intent, "amount_details.tip.amount"));
    told.failure(&[
        path(intent, "last_payment_error.decline_code"),
        path(intent, "last_payment_error.code"),
    ]);
    told.created(field(intent, "created"));
    message.tell(told);
}

/// A charge is its intent's payment; one without an intent stands for itself.
fn charge(message: &mut Message<'_>, charge: &Json) {
    let captured = field(charge, "captured").as_bool();
    let state = match (message.name(), text(charge, "status")) {
        ("charge.failed", _) | ("charge.updated" | "charge.pending", "failed") => {
            ObjectState::Declined
        }
        ("charge.expired", _) => ObjectState::Expired,
        ("charge.pending", _) | ("charge.updated", "pending") => ObjectState::Created,
        ("charge.captured", _) => ObjectState::Captured,
        _ if captured == Some(true) => ObjectState::Captured,
        // An authorisation that was given back is a refund in name only.
        _ if field(charge, "refunded").as_bool() == Some(true) => ObjectState::Voided,
        _ => ObjectState::Authorised,
    };
    let mut told = message.start(ObjectKind::Payment, state);
    own_id(&mut told, charge);
    told.stamps(charge);
    told.currency(field(charge, "currency"));
    let amount = field(charge, "amount");
    told.object.amount = match (state, field(charge, "amount_captured")) {
        (ObjectState::Captured, Json::Number(captured)) => {
            told.units(&Json::Number(captured.clone()))
        }
        _ => told.units(amount),
    };
    if matches!(state, ObjectState::Captured | ObjectState::Authorised) {
        told.object.authorised = told.units(amount);
    }
    told.failure(&[field(charge, "failure_code")]);
    told.created(field(charge, "created"));
    let offline = path(charge, "payment_method_details.card_present.offline");
    told.object.stored_ms = moment(field(offline, "stored_at"));
    told.object.offline = text(offline, "type") == "deferred" || told.object.stored_ms != 0;
    message.tell(told);
}

fn own_id(told: &mut Telling<'_>, charge: &Json) {
    told.id(field(charge, "payment_intent"));
    if told.object.object.is_empty() {
        told.id(field(charge, "id"));
    } else {
        told.alias(field(charge, "id"));
    }
}

/// The running sum of what was refunded of a charge; the charge inside is no capture.
fn refunded_so_far(message: &mut Message<'_>, charge: &Json) {
    let mut told = message.start(ObjectKind::Refund, ObjectState::Succeeded);
    told.id(field(charge, "id"));
    if told.object.object.is_empty() {
        message.unreadable();
        return;
    }
    told.parent(&[field(charge, "payment_intent"), field(charge, "id")]);
    told.stamps(charge);
    told.currency(field(charge, "currency"));
    told.object.amount = told.units(field(charge, "amount_refunded"));
    told.object.cumulative = true;
    step(&mut told);
    told.object.created_ms = told.object.occurred_ms;
    message.tell(told);
}

/// Names a step of a cumulative figure: what it is of, and the figure.
pub(super) fn step(told: &mut Telling<'_>) {
    let step = format!("{}:{}", told.object.object, told.object.amount);
    told.object.object = step;
}

fn refund(message: &mut Message<'_>, refund: &Json) {
    let state = match text(refund, "status") {
        "pending" | "requires_action" => ObjectState::Pending,
        "failed" => ObjectState::Failed,
        "canceled" => ObjectState::Canceled,
        "succeeded" => ObjectState::Succeeded,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Refund, state);
    told.id(field(refund, "id"));
    told.parent(&[field(refund, "payment_intent"), field(refund, "charge")]);
    told.stamps(refund);
    told.currency(field(refund, "currency"));
    told.object.amount = told.units(field(refund, "amount"));
    told.failure(&[field(refund, "failure_reason")]);
    told.created(field(refund, "created"));
    message.tell(told);
}

fn dispute(message: &mut Message<'_>, dispute: &Json) {
    let state = match text(dispute, "status") {
        "warning_needs_response" | "warning_under_review" => ObjectState::Inquiry,
        "needs_response" | "under_review" => ObjectState::Open,
        // An inquiry that ended, and a dispute that a refund settled, took no money by themselves.
        "won" | "warning_closed" | "charge_refunded" | "prevented" => ObjectState::Won,
        "lost" => ObjectState::Lost,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Dispute, state);
    told.id(field(dispute, "id"));
    if told.object.object.is_empty() {
        // Old versions of the API send none: a charge has one dispute.
        told.id(field(dispute, "charge"));
        if !told.object.object.is_empty() {
            told.object.object.push_str(":dispute");
        }
    }
    told.parent(&[field(dispute, "payment_intent"), field(dispute, "charge")]);
    told.stamps(dispute);
    told.currency(field(dispute, "currency"));
    told.object.amount = told.units(field(dispute, "amount"));
    let moved = field(dispute, "balance_transactions").as_array();
    let mut fee = None;
    for row in moved.into_iter().flatten().take(16) {
        let part = told.units(field(row, "fee"));
        fee = Some(fee.unwrap_or(0i64).saturating_add(part));
    }
    told.object.fee = fee;
    told.failure(&[field(dispute, "reason")]);
    told.created(field(dispute, "created"));
    message.tell(told);
}

fn payout(message: &mut Message<'_>, payout: &Json) {
    let state = match text(payout, "status") {
        "pending" => ObjectState::Created,
        "in_transit" => ObjectState::InTransit,
        "paid" => ObjectState::Paid,
        "failed" => ObjectState::Failed,
        "canceled" => ObjectState::Canceled,
        _ => return message.unreadable(),
    };
    let mut told = message.start(ObjectKind::Payout, state);
    told.id(field(payout, "id"));
    told.currency(field(payout, "currency"));
    told.object.amount = told.units(field(payout, "amount"));
    told.trace(path(payout, "trace_id.value"));
    told.failure(&[field(payout, "failure_code")]);
    told.created(field(payout, "created"));
    message.tell(told);
}
