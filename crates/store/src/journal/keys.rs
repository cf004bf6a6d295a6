//! Which events a segment holds: sorted 32-byte entries and a blocked Bloom filter before them.
//!
//! ```text
//! entry   0 12 key · 12 8 content · 20 4 epoch · 24 8 seq
//! filter  blocks of 64 bytes, 10 bits a key; a key's bits all lie in one block
//! ```
//!
//! Keys are keyed hashes, so they are evenly spread: a lookup computes where an entry must stand
//! and reads one window of it. Each 4 KiB page of entries has its crc in the footer, so a damaged
//! page is never taken for "not there".
#![deny(clippy::indexing_slicing)]

use popwatch_core::record::Content;

use super::format::Fields;

/// Bytes of one entry.
pub const ENTRY_BYTES: usize = 32;
/// Entries per page with its own crc.
pub const PAGE_ENTRIES: usize = 128;
/// Bytes of one filter block.
pub const BLOCK_BYTES: usize = 64;
const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 7;

/// An idempotency key.
pub type Key = [u8; 12];

/// Where an event with this key first stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    /// Keyed hash of source and id.
    pub key: Key,
    /// Keyed hash of its core fields.
    pub content: Content,
    /// Its epoch.
    pub epoch: u32,
    /// Its seq.
    pub seq: u64,
}

impl KeyEntry {
    /// Appends the 32 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.content.0);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
    }

    /// Reads 32 bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            key: fields.array()?,
            content: Content(fields.array()?),
            epoch: fields.u32()?,
            seq: fields.u64()?,
        })
    }
}

/// The filter's bytes for some keys; empty for none.
#[must_use]
pub fn filter(keys: &[KeyEntry]) -> Vec<u8> {
    let blocks = (keys.len() * BITS_PER_KEY).div_ceil(BLOCK_BYTES * 8);
    let mut out = vec![0; blocks * BLOCK_BYTES];
    for entry in keys {
        let (block, bits) = place(&entry.key, blocks);
        if let Some(block) = out.chunks_exact_mut(BLOCK_BYTES).nth(block) {
            for bit in probes(bits) {
                if let Some(byte) = block.get_mut(bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
    }
    out
}

/// Whether a filter may hold a key. `false` is certain.
#[must_use]
pub fn filter_has(filter: &[u8], key: &Key) -> bool {
    let (block, bits) = place(key, filter.len() / BLOCK_BYTES);
    let start = block * BLOCK_BYTES;
    let Some(block) = filter.get(start..start + BLOCK_BYTES) else {
        return false;
    };
    probes(bits).all(|bit| {
        block
            .get(bit / 8)
            .is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
    })
}

fn place(key: &Key, blocks: usize) -> (usize, u64) {
    let mut fields = Fields(key);
    let high = u64::from(fields.u32().unwrap_or(0));
    let blocks = u64::try_from(blocks).unwrap_or(0);
    let block = usize::try_from((high * blocks) >> 32).unwrap_or(0);
    (block, fields.u64().unwrap_or(0))
}

fn probes(bits: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |probe| usize::try_from((bits >> (9 * probe)) & 511).unwrap_or(0))
}

/// Which pages of `count` sorted entries a key most likely stands in: first page and how many.
#[must_use]
pub fn window(key: &Key, count: usize) -> (usize, usize) {
    let head: [u8; 8] = Fields(key).array().unwrap_or_default();
    let count = u128::try_from(count).unwrap_or(0);
    let expected = (u128::from(u64::from_be_bytes(head)) * count) >> 64;
    let page = usize::try_from(expected).unwrap_or(0) / PAGE_ENTRIES;
    (page.saturating_sub(2), 5)
}

/// Finds a key in sorted entries' bytes.
#[must_use]
pub fn find(bytes: &[u8], key: &Key) -> Option<KeyEntry> {
    let (mut low, mut high) = (0, bytes.len() / ENTRY_BYTES);
    while low < high {
        let middle = low + (high - low) / 2;
        let start = middle * ENTRY_BYTES;
        let entry = KeyEntry::read(bytes.get(start..start + ENTRY_BYTES)?)?;
        match entry.key.cmp(key) {
            std::cmp::Ordering::Equal => return Some(entry),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::faulty::Dice;

    fn keys(count: u64, seed: u64) -> Vec<KeyEntry> {
        let mut dice = Dice(seed);
        let mut all: Vec<_> = (0..count)
            .map(|seq| {
                let mut key = [0; 12];
                key[..8].copy_from_slice(&dice.roll().to_be_bytes());
                key[8..].copy_from_slice(&dice.roll().to_be_bytes()[..4]);
                KeyEntry {
                    key,
                    content: Content(dice.roll().to_be_bytes()),
                    epoch: 2,
                    seq,
                }
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn the_filter_never_misses_and_seldom_errs() {
        let inside = keys(20_000, 1);
        let bytes = filter(&inside);
        assert!(inside.iter().all(|entry| filter_has(&bytes, &entry.key)));
        let outside = keys(20_000, 2);
        let wrong = outside
            .iter()
            .filter(|entry| filter_has(&bytes, &entry.key))
            .count();
        assert!(wrong < 20_000 * 3 / 100, "{wrong}");
        assert!(!filter_has(&[], &[0; 12]));
    }

    #[test]
    fn an_entry_stands_in_its_window() {
        let inside = keys(20_000, 3);
        let mut bytes = Vec::new();
        inside.iter().for_each(|entry| entry.encode(&mut bytes));
        let mut wide = 0;
        for entry in &inside {
            let (page, pages) = window(&entry.key, inside.len());
            let start = page * PAGE_ENTRIES * ENTRY_BYTES;
            let end = (start + pages * PAGE_ENTRIES * ENTRY_BYTES).min(bytes.len());
            match find(&bytes[start..end], &entry.key) {
                Some(found) => assert_eq!(found, *entry),
                None => wide += 1,
            }
            assert_eq!(find(&bytes, &entry.key), Some(*entry));
        }
        assert!(wide < 20, "{wide}");
    }
}
