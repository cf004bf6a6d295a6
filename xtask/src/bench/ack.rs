//! How long a till waits for the word that one sale is safe, beside a bare write and sync.

use std::time::{Duration, Instant};

use anyhow::Result;
use popwatch_core::limits::SEGMENT_BYTES;
use popwatch_store::fs::os::OsFs;
use popwatch_store::fs::{File, Fs};

use super::line::{Bar, Figure, Line};
use super::load::{Client, Http};
use super::meter::quantile;
use super::scratch::{self, Scratch};

/// Rounds, and sales or writes of a round. Ours and the bare write take turns.
const ROUNDS: usize = 10;
const EACH: u64 = 100;
/// Bytes of one bare write: a frame of such a sale.
const FRAME_BYTES: usize = 336;

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("ack")?;
    let (_server, address) = scratch::role("edge", &scratch.path().join("edge"))?;
    let mut http = Http::connect(address)?;
    let fs = OsFs::new(scratch.path())?;
    let file = fs.create("raw/1", SEGMENT_BYTES)?;
    fs.sync_dir("raw")?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let (mut number, mut at) = (1, 0);
    for _ in 0..ROUNDS {
        for _ in 0..EACH {
            ours.push(timed(|| http.send(number, 1))?);
            number += 1;
        }
        for _ in 0..EACH {
            bare.push(timed(|| {
                file.write_at(&[0x5A; FRAME_BYTES], at)?;
                Ok(file.sync_data()?)
            })?);
            at += FRAME_BYTES as u64;
        }
    }
    let mut pair = |of| {
        let ms = |times: &mut Vec<Duration>| quantile(times, of).as_secs_f64() * 1e3;
        (ms(&mut ours), ms(&mut bare))
    };
    let ((p50, bare_p50), (p99, bare_p99)) = (pair(0.5), pair(0.99));
    let line = |what: &str, ours, theirs, bar| Line {
        what: format!("one sale over HTTP until it is safe, {what}"),
        unit: "ms",
        ours: Figure::number(ours),
        peer: String::from("write + fdatasync"),
        theirs: Figure::number(theirs),
        bar,
        ratio_bar: None,
    };
    let bar = Bar::Most(1.5 * bare_p50 + 0.5);
    Ok(vec![
        line("p50", p50, bare_p50, Some(bar)),
        line("p99", p99, bare_p99, None),
    ])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
