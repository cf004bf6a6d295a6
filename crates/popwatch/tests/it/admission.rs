//! What waits, what is late, what is bounded and what is told, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Folder, Process, Site, get, http, post, sale, sell, try_get, until};

const POPUP: &str = "stall";

pub(crate) struct Till {
    pub(crate) site: Site,
    pub(crate) edge: Process,
}

/// An edge alone, with `more` in its configuration.
pub(crate) fn till(name: &str, more: &str) -> Till {
    let site = Site::new(name);
    let config = alone(&site, &site.till().display().to_string(), more);
    let edge = site.started("edge", &config);
    Till { site, edge }
}

pub(crate) fn alone(site: &Site, data: &str, more: &str) -> String {
    let listen = &site.edge;
    format!("data = \"{data}\"\n[edge]\nlisten = \"{listen}\"\nrig = \"till-1\"\n{more}")
}

/// A chat message.
pub(crate) fn chat(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "chat", "popup": POPUP,
        "type": "popwatch.chat.message",
        "data": {"stream": "main", "viewer": "v-1", "text": "hello"},
    })
}

/// The sum of a counter's samples whose labels hold all of `labels`.
pub(crate) fn metric(address: &str, name: &str, labels: &[&str]) -> f64 {
    let answer = http(address, "GET /metrics", &[], b"").unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[test]
fn chat_waits_for_company_and_a_sale_does_not() {
    let till = till("waits", "");
    let took = |event: Value| {
        let started = Instant::now();
        sell(&till.site.edge, &[event]);
        started.elapsed()
    };
    let sales = (0..5).map(|number| took(sale(POPUP, "a", &format!("s-{number}"), 100)));
    assert!(sales.min().unwrap() < Duration::from_millis(200));
    assert!(took(chat("c-1")) >= Duration::from_millis(240));

    // Chat from many at once shares commits.
    let commits = || metric(&till.site.edge, "popwatch_journal_sync_seconds_count", &[]);
    let before = commits();
    thread::scope(|scope| {
        for number in 0..40 {
            let edge = &till.site.edge;
            scope.spawn(move || sell(edge, &[chat(&format!("many-{number}"))]));
        }
    });
    assert!(commits() - before < 20.0, "{}", commits() - before);
}

#[test]
fn a_status_is_never_older_than_an_answer() {
    let till = till("fresh", "");
    for number in 0..10 {
        let answer = post(
            &till.site.edge,
            &[sale(POPUP, "a", &number.to_string(), 100)],
        );
        let durable = answer.unwrap().json()["durable_seq"].as_u64().unwrap();
        let shown = till.site.status()["durable_seq"].as_u64().unwrap();
        assert!(shown >= durable, "{shown} after {durable}");
    }
}

#[test]
fn what_comes_after_a_popup_is_late_and_what_was_made_in_it_is_not() {
    let window = "[[popups]]\nid = \"past\"\nstarts = \"2024-05-01T08:00:00Z\"\n\
                  ends = \"2024-05-01T20:00:00Z\"\n";
    let till = till("late", window);
    let mut replayed = sale("past", "a", "in", 100);
    replayed["time"] = json!("2024-05-01T12:00:00Z");
    let events = [
        sale("past", "a", "after", 100),
        replayed,
        sale(POPUP, "a", "now", 1),
    ];
    let answer = post(&till.site.edge, &events).unwrap().json();
    let results = &answer["results"];
    let late: Vec<_> = (0..3).map(|at| results[at]["late"] == true).collect();
    assert_eq!(late, [true, false, false], "{answer}");
    assert!(
        (0..3).all(|at| results[at]["status"] == "accepted"),
        "{answer}"
    );
    let again = post(&till.site.edge, &events[..1]).unwrap().json();
    assert_eq!(again["results"][0]["status"], "duplicate");
}

#[test]
fn what_a_client_lost_is_journaled_and_nonsense_is_counted() {
    let till = till("client-loss", "");
    let told = |id: &str, header: &str| {
        let body = serde_json::to_vec(&[sale(POPUP, "a", id, 1)]).unwrap();
        let headers = [
            ("Content-Type", "application/cloudevents-batch+json"),
            ("Popwatch-Client-Loss", header),
        ];
        let answer = http(&till.site.edge, "POST /v1/events", &headers, &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    told("1", "ambient=12, journey=3");
    told("2", "everything=1");
    until("the losses are journaled", || {
        let status = till.site.status();
        let rows = status["losses"].as_array()?;
        let told: u64 = rows.iter().filter_map(|row| row["count"].as_u64()).sum();
        (told == 15).then_some(())
    });
    let lost = |labels: &[&str]| metric(&till.site.edge, "popwatch_losses_total", labels);
    assert_eq!(
        lost(&["class=\"ambient\"", "cause=\"client\""]).to_string(),
        "12"
    );
    let ignored = metric(&till.site.edge, "popwatch_client_loss_ignored_total", &[]);
    assert_eq!(ignored.to_string(), "1");
}

#[test]
fn connections_are_bounded_and_a_slow_one_is_closed() {
    let till = till("connections", "");
    let open = || TcpStream::connect(&till.site.edge).unwrap();
    let ended = |stream: &mut TcpStream, limit: Duration| {
        stream.set_read_timeout(Some(limit)).unwrap();
        matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
    };
    let mut slow = open();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").unwrap();
    let held: Vec<TcpStream> = (0..255).map(|_| open()).collect();
    let started = Instant::now();
    assert!(ended(&mut open(), Duration::from_secs(5)));
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(held);
    until("there is room again", || {
        http(&till.site.edge, "GET /healthz", &[], b"").ok()
    });
    // Its head never ends: 10 s.
    assert!(ended(&mut slow, Duration::from_secs(20)));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn the_oldest_stream_makes_room() {
    let till = till("streams", "");
    sell(&till.site.edge, &[sale(POPUP, "a", "1", 1)]);
    until("the popup is shown", || {
        try_get(&till.site.edge, &format!("/v1/popups/{POPUP}/summary"))
    });
    let stream = || {
        let mut stream = TcpStream::connect(&till.site.edge).unwrap();
        let (edge, path) = (&till.site.edge, format!("/v1/popups/{POPUP}/stream"));
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {edge}\r\n\r\n").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let mut oldest = stream();
    let _others: Vec<TcpStream> = (0..64).map(|_| stream()).collect();
    let mut rest = Vec::new();
    // Its end is a clean one, not a timeout.
    oldest.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\n\n"));
    assert_eq!(
        metric(&till.site.edge, "popwatch_live_readers", &[]).to_string(),
        "64"
    );
}

#[test]
fn a_till_whose_disk_cannot_be_used_shows_its_page_and_takes_sales_when_it_can() {
    let site = Site::new("no-disk");
    let blocked = site.folder.write("blocked", "not a directory");
    let config = alone(&site, &blocked.display().to_string(), "");
    let _edge = site.started("edge", &config);
    let page = http(&site.edge, "GET /", &[], b"").unwrap();
    assert_eq!(page.status, 200);
    let refused = post(&site.edge, &[sale(POPUP, "a", "1", 1)]).unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.json()["code"], "PW0201");
    let ready = http(&site.edge, "GET /readyz", &[], b"").unwrap();
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["failing"][0]["check"], "journal");
    assert_eq!(site.status()["states"], json!(["cannot_store"]));
    std::fs::remove_file(&blocked).unwrap();
    until("sales are taken", || {
        let answer = post(&site.edge, &[sale(POPUP, "a", "1", 1)]).ok()?;
        (answer.status == 200).then_some(())
    });
    assert_eq!(get(&site.edge, "/readyz")["ready"], true);
}

#[test]
fn a_second_process_on_the_same_data_says_so_and_leaves() {
    let till = till("twice", "");
    let folder = Folder::new("twice-config");
    let data = till.site.till().display().to_string();
    let config = format!("data = \"{data}\"\n[edge]\nlisten = \"127.0.0.1:0\"\nrig = \"till-1\"\n");
    let mut second = Process::run(&folder, "second", &config);
    assert_eq!(second.status(), Some(1));
    until("it says why", || {
        second.said().contains("PW0206").then_some(())
    });
    sell(&till.site.edge, &[sale(POPUP, "a", "1", 1)]);
    assert_eq!(till.edge.stop(), Some(0));
}
