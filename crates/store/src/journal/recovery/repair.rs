//! Makes the folder what the survey decided. Each step can be taken again after a crash.

use std::io;

use popwatch_core::limits;

use super::survey::{Found, Survey};
use super::{Recovery, TornTail};
use crate::fs::{File, Fs};
use crate::journal::Quarantine;
use crate::journal::scan::Torn;
use crate::journal::segment::{DIR, KeysAt, QUARANTINE, closing_bytes, keys_offset, read_range};

/// Puts aside, removes, cuts, rebuilds footers; then makes all of it durable.
pub(super) fn repair<F: Fs>(
    fs: &F,
    survey: &mut Survey,
    recovery: &mut Recovery,
) -> io::Result<()> {
    for name in &survey.aside {
        let target = free_name(fs, name)?;
        fs.rename(name, &target)?;
        recovery.quarantined.push(target);
    }
    for name in &survey.empty {
        fs.unlink(name)?;
    }
    if let Some(last) = survey.found.last().filter(|last| !last.bare) {
        let file = fs.open(&last.sealed.name)?;
        write_again(&file, last.tail_at, last.sealed.bytes)?;
    }
    for found in survey.found.iter_mut().filter(|found| found.bare) {
        let file = fs.open(&found.sealed.name)?;
        write_again(&file, found.tail_at, found.sealed.end)?;
        if let Some(torn) = &found.torn {
            match keep_tail(fs, &file, &found.sealed.name, torn) {
                Ok(name) => recovery.quarantined.push(name),
                // Starting goes before evidence of what nobody was told.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(error) => return Err(error),
            }
            recovery.bytes_cut = recovery.bytes_cut.saturating_add(torn.bytes);
            recovery.torn.push(TornTail {
                epoch: found.sealed.epoch,
                file: found.sealed.name.clone(),
                at: torn.at,
                bytes: torn.bytes,
                seqs: torn.seqs.clone(),
            });
        }
        close(&file, found)?;
    }
    if !survey.aside.is_empty() || recovery.bytes_cut > 0 {
        fs.sync_dir(QUARANTINE)?;
    }
    recovery.quarantine = bound_quarantine(fs, limits::QUARANTINE_BYTES_MAX)?;
    fs.sync_dir(DIR)
}

/// Lets the oldest evidence go until the rest keeps the bounds. Files are as old as the segments they
/// come from; what cannot be removed now goes at another start.
pub(in crate::journal) fn bound_quarantine<F: Fs>(
    fs: &F,
    bytes_max: u64,
) -> io::Result<Quarantine> {
    let mut kept = Vec::new();
    for base in fs.list(QUARANTINE)? {
        let name = format!("{QUARANTINE}/{base}");
        let bytes = fs.open(&name)?.len()?;
        kept.push((age(&base), name, bytes));
    }
    kept.sort();
    let mut left = Quarantine {
        files: kept.len(),
        bytes: kept.iter().map(|(_, _, bytes)| bytes).sum(),
        dropped: 0,
    };
    for (_, name, bytes) in kept {
        if left.bytes <= bytes_max && left.files <= limits::QUARANTINE_FILES_MAX {
            break;
        }
        if fs.unlink(&name).is_ok() {
            left.files -= 1;
            left.bytes -= bytes;
            left.dropped += 1;
        }
    }
    Ok(left)
}

/// Number of the segment a quarantined file comes from, and which of that name it is.
fn age(base: &str) -> (u64, u64) {
    let digits = base.split_once('.').map_or(base, |(digits, _)| digits);
    let nth = base.rsplit_once('.').map_or("", |(_, nth)| nth);
    (digits.parse().unwrap_or(0), nth.parse().unwrap_or(0))
}

/// Makes the last commit durable that survived the death of a process. It may be in the cache only,
/// even marked as written although its sync failed; so it is written again before it is synced.
fn write_again<T: File>(file: &T, from: u64, to: u64) -> io::Result<()> {
    let len = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let bytes = read_range(file, from, len)?;
    file.write_at(&bytes, from)?;
    file.sync_data()
}

/// A name in the quarantine that is not taken.
fn free_name<F: Fs>(fs: &F, name: &str) -> io::Result<String> {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    let taken = fs.list(QUARANTINE)?;
    let numbered = (0..).map(|number| format!("{base}.{number}"));
    let free = numbered.into_iter().find(|name| !taken.contains(name));
    Ok(format!("{QUARANTINE}/{}", free.unwrap_or_default()))
}

fn keep_tail<F: Fs>(fs: &F, file: &F::File, name: &str, torn: &Torn) -> io::Result<String> {
    let bytes = read_range(
        file,
        torn.at,
        usize::try_from(torn.bytes).unwrap_or(usize::MAX),
    )?;
    let target = free_name(fs, &format!("{name}.tail"))?;
    let made = fs.create(&target, torn.bytes);
    let copy = made.inspect_err(|_| drop(fs.unlink(&target)))?;
    copy.write_at(&bytes, 0)?;
    copy.sync_data()?;
    fs.sync_dir(QUARANTINE)?;
    Ok(target)
}

/// Writes the footer behind the last frame and cuts the file there.
fn close<T: File>(file: &T, found: &mut Found) -> io::Result<()> {
    let KeysAt::Memory(keys) = &mut found.sealed.keys else {
        return Ok(());
    };
    let (at, epoch) = (
        found.sealed.end,
        (found.sealed.epoch, &found.sealed.epoch_id),
    );
    let closing = closing_bytes(&mut found.sealed.footer, keys, epoch, at);
    let len = at + u64::try_from(closing.len()).unwrap_or(u64::MAX);
    file.write_at(&closing, at)?;
    file.set_len(len)?;
    file.sync_data()?;
    found.sealed.keys = KeysAt::File(keys_offset(at, &found.sealed.footer));
    found.sealed.bytes = len;
    Ok(())
}
