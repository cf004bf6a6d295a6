//! Bodies of the reads beside the summary.

use popwatch_core::money::Currency;
use popwatch_core::region::PopupLine;
use popwatch_core::view::{self, Board, PopupView, rank};
use serde::Serialize;

use super::rows::{self, BoardLine, CheckoutCounts, NetMoney, RigRow, SkuRow};
use super::{Asof, BoardQuery, SeriesQuery, asof, codes, minute_of, start_ms};

/// `/series`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Series {
    /// How complete it is.
    pub asof: Asof,
    /// Minutes per step.
    pub step: u32,
    /// Steps in which something happened, ascending.
    pub points: Vec<SeriesStep>,
}

/// One step of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesStep {
    /// Its first minute since 1970.
    pub minute: u32,
    /// Its start, ms since 1970.
    pub start_ms: i64,
    /// Whether the watermark has passed it; if not, it still accumulates.
    pub complete: bool,
    /// Money.
    pub money: Vec<NetMoney>,
    /// Orders first paid.
    pub conversions: i128,
    /// Checkouts.
    pub checkout: CheckoutCounts,
}

/// `/leaderboards/{kind}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaderboard {
    /// How complete it is.
    pub asof: Asof,
    /// `creators`, `products` or `rigs`.
    pub kind: &'static str,
    /// `net`, `gross`, `units` or `orders`.
    pub by: &'static str,
    /// Ranks, currency by currency.
    pub rows: Vec<BoardLine>,
}

/// `/inventory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// How complete it is.
    pub asof: Asof,
    /// All SKUs, the most at risk first.
    pub rows: Vec<SkuRow>,
}

/// `/rigs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rigs {
    /// How complete it is.
    pub asof: Asof,
    /// All rigs.
    pub rigs: Vec<RigRow>,
}

/// `/v1/popups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Popups {
    /// Wall clock of the server, ms since 1970.
    pub server_ms: i64,
    /// The popups known here.
    pub popups: Vec<PopupEntry>,
}

/// One popup of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PopupEntry {
    /// The popup.
    pub id: String,
    /// Start of its window; `null` while unknown.
    pub starts_ms: Option<i64>,
    /// End of its window, exclusive.
    pub ends_ms: Option<i64>,
    /// Rigs that take part.
    pub rigs: Vec<String>,
    /// Currencies expected or seen.
    #[serde(serialize_with = "codes")]
    pub currencies: Vec<Currency>,
}

/// Money and checkouts in steps.
#[must_use]
pub fn series(view: &PopupView, query: SeriesQuery) -> Series {
    let from = query.from_ms.map_or(0, minute_of);
    let to = query.to_ms.map_or(u32::MAX, minute_of);
    let points = view::series(view, from, to, query.step);
    let step = |point: &view::SeriesPoint| SeriesStep {
        minute: point.minute,
        start_ms: start_ms(point.minute),
        complete: point.complete,
        money: rows::net_money(&point.money),
        conversions: point.money.iter().map(|(_, sums)| sums.conversions).sum(),
        checkout: rows::checkout_counts(&point.checkout),
    };
    Series {
        asof: asof(view),
        step: query.step,
        points: points.iter().map(step).collect(),
    }
}

/// The first ranks, of one currency or of each.
#[must_use]
pub fn leaderboard(view: &PopupView, board: Board, query: BoardQuery) -> Leaderboard {
    let currencies = view.popup.currencies.iter();
    let wanted = currencies.filter(|currency| query.currency.is_none_or(|only| only == **currency));
    let lines = wanted.flat_map(|currency| {
        let ranked = rank(view.boards.of(board), query.by, *currency, query.k);
        ranked
            .into_iter()
            .map(|ranked| rows::board_line(board, ranked))
    });
    Leaderboard {
        asof: asof(view),
        kind: board.name(),
        by: query.by.name(),
        rows: lines.collect(),
    }
}

/// All SKUs, the most at risk first.
#[must_use]
pub fn inventory(view: &PopupView) -> Inventory {
    Inventory {
        asof: asof(view),
        rows: view.stock.iter().map(rows::sku).collect(),
    }
}

/// All rigs.
#[must_use]
pub fn rigs(view: &PopupView) -> Rigs {
    Rigs {
        asof: asof(view),
        rigs: view.rigs.iter().map(rows::rig).collect(),
    }
}

/// The popups known here.
#[must_use]
pub fn popups(lines: &[PopupLine], server_ms: i64) -> Popups {
    let entry = |line: &PopupLine| PopupEntry {
        id: line.id.clone(),
        starts_ms: line.starts_ms,
        ends_ms: line.ends_ms,
        rigs: line.rigs.clone(),
        currencies: line.currencies.clone(),
    };
    Popups {
        server_ms,
        popups: lines.iter().map(entry).collect(),
    }
}
