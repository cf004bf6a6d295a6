//! The parts of the page, each from what was told; empty where there is nothing to say.

use std::fmt::Write as _;

use popwatch_core::base64::base64;
use serde_json::Value;

use super::Told;
use super::page::{minute, rows, text};
use crate::cmd::reconcile::show;
use crate::print::escape;

/// Rows of a list that are shown; the rest is counted.
const ROWS_MAX: usize = 40;
/// Rows of a leaderboard.
const BOARD_MAX: usize = 10;

/// A table of ready cells; columns from `right` on are numbers.
fn table(head: &[&str], right: usize, body: &[String]) -> String {
    let cells = head.iter().enumerate().map(|(at, name)| match at >= right {
        true => format!("<th class=r>{name}"),
        false => format!("<th>{name}"),
    });
    let cells: String = cells.collect();
    format!("<table><tr>{cells}</tr>{}</table>", body.concat())
}

/// What was left out of a list.
fn more(all: usize, shown: usize) -> String {
    match all.checked_sub(shown) {
        None | Some(0) => String::new(),
        Some(rest) => format!("<p class=note>and {rest} more</p>"),
    }
}

/// A table for a spreadsheet, inside the page.
pub(super) fn csv(popup: &str, name: &str, text: &str) -> String {
    format!(
        "<p class=\"note save\"><a download=\"{}-{name}.csv\" href=\"data:text/csv;base64,{}\">These rows as CSV</a></p>",
        escape(popup),
        base64(text.as_bytes())
    )
}

/// From what tills hold to what the bank got, each line against the one above.
pub(super) fn bridge(told: &Told) -> String {
    let mut out = String::new();
    let totals = told.found["totals"].as_object();
    for (currency, sums) in totals.into_iter().flatten() {
        out.push_str(&bridge_of(told, currency, sums));
    }
    let cells = &told.found["cells"];
    if let Some(compared) = cells["compared"].as_u64().filter(|n| *n > 0) {
        let drifted = cells["drifted"].as_u64().unwrap_or(0);
        let says = match drifted {
            0 => format!(
                "The tills' own sums and the ledger's, made anew from each record, were laid side by side \
                 in {compared} rig-minutes: all equal."
            ),
            drifted => {
                format!("Of {compared} rig-minutes, {drifted} differ between tills and ledger.")
            }
        };
        write!(out, "<p class=note>{says}</p>").expect("writing to a string cannot fail");
    }
    out
}

fn bridge_of(told: &Told, currency: &str, sums: &Value) -> String {
    let stage = rows(&told.summary["asof"]["stage"]);
    let stage = stage.iter().find(|row| row["currency"] == currency);
    let at_stage = |name: &str| stage.and_then(|row| row[name].as_i64());
    let mut lines = Lines::new(currency);
    lines.add(
        "Safe on the tills",
        "sold less refunded, as the tills hold it",
        at_stage("durable"),
    );
    lines.add(
        "Replicated",
        "of it, held by the ledger too",
        at_stage("replicated"),
    );
    lines.add("Booked", "posted in balanced entries", sums["net"].as_i64());
    let mut out = lines.table();
    out.push_str(&at_provider(told, currency));
    out.push_str(&to_bank(told, currency));
    let suspense = told.found["suspense"][currency].as_i64().unwrap_or(0);
    let (class, says) = match (suspense, open_money(told)) {
        (0, 0) => (
            "ok",
            String::from("Nothing is left over: no break about money is open, and suspense is 0."),
        ),
        (minor, open) => (
            "bad",
            format!(
                "Open breaks about money: {open}. In suspense: {}.",
                show(currency, minor)
            ),
        ),
    };
    write!(out, "<p class=\"left {class}\"><b>{says}</b></p>")
        .expect("writing to a string cannot fail");
    out
}

/// What tills claim of providers, and how far they agree; empty without such payments.
fn at_provider(told: &Told, currency: &str) -> String {
    let claims = &told.found["claims"][currency];
    let Some(claimed) = claims["claimed"].as_i64().filter(|minor| *minor != 0) else {
        return String::new();
    };
    let mut lines = Lines::new(currency);
    lines.add(
        "Claimed of providers",
        "card payments as the tills tell them",
        Some(claimed),
    );
    lines.add(
        "Confirmed",
        "the provider says so too",
        claims["confirmed"].as_i64(),
    );
    lines.add(
        "Settled",
        "listed in a settlement file",
        claims["settled"].as_i64(),
    );
    format!("<h3>With the payment provider</h3>{}", lines.table())
}

/// What was paid out and what the bank got of it; empty without a payout.
fn to_bank(told: &Told, currency: &str) -> String {
    let payouts = rows(&told.found["payouts"]).iter();
    let payouts: Vec<&Value> = payouts.filter(|one| one["currency"] == currency).collect();
    if payouts.is_empty() {
        return String::new();
    }
    let sum = |name: &str| {
        payouts
            .iter()
            .filter_map(|one| one[name].as_i64())
            .sum::<i64>()
    };
    let got = payouts
        .iter()
        .all(|one| one["bank"].is_i64())
        .then(|| sum("bank"));
    let mut lines = Lines::new(currency);
    lines.add(
        "Paid out",
        "the sum of the files' rows, fees and refunds taken off",
        Some(sum("lines")),
    );
    lines.add(
        "Announced",
        "what the provider said it pays",
        Some(sum("amount")),
    );
    lines.add("On the bank account", "by the bank's own statement", got);
    format!("<h3>To the bank</h3>{}", lines.table())
}

/// Breaks about money that are open.
fn open_money(told: &Told) -> usize {
    let open = |one: &&Value| one["severity"] == "money" && one["state"] == "open";
    told.breaks.iter().filter(open).count()
}

/// Lines of a bridge, each with its difference to the one above.
struct Lines<'a> {
    currency: &'a str,
    body: Vec<String>,
    before: Option<i64>,
}

impl<'a> Lines<'a> {
    const fn new(currency: &'a str) -> Self {
        Self {
            currency,
            body: Vec::new(),
            before: None,
        }
    }

    fn add(&mut self, name: &str, what: &str, minor: Option<i64>) {
        let amount = minor.map_or_else(
            || String::from("not known yet"),
            |minor| show(self.currency, minor),
        );
        let apart = match (self.before, minor) {
            (Some(before), Some(minor)) => Some(minor.saturating_sub(before)),
            (None, _) | (_, None) => None,
        };
        let (class, apart) = match apart {
            None => ("", String::new()),
            Some(0) => ("", String::from("0")),
            Some(apart) => (" class=off", show(self.currency, apart)),
        };
        self.body.push(format!(
            "<tr{class}><td>{name}<small>{what}</small><td class=r>{}<td class=r>{}</tr>",
            escape(&amount),
            escape(&apart)
        ));
        self.before = minor.or(self.before);
    }

    fn table(self) -> String {
        let rows = table(&["Stage", "Amount", "Difference"], 1, &self.body);
        format!("<div class=bridge>{rows}</div>")
    }
}

/// What was promised and what became of it.
pub(super) fn promises(told: &Told) -> String {
    let mut body = Vec::new();
    for slo in rows(&told.slo["slos"]) {
        let name = match slo["slo"].as_str().unwrap_or_default() {
            "checkout_success" => "Checkouts end well",
            "checkout_deadline" => "Checkouts end in time",
            "payment_success" => "Payments go through",
            "probe_success" => "The way to the provider is open",
            "token_conflict" => "Tokens are used once",
            "refund_rate" => "Few orders are refunded",
            other => other,
        };
        let (n, bad) = (
            slo["n"].as_u64().unwrap_or(0),
            slo["bad"].as_u64().unwrap_or(0),
        );
        let used = slo["budget"]["consumed_ppm"].as_u64();
        let (class, verdict) = match (n, used) {
            (0, _) => ("mute", "no data"),
            (_, Some(0..=1_000_000)) => ("ok", "kept"),
            (_, Some(_)) => ("bad", "not kept"),
            (_, None) => ("mute", "no budget"),
        };
        let page = match slo["page"]["since_ms"].as_i64() {
            Some(at) => format!("paged {}", &minute(at)[11..]),
            None => String::from("no page"),
        };
        let objective = slo["objective_ppm"].as_u64().unwrap_or(0);
        let budget = used.map_or_else(|| String::from("–"), |ppm| format!("{} %", ppm / 10_000));
        body.push(format!(
            "<tr><td>{}<small>{}</small><td class={class}><b>{verdict}</b><td class=r>{}.{:02} %\
             <td class=r>{bad} of {n}<td class=r>{budget}</tr>",
            escape(name),
            page,
            objective / 10_000,
            objective % 10_000 / 100,
        ));
    }
    match body.is_empty() {
        true => String::new(),
        false => table(
            &["Promise", "Verdict", "Promised", "Bad", "Budget used"],
            2,
            &body,
        ),
    }
}

/// Who and what sold most, per currency.
pub(super) fn board(told: &Told, kind: &str) -> String {
    let all = rows(&told.summary["rows"][format!("board/{kind}")]["rows"]);
    let ranked = all.iter().filter(|row| row["rank"].is_u64());
    let ranked: Vec<&Value> = ranked.collect();
    let most = ranked
        .iter()
        .filter_map(|row| row["net"].as_i64())
        .max()
        .unwrap_or(0)
        .max(1);
    let body: Vec<String> = ranked
        .iter()
        .take(BOARD_MAX)
        .map(|row| {
            let currency = row["currency"].as_str().unwrap_or_default();
            let money = |name: &str| escape(&show(currency, row[name].as_i64().unwrap_or(0)));
            let net = row["net"].as_i64().unwrap_or(0).max(0);
            let share = i128::from(net) * 100 / i128::from(most);
            let orders = match row["orders"].is_null() {
                true => String::new(),
                false => text(&row["orders"]),
            };
            format!(
                "<tr><td>{}<td class=w><span class=bar style=\"width:{share}%\"></span>\
                 <td class=r>{}<td class=r>{}<td class=r>{}<td class=r>{orders}</tr>",
                text(&row["id"]),
                money("net"),
                money("refund"),
                text(&row["units"]),
            )
        })
        .collect();
    if body.is_empty() {
        return String::new();
    }
    let title = if kind == "creators" {
        "Creator"
    } else {
        "Product"
    };
    let orders = if kind == "creators" { "Orders" } else { "" };
    let mut out = table(&[title, "", "Net", "Refunded", "Units", orders], 2, &body);
    if kind == "creators" {
        out.push_str(
            "<p class=note>Attributed by line, token, payment or open drop, as the rules said when doors \
             opened; “house” is what nobody can claim. What each creator is owed stands in \
             <code>popwatch statement</code>.</p>",
        );
    }
    out.push_str(&more(ranked.len(), body.len()));
    out
}

/// Flash drops and what they brought beyond the usual.
pub(super) fn drops(told: &Told) -> String {
    let all = rows(&told.signals["drops"]);
    let body: Vec<String> = all
        .iter()
        .take(ROWS_MAX)
        .map(|row| {
            let lift = &row["lift"];
            let range = match (lift["interval"][0].as_f64(), lift["interval"][1].as_f64()) {
                (Some(low), Some(high)) => format!("{low:.1} to {high:.1}"),
                _ => String::new(),
            };
            let ratio = lift["ratio"].as_f64();
            let ratio = ratio.map_or_else(|| String::from("no comparison"), |ratio| format!("× {ratio:.1}"));
            let opened = row["opened_ms"].as_i64().map(minute);
            format!(
                "<tr><td>{}<small>{}</small><td>{}<td>{}<td class=r>{ratio}<small>{range}</small><td class=r>{}</tr>",
                text(&row["drop"]),
                text(&row["sku"]),
                text(&row["creator"]),
                opened.as_deref().and_then(|at| at.get(11..)).unwrap_or("–"),
                text(&lift["incremental"]),
            )
        })
        .collect();
    if body.is_empty() {
        return String::new();
    }
    let mut out = table(
        &["Drop", "Creator", "Opened", "Lift, 5–95 %", "Extra items"],
        3,
        &body,
    );
    out.push_str(&more(all.len(), body.len()));
    out
}

/// The funnel, with chat and without; what cannot be linked is said.
pub(super) fn funnel(told: &Told) -> String {
    let funnel = &told.signals["funnel"];
    let mut out = String::new();
    for (title, name) in [
        ("From the chat", "with_chat"),
        ("Without chat", "without_chat"),
    ] {
        let steps = rows(&funnel[name]);
        if steps.iter().all(|step| step["n"] == 0) {
            continue;
        }
        write!(out, "<h3>{title}</h3><ul class=steps>").expect("writing to a string cannot fail");
        for step in steps {
            let off = step["plus_minus"].as_u64().filter(|off| *off > 0);
            let off = off.map_or_else(String::new, |off| format!(" ± {off}"));
            write!(
                out,
                "<li><b>{}{off}</b><span>{}</span></li>",
                text(&step["n"]),
                text(&step["step"])
            )
            .expect("writing to a string cannot fail");
        }
        out.push_str("</ul>");
    }
    if !out.is_empty() {
        write!(
            out,
            "<p class=note>Not linked to a viewer: {} checkouts, {} payments.</p>",
            text(&funnel["not_linked_started"]),
            text(&funnel["not_linked_paid"])
        )
        .expect("writing to a string cannot fail");
    }
    out
}

/// Products whose count is not what was expected, the largest differences first.
pub(super) fn stock(told: &Told) -> String {
    let off = |row: &&Value| row["skew"].as_i64().is_some_and(|skew| skew != 0);
    let mut all: Vec<&Value> = rows(&told.inventory["rows"]).iter().filter(off).collect();
    all.sort_by_key(|row| std::cmp::Reverse(row["skew"].as_i64().map_or(0, i64::unsigned_abs)));
    let body: Vec<String> = all
        .iter()
        .take(ROWS_MAX)
        .map(|row| {
            format!(
                "<tr><td>{}<td class=r>{}<td class=r>{}<td class=r>{}<td class=r>{}</tr>",
                text(&row["sku"]),
                text(&row["sold"]),
                text(&row["expected"]),
                text(&row["counted"]),
                text(&row["skew"]),
            )
        })
        .collect();
    if body.is_empty() {
        return String::new();
    }
    let head = ["Product", "Sold", "Expected", "Counted", "Difference"];
    table(&head, 1, &body) + &more(all.len(), body.len())
}

/// The rigs: what each took, and what of its record is missing.
pub(super) fn rigs(told: &Told) -> String {
    let views = rows(&told.rigs["rigs"]);
    let body: Vec<String> = rows(&told.found["rigs"])
        .iter()
        .filter(|row| row["rig"] != "central")
        .map(|row| {
            let view = views.iter().find(|view| view["rig"] == row["rig"]);
            let view = view.unwrap_or(&Value::Null);
            let takings = rows(&view["currencies"]).iter().map(|of| {
                let currency = of["currency"].as_str().unwrap_or_default();
                escape(&show(currency, of["net"].as_i64().unwrap_or(0)))
            });
            let ranges = |name: &str| {
                let ranges = rows(&row[name]).iter().map(|range| {
                    format!("{} to {}", text(&range["first"]), text(&range["last"]))
                });
                let ranges: Vec<String> = ranges.collect();
                if ranges.is_empty() { String::from("none") } else { ranges.join(", ") }
            };
            let clock = view["clock_u_ms"].as_u64();
            let clock = clock.map_or_else(|| String::from("–"), |ms| format!("± {ms} ms"));
            format!(
                "<tr><td>{}<small>epoch {}</small><td>{}<td>{}<td class=r>{}<td class=r>{}<td class=r>{clock}</tr>",
                text(&row["rig"]),
                text(&row["epoch"]),
                ranges("missing"),
                ranges("lost"),
                takings.collect::<Vec<_>>().join("<br>"),
                text(&row["last"]),
            )
        })
        .collect();
    match body.is_empty() {
        true => String::new(),
        false => table(
            &["Rig", "Not here yet", "Lost", "Net", "Records", "Clock"],
            3,
            &body,
        ),
    }
}

/// Every named difference: those about money first, then the open ones.
pub(super) fn breaks(told: &Told) -> String {
    if told.breaks.is_empty() {
        return String::from("<p class=say>None: nothing differs that popwatch can see.</p>");
    }
    let weight = |one: &Value| match one["severity"].as_str() {
        Some("money") => 0,
        Some("warn") => 1,
        Some(_) | None => 2,
    };
    let mut all: Vec<&Value> = told.breaks.iter().collect();
    all.sort_by_key(|one| (one["state"] != "open", weight(one)));
    let body: Vec<String> = all
        .iter()
        .take(ROWS_MAX)
        .map(|one| {
            let class = match one["severity"].as_str() {
                Some("money") => "bad",
                Some("warn") => "warn",
                Some(_) | None => "mute",
            };
            format!(
                "<tr><td class={class}><b>{}</b><small>{}</small><td>{}<small>{}</small><td>{}</tr>",
                text(&one["class"]),
                text(&one["state"]),
                text(&one["sentence"]),
                text(&one["action"]),
                text(&one["owner"]),
            )
        })
        .collect();
    let mut rows = String::from("id,class,severity,state,currency,amount_minor,sentence\r\n");
    for one in &all {
        let quoted = |name: &str| {
            let said = match (one[name].as_str(), one[name].as_i64()) {
                (Some(text), _) => text.to_owned(),
                (None, Some(number)) => number.to_string(),
                (None, None) => String::new(),
            };
            // A cell that a spreadsheet would run begins with an apostrophe.
            let guard = if said.starts_with(['=', '+', '@']) {
                "'"
            } else {
                ""
            };
            format!("\"{guard}{}\"", said.replace('"', "\"\""))
        };
        let names = [
            "id", "class", "severity", "state", "currency", "amount", "sentence",
        ];
        rows.push_str(&names.map(quoted).join(","));
        rows.push_str("\r\n");
    }
    let out = table(&["Break", "What", "Whose"], 3, &body) + &more(all.len(), body.len());
    out + &csv(&told.popup, "breaks", &rows)
}

/// What a stranger can check.
pub(super) fn proof(told: &Told) -> String {
    let close = &told.close["close"];
    let mut body = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            body.push(format!("<tr><td>{name}<td><code>{value}</code></tr>"));
        }
    };
    let told_text = |value: &Value| value.as_str().map(escape).unwrap_or_default();
    if !close.is_null() {
        let number = format!("{}, scope {}", text(&close["n"]), text(&close["scope"]));
        line("Certificate", number);
        line("Its hash", told_text(&told.close["hash"]));
        line("Signed by", told_text(&told.close["key"]));
        let facts = &close["facts"];
        line(
            "Records in it",
            format!("{}, root {}", text(&facts["count"]), text(&facts["root"])),
        );
        for file in rows(&close["inputs"]) {
            let of = format!(
                "{} rows, BLAKE3 {}",
                text(&file["rows"]),
                text(&file["blake3"])
            );
            line(&format!("File {}", text(&file["file"])), of);
        }
    }
    line("Root of the books", told_text(&told.found["books_root"]));
    line("This reconciliation", told_text(&told.found["hash"]));
    let says = match close.is_null() {
        true => {
            "<p class=say>The books were not closed, so nothing is signed yet: <code>popwatch close</code> signs them.</p>"
        }
        false => {
            "<p class=say>Whoever has the certificate and this key can check every figure without \
                  popwatch's help: <code>popwatch close POPUP --verify FILE --key KEY</code>.</p>"
        }
    };
    format!("{says}{}", table(&["", ""], 2, &body))
}
