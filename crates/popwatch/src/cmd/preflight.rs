//! `popwatch preflight`: whether doors may open.
//!
//! Measured by [`popwatch_node::preflight`], judged by [`popwatch_core::preflight`]; printed here, for a
//! terminal, a program, or as one page for the folder under the counter ([`sheet`]).

mod sheet;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use popwatch_core::id::PopupId;
use popwatch_core::preflight::{Finding, Outcome, POPUP_PREFIX, Severity, Step, Verdict};
use popwatch_node::config::Config;
use popwatch_node::member;
use popwatch_node::preflight::{self, Asked, Report};
use popwatch_wire::json::rfc3339;
use serde_json::{Value, json};

use crate::args::base_url;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format};

/// `popwatch preflight`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: popwatch preflight night-market
         popwatch preflight night-market --config till-1.toml --html preflight.html --strict

Run it on each rig, while popwatch run works there, with the same --config or --data. It measures
power, disk, clock and the way to each peer, sells three times in a popup of its own and follows the
sale to a signed close. Exit status 3 on a no-go, with --strict on a warning too.")]
pub(crate) struct PreflightArgs {
    /// The popup; its window says how long power and disk must last.
    popup: Option<String>,
    /// The configuration of this rig.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where this rig's journal and keys live; over what the configuration says.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A peer beside those of the configuration; may be given several times.
    #[arg(long = "peer", value_name = "URL", value_parser = base_url)]
    peers: Vec<String>,
    /// The rig has mains for the whole popup.
    #[arg(long)]
    mains: bool,
    /// Somebody found out what the card terminal does without a network.
    #[arg(long)]
    offline_cards: bool,
    /// Events that this rig will take in the whole popup; 20,000 an hour if absent.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// A log file or folder to search for planted values; may be given several times.
    #[arg(long = "log", value_name = "PATH")]
    logs: Vec<PathBuf>,
    /// Write the findings as one page to print.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A warning is a refusal too.
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(args: &PreflightArgs, format: Format) -> anyhow::Result<Exit> {
    if let Some(popup) = &args.popup {
        let id = PopupId::new(popup);
        id.map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
        if popup.starts_with(POPUP_PREFIX) {
            let says = format!("names that begin with {POPUP_PREFIX} are a preflight's own");
            return Err(Misuse::argument(says).into());
        }
    }
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => {
            let usual = std::path::Path::new("popwatch-data");
            member::usual(args.data.as_deref().unwrap_or(usual))
        }
    };
    if let Some(data) = &args.data {
        config.data.clone_from(data);
    }
    let data = config.data.clone();
    let asked = Asked {
        config,
        popup: args.popup.clone(),
        peers: args.peers.clone(),
        mains: args.mains,
        offline_cards: args.offline_cards,
        events: args.events,
        logs: args.logs.clone(),
        shows_pass: caller::shows_pass(),
    };
    let shown = format == Format::Text && std::io::stderr().is_terminal();
    let bar = match shown {
        true => indicatif::ProgressBar::new_spinner(),
        false => indicatif::ProgressBar::hidden(),
    };
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut tell = |check: popwatch_core::preflight::Check| bar.set_message(check.name());
    let report = preflight::run(asked, caller::client(), &mut tell).await;
    bar.finish_and_clear();
    if report.rig.is_some() && data.is_dir() {
        let document = document(&report, args.strict);
        let kept = preflight::remember(&data, &document, verdict(&report));
        if let Err(fault) = kept {
            print::note(format!(
                "the rig's page will not show this preflight: {} cannot be written: {fault}",
                data.display()
            ));
        }
    }
    if let Some(path) = &args.html {
        let page = sheet::html(&report);
        std::fs::write(path, page).map_err(|fault| {
            Misuse::input(format!("{} cannot be written: {fault}", path.display()))
        })?;
        print::note(format!("written: {}", path.display()));
    }
    match format {
        Format::Json => print::json_pretty(&document(&report, args.strict))?,
        Format::Text => lines(&report).iter().try_for_each(print::line)?,
    }
    Ok(match report.verdict().is_refusal(args.strict) {
        true => Exit::No,
        false => Exit::Done,
    })
}

/// The answer for programs.
fn verdict(report: &Report) -> &'static str {
    match report.verdict() {
        Verdict::Go => "go",
        Verdict::Warnings => "go_with_warnings",
        Verdict::NoGo => "no_go",
    }
}

/// The report for programs.
fn document(report: &Report, strict: bool) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "check": finding.check.name(), "code": finding.check.code().to_string(),
            "severity": severity(finding.severity), "measured": finding.measured,
            "needed": finding.needed, "todo": finding.todo,
        })
    };
    let step = |step: &Step| match &step.outcome {
        Outcome::Done(ms) => json!({ "step": step.name, "outcome": "done", "ms": ms }),
        Outcome::Failed(why) => json!({ "step": step.name, "outcome": "failed", "why": why }),
        Outcome::Stopped(why) => json!({ "step": step.name, "outcome": "stopped", "why": why }),
    };
    json!({
        "verdict": verdict(report), "refused": report.verdict().is_refusal(strict),
        "popup": report.popup, "rig": report.rig, "at": rfc3339(report.at_ms),
        "at_ms": report.at_ms, "policy": report.policy,
        "version": env!("CARGO_PKG_VERSION"),
        "window": {
            "starts": rfc3339(report.window.starts_ms), "ends": rfc3339(report.window.ends_ms),
            "announced": report.window_known,
        },
        "page": report.page, "rehearsal": report.rehearsal,
        "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// A severity as JSON has it.
const fn severity(of: Severity) -> &'static str {
    match of {
        Severity::Pass => "pass",
        Severity::NotChecked => "not_checked",
        Severity::Warning => "warning",
        Severity::NoGo => "no_go",
    }
}

/// The report for people: the verdict, what is wrong and what to do, then what is well.
fn lines(report: &Report) -> Vec<String> {
    let popup = report.popup.as_deref().unwrap_or("no popup named");
    let rig = report.rig.as_deref().unwrap_or("no rig");
    let mut out = vec![format!(
        "{}: {popup}, {rig}",
        report.verdict().to_string().to_uppercase()
    )];
    if !report.window_known {
        out.push(String::from(
            "(the popup's window is not announced: the next 8 hours are taken)",
        ));
    }
    let mut worst: Vec<&Finding> = report.findings.iter().collect();
    worst.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in worst
        .iter()
        .filter(|finding| finding.severity != Severity::Pass)
    {
        let (check, severity) = (finding.check.name(), finding.severity.text());
        out.push(String::new());
        out.push(format!("{severity:<12} {check}  {}", finding.check.code()));
        out.push(format!("  found   {}", print::plain(&finding.measured)));
        out.push(format!("  needed  {}", finding.needed));
        out.push(format!("  do      {}", print::plain(&finding.todo)));
    }
    let well = worst
        .iter()
        .filter(|finding| finding.severity == Severity::Pass);
    let rows: Vec<Vec<String>> = well
        .map(|finding| {
            let measured = print::plain(&finding.measured);
            vec![
                String::from("pass"),
                finding.check.name().to_owned(),
                measured,
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.push(String::new());
        out.extend(print::table(&rows, &[]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::preflight::{Check, Window};

    /// A report with one finding of each weight.
    pub(super) fn report() -> Report {
        let finding = |check, severity, measured: &str| Finding {
            check,
            severity,
            measured: measured.to_owned(),
            needed: "what is needed".to_owned(),
            todo: match severity {
                Severity::Pass => String::new(),
                Severity::NotChecked | Severity::Warning | Severity::NoGo => {
                    "plug it in <now>".to_owned()
                }
            },
        };
        Report {
            popup: Some("fri".into()),
            policy: Value::Null,
            rig: Some("till-1".into()),
            at_ms: 1_795_452_339_435,
            window: Window {
                now_ms: 0,
                starts_ms: 0,
                ends_ms: 3_600_000,
            },
            window_known: true,
            page: Some("http://192.168.1.7:8710".into()),
            rehearsal: Some("preflight-fri-1".into()),
            steps: vec![Step {
                name: "safe on this till",
                outcome: Outcome::Done(4),
            }],
            findings: vec![
                finding(Check::Power, Severity::NoGo, "battery 5 %\u{1b}[2J"),
                finding(Check::Clock, Severity::NotChecked, "no peer"),
                finding(Check::Disk, Severity::Pass, "9 GiB free"),
            ],
        }
    }

    #[test]
    fn the_worst_stands_first_and_what_is_well_last() {
        let lines = lines(&report());
        assert_eq!(lines[0], "NO-GO: fri, till-1");
        assert_eq!(lines[2], "no-go        power  PW1301");
        assert_eq!(lines[3], "  found   battery 5 %·[2J");
        assert!(
            lines
                .iter()
                .any(|line| line == "  do      plug it in <now>")
        );
        assert_eq!(
            lines.last().map(String::as_str),
            Some("pass  disk  9 GiB free")
        );
    }

    #[test]
    fn a_program_reads_the_same() {
        let document = document(&report(), false);
        assert_eq!(document["verdict"], "no_go");
        assert_eq!(document["refused"], true);
        assert_eq!(document["findings"][1]["severity"], "not_checked");
        assert_eq!(document["findings"][0]["code"], "PW1301");
        assert_eq!(document["steps"][0]["ms"], 4);
    }
}
