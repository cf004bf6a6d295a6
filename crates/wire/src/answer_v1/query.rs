//! Query parameters of the reads. An unknown parameter or value is a fault that names the parameter
//! (PW3135), so that a typing error never answers another question.

use popwatch_core::limits;
use popwatch_core::money::Currency;
use popwatch_core::view::{Board, RankBy};

/// A parameter that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {parameter} {rule}")]
pub struct QueryFault {
    /// Which of the known parameters, or `?` for one that is not known.
    pub parameter: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// `/series?from&to&step&metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesQuery {
    /// First moment, ms since 1970; rounded down to its minute.
    pub from_ms: Option<i64>,
    /// End, exclusive, ms since 1970; rounded down to its minute.
    pub to_ms: Option<i64>,
    /// Minutes per step: 1, 5 or 15.
    pub step: u32,
    /// What each step shows.
    pub metrics: SeriesMetrics,
}

/// What the steps of a series show; all of it unless some is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one word of the query"
)]
pub struct SeriesMetrics {
    /// Money and conversions.
    pub revenue: bool,
    /// Checkouts.
    pub checkouts: bool,
    /// Orders on their way.
    pub orders: bool,
    /// Chat.
    pub chat: bool,
}

impl SeriesMetrics {
    const fn all(shown: bool) -> Self {
        Self {
            revenue: shown,
            checkouts: shown,
            orders: shown,
            chat: shown,
        }
    }

    fn parse(value: &str) -> Result<Self, QueryFault> {
        let mut metrics = Self::all(false);
        for name in value.split(',') {
            match name {
                "revenue" => metrics.revenue = true,
                "checkouts" => metrics.checkouts = true,
                "orders" => metrics.orders = true,
                "chat" => metrics.chat = true,
                _unknown => {
                    return Err(fault(
                        "metrics",
                        "must be of revenue, checkouts, orders, chat",
                    ));
                }
            }
        }
        Ok(metrics)
    }
}

/// `/leaderboards/{kind}?by&currency&k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardQuery {
    /// What it is ranked by.
    pub by: RankBy,
    /// Only this currency; each for itself when absent.
    pub currency: Option<Currency>,
    /// Ranks per currency.
    pub k: usize,
}

const UNKNOWN: QueryFault = QueryFault {
    parameter: "?",
    rule: "is not known to this resource",
};

const fn fault(parameter: &'static str, rule: &'static str) -> QueryFault {
    QueryFault { parameter, rule }
}

impl SeriesQuery {
    /// Reads decoded (name, value) pairs.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryFault> {
        let mut query = Self {
            from_ms: None,
            to_ms: None,
            step: 1,
            metrics: SeriesMetrics::all(true),
        };
        let moment = |name, value: &str| {
            let ms = value.parse().ok().filter(|ms| *ms >= 0);
            ms.ok_or(fault(name, "must be milliseconds since 1970"))
        };
        for (name, value) in pairs {
            match name {
                "from" => query.from_ms = Some(moment("from", value)?),
                "to" => query.to_ms = Some(moment("to", value)?),
                "step" => query.step = step(value)?,
                "metrics" => query.metrics = SeriesMetrics::parse(value)?,
                _unknown => return Err(UNKNOWN),
            }
        }
        if let (Some(from), Some(to)) = (query.from_ms, query.to_ms)
            && from > to
        {
            return Err(fault("from", "must not lie after to"));
        }
        Ok(query)
    }
}

fn step(value: &str) -> Result<u32, QueryFault> {
    let minutes = value.parse().ok();
    let minutes = minutes.filter(|minutes| [1, 5, 15].contains(minutes));
    minutes.ok_or(fault("step", "must be 1, 5 or 15"))
}

impl BoardQuery {
    /// Reads decoded (name, value) pairs.
    pub fn parse<'a>(
        board: Board,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryFault> {
        let mut query = Self {
            by: RankBy::Net,
            currency: None,
            k: limits::SUMMARY_BOARD_ROWS,
        };
        for (name, value) in pairs {
            match name {
                "by" => query.by = by(board, value)?,
                "currency" => query.currency = Some(currency(value)?),
                "k" => query.k = k(value)?,
                _unknown => return Err(UNKNOWN),
            }
        }
        Ok(query)
    }
}

fn by(board: Board, value: &str) -> Result<RankBy, QueryFault> {
    let found = RankBy::ALL.into_iter().find(|by| by.name() == value);
    let found = found.ok_or(fault("by", "must be net, gross, units or orders"))?;
    if (board, found) == (Board::Products, RankBy::Orders) {
        return Err(fault("by", "must be net, gross or units for products"));
    }
    Ok(found)
}

fn currency(value: &str) -> Result<Currency, QueryFault> {
    Currency::new(value).ok_or(fault("currency", "must be an ISO 4217 code"))
}

fn k(value: &str) -> Result<usize, QueryFault> {
    let ranks = value.parse().ok();
    let ranks = ranks.filter(|ranks| (1..=limits::LEADERBOARD_ROWS_MAX).contains(ranks));
    ranks.ok_or(fault("k", "must be from 1 to 100"))
}

/// `/slo?format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SloFormat {
    /// Our rows.
    Rows,
    /// `OpenSLO` documents.
    OpenSlo,
}

impl SloFormat {
    /// Reads decoded (name, value) pairs.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryFault> {
        let mut format = Self::Rows;
        for (name, value) in pairs {
            format = match (name, value) {
                ("format", "json") => Self::Rows,
                ("format", "openslo") => Self::OpenSlo,
                ("format", _) => return Err(fault("format", "must be json or openslo")),
                _unknown => return Err(UNKNOWN),
            };
        }
        Ok(format)
    }
}

/// `/stream?view&since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamQuery<'a> {
    /// Who reads; `operator` when it does not say.
    pub view: &'a str,
    /// The id of the last event that the reader holds, where it cannot send `Last-Event-ID`.
    pub since: Option<&'a str>,
}

impl<'a> StreamQuery<'a> {
    /// Reads decoded (name, value) pairs.
    pub fn parse(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryFault> {
        let mut query = Self {
            view: "operator",
            since: None,
        };
        for (name, value) in pairs {
            match name {
                "view" => query.view = value,
                "since" => query.since = Some(value),
                _unknown => return Err(UNKNOWN),
            }
        }
        Ok(query)
    }
}

/// `/inventory?sort`: the only order is by risk.
pub fn check_inventory<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), QueryFault> {
    for (name, value) in pairs {
        match (name, value) {
            ("sort", "risk") => {}
            ("sort", _) => return Err(fault("sort", "must be risk")),
            _unknown => return Err(UNKNOWN),
        }
    }
    Ok(())
}
