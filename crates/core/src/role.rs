//! What each role does, as machines without IO.
//!
//! A machine is fed with [`edge::Input`]s and asked with `poll` until it has nothing more to say;
//! time is an argument and `deadline` says when it wants to be asked again. The node's driver and
//! the simulator are the only two callers, so what is simulated is what runs. The region's machine
//! is [`crate::region::Region`]; the ledger's rules are [`crate::ledger`], kept by its store.

pub mod edge;
