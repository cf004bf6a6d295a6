//! What the program weighs: its file, its memory and CPU when nothing happens, its start.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::line::{Bar, Figure, Line};
use super::load::Http;
use super::meter::{cpu_of, proc_number};
use super::scratch::{self, Scratch, Server};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(10);
/// Starts whose middle counts.
const STARTS: usize = 5;
/// How long a role may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(120);
const MB: f64 = 1e6;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("footprint")?;
    let size = std::fs::metadata(scratch::popwatch()?)?.len() as f64 / MB;
    let mut lines = vec![Line::alone(
        "footprint, program",
        "MB",
        Figure::number(size),
        Some(Bar::Most(25.0)),
    )];
    for role in ["edge", "region", "ledger"] {
        lines.extend(of_role(role, scratch.path())?);
    }
    Ok(lines)
}

fn of_role(role: &str, folder: &Path) -> Result<Vec<Line>> {
    let mut starts = Vec::new();
    for start in 0..STARTS {
        starts.push(started(role, &folder.join(format!("{role}-{start}")))?.1);
    }
    let ready = super::meter::quantile(&mut starts, 0.5).as_secs_f64() * 1e3;
    let (server, _) = started(role, &folder.join(role))?;
    let process = server.id();
    let written = || proc_number(process, "io", "write_bytes").unwrap_or(0);
    let (cpu, bytes, start) = (cpu_of(process)?, written(), Instant::now());
    while let Some(rest) = IDLE.checked_sub(start.elapsed()) {
        std::thread::park_timeout(rest);
    }
    let cpu = cpu_of(process)?.saturating_sub(cpu).as_secs_f64() * 100.0 / IDLE.as_secs_f64();
    let bytes = written().saturating_sub(bytes);
    let rss = proc_number(process, "status", "VmRSS").unwrap_or(0) as f64 / 1e3;
    let edge = |bar| (role == "edge").then_some(bar);
    let line = |what: &str, unit, number, bar| {
        let what = format!("footprint, {role}: {what}");
        Line::alone(&what, unit, Figure::number(number), bar)
    };
    Ok(vec![
        line("start to ready, empty", "ms", ready, edge(Bar::Most(50.0))),
        line("memory, idle", "MB", rss, edge(Bar::Most(24.0))),
        line("CPU, idle", "%", cpu, edge(Bar::Most(0.2))),
        line(
            "written in 10 s, idle",
            "B",
            bytes as f64,
            edge(Bar::Most(0.0)),
        ),
    ])
}

/// How long an edge takes to be ready with the journal in this folder.
pub(super) fn ready(data: &Path) -> Result<Duration> {
    Ok(started("edge", data)?.1)
}

fn started(role: &str, data: &Path) -> Result<(Server, Duration)> {
    let start = Instant::now();
    let (server, address) = scratch::role(role, data)?;
    wait(address)?;
    Ok((server, start.elapsed()))
}

fn wait(address: SocketAddr) -> Result<()> {
    let start = Instant::now();
    let mut http = Http::connect(address)?;
    while http.exchange("GET /readyz HTTP/1.1", b"")? != 200 {
        if start.elapsed() > READY_LIMIT {
            bail!("{address} is not ready");
        }
        std::thread::park_timeout(scratch::LOOK);
    }
    Ok(())
}
