//! Spans of time as a policy writes them: `P30D`, `PT72H`, `P1DT12H30M` (ISO 8601 without years, months
//! and weeks, whose length depends on the calendar).
//!
//! What always holds: a span that was read is at most [`SPAN_DAYS_MAX`] days, and [`Span`] prints the
//! one shortest text that reads back as it.

use core::fmt;

use crate::limits::SPAN_DAYS_MAX;

/// A length of time, whole seconds in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The longest span, ms.
const LONGEST: u64 = SPAN_DAYS_MAX * DAY;

impl Span {
    /// So many days.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(days * DAY)
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self(hours * HOUR)
    }

    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * MINUTE)
    }

    /// Of so many ms; the part of a second is left out.
    #[must_use]
    pub const fn of_ms(ms: u64) -> Self {
        Self(ms - ms % SECOND)
    }

    /// Its length, ms.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Its length as a difference of moments, ms.
    #[must_use]
    pub fn ms_signed(self) -> i64 {
        i64::try_from(self.0).expect("the longest span is far below 63 bits")
    }

    /// Reads `P[nD][T[nH][nM][nS]]`; `None` for anything else and for more than [`SPAN_DAYS_MAX`] days.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('P')?;
        let (days, time) = match rest.split_once('T') {
            Some((_, "")) => return None,
            Some((days, time)) => (days, time),
            None => (rest, ""),
        };
        if days.is_empty() && time.is_empty() {
            return None;
        }
        let total = units(days, &[('D', DAY)])?
            .checked_add(units(time, &[('H', HOUR), ('M', MINUTE), ('S', SECOND)])?)?;
        (total <= LONGEST).then_some(Self(total))
    }
}

/// The sum of numbers with units, each unit at most once and in the given order.
fn units(mut text: &str, order: &[(char, u64)]) -> Option<u64> {
    let mut total: u64 = 0;
    let mut left = order.iter();
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text.get(..end)?.parse().ok()?;
        let unit = text.get(end..)?.chars().next()?;
        let (_, ms) = left.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*ms)?)?;
        text = text.get(end + unit.len_utf8()..)?;
    }
    Some(total)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let (days, rest) = (self.0 / DAY, self.0 % DAY);
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if rest == 0 && days > 0 {
            return Ok(());
        }
        f.write_str("T")?;
        let parts = [
            (rest / HOUR, 'H'),
            (rest % HOUR / MINUTE, 'M'),
            (rest % MINUTE / SECOND, 'S'),
        ];
        for (number, unit) in parts {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        match self.0 {
            0 => f.write_str("0S"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    #[test]
    fn only_days_hours_minutes_and_seconds_in_order_are_read() {
        for (text, ms) in [
            ("PT72H", 72 * HOUR),
            ("P30D", 30 * DAY),
            ("P1DT2H3M4S", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND),
            ("PT0S", 0),
            ("P36525D", 36_525 * DAY),
        ] {
            assert_eq!(Span::parse(text).map(Span::ms), Some(ms), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "P1W",
            "P1M",
            "P1Y",
            "PT1D",
            "P1DT",
            "P1H",
            "PT1M1H",
            "P-1D",
            "PT1.5H",
            "P1D ",
            " P1D",
            "pt1h",
            "P1D1D",
            "P36526D",
            "P99999999999999999999D",
            "PT1H1H",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 0..=LONGEST / SECOND) {
            let span = Span::of_ms(seconds * SECOND);
            prop_assert_eq!(Span::parse(&span.to_string()), Some(span));
        }
    }
}
