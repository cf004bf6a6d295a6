//! What stands behind the numbers of a book: entries one by one, the facts as one root, the files that
//! were read, the certificates that were signed. Reading changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::event::Event;
use popwatch_core::event::central::{CloseSigned, SettlementFile};
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::{PopupId, Position};
use popwatch_core::ledger::entry::{EntryId, decode_legs};
use popwatch_core::ledger::root::{Root, books_root};
use popwatch_core::ledger::{Account, Break, FactId, Leg, Rule};
use popwatch_core::limits::BOOKS_PAGE_ROWS_MAX;
use rusqlite::{OptionalExtension, params};

use super::rows::{self, breaks_of, column, epoch_number, number, position};
use super::{Books, BooksFault};

/// Types of the facts that are read here, as the records number them.
const SETTLEMENT_FILE: u32 = 141;
/// A signed close.
const CLOSE_SIGNED: u32 = 148;

/// One effective entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLine {
    /// Its place in the book: pages go on from here.
    pub n: u64,
    /// By its content.
    pub id: EntryId,
    /// What it stands for.
    pub fact: FactId,
    /// The rule that made it.
    pub rule: Rule,
    /// When it happened, ms since 1970.
    pub occurred_ms: i64,
    /// When the books took it, ms since 1970.
    pub recorded_ms: i64,
    /// The close after which it came; 0 before the first.
    pub correction: u32,
    /// The legs.
    pub legs: Vec<Leg>,
    /// The record that states the fact; none for what several facts make together.
    pub position: Option<Position>,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct EntryQuestion {
    /// Only those with a leg on this account, or on any account of its row where it has no part.
    pub account: Option<Account>,
    /// As the book was after this correction; the newest where none is named.
    pub correction: Option<u32>,
    /// Only those after this place.
    pub after: u64,
}

impl EntryQuestion {
    fn wants(&self, legs: &[Leg]) -> bool {
        let Some(asked) = &self.account else {
            return true;
        };
        legs.iter().any(|leg| {
            leg.account.of == asked.of && (asked.part.is_empty() || leg.account.part == asked.part)
        })
    }
}

/// What a book is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsView {
    /// Facts that count, certificates not among them.
    pub count: u64,
    /// Merkle root over their ids.
    pub root: Root,
    /// When the newest of them happened, ms since 1970; `None` without facts.
    pub newest_ms: Option<i64>,
}

impl Books {
    /// The effective entries of a book in the order they were booked, at most
    /// [`BOOKS_PAGE_ROWS_MAX`]; memory beyond these rows is 8 bytes for each reversal.
    pub fn entries(
        &self,
        book: &PopupId,
        asked: &EntryQuestion,
    ) -> Result<Vec<EntryLine>, BooksFault> {
        let upto = asked.correction.unwrap_or(u32::MAX);
        let reversed = self.reversed(book, upto)?;
        let what = "read entries";
        let mut ask = self
            .db
            .prepare_cached(
                "SELECT n, entry_id, fact_id, rule, occurred_ms, recorded_ms, correction, legs
                 FROM entries
                 WHERE book = ?1 AND n > ?2 AND correction <= ?3 AND reverses IS NULL ORDER BY n",
            )
            .map_err(BooksFault::sql(what))?;
        let mut rows = ask
            .query(params![book.as_str(), column(asked.after), upto])
            .map_err(BooksFault::sql(what))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(BooksFault::sql(what))? {
            let line = entry_line(row).map_err(BooksFault::sql(what))?;
            let line = line.ok_or(BooksFault::Damaged("entry"))?;
            if !reversed.contains(&line.n) && asked.wants(&line.legs) {
                out.push(line);
            }
            if out.len() == BOOKS_PAGE_ROWS_MAX {
                break;
            }
        }
        for line in &mut out {
            line.position = self.stated_at(line.fact)?;
        }
        Ok(out)
    }

    /// Which entries were reversed up to a correction.
    fn reversed(&self, book: &PopupId, upto: u32) -> Result<BTreeSet<u64>, BooksFault> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT reverses FROM entries
                     WHERE book = ?1 AND correction <= ?2 AND reverses IS NOT NULL",
                )?
                .query_map(params![book.as_str(), upto], |row| row.get(0).map(number))?
                .collect::<rusqlite::Result<BTreeSet<_>>>()
        };
        read().map_err(BooksFault::sql("read reversals"))
    }

    fn stated_at(&self, fact: FactId) -> Result<Option<Position>, BooksFault> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT rig, epoch, seq FROM facts WHERE fact_id = ?1 AND state = 1",
                )?
                .query_row([fact.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        };
        let found: Option<(String, i64, i64)> = read().map_err(BooksFault::sql("find a fact"))?;
        found
            .map(|(rig, epoch, seq)| position(&rig, epoch, seq))
            .transpose()
    }

    /// The facts of a book as one root.
    pub fn facts(&self, book: &PopupId) -> Result<FactsView, BooksFault> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT fact_id, occurred_ms FROM facts
                     WHERE book = ?1 AND state = 1 AND kind <> ?2",
                )?
                .query_map(params![book.as_str(), CLOSE_SIGNED], |row| {
                    Ok((row.get(0).map(EntryId)?, row.get(1)?))
                })?
                .collect::<rusqlite::Result<Vec<(EntryId, i64)>>>()
        };
        let found = read().map_err(BooksFault::sql("read facts"))?;
        let newest_ms = found.iter().map(|(_, at)| *at).max();
        let ids: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
        Ok(FactsView {
            count: ids.len() as u64,
            root: books_root(ids),
            newest_ms,
        })
    }

    /// The certificates of a popup by n.
    pub fn closes(&self, popup: &PopupId) -> Result<BTreeMap<u32, CloseSigned>, BooksFault> {
        let signed = self.centre(Some(popup), CLOSE_SIGNED)?;
        let mut out = BTreeMap::new();
        for event in signed {
            if let SystemEvent::CloseSigned(of) = event {
                out.insert(of.n, of);
            }
        }
        Ok(out)
    }

    /// The files that were read, of all accounts, in the order they came.
    pub fn files(&self) -> Result<Vec<SettlementFile>, BooksFault> {
        let read = self.centre(None, SETTLEMENT_FILE)?;
        let mut out = Vec::new();
        for event in read {
            if let SystemEvent::SettlementFile(of) = event {
                out.push(of);
            }
        }
        Ok(out)
    }

    /// Breaks of the provider accounts' own books.
    pub fn account_breaks(&self) -> Result<Vec<Break>, BooksFault> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT DISTINCT book FROM breaks WHERE book LIKE '~%' ORDER BY book",
                )?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut out = Vec::new();
        for book in read().map_err(BooksFault::sql("list account books"))? {
            let book = PopupId::of_book(&book).map_err(|_| BooksFault::Damaged("book name"))?;
            out.extend(breaks_of(&self.db, &book)?);
        }
        Ok(out)
    }

    /// What the centre said, of one type.
    fn centre(&self, book: Option<&PopupId>, kind: u32) -> Result<Vec<SystemEvent>, BooksFault> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT rig, epoch, seq FROM facts
                     WHERE (book = ?1 OR ?1 IS NULL) AND kind = ?2 AND state = 1
                     ORDER BY rig, epoch, seq",
                )?
                .query_map(params![book.map(PopupId::as_str), kind], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect::<rusqlite::Result<Vec<(String, i64, i64)>>>()
        };
        let mut out = Vec::new();
        for (rig, epoch, seq) in read().map_err(BooksFault::sql("read the centre's facts"))? {
            let at = position(&rig, i64::from(epoch_number(epoch)), seq)?;
            if let Some(record) = rows::record_at(&self.db, &at)?
                && let Event::System(event) = record.event
            {
                out.push(event);
            }
        }
        Ok(out)
    }
}

/// An entry of a row; `None` for damage.
fn entry_line(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<EntryLine>> {
    let rule: String = row.get(3)?;
    let legs: Vec<u8> = row.get(7)?;
    let read = (Rule::from_text(&rule), decode_legs(&legs));
    let (Some(rule), Some(legs)) = read else {
        return Ok(None);
    };
    Ok(Some(EntryLine {
        n: number(row.get(0)?),
        id: EntryId(row.get(1)?),
        fact: FactId(row.get(2)?),
        rule,
        occurred_ms: row.get(4)?,
        recorded_ms: row.get(5)?,
        correction: row.get(6)?,
        legs,
        position: None,
    }))
}
