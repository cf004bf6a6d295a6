//! A large journal: what writing it costs, checking it, opening it after a crash, and the edge that
//! starts with it while its ledger is out of reach.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use popwatch_core::limits::SEGMENT_BYTES;
use popwatch_store::fs::os::{OsFile, OsFs};
use popwatch_store::fs::{File, Fs};
use popwatch_store::journal::Journal;

use super::footprint;
use super::line::{Bar, Figure, Line};
use super::meter::measure;
use super::scratch::Scratch;
use crate::sample;

const JOURNAL_BYTES: u64 = 1 << 30;
/// Records of one commit while the journal is made.
const BATCH: u64 = 4_000;
/// Lines of a sale; nine make a payload of about 250 bytes.
const LINES: u64 = 9;
const MB: f64 = 1e6;
/// Bytes written for each byte of payload.
const WRITTEN_BAR: f64 = 1.45;
/// GB checked in a CPU-second.
const VERIFY_BAR: f64 = 0.8;
/// Memory of an edge with this backlog, MB.
const MEMORY_BAR: f64 = 64.0;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("recovery")?;
    let data = scratch.path().join("edge");
    let filled = fill(&data)?;
    let (records, segments) = (filled.records, filled.segments);
    let fs = Counted::new(OsFs::new(&data)?);
    let read = Arc::clone(&fs.read);
    let checked = measure(|| {
        let report = popwatch_store::journal::inspect::fsck(&fs)?;
        anyhow::ensure!(report.is_whole(), "the journal is not whole");
        Ok(read.swap(0, Ordering::Relaxed))
    })?;
    let start = Instant::now();
    let opened = measure(|| {
        let opening = sample::opening("till-1", 2, SEGMENT_BYTES)?;
        let (journal, recovery) = Journal::open(fs, opening)?;
        anyhow::ensure!(recovery.gaps.is_empty(), "the journal lost records");
        drop(journal);
        Ok(1)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = read.load(Ordering::Relaxed) as f64;
    // The bar is for 1 GB: a share that does not grow, and a little for each segment.
    let bar = (24_u64 << 20) + segments * (16 << 10);
    let what = format!("journal of {} MB, {records} records", JOURNAL_BYTES >> 20);
    let mut lines = vec![
        Line::alone(
            &format!(
                "{what}: written ÷ payloads of {} B",
                filled.payload / records
            ),
            "",
            Figure::number(filled.written as f64 / filled.payload as f64),
            Some(Bar::Most(WRITTEN_BAR)),
        ),
        Line::alone(
            &format!("{what}: fsck"),
            "GB/CPU-s",
            Figure::number(checked.per_cpu_second() / 1e9),
            Some(Bar::Least(VERIFY_BAR)),
        ),
        Line::alone(
            &format!("{what}: bytes read"),
            "MB",
            Figure::number(bytes / MB),
            Some(Bar::Most(bar as f64 / MB)),
        ),
        Line::alone(
            &format!("{what}: open"),
            "s",
            Figure {
                number: Some(seconds),
                cpu_us: Some(opened.cpu_us()),
                latency_ms: None,
            },
            None,
        ),
    ];
    lines.extend(edge_lines(&data, &what)?);
    Ok(lines)
}

/// Two starts of an edge with this journal: the first folds it, the second has a savepoint.
fn edge_lines(data: &std::path::Path, what: &str) -> Result<Vec<Line>> {
    let first = footprint::started_offline(data)?;
    let again = footprint::started_offline(data)?;
    Ok(vec![
        Line::alone(
            &format!("{what}: edge ready, folded anew, ledger away"),
            "s",
            Figure::number(first.ready.as_secs_f64()),
            None,
        ),
        Line::alone(
            &format!("{what}: edge ready, from a savepoint, ledger away"),
            "s",
            Figure::number(again.ready.as_secs_f64()),
            None,
        ),
        Line::alone(
            &format!("{what}: memory of that edge at most"),
            "MB",
            Figure::number(first.memory_mb.max(again.memory_mb)),
            Some(Bar::Most(MEMORY_BAR)),
        ),
    ])
}

/// A journal that was made.
struct Filled {
    records: u64,
    segments: u64,
    /// Bytes of payloads given.
    payload: u64,
    /// Bytes written to the disk.
    written: u64,
}

/// Makes a journal and leaves it as a crash would: not sealed, not stopped.
fn fill(data: &std::path::Path) -> Result<Filled> {
    let fs = Counted::new(OsFs::new(data)?);
    let written = Arc::clone(&fs.written);
    let (mut journal, _) = Journal::open(fs, sample::opening("till-1", 1, SEGMENT_BYTES)?)?;
    let key = *journal.journal_key();
    let (mut number, mut payload) = (0, 0);
    while journal.bytes_used() < JOURNAL_BYTES {
        let drafts = (number..number + BATCH).map(|number| sample::draft(number, LINES, &key));
        let drafts = drafts.collect::<Result<Vec<_>>>()?;
        let bytes: usize = drafts.iter().map(|draft| draft.get().bytes.len()).sum();
        payload += u64::try_from(bytes)?;
        journal.append(drafts, sample::stamp(number))?;
        number += BATCH;
    }
    Ok(Filled {
        records: number,
        segments: u64::try_from(journal.segments())?,
        payload,
        written: written.load(Ordering::Relaxed),
    })
}

/// The disk, with the bytes counted that are read from it and written to it.
struct Counted {
    inner: OsFs,
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

struct CountedFile {
    inner: OsFile,
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Counted {
    fn new(inner: OsFs) -> Self {
        Self {
            inner,
            read: Arc::default(),
            written: Arc::default(),
        }
    }

    fn file(&self, inner: OsFile) -> CountedFile {
        CountedFile {
            inner,
            read: Arc::clone(&self.read),
            written: Arc::clone(&self.written),
        }
    }
}

impl Fs for Counted {
    type File = CountedFile;
    type Lock = <OsFs as Fs>::Lock;

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }
    fn create(&self, name: &str, len: u64) -> io::Result<CountedFile> {
        self.inner.create(name, len).map(|file| self.file(file))
    }
    fn open(&self, name: &str) -> io::Result<CountedFile> {
        self.inner.open(name).map(|file| self.file(file))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn unlink(&self, name: &str) -> io::Result<()> {
        self.inner.unlink(name)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }

    fn total_bytes(&self) -> io::Result<u64> {
        self.inner.total_bytes()
    }
    fn lock(&self) -> io::Result<Self::Lock> {
        self.inner.lock()
    }
}

impl File for CountedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(buf, offset)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.inner.write_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
