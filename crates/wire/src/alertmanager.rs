//! Pages as Prometheus' Alertmanager writes and reads them.
//!
//! Two forms of the same alerts: the body that Alertmanager posts to webhook receivers (version
//! "4"), so that receivers made for it work unchanged, and the body of its `/api/v2/alerts`. Labels
//! name the promise and where; nothing of a buyer is in them.

use std::collections::BTreeMap;

use popwatch_core::slo::{Outcomes, Page, Signal, SloView};
use popwatch_core::view::PopupView;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::json::rfc3339;

/// Name of every alert.
const ALERT: &str = "PopwatchPromise";
/// What Alertmanager writes where a moment is not known.
const NO_MOMENT: &str = "0001-01-01T00:00:00Z";

/// A page as it goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What makes it itself: `alertname`, `popup`, `severity`, `slo`, `rig` where it is of one.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub annotations: BTreeMap<String, String>,
    /// When it was raised, ms since 1970.
    pub starts_ms: i64,
    /// When it was over.
    pub ends_ms: Option<i64>,
}

/// All pages of a popup, open or over.
#[must_use]
pub fn alerts(view: &PopupView) -> Vec<Alert> {
    let popup = view.popup.id.as_str();
    let of_slo = |slo: &SloView| {
        let whole = alert(popup, slo, None, slo.so_far, &slo.popup);
        let rigs = slo.rigs.iter();
        let rigs =
            rigs.filter_map(|(rig, so_far, signal)| alert(popup, slo, Some(rig), *so_far, signal));
        whole.into_iter().chain(rigs).collect::<Vec<_>>()
    };
    view.slos.iter().flat_map(of_slo).collect()
}

fn alert(
    popup: &str,
    slo: &SloView,
    rig: Option<&String>,
    so_far: Outcomes,
    signal: &Signal,
) -> Option<Alert> {
    let page = signal.page?;
    let mut labels = named([
        ("alertname", ALERT.to_owned()),
        ("popup", popup.to_owned()),
        ("severity", "page".to_owned()),
        ("slo", slo.slo.name().to_owned()),
    ]);
    if let Some(rig) = rig {
        labels.insert("rig".to_owned(), rig.clone());
    }
    let seen = page.revised.unwrap_or(page.seen);
    let place = rig.map_or_else(|| popup.to_owned(), |rig| format!("{rig} of {popup}"));
    let mut annotations = named([
        (
            "summary",
            sentence(slo, &place, seen, page.revised.is_some()),
        ),
        ("n", so_far.n.to_string()),
        ("bad", so_far.bad.to_string()),
        ("evidence_log10", milli(page.evidence_milli)),
        ("alpha_ppb", signal.alpha_ppb.to_string()),
    ]);
    if let Some(budget) = slo.budget {
        let left = 1_000_000_i128 - i128::from(budget.consumed_ppm);
        annotations.insert(
            "budget_left_percent".to_owned(),
            (left.max(0) / 10_000).to_string(),
        );
    }
    let Page {
        since_ms,
        resolved_ms,
        ..
    } = page;
    Some(Alert {
        labels,
        annotations,
        starts_ms: since_ms,
        ends_ms: resolved_ms,
    })
}

fn named<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs.map(|(name, text)| (name.to_owned(), text)).collect()
}

/// One plain sentence.
fn sentence(slo: &SloView, place: &str, seen: Outcomes, revised: bool) -> String {
    let Outcomes { n, bad } = seen;
    let (what, outcomes) = (slo.slo.name(), slo.slo.outcomes());
    let allowed = 1_000_000 - slo.objective_ppm;
    let (percent, rest) = (allowed / 10_000, allowed % 10_000);
    let revised = if revised { " (evidence revised)" } else { "" };
    format!(
        "{place} breaks its promise {what}: {bad} bad of {n} {outcomes} in a quarter of an hour, \
         {percent}.{rest:04} per cent are allowed{revised}"
    )
}

/// Thousandths with their decimals.
fn milli(milli: i64) -> String {
    let sign = if milli < 0 { "-" } else { "" };
    let size = milli.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
}

impl Alert {
    /// What tells it from every other alert: 16 hex digits over its labels.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (name, value) in &self.labels {
            for part in [name, value] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }

    fn status(&self) -> &'static str {
        if self.ends_ms.is_some() {
            "resolved"
        } else {
            "firing"
        }
    }
}

/// The body of a webhook, version "4". `url` is where people look.
#[must_use]
pub fn webhook(alerts: &[Alert], url: &str) -> Json {
    let firing = alerts.iter().any(|alert| alert.ends_ms.is_none());
    let rows = alerts.iter().map(|alert| {
        json!({
            "status": alert.status(),
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": rfc3339(alert.starts_ms),
            "endsAt": alert.ends_ms.map_or_else(|| NO_MOMENT.to_owned(), rfc3339),
            "generatorURL": url,
            "fingerprint": alert.fingerprint(),
        })
    });
    let popup = common(alerts, |alert| &alert.labels).remove("popup");
    let group = popup.map_or_else(|| json!({}), |popup| json!({"popup": popup}));
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{group}"),
        "truncatedAlerts": 0,
        "status": if firing { "firing" } else { "resolved" },
        "receiver": "popwatch",
        "groupLabels": group,
        "commonLabels": common(alerts, |alert| &alert.labels),
        "commonAnnotations": common(alerts, |alert| &alert.annotations),
        "externalURL": url,
        "alerts": rows.collect::<Json>(),
    })
}

/// The body of Alertmanager's `/api/v2/alerts`.
#[must_use]
pub fn push(alerts: &[Alert], url: &str) -> Json {
    let row = |alert: &Alert| {
        let mut row = json!({
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": rfc3339(alert.starts_ms),
            "generatorURL": url,
        });
        if let (Some(ends_ms), Some(row)) = (alert.ends_ms, row.as_object_mut()) {
            row.insert("endsAt".to_owned(), Json::from(rfc3339(ends_ms)));
        }
        row
    };
    alerts.iter().map(row).collect()
}

/// What all alerts say alike.
fn common(
    alerts: &[Alert],
    of: fn(&Alert) -> &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Some((first, rest)) = alerts.split_first() else {
        return BTreeMap::new();
    };
    let alike = of(first).iter();
    let alike = alike.filter(|(name, value)| {
        rest.iter()
            .all(|other| of(other).get(*name) == Some(*value))
    });
    alike
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(slo: &str, ends_ms: Option<i64>) -> Alert {
        Alert {
            labels: named([("popup", "fri".to_owned()), ("slo", slo.to_owned())]),
            annotations: named([("summary", "x".to_owned())]),
            starts_ms: 1_795_816_800_000,
            ends_ms,
        }
    }

    /// The fields of Alertmanager's `template.Data` and of its webhook message, all of them.
    #[test]
    fn a_webhook_has_every_field_of_version_4() {
        let body = webhook(
            &[alert("a", None), alert("b", Some(1_795_816_860_000))],
            "http://r/",
        );
        let keys = |of: &Json| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            keys(&body),
            [
                "version",
                "groupKey",
                "truncatedAlerts",
                "status",
                "receiver",
                "groupLabels",
                "commonLabels",
                "commonAnnotations",
                "externalURL",
                "alerts",
            ]
        );
        assert_eq!(
            keys(&body["alerts"][0]),
            [
                "status",
                "labels",
                "annotations",
                "startsAt",
                "endsAt",
                "generatorURL",
                "fingerprint",
            ]
        );
        assert_eq!(
            (&body["status"], &body["version"]),
            (&json!("firing"), &json!("4"))
        );
        assert_eq!(body["alerts"][0]["endsAt"], NO_MOMENT);
        assert_eq!(body["alerts"][1]["status"], "resolved");
        assert_eq!(body["commonLabels"], json!({"popup": "fri"}));
        assert_ne!(
            body["alerts"][0]["fingerprint"],
            body["alerts"][1]["fingerprint"]
        );
    }

    #[test]
    fn a_push_ends_only_what_is_over() {
        let body = push(
            &[alert("a", None), alert("b", Some(1_795_816_860_000))],
            "http://r/",
        );
        assert_eq!(body[0].get("endsAt"), None);
        assert!(body[1]["endsAt"].is_string());
        assert_eq!([milli(-1_050), milli(4_653)], ["-1.050", "4.653"]);
    }
}
