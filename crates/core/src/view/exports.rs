//! Totals of one rig in one popup for monitoring systems: what only rises as long as cells do.
//!
//! Always holds: totals are sums over counting cells, so a repeated, reordered or repaired delivery
//! leaves them as they were; names that become labels are bounded, and one once exported stays.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use super::live::admitted;
use super::sums::{BoardSums, MoneySums, Shift, touch};
use crate::cell::{Cell, HistRow};
use crate::limits;
use crate::money::Currency;

/// Outcomes of checkouts, as [`RigTotals::checkouts`] counts them.
pub const CHECKOUT_OUTCOMES: [&str; 5] = ["started", "completed", "fault", "left", "recovered"];
/// Outcomes of redemptions, as [`RigTotals::redemptions`] counts them.
pub const REDEMPTION_OUTCOMES: [&str; 5] =
    ["redeemed", "duplicate", "expired", "voided", "provisional"];
/// Why payments failed, as [`RigTotals::payment_failures`] counts them.
pub const PAYMENT_FAILURES: [&str; 2] = ["technical", "refused"];
/// Polarities of chat, as [`RigTotals::chat`] counts them.
pub const POLARITIES: [&str; 3] = ["negative", "positive", "neutral"];

/// Names that are exported as labels; others share the empty name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    creators: BTreeSet<String>,
    methods: BTreeSet<String>,
    /// SKUs.
    pub skus: BTreeSet<String>,
}

/// What money is told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MoneyKey {
    /// The currency.
    pub currency: Currency,
    /// Reported by the provider, not by the till.
    pub by_provider: bool,
    /// Payment method, empty beyond the bound.
    pub method: String,
    /// Taken while the provider could not be asked.
    pub offline: bool,
}

/// A histogram of durations that can give back what it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistTotals {
    /// Values.
    pub count: i128,
    /// Their sum, µs.
    pub sum_us: i128,
    /// Values too small for a bucket.
    pub zero: i128,
    /// Values beyond the top bucket, in which they are counted too.
    pub over: i128,
    /// Values by bucket of [`crate::sketch`].
    pub buckets: BTreeMap<i32, i128>,
}

/// One rig in one popup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RigTotals {
    /// Money as it was reported, by whoever: gross, refund, conversions, counts.
    pub money: BTreeMap<MoneyKey, MoneySums>,
    /// Checkouts by [`CHECKOUT_OUTCOMES`].
    pub checkouts: [i128; 5],
    /// Payments that failed for good, by [`PAYMENT_FAILURES`].
    pub payment_failures: [i128; 2],
    /// Sales by creator (empty beyond the bound), currency and evidence.
    pub creators: BTreeMap<(String, Currency, u32), BoardSums>,
    /// Tokens issued.
    pub issued: i128,
    /// Redemptions by [`REDEMPTION_OUTCOMES`].
    pub redemptions: [i128; 5],
    /// Orders by the step they reached.
    pub fulfilled: BTreeMap<String, i128>,
    /// Chat messages by [`POLARITIES`].
    pub chat: [i128; 3],
    /// Durations by kind of [`crate::cell::HistKind`].
    pub durations: BTreeMap<i32, HistTotals>,
}

impl HistTotals {
    fn shift(&mut self, by: Shift, row: &HistRow) {
        self.count += by.of(row.count);
        self.sum_us += by.of(row.sum_us);
        self.zero += by.of(row.zero);
        self.over += by.of(row.over);
        for (index, values) in row.index.iter().zip(&row.bucket) {
            touch(&mut self.buckets, *index, |held| *held += by.of(*values));
        }
    }
}

impl RigTotals {
    pub(crate) fn shift(&mut self, by: Shift, cell: &Cell, labels: &mut Labels) {
        for row in &cell.skus {
            admitted(&mut labels.skus, &row.sku, limits::EXPORT_SKUS_MAX);
        }
        self.shift_money(by, cell, labels);
        if let Some(row) = &cell.checkout {
            let outcomes = [row.started, row.ok, row.fault, row.left, row.recovered];
            add(by, &mut self.checkouts, outcomes);
        }
        if let Some(row) = &cell.payments {
            add(by, &mut self.payment_failures, [row.fault, row.refused]);
        }
        if let Some(row) = &cell.tokens {
            self.issued += by.of(row.issued);
            let outcomes = [
                row.redeemed,
                row.duplicate,
                row.expired,
                row.voided,
                row.provisional,
            ];
            add(by, &mut self.redemptions, outcomes);
        }
        for row in &cell.fulfil {
            touch(&mut self.fulfilled, row.step.clone(), |held| {
                *held += by.of(row.orders);
            });
        }
        for row in &cell.streams {
            let named = row.negative.saturating_add(row.positive);
            let neutral = row.messages.saturating_sub(named);
            add(by, &mut self.chat, [row.negative, row.positive, neutral]);
        }
        for row in &cell.hists {
            touch(&mut self.durations, row.kind, |held| held.shift(by, row));
        }
    }

    fn shift_money(&mut self, by: Shift, cell: &Cell, labels: &mut Labels) {
        for row in &cell.money {
            let Some(currency) = Currency::new(&row.currency) else {
                continue;
            };
            let methods = &mut labels.methods;
            let key = MoneyKey {
                currency,
                by_provider: row.origin != 0,
                method: admitted(methods, &row.method, limits::EXPORT_METHODS_MAX).into(),
                offline: row.offline,
            };
            let sums = MoneySums {
                gross: row.gross.into(),
                refund: row.refund.into(),
                captures: row.captures.into(),
                refunds: row.refunds.into(),
                conversions: row.conversions.into(),
                ..MoneySums::default()
            };
            touch(&mut self.money, key, |held| held.shift(by, &sums));
        }
        for row in &cell.creators {
            let Some(currency) = Currency::new(&row.currency) else {
                continue;
            };
            let creators = &mut labels.creators;
            let name = admitted(creators, &row.creator, limits::EXPORT_CREATORS_MAX);
            let sums = BoardSums {
                gross: row.gross.into(),
                refund: row.refund.into(),
                units: row.units.into(),
                orders: row.orders.into(),
            };
            let key = (String::from(name), currency, row.evidence);
            touch(&mut self.creators, key, |held| held.shift(by, &sums));
        }
    }
}

fn add<const N: usize>(by: Shift, held: &mut [i128; N], values: [u64; N]) {
    for (held, value) in held.iter_mut().zip(values) {
        *held += by.of(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CreatorRow, MoneyRow};
    use alloc::format;
    use alloc::vec::Vec;

    fn cell(creators: usize) -> Cell {
        let row = |n| CreatorRow {
            creator: format!("c-{n:03}"),
            currency: String::from("EUR"),
            evidence: 1,
            gross: 10,
            orders: 1,
            ..CreatorRow::default()
        };
        Cell {
            money: alloc::vec![MoneyRow {
                currency: String::from("EUR"),
                method: String::from("card"),
                gross: 7,
                captures: 1,
                ..MoneyRow::default()
            }],
            creators: (0..creators).map(row).collect(),
            hists: alloc::vec![HistRow {
                kind: 1,
                count: 2,
                sum_us: 5,
                index: alloc::vec![4],
                bucket: alloc::vec![2],
                ..HistRow::default()
            }],
            ..Cell::default()
        }
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let (mut totals, mut labels) = (RigTotals::default(), Labels::default());
        totals.shift(Shift::Add, &cell(3), &mut labels);
        assert_eq!(totals.durations[&1].sum_us, 5);
        assert_eq!(totals.money.values().next().unwrap().gross, 7);
        totals.shift(Shift::Take, &cell(3), &mut labels);
        assert_eq!(totals, RigTotals::default());
    }

    #[test]
    fn names_beyond_the_bound_share_one_row_that_keeps_their_money() {
        let (mut totals, mut labels) = (RigTotals::default(), Labels::default());
        let many = limits::EXPORT_CREATORS_MAX + 9;
        totals.shift(Shift::Add, &cell(many), &mut labels);
        assert_eq!(totals.creators.len(), limits::EXPORT_CREATORS_MAX + 1);
        let sums: Vec<_> = totals.creators.values().map(|sums| sums.gross).collect();
        assert_eq!(
            sums.iter().sum::<i128>(),
            10 * i128::try_from(many).unwrap()
        );
        assert_eq!(sums[0], 90, "the row without a name comes first");
    }
}
