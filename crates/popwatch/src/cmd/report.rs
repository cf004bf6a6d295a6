//! `popwatch report`: what became of a popup, as one page that opens from the disk and prints.
//!
//! The views come from a region, the books from the ledger; the page says so where one is missing.
//! What always holds: one file without a request or a script, at most [`REPORT_BYTES_MAX`] bytes;
//! no number is made here that a view or the books do not say; what is cut off is counted.

mod chart;
mod page;
mod parts;

use std::path::PathBuf;

use anyhow::{Context, bail};
use popwatch_core::id::PopupId;
use popwatch_core::limits::REPORT_BYTES_MAX;
use serde_json::{Value, json};

use crate::args::base_url;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format};
use crate::till::problem;

/// `popwatch report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch report night-market --html night-market.html
         popwatch report night-market --ledger http://10.0.0.5:8730 --region http://10.0.0.5:8720

One file: takings from the tills to the bank, minute by minute, promises, drops, funnel, creators,
stock, rigs, every break, and the certificate of the close. It needs no network to be read and prints
on A4. With --format json what it is made of is printed instead.")]
pub(crate) struct ReportArgs {
    /// The popup.
    popup: String,
    /// Where the page is written; POPUP.html if absent.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    ledger: String,
    /// Base URL of a region.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8720", value_parser = base_url)]
    region: String,
}

/// What the page is made of; null where nobody could say.
#[derive(Debug, Clone, Default)]
struct Told {
    popup: String,
    summary: Value,
    series: Value,
    slo: Value,
    signals: Value,
    inventory: Value,
    rigs: Value,
    books: Value,
    found: Value,
    breaks: Vec<Value>,
    close: Value,
}

/// Pages of breaks that are asked for.
const PAGES_MAX: usize = 4;

pub(super) async fn run(args: &ReportArgs, format: Format) -> anyhow::Result<Exit> {
    let popup = PopupId::new(&args.popup)
        .map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
    let told = Told::gather(args, popup.as_str()).await?;
    if format == Format::Json {
        print::json_pretty(&told.document())?;
        return Ok(Exit::Done);
    }
    let page = page::html(&told);
    if page.len() > REPORT_BYTES_MAX {
        bail!(
            "the page has {} bytes, more than {REPORT_BYTES_MAX}",
            page.len()
        );
    }
    let usual = PathBuf::from(format!("{popup}.html"));
    let path = args.html.as_ref().unwrap_or(&usual);
    std::fs::write(path, &page)
        .map_err(|fault| Misuse::input(format!("{} cannot be written: {fault}", path.display())))?;
    print::line(format!(
        "{} ({} kB)",
        path.display(),
        page.len().div_ceil(1_000)
    ))?;
    Ok(Exit::Done)
}

impl Told {
    async fn gather(args: &ReportArgs, popup: &str) -> anyhow::Result<Self> {
        let books = format!("{}/v1/popups/{popup}", args.ledger);
        let views = format!("{}/v1/popups/{popup}", args.region);
        let balances = demanded(&format!("{books}/books"), &args.ledger).await?;
        // The ledger compares with its regions' cells; without them it has its books all the same.
        let found = asked(&format!("{books}/reconciliation")).await;
        let found = if found.is_null() {
            without_cells(&balances)
        } else {
            found
        };
        let mut told = Self {
            popup: popup.to_owned(),
            books: balances,
            close: asked(&format!("{books}/close")).await,
            summary: asked(&format!("{views}/summary")).await,
            series: asked(&format!("{views}/series")).await,
            slo: asked(&format!("{views}/slo")).await,
            signals: asked(&format!("{views}/signals")).await,
            inventory: asked(&format!("{views}/inventory")).await,
            rigs: asked(&format!("{views}/rigs")).await,
            found,
            breaks: Vec::new(),
        };
        if told.summary.is_null() {
            print::note(format!(
                "no region answers for {popup} at {}: the page has the books alone (--region URL)",
                args.region
            ));
        }
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = asked(&format!("{books}/breaks{cursor}")).await;
            told.breaks
                .extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("?cursor={next}"),
                None => break,
            }
        }
        Ok(told)
    }

    fn document(&self) -> Value {
        json!({
            "popup": self.popup, "summary": self.summary, "series": self.series, "slo": self.slo,
            "signals": self.signals, "inventory": self.inventory, "rigs": self.rigs,
            "books": self.books, "reconciliation": self.found, "breaks": self.breaks,
            "close": self.close,
        })
    }
}

/// What the books say alone, in the form of a reconciliation.
fn without_cells(books: &Value) -> Value {
    let currencies = books["currencies"].as_object().into_iter().flatten();
    let suspense: serde_json::Map<_, _> = currencies
        .map(|(code, of)| (code.clone(), of["suspense"].clone()))
        .collect();
    json!({
        "totals": books["totals"], "rigs": books["watermark"], "suspense": suspense,
        "books_root": books["books_root"], "as_of_ms": books["as_of_ms"],
    })
}

/// What a resource says; null when nobody answers or it is not there.
async fn asked(url: &str) -> Value {
    let headers = [("accept", "application/json")];
    match caller::client().get(url, &headers).await {
        Ok(answer) if answer.is_success() => {
            serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
        }
        Ok(_) | Err(_) => Value::Null,
    }
}

/// What a resource says, without which there is no report.
async fn demanded(url: &str, ledger: &str) -> anyhow::Result<Value> {
    let headers = [("accept", "application/json")];
    let answer = caller::client()
        .get(url, &headers)
        .await
        .with_context(|| format!("is a ledger running at {ledger}?"))?;
    if !answer.is_success() {
        bail!(
            "the ledger at {ledger} has no such popup: {}",
            problem(&answer)
        );
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} does not answer like a popwatch ledger"))
}

#[cfg(test)]
mod tests;
