//! placeholder
pub mod client;
