//! What access keeps in the data directory, mode 0600.
//!
//! ```text
//! keys/access              the key that signs passes: only where they are issued
//! access/accounts.json     second factors
//! access/revoked.json      revoked passes
//! access/did/N.json        what commands did, until the process that runs writes it into the trail
//! ```

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use popwatch_core::ledger::close::Value;
use popwatch_wire::audit::{Access, Action, Decision, Entry};
use popwatch_wire::pass::AccessKey;
use popwatch_wire::pass::account::Accounts;
use popwatch_wire::pass::revoked::Revoked;
use serde::{Deserialize, Serialize};

use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::config::ConfigFault;

/// Leaves a note that a preflight was made, for the trail of the process that runs there.
pub(crate) fn note_preflight(
    data: &Path,
    popup: &str,
    verdict: &str,
    ambient: &Ambient,
) -> io::Result<()> {
    let did = Did {
        at_ms: ambient.wall_ms(),
        action: Action::PreflightMade.text().to_owned(),
        popup: popup.to_owned(),
        of: verdict.to_owned(),
        scope: String::new(),
        extent: String::new(),
    };
    Files::new(data).note(&did, ambient)
}

/// The folders of one data directory.
#[derive(Debug, Clone)]
pub(super) struct Files {
    keys: PathBuf,
    access: PathBuf,
}

/// What a command did, until it stands in the trail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Did {
    pub(super) at_ms: i64,
    pub(super) action: String,
    pub(super) popup: String,
    /// The pass, actor or revocation id that it was done to.
    pub(super) of: String,
    pub(super) scope: String,
    pub(super) extent: String,
}

impl Files {
    pub(super) fn new(data: &Path) -> Self {
        Self {
            keys: data.join("keys"),
            access: data.join("access"),
        }
    }

    fn key_path(&self) -> PathBuf {
        self.keys.join("access")
    }

    /// The key that signs passes, if this is where they are issued.
    pub(super) fn key(&self) -> Result<Option<AccessKey>, ConfigFault> {
        let path = self.key_path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ConfigFault::Unreadable { path, source }),
        };
        let secret: [u8; 32] = bytes.try_into().map_err(|_| ConfigFault::Value {
            field: String::from("keys/access"),
            problem: String::from(
                "is damaged; restore it from its copy, or move it away and make another",
            ),
        })?;
        Ok(Some(AccessKey::new(&secret)))
    }

    /// Makes the key; `None` where there is one.
    pub(super) fn make_key(&self, ambient: &Ambient) -> io::Result<Option<AccessKey>> {
        let path = self.key_path();
        if path.exists() {
            return Ok(None);
        }
        let secret: [u8; 32] = ambient.random();
        keep(&path, &secret)?;
        Ok(Some(AccessKey::new(&secret)))
    }

    /// The second factors; `None` where the file cannot be read now, so that what is held stays.
    pub(super) fn accounts(&self) -> Option<Accounts> {
        read(&self.access.join("accounts.json"))
    }

    pub(super) fn keep_accounts(&self, accounts: &Accounts) -> io::Result<()> {
        keep(&self.access.join("accounts.json"), &json(accounts)?)
    }

    /// The revoked passes, likewise.
    pub(super) fn revoked(&self) -> Option<Revoked> {
        read(&self.access.join("revoked.json"))
    }

    pub(super) fn keep_revoked(&self, revoked: &Revoked) -> io::Result<()> {
        keep(&self.access.join("revoked.json"), &json(revoked)?)
    }

    /// Leaves a note of what a command did.
    pub(super) fn note(&self, did: &Did, ambient: &Ambient) -> io::Result<()> {
        let name: [u8; 8] = ambient.random();
        let name = format!(
            "{:016}-{}.json",
            did.at_ms,
            popwatch_core::ledger::hex(&name)
        );
        keep(&self.access.join("did").join(name), &json(did)?)
    }

    /// Writes what commands did into the trail, oldest first. A note goes once its entry counts.
    pub(super) fn deliver(&self, trail: &Trail) {
        let Ok(names) = std::fs::read_dir(self.access.join("did")) else {
            return;
        };
        let mut paths: Vec<PathBuf> = names.filter_map(|name| Some(name.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        for path in paths {
            let Some(entry) = read::<Did>(&path).and_then(|did| entry(trail, &did)) else {
                tracing::warn!(file = %path.display(), "a note of a command cannot be read");
                continue;
            };
            let gone = trail
                .write(&entry)
                .map_err(|fault| fault.to_string())
                .and_then(|_| std::fs::remove_file(&path).map_err(|fault| fault.to_string()));
            if let Err(fault) = gone {
                tracing::warn!(fault, "what a command did is not in the trail yet");
                return;
            }
        }
    }
}

fn entry(trail: &Trail, did: &Did) -> Option<Entry> {
    let action = Action::ALL.iter().find(|one| one.text() == did.action)?;
    let detail = Value::map([
        ("of", Value::text(&*did.of)),
        ("extent", Value::text(&*did.extent)),
    ]);
    Some(Entry {
        at_ms: did.at_ms,
        decision: Decision::Allowed,
        access: Some(Box::new(Access {
            scope: did.scope.clone(),
            ..Access::default()
        })),
        ..trail.entry(*action, &did.popup, detail)
    })
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(io::Error::other)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .inspect_err(|_| tracing::error!(file = %path.display(), "is damaged and not used"))
            .ok(),
        Err(_) => None,
    }
}

/// Whole and synced under another name first, then renamed.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let fresh = path.with_extension("fresh");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(folder)?.sync_all()
}
