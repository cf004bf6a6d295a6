//! A segment's footer: a cache of its frames, rebuilt from them whenever it is missing or damaged.
//!
//! ```text
//! payload of the footer frame
//!   0  2 version 1     2  2 zero           4  4 crc of 8..head
//!   8  4 head: bytes before the keys      12  4 keys
//!  16  8 first_seq    24  8 last_seq      32 40 records per class
//!  72 64 trunk and bulk chain after last_seq, zero when unknown
//! 136  4 first minute  140 4 last minute  144 8 offset of the last seal, 0 for none
//! 152 4×6 how many: offsets, marks, holes, popup bytes, key pages, filter bytes
//! 176    offset of each 256th record, 4 bytes · of each system record but seals, 4 bytes
//!        holes {first, last, offset, bytes} · popups {length 1, text} · crc of each key page
//!        filter · zeros to a multiple of 32 · (head ends) keys, 32 bytes each
//! ```
#![deny(clippy::indexing_slicing)]

use popwatch_core::id::Seq;

use super::format::{Fields, crc};
use super::keys::{ENTRY_BYTES, KeyEntry, PAGE_ENTRIES, filter};
use super::scan::Hole;

const VERSION: u16 = 1;
/// Bytes of the fixed part.
pub const FIXED_BYTES: usize = 176;
/// Records per noted offset.
pub const STRIDE: u64 = 256;

/// What a footer says, keys aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footer {
    /// Seq of the first record (or of a hole before it).
    pub first_seq: Seq,
    /// Seq of the last record.
    pub last_seq: Seq,
    /// Records per class.
    pub counts: [u64; 5],
    /// Trunk and bulk chain after the last record, where known.
    pub chains: [Option<[u8; 32]>; 2],
    /// First and last minute of admission.
    pub minutes: (u32, u32),
    /// Offset of the last seal, 0 for none.
    pub last_seal_at: u64,
    /// Offset of each 256th record.
    pub offsets: Vec<u32>,
    /// Offsets of the system records that are no seals.
    pub marks: Vec<u32>,
    /// What is missing in it.
    pub holes: Vec<Hole>,
    /// Popups its records name.
    pub popups: Vec<String>,
    /// Crc of each page of keys.
    pub key_pages: Vec<u32>,
    /// Bloom filter of the keys.
    pub filter: Vec<u8>,
    /// How many keys.
    pub keys: usize,
    /// Bytes before the keys.
    pub head_bytes: usize,
}

impl Footer {
    /// The payload with these keys, which are sorted here.
    #[must_use]
    pub fn encode(&mut self, keys: &mut [KeyEntry]) -> Vec<u8> {
        keys.sort_unstable();
        let mut entries = Vec::with_capacity(keys.len() * ENTRY_BYTES);
        keys.iter().for_each(|entry| entry.encode(&mut entries));
        self.keys = keys.len();
        self.filter = filter(keys);
        let pages = entries.chunks(PAGE_ENTRIES * ENTRY_BYTES);
        self.key_pages = pages.map(crc).collect();
        let mut tail = self.sections();
        let head = (FIXED_BYTES + tail.len()).div_ceil(32) * 32;
        tail.resize(head - FIXED_BYTES, 0);
        self.head_bytes = head;

        let mut covered = Vec::with_capacity(head + entries.len());
        covered.extend_from_slice(&count(head).to_le_bytes());
        covered.extend_from_slice(&count(self.keys).to_le_bytes());
        covered.extend_from_slice(&self.first_seq.0.to_le_bytes());
        covered.extend_from_slice(&self.last_seq.0.to_le_bytes());
        let counts = self.counts.iter();
        counts.for_each(|count| covered.extend_from_slice(&count.to_le_bytes()));
        for chain in &self.chains {
            covered.extend_from_slice(&chain.unwrap_or_default());
        }
        covered.extend_from_slice(&self.minutes.0.to_le_bytes());
        covered.extend_from_slice(&self.minutes.1.to_le_bytes());
        covered.extend_from_slice(&self.last_seal_at.to_le_bytes());
        let popups: usize = self.popups.iter().map(|popup| popup.len() + 1).sum();
        for len in [
            self.offsets.len(),
            self.marks.len(),
            self.holes.len(),
            popups,
            self.key_pages.len(),
            self.filter.len(),
        ] {
            covered.extend_from_slice(&count(len).to_le_bytes());
        }
        covered.extend_from_slice(&tail);

        let mut out = Vec::with_capacity(head + entries.len());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&crc(&covered).to_le_bytes());
        out.extend_from_slice(&covered);
        out.extend_from_slice(&entries);
        out
    }

    fn sections(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for at in self.offsets.iter().chain(&self.marks) {
            out.extend_from_slice(&at.to_le_bytes());
        }
        for hole in &self.holes {
            for number in [hole.first, hole.last, hole.at, hole.bytes] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        for popup in &self.popups {
            out.push(u8::try_from(popup.len()).expect("a popup id has at most 64 bytes"));
            out.extend_from_slice(popup.as_bytes());
        }
        for sum in &self.key_pages {
            out.extend_from_slice(&sum.to_le_bytes());
        }
        out.extend_from_slice(&self.filter);
        out
    }

    /// How many bytes of a payload come before its keys, from its first 12 bytes.
    #[must_use]
    pub fn head_len(payload: &[u8]) -> Option<usize> {
        let mut fields = Fields(payload);
        (fields.u16()? == VERSION).then_some(())?;
        fields.take(6)?;
        usize::try_from(fields.u32()?).ok()
    }

    /// Reads the head of a payload; `None` when it is damaged.
    #[must_use]
    pub fn read(head: &[u8]) -> Option<Self> {
        let head_bytes = Self::head_len(head)?;
        let head = head.get(..head_bytes)?;
        let mut fields = Fields(head.get(4..)?);
        (fields.u32()? == crc(head.get(8..)?)).then_some(())?;
        fields.u32()?;
        let mut footer = Self {
            keys: usize::try_from(fields.u32()?).ok()?,
            first_seq: Seq(fields.u64()?),
            last_seq: Seq(fields.u64()?),
            head_bytes,
            ..Self::default()
        };
        for count in &mut footer.counts {
            *count = fields.u64()?;
        }
        for chain in &mut footer.chains {
            let bytes: [u8; 32] = fields.array()?;
            *chain = (bytes != [0; 32]).then_some(bytes);
        }
        footer.minutes = (fields.u32()?, fields.u32()?);
        footer.last_seal_at = fields.u64()?;
        let mut lens = [0; 6];
        for len in &mut lens {
            *len = usize::try_from(fields.u32()?).ok()?;
        }
        footer.read_sections(fields, lens)
    }

    fn read_sections(mut self, mut fields: Fields<'_>, lens: [usize; 6]) -> Option<Self> {
        let [offsets, marks, holes, popups, pages, filter] = lens;
        let mut numbers = |len: usize| -> Option<Vec<u32>> {
            let mut part = Fields(fields.take(len.checked_mul(4)?)?);
            Some(std::iter::from_fn(|| part.u32()).collect())
        };
        self.offsets = numbers(offsets)?;
        self.marks = numbers(marks)?;
        let mut part = Fields(fields.take(holes.checked_mul(32)?)?);
        for _ in 0..holes {
            self.holes.push(Hole {
                first: part.u64()?,
                last: part.u64()?,
                at: part.u64()?,
                bytes: part.u64()?,
            });
        }
        let mut part = Fields(fields.take(popups)?);
        while let Some([len]) = part.array() {
            let text = part.take(usize::from(len))?;
            self.popups.push(String::from_utf8(text.to_vec()).ok()?);
        }
        let mut part = Fields(fields.take(pages.checked_mul(4)?)?);
        self.key_pages = std::iter::from_fn(|| part.u32()).collect();
        self.filter = fields.take(filter)?.to_vec();
        Some(self)
    }

    /// A bound of a footer's payload for a segment's room: `keys` of `records` records, `marks`
    /// system records among them.
    #[must_use]
    pub fn bytes_bound(records: usize, marks: usize, popups: usize) -> usize {
        let keys = records * (ENTRY_BYTES + 2) + records / PAGE_ENTRIES * 4;
        let offsets = records / 64;
        FIXED_BYTES + keys + offsets + marks * 4 + popups * 65 + 256
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a footer has at most 4 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::record::Content;

    #[test]
    fn a_footer_reads_back_and_no_bit_of_its_head_may_flip() {
        let mut keys: Vec<_> = (0..300u32)
            .map(|n| KeyEntry {
                key: {
                    let mut key = [7; 12];
                    key[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_be_bytes());
                    key
                },
                content: Content([1; 8]),
                epoch: 4,
                seq: u64::from(n),
            })
            .collect();
        let mut footer = Footer {
            first_seq: Seq(5),
            last_seq: Seq(600),
            counts: [1, 2, 3, 4, 5],
            chains: [Some([3; 32]), None],
            minutes: (10, 12),
            last_seal_at: 9000,
            offsets: vec![8192, 9000],
            marks: vec![8192],
            holes: vec![Hole {
                first: 7,
                last: 8,
                at: 8800,
                bytes: 16,
            }],
            popups: vec!["stall".into(), "stream".into()],
            ..Footer::default()
        };
        let bytes = footer.encode(&mut keys);
        assert_eq!(bytes.len(), footer.head_bytes + 300 * ENTRY_BYTES);
        assert!(bytes.len() <= Footer::bytes_bound(300, 1, 2) + 32);
        assert_eq!(Footer::read(&bytes), Some(footer.clone()));
        for at in 0..footer.head_bytes * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            // Bytes 2 and 3 say nothing.
            let silent = (16..32).contains(&at);
            assert_eq!(Footer::read(&bad).is_some(), silent, "bit {at}");
        }
    }
}
