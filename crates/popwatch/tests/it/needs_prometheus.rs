//! A real Prometheus scrapes an edge and a region, native histograms on, while the region dies and
//! comes back with nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Folder, Site, free_port, sale, sell, try_get, until, until_within};

/// Scrapes come once a second, and the journal of targets takes a few.
const LIMIT: Duration = Duration::from_secs(60);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(folder: &Folder, port: u16, site: &Site) -> Server {
    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: popwatch\n    static_configs:\n      \
         - targets: [\"{}\", \"{}\"]\n",
        site.edge, site.region
    );
    let file = folder.write("prometheus.yml", &config);
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--enable-feature=native-histograms", "--log.level=error"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server(child)
}

/// The values of an instant query.
fn values(prometheus: &str, query: &str) -> Vec<f64> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = try_get(prometheus, &format!("/api/v1/query?query={query}"));
    let found = answer.unwrap_or_default()["data"]["result"].clone();
    let rows = found.as_array().cloned().unwrap_or_default();
    let value = |row: &Value| row["value"][1].as_str()?.parse().ok();
    rows.iter().filter_map(value).collect()
}

#[test]
#[ignore = "needs: prometheus"]
fn totals_survive_a_region_that_forgot_and_histograms_are_native() {
    let site = Site::new("prometheus");
    let folder = Folder::new("prometheus-data");
    let (mut region, _edge) = (site.start_region(), site.start_edge());
    let port = free_port();
    let prometheus = format!("127.0.0.1:{port}");
    let _server = start(&folder, port, &site);
    let checkout = |id: &str, ms: u64| {
        let event = |id: String, kind: &str, data: Value| {
            json!({"specversion": "1.0", "id": id, "source": "c", "popup": "market",
                "type": format!("popwatch.checkout.{kind}"), "data": data})
        };
        [
            event(format!("{id}-s"), "started", json!({"checkout": id})),
            event(
                format!("{id}-c"),
                "completed",
                json!({"checkout": id, "order": id, "duration_ms": ms}),
            ),
        ]
    };
    sell(&site.edge, &[sale("market", "a", "1", 500)]);
    sell(&site.edge, &checkout("k1", 2_000));
    sell(&site.edge, &checkout("k2", 9_000));
    let at_region = format!("{{instance=\"{}\"}}", site.region);
    let gross = format!(
        "popwatch_revenue_minor_units_total{{instance=\"{}\",kind=\"gross\"}}",
        site.region
    );
    until_within(LIMIT, "prometheus has the sale", || {
        (values(&prometheus, &gross) == [500.0]).then_some(())
    });
    let count = format!("histogram_count(popwatch_checkout_duration_seconds{at_region})");
    until_within(LIMIT, "the histogram is native", || {
        (values(&prometheus, &count) == [2.0]).then_some(())
    });
    let middle = format!("histogram_quantile(0.4, popwatch_checkout_duration_seconds{at_region})");
    let middle = values(&prometheus, &middle)[0];
    assert!((1.95..2.05).contains(&middle), "{middle}");

    // All memory is lost; the rig sends everything again.
    region.kill();
    let _region = site.start_region();
    sell(&site.edge, &[sale("market", "a", "2", 250)]);
    until_within(LIMIT, "prometheus has both", || {
        (values(&prometheus, &gross) == [750.0]).then_some(())
    });
    assert_eq!(values(&prometheus, &format!("resets({gross}[5m])")), [0.0]);
    let seen = values(&prometheus, &format!("min_over_time({gross}[5m])"));
    assert_eq!(seen, [500.0]);
    until("the scrape is healthy", || {
        values(&prometheus, "up")
            .iter()
            .all(|up| (*up - 1.0).abs() < f64::EPSILON)
            .then_some(())
    });
}
