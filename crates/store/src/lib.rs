//! Values to disk and back: the journal of a rig and the books of the ledger.
//!
//! ```text
//! Redacted<Draft> ─► journal::append ─► one write + one fdatasync ─► Durable<Position>
//!                                              │
//!                 raw frames, decoded records ◄┘ read back for both lanes
//!                          │
//!                          └─► books::accept ─► facts, entries, breaks: one transaction a batch
//! ```
//!
//! What always holds here: nothing is acknowledged, shown, folded or shipped before the sync that
//! made it durable returned (L1); a seq is never reused and a lost one is always named (L2); no
//! clock, entropy or network is reachable, and files only through [`fs::Fs`] and SQLite.

pub mod fs;

pub mod journal;

pub mod savepoint;

pub mod audit;

pub mod books;
