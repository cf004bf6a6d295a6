//! `shopify.payments`: balance transactions and payouts as Shopify's API answers them.
//!
//! The order is often null, so what moved is the source of the row.

use popwatch_core::event::central::{ProviderObject, SettlementLine};
use popwatch_core::provider::ObjectState;
use popwatch_core::settlement::LineKind;
use serde_json::Value as Json;

use super::figures::amount;
use super::json::{moment, reference, stated_payout, text};
use super::{Desk, Fault, field};

/// Fields of a balance transaction that are kept.
pub(super) const KEPT: [&str; 12] = [
    "id",
    "type",
    "amount",
    "fee",
    "net",
    "currency",
    "payout_id",
    "source_id",
    "source_order_id",
    "source_order_transaction_id",
    "processed_at",
    "test",
];
/// Fields of a payout that are kept.
pub(super) const KEPT_OF_PAYOUT: [&str; 5] = ["id", "amount", "currency", "status", "date"];

/// The normal line of a balance transaction.
pub(super) fn line(
    entry: &Json,
    desk: &mut Desk<'_>,
    number: u64,
) -> Result<SettlementLine, Fault> {
    let is_test = entry
        .get("test")
        .and_then(Json::as_bool)
        .unwrap_or(desk.of.test);
    if is_test != desk.of.test {
        return Err(field(
            "test",
            "must be of the account's own mode, live or test",
        ));
    }
    let of = desk.units.find("currency", text(entry, "currency"))?;
    let mut line = desk.line(number);
    line.line = reference(entry, "id", desk)?;
    if line.line.is_empty() {
        return Err(field("id", "must not be empty"));
    }
    line.currency.push_str(of.code());
    line.gross = amount("amount", text(entry, "amount"), of)?;
    line.fee = amount("fee", text(entry, "fee"), of)?;
    line.net = amount("net", text(entry, "net"), of)?;
    line.raw_kind = reference(entry, "type", desk)?;
    line.kind.push_str(kind(&line.raw_kind, line.gross).text());
    line.object = reference(entry, "source_id", desk)?;
    line.movement = reference(entry, "source_order_transaction_id", desk)?;
    line.order = reference(entry, "source_order_id", desk)?;
    line.payout = reference(entry, "payout_id", desk)?;
    line.occurred_ms = moment("processed_at", entry)?;
    Ok(line)
}

/// The payout that a document states. Its date stands for a version: it has no other.
pub(super) fn payout(entry: &Json, desk: &mut Desk<'_>) -> Result<ProviderObject, Fault> {
    let of = desk.units.find("currency", text(entry, "currency"))?;
    let mut object = stated_payout(desk, of, amount("amount", text(entry, "amount"), of)?);
    object.object = reference(entry, "id", desk)?;
    if object.object.is_empty() {
        return Err(field("id", "must not be empty"));
    }
    let state = match text(entry, "status") {
        "scheduled" => ObjectState::Created,
        "in_transit" => ObjectState::InTransit,
        "paid" => ObjectState::Paid,
        "failed" => ObjectState::Failed,
        "canceled" => ObjectState::Canceled,
        _ => {
            return Err(field(
                "status",
                "must be scheduled, in_transit, paid, failed or canceled",
            ));
        }
    };
    object.state.push_str(state.text());
    object.created_ms = desk.time("date", text(entry, "date"), None)?;
    object.occurred_ms = object.created_ms;
    object.version = object.created_ms;
    Ok(object)
}

fn kind(raw: &str, gross: i64) -> LineKind {
    match raw {
        "charge" => LineKind::Charge,
        "refund" => LineKind::Refund,
        "dispute" if gross > 0 => LineKind::DisputeReversal,
        "dispute" => LineKind::Dispute,
        "reserve" => LineKind::reserve(gross),
        "payout" => LineKind::Payout,
        "payout_failure" | "payout_cancellation" => LineKind::PayoutReversal,
        "adjustment" | "credit" | "debit" => LineKind::Adjustment,
        _ => LineKind::Other,
    }
}
