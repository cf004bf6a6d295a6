//! The borders against captured requests, hostile bytes and planted secrets.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod biscuit;
mod days;
mod door;
mod tlog;
