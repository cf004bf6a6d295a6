//! The audit trail on disk: entries one after another, and the signed head over them.
//!
//! ```text
//! 000001.entries   u16be length │ bytes, and again: what a C2SP bundle holds
//! 000001.head      signed note of origin, size and root
//! ```
//!
//! An entry counts once the head over it is durable; what stands behind the head never counted and is
//! written over. What always holds: a trail that is shorter than its head, or has another root, is never
//! continued: the next number begins, and names the head that was (PW0804). A failed write or sync is
//! never tried again on the same file: the trail is written anew from what counted.

use std::io;
use std::ops::Range;

use popwatch_core::code::Code;
use popwatch_core::limits::{AUDIT_ENTRY_BYTES_MAX, CHECKPOINT_BYTES_MAX};
use popwatch_core::tlog::{
    Checkpoint, Hash, TILE_WIDTH, Tile, Tree, TreeFull, leaf_hash, read_bundle,
};

use crate::fs::{File, Fs};

/// The folder of the trail is the file system's root: it has a lock of its own, so that a command can
/// add to the trail of a till that is switched off, and none to that of one that runs.
const DIR: &str = "";
const FRESH: &str = "fresh.tmp";

/// An open trail.
pub struct AuditLog<F: Fs> {
    fs: F,
    _lock: F::Lock,
    base: String,
    number: u32,
    tree: Tree,
    /// Where each entry ends in the file, bytes.
    ends: Vec<u64>,
    /// The signed head; empty before the first entry.
    head: String,
    /// A write failed: the files are made anew before the next entry.
    is_broken: bool,
}

impl<F: Fs> std::fmt::Debug for AuditLog<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditLog({}, {})", self.origin(), self.size())
    }
}

/// How a trail began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Began {
    /// There was none.
    New,
    /// It goes on where it stood.
    On,
    /// The one before is damaged. What it called its head is to be the first entry of this one.
    After {
        /// The origin of the damaged one.
        origin: String,
        /// Its signed head as it was found; empty where that was lost.
        head: String,
    },
}

/// An entry with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Its bytes.
    pub entry: Vec<u8>,
    /// The hashes beside its way to the root.
    pub hashes: Vec<Hash>,
    /// The signed head.
    pub head: String,
}

/// Why an entry was not written, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// The disk said no. Nothing counted.
    #[error("{doing}: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("another process holds the audit trail")]
    Held,
    /// It holds as many entries as it may.
    #[error(transparent)]
    Full(#[from] TreeFull),
    /// An entry is empty or passes its bound.
    #[error("an entry has between 1 and {AUDIT_ENTRY_BYTES_MAX} bytes")]
    Size,
    /// The bytes that counted are no longer there.
    #[error("the stored entries are not those under the signed head")]
    Damaged,
}

impl AuditFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Disk { .. } | Self::Held | Self::Full(_) | Self::Size => Code::AuditUnwritten,
            Self::Damaged => Code::AuditDamaged,
        }
    }
}

fn disk(doing: &'static str) -> impl Fn(io::Error) -> AuditFault {
    move |source| AuditFault::Disk { doing, source }
}

impl<F: Fs> AuditLog<F> {
    /// Opens the newest trail below `fs`, or begins one. `base` is the origin of the first; the second
    /// is `base/2`. Fails where the disk cannot be read.
    pub fn open(fs: F, base: &str) -> Result<(Self, Began), AuditFault> {
        let lock = fs.lock().map_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                return AuditFault::Held;
            }
            disk("locking the audit trail")(error)
        })?;
        let names = fs.list(DIR).map_err(disk("listing the audit trail"))?;
        let newest = names
            .iter()
            .filter_map(|name| name.split_once('.')?.0.parse::<u32>().ok())
            .max();
        let mut log = Self {
            fs,
            _lock: lock,
            base: base.to_owned(),
            number: newest.unwrap_or(1),
            tree: Tree::default(),
            ends: Vec::new(),
            head: String::new(),
            is_broken: true,
        };
        if newest.is_none() {
            return Ok((log, Began::New));
        }
        let head = log.read_whole("head", CHECKPOINT_BYTES_MAX as u64)?;
        let bytes = log.read_whole("entries", u64::MAX)?;
        if let Some(head) = log.standing(&head, &bytes) {
            log.head = head;
            log.is_broken = false;
            return Ok((log, Began::On));
        }
        let began = Began::After {
            origin: log.origin(),
            head: String::from_utf8_lossy(&head).into_owned(),
        };
        log.tree = Tree::default();
        log.ends.clear();
        log.number += 1;
        Ok((log, began))
    }

    /// Takes in the entries under the head. `None` where they are not those that were signed.
    fn standing(&mut self, head: &[u8], bytes: &[u8]) -> Option<String> {
        let head = std::str::from_utf8(head).ok()?;
        // Nothing was ever signed: nothing counts.
        if head.is_empty() {
            return Some(String::new());
        }
        let said = Checkpoint::parse(head)?;
        let (entries, _) = read_bundle(bytes);
        let counted = entries.get(..usize::try_from(said.size).ok()?)?;
        let mut end = 0;
        for entry in counted {
            self.tree.push(leaf_hash(entry)).ok()?;
            end += 2 + entry.len() as u64;
            self.ends.push(end);
        }
        let is_it = said.origin == self.origin() && self.tree.root(said.size) == Some(said.root);
        is_it.then(|| head.to_owned())
    }

    /// The name of this trail, for ever.
    #[must_use]
    pub fn origin(&self) -> String {
        match self.number {
            1 => self.base.clone(),
            number => format!("{}/{number}", self.base),
        }
    }

    /// How many entries count.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The signed head; empty before the first entry.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Makes sure that an entry can be written: what a failed write left is made whole first.
    pub fn ready(&mut self) -> Result<(), AuditFault> {
        if self.is_broken {
            self.write_anew()?;
            self.is_broken = false;
        }
        Ok(())
    }

    /// Writes entries, syncs them, then signs and syncs the head over them: when it returns they count.
    /// Else none does. Answers their numbers.
    pub fn append(
        &mut self,
        entries: &[Vec<u8>],
        sign: &dyn Fn(&str) -> String,
    ) -> Result<Range<u64>, AuditFault> {
        let first = self.size();
        let fits = |entry: &Vec<u8>| (1..=AUDIT_ENTRY_BYTES_MAX).contains(&entry.len());
        if !entries.iter().all(fits) {
            return Err(AuditFault::Size);
        }
        self.ready()?;
        match self.try_append(entries, sign) {
            Ok(()) => Ok(first..self.size()),
            Err(fault) => {
                self.is_broken = true;
                self.tree.truncate(first);
                self.ends
                    .truncate(usize::try_from(first).expect("entries fit into memory"));
                Err(fault)
            }
        }
    }

    fn try_append(
        &mut self,
        entries: &[Vec<u8>],
        sign: &dyn Fn(&str) -> String,
    ) -> Result<(), AuditFault> {
        let start = self.end();
        let mut end = start;
        let mut bytes = Vec::new();
        for entry in entries {
            self.tree.push(leaf_hash(entry))?;
            let length = u16::try_from(entry.len()).map_err(|_| AuditFault::Size)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
            end += 2 + u64::from(length);
            self.ends.push(end);
        }
        let file = (self.fs)
            .open(&self.name("entries"))
            .map_err(disk("opening the audit trail"))?;
        file.write_at(&bytes, start)
            .and_then(|()| file.sync_data())
            .map_err(disk("writing to the audit trail"))?;
        let head = Checkpoint {
            origin: self.origin(),
            size: self.size(),
            root: self.tree.root(self.size()).expect("a tree has a root"),
        };
        let head = sign(&head.text());
        self.replace("head", head.as_bytes())
            .map_err(disk("signing the audit trail's head"))?;
        self.head = head;
        Ok(())
    }

    /// Writes what counts into new files. The head goes first: one that says less than the entries is
    /// sound, and the other way round is damage.
    fn write_anew(&mut self) -> Result<(), AuditFault> {
        let bytes = match self.size() {
            0 => Vec::new(),
            size => self.read(0..size)?.concat_framed(),
        };
        self.replace("head", self.head.as_bytes())
            .and_then(|()| self.replace("entries", &bytes))
            .map_err(disk("writing the audit trail anew"))
    }

    /// One file of the trail, whole under another name, synced, then renamed.
    fn replace(&self, what: &str, bytes: &[u8]) -> io::Result<()> {
        match self.fs.unlink(FRESH) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = self.fs.create(FRESH, 0)?;
        file.write_at(bytes, 0)?;
        file.sync_data()?;
        self.fs.rename(FRESH, &self.name(what))?;
        self.fs.sync_dir(DIR)
    }

    /// The entries with these numbers, as far as there are such.
    pub fn read(&self, which: Range<u64>) -> Result<Vec<Vec<u8>>, AuditFault> {
        let end = which.end.min(self.size());
        if which.start >= end {
            return Ok(Vec::new());
        }
        let at = |number: u64| match usize::try_from(number).expect("entries fit into memory") {
            0 => 0,
            number => self.ends[number - 1],
        };
        let (from, to) = (at(which.start), at(end));
        let mut bytes = vec![0; usize::try_from(to - from).map_err(|_| AuditFault::Damaged)?];
        let read = (self.fs)
            .open(&self.name("entries"))
            .and_then(|file| file.read_at(&mut bytes, from))
            .map_err(disk("reading the audit trail"))?;
        let (entries, rest) = read_bundle(&bytes);
        let is_whole = read == bytes.len() && rest.is_empty();
        // What is shown is what was signed, whatever the disk gives back by now.
        let is_signed = (which.start..end)
            .zip(&entries)
            .all(|(number, entry)| self.tree.leaf(number) == Some(&leaf_hash(entry)));
        match is_whole && entries.len() as u64 == end - which.start && is_signed {
            true => Ok(entries.into_iter().map(<[u8]>::to_vec).collect()),
            false => Err(AuditFault::Damaged),
        }
    }

    /// An entry with its proof under the present head; `None` for a number that is not there.
    pub fn prove(&self, number: u64) -> Result<Option<Proved>, AuditFault> {
        let Some(hashes) = self.tree.inclusion(number, self.size()) else {
            return Ok(None);
        };
        let entry = self.read(number..number + 1)?.pop();
        Ok(Some(Proved {
            entry: entry.ok_or(AuditFault::Damaged)?,
            hashes,
            head: self.head.clone(),
        }))
    }

    /// An entry with its proof, all of it read from the disk again: what a grant rests on.
    pub fn read_back(&self, number: u64) -> Result<Proved, AuditFault> {
        let head = self.read_whole("head", CHECKPOINT_BYTES_MAX as u64)?;
        let head = String::from_utf8(head).map_err(|_| AuditFault::Damaged)?;
        let proved = self.prove(number)?.ok_or(AuditFault::Damaged)?;
        Ok(Proved { head, ..proved })
    }

    /// The proof that the present trail continues its first `old` entries; `None` where there never were
    /// so many.
    #[must_use]
    pub fn continues(&self, old: u64) -> Option<Vec<Hash>> {
        self.tree.consistency(old, self.size())
    }

    /// The bytes of a tile or bundle, for readers of C2SP tlog-tiles; `None` where it is not there.
    pub fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>, AuditFault> {
        if tile.level.is_some() {
            return Ok(self.tree.tile(tile));
        }
        let first = tile.index.saturating_mul(TILE_WIDTH);
        let end = first.saturating_add(u64::from(tile.width));
        if end > self.size() {
            return Ok(None);
        }
        self.read(first..end)
            .map(|entries| Some(entries.concat_framed()))
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn name(&self, what: &str) -> String {
        format!("{:06}.{what}", self.number)
    }

    fn read_whole(&self, what: &str, max: u64) -> Result<Vec<u8>, AuditFault> {
        let doing = disk("reading the audit trail");
        let file = match self.fs.open(&self.name(what)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(doing(error)),
        };
        let len = file.len().map_err(&doing)?.min(max);
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| AuditFault::Damaged)?];
        let read = file.read_at(&mut bytes, 0).map_err(&doing)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Entries as they stand in the file.
trait Framed {
    fn concat_framed(&self) -> Vec<u8>;
}

impl Framed for Vec<Vec<u8>> {
    fn concat_framed(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in self {
            let length = u16::try_from(entry.len()).expect("an entry is within its bound");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(entry);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::faulty::{Dice, FaultFs};
    use popwatch_core::tlog::{verify_consistency, verify_inclusion};

    fn sign(text: &str) -> String {
        format!("{text}\n\u{2014} test AAAA\n")
    }

    fn open(fs: &FaultFs) -> (AuditLog<FaultFs>, Began) {
        AuditLog::open(fs.clone(), "local/audit/till-1").unwrap()
    }

    fn entry(number: u64) -> Vec<u8> {
        format!("{{\"n\":{number}}}").into_bytes()
    }

    fn filled(fs: &FaultFs, count: u64) -> AuditLog<FaultFs> {
        let (mut log, _) = open(fs);
        for number in 0..count {
            assert_eq!(
                log.append(&[entry(number)], &sign).unwrap(),
                number..number + 1
            );
        }
        log
    }

    #[test]
    fn a_trail_goes_on_after_a_restart_and_proves_each_entry() {
        let fs = FaultFs::new(1);
        assert_eq!(open(&fs).1, Began::New);
        let old = Checkpoint::parse(filled(&fs, 5).head()).unwrap();
        let (mut log, began) = open(&fs);
        assert_eq!((log.size(), began), (5, Began::On));
        log.append(&[entry(5), entry(6)], &sign).unwrap();
        let head = Checkpoint::parse(log.head()).unwrap();
        for number in 0..7 {
            let proved = log.prove(number).unwrap().unwrap();
            assert_eq!(proved.entry, entry(number));
            let leaf = leaf_hash(&proved.entry);
            assert_eq!(
                verify_inclusion(&leaf, number, 7, &proved.hashes, &head.root),
                Ok(())
            );
        }
        assert!(log.prove(7).unwrap().is_none());
        let proof = log.continues(5).unwrap();
        assert_eq!(
            verify_consistency((5, &old.root), (7, &head.root), &proof),
            Ok(())
        );
        let bundle = log
            .tile(&Tile::parse("entries/000.p/7").unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(read_bundle(&bundle).0.len(), 7);
    }

    #[test]
    fn damage_begins_another_trail_and_names_the_head_that_was() {
        let len = || FaultFs::new(2);
        let whole = len();
        let head = filled(&whole, 4).head().to_owned();
        let name = "000001.entries";
        let bytes = whole.bytes(name).unwrap();
        for at in 0..bytes.len() {
            let fs = len();
            drop(filled(&fs, 4));
            fs.flip(name, at, 3);
            let (mut log, began) = open(&fs);
            let expect = Began::After {
                origin: "local/audit/till-1".into(),
                head: head.clone(),
            };
            assert_eq!(began, expect, "byte {at}");
            assert_eq!(
                (log.size(), log.origin()),
                (0, "local/audit/till-1/2".into())
            );
            log.append(&[entry(9)], &sign).unwrap();
            drop(log);
            assert_eq!(open(&fs).1, Began::On);
        }
        let fs = len();
        drop(filled(&fs, 4));
        fs.put(name, bytes[..bytes.len() - 1].to_vec());
        assert!(matches!(open(&fs).1, Began::After { .. }));
    }

    #[test]
    fn a_flip_under_an_open_trail_is_never_shown() {
        let fs = FaultFs::new(3);
        let log = filled(&fs, 3);
        fs.flip("000001.entries", 9, 0);
        assert!(matches!(log.read(0..3), Err(AuditFault::Damaged)));
        assert!(matches!(log.prove(1), Err(AuditFault::Damaged)));
    }

    /// What was answered stands after any crash; what was not may stand or not, and is never half there.
    #[test]
    fn whatever_the_disk_does_an_entry_that_was_answered_stays() {
        for seed in 0..400u64 {
            let fs = FaultFs::new(seed);
            let mut dice = Dice(seed);
            let mut answered: Vec<Vec<u8>> = Vec::new();
            let (mut log, _) = open(&fs);
            for step in 0..30 {
                fs.fail_rate(u32::try_from(dice.below(2) * 60_000).unwrap());
                match log.append(&[entry(step)], &sign) {
                    Ok(range) => {
                        assert_eq!(range.start, answered.len() as u64, "seed {seed}");
                        answered.push(entry(step));
                    }
                    Err(AuditFault::Disk { .. }) => {}
                    Err(other) => panic!("seed {seed}: {other}"),
                }
                fs.fail_rate(0);
                if dice.below(6) == 0 {
                    drop(log);
                    fs.crash();
                    let (again, began) = open(&fs);
                    log = again;
                    assert!(
                        !matches!(began, Began::After { .. }),
                        "seed {seed} step {step}"
                    );
                    let size = log.size();
                    assert!(
                        size >= answered.len() as u64,
                        "seed {seed}: an answered entry is gone"
                    );
                    let held = log.read(0..size).unwrap();
                    assert_eq!(&held[..answered.len()], answered, "seed {seed}");
                    // One that was not answered may have been signed just before the power went.
                    answered = held;
                }
            }
        }
    }
}
