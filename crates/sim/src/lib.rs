//! What tests of other kinds than a simulated day take from the simulator: made-up worlds with their
//! own oracle.

pub mod settle;
pub mod slo;
