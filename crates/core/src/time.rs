//! Time as values: what a clock claims, what a deadline counts in, which minute a moment lies in.

/// Milliseconds since 1970-01-01T00:00Z as some wall clock claims them. May be wrong by days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallMs(pub i64);

/// Milliseconds of a clock that never steps, counted from an arbitrary start. For deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoMs(pub u64);

impl MonoMs {
    /// The moment `delay_ms` later, saturating.
    #[must_use]
    pub fn after(self, delay_ms: u64) -> Self {
        Self(self.0.saturating_add(delay_ms))
    }

    /// Milliseconds since `earlier`, 0 when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What time it is, in both clocks: the argument of every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The wall clock's claim.
    pub wall: WallMs,
    /// The steady clock.
    pub mono: MonoMs,
}

/// A UTC minute: whole minutes since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u32);

impl Minute {
    /// Milliseconds in a minute.
    pub const MS: i64 = 60_000;

    /// The minute a moment lies in; moments before 1970 count as its first minute.
    #[must_use]
    pub fn of(moment: WallMs) -> Self {
        let minute = moment.0.div_euclid(Self::MS).max(0);
        Self(u32::try_from(minute).unwrap_or(u32::MAX))
    }

    /// The moment the minute starts.
    #[must_use]
    pub fn start(self) -> WallMs {
        WallMs(i64::from(self.0) * Self::MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_its_first_millisecond_and_not_the_next_ones() {
        for (ms, minute) in [(0, 0), (59_999, 0), (60_000, 1), (-1, 0)] {
            assert_eq!(Minute::of(WallMs(ms)), Minute(minute), "{ms}");
        }
        assert_eq!(Minute(2).start(), WallMs(120_000));
    }
}
