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

use super::db::{Row, values};
use super::rows::{self, breaks_of, column, epoch_number, number, position};
use super::{Books, BooksFault, DbFault};

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
        let reversed: BTreeSet<u64> = self
            .db
            .rows(
                "SELECT reverses FROM entries
                 WHERE book = ?1 AND correction <= ?2 AND reverses IS NOT NULL",
                values![book.as_str(), upto],
                |row| row.get::<i64>(0).map(number),
            )
            .map_err(BooksFault::sql("read reversals"))?
            .into_iter()
            .collect();
        let mut out = Vec::new();
        let mut after = asked.after;
        while out.len() < BOOKS_PAGE_ROWS_MAX {
            let page = self.entries_after(book, upto, after)?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.n;
            let wanted = |line: &EntryLine| !reversed.contains(&line.n) && asked.wants(&line.legs);
            out.extend(page.into_iter().filter(wanted));
        }
        out.truncate(BOOKS_PAGE_ROWS_MAX);
        for line in &mut out {
            line.position = self.stated_at(line.fact)?;
        }
        Ok(out)
    }

    /// The next entries of a book that reverse nothing.
    fn entries_after(
        &self,
        book: &PopupId,
        upto: u32,
        after: u64,
    ) -> Result<Vec<EntryLine>, BooksFault> {
        let limit = BOOKS_PAGE_ROWS_MAX as u64;
        self.db
            .rows(
                "SELECT n, entry_id, fact_id, rule, occurred_ms, recorded_ms, correction, legs
                 FROM entries
                 WHERE book = ?1 AND n > ?2 AND correction <= ?3 AND reverses IS NULL
                 ORDER BY n LIMIT ?4",
                values![book.as_str(), column(after), upto, column(limit)],
                entry_line,
            )
            .map_err(BooksFault::sql("read entries"))?
            .into_iter()
            .collect::<Option<_>>()
            .ok_or(BooksFault::Damaged("entry"))
    }

    pub(super) fn stated_at(&self, fact: FactId) -> Result<Option<Position>, BooksFault> {
        let found = self
            .db
            .row::<(String, i64, i64)>(
                "SELECT rig, epoch, seq FROM facts WHERE fact_id = ?1 AND state = 1",
                values![&fact.0[..]],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(BooksFault::sql("find a fact"))?;
        found
            .map(|(rig, epoch, seq)| position(&rig, epoch, seq))
            .transpose()
    }

    /// The facts of a book as one root.
    pub fn facts(&self, book: &PopupId) -> Result<FactsView, BooksFault> {
        let found = self
            .db
            .rows::<([u8; 16], i64)>(
                "SELECT fact_id, occurred_ms FROM facts
                 WHERE book = ?1 AND state = 1 AND kind <> ?2",
                values![book.as_str(), CLOSE_SIGNED],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read facts"))?;
        let newest_ms = found.iter().map(|(_, at)| *at).max();
        let ids: Vec<_> = found.into_iter().map(|(id, _)| EntryId(id)).collect();
        Ok(FactsView {
            count: ids.len() as u64,
            root: books_root(ids),
            newest_ms,
        })
    }

    /// The certificates of a popup by n.
    pub fn closes(&self, popup: &PopupId) -> Result<BTreeMap<u32, CloseSigned>, BooksFault> {
        let mut out = BTreeMap::new();
        for event in self.centre(popup.as_str(), CLOSE_SIGNED)? {
            if let SystemEvent::CloseSigned(of) = event {
                out.insert(of.n, of);
            }
        }
        Ok(out)
    }

    /// The files that were read, of all accounts, in the order they came.
    pub fn files(&self) -> Result<Vec<SettlementFile>, BooksFault> {
        let mut out = Vec::new();
        for event in self.centre("", SETTLEMENT_FILE)? {
            if let SystemEvent::SettlementFile(of) = event {
                out.push(of);
            }
        }
        Ok(out)
    }

    /// Open breaks of a popup and of the accounts, each as a number made of its id: enough to count
    /// what came and went, however many there are.
    pub fn open_breaks(&self, popup: &PopupId) -> Result<BTreeSet<u64>, BooksFault> {
        rows::open_breaks(&self.db, popup)
    }

    /// Breaks of the provider accounts' own books, each with its book.
    pub fn account_breaks(&self) -> Result<Vec<(PopupId, Break)>, BooksFault> {
        let books = self
            .db
            .rows::<String>(
                "SELECT DISTINCT book FROM breaks WHERE book LIKE '~%' ORDER BY book",
                values![],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("list account books"))?;
        let mut out = Vec::new();
        for book in books {
            let book = PopupId::of_book(&book).map_err(|_| BooksFault::Damaged("book name"))?;
            let found = breaks_of(&self.db, &book)?;
            out.extend(found.into_iter().map(|found| (book.clone(), found)));
        }
        Ok(out)
    }

    /// What the centre said, of one type, in one book or all.
    fn centre(&self, book: &str, kind: u32) -> Result<Vec<SystemEvent>, BooksFault> {
        let found = self
            .db
            .rows::<(String, i64, i64)>(
                "SELECT rig, epoch, seq FROM facts
                 WHERE (book = ?1 OR ?1 = '') AND kind = ?2 AND state = 1
                 ORDER BY rig, epoch, seq",
                values![book, kind],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(BooksFault::sql("read the centre's facts"))?;
        let mut out = Vec::new();
        for (rig, epoch, seq) in found {
            if let Some(record) = rows::record_at(&self.db, &position(&rig, epoch, seq)?)?
                && let Event::System(event) = record.event
            {
                out.push(event);
            }
        }
        Ok(out)
    }
}

/// An entry of a row; `None` for damage.
fn entry_line(row: &Row<'_>) -> Result<Option<EntryLine>, DbFault> {
    let rule: String = row.get(3)?;
    let legs: Vec<u8> = row.get(7)?;
    let (Some(rule), Some(legs)) = (Rule::from_text(&rule), decode_legs(&legs)) else {
        return Ok(None);
    };
    Ok(Some(EntryLine {
        n: number(row.get(0)?),
        id: EntryId(row.get(1)?),
        fact: FactId(row.get(2)?),
        rule,
        occurred_ms: row.get(4)?,
        recorded_ms: row.get(5)?,
        correction: epoch_number(row.get(6)?),
        legs,
        position: None,
    }))
}
