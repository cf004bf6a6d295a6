//! Heat, throttling and under-voltage: `/sys/class/thermal`, `/sys/class/hwmon`, and the firmware of
//! a Raspberry Pi.
//!
//! The processor's own sensors count. Boards have others that are wired to nothing and say 127 °C;
//! only where no sensor is known to be the processor's does the hottest thermal zone stand in.

use super::Seen;

/// Colder or hotter no rig runs, m°C.
const POSSIBLE: std::ops::RangeInclusive<i64> = -40_000..=125_000;
/// What a file may hold at all, m°C.
const HELD: std::ops::RangeInclusive<i64> = -1_000_000..=1_000_000;
/// Parts of the names of zones that are the processor's.
const ZONES: [&str; 4] = ["cpu", "soc", "pkg", "package"];
/// Drivers of the processor's sensors.
const DRIVERS: [&str; 6] = [
    "coretemp",
    "k10temp",
    "zenpower",
    "cpu_thermal",
    "soc_thermal",
    "fam15h_power",
];
/// Sensors of one chip that are read.
const SENSORS_MAX: u32 = 32;
/// Where a Raspberry Pi's firmware says what it suffers from, in hexadecimal.
const FIRMWARE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
/// Under-voltage now.
const FIRMWARE_UNDER_VOLTAGE: u32 = 1;
/// Clock capped, throttled, or at the soft limit now.
const FIRMWARE_THROTTLED: u32 = 0b1110;

/// What the sensors say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Heat {
    /// The hottest sensor that counts, m°C.
    pub(super) temperature: Option<i32>,
    /// The host slows itself down.
    pub(super) throttled: Option<bool>,
    /// The power supply is too weak.
    pub(super) under_voltage: Option<bool>,
}

/// Reads all sensors.
pub(super) fn read(seen: &mut Seen) -> Heat {
    let (mut own, mut other) = (None, None);
    let mut throttled = None;
    for name in seen.names("sys/class/thermal") {
        let folder = format!("sys/class/thermal/{name}");
        let kind = seen.text(&format!("{folder}/type")).unwrap_or_default();
        if name.starts_with("thermal_zone") {
            let heat = degrees(seen, &format!("{folder}/temp"));
            let kind = kind.to_ascii_lowercase();
            match ZONES.iter().any(|part| kind.contains(part)) {
                true => own = own.max(heat),
                false => other = other.max(heat),
            }
        } else if slows(&kind) {
            let state = seen.int(&format!("{folder}/cur_state"), -1..=1_000_000);
            throttled = throttled.max(state.map(|state| state > 0));
        }
    }
    let mut under_voltage = None;
    for name in seen.names("sys/class/hwmon") {
        let folder = format!("sys/class/hwmon/{name}");
        let driver = seen.text(&format!("{folder}/name")).unwrap_or_default();
        if driver == "rpi_volt" {
            let alarm = seen.int(&format!("{folder}/in0_lcrit_alarm"), 0..=1);
            under_voltage = alarm.map(|alarm| alarm == 1);
        } else if DRIVERS.contains(&driver.as_str()) {
            for sensor in 1..=SENSORS_MAX {
                own = own.max(degrees(seen, &format!("{folder}/temp{sensor}_input")));
            }
        }
    }
    if let Some(bits) = firmware(seen) {
        under_voltage = under_voltage.max(Some(bits & FIRMWARE_UNDER_VOLTAGE != 0));
        throttled = throttled.max(Some(bits & FIRMWARE_THROTTLED != 0));
    }
    Heat {
        temperature: own.or(other),
        throttled,
        under_voltage,
    }
}

/// Devices that cool by making the processor slower.
fn slows(kind: &str) -> bool {
    kind == "Processor" || kind.contains("cpufreq")
}

/// A sensor's word, unless it is wired to nothing.
fn degrees(seen: &mut Seen, path: &str) -> Option<i32> {
    let heat = seen.int(path, HELD)?;
    let heat = Some(heat).filter(|heat| POSSIBLE.contains(heat))?;
    i32::try_from(heat).ok()
}

fn firmware(seen: &mut Seen) -> Option<u32> {
    let text = seen.text(FIRMWARE)?;
    match u32::from_str_radix(text.trim_start_matches("0x"), 16) {
        Ok(bits) => Some(bits),
        Err(_) => seen.nonsense(FIRMWARE),
    }
}
