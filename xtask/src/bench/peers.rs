//! The peers of durable ingest: each started in a folder of its own, set to sync before it answers,
//! and spoken to in its own protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::ingest::Racer;
use super::load::Client;
use super::meter::{children_of, cpu_of};
use super::scratch::{self, Server};
use crate::{sample, shell};

/// Where Debian keeps PostgreSQL's own programs, newest last.
const POSTGRES: &str = "/usr/lib/postgresql";

type Found = (Vec<Box<dyn Racer>>, Vec<&'static str>);

/// Starts what is installed, and names what is not.
pub(super) fn start(folder: &Path) -> Result<Found> {
    let (mut present, mut absent): Found = (Vec::new(), Vec::new());
    if shell::on_path("redis-server") {
        present.push(Box::new(redis(folder)?));
    } else {
        absent.push("redis-server");
    }
    if shell::on_path("nats-server") {
        present.push(Box::new(nats(folder)?));
    } else {
        absent.push("nats-server");
    }
    match postgres(folder)? {
        Some(server) => present.push(Box::new(server)),
        None => absent.push("postgresql"),
    }
    Ok((present, absent))
}

/// A peer of one kind.
struct Peer {
    name: &'static str,
    server: Server,
    address: SocketAddr,
    talk: fn(TcpStream) -> Result<Box<dyn Client>>,
}

impl Racer for Peer {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn connect(&self) -> Result<Box<dyn Client>> {
        (self.talk)(scratch::connect(self.address)?)
    }

    fn cpu(&self) -> Result<Duration> {
        let mut total = cpu_of(self.server.id())?;
        for child in children_of(self.server.id()) {
            // A helper of the server may end between the two looks.
            total += cpu_of(child).unwrap_or_default();
        }
        Ok(total)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn redis(folder: &Path) -> Result<Peer> {
    let folder = folder.join("redis");
    std::fs::create_dir_all(&folder)?;
    let port = scratch::free_port()?;
    let mut command = shell::command("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]);
    command
        .arg(&folder)
        .args(["--save", "", "--appendonly", "yes"]);
    command.args([
        "--appendfsync",
        "always",
        "--auto-aof-rewrite-percentage",
        "0",
    ]);
    Ok(Peer {
        name: "redis XADD, AOF always",
        server: Server::start(command.stderr(Stdio::null()))?,
        address: local(port),
        talk: |stream| Ok(Box::new(Redis(BufReader::new(stream)))),
    })
}

struct Redis(BufReader<TcpStream>);

impl Client for Redis {
    fn send(&mut self, first: u64, count: u64) -> Result<()> {
        let mut request = Vec::new();
        for number in first..first + count {
            let event = sample::cloudevent(number);
            let length = event.len();
            write!(
                request,
                "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\ne\r\n${length}\r\n{event}\r\n"
            )?;
        }
        self.0.get_mut().write_all(&request)?;
        let mut line = String::new();
        for _ in 0..count * 2 {
            line.clear();
            self.0.read_line(&mut line)?;
            if line.is_empty() || line.starts_with('-') {
                bail!("redis answered {line}");
            }
        }
        Ok(())
    }
}

fn nats(folder: &Path) -> Result<Peer> {
    let (server, address) = nats_server(folder)?;
    let mut first = Nats::greet(scratch::connect(address)?)?;
    let stream = r#"{"name":"S","subjects":["s.>"],"storage":"file","num_replicas":1}"#;
    first.ask("$JS.API.STREAM.CREATE.S", stream, 1)?;
    Ok(Peer {
        name: "nats JetStream, sync always",
        server,
        address,
        talk: |stream| Ok(Box::new(Nats::greet(stream)?)),
    })
}

/// Messages a stream still has of `count` after it was killed, its files harmed and it was started
/// again.
pub(super) fn nats_after_a_flip(
    folder: &Path,
    count: u64,
    harm: impl FnOnce(&Path) -> Result<()>,
) -> Result<u64> {
    const BATCH: u64 = 1_000;
    let peer = nats(folder)?;
    let mut client = Nats::greet(scratch::connect(peer.address)?)?;
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        client.send(first, BATCH)?;
    }
    drop(peer);
    harm(&folder.join("nats/store"))?;
    let (_server, address) = nats_server(folder)?;
    let mut again = Nats::greet(scratch::connect(address)?)?;
    again.ask("$JS.API.STREAM.INFO.S", "", 1)?;
    let told: serde_json::Value = serde_json::from_str(&again.last)?;
    let messages = told.pointer("/state/messages").and_then(|it| it.as_u64());
    messages.context("nats tells how many messages it has")
}

fn nats_server(folder: &Path) -> Result<(Server, SocketAddr)> {
    let folder = folder.join("nats");
    std::fs::create_dir_all(&folder)?;
    let port = scratch::free_port()?;
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
        folder.join("store")
    );
    std::fs::write(&config, text)?;
    let mut command = shell::command("nats-server");
    command.arg("--config").arg(&config);
    let server = Server::start(command.stderr(Stdio::null()))?;
    Ok((server, local(port)))
}

struct Nats {
    stream: BufReader<TcpStream>,
    inbox: String,
    /// The last answer.
    last: String,
}

impl Nats {
    fn greet(stream: TcpStream) -> Result<Self> {
        let inbox = format!("_INBOX.{}", stream.local_addr()?.port());
        let mut nats = Self {
            stream: BufReader::new(stream),
            inbox,
            last: String::new(),
        };
        let mut line = String::new();
        nats.stream.read_line(&mut line)?;
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\n", nats.inbox);
        nats.stream.get_mut().write_all(hello.as_bytes())?;
        Ok(nats)
    }

    fn ask(&mut self, subject: &str, body: &str, answers: u64) -> Result<()> {
        let request = self.publish(subject, body);
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answers(answers)
    }

    fn publish(&self, subject: &str, body: &str) -> String {
        format!("PUB {subject} {} {}\r\n{body}\r\n", self.inbox, body.len())
    }

    fn answers(&mut self, count: u64) -> Result<()> {
        let (mut line, mut seen) = (String::new(), 0);
        while seen < count {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 || line.starts_with("-ERR") {
                bail!("nats answered {line}");
            }
            if line.starts_with("PING") {
                self.stream.get_mut().write_all(b"PONG\r\n")?;
            } else if line.starts_with("MSG") {
                seen += 1;
                line.clear();
                self.stream.read_line(&mut line)?;
                if line.contains("\"error\"") {
                    bail!("nats answered {line}");
                }
                self.last.clone_from(&line);
            }
        }
        Ok(())
    }
}

impl Client for Nats {
    fn send(&mut self, first: u64, count: u64) -> Result<()> {
        let requests: Vec<String> = (first..first + count)
            .map(|number| self.publish("s.e", &sample::cloudevent(number)))
            .collect();
        self.stream
            .get_mut()
            .write_all(requests.concat().as_bytes())?;
        self.answers(count)
    }
}

/// PostgreSQL refuses to run as root; then it runs as the user that Debian makes for it.
fn postgres(folder: &Path) -> Result<Option<Peer>> {
    let Some(programs) = postgres_programs() else {
        return Ok(None);
    };
    let root = std::fs::read_to_string("/proc/self/status")?
        .lines()
        .any(|line| line.starts_with("Uid:\t0\t"));
    if root && !shell::on_path("setpriv") {
        return Ok(None);
    }
    let folder = folder.join("postgres");
    std::fs::create_dir_all(&folder)?;
    if root {
        let mut own = shell::command("chown");
        if !own.arg("postgres").arg(&folder).status()?.success() {
            return Ok(None);
        }
    }
    let program = |name: &str| {
        let path = programs.join(name);
        if !root {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command.arg(path);
        command
    };
    let data = folder.join("data");
    let mut init = program("initdb");
    init.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "-D"])
        .arg(&data);
    let made = init
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !made.success() {
        return Ok(None);
    }
    let port = scratch::free_port()?;
    let mut run = program("postgres");
    run.args([
        "-c",
        "listen_addresses=127.0.0.1",
        "-p",
        &port.to_string(),
        "-k",
    ]);
    run.arg(&folder).arg("-D").arg(&data).current_dir(&folder);
    let server = Server::start(run.stderr(Stdio::null()))?;
    let address = local(port);
    let mut first = patient(address)?;
    first.query("CREATE TABLE e (id text PRIMARY KEY, data text NOT NULL)")?;
    Ok(Some(Peer {
        name: "postgresql INSERT",
        server,
        address,
        talk: |stream| Ok(Box::new(Postgres::greet(stream)?)),
    }))
}

fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES).ok()?.flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).max()?;
    newest.join("initdb").is_file().then_some(newest)
}

/// It listens before it takes anybody in.
fn patient(address: SocketAddr) -> Result<Postgres> {
    for _ in 0..5_000 {
        if let Ok(client) = Postgres::greet(scratch::connect(address)?) {
            return Ok(client);
        }
        std::thread::park_timeout(scratch::LOOK);
    }
    bail!("postgresql takes nobody in")
}

struct Postgres(BufReader<TcpStream>);

impl Postgres {
    fn greet(stream: TcpStream) -> Result<Self> {
        let mut client = Self(BufReader::new(stream));
        let mut hello = vec![0, 3, 0, 0];
        hello.extend_from_slice(b"user\0bench\0database\0postgres\0\0");
        client.put(None, &hello)?;
        client.ready()?;
        Ok(client)
    }

    fn put(&mut self, kind: Option<u8>, body: &[u8]) -> Result<()> {
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&u32::try_from(body.len() + 4)?.to_be_bytes());
        message.extend_from_slice(body);
        self.0.get_mut().write_all(&message)?;
        Ok(())
    }

    fn query(&mut self, text: &str) -> Result<()> {
        let mut body = text.as_bytes().to_vec();
        body.push(0);
        self.put(Some(b'Q'), &body)?;
        self.ready()
    }

    /// Reads up to the message that says it waits for the next query.
    fn ready(&mut self) -> Result<()> {
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            let length = usize::try_from(u32::from_be_bytes(length))?;
            let mut body = vec![0; length.checked_sub(4).context("a length counts itself")?];
            self.0.read_exact(&mut body)?;
            match kind {
                b'Z' => return Ok(()),
                b'E' => bail!("postgresql answered {}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }
}

impl Client for Postgres {
    fn send(&mut self, first: u64, count: u64) -> Result<()> {
        let rows: Vec<String> = (first..first + count)
            .map(|number| format!("('{number}','{}')", sample::cloudevent(number)))
            .collect();
        self.query(&format!(
            "INSERT INTO e VALUES {} ON CONFLICT DO NOTHING",
            rows.join(",")
        ))
    }
}
