//! What popwatch means, as pure values and machines.
//!
//! The data path, in the order a fact travels it:
//!
//! ```text
//! event ─► record ─► journal (store) ─► fold ─► cell ─► merge ─► view       cells lane
//!              └────────────────────────────► ledger entries, breaks        records lane
//! ```
//!
//! What always holds here: no clock, file, socket, environment, entropy, lock, hash order or
//! platform float is reachable (`no_std`), so the same inputs give the same bytes everywhere (L12).
//! Time is an argument; every bound is a name in [`limits`]; every law is a predicate in
//! [`invariant`].
#![no_std]
#![warn(clippy::float_arithmetic)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod base64;
pub mod id;
pub mod money;
pub mod time;

pub mod code;
pub mod limits;

pub mod dry_run;
pub mod event;
pub mod loss;
pub mod record;
pub mod shed;

pub mod anchor;
pub mod clock;
pub mod sketch;

pub mod cell;
pub mod fold;

pub mod signal;
pub mod slo;
pub mod view;

pub mod region;

pub mod lane;

pub mod ledger;
pub mod provider;
pub mod settlement;

pub mod tlog;

pub mod access;
pub mod policy;

pub mod host;

pub mod preflight;

pub mod membership;

pub mod role;

pub mod invariant;
