//! How two popwatches keep each other's trails honest: each keeps the newest head it saw of the other and
//! wants every later one to continue it.
//!
//! What always holds: a trail that is shorter than a head that was kept, has another root at its size or
//! cannot prove that it continues it, is convicted, and stays so until a person says why.

use popwatch_core::base64::{base64, from_base64};
use popwatch_core::tlog::{Checkpoint, Hash, verify_consistency};
use serde::{Deserialize, Serialize};

use super::{PROOF_HASHES_MAX, open_checkpoint};
use crate::note::PublicKey;

/// What a trail says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Its public key.
    pub key: String,
    /// Its signed head; empty before its first entry.
    pub checkpoint: String,
    /// The size from which the proof goes on; 0 without one.
    pub from: u64,
    /// Hashes that prove it continues its first `from` entries, base64.
    pub proof: Vec<String>,
}

/// One side of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// The teller's own trail.
    pub told: Told,
    /// How many entries of the other's trail the teller has a head of.
    pub holds: u64,
    /// Why the teller convicts the other's trail; none while it does not.
    #[serde(default)]
    pub convicted: Option<String>,
}

/// What is kept of another's trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its public key, as it was first told.
    pub key: String,
    /// Its newest head that continued those before.
    pub checkpoint: String,
    /// When that came, ms since 1970.
    pub at_ms: i64,
    /// Why it was convicted, and by which head.
    #[serde(default)]
    pub convicted: Option<Conviction>,
}

/// A trail that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conviction {
    /// What is wrong with it.
    pub why: String,
    /// The head that does not continue the kept one.
    pub checkpoint: String,
    /// When that came, ms since 1970.
    pub at_ms: i64,
}

/// What a told head means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It continues what was kept, or is the first.
    Sound(Checkpoint),
    /// The proof is from another size than the one kept: the next exchange brings the right one.
    Unproved,
    /// It does not continue what was kept.
    Convicted(String),
    /// It is no head of the key that it names.
    Nonsense,
}

impl Told {
    /// Of a trail with this head, its key and the proof from an earlier size.
    #[must_use]
    pub fn of(key: &PublicKey, checkpoint: &str, from: u64, proof: Option<Vec<Hash>>) -> Self {
        let hashes = proof.unwrap_or_default();
        Self {
            key: key.to_string(),
            checkpoint: checkpoint.to_owned(),
            from,
            proof: hashes.iter().map(|hash| base64(hash)).collect(),
        }
    }

    /// The head, if the key that it names signed it.
    #[must_use]
    pub fn head(&self) -> Option<Checkpoint> {
        open_checkpoint(&self.checkpoint, &PublicKey::parse(&self.key)?).ok()
    }

    fn hashes(&self) -> Option<Vec<Hash>> {
        let hashes = self.proof.iter().take(PROOF_HASHES_MAX);
        hashes
            .map(|text| from_base64(text)?.try_into().ok())
            .collect()
    }
}

impl Kept {
    /// The head that is kept.
    #[must_use]
    pub fn head(&self) -> Option<Checkpoint> {
        open_checkpoint(&self.checkpoint, &PublicKey::parse(&self.key)?).ok()
    }
}

/// Holds a told head against the one that was kept.
#[must_use]
pub fn judge(kept: Option<&Kept>, told: &Told) -> Judged {
    let Some(head) = told.head() else {
        return Judged::Nonsense;
    };
    let Some((kept, held)) = kept.and_then(|kept| Some((kept, kept.head()?))) else {
        return Judged::Sound(head);
    };
    let convicted = |why: String| Judged::Convicted(why);
    if kept.key != told.key {
        return convicted("is signed by another key than before".to_owned());
    }
    if held.origin != head.origin {
        return convicted(format!(
            "began anew; {} entries of {} are not continued",
            held.size, held.origin
        ));
    }
    if head.size < held.size {
        return convicted(format!(
            "shrank: it has {} entries, and a head of {} was seen",
            head.size, held.size
        ));
    }
    if head.size == held.size {
        return match head.root == held.root {
            true => Judged::Sound(head),
            false => convicted(format!(
                "forked: it has another root at {} entries",
                head.size
            )),
        };
    }
    if told.from != held.size {
        return Judged::Unproved;
    }
    let proved = told.hashes().is_some_and(|hashes| {
        verify_consistency((held.size, &held.root), (head.size, &head.root), &hashes).is_ok()
    });
    match proved {
        true => Judged::Sound(head),
        false => convicted(format!(
            "forked: it does not continue its first {} entries",
            held.size
        )),
    }
}

/// The name of a trail without the number of its beginnings anew: `acme/audit/till-1`.
#[must_use]
pub fn base(origin: &str) -> String {
    origin.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteKey;
    use popwatch_core::tlog::{Tree, leaf_hash};

    fn key() -> NoteKey {
        NoteKey::new("acme.audit.popwatch", &[3; 32])
    }

    fn tree(entries: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for entry in entries {
            tree.push(leaf_hash(entry.as_bytes())).unwrap();
        }
        tree
    }

    fn told(origin: &str, entries: &[&str], from: u64, key: &NoteKey) -> Told {
        let tree = tree(entries);
        let head = Checkpoint {
            origin: origin.to_owned(),
            size: tree.size(),
            root: tree.root(tree.size()).unwrap(),
        };
        let proof = tree.consistency(from, tree.size());
        Told::of(&key.public(), &key.sign(&head.text()), from, proof)
    }

    const ORIGIN: &str = "acme/audit/till-1";
    const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn kept() -> Kept {
        Kept {
            key: key().public().to_string(),
            checkpoint: told(ORIGIN, &FIVE[..3], 0, &key()).checkpoint,
            at_ms: 1,
            convicted: None,
        }
    }

    #[test]
    fn a_trail_that_goes_on_is_sound_and_any_other_is_convicted() {
        let judged = |told: &Told| judge(Some(&kept()), told);
        let sound = told(ORIGIN, &FIVE, 3, &key());
        assert!(matches!(judged(&sound), Judged::Sound(head) if head.size == 5));
        assert!(matches!(judge(None, &sound), Judged::Sound(_)));
        let same = told(ORIGIN, &FIVE[..3], 0, &key());
        assert!(matches!(judged(&same), Judged::Sound(_)));
        assert_eq!(judged(&told(ORIGIN, &FIVE, 0, &key())), Judged::Unproved);
        let why = |told: &Told| match judged(told) {
            Judged::Convicted(why) => why,
            other @ (Judged::Sound(_) | Judged::Unproved | Judged::Nonsense) => panic!("{other:?}"),
        };
        assert!(why(&told(ORIGIN, &FIVE[..2], 0, &key())).starts_with("shrank"));
        assert!(why(&told(ORIGIN, &["a", "x", "c"], 0, &key())).starts_with("forked"));
        let forked = told(ORIGIN, &["a", "x", "c", "d"], 3, &key());
        assert!(why(&forked).starts_with("forked"));
        assert!(why(&told("acme/audit/till-1/2", &FIVE, 3, &key())).starts_with("began anew"));
        let other = NoteKey::new("acme.audit.popwatch", &[4; 32]);
        assert!(why(&told(ORIGIN, &FIVE, 3, &other)).contains("another key"));
        let mut bad = sound;
        bad.checkpoint = bad.checkpoint.replace("\n5\n", "\n6\n");
        assert_eq!(judged(&bad), Judged::Nonsense);
    }

    #[test]
    fn every_entry_dropped_swapped_or_changed_is_found() {
        let letters: Vec<String> = (0..40).map(|n| format!("entry {n}")).collect();
        let entries: Vec<&str> = letters.iter().map(String::as_str).collect();
        let kept = Kept {
            checkpoint: told(ORIGIN, &entries[..30], 0, &key()).checkpoint,
            ..kept()
        };
        for at in 0..30 {
            let mut dropped = entries.clone();
            dropped.remove(at);
            let mut swapped = entries.clone();
            swapped.swap(at, 39);
            let mut changed = entries.clone();
            changed[at] = "other";
            for forged in [dropped, swapped, changed] {
                let said = judge(Some(&kept), &told(ORIGIN, &forged, 30, &key()));
                assert!(matches!(said, Judged::Convicted(_)), "{at}: {said:?}");
            }
        }
        let sound = judge(Some(&kept), &told(ORIGIN, &entries, 30, &key()));
        assert!(matches!(sound, Judged::Sound(_)));
        assert_eq!(base("acme/audit/till-1/2"), ORIGIN);
    }
}
