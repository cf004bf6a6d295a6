//! How fine cells stay as they grow old: from an age on, minutes are merged to a wider step.
//!
//! What always holds: a ladder begins at age 0, ages and steps ascend, and each step is one of
//! [`STEPS`], of which each divides the next. So the coarser of two ladders at every age is a ladder.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::duration::Span;
use crate::limits::LADDER_RUNGS_MAX;

/// Widths that cells may have.
pub const STEPS: [Span; 6] = [
    Span::minutes(1),
    Span::minutes(5),
    Span::minutes(15),
    Span::hours(1),
    Span::hours(6),
    Span::days(1),
];

/// From an age on, a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Age, from the popup's close.
    pub after: Span,
    /// Width of a cell from then on.
    pub step: Span,
}

/// How fine cells stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder(Vec<Rung>);

impl Default for Ladder {
    /// Minutes for ever.
    fn default() -> Self {
        Self(vec![Rung {
            after: Span::default(),
            step: STEPS[0],
        }])
    }
}

impl Ladder {
    /// A ladder of these rungs; `None` where they are not one.
    #[must_use]
    pub fn new(rungs: Vec<Rung>) -> Option<Self> {
        let begins = rungs.first().is_some_and(|rung| rung.after.ms() == 0);
        let ascends = rungs
            .windows(2)
            .all(|pair| pair[0].after < pair[1].after && pair[0].step < pair[1].step);
        let known = rungs.iter().all(|rung| STEPS.contains(&rung.step));
        (begins && ascends && known && rungs.len() <= LADDER_RUNGS_MAX).then_some(Self(rungs))
    }

    /// Its rungs, youngest first.
    #[must_use]
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// The width at an age.
    #[must_use]
    pub fn step(&self, age: Span) -> Span {
        let passed = self.0.iter().take_while(|rung| rung.after <= age);
        passed.last().map_or(STEPS[0], |rung| rung.step)
    }

    /// The coarser of both at every age.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut ages: Vec<Span> = (self.0.iter().chain(&other.0))
            .map(|rung| rung.after)
            .collect();
        ages.sort_unstable();
        ages.dedup();
        let mut rungs: Vec<Rung> = Vec::new();
        for after in ages {
            let step = self.step(after).max(other.step(after));
            if rungs.last().is_none_or(|last| last.step < step) {
                rungs.push(Rung { after, step });
            }
        }
        Self(rungs)
    }

    /// Whether it is at every age as coarse as the other.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> bool {
        let mut ages = self.0.iter().chain(&other.0).map(|rung| rung.after);
        ages.all(|age| self.step(age) >= other.step(age))
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, rung) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{} after {}", rung.step, rung.after)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(rungs: &[(u64, usize)]) -> Option<Ladder> {
        let rung = |(days, step): &(u64, usize)| Rung {
            after: Span::days(*days),
            step: STEPS[*step],
        };
        Ladder::new(rungs.iter().map(rung).collect())
    }

    #[test]
    fn the_coarser_at_every_age() {
        let one = ladder(&[(0, 0), (7, 2), (90, 5)]).unwrap();
        let two = ladder(&[(0, 1), (30, 3)]).unwrap();
        let both = ladder(&[(0, 1), (7, 2), (30, 3), (90, 5)]).unwrap();
        assert_eq!(one.join(&two), both);
        assert_eq!(two.join(&one), both);
        assert!(both.at_least(&one) && both.at_least(&two) && !one.at_least(&two));
    }

    #[test]
    fn what_does_not_ascend_from_zero_by_known_steps_is_no_ladder() {
        for rungs in [
            &[][..],
            &[(1, 0)],
            &[(0, 1), (1, 0)],
            &[(0, 0), (0, 1)],
            &[(0, 0), (1, 0)],
        ] {
            assert_eq!(ladder(rungs), None, "{rungs:?}");
        }
        let odd = Rung {
            after: Span::default(),
            step: Span::minutes(7),
        };
        assert_eq!(Ladder::new(vec![odd]), None);
    }
}
