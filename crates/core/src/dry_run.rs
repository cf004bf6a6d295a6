//! Dry runs of a checkout: whether the way that payments take is open, asked every 10 s while a popup
//! is open and nobody pays for it. They count for the promise `probe_success` and are never mixed with
//! sales.

use alloc::string::String;

use crate::event::Event;
use crate::event::system::{Probed, SystemEvent};
use crate::limits::DRY_RUN_RECORD_MS;
use crate::time::MonoMs;

/// What came of one dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// How long it took, ms.
    pub took_ms: u32,
    /// Host and port that did not answer in time, or answered with a fault of their own; `None` when
    /// all of the way is open.
    pub failed: Option<String>,
}

/// Dry runs since the last record of them.
#[derive(Debug, Clone, Default)]
pub struct DryRuns {
    since: Option<MonoMs>,
    sums: Probed,
}

impl DryRuns {
    /// Takes one; answers what to journal: at once when it failed, else once a minute.
    pub fn take(&mut self, run: DryRun, now: MonoMs) -> Option<Event> {
        let since = *self.since.get_or_insert(now);
        self.sums.slowest_ms = self.sums.slowest_ms.max(run.took_ms);
        let failed = run.failed.is_some();
        match run.failed {
            Some(place) => {
                self.sums.fault += 1;
                self.sums.failed = place;
            }
            None => self.sums.ok += 1,
        }
        if !failed && now.since(since) < DRY_RUN_RECORD_MS {
            return None;
        }
        self.since = None;
        let sums = core::mem::take(&mut self.sums);
        Some(Event::System(SystemEvent::RigProbed(sums)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn run(failed: bool) -> DryRun {
        DryRun {
            took_ms: if failed { 5_000 } else { 40 },
            failed: failed.then(|| "pay.example:443".into()),
        }
    }

    #[test]
    fn a_fault_is_told_at_once_and_the_rest_once_a_minute() {
        let mut runs = DryRuns::default();
        let outcomes = (0..20).map(|ten_s: u64| (ten_s * 10_000, ten_s == 9));
        let told: Vec<_> = outcomes
            .filter_map(|(ms, failed)| Some((ms, runs.take(run(failed), MonoMs(ms))?)))
            .map(|(ms, event)| {
                let Event::System(SystemEvent::RigProbed(of)) = event else {
                    panic!("{event:?}");
                };
                (ms / 1_000, of.ok, of.fault, of.slowest_ms, of.failed)
            })
            .collect();
        let none = || String::new();
        let expected = [
            (60, 7, 0, 40, none()),
            (90, 2, 1, 5_000, "pay.example:443".into()),
            (160, 7, 0, 40, none()),
        ];
        assert_eq!(told, expected);
    }
}
