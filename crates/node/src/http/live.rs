//! Live reads of an edge and a region, from published views: one read is one consistent cut.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::preflight::is_rehearsal;
use popwatch_core::view::Board;
use popwatch_wire::answer_v1::{self, BoardQuery, QueryFault, SeriesQuery, SloFormat, StreamQuery};
use popwatch_wire::feed_v1::{Audience, Place};
use tokio::sync::watch;

use super::feed::{Feed, Handover, Readers, Stand};
use super::lanes::RegionLane;
use super::shared::{Path, ProblemAnswer, Query, holds, problem};
use crate::access::Caller;
use crate::driver::LiveReader;
use crate::live::PopupLive;

/// What bodies are.
const JSON: &str = "application/json";

/// What the live handlers share.
#[derive(Debug, Clone)]
pub(crate) struct LiveState {
    /// The newest views.
    pub(crate) live: LiveReader,
    /// How many streams are open, and how many may be.
    pub(crate) readers: Arc<Readers>,
    /// The machine behind the views.
    pub(crate) lane: RegionLane,
    /// Clocks.
    pub(crate) ambient: crate::ambient::Ambient,
    /// Ends the streams.
    pub(crate) shutdown: watch::Receiver<bool>,
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
            .map(|newest| Arc::clone(&newest.borrow()))
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
pub(super) async fn popups(
    State(state): State<LiveState>,
    Extension(caller): Extension<Caller>,
) -> Json<answer_v1::Popups> {
    let mut lines = state.live.borrow().lines.clone();
    lines.retain(|line| caller.sees(line.id.as_str()) && !is_rehearsal(&line.id));
    Json(answer_v1::popups(&lines, state.ambient.wall_ms()))
}

/// The whole first screen in one read.
pub(super) async fn summary(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    let body = |popup: &PopupLive| ([(header::CONTENT_TYPE, JSON)], popup.summary());
    Ok(tagged(&popup, "summary", &headers, body))
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
        Json(answer_v1::series(&popup.view, query_read))
    }))
}

/// Ranks of creators, products or rigs.
pub(super) async fn leaderboard(
    State(state): State<LiveState>,
    Path((popup, kind)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    Extension(caller): Extension<Caller>,
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
    let disclosure = caller.disclosure();
    let route = format!("leaderboards/{kind}{query:?}{disclosure:?}");
    Ok(tagged(&popup, &route, &headers, |popup| {
        let told = answer_v1::leaderboard(&popup.view, board, query_read, &disclosure);
        Json(told)
    }))
}

/// Stock, what needs a look first.
pub(super) async fn inventory(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    answer_v1::check_inventory(pairs(&query))?;
    let disclosure = caller.disclosure();
    let route = format!("inventory{disclosure:?}");
    Ok(tagged(&popup, &route, &headers, |popup| {
        Json(answer_v1::inventory(&popup.view, &disclosure))
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
        Json(answer_v1::rigs(&popup.view))
    }))
}

/// Funnel, chat and flash drops.
pub(super) async fn signals(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = state.popup(&popup)?;
    Ok(tagged(&popup, "signals", &headers, |popup| {
        Json(answer_v1::signals(&popup.view))
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
            Json(answer_v1::slos(&popup.view))
        })),
        SloFormat::OpenSlo => Ok(tagged(&popup, "slo/openslo", &headers, |popup| {
            Json(popwatch_wire::openslo::export(&popup.view))
        })),
    }
}

fn pairs(query: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The body under its entity tag, or 304 without making it when the reader has it.
fn tagged<'a, T: IntoResponse>(
    popup: &'a PopupLive,
    route: &str,
    headers: &HeaderMap,
    body: impl FnOnce(&'a PopupLive) -> T,
) -> Response {
    let etag = answer_v1::etag(popup.state, route);
    if holds(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    ([(header::ETAG, etag)], body(popup)).into_response()
}

impl From<QueryFault> for ProblemAnswer {
    fn from(fault: QueryFault) -> Self {
        problem(Code::QueryInvalid, fault.to_string())
    }
}

/// The live stream: a snapshot, then whole rows that changed. It leaves HTTP's machinery here and
/// goes on in [`super::feed`].
pub(super) async fn stream(
    State(state): State<LiveState>,
    Path(popup): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    let StreamQuery { view, since } = StreamQuery::parse(pairs(&query))?;
    let audience = Audience::named(view).ok_or_else(|| {
        let detail = "the views are operator, rig, creator, coop and board".to_owned();
        problem(Code::PopupUnknown, detail)
    })?;
    let last = headers.get("last-event-id");
    let last = last.map(|value| value.to_str().unwrap_or("?")).or(since);
    let place = last.filter(|id| !id.is_empty()).map(Place::read);
    if place == Some(None) {
        let code = Code::FeedPlaceUnknown;
        tracing::debug!(%code, "a live reader came back from a place nobody knows");
    }
    let stand = match place.flatten() {
        Some(place) => Stand::Back(Box::new(place)),
        None => Stand::New,
    };
    // Who was shown this popup before may come back while it is still on its way here.
    if matches!(stand, Stand::New) {
        state.popup(popup.as_str())?;
    }
    let reader = state.readers.enter().ok_or_else(|| {
        problem(
            Code::FeedFull,
            "this popwatch serves as many streams as it may; read the summary instead".to_owned(),
        )
    })?;
    let feed = Feed {
        popup,
        audience,
        disclosure: caller.disclosure(),
        stand,
        live: state.live,
        lane: state.lane,
        ambient: state.ambient,
        shutdown: state.shutdown,
        reader,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Extension(Handover::new(feed))).into_response())
}
