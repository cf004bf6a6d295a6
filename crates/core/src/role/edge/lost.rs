//! What an edge knows to be lost: records to damage, events to refusals.

use alloc::string::String;

use super::Edge;
use crate::event::system::{Gap, Loss};
use crate::limits::{STATUS_GAPS_MAX, STATUS_LOSSES_MAX};

/// Causes of gaps as the journal names them.
const CAUSES: [&str; 4] = ["media", "torn", "missing_file", "thinned"];

impl Edge {
    /// Records lost to damage, all epochs.
    #[must_use]
    pub fn gap_records(&self) -> u64 {
        self.gap_records
    }

    /// The newest gaps, oldest first; a bounded number of them.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter()
    }

    /// Events refused or shed, as far as journaled.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses.values().sum()
    }

    /// The same by class and cause.
    pub fn losses_by_cause(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let rows = self.losses.iter();
        rows.map(|((class, cause), count)| (class.as_str(), cause.as_str(), *count))
    }

    /// Gaps by cause, all epochs; a cause that nobody knows is `other`.
    pub fn gaps_by_cause(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.gap_causes
            .iter()
            .map(|(cause, count)| (*cause, *count))
    }

    pub(super) fn note_gap(&mut self, gap: &Gap) {
        self.gap_records += (gap.last + 1).saturating_sub(gap.first);
        let known = CAUSES.into_iter().find(|cause| *cause == gap.cause);
        *self.gap_causes.entry(known.unwrap_or("other")).or_default() += 1;
        if self.gaps.len() >= STATUS_GAPS_MAX {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap.clone());
    }

    pub(super) fn note_loss(&mut self, loss: &Loss) {
        for row in &loss.counts {
            let mut key = (row.class.clone(), row.cause.clone());
            if self.losses.len() >= STATUS_LOSSES_MAX && !self.losses.contains_key(&key) {
                key = (String::from("other"), String::from("other"));
            }
            let count = self.losses.entry(key).or_default();
            *count = count.saturating_add(row.count);
        }
    }
}
