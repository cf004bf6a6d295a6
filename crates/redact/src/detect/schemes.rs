//! The card schemes as data: prefixes, lengths, check.

/// How a number of a scheme is told from any other number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The Luhn digit.
    Luhn,
    /// The Luhn digit, or how and beside what it is written: some of its cards carry none.
    LuhnOrShape,
    /// Both: its prefix says too little.
    LuhnAndShape,
}

/// One row: which numbers a scheme uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Whose.
    pub name: &'static str,
    /// Ranges of leading digits, both ends included and of equal length.
    pub prefixes: &'static [(&'static str, &'static str)],
    /// Smallest and largest number of digits.
    pub lengths: &'static [usize],
    /// What a number has to pass.
    pub check: Check,
    /// Where prefixes and lengths are published.
    pub source: &'static str,
}

const CARD_TYPES: &str = "github.com/braintree/credit-card-type, src/lib/card-types.ts (MIT)";
const LIST: &str = "en.wikipedia.org/wiki/Payment_card_number, issuer identification numbers";

/// All rows. A number may fit several; one that accepts it is enough.
pub const SCHEMES: &[Scheme] = &[
    row(
        "Visa",
        &[("4", "4")],
        &[13, 16, 18, 19],
        Check::Luhn,
        CARD_TYPES,
    ),
    row(
        "Mastercard",
        &[("51", "55"), ("2221", "2720")],
        &[16],
        Check::Luhn,
        CARD_TYPES,
    ),
    row(
        "American Express",
        &[("34", "34"), ("37", "37")],
        &[15],
        Check::Luhn,
        CARD_TYPES,
    ),
    row(
        "Discover",
        &[("6011", "6011"), ("644", "649"), ("65", "65")],
        TO_19,
        Check::Luhn,
        CARD_TYPES,
    ),
    row(
        "Diners Club",
        &[("300", "305"), ("3095", "3095"), ("36", "36"), ("38", "39")],
        &[14, 15, 16, 17, 18, 19],
        Check::Luhn,
        LIST,
    ),
    row("JCB", &[("3528", "3589")], TO_19, Check::Luhn, CARD_TYPES),
    row(
        "JCB, older",
        &[("2131", "2131"), ("1800", "1800")],
        &[15],
        Check::Luhn,
        CARD_TYPES,
    ),
    row("Mir", &[("2200", "2204")], TO_19, Check::Luhn, CARD_TYPES),
    row("Troy", &[("9792", "9792")], &[16], Check::Luhn, LIST),
    row(
        "UnionPay",
        &[("62", "62"), ("810", "817")],
        &[14, 15, 16, 17, 18, 19],
        Check::LuhnOrShape,
        CARD_TYPES,
    ),
    row("UATP", &[("1", "1")], &[15], Check::LuhnAndShape, LIST),
    row(
        "RuPay, Hipercard",
        &[
            ("60", "60"),
            ("508", "508"),
            ("81", "82"),
            ("353", "353"),
            ("356", "356"),
        ],
        &[16],
        Check::Luhn,
        LIST,
    ),
    row(
        "Maestro, Elo, Hiper, Verve",
        &[
            ("50", "50"),
            ("56", "59"),
            ("61", "61"),
            ("63", "64"),
            ("66", "69"),
        ],
        &[12, 13, 14, 15, 16, 17, 18, 19],
        Check::Luhn,
        LIST,
    ),
];

const TO_19: &[usize] = &[16, 17, 18, 19];

const fn row(
    name: &'static str,
    prefixes: &'static [(&'static str, &'static str)],
    lengths: &'static [usize],
    check: Check,
    source: &'static str,
) -> Scheme {
    Scheme {
        name,
        prefixes,
        lengths,
        check,
        source,
    }
}

impl Scheme {
    /// Whether ASCII digits have a prefix and a length of this scheme.
    #[must_use]
    pub fn fits(&self, digits: &[u8]) -> bool {
        let prefixed = |&(low, high): &(&str, &str)| {
            digits
                .get(..low.len())
                .is_some_and(|lead| low.as_bytes() <= lead && lead <= high.as_bytes())
        };
        self.lengths.contains(&digits.len()) && self.prefixes.iter().any(prefixed)
    }
}

#[cfg(test)]
mod tests {
    use super::SCHEMES;

    #[test]
    fn ranges_are_ranges_and_lengths_are_those_of_cards() {
        for scheme in SCHEMES {
            for (low, high) in scheme.prefixes {
                assert!(low.len() == high.len() && low <= high, "{}", scheme.name);
            }
            assert!(
                scheme
                    .lengths
                    .iter()
                    .all(|length| (12..=19).contains(length))
            );
        }
    }
}
