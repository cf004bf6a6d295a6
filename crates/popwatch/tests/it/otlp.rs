//! OTLP over raw HTTP: what a till answers to spans, logs and metrics, good and bad.

use serde_json::{Value, json};

use crate::support::{Answer, Process, Site, http};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");
const CAPTURED_JSON: &[u8] =
    include_bytes!("../../../../fixtures/public/otlp/traces_js-2.12.0_json.body");
const CAPTURED_GZIP: &[u8] =
    include_bytes!("../../../../fixtures/public/otlp/traces_python-1.45.2.body");

struct Till {
    site: Site,
    _edge: Process,
}

fn till(name: &str) -> Till {
    let site = Site::new(name);
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"{}\"\nrig = \"till-1\"\n",
        site.till().display(),
        site.edge
    );
    let edge = site.started("edge", &config);
    Till { site, _edge: edge }
}

impl Till {
    fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http(&self.site.edge, &format!("POST {path}"), headers, body).unwrap()
    }

    /// Taken, in the request's format.
    #[track_caller]
    fn taken(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let answer = self.send(path, headers, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(headers[0].1));
        answer.body
    }

    #[track_caller]
    fn counts(&self, line: &str) {
        let metrics = http(&self.site.edge, "GET /metrics", &[], b"").unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn spans_are_answered_in_their_format_and_again_they_are_duplicates() {
    let till = till("otlp-spans");
    for _ in 0..2 {
        let body = till.taken("/v1/traces", &[JSON], CAPTURED_JSON);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1", "{answer}");
        // Field 1, and in it field 1: one rejected span; then why.
        let body = till.taken("/v1/traces", &[PROTOBUF, GZIP], CAPTURED_GZIP);
        assert_eq!((body[0], &body[2..5]), (0x0a, &[0x08, 1, 0x12][..]));
    }
    for verdict in ["accepted", "duplicate"] {
        till.counts(&format!("verdict=\"{verdict}\",class=\"journey\"}} 8"));
        till.counts(&format!("verdict=\"{verdict}\",class=\"money\"}} 0"));
        till.counts(&format!("verdict=\"{verdict}\",class=\"stock\"}} 0"));
    }
    till.counts("kind=\"checkout\"} 8");
    assert_eq!(till.taken("/v1/traces", &[PROTOBUF], b""), b"");
    assert_eq!(till.taken("/v1/traces", &[JSON], b"{}"), b"{}");
}

#[test]
fn a_bad_span_costs_only_itself_and_nothing_of_it_is_repeated() {
    let till = till("otlp-bad");
    let span = |id: &str, attributes: Value| {
        json!({
            "traceId": "6ef0e6aa3f36b47bc436832bedaf382d", "spanId": id, "name": "checkout",
            "startTimeUnixNano": "1795396001639000000", "endTimeUnixNano": "1795396002539000000",
            "attributes": attributes,
        })
    };
    let order = |value: Value| json!([{"key": "popwatch.order", "value": value}]);
    let popup = json!([{"key": "popwatch.popup", "value": {"stringValue": "stall"}}]);
    let spans = json!([
        span("00000000000000a1", json!([])),
        span("00000000000000a2", order(json!({"doubleValue": 4.5}))),
        span(
            "00000000000000a3",
            order(json!({"stringValue": "no spaces please"}))
        ),
        span("00000000000000a4", json!([])),
    ]);
    let body = json!({"resourceSpans": [
        {"resource": {"attributes": popup}, "scopeSpans": [{"spans": spans}]},
    ]});
    let body = till.taken("/v1/traces", &[JSON], body.to_string().as_bytes());
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "2", "{answer}");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("PW0103: data.order"), "{message}");
    assert!(!message.contains("please"), "{message}");
    // The starts of the two are facts of their own.
    till.counts("verdict=\"accepted\",class=\"journey\"} 6");
}

#[test]
fn what_is_no_otlp_is_refused_by_a_status_message() {
    let till = till("otlp-garbage");
    let json = |headers: &[(&str, &str)], body: &[u8]| {
        let answer = till.send("/v1/traces", headers, body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        (answer.status, answer.json())
    };
    for (headers, body, status, code) in [
        (
            &[JSON][..],
            &b"{\"resourceSpans\": nonsense"[..],
            400,
            "PW0101",
        ),
        (&[JSON, GZIP], CAPTURED_JSON, 400, "PW0101"),
        (
            &[JSON, ("Content-Encoding", "br")],
            CAPTURED_JSON,
            415,
            "PW0108",
        ),
        (
            &[("Content-Type", "text/plain")],
            CAPTURED_JSON,
            415,
            "PW0108",
        ),
        (&[], CAPTURED_JSON, 415, "PW0108"),
    ] {
        let (found, answer) = json(headers, body);
        assert_eq!((found, &answer["code"]), (status, &json!(3)), "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with(code), "{answer}");
    }
    let large = vec![b' '; (4 << 20) + 1];
    assert_eq!(json(&[JSON], &large).0, 413);
    let half = &CAPTURED_GZIP[..CAPTURED_GZIP.len() / 2];
    let answer = till.send("/v1/traces", &[PROTOBUF, GZIP], half);
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-protobuf")
    );
    // Field 1: code 3. Field 2: the message.
    assert_eq!(answer.body[..3], [0x08, 3, 0x12]);
    let foreign = [JSON, ("Origin", "https://shop.example")];
    let answer = till.send("/v1/traces", &foreign, CAPTURED_JSON);
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (403, &json!("PW0122"))
    );
    till.counts("verdict=\"accepted\",class=\"journey\"} 0");
}

#[test]
fn logs_and_metrics_are_refused_and_told_where_to_go() {
    let till = till("otlp-others");
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]});
    let points = json!([{"asDouble": 67_854.0}, {"asInt": "33927"}, {}]);
    let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "revenue", "sum": {"dataPoints": points}},
    ]}]}]});
    for (path, body, name, count) in [
        ("/v1/logs", logs, "rejectedLogRecords", "2"),
        ("/v1/metrics", metrics, "rejectedDataPoints", "3"),
    ] {
        let answer = till.taken(path, &[JSON], body.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let partial = &answer["partialSuccess"];
        assert_eq!(partial[name], count, "{answer}");
        let message = partial["errorMessage"].as_str().unwrap();
        assert!(message.contains("/v1/events"), "{message}");
        let torn = till.send(path, &[PROTOBUF], b"nonsense");
        assert_eq!(torn.status, 400);
        assert_eq!(till.send(path, &[], b"").status, 415);
    }
}
