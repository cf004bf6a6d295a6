//! The proof that a value was looked at a second time, on its final bytes.

use popwatch_core::record::{Draft, Record, encode};

/// A value whose final bytes passed the second look.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, without its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Encodes a record that popwatch writes about itself. `key` is its idempotency key.
#[must_use]
pub fn own(record: Record, key: [u8; 12]) -> Redacted<Draft> {
    let bytes = encode(&record);
    Redacted(Draft { record, bytes, key })
}
