//! The real binary from outside: its commands, its roles as processes, its data after a crash.
//!
//! No test waits on hope: each polls a condition until a deadline that fails it.

mod cli;
mod damage;
mod demo;
mod door;
mod kills;
mod outage;
mod support;
