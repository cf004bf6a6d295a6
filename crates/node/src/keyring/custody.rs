//! Who holds which key of a popup: the ledger's word on every key that it lent, and on its end.

use std::path::PathBuf;

use popwatch_core::id::{PopupId, RigId};
use popwatch_core::ledger::close::Value;
use popwatch_core::policy::retention::KeyClass;
use popwatch_redact::seal::KeyId;
use popwatch_wire::audit::Action;
use popwatch_wire::keyring::Destroyed;
use popwatch_wire::lease::Lent;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Custody, Keyring, Shared, receipt};
use crate::access::keep;

/// Below the data directory; no secret stands here.
const FOLDER: &str = "custody";
/// Loans of one popup that are remembered. Beyond: those whose end was confirmed first are forgotten.
const LOANS_MAX: usize = 8_192;

/// A key that one rig has, or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loan {
    rig: String,
    class: String,
    key_id: String,
    not_after_ms: i64,
    /// When the rig destroyed it, as it told; `None` while nobody heard.
    destroyed_ms: Option<i64>,
}

/// Why no key is lent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLent {
    /// This machine holds what others lend it.
    #[error("this machine is not the custodian of keys; ask the ledger")]
    NotCustodian,
    /// What would be lent cannot be written down.
    #[error("the loan could not be kept: {0}")]
    Disk(#[from] std::io::Error),
    /// It cannot stand in the trail.
    #[error("the loan could not be written down: {0}")]
    Trail(#[from] popwatch_store::audit::AuditFault),
}

impl Keyring {
    /// Hears which keys a rig destroyed and whether events came there, and lends it those of a popup that live;
    /// blocks.
    pub(crate) fn lend(
        &self,
        popup: &PopupId,
        rig: &RigId,
        (destroyed, is_used): (&[Destroyed], bool),
    ) -> Result<Lent, NotLent> {
        let shared = &self.0;
        if !matches!(shared.custody, Custody::Own(_)) {
            return Err(NotLent::NotCustodian);
        }
        let mut held = shared.held();
        shared.make(&mut held, popup, is_used);
        shared.publish(&held);
        let now_ms = shared.ambient.wall_ms();
        let retention = shared.retention(popup);
        let mut loans = shared.loans(popup);
        let mut lent = Lent::default();
        let mut granted = Vec::new();
        if let Some(ring) = held.rings.get(popup) {
            for class in KeyClass::ALL {
                let until_ms = retention.lease_until_ms(*class, ring.used_ms, now_ms);
                if let Some(key) = ring.alive(*class).filter(|_| until_ms > now_ms) {
                    lent.put(*class, key, until_ms);
                    granted.push(loan(rig, *class, key.id(), until_ms));
                }
            }
        }
        let told: Vec<&Destroyed> = destroyed
            .iter()
            .filter(|one| tell(&mut loans, rig, one))
            .collect();
        for one in &granted {
            put(&mut loans, one);
        }
        drop(held);
        if let Some(trail) = shared.trail.get() {
            for one in told {
                let detail = receipt(one, rig.as_str(), "told by its holder");
                trail.write(&trail.entry(Action::KeyDestroyed, popup.as_str(), detail))?;
            }
            if !granted.is_empty() {
                let detail = grant(rig, &granted);
                trail.write(&trail.entry(Action::KeysGranted, popup.as_str(), detail))?;
            }
        }
        keep(
            &shared.loans_file(popup),
            &serde_json::to_vec(&loans).unwrap_or_default(),
        )?;
        Ok(lent)
    }

    /// What is known of a popup's keys and of who holds them.
    pub(crate) fn told(&self, popup: &PopupId) -> Json {
        let shared = &self.0;
        let ring = shared.held().rings.get(popup).cloned().unwrap_or_default();
        let loans = shared.loans(popup);
        let is_locked = self.is_locked();
        let is_lent = matches!(shared.custody, Custody::Lent);
        let keys = ring.keys().iter().map(|kept| {
            let id = kept.id.to_string();
            let holders = loans.iter().filter(|loan| loan.key_id == id).map(|loan| {
                json!({
                    "rig": loan.rig,
                    "lease_ends_ms": loan.not_after_ms,
                    "destroyed_ms": loan.destroyed_ms,
                })
            });
            json!({
                "class": kept.class.text(),
                "key_id": id,
                "lent": is_lent,
                "state": match (kept.is_alive(), is_locked) {
                    (false, _) => "destroyed",
                    (true, true) => "locked",
                    (true, false) => "alive",
                },
                "ends_ms": kept.is_alive().then_some(kept.at_ms),
                "destroyed_ms": (!kept.is_alive()).then_some(kept.at_ms),
                "holders": holders.collect::<Vec<_>>(),
            })
        });
        keys.collect()
    }
}

impl Shared {
    fn loans_file(&self, popup: &PopupId) -> PathBuf {
        self.data.join(FOLDER).join(format!("{popup}.json"))
    }

    /// What is remembered of loans; a file that cannot be read names no holder, and says so in the log.
    fn loans(&self, popup: &PopupId) -> Vec<Loan> {
        let path = self.loans_file(popup);
        let Ok(bytes) = std::fs::read(&path) else {
            return Vec::new();
        };
        serde_json::from_slice(&bytes).unwrap_or_else(|fault| {
            let file = path.display();
            tracing::error!(%fault, %file, "who holds keys cannot be read; the audit trail still says it");
            Vec::new()
        })
    }
}

fn loan(rig: &RigId, class: KeyClass, id: KeyId, not_after_ms: i64) -> Loan {
    Loan {
        rig: rig.as_str().to_owned(),
        class: class.text().to_owned(),
        key_id: id.to_string(),
        not_after_ms,
        destroyed_ms: None,
    }
}

fn put(loans: &mut Vec<Loan>, new: &Loan) {
    let same = |old: &&mut Loan| old.rig == new.rig && old.key_id == new.key_id;
    if let Some(old) = loans.iter_mut().find(same) {
        *old = new.clone();
        return;
    }
    if loans.len() >= LOANS_MAX {
        let oldest = loans.iter().position(|loan| loan.destroyed_ms.is_some());
        loans.remove(oldest.unwrap_or(0));
    }
    loans.push(new.clone());
}

/// Notes an end; answers whether it is news.
fn tell(loans: &mut [Loan], rig: &RigId, one: &Destroyed) -> bool {
    let id = one.id.to_string();
    let mut known = loans.iter_mut();
    let Some(loan) = known.find(|loan| loan.rig == rig.as_str() && loan.key_id == id) else {
        return false;
    };
    let is_news = loan.destroyed_ms.is_none();
    loan.destroyed_ms = Some(one.at_ms);
    is_news
}

fn grant(rig: &RigId, granted: &[Loan]) -> Value {
    let keys = granted.iter().map(|loan| {
        Value::map([
            ("class", Value::text(&*loan.class)),
            ("key_id", Value::text(&*loan.key_id)),
            ("not_after_ms", Value::number(loan.not_after_ms)),
        ])
    });
    Value::map([
        ("holder", Value::text(rig.as_str())),
        ("keys", Value::List(keys.collect())),
    ])
}
