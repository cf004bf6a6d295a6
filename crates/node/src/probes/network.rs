//! Network interfaces: `/sys/class/net/*` and `/proc/net/wireless`.

use super::Seen;

const FOLDER: &str = "sys/class/net";
const WIRELESS: &str = "proc/net/wireless";
/// Beginnings of the names of interfaces that lead nowhere outside: loopback, containers, bridges.
const INSIDE: [&str; 6] = ["lo", "veth", "docker", "br-", "virbr", "dummy"];
/// What Linux' wireless stack reports at best.
const QUALITY_BEST: u32 = 70;

/// An interface that leads outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Interface {
    /// Its name at the host.
    pub(crate) name: String,
    /// It is up and has a carrier.
    pub(crate) up: Option<bool>,
    /// Quality of the radio link, per cent.
    pub(crate) quality: Option<u32>,
}

/// Reads all of them, by name.
pub(super) fn read(seen: &mut Seen) -> Vec<Interface> {
    let radio = wireless(seen);
    let names = seen.names(FOLDER);
    let names = names.into_iter().filter(|name| {
        let inside = |start: &&str| name.starts_with(*start);
        !INSIDE.iter().any(|start| match *start {
            "lo" => name == "lo",
            start => inside(&start),
        })
    });
    let interface = |name: String| Interface {
        up: up(seen, &name),
        quality: radio
            .iter()
            .find(|(radio, _)| *radio == name)
            .map(|(_, quality)| *quality),
        name,
    };
    names.map(interface).collect()
}

fn up(seen: &mut Seen, name: &str) -> Option<bool> {
    let path = format!("{FOLDER}/{name}/operstate");
    match seen.text(&path).as_deref() {
        Some("up") => Some(true),
        Some("down" | "lowerlayerdown" | "notpresent" | "dormant" | "testing") => Some(false),
        // Drivers of modems often do not know; what they carry tells.
        Some("unknown") | None => {
            let carrier = seen.int(&format!("{FOLDER}/{name}/carrier"), 0..=1);
            carrier.map(|carrier| carrier == 1)
        }
        Some(_other) => seen.nonsense(&path),
    }
}

/// Names of radios and the quality of their links, per cent. Two lines of headings come first; a row
/// is `wlan0: 0000   54.  -56.  -256 …`: status, link, level, noise.
fn wireless(seen: &mut Seen) -> Vec<(String, u32)> {
    let Some(text) = seen.text(WIRELESS) else {
        return Vec::new();
    };
    let row = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let link: u32 = rest
            .split_whitespace()
            .nth(1)?
            .trim_end_matches('.')
            .parse()
            .ok()?;
        let percent = link.checked_mul(100)? / QUALITY_BEST;
        Some((name.trim().to_owned(), percent.min(100)))
    };
    let mut rows = Vec::new();
    for line in text.lines().skip(2) {
        match row(line) {
            Some(found) => rows.push(found),
            None => return seen.nonsense(WIRELESS).unwrap_or_default(),
        }
    }
    rows
}
