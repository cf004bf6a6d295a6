//! The decision table: one row for a claim and what the provider knows of it.
//!
//! | row | claim | objects | else |
//! |---|---|---|---|
//! | Cash | cash | none | the drawer is counted instead |
//! | Confirmed | any | success, equal money | |
//! | Partial | any | success, less than was authorised | |
//! | Amount | any | success, other amount | |
//! | Other currency | any | success, other currency | |
//! | Declined | online | declined, expired, voided only | |
//! | OfflineDeclined | offline | declined, expired, voided only | |
//! | Pending | online | none or pending | the confirm timer runs |
//! | Missing | online | none or pending | it is over |
//! | Exposed | offline | none or pending | most of its life is left |
//! | Expiring | offline | none or pending | a quarter of its life is left |
//! | Stuck | offline | none or pending | its life is over, or its till has caught up long ago |
//!
//! The first row that fits counts. An object without a claim has a table of its own: parked while the
//! timer runs, explained by a gap, or unclaimed.

/// What the provider knows of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, or nothing decided.
    Nothing,
    /// Attempts, all of which came to nothing.
    Refused,
    /// It was paid.
    Paid {
        /// In the claim's currency.
        same_currency: bool,
        /// The claimed amount.
        same_amount: bool,
        /// Less than the provider had been promised.
        less_than_authorised: bool,
    },
}

/// How far time has come for a claim that nobody confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// It may still be confirmed.
    Little,
    /// An offline payment has lived three quarters of its life.
    Long,
    /// It should have been confirmed.
    TooLong,
}

/// Which row a claim takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Confirmed,
    Partial,
    Amount,
    OtherCurrency,
    Declined,
    OfflineDeclined,
    Pending,
    Missing,
    Exposed,
    Expiring,
    Stuck,
}

/// The row of a claim that is not cash.
pub(super) fn row(offline: bool, known: Known, waited: Waited) -> Row {
    match (known, offline, waited) {
        (
            Known::Paid {
                same_currency: false,
                ..
            },
            _,
            _,
        ) => Row::OtherCurrency,
        (
            Known::Paid {
                same_amount: true, ..
            },
            _,
            _,
        ) => Row::Confirmed,
        (
            Known::Paid {
                less_than_authorised: true,
                ..
            },
            _,
            _,
        ) => Row::Partial,
        (Known::Paid { .. }, _, _) => Row::Amount,
        (Known::Refused, false, _) => Row::Declined,
        (Known::Refused, true, _) => Row::OfflineDeclined,
        (Known::Nothing, false, Waited::Little) => Row::Pending,
        (Known::Nothing, false, Waited::Long | Waited::TooLong) => Row::Missing,
        (Known::Nothing, true, Waited::Little) => Row::Exposed,
        (Known::Nothing, true, Waited::Long) => Row::Expiring,
        (Known::Nothing, true, Waited::TooLong) => Row::Stuck,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn all_known() -> Vec<Known> {
        let mut all = Vec::from([Known::Nothing, Known::Refused]);
        for bits in 0..8u8 {
            all.push(Known::Paid {
                same_currency: bits & 1 != 0,
                same_amount: bits & 2 != 0,
                less_than_authorised: bits & 4 != 0,
            });
        }
        all
    }

    /// The table again, written as conditions that must exclude each other.
    fn fits(row: Row, offline: bool, known: Known, waited: Waited) -> bool {
        let paid = match known {
            Known::Paid {
                same_currency,
                same_amount,
                less_than_authorised,
            } => Some((same_currency, same_amount, less_than_authorised)),
            Known::Nothing | Known::Refused => None,
        };
        let nothing = known == Known::Nothing;
        let refused = known == Known::Refused;
        match row {
            Row::OtherCurrency => paid.is_some_and(|(currency, _, _)| !currency),
            Row::Confirmed => paid.is_some_and(|(currency, amount, _)| currency && amount),
            Row::Partial => {
                paid.is_some_and(|(currency, amount, less)| currency && !amount && less)
            }
            Row::Amount => {
                paid.is_some_and(|(currency, amount, less)| currency && !amount && !less)
            }
            Row::Declined => refused && !offline,
            Row::OfflineDeclined => refused && offline,
            Row::Pending => nothing && !offline && waited == Waited::Little,
            Row::Missing => nothing && !offline && waited != Waited::Little,
            Row::Exposed => nothing && offline && waited == Waited::Little,
            Row::Expiring => nothing && offline && waited == Waited::Long,
            Row::Stuck => nothing && offline && waited == Waited::TooLong,
        }
    }

    #[test]
    fn every_combination_takes_exactly_its_row() {
        const ROWS: [Row; 11] = [
            Row::Confirmed,
            Row::Partial,
            Row::Amount,
            Row::OtherCurrency,
            Row::Declined,
            Row::OfflineDeclined,
            Row::Pending,
            Row::Missing,
            Row::Exposed,
            Row::Expiring,
            Row::Stuck,
        ];
        let mut taken = Vec::new();
        for offline in [false, true] {
            for known in all_known() {
                for waited in [Waited::Little, Waited::Long, Waited::TooLong] {
                    let fitting: Vec<Row> = ROWS
                        .into_iter()
                        .filter(|row| fits(*row, offline, known, waited))
                        .collect();
                    assert_eq!(
                        fitting,
                        [row(offline, known, waited)],
                        "{known:?} {waited:?}"
                    );
                    taken.extend(fitting);
                }
            }
        }
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken, ROWS, "each row is taken by something");
    }
}
