//! The frame of a journaled record as it travels: header, payload, perhaps padding.

use popwatch_core::event::Class;
use popwatch_core::id::EpochId;

use crate::journal::format::{
    FLAG_ZSTD, FRAME_HEADER_BYTES, FRAME_SIGNED_BYTES, FrameKind, HeaderSeed, chain_next,
    read_frame,
};

pub(super) use crate::journal::format::chain_start;

/// Bytes of a frame header.
pub(super) const HEADER_BYTES: usize = FRAME_HEADER_BYTES;

/// A frame whose checksums hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) class: Class,
    pub(super) compressed: bool,
    /// Epoch in the header.
    pub(super) epoch: u32,
    /// Seq in the header.
    pub(super) seq: u64,
    /// Header and payload, without padding.
    pub(super) bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The record's bytes.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The chain after this frame.
    pub(super) fn chain(&self, before: [u8; 32]) -> [u8; 32] {
        let signed = self.bytes.get(..FRAME_SIGNED_BYTES).unwrap_or_default();
        chain_next(before, signed, self.payload())
    }
}

/// Reads a record frame of an epoch; `None` when a checksum or the shape is wrong.
pub(super) fn parse<'a>(bytes: &'a [u8], seed: HeaderSeed) -> Option<Frame<'a>> {
    let (header, _) = read_frame(bytes, seed).ok()?;
    let end = header.frame_bytes();
    let padding = bytes.get(end..)?;
    let whole = padding.len() < 8 && padding.iter().all(|byte| *byte == 0);
    (whole && header.kind == FrameKind::Record).then_some(Frame {
        class: header.class,
        compressed: header.flags & FLAG_ZSTD != 0,
        epoch: header.epoch.0,
        seq: header.seq.0,
        bytes: bytes.get(..end)?,
    })
}

/// How frames of an epoch are checked.
pub(super) fn seed(epoch_id: &EpochId) -> HeaderSeed {
    HeaderSeed::new(epoch_id)
}

/// Makes the frame of a record whose payload is within its bound.
pub(super) fn make(
    class: Class,
    epoch: u32,
    seq: u64,
    epoch_id: &EpochId,
    payload: &[u8],
) -> Vec<u8> {
    use popwatch_core::id::{Epoch, Seq};

    let header = crate::journal::format::FrameHeader {
        kind: FrameKind::Record,
        class,
        flags: 0,
        len: u32::try_from(payload.len()).expect("a payload is within its bound"),
        epoch: Epoch(epoch),
        seq: Seq(seq),
    };
    let mut out = header.encode(payload, seed(epoch_id)).to_vec();
    out.extend_from_slice(payload);
    out
}
