//! What the host says about itself: battery, mains, UPS, heat, network, disk; looked at every 10 s.
//!
//! What always holds: nothing waits for a look. Each source is read on a thread of its own with a
//! time limit, the UPS daemon on a socket with one; a source that hangs, is missing or says nonsense
//! leaves its values out, never 0, and is not asked again while it hangs (PW1051, once per change).
//! Nothing is written: what is worth a record, the edge's machine decides.

mod disk;
mod network;
mod nut;
mod power_supply;
mod thermal;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::host::{Alarms, Charge, DiskTrend, HostSample};
use popwatch_core::limits::{PROBE_BYTES_MAX, PROBE_ENTRIES_MAX, PROBE_MS, PROBE_WAIT_MS};
use popwatch_core::preflight::{Battery, UpsCheck};
use popwatch_wire::answer_v1::{Network, Power, Temperature, Vitals};
use rustix::io::Errno;
use tokio::sync::{oneshot, watch};

use crate::ambient::Ambient;
use crate::probes::network::Interface;
use crate::probes::nut::Ups;
use crate::probes::power_supply::Supply;
use crate::probes::thermal::Heat;

/// Stack of a thread that reads a few small files, bytes.
const STACK_BYTES: usize = 256 << 10;

/// Where a node looks for its host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// What stands for `/`: `sys` and `proc` lie in it.
    pub(crate) root: PathBuf,
    /// The data directory, whose disk is measured.
    pub(crate) data: PathBuf,
    /// The UPS daemon, if one was named; else loopback is tried, and silence there is no fault.
    pub(crate) upsd: Option<SocketAddr>,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// What the edge's machine judges.
    pub(crate) sample: HostSample,
    /// The network interfaces.
    pub(crate) network: Vec<Interface>,
}

impl Look {
    /// Replaces the host's parts of the status. Room on the disk is the journal's to tell; how long
    /// it lasts is told here.
    fn tell(&self, vitals: &mut Vitals) {
        let sample = &self.sample;
        let power = Power {
            battery: sample.battery.map(|charge| charge / 1_000),
            on_battery: sample.on_battery,
            minutes: sample.minutes,
            watts: sample
                .power_mw
                .and_then(|power| u32::try_from((power + 500) / 1_000).ok()),
            under_voltage: sample.under_voltage,
        };
        let temperature = Temperature {
            celsius: sample.temperature.map(|heat| heat.div_euclid(1_000)),
            throttled: sample.throttled,
        };
        vitals.power = (power != Power::default()).then_some(power);
        vitals.temperature = (temperature != Temperature::default()).then_some(temperature);
        let network = self.network.iter().map(|interface| Network {
            name: interface.name.clone(),
            up: interface.up,
            quality: interface.quality,
        });
        vitals.network = network.collect();
        if sample.disk_free.is_some() || vitals.disk.is_some() {
            let disk = vitals.disk.get_or_insert_default();
            disk.free_bytes = sample.disk_free.or(disk.free_bytes);
            disk.minutes_left = sample.disk_minutes;
        }
    }
}

/// Looks at the host again and again.
#[derive(Debug)]
pub(crate) struct Probes {
    host: Host,
    ambient: Ambient,
    supply: Source<Supply>,
    heat: Source<Heat>,
    network: Source<Vec<Interface>>,
    disk: Source<Option<u64>>,
    limit: Duration,
    nut_is_ill: bool,
    trend: DiskTrend,
}

impl Probes {
    /// Probes of this host.
    pub(crate) fn new(host: Host, ambient: Ambient) -> Self {
        let limit = Duration::from_millis(PROBE_WAIT_MS);
        Self::within(limit, host, ambient)
    }

    fn within(limit: Duration, host: Host, ambient: Ambient) -> Self {
        Self {
            host,
            ambient,
            supply: Source::new("power_supply", limit),
            heat: Source::new("temperature", limit),
            network: Source::new("network", limit),
            disk: Source::new("disk", limit),
            limit,
            nut_is_ill: false,
            trend: DiskTrend::default(),
        }
    }

    /// Looks every 10 s, until it is dropped or nobody listens.
    pub(crate) async fn run(mut self, vitals: watch::Sender<Vitals>, out: watch::Sender<Look>) {
        loop {
            let look = self.look().await;
            vitals.send_modify(|vitals| look.tell(vitals));
            if out.send(look).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(PROBE_MS)).await;
        }
    }

    /// Looks once. Ends within the time limit of one source: all are asked at the same time.
    async fn look(&mut self) -> Look {
        let Host { root, data, upsd } = self.host.clone();
        let (supply, heat, network, free, ups) = tokio::join!(
            self.supply.ask(&root, power_supply::read),
            self.heat.ask(&root, thermal::read),
            self.network.ask(&root, network::read),
            self.disk.ask(&root, move |seen| disk::free(seen, &data)),
            nut::read(upsd, self.limit),
        );
        let ups = self.judge_ups(ups);
        let free = free.flatten();
        if let Some(free) = free {
            self.trend.measured(free, self.ambient.now().mono);
        }
        let heat = heat.unwrap_or_default();
        let mut sample = HostSample {
            temperature: heat.temperature,
            throttled: heat.throttled,
            under_voltage: heat.under_voltage,
            disk_free: free,
            disk_minutes: free.and_then(|_| self.trend.minutes_left()),
            ..HostSample::default()
        };
        power(&mut sample, &supply.unwrap_or_default(), ups.as_ref());
        Look {
            sample,
            network: network.unwrap_or_default(),
        }
    }

    /// What feeds the rig, its own battery and the UPS apart, as a preflight asks.
    pub(crate) async fn feeds(&mut self) -> (Option<Battery>, UpsCheck) {
        let Host { root, upsd, .. } = self.host.clone();
        let (supply, answer) = tokio::join!(
            self.supply.ask(&root, power_supply::read),
            nut::read(upsd, self.limit),
        );
        let supply = supply.unwrap_or_default();
        let is_seen = supply.battery.is_some() || supply.minutes.is_some();
        let battery = is_seen.then(|| Battery {
            charge: supply.battery.map(|charge| charge / 1_000),
            in_use: supply.on_battery,
            minutes: supply.minutes,
        });
        let ups = answer.ups.unwrap_or_default();
        let check = UpsCheck {
            declared: upsd.is_some(),
            answered: ups != Ups::default(),
            gives_up: ups.is_low || ups.is_worn,
            charge: ups.battery.map(|charge| charge / 1_000),
            minutes: ups.minutes,
        };
        (battery, check)
    }

    fn judge_ups(&mut self, answer: nut::Answer) -> Option<Ups> {
        turn("ups", &mut self.nut_is_ill, answer.faults.first());
        answer.ups
    }
}

/// What feeds the rig. A battery of its own says how long it lasts; without one the UPS does.
/// Mains is gone when either says so.
fn power(sample: &mut HostSample, supply: &Supply, ups: Option<&Ups>) {
    let own = supply.battery.is_some() || supply.minutes.is_some();
    sample.battery = supply.battery;
    sample.on_battery = supply.on_battery;
    sample.draining = supply.draining;
    sample.minutes = supply.minutes;
    sample.power_mw = supply.power_mw;
    let Some(ups) = ups else { return };
    sample.on_battery = match (ups.on_battery, supply.on_battery) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (one, other) => one.or(other),
    };
    if own {
        return;
    }
    sample.battery = ups.battery;
    sample.minutes = ups.minutes.filter(|_| ups.on_battery == Some(true));
    sample.power_mw = ups.power_mw;
    sample.giving_up = ups.is_low;
}

/// Says in the log what changed about the host.
pub(crate) fn tell(before: Alarms, after: Alarms) {
    if before.charge != after.charge {
        let code = Code::BatteryLow;
        match after.charge {
            Charge::Fine => tracing::info!(%code, "the battery will do again"),
            Charge::Low => tracing::warn!(%code, "the battery is low; plug the rig in"),
            Charge::Critical => {
                tracing::error!(%code, "the battery is nearly empty; the journal is sealed and goes on");
            }
        }
    }
    if before.under_voltage != after.under_voltage {
        let code = Code::UnderVoltage;
        match after.under_voltage {
            true => tracing::warn!(%code, "the power supply is too weak; replace the adapter"),
            false => tracing::info!(%code, "the power supply is strong enough again"),
        }
    }
    if before.heat != after.heat {
        let code = Code::HostHot;
        match after.heat {
            true => tracing::warn!(%code, "the host is too hot; shade it and free its vents"),
            false => tracing::info!(%code, "the host has cooled down"),
        }
    }
}

/// Why a reading is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("{0} cannot be read")]
    Unreadable(String),
    #[error("{0} is longer than a reading can be")]
    TooLong(String),
    #[error("{0} says something that cannot be true")]
    Nonsense(String),
    #[error("it does not answer in time")]
    Hung,
    #[error("the reader ended before it answered")]
    Broken,
}

/// One source of readings and the thread that may still hang in it.
#[derive(Debug)]
struct Source<T> {
    name: &'static str,
    limit: Duration,
    is_ill: bool,
    pending: Option<oneshot::Receiver<(T, Vec<Fault>)>>,
}

impl<T: Send + 'static> Source<T> {
    const fn new(name: &'static str, limit: Duration) -> Self {
        Self {
            name,
            limit,
            is_ill: false,
            pending: None,
        }
    }

    /// Asks on a thread of its own, so that neither a worker nor the end of the process waits for a
    /// driver that does not answer. `None` while it hangs.
    async fn ask(
        &mut self,
        root: &Path,
        read: impl FnOnce(&mut Seen) -> T + Send + 'static,
    ) -> Option<T> {
        let answer = self.try_ask(root, read).await;
        let fault = match &answer {
            Ok((_, faults)) => faults.first(),
            Err(fault) => Some(fault),
        };
        turn(self.name, &mut self.is_ill, fault);
        answer.ok().map(|(found, _)| found)
    }

    async fn try_ask(
        &mut self,
        root: &Path,
        read: impl FnOnce(&mut Seen) -> T + Send + 'static,
    ) -> Result<(T, Vec<Fault>), Fault> {
        if let Some(pending) = &mut self.pending {
            match pending.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return Err(Fault::Hung),
                // What it found is old by now; the source answers again.
                Ok(_) | Err(oneshot::error::TryRecvError::Closed) => self.pending = None,
            }
        }
        let (found, mut answer) = oneshot::channel();
        let mut seen = Seen::at(root);
        std::thread::Builder::new()
            .name(format!("probe-{}", self.name))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let value = read(&mut seen);
                // Nobody waits any more for what came too late.
                drop(found.send((value, seen.faults)));
            })
            .map_err(|_| Fault::Broken)?;
        match tokio::time::timeout(self.limit, &mut answer).await {
            Ok(answer) => answer.map_err(|_| Fault::Broken),
            Err(_) => {
                self.pending = Some(answer);
                Err(Fault::Hung)
            }
        }
    }
}

/// Logs a source that turned ill or well; says nothing while it stays what it was.
fn turn(source: &'static str, is_ill: &mut bool, fault: Option<&Fault>) {
    let code = Code::ProbeFailed;
    match fault {
        Some(fault) if !*is_ill => {
            tracing::warn!(%code, source, %fault, "a reading of the host is left out");
        }
        None if *is_ill => tracing::info!(%code, source, "the host's readings are whole again"),
        Some(_) | None => {}
    }
    *is_ill = fault.is_some();
}

/// Small files under a root, read with bounds; remembers what was wrong with them.
#[derive(Debug)]
struct Seen {
    root: PathBuf,
    faults: Vec<Fault>,
}

impl Seen {
    fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            faults: Vec::new(),
        }
    }

    /// What a file says, without white space around it; `None` when it is missing, when its driver
    /// has nothing to say now, and with a fault when it cannot be had.
    fn text(&mut self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(self.root.join(path)).and_then(|file| {
            let bound = PROBE_BYTES_MAX as u64 + 1;
            file.take(bound).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) if bytes.len() > PROBE_BYTES_MAX => {
                self.faults.push(Fault::TooLong(path.to_owned()));
                None
            }
            Ok(_) => match std::str::from_utf8(&bytes) {
                Ok(text) => Some(text.trim().to_owned()),
                Err(_) => self.nonsense(path),
            },
            Err(fault) if is_absent(&fault) => None,
            Err(_) => {
                self.faults.push(Fault::Unreadable(path.to_owned()));
                None
            }
        }
    }

    /// The whole number a file holds, if it lies within `range`.
    fn int(&mut self, path: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = self.text(path)?.parse().ok();
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.nonsense(path),
        }
    }

    /// The names in a directory, sorted, the first of them; none when it is missing.
    fn names(&mut self, path: &str) -> Vec<String> {
        let entries = match std::fs::read_dir(self.root.join(path)) {
            Ok(entries) => entries,
            Err(fault) => {
                if !is_absent(&fault) {
                    self.faults.push(Fault::Unreadable(path.to_owned()));
                }
                return Vec::new();
            }
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(PROBE_ENTRIES_MAX).collect();
        names.sort_unstable();
        names
    }

    /// Notes that a file says something that cannot be true.
    fn nonsense<T>(&mut self, path: &str) -> Option<T> {
        self.faults.push(Fault::Nonsense(path.to_owned()));
        None
    }
}

/// Missing, or a driver that has nothing to say now: a battery that was taken out, a radio that is
/// off, an interface that is down.
fn is_absent(fault: &std::io::Error) -> bool {
    let silent = [
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::NODEV,
        Errno::NXIO,
        Errno::NODATA,
        Errno::INVAL,
        Errno::AGAIN,
        Errno::OPNOTSUPP,
    ];
    Errno::from_io_error(fault).is_some_and(|errno| silent.contains(&errno))
}

#[cfg(test)]
mod tests;
