//! What the rig itself tells: power, room, syncs.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use popwatch_core::limits::{
    PREFLIGHT_EVENT_BYTES, PREFLIGHT_SYNCS, RESERVE_SEGMENTS_MAX, SEGMENT_BYTES, SYNC_HONEST_NS_MIN,
};
use popwatch_core::preflight::{self, Check, DiskRoom, Finding, FsyncCheck, Place, PowerCheck};
use popwatch_core::shed::budget_bytes;
use popwatch_store::fs::honest::{self, Doubt};
use popwatch_store::fs::os::OsFs;

use super::Site;
use crate::ambient::Ambient;
use crate::probes::{Host, Probes};

/// From how many records on the journal itself tells what one takes on disk.
const RECORDS_TELLING: u64 = 100_000;
/// Of the file that is written and synced.
const NAME: &str = "probe-preflight";
/// What is written at once, bytes.
const BLOCK: usize = 4_096;

impl Site {
    /// Power and UPS.
    pub(super) async fn power(&self) -> (Finding, Finding) {
        let host = match &self.asked.config.edge {
            Some(edge) if edge.host_probes => Host {
                root: edge.host_root.clone(),
                data: self.asked.config.data.clone(),
                upsd: edge.host_upsd,
            },
            Some(_) | None => {
                let why = "host probes are off for this rig";
                let todo = "set edge.host_probes = true, or make sure of mains and UPS by hand";
                let unseen = |check| Finding::not_checked(check, why, todo);
                return (unseen(Check::Power), unseen(Check::Ups));
            }
        };
        let (battery, ups) = Probes::new(host, self.ambient.clone()).feeds().await;
        let power = PowerCheck {
            mains_declared: self.asked.mains,
            battery,
            has_ups: ups.answered,
        };
        (preflight::power(&power, &self.window), preflight::ups(&ups))
    }

    /// Room for the popup.
    pub(super) async fn disk(&self) -> Finding {
        let Ok(disk) = rustix::fs::statvfs(&self.asked.config.data) else {
            let todo = "start popwatch run here once, or name the folder with --data";
            return Finding::not_checked(Check::Disk, "the data directory is not there", todo);
        };
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let status = match &self.edge {
            Some(edge) => self.json(&format!("{edge}/v1/status")).await,
            None => None,
        };
        let status = status.unwrap_or_default();
        let used = status["disk"]["used_bytes"].as_u64().unwrap_or(0);
        let records = status["durable_seq"].as_u64().unwrap_or(0);
        let bytes_each = match records {
            RECORDS_TELLING.. => used.div_ceil(records),
            0..RECORDS_TELLING => PREFLIGHT_EVENT_BYTES,
        };
        let within_budget = budget_bytes(total).saturating_sub(used);
        let free = disk
            .f_bavail
            .saturating_mul(disk.f_frsize)
            .min(within_budget);
        preflight::disk(&DiskRoom {
            free,
            events: self.events(),
            bytes_each,
            reserve: RESERVE_SEGMENTS_MAX as u64 * SEGMENT_BYTES,
        })
    }

    /// Writes and syncs, timed, on a thread that may wait.
    pub(super) async fn fsync(&self) -> Finding {
        let data = self.asked.config.data.clone();
        let ambient = self.ambient.clone();
        let timed = tokio::task::spawn_blocking(move || time_syncs(&data, &ambient));
        match timed.await {
            Ok(check) => preflight::fsync(&check),
            Err(_) => Finding::not_checked(Check::Fsync, "timing the syncs failed", "run again"),
        }
    }
}

fn time_syncs(data: &Path, ambient: &Ambient) -> FsyncCheck {
    let mut check = FsyncCheck {
        place: Place::Disk,
        fault: None,
        count: 0,
        p50_us: 0,
        p99_us: 0,
        is_honest: true,
    };
    if !data.is_dir() {
        check.fault = Some(String::from("the data directory is not there"));
        return check;
    }
    let number = OsFs::new(data).and_then(|fs| fs.file_system());
    check.place = match number.map(|number| honest::judge(number, &[])) {
        Ok(Some(Doubt::Memory)) => Place::Memory,
        Ok(Some(Doubt::Layer)) => Place::Layer,
        Ok(Some(Doubt::Network)) => Place::Network,
        Ok(Some(Doubt::TooFast { .. }) | None) | Err(_) => Place::Disk,
    };
    match write_and_sync(&data.join(NAME), ambient) {
        Ok(mut took_ns) => {
            took_ns.sort_unstable();
            let rank = |permille: usize| {
                let at = (took_ns.len() * permille).div_ceil(1_000).max(1) - 1;
                took_ns.get(at).copied().unwrap_or(0)
            };
            check.count = took_ns.len();
            check.p50_us = rank(500) / 1_000;
            check.p99_us = rank(990) / 1_000;
            check.is_honest = rank(500) >= SYNC_HONEST_NS_MIN;
        }
        Err(fault) => check.fault = Some(fault.kind().to_string()),
    }
    check
}

/// How long each took, ns. The file goes whatever happens.
fn write_and_sync(path: &Path, ambient: &Ambient) -> std::io::Result<Vec<u64>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let block = [0xA5; BLOCK];
    let mut once = |at: usize| -> std::io::Result<u64> {
        let before = ambient.mono_ns();
        // Places of their own, as in a journal: each has to be allocated and written.
        file.write_all_at(&block, (at * BLOCK) as u64)?;
        file.sync_data()?;
        Ok(ambient.mono_ns().saturating_sub(before))
    };
    let took = (0..PREFLIGHT_SYNCS).map(&mut once).collect();
    std::fs::remove_file(path)?;
    took
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_timed_and_left_as_it_was() {
        let folder = std::env::temp_dir().join(format!("popwatch-syncs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let check = time_syncs(&folder, &Ambient::system());
        assert_eq!((check.count, &check.fault), (PREFLIGHT_SYNCS, &None));
        assert!(check.p50_us <= check.p99_us && check.p99_us > 0);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(&folder).unwrap();
        let gone = time_syncs(&folder, &Ambient::system());
        assert!(gone.fault.is_some() && !folder.exists());
    }
}
