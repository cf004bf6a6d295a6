//! Money: integer minor units beside an ISO 4217 currency (L5).
//!
//! Nothing here adds across currencies and no float exists. A currency without an exponent (gold,
//! test codes, `XXX`) is not a currency an amount can have.
#![deny(clippy::float_arithmetic)]

use core::fmt;

mod currency;

/// An ISO 4217 currency that has minor units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Finds the currency by its upper-case three-letter code; `None` when ISO 4217 has no such
    /// code or gives it no exponent.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        currency::exponent(bytes).map(|_| Self(bytes))
    }

    /// The three-letter code.
    #[must_use]
    pub fn code(&self) -> &str {
        core::str::from_utf8(&self.0).expect("only ASCII codes are in the table")
    }

    /// How many decimal digits the minor unit has: GBP 2, JPY 0, KWD 3.
    #[must_use]
    pub fn exponent(self) -> u32 {
        currency::exponent(self.0).expect("a Currency is only made from the table")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount: signed minor units of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units (pence, cents, yen).
    pub minor: i64,
    /// What they are units of.
    pub currency: Currency,
}

/// Why two amounts have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// The currencies differ.
    #[error("{left} and {right} do not add")]
    CurrenciesDiffer {
        /// Currency of the left side.
        left: Currency,
        /// Currency of the right side.
        right: Currency,
    },
    /// The sum does not fit 64 bits.
    #[error("the sum leaves the range of 64 bits")]
    Overflow,
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The sum, or why there is none.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyFault> {
        if self.currency != other.currency {
            return Err(MoneyFault::CurrenciesDiffer {
                left: self.currency,
                right: other.currency,
            });
        }
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyFault::Overflow)?;
        Ok(Self { minor, ..self })
    }
}

/// `GBP 88,741.96`: code, grouped whole units, all decimals of the exponent.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10u64.pow(exponent);
        let magnitude = self.minor.unsigned_abs();
        let (whole, part) = (magnitude / unit, magnitude % unit);
        write!(
            f,
            "{} {}",
            self.currency,
            if self.minor < 0 { "-" } else { "" }
        )?;
        write_grouped(f, whole)?;
        match exponent {
            0 => Ok(()),
            digits => write!(f, ".{part:0width$}", width = digits as usize),
        }
    }
}

fn write_grouped(f: &mut fmt::Formatter<'_>, whole: u64) -> fmt::Result {
    if whole < 1000 {
        return write!(f, "{whole}");
    }
    write_grouped(f, whole / 1000)?;
    write!(f, ",{:03}", whole % 1000)
}

/// `numerator ÷ denominator`, rounded to the nearest integer, ties to the even one. The one
/// rounding of the product. `denominator` must be positive.
#[must_use]
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    assert!(denominator > 0, "a rate has a positive denominator");
    let floor = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    match (rest * 2).cmp(&denominator) {
        core::cmp::Ordering::Less => floor,
        core::cmp::Ordering::Greater => floor + 1,
        core::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[track_caller]
    fn check(minor: i64, code: &str, expect: &str) {
        assert_eq!(
            Money::new(minor, Currency::new(code).unwrap()).to_string(),
            expect
        );
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        check(8_874_196, "GBP", "GBP 88,741.96");
        check(-5, "GBP", "GBP -0.05");
        check(1_000, "JPY", "JPY 1,000");
        check(1_005, "KWD", "KWD 1.005");
        check(i64::MIN, "EUR", "EUR -92,233,720,368,547,758.08");
    }

    #[test]
    fn currencies_without_minor_units_are_refused() {
        for code in ["XXX", "XAU", "XTS", "gbp", "GB", "", "ZZZ"] {
            assert_eq!(Currency::new(code), None, "{code}");
        }
    }

    #[test]
    fn nothing_adds_across_currencies() {
        let pound = Money::new(1, Currency::new("GBP").unwrap());
        let euro = Money::new(1, Currency::new("EUR").unwrap());
        assert!(pound.checked_add(euro).is_err());
        assert_eq!(
            Money::new(i64::MAX, pound.currency).checked_add(pound),
            Err(MoneyFault::Overflow)
        );
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        for (n, d, expect) in [
            (5, 2, 2),
            (7, 2, 4),
            (-5, 2, -2),
            (-7, 2, -4),
            (-3, 2, -2),
            (1, 3, 0),
            (2, 3, 1),
        ] {
            assert_eq!(div_half_even(n, d), expect, "{n}/{d}");
        }
    }
}
