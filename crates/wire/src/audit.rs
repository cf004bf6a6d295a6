//! The audit trail as bytes: what one entry says, signed checkpoints, and proofs that travel as files.
//!
//! ```text
//! entry       canonical JSON (RFC 8785), at most 8 KiB
//! checkpoint  signed note over  <origin>\n<size>\n<base64 of the root>\n        C2SP tlog-checkpoint
//! proof       c2sp.org/tlog-proof@v1: extra (the entry), index, hashes, the checkpoint
//! ```
//!
//! What always holds: [`Proof::verify`] says yes only to an entry that is in a log whose checkpoint the
//! given key signed. It needs the file and the public key, and no network.

use std::fmt::Write as _;

use popwatch_core::access::Subject;
use popwatch_core::base64::{base64, from_base64};
use popwatch_core::code::Code;
use popwatch_core::ledger::close::Value;
use popwatch_core::ledger::hex;
use popwatch_core::limits::{AUDIT_ENTRY_BYTES_MAX, CHECKPOINT_BYTES_MAX};
use popwatch_core::tlog::{self, Checkpoint, Hash, ProofFault};

use crate::note::{self, NoteFault, PublicKey};

pub mod heads;

/// First line of a proof.
const PROOF: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of the longest proof: one a level of the tree.
const PROOF_HASHES_MAX: usize = 64;

macro_rules! actions {
    ($($name:ident = $text:literal, $says:literal;)*) => {
        /// What somebody did that the trail keeps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action { $(#[doc = $says] $name,)* }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in an entry.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is, for a reader.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }
        }
    };
}

actions! {
    Begun = "log.begun", "The trail began; after damage it names the trail before it.";
    BooksClosed = "books.closed", "Books were closed or corrected, and a certificate signed.";
    BreakAccepted = "break.accepted", "Somebody took a break as explained.";
    MatchAccepted = "match.accepted", "Somebody said which claim a payment belongs to.";
    SettlementTaken = "settlement.taken", "A settlement or bank file was read into the books.";
    CountTaken = "count.taken", "A count sheet was read into the books.";
    CreatorPaid = "creator.paid", "A payment to a creator was noted.";
    KeyMade = "access.key_made", "The key that signs passes was made.";
    PassIssued = "pass.issued", "A pass was issued.";
    PassRevoked = "pass.revoked", "A pass, or all of somebody's, was revoked.";
    FactorMade = "factor.made", "Somebody got a second factor.";
    StepUp = "step_up", "A code of the second factor was asked for and not shown.";
    Refused = "access.refused", "Somebody asked for what their pass does not allow.";
    RawRead = "raw.read", "Somebody asked to read single records.";
    RawClosed = "raw.closed", "A read of single records ended; an allowed read without one is unfinished.";
    Exported = "records.exported", "Records were exported.";
    PeerConvicted = "peer.convicted", "A peer's trail is not what it was.";
    PeerAccepted = "peer.accepted", "Somebody said why a peer's trail is not what it was.";
    PolicyBrought = "policy.brought", "A policy was brought: taken, or refused.";
    PreflightMade = "preflight.made", "The stack was tested before doors open.";
    KeysGranted = "keys.granted", "Keys of a popup were lent to a machine.";
    KeyDestroyed = "key.destroyed", "A key of a popup is no more, here or at the holder that is named.";
    RecordsErased = "records.erased", "Observations whose time was over are gone from the books; their places and hashes stay.";
    ClockConfirmed = "clock.confirmed", "The clock is right, so keys open and end again.";
    RigInvited = "rig.invited", "A code was made with which one machine may join.";
    RigEnrolled = "rig.enrolled", "A machine joined, or somebody tried without the code.";
    RigRevoked = "rig.revoked", "A machine was revoked: what it sends waits for a person.";
    RigAccepted = "rig.accepted", "Records of a revoked machine were booked.";
}

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was.
    Allowed,
    /// It was asked for and not done.
    Denied,
}

impl Decision {
    const fn text(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// One entry. Names, free texts and addresses have no place in it: entries are never erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, ms since 1970 by this host's clock.
    pub at_ms: i64,
    /// Who: an opaque id; `local` for whoever sits at this machine.
    pub actor: String,
    /// What.
    pub action: Action,
    /// The popup it was done to; empty for none.
    pub popup: String,
    /// The rig it was done to; empty for none.
    pub rig: String,
    /// Whether it was done.
    pub decision: Decision,
    /// Code of the reason it was not, else empty.
    pub reason: String,
    /// Ids, counts and hashes that say exactly what: never a text that somebody typed.
    pub detail: Value,
    /// By which pass and for what, where one was shown.
    pub access: Option<Box<Access>>,
}

/// What an entry says of whoever showed a pass, and of what they read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Name of the read; empty for none.
    pub id: String,
    /// Id of the pass.
    pub pass: String,
    /// As what they came.
    pub scope: String,
    /// How the second factor was shown, and how long ago, s.
    pub mfa: Option<(&'static str, i64)>,
    /// What was read.
    pub read: Option<Read>,
    /// Version and digest of the policy that was asked; version 0 is the built-in one.
    pub policy: (u32, String),
}

/// What was to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The rigs; empty for all.
    pub rigs: Vec<String>,
    /// The creator whose records alone are shown; empty for everybody's.
    pub creator: String,
    /// From when, ms since 1970.
    pub from_ms: i64,
    /// Until when, exclusive.
    pub to_ms: i64,
    /// The fields; empty for all.
    pub fields: Vec<String>,
    /// The sealed parts.
    pub classes: Vec<&'static str>,
    /// What for.
    pub purpose: &'static str,
}

impl Access {
    /// Of a pass, and nothing read.
    #[must_use]
    pub fn of(subject: &Subject) -> Self {
        Self {
            pass: subject.pass.clone(),
            scope: subject.scope.text().to_owned(),
            ..Self::default()
        }
    }

    fn into_value(self, entry: &mut Vec<(&'static str, Value)>) {
        let texts = |list: Vec<String>| Value::List(list.into_iter().map(Value::text).collect());
        if !self.id.is_empty() {
            entry.push(("id", Value::text(self.id)));
        }
        entry.push(("pass", Value::text(self.pass)));
        entry.push(("scope", Value::text(self.scope)));
        if let Some((kind, age_s)) = self.mfa {
            let mfa = Value::map([("kind", Value::text(kind)), ("age_s", Value::number(age_s))]);
            entry.push(("mfa", mfa));
        }
        if let Some(read) = self.read {
            let classes = read.classes.into_iter().map(Value::text).collect();
            let read_of = Value::map([
                ("rigs", texts(read.rigs)),
                ("creator", Value::text(read.creator)),
                ("from", Value::number(read.from_ms)),
                ("to", Value::number(read.to_ms)),
                ("fields", texts(read.fields)),
                ("classes", Value::List(classes)),
            ]);
            entry.push(("read", read_of));
            entry.push(("purpose", Value::text(read.purpose)));
            let (version, digest) = self.policy;
            let policy = Value::map([
                ("version", Value::number(i64::from(version))),
                ("digest", Value::text(digest)),
            ]);
            entry.push(("policy", policy));
        }
    }
}

impl Entry {
    /// Its bytes. `None` where they would be too many; nothing is cut.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut fields = vec![
            ("v", Value::Number(1)),
            ("ts", Value::number(self.at_ms)),
            ("actor", Value::text(&*self.actor)),
            ("action", Value::text(self.action.text())),
            (
                "resource",
                Value::map([
                    ("popup", Value::text(&*self.popup)),
                    ("rig", Value::text(&*self.rig)),
                ]),
            ),
            ("decision", Value::text(self.decision.text())),
            ("reason", Value::text(&*self.reason)),
            ("detail", self.detail.clone()),
        ];
        if let Some(access) = &self.access {
            access.as_ref().clone().into_value(&mut fields);
        }
        let bytes = Value::map(fields).canonical().into_bytes();
        (bytes.len() <= AUDIT_ENTRY_BYTES_MAX).then_some(bytes)
    }
}

/// Reads a signed checkpoint of a key.
pub fn open_checkpoint(note: &str, key: &PublicKey) -> Result<Checkpoint, AuditFault> {
    if note.len() > CHECKPOINT_BYTES_MAX {
        return Err(AuditFault::new(
            "checkpoint",
            "is larger than a checkpoint can be",
        ));
    }
    let text = key.open(note).map_err(AuditFault::note)?;
    Checkpoint::parse(text).ok_or_else(|| AuditFault::new("checkpoint", "is not a log's head"))
}

/// That one entry is in a log, as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Its number, from 0.
    pub index: u64,
    /// The hashes beside its way up to the root.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Proof {
    /// The file. The entry travels in the `extra` line.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = format!(
            "{PROOF}\nextra {}\nindex {}\n",
            base64(&self.entry),
            self.index
        );
        for hash in &self.hashes {
            writeln!(out, "{}", base64(hash)).expect("writing to a string cannot fail");
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Reads a file.
    pub fn decode(text: &str) -> Result<Self, AuditFault> {
        let wrong = |problem| AuditFault::new("proof", problem);
        if text.len() > AUDIT_ENTRY_BYTES_MAX * 2 + CHECKPOINT_BYTES_MAX {
            return Err(wrong("is larger than a proof can be"));
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or_else(|| wrong("has no checkpoint"))?;
        let mut lines = head.lines();
        if lines.next() != Some(PROOF) {
            return Err(wrong("does not begin like a proof of a log"));
        }
        let entry = lines
            .next()
            .and_then(|line| from_base64(line.strip_prefix("extra ")?))
            .ok_or_else(|| AuditFault::new("extra", "does not hold the entry in base64"))?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index ")?.parse().ok())
            .ok_or_else(|| AuditFault::new("index", "is missing or no number"))?;
        let hashes: Option<Vec<Hash>> = lines
            .take(PROOF_HASHES_MAX + 1)
            .map(|line| from_base64(line)?.try_into().ok())
            .collect();
        let hashes = hashes
            .filter(|hashes| hashes.len() <= PROOF_HASHES_MAX)
            .ok_or_else(|| AuditFault::new("hashes", "are not hashes in base64"))?;
        Ok(Self {
            entry,
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks it with the key alone; answers the checkpoint that vouches for the entry.
    pub fn verify(&self, key: &PublicKey) -> Result<Checkpoint, AuditFault> {
        let head = open_checkpoint(&self.checkpoint, key)?;
        let leaf = tlog::leaf_hash(&self.entry);
        tlog::verify_inclusion(&leaf, self.index, head.size, &self.hashes, &head.root)
            .map_err(AuditFault::proof)?;
        Ok(head)
    }
}

/// Why a trail, or a proof of it, is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct AuditFault {
    /// What is wrong: `checkpoint`, `proof`, `extra`, `index`, `hashes`, `key`, `log`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl AuditFault {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { field, problem }
    }

    fn note(fault: NoteFault) -> Self {
        let field = match fault {
            NoteFault::Form | NoteFault::Wrong => "checkpoint",
            NoteFault::Unknown => "key",
        };
        match field {
            "key" => Self::new(field, "did not sign the checkpoint"),
            _ => Self::new(field, fault.to_string()),
        }
    }

    fn proof(fault: ProofFault) -> Self {
        Self::new("proof", format!("does not prove the entry: {fault}"))
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::AuditUnproved
    }
}

/// Whether a log, read whole and under the signed `head`, continues the one whose head was `held`. A log
/// that shrank, was edited or has another name is convicted.
pub fn continues(
    entries: &[Vec<u8>],
    head: &Checkpoint,
    held: &Checkpoint,
) -> Result<(), AuditFault> {
    if head.origin != held.origin {
        let problem = "is not the one whose head was kept; its first entry tells why it began";
        return Err(AuditFault::new("log", problem));
    }
    let mut tree = tlog::Tree::default();
    for entry in entries {
        tree.push(tlog::leaf_hash(entry))
            .map_err(|fault| AuditFault::new("log", fault.to_string()))?;
    }
    match tree.root(held.size) {
        None => Err(AuditFault::new(
            "log",
            format!(
                "shrank: it has {} entries, and a checkpoint of {} was signed",
                tree.size(),
                held.size
            ),
        )),
        Some(root) if root != held.root => Err(AuditFault::new(
            "log",
            format!(
                "was rewritten: its first {} entries have the root {}, and {} was signed",
                held.size,
                hex(&root),
                hex(&held.root)
            ),
        )),
        Some(_) => Ok(()),
    }
}

/// The signatures of a note, for whoever must show them; empty for what is no note.
#[must_use]
pub fn signatures(note: &str) -> Vec<String> {
    let lines = note::parts(note).map_or("", |(_, below)| below);
    lines.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteKey;
    use popwatch_core::tlog::Tree;

    fn entry(at_ms: i64) -> Vec<u8> {
        let entry = Entry {
            at_ms,
            actor: "local".into(),
            action: Action::BooksClosed,
            popup: "fri".into(),
            rig: String::new(),
            decision: Decision::Allowed,
            reason: String::new(),
            detail: Value::map([("n", Value::Number(1))]),
            access: None,
        };
        entry.encode().unwrap()
    }

    fn key() -> NoteKey {
        NoteKey::new("local.audit.popwatch", &[3; 32])
    }

    fn log(entries: &[Vec<u8>]) -> (Tree, Checkpoint) {
        let mut tree = Tree::default();
        for entry in entries {
            tree.push(tlog::leaf_hash(entry)).unwrap();
        }
        let head = Checkpoint {
            origin: "local/audit/ledger".into(),
            size: tree.size(),
            root: tree.root(tree.size()).unwrap(),
        };
        (tree, head)
    }

    #[test]
    fn an_entry_is_canonical_and_holds_no_more_than_it_says() {
        let text = String::from_utf8(entry(5)).unwrap();
        assert_eq!(
            text,
            "{\"action\":\"books.closed\",\"actor\":\"local\",\"decision\":\"allowed\",\
             \"detail\":{\"n\":1},\"reason\":\"\",\"resource\":{\"popup\":\"fri\",\"rig\":\"\"},\"ts\":5,\"v\":1}"
        );
    }

    #[test]
    fn a_proof_is_verified_with_the_key_alone_and_any_change_is_found() {
        let entries: Vec<_> = (0..9).map(entry).collect();
        let (tree, head) = log(&entries);
        let proof = Proof {
            entry: entries[4].clone(),
            index: 4,
            hashes: tree.inclusion(4, 9).unwrap(),
            checkpoint: key().sign(&head.text()),
        };
        let text = proof.encode();
        let read = Proof::decode(&text).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&key().public()).unwrap(), head);
        let field = |proof: &Proof| proof.verify(&key().public()).unwrap_err().field;
        let other = Proof {
            entry: entries[5].clone(),
            ..proof.clone()
        };
        assert_eq!(field(&other), "proof");
        assert_eq!(
            field(&Proof {
                index: 5,
                ..proof.clone()
            }),
            "proof"
        );
        let edited = proof.checkpoint.replace("\n9\n", "\n8\n");
        assert_eq!(
            field(&Proof {
                checkpoint: edited,
                ..proof.clone()
            }),
            "checkpoint"
        );
        let stranger = NoteKey::new("local.audit.popwatch", &[4; 32]).public();
        assert_eq!(proof.verify(&stranger).unwrap_err().field, "key");
        for at in 0..text.len() {
            if !text.is_char_boundary(at) || !text.is_char_boundary(at + 1) {
                continue;
            }
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let passes = Proof::decode(&changed).and_then(|proof| proof.verify(&key().public()));
            assert!(passes.is_err(), "byte {at} changed and nobody saw it");
        }
    }

    #[test]
    fn a_log_that_shrank_or_was_edited_is_convicted_by_an_older_head() {
        let entries: Vec<_> = (0..12).map(entry).collect();
        let (_, held) = log(&entries[..7]);
        assert_eq!(continues(&entries, &held, &held), Ok(()));
        let problem = |entries: &[Vec<u8>]| continues(entries, &held, &held).unwrap_err().problem;
        assert!(problem(&entries[..6]).starts_with("shrank"));
        for at in 0..7 {
            let mut edited = entries.clone();
            edited[at][9] ^= 1;
            assert!(problem(&edited).starts_with("was rewritten"));
            let mut dropped = entries.clone();
            dropped.remove(at);
            assert!(problem(&dropped).starts_with("was rewritten"));
        }
        let mut later = entries.clone();
        later[7][9] ^= 1;
        assert_eq!(continues(&later, &held, &held), Ok(()));
        let other = Checkpoint {
            origin: "local/audit/ledger/2".into(),
            ..held.clone()
        };
        assert_eq!(continues(&entries, &other, &held).unwrap_err().field, "log");
    }
}
