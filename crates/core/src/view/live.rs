//! The running state of one popup: every cell that counts, added up.
//!
//! Always holds: [`Live`] after any additions and removals equals the `Live` made afresh from the
//! cells that remain (with the same [`Names`]), so a reader cannot tell a repaired, replayed or
//! reordered delivery from a smooth one (L3). Sums are 128 bits wide: nothing a rig can send
//! overflows them.
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use super::difference::difference;
use super::durations::Durations;
use super::exports::{Labels, RigTotals};
use super::sums::{
    BoardSums, CheckoutSums, CountSums, MoneySums, OpenSums, OrderSums, RiskSums, Shift, StockSums,
    StreamSums, touch, touch_named,
};
use super::tokens::Tokens;
use super::viewers::Viewers;
use crate::cell::{Cell, DropRow, HistKind, MoneyRow, OrderCounts, SkuRow};
use crate::limits;
use crate::money::Currency;
use crate::time::Minute;

/// Which names have a row of their own; the others share the row `other`, whose name is empty.
/// A name once taken stays, so a row that was named stays named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    skus: BTreeSet<String>,
    creators: BTreeSet<String>,
    currencies: BTreeSet<Currency>,
    members: BTreeSet<String>,
    streams: BTreeSet<String>,
    drops: BTreeSet<String>,
    /// Token hashes from here on have no place; never rises.
    pub(super) token_cut: Option<u64>,
    /// The same of viewers' hashes.
    pub(super) viewer_cut: Option<u64>,
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

    /// Where this memory of viewers stops.
    pub(crate) fn viewer_cut(&self) -> Option<u64> {
        self.viewer_cut
    }

    fn member<'a>(&mut self, name: &'a str) -> &'a str {
        admitted(&mut self.members, name, limits::REGION_MEMBERS_MAX)
    }

    fn stream<'a>(&mut self, name: &'a str) -> &'a str {
        admitted(&mut self.streams, name, limits::REGION_STREAMS_MAX)
    }

    fn drop<'a>(&mut self, name: &'a str) -> &'a str {
        admitted(&mut self.drops, name, limits::REGION_DROPS_MAX)
    }

    /// Names that are exported as labels.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(crate) fn gauges(&self) -> [(&'static str, usize, usize); 6] {
        [
            (
                "members of a popup",
                self.members.len(),
                limits::REGION_MEMBERS_MAX,
            ),
            (
                "streams of a popup",
                self.streams.len(),
                limits::REGION_STREAMS_MAX,
            ),
            (
                "drops of a popup",
                self.drops.len(),
                limits::REGION_DROPS_MAX,
            ),
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
    /// Durations by kind, in the order of [`KINDS`].
    pub(crate) durations: [Durations; KINDS.len()],
    /// Units sold minus returned, all SKUs.
    pub(crate) units: i128,
    /// Tokens redeemed.
    pub(crate) redeemed: i128,
    /// Orders.
    pub(crate) orders: OrderSums,
    /// Orders that reached a step, by (member, step).
    pub(crate) fulfil: BTreeMap<(String, String), i128>,
    /// Chat and audience by stream.
    pub(crate) streams: BTreeMap<String, StreamSums>,
}

/// Durations that views keep apart.
pub(crate) const KINDS: [HistKind; 4] = [
    HistKind::CheckoutOnline,
    HistKind::CheckoutOffline,
    HistKind::Payment,
    HistKind::Fulfilment,
];

/// The place of a kind in [`KINDS`].
pub(crate) const fn place_of(kind: HistKind) -> usize {
    match kind {
        HistKind::CheckoutOnline => 0,
        HistKind::CheckoutOffline => 1,
        HistKind::Payment => 2,
        HistKind::Fulfilment => 3,
    }
}

/// One cell of a popup: rig, epoch, minute.
pub(crate) type Place = (String, u32, u32);

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
    /// What each rig sold, by minute.
    pub(crate) sold: BTreeMap<String, RigSales>,
    /// What each rig may sell by itself, given and taken.
    pub(crate) rights: BTreeMap<String, i128>,
}

/// Units of one SKU that one rig sold minus took back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RigSales {
    /// All of them.
    pub(crate) total: i128,
    /// By minute.
    pub(crate) minutes: BTreeMap<u32, i128>,
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
    pub(crate) durations: [Durations; KINDS.len()],
    pub(crate) risk: BTreeMap<Currency, RiskSums>,
    pub(crate) orders: OrderSums,
    pub(crate) waiting: BTreeMap<(String, u32), BTreeMap<u32, OpenSums>>,
    pub(crate) streams: BTreeMap<String, StreamSums>,
    /// Viewers at the end of each cell's minute, by stream.
    pub(crate) watching: BTreeMap<String, BTreeMap<(u32, String, u32), u64>>,
    pub(crate) drops: BTreeMap<String, BTreeMap<Place, DropRow>>,
    pub(crate) viewers: Viewers,
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

    /// Tokens redeemed on more than one rig or life, by the minute of the latest redemption.
    #[must_use]
    pub fn token_conflicts(&self) -> &BTreeMap<u32, i128> {
        self.tokens.conflicts()
    }

    /// Whether two states say the same of one minute's sums.
    #[must_use]
    pub fn same_minute(&self, other: &Self, minute: u32) -> bool {
        self.minutes.get(&minute) == other.minutes.get(&minute)
    }

    /// Takes a cell that was added away and adds a newer version of it.
    pub fn replace(&mut self, mut old: Cell, new: &Cell) {
        let fresh = difference(&mut old, new);
        self.shift(Shift::Take, &old);
        self.shift(Shift::Add, &fresh);
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
        if units != 0 {
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.units += by.of(units);
            });
        }
        self.shift_creators(by, cell);
        self.shift_checkouts(by, cell);
        self.shift_orders(by, cell);
        self.shift_streams(by, cell);
        self.shift_drops(by, cell);
        let starts_ms = Minute(cell.minute).start().0;
        if let Some(tokens) = &cell.tokens {
            let cut = &mut self.names.token_cut;
            self.tokens.shift(by, cut, starts_ms, tokens);
            let redeemed = by.of(tokens.redeemed);
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.redeemed += redeemed
            });
        }
        if let Some(subjects) = &cell.subjects {
            let cut = &mut self.names.viewer_cut;
            self.viewers.shift(by, cut, starts_ms, subjects);
        }
        if let Some(counts) = &cell.counts {
            let sums = CountSums {
                losses: counts.losses.into(),
                unmatched: counts.unmatched.into(),
                duplicates: counts.duplicates.into(),
                other: counts.other().into(),
                other_currencies: counts.other_currencies.into(),
                refunds_unknown: counts.refunds_unknown.into(),
            };
            self.counts.shift(by, &sums);
        }
    }

    fn shift_orders(&mut self, by: Shift, cell: &Cell) {
        let till = cell.money.iter().filter(|row| row.origin == 0);
        let paid: i128 = till.map(|row| i128::from(row.conversions)).sum();
        let nothing = OrderCounts::default();
        let orders = cell.orders.as_ref().unwrap_or(&nothing);
        let sums = OrderSums {
            paid,
            out: orders.out.into(),
            gone: orders.gone.into(),
            refunded: orders.refunded.into(),
        };
        if sums != OrderSums::default() {
            self.orders.shift(by, &sums);
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.orders.shift(by, &sums);
            });
            touch(
                &mut self.waiting,
                (cell.rig.clone(), cell.epoch),
                |paid_in| {
                    touch(paid_in, cell.minute, |held| held.started += by.of(paid));
                    for row in &orders.by_paid {
                        touch(paid_in, row.minute, |held| held.closed += by.of(row.closed));
                    }
                },
            );
        }
        for row in &cell.fulfil {
            let member = self.names.member(&row.member);
            let key = (String::from(member), row.step.clone());
            touch(&mut self.minutes, cell.minute, |minute| {
                touch(&mut minute.fulfil, key, |held| *held += by.of(row.orders));
            });
        }
        for row in &cell.risk {
            if let Some(currency) = self.names.currency(&row.currency) {
                let sums = RiskSums {
                    failed: row.failed.into(),
                    recovered: row.recovered.into(),
                };
                touch(&mut self.risk, currency, |held| held.shift(by, &sums));
            }
        }
    }

    fn shift_streams(&mut self, by: Shift, cell: &Cell) {
        for row in &cell.streams {
            let name = self.names.stream(&row.stream);
            let sums = StreamSums {
                messages: row.messages.into(),
                covered: row.covered.into(),
                negative: row.negative.into(),
                positive: row.positive.into(),
                score: row.score.into(),
                samples: row.samples.into(),
                viewers: row.viewers_sum.into(),
            };
            touch_named(&mut self.streams, name, |held| held.shift(by, &sums));
            touch(&mut self.minutes, cell.minute, |minute| {
                touch_named(&mut minute.streams, name, |held| held.shift(by, &sums));
            });
            if row.samples > 0 && !name.is_empty() {
                let key = (cell.minute, cell.rig.clone(), cell.epoch);
                touch_named(&mut self.watching, name, |held| match by {
                    Shift::Add => drop(held.insert(key, row.viewers_last)),
                    Shift::Take => drop(held.remove(&key)),
                });
            }
        }
    }

    fn shift_drops(&mut self, by: Shift, cell: &Cell) {
        for row in &cell.drops {
            let name = self.names.drop(&row.drop);
            if name.is_empty() {
                self.counts.other += by.of(1);
                continue;
            }
            let key = (cell.rig.clone(), cell.epoch, cell.minute);
            touch_named(&mut self.drops, name, |held| match by {
                Shift::Add => drop(held.insert(key, row.clone())),
                Shift::Take => drop(held.remove(&key)),
            });
        }
    }

    fn shift_money(&mut self, by: Shift, cell: &Cell, row: &MoneyRow) {
        let Some(currency) = self.names.currency(&row.currency) else {
            self.counts.other += by.of(1);
            self.counts.other_currencies += by.of(1);
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
                offline_gross: if row.offline { row.gross.into() } else { 0 },
                offline_captures: if row.offline { row.captures.into() } else { 0 },
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
            allocated: row.allocated.into(),
            evidence: i128::from(stocked),
        };
        touch_named(&mut self.shelves, name, |shelf| {
            shelf.total.shift(by, &sums);
            touch(&mut shelf.minutes, cell.minute, |held| {
                *held += by.of(sums.expected());
            });
            let sold = sums.sold - sums.returned;
            if sold != 0 {
                touch_named(&mut shelf.sold, &cell.rig, |held| {
                    held.total += by.of(sold);
                    touch(&mut held.minutes, cell.minute, |held| *held += by.of(sold));
                });
            }
            for right in &row.rights {
                touch_named(&mut shelf.rights, &right.rig, |held| {
                    *held += by.of(right.qty)
                });
            }
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
                fault: checkout.fault.into(),
                recovered: checkout.recovered.into(),
                unseen: checkout.unseen.into(),
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
            let Ok(kind) = HistKind::try_from(row.kind) else {
                continue;
            };
            let place = place_of(kind);
            self.durations[place].shift(by, row);
            touch(&mut self.minutes, cell.minute, |minute| {
                minute.durations[place].shift(by, row);
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
