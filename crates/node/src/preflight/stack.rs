//! What must work together: providers' messages, raw reads and their trail, the second factor.

use std::collections::BTreeMap;

use popwatch_core::limits::AUDIT_ENTRY_BYTES_MAX;
use popwatch_core::policy::standing::Mode;
use popwatch_core::preflight::{
    self, AccessCheck, AuditCheck, Check, Finding, PolicyCheck, ProviderAccount, RetentionCheck,
    Severity,
};
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::audit::Proof;
use popwatch_wire::json::rfc3339;
use popwatch_wire::note::PublicKey;
use popwatch_wire::provider::sample;
use serde_json::{Value, json};

use super::{Site, here};
use crate::access::LOCAL_ORG;
use crate::config::provider::ProviderConfig;
use crate::keyring::{FOLDER, TAG};

/// The synthetic popup is this young at most when it is read, ms.
const READ_BACK_MS: i64 = 5 * 60_000;

/// What the rig and, where it answers, the ledger say of a popup's policy.
fn policy_check(here: &Value, there: Option<&Value>) -> PolicyCheck {
    let is_empty = |told: &Value| told["bundles"].as_array().is_none_or(Vec::is_empty);
    PolicyCheck {
        is_signed: !is_empty(here),
        is_restricted: here["mode"] == Mode::Restricted.text(),
        is_held: here["mode"] == Mode::FellBack.text(),
        expires_ms: here["expires_ms"].as_i64(),
        residual: here["residual"].as_u64().unwrap_or(0),
        differs: there.is_some_and(|there| there["desired"] != here["desired"]),
    }
}

/// What the rig and, where it answers, the ledger say of a popup's keys.
fn retention_check(here: &[Value], there: Option<&[Value]>, is_tagged: bool) -> RetentionCheck {
    let alive = |keys: &[Value]| -> BTreeMap<String, i64> {
        let keys = keys.iter().filter(|key| key["state"] != "destroyed");
        let named = keys
            .filter_map(|key| Some((key["key_id"].as_str()?.to_owned(), key["ends_ms"].as_i64()?)));
        named.collect()
    };
    let own = alive(here);
    // A rig that was never enrolled has keys of its own, which the ledger does not know.
    let is_lent = here.iter().any(|key| key["lent"] == true);
    let lender = there.filter(|_| is_lent).map(alive);
    let missing = lender.as_ref().map_or(0, |lender| {
        own.keys().filter(|id| !lender.contains_key(*id)).count()
    });
    let leases = own.values().copied().filter(|_| is_lent);
    RetentionCheck {
        missing,
        lease_ends_ms: leases.min(),
        in_backup: !own.is_empty() && !is_tagged,
    }
}

impl Site {
    /// The digest of the policy that runs on this rig for the popup.
    pub(super) async fn running(&self) -> Value {
        let (Some(edge), Some(popup)) = (&self.edge, &self.asked.popup) else {
            return Value::Null;
        };
        let told = self.json(&format!("{edge}/v1/popups/{popup}/policy")).await;
        told.map_or(Value::Null, |told| told["running"]["digest"].clone())
    }

    /// Whether the popup's keys live as long as they must and where they must, and when each ends.
    pub(super) async fn retention(&self) -> Finding {
        let unknown = |what: &str, todo| Finding::not_checked(Check::Retention, what, todo);
        let (Some(edge), Some(popup)) = (&self.edge, &self.asked.popup) else {
            let todo = "name the popup, and run it where an edge is configured";
            return unknown("no popup is named, or no edge is configured here", todo);
        };
        let path = format!("/v1/popups/{popup}/policy");
        let keys = |told: Value| told["keys"].as_array().cloned().unwrap_or_default();
        let Some(here) = self.json(&format!("{edge}{path}")).await.map(keys) else {
            let todo = "start popwatch run on this rig; with an organisation show a pass (--pass)";
            return unknown("this rig does not say which keys it has", todo);
        };
        let there = match &self.ledger {
            Some(ledger) => self.json(&format!("{ledger}{path}")).await.map(keys),
            None => None,
        };
        if here.is_empty() {
            let todo = "a popup gets its keys with its first event, an enrolled till when it hears its ledger";
            return unknown("this rig has no keys of the popup", todo);
        }
        let is_tagged = (self.asked.config.data).join(FOLDER).join(TAG).exists();
        let check = retention_check(&here, there.as_deref(), is_tagged);
        let mut finding = preflight::retention(&check, &self.window);
        if finding.severity == Severity::Pass {
            let told = there
                .as_ref()
                .unwrap_or(&here)
                .iter()
                .filter(|key| key["ends_ms"].is_i64());
            let ends = told.map(|key| {
                let at = rfc3339(key["ends_ms"].as_i64().unwrap_or_default());
                let date = at.get(..16).unwrap_or(&at).replace('T', " ");
                format!("{} until {date}", key["class"].as_str().unwrap_or_default())
            });
            finding.measured = ends.collect::<Vec<_>>().join(" · ") + " UTC";
        }
        finding
    }

    /// Whether a signed policy runs on this rig that covers the popup, and whether the ledger wants another.
    pub(super) async fn policy(&self) -> Finding {
        let unknown = |what: &str, todo| Finding::not_checked(Check::Policy, what, todo);
        let (Some(edge), Some(popup)) = (&self.edge, &self.asked.popup) else {
            let todo = "name the popup, and run it where an edge is configured";
            return unknown("no popup is named, or no edge is configured here", todo);
        };
        let path = format!("/v1/popups/{popup}/policy");
        let Some(here) = self.json(&format!("{edge}{path}")).await else {
            return unknown(
                "this rig does not say which policy runs",
                "start popwatch run on this rig; with an organisation show a pass (--pass)",
            );
        };
        if self.asked.config.access.org == LOCAL_ORG && here["mode"] == Mode::BuiltIn.text() {
            return unknown(
                "nobody signed a policy; the built-in one runs",
                "see that popup, window and currencies in the configuration are right",
            );
        }
        let there = match &self.ledger {
            Some(ledger) => self.json(&format!("{ledger}{path}")).await,
            None => None,
        };
        preflight::policy(&policy_check(&here, there.as_ref()), &self.window)
    }

    /// Each account is sent a sample signed with its secret, and the same with another text.
    pub(super) async fn provider(&self) -> Finding {
        let mut accounts = Vec::new();
        for (name, config) in &self.asked.config.providers {
            accounts.push(self.account(name, config).await);
        }
        preflight::provider(&accounts)
    }

    async fn account(&self, name: &str, config: &ProviderConfig) -> ProviderAccount {
        let mut found = ProviderAccount {
            name: name.to_owned(),
            has_secret: false,
            sample_taken: None,
            forgery_refused: None,
            offline_declared: self.asked.offline_cards,
        };
        // The key maps references; a sample has none.
        let Ok(Some(account)) = config.reader(name, &ReferenceKey::new([0; 32])) else {
            return found;
        };
        found.has_secret = true;
        let own = self
            .asked
            .config
            .ledger
            .as_ref()
            .map(|own| here(own.listen));
        let Some(base) = own.or_else(|| self.edge.clone()) else {
            return found;
        };
        let (kind, account_name) = (account.kind.text(), account.name.as_str());
        let url = format!("{base}/v1/webhooks/{kind}?account={account_name}");
        let now_ms = self.ambient.wall_ms();
        let draw: [u8; 8] = self.ambient.random();
        let id = popwatch_core::ledger::hex(&draw);
        // Of no interest to the books, whatever the provider.
        let body = json!({
            "id": format!("evt_preflight_{id}"), "event_id": id, "object": "event",
            "api_version": "2025-03-31.basil", "type": "preflight.sample",
            "created": now_ms / 1_000, "created_at": rfc3339(now_ms),
            "livemode": account.is_live, "data": { "object": {} },
        })
        .to_string();
        let signed = sample(&account, body.as_bytes(), now_ms);
        if signed.is_empty() {
            return found;
        }
        found.forgery_refused = self
            .told(&url, &signed, format!("{body} "))
            .await
            .map(|status| status == 401);
        found.sample_taken = self
            .told(&url, &signed, body)
            .await
            .map(|status| status != 401);
        found
    }

    /// The status of a delivery; `None` when it did not get there or could not be judged.
    async fn told(
        &self,
        url: &str,
        signed: &[(&'static str, String)],
        body: String,
    ) -> Option<u16> {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("x-shopify-topic", "preflight/sample"),
        ];
        headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = self.client.post(url, &headers, body).await.ok()?;
        (answer.status < 500 && answer.status != 404).then_some(answer.status)
    }

    /// Reads the synthetic popup raw, once: what that left in the trail, and whether the second
    /// factor that was shown is right.
    pub(super) async fn audit(&self, popup: &str) -> (Finding, Finding) {
        let mut check = AuditCheck::default();
        let mut verified = None;
        if let Some(edge) = &self.edge {
            let (granted, code_right) = self.read_raw(edge, popup).await;
            check.granted = granted;
            verified = code_right;
            let trail = self.json(&format!("{edge}/v1/audit")).await;
            if let Some(trail) = trail {
                check.proved = self.proved(edge, &trail).await;
                check.witnessed = self.witnessed(&trail["origin"]).await;
            }
        }
        let access = AccessCheck {
            is_open: self.asked.config.access.org == LOCAL_ORG,
            operators: usize::from(self.asked.shows_pass),
            verified,
            ..AccessCheck::default()
        };
        let access = preflight::access(&access, &self.window);
        (preflight::audit(&check), access)
    }

    async fn read_raw(&self, edge: &str, popup: &str) -> (Option<bool>, Option<bool>) {
        let now_ms = self.ambient.wall_ms();
        let body = json!({
            "purpose": "debugging",
            "from": rfc3339(now_ms - READ_BACK_MS), "to": rfc3339(now_ms + READ_BACK_MS),
            "rigs": [], "fields": [], "classes": [],
        });
        let headers = [("content-type", "application/json")];
        let url = format!("{edge}/v1/popups/{popup}/raw");
        let Ok(answer) = self.client.post(&url, &headers, body.to_string()).await else {
            return (None, None);
        };
        if answer.is_success() {
            return (Some(true), Some(true));
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let is_code = said["code"] == "PW0706";
        let shown = self.asked.shows_pass;
        match answer.status {
            401 | 403 => (None, (is_code && shown).then_some(false)),
            _ => (Some(false), None),
        }
    }

    /// Whether the newest entry's proof verifies; `None` when the trail cannot be asked.
    async fn proved(&self, edge: &str, trail: &Value) -> Option<bool> {
        let last = trail["size"].as_u64()?.checked_sub(1)?;
        let key = PublicKey::parse(trail["key"].as_str()?)?;
        let url = format!("{edge}/v1/audit/{last}/proof");
        let answer = self.client.get(&url, &[]).await.ok()?;
        let is_told = answer.is_success() && answer.body.len() <= AUDIT_ENTRY_BYTES_MAX * 4;
        let text = is_told.then(|| String::from_utf8(answer.body.to_vec()).ok())??;
        let verified = Proof::decode(&text).and_then(|proof| proof.verify(&key));
        Some(verified.is_ok_and(|head| head.size > last))
    }

    /// Whether the ledger keeps a head of our trail; `None` without one to ask.
    async fn witnessed(&self, origin: &Value) -> Option<bool> {
        let ledger = self.ledger.as_ref()?;
        let peers = self.json(&format!("{ledger}/v1/audit/peers")).await?;
        let mut rows = peers["peers"].as_array()?.iter();
        Some(rows.any(|row| row["origin"] == *origin && row["convicted"].is_null()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_rig_are_measured_against_the_ledger() {
        let key = |id: &str, ends_ms: i64| json!({"key_id": id, "lent": ends_ms < 10, "state": "alive", "ends_ms": ends_ms});
        let dead = json!({"key_id": "d", "state": "destroyed", "ends_ms": null});
        let (lent, own) = (
            [key("a", 5), key("b", 9), dead],
            [key("a", 50), key("b", 90)],
        );
        let fine = RetentionCheck {
            lease_ends_ms: Some(5),
            ..RetentionCheck::default()
        };
        assert_eq!(retention_check(&lent, Some(&own), true), fine);
        // Of a rig that was never enrolled the ledger knows nothing.
        for there in [None, Some(&own[..]), Some(&lent[..])] {
            let check = retention_check(&own, there, true);
            assert_eq!(check, RetentionCheck::default());
        }
        assert_eq!(retention_check(&lent, Some(&own[..1]), true).missing, 1);
        assert_eq!(retention_check(&lent, None, true), fine);
        assert!(retention_check(&own, None, false).in_backup);
        assert!(!retention_check(&[], None, false).in_backup);
    }

    #[test]
    fn what_a_rig_says_of_its_policy_is_measured_against_the_ledger() {
        let mark = json!({"version": 2, "digest": "sha256:00"});
        let here = json!({
            "mode": "in_force", "desired": mark, "bundles": [{}], "expires_ms": 7, "residual": 0,
        });
        let covered = PolicyCheck {
            is_signed: true,
            expires_ms: Some(7),
            ..PolicyCheck::default()
        };
        assert_eq!(policy_check(&here, None), covered);
        assert_eq!(policy_check(&here, Some(&here)), covered);
        let differing = PolicyCheck {
            differs: true,
            ..covered
        };
        assert_eq!(
            policy_check(&here, Some(&json!({"desired": null}))),
            differing
        );
        let restricted = json!({"mode": "restricted", "bundles": [], "residual": 3});
        let check = PolicyCheck {
            is_restricted: true,
            residual: 3,
            ..PolicyCheck::default()
        };
        assert_eq!(policy_check(&restricted, None), check);
        let held = json!({"mode": "fell_back", "bundles": [{}]});
        assert!(policy_check(&held, None).is_held);
    }
}
