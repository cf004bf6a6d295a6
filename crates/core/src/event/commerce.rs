//! What a popup promises its creators, co-ops, buyers and suppliers: the part of its policy that the
//! ledger posts by.
//!
//! It travels in `policy.applied` ([`super::system::PopupPolicy`]), so a sale carries its promises by
//! the version on its record. Field numbers are the journal's and are never reused.

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message;

/// Millionths in a whole.
pub const WHOLE_PPM: u32 = 1_000_000;

/// What a popup promises.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Commerce {
    /// Rate cards, one per creator.
    #[prost(message, repeated, tag = "1")]
    pub shares: Vec<ShareCard>,
    /// Co-ops whose members divide a pool.
    #[prost(message, repeated, tag = "2")]
    pub coops: Vec<Coop>,
    /// Every SKU is stocked, not only those that somebody received or allocated.
    #[prost(bool, tag = "3")]
    pub stock_all: bool,
    /// Goods are back when they are moved, not when a refund names their lines.
    #[prost(bool, tag = "4")]
    pub returns_by_moves: bool,
    /// Lines hold tax.
    #[prost(bool, tag = "5")]
    pub lines_gross: bool,
    /// A payment stored offline that the provider refuses is owed by the customer; otherwise it is
    /// the shop's loss.
    #[prost(bool, tag = "6")]
    pub offline_owed: bool,
    /// A payment stored offline that is lost takes its creator's share with it.
    #[prost(bool, tag = "7")]
    pub offline_reverses_share: bool,
    /// A dispute leaves its creator's share as it is.
    #[prost(bool, tag = "8")]
    pub dispute_keeps_share: bool,
}

/// A creator's rate card.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ShareCard {
    /// Whose.
    #[prost(string, tag = "1")]
    pub creator: String,
    /// Of the goods before tax, millionths.
    #[prost(uint32, tag = "2")]
    pub rate_ppm: u32,
    /// Of the tip, millionths; all of it when not said.
    #[prost(uint32, optional, tag = "3")]
    pub tips_ppm: Option<u32>,
    /// Days after the popup's end until the share is available; the ledger's timer when not said.
    #[prost(uint32, optional, tag = "4")]
    pub hold_days: Option<u32>,
    /// The share of one payment is at most this, minor units; no bound when not said.
    #[prost(sint64, optional, tag = "5")]
    pub cap: Option<i64>,
    /// The co-op into whose pool the share goes; empty for the creator's own account.
    #[prost(string, tag = "6")]
    pub coop: String,
}

/// A co-op: its members divide what its pool holds.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Coop {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Who gets how much.
    #[prost(message, repeated, tag = "2")]
    pub members: Vec<CoopMember>,
}

/// A member of a co-op.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CoopMember {
    /// Who.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of the pool, millionths; those of all members are a whole.
    #[prost(uint32, tag = "2")]
    pub weight_ppm: u32,
}

impl Commerce {
    /// The rate card of a creator.
    #[must_use]
    pub fn card(&self, creator: &str) -> Option<&ShareCard> {
        self.shares.iter().find(|card| card.creator == creator)
    }

    /// The co-op of this name.
    #[must_use]
    pub fn coop(&self, name: &str) -> Option<&Coop> {
        self.coops.iter().find(|coop| coop.name == name)
    }
}

impl Coop {
    /// Whether the weights of its members are a whole and no member stands twice.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let sum: u64 = (self.members.iter())
            .map(|member| u64::from(member.weight_ppm))
            .sum();
        let twice = self.members.iter().enumerate().any(|(at, member)| {
            let mut earlier = self.members.iter().take(at);
            earlier.any(|other| other.name == member.name)
        });
        sum == u64::from(WHOLE_PPM) && !twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coop(weights: &[(&str, u32)]) -> Coop {
        let member = |(name, weight_ppm): &(&str, u32)| CoopMember {
            name: String::from(*name),
            weight_ppm: *weight_ppm,
        };
        Coop {
            name: "c".into(),
            members: weights.iter().map(member).collect(),
        }
    }

    #[test]
    fn weights_are_a_whole_or_they_are_not() {
        assert!(coop(&[("a", 333_333), ("b", 666_667)]).is_whole());
        assert!(!coop(&[("a", 333_333), ("b", 666_666)]).is_whole());
        assert!(!coop(&[("a", 500_000), ("a", 500_000)]).is_whole());
        assert!(!coop(&[]).is_whole());
    }
}
