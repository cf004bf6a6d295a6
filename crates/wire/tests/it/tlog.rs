//! Logs and proofs that others made.

use std::path::Path;

use popwatch_core::base64::from_base64;
use popwatch_core::tlog::{
    Checkpoint, Hash, Tile, Tree, leaf_hash, read_bundle, verify_consistency, verify_inclusion,
};
use popwatch_wire::audit::open_checkpoint;
use popwatch_wire::note::PublicKey;
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/public/tlog");
/// As published with the log.
const KEY: &str = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

#[expect(clippy::disallowed_methods, reason = "the vectors are files")]
fn stored(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(FOLDER).join(path)).unwrap()
}

fn vectors(name: &str) -> Vec<Value> {
    let text = String::from_utf8(stored(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A hash of a proof; some are of another length on purpose.
fn hash(value: &Value) -> Option<Hash> {
    from_base64(value.as_str()?)?.try_into().ok()
}

/// A root. Where it does not matter the vectors have a short text, which stands for a hash of it.
fn root(value: &Value) -> Option<Hash> {
    let bytes = from_base64(value.as_str()?)?;
    Some(
        bytes
            .try_into()
            .unwrap_or_else(|short: Vec<u8>| leaf_hash(&short)),
    )
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value
        .as_array()
        .map_or(Some(Vec::new()), |all| all.iter().map(hash).collect())
}

#[test]
fn every_public_proof_is_judged_as_its_makers_say() {
    let mut judged = [0; 2];
    for vector in vectors("inclusion.jsonl") {
        let number = |name: &str| vector[name].as_u64();
        let passes = || {
            let leaf = hash(&vector["leafHash"])?;
            let proof = hashes(&vector["proof"])?;
            let root = root(&vector["root"])?;
            verify_inclusion(
                &leaf,
                number("leafIdx")?,
                number("treeSize")?,
                &proof,
                &root,
            )
            .ok()
        };
        let wrong = vector["wantErr"] == true;
        assert_eq!(passes().is_none(), wrong, "{}", vector["from"]);
        judged[usize::from(wrong)] += 1;
    }
    for vector in vectors("consistency.jsonl") {
        let number = |name: &str| vector[name].as_u64();
        let passes = || {
            let (old, new) = (root(&vector["root1"])?, root(&vector["root2"])?);
            let proof = hashes(&vector["proof"])?;
            verify_consistency((number("size1")?, &old), (number("size2")?, &new), &proof).ok()
        };
        let wrong = vector["wantErr"] == true;
        assert_eq!(passes().is_none(), wrong, "{}", vector["from"]);
        judged[usize::from(wrong)] += 1;
    }
    assert_eq!(judged, [12, 184], "right ones and wrong ones");
}

#[test]
fn a_log_made_by_others_has_our_tiles_roots_and_proofs() {
    let key = PublicKey::parse(KEY).unwrap();
    let read = |path: String| stored(&format!("tessera/{path}"));
    let all = read("tile/entries/000.p/15".into());
    let (entries, rest) = read_bundle(&all);
    assert_eq!((entries.len(), rest.len()), (15, 0));
    let mut tree = Tree::default();
    let mut held: Option<Checkpoint> = None;
    for size in 0..=15u16 {
        if size > 0 {
            tree.push(leaf_hash(entries[usize::from(size) - 1]))
                .unwrap();
            let tile = Tile {
                level: Some(0),
                index: 0,
                width: size,
            };
            assert_eq!(
                tree.tile(&tile),
                Some(read(format!("tile/{}", tile.path())))
            );
        }
        let note = String::from_utf8(read(format!("checkpoint.{size}"))).unwrap();
        let head = open_checkpoint(&note, &key).unwrap();
        let size = u64::from(size);
        assert_eq!((head.size, Some(head.root)), (size, tree.root(size)));
        if let Some(old) = held.filter(|old| old.size > 0) {
            let proof = tree.consistency(old.size, size).unwrap();
            let after = (size, &head.root);
            assert_eq!(
                verify_consistency((old.size, &old.root), after, &proof),
                Ok(())
            );
        }
        held = Some(head);
    }
}
