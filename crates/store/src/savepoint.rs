//! Savepoints on disk: caches of closed epochs' folds, in `cache/`. Any of them may be deleted or
//! damaged at any time; the journal is the truth and gives the same again.
//!
//! ```text
//! cache/epoch-0000000007.pws    `PWSAVE1\n` │ key 32 │ crc of the body 4, little-endian │ body
//! cache/kept-0000000007.pws     likewise: the cells of an epoch whose records were trimmed
//! ```
//!
//! What is kept of a trimmed epoch nobody makes again. It is there for a region that loses its
//! memory; the ledger has the records, so losing this too costs a region's minutes and no money.
//!
//! The key is a hash of all that the body depends on. One file is written whole under another name,
//! synced and renamed, so that a power cut leaves the old one, the new one or none.

use std::io;

use popwatch_core::fold::savepoint::Savepoint;
use popwatch_core::id::{Epoch, JournalId, RigId};
use prost::Message;

use crate::fs::{File, Fs};
use crate::journal::format::crc;

/// The folder of all caches.
pub const DIR: &str = "cache";
const MAGIC: &[u8; 8] = b"PWSAVE1\n";
const HEAD_BYTES: usize = 8 + 32 + 4;
/// Beyond this an epoch is folded again, bytes.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// What a savepoint stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of everything that `parts` says; the order counts.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// What was found under an epoch.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The body, whole.
    Whole(Vec<u8>),
    /// Nothing, or what stands for something else.
    Nothing,
    /// A file that is damaged (PW0211). It is removed by the next [`save`] of the epoch.
    Damaged,
}

/// Reads the savepoint of an epoch. A disk that does not answer is the same as nothing.
pub fn load<F: Fs>(fs: &F, epoch: Epoch, key: &Key) -> Found {
    load_file(fs, &name(epoch), key)
}

fn load_file<F: Fs>(fs: &F, name: &str, key: &Key) -> Found {
    let Ok(file) = fs.open(name) else {
        return Found::Nothing;
    };
    let Ok(len @ 0..=BODY_BYTES_MAX) = file.len() else {
        return Found::Nothing;
    };
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    match file.read_at(&mut bytes, 0) {
        Ok(read) if read == bytes.len() => {}
        Ok(_) | Err(_) => return Found::Nothing,
    }
    let Some((head, body)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Found::Damaged;
    };
    let (magic, rest) = head.split_at(8);
    let (stands_for, sum) = rest.split_at(32);
    if magic != MAGIC || sum != crc(body).to_le_bytes() {
        return Found::Damaged;
    }
    if stands_for != key.0 {
        return Found::Nothing;
    }
    bytes.drain(..HEAD_BYTES);
    Found::Whole(bytes)
}

/// Keeps a savepoint. A failure loses nothing: the epoch is folded again.
pub fn save<F: Fs>(fs: &F, epoch: Epoch, key: &Key, body: &[u8]) -> io::Result<()> {
    save_file(fs, &name(epoch), key, body)
}

fn save_file<F: Fs>(fs: &F, name: &str, key: &Key, body: &[u8]) -> io::Result<()> {
    let fresh = format!("{DIR}/fresh.tmp");
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&key.0);
    bytes.extend_from_slice(&crc(body).to_le_bytes());
    bytes.extend_from_slice(body);
    match fs.unlink(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = fs.create(&fresh, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    file.write_at(&bytes, 0)?;
    file.sync_data()?;
    fs.rename(&fresh, name)?;
    fs.sync_dir(DIR)
}

/// Removes the savepoints of epochs that are no more. A file that stays costs only its space.
pub fn keep_only<F: Fs>(fs: &F, epochs: impl Fn(Epoch) -> bool) -> io::Result<()> {
    for file in fs.list(DIR)? {
        let number = file
            .strip_prefix("epoch-")
            .and_then(|rest| rest.strip_suffix(".pws")?.parse().ok());
        if number.is_some_and(|number| !epochs(Epoch(number))) {
            fs.unlink(&format!("{DIR}/{file}"))?;
        }
    }
    Ok(())
}

/// Keeps the cells of an epoch whose records are about to be trimmed.
pub fn keep_cells<F: Fs>(
    fs: &F,
    (rig, journal): (&RigId, JournalId),
    savepoint: &Savepoint,
) -> io::Result<()> {
    let epoch = Epoch(savepoint.epoch);
    let key = kept_key(rig, journal, epoch);
    save_file(fs, &kept_name(epoch), &key, &savepoint.encode_to_vec())
}

/// What was kept of trimmed epochs, ascending; `None` for a file that is damaged or another
/// journal's. A disk that does not answer is the same as nothing.
pub fn kept_cells<F: Fs>(
    fs: &F,
    (rig, journal): (&RigId, JournalId),
) -> Vec<(Epoch, Option<Savepoint>)> {
    let names = fs.list(DIR).unwrap_or_default();
    let numbers = names.iter().filter_map(|name| {
        name.strip_prefix("kept-")?
            .strip_suffix(".pws")?
            .parse()
            .ok()
    });
    let mut epochs: Vec<Epoch> = numbers.map(Epoch).collect();
    epochs.sort_unstable();
    let read = |epoch: Epoch| {
        let key = kept_key(rig, journal, epoch);
        let savepoint = match load_file(fs, &kept_name(epoch), &key) {
            Found::Whole(body) => Savepoint::decode(&body[..]).ok(),
            Found::Nothing | Found::Damaged => None,
        };
        (epoch, savepoint.filter(|kept| kept.epoch == epoch.0))
    };
    epochs.into_iter().map(read).collect()
}

/// Removes what was kept of an epoch. A file that stays costs only its space.
pub fn drop_cells<F: Fs>(fs: &F, epoch: Epoch) -> io::Result<()> {
    fs.unlink(&kept_name(epoch))
}

/// No version stands in it: another popwatch could not make it again either.
fn kept_key(rig: &RigId, journal: JournalId, epoch: Epoch) -> Key {
    Key::of(&[
        b"kept",
        rig.as_str().as_bytes(),
        &journal.0,
        &epoch.0.to_le_bytes(),
    ])
}

fn kept_name(epoch: Epoch) -> String {
    format!("{DIR}/kept-{:010}.pws", epoch.0)
}

fn name(epoch: Epoch) -> String {
    format!("{DIR}/epoch-{:010}.pws", epoch.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::faulty::FaultFs;

    const EPOCH: Epoch = Epoch(7);

    #[test]
    fn what_was_kept_is_found_under_its_key_alone() {
        let fs = FaultFs::new(1);
        let (key, other) = (Key::of(&[b"a", b"b"]), Key::of(&[b"ab"]));
        assert_eq!(load(&fs, EPOCH, &key), Found::Nothing);
        save(&fs, EPOCH, &key, b"old").unwrap();
        save(&fs, EPOCH, &key, b"body").unwrap();
        assert_eq!(load(&fs, EPOCH, &key), Found::Whole(b"body".to_vec()));
        assert_eq!(load(&fs, EPOCH, &other), Found::Nothing);
        assert_eq!(load(&fs, Epoch(8), &key), Found::Nothing);
        keep_only(&fs, |epoch| epoch != EPOCH).unwrap();
        assert_eq!(load(&fs, EPOCH, &key), Found::Nothing);
    }

    #[test]
    fn cells_of_trimmed_epochs_are_found_by_their_journal_alone() {
        let fs = FaultFs::new(1);
        let rig = RigId::new("till-1").unwrap();
        let (own, other) = ((&rig, JournalId([1; 16])), (&rig, JournalId([2; 16])));
        let savepoint = Savepoint {
            epoch: 7,
            head: 3,
            ..Savepoint::default()
        };
        keep_cells(&fs, own, &savepoint).unwrap();
        keep_only(&fs, |_| false).unwrap();
        assert_eq!(kept_cells(&fs, own), [(EPOCH, Some(savepoint))]);
        assert_eq!(kept_cells(&fs, other), [(EPOCH, None)]);
        drop_cells(&fs, EPOCH).unwrap();
        assert_eq!(kept_cells(&fs, own), []);
    }

    #[test]
    fn no_damaged_byte_is_used() {
        let fs = FaultFs::new(1);
        let key = Key::of(&[b"a"]);
        save(&fs, EPOCH, &key, b"cells").unwrap();
        let file = fs.open(&name(EPOCH)).unwrap();
        let mut bytes = vec![0; HEAD_BYTES + 5];
        file.read_at(&mut bytes, 0).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            file.write_at(&flipped, 0).unwrap();
            assert!(!matches!(load(&fs, EPOCH, &key), Found::Whole(_)), "{at}");
        }
        for len in 0..bytes.len() {
            file.write_at(&bytes, 0).unwrap();
            file.set_len(len as u64).unwrap();
            assert!(!matches!(load(&fs, EPOCH, &key), Found::Whole(_)), "{len}");
        }
    }
}
