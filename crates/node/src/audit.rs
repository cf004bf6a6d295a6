//! The audit trail of this process: what people do to the books is written down before it is answered.
//!
//! What always holds: an action that leaves a trace is refused while the trail cannot be written, and
//! taking sales never waits for it.

pub(crate) mod cross;
pub(crate) mod trails;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use popwatch_core::access::raw::{AccessGrant, Allowed};
use popwatch_core::code::Code;
use popwatch_core::ledger::close::Value;
use popwatch_store::audit::{AuditFault, AuditLog, Began};
use popwatch_store::fs::os::OsFs;
use popwatch_wire::audit::{Action, Decision, Entry};
use popwatch_wire::note::{NoteKey, PublicKey};

use crate::ambient::Ambient;
use crate::gate::{self, GateFault};

/// Who acts where nobody has to say who they are.
pub(crate) const LOCAL: &str = "local";

/// The trail, shared by the handlers of one process.
#[derive(Debug, Clone)]
pub(crate) struct Trail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Mutex<AuditLog<OsFs>>,
    key: NoteKey,
    ambient: Ambient,
}

impl Trail {
    /// Opens the trail in `data`, or begins one there; blocks. A trail that cannot be written yet does
    /// not keep the process from starting.
    pub(crate) fn open(
        data: &Path,
        origin: &str,
        key: NoteKey,
        ambient: &Ambient,
    ) -> Result<Self, AuditFault> {
        let fs = OsFs::new(&data.join("audit")).map_err(|source| AuditFault::Disk {
            doing: "making the folder of the audit trail",
            source,
        })?;
        let (log, began) = AuditLog::open(fs, origin)?;
        let trail = Self(Arc::new(Inner {
            log: Mutex::new(log),
            key,
            ambient: ambient.clone(),
        }));
        let before = match began {
            Began::On => return Ok(trail),
            Began::New => Value::Null,
            Began::After { origin, head } => {
                tracing::error!(code = %Code::AuditDamaged, origin, "the audit trail is damaged; another begins");
                Value::map([("origin", Value::text(origin)), ("head", Value::text(head))])
            }
        };
        let detail = Value::map([("after", before)]);
        if let Err(fault) = trail.write(&trail.entry(Action::Begun, "", detail)) {
            tracing::error!(code = %fault.code(), %fault, "the audit trail cannot be begun yet");
        }
        Ok(trail)
    }

    /// What whoever sits here did to a popup's books, now.
    pub(crate) fn entry(&self, action: Action, popup: &str, detail: Value) -> Entry {
        Entry {
            at_ms: self.0.ambient.wall_ms(),
            actor: LOCAL.to_owned(),
            action,
            popup: popup.to_owned(),
            rig: String::new(),
            decision: Decision::Allowed,
            reason: String::new(),
            detail,
            access: None,
        }
    }

    /// Writes an entry; answers its number once it counts. Blocks for two syncs.
    pub(crate) fn write(&self, entry: &Entry) -> Result<u64, AuditFault> {
        let bytes = entry.encode().ok_or(AuditFault::Size)?;
        let sign = |text: &str| self.0.key.sign(text);
        self.with(|log| log.append(&[bytes], &sign).map(|numbers| numbers.start))
    }

    /// Writes an allowed read down and proves it. Blocks for two syncs.
    pub(crate) fn commit(&self, allowed: Allowed) -> Result<AccessGrant, GateFault> {
        let at_ms = self.0.ambient.wall_ms();
        self.with(|log| gate::commit(allowed, log, &self.0.key, at_ms))
    }

    /// Makes sure that an entry could be written now. Blocks.
    pub(crate) fn ready(&self) -> Result<(), AuditFault> {
        self.with(AuditLog::ready)
    }

    /// What others verify with.
    pub(crate) fn key(&self) -> PublicKey {
        self.0.key.public()
    }

    /// Asks the trail something. Blocks for a read of its file.
    pub(crate) fn with<T>(&self, ask: impl FnOnce(&mut AuditLog<OsFs>) -> T) -> T {
        // A panic while it was held left no half entry: what counts is what the head says.
        let mut log = (self.0.log).lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut log)
    }
}
