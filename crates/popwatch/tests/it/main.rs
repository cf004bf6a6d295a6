//! The real binary from outside: its commands, its roles as processes, its data after a crash.
//!
//! No test waits on hope: each polls a condition until a deadline that fails it.

mod browser;
mod cli;
mod damage;
mod demo;
mod door;
mod kills;
mod needs_chromium;
mod needs_curl;
mod needs_promtool;
mod needs_python3;
mod outage;
mod support;
