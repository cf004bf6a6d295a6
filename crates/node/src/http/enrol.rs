//! Enrolment over HTTP: codes are made and members looked after here, and new machines join.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::code::Code;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::limits::ENROL_BODY_BYTES_MAX;
use popwatch_core::membership::MemberKind;
use popwatch_store::books::Member;
use popwatch_wire::enrol::{Answered, Asked};
use popwatch_wire::json::rfc3339_ms;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::shared::{Path, ProblemAnswer, problem, read_body};
use crate::access::Caller;
use crate::register::{Desk, Wish};
use crate::tls::Line;

/// Who is to be enrolled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wished {
    rig: String,
    kind: Option<String>,
    #[serde(default)]
    popups: Vec<String>,
    not_after: Option<String>,
}

/// A new machine proves its code, and is told what it needs.
pub(super) async fn enrol(
    State(desk): State<Desk>,
    Extension(line): Extension<Line>,
    body: Body,
) -> Result<Json<Answered>, ProblemAnswer> {
    let asked: Asked = read(body).await?;
    Ok(Json(desk.enrol(line.key, &asked).await?))
}

/// Makes a code for a new machine.
pub(super) async fn invite(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let wish = wish(&read(body).await?)?;
    let rig = wish.rig.clone();
    let made = desk.invite(&caller, wish).await?;
    let body = json!({
        "rig": rig.as_str(),
        "code": made.words,
        "ends_ms": made.ends_ms,
        "key": made.key.to_string(),
    });
    Ok(Json(body).into_response())
}

fn wish(of: &Wished) -> Result<Wish, ProblemAnswer> {
    let wrong = |detail: String| problem(Code::ArgumentInvalid, detail);
    let rig = RigId::new(&of.rig).map_err(|fault| wrong(format!("rig {fault}")))?;
    let popups: Result<Vec<_>, _> = of.popups.iter().map(|id| PopupId::new(id)).collect();
    let kind = of.kind.as_deref().unwrap_or(MemberKind::Rig.text());
    let not_after = of.not_after.as_deref().map(|text| {
        let detail = "not_after must be an RFC 3339 time such as 2026-12-24T00:00:00Z";
        rfc3339_ms(text).ok_or_else(|| wrong(detail.to_owned()))
    });
    Ok(Wish {
        rig,
        kind: MemberKind::from_text(kind)
            .ok_or_else(|| wrong("kind must be rig or region".to_owned()))?,
        popups: popups.map_err(|fault| wrong(format!("popup {fault}")))?,
        not_after_ms: not_after.transpose()?,
    })
}

/// Who is in the register.
pub(super) async fn members(State(desk): State<Desk>) -> Result<Json<Value>, ProblemAnswer> {
    let members = desk.members().await?;
    let rows: Vec<Value> = members.iter().map(row).collect();
    Ok(Json(json!({ "rigs": rows })))
}

fn row(member: &Member) -> Value {
    let of = &member.membership;
    let popups: Vec<&str> = of.popups.iter().map(PopupId::as_str).collect();
    json!({
        "rig": of.rig.as_str(),
        "kind": of.kind.text(),
        "key": of.key.to_string(),
        "popups": popups,
        "enrolled_ms": member.enrolled_ms,
        "not_after_ms": of.not_after_ms,
        "revoked_ms": member.revoked_ms,
        "held_back": member.held_back,
    })
}

/// From now on what a rig sends is kept and not booked.
pub(super) async fn revoke(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(rig): Path<String>,
) -> Result<Json<Value>, ProblemAnswer> {
    let rig = named(&rig)?;
    desk.revoke(&caller, &rig).await?;
    Ok(Json(json!({ "rig": rig.as_str(), "revoked": true })))
}

/// Books what of a rig was held back.
pub(super) async fn accept(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(rig): Path<String>,
) -> Result<Json<Value>, ProblemAnswer> {
    let rig = named(&rig)?;
    let records = desk.accept(&caller, &rig).await?;
    Ok(Json(json!({ "rig": rig.as_str(), "booked": records })))
}

fn named(rig: &str) -> Result<RigId, ProblemAnswer> {
    RigId::new(rig).map_err(|fault| problem(Code::ArgumentInvalid, format!("rig {fault}")))
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, ProblemAnswer> {
    let body = read_body(body, ENROL_BODY_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("an enrolment is small"))?;
    serde_json::from_slice(&body).map_err(|_| {
        let detail = "the body is not the JSON that this path takes; /openapi.json shows it";
        problem(Code::BodyUnparsable, detail.to_owned())
    })
}
