//! The ledger's desk for members: codes that wait to be used, and which key may speak as which rig.
//!
//! ```text
//! invite ─► code, in memory, 15 minutes ─► enrol: proof, register, trail ─► answer
//! lane   ─► the rig's name and the key of the connection ─► register ─► books
//! ```
//!
//! What always holds: a code enrols once; nothing is answered to whoever does not prove the code over
//! the keys of this very connection; a rig of the register is heard only with its key, and where the
//! organisation is not `local` no other rig is heard at all. Codes die with the process: they are never
//! written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use popwatch_core::base64::from_base64;
use popwatch_core::code::Code;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::ledger::close::Value;
use popwatch_core::ledger::hex;
use popwatch_core::limits::{
    ENROL_CODE_MS, ENROL_CODES_MAX, ENROL_REGIONS_MAX, ENROL_TRIES_MAX, MEMBER_POPUPS_MAX,
};
use popwatch_core::membership::{IdKey, MemberKind, Membership};
use popwatch_core::time::MonoMs;
use popwatch_store::books::{Books, BooksFault, Enrolled, Member};
use popwatch_wire::audit::{Access, Action, Decision, Entry};
use popwatch_wire::enrol::{self, Admission, Answered, Asked, EnrolCode, Seen};
use popwatch_wire::note::{NoteKey, PublicKey};
use popwatch_wire::problem::Problem;

use crate::access::{Caller, LOCAL_ORG};
use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::books_thread::BooksHandle;
use crate::config::{Config, LedgerConfig};
use crate::identity::Identity;
use crate::{Node, StartFault, keys};

/// What a desk is set up with.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Who the ledger is.
    pub(crate) identity: Identity,
    /// The organisation, and what signs for it.
    pub(crate) org: String,
    pub(crate) org_key: NoteKey,
    pub(crate) books: BooksHandle,
    pub(crate) trail: Trail,
    pub(crate) ambient: Ambient,
    /// Regions that other machines reach.
    pub(crate) regions: Vec<String>,
    /// The port of the region in this process, if other machines reach it.
    pub(crate) region_port: Option<u16>,
    /// From which pseudonyms are keyed, hexadecimal.
    pub(crate) pseudonym_key: String,
    /// The rig in this very process, where rigs are known by their keys.
    pub(crate) own_rig: Option<String>,
}

/// The desk. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    set: Setting,
    /// Keys by rig.
    known: RwLock<BTreeMap<String, IdKey>>,
    codes: Mutex<Vec<Pending>>,
}

/// A code that waits.
#[derive(Debug)]
struct Pending {
    code: EnrolCode,
    wish: Wish,
    ends: MonoMs,
    tries: u32,
}

/// Who is to be enrolled.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Under which name.
    pub(crate) rig: RigId,
    /// As what.
    pub(crate) kind: MemberKind,
    /// For which popups; none is all.
    pub(crate) popups: Vec<PopupId>,
    /// Until when, ms since 1970.
    pub(crate) not_after_ms: Option<i64>,
}

/// A code as it is shown, once.
#[derive(Debug)]
pub(crate) struct Invitation {
    /// The words.
    pub(crate) words: String,
    /// Until when it may be used, ms since 1970.
    pub(crate) ends_ms: i64,
    /// The key that will answer.
    pub(crate) key: IdKey,
}

/// Who may bring cells to a region. It has no register: members show what the organisation signed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Option<(IdKey, Option<PublicKey>)>);

impl Gate {
    /// For members whose membership this key signed, and for this process itself. Without a key nobody
    /// else is known.
    pub(crate) const fn new(own: IdKey, org_key: Option<PublicKey>) -> Self {
        Self(Some((own, org_key)))
    }

    /// Whether a connection with this key may bring cells, given the membership it shows in base64.
    pub(crate) fn admits(
        &self,
        key: Option<IdKey>,
        shown: Option<&str>,
        by_pass: bool,
    ) -> Result<(), Problem> {
        let Some((own, org_key)) = self.0.as_ref().filter(|_| !by_pass) else {
            return Ok(());
        };
        let note = shown.and_then(from_base64);
        let note = note.and_then(|note| String::from_utf8(note).ok());
        let member = note.and_then(|note| enrol::verified(&note, org_key.as_ref()?));
        let is_member = member.is_some_and(|member| Some(member.key) == key);
        match key == Some(*own) || is_member {
            true => Ok(()),
            false => {
                let detail = "only members of the organisation bring cells here; enrol this rig";
                Err(Problem::new(Code::PeerRefused, detail))
            }
        }
    }
}

impl Desk {
    /// Reads the register.
    pub(crate) async fn open(set: Setting) -> Result<Self, BooksFault> {
        let read = set.books.ask(|books| books.members()).await;
        let members = read.unwrap_or_else(|_| Ok(Vec::new()))?;
        let mut known = BTreeMap::new();
        if let Some(rig) = &set.own_rig {
            known.insert(rig.clone(), set.identity.key());
        }
        for member in members {
            let Membership { rig, key, .. } = member.membership;
            known.insert(rig.to_string(), key);
        }
        Ok(Self(Arc::new(Inner {
            set,
            known: RwLock::new(known),
            codes: Mutex::default(),
        })))
    }

    /// Whether a connection with this key may speak as this rig; `by_pass` says that it showed a pass of
    /// that rig, which does for one that is not enrolled.
    pub(crate) fn admits(
        &self,
        rig: &str,
        key: Option<IdKey>,
        by_pass: bool,
    ) -> Result<(), Problem> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let detail = match known.get(rig) {
            Some(pinned) if key == Some(*pinned) => return Ok(()),
            None if by_pass || self.0.set.org == LOCAL_ORG => return Ok(()),
            Some(_) => {
                "this rig is known by another key; enrol it again, or look who uses its name"
            }
            None => "this rig is not enrolled here; popwatch enrol --new NAME makes a code for it",
        };
        Err(Problem::new(Code::PeerRefused, detail))
    }

    /// Makes a code.
    pub(crate) async fn invite(&self, by: &Caller, wish: Wish) -> Result<Invitation, Problem> {
        if wish.popups.len() > MEMBER_POPUPS_MAX {
            let detail = format!("a member names at most {MEMBER_POPUPS_MAX} popups");
            return Err(Problem::new(Code::EnrolRefused, detail));
        }
        let detail = detail_of(&wish);
        self.written(by, Action::RigInvited, &wish.rig, detail)
            .await?;
        let code = EnrolCode::new(self.0.set.ambient.random());
        let now = self.0.set.ambient.now();
        let pending = Pending {
            code,
            wish,
            ends: now.mono.after(ENROL_CODE_MS),
            tries: 0,
        };
        self.with_codes(|codes| {
            if codes.len() >= ENROL_CODES_MAX {
                codes.remove(0);
            }
            codes.push(pending);
        });
        let lasts = i64::try_from(ENROL_CODE_MS).expect("minutes are few");
        Ok(Invitation {
            words: code.words(),
            ends_ms: now.wall.0.saturating_add(lasts),
            key: self.0.set.identity.key(),
        })
    }

    /// Answers whoever proves a code over a connection on which it showed `caller` as its key.
    pub(crate) async fn enrol(
        &self,
        caller: Option<IdKey>,
        asked: &Asked,
    ) -> Result<Answered, Problem> {
        let set = &self.0.set;
        let caller = caller.ok_or_else(|| {
            let detail =
                "enrolment needs TLS with a key of the new machine's own; use popwatch enrol";
            Problem::new(Code::EnrolRefused, detail)
        })?;
        let detail = "no such code waits here: it was used, is over, or was mistyped; make another";
        let refused = || Problem::new(Code::EnrolRefused, detail);
        let (code, wish) = match self.taken(caller, asked) {
            Taken::Nothing => return Err(refused()),
            Taken::Wrong(rig) => {
                let detail = Value::map([("key", Value::text(caller.to_string()))]);
                let mut entry = self.entry(&of_key(caller), Action::RigEnrolled, &rig, detail);
                entry.decision = Decision::Denied;
                entry.reason = Code::EnrolUnproved.to_string();
                self.write(entry).await?;
                let detail =
                    "the code is not proved over this connection; somebody may stand between";
                return Err(Problem::new(Code::EnrolUnproved, detail));
            }
            Taken::Code(code, wish) => (code, wish),
        };
        let seen = Seen::at_ledger(set.identity.key(), caller, asked).ok_or_else(refused)?;
        let membership = Membership {
            org: set.org.clone(),
            rig: wish.rig.clone(),
            key: caller,
            kind: wish.kind,
            not_after_ms: wish.not_after_ms,
            popups: wish.popups.clone(),
        };
        let mut detail = detail_of(&wish);
        if let Value::Map(fields) = &mut detail {
            fields.insert(String::from("key"), Value::text(caller.to_string()));
        }
        let entry = self.entry(&of_key(caller), Action::RigEnrolled, &wish.rig, detail);
        self.write(entry).await?;
        self.note(&membership).await?;
        let admission = Admission {
            membership: enrol::sign(&membership, &set.org_key),
            org_key: set.org_key.public().to_string(),
            regions: set
                .regions
                .iter()
                .take(ENROL_REGIONS_MAX)
                .cloned()
                .collect(),
            region_port: set.region_port,
            pseudonym_key: set.pseudonym_key.clone(),
        };
        tracing::info!(rig = wish.rig.as_str(), "a rig was enrolled");
        Ok(code.answer(&seen, &admission))
    }

    /// Takes the code that is meant, if it is proved; counts the try if it is not.
    fn taken(&self, caller: IdKey, asked: &Asked) -> Taken {
        let now = self.0.set.ambient.now().mono;
        let seen = Seen::at_ledger(self.0.set.identity.key(), caller, asked);
        self.with_codes(|codes| {
            codes.retain(|pending| now < pending.ends && pending.tries < ENROL_TRIES_MAX);
            let at = codes
                .iter()
                .position(|pending| pending.code.id() == asked.id);
            let Some(at) = at else {
                return Taken::Nothing;
            };
            let pending = &mut codes[at];
            if seen.is_some_and(|seen| pending.code.is_proved(&seen, asked)) {
                let pending = codes.remove(at);
                return Taken::Code(pending.code, pending.wish);
            }
            pending.tries += 1;
            Taken::Wrong(pending.wish.rig.clone())
        })
    }

    async fn note(&self, membership: &Membership) -> Result<(), Problem> {
        let (of, now) = (membership.clone(), self.0.set.ambient.now());
        let detail = match self.ask(move |books| books.enrol(&of, now)).await? {
            Enrolled::Done => {
                let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(membership.rig.to_string(), membership.key);
                return Ok(());
            }
            Enrolled::Revoked => {
                "this name was revoked and is not given again; enrol it under another"
            }
            Enrolled::Full => "the register is full",
        };
        Err(Problem::new(Code::EnrolRefused, detail))
    }

    /// All members.
    pub(crate) async fn members(&self) -> Result<Vec<Member>, Problem> {
        self.ask(|books| books.members()).await
    }

    /// From now on what a rig sends is held back.
    pub(crate) async fn revoke(&self, by: &Caller, rig: &RigId) -> Result<(), Problem> {
        self.expect_member(rig).await?;
        let none = Value::Map(BTreeMap::new());
        self.written(by, Action::RigRevoked, rig, none).await?;
        let (of, now) = (rig.clone(), self.0.set.ambient.now());
        self.ask(move |books| books.revoke(&of, now)).await?;
        tracing::warn!(rig = rig.as_str(), code = %Code::RigRevoked, "a rig was revoked");
        Ok(())
    }

    /// Books what of a rig was held back; how many records.
    pub(crate) async fn accept(&self, by: &Caller, rig: &RigId) -> Result<u64, Problem> {
        let held_back = self.expect_member(rig).await?.held_back;
        let held_back = i64::try_from(held_back).unwrap_or(i64::MAX);
        let detail = Value::map([("records", Value::number(held_back))]);
        self.written(by, Action::RigAccepted, rig, detail).await?;
        let (of, now) = (rig.clone(), self.0.set.ambient.now());
        self.ask(move |books| books.accept_held_back(&of, now))
            .await
    }

    async fn expect_member(&self, rig: &RigId) -> Result<Member, Problem> {
        let members = self.members().await?;
        let found = members.into_iter().find(|of| of.membership.rig == *rig);
        found.ok_or_else(|| {
            let detail =
                format!("{rig} is not in the register; popwatch enrol --list shows who is");
            Problem::new(Code::MemberUnknown, detail)
        })
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Books) -> Result<T, BooksFault> + Send + 'static,
    ) -> Result<T, Problem> {
        let asked = self.0.set.books.ask(ask).await;
        let busy = "the ledger's store takes nothing at the moment; try again";
        asked
            .map_err(|_| Problem::new(Code::LedgerUnavailable, busy))?
            .map_err(|fault| Problem::new(fault.code(), fault.to_string()))
    }

    fn entry(&self, actor: &str, action: Action, rig: &RigId, detail: Value) -> Entry {
        let mut entry = self.0.set.trail.entry(action, "", detail);
        actor.clone_into(&mut entry.actor);
        entry.rig = rig.to_string();
        entry
    }

    /// Writes down what somebody does; what cannot be written is not done.
    async fn written(
        &self,
        by: &Caller,
        action: Action,
        rig: &RigId,
        detail: Value,
    ) -> Result<(), Problem> {
        let entry = match by {
            Caller::Here => self.entry(LOCAL_ORG, action, rig, detail),
            Caller::Holder(holder) => {
                let mut entry = self.entry(&holder.subject.actor, action, rig, detail);
                entry.access = Some(Box::new(Access::of(&holder.subject)));
                entry
            }
        };
        self.write(entry).await
    }

    async fn write(&self, entry: Entry) -> Result<(), Problem> {
        let trail = self.0.set.trail.clone();
        let written = tokio::task::spawn_blocking(move || trail.write(&entry)).await;
        written
            .map_err(|_| Problem::new(Code::Defect, "writing the audit trail ended early"))?
            .map_err(|fault| Problem::new(fault.code(), fault.to_string()))
            .map(drop)
    }

    fn with_codes<T>(&self, work: impl FnOnce(&mut Vec<Pending>) -> T) -> T {
        // What it holds is whole between any two statements.
        let mut codes = (self.0.codes)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut codes)
    }
}

/// What came of looking for a code.
enum Taken {
    /// None of that id waits.
    Nothing,
    /// It waits, and this was no proof of it.
    Wrong(RigId),
    /// It was proved, and is used up.
    Code(EnrolCode, Wish),
}

/// How the trail names a machine that nobody vouches for yet.
fn of_key(key: IdKey) -> String {
    key.to_string().chars().take(16).collect()
}

fn detail_of(wish: &Wish) -> Value {
    let popups = wish.popups.iter().map(|popup| Value::text(popup.as_str()));
    let mut fields = vec![
        ("kind", Value::text(wish.kind.text())),
        ("popups", Value::List(popups.collect())),
    ];
    if let Some(end) = wish.not_after_ms {
        fields.push(("not_after", Value::number(end)));
    }
    Value::map(fields)
}
impl Node {
    /// The desk for members of the organisation whose ledger this is.
    pub(crate) async fn desk(
        &self,
        whole: &Config,
        config: &LedgerConfig,
        (books, trail): (&BooksHandle, &Trail),
        ambient: &Ambient,
    ) -> Result<Desk, StartFault> {
        let region = self.region.filter(|address| !address.ip().is_loopback());
        let here = region.map(|address| self.url(address));
        let is_here = |url: &str| here.as_deref().is_some_and(|here| here.starts_with(url));
        let is_local = |url: &str| url.contains("//127.") || url.contains("//localhost");
        let reached = |url: &&String| !is_local(url) && !is_here(url);
        let edge = whole.edge.as_ref();
        let setting = Setting {
            identity: self.identity.clone(),
            org: whole.access.org.clone(),
            org_key: keys::org(&whole.data, &whole.access.org, ambient)?,
            books: books.clone(),
            trail: trail.clone(),
            ambient: ambient.clone(),
            regions: config.regions.iter().filter(reached).cloned().collect(),
            region_port: region.map(|address| address.port()),
            pseudonym_key: hex(&keys::shared_root(whole, ambient)?),
            own_rig: edge
                .filter(|_| whole.access.org != LOCAL_ORG)
                .map(|edge| edge.rig.clone()),
        };
        let data = whole.data.clone();
        let opened = Desk::open(setting).await;
        opened.map_err(|source| StartFault::Books { path: data, source })
    }
}
