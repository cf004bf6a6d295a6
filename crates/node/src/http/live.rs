//! Live reads of an edge and a region, from published views: one read is one consistent cut.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::view::Board;
use popwatch_wire::answer_v1::{self, BoardQuery, QueryFault, SeriesQuery, SloFormat, Tick};
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::shared::{ProblemAnswer, problem};
use crate::driver::LiveReader;
use crate::live::PopupLive;

/// Between two ticks of a stream, ms: two missed ones mean the line is dead.
const TICK: Duration = Duration::from_secs(5);

/// What the live handlers share.
#[derive(Debug, Clone)]
pub(crate) struct LiveState {
    /// The newest views.
    pub(crate) live: LiveReader,
    /// How many streams are open, and how many may be.
    pub(crate) readers: Arc<Readers>,
    /// Clocks.
    pub(crate) ambient: crate::ambient::Ambient,
    /// Ends the streams.
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// Bounds open streams.
#[derive(Debug)]
pub(crate) struct Readers {
    open: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    next: AtomicU64,
    max: usize,
    /// The oldest makes room for one more; else one more is refused.
    oldest_goes: bool,
}

impl Readers {
    /// None open; beyond `max` one more is refused.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(0),
            max,
            oldest_goes: false,
        }
    }

    /// None open; beyond `max` the oldest is closed.
    #[must_use]
    pub(crate) fn newest(max: usize) -> Self {
        Self {
            oldest_goes: true,
            ..Self::new(max)
        }
    }

    /// Streams open now.
    #[must_use]
    pub(crate) fn open(&self) -> usize {
        self.open.lock().expect("no holder panics").len()
    }

    fn enter(self: &Arc<Self>) -> Option<Reader> {
        let mut open = self.open.lock().expect("no holder panics");
        if open.len() >= self.max {
            if !self.oldest_goes {
                return None;
            }
            // Its stream ends when the sender is gone.
            drop(open.pop_first());
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (close, closed) = oneshot::channel();
        open.insert(number, close);
        Some(Reader {
            readers: Arc::clone(self),
            number,
            closed,
        })
    }
}

/// One open stream; gives its place back when it ends.
#[derive(Debug)]
struct Reader {
    readers: Arc<Readers>,
    number: u64,
    /// Ends when another reader takes the place.
    closed: oneshot::Receiver<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut open = self.readers.open.lock().expect("no holder panics");
        open.remove(&self.number);
    }
}

/// A checked popup id from a path.
pub(super) fn popup_id(text: &str) -> Result<PopupId, ProblemAnswer> {
    PopupId::new(text)
        .map_err(|_| problem(Code::PopupUnknown, "that is not a popup's name".to_owned()))
}

impl LiveState {
    fn popup(&self, text: &str) -> Result<Arc<PopupLive>, ProblemAnswer> {
        let popup = popup_id(text)?;
        self.live
            .borrow()
            .popups
            .get(popup.as_str())
            .cloned()
            .ok_or_else(|| {
                problem(
                    Code::PopupUnknown,
                    format!(
                        "no event or policy of {popup} has come here; /v1/popups lists the others"
                    ),
                )
            })
    }
}

/// The popups known here.
pub(super) async fn popups(State(state): State<LiveState>) -> Json<answer_v1::Popups> {
    let lines = state.live.borrow().lines.clone();
    Json(answer_v1::popups(&lines, state.ambient.wall_ms()))
}

/// The whole first screen in one read.
pub(super) async fn summary(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    Ok(tagged(&popup, "summary", &headers, |popup| &popup.snapshot))
}

/// Minutes as a series.
pub(super) async fn series(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    let query_read = SeriesQuery::parse(pairs(&query))?;
    let route = format!("series{query:?}");
    Ok(tagged(&popup, &route, &headers, |popup| {
        answer_v1::series(&popup.view, query_read)
    }))
}

/// Ranks of creators, products or rigs.
pub(super) async fn leaderboard(
    State(state): State<LiveState>,
    Path((popup, kind)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    let board = Board::ALL
        .into_iter()
        .find(|board| board.name() == kind)
        .ok_or_else(|| {
            problem(
                Code::PathUnknown,
                "leaderboards are of creators, products or rigs".to_owned(),
            )
        })?;
    let query_read = BoardQuery::parse(board, pairs(&query))?;
    let route = format!("leaderboards/{kind}{query:?}");
    Ok(tagged(&popup, &route, &headers, |popup| {
        answer_v1::leaderboard(&popup.view, board, query_read)
    }))
}

/// Stock, what needs a look first.
pub(super) async fn inventory(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    answer_v1::check_inventory(pairs(&query))?;
    Ok(tagged(&popup, "inventory", &headers, |popup| {
        answer_v1::inventory(&popup.view)
    }))
}

/// The rigs and their states.
pub(super) async fn rigs(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    Ok(tagged(&popup, "rigs", &headers, |popup| {
        answer_v1::rigs(&popup.view)
    }))
}

/// Promises: budgets, evidence, pages.
pub(super) async fn slo(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    match SloFormat::parse(pairs(&query))? {
        SloFormat::Rows => Ok(tagged(&popup, "slo", &headers, |popup| {
            answer_v1::slos(&popup.view)
        })),
        SloFormat::OpenSlo => Ok(tagged(&popup, "slo/openslo", &headers, |popup| {
            popwatch_wire::openslo::export(&popup.view)
        })),
    }
}

fn pairs(query: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The body under its entity tag, or 304 without making it when the reader has it.
fn tagged<'a, T: Serialize>(
    popup: &'a PopupLive,
    route: &str,
    headers: &HeaderMap,
    body: impl FnOnce(&'a PopupLive) -> T,
) -> Response {
    let etag = answer_v1::etag(popup.state, route);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    ([(header::ETAG, etag)], Json(body(popup))).into_response()
}

impl From<QueryFault> for ProblemAnswer {
    fn from(fault: QueryFault) -> Self {
        problem(Code::QueryInvalid, fault.to_string())
    }
}

/// The live stream: a snapshot, then whole rows that changed. No queue: a slow reader gets the
/// newest rows when its socket drains.
pub(super) async fn stream(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    let reader = state.readers.enter().ok_or_else(|| {
        problem(
            Code::FeedFull,
            "this popwatch serves as many streams as it may; read the summary instead".to_owned(),
        )
    })?;
    let feed = Feed {
        popup,
        live: state.live.clone(),
        shutdown: state.shutdown.clone(),
        ambient: state.ambient.clone(),
        shown: None,
        ticks: ticks(),
        reader,
    };
    Ok(Sse::new(events(feed)).into_response())
}

/// One reader's place in the stream: what it was shown last.
struct Feed {
    popup: PopupId,
    live: LiveReader,
    shutdown: watch::Receiver<bool>,
    ambient: crate::ambient::Ambient,
    shown: Option<Arc<PopupLive>>,
    ticks: Interval,
    reader: Reader,
}

/// A tick every [`TICK`], the first one period from now.
fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

fn events(feed: Feed) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(feed, |mut feed| async move {
        feed.next().await.map(|event| (Ok(event), feed))
    })
}

impl Feed {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let newest = self
                .live
                .borrow_and_update()
                .popups
                .get(self.popup.as_str())
                .cloned();
            if let Some(newest) = newest
                && let Some(event) = self.show(newest)
            {
                return Some(event);
            }
            tokio::select! {
                _ = self.shutdown.changed() => return None,
                _ = &mut self.reader.closed => return None,
                changed = self.live.changed() => if changed.is_err() { return None },
                _ = self.ticks.tick() => return self.tick(),
            }
        }
    }

    fn show(&mut self, newest: Arc<PopupLive>) -> Option<Event> {
        let event = match &self.shown {
            Some(shown) if Arc::ptr_eq(shown, &newest) => return None,
            Some(shown) => {
                let delta = answer_v1::delta(&shown.snapshot.rows, &newest.snapshot);
                Event::default().event("delta").json_data(&delta)
            }
            None => Event::default()
                .event("snapshot")
                .json_data(&newest.snapshot),
        };
        let id = answer_v1::etag(newest.state, "stream");
        self.shown = Some(newest);
        Some(event.ok()?.id(id))
    }

    fn tick(&self) -> Option<Event> {
        let server_ms = self.ambient.wall_ms();
        let tick = match &self.shown {
            Some(shown) => Tick {
                server_ms,
                ..answer_v1::tick(&shown.view)
            },
            None => Tick {
                server_ms,
                watermark_ms: None,
                silent: Vec::new(),
            },
        };
        Event::default().event("tick").json_data(&tick).ok()
    }
}
