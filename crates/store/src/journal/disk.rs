//! How full the disk is, and the segments that were allocated while it was not.
//!
//! ```text
//! reserve/0..7.pwj   zero bytes, allocated, synced; made at level 0, one per look
//!        │ rename, sync both folders
//!        ▼
//! journal/<number>.pwj   when no new file can be made; its header says so (bit 0 of the flags)
//!
//! reserve/last.pwj   for the time when even the reserve is used: a small segment in which an epoch
//!        │           begins that takes popwatch's own facts only
//!        ▼
//! rig.trimmed        what the ledger has can go, and there is room again
//! ```
//!
//! Without it freeing space would need space: the epoch that filled the disk is the current one, and
//! only one that has ended can go. Sales go on as soon as there is room for a segment and for the
//! next such file.
//!
//! If power fails around such a rename, the file lies in one of the two folders and is empty in both:
//! nothing is written to it before both folders are synced. An empty segment is removed by recovery;
//! the reserve is filled again when there is room.
//!
//! Levels and what they refuse: [`popwatch_core::shed`].

use std::io;

use popwatch_core::event::Class;
use popwatch_core::limits;
use popwatch_core::record::Stamp;
use popwatch_core::shed::{self, Disk, LEVEL_NONE, LEVEL_RESERVE};

use super::Journal;
use super::segment::{DIR, QUARANTINE, SUFFIX};
use crate::fs::{File, Fs};

/// Folder of the segments made ahead.
pub const RESERVE: &str = "reserve";
/// The one that is kept for the end.
pub(super) const LAST: &str = "reserve/last.pwj";
/// The disk is asked at most this often, ns.
const LOOK_EVERY_NS: u64 = 1_000_000_000;

/// How full the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// 0 none, 1 low, 2 tight, 3 reserve, 4 nothing left; see [`popwatch_core::shed`].
    pub level: u8,
    /// What can still be allocated, when it was looked at last.
    pub free_bytes: u64,
    /// What popwatch may take of this file system; 0 before the first look.
    pub budget_bytes: u64,
    /// What its segments, reserve and quarantine take.
    pub used_bytes: u64,
    /// What is allocated for the time when nothing is free.
    pub reserve_bytes: u64,
}

/// What the journal knows of its disk.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) level: u8,
    total: u64,
    free: u64,
    /// Files made ahead; `None` before the folder was read.
    reserve: Option<Vec<String>>,
    /// Bytes of the quarantine, which grows during recovery only; `None` before it was read.
    aside: Option<u64>,
    looked_ns: Option<u64>,
    /// The file for the end is there.
    last: bool,
    /// It is the segment that is open: only popwatch's own facts go there.
    pub(super) in_last: bool,
}

impl<F: Fs> Journal<F> {
    /// Asks the disk how full it is and keeps the reserve filled while there is room, one segment
    /// at a time. Call it about once a second; sooner than that it answers as before. A disk that
    /// does not answer leaves the level as it was.
    pub fn look_at_disk(&mut self, stamp: Stamp) -> Pressure {
        let soon = |at: u64| stamp.mono_ns.saturating_sub(at) < LOOK_EVERY_NS;
        if self.space.looked_ns.is_some_and(soon) {
            return self.pressure();
        }
        self.space.looked_ns = Some(stamp.mono_ns);
        self.look();
        if self.space.free >= self.segment_bytes.saturating_add(self.last_bytes()) {
            // Tried again at the next look; until then it is made when it is needed.
            drop(self.make_last());
        }
        if self.space.level == 0 && self.refill().is_err() {
            // The disk says that there is room, and there is none: a quota, or others were faster.
            self.space.level = LEVEL_RESERVE;
        }
        if self.space.level == LEVEL_RESERVE && self.cannot_store() && self.reserve_left() == 0 {
            self.space.level = LEVEL_NONE;
        }
        self.pressure()
    }

    /// How full the disk was at the last look; its own bytes as of now.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        Pressure {
            level: self.space.level,
            free_bytes: self.space.free,
            budget_bytes: match self.space.total {
                0 => 0,
                total => shed::budget_bytes(total),
            },
            used_bytes: self.used_bytes(),
            reserve_bytes: self.reserve_left(),
        }
    }

    fn used_bytes(&self) -> u64 {
        let aside = self.space.aside.unwrap_or(0);
        let last = if self.space.last {
            self.last_bytes()
        } else {
            0
        };
        self.bytes_used() + self.reserve_left() + aside + last
    }

    fn reserve_left(&self) -> u64 {
        let files = self.space.reserve.as_ref().map_or(0, Vec::len);
        u64::try_from(files)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.segment_bytes)
    }

    /// Whether a new record of this class is refused now. When nothing at all can be kept that
    /// shows by the failing commit, not here: it may have become possible again.
    pub(super) fn refuses(&self, class: Class) -> bool {
        let level = self.space.level.min(LEVEL_RESERVE);
        shed::refuses(level, self.reserve_left(), class)
    }

    /// Whether there was room for one more segment at the last look.
    pub(super) fn may_have_segment(&self) -> bool {
        self.reserve_left() > 0 || self.space.free >= self.segment_bytes
    }

    fn look(&mut self) {
        if self.space.aside.is_none() {
            self.space.aside = aside_bytes(&self.fs).ok();
        }
        self.reserve_known();
        let (Ok(total), Ok(free)) = (self.fs.total_bytes(), self.fs.free_bytes()) else {
            return;
        };
        (self.space.total, self.space.free) = (total, free);
        let disk = self.disk();
        self.space.level = disk.level(self.space.level);
    }

    fn disk(&self) -> Disk {
        Disk {
            total: self.space.total,
            free: self.space.free,
            used: self.used_bytes(),
            segment: self.segment_bytes,
        }
    }

    /// Reads the folder of the reserve once. A file of another length is no reserve of ours.
    fn reserve_known(&mut self) {
        if self.space.reserve.is_some() {
            return;
        }
        let Ok(names) = self.fs.list(RESERVE) else {
            return;
        };
        let mut whole = Vec::new();
        for name in names.iter().filter(|name| name.ends_with(SUFFIX)) {
            let name = format!("{RESERVE}/{name}");
            if name == LAST {
                continue;
            }
            let len = self.fs.open(&name).and_then(|file| file.len());
            if len.is_ok_and(|len| len == self.segment_bytes) {
                whole.push(name);
            } else {
                drop(self.fs.unlink(&name));
            }
        }
        self.space.reserve = Some(whole);
    }

    /// Makes one more reserve segment, if one is missing and the disk is not low after it.
    fn refill(&mut self) -> io::Result<()> {
        let target = shed::reserve_segments(self.space.total, self.segment_bytes);
        let Some(reserve) = &self.space.reserve else {
            return Ok(());
        };
        let after = Disk {
            free: self.space.free.saturating_sub(self.segment_bytes),
            used: self.used_bytes() + self.segment_bytes,
            ..self.disk()
        };
        if reserve.len() >= target || after.level(LEVEL_RESERVE) > 0 {
            return Ok(());
        }
        self.make_reserve()?;
        self.space.free = after.free;
        Ok(())
    }

    /// Allocates one segment of reserve.
    fn make_reserve(&mut self) -> io::Result<()> {
        let reserve = self.space.reserve.get_or_insert_default();
        let free = (0..limits::RESERVE_SEGMENTS_MAX)
            .map(|number| format!("{RESERVE}/{number}{SUFFIX}"))
            .find(|name| !reserve.contains(name));
        let Some(name) = free else {
            return Ok(());
        };
        self.allocate(&name, self.segment_bytes)?;
        self.space.reserve.get_or_insert_default().push(name);
        Ok(())
    }

    fn allocate(&self, name: &str, len: u64) -> io::Result<()> {
        let made = self
            .fs
            .create(name, len)
            .and_then(|file| file.sync_data())
            .and_then(|()| self.fs.sync_dir(RESERVE));
        if made.is_err() {
            drop(self.fs.unlink(name));
        }
        made
    }

    fn last_bytes(&self) -> u64 {
        limits::LAST_SEGMENT_BYTES.min(self.segment_bytes)
    }

    /// Makes the file for the end, if it is not there.
    fn make_last(&mut self) -> io::Result<()> {
        if !self.space.last {
            let len = self.last_bytes();
            let there = self.fs.open(LAST).and_then(|file| file.len());
            if there.ok() != Some(len) {
                drop(self.fs.unlink(LAST));
                self.allocate(LAST, len)?;
            }
            self.space.last = true;
        }
        Ok(())
    }

    /// Whether only popwatch's own facts can be kept.
    pub(super) fn in_last(&self) -> bool {
        self.open.is_some() && self.space.in_last
    }

    /// Makes sure that there is room for a segment and that the end is provided for again.
    pub(super) fn make_room(&mut self) -> io::Result<()> {
        self.reserve_known();
        self.make_last()?;
        if self.reserve_left() == 0 {
            self.make_reserve()?;
        }
        Ok(())
    }

    /// There is no reserve either: gives the file for the end the name of a segment. Without one,
    /// as much as can be allocated; fails with the reason there is none.
    pub(super) fn take_last(
        &mut self,
        name: &str,
        need: u64,
        why: io::Error,
    ) -> io::Result<(F::File, u64)> {
        self.space.last = false;
        let kept = self.fs.open(LAST).and_then(|file| file.len()).unwrap_or(0);
        if kept >= need {
            self.fs.rename(LAST, name)?;
            self.fs.sync_dir(RESERVE)?;
            self.fs.sync_dir(DIR)?;
            return Ok((self.fs.open(name)?, kept));
        }
        // Power failed when the last one had been taken and nothing was let go yet.
        drop(self.fs.unlink(LAST));
        let mut len = self.last_bytes();
        while len >= need {
            if let Ok(file) = self.fs.create(name, len) {
                return Ok((file, len));
            }
            drop(self.fs.unlink(name));
            len /= 2;
        }
        Err(why)
    }

    /// No new file could be made: gives one from the reserve the name of a segment. Fails with the
    /// reason there is none, when there is no reserve either.
    pub(super) fn take_reserve(
        &mut self,
        name: &str,
        need: u64,
        why: io::Error,
    ) -> io::Result<F::File> {
        self.reserve_known();
        let fits = need <= self.segment_bytes;
        let reserve = self.space.reserve.as_mut().filter(|_| fits);
        let Some(from) = reserve.and_then(Vec::pop) else {
            self.space.level = LEVEL_NONE;
            return Err(why);
        };
        self.space.level = LEVEL_RESERVE;
        self.fs.rename(&from, name)?;
        self.fs.sync_dir(RESERVE)?;
        self.fs.sync_dir(DIR)?;
        self.fs.open(name)
    }

    /// A segment could be made. Where that was not so before, the disk is asked what has changed;
    /// at least money is kept again.
    pub(super) fn has_room(&mut self) {
        if self.space.level >= LEVEL_RESERVE {
            self.space.level = LEVEL_RESERVE;
            self.look();
        }
    }
}

fn aside_bytes<F: Fs>(fs: &F) -> io::Result<u64> {
    let mut bytes = 0u64;
    for name in fs.list(QUARANTINE)? {
        let len = fs.open(&format!("{QUARANTINE}/{name}"))?.len()?;
        bytes = bytes.saturating_add(len);
    }
    Ok(bytes)
}
