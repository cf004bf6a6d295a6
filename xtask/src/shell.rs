//! Other programs, run from the workspace's root under a time limit, and lines for the terminal.
//!
//! A command's output goes straight to the terminal unless it is captured; a command that passes
//! its limit is stopped and counts as failed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What long work may take.
pub(crate) const HOURS: Duration = Duration::from_secs(4 * 3_600);

/// A wrong command line; the caller prints the usage and exits with 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A fault that says how the command line is wrong.
pub(crate) fn usage(text: &str) -> anyhow::Error {
    anyhow::Error::new(Usage(text.to_owned()))
}

/// Prints one line, at once even when the output is a pipe.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader who has gone away is no reason to stop a check.
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// Prints one line to the error stream.
pub(crate) fn complain(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A command in the workspace's root.
///
/// What `cargo run` set for this process is taken out again: some build scripts watch those
/// variables, and would rebuild their crates each time a check follows a plain build.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let set_by_cargo = text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_PRIMARY_PACKAGE";
        if set_by_cargo {
            command.env_remove(&name);
        }
    }
    command
}

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| String::from("cargo"));
    let mut command = command(&program);
    command.args(args);
    command
}

/// Builds the product and this program for release, and runs a command of this program there.
pub(crate) fn again_in_release(name: &str, args: &[String]) -> Result<bool> {
    let build = ["build", "--release", "-q", "-p", "popwatch", "-p"];
    run(cargo(&build).arg("popwatch-xtask"), HOURS)?;
    let program = root().join("target/release/popwatch-xtask");
    let mut again = command(&program.to_string_lossy());
    run(again.arg(name).args(args), HOURS)?;
    Ok(true)
}

/// Runs a command to its end; anything but success is a fault that shows the command.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let status = wait(&mut child, limit, &shown)?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// How much of a failed command's output is repeated, bytes.
const TAIL_BYTES: usize = 4_096;

/// Runs a command to its end and answers its standard output; its error stream is shown.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<String> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let alarm = Alarm::set(child.id(), limit);
    let output = child
        .wait_with_output()
        .with_context(|| format!("cannot read from {shown}"))?;
    if alarm.fired() {
        bail!("{shown} was stopped after {} s", limit.as_secs());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // What it found stands in what it printed: a failing seed must not be lost with it.
        let from = printed.len().saturating_sub(TAIL_BYTES);
        let tail = printed
            .char_indices()
            .find(|(at, _)| *at >= from)
            .map_or("", |(at, _)| printed.get(at..).unwrap_or_default());
        bail!("{shown} ended with {}: {tail}", output.status);
    }
    Ok(printed.into_owned())
}

/// Whether a program of this name is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut shown = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}

fn wait(child: &mut Child, limit: Duration, shown: &str) -> Result<ExitStatus> {
    let alarm = Alarm::set(child.id(), limit);
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {shown}"))?;
    if alarm.fired() {
        bail!("{shown} was stopped after {} s", limit.as_secs());
    }
    Ok(status)
}

/// Stops a process unless it is taken back within its limit.
struct Alarm {
    stop: SyncSender<()>,
    watch: JoinHandle<bool>,
}

impl Alarm {
    fn set(process: u32, limit: Duration) -> Self {
        let (stop, stopped) = sync_channel(1);
        let watch = std::thread::spawn(move || {
            let late = stopped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                // Cargo passes a polite signal on to what it runs.
                Command::new("kill").arg(process.to_string()).status().ok();
            }
            late
        });
        Self { stop, watch }
    }

    fn fired(self) -> bool {
        self.stop.try_send(()).ok();
        self.watch.join().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_past_its_limit_is_stopped_and_named() {
        let fault = run(command("sleep").arg("30"), Duration::from_millis(50)).unwrap_err();
        assert!(fault.to_string().contains("sleep 30 was stopped"));
    }

    #[test]
    fn a_failing_command_is_shown_as_typed() {
        let fault = run(command("false").arg("x"), Duration::from_secs(9)).unwrap_err();
        assert!(fault.to_string().starts_with("false x ended with"));
    }

    #[test]
    fn captured_output_comes_back() {
        let text = capture(command("echo").arg("127"), Duration::from_secs(9)).unwrap();
        assert_eq!(text, "127\n");
    }
}
