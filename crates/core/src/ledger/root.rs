//! The root of the books: one hash over all effective entries, equal for every order of arrival.
//!
//! RFC 6962 Merkle tree with SHA-256: a leaf is hashed after a byte 0, two nodes after a byte 1, the
//! left subtree holds the greatest power of two of leaves that leaves something to the right.

use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

use super::EntryId;

/// A root.
pub type Root = [u8; 32];

/// The root over the ids of the effective entries, in any order.
#[must_use]
pub fn books_root(mut ids: Vec<EntryId>) -> Root {
    ids.sort_unstable();
    let mut level: Vec<Root> = ids.iter().map(|id| leaf(&id.0)).collect();
    if level.is_empty() {
        return Sha256::digest([]).into();
    }
    // Pairing neighbours level by level and carrying an odd last node up unchanged gives the same
    // tree as splitting at the greatest power of two.
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(left, right),
                single => single[0],
            })
            .collect();
    }
    level[0]
}

fn leaf(bytes: &[u8]) -> Root {
    Sha256::new()
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

fn node(left: &Root, right: &Root) -> Root {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::hex;

    /// The definition as RFC 6962 writes it, to compare with.
    fn by_definition(ids: &[EntryId]) -> Root {
        match ids {
            [] => Sha256::digest([]).into(),
            [one] => leaf(&one.0),
            many => {
                let split = (many.len().next_power_of_two() / 2).max(1);
                node(
                    &by_definition(&many[..split]),
                    &by_definition(&many[split..]),
                )
            }
        }
    }

    #[test]
    fn equals_the_definition_for_every_small_size() {
        for count in 0..70u8 {
            let ids: Vec<_> = (0..count).map(|at| EntryId([at; 16])).collect();
            let mut shuffled = ids.clone();
            shuffled.reverse();
            assert_eq!(books_root(shuffled), by_definition(&ids), "{count} leaves");
        }
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(
            hex(&books_root(Vec::new())),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
