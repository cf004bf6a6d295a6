//! Books as of a close: closed entries never change, so every close stays readable.

use std::collections::BTreeMap;

use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Pending;
use popwatch_core::ledger::entry::{EntryId, decode_legs};
use popwatch_core::ledger::root::{Root, books_root};
use popwatch_core::ledger::{Account, Commodity};

use super::db::values;
use super::rows::number;
use super::{Books, BooksFault};

/// A popup's books as of a close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedBooks {
    /// Root over the entries that were effective.
    pub books_root: Root,
    /// How many.
    pub entries: u64,
    /// Debit minus credit by account and commodity, no zeros.
    pub balances: BTreeMap<(Account, Commodity), i128>,
}

impl Books {
    /// The entries of a popup that stand when corrections beyond `n` are left out: those of
    /// correction `n` or before that no reversal of `n` or before undid.
    pub fn books_at(&self, popup: &PopupId, n: u32) -> Result<ClosedBooks, BooksFault> {
        let rows: Vec<([u8; 16], Vec<u8>)> = self
            .db
            .rows(
                "SELECT e.entry_id, e.legs FROM entries e
                 WHERE e.book = ?1 AND e.correction <= ?2 AND e.reverses IS NULL
                   AND (e.live = 1 OR e.n NOT IN (
                     SELECT r.reverses FROM entries r
                     WHERE r.book = ?1 AND r.correction <= ?2 AND r.reverses IS NOT NULL))",
                values![popup.as_str(), n],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read closed books"))?;
        let mut balances: BTreeMap<(Account, Commodity), i128> = BTreeMap::new();
        let mut ids = Vec::with_capacity(rows.len());
        for (id, legs) in rows {
            ids.push(EntryId(id));
            for leg in decode_legs(&legs).ok_or(BooksFault::Damaged("entry"))? {
                *balances.entry((leg.account, leg.commodity)).or_default() +=
                    i128::from(leg.amount);
            }
        }
        balances.retain(|_, amount| *amount != 0);
        Ok(ClosedBooks {
            entries: ids.len() as u64,
            books_root: books_root(ids),
            balances,
        })
    }

    /// What of a popup's books is decided only by time that has not passed yet: groups with a fact of
    /// the popup whose timer ends after the moment as of which the books stand.
    pub fn pending(&self, popup: &PopupId) -> Result<Pending, BooksFault> {
        let (groups, until_ms): (i64, Option<i64>) = self
            .db
            .one(
                "SELECT COUNT(*), MAX(s.due_ms) FROM group_states s
                 WHERE s.due_ms IS NOT NULL AND EXISTS (
                   SELECT 1 FROM group_members m JOIN facts f ON f.fact_id = m.fact_id
                   WHERE m.kind = s.kind AND m.hash = s.hash AND f.book = ?1)",
                values![popup.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read what waits"))?;
        Ok(Pending {
            groups: number(groups),
            until_ms,
        })
    }

    /// The newest close of a popup's books; 0 when they were never closed.
    pub fn newest_close(&self, popup: &PopupId) -> Result<u32, BooksFault> {
        let newest: Option<u32> = self
            .db
            .one(
                "SELECT MAX(n) FROM closes WHERE book = ?1",
                values![popup.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read closes"))?;
        Ok(newest.unwrap_or(0))
    }
}
