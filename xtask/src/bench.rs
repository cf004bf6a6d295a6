//! Work per CPU-second of this process (user and system): wall time on a shared machine measures
//! the neighbours.
//!
//! A case is a name, the unit of its work and a function that does one round of it. Each case runs
//! until it has used a second of CPU. A figure is recorded, never judged: machines differ.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use popwatch_core::event::{Event, Line, Minor, PaymentCaptured};
use popwatch_core::id::{
    CreatorId, EventId, OrderId, PaymentId, PaymentMethod, PopupId, Sku, Source,
};
use popwatch_core::money::Currency;
use popwatch_core::record::{self, Content, Flags, Record, Stamp};

use crate::shell;
use crate::table::{self, Row};

/// One thing to measure.
struct Case {
    /// Its name on the command line.
    name: &'static str,
    /// What is counted.
    unit: &'static str,
    /// Does one round and answers how many units it did.
    round: fn() -> Result<u32>,
}

/// All cases, in the order they run.
const CASES: &[Case] = &[Case {
    name: "payload",
    unit: "sales of three lines encoded and decoded per CPU-s",
    round: payload,
}];

/// CPU time one case gets, in the hundredths of a second that `/proc` counts.
const TICKS: u32 = 100;

/// How long building and running the benches may take.
const LIMIT: Duration = Duration::from_secs(3_600);

/// Runs the named cases or all, in a release build.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let chosen = table::choose(CASES, |case| case.name, args)?;
    if cfg!(debug_assertions) {
        let mut again = shell::cargo(&["run", "--release", "-q", "-p", "popwatch-xtask", "--"]);
        again.arg("bench").args(args);
        shell::run(&mut again, LIMIT)?;
        return Ok(true);
    }
    let mut rows = Vec::new();
    for case in chosen {
        shell::say(&format!("== bench {}", case.name));
        rows.push(measure(case)?);
    }
    Ok(table::print(&rows))
}

fn measure(case: &Case) -> Result<Row> {
    let start = cpu_ticks()?;
    let (mut units, mut spent) = (0_u32, 0);
    while spent < TICKS {
        units = units.saturating_add((case.round)()?);
        spent = cpu_ticks()? - start;
    }
    let per_second = f64::from(units) * 100.0 / f64::from(spent);
    Ok(Row::rate(case.name, per_second, case.unit))
}

/// A sale to the journal's bytes and back.
fn payload() -> Result<u32> {
    let sale = sale().context("the sample sale has valid identities")?;
    let rounds = 1_000;
    for _ in 0..rounds {
        let bytes = record::encode(black_box(&sale));
        black_box(record::decode(&bytes)?);
    }
    Ok(rounds)
}

fn sale() -> Option<Record> {
    let line = |sku: &str, amount| {
        Some(Line {
            sku: Sku::new(sku).ok()?,
            qty: 6,
            amount,
            creator: CreatorId::new("c3").ok(),
        })
    };
    let captured = PaymentCaptured {
        payment: PaymentId::new("536365/sale").ok()?,
        order: OrderId::new("536365").ok()?,
        amount: Minor(5_574),
        currency: Currency::new("GBP")?,
        method: PaymentMethod::new("card").ok()?,
        provider: None,
        provider_ref: None,
        offline: None,
        tip: None,
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: Some(vec![
            line("85123A", 1_530)?,
            line("71053", 2_034)?,
            line("84406B", 2_010)?,
        ]),
    };
    Some(Record {
        event: Event::PaymentCaptured(captured),
        popup: PopupId::new("market-day").ok(),
        source: Source::new("till").ok()?,
        id: EventId::new("2011-12-05/536365/sale").ok()?,
        stamp: Stamp {
            mono_ns: 3_600_000_000_000,
            wall_ms: 1_323_075_600_000,
            time_ms: Some(1_323_075_599_000),
            age_ms: None,
        },
        content: Content([7; 8]),
        policy_version: 1,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    })
}

/// User and system time of this process so far, in hundredths of a second.
fn cpu_ticks() -> Result<u32> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    ticks(&stat).context("/proc/self/stat has another form than expected")
}

/// Fields 14 and 15, counted after the program's name, which may itself hold spaces.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = "71 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("71 (short) S 1"), None);
    }

    #[test]
    fn the_sample_sale_survives_the_way_there_and_back() {
        let sale = sale().unwrap();
        let back = record::decode(&record::encode(&sale)).unwrap();
        assert_eq!(back, sale);
    }
}
