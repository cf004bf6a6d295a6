//! What `/metrics` answers: families of samples, written in the form the scraper asks for.
//!
//! | form | by | histograms |
//! |---|---|---|
//! | text 0.0.4 | <https://prometheus.io/docs/instrumenting/exposition_formats/> | classic |
//! | OpenMetrics 1.0 | <https://prometheus.io/docs/specs/om/open_metrics_spec/> | classic |
//! | protobuf, delimited | `io/prometheus/client/metrics.proto` | native, schema 5 |
//!
//! A family is written once, with help and type before its samples; label values are escaped.

use std::fmt::{Display, Write};

use prost::Message;

mod protobuf;
#[cfg(test)]
mod tests;

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket; see [`Exposition::histogram`] and [`Family::native`].
    Histogram,
}

impl MetricKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' text, for whoever does not ask.
    Text,
    /// OpenMetrics' text.
    OpenMetrics,
    /// Prometheus' protobuf.
    Protobuf,
}

impl Form {
    /// The form an `Accept` header likes most; of two liked alike the earlier one.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        let mut best = (Self::Text, 0u32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let mut thousandths = 1_000;
            let mut delimited = false;
            for parameter in parts {
                match parameter.split_once('=') {
                    Some(("q", text)) => thousandths = quality(text),
                    Some(("encoding", text)) => delimited = text == "delimited",
                    Some(_) | None => {}
                }
            }
            let form = match media {
                "application/vnd.google.protobuf" if delimited => Self::Protobuf,
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _other => continue,
            };
            if thousandths > best.1 {
                best = (form, thousandths);
            }
        }
        best.0
    }

    /// The media type of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

/// A quality value in thousandths; what is none counts as 0.
fn quality(text: &str) -> u32 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part:0<3}");
    let digits = digits.get(..whole.len() + 3).unwrap_or_default();
    digits
        .parse()
        .ok()
        .filter(|value| *value <= 1_000)
        .unwrap_or(0)
}

/// Families in the order they were begun.
#[derive(Debug, Default)]
pub struct Exposition {
    families: Vec<Begun>,
}

#[derive(Debug)]
struct Begun {
    name: &'static str,
    kind: MetricKind,
    help: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Number(String),
    /// (upper edge, count of this bucket alone), and the sum.
    Classic(Vec<(String, u64)>, String),
    Native(Native),
}

/// A histogram of durations in the buckets of `popwatch_core::sketch`: base 2^(1/32).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Native {
    /// Values.
    pub count: u64,
    /// Their sum, µs.
    pub sum_us: u64,
    /// Values of at most 2^-10 s.
    pub zero: u64,
    /// Values beyond 2^17 s, counted in the top bucket too.
    pub over: u64,
    /// Values by bucket, ascending; bucket i holds (2^(i/32), 2^((i+1)/32)] s.
    pub buckets: Vec<(i32, u64)>,
}

/// Octaves of [`Native`]: its zero bucket ends at 2^FIRST s, its top one at 2^LAST s.
const FIRST_OCTAVE: i32 = -10;
const LAST_OCTAVE: i32 = 17;
/// Buckets of one octave.
const PER_OCTAVE: i32 = 32;

impl Native {
    /// Buckets by whole octaves, for scrapers that know no others: exact, their edges are edges.
    fn octaves(&self) -> Vec<(String, u64)> {
        let mut rest = self.buckets.iter().peekable();
        let mut octaves = Vec::new();
        for octave in FIRST_OCTAVE..=LAST_OCTAVE {
            let mut count = if octave == FIRST_OCTAVE { self.zero } else { 0 };
            while let Some((_, values)) = rest.next_if(|(index, _)| *index < octave * PER_OCTAVE) {
                count += values;
            }
            if octave == LAST_OCTAVE {
                count = count.saturating_sub(self.over);
            }
            octaves.push((format!("{:?}", 2f64.powi(octave)), count));
        }
        octaves.push((String::from("+Inf"), self.over));
        octaves
    }

    fn sum(&self) -> String {
        format!("{}.{:06}", self.sum_us / 1_000_000, self.sum_us % 1_000_000)
    }
}

impl Exposition {
    /// No family yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: MetricKind, help: &str) -> Family<'_> {
        self.families.push(Begun {
            name,
            kind,
            help: help.to_owned(),
            samples: Vec::new(),
        });
        let begun = self.families.last_mut();
        Family(begun.expect("it was just pushed"))
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
        let value = Value::Classic(buckets.to_vec(), sum.to_string());
        self.family(name, MetricKind::Histogram, help)
            .push(labels, value);
    }

    /// Adds the families of another.
    pub fn extend(&mut self, other: Self) {
        self.families.extend(other.families);
    }

    /// The whole in a form.
    #[must_use]
    pub fn write(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Text => self.text(false).into_bytes(),
            Form::OpenMetrics => self.text(true).into_bytes(),
            Form::Protobuf => {
                let families = self.families.iter();
                let families = families.filter(|family| !family.samples.is_empty());
                families
                    .flat_map(|family| protobuf::family(family).encode_length_delimited_to_vec())
                    .collect()
            }
        }
    }

    /// As Prometheus' text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text(false)
    }

    fn text(&self, open: bool) -> String {
        let mut text = String::new();
        for family in &self.families {
            // OpenMetrics names a counter without its suffix.
            let name = match open {
                true => family.name.strip_suffix("_total").unwrap_or(family.name),
                false => family.name,
            };
            let (help, kind) = (&family.help, family.kind.text());
            put(
                &mut text,
                format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            );
            for sample in &family.samples {
                write_sample(&mut text, family.name, sample);
            }
        }
        if open {
            text.push_str("# EOF\n");
        }
        text
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a String takes every text");
}

fn write_sample(text: &mut String, name: &str, sample: &Sample) {
    let (buckets, sum) = match &sample.value {
        Value::Number(value) => return write_line(text, (name, ""), &sample.labels, None, value),
        Value::Classic(buckets, sum) => (buckets.clone(), sum.clone()),
        Value::Native(native) => (native.octaves(), native.sum()),
    };
    let mut below = 0;
    for (edge, count) in &buckets {
        below += count;
        write_line(text, (name, "_bucket"), &sample.labels, Some(edge), &below);
    }
    write_line(text, (name, "_sum"), &sample.labels, None, &sum);
    write_line(text, (name, "_count"), &sample.labels, None, &below);
}

fn write_line(
    text: &mut String,
    (name, suffix): (&str, &str),
    labels: &[(String, String)],
    edge: Option<&str>,
    value: &dyn Display,
) {
    text.push_str(name);
    text.push_str(suffix);
    let labels = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut open = '{';
    for (name, value) in labels.chain(edge.map(|edge| ("le", edge))) {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        put(text, format_args!("{open}{name}=\"{value}\""));
        open = ',';
    }
    let close = if open == ',' { "}" } else { "" };
    put(text, format_args!("{close} {value}\n"));
}

/// One family whose samples are being written.
#[derive(Debug)]
pub struct Family<'a>(&'a mut Begun);

impl Family<'_> {
    /// One sample; label values may hold any text.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.push(labels, Value::Number(value.to_string()))
    }

    /// One series of a histogram.
    pub fn native(&mut self, labels: &[(&str, &str)], native: Native) -> &mut Self {
        self.push(labels, Value::Native(native))
    }

    fn push(&mut self, labels: &[(&str, &str)], value: Value) -> &mut Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        self.0.samples.push(Sample {
            labels: labels.iter().map(owned).collect(),
            value,
        });
        self
    }
}
