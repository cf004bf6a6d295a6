//! How far a rig's clock can be believed, and when an event truly happened.
//!
//! Everything here is a function of one epoch's records and nothing else: a stamp says what the
//! rig's two clocks read at admission, an [`Anchor`] (from `clock.anchored`) ties the steady one to
//! true time, and [`event_time`] is the corrected time `t_evt` that decides an event's minute.
//!
//! In a prefix of the epoch, the last anchor with `rebucket` governs all records before it; every
//! other record is governed by the newest anchor before it. Without an anchor the wall clock stands
//! as it is, with an unknown uncertainty.
#![deny(clippy::float_arithmetic)]

use crate::event::system::ClockAnchored;
use crate::id::BootId;
use crate::limits;
use crate::record::{Flags, Stamp};
use crate::time::WallMs;

/// One tie between a rig's steady clock and true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Steady clock at the tie, ns.
    mono_ns: u64,
    /// True wall time at the tie, µs since 1970.
    wall_us: i64,
    /// Uncertainty at the tie, ms.
    u_ms: u32,
}

impl Anchor {
    /// True time was `wall_us`, give or take `u_ms`, when the steady clock read `mono_ns`.
    #[must_use]
    pub const fn new(mono_ns: u64, wall_us: i64, u_ms: u32) -> Self {
        Self {
            mono_ns,
            wall_us,
            u_ms,
        }
    }

    /// Steady clock at the tie, ns.
    #[must_use]
    pub const fn mono_ns(&self) -> u64 {
        self.mono_ns
    }

    /// True wall time at the tie, µs since 1970.
    #[must_use]
    pub const fn wall_us(&self) -> i64 {
        self.wall_us
    }

    /// Uncertainty at the tie, ms.
    #[must_use]
    pub const fn u_ms(&self) -> u32 {
        self.u_ms
    }

    /// How far apart two ties put one instant, ms, saturating.
    #[must_use]
    pub fn apart_ms(&self, other: &Self) -> u64 {
        let start = |tie: &Self| i128::from(tie.wall_us) - i128::from(tie.mono_ns / 1_000);
        let apart = (start(self) - start(other)).unsigned_abs() / 1_000;
        u64::try_from(apart).unwrap_or(u64::MAX)
    }

    /// Reads the anchor out of its record; `None` when it speaks of another boot than `boot`.
    #[must_use]
    pub fn of(record: &ClockAnchored, boot: Option<BootId>) -> Option<Self> {
        let spoken = BootId::from_slice(&record.boot_id);
        if boot.is_some() && spoken.is_some() && boot != spoken {
            return None;
        }
        Some(Self {
            mono_ns: record.mono_ns,
            wall_us: record.wall_us,
            u_ms: record.u_ms,
        })
    }

    /// True wall time when the steady clock read `mono_ns`, saturating at the ends of 64 bits.
    #[must_use]
    pub fn true_ms(&self, mono_ns: u64) -> WallMs {
        let apart_us = (i128::from(mono_ns) - i128::from(self.mono_ns)).div_euclid(1_000);
        let ms = (i128::from(self.wall_us) + apart_us).div_euclid(1_000);
        let clamped = ms.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        WallMs(i64::try_from(clamped).expect("clamped to the range of 64 bits"))
    }

    /// Uncertainty at `mono_ns`, ms: the anchor's, growing by [`limits::CLOCK_DRIFT_PPM`].
    #[must_use]
    pub fn uncertainty_ms(&self, mono_ns: u64) -> u64 {
        let apart_ms = mono_ns.abs_diff(self.mono_ns) / 1_000_000;
        u64::from(self.u_ms)
            + apart_ms / 1_000_000 * limits::CLOCK_DRIFT_PPM
            + apart_ms % 1_000_000 * limits::CLOCK_DRIFT_PPM / 1_000_000
    }
}

/// When an event happened, as well as the rig can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// Corrected time of the event.
    pub at: WallMs,
    /// The rig's clock is unanchored or more than [`limits::CLOCK_SUSPECT_MS`] uncertain.
    pub suspect: bool,
    /// What the event said of its own time was out of reason, so admission stands in.
    pub replaced: bool,
}

/// The corrected time of admission.
#[must_use]
pub fn admission(stamp: &Stamp, anchor: Option<&Anchor>) -> WallMs {
    anchor.map_or(WallMs(stamp.wall_ms), |anchor| {
        anchor.true_ms(stamp.mono_ns)
    })
}

/// The corrected time of an event. `starts` is where its popup's window begins, if known.
///
/// | the event has | its time is |
/// |---|---|
/// | an age when it was sent | admission − age |
/// | no `time` | admission |
/// | `time`, sender on this host | `time` + (true − wall at admission) |
/// | `time`, sender elsewhere | `time` |
/// | a result after admission + 5 s, or before `starts` − 12 h | admission, `replaced` |
#[must_use]
pub fn event_time(
    stamp: &Stamp,
    flags: Flags,
    anchor: Option<&Anchor>,
    starts: Option<WallMs>,
) -> EventTime {
    let admitted = admission(stamp, anchor);
    let suspect =
        anchor.is_none_or(|anchor| anchor.uncertainty_ms(stamp.mono_ns) > limits::CLOCK_SUSPECT_MS);
    let said = match (stamp.age_ms, stamp.time_ms) {
        (Some(age_ms), _) => admitted.0.saturating_sub(i64::from(age_ms)),
        (None, Some(time_ms)) if !flags.time_ignored => {
            let correction = match flags.local_sender {
                true => admitted.0.saturating_sub(stamp.wall_ms),
                false => 0,
            };
            time_ms.saturating_add(correction)
        }
        (None, Some(_) | None) => admitted.0,
    };
    let too_late = said > admitted.0.saturating_add(limits::EVENT_AHEAD_MS_MAX);
    let too_early =
        starts.is_some_and(|starts| said < starts.0.saturating_sub(limits::WINDOW_BEFORE_MS));
    let replaced = too_late || too_early;
    EventTime {
        at: if replaced { admitted } else { WallMs(said) },
        suspect,
        replaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: i64 = 3_600_000;

    fn stamp(wall_ms: i64, time_ms: Option<i64>, age_ms: Option<u32>) -> Stamp {
        Stamp {
            mono_ns: 50_000_000_000,
            wall_ms,
            time_ms,
            age_ms,
        }
    }

    /// A rig whose wall clock is an hour slow: admission reads 1 h, true is 2 h.
    fn hour_slow() -> Anchor {
        Anchor {
            mono_ns: 40_000_000_000,
            wall_us: 2 * HOUR_MS * 1_000 - 10_000_000,
            u_ms: 20,
        }
    }

    #[track_caller]
    fn check(stamp: Stamp, local: bool, anchor: Option<Anchor>, expect: i64, replaced: bool) {
        let flags = Flags {
            local_sender: local,
            ..Flags::default()
        };
        let time = event_time(&stamp, flags, anchor.as_ref(), Some(WallMs(0)));
        assert_eq!((time.at.0, time.replaced), (expect, replaced));
    }

    #[test]
    fn each_row_of_the_table() {
        let h = HOUR_MS;
        check(stamp(h, None, None), false, None, h, false);
        check(stamp(h, Some(5), Some(700)), false, None, h - 700, false);
        check(stamp(h, Some(h - 9), None), false, None, h - 9, false);
        check(stamp(h, None, None), false, Some(hour_slow()), 2 * h, false);
        check(
            stamp(h, None, Some(1)),
            false,
            Some(hour_slow()),
            2 * h - 1,
            false,
        );
        check(
            stamp(h, Some(h - 9), None),
            true,
            Some(hour_slow()),
            2 * h - 9,
            false,
        );
        check(
            stamp(h, Some(h - 9), None),
            false,
            Some(hour_slow()),
            h - 9,
            false,
        );
        check(
            stamp(h, Some(h + 5_000), None),
            false,
            None,
            h + 5_000,
            false,
        );
        check(stamp(h, Some(h + 5_001), None), false, None, h, true);
        check(stamp(h, Some(-12 * h), None), false, None, -12 * h, false);
        check(stamp(h, Some(-12 * h - 1), None), false, None, h, true);
    }

    #[test]
    fn an_ignored_time_is_no_time() {
        let flags = Flags {
            time_ignored: true,
            ..Flags::default()
        };
        let time = event_time(&stamp(HOUR_MS, Some(3), None), flags, None, None);
        assert_eq!(time.at.0, HOUR_MS);
    }

    #[test]
    fn uncertainty_grows_with_the_distance_from_the_anchor() {
        let anchor = Anchor {
            mono_ns: 0,
            wall_us: 0,
            u_ms: 1_900,
        };
        let second = 1_000_000_000;
        assert_eq!(anchor.uncertainty_ms(0), 1_900);
        assert_eq!(anchor.uncertainty_ms(2_000 * second), 2_000);
        let suspect = |mono_ns| {
            let stamp = Stamp {
                mono_ns,
                ..stamp(0, None, None)
            };
            event_time(&stamp, Flags::default(), Some(&anchor), None).suspect
        };
        assert!(!suspect(2_000 * second));
        assert!(suspect(2_021 * second));
        assert!(event_time(&stamp(0, None, None), Flags::default(), None, None).suspect);
    }

    #[test]
    fn an_anchor_of_another_boot_says_nothing() {
        let mut record = ClockAnchored {
            boot_id: [7; 16].to_vec(),
            ..ClockAnchored::default()
        };
        assert!(Anchor::of(&record, Some(BootId([7; 16]))).is_some());
        assert!(Anchor::of(&record, Some(BootId([8; 16]))).is_none());
        record.boot_id.clear();
        assert!(Anchor::of(&record, Some(BootId([8; 16]))).is_some());
    }

    proptest! {
        #[test]
        fn no_stamp_leaves_the_range_or_lies_far_ahead(
            mono_ns in any::<u64>(), wall_ms in any::<i64>(), time_ms in any::<Option<i64>>(),
            age_ms in any::<Option<u32>>(), wall_us in any::<i64>(), at in any::<u64>(),
            local in any::<bool>(),
        ) {
            let anchor = Anchor { mono_ns: at, wall_us, u_ms: u32::MAX };
            let stamp = Stamp { mono_ns, wall_ms, time_ms, age_ms };
            let flags = Flags { local_sender: local, ..Flags::default() };
            for anchor in [None, Some(&anchor)] {
                let time = event_time(&stamp, flags, anchor, Some(WallMs(0)));
                let admitted = admission(&stamp, anchor);
                prop_assert!(time.at.0 <= admitted.0.saturating_add(limits::EVENT_AHEAD_MS_MAX));
            }
        }
    }
}
