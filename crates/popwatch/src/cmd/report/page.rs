//! The page: what a customer asks first stands first.

use std::fmt::Write as _;

use popwatch_wire::json::rfc3339;
use serde_json::Value;

use super::{Told, chart, parts};
use crate::cmd::reconcile::show;
use crate::print::escape;

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub(super) fn html(told: &Told) -> String {
    let popup = escape(&told.popup);
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{popup}: report</title><style>{STYLE}</style><main>\n"
    );
    head(&mut out, told);
    takings(&mut out, told);
    section(&mut out, "From the tills to the bank", &parts::bridge(told));
    section(&mut out, "Minute by minute", &minutes(told));
    section(&mut out, "Promises", &parts::promises(told));
    section(&mut out, "Creators", &parts::board(told, "creators"));
    section(&mut out, "Products", &parts::board(told, "products"));
    section(&mut out, "Drops", &parts::drops(told));
    section(&mut out, "From looking to paying", &parts::funnel(told));
    section(&mut out, "Stock that does not add up", &parts::stock(told));
    section(&mut out, "Rigs", &parts::rigs(told));
    section(&mut out, "Breaks", &parts::breaks(told));
    section(&mut out, "Proof", &parts::proof(told));
    foot(&mut out, told);
    out.push_str("</main></html>\n");
    out
}

/// A part with its heading; nothing where there is nothing to say.
fn section(out: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        writeln!(out, "<section><h2>{title}</h2>{body}</section>")
            .expect("writing to a string cannot fail");
    }
}

/// `2026-11-23 16:45`.
pub(super) fn minute(ms: i64) -> String {
    let text = rfc3339(ms);
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// Text of a JSON value from outside.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::from("–"),
        Value::String(text) => escape(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            escape(&value.to_string())
        }
    }
}

/// The rows of an array, none if it is none.
pub(super) fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn head(out: &mut String, told: &Told) {
    let window = &told.summary["rows"]["popup"];
    let when = match (window["starts_ms"].as_i64(), window["ends_ms"].as_i64()) {
        (Some(starts), Some(ends)) => {
            let zone = match window["zone"].as_str() {
                Some(zone) if zone != "Etc/UTC" => format!(", held in {}", escape(zone)),
                Some(_) | None => String::new(),
            };
            format!("{} to {} UTC{zone}", minute(starts), &minute(ends)[11..])
        }
        _ => String::from("window not known"),
    };
    let close = &told.close["close"];
    let (class, badge) = match (close["scope"].as_str(), told.found["closed"].as_bool()) {
        (Some(_), Some(false)) => (
            "warn",
            String::from("Closed, and open again: something came later"),
        ),
        (Some("settled"), Some(true) | None) => {
            ("ok", String::from("Closed up to the bank account, signed"))
        }
        (Some(scope), Some(true) | None) => {
            ("ok", format!("Closed at the {}, signed", escape(scope)))
        }
        (None, Some(true)) => ("mute", String::from("Complete, not closed yet")),
        (None, Some(false)) => ("warn", String::from("Not closed: something is missing")),
        (None, None) => ("mute", String::from("Not closed, not compared")),
    };
    writeln!(
        out,
        "<header><div><p class=brand>popwatch report</p><h1>{}</h1><p class=when>{when}</p></div>\
         <p class=\"badge {class}\">{badge}</p></header>",
        escape(&told.popup)
    )
    .expect("writing to a string cannot fail");
}

/// The largest numerals: per currency, never added across.
fn takings(out: &mut String, told: &Told) {
    let Some(totals) = told.found["totals"].as_object() else {
        return;
    };
    if totals.is_empty() {
        out.push_str("<p class=note>Nothing was sold.</p>\n");
    }
    for (currency, sums) in totals {
        let money = |name: &str| show(currency, sums[name].as_i64().unwrap_or(0));
        let net = money("net");
        let (code, amount) = net.split_once(' ').unwrap_or(("", &net));
        writeln!(
            out,
            "<div class=hero><p class=net><small>{} net</small>{}</p><dl>\
             <div><dt>Sold</dt><dd>{}</dd></div><div><dt>Refunded</dt><dd>{}</dd></div>\
             <div><dt>Sales</dt><dd>{}</dd></div><div><dt>Refunds</dt><dd>{}</dd></div>{}</dl></div>",
            escape(code),
            escape(amount),
            escape(&money("captured")),
            escape(&money("refunded")),
            text(&sums["sales"]),
            text(&sums["refunds"]),
            checkout(told),
        )
        .expect("writing to a string cannot fail");
    }
}

fn checkout(told: &Told) -> String {
    let checkout = &told.summary["rows"]["now"]["checkout"];
    let seconds = |ms: &Value| {
        ms.as_u64().map(|ms| match ms {
            0..1_000 => format!("{ms} ms"),
            1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
            60_000.. => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        })
    };
    let (Some(half), Some(most)) = (seconds(&checkout["p50_ms"]), seconds(&checkout["p95_ms"]))
    else {
        return String::new();
    };
    format!(
        "<div><dt>Checkout, half within</dt><dd>{half}</dd></div>\
         <div><dt>95 of 100 within</dt><dd>{most}</dd></div>"
    )
}

fn minutes(told: &Told) -> String {
    let points = rows(&told.series["points"]);
    let mut by_currency = std::collections::BTreeMap::<&str, Vec<chart::Minute>>::new();
    for point in points {
        let Some(start_ms) = point["start_ms"].as_i64() else {
            continue;
        };
        for money in rows(&point["money"]) {
            let Some(currency) = money["currency"].as_str() else {
                continue;
            };
            by_currency
                .entry(currency)
                .or_default()
                .push(chart::Minute {
                    start_ms,
                    gross: money["gross"].as_i64().unwrap_or(0),
                    refund: money["refund"].as_i64().unwrap_or(0),
                });
        }
    }
    let mut out = String::new();
    let shown = by_currency
        .iter()
        .filter(|(code, _)| code.len() == 3)
        .take(4);
    shown.for_each(|(code, minutes)| out.push_str(&chart::takings(&escape(code), minutes)));
    if !by_currency.is_empty() {
        let mut csv = String::from("start,currency,gross_minor,refund_minor\r\n");
        for (code, minutes) in &by_currency {
            for one in minutes {
                let at = rfc3339(one.start_ms);
                write!(csv, "{at},{code},{},{}\r\n", one.gross, one.refund)
                    .expect("writing to a string cannot fail");
            }
        }
        out.push_str(&parts::csv(&told.popup, "minutes", &csv));
    }
    out
}

fn foot(out: &mut String, told: &Told) {
    let at = told.found["as_of_ms"].as_i64().map(minute);
    let views = match told.summary.is_null() {
        true => {
            "No region answered: minutes, promises, boards, stock and rigs' health are left out. "
        }
        false => "",
    };
    write!(
        out,
        "<footer>{views}Books as they stood at {} UTC. Made by popwatch {}; every number is the \
         books' or a view's own, and amounts of different currencies are never added.</footer>",
        at.as_deref().unwrap_or("an unknown moment"),
        env!("CARGO_PKG_VERSION")
    )
    .expect("writing to a string cannot fail");
}
