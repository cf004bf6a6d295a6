//! What redaction took out, counted. No value of it is ever kept or logged.

use std::sync::atomic::{AtomicU64, Ordering};

use popwatch_core::code::Code;
use popwatch_redact::apply::Counts;
use popwatch_redact::detect::Rule;
use popwatch_wire::exposition::{Exposition, MetricKind};

/// What happened besides the hits of a rule.
const DEEDS: [&str; 8] = [
    "reference_mapped",
    "unknown_field",
    "forbidden_name",
    "removed_by_policy",
    "no_key",
    "cut",
    "failed",
    "residual",
];

/// Counters of redaction.
#[derive(Debug, Default)]
pub(crate) struct RedactionMetrics {
    hits: [AtomicU64; Rule::ALL.len()],
    deeds: [AtomicU64; DEEDS.len()],
}

impl RedactionMetrics {
    /// Adds what was done to the events of a request.
    pub(crate) fn count(&self, counts: &Counts) {
        for (sum, more) in self.hits.iter().zip(counts.hits) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
        let deeds = [
            counts.references_mapped,
            counts.unknown_fields,
            counts.forbidden_names,
            counts.planned,
            counts.keyless,
            counts.cut,
            counts.errors,
            counts.residual,
        ];
        for (sum, more) in self.deeds.iter().zip(deeds) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
        if counts.errors > 0 || counts.residual > 0 {
            tracing::error!(
                code = %Code::RedactionFailed,
                texts = counts.errors,
                records = counts.residual,
                "redaction failed on texts and replaced them; please report it"
            );
        }
    }

    /// The families of these counters.
    pub(crate) fn render(&self, text: &mut Exposition, rig: &str) {
        let mut family = text.family(
            "popwatch_redaction_hits_total",
            MetricKind::Counter,
            "Secrets taken out of texts, by what they were.",
        );
        for (rule, sum) in Rule::ALL.iter().zip(&self.hits) {
            let labels = [("rig", rig), ("rule", rule.name())];
            family.sample(&labels, sum.load(Ordering::Relaxed));
        }
        let mut family = text.family(
            "popwatch_redaction_total",
            MetricKind::Counter,
            "What else redaction did; failed and residual must stay 0.",
        );
        for (deed, sum) in DEEDS.iter().zip(&self.deeds) {
            let labels = [("rig", rig), ("deed", *deed)];
            family.sample(&labels, sum.load(Ordering::Relaxed));
        }
    }
}
