//! A large settlement file: what a chunk of it costs does not grow with what came before.

use popwatch_core::event::central::SettlementLine;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::rules::{AccountRules, Rules};
use popwatch_core::provider::ProviderKind;
use popwatch_core::record::Record;

use super::central::central;
use super::fixture::*;
use crate::books::Books;

/// A charge that no till claims, in a payout of all.
fn charge(n: usize) -> SystemEvent {
    let gross = i64::try_from(n % 9_000).unwrap() + 1_000;
    SystemEvent::SettlementLine(SettlementLine {
        provider: "stripe".into(),
        account: "main".into(),
        line: format!("txn_{n}"),
        kind: "charge".into(),
        raw_kind: "charge".into(),
        object: format!("ch_{n}"),
        stamps: vec![format!("o-{n}")],
        currency: "GBP".into(),
        gross,
        fee: 50,
        net: gross - 50,
        payout: "po_1".into(),
        occurred_ms: T0,
        ..SettlementLine::default()
    })
}

fn chunk(at: usize, rows: usize) -> Vec<Record> {
    let rows = at * rows..(at + 1) * rows;
    rows.map(|n| central(&format!("row-{n}"), 1, charge(n)))
        .collect()
}

fn books() -> Books {
    let mut books = fresh_books();
    let account = AccountRules {
        name: "main".into(),
        provider: ProviderKind::Stripe,
        fees: None,
        dispute_fee: None,
        offline_life_ms: 0,
        payout_bank: None,
    };
    let rules = Rules {
        accounts: vec![account],
        ..Rules::default()
    };
    books.set_rules(rules, now()).unwrap();
    books
}

#[test]
fn a_chunk_of_a_file_costs_what_the_first_one_cost() {
    let mut books = books();
    let mut cost = Vec::new();
    for at in 0..12 {
        let before = books.db.steps();
        books.append_central(chunk(at, 50), now()).unwrap();
        cost.push(books.db.steps() - before);
    }
    // Every row is a break, so that nothing is cheap for want of them.
    let account = PopupId::account_book("stripe", "main");
    assert!(books.open_breaks(&account).unwrap().len() >= 600);
    assert!(cost[11] <= cost[1] + cost[1] / 10, "{cost:?}");
}
