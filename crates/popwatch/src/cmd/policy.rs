//! `popwatch policy`: write, check, compare, sign and bring policies.

mod bring;
mod keys;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use popwatch_core::limits::POLICY_BUNDLE_BYTES_MAX;
use popwatch_core::policy::{Change, DocumentKind, Effective, Turn, diff};
use popwatch_node::ambient::Ambient;
use popwatch_node::identity;
use popwatch_wire::note::NoteKey;
use popwatch_wire::policy::bundle::Bundle;
use popwatch_wire::policy::{BUILT_IN, Document, PolicyFault, schema};
use serde_json::{Value, json};

use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};

/// `popwatch policy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch policy show > market.yaml
         popwatch policy check market.yaml
         popwatch policy diff market.yaml stricter.yaml
         popwatch policy sign market.yaml --key ops.key > market.json
         popwatch policy push market.json --to http://127.0.0.1:8730 --pass lead.pass --code 123456
         popwatch policy status my-popup

docs/policy.md explains each section.")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

/// One thing to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the built-in policy as a document to begin with.
    Show,
    /// Say whether a document is lawful, and what it means coordinate by coordinate.
    Check {
        /// The document, YAML; - for standard input.
        file: PathBuf,
        #[command(flatten)]
        under: Under,
    },
    /// Say in what two documents differ, and which way; status 3 when anything gets looser.
    Diff {
        /// The older document.
        old: PathBuf,
        /// The newer document.
        new: PathBuf,
        #[command(flatten)]
        under: Under,
    },
    /// Print the JSON Schema of documents.
    Schema,
    /// Make a key that signs policies: writes the secret and prints the public key.
    Key {
        /// Its name: no space, no plus.
        name: String,
        /// Where the secret goes, readable by you alone.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a document, or add a signature to a bundle; print the bundle.
    Sign {
        /// The document or the bundle.
        file: PathBuf,
        /// The secret that popwatch policy key wrote.
        #[arg(long, value_name = "FILE", required_unless_present = "as_org")]
        key: Option<PathBuf>,
        /// Sign as the organisation itself, with the key in this data directory of its ledger.
        #[arg(long, value_name = "DIR", conflicts_with = "key")]
        as_org: Option<PathBuf>,
    },
    /// Bring a signed bundle to a ledger or a rig, or lay it into the inbox of one on this machine.
    Push {
        /// The bundle.
        file: PathBuf,
        /// Who takes it; policy and passes need a pass and a code there.
        #[arg(long, value_name = "URL", required_unless_present = "data")]
        to: Option<String>,
        /// The data directory of a popwatch on this machine, which needs no pass.
        #[arg(long, value_name = "DIR", conflicts_with = "to")]
        data: Option<PathBuf>,
    },
    /// Say which policy of a popup runs, and what became of those that were brought.
    Status {
        /// The popup.
        popup: String,
        /// Whom to ask.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8710")]
        at: String,
        /// Say that the clock of the popwatch with this data directory is right: keys that wait for it open and
        /// end again.
        #[arg(long, value_name = "DIR")]
        confirm_clock: Option<PathBuf>,
    },
}

/// Under which floor.
#[derive(Debug, clap::Args)]
pub(crate) struct Under {
    /// The floor of the organisation, YAML.
    #[arg(long, value_name = "FILE")]
    floor: Option<PathBuf>,
}

pub(super) async fn run(args: &PolicyArgs, format: Format) -> anyhow::Result<Exit> {
    match &args.command {
        PolicyCommand::Push { file, to, data } => {
            bring::push(file, to.as_deref(), data.as_deref(), format).await
        }
        PolicyCommand::Status {
            popup,
            at,
            confirm_clock,
        } => {
            if let Some(data) = confirm_clock {
                keys::confirm_clock(data)?;
                return Ok(Exit::Done);
            }
            bring::status(popup, at, format).await
        }
        PolicyCommand::Show => {
            print::raw(BUILT_IN.as_bytes())?;
            Ok(Exit::Done)
        }
        PolicyCommand::Schema => {
            print::json_pretty(&schema::schema())?;
            Ok(Exit::Done)
        }
        PolicyCommand::Check { file, under } => check(file, under, format),
        PolicyCommand::Diff { old, new, under } => compare(old, new, under, format),
        PolicyCommand::Key { name, out } => make_key(name, out),
        PolicyCommand::Sign { file, key, as_org } => sign(file, key.as_deref(), as_org.as_deref()),
    }
}

fn readable(file: &Path) -> anyhow::Result<String> {
    let unreadable = |fault: &dyn std::fmt::Display| {
        Misuse::input(format!("{} cannot be read: {fault}", file.display()))
    };
    let most = u64::try_from(POLICY_BUNDLE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(most).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    read.map_err(|fault| unreadable(&fault))?;
    Ok(text)
}

/// A lawful document, or the line that says why it is none.
fn lawful(file: &Path) -> anyhow::Result<Result<Document, String>> {
    let said = |fault: PolicyFault| format!("{}: {}: {fault}", file.display(), fault.code);
    Ok(Document::from_yaml(&readable(file)?).map_err(said))
}

/// What the documents mean under the floor; the first that is unlawful instead.
fn meant(
    files: &[&Path],
    under: &Under,
) -> anyhow::Result<Result<Vec<(Document, Effective)>, String>> {
    let floor = match under.floor.as_deref().map(lawful).transpose()? {
        Some(Err(fault)) => return Ok(Err(fault)),
        Some(Ok(floor)) if floor.policy.head.kind == DocumentKind::OrgFloor => Some(floor.policy),
        Some(Ok(_)) => {
            return Err(Misuse::argument("--floor is no document of kind org_floor").into());
        }
        None => None,
    };
    let mut all = Vec::new();
    for file in files {
        match lawful(file)? {
            Err(fault) => return Ok(Err(fault)),
            Ok(document) => {
                let effective = Effective::of(&document.policy, floor.as_ref());
                all.push((document, effective));
            }
        }
    }
    Ok(Ok(all))
}

fn refused(fault: &str, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Text => print::line(plain(fault))?,
        Format::Json => print::json(&json!({"lawful": false, "detail": fault}))?,
    }
    Ok(Exit::No)
}

fn check(file: &Path, under: &Under, format: Format) -> anyhow::Result<Exit> {
    let mut all = match meant(&[file], under)? {
        Err(fault) => return refused(&fault, format),
        Ok(all) => all,
    };
    let (document, effective) = all.remove(0);
    let (head, digest) = (&document.policy.head, document.policy.carried.digest);
    let rows = effective.terms.rows();
    if format == Format::Json {
        let rows: serde_json::Map<_, _> = rows
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
        print::json_pretty(&json!({
            "lawful": true, "kind": head.kind.text(), "org": head.org, "version": head.version,
            "popup": head.popup.as_ref().map(|popup| popup.as_str()),
            "digest": digest.to_string(), "effective": rows,
        }))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name, plain(&value)])
        .collect();
    for line in print::table(&rows, &[]) {
        print::line(line)?;
    }
    print::line(format!(
        "lawful: {} version {} of {}, {digest}",
        head.kind.text(),
        head.version,
        plain(&head.org)
    ))?;
    Ok(Exit::Done)
}

fn compare(old: &Path, new: &Path, under: &Under, format: Format) -> anyhow::Result<Exit> {
    let all = match meant(&[old, new], under)? {
        Err(fault) => return refused(&fault, format),
        Ok(all) => all,
    };
    let changes = diff(&all[0].1, &all[1].1);
    let is_looser = changes.iter().any(|change| change.turn == Turn::Looser);
    if format == Format::Json {
        let rows = changes.iter().map(|change| {
            json!({
                "coordinate": change.coordinate, "change": change.turn.text(),
                "was": change.was, "is": change.is,
            })
        });
        let rows: Vec<_> = rows.collect();
        print::json_pretty(&json!({"looser": is_looser, "changes": rows}))?;
    } else {
        let row = |change: &Change| {
            let said = |text: &str| match text {
                "" => "-".to_owned(),
                text => plain(text),
            };
            vec![
                change.turn.text().to_owned(),
                change.coordinate.clone(),
                format!("{} -> {}", said(&change.was), said(&change.is)),
            ]
        };
        let rows: Vec<_> = changes.iter().map(row).collect();
        for line in print::table(&rows, &[]) {
            print::line(line)?;
        }
        if rows.is_empty() {
            print::line("no difference")?;
        }
    }
    Ok(if is_looser { Exit::No } else { Exit::Done })
}

fn make_key(name: &str, out: &Path) -> anyhow::Result<Exit> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control()) {
        return Err(Misuse::argument("a key's name has no space and no plus").into());
    }
    let secret: [u8; 32] = Ambient::system().random();
    let key = NoteKey::new(name, &secret);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out);
    let mut file =
        file.map_err(|fault| Misuse::input(format!("{} cannot be made: {fault}", out.display())))?;
    file.write_all(format!("{}\n", key.secret_text(&secret)).as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{} cannot be written", out.display()))?;
    print::line(key.public().to_string())?;
    Ok(Exit::Done)
}

fn sign(file: &Path, key: Option<&Path>, as_org: Option<&Path>) -> anyhow::Result<Exit> {
    let text = readable(file)?;
    let mut bundle = match Bundle::read(text.as_bytes()) {
        Ok(bundle) => bundle,
        Err(_) => match Document::from_yaml(&text) {
            Ok(document) => Bundle::unsigned(&document),
            Err(fault) => {
                let code = fault.code;
                print::note(plain(&format!("{}: {code}: {fault}", file.display())));
                return Ok(Exit::No);
            }
        },
    };
    let key = match (key, as_org) {
        (Some(path), _) => NoteKey::parse(readable(path)?.trim()).ok_or_else(|| {
            Misuse::input(format!(
                "{} is no key of popwatch policy key",
                path.display()
            ))
        })?,
        (None, data) => {
            let data = data.unwrap_or(Path::new("popwatch-data"));
            let org = bundle.policy["org"].as_str().unwrap_or_default();
            identity::org_key(data, org, &Ambient::system())?.ok_or_else(|| {
                let says = "holds no key of an organisation; start its ledger once";
                Misuse::input(format!("{} {says}", data.display()))
            })?
        }
    };
    match bundle.sign(&key) {
        Ok(()) => {
            print::line(bundle.to_json())?;
            Ok(Exit::Done)
        }
        Err(fault) => {
            print::note(plain(&format!("not signed: {fault}")));
            Ok(Exit::No)
        }
    }
}
