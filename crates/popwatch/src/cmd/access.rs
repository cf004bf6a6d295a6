//! `popwatch access`: passes and second factors, made in the data directory that holds the access key.

mod qr;

use std::path::PathBuf;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use popwatch_core::access::{Action, Rules, Scope, Subject};
use popwatch_node::access::desk::Desk;
use popwatch_node::ambient::Ambient;
use popwatch_wire::pass::account::Enrolled;
use popwatch_wire::pass::totp;
use popwatch_wire::pass::{self, AccessPublic, Circumstances, Less, Network};
use serde_json::json;

use crate::args::page_url;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};

/// Longest life of a pass for a till or a board, ms: the longest window of a popup.
const MACHINE_TTL_MS: i64 = 14 * 86_400_000;

/// `popwatch access`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch access keygen
         popwatch access issue --scope creator --of ana --popup fri --link http://192.168.1.5:8720 --qr
         popwatch access issue --from pw1.... --only view.board --ttl 2h --qr
         popwatch access factor showroom-lead --qr
         popwatch access revoke --actor a-2f7c

A pass is a secret: whoever has it is let in. It is signed with the key in the data directory, verified
without a network, and can be handed on with less in it by whoever holds it (--from), without any key.")]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    pub(crate) command: AccessCommand,
}

/// What to do at the desk.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AccessCommand {
    /// Make the key that signs passes; print the public key that others verify them with.
    Keygen(Place),
    /// Issue a pass, or hand one on with less in it.
    Issue(Box<IssueArgs>),
    /// Print what is in a pass, and whether a key signed it.
    Inspect {
        /// The pass, or the link that holds it.
        text: String,
        /// The public key, as keygen prints it; without it nothing is verified.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Revoke a pass, what was handed on from it, or all passes of somebody.
    Revoke {
        /// The pass, its id, or a revocation id; of the last step of its handing on.
        #[arg(required_unless_present = "actor")]
        named: Option<String>,
        /// All passes of this actor that were issued until now.
        #[arg(long, value_name = "ACTOR", conflicts_with = "named")]
        actor: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a second factor for an actor: a secret for an app, and eight codes for paper.
    Factor {
        /// Whose: the actor of their passes.
        actor: String,
        /// The organisation, shown by the app.
        #[arg(long, default_value = "local")]
        org: String,
        /// Show the secret as a QR code.
        #[arg(long)]
        qr: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the key lies.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The data directory of the ledger.
    #[arg(long, value_name = "DIR", default_value = "popwatch-data")]
    data: PathBuf,
}

/// `popwatch access issue`.
#[derive(Debug, clap::Args)]
pub(crate) struct IssueArgs {
    /// As what its holder comes.
    #[arg(long, value_parser = scope, required_unless_present = "from")]
    scope: Option<Scope>,
    /// Of whom: the creator, the co-op or the rig.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// A creator of the co-op; once for each.
    #[arg(long = "member", value_name = "CREATOR")]
    members: Vec<String>,
    /// For this popup alone.
    #[arg(long)]
    popup: Option<String>,
    /// Who holds it: an id that says nothing to strangers; drawn if absent.
    #[arg(long)]
    actor: Option<String>,
    /// The organisation.
    #[arg(long, default_value = "local")]
    org: String,
    /// How long it is good: 12h, PT2H; at most 12 hours for people, 14 days for tills and boards.
    #[arg(long, value_parser = duration)]
    ttl: Option<i64>,
    /// Hand this pass on instead; needs no key.
    #[arg(long, value_name = "PASS", conflicts_with_all = ["scope", "of", "members", "actor"])]
    from: Option<String>,
    /// For this action alone, such as view.summary; may be given several times.
    #[arg(long = "only", value_parser = action, requires = "from")]
    only: Vec<Action>,
    /// At this rig alone.
    #[arg(long, requires = "from")]
    rig: Option<String>,
    /// On the venue's network alone.
    #[arg(long, requires = "from")]
    lan: bool,
    /// Print a link that begins a session at this page instead of the bare pass.
    #[arg(long, value_name = "URL", value_parser = page_url)]
    link: Option<String>,
    /// Show it as a QR code too.
    #[arg(long)]
    qr: bool,
    #[command(flatten)]
    place: Place,
}

fn scope(text: &str) -> Result<Scope, String> {
    let names = || Scope::ALL.iter().map(|one| one.text()).collect::<Vec<_>>();
    Scope::parse(text).ok_or_else(|| format!("is one of {}", names().join(", ")))
}

fn action(text: &str) -> Result<Action, String> {
    let names = || Action::ALL.iter().map(|one| one.text()).collect::<Vec<_>>();
    Action::parse(text).ok_or_else(|| format!("is one of {}", names().join(", ")))
}

fn duration(text: &str) -> Result<i64, String> {
    let found: Option<SignedDuration> = text.parse().ok();
    found
        .and_then(|span| i64::try_from(span.as_millis()).ok())
        .filter(|ms| *ms > 0)
        .ok_or_else(|| "give a time such as 2h, 90m or PT12H".to_owned())
}

pub(super) fn run(command: &AccessCommand, format: Format) -> anyhow::Result<Exit> {
    let ambient = Ambient::system();
    let desk = |place: &Place| Desk::new(&place.data, &ambient);
    match command {
        AccessCommand::Keygen(place) => {
            let key = desk(place).keygen()?;
            match format {
                Format::Text => print::line(key.to_string())?,
                Format::Json => print::json(&json!({ "key": key.to_string() }))?,
            }
            print::note(
                "keep a copy of keys/access somewhere safe; without it no pass can be issued",
            );
        }
        AccessCommand::Issue(args) => issue(args, &desk(&args.place), format)?,
        AccessCommand::Inspect { text, key } => {
            return inspect(text, key.as_deref(), desk_now(&ambient), format);
        }
        AccessCommand::Revoke {
            named,
            actor,
            place,
        } => {
            let id = match (actor, named) {
                (Some(actor), _) => format!("actor:{actor}"),
                (None, Some(pass)) if pass.starts_with(pass::PREFIX) => {
                    pass::revocation_id(pass)
                        .map_err(|fault| Misuse::argument(fault.to_string()))?
                }
                (None, Some(id)) => id.clone(),
                (None, None) => return Err(Misuse::argument("name a pass or an actor").into()),
            };
            desk(place).revoke(&id)?;
            match format {
                Format::Text => print::line(format!("revoked {}", plain(&id)))?,
                Format::Json => print::json(&json!({ "revoked": id }))?,
            }
            print::note(
                "a process in this data directory knows within 2 s; rigs that are offline do not",
            );
        }
        AccessCommand::Factor {
            actor,
            org,
            qr,
            place,
        } => {
            let shown = desk(place).factor(actor)?;
            factor(org, actor, &shown, *qr, format)?;
        }
    }
    Ok(Exit::Done)
}

fn desk_now(ambient: &Ambient) -> i64 {
    ambient.wall_ms()
}

fn issue(args: &IssueArgs, desk: &Desk, format: Format) -> anyhow::Result<()> {
    let pass = match (&args.from, args.scope) {
        (Some(from), _) => {
            let less = Less {
                expires_ms: args.ttl.map(|ttl| desk.now_ms().saturating_add(ttl)),
                popup: args.popup.clone(),
                rig: args.rig.clone(),
                actions: args.only.clone(),
                network: args.lan.then_some(Network::Lan),
            };
            desk.hand_on(from, &less)
                .map_err(|fault| Misuse::argument(fault.to_string()))?
        }
        (None, Some(scope)) => {
            let subject = subject(args, scope)?;
            desk.issue(subject, ttl(args, scope)?)
                .context("no pass was issued")?
        }
        (None, None) => return Err(Misuse::argument("say --scope, or --from a pass").into()),
    };
    // In a fragment it is in no log and no Referer.
    let text = match &args.link {
        Some(url) => format!("{url}/#{pass}"),
        None => pass.clone(),
    };
    match format {
        Format::Text => print::line(&text)?,
        Format::Json => {
            let id =
                pass::revocation_id(&pass).map_err(|fault| Misuse::argument(fault.to_string()))?;
            print::json(
                &json!({ "pass": pass, "link": args.link.as_ref().map(|_| &text), "revocation_id": id }),
            )?;
        }
    }
    if args.qr {
        show(&text)?;
    }
    Ok(())
}

/// Whom a new pass speaks of.
fn subject(args: &IssueArgs, scope: Scope) -> anyhow::Result<Subject> {
    let is_of = matches!(scope, Scope::Creator | Scope::Coop | Scope::Till);
    if is_of != args.of.is_some() {
        let says = match is_of {
            true => "say --of whom: the creator, the co-op or the rig",
            false => "this scope is of the whole popup; leave --of out",
        };
        return Err(Misuse::argument(says).into());
    }
    if (scope == Scope::Coop) == args.members.is_empty() {
        return Err(Misuse::argument("a co-op has at least one --member, others have none").into());
    }
    let drawn: [u8; 4] = Ambient::system().random();
    let drawn = format!("a-{:08x}", u32::from_be_bytes(drawn));
    Ok(Subject {
        org: args.org.clone(),
        pass: String::new(),
        actor: args.actor.clone().unwrap_or(drawn),
        scope,
        extent: args.of.clone().unwrap_or_default(),
        members: args.members.clone(),
        popup: args.popup.clone(),
    })
}

fn ttl(args: &IssueArgs, scope: Scope) -> anyhow::Result<i64> {
    let longest = match scope {
        Scope::Till | Scope::Board => MACHINE_TTL_MS,
        Scope::Operator | Scope::Creator | Scope::Coop | Scope::Auditor => Rules::default().ttl_ms,
    };
    let asked = args.ttl.unwrap_or(longest);
    match asked <= longest {
        true => Ok(asked),
        false => {
            let hours = longest / 3_600_000;
            let says = format!("a pass of this scope is good for at most {hours} hours");
            Err(Misuse::argument(says).into())
        }
    }
}

fn inspect(pass: &str, key: Option<&str>, now_ms: i64, format: Format) -> anyhow::Result<Exit> {
    let pass = pass.rsplit('#').next().unwrap_or(pass);
    let blocks = pass::blocks(pass).map_err(|fault| Misuse::argument(fault.to_string()))?;
    let key = key
        .map(|key| {
            AccessPublic::parse(key).ok_or_else(|| {
                Misuse::argument("the key must be what popwatch access keygen prints")
            })
        })
        .transpose()?;
    let at = Circumstances {
        now_ms,
        action: None,
        popup: None,
        rig: None,
        network: Network::Loopback,
    };
    let opened = key.map(|key| pass::open(pass, &key, &at));
    let (verdict, exit) = match &opened {
        None => ("not verified: no key was given".to_owned(), Exit::Done),
        Some(Ok(opened)) => {
            let until = Timestamp::from_millisecond(opened.expires_ms).unwrap_or_default();
            (format!("verified: good until {until}"), Exit::Done)
        }
        Some(Err(fault)) => (format!("{}: {fault}", fault.code()), Exit::No),
    };
    match format {
        Format::Text => {
            for (number, block) in blocks.iter().enumerate() {
                for line in block.lines() {
                    print::line(format!("{number}  {}", plain(line)))?;
                }
            }
            print::line(verdict)?;
        }
        Format::Json => print::json(&json!({
            "blocks": blocks,
            "verified": opened.as_ref().map(Result::is_ok),
            "verdict": verdict,
            "ids": opened.and_then(Result::ok).map(|opened| opened.ids),
        }))?,
    }
    Ok(exit)
}

fn factor(
    org: &str,
    actor: &str,
    shown: &Enrolled,
    qr: bool,
    format: Format,
) -> anyhow::Result<()> {
    let uri = totp::uri(org, actor, &shown.secret);
    if format == Format::Json {
        return print::json(&json!({ "uri": uri, "paper": shown.paper }));
    }
    print::line(&uri)?;
    if qr {
        show(&uri)?;
    }
    print::line("codes for paper, each good once:")?;
    for code in &shown.paper {
        print::line(format!("  {} {}", &code[..5], &code[5..]))?;
    }
    print::note("this is shown once; an earlier second factor of this actor is gone");
    Ok(())
}

fn show(text: &str) -> anyhow::Result<()> {
    for line in qr::lines(text).context("it is too long for a QR code")? {
        print::line(line)?;
    }
    Ok(())
}
