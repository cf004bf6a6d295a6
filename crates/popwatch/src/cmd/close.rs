//! `popwatch close`: has a ledger close a popup's books, or verifies certificates without one.

use anyhow::{Context, bail};
use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Value as Close;
use popwatch_core::ledger::hex;
use popwatch_wire::close;
use popwatch_wire::note::PublicKey;
use serde_json::{Value, json};

use crate::args::CloseArgs;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;

pub(super) async fn run(args: &CloseArgs, format: Format) -> anyhow::Result<Exit> {
    let popup = PopupId::new(&args.popup)
        .map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
    let url = format!("{}/v1/popups/{popup}/close", args.ledger);
    if !args.verify.is_empty() {
        return verify(args, &popup, &url, format).await;
    }
    let body = json!({ "scope": args.scope, "allow_open": args.allow_open });
    let answer = caller::client()
        .post(
            &url,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
        .with_context(|| {
            format!(
                "cannot close {popup}; is a ledger running at {}?",
                args.ledger
            )
        })?;
    if answer.status == 409 {
        print::note(format!("{popup} was not closed: {}", problem(&answer)));
        return Ok(Exit::No);
    }
    if !answer.is_success() {
        bail!(
            "the ledger at {} did not close {popup}: {}",
            args.ledger,
            problem(&answer)
        );
    }
    let body: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} does not answer like a popwatch ledger"))?;
    match format {
        Format::Json => print::json_pretty(&body)?,
        Format::Text => lines(&body).iter().try_for_each(print::line)?,
    }
    Ok(Exit::Done)
}

/// What the ledger signed, in a few lines.
pub(super) fn lines(body: &Value) -> Vec<String> {
    let close = &body["close"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), plain);
    let open = close["open_breaks"].as_array().map_or(0, Vec::len);
    vec![
        format!(
            "{} {} {} closed, scope {}, {} facts, {open} open breaks",
            text(&close["popup"]),
            text(&close["kind"]),
            text(&close["n"]),
            text(&close["scope"]),
            text(&close["facts"]["count"]),
        ),
        format!("certificate {}", text(&body["hash"])),
        format!("key         {}", text(&body["key"])),
    ]
}

/// Verifies files with the key alone; asks the ledger for the key only where none is given.
async fn verify(
    args: &CloseArgs,
    popup: &PopupId,
    url: &str,
    format: Format,
) -> anyhow::Result<Exit> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            let answer = caller::client().get(url, &[]).await.with_context(|| {
                "the ledger that knows the key does not answer; give the key with --key".to_owned()
            })?;
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let key = body["key"].as_str().map(str::to_owned);
            key.context("the ledger shows no key; give it with --key")?
        }
    };
    let key = PublicKey::parse(&key).ok_or_else(|| {
        Misuse::argument("the key must be what popwatch close prints: name+id+base64")
    })?;
    let mut files = Vec::new();
    for path in &args.verify {
        let bytes = std::fs::read(path).map_err(|fault| {
            Misuse::input(format!("{} cannot be read: {fault}", path.display()))
        })?;
        files.push(bytes);
    }
    let of_popup = |held: &Close| held.field("popup") == Some(&Close::text(popup.as_str()));
    let outcome = close::verify(&files, &key);
    let wrong = match &outcome {
        Ok(found) if found.iter().all(|one| of_popup(&one.close)) => None,
        Ok(_) => Some(format!("popup: is not {popup}")),
        Err(fault) => Some(fault.to_string()),
    };
    if let Some(wrong) = wrong {
        match format {
            Format::Json => {
                print::json(&json!({ "verified": false, "code": "PW0354", "detail": wrong }))?
            }
            Format::Text => print::line(format!("PW0354: {}", plain(&wrong)))?,
        }
        return Ok(Exit::No);
    }
    for one in outcome.iter().flatten() {
        let hash = hex(&one.hash);
        match format {
            Format::Json => print::json(&json!({
                "verified": true, "hash": hash, "close": close::to_json(&one.close),
            }))?,
            Format::Text => print::line(format!("verified {hash}"))?,
        }
    }
    Ok(Exit::Done)
}
