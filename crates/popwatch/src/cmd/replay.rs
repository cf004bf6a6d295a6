//! `popwatch replay`: a sales file as a popup, compressed in time, through given edges.

use crate::args::ReplayArgs;
use crate::assets;
use crate::exit::{Exit, Misuse};
use crate::player::{Cue, Player, by_rig};
use crate::print::{self, Format};
use crate::till::{Patience, Tally, Till};
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use jiff::Timestamp;
use popwatch_core::id::{PopupId, Source};
use popwatch_core::limits;
use popwatch_core::money::{Currency, Money};
use popwatch_core::time::WallMs;
use popwatch_wire::sales_file::sequence::Sequence;
use popwatch_wire::sales_file::{CurrencyRule, Day, Durations, Plan, SalesFileFault, TimedEvent};
use popwatch_wire::verdict::{Status, Verdict};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// A sales file of either kind.
pub(crate) enum SalesFile {
    /// A sheet of documents.
    Sheet(Day),
    /// Events, one per line.
    Events(Sequence),
}

/// A sales file on its way to the edges.
pub(crate) struct Replay {
    /// What is replayed.
    pub(crate) file: SalesFile,
    /// As which popup.
    pub(crate) plan: Plan,
    /// Stand-in checkout durations of a sheet.
    pub(crate) durations: Durations,
}

/// What a replay told its edges and what they said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Verdicts of all events.
    pub(crate) tally: Tally,
    /// Money of the events that are safe on their till, per currency.
    pub(crate) money: BTreeMap<String, MoneyTotals>,
}

/// Captures and refunds in one currency, minor units.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MoneyTotals {
    pub(crate) sales: u64,
    pub(crate) captured: i64,
    pub(crate) refunds: u64,
    pub(crate) refunded: i64,
}

pub(super) async fn run(args: &ReplayArgs, format: Format) -> anyhow::Result<Exit> {
    let replay = prepare(args)?;
    let tills: Vec<Till> = args
        .edges
        .iter()
        .map(|edge| Till::new(edge, Patience::Endless))
        .collect();
    let cues = replay.cues();
    let documents = cues.len();
    let length = u64::try_from(documents).unwrap_or(u64::MAX);
    let bar = print::progress(length, replay.file.unit());
    let player = Player::start(args.speed);
    let totals = send(&replay, &player, &tills, &bar).await?;
    bar.finish_and_clear();
    report(
        &replay,
        args,
        documents,
        player.elapsed().as_millis(),
        &totals,
        format,
    )?;
    Ok(if totals.tally.rejected_total() == 0 {
        Exit::Done
    } else {
        Exit::No
    })
}

/// Plays the file to the edges, each at its own pace.
async fn send(
    replay: &Replay,
    player: &Player,
    tills: &[Till],
    bar: &ProgressBar,
) -> anyhow::Result<Totals> {
    let totals = RefCell::new(Totals::default());
    let lanes = by_rig(replay.cues(), tills.len()).into_iter().zip(tills);
    let lanes = lanes.map(|(cues, till)| {
        let totals = &totals;
        player.play(cues, async move |cue: Cue<usize>| {
            let events = replay.events(cue.what)?;
            let events: Vec<Value> = events.into_iter().map(|timed| timed.event).collect();
            let verdicts = till.report(&events).await?;
            totals.borrow_mut().count(&events, &verdicts);
            bar.inc(1);
            anyhow::Ok(())
        })
    });
    try_join_all(lanes).await?;
    Ok(totals.into_inner())
}

impl SalesFile {
    /// Reads a file of either kind: NDJSON begins with a brace.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SalesFileFault> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if text.trim_ascii_start().starts_with(b"{") {
            Sequence::read(bytes).map(Self::Events)
        } else {
            Day::read(bytes).map(Self::Sheet)
        }
    }

    const fn unit(&self) -> &'static str {
        match self {
            Self::Sheet(_) => "documents",
            Self::Events(_) => "events",
        }
    }
}

impl Replay {
    /// When each document or event of the file happens, and at which rig.
    pub(crate) fn cues(&self) -> Vec<Cue<usize>> {
        let hours = self.plan.hours;
        match &self.file {
            SalesFile::Sheet(day) => {
                let documents = day.documents.iter().enumerate();
                documents
                    .map(|(what, document)| Cue {
                        rig_index: usize::from(document.rig_index),
                        offset_ms: day.offset_ms(document, hours),
                        what,
                    })
                    .collect()
            }
            SalesFile::Events(sequence) => {
                let events = sequence.events.iter().enumerate();
                events
                    .map(|(what, event)| Cue {
                        rig_index: event.rig_index,
                        offset_ms: sequence.offset_ms(event, hours),
                        what,
                    })
                    .collect()
            }
        }
    }

    /// The events of the document or event `what`.
    pub(crate) fn events(&self, what: usize) -> Result<Vec<TimedEvent>, SalesFileFault> {
        match &self.file {
            SalesFile::Sheet(day) => self.plan.events(day, &day.documents[what], &self.durations),
            SalesFile::Events(sequence) => {
                Ok(vec![sequence.event(&self.plan, &sequence.events[what])])
            }
        }
    }
}

impl Totals {
    /// Counts what one request told.
    pub(crate) fn count(&mut self, events: &[Value], verdicts: &[Verdict]) {
        for (event, verdict) in events.iter().zip(verdicts) {
            self.tally.count(verdict);
            let data = &event["data"];
            let (Some(amount), Some(currency)) =
                (data["amount"].as_i64(), data["currency"].as_str())
            else {
                continue;
            };
            if verdict.status == Status::Rejected {
                continue;
            }
            let row = self.money.entry(currency.to_owned()).or_default();
            match event["type"].as_str() {
                Some("popwatch.payment.captured") => {
                    row.sales += 1;
                    row.captured = row.captured.saturating_add(amount);
                }
                Some("popwatch.payment.refunded") => {
                    row.refunds += 1;
                    row.refunded = row.refunded.saturating_add(amount);
                }
                Some(_) | None => {}
            }
        }
    }
}

/// Reads the file and checks everything that can be wrong before the first event is sent.
fn prepare(args: &ReplayArgs) -> anyhow::Result<Replay> {
    let name = args.file.display();
    let popup =
        PopupId::new(&args.popup).map_err(|fault| Misuse::argument(format!("--popup {fault}")))?;
    let source = source(&args.file)?;
    let bytes = read_file(&args.file)?;
    let unreadable = |fault: SalesFileFault| Misuse::input(format!("{name}: {fault}"));
    let file = SalesFile::read(&bytes).map_err(unreadable)?;
    let plan = Plan {
        source,
        popup,
        starts: starts(args)?,
        hours: args.hours,
        currency: match args.currency_by_country {
            true => CurrencyRule::ByCountry,
            false => CurrencyRule::Pounds,
        },
    };
    let replay = Replay {
        file,
        plan,
        durations: assets::durations()?,
    };
    for cue in replay.cues() {
        replay.events(cue.what).map_err(unreadable)?;
    }
    Ok(replay)
}

/// `/replay/<file stem>`, in the characters of an event source.
fn source(file: &Path) -> Result<Source, Misuse> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| Misuse::argument("the file needs a name in UTF-8"))?;
    Source::new(&format!("/replay/{stem}"))
        .map_err(|fault| Misuse::argument(format!("the file's name {fault}; rename it")))
}

fn read_file(file: &Path) -> Result<Vec<u8>, Misuse> {
    use std::io::Read;
    let name = file.display();
    let bound = u64::try_from(limits::SALES_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(bound + 1).read_to_end(&mut bytes))
        .map_err(|error| Misuse::input(format!("cannot read {name}: {error}")))?;
    Ok(bytes)
}

fn starts(args: &ReplayArgs) -> Result<WallMs, Misuse> {
    match &args.starts {
        None => {
            let length_ms = i64::from(args.hours) * 3_600_000;
            Ok(WallMs(Timestamp::now().as_millisecond() - length_ms))
        }
        Some(text) => {
            let starts: Timestamp = text.parse().map_err(|_| {
                Misuse::argument("--starts must be an RFC 3339 time such as 2026-05-01T19:00:00Z")
            })?;
            Ok(WallMs(starts.as_millisecond()))
        }
    }
}

fn report(
    replay: &Replay,
    args: &ReplayArgs,
    count: usize,
    took_ms: u128,
    totals: &Totals,
    format: Format,
) -> anyhow::Result<()> {
    let starts = Timestamp::from_millisecond(replay.plan.starts.0)?;
    match format {
        Format::Json => print::json_pretty(&summary(replay, &starts, count, totals)),
        Format::Text => {
            let edges = args.edges.len();
            print::line(format!(
                "{}  {count} {} to {edges} {} as {} h from {starts}, in {}.{} s",
                replay.plan.popup,
                replay.file.unit(),
                if edges == 1 { "edge" } else { "edges" },
                args.hours,
                took_ms / 1_000,
                took_ms % 1_000 / 100,
            ))?;
            for line in money_lines(totals) {
                print::line(line)?;
            }
            print::line(totals.tally.sentence())?;
            if matches!(replay.file, SalesFile::Sheet(_)) {
                print::line(
                    "checkout durations are stand-ins: sales and durations come from different worlds",
                )?;
            }
            Ok(())
        }
    }
}

/// `GBP 88,741.96 in 127 sales, 30,990.64 back in 16 refunds`, a line per currency.
pub(crate) fn money_lines(totals: &Totals) -> Vec<String> {
    let show = |code: &str, minor: i64| match Currency::new(code) {
        Some(currency) => Money::new(minor, currency).to_string(),
        None => format!("{minor} minor units of {}", print::plain(code)),
    };
    let line = |(code, row): (&String, &MoneyTotals)| {
        format!(
            "{} in {} sales, {} back in {} refunds",
            show(code, row.captured),
            row.sales,
            show(code, row.refunded),
            row.refunds
        )
    };
    totals.money.iter().map(line).collect()
}

fn summary(replay: &Replay, starts: &Timestamp, count: usize, totals: &Totals) -> Value {
    let row = |row: &MoneyTotals| {
        json!({ "sales": row.sales, "captured": row.captured,
            "refunds": row.refunds, "refunded": row.refunded })
    };
    let money: serde_json::Map<String, Value> = totals
        .money
        .iter()
        .map(|(code, totals)| (code.clone(), row(totals)))
        .collect();
    json!({
        "popup": replay.plan.popup.as_str(),
        "starts": starts.to_string(),
        "hours": replay.plan.hours,
        replay.file.unit(): count,
        "accepted": totals.tally.accepted,
        "duplicate": totals.tally.duplicate,
        "rejected": totals.tally.rejected,
        "totals": money,
        "durations": match replay.file {
            SalesFile::Sheet(_) => "stand-in",
            SalesFile::Events(_) => "as reported",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::code::Code;
    use popwatch_wire::verdict::EventProblem;

    fn replay() -> Replay {
        Replay {
            file: SalesFile::read(assets::DAY).unwrap(),
            plan: Plan {
                source: source(Path::new("a/2011-12-05.csv")).unwrap(),
                popup: PopupId::new("demo").unwrap(),
                starts: WallMs(0),
                hours: 3,
                currency: CurrencyRule::Pounds,
            },
            durations: assets::durations().unwrap(),
        }
    }

    #[test]
    fn the_bundled_day_is_told_exactly() {
        let replay = replay();
        assert_eq!(
            replay.plan.source.as_str(),
            format!("/replay/{}", assets::DAY_STEM)
        );
        let mut totals = Totals::default();
        for cue in replay.cues() {
            let events = replay.events(cue.what).unwrap();
            let events: Vec<Value> = events.into_iter().map(|timed| timed.event).collect();
            let accepted = Verdict::accepted("a".into(), 1);
            totals.count(&events, &vec![accepted; events.len()]);
        }
        assert_eq!(
            money_lines(&totals),
            ["GBP 88,741.96 in 127 sales, GBP 30,990.64 back in 16 refunds"]
        );
        assert_eq!(totals.tally.accepted, 127 * 3 + 16 + 8);
    }

    #[test]
    fn rejected_money_is_not_counted() {
        let event = json!({ "type": "popwatch.payment.captured",
            "data": { "amount": 5, "currency": "EUR" } });
        let mut totals = Totals::default();
        let problem = EventProblem::whole(Code::QueueFull, "later");
        totals.count(&[event], &[Verdict::rejected(None, &problem)]);
        assert!(totals.money.is_empty() && totals.tally.rejected_total() == 1);
    }

    #[test]
    fn the_kind_of_file_is_told_by_its_first_character() {
        let line = b"\n {\"source\":\"/a\",\"time\":\"2026-01-01T00:00:00Z\"}";
        assert!(matches!(SalesFile::read(line), Ok(SalesFile::Events(_))));
        assert!(matches!(
            SalesFile::read(b"a,b\n"),
            Err(SalesFileFault::ColumnMissing { .. })
        ));
    }
}
