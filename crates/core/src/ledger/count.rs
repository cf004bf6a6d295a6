//! Shelf counts against what should be there (K-COUNT).
//!
//! A count is as of its own time. A later sale with an earlier time changes what was expected, so
//! all counts of a SKU are evaluated again whenever one of its facts comes: the outcome depends on
//! the set of facts alone. After a count the books believe it, so the next count is compared with
//! this one and what moved since.

use alloc::vec::Vec;

use super::FactId;

/// How far off the expected number may be because records are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// Items that lost records may have taken out; `None` for no bound.
    pub out: Option<i64>,
    /// Items that lost records may have brought in; `None` for no bound.
    pub into: Option<i64>,
}

impl Band {
    /// Nothing is lost.
    pub const NONE: Self = Self {
        out: Some(0),
        into: Some(0),
    };

    /// Both uncertainties together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |one: Option<i64>, other: Option<i64>| Some(one?.saturating_add(other?));
        Self {
            out: sum(self.out, other.out),
            into: sum(self.into, other.into),
        }
    }

    /// Where no more than so many items could have been taken out.
    #[must_use]
    pub fn at_most(self, rights: i64) -> Self {
        Self {
            out: Some(self.out.map_or(rights, |out| out.min(rights))),
            into: self.into,
        }
    }

    fn clamp(self, expected: i64, counted: i64) -> i64 {
        let low = self
            .out
            .map_or(i64::MIN, |out| expected.saturating_sub(out));
        let high = self
            .into
            .map_or(i64::MAX, |into| expected.saturating_add(into));
        counted.max(low).min(high)
    }
}

/// Items that came to (or left, negative) the stock that can be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnHandMove {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// How many.
    pub units: i64,
}

/// One shelf count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The fact.
    pub fact: FactId,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// How many were there.
    pub units: i64,
}

/// What a count says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountOutcome {
    /// The count.
    pub count: Counted,
    /// What should have been there.
    pub expected: i64,
    /// The part of counted − expected that lost records cannot explain.
    pub certain: i64,
}

/// Evaluates the counts of one SKU. `counts` in canonical order; a move at the instant of a count
/// comes before it.
#[must_use]
pub fn evaluate(moves: &[OnHandMove], counts: &[Counted], band: Band) -> Vec<CountOutcome> {
    let mut believed = 0i64;
    counts
        .iter()
        .map(|count| {
            let moved = moves
                .iter()
                .filter(|step| step.at_ms <= count.at_ms)
                .fold(0i64, |sum, step| sum.saturating_add(step.units));
            // A shelf holds no fewer than none: what was sold beyond it is an oversell (R43).
            let expected = moved.max(0).saturating_add(believed);
            let certain = count
                .units
                .saturating_sub(band.clamp(expected, count.units));
            believed = believed.saturating_add(certain);
            CountOutcome {
                count: count.clone(),
                expected,
                certain,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(at_ms: i64, units: i64) -> Counted {
        Counted {
            fact: FactId([0; 16]),
            at_ms,
            units,
        }
    }

    fn moved(at_ms: i64, units: i64) -> OnHandMove {
        OnHandMove { at_ms, units }
    }

    #[test]
    fn what_was_set_aside_bounds_what_could_be_lost() {
        let unknown = Band {
            out: None,
            into: None,
        };
        assert_eq!(unknown.at_most(3).out, Some(3));
        let five = Band {
            out: Some(5),
            into: Some(0),
        };
        assert_eq!(
            five.at_most(3),
            Band {
                out: Some(3),
                ..five
            }
        );
        assert_eq!(five.at_most(9), five);
    }

    #[test]
    fn a_count_is_as_of_its_own_time() {
        let moves = [moved(1, 30), moved(5, -6), moved(9, -4)];
        let outcomes = evaluate(&moves, &[count(5, 23)], Band::NONE);
        assert_eq!((outcomes[0].expected, outcomes[0].certain), (24, -1));
    }

    #[test]
    fn the_next_count_starts_from_the_last_one() {
        let moves = [moved(1, 30), moved(9, -4)];
        let outcomes = evaluate(&moves, &[count(5, 20), count(10, 16)], Band::NONE);
        assert_eq!(outcomes[0].certain, -10);
        assert_eq!((outcomes[1].expected, outcomes[1].certain), (16, 0));
    }

    #[test]
    fn only_what_lost_records_cannot_explain_is_certain() {
        let band = Band {
            out: Some(4),
            into: Some(1),
        };
        for (counted, certain) in [(30, 0), (26, 0), (25, -1), (31, 0), (33, 2)] {
            let outcomes = evaluate(&[moved(1, 30)], &[count(5, counted)], band);
            assert_eq!(outcomes[0].certain, certain, "{counted}");
        }
        let open = Band {
            out: None,
            into: Some(0),
        };
        assert_eq!(
            evaluate(&[moved(1, 30)], &[count(5, 0)], band.and(open))[0].certain,
            0
        );
    }
}
