//! Components that break one law each, on purpose: a check that never bites is no check.
//!
//! The world asks its saboteur at the seam where that component stands. [`run`] lets each have a few
//! days; one whose law is not named in a finding went unnoticed, and the run fails.

use popwatch_core::invariant::Law;

use crate::check::Finding;
use crate::world;

/// Days a saboteur gets to be noticed in.
const DAYS: u64 = 24;

/// Who breaks what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Saboteur {
    /// A disk that forgets a write although it was synced.
    ForgetfulDisk,
    /// A journal that gives a number out again after its tail was cut.
    ReusedSeq,
    /// A ledger that counts whatever comes, without looking at positions.
    BlindLedger,
    /// A merge that adds the newer cell to the older one.
    AddingMerge,
    /// A sum over all currencies.
    MixedSum,
    /// Books in which one posting was left out.
    LostPosting,
    /// A way into the journal past the detectors.
    DeafDetector,
    /// A reader that shows records without a grant.
    HastyReader,
    /// A door that answers for money only after the ledger did.
    WaitingDoor,
    /// A line that keeps every body that was not answered, to send it later.
    EndlessQueue,
    /// A fold that takes records as they come.
    HastyFold,
}

impl Saboteur {
    /// All of them, by their law.
    pub(crate) const ALL: [Self; 11] = [
        Self::ForgetfulDisk,
        Self::ReusedSeq,
        Self::BlindLedger,
        Self::AddingMerge,
        Self::MixedSum,
        Self::LostPosting,
        Self::DeafDetector,
        Self::HastyReader,
        Self::WaitingDoor,
        Self::EndlessQueue,
        Self::HastyFold,
    ];

    /// The law it breaks.
    #[must_use]
    pub(crate) const fn law(self) -> Law {
        match self {
            Self::ForgetfulDisk => Law::L1,
            Self::ReusedSeq => Law::L2,
            Self::BlindLedger => Law::L3,
            Self::AddingMerge => Law::L4,
            Self::MixedSum => Law::L5,
            Self::LostPosting => Law::L6,
            Self::DeafDetector => Law::L7,
            Self::HastyReader => Law::L9,
            Self::WaitingDoor => Law::L10,
            Self::EndlessQueue => Law::L11,
            Self::HastyFold => Law::L12,
        }
    }

    /// What it is, in words.
    #[must_use]
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::ForgetfulDisk => "a disk that forgets a synced write",
            Self::ReusedSeq => "a seq given out again after a cut",
            Self::BlindLedger => "a ledger without its position check",
            Self::AddingMerge => "a merge that adds",
            Self::MixedSum => "a sum over all currencies",
            Self::LostPosting => "a posting left out",
            Self::DeafDetector => "a way past the detectors",
            Self::HastyReader => "a read without a grant",
            Self::WaitingDoor => "ingest that waits for a peer",
            Self::EndlessQueue => "a queue without a bound",
            Self::HastyFold => "a fold that trusts arrival order",
        }
    }
}

/// How one saboteur fared.
#[derive(Debug, Clone)]
pub(crate) struct Caught {
    /// Who.
    pub(crate) who: Saboteur,
    /// Days it had, the last one the day it was noticed on.
    pub(crate) days: u64,
    /// What was found; `None` when nobody noticed. Another law than its own is no notice.
    pub(crate) finding: Option<Finding>,
}

impl Caught {
    /// Whether it was noticed for what it is.
    #[must_use]
    pub(crate) fn is_noticed(&self) -> bool {
        self.finding
            .as_ref()
            .is_some_and(|finding| finding.law == Some(self.who.law()))
    }
}

/// Lets a saboteur loose on days from `base` on until one of them is found out.
#[must_use]
pub(crate) fn run(who: Saboteur, base: u64) -> Caught {
    for day in 0..DAYS {
        let outcome = world::day(base.wrapping_add(day), None, Some(who));
        if let Some(finding) = outcome.finding {
            return Caught {
                who,
                days: day + 1,
                finding: Some(finding),
            };
        }
    }
    Caught {
        who,
        days: DAYS,
        finding: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_with_a_predicate_has_its_saboteur() {
        let laws: Vec<_> = Saboteur::ALL.iter().map(|who| who.law()).collect();
        // A simulated day runs under one policy: joins that loosen are shown to L8 beside its table.
        let mut met = Law::ALL.to_vec();
        met.retain(|law| *law != Law::L8);
        assert_eq!(laws, met);
    }

    #[test]
    fn each_saboteur_is_noticed_for_what_it_is() {
        for who in Saboteur::ALL {
            let caught = run(who, 1);
            assert!(caught.is_noticed(), "{who:?}: {:?}", caught.finding);
        }
    }
}
