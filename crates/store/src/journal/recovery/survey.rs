//! Reads what is in the folder; changes nothing.

use std::collections::BTreeMap;
use std::io;

use popwatch_core::event::system::{RigStarted, Seal, SystemEvent};
use popwatch_core::event::{Cursor, Event};
use popwatch_core::id::{Epoch, EpochId, JournalId, RigId, Seq};
use popwatch_core::record::{Record, decode};

use super::{FooterState, HeaderState, Place, Row, decide};
use crate::fs::{File, Fs};
use crate::journal::footer::Footer;
use crate::journal::format::{
    BODY_AT, FRAME_HEADER_BYTES, FrameHeader, FrameKind, HEADER_B_AT, HeaderRead, HeaderSeed,
    SegmentHeader, TRAILER_BYTES, chain_start, read_frame, read_trailer,
};
use crate::journal::scan::{Body, Scan, Torn, scan};
use crate::journal::segment::{
    DIR, KeysAt, Loaded, QUARANTINE, Sealed, is_told, keys_offset, read_all, read_range, segment_no,
};
use crate::journal::totals::seal_of;

/// First bytes read of a footer: enough for its head unless the segment is full of tiny records.
const FOOTER_READ_BYTES: usize = 48 << 10;

/// A segment that belongs to the journal.
#[derive(Debug)]
pub(in crate::journal) struct Found {
    pub(in crate::journal) sealed: Sealed,
    /// It has no footer on disk.
    pub(in crate::journal) bare: bool,
    /// Where its last commit begins: the bytes from there on may never have been synced.
    pub(in crate::journal) tail_at: u64,
    /// What was cut.
    pub(in crate::journal) torn: Option<Torn>,
    /// Its system records that are no seals.
    pub(in crate::journal) notes: Vec<(u64, SystemEvent)>,
}

/// What lies in the folder.
#[derive(Debug, Default)]
pub(in crate::journal) struct Survey {
    pub(in crate::journal) journal_id: Option<JournalId>,
    /// The rig that journal names.
    pub(in crate::journal) rig: Option<String>,
    /// Ascending by number.
    pub(in crate::journal) found: Vec<Found>,
    pub(in crate::journal) rows: Vec<(String, Row)>,
    /// Files to put aside.
    pub(in crate::journal) aside: Vec<String>,
    /// Files that hold nothing.
    pub(in crate::journal) empty: Vec<String>,
    pub(in crate::journal) highest_epoch: u32,
    pub(in crate::journal) next_no: u64,
    pub(in crate::journal) newer: bool,
    /// Nothing is appended afterwards, so keys and their filters are not kept.
    lean: bool,
}

struct Candidate {
    name: String,
    no: u64,
    header: HeaderRead,
}

/// Reads headers, footers, and bodies without footer. `rig` says whose journal it should be; without
/// it, whatever most segments say.
pub(in crate::journal) fn survey<F: Fs>(fs: &F, rig: Option<&RigId>) -> io::Result<Survey> {
    let mut survey = Survey {
        next_no: 1,
        lean: rig.is_none(),
        ..Survey::default()
    };
    survey.quarantined(fs)?;
    let mut candidates = Vec::new();
    for name in fs.list(DIR)? {
        let Some(no) = segment_no(&name) else {
            continue;
        };
        survey.next_no = survey.next_no.max(no + 1);
        let name = format!("{DIR}/{name}");
        let header = read_header(fs, &name)?;
        survey.epoch_of(&header);
        let no = match &header {
            HeaderRead::Ok(header) => header.segment_no,
            HeaderRead::Newer(_) | HeaderRead::None => no,
        };
        survey.next_no = survey.next_no.max(no.saturating_add(1));
        candidates.push(Candidate { name, no, header });
    }
    survey.journal_id = whose(&candidates, rig);
    survey.rig = candidates
        .iter()
        .find_map(|candidate| match &candidate.header {
            HeaderRead::Ok(header) if Some(header.journal_id) == survey.journal_id => {
                Some(String::from(&header.rig))
            }
            HeaderRead::Ok(_) | HeaderRead::Newer(_) | HeaderRead::None => None,
        });
    candidates.sort_by_key(|candidate| candidate.no);
    survey.classify(fs, candidates, rig)?;
    survey.found.sort_by_key(|found| found.sealed.no);
    for found in &survey.found {
        survey.highest_epoch = survey.highest_epoch.max(found.sealed.epoch.0);
        for (_, note) in &found.notes {
            if let SystemEvent::RigStarted(started) = note {
                let void = started.void_epochs.iter().copied().max().unwrap_or(0);
                survey.highest_epoch = survey.highest_epoch.max(started.previous_epoch).max(void);
            }
        }
    }
    Ok(survey)
}

fn read_header<F: Fs>(fs: &F, name: &str) -> io::Result<HeaderRead> {
    let block = read_range(&fs.open(name)?, 0, HEADER_B_AT * 2)?;
    let first = SegmentHeader::read(&block);
    Ok(match first {
        HeaderRead::None => SegmentHeader::read(block.get(HEADER_B_AT..).unwrap_or_default()),
        HeaderRead::Ok(_) | HeaderRead::Newer(_) => first,
    })
}

/// The journal most segments belong to; at a tie the one with the newest segment.
fn whose(candidates: &[Candidate], rig: Option<&RigId>) -> Option<JournalId> {
    let mut votes: BTreeMap<JournalId, (usize, u64)> = BTreeMap::new();
    for candidate in candidates {
        if let HeaderRead::Ok(header) = &candidate.header
            && rig.is_none_or(|rig| header.rig == *rig)
        {
            let vote = votes.entry(header.journal_id).or_default();
            *vote = (vote.0 + 1, vote.1.max(candidate.no));
        }
    }
    let most = votes.into_iter().max_by_key(|(_, vote)| *vote);
    most.map(|(journal_id, _)| journal_id)
}

impl Survey {
    /// The segments for the open journal.
    pub(in crate::journal) fn into_sealed(self) -> Vec<Sealed> {
        self.found.into_iter().map(|found| found.sealed).collect()
    }

    fn epoch_of(&mut self, header: &HeaderRead) {
        let epoch = match header {
            HeaderRead::Ok(header) => header.epoch.0,
            HeaderRead::Newer(epoch) => epoch.0,
            HeaderRead::None => 0,
        };
        self.highest_epoch = self.highest_epoch.max(epoch);
    }

    /// Numbers used by files that were put aside stay used.
    fn quarantined<F: Fs>(&mut self, fs: &F) -> io::Result<()> {
        for name in fs.list(QUARANTINE)? {
            let header = read_header(fs, &format!("{QUARANTINE}/{name}"))?;
            self.epoch_of(&header);
        }
        Ok(())
    }

    fn classify<F: Fs>(
        &mut self,
        fs: &F,
        candidates: Vec<Candidate>,
        rig: Option<&RigId>,
    ) -> io::Result<()> {
        let last = candidates
            .iter()
            .map(|candidate| candidate.no)
            .max()
            .unwrap_or(0);
        let mut headless = Vec::new();
        for candidate in candidates {
            let place = if candidate.no == last {
                Place::Last
            } else {
                Place::Inner
            };
            match &candidate.header {
                HeaderRead::Newer(_) => {
                    self.newer = true;
                    self.rows.push((candidate.name, Row::R1));
                }
                HeaderRead::None => headless.push((candidate, place)),
                HeaderRead::Ok(header) => {
                    let ours = Some(header.journal_id) == self.journal_id
                        && rig.is_none_or(|rig| header.rig == *rig);
                    if ours {
                        let header = header.clone();
                        self.whole(fs, candidate.name, &header, place)?;
                    } else {
                        self.rows.push((candidate.name.clone(), Row::R2));
                        self.aside.push(candidate.name);
                    }
                }
            }
        }
        for (candidate, place) in headless {
            self.headless(fs, candidate, place)?;
        }
        Ok(())
    }

    fn whole<F: Fs>(
        &mut self,
        fs: &F,
        name: String,
        header: &SegmentHeader,
        place: Place,
    ) -> io::Result<()> {
        let file = fs.open(&name)?;
        let len = file.len()?;
        let footer = read_footer(&file, len, header);
        // The last segment's closing commit may have been torn between its seal and its footer.
        let torn = |(footer, _): &(Footer, u64)| {
            let seal = record_at(&file, footer.last_seal_at, &header.epoch_id);
            place == Place::Last && seal.is_none_or(|(seq, _)| seq != footer.last_seq.0)
        };
        let unsealed = footer.as_ref().is_some_and(torn);
        let footer = footer.filter(|_| !unsealed);
        let state = if footer.is_some() {
            FooterState::Ok
        } else {
            FooterState::No
        };
        let found = match footer {
            Some(footer) => with_footer(&file, &name, header, len, footer),
            None => without_footer(fs, &name, header.segment_no, header)?,
        };
        let body = found.body();
        let row = decide(HeaderState::Ok, state, body, place);
        self.rows.push((name.clone(), row));
        if state == FooterState::No && body == Body::Empty {
            // Only an untouched body is nothing; anything else is evidence.
            let kept = if found.torn.is_some() {
                &mut self.aside
            } else {
                &mut self.empty
            };
            kept.push(name);
        } else {
            self.keep(found);
        }
        Ok(())
    }

    /// R15: of two segments with one number the longer stays.
    fn keep(&mut self, mut found: Found) {
        if self.lean {
            found.sealed.keys = KeysAt::Memory(Vec::new());
            (found.sealed.footer.filter, found.sealed.footer.key_pages) = (Vec::new(), Vec::new());
        }
        let twin = self
            .found
            .iter()
            .position(|other| other.sealed.no == found.sealed.no);
        let Some(at) = twin else {
            self.found.push(found);
            return;
        };
        let records = |found: &Found| found.sealed.footer.counts.iter().sum::<u64>();
        let shorter = if records(&found) > records(&self.found[at]) {
            std::mem::replace(&mut self.found[at], found)
        } else {
            found
        };
        self.rows.push((shorter.sealed.name.clone(), Row::R15));
        self.aside.push(shorter.sealed.name);
    }

    /// Looks for frames under the epochs that are known, nearest segments first; then under the id
    /// that a `rig.started` in its first place claims.
    fn headless<F: Fs>(&mut self, fs: &F, candidate: Candidate, place: Place) -> io::Result<()> {
        let bytes = read_all(fs, &candidate.name)?;
        let mut known: Vec<_> = self
            .found
            .iter()
            .map(|found| {
                (
                    found.sealed.no.abs_diff(candidate.no),
                    found.sealed.epoch,
                    found.sealed.epoch_id,
                )
            })
            .collect();
        known.sort_unstable();
        let mut ids: Vec<_> = known
            .into_iter()
            .map(|(_, epoch, id)| (epoch, id))
            .collect();
        for (_, note) in self.found.iter().flat_map(|found| &found.notes) {
            if let SystemEvent::RigStarted(started) = note
                && let Some(id) = EpochId::from_slice(&started.previous_epoch_id)
            {
                ids.push((Epoch(started.previous_epoch), id));
            }
        }
        ids.extend(claimed(&bytes));
        ids.dedup();
        let hit = ids.into_iter().find_map(|(epoch, id)| {
            let frames = scan(&bytes, epoch, &id, Seq(1));
            let first = frames.frames.first()?.header.seq;
            Some((epoch, id, first))
        });
        let body = hit.map_or(Body::Empty, |(epoch, id, first)| {
            scan(&bytes, epoch, &id, first).body()
        });
        let row = decide(HeaderState::None, FooterState::No, body, place);
        self.rows.push((candidate.name.clone(), row));
        match hit {
            None if bytes.iter().all(|byte| *byte == 0) && row == Row::R3 => {
                self.empty.push(candidate.name)
            }
            None => self.aside.push(candidate.name),
            Some((epoch, id, first)) => {
                let start = Start {
                    epoch,
                    epoch_id: id,
                    first_seq: first,
                    chains: (first == Seq(1))
                        .then(|| Cursor::ALL.map(|cursor| chain_start(id, cursor))),
                    journal_id: self.journal_id,
                };
                let found = bare(fs, &candidate.name, candidate.no, &start)?;
                if self.journal_id.is_none() {
                    self.journal_id = journal_of(&found.notes);
                }
                self.keep(found);
            }
        }
        Ok(())
    }
}

impl Found {
    fn body(&self) -> Body {
        let footer = &self.sealed.footer;
        if footer.counts.iter().all(|count| *count == 0) && footer.holes.is_empty() {
            Body::Empty
        } else if !footer.holes.is_empty() {
            Body::Holes
        } else if self.torn.is_some() {
            Body::Torn
        } else {
            Body::Clean
        }
    }
}

fn journal_of(notes: &[(u64, SystemEvent)]) -> Option<JournalId> {
    notes.iter().find_map(|(_, note)| {
        if let SystemEvent::RigStarted(started) = note {
            JournalId::from_slice(&started.journal_id)
        } else {
            None
        }
    })
}

/// The epoch that a `rig.started` in first place claims, to be checked against its frame's crc.
fn claimed(bytes: &[u8]) -> Option<(Epoch, EpochId)> {
    let at = usize::try_from(BODY_AT).ok()?;
    let len = bytes.get(at + 8..at + 12)?.try_into().ok()?;
    let len = usize::try_from(u32::from_le_bytes(len)).ok()?;
    let epoch = bytes.get(at + 12..at + 16)?.try_into().ok()?;
    let start = at + FRAME_HEADER_BYTES;
    let record = decode(bytes.get(start..start.checked_add(len)?)?).ok()?;
    let id = EpochId::from_slice(&started_of(&record)?.epoch_id)?;
    Some((Epoch(u32::from_le_bytes(epoch)), id))
}

fn started_of(record: &Record) -> Option<&RigStarted> {
    if let Event::System(SystemEvent::RigStarted(started)) = &record.event {
        Some(started)
    } else {
        None
    }
}

/// The footer of a segment and its frame's offset; `None` unless all of its head is sound.
fn read_footer<T: File>(file: &T, len: u64, header: &SegmentHeader) -> Option<(Footer, u64)> {
    let tail = u64::try_from(TRAILER_BYTES).ok()?;
    let trailer = read_range(file, len.checked_sub(tail)?, TRAILER_BYTES).ok()?;
    let (at, payload) = read_trailer(&trailer)?;
    let mut bytes = read_range(file, at, FOOTER_READ_BYTES).ok()?;
    let seed = HeaderSeed::new(&header.epoch_id);
    let (frame, _) = FrameHeader::read(&bytes, seed).ok()?;
    let fits = frame.kind == FrameKind::Footer
        && frame.epoch == header.epoch
        && frame.len == payload
        && at.checked_add(frame.stride())?.checked_add(tail)? == len;
    fits.then_some(())?;
    let head = Footer::head_len(bytes.get(FRAME_HEADER_BYTES..)?)?;
    if FRAME_HEADER_BYTES + head > bytes.len() {
        bytes = read_range(file, at, FRAME_HEADER_BYTES + head).ok()?;
    }
    let footer = Footer::read(bytes.get(FRAME_HEADER_BYTES..)?)?;
    let whole = footer.first_seq == header.first_seq && footer.last_seq == frame.seq;
    whole.then_some((footer, at))
}

fn with_footer<T: File>(
    file: &T,
    name: &str,
    header: &SegmentHeader,
    bytes: u64,
    (footer, at): (Footer, u64),
) -> Found {
    let footer_tail = match footer.last_seal_at {
        0 => at,
        seal => seal,
    };
    let mut notes = Vec::new();
    for mark in &footer.marks {
        let record = record_at(file, u64::from(*mark), &header.epoch_id);
        if let Some((seq, Event::System(event))) = record.map(|(seq, record)| (seq, record.event)) {
            notes.push((seq, event));
        }
    }
    Found {
        sealed: Sealed {
            no: header.segment_no,
            name: name.into(),
            epoch: header.epoch,
            epoch_id: header.epoch_id,
            chains_before: Some(header.chains),
            end: at,
            bytes,
            keys: KeysAt::File(keys_offset(at, &footer)),
            verified: false,
            footer,
        },
        bare: false,
        tail_at: footer_tail,
        torn: None,
        notes,
    }
}

/// Reads one record by its offset; `None` when it is damaged.
pub(in crate::journal) fn record_at<T: File>(
    file: &T,
    at: u64,
    epoch_id: &EpochId,
) -> Option<(u64, Record)> {
    const FIRST_BYTES: usize = 1_024;
    let seed = HeaderSeed::new(epoch_id);
    let mut bytes = read_range(file, at, FIRST_BYTES).ok()?;
    let (header, _) = FrameHeader::read(&bytes, seed).ok()?;
    if header.frame_bytes() > bytes.len() {
        bytes = read_range(file, at, header.frame_bytes()).ok()?;
    }
    let (header, payload) = read_frame(&bytes, seed).ok()?;
    Some((header.seq.0, decode(payload).ok()?))
}

/// The last seal of a segment: its seq, whether it ends the epoch, what it says.
pub(in crate::journal) fn last_seal<F: Fs>(
    fs: &F,
    segment: &Sealed,
) -> io::Result<Option<(u64, bool, Seal)>> {
    let at = segment.footer.last_seal_at;
    if at == 0 {
        return Ok(None);
    }
    let found = record_at(&fs.open(&segment.name)?, at, &segment.epoch_id);
    Ok(found.and_then(|(seq, record)| {
        let ends = matches!(record.event, Event::System(SystemEvent::RigStopped(_)));
        seal_of(&record.event).map(|seal| (seq, ends, seal.clone()))
    }))
}

struct Start {
    epoch: Epoch,
    epoch_id: EpochId,
    first_seq: Seq,
    chains: Option<[[u8; 32]; 2]>,
    journal_id: Option<JournalId>,
}

fn without_footer<F: Fs>(fs: &F, name: &str, no: u64, header: &SegmentHeader) -> io::Result<Found> {
    let start = Start {
        epoch: header.epoch,
        epoch_id: header.epoch_id,
        first_seq: header.first_seq,
        chains: Some(header.chains),
        journal_id: Some(header.journal_id),
    };
    bare(fs, name, no, &start)
}

fn bare<F: Fs>(fs: &F, name: &str, no: u64, start: &Start) -> io::Result<Found> {
    let bytes = read_all(fs, name)?;
    let footer = Footer {
        first_seq: start.first_seq,
        ..Footer::default()
    };
    let mut sealed = Sealed {
        no,
        name: name.into(),
        epoch: start.epoch,
        epoch_id: start.epoch_id,
        chains_before: start.chains,
        end: BODY_AT,
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        keys: KeysAt::Memory(Vec::new()),
        verified: false,
        footer,
    };
    let scan = scan(&bytes, start.epoch, &start.epoch_id, start.first_seq);
    let loaded = Loaded { bytes, scan };
    let notes = notes(&loaded);
    let journal_id = start.journal_id.or_else(|| journal_of(&notes));
    limit(&mut sealed, &loaded, Seq(u64::MAX), journal_id);
    Ok(Found {
        sealed,
        bare: true,
        tail_at: tail_of(&loaded.scan),
        torn: loaded.scan.torn,
        notes,
    })
}

/// Lets a segment without footer count its records up to `last` only.
pub(in crate::journal) fn limit(
    sealed: &mut Sealed,
    loaded: &Loaded,
    last: Seq,
    journal_id: Option<JournalId>,
) {
    let mut key = [0; 32];
    let id = journal_id.unwrap_or(JournalId([0; 16]));
    for (target, byte) in key.iter_mut().zip(id.0.iter().cycle()) {
        *target = *byte;
    }
    let (footer, keys) = loaded.footer(sealed.footer.first_seq, last, sealed.chains_before, &key);
    sealed.footer = footer;
    sealed.keys = KeysAt::Memory(keys);
    sealed.end = loaded.scan.end;
}

fn notes(loaded: &Loaded) -> Vec<(u64, SystemEvent)> {
    let frames = loaded.scan.frames.iter();
    let system = frames.filter(|frame| frame.header.class == popwatch_core::event::Class::System);
    system
        .filter_map(|frame| {
            let record = loaded.record(frame)?;
            if !is_told(&record.event) {
                return None;
            }
            if let Event::System(event) = record.event {
                return Some((frame.header.seq.0, event));
            }
            None
        })
        .collect()
}

/// Offset of the last commit; 0 when it is the one that wrote the header too.
fn tail_of(scan: &Scan) -> u64 {
    let mut firsts = scan
        .frames
        .iter()
        .rev()
        .filter(|frame| frame.header.is_first());
    let last = firsts.next().map_or(0, |frame| frame.at);
    if last == BODY_AT { 0 } else { last }
}
