//! The official SDKs for Python. That of CloudEvents at both ends: what it sends is taken, what we
//! print it reads; that of OpenTelemetry times checkouts. `cargo xtask check` makes the virtual
//! environment that holds them. Our own SDK: its tests, and a wheel in a clean environment. And a Merkle tree and an Ed25519 of others, to read the audit trail with.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::audit::closed_books;
use crate::sdks::{sdk as ours, survive_kills};
use crate::support::{Site, get, outcome, spans_are_timed};

#[track_caller]
fn sdk(script: &str, args: &[&str]) -> Value {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("check-python/bin/python");
    assert!(
        python.exists(),
        "no SDK there; `cargo xtask check --only borders` fetches it"
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .args(args)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs: python3"]
fn the_official_sdk_posts_and_parses() {
    let site = Site::new("sdk");
    let edge = site.start_edge();
    let verdicts = sdk("sdk.py", &["post", &format!("http://{}", site.edge)]);
    let seen: Vec<(&str, &str)> = verdicts
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| {
            let text = |name: &str| verdict[name].as_str().unwrap();
            (text("id"), text("status"))
        })
        .collect();
    let expected = [
        ("structured", "accepted"),
        ("binary", "accepted"),
        ("first", "accepted"),
        ("second", "accepted"),
        ("structured", "duplicate"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(edge.stop(), Some(0));

    let till = site.till();
    let (status, printed, complaint) = outcome(&["journal", "export", till.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{complaint}");
    let file = site.folder.write("export.ndjson", &printed);
    let read = sdk("sdk.py", &["parse", file.to_str().unwrap()]);
    assert_eq!(read.as_object().unwrap().len(), printed.lines().count());
    for verdict in &verdicts.as_array().unwrap()[..4] {
        let event = &read[format!("till-1/1/{}", verdict["seq"])];
        assert_eq!(event["id"], verdict["id"]);
        assert_eq!(event["source"], "/sdk/täglich");
        assert_eq!(event["type"], "popwatch.payment.captured");
        assert_eq!(event["data"]["amount"], json!(450), "{event}");
    }
}

#[test]
#[ignore = "needs: python3"]
fn the_official_opentelemetry_sdk_times_checkouts() {
    let site = Site::new("otlp-python");
    let _edge = site.start_edge();
    let url = format!("http://{}", site.edge);
    let sent = sdk("otlp_sdk.py", &[&url, "stall", "60"]);
    spans_are_timed(&site, "stall", &sent, 1);
}

#[test]
#[ignore = "needs: python3"]
fn others_verify_the_audit_trail() {
    let (site, _ledger, _region) = closed_books("audit-python", 3);
    let url = format!("http://{}", site.ledger);
    let older = outcome(&["audit", "checkpoint", "--ledger", &url]).1;
    let older = site.folder.write("older", &older);
    outcome(&["close", "stall", "--ledger", &url]);
    let key = get(&site.ledger, "/v1/audit")["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = sdk("trail.py", &[&url, &key, older.to_str().unwrap()]);
    assert_eq!(
        (&seen["origin"], &seen["size"]),
        (&"local/audit/ledger".into(), &5.into()),
        "{seen}"
    );
}

/// A wheel is at most so large, bytes.
const WHEEL_BYTES_MAX: u64 = 60_000;

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complaint}");
    said
}

#[test]
#[ignore = "needs: python3"]
fn our_sdk_passes_its_own_tests() {
    let mut tests = Command::new("python3");
    tests.args(["-m", "unittest", "discover", "-s", "tests"]);
    succeeds(tests.current_dir(ours("python")));
}

#[test]
#[ignore = "needs: python3"]
fn a_killed_checkout_loses_and_doubles_nothing() {
    survive_kills("sdk-python", &|| {
        let mut seller = Command::new("python3");
        seller
            .arg(ours("python/tests/sells.py"))
            .env("PYTHONPATH", ours("python"));
        seller
    });
}

#[test]
#[ignore = "needs: python3"]
fn our_wheel_installs_in_a_clean_environment_and_its_example_sells() {
    let site = Site::new("sdk-wheel");
    let _edge = site.start_edge();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let (wheels, clean) = (site.folder.join("wheels"), site.folder.join("clean"));
    // Built from a copy: the build leaves its own folders behind.
    let source = site.folder.join("source");
    succeeds(
        Command::new("cp")
            .arg("-r")
            .args([&ours("python"), &source]),
    );
    let mut build = Command::new(target.join("check-python/bin/pip"));
    build.args([
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
    ]);
    succeeds(build.args([&wheels, &source]));
    let wheel = wheels.join("popwatch-0.1.0-py3-none-any.whl");
    let bytes = std::fs::metadata(&wheel).unwrap().len();
    eprintln!("the wheel: {bytes} bytes");
    assert!(bytes <= WHEEL_BYTES_MAX, "{bytes}");
    succeeds(Command::new("python3").args(["-m", "venv"]).arg(&clean));
    let mut install = Command::new(clean.join("bin/pip"));
    succeeds(
        install
            .args(["install", "--quiet", "--no-index"])
            .arg(&wheel),
    );
    let mut example = Command::new(clean.join("bin/python"));
    let said = succeeds(
        example
            .arg(ours("python/examples/sell.py"))
            .arg(format!("http://{}", site.edge))
            .current_dir(site.folder.path()),
    );
    assert!(said.contains("safe on till-1"), "{said}");
}
