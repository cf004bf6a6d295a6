//! The books: from records to balanced entries and named breaks.
//!
//! ```text
//! record ─► fact (who said what, three identities) ─► entries (double entry, per commodity)
//!              │                                          │
//!              └────────► breaks ◄── suspense ────────────┘        books_root over effective entries
//! ```
//!
//! Everything here is a pure function of facts, so the order in which they came cannot show (L3).
//! An entry exists only as [`entry::Balanced`] (L6). Nothing adds across commodities (L5). What
//! cannot be explained is a break, and each break that holds money has its own suspense account.
#![deny(clippy::float_arithmetic)]

pub mod account;
pub mod attribution;
pub mod breaks;
pub mod cash;
mod central;
pub mod close;
pub mod coop;
pub mod count;
pub mod entry;
pub mod epoch;
pub mod fact;
pub mod gap;
pub mod group;
mod orders;
pub mod pairing;
pub mod payout;
pub mod post;
pub mod ranges;
pub mod reconcile;
pub mod rights;
pub mod root;
pub mod rules;
pub mod sale;
pub mod shares;
pub mod split;
pub mod statement;
pub mod tokens;

pub use account::{Account, Chart, Commodity};
pub use breaks::{Break, BreakClass, BreakId, Owner, Severity};
pub use entry::{Balanced, Entry, EntryId, Leg, Rule};
pub use fact::{Fact, FactId};
pub use ranges::Ranges;

use alloc::vec::Vec;

/// Hashes fields so that no two different lists of fields give the same input: each field is its
/// length (u32, little-endian) and its bytes.
pub(crate) struct FieldHash(blake3::Hasher);

impl FieldHash {
    /// Starts with what the hash is for.
    pub(crate) fn new(domain: &str) -> Self {
        let mut hash = Self(blake3::Hasher::new());
        hash.field(domain.as_bytes());
        hash
    }

    /// Takes one field.
    pub(crate) fn field(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).expect("a field is bounded by limits");
        self.0.update(&length.to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The first `N` bytes of the hash.
    pub(crate) fn finish<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.0.finalize_xof().fill(&mut out);
        out
    }
}

/// Appends an unsigned number, seven bits a byte, least first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits fit a byte");
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads what [`put_varint`] wrote and moves on; `None` for damage.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Signed to unsigned so that small magnitudes stay short.
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Appends a text with its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what [`put_text`] wrote; `None` for damage.
pub(crate) fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    core::str::from_utf8(text).ok()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> alloc::string::String {
    use core::fmt::Write as _;
    bytes
        .iter()
        .fold(alloc::string::String::new(), |mut out, byte| {
            write!(out, "{byte:02x}").expect("writing to a string cannot fail");
            out
        })
}

#[cfg(test)]
mod whole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, -1, 63, 64, -64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, zigzag(number));
            let mut rest = &bytes[..];
            assert_eq!(take_varint(&mut rest).map(unzigzag), Some(number));
            assert!(rest.is_empty());
        }
        assert_eq!(take_varint(&mut &[0x80][..]), None);
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let one: [u8; 16] = FieldHash::new("t").field(b"ab").field(b"c").finish();
        let other: [u8; 16] = FieldHash::new("t").field(b"a").field(b"bc").finish();
        assert_ne!(one, other);
    }
}
