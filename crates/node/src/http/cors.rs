//! What a browser wants to hear when a shop's page, served from elsewhere, reports events to this
//! till. Only that route answers it, and only to origins that are allowed to call at all.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;

/// How long a browser may remember that it may, s.
const REMEMBERED_S: &str = "7200";

/// The origin of the page that reports, if a page does.
pub(super) fn page(request: &hyper::Request<Incoming>) -> Option<HeaderValue> {
    let is_report = request.uri().path() == super::EVENTS
        && [Method::OPTIONS, Method::POST].contains(request.method());
    let origin = request.headers().get(header::ORIGIN);
    origin.filter(|_| is_report).cloned()
}

/// The answer to the browser's question whether the page may report.
pub(super) fn preflight() -> Response {
    let mut response = (StatusCode::OK, Body::empty()).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, popwatch-client-loss",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S),
        // A page from the internet calls a till in its own network.
        (
            header::HeaderName::from_static("access-control-allow-private-network"),
            "true",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets the page read the answer.
pub(super) fn allow(response: &mut Response, page: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after"),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
