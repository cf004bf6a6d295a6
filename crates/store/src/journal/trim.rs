//! Letting go of what the ledger has, and what stays of it.
//!
//! ```text
//! an epoch goes as a whole, oldest first, when every record of it is replicated and
//!   - its popups have been over for `JOURNAL_KEEP_MS`, or
//!   - the disk is low (level 1 and above)
//!
//! cache/<number>.keys   keys of a segment that went while a popup of it was not over for so long
//! rig.trimmed           committed before the first file goes
//! ```
//!
//! If power fails between that record and the last unlink, the next start removes the rest. A whole
//! epoch goes or nothing of it: so no total, chain or value is ever computed over a missing start.
//! On a low disk the current epoch is ended early, so that it can go when the ledger has it.
//!
//! What stays of it are its cells, while a popup of it is not over for so long: the caller keeps
//! them as a savepoint before ([`crate::savepoint::keep_cells`]), since a region may lose its memory
//! after the records went. A key file that is lost or damaged costs nothing but the answer
//! `duplicate`: the record was replicated, and the books know the event.

use std::io;

use popwatch_core::event::Event;
use popwatch_core::event::system::{Acked, SystemEvent, Trimmed};
use popwatch_core::id::{Epoch, EpochId};
use popwatch_core::limits;
use popwatch_core::record::Stamp;

use super::footer::Footer;
use super::keys::KeyEntry;
use super::segment::{DIR, KeysAt, Sealed, load, read_range};
use super::{AppendError, Commit, Committed, EpochInfo, Journal};
use crate::fs::{File, Fs};

/// Folder of what may be deleted at any time.
pub const CACHE: &str = "cache";
const SUFFIX: &str = ".keys";

impl<F: Fs> Journal<F> {
    /// Removes the epochs that are replicated and no longer needed here. Call it about once a
    /// minute; it reads nothing unless something goes. Fails as [`Journal::append`], and then has
    /// removed nothing that was not stated.
    pub fn trim(&mut self, now: Stamp) -> Result<Commit, AppendError> {
        self.commit_with(|journal, records| {
            journal.end_early(now, records)?;
            journal.let_go(|_| true, now, records)
        })
    }

    /// Which epochs [`Journal::trim`] would remove now, oldest first, for a caller that keeps
    /// something of them before. What the commit holds comes from ending the current epoch early.
    /// Fails as [`Journal::append`].
    pub fn may_go(&mut self, now: Stamp) -> Result<(Vec<Epoch>, Commit), AppendError> {
        let commit = self.commit_with(|journal, records| journal.end_early(now, records))?;
        let low = self.pressure().level > 0;
        let epochs = self.trimmable(now.wall_ms, low);
        if epochs.is_empty() {
            self.forget_keys(now.wall_ms);
        }
        Ok((epochs.iter().map(|info| info.epoch).collect(), commit))
    }

    /// As [`Journal::trim`], for none but these epochs, and of them only what may still go.
    pub fn trim_only(&mut self, epochs: &[Epoch], now: Stamp) -> Result<Commit, AppendError> {
        self.commit_with(|journal, records| {
            journal.let_go(|info| epochs.contains(&info.epoch), now, records)
        })
    }

    fn commit_with(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Vec<Committed>) -> Result<(), AppendError>,
    ) -> Result<Commit, AppendError> {
        let mut records = std::mem::take(&mut self.undelivered);
        if let Err(error) = work(self, &mut records) {
            self.undelivered = records;
            return Err(error);
        }
        Ok(Commit {
            verdicts: Vec::new(),
            records,
        })
    }

    fn end_early(&mut self, now: Stamp, records: &mut Vec<Committed>) -> Result<(), AppendError> {
        if self.pressure().level == 0 {
            return Ok(());
        }
        // Where nothing could be kept any more, this ends the epoch already.
        self.reopen(now, records)?;
        if self.current_is_worth_ending() {
            self.turn_epoch("trim", now, records)?;
        }
        Ok(())
    }

    fn let_go(
        &mut self,
        wanted: impl Fn(&EpochInfo) -> bool,
        now: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        let low = self.pressure().level > 0;
        let mut gone = self.trimmable(now.wall_ms, low);
        gone.truncate(gone.iter().take_while(|info| wanted(info)).count());
        if !gone.is_empty() {
            self.keep_keys(&gone, now.wall_ms);
            self.remove(&gone, now, records)?;
        }
        self.forget_keys(now.wall_ms);
        Ok(())
    }

    /// Oldest epochs first, up to the first that must stay.
    fn trimmable(&self, wall_ms: i64, low: bool) -> Vec<EpochInfo> {
        let held = |info: &&EpochInfo| self.of(info).next().is_some();
        let mut epochs: Vec<_> = self.epochs.iter().filter(held).copied().collect();
        epochs.sort_by_key(|info| self.of(info).map(|segment| segment.no).min());
        let goes = |info: &EpochInfo| {
            let over = || {
                self.of(info)
                    .all(|segment| self.over(&segment.footer, wall_ms))
            };
            // What is void is appended again first, and removed by that.
            !info.current && !info.void && self.replicated(info) && (low || over())
        };
        epochs.into_iter().take_while(goes).collect()
    }

    fn of(&self, info: &EpochInfo) -> impl Iterator<Item = &Sealed> {
        let (epoch, id) = (info.epoch, info.epoch_id);
        let same = move |segment: &&Sealed| segment.epoch == epoch && segment.epoch_id == id;
        self.sealed.iter().filter(same)
    }

    /// Whether the ledger has acknowledged all of an epoch.
    pub(super) fn replicated(&self, info: &EpochInfo) -> bool {
        self.acked_up_to(info.epoch, &info.epoch_id) >= info.last_seq.0
    }

    fn acked_up_to(&self, epoch: Epoch, id: &EpochId) -> u64 {
        let same = |acked: &&Acked| acked.epoch == epoch.0 && acked.epoch_id == id.0;
        self.acked
            .iter()
            .find(same)
            .map_or(0, |acked| acked.trunk_seq.min(acked.bulk_seq))
    }

    /// Whether all popups of a segment have been over for long enough. One that is not known any
    /// more is among those that ended first.
    fn over(&self, footer: &Footer, wall_ms: i64) -> bool {
        footer.popups.iter().all(|popup| {
            self.popups.get(popup).is_none_or(|policy| {
                policy.ends_ms.saturating_add(limits::JOURNAL_KEEP_MS) <= wall_ms
            })
        })
    }

    /// Ending an epoch takes a new segment; it must give back more. With no room for one, it must
    /// give back at once.
    fn current_is_worth_ending(&self) -> bool {
        let acked = self.acked_up_to(self.head.epoch, &self.head.epoch_id);
        if !self.may_have_segment() && acked < self.head.seq {
            return false;
        }
        let closed = self.sealed.iter().filter(|segment| {
            segment.epoch_id == self.head.epoch_id && segment.footer.last_seq.0 <= acked
        });
        closed.count() >= 2
    }

    /// States that epochs are gone, then removes their files.
    pub(super) fn remove(
        &mut self,
        gone: &[EpochInfo],
        stamp: Stamp,
        records: &mut Vec<Committed>,
    ) -> Result<(), AppendError> {
        let segments: Vec<_> = gone.iter().flat_map(|info| self.of(info)).collect();
        let numbers = segments.iter().map(|segment| segment.no);
        let trimmed = Trimmed {
            first_segment: numbers.clone().min().unwrap_or(0),
            last_segment: numbers.max().unwrap_or(0),
            upto: gone
                .iter()
                .map(|info| Acked {
                    epoch: info.epoch.0,
                    epoch_id: info.epoch_id.0.to_vec(),
                    trunk_seq: info.last_seq.0,
                    bulk_seq: info.last_seq.0,
                })
                .collect(),
        };
        let names: Vec<_> = segments.iter().map(|one| one.name.clone()).collect();
        self.say(
            Event::System(SystemEvent::RigTrimmed(trimmed)),
            stamp,
            records,
        )?;
        for name in names {
            // What stays behind is removed at the next start.
            drop(self.fs.unlink(&name));
        }
        drop(self.fs.sync_dir(DIR));
        let is_gone = |epoch: Epoch, id: EpochId| {
            gone.iter()
                .any(|info| info.epoch == epoch && info.epoch_id == id)
        };
        self.sealed
            .retain(|segment| !is_gone(segment.epoch, segment.epoch_id));
        self.epochs
            .retain(|info| info.void || !is_gone(info.epoch, info.epoch_id));
        self.gaps.retain(|gap| {
            EpochId::from_slice(&gap.epoch_id).is_none_or(|id| !is_gone(Epoch(gap.epoch), id))
        });
        Ok(())
    }

    /// Keeps the keys of segments of which a popup is not over for long enough.
    fn keep_keys(&mut self, gone: &[EpochInfo], wall_ms: i64) {
        let numbers: Vec<u64> = gone
            .iter()
            .flat_map(|info| self.of(info))
            .filter(|segment| !self.over(&segment.footer, wall_ms))
            .map(|segment| segment.no)
            .collect();
        for no in numbers {
            let Some(index) = self.sealed.iter().position(|segment| segment.no == no) else {
                continue;
            };
            let mut keys = self.keys_of(index);
            keys.retain(|entry| self.counts(entry));
            let Some(segment) = self.sealed.get(index) else {
                continue;
            };
            let mut footer = Footer {
                first_seq: segment.footer.first_seq,
                last_seq: segment.footer.last_seq,
                popups: segment.footer.popups.clone(),
                ..Footer::default()
            };
            let bytes = footer.encode(&mut keys);
            let mut kept = Sealed {
                name: format!("{CACHE}/{no:012}{SUFFIX}"),
                chains_before: None,
                end: 0,
                bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                keys: KeysAt::File(u64::try_from(footer.head_bytes).unwrap_or(0)),
                verified: true,
                footer,
                ..segment.clone()
            };
            if write(&self.fs, &kept.name, &bytes).is_err() {
                // No room even for this: until the next start they are known from memory.
                kept.keys = KeysAt::Memory(keys);
            }
            self.kept_keys.push(kept);
        }
        self.bound_filters();
    }

    fn keys_of(&self, index: usize) -> Vec<KeyEntry> {
        let Some(segment) = self.sealed.get(index) else {
            return Vec::new();
        };
        let from_file = match &segment.keys {
            KeysAt::Memory(keys) => return keys.clone(),
            KeysAt::File(at) => segment.all_keys(&self.fs, *at),
        };
        from_file.unwrap_or_else(|| {
            let loaded = load(&self.fs, segment);
            loaded.map_or(Vec::new(), |loaded| {
                loaded.keys(&self.journal_key, segment.footer.last_seq)
            })
        })
    }

    fn forget_keys(&mut self, wall_ms: i64) {
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut self.kept_keys)
            .into_iter()
            .partition(|kept| !self.over(&kept.footer, wall_ms));
        self.kept_keys = stay;
        for kept in go {
            drop(self.fs.unlink(&kept.name));
        }
    }

    /// Keys that outlived their segments. A file whose segment is still there is not needed.
    pub(super) fn load_kept_keys(&mut self) {
        let names = self.fs.list(CACHE).unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(SUFFIX)) {
            let no = name.strip_suffix(SUFFIX).and_then(|no| no.parse().ok());
            let Some(no) = no else {
                continue;
            };
            let name = format!("{CACHE}/{name}");
            let there = self.sealed.iter().any(|segment| segment.no == no);
            match read_head(&self.fs, &name).filter(|_| !there) {
                Some((footer, bytes)) => self.kept_keys.push(Sealed {
                    no,
                    name,
                    epoch: Epoch(0),
                    epoch_id: EpochId([0; 16]),
                    chains_before: None,
                    end: 0,
                    bytes,
                    keys: KeysAt::File(u64::try_from(footer.head_bytes).unwrap_or(0)),
                    verified: true,
                    footer,
                }),
                None => drop(self.fs.unlink(&name)),
            }
        }
    }
}

fn write<F: Fs>(fs: &F, name: &str, bytes: &[u8]) -> io::Result<()> {
    drop(fs.unlink(name));
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let file = fs.create(name, len)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    fs.sync_dir(CACHE)
}

fn read_head<F: Fs>(fs: &F, name: &str) -> Option<(Footer, u64)> {
    const FIRST_BYTES: usize = 4_096;
    let file = fs.open(name).ok()?;
    let bytes = file.len().ok()?;
    let first = read_range(&file, 0, FIRST_BYTES).ok()?;
    let head = Footer::head_len(&first)?.min(limits::FOOTER_BYTES_MAX);
    let footer = Footer::read(&read_range(&file, 0, head).ok()?)?;
    Some((footer, bytes))
}
