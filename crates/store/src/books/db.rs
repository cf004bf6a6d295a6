//! One face over both stores: SQLite in a file, PostgreSQL (feature `postgres`) on a server.
//!
//! SQL is written once, in the words both know; values stand as `?1`, `?2`. What the stores must
//! do differently is in here alone:
//!
//! | step | SQLite | PostgreSQL |
//! |---|---|---|
//! | [`Db::run`], [`Db::rows`], [`Db::row`], [`Db::one`] | prepared once | prepared once, `$1` |
//! | [`Db::put`] of one row | inserted at once | kept until its table is named, then one `unnest` |
//! | [`Db::known`] of many keys | one lookup each | one `= ANY` |
//!
//! What always holds: a statement sees every row that was put before it, since rows kept back are
//! written before any statement that names their table, and before a commit. One transaction is open
//! at a time, and no other process writes meanwhile.

mod sqlite;
mod value;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
pub(super) mod translate;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::sqlite::Sqlite;
pub(super) use self::value::{Row, ToValue, Value, values};

/// How many bytes a key has that [`Db::known`] looks up.
pub(super) const KEY_BYTES: usize = 16;

/// A store that holds the books.
pub(super) struct Db {
    engine: Engine,
    /// By how much the open transaction changed what open breaks hold in suspense, by book and
    /// commodity, since it was last asked.
    suspense: RefCell<BTreeMap<(String, String), i128>>,
}

enum Engine {
    Sqlite(Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Server>),
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DbFault {
    /// SQLite's reason.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL's reason.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] ::postgres::Error),
    /// A column does not hold what was asked of it.
    #[error("column {0} holds another type")]
    Shape(usize),
    /// A question that always has an answer had none.
    #[error("an answer has no row")]
    NoRow,
    /// This program was built without PostgreSQL.
    #[error("this program was built without PostgreSQL")]
    NotBuilt,
    /// The server is older than what is asked of it here.
    #[cfg(feature = "postgres")]
    #[error("the server is older than PostgreSQL 13")]
    ServerOld,
    /// The server went away in the middle of a transaction: nothing of it stands.
    #[error("the server went away")]
    Gone,
}

/// A row of a table that takes many: how it is inserted, one row or many.
#[cfg_attr(
    not(feature = "postgres"),
    expect(
        dead_code,
        reason = "SQLite inserts row by row and needs the statement alone"
    )
)]
pub(super) struct Insert {
    /// The table's name.
    pub(super) table: &'static str,
    /// Types of the columns, in the order of the statement.
    pub(super) kinds: &'static [Kind],
    /// Leading columns of which no two rows of one statement may agree; 0 where none ever do.
    pub(super) key: usize,
    /// `INSERT INTO table (…) VALUES (?1, …)`, perhaps with a clause for conflicts after it.
    pub(super) sql: &'static str,
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 64-bit number.
    Int,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

impl Db {
    fn over(engine: Engine) -> Self {
        Self {
            engine,
            suspense: RefCell::default(),
        }
    }

    /// Notes that open breaks of a book hold so much more in suspense.
    pub(super) fn suspended(&self, book: &str, commodity: &str, more: i128) {
        if more != 0 {
            let key = (book.to_owned(), commodity.to_owned());
            *self.suspense.borrow_mut().entry(key).or_default() += more;
        }
    }

    /// What was noted of suspense since the transaction began or this was last asked.
    pub(super) fn take_suspended(&self) -> BTreeMap<(String, String), i128> {
        self.suspense.take()
    }

    /// Opens or makes a database in a file.
    pub(super) fn open(path: &Path) -> Result<Self, DbFault> {
        Ok(Self::over(Engine::Sqlite(Sqlite::open(path)?)))
    }

    /// Makes an empty database that lives as long as this value.
    pub(super) fn open_memory() -> Result<Self, DbFault> {
        Ok(Self::over(Engine::Sqlite(Sqlite::open_memory()?)))
    }

    /// Connects to a server.
    #[cfg(feature = "postgres")]
    pub(super) fn connect(url: &str) -> Result<Self, DbFault> {
        let server = postgres::Server::connect(url)?;
        Ok(Self::over(Engine::Postgres(Box::new(server))))
    }

    /// Says that no server can be spoken to here.
    #[cfg(not(feature = "postgres"))]
    pub(super) fn connect(_: &str) -> Result<Self, DbFault> {
        Err(DbFault::NotBuilt)
    }

    /// Runs a statement; how many rows it changed.
    pub(super) fn run(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.run(sql, values),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.run(sql, values),
        }
    }

    /// All rows of a question.
    pub(super) fn rows<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, DbFault>,
    ) -> Result<Vec<T>, DbFault> {
        let mut out = Vec::new();
        self.each(sql, values, &mut |row| {
            out.push(read(row)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// The row of a question, if there is one.
    pub(super) fn row<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, DbFault>,
    ) -> Result<Option<T>, DbFault> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }

    /// The row of a question that always has one.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, DbFault>,
    ) -> Result<T, DbFault> {
        self.row(sql, values, read)?.ok_or(DbFault::NoRow)
    }

    fn each(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: &mut dyn FnMut(&Row<'_>) -> Result<(), DbFault>,
    ) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.each(sql, values, read),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.each(sql, values, read),
        }
    }

    /// Inserts one row of many. On a server it travels with others, so that a row which the table
    /// refuses fails a later statement or the commit.
    pub(super) fn put(&self, into: &'static Insert, values: &[Value<'_>]) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.run(into.sql, values).map(drop),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.put(into, values),
        }
    }

    /// Which of these keys a table has. The statement returns the key it is asked for as its only
    /// column and compares it as `= ?1`; the other values are the same for all.
    pub(super) fn known(
        &self,
        sql: &'static str,
        keys: &BTreeSet<[u8; KEY_BYTES]>,
        rest: &[Value<'_>],
    ) -> Result<BTreeSet<[u8; KEY_BYTES]>, DbFault> {
        if keys.is_empty() {
            return Ok(BTreeSet::new());
        }
        match &self.engine {
            Engine::Sqlite(db) => db.known(sql, keys, rest),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.known(sql, keys, rest),
        }
    }

    /// Runs statements without values or answers, none of them kept prepared.
    pub(super) fn script(&self, sql: &str) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.script(sql),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.script(&translate::schema(sql)),
        }
    }

    /// Whether a table exists.
    pub(super) fn has_table(&self, name: &str) -> Result<bool, DbFault> {
        match &self.engine {
            Engine::Sqlite(_) => self.one(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)",
                values![name],
                |row| row.get(0),
            ),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => {
                self.one("SELECT to_regclass(?1) IS NOT NULL", values![name], |row| {
                    row.get(0)
                })
            }
        }
    }

    /// Leaves nothing in the store's own files of what is in no row any more.
    pub(super) fn wipe(&self) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.wipe(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.script("VACUUM records"),
        }
    }

    /// Writes zeros over what is deleted from now on, or not. A server does by its own means.
    pub(super) fn overwrite(&self, is_on: bool) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.overwrite(is_on),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Copies a database in a file beside it, under its name with this suffix. A server's and one in
    /// memory are not copied.
    pub(super) fn copy_aside(&self, suffix: &str) -> Result<(), DbFault> {
        match &self.engine {
            Engine::Sqlite(db) => db.copy_aside(suffix),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Steps of the store's machine so far: what its statements cost, whatever the clock says.
    #[cfg(test)]
    pub(super) fn steps(&self) -> u64 {
        match &self.engine {
            Engine::Sqlite(db) => db.steps.get(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => 0,
        }
    }

    /// Opens the one transaction; nobody else writes until it ends.
    pub(super) fn begin(&self) -> Result<Work<'_>, DbFault> {
        self.suspense.take();
        match &self.engine {
            Engine::Sqlite(db) => db.begin()?,
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.begin()?,
        }
        Ok(Work {
            db: self,
            open: true,
        })
    }
}

/// An open transaction: dropping it leaves nothing of it behind.
pub(super) struct Work<'a> {
    db: &'a Db,
    open: bool,
}

impl Work<'_> {
    /// Makes it durable.
    pub(super) fn commit(mut self) -> Result<(), DbFault> {
        match &self.db.engine {
            Engine::Sqlite(db) => db.commit()?,
            #[cfg(feature = "postgres")]
            Engine::Postgres(db) => db.commit()?,
        }
        self.open = false;
        Ok(())
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.open {
            match &self.db.engine {
                Engine::Sqlite(db) => db.roll_back(),
                #[cfg(feature = "postgres")]
                Engine::Postgres(db) => db.roll_back(),
            }
        }
    }
}

impl DbFault {
    /// Whether the values that were to be stored are at fault: the same ones would fail again.
    pub(super) fn is_of_the_record(&self) -> bool {
        match self {
            Self::Sqlite(fault) => sqlite::is_of_the_record(fault),
            #[cfg(feature = "postgres")]
            Self::Postgres(fault) => postgres::is_of_the_record(fault),
            #[cfg(feature = "postgres")]
            Self::ServerOld => false,
            Self::Shape(_) | Self::NoRow | Self::NotBuilt | Self::Gone => false,
        }
    }

    /// Whether the same transaction may pass when it is tried again at once.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(fault) => postgres::is_passing(fault),
            #[cfg(feature = "postgres")]
            Self::ServerOld => false,
            Self::Sqlite(_) | Self::Shape(_) | Self::NoRow | Self::NotBuilt | Self::Gone => false,
        }
    }
}
