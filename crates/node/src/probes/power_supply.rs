//! Batteries and mains as Linux tells them: `/sys/class/power_supply/*`.
//!
//! Energies are µWh, charges µAh, powers µW, currents µA, voltages µV. What belongs to a mouse or a
//! headset (`scope` Device) is not the rig's. Several batteries count as one.

use super::Seen;

const FOLDER: &str = "sys/class/power_supply";
/// Beyond 10 kWh it is no battery of a rig, µWh.
const ENERGY_MAX: i64 = 10_000_000_000;
/// Beyond 2,000 Ah likewise, µAh.
const CHARGE_MAX: i64 = 2_000_000_000;
/// 1,000 V, µV.
const VOLTAGE_MAX: i64 = 1_000_000_000;
/// 10 kW, µW.
const POWER_MAX: i64 = 10_000_000_000;
/// 1,000 A, µA.
const CURRENT_MAX: i64 = 1_000_000_000;
/// Some gauges run a little beyond full, per cent.
const CAPACITY_MAX: i64 = 130;
/// Less draw than this is a gauge's noise and says nothing about time, µW.
const DRAW_LEAST: i64 = 100_000;

/// What feeds the rig.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Supply {
    /// Charge of all batteries together, thousandths of a per cent.
    pub(super) battery: Option<u32>,
    /// No mains adapter feeds the rig.
    pub(super) on_battery: Option<bool>,
    /// A battery says that it empties.
    pub(super) draining: bool,
    /// Minutes left at the present draw.
    pub(super) minutes: Option<u32>,
    /// What the emptying batteries give, milliwatts.
    pub(super) power_mw: Option<u64>,
}

/// What a battery does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Discharging,
    Fed,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Battery {
    capacity: Option<i64>,
    now_uwh: Option<i64>,
    full_uwh: Option<i64>,
    draw_uw: Option<i64>,
    status: Status,
}

/// Reads all supplies.
pub(super) fn read(seen: &mut Seen) -> Supply {
    let (mut batteries, mut mains) = (Vec::new(), None);
    for name in seen.names(FOLDER) {
        let folder = format!("{FOLDER}/{name}");
        let Some(kind) = seen.text(&format!("{folder}/type")) else {
            continue;
        };
        if seen.text(&format!("{folder}/scope")).as_deref() == Some("Device") {
            continue;
        }
        match kind.as_str() {
            "Battery" | "UPS" => batteries.extend(battery(seen, &folder)),
            "Mains" | "Wireless" | "BrickID" | "USB" => mains = mains.max(online(seen, &folder)),
            other if other.starts_with("USB_") => mains = mains.max(online(seen, &folder)),
            "Unknown" => {}
            _other => {
                let _no_value: Option<()> = seen.nonsense(&format!("{folder}/type"));
            }
        }
    }
    together(&batteries, mains)
}

/// 2 is a port whose power was negotiated.
fn online(seen: &mut Seen, folder: &str) -> Option<bool> {
    let online = seen.int(&format!("{folder}/online"), 0..=2);
    online.map(|online| online > 0)
}

fn battery(seen: &mut Seen, folder: &str) -> Option<Battery> {
    let mut int = |file: &str, max: i64| seen.int(&format!("{folder}/{file}"), -max..=max);
    if int("present", 1) == Some(0) {
        return None;
    }
    let voltage = int("voltage_now", VOLTAGE_MAX).filter(|voltage| *voltage > 0);
    // µAh × µV is 10⁻¹² Wh; the bounds keep the product within 64 bits.
    let by_volts = |micro: i64| voltage.map(|voltage| micro * voltage / 1_000_000);
    let mut pair = |direct: &str, other: &str, direct_max: i64, other_max| {
        let found = int(direct, direct_max);
        let found = found.or_else(|| int(other, other_max).and_then(by_volts));
        found.filter(|number| *number <= direct_max)
    };
    let now_uwh = pair("energy_now", "charge_now", ENERGY_MAX, CHARGE_MAX);
    let full_uwh = pair("energy_full", "charge_full", ENERGY_MAX, CHARGE_MAX);
    // Some gauges count what leaves a battery as negative.
    let draw_uw = pair("power_now", "current_now", POWER_MAX, CURRENT_MAX).map(i64::abs);
    let capacity = seen.int(&format!("{folder}/capacity"), 0..=CAPACITY_MAX);
    let path = format!("{folder}/status");
    let status = match seen.text(&path).as_deref() {
        Some("Discharging") => Status::Discharging,
        Some("Charging" | "Full" | "Not charging") => Status::Fed,
        Some("Unknown") | None => Status::Unknown,
        Some(_other) => {
            let _no_value: Option<()> = seen.nonsense(&path);
            Status::Unknown
        }
    };
    Some(Battery {
        capacity: capacity.map(|percent| percent.min(100)),
        now_uwh: now_uwh.filter(|energy| *energy >= 0),
        full_uwh: full_uwh.filter(|energy| *energy > 0),
        draw_uw,
        status,
    })
}

/// All batteries as one.
fn together(batteries: &[Battery], mains: Option<bool>) -> Supply {
    let emptying: Vec<&Battery> = batteries
        .iter()
        .filter(|battery| battery.status == Status::Discharging)
        .collect();
    let draining = !emptying.is_empty();
    let fed = batteries.iter().any(|one| one.status == Status::Fed);
    let on_battery = match mains {
        Some(online) => Some(!online && !batteries.is_empty()),
        None if draining => Some(true),
        None => fed.then_some(false),
    };
    let draw = all(emptying.iter().map(|battery| battery.draw_uw)).filter(|_| draining);
    let left = all(batteries.iter().map(|battery| battery.now_uwh));
    let minutes = draw
        .filter(|draw| *draw >= DRAW_LEAST)
        .and_then(|draw| u32::try_from(left? * 60 / draw).ok());
    Supply {
        battery: charge(batteries),
        on_battery,
        draining,
        minutes,
        power_mw: draw.and_then(|draw| u64::try_from(draw / 1_000).ok()),
    }
}

/// One battery's own word; of several what is in them of what fits in, else the mean of their words.
fn charge(batteries: &[Battery]) -> Option<u32> {
    let by_energy = || {
        let now = all(batteries.iter().map(|battery| battery.now_uwh))?;
        let full = all(batteries.iter().map(|battery| battery.full_uwh))?;
        u32::try_from((now * 100_000).checked_div(full)?.min(100_000)).ok()
    };
    let by_word = || {
        let sum = all(batteries.iter().map(|battery| battery.capacity))?;
        let count = i64::try_from(batteries.len()).ok()?;
        u32::try_from((sum * 1_000).checked_div(count)?).ok()
    };
    match batteries.len() {
        1 => by_word().or_else(by_energy),
        _ => by_energy().or_else(by_word),
    }
}

/// The sum, if every part is known.
fn all(parts: impl Iterator<Item = Option<i64>>) -> Option<i64> {
    parts.sum()
}
