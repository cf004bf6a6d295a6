//! Policies on their way: to a running popwatch, and what became of them there.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use popwatch_core::id::PopupId;
use popwatch_wire::policy::bundle::Bundle;
use serde_json::{Value, json};

use super::readable;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;

pub(super) async fn push(
    file: &Path,
    to: Option<&str>,
    data: Option<&Path>,
    format: Format,
) -> anyhow::Result<Exit> {
    let text = readable(file)?;
    let bundle = Bundle::read(text.as_bytes()).map_err(|refusal| {
        let sign = "popwatch policy sign makes a bundle of a document";
        Misuse::input(format!("{}: {refusal}; {sign}", file.display()))
    })?;
    if let Some(data) = data {
        return lay(&bundle, data, format);
    }
    let to = to.unwrap_or_default().trim_end_matches('/');
    let json = [("content-type", "application/json")];
    let url = format!("{to}/v1/policies");
    let answer = caller::client().post(&url, &json, bundle.to_json()).await;
    let answer = answer.with_context(|| format!("is a popwatch running at {to}?"))?;
    if !answer.is_success() {
        let says = format!("{to} says: {}", problem(&answer));
        if matches!(answer.status, 401) && !caller::shows_pass() {
            bail!("{says}\non that machine itself --data DIR needs no pass");
        }
        print::note(says);
        return Ok(Exit::No);
    }
    let told: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{to} does not answer like popwatch"))?;
    if format == Format::Json {
        print::json(&told)?;
        return Ok(Exit::Done);
    }
    let said = |name: &str| plain(told[name].as_str().unwrap_or_default());
    let whose = match told["popup"].as_str() {
        Some(popup) => plain(popup),
        None => "the organisation's floor".to_owned(),
    };
    let beside = match told["says"].as_str() {
        Some(says) => format!(" ({}: {})", said("code"), plain(says)),
        None => String::new(),
    };
    print::line(format!(
        "version {} of {whose}: {}{beside}",
        told["version"],
        said("outcome")
    ))?;
    Ok(Exit::Done)
}

/// Into the inbox: whole and durable under another name first.
fn lay(bundle: &Bundle, data: &Path, format: Format) -> anyhow::Result<Exit> {
    use std::io::Write as _;
    let inbox = data.join("inbox");
    let digest = bundle
        .mark()
        .map_or_else(String::new, |mark| mark.digest.to_string());
    let name = digest.trim_start_matches("sha256:");
    let name = name.get(..16).unwrap_or("policy");
    let path = inbox.join(format!("{name}.json"));
    let fresh = path.with_extension("fresh");
    let written = std::fs::create_dir_all(&inbox)
        .and_then(|()| std::fs::File::create(&fresh))
        .and_then(|mut file| {
            file.write_all(bundle.to_json().as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&fresh, &path));
    written.with_context(|| format!("{} cannot be written", path.display()))?;
    match format {
        Format::Json => print::json(&json!({"inbox": path.display().to_string()}))?,
        Format::Text => print::line(format!(
            "it lies in {}; a popwatch that runs there looks within two seconds, and keeps what it refuses \
             beside it as .json.refused",
            plain(&path.display().to_string())
        ))?,
    }
    Ok(Exit::Done)
}

pub(super) async fn status(popup: &str, at: &str, format: Format) -> anyhow::Result<Exit> {
    let popup =
        PopupId::new(popup).map_err(|fault| Misuse::argument(format!("the popup {fault}")))?;
    let at = at.trim_end_matches('/');
    let url = format!("{at}/v1/popups/{popup}/policy");
    let answer = caller::client().get(&url, &[]).await;
    let answer = answer.with_context(|| format!("is a popwatch running at {at}?"))?;
    if !answer.is_success() {
        bail!("{at} says: {}", problem(&answer));
    }
    let told: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{at} does not answer like popwatch"))?;
    if format == Format::Json {
        print::json_pretty(&told)?;
        return Ok(Exit::Done);
    }
    let mark = |of: &Value| match of["version"].as_u64() {
        Some(version) => format!(
            "version {version}, {}",
            plain(of["digest"].as_str().unwrap_or("?"))
        ),
        None => "-".to_owned(),
    };
    let time = |ms: &Value| {
        let at = ms
            .as_i64()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        at.map_or_else(|| "-".to_owned(), |at| at.to_string())
    };
    let mode = plain(told["mode"].as_str().unwrap_or("?"));
    let rows = vec![
        vec!["mode".to_owned(), mode],
        vec!["running".to_owned(), mark(&told["running"])],
        vec!["desired".to_owned(), mark(&told["desired"])],
        vec!["last good".to_owned(), mark(&told["last_good"])],
        vec!["expires".to_owned(), time(&told["expires_ms"])],
        vec!["on trial until".to_owned(), time(&told["trial_until_ms"])],
    ];
    for line in print::table(&rows, &[]) {
        print::line(line)?;
    }
    super::keys::show(&told)?;
    for attempt in told["attempts"].as_array().into_iter().flatten() {
        let text = |name: &str| plain(attempt[name].as_str().unwrap_or_default());
        print::line(format!(
            "{}  {}  {} {}",
            time(&attempt["at_ms"]),
            mark(attempt),
            text("outcome"),
            text("reason")
        ))?;
    }
    Ok(Exit::Done)
}
