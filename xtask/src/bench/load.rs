//! A load of requests over some connections, and one HTTP connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::meter::quantile;
use super::scratch;

/// One connection to a server that answers after what it was sent is durable.
pub(super) trait Client: Send {
    /// Sends events with the numbers from `first` on and waits until all are durable.
    fn send(&mut self, first: u64, count: u64) -> Result<()>;
}

/// What a load did.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) events: u64,
    pub(super) wall: Duration,
    /// One per request.
    pub(super) times: Vec<Duration>,
}

impl Load {
    /// p50 and p99 of a request, ms.
    pub(super) fn latency_ms(&mut self) -> (f64, f64) {
        let mut ms = |of| quantile(&mut self.times, of).as_secs_f64() * 1e3;
        (ms(0.5), ms(0.99))
    }
}

/// Numbers of events, never the same twice in one run.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Lets each client send requests of `batch` events, one after the other, for so long.
pub(super) fn run(clients: &mut [Box<dyn Client>], batch: u64, limit: Duration) -> Result<Load> {
    let start = Instant::now();
    let mut load = Load::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(move || one(client.as_mut(), batch, start, limit)))
            .collect();
        for thread in threads {
            let Ok(times) = thread.join() else {
                bail!("a connection's thread panicked");
            };
            load.times.extend(times?);
        }
        Ok(())
    })?;
    load.wall = start.elapsed();
    load.events = load.times.len() as u64 * batch;
    Ok(load)
}

fn one(
    client: &mut dyn Client,
    batch: u64,
    start: Instant,
    limit: Duration,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while start.elapsed() < limit {
        let first = NEXT.fetch_add(batch, Ordering::Relaxed);
        let sent = Instant::now();
        client.send(first, batch)?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

/// A kept connection to a popwatch.
pub(super) struct Http {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Http {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, scratch::connect(address)?),
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// The body of the last answer.
    pub(super) fn answer(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.answer)
    }

    /// Sends one request and answers the status; the body is kept.
    pub(super) fn exchange(&mut self, head: &str, body: &[u8]) -> Result<u16> {
        self.request.clear();
        let length = body.len();
        write!(
            self.request,
            "{head}\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        )?;
        self.request.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.request)?;
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the server hung up");
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest
                    .get(..3)
                    .and_then(|code| code.parse().ok())
                    .unwrap_or(0);
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("a length is a number")?;
            }
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer)?;
        Ok(status)
    }
}

impl Client for Http {
    fn send(&mut self, first: u64, count: u64) -> Result<()> {
        let (media, body) = match count {
            1 => ("cloudevents+json", crate::sample::cloudevent(first)),
            _ => ("x-ndjson", ndjson(first, count)),
        };
        let head = format!("POST /v1/events HTTP/1.1\r\nContent-Type: application/{media}");
        let status = self.exchange(&head, body.as_bytes())?;
        let text = self.answer();
        let accepted = text.matches("\"accepted\"").count();
        if status != 200 || accepted as u64 != count {
            bail!("{status}: {accepted} of {count} events accepted: {text}");
        }
        Ok(())
    }
}

fn ndjson(first: u64, count: u64) -> String {
    let lines: Vec<String> = (first..first + count)
        .map(crate::sample::cloudevent)
        .collect();
    lines.join("\n")
}
