//! CPU time, wall time and quantiles.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Work that was done and what it took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Units of work.
    pub(super) units: u64,
    /// User and system time.
    pub(super) cpu: Duration,
    /// Time on the wall.
    pub(super) wall: Duration,
}

impl Spent {
    /// Units per second on the wall.
    pub(super) fn per_second(&self) -> f64 {
        self.units as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// Units per second of CPU.
    pub(super) fn per_cpu_second(&self) -> f64 {
        self.units as f64 / self.cpu.as_secs_f64().max(1e-9)
    }

    /// CPU of one unit, µs.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.units.max(1) as f64
    }

    /// Adds another round.
    pub(super) fn add(&mut self, other: Self) {
        self.units += other.units;
        self.cpu += other.cpu;
        self.wall += other.wall;
    }
}

/// Measures one piece of work of this process; the work answers how many units it did.
pub(super) fn measure(work: impl FnOnce() -> Result<u64>) -> Result<Spent> {
    let (cpu, wall) = (own_cpu(), Instant::now());
    let units = work()?;
    Ok(Spent {
        units,
        cpu: own_cpu().saturating_sub(cpu),
        wall: wall.elapsed(),
    })
}

/// User and system time of this process so far.
pub(super) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// User and system time of a process and, when asked, of its children, in the hundredths of a
/// second that `/proc` counts.
pub(super) fn cpu_of(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} has another form than expected"))?;
    Ok(Duration::from_millis(ticks * 10))
}

/// User and system time of a process, its living children and those that ended.
pub(super) fn tree_cpu(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ended: u64 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // A child that ended since it was listed is counted with the ended ones next time.
    let living = children_of(process).into_iter().flat_map(cpu_of);
    let sum: Duration = living.sum();
    Ok(sum + cpu_of(process)? + Duration::from_millis(ended * 10))
}

/// The processes whose parent is this one.
pub(super) fn children_of(process: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|child| parent_of(*child) == Some(process))
        .collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Fields 14 and 15, counted after the program's name, which may itself hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A number of a `Name: 123 kB` line of a file in `/proc/PID`.
pub(super) fn proc_number(process: u32, file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The value at a quantile of a list, by nearest rank; zero of an empty one. Sorts the list.
pub(super) fn quantile(times: &mut [Duration], of: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * of).ceil();
    let at = (0..times.len()).find(|at| (at + 1) as f64 >= rank);
    at.and_then(|at| times.get(at)).copied().unwrap_or_default()
}

/// The middle round by units per second on the wall.
pub(super) fn middle(rounds: &[Spent]) -> Spent {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(|a, b| a.per_second().total_cmp(&b.per_second()));
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = "71 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("71 (short) S 1"), None);
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut times, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&mut times, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn own_cpu_time_moves_with_work() {
        let spent = measure(|| Ok((0..3_000_000_u64).map(std::hint::black_box).sum())).unwrap();
        assert!(spent.cpu > Duration::ZERO && spent.units > 0);
    }
}
