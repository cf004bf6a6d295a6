//! The host under a rig: when its power, heat and disk are worth a word, and which word.
//!
//! What always holds: what was not measured is absent, never 0, and neither raises an alarm nor ends
//! one; an alarm that was
//! raised falls only some way below its mark, so that a value on the mark does not chatter; a rig
//! without an open popup, and one where nothing changes and nobody sells, journals nothing of this.
//!
//! ```text
//!            ≤ 20 %, or ≤ 10 min          ≤ 5 %, or the UPS gives up
//!   fine ─────────────────────────► low ─────────────────────────────► critical: sealed at once
//!     ▲   > 22 % and > 12 min        │ ▲         > 7 %                  │
//!     └──────── or on mains ─────────┘ └────────────────────────────────┘
//! ```

use alloc::collections::VecDeque;

use crate::event::{Bytes, Event, Millis, RigSampled, Thousandths};
use crate::limits::{DISK_TREND_MS, DISK_TREND_SAMPLES_MAX, RIG_SAMPLE_MS};
use crate::time::MonoMs;

/// A battery at this charge or below is low, thousandths of a per cent.
const LOW: u32 = 20_000;
/// A battery that lasts this long or less is low, minutes: a full UPS may be that small.
const LOW_MINUTES: u32 = 10;
/// A battery at this charge or below may be empty at the next look, thousandths of a per cent.
const CRITICAL: u32 = 5_000;
/// How far above its mark a charge must rise to be better again, thousandths of a per cent.
const CHARGE_BACK: u32 = 2_000;
/// The same for minutes left.
const MINUTES_BACK: u32 = 2;
/// A host this hot is too hot, thousandths of a degree Celsius.
const HOT: i32 = 80_000;
/// How far it must cool to be well again, thousandths of a degree.
const HEAT_BACK: i32 = 5_000;
/// Looks in a row that must find heat: a processor at work is hot for a moment.
const HOT_LOOKS: u8 = 2;
/// A disk needs to have been watched for this long before its rate says anything, ms.
const TREND_LEAST_MS: u64 = 60_000;

/// What one look at the host found. Absent is what no source told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostSample {
    /// Charge of all batteries together, thousandths of a per cent, 0 to 100,000.
    pub battery: Option<u32>,
    /// Mains is gone.
    pub on_battery: Option<bool>,
    /// The battery empties, be it on mains: a weak adapter does that.
    pub draining: bool,
    /// The UPS says that it is about to switch off.
    pub giving_up: bool,
    /// Minutes left on battery at the present draw.
    pub minutes: Option<u32>,
    /// Draw from the battery, milliwatts.
    pub power_mw: Option<u64>,
    /// The hottest sensor that counts, thousandths of a degree Celsius.
    pub temperature: Option<i32>,
    /// The host slows itself down because of heat.
    pub throttled: Option<bool>,
    /// The power supply is too weak.
    pub under_voltage: Option<bool>,
    /// Free bytes of the disk under the journal.
    pub disk_free: Option<u64>,
    /// Minutes until that disk is full at the rate of the last five; absent while it does not shrink.
    pub disk_minutes: Option<u32>,
    /// Round trip to the nearest peer, ms: the edge's own knowledge, not the probes'.
    pub rtt_ms: Option<u32>,
}

/// How the battery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Charge {
    /// Enough, or there is none.
    #[default]
    Fine,
    /// PW1052.
    Low,
    /// PW1052, and the journal was sealed.
    Critical,
}

/// What is wrong with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alarms {
    /// The battery.
    pub charge: Charge,
    /// The power supply is too weak (PW1053).
    pub under_voltage: bool,
    /// The host is too hot (PW1054).
    pub heat: bool,
}

impl Alarms {
    /// Whether anything is wrong.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// What a look at the host asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    /// To be journaled.
    pub event: Option<Event>,
    /// Seal the journal now, after the event.
    pub seal: bool,
}

/// Remembers how the host stands.
#[derive(Debug, Clone, Default)]
pub struct HostWatch {
    newest: HostSample,
    alarms: Alarms,
    on_battery: bool,
    hot_looks: u8,
    looks: u64,
    traffic: bool,
    sampled: Option<MonoMs>,
}

impl HostWatch {
    /// An event became durable: a sample may follow it.
    pub fn heard(&mut self, event: &Event) {
        self.traffic |= !matches!(event, Event::RigSampled(_) | Event::System(_));
    }

    /// Takes a look's findings. `open`: some popup of the rig is open now.
    pub fn look(&mut self, sample: HostSample, open: bool, now: MonoMs) -> Asked {
        let (alarms, on_battery) = (self.judge(&sample), sample.on_battery == Some(true));
        let changed = alarms != self.alarms || on_battery != self.on_battery;
        let seal = alarms.charge == Charge::Critical && self.alarms.charge != Charge::Critical;
        if self.looks == 0 {
            // What was read back at start is no traffic, and the first minute begins now.
            self.traffic = false;
            self.sampled = Some(now);
        }
        self.looks += 1;
        (self.newest, self.alarms, self.on_battery) = (sample, alarms, on_battery);
        let due = self.sampled.is_none_or(|at| now.since(at) >= RIG_SAMPLE_MS);
        let says = open && (changed || (due && self.traffic));
        if says {
            self.sampled = Some(now);
            self.traffic = false;
        }
        Asked {
            event: says.then(|| event(&sample)).flatten(),
            seal,
        }
    }

    /// What is wrong with the host.
    #[must_use]
    pub fn alarms(&self) -> Alarms {
        self.alarms
    }

    /// What was found last.
    #[must_use]
    pub fn newest(&self) -> &HostSample {
        &self.newest
    }

    fn judge(&mut self, sample: &HostSample) -> Alarms {
        let was = self.alarms;
        let hot = sample
            .temperature
            .is_some_and(|heat| heat >= if was.heat { HOT - HEAT_BACK } else { HOT });
        self.hot_looks = if hot {
            self.hot_looks.saturating_add(1)
        } else {
            0
        };
        let heat_is_known = sample.temperature.is_some() || sample.throttled.is_some();
        let heat = sample.throttled == Some(true) || self.hot_looks >= HOT_LOOKS;
        Alarms {
            charge: charge(sample, was.charge),
            under_voltage: sample.under_voltage.unwrap_or(was.under_voltage),
            heat: if heat_is_known { heat } else { was.heat },
        }
    }
}

fn charge(sample: &HostSample, was: Charge) -> Charge {
    let is_known = sample.battery.is_some() || sample.minutes.is_some() || sample.giving_up;
    if !is_known && sample.on_battery != Some(false) {
        return was;
    }
    if !sample.draining && sample.on_battery != Some(true) {
        return Charge::Fine;
    }
    let below = |mark: u32, raised: bool| {
        let mark = if raised { mark + CHARGE_BACK } else { mark };
        sample.battery.is_some_and(|charge| charge <= mark)
    };
    let raised = was >= Charge::Low;
    let minutes = if raised {
        LOW_MINUTES + MINUTES_BACK
    } else {
        LOW_MINUTES
    };
    if sample.giving_up || below(CRITICAL, was == Charge::Critical) {
        Charge::Critical
    } else if below(LOW, raised) || sample.minutes.is_some_and(|left| left <= minutes) {
        Charge::Low
    } else {
        Charge::Fine
    }
}

/// The sample as it is journaled, `None` when nothing was measured.
fn event(sample: &HostSample) -> Option<Event> {
    let sampled = RigSampled {
        battery: sample.battery.map(|charge| Thousandths(charge.into())),
        on_battery: sample.on_battery,
        power_w: sample
            .power_mw
            .and_then(|power| i64::try_from(power).ok())
            .map(Thousandths),
        disk_free: sample
            .disk_free
            .and_then(|free| i64::try_from(free).ok())
            .map(Bytes),
        rtt_ms: sample.rtt_ms.map(Millis),
        temperature: sample.temperature.map(|heat| Thousandths(heat.into())),
    };
    let empty = RigSampled {
        battery: None,
        on_battery: None,
        power_w: None,
        disk_free: None,
        rtt_ms: None,
        temperature: None,
    };
    (sampled != empty).then_some(Event::RigSampled(sampled))
}

/// How the free space of a disk went over the last five minutes.
#[derive(Debug, Clone, Default)]
pub struct DiskTrend {
    samples: VecDeque<(MonoMs, u64)>,
}

impl DiskTrend {
    /// Takes a measurement: `free` bytes at `now`.
    pub fn measured(&mut self, free: u64, now: MonoMs) {
        self.samples.push_back((now, free));
        let old = |second: &(MonoMs, u64)| now.since(second.0) >= DISK_TREND_MS;
        while self.samples.len() > DISK_TREND_SAMPLES_MAX || self.samples.get(1).is_some_and(old) {
            self.samples.pop_front();
        }
    }

    /// Whole minutes until nothing is free at that rate; `None` while less than a minute was watched
    /// or the disk does not shrink.
    #[must_use]
    pub fn minutes_left(&self) -> Option<u32> {
        let ((then, before), (now, free)) = (self.samples.front()?, self.samples.back()?);
        let (span_ms, fell) = (now.since(*then), before.checked_sub(*free)?);
        if span_ms < TREND_LEAST_MS || fell == 0 {
            return None;
        }
        let minutes = u128::from(*free) * u128::from(span_ms) / u128::from(fell) / 60_000;
        Some(u32::try_from(minutes).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProductViewed;
    use crate::id::{Sku, Subject};

    /// On battery with this much left, per cent.
    fn at(percent: u32) -> HostSample {
        HostSample {
            battery: Some(percent * 1_000),
            on_battery: Some(true),
            draining: true,
            ..HostSample::default()
        }
    }

    #[track_caller]
    fn charges(samples: &[(HostSample, Charge)]) {
        let mut watch = HostWatch::default();
        for (index, (sample, expected)) in samples.iter().enumerate() {
            drop(watch.look(*sample, false, MonoMs(index as u64 * 10_000)));
            assert_eq!(watch.alarms().charge, *expected, "look {index}");
        }
    }

    fn traffic() -> Event {
        Event::ProductViewed(ProductViewed {
            viewer: Subject::new("v").unwrap(),
            sku: Sku::new("s").unwrap(),
            creator: None,
        })
    }

    #[test]
    fn a_battery_gets_low_at_20_and_critical_at_5_per_cent_and_does_not_chatter() {
        use Charge::{Critical, Fine, Low};
        charges(&[
            (at(21), Fine),
            (at(20), Low),
            (at(21), Low),
            (at(22), Low),
            (at(23), Fine),
            (at(20), Low),
            (at(6), Low),
            (at(5), Critical),
            (at(7), Critical),
            (at(8), Low),
        ]);
    }

    #[test]
    fn mains_ends_the_alarm_unless_the_battery_drains_all_the_same() {
        let weak = HostSample {
            on_battery: Some(false),
            ..at(10)
        };
        let charging = HostSample {
            draining: false,
            ..weak
        };
        charges(&[(at(10), Charge::Low), (charging, Charge::Fine)]);
        charges(&[(weak, Charge::Low)]);
        let unknown = HostSample {
            battery: Some(3_000),
            ..HostSample::default()
        };
        charges(&[(unknown, Charge::Fine)]);
    }

    #[test]
    fn a_small_ups_is_low_by_its_minutes_and_critical_by_its_own_word() {
        let small = HostSample {
            minutes: Some(10),
            ..at(100)
        };
        let ending = HostSample {
            giving_up: true,
            ..small
        };
        charges(&[(small, Charge::Low), (ending, Charge::Critical)]);
        charges(&[(HostSample::default(), Charge::Fine)]);
    }

    #[test]
    fn heat_counts_when_it_lasts_and_throttling_at_once() {
        let heat = |degrees: i32| HostSample {
            temperature: Some(degrees * 1_000),
            ..HostSample::default()
        };
        let mut watch = HostWatch::default();
        for (degrees, expected) in [
            (80, false),
            (79, false),
            (81, false),
            (80, true),
            (76, true),
            (74, false),
            (76, false),
        ] {
            drop(watch.look(heat(degrees), false, MonoMs(0)));
            assert_eq!(watch.alarms().heat, expected, "{degrees}");
        }
        let throttled = HostSample {
            throttled: Some(true),
            ..heat(60)
        };
        drop(watch.look(throttled, false, MonoMs(0)));
        assert!(watch.alarms().heat && watch.alarms().any());
    }

    #[test]
    fn a_source_that_falls_silent_is_no_all_clear() {
        let mut watch = HostWatch::default();
        let bad = HostSample {
            under_voltage: Some(true),
            throttled: Some(true),
            ..at(4)
        };
        drop(watch.look(bad, true, MonoMs(0)));
        let raised = watch.alarms();
        for on_battery in [None, Some(true)] {
            let silent = HostSample {
                on_battery,
                draining: on_battery.is_some(),
                ..HostSample::default()
            };
            let asked = watch.look(silent, true, MonoMs(0));
            assert_eq!((watch.alarms(), asked.seal), (raised, false));
        }
        let well = HostSample {
            under_voltage: Some(false),
            throttled: Some(false),
            on_battery: Some(false),
            ..HostSample::default()
        };
        drop(watch.look(well, true, MonoMs(0)));
        assert!(!watch.alarms().any());
    }

    #[test]
    fn the_journal_is_sealed_once_when_the_battery_gets_critical() {
        let mut watch = HostWatch::default();
        let mut seals = |percent| watch.look(at(percent), true, MonoMs(0)).seal;
        assert_eq!([30, 5, 4, 3].map(&mut seals), [false, true, false, false]);
        assert_eq!([30, 5].map(&mut seals), [false, true]);
    }

    #[test]
    fn samples_are_journaled_at_a_change_and_each_minute_with_traffic_in_an_open_popup() {
        let mut watch = HostWatch::default();
        let mains = HostSample {
            battery: Some(90_000),
            on_battery: Some(false),
            ..HostSample::default()
        };
        let mut said = |sample, open, heard: bool, seconds: u64| {
            if heard {
                watch.heard(&traffic());
            }
            let asked = watch.look(sample, open, MonoMs(seconds * 1_000));
            asked.event.is_some()
        };
        // Read back at start is no traffic; the first minute is counted from the first look.
        assert!(!said(mains, true, true, 100));
        assert!(!said(mains, true, false, 170), "nobody sells");
        assert!(said(mains, true, true, 180), "a minute passed");
        assert!(!said(mains, true, true, 190), "too early");
        assert!(said(at(89), true, false, 200), "mains went");
        assert!(
            !said(at(88), true, false, 270),
            "nothing changed, nobody sells"
        );
        assert!(!said(mains, false, true, 280), "no popup is open");
        assert!(said(mains, true, true, 340));
        assert!(
            !said(HostSample::default(), true, true, 500),
            "nothing was measured"
        );
    }

    #[test]
    fn own_records_are_no_traffic() {
        let mut watch = HostWatch::default();
        drop(watch.look(at(50), true, MonoMs(0)));
        watch.heard(&event(&at(50)).unwrap());
        let later = watch.look(at(50), true, MonoMs(RIG_SAMPLE_MS));
        assert_eq!(later, Asked::default());
    }

    #[test]
    fn a_sample_says_what_was_measured_and_nothing_else() {
        let Some(Event::RigSampled(sampled)) = event(&HostSample {
            temperature: Some(48_312),
            power_mw: Some(6_500),
            ..HostSample::default()
        }) else {
            panic!("something was measured")
        };
        assert_eq!(sampled.temperature, Some(Thousandths(48_312)));
        assert_eq!(sampled.power_w, Some(Thousandths(6_500)));
        assert_eq!((sampled.battery, sampled.on_battery), (None, None));
        assert_eq!(sampled.disk_free, None);
    }

    #[test]
    fn the_disk_lasts_as_the_last_five_minutes_say() {
        let mut trend = DiskTrend::default();
        let mut left = |seconds: u64, free: u64| {
            trend.measured(free, MonoMs(seconds * 1_000));
            trend.minutes_left()
        };
        assert_eq!(left(0, 10_000), None);
        assert_eq!(left(10, 9_000), None, "watched too short");
        assert_eq!(left(60, 4_000), Some(0), "6,000 a minute, 4,000 left");
        assert_eq!(left(120, 8_000), Some(8), "1,000 a minute since the start");
        assert_eq!(left(130, 10_000), None, "does not shrink");
        assert_eq!(left(430, 9_000), Some(45), "the oldest within reach counts");
        assert_eq!(left(1_000, 9_500), None);
    }

    #[test]
    fn a_trend_keeps_a_bounded_number_of_samples() {
        let mut trend = DiskTrend::default();
        for ms in 0..10_000 {
            trend.measured(ms, MonoMs(ms));
        }
        assert_eq!(trend.samples.len(), DISK_TREND_SAMPLES_MAX);
    }
}
