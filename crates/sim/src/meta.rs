//! The simulator tested: one seed twice gives the same day, byte for byte.

use crate::check::Finding;
use crate::world::{self, Ended};

/// Runs a seed twice. The second day is compared with the first by the hash of everything it put
/// out and by its steps.
#[must_use]
pub(crate) fn twice(seed: u64) -> Option<Finding> {
    let (one, other) = (world::day(seed, None, None), world::day(seed, None, None));
    compare(&one, &other)
}

fn compare(one: &Ended, other: &Ended) -> Option<Finding> {
    let parting = one
        .steps
        .iter()
        .zip(&other.steps)
        .position(|(one, other)| one != other);
    let same = one.digest == other.digest
        && one.counts == other.counts
        && one.finding == other.finding
        && parting.is_none();
    let step = u64::try_from(parting.unwrap_or(one.steps.len())).unwrap_or(u64::MAX);
    (!same).then(|| {
        let sentence = format!("seed {} gave two different days", one.seed);
        Finding {
            step,
            ..Finding::defect(sentence)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_day_and_another_seed_another() {
        assert_eq!(twice(3), None);
        let (one, other) = (world::day(3, None, None), world::day(4, None, None));
        assert!(compare(&one, &other).is_some());
    }

    #[test]
    fn one_byte_less_is_another_day() {
        let one = world::day(3, None, None);
        let other = Ended {
            digest: [0; 32],
            ..one.clone()
        };
        assert!(compare(&one, &other).is_some());
    }
}
