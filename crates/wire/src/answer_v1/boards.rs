//! Leaderboards as rows, and what of them each reader is told.

use std::collections::BTreeMap;

use popwatch_core::access::Disclosure;
use popwatch_core::event::system::CoopTerms;
use popwatch_core::money::Currency;
use popwatch_core::view::{Board, RankedRow};
use serde::Serialize;

use super::code;

/// Row `board/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoardRows {
    /// Ranks, currency by currency.
    pub rows: Vec<BoardLine>,
    /// What members of a co-op are told of it.
    #[serde(skip)]
    pub coop: CoopTerms,
}

impl BoardRows {
    /// The row under this key as a reader is told it.
    pub(crate) fn told(&self, key: &str, disclosure: &Disclosure) -> Self {
        let mut told = self.clone();
        let of = |board: &Board| key.strip_prefix("board/") == Some(board.name());
        let board = Board::ALL.into_iter().find(of).unwrap_or(Board::Rigs);
        withhold(board, &mut told.rows, disclosure, self.coop);
        told
    }
}

/// One rank within one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoardLine {
    /// From 1.
    pub rank: u32,
    /// The creator, SKU or rig.
    pub id: String,
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Captured; `null` where the reader may not see whose amount it is, as the next two.
    pub gross: Option<i128>,
    /// Refunded, positive.
    pub refund: Option<i128>,
    /// Captured minus refunded.
    pub net: Option<i128>,
    /// Units sold minus returned.
    pub units: i128,
    /// Orders; `null` for products, where they are not counted.
    pub orders: Option<i128>,
}

/// Takes the amounts out of ranks that are not to be told, and rounds those of a co-op's members. Ranks
/// and counts stay.
pub(crate) fn withhold(
    board: Board,
    lines: &mut [BoardLine],
    disclosure: &Disclosure,
    coop: CoopTerms,
) {
    if let Disclosure::Coop(_) = disclosure {
        round_for_members(lines, disclosure, coop);
    }
    let is_told = |id: &str| match board {
        Board::Creators => disclosure.has(id),
        Board::Products | Board::Rigs => *disclosure == Disclosure::Whole,
    };
    for line in lines.iter_mut().filter(|line| !is_told(&line.id)) {
        (line.gross, line.refund, line.net) = (None, None, None);
    }
}

/// Members see each other's amounts rounded, and not at all while fewer than the policy asks for have
/// sold in that currency: of two, each would know the other's.
fn round_for_members(lines: &mut [BoardLine], members: &Disclosure, coop: CoopTerms) {
    let mut sellers: BTreeMap<Currency, u64> = BTreeMap::new();
    let sold = |line: &&BoardLine| line.orders.is_some_and(|orders| orders > 0);
    for line in lines
        .iter()
        .filter(|line| members.has(&line.id))
        .filter(sold)
    {
        *sellers.entry(line.currency).or_default() += 1;
    }
    for line in lines {
        let enough = sellers.get(&line.currency) >= Some(&coop.min_contributors);
        let told = |minor: Option<i128>| minor.filter(|_| enough).map(|minor| coop.rounded(minor));
        (line.gross, line.refund) = (told(line.gross), told(line.refund));
        line.net = line
            .gross
            .zip(line.refund)
            .map(|(gross, refund)| gross - refund);
    }
}

pub(super) fn board_line(board: Board, ranked: RankedRow<'_>) -> BoardLine {
    let RankedRow { rank, row } = ranked;
    let orders = match board {
        Board::Creators | Board::Rigs => Some(row.sums.orders),
        Board::Products => None,
    };
    BoardLine {
        rank,
        id: row.id.clone(),
        currency: row.currency,
        gross: Some(row.sums.gross),
        refund: Some(row.sums.refund),
        net: Some(row.sums.net()),
        units: row.sums.units,
        orders,
    }
}
