//! Rig and ledger look at each other's trails beside the records lane.
//!
//! ```text
//! audit-peers/<name>.json    the newest head of a peer's trail, and why it is not believed
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::ledger::close::Value;
use popwatch_wire::audit::heads::{Conviction, Judged, Kept, Swap, Told, base, judge};
use popwatch_wire::audit::{Action, Decision, Entry};

use super::Trail;
use crate::ambient::Ambient;
use crate::client::Client;

/// Between two exchanges, and between two tries of a ledger out of reach.
const SWAP_EVERY: Duration = Duration::from_secs(30);
const SWAP_AGAIN: Duration = Duration::from_secs(2);
/// Peers whose word on our trail is remembered. Beyond: it stands in the log alone.
const PEERS_MAX: usize = 256;
/// Letters of a file's name that a peer's trail is kept under.
const NAME_LETTERS: usize = 32;

/// What is kept of the peers' trails, and what the peers say of ours.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    data: PathBuf,
    trail: Trail,
    ambient: Ambient,
    /// Why peers convict our own trail, by their own.
    told_of_us: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Where what is known of a trail is kept in a data directory.
pub(crate) fn kept_at(data: &Path, origin: &str) -> PathBuf {
    let name = blake3::hash(base(origin).as_bytes()).to_hex();
    data.join("audit-peers")
        .join(format!("{}.json", &name[..NAME_LETTERS]))
}

impl Peers {
    /// Those kept in a data directory.
    pub(crate) fn new(data: &Path, trail: &Trail, ambient: &Ambient) -> Self {
        Self {
            data: data.to_path_buf(),
            trail: trail.clone(),
            ambient: ambient.clone(),
            told_of_us: Arc::default(),
        }
    }

    /// What is kept of a trail; blocks.
    pub(crate) fn kept(&self, origin: &str) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(kept_at(&self.data, origin)).ok()?).ok()
    }

    /// All that is kept; blocks.
    pub(crate) fn all(&self) -> Vec<Kept> {
        let names = std::fs::read_dir(self.data.join("audit-peers"))
            .into_iter()
            .flatten();
        let files = names.filter_map(|name| std::fs::read(name.ok()?.path()).ok());
        files
            .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
            .collect()
    }

    /// Why a peer does not believe our own trail.
    pub(crate) fn told_of_us(&self) -> Option<String> {
        let told = (self.told_of_us.lock()).unwrap_or_else(PoisonError::into_inner);
        told.values().next().cloned()
    }

    /// What we tell of our own trail to one who holds a head of `holds` entries.
    fn own(&self, holds: u64) -> Told {
        let key = self.trail.key();
        self.trail.with(|log| {
            let proof = (holds > 0).then(|| log.continues(holds)).flatten();
            let from = if proof.is_some() { holds } else { 0 };
            Told::of(&key, log.head(), from, proof)
        })
    }

    /// Takes what a peer told, and answers with our own; blocks. What no longer continues its kept head is
    /// convicted and stays so.
    pub(crate) fn swap(&self, swap: &Swap) -> std::io::Result<Swap> {
        let told = &swap.told;
        let mut holds = 0;
        let mut convicted = None;
        if let Some(head) = told.head() {
            let kept = self.kept(&head.origin);
            let judged = judge(kept.as_ref(), told);
            let kept = self.after(kept, told, judged)?;
            holds = kept
                .as_ref()
                .and_then(Kept::head)
                .map_or(0, |head| head.size);
            convicted = kept.and_then(|kept| kept.convicted).map(|of| of.why);
        }
        if let Some(head) = told.head() {
            self.hear(&base(&head.origin), swap.convicted.as_deref());
        }
        Ok(Swap {
            told: self.own(swap.holds),
            holds,
            convicted,
        })
    }

    /// Takes in what a peer says of our own trail.
    fn hear(&self, peer: &str, convicted: Option<&str>) {
        let mut ours = (self.told_of_us.lock()).unwrap_or_else(PoisonError::into_inner);
        let Some(why) = convicted else {
            ours.remove(peer);
            return;
        };
        if ours.get(peer).is_none_or(|said| said != why) {
            let code = Code::AuditUnproved;
            tracing::error!(%code, peer, why, "a peer does not believe this audit trail");
            if ours.len() < PEERS_MAX {
                drop(ours.insert(peer.to_owned(), why.to_owned()));
            }
        }
    }

    /// Keeps what a judgement means.
    fn after(
        &self,
        kept: Option<Kept>,
        told: &Told,
        judged: Judged,
    ) -> std::io::Result<Option<Kept>> {
        let at_ms = self.ambient.wall_ms();
        let (fresh, head) = match judged {
            Judged::Sound(head) => {
                let fresh = Kept {
                    key: told.key.clone(),
                    checkpoint: told.checkpoint.clone(),
                    at_ms,
                    convicted: kept.as_ref().and_then(|kept| kept.convicted.clone()),
                };
                (fresh, head)
            }
            Judged::Convicted(why) => {
                let Some((kept, head)) = kept.zip(told.head()) else {
                    return Ok(None);
                };
                if kept.convicted.is_some() {
                    return Ok(Some(kept));
                }
                let (code, origin) = (Code::AuditUnproved, &*head.origin);
                tracing::error!(%code, origin, why, "a peer's audit trail is not what it was");
                self.write_down(Action::PeerConvicted, &head.origin, &why);
                let fresh = Kept {
                    convicted: Some(Conviction {
                        why,
                        checkpoint: told.checkpoint.clone(),
                        at_ms,
                    }),
                    ..kept
                };
                (fresh, head)
            }
            Judged::Unproved | Judged::Nonsense => return Ok(kept),
        };
        let bytes = serde_json::to_vec_pretty(&fresh).map_err(std::io::Error::other)?;
        crate::access::keep(&kept_at(&self.data, &head.origin), &bytes)?;
        Ok(Some(fresh))
    }

    fn write_down(&self, action: Action, origin: &str, why: &str) {
        let detail = Value::map([("origin", Value::text(origin)), ("why", Value::text(why))]);
        let entry = Entry {
            decision: Decision::Denied,
            reason: Code::AuditUnproved.to_string(),
            ..self.trail.entry(action, "", detail)
        };
        if let Err(fault) = self.trail.write(&entry) {
            tracing::error!(code = %fault.code(), %fault, "a conviction could not be written down");
        }
    }

    /// Why no single record of these rigs is shown here: their trail, or ours, is not believed; blocks.
    pub(crate) fn closed_for(&self, rigs: &[String]) -> Option<String> {
        if let Some(why) = self.told_of_us() {
            return Some(format!("the audit trail of this popwatch {why}"));
        }
        let concerns = |origin: &str| {
            let rig = base(origin);
            let rig = rig.rsplit('/').next().unwrap_or_default();
            rigs.is_empty() || rigs.iter().any(|one| one == rig)
        };
        let mut all = self.all().into_iter();
        all.find_map(|kept| {
            let why = &kept.convicted.as_ref()?.why;
            let origin = kept.head()?.origin;
            concerns(&origin).then(|| format!("the audit trail {origin} {why}"))
        })
    }

    /// Exchanges heads with the ledger for as long as it runs.
    pub(crate) async fn run(self, ledger: String, pass: Option<String>) {
        let client = Client::new().with_pass(pass.as_deref());
        let url = format!("{}/v1/audit/peer", ledger.trim_end_matches('/'));
        let mut holds = 0;
        loop {
            let wait = match self.exchange(&client, &url, holds).await {
                Some(held) if held == holds => SWAP_EVERY,
                Some(held) => {
                    // What it holds now is what the next proof begins from.
                    holds = held;
                    SWAP_EVERY
                }
                None => SWAP_AGAIN,
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One exchange; how many of our entries the other holds a head of.
    async fn exchange(&self, client: &Client, url: &str, theirs: u64) -> Option<u64> {
        let mut holds = theirs;
        // Twice where the other says that it holds another head than we thought.
        for _ in 0..2 {
            let peers = self.clone();
            let asked = tokio::task::spawn_blocking(move || {
                let all = peers.all();
                let ledger = all.iter().filter_map(Kept::head);
                let size = ledger.map(|head| head.size).max().unwrap_or(0);
                Swap {
                    told: peers.own(holds),
                    holds: size,
                    convicted: all
                        .iter()
                        .find_map(|kept| Some(kept.convicted.as_ref()?.why.clone())),
                }
            });
            let body = serde_json::to_vec(&asked.await.ok()?).ok()?;
            let media = [("content-type", "application/json")];
            let answer = client.post(url, &media, body).await.ok()?;
            if !answer.is_success() {
                return None;
            }
            let swap: Swap = serde_json::from_slice(&answer.body).ok()?;
            let peers = self.clone();
            let held = swap.holds;
            let taken = tokio::task::spawn_blocking(move || peers.swap(&swap));
            taken.await.ok()?.ok()?;
            if held == holds {
                break;
            }
            holds = held;
        }
        Some(holds)
    }
}
