//! The whole dashboard in one read, beside Redis with the same bytes and nginx with a file of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use popwatch_core::cell::{Cell, CreatorRow, CurrencySums, MoneyRow, SkuRow};
use popwatch_core::lane::{CellBatch, Cut, PROTOCOL};

use super::line::{Bar, Figure, Line};
use super::load::{self, Client, Http};
use super::meter::{Spent, cpu_of, middle};
use super::scratch::{self, Scratch, Server};
use super::streams;
use crate::shell;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 3;
const TURN: Duration = Duration::from_millis(1_500);
/// What a popup of three hours with a small assortment has.
const MINUTES: u32 = 180;
const SKUS: u32 = 40;
const CREATORS: u32 = 12;
const FIRST_MINUTE: u32 = 29_000_000;
const SUMMARY: &str = "GET /v1/popups/stall/summary HTTP/1.1";

/// One way to read, on a server that is there.
struct Way<'a> {
    name: &'static str,
    process: u32,
    connect: Box<dyn Fn() -> Result<Box<dyn Client>> + 'a>,
}

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("reads")?;
    let (server, address) = scratch::role("region", &scratch.path().join("region"))?;
    fill(address)?;
    let (body, etag) = summary(address)?;
    let head = format!("{SUMMARY}\r\nIf-None-Match: {etag}");
    let mut ways = vec![
        way("whole summary", server.id(), move || {
            get(address, SUMMARY, 200)
        }),
        way("304", server.id(), move || get(address, &head, 304)),
    ];
    let redis = redis(scratch.path(), &body)?;
    if let Some((redis, at)) = &redis {
        let (redis, at) = (redis.id(), *at);
        ways.push(way("redis GET of the same bytes", redis, move || {
            Ok(Box::new(Redis::connect(at, &["GET summary"])?))
        }));
        ways.push(way("redis ZREVRANGE 50 + 2 GET", redis, move || {
            let asks = ["ZREVRANGE board 0 49 WITHSCORES", "GET now", "GET rigs"];
            Ok(Box::new(Redis::connect(at, &asks)?))
        }));
    }
    let nginx = nginx(scratch.path(), &body)?;
    if let Some((nginx, at)) = &nginx {
        let (nginx, at) = (nginx.id(), *at);
        ways.push(way("nginx, a file of the same bytes", nginx, move || {
            get(at, "GET /summary HTTP/1.1", 200)
        }));
    }
    let figures = race(&ways)?;
    let of = |name: &str| {
        let found = ways.iter().position(|way| way.name == name);
        found
            .and_then(|at| figures.get(at))
            .cloned()
            .unwrap_or_default()
    };
    let line = |ours: &str, peer: &str, bar| Line {
        what: format!("reads, {ours} of {} B: CPU", body.len()),
        unit: "µs",
        ours: of(ours),
        peer: peer.to_owned(),
        theirs: of(peer),
        bar: None,
        ratio_bar: Some(Bar::Most(bar)),
    };
    Ok(vec![
        line("whole summary", "redis GET of the same bytes", 1.5),
        line("whole summary", "redis ZREVRANGE 50 + 2 GET", 0.8),
        line("whole summary", "nginx, a file of the same bytes", 1.2),
        line("304", "redis GET of the same bytes", 1.0),
        line("304", "nginx, a file of the same bytes", 0.8),
    ])
}

fn way<'a>(
    name: &'static str,
    process: u32,
    connect: impl Fn() -> Result<Box<dyn Client>> + 'a,
) -> Way<'a> {
    Way {
        name,
        process,
        connect: Box::new(connect),
    }
}

/// Each way in turn, round by round; the middle round of each.
fn race(ways: &[Way<'_>]) -> Result<Vec<Figure>> {
    let mut rounds: Vec<Vec<Spent>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (way, results) in ways.iter().zip(&mut rounds) {
            let clients = (0..CONNECTIONS).map(|_| (way.connect)());
            let mut clients = clients.collect::<Result<Vec<_>>>()?;
            let before = cpu_of(way.process)?;
            let load = load::run(&mut clients, 1, TURN)?;
            results.push(Spent {
                units: load.events,
                cpu: cpu_of(way.process)?.saturating_sub(before),
                wall: load.wall,
            });
        }
    }
    let figure = |results: &Vec<Spent>| {
        let middle = middle(results);
        Figure {
            number: Some(middle.cpu_us()),
            cpu_us: Some(middle.cpu_us()),
            latency_ms: None,
        }
    };
    Ok(rounds.iter().map(figure).collect())
}

/// The same request over and over.
struct Get {
    http: Http,
    head: String,
    status: u16,
}

fn get(address: SocketAddr, head: &str, status: u16) -> Result<Box<dyn Client>> {
    Ok(Box::new(Get {
        http: Http::connect(address)?,
        head: head.to_owned(),
        status,
    }))
}

impl Client for Get {
    fn send(&mut self, _first: u64, _count: u64) -> Result<()> {
        match self.http.exchange(&self.head, b"")? {
            status if status == self.status => Ok(()),
            status => bail!("{}: answered {status}", self.head),
        }
    }
}

/// The summary's body and tag, once it shows all.
fn summary(address: SocketAddr) -> Result<(Vec<u8>, String)> {
    for _ in 0..40_000 {
        let mut stream = scratch::connect(address)?;
        write!(
            stream,
            "{SUMMARY}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).context("a summary is text")?;
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.contains("board/creators")
            // The rig has said its last word: from here on the tag stays.
            && body.contains("\"silent\":[{")
            && let Some(tag) = head.lines().find_map(|line| line.strip_prefix("etag: "))
        {
            return Ok((body.as_bytes().to_vec(), tag.to_owned()));
        }
        std::thread::park_timeout(scratch::LOOK);
    }
    bail!("the region shows no summary")
}

fn fill(address: SocketAddr) -> Result<()> {
    let cell = |(minute, version): (u32, u64)| {
        let sku = minute % SKUS;
        let creator = minute % CREATORS;
        let amount = 1_000 + i64::from(minute);
        let sums = CurrencySums {
            currency: String::from("EUR"),
            gross: amount,
            refund: 0,
        };
        let cell = Cell {
            popup: String::from("stall"),
            rig: String::from("till-1"),
            epoch: 1,
            epoch_id: vec![7; 16],
            minute: FIRST_MINUTE + minute,
            version,
            money: vec![MoneyRow {
                currency: String::from("EUR"),
                method: String::from("card"),
                gross: amount,
                captures: 1,
                conversions: 1,
                ..MoneyRow::default()
            }],
            skus: vec![SkuRow {
                sku: format!("sku-{sku}"),
                sold: 1,
                received: 5,
                money: vec![sums],
                ..SkuRow::default()
            }],
            creators: vec![CreatorRow {
                creator: format!("creator-{creator}"),
                currency: String::from("EUR"),
                evidence: 1,
                gross: amount,
                orders: 1,
                units: 1,
                ..CreatorRow::default()
            }],
            ..Cell::default()
        };
        cell.encode_canonical()
    };
    let batch = CellBatch {
        protocol: PROTOCOL,
        sender: String::from("bench"),
        cells: (0..MINUTES).zip(1..).map(cell).collect(),
        cuts: vec![Cut {
            popup: String::from("stall"),
            rig: String::from("till-1"),
            epoch: 1,
            epoch_id: vec![7; 16],
            from_seq: 0,
            to_seq: MINUTES.into(),
            clear_ms: i64::from(FIRST_MINUTE + MINUTES) * 60_000,
        }],
        ..CellBatch::default()
    };
    let body = popwatch_wire::lanes::encode(&batch)?;
    let head =
        "POST /v1/cells HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: zstd";
    match Http::connect(address)?.exchange(head, &body)? {
        200 => Ok(()),
        status => bail!("the region answered {status}"),
    }
}

/// A Redis without a disk that holds the summary and a leaderboard with what stands beside it.
fn redis(folder: &Path, body: &[u8]) -> Result<Option<(Server, SocketAddr)>> {
    if !shell::on_path("redis-server") {
        return Ok(None);
    }
    let port = scratch::free_port()?;
    let mut command = shell::command("redis-server");
    command.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]);
    command.arg("--dir").arg(folder);
    let server = Server::start(command.stderr(Stdio::null()))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = Redis::connect(address, &[])?;
    client.ask(&[b"SET", b"summary", body])?;
    for key in [&b"now"[..], b"rigs"] {
        client.ask(&[b"SET", key, &body[..body.len().min(1_024)]])?;
    }
    for row in 0..100 {
        let (score, name) = (format!("{row}"), format!("creator-{row}"));
        client.ask(&[b"ZADD", b"board", score.as_bytes(), name.as_bytes()])?;
    }
    Ok(Some((server, address)))
}

struct Redis {
    stream: BufReader<TcpStream>,
    asks: Vec<Vec<u8>>,
    value: Vec<u8>,
}

impl Redis {
    /// A connection that asks the same, one after the other.
    fn connect(address: SocketAddr, asks: &[&str]) -> Result<Self> {
        let asks = asks.iter().map(|ask| {
            let parts: Vec<&[u8]> = ask.split(' ').map(str::as_bytes).collect();
            command(&parts)
        });
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, scratch::connect(address)?),
            asks: asks.collect(),
            value: Vec::new(),
        })
    }

    fn ask(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.stream.get_mut().write_all(&command(parts))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<()> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let (kind, rest) = line.trim_end().split_at_checked(1).context("an answer")?;
        match kind {
            "+" | ":" => Ok(()),
            "$" => {
                let length: usize = rest.parse().context("a value")?;
                self.value.resize(length + 2, 0);
                Ok(self.stream.read_exact(&mut self.value)?)
            }
            "*" => (0..rest.parse::<u32>()?).try_for_each(|_| self.answer()),
            _ => bail!("redis answered {line}"),
        }
    }
}

fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend(format!("${}\r\n", part.len()).into_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Client for Redis {
    fn send(&mut self, _first: u64, _count: u64) -> Result<()> {
        for at in 0..self.asks.len() {
            let ask = self.asks.get(at).context("it was counted")?;
            self.stream.get_mut().write_all(ask)?;
            self.answer()?;
        }
        Ok(())
    }
}

fn nginx(folder: &Path, body: &[u8]) -> Result<Option<(Server, SocketAddr)>> {
    if !shell::on_path("nginx") {
        return Ok(None);
    }
    let started = streams::nginx(folder, "", "location / { }\n")?;
    std::fs::write(folder.join("nginx/html/summary"), body)?;
    Ok(Some(started))
}
