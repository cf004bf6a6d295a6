//! The command line.

use crate::cmd::access::AccessArgs;
use crate::cmd::policy::PolicyArgs;
use crate::cmd::preflight::PreflightArgs;
use crate::cmd::raw::RawArgs;
use crate::cmd::report::ReportArgs;
use crate::print::Format;
use clap::{Parser, Subcommand};
use popwatch_core::membership::IdKey;
use std::path::PathBuf;

/// Observability for live commerce and pop-ups.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example: popwatch demo\n\n\
    Exit status: 0 done; 1 failed; 2 wrong usage or unreadable input; 3 done and the answer is no."
)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// In which form results are printed.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// A file with the pass to show to the popwatch that is called.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pass: Option<PathBuf>,
    /// A code of the second factor.
    #[arg(long, global = true, value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay a bundled real trading day through four rigs, cut one's network, close the books.
    Demo(DemoArgs),
    /// Run the roles of this machine: edge, region, ledger or all three.
    Run(RunArgs),
    /// Send events from a file or standard input to an edge; print each verdict.
    Send(SendArgs),
    /// Replay a sales file (CSV or NDJSON) as a popup through given edges.
    Replay(ReplayArgs),
    /// Read the journal of a stopped edge: what is in it, what is missing; copy what is sound.
    Journal(JournalArgs),
    /// Print what a ledger's reconciliation of a popup found.
    Reconcile(ReconcileArgs),
    /// Find out whether doors may open: power, disk, clock, peers, and a sale all the way.
    Preflight(PreflightArgs),
    /// Write what became of a popup as one page that opens from the disk and prints.
    Report(ReportArgs),
    /// Print what a creator earned in a popup, line by line.
    Statement(StatementArgs),
    /// Close a popup's books and print the signed certificate's hash, or verify certificates.
    Close(CloseArgs),
    /// Print a popup's books as a journal for hledger or ledger, or as CSV.
    Export(ExportArgs),
    /// Read and verify the trail of who did what to the books.
    Audit(AuditArgs),
    /// Write, check, compare and sign policies.
    Policy(PolicyArgs),
    /// Read single records, for a purpose that is written down.
    Raw(RawArgs),
    /// Make, read and revoke passes and second factors.
    Access(AccessArgs),
    /// Let a new machine into the organisation, or a lost one out.
    Enrol(EnrolArgs),
    /// Show a popup live in the terminal, from an edge or a region.
    Top(TopArgs),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Write the manual: a page for each command.
    Man(ManArgs),
}

/// `popwatch completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch completions bash > ~/.local/share/bash-completion/completions/popwatch
         popwatch completions fish > ~/.config/fish/completions/popwatch.fish")]
pub(crate) struct CompletionsArgs {
    /// Whose.
    pub(crate) shell: clap_complete::Shell,
}

/// `popwatch man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// A folder that exists.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// `popwatch enrol`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch enrol --new till-1 --popup night-market --address 192.168.1.5:8730
         popwatch enrol \"baba dabo zulu vuzu dabo basa hadi bofi\" https://192.168.1.5:8730
         popwatch enrol --list
         popwatch enrol --revoke till-1

At the ledger --new makes a code of eight words for one machine: it may be used once, within 15
minutes. On the new machine the words and the ledger's address are all it takes; popwatch run then
works as that rig, with its peers. --revoke: what a lost machine sends from then on is kept and not
booked until --accept says so.")]
pub(crate) struct EnrolArgs {
    /// On a new machine: the words of its code, then the ledger's address.
    #[arg(value_name = "CODE URL", conflicts_with_all = ["new", "list", "revoke", "accept"])]
    pub(crate) words: Vec<String>,
    /// Where journals, books and keys of the new machine will live.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// At the ledger: make a code for a machine of this name.
    #[arg(long, value_name = "RIG", conflicts_with_all = ["list", "revoke", "accept"])]
    pub(crate) new: Option<String>,
    /// A popup that it sells for; all if none is given.
    #[arg(long = "popup", value_name = "POPUP", requires = "new")]
    pub(crate) popups: Vec<String>,
    /// What the machine does.
    #[arg(long, requires = "new", value_parser = ["rig", "region"])]
    pub(crate) kind: Option<String>,
    /// Sales after this moment, RFC 3339, wait for a person.
    #[arg(long, value_name = "TIME", requires = "new")]
    pub(crate) until: Option<String>,
    /// Where the new machine reaches the ledger, for the printed command and its QR code.
    #[arg(long, value_name = "HOST:PORT", requires = "new")]
    pub(crate) address: Option<String>,
    /// Show who is enrolled.
    #[arg(long, conflicts_with_all = ["revoke", "accept"])]
    pub(crate) list: bool,
    /// From now on keep what this machine sends and do not book it.
    #[arg(long, value_name = "RIG", conflicts_with = "accept")]
    pub(crate) revoke: Option<String>,
    /// Book what was kept of a revoked machine.
    #[arg(long, value_name = "RIG")]
    pub(crate) accept: Option<String>,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
}

/// `popwatch top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch top
         popwatch top --url http://192.168.1.5:8720 --popup night-market
         popwatch top --once --format json

Keys: q quit, Tab pane, s sort, c currency, p pause, ? help. Where the output is no terminal one
picture is printed. With --format json each row is a line, again whenever it changes.")]
pub(crate) struct TopArgs {
    /// The edge or region.
    #[arg(long, default_value = "http://127.0.0.1:8720")]
    pub(crate) url: String,
    /// Which popup; the one that began last if absent.
    #[arg(long)]
    pub(crate) popup: Option<String>,
    /// Print what is shown now and leave.
    #[arg(long)]
    pub(crate) once: bool,
}

/// `popwatch demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch demo
         popwatch demo --speed 0 --exit --format json

Everything runs in this process over loopback: four edges on 8711 to 8714, a region on 8720, a
ledger on 8730. Exit status 3 when the books do not close.")]
pub(crate) struct DemoArgs {
    /// How many times faster than life; 0 is flat out.
    #[arg(long, value_name = "N", default_value_t = crate::cmd::DEMO_SPEED)]
    pub(crate) speed: u32,
    /// Leave when the books are closed instead of keeping the pages up.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Keep journals and books here, and go on from what is there; a temporary folder if absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Another day in the same layout.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// The usual ports, or any free ones.
    #[arg(long, value_enum, default_value = "usual")]
    pub(crate) ports: Ports,
}

/// Which ports a demo takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ports {
    /// 8711 to 8714, 8720 and 8730.
    Usual,
    /// Whatever is free.
    Any,
}

/// `popwatch run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch run
         popwatch run --role edge --config till-1.toml --data /var/lib/popwatch

With no configuration all three roles run in one process and feed each other: the till reports to
http://127.0.0.1:8710/v1/events, the page for everybody is http://127.0.0.1:8720/.")]
pub(crate) struct RunArgs {
    /// Which role; all that the configuration has if absent.
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleChoice>,
    /// A TOML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where journals, books and keys live; over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// A role on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleChoice {
    /// Admits, journals, folds, ships.
    Edge,
    /// Holds cells, serves live reads.
    Region,
    /// Holds records and books.
    Ledger,
    /// All three.
    All,
}

/// `popwatch send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch send sales.ndjson --edge http://127.0.0.1:8710
         tail -f till.ndjson | popwatch send -

Without --content-type the file is NDJSON (one structured CloudEvent per line, sent in batches), one
CloudEvent as a JSON object, or a JSON array of them. The same ids may be sent again: a repeat is
answered `duplicate` and changes nothing. Exit status 3 when any event was rejected.")]
pub(crate) struct SendArgs {
    /// The events; `-` is standard input.
    pub(crate) file: PathBuf,
    /// Base URL of the edge.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8710", value_parser = base_url)]
    pub(crate) edge: String,
    /// Send the file as one body of this media type, unread.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

/// `popwatch replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch replay 2011-12-05.csv --popup rehearsal --speed 60 \\
             --edge http://127.0.0.1:8711 --edge http://127.0.0.1:8712

A CSV file has the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice,
CustomerID, Country; its documents go to the edges by their rig (digits of InvoiceNo modulo 4,
modulo the number of edges). Its checkout durations are stand-ins from another world. An NDJSON file
has one structured CloudEvent with `time` per line; each source goes to one edge. Like a till, the
replay tries again until an edge answers, with the same ids. Exit status 3 when any event was
rejected.")]
pub(crate) struct ReplayArgs {
    /// The sales file.
    pub(crate) file: PathBuf,
    /// Base URL of an edge; give one per rig.
    #[arg(long = "edge", value_name = "URL", required = true, value_parser = base_url)]
    pub(crate) edges: Vec<String>,
    /// The popup the sales belong to.
    #[arg(long)]
    pub(crate) popup: String,
    /// How long the popup lasts, hours.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=168))]
    pub(crate) hours: u32,
    /// How many times faster than life; 0 is flat out.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) speed: u32,
    /// When the doors open, RFC 3339; HOURS before now if absent, so that no sale lies ahead.
    #[arg(long, value_name = "TIME")]
    pub(crate) starts: Option<String>,
    /// Give each document the currency of its Country, with the same integer of minor units.
    #[arg(long)]
    pub(crate) currency_by_country: bool,
}

/// `popwatch journal`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch journal fsck ./till-1
         popwatch journal export ./till-1 > till-1.ndjson

Nothing of the journal is ever changed: a till repairs itself when it starts, and these commands look
at it before that. The edge must be stopped, or the folder a copy. However long the journal, they
take little memory.")]
pub(crate) struct JournalArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: JournalCommand,
}

/// One way to read a journal.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// List segments, epochs, seals and records, without what the records say.
    #[command(after_help = "\
Example: popwatch journal inspect ./till-1
         popwatch journal inspect ./till-1 --format json | grep payment.captured

One line per segment, below it one per record: its number, class, type, length and place in the
file. With --format json each is a JSON document on a line of its own.")]
    Inspect(JournalDir),
    /// Check every frame, chain and total; name every gap and its worth. Status 3 when not whole.
    #[command(after_help = "\
Example: popwatch journal fsck ./till-1
         popwatch journal fsck ./till-1 --format json

Prints a line per epoch, such as
  till-1 epoch 3: 1..18221, missing 412..415 (media, EUR 412.50)
The cause is media (damaged bytes), torn (a segment ends too early), missing_file or thinned. The
worth is exact: the running totals behind the gap say it. `value unknown` means that nothing behind
it does. Exit status 0: whole; 3: records are missing or contradict each other; 2: no journal.")]
    Fsck(JournalDir),
    /// Write all sound records to a new folder, in their old places; never changes this one.
    #[command(after_help = "\
Example: popwatch journal repair --out ./till-1-repaired ./till-1
         popwatch run --role edge --data ./till-1-repaired

A till does not need this to start: it recovers by itself. It is for reading a journal off a dying
disk. The copy has every sound record at its old offset, whole headers and new footers, and opens
with the same gaps at the same worth. What was cut off as junk stays behind, and so do the books of
a ledger. Keep the old folder until the ledger has acknowledged everything. Exit status 0: done, gaps
or not; `fsck` tells which.")]
    Repair(RepairArgs),
    /// Print all records as CloudEvents, one per line, with poprig, popepoch and popseq.
    #[command(after_help = "\
Example: popwatch journal export ./till-1 > till-1.ndjson

In order of epoch and number. `popwatch send` reads the result; records that popwatch wrote itself
are refused there, all others are recognised as repeats where they are known. Sealed parts stay shut.
A till with an audit trail finds a note in its folder when it starts, and writes the export down.")]
    Export(ExportDir),
}

/// Whose journal.
#[derive(Debug, clap::Args)]
pub(crate) struct JournalDir {
    /// The --data folder of an edge.
    pub(crate) dir: PathBuf,
}

/// `popwatch journal export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportDir {
    /// The --data folder of an edge.
    pub(crate) dir: PathBuf,
    /// Sealed parts: they stay shut here, popwatch raw opens them.
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) parts: Vec<String>,
}

/// `popwatch journal repair`.
#[derive(Debug, clap::Args)]
pub(crate) struct RepairArgs {
    /// A new or empty folder for the copy, not inside the other.
    #[arg(long, value_name = "DIR2")]
    pub(crate) out: PathBuf,
    /// The --data folder of an edge.
    #[arg(value_name = "DATA")]
    pub(crate) dir: PathBuf,
}

/// `popwatch reconcile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch reconcile fri-market
         popwatch reconcile fri-market --settlement stripe:main=stripe.csv --count stock.csv
         popwatch reconcile fri-market --accept k3m7 --to 5090 --why \"receipts found\"
         popwatch reconcile fri-market --match pay-17 stripe:main:pi_3 --why \"same customer\"
         popwatch reconcile fri-market --paid creators.json

Files and decisions are taken first, in this order; then the books are reconciled and printed. The same
file again changes nothing. --paid is a JSON array of {creator, currency, amount, paid_at, reference},
amounts in minor units. Exit status 3 when a break of severity m (money) or w (warning) is open.")]
pub(crate) struct ReconcileArgs {
    /// The popup.
    pub(crate) popup: String,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
    /// A settlement file and whose it is: PROVIDER=FILE, or PROVIDER:ACCOUNT=FILE where there are several;
    /// a file of the bank is bank:ACCOUNT=FILE.
    #[arg(long = "settlement", value_name = "OF=FILE")]
    pub(crate) settlements: Vec<String>,
    /// A count sheet, CSV or JSON.
    #[arg(long = "count", value_name = "FILE")]
    pub(crate) counts: Vec<PathBuf>,
    /// Timers run out by this moment, RFC 3339; now if absent.
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
    /// Evaluate everything anew.
    #[arg(long)]
    pub(crate) full: bool,
    /// Take a break as it is; its id or the beginning of it.
    #[arg(long, value_name = "BREAK", requires_all = ["to", "why"])]
    pub(crate) accept: Option<String>,
    /// The account that takes the suspense of the accepted break.
    #[arg(long, value_name = "ACCOUNT", requires = "accept")]
    pub(crate) to: Option<String>,
    /// Say that a claim and a provider's object (PROVIDER:ACCOUNT:ID) are one payment.
    #[arg(long = "match", value_names = ["CLAIM", "OBJECT"], num_args = 2, requires = "why")]
    pub(crate) matched: Vec<String>,
    /// Why: for --accept and --match.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// What creators were paid, JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) paid: Option<PathBuf>,
}

/// `popwatch statement`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch statement fri-market ana
         popwatch statement fri-market ana --csv > ana.csv

earned - reversed = held + available + paid - receivable, in each currency. At risk is the part of held
whose payments a device stored offline.")]
pub(crate) struct StatementArgs {
    /// The popup.
    pub(crate) popup: String,
    /// Whose statement.
    pub(crate) creator: String,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
    /// The lines for a spreadsheet, amounts in minor units.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// `popwatch close`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch close fri-market
         popwatch close fri-market --format json > fri-market-1.json
         popwatch close fri-market --verify fri-market-1.json --key local.close.popwatch+1f...+AU...

Closing again what did not change gives the same certificate. --verify needs the files and the public
key alone; several files are a chain and are given from the first on. Exit status 3 when a break about
money is open, or when a certificate is not what was signed (PW0354, with the field).")]
pub(crate) struct CloseArgs {
    /// The popup.
    pub(crate) popup: String,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
    /// What is vouched for: edge (every rig's records), settled (and all money on the bank account).
    #[arg(long, default_value = "edge", value_parser = ["edge", "settled"])]
    pub(crate) scope: String,
    /// Close although breaks about money are open; the certificate lists them.
    #[arg(long)]
    pub(crate) allow_open: bool,
    /// Verify these certificates instead, the oldest first.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) verify: Vec<PathBuf>,
    /// The public key; the ledger is asked for it if absent.
    #[arg(long, value_name = "KEY", requires = "verify")]
    pub(crate) key: Option<String>,
}

/// `popwatch export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch export fri-market > fri-market.journal
         hledger -f fri-market.journal balance
         popwatch export fri-market --journal csv > balances.csv

One transaction per effective entry. A provider account's own book is named ~stripe:main.")]
pub(crate) struct ExportArgs {
    /// The popup.
    pub(crate) popup: String,
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
    /// In which form.
    #[arg(long, value_enum, default_value = "hledger")]
    pub(crate) journal: JournalFormat,
}

/// `popwatch audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch audit tail
         popwatch audit who fri
         popwatch audit prove 12 > close.tlog-proof
         popwatch audit verify close.tlog-proof --key local.audit.popwatch+1f...+AU...
         popwatch audit checkpoint > friday.checkpoint
         popwatch audit verify --held friday.checkpoint --key local.audit.popwatch+1f...+AU...

A proof needs the file and the public key alone. Without a file the whole trail is read from the ledger
and compared with its signed head, and with an older one that was kept: a trail that shrank or was
rewritten is named. Exit status 3 when something is not what was signed (PW0806).")]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// What to do with the trail.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the newest entries.
    Tail {
        /// Number of the first entry instead.
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// How many entries.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
        limit: u64,
        #[command(flatten)]
        of: AuditOf,
    },
    /// Print who looked at a popup's single records, what for, and what became of it.
    Who {
        /// The popup.
        popup: String,
        #[command(flatten)]
        of: AuditOf,
    },
    /// Print the newest heads seen of the peers' trails; status 3 when one is not believed.
    Peers {
        #[command(flatten)]
        of: AuditOf,
    },
    /// Say why a peer's trail is not what it was; its next head is taken anew.
    Accept {
        /// The trail, as audit peers prints it.
        origin: String,
        /// Why; kept beside the old head.
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// The data directory that does not believe it.
        #[arg(long, value_name = "DIR", default_value = "popwatch-data")]
        data: PathBuf,
    },
    /// Print the proof that an entry is in the trail.
    Prove {
        /// Its number.
        number: u64,
        #[command(flatten)]
        of: AuditOf,
    },
    /// Print the signed head of the trail, to keep.
    Checkpoint {
        #[command(flatten)]
        of: AuditOf,
    },
    /// Verify a proof, or the whole trail.
    Verify {
        /// A proof; the whole trail if absent.
        file: Option<PathBuf>,
        /// The public key, as audit tail prints it.
        #[arg(long, value_name = "KEY")]
        key: String,
        /// A signed head that was kept: the trail must continue it.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        held: Option<PathBuf>,
        #[command(flatten)]
        of: AuditOf,
    },
}

/// Whose trail.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditOf {
    /// Base URL of the ledger.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8730", value_parser = base_url)]
    pub(crate) ledger: String,
}

/// What reads the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum JournalFormat {
    /// hledger.
    Hledger,
    /// ledger.
    Ledger,
    /// A spreadsheet: the balances.
    Csv,
}

/// `http://host:port` or `https://KEY@host:port`, without a slash at its end.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let plain = text
        .strip_prefix("http://")
        .is_some_and(|rest| !rest.is_empty());
    let keyed = text
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('@'));
    let keyed = keyed.is_some_and(|(key, at)| IdKey::parse(key).is_some() && !at.is_empty());
    match plain || keyed {
        true => Ok(text.to_owned()),
        false => Err(
            "give an address of the form http://host:port, or https://KEY@host:port with the key \
             that popwatch run prints there"
                .to_owned(),
        ),
    }
}

/// The address under which people open a page, without a slash at its end: a key in it, as
/// `popwatch run` prints one for programs, is left out.
pub(crate) fn page_url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let parts = text.split_once("://").filter(|(scheme, at)| {
        ["http", "https"].contains(scheme) && !at.is_empty() && !at.starts_with('@')
    });
    let (scheme, at) =
        parts.ok_or("give the address of the page: http://host:port or https://host:port")?;
    let host = at.rsplit_once('@').map_or(at, |(_, host)| host);
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_page_is_opened_without_the_key_of_its_popwatch() {
        let page: Result<&str, &String> = Ok("https://10.0.0.1:8720");
        assert_eq!(page_url("https://10.0.0.1:8720/").as_deref(), page);
        let keyed = format!("https://{}@10.0.0.1:8720", "4d0c".repeat(16));
        assert_eq!(page_url(&keyed).as_deref(), page);
        assert!(page_url("10.0.0.1:8720").is_err() && page_url("https://").is_err());
    }

    #[test]
    fn the_command_line_is_sound_and_each_command_has_an_example() {
        let mut command = Args::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands_mut() {
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Example: popwatch "), "{}", sub.get_name());
        }
    }

    #[test]
    fn addresses_are_checked_early() {
        assert_eq!(base_url("http://a:1/").as_deref(), Ok("http://a:1"));
        assert!(base_url("a:1").is_err() && base_url("https://a").is_err());
        assert!(base_url("http:///").is_err());
        let keyed = format!("https://{}@a:1", IdKey([7; 32]));
        assert_eq!(base_url(&format!("{keyed}/")), Ok(keyed));
    }
}
