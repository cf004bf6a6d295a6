//! Facts that are found by what they speak of, and what people decided: breaks they accepted, books
//! they closed, and what came after.
//!
//! A break that was accepted moves its suspense to the named account (R61) as long as it stands with
//! exactly the accepted amount; any other amount is open again.

use std::collections::BTreeSet;

use popwatch_core::event::Event;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::{PopupId, Sku};
use popwatch_core::ledger::breaks::{Break, BreakClass, BreakState};
use popwatch_core::ledger::post::{Posted, worth};
use popwatch_core::ledger::{Account, Balanced, Chart, Commodity, Fact, FactId, Rule};
use popwatch_core::money::Money;

use super::BooksFault;
use super::db::{Db, values};
use super::posting::Poster;
use super::rows::set_state;

/// Under which topic the counts of a drawer are found.
pub(super) fn drawer_topic(rig: &str, currency: &str) -> String {
    format!("cash:{rig}:{currency}")
}

/// Under which topic the flash drops of a SKU are found.
pub(super) fn drop_topic(sku: &Sku) -> String {
    format!("drop:{sku}")
}

fn topic_of(fact: &Fact) -> Option<String> {
    if let Event::DropOpened(of) = &fact.event {
        return Some(drop_topic(&of.sku));
    }
    if let Event::DropClosed(of) = &fact.event {
        return Some(drop_topic(&of.sku));
    }
    if let Event::System(SystemEvent::CashCounted(of)) = &fact.event {
        return Some(drawer_topic(&of.rig, &of.currency));
    }
    None
}

/// Facts under a topic.
pub(super) fn facts_on(db: &Db, book: &str, topic: &str) -> Result<Vec<FactId>, BooksFault> {
    db.rows(
        "SELECT fact_id FROM topics WHERE book = ?1 AND topic = ?2",
        values![book, topic],
        |row| Ok(FactId(row.get(0)?)),
    )
    .map_err(BooksFault::sql("read facts on a topic"))
}

/// When the newest fact under a topic happened.
pub(super) fn newest_on(db: &Db, book: &str, topic: &str) -> Result<Option<i64>, BooksFault> {
    db.one(
        "SELECT MAX(occurred_ms) FROM topics WHERE book = ?1 AND topic = ?2",
        values![book, topic],
        |row| row.get(0),
    )
    .map_err(BooksFault::sql("read facts on a topic"))
}

/// Brings the rows up to date by which this fact is found.
pub(super) fn note(poster: &Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    let (db, book) = (poster.db, fact.popup.as_str());
    if let Some(topic) = topic_of(fact) {
        db.run(
            "INSERT INTO topics (book, topic, fact_id, occurred_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (book, topic, fact_id) DO UPDATE SET occurred_ms = excluded.occurred_ms",
            values![book, topic, fact.id.0, fact.occurred_ms],
        )
        .map_err(BooksFault::sql("note a topic"))?;
    }
    if let Event::System(SystemEvent::BreakAccepted(of)) = &fact.event {
        db.run(
            "INSERT INTO accepted
               (book, id, fact_id, commodity, amount, account, occurred_ms, applied)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0) ON CONFLICT DO NOTHING",
            values![
                of.book,
                of.id,
                fact.id.0,
                of.currency,
                of.amount,
                of.account,
                fact.occurred_ms
            ],
        )
        .map_err(BooksFault::sql("note an accepted break"))?;
    }
    if let Event::System(SystemEvent::CloseSigned(of)) = &fact.event {
        db.run(
            "INSERT INTO closes (book, n, fact_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            values![book, of.n, fact.id.0],
        )
        .map_err(BooksFault::sql("note a close"))?;
    }
    Ok(())
}

/// Removes those rows. A close that was signed stays: entries after it cite it.
pub(super) fn forget(poster: &mut Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    let (db, book) = (poster.db, fact.popup.as_str());
    if let Some(topic) = topic_of(fact) {
        db.run(
            "DELETE FROM topics WHERE book = ?1 AND topic = ?2 AND fact_id = ?3",
            values![book, topic, fact.id.0],
        )
        .map_err(BooksFault::sql("forget a topic"))?;
    }
    if let Event::System(SystemEvent::BreakAccepted(of)) = &fact.event {
        db.run(
            "DELETE FROM accepted WHERE book = ?1 AND id = ?2 AND fact_id = ?3",
            values![of.book, of.id, fact.id.0],
        )
        .map_err(BooksFault::sql("forget an accepted break"))?;
        set_state(db, &of.book, &of.id, BreakState::Open)?;
    }
    Ok(())
}

/// Ids of the breaks without suspense that were accepted in a book. Some of them are found only when
/// the books are read, so their state stands nowhere else.
pub(super) fn accepted_plain(db: &Db, book: &PopupId) -> Result<BTreeSet<String>, BooksFault> {
    let ids: Vec<String> = db
        .rows(
            "SELECT id FROM accepted WHERE book = ?1 AND amount = 0",
            values![book.as_str()],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read accepted breaks"))?;
    Ok(ids.into_iter().collect())
}

struct Accepted {
    book: String,
    id: String,
    fact: FactId,
    commodity: String,
    amount: i64,
    account: String,
    occurred_ms: i64,
    stands: bool,
}

/// Applies decisions to breaks that came, changed or went in this batch.
pub(super) fn accept(poster: &mut Poster<'_>) -> Result<(), BooksFault> {
    let changed: Vec<Accepted> = poster
        .db
        .rows(
            "SELECT a.book, a.id, a.fact_id, a.commodity, a.amount, a.account, a.occurred_ms,
               CAST(CASE WHEN b.suspense = a.amount
                 AND (a.amount = 0 OR b.commodity = a.commodity) THEN 1 ELSE 0 END AS BIGINT)
             FROM accepted a LEFT JOIN breaks b ON b.book = a.book AND b.id = a.id
             WHERE a.applied <> CASE WHEN b.suspense = a.amount
                 AND (a.amount = 0 OR b.commodity = a.commodity) THEN 1 ELSE 0 END
               OR (a.applied = 1 AND b.state <> 'accepted')
             ORDER BY a.book, a.id, a.fact_id",
            values![],
            |row| {
                Ok(Accepted {
                    book: row.get(0)?,
                    id: row.get(1)?,
                    fact: FactId(row.get(2)?),
                    commodity: row.get(3)?,
                    amount: row.get(4)?,
                    account: row.get(5)?,
                    occurred_ms: row.get(6)?,
                    stands: row.get::<i64>(7)? != 0,
                })
            },
        )
        .map_err(BooksFault::sql("read accepted breaks"))?;
    // What no longer stands first, so that two decisions on one break never both apply.
    let (stand, gone): (Vec<_>, Vec<_>) = changed.into_iter().partition(|one| one.stands);
    for one in gone.iter().chain(&stand) {
        let mut posted = Posted::default();
        if one.stands {
            match moved(one)? {
                Some(entry) => posted.entries.extend(entry),
                None => continue,
            }
            posted.breaks.extend(foreign(one));
        }
        poster.settle_in(one.fact, &[(&one.book, &posted)], false)?;
        let (state, applied) = match one.stands {
            true => (BreakState::Accepted, 1i64),
            false => (BreakState::Open, 0),
        };
        set_state(poster.db, &one.book, &one.id, state)?;
        poster
            .db
            .run(
                "UPDATE accepted SET applied = ?4 WHERE book = ?1 AND id = ?2 AND fact_id = ?3",
                values![one.book, one.id, one.fact.0, applied],
            )
            .map_err(BooksFault::sql("accept a break"))?;
    }
    Ok(())
}

/// The suspense of a break on its way to an account; `None` where the decision names none.
fn moved(
    of: &Accepted,
) -> Result<Option<Option<Balanced<popwatch_core::ledger::Entry>>>, BooksFault> {
    if of.amount == 0 {
        return Ok(Some(None));
    }
    let (Some(account), Some(unit)) =
        (Account::parse(&of.account), Commodity::parse(&of.commodity))
    else {
        return Ok(None);
    };
    let amount = i128::from(of.amount);
    let legs = [
        (Account::of(Chart::Suspense, &of.id), unit.clone(), amount),
        (account, unit, -amount),
    ];
    Balanced::new(of.fact, Rule::Manual, of.occurred_ms, legs)
        .map(Some)
        .map_err(BooksFault::Entry)
}

/// Tokens and sales alone make what tokens and pools are worth: what was accepted onto their accounts
/// keeps a break open until it is taken off again.
fn foreign(of: &Accepted) -> Option<Break> {
    let account = Account::parse(&of.account)?;
    let currency = Commodity::parse(&of.commodity)?.currency()?;
    let money = Money::new(of.amount, currency);
    let part = &account.part;
    let (class, sentence) = if account.of == Chart::TokenValue {
        let sentence = format!(
            "Tokens of campaign {part} are owed {money} that no token is worth: break {} was \
             accepted there.",
            of.id
        );
        (BreakClass::Liability, sentence)
    } else if account.of == Chart::CoopPool {
        let sentence = format!(
            "The pool of {part} holds {money} that no sale put there: break {} was accepted there.",
            of.id
        );
        (BreakClass::Pool, sentence)
    } else {
        return None;
    };
    let keys = [of.book.clone(), of.id.clone(), of.account.clone()];
    Some(
        Break::new(class, keys.into(), sentence)
            .amounting(Commodity::Money(currency), of.amount, Some(account))
            .evident([of.id.clone()].into()),
    )
}

/// Which correction entries of a book belong to now: 0 before its first close, then one more than
/// the newest.
pub(super) fn correction(db: &Db, book: &str) -> Result<i64, BooksFault> {
    let newest: Option<i64> = db
        .one(
            "SELECT MAX(n) FROM closes WHERE book = ?1",
            values![book],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read closes"))?;
    Ok(newest.map_or(0, |n| n + 1))
}

/// What is said of a fact that came after its book was closed.
pub(super) fn late(
    poster: &mut Poster<'_>,
    fact: &Fact,
    fresh: bool,
) -> Result<Option<Break>, BooksFault> {
    if matches!(fact.event, Event::System(_)) {
        return Ok(None);
    }
    let correction = poster.correction(fact.popup.as_str())?;
    if correction == 0 {
        return Ok(None);
    }
    if fresh {
        poster
            .db
            .run(
                "INSERT INTO late (fact_id, n) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                values![fact.id.0, correction],
            )
            .map_err(BooksFault::sql("note a late fact"))?;
    }
    let n: Option<i64> = poster
        .db
        .row(
            "SELECT n FROM late WHERE fact_id = ?1",
            values![fact.id.0],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a late fact"))?;
    let Some(n) = n else {
        return Ok(None);
    };
    if let Event::DropOpened(_) | Event::DropClosed(_) = &fact.event {
        let sentence = format!(
            "{} told after close {} who was on stage; shares of sales may change, in correction {n}.",
            fact.position.rig,
            n - 1
        );
        let keys = [fact.popup.to_string(), fact.id.to_string()];
        let found = Break::new(BreakClass::LateShare, keys.into(), sentence)
            .evident([popwatch_core::ledger::post::position_text(fact)].into());
        return Ok(Some(found));
    }
    let money = worth(&fact.event);
    let what = money.as_ref().map_or_else(
        || "A stock movement".to_string(),
        |money| format!("A record of {money}"),
    );
    let sentence = format!(
        "{what} from {} arrived after close {}; it belongs to correction {n}.",
        fact.position.rig,
        n - 1
    );
    let keys = [fact.popup.to_string(), fact.id.to_string()];
    let found = Break::new(BreakClass::Late, keys.into(), sentence)
        .evident([popwatch_core::ledger::post::position_text(fact)].into());
    Ok(Some(match money {
        Some(money) => found.amounting(Commodity::Money(money.currency), money.minor, None),
        None => found,
    }))
}
