//! The books as JSON. Money is integer minor units beside its currency, always.

use popwatch_core::ledger::breaks::Break;
use popwatch_core::ledger::reconcile::{CurrencyTotals, Reconciliation};
use popwatch_core::ledger::{Commodity, Ranges};
use popwatch_core::money::Currency;
use popwatch_store::books::{AccountLine, BooksView, EpochWatermark};
use serde_json::{Map, Value, json};

/// `GET …/books`.
pub(super) fn books(view: &BooksView) -> Value {
    let currencies = view.currencies.iter().map(|(currency, books)| {
        let body = json!({
            "accounts": accounts(&books.accounts),
            "trial_balance": books.trial_balance,
            "suspense": books.suspense,
            "open_breaks": books.open_breaks,
        });
        (currency.code().to_owned(), body)
    });
    let stock = view.stock.iter().map(|(sku, books)| {
        let body = json!({
            "accounts": accounts(&books.accounts),
            "trial_balance": books.trial_balance,
            "on_hand": books.on_hand(),
        });
        (sku.to_string(), body)
    });
    json!({
        "popup": view.popup.as_str(),
        "currencies": currencies.collect::<Map<_, _>>(),
        "stock": stock.collect::<Map<_, _>>(),
        "totals": totals(view.totals.iter()),
        "entries": view.entries,
        "books_root": hex(&view.books_root),
        "watermark": view.coverage.iter().map(watermark).collect::<Vec<_>>(),
    })
}

/// `GET …/breaks`.
pub(super) fn breaks(breaks: &[Break]) -> Value {
    let mut classes: Map<String, Value> = Map::new();
    for found in breaks {
        let class = classes
            .entry(found.class.text().to_owned())
            .or_insert_with(|| json!({ "open": 0, "amount": {} }));
        let open = class["open"].as_u64().unwrap_or(0) + 1;
        class["open"] = json!(open);
        if let Some(unit) = &found.commodity {
            let sum = class["amount"][unit.to_string()].as_i64().unwrap_or(0);
            class["amount"][unit.to_string()] = json!(sum.saturating_add(found.amount));
        }
    }
    json!({ "totals": classes, "items": breaks.iter().map(one_break).collect::<Vec<_>>() })
}

/// `GET …/reconciliation`.
pub(super) fn reconciliation(view: &BooksView, found: &Reconciliation) -> Value {
    let suspense = found
        .suspense
        .iter()
        .map(|(currency, minor)| (currency.code().to_owned(), json!(minor)));
    let drift = found
        .cells
        .drift_minor
        .iter()
        .map(|(currency, minor)| (currency.code().to_owned(), json!(minor)));
    json!({
        "popup": found.popup.as_str(),
        "as_of_ms": found.as_of_ms,
        "complete": found.lacking.is_empty(),
        "rigs": view.coverage.iter().map(watermark).collect::<Vec<_>>(),
        "totals": totals(found.totals.iter()),
        "cells": {
            "compared": found.cells.compared,
            "drifted": found.cells.drifted,
            "stale": found.cells.stale,
            "ahead": found.cells.ahead,
            "drift_minor": found.cells.drift_minor_max(),
            "drift": drift.collect::<Map<_, _>>(),
        },
        "breaks": found.breaks.iter().map(one_break).collect::<Vec<_>>(),
        "suspense": suspense.collect::<Map<_, _>>(),
        "books_root": hex(&view.books_root),
        "hash": hex(&found.hash),
        "closed": found.closed,
    })
}

fn accounts(lines: &[AccountLine]) -> Value {
    let line = |line: &AccountLine| {
        json!({
            "account": line.account.to_string(),
            "name": line.account.of.title(),
            "debit": line.debit,
            "credit": line.credit,
            "balance": line.balance(),
        })
    };
    lines.iter().map(line).collect()
}

fn totals<'a>(totals: impl Iterator<Item = (&'a Currency, &'a CurrencyTotals)>) -> Value {
    let line = |(currency, sums): (&Currency, &CurrencyTotals)| {
        let body = json!({
            "captured": sums.captured,
            "refunded": sums.refunded,
            "net": sums.net(),
            "sales": sums.sales,
            "refunds": sums.refunds,
        });
        (currency.code().to_owned(), body)
    };
    Value::Object(totals.map(line).collect())
}

fn watermark(epoch: &EpochWatermark) -> Value {
    json!({
        "rig": epoch.rig.as_str(),
        "epoch": epoch.epoch,
        "trunk_seq": epoch.trunk_seq,
        "bulk_seq": epoch.bulk_seq,
        "last": epoch.last,
        "missing": ranges(&epoch.missing),
        "lost": ranges(&epoch.lost),
    })
}

fn ranges(ranges: &Ranges) -> Value {
    let range = |(first, last): &(u64, u64)| json!({ "first": first, "last": last });
    ranges.as_slice().iter().map(range).collect()
}

fn one_break(found: &Break) -> Value {
    let currency = found.commodity.as_ref().and_then(Commodity::currency);
    let sku = found.commodity.as_ref().and_then(Commodity::sku);
    json!({
        "id": found.id.as_str(),
        "class": found.class.text(),
        "severity": found.severity.text(),
        "currency": currency.map(|currency| currency.code().to_owned()),
        "sku": sku.map(ToString::to_string),
        "amount": found.commodity.as_ref().map(|_| found.amount),
        "suspense": found.suspense,
        "held_in": found.held_in.as_ref().map(ToString::to_string),
        "keys": found.keys,
        "evidence": found.evidence,
        "owner": found.owner.text(),
        "state": found.state.text(),
        "sentence": found.sentence,
        "action": found.action,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
