//! Hosts as they were found, in a folder that stands for `/`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// A folder that stands for `/`; gone with the value.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("popwatch-probes-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Files of one folder, each `name value`.
    fn files(&self, folder: &str, lines: &[&str]) {
        for line in lines {
            let (name, value) = line.split_once(' ').unwrap();
            self.file(&format!("{folder}/{name}"), format!("{value}\n").as_bytes());
        }
    }

    fn supply(&self, name: &str, lines: &[&str]) {
        self.files(&format!("sys/class/power_supply/{name}"), lines);
    }

    fn read<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> (T, Vec<Fault>) {
        let mut seen = Seen::at(&self.0);
        let found = read(&mut seen);
        (found, seen.faults)
    }

    #[track_caller]
    fn clean<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        let (found, faults) = self.read(read);
        assert_eq!(faults, []);
        found
    }

    fn probes(&self) -> Probes {
        let host = Host {
            root: self.0.clone(),
            data: self.0.clone(),
            upsd: None,
        };
        Probes::within(Duration::from_millis(100), host, Ambient::system())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A laptop whose gauge counts energy, its adapter and a USB-C port; a mouse with a battery.
fn energy_laptop() -> Root {
    let root = Root::new();
    root.supply("AC", &["type Mains", "online 0"]);
    root.supply(
        "ucsi-source-psy-USBC000:001",
        &[
            "type USB",
            "online 0",
            "scope System",
            "voltage_now 5000000",
        ],
    );
    root.supply(
        "BAT0",
        &[
            "type Battery",
            "status Discharging",
            "present 1",
            "technology Li-poly",
            "voltage_now 11523000",
            "power_now 7450000",
            "energy_full_design 57000000",
            "energy_full 45300000",
            "energy_now 21340000",
            "capacity 47",
            "capacity_level Normal",
        ],
    );
    root.supply(
        "hidpp_battery_0",
        &[
            "type Battery",
            "scope Device",
            "status Discharging",
            "capacity 5",
            "online 1",
        ],
    );
    root
}

#[test]
fn a_laptop_that_counts_energy() {
    let supply = energy_laptop().clean(power_supply::read);
    let expected = Supply {
        battery: Some(47_000),
        on_battery: Some(true),
        draining: true,
        minutes: Some(171),
        power_mw: Some(7_450),
    };
    assert_eq!(supply, expected);
}

#[test]
fn a_laptop_that_counts_charge_and_current() {
    let root = Root::new();
    root.supply("ADP1", &["type Mains", "online 0"]);
    let lines = [
        "type Battery",
        "status Discharging",
        "present 1",
        "charge_full 5120000",
        "charge_now 3210000",
        "current_now -1123000",
        "voltage_now 11840000",
        "capacity 62",
    ];
    root.supply("BAT1", &lines);
    let supply = root.clean(power_supply::read);
    assert_eq!(supply.minutes, Some(171), "3,210 mAh at 1,123 mA");
    assert_eq!(supply.power_mw, Some(13_296));
    assert_eq!(supply.battery, Some(62_000));
    // Without a voltage there is charge, but no energy.
    root.supply("BAT1", &["voltage_now 0"]);
    let supply = root.clean(power_supply::read);
    assert_eq!((supply.battery, supply.minutes), (Some(62_000), None));
    assert_eq!(supply.power_mw, None);
}

#[test]
fn two_batteries_count_as_one() {
    let root = Root::new();
    root.supply("AC", &["type Mains", "online 0"]);
    let bat = |name: &str, status: &str, now: u64, power: u64, capacity: u64| {
        let lines = [
            "type Battery".to_owned(),
            format!("status {status}"),
            format!("energy_now {now}"),
            "energy_full 24000000".to_owned(),
            format!("power_now {power}"),
            format!("capacity {capacity}"),
        ];
        root.supply(name, &lines.each_ref().map(String::as_str));
    };
    bat("BAT0", "Not charging", 18_000_000, 0, 75);
    bat("BAT1", "Discharging", 6_000_000, 12_000_000, 25);
    let supply = root.clean(power_supply::read);
    assert_eq!(supply.battery, Some(50_000));
    assert_eq!(supply.minutes, Some(120), "both will be emptied");
    assert_eq!(supply.power_mw, Some(12_000));
}

#[test]
fn mains_is_on_when_any_adapter_is_and_a_weak_one_drains_all_the_same() {
    let root = energy_laptop();
    root.supply("ucsi-source-psy-USBC000:001", &["online 1"]);
    let supply = root.clean(power_supply::read);
    assert_eq!((supply.on_battery, supply.draining), (Some(false), true));
    assert_eq!(supply.minutes, Some(171));
    root.supply("BAT0", &["status Charging"]);
    let supply = root.clean(power_supply::read);
    assert_eq!((supply.on_battery, supply.draining), (Some(false), false));
    assert_eq!(
        (supply.minutes, supply.power_mw),
        (None, None),
        "a charge is no draw"
    );
}

#[test]
fn a_tablet_without_an_adapters_entry_is_on_what_its_battery_says() {
    let root = Root::new();
    for (status, expected) in [
        ("Discharging", Some(true)),
        ("Full", Some(false)),
        ("Unknown", None),
    ] {
        let status = format!("status {status}");
        root.supply("battery", &["type Battery", "capacity 101", &status]);
        let supply = root.clean(power_supply::read);
        assert_eq!(supply.on_battery, expected, "{status}");
        assert_eq!(supply.battery, Some(100_000));
    }
    root.supply("battery", &["present 0"]);
    assert_eq!(root.clean(power_supply::read), Supply::default());
}

#[test]
fn a_host_that_tells_nothing_tells_nothing() {
    let root = Root::new();
    assert_eq!(root.clean(power_supply::read), Supply::default());
    assert_eq!(root.clean(thermal::read), Heat::default());
    assert_eq!(root.clean(network::read), []);
    // A desktop: an adapter and nothing that it feeds.
    root.supply("AC", &["type Mains", "online 0"]);
    assert_eq!(root.clean(power_supply::read).on_battery, Some(false));
}

/// A Raspberry Pi with a weak adapter.
fn raspberry() -> Root {
    let root = Root::new();
    let zone = ["type cpu-thermal", "temp 58426", "mode enabled"];
    root.files("sys/class/thermal/thermal_zone0", &zone);
    let fan = ["type thermal-cpufreq-0", "cur_state 0", "max_state 3"];
    root.files("sys/class/thermal/cooling_device0", &fan);
    let cpu = ["name cpu_thermal", "temp1_input 58913"];
    root.files("sys/class/hwmon/hwmon0", &cpu);
    let volt = ["name rpi_volt", "in0_lcrit_alarm 1"];
    root.files("sys/class/hwmon/hwmon1", &volt);
    root.files("sys/class/net/lo", &["operstate unknown", "carrier 1"]);
    root.files("sys/class/net/eth0", &["operstate down", "carrier 0"]);
    root.files("sys/class/net/wlan0", &["operstate up", "carrier 1"]);
    root.files("sys/class/net/wwan0", &["operstate unknown", "carrier 1"]);
    root.files("sys/class/net/veth12ab", &["operstate up", "carrier 1"]);
    root.files("sys/class/net/docker0", &["operstate down", "carrier 0"]);
    root.file(
        "proc/net/wireless",
        b"Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n \
          face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n \
          wlan0: 0000   49.  -61.  -256        0      0      0     11    101        0\n",
    );
    root
}

#[test]
fn a_raspberry_pi_with_a_weak_adapter() {
    let root = raspberry();
    let expected = Heat {
        temperature: Some(58_913),
        throttled: Some(false),
        under_voltage: Some(true),
    };
    assert_eq!(root.clean(thermal::read), expected);
    root.files("sys/class/thermal/cooling_device0", &["cur_state 2"]);
    root.files("sys/class/hwmon/hwmon1", &["in0_lcrit_alarm 0"]);
    let heat = root.clean(thermal::read);
    assert_eq!(
        (heat.throttled, heat.under_voltage),
        (Some(true), Some(false))
    );
    // Older systems: bits of now and, above 16, of ever.
    let firmware = |bits: &str| root.files("sys/devices/platform/soc/soc:firmware", &[bits]);
    firmware("get_throttled 50005");
    let heat = root.clean(thermal::read);
    assert_eq!(
        (heat.throttled, heat.under_voltage),
        (Some(true), Some(true))
    );
    root.files("sys/class/thermal/cooling_device0", &["cur_state 0"]);
    firmware("get_throttled 50000");
    let heat = root.clean(thermal::read);
    assert_eq!(
        (heat.throttled, heat.under_voltage),
        (Some(false), Some(false))
    );
}

#[test]
fn interfaces_that_lead_outside_and_the_quality_of_the_radio() {
    let root = raspberry();
    let interface = |name: &str, up, quality| Interface {
        name: name.to_owned(),
        up: Some(up),
        quality,
    };
    let expected = [
        interface("eth0", false, None),
        interface("wlan0", true, Some(70)),
        interface("wwan0", true, None),
    ];
    assert_eq!(root.clean(network::read), expected);
    root.file("proc/net/wireless", b"a\nb\n wlan0: much better now\n");
    let (found, faults) = root.read(network::read);
    assert_eq!(found[1], interface("wlan0", true, None));
    assert_eq!(faults, [Fault::Nonsense("proc/net/wireless".to_owned())]);
}

#[test]
fn sensors_wired_to_nothing_do_not_heat_the_host() {
    let root = Root::new();
    let board = ["name nct6775", "temp1_input 41000", "temp3_input 127000"];
    root.files("sys/class/hwmon/hwmon2", &board);
    assert_eq!(root.clean(thermal::read).temperature, None);
    let zone = ["type acpitz", "temp 27800"];
    root.files("sys/class/thermal/thermal_zone0", &zone);
    assert_eq!(root.clean(thermal::read).temperature, Some(27_800));
    let own = ["name k10temp", "temp1_input 63125", "temp2_input -273150"];
    root.files("sys/class/hwmon/hwmon0", &own);
    assert_eq!(root.clean(thermal::read).temperature, Some(63_125));
}

#[test]
fn garbage_is_left_out_and_named_and_the_rest_stays() {
    let root = energy_laptop();
    let bat = "sys/class/power_supply/BAT0";
    let long = vec![b'7'; PROBE_BYTES_MAX + 1];
    let nonsense = |file: &str| Fault::Nonsense(format!("{bat}/{file}"));
    for (file, bytes, fault) in [
        ("power_now", &b""[..], nonsense("power_now")),
        ("power_now", b"74500", nonsense("power_now")),
        ("power_now", b"fast\n", nonsense("power_now")),
        ("power_now", b"\xff\xfe\0\0\x01", nonsense("power_now")),
        (
            "power_now",
            b"99999999999999999999999\n",
            nonsense("power_now"),
        ),
        ("power_now", b"9223372036854775807\n", nonsense("power_now")),
        ("power_now", b"7450000.5\n", nonsense("power_now")),
        (
            "power_now",
            &long,
            Fault::TooLong(format!("{bat}/power_now")),
        ),
    ] {
        root.file(&format!("{bat}/{file}"), bytes);
        let (supply, faults) = root.read(power_supply::read);
        assert_eq!(supply.battery, Some(47_000));
        if bytes == b"74500" {
            // A value that was cut short still is a number; it says less than a battery can tell.
            assert_eq!((supply.minutes, faults.len()), (None, 0));
            continue;
        }
        assert_eq!((supply.minutes, supply.power_mw), (None, None));
        assert_eq!(faults, [fault]);
    }
    root.file(&format!("{bat}/capacity"), b"4096\n");
    root.file(&format!("{bat}/status"), b"Dis\n");
    root.file(&format!("{bat}/power_now"), b"1000000\n");
    root.file("sys/class/power_supply/x/type", b"\x7fELF");
    let (supply, faults) = root.read(power_supply::read);
    assert_eq!(
        supply.battery,
        Some(47_108),
        "by energy, since its word cannot be true"
    );
    assert!(!supply.draining);
    assert_eq!(faults.len(), 3);
}

#[test]
fn what_may_not_be_read_is_a_fault_and_what_says_nothing_is_not() {
    let root = energy_laptop();
    let path = root.0.join("sys/class/power_supply/BAT0/capacity");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (supply, faults) = root.read(power_supply::read);
    assert_eq!(supply.battery, Some(47_108));
    let name = "sys/class/power_supply/BAT0/capacity".to_owned();
    assert_eq!(faults, [Fault::Unreadable(name)]);
    for (errno, expected) in [
        (Errno::ACCESS, false),
        (Errno::IO, false),
        (Errno::TIMEDOUT, false),
        (Errno::NODATA, true),
        (Errno::INVAL, true),
    ] {
        assert_eq!(is_absent(&errno.into()), expected, "{errno}");
    }
}

#[test]
fn a_folder_with_too_many_entries_is_read_in_part() {
    let root = Root::new();
    for index in 0..PROBE_ENTRIES_MAX + 10 {
        let folder = format!("sys/class/net/eth{index}");
        root.files(&folder, &["operstate up"]);
    }
    assert_eq!(root.clean(network::read).len(), PROBE_ENTRIES_MAX);
}

#[test]
fn this_host_can_be_looked_at() {
    let mut seen = Seen::at(Path::new("/"));
    let charge = power_supply::read(&mut seen).battery;
    assert!(charge.is_none_or(|charge| charge <= 100_000));
    let heat = thermal::read(&mut seen).temperature;
    assert!(heat.is_none_or(|heat| (-40_000..=125_000).contains(&heat)));
    drop(network::read(&mut seen));
    assert!(disk::free(&mut seen, Path::new("/")).is_some());
    assert_eq!(disk::free(&mut seen, Path::new("/no/such/folder")), None);
}

#[tokio::test]
async fn one_look_gathers_all() {
    let root = raspberry();
    root.supply(
        "BAT0",
        &["type Battery", "status Discharging", "capacity 30"],
    );
    let mut probes = root.probes();
    let look = probes.look().await;
    assert_eq!(look.sample.battery, Some(30_000));
    assert_eq!(look.sample.on_battery, Some(true));
    assert_eq!(look.sample.temperature, Some(58_913));
    assert_eq!(look.sample.under_voltage, Some(true));
    assert!(look.sample.disk_free.is_some());
    assert_eq!(look.sample.disk_minutes, None, "one look has no rate");
    assert_eq!(look.network.len(), 3);
    assert!(!probes.supply.is_ill && !probes.disk.is_ill);
}

#[test]
fn the_status_gets_whole_units_and_nothing_that_was_not_measured() {
    let mut vitals = Vitals::default();
    Look::default().tell(&mut vitals);
    assert_eq!(vitals, Vitals::default());
    let look = Look {
        sample: HostSample {
            battery: Some(47_900),
            power_mw: Some(7_500),
            temperature: Some(-500),
            disk_free: Some(1_000),
            disk_minutes: Some(41),
            ..HostSample::default()
        },
        network: vec![Interface::default()],
    };
    look.tell(&mut vitals);
    let power = vitals.power.unwrap();
    assert_eq!((power.battery, power.watts), (Some(47), Some(8)));
    assert_eq!((power.on_battery, power.minutes), (None, None));
    assert_eq!(vitals.temperature.unwrap().celsius, Some(-1));
    assert_eq!(vitals.disk.unwrap().minutes_left, Some(41));
    // What is not found any more is not shown any more.
    Look::default().tell(&mut vitals);
    assert_eq!((vitals.power, vitals.temperature), (None, None));
    assert_eq!(
        (vitals.network.len(), vitals.disk.unwrap().minutes_left),
        (0, None)
    );
}

/// A driver that does not answer: nobody writes into this pipe.
#[tokio::test]
async fn a_source_that_hangs_is_absent_alone_and_comes_back() {
    let root = raspberry();
    root.supply(
        "BAT0",
        &["type Battery", "status Discharging", "capacity 30"],
    );
    let path = root.0.join("sys/class/power_supply/BAT0/energy_now");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut probes = root.probes();
    for _ in 0..2 {
        let look = probes.look().await;
        assert_eq!((look.sample.battery, look.sample.on_battery), (None, None));
        assert_eq!(look.sample.temperature, Some(58_913), "the others answer");
        assert!(probes.supply.is_ill && probes.supply.pending.is_some());
        assert!(!probes.heat.is_ill);
    }
    // The driver answers at last, and answers at once from then on.
    std::fs::write(&path, "21340000\n").unwrap();
    std::fs::remove_file(&path).unwrap();
    let freed = probes.supply.pending.take().unwrap().await;
    assert!(freed.is_ok(), "the old thread ends");
    let look = probes.look().await;
    assert_eq!(look.sample.battery, Some(30_000));
    assert!(!probes.supply.is_ill);
}

#[test]
fn a_battery_of_its_own_comes_before_the_ups_and_mains_is_gone_for_both() {
    let ups = Ups {
        battery: Some(80_000),
        on_battery: Some(true),
        is_low: true,
        is_worn: false,
        minutes: Some(4),
        power_mw: Some(30_000),
    };
    let laptop = Supply {
        battery: Some(99_000),
        on_battery: Some(false),
        ..Supply::default()
    };
    let mut sample = HostSample::default();
    power(&mut sample, &laptop, Some(&ups));
    assert_eq!(
        (sample.battery, sample.on_battery),
        (Some(99_000), Some(true))
    );
    assert!(!sample.giving_up && sample.minutes.is_none());
    let mut sample = HostSample::default();
    power(&mut sample, &Supply::default(), Some(&ups));
    assert_eq!((sample.battery, sample.minutes), (Some(80_000), Some(4)));
    assert!(sample.giving_up);
    let fed = Ups {
        on_battery: Some(false),
        ..ups
    };
    let mut sample = HostSample::default();
    power(&mut sample, &Supply::default(), Some(&fed));
    assert_eq!((sample.on_battery, sample.minutes), (Some(false), None));
}
