//! Claims that wait for their reconciliation, by the place of their record.
//!
//! A claim is a capture or refund with a key of pairing: somebody can check it. What nobody can
//! check waits for nothing.

use std::collections::BTreeMap;

use popwatch_core::event::Event;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::ledger::Fact;
use popwatch_core::ledger::group::{GroupKind, Outcome};
use popwatch_core::money::Currency;

use super::super::BooksFault;
use super::super::db::{Db, values};
use super::super::posting::Poster;
use super::super::rows::{column, number};
use super::super::tables::OPEN_CLAIMS;
use super::Gathered;

/// The type of a refund, as the records number it.
const REFUNDED: i64 = 13;

fn is_claim(fact: &Fact) -> bool {
    matches!(
        fact.event,
        Event::PaymentCaptured(_) | Event::PaymentRefunded(_)
    )
}

/// Notes which claims of a group wait and which no longer do.
pub(super) fn note(
    poster: &Poster<'_>,
    gathered: &Gathered,
    outcome: &Outcome,
) -> Result<(), BooksFault> {
    if gathered.key.kind != GroupKind::Pairing {
        return Ok(());
    }
    for fact in gathered.members.iter().filter(|fact| is_claim(fact)) {
        if outcome.reconciled.contains(&fact.id) {
            forget(poster, fact)?;
            continue;
        }
        let at = &fact.position;
        poster
            .db
            .put(
                &OPEN_CLAIMS,
                values![at.rig.as_str(), at.epoch.0, column(at.seq.0), fact.id.0],
            )
            .map_err(BooksFault::sql("note a claim"))?;
    }
    Ok(())
}

/// A claim waits no longer.
pub(super) fn forget(poster: &Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    if !is_claim(fact) {
        return Ok(());
    }
    let at = &fact.position;
    poster
        .db
        .run(
            "DELETE FROM open_claims WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
            values![at.rig.as_str(), at.epoch.0, column(at.seq.0)],
        )
        .map(drop)
        .map_err(BooksFault::sql("forget a claim"))
}

/// Money that waits, captured minus refunded, minor units, by popup and currency. Reads every open claim.
pub(in crate::books) fn waiting(
    db: &Db,
) -> Result<BTreeMap<PopupId, BTreeMap<Currency, i64>>, BooksFault> {
    let rows: Vec<(String, String, i64)> = db
        .rows(
            "SELECT f.book, f.currency,
               CAST(SUM(CASE WHEN f.kind = ?1 THEN -f.amount ELSE f.amount END) AS BIGINT)
             FROM open_claims c
             JOIN facts f ON f.fact_id = c.fact_id AND f.rig = c.rig AND f.epoch = c.epoch
               AND f.seq = c.seq
             WHERE f.state = 1 AND f.currency IS NOT NULL
             GROUP BY f.book, f.currency ORDER BY f.book, f.currency",
            values![REFUNDED],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(BooksFault::sql("sum claims"))?;
    let mut out: BTreeMap<PopupId, BTreeMap<Currency, i64>> = BTreeMap::new();
    for (book, currency, amount) in rows {
        let book = PopupId::of_book(&book).map_err(|_| BooksFault::Damaged("book"))?;
        let currency = Currency::new(&currency).ok_or(BooksFault::Damaged("currency"))?;
        out.entry(book).or_default().insert(currency, amount);
    }
    Ok(out)
}

/// The highest seq of an epoch, at most `held`, up to which no claim waits.
pub(in crate::books) fn reconciled_to(
    db: &Db,
    rig: &RigId,
    epoch: u32,
    held: u64,
) -> Result<u64, BooksFault> {
    let first: Option<i64> = db
        .one(
            "SELECT MIN(seq) FROM open_claims WHERE rig = ?1 AND epoch = ?2",
            values![rig.as_str(), epoch],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read claims"))?;
    Ok(first.map_or(held, |first| held.min(number(first).saturating_sub(1))))
}
