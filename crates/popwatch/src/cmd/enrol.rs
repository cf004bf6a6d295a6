//! `popwatch enrol`: codes for new machines at the ledger, and a new machine's own part.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use popwatch_node::ambient::Ambient;
use popwatch_node::member::{self, Member};
use popwatch_wire::enrol::EnrolCode;
use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::{Value, json};

use crate::args::EnrolArgs;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;

/// Light modules around a code.
const QUIET: i32 = 2;

pub(super) async fn run(args: &EnrolArgs, format: Format) -> anyhow::Result<Exit> {
    if let Some(rig) = &args.new {
        return invite(rig, args, format).await;
    }
    if args.list {
        return list(args, format).await;
    }
    if let Some(rig) = &args.revoke {
        let done = post(args, &format!("/v1/rigs/{rig}/revocation"), &json!({})).await?;
        let says = format!(
            "{rig} is revoked: what it sends from now on is kept and not booked. \
             popwatch enrol --accept {rig} books it."
        );
        return told(format, &done, &says);
    }
    if let Some(rig) = &args.accept {
        let done = post(args, &format!("/v1/rigs/{rig}/acceptance"), &json!({})).await?;
        let says = format!("{} records of {rig} are booked", done["booked"]);
        return told(format, &done, &says);
    }
    join(args, format).await
}

fn told(format: Format, value: &Value, says: &str) -> anyhow::Result<Exit> {
    match format {
        Format::Json => print::json(value)?,
        Format::Text => print::line(says)?,
    }
    Ok(Exit::Done)
}

/// A new machine asks to be let in.
async fn join(args: &EnrolArgs, format: Format) -> anyhow::Result<Exit> {
    let usage = "give the eight words of the code and the ledger's address: \
                 popwatch enrol \"WORDS\" https://HOST:8730; or --new, --list, --revoke, --accept";
    let (url, words) = args
        .words
        .split_last()
        .filter(|(_, words)| !words.is_empty())
        .ok_or_else(|| Misuse::argument(usage))?;
    let code = EnrolCode::parse(&words.join(" ")).ok_or_else(|| {
        Misuse::argument("these are not the eight words of a code; one of them is mistyped")
    })?;
    let data = args.data.as_deref().unwrap_or(Path::new("popwatch-data"));
    let member: Member = member::join(data, code, url, &Ambient::system()).await?;
    let of = &member.membership;
    let popups: Vec<&str> = of.popups.iter().map(|popup| popup.as_str()).collect();
    let value = json!({
        "org": of.org, "rig": of.rig.as_str(), "kind": of.kind.text(), "popups": popups,
        "ledger": member.ledger, "regions": member.regions, "data": data.display().to_string(),
    });
    let run = match args.data.as_deref() {
        None => "popwatch run".to_owned(),
        Some(data) => format!("popwatch run --data {}", data.display()),
    };
    let says = format!(
        "this machine is {} of {}; its ledger is {}\nstart it: {run}",
        of.rig, of.org, member.ledger
    );
    told(format, &value, &says)
}

/// The ledger makes a code.
async fn invite(rig: &str, args: &EnrolArgs, format: Format) -> anyhow::Result<Exit> {
    let wish = json!({
        "rig": rig,
        "kind": args.kind,
        "popups": args.popups,
        "not_after": args.until,
    });
    let made = post(args, "/v1/rigs", &wish).await?;
    if format == Format::Json {
        print::json(&made)?;
        return Ok(Exit::Done);
    }
    let text = |name: &str| plain(made[name].as_str().unwrap_or_default());
    let ends = made["ends_ms"].as_i64().unwrap_or_default();
    let ends = Timestamp::from_millisecond(ends).unwrap_or_default();
    let address = match &args.address {
        Some(address) => format!("https://{}@{address}", text("key")),
        None => format!("https://{}@HOST:8730", text("key")),
    };
    let command = format!("popwatch enrol \"{}\" {address}", text("code"));
    print::line(format!("{}\n", text("code")))?;
    if args.address.is_some() {
        print::line(drawn(&command)?)?;
    }
    print::line(format!(
        "On the new machine, once, before {ends}:\n  {command}\n\
         The words are enough with https://HOST:PORT of this ledger; the key before the @ may be left out."
    ))?;
    Ok(Exit::Done)
}

/// A QR code of half blocks, dark on light in a dark terminal too.
fn drawn(text: &str) -> anyhow::Result<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).context("no QR code holds that")?;
    let ends = code.size() + QUIET;
    let mut out = String::new();
    for y in (-QUIET..ends).step_by(2) {
        for x in -QUIET..ends {
            out.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (false, false) => '\u{2588}',
                (false, true) => '\u{2580}',
                (true, false) => '\u{2584}',
                (true, true) => ' ',
            });
        }
        out.push('\n');
    }
    Ok(out)
}

async fn list(args: &EnrolArgs, format: Format) -> anyhow::Result<Exit> {
    let url = format!("{}/v1/rigs", args.ledger);
    let answer = caller::client().get(&url, &[]).await;
    let answer = answer.with_context(|| unreachable_at(&args.ledger))?;
    if !answer.is_success() {
        bail!("the ledger at {} says: {}", args.ledger, problem(&answer));
    }
    let body: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{} does not answer like a popwatch ledger", args.ledger))?;
    if format == Format::Json {
        print::json_pretty(&body)?;
        return Ok(Exit::Done);
    }
    for row in body["rigs"].as_array().into_iter().flatten() {
        print::line(row_line(row))?;
    }
    Ok(Exit::Done)
}

fn row_line(row: &Value) -> String {
    let text = |name: &str| plain(row[name].as_str().unwrap_or_default());
    let day = |name: &str| {
        let at = Timestamp::from_millisecond(row[name].as_i64()?).ok()?;
        Some(at.to_string())
    };
    let popups = row["popups"].as_array().into_iter().flatten();
    let popups: Vec<&str> = popups.filter_map(Value::as_str).collect();
    let mut line = format!(
        "{:<16} {:<6} {}  enrolled {}",
        text("rig"),
        text("kind"),
        text("key").get(..16).unwrap_or_default(),
        day("enrolled_ms").unwrap_or_default()
    );
    if !popups.is_empty() {
        line.push_str(&format!("  for {}", plain(&popups.join(", "))));
    }
    if let Some(end) = day("not_after_ms") {
        line.push_str(&format!("  until {end}"));
    }
    if let Some(revoked) = day("revoked_ms") {
        line.push_str(&format!("  revoked {revoked}"));
    }
    match row["held_back"].as_u64() {
        None | Some(0) => {}
        Some(count) => line.push_str(&format!(
            "  {count} records wait: popwatch enrol --accept {}",
            text("rig")
        )),
    }
    line
}

async fn post(args: &EnrolArgs, path: &str, body: &Value) -> anyhow::Result<Value> {
    let url = format!("{}{path}", args.ledger);
    let json = [("content-type", "application/json")];
    let answer = caller::client().post(&url, &json, body.to_string()).await;
    let answer = answer.with_context(|| unreachable_at(&args.ledger))?;
    if !answer.is_success() {
        bail!("the ledger at {} says: {}", args.ledger, problem(&answer));
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{} does not answer like a popwatch ledger", args.ledger))
}

fn unreachable_at(ledger: &str) -> String {
    format!("is a ledger running at {ledger}?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_as_a_square_of_half_blocks() {
        let drawn = drawn("popwatch enrol \"baba\" https://h:1").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[0].chars().all(|block| block == '\u{2588}'));
    }
}
