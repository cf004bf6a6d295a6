//! One read of single records at the end of each day, on a disk with moods: what was shown has its entry
//! in the trail, under a signed head.

use popwatch_core::access::raw::{AccessGrant, Evidence, Mfa, Purpose, ReadRequest, decide_read};
use popwatch_core::access::{Rules, Scope, Subject};
use popwatch_core::invariant::{Law, read_was_audited};
use popwatch_core::ledger::hex;
use popwatch_store::audit::AuditLog;
use popwatch_store::fs::faulty::FaultFs;
use popwatch_wire::audit::open_checkpoint;
use popwatch_wire::note::NoteKey;

use crate::check::Finding;
use crate::saboteur::Saboteur;

const ORIGIN: &str = "acme/audit/till-1";
/// How many of a million calls of the disk fail.
const MOODS: [u32; 4] = [0, 10_000, 200_000, 1_000_000];

/// Reads once, and holds what was shown against the trail as it is found after a crash.
pub(crate) fn read(seed: u64, saboteur: Option<Saboteur>) -> Result<(), Finding> {
    let fs = FaultFs::new(seed);
    let key = NoteKey::new("acme.audit.popwatch", &[3; 32]);
    let id = hex(&seed.to_be_bytes());
    fs.fail_rate(MOODS[(seed % 4) as usize]);
    let shown = match saboteur {
        Some(Saboteur::HastyReader) => true,
        Some(_) | None => grant(&fs, &key, &id).is_some(),
    };
    fs.fail_rate(0);
    fs.crash();
    match shown {
        true => found(&fs, &key, &id).map_err(|sentence| Finding::of(Law::L9, sentence)),
        false => Ok(()),
    }
}

/// The grant of a read, as the gate gives it.
fn grant(fs: &FaultFs, key: &NoteKey, id: &str) -> Option<AccessGrant> {
    let subject = Subject {
        org: "acme".into(),
        pass: "p".into(),
        actor: "a".into(),
        scope: Scope::Operator,
        extent: String::new(),
        members: Vec::new(),
        popup: None,
    };
    let request = ReadRequest {
        popup: "fri".into(),
        rigs: Vec::new(),
        from_ms: 0,
        to_ms: 1,
        fields: Vec::new(),
        classes: Vec::new(),
        purpose: Purpose::Debugging,
    };
    let mfa = Some(Mfa {
        kind: "totp",
        age_ms: 0,
    });
    let allowed = decide_read(&Rules::default(), &subject, mfa, request, id.to_owned()).ok()?;
    let (mut log, _) = AuditLog::open(fs.clone(), ORIGIN).ok()?;
    let entry = format!("{{\"id\":\"{id}\"}}").into_bytes();
    let number = log.append(&[entry], &|text| key.sign(text)).ok()?.start;
    let proved = log.read_back(number).ok()?;
    let evidence = Evidence {
        entry: &proved.entry,
        number,
        hashes: &proved.hashes,
        head: &open_checkpoint(&proved.head, &key.public()).ok()?,
    };
    AccessGrant::prove(allowed, &evidence).ok()
}

/// The entry of the read in the trail, read anew.
fn found(fs: &FaultFs, key: &NoteKey, id: &str) -> Result<(), String> {
    let missing = |what: String| format!("L9: a record was shown and {what}");
    let (log, _) =
        AuditLog::open(fs.clone(), ORIGIN).map_err(|fault| missing(fault.to_string()))?;
    let last = log.size().checked_sub(1);
    let last = last.ok_or_else(|| missing("the trail is empty".into()))?;
    let proved = log
        .read_back(last)
        .map_err(|fault| missing(fault.to_string()))?;
    let head =
        open_checkpoint(&proved.head, &key.public()).map_err(|fault| missing(fault.to_string()))?;
    read_was_audited(id, &proved.entry, last, &proved.hashes, &head)
}
