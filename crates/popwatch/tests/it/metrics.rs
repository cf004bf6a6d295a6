//! What all roles expose together: its forms, and that the dashboard asks for nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Site, http, sale, sell, until};

const POPUP: &str = "market";

fn scrape(address: &str, accept: &str) -> (String, Vec<u8>) {
    let answer = http(address, "GET /metrics", &[("Accept", accept)], b"").unwrap();
    assert_eq!(answer.status, 200);
    let media = answer.header("content-type").unwrap().to_owned();
    (media, answer.body)
}

fn text(address: &str) -> String {
    String::from_utf8(scrape(address, "").1).unwrap()
}

/// One event of every kind that a family of its own counts.
fn day() -> Vec<Value> {
    let event = |id: &str, kind: &str, data: Value| {
        json!({"specversion": "1.0", "id": id, "source": "a", "popup": POPUP,
            "type": format!("popwatch.{kind}"), "data": data})
    };
    vec![
        event("c1", "checkout.started", json!({"checkout": "c"})),
        event(
            "c2",
            "checkout.completed",
            json!({"checkout": "c", "order": "o-1", "duration_ms": 900}),
        ),
        sale(POPUP, "a", "1", 500),
        event(
            "r",
            "payment.refunded",
            json!({"refund": "r", "payment": "p-1", "amount": 100,
            "currency": "EUR", "reason": "changed_mind"}),
        ),
        event("t1", "token.issued", json!({"token": "t"})),
        event(
            "t2",
            "token.redeemed",
            json!({"token": "t", "order": "o-1"}),
        ),
        event("i1", "inventory.received", json!({"sku": "mug", "qty": 9})),
        event("i2", "inventory.counted", json!({"sku": "mug", "qty": 7})),
        event(
            "f",
            "order.fulfilled",
            json!({"order": "o-1", "step": "packed"}),
        ),
        event(
            "m",
            "chat.message",
            json!({"stream": "main", "viewer": "v", "text": "lovely mug"}),
        ),
    ]
}

#[test]
fn the_dashboard_asks_for_what_is_there() {
    let site = Site::new("metrics-board");
    let (_region, _ledger, _edge) = (site.start_region(), site.start_ledger(), site.start_edge());
    sell(&site.edge, &day());
    let wanted = "popwatch_revenue_minor_units_total{popup=\"market\",rig=\"till-1\",currency=\"EUR\",\
                  origin=\"till\",method=\"card\",mode=\"online\",kind=\"gross\"} 500\n";
    // Totals come from the machine, gauges from what it published last.
    let counted = "popwatch_inventory_skew_items{popup=\"market\",sku=\"mug\"} -1\n";
    let tells = |address: &str| {
        let told = text(address);
        (told.contains(wanted) && told.contains(counted)).then_some(told)
    };
    let region = until("the region tells it", || tells(&site.region));
    let own = until("the till tells the same of itself", || tells(&site.edge));
    for sample in [
        "popwatch_checkouts_total{popup=\"market\",rig=\"till-1\",outcome=\"completed\"} 1\n",
        "popwatch_checkout_duration_seconds_bucket{popup=\"market\",rig=\"till-1\",mode=\"online\",le=\"0.5\"} 0\n",
        "popwatch_checkout_duration_seconds_bucket{popup=\"market\",rig=\"till-1\",mode=\"online\",le=\"1.0\"} 1\n",
        "popwatch_checkout_duration_seconds_sum{popup=\"market\",rig=\"till-1\",mode=\"online\"} 0.900000\n",
        "popwatch_inventory_expected_items{popup=\"market\",sku=\"mug\"} 8\n",
        "popwatch_inventory_skew_items{popup=\"market\",sku=\"mug\"} -1\n",
        "popwatch_token_redemptions_total{popup=\"market\",rig=\"till-1\",outcome=\"redeemed\"} 1\n",
        "popwatch_fulfillments_total{popup=\"market\",rig=\"till-1\",step=\"packed\"} 1\n",
    ] {
        assert!(region.contains(sample), "{sample}\n{region}");
    }
    let there: BTreeSet<&str> = region
        .lines()
        .chain(own.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/grafana/popwatch.json");
    let board: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let queries = board["panels"].as_array().unwrap().iter();
    let queries = queries.flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut asked = 0;
    for target in queries {
        let query = target["expr"].as_str().unwrap();
        for name in query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if !name.starts_with("popwatch_") {
                continue;
            }
            asked += 1;
            let bare = name.trim_end_matches("_bucket");
            assert!(
                there.contains(bare),
                "{name} of {query} is not in {there:?}"
            );
        }
    }
    assert!(asked >= 20, "{asked}");
}

#[test]
fn each_form_says_what_it_is() {
    let site = Site::new("metrics-forms");
    let _edge = site.start_edge();
    let open = "application/openmetrics-text; version=1.0.0";
    let (media, body) = scrape(&site.edge, open);
    assert_eq!(
        media,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(body.ends_with(b"# EOF\n"));
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let (media, body) = scrape(&site.edge, protobuf);
    assert!(
        media.starts_with("application/vnd.google.protobuf; proto="),
        "{media}"
    );
    assert!(body.windows(9).any(|nine| nine == b"popwatch_"));
    let (media, _) = scrape(&site.edge, "*/*");
    assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8");
}
