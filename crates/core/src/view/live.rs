//! The running state of one popup: every cell that counts, added up.
//!
//! Always holds: [`Live`] after any additions and removals equals the `Live` made afresh from the
//! cells that remain (with the same [`Names`]), so a reader cannot tell a repaired, replayed or
//! reordered delivery from a smooth one (L3). Sums are 128 bits wide: nothing a rig can send
//! overflows them.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use super::durations::Durations;
use super::exports::{Labels, RigTotals};
use super::sums::{
    BoardSums, CheckoutSums, CountSums, MoneySums, OpenSums, Shift, StockSums, touch, touch_named,
};
use super::tokens::Tokens;
use crate::cell::{Cell, HistKind, MoneyRow, SkuRow};
use crate::limits;
use crate::money::Currency;

/// Which names have a row of their own; the others share the row `other`, whose name is empty.
/// A name once taken stays, so a row that was named stays named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    skus: BTreeSet<String>,
    creators: BTreeSet<String>,
    currencies: BTreeSet<Currency>,
    labels: Labels,
}

impl Names {
    fn sku<'a>(&mut self, name: &'a str) -> &'a str {
        admitted(&mut self.skus, name, limits::REGION_SKUS_MAX)
    }

    fn creator<'a>(&mut self, name: &'a str) -> &'a str {
        admitted(&mut self.creators, name, limits::REGION_CREATORS_MAX)
    }

    fn currency(&mut self, code: &str) -> Option<Currency> {
        let currency = Currency::new(code)?;
        let fits = self.currencies.len() < limits::REGION_CURRENCIES_MAX;
        if !self.currencies.contains(&currency) {
            if !fits {
                return None;
            }
            self.currencies.insert(currency);
        }
        Some(currency)
    }

    /// Names that are exported as labels.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(crate) fn gauges(&self) -> [(&'static str, usize, usize); 3] {
        [
            ("skus of a popup", self.skus.len(), limits::REGION_SKUS_MAX),
            (
                "creators of a popup",
                self.creators.len(),
                limits::REGION_CREATORS_MAX,
            ),
            (
                "currencies of a popup",
                self.currencies.len(),
                limits::REGION_CURRENCIES_MAX,
            ),
        ]
    }
}

/// The name, or that of the row `other`.
pub(super) fn admitted<'a>(names: &mut BTreeSet<String>, name: &'a str, max: usize) -> &'a str {
    if name.is_empty() || names.contains(name) {
        return name;
    }
    if names.len() >= max {
        return "";
    }
    names.insert(String::from(name));
    name
}

/// One minute of one popup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MinuteSums {
    /// Money by currency.
    pub(crate) money: BTreeMap<Currency, MoneySums>,
    /// Checkouts.
    pub(crate) checkout: CheckoutSums,
    /// Durations of checkouts with the provider reachable.
    pub(crate) online: Durations,
}

/// A row of a leaderboard with the minutes that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tracked {
    /// The sums.
    pub(crate) total: BoardSums,
    /// What each minute added.
    pub(crate) minutes: BTreeMap<u32, BoardSums>,
}

impl Tracked {
    fn shift(&mut self, by: Shift, minute: u32, sums: &BoardSums) {
        self.total.shift(by, sums);
        touch(&mut self.minutes, minute, |held| held.shift(by, sums));
    }
}

/// Rows of one leaderboard: id, then currency. Units that no currency owns stand under `None`.
pub(crate) type Board = BTreeMap<String, BTreeMap<Option<Currency>, Tracked>>;

/// One SKU with the minutes that moved it and its counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    /// Movements.
    pub(crate) total: StockSums,
    /// What each minute changed in the expected stock.
    pub(crate) minutes: BTreeMap<u32, i128>,
    /// Counts by (ms, rig, epoch, seq): the last one is in force.
    pub(crate) counts: BTreeMap<(i64, String, u32, u64), Counted>,
}

/// One shelf count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Units counted.
    pub(crate) qty: i64,
    /// The minute of its cell.
    pub(crate) minute: u32,
    /// Net units its rig sold later in that minute.
    pub(crate) sold_after: i64,
}

/// Every counting cell of one popup, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    pub(crate) names: Names,
    pub(crate) money: BTreeMap<Currency, MoneySums>,
    pub(crate) minutes: BTreeMap<u32, MinuteSums>,
    pub(crate) checkout: CheckoutSums,
    pub(crate) online: Durations,
    pub(crate) open: BTreeMap<(String, u32), BTreeMap<u32, OpenSums>>,
    pub(crate) shelves: BTreeMap<String, Shelf>,
    pub(crate) creators: Board,
    pub(crate) products: Board,
    pub(crate) rigs: Board,
    pub(crate) tokens: Tokens,
    pub(crate) counts: CountSums,
    pub(crate) exports: BTreeMap<String, RigTotals>,
}

impl Live {
    /// An empty state that gives rows to the names already known.
    #[must_use]
    pub fn with_names(names: Names) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// The names that have rows.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Adds a cell, or takes away one that was added.
    pub fn shift(&mut self, by: Shift, cell: &Cell) {
        let labels = &mut self.names.labels;
        touch_named(&mut self.exports, &cell.rig, |totals| {
            totals.shift(by, cell, labels);
        });
        for row in &cell.money {
            self.shift_money(by, cell, row);
        }
        let mut units = 0;
        for row in &cell.skus {
            self.shift_sku(by, cell, row);
            units += i128::from(row.sold) - i128::from(row.returned);
        }
        let sold = BoardSums {
            units,
            ..BoardSums::default()
        };
        shift_board(&mut self.rigs, &cell.rig, None, by, cell.minute, &sold);
        self.shift_creators(by, cell);
        self.shift_checkouts(by, cell);
        self.tokens.shift(by, cell.tokens.as_ref());
        if let Some(counts) = &cell.counts {
            let sums = CountSums {
                losses: counts.losses.into(),
                unmatched: counts.unmatched.into(),
                duplicates: counts.duplicates.into(),
                other: counts.other.into(),
                refunds_unknown: counts.refunds_unknown.into(),
            };
            self.counts.shift(by, &sums);
        }
    }

    fn shift_money(&mut self, by: Shift, cell: &Cell, row: &MoneyRow) {
        let Some(currency) = self.names.currency(&row.currency) else {
            self.counts.other += by.of(1);
            return;
        };
        let till = row.origin == 0;
        let sums = if till {
            MoneySums {
                gross: row.gross.into(),
                refund: row.refund.into(),
                tip: row.tip.into(),
                tax: row.tax.into(),
                fee: row.fee.into(),
                captures: row.captures.into(),
                refunds: row.refunds.into(),
                conversions: row.conversions.into(),
                ..MoneySums::default()
            }
        } else {
            MoneySums {
                confirmed_gross: row.gross.into(),
                confirmed_refund: row.refund.into(),
                ..MoneySums::default()
            }
        };
        touch(&mut self.money, currency, |held| held.shift(by, &sums));
        touch(&mut self.minutes, cell.minute, |minute| {
            touch(&mut minute.money, currency, |held| held.shift(by, &sums));
        });
        let ranked = BoardSums {
            gross: sums.gross,
            refund: sums.refund,
            units: 0,
            orders: sums.conversions,
        };
        let key = Some(currency);
        shift_board(&mut self.rigs, &cell.rig, key, by, cell.minute, &ranked);
    }

    fn shift_sku(&mut self, by: Shift, cell: &Cell, row: &SkuRow) {
        let name = self.names.sku(&row.sku);
        let stocked =
            row.received != 0 || row.allocated != 0 || row.moved_in != 0 || row.count.is_some();
        let sums = StockSums {
            sold: row.sold.into(),
            returned: row.returned.into(),
            received: row.received.into(),
            adjusted: row.adjusted.into(),
            moved_in: row.moved_in.into(),
            moved_out: row.moved_out.into(),
            evidence: i128::from(stocked),
        };
        touch_named(&mut self.shelves, name, |shelf| {
            shelf.total.shift(by, &sums);
            touch(&mut shelf.minutes, cell.minute, |held| {
                *held += by.of(sums.expected());
            });
            if let Some(count) = &row.count {
                let key = (count.ms, cell.rig.clone(), cell.epoch, count.seq);
                match by {
                    Shift::Add => {
                        let counted = Counted {
                            qty: count.qty,
                            minute: cell.minute,
                            sold_after: count.sold_after_in_minute,
                        };
                        shelf.counts.insert(key, counted);
                    }
                    Shift::Take => {
                        shelf.counts.remove(&key);
                    }
                }
            }
        });
        let sold = BoardSums {
            units: sums.sold - sums.returned,
            ..BoardSums::default()
        };
        shift_board(&mut self.products, name, None, by, cell.minute, &sold);
        for money in &row.money {
            let Some(currency) = self.names.currency(&money.currency) else {
                continue;
            };
            let ranked = BoardSums {
                gross: money.gross.into(),
                refund: money.refund.into(),
                ..BoardSums::default()
            };
            let key = Some(currency);
            shift_board(&mut self.products, name, key, by, cell.minute, &ranked);
        }
    }

    fn shift_creators(&mut self, by: Shift, cell: &Cell) {
        for row in &cell.creators {
            let Some(currency) = self.names.currency(&row.currency) else {
                continue;
            };
            let name = self.names.creator(&row.creator);
            let ranked = BoardSums {
                gross: row.gross.into(),
                refund: row.refund.into(),
                units: row.units.into(),
                orders: row.orders.into(),
            };
            let key = Some(currency);
            shift_board(&mut self.creators, name, key, by, cell.minute, &ranked);
        }
    }

    fn shift_checkouts(&mut self, by: Shift, cell: &Cell) {
        if let Some(checkout) = &cell.checkout {
            let sums = CheckoutSums {
                started: checkout.started.into(),
                completed: checkout.ok.into(),
                abandoned: i128::from(checkout.fault) + i128::from(checkout.left),
            };
            self.checkout.shift(by, &sums);
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.checkout.shift(by, &sums);
            });
            touch(&mut self.open, (cell.rig.clone(), cell.epoch), |starts| {
                touch(starts, cell.minute, |held| {
                    held.started += by.of(checkout.started)
                });
                for row in &checkout.by_start {
                    touch(starts, row.minute, |held| held.closed += by.of(row.closed));
                }
            });
        }
        for row in &cell.hists {
            if row.kind != HistKind::CheckoutOnline as i32 {
                continue;
            }
            self.online.shift(by, row);
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.online.shift(by, row);
            });
        }
    }
}

fn shift_board(
    board: &mut Board,
    id: &str,
    currency: Option<Currency>,
    by: Shift,
    minute: u32,
    sums: &BoardSums,
) {
    if *sums == BoardSums::default() {
        return;
    }
    touch_named(board, id, |rows| {
        touch(rows, currency, |row| row.shift(by, minute, sums));
    });
}
