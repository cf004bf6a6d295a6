//! What the tests share: processes of the real binary, HTTP without a client's opinions, folders
//! that go, and waiting for a condition.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use popwatch_core::cell::Cell;
use popwatch_core::lane::CellBatch;
use serde_json::{Value, json};

/// Longest any condition may take to come true.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_popwatch");

/// Polls until `condition` gives something.
#[track_caller]
pub(crate) fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, condition)
}

/// [`until`] with a limit of its own.
#[track_caller]
pub(crate) fn until_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A folder on the disk the tests are built on, gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("popwatch-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and answers its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}

/// A port that nobody listens on, below those the system hands out by itself: what is restarted on
/// it finds it free.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() * 32 + next) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running popwatch; killed with the value.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(args);
        Self::of(&mut command)
    }

    /// `popwatch run --config` with this text.
    pub(crate) fn run(folder: &Folder, name: &str, config: &str) -> Self {
        let file = folder.write(&format!("{name}.toml"), config);
        Self::start(&["run", "--config", file.to_str().unwrap()])
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&said), child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, said }
    }

    /// What it has printed to stderr so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// `host:port` behind the first stderr line that begins with `what`.
    #[track_caller]
    pub(crate) fn address(&mut self, what: &str) -> String {
        until(&format!("the address of {what}"), || {
            let said = self.said();
            let found = said.lines().find_map(|line| {
                let rest = line.trim_start().strip_prefix(what)?;
                rest.trim_start().strip_prefix("http://")
            });
            if found.is_none() {
                assert_eq!(self.child.try_wait().unwrap(), None, "it ended: {said}");
            }
            found.map(|address| address.trim_end_matches('/').to_owned())
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for its exit status.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = self.child.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status();
        assert!(sent.unwrap().success());
        self.status()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn status(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("the process ends", || child.try_wait().unwrap()).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command of popwatch to its end.
pub(crate) fn popwatch(args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// [`popwatch`]: exit status, stdout, stderr.
pub(crate) fn outcome(args: &[&str]) -> (Option<i32>, String, String) {
    let output = popwatch(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request on a connection of its own. `headers` come after `Host`, unless they bring one.
pub(crate) fn http(
    address: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let socket: SocketAddr = address.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&socket, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    // A server that refuses early may close before it has read the whole body; its answer counts.
    drop(stream.write_all(body));
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    parse(&bytes).ok_or_else(|| match read {
        Err(error) => error,
        Ok(_) => io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short"),
    })
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let answer = Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        body: bytes[end + 4..].to_vec(),
        head,
    };
    let length: usize = match answer.status {
        // It has no body, and says nothing of its length.
        304 => 0,
        _ => answer.header("content-length")?.parse().ok()?,
    };
    (answer.body.len() == length).then_some(answer)
}

/// A read that must succeed.
#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> Value {
    let answer = http(address, &format!("GET {path}"), &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// A read that may fail while its server comes up.
pub(crate) fn try_get(address: &str, path: &str) -> Option<Value> {
    let answer = http(address, &format!("GET {path}"), &[], b"").ok()?;
    (answer.status == 200).then(|| answer.json())
}

/// Posts events as one batch.
pub(crate) fn post(address: &str, events: &[Value]) -> io::Result<Answer> {
    let body = serde_json::to_vec(events)?;
    let media = [("Content-Type", "application/cloudevents-batch+json")];
    http(address, "POST /v1/events", &media, &body)
}

/// Posts events that must all be taken for the first time.
#[track_caller]
pub(crate) fn sell(address: &str, events: &[Value]) {
    let answer = post(address, events).unwrap();
    let results = answer.json()["results"].clone();
    let accepted = |verdict: &Value| verdict["status"] == "accepted";
    assert!(
        results.as_array().unwrap().iter().all(accepted),
        "{results}"
    );
}

/// A sale of `minor` cents, at the moment it is admitted.
pub(crate) fn sale(popup: &str, source: &str, id: &str, minor: i64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": source, "popup": popup,
        "type": "popwatch.payment.captured",
        "data": {
            "payment": format!("p-{id}"), "order": format!("o-{id}"), "amount": minor,
            "currency": "EUR", "method": "card",
            "lines": [{"sku": "mug", "qty": 1, "amount": minor}],
        },
    })
}

/// The cells a role holds of a popup, as it sends them, once there are any.
pub(crate) fn cells(address: &str, popup: &str) -> Option<Vec<Vec<u8>>> {
    let path = format!("GET /v1/popups/{popup}/cells");
    let answer = http(address, &path, &[], b"").ok()?;
    if answer.status != 200 {
        return None;
    }
    let batch: CellBatch = popwatch_wire::lanes::decode(&answer.body).unwrap();
    let cells: Vec<Vec<u8>> = batch.cells.iter().map(|cell| cell.to_vec()).collect();
    assert!(
        cells
            .iter()
            .all(|cell| Cell::decode_canonical(cell).is_ok())
    );
    (!cells.is_empty()).then_some(cells)
}

/// Sales that these cells count, as the tills told them.
fn captures(cells: &[Vec<u8>]) -> u64 {
    let cells = cells.iter().map(|cell| Cell::decode_canonical(cell));
    let rows = cells.flat_map(|cell| cell.unwrap().money);
    rows.filter(|row| row.origin == 0)
        .map(|row| row.captures)
        .sum()
}

/// A region, a ledger and an edge, each its own process, on ports they keep when they come again.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) region: String,
    pub(crate) ledger: String,
    pub(crate) edge: String,
}

impl Site {
    pub(crate) fn new(name: &str) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        Self {
            folder: Folder::new(name),
            region: address(),
            ledger: address(),
            edge: address(),
        }
    }

    pub(crate) fn start_region(&self) -> Process {
        let config = format!("[region]\nlisten = \"{}\"\n", self.region);
        self.started("region", &config)
    }

    pub(crate) fn start_ledger(&self) -> Process {
        let config = format!(
            "data = \"{}\"\n[ledger]\nlisten = \"{}\"\nregions = [\"http://{}\"]\n",
            self.folder.join("books").display(),
            self.ledger,
            self.region
        );
        self.started("ledger", &config)
    }

    /// Where the edge's journal lies.
    pub(crate) fn till(&self) -> PathBuf {
        self.folder.join("till")
    }

    pub(crate) fn edge_config(&self) -> String {
        format!(
            "data = \"{}\"\n[edge]\nlisten = \"{}\"\nrig = \"till-1\"\nhost_probes = false\nledger = \"http://{}\"\n\
             regions = [\"http://{}\"]\n",
            self.till().display(),
            self.edge,
            self.ledger,
            self.region
        )
    }

    pub(crate) fn start_edge(&self) -> Process {
        self.started("edge", &self.edge_config())
    }

    /// Starts a role and waits until it listens.
    #[track_caller]
    pub(crate) fn started(&self, role: &str, config: &str) -> Process {
        let mut process = Process::run(&self.folder, role, config);
        process.address(role);
        process
    }

    pub(crate) fn status(&self) -> Value {
        get(&self.edge, "/v1/status")
    }

    /// How many sales the books have, once the edge has sent all of its journal.
    pub(crate) fn booked(&self, popup: &str) -> Option<u64> {
        let status = self.status();
        let sent = status["unsent"]["records"] == 0
            && status["replicated"]["seq"] == status["durable_seq"];
        let books = format!("/v1/popups/{popup}/reconciliation");
        let books = try_get(&self.ledger, &books).filter(|_| sent)?;
        let sums = books["totals"].as_object()?.values();
        Some(sums.filter_map(|sums| sums["sales"].as_u64()).sum())
    }

    /// Waits until ledger and region hold all that the edge holds, these many sales among it.
    #[track_caller]
    pub(crate) fn drained(&self, popup: &str, sales: usize) {
        until("all is at ledger and region", || {
            let booked = self.booked(popup)?;
            let here = cells(&self.edge, popup)?;
            // Both may wait for the newest sales still, and be equal without them.
            let all = [booked, captures(&here)] == [sales as u64; 2]
                && Some(here) == cells(&self.region, popup);
            all.then_some(())
        });
    }

    pub(crate) fn reconciliation(&self, popup: &str) -> Value {
        get(&self.ledger, &format!("/v1/popups/{popup}/reconciliation"))
    }
}

/// What an SDK sent twice by OTLP is in the popup's view once: as many checkouts as it says, their
/// median, the one left. `runs` counts the SDKs that sent to this edge so far.
#[track_caller]
pub(crate) fn spans_are_timed(site: &Site, popup: &str, sent: &Value, runs: usize) {
    assert_eq!(sent["again"], "SUCCESS", "{sent}");
    let durations = sent["durations"].as_array().unwrap().iter();
    let durations: Vec<u64> = durations.filter_map(Value::as_u64).collect();
    let median = durations[durations.len().div_ceil(2) - 1];
    let checkout = until("the checkouts are in the view", || {
        let summary = try_get(&site.edge, &format!("/v1/popups/{popup}/summary"))?;
        let checkout = summary["rows"]["now"]["checkout"].clone();
        (checkout["n"] == durations.len()).then_some(checkout)
    });
    // A value is known to its bucket, 1.083 % to either side.
    let p50 = checkout["p50_ms"].as_u64().unwrap();
    assert!(p50.abs_diff(median) * 10_000 <= median * 109, "{checkout}");
    assert_eq!(
        checkout["max_ms"],
        durations[durations.len() - 1],
        "{checkout}"
    );
    assert_eq!(checkout["completed"], durations.len(), "{checkout}");
    assert_eq!(
        (&checkout["abandoned"], &checkout["open"]),
        (&json!(1), &json!(0))
    );
    let ends = durations.len() + 1;
    let metrics = http(&site.edge, "GET /metrics", &[], b"").unwrap().body;
    let metrics = String::from_utf8(metrics).unwrap();
    for (line, count) in [
        (
            "admission_total{rig=\"till-1\",verdict=\"accepted\",class=\"journey\"}",
            2 * ends,
        ),
        (
            "admission_total{rig=\"till-1\",verdict=\"duplicate\",class=\"journey\"}",
            2 * ends,
        ),
        (
            "otlp_spans_total{rig=\"till-1\",kind=\"checkout\"}",
            2 * ends,
        ),
        (
            "otlp_spans_total{rig=\"till-1\",kind=\"stage\"}",
            2 * durations.len(),
        ),
        ("otlp_spans_total{rig=\"till-1\",kind=\"late_stage\"}", 0),
        ("otlp_spans_total{rig=\"till-1\",kind=\"other\"}", 2),
    ] {
        let line = format!("popwatch_{line} {}", count * runs);
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}
