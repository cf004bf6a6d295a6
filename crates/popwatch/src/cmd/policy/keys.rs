//! The keys of a popup in words: what still opens, what is no more, and who has not said so.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::print::{self, plain};

/// Prints a line per key, and one per holder that has not confirmed an end.
pub(super) fn show(told: &Value) -> anyhow::Result<()> {
    for key in told["keys"].as_array().into_iter().flatten() {
        for line in lines(key) {
            print::line(line)?;
        }
    }
    Ok(())
}

/// Tells a popwatch of this data directory that its clock is right.
pub(super) fn confirm_clock(data: &Path) -> anyhow::Result<()> {
    let path = data.join("keys/clock-confirmed");
    std::fs::write(&path, b"").with_context(|| {
        format!(
            "{} cannot be written; name the data directory of a popwatch that holds keys",
            path.display()
        )
    })?;
    Ok(print::line(
        "the clock is taken as right: a popwatch that runs there opens and ends keys again within two seconds, \
         and writes it down",
    )?)
}

fn lines(key: &Value) -> Vec<String> {
    let text = |value: &Value| plain(value.as_str().unwrap_or("?"));
    let class = text(&key["class"]);
    let holders: Vec<&Value> = key["holders"].as_array().into_iter().flatten().collect();
    match key["state"].as_str() {
        Some("destroyed") => {
            let done = holders
                .iter()
                .filter(|holder| holder["destroyed_ms"].is_i64());
            let (done, all) = (done.count() + 1, holders.len() + 1);
            let at = time(&key["destroyed_ms"]);
            let head =
                format!("{class:<10} destroyed {at}: {done} of {all} holders destroyed theirs");
            let unseen = holders
                .iter()
                .filter(|holder| holder["destroyed_ms"].is_null());
            let unseen = unseen.map(|holder| {
                let (rig, ends) = (text(&holder["rig"]), time(&holder["lease_ends_ms"]));
                format!(
                    "{:<10} {rig} unseen since, lease ends {ends} (unconfirmed)",
                    ""
                )
            });
            std::iter::once(head).chain(unseen).collect()
        }
        Some("locked") => vec![format!(
            "{class:<10} locked: the clock is not confirmed, so nothing opens and nothing ends (--confirm-clock)"
        )],
        _ => {
            let lent: Vec<String> = holders
                .iter()
                .map(|holder| {
                    format!(
                        "{} until {}",
                        text(&holder["rig"]),
                        time(&holder["lease_ends_ms"])
                    )
                })
                .collect();
            let lent = match lent.is_empty() {
                true => String::new(),
                false => format!("; lent to {}", lent.join(", ")),
            };
            vec![format!(
                "{class:<10} opens until {}{lent}",
                time(&key["ends_ms"])
            )]
        }
    }
}

fn time(ms: &Value) -> String {
    let at = ms
        .as_i64()
        .and_then(|ms| Timestamp::from_second(ms / 1_000).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_receipt_never_counts_as_done() {
        let holder = |rig: &str, destroyed: Value| json!({"rig": rig, "lease_ends_ms": 1_000_000_000_000_i64, "destroyed_ms": destroyed});
        let gone = json!({
            "class": "contact", "state": "destroyed", "destroyed_ms": 1_000_000_360_000_i64,
            "holders": [holder("till-1", json!(5)), holder("till-3", Value::Null)],
        });
        assert_eq!(
            lines(&gone),
            [
                "contact    destroyed 2001-09-09T01:52:40Z: 2 of 3 holders destroyed theirs",
                "           till-3 unseen since, lease ends 2001-09-09T01:46:40Z (unconfirmed)",
            ]
        );
        let alive = json!({
            "class": "raw", "state": "alive", "ends_ms": 1_000_000_360_000_i64,
            "holders": [holder("till-1", Value::Null)],
        });
        let said = "raw        opens until 2001-09-09T01:52:40Z; lent to till-1 until 2001-09-09T01:46:40Z";
        assert_eq!(lines(&alive), [said]);
        let locked = json!({"class": "raw", "state": "locked", "holders": []});
        assert!(lines(&locked)[0].contains("--confirm-clock"));
    }
}
