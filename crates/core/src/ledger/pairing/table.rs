//! The decision table: what becomes of a claim and the objects that belong to it.
//!
//! Rows are tried in their order and the first that fits decides, so each combination takes exactly
//! one; a test walks all of them.

/// What the till says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// A payment of no configured account.
    Unchecked,
    /// A payment in cash.
    Cash,
    /// Captured while the provider answered; or a refund.
    Online,
    /// Captured while the provider could not be asked.
    Offline,
}

/// What the provider says, at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// Declined, expired, voided, failed.
    Declined,
    /// Begun.
    Pending,
    /// Done.
    Success,
}

/// How the amounts of a claim and a success compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amounts {
    /// Equal.
    Equal,
    /// Less than was authorised and less than was claimed.
    Partial,
    /// Another amount.
    Other,
    /// Another currency.
    OtherCurrency,
}

/// How long it has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Age {
    /// The timer runs.
    Young,
    /// Three quarters of a stored payment's life are over.
    Late,
    /// The timer is over.
    Over,
}

/// All that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// The till's word.
    pub said: Said,
    /// The provider's.
    pub told: Told,
    /// How their amounts compare, where both speak.
    pub amounts: Amounts,
    /// A further success on the same reference.
    pub again: bool,
    /// The reference stands in a gap of its till's records.
    pub in_gap: bool,
    /// Since the claim, or since the object where there is no claim.
    pub age: Age,
}

macro_rules! rows {
    ($($name:ident = $code:literal, $doc:literal, $case:ident => $fits:expr;)*) => {
        /// A row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Row { $( #[doc = $doc] $name, )* }

        impl Row {
            /// All rows, in the order they are tried.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// Its name in documents.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $( Self::$name => $code, )* }
            }

            /// Whether it fits a case.
            #[must_use]
            pub fn fits(self, case: &Case) -> bool {
                match self { $( Self::$name => { let $case = case; $fits } )* }
            }
        }
    };
}

rows! {
    NotChecked = "M1", "Of no configured account: shown as unconfirmed.",
        case => case.said == Said::Unchecked;
    Cash = "M2", "Cash: counted in the drawer.",
        case => case.said == Said::Cash;
    GapExplained = "M3", "An object for a record that was lost.",
        case => no_claim(case) && case.told == Told::Success && case.in_gap;
    Parked = "M4a", "An object whose claim may still come.",
        case => no_claim(case) && case.told == Told::Success && case.age != Age::Over;
    Unclaimed = "M4b", "An object whose claim never came.",
        case => no_claim(case) && case.told == Told::Success;
    Idle = "M5", "Nothing happened.",
        case => no_claim(case);
    Paired = "M6a", "Both tell the same.",
        case => success(case, Amounts::Equal) && !case.again;
    PairedAgain = "M6b", "Both tell the same, and the buyer was charged again.",
        case => success(case, Amounts::Equal);
    Partial = "M7a", "Less was captured than authorised.",
        case => success(case, Amounts::Partial);
    OtherAmount = "M7b", "Another amount.",
        case => success(case, Amounts::Other);
    OtherCurrency = "M7c", "Another currency.",
        case => success(case, Amounts::OtherCurrency);
    Declined = "M8a", "Claimed, and declined.",
        case => case.said == Said::Online && case.told == Told::Declined;
    OfflineDeclined = "M8b", "Stored, and declined.",
        case => case.said == Said::Offline && case.told == Told::Declined;
    Pending = "M9a", "The provider may still tell.",
        case => case.said == Said::Online && case.age != Age::Over;
    Missing = "M9b", "The provider told nothing in time.",
        case => case.said == Said::Online;
    Exposed = "M10a", "Stored and not yet sent.",
        case => case.age == Age::Young;
    Expiring = "M10b", "Stored, and about to be lost.",
        case => case.age == Age::Late;
    Stuck = "M10c", "Stored, and never sent.",
        case => case.age == Age::Over;
}

fn no_claim(case: &Case) -> bool {
    case.said == Said::Nothing
}

fn success(case: &Case, amounts: Amounts) -> bool {
    case.told == Told::Success && case.amounts == amounts
}

/// The row of a case: the first that fits.
#[must_use]
pub fn row(case: &Case) -> Row {
    (Row::ALL.iter().copied())
        .find(|row| row.fits(case))
        .expect("the last three rows fit every age")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    fn product() -> Vec<Case> {
        let mut out = Vec::new();
        for said in [
            Said::Nothing,
            Said::Unchecked,
            Said::Cash,
            Said::Online,
            Said::Offline,
        ] {
            for told in [Told::Nothing, Told::Declined, Told::Pending, Told::Success] {
                for amounts in [
                    Amounts::Equal,
                    Amounts::Partial,
                    Amounts::Other,
                    Amounts::OtherCurrency,
                ] {
                    for age in [Age::Young, Age::Late, Age::Over] {
                        for bits in 0..4 {
                            out.push(Case {
                                said,
                                told,
                                amounts,
                                again: bits & 1 != 0,
                                in_gap: bits & 2 != 0,
                                age,
                            });
                        }
                    }
                }
            }
        }
        out
    }

    /// The table once more, as a chain of questions that shares nothing with the rows.
    fn told_in_words(case: &Case) -> &'static str {
        match (case.said, case.told) {
            (Said::Unchecked, _) => "M1",
            (Said::Cash, _) => "M2",
            (Said::Nothing, Told::Success) if case.in_gap => "M3",
            (Said::Nothing, Told::Success) if case.age == Age::Over => "M4b",
            (Said::Nothing, Told::Success) => "M4a",
            (Said::Nothing, _) => "M5",
            (_, Told::Success) => match (case.amounts, case.again) {
                (Amounts::Equal, false) => "M6a",
                (Amounts::Equal, true) => "M6b",
                (Amounts::Partial, _) => "M7a",
                (Amounts::Other, _) => "M7b",
                (Amounts::OtherCurrency, _) => "M7c",
            },
            (Said::Online, Told::Declined) => "M8a",
            (Said::Offline, Told::Declined) => "M8b",
            (Said::Online, _) if case.age == Age::Over => "M9b",
            (Said::Online, _) => "M9a",
            (Said::Offline, _) => match case.age {
                Age::Young => "M10a",
                Age::Late => "M10b",
                Age::Over => "M10c",
            },
        }
    }

    #[test]
    fn every_combination_takes_the_row_the_document_gives_it() {
        let mut taken = BTreeSet::new();
        for case in product() {
            let found = row(&case);
            assert_eq!(found.code(), told_in_words(&case), "{case:?}");
            taken.insert(found);
        }
        assert_eq!(
            taken.len(),
            Row::ALL.len(),
            "each row is taken by some case"
        );
    }
}
