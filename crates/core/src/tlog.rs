//! A log that cannot be rewritten unseen: a Merkle tree over its entries, proofs that an entry is in it
//! and that one tree continues another, and the tiles others read it by.
//!
//! ```text
//! leaf   SHA-256(00 ‖ entry)                 RFC 6962, 2.1
//! node   SHA-256(01 ‖ left ‖ right)          left: the largest power of two below the size
//! tile   256 neighbouring hashes of level 8·L   tile/<L>/<N>, or .p/<W> while it has W < 256
//! bundle 256 entries, each u16be length + bytes tile/entries/<N>
//! ```
//!
//! Formats: RFC 6962 and 9162 for the tree and its proofs, C2SP tlog-tiles and tlog-checkpoint for what
//! is served. What always holds: [`verify_inclusion`] and [`verify_consistency`] need nothing but their
//! arguments, so whoever holds an older root can convict a log that shrank, forked or was edited.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{borrow::ToOwned, format};

use sha2::{Digest as _, Sha256};

use crate::base64::{base64, from_base64};
use crate::limits::AUDIT_ENTRIES_MAX;

/// A hash of an entry, a node or a whole tree.
pub type Hash = [u8; 32];

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree in one level of tiles.
const TILE_HEIGHT: u32 = 8;

/// The hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(entry)
        .finalize()
        .into()
}

/// The hash over two subtrees.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of a tree without entries.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The tree over a log's entries: every hash of a complete subtree, 64 bytes an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// `levels[h][i]` is the root over the entries from i·2ʰ to (i+1)·2ʰ.
    levels: Vec<Vec<Hash>>,
}

/// A log that takes no more entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log holds {AUDIT_ENTRIES_MAX} entries, which is as many as it may")]
pub struct TreeFull;

impl Tree {
    /// How many entries it is over.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds an entry by its hash; answers its index.
    pub fn push(&mut self, leaf: Hash) -> Result<u64, TreeFull> {
        let index = self.size();
        if index >= AUDIT_ENTRIES_MAX {
            return Err(TreeFull);
        }
        let (mut hash, mut height, mut at) = (leaf, 0, index);
        loop {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            self.levels[height].push(hash);
            // The second of two neighbours completes the node over both.
            if at & 1 == 0 {
                return Ok(index);
            }
            let row = &self.levels[height];
            hash = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
            at >>= 1;
            height += 1;
        }
    }

    /// The hash of entry `index`.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<&Hash> {
        self.levels.first()?.get(usize::try_from(index).ok()?)
    }

    /// Forgets the entries from number `size` on.
    pub fn truncate(&mut self, size: u64) {
        for (height, row) in (0..).zip(&mut self.levels) {
            row.truncate(usize::try_from(size >> height).expect("entries fit into memory"));
        }
    }

    /// The root over the first `size` entries; `None` for more than there are.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty_root()),
            _ => (size <= self.size()).then(|| self.subtree(0, size)),
        }
    }

    /// Proves that entry `index` is in the tree over the first `size` (RFC 6962, 2.1.1). `None` where it
    /// is not, or there is no such tree.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let mut proof = Vec::new();
        let (mut first, mut end) = (0, size);
        while end - first > 1 {
            let middle = first + split(end - first);
            if index < middle {
                proof.push(self.subtree(middle, end));
                end = middle;
            } else {
                proof.push(self.subtree(first, middle));
                first = middle;
            }
        }
        proof.reverse();
        Some(proof)
    }

    /// Proves that the tree over the first `size` entries continues the one over the first `old`
    /// (RFC 6962, 2.1.2). `None` where `old` is 0 or above `size`, or there is no such tree.
    #[must_use]
    pub fn consistency(&self, old: u64, size: u64) -> Option<Vec<Hash>> {
        if old == 0 || old > size || size > self.size() {
            return None;
        }
        let mut proof = Vec::new();
        let (mut first, mut end) = (0, size);
        // The verifier knows the old root itself as long as only right subtrees were left out.
        let mut known = true;
        while old != end {
            let middle = first + split(end - first);
            if old <= middle {
                proof.push(self.subtree(middle, end));
                end = middle;
            } else {
                proof.push(self.subtree(first, middle));
                first = middle;
                known = false;
            }
        }
        if !known {
            proof.push(self.subtree(first, end));
        }
        proof.reverse();
        Some(proof)
    }

    /// The hashes of a tile, one after another; `None` where the tree has not that many.
    #[must_use]
    pub fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        let height = usize::try_from(u32::from(tile.level?) * TILE_HEIGHT).ok()?;
        let row = self.levels.get(height)?;
        let first = usize::try_from(tile.index.checked_mul(TILE_WIDTH)?).ok()?;
        let end = first.checked_add(usize::from(tile.width))?;
        Some(row.get(first..end)?.concat())
    }

    /// The root over `first..end`, where `first` is a multiple of the smallest power of two that holds
    /// the range: every range that comes of halving a tree is such a one.
    fn subtree(&self, first: u64, end: u64) -> Hash {
        let width = end - first;
        if width.is_power_of_two() {
            let height = width.trailing_zeros();
            let row = &self.levels[usize::try_from(height).expect("a height is below 64")];
            return row[usize::try_from(first >> height).expect("entries fit into memory")];
        }
        let middle = first + split(width);
        node_hash(&self.subtree(first, middle), &self.subtree(middle, end))
    }
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

/// The head of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log, for ever: `<org>/audit/<id>`.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: origin, size and the root in base64, a line each (C2SP tlog-checkpoint).
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }

    /// Reads the text of a checkpoint, or the signed note of one, whose signature nobody has checked
    /// then. `None` for anything else. Lines behind the third are extensions and passed over.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let digits = lines.next()?;
        let size: u64 = digits.parse().ok()?;
        let root = from_base64(lines.next()?)?.try_into().ok()?;
        // One form only: no sign, no leading zeros.
        (size.to_string() == digits).then_some(Self { origin, size, root })
    }
}

/// Takes entries that follow each other apart: each a length of two bytes, then its bytes. Answers them
/// with the bytes that no whole entry takes.
#[must_use]
pub fn read_bundle(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, rest)) = rest.split_at_checked(length) else {
            break;
        };
        entries.push(entry);
        bytes = rest;
    }
    (entries, bytes)
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// No such entry in a tree of that size, or the older tree is not the smaller one.
    #[error("its sizes do not fit each other")]
    Sizes,
    /// Too many hashes, or too few.
    #[error("it has not the number of hashes that these sizes need")]
    Length,
    /// The hashes do not lead to the older root.
    #[error("it does not lead to the older root")]
    OldRoot,
    /// The hashes do not lead to the root.
    #[error("it does not lead to the root")]
    Root,
}

/// Whether the entry with this hash is number `index` of the log whose root over `size` entries is
/// `root` (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofFault> {
    if index >= size {
        return Err(ProofFault::Sizes);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right neighbour rises until it is one.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofFault::Root),
        _ => Err(ProofFault::Length),
    }
}

/// Whether the log with `new_root` over `new` entries continues the one with `old_root` over `old`
/// (RFC 9162, 2.1.4.2). Every log continues an empty one, so about that nothing is proved.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofFault> {
    if old == 0 || old > new {
        return Err(ProofFault::Sizes);
    }
    if old == new {
        return match (proof.is_empty(), old_root == new_root) {
            (false, _) => Err(ProofFault::Length),
            (true, false) => Err(ProofFault::Root),
            (true, true) => Ok(()),
        };
    }
    let mut rest = proof.iter();
    // A complete old tree is itself the first node of the proof.
    let first = match old.is_power_of_two() {
        true => old_root,
        false => rest.next().ok_or(ProofFault::Length)?,
    };
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if node & 1 == 1 || node == last {
            before = node_hash(sibling, &before);
            after = node_hash(sibling, &after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofFault::Length);
    }
    if before != *old_root {
        return Err(ProofFault::OldRoot);
    }
    match after == *new_root {
        true => Ok(()),
        false => Err(ProofFault::Root),
    }
}

/// A tile of hashes, or a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The level of hashes, 0–5; `None` for entries.
    pub level: Option<u8>,
    /// Its place in its level.
    pub index: u64,
    /// How much of it there is, 1–256.
    pub width: u16,
}

impl Tile {
    /// Reads a path behind `tile/`, such as `0/x001/234` or `entries/000.p/17`; `None` for any other.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let level = match level {
            "entries" => None,
            digit => Some(digit.parse().ok().filter(|level| *level < 6)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width: u16 = width.parse().ok()?;
                (number, (1..256).contains(&width).then_some(width)?)
            }
            None => (rest, 256),
        };
        let mut index: u64 = 0;
        let mut groups = number.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = match groups.peek() {
                Some(_) => group.strip_prefix('x')?,
                None => group,
            };
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index
                .checked_mul(1000)?
                .checked_add(digits.parse::<u64>().ok()?)?;
        }
        let tile = Self {
            level,
            index,
            width,
        };
        // One form only: no leading zeros, no sign.
        (tile.path() == path).then_some(tile)
    }

    /// Its path behind `tile/`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let level = self
            .level
            .map_or_else(|| "entries".to_owned(), |level| level.to_string());
        match u64::from(self.width) == TILE_WIDTH {
            true => format!("{level}/{number}"),
            false => format!("{level}/{number}.p/{}", self.width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        for at in 0..size {
            tree.push(leaf_hash(&at.to_be_bytes())).unwrap();
        }
        tree
    }

    /// The definition of RFC 6962, 2.1, word for word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn every_root_is_the_defined_one_and_every_proof_of_every_size_verifies() {
        let whole = tree(70);
        let leaves: Vec<Hash> = (0..70u64).map(|at| leaf_hash(&at.to_be_bytes())).collect();
        for size in 0..=70 {
            let root = whole.root(size).unwrap();
            assert_eq!(
                root,
                by_definition(&leaves[..usize::try_from(size).unwrap()])
            );
            for index in 0..size {
                let proof = whole.inclusion(index, size).unwrap();
                let leaf = &leaves[usize::try_from(index).unwrap()];
                assert_eq!(verify_inclusion(leaf, index, size, &proof, &root), Ok(()));
                let old = index + 1;
                let proof = whole.consistency(old, size).unwrap();
                let old_root = whole.root(old).unwrap();
                assert_eq!(
                    verify_consistency((old, &old_root), (size, &root), &proof),
                    Ok(())
                );
            }
        }
        assert_eq!(whole.root(71), None);
        assert_eq!(whole.inclusion(70, 70), None);
        assert_eq!(whole.consistency(0, 70), None);
    }

    proptest! {
        #[test]
        fn no_flip_drop_or_swap_passes_the_older_root(
            old in 1u64..60, more in 0u64..60, at in any::<prop::sample::Index>(), kind in 0..4,
        ) {
            let mut edited: Vec<Vec<u8>> = (0..old + more).map(|at| at.to_be_bytes().to_vec()).collect();
            let held = tree(old).root(old).unwrap();
            let at = at.index(usize::try_from(old).unwrap());
            match kind {
                0 => edited[at][3] ^= 1,
                1 => { edited.remove(at); edited.push(b"new".to_vec()); }
                2 => edited.insert(at, b"new".to_vec()),
                _ => edited[at] = Vec::new(),
            }
            let mut other = Tree::default();
            for entry in &edited {
                other.push(leaf_hash(entry)).unwrap();
            }
            let size = other.size();
            let root = other.root(size).unwrap();
            let proof = other.consistency(old, size).unwrap();
            prop_assert!(verify_consistency((old, &held), (size, &root), &proof).is_err());
        }

        #[test]
        fn a_path_has_one_form(level in prop::option::of(0u8..6), index in any::<u64>(), width in 1u16..=256) {
            let tile = Tile { level, index: index >> 8, width };
            prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }

        #[test]
        fn no_path_panics(path in "[0-9xentris./p]{0,24}") {
            if let Some(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }
    }

    #[test]
    fn what_was_forgotten_leaves_no_trace() {
        for size in 0..20 {
            let mut whole = tree(20);
            whole.truncate(size);
            assert_eq!(
                (whole.size(), whole.root(size)),
                (size, tree(size).root(size))
            );
            whole.push(leaf_hash(b"other")).unwrap();
            let mut other = tree(size);
            other.push(leaf_hash(b"other")).unwrap();
            assert_eq!(whole.root(size + 1), other.root(size + 1));
        }
    }

    #[test]
    fn tiles_are_cut_as_the_standard_says() {
        let whole = tree(600);
        let path = |path: &str| whole.tile(&Tile::parse(path).unwrap());
        assert_eq!(path("0/001").unwrap().len(), 256 * 32);
        assert_eq!(path("0/002.p/88").unwrap().len(), 88 * 32);
        assert_eq!(path("0/002.p/89"), None);
        assert_eq!(path("1/000.p/2").unwrap().len(), 2 * 32);
        assert_eq!(path("1/000.p/3"), None);
        assert_eq!(Tile::parse("0/x001/x234/067").unwrap().index, 1_234_067);
        for wrong in [
            "0/1",
            "0/0001",
            "0/x000/001",
            "6/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "+0/000",
        ] {
            assert_eq!(Tile::parse(wrong), None, "{wrong}");
        }
    }
}
