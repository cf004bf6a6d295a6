//! The live stream over real sockets: what is sent, who comes back where, what is refused.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::{LIMIT, Process, Site, get, http, sale, sell, until};

const POPUP: &str = "market";

/// An open stream.
struct Stream {
    lines: BufReader<TcpStream>,
    /// Id of the last event that had one.
    id: String,
    /// What the server asks to wait before coming back.
    retry_ms: u64,
}

#[derive(Debug)]
struct Event {
    name: String,
    data: Value,
}

impl Stream {
    fn open(address: &str, query: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let path = format!("/v1/popups/{POPUP}/stream{query}");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{last}\r\n"
        )
        .unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(
            head.contains("nosniff") && head.contains("cache-control: no-store"),
            "{head}"
        );
        // A browser would take the stream for one that ended.
        assert!(!head.contains("content-length"), "{head}");
        Self {
            lines,
            id: String::new(),
            retry_ms: 0,
        }
    }

    /// The next event.
    #[track_caller]
    fn next(&mut self) -> Event {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "the stream ended"
            );
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data = text.to_owned(),
                Some(("id", text)) => self.id = text.to_owned(),
                Some(("retry", text)) => self.retry_ms = text.parse().unwrap(),
                Some(_) | None => {}
            }
            if line == "\n" && !name.is_empty() {
                let data = serde_json::from_str(&data).unwrap();
                return Event { name, data };
            }
        }
    }

    /// The next event of a name; ticks and deltas may come before it.
    #[track_caller]
    fn next_of(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            if event.name == name {
                return event.data;
            }
        }
    }

    /// Events until one shows this many cents.
    #[track_caller]
    fn until_gross(&mut self, minor: i64) -> Event {
        loop {
            let event = self.next();
            if gross(&event.data) == Some(minor) {
                return event;
            }
        }
    }
}

fn gross(data: &Value) -> Option<i64> {
    data.pointer("/rows/now/currencies/0/gross")?.as_i64()
}

/// A region and an edge with a sale of 5 cents in both.
fn opened(site: &Site) -> (Process, Process) {
    let (region, edge) = (site.start_region(), site.start_edge());
    sell(&site.edge, &[sale(POPUP, "a", "1", 5)]);
    shows(&site.region, 5);
    (region, edge)
}

#[track_caller]
fn shows(address: &str, minor: i64) {
    until("the summary shows it", || {
        let path = format!("GET /v1/popups/{POPUP}/summary");
        let answer = http(address, &path, &[], b"").ok()?;
        (answer.status == 200 && gross(&answer.json()) == Some(minor)).then_some(())
    });
}

#[test]
fn rows_come_whole_and_only_when_they_change() {
    let site = Site::new("stream-rows");
    let (_region, _edge) = opened(&site);
    let mut stream = Stream::open(&site.region, "", None);
    let first = stream.next();
    assert_eq!(
        (first.name.as_str(), gross(&first.data)),
        ("snapshot", Some(5))
    );
    assert!(
        (500..=3_000).contains(&stream.retry_ms),
        "{}",
        stream.retry_ms
    );
    assert!(stream.id.starts_with("v1."), "{}", stream.id);
    let summary = get(&site.region, &format!("/v1/popups/{POPUP}/summary"));
    let keys = |data: &Value| -> Vec<String> {
        let rows = data["rows"].as_object().unwrap();
        rows.keys().cloned().collect()
    };
    assert_eq!(keys(&first.data), keys(&summary));
    sell(&site.edge, &[sale(POPUP, "a", "2", 7)]);
    let delta = stream.until_gross(12);
    assert_eq!(delta.name, "delta");
    assert!(
        delta.data["rows"].get("popup").is_none(),
        "it did not change"
    );
    let tick = stream.next_of("tick");
    assert!(
        tick["server_ms"].is_i64() && tick["watermark_ms"].is_i64(),
        "{tick}"
    );

    // The public board is told of ranks alone.
    let mut board = Stream::open(&site.region, "?view=board", None);
    let shown = keys(&board.next().data);
    assert!(
        shown
            .iter()
            .all(|key| key == "popup" || key.starts_with("board/")),
        "{shown:?}"
    );
}

#[test]
fn who_comes_back_to_the_same_region_gets_the_difference() {
    let site = Site::new("stream-back");
    let (_region, _edge) = opened(&site);
    let mut stream = Stream::open(&site.region, "", None);
    stream.until_gross(5);
    sell(&site.edge, &[sale(POPUP, "a", "2", 7)]);
    shows(&site.region, 12);
    let mut again = Stream::open(&site.region, "", Some(&stream.id));
    let back = again.next();
    assert_eq!(
        (back.name.as_str(), gross(&back.data)),
        ("snapshot", Some(12))
    );
    assert_eq!(back.data["keep"], "min/");
    assert_eq!(back.data.get("regressed"), None);
    // The same by the query, as a page that was closed has it.
    let query = format!("?since={}", again.id);
    let mut later = Stream::open(&site.region, &query, None);
    let next = later.next();
    assert!(
        next.name != "snapshot" || next.data["keep"] == "min/",
        "{next:?}"
    );
}

#[test]
fn a_region_that_holds_less_says_so_before_it_shows_it() {
    let site = Site::new("stream-behind");
    let (mut region, edge) = opened(&site);
    let mut stream = Stream::open(&site.region, "", None);
    stream.until_gross(5);
    region.kill();
    drop(edge);
    let _region = site.start_region();
    let mut back = Stream::open(&site.region, "", Some(&stream.id));
    // Nothing is held here yet, and no row is shown.
    assert_eq!(back.next().name, "behind");
    // The rig comes back after a while, and all is as it was.
    let _edge = site.start_edge();
    let event = back.until_gross(5);
    assert_eq!(event.name, "snapshot");
    assert_eq!(event.data.get("regressed"), None, "{event:?}");
}

#[test]
fn another_region_waits_for_what_was_seen_and_then_admits_it_has_less() {
    let site = Site::new("stream-regress");
    let (_region, _edge) = opened(&site);
    let other = Site::new("stream-regress-other");
    let (_other_region, _other_edge) = opened(&other);
    let mut stream = Stream::open(&site.region, "", None);
    stream.until_gross(5);
    sell(&site.edge, &[sale(POPUP, "a", "2", 7)]);
    stream.until_gross(12);
    let mut elsewhere = Stream::open(&other.region, "", Some(&stream.id));
    let behind = elsewhere.next();
    assert_eq!(behind.name, "behind");
    assert_eq!(behind.data["rigs"][0], "till-1");
    let less = elsewhere.next_of("snapshot");
    assert_eq!(
        (gross(&less), &less["regressed"]),
        (Some(5), &Value::Bool(true))
    );
}

#[test]
fn forged_places_are_fresh_starts_and_unknown_names_are_refused() {
    let site = Site::new("stream-forged");
    let (_region, _edge) = opened(&site);
    for forged in ["W/\"0123\"", "v1.", "v1.AAAA", &"x".repeat(5_000)] {
        let mut stream = Stream::open(&site.region, "", Some(forged));
        let first = stream.next();
        assert_eq!(first.name, "snapshot", "{forged}");
        assert_eq!(first.data.get("keep"), None);
    }
    let refused = |path: &str| {
        let answer = http(&site.region, &format!("GET {path}"), &[], b"").unwrap();
        (answer.status, answer.json()["code"].clone())
    };
    let stream = format!("/v1/popups/{POPUP}/stream");
    assert_eq!(refused("/v1/popups/nowhere/stream"), (404, "PW3134".into()));
    assert_eq!(
        refused(&format!("{stream}?view=all")),
        (404, "PW3134".into())
    );
    assert_eq!(
        refused(&format!("{stream}?wiew=rig")),
        (400, "PW3135".into())
    );
    let head = http(&site.region, &format!("HEAD {stream}"), &[], b"");
    assert!(head.is_err() || head.is_ok_and(|answer| answer.body.is_empty()));
}

#[test]
fn the_streams_end_with_the_region() {
    let site = Site::new("stream-end");
    let (region, _edge) = opened(&site);
    let mut stream = Stream::open(&site.region, "", None);
    stream.until_gross(5);
    assert_eq!(region.stop(), Some(0));
    stream
        .lines
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut rest = String::new();
    while stream.lines.read_line(&mut rest).unwrap() > 0 {}
}
