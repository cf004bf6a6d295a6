//! The rows about the rig itself: power, UPS, disk, syncs, clock.

use alloc::format;
use alloc::string::String;

use super::{Check, Finding, Severity, Window};
use crate::limits::{
    PREFLIGHT_BEHIND_MS_MAX, PREFLIGHT_CLOCK_MS_MAX, PREFLIGHT_POWER_MINUTES, PREFLIGHT_ROOM_TIMES,
    PREFLIGHT_SYNC_P99_US_MAX, PREFLIGHT_UPS_MINUTES,
};

/// What feeds the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PowerCheck {
    /// Somebody said that the rig has mains for the whole popup.
    pub mains_declared: bool,
    /// A battery of its own, if it has one.
    pub battery: Option<Battery>,
    /// A UPS answers.
    pub has_ups: bool,
}

/// A battery as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Battery {
    /// Charge, per cent.
    pub charge: Option<u32>,
    /// The rig runs on it now; unknown when no source tells.
    pub in_use: Option<bool>,
    /// How long it lasts at the draw that was seen while it was in use, minutes.
    pub minutes: Option<u32>,
}

/// Power against what is left of the window and half an hour.
#[must_use]
pub fn power(seen: &PowerCheck, window: &Window) -> Finding {
    let needed = window
        .minutes_left()
        .saturating_add(PREFLIGHT_POWER_MINUTES);
    let wanted =
        format!("{needed} min of battery, or mains declared and a battery or UPS behind it");
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Power, severity, measured, wanted.clone(), todo)
    };
    let Some(battery) = seen.battery else {
        return match (seen.mains_declared, seen.has_ups) {
            (true, true) => found(Severity::Pass, "mains, with a UPS".into(), ""),
            (true, false) => found(
                Severity::Warning,
                "mains, with nothing behind it".into(),
                "bring a UPS or a laptop with a battery; what was acknowledged survives a power cut",
            ),
            (false, true | false) => found(
                Severity::Warning,
                "no battery seen, mains not declared".into(),
                "if the stall has mains all along, say so with --mains",
            ),
        };
    };
    let charge = battery
        .charge
        .map_or_else(|| "charge unknown".into(), |charge| format!("{charge} %"));
    match (battery.minutes, battery.in_use) {
        (Some(minutes), Some(true)) => {
            let measured = format!("battery {charge}, lasts {minutes} min");
            let severity = if minutes < needed && !seen.mains_declared {
                Severity::NoGo
            } else if u64::from(minutes) * 10 < u64::from(needed) * 13 && !seen.mains_declared {
                Severity::Warning
            } else {
                Severity::Pass
            };
            let todo =
                "plug the rig in for the popup and say so with --mains, or bring a larger battery";
            found(severity, measured, todo)
        }
        _ if seen.mains_declared => found(Severity::Pass, format!("mains, battery {charge}"), ""),
        (Some(_) | None, Some(_) | None) => found(
            Severity::NotChecked,
            format!("battery {charge}; how long it lasts shows only while it is in use"),
            "unplug the rig for two minutes and run again meanwhile, or say --mains",
        ),
    }
}

/// What `upsd` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpsCheck {
    /// One was named in the configuration.
    pub declared: bool,
    /// It answered.
    pub answered: bool,
    /// Its battery is low, or must be replaced.
    pub gives_up: bool,
    /// Charge, per cent.
    pub charge: Option<u32>,
    /// How long it lasts, minutes.
    pub minutes: Option<u32>,
}

/// The UPS; that there is none is no fault.
#[must_use]
pub fn ups(seen: &UpsCheck) -> Finding {
    let needed = format!("none, or {PREFLIGHT_UPS_MINUTES} min and no LB, RB");
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Ups, severity, measured, needed.clone(), todo)
    };
    let charge = seen
        .charge
        .map_or_else(String::new, |charge| format!(", {charge} %"));
    let minutes = seen
        .minutes
        .map_or_else(String::new, |minutes| format!(", {minutes} min"));
    let measured = format!("answers{charge}{minutes}");
    match (seen.answered, seen.declared) {
        (false, false) => found(Severity::Pass, "none declared".into(), ""),
        (false, true) => found(
            Severity::Warning,
            "declared, and does not answer".into(),
            "start upsd and check its address in the configuration (edge.host_upsd)",
        ),
        (true, true | false) if seen.gives_up => found(
            Severity::NoGo,
            format!("{measured}, about to switch off or due for a new battery"),
            "charge it or replace its battery",
        ),
        (true, true | false) => {
            let is_short = seen
                .minutes
                .is_some_and(|minutes| minutes < PREFLIGHT_UPS_MINUTES);
            let severity = if is_short {
                Severity::Warning
            } else {
                Severity::Pass
            };
            found(severity, measured, "let it charge, or take load off it")
        }
    }
}

/// Room against what the popup will write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRoom {
    /// Free for the journal, bytes.
    pub free: u64,
    /// Events expected of the whole popup at this rig.
    pub events: u64,
    /// What one takes, measured or estimated, bytes.
    pub bytes_each: u64,
    /// What is kept for money, bytes.
    pub reserve: u64,
}

/// Room: once what is expected must be there, three times is comfortable.
#[must_use]
pub fn disk(seen: &DiskRoom) -> Finding {
    let once = seen.events.saturating_mul(seen.bytes_each);
    let at_least = once.saturating_add(seen.reserve);
    let wanted = once
        .saturating_mul(PREFLIGHT_ROOM_TIMES)
        .saturating_add(seen.reserve);
    let severity = if seen.free < at_least {
        Severity::NoGo
    } else if seen.free < wanted {
        Severity::Warning
    } else {
        Severity::Pass
    };
    let needed = format!(
        "{} ({} events of {} B, three times, and the reserve)",
        size(wanted),
        seen.events,
        seen.bytes_each
    );
    let todo = "free the disk under the data directory, or point --data at a larger one";
    Finding::new(
        Check::Disk,
        severity,
        format!("{} free", size(seen.free)),
        needed,
        todo,
    )
}

/// Bytes for people, in binary units, rounded down.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..0x2800 => format!("{bytes} B"),
        0x2800..0xA0_0000 => format!("{} KiB", bytes >> 10),
        0xA0_0000..0x2_8000_0000 => format!("{} MiB", bytes >> 20),
        0x2_8000_0000.. => format!("{} GiB", bytes >> 30),
    }
}

/// What kind of place the data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A local disk, as far as can be seen.
    Disk,
    /// Memory.
    Memory,
    /// A container's layer.
    Layer,
    /// Another machine.
    Network,
}

/// Writes and syncs that were timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsyncCheck {
    /// Where.
    pub place: Place,
    /// What the system said when it refused, if it did.
    pub fault: Option<String>,
    /// How many.
    pub count: usize,
    /// Half took at most this, µs.
    pub p50_us: u64,
    /// 99 of 100 took at most this, µs.
    pub p99_us: u64,
    /// They took as long as a disk needs.
    pub is_honest: bool,
}

/// Whether what the disk calls durable is.
#[must_use]
pub fn fsync(seen: &FsyncCheck) -> Finding {
    let needed = format!(
        "a local disk, p99 at most {} ms",
        PREFLIGHT_SYNC_P99_US_MAX / 1_000
    );
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Fsync, severity, measured, needed.clone(), todo)
    };
    let elsewhere = match seen.place {
        Place::Disk => None,
        Place::Memory => Some("the data directory is in memory: a power cut takes every sale"),
        Place::Layer => Some("the data directory is in a container's layer and goes with it"),
        Place::Network => Some("the data directory is on a network mount"),
    };
    if let Some(fault) = &seen.fault {
        let todo =
            "make the data directory writable for the user popwatch runs as, or check the disk";
        return found(Severity::NoGo, format!("writing failed: {fault}"), todo);
    }
    if let Some(measured) = elsewhere {
        let todo = "point --data at a folder on a local disk; in a container, at a mounted volume";
        return found(Severity::NoGo, measured.into(), todo);
    }
    let measured = format!(
        "{} × 4 KiB: p50 {}, p99 {}",
        seen.count,
        micros(seen.p50_us),
        micros(seen.p99_us)
    );
    if !seen.is_honest {
        let todo =
            "look for a write cache that ignores flushes, or a virtual disk that was told to";
        return found(
            Severity::Warning,
            format!("{measured}: faster than a disk can write"),
            todo,
        );
    }
    let is_slow = seen.p99_us > PREFLIGHT_SYNC_P99_US_MAX;
    let severity = if is_slow {
        Severity::Warning
    } else {
        Severity::Pass
    };
    found(
        severity,
        measured,
        "a faster disk makes the till answer faster; nothing is lost",
    )
}

/// Microseconds for people.
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        10_000.. => format!("{} ms", us / 1_000),
    }
}

/// The rig's clock beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockCheck {
    /// The rig's clock minus a peer's, ms; unknown without a peer.
    pub error_ms: Option<i64>,
    /// What that may be wrong by, ms.
    pub within_ms: u32,
    /// Exchanges that were answered.
    pub exchanges: usize,
    /// The rig's clock minus the newest moment its journal knows, ms; unknown in an empty one.
    pub past_mark_ms: Option<i64>,
}

/// The clock against a peer's and against the rig's own past.
#[must_use]
pub fn clock(seen: &ClockCheck) -> Finding {
    let needed = format!("within {} s of the ledger", PREFLIGHT_CLOCK_MS_MAX / 1_000);
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Clock, severity, measured, needed.clone(), todo)
    };
    let set = "set the clock (timedatectl set-ntp true), then run again";
    if let Some(past) = seen
        .past_mark_ms
        .filter(|past| *past <= -PREFLIGHT_BEHIND_MS_MAX)
    {
        let hours = past.unsigned_abs() / 3_600_000;
        return found(
            Severity::NoGo,
            format!("{hours} h behind the journal's newest sale"),
            set,
        );
    }
    let Some(error_ms) = seen.error_ms else {
        return found(
            Severity::NotChecked,
            "no peer to compare with".into(),
            "run again when the ledger answers; sales are dated right once it does",
        );
    };
    let measured = format!(
        "{error_ms:+} ms, within {} ms, {} exchanges",
        seen.within_ms, seen.exchanges
    );
    let is_off = error_ms.unsigned_abs() > PREFLIGHT_CLOCK_MS_MAX;
    let severity = if is_off {
        Severity::Warning
    } else {
        Severity::Pass
    };
    found(severity, measured, set)
}
