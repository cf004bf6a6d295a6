//! Stock: what should be on the shelf, what was counted, and how far apart the two are.
#![deny(clippy::float_arithmetic)]

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::completeness::Standing;
use super::live::{Live, Shelf};
use super::sums::{BoardSums, StockSums};
use super::{Amounts, ten_thousandths};

/// One SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// The SKU, byte for byte; empty is the row of all SKUs beyond the bound.
    pub sku: String,
    /// Movements, units.
    pub moved: StockSums,
    /// Units that should be there; `None` where nobody keeps stock of it.
    pub expected: Option<i128>,
    /// Units that are there at least: what silent rigs may still sell by themselves is taken off.
    /// `None` where nobody keeps stock of it, or where a silent rig's rights were never set.
    pub expected_low: Option<i128>,
    /// The last shelf count.
    pub count: Option<CountView>,
    /// More was sold than was there.
    pub oversold: bool,
    /// Line amounts by currency.
    pub money: Amounts<BoardSums>,
}

/// A shelf count beside what should have been there when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountView {
    /// Units counted.
    pub counted: i64,
    /// Counted minus expected at the moment of the count.
    pub skew: i128,
    /// How far the skew is from what was expected, ten-thousandths of that (at least of 1).
    pub skew_ratio: i64,
    /// Units that other rigs sold in the minute of the count, before it or after: the skew is off by
    /// that much at most.
    pub plus_minus: i128,
    /// When, corrected, ms since 1970.
    pub ms: i64,
}

/// All SKUs, the most at risk first: largest skew, then least expected, then those without stock
/// by units sold; ties by the bytes of the SKU.
pub(crate) fn rows(live: &Live, rigs: &[Standing<'_>]) -> Vec<StockRow> {
    let silent: Vec<&str> = rigs
        .iter()
        .filter(|rig| rig.silent)
        .map(|rig| rig.rig)
        .collect();
    let mut rows: Vec<_> = live
        .shelves
        .iter()
        .map(|(sku, shelf)| row(live, &silent, sku, shelf))
        .collect();
    rows.sort_by_cached_key(|row| {
        let skew = row.count.map_or(0, |count| count.skew.unsigned_abs());
        let expected = row.expected.unwrap_or(i128::MAX);
        (
            Reverse(skew),
            expected,
            Reverse(row.moved.sold),
            row.sku.clone(),
        )
    });
    rows
}

fn row(live: &Live, silent: &[&str], sku: &str, shelf: &Shelf) -> StockRow {
    let stocked = shelf.total.evidence > 0 && !sku.is_empty();
    let expected = stocked.then(|| shelf.total.expected());
    let money = live.products.get(sku).into_iter().flatten();
    let money = money.filter_map(|(currency, held)| Some(((*currency)?, held.total)));
    StockRow {
        sku: String::from(sku),
        moved: shelf.total,
        expected,
        expected_low: expected.and_then(|units| Some(units - unheard(shelf, silent)?)),
        count: if stocked { last_count(shelf) } else { None },
        oversold: expected.is_some_and(|units| units < 0),
        money: money.collect(),
    }
}

/// What silent rigs may have sold unheard: their rights less what they are known to have sold.
/// `None` when one of them never had rights: then there is no bound.
fn unheard(shelf: &Shelf, silent: &[&str]) -> Option<i128> {
    silent.iter().try_fold(0, |sum, rig| {
        let given = shelf.rights.get(*rig)?;
        let sold = shelf.sold.get(*rig).map_or(0, |sales| sales.total);
        Some(sum + (given - sold).max(0))
    })
}

/// The count in force, against the stock expected when it was taken: all movements up to and with
/// its minute, less what its rig sold in the rest of that minute.
fn last_count(shelf: &Shelf) -> Option<CountView> {
    let ((ms, rig, ..), count) = shelf.counts.last_key_value()?;
    let through = shelf.minutes.range(..=count.minute);
    let expected = through.map(|(_, units)| units).sum::<i128>() + i128::from(count.sold_after);
    let others = shelf.sold.iter().filter(|(other, _)| *other != rig);
    let in_minute = others.filter_map(|(_, sales)| sales.minutes.get(&count.minute));
    let skew = i128::from(count.qty) - expected;
    Some(CountView {
        counted: count.qty,
        skew,
        skew_ratio: ten_thousandths(skew.abs(), expected.max(1)),
        plus_minus: in_minute.map(|units| units.abs()).sum(),
        ms: *ms,
    })
}
