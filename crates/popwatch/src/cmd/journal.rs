//! `popwatch journal`: reads a stopped or damaged journal and never changes it.

mod repair;

use crate::args::{ExportDir, JournalArgs, JournalCommand};
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use anyhow::{Context, bail};
use popwatch_core::code::Code;
use popwatch_core::event::system::TotalsRow;
use popwatch_core::id::{Position, RigId};
use popwatch_node::access::desk::Desk;
use popwatch_node::ambient::Ambient;
use popwatch_store::fs::Fs;
use popwatch_store::fs::os::{OsFs, OsLock};
use popwatch_store::journal::inspect::{self, EpochReport, FaultKind, FsckReport, GapReport, Seen};
use popwatch_wire::event_v1;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

pub(super) fn run(args: &JournalArgs, format: Format) -> anyhow::Result<Exit> {
    let dir = match &args.command {
        JournalCommand::Inspect(dir) | JournalCommand::Fsck(dir) => &dir.dir,
        JournalCommand::Export(args) => &args.dir,
        JournalCommand::Repair(args) => &args.dir,
    };
    let (fs, _lock) = open(dir)?;
    let unreadable = || {
        let name = dir.display();
        format!("cannot read the journal in {name}; check its rights and its disk")
    };
    match &args.command {
        JournalCommand::Inspect(_) => inspect(&fs, format).with_context(unreadable),
        JournalCommand::Fsck(_) => fsck(&fs, format).with_context(unreadable),
        JournalCommand::Export(args) => export(&fs, args).with_context(unreadable),
        JournalCommand::Repair(args) => repair::run(&fs, args, format),
    }
}

/// The folder, held so that no edge starts in it meanwhile. A folder without a lock file is left
/// without one.
fn open(dir: &Path) -> anyhow::Result<(OsFs, Option<OsLock>)> {
    let name = dir.display();
    if !dir.join("journal").is_dir() {
        let message = format!("{name} holds no journal; give the --data folder of an edge");
        return Err(Misuse::input(message).into());
    }
    let fs = OsFs::new(dir).with_context(|| format!("cannot open {name}"))?;
    if !dir.join("LOCK").exists() {
        return Ok((fs, None));
    }
    match fs.lock() {
        Ok(lock) => Ok((fs, Some(lock))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!(
            "{}: another process uses {name}; stop that edge first, or read a copy of the folder",
            Code::JournalLocked
        ),
        Err(error) => Err(error).with_context(|| format!("cannot lock {name}")),
    }
}

fn fsck(fs: &OsFs, format: Format) -> anyhow::Result<Exit> {
    let report = inspect::fsck(fs)?;
    match format {
        Format::Json => print::json_pretty(&fsck_json(&report))?,
        Format::Text => fsck_lines(&report).iter().try_for_each(print::line)?,
    }
    Ok(if report.is_whole() {
        Exit::Done
    } else {
        Exit::No
    })
}

fn fsck_lines(report: &FsckReport) -> Vec<String> {
    let mut lines: Vec<String> = report.lines().iter().map(|line| plain(line)).collect();
    for name in &report.quarantined {
        lines.push(format!("in quarantine: {}", plain(name)));
    }
    for (name, row) in &report.outside {
        lines.push(format!(
            "no part of this journal: {} ({row:?})",
            plain(name)
        ));
    }
    let segments = report.segments;
    let files = if segments == 1 { "segment" } else { "segments" };
    lines.push(match report.is_whole() {
        true => format!("{segments} {files}: whole"),
        false => format!("{segments} {files}: records are missing or contradict each other"),
    });
    lines
}

fn fsck_json(report: &FsckReport) -> Value {
    let gap = |gap: &GapReport| {
        json!({ "first": gap.first.0, "last": gap.last.0, "cause": gap.cause,
            "value": gap.value, "known": gap.known,
            "rows": gap.rows.iter().map(row_json).collect::<Vec<_>>(),
            "recorded": gap.recorded })
    };
    let epoch = |epoch: &EpochReport| {
        let faults = epoch.faults.iter().map(|fault| {
            let what = match fault.what {
                FaultKind::Chain => "chain",
                FaultKind::Totals => "totals",
                FaultKind::Undecodable => "undecodable",
            };
            json!({ "seq": fault.seq.0, "what": what })
        });
        json!({
            "epoch": epoch.epoch.0,
            "last_seq": epoch.last_seq.0,
            "trimmed": epoch.trimmed.0,
            "void": epoch.void,
            "gaps": epoch.gaps.iter().map(gap).collect::<Vec<_>>(),
            "torn_bytes": epoch.torn_bytes,
            "faults": faults.collect::<Vec<_>>(),
        })
    };
    let outside = report.outside.iter();
    json!({
        "rig": report.rig,
        "whole": report.is_whole(),
        "segments": report.segments,
        "epochs": report.epochs.iter().map(epoch).collect::<Vec<_>>(),
        "quarantined": report.quarantined,
        "outside": outside
            .map(|(name, row)| json!({ "file": name, "row": format!("{row:?}") }))
            .collect::<Vec<_>>(),
    })
}

/// What a gap lost of one popup and currency, in minor units.
fn row_json(row: &TotalsRow) -> Value {
    json!({ "popup": row.popup, "currency": row.currency, "records": row.n,
        "captured": row.captured, "refunded": row.refunded, "tip": row.tip, "tax": row.tax,
        "token_value": row.token_value, "units": row.units })
}

fn inspect(fs: &OsFs, format: Format) -> anyhow::Result<Exit> {
    let mut printed = Ok(());
    inspect::inspect(fs, &mut |seen| {
        if printed.is_ok() {
            printed = match format {
                Format::Text => print::line(seen_line(&seen)).map_err(Into::into),
                Format::Json => print::json(&seen_json(&seen)),
            };
        }
    })?;
    printed?;
    Ok(Exit::Done)
}

fn seen_line(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Segment {
            name,
            epoch,
            seqs: (first, last),
            bytes,
            closed,
            ..
        } => {
            let state = if *closed { "closed" } else { "open" };
            format!(
                "{}  epoch {epoch}  {first}..{last}  {bytes} bytes  {state}",
                plain(name)
            )
        }
        Seen::Record {
            seq,
            class,
            kind,
            at,
            bytes,
        } => {
            let kind = if kind.is_empty() {
                "(unreadable)"
            } else {
                kind
            };
            format!(
                "  {seq:>8}  {:<8} {kind:<22} {bytes:>7} bytes at {at}",
                class.name()
            )
        }
        Seen::Seal {
            counts,
            rows,
            complete,
        } => {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            let extent = if *complete { "all" } else { "changed" };
            format!(
                "            seals {} records by class, {extent} {rows} totals",
                counts.join("+")
            )
        }
        Seen::Missing { first, last } => format!("  missing {first}..{last}"),
    }
}

fn seen_json(seen: &Seen<'_>) -> Value {
    match seen {
        Seen::Segment {
            name,
            no,
            epoch,
            epoch_id,
            seqs: (first, last),
            bytes,
            closed,
        } => json!({
            "segment": name, "no": no, "epoch": epoch.0, "epoch_id": epoch_id.to_string(),
            "first": first.0, "last": last.0, "bytes": bytes, "closed": closed,
        }),
        Seen::Record {
            seq,
            class,
            kind,
            at,
            bytes,
        } => json!({
            "seq": seq.0, "class": class.name(), "type": kind, "at": at, "bytes": bytes,
        }),
        Seen::Seal {
            counts,
            rows,
            complete,
        } => json!({
            "seal": { "counts": counts, "rows": rows, "complete": complete },
        }),
        Seen::Missing { first, last } => json!({ "missing": { "first": first.0, "last": last.0 } }),
    }
}

/// One CloudEvent per line, whatever the format: it is what `send` and `replay` read.
fn export(fs: &OsFs, args: &ExportDir) -> anyhow::Result<Exit> {
    if !args.parts.is_empty() {
        let code = Code::PartsShut;
        anyhow::bail!(
            "{code}: an export leaves sealed parts shut; popwatch raw opens them, with a pass and a purpose"
        );
    }
    let rig = rig_of(fs)?;
    match Desk::new(&args.dir, &Ambient::system()).exported(rig.as_str()) {
        Ok(true) => {}
        Ok(false) => {
            print::note("this folder has no audit trail: nobody will see that it was exported")
        }
        Err(fault) => print::note(format!(
            "the export cannot be noted for the audit trail ({fault}); sealed parts stay shut"
        )),
    }
    for placed in inspect::records(fs)? {
        let placed = placed?;
        let position = Position {
            rig: rig.clone(),
            epoch: placed.epoch,
            seq: placed.seq,
        };
        print::json(&event_v1::cloudevent(&placed.record, Some(&position)))?;
    }
    Ok(Exit::Done)
}

fn rig_of(fs: &OsFs) -> anyhow::Result<RigId> {
    let report = inspect::fsck(fs)?;
    if !report.is_whole() {
        print::note("the journal has gaps or faults; `popwatch journal fsck` names them");
    }
    RigId::new(&report.rig).context("no segment of it says whose journal it is")
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::event::Class;
    use popwatch_core::id::{Epoch, Seq};

    fn report(gaps: Vec<GapReport>) -> FsckReport {
        FsckReport {
            rig: "till-1".into(),
            segments: 1,
            epochs: vec![EpochReport {
                epoch: Epoch(3),
                last_seq: Seq(18_221),
                trimmed: Seq::NONE,
                void: false,
                gaps,
                torn_bytes: 0,
                faults: Vec::new(),
            }],
            quarantined: vec!["a\u{1b}".into()],
            outside: Vec::new(),
        }
    }

    #[test]
    fn a_report_names_every_gap() {
        let gap = GapReport {
            first: Seq(412),
            last: Seq(415),
            cause: "media".into(),
            value: "EUR 412.50".into(),
            rows: vec![TotalsRow {
                popup: "stall".into(),
                currency: "EUR".into(),
                n: 4,
                captured: 41_250,
                ..TotalsRow::default()
            }],
            known: true,
            recorded: true,
        };
        let report = report(vec![gap]);
        assert_eq!(
            fsck_lines(&report),
            [
                "till-1 epoch 3: 1..18221, missing 412..415 (media, EUR 412.50)",
                "in quarantine: a·",
                "1 segment: records are missing or contradict each other",
            ]
        );
        let json = fsck_json(&report);
        let gap = &json["epochs"][0]["gaps"][0];
        assert_eq!((&json["whole"], &gap["last"]), (&json!(false), &json!(415)));
        assert_eq!(gap["rows"][0]["captured"], 41_250);
    }

    #[test]
    fn a_whole_journal_says_so() {
        assert_eq!(
            fsck_lines(&report(Vec::new())).last().unwrap(),
            "1 segment: whole"
        );
    }

    #[test]
    fn what_is_seen_reads_as_a_line() {
        let record = Seen::Record {
            seq: Seq(7),
            class: Class::Money,
            kind: "payment.captured",
            at: 8_192,
            bytes: 300,
        };
        let expect = "         7  money    payment.captured           300 bytes at 8192";
        assert_eq!(seen_line(&record), expect);
        assert_eq!(
            seen_line(&Seen::Missing {
                first: Seq(1),
                last: Seq(2)
            }),
            "  missing 1..2"
        );
    }
}
