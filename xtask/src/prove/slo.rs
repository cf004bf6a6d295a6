//! Promises of simulated popups: how often a page is false, how soon a true one comes, and the rules
//! that are usual elsewhere on the same popups.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;
use crate::table::Row;

/// Popups of each size.
const POPUPS: usize = 10_000;
/// What each incident's median must stay within, ms; `None` is only noted.
const BARS_MS: [Option<usize>; 4] = [Some(60_000), Some(240_000), None, Some(150_000)];

pub(super) fn rows(quick: bool) -> Result<Vec<Row>> {
    let popups = if quick { POPUPS / 10 } else { POPUPS };
    let number = popups.to_string();
    let args = [
        "run",
        "--release",
        "-q",
        "-p",
        "popwatch-sim",
        "--",
        "--slo",
        &number,
    ];
    let text = shell::capture(&mut shell::cargo(&args), shell::HOURS).context("slo")?;
    let start = text.find('{').unwrap_or(text.len());
    let report: Value = serde_json::from_str(text.get(start..).unwrap_or_default())
        .context("the simulator's report")?;
    Ok(table(&report))
}

fn table(report: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    let number = |of: &Value| of.as_u64().and_then(|n| usize::try_from(n).ok());
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    for row in list("falses") {
        let popups = number(&row["popups"]).unwrap_or(0);
        let of = |what: &str| format!("slo: {} checkouts: {what}, of {popups} popups", row["size"]);
        let count = |name: &str| number(&row[name]).unwrap_or(usize::MAX);
        rows.push(Row::at_most(
            &of("false pages at the objective"),
            count("ours"),
            popups / 100,
        ));
        rows.push(Row::note(
            &of("the same by the workbook's rules"),
            count("workbook"),
        ));
        rows.push(Row::note(
            &of("the same by the scaled rules"),
            count("scaled"),
        ));
        rows.push(Row::note(
            &of("by the scaled rules when healthy"),
            count("scaled_healthy"),
        ));
    }
    let popups = number(&report["split"]["popups"]).unwrap_or(0);
    let paged = number(&report["split"]["paged"]).unwrap_or(usize::MAX);
    let what = format!("slo: any of six promises paged falsely, of {popups} popups");
    rows.push(Row::at_most(&what, paged, popups / 20));
    for (row, bar) in list("detections").iter().zip(BARS_MS) {
        let what = row["what"].as_str().unwrap_or_default();
        let of = |part: &str| format!("slo: {what}: {part}");
        let median = number(&row["ours_ms"]);
        rows.push(match (median, bar) {
            (Some(ms), Some(bar)) => Row::at_most(&of("median to the page, ms"), ms, bar),
            (Some(ms), None) => Row::note(&of("median to the page, ms"), ms),
            (None, _) => Row::count(&of("median to the page"), 0, 1),
        });
        rows.push(Row::note(
            &of("missed"),
            number(&row["ours_missed"]).unwrap_or(0),
        ));
        if let Some(missed) = number(&row["workbook_missed"]) {
            rows.push(Row::note(&of("missed by the workbook's rules"), missed));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_false_page_too_many_and_a_missed_incident_do_not_hold() {
        let report = |ours: u64, ms: Option<u64>| {
            json!({
                "falses": [{"size": 300, "popups": 100, "ours": ours, "workbook": 0, "scaled": 9,
                            "scaled_healthy": 9}],
                "split": {"popups": 20, "paged": 0},
                "detections": [{"what": "x", "ours_ms": ms, "ours_missed": 0}],
            })
        };
        let holds = |report: &Value| table(report).iter().all(|row| row.holds);
        assert!(holds(&report(1, Some(60_000))));
        assert!(!holds(&report(2, Some(60_000))));
        assert!(!holds(&report(1, Some(60_001))));
        assert!(!holds(&report(1, None)));
        assert!(!holds(&json!({})));
    }
}
