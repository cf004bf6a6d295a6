//! Folders and processes of a bench, both gone when it ends.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell;

/// How long a server may take until it answers.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at something that takes its time.
pub(super) const LOOK: Duration = Duration::from_millis(1);

/// A folder beside the build, on the disk that holds the tree: what is measured are real syncs, and
/// the system's folder for temporary files may lie in memory.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Result<Self> {
        let folder = shell::root()
            .join("target/bench")
            .join(format!("{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies in the build's folder and is replaced by the next run.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running server; stopped when dropped.
pub(super) struct Server {
    child: Child,
}

impl Server {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address on the first line of its error stream that has one; the rest is read and dropped.
    pub(super) fn address(&mut self) -> Result<SocketAddr> {
        let errors = self.child.stderr.take().context("its stderr is a pipe")?;
        let (found, address) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    found.try_send(address).ok();
                } else {
                    shell::complain(&line);
                }
            }
        });
        address
            .recv_timeout(READY_LIMIT)
            .context("the server did not print its address")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.trim_end().trim_end_matches('/').parse().ok()
}

/// A port nobody listens on right now.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Connects as soon as somebody listens.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(READY_LIMIT))?;
                return Ok(stream);
            }
            Err(fault) if start.elapsed() > READY_LIMIT => {
                bail!("nothing listens on {address}: {fault}")
            }
            Err(_) => std::thread::park_timeout(LOOK),
        }
    }
}

/// The program under test, built beside this one.
pub(super) fn popwatch() -> Result<PathBuf> {
    let own = std::env::current_exe().context("where this program lies is unknown")?;
    let path = own.with_file_name("popwatch");
    if !path.is_file() {
        bail!("{} is missing; run cargo build --release", path.display());
    }
    Ok(path)
}

/// A popwatch that runs one role with its own data on a free port; answers where it listens.
pub(super) fn role(role: &str, data: &Path) -> Result<(Server, SocketAddr)> {
    role_with(role, data, "")
}

/// The same with further lines in the role's part of the configuration.
pub(super) fn role_with(role: &str, data: &Path, more: &str) -> Result<(Server, SocketAddr)> {
    let config = data.with_extension("toml");
    let listen = "listen = \"127.0.0.1:0\"";
    std::fs::write(&config, format!("[{role}]\n{listen}\n{more}"))?;
    let mut command = shell::command(&popwatch()?.to_string_lossy());
    command
        .args(["run", "--role", role, "--config"])
        .arg(&config);
    command.arg("--data").arg(data).stderr(Stdio::piped());
    let mut server = Server::start(&mut command)?;
    let address = server.address()?;
    Ok((server, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_what_a_role_prints() {
        let address = address_in("edge    http://127.0.0.1:41234/");
        assert_eq!(address, Some(SocketAddr::from(([127, 0, 0, 1], 41_234))));
        assert_eq!(address_in("stopping"), None);
    }
}
