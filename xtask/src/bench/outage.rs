//! A till that was three days without a network comes back through a narrow line: when its peers
//! know how it stands, when they hold everything, and how much longer what happens now takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::line::{Bar, Figure, Line};
use super::load::Http;
use super::meter::quantile;
use super::narrow::Narrow;
use super::scratch::{self, Scratch, Server};

const BITS_PER_SECOND: u64 = 1_000_000;
const OUTAGE_MIN: u64 = 72 * 60;
const SALES: u64 = 20_000;
/// Sales of a request.
const BATCH: u64 = 1_000;
/// SKUs and creators of the sales, each.
const DIMENSIONS: u64 = 20;
/// The window of both popups.
const STARTS: &str = "2000-01-01T00:00:00Z";
const ENDS: &str = "2099-12-31T00:00:00Z";
/// The popup of the backlog, and the one that sells while it drains.
const BEHIND: &str = "behind";
const LIVE: &str = "live";
/// Sales one after the other after the backlog is gone.
const CALM_SALES: usize = 150;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(900);
/// Beacon, cells and records after the first contact, s.
const BARS_S: [f64; 3] = [5.0, 120.0, 180.0];
const TIMES_MAX: f64 = 3.0;

/// The till and its peers.
struct Site {
    _servers: [Server; 3],
    edge: Http,
    region: Http,
    sold: u64,
    live_minor: u64,
}

/// How long sales took, one after the other.
#[derive(Default)]
struct Times {
    acknowledged: Vec<Duration>,
    shown: Vec<Duration>,
}

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("outage")?;
    let line = Narrow::cut(BITS_PER_SECOND);
    let mut site = start(&scratch, &line)?;
    let minor = site.fall_behind()?;
    let mended = Instant::now();
    line.mend();
    let (mut draining, mut reached) = (Times::default(), [None; 3]);
    while reached.contains(&None) {
        if mended.elapsed() > LIMIT {
            bail!("the peers did not catch up: {reached:?}");
        }
        site.look(minor, &mut reached)?;
        if reached[0].is_some() {
            site.sell(&mut draining)?;
        }
    }
    let contact = line.contact().context("somebody got through")?;
    let mut calm = Times::default();
    while calm.shown.len() < CALM_SALES {
        site.sell(&mut calm)?;
    }
    let after = contact.duration_since(mended).as_secs_f64();
    let mut rows = vec![row("line is there until the till tries", after, None)];
    let whats = ["beacon at the region", "all cells", "all sales"];
    for ((what, at), bar) in whats.iter().zip(reached).zip(BARS_S) {
        let took = at.map_or(0.0, |at| at.duration_since(contact).as_secs_f64());
        rows.push(row(what, took, Some(Bar::Most(bar))));
    }
    rows.push(compared(
        "sale until it is safe",
        draining.acknowledged,
        calm.acknowledged,
    ));
    rows.push(compared(
        "sale until the region shows it",
        draining.shown,
        calm.shown,
    ));
    Ok(rows)
}

fn row(what: &str, seconds: f64, bar: Option<Bar>) -> Line {
    let what = format!("72 h, {SALES} sales, 1 Mbit/s: {what}");
    Line::alone(&what, "s", Figure::number(seconds), bar)
}

/// The 99th of 100, ms.
fn compared(what: &str, mut draining: Vec<Duration>, mut calm: Vec<Duration>) -> Line {
    let figure = |times: &mut [Duration]| {
        let mut ms = |of| quantile(times, of).as_secs_f64() * 1e3;
        let (p50, p99) = (ms(0.5), ms(0.99));
        Figure {
            number: Some(p99),
            cpu_us: None,
            latency_ms: Some((p50, p99)),
        }
    };
    Line {
        what: format!("{what}, p99 while a backlog drains"),
        unit: "ms",
        ours: figure(&mut draining),
        peer: String::from("without"),
        theirs: figure(&mut calm),
        bar: None,
        ratio_bar: Some(Bar::Most(TIMES_MAX)),
    }
}

fn start(scratch: &Scratch, line: &std::sync::Arc<Narrow>) -> Result<Site> {
    let folder = scratch.path();
    let (region, at_region) = scratch::role("region", &folder.join("region"))?;
    let (ledger, at_ledger) = scratch::role_with(
        "ledger",
        &folder.join("ledger"),
        &format!("regions = [\"http://{at_region}\"]\n"),
    )?;
    let url = |to: SocketAddr| line.to(to).map(|at| format!("http://{at}"));
    let popups = [BEHIND, LIVE]
        .map(|id| format!("[[popups]]\nid = \"{id}\"\nstarts = \"{STARTS}\"\nends = \"{ENDS}\"\n"));
    let popups = popups.concat();
    let more = format!(
        "ledger = \"{}\"\nregions = [\"{}\"]\nhost_probes = false\n{popups}",
        url(at_ledger)?,
        url(at_region)?
    );
    let (edge, at_edge) = scratch::role_with("edge", &folder.join("edge"), &more)?;
    Ok(Site {
        _servers: [region, ledger, edge],
        edge: Http::connect(at_edge)?,
        region: Http::connect(at_region)?,
        sold: 0,
        live_minor: 0,
    })
}

impl Site {
    /// Three days of sales that nobody heard of; answers what they are worth.
    fn fall_behind(&mut self) -> Result<u64> {
        let mut minor = 0;
        for batch in 0..SALES / BATCH {
            let mut body = String::new();
            for number in batch * BATCH..(batch + 1) * BATCH {
                let age_ms = (SALES - number) * OUTAGE_MIN * 60_000 / SALES;
                minor += 100 + number % 1_000;
                body.push_str(&sale(BEHIND, number, 100 + number % 1_000, age_ms));
                body.push('\n');
            }
            self.post("x-ndjson", &body)?;
        }
        self.sold = SALES;
        Ok(minor)
    }

    fn post(&mut self, media: &str, body: &str) -> Result<()> {
        let head = format!("POST /v1/events HTTP/1.1\r\nContent-Type: application/{media}");
        let status = self.edge.exchange(&head, body.as_bytes())?;
        if status != 200 || self.edge.answer().contains("rejected") {
            bail!("{status}: {}", self.edge.answer());
        }
        Ok(())
    }

    /// Which of the three has come about by now: the region knows how the till stands, holds all its
    /// cells, the ledger all its records.
    fn look(&mut self, minor: u64, reached: &mut [Option<Instant>; 3]) -> Result<()> {
        let [beacon, cells, records] = reached;
        if beacon.is_none() {
            let rigs = get(&mut self.region, &format!("/v1/popups/{BEHIND}/rigs"))?;
            let known = rigs.pointer("/rigs/0/unsent/sales").and_then(Value::as_u64);
            *beacon = known.filter(|sales| *sales > 0).map(|_| Instant::now());
        }
        if cells.is_none() && self.gross(BEHIND)? == minor {
            *cells = Some(Instant::now());
        }
        if records.is_none() {
            let status = get(&mut self.edge, "/v1/status")?;
            let unsent = status.pointer("/unsent/sales").and_then(Value::as_u64);
            // What is sold meanwhile may be under way.
            *records = unsent.filter(|sales| *sales <= 1).map(|_| Instant::now());
        }
        std::thread::park_timeout(scratch::LOOK);
        Ok(())
    }

    /// One more sale, until it is safe and until the region shows it.
    fn sell(&mut self, times: &mut Times) -> Result<()> {
        let body = sale(LIVE, self.sold, 100, 0);
        (self.sold, self.live_minor) = (self.sold + 1, self.live_minor + 100);
        let start = Instant::now();
        self.post("cloudevents+json", &body)?;
        times.acknowledged.push(start.elapsed());
        while self.gross(LIVE)? < self.live_minor {
            if start.elapsed() > LIMIT {
                bail!("the region does not show a sale");
            }
            std::thread::park_timeout(scratch::LOOK);
        }
        times.shown.push(start.elapsed());
        Ok(())
    }

    /// Money taken of a popup as the region shows it, minor units; 0 before it shows any.
    fn gross(&mut self, popup: &str) -> Result<u64> {
        let view = get(&mut self.region, &format!("/v1/popups/{popup}/summary"))?;
        let gross = view.pointer("/rows/now/currencies/0/gross");
        Ok(gross.and_then(Value::as_u64).unwrap_or(0))
    }
}

/// A read; null while there is nothing to read.
fn get(http: &mut Http, path: &str) -> Result<Value> {
    let status = http.exchange(&format!("GET {path} HTTP/1.1"), b"")?;
    if status != 200 {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_str(&http.answer())?)
}

fn sale(popup: &str, number: u64, minor: u64, age_ms: u64) -> String {
    let of = number % DIMENSIONS;
    format!(
        r#"{{"specversion":"1.0","id":"s{number}","source":"till","type":"popwatch.payment.captured","agems":{age_ms},"popup":"{popup}","data":{{"payment":"p{number}","order":"o{number}","amount":{minor},"currency":"EUR","method":"card","creator":"c{of}","lines":[{{"sku":"s{of:02}","qty":1,"amount":{minor}}}]}}}}"#
    )
}
