//! The forms, by their specifications.

use super::protobuf::{BucketSpan, MetricFamily};
use super::*;

fn sample() -> Exposition {
    let mut exposition = Exposition::new();
    exposition
        .family("popwatch_gaps_total", MetricKind::Counter, "Named gaps.")
        .sample(&[("cause", "a\"b\\c\nd")], 3)
        .sample(&[], 4);
    let native = Native {
        count: 7,
        sum_us: 4_000_001,
        zero: 1,
        over: 1,
        buckets: vec![(-320, 2), (-319, 1), (0, 2), (543, 1)],
    };
    exposition
        .family("popwatch_x_seconds", MetricKind::Histogram, "Times.")
        .native(&[("rig", "a")], native);
    exposition
}

#[test]
fn buckets_of_a_histogram_add_up() {
    let mut exposition = Exposition::new();
    let buckets = [("0.1".to_owned(), 2), ("+Inf".to_owned(), 1)];
    let labels = [("rig", "a")];
    exposition.histogram("popwatch_sync_seconds", "Syncs.", &labels, &buckets, 1.5);
    assert_eq!(
        exposition.finish(),
        "# HELP popwatch_sync_seconds Syncs.\n# TYPE popwatch_sync_seconds histogram\n\
         popwatch_sync_seconds_bucket{rig=\"a\",le=\"0.1\"} 2\n\
         popwatch_sync_seconds_bucket{rig=\"a\",le=\"+Inf\"} 3\n\
         popwatch_sync_seconds_sum{rig=\"a\"} 1.5\npopwatch_sync_seconds_count{rig=\"a\"} 3\n"
    );
}

#[test]
fn a_counter_is_named_as_each_text_wants_it() {
    let exposition = sample();
    let text = String::from_utf8(exposition.write(Form::Text)).unwrap();
    assert!(text.starts_with(
        "# HELP popwatch_gaps_total Named gaps.\n# TYPE popwatch_gaps_total counter\n\
         popwatch_gaps_total{cause=\"a\\\"b\\\\c\\nd\"} 3\npopwatch_gaps_total 4\n"
    ));
    let open = String::from_utf8(exposition.write(Form::OpenMetrics)).unwrap();
    assert!(open.starts_with(
        "# HELP popwatch_gaps Named gaps.\n# TYPE popwatch_gaps counter\npopwatch_gaps_total{"
    ));
    assert!(open.ends_with("# EOF\n"));
}

#[test]
fn octaves_are_exact() {
    let text = sample().finish();
    for line in [
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"0.0009765625\"} 1",
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"0.001953125\"} 4",
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"1.0\"} 4",
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"2.0\"} 6",
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"131072.0\"} 6",
        "popwatch_x_seconds_bucket{rig=\"a\",le=\"+Inf\"} 7",
        "popwatch_x_seconds_sum{rig=\"a\"} 4.000001",
        "popwatch_x_seconds_count{rig=\"a\"} 7",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
}

#[test]
fn protobuf_has_native_histograms() {
    let bytes = sample().write(Form::Protobuf);
    let mut rest = &bytes[..];
    let gaps = MetricFamily::decode_length_delimited(&mut rest).unwrap();
    assert_eq!((gaps.name.as_str(), gaps.kind), ("popwatch_gaps_total", 0));
    assert!((gaps.metric[1].counter.unwrap().value - 4.0).abs() < f64::EPSILON);
    let times = MetricFamily::decode_length_delimited(&mut rest).unwrap();
    assert!(rest.is_empty());
    let histogram = times.metric[0].histogram.clone().unwrap();
    assert_eq!((histogram.schema, histogram.zero_count), (5, 1));
    let span = |offset, length| BucketSpan { offset, length };
    assert_eq!(
        histogram.positive_span,
        [span(-319, 2), span(318, 1), span(542, 1)]
    );
    assert_eq!(histogram.positive_delta, [2, -1, 1, -1]);
    assert_eq!(histogram.sample_count, 7);
}

#[test]
fn the_form_liked_most_is_taken() {
    let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                      encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, form) in [
        (prometheus, Form::Protobuf),
        (
            "application/openmetrics-text; version=1.0.0, text/plain;q=0.5",
            Form::OpenMetrics,
        ),
        (
            "text/plain;q=0.9,application/openmetrics-text;q=0.75",
            Form::Text,
        ),
        ("application/vnd.google.protobuf;encoding=text", Form::Text),
        ("text/html, application/json", Form::Text),
        ("", Form::Text),
        ("application/openmetrics-text;q=0", Form::Text),
        ("application/openmetrics-text;q=x", Form::Text),
    ] {
        assert_eq!(Form::of(accept), form, "{accept}");
    }
}
