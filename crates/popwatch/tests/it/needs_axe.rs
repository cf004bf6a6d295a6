//! Every screen by the rules of accessibility, in a real browser: nothing serious, light and dark,
//! on a desk and 320 px wide, also with names that want to break out.

use std::path::PathBuf;

use serde_json::Value;

use crate::browser::Browser;
use crate::needs_chromium::{config, hostile};
use crate::support::{Site, sell, until};

const DESK: (u32, u32) = (1280, 1400);
/// A desk at 400 %, or the smallest phone.
const NARROW: (u32, u32) = (320, 640);
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']";

fn axe() -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let path = target.join("check-axe/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(path).expect("cargo xtask check brings axe")
}

#[test]
#[ignore = "needs: axe"]
fn no_screen_has_a_serious_barrier() {
    let site = Site::new("axe");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    sell(&site.edge, &hostile());
    site.drained("stall", 4);
    let finding = |check: &str, severity: &str| {
        serde_json::json!({
            "check": check, "code": "PW1303", "severity": severity, "needed": "three times the room",
            "measured": "<img src=x onerror=document.title='broken'>", "todo": "free some room on the disk",
        })
    };
    let report = serde_json::json!({
        "verdict": "no_go", "popup": "stall", "rig": "till-1", "at_ms": 0,
        "findings": [finding("disk", "no_go"), finding("power", "warning"), finding("net", "pass")],
    });
    std::fs::write(site.till().join("preflight.json"), report.to_string()).unwrap();
    let axe = axe();
    let mut page = Browser::open("axe");
    for (address, screen) in [
        (&site.region, ""),
        (&site.region, "#/creator"),
        (&site.region, "#/coop"),
        (&site.region, "#/board"),
        (&site.edge, ""),
        (&site.edge, "#/preflight"),
    ] {
        for (size, mobile, scheme) in [(DESK, false, "light"), (NARROW, true, "dark")] {
            page.window(size, mobile, scheme);
            page.go("about:blank");
            page.go(&format!("http://{address}/{screen}"));
            until("the screen has its figures", || {
                let big = page.evaluate("document.querySelectorAll('.big, .ranks').length");
                (big != 0).then_some(())
            });
            let wide = page.evaluate("document.documentElement.scrollWidth - innerWidth");
            assert!(
                wide.as_i64().unwrap() <= 0,
                "{screen} is {wide} px too wide"
            );
            page.evaluate(&format!("{axe}; 0"));
            page.evaluate(&format!(
                "window.found = null; axe.run(document, {{ runOnly: {RULES} }}).then(r => \
                 {{ window.found = r.violations.filter(v => ['serious', 'critical'].includes(v.impact)) \
                 .map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' ')); }}); 0"
            ));
            let found = until("axe answers", || {
                let found = page.evaluate("window.found");
                found.is_array().then_some(found)
            });
            assert_eq!(found, Value::Array(Vec::new()), "{screen} {scheme}");
        }
    }
}
