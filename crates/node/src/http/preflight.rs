//! The last preflight of this rig, as its page shows it.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use popwatch_core::id::PopupId;
use serde_json::{Value, json};

use crate::ambient::Ambient;
use crate::keyring::Keyring;
use crate::preflight::REPORT;

/// A preflight that is older says little, ms.
const STALE_MS: i64 = 24 * 3_600_000;

/// What the handler needs.
#[derive(Debug, Clone)]
pub(super) struct PreflightState {
    /// The data directory.
    pub(super) data: PathBuf,
    /// What runs now.
    pub(super) keyring: Keyring,
    /// Clocks.
    pub(super) ambient: Ambient,
}

/// What was found last, and why it says little by now; `verdict` is null where none was made.
pub(super) async fn last(State(state): State<PreflightState>) -> Json<Value> {
    let path = state.data.join(REPORT);
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    let told = read.ok().and_then(Result::ok);
    let told = told.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(mut told) = told.filter(Value::is_object) else {
        return Json(json!({"verdict": null}));
    };
    let popup = told["popup"]
        .as_str()
        .and_then(|name| PopupId::new(name).ok());
    let running =
        popup.map(|popup| state.keyring.policies().told(&popup).0["running"]["digest"].clone());
    told["stale"] = json!(stale(&told, running.as_ref(), state.ambient.wall_ms()));
    Json(told)
}

fn stale(told: &Value, running: Option<&Value>, now_ms: i64) -> Option<&'static str> {
    let age_ms = now_ms.saturating_sub(told["at_ms"].as_i64().unwrap_or(i64::MIN));
    if age_ms > STALE_MS {
        return Some("It is more than a day old. Run it again.");
    }
    if told["version"] != env!("CARGO_PKG_VERSION") {
        return Some("Another version of popwatch made it. Run it again.");
    }
    let is_other = running.is_some_and(|running| *running != told["policy"]);
    is_other.then_some("Another policy runs by now. Run it again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preflight_goes_stale_by_age_version_and_policy() {
        let told = |edit: fn(&mut Value)| {
            let mut told = json!({
                "at_ms": 1_000, "version": env!("CARGO_PKG_VERSION"), "policy": "sha256:00",
            });
            edit(&mut told);
            told
        };
        let (same, other) = (json!("sha256:00"), json!("sha256:11"));
        let fresh = told(|_| ());
        assert_eq!(stale(&fresh, Some(&same), STALE_MS), None);
        assert_eq!(stale(&fresh, None, STALE_MS), None);
        for (told, running, now_ms, word) in [
            (&fresh, &same, STALE_MS + 1_001, "day"),
            (
                &told(|told| told["version"] = json!("0")),
                &same,
                1_000,
                "version",
            ),
            (&fresh, &other, 1_000, "policy"),
            (&json!({}), &same, 1_000, "day"),
        ] {
            assert!(
                stale(told, Some(running), now_ms).unwrap().contains(word),
                "{word}"
            );
        }
    }
}
