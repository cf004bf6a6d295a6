//! Reading durable records back: for the fold, and as batches of the records lane.
//!
//! A walk goes through an epoch's segments in order and answers every seq exactly once: a sound
//! frame, or part of a range that is missing. A missing range that no gap names yet is damage found
//! just now: it gets its value, is answered as a gap at once, and its `rig.gap` goes with the next
//! commit.

use std::io;

use popwatch_core::event::system::{Gap, SystemEvent, TotalsRow};
use popwatch_core::event::{Class, Cursor, Event};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::lane::{Item, ItemBody, Skip, SkipWhy};
use popwatch_core::record::decode;

use super::footer::{Footer, STRIDE};
use super::format::{
    BODY_AT, FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderSeed, chain_frame, chain_index,
    chain_start, read_frame,
};
use super::recovery::{ranges, subtract, value};
use super::scan::{FrameAt, scan_closed};
use super::segment::{KeysAt, Sealed, read_all, read_range};
use super::totals::seal_of;
use super::{EpochInfo, Journal};
use crate::fs::Fs;

/// Bytes read at once: more than the largest frame.
const READ_BYTES: usize = 384 << 10;

/// What stands at one or more seqs.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadItem {
    /// A record.
    Frame {
        /// Its seq.
        seq: Seq,
        /// Its class.
        class: Class,
        /// Header and payload, as journaled.
        frame: Vec<u8>,
    },
    /// A lost range, cut to what was asked for.
    Gap(Gap),
    /// Records that do not count: their epoch is void.
    Void {
        /// The first.
        first: Seq,
        /// The last.
        last: Seq,
    },
}

impl ReadItem {
    /// The last seq it speaks of.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        match self {
            Self::Frame { seq, .. } => *seq,
            Self::Gap(gap) => Seq(gap.last),
            Self::Void { last, .. } => *last,
        }
    }
}

/// A stretch of one epoch for one cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchParts {
    /// Seq of the first item.
    pub first_seq: Seq,
    /// Frames of the cursor, and skips for everything else.
    pub items: Vec<Item>,
    /// The cursor's chain before the first item; `None` between a gap and the next seal.
    pub chain_before: Option<[u8; 32]>,
    /// The cursor's chain after the last item, likewise.
    pub chain_after: Option<[u8; 32]>,
    /// Seq of the last item; one before `first_seq` when there is nothing.
    pub last_seq: Seq,
}

/// Where the last batch of a cursor ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memo {
    epoch: Epoch,
    next: u64,
    chains: [Option<[u8; 32]>; 2],
    /// Segment number and offset of the next frame.
    place: (u64, u64),
}

/// One segment as a walk needs it.
#[derive(Debug, Clone)]
struct Extent {
    no: u64,
    name: String,
    first: u64,
    last: u64,
    end: u64,
    chains: Option<[[u8; 32]; 2]>,
}

enum Step {
    Frame(FrameHeader, std::ops::Range<usize>),
    Missing(u64, u64),
    End,
}

/// Goes through one epoch from a seq on.
struct Walk {
    epoch: EpochInfo,
    seed: HeaderSeed,
    extents: Vec<Extent>,
    index: usize,
    /// Next seq to answer.
    expected: u64,
    /// Offset of the next frame in the file.
    at: u64,
    buf: Vec<u8>,
    buf_at: u64,
    /// Frames of a damaged segment, which is then wholly in `buf`.
    listed: Option<std::vec::IntoIter<FrameAt>>,
    /// A frame behind a missing range.
    held: Option<FrameAt>,
    /// Why the walk cannot go on now.
    refused: Option<io::Error>,
    /// Chains before the segment that was entered last.
    entered: Option<Option<[[u8; 32]; 2]>>,
}

impl Walk {
    fn next<F: Fs>(&mut self, fs: &F) -> Step {
        let last = self.epoch.last_seq.0;
        loop {
            if self.expected > last {
                return Step::End;
            }
            let held = self.held.take();
            let Some(frame) = held.or_else(|| self.frame(fs)) else {
                if self.refused.is_some() {
                    return Step::End;
                }
                if self.index < self.extents.len() {
                    self.leave();
                    continue;
                }
                let first = self.expected;
                self.expected = last + 1;
                return Step::Missing(first, last);
            };
            let seq = frame.header.seq.0;
            if seq < self.expected {
                continue;
            }
            if seq > self.expected {
                let missing = (self.expected, (seq - 1).min(last));
                self.expected = missing.1 + 1;
                self.held = Some(frame);
                return Step::Missing(missing.0, missing.1);
            }
            self.expected = seq + 1;
            let start = usize::try_from(frame.at - self.buf_at).unwrap_or(usize::MAX);
            return Step::Frame(
                frame.header,
                start..start.saturating_add(frame.header.frame_bytes()),
            );
        }
    }

    fn leave(&mut self) {
        self.index += 1;
        self.at = BODY_AT;
        self.buf.clear();
        self.listed = None;
        self.entered = self.extents.get(self.index).map(|extent| extent.chains);
    }

    /// The next frame of the current segment; `None` at its end.
    fn frame<F: Fs>(&mut self, fs: &F) -> Option<FrameAt> {
        let extent = self.extents.get(self.index)?;
        if let Some(listed) = &mut self.listed {
            return listed.next();
        }
        if self.at >= extent.end {
            return None;
        }
        for fresh in [false, true] {
            if fresh {
                self.fill(fs);
            }
            let start = self
                .at
                .checked_sub(self.buf_at)
                .and_then(|start| usize::try_from(start).ok());
            let rest = start
                .and_then(|start| self.buf.get(start..))
                .unwrap_or_default();
            if let Ok((header, _)) = read_frame(rest, self.seed)
                && header.kind == FrameKind::Record
                && header.epoch == self.epoch.epoch
            {
                let frame = FrameAt {
                    at: self.at,
                    header,
                };
                self.at += header.stride();
                return Some(frame);
            }
        }
        if self.refused.is_none() {
            self.damaged(fs);
        }
        if self.refused.is_some() {
            return None;
        }
        self.listed.as_mut()?.next()
    }

    /// A file that is gone is lost; any other refusal may pass and must not be taken for a loss.
    fn refuse(&mut self, error: io::Error) -> Vec<u8> {
        if error.kind() != io::ErrorKind::NotFound {
            self.refused = Some(error);
        }
        Vec::new()
    }

    /// What was found, or why nothing could be.
    fn answer<T>(&mut self, something: bool, found: T) -> io::Result<T> {
        match self.refused.take() {
            Some(error) if !something => Err(error),
            Some(_) | None => Ok(found),
        }
    }

    fn fill<F: Fs>(&mut self, fs: &F) {
        let Some(extent) = self.extents.get(self.index) else {
            return;
        };
        let len = extent.end.saturating_sub(self.at);
        let len = usize::try_from(len).unwrap_or(READ_BYTES).min(READ_BYTES);
        let bytes = fs
            .open(&extent.name)
            .and_then(|file| read_range(&file, self.at, len));
        self.buf = match bytes {
            Ok(bytes) => bytes,
            Err(error) => self.refuse(error),
        };
        self.buf_at = self.at;
    }

    /// Reads the whole segment and goes on with the frames that are sound.
    fn damaged<F: Fs>(&mut self, fs: &F) {
        let Some(extent) = self.extents.get(self.index) else {
            return;
        };
        let (first, last, end) = (Seq(extent.first), Seq(extent.last), extent.end);
        self.buf = match read_all(fs, &extent.name) {
            Ok(bytes) => bytes,
            Err(error) => self.refuse(error),
        };
        self.buf_at = 0;
        self.buf
            .truncate(usize::try_from(end).unwrap_or(usize::MAX));
        let epoch = self.epoch;
        let found = scan_closed(&self.buf, epoch.epoch, &epoch.epoch_id, first, last);
        let mut frames = found.frames;
        frames.retain(|frame| frame.header.seq.0 >= self.expected);
        self.listed = Some(frames.into_iter());
    }

    fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.buf.get(range).unwrap_or_default()
    }

    /// Segment number and offset of the next frame, if it can be found again that way.
    fn place(&self) -> Option<(u64, u64)> {
        let extent = self.extents.get(self.index)?;
        (self.listed.is_none() && self.held.is_none()).then_some((extent.no, self.at))
    }
}

/// The chains along a walk.
struct Chains([Option<[u8; 32]>; 2]);

impl Chains {
    fn lost(&mut self) {
        self.0 = [None; 2];
    }

    fn enter(&mut self, before: Option<[[u8; 32]; 2]>) {
        if let Some(before) = before {
            self.0 = before.map(Some);
        }
    }

    fn frame(&mut self, header: &FrameHeader, frame: &[u8]) {
        if self.0.contains(&None) && header.class == Class::System {
            let record = frame
                .get(FRAME_HEADER_BYTES..)
                .and_then(|payload| decode(payload).ok());
            if let Some(seal) = record.as_ref().and_then(|record| seal_of(&record.event)) {
                let stated = [&seal.chain_trunk, &seal.chain_bulk];
                self.0 = stated.map(|chain| chain.as_slice().try_into().ok());
            }
        }
        if let Some(chain) = self.0.get_mut(chain_index(header.class.cursor())) {
            *chain = chain.map(|before| chain_frame(before, frame));
        }
    }
}

impl<F: Fs> Journal<F> {
    /// Reads records of one epoch from `from` on, about `max_bytes` of them and at least one.
    /// Every seq from what was trimmed up to the epoch's end is accounted for; empty beyond it and
    /// for unknown epochs.
    /// Fails only when a file cannot be opened now and nothing was read before it.
    pub fn read(&mut self, epoch: Epoch, from: Seq, max_bytes: usize) -> io::Result<Vec<ReadItem>> {
        let mut items = Vec::new();
        let Some(info) = self.info(epoch) else {
            return Ok(items);
        };
        let from = from.0.max(1);
        if info.void {
            if info.last_seq.0 >= from {
                items.push(ReadItem::Void {
                    first: Seq(from),
                    last: info.last_seq,
                });
            }
            return Ok(items);
        }
        // What was trimmed is no loss and is not answered.
        let from = from.max(info.trimmed.0.saturating_add(1));
        let mut walk = self.walk(info, from, None);
        let mut bytes = 0;
        while bytes < max_bytes.max(1) {
            match walk.next(&self.fs) {
                Step::End => break,
                Step::Missing(first, last) => {
                    let gaps = self.name(info, first, last);
                    items.extend(gaps.into_iter().map(ReadItem::Gap));
                }
                Step::Frame(header, range) => {
                    let frame = walk.bytes(range).to_vec();
                    bytes += frame.len();
                    items.push(ReadItem::Frame {
                        seq: header.seq,
                        class: header.class,
                        frame,
                    });
                }
            }
        }
        walk.answer(!items.is_empty(), items)
    }

    /// The next stretch of one epoch for one cursor: at most `max_items` items and about
    /// `max_bytes` of frames, at least one. Batches in sequence read each byte once. Fails as
    /// [`Journal::read`].
    pub fn batch(
        &mut self,
        epoch: Epoch,
        cursor: Cursor,
        from: Seq,
        max_items: usize,
        max_bytes: usize,
    ) -> io::Result<BatchParts> {
        let from = from.0.max(1);
        let mut parts = BatchParts {
            first_seq: Seq(from),
            items: Vec::new(),
            chain_before: None,
            chain_after: None,
            last_seq: Seq(from - 1),
        };
        let Some(info) = self.info(epoch) else {
            return Ok(parts);
        };
        let Some(from) = skip_ahead(&mut parts, info, from) else {
            return Ok(parts);
        };
        let index = chain_index(cursor);
        let (mut walk, mut chains) = self.position_walk(info, cursor, from);
        if let Some(error) = walk.refused.take() {
            return Err(error);
        }
        parts.chain_before = chains.0[index];
        let mut bytes = 0;
        while bytes < max_bytes.max(1) && parts.items.len() < max_items.max(1) {
            let step = walk.next(&self.fs);
            if let Some(before) = walk.entered.take() {
                chains.enter(before);
            }
            match step {
                Step::End => break,
                Step::Missing(first, last) => {
                    chains.lost();
                    for gap in self.name(info, first, last) {
                        push_skip(
                            &mut parts,
                            gap.last - gap.first + 1,
                            SkipWhy::Gap,
                            gap.value,
                        );
                    }
                }
                Step::Frame(header, range) => {
                    let frame = walk.bytes(range);
                    chains.frame(&header, frame);
                    if header.class.cursor() == cursor {
                        bytes += frame.len();
                        parts.items.push(Item {
                            body: Some(ItemBody::Frame(frame.to_vec())),
                        });
                        parts.last_seq = header.seq;
                    } else {
                        push_skip(&mut parts, 1, SkipWhy::OtherCursor, Vec::new());
                    }
                }
            }
        }
        parts.chain_after = chains.0[index];
        self.memo[index] = walk.place().map(|place| Memo {
            epoch,
            next: walk.expected,
            chains: chains.0,
            place,
        });
        walk.answer(!parts.items.is_empty(), parts)
    }

    /// A walk at `from` with the chains before it.
    fn position_walk(&mut self, info: EpochInfo, cursor: Cursor, from: u64) -> (Walk, Chains) {
        let memo = self.memo[chain_index(cursor)];
        if let Some(memo) = memo.filter(|memo| memo.epoch == info.epoch && memo.next == from) {
            return (self.walk(info, from, Some(memo.place)), Chains(memo.chains));
        }
        let extents = self.extents(info);
        let holder = extents.iter().rfind(|extent| extent.first <= from);
        let (start, before) = match holder {
            Some(extent) => (extent.first, extent.chains.map(|chains| chains.map(Some))),
            None => (info.trimmed.0.saturating_add(1), None),
        };
        let fresh = Cursor::ALL.map(|cursor| Some(chain_start(info.epoch_id, cursor)));
        let before = match start {
            1 => before.unwrap_or(fresh),
            _ => before.unwrap_or([None; 2]),
        };
        let mut chains = Chains(before);
        let mut walk = self.walk(info, start, None);
        while walk.expected < from {
            match walk.next(&self.fs) {
                Step::End => break,
                Step::Missing(_, last) => {
                    chains.lost();
                    // A range that reaches over `from` is answered again from there.
                    if last >= from {
                        walk.expected = from;
                    }
                }
                Step::Frame(header, range) => chains.frame(&header, walk.bytes(range)),
            }
        }
        walk.entered = None;
        (walk, chains)
    }

    pub(super) fn info(&self, epoch: Epoch) -> Option<EpochInfo> {
        self.epochs
            .iter()
            .rfind(|info| info.epoch == epoch)
            .copied()
    }

    fn extents(&self, info: EpochInfo) -> Vec<Extent> {
        let ours = |epoch: Epoch, id: EpochId| epoch == info.epoch && id == info.epoch_id;
        let closed = self
            .sealed
            .iter()
            .filter(|segment| ours(segment.epoch, segment.epoch_id));
        let mut extents: Vec<_> = closed
            .map(|segment| Extent {
                no: segment.no,
                name: segment.name.clone(),
                first: segment.footer.first_seq.0,
                last: segment.footer.last_seq.0,
                end: segment.end,
                chains: segment.chains_before,
            })
            .collect();
        let open = self.open.iter().filter(|open| open.end > 0);
        extents.extend(
            open.filter(|open| ours(open.header.epoch, open.header.epoch_id))
                .map(|open| Extent {
                    no: open.header.segment_no,
                    name: open.name.clone(),
                    first: open.header.first_seq.0,
                    last: open.footer.last_seq.0,
                    end: open.end,
                    chains: Some(open.header.chains),
                }),
        );
        extents.sort_by_key(|extent| extent.first);
        extents
    }

    fn walk(&self, info: EpochInfo, from: u64, place: Option<(u64, u64)>) -> Walk {
        let extents = self.extents(info);
        let known = place.and_then(|(no, at)| {
            let index = extents.iter().position(|extent| extent.no == no)?;
            Some((index, at))
        });
        let (index, at) = known.unwrap_or_else(|| {
            let index = extents.iter().position(|extent| extent.last >= from);
            let index = index.unwrap_or(extents.len());
            let at = extents
                .get(index)
                .map_or(BODY_AT, |extent| self.offset(extent, from));
            (index, at)
        });
        Walk {
            epoch: info,
            seed: HeaderSeed::new(&info.epoch_id),
            extents,
            index,
            expected: from,
            at,
            buf: Vec::new(),
            buf_at: 0,
            listed: None,
            held: None,
            refused: None,
            entered: None,
        }
    }

    /// An offset at or before the frame with this seq.
    fn offset(&self, extent: &Extent, from: u64) -> u64 {
        let closed = self.sealed.iter().find(|segment| segment.no == extent.no);
        let open = self.open.as_ref().map(|open| &open.footer);
        let footer: Option<&Footer> = closed.map(|segment| &segment.footer).or(open);
        let Some(footer) = footer.filter(|footer| footer.holes.is_empty()) else {
            return BODY_AT;
        };
        let nth = usize::try_from(from.saturating_sub(extent.first) / STRIDE).unwrap_or(0);
        footer.offsets.get(nth).map_or(BODY_AT, |at| u64::from(*at))
    }

    /// The gaps that name a missing range, cut to it. What none names yet is named now.
    fn name(&mut self, info: EpochInfo, first: u64, last: u64) -> Vec<Gap> {
        let named = ranges(&self.gaps, info.epoch.0, &info.epoch_id);
        let unnamed = subtract((first, last), &named);
        if !unnamed.is_empty() {
            self.discover(info, &unnamed);
        }
        let same = self.gaps.iter();
        let same = same.filter(|gap| gap.epoch == info.epoch.0 && gap.epoch_id == info.epoch_id.0);
        let mut cut: Vec<_> = same
            .filter(|gap| gap.first <= last && gap.last >= first)
            .map(|gap| {
                let mut cut = gap.clone();
                (cut.first, cut.last) = (gap.first.max(first), gap.last.min(last));
                if cut.first > gap.first {
                    // The part with the gap's first seq carries the value of all of it.
                    cut.value.clear();
                }
                cut
            })
            .collect();
        cut.sort_by_key(|gap| gap.first);
        cut
    }

    fn discover(&mut self, info: EpochInfo, unnamed: &[(u64, u64)]) {
        let extents = self.extents(info);
        let file = |seq: u64| {
            let holder = extents
                .iter()
                .rfind(|extent| extent.first <= seq && extent.last >= seq);
            holder.map(|extent| extent.name.clone())
        };
        let mut gaps: Vec<_> = unnamed
            .iter()
            .map(|(first, last)| Gap {
                epoch: info.epoch.0,
                first: *first,
                last: *last,
                cause: "media".into(),
                file: file(*first).unwrap_or_default(),
                epoch_id: info.epoch_id.0.to_vec(),
                ..Gap::default()
            })
            .collect();
        let open = self
            .open
            .as_ref()
            .filter(|open| open.end > 0)
            .map(|open| Sealed {
                no: open.header.segment_no,
                name: open.name.clone(),
                epoch: open.header.epoch,
                epoch_id: open.header.epoch_id,
                chains_before: Some(open.header.chains),
                end: open.end,
                bytes: open.len,
                keys: KeysAt::Memory(Vec::new()),
                verified: true,
                footer: open.footer.clone(),
            });
        let all = self.sealed.iter().chain(&open);
        let mut segments: Vec<_> = all
            .filter(|segment| segment.epoch == info.epoch && segment.epoch_id == info.epoch_id)
            .collect();
        segments.sort_by_key(|segment| segment.footer.first_seq);
        let end = info.current.then(|| self.totals.statement(true));
        let end = end.or_else(|| self.stated(info));
        if value(&self.fs, &segments, &mut gaps, &self.gaps, end.as_deref()).is_err() {
            gaps.iter_mut().for_each(|gap| gap.value_unknown = true);
        }
        self.gaps.extend(gaps.iter().cloned());
        self.gaps_waiting.append(&mut gaps);
    }

    /// The totals with which the next epoch closed this one.
    pub(super) fn stated(&self, info: EpochInfo) -> Option<Vec<TotalsRow>> {
        let next = self
            .epochs
            .iter()
            .find(|next| next.epoch > info.epoch && !next.void)?;
        let extent = self
            .extents(*next)
            .into_iter()
            .find(|extent| extent.first == 1)?;
        let file = self.fs.open(&extent.name).ok()?;
        let (_, record) = super::recovery::record_at(&file, BODY_AT, &next.epoch_id)?;
        if let Event::System(SystemEvent::RigStarted(started)) = record.event
            && started.previous_epoch_id == info.epoch_id.0
        {
            return Some(started.previous_totals);
        }
        None
    }
}

/// Skips what no walk has to look at; answers where one begins, `None` when the epoch is void.
fn skip_ahead(parts: &mut BatchParts, info: EpochInfo, from: u64) -> Option<u64> {
    if info.void {
        if info.last_seq.0 >= from {
            let count = info.last_seq.0 - from + 1;
            push_skip(parts, count, SkipWhy::Void, Vec::new());
        }
        return None;
    }
    if from > info.trimmed.0 {
        return Some(from);
    }
    // Every peer of its time has what was trimmed; to one that came later it is lost here.
    let count = info.trimmed.0 + 1 - from;
    push_skip(parts, count, SkipWhy::Gap, Vec::new());
    Some(info.trimmed.0 + 1)
}

/// Adds seqs without a frame; runs of the other cursor become one skip.
fn push_skip(parts: &mut BatchParts, count: u64, why: SkipWhy, value: Vec<TotalsRow>) {
    parts.last_seq = Seq(parts.last_seq.0 + count);
    if why == SkipWhy::OtherCursor
        && let Some(ItemBody::Skip(last)) =
            parts.items.last_mut().and_then(|item| item.body.as_mut())
        && last.why == why as i32
    {
        last.count += count;
        return;
    }
    parts.items.push(Item {
        body: Some(ItemBody::Skip(Skip {
            count,
            why: why as i32,
            value,
        })),
    });
}
