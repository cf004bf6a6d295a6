//! `popwatch raw`: single records, for a purpose that stands in the audit trail.

use serde_json::json;

use crate::args::base_url;
use crate::caller;
use crate::exit::Exit;
use crate::print;
use crate::till::problem;
use anyhow::{Context, bail};

/// `popwatch raw`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch raw fri --purpose dispute --from 2026-11-28T17:00:00Z --to 2026-11-28T18:00:00Z \\
             --pass lead.pass --code 123456

A record a line. Each read needs a pass and a code that is at most five minutes old, and stands in the
audit trail before the first record is shown: who read, what for, how many rows.")]
pub(crate) struct RawArgs {
    /// The popup.
    popup: String,
    /// What for: dispute, fraud, debugging or subject_request.
    #[arg(long)]
    purpose: String,
    /// From when, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Until when, RFC 3339; at most two hours later.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// From this rig alone; may be given several times.
    #[arg(long = "rig")]
    rigs: Vec<String>,
    /// This field of the data alone; may be given several times.
    #[arg(long = "field")]
    fields: Vec<String>,
    /// This sealed part too: raw, contact or freetext.
    #[arg(long = "class")]
    classes: Vec<String>,
    /// Base URL of the edge or the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    url: String,
}

pub(super) async fn run(args: &RawArgs) -> anyhow::Result<Exit> {
    let body = json!({
        "purpose": args.purpose, "from": args.from, "to": args.to,
        "rigs": args.rigs, "fields": args.fields, "classes": args.classes,
    });
    let url = format!("{}/v1/popups/{}/raw", args.url, args.popup);
    let media = [("content-type", "application/json")];
    let answer = caller::client()
        .post(&url, &media, body.to_string())
        .await
        .with_context(|| format!("nothing was read; is a popwatch running at {}?", args.url))?;
    if !answer.is_success() {
        bail!("nothing was read: {}", problem(&answer));
    }
    print::raw(&answer.body)?;
    Ok(Exit::Done)
}
