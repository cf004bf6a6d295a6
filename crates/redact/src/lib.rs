//! Finds and removes what policy forbids.

pub mod proof;
