//! Facts of the centre as JSON.

use popwatch_core::event::central::{ProviderObject, SettlementFile, SettlementLine};
use popwatch_core::event::system::SystemEvent;
use serde_json::{Value as Json, json};

use super::hex;

/// The data of a fact of the centre; `None` for what popwatch says of itself.
pub(super) fn data(event: &SystemEvent) -> Option<Json> {
    Some(match event {
        SystemEvent::ProviderObject(of) => object(of),
        SystemEvent::SettlementFile(of) => file(of),
        SystemEvent::SettlementLine(of) => line(of),
        SystemEvent::BankLine(of) => json!({
            "account": of.account, "line": of.line, "date_ms": of.date_ms,
            "currency": of.currency, "amount": of.amount, "reference": of.reference,
            "file": hex(&of.file), "row": of.row,
        }),
        SystemEvent::MatchAccepted(of) => json!({
            "popup": of.popup, "claim": of.claim, "provider": of.provider,
            "account": of.account, "object": of.object, "who": of.who, "why": of.why,
        }),
        SystemEvent::BreakAccepted(of) => json!({
            "book": of.book, "id": of.id, "account": of.account, "who": of.who, "why": of.why,
            "amount": of.amount, "currency": of.currency,
        }),
        SystemEvent::ShareReleased(of) => json!({
            "popup": of.popup, "creator": of.creator, "currency": of.currency,
            "amount": of.amount, "who": of.who, "why": of.why,
        }),
        SystemEvent::CreatorPaid(of) => json!({
            "popup": of.popup, "creator": of.creator, "currency": of.currency,
            "amount": of.amount, "paid_ms": of.paid_ms, "reference": of.reference,
        }),
        SystemEvent::CloseSigned(of) => json!({
            "popup": of.popup, "n": of.n, "scope": of.scope,
            "certificate": String::from_utf8_lossy(&of.certificate),
        }),
        SystemEvent::CashCounted(of) => json!({
            "popup": of.popup, "rig": of.rig, "currency": of.currency, "amount": of.amount,
            "counted_ms": of.counted_ms, "file": hex(&of.file), "row": of.row,
        }),
        SystemEvent::ProviderRefused(of) => json!({
            "provider": of.provider, "account": of.account, "reason": of.reason,
            "hour_ms": of.hour_ms,
        }),
        SystemEvent::RigStarted(_)
        | SystemEvent::RigStopped(_)
        | SystemEvent::RigSeal(_)
        | SystemEvent::RigGap(_)
        | SystemEvent::RigLoss(_)
        | SystemEvent::RigTrimmed(_)
        | SystemEvent::RigConflict(_)
        | SystemEvent::RigProbed(_)
        | SystemEvent::PolicyApplied(_)
        | SystemEvent::PolicyImplied(_)
        | SystemEvent::ClockAnchored(_)
        | SystemEvent::ClockStepped(_) => return None,
    })
}

fn object(of: &ProviderObject) -> Json {
    json!({
        "provider": of.provider, "account": of.account, "kind": of.kind, "object": of.object,
        "parent": of.parent, "aliases": of.aliases, "stamps": of.stamps, "order": of.order,
        "currency": of.currency, "amount": of.amount, "authorised": of.authorised,
        "tip": of.tip, "fee": of.fee, "state": of.state, "failure": of.failure,
        "created_ms": of.created_ms, "version": of.version, "occurred_ms": of.occurred_ms,
        "payout": of.payout, "offline": of.offline, "stored_ms": of.stored_ms,
        "delivery": of.delivery, "message": of.message, "unwindowed": of.unwindowed,
        "cumulative": of.cumulative, "trace": of.trace, "from_file": of.from_file,
    })
}

fn file(of: &SettlementFile) -> Json {
    let balances: Vec<Json> = of
        .balances
        .iter()
        .map(|row| json!({ "currency": row.currency, "opening": row.opening, "closing": row.closing }))
        .collect();
    json!({
        "provider": of.provider, "account": of.account, "layout": of.layout,
        "blake3": hex(&of.blake3), "rows": of.rows, "refused": of.refused,
        "columns_dropped": of.columns_dropped, "balances": balances,
    })
}

fn line(of: &SettlementLine) -> Json {
    json!({
        "provider": of.provider, "account": of.account, "line": of.line, "kind": of.kind,
        "raw_kind": of.raw_kind, "object": of.object, "parent": of.parent,
        "movement": of.movement, "stamps": of.stamps, "order": of.order,
        "currency": of.currency, "gross": of.gross, "fee": of.fee, "fee_tax": of.fee_tax,
        "scheme_fee": of.scheme_fee, "net": of.net, "buyer_currency": of.buyer_currency,
        "buyer_amount": of.buyer_amount, "payout": of.payout, "occurred_ms": of.occurred_ms,
        "available_ms": of.available_ms, "file": hex(&of.file), "row": of.row,
        "rounding": of.rounding,
    })
}
