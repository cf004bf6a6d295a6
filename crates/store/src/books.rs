//! The ledger in SQLite: records, facts, entries, balances and breaks, one transaction per batch.
//!
//! ```text
//! RecordBatch ─► frames, chains ─► records ─► facts (three identities) ─► entries ─► balances
//!                    │                            │                          │
//!                    └── fork, other bytes ───────┴──────► breaks ◄──────────┘
//! ```
//!
//! What always holds after a commit: every position once; every entry balanced; per book and
//! commodity the trial balance is zero and suspense equals the open breaks (L6). Entries and breaks
//! are recomputed for exactly the facts a batch touches and are a function of the facts alone, so
//! order, repeats and splits of deliveries change nothing (L3).
//!
//! If power fails inside [`Books::accept`] nothing of the batch is there, no acknowledgement was
//! sent, and the same batch sent again gives the same books. SQLite runs in WAL mode with
//! `synchronous=FULL`: a commit that returned survives.

mod central;
mod frame;
mod gaps;
mod held;
mod identity;
mod intake;
mod posting;
mod read;
mod rows;
mod schema;
mod shown;

use std::path::Path;

use popwatch_core::code::Code;
use popwatch_core::lane::{RecordAck, RecordBatch};
use popwatch_core::ledger::entry::EntryFault;
use popwatch_core::time::Now;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub use central::{CENTRAL, CentralVerdict};
pub use read::{AccountLine, BooksView, CurrencyBooks, EpochWatermark, StockBooks};
pub use shown::{EntryLine, EntryQuestion, FactsView};

/// Statements kept prepared.
const STATEMENTS: usize = 64;

/// The books of all popups, in one database.
pub struct Books {
    db: Connection,
}

/// Why the books did not do what was asked. Nothing of the operation is kept, but for a fork: its
/// bytes are kept aside.
#[derive(Debug, thiserror::Error)]
pub enum BooksFault {
    /// Two histories use one epoch; the rig must open an epoch of at least this number.
    #[error("two journals use one rig and epoch; the rig must go on in epoch {next_epoch}")]
    Fork {
        /// The least epoch the rig may open now.
        next_epoch: u32,
        /// [`Code::EpochForked`] or [`Code::ChainBroken`].
        code: Code,
    },
    /// The batch is damaged or out of range; the rig keeps its records and sends again.
    #[error("the batch {0}")]
    Batch(&'static str),
    /// The batch speaks another version of the lane.
    #[error("the batch speaks version {0} of the records lane, not ours")]
    Protocol(u32),
    /// The database knows schema steps that this binary does not.
    #[error("the database is at schema {found}, this popwatch knows {known}; use a newer popwatch")]
    SchemaNewer {
        /// Newest step in the database.
        found: i64,
        /// Newest step known here.
        known: i64,
    },
    /// A schema step in the database is not the one released under its number.
    #[error("schema step {step} of the database is not ours; is this a popwatch ledger?")]
    SchemaForeign {
        /// Which step.
        step: i64,
    },
    /// A version of SQLite that can lose commits.
    #[error("SQLite {0} can lose commits in WAL mode; build popwatch with its bundled SQLite")]
    SqliteUnsafe(&'static str),
    /// SQLite failed.
    #[error("the ledger could not {what}")]
    Sql {
        /// What it tried.
        what: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
    /// Stored bytes are not what was stored.
    #[error("the ledger's {0} is damaged")]
    Damaged(&'static str),
    /// A bound was passed.
    #[error("the ledger holds too many {0}")]
    Bound(&'static str),
    /// A fact makes no entry.
    #[error("a fact makes no entry")]
    Entry(#[source] EntryFault),
    /// Committing would break a law; nothing was committed.
    #[error("the books would break a law: {0}")]
    Law(String),
}

impl BooksFault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Fork { code, .. } => *code,
            Self::Batch(_) => Code::BatchInvalid,
            Self::Protocol(_) => Code::ProtocolUnsupported,
            Self::SchemaNewer { .. } | Self::SchemaForeign { .. } => Code::SchemaNewer,
            Self::SqliteUnsafe(_) | Self::Sql { .. } | Self::Damaged(_) => Code::LedgerUnavailable,
            Self::Bound(_) => Code::BoundPassed,
            Self::Entry(_) => Code::AmountOverflow,
            Self::Law(_) => Code::Defect,
        }
    }

    /// Whether what was sent is at fault, not the ledger: the same bytes would fail again.
    fn is_of_the_record(&self) -> bool {
        match self {
            Self::Batch(_) | Self::Entry(_) | Self::Law(_) => true,
            Self::Sql { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
            ),
            Self::Fork { .. }
            | Self::Protocol(_)
            | Self::SchemaNewer { .. }
            | Self::SchemaForeign { .. }
            | Self::SqliteUnsafe(_)
            | Self::Damaged(_)
            | Self::Bound(_) => false,
        }
    }

    fn sql(what: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Sql { what, source }
    }
}

impl Books {
    /// Opens or makes the books in a file, with the newest schema.
    pub fn open(path: &Path) -> Result<Self, BooksFault> {
        let db = Connection::open(path).map_err(BooksFault::sql("open its database"))?;
        Self::set_up(db)
    }

    /// Makes empty books that live as long as this value.
    pub fn open_memory() -> Result<Self, BooksFault> {
        let db = Connection::open_in_memory().map_err(BooksFault::sql("make a database"))?;
        Self::set_up(db)
    }

    fn set_up(mut db: Connection) -> Result<Self, BooksFault> {
        // Versions that can lose a commit when two connections reset the write-ahead log at once.
        if (3_007_000..=3_051_002).contains(&rusqlite::version_number()) {
            return Err(BooksFault::SqliteUnsafe(rusqlite::version()));
        }
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                       PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; \
                       PRAGMA busy_timeout = 5000; \
                       PRAGMA wal_autocheckpoint = 4000;";
        db.execute_batch(pragmas)
            .map_err(BooksFault::sql("set up its database"))?;
        schema::migrate(&mut db)?;
        Ok(Self { db })
    }

    /// Takes one batch of the records lane: verifies, stores, posts, checks, commits, answers. A
    /// batch without items asks where the ledger stands.
    ///
    /// Fails as a whole when the batch is damaged, when its epoch has another history (a
    /// [`BooksFault::Fork`], whose bytes are kept aside), or when the database fails; single records
    /// that are odd never fail it and are named in the answer. A batch of one item that says
    /// `quarantined` is kept unread where it cannot be taken.
    pub fn accept(&mut self, batch: &RecordBatch, now: Now) -> Result<RecordAck, BooksFault> {
        if batch.rig == CENTRAL {
            return Err(BooksFault::Batch("claims the ledger's own journal"));
        }
        let work = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(BooksFault::sql("begin"))?;
        let outcome = intake::take(&work, batch, now);
        match outcome {
            Ok(_) | Err(BooksFault::Fork { .. }) => {
                work.commit().map_err(BooksFault::sql("commit"))?;
            }
            // Dropping the transaction rolls it back.
            Err(_) => drop(work),
        }
        match outcome {
            Err(fault) if batch.quarantined && fault.is_of_the_record() => {
                self.keep_unread(batch, now)
            }
            outcome => outcome,
        }
    }

    fn keep_unread(&mut self, batch: &RecordBatch, now: Now) -> Result<RecordAck, BooksFault> {
        let work = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(BooksFault::sql("begin"))?;
        let ack = intake::keep_unread(&work, batch, now)?;
        work.commit().map_err(BooksFault::sql("commit"))?;
        Ok(ack)
    }
}

#[cfg(test)]
mod tests;
