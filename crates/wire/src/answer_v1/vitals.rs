//! What the probes, the disk and the clock of a rig's host told last: parts of its status.
//!
//! What always holds: a source that is missing leaves its value out; 0 is always a measured 0.
//! Each part is filled by the one task that measures it, so a part is replaced and never merged.

use popwatch_core::role::edge::Host;
use serde::Serialize;

/// Disk level from which sales are refused too.
const LEVEL_NONE: u8 = 4;

/// The newest measurements. All parts begin empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vitals {
    /// The disk under the journal.
    pub disk: Option<Disk>,
    /// How long the journal's commits took lately.
    pub sync: Option<Sync>,
    /// The clock against the anchor peer's.
    pub clock: Option<Clock>,
    /// Battery, mains, UPS.
    pub power: Option<Power>,
    /// Heat.
    pub temperature: Option<Temperature>,
    /// Network interfaces; empty while nothing was read.
    pub network: Vec<Network>,
    /// Files put aside, and whether some need a later version.
    pub quarantine: Option<Quarantine>,
    /// A segment of a later format lies in the journal.
    pub newer_format: bool,
    /// The policy in force.
    pub policy: Option<Policy>,
}

/// The disk under the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Disk {
    /// 0 enough, 1 low, 2 tight, 3 reserve, 4 none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Free bytes of the file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Bytes the journal may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_bytes: Option<u64>,
    /// Bytes the journal takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// Minutes until it is full at the rate of the last five; absent while it is not shrinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_left: Option<u32>,
    /// Whether a sync of this disk can be believed (PW0210 when not).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honest: Option<bool>,
}

/// How long the journal's last commits took, write and sync together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sync {
    /// Half took at most this, µs.
    #[serde(rename = "sync_p50_us")]
    pub p50_us: u64,
    /// 99 of 100 took at most this, µs.
    #[serde(rename = "sync_p99_us")]
    pub p99_us: u64,
}

/// The clock against the anchor peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Clock {
    /// The rig's wall clock minus true time, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<i64>,
    /// True time lies within ± this of the corrected clock, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub u_ms: Option<u32>,
    /// No anchor, or more than 2 s of uncertainty.
    pub suspect: bool,
    /// Age of the anchor in force, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_age_ms: Option<u64>,
}

/// Battery, mains, UPS: the weakest link of what powers the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Power {
    /// Charge, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<u32>,
    /// Mains is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_battery: Option<bool>,
    /// Minutes left on battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Draw, watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<u32>,
    /// The power supply is too weak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_voltage: Option<bool>,
}

/// Heat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Temperature {
    /// The hottest zone, whole degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<i32>,
    /// The host slows itself down because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<bool>,
}

/// A network interface other than loopback.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Network {
    /// Its name at the host.
    pub name: String,
    /// It has a carrier and is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// Quality of the radio link, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u32>,
}

/// Files that recovery put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Quarantine {
    /// How many.
    pub files: u64,
    /// How many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Which policy is wanted and which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Policy {
    /// Version the centre wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// Version in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
    /// How it runs, of the popup that is worst off: `built_in`, `in_force`, `grace`, `fell_back` or
    /// `restricted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
}

impl Vitals {
    /// What the edge machine has to know of them: for its states and its beacons.
    #[must_use]
    pub fn host(&self) -> Host {
        let level = self.disk.and_then(|disk| disk.level).unwrap_or(0);
        let power = self.power.unwrap_or_default();
        Host {
            disk_full: level >= LEVEL_NONE,
            newer_format: self.newer_format,
            storage_pressure: level > 0,
            power: power.on_battery == Some(true) || power.under_voltage == Some(true),
            clock_suspect: self.clock.is_some_and(|clock| clock.suspect),
            clock_u_ms: self.clock.and_then(|clock| clock.u_ms),
            battery: power.battery,
            disk_minutes: self.disk.and_then(|disk| disk.minutes_left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_the_disk_says_whether_sales_are_kept() {
        let host = |level| {
            let disk = Disk {
                level: Some(level),
                ..Disk::default()
            };
            let vitals = Vitals {
                disk: Some(disk),
                ..Vitals::default()
            };
            let host = vitals.host();
            (host.storage_pressure, host.disk_full)
        };
        assert_eq!(host(0), (false, false));
        assert_eq!(host(3), (true, false));
        assert_eq!(host(4), (true, true));
    }
}
