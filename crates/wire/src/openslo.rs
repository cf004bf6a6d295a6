//! Promises as `OpenSLO` documents (`openslo/v1`).
//!
//! The format has no window that ends once and no condition that is proven, so what it cannot say
//! stands in annotations and in a list of losses; nothing is bent to fit.

use popwatch_core::slo::SloView;
use popwatch_core::view::PopupView;
use serde_json::{Value as Json, json};

use crate::json::rfc3339;

/// What the format cannot say of a popup's promises.
const LOSSES: [&str; 4] = [
    "a popup's one-off window: written as a calendar window of its length that starts with it",
    "pages with a proven bound on false ones: no alert condition is written",
    "survival and pace: they are states of a running popup",
    "half of each share of false pages watches each rig by itself",
];

/// The promises of a popup, each a document of kind `SLO` with its indicator inline.
#[must_use]
pub fn export(view: &PopupView) -> Json {
    let documents = view.slos.iter().map(|slo| document(view, slo));
    json!({
        "losses": LOSSES,
        "documents": documents.collect::<Json>(),
    })
}

fn document(view: &PopupView, slo: &SloView) -> Json {
    let popup = view.popup.id.as_str();
    // Names of the format are DNS labels.
    let name: String = format!("{popup}-{}", slo.slo.name())
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let metric = |what: &str| json!({"metricSource": {"type": "popwatch", "spec": {"slo": slo.slo.name(), "outcomes": what}}});
    json!({
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {
            "name": name,
            "displayName": slo.slo.name(),
            "annotations": {
                "popwatch.dev/occurrence": "once",
                "popwatch.dev/popup": popup,
                "popwatch.dev/alpha-ppm": slo.alpha_ppm.to_string(),
            },
        },
        "spec": {
            "description": format!("{} of {popup}", slo.slo.name()),
            "service": popup,
            "indicator": {
                "metadata": {"name": format!("{name}-ratio")},
                "spec": {"ratioMetric": {
                    "counter": true,
                    "bad": metric("bad"),
                    "total": metric("all"),
                }},
            },
            "timeWindow": [window(view)],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": ratio(slo.objective_ppm)}],
        },
    })
}

/// The popup's window as a calendar window: whole minutes from its start.
fn window(view: &PopupView) -> Json {
    let (starts_ms, ends_ms) = (
        view.popup.starts_ms.unwrap_or(0),
        view.popup.ends_ms.unwrap_or(0),
    );
    let minutes = (ends_ms - starts_ms).max(60_000) / 60_000;
    json!({
        "duration": format!("{minutes}m"),
        "isRolling": false,
        "calendar": {
            // The format has no offset here: the time of the zone beside it.
            "startTime": rfc3339(starts_ms).replace('T', " ").trim_end_matches('Z'),
            "timeZone": "UTC",
        },
    })
}

/// Millionths as a decimal share.
fn ratio(ppm: u32) -> Json {
    let text = format!("0.{:06}", ppm.min(999_999));
    serde_json::from_str(&text).expect("digits behind a point are a number")
}
