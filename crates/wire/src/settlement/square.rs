//! `square.payout`: payouts and payout entries as Square's API answers them.
//!
//! Net is gross less fee for refunds too: −50 − (−2) = −48.

use popwatch_core::event::central::{ProviderObject, SettlementLine};
use popwatch_core::provider::ObjectState;
use popwatch_core::settlement::LineKind;
use serde_json::Value as Json;

use super::figures::{Unit, bounded};
use super::json::{integer, moment, reference, stated_payout, text};
use super::{Desk, Fault, field};

/// Fields of a payout that are kept.
pub(super) const KEPT_OF_PAYOUT: [&str; 7] = [
    "id",
    "amount_money",
    "status",
    "version",
    "created_at",
    "updated_at",
    "end_to_end_id",
];

/// Whether a field of an entry is kept.
pub(super) fn keeps(name: &str) -> bool {
    let kept = [
        "id",
        "type",
        "gross_amount_money",
        "fee_amount_money",
        "net_amount_money",
        "payout_id",
        "effective_at",
    ];
    kept.contains(&name) || is_details(name)
}

/// The part of an entry that says what it is of.
fn is_details(name: &str) -> bool {
    name.starts_with("type_") && name.ends_with("_details")
}

/// The normal line of a payout entry.
pub(super) fn line(
    entry: &Json,
    desk: &mut Desk<'_>,
    number: u64,
) -> Result<SettlementLine, Fault> {
    let mut line = desk.line(number);
    line.line = reference(entry, "id", desk)?;
    if line.line.is_empty() {
        return Err(field("id", "must not be empty"));
    }
    let (of, gross) = money("gross_amount_money", entry, desk)?;
    let (fee_of, fee) = money("fee_amount_money", entry, desk)?;
    let (net_of, net) = money("net_amount_money", entry, desk)?;
    if fee_of != of || net_of != of {
        return Err(field(
            "net_amount_money",
            "must be in the currency of the gross",
        ));
    }
    line.currency.push_str(of.code());
    (line.gross, line.fee, line.net) = (gross, fee, net);
    line.raw_kind = reference(entry, "type", desk)?;
    let kind = kind(&line.raw_kind, gross);
    line.kind.push_str(kind.text());
    line.payout = reference(entry, "payout_id", desk)?;
    line.occurred_ms = moment("effective_at", entry)?;

    let details = entry.as_object().into_iter().flatten();
    let details = details
        .filter(|(name, _)| is_details(name))
        .map(|(_, value)| value)
        .next();
    let details = details.unwrap_or(&Json::Null);
    let payment = reference(details, "payment_id", desk)?;
    line.object = match kind {
        LineKind::Refund | LineKind::RefundReversal => reference(details, "refund_id", desk)?,
        LineKind::Dispute | LineKind::DisputeReversal => reference(details, "dispute_id", desk)?,
        LineKind::Payout | LineKind::PayoutReversal => reference(details, "payout_id", desk)?,
        LineKind::Charge
        | LineKind::ChargeReversal
        | LineKind::Fee
        | LineKind::FeeTax
        | LineKind::ReserveHold
        | LineKind::ReserveRelease
        | LineKind::Adjustment
        | LineKind::Transfer
        | LineKind::Other => String::new(),
    };
    if line.object.is_empty() {
        line.object = payment;
    } else {
        line.parent = payment;
    }
    Ok(line)
}

/// The payout that a document states.
pub(super) fn payout(entry: &Json, desk: &mut Desk<'_>) -> Result<ProviderObject, Fault> {
    let (of, amount) = money("amount_money", entry, desk)?;
    let mut object = stated_payout(desk, of, amount);
    object.object = reference(entry, "id", desk)?;
    if object.object.is_empty() {
        return Err(field("id", "must not be empty"));
    }
    let state = match text(entry, "status") {
        "SENT" => ObjectState::InTransit,
        "PAID" => ObjectState::Paid,
        "FAILED" => ObjectState::Failed,
        _ => return Err(field("status", "must be SENT, PAID or FAILED")),
    };
    object.state.push_str(state.text());
    object.version = integer("version", entry)?;
    object.created_ms = moment("created_at", entry)?;
    object.occurred_ms = moment("updated_at", entry)?;
    object.trace = reference(entry, "end_to_end_id", desk)?;
    Ok(object)
}

/// An amount; Square names its currency in two ways.
fn money(name: &'static str, entry: &Json, desk: &mut Desk<'_>) -> Result<(Unit, i64), Fault> {
    let money = entry.get(name).unwrap_or(&Json::Null);
    let code = match text(money, "currency_code") {
        "" => text(money, "currency"),
        code => code,
    };
    let of = desk.units.find(name, code)?;
    let amount = money.get("amount").and_then(Json::as_i64);
    let amount = amount
        .and_then(|amount| bounded(i128::from(amount)))
        .ok_or(field(name, "must be an integer of minor units"))?;
    Ok((of, amount))
}

fn kind(raw: &str, gross: i64) -> LineKind {
    match raw {
        "CHARGE" => LineKind::Charge,
        "REFUND" => LineKind::Refund,
        "DISPUTE" | "OPEN_DISPUTE" if gross > 0 => LineKind::DisputeReversal,
        "DISPUTE" | "OPEN_DISPUTE" => LineKind::Dispute,
        "TAX_ON_FEE" => LineKind::FeeTax,
        "RESERVE_HOLD" => LineKind::ReserveHold,
        "RESERVE_RELEASE" => LineKind::ReserveRelease,
        "HOLD_ADJUSTMENT" | "RELEASE_ADJUSTMENT" => LineKind::reserve(gross),
        "PAYOUT" => LineKind::Payout,
        "RETURNED_PAYOUT" => LineKind::PayoutReversal,
        _ if is_fee(raw) => LineKind::Fee,
        _ => LineKind::Other,
    }
}

/// A fee, given back or not.
fn is_fee(raw: &str) -> bool {
    let plain = raw.strip_prefix("UNDO_").unwrap_or(raw);
    let ends = ["_REFUND", "_REVERSED"];
    let plain = ends
        .iter()
        .find_map(|end| plain.strip_suffix(end))
        .unwrap_or(plain);
    matches!(
        plain,
        "FEE" | "PROCESSING_FEE" | "DEPOSIT_FEE" | "THIRD_PARTY_FEE"
    )
}
