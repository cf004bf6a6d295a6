//! The official OpenTelemetry SDK for JavaScript times checkouts and sends them to a till;
//! `cargo xtask check` fetches it. And our own SDK: its tests, and a clean folder that installs it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::sdks::{sdk, survive_kills};
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

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complaint}");
    said
}

#[test]
#[ignore = "needs: node"]
fn our_sdk_passes_its_own_tests() {
    succeeds(
        Command::new("npm")
            .args(["test", "--silent"])
            .current_dir(sdk("typescript")),
    );
}

/// What a browser loads, minified and compressed, is at most so large, bytes.
const BROWSER_BYTES_MAX: usize = 10_000;

#[test]
#[ignore = "needs: node"]
fn what_a_browser_loads_stays_small() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut bundle = Command::new(target.join("check-node/node_modules/.bin/esbuild"));
    bundle.args(["src/browser.js", "--bundle", "--minify", "--format=esm"]);
    let site = Site::new("sdk-bundle");
    bundle.arg(format!(
        "--outfile={}",
        site.folder.join("popwatch.js").display()
    ));
    succeeds(
        bundle
            .arg("--log-level=error")
            .current_dir(sdk("typescript")),
    );
    let count = "process.stdout.write(`${zlib.gzipSync(fs.readFileSync('popwatch.js')).length}`)";
    let mut packed = Command::new("node");
    let packed = succeeds(packed.args(["-e", count]).current_dir(site.folder.path()));
    let bytes: usize = packed.parse().unwrap();
    eprintln!("the browser's bundle: {bytes} bytes");
    assert!(bytes <= BROWSER_BYTES_MAX, "{bytes}");
}

#[test]
#[ignore = "needs: node"]
fn a_killed_checkout_loses_and_doubles_nothing() {
    survive_kills("sdk-node", &|| {
        let mut seller = Command::new("node");
        seller.arg(sdk("typescript/test/sells.mjs"));
        seller
    });
}

#[test]
#[ignore = "needs: node"]
fn our_packed_sdk_installs_in_an_empty_folder_and_its_example_sells() {
    let site = Site::new("sdk-npm");
    let _edge = site.start_edge();
    let folder = site.folder.path();
    succeeds(
        Command::new("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(folder)
            .current_dir(sdk("typescript")),
    );
    std::fs::write(folder.join("package.json"), "{\"type\":\"module\"}").unwrap();
    succeeds(
        Command::new("npm")
            .args([
                "install",
                "--silent",
                "--offline",
                "--no-audit",
                "--no-fund",
            ])
            .arg("./popwatch-0.1.0.tgz")
            .current_dir(folder),
    );
    std::fs::copy(sdk("typescript/examples/sell.mjs"), folder.join("sell.mjs")).unwrap();
    let said = succeeds(
        Command::new("node")
            .args(["sell.mjs", &format!("http://{}", site.edge)])
            .current_dir(folder),
    );
    assert!(said.contains("safe on till-1"), "{said}");
}
