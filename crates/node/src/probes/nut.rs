//! A UPS by the Network UPS Tools' protocol (RFC 9271): what an `upsd` says about its units.
//!
//! One connection a look: `LIST UPS`, then `LIST VAR` for each unit, `LOGOUT`. All of it has
//! the time of one source and 64 KiB. Several units count as the weakest of them.
//!
//! ```text
//! > LIST VAR stall          < BEGIN LIST VAR stall
//!                           < VAR stall battery.charge "87"
//!                           < VAR stall ups.status "OB DISCHRG"
//!                           < END LIST VAR stall
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use popwatch_core::limits::{PROBE_BYTES_MAX, PROBE_ENTRIES_MAX};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Fault;

/// Where an `upsd` listens on this host.
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 3_493);
/// Longest name of a unit that is asked about.
const NAME_BYTES_MAX: usize = 128;
/// Full, thousandths of a per cent.
const FULL: i64 = 100_000;
/// 1 MW, mW: beyond it is no UPS of a stall.
const POWER_MAX: i64 = 1_000_000_000;
/// Ten years, ms: beyond it is no time a battery lasts.
const RUNTIME_MAX: i64 = 315_360_000_000;

/// All units as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ups {
    /// Charge of the emptiest, thousandths of a per cent.
    pub(super) battery: Option<u32>,
    /// Any feeds from its battery.
    pub(super) on_battery: Option<bool>,
    /// Any that feeds from its battery is about to switch off.
    pub(super) is_low: bool,
    /// Any wants a new battery.
    pub(super) is_worn: bool,
    /// Minutes the shortest lasts.
    pub(super) minutes: Option<u32>,
    /// What all give together, milliwatts.
    pub(super) power_mw: Option<u64>,
}

/// What a look at the daemon brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    /// The units, if there is a daemon that has any.
    pub(super) ups: Option<Ups>,
    /// What was wrong.
    pub(super) faults: Vec<Fault>,
}

/// Asks the daemon at `address`, else the one on this host; that there is none is no fault then.
pub(super) async fn read(address: Option<SocketAddr>, limit: Duration) -> Answer {
    let place = address.unwrap_or_else(|| SocketAddr::from(LOOPBACK));
    let mut answer = Answer::default();
    let stream = match tokio::time::timeout(limit, TcpStream::connect(place)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) | Err(_) if address.is_none() => return answer,
        Ok(Err(_)) => {
            answer
                .faults
                .push(Fault::Unreadable(format!("upsd at {place}")));
            return answer;
        }
        Err(_) => {
            answer.faults.push(Fault::Hung);
            return answer;
        }
    };
    let talk = async {
        let mut units = Vec::new();
        let mut line = Line::new(stream);
        for name in line.names().await? {
            match line.variables(&name).await? {
                Some(variables) => units.push(unit(&variables, &mut answer.faults)),
                // Its driver is away or its figures are stale: it says nothing, the others do.
                None => answer.faults.push(nonsense("a unit's figures")),
            }
        }
        line.say("LOGOUT").await?;
        Ok(units)
    };
    match tokio::time::timeout(limit, talk).await {
        Ok(Ok(units)) => answer.ups = together(units),
        Ok(Err(fault)) => answer.faults.push(fault),
        Err(_) => answer.faults.push(Fault::Hung),
    }
    answer
}

/// A conversation with the daemon.
struct Line {
    from: Take<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
}

impl Line {
    fn new(stream: TcpStream) -> Self {
        let (from, to) = stream.into_split();
        let bound = PROBE_BYTES_MAX as u64;
        Self {
            from: BufReader::new(from).take(bound),
            to,
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), Fault> {
        let line = format!("{text}\n");
        let said = self.to.write_all(line.as_bytes()).await;
        said.map_err(|_| Fault::Unreadable(String::from("upsd")))
    }

    /// The words of the next line.
    async fn hear(&mut self) -> Result<Vec<String>, Fault> {
        let mut bytes = Vec::new();
        let read = self.from.read_until(b'\n', &mut bytes).await;
        read.map_err(|_| Fault::Unreadable(String::from("upsd")))?;
        if bytes.pop() != Some(b'\n') {
            return Err(match self.from.limit() {
                0 => Fault::TooLong(String::from("upsd's answer")),
                _more => nonsense("upsd's answer"),
            });
        }
        let text = String::from_utf8(bytes).ok();
        let words = text.and_then(|text| words(text.trim_end_matches('\r')));
        words.ok_or_else(|| nonsense("upsd's answer"))
    }

    /// The names of the units.
    async fn names(&mut self) -> Result<Vec<String>, Fault> {
        self.say("LIST UPS").await?;
        let mut names = Vec::new();
        if !self.begins(&["LIST", "UPS"]).await? {
            return Err(nonsense("upsd's list of units"));
        }
        loop {
            let words = self.hear().await?;
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["UPS", name, ..] if is_name(name) => {
                    if names.len() < PROBE_ENTRIES_MAX {
                        names.push(name.to_owned());
                    }
                }
                ["END", "LIST", "UPS"] => return Ok(names),
                _ => return Err(nonsense("upsd's list of units")),
            }
        }
    }

    /// What a unit says; `None` when the daemon has no word of it.
    async fn variables(&mut self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        self.say(&format!("LIST VAR {name}")).await?;
        if !self.begins(&["LIST", "VAR", name]).await? {
            return Ok(None);
        }
        let mut variables = BTreeMap::new();
        loop {
            let words = self.hear().await?;
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["VAR", of, variable, value] if of == name => {
                    variables.insert(variable.to_owned(), value.to_owned());
                }
                ["END", "LIST", "VAR", of] if of == name => return Ok(Some(variables)),
                _ => return Err(nonsense("upsd's list of variables")),
            }
        }
    }

    /// Whether the answer is `BEGIN what`; false when it is `ERR`.
    async fn begins(&mut self, what: &[&str]) -> Result<bool, Fault> {
        let words = self.hear().await?;
        match words.split_first() {
            Some((first, rest)) if first == "BEGIN" && rest == what => Ok(true),
            Some((first, _)) if first == "ERR" => Ok(false),
            Some(_) | None => Err(nonsense("upsd's answer")),
        }
    }
}

/// A name that can be asked about in one word.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

/// Words between spaces; one in quotes may hold spaces, and `\"` and `\\`. `None` when a quote stays
/// open.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(first) = letters.next() {
        let mut word = String::new();
        match first {
            ' ' | '\t' => continue,
            '"' => loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => word.push(letters.next()?),
                    letter => word.push(letter),
                }
            },
            letter => {
                word.push(letter);
                while let Some(letter) = letters.next_if(|next| *next != ' ' && *next != '\t') {
                    word.push(letter);
                }
            }
        }
        words.push(word);
    }
    Some(words)
}

/// One unit's figures.
fn unit(variables: &BTreeMap<String, String>, faults: &mut Vec<Fault>) -> Ups {
    let mut number = |name: &str, max: i64| {
        let text = variables.get(name)?;
        let number = thousandths(text).filter(|number| (0..=max).contains(number));
        if number.is_none() {
            faults.push(nonsense(name));
        }
        number
    };
    let battery = number("battery.charge", FULL);
    let runtime_ms = number("battery.runtime", RUNTIME_MAX);
    let power = number("ups.realpower", POWER_MAX);
    let status = variables.get("ups.status");
    let says = |word: &str| status.is_some_and(|text| text.split(' ').any(|one| one == word));
    let on_battery = match (says("OB"), says("OL")) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    Ups {
        battery: battery.and_then(|charge| u32::try_from(charge).ok()),
        on_battery,
        is_low: on_battery == Some(true) && says("LB"),
        is_worn: says("RB"),
        minutes: runtime_ms.and_then(|ms| u32::try_from(ms / 60_000).ok()),
        power_mw: power.and_then(|power| u64::try_from(power).ok()),
    }
}

/// The weakest of all units that said anything.
fn together(units: Vec<Ups>) -> Option<Ups> {
    let least = |one: Option<u32>, other: Option<u32>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let spoke = units.into_iter().filter(|unit| *unit != Ups::default());
    spoke.reduce(|all, unit| Ups {
        battery: least(all.battery, unit.battery),
        on_battery: all.on_battery.max(unit.on_battery),
        is_low: all.is_low || unit.is_low,
        is_worn: all.is_worn || unit.is_worn,
        minutes: least(all.minutes, unit.minutes),
        power_mw: match (all.power_mw, unit.power_mw) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        },
    })
}

/// A decimal number in thousandths; further digits are cut.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    let whole: i64 = whole.parse().ok()?;
    whole
        .checked_mul(1_000)?
        .checked_add(part.parse::<i64>().ok()?)
}

fn nonsense(what: &str) -> Fault {
    Fault::Nonsense(what.to_owned())
}

#[cfg(test)]
mod tests;
