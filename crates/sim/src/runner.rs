//! Many days: over the cores there are, results in the order of their seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::check::Finding;
use crate::world::{self, Counts};

/// A day that went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    /// Its seed.
    pub(crate) seed: u64,
    /// What was found.
    pub(crate) finding: Finding,
}

/// What many days came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Days {
    /// How many.
    pub(crate) seeds: u64,
    /// What happened in them.
    pub(crate) counts: Counts,
    /// Those that went wrong, by seed.
    pub(crate) failed: Vec<Failed>,
}

/// Runs the days of some seeds. `each` hears how many are done.
pub(crate) fn run(seeds: &[u64], threads: usize, each: &(dyn Fn(usize) + Sync)) -> Days {
    let next = AtomicUsize::new(0);
    let days = Mutex::new(Days::default());
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ended = world::day(*seed, None, None);
            let mut days = days.lock().expect("a day that panics is caught before");
            days.seeds += 1;
            days.counts.add(ended.counts);
            if let Some(finding) = ended.finding {
                days.failed.push(Failed {
                    seed: *seed,
                    finding,
                });
            }
            each(usize::try_from(days.seeds).unwrap_or(usize::MAX));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut days = days
        .into_inner()
        .expect("a day that panics is caught before");
    days.failed.sort_by_key(|failed| failed.seed);
    days
}

/// User and system time of this process so far, seconds; `None` where the system does not tell.
#[must_use]
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    // Linux counts in hundredths, whatever the clock of the kernel.
    Some((ticks()? + ticks()?) / 100.0)
}

/// A base for fresh seeds: from the system's entropy where there is some.
#[must_use]
pub(crate) fn fresh_base() -> u64 {
    use std::io::Read;
    let mut bytes = [0; 4];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    match read {
        Ok(()) => u64::from(u32::from_le_bytes(bytes)),
        Err(_) => u64::from(std::process::id()),
    }
}
