//! Pages to whom they wake: one outbox per target, by fingerprint.
//!
//! What always holds: nothing here is waited for by a fold or a view, for it reads what is published;
//! an outbox is bounded and holds the newest word on each page, so what was raised and resolved while
//! the target was away goes out once, as resolved; a redirect is an answer like any other refusal,
//! because pages go only where they were told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::limits::{ALERT_AGAIN_MS, ALERT_RETRY_MS_MAX, ALERT_RETRY_MS_MIN, ALERTS_MAX};
use popwatch_core::slo::Overrun;
use popwatch_core::time::MonoMs;
use popwatch_wire::alertmanager::{self, Alert};
use tokio::sync::watch;

use crate::ambient::Ambient;
use crate::client::Client;
use crate::config::{AlertKind, AlertTarget};
use crate::live::Live;

/// Between two looks at what is published, ms.
const LOOK_MS: u64 = 500;

/// One page and what its target knows of it.
#[derive(Debug, Clone)]
struct Held {
    alert: Alert,
    /// When it was raised and whether it was over, as last delivered.
    delivered: Option<(i64, bool)>,
    at: MonoMs,
}

impl Held {
    fn word(&self) -> (i64, bool) {
        (self.alert.starts_ms, self.alert.ends_ms.is_some())
    }

    fn is_told(&self) -> bool {
        self.delivered == Some(self.word())
    }
}

/// The newest word on each page for one target.
#[derive(Debug, Default)]
struct Outbox {
    held: BTreeMap<String, Held>,
    /// Pages that found no room.
    lost: u64,
}

impl Outbox {
    /// Takes the newest word on a page.
    fn take(&mut self, alert: Alert) {
        let fingerprint = alert.fingerprint();
        if let Some(held) = self.held.get_mut(&fingerprint) {
            held.alert = alert;
            return;
        }
        if self.held.len() >= ALERTS_MAX && !self.let_go() {
            self.lost += 1;
            return;
        }
        let held = Held {
            alert,
            delivered: None,
            at: MonoMs(0),
        };
        self.held.insert(fingerprint, held);
    }

    /// Lets the page go that was over and delivered longest ago; whether there was one.
    fn let_go(&mut self) -> bool {
        let over = |held: &Held| held.is_told() && held.alert.ends_ms.is_some();
        let oldest = self.held.iter().filter(|(_, held)| over(held));
        let oldest = oldest
            .min_by_key(|(_, held)| held.at)
            .map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.held.remove(&key).is_some())
    }

    /// What to send: news, and with `again` also pages that are not over after [`ALERT_AGAIN_MS`].
    fn due(&self, again: bool, now: MonoMs) -> Vec<Alert> {
        let is_due = |held: &&Held| {
            let open = held.alert.ends_ms.is_none();
            !held.is_told() || (again && open && now.since(held.at) >= ALERT_AGAIN_MS)
        };
        let due = self.held.values().filter(is_due);
        due.map(|held| held.alert.clone()).collect()
    }

    /// The target took these.
    fn delivered(&mut self, alerts: &[Alert], now: MonoMs) {
        for alert in alerts {
            if let Some(held) = self.held.get_mut(&alert.fingerprint()) {
                held.delivered = Some((alert.starts_ms, alert.ends_ms.is_some()));
                held.at = now;
            }
        }
    }
}

/// Sends the pages of all popups to one target until `shutdown`.
pub(crate) async fn run(
    target: AlertTarget,
    here: String,
    live: watch::Receiver<Arc<Live>>,
    ambient: Ambient,
    mut shutdown: watch::Receiver<bool>,
) {
    let client = Client::new();
    let (mut outbox, mut wait_ms) = (Outbox::default(), 0);
    let mut overruns = BTreeMap::new();
    loop {
        let all = Arc::clone(&live.borrow());
        for (popup, newest) in &all.popups {
            let shown = Arc::clone(&newest.borrow());
            for alert in alertmanager::alerts(&shown.view) {
                outbox.take(alert);
            }
            let overrun = shown.view.slos.iter().map(|slo| slo.overrun).max();
            tell_overrun(&mut overruns, popup, overrun.unwrap_or_default());
        }
        let now = ambient.now().mono;
        let due = outbox.due(target.kind == AlertKind::Alertmanager, now);
        if !due.is_empty() {
            let sent = tokio::select! {
                _ = shutdown.changed() => return,
                sent = send(&client, &target, &here, &due) => sent,
            };
            match sent {
                Ok(()) => {
                    outbox.delivered(&due, now);
                    wait_ms = 0;
                }
                Err(why) => {
                    let code = Code::AlertUndelivered;
                    tracing::warn!(%code, why, url = target.url, pages = due.len(), lost = outbox.lost, "a page could not be delivered; it is sent again");
                    wait_ms = (wait_ms * 2).clamp(ALERT_RETRY_MS_MIN, ALERT_RETRY_MS_MAX);
                }
            }
        }
        let sleep = wait_ms.max(LOOK_MS);
        tokio::select! {
            _ = shutdown.changed() => return,
            () = tokio::time::sleep(Duration::from_millis(sleep)) => {}
        }
    }
}

/// Says once in the log that a popup used up the minutes its promises are armed for.
fn tell_overrun(told: &mut BTreeMap<String, Overrun>, popup: &str, overrun: Overrun) {
    let before = told.get(popup).copied().unwrap_or_default();
    if overrun <= before {
        return;
    }
    let (code, pages) = (Code::PopupOverrun, overrun != Overrun::WatchOnly);
    tracing::warn!(%code, popup, pages, "the popup runs past its plan and overrun");
    told.insert(popup.to_owned(), overrun);
}

async fn send(
    client: &Client,
    target: &AlertTarget,
    here: &str,
    alerts: &[Alert],
) -> Result<(), String> {
    let base = target.url.trim_end_matches('/');
    let (url, body) = match target.kind {
        AlertKind::Webhook => (target.url.clone(), alertmanager::webhook(alerts, here)),
        AlertKind::Alertmanager => (
            format!("{base}/api/v2/alerts"),
            alertmanager::push(alerts, here),
        ),
    };
    let headers = [("content-type", "application/json")];
    match client.post(&url, &headers, body.to_string()).await {
        Ok(answer) if answer.is_success() => Ok(()),
        Ok(answer) if (300..400).contains(&answer.status) => Err(String::from(
            "it redirects; pages go only to the address given",
        )),
        Ok(answer) => Err(format!("it answered {}", answer.status)),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(slo: &str, starts_ms: i64, ends_ms: Option<i64>) -> Alert {
        Alert {
            labels: BTreeMap::from([("slo", slo.to_owned())]),
            annotations: BTreeMap::new(),
            starts_ms,
            ends_ms,
        }
    }

    #[test]
    fn what_was_raised_and_resolved_while_away_goes_once_and_resolved() {
        let mut outbox = Outbox::default();
        outbox.take(alert("a", 1, None));
        outbox.take(alert("a", 1, Some(2)));
        let due = outbox.due(true, MonoMs(5));
        assert_eq!(due, [alert("a", 1, Some(2))]);
        outbox.delivered(&due, MonoMs(5));
        outbox.take(alert("a", 1, Some(2)));
        assert!(outbox.due(true, MonoMs(500_000)).is_empty());
        outbox.take(alert("a", 9, None));
        assert_eq!(
            outbox.due(false, MonoMs(6)).len(),
            1,
            "the next incident is news"
        );
    }

    #[test]
    fn a_page_that_stays_open_is_pushed_again_and_posted_once() {
        let mut outbox = Outbox::default();
        outbox.take(alert("a", 1, None));
        let due = outbox.due(true, MonoMs(0));
        outbox.delivered(&due, MonoMs(0));
        assert!(outbox.due(true, MonoMs(ALERT_AGAIN_MS - 1)).is_empty());
        assert_eq!(outbox.due(true, MonoMs(ALERT_AGAIN_MS)).len(), 1);
        assert!(outbox.due(false, MonoMs(ALERT_AGAIN_MS)).is_empty());
    }

    #[test]
    fn a_full_outbox_lets_only_what_was_delivered_go() {
        let mut outbox = Outbox::default();
        for n in 0..ALERTS_MAX {
            outbox.take(alert(&n.to_string(), 1, Some(2)));
        }
        outbox.take(alert("more", 1, None));
        assert_eq!((outbox.held.len(), outbox.lost), (ALERTS_MAX, 1));
        let due = outbox.due(false, MonoMs(1));
        outbox.delivered(&due[..1], MonoMs(1));
        outbox.take(alert("more", 1, None));
        assert_eq!((outbox.held.len(), outbox.lost), (ALERTS_MAX, 1));
    }
}
