//! What commands write: results to standard output, progress and failures to standard error.
//!
//! A reader that goes away (`popwatch … | head`) ends the command without a complaint.

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{self, Write};

/// In which form a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document, or one per line where results come one by one.
    Json,
}

/// Writes a line of the result.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref().as_bytes())?;
    out.write_all(b"\n")
}

/// Writes bytes as they are.
pub(crate) fn raw(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes)
}

/// Writes a JSON document on one line.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)?;
    Ok(())
}

/// Writes a JSON document for people to read as well.
pub(crate) fn json_pretty(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// Says something beside the result. A closed standard error is no reason to stop.
pub(crate) fn note(text: impl AsRef<str>) {
    let _closed = writeln!(io::stderr().lock(), "{}", text.as_ref()).is_err();
}

/// Says why the command failed, with every cause.
pub(crate) fn failure(error: &anyhow::Error) {
    let is_reader_gone = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    };
    if !error.chain().any(is_reader_gone) {
        note(format!("popwatch: {error:#}"));
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template =
        format!("{{bar:30}} {{pos}}/{{len}} {what}, {{elapsed}} (still {{eta}}) {{msg}}");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Rows with each column as wide as its widest cell; numbers stand right where asked.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let render = |row: &Vec<String>| {
        let mut text = String::new();
        for ((column, cell), width) in row.iter().enumerate().zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let (before, after) = if right.contains(&column) {
                (&*pad, "")
            } else {
                ("", &*pad)
            };
            text.push_str(if column == 0 { "" } else { "  " });
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(render).collect()
}

/// Text made safe to stand in HTML, in an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('·'),
            c => out.push(c),
        }
    }
    out
}

/// Text from outside, made safe to show on a terminal: control characters become `·`.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["BREAK", "amount", "what"]),
            row(["K-COUNT", "−390", "fewer"]),
        ];
        assert_eq!(
            table(&rows, &[1]),
            ["BREAK    amount  what", "K-COUNT    −390  fewer"]
        );
    }

    #[test]
    fn a_terminal_is_not_steered_by_data() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a·[2Jb·");
    }
}
