//! Live streams: many readers, few of whom are told something, beside nginx with nchan.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use popwatch_core::cell::{Cell, MoneyRow};
use popwatch_core::lane::{CellBatch, Cut, PROTOCOL};

use super::line::{Bar, Figure, Line};
use super::load::Http;
use super::meter::{cpu_of, proc_number, quantile};
use super::scratch::{self, Scratch, Server};
use crate::shell;

/// Readers of a popup in which nothing happens.
const IDLE: usize = 10_000;
/// Readers of one that changes once a second.
const ACTIVE: usize = 5_000;
/// Changes they are told.
const CHANGES: u64 = 10;
/// Readers who never read, and how long.
const STALLED: usize = 1_000;
const STALLED_FOR: Duration = Duration::from_secs(45);
/// Between two looks at all sockets: how exact a delay is known.
const LOOK: Duration = Duration::from_millis(10);
/// How long a change may take to the last reader.
const LATE: Duration = Duration::from_secs(20);
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
const MINUTE: u32 = 29_000_000;

/// Sockets that are read when there is something, without a thread each.
struct Readers {
    sockets: Vec<(TcpStream, Tail)>,
}

/// What a reader's socket said last; frames are found by the blank line that ends them.
#[derive(Debug, Clone, Default)]
struct Tail {
    last: [u8; 2],
    frames: u64,
    bytes: u64,
}

impl Readers {
    fn open(count: usize, address: SocketAddr, path: &str) -> Result<Self> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
        let mut readers = Self {
            sockets: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let mut socket = scratch::connect(address)?;
            socket.write_all(request.as_bytes())?;
            socket.set_nonblocking(true)?;
            readers.sockets.push((socket, Tail::default()));
        }
        Ok(readers)
    }

    /// Reads what there is; the number of frames that came.
    fn sweep(&mut self) -> Result<u64> {
        let mut buffer = [0; 16 << 10];
        let mut frames = 0;
        for (socket, tail) in &mut self.sockets {
            loop {
                match socket.read(&mut buffer) {
                    Ok(0) => bail!("a stream ended"),
                    Ok(read) => frames += tail.take(buffer.get(..read).unwrap_or(&[])),
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        Ok(frames)
    }

    /// Reads until every reader has this many frames; the delays of all until then.
    fn until(&mut self, frames: u64, since: Instant, delays: &mut Vec<Duration>) -> Result<()> {
        let mut done = vec![false; self.sockets.len()];
        loop {
            self.sweep()?;
            let now = since.elapsed();
            for ((_, tail), done) in self.sockets.iter().zip(&mut done) {
                if !*done && tail.frames >= frames {
                    *done = true;
                    delays.push(now);
                }
            }
            if done.iter().all(|done| *done) {
                return Ok(());
            }
            if now > LATE {
                bail!(
                    "{} readers starve",
                    done.iter().filter(|done| !**done).count()
                );
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn frames(&self) -> u64 {
        self.sockets.iter().map(|(_, tail)| tail.frames).sum()
    }
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) -> u64 {
        let before = self.frames;
        for byte in bytes {
            let ends = *byte == b'\n' && self.last[1] == b'\n';
            self.frames += u64::from(ends);
            // A third line feed begins nothing.
            self.last = if ends { [0, 0] } else { [self.last[1], *byte] };
        }
        self.bytes += bytes.len() as u64;
        self.frames - before
    }
}

/// What feeds the region: one rig of each popup, on a connection of its own each time.
struct Rig {
    address: SocketAddr,
    seq: u64,
}

impl Rig {
    fn new(address: SocketAddr) -> Self {
        Self { address, seq: 0 }
    }

    /// One sale more in the newest minute of a popup.
    fn sell(&mut self, popup: &str) -> Result<()> {
        let from_seq = self.seq;
        self.seq += 1;
        let amount = i64::try_from(self.seq)?;
        let cell = Cell {
            popup: popup.to_owned(),
            rig: format!("{popup}-till"),
            epoch: 1,
            epoch_id: vec![7; 16],
            minute: MINUTE,
            version: self.seq,
            money: vec![MoneyRow {
                currency: String::from("EUR"),
                method: String::from("card"),
                gross: amount * 250,
                captures: self.seq,
                conversions: self.seq,
                ..MoneyRow::default()
            }],
            ..Cell::default()
        };
        let batch = CellBatch {
            protocol: PROTOCOL,
            sender: String::from("bench"),
            cells: vec![cell.encode_canonical()],
            cuts: vec![Cut {
                popup: cell.popup.clone(),
                rig: cell.rig.clone(),
                epoch: 1,
                epoch_id: cell.epoch_id.clone(),
                from_seq,
                to_seq: self.seq,
                clear_ms: i64::from(MINUTE) * 60_000 + 59_000,
            }],
            ..CellBatch::default()
        };
        let body = popwatch_wire::lanes::encode(&batch)?;
        let head = "POST /v1/cells HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: zstd";
        match Http::connect(self.address)?.exchange(head, &body)? {
            200 => Ok(()),
            status => bail!("the region answered {status}"),
        }
    }
}

/// What one run of a server took.
struct Told {
    cpu_us: f64,
    delays: Vec<Duration>,
    bytes: f64,
}

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("streams")?;
    let (server, address) = scratch::role("region", &scratch.path().join("region"))?;
    let mut quiet = Rig::new(address);
    let mut busy = Rig::new(address);
    quiet.sell("quiet")?;
    busy.sell("busy")?;
    wait_for(address, "busy")?;
    let before = memory_kb(&server)?;
    let mut idle = Readers::open(IDLE, address, "/v1/popups/quiet/stream")?;
    idle.until(2, Instant::now(), &mut Vec::new())?;
    let idle_kb = (memory_kb(&server)? - before) / IDLE as f64;
    let mut active = Readers::open(ACTIVE, address, "/v1/popups/busy/stream")?;
    active.until(2, Instant::now(), &mut Vec::new())?;
    let mut ours = told(&server, &mut active, Some(&mut idle), || busy.sell("busy"))?;
    drop((idle, active));
    let stalled = stalled(&server, address, &mut busy)?;
    let bytes = ours.bytes;
    drop(server);
    let theirs = nchan(scratch.path(), bytes)?;
    let (peer, figure) = match &theirs {
        Some(theirs) => ("nginx nchan", theirs.figure()),
        None => ("absent: nginx with nchan", Figure::default()),
    };
    let what = format!("streams, {ACTIVE} told each second, {IDLE} idle");
    let p99 = quantile(&mut ours.delays, 0.99).as_secs_f64() * 1e3;
    Ok(vec![
        Line {
            what: format!("{what}: CPU per delivery of {bytes:.0} B"),
            unit: "µs",
            ours: ours.figure(),
            peer: String::from(peer),
            theirs: figure,
            bar: Some(Bar::Most(25.0)),
            ratio_bar: Some(Bar::Most(1.0)),
        },
        Line::alone(
            &format!("{what}: P99 delay"),
            "ms",
            Figure::number(p99),
            Some(Bar::Most(250.0)),
        ),
        Line::alone(
            "streams, idle reader: memory",
            "KB",
            Figure::number(idle_kb),
            Some(Bar::Most(24.0)),
        ),
        Line::alone(
            &format!("streams, {STALLED} readers who never read, 10 Hz: memory from 5 s on"),
            "MB",
            Figure::number(stalled),
            Some(Bar::Most(4.0)),
        ),
    ])
}

impl Told {
    fn figure(&self) -> Figure {
        let mut delays = self.delays.clone();
        let mut ms = |of| quantile(&mut delays, of).as_secs_f64() * 1e3;
        Figure {
            number: Some(self.cpu_us),
            cpu_us: Some(self.cpu_us),
            latency_ms: Some((ms(0.5), ms(0.99))),
        }
    }
}

/// Makes a change a second and waits until all readers have it. What idle readers are sent counts
/// as deliveries too.
fn told(
    server: &Server,
    active: &mut Readers,
    mut idle: Option<&mut Readers>,
    mut change: impl FnMut() -> Result<()>,
) -> Result<Told> {
    let count = |active: &Readers, idle: &Option<&mut Readers>| {
        active.frames() + idle.as_ref().map_or(0, |idle| idle.frames())
    };
    let bytes = |active: &Readers| {
        active
            .sockets
            .iter()
            .map(|(_, tail)| tail.bytes)
            .sum::<u64>()
    };
    let (cpu, frames, sent) = (cpu_of(server.id())?, count(active, &idle), bytes(active));
    let active_frames = active.frames();
    let mut delays = Vec::new();
    for _ in 0..CHANGES {
        let start = Instant::now();
        let goals: Vec<u64> = active.sockets.iter().map(|(_, tail)| tail.bytes).collect();
        change()?;
        wait_all(active, &goals, start, &mut delays)?;
        if let Some(idle) = idle.as_deref_mut() {
            idle.sweep()?;
        }
        while start.elapsed() < Duration::from_secs(1) {
            active.sweep()?;
            std::thread::park_timeout(LOOK);
        }
    }
    let cpu = cpu_of(server.id())?.saturating_sub(cpu);
    let frames = (count(active, &idle) - frames).max(1);
    let active_frames = (active.frames() - active_frames).max(1);
    Ok(Told {
        cpu_us: cpu.as_secs_f64() * 1e6 / frames as f64,
        delays,
        bytes: (bytes(active) - sent) as f64 / active_frames as f64,
    })
}

/// Reads until every reader got something beyond what it had.
fn wait_all(
    readers: &mut Readers,
    had: &[u64],
    since: Instant,
    delays: &mut Vec<Duration>,
) -> Result<()> {
    let mut done = vec![false; had.len()];
    loop {
        readers.sweep()?;
        let now = since.elapsed();
        for (((_, tail), had), done) in readers.sockets.iter().zip(had).zip(&mut done) {
            // A tick is shorter than any change.
            if !*done && tail.bytes > had + 200 {
                *done = true;
                delays.push(now);
            }
        }
        if done.iter().all(|done| *done) {
            return Ok(());
        }
        if now > LATE {
            bail!(
                "{} readers starve",
                done.iter().filter(|done| !**done).count()
            );
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Memory the server gains, MB, from the fifth second on while many never read and ten changes a
/// second are made; a live reader beside them sees the last one.
fn stalled(server: &Server, address: SocketAddr, busy: &mut Rig) -> Result<f64> {
    let sleepers = Readers::open(STALLED, address, "/v1/popups/busy/stream")?;
    let mut live = Readers::open(10, address, "/v1/popups/busy/stream")?;
    let (start, mut early) = (Instant::now(), None);
    while start.elapsed() < STALLED_FOR {
        busy.sell("busy")?;
        live.sweep()?;
        if early.is_none() && start.elapsed() > Duration::from_secs(5) {
            early = Some(memory_kb(server)?);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let late = memory_kb(server)?;
    let had: Vec<u64> = live.sockets.iter().map(|(_, tail)| tail.bytes).collect();
    busy.sell("busy")?;
    wait_all(&mut live, &had, Instant::now(), &mut Vec::new())?;
    drop(sleepers);
    Ok((late - early.unwrap_or(late)) / 1e3)
}

fn memory_kb(server: &Server) -> Result<f64> {
    let kb = proc_number(server.id(), "smaps_rollup", "Pss:");
    Ok(kb.context("the server's memory is known")? as f64)
}

fn wait_for(address: SocketAddr, popup: &str) -> Result<()> {
    let mut http = Http::connect(address)?;
    let head = format!("GET /v1/popups/{popup}/summary HTTP/1.1");
    let start = Instant::now();
    while http.exchange(&head, b"")? != 200 {
        if start.elapsed() > LATE {
            bail!("the region does not show {popup}");
        }
        std::thread::park_timeout(scratch::LOOK);
    }
    Ok(())
}

/// nginx as a server of streams, told messages of the same size.
fn nchan(folder: &Path, bytes: f64) -> Result<Option<Told>> {
    if !shell::on_path("nginx") || !Path::new(NCHAN).is_file() {
        return Ok(None);
    }
    let (server, address) = nginx(
        folder,
        &format!("load_module {NCHAN};\n"),
        "location /pub { nchan_publisher; nchan_channel_id busy; nchan_message_buffer_length 1; }\n\
         location /sub { nchan_subscriber eventsource; nchan_channel_id busy; \
         nchan_subscriber_first_message newest; }\n",
    )?;
    let mut publisher = Http::connect(address)?;
    let mut active = Readers::open(ACTIVE, address, "/sub")?;
    let mut message = String::new();
    for number in 0.. {
        if message.len() as f64 > bytes - 40.0 {
            break;
        }
        write!(message, "{number};")?;
    }
    let mut publish = || {
        let status = publisher.exchange("POST /pub HTTP/1.1", message.as_bytes())?;
        if !(200..300).contains(&status) {
            bail!("nginx answered {status}");
        }
        Ok(())
    };
    // Whom nginx has not heard yet misses a message: it is told more until all have had one.
    let start = Instant::now();
    while active
        .sockets
        .iter()
        .any(|(_, tail)| (tail.bytes as f64) < bytes)
    {
        if start.elapsed() > LATE {
            bail!("nginx does not tell all of {ACTIVE} readers");
        }
        publish()?;
        std::thread::park_timeout(Duration::from_millis(100));
        active.sweep()?;
    }
    told(&server, &mut active, None, publish).map(Some)
}

/// An nginx of one process with these locations.
pub(super) fn nginx(folder: &Path, modules: &str, locations: &str) -> Result<(Server, SocketAddr)> {
    let folder = folder.join("nginx");
    std::fs::create_dir_all(folder.join("html"))?;
    let port = scratch::free_port()?;
    let dir = folder.display();
    let config = format!(
        "{modules}daemon off;\nmaster_process off;\nworker_rlimit_nofile 20000;\npid {dir}/pid;\n\
         error_log {dir}/error.log crit;\nevents {{ worker_connections 18000; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000;\nclient_body_temp_path {dir}/b;\n\
         proxy_temp_path {dir}/p;\nfastcgi_temp_path {dir}/f;\nuwsgi_temp_path {dir}/u;\n\
         scgi_temp_path {dir}/s;\nserver {{ listen 127.0.0.1:{port};\nroot {dir}/html;\n{locations}}}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = shell::command("nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    let server = Server::start(command.stderr(Stdio::null()))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    drop(scratch::connect(address)?);
    Ok((server, address))
}
