//! The messages of `io/prometheus/client/metrics.proto` that are written, with their tags.

use prost::Message;

use super::{Begun, MetricKind, Native, Value};

/// Schema 5: 32 buckets per octave.
const SCHEMA: i32 = 5;
/// Upper edge of the zero bucket, seconds.
const ZERO_THRESHOLD: f64 = 1.0 / 1024.0;

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) help: String,
    /// 0 counter, 1 gauge, 4 histogram.
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Number {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(super) sample_count: u64,
    #[prost(double, tag = "2")]
    pub(super) sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    pub(super) schema: i32,
    #[prost(double, tag = "6")]
    pub(super) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(super) zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub(super) positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, tag = "1")]
    pub(super) cumulative_count: u64,
    #[prost(double, tag = "2")]
    pub(super) upper_bound: f64,
}

/// Buckets in a row; `offset` is the gap to the row before.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(super) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(super) length: u32,
}

pub(super) fn family(begun: &Begun) -> MetricFamily {
    let metric = begun.samples.iter().map(|sample| {
        let labels = sample.labels.iter().map(|(name, value)| LabelPair {
            name: name.clone(),
            value: value.clone(),
        });
        let mut metric = Metric {
            label: labels.collect(),
            ..Metric::default()
        };
        match &sample.value {
            Value::Number(text) => {
                let number = Some(Number { value: read(text) });
                match begun.kind {
                    MetricKind::Counter => metric.counter = number,
                    MetricKind::Gauge | MetricKind::Histogram => metric.gauge = number,
                }
            }
            Value::Classic(buckets, sum) => metric.histogram = Some(classic(buckets, sum)),
            Value::Native(histogram) => metric.histogram = Some(native(histogram)),
        }
        metric
    });
    MetricFamily {
        name: begun.name.to_owned(),
        help: begun.help.clone(),
        kind: match begun.kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 4,
        },
        metric: metric.collect(),
    }
}

/// A number as the text forms have it.
fn read(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn classic(buckets: &[(String, u64)], sum: &str) -> Histogram {
    let mut below = 0;
    let bucket = buckets.iter().map(|(edge, count)| {
        below += count;
        Bucket {
            cumulative_count: below,
            upper_bound: read(edge),
        }
    });
    let bucket = bucket.collect();
    Histogram {
        sample_count: below,
        sample_sum: read(sum),
        bucket,
        ..Histogram::default()
    }
}

/// Bucket i here is bucket i + 1 there, which names a bucket by its upper edge. Classic buckets
/// stand beside them for scrapers that know no others.
fn native(histogram: &Native) -> Histogram {
    let mut whole = Histogram {
        schema: SCHEMA,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: histogram.zero,
        ..classic(&histogram.octaves(), &histogram.sum())
    };
    let (mut next, mut before) = (0, 0);
    for (index, values) in &histogram.buckets {
        let (index, values) = (index + 1, i64::try_from(*values).unwrap_or(i64::MAX));
        match whole.positive_span.last_mut() {
            Some(span) if index == next => span.length += 1,
            Some(_) | None => whole.positive_span.push(BucketSpan {
                offset: index - next,
                length: 1,
            }),
        }
        whole.positive_delta.push(values - before);
        (next, before) = (index + 1, values);
    }
    whole
}
