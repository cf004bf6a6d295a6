//! The Prometheus text exposition format, version 0.0.4.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>. A family is written once,
//! with help and type before its samples; label values are escaped.

use std::fmt::{Display, Write};

/// A text being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket; see [`Exposition::histogram`].
    Histogram,
}

impl Exposition {
    /// An empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: MetricKind, help: &str) -> Family<'_> {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family {
            exposition: self,
            name,
        }
    }

    /// A histogram of one series: `buckets` are (upper edge, count of this bucket alone) with the
    /// edges as text; the last bucket has the edge `+Inf`. `sum` is the sum of all observations.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        buckets: &[(String, u64)],
        sum: impl Display,
    ) {
        let mut family = self.family(name, MetricKind::Histogram, help);
        let mut below = 0;
        for (edge, count) in buckets {
            below += count;
            let labels = [labels, &[("le", edge.as_str())]].concat();
            family.suffixed("_bucket", &labels, below);
        }
        family.suffixed("_sum", labels, sum);
        family.suffixed("_count", labels, below);
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(arguments)
            .expect("a String takes every text");
    }
}

/// One family whose samples are being written.
#[derive(Debug)]
pub struct Family<'a> {
    exposition: &'a mut Exposition,
    name: &'static str,
}

impl Family<'_> {
    /// One sample; label values may hold any text.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> &mut Self {
        self.exposition.text.push_str(self.name);
        self.exposition.text.push_str(suffix);
        for (place, (name, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            self.exposition
                .write(format_args!("{open}{name}=\"{text}\""));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.exposition.write(format_args!("{close} {value}\n"));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_a_histogram_add_up() {
        let mut exposition = Exposition::new();
        let buckets = [("0.1".to_owned(), 2), ("+Inf".to_owned(), 1)];
        exposition.histogram(
            "popwatch_sync_seconds",
            "Syncs.",
            &[("rig", "a")],
            &buckets,
            1.5,
        );
        assert_eq!(
            exposition.finish(),
            "# HELP popwatch_sync_seconds Syncs.\n# TYPE popwatch_sync_seconds histogram\n\
             popwatch_sync_seconds_bucket{rig=\"a\",le=\"0.1\"} 2\n\
             popwatch_sync_seconds_bucket{rig=\"a\",le=\"+Inf\"} 3\n\
             popwatch_sync_seconds_sum{rig=\"a\"} 1.5\npopwatch_sync_seconds_count{rig=\"a\"} 3\n"
        );
    }

    #[test]
    fn a_family_reads_as_the_format_says() {
        let mut exposition = Exposition::new();
        exposition
            .family("popwatch_gaps_total", MetricKind::Counter, "Named gaps.")
            .sample(&[("cause", "a\"b\\c\nd")], 3)
            .sample(&[], 4);
        assert_eq!(
            exposition.finish(),
            "# HELP popwatch_gaps_total Named gaps.\n# TYPE popwatch_gaps_total counter\n\
             popwatch_gaps_total{cause=\"a\\\"b\\\\c\\nd\"} 3\npopwatch_gaps_total 4\n"
        );
    }
}
