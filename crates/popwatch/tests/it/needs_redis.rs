//! Two regions share a Redis: rigs reach either, both show all; the mirror is flushed and killed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use popwatch_core::cell::Cell;
use popwatch_core::event::system::{CellTerms, PopupPolicy};
use popwatch_core::lane::{CellBatch, PROTOCOL};

use crate::support::{
    Folder, Process, Site, cells, free_port, http, sale, sell, until, until_within,
};

const POPUP: &str = "market";
/// A comparison comes every 10 s.
const LIMIT: Duration = Duration::from_secs(30);

struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(folder: &Folder, port: u16) -> Self {
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { child, port };
        until("redis listens", || redis.try_ask("PING"));
        redis
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "{command}\r\nQUIT\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (!answer.is_empty() && !answer.starts_with("-LOADING")).then_some(answer)
    }

    #[track_caller]
    fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap()
    }

    fn fields(&self) -> usize {
        let answer = self.ask(&format!("HLEN pw1:{{{POPUP}}}:c"));
        let count = answer
            .strip_prefix(':')
            .and_then(|rest| rest.split("\r\n").next());
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn region(site: &Site, port: u16) -> Process {
    let config = format!(
        "[region]\nlisten = \"{}\"\nmirror = \"redis://127.0.0.1:{port}\"\n",
        site.region
    );
    let mut process = Process::run(&site.folder, "region", &config);
    process.address("region");
    process
}

#[test]
#[ignore = "needs: redis"]
fn regions_share_a_mirror_that_may_be_flushed_and_die() {
    let (one, two) = (Site::new("mirror-one"), Site::new("mirror-two"));
    let folder = Folder::new("mirror-redis");
    let port = free_port();
    let redis = Redis::start(&folder, port);
    let (first, mut second) = (region(&one, port), region(&two, port));
    // Each rig knows one region only.
    let edge = one.start_edge();
    sell(&one.edge, &[sale(POPUP, "a", "1", 500)]);
    let shared = |what: &str| {
        until_within(LIMIT, what, || {
            let here = cells(&one.edge, POPUP)?;
            let both = [&one.region, &two.region].map(|at| cells(at, POPUP));
            both.iter()
                .all(|held| held.as_ref() == Some(&here))
                .then_some(())
        });
    };
    shared("the other region shows the sale");
    let coverage = until_within(LIMIT, "the other region's cut moves", || {
        let path = format!("/v1/popups/{POPUP}/summary");
        let asof = crate::support::try_get(&two.region, &path)?["asof"].clone();
        (asof["have"] == asof["known"] && asof["have"].as_u64() > Some(0)).then_some(asof)
    });
    assert!(coverage["watermark_ms"].is_i64(), "{coverage}");

    // A region that forgot starts from the mirror; its rig never speaks to it.
    second.kill();
    let second = region(&two, port);
    shared("a new memory is filled from the mirror");

    // Flushed: filled again, and nothing was lost meanwhile.
    redis.ask("FLUSHALL");
    sell(&one.edge, &[sale(POPUP, "a", "2", 300)]);
    shared("news passes a flushed mirror");
    until_within(LIMIT, "the mirror is filled again", || {
        (redis.fields() >= 3).then_some(())
    });

    // Torn by somebody: taken away, told again.
    let whole = redis.fields();
    redis.ask(&format!(
        "HSET pw1:{{{POPUP}}}:c c/x/1/00/1 zzzzzzzzzzzzzzzzzzzzzzzzzzzz"
    ));
    until_within(LIMIT, "a foreign value is taken away", || {
        (redis.fields() == whole).then_some(())
    });

    // Dead: both go on from memory and say so.
    drop(redis);
    until_within(LIMIT, "the region says that its mirror is away", || {
        first.said().contains("PW3124").then_some(())
    });
    sell(&one.edge, &[sale(POPUP, "a", "3", 200)]);
    until("the rig's own region shows it all the same", || {
        (cells(&one.edge, POPUP) == cells(&one.region, POPUP)).then_some(())
    });
    let _redis = Redis::start(&folder, port);
    shared("the mirror is back, empty, and is told everything");
    assert_eq!(
        (first.stop(), second.stop(), edge.stop()),
        (Some(0), Some(0), Some(0))
    );
}

#[test]
#[ignore = "needs: redis"]
fn the_mirror_keeps_a_popup_no_longer_than_somebody_signed() {
    let site = Site::new("mirror-keep");
    let folder = Folder::new("mirror-keep-redis");
    let port = free_port();
    let redis = Redis::start(&folder, port);
    let _region = region(&site, port);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(now.as_millis()).unwrap();
    let hour = 3_600_000;
    // Over an hour ago; what stands for people goes two hours after that.
    let policy = PopupPolicy {
        popup: POPUP.into(),
        version: 1,
        digest: vec![7; 32],
        starts_ms: now_ms - 3 * hour,
        ends_ms: now_ms - hour,
        cells: Some(CellTerms {
            keep_ms: 400 * 86_400_000,
            pseudonyms_ms: 2 * 3_600_000,
            ..CellTerms::default()
        }),
        ..PopupPolicy::default()
    };
    let cell = Cell {
        popup: POPUP.into(),
        rig: "till-1".into(),
        epoch: 1,
        epoch_id: vec![7; 16],
        minute: u32::try_from((now_ms - 2 * hour) / 60_000).unwrap(),
        version: 3,
        ..Cell::default()
    };
    let batch = CellBatch {
        protocol: PROTOCOL,
        sender: "till-1".into(),
        cells: vec![cell.encode_canonical()],
        popups: vec![policy],
        ..CellBatch::default()
    };
    let body = popwatch_wire::lanes::encode(&batch).unwrap();
    let sent = http(&site.region, "POST /v1/cells", &[], &body).unwrap();
    assert_eq!(sent.status, 200);
    let left_ms = until_within(LIMIT, "the mirror has the cell", || {
        let answer = redis.ask(&format!("PTTL pw1:{{{POPUP}}}:c"));
        let left = answer.strip_prefix(':')?.split("\r\n").next()?;
        left.parse::<i64>().ok().filter(|left| *left > 0)
    });
    assert!((hour / 2..=hour).contains(&left_ms), "{left_ms} ms");
}
