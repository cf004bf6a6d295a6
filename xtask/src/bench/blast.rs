//! What one flipped bit in the middle of a store costs: records lost, and whether the store says so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use popwatch_core::limits::SEGMENT_BYTES;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::{Journal, inspect};

use super::line::{Bar, Figure, Line};
use super::peers;
use super::scratch::Scratch;
use crate::{sample, shell};

/// Records in the store.
const RECORDS: u64 = 30_000;
const BATCH: u64 = 1_000;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("blast")?;
    let (lost, named) = ours(&scratch.path().join("edge"))?;
    let (peer, theirs) = if shell::on_path("nats-server") {
        let kept = peers::nats_after_a_flip(scratch.path(), RECORDS, flip_in_the_middle)?;
        let lost = RECORDS.saturating_sub(kept);
        ("nats JetStream", Figure::number(lost as f64))
    } else {
        ("absent: nats-server", Figure::default())
    };
    let what = format!("one bit flipped among {RECORDS} records");
    Ok(vec![
        Line {
            what: format!("{what}: lost"),
            unit: "records",
            ours: Figure::number(lost as f64),
            peer: String::from(peer),
            theirs,
            bar: Some(Bar::Most(1.0)),
            ratio_bar: None,
        },
        Line::alone(
            &format!("{what}: lost and not named"),
            "records",
            Figure::number(lost.saturating_sub(named) as f64),
            Some(Bar::Most(0.0)),
        ),
    ])
}

/// Records lost, and how many of them the journal's own check names.
fn ours(data: &Path) -> Result<(u64, u64)> {
    let open = |life| -> Result<Journal<OsFs>> {
        let opening = sample::opening("till-1", life, SEGMENT_BYTES)?;
        Ok(Journal::open(OsFs::new(data)?, opening)?.0)
    };
    let mut journal = open(1)?;
    let key = *journal.journal_key();
    for first in (0..RECORDS).step_by(usize::try_from(BATCH)?) {
        let drafts = (first..first + BATCH).map(|number| sample::draft(number, 1, &key));
        journal.append(drafts.collect::<Result<Vec<_>>>()?, sample::stamp(first))?;
    }
    drop(journal);
    flip_in_the_middle(data)?;
    let mut journal = open(2)?;
    let mut kept = 0;
    for info in journal.epochs() {
        let mut from = popwatch_core::id::Seq(1);
        while from <= info.last_seq {
            let items = journal.read(info.epoch, from, 1 << 20)?;
            let Some(last) = items.last() else { break };
            from = last.last_seq().next();
            let sales = items.iter().filter(|item| is_sale(item)).count();
            kept += u64::try_from(sales)?;
        }
    }
    drop(journal);
    let report = inspect::fsck(&OsFs::new(data)?)?;
    let named = report.epochs.iter().flat_map(|epoch| &epoch.gaps);
    let named = named.map(|gap| gap.last.0 + 1 - gap.first.0).sum();
    Ok((RECORDS.saturating_sub(kept), named))
}

fn is_sale(item: &popwatch_store::journal::ReadItem) -> bool {
    use popwatch_core::event::Class;
    matches!(
        item,
        popwatch_store::journal::ReadItem::Frame {
            class: Class::Money,
            ..
        }
    )
}

/// Flips one bit in the middle of the largest file under a folder.
fn flip_in_the_middle(folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let largest = files.into_iter().max().context("the store has a file")?;
    let (bytes_written, path) = largest;
    let mut bytes = std::fs::read(&path)?;
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let at = written.min(usize::try_from(bytes_written)?) / 2;
    let byte = bytes.get_mut(at).context("the file is not empty")?;
    *byte ^= 0x10;
    Ok(std::fs::write(&path, bytes)?)
}

fn collect(folder: &Path, files: &mut Vec<(u64, PathBuf)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        let path = entry.path();
        let is_reserve = path.ends_with("reserve");
        if kind.is_dir() && !is_reserve {
            collect(&path, files)?;
        } else if kind.is_file() {
            files.push((kind.len(), path));
        }
    }
    Ok(())
}
