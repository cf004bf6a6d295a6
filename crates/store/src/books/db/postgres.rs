//! PostgreSQL: one connection to a server, rows kept back and written as arrays.
//!
//! The connection is made again when it was lost, but never inside a transaction: what was open then
//! fails with [`DbFault::Gone`] and is tried again by whoever sent it. Whoever writes holds one lock
//! of the database for as long as the transaction lasts, so two ledgers on one database take turns.

mod column;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::postgres::error::SqlState;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, NoTls, Statement};

use self::column::Column;
use super::value::{Row, Value};
use super::{DbFault, Insert, KEY_BYTES, translate};

/// How long a server may take to answer a greeting.
const CONNECT: Duration = Duration::from_secs(5);
/// Rows kept back of one table; beyond, they are written.
const ROWS_KEPT: usize = 4_096;
/// Bytes kept back of one table; beyond, they are written.
const BYTES_KEPT: usize = 8 << 20;
/// Oldest server whose words are used here.
const OLDEST: i32 = 130_000;

/// A transaction begins and waits for its turn. The number is popwatch's name for its lock.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(8085890577463961705)";
/// How a session is set up. A commit must be on disk when it returns, whatever the server's default;
/// one that waits for replicas stays so.
const SESSION: &str = "SET client_min_messages = warning; SET jit = off; SET lock_timeout = '30s'; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

pub(super) struct Server(RefCell<Session>);

struct Session {
    config: Config,
    client: Option<Client>,
    known: BTreeMap<&'static str, Known>,
    arrays: BTreeMap<&'static str, Statement>,
    kept: Vec<Kept>,
    in_work: bool,
    /// A statement of the open transaction failed, so that nothing of it can stand.
    hurt: bool,
}

/// A prepared statement, and which of the tables whose rows are kept back it names.
#[derive(Clone)]
struct Known {
    statement: Statement,
    tables: Vec<(&'static str, bool)>,
}

/// Rows of one table that were put and not written.
struct Kept {
    into: &'static Insert,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    keys: BTreeSet<Vec<u8>>,
}

impl Server {
    pub(super) fn connect(url: &str) -> Result<Self, DbFault> {
        let mut config: Config = url.parse()?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("popwatch");
        }
        config.keepalives_idle(Duration::from_secs(30));
        config.tcp_user_timeout(Duration::from_secs(30));
        let mut session = Session {
            config,
            client: None,
            known: BTreeMap::new(),
            arrays: BTreeMap::new(),
            kept: Vec::new(),
            in_work: false,
            hurt: false,
        };
        session.client()?;
        Ok(Self(RefCell::new(session)))
    }

    pub(super) fn run(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, DbFault> {
        let mut session = self.0.borrow_mut();
        let statement = session.ready(sql)?;
        let rows = session.ask(|client| client.execute(&statement, &borrowed(values)))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    pub(super) fn each(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: &mut dyn FnMut(&Row<'_>) -> Result<(), DbFault>,
    ) -> Result<(), DbFault> {
        let rows = {
            let mut session = self.0.borrow_mut();
            let statement = session.ready(sql)?;
            session.ask(|client| client.query(&statement, &borrowed(values)))?
        };
        rows.iter().try_for_each(|row| read(&Row::Postgres(row)))
    }

    pub(super) fn put(&self, into: &'static Insert, values: &[Value<'_>]) -> Result<(), DbFault> {
        self.0.borrow_mut().keep(into, values)
    }

    pub(super) fn known(
        &self,
        sql: &'static str,
        keys: &BTreeSet<[u8; KEY_BYTES]>,
        rest: &[Value<'_>],
    ) -> Result<BTreeSet<[u8; KEY_BYTES]>, DbFault> {
        let mut session = self.0.borrow_mut();
        let mut all = Column::default();
        for key in keys {
            all.push(Value::Blob(key));
        }
        let statement = session.prepared(sql, || translate::any(sql))?;
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&all];
        values.extend(borrowed(rest));
        let rows = session.ask(|client| client.query(&statement, &values))?;
        rows.iter().map(|row| Row::Postgres(row).get(0)).collect()
    }

    pub(super) fn script(&self, sql: &str) -> Result<(), DbFault> {
        let mut session = self.0.borrow_mut();
        session.write_all(|_| true)?;
        session.ask(|client| client.batch_execute(sql))
    }

    pub(super) fn begin(&self) -> Result<(), DbFault> {
        let mut session = self.0.borrow_mut();
        session.kept.clear();
        session.ask(|client| client.batch_execute(BEGIN))?;
        session.in_work = true;
        session.hurt = false;
        Ok(())
    }

    pub(super) fn commit(&self) -> Result<(), DbFault> {
        let mut session = self.0.borrow_mut();
        session.write_all(|_| true)?;
        // The server answers a commit after a failure as if all were well, and rolls back.
        if session.hurt {
            return Err(DbFault::Gone);
        }
        session.ask(|client| client.batch_execute("COMMIT"))?;
        session.in_work = false;
        Ok(())
    }

    /// A connection that cannot even end its work is given up; the server ends it then.
    pub(super) fn roll_back(&self) {
        let mut session = self.0.borrow_mut();
        session.kept.clear();
        session.in_work = false;
        let ended = session
            .client
            .as_mut()
            .map(|client| client.batch_execute("ROLLBACK"));
        if let Some(Err(_)) = ended {
            session.client = None;
        }
    }
}

impl Session {
    fn client(&mut self) -> Result<&mut Client, DbFault> {
        let lives = self
            .client
            .as_ref()
            .is_some_and(|client| !client.is_closed());
        if !lives {
            if self.in_work {
                return Err(DbFault::Gone);
            }
            self.client = None;
            self.known.clear();
            self.arrays.clear();
            let mut client = self.config.connect(NoTls)?;
            client.batch_execute(SESSION)?;
            let row = client.query_one("SELECT current_setting('server_version_num')::int", &[])?;
            if row.try_get::<_, i32>(0)? < OLDEST {
                return Err(DbFault::ServerOld);
            }
            self.client = Some(client);
        }
        self.client.as_mut().ok_or(DbFault::Gone)
    }

    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Client) -> Result<T, ::postgres::Error>,
    ) -> Result<T, DbFault> {
        let answer = question(self.client()?);
        self.hurt |= answer.is_err();
        Ok(answer?)
    }

    /// The statement, after the rows were written that it may ask for.
    fn ready(&mut self, sql: &'static str) -> Result<Statement, DbFault> {
        self.prepared(sql, || translate::statement(sql))
    }

    fn prepared(
        &mut self,
        sql: &'static str,
        translated: impl Fn() -> String,
    ) -> Result<Statement, DbFault> {
        // A lost connection forgets its statements.
        self.client()?;
        if !self.known.contains_key(sql) {
            let statement = self.ask(|client| client.prepare(&translated()))?;
            let tables = Vec::new();
            self.known.insert(sql, Known { statement, tables });
        }
        let Some(known) = self.known.get_mut(sql) else {
            return Err(DbFault::NoRow);
        };
        let mut named = false;
        for kept in self.kept.iter().filter(|kept| kept.rows > 0) {
            let table = kept.into.table;
            let found = known.tables.iter().find(|(of, _)| *of == table);
            let found = found.map(|(_, named)| *named).unwrap_or_else(|| {
                let names = translate::names(sql, table);
                known.tables.push((table, names));
                names
            });
            named |= found;
        }
        let statement = known.statement.clone();
        if named {
            self.write_all(|table| translate::names(sql, table))?;
        }
        Ok(statement)
    }

    fn keep(&mut self, into: &'static Insert, values: &[Value<'_>]) -> Result<(), DbFault> {
        let at = match self
            .kept
            .iter()
            .position(|kept| std::ptr::eq(kept.into, into))
        {
            Some(at) => at,
            None => {
                // Another way into the same table keeps its place in the order.
                self.write_all(|table| table == into.table)?;
                self.kept.push(Kept::new(into));
                self.kept.len() - 1
            }
        };
        let key = column::key(values.get(..into.key).unwrap_or_default());
        let full = self.kept.get(at).is_some_and(|kept| {
            let twice = into.key > 0 && kept.keys.contains(&key);
            twice || kept.rows >= ROWS_KEPT || kept.bytes >= BYTES_KEPT
        });
        if full {
            self.write(at)?;
        }
        if let Some(kept) = self.kept.get_mut(at) {
            kept.add(values, key);
        }
        Ok(())
    }

    fn write_all(&mut self, which: impl Fn(&str) -> bool) -> Result<(), DbFault> {
        for at in 0..self.kept.len() {
            let wanted = |kept: &Kept| kept.rows > 0 && which(kept.into.table);
            if self.kept.get(at).is_some_and(wanted) {
                self.write(at)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, at: usize) -> Result<(), DbFault> {
        let Some(slot) = self.kept.get_mut(at) else {
            return Ok(());
        };
        let kept = std::mem::replace(slot, Kept::new(slot.into));
        let sql = kept.into.sql;
        self.client()?;
        let statement = match self.arrays.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.ask(|client| client.prepare(&translate::arrays(kept.into)))?;
                self.arrays.insert(sql, statement.clone());
                statement
            }
        };
        let columns: Vec<&(dyn ToSql + Sync)> = kept
            .columns
            .iter()
            .map(|column| -> &(dyn ToSql + Sync) { column })
            .collect();
        self.ask(|client| client.execute(&statement, &columns))?;
        Ok(())
    }
}

impl Kept {
    fn new(into: &'static Insert) -> Self {
        Self {
            into,
            columns: into.kinds.iter().map(|_| Column::default()).collect(),
            rows: 0,
            bytes: 0,
            keys: BTreeSet::new(),
        }
    }

    fn add(&mut self, values: &[Value<'_>], key: Vec<u8>) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            self.bytes += column.push(*value);
        }
        self.rows += 1;
        if self.into.key > 0 {
            self.keys.insert(key);
        }
    }
}

fn borrowed<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| -> &(dyn ToSql + Sync) { value })
        .collect()
}

/// Classes 22 and 23: data that no column takes; 54: more than the server has room for in one row.
pub(super) fn is_of_the_record(fault: &::postgres::Error) -> bool {
    fault.code().is_some_and(|state| {
        ["22", "23", "54"]
            .iter()
            .any(|of| state.code().starts_with(of))
    })
}

pub(super) fn is_passing(fault: &::postgres::Error) -> bool {
    let passing = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    fault.code().is_some_and(|state| passing.contains(state))
}
