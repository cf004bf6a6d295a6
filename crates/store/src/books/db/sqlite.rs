//! SQLite: one file, one connection, commits that survive a power cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};

use super::value::{Row, Value};
use super::{DbFault, KEY_BYTES};

/// Statements kept prepared.
const STATEMENTS: usize = 192;

pub(super) struct Sqlite {
    db: Connection,
    file: Option<PathBuf>,
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, DbFault> {
        Self::set_up(Connection::open(path)?, Some(path.to_path_buf()))
    }

    pub(super) fn open_memory() -> Result<Self, DbFault> {
        Self::set_up(Connection::open_in_memory()?, None)
    }

    fn set_up(db: Connection, file: Option<PathBuf>) -> Result<Self, DbFault> {
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; \
             PRAGMA busy_timeout = 5000; \
             PRAGMA wal_autocheckpoint = 4000;",
        )?;
        Ok(Self {
            db,
            file,
            #[cfg(test)]
            steps: std::cell::Cell::default(),
        })
    }

    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, DbFault> {
        let mut statement = self.db.prepare_cached(sql)?;
        let changed = statement.execute(params_from_iter(values))?;
        self.count(&statement);
        Ok(changed)
    }

    /// Adds up what a statement cost.
    #[cfg(test)]
    fn count(&self, statement: &rusqlite::Statement<'_>) {
        let steps = statement.reset_status(rusqlite::StatementStatus::VmStep);
        let steps = u64::try_from(steps).unwrap_or(0);
        self.steps.set(self.steps.get() + steps);
    }

    #[cfg(not(test))]
    fn count(&self, _: &rusqlite::Statement<'_>) {}

    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: &mut dyn FnMut(&Row<'_>) -> Result<(), DbFault>,
    ) -> Result<(), DbFault> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            read(&Row::Sqlite(row))?;
        }
        drop(rows);
        self.count(&statement);
        Ok(())
    }

    pub(super) fn known(
        &self,
        sql: &str,
        keys: &BTreeSet<[u8; KEY_BYTES]>,
        rest: &[Value<'_>],
    ) -> Result<BTreeSet<[u8; KEY_BYTES]>, DbFault> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut out = BTreeSet::new();
        for key in keys {
            let values = std::iter::once(Value::Blob(key)).chain(rest.iter().copied());
            if statement.exists(params_from_iter(values))? {
                out.insert(*key);
            }
        }
        Ok(out)
    }

    pub(super) fn script(&self, sql: &str) -> Result<(), DbFault> {
        Ok(self.db.execute_batch(sql)?)
    }

    /// Zeros over what is deleted from now on, or not.
    pub(super) fn overwrite(&self, is_on: bool) -> Result<(), DbFault> {
        match is_on {
            true => self.script("PRAGMA secure_delete = ON"),
            false => self.script("PRAGMA secure_delete = OFF"),
        }
    }

    /// Takes what is in the log over into the file, and empties it.
    pub(super) fn wipe(&self) -> Result<(), DbFault> {
        self.script("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// A copy under another name first: a power cut leaves no half one under the final name.
    pub(super) fn copy_aside(&self, suffix: &str) -> Result<(), DbFault> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let named = |end: &str| {
            let mut name = file.clone().into_os_string();
            name.push(format!(".{suffix}{end}"));
            PathBuf::from(name)
        };
        let (copy, fresh) = (named(""), named(".tmp"));
        let text = fresh.to_string_lossy().into_owned();
        let failed = |error: std::io::Error| {
            DbFault::Sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
        };
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.db.execute("VACUUM INTO ?1", [text])?;
        std::fs::File::open(&fresh)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&fresh, copy))
            .map_err(failed)
    }

    pub(super) fn begin(&self) -> Result<(), DbFault> {
        self.run("BEGIN IMMEDIATE", &[]).map(drop)
    }

    pub(super) fn commit(&self) -> Result<(), DbFault> {
        self.run("COMMIT", &[]).map(drop)
    }

    /// A failure here means that SQLite ended the transaction itself, as it does on a full disk.
    pub(super) fn roll_back(&self) {
        if !self.db.is_autocommit() {
            drop(self.run("ROLLBACK", &[]));
        }
    }
}

pub(super) fn value<'a>(row: &'a rusqlite::Row<'a>, at: usize) -> Result<Value<'a>, DbFault> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => {
            Value::Text(std::str::from_utf8(text).map_err(|_| DbFault::Shape(at))?)
        }
        ValueRef::Blob(bytes) => Value::Blob(bytes),
        ValueRef::Real(_) => return Err(DbFault::Shape(at)),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(super) fn is_of_the_record(fault: &rusqlite::Error) -> bool {
    matches!(
        fault.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}
