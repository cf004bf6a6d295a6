//! The list of revoked passes, as it is kept and as it travels: a note that the access key's holder
//! signs with the key of the audit trail.

use std::collections::BTreeMap;

use popwatch_core::limits::{REVOKED_AGE_MS_MAX, REVOKED_MAX};
use serde::{Deserialize, Serialize};

use super::Opened;

/// Which passes are no longer good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// When the list was whole, ms since 1970.
    pub as_of_ms: i64,
    /// What names a pass, and when it was revoked: the id that [`revocation_id`](super::revocation_id)
    /// tells, the pass's own id, or its actor's as `actor:ID`.
    pub ids: BTreeMap<String, i64>,
}

impl Revoked {
    /// Adds one; beyond the bound the one that was revoked first goes: it has expired long since.
    pub fn add(&mut self, id: &str, now_ms: i64) {
        self.ids.entry(id.to_owned()).or_insert(now_ms);
        self.as_of_ms = self.as_of_ms.max(now_ms);
        while self.ids.len() > REVOKED_MAX {
            let first = self.ids.iter().min_by_key(|(_, at)| **at);
            let Some(first) = first.map(|(id, _)| id.clone()) else {
                return;
            };
            self.ids.remove(&first);
        }
    }

    /// Whether a pass was revoked, itself, with one it was handed on from, or with all of its actor's.
    #[must_use]
    pub fn has(&self, pass: &Opened) -> bool {
        let actor = format!("actor:{}", pass.subject.actor);
        let since = self.ids.get(&actor);
        pass.ids.iter().any(|id| self.ids.contains_key(id))
            || self.ids.contains_key(&pass.subject.pass)
            || since.is_some_and(|since| pass.issued_ms <= *since)
    }

    /// Whether it is too old to let grave actions through.
    #[must_use]
    pub const fn is_old(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.as_of_ms) > REVOKED_AGE_MS_MAX
    }
}
