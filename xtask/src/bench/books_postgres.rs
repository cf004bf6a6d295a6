//! The ledger in PostgreSQL, durable: batches of a thousand sales of eight legs, every tenth batch
//! sent twice. Beside it, on the same server in the same run, pgledger's shape in SQL of our own: one
//! function call and one commit per transfer, which locks both accounts' rows, updates their
//! balances and adds a transfer and two entries.
//!
//! CPU is that of the server's processes, all of them, since its start; the ledger's own is in the
//! line below.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use popwatch_core::event::{Count, Event, InventoryReceived};
use popwatch_core::id::{EventId, Sku};
use popwatch_core::record::event_key;
use popwatch_redact::proof::own;
use popwatch_store::books::Books;

use super::books::{accept_all, batches_of};
use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure, tree_cpu};
use crate::{sample, shell};

const EVENTS: u64 = 30_000;
const LINES: u64 = 3;
/// Transfers of the peer's shape.
const TRANSFERS: u64 = 6_000;
/// Events per server CPU-second.
const BAR: f64 = 20_000.0;
/// Events to the peer's transfers.
const RATIO_BAR: f64 = 40.0;
/// Where Debian keeps what is no command of a user, by version.
const TOOLS: &str = "/usr/lib/postgresql";
const WHAT: &str = "books in PostgreSQL, batch 1000, 8 legs, 10 % replays";
const PEER: &str = "pgledger's shape, own SQL, per transfer";

/// The peer's tables and its one function.
const SHAPE: &str = "
CREATE SCHEMA shape;
CREATE TABLE shape.accounts (
  id bigint PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL);
CREATE TABLE shape.transfers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source bigint NOT NULL,
  target bigint NOT NULL, amount bigint NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE shape.entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, transfer bigint NOT NULL,
  account bigint NOT NULL, amount bigint NOT NULL, before bigint NOT NULL, after bigint NOT NULL,
  version bigint NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON shape.transfers (source);
CREATE INDEX ON shape.transfers (target);
CREATE INDEX ON shape.entries (account);
CREATE INDEX ON shape.entries (transfer);
INSERT INTO shape.accounts SELECT n, 0, 0 FROM generate_series(1, 42) n;
CREATE FUNCTION shape.transfer(source_id bigint, target_id bigint, sum bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE made bigint; source shape.accounts; target shape.accounts;
BEGIN
  PERFORM 1 FROM shape.accounts WHERE id IN (source_id, target_id) ORDER BY id FOR UPDATE;
  INSERT INTO shape.transfers (source, target, amount) VALUES (source_id, target_id, sum)
    RETURNING id INTO made;
  UPDATE shape.accounts SET balance = balance - sum, version = version + 1
    WHERE id = source_id RETURNING * INTO source;
  INSERT INTO shape.entries (transfer, account, amount, before, after, version)
    VALUES (made, source_id, -sum, source.balance + sum, source.balance, source.version);
  UPDATE shape.accounts SET balance = balance + sum, version = version + 1
    WHERE id = target_id RETURNING * INTO target;
  INSERT INTO shape.entries (transfer, account, amount, before, after, version)
    VALUES (made, target_id, sum, target.balance - sum, target.balance, target.version);
  RETURN made;
END $$;
";
const TRANSFER: &str = "\\set source random(1, 21)\n\\set target random(22, 42)\n\
    SELECT shape.transfer(:source, :target, 100);\n";

pub(super) fn lines() -> Result<Vec<Line>> {
    if !Path::new(TOOLS).is_dir() {
        return Ok(vec![Line::alone(
            "books in PostgreSQL: not installed",
            "events/CPU-s",
            Figure::default(),
            Some(Bar::Least(BAR)),
        )]);
    }
    let server = Server::start()?;
    let (ours, own) = ledger(&server)?;
    let theirs = shape(&server)?;
    let figure = |spent: Spent| Figure {
        number: Some(spent.per_cpu_second()),
        cpu_us: Some(spent.cpu_us()),
        latency_ms: None,
    };
    let line = Line {
        what: WHAT.to_owned(),
        unit: "events/server CPU-s",
        ours: figure(ours),
        peer: PEER.to_owned(),
        theirs: figure(theirs),
        bar: Some(Bar::Least(BAR)),
        ratio_bar: Some(Bar::Least(RATIO_BAR)),
    };
    let client = Line::alone(
        "books in PostgreSQL, the ledger's own part",
        "events/CPU-s",
        figure(own),
        None,
    );
    let pace = Line::alone(
        "books in PostgreSQL, on the wall",
        "events/s",
        Figure::number(ours.per_second()),
        None,
    );
    Ok(vec![line, client, pace])
}

/// What the server and the ledger spent.
fn ledger(server: &Server) -> Result<(Spent, Spent)> {
    let stocked = (0..40_u64).map(|number| {
        let mut record = sample::sale(number, 0)?;
        record.id = EventId::new(&format!("stock-{number}"))?;
        record.event = Event::InventoryReceived(InventoryReceived {
            sku: Sku::new(&format!("sku-{number:02}"))?,
            qty: Count(1_000_000),
            to: None,
            reason: None,
        });
        Ok(record)
    });
    let sold = (0..EVENTS).map(|number| sample::sale(number, LINES));
    let records: Vec<_> = stocked.chain(sold).collect::<Result<_>>()?;
    let batches = batches_of(records.len(), |at, key| {
        let record = records.get(at).context("as many records as asked for")?;
        let key = event_key(key, &record.source, &record.id);
        Ok(own(record.clone(), key))
    })?;
    let mut books = Books::connect(&server.url())?;
    let mut sent = 0;
    let (before, start) = (server.cpu()?, Instant::now());
    let spent = measure(|| {
        for (at, batch) in batches.iter().enumerate() {
            let times = if at % 10 == 9 { 2 } else { 1 };
            for _ in 0..times {
                accept_all(&mut books, std::slice::from_ref(batch))?;
                sent += batch.items.len() as u64;
            }
        }
        Ok(sent)
    })?;
    let wall = start.elapsed();
    let view = books.books(&popwatch_core::id::PopupId::new(sample::POPUP)?)?;
    let sales: u64 = view.totals.values().map(|sums| sums.sales).sum();
    if sales != EVENTS || view.stock.len() != 40 {
        bail!("the books hold {sales} sales of {EVENTS}");
    }
    let cpu = server.cpu()?.saturating_sub(before);
    let server = Spent {
        units: spent.units,
        cpu,
        wall,
    };
    Ok((server, spent))
}

fn shape(server: &Server) -> Result<Spent> {
    server.psql(SHAPE)?;
    let script = server.folder.join("transfer.sql");
    std::fs::write(&script, TRANSFER)?;
    let (before, start) = (server.cpu()?, Instant::now());
    let transfers = TRANSFERS.to_string();
    let script = script.to_string_lossy().into_owned();
    let socket = server.folder.to_string_lossy().into_owned();
    server.run(
        "pgbench",
        &[
            "-n", "-M", "prepared", "-c", "1", "-t", &transfers, "-f", &script, "-h", &socket,
            "-U", "popwatch", "postgres",
        ],
    )?;
    Ok(Spent {
        units: TRANSFERS,
        cpu: server.cpu()?.saturating_sub(before),
        wall: start.elapsed(),
    })
}

/// A server of its own beside the build, gone with the value.
struct Server {
    folder: PathBuf,
    bin: PathBuf,
    /// Whom it runs as where we are root, whom it refuses.
    user: Option<(u32, u32)>,
}

impl Server {
    fn start() -> Result<Self> {
        let versions = std::fs::read_dir(TOOLS)?;
        let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max();
        let users = std::fs::read_to_string("/etc/passwd")?;
        let line = users.lines().find(|line| line.starts_with("postgres:"));
        let mut ids = line
            .into_iter()
            .flat_map(|line| line.split(':').skip(2).filter_map(|id| id.parse().ok()));
        let special = ids.next().zip(ids.next());
        let root = std::fs::metadata("/proc/self")?.uid() == 0;
        let folder = std::env::temp_dir().join(format!("popwatch-bench-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let server = Self {
            bin: newest.context("no version of it is there")?.join("bin"),
            user: special.filter(|_| root),
            folder,
        };
        if let Some((user, group)) = server.user {
            chown(&server.folder, Some(user), Some(group))?;
        }
        let data = server.data();
        let init = ["-D", &data, "-A", "trust", "-U", "popwatch", "-E", "UTF8"];
        server.run("initdb", &init)?;
        let options = format!(
            "-k {} -c listen_addresses='' -c shared_buffers=256MB -c max_wal_size=4GB",
            server.folder.display()
        );
        let log = server.folder.join("log").to_string_lossy().into_owned();
        let start = ["-D", &data, "-w", "-o", &options, "-l", &log, "start"];
        server.run("pg_ctl", &start)?;
        Ok(server)
    }

    fn data(&self) -> String {
        self.folder.join("data").to_string_lossy().into_owned()
    }

    fn url(&self) -> String {
        let folder = self.folder.display();
        format!("host={folder} user=popwatch dbname=postgres")
    }

    fn psql(&self, sql: &str) -> Result<()> {
        let socket = self.folder.to_string_lossy().into_owned();
        let args = ["-q", "-h", &socket, "-U", "popwatch", "-c", sql, "postgres"];
        self.run("psql", &args)
    }

    fn run(&self, name: &str, args: &[&str]) -> Result<()> {
        let mut command = Command::new(self.bin.join(name));
        command.args(args).current_dir(&self.folder);
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status().with_context(|| format!("no {name}"))?;
        if !status.success() {
            bail!("{name} failed");
        }
        Ok(())
    }

    /// User and system time of all its processes, ended ones too.
    fn cpu(&self) -> Result<Duration> {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid"))?;
        let pid = pid.lines().next().context("its id")?.trim().parse()?;
        tree_cpu(pid)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.data();
        if let Err(fault) = self.run("pg_ctl", &["-D", &data, "-w", "-m", "immediate", "stop"]) {
            shell::complain(&format!("{fault:#}"));
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
