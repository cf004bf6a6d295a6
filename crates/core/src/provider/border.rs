//! Money at the border: a provider's figures become ISO 4217 minor units once, exactly or not at all.
#![deny(clippy::float_arithmetic)]

use super::ProviderKind;
use crate::limits::AMOUNT_MINOR_MAX;
use crate::money::Currency;

/// Where a provider's whole numbers have other decimals than ISO 4217 gives the currency.
pub const EXPONENTS: &[(ProviderKind, &str, u32)] = &[
    (ProviderKind::Stripe, "ISK", 2),
    (ProviderKind::Stripe, "MGA", 0),
    (ProviderKind::Adyen, "CLP", 2),
    (ProviderKind::Adyen, "CVE", 0),
    (ProviderKind::Adyen, "IDR", 0),
    (ProviderKind::Adyen, "ISK", 2),
];

/// Most decimals a provider's whole numbers can be said to have.
pub const EXPONENT_MAX: u32 = 6;

/// How many decimals a provider's whole numbers have in a currency.
#[must_use]
pub fn exponent(provider: ProviderKind, currency: Currency) -> u32 {
    EXPONENTS
        .iter()
        .find(|(kind, code, _)| *kind == provider && *code == currency.code())
        .map_or_else(|| currency.exponent(), |(_, _, exponent)| *exponent)
}

/// A whole number with `exponent` decimals in minor units. `None` when something is left over or the
/// amount passes 12 digits.
#[must_use]
pub fn minor_of(units: i64, exponent: u32, currency: Currency) -> Option<i64> {
    let (from, to) = (exponent, currency.exponent());
    let minor = if from <= to {
        units.checked_mul(10i64.checked_pow(to - from)?)?
    } else {
        let unit = 10i64.checked_pow(from - to)?;
        (units % unit == 0).then(|| units / unit)?
    };
    (minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs()).then_some(minor)
}

/// A decimal such as `-12.50` in minor units. `None` for any other form (a thousands mark, an
/// exponent, a blank), a digit other than 0 beyond the currency's decimals, or more than 12 digits.
#[must_use]
pub fn minor_of_decimal(text: &str, currency: Currency) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let exponent = usize::try_from(currency.exponent()).ok()?;
    let (kept, beyond) = part.split_at(exponent.min(part.len()));
    if beyond.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let mut minor = 0i64;
    let zeros = core::iter::repeat_n(b'0', exponent - kept.len());
    for digit in whole.bytes().chain(kept.bytes()).chain(zeros) {
        minor = minor
            .checked_mul(10)?
            .checked_add(i64::from(digit - b'0'))
            .filter(|minor| *minor <= AMOUNT_MINOR_MAX)?;
    }
    Some(sign * minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::new(code).unwrap()
    }

    #[track_caller]
    fn check(provider: ProviderKind, code: &str, units: i64, expect: Option<i64>) {
        let currency = currency(code);
        let exponent = exponent(provider, currency);
        assert_eq!(
            minor_of(units, exponent, currency),
            expect,
            "{code} {units}"
        );
    }

    #[test]
    fn whole_numbers_convert_exactly_or_not() {
        use ProviderKind::{Adyen, Square, Stripe};
        check(Stripe, "GBP", 1_250, Some(1_250));
        check(Stripe, "JPY", 1_250, Some(1_250));
        check(Stripe, "ISK", 1_200, Some(12));
        check(Stripe, "ISK", 1_250, None);
        check(Stripe, "MGA", 7, Some(700));
        check(Stripe, "KWD", 1_230, Some(1_230));
        check(Adyen, "CLP", 500, Some(5));
        check(Adyen, "IDR", 5, Some(500));
        check(Square, "ISK", 5, Some(5));
        check(Stripe, "GBP", 1_000_000_000_000, None);
        check(Stripe, "MGA", i64::MAX, None);
    }

    #[test]
    fn decimals_convert_exactly_or_not() {
        for (text, code, expect) in [
            ("409.94", "USD", Some(40_994)),
            ("-11.5", "USD", Some(-1_150)),
            ("7", "USD", Some(700)),
            ("7.000", "USD", Some(700)),
            ("7.001", "USD", None),
            ("12.0", "JPY", Some(12)),
            ("1.005", "KWD", Some(1_005)),
            ("0", "USD", Some(0)),
            ("", "USD", None),
            ("1.", "USD", None),
            (".5", "USD", None),
            ("1,000.00", "USD", None),
            ("1e3", "USD", None),
            ("+1", "USD", None),
            (" 1", "USD", None),
            ("10000000000.00", "USD", None),
            ("9999999999.99", "USD", Some(999_999_999_999)),
        ] {
            assert_eq!(minor_of_decimal(text, currency(code)), expect, "{text}");
        }
    }

    #[test]
    fn each_row_of_the_table_differs_from_iso_4217() {
        for (_, code, exponent) in EXPONENTS {
            assert_ne!(currency(code).exponent(), *exponent, "{code}");
            assert!(*exponent <= EXPONENT_MAX);
        }
    }
}
