//! What a popup promises the people who buy: its objectives, what it plans, how often it may be wrong
//! to wake somebody.
//!
//! It travels in `policy.applied` ([`super::system::PopupPolicy`]) beside [`super::commerce`], so that
//! rig and region watch by the same words. Field numbers are the journal's and are never reused;
//! rules and defaults stand in [`crate::slo::promises`].

use alloc::vec::Vec;
use prost::Message;

/// What a popup promises.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Promises {
    /// Objectives that differ from their defaults, each named once.
    #[prost(message, repeated, tag = "1")]
    pub slos: Vec<SloPromise>,
    /// Checkouts planned, ascending by when; none when nobody plans.
    #[prost(message, repeated, tag = "2")]
    pub plan: Vec<PlanStep>,
    /// Minutes it may run longer than its window; the default when not said.
    #[prost(uint32, optional, tag = "3")]
    pub overrun_min: Option<u32>,
    /// Rigs planned, over which half of each share of false pages is divided; the default when 0.
    #[prost(uint32, tag = "4")]
    pub rigs: u32,
    /// Probability of a false page kept for an overrun, millionths; the default when not said.
    #[prost(uint32, optional, tag = "5")]
    pub reserve_ppm: Option<u32>,
}

/// One objective.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct SloPromise {
    /// Number of a [`crate::slo::Slo`].
    #[prost(uint32, tag = "1")]
    pub slo: u32,
    /// Share of good outcomes promised, millionths; the default when not said.
    #[prost(uint32, optional, tag = "2")]
    pub objective_ppm: Option<u32>,
    /// Probability of a false page in the whole popup, millionths; the default when not said.
    #[prost(uint32, optional, tag = "3")]
    pub alpha_ppm: Option<u32>,
    /// Number of a [`crate::slo::Tier`]; `page` when 0.
    #[prost(uint32, tag = "4")]
    pub tier: u32,
}

/// From a moment on, so many checkouts are planned.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PlanStep {
    /// Minutes after the popup's start.
    #[prost(uint32, tag = "1")]
    pub at_min: u32,
    /// Checkouts an hour from then on.
    #[prost(uint32, tag = "2")]
    pub checkouts_per_hour: u32,
}
