//! Leaderboards: creators, products, rigs, each within one currency. A rank may retract: a refund
//! takes back what a sale gave.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::live::{self, Live, Tracked};
use super::sums::BoardSums;
use crate::limits;
use crate::money::Currency;

/// Which leaderboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Creators.
    Creators,
    /// Products, by SKU.
    Products,
    /// Rigs.
    Rigs,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Creators, Self::Products, Self::Rigs];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creators => "creators",
            Self::Products => "products",
            Self::Rigs => "rigs",
        }
    }
}

/// What a leaderboard is ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RankBy {
    /// Captured minus refunded.
    #[default]
    Net,
    /// Captured.
    Gross,
    /// Units sold minus returned.
    Units,
    /// Orders.
    Orders,
}

impl RankBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Net, Self::Gross, Self::Units, Self::Orders];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::Gross => "gross",
            Self::Units => "units",
            Self::Orders => "orders",
        }
    }

    fn of(self, sums: &BoardSums) -> i128 {
        match self {
            Self::Net => sums.net(),
            Self::Gross => sums.gross,
            Self::Units => sums.units,
            Self::Orders => sums.orders,
        }
    }
}

/// One id in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRow {
    /// The creator, SKU or rig.
    pub id: String,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its sums; units of a product or rig are those of all currencies.
    pub sums: BoardSums,
    /// The minute its value was reached, by [`RankBy`] in the order of [`RankBy::ALL`].
    pub reached: [u32; 4],
}

/// All rows of all leaderboards, ascending by id and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boards {
    /// Creators; `house` is what nobody else sold.
    pub creators: Vec<BoardRow>,
    /// Products.
    pub products: Vec<BoardRow>,
    /// Rigs.
    pub rigs: Vec<BoardRow>,
}

impl Boards {
    /// The rows of one leaderboard.
    #[must_use]
    pub fn of(&self, board: Board) -> &[BoardRow] {
        match board {
            Board::Creators => &self.creators,
            Board::Products => &self.products,
            Board::Rigs => &self.rigs,
        }
    }
}

/// A row at its rank, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankedRow<'a> {
    /// The rank.
    pub rank: u32,
    /// The row.
    pub row: &'a BoardRow,
}

/// The first `k` (at most [`limits::LEADERBOARD_ROWS_MAX`]) rows of `currency` by value; equal
/// values by the earlier minute in which they were reached, then by the bytes of the id.
#[must_use]
pub fn rank(rows: &[BoardRow], by: RankBy, currency: Currency, k: usize) -> Vec<RankedRow<'_>> {
    let place = RankBy::ALL.iter().position(|other| *other == by);
    let place = place.expect("ALL names each way to rank");
    let mut ranked: Vec<_> = rows.iter().filter(|row| row.currency == currency).collect();
    ranked.sort_by_key(|row| (Reverse(by.of(&row.sums)), row.reached[place], &row.id));
    let k = k.min(limits::LEADERBOARD_ROWS_MAX);
    let numbered = (1..).zip(ranked.into_iter().take(k));
    numbered
        .map(|(rank, row)| RankedRow { rank, row })
        .collect()
}

pub(crate) fn rows(live: &Live) -> Boards {
    Boards {
        creators: board_rows(&live.creators),
        products: board_rows(&live.products),
        rigs: board_rows(&live.rigs),
    }
}

/// A row per id and currency. The row `other` has no id and no rank.
fn board_rows(board: &live::Board) -> Vec<BoardRow> {
    let named = board.iter().filter(|(id, _)| !id.is_empty());
    let per_id = named.flat_map(|(id, rows)| {
        let amounts = rows
            .iter()
            .filter_map(|(currency, held)| Some(((*currency)?, held)));
        amounts.map(move |(currency, held)| row(id, currency, held, rows.get(&None)))
    });
    per_id.collect()
}

fn row(id: &str, currency: Currency, held: &Tracked, shared: Option<&Tracked>) -> BoardRow {
    let mut sums = held.total;
    if let Some(shared) = shared {
        sums.units += shared.total.units;
    }
    let nothing = BTreeMap::new();
    let shared_minutes = shared.map_or(&nothing, |shared| &shared.minutes);
    let reached = RankBy::ALL.map(|by| {
        let own = last_change(&held.minutes, by);
        match by {
            RankBy::Units => own.max(last_change(shared_minutes, by)),
            RankBy::Net | RankBy::Gross | RankBy::Orders => own,
        }
    });
    BoardRow {
        id: String::from(id),
        currency,
        sums,
        reached,
    }
}

/// The last minute that changed the value: from then on it stood.
fn last_change(minutes: &BTreeMap<u32, BoardSums>, by: RankBy) -> u32 {
    let mut newest_first = minutes.iter().rev();
    let found = newest_first.find(|(_, sums)| by.of(sums) != 0);
    found.map_or(0, |(minute, _)| *minute)
}
