//! RFC 3339 moments as milliseconds since 1970 and back.

use jiff::Timestamp;

/// Reads `2026-11-28T17:00:00Z` and its kin; `None` for anything else.
#[must_use]
pub fn parse_ms(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Writes UTC with milliseconds where there are any; `None` beyond the year 9999.
#[must_use]
pub fn format_ms(wall_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(wall_ms).ok().map(|moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_and_nonsense_is_none() {
        assert_eq!(parse_ms("2011-12-05T18:00:00Z"), Some(1_323_108_000_000));
        assert_eq!(parse_ms("2011-12-05T19:00:00+01:00"), Some(1_323_108_000_000));
        assert_eq!(format_ms(1_323_108_000_000).as_deref(), Some("2011-12-05T18:00:00Z"));
        assert_eq!(parse_ms("yesterday"), None);
        assert_eq!(format_ms(i64::MAX), None);
    }
}
