//! Sums of what a batch posts: balances and drawers, written once at its end, and the proof of L6.

use std::collections::BTreeMap;

use popwatch_core::invariant;
use popwatch_core::ledger::{Chart, Commodity, Leg};

use super::super::db::values;
use super::super::tables::BALANCES;
use super::super::{BooksFault, groups};
use super::Poster;

/// What accounts of suspense begin with.
const SUSPENSE: &str = "3900:";

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
    /// Proves L6 of what this batch changed: it balances, and what came to stand in suspense is what
    /// came to stand in open breaks. As nothing else writes either, both hold of the whole books; so
    /// the cost of a batch is that of what it touches.
    pub(super) fn prove(&self) -> Result<(), BooksFault> {
        let mut off: BTreeMap<(&str, &str), i128> = BTreeMap::new();
        let mut suspense = self.db.take_suspended();
        for amount in suspense.values_mut() {
            *amount = -*amount;
        }
        for ((book, commodity, account), (debit, credit)) in &self.sums {
            *off.entry((book, commodity)).or_default() += debit - credit;
            if account.starts_with(SUSPENSE) && is_money(commodity) {
                let of = (book.clone(), commodity.clone());
                *suspense.entry(of).or_default() += credit - debit;
            }
        }
        let off = off.into_iter();
        invariant::books_balance_wide(off).map_err(BooksFault::Law)?;
        let unexplained = suspense.iter();
        invariant::books_balance_wide(unexplained.map(|(of, amount)| (of, *amount)))
            .map_err(|fault| BooksFault::Law(format!("suspense and breaks: {fault}")))
    }
}

fn is_money(commodity: &str) -> bool {
    matches!(Commodity::parse(commodity), Some(Commodity::Money(_)))
}
