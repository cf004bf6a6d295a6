//! The ledger, in SQLite or PostgreSQL: records, facts, entries, balances and breaks, one transaction per batch.
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
//! `synchronous=FULL`, PostgreSQL with `synchronous_commit`: a commit that returned survives. The
//! stores differ in [`db`] alone; what stands in the books does not depend on which one holds them.

mod central;
mod closed;
mod db;
mod decided;
mod erase;
mod frame;
mod gaps;
mod groups;
mod held;
mod identity;
mod intake;
mod members;
mod policies;
mod posting;
mod read;
mod rows;
mod rules;
mod schema;
mod shown;
mod single;
mod statements;
mod tables;
mod unsettled;

use std::path::Path;

use popwatch_core::code::Code;
use popwatch_core::lane::{RecordAck, RecordBatch};
use popwatch_core::ledger::entry::EntryFault;
use popwatch_core::time::Now;

pub use self::central::{CENTRAL, CentralVerdict};
pub use self::closed::ClosedBooks;
use self::db::Db;
pub use self::db::DbFault;
use self::rules::Terms;
pub use members::{Enrolled, Member};
pub use read::{AccountLine, BooksView, CurrencyBooks, EpochWatermark, StockBooks};
pub use shown::{EntryLine, EntryQuestion, FactsView};
pub use statements::PolicyMark;
pub use unsettled::{Claims, Exposure, Unsettled};

/// How often a transaction is begun again that the server ended for the sake of another.
const TRIES: u32 = 5;

/// The books of all popups, in one database.
pub struct Books {
    db: Db,
    terms: Terms,
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
    /// The store failed.
    #[error("the ledger could not {what}")]
    Sql {
        /// What it tried.
        what: &'static str,
        /// Why not.
        source: DbFault,
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
            Self::Sql { source, .. } => source.is_of_the_record(),
            Self::Fork { .. }
            | Self::Protocol(_)
            | Self::SchemaNewer { .. }
            | Self::SchemaForeign { .. }
            | Self::SqliteUnsafe(_)
            | Self::Damaged(_)
            | Self::Bound(_) => false,
        }
    }

    fn is_passing(&self) -> bool {
        matches!(self, Self::Sql { source, .. } if source.is_passing())
    }

    fn sql(what: &'static str) -> impl Fn(DbFault) -> Self {
        move |source| Self::Sql { what, source }
    }
}

impl Books {
    /// Opens or makes the books in a file, with the newest schema. Books of an older schema are
    /// copied beside the file first.
    pub fn open(path: &Path) -> Result<Self, BooksFault> {
        Self::sqlite_is_safe()?;
        let db = Db::open(path).map_err(BooksFault::sql("open its database"))?;
        Self::set_up(db)
    }

    /// Makes empty books that live as long as this value.
    pub fn open_memory() -> Result<Self, BooksFault> {
        Self::sqlite_is_safe()?;
        let db = Db::open_memory().map_err(BooksFault::sql("make a database"))?;
        Self::set_up(db)
    }

    /// Opens or makes the books in a PostgreSQL database, named as `postgres://user@host/database`
    /// or in words: `host=… user=… dbname=…`. Not to be called from asynchronous code, nor is any
    /// other function of such books: they wait for the server.
    /// Without the feature `postgres` it always fails.
    pub fn connect(url: &str) -> Result<Self, BooksFault> {
        let db = Db::connect(url).map_err(BooksFault::sql("reach its database server"))?;
        Self::set_up(db)
    }

    /// Refuses versions that can lose a commit when two connections reset the write-ahead log at
    /// once.
    fn sqlite_is_safe() -> Result<(), BooksFault> {
        match (3_007_000..=3_051_002).contains(&rusqlite::version_number()) {
            true => Err(BooksFault::SqliteUnsafe(rusqlite::version())),
            false => Ok(()),
        }
    }

    fn set_up(db: Db) -> Result<Self, BooksFault> {
        schema::migrate(&db)?;
        let terms = Terms::read(&db)?;
        Ok(Self { db, terms })
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
        let terms = &self.terms;
        match self.transact(|db| intake::take(db, terms, batch, now)) {
            Err(fault) if batch.quarantined && fault.is_of_the_record() => {
                self.transact(|db| intake::keep_unread(db, terms, batch, now))
            }
            outcome => outcome,
        }
    }

    /// Does work in one transaction: all of it is durable when this returns, or, when it fails,
    /// nothing is there; but a fork's bytes are kept. Work that the server ended for the sake of
    /// another is done again from its begin.
    fn transact<T>(&self, work: impl Fn(&Db) -> Result<T, BooksFault>) -> Result<T, BooksFault> {
        let mut tries = 1;
        loop {
            let open = self.db.begin().map_err(BooksFault::sql("begin"))?;
            let outcome = work(&self.db);
            let outcome = match outcome {
                Ok(_) | Err(BooksFault::Fork { .. }) => open
                    .commit()
                    .map_err(BooksFault::sql("commit"))
                    .and(outcome),
                Err(_) => {
                    drop(open);
                    outcome
                }
            };
            match outcome {
                Err(fault) if fault.is_passing() && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests;
