//! `/v1/session`: a pass becomes a cookie, and a code of the second factor makes it fresh.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::access::Action;
use popwatch_core::code::Code;
use popwatch_core::limits::SESSION_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;

use super::shared::{ProblemAnswer, problem, read_body};
use crate::access::{Guard, Holder, bearer, cookie};

/// What a session is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Begin with this pass.
    pass: Option<String>,
    /// Show this code.
    code: Option<String>,
    /// End it.
    #[serde(default)]
    end: bool,
}

/// Who the session speaks for.
pub(super) async fn shown(
    Extension(guard): Extension<Guard>,
    State(()): State<()>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let has_pass = bearer(&headers).is_some() || headers.contains_key(header::COOKIE);
    if guard.is_free() && !has_pass {
        return Ok(Json(json!({ "here": true })).into_response());
    }
    let holder = guard.holder(&headers, None, None).await?;
    Ok(Json(told(&guard, &holder)).into_response())
}

/// Begins a session, shows a code, or ends it.
pub(super) async fn changed(
    Extension(guard): Extension<Guard>,
    State(()): State<()>,
    mut headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let body = read_body(body, SESSION_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("a session is asked for in a few lines"))?;
    let wish: Wish = serde_json::from_slice(&body).map_err(|_| {
        let says = "send {\"pass\": ...}, {\"code\": ...}, both, or {\"end\": true}";
        problem(Code::QueryInvalid, says.to_owned())
    })?;
    if wish.end {
        guard.end(&headers);
        let gone = cookie("", 0, guard.network());
        return Ok(([(header::SET_COOKIE, gone)], Json(json!({ "ended": true }))).into_response());
    }
    let is_new = wish.pass.is_some();
    if let Some(pass) = &wish.pass {
        let value = format!("Bearer {pass}").parse().map_err(|_| {
            problem(
                Code::PassInvalid,
                "the pass is not taken: it is no pass".to_owned(),
            )
        })?;
        headers.insert(header::AUTHORIZATION, value);
    }
    let mut holder = guard.holder(&headers, None, None).await?;
    if let Some(code) = wish.code {
        let mfa = guard.take_code(&holder.subject, code).await?;
        holder.mfa = Some(mfa);
        if !is_new {
            guard.stepped_up(&headers, mfa);
        }
    } else if is_new && guard.begins_with_code(holder.subject.scope) {
        let says = "a session of this scope begins with a code of the second factor";
        return Err(problem(Code::SecondFactorRefused, says.to_owned()));
    }
    let body = Json(told(&guard, &holder));
    let Some(pass) = wish.pass else {
        return Ok(body.into_response());
    };
    let name = guard.begin(pass, holder.mfa);
    let lasts = guard.lasts_s(holder.expires_ms);
    let set = cookie(&name, lasts, guard.network());
    Ok(([(header::SET_COOKIE, set)], body).into_response())
}

/// Who it is, and what their scope may do: what a page shows and hides by.
fn told(guard: &Guard, holder: &Holder) -> serde_json::Value {
    let subject = &holder.subject;
    let may = Action::ALL
        .iter()
        .filter(|action| action.is_open_to(subject.scope))
        .map(|action| action.text());
    json!({
        "org": subject.org,
        "actor": subject.actor,
        "scope": subject.scope.text(),
        "extent": subject.extent,
        "members": subject.members,
        "popup": subject.popup,
        "may": may.collect::<Vec<_>>(),
        "expires_ms": holder.expires_ms,
        "lasts_s": guard.lasts_s(holder.expires_ms),
        "second_factor_age_s": holder.mfa.map(|mfa| mfa.age_ms / 1_000),
    })
}
