//! The real binary from outside: its commands, its roles as processes, its data after a crash.
//!
//! No test waits on hope: each polls a condition until a deadline that fails it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a failing kill test names its seed")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "serde_json's values are not ours"
)]

mod access;
mod admission;
mod audit;
mod browser;
mod canary;
mod cli;
mod closed;
mod closing;
mod damage;
mod demo;
mod door;
mod enrolment;
mod forks;
mod host;
mod hub;
mod identity;
mod kills;
mod ledger;
mod metrics;
mod needs_alertmanager;
mod needs_axe;
mod needs_chromium;
mod needs_curl;
mod needs_dpkg_deb;
mod needs_hledger;
mod needs_node;
mod needs_prometheus;
mod needs_promtool;
mod needs_python3;
mod needs_redis;
mod needs_strace;
mod needs_unshare;
mod needs_upsd;
mod otlp;
mod outage;
mod packaging;
mod policies;
mod policy;
mod preflight;
mod report;
mod retention;
mod sdks;
mod stream;
mod support;
mod top;
mod webhooks;
