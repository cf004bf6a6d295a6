//! Durable ingest over the network, beside other things that sync before they answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::line::{Bar, Figure, Line};
use super::load::{self, Client, Http};
use super::meter::{Spent, cpu_of, middle};
use super::peers;
use super::scratch::{self, Scratch, Server};

/// Connections and events per request.
const SHAPES: [(usize, u64); 5] = [(1, 1), (16, 1), (64, 1), (1, 1_000), (16, 1_000)];
const ROUNDS: usize = 3;
/// One server's turn.
const TURN: Duration = Duration::from_millis(1_500);

/// A server under load.
pub(super) trait Racer {
    /// As it stands in the table.
    fn name(&self) -> String;
    /// One more connection.
    fn connect(&self) -> Result<Box<dyn Client>>;
    /// User and system time of all its processes so far.
    fn cpu(&self) -> Result<Duration>;
}

struct Edge {
    server: Server,
    address: SocketAddr,
}

impl Racer for Edge {
    fn name(&self) -> String {
        String::from("popwatch")
    }

    fn connect(&self) -> Result<Box<dyn Client>> {
        Ok(Box::new(Http::connect(self.address)?))
    }

    fn cpu(&self) -> Result<Duration> {
        cpu_of(self.server.id())
    }
}

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("ingest")?;
    let (server, address) = scratch::role("edge", &scratch.path().join("edge"))?;
    let mut racers: Vec<Box<dyn Racer>> = vec![Box::new(Edge { server, address })];
    let (present, absent) = peers::start(scratch.path())?;
    racers.extend(present);
    let mut lines = Vec::new();
    for (connections, batch) in SHAPES {
        let results = race(&racers, connections, batch)?;
        let (ours, others) = results
            .split_first()
            .map_or((None, &[][..]), |(own, rest)| (Some(own), rest));
        let ours = ours.cloned().unwrap_or_default();
        for (racer, theirs) in racers.iter().skip(1).zip(others) {
            lines.push(line(
                connections,
                batch,
                ours.clone(),
                racer.name(),
                theirs.clone(),
            ));
        }
        for name in &absent {
            lines.push(line(
                connections,
                batch,
                ours.clone(),
                format!("absent: {name}"),
                Figure::default(),
            ));
        }
    }
    Ok(lines)
}

fn line(connections: usize, batch: u64, ours: Figure, peer: String, theirs: Figure) -> Line {
    let bar =
        ((connections, batch) == (16, 1) && peer.starts_with("redis")).then_some(Bar::Least(1.0));
    let nats =
        (batch == 1 && connections > 1 && peer.starts_with("nats")).then_some(Bar::Least(3.0));
    Line {
        what: format!("ingest, {connections} × {batch}"),
        unit: "events/s",
        ours,
        peer,
        theirs,
        bar: None,
        ratio_bar: bar.or(nats),
    }
}

/// Each server in turn, round by round; the middle round of each.
fn race(racers: &[Box<dyn Racer>], connections: usize, batch: u64) -> Result<Vec<Figure>> {
    let mut rounds: Vec<Vec<(Spent, (f64, f64))>> = racers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (racer, results) in racers.iter().zip(&mut rounds) {
            let clients = (0..connections).map(|_| racer.connect());
            let mut clients = clients.collect::<Result<Vec<_>>>()?;
            let before = racer.cpu()?;
            let mut load = load::run(&mut clients, batch, TURN)?;
            let spent = Spent {
                units: load.events,
                cpu: racer.cpu()?.saturating_sub(before),
                wall: load.wall,
            };
            results.push((spent, load.latency_ms()));
        }
    }
    Ok(rounds.iter().map(|results| figure(results)).collect())
}

fn figure(results: &[(Spent, (f64, f64))]) -> Figure {
    let spent: Vec<Spent> = results.iter().map(|(spent, _)| *spent).collect();
    let middle = middle(&spent);
    let latency = results
        .iter()
        .find(|(spent, _)| spent.units == middle.units);
    Figure {
        number: Some(middle.per_second()),
        cpu_us: Some(middle.cpu_us()),
        latency_ms: latency.map(|(_, latency)| *latency),
    }
}
