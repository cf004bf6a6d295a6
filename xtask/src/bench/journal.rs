//! The journal alone: append, beside writing and syncing the same bytes without any of its work.

use anyhow::{Context, Result};
use popwatch_core::limits::SEGMENT_BYTES;
use popwatch_core::record::Draft;
use popwatch_redact::proof::Redacted;
use popwatch_store::fs::os::{OsFile, OsFs};
use popwatch_store::fs::{File, Fs};
use popwatch_store::journal::Journal;

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure, middle};
use super::scratch::Scratch;
use crate::sample;

const ROUNDS: usize = 5;
/// Records of a commit, and commits of a round.
const SHAPES: [(u64, u64); 3] = [(1, 300), (100, 100), (1_000, 30)];
/// Records per CPU-second at the largest batch.
const BAR: f64 = 250_000.0;
/// What a frame adds to a sale's own bytes: header, totals, padding.
const FRAME_BYTES: usize = 80;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("journal")?;
    let fs = OsFs::new(scratch.path())?;
    let (mut journal, _) = Journal::open(fs.clone(), sample::opening("till-1", 1, SEGMENT_BYTES)?)?;
    let mut raw = Raw::new(fs);
    let mut number = 0;
    let mut lines = Vec::new();
    for (batch, commits) in SHAPES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mut drafts, mut sizes) = (Vec::new(), Vec::new());
            for _ in 0..commits {
                let one = drafts_of(&mut number, batch, journal.journal_key())?;
                sizes.push(one.iter().map(|d| d.get().bytes.len() + FRAME_BYTES).sum());
                drafts.push(one);
            }
            ours.push(append(&mut journal, drafts)?);
            theirs.push(raw.append(&sizes, batch)?);
        }
        let (ours, theirs) = (middle(&ours), middle(&theirs));
        lines.push(Line {
            what: format!("journal append, batch {batch}"),
            unit: "records/s",
            ours: figure(ours),
            peer: String::from("write + fdatasync of the same bytes"),
            theirs: figure(theirs),
            bar: None,
            ratio_bar: None,
        });
        if batch == 1_000 {
            lines.push(Line::alone(
                "journal append, batch 1000, CPU alone",
                "records/CPU-s",
                Figure::number(ours.per_cpu_second()),
                Some(Bar::Least(BAR)),
            ));
        }
    }
    Ok(lines)
}

fn figure(spent: Spent) -> Figure {
    Figure {
        number: Some(spent.per_second()),
        cpu_us: Some(spent.cpu_us()),
        latency_ms: None,
    }
}

fn drafts_of(number: &mut u64, batch: u64, key: &[u8; 32]) -> Result<Vec<Redacted<Draft>>> {
    let from = *number;
    *number += batch;
    (from..*number)
        .map(|number| sample::draft(number, 1, key))
        .collect()
}

fn append(journal: &mut Journal<OsFs>, drafts: Vec<Vec<Redacted<Draft>>>) -> Result<Spent> {
    measure(|| {
        let mut records = 0;
        for batch in drafts {
            let commit = journal.append(batch, sample::stamp(0))?;
            records += commit.verdicts.len() as u64;
        }
        Ok(records)
    })
}

/// Files of a segment's size that are written from start to end.
struct Raw {
    fs: OsFs,
    file: Option<OsFile>,
    files: u32,
    at: u64,
    bytes: Vec<u8>,
}

impl Raw {
    fn new(fs: OsFs) -> Self {
        Self {
            fs,
            file: None,
            files: 0,
            at: SEGMENT_BYTES,
            bytes: Vec::new(),
        }
    }

    fn append(&mut self, sizes: &[usize], batch: u64) -> Result<Spent> {
        let largest = sizes.iter().copied().max().unwrap_or(0);
        self.bytes.resize(largest, 0x5A);
        measure(|| {
            for size in sizes {
                self.one(*size)?;
            }
            Ok(sizes.len() as u64 * batch)
        })
    }

    fn one(&mut self, size: usize) -> Result<()> {
        let length = u64::try_from(size)?;
        if self.at + length > SEGMENT_BYTES {
            self.files += 1;
            let name = format!("raw/{}", self.files);
            self.file = Some(self.fs.create(&name, SEGMENT_BYTES)?);
            self.fs.sync_dir("raw")?;
            self.at = 0;
        }
        let file = self.file.as_ref().context("a file was made before")?;
        file.write_at(self.bytes.get(..size).unwrap_or_default(), self.at)?;
        file.sync_data()?;
        self.at += length;
        Ok(())
    }
}
