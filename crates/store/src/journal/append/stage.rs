//! Records that were given a place in memory, and can still be taken back as a whole.

use popwatch_core::event::system::{Gap, SystemEvent};
use popwatch_core::event::{Cursor, Event};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::record::{Record, tail};
use popwatch_redact::proof::own;

use crate::journal::format::{
    FLAG_FIRST, FRAME_HEADER_BYTES, FRAME_SIGNED_BYTES, FrameHeader, FrameKind, HeaderSeed,
    chain_index, chain_next, chain_start, padded,
};
use crate::journal::keys::{Key, KeyEntry};
use crate::journal::segment::OpenSegment;
use crate::journal::totals::Totals;

/// Where an epoch stands: all that a commit moves.
#[derive(Debug, Clone, Copy)]
pub(in crate::journal) struct Head {
    pub(in crate::journal) epoch: Epoch,
    pub(in crate::journal) epoch_id: EpochId,
    pub(super) seed: HeaderSeed,
    pub(in crate::journal) seq: u64,
    pub(in crate::journal) counts: [u64; 5],
    pub(in crate::journal) chains: [[u8; 32]; 2],
}

impl Head {
    pub(in crate::journal) fn new(epoch: Epoch, epoch_id: EpochId) -> Self {
        Self {
            epoch,
            epoch_id,
            seed: HeaderSeed::new(&epoch_id),
            seq: 0,
            counts: [0; 5],
            chains: Cursor::ALL.map(|cursor| chain_start(epoch_id, cursor)),
        }
    }
}

/// Records that were given a place in memory.
pub(super) struct Stage {
    pub(super) head: Head,
    pub(super) buf: Vec<u8>,
    pub(super) base: u64,
    pub(super) frames_from: usize,
    pub(super) out: Vec<Staged>,
}

pub(super) struct Staged {
    pub(super) at: u64,
    pub(super) seq: u64,
    pub(super) record: Record,
    pub(super) key: Option<KeyEntry>,
    pub(super) waiting: Option<usize>,
}

impl Stage {
    pub(super) fn new<T>(head: Head, segment: &OpenSegment<T>, bytes: usize) -> Self {
        let mut buf = Vec::new();
        if segment.end == 0 {
            buf = segment.header.block();
        }
        buf.reserve(bytes);
        Self {
            head,
            base: segment.end,
            frames_from: buf.len(),
            buf,
            out: Vec::new(),
        }
    }

    /// Gives a record its place. `bytes` is its encoding without totals and origin.
    pub(super) fn push(
        &mut self,
        totals: &mut Totals,
        mut record: Record,
        bytes: &[u8],
        key: Option<Key>,
        waiting: Option<usize>,
    ) {
        let seq = self.head.seq + 1;
        let class = record.event.class();
        record.totals.extend(totals.add(&record));
        let start = self.buf.len();
        self.buf.resize(start + FRAME_HEADER_BYTES, 0);
        self.buf.extend_from_slice(bytes);
        if !record.totals.is_empty() || record.origin.is_some() {
            self.buf
                .extend_from_slice(&tail(record.totals.clone(), record.origin));
        }
        let payload = self
            .buf
            .get(start + FRAME_HEADER_BYTES..)
            .unwrap_or_default();
        let header = FrameHeader {
            kind: FrameKind::Record,
            class,
            flags: if start == self.frames_from {
                FLAG_FIRST
            } else {
                0
            },
            len: u32::try_from(payload.len()).expect("a payload has at most 256 KiB"),
            epoch: self.head.epoch,
            seq: Seq(seq),
        };
        let header = header.encode(payload, self.head.seed);
        let signed = header.get(..FRAME_SIGNED_BYTES).unwrap_or_default();
        let chain = &mut self.head.chains[chain_index(class.cursor())];
        *chain = chain_next(*chain, signed, payload);
        if let Some(place) = self.buf.get_mut(start..start + FRAME_HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        self.buf.resize(padded(self.buf.len()), 0);
        self.head.seq = seq;
        self.head.counts[usize::from(class.byte())] += 1;
        let entry = key.map(|key| KeyEntry {
            key,
            content: record.content,
            epoch: self.head.epoch.0,
            seq,
        });
        self.out.push(Staged {
            at: self.base + u64::try_from(start).unwrap_or(0),
            seq,
            record,
            key: entry,
            waiting,
        });
    }

    pub(super) fn own(
        &mut self,
        totals: &mut Totals,
        record: Record,
        key: Option<Key>,
        waiting: Option<usize>,
    ) {
        let draft = own(record, key.unwrap_or_default()).into_inner();
        self.push(totals, draft.record, &draft.bytes, key, waiting);
    }
}

/// Bytes as letters: never a run of digits that could be taken for a card number.
pub(super) fn letters(bytes: &[u8]) -> String {
    let letter = |nibble: u8| char::from(b'a' + nibble);
    bytes
        .iter()
        .flat_map(|byte| [letter(byte >> 4), letter(byte & 15)])
        .collect()
}

/// The id of the next record that popwatch writes itself.
pub(super) fn own_id(head: &Head) -> String {
    let epoch = letters(head.epoch_id.0.get(..8).unwrap_or_default());
    format!("{epoch}.{}", head.seq + 1)
}

pub(super) fn gap_of(staged: &Staged) -> Option<Gap> {
    if let Event::System(SystemEvent::RigGap(gap)) = &staged.record.event {
        Some(gap.clone())
    } else {
        None
    }
}
