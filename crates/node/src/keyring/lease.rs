//! A rig asks its ledger for the keys of its popups, and tells which of them are no more.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_redact::seal::ClassKey;
use popwatch_wire::keyring::Destroyed;
use popwatch_wire::lease::{Asked, Lent};

use super::{Custody, Keyring};
use crate::client::Client;

impl Keyring {
    /// Popups of which events came and no key is held.
    pub(crate) fn wanted(&self) -> BTreeSet<PopupId> {
        self.0.held().wanted.clone()
    }

    /// Asks for a popup's keys where they are missing or end soon, or ends are to be told.
    pub(crate) async fn renew(&self, client: &Client, base: &str, rig: &str, popup: &PopupId) {
        if !matches!(self.0.custody, Custody::Lent) {
            return;
        }
        let Some((untold, is_used)) = self.due(popup) else {
            return;
        };
        let url = format!("{base}/v1/popups/{popup}/leases");
        let headers = [("popwatch-rig", rig), ("content-type", "application/json")];
        let body = serde_json::to_vec(&Asked::new(&untold, is_used)).unwrap_or_default();
        let lent = match client.post(&url, &headers, body).await {
            Ok(answer) if answer.status == 200 => serde_json::from_slice::<Lent>(&answer.body).ok(),
            Ok(answer) => {
                tracing::debug!(status = answer.status, url, "no keys from the ledger");
                return;
            }
            Err(fault) => {
                tracing::debug!(%fault, url, "the ledger was not asked for keys");
                return;
            }
        };
        let Some(keys) = lent.and_then(|lent| lent.keys()) else {
            let code = Code::PeerNonsense;
            tracing::warn!(%code, url, "what the ledger lends cannot be read");
            return;
        };
        let (keyring, popup) = (self.clone(), popup.clone());
        let taken = tokio::task::spawn_blocking(move || keyring.take(&popup, keys, &untold));
        if taken.await.is_err() {
            tracing::error!("taking keys ended early");
        }
    }

    /// What is to be told when keys are asked for: which are no more, and whether events came. `None` while
    /// they last and nothing is to be told.
    pub(super) fn due(&self, popup: &PopupId) -> Option<(Vec<Destroyed>, bool)> {
        let held = self.0.held();
        let shown = self.shown();
        let is_used = (shown.get(popup)).is_some_and(|shown| shown.used.load(Ordering::Relaxed));
        let is_used = is_used || held.wanted.contains(popup);
        let Some(ring) = held.rings.get(popup) else {
            return Some((Vec::new(), is_used));
        };
        let untold = ring.untold();
        let now_ms = self.0.ambient.wall_ms();
        let mut alive = ring.keys().iter().filter(|kept| kept.is_alive());
        // Half of a lease is over when less is left than has passed since it was taken.
        let ends_soon = |at_ms: i64| at_ms - now_ms < now_ms - ring.used_ms;
        let is_due = alive.clone().next().is_none() || alive.any(|kept| ends_soon(kept.at_ms));
        (is_due || !untold.is_empty()).then_some((untold, is_used))
    }

    /// Holds what was lent; what is not lent any more is destroyed.
    pub(super) fn take(
        &self,
        popup: &PopupId,
        keys: Vec<(popwatch_core::policy::retention::KeyClass, ClassKey, i64)>,
        told: &[Destroyed],
    ) {
        let shared = &self.0;
        let mut held = shared.held();
        let now_ms = shared.ambient.wall_ms();
        let mut ring = held.rings.get(popup).cloned().unwrap_or_default();
        let stay: Vec<_> = keys.iter().map(|(_, key, _)| key.id()).collect();
        ring.tell(told);
        for (class, key, until_ms) in keys {
            ring.borrow(class, key, until_ms);
        }
        let gone = ring.destroy_others(&stay, now_ms);
        ring.high_ms = ring.high_ms.max(now_ms);
        ring.used_ms = now_ms;
        held.damaged.remove(popup);
        if shared.shred(&mut held, popup, ring, &gone, "revoked") {
            held.wanted.remove(popup);
            shared.publish(&held);
        }
        if let Some(shown) = self.shown().get(popup) {
            shown.used.store(false, Ordering::Relaxed);
        }
    }
}
