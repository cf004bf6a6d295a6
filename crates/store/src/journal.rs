//! The journal of one rig: the only truth it has. An append-only log in segment files, each record
//! at (epoch, seq), each loss named.
//!
//! ```text
//! DATA/LOCK                        one process at a time
//! DATA/journal/000000000001.pwj    8 MiB, allocated in full, zero beyond its tail
//!   header A │ header B │ frame frame frame … │ footer │ trailer
//!              commit = one write + one sync ──┘           the last two only in closed segments
//! DATA/reserve/0..7.pwj            allocated ahead, for the day the disk is full
//! DATA/cache/                      keys of segments that are gone
//! DATA/quarantine/                 bytes that are no part of the journal, kept as evidence
//! ```
//!
//! **If power fails …**
//! - in the middle of a commit: nobody was told. Whole records at its start are kept, the rest is
//!   cut to quarantine; the next epoch states where this one ended.
//! - after a commit's sync: everything of it is found again, byte for byte.
//! - while a segment is closed: its footer is a cache; it is rebuilt from the frames.
//! - while a segment is begun: an empty file is removed, its epoch's number stays used.
//! - during recovery: recovery runs again; it only cuts what it has copied and only states what is
//!   on disk.
//!
//! **If a sync fails**, the pages it should have written may be gone although they can still be
//! read. That file is never written again: a new epoch states the last durable seq, and everything
//! above it in the old one is void.
//!
//! What always holds: a seq is given inside the append, so a failed one burns none; it is never
//! used twice (L2); no file but the segments exists that could disagree with them; answers, reads
//! and batches come from durable bytes only (L1).

mod append;
mod claims;
pub mod disk;
pub mod footer;
pub mod format;
pub mod inspect;
pub mod keys;
mod read;
pub mod recovery;
pub mod rewrite;
pub mod scan;
pub mod segment;
pub mod totals;
pub mod trim;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use popwatch_core::event::Class;
use popwatch_core::event::system::{Acked, Gap, PopupPolicy};
use popwatch_core::id::{BootId, Epoch, EpochId, JournalId, Position, RigId, Seq};
use popwatch_core::record::{Record, Stamp};

pub use disk::Pressure;
pub use read::{BatchParts, ReadItem};
pub use recovery::Recovery;

use crate::fs::Fs;
use append::Head;
use segment::{OpenSegment, Sealed};
use totals::Totals;

/// A value that lies behind a sync that returned. Only the journal makes it (L1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, without its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Entropy a journal needs, drawn by the caller.
pub struct Fresh {
    /// Id of the journal, used only when there is none yet.
    pub journal_id: JournalId,
    /// Draws the id of a new epoch; never the same twice.
    pub epoch_id: Box<dyn FnMut() -> EpochId + Send>,
}

/// What a journal is opened with.
pub struct Opening {
    /// Whose journal it must be.
    pub rig: RigId,
    /// Ids for what is new.
    pub fresh: Fresh,
    /// This run of the operating system.
    pub boot_id: BootId,
    /// Version of popwatch, for the record.
    pub version: String,
    /// Now.
    pub stamp: Stamp,
    /// Popups and policies in force; joined with those of the previous epoch, the higher version
    /// wins.
    pub popups: Vec<PopupPolicy>,
    /// Bytes of a segment file; [`popwatch_core::limits::SEGMENT_BYTES`] but in tests.
    pub segment_bytes: u64,
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the folder.
    #[error("another process uses this data directory")]
    Locked,
    /// The disk refuses; try again in 5 s.
    #[error("the journal cannot be {what}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// The disk's answer.
        source: io::Error,
    },
}

/// Why nothing could be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Neither the open segment nor a new one took the records; try again in 2 s.
    #[error("the records could not be made durable")]
    NotDurable(#[source] io::Error),
    /// The journal was stopped.
    #[error("the journal was stopped")]
    Stopped,
}

/// The answer for one draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable at this place.
    Accepted(Durable<Position>),
    /// The same event with the same content stands here already.
    Duplicate(Position),
    /// The same event with other content stands here; what was given is not kept (PW0104).
    Conflict {
        /// Where the first stands.
        first: Position,
    },
    /// Its payload passes the bound of a frame (PW0109).
    TooLarge,
    /// It would open one popup more than a rig has (PW0109).
    PopupsFull,
    /// The disk is too full for its class (PW0120). It is not kept; the sender keeps it.
    Shed(Class),
}

/// A record that became durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its seq.
    pub seq: Seq,
    /// What it says.
    pub record: Arc<Record>,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// One verdict per draft, in order.
    pub verdicts: Vec<Verdict>,
    /// Everything that became durable since the last answer, popwatch's own records included, in
    /// order.
    pub records: Vec<Committed>,
}

/// What is known of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number.
    pub epoch: Epoch,
    /// Its id.
    pub epoch_id: EpochId,
    /// Its last seq that counts; durable.
    pub last_seq: Seq,
    /// Records up to here are replicated and were removed on purpose; 0 for none.
    pub trimmed: Seq,
    /// None of its records count.
    pub void: bool,
    /// It is the one being written.
    pub current: bool,
    /// Its end is known, because it was stopped cleanly or left behind by a process that knew what
    /// was durable. Otherwise records at its end may have been damaged and cut.
    pub exact: bool,
}

/// Files kept as evidence that are no part of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quarantine {
    /// How many.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many older ones had to go at this start, to keep the bound.
    pub dropped: usize,
}

/// An open journal. One thread owns it; all calls block.
pub struct Journal<F: Fs> {
    fs: F,
    _lock: F::Lock,
    rig: RigId,
    journal_id: JournalId,
    /// Key of event and content hashes: the journal's id twice.
    journal_key: [u8; 32],
    boot_id: BootId,
    version: String,
    segment_bytes: u64,
    fresh_epoch: Box<dyn FnMut() -> EpochId + Send>,
    /// Where the current epoch stands; all of it is durable.
    head: Head,
    totals: Totals,
    /// None after a failure, until a new epoch could be opened.
    open: Option<OpenSegment<F::File>>,
    next_segment_no: u64,
    next_epoch: u32,
    /// Epochs that were begun since the current one and never became durable.
    void_epochs: Vec<u32>,
    popups: BTreeMap<String, PopupPolicy>,
    /// Ascending by number.
    sealed: Vec<Sealed>,
    epochs: Vec<EpochInfo>,
    gaps: Vec<Gap>,
    /// Found, and not yet recorded.
    gaps_waiting: Vec<Gap>,
    acked: Vec<Acked>,
    since_seal: bool,
    /// Wall clock when a seal was last asked for, ms since 1970: popups that end later want one.
    asked_seal_ms: i64,
    /// Durable records of appends that failed later on.
    undelivered: Vec<Committed>,
    quarantine: Quarantine,
    newer_format: bool,
    memo: [Option<read::Memo>; 2],
    space: disk::Space,
    /// Keys that outlived their segments, ascending by number.
    kept_keys: Vec<Sealed>,
    /// Number of the void segment whose events were appended again last.
    taken_along: Option<u64>,
    stopped: bool,
}

impl<F: Fs> Journal<F> {
    /// Which journal of the rig this is.
    #[must_use]
    pub fn journal_id(&self) -> JournalId {
        self.journal_id
    }

    /// Key for [`popwatch_core::record::event_key`] and content hashes.
    #[must_use]
    pub fn journal_key(&self) -> &[u8; 32] {
        &self.journal_key
    }

    /// Whose journal it is.
    #[must_use]
    pub fn rig(&self) -> &RigId {
        &self.rig
    }

    /// The last durable position.
    #[must_use]
    pub fn head(&self) -> Durable<Position> {
        Durable(Position {
            rig: self.rig.clone(),
            epoch: self.head.epoch,
            seq: Seq(self.head.seq),
        })
    }

    /// All epochs with a record on disk, ascending.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochInfo> {
        self.epochs.clone()
    }

    /// Popups and policies the current epoch states.
    #[must_use]
    pub fn popups(&self) -> Vec<PopupPolicy> {
        self.popups.values().cloned().collect()
    }

    /// Everything that is lost, in the order it was found.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether segments of a later format lie untouched beside this journal's (PW0205).
    #[must_use]
    pub fn newer_format(&self) -> bool {
        self.newer_format
    }

    /// What was put aside, as of the start.
    #[must_use]
    pub fn quarantine(&self) -> Quarantine {
        self.quarantine
    }

    /// Bytes of all segment files.
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        let closed: u64 = self.sealed.iter().map(|segment| segment.bytes).sum();
        closed + self.open.as_ref().map_or(0, |open| open.len)
    }

    /// How many segment files there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    /// Whether the last commit failed and none has succeeded since, or there is no room for any
    /// record but popwatch's own.
    #[must_use]
    pub fn cannot_store(&self) -> bool {
        (self.open.is_none() || self.in_last()) && !self.stopped
    }

    /// What the ledger has acknowledged; kept with the next seal.
    pub fn set_acked(&mut self, acked: Vec<Acked>) {
        self.acked = acked;
    }

    /// What the ledger had acknowledged, as last told or as the last seal of an earlier life says.
    #[must_use]
    pub fn acked(&self) -> &[Acked] {
        &self.acked
    }

    /// The disk, for free space and probes.
    #[must_use]
    pub fn fs(&self) -> &F {
        &self.fs
    }
}

#[cfg(test)]
mod tests;
