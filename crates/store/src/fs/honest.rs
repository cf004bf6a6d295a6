//! Whether a disk can be believed when it says that something is durable.
//!
//! A till acknowledges what `sync_data` says is durable. On some places that word is worth nothing:
//! memory forgets at a power cut, a container's layer goes with the container, a mount over the
//! network depends on its server, and a drive that answers faster than any flash can write has not
//! written. Selling goes on there; the till says that it cannot promise (PW0210).

use std::io;

use popwatch_core::limits;

use super::{File, Fs};

/// Why a disk is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It lives in memory.
    #[error("the data directory is in memory")]
    Memory,
    /// It is a container's layer.
    #[error("the data directory is in a container's layer, not on a volume")]
    Layer,
    /// It is on another machine.
    #[error("the data directory is on a network mount")]
    Network,
    /// Its syncs return before anything can have been written.
    #[error("syncs return in {median_ns} ns, faster than a disk can write")]
    TooFast {
        /// Median of the syncs, ns.
        median_ns: u64,
    },
}

/// Linux's numbers of file systems, from `statfs`.
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];
const LAYERS: [u64; 2] = [0x794C_7630, 0x6175_6673];
/// NFS, SMB, CIFS, SMB2, Ceph, AFS, Coda, 9P.
const NETWORK: [u64; 8] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x00C3_6400,
    0x5346_414F,
    0x7375_7245,
    0x0102_1997,
];

/// Decides from the file system's number, where it is known, and the time of some syncs, ns. `None`
/// is an honest disk, as far as can be seen.
#[must_use]
pub fn judge(file_system: Option<u64>, syncs_ns: &[u64]) -> Option<Doubt> {
    if let Some(number) = file_system {
        let known = [
            (&MEMORY[..], Doubt::Memory),
            (&LAYERS[..], Doubt::Layer),
            (&NETWORK[..], Doubt::Network),
        ];
        let found = known
            .into_iter()
            .find(|(numbers, _)| numbers.contains(&number));
        if let Some((_, doubt)) = found {
            return Some(doubt);
        }
    }
    let mut sorted = syncs_ns.to_vec();
    sorted.sort_unstable();
    let median_ns = sorted.get(sorted.len() / 2).copied()?;
    (median_ns < limits::SYNC_HONEST_NS_MIN).then_some(Doubt::TooFast { median_ns })
}

/// How long syncs take, ns by the caller's steady clock: of small writes to a file of its own, which
/// is removed again. Stops as soon as more than half of all tries were slow, so that a slow card does
/// not have to take them all.
pub fn measure<F: Fs>(fs: &F, now_ns: &mut dyn FnMut() -> u64) -> io::Result<Vec<u64>> {
    const NAME: &str = "probe-sync";
    let block = [0xA5; 4096];
    // Left behind by a process that was killed while it measured.
    drop(fs.unlink(NAME));
    let file = fs.create(NAME, 4096)?;
    let mut syncs_ns = Vec::with_capacity(limits::SYNC_PROBES);
    let mut slow = 0;
    while syncs_ns.len() < limits::SYNC_PROBES && slow <= limits::SYNC_PROBES / 2 {
        let before = now_ns();
        let synced = file.write_at(&block, 0).and_then(|()| file.sync_data());
        if let Err(error) = synced {
            drop(fs.unlink(NAME));
            return Err(error);
        }
        let took = now_ns().saturating_sub(before);
        slow += usize::from(took >= limits::SYNC_HONEST_NS_MIN);
        syncs_ns.push(took);
    }
    fs.unlink(NAME)?;
    Ok(syncs_ns)
}

/// Measures and judges the file system of a folder. Blocks for up to a hundred syncs; fails when the
/// disk refuses.
#[cfg(unix)]
pub fn doubt(fs: &super::os::OsFs, now_ns: &mut dyn FnMut() -> u64) -> io::Result<Option<Doubt>> {
    let number = fs.file_system()?;
    if let Some(doubt) = judge(number, &[]) {
        return Ok(Some(doubt));
    }
    Ok(judge(number, &measure(fs, now_ns)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::faulty::{Fault, FaultFs};

    #[track_caller]
    fn check(number: Option<u64>, syncs_ns: &[u64], expect: Option<Doubt>) {
        assert_eq!(judge(number, syncs_ns), expect);
    }

    #[test]
    fn memory_layers_networks_and_impossible_speed_are_not_believed() {
        const EXT4: Option<u64> = Some(0xEF53);
        let slow = [900_000; 60];
        check(EXT4, &slow, None);
        check(None, &slow, None);
        check(Some(0x0102_1994), &slow, Some(Doubt::Memory));
        check(Some(0x794C_7630), &slow, Some(Doubt::Layer));
        check(Some(0x6969), &slow, Some(Doubt::Network));
        check(Some(0xFF53_4D42), &[], Some(Doubt::Network));
        let median_ns = 19_999;
        check(EXT4, &[median_ns; 100], Some(Doubt::TooFast { median_ns }));
        check(EXT4, &[20_000; 100], None);
        // Half of them fast is no proof.
        check(None, &[vec![5; 50], vec![30_000; 50]].concat(), None);
        check(
            None,
            &[vec![5; 51], vec![30_000; 49]].concat(),
            Some(Doubt::TooFast { median_ns: 5 }),
        );
        check(EXT4, &[], None);
    }

    #[test]
    fn a_measurement_leaves_nothing_behind_and_ends_early_on_a_slow_disk() {
        let fs = FaultFs::new(1);
        fs.put("probe-sync", vec![1]);
        let clock = |step: u64| {
            let mut now = 0;
            move || {
                now += step;
                now
            }
        };
        assert_eq!(
            measure(&fs, &mut clock(5)).unwrap().len(),
            limits::SYNC_PROBES
        );
        let slow = measure(&fs, &mut clock(10_000_000)).unwrap();
        assert_eq!(slow.len(), limits::SYNC_PROBES / 2 + 1);
        assert!(fs.names().is_empty());
        fs.fail_at(fs.ops() + 5, Fault::Io);
        assert!(measure(&fs, &mut clock(5)).is_err());
        assert!(fs.names().is_empty());
    }
}
