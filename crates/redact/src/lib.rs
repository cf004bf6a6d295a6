//! Finds and removes what policy forbids, before the first durable byte.
//!
//! One event's way through:
//!
//! ```text
//! fields as they came ─► apply (names, detectors, pseudonyms) ─► typed event ─► proof (second look, seal) ─► Redacted<Draft>
//! ```
//!
//! What always holds: the journal takes only [`proof::Redacted`], and only the second look makes
//! it; a hit becomes a fixed word, never a hash of the hit; when a detector fails the strings go,
//! never the event. Keys, policy and time are arguments; no clock, file, network or entropy is
//! touched, and no error or log ever holds a value.

pub mod apply;
pub mod base32;
pub mod detect;
pub mod plan;
pub mod proof;
pub mod pseudonym;
pub mod region;
pub mod samples;
pub mod seal;
pub mod sentiment;
mod text;
