//! `popwatch statement`: what a creator earned in a popup, and why.

use anyhow::{Context, bail};
use popwatch_core::id::{CreatorId, PopupId};
use serde_json::{Value, json};

use super::reconcile::show;
use crate::args::StatementArgs;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;

pub(super) async fn run(args: &StatementArgs, format: Format) -> anyhow::Result<Exit> {
    let popup = PopupId::new(&args.popup)
        .map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
    let creator = CreatorId::new(&args.creator)
        .map_err(|fault| Misuse::argument(format!("the creator's name {fault}")))?;
    let url = format!("{}/v1/popups/{popup}/statements/{creator}", args.ledger);
    let mut whole = page(&url, "", args).await?;
    let mut rows = csv(&url, "", args).await?;
    while let Some(cursor) = whole["cursor"].as_str().map(str::to_owned) {
        let next = page(&url, &cursor, args).await?;
        if args.csv {
            let more = csv(&url, &cursor, args).await?;
            rows.push_str(more.split_once("\r\n").map_or("", |(_, lines)| lines));
        }
        let lines = [&whole, &next].map(|one| one["lines"].as_array().cloned().unwrap_or_default());
        (whole["lines"], whole["cursor"]) = (json!(lines.concat()), next["cursor"].clone());
    }
    if args.csv {
        print::line(rows.trim_end())?;
        return Ok(Exit::Done);
    }
    match format {
        Format::Json => print::json_pretty(&whole)?,
        Format::Text => lines(&whole).iter().try_for_each(print::line)?,
    }
    Ok(Exit::Done)
}

async fn page(url: &str, cursor: &str, args: &StatementArgs) -> anyhow::Result<Value> {
    let body = asked(url, cursor, args, "application/json").await?;
    serde_json::from_slice(&body)
        .with_context(|| format!("{url} does not answer like a popwatch ledger"))
}

async fn csv(url: &str, cursor: &str, args: &StatementArgs) -> anyhow::Result<String> {
    if !args.csv {
        return Ok(String::new());
    }
    let body = asked(url, cursor, args, "text/csv").await?;
    String::from_utf8(body).with_context(|| format!("{url} does not answer in UTF-8"))
}

async fn asked(
    url: &str,
    cursor: &str,
    args: &StatementArgs,
    media: &str,
) -> anyhow::Result<Vec<u8>> {
    let url = match cursor {
        "" => url.to_owned(),
        cursor => format!("{url}?cursor={cursor}"),
    };
    let answer = caller::client()
        .get(&url, &[("accept", media)])
        .await
        .with_context(|| format!("is a ledger running at {}?", args.ledger))?;
    if !answer.is_success() {
        bail!(
            "the ledger at {} has no such statement: {}",
            args.ledger,
            problem(&answer)
        );
    }
    Ok(answer.body.to_vec())
}

/// Sums, then a row per line.
fn lines(body: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), plain);
    let mut out = vec![format!(
        "{} in {}, correction {}",
        text(&body["creator"]),
        text(&body["popup"]),
        body["correction"],
    )];
    let currencies = body["currencies"].as_object();
    for (code, sums) in currencies.into_iter().flatten() {
        let names = [
            "earned",
            "reversed",
            "held",
            "at_risk",
            "available",
            "paid",
            "receivable",
        ];
        let sums = names.map(|name| {
            let minor = sums[name].as_i64().unwrap_or(0);
            format!("{} {}", name.replace('_', " "), show(code, minor))
        });
        out.push(sums.join("   "));
    }
    let found = body["lines"].as_array().map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        out.push("no lines".to_owned());
        return out;
    }
    let head = [
        "payment", "sku", "qty", "goods", "rate", "share", "state", "by", "break",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|line| {
        let code = line["currency"].as_str().unwrap_or_default();
        let money = |name: &str| show(code, line[name].as_i64().unwrap_or(0));
        let rate = line["rate_ppm"].as_u64().unwrap_or(0);
        vec![
            text(&line["payment"]),
            text(&line["sku"]),
            text(&line["qty"]),
            money("goods"),
            format!("{}.{:04}%", rate / 10_000, rate % 10_000),
            money("share"),
            text(&line["state"]),
            text(&line["evidence"]),
            line["break"].as_str().map(plain).unwrap_or_default(),
        ]
    }));
    out.extend(print::table(&rows, &[2, 3, 4, 5]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_sums_and_why() {
        let body = json!({
            "creator": "ana", "popup": "fri", "correction": 0,
            "currencies": { "EUR": { "earned": 130, "reversed": 20, "held": 30, "at_risk": 30,
                "available": 0, "paid": 90, "receivable": 10 } },
            "lines": [{ "payment": "p1", "sku": "mug", "qty": 2, "currency": "EUR", "goods": 600,
                "rate_ppm": 100_000, "share": 60, "state": "held", "evidence": "line",
                "break": null }],
        });
        let want = [
            "ana in fri, correction 0",
            "earned EUR 1.30   reversed EUR 0.20   held EUR 0.30   at risk EUR 0.30   available EUR \
             0.00   paid EUR 0.90   receivable EUR 0.10",
            "payment  sku  qty     goods      rate     share  state  by    break",
            "p1       mug    2  EUR 6.00  10.0000%  EUR 0.60  held   line",
        ];
        assert_eq!(lines(&body), want);
    }
}
