//! The commands of the README and of the book's first chapters, run in folders of their own as they
//! stand there. Only what would take
//! minutes or meet somebody's ports is changed: flat out instead of in time, free ports instead of
//! taken ones.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{BINARY, Folder, Process, free_port, post, sale, try_get, until};

const README: &str = include_str!("../../../../README.md");
const START: &str = include_str!("../../../../docs/start.md");
const FOUR_TILLS: &str = include_str!("../../../../docs/four-tills.md");
const DAY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/assets/online_retail/2011-12-05.csv"
);

/// What stands in the blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(move |block| block.strip_prefix(kind)?.strip_prefix('\n'))
}

/// The commands of all shell blocks, in order, continued lines joined.
fn commands(text: &str) -> Vec<String> {
    let shell = blocks(text, "sh");
    let mut commands: Vec<String> = Vec::new();
    let mut quoted = false;
    for line in shell.flat_map(str::lines) {
        let goes_on = quoted || commands.last().is_some_and(|last| last.ends_with('\\'));
        quoted ^= line.matches('\'').count() % 2 == 1;
        match commands.last_mut().filter(|_| goes_on) {
            Some(last) => {
                *last = format!("{}\n{line}", last.trim_end_matches('\\')).replace("\\\n", "\n")
            }
            None => commands.push(line.to_owned()),
        }
    }
    commands.retain(|command| !command.trim().is_empty());
    // A continued line is one line again.
    commands
        .into_iter()
        .map(|command| command.replace(" \n", " "))
        .collect()
}

/// A folder in which the commands run, and what stands for the ports they name.
struct Stand {
    folder: Folder,
    waiting: Vec<String>,
    ports: Vec<(&'static str, String)>,
}

impl Stand {
    fn new(name: &str, text: &str) -> Self {
        let usual = ["127.0.0.1:8710", "127.0.0.1:8720", "127.0.0.1:8730"];
        let held: Vec<_> = usual.iter().map(TcpListener::bind).collect();
        let free = held.iter().all(Result::is_ok);
        let port = |usual: &'static str| match free {
            true => (usual, usual.to_owned()),
            false => (usual, format!("127.0.0.1:{}", free_port())),
        };
        Self {
            folder: Folder::new(name),
            waiting: commands(text),
            ports: usual.map(port).to_vec(),
        }
    }

    fn port(&self, nth: usize) -> &str {
        &self.ports[nth].1
    }

    /// The one command that begins like this, no longer waiting.
    #[track_caller]
    fn take(&mut self, start: &str) -> String {
        let at = self
            .waiting
            .iter()
            .position(|command| command.starts_with(start));
        let at = at.unwrap_or_else(|| panic!("no `{start}` is shown"));
        let mut command = self.waiting.remove(at);
        for (usual, port) in &self.ports {
            command = command.replace(usual, port);
        }
        command.replace("cargo run --release -- ", "popwatch ")
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let binaries = Path::new(BINARY).parent().unwrap().display();
        let path = format!("{binaries}:{}", std::env::var("PATH").unwrap());
        command
            .args(["-c", line])
            .env("PATH", path)
            .current_dir(self.folder.path());
        command
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        let output: Output = self.shell(line).stdin(Stdio::null()).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}\n{out}{err}");
        out
    }

    /// Starts all roles with the one command that begins like this, on free ports where the usual ones
    /// are taken.
    #[track_caller]
    fn starts_all(&mut self, start: &str) -> Process {
        let mut run = self.take(start);
        if self.ports.iter().any(|(usual, port)| usual != port) {
            let (edge, region, ledger) = (self.port(0), self.port(1), self.port(2));
            let config = format!(
                "[edge]\nlisten = \"{edge}\"\nledger = \"http://{ledger}\"\n\
                 regions = [\"http://{region}\"]\n[region]\nlisten = \"{region}\"\n\
                 [ledger]\nlisten = \"{ledger}\"\nregions = [\"http://{region}\"]\n"
            );
            self.folder.write("ports.toml", &config);
            run += " --config ports.toml";
        }
        self.start(&run, &["edge", "region", "ledger"])
    }

    /// Starts a command that stays, and waits for the addresses it prints.
    #[track_caller]
    fn start(&self, line: &str, roles: &[&str]) -> Process {
        let mut process = Process::of(&mut self.shell(&format!("exec {line}")));
        for role in roles {
            process.address(role);
        }
        process
    }
}

#[test]
#[ignore = "needs: curl"]
fn the_readme_runs_as_it_is_written() {
    let mut stand = Stand::new("readme", README);
    let demo = stand.take("cargo run --release -- demo");
    let printed = stand.run(&format!("{demo} --speed 0 --exit --ports any"));
    assert!(printed.contains("GBP 57,751.32"), "{printed}");
    stand.take("cargo xtask check");
    sells(&mut stand);
    roles_apart(&mut stand);
    assert_eq!(
        stand.waiting,
        Vec::<String>::new(),
        "say here how to run these"
    );
}

#[test]
#[ignore = "needs: curl"]
fn the_five_minutes_run_as_they_are_written() {
    let mut stand = Stand::new("start", START);
    let demo = stand.take("cargo run --release -- demo");
    stand.run(&format!("{demo} --speed 0 --exit --ports any"));
    let all = stand.starts_all("cargo run --release -- run --data");
    let curl = stand.take("curl");
    for status in ["accepted", "duplicate"] {
        let answer: Value = serde_json::from_str(&stand.run(&curl)).unwrap();
        assert_eq!(answer["results"][0]["status"], status, "{answer}");
    }
    until("the sale is in the books", || {
        let path = "/v1/popups/market-day/reconciliation";
        let found = try_get(stand.port(2), path)?;
        (found["complete"] == true && found["totals"]["EUR"]["sales"] == 1).then_some(())
    });
    for (start, says) in [
        ("popwatch reconcile", "EUR 4.50 (1 sales)"),
        ("popwatch statement", "ana"),
        ("popwatch close", "market-day close 1 closed"),
    ] {
        let line = stand.take(start) + &format!(" --ledger http://{}", stand.port(2));
        let said = stand.run(&line);
        assert!(said.contains(says), "{line}\n{said}");
    }
    assert_eq!(all.stop(), Some(0));
    assert_eq!(stand.waiting, Vec::<String>::new());
}

/// The hub and the first till of a market, from the words that are shown to the close.
#[test]
#[ignore = "needs: curl"]
fn a_market_is_set_up_as_it_is_written() {
    let mut stand = Stand::new("market", FOUR_TILLS);
    let (till, region, ledger) = (stand.port(0).to_owned(), free_port(), free_port());
    let here = |text: &str| {
        let text = text.replace("192.168.1.5:8720", &format!("127.0.0.1:{region}"));
        text.replace("192.168.1.5:8730", &format!("127.0.0.1:{ledger}"))
    };
    let hub = blocks(FOUR_TILLS, "toml").next().unwrap();
    stand.folder.write("hub.toml", &here(hub));
    let keygen = stand.take("popwatch access keygen");
    stand.run(&keygen);
    let factor = stand.take("popwatch access factor");
    let factor = stand.run(&factor);
    let paper = factor.lines().filter_map(|line| line.strip_prefix("  "));
    let mut paper = paper.filter(|code| code.len() == 11 && code.is_ascii());
    let mut told = |line: String| {
        let code = match line.contains("123456") {
            true => paper.next().unwrap().replace(' ', ""),
            false => String::new(),
        };
        let hub = format!("http://127.0.0.1:{ledger}");
        here(&line).replace("HUB", &hub).replace("123456", &code)
    };
    let issue = stand.take("popwatch access issue --org acme --scope operator");
    stand.run(&issue);
    let run = stand.take("popwatch run --config hub.toml");
    let hub = stand.start(&run, &["region", "ledger"]);

    let enrol = told(stand.take("popwatch enrol --new"));
    let made = stand.run(&format!("{enrol} --format json"));
    let made: Value = serde_json::from_str(&made).unwrap();
    let shown = told(stand.take("popwatch enrol \"baba"));
    let words = shown.split('"').nth(1).unwrap().to_owned();
    let join = shown.replace(&words, made["code"].as_str().unwrap());
    stand.run(&join);
    let run = stand.take("popwatch run");
    assert_eq!(run, "popwatch run");
    let config = format!("[edge]\nlisten = \"{till}\"\nhost_probes = false\n");
    stand.folder.write("till.toml", &config);
    let sells = stand.start("popwatch run --config till.toml", &["edge"]);
    let sale = sale("night-market", "a", "1", 450);
    assert_eq!(post(&till, &[sale]).unwrap().status, 200);
    until("the sale is at the hub", || {
        let sent = &try_get(&till, "/v1/status")?["unsent"]["records"];
        (*sent == 0).then_some(())
    });

    let link = told(stand.take("popwatch access issue --org acme --scope creator"));
    assert!(stand.run(&link).contains("/#pw1."), "{link}");
    let reconcile = told(stand.take("popwatch reconcile"));
    let books = stand.run(&reconcile);
    assert!(books.contains("EUR 4.50 (1 sales)"), "{books}");
    let close = told(stand.take("popwatch close"));
    stand.run(&close);
    let closed = std::fs::read_to_string(stand.folder.join("night-market.json")).unwrap();
    assert!(closed.contains("night-market"), "{closed}");
    assert_eq!((sells.stop(), hub.stop()), (Some(0), Some(0)));
    assert_eq!(stand.waiting, Vec::<String>::new());
}

/// All roles in one process: a sale by hand, files, the books, then the stopped journal.
#[track_caller]
fn sells(stand: &mut Stand) {
    let all = stand.starts_all("cargo run --release -- run --data");
    let curl = stand.take("curl");
    for status in ["accepted", "duplicate"] {
        let answer: Value = serde_json::from_str(&stand.run(&curl)).unwrap();
        assert_eq!(answer["results"][0]["status"], status, "{answer}");
    }
    let event = curl
        .split('\'')
        .find(|part| part.contains("specversion"))
        .unwrap();
    let lines = event.replace('\n', " ").replace("-1\",", "-2\",") + "\n";
    stand.folder.write("events.ndjson", &lines);
    let send = stand.take("popwatch send");
    assert!(stand.run(&send).contains("1 accepted"));
    std::fs::copy(DAY, stand.folder.join("day.csv")).unwrap();
    let replay = stand
        .take("popwatch replay")
        .replace("--speed 60", "--speed 0");
    assert!(stand.run(&replay).contains("GBP 88,741.96 in 127 sales"));
    until("all is at the ledger", || {
        let holds = |popup: &str, currency: &str, sales: u64| {
            let found = try_get(stand.port(2), &format!("/v1/popups/{popup}/reconciliation"))?;
            let whole = found["complete"] == true && found["totals"][currency]["sales"] == sales;
            whole.then_some(())
        };
        holds("rehearsal", "GBP", 127)?;
        holds("market-day", "EUR", 2)?;
        let status = try_get(stand.port(0), "/v1/status")?;
        (status["replicated"]["seq"] == status["durable_seq"]).then_some(())
    });
    let mut reconcile = stand.take("popwatch reconcile");
    reconcile += &format!(" --ledger http://{}", stand.port(2));
    let books = stand.run(&reconcile);
    assert!(books.contains("EUR 9.00 (2 sales)"), "{books}");
    for (start, says) in [
        ("popwatch statement", "ana"),
        ("popwatch close", "market-day close 1 closed"),
        ("popwatch audit", "books.closed"),
    ] {
        let line = stand.take(start) + &format!(" --ledger http://{}", stand.port(2));
        let said = stand.run(&line);
        assert!(said.contains(says), "{line}\n{said}");
    }
    assert_eq!(all.stop(), Some(0));
    let inspect = stand.take("popwatch journal inspect");
    assert!(stand.run(&inspect).contains("payment.captured"));
    let fsck = stand.take("popwatch journal fsck");
    assert!(stand.run(&fsck).contains("whole"));
}

/// Each role from its own file.
#[track_caller]
fn roles_apart(stand: &mut Stand) {
    for (role, file, more) in [
        ("region", "region.toml", ""),
        ("ledger", "ledger.toml", ""),
        ("edge", "till-1.toml", "rig = \"till-1\"\n"),
    ] {
        let config = format!("[{role}]\nlisten = \"127.0.0.1:0\"\n{more}");
        stand.folder.write(file, &config);
        let run = stand.take(&format!("popwatch run --role {role} --config {file}"));
        let process = stand.start(&run, &[role]);
        assert_eq!(process.stop(), Some(0), "{run}");
    }
}
