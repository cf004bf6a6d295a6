//! The disk under the journal.

use std::path::Path;

use super::{Fault, Seen};

/// Bytes free to this process on the disk that holds `folder`.
pub(super) fn free(seen: &mut Seen, folder: &Path) -> Option<u64> {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.checked_mul(disk.f_frsize),
        Err(_) => {
            seen.faults
                .push(Fault::Unreadable(String::from("the data directory's disk")));
            None
        }
    }
}
