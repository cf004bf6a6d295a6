//! `GET /v1/status` of an edge: what the people at the till and their monitors need to know.
//!
//! What always holds: a value that is not known is left out or `null`, never 0; money is minor units
//! beside a currency; the states stand in order of weight, `ok` alone when nothing is wrong.

use popwatch_core::event::system::Gap;
use popwatch_core::money::Currency;
use popwatch_core::role::edge::{Edge, PeerState};
use popwatch_core::time::Now;
use serde::Serialize;

use super::vitals::{Clock, Disk, Network, Policy, Power, Quarantine, Sync, Temperature, Vitals};

/// The status, and the row `edge` of the rig's own page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct EdgeStatus {
    /// The rig.
    pub rig: String,
    /// Current life of its journal.
    pub epoch: u32,
    /// Head of the journal, as far as it is folded and shown.
    pub durable_seq: u64,
    /// What the ledger holds of this epoch.
    pub replicated: Replicated,
    /// What the books have matched of this epoch; `null` until they said.
    pub reconciled_seq: Option<u64>,
    /// Popups whose books the ledger closed: what is made for them from now on is late.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<String>,
    /// What the ledger does not hold yet, of all epochs.
    pub unsent: UnsentStatus,
    /// The newest sale, by the rig's clock, ms since 1970.
    pub last_sale_ms: Option<i64>,
    /// Peers and how they stand.
    pub peers: Vec<Peer>,
    /// The clock against the anchor peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// The disk under the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskStatus>,
    /// Battery, mains, UPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// Heat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Network>,
    /// The policy in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Events refused or shed, as far as journaled, by class and cause.
    pub losses: Vec<LossStatus>,
    /// Records lost to disk damage, all epochs: the newest gaps.
    pub gaps: Vec<GapStatus>,
    /// Records lost to disk damage, all epochs, in all gaps.
    pub gap_records: u64,
    /// Gaps by cause, for the metrics.
    #[serde(skip)]
    pub gaps_by_cause: Vec<(&'static str, u64)>,
    /// Files that recovery put aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// States, the one that matters most first.
    pub states: Vec<&'static str>,
}

/// The disk with what the journal measured of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct DiskStatus {
    /// Room and honesty.
    #[serde(flatten)]
    pub disk: Disk,
    /// How long commits took.
    #[serde(flatten)]
    pub sync: Option<Sync>,
}

/// Acknowledged positions of the current epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Replicated {
    /// Money and what explains it.
    pub trunk: u64,
    /// Everything else.
    pub bulk: u64,
    /// The lesser of both.
    pub seq: u64,
}

/// Records that are safe on this till and not in the books yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct UnsentStatus {
    /// Records of every class.
    pub records: u64,
    /// Captures among them.
    pub sales: u64,
    /// When the oldest was made, by the rig's clock, ms since 1970; `null` when there is none.
    pub oldest_ms: Option<i64>,
    /// Captured minus refunded.
    pub money: Vec<Amount>,
}

/// Minor units of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub minor: i64,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// `ledger` or `region`.
    pub kind: &'static str,
    /// Its base URL.
    pub name: String,
    /// `ok` or `down`.
    pub state: &'static str,
    /// When it last took something, ms since 1970 by the rig's clock.
    pub last_ok_ms: Option<i64>,
    /// How long its last answer took, ms.
    pub rtt_ms: Option<u64>,
    /// Since when it is out of reach, ms since 1970 by the rig's clock.
    pub down_since_ms: Option<i64>,
}

/// Events that were refused or shed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossStatus {
    /// Name of their class.
    pub class: String,
    /// Why.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// A range of seqs that disk damage took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GapStatus {
    /// The epoch that lost them.
    pub epoch: u32,
    /// First lost seq.
    pub first: u64,
    /// Last lost seq.
    pub last: u64,
    /// `media`, `torn`, `missing_file` or `thinned`.
    pub cause: String,
    /// What they were worth; empty for records without money, `null` where nothing tells.
    pub value: Option<Vec<GapValue>>,
}

/// What the lost records of one popup and currency were worth, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GapValue {
    /// The popup.
    pub popup: String,
    /// ISO 4217 code, or `XXX` for stock moved.
    pub currency: String,
    /// Records of money and stock.
    pub n: u64,
    /// Captured, minor units.
    pub captured: i64,
    /// Refunded, minor units.
    pub refunded: i64,
    /// Units sold or moved.
    pub units: i64,
}

impl EdgeStatus {
    /// The status of an edge with these peers and the newest measurements of its host.
    #[must_use]
    pub fn of(
        edge: &Edge,
        now: Now,
        ledger: Option<&str>,
        regions: &[&str],
        vitals: &Vitals,
    ) -> Self {
        let head = edge.head();
        let (trunk, bulk) = edge.replicated();
        let name = |peer: &PeerState| match peer.kind {
            "ledger" => ledger.unwrap_or_default(),
            _ => regions.get(peer.index).copied().unwrap_or_default(),
        };
        let peers = edge.peers();
        Self {
            rig: String::from(&head.rig),
            epoch: head.epoch.0,
            durable_seq: head.seq.0,
            replicated: Replicated {
                trunk: trunk.0,
                bulk: bulk.0,
                seq: trunk.min(bulk).0,
            },
            reconciled_seq: edge.reconciled().map(|seq| seq.0),
            closed: Vec::new(),
            unsent: unsent(edge),
            last_sale_ms: edge.last_sale_ms(),
            peers: peers.iter().map(|state| peer(state, name(state))).collect(),
            clock: vitals.clock,
            disk: disk(vitals),
            power: vitals.power,
            temperature: vitals.temperature,
            network: vitals.network.clone(),
            policy: policy(edge, vitals),
            losses: edge.losses_by_cause().map(loss).collect(),
            gaps: edge.gaps().map(gap).collect(),
            gap_records: edge.gap_records(),
            gaps_by_cause: edge.gaps_by_cause().collect(),
            quarantine: vitals.quarantine,
            states: edge.states(now.mono),
        }
    }
}

/// What runs is what this machine was brought, else what the journal's current epoch states.
fn policy(edge: &Edge, vitals: &Vitals) -> Option<Policy> {
    vitals.policy.clone().or_else(|| {
        let running = edge.policy_running()?;
        Some(Policy {
            running: Some(running),
            ..Policy::default()
        })
    })
}

fn unsent(edge: &Edge) -> UnsentStatus {
    let unsent = edge.unsent();
    let amount = |(currency, minor): (&Currency, &i64)| Amount {
        currency: currency.code().to_owned(),
        minor: *minor,
    };
    UnsentStatus {
        records: unsent.records,
        sales: unsent.sales,
        oldest_ms: edge.oldest_unsent_ms(),
        money: unsent.money.iter().map(amount).collect(),
    }
}

fn peer(peer: &PeerState, name: &str) -> Peer {
    Peer {
        kind: peer.kind,
        name: name.to_owned(),
        state: match peer.down_since {
            Some(_) => "down",
            None => "ok",
        },
        last_ok_ms: peer.last_ok.map(|at| at.0),
        rtt_ms: peer.rtt_ms,
        down_since_ms: peer.down_since.map(|since| since.0),
    }
}

fn disk(vitals: &Vitals) -> Option<DiskStatus> {
    let known = vitals.disk.is_some() || vitals.sync.is_some();
    known.then(|| DiskStatus {
        disk: vitals.disk.unwrap_or_default(),
        sync: vitals.sync,
    })
}

fn loss((class, cause, count): (&str, &str, u64)) -> LossStatus {
    LossStatus {
        class: class.to_owned(),
        cause: cause.to_owned(),
        count,
    }
}

fn gap(gap: &Gap) -> GapStatus {
    let value = gap.value.iter().map(|row| GapValue {
        popup: row.popup.clone(),
        currency: row.currency.clone(),
        n: row.n,
        captured: row.captured,
        refunded: row.refunded,
        units: row.units,
    });
    GapStatus {
        epoch: gap.epoch,
        first: gap.first,
        last: gap.last,
        cause: gap.cause.clone(),
        value: (!gap.value_unknown).then(|| value.collect()),
    }
}
