//! One picture of a popup in characters. Pure: the same rows, size and moment give the same lines.

use popwatch_core::money::Currency;
use serde_json::Value;

use super::board::Board;

/// Characters of a sparkline, from little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const HELP: [&str; 8] = [
    "",
    " q    quit",
    " Tab  next pane: all, rigs, stock, boards",
    " s    sort the pane another way",
    " c    next currency",
    " p    pause and go on",
    " ?    this help",
    " Times are those of this computer's clock in UTC; amounts are per currency.",
];

/// Which part is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// A little of everything.
    #[default]
    All,
    /// Every rig.
    Rigs,
    /// Every SKU of the summary.
    Stock,
    /// Creators and products.
    Boards,
}

impl Pane {
    /// The one after it.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::All => Self::Rigs,
            Self::Rigs => Self::Stock,
            Self::Stock => Self::Boards,
            Self::Boards => Self::All,
        }
    }
}

/// How the picture is drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    pub(super) columns: usize,
    pub(super) lines: usize,
    pub(super) pane: Pane,
    /// Which order, which currency: counted on by keys.
    pub(super) sort: usize,
    pub(super) currency: usize,
    pub(super) help: bool,
    pub(super) paused: bool,
    /// Since the server last spoke, ms; `None` before its first word.
    pub(super) age_ms: Option<u64>,
}

/// How a line is to be coloured, where colour is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Head,
    Dim,
    Warn,
}

/// A line and its tone.
pub(super) type Line = (Tone, String);

/// The lines of the picture, as many as there is room for, none wider than the screen.
pub(super) fn draw(board: &Board, popup: &str, look: &Look) -> Vec<Line> {
    let mut lines = head(board, popup, look);
    if look.help {
        lines.extend(HELP.map(|text| (Tone::Plain, text.to_owned())));
    } else {
        let room = look.lines.saturating_sub(lines.len() + 1);
        match look.pane {
            Pane::All => all(board, look, &mut lines, room),
            Pane::Rigs => rigs(board, look, &mut lines, room),
            Pane::Stock => stock(board, look, &mut lines, room),
            Pane::Boards => boards(board, &mut lines, room),
        }
    }
    lines.truncate(look.lines.saturating_sub(1));
    let keys = if look.paused {
        " PAUSED  p go on"
    } else {
        " q quit  Tab pane  s sort  c currency  p pause  ? help"
    };
    lines.push((Tone::Dim, keys.to_owned()));
    for (_, text) in &mut lines {
        *text = fit(text, look.columns);
    }
    lines
}

fn head(board: &Board, popup: &str, look: &Look) -> Vec<Line> {
    let zone = board.rows.get("popup");
    let ends = zone.and_then(|row| number(row, "ends_ms"));
    let starts = zone.and_then(|row| number(row, "starts_ms"));
    let server = number(&board.asof, "server_ms");
    let clock = match (starts, ends, server) {
        (Some(starts), Some(ends), Some(now)) if now < starts => {
            format!(
                "starts in {}, for {}",
                span(starts - now),
                span(ends - starts)
            )
        }
        (Some(starts), Some(ends), Some(now)) if now <= ends => {
            format!("{} of {}", span(now - starts), span(ends - starts))
        }
        (Some(starts), Some(ends), Some(_)) => format!("over after {}", span(ends - starts)),
        _unknown => String::from("no set hours"),
    };
    let (tone, age) = match look.age_ms {
        None => (Tone::Warn, String::from("no contact yet")),
        Some(ms) if board.behind => (
            Tone::Warn,
            format!("server is being filled, shown is {} old", age(ms)),
        ),
        Some(ms) if ms > 10_000 => (Tone::Warn, format!("LOST, numbers are {} old", age(ms))),
        Some(ms) => (Tone::Head, format!("live, {} ago", age(ms))),
    };
    let at = server.map_or_else(|| String::from("--:--:--"), hms);
    let mut lines = vec![(
        tone,
        spread(
            &format!(" {popup}  {clock}"),
            &format!("{at}  {age} "),
            look.columns,
        ),
    )];
    let (have, known) = (number(&board.asof, "have"), number(&board.asof, "known"));
    let coverage = match (have, known) {
        (Some(have), Some(known)) => format!("{have} of {known} records"),
        _unknown => String::from("no data"),
    };
    let watermark = number(&board.asof, "watermark_ms");
    let watermark = watermark.map_or_else(|| String::from("none"), hms);
    let unsent = board
        .asof
        .pointer("/unsent/records")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let silent: Vec<&str> = items(&board.asof, "silent")
        .filter_map(|rig| rig["rig"].as_str())
        .collect();
    let silent = if silent.is_empty() {
        String::new()
    } else {
        format!("  SILENT {}", silent.join(" "))
    };
    let tone = if silent.is_empty() {
        Tone::Plain
    } else {
        Tone::Warn
    };
    lines.push((
        tone,
        format!(" {coverage}, all up to {watermark}  {unsent} not at the ledger{silent}"),
    ));
    lines
}

fn all(board: &Board, look: &Look, lines: &mut Vec<Line>, room: usize) {
    let start = lines.len();
    money(board, look, lines);
    checkout(board, lines);
    promises(board, lines);
    let rest = room.saturating_sub(lines.len() - start);
    let alerts = board.under("alert/").count().min(3);
    let for_rigs = (rest.saturating_sub(alerts) / 2).max(3);
    rigs(board, look, lines, for_rigs);
    let rest = room.saturating_sub(lines.len() - start + alerts);
    stock(board, look, lines, rest);
    for alert in board.under("alert/").take(3) {
        let said = alert["summary"]
            .as_str()
            .or(alert["state"].as_str())
            .unwrap_or("");
        lines.push((Tone::Warn, format!(" ! {said}")));
    }
}

/// Net per currency with its last minutes; the chosen one first.
fn money(board: &Board, look: &Look, lines: &mut Vec<Line>) {
    let Some(now) = board.rows.get("now") else {
        return lines.push((Tone::Plain, String::from(" no sale yet")));
    };
    let mut currencies: Vec<&Value> = items(now, "currencies").collect();
    if !currencies.is_empty() {
        let turn = look.currency % currencies.len();
        currencies.rotate_left(turn);
    }
    if currencies.is_empty() {
        lines.push((Tone::Plain, String::from(" no sale yet")));
    }
    for row in currencies.iter().take(3) {
        let code = row["currency"].as_str().unwrap_or("");
        let net = amount(row["net"].as_i64().unwrap_or(0), code);
        let sales = row["conversions"].as_i64().unwrap_or(0);
        let back = amount(row["refund"].as_i64().unwrap_or(0), code);
        let spark = sparkline(board, code, 30);
        lines.push((
            Tone::Plain,
            format!(" net {code} {net:>14}  {sales} orders  refunds {back}  {spark}"),
        ));
    }
}

/// The last minutes of a currency, newest at the right.
fn sparkline(board: &Board, code: &str, width: usize) -> String {
    let minutes = board.under("min/").filter_map(|row| {
        let of = items(row, "money").find(|money| money["currency"] == code);
        Some((
            row["minute"].as_i64()?,
            of.map_or(0, |money| money["gross"].as_i64().unwrap_or(0)),
        ))
    });
    let minutes: Vec<(i64, i64)> = minutes.collect();
    let Some((last, _)) = minutes.last().copied() else {
        return String::new();
    };
    let first = last - i64::try_from(width).unwrap_or(0) + 1;
    let most = minutes
        .iter()
        .filter(|(at, _)| *at >= first)
        .map(|(_, gross)| *gross)
        .max()
        .unwrap_or(0);
    let bar = |at: i64| {
        let gross = minutes
            .iter()
            .find(|(minute, _)| *minute == at)
            .map_or(0, |(_, gross)| *gross);
        if gross <= 0 || most <= 0 {
            return ' ';
        }
        let step = usize::try_from((gross * 8 - 1) / most).unwrap_or(0);
        BARS[step.min(7)]
    };
    (first..=last).map(bar).collect()
}

fn checkout(board: &Board, lines: &mut Vec<Line>) {
    let Some(row) = board.rows.get("now").map(|now| &now["checkout"]) else {
        return;
    };
    let seconds =
        |field: &str| number(row, field).map(|ms| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100));
    let n = number(row, "n").unwrap_or(0);
    let open = number(row, "open").unwrap_or(0);
    let times = match (seconds("p50_ms"), seconds("p95_ms"), seconds("max_ms")) {
        (Some(p50), Some(p95), _) => format!("P50 {p50}  P95 {p95}  n {n}"),
        (_, _, Some(max)) => format!("longest {max}  n {n}"),
        _none => String::from("no checkout yet"),
    };
    let bound =
        seconds("in_flight_bound_ms").map_or_else(String::new, |at| format!("  at least {at}"));
    lines.push((
        Tone::Plain,
        format!(" checkout  {times}  {open} open{bound}"),
    ));
}

fn promises(board: &Board, lines: &mut Vec<Line>) {
    for (name, row) in board
        .rows
        .range(String::from("slo/")..)
        .take_while(|(key, _)| key.starts_with("slo/"))
        .take(3)
    {
        let name = name.trim_start_matches("slo/");
        let state = row["state"].as_str().unwrap_or("");
        let budget = &row["budget"];
        let gone = number(budget, "consumed_ppm");
        let left = gone.map_or_else(String::new, |ppm| {
            format!("  {} % of its budget left", 100 - ppm / 10_000)
        });
        let survival = number(budget, "survival_ppm");
        let survival = survival.map_or_else(String::new, |ppm| {
            format!(", {} % to stay inside", ppm / 10_000)
        });
        let tone = match state {
            "watch" | "page" => Tone::Warn,
            _calm => Tone::Plain,
        };
        lines.push((tone, format!(" {name}  {state}{left}{survival}")));
    }
}

fn rigs(board: &Board, look: &Look, lines: &mut Vec<Line>, room: usize) {
    let mut rows: Vec<&Value> = board.under("rig/").collect();
    let unsent = |row: &Value| row.pointer("/unsent/records").and_then(Value::as_i64);
    if look.sort % 2 == 1 {
        rows.sort_by_key(|row| std::cmp::Reverse(unsent(row).unwrap_or(i64::MAX)));
    }
    table(
        lines,
        room,
        &format!(
            " {:<20} {:<16} {:>9} {:>9} {:>5} {:>6}",
            "RIG", "STATE", "SEQ", "UNSENT", "BATT", "CLOCK"
        ),
        &rows,
        |row| {
            let state = row["state"].as_str().unwrap_or("");
            let text = format!(
                " {:<20} {:<16} {:>9} {:>9} {:>5} {:>6}",
                clip(row["rig"].as_str().unwrap_or(""), 20),
                clip(state, 16),
                shown(number(row, "durable_seq")),
                unsent(row).map_or_else(|| String::from("unknown"), |records| records.to_string()),
                number(row, "battery").map_or_else(String::new, |percent| format!("{percent} %")),
                number(row, "clock_u_ms").map_or_else(String::new, |ms| format!("±{ms}")),
            );
            (
                if state == "ok" {
                    Tone::Plain
                } else {
                    Tone::Warn
                },
                text,
            )
        },
    );
}

fn stock(board: &Board, look: &Look, lines: &mut Vec<Line>, room: usize) {
    let mut rows: Vec<&Value> = board.under("sku/").collect();
    match look.sort % 2 {
        0 => rows.sort_by_key(|row| number(row, "expected").unwrap_or(i64::MAX)),
        _by_sales => rows.sort_by_key(|row| std::cmp::Reverse(number(row, "sold"))),
    }
    table(
        lines,
        room,
        &format!(
            " {:<30} {:>9} {:>9} {:>9} {:>9}",
            "SKU", "EXPECTED", "SOLD", "COUNTED", "SKEW"
        ),
        &rows,
        |row| {
            let text = format!(
                " {:<30} {:>9} {:>9} {:>9} {:>9}",
                clip(row["sku"].as_str().unwrap_or("other"), 30),
                shown(number(row, "expected")),
                shown(number(row, "sold")),
                shown(number(row, "counted")),
                shown(number(row, "skew")),
            );
            (
                if row["oversold"] == true {
                    Tone::Warn
                } else {
                    Tone::Plain
                },
                text,
            )
        },
    );
}

fn boards(board: &Board, lines: &mut Vec<Line>, room: usize) {
    for kind in ["creators", "products"] {
        let held = board.rows.get(&format!("board/{kind}"));
        let rows: Vec<&Value> = held
            .map(|held| items(held, "rows").collect())
            .unwrap_or_default();
        let title = format!(
            " {:<4} {:<30} {:>16} {:>9}",
            "#",
            kind.to_uppercase(),
            "NET",
            "UNITS"
        );
        table(lines, (room / 2).max(3), &title, &rows, |row| {
            let code = row["currency"].as_str().unwrap_or("");
            let net = amount(row["net"].as_i64().unwrap_or(0), code);
            let id = clip(row["id"].as_str().unwrap_or(""), 30);
            let text = format!(
                " {:<4} {id:<30} {:>16} {:>9}",
                shown(number(row, "rank")),
                format!("{code} {net}"),
                shown(number(row, "units")),
            );
            (Tone::Plain, text)
        });
    }
}

/// A title and as many rows as there is room for; how many more there are.
fn table(
    lines: &mut Vec<Line>,
    room: usize,
    title: &str,
    rows: &[&Value],
    line: impl Fn(&Value) -> Line,
) {
    if rows.is_empty() || room < 2 {
        return;
    }
    lines.push((Tone::Dim, title.to_owned()));
    let fits = if rows.len() < room {
        rows.len()
    } else {
        room - 2
    };
    lines.extend(rows.iter().take(fits).map(|row| line(row)));
    if fits < rows.len() {
        lines.push((Tone::Dim, format!(" and {} more", rows.len() - fits)));
    }
}

fn items<'a>(row: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    row[field].as_array().into_iter().flatten()
}

fn number(row: &Value, field: &str) -> Option<i64> {
    row.get(field)?.as_i64()
}

fn shown(number: Option<i64>) -> String {
    number.map_or_else(|| String::from("-"), |number| number.to_string())
}

/// Minor units with the currency's decimals.
fn amount(minor: i64, code: &str) -> String {
    let digits = Currency::new(code).map_or(0, Currency::exponent);
    let (sign, size) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    if digits == 0 {
        return format!("{sign}{size}");
    }
    let unit = 10u64.pow(digits);
    let width = usize::try_from(digits).unwrap_or(0);
    format!("{sign}{}.{:0width$}", size / unit, size % unit)
}

/// A duration as hours and minutes.
fn span(ms: i64) -> String {
    let minutes = ms / 60_000;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}

/// A moment as the time of day in UTC.
fn hms(ms: i64) -> String {
    let seconds = ms.div_euclid(1_000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn age(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// Both ends of a line, as far apart as the screen is wide.
fn spread(left: &str, right: &str, columns: usize) -> String {
    let used = left.chars().count() + right.chars().count();
    format!(
        "{left}{}{right}",
        " ".repeat(columns.saturating_sub(used).max(1))
    )
}

/// Cut to a width; names from outside may hold anything.
fn clip(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '·' } else { c });
    plain.take(most).collect()
}

fn fit(text: &str, columns: usize) -> String {
    clip(text, columns).trim_end().to_owned()
}

#[cfg(test)]
mod tests;
