//! The journal under damage and crashes, on a disk in memory that fails by seed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context, Result, bail};
use popwatch_core::id::Seq;
use popwatch_core::{invariant, record};
use popwatch_store::fs::faulty::{Dice, Fault, FaultFs};
use popwatch_store::journal::inspect::fsck;
use popwatch_store::journal::{Committed, Journal, ReadItem, Recovery};

use crate::sample;
use crate::table::Row;

/// Bytes of a segment, so small that a few sales need several.
const SEGMENT_BYTES: u64 = 16 << 10;
/// Offsets that are flipped at most; of a larger journal every so manieth.
const FLIPS: usize = 20_000;
const CRASHES: u64 = 10_000;
/// Of a thousand calls, how many fail in a bad life, in millionths.
const BAD_PPM: u32 = 40_000;
/// Bytes read back at a time.
const READ_BYTES: usize = 64 << 10;

type Place = (u32, u64);

/// What stands where.
pub(super) struct Held {
    pub(super) frames: BTreeMap<Place, Vec<u8>>,
    pub(super) gaps: BTreeMap<u32, Vec<(u64, u64)>>,
    pub(super) last: BTreeMap<u32, u64>,
}

/// Every byte of a stopped journal of several segments is flipped, one at a time.
pub(super) fn flips(quick: bool) -> Result<Vec<Row>> {
    let (fs, before) = stopped()?;
    let files: Vec<(String, Vec<u8>)> = fs
        .names()
        .into_iter()
        .filter_map(|name| Some((name.clone(), fs.bytes(&name)?)))
        .filter(|(name, _)| name.starts_with("journal/"))
        .collect();
    let places = places(&files, &before.frames);
    let offsets: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let most = if quick { FLIPS / 10 } else { FLIPS };
    let mut found = Flips::default();
    let mut at = 0;
    for (name, bytes) in &files {
        for offset in 0..bytes.len() {
            at += 1;
            if at % offsets.div_ceil(most) == 0 {
                let copy = fs.copy(7);
                copy.flip(name, offset, u8::try_from(offset % 8)?);
                let touched = |place: &Place| {
                    let range = places.get(place);
                    range.is_some_and(|(file, range)| *file == name && range.contains(&offset))
                };
                found.one(&copy, &before, touched);
            }
        }
    }
    Ok(vec![
        Row::note("flips: bytes flipped, one at a time", found.tried),
        Row::note("flips: segments", files.len()),
        Row::count("flips: starts that needed help", found.refused, 0),
        Row::note("flips: records lost", found.lost),
        Row::count(
            "flips: records lost that were not touched",
            found.untouched,
            0,
        ),
        Row::note(
            "flips: of them the closing record, cut as a torn tail",
            found.closing,
        ),
        Row::count(
            "flips: records lost that fsck does not name",
            found.unnamed,
            0,
        ),
        Row::count(
            "flips: records lost that the next start does not name",
            found.silent,
            0,
        ),
    ])
}

#[derive(Default)]
struct Flips {
    tried: usize,
    refused: usize,
    lost: usize,
    untouched: usize,
    closing: usize,
    unnamed: usize,
    silent: usize,
}

impl Flips {
    fn one(&mut self, fs: &FaultFs, before: &Held, touched: impl Fn(&Place) -> bool) {
        self.tried += 1;
        let named = fsck_gaps(fs);
        let Ok((mut journal, recovery)) = open(fs, 2) else {
            self.refused += 1;
            return;
        };
        let Ok(after) = held(&mut journal) else {
            self.refused += 1;
            return;
        };
        let lost = before
            .frames
            .iter()
            .filter(|(place, frame)| after.frames.get(*place) != Some(*frame));
        for (place, _) in lost {
            let within = |(first, last): &(u64, u64)| (*first..=*last).contains(&place.1);
            let gaps = after.gaps.get(&place.0);
            self.lost += 1;
            self.untouched += usize::from(!touched(place));
            // The commit that closed the journal was answered to nobody: cut, it is a torn tail.
            let ends = before.last.get(&place.0) == Some(&place.1);
            if ends && recovery.bytes_cut > 0 {
                self.closing += 1;
                continue;
            }
            self.unnamed += usize::from(!named.contains(place));
            self.silent += usize::from(!gaps.is_some_and(|gaps| gaps.iter().any(within)));
        }
    }
}

/// The places that `fsck` says are missing.
fn fsck_gaps(fs: &FaultFs) -> BTreeSet<Place> {
    let Ok(report) = fsck(fs) else {
        return BTreeSet::new();
    };
    let of_epoch = |epoch: &popwatch_store::journal::inspect::EpochReport| {
        let number = epoch.epoch.0;
        let ranges = epoch.gaps.iter().map(|gap| gap.first.0..=gap.last.0);
        let places = ranges.flatten().map(move |seq| (number, seq));
        places.collect::<Vec<_>>()
    };
    report.epochs.iter().flat_map(of_epoch).collect()
}

/// A journal that ended as it should, of three segments or more.
fn stopped() -> Result<(FaultFs, Held)> {
    let fs = FaultFs::new(1);
    let mut journal = open(&fs, 1)?.0;
    let key = *journal.journal_key();
    let mut number = 0;
    while journal.segments() < 3 {
        let batch = (number..number + 1 + number % 7).map(|n| sample::draft(n, n % 4, &key));
        let batch = batch.collect::<Result<Vec<_>>>()?;
        number += batch.len() as u64;
        journal.append(batch, sample::stamp(number))?;
    }
    journal.stop(sample::stamp(number))?;
    let before = held(&mut journal)?;
    drop(journal);
    Ok((fs, before))
}

/// In which file and where each record's frame lies.
fn places<'a>(
    files: &'a [(String, Vec<u8>)],
    frames: &BTreeMap<Place, Vec<u8>>,
) -> BTreeMap<Place, (&'a String, Range<usize>)> {
    let find = |frame: &[u8]| {
        files.iter().find_map(|(name, bytes)| {
            let at = bytes.windows(frame.len()).position(|part| part == frame)?;
            Some((name, at..at + frame.len()))
        })
    };
    let found = frames
        .iter()
        .filter_map(|(at, frame)| Some((*at, find(frame)?)));
    found.collect()
}

/// Lives of a journal, each ended by a crash at any call, some on a disk that fails: what was
/// acknowledged is there afterwards, once, in its place.
pub(super) fn crashes(quick: bool) -> Result<Vec<Row>> {
    let seeds = if quick { CRASHES / 20 } else { CRASHES };
    let (mut acked, mut broken) = (0, Vec::new());
    for seed in 0..seeds {
        match lives(seed) {
            Ok(count) => acked += count,
            Err(fault) => broken.push(format!("seed {seed}: {fault:#}")),
        }
    }
    for line in broken.iter().take(5) {
        crate::shell::complain(line);
    }
    Ok(vec![
        Row::note("crashes: seeds of three lives", usize::try_from(seeds)?),
        Row::note("crashes: records acknowledged", acked),
        Row::count(
            "crashes: seeds that lost, moved or doubled one",
            broken.len(),
            0,
        ),
    ])
}

fn lives(seed: u64) -> Result<usize> {
    let mut dice = Dice(seed);
    let fs = FaultFs::new(seed ^ 0xBAD);
    let mut acked: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
    let mut number = 0;
    for life in 1..=3 {
        fs.fail_rate(0);
        let (mut journal, opening) = open(&fs, life)?;
        keep(&mut acked, &opening.records);
        survives(&acked, &mut journal)?;
        match dice.below(3) {
            0 => fs.fail_rate(BAD_PPM),
            1 => fs.fail_at(fs.ops() + dice.below(40), Fault::PowerCut),
            _ => {}
        }
        let key = *journal.journal_key();
        for _ in 0..1 + dice.below(20) {
            let from = number;
            number += 1 + dice.below(6);
            let drafts = (from..number).map(|n| sample::draft(n, n % 3, &key));
            let drafts = drafts.collect::<Result<Vec<_>>>()?;
            if let Ok(commit) = journal.append(drafts, sample::stamp(number)) {
                keep(&mut acked, &commit.records);
            }
        }
        drop(journal);
        if dice.below(4) == 0 {
            fs.kill();
        } else {
            fs.crash();
        }
    }
    fs.fail_rate(0);
    let (mut journal, opening) = open(&fs, 9)?;
    keep(&mut acked, &opening.records);
    survives(&acked, &mut journal)?;
    Ok(acked.len())
}

fn keep(acked: &mut BTreeMap<Place, Vec<u8>>, records: &[Committed]) {
    let places = records.iter().map(|one| {
        let bytes = record::encode(&one.record);
        ((one.epoch.0, one.seq.0), bytes)
    });
    acked.extend(places);
}

fn survives(acked: &BTreeMap<Place, Vec<u8>>, journal: &mut Journal<FaultFs>) -> Result<()> {
    let held = held(journal)?;
    let mut found = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (place, frame) in &held.frames {
        let payload = frame.get(popwatch_core::lane::FRAME_HEADER_BYTES..);
        let record = record::decode(payload.unwrap_or_default())?;
        if record.event.client_type().is_some() && !ids.insert(record.id.clone()) {
            bail!("{} stands twice", record.id);
        }
        found.insert(*place, record::encode(&record));
    }
    let law = invariant::acked_survives(acked, |at| found.get(at).cloned());
    law.map_err(anyhow::Error::msg)?;
    for (epoch, last) in &held.last {
        let present = held.frames.keys().filter(|place| place.0 == *epoch);
        let gaps = held.gaps.get(epoch).map(Vec::as_slice).unwrap_or_default();
        let law = invariant::seqs_dense(*last, present.map(|place| place.1), gaps);
        law.map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

pub(super) fn open(fs: &FaultFs, life: u8) -> Result<(Journal<FaultFs>, Recovery)> {
    let opening = sample::opening("till-1", life, SEGMENT_BYTES)?;
    Ok(Journal::open(fs.clone(), opening)?)
}

/// Everything that can be read back.
pub(super) fn held(journal: &mut Journal<FaultFs>) -> Result<Held> {
    let mut held = Held {
        frames: BTreeMap::new(),
        gaps: BTreeMap::new(),
        last: BTreeMap::new(),
    };
    for info in journal.epochs() {
        let epoch = info.epoch.0;
        held.last.insert(epoch, info.last_seq.0);
        let mut from = Seq(1);
        while from <= info.last_seq {
            let items = journal.read(info.epoch, from, READ_BYTES)?;
            from = items
                .last()
                .context("a read stopped short")?
                .last_seq()
                .next();
            for item in items {
                let gap = match item {
                    ReadItem::Frame { seq, frame, .. } => {
                        held.frames.insert((epoch, seq.0), frame);
                        continue;
                    }
                    ReadItem::Gap(gap) => (gap.first, gap.last),
                    ReadItem::Void { first, last } => (first.0, last.0),
                };
                held.gaps.entry(epoch).or_default().push(gap);
            }
        }
    }
    Ok(held)
}
