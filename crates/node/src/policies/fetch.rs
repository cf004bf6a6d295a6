//! A rig asks its ledger for the policies of its popups, and takes what passes its own checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use popwatch_core::access::Scope;
use popwatch_core::id::{PopupId, RigId};
use serde_json::Value as Json;

use super::Policies;
use crate::client::Client;
use crate::config::EdgeConfig;
use crate::gauges::Gauges;
use crate::keyring::Keyring;
use crate::peer::As;
use crate::{Node, until};

/// Between two questions, ms; a quarter of it more or less, so that rigs do not ask all at once.
const ASK_EVERY_MS: u64 = 30_000;
/// After a refusal the same is asked for again only this many questions later: its reason may have
/// passed, such as a clock that was wrong.
const AGAIN_AFTER: u32 = 20;
/// As whom the trail names what the ledger told.
const BY: &str = "ledger";

impl Node {
    /// Lets a rig ask its ledger from now on, if it has one.
    pub(crate) fn fetch_policies(
        &mut self,
        config: &EdgeConfig,
        rig: &RigId,
        gauges: &Arc<Gauges>,
    ) {
        let Some(ledger) = config.ledger.clone().filter(|_| self.ledger.is_none()) else {
            // The ledger of this very process holds the same ones.
            return;
        };
        let member = self
            .member
            .iter()
            .flat_map(|member| &member.membership.popups);
        let told = config
            .popup
            .iter()
            .filter_map(|name| PopupId::new(name).ok());
        let told: BTreeSet<PopupId> = told.chain(member.cloned()).collect();
        let gauges = Arc::clone(gauges);
        let keyring = self.keyring.clone();
        let wanted = keyring.clone();
        let popups = move || {
            let mut popups = told.clone();
            popups.extend(wanted.wanted());
            popups.extend(gauges.windows().keys().cloned());
            popups
        };
        let pass = self.access.own_pass(Scope::Till, rig.as_str());
        let who = self.speaks_as(rig.as_str(), pass.as_deref());
        let asking = self.policies.clone().fetched(&ledger, who, keyring, popups);
        self.tasks.spawn(until(self.shutdown.subscribe(), asking));
    }
}

/// What the ledger told of a popup last.
#[derive(Debug, Default)]
struct Heard {
    tag: String,
    is_refused: bool,
    /// Questions until it is asked for again.
    wait: u32,
}

impl Policies {
    /// Asks the ledger for as long as it runs. `popups` says which ones this rig knows.
    fn fetched<F>(
        self,
        ledger: &str,
        who: As<'_>,
        keyring: Keyring,
        popups: F,
    ) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Fn() -> BTreeSet<PopupId> + Send + 'static,
    {
        let client = Client::of(who.identity.clone()).with_pass(who.pass);
        let (base, rig) = (ledger.trim_end_matches('/').to_owned(), who.name.to_owned());
        let mut held: BTreeMap<PopupId, Heard> = BTreeMap::new();
        async move {
            loop {
                for popup in popups() {
                    let url = format!("{base}/v1/popups/{popup}/policy");
                    let heard = held.entry(popup.clone()).or_default();
                    self.fetch(&client, &url, &rig, heard).await;
                    keyring.renew(&client, &base, &rig, &popup).await;
                }
                let drawn: [u8; 1] = self.0.ambient.random();
                let spread = ASK_EVERY_MS / 2 * u64::from(drawn[0]) / 255;
                let wait = ASK_EVERY_MS * 3 / 4 + spread;
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }

    /// One question; what cannot be had now is asked for again.
    async fn fetch(&self, client: &Client, url: &str, rig: &str, heard: &mut Heard) {
        heard.wait = heard.wait.saturating_sub(1);
        if heard.is_refused && heard.wait == 0 {
            *heard = Heard::default();
        }
        let headers = [("popwatch-rig", rig), ("if-none-match", heard.tag.as_str())];
        let known = usize::from(!heard.tag.is_empty());
        let answer = match client.get(url, &headers[..1 + known]).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                if answer.status != 304 {
                    tracing::debug!(status = answer.status, url, "no policy from the ledger");
                }
                return;
            }
            Err(fault) => {
                tracing::debug!(%fault, url, "the ledger was not asked for a policy");
                return;
            }
        };
        let told: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let bundles = told["bundles"].as_array().into_iter().flatten();
        let all = std::iter::once(&told["floor"]).chain(bundles);
        let all: Vec<String> = all
            .filter(|bundle| bundle.is_object())
            .map(Json::to_string)
            .collect();
        let policies = self.clone();
        let taken = tokio::task::spawn_blocking(move || {
            // What is refused is told by this rig's own page, log and trail; the others may pass.
            let offered = all.iter().map(|one| policies.offer(one.as_bytes(), BY));
            offered.filter(Result::is_err).count()
        });
        *heard = Heard {
            tag: answer.header("etag").unwrap_or_default().to_owned(),
            is_refused: !taken.await.is_ok_and(|refused| refused == 0),
            wait: AGAIN_AFTER,
        };
    }
}
