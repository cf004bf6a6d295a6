//! Writes what is sound of a damaged journal into another folder, for `journal repair`.
//!
//! ```text
//! DATA/journal/7.pwj   header ▒ │ frame frame ▒▒▒▒▒ frame ▒▒ junk
//!                                   │     │           │
//! DIR2/journal/7.pwj   header   │ frame frame 00000 frame │ footer │ trailer
//! ```
//!
//! What always holds: the source is only read; a frame stands in the copy at the offset it had, byte
//! for byte, or not at all; what is missing in the source is missing in the copy, with the same
//! positions and the same value, so the first start in it names the same gaps. One segment is in
//! memory at a time.

use std::io;

use popwatch_core::event::Cursor;
use popwatch_core::id::{BootId, EpochId, JournalId, RigId, Seq};

use super::format::{HEADER_B_AT, HeaderRead, SegmentHeader, chain_start, padded};
use super::recovery::{Accounts, Found, Row, survey};
use super::scan::FrameAt;
use super::segment::{DIR, Loaded, closing_bytes, load, read_range, segment_name};
use crate::fs::{File, Fs};

/// Bytes of a file copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// What a repaired copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Segment files written.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Segment files of a later format, copied as they are.
    pub newer: Vec<String>,
    /// Segment files without a record of this journal; they stay behind.
    pub left: Vec<String>,
}

/// Copies all sound records of the journal in `from` to an empty `to`, closing every segment.
/// `progress` hears bytes done and bytes in all. Fails when either disk refuses; what was written
/// until then is no journal to be used.
pub fn rewrite<S: Fs, D: Fs>(
    from: &S,
    to: &D,
    progress: &mut dyn FnMut(u64, u64),
) -> io::Result<Rewritten> {
    let mut survey = survey(from, None)?;
    // Bounds each epoch by what the next one says of it.
    Accounts::new(from, &mut survey)?;
    let mut rewritten = Rewritten::default();
    for (name, row) in &survey.rows {
        match row {
            Row::R1 => rewritten.newer.push(name.clone()),
            Row::R2 | Row::R3 | Row::R4 | Row::R12 | Row::R13 | Row::R15 => {
                rewritten.left.push(name.clone());
            }
            Row::R5
            | Row::R6
            | Row::R7
            | Row::R8
            | Row::R9
            | Row::R10
            | Row::R11
            | Row::R14
            | Row::R16
            | Row::R17 => {}
        }
    }
    let all = survey.found.iter().map(|found| found.sealed.bytes).sum();
    let (mut done, mut before) = (0, None);
    let owner = Owner {
        rig: survey.rig.as_deref().and_then(|rig| RigId::new(rig).ok()),
        journal_id: survey.journal_id,
    };
    for found in &survey.found {
        let written = segment(from, to, found, &owner, before.as_ref())?;
        rewritten.segments += 1;
        rewritten.records += written.records;
        before = Some(written);
        done += found.sealed.bytes;
        progress(done, all);
    }
    for name in &rewritten.newer {
        copy(from, to, name)?;
    }
    to.sync_dir(DIR)?;
    Ok(rewritten)
}

/// Whose journal it is.
struct Owner {
    rig: Option<RigId>,
    journal_id: Option<JournalId>,
}

/// How a segment ended, for the header of the next one.
struct Written {
    epoch_id: EpochId,
    last: Seq,
    chains: [Option<[u8; 32]>; 2],
    records: u64,
}

fn segment<S: Fs, D: Fs>(
    from: &S,
    to: &D,
    found: &Found,
    owner: &Owner,
    before: Option<&Written>,
) -> io::Result<Written> {
    let sealed = &found.sealed;
    let mut loaded = load(from, sealed)?;
    let (last, first) = (sealed.footer.last_seq, sealed.footer.first_seq);
    let mut key = [0; 32];
    let id = owner.journal_id.unwrap_or(JournalId([0; 16]));
    for (target, byte) in key.iter_mut().zip(id.0.iter().cycle()) {
        *target = *byte;
    }
    let start = sealed.chains_before.or_else(|| chains(found, before));
    let (mut footer, mut keys) = loaded.footer(first, last, start, &key);
    let end = loaded.end(last);
    let closing = closing_bytes(
        &mut footer,
        &mut keys,
        (sealed.epoch, &sealed.epoch_id),
        end,
    );
    let len = end + u64::try_from(closing.len()).unwrap_or(u64::MAX);
    let file = to.create(&segment_name(sealed.no), len)?;
    if let Some(header) = header(from, found, owner, start)? {
        file.write_at(&header.block(), 0)?;
    }
    frames(&file, &mut loaded, last)?;
    file.write_at(&closing, end)?;
    file.sync_data()?;
    Ok(Written {
        epoch_id: sealed.epoch_id,
        last,
        chains: footer.chains,
        records: footer.counts.iter().sum(),
    })
}

/// Writes the frames that count at their offsets, in runs. What lies between them stays zero.
fn frames<T: File>(file: &T, loaded: &mut Loaded, last: Seq) -> io::Result<()> {
    let counted = |frame: &&FrameAt| frame.header.seq <= last;
    let mut run = 0..0;
    for frame in loaded.scan.frames.iter().filter(counted) {
        let start = usize::try_from(frame.at).unwrap_or(usize::MAX);
        let bytes = start.saturating_add(frame.header.frame_bytes());
        let next = start.saturating_add(padded(frame.header.frame_bytes()));
        // The padding belongs to nothing, and whatever stands in it is not copied.
        let padding = loaded.bytes.len().min(bytes)..loaded.bytes.len().min(next);
        if let Some(padding) = loaded.bytes.get_mut(padding) {
            padding.fill(0);
        }
        if start != run.end || next - run.start > PIECE_BYTES {
            write_run(file, &loaded.bytes, run)?;
            run = start..start;
        }
        run.end = next;
    }
    write_run(file, &loaded.bytes, run)
}

fn write_run<T: File>(file: &T, bytes: &[u8], run: std::ops::Range<usize>) -> io::Result<()> {
    let at = u64::try_from(run.start).unwrap_or(u64::MAX);
    match bytes.get(run.start..run.end.min(bytes.len())) {
        Some(run) if !run.is_empty() => file.write_at(run, at),
        Some(_) | None => Ok(()),
    }
}

/// The header with both copies sound again; made anew from what is known when none is left, and left
/// out when that is not enough.
fn header<S: Fs>(
    from: &S,
    found: &Found,
    owner: &Owner,
    chains: Option<[[u8; 32]; 2]>,
) -> io::Result<Option<SegmentHeader>> {
    let sealed = &found.sealed;
    let block = read_range(&from.open(&sealed.name)?, 0, HEADER_B_AT * 2)?;
    for copy in [Some(&*block), block.get(HEADER_B_AT..)] {
        if let HeaderRead::Ok(header) = SegmentHeader::read(copy.unwrap_or_default()) {
            return Ok(Some(*header));
        }
    }
    let known = owner.rig.clone().zip(owner.journal_id).zip(chains);
    Ok(known.map(|((rig, journal_id), chains)| SegmentHeader {
        flags: 0,
        epoch: sealed.epoch,
        segment_no: sealed.no,
        first_seq: sealed.footer.first_seq,
        journal_id,
        epoch_id: sealed.epoch_id,
        rig,
        chains,
        wall_ms: 0,
        mono_ns: 0,
        boot_id: BootId([0; 16]),
    }))
}

/// The chains before a segment that lost its header: those after the one before it.
fn chains(found: &Found, before: Option<&Written>) -> Option<[[u8; 32]; 2]> {
    let sealed = &found.sealed;
    let first = sealed.footer.first_seq;
    if first == Seq(1) {
        return Some(Cursor::ALL.map(|cursor| chain_start(sealed.epoch_id, cursor)));
    }
    let before = before.filter(|before| {
        before.epoch_id == sealed.epoch_id && before.last.0.saturating_add(1) == first.0
    })?;
    let [trunk, bulk] = before.chains;
    Some([trunk?, bulk?])
}

/// Copies a file as it is.
fn copy<S: Fs, D: Fs>(from: &S, to: &D, name: &str) -> io::Result<()> {
    let source = from.open(name)?;
    let len = source.len()?;
    let target = to.create(name, len)?;
    let mut at = 0;
    while at < len {
        let bytes = read_range(&source, at, PIECE_BYTES)?;
        if bytes.is_empty() {
            break;
        }
        target.write_at(&bytes, at)?;
        at += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
    target.sync_data()
}
