//! The books as a whole: examples first, then the laws over generated deliveries.

mod central;
mod erase;
mod examples;
mod file;
mod fixture;
mod groups;
mod lanes;
mod laws;
mod members;
#[cfg(feature = "postgres")]
mod needs_postgresql;
