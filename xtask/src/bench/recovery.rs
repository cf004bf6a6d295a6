//! Opening a large journal after a crash: bytes read, time, and the way to a ready edge.

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

const JOURNAL_BYTES: u64 = 256 << 20;
/// Records of one commit while the journal is made.
const BATCH: u64 = 4_000;
const MB: f64 = 1e6;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("recovery")?;
    let data = scratch.path().join("edge");
    let (records, segments) = fill(&data)?;
    let read = Arc::new(AtomicU64::new(0));
    let fs = Counted {
        inner: OsFs::new(&data)?,
        read: Arc::clone(&read),
    };
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
    let what = format!("recovery, {} MB of {records} records", JOURNAL_BYTES >> 20);
    let ready = footprint::ready(&data)?;
    Ok(vec![
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
        Line::alone(
            &format!("{what}: edge ready, folded anew"),
            "s",
            Figure::number(ready.as_secs_f64()),
            None,
        ),
    ])
}

/// Makes a journal and leaves it as a crash would: not sealed, not stopped.
fn fill(data: &std::path::Path) -> Result<(u64, u64)> {
    let fs = OsFs::new(data)?;
    let (mut journal, _) = Journal::open(fs, sample::opening("till-1", 1, SEGMENT_BYTES)?)?;
    let key = *journal.journal_key();
    let mut number = 0;
    while journal.bytes_used() < JOURNAL_BYTES {
        let drafts = (number..number + BATCH).map(|number| sample::draft(number, 4, &key));
        journal.append(drafts.collect::<Result<Vec<_>>>()?, sample::stamp(number))?;
        number += BATCH;
    }
    Ok((number, u64::try_from(journal.segments())?))
}

/// The disk, with the bytes counted that are read from it.
struct Counted {
    inner: OsFs,
    read: Arc<AtomicU64>,
}

struct CountedFile {
    inner: OsFile,
    read: Arc<AtomicU64>,
}

impl Counted {
    fn file(&self, inner: OsFile) -> CountedFile {
        CountedFile {
            inner,
            read: Arc::clone(&self.read),
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
