//! `stripe.itemized`: Stripe's itemised reports as CSV, and its balance transactions as JSON.
//!
//! CSV amounts are decimal strings; the API's are integers, whose exponent differs from ISO 4217 for
//! some currencies. Currencies stand in either case, both in one file.

use popwatch_core::event::central::SettlementLine;
use popwatch_core::settlement::LineKind;
use serde_json::Value as Json;

use super::figures::{Unit, amount, bounded};
use super::json::{integer, reference, text};
use super::rows::{Header, Row};
use super::{Desk, Fault, FileContext, field};

/// Where the columns stand.
pub(super) struct Columns {
    line: Option<usize>,
    created: Option<usize>,
    currency: Option<usize>,
    gross: Option<usize>,
    fee: Option<usize>,
    net: Option<usize>,
    category: Option<usize>,
    payout: Option<usize>,
    charge: Option<usize>,
    intent: Option<usize>,
    source: Option<usize>,
    available: Option<usize>,
    facing_amount: Option<usize>,
    facing_currency: Option<usize>,
    stamps: Vec<usize>,
    orders: Vec<usize>,
}

impl Columns {
    pub(super) fn find(header: &Header<'_>, of: &FileContext<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            line: header.need("balance_transaction_id")?,
            created: header.need("created")?,
            currency: header.need("currency")?,
            gross: header.need("gross")?,
            fee: header.need("fee")?,
            net: header.need("net")?,
            category: header.need("reporting_category")?,
            payout: header.may("automatic_payout_id"),
            charge: header.may("charge_id"),
            intent: header.may("payment_intent_id"),
            source: header.may("source_id"),
            available: header.may("available_on"),
            facing_amount: header.may("customer_facing_amount"),
            facing_currency: header.may("customer_facing_currency"),
            stamps: header.all(of.stamp_columns),
            orders: header.all(of.order_columns),
        })
    }

    /// The normal line of a row.
    pub(super) fn line(
        &self,
        row: &Row<'_>,
        desk: &mut Desk<'_>,
        number: u64,
    ) -> Result<SettlementLine, Fault> {
        let of = desk.units.find("currency", &row.get(self.currency))?;
        let mut line = desk.line(number);
        line.line = desk
            .keep
            .id("balance_transaction_id", &row.get(self.line))?;
        if line.line.is_empty() {
            return Err(field("balance_transaction_id", "must not be empty"));
        }
        line.currency.push_str(of.code());
        line.gross = amount("gross", &row.get(self.gross), of)?;
        line.fee = amount("fee", &row.get(self.fee), of)?;
        line.net = amount("net", &row.get(self.net), of)?;
        line.occurred_ms = desk.time("created", &row.get(self.created), None)?;
        line.available_ms = desk.time("available_on", &row.get(self.available), None)?;
        line.raw_kind = desk
            .keep
            .id("reporting_category", &row.get(self.category))?;
        let kind = kind(&line.raw_kind, line.gross);
        line.kind.push_str(kind.text());
        let found = Ids {
            charge: desk.keep.id("charge_id", &row.get(self.charge))?,
            intent: desk.keep.id("payment_intent_id", &row.get(self.intent))?,
            source: desk.keep.id("source_id", &row.get(self.source))?,
        };
        line.payout = desk.keep.id("automatic_payout_id", &row.get(self.payout))?;
        found.place(kind, &mut line);
        for at in &self.stamps {
            let stamp = desk.keep.id("a stamp column", &row.get(Some(*at)))?;
            if !stamp.is_empty() {
                line.stamps.push(stamp);
            }
        }
        for at in &self.orders {
            if line.order.is_empty() {
                line.order = desk.keep.id("an order column", &row.get(Some(*at)))?;
            }
        }
        self.buyer(row, desk, &mut line)?;
        Ok(line)
    }

    /// What the buyer paid, when that was another currency.
    fn buyer(
        &self,
        row: &Row<'_>,
        desk: &mut Desk<'_>,
        line: &mut SettlementLine,
    ) -> Result<(), Fault> {
        let facing = row.get(self.facing_currency);
        if facing.trim_ascii().is_empty()
            || facing.trim_ascii().eq_ignore_ascii_case(&line.currency)
        {
            return Ok(());
        }
        let of = desk.units.find("customer_facing_currency", &facing)?;
        line.buyer_amount = amount("customer_facing_amount", &row.get(self.facing_amount), of)?;
        line.buyer_currency.push_str(of.code());
        Ok(())
    }
}

/// The ids a row names.
struct Ids {
    charge: String,
    intent: String,
    source: String,
}

impl Ids {
    /// Says what moved: of a payment the charge, beside it the intent; of a refund or dispute its own
    /// id, beside it the payment; of a payout its id.
    fn place(self, kind: LineKind, line: &mut SettlementLine) {
        let (first, second) = if self.charge.is_empty() {
            (self.intent, String::new())
        } else {
            (self.charge, self.intent)
        };
        match kind {
            LineKind::Charge | LineKind::ChargeReversal => {
                (line.object, line.parent) = (first, second);
                if line.object.is_empty() {
                    line.object.clone_from(&self.source);
                }
                line.movement = self.source;
            }
            LineKind::Payout | LineKind::PayoutReversal => {
                if line.payout.is_empty() {
                    line.payout.clone_from(&self.source);
                }
                line.object = self.source;
            }
            LineKind::Refund
            | LineKind::RefundReversal
            | LineKind::Dispute
            | LineKind::DisputeReversal
            | LineKind::Fee
            | LineKind::FeeTax
            | LineKind::ReserveHold
            | LineKind::ReserveRelease
            | LineKind::Adjustment
            | LineKind::Transfer
            | LineKind::Other => {
                (line.object, line.parent) = (self.source, first);
            }
        }
    }
}

fn kind(category: &str, gross: i64) -> LineKind {
    match category {
        "charge" => LineKind::Charge,
        "charge_failure" | "partial_capture_reversal" => LineKind::ChargeReversal,
        "refund" => LineKind::Refund,
        "refund_failure" => LineKind::RefundReversal,
        "dispute" => LineKind::Dispute,
        "dispute_reversal" => LineKind::DisputeReversal,
        "fee" | "network_cost" => LineKind::Fee,
        "tax" => LineKind::FeeTax,
        "risk_reserved_funds" | "connect_reserved_funds" => LineKind::reserve(gross),
        "payout" => LineKind::Payout,
        "payout_reversal" => LineKind::PayoutReversal,
        _ => LineKind::Other,
    }
}

/// The names of a balance transaction that are kept.
pub(super) const KEPT: [&str; 10] = [
    "id",
    "currency",
    "amount",
    "fee",
    "net",
    "created",
    "available_on",
    "reporting_category",
    "type",
    "source",
];

/// The normal line of a balance transaction, or `None` of any other object in the list.
pub(super) fn transaction(
    entry: &Json,
    desk: &mut Desk<'_>,
    number: u64,
) -> Result<SettlementLine, Fault> {
    let of = desk.units.find("currency", text(entry, "currency"))?;
    let mut line = desk.line(number);
    line.line = reference(entry, "id", desk)?;
    if line.line.is_empty() {
        return Err(field("id", "must not be empty"));
    }
    line.currency.push_str(of.code());
    line.gross = units("amount", entry, of)?;
    line.fee = units("fee", entry, of)?;
    line.net = units("net", entry, of)?;
    line.occurred_ms = integer("created", entry)?.saturating_mul(1_000);
    line.available_ms = integer("available_on", entry)?.saturating_mul(1_000);
    let category = match text(entry, "reporting_category") {
        "" => "type",
        _ => "reporting_category",
    };
    line.raw_kind = reference(entry, category, desk)?;
    let source = reference(entry, "source", desk)?;
    // An old type says "adjustment" of a dispute; what its source is says more.
    let named = kind(&line.raw_kind, line.gross);
    let kind = match (
        named == LineKind::Other,
        is_dispute(&source),
        &*line.raw_kind,
    ) {
        (true, true, _) if line.gross > 0 => LineKind::DisputeReversal,
        (true, true, _) => LineKind::Dispute,
        (true, false, "payment") => LineKind::Charge,
        (true, false, "payment_refund") => LineKind::Refund,
        (true, false, "stripe_fee") => LineKind::Fee,
        (_, _, _) => named,
    };
    line.kind.push_str(kind.text());
    let ids = Ids {
        charge: if kind == LineKind::Charge {
            source.clone()
        } else {
            String::new()
        },
        intent: String::new(),
        source,
    };
    ids.place(kind, &mut line);
    Ok(line)
}

fn is_dispute(source: &str) -> bool {
    source.starts_with("dp_") || source.starts_with("du_")
}

/// An amount of the API in minor units of ISO 4217.
fn units(column: &'static str, entry: &Json, of: Unit) -> Result<i64, Fault> {
    let amount = i128::from(integer(column, entry)?);
    let exact = match of.code() {
        "ISK" => Some(amount)
            .filter(|amount| amount % 100 == 0)
            .map(|amount| amount / 100),
        "MGA" => Some(amount * 100),
        _ => Some(amount),
    };
    exact.and_then(bounded).ok_or(field(
        column,
        "must be minor units that convert exactly to those of ISO 4217",
    ))
}
