//! The Network UPS Tools' own daemon, with their driver of a made-up UPS, run as nobody special.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::{Folder, Process, free_port, get, http, until};

/// Where Debian keeps what is no command of a user.
const TOOLS: &str = "/lib/nut";

/// A running tool; killed with the value.
struct Tool(Child);

impl Tool {
    fn start(folder: &Folder, name: &str, args: &[&str]) -> Self {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let mut command = Command::new(format!("{TOOLS}/{name}"));
        command.args(["-F", "-u", user.trim()]).args(args);
        for place in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
            command.env(place, folder.path());
        }
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(quiet.stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
#[ignore = "needs: upsd"]
fn a_till_behind_a_ups_that_lost_mains() {
    let folder = Folder::new("upsd");
    let port = free_port();
    let unit = "ups.status: OB DISCHRG\nbattery.charge: 18.5\nbattery.runtime: 1520\n\
        ups.realpower: 42\n";
    folder.write("stall.dev", unit);
    folder.write(
        "ups.conf",
        "[stall]\ndriver = dummy-ups\nport = stall.dev\ndesc = \"The stall's \\\"own\\\" UPS\"\n",
    );
    folder.write("upsd.conf", &format!("LISTEN 127.0.0.1 {port}\n"));
    folder.write("upsd.users", "");
    let _driver = Tool::start(&folder, "dummy-ups", &["-a", "stall"]);
    let socket = folder.join("dummy-ups-stall");
    until("the driver's socket", || socket.exists().then_some(()));
    let _daemon = Tool::start(&folder, "upsd", &[]);
    until("the daemon", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let ask = b"GET VAR stall ups.realpower\nLOGOUT\n";
        stream.write_all(ask).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.starts_with("VAR ").then_some(())
    });
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"127.0.0.1:{}\"\nhost_root = \"{}\"\n\
         host_upsd = \"127.0.0.1:{port}\"\n",
        folder.join("till").display(),
        free_port(),
        folder.join("nowhere").display(),
    );
    let mut edge = Process::run(&folder, "edge", &config);
    let address = edge.address("edge");
    until("the first look", || {
        let states = get(&address, "/v1/status")["states"].clone();
        let states = states.as_array().unwrap();
        states.contains(&"power".into()).then_some(())
    });
    let metrics = http(&address, "GET /metrics", &[], b"").unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    for sample in [
        "popwatch_battery_ratio{rig=\"till-1\"} 0.18500",
        "popwatch_on_battery{rig=\"till-1\"} 1",
        "popwatch_battery_left_seconds{rig=\"till-1\"} 1500",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    assert!(edge.said().contains("PW1052"), "{}", edge.said());
    assert!(!edge.said().contains("PW1051"), "{}", edge.said());
    assert_eq!(edge.stop(), Some(0));
}
