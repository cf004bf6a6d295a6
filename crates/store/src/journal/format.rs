//! The bytes of a segment: header, frames, trailer. All integers little-endian; `hash` is
//! BLAKE3-256, `crc` CRC32C.
//!
//! ```text
//! 0     segment header, copy A (256 bytes)          8192  frames, each at a multiple of 8
//! 4096  segment header, copy B                      …     footer frame, trailer (32 bytes), end
//!
//! segment header                                    frame header
//!   0  8  "PWJSEG1\n"                                 0  4  "PWR1"
//!   8  2  format 1          10  2  flags              4  1  kind (1 record, 2 footer)
//!  12  4  epoch                                       5  1  class
//!  16  8  segment_no        24  8  first_seq          6  2  flags (bit 0 zstd, bit 1 first of commit)
//!  32 16  journal_id        48 16  epoch_id           8  4  payload bytes
//!  64 32  rig, zero-padded                           12  4  epoch
//!  96 32  trunk chain      128 32  bulk chain        16  8  seq
//! 160  8  wall_ms          168  8  mono_ns           24  4  crc of the payload
//! 176 16  boot_id                                    28  4  crc of (epoch_id ‖ bytes 0..28)
//! 192 60  zero             252  4  crc of 0..252     then the payload, then zeros to 8
//!
//! trailer: 0 4 "PWRT" · 4 4 zero · 8 8 offset of the footer frame · 16 4 its payload bytes
//!          20 8 zero  · 28 4 crc of 0..28
//! ```
//!
//! A frame's header has its own crc, so a damaged payload never costs the next record. That crc is
//! seeded with the epoch's id, so bytes inside a payload cannot pose as a frame.
#![deny(clippy::indexing_slicing)]

use popwatch_core::event::{Class, Cursor};
use popwatch_core::id::{BootId, Epoch, EpochId, JournalId, RigId, Seq};
use popwatch_core::limits;

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"PWJSEG1\n";
/// First bytes of a frame.
pub const FRAME_MAGIC: [u8; 4] = *b"PWR1";
/// First bytes of a trailer.
pub const TRAILER_MAGIC: [u8; 4] = *b"PWRT";
/// The format this version writes.
pub const FORMAT: u16 = 1;
/// Bytes of one copy of the segment header.
pub const HEADER_BYTES: usize = 256;
/// Where copy B of the segment header stands.
pub const HEADER_B_AT: usize = 4096;
/// Where frames begin.
pub const BODY_AT: u64 = 8192;
/// Bytes of a frame header.
pub const FRAME_HEADER_BYTES: usize = 32;
/// Bytes of a frame header that its crc and the chains cover.
pub const FRAME_SIGNED_BYTES: usize = 28;
/// Bytes of a trailer.
pub const TRAILER_BYTES: usize = 32;
/// Segment flag: its file was taken from the reserve.
pub const FLAG_FROM_RESERVE: u16 = 1;
/// Frame flag: the payload is zstd.
pub const FLAG_ZSTD: u16 = 1;
/// Frame flag: the first frame of a commit.
pub const FLAG_FIRST: u16 = 2;

/// CRC32C of some bytes.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Marks; bit 0: taken from the reserve.
    pub flags: u16,
    /// The epoch its frames belong to.
    pub epoch: Epoch,
    /// Rises by one per segment of a journal.
    pub segment_no: u64,
    /// Seq of its first frame.
    pub first_seq: Seq,
    /// The journal.
    pub journal_id: JournalId,
    /// The epoch's id.
    pub epoch_id: EpochId,
    /// The rig.
    pub rig: RigId,
    /// Trunk and bulk chain before its first frame.
    pub chains: [[u8; 32]; 2],
    /// Wall clock at creation, ms since 1970.
    pub wall_ms: i64,
    /// Steady clock at creation, ns.
    pub mono_ns: u64,
    /// Boot of the steady clock.
    pub boot_id: BootId,
}

/// What 256 bytes are that should be a segment header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderRead {
    /// A header of this format.
    Ok(Box<SegmentHeader>),
    /// A sound header of a later format, with its epoch.
    Newer(Epoch),
    /// Damaged, or no header at all.
    None,
}

impl SegmentHeader {
    /// The 256 bytes of one copy.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&SEGMENT_MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.segment_no.to_le_bytes());
        out.extend_from_slice(&self.first_seq.0.to_le_bytes());
        out.extend_from_slice(&self.journal_id.0);
        out.extend_from_slice(&self.epoch_id.0);
        out.extend_from_slice(self.rig.as_str().as_bytes());
        out.resize(96, 0);
        self.chains
            .iter()
            .for_each(|chain| out.extend_from_slice(chain));
        out.extend_from_slice(&self.wall_ms.to_le_bytes());
        out.extend_from_slice(&self.mono_ns.to_le_bytes());
        out.extend_from_slice(&self.boot_id.0);
        out.resize(HEADER_BYTES - 4, 0);
        let sum = crc(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// The first 8 KiB of a segment: both copies.
    #[must_use]
    pub fn block(&self) -> Vec<u8> {
        let copy = self.encode();
        let mut out = copy.clone();
        out.resize(HEADER_B_AT, 0);
        out.extend_from_slice(&copy);
        out.resize(HEADER_B_AT * 2, 0);
        out
    }

    /// Reads one copy.
    #[must_use]
    pub fn read(bytes: &[u8]) -> HeaderRead {
        let sound = || {
            let mut fields = Fields(bytes.get(..HEADER_BYTES)?);
            let sum = crc(fields.0.get(..HEADER_BYTES - 4)?);
            let stated = Fields(fields.0.get(HEADER_BYTES - 4..)?).u32()?;
            (fields.array()? == SEGMENT_MAGIC && sum == stated).then_some(())?;
            let format = fields.u16()?;
            let flags = fields.u16()?;
            let epoch = Epoch(fields.u32()?);
            if format > FORMAT {
                return Some(HeaderRead::Newer(epoch));
            }
            Self::fields(&mut fields, flags, epoch).map(|header| HeaderRead::Ok(Box::new(header)))
        };
        sound().unwrap_or(HeaderRead::None)
    }

    fn fields(fields: &mut Fields<'_>, flags: u16, epoch: Epoch) -> Option<Self> {
        let segment_no = fields.u64()?;
        let first_seq = Seq(fields.u64()?);
        let journal_id = JournalId(fields.array()?);
        let epoch_id = EpochId(fields.array()?);
        let rig: [u8; 32] = fields.array()?;
        let rig = core::str::from_utf8(&rig).ok()?.trim_end_matches('\0');
        Some(Self {
            flags,
            epoch,
            segment_no,
            first_seq,
            journal_id,
            epoch_id,
            rig: RigId::new(rig).ok()?,
            chains: [fields.array()?, fields.array()?],
            wall_ms: fields.i64()?,
            mono_ns: fields.u64()?,
            boot_id: BootId(fields.array()?),
        })
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A record.
    Record,
    /// A segment's footer.
    Footer,
}

impl FrameKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Footer => 2,
        }
    }

    const fn payload_max(self) -> usize {
        match self {
            Self::Record => limits::PAYLOAD_BYTES_MAX,
            Self::Footer => limits::FOOTER_BYTES_MAX,
        }
    }
}

/// A frame's header, crcs aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it is.
    pub kind: FrameKind,
    /// How important the record is; system for a footer.
    pub class: Class,
    /// [`FLAG_ZSTD`], [`FLAG_FIRST`].
    pub flags: u16,
    /// Payload bytes.
    pub len: u32,
    /// The epoch.
    pub epoch: Epoch,
    /// The record's seq; in a footer the segment's last.
    pub seq: Seq,
}

/// Why bytes are not a frame of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// They end too early.
    #[error("the frame is cut short")]
    Short,
    /// They do not begin like one, or the header's crc differs.
    #[error("the frame header is damaged")]
    Header,
    /// The payload's crc differs.
    #[error("the frame payload is damaged")]
    Payload,
}

impl FrameHeader {
    /// Header and payload, without padding.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES.saturating_add(usize::try_from(self.len).unwrap_or(usize::MAX))
    }

    /// Header, payload and padding: the distance to the next frame.
    #[must_use]
    pub fn stride(&self) -> u64 {
        u64::try_from(padded(self.frame_bytes())).unwrap_or(u64::MAX)
    }

    /// Whether it begins a commit.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.flags & FLAG_FIRST != 0
    }

    /// The 32 bytes for a payload.
    #[must_use]
    pub fn encode(&self, payload: &[u8], seed: HeaderSeed) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        let class = match self.kind {
            FrameKind::Record => self.class.byte(),
            FrameKind::Footer => 0,
        };
        put(&mut out, 0, &FRAME_MAGIC);
        put(&mut out, 4, &[self.kind.byte(), class]);
        put(&mut out, 6, &self.flags.to_le_bytes());
        put(&mut out, 8, &self.len.to_le_bytes());
        put(&mut out, 12, &self.epoch.0.to_le_bytes());
        put(&mut out, 16, &self.seq.0.to_le_bytes());
        put(&mut out, 24, &crc(payload).to_le_bytes());
        let sum = seed.crc(out.get(..FRAME_SIGNED_BYTES).unwrap_or_default());
        put(&mut out, FRAME_SIGNED_BYTES, &sum.to_le_bytes());
        out
    }

    /// Reads a header and the payload's crc; the payload is not looked at.
    pub fn read(bytes: &[u8], seed: HeaderSeed) -> Result<(Self, u32), FrameFault> {
        let signed = bytes.get(..FRAME_SIGNED_BYTES).ok_or(FrameFault::Short)?;
        let stated = bytes
            .get(FRAME_SIGNED_BYTES..FRAME_HEADER_BYTES)
            .ok_or(FrameFault::Short)?;
        if !signed.starts_with(&FRAME_MAGIC) || Fields(stated).u32() != Some(seed.crc(signed)) {
            return Err(FrameFault::Header);
        }
        Self::fields(Fields(signed)).ok_or(FrameFault::Header)
    }

    fn fields(mut fields: Fields<'_>) -> Option<(Self, u32)> {
        fields.array::<4>()?;
        let [kind, class] = fields.array()?;
        let kind = match kind {
            1 => FrameKind::Record,
            2 => FrameKind::Footer,
            _ => return None,
        };
        let header = Self {
            kind,
            class: Class::from_byte(class)?,
            flags: fields.u16()?,
            len: fields.u32()?,
            epoch: Epoch(fields.u32()?),
            seq: Seq(fields.u64()?),
        };
        let fits = usize::try_from(header.len).is_ok_and(|len| len <= kind.payload_max());
        fits.then_some((header, fields.u32()?))
    }
}

/// Reads one frame of an epoch and checks both crcs. Bytes after the payload are ignored.
pub fn parse_frame(bytes: &[u8], epoch_id: &EpochId) -> Result<FrameHeader, FrameFault> {
    read_frame(bytes, HeaderSeed::new(epoch_id)).map(|(header, _)| header)
}

/// As [`parse_frame`], with the payload.
pub fn read_frame(bytes: &[u8], seed: HeaderSeed) -> Result<(FrameHeader, &[u8]), FrameFault> {
    let (header, sum) = FrameHeader::read(bytes, seed)?;
    let payload = bytes
        .get(FRAME_HEADER_BYTES..header.frame_bytes())
        .ok_or(FrameFault::Short)?;
    if crc(payload) == sum {
        Ok((header, payload))
    } else {
        Err(FrameFault::Payload)
    }
}

/// The crc state that an epoch's frame headers start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSeed(u32);

impl HeaderSeed {
    /// Of one epoch.
    #[must_use]
    pub fn new(epoch_id: &EpochId) -> Self {
        Self(crc(&epoch_id.0))
    }

    fn crc(self, signed: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, signed)
    }
}

/// The chain before an epoch's first record of one cursor.
#[must_use]
pub fn chain_start(epoch_id: EpochId, cursor: Cursor) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"popwatch chain v1");
    hasher.update(&epoch_id.0);
    hasher.update(&[cursor as u8]);
    *hasher.finalize().as_bytes()
}

/// The chain after a record. `signed` is bytes 0..28 of its header.
#[must_use]
pub fn chain_next(chain: [u8; 32], signed: &[u8], payload: &[u8]) -> [u8; 32] {
    // One piece is hashed faster than three, and most records are small.
    let mut piece = [0; CHAINED_AT_ONCE];
    let head = chain.len() + signed.len();
    if let Some((first, rest)) = piece.split_at_mut_checked(chain.len())
        && let Some((second, rest)) = rest.split_at_mut_checked(signed.len())
        && let Some(third) = rest.get_mut(..payload.len())
    {
        first.copy_from_slice(&chain);
        second.copy_from_slice(signed);
        third.copy_from_slice(payload);
        let whole = piece.get(..head + payload.len()).unwrap_or_default();
        return *blake3::hash(whole).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&chain);
    hasher.update(signed);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// A link of the chain up to so many bytes is hashed in one piece: one chunk of BLAKE3.
const CHAINED_AT_ONCE: usize = 1_024;

/// The chain after a whole frame (header and payload, no padding).
#[must_use]
pub fn chain_frame(chain: [u8; 32], frame: &[u8]) -> [u8; 32] {
    let signed = frame.get(..FRAME_SIGNED_BYTES).unwrap_or_default();
    let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
    chain_next(chain, signed, payload)
}

/// Index of a cursor in a pair of chains: trunk first.
#[must_use]
pub const fn chain_index(cursor: Cursor) -> usize {
    match cursor {
        Cursor::Trunk => 0,
        Cursor::Bulk => 1,
    }
}

/// The last 32 bytes of a sealed segment.
#[must_use]
pub fn trailer(footer_at: u64, payload_bytes: u32) -> [u8; TRAILER_BYTES] {
    let mut out = [0; TRAILER_BYTES];
    put(&mut out, 0, &TRAILER_MAGIC);
    put(&mut out, 8, &footer_at.to_le_bytes());
    put(&mut out, 16, &payload_bytes.to_le_bytes());
    let sum = crc(out.get(..28).unwrap_or_default());
    put(&mut out, 28, &sum.to_le_bytes());
    out
}

/// Reads a trailer: offset of the footer frame and its payload bytes.
#[must_use]
pub fn read_trailer(bytes: &[u8]) -> Option<(u64, u32)> {
    let mut fields = Fields(bytes.get(..TRAILER_BYTES)?);
    let sum = crc(bytes.get(..28)?);
    let magic: [u8; 4] = fields.array()?;
    fields.u32()?;
    let (at, len) = (fields.u64()?, fields.u32()?);
    fields.u64()?;
    (magic == TRAILER_MAGIC && fields.u32()? == sum).then_some((at, len))
}

/// A length rounded up to a multiple of 8.
#[must_use]
pub const fn padded(len: usize) -> usize {
    len.div_ceil(8) * 8
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (target, byte) in out.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}

/// Reads integers one after the other; `None` past the end.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The next 2 bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 4 bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 8 bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 8 bytes, signed.
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            flags: 1,
            epoch: Epoch(3),
            segment_no: 7,
            first_seq: Seq(412),
            journal_id: JournalId([0x11; 16]),
            epoch_id: EpochId([0x22; 16]),
            rig: RigId::new("till-1").unwrap(),
            chains: [[0x33; 32], [0x44; 32]],
            wall_ms: 1_700_000_000_000,
            mono_ns: 5,
            boot_id: BootId([0x55; 16]),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_segment_header_has_the_drawn_bytes() {
        let bytes = header().encode();
        let drawn = [
            "50574a534547310a01000100",
            "03000000",
            "0700000000000000",
            "9c01000000000000",
            &"11".repeat(16),
            &"22".repeat(16),
            "74696c6c2d31",
            &"00".repeat(26),
            &"33".repeat(32),
            &"44".repeat(32),
            "0068e5cf8b010000",
            "0500000000000000",
            &"55".repeat(16),
            &"00".repeat(60),
        ]
        .concat();
        assert_eq!(hex(&bytes[..252]), drawn);
        assert_eq!(bytes[252..], crc(&bytes[..252]).to_le_bytes());
        assert_eq!(
            SegmentHeader::read(&bytes),
            HeaderRead::Ok(Box::new(header()))
        );
        let block = header().block();
        assert_eq!(block.len(), 8192);
        assert_eq!(block[4096..4352], bytes[..]);
    }

    #[test]
    fn any_flipped_bit_of_a_segment_header_is_seen() {
        let bytes = header().encode();
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(SegmentHeader::read(&bad), HeaderRead::None, "bit {at}");
        }
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let sum = crc(&bytes[..252]);
        bytes[252..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(SegmentHeader::read(&bytes), HeaderRead::Newer(Epoch(3)));
    }

    #[test]
    fn a_frame_has_the_drawn_bytes() {
        let id = EpochId([0x22; 16]);
        let frame = FrameHeader {
            kind: FrameKind::Record,
            class: Class::Stock,
            flags: FLAG_FIRST,
            len: 5,
            epoch: Epoch(3),
            seq: Seq(9),
        };
        let mut bytes = frame.encode(b"hello", HeaderSeed::new(&id)).to_vec();
        bytes.extend_from_slice(b"hello");
        let drawn = "505752310102020005000000030000000900000000000000";
        assert_eq!(hex(&bytes[..24]), drawn);
        // CRC32C of "hello", known outside this code.
        assert_eq!(hex(&bytes[24..28]), "4cbb719a");
        let seeded = [&id.0[..], &bytes[..28]].concat();
        assert_eq!(bytes[28..32], crc(&seeded).to_le_bytes());
        assert_eq!(parse_frame(&bytes, &id), Ok(frame));
        assert_eq!(
            parse_frame(&bytes, &EpochId([0x23; 16])),
            Err(FrameFault::Header)
        );
        bytes[33] ^= 1;
        assert_eq!(parse_frame(&bytes, &id), Err(FrameFault::Payload));
        assert_eq!(parse_frame(&bytes[..34], &id), Err(FrameFault::Short));
    }

    #[test]
    fn a_trailer_reads_back_and_no_bit_of_it_may_flip() {
        let bytes = trailer(8192, 77);
        assert_eq!(read_trailer(&bytes), Some((8192, 77)));
        for at in 0..256 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(read_trailer(&bad), None, "bit {at}");
        }
    }
}
