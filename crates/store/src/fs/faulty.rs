//! A disk in memory that tears, fills and lies, all by seed.
//!
//! ```text
//! written ──► seen by reads at once ──► sync_data ──► kept for good
//!                    │
//!                  crash: of what was not synced any 512-byte sectors survive, in any order;
//!                         of unsynced names only the first few, or none
//! ```
//!
//! A failed `sync_data` loses pages: some sectors reach the medium, the others are forgotten, and a
//! later sync that succeeds does not bring them back. Handles from before a crash fail for ever.
//! Clones share one disk, so that a test can crash it and open it again.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{File, Fs};

/// Bytes that survive or are lost together.
pub const SECTOR: usize = 512;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`.
    Io,
    /// `ENOSPC`.
    Full,
    /// A write stops half-way; other calls fail with `EIO`.
    Short,
    /// Power is cut: this call does part of its work and every later one fails until
    /// [`FaultFs::crash`].
    PowerCut,
}

/// A disk in memory. Clones are handles of the same disk.
#[derive(Debug, Clone)]
pub struct FaultFs(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    dice: Dice,
    names: BTreeMap<String, u64>,
    names_kept: BTreeMap<String, u64>,
    name_ops: Vec<NameOp>,
    files: BTreeMap<u64, Inode>,
    next_file: u64,
    life: u64,
    locked: bool,
    dead: bool,
    forgets: bool,
    ops: u64,
    syncs: u64,
    written: u64,
    read: u64,
    planned: BTreeMap<u64, Fault>,
    fault_ppm: u32,
    capacity: u64,
}

#[derive(Debug, Clone)]
enum NameOp {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    kept: Vec<u8>,
    waiting: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl FaultFs {
    /// An empty disk whose bad luck is decided by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            dice: Dice(seed),
            names: BTreeMap::new(),
            names_kept: BTreeMap::new(),
            name_ops: Vec::new(),
            files: BTreeMap::new(),
            next_file: 1,
            life: 0,
            locked: false,
            dead: false,
            forgets: false,
            ops: 0,
            syncs: 0,
            written: 0,
            read: 0,
            planned: BTreeMap::new(),
            fault_ppm: 0,
            capacity: u64::MAX,
        })))
    }

    /// Loses power: unsynced work survives in part, open handles and the lock are gone.
    pub fn crash(&self) {
        let mut disk = self.disk();
        let Disk {
            dice,
            files,
            names,
            names_kept,
            name_ops,
            ..
        } = &mut *disk;
        for inode in files.values_mut() {
            inode.lose_some(dice);
            inode.seen = inode.kept.clone();
        }
        if dice.below(2) == 0 {
            for op in name_ops.iter().take_while(|_| dice.below(2) == 0) {
                op.apply(names_kept);
            }
        }
        name_ops.clear();
        *names = names_kept.clone();
        disk.forgets = false;
        disk.restart();
    }

    /// The process dies, the machine does not: everything written is still seen, nothing became
    /// durable by it.
    pub fn kill(&self) {
        self.disk().restart();
    }

    /// An independent disk with the same content, all of it durable, and the bad luck of `seed`.
    #[must_use]
    pub fn copy(&self, seed: u64) -> Self {
        let disk = self.disk();
        let copy = Self::new(seed);
        {
            let mut target = copy.disk();
            target.next_file = disk.next_file;
            target.names = disk.names.clone();
            target.names_kept = disk.names.clone();
            for (id, inode) in &disk.files {
                let inode = Inode {
                    seen: inode.seen.clone(),
                    kept: inode.seen.clone(),
                    waiting: Vec::new(),
                };
                target.files.insert(*id, inode);
            }
        }
        copy
    }

    /// Calls made so far.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.disk().ops
    }

    /// Calls of `sync_data` made so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.disk().written
    }

    /// Bytes read so far.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.disk().read
    }

    /// Lets one call before the next crash fail: the one with this number (see [`FaultFs::ops`], the next call is `ops()`) fail.
    pub fn fail_at(&self, op: u64, fault: Fault) {
        self.disk().planned.insert(op, fault);
    }

    /// Lets calls that change the disk fail at random, `ppm` of a million, with `EIO`, `ENOSPC` or
    /// half a write.
    pub fn fail_rate(&self, ppm: u32) {
        self.disk().fault_ppm = ppm;
    }

    /// From now until the next crash syncs answer that all is well and keep nothing: a disk whose
    /// cache goes with the power. What was synced before stays.
    pub fn forget(&self) {
        self.disk().forgets = true;
    }

    /// Sets how many bytes all files together may have.
    pub fn capacity(&self, bytes: u64) {
        self.disk().capacity = bytes;
    }

    /// All names, ascending, as seen now.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// A file's bytes as seen now; `None` when there is no such name.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        let id = disk.names.get(name)?;
        disk.files.get(id).map(|inode| inode.seen.clone())
    }

    /// Replaces a file's bytes, durably, or makes the file.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let id = match disk.names.get(name) {
            Some(id) => *id,
            None => disk.link(name),
        };
        disk.names_kept.insert(name.into(), id);
        let inode = Inode {
            kept: bytes.clone(),
            seen: bytes,
            waiting: Vec::new(),
        };
        disk.files.insert(id, inode);
    }

    /// Removes a name, durably.
    pub fn remove(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.names_kept.remove(name);
    }

    /// Damages the medium: flips one bit of a file. Offsets beyond its end change nothing.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        self.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit & 7);
            }
        });
    }

    /// Damages the medium: zeroes a range of a file.
    pub fn zero(&self, name: &str, offset: usize, len: usize) {
        self.damage(name, |bytes| {
            bytes.iter_mut().skip(offset).take(len).for_each(|b| *b = 0);
        });
    }

    fn damage(&self, name: &str, how: impl Fn(&mut Vec<u8>)) {
        let mut disk = self.disk();
        if let Some(id) = disk.names.get(name).copied()
            && let Some(inode) = disk.files.get_mut(&id)
        {
            how(&mut inode.seen);
            how(&mut inode.kept);
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0
            .lock()
            .expect("no call on this disk panics while it holds the lock")
    }
}

impl Disk {
    fn restart(&mut self) {
        self.life += 1;
        self.locked = false;
        self.dead = false;
        self.planned.clear();
    }

    fn link(&mut self, name: &str) -> u64 {
        let id = self.next_file;
        self.next_file += 1;
        self.names.insert(name.into(), id);
        self.files.insert(id, Inode::default());
        id
    }

    /// Counts a call; answers the fault it must fail with.
    fn op(&mut self, changes: bool) -> io::Result<Option<Fault>> {
        let number = self.ops;
        self.ops += 1;
        if self.dead {
            return Err(eio());
        }
        if let Some(fault) = self.planned.remove(&number) {
            return Ok(Some(fault));
        }
        if changes && self.fault_ppm > 0 && self.dice.below(1_000_000) < u64::from(self.fault_ppm) {
            return Ok(Some(match self.dice.below(3) {
                0 => Fault::Io,
                1 => Fault::Full,
                _ => Fault::Short,
            }));
        }
        Ok(None)
    }

    /// Counts a call that fails as a whole.
    fn whole(&mut self, changes: bool) -> io::Result<()> {
        match self.op(changes)? {
            None => Ok(()),
            Some(fault) => Err(self.fail(fault)),
        }
    }

    fn fail(&mut self, fault: Fault) -> io::Error {
        match fault {
            Fault::Full => enospc(),
            Fault::Io | Fault::Short => eio(),
            Fault::PowerCut => {
                self.dead = true;
                eio()
            }
        }
    }

    fn used(&self) -> u64 {
        let bytes: usize = self
            .names
            .values()
            .filter_map(|id| self.files.get(id))
            .map(|inode| inode.seen.len())
            .sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }

    fn in_dir(&self, dir: &str) -> bool {
        let within = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == dir;
        match self {
            Self::Link(name, _) | Self::Unlink(name) => within(name),
            Self::Rename(from, to) => within(from) || within(to),
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.waiting.push(change);
    }

    /// Some sectors of what waits reach the medium, in any order; the rest is forgotten.
    fn lose_some(&mut self, dice: &mut Dice) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // One in four times nothing at all arrives, one in four everything, in order.
        match dice.below(4) {
            0 => return,
            1 => {
                waiting
                    .iter()
                    .for_each(|change| change.apply(&mut self.kept));
                return;
            }
            _ => {}
        }
        for at in (1..waiting.len()).rev() {
            waiting.swap(at, dice.index(at + 1));
        }
        for change in waiting {
            match change {
                Change::Len(_) => {
                    if dice.below(2) == 0 {
                        change.apply(&mut self.kept);
                    }
                }
                Change::Write(offset, bytes) => {
                    for (sector, at) in sectors(offset, bytes.len()) {
                        if dice.below(2) == 0 {
                            let part = bytes.get(sector.clone()).unwrap_or_default().to_vec();
                            Change::Write(at, part).apply(&mut self.kept);
                        }
                    }
                }
            }
        }
    }
}

/// The parts of a write that lie in one sector each: range in the written bytes, offset in the file.
fn sectors(offset: usize, len: usize) -> impl Iterator<Item = (std::ops::Range<usize>, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= len {
            return None;
        }
        let at = offset + start;
        let room = SECTOR - at % SECTOR;
        let end = (start + room).min(len);
        let part = (start..end, at);
        start = end;
        Some(part)
    })
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(*len, 0),
            Self::Write(offset, part) => {
                let end = offset + part.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(target) = bytes.get_mut(*offset..end) {
                    target.copy_from_slice(part);
                }
            }
        }
    }
}

impl Fs for FaultFs {
    type File = FaultFile;
    type Lock = FaultLock;

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut disk = self.disk();
        disk.whole(false)?;
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let names = disk.names.keys();
        Ok(names
            .filter_map(|name| name.strip_prefix(&prefix))
            .filter(|rest| !rest.contains('/'))
            .map(String::from)
            .collect())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<FaultFile> {
        let mut disk = self.disk();
        disk.whole(true)?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if disk.used().saturating_add(len) > disk.capacity {
            return Err(enospc());
        }
        let id = disk.link(name);
        disk.name_ops.push(NameOp::Link(name.into(), id));
        let size = usize::try_from(len).map_err(|_| enospc())?;
        if let Some(inode) = disk.files.get_mut(&id) {
            inode.change(Change::Len(size));
        }
        Ok(self.file(&disk, id))
    }

    fn open(&self, name: &str) -> io::Result<FaultFile> {
        let mut disk = self.disk();
        disk.whole(false)?;
        match disk.names.get(name).copied() {
            Some(id) => Ok(self.file(&disk, id)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.whole(true)?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.name_op(NameOp::Rename(from.into(), to.into()));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.whole(true)?;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.name_op(NameOp::Unlink(name.into()));
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.whole(true)?;
        if disk.forgets {
            return Ok(());
        }
        let ops = std::mem::take(&mut disk.name_ops);
        let (done, left): (Vec<_>, Vec<_>) = ops.into_iter().partition(|op| op.in_dir(dir));
        done.iter().for_each(|op| op.apply(&mut disk.names_kept));
        disk.name_ops = left;
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut disk = self.disk();
        disk.whole(false)?;
        Ok(disk.capacity.saturating_sub(disk.used()))
    }

    fn total_bytes(&self) -> io::Result<u64> {
        let mut disk = self.disk();
        disk.whole(false)?;
        Ok(disk.capacity)
    }

    fn lock(&self) -> io::Result<FaultLock> {
        let mut disk = self.disk();
        disk.whole(false)?;
        if disk.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.locked = true;
        Ok(FaultLock {
            fs: self.clone(),
            life: disk.life,
        })
    }
}

impl Disk {
    fn name_op(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.name_ops.push(op);
    }
}

impl FaultFs {
    fn file(&self, disk: &Disk, id: u64) -> FaultFile {
        FaultFile {
            fs: self.clone(),
            id,
            life: disk.life,
        }
    }
}

/// An open file of a [`FaultFs`].
#[derive(Debug)]
pub struct FaultFile {
    fs: FaultFs,
    id: u64,
    life: u64,
}

impl FaultFile {
    fn with<T>(
        &self,
        changes: bool,
        work: impl FnOnce(&mut Disk, u64, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.fs.disk();
        if disk.life != self.life {
            return Err(eio());
        }
        let fault = disk.op(changes)?;
        work(&mut disk, self.id, fault)
    }
}

impl File for FaultFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(false, |disk, id, fault| {
            if let Some(fault) = fault {
                return Err(disk.fail(fault));
            }
            let inode = disk.files.get(&id).ok_or_else(eio)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = inode.seen.get(start..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            for (target, byte) in buf.iter_mut().zip(rest) {
                *target = *byte;
            }
            disk.read += u64::try_from(count).unwrap_or(0);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(true, |disk, id, fault| {
            let start = usize::try_from(offset).map_err(|_| enospc())?;
            let full = disk.files.get(&id).map_or(0, |inode| inode.seen.len());
            let grows = u64::try_from((start + bytes.len()).saturating_sub(full)).unwrap_or(0);
            if fault.is_none() && disk.used().saturating_add(grows) > disk.capacity {
                return Err(enospc());
            }
            let part = match fault {
                None => bytes,
                Some(Fault::Io | Fault::Full) => &[],
                Some(Fault::Short | Fault::PowerCut) => {
                    let count = disk.dice.index(bytes.len() + 1);
                    bytes.get(..count).unwrap_or_default()
                }
            };
            disk.written += u64::try_from(part.len()).unwrap_or(0);
            if let (false, Some(inode)) = (part.is_empty(), disk.files.get_mut(&id)) {
                inode.change(Change::Write(start, part.to_vec()));
            }
            fault.map_or(Ok(()), |fault| Err(disk.fail(fault)))
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(true, |disk, id, fault| {
            disk.syncs += 1;
            if disk.forgets && fault.is_none() {
                return Ok(());
            }
            let Disk { files, dice, .. } = disk;
            let inode = files.get_mut(&id).ok_or_else(eio)?;
            if let Some(fault) = fault {
                inode.lose_some(dice);
                // The cache may go on showing what the medium never got.
                if dice.below(2) == 0 {
                    inode.seen = inode.kept.clone();
                }
                return Err(disk.fail(fault));
            }
            for change in std::mem::take(&mut inode.waiting) {
                change.apply(&mut inode.kept);
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(true, |disk, id, fault| {
            if let Some(fault) = fault {
                return Err(disk.fail(fault));
            }
            let size = usize::try_from(len).map_err(|_| enospc())?;
            let inode = disk.files.get_mut(&id).ok_or_else(eio)?;
            inode.change(Change::Len(size));
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(false, |disk, id, fault| {
            if let Some(fault) = fault {
                return Err(disk.fail(fault));
            }
            let inode = disk.files.get(&id).ok_or_else(eio)?;
            u64::try_from(inode.seen.len()).map_err(|_| eio())
        })
    }
}

/// Holds a [`FaultFs`] until it is dropped or the disk crashes.
#[derive(Debug)]
pub struct FaultLock {
    fs: FaultFs,
    life: u64,
}

impl Drop for FaultLock {
    fn drop(&mut self) {
        let mut disk = self.fs.disk();
        if disk.life == self.life {
            disk.locked = false;
        }
    }
}

/// A small generator of bad luck; equal seeds give equal days.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll().checked_rem(end).unwrap_or(0)
    }

    /// An index below `end`; 0 when `end` is 0.
    pub fn index(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }
}

fn eio() -> io::Error {
    io::Error::other("input or output failed")
}

fn enospc() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

#[cfg(test)]
mod tests;
