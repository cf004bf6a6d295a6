//! What every role serves: health, readiness, metrics, its API's description, its page; and how
//! errors look.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{self, FromRequestParts, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use popwatch_core::code::Code;
use popwatch_core::limits::{ECHO_BYTES_MAX, PREFLIGHT_UP_BYTES, REQUEST_BODY_MS_MAX};
use popwatch_wire::answer_v1::{EdgeStatus, Readiness};
use popwatch_wire::exposition::{Exposition, Form};
use popwatch_wire::problem::Problem;
use serde::de::DeserializeOwned;

use crate::ambient::Ambient;
use crate::config::RoleName;
use crate::health::Health;
use crate::page::{self, Asset};

/// What the common handlers share.
#[derive(Clone)]
pub(crate) struct Common(Arc<Inner>);

struct Inner {
    role: RoleName,
    name: String,
    metrics: Box<dyn Fn() -> BoxFuture<'static, Exposition> + Send + Sync>,
    health: Health,
    openapi: serde_json::Value,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Common({})", self.0.role.text())
    }
}

impl Common {
    /// For a role called `name` on its page; `metrics` renders the exposition.
    #[must_use]
    pub(crate) fn new(
        role: RoleName,
        name: &str,
        metrics: impl Fn() -> BoxFuture<'static, Exposition> + Send + Sync + 'static,
        health: Health,
    ) -> Self {
        Self(Arc::new(Inner {
            role,
            name: name.to_owned(),
            metrics: Box::new(metrics),
            health,
            openapi: popwatch_wire::routes::openapi(role.routes()),
        }))
    }
}

/// An error as a problem document with its status.
#[derive(Debug)]
pub(crate) struct ProblemAnswer(Problem);

/// A problem with this code; `detail` says what failed and the next step.
pub(super) fn problem(code: Code, detail: String) -> ProblemAnswer {
    ProblemAnswer(Problem::new(code, detail))
}

impl ProblemAnswer {
    /// What failed.
    pub(super) const fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for ProblemAnswer {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ProblemAnswer {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.0.to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(popwatch_wire::problem::MEDIA_TYPE),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"popwatch\""),
            );
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from(self.0.retry_after_s.unwrap_or(1));
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// Whether the caller has the answer with this entity tag already: 304 then.
pub(super) fn holds(headers: &HeaderMap, etag: &str) -> bool {
    let held = headers.get(header::IF_NONE_MATCH);
    let held = held.and_then(|value| value.to_str().ok());
    held.is_some_and(|held| held.split(',').any(|one| one.trim() == etag))
}

/// What stands in the query of a request; a parameter that cannot be read is named (PW3135).
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemAnswer> {
        let read = extract::Query::from_request_parts(parts, state).await;
        read.map(|extract::Query(read)| Self(read))
            .map_err(|fault| unread(&fault.body_text()))
    }
}

/// The same for what stands in the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ProblemAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemAnswer> {
        let read = extract::Path::from_request_parts(parts, state).await;
        read.map(|extract::Path(read)| Self(read))
            .map_err(|fault| unread(&fault.body_text()))
    }
}

/// What the library says, from the name of the parameter on.
fn unread(says: &str) -> ProblemAnswer {
    let says = says
        .trim_start_matches("Failed to deserialize query string: ")
        .trim_start_matches("Invalid URL: ");
    problem(Code::QueryInvalid, says.to_owned())
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// More bytes than it may have, or a connection that broke.
    TooLarge(usize),
    /// It was not complete in time.
    Slow,
}

impl BodyFault {
    /// What to answer; `remedy` says what to do about a body that is too large.
    pub(super) fn problem(self, remedy: &str) -> ProblemAnswer {
        match self {
            Self::TooLarge(max) => problem(
                Code::BodyTooLarge,
                format!("a request holds at most {max} bytes; {remedy}"),
            ),
            Self::Slow => problem(
                Code::RequestSlow,
                "the body did not come in time; send the same events again".to_owned(),
            ),
        }
    }
}

/// Reads a whole body, bounded in bytes and time.
pub(super) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, BodyFault> {
    let limit = Duration::from_millis(REQUEST_BODY_MS_MAX);
    match tokio::time::timeout(limit, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(BodyFault::TooLarge(bytes_max)),
        Err(_) => Err(BodyFault::Slow),
    }
}

/// The process does its work: its store's thread is alive. A word in `n` comes back, with the machine's
/// time and the version, so that who asks knows who answered and how far apart the clocks are.
pub(super) async fn healthz(State(common): State<Common>, RawQuery(query): RawQuery) -> Response {
    let word = query.as_deref().and_then(|query| query.strip_prefix("n="));
    let is_plain = |word: &&str| {
        word.len() <= ECHO_BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let echo = word.filter(is_plain).map_or_else(String::new, |word| {
        let wall_us = Ambient::system().wall_us();
        format!("{word}\n{wall_us}\n{}\n", env!("CARGO_PKG_VERSION"))
    });
    match common.0.health.alive() {
        true => format!("ok\n{echo}").into_response(),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the store hangs\n{echo}"),
        )
            .into_response(),
    }
}

/// Reads a body and forgets it: how fast the way here is.
pub(super) async fn sink(body: Body) -> Result<String, ProblemAnswer> {
    let body = read_body(body, PREFLIGHT_UP_BYTES)
        .await
        .map_err(|fault| fault.problem("send less"))?;
    Ok(format!("ok {}\n", body.len()))
}

/// Whether the role can do its work; what fails is named.
pub(super) async fn readyz(State(common): State<Common>) -> Response {
    let failing = common.0.health.failing().await;
    let status = match failing.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = Readiness {
        ready: failing.is_empty(),
        failing,
    };
    (status, Json(body)).into_response()
}

/// The status of an edge whose journal cannot be opened.
pub(super) async fn unopened_status(State(common): State<Common>) -> Json<EdgeStatus> {
    Json(EdgeStatus {
        rig: common.0.name.clone(),
        states: vec!["cannot_store"],
        ..EdgeStatus::default()
    })
}

/// The exposition, in the form that is asked for.
pub(super) async fn metrics(State(common): State<Common>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let form = Form::of(accept.and_then(|text| text.to_str().ok()).unwrap_or(""));
    let body = (common.0.metrics)().await.write(form);
    ([(header::CONTENT_TYPE, form.content_type())], body).into_response()
}

/// This role's API.
pub(super) async fn openapi(State(common): State<Common>) -> Json<serde_json::Value> {
    Json(common.0.openapi.clone())
}

/// The page, told which role and name it shows.
pub(super) async fn index(State(common): State<Common>) -> Html<String> {
    let role = common.0.role.text();
    Html(
        page::INDEX
            .replace("%ROLE%", role)
            .replace("%RIG%", &common.0.name),
    )
}

/// One file of the page; nothing of it for a browser that has it.
pub(super) fn asset(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let says = |name, word: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim().starts_with(word)))
    };
    let tag = [
        (header::ETAG, asset.tag.as_str()),
        (header::VARY, "accept-encoding"),
    ];
    if says(header::IF_NONE_MATCH, &asset.tag) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    let media = [(header::CONTENT_TYPE, asset.media)];
    if says(header::ACCEPT_ENCODING, "gzip") {
        let packed = [(header::CONTENT_ENCODING, "gzip")];
        return (tag, media, packed, asset.packed.as_slice()).into_response();
    }
    (tag, media, asset.bytes).into_response()
}

/// 404 with a hint.
pub(super) async fn unknown(uri: Uri) -> ProblemAnswer {
    problem(
        Code::PathUnknown,
        format!(
            "there is no {} here; /openapi.json lists what this role serves",
            uri.path()
        ),
    )
}
