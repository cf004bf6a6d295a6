//! How far a popup's money has come, as JSON: claims, offline exposure, suggestions, payouts.

use popwatch_core::ledger::pairing::{OpenEnd, Suggestion};
use popwatch_core::ledger::payout::Explained;
use popwatch_store::books::{Exposure, Unsettled};
use serde_json::{Map, Value, json};

/// Adds it to what a reconciliation answers.
pub(super) fn add(body: &mut Value, popup: &str, open: &Unsettled) {
    let claims = open.claims.iter().map(|(currency, of)| {
        let sums = json!({
            "claimed": minor(of.claimed),
            "confirmed": minor(of.confirmed),
            "settled": minor(of.settled),
            "stored_offline": minor(of.stored_offline),
        });
        (currency.code().to_owned(), sums)
    });
    body["claims"] = Value::Object(claims.collect::<Map<_, _>>());
    body["exposure"] = exposure(&open.exposure);
    body["suggestions"] = (open.suggestions.iter())
        .map(|one| suggestion(popup, one))
        .collect();
    body["claims_not_compared"] = open.not_compared.into();
    body["payouts"] = open.payouts.iter().map(payout).collect();
}

/// Payments stored offline.
pub(super) fn exposure(exposed: &[Exposure]) -> Value {
    let one = |one: &Exposure| {
        json!({
            "rig": one.rig.as_str(),
            "provider": one.provider,
            "currency": one.currency.code(),
            "count": one.count,
            "amount": minor(one.amount),
            "oldest_ms": one.oldest_ms,
            "expires_at_ms": one.expires_ms,
            "creator_share_at_risk": minor(one.share_at_risk),
        })
    };
    exposed.iter().map(one).collect()
}

fn suggestion(popup: &str, of: &Suggestion) -> Value {
    let end = |one: &OpenEnd| {
        json!({
            "id": one.id,
            "provider": one.provider,
            "account": one.account,
            "currency": one.currency,
            "amount": one.amount,
            "at_ms": one.at_ms,
        })
    };
    let object = [&*of.object.provider, &*of.object.account, &*of.object.id].join(":");
    json!({
        "claim": end(&of.claim),
        "object": end(&of.object),
        "accept": ["popwatch", "reconcile", popup, "--match", &of.claim.id, &object, "--why", "TEXT"],
    })
}

fn payout(one: &Explained) -> Value {
    json!({
        "provider": one.provider,
        "account": one.account,
        "payout": one.payout,
        "currency": one.amount.currency.code(),
        "amount": one.amount.minor,
        "lines": one.lines,
        "residual": one.residual,
        "bank": one.bank,
    })
}

/// Sums of 64-bit amounts are 64-bit in every book that was committed.
pub(super) fn minor(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}
