//! Pictures of one small popup.

use serde_json::json;

use super::*;

fn board() -> Board {
    let minute = |at: i64, gross: i64| json!({"minute": at, "money": [{"currency": "EUR", "gross": gross, "refund": 0, "net": gross}]});
    let rows = json!({
        "popup": {"id": "stall", "starts_ms": 1_700_000_000_000_i64, "ends_ms": 1_700_010_800_000_i64},
        "now": {
            "currencies": [{"currency": "EUR", "gross": 12_345, "refund": 45, "net": 12_300, "conversions": 7}],
            "checkout": {"n": 61, "p50_ms": 21_300, "p95_ms": 41_000, "open": 6, "in_flight_bound_ms": 70_000, "max_ms": 50_000},
        },
        "min/28333334": minute(28_333_334, 100), "min/28333336": minute(28_333_336, 800),
        "rig/till-1": {"rig": "till-1", "state": "ok", "durable_seq": 18, "unsent": {"records": 0}, "battery": 80, "clock_u_ms": 12},
        "rig/till-2": {"rig": "till-2", "state": "silent", "durable_seq": null, "unsent": null},
        "slo/checkout_success": {"state": "watch", "budget": {"consumed_ppm": 390_000, "survival_ppm": 610_000}},
        "sku/mug": {"sku": "mug\u{1b}[31m", "expected": 3, "sold": 9, "counted": null, "skew": null, "oversold": false},
        "board/creators": {"rows": [{"rank": 1, "id": "ana", "currency": "EUR", "net": 900, "units": 4}]},
    });
    let Value::Object(rows) = rows else {
        unreachable!()
    };
    Board {
        rows: rows.into_iter().collect(),
        asof: json!({"server_ms": 1_700_003_600_000_i64, "watermark_ms": 1_700_003_599_000_i64, "have": 18, "known": 20,
            "unsent": {"records": 2}, "silent": [{"rig": "till-2"}]}),
        place: None,
        behind: false,
    }
}

fn look() -> Look {
    Look {
        columns: 80,
        lines: 24,
        age_ms: Some(1_200),
        ..Look::default()
    }
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|(_, text)| format!("{text}\n")).collect()
}

#[test]
fn a_popup_fits_eighty_by_twenty_four() {
    let lines = draw(&board(), "stall", &look());
    assert!(lines.len() <= 24 && lines.iter().all(|(_, line)| line.chars().count() <= 80));
    let text = text(&lines);
    assert!(
        text.starts_with(
            " stall  1:00 h of 3:00 h                                23:13:20  live, 1 s ago\n \
         18 of 20 records, all up to 23:13:19  2 not at the ledger  SILENT till-2\n \
         net EUR         123.00  7 orders  refunds 0.45"
        ),
        "{text}"
    );
    for part in [
        "▁ █\n",
        " checkout  P50 21.3 s  P95 41.0 s  n 61  6 open  at least 70.0 s\n",
        " checkout_success  watch  61 % of its budget left, 61 % to stay inside\n",
        " till-1               ok                      18         0  80 %    ±12\n",
        " till-2               silent                   -   unknown\n",
        " mug·[31m                               3         9         -         -\n",
        " q quit  Tab pane",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_small_screen_shows_less_and_never_wraps() {
    for (columns, lines) in [(20, 5), (80, 3), (1, 1), (40, 10)] {
        let look = Look {
            columns,
            lines,
            ..look()
        };
        for pane in [Pane::All, Pane::Rigs, Pane::Stock, Pane::Boards] {
            let drawn = draw(
                &board(),
                "stall",
                &Look {
                    pane,
                    ..look.clone()
                },
            );
            assert!(drawn.len() <= lines.max(1), "{columns}×{lines}");
            assert!(
                drawn
                    .iter()
                    .all(|(_, line)| line.chars().count() <= columns)
            );
        }
    }
}

#[test]
fn what_is_not_known_is_said() {
    let drawn = draw(
        &Board::default(),
        "stall",
        &Look {
            age_ms: None,
            ..look()
        },
    );
    let text = text(&drawn);
    assert!(
        text.contains("no contact yet") && text.contains("no data"),
        "{text}"
    );
    assert!(text.contains("no sale yet"));
    let mut held = board();
    held.behind = true;
    assert_eq!(draw(&held, "stall", &look())[0].0, Tone::Warn);
    let lost = draw(
        &board(),
        "stall",
        &Look {
            age_ms: Some(90_000),
            ..look()
        },
    );
    assert!(
        lost[0].1.ends_with("LOST, numbers are 90 s old"),
        "{}",
        lost[0].1
    );
}

#[test]
fn panes_and_orders_turn() {
    let panes = std::iter::successors(Some(Pane::All), |pane| Some(pane.next()));
    assert_eq!(panes.take(5).last(), Some(Pane::All));
    let rigs = draw(
        &board(),
        "stall",
        &Look {
            pane: Pane::Rigs,
            sort: 1,
            ..look()
        },
    );
    let first = rigs.iter().position(|(_, line)| line.contains("till-2"));
    assert!(first < rigs.iter().position(|(_, line)| line.contains("till-1")));
    let boards = text(&draw(
        &board(),
        "stall",
        &Look {
            pane: Pane::Boards,
            ..look()
        },
    ));
    assert!(
        boards.contains(" 1    ana                                    EUR 9.00         4\n"),
        "{boards}"
    );
    let help = text(&draw(
        &board(),
        "stall",
        &Look {
            help: true,
            ..look()
        },
    ));
    assert!(help.contains("next pane"));
}

#[test]
fn amounts_keep_their_currencys_digits() {
    assert_eq!(amount(-5, "EUR"), "-0.05");
    assert_eq!(amount(1_234, "JPY"), "1234");
    assert_eq!(amount(1_234, "KWD"), "1.234");
}
