//! The keys of popups: made where nobody lends them, lent by the ledger otherwise, destroyed on time.
//!
//! ```text
//! first event of a popup ─► custodian draws a key per class ─► DATA/keys/popups/<popup>.ring ─► door, reads
//!                           rig asks its ledger for a lease ─┘          │ end of keep or lease
//!                                                                       ▼
//!                                         zeros over the old file, unlinked, tried, written to the trail
//! ```
//!
//! A machine that was enrolled by a ledger holds what it is lent; any other is its own custodian. What always
//! holds: a key is durable before anything is sealed with it; what is destroyed never comes back; a class
//! without a living key loses just its own fields; no receipt is written before the key was tried and failed.

mod custody;
mod file;
mod lease;
mod open;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use popwatch_core::access::raw::PartClass;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Value;
use popwatch_core::limits::REGION_POPUPS_MAX;
use popwatch_core::policy::retention::{KeyClass, Retention};
use popwatch_core::preflight::is_rehearsal;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_redact::seal::{ClassKey, PopupKeys};
use popwatch_wire::audit::Action;
use popwatch_wire::keyring::{Destroyed, Kept, Ring};

use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::policies::Policies;

pub(crate) use custody::NotLent;
pub(crate) use file::TAG;

/// Below the folder of keys.
pub(crate) const FOLDER: &str = "keys/popups";
/// There once an operator said that the clock is right.
const CONFIRMED: &str = "keys/clock-confirmed";
/// Where the system's time service notes that it heard the time, in this run of the system.
const SYNCHRONISED: &str = "run/systemd/timesync/synchronized";
/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const HOUR_MS: i64 = 3_600_000;
/// After a ring could not be kept, until it is tried again, ms.
const TRY_AGAIN_MS: u64 = 10_000;
/// A clock that is so much later than when this machine last ran may be wrong.
const JUMP_MS: i64 = 24 * HOUR_MS;

/// Whose keys a machine holds.
#[derive(Debug, Clone)]
pub(crate) enum Custody {
    /// Its own. A secret that the configuration shares stands for random keys of pseudonyms.
    Own(Option<[u8; 32]>),
    /// What its ledger lends.
    Lent,
}

/// The keys of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Keyring(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    data: PathBuf,
    custody: Custody,
    /// What the system's time service leaves behind.
    service: PathBuf,
    held: Mutex<Held>,
    door: RwLock<Arc<Rings>>,
    /// Neither opened nor destroyed until somebody says that the clock is right.
    is_locked: AtomicBool,
    destroyed: AtomicU64,
    policies: Policies,
    trail: OnceLock<Trail>,
    ambient: Ambient,
}

#[derive(Debug, Default)]
struct Held {
    rings: BTreeMap<PopupId, Ring>,
    /// Popups of which events came and no key is held.
    wanted: BTreeSet<PopupId>,
    /// Popups whose file cannot be read: no new key takes the place of what is there.
    damaged: BTreeSet<PopupId>,
    /// When a ring could not be kept last, ms of the steady clock: a full disk is not asked at every event.
    failed_ms: Option<u64>,
}

/// What the door works with.
pub(crate) type Rings = BTreeMap<PopupId, Arc<Shown>>;

/// The keys of one popup, and whether an event was taken under them.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    keys: Arc<PopupKeys>,
    used: AtomicBool,
}

impl Shown {
    /// Whether every class has a living key.
    fn is_whole(&self) -> bool {
        self.keys.pseudonym.is_some() && self.keys.parts.len() == PartClass::ALL.len()
    }
}

impl Keyring {
    /// Reads what is kept below `data`; blocks. `system` stands for `/`.
    pub(crate) fn open(
        data: &Path,
        custody: Custody,
        system: &Path,
        policies: &Policies,
        ambient: &Ambient,
    ) -> Self {
        let keyring = Self(Arc::new(Shared {
            data: data.to_path_buf(),
            custody,
            service: system.join(SYNCHRONISED),
            held: Mutex::default(),
            door: RwLock::default(),
            is_locked: AtomicBool::new(false),
            destroyed: AtomicU64::new(0),
            policies: policies.clone(),
            trail: OnceLock::new(),
            ambient: ambient.clone(),
        }));
        let shared = &keyring.0;
        let mut held = shared.held();
        file::read_all(&shared.folder(), &mut held);
        let high_ms = held.rings.values().map(|ring| ring.high_ms).max();
        let jumped = high_ms.is_some_and(|high| ambient.wall_ms().saturating_sub(high) > JUMP_MS);
        let is_own = matches!(shared.custody, Custody::Own(_));
        if is_own && jumped && !ambient.is_scripted() && !shared.heard_time() {
            shared.is_locked.store(true, Ordering::Relaxed);
            tracing::warn!(
                code = %Code::KeysLocked,
                "the clock is more than a day past the last run and no time service confirms it: sealed parts \
                 stay shut and no key is destroyed until popwatch policy status --confirm-clock"
            );
        }
        shared.publish(&held);
        drop(held);
        keyring
    }

    /// The policies by which keys live.
    pub(crate) fn policies(&self) -> &Policies {
        &self.0.policies
    }

    /// The trail that ends of keys are written to, from now on.
    pub(crate) fn set_trail(&self, trail: &Trail) {
        drop(self.0.trail.set(trail.clone()));
    }

    /// What the door works with; [`Keyring::of`] adds what is missing.
    pub(crate) fn shown(&self) -> Arc<Rings> {
        let door = self.0.door.read();
        Arc::clone(&door.unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys of a popup of which an event came. A custodian makes them, durably, when it is the first.
    pub(crate) fn of(&self, shown: &Rings, popup: &PopupId) -> Arc<PopupKeys> {
        let known = match shown.get(popup) {
            Some(known) if known.is_whole() || known.used.load(Ordering::Relaxed) => {
                Some(Arc::clone(known))
            }
            Some(_) | None => self.0.first(popup),
        };
        let Some(known) = known else {
            return Arc::default();
        };
        if !known.used.load(Ordering::Relaxed) {
            known.used.store(true, Ordering::Relaxed);
        }
        Arc::clone(&known.keys)
    }

    /// Destroys what is due for as long as it runs.
    pub(crate) async fn tended(self) {
        loop {
            let keyring = self.clone();
            let looked = tokio::task::spawn_blocking(move || keyring.look_around()).await;
            if looked.is_err() {
                tracing::error!("looking after keys ended early");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Destroys what is due, and notes hourly that time went on; blocks.
    pub(crate) fn look_around(&self) {
        let shared = &self.0;
        if shared.is_locked.load(Ordering::Relaxed) {
            shared.look_at_clock();
        }
        let mut held = shared.held();
        let popups: Vec<PopupId> = held.rings.keys().cloned().collect();
        let mut changed = false;
        for popup in popups {
            changed |= shared.tend(&mut held, &popup);
        }
        if changed {
            shared.publish(&held);
        }
    }

    /// Keys that should be no more and are, and how many were destroyed since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let held = self.0.held();
        let now_ms = self.0.ambient.wall_ms();
        let keys = held.rings.values().flat_map(Ring::keys);
        let overdue = keys.filter(|kept| kept.is_alive() && kept.at_ms < now_ms);
        let overdue = u64::try_from(overdue.count()).unwrap_or(u64::MAX);
        (overdue, self.0.destroyed.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        // What it holds is whole between any two statements.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    fn retention(&self, popup: &PopupId) -> Retention {
        self.policies.running().retention(popup)
    }

    /// Whether the system's time service heard the time since the system started.
    fn heard_time(&self) -> bool {
        self.service.exists() || self.data.join(CONFIRMED).exists()
    }

    fn look_at_clock(&self) {
        if !self.heard_time() {
            return;
        }
        self.is_locked.store(false, Ordering::Relaxed);
        let by_hand = std::fs::remove_file(self.data.join(CONFIRMED)).is_ok();
        tracing::info!(by_hand, "the clock is confirmed; keys open and end again");
        let detail = Value::map([("by_hand", Value::Bool(by_hand))]);
        self.write_down(Action::ClockConfirmed, "", detail);
    }

    /// The keys of a popup from which no event came for long.
    fn first(&self, popup: &PopupId) -> Option<Arc<Shown>> {
        let mut held = self.held();
        let shown = self.door_now().get(popup).map(Arc::clone);
        if shown.as_ref().is_some_and(|shown| shown.is_whole()) {
            return shown;
        }
        if held.wanted.len() < REGION_POPUPS_MAX {
            held.wanted.insert(popup.clone());
        }
        if matches!(self.custody, Custody::Lent) || !self.make(&mut held, popup, true) {
            return shown;
        }
        self.publish(&held);
        self.door_now().get(popup).cloned()
    }

    fn door_now(&self) -> Arc<Rings> {
        Arc::clone(&self.door.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes what keys a popup lacks, where an event came or it never had any; answers whether it has some.
    fn make(&self, held: &mut Held, popup: &PopupId, is_used: bool) -> bool {
        let Custody::Own(told) = &self.custody else {
            return held.rings.contains_key(popup);
        };
        let is_known = held.rings.contains_key(popup);
        let has_room = is_known || held.rings.len() < REGION_POPUPS_MAX || self.forget(held);
        if !has_room || held.damaged.contains(popup) {
            return false;
        }
        let now_ms = self.ambient.wall_ms();
        let retention = self.retention(popup);
        let mut ring = held.rings.get(popup).cloned().unwrap_or_default();
        if !is_used && !ring.keys().is_empty() {
            return true;
        }
        let before = ring.clone();
        ring.used_ms = ring.used_ms.max(now_ms);
        for class in KeyClass::ALL {
            let may = !ring.had(*class) || retention.may_renew();
            let until_ms = retention.not_after_ms(*class, ring.used_ms);
            if ring.alive(*class).is_some() || !may || until_ms <= now_ms {
                continue;
            }
            let key = match (class, told) {
                (KeyClass::Pseudonym, Some(root)) => shared_key(*root, popup),
                (KeyClass::Pseudonym, None)
                | (KeyClass::Raw | KeyClass::Contact | KeyClass::Freetext, _) => {
                    ClassKey::new(self.ambient.random())
                }
            };
            ring.put(*class, key, until_ms);
        }
        ring.high_ms = ring.high_ms.max(now_ms);
        if ring == before {
            return true;
        }
        self.keep(held, popup, ring)
    }

    /// Lets go of the ring whose last key was destroyed first; answers whether there is one.
    fn forget(&self, held: &mut Held) -> bool {
        let is_over = |ring: &Ring| !ring.keys().iter().any(Kept::is_alive);
        let over = held.rings.iter().filter(|(_, ring)| is_over(ring));
        let first = over.min_by_key(|(_, ring)| ring.high_ms);
        let Some(popup) = first.map(|(popup, _)| popup.clone()) else {
            return false;
        };
        held.rings.remove(&popup);
        file::remove(&self.folder(), &popup);
        true
    }

    /// Makes a ring durable and holds it; where it cannot be kept, the one before goes on.
    fn keep(&self, held: &mut Held, popup: &PopupId, ring: Ring) -> bool {
        let now_ms = self.ambient.mono_ns() / 1_000_000;
        let failed_ms = held.failed_ms;
        if failed_ms.is_some_and(|failed_ms| now_ms.saturating_sub(failed_ms) < TRY_AGAIN_MS) {
            return false;
        }
        held.failed_ms = None;
        match file::write(&self.folder(), popup, &ring) {
            Ok(()) => {
                held.rings.insert(popup.clone(), ring);
                true
            }
            Err(fault) => {
                held.failed_ms = Some(now_ms);
                let code = Code::NotDurable;
                tracing::error!(%code, popup = popup.as_str(), %fault, "keys could not be kept; what they are for is left out");
                false
            }
        }
    }

    /// Looks whether keys of a popup are due; answers whether anything changed for the door.
    fn tend(&self, held: &mut Held, popup: &PopupId) -> bool {
        let Some(before) = held.rings.get(popup) else {
            return false;
        };
        let mut ring = before.clone();
        let wall_ms = self.ambient.wall_ms();
        let now_ms = wall_ms.max(ring.high_ms);
        let door = self.door_now();
        let shown = door.get(popup);
        if let Custody::Own(_) = self.custody {
            let is_used = shown.is_some_and(|shown| shown.used.load(Ordering::Relaxed));
            if is_used && now_ms.saturating_sub(ring.used_ms) >= HOUR_MS {
                ring.used_ms = now_ms;
                shown
                    .into_iter()
                    .for_each(|shown| shown.used.store(false, Ordering::Relaxed));
            }
        }
        let retention = self.retention(popup);
        match self.custody {
            Custody::Own(_) => {
                let used_ms = ring.used_ms;
                // Nothing of a rehearsal is kept.
                let longest = match is_rehearsal(popup.as_str()) {
                    true => used_ms.saturating_add(HOUR_MS),
                    false => i64::MAX,
                };
                ring.end(|kept| retention.not_after_ms(kept.class, used_ms).min(longest));
            }
            // A lease ends early where the policy that came since says so.
            Custody::Lent => {
                ring.end(|kept| kept.at_ms.min(retention.not_after_ms(kept.class, i64::MAX)));
            }
        }
        let is_locked = self.is_locked.load(Ordering::Relaxed);
        let gone = match is_locked {
            true => Vec::new(),
            false => ring.destroy_due(now_ms),
        };
        let is_alive = ring.keys().iter().any(Kept::is_alive);
        let is_old = is_alive && !is_locked && now_ms.saturating_sub(ring.high_ms) >= HOUR_MS;
        if is_old || !gone.is_empty() {
            ring.high_ms = now_ms;
        }
        if ring == *before {
            return false;
        }
        let reason = match self.custody {
            Custody::Own(_) => "keep",
            Custody::Lent => "lease",
        };
        self.shred(held, popup, ring, &gone, reason) && !gone.is_empty()
    }

    /// Puts a ring in the place of the one before, from which these keys are gone; tries whether they are, and
    /// writes each down.
    fn shred(
        &self,
        held: &mut Held,
        popup: &PopupId,
        ring: Ring,
        gone: &[Destroyed],
        reason: &str,
    ) -> bool {
        let probes: Vec<_> = gone
            .iter()
            .filter_map(|one| {
                let key = held.rings.get(popup)?.find(one.id)?.ok()?;
                Some(file::Probe::new(key))
            })
            .collect();
        if !self.keep(held, popup, ring) {
            return false;
        }
        if !file::is_gone(&self.folder(), popup, &probes) {
            let code = Code::KeysDamaged;
            tracing::error!(%code, popup = popup.as_str(), "a key that was destroyed still opens; its end is not confirmed");
            return true;
        }
        for one in gone {
            self.destroyed.fetch_add(1, Ordering::Relaxed);
            let class = one.class.text();
            tracing::info!(popup = popup.as_str(), class, key = %one.id, reason, "a key was destroyed");
            self.write_down(
                Action::KeyDestroyed,
                popup.as_str(),
                receipt(one, "", reason),
            );
        }
        true
    }

    fn publish(&self, held: &Held) {
        let mut door = self.door.write().unwrap_or_else(PoisonError::into_inner);
        let shown = held.rings.iter().map(|(popup, ring)| {
            let used = door
                .get(popup)
                .is_some_and(|one| one.used.load(Ordering::Relaxed));
            let shown = Shown {
                keys: Arc::new(ring.for_door()),
                used: AtomicBool::new(used),
            };
            (popup.clone(), Arc::new(shown))
        });
        *door = Arc::new(shown.collect());
    }

    fn write_down(&self, action: Action, popup: &str, detail: Value) {
        let Some(trail) = self.trail.get() else {
            return;
        };
        if let Err(fault) = trail.write(&trail.entry(action, popup, detail)) {
            tracing::error!(code = %fault.code(), %fault, "what became of a key could not be written down");
        }
    }
}

/// The key of pseudonyms that machines share by their configuration.
fn shared_key(root: [u8; 32], popup: &PopupId) -> ClassKey {
    let keys = Keys::new(ReferenceKey::new(root)).with_root(root);
    let key = keys.of(popup).expect("a root makes a key of every popup");
    ClassKey::new(key.into_bytes())
}

/// The end of a key as it stands in the trail.
fn receipt(one: &Destroyed, holder: &str, reason: &str) -> Value {
    Value::map([
        ("at_ms", Value::number(one.at_ms)),
        ("class", Value::text(one.class.text())),
        ("holder", Value::text(holder)),
        ("key_id", Value::text(one.id.to_string())),
        ("method", Value::text("overwritten, unlinked, tried")),
        ("reason", Value::text(reason)),
    ])
}

#[cfg(test)]
mod tests;
