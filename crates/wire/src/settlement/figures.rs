//! Amounts and times as files write them.
//!
//! An amount is an optional minus, digits, and digits behind a point; it becomes minor units exactly
//! or not at all. No float, no thousands mark, no exponent form.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use popwatch_core::limits;
use popwatch_core::money::{Currency, div_half_even};

use super::{Fault, field};

/// Most digits of one number: with a rate of as many, a product fits 128 bits.
const DIGITS_MAX: usize = 18;

/// A decimal number as it was written: `mantissa` ÷ 10^`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(super) mantissa: i64,
    pub(super) decimals: u32,
}

impl Decimal {
    /// Reads a number; `None` for anything but digits with one sign and one point.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim_ascii().as_bytes();
        let (negative, digits) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some(_) => (false, bytes),
            None => return None,
        };
        let (mut mantissa, mut decimals, mut whole) = (0_i64, 0, 0);
        let mut point = false;
        for byte in digits {
            match byte {
                b'0'..=b'9' if whole + decimals < DIGITS_MAX => {
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    if point {
                        decimals += 1;
                    } else {
                        whole += 1;
                    }
                }
                b'.' if !point && whole > 0 => point = true,
                _ => return None,
            }
        }
        if whole == 0 || (point && decimals == 0) {
            return None;
        }
        Some(Self {
            mantissa: if negative { -mantissa } else { mantissa },
            decimals: u32::try_from(decimals).ok()?,
        })
    }

    /// Minor units of a currency with this exponent; `None` where a digit beyond it is not zero or
    /// the amount passes the bound.
    pub(crate) fn minor(self, exponent: u32) -> Option<i64> {
        let minor = if self.decimals <= exponent {
            self.mantissa
                .checked_mul(10_i64.checked_pow(exponent - self.decimals)?)?
        } else {
            let unit = 10_i64.checked_pow(self.decimals - exponent)?;
            if self.mantissa % unit != 0 {
                return None;
            }
            self.mantissa / unit
        };
        (minor.unsigned_abs() <= limits::AMOUNT_MINOR_MAX.unsigned_abs()).then_some(minor)
    }
}

/// An amount within the bound of one.
pub(super) fn bounded(minor: i128) -> Option<i64> {
    let minor = i64::try_from(minor).ok()?;
    (minor.unsigned_abs() <= limits::AMOUNT_MINOR_MAX.unsigned_abs()).then_some(minor)
}

/// The rule that an amount breaks.
pub(super) const AMOUNT: &str =
    "must be a decimal such as -12.50, with no more digits than the currency has";

/// A currency and its exponent, looked up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) currency: Currency,
    exponent: u32,
}

impl Unit {
    /// Finds a currency, in either case.
    fn find(text: &[u8]) -> Option<Self> {
        let mut code: [u8; 3] = text.try_into().ok()?;
        code.make_ascii_uppercase();
        let currency = Currency::new(std::str::from_utf8(&code).ok()?)?;
        Some(Self {
            currency,
            exponent: currency.exponent(),
        })
    }

    pub(super) fn code(&self) -> &str {
        self.currency.code()
    }
}

/// Reads an amount of a currency.
pub(super) fn amount(column: &'static str, text: &str, of: Unit) -> Result<i64, Fault> {
    Decimal::parse(text)
        .and_then(|decimal| decimal.minor(of.exponent))
        .ok_or(field(column, AMOUNT))
}

/// Reads an amount that may be left empty, which is zero.
pub(super) fn amount_or_zero(column: &'static str, text: &str, of: Unit) -> Result<i64, Fault> {
    if text.trim_ascii().is_empty() {
        Ok(0)
    } else {
        amount(column, text, of)
    }
}

/// Reads currencies; a file has few, and mostly the last one again.
#[derive(Default)]
pub(super) struct Units {
    last: Option<([u8; 3], Unit)>,
}

impl Units {
    pub(super) fn find(&mut self, column: &'static str, text: &str) -> Result<Unit, Fault> {
        let text = text.trim_ascii().as_bytes();
        if let Some((_, unit)) = self.last.filter(|(code, _)| code == text) {
            return Ok(unit);
        }
        let unit = Unit::find(text).ok_or(field(
            column,
            "must be a currency of ISO 4217 with minor units",
        ))?;
        self.last = text.try_into().ok().map(|code| (code, unit));
        Ok(unit)
    }
}

/// What an amount of one currency is in another at a rate, and what is lost by rounding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Converted {
    /// Minor units of the other currency, rounded half to even.
    pub(super) minor: i64,
    numerator: i128,
    denominator: i128,
}

impl Converted {
    /// Converts; `None` beyond the bound of an amount.
    pub(super) fn at(minor: i64, from: Currency, rate: Decimal, to: Currency) -> Option<Self> {
        let up = 10_i128.pow(to.exponent());
        let down = 10_i128.pow(from.exponent() + rate.decimals);
        let numerator = i128::from(minor)
            .checked_mul(i128::from(rate.mantissa))?
            .checked_mul(up)?;
        Some(Self {
            minor: bounded(div_half_even(numerator, down))?,
            numerator,
            denominator: down,
        })
    }

    /// Whether what it is exactly, less the fees, lies less than one minor unit from the net.
    pub(super) fn explains(self, fees: i64, net: i64) -> bool {
        let rest = (i128::from(net) + i128::from(fees)).checked_mul(self.denominator);
        rest.and_then(|rest| self.numerator.checked_sub(rest))
            .is_some_and(|off| off.unsigned_abs() < self.denominator.unsigned_abs())
    }
}

/// Reads times; those without a zone are an account's.
pub(crate) struct Clock {
    tz: TimeZone,
    is_utc: bool,
    /// The last quarter of an hour that was looked up, and how far it lies from UTC, seconds.
    /// Zones change only between two of them.
    last: Option<(i64, i64)>,
}

impl Clock {
    pub(crate) fn new(tz: &TimeZone) -> Self {
        Self {
            tz: tz.clone(),
            is_utc: *tz == TimeZone::UTC,
            last: None,
        }
    }

    /// Milliseconds since 1970 of a text such as `2021-12-14 23:31:49`, `2021-12-14T23:31:49.5Z`,
    /// `2021-12-14T18:31:49-05:00` or `2021-12-14`; `None` for any other form and for years outside
    /// 2000 to 2100. `offset_s` is the zone that stands beside a time without one.
    pub(crate) fn ms(&mut self, text: &str, offset_s: Option<i64>) -> Option<i64> {
        let bytes = text.trim_ascii().as_bytes();
        let civil = Civil::parse(bytes)?;
        let offset_s = match civil.offset_s.or(offset_s) {
            Some(offset_s) => offset_s,
            None if self.is_utc => 0,
            None => self.local(&civil)?,
        };
        Some((civil.seconds - offset_s) * 1_000 + civil.ms)
    }

    fn local(&mut self, civil: &Civil) -> Option<i64> {
        let quarter = civil.seconds.div_euclid(900);
        if let Some((_, offset_s)) = self.last.filter(|last| last.0 == quarter) {
            return Some(offset_s);
        }
        // The clock on the wall, read as if it were UTC, is what `seconds` holds.
        let wall = jiff::Timestamp::from_second(civil.seconds).ok()?;
        let wall: DateTime = TimeZone::UTC.to_datetime(wall);
        let there = wall.to_zoned(self.tz.clone()).ok()?.timestamp().as_second();
        let offset_s = civil.seconds - there;
        self.last = Some((quarter, offset_s));
        Some(offset_s)
    }
}

/// A time as it was written, as seconds since 1970 of a clock without zone.
struct Civil {
    seconds: i64,
    ms: i64,
    offset_s: Option<i64>,
}

impl Civil {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let year = digits(bytes.get(0..4)?)?;
        let (month, day) = (digits(bytes.get(5..7)?)?, digits(bytes.get(8..10)?)?);
        let dashes = bytes[4] == b'-' && bytes[7] == b'-';
        if !dashes || !(2000..=2100).contains(&year) || !(1..=days_in(year, month)?).contains(&day)
        {
            return None;
        }
        let midnight = days_since_1970(year, month, day) * 86_400;
        let mut rest = &bytes[10..];
        if rest.is_empty() {
            return Some(Self {
                seconds: midnight,
                ms: 0,
                offset_s: None,
            });
        }
        if !matches!(rest[0], b' ' | b'T') || *rest.get(3)? != b':' {
            return None;
        }
        let (hour, minute) = (digits(rest.get(1..3)?)?, digits(rest.get(4..6)?)?);
        rest = &rest[6..];
        let (mut second, mut ms) = (0, 0);
        if rest.first() == Some(&b':') {
            second = digits(rest.get(1..3)?)?;
            rest = &rest[3..];
            if let Some((b'.', part)) = rest.split_first() {
                let length = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if !(1..=9).contains(&length) {
                    return None;
                }
                ms = thousandths(&part[..length]);
                rest = &part[length..];
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        Some(Self {
            seconds: midnight + hour * 3_600 + minute * 60 + second,
            ms,
            offset_s: offset(rest)?,
        })
    }
}

/// `Z`, `+01:00`, `+0100`, ` UTC` or nothing; the outer `None` for anything else.
#[expect(
    clippy::option_option,
    reason = "no zone, a zone and nonsense are three answers"
)]
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let text = text.trim_ascii();
    let (sign, rest) = match text.split_first() {
        None => return Some(None),
        Some((b'Z', [])) => return Some(Some(0)),
        Some(_) if text == b"UTC" => return Some(Some(0)),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest {
        [_, _] => (digits(rest)?, 0),
        [h1, h2, b':', minutes @ ..] => (digits(&[*h1, *h2])?, digits(minutes)?),
        [h1, h2, minutes @ ..] => (digits(&[*h1, *h2])?, digits(minutes)?),
        _ => return None,
    };
    (hours <= 15 && minutes <= 59 && rest.len() != 3)
        .then_some(Some(sign * (hours * 3_600 + minutes * 60)))
}

/// A run of one to four digits.
fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    bytes.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// The first three digits behind the point.
fn thousandths(part: &[u8]) -> i64 {
    let padded = part.iter().copied().chain([b'0', b'0']).take(3);
    padded.fold(0, |ms, byte| ms * 10 + i64::from(byte - b'0'))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March so that the leap day is last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

/// Offsets of the zone abbreviations that providers write, seconds east of UTC. An abbreviation that
/// is not here, or means two zones, is read as the account's own.
pub(super) fn abbreviation(zone: &str) -> Option<i64> {
    let minutes = match zone.trim_ascii() {
        "UTC" | "GMT" | "WET" | "Z" => 0,
        "BST" | "WEST" | "CET" | "MET" => 60,
        "CEST" | "MEST" | "EET" | "SAST" => 120,
        "EEST" | "MSK" | "TRT" => 180,
        "GST" => 240,
        "SGT" | "HKT" | "AWST" => 480,
        "JST" | "KST" => 540,
        "ACST" => 570,
        "AEST" => 600,
        "ACDT" => 630,
        "AEDT" => 660,
        "NZST" => 720,
        "NZDT" => 780,
        "BRT" | "ART" => -180,
        "EDT" | "AST" => -240,
        "EST" | "CDT" => -300,
        "MDT" => -360,
        "MST" | "PDT" => -420,
        "PST" | "AKDT" => -480,
        "AKST" => -540,
        "HST" => -600,
        _ => return None,
    };
    Some(minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_minor_units_exactly_or_not_at_all() {
        let minor = |text, exponent| Decimal::parse(text).and_then(|one| one.minor(exponent));
        for (text, exponent, expect) in [
            ("25", 2, Some(2_500)),
            ("0.95", 2, Some(95)),
            ("-0.5", 2, Some(-50)),
            ("1.000", 2, Some(100)),
            ("1.005", 2, None),
            ("1.005", 3, Some(1_005)),
            ("1200", 0, Some(1_200)),
            ("1200.00", 0, Some(1_200)),
            ("9999999999.99", 2, Some(999_999_999_999)),
            ("10000000000.00", 2, None),
            ("-0", 2, Some(0)),
        ] {
            assert_eq!(minor(text, exponent), expect, "{text}");
        }
        for text in [
            "",
            "-",
            ".5",
            "1.",
            "1,000.00",
            "1 000",
            "1e3",
            "+1",
            "--1",
            "1.2.3",
            "NaN",
            "0x1",
            "1,50",
            "1234567890123456789",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let mut utc = Clock::new(&TimeZone::UTC);
        let at = 1_639_524_709_000;
        for text in [
            "2021-12-14 23:31:49",
            "2021-12-14T23:31:49Z",
            "2021-12-14T18:31:49-05:00",
            "2021-12-15T00:31:49+0100",
            "2021-12-14 23:31:49 UTC",
        ] {
            assert_eq!(utc.ms(text, None), Some(at), "{text}");
        }
        assert_eq!(utc.ms("2021-12-14T23:31:49.875Z", None), Some(at + 875));
        assert_eq!(utc.ms("2021-12-15 00:31:49", abbreviation("CET")), Some(at));
        assert_eq!(utc.ms("2020-02-29", None), Some(1_582_934_400_000));
        for text in [
            "",
            "2021-02-29",
            "2021-13-01",
            "14.12.2021",
            "2021-12-14 24:00",
            "2021-12-14 23:31:49 CEST",
            "2021-12-14T23",
            "1999-01-01",
            "2021-12-14 23:31:49.",
            "2021-12-14 23:31+1",
        ] {
            assert_eq!(utc.ms(text, None), None, "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_are_the_accounts() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let (mut clock, mut utc) = (Clock::new(&berlin), Clock::new(&TimeZone::UTC));
        for (there, here) in [
            ("2021-03-28 01:59:59", "2021-03-28 00:59:59"),
            ("2021-03-28 03:00:00", "2021-03-28 01:00:00"),
            ("2021-03-28 03:14:00", "2021-03-28 01:14:00"),
            ("2021-12-14 23:31:49", "2021-12-14 22:31:49"),
        ] {
            assert_eq!(clock.ms(there, None), utc.ms(here, None), "{there}");
        }
        assert_eq!(
            clock.ms("2021-12-14T23:31:49Z", None),
            utc.ms("2021-12-14 23:31:49", None)
        );
        assert_eq!(abbreviation("XYZ"), None);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let mut utc = Clock::new(&TimeZone::UTC);
        for day in (946_684_800_i64..4_133_980_800).step_by(86_400 * 13) {
            let text = jiff::Timestamp::from_second(day).unwrap().to_string();
            assert_eq!(utc.ms(&text, None), Some(day * 1_000), "{text}");
        }
    }

    #[test]
    fn a_rate_explains_a_net_within_one_minor_unit() {
        let of = |code| Currency::new(code).unwrap();
        let rate = |text| Decimal::parse(text).unwrap();
        let euro = Converted::at(535, of("EUR"), rate("1.0656568"), of("USD")).unwrap();
        assert_eq!(euro.minor, 570);
        assert!(euro.explains(27, 543));
        assert!(euro.explains(27, 544));
        assert!(!euro.explains(27, 545));
        assert!(!euro.explains(27, 542));
        let yen = Converted::at(1_000, of("JPY"), rate("0.0065"), of("USD")).unwrap();
        assert_eq!(yen.minor, 650);
    }
}
