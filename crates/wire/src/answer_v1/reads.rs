//! Bodies of the reads beside the summary.

use popwatch_core::access::Disclosure;
use popwatch_core::money::Currency;
use popwatch_core::region::PopupLine;
use popwatch_core::view::{self, Board, PopupView, rank};
use serde::Serialize;

use super::boards::{self, BoardLine};
use super::rows::{self, CheckoutCounts, NetMoney, RigRow, SkuRow};
use super::{Asof, BoardQuery, SeriesQuery, asof, codes, minute_of, start_ms};

/// `/series`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Series {
    /// How complete it is.
    pub asof: Asof,
    /// Minutes per step; more than were asked for where the popup is over and its minutes are merged.
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
    /// Money, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Vec<NetMoney>>,
    /// Orders first paid, with the money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversions: Option<i128>,
    /// Checkouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<CheckoutCounts>,
    /// Orders on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders: Option<OrderStep>,
    /// Chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatStep>,
}

/// Orders of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderStep {
    /// Handed over or shipped.
    pub out: i128,
    /// Wholly refunded before that.
    pub gone: i128,
    /// Refunded for the first time.
    pub refunded: i128,
}

/// Chat of one step, all streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatStep {
    /// Messages.
    pub messages: i128,
    /// Of them with a word of the lexicon.
    pub covered: i128,
    /// Of those negative.
    pub negative: i128,
    /// Of those positive.
    pub positive: i128,
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
    let shown = query.metrics;
    // What was merged once cannot be taken apart.
    let settled = view.settled.map_or(1, |settled| settled.step_min);
    let points = view::series(view, from, to, query.step);
    let step = |point: &view::SeriesPoint| SeriesStep {
        minute: point.minute,
        start_ms: start_ms(point.minute),
        complete: point.complete,
        money: shown.revenue.then(|| rows::net_money(&point.money)),
        conversions: shown
            .revenue
            .then(|| point.money.iter().map(|(_, sums)| sums.conversions).sum()),
        checkout: shown
            .checkouts
            .then(|| rows::checkout_counts(&point.checkout)),
        orders: shown.orders.then_some(OrderStep {
            out: point.orders.out,
            gone: point.orders.gone,
            refunded: point.orders.refunded,
        }),
        chat: shown.chat.then_some(ChatStep {
            messages: point.streams.messages,
            covered: point.streams.covered,
            negative: point.streams.negative,
            positive: point.streams.positive,
        }),
    };
    Series {
        asof: asof(view),
        step: settled.max(query.step),
        points: points.iter().map(step).collect(),
    }
}

/// The first ranks, of one currency or of each.
#[must_use]
pub fn leaderboard(
    view: &PopupView,
    board: Board,
    query: BoardQuery,
    disclosure: &Disclosure,
) -> Leaderboard {
    let currencies = view.popup.currencies.iter();
    let wanted = currencies.filter(|currency| query.currency.is_none_or(|only| only == **currency));
    let lines = wanted.flat_map(|currency| {
        let ranked = rank(view.boards.of(board), query.by, *currency, query.k);
        ranked
            .into_iter()
            .map(|ranked| boards::board_line(board, ranked))
    });
    let mut rows: Vec<_> = lines.collect();
    boards::withhold(board, &mut rows, disclosure, view.popup.coop);
    Leaderboard {
        asof: asof(view).told(disclosure),
        kind: board.name(),
        by: query.by.name(),
        rows,
    }
}

/// All SKUs, the most at risk first.
#[must_use]
pub fn inventory(view: &PopupView, disclosure: &Disclosure) -> Inventory {
    let mut rows: Vec<_> = view.stock.iter().map(rows::sku).collect();
    if *disclosure != Disclosure::Whole {
        rows.iter_mut().for_each(|row| row.money.clear());
    }
    Inventory {
        asof: asof(view).told(disclosure),
        rows,
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
