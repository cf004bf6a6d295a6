//! Stand-in checkout durations, dealt from the counts of a real latency log.
//!
//! The sheet knows when a document was written, not how long its buyer stood at the till. The
//! durations therefore come from another world (operations of a database, microseconds read as
//! milliseconds) and are labelled stand-in wherever they are shown.

use super::SalesFileFault;

/// A deck of durations with the shape of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    /// (cumulative count, milliseconds), both rising.
    steps: Vec<(u64, u32)>,
    total: u64,
    stride: u64,
}

impl Durations {
    /// Reads `value,count` rows under one heading row, values rising. Fails on the first row that
    /// is not two whole numbers.
    pub fn parse(csv: &str) -> Result<Self, SalesFileFault> {
        let mut steps = Vec::new();
        let mut total = 0u64;
        for (row, line) in (1u64..).zip(csv.lines()).skip(1) {
            let fault = |column, rule| SalesFileFault::Field { row, column, rule };
            let (value, count) = line
                .split_once(',')
                .ok_or_else(|| fault("count", "must follow a value"))?;
            let value: u32 = value
                .parse()
                .map_err(|_| fault("value", "must be a whole number"))?;
            let count: u64 = count
                .parse()
                .map_err(|_| fault("count", "must be a whole number"))?;
            total = total
                .checked_add(count)
                .ok_or_else(|| fault("count", "must not leave the range of 64 bits"))?;
            steps.push((total, value));
        }
        if total == 0 {
            return Err(SalesFileFault::Empty);
        }
        Ok(Self {
            stride: stride(total),
            steps,
            total,
        })
    }

    /// The `index`th duration dealt, milliseconds. The counts are sorted, so dealing them from the
    /// top would make a day that slows down without end; going through them in golden steps gives
    /// any run of sales the shape of the whole log, and every value its turn.
    #[must_use]
    pub fn deal(&self, index: u32) -> u32 {
        let turn = (u128::from(index) + 1) * u128::from(self.stride) % u128::from(self.total);
        let rank = u64::try_from(turn).expect("a remainder is less than its divisor");
        let step = self.steps.partition_point(|(below, _)| *below <= rank);
        self.steps[step].1
    }

    /// How many durations the log holds.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

/// The step nearest below 0.618 of the deck that visits every card.
fn stride(total: u64) -> u64 {
    let golden = u128::from(total) * 618_034 / 1_000_000;
    let mut stride = u64::try_from(golden).expect("less than the total").max(1);
    while gcd(stride, total) != 1 {
        stride -= 1;
    }
    stride
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_dealt_as_often_as_the_log_has_it() {
        let deck = Durations::parse("value,count\n3,1\n5,4\n8,2\n").unwrap();
        let mut dealt: Vec<u32> = (0..7).map(|index| deck.deal(index)).collect();
        dealt.sort_unstable();
        assert_eq!(dealt, [3, 5, 5, 5, 5, 8, 8]);
        assert_eq!(deck.deal(7), deck.deal(0));
    }

    #[test]
    fn a_broken_row_is_named() {
        let fault = Durations::parse("value,count\n3,1\n5;4\n").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "row 3, column count: must follow a value"
        );
        assert_eq!(
            Durations::parse("value,count\n"),
            Err(SalesFileFault::Empty)
        );
    }
}
