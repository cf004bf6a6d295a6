//! `GET /v1/status` of an edge: what the people at the till and their monitors need to know.

use popwatch_core::money::Currency;
use popwatch_core::role::edge::Edge;
use popwatch_core::time::Now;
use serde::Serialize;

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
    /// What the ledger does not hold yet, of all epochs.
    pub unsent: UnsentStatus,
    /// The newest sale, by the rig's clock, ms since 1970.
    pub last_sale_ms: Option<i64>,
    /// Peers and how they stand.
    pub peers: Vec<Peer>,
    /// States, the one that matters most first.
    pub states: Vec<&'static str>,
    /// Records lost to disk damage, all epochs.
    pub gap_records: u64,
    /// Events refused or shed, as far as journaled.
    pub losses: u64,
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
    /// Since when it is out of reach, ms since 1970 by the rig's clock.
    pub down_since_ms: Option<i64>,
}

impl EdgeStatus {
    /// The status of an edge with these peers.
    #[must_use]
    pub fn of(edge: &Edge, now: Now, ledger: Option<&str>, regions: &[&str]) -> Self {
        let head = edge.head();
        let (trunk, bulk) = edge.replicated();
        let unsent = edge.unsent();
        let amount = |(currency, minor): (&Currency, &i64)| Amount {
            currency: currency.code().to_owned(),
            minor: *minor,
        };
        let peers = edge.peers().into_iter().map(|peer| {
            let name = match peer.kind {
                "ledger" => ledger.unwrap_or_default(),
                _ => regions.get(peer.index).copied().unwrap_or_default(),
            };
            let down_since_ms = peer.down_since.map(|since| since.0);
            Peer {
                kind: peer.kind,
                name: name.to_owned(),
                state: if down_since_ms.is_some() {
                    "down"
                } else {
                    "ok"
                },
                down_since_ms,
            }
        });
        Self {
            rig: String::from(&head.rig),
            epoch: head.epoch.0,
            durable_seq: head.seq.0,
            replicated: Replicated {
                trunk: trunk.0,
                bulk: bulk.0,
                seq: trunk.min(bulk).0,
            },
            unsent: UnsentStatus {
                records: unsent.records,
                sales: unsent.sales,
                money: unsent.money.iter().map(amount).collect(),
            },
            last_sale_ms: edge.last_sale_ms(),
            peers: peers.collect(),
            states: edge.states(now.mono),
            gap_records: edge.gap_records(),
            losses: edge.losses(),
        }
    }
}
