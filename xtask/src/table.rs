//! What a proof or a bench found: rows for people, the same rows as JSON for machines.
//!
//! The table is printed first, then one line of JSON: an array of objects, one per row.

use anyhow::Result;
use serde_json::{Value, json};

use crate::shell;

/// One measured thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out, as text with its unit.
    pub(crate) measured: String,
    /// The number alone, in the unit's base.
    pub(crate) number: f64,
    /// The unit of `number`.
    pub(crate) unit: &'static str,
    /// What it has to be, in words; empty when nothing is demanded.
    pub(crate) must: String,
    /// Whether it is.
    pub(crate) holds: bool,
}

impl Row {
    /// A count that has to be exactly one number.
    pub(crate) fn count(what: &str, found: usize, must: usize) -> Self {
        Self {
            what: what.to_owned(),
            measured: found.to_string(),
            number: found as f64,
            unit: "",
            must: must.to_string(),
            holds: found == must,
        }
    }

    /// A count that has to stay at or below a bar.
    pub(crate) fn at_most(what: &str, found: usize, bar: usize) -> Self {
        Self {
            must: format!("≤ {bar}"),
            holds: found <= bar,
            ..Self::count(what, found, bar)
        }
    }

    /// A number that is recorded and not judged.
    pub(crate) fn note(what: &str, found: usize) -> Self {
        Self {
            must: String::new(),
            holds: true,
            ..Self::count(what, found, found)
        }
    }
}

/// The entries that the command line names, or all when it names none.
pub(crate) fn choose<'a, T>(
    all: &'a [T],
    name: fn(&T) -> &'static str,
    args: &[String],
) -> Result<Vec<&'a T>> {
    let known: Vec<&str> = all.iter().map(name).collect();
    if let Some(other) = args.iter().find(|arg| !known.contains(&arg.as_str())) {
        let known = known.join(", ");
        return Err(shell::usage(&format!(
            "nothing is called {other}; there are: {known}"
        )));
    }
    let named = |entry: &&T| args.is_empty() || args.iter().any(|arg| arg == name(entry));
    Ok(all.iter().filter(named).collect())
}

/// Prints the rows and answers whether all of them hold.
pub(crate) fn print(rows: &[Row]) -> bool {
    for line in lines(rows) {
        shell::say(&line);
    }
    shell::say(&json(rows).to_string());
    rows.iter().all(|row| row.holds)
}

/// The rows for machines.
pub(crate) fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "what": row.what, "number": row.number, "unit": row.unit,
                "must": row.must, "holds": row.holds,
            })
        })
        .collect()
}

fn lines(rows: &[Row]) -> Vec<String> {
    let width = |cell: fn(&Row) -> &str, head: &str| {
        let cells = rows.iter().map(|row| cell(row).chars().count());
        cells.chain([head.len()]).max().unwrap_or(0)
    };
    let what = width(|row| &row.what, "what");
    let measured = width(|row| &row.measured, "measured");
    let must = width(|row| &row.must, "must be");
    let line = |a: &str, b: &str, c: &str, d: &str| {
        format!("{a:<what$}  {b:>measured$}  {c:<must$}  {d}")
            .trim_end()
            .to_owned()
    };
    let mut lines = vec![line("what", "measured", "must be", "")];
    lines.extend(rows.iter().map(|row| {
        let verdict = if row.holds { "holds" } else { "BROKEN" };
        line(&row.what, &row.measured, &row.must, verdict)
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_a_broken_row_stands_out() {
        let row = |what: &str, holds| Row {
            what: what.to_owned(),
            measured: String::from("3 µs"),
            number: 3.0,
            unit: "µs",
            must: String::from("≤ 4"),
            holds,
        };
        let rows = [row("append", true), row("fold of a day", false)];
        assert_eq!(
            lines(&rows),
            [
                "what           measured  must be",
                "append             3 µs  ≤ 4      holds",
                "fold of a day      3 µs  ≤ 4      BROKEN",
            ]
        );
        assert!(!print(&rows));
    }
}
