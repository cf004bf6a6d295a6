//! Proofs that other programs of this tree run: simulated days, and kills of the real binary.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;
use crate::table::Row;

const SEEDS: usize = 10_000;
const KILLS: usize = 200;

/// Simulated days, with the laws checked after every step.
pub(super) fn seeds(quick: bool) -> Result<Vec<Row>> {
    let seeds = if quick { SEEDS / 100 } else { SEEDS };
    let number = seeds.to_string();
    let args = [
        "run",
        "--release",
        "-q",
        "-p",
        "popwatch-sim",
        "--",
        "--seeds",
        &number,
        "--format",
        "json",
    ];
    let printed = shell::capture(&mut shell::cargo(&args), shell::HOURS);
    let held = match &printed {
        Ok(text) => text
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok()),
        Err(_) => None,
    };
    let rows: Value = held.unwrap_or_default();
    shell::say(&format!("{rows:#}"));
    let failed = printed.as_ref().err().map(|fault| format!("{fault:#}"));
    if let Some(fault) = &failed {
        shell::complain(fault);
    }
    Ok(vec![
        Row::note("seeds: simulated days", seeds),
        Row::count(
            "seeds: runs in which a law broke",
            usize::from(failed.is_some()),
            0,
        ),
    ])
}

/// The binary is killed at random moments while a client reports sales.
pub(super) fn kills(quick: bool) -> Result<Vec<Row>> {
    let kills = if quick { KILLS / 10 } else { KILLS };
    let args = [
        "test",
        "--release",
        "-q",
        "-p",
        "popwatch",
        "--test",
        "it",
        "--",
        "--exact",
        "kills::what_was_acknowledged_survives_sigkill_once_and_in_its_place",
    ];
    let mut command = shell::cargo(&args);
    command.env("POPWATCH_KILLS", kills.to_string());
    let text = shell::capture(&mut command, shell::HOURS).context("kills")?;
    let ran = text.contains("1 passed");
    Ok(vec![
        Row::note("kills: SIGKILLs of an edge under load", kills),
        Row::count(
            "kills: runs that kept every acknowledged sale once",
            usize::from(ran),
            1,
        ),
    ])
}
