//! Sums of what a batch posts: balances and drawers, written once at its end, and the proof of L6.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::invariant;
use popwatch_core::ledger::{Chart, Commodity, Leg};

use super::super::db::{Db, values};
use super::super::tables::BALANCES;
use super::super::{BooksFault, groups};
use super::Poster;

impl Poster<'_> {
    /// Adds (or with -1 takes back) what a fact puts into drawers.
    pub(super) fn fill_drawer(&mut self, book: &str, legs: &[Leg], occurred_ms: i64, sign: i128) {
        if !self.of_facts {
            return;
        }
        for leg in legs.iter().filter(|leg| leg.account.of == Chart::CashTill) {
            let drawer = (
                book.to_string(),
                leg.account.to_string(),
                leg.commodity.to_string(),
            );
            let sum = self.drawers.entry((drawer, occurred_ms)).or_default();
            *sum += i128::from(leg.amount) * sign;
        }
    }

    pub(super) fn write_drawers(&self) -> Result<(), BooksFault> {
        for (((book, account, commodity), occurred_ms), amount) in &self.drawers {
            let amount = i64::try_from(*amount).map_err(|_| BooksFault::Bound("units"))?;
            self.db
                .run(
                    "INSERT INTO drawers (book, account, commodity, occurred_ms, amount)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (book, account, commodity, occurred_ms) DO UPDATE SET
                       amount = drawers.amount + excluded.amount",
                    values![book, account, commodity, *occurred_ms, amount],
                )
                .map_err(BooksFault::sql("write a drawer"))?;
        }
        Ok(())
    }

    /// Adds (or with -1 takes back) legs to the sums of this batch.
    pub(super) fn sum(&mut self, book: &str, legs: &[Leg], sign: i128) {
        for leg in legs {
            let key = (
                book.to_string(),
                leg.commodity.to_string(),
                leg.account.to_string(),
            );
            let sums = self.sums.entry(key).or_default();
            groups::stir(&mut self.marks, book, &leg.account, &leg.commodity);
            let amount = i128::from(leg.amount.unsigned_abs()) * sign;
            match leg.amount > 0 {
                true => sums.0 += amount,
                false => sums.1 += amount,
            }
        }
    }

    pub(super) fn write_sums(&self) -> Result<(), BooksFault> {
        for ((book, commodity, account), (debit, credit)) in &self.sums {
            if (*debit, *credit) == (0, 0) {
                continue;
            }
            let fits = |sum: i128| i64::try_from(sum).map_err(|_| BooksFault::Bound("units"));
            let (debit, credit) = (fits(*debit)?, fits(*credit)?);
            self.db
                .put(&BALANCES, values![book, commodity, account, debit, credit])
                .map_err(BooksFault::sql("write balances"))?;
        }
        Ok(())
    }

    /// L6 over every book and commodity this batch touched, as the database has them now.
    pub(super) fn prove(&self) -> Result<(), BooksFault> {
        let touched: BTreeSet<(&str, &str)> = self
            .sums
            .keys()
            .map(|(book, commodity, _)| (book.as_str(), commodity.as_str()))
            .collect();
        for (book, commodity) in touched {
            let rows = balances(self.db, book, commodity)?;
            let legs = rows
                .iter()
                .flat_map(|(_, debit, credit)| [(commodity, *debit), (commodity, -credit)]);
            invariant::books_balance(legs).map_err(BooksFault::Law)?;
            if !matches!(Commodity::parse(commodity), Some(Commodity::Money(_))) {
                continue;
            }
            let suspense: i64 = rows
                .iter()
                .filter(|(account, _, _)| account.starts_with("3900:"))
                .map(|(_, debit, credit)| credit - debit)
                .sum();
            let open: i64 = self
                .db
                .one(
                    "SELECT CAST(COALESCE(SUM(suspense), 0) AS BIGINT) FROM breaks
                     WHERE book = ?1 AND commodity = ?2 AND suspense <> 0 AND state = 'open'",
                    values![book, commodity],
                    |row| row.get(0),
                )
                .map_err(BooksFault::sql("sum open breaks"))?;
            let one = |amount| BTreeMap::from([(commodity, amount)]);
            invariant::suspense_explained(&one(suspense), &one(open)).map_err(BooksFault::Law)?;
        }
        Ok(())
    }
}

/// The accounts of one book and commodity: account, debit, credit.
fn balances(db: &Db, book: &str, commodity: &str) -> Result<Vec<(String, i64, i64)>, BooksFault> {
    let read = || {
        db.rows(
            "SELECT account, debit, credit FROM balances WHERE book = ?1 AND commodity = ?2",
            values![book, commodity],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
    };
    read().map_err(BooksFault::sql("read balances"))
}
