//! `popwatch audit`: who did what to the books, and proof of it that needs no trust in the ledger.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use popwatch_core::limits::BOOKS_PAGE_ROWS_MAX;
use popwatch_core::tlog::{Checkpoint, TILE_WIDTH, Tile, read_bundle};
use popwatch_node::access::desk::Desk;
use popwatch_node::ambient::Ambient;
use popwatch_wire::audit::{self, AuditFault, Proof};
use popwatch_wire::note::PublicKey;
use serde_json::{Value, json};

use crate::args::{AuditCommand, AuditOf};
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;

pub(super) async fn run(command: &AuditCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        AuditCommand::Tail { from, limit, of } => tail(*from, *limit, of, format).await,
        AuditCommand::Prove { number, of } => {
            let proof = fetch(of, &format!("/v1/audit/{number}/proof")).await?;
            print::raw(&proof)?;
            Ok(Exit::Done)
        }
        AuditCommand::Who { popup, of } => who(popup, of, format).await,
        AuditCommand::Peers { of } => peers(of, format).await,
        AuditCommand::Accept { origin, why, data } => {
            let desk = Desk::new(data, &Ambient::system());
            let found = tokio::task::block_in_place(|| desk.accept_peer(origin, why))?;
            print::line(match found {
                true => format!("accepted: {}", plain(origin)),
                false => "there is no such trail here; popwatch audit peers lists them".to_owned(),
            })?;
            Ok(if found { Exit::Done } else { Exit::No })
        }
        AuditCommand::Checkpoint { of } => {
            print::raw(&fetch(of, "/audit/checkpoint").await?)?;
            Ok(Exit::Done)
        }
        AuditCommand::Verify {
            file,
            key,
            held,
            of,
        } => {
            let key = PublicKey::parse(key).ok_or_else(|| {
                Misuse::argument("the key must be what popwatch audit tail prints: name+id+base64")
            })?;
            let outcome = match file {
                Some(file) => verify_proof(file, &key)?,
                None => verify_trail(of, held.as_deref(), &key).await?,
            };
            told(outcome, format)
        }
    }
}

async fn who(popup: &str, of: &AuditOf, format: Format) -> anyhow::Result<Exit> {
    let body = fetch(of, &format!("/v1/popups/{popup}/access-log")).await?;
    let body: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{} does not answer like a popwatch", of.ledger))?;
    if format == Format::Json {
        print::json_pretty(&body)?;
        return Ok(Exit::Done);
    }
    let text = |value: &Value| match value {
        Value::String(text) => plain(text),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            plain(&value.to_string())
        }
    };
    let head = [
        "entry", "when", "scope", "who", "purpose", "rows", "outcome", "fields",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for read in body["reads"].as_array().into_iter().flatten() {
        let at = read["ts"].as_i64().unwrap_or_default();
        let at = Timestamp::from_millisecond(at).unwrap_or_default();
        let fields = match read["read"]["fields"].as_array() {
            Some(fields) if !fields.is_empty() => {
                fields.iter().map(&text).collect::<Vec<_>>().join(" ")
            }
            Some(_) => "all".to_owned(),
            None => "-".to_owned(),
        };
        rows.push(vec![
            text(&read["number"]),
            at.to_string(),
            text(&read["scope"]),
            text(&read["actor"]),
            text(&read["purpose"]),
            text(&read["rows"]),
            text(&read["outcome"]),
            fields,
        ]);
    }
    for line in print::table(&rows, &[0, 5]) {
        print::line(line)?;
    }
    let key = text(&body["key"]);
    print::line(format!(
        "prove one: popwatch audit prove ENTRY > read.tlog-proof && popwatch audit verify read.tlog-proof --key {key}"
    ))?;
    Ok(Exit::Done)
}

async fn peers(of: &AuditOf, format: Format) -> anyhow::Result<Exit> {
    let body: Value = serde_json::from_slice(&fetch(of, "/v1/audit/peers").await?)
        .with_context(|| format!("{} does not answer like a popwatch", of.ledger))?;
    let all = body["peers"].as_array().cloned().unwrap_or_default();
    let is_sound = body["told_of_us"].is_null() && all.iter().all(|peer| peer["code"].is_null());
    if format == Format::Json {
        print::json_pretty(&body)?;
    } else {
        let text = |value: &Value| plain(value.as_str().unwrap_or_default());
        for peer in &all {
            let seen = peer["seen_ms"].as_i64().unwrap_or_default();
            let seen = Timestamp::from_millisecond(seen).unwrap_or_default();
            let verdict = match peer["code"].as_str() {
                Some(code) => format!("{code}: {}", text(&peer["convicted"]["why"])),
                None => format!("may hold unseen reads since {seen}"),
            };
            let (origin, size) = (text(&peer["origin"]), &peer["size"]);
            print::line(format!("{origin}  {size} entries  {verdict}"))?;
        }
        if let Some(why) = body["told_of_us"].as_str() {
            print::line(format!(
                "PW0806: a peer says that the trail here {}",
                plain(why)
            ))?;
        }
    }
    Ok(if is_sound { Exit::Done } else { Exit::No })
}

/// What verified, in words and as a value.
type Outcome = Result<(String, Value), AuditFault>;

fn told(outcome: Outcome, format: Format) -> anyhow::Result<Exit> {
    match (outcome, format) {
        (Ok((line, _)), Format::Text) => print::line(line)?,
        (Ok((_, value)), Format::Json) => print::json(&value)?,
        (Err(fault), Format::Text) => {
            print::line(format!("{}: {}", fault.code(), plain(&fault.to_string())))?;
            return Ok(Exit::No);
        }
        (Err(fault), Format::Json) => {
            let code = fault.code().to_string();
            print::json(&json!({"verified": false, "code": code, "detail": fault.to_string()}))?;
            return Ok(Exit::No);
        }
    }
    Ok(Exit::Done)
}

async fn fetch(of: &AuditOf, path: &str) -> anyhow::Result<Vec<u8>> {
    let url = format!("{}{path}", of.ledger);
    let answer = caller::client().get(&url, &[]).await.with_context(|| {
        format!(
            "cannot read the audit trail; is a ledger running at {}?",
            of.ledger
        )
    })?;
    if !answer.is_success() {
        bail!("the ledger at {} says: {}", of.ledger, problem(&answer));
    }
    Ok(answer.body.to_vec())
}

async fn tail(from: Option<u64>, limit: u64, of: &AuditOf, format: Format) -> anyhow::Result<Exit> {
    let from = from.map(|from| format!("from={from}&")).unwrap_or_default();
    let limit = limit.min(BOOKS_PAGE_ROWS_MAX as u64);
    let body = fetch(of, &format!("/v1/audit?{from}limit={limit}")).await?;
    let body: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{} does not answer like a popwatch ledger", of.ledger))?;
    if format == Format::Json {
        print::json_pretty(&body)?;
        return Ok(Exit::Done);
    }
    for row in body["entries"].as_array().into_iter().flatten() {
        print::line(entry_line(row))?;
    }
    let text = |name: &str| plain(body[name].as_str().unwrap_or_default());
    print::line(format!("{} entries in {}", body["size"], text("origin")))?;
    print::line(format!("key {}", text("key")))?;
    Ok(Exit::Done)
}

fn entry_line(row: &Value) -> String {
    let entry = &row["entry"];
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let at = entry["ts"].as_i64().unwrap_or_default();
    let mut line = format!(
        "{:>6}  {}  {:<16} {} {}",
        row["number"].as_u64().unwrap_or_default(),
        Timestamp::from_millisecond(at).unwrap_or_default(),
        text(&entry["action"]),
        text(&entry["actor"]),
        text(&entry["decision"]),
    );
    for part in [text(&entry["resource"]["popup"]), text(&entry["reason"])] {
        if !part.is_empty() {
            line.push(' ');
            line.push_str(&part);
        }
    }
    if entry["detail"]
        .as_object()
        .is_some_and(|detail| !detail.is_empty())
    {
        line.push_str("  ");
        line.push_str(&plain(&entry["detail"].to_string()));
    }
    line
}

fn verify_proof(file: &Path, key: &PublicKey) -> anyhow::Result<Outcome> {
    let text = readable(file)?;
    Ok(Proof::decode(&text).and_then(|proof| {
        let head = proof.verify(key)?;
        let entry: Value = serde_json::from_slice(&proof.entry).unwrap_or_default();
        let line = format!(
            "verified: entry {} of {} in {}: {}",
            proof.index,
            head.size,
            plain(&head.origin),
            plain(&entry.to_string())
        );
        let value = json!({
            "verified": true, "origin": head.origin, "size": head.size,
            "number": proof.index, "entry": entry,
        });
        Ok((line, value))
    }))
}

/// Reads all entries as any reader of C2SP logs would, and holds them against the signed heads.
async fn verify_trail(
    of: &AuditOf,
    held: Option<&Path>,
    key: &PublicKey,
) -> anyhow::Result<Outcome> {
    let held = held.map(readable).transpose()?;
    let note = String::from_utf8_lossy(&fetch(of, "/audit/checkpoint").await?).into_owned();
    let head = match audit::open_checkpoint(&note, key) {
        Ok(head) => head,
        Err(fault) => return Ok(Err(fault)),
    };
    let held = match held
        .map(|note| audit::open_checkpoint(&note, key))
        .transpose()
    {
        Ok(held) => held,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut entries: Vec<Vec<u8>> = Vec::new();
    while (entries.len() as u64) < head.size {
        let from = entries.len() as u64;
        let tile = Tile {
            level: None,
            index: from / TILE_WIDTH,
            width: u16::try_from((head.size - from).min(TILE_WIDTH)).expect("at most 256"),
        };
        let bytes = fetch(of, &format!("/audit/tile/{}", tile.path())).await?;
        let (found, rest) = read_bundle(&bytes);
        if found.len() != usize::from(tile.width) || !rest.is_empty() {
            bail!("the ledger at {} answers no bundle of entries", of.ledger);
        }
        entries.extend(found.into_iter().map(<[u8]>::to_vec));
    }
    let continues = |before: &Checkpoint| {
        audit::continues(&entries, &head, before).map(|()| (before.origin.clone(), before.size))
    };
    let outcome = continues(&head).and_then(|(origin, size)| {
        let since = held.as_ref().map(continues).transpose()?;
        let kept = since.map_or_else(String::new, |(_, size)| {
            format!(", and continues the head of {size} that was kept")
        });
        let line = format!("verified: {size} entries in {}{kept}", plain(&origin));
        let value = json!({
            "verified": true, "origin": origin, "size": size,
            "held": held.as_ref().map(|held| held.size),
        });
        Ok((line, value))
    });
    Ok(outcome)
}

fn readable(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|fault| {
        Misuse::input(format!("{} cannot be read: {fault}", file.display())).into()
    })
}
