//! Bodies of the read routes, as JSON.
//!
//! ```text
//! snapshot  {"asof":{…},"rows":{key: value, …}}           GET …/summary; the stream's: feed_v1
//! ```
//!
//! What always holds: a row is a whole value, so skipping a delta is harmless; money and counts are
//! integers beside their currency; what is unknown is `null` or absent from a list, never 0; every
//! body stands under `asof`.

use std::collections::BTreeMap;

use popwatch_core::access::Disclosure;
use popwatch_core::limits;
use popwatch_core::money::Currency;
use popwatch_core::time::{Minute, WallMs};
use popwatch_core::view::{Amounts, Board, PopupView, RankBy, rank};
use serde::{Serialize, Serializer};

mod boards;
mod confidence;
mod query;
mod reads;
mod ready;
mod rows;
mod signals;
mod slo;
mod status;
#[cfg(test)]
mod tests;
mod vitals;

pub use boards::{BoardLine, BoardRows};
pub use confidence::{Confidence, ConfidencePart, ConfidenceRow};
pub use query::{
    BoardQuery, QueryFault, SeriesMetrics, SeriesQuery, SloFormat, StreamQuery, check_inventory,
};
pub use reads::{
    ChatStep, Inventory, Leaderboard, OrderStep, PopupEntry, Popups, Rigs, Series, SeriesStep,
    inventory, leaderboard, popups, rigs, series,
};
pub use ready::{Failing, Readiness};
pub use rows::{
    CheckoutCounts, CheckoutRow, CohortRow, Confirmed, CountsRow, CurrencyRow, FulfilmentRow,
    LineMoney, Minor, MinuteRow, MoneyRatio, NetMoney, NowRow, OfflineMoney, PopupRow,
    QuantilesRow, Ratio, RefundsRow, RigRow, RiskRow, SkuRow, StepVelocity, TokensRow, UnsentRow,
};
pub use signals::{
    DropRow, FunnelMinuteRow, FunnelRow, LiftRow, SignalsBody, StepRow, StreamRow, drop_row,
    funnel_row, signals, stream_row,
};
pub use slo::{BudgetRow, PageRow, RevisedRow, RigSloRow, SignalRow, SloRow, Slos, slo_row, slos};
pub use status::{
    Amount, DiskStatus, EdgeStatus, GapStatus, GapValue, LossStatus, Peer, Replicated, UnsentStatus,
};
pub use vitals::{Clock, Disk, Network, Policy, Power, Quarantine, Sync, Temperature, Vitals};

/// How complete the rest of a body is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asof {
    /// Wall clock of the server, ms since 1970.
    pub server_ms: i64,
    /// Corrected time up to which all rigs in touch sent all; `null` while one never said.
    pub watermark_ms: Option<i64>,
    /// Records received, current epochs.
    pub have: u64,
    /// Records known to exist, current epochs.
    pub known: u64,
    /// What the ledger does not hold yet.
    pub unsent: Unsent,
    /// Rigs out of touch.
    pub silent: Vec<Silent>,
    /// How firm the money is.
    pub stage: Vec<Stage>,
}

impl Asof {
    /// Without the popup's sums for whoever may not see them.
    #[must_use]
    pub fn told(mut self, disclosure: &Disclosure) -> Self {
        if *disclosure != Disclosure::Whole {
            self.stage.clear();
            self.unsent.money.clear();
        }
        self
    }
}

/// What rigs say the ledger does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsent {
    /// Records of the rigs that told.
    pub records: u64,
    /// Captured minus refunded among them.
    pub money: Vec<Minor>,
    /// Rigs whose backlog is unknown.
    pub unknown: Vec<String>,
}

/// A rig out of touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// The rig.
    pub rig: String,
    /// When it was last heard, ms since 1970.
    pub since_ms: i64,
    /// Its backlog then; `null` when it never told.
    pub records: Option<u64>,
}

/// How firm one currency's net is, minor units; `null` where not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The currency.
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    /// Durable on a rig and seen here.
    pub durable: i128,
    /// Of that held by the ledger.
    pub replicated: Option<i128>,
    /// Of that matched to provider and books.
    pub reconciled: Option<i128>,
}

/// A value of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Row {
    /// `popup`.
    Popup(PopupRow),
    /// `now`.
    Now(Box<NowRow>),
    /// `min/<minute>`.
    Minute(MinuteRow),
    /// `rig/<id>`.
    Rig(Box<RigRow>),
    /// `sku/<sku>`.
    Sku(SkuRow),
    /// `board/<name>`.
    Board(BoardRows),
    /// `slo/<name>`.
    Slo(Box<SloRow>),
    /// `funnel`.
    Funnel(Box<FunnelRow>),
    /// `chat/<stream>`.
    Chat(StreamRow),
    /// `drop/<drop>`.
    Drop(Box<DropRow>),
    /// `edge`: only on the rig's own page.
    Edge(Box<EdgeStatus>),
}

/// Rows by key.
pub type Rows = BTreeMap<String, Row>;

/// The whole first screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// How complete it is.
    pub asof: Asof,
    /// All rows.
    pub rows: Rows,
}

/// The first screen of one popup.
#[must_use]
pub fn snapshot(view: &PopupView) -> Snapshot {
    let mut all = Rows::new();
    all.insert("popup".into(), Row::Popup(rows::popup(view)));
    all.insert("now".into(), Row::Now(Box::new(rows::now(view))));
    for point in &view.minutes {
        let key = format!("min/{}", point.minute);
        all.insert(key, Row::Minute(rows::minute(point)));
    }
    for rig in &view.rigs {
        let key = format!("rig/{}", rig.rig);
        all.insert(key, Row::Rig(Box::new(rows::rig(rig))));
    }
    for stock in view.stock.iter().take(limits::SUMMARY_SKUS_MAX) {
        let key = format!("sku/{}", stock.sku);
        all.insert(key, Row::Sku(rows::sku(stock)));
    }
    for board in Board::ALL {
        let key = format!("board/{}", board.name());
        all.insert(key, Row::Board(summary_board(view, board)));
    }
    promised_and_signalled(view, &mut all);
    Snapshot {
        asof: asof(view),
        rows: all,
    }
}

/// Promises with an outcome, the funnel once somebody entered it, streams, drops.
fn promised_and_signalled(view: &PopupView, all: &mut Rows) {
    for slo in view.slos.iter().filter(|slo| slo.so_far.n > 0) {
        let row = slo_row(slo);
        all.insert(format!("slo/{}", row.slo), Row::Slo(Box::new(row)));
    }
    let signals = &view.signals;
    let mut entered = signals
        .funnel
        .with_chat
        .iter()
        .chain(&signals.funnel.without_chat);
    if entered.any(|step| step.n > 0) {
        let row = Box::new(funnel_row(&signals.funnel));
        all.insert("funnel".into(), Row::Funnel(row));
    }
    for stream in &signals.streams {
        let row = stream_row(stream);
        all.insert(format!("chat/{}", row.stream), Row::Chat(row));
    }
    for drop in &signals.drops {
        let row = drop_row(drop);
        all.insert(format!("drop/{}", row.drop), Row::Drop(Box::new(row)));
    }
}

/// The first ranks of each currency, by net. Currencies are never ranked against each other.
fn summary_board(view: &PopupView, board: Board) -> BoardRows {
    let currencies = view.popup.currencies.iter();
    let lines = currencies.flat_map(|currency| {
        let held = view.boards.of(board);
        let ranked = rank(held, RankBy::Net, *currency, limits::SUMMARY_BOARD_ROWS);
        ranked
            .into_iter()
            .map(|ranked| boards::board_line(board, ranked))
    });
    BoardRows {
        rows: lines.collect(),
        coop: view.popup.coop,
    }
}

/// The completeness of a view.
#[must_use]
pub fn asof(view: &PopupView) -> Asof {
    let asof = &view.asof;
    let silent = asof.silent.iter().map(|silent| Silent {
        rig: silent.rig.clone(),
        since_ms: silent.since_ms,
        records: silent.records,
    });
    let stage = asof.stage.iter().map(|stage| Stage {
        currency: stage.currency,
        durable: stage.durable,
        replicated: stage.replicated,
        reconciled: stage.reconciled,
    });
    Asof {
        server_ms: asof.server_ms,
        watermark_ms: asof.watermark.map(|moment| moment.0),
        have: asof.have,
        known: asof.known,
        unsent: Unsent {
            records: asof.unsent.records,
            money: minors(&asof.unsent.money),
            unknown: asof.unsent.unknown.clone(),
        },
        silent: silent.collect(),
        stage: stage.collect(),
    }
}

/// A weak `ETag`: `state` is `Region::etag`, `route` the path with its query, which the state does
/// not cover. `asof.server_ms` alone never changes it.
#[must_use]
pub fn etag(state: [u8; 16], route: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&state);
    hasher.update(route.as_bytes());
    let hex = hasher.finalize().to_hex();
    format!("W/\"{}\"", &hex[..32])
}

fn minors(amounts: &Amounts<i128>) -> Vec<Minor> {
    let minor = |(currency, minor): &(Currency, i128)| Minor {
        currency: *currency,
        minor: *minor,
    };
    amounts.iter().map(minor).collect()
}

fn start_ms(minute: u32) -> i64 {
    Minute(minute).start().0
}

fn minute_of(ms: i64) -> u32 {
    Minute::of(WallMs(ms)).0
}

fn code<S: Serializer>(currency: &Currency, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(currency.code())
}

fn codes<S: Serializer>(currencies: &[Currency], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(currencies.iter().map(Currency::code))
}
