//! One row of the table: ours, the peer in the same run, the bar.

use serde_json::{Value, json};

/// A number with its unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Figure {
    /// The number; `None` when it was not measured.
    pub(super) number: Option<f64>,
    /// CPU per unit of work, µs.
    pub(super) cpu_us: Option<f64>,
    /// p50 and p99 of a request, ms.
    pub(super) latency_ms: Option<(f64, f64)>,
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    /// At least this.
    Least(f64),
    /// At most this.
    Most(f64),
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Case and variant.
    pub(super) what: String,
    /// Unit of both numbers.
    pub(super) unit: &'static str,
    /// Ours.
    pub(super) ours: Figure,
    /// Who else; empty when nobody.
    pub(super) peer: String,
    /// The peer's.
    pub(super) theirs: Figure,
    /// Bar on our number.
    pub(super) bar: Option<Bar>,
    /// Bar on ours ÷ theirs.
    pub(super) ratio_bar: Option<Bar>,
}

impl Figure {
    pub(super) fn number(number: f64) -> Self {
        Self {
            number: Some(number),
            ..Self::default()
        }
    }
}

impl Bar {
    fn holds(self, number: f64) -> bool {
        match self {
            Self::Least(bar) => number >= bar,
            Self::Most(bar) => number <= bar,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Least(bar) => format!("≥ {}", short(bar)),
            Self::Most(bar) => format!("≤ {}", short(bar)),
        }
    }
}

impl Line {
    /// A row without a peer.
    pub(super) fn alone(what: &str, unit: &'static str, ours: Figure, bar: Option<Bar>) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            ours,
            peer: String::new(),
            theirs: Figure::default(),
            bar,
            ratio_bar: None,
        }
    }

    /// Ours ÷ theirs.
    pub(super) fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.number.filter(|theirs| *theirs > 0.0)?;
        Some(self.ours.number? / theirs)
    }

    /// Whether each bar that could be judged holds; `None` without one.
    pub(super) fn holds(&self) -> Option<bool> {
        let own = self.bar.zip(self.ours.number);
        let own = own.map(|(bar, number)| bar.holds(number));
        let ratio = self.ratio_bar.zip(self.ratio());
        let ratio = ratio.map(|(bar, ratio)| bar.holds(ratio));
        match (own, ratio) {
            (None, None) => None,
            (own, ratio) => Some(own.unwrap_or(true) && ratio.unwrap_or(true)),
        }
    }

    fn bar_text(&self) -> String {
        let own = self.bar.map(Bar::text);
        let ratio = self.ratio_bar.map(|bar| format!("{} ×", bar.text()));
        let bars: Vec<String> = own.into_iter().chain(ratio).collect();
        match self.holds() {
            Some(true) => format!("{} holds", bars.join(", ")),
            Some(false) => format!("{} MISSED", bars.join(", ")),
            None => bars.join(", "),
        }
    }

    fn cells(&self) -> [String; 9] {
        let text = |value: Option<f64>| value.map(short).unwrap_or_default();
        let latency = |figure: &Figure| {
            let pair = figure.latency_ms;
            pair.map(|(p50, p99)| format!("{p50:.2} / {p99:.2}"))
                .unwrap_or_default()
        };
        [
            self.what.clone(),
            format!("{} {}", text(self.ours.number), self.unit),
            text(self.ours.cpu_us),
            latency(&self.ours),
            self.peer.clone(),
            text(self.theirs.number),
            text(self.theirs.cpu_us),
            text(self.ratio()),
            self.bar_text(),
        ]
    }

    /// The row for machines.
    pub(super) fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({
                "number": figure.number, "cpu_us": figure.cpu_us,
                "p50_ms": figure.latency_ms.map(|pair| pair.0),
                "p99_ms": figure.latency_ms.map(|pair| pair.1),
            })
        };
        json!({
            "what": self.what, "unit": self.unit, "ours": figure(&self.ours), "peer": self.peer,
            "theirs": figure(&self.theirs), "ratio": self.ratio(), "bar": self.bar_text(),
            "holds": self.holds(),
        })
    }
}

/// Three digits that count.
fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 1e6 => format!("{:.2}M", number / 1e6),
        size if size >= 1e5 => format!("{:.0}k", number / 1e3),
        size if size >= 1e4 => format!("{:.1}k", number / 1e3),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// The table, one line per row.
pub(super) fn table(lines: &[Line]) -> Vec<String> {
    let head = [
        "what",
        "ours",
        "CPU µs",
        "p50/p99 ms",
        "peer",
        "theirs",
        "CPU µs",
        "ratio",
        "bar",
    ];
    let mut rows = vec![head.map(String::from)];
    rows.extend(lines.iter().map(Line::cells));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String; 9]| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_on_the_ratio_is_judged_only_where_the_peer_was_there() {
        let mut line = Line {
            peer: String::from("redis"),
            ratio_bar: Some(Bar::Least(1.0)),
            ..Line::alone("ingest", "ev/s", Figure::number(12.0), None)
        };
        assert_eq!((line.holds(), line.ratio()), (None, None));
        line.theirs = Figure::number(10.0);
        assert_eq!(line.holds(), Some(true));
        line.theirs = Figure::number(24.0);
        assert_eq!((line.holds(), line.ratio()), (Some(false), Some(0.5)));
        assert!(line.bar_text().ends_with("MISSED"));
    }

    #[test]
    fn numbers_keep_three_digits() {
        let texts = [2_400_000.0, 12_600.0, 401.0, 12.34, 0.38].map(short);
        assert_eq!(texts, ["2.40M", "12.6k", "401", "12.3", "0.38"]);
    }
}
