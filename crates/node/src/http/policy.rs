//! Policies over HTTP: brought by people, read by people and by the rigs that obey them.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popwatch_core::code::Code;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::limits::{LEASE_BODY_BYTES_MAX, POLICY_BUNDLE_BYTES_MAX};
use popwatch_wire::lease::{Asked, Lent};
use popwatch_wire::problem::Problem;
use serde_json::json;

use super::live::popup_id;
use super::shared::{Path, ProblemAnswer, holds, problem, read_body};
use crate::access::Caller;
use crate::audit::LOCAL;
use crate::keyring::{Keyring, NotLent};
use crate::policies::{Refused, Taken};
use crate::register::Desk;
use crate::tls::Line;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct PolicyState {
    /// The keys of popups, and the policies by which they live.
    pub(crate) keyring: Keyring,
    /// Who knows the members, where this is the ledger.
    pub(crate) desk: Option<Desk>,
}

/// Takes a bundle: what its signers signed counts, whoever brings it.
pub(super) async fn bring(
    State(state): State<PolicyState>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let body = read_body(body, POLICY_BUNDLE_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("a bundle has at most 1 MiB"))?;
    let by = match caller {
        Caller::Here => LOCAL.to_owned(),
        Caller::Holder(holder) => holder.subject.actor.clone(),
    };
    let policies = state.keyring.policies().clone();
    let offered = tokio::task::spawn_blocking(move || policies.offer(&body, &by)).await;
    let early = |_| problem(Code::Defect, "taking the policy ended early".to_owned());
    match offered.map_err(early)? {
        Ok(taken) => Ok(told(&taken)),
        Err(Refused::Policy(_, _, refusal)) => Err(problem(refusal.code, refusal.what)),
        Err(Refused::Disk(fault)) => {
            let says = format!("the policy could not be kept, so it does not run: {fault}");
            Err(problem(Code::NotDurable, says))
        }
    }
}

fn told(taken: &Taken) -> Response {
    let code = taken.outcome.code();
    let body = json!({
        "outcome": taken.outcome.text(),
        "popup": taken.popup.as_ref().map(PopupId::as_str),
        "version": taken.mark.version,
        "digest": taken.mark.digest.to_string(),
        "code": code.map(|code| code.to_string()),
        "says": code.map(Code::title),
    });
    Json(body).into_response()
}

/// What is held of a popup and what of it runs; a rig of this ledger reads the bundles here. The tag is that
/// of the documents: how they run may change under it.
pub(super) async fn shown(
    State(state): State<PolicyState>,
    Extension(caller): Extension<Caller>,
    Extension(line): Extension<Line>,
    Path(popup): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    if let (Some(desk), Some(key)) = (&state.desk, line.key) {
        let rig = headers.get("popwatch-rig");
        let rig = rig
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        desk.admits(rig, Some(key), caller.has_pass())?;
    }
    let (mut told, tag) = state.keyring.policies().told(&popup);
    told["keys"] = state.keyring.told(&popup);
    let etag = format!("\"{tag}\"");
    if holds(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(([(header::ETAG, etag)], Json(told)).into_response())
}

/// Lends an enrolled rig the keys of a popup, and hears which of those it had it destroyed.
pub(super) async fn lend(
    State(state): State<PolicyState>,
    Extension(line): Extension<Line>,
    Path(popup): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Lent>, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    let stranger = || {
        let detail = "keys are lent to enrolled machines of this popup";
        Problem::new(Code::PeerRefused, detail)
    };
    let rig = headers.get("popwatch-rig");
    let rig = rig.and_then(|value| RigId::new(value.to_str().ok()?).ok());
    let (Some(desk), Some(key), Some(rig)) = (&state.desk, line.key, rig) else {
        return Err(stranger().into());
    };
    let members = desk.members().await?;
    let is_lent = members.iter().any(|member| {
        let of = &member.membership;
        let is_of_popup = of.popups.is_empty() || of.popups.contains(&popup);
        of.rig == rig && of.key == key && is_of_popup && member.revoked_ms.is_none()
    });
    if !is_lent {
        return Err(stranger().into());
    }
    let body = read_body(body, LEASE_BODY_BYTES_MAX)
        .await
        .map_err(|fault| fault.problem("keys are asked for in a few lines"))?;
    let asked: Option<Asked> = serde_json::from_slice(&body).ok();
    let told = asked.and_then(|asked| Some((asked.destroyed()?, asked.used)));
    let Some((destroyed, used)) = told else {
        let says = "send a JSON object with destroyed: a list of class, key_id and at_ms";
        return Err(problem(Code::QueryInvalid, says.to_owned()));
    };
    let keyring = state.keyring.clone();
    let lent =
        tokio::task::spawn_blocking(move || keyring.lend(&popup, &rig, (&destroyed, used))).await;
    let early = |_| problem(Code::Defect, "lending keys ended early".to_owned());
    lent.map_err(early)?.map(Json).map_err(|fault| {
        let code = match fault {
            NotLent::NotCustodian => Code::PeerRefused,
            NotLent::Disk(_) => Code::NotDurable,
            NotLent::Trail(_) => Code::AuditUnwritten,
        };
        problem(code, fault.to_string())
    })
}
