//! The ledger in SQLite, durable: batches of a thousand sales, then the same batches again.

use anyhow::{Context, Result, bail};
use popwatch_core::event::Cursor;
use popwatch_core::id::Seq;
use popwatch_core::lane::{PROTOCOL, RecordBatch};
use popwatch_core::limits::BATCH_BYTES_MAX;
use popwatch_core::record::Draft;
use popwatch_redact::proof::Redacted;
use popwatch_store::books::Books;
use popwatch_store::fs::Fs;
use popwatch_store::fs::faulty::FaultFs;
use popwatch_store::journal::Journal;

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure};
use super::scratch::Scratch;
use crate::sample;

const EVENTS: u64 = 30_000;
const BATCH: usize = 1_000;
/// Events per CPU-second, new ones.
const NEW_BAR: f64 = 40_000.0;
/// Events per CPU-second, all of them known.
const REPEAT_BAR: f64 = 150_000.0;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("books")?;
    let file = scratch.path().join("books.db");
    let batches = sales()?;
    let mut books = Books::open(&file)?;
    let new = measure(|| accept(&mut books, &batches))?;
    let repeats = measure(|| accept(&mut books, &batches))?;
    let popup = popwatch_core::id::PopupId::new(sample::POPUP)?;
    let view = books.books(&popup)?;
    let captured: u64 = view.totals.values().map(|sums| sums.sales).sum();
    if captured != EVENTS {
        bail!("the books hold {captured} sales of {EVENTS}");
    }
    drop(books);
    let bytes = std::fs::metadata(&file)?.len() as f64 / EVENTS as f64;
    let line = |what, spent: Spent, bar| {
        let figure = Figure {
            number: Some(spent.per_cpu_second()),
            cpu_us: Some(spent.cpu_us()),
            latency_ms: None,
        };
        Line::alone(what, "events/CPU-s", figure, Some(Bar::Least(bar)))
    };
    Ok(vec![
        line("books, batch 1000, new", new, NEW_BAR),
        line("books, batch 1000, repeats only", repeats, REPEAT_BAR),
        Line::alone(
            "books, size on disk",
            "B/event",
            Figure::number(bytes),
            Some(Bar::Most(300.0)),
        ),
    ])
}

fn accept(books: &mut Books, batches: &[RecordBatch]) -> Result<u64> {
    accept_all(books, batches)?;
    Ok(EVENTS)
}

/// Hands batches over; each must be taken whole.
pub(super) fn accept_all(books: &mut Books, batches: &[RecordBatch]) -> Result<()> {
    for batch in batches {
        let ack = books.accept(batch, sample::now())?;
        if let Some(odd) = ack.not_ok.iter().find(|odd| odd.verdict != "duplicate") {
            bail!("the ledger did not take seq {}: {}", odd.seq, odd.detail);
        }
    }
    Ok(())
}

/// A journal of sales, cut into batches of the records lane.
fn sales() -> Result<Vec<RecordBatch>> {
    batches_of(usize::try_from(EVENTS)?, |number, key| {
        sample::draft(number as u64, 1, key)
    })
}

/// A journal of drafts, made one after another with the journal's key, cut into batches.
pub(super) fn batches_of(
    count: usize,
    draft: impl Fn(usize, &[u8; 32]) -> Result<Redacted<Draft>>,
) -> Result<Vec<RecordBatch>> {
    let fs = FaultFs::new(1);
    let opening = sample::opening("till-1", 1, popwatch_core::limits::SEGMENT_BYTES)?;
    let (mut journal, _) = Journal::open(fs, opening)?;
    let key = *journal.journal_key();
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(BATCH) {
        let drafts = some.iter().map(|number| draft(*number, &key));
        journal.append(drafts.collect::<Result<Vec<_>>>()?, sample::stamp(0))?;
    }
    trunk(&mut journal, BATCH)
}

/// The trunk of a journal's first epoch as batches of at most so many items.
fn trunk<F: Fs>(journal: &mut Journal<F>, items: usize) -> Result<Vec<RecordBatch>> {
    let info = *journal.epochs().first().context("a journal has an epoch")?;
    let (mut from, mut batches) = (Seq(1), Vec::new());
    loop {
        let parts = journal.batch(info.epoch, Cursor::Trunk, from, items, BATCH_BYTES_MAX / 2)?;
        if parts.items.is_empty() {
            return Ok(batches);
        }
        from = parts.last_seq.next();
        batches.push(RecordBatch {
            protocol: PROTOCOL,
            rig: journal.rig().to_string(),
            journal_id: journal.journal_id().0.to_vec(),
            epoch: info.epoch.0,
            epoch_id: info.epoch_id.0.to_vec(),
            cursor: Cursor::Trunk as u32,
            first_seq: parts.first_seq.0,
            items: parts.items,
            chain_before: parts.chain_before.map(Vec::from).unwrap_or_default(),
            chain_after: parts.chain_after.map(Vec::from).unwrap_or_default(),
            ..RecordBatch::default()
        });
    }
}
