//! Our SDKs against a real edge: a checkout that is killed at random moments loses nothing that it
//! was told is stored, and nothing counts twice.
//!
//! `POPWATCH_KILLS` says how many kills; `POPWATCH_SEED` repeats the moments of a run.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::kills::{Random, from_env};
use crate::support::{Site, outcome};

/// Longest life of a checkout after its first sale, ms.
const LIFE_MS: u64 = 200;
const KILLS: u64 = 6;

/// A file of an SDK in this tree.
pub(crate) fn sdk(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../sdk")
        .join(path)
}

/// `seller` is the program that sells; it takes the edge, an outbox, a popup, and what to do.
#[track_caller]
pub(crate) fn survive_kills(name: &str, seller: &dyn Fn() -> Command) {
    let kills = from_env("POPWATCH_KILLS", KILLS);
    let seed = from_env("POPWATCH_SEED", u64::from(std::process::id()));
    eprintln!("POPWATCH_KILLS={kills} POPWATCH_SEED={seed}");
    let mut moments = Random(seed | 1);
    let site = Site::new(name);
    let edge = site.start_edge();
    let outbox = site.folder.join("outbox");
    let run = |what: &str| {
        let mut command = seller();
        command.arg(format!("http://{}", site.edge));
        command.arg(&outbox).args(["stall", what]);
        command
    };
    let mut stored = BTreeSet::new();
    for _ in 0..kills {
        let mut checkout = run("sell").stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(checkout.stdout.take().unwrap()).lines();
        let first = said.next().expect("a first sale").unwrap();
        let life = Duration::from_millis(moments.below(LIFE_MS));
        let killer = thread::spawn(move || {
            thread::park_timeout(life);
            checkout.kill().unwrap();
            checkout.wait().unwrap();
        });
        // A line torn by the kill was not said.
        let said = said.map_while(Result::ok);
        stored.extend(
            std::iter::once(first)
                .chain(said)
                .filter(|id| id.len() == 29),
        );
        killer.join().unwrap();
    }
    assert!(run("drain").status().unwrap().success());
    assert_eq!(edge.stop(), Some(0));

    let (status, printed, complaint) =
        outcome(&["journal", "export", site.till().to_str().unwrap()]);
    assert_eq!(status, Some(0), "{complaint}");
    let mut held = BTreeSet::new();
    for line in printed.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["type"] == "popwatch.payment.captured" {
            let id = event["id"].as_str().unwrap().to_owned();
            assert!(held.insert(id), "twice: {event}");
        }
    }
    let lost: Vec<_> = stored.difference(&held).collect();
    eprintln!(
        "{name}: {kills} kills, {} said to be stored, {} held",
        stored.len(),
        held.len()
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
}
