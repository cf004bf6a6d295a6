//! How complete a view is: what was received of what is known, up to when, and who is silent.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Amounts;
use super::live::Live;
use super::sums::BoardSums;
use crate::lane::{Beacon, MinorIn};
use crate::limits;
use crate::money::Currency;
use crate::time::{Now, WallMs};

/// States in the order in which one of them speaks for the rig.
const STATES: [&str; 11] = [
    "fork",
    "cannot_store",
    "storage_pressure",
    "not_admitted",
    "newer_format",
    "selling_offline",
    "replaying",
    "clock_suspect",
    "gap",
    "power",
    "ok",
];

/// What is known of one rig beyond its cells.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The rig.
    pub rig: &'a str,
    /// Its newest epoch.
    pub epoch: u32,
    /// Everything of that epoch was received up to this seq.
    pub have_seq: u64,
    /// Corrected time up to which it sent all, ms since 1970; `None` before its first cut.
    pub clear_ms: Option<i64>,
    /// The newest it said of itself, popup or not.
    pub beacon: Option<&'a Beacon>,
    /// The newest it said of its backlog.
    pub backlog: Option<&'a Beacon>,
    /// When it was last heard, by this region's clocks.
    pub heard: Now,
    /// Three beacons were missed.
    pub silent: bool,
    /// Two journals, or two cells of one version, use its name.
    pub forked: bool,
}

/// How complete a view is. Every number on any wire stands under one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asof {
    /// Wall clock of the server, ms since 1970.
    pub server_ms: i64,
    /// Corrected time up to which all rigs in touch sent all; `None` while one never said.
    pub watermark: Option<WallMs>,
    /// Records received, current epochs.
    pub have: u64,
    /// Records known to exist, current epochs.
    pub known: u64,
    /// What the ledger does not hold yet.
    pub unsent: Unsent,
    /// Rigs out of touch, ascending by id.
    pub silent: Vec<Silent>,
    /// How firm the money is, ascending by currency.
    pub stage: Vec<Stage>,
}

/// What rigs say the ledger does not hold yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsent {
    /// Records, of all rigs that told.
    pub records: u64,
    /// Captured minus refunded among them.
    pub money: Amounts<i128>,
    /// Rigs that never told their backlog: what they hold is unknown, not 0.
    pub unknown: Vec<String>,
}

/// A rig out of touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// The rig.
    pub rig: String,
    /// When it was last heard, ms since 1970.
    pub since_ms: i64,
    /// Its backlog when last heard; `None` when it never told.
    pub records: Option<u64>,
}

/// How firm one currency's net is, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// The currency.
    pub currency: Currency,
    /// Durable on a rig and seen here.
    pub durable: i128,
    /// Of that held by the ledger; `None` while a rig's backlog is unknown.
    pub replicated: Option<i128>,
    /// Of that what waits for nobody's word any more: confirmed by its provider and free of breaks, or
    /// cash in the books. `None` until the ledger says.
    pub reconciled: Option<i128>,
}

/// One rig as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigView {
    /// The rig.
    pub rig: String,
    /// The state that matters most: `silent`, else the gravest of its own.
    pub state: String,
    /// All its states.
    pub states: Vec<String>,
    /// Its newest epoch.
    pub epoch: u32,
    /// Head of its journal; `None` before its first beacon.
    pub durable_seq: Option<u64>,
    /// Trunk held by the ledger.
    pub trunk_seq: Option<u64>,
    /// Bulk held by the ledger.
    pub bulk_seq: Option<u64>,
    /// Received here without a hole.
    pub have_seq: u64,
    /// Records known to exist in that epoch.
    pub records_known: u64,
    /// Its backlog; `None` when it never told.
    pub unsent: Option<Backlog>,
    /// When it was last heard, ms since 1970.
    pub last_heard_ms: i64,
    /// Uncertainty of its clock, ms.
    pub clock_u_ms: Option<u32>,
    /// Battery, per cent.
    pub battery: Option<u32>,
    /// Minutes of disk left at the present rate.
    pub disk_minutes: Option<u32>,
    /// Events refused or shed.
    pub losses: Option<u64>,
    /// Records lost, named by gaps.
    pub gap_records: Option<u64>,
    /// Money it took, by currency.
    pub money: Amounts<BoardSums>,
}

/// What one rig says the ledger does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Records.
    pub records: u64,
    /// Sales among them.
    pub sales: u64,
    /// Captured minus refunded among them.
    pub money: Amounts<i128>,
}

impl Standing<'_> {
    /// Records known to exist in the newest epoch.
    #[must_use]
    pub fn known(&self) -> u64 {
        let head = self.beacon.filter(|beacon| beacon.epoch == self.epoch);
        head.map_or(0, |beacon| beacon.durable_seq)
            .max(self.have_seq)
    }

    pub(crate) fn view(&self, live: &Live) -> RigView {
        let money = live.rigs.get(self.rig).into_iter().flatten();
        let money = money.filter_map(|(currency, held)| Some(((*currency)?, held.total)));
        let beacon = self.beacon;
        let states = self.states();
        RigView {
            rig: String::from(self.rig),
            state: self.state(&states),
            states,
            epoch: self.epoch,
            durable_seq: beacon.map(|said| said.durable_seq),
            trunk_seq: beacon.map(|said| said.trunk_seq),
            bulk_seq: beacon.map(|said| said.bulk_seq),
            have_seq: self.have_seq,
            records_known: self.known(),
            unsent: self.backlog.map(|said| Backlog {
                records: said.unsent_records,
                sales: said.unsent_sales,
                money: amounts(&said.unsent_money),
            }),
            last_heard_ms: self.heard.wall.0,
            clock_u_ms: beacon.map(|said| said.clock_u_ms).filter(|u_ms| *u_ms > 0),
            battery: beacon.and_then(|said| said.battery),
            disk_minutes: beacon.and_then(|said| said.disk_minutes),
            losses: beacon.map(|said| said.losses),
            gap_records: beacon.map(|said| said.gap_records),
            money: money.collect(),
        }
    }

    fn states(&self) -> Vec<String> {
        let mut states = self
            .beacon
            .map_or_else(Vec::new, |said| said.states.clone());
        if self.forked && !states.iter().any(|state| state == "fork") {
            states.insert(0, String::from("fork"));
        }
        states
    }

    fn state(&self, states: &[String]) -> String {
        if self.silent {
            return String::from("silent");
        }
        let known = STATES
            .iter()
            .find(|name| states.iter().any(|state| state == *name));
        let first = || states.first().map_or("ok", String::as_str);
        String::from(known.copied().unwrap_or_else(first))
    }
}

/// Corrected time up to which all rigs in touch sent all. With nobody in touch it stays where the
/// last one left it; a rig in touch that never said holds it back.
pub(crate) fn watermark(rigs: &[Standing<'_>]) -> Option<WallMs> {
    let mut active = rigs.iter().filter(|rig| !rig.silent).peekable();
    let clear = if active.peek().is_some() {
        active.map(|rig| rig.clear_ms).min().flatten()
    } else {
        rigs.iter().filter_map(|rig| rig.clear_ms).max()
    };
    clear.map(WallMs)
}

pub(crate) fn asof(
    live: &Live,
    (rigs, books): (&[Standing<'_>], Option<&Beacon>),
    watermark: Option<WallMs>,
    now: Now,
) -> Asof {
    Asof {
        server_ms: now.wall.0,
        watermark,
        have: rigs
            .iter()
            .fold(0, |sum: u64, rig| sum.saturating_add(rig.have_seq)),
        known: rigs
            .iter()
            .fold(0, |sum: u64, rig| sum.saturating_add(rig.known())),
        unsent: unsent(rigs),
        silent: silent(rigs),
        stage: stage(live, rigs, books),
    }
}

/// Rigs out of touch, ascending by id.
pub(crate) fn silent(rigs: &[Standing<'_>]) -> Vec<Silent> {
    let silent = rigs.iter().filter(|rig| rig.silent).map(|rig| Silent {
        rig: String::from(rig.rig),
        since_ms: rig.heard.wall.0,
        records: rig.backlog.map(|said| said.unsent_records),
    });
    silent.collect()
}

fn unsent(rigs: &[Standing<'_>]) -> Unsent {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    let mut unsent = Unsent::default();
    for rig in rigs {
        let Some(said) = rig.backlog else {
            unsent.unknown.push(String::from(rig.rig));
            continue;
        };
        unsent.records = unsent.records.saturating_add(said.unsent_records);
        for (currency, minor) in amounts(&said.unsent_money) {
            *sums.entry(currency).or_default() += minor;
        }
    }
    unsent.money = sums.into_iter().filter(|(_, minor)| *minor != 0).collect();
    unsent
}

/// What is told of one currency. A list that is full may hide a currency, so what it does not name is
/// unknown then.
fn told(rows: &[MinorIn], currency: Currency, full: usize) -> Option<i128> {
    let named = amounts(rows);
    match named.iter().find(|(other, _)| *other == currency) {
        Some((_, minor)) => Some(*minor),
        None if rows.len() >= full => None,
        None => Some(0),
    }
}

fn stage(live: &Live, rigs: &[Standing<'_>], books: Option<&Beacon>) -> Vec<Stage> {
    let unsent = |currency: Currency| {
        rigs.iter().try_fold(0i128, |sum, rig| {
            let full = limits::BEACON_MONEY_ROWS_MAX;
            Some(sum + told(&rig.backlog?.unsent_money, currency, full)?)
        })
    };
    let waiting = |currency: Currency| {
        let full = limits::REGION_CURRENCIES_MAX;
        told(&books?.waiting_money, currency, full)
    };
    let row = |(currency, sums): (&Currency, &super::MoneySums)| {
        let replicated = unsent(*currency).map(|unsent| sums.net() - unsent);
        let waiting = waiting(*currency);
        Stage {
            currency: *currency,
            durable: sums.net(),
            replicated,
            reconciled: replicated
                .zip(waiting)
                .map(|(held, waiting)| held - waiting),
        }
    };
    live.money.iter().map(row).collect()
}

fn amounts(rows: &[MinorIn]) -> Amounts<i128> {
    let rows = rows.iter();
    let mut rows: Vec<_> = rows
        .filter_map(|row| Some((Currency::new(&row.currency)?, i128::from(row.minor))))
        .collect();
    rows.sort_unstable();
    rows
}
