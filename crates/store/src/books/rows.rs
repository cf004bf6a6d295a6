//! Small steps between values and columns.

use std::collections::BTreeSet;

use super::db::{Db, DbFault, Row, values};
use super::{BooksFault, frame};
use popwatch_core::id::{Epoch, PopupId, Position, RigId, Seq};
use popwatch_core::ledger::breaks::BreakState;
use popwatch_core::ledger::{Account, Break, BreakClass, Commodity, Fact, FactId};
use popwatch_core::record;

/// A seq or count as a column. Seqs beyond are refused at the door of the ledger.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column as a seq or count.
pub(super) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A column as an epoch.
pub(super) fn epoch_number(column: i64) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

/// A position from columns.
pub(super) fn position(rig: &str, epoch: i64, seq: i64) -> Result<Position, BooksFault> {
    Ok(Position {
        rig: RigId::new(rig).map_err(|_| BooksFault::Damaged("rig name"))?,
        epoch: Epoch(epoch_number(epoch)),
        seq: Seq(number(seq)),
    })
}

/// The record at a position, decoded; `None` when it is not held, erased or unreadable.
pub(super) fn record_at(db: &Db, at: &Position) -> Result<Option<record::Record>, BooksFault> {
    let bytes: Option<Option<Vec<u8>>> = db
        .row(
            "SELECT bytes FROM records WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
            values![at.rig.as_str(), at.epoch.0, column(at.seq.0)],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a record"))?;
    let payload = bytes.flatten();
    Ok(payload.and_then(|bytes| record::decode(bytes.get(frame::HEADER_BYTES..)?).ok()))
}

/// The fact stated at a position.
pub(super) fn fact_at(db: &Db, at: Position) -> Result<Option<Fact>, BooksFault> {
    let record = record_at(db, &at)?;
    Ok(record.and_then(|record| Fact::of(&record, at)))
}

/// Texts as one column.
pub(super) fn pack(texts: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// Texts from one column; `None` for damage.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        out.push(String::from_utf8(text.to_vec()).ok()?);
        bytes = rest;
    }
    Some(out)
}

/// Makes the breaks of one cause exactly these: others of that cause go, the rest stay as first
/// seen.
pub(super) fn set_breaks(
    db: &Db,
    cause: FactId,
    book: &str,
    rig: Option<&RigId>,
    breaks: &[Break],
    now_ms: i64,
    fresh: bool,
) -> Result<(), BooksFault> {
    set_breaks_in(db, cause, rig, &[(book, breaks)], now_ms, fresh)
}

/// The same for a cause with breaks in several books.
pub(super) fn set_breaks_in(
    db: &Db,
    cause: FactId,
    rig: Option<&RigId>,
    made: &[(&str, &[Break])],
    now_ms: i64,
    fresh: bool,
) -> Result<(), BooksFault> {
    let write = || {
        if !fresh {
            let old: Vec<(String, String, Suspended)> = db.rows(
                "SELECT book, id, commodity, suspense, state FROM breaks WHERE cause = ?1",
                values![cause.0],
                |row| Ok((row.get(0)?, row.get(1)?, Suspended::read(row, 2)?)),
            )?;
            for (of, id, held) in old {
                let stays = made.iter().any(|(book, breaks)| {
                    of == *book && breaks.iter().any(|found| found.id.as_str() == id)
                });
                if !stays {
                    held.moves(db, &of, -1);
                    db.run(
                        "DELETE FROM breaks WHERE book = ?1 AND id = ?2",
                        values![of, id],
                    )?;
                }
            }
        }
        for (book, breaks) in made {
            for found in *breaks {
                insert_break(db, cause, book, rig, found, now_ms)?;
            }
        }
        Ok(())
    };
    write().map_err(BooksFault::sql("write breaks"))
}

fn insert_break(
    db: &Db,
    cause: FactId,
    book: &str,
    rig: Option<&RigId>,
    found: &Break,
    now_ms: i64,
) -> Result<(), DbFault> {
    let mut stands = Suspended {
        commodity: found.commodity.as_ref().map(Commodity::to_string),
        amount: found.suspense,
        is_open: found.state == BreakState::Open,
    };
    if let Some(held) = suspended(db, book, found.id.as_str())? {
        held.moves(db, book, -1);
        // Whether somebody accepted it stays.
        stands.is_open = held.is_open;
    }
    stands.moves(db, book, 1);
    db.run(
        "INSERT INTO breaks (book, id, cause, rig, class, commodity, amount, suspense, held_in,
           keys, evidence, state, sentence, first_seen_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (book, id) DO UPDATE SET cause = excluded.cause, rig = excluded.rig,
           commodity = excluded.commodity, amount = excluded.amount,
           suspense = excluded.suspense, held_in = excluded.held_in,
           evidence = excluded.evidence, sentence = excluded.sentence",
        values![
            book,
            found.id.as_str(),
            cause.0,
            rig.map(RigId::as_str),
            found.class.text(),
            stands.commodity,
            found.amount,
            found.suspense,
            found.held_in.as_ref().map(Account::to_string),
            pack(&found.keys),
            pack(&found.evidence),
            found.state.text(),
            found.sentence,
            now_ms,
        ],
    )?;
    Ok(())
}

/// What a stored break holds in suspense.
struct Suspended {
    commodity: Option<String>,
    amount: i64,
    is_open: bool,
}

impl Suspended {
    /// From the columns commodity, suspense and state.
    fn read(row: &Row<'_>, at: usize) -> Result<Self, DbFault> {
        Ok(Self {
            commodity: row.get(at)?,
            amount: row.get(at + 1)?,
            is_open: row.get::<String>(at + 2)? == BreakState::Open.text(),
        })
    }

    /// Notes that it came (1) or went (-1).
    fn moves(&self, db: &Db, book: &str, sign: i128) {
        if let (true, Some(commodity)) = (self.is_open, &self.commodity) {
            db.suspended(book, commodity, i128::from(self.amount) * sign);
        }
    }
}

fn suspended(db: &Db, book: &str, id: &str) -> Result<Option<Suspended>, DbFault> {
    db.row(
        "SELECT commodity, suspense, state FROM breaks WHERE book = ?1 AND id = ?2",
        values![book, id],
        |row| Suspended::read(row, 0),
    )
}

/// Opens or accepts a break, if it is there.
pub(super) fn set_state(
    db: &Db,
    book: &str,
    id: &str,
    state: BreakState,
) -> Result<(), BooksFault> {
    let write = || {
        let Some(mut held) = suspended(db, book, id)? else {
            return Ok(());
        };
        held.moves(db, book, -1);
        held.is_open = state == BreakState::Open;
        held.moves(db, book, 1);
        db.run(
            "UPDATE breaks SET state = ?3 WHERE book = ?1 AND id = ?2",
            values![book, id, state.text()],
        )
        .map(drop)
    };
    write().map_err(BooksFault::sql("open or accept a break"))
}

/// Open breaks of a book, or of every account's, each as a hash of its id.
pub(super) fn open_breaks(db: &Db, popup: &PopupId) -> Result<BTreeSet<u64>, BooksFault> {
    let ids: Vec<u64> = db
        .rows(
            "SELECT book, id FROM breaks
             WHERE state = 'open' AND (book = ?1 OR book LIKE '~%'
               OR (book = '' AND rig IN (SELECT rig FROM rig_popups WHERE book = ?1)))",
            values![popup.as_str()],
            |row| {
                let mut hash = blake3::Hasher::new();
                hash.update(row.get::<String>(0)?.as_bytes());
                hash.update(b" ");
                hash.update(row.get::<String>(1)?.as_bytes());
                let [a, b, c, d, e, f, g, h, ..] = *hash.finalize().as_bytes();
                Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
            },
        )
        .map_err(BooksFault::sql("list open breaks"))?;
    Ok(ids.into_iter().collect())
}

/// The stored breaks of a book: its own and those of rigs that took part in it.
pub(super) fn breaks_of(db: &Db, popup: &PopupId) -> Result<Vec<Break>, BooksFault> {
    let read = || {
        db.rows(
            "SELECT class, commodity, amount, suspense, held_in, keys, evidence, state, sentence
             FROM breaks WHERE book = ?1
             UNION ALL
             SELECT class, commodity, amount, suspense, held_in, keys, evidence, state, sentence
             FROM breaks WHERE book = '' AND rig IN (SELECT rig FROM rig_popups WHERE book = ?1)",
            values![popup.as_str()],
            |row| {
                Ok(StoredBreak {
                    class: row.get(0)?,
                    commodity: row.get(1)?,
                    amount: row.get(2)?,
                    suspense: row.get(3)?,
                    held_in: row.get(4)?,
                    keys: row.get(5)?,
                    evidence: row.get(6)?,
                    state: row.get(7)?,
                    sentence: row.get(8)?,
                })
            },
        )
    };
    let stored = read().map_err(BooksFault::sql("read breaks"))?;
    stored
        .into_iter()
        .map(|row| row.read().ok_or(BooksFault::Damaged("list of breaks")))
        .collect()
}

struct StoredBreak {
    class: String,
    commodity: Option<String>,
    amount: i64,
    suspense: i64,
    held_in: Option<String>,
    keys: Vec<u8>,
    evidence: Vec<u8>,
    state: String,
    sentence: String,
}

impl StoredBreak {
    fn read(self) -> Option<Break> {
        let class = BreakClass::from_text(&self.class)?;
        let mut found = Break::new(class, unpack(&self.keys)?, self.sentence);
        found.commodity = match self.commodity {
            Some(text) => Some(Commodity::parse(&text)?),
            None => None,
        };
        found.held_in = match self.held_in {
            Some(text) => Some(Account::parse(&text)?),
            None => None,
        };
        found.amount = self.amount;
        found.suspense = self.suspense;
        found.evidence = unpack(&self.evidence)?;
        found.state = [BreakState::Open, BreakState::Resolved, BreakState::Accepted]
            .into_iter()
            .find(|state| state.text() == self.state)?;
        Some(found)
    }
}
