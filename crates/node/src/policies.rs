//! The policies that this machine obeys: brought by hand, by the ledger or in a file, kept, and in force
//! until a newer one.
//!
//! ```text
//! POST /v1/policies ─┐
//! DATA/inbox/*.json ─┼─► checks ─► DATA/policies/<popup>.json ─┬─► what runs: plans, rules ─► door, guard
//! GET at the ledger ─┘   │                                      └─► policy.applied ─► journal
//!                        └─ refused: named among the attempts, in the log and in the audit trail
//! ```
//!
//! What always holds: a policy is durable here before it runs; what was kept and is damaged counts as one
//! that cannot be obeyed, so its popup keeps the facts alone; nothing that is brought loosens a popup in
//! which a record was taken (L8).

mod fetch;
mod stated;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use popwatch_core::access::Rules;
use popwatch_core::code::Code;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Value;
use popwatch_core::limits::{POLICY_BUNDLE_BYTES_MAX, REGION_POPUPS_MAX};
use popwatch_core::policy::compile;
use popwatch_core::policy::retention::Retention;
use popwatch_core::policy::standing::{Mark, Mode, Phase, Seen};
use popwatch_core::policy::terms::Terms;
use popwatch_core::policy::{Digest, DocumentKind, Window};
use popwatch_redact::apply::{Counts, Plan};
use popwatch_redact::region::Region;
use popwatch_wire::answer_v1::{self as vitals, Vitals};
use popwatch_wire::audit::{self, Decision};
use popwatch_wire::note::PublicKey;
use popwatch_wire::policy::bundle::{Bundle, Refusal, Trust, Verified, accept_floor};
use popwatch_wire::policy::plan::plan;
use popwatch_wire::policy::shelf::{Outcome, Shelf};
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use crate::access::{Access, keep};
use crate::ambient::Ambient;
use crate::audit::{LOCAL, Trail};
use crate::config::{Config, ConfigFault};
use crate::member::Member;
use crate::{identity, keys};

/// Below the data directory.
const FOLDER: &str = "policies";
/// Where bundles are put by hand.
const INBOX: &str = "inbox";
/// The floor of the organisation. No popup can have this name.
const FLOOR: &str = "-floor";
/// There, and locked, while a process runs: found without its lock, that process died.
const UNDER: &str = "running";
const DAMAGED: &str = "damaged";
/// Between two looks at the inbox, at time and at what redaction found.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Who signs for the organisation, as far as this machine knows: who enrolled it, or its own ledger.
pub(crate) fn org_key(
    config: &Config,
    member: Option<&Member>,
    ambient: &Ambient,
) -> Result<Option<PublicKey>, ConfigFault> {
    let own = match (member, &config.ledger) {
        (Some(member), _) => return Ok(Some(member.org_key().clone())),
        (None, Some(_)) => Some(keys::org(&config.data, &config.access.org, ambient)?),
        (None, None) => identity::org_key(&config.data, &config.access.org, ambient)?,
    };
    Ok(own.map(|key| key.public()))
}

/// The policies of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Policies(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    org: String,
    /// Who signs for the organisation; `None` where this machine knows nobody who does.
    org_key: Option<PublicKey>,
    data: PathBuf,
    held: Mutex<Held>,
    running: RwLock<Arc<Running>>,
    /// What signed policies say of their popups.
    stated: watch::Sender<Vec<PopupPolicy>>,
    counted: Counted,
    trail: OnceLock<Trail>,
    vitals: OnceLock<watch::Sender<Vitals>>,
    /// Holds the mark that the process runs.
    under: Mutex<Option<File>>,
    access: Access,
    ambient: Ambient,
}

#[derive(Debug, Default)]
struct Held {
    floor: Option<(Bundle, Verified)>,
    /// A floor was kept and cannot be read.
    floor_is_damaged: bool,
    shelves: BTreeMap<PopupId, Shelf>,
    /// What redaction had counted when the newest policy of a popup came.
    since: BTreeMap<PopupId, [u64; 3]>,
    /// Popups whose policy was kept and cannot be read.
    damaged: BTreeSet<PopupId>,
}

/// What redaction did since the start: events, errors, residual.
#[derive(Debug, Default)]
struct Counted([AtomicU64; 3]);

/// What runs, for the door and the guards.
#[derive(Debug, Default)]
pub(crate) struct Running {
    popups: BTreeMap<PopupId, InForce>,
    /// For popups without a policy, where the organisation has a floor.
    others: Option<InForce>,
}

/// What runs for one popup.
#[derive(Debug)]
struct InForce {
    mode: Mode,
    mark: Option<Mark>,
    plan: Plan,
    rules: Arc<Rules>,
    retention: Retention,
    /// A record of the popup was taken; the same as long as the process runs.
    used: Arc<AtomicBool>,
}

impl InForce {
    fn new(mode: Mode, terms: &Terms, mark: Option<Mark>, window: Option<&Window>) -> Self {
        Self {
            mode,
            mark,
            plan: plan(terms),
            rules: Arc::new(compile::access(terms, mark)),
            retention: Retention::new(terms, window),
            used: Arc::default(),
        }
    }
}

impl Running {
    /// What is kept of a popup's events; `None` where no policy says anything. A record is taken under it.
    pub(crate) fn plan(&self, popup: &PopupId) -> Option<&Plan> {
        let own = self.popups.get(popup);
        if let Some(own) = own
            && !own.used.load(Ordering::Relaxed)
        {
            own.used.store(true, Ordering::Relaxed);
        }
        own.or(self.others.as_ref()).map(|in_force| &in_force.plan)
    }

    /// How long the keys of a popup live.
    pub(crate) fn retention(&self, popup: &PopupId) -> Retention {
        let in_force = self.popups.get(popup).or(self.others.as_ref());
        in_force.map_or_else(
            || Retention::new(&Terms::built_in(), None),
            |in_force| in_force.retention,
        )
    }

    /// How long what belongs to each popup with a policy stays.
    pub(crate) fn retentions(&self) -> impl Iterator<Item = (&PopupId, Retention)> {
        let popups = self.popups.iter();
        popups.map(|(popup, in_force)| (popup, in_force.retention))
    }

    /// What may be asked of a popup; `None` where no policy says anything.
    pub(crate) fn rules(&self, popup: Option<&str>) -> Option<Arc<Rules>> {
        let own = popup.and_then(|popup| PopupId::new(popup).ok());
        let own = own.and_then(|popup| self.popups.get(&popup));
        let in_force = own.or(self.others.as_ref());
        in_force.map(|in_force| Arc::clone(&in_force.rules))
    }
}

impl Policies {
    /// Reads what was kept below `data`; blocks. What cannot be read is put aside and named in the log.
    pub(crate) fn open(
        data: &Path,
        org_key: Option<PublicKey>,
        access: &Access,
        ambient: &Ambient,
    ) -> Self {
        let policies = Self(Arc::new(Shared {
            org: access.org().to_owned(),
            org_key,
            data: data.to_path_buf(),
            held: Mutex::default(),
            running: RwLock::default(),
            stated: watch::Sender::default(),
            counted: Counted::default(),
            trail: OnceLock::new(),
            vitals: OnceLock::new(),
            under: Mutex::default(),
            access: access.clone(),
            ambient: ambient.clone(),
        }));
        let shared = &policies.0;
        let mut held = shared.held();
        shared.read_floor(&mut held);
        shared.read_shelves(&mut held);
        let died = shared.found_dead();
        let clean = died.is_none();
        let now_ms = ambient.wall_ms();
        let mut changed = Vec::new();
        for shelf in held.shelves.values_mut() {
            if shelf.see(Seen::Started { clean }, now_ms) {
                changed.push(shelf.clone());
            }
        }
        for shelf in &changed {
            shared.keep_or_say(shelf);
        }
        if died.is_some() {
            // It counts once, whatever becomes of this start.
            drop(std::fs::remove_file(shared.folder().join(UNDER)));
        }
        shared.publish(&held);
        drop(held);
        policies
    }

    /// The trail that policies are written to, from now on.
    pub(crate) fn set_trail(&self, trail: &Trail) {
        drop(self.0.trail.set(trail.clone()));
    }

    /// Shows on the till's own page how it stands, from now on.
    pub(crate) fn show(&self, vitals: &watch::Sender<Vitals>) {
        drop(self.0.vitals.set(vitals.clone()));
        let held = self.0.held();
        self.0.publish(&held);
    }

    /// What runs.
    pub(crate) fn running(&self) -> Arc<Running> {
        let running = self.0.running.read();
        Arc::clone(&running.unwrap_or_else(PoisonError::into_inner))
    }

    /// What redaction did to some events.
    pub(crate) fn redacted(&self, events: usize, counts: &Counts) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        let all = [events, counts.errors, counts.residual];
        for (sum, more) in self.0.counted.0.iter().zip(all) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Takes a bundle that somebody brought, and makes it durable; blocks. `by` is who, for the trail.
    pub(crate) fn offer(&self, bytes: &[u8], by: &str) -> Result<Taken, Refused> {
        let shared = &self.0;
        let bundle = Bundle::read(bytes)?;
        let now_ms = shared.ambient.wall_ms();
        let Some(org_key) = &shared.org_key else {
            let code = Code::PolicySignerUnknown;
            let what = "this machine was never enrolled and has no ledger, so it believes nobody";
            let what = what.to_owned();
            return Err(Refused::Policy(None, bundle.mark(), Refusal { code, what }));
        };
        let mut held = shared.held();
        let taken = match bundle.policy.get("kind").and_then(Json::as_str) {
            Some(kind) if kind == DocumentKind::OrgFloor.text() => {
                shared.take_floor(&mut held, bundle, org_key, now_ms)
            }
            _ => shared.take_popup(&mut held, &bundle, org_key, now_ms),
        };
        match &taken {
            Ok(taken) if taken.outcome == Outcome::Known => {}
            Ok(taken) => {
                shared.mark_running(&held);
                shared.publish(&held);
                let (version, outcome) = (taken.mark.version, taken.outcome.text());
                let popup = taken.popup.as_ref().map_or("-", PopupId::as_str);
                tracing::info!(popup, version, outcome, "a policy was taken");
                shared.write_down(by, popup, Some(taken.mark), outcome, None);
            }
            Err(Refused::Policy(popup, mark, refusal)) => {
                let (code, why) = (refusal.code, &refusal.what);
                let popup = popup.as_ref().map_or("-", PopupId::as_str);
                tracing::warn!(%code, popup, why, "a policy was refused");
                shared.write_down(by, popup, *mark, "refused", Some(code));
            }
            Err(Refused::Disk(fault)) => {
                let code = Code::NotDurable;
                tracing::error!(%code, %fault, "a policy could not be kept, so it does not run");
            }
        }
        taken
    }

    /// What is held of a popup, as it is told to people and to rigs, and the tag that names it.
    pub(crate) fn told(&self, popup: &PopupId) -> (Json, String) {
        let held = self.0.held();
        let running = self.running();
        let fresh = Shelf::new(popup.clone());
        let shelf = held.shelves.get(popup).unwrap_or(&fresh);
        let in_force = running.popups.get(popup).or(running.others.as_ref());
        let mode = in_force.map_or(Mode::BuiltIn, |one| one.mode);
        let mark = |mark: Option<Mark>| {
            mark.map(|mark| json!({"version": mark.version, "digest": mark.digest.to_string()}))
        };
        let attempts = shelf.attempts().iter().map(|attempt| {
            json!({
                "version": attempt.mark.map(|mark| mark.version),
                "digest": attempt.mark.map(|mark| mark.digest.to_string()),
                "at_ms": attempt.at_ms,
                "outcome": attempt.outcome,
                "reason": attempt.reason,
            })
        });
        let documents = json!({
            "floor": held.floor.as_ref().map(|floor| &floor.0),
            "bundles": shelf.bundles().collect::<Vec<_>>(),
        });
        let tag = Value::text(documents.to_string()).digest();
        let told = json!({
            "popup": popup.as_str(),
            "mode": mode.text(),
            "running": mark(in_force.and_then(|one| one.mark)),
            "desired": mark(shelf.newest().map(Verified::mark)),
            "last_good": mark(shelf.last_good()),
            "expires_ms": shelf.newest().map(|newest| newest.policy().head.expires_ms),
            "trial_until_ms": match shelf.phase() {
                Phase::Trial { until_ms, .. } => Some(until_ms),
                Phase::Good | Phase::FellBack(_) | Phase::Restricted(_) => None,
            },
            "residual": self.0.counted.now()[2],
            "attempts": attempts.collect::<Vec<_>>(),
            "floor": documents["floor"],
            "bundles": documents["bundles"],
        });
        (told, Digest(tag).to_string())
    }

    /// Looks around every other second for as long as it runs.
    pub(crate) async fn tended(self) {
        loop {
            let policies = self.clone();
            let looked = tokio::task::spawn_blocking(move || policies.look_around()).await;
            if looked.is_err() {
                tracing::error!("looking after policies ended early");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All roles are up: if the process dies from now on, the next start counts that.
    pub(crate) fn began(&self) {
        self.0.mark_running(&self.0.held());
    }

    /// The process ends as it was told to.
    pub(crate) fn stopped(&self) {
        if self.0.under().take().is_some() {
            // Where it stays, the next start counts a death: that can only make what runs stricter.
            drop(std::fs::remove_file(self.0.folder().join(UNDER)));
        }
    }

    /// Takes what lies in the inbox, and sees what time and redaction changed; blocks.
    pub(crate) fn look_around(&self) {
        let shared = &self.0;
        self.empty_inbox();
        let mut held = shared.held();
        let running = self.running();
        if running.popups.is_empty() && running.others.is_none() {
            return;
        }
        let now_ms = shared.ambient.wall_ms();
        let counted = shared.counted.now();
        let mut changed = Vec::new();
        let Held { shelves, since, .. } = &mut *held;
        for (popup, shelf) in shelves {
            let in_force = running.popups.get(popup);
            let is_used = in_force.is_some_and(|one| one.used.load(Ordering::Relaxed));
            let from = since.get(popup).copied().unwrap_or_default();
            let [events, errors, residual] =
                [0, 1, 2].map(|at| counted[at].saturating_sub(from[at]));
            let seen = Seen::Redacted {
                events,
                errors,
                residual,
            };
            let is_new = is_used && shelf.take_use();
            if shelf.see(seen, now_ms) || is_new {
                changed.push(shelf.clone());
            }
        }
        for shelf in &changed {
            shared.keep_or_say(shelf);
        }
        shared.publish(&held);
    }

    fn empty_inbox(&self) {
        let Ok(names) = std::fs::read_dir(self.0.data.join(INBOX)) else {
            return;
        };
        let paths = names.filter_map(|name| Some(name.ok()?.path()));
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "json")) {
            let too_large = |len: u64| len > POLICY_BUNDLE_BYTES_MAX as u64;
            let bytes = match std::fs::metadata(&path) {
                Ok(of) if too_large(of.len()) => Vec::new(),
                Ok(_) => std::fs::read(&path).unwrap_or_default(),
                Err(_) => continue,
            };
            let done = match self.offer(&bytes, LOCAL) {
                Ok(_) => std::fs::remove_file(&path),
                Err(Refused::Policy(..)) => {
                    std::fs::rename(&path, path.with_extension("json.refused"))
                }
                Err(Refused::Disk(_)) => Ok(()),
            };
            if let Err(fault) = done {
                tracing::warn!(%fault, file = %path.display(), "the inbox cannot be cleared");
            }
        }
    }
}

/// A bundle that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The popup; none for the floor of the organisation.
    pub(crate) popup: Option<PopupId>,
    /// Which document.
    pub(crate) mark: Mark,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

/// Why a bundle was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It does not pass the checks.
    Policy(Option<PopupId>, Option<Mark>, Refusal),
    /// It could not be made durable.
    Disk(io::Error),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(None, None, refusal)
    }
}

impl Counted {
    fn now(&self) -> [u64; 3] {
        [0, 1, 2].map(|at| self.0[at].load(Ordering::Relaxed))
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

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.json"))
    }

    fn take_floor(
        &self,
        held: &mut Held,
        bundle: Bundle,
        org_key: &PublicKey,
        now_ms: i64,
    ) -> Result<Taken, Refused> {
        let floor = held.floor.as_ref().map(|floor| &floor.1);
        let refused = |refusal| Refused::Policy(None, bundle.mark(), refusal);
        let accepted = accept_floor(&bundle, &self.trust(org_key, floor), now_ms);
        let accepted = accepted.map_err(refused)?;
        let Some(verified) = accepted else {
            let mark = floor.map(Verified::mark).expect("what is known is held");
            return Ok(Taken {
                popup: None,
                mark,
                outcome: Outcome::Known,
            });
        };
        keep(&self.file(FLOOR), bundle.to_json().as_bytes()).map_err(Refused::Disk)?;
        let mark = verified.mark();
        held.floor = Some((bundle, verified));
        held.floor_is_damaged = false;
        Ok(Taken {
            popup: None,
            mark,
            outcome: Outcome::Accepted,
        })
    }

    fn trust<'a>(&'a self, org_key: &'a PublicKey, floor: Option<&'a Verified>) -> Trust<'a> {
        Trust {
            org: &self.org,
            org_key,
            floor,
        }
    }

    fn take_popup(
        &self,
        held: &mut Held,
        bundle: &Bundle,
        org_key: &PublicKey,
        now_ms: i64,
    ) -> Result<Taken, Refused> {
        let named = bundle.policy.get("popup").and_then(Json::as_str);
        let Some(popup) = named.and_then(|name| PopupId::new(name).ok()) else {
            let refusal = Refusal {
                code: Code::PolicyForeign,
                what: String::from("the document names no popup"),
            };
            return Err(Refused::Policy(None, bundle.mark(), refusal));
        };
        let known = held.shelves.get(&popup);
        if known.is_none() && held.shelves.len() >= REGION_POPUPS_MAX {
            let refusal = Refusal {
                code: Code::PolicyUnfit,
                what: format!("policies of {REGION_POPUPS_MAX} popups are held already"),
            };
            return Err(Refused::Policy(Some(popup), bundle.mark(), refusal));
        }
        let mut shelf = known.cloned().unwrap_or_else(|| Shelf::new(popup.clone()));
        let in_use = self.running.read();
        let in_use = in_use.unwrap_or_else(PoisonError::into_inner);
        if in_use
            .popups
            .get(&popup)
            .is_some_and(|one| one.used.load(Ordering::Relaxed))
        {
            shelf.take_use();
        }
        drop(in_use);
        let floor = held.floor.as_ref().map(|floor| &floor.1);
        let offered = shelf.offer(bundle, &self.trust(org_key, floor), now_ms);
        let outcome = match offered {
            Ok(outcome) => outcome,
            Err(refusal) => {
                // Only a popup that has a policy has a page on which the attempt is told.
                if known.is_some() {
                    held.shelves.insert(popup.clone(), shelf);
                }
                return Err(Refused::Policy(Some(popup), bundle.mark(), refusal));
            }
        };
        let mark = bundle.mark().expect("what is accepted has a note");
        if outcome != Outcome::Known {
            keep(&self.file(popup.as_str()), &shelf.to_json()).map_err(Refused::Disk)?;
            held.since.insert(popup.clone(), self.counted.now());
            held.damaged.remove(&popup);
            held.shelves.insert(popup.clone(), shelf);
        }
        Ok(Taken {
            popup: Some(popup),
            mark,
            outcome,
        })
    }

    /// Says what runs from now on.
    fn publish(&self, held: &Held) {
        let now_ms = self.ambient.wall_ms();
        let floor = held.floor.as_ref().map(|floor| &floor.1);
        let mut popups = BTreeMap::new();
        let restricted = |mark| InForce::new(Mode::Restricted, &Terms::restricted(), mark, None);
        for (popup, shelf) in &held.shelves {
            let (mode, terms, mark) = shelf.running(floor, now_ms);
            if held.floor_is_damaged {
                popups.insert(popup.clone(), restricted(mark));
                continue;
            }
            let window = shelf
                .newest()
                .and_then(|one| one.policy().carried.window.as_ref());
            let region = window.and_then(|window| Region::new(&window.phone_region));
            let mut in_force = InForce::new(mode, &terms, mark, window);
            in_force.plan = in_force.plan.in_region(region);
            popups.insert(popup.clone(), in_force);
        }
        for popup in &held.damaged {
            popups.insert(popup.clone(), restricted(None));
        }
        let others = match floor {
            Some(floor) => {
                let terms = Terms::built_in().join(&floor.policy().terms);
                Some(InForce::new(Mode::BuiltIn, &terms, None, None))
            }
            None => held.floor_is_damaged.then(|| restricted(None)),
        };
        self.state(held);
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        for (popup, in_force) in &mut popups {
            let before = running.popups.get(popup);
            if let Some(before) = before {
                in_force.used = Arc::clone(&before.used);
            }
            let was = before.map_or(Mode::BuiltIn, |one| one.mode);
            if was != in_force.mode {
                let (popup, mode) = (popup.as_str(), in_force.mode.text());
                match in_force.mode {
                    Mode::BuiltIn | Mode::InForce => {
                        tracing::info!(popup, mode, "another policy runs");
                    }
                    Mode::Grace | Mode::FellBack | Mode::Restricted => {
                        let code = Code::PolicyUnfit;
                        tracing::warn!(%code, popup, mode, "the newest policy does not run as it is");
                    }
                }
            }
        }
        *running = Arc::new(Running { popups, others });
        let runs = Arc::clone(&running);
        drop(running);
        self.tell(held, &runs);
        self.access.obey(runs);
    }

    /// Tells the page of the popup that is worst off.
    fn tell(&self, held: &Held, running: &Running) {
        let Some(vitals) = self.vitals.get() else {
            return;
        };
        let own = running.popups.iter().map(|(popup, one)| (Some(popup), one));
        let all = own.chain(running.others.iter().map(|one| (None, one)));
        let told = all.max_by_key(|(_, one)| one.mode).map(|(popup, one)| {
            let shelf = popup.and_then(|popup| held.shelves.get(popup));
            let newest = shelf.and_then(Shelf::newest);
            vitals::Policy {
                desired: newest.map(|newest| newest.mark().version),
                running: one.mark.map(|mark| mark.version),
                mode: Some(one.mode.text()),
            }
        });
        vitals.send_if_modified(|vitals| {
            let is_new = vitals.policy != told;
            vitals.policy = told;
            is_new
        });
    }

    fn under(&self) -> MutexGuard<'_, Option<File>> {
        self.under.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of a process that died; `None` where there is none, or another process still runs.
    fn found_dead(&self) -> Option<File> {
        let file = File::open(self.folder().join(UNDER)).ok()?;
        file.try_lock().ok()?;
        Some(file)
    }

    /// Leaves the mark by which the next start knows that this one died.
    fn mark_running(&self, held: &Held) {
        let mut under = self.under();
        if held.shelves.is_empty() || under.is_some() {
            return;
        }
        let marked = File::create(self.folder().join(UNDER)).and_then(|file| {
            file.try_lock()?;
            File::open(self.folder())?.sync_all()?;
            Ok(file)
        });
        match marked {
            Ok(file) => *under = Some(file),
            Err(fault) => {
                tracing::warn!(%fault, "a death would not be counted against the policy on trial");
            }
        }
    }

    fn keep_or_say(&self, shelf: &Shelf) {
        let popup = shelf.popup().as_str();
        if let Err(fault) = keep(&self.file(popup), &shelf.to_json()) {
            tracing::error!(code = %Code::NotDurable, popup, %fault, "how a policy stands could not be kept");
        }
    }

    fn read_floor(&self, held: &mut Held) {
        let path = self.file(FLOOR);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                held.floor_is_damaged = aside_of(&path).exists();
                return;
            }
            Err(_) => Vec::new(),
        };
        held.floor = Bundle::read(&bytes).ok().and_then(|bundle| {
            let verified = Verified::kept(&bundle, DocumentKind::OrgFloor)?;
            Some((bundle, verified))
        });
        if held.floor.is_none() {
            held.floor_is_damaged = true;
            put_aside(&path);
        }
    }

    fn read_shelves(&self, held: &mut Held) {
        let Ok(names) = std::fs::read_dir(self.folder()) else {
            return;
        };
        let names: Vec<String> = names
            .filter_map(|name| name.ok()?.file_name().into_string().ok())
            .collect();
        let popup_of = |name: &str, end: &str| {
            let name = name.strip_suffix(end)?;
            PopupId::new(name).ok()
        };
        for popup in names.iter().filter_map(|name| popup_of(name, ".json")) {
            let path = self.file(popup.as_str());
            let bytes = std::fs::read(&path).unwrap_or_default();
            match Shelf::from_json(&bytes, &popup) {
                Some(shelf) => drop(held.shelves.insert(popup, shelf)),
                None => {
                    put_aside(&path);
                    held.damaged.insert(popup);
                }
            }
        }
        let before = names
            .iter()
            .filter_map(|name| popup_of(name, ".json.damaged"));
        let before = before.filter(|popup| !held.shelves.contains_key(popup));
        held.damaged.extend(before.collect::<Vec<_>>());
    }

    fn write_down(
        &self,
        by: &str,
        popup: &str,
        mark: Option<Mark>,
        outcome: &str,
        code: Option<Code>,
    ) {
        let Some(trail) = self.trail.get() else {
            return;
        };
        let digest = mark.map_or_else(String::new, |mark| mark.digest.to_string());
        let version = mark.map_or(0, |mark| i64::from(mark.version));
        let detail = Value::map([
            ("digest", Value::text(&digest)),
            ("outcome", Value::text(outcome)),
            ("version", Value::number(version)),
        ]);
        let entry = audit::Entry {
            actor: by.to_owned(),
            decision: match code {
                None => Decision::Allowed,
                Some(_) => Decision::Denied,
            },
            reason: code.map_or_else(String::new, |code| code.to_string()),
            ..trail.entry(audit::Action::PolicyBrought, popup, detail)
        };
        if let Err(fault) = trail.write(&entry) {
            tracing::error!(code = %fault.code(), %fault, "a policy could not be written down");
        }
    }
}

fn aside_of(path: &Path) -> PathBuf {
    path.with_extension(format!("json.{DAMAGED}"))
}

fn put_aside(path: &Path) {
    let moved = std::fs::rename(path, aside_of(path));
    tracing::error!(
        code = %Code::PolicyDigestWrong,
        file = %path.display(),
        moved = moved.is_ok(),
        "a kept policy is damaged and was put aside; its popup keeps facts alone until it is brought again"
    );
}
