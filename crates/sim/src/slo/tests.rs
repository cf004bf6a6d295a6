//! A small run of the harness, and the rules beside it by hand.

use popwatch_core::slo::Outcomes;

use super::rules::{SCALED, WORKBOOK, first_page};
use super::{Told, run};

#[test]
fn a_small_run_reaches_its_bars() {
    let report = run(100);
    assert_eq!(report, run(100), "a seed decides all");
    for row in &report.falses {
        // Pages in one popup of a hundred at most: six or more of 100 would then come once in 1,800 runs.
        assert!(row.ours <= 5, "{row:?}");
        assert!(row.scaled > row.popups / 5, "the others are there: {row:?}");
    }
    let bars = [60_000, 240_000, 60 * 60_000, 150_000];
    for (found, bar) in report.detections.iter().zip(bars) {
        assert!(found.ours_ms.is_some_and(|ms| ms <= bar), "{found:?}");
    }
}

/// One outcome a second; 90 s of nothing but failures after an hour.
#[test]
fn the_workbooks_rules_are_diluted_by_a_healthy_hour() {
    let told: Vec<Told> = (0..3_690)
        .map(|second| Told {
            at_ms: second * 1_000,
            rig: 0,
            outcomes: Outcomes {
                n: 1,
                bad: u64::from(second >= 3_600),
            },
        })
        .collect();
    assert_eq!(first_page(&WORKBOOK, &told, 10_000, 0), None);
    let scaled = first_page(&SCALED, &told, 10_000, 0);
    assert_eq!(scaled, Some(3_602_000), "3 of 16 pass 14.4 times 1 %");
}
