//! Detectors against published numbers and addresses, real rows and generated look-alikes.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod contacts;
mod detectors;
mod events;

/// A small generator of numbers that look random and never change.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        let size = u64::try_from(alphabet.len()).unwrap();
        (0..count)
            .map(|_| char::from(alphabet[usize::try_from(self.roll() % size).unwrap()]))
            .collect()
    }
}
