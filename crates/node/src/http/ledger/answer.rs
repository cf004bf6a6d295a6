//! The books as JSON. Money is integer minor units beside its currency, always.

use popwatch_core::id::Position;
use popwatch_core::ledger::breaks::Break;
use popwatch_core::ledger::reconcile::{CurrencyTotals, Reconciliation};
use popwatch_core::ledger::{Commodity, Leg, Ranges};
use popwatch_core::limits::BOOKS_PAGE_ROWS_MAX;
use popwatch_core::money::Currency;
use popwatch_store::books::{AccountLine, BooksView, EntryLine, EpochWatermark};
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
    let mut body = json!({
        "currencies": currencies.collect::<Map<_, _>>(),
        "stock": stock.collect::<Map<_, _>>(),
        "totals": totals(view.totals.iter()),
        "entries": view.entries,
        "books_root": hex(&view.books_root),
    });
    covered(view, &mut body);
    body
}

/// What every answer says of the popup's coverage.
pub(super) fn covered(view: &BooksView, body: &mut Value) {
    let complete = view
        .coverage
        .iter()
        .all(|epoch| epoch.missing.is_empty() && epoch.lost.is_empty());
    body["popup"] = json!(view.popup.as_str());
    body["watermark"] = view.coverage.iter().map(watermark).collect();
    body["coverage"] = json!({ "complete": complete, "epochs": view.coverage.len() });
}

/// `GET …/books?entries=1`: one page; `cursor` goes on where there may be more.
pub(super) fn entries(view: &BooksView, entries: &[EntryLine]) -> Value {
    let one = |entry: &EntryLine| {
        let leg = |leg: &Leg| {
            json!({
                "account": leg.account.to_string(),
                "commodity": leg.commodity.to_string(),
                "amount": leg.amount,
            })
        };
        json!({
            "entry_id": entry.id.to_string(),
            "fact_id": entry.fact.to_string(),
            "rule": entry.rule.text(),
            "legs": entry.legs.iter().map(leg).collect::<Vec<_>>(),
            "occurred_at_ms": entry.occurred_ms,
            "recorded_at_ms": entry.recorded_ms,
            "correction": entry.correction,
            "position": entry.position.as_ref().map(position),
        })
    };
    let more = entries.len() == BOOKS_PAGE_ROWS_MAX;
    let mut body = json!({
        "entries": entries.iter().map(one).collect::<Vec<_>>(),
        "cursor": entries.last().filter(|_| more).map(|last| last.n.to_string()),
        "books_root": hex(&view.books_root),
    });
    covered(view, &mut body);
    body
}

fn position(at: &Position) -> String {
    format!("{}/{}/{}", at.rig, at.epoch.0, at.seq.0)
}

/// Entries as rows, a leg each.
pub(super) fn entry_rows(entries: &[EntryLine]) -> Vec<Vec<String>> {
    let head = [
        "entry_id",
        "rule",
        "account",
        "commodity",
        "amount",
        "occurred_at_ms",
        "correction",
        "position",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for entry in entries {
        for leg in &entry.legs {
            rows.push(vec![
                entry.id.to_string(),
                entry.rule.text().to_owned(),
                leg.account.to_string(),
                leg.commodity.to_string(),
                leg.amount.to_string(),
                entry.occurred_ms.to_string(),
                entry.correction.to_string(),
                entry.position.as_ref().map(position).unwrap_or_default(),
            ]);
        }
    }
    rows
}

/// Balances as rows.
pub(super) fn account_rows(view: &BooksView) -> Vec<Vec<String>> {
    let head = ["commodity", "account", "name", "debit", "credit", "balance"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut put = |commodity: String, lines: &[AccountLine]| {
        for line in lines {
            rows.push(vec![
                commodity.clone(),
                line.account.to_string(),
                line.account.of.title().to_owned(),
                line.debit.to_string(),
                line.credit.to_string(),
                line.balance().to_string(),
            ]);
        }
    };
    for (currency, books) in &view.currencies {
        put(currency.code().to_owned(), &books.accounts);
    }
    for (sku, books) in &view.stock {
        put(format!("u:{sku}"), &books.accounts);
    }
    for (campaign, books) in &view.tokens {
        put(format!("t:{campaign}"), &books.accounts);
    }
    rows
}

/// Breaks as rows.
pub(super) fn break_rows(breaks: &[Break]) -> Vec<Vec<String>> {
    let head = [
        "id", "class", "severity", "state", "unit", "amount", "suspense", "held_in", "owner",
        "sentence", "action",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for found in breaks {
        rows.push(vec![
            found.id.to_string(),
            found.class.text().to_owned(),
            found.severity.text().to_owned(),
            found.state.text().to_owned(),
            found
                .commodity
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            found.amount.to_string(),
            found.suspense.to_string(),
            found
                .held_in
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            found.owner.text().to_owned(),
            found.sentence.clone(),
            found.action.clone(),
        ]);
    }
    rows
}

/// `GET …/breaks`: totals over all that were asked for, the items of one page.
pub(super) fn breaks(
    view: &BooksView,
    breaks: &[Break],
    page: &[Break],
    of_accounts: &[Break],
) -> Value {
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
    let more = breaks.last().map(|last| &last.id) != page.last().map(|last| &last.id);
    let mut body = json!({
        "totals": classes,
        "items": page.iter().map(one_break).collect::<Vec<_>>(),
        "account_items": of_accounts.iter().map(one_break).collect::<Vec<_>>(),
        "cursor": page.last().filter(|_| more).map(|last| last.id.as_str()),
    });
    covered(view, &mut body);
    body
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
            "erased": view.erased,
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

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
