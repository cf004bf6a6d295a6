//! The frame of a journaled record as it travels: header, payload, perhaps padding.

use popwatch_core::event::Cursor;
use popwatch_core::id::EpochId;

/// Bytes of a frame header.
pub(super) const HEADER_BYTES: usize = 32;
const SIGNED_BYTES: usize = 28;

/// A frame whose checksums hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Class byte.
    pub(super) class: u8,
    /// Flags.
    pub(super) flags: u16,
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
    pub(super) fn chain(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(before);
        hasher.update(self.bytes.get(..SIGNED_BYTES).unwrap_or_default());
        hasher.update(self.payload());
        *hasher.finalize().as_bytes()
    }
}

/// Reads a record frame of an epoch; `None` when a checksum or the shape is wrong.
pub(super) fn parse<'a>(bytes: &'a [u8], epoch_id: &EpochId) -> Option<Frame<'a>> {
    let header = bytes.get(..HEADER_BYTES)?;
    let field = |at: usize| -> Option<[u8; 4]> { header.get(at..at + 4)?.try_into().ok() };
    let seed = crc32c::crc32c(&epoch_id.0);
    let sum = crc32c::crc32c_append(seed, header.get(..SIGNED_BYTES)?);
    let kind = *header.get(4)?;
    if field(0)? != *b"PWR1" || kind != 1 || u32::from_le_bytes(field(28)?) != sum {
        return None;
    }
    let end = HEADER_BYTES + usize::try_from(u32::from_le_bytes(field(8)?)).ok()?;
    let payload = bytes.get(HEADER_BYTES..end)?;
    let padding = bytes.get(end..)?;
    let whole = padding.len() < 8 && padding.iter().all(|byte| *byte == 0);
    if !whole || u32::from_le_bytes(field(24)?) != crc32c::crc32c(payload) {
        return None;
    }
    Some(Frame {
        class: *header.get(5)?,
        flags: u16::from_le_bytes(header.get(6..8)?.try_into().ok()?),
        epoch: u32::from_le_bytes(field(12)?),
        seq: u64::from_le_bytes(header.get(16..24)?.try_into().ok()?),
        bytes: bytes.get(..end)?,
    })
}

/// The chain before an epoch's first record of one cursor.
pub(super) fn chain_start(epoch_id: &EpochId, cursor: Cursor) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"popwatch chain v1");
    hasher.update(&epoch_id.0);
    hasher.update(&[cursor as u8]);
    *hasher.finalize().as_bytes()
}

/// Makes a frame, for tests.
#[cfg(test)]
pub(super) fn make(class: u8, epoch: u32, seq: u64, epoch_id: &EpochId, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(b"PWR1");
    out.extend_from_slice(&[1, class, 0, 0]);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let seed = crc32c::crc32c(&epoch_id.0);
    let sum = crc32c::crc32c_append(seed, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
    out
}
