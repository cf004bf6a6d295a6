//! What a policy's terms mean for those who hold copies of cells and show them: how long cells stay at
//! regions, and what members of a co-op are told of each other.

use super::limit::Limit;
use super::terms::Terms;
use crate::event::system::{CellRung, CellTerms, CoopTerms};
use crate::money::div_half_even;

const MINUTE_MS: u64 = 60_000;

impl CellTerms {
    /// What these terms say.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        let rungs = terms.ladder.rungs().iter();
        let ladder = rungs.map(|rung| CellRung {
            after_ms: rung.after.ms(),
            step_min: u32::try_from(rung.step.ms() / MINUTE_MS).unwrap_or(u32::MAX),
        });
        Self {
            keep_ms: terms.span(Limit::CellsKeep).ms(),
            pseudonyms_ms: terms.span(Limit::PseudonymKeep).ms(),
            min_group: terms.limit(Limit::MinGroup),
            ladder: ladder.collect(),
        }
    }

    /// What holds for a popup of which no policy says anything.
    #[must_use]
    pub fn usual() -> Self {
        Self::of(&Terms::built_in())
    }

    /// The step at an age, minutes, at least 1.
    #[must_use]
    pub fn step_min(&self, age_ms: u64) -> u32 {
        let passed = self.ladder.iter().filter(|rung| rung.after_ms <= age_ms);
        passed.map(|rung| rung.step_min).max().unwrap_or(1).max(1)
    }

    /// The age from which on cells of minutes must not be held, ms: the first of a coarser step, the
    /// end of pseudonyms, the end of all.
    #[must_use]
    pub fn cells_ms(&self) -> u64 {
        let coarser = self.ladder.iter().filter(|rung| rung.step_min > 1);
        let coarser = coarser.map(|rung| rung.after_ms).min();
        let ends = self.keep_ms.min(self.pseudonyms_ms);
        coarser.map_or(ends, |coarser| coarser.min(ends))
    }
}

impl CoopTerms {
    /// What these terms say.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        Self {
            min_contributors: terms.limit(Limit::MinContributors),
            money_step: terms.limit(Limit::MoneyStep),
        }
    }

    /// What holds for a popup of which no policy says anything.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            min_contributors: Limit::MinContributors.usual(),
            money_step: Limit::MoneyStep.usual(),
        }
    }

    /// An amount as members are told it: the nearest multiple of the step, half to even.
    #[must_use]
    pub fn rounded(&self, minor: i128) -> i128 {
        let step = i128::from(self.money_step.max(1));
        div_half_even(minor, step).saturating_mul(step)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::duration::Span;
    use super::super::ladder::{Ladder, Rung};
    use super::*;

    fn laddered(rungs: &[(u64, u64)]) -> CellTerms {
        let mut terms = Terms::built_in();
        let rung = |(days, minutes): &(u64, u64)| Rung {
            after: Span::days(*days),
            step: Span::minutes(*minutes),
        };
        terms.ladder = Ladder::new(rungs.iter().map(rung).collect::<Vec<_>>()).unwrap();
        CellTerms::of(&terms)
    }

    #[test]
    fn cells_of_minutes_go_with_the_first_coarser_step_or_with_the_pseudonyms() {
        let day = Span::days(1).ms();
        let fine = CellTerms::usual();
        assert_eq!((fine.step_min(400 * day), fine.cells_ms()), (1, 14 * day));
        let coarse = laddered(&[(0, 1), (7, 15), (90, 1_440)]);
        let steps = [0, 7 * day - 1, 7 * day, 90 * day].map(|age| coarse.step_min(age));
        assert_eq!(steps, [1, 1, 15, 1_440]);
        assert_eq!(coarse.cells_ms(), 7 * day);
        assert_eq!(laddered(&[(0, 1), (30, 15)]).cells_ms(), 14 * day);
    }

    #[test]
    fn a_step_of_nothing_is_a_minute() {
        let odd = CellTerms {
            ladder: Vec::from([CellRung::default()]),
            ..CellTerms::default()
        };
        assert_eq!(odd.step_min(0), 1);
    }

    #[test]
    fn members_are_told_the_nearest_multiple() {
        let told = |money_step, minor| {
            let terms = CoopTerms {
                money_step,
                ..CoopTerms::usual()
            };
            terms.rounded(minor)
        };
        let euros = [149, 150, 250, -151, -49].map(|minor| told(100, minor));
        assert_eq!(euros, [100, 200, 200, -200, 0]);
        assert_eq!([told(0, 149), told(1, 149)], [149, 149]);
    }
}
