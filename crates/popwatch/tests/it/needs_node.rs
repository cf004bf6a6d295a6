//! The official OpenTelemetry SDK for JavaScript times checkouts and sends them to a till.
//! `cargo xtask check` fetches it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Site, spans_are_timed};

#[track_caller]
fn sends(site: &Site, popup: &str, format: &str) -> Value {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let modules = target.join("check-node/node_modules");
    assert!(
        modules.exists(),
        "no SDK there; `cargo xtask check --only borders` fetches it"
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/otlp_sdk.js");
    let output = Command::new("node")
        .arg(script)
        .args([&format!("http://{}", site.edge), popup, "60", format])
        .env("NODE_PATH", modules)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs: node"]
fn the_official_javascript_sdk_times_checkouts() {
    let site = Site::new("otlp-js");
    let _edge = site.start_edge();
    for (runs, format) in [(1, "json"), (2, "protobuf")] {
        let popup = format!("page-{format}");
        let sent = sends(&site, &popup, format);
        // The exporter tells its own log what was refused: one span that is no checkout.
        let warnings = sent["warnings"].to_string();
        assert!(warnings.contains("1 spans are no checkouts"), "{warnings}");
        spans_are_timed(&site, &popup, &sent, runs);
    }
}
