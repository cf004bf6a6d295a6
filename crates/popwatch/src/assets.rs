//! The real trading day and the latency counts that travel inside the binary. Where they come from
//! and their licences stand beside them in `assets/`.

use anyhow::Context;
use popwatch_wire::sales_file::Durations;

/// The name of [`DAY`] without its ending.
pub(crate) const DAY_STEM: &str = "2011-12-05";

/// Sales of a UK shop on 2011-12-05 (Online Retail, CC BY 4.0).
pub(crate) const DAY: &[u8] = include_bytes!("../assets/online_retail/2011-12-05.csv");

/// Stand-in checkout durations: database latencies, microseconds read as milliseconds.
pub(crate) fn durations() -> anyhow::Result<Durations> {
    Durations::parse(include_str!("../assets/durations/ycsb_counts.csv"))
        .context("the bundled durations are damaged; install popwatch again")
}
