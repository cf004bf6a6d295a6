//! Who may call: one guard per listener looks at each request before any handler does.
//!
//! ```text
//! request ─► its route's need ─► open? local? ─► pass or session ─► signature, checks, revoked?
//!                                                        └─► second factor ─► the table ─► handler
//! ```
//!
//! What always holds: a route that is not in the table of needs is served to nobody beyond loopback; a
//! refusal names its code and never what the pass says; where org is `local`, whoever sits at the machine
//! needs a pass only for single records, policy and passes.

pub mod desk;
mod files;

pub(crate) use files::{keep, note_preflight};
mod sessions;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use popwatch_core::access::raw::Mfa;
use popwatch_core::access::{
    Action, Ask, Denial, Disclosure, Rules, Scope, Subject, Target, decide,
};
use popwatch_core::code::Code;
use popwatch_core::ledger::close::Value;
use popwatch_wire::audit;
use popwatch_wire::feed_v1::Audience;
use popwatch_wire::pass::account::{Accounts, CodeFault};
use popwatch_wire::pass::revoked::Revoked;
use popwatch_wire::pass::{
    self, AccessKey, AccessPublic, Circumstances, Network, Opened, PassFault,
};
use popwatch_wire::problem::Problem;
use popwatch_wire::routes::{self, Need, Shows};

use self::files::Files;
use self::sessions::{Session, Sessions};
use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::config::{AccessConfig, Config, ConfigFault};
use crate::policies::Running;
use crate::tls::Line;

/// Between two looks at what commands changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a pass lasts that a process signs for itself.
const OWN_PASS_MS: i64 = 400 * 86_400_000;
/// The organisation of whoever never named one.
pub(crate) const LOCAL_ORG: &str = "local";
/// The header that brings a code of the second factor with a request.
pub(crate) const CODE: &str = "popwatch-code";
/// The cookie of a session.
const COOKIE: &str = "popwatch_session";

/// What the guards of one process share.
#[derive(Debug, Clone)]
pub(crate) struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    org: String,
    key: Option<AccessPublic>,
    /// What signs passes, where they are issued: there the list of revoked ones is never old.
    home: Option<AccessKey>,
    /// The pass that this process was given for its peers.
    own_pass: Option<String>,
    plain_lan: bool,
    files: Files,
    held: Mutex<Held>,
    /// The built-in rules, for popups of which no policy says anything.
    rules: Arc<Rules>,
    obeyed: RwLock<Arc<Running>>,
    ambient: Ambient,
    trail: OnceLock<Trail>,
}

#[derive(Debug, Default)]
struct Held {
    accounts: Accounts,
    revoked: Revoked,
    sessions: Sessions,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever sits at this machine, or asks what is open to all.
    Here,
    /// The holder of a pass.
    Holder(Box<Holder>),
}

/// A pass that verified, and how fresh its holder's second factor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Whom the pass speaks of.
    pub(crate) subject: Subject,
    /// Their second factor.
    pub(crate) mfa: Option<Mfa>,
    /// When the pass ends, ms since 1970.
    pub(crate) expires_ms: i64,
    /// Whose amounts a board tells them.
    pub(crate) disclosure: Disclosure,
}

impl Caller {
    /// Whether they may see something of this popup in a list.
    pub(crate) fn sees(&self, popup: &str) -> bool {
        match self {
            Self::Here => true,
            Self::Holder(holder) => {
                let own = holder.subject.popup.as_deref();
                own.is_none_or(|own| own == popup)
            }
        }
    }

    /// The creator whose own alone they may see.
    pub(crate) fn creator(&self) -> Option<&str> {
        match self {
            Self::Holder(holder) if holder.subject.scope == Scope::Creator => {
                Some(&holder.subject.extent)
            }
            Self::Here | Self::Holder(_) => None,
        }
    }

    /// Whose amounts of money a board tells them.
    pub(crate) fn disclosure(&self) -> Disclosure {
        match self {
            Self::Here => Disclosure::Whole,
            Self::Holder(holder) => holder.disclosure.clone(),
        }
    }

    /// Whether they showed a pass.
    pub(crate) const fn has_pass(&self) -> bool {
        matches!(self, Self::Holder(_))
    }

    /// Refuses a rig's batch that another rig's pass brings.
    pub(crate) fn brings(&self, rig: &str) -> Result<(), Problem> {
        match self {
            Self::Holder(holder) if holder.subject.extent != rig => Err(Problem::new(
                Code::ScopeRefused,
                "the pass is of another rig",
            )),
            Self::Here | Self::Holder(_) => Ok(()),
        }
    }
}

impl Access {
    /// Reads keys, accounts and revoked passes below the data directory; blocks. Without a key no pass
    /// is taken.
    pub(crate) fn open(config: &Config, ambient: &Ambient) -> Result<Self, ConfigFault> {
        let AccessConfig {
            org,
            key,
            plain_lan,
            pass_file,
        } = &config.access;
        let files = Files::new(&config.data);
        // A till whose disk cannot be read starts all the same, and takes no pass that it cannot verify.
        let home = files.key().unwrap_or_else(|fault| {
            tracing::error!(%fault, "the access key cannot be read");
            None
        });
        let own_pass = pass_file.as_deref().map(|path| {
            let text = std::fs::read_to_string(path);
            text.map(|text| text.trim().to_owned())
                .map_err(|source| ConfigFault::Unreadable {
                    path: path.to_path_buf(),
                    source,
                })
        });
        let told = key.as_ref().map(|text| {
            AccessPublic::parse(text).ok_or_else(|| ConfigFault::Value {
                field: String::from("access.key"),
                problem: String::from("must be what popwatch access keygen prints"),
            })
        });
        let told = told.transpose()?;
        let signs = home.as_ref().map(AccessKey::public);
        let access = Self(Arc::new(Shared {
            org: org.clone(),
            key: told.or(signs),
            home: home.filter(|_| told.is_none() || told == signs),
            own_pass: own_pass.transpose()?,
            plain_lan: *plain_lan,
            files,
            held: Mutex::default(),
            rules: Arc::default(),
            obeyed: RwLock::default(),
            ambient: ambient.clone(),
            trail: OnceLock::new(),
        }));
        access.look_around();
        Ok(access)
    }

    /// The pass that this process shows to a peer it calls as `scope`: the one it was given, or one it
    /// signs itself. `None` where passes are not used.
    pub(crate) fn own_pass(&self, scope: Scope, rig: &str) -> Option<String> {
        let shared = &self.0;
        if shared.own_pass.is_some() || shared.org == LOCAL_ORG {
            return shared.own_pass.clone();
        }
        let subject = Subject {
            org: shared.org.clone(),
            pass: String::from("own"),
            actor: String::from("popwatch"),
            scope,
            extent: rig.to_owned(),
            members: Vec::new(),
            popup: None,
        };
        let now_ms = shared.ambient.wall_ms();
        let until_ms = now_ms.saturating_add(OWN_PASS_MS);
        let seed = shared.ambient.random();
        let pass = pass::issue(shared.home.as_ref()?, &subject, now_ms, until_ms, &seed);
        pass.inspect_err(|fault| tracing::error!(%fault, "no pass for the peers"))
            .ok()
    }

    /// The trail that refusals are written to, from now on.
    pub(crate) fn set_trail(&self, trail: &Trail) {
        drop(self.0.trail.set(trail.clone()));
    }

    /// The organisation whose passes are taken.
    pub(crate) fn org(&self) -> &str {
        &self.0.org
    }

    /// Asks by these policies from now on.
    pub(crate) fn obey(&self, running: Arc<Running>) {
        *self
            .0
            .obeyed
            .write()
            .unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// The rules in force for what is asked of a popup.
    pub(crate) fn rules(&self, popup: Option<&str>) -> Arc<Rules> {
        let obeyed = self.0.obeyed.read().unwrap_or_else(PoisonError::into_inner);
        let of_policy = obeyed.rules(popup);
        of_policy.unwrap_or_else(|| Arc::clone(&self.0.rules))
    }

    /// Reads again what commands changed, and writes what they did into the trail; blocks.
    pub(crate) fn look_around(&self) {
        let shared = &self.0;
        if let Some(revoked) = shared.files.revoked() {
            shared.held().revoked = revoked;
        }
        if let Some(accounts) = shared.files.accounts() {
            shared.held().accounts = accounts;
        }
        if let Some(trail) = shared.trail.get() {
            shared.files.deliver(trail);
        }
    }

    /// Looks around every other second for as long as it runs.
    pub(crate) async fn tended(self) {
        loop {
            let access = self.clone();
            if tokio::task::spawn_blocking(move || access.look_around())
                .await
                .is_err()
            {
                tracing::error!("looking after passes ended early");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The guard of a listener. `rig` is whose edge it is.
    pub(crate) fn guard(&self, rig: Option<&str>) -> Guard {
        Guard {
            access: self.clone(),
            rig: rig.map(Into::into),
            is_enrolled: false,
            is_free: false,
            network: Network::Lan,
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        // What it holds is whole between any two statements.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands before the routes of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    access: Access,
    rig: Option<Arc<str>>,
    is_enrolled: bool,
    is_free: bool,
    network: Network,
}

/// What a guard reads of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

impl Guard {
    /// The guard of a till that was enrolled, or was not. An enrolled machine's checkout and page need
    /// no pass on that machine: whoever sits there could read the pass that they would show.
    pub(crate) fn of_enrolled(self, is_enrolled: bool) -> Self {
        Self {
            is_enrolled,
            ..self
        }
    }

    /// The guard of one connection: whoever calls from this machine sits at it, whatever address it
    /// listens on.
    pub(crate) fn on(&self, line: &Line) -> Self {
        let is_here = line.peer.ip().to_canonical().is_loopback();
        Self {
            is_free: is_here && (self.is_enrolled || self.access.0.org == LOCAL_ORG),
            network: match (is_here, line.is_encrypted) {
                (true, _) => Network::Loopback,
                (false, true) => Network::Tls,
                (false, false) => Network::Lan,
            },
            ..self.clone()
        }
    }

    /// Lets a request through, and says who brings it. A peer that proved its key needs no pass on the
    /// lanes: whose key it is the register says there.
    pub(crate) async fn admit(&self, asked: &Asked<'_>, line: &Line) -> Result<Caller, Problem> {
        let method = match *asked.method {
            Method::POST => Some(routes::Method::Post),
            Method::GET | Method::HEAD => Some(routes::Method::Get),
            _ => None,
        };
        let found = method.and_then(|method| routes::find(method, asked.path));
        let Some(found) = found else {
            let is_ours = ["/v1", "/audit"]
                .iter()
                .any(|own| asked.path.starts_with(own));
            return match is_ours && !self.is_free {
                true => Err(Problem::new(
                    Code::PathUnknown,
                    "there is no such path here",
                )),
                false => Ok(Caller::Here),
            };
        };
        let (action, shows) = match routes::need(found.route.method, found.route.path) {
            Some(Need::Open) => return Ok(Caller::Here),
            Some(Need::To(action, shows)) => (action, shows),
            None => {
                return Err(Problem::new(
                    Code::PathUnknown,
                    "there is no such path here",
                ));
            }
        };
        if self.is_free && action.is_free_locally() {
            return Ok(Caller::Here);
        }
        let has_pass = asked.headers.contains_key(header::AUTHORIZATION);
        // Which policy a rig obeys the register's own handler tells to members.
        let is_for_members = self.rig.is_none() && routes::is_for_members(found.route);
        let needs_key = routes::is_lane(found.route) || is_for_members;
        if line.key.is_some() && needs_key && !has_pass {
            return Ok(Caller::Here);
        }
        let (action, target) = self.target(action, shows, &found, asked.query);
        let mut holder = self
            .holder(asked.headers, Some(action), found.popup)
            .await?;
        self.judge(&holder, action, found.popup, target).await?;
        if target == Target::Whole || self.sees_whole(asked.headers, found.popup) {
            holder.disclosure = Disclosure::Whole;
        }
        Ok(Caller::Holder(Box::new(holder)))
    }

    /// What a route shows of a popup, as the table knows it.
    fn target<'a>(
        &'a self,
        action: Action,
        shows: Shows,
        found: &routes::Found<'a>,
        query: Option<&str>,
    ) -> (Action, Target<'a>) {
        let target = match shows {
            Shows::Whole => Target::Whole,
            Shows::Board => Target::Board,
            Shows::Creator => Target::Creator(found.creator.unwrap_or_default()),
            Shows::OwnRig => self.rig.as_deref().map_or(Target::OwnRig, Target::Rig),
            Shows::Own => Target::Own,
            Shows::Feed => return feed(query),
        };
        (action, target)
    }

    /// Who brings a request: by its pass or its session.
    pub(crate) async fn holder(
        &self,
        headers: &HeaderMap,
        action: Option<Action>,
        popup: Option<&str>,
    ) -> Result<Holder, Problem> {
        let (opened, session) = self.opened(headers, action, popup)?;
        let now_ns = self.access.0.ambient.mono_ns();
        let mut mfa = session.and_then(|session| session.mfa(now_ns));
        if let Some(code) = headers.get(CODE) {
            let code = code.to_str().unwrap_or_default().to_owned();
            mfa = Some(self.take_code(&opened.subject, code).await?);
        }
        Ok(Holder {
            disclosure: opened.subject.own_disclosure(),
            subject: opened.subject,
            mfa,
            expires_ms: opened.expires_ms,
        })
    }

    /// The pass that a request brings, by itself or by its session.
    fn opened(
        &self,
        headers: &HeaderMap,
        action: Option<Action>,
        popup: Option<&str>,
    ) -> Result<(Opened, Option<Session>), Problem> {
        let session =
            session_of(headers).and_then(|name| self.access.0.held().sessions.get(name).cloned());
        let text = bearer(headers).or(session.as_ref().map(|session| &*session.pass));
        let Some(text) = text else {
            let says =
                "a pass is needed: Authorization: Bearer pw1..., or a session begun with one";
            return Err(Problem::new(Code::PassInvalid, says));
        };
        let opened = self.open(text, action, popup)?;
        Ok((opened, session))
    }

    /// Whether whoever asks for less might see the popup's sums as well.
    fn sees_whole(&self, headers: &HeaderMap, popup: Option<&str>) -> bool {
        let action = Action::ViewSummary;
        let ask = Ask {
            action,
            popup,
            target: Target::Whole,
            step_up_age_ms: None,
        };
        self.opened(headers, Some(action), popup)
            .is_ok_and(|(opened, _)| {
                decide(&self.access.rules(popup), &opened.subject, &ask).is_ok()
            })
    }

    /// Opens a pass under what is known of the request.
    fn open(
        &self,
        text: &str,
        action: Option<Action>,
        popup: Option<&str>,
    ) -> Result<Opened, Problem> {
        let shared = &self.access.0;
        let says = |fault: &PassFault| {
            let detail = format!("the pass is not taken: {fault}");
            Problem::new(fault.code(), detail)
        };
        let key = shared.key.ok_or_else(|| {
            let fault = "this popwatch knows no access key; popwatch access keygen makes one";
            Problem::new(Code::PassInvalid, fault)
        })?;
        let at = Circumstances {
            now_ms: shared.ambient.wall_ms(),
            action,
            popup,
            rig: self.rig.as_deref(),
            network: self.network,
        };
        let opened = pass::open(text, &key, &at).map_err(|fault| says(&fault))?;
        if opened.subject.org != shared.org {
            let fault = "the pass is of another organisation";
            return Err(Problem::new(Code::PassInvalid, fault));
        }
        if shared.held().revoked.has(&opened) {
            let fault = "the pass was revoked; ask whoever gave it for another";
            return Err(Problem::new(Code::PassRevoked, fault));
        }
        Ok(opened)
    }

    /// Whether the table, the network and the list of revoked passes let a holder do it. What is refused
    /// and matters is written down.
    async fn judge(
        &self,
        holder: &Holder,
        action: Action,
        popup: Option<&str>,
        target: Target<'_>,
    ) -> Result<(), Problem> {
        let shared = &self.access.0;
        let is_plain = self.network == Network::Lan;
        let is_lane = action == Action::Ingest && !shared.plain_lan;
        if is_plain && !action.is_view() && !is_lane {
            let says = "over an unencrypted network popwatch only shows; come over TLS or from the \
                        machine itself";
            return Err(Problem::new(Code::PlainRefused, says));
        }
        let is_old = || shared.held().revoked.is_old(shared.ambient.wall_ms());
        if action.is_grave() && shared.home.is_none() && is_old() {
            let says =
                "the list of revoked passes is older than a day; let this rig reach its ledger";
            return Err(Problem::new(Code::RevokedListOld, says));
        }
        let ask = Ask {
            action,
            popup,
            target,
            step_up_age_ms: holder.mfa.map(|mfa| mfa.age_ms),
        };
        let Err(denial) = decide(&self.access.rules(popup), &holder.subject, &ask) else {
            return Ok(());
        };
        if action.is_grave() || denial == Denial::SecondFactor {
            let detail = Value::map([("action", Value::text(action.text()))]);
            let did = match (action, denial) {
                (Action::RawRead, _) => audit::Action::RawRead,
                (_, Denial::SecondFactor) => audit::Action::StepUp,
                (_, _) => audit::Action::Refused,
            };
            self.write_down(did, &holder.subject, popup, denial.code(), detail)
                .await;
        }
        let remedy = match denial {
            Denial::SecondFactor => "; post one to /v1/session, or send it as popwatch-code",
            Denial::Scope
            | Denial::Policy
            | Denial::Popup
            | Denial::Extent
            | Denial::Purpose
            | Denial::Window => "",
        };
        Err(Problem::new(denial.code(), format!("{denial}{remedy}")))
    }

    /// Takes a code of the second factor; what changed of the account is durable before it counts.
    pub(crate) async fn take_code(&self, subject: &Subject, typed: String) -> Result<Mfa, Problem> {
        let shared = Arc::clone(&self.access.0);
        let actor = subject.actor.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let now_ms = shared.ambient.wall_ms();
            let mut held = shared.held();
            // A command may have made this very factor just now.
            if let Some(accounts) = shared.files.accounts() {
                held.accounts = accounts;
            }
            let taken = held.accounts.take(&actor, &typed, now_ms);
            // A code whose use is not remembered could be used again.
            if taken != Err(CodeFault::Unknown) {
                shared.files.keep_accounts(&held.accounts)?;
            }
            Ok::<_, std::io::Error>(taken)
        });
        let unkept = |what: &str| {
            let detail = format!("the second factor cannot be looked at: {what}");
            Problem::new(Code::SecondFactorRefused, detail).with_status(503)
        };
        let taken = asked
            .await
            .map_err(|_| unkept("it ended early"))?
            .map_err(|_| unkept("its file cannot be written"))?;
        match taken {
            Ok(kind) => Ok(Mfa { kind, age_ms: 0 }),
            Err(fault) => {
                let detail = Value::map([("why", Value::text(fault.to_string()))]);
                let code = Code::SecondFactorRefused;
                self.write_down(audit::Action::StepUp, subject, None, code, detail)
                    .await;
                Err(Problem::new(code, fault.to_string()))
            }
        }
    }

    /// Begins a session; answers the cookie's value.
    pub(crate) fn begin(&self, pass: String, mfa: Option<Mfa>) -> String {
        let shared = &self.access.0;
        let name: [u8; 32] = shared.ambient.random();
        let name = popwatch_core::ledger::hex(&name);
        let session = Session::new(pass, mfa, shared.ambient.mono_ns());
        shared.held().sessions.begin(&name, session);
        name
    }

    /// Notes a fresh second factor in the session that the request brings.
    pub(crate) fn stepped_up(&self, headers: &HeaderMap, mfa: Mfa) {
        let now_ns = self.access.0.ambient.mono_ns();
        if let Some(name) = session_of(headers) {
            self.access.0.held().sessions.step_up(name, mfa, now_ns);
        }
    }

    /// Ends the session that the request brings.
    pub(crate) fn end(&self, headers: &HeaderMap) {
        if let Some(name) = session_of(headers) {
            self.access.0.held().sessions.end(name);
        }
    }

    /// Whether a session of this scope must begin with a code.
    pub(crate) fn begins_with_code(&self, scope: Scope) -> bool {
        pass::account::begins_with_code(scope)
    }

    /// The network this listener hears.
    pub(crate) const fn network(&self) -> Network {
        self.network
    }

    /// Whether who comes without a pass is whoever sits here.
    pub(crate) const fn is_free(&self) -> bool {
        self.is_free
    }

    /// How long a pass still lasts, s.
    pub(crate) fn lasts_s(&self, expires_ms: i64) -> i64 {
        (expires_ms - self.access.0.ambient.wall_ms()).max(0) / 1_000
    }

    /// Writes a refusal down. One that cannot be written is logged: nothing was shown.
    async fn write_down(
        &self,
        action: audit::Action,
        subject: &Subject,
        popup: Option<&str>,
        code: Code,
        detail: Value,
    ) {
        let Some(trail) = self.access.0.trail.get().cloned() else {
            tracing::warn!(%code, action = action.text(), "refused");
            return;
        };
        let mut entry = trail.entry(action, popup.unwrap_or_default(), detail);
        entry.actor.clone_from(&subject.actor);
        entry.decision = audit::Decision::Denied;
        entry.reason = code.to_string();
        entry.access = Some(Box::new(audit::Access::of(subject)));
        let written = tokio::task::spawn_blocking(move || trail.write(&entry).map(|_| ()));
        if let Ok(Err(fault)) = written.await {
            tracing::error!(code = %fault.code(), %fault, "a refusal could not be written down");
        }
    }
}

/// What a feed's `view` shows.
fn feed<'a>(query: Option<&str>) -> (Action, Target<'a>) {
    let view = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("view="))
        .filter(|view| Audience::named(view).is_some());
    match view {
        Some("board") => (Action::ViewBoard, Target::Board),
        Some("coop") => (Action::ViewCoop, Target::Whole),
        Some("rig") => (Action::ViewRig, Target::Whole),
        Some(_) | None => (Action::ViewSummary, Target::Whole),
    }
}

/// The pass in the `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, pass) = text.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| pass.trim())
}

/// The session in the cookies.
fn session_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The cookie of a session, for as long as its pass lasts; empty ends it.
pub(crate) fn cookie(name: &str, seconds: i64, network: Network) -> String {
    let secure = match network {
        Network::Tls => "; Secure",
        Network::Loopback | Network::Lan => "",
    };
    format!("{COOKIE}={name}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests;
