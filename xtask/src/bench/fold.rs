//! Records to cells, and cells into a region.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use popwatch_core::fold::{EpochFold, Step};
use popwatch_core::id::{Epoch, EpochId, RegionId, RigId, Seq};
use popwatch_core::lane::{CellBatch, PROTOCOL};
use popwatch_core::record::Record;
use popwatch_core::region::Region;

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure};
use crate::sample;

/// Records of one round.
const RECORDS: u64 = 50_000;
/// CPU a row gets.
const CPU: Duration = Duration::from_secs(1);
/// Records per CPU-second.
const FOLD_BAR: f64 = 1_000_000.0;
/// µs of CPU for a cell of 1 KB, views included.
const MERGE_BAR: f64 = 40.0;
/// Versions of cells in one round.
const VERSIONS: usize = 2_000;
/// A cell for the merge has about so many bytes.
const CELL_BYTES: std::ops::Range<usize> = 900..1_150;

pub(super) fn lines() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (count, what, bar) in [
        (0, "fold, plain captures", Some(Bar::Least(FOLD_BAR))),
        (3, "fold, captures of three lines", None),
    ] {
        let records = (1..=RECORDS)
            .map(|number| sample::sale(number, count))
            .collect::<Result<Vec<_>>>()?;
        let mut spent = Spent::default();
        while spent.cpu < CPU {
            spent.add(measure(|| fold(&records))?);
        }
        let figure = Figure {
            number: Some(spent.per_cpu_second()),
            cpu_us: Some(spent.cpu_us()),
            latency_ms: None,
        };
        lines.push(Line::alone(what, "records/CPU-s", figure, bar));
    }
    Ok(lines)
}

fn empty() -> Result<EpochFold> {
    Ok(EpochFold::new(
        RigId::new("till-1")?,
        Epoch(1),
        EpochId([3; 16]),
    ))
}

fn folded(step: Step) -> Result<()> {
    match step {
        Step::Folded => Ok(()),
        Step::Old | Step::Rebucket => bail!("the fold did not take a sample"),
    }
}

fn fold(records: &[Record]) -> Result<u64> {
    let mut fold = empty()?;
    let mut seq = Seq::NONE;
    for record in records {
        seq = seq.next();
        folded(fold.apply(seq, black_box(record)))?;
    }
    if fold.cells().next().is_none() {
        bail!("the fold made no cell");
    }
    Ok(records.len() as u64)
}

/// A region takes newer and newer versions of cells of about 1 KB.
pub(super) fn merge_lines() -> Result<Vec<Line>> {
    let cells = versions()?;
    let size = cells.iter().map(Vec::len).sum::<usize>() / cells.len();
    let mut lines = Vec::new();
    for in_batch in [1, 64] {
        let batches: Vec<CellBatch> = cells.chunks(in_batch).map(batch).collect();
        let mut spent = Spent::default();
        while spent.cpu < CPU {
            let mut region = Region::new(RegionId([9; 16]));
            spent.add(measure(|| accept(&mut region, &batches))?);
        }
        lines.push(Line::alone(
            &format!("merge, cells of {size} B, {in_batch} a batch"),
            "µs CPU/cell",
            Figure::number(spent.cpu_us()),
            Some(Bar::Most(MERGE_BAR)),
        ));
    }
    Ok(lines)
}

fn batch(cells: &[Vec<u8>]) -> CellBatch {
    CellBatch {
        protocol: PROTOCOL,
        sender: String::from("till-1"),
        cells: cells.to_vec(),
        ..CellBatch::default()
    }
}

fn accept(region: &mut Region, batches: &[CellBatch]) -> Result<u64> {
    for batch in batches {
        let ack = region.accept(batch, sample::now());
        if !ack.refused.is_empty() {
            bail!("the region refused a cell: {}", ack.refused[0].code);
        }
    }
    Ok(region.counters().cells_taken)
}

/// Encoded cells, each newer than all before it.
fn versions() -> Result<Vec<Vec<u8>>> {
    let mut fold = empty()?;
    let mut versions = Vec::new();
    let mut seq = Seq::NONE;
    while versions.len() < VERSIONS {
        seq = seq.next();
        folded(fold.apply(seq, &sample::sale(seq.0 * 21, 1)?))?;
        let changed = fold.take_changed();
        let (popup, minute) = changed.first().context("a sale changes its minute")?;
        let cell = fold.cell(popup, *minute).context("it was just changed")?;
        let bytes = cell.encode_canonical();
        if CELL_BYTES.contains(&bytes.len()) {
            versions.push(bytes);
        }
        if seq.0 > 1_000_000 {
            bail!("no sample cell has about 1 KB");
        }
    }
    Ok(versions)
}
