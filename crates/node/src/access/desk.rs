//! The desk where passes are issued: what the commands do in a data directory, with or without a process
//! that runs in it. What was done is left as a note for the trail.

use std::path::{Path, PathBuf};

use popwatch_core::access::Subject;
use popwatch_core::limits::REVOKED_MAX;
use popwatch_wire::audit::Action;
use popwatch_wire::pass::account::Enrolled;
use popwatch_wire::pass::{self, AccessKey, AccessPublic, Less, PassFault};

use super::files::{Did, Files};
use crate::ambient::Ambient;
use crate::audit::cross::kept_at;
use crate::config::ConfigFault;

/// A data directory with an access key, or one that may get it.
#[derive(Debug)]
pub struct Desk {
    data: PathBuf,
    files: Files,
    ambient: Ambient,
}

/// Why the desk could not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskFault {
    /// No passes are issued here.
    #[error("there is no access key in this data directory; popwatch access keygen makes one")]
    NoKey,
    /// There is a key.
    #[error("there is an access key already; passes that it signed would be worth nothing")]
    HasKey,
    /// Too many.
    #[error("there are as many accounts as there may be")]
    Full,
    /// The key cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// The pass cannot be made.
    #[error("the pass cannot be made: {0}")]
    Pass(#[from] PassFault),
    /// The data directory takes nothing.
    #[error("the data directory takes nothing")]
    Disk(#[from] std::io::Error),
}

impl Desk {
    /// The desk of a data directory.
    #[must_use]
    pub fn new(data: &Path, ambient: &Ambient) -> Self {
        Self {
            data: data.to_path_buf(),
            files: Files::new(data),
            ambient: ambient.clone(),
        }
    }

    fn key(&self) -> Result<AccessKey, DeskFault> {
        self.files.key()?.ok_or(DeskFault::NoKey)
    }

    fn note(&self, action: Action, of: &str, subject: Option<&Subject>) -> Result<(), DeskFault> {
        let did = Did {
            at_ms: self.ambient.wall_ms(),
            action: action.text().to_owned(),
            popup: subject
                .and_then(|subject| subject.popup.clone())
                .unwrap_or_default(),
            of: of.to_owned(),
            scope: subject.map_or_else(String::new, |subject| subject.scope.text().to_owned()),
            extent: subject.map_or_else(String::new, |subject| subject.extent.clone()),
        };
        self.files.note(&did, &self.ambient)?;
        Ok(())
    }

    /// Makes the access key.
    pub fn keygen(&self) -> Result<AccessPublic, DeskFault> {
        let key = self
            .files
            .make_key(&self.ambient)?
            .ok_or(DeskFault::HasKey)?;
        self.note(Action::KeyMade, &key.public().to_string(), None)?;
        Ok(key.public())
    }

    /// The public access key.
    pub fn public(&self) -> Result<AccessPublic, DeskFault> {
        Ok(self.key()?.public())
    }

    /// Issues a pass for `ttl_ms` from now; the id of the pass is drawn here. The note is durable before
    /// the pass is handed out.
    pub fn issue(&self, mut subject: Subject, ttl_ms: i64) -> Result<String, DeskFault> {
        let key = self.key()?;
        let id: [u8; 8] = self.ambient.random();
        subject.pass = popwatch_core::ledger::hex(&id);
        let now_ms = self.ambient.wall_ms();
        let until_ms = now_ms.saturating_add(ttl_ms);
        let pass = pass::issue(&key, &subject, now_ms, until_ms, &self.ambient.random())?;
        self.note(Action::PassIssued, &subject.pass, Some(&subject))?;
        Ok(pass)
    }

    /// Hands a pass on with less in it: needs no key and leaves no note.
    pub fn hand_on(&self, pass: &str, less: &Less) -> Result<String, DeskFault> {
        Ok(pass::hand_on(pass, less, &self.ambient.random())?)
    }

    /// Revokes what an id names: a pass, a step of its handing on, or all of an actor's.
    pub fn revoke(&self, id: &str) -> Result<(), DeskFault> {
        let mut revoked = self.files.revoked().unwrap_or_default();
        revoked.add(id, self.ambient.wall_ms());
        debug_assert!(revoked.ids.len() <= REVOKED_MAX);
        self.note(Action::PassRevoked, id, None)?;
        self.files.keep_revoked(&revoked)?;
        Ok(())
    }

    /// Makes a second factor for an actor; one before is gone.
    pub fn factor(&self, actor: &str) -> Result<Enrolled, DeskFault> {
        let mut accounts = self.files.accounts().unwrap_or_default();
        let shown = accounts
            .enrol(actor, &self.ambient.random())
            .ok_or(DeskFault::Full)?;
        self.note(Action::FactorMade, actor, None)?;
        self.files.keep_accounts(&accounts)?;
        Ok(shown)
    }

    /// Notes that records were exported from a data directory with a trail, before they are. `false` where
    /// there is no trail to note it in.
    pub fn exported(&self, rig: &str) -> Result<bool, DeskFault> {
        let has_trail = self.data.join("audit").is_dir();
        if has_trail {
            self.note(Action::Exported, rig, None)?;
        }
        Ok(has_trail)
    }

    /// Takes a peer's next head anew, whatever was kept of its trail; that and the reason stay in
    /// `audit-peers/accepted`. `false` where nothing is kept of it.
    pub fn accept_peer(&self, origin: &str, why: &str) -> Result<bool, DeskFault> {
        let path = kept_at(&self.data, origin);
        let kept = match std::fs::read_to_string(&path) {
            Ok(kept) => kept,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(fault) => return Err(fault.into()),
        };
        let at_ms = self.ambient.wall_ms();
        let text =
            serde_json::json!({ "origin": origin, "why": why, "at_ms": at_ms, "kept": kept });
        let aside = self.data.join("audit-peers/accepted");
        super::keep(
            &aside.join(format!("{at_ms}.json")),
            text.to_string().as_bytes(),
        )?;
        self.note(Action::PeerAccepted, origin, None)?;
        std::fs::remove_file(&path)?;
        Ok(true)
    }

    /// Now, ms since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.ambient.wall_ms()
    }
}
