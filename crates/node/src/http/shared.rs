//! What every role serves: health, readiness, metrics, its API's description, its page; and how
//! errors look.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_wire::problem::Problem;

use crate::config::RoleName;
use crate::page::{self, Asset};

/// What the common handlers share.
#[derive(Clone)]
pub(crate) struct Common(Arc<Inner>);

struct Inner {
    role: RoleName,
    name: String,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    openapi: serde_json::Value,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Common({})", self.0.role.text())
    }
}

impl Common {
    /// For a role called `name` on its page; `metrics` renders the exposition, `ready` says what is
    /// not ready.
    #[must_use]
    pub(crate) fn new(
        role: RoleName,
        name: &str,
        metrics: impl Fn() -> String + Send + Sync + 'static,
        ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            role,
            name: name.to_owned(),
            metrics: Box::new(metrics),
            ready: Box::new(ready),
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
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The role can do its work, or the reason why not.
pub(super) async fn readyz(State(common): State<Common>) -> Response {
    match (common.0.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// The Prometheus text exposition.
pub(super) async fn metrics(State(common): State<Common>) -> Response {
    let text = (common.0.metrics)();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
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

/// One file of the page.
pub(super) fn asset(asset: &'static Asset) -> Response {
    ([(header::CONTENT_TYPE, asset.media)], asset.text).into_response()
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
