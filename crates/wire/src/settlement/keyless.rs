//! Rows that have no id: a key of their fields and which equal row they are.
//!
//! A provider may write two rows that agree in every field, and both are money. The second gets the
//! number 2, the third 3, so the same file read again, or one that overlaps it, gives the same ids.
//!
//! A table of 64-bit hashes remembers which (key, number) were given: the numbers of one key are
//! dense from 1, so the next one is found by doubling and halving. 8 bytes a row is all it costs; that
//! two different rows of one file share a hash is a matter of one in millions of files.

use popwatch_core::limits;

use super::FileFault;

/// Slots the table begins with.
const SLOTS_MIN: usize = 1 << 12;

/// The rows so far.
pub(super) struct Keyless {
    /// Open addressing; 0 is an empty slot. A power of two.
    slots: Vec<u64>,
    filled: usize,
}

impl Keyless {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![0; SLOTS_MIN],
            filled: 0,
        }
    }

    /// The id of a row with these fields.
    pub(super) fn id(&mut self, fields: &[&str]) -> Result<String, FileFault> {
        let mut hasher = blake3::Hasher::new();
        for part in fields {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hash = hasher.finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        let nth = self.nth(u64::from_le_bytes(
            key[..8].try_into().expect("eight of sixteen bytes"),
        ))?;
        let key = u128::from_be_bytes(key);
        Ok(format!("row-{key:032x}.{nth}"))
    }

    /// Which row of this key the next one is, from 1, and remembers it.
    fn nth(&mut self, key: u64) -> Result<u64, FileFault> {
        let (mut held, mut free) = (0, 1);
        while self.holds(slot_of(key, free)) {
            held = free;
            free *= 2;
        }
        while free - held > 1 {
            let middle = held.midpoint(free);
            if self.holds(slot_of(key, middle)) {
                held = middle;
            } else {
                free = middle;
            }
        }
        self.insert(slot_of(key, free))?;
        Ok(free)
    }

    fn holds(&self, hash: u64) -> bool {
        self.slots[self.place(hash)] == hash
    }

    /// Where a hash stands, or the empty slot where it would.
    fn place(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(hash >> 20).unwrap_or(usize::MAX) & mask;
        while self.slots[at] != 0 && self.slots[at] != hash {
            at = (at + 1) & mask;
        }
        at
    }

    fn insert(&mut self, hash: u64) -> Result<(), FileFault> {
        if self.filled == limits::SETTLEMENT_KEYLESS_ROWS_MAX {
            return Err(FileFault::TooLarge {
                what: "the number of rows without an id",
                max: u64::try_from(limits::SETTLEMENT_KEYLESS_ROWS_MAX).unwrap_or(u64::MAX),
            });
        }
        if self.filled >= self.slots.len() / 8 * 7 {
            let wider = vec![0; self.slots.len() * 2];
            for hash in std::mem::replace(&mut self.slots, wider) {
                if hash != 0 {
                    let at = self.place(hash);
                    self.slots[at] = hash;
                }
            }
        }
        let at = self.place(hash);
        self.slots[at] = hash;
        self.filled += 1;
        Ok(())
    }
}

/// The hash of a key's n-th row; never 0, which is an empty slot.
const fn slot_of(key: u64, nth: u64) -> u64 {
    let mut mixed = key ^ nth.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mixed = mixed ^ (mixed >> 31);
    if mixed == 0 { 1 } else { mixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_numbered_and_others_are_not() {
        let mut keyless = Keyless::new();
        for n in 1..=5_000_u64 {
            let row = n.to_string();
            assert!(keyless.id(&["fee", &row]).unwrap().ends_with(".1"));
            assert!(
                keyless
                    .id(&["fee", "0.10"])
                    .unwrap()
                    .ends_with(&format!(".{n}"))
            );
        }
        let (one, other) = (keyless.id(&["ab", "c"]), keyless.id(&["a", "bc"]));
        assert_ne!(one, other);
    }
}
