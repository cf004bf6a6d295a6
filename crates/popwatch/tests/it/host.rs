//! A till on its last battery: its status, its metrics, its log, its journal.

use std::fs;
use std::path::Path;

use crate::support::{Folder, Process, free_port, get, http, outcome, try_get, until};

/// Files below `root`, each a path and what it says.
fn files(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A popup that is open now and for years.
pub(crate) const POPUP: &str = "[[popups]]\nid = \"stall\"\nstarts = \"2020-01-01T00:00:00Z\"\n\
    ends = \"2090-01-01T00:00:00Z\"\n";

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_till_on_its_last_battery_says_so_and_goes_on() {
    let folder = Folder::new("host");
    files(
        &folder.join("root"),
        &[
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("sys/class/power_supply/BAT0/capacity", "4\n"),
            ("sys/class/power_supply/BAT0/energy_now", "1800000\n"),
            ("sys/class/power_supply/BAT0/energy_full", "45000000\n"),
            ("sys/class/power_supply/BAT0/power_now", "9000000\n"),
            ("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"),
            ("sys/class/thermal/thermal_zone0/temp", "sixty\n"),
            ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "48250\n"),
        ],
    );
    let port = free_port();
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"127.0.0.1:{port}\"\nhost_root = \"{}\"\n{POPUP}",
        folder.join("till").display(),
        folder.join("root").display()
    );
    let mut edge = Process::run(&folder, "edge", &config);
    let address = edge.address("edge");
    let status = until("the first look", || {
        let status = get(&address, "/v1/status");
        let states = status["states"].as_array().unwrap();
        states.contains(&"power".into()).then_some(status)
    });
    let metrics = http(&address, "GET /metrics", &[], b"").unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    for sample in [
        "popwatch_battery_ratio{rig=\"till-1\"} 0.04000",
        "popwatch_on_battery{rig=\"till-1\"} 1",
        "popwatch_battery_left_seconds{rig=\"till-1\"} 720",
        "popwatch_temperature_celsius{rig=\"till-1\"} 48.250",
        "popwatch_rig_state{rig=\"till-1\",state=\"power\"} 1",
    ] {
        assert!(
            metrics.contains(sample),
            "{sample} in {metrics} of {status}"
        );
    }
    assert!(!metrics.contains("popwatch_under_voltage"), "{metrics}");
    let power = &status["power"];
    assert_eq!(
        *power,
        serde_json::json!({"battery": 4, "on_battery": true, "minutes": 12, "watts": 9}),
    );
    assert_eq!(status["temperature"], serde_json::json!({"celsius": 48}));
    until("a record of it", || {
        let seq = get(&address, "/v1/status")["durable_seq"].as_u64().unwrap();
        (seq >= 4).then_some(())
    });
    let said = edge.said();
    for code in ["PW1052", "PW1051"] {
        assert_eq!(said.matches(code).count(), 1, "{said}");
    }
    assert_eq!(edge.stop(), Some(0));

    let till = folder.join("till");
    let (done, printed, complaint) = outcome(&["journal", "export", till.to_str().unwrap()]);
    assert_eq!(done, Some(0), "{complaint}");
    let records: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = records
        .iter()
        .map(|record| record["type"].as_str().unwrap())
        .collect();
    let expected = [
        "popwatch.rig.started",
        "popwatch.policy.applied",
        "popwatch.rig.sampled",
        "popwatch.rig.seal",
        "popwatch.rig.stopped",
    ];
    assert_eq!(types, expected);
    let data = &records[2]["data"];
    assert_eq!(data["battery"].as_f64(), Some(4.0), "{data}");
    assert_eq!(data["on_battery"].as_bool(), Some(true), "{data}");
    assert_eq!(data["temperature"].as_f64(), Some(48.25), "{data}");
    assert!(data["disk_free"].as_u64().unwrap() > 0, "{data}");
}

#[test]
fn a_way_to_the_provider_that_is_shut_is_a_broken_promise_before_a_buyer_comes() {
    let folder = Folder::new("dry-run");
    let (port, nobody) = (free_port(), free_port());
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"127.0.0.1:{port}\"\nhost_probes = false\n\
         checkout_probe = [\"http://127.0.0.1:{port}/healthz\", \"http://127.0.0.1:{nobody}/\"]\n{POPUP}",
        folder.join("till").display(),
    );
    let mut edge = Process::run(&folder, "edge", &config);
    let address = edge.address("edge");
    until("the promise is seen broken", || {
        let told = try_get(&address, "/v1/popups/stall/slo")?;
        let mut slos = told["slos"].as_array()?.iter();
        let probes = slos.find(|slo| slo["slo"] == "probe_success")?;
        (probes["n"].as_u64() >= Some(1) && probes["n"] == probes["bad"]).then_some(())
    });
    assert_eq!(edge.stop(), Some(0));
    let till = folder.join("till");
    let (done, printed, complaint) = outcome(&["journal", "export", till.to_str().unwrap()]);
    assert_eq!(done, Some(0), "{complaint}");
    let probed = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|record| record["type"] == "popwatch.rig.probed")
        .unwrap();
    let data = &probed["data"];
    let failed = serde_json::json!(format!("127.0.0.1:{nobody}"));
    assert_eq!((&data["ok"], &data["failed"]), (&0.into(), &failed));
    assert_eq!(data["fault"], 1);
}
