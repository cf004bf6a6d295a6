//! Proofs that other programs of this tree run: simulated days, and kills of the real binary.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;
use crate::table::Row;

const SEEDS: usize = 10_000;
const KILLS: usize = 200;
const SDK_KILLS: usize = 300;
const CANARIES: usize = 10_000;
const STORIES: usize = 1_000;
/// One record of so many may stand in a wrong minute.
const MINUTES_WRONG_SHARE: usize = 1_000;

/// Simulated days, with the laws checked after every step.
pub(super) fn seeds(quick: bool) -> Result<Vec<Row>> {
    let seeds = if quick { SEEDS / 100 } else { SEEDS };
    let report = simulated("--seeds", seeds);
    let count = |name: &str| number(&report, name);
    let days = count("/days/seeds").unwrap_or(0);
    let missing = seeds.saturating_sub(days);
    let unnoticed = report.pointer("/saboteurs").and_then(Value::as_array);
    let unnoticed = unnoticed.map_or(1, |all| {
        let blind = all.iter().filter(|one| one["noticed"] != true);
        blind.count()
    });
    let (right, minutes) = (count("/days/minutes_right"), count("/days/minutes_all"));
    let wrong = minutes.unwrap_or(0).saturating_sub(right.unwrap_or(0));
    Ok(vec![
        Row::note("seeds: simulated days", days),
        Row::note(
            "seeds: events acknowledged",
            count("/days/events_acked").unwrap_or(0),
        ),
        Row::note("seeds: crashes", count("/days/crashes").unwrap_or(0)),
        Row::at_most(
            "seeds: records in another minute than they were made, clocks being wrong",
            wrong,
            minutes.unwrap_or(0) / MINUTES_WRONG_SHARE,
        ),
        Row::count("seeds: days asked for and not run", missing, 0),
        Row::count(
            "seeds: runs in which a law broke",
            usize::from(report["good"] != true),
            0,
        ),
        Row::count("seeds: saboteurs that went unnoticed", unnoticed, 0),
    ])
}

/// Journals that two devices go on with, and disks that forget what they acknowledged.
pub(super) fn forks(quick: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (option, what) in [
        ("--forks", "forks: stories of a restore, a clone or a wipe"),
        ("--forgets", "forks: stories of a disk that forgets"),
    ] {
        let stories = if quick { STORIES / 10 } else { STORIES };
        let report = simulated(option, stories);
        let name = option.trim_start_matches('-');
        let told = number(&report, &format!("/{name}")).unwrap_or(0);
        let failed = number(&report, &format!("/{name}_failed"));
        rows.push(Row::note(what, told));
        rows.push(Row::count(
            &format!("{name}: events lost without a name, or doubled, in so many stories"),
            failed.unwrap_or(stories) + stories.saturating_sub(told),
            0,
        ));
    }
    Ok(rows)
}

/// The simulator's report about so many of something; null when it left none.
fn simulated(option: &str, count: usize) -> Value {
    let number = count.to_string();
    let args = [
        "run",
        "--release",
        "-q",
        "-p",
        "popwatch-sim",
        "--",
        option,
        &number,
        "--format",
        "json",
    ];
    match shell::capture(&mut shell::cargo(&args), shell::HOURS) {
        Ok(text) => report(&text),
        Err(fault) => {
            shell::complain(&format!("{fault:#}"));
            Value::Null
        }
    }
}

fn number(report: &Value, name: &str) -> Option<usize> {
    let value = report.pointer(name).and_then(Value::as_u64)?;
    usize::try_from(value).ok()
}

/// What the simulator printed; null when it found something and left no report.
fn report(text: &str) -> Value {
    let start = text.find('{').unwrap_or(text.len());
    serde_json::from_str(text.get(start..).unwrap_or_default()).unwrap_or_default()
}

/// The binary is killed at random moments while a client reports sales.
pub(super) fn kills(quick: bool) -> Result<Vec<Row>> {
    let kills = if quick { KILLS / 10 } else { KILLS };
    let test = "kills::what_was_acknowledged_survives_sigkill_once_and_in_its_place";
    let ran = passes(test, "POPWATCH_KILLS", kills).context("kills")?;
    Ok(vec![
        Row::note("kills: SIGKILLs of an edge under load", kills),
        Row::count(
            "kills: runs that kept every acknowledged sale once",
            usize::from(ran),
            1,
        ),
    ])
}

/// Secrets go through every door of the binary, which is killed on the way.
pub(super) fn canary(quick: bool) -> Result<Vec<Row>> {
    let secrets = if quick { CANARIES / 10 } else { CANARIES };
    let test = "canary::no_planted_secret_is_kept_told_or_logged";
    let ran = passes(test, "POPWATCH_CANARIES", secrets).context("canary")?;
    Ok(vec![
        Row::note("canary: secrets planted through every door", secrets),
        Row::count(
            "canary: sweeps of data, logs and answers that found none",
            usize::from(ran),
            1,
        ),
    ])
}

/// Runs one test of the binary with so much of something.
fn passes(test: &str, variable: &str, count: usize) -> Result<bool> {
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
        "--include-ignored",
        test,
    ];
    let mut command = shell::cargo(&args);
    command.env(variable, count.to_string());
    let text = shell::capture(&mut command, shell::HOURS)?;
    Ok(text.contains("1 passed"))
}

/// Checkouts that report through the SDKs are killed at random moments, an edge taking what they send.
pub(super) fn sdk(quick: bool) -> Result<Vec<Row>> {
    let kills = if quick { SDK_KILLS / 10 } else { SDK_KILLS };
    let mut rows = vec![Row::note("sdk: SIGKILLs of a checkout, each SDK", kills)];
    for tool in ["python3", "node"] {
        let test = format!("needs_{tool}::a_killed_checkout_loses_and_doubles_nothing");
        let passed = passes(&test, "POPWATCH_KILLS", kills)?;
        rows.push(Row::count(
            &format!("sdk: runs with {tool} that lost and doubled nothing"),
            usize::from(passed),
            1,
        ));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_found_behind_other_lines_and_its_absence_is_no_success() {
        assert_eq!(
            report("fresh seeds from 7\n{\n \"good\": true\n}\n")["good"],
            true
        );
        assert_ne!(report("")["good"], true);
    }
}
