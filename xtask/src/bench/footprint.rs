//! What the program weighs: its file, its memory and CPU when nothing happens, its start.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use popwatch_core::limits::{RESERVE_SEGMENTS_MAX, SEGMENT_BYTES};

use super::line::{Bar, Figure, Line};
use super::load::Http;
use super::meter::{cpu_of, proc_number};
use super::scratch::{self, Scratch, Server};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(10);
/// The long look at it.
const IDLE_LONG: Duration = Duration::from_secs(600);
/// Starts whose middle counts.
const STARTS: usize = 5;
/// How long a role may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at an edge that settles: it looks at its disk about as often.
const SETTLE_LOOK: Duration = Duration::from_secs(2);
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
    let edge = role == "edge";
    let what = format!("footprint, {role}, {} s idle", IDLE.as_secs());
    let mut lines = vec![Line::alone(
        &format!("footprint, {role}: start to ready, empty"),
        "ms",
        Figure::number(ready),
        edge.then_some(Bar::Most(50.0)),
    )];
    lines.extend(idle(&server, IDLE, &what, edge)?);
    Ok(lines)
}

/// An edge that was started once.
pub(super) struct Started {
    /// Until it was ready.
    pub(super) ready: Duration,
    /// Its memory then, MB.
    pub(super) memory_mb: f64,
}

/// Starts an edge with the journal in this folder whose ledger is out of reach, and stops it as a
/// power cut would.
pub(super) fn started_offline(data: &Path) -> Result<Started> {
    let nowhere = format!("ledger = \"http://127.0.0.1:{}\"\n", scratch::free_port()?);
    let start = Instant::now();
    let (server, address) = scratch::role_with("edge", data, &nowhere)?;
    wait(address)?;
    let ready = start.elapsed();
    let memory = proc_number(server.id(), "status", "VmHWM").unwrap_or(0);
    Ok(Started {
        ready,
        memory_mb: memory as f64 / 1e3,
    })
}

/// Ten minutes in which nothing happens, or as many seconds as `POPWATCH_BENCH_IDLE_S` says, after
/// the edge has settled.
pub(super) fn idle_lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("idle")?;
    let (server, address) = scratch::role("edge", &scratch.path().join("edge"))?;
    wait(address)?;
    settle(&server, address)?;
    let long = match std::env::var("POPWATCH_BENCH_IDLE_S") {
        Ok(seconds) => Duration::from_secs(seconds.parse()?),
        Err(_) => IDLE_LONG,
    };
    let what = format!("edge, idle for {} s", long.as_secs());
    idle(&server, long, &what, true)
}

/// Waits until an edge has done what a start does: its reserve is full, and what it writes is at
/// rest from one look to the next.
fn settle(server: &Server, address: SocketAddr) -> Result<()> {
    let full = RESERVE_SEGMENTS_MAX as u64 * SEGMENT_BYTES;
    let (start, mut http) = (Instant::now(), Http::connect(address)?);
    let mut before = None;
    loop {
        http.exchange("GET /metrics HTTP/1.1", b"")?;
        let reserve = gauge(&http.answer(), "popwatch_disk_reserve_bytes");
        let written = proc_number(server.id(), "io", "write_bytes");
        if reserve.is_some_and(|bytes| bytes >= full) && written == before {
            return Ok(());
        }
        if start.elapsed() > READY_LIMIT {
            bail!("the edge does not come to rest; its reserve is {reserve:?} of {full} bytes");
        }
        before = written;
        std::thread::park_timeout(SETTLE_LOOK);
    }
}

/// The first value of a metric without fractions.
fn gauge(exposition: &str, name: &str) -> Option<u64> {
    let line = exposition.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Lets a server idle and says what it did all the same.
fn idle(server: &Server, long: Duration, what: &str, bars: bool) -> Result<Vec<Line>> {
    let process = server.id();
    let written = || proc_number(process, "io", "write_bytes").unwrap_or(0);
    let (cpu, bytes, start) = (cpu_of(process)?, written(), Instant::now());
    while let Some(rest) = long.checked_sub(start.elapsed()) {
        std::thread::park_timeout(rest);
    }
    let cpu = cpu_of(process)?.saturating_sub(cpu).as_secs_f64() * 100.0 / long.as_secs_f64();
    let bytes = written().saturating_sub(bytes);
    let rss = proc_number(process, "status", "VmRSS").unwrap_or(0) as f64 / 1e3;
    let bar = |bar| bars.then_some(Bar::Most(bar));
    let line = |name: &str, unit, number, bar| {
        Line::alone(
            &format!("{what}: {name}"),
            unit,
            Figure::number(number),
            bar,
        )
    };
    Ok(vec![
        line("memory", "MB", rss, bar(24.0)),
        line("CPU", "%", cpu, bar(0.2)),
        line("written", "B", bytes as f64, bar(0.0)),
    ])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_read_past_its_labels_and_remarks() {
        let text = "# HELP popwatch_a x\npopwatch_a{rig=\"t 1\"} 67108864\npopwatch_b 2\n";
        assert_eq!(gauge(text, "popwatch_a"), Some(67_108_864));
        assert_eq!(gauge(text, "popwatch_c"), None);
    }
}
