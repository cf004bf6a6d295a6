//! One segment file: the one being written, and those that are closed.

use std::collections::BTreeMap;
use std::io;

use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Class, Event};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::limits;
use popwatch_core::record::{Record, decode, event_key};
use popwatch_core::time::{Minute, WallMs};

use super::footer::{Footer, STRIDE};
use super::format::{
    BODY_AT, FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderSeed, SegmentHeader, TRAILER_BYTES,
    chain_frame, chain_index, padded, trailer,
};
use super::keys::{self, ENTRY_BYTES, Key, KeyEntry, PAGE_ENTRIES};
use super::scan::{FrameAt, Scan, scan_closed};
use super::totals::seal_of;
use crate::fs::{File, Fs};

/// Folder of the segments.
pub const DIR: &str = "journal";
/// Folder of files that are no part of the journal and may still be evidence.
pub const QUARANTINE: &str = "quarantine";
/// How segment files end.
pub const SUFFIX: &str = ".pwj";

/// A segment's file name, folder included.
#[must_use]
pub fn segment_name(no: u64) -> String {
    format!("{DIR}/{no:012}{SUFFIX}")
}

/// The number in a segment's file name, without folder.
#[must_use]
pub fn segment_no(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| digits.parse().ok())?
}

impl Footer {
    /// Notes one more record. Holes and chains are the caller's.
    pub fn note(&mut self, at: u64, seq: u64, record: &Record) {
        let class = record.event.class();
        let before: u64 = self.counts.iter().sum();
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        if before.is_multiple_of(STRIDE) {
            self.offsets.push(offset);
        }
        if let Some(count) = self.counts.get_mut(usize::from(class.byte())) {
            *count += 1;
        }
        self.last_seq = Seq(seq);
        let minute = Minute::of(WallMs(record.stamp.wall_ms)).0;
        self.minutes = match before {
            0 => (minute, minute),
            _ => (self.minutes.0.min(minute), self.minutes.1.max(minute)),
        };
        if class == Class::System {
            match seal_of(&record.event) {
                Some(_) => self.last_seal_at = at,
                None if is_told(&record.event) => self.marks.push(offset),
                None => {}
            }
        }
        if let Some(popup) = &record.popup
            && !self.popups.iter().any(|known| known == popup.as_str())
        {
            self.popups.push(popup.into());
        }
    }
}

/// The segment that is being written.
#[derive(Debug)]
pub struct OpenSegment<T> {
    /// Its file.
    pub file: T,
    /// What its header says.
    pub header: SegmentHeader,
    /// Its name.
    pub name: String,
    /// Allocated bytes.
    pub len: u64,
    /// Offset after the last durable frame; 0 while not even the header is written.
    pub end: u64,
    /// What the footer will say.
    pub footer: Footer,
    /// Keys of its durable events.
    pub keys: BTreeMap<Key, KeyEntry>,
}

impl<T: File> OpenSegment<T> {
    /// A segment in a file of zeros. Nothing is written yet: the header goes with the first commit.
    #[must_use]
    pub fn new(file: T, header: SegmentHeader, len: u64) -> Self {
        let footer = Footer {
            first_seq: header.first_seq,
            last_seq: Seq(header.first_seq.0.saturating_sub(1)),
            ..Footer::default()
        };
        Self {
            file,
            name: segment_name(header.segment_no),
            header,
            len,
            end: 0,
            footer,
            keys: BTreeMap::new(),
        }
    }

    /// Whether a commit of so many bytes and records fits, with a seal of `seal_bytes` and the
    /// footer behind it.
    #[must_use]
    pub fn fits(&self, bytes: usize, records: usize, seal_bytes: usize) -> bool {
        let known: u64 = self.footer.counts.iter().sum();
        let records = usize::try_from(known).unwrap_or(usize::MAX) + records + 1;
        // Any record of the commit may be a system record.
        let marks = self.footer.marks.len() + records;
        let footer =
            Footer::bytes_bound(records, marks.min(records), self.footer.popups.len() + 16);
        let after = bytes + seal_bytes + footer + FRAME_HEADER_BYTES + TRAILER_BYTES;
        self.end.max(BODY_AT) + u64::try_from(after).unwrap_or(u64::MAX) <= self.len
    }

    /// The closed form of a segment whose file must not be written any more; its keys stay in
    /// memory.
    #[must_use]
    pub fn abandon(mut self, chains: [[u8; 32]; 2]) -> Sealed {
        self.footer.chains = chains.map(Some);
        Sealed {
            no: self.header.segment_no,
            name: self.name,
            epoch: self.header.epoch,
            epoch_id: self.header.epoch_id,
            chains_before: Some(self.header.chains),
            end: self.end,
            bytes: self.len,
            keys: KeysAt::Memory(self.keys.into_values().collect()),
            verified: true,
            footer: self.footer,
        }
    }
}

/// Where a closed segment's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// In its footer, from this offset on.
    File(u64),
    /// Here, sorted.
    Memory(Vec<KeyEntry>),
}

/// A segment that is not written any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its number.
    pub no: u64,
    /// Its name, folder included.
    pub name: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// That epoch's id.
    pub epoch_id: EpochId,
    /// Chains before its first frame; unknown when its header is lost.
    pub chains_before: Option<[[u8; 32]; 2]>,
    /// Offset after its last frame that counts.
    pub end: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Its keys.
    pub keys: KeysAt,
    /// Its frames were all read or written in this life.
    pub verified: bool,
    /// What its footer says.
    pub footer: Footer,
}

impl Sealed {
    /// Finds an event's key. A damaged page is answered from the frames themselves.
    pub fn find<F: Fs>(&mut self, fs: &F, key: &Key, journal_key: &[u8; 32]) -> Option<KeyEntry> {
        if let KeysAt::File(at) = self.keys {
            let resident = !self.footer.filter.is_empty();
            if self.footer.keys == 0 || (resident && !keys::filter_has(&self.footer.filter, key)) {
                return None;
            }
            if let Some(answer) = self.find_in_file(fs, at, key) {
                return answer;
            }
            // A file that cannot be opened now is asked again next time; the ledger knows repeats too.
            let frames = load(fs, self).ok()?;
            self.keys = KeysAt::Memory(frames.keys(journal_key, self.footer.last_seq));
        }
        match &self.keys {
            KeysAt::File(_) => None,
            KeysAt::Memory(sorted) => sorted
                .binary_search_by(|entry| entry.key.cmp(key))
                .ok()
                .and_then(|at| sorted.get(at).copied()),
        }
    }

    /// `None` when the pages cannot be believed.
    fn find_in_file<F: Fs>(&self, fs: &F, keys_at: u64, key: &Key) -> Option<Option<KeyEntry>> {
        let file = fs.open(&self.name).ok()?;
        let pages = self.footer.key_pages.len();
        let (first, count) = keys::window(key, self.footer.keys);
        let last = (first + count).min(pages);
        let bytes = self.pages(&file, keys_at, first.min(pages), last)?;
        let edge = |chunk: Option<&[u8]>| chunk.and_then(KeyEntry::read).map(|entry| entry.key);
        let lowest = edge(bytes.get(..ENTRY_BYTES));
        let highest = edge(
            bytes
                .len()
                .checked_sub(ENTRY_BYTES)
                .and_then(|at| bytes.get(at..)),
        );
        let inside = (first == 0 || lowest.is_some_and(|lowest| lowest <= *key))
            && (last == pages || highest.is_some_and(|highest| highest >= *key));
        if inside {
            return Some(keys::find(&bytes, key));
        }
        let all = self.pages(&file, keys_at, 0, pages)?;
        Some(keys::find(&all, key))
    }

    /// All keys, as they stand in the file; `None` when they cannot be believed.
    #[must_use]
    pub fn all_keys<F: Fs>(&self, fs: &F, keys_at: u64) -> Option<Vec<KeyEntry>> {
        let file = fs.open(&self.name).ok()?;
        let bytes = self.pages(&file, keys_at, 0, self.footer.key_pages.len())?;
        bytes.chunks(ENTRY_BYTES).map(KeyEntry::read).collect()
    }

    fn pages<T: File>(&self, file: &T, keys_at: u64, first: usize, last: usize) -> Option<Vec<u8>> {
        let page = PAGE_ENTRIES * ENTRY_BYTES;
        let all = self.footer.keys * ENTRY_BYTES;
        let (start, end) = (first * page, (last * page).min(all));
        let mut bytes = vec![0; end.checked_sub(start)?];
        let at = keys_at + u64::try_from(start).ok()?;
        let full = file.read_at(&mut bytes, at).ok()? == bytes.len();
        let sums = self.footer.key_pages.get(first..last)?;
        let sound = bytes
            .chunks(page)
            .zip(sums)
            .all(|(chunk, sum)| super::format::crc(chunk) == *sum);
        (full && sound).then_some(bytes)
    }
}

/// A segment's bytes with the sound frames in them.
#[derive(Debug)]
pub struct Loaded {
    /// The file up to its end; what could not be read is 0xFF.
    pub bytes: Vec<u8>,
    /// Its frames.
    pub scan: Scan,
}

/// Reads a segment of which is known where it ends, and scans it. Damage is part of the answer;
/// fails only when the file cannot be opened.
pub fn load<F: Fs>(fs: &F, segment: &Sealed) -> io::Result<Loaded> {
    let mut bytes = read_all(fs, &segment.name)?;
    bytes.truncate(usize::try_from(segment.end).unwrap_or(usize::MAX));
    let (first, last) = (segment.footer.first_seq, segment.footer.last_seq);
    let scan = scan_closed(&bytes, segment.epoch, &segment.epoch_id, first, last);
    Ok(Loaded { bytes, scan })
}

impl Loaded {
    /// Header and payload of a frame.
    #[must_use]
    pub fn frame(&self, frame: &FrameAt) -> &[u8] {
        let start = usize::try_from(frame.at).unwrap_or(usize::MAX);
        let end = start.saturating_add(frame.header.frame_bytes());
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The record in a frame; `None` when this version cannot read it.
    #[must_use]
    pub fn record(&self, frame: &FrameAt) -> Option<Record> {
        decode(self.frame(frame).get(FRAME_HEADER_BYTES..)?).ok()
    }

    /// Keys of the sound frames up to `last`, sorted.
    #[must_use]
    pub fn keys(&self, journal_key: &[u8; 32], last: Seq) -> Vec<KeyEntry> {
        let frames = self.scan.frames.iter();
        let counted = frames.filter(|frame| frame.header.seq <= last);
        let mut keys: Vec<_> = counted
            .filter_map(|frame| {
                let record = self.record(frame)?;
                indexed(&record).then(|| entry(&record, &frame.header, journal_key))
            })
            .collect();
        keys.sort_unstable();
        keys
    }

    /// What the footer of these frames says, up to `last`, and their keys.
    #[must_use]
    pub fn footer(
        &self,
        first_seq: Seq,
        last: Seq,
        chains: Option<[[u8; 32]; 2]>,
        journal_key: &[u8; 32],
    ) -> (Footer, Vec<KeyEntry>) {
        let mut footer = Footer {
            first_seq,
            last_seq: Seq(first_seq.0.saturating_sub(1)),
            chains: chains.map_or([None; 2], |chains| chains.map(Some)),
            ..Footer::default()
        };
        let mut expected = first_seq.0;
        for frame in &self.scan.frames {
            let seq = frame.header.seq;
            if seq > last {
                break;
            }
            if seq.0 > expected {
                footer.chains = [None; 2];
            }
            expected = seq.0 + 1;
            let record = self.record(frame);
            if let Some(seal) = record.as_ref().and_then(|record| seal_of(&record.event)) {
                for (chain, stated) in footer
                    .chains
                    .iter_mut()
                    .zip([&seal.chain_trunk, &seal.chain_bulk])
                {
                    *chain = stated.as_slice().try_into().ok();
                }
            }
            let index = chain_index(frame.header.class.cursor());
            if let Some(chain) = footer.chains.get_mut(index) {
                *chain = chain.map(|before| chain_frame(before, self.frame(frame)));
            }
            match &record {
                Some(record) => footer.note(frame.at, seq.0, record),
                None => footer.last_seq = seq,
            }
        }
        let holes = self.scan.holes.iter().filter(|hole| hole.first <= last.0);
        footer.holes = holes.copied().collect();
        if let Some(hole) = footer.holes.last()
            && hole.last >= expected
        {
            footer.last_seq = Seq(hole.last.min(last.0));
            footer.chains = [None; 2];
        }
        (footer, self.keys(journal_key, last))
    }

    /// Offset after the last frame that counts.
    #[must_use]
    pub fn end(&self, last: Seq) -> u64 {
        let mut counted = self.scan.frames.iter().rev();
        counted
            .find(|frame| frame.header.seq <= last)
            .map_or(BODY_AT, |frame| frame.at + frame.header.stride())
    }
}

/// Whether a start reads this record to know what the journal says of itself. Others of popwatch's
/// own can be many, and a start must not read them all.
#[must_use]
pub fn is_told(event: &Event) -> bool {
    matches!(
        event,
        Event::System(
            SystemEvent::RigStarted(_)
                | SystemEvent::RigGap(_)
                | SystemEvent::RigTrimmed(_)
                | SystemEvent::PolicyApplied(_)
                | SystemEvent::PolicyImplied(_)
        )
    )
}

/// Whether a record can be repeated from outside and so has a key: a client's, a provider's. Of
/// popwatch's own, only conflicts are looked up.
#[must_use]
pub fn indexed(record: &Record) -> bool {
    if let Event::System(event) = &record.event {
        matches!(
            event,
            SystemEvent::RigConflict(_)
                | SystemEvent::ProviderObject(_)
                | SystemEvent::ProviderRefused(_)
        )
    } else {
        true
    }
}

fn entry(record: &Record, header: &FrameHeader, journal_key: &[u8; 32]) -> KeyEntry {
    KeyEntry {
        key: event_key(journal_key, &record.source, &record.id),
        content: record.content,
        epoch: header.epoch.0,
        seq: header.seq.0,
    }
}

/// Footer frame and trailer, to be written at `at`.
#[must_use]
pub fn closing_bytes(
    footer: &mut Footer,
    keys: &mut [KeyEntry],
    epoch: (Epoch, &EpochId),
    at: u64,
) -> Vec<u8> {
    let payload = footer.encode(keys);
    let len = u32::try_from(payload.len()).expect("a footer has at most 4 MiB");
    let header = FrameHeader {
        kind: FrameKind::Footer,
        class: Class::System,
        flags: 0,
        len,
        epoch: epoch.0,
        seq: footer.last_seq,
    };
    let mut out = Vec::with_capacity(payload.len() + 96);
    out.extend_from_slice(&header.encode(&payload, HeaderSeed::new(epoch.1)));
    out.extend_from_slice(&payload);
    out.resize(padded(out.len()), 0);
    out.extend_from_slice(&trailer(at, len));
    out
}

/// Offset of the keys of a footer frame at `at`.
#[must_use]
pub fn keys_offset(at: u64, footer: &Footer) -> u64 {
    let head = FRAME_HEADER_BYTES + footer.head_bytes;
    at + u64::try_from(head).unwrap_or(u64::MAX)
}

/// Reads a whole file. Pieces the disk refuses read as 0xFF, which is no frame and not empty.
pub fn read_all<F: Fs>(fs: &F, name: &str) -> io::Result<Vec<u8>> {
    let file = fs.open(name)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    // No segment is longer; what a damaged directory says behind the bound is no part of it.
    read_range(&file, 0, len.min(READ_BYTES_MAX))
}

/// Most that is read of one file at once: a segment whose first commit was large.
const READ_BYTES_MAX: usize = limits::FOOTER_BYTES_MAX + 2 * limits::COMMIT_BYTES_MAX + (8 << 20);

/// Reads up to `len` bytes, fewer at the end of the file; as [`read_all`] for bad pieces.
pub fn read_range<T: File>(file: &T, at: u64, len: usize) -> io::Result<Vec<u8>> {
    const PIECE: usize = 4096;
    if len > READ_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; len];
    if let Ok(count) = file.read_at(&mut bytes, at) {
        bytes.truncate(count);
        return Ok(bytes);
    }
    let mut filled = 0;
    let mut offset = at;
    for piece in bytes.chunks_mut(PIECE) {
        match file.read_at(piece, offset) {
            Ok(count) => filled += count,
            Err(_) => {
                piece.fill(0xFF);
                filled += piece.len();
            }
        }
        offset += u64::try_from(PIECE).unwrap_or(0);
    }
    bytes.truncate(filled);
    Ok(bytes)
}
