//! Seeded days at the market in virtual time, with every law checked after every step.
//!
//! ```text
//! popwatch-sim                          seeds.txt, 500 fixed and 500 fresh days, meta, saboteurs
//! popwatch-sim --seeds N [--from SEED]  so many days; from a seed on if one is given
//! popwatch-sim --seed S [--until STEP]  one day, told step by step
//! popwatch-sim --forks N                so many journals that two devices go on with
//! popwatch-sim --forgets N              so many disks that forget what they acknowledged
//! popwatch-sim --slo N                  promises of so many popups per size, as JSON
//! popwatch-sim --meta | --saboteurs     only that
//! ```
//!
//! What always holds: a day is a function of its seed; the core, the door, the journal and the books
//! are the product's own; no clock, no entropy and no network is reached from inside a day. Exit
//! status: 0 all held, 1 something was found, 2 wrong usage.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that prints"
)]

mod check;
mod forks;
mod meta;
mod minutes;
mod model;
mod net;
mod peers;
mod reads;
mod rig;
mod runner;
mod saboteur;
mod script;
mod till;
mod world;

use std::process::ExitCode;

use saboteur::{Caught, Saboteur};
use serde_json::json;

use crate::runner::Days;

/// Days of a run when the command line does not say.
const SEEDS: u64 = 1_000;
/// Forks of a run when the command line does not say, and disks that forget.
const FORKS: u64 = 100;
/// The first fixed seed.
const FIXED: u64 = 1;
/// Seeds that are run twice.
const META_DAYS: u64 = 8;
/// Seeds that once failed.
const KNOWN: &str = include_str!("seeds.txt");
const USAGE: &str = "usage: popwatch-sim [--seeds N] [--from SEED] [--seed S [--until STEP]] [--forks N] \
                     [--forgets N] [--slo N] [--meta] [--saboteurs] [--threads N] [--format text|json]\nexample: popwatch-sim --seed 7 --until 40";

#[derive(Debug, Default)]
struct Options {
    seeds: Option<u64>,
    from: Option<u64>,
    seed: Option<u64>,
    slo: Option<u64>,
    until: Option<u64>,
    threads: Option<usize>,
    forks: Option<u64>,
    forgets: Option<u64>,
    meta: bool,
    saboteurs: bool,
    json: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(popups) = options.slo {
        println!("{:#}", popwatch_sim::slo::run(popups).json());
        return ExitCode::SUCCESS;
    }
    // A panic inside a day is a finding of that day and printed as one.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(seed) = options.seed {
        return one_day(seed, options.until);
    }
    let stories = options.forks.is_some() || options.forgets.is_some();
    let only = options.meta || options.saboteurs || stories;
    let mut report = Report {
        base: options.from.unwrap_or(FIXED),
        ..Report::default()
    };
    if !only {
        report.days(&options);
    }
    if !only || options.forks.is_some() {
        report.forks = Some(report.told(options.forks.unwrap_or(FORKS), forks::story));
    }
    if !only || options.forgets.is_some() {
        report.forgets = Some(report.told(options.forgets.unwrap_or(FORKS), forks::forgets));
    }
    if !only || options.meta {
        report.meta();
    }
    if !only || options.saboteurs {
        report.saboteurs();
    }
    report.print(options.json);
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{arg} needs a number, not {text}"))
        };
        match arg.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seeds" => options.seeds = Some(number()?),
            "--from" => options.from = Some(number()?),
            "--slo" => options.slo = Some(number()?),
            "--seed" => options.seed = Some(number()?),
            "--until" => options.until = Some(number()?),
            "--forks" => options.forks = Some(number()?),
            "--forgets" => options.forgets = Some(number()?),
            "--threads" => options.threads = usize::try_from(number()?).ok(),
            "--meta" => options.meta = true,
            "--saboteurs" => options.saboteurs = true,
            "--format" => match args.next().as_deref() {
                Some("text") => options.json = false,
                Some("json") => options.json = true,
                _ => return Err("--format is text or json".into()),
            },
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(Some(options))
}

/// One day, step by step.
fn one_day(seed: u64, until: Option<u64>) -> ExitCode {
    let ended = world::day(seed, until, None);
    for step in &ended.steps {
        println!("{step}");
    }
    match ended.finding {
        None => {
            println!(
                "seed {seed}: all laws held over {} steps",
                ended.counts.steps
            );
            ExitCode::SUCCESS
        }
        Some(finding) => {
            println!("seed {seed}, step {}: {}", finding.step, finding.sentence);
            ExitCode::FAILURE
        }
    }
}

/// Seeds of `seeds.txt`: the first word of each line that is no remark.
fn known_seeds() -> Vec<u64> {
    let words = KNOWN
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Stories told, and those in which a law broke with what was found.
type Stories = (u64, Vec<(u64, String)>);

#[derive(Debug, Default)]
struct Report {
    base: u64,
    fresh_base: Option<u64>,
    days: Option<(Days, Option<f64>)>,
    forks: Option<Stories>,
    forgets: Option<Stories>,
    meta: Option<Vec<(u64, String)>>,
    caught: Option<Vec<Caught>>,
}

impl Report {
    fn days(&mut self, options: &Options) {
        let count = options.seeds.unwrap_or(SEEDS);
        let mut seeds = known_seeds();
        if options.from.is_some() {
            seeds.extend((0..count).map(|at| self.base.wrapping_add(at)));
        } else {
            let fresh = runner::fresh_base();
            eprintln!("fresh seeds from {fresh}");
            self.fresh_base = Some(fresh);
            let fixed = count / 2;
            seeds.extend((0..fixed).map(|at| FIXED + at));
            seeds.extend((fixed..count).map(|at| fresh.wrapping_add(at)));
        }
        let threads = options
            .threads
            .or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let before = runner::cpu_seconds();
        let all = seeds.len();
        let days = runner::run(&seeds, threads.unwrap_or(1), &|done| {
            if done % 500 == 0 {
                eprintln!("{done} of {all} days");
            }
        });
        let spent = runner::cpu_seconds()
            .zip(before)
            .map(|(after, before)| after - before);
        self.days = Some((days, spent));
    }

    /// Stories from the base on.
    fn told(
        &self,
        count: u64,
        story: fn(u64) -> Result<forks::Counted, check::Finding>,
    ) -> Stories {
        let seeds = (0..count).map(|at| self.base.wrapping_add(at));
        let found = seeds.filter_map(|seed| {
            let finding = story(seed).err()?;
            Some((seed, finding.sentence))
        });
        (count, found.collect())
    }

    /// Both kinds of stories, with their name.
    fn stories(&self) -> impl Iterator<Item = (&'static str, &Stories)> {
        let forks = self.forks.iter().map(|told| ("forks", told));
        forks.chain(self.forgets.iter().map(|told| ("forgets", told)))
    }

    fn meta(&mut self) {
        let seeds = (0..META_DAYS).map(|at| self.base.wrapping_add(at));
        let found = seeds.filter_map(|seed| meta::twice(seed).map(|found| (seed, found.sentence)));
        self.meta = Some(found.collect());
    }

    fn saboteurs(&mut self) {
        let caught = Saboteur::ALL
            .into_iter()
            .map(|who| saboteur::run(who, FIXED));
        self.caught = Some(caught.collect());
    }

    fn is_good(&self) -> bool {
        self.days
            .as_ref()
            .is_none_or(|(days, _)| days.failed.is_empty() && minutes::enough(days.counts))
            && self.stories().all(|(_, (_, bad))| bad.is_empty())
            && self.meta.as_ref().is_none_or(Vec::is_empty)
            && self
                .caught
                .as_ref()
                .is_none_or(|all| all.iter().all(Caught::is_noticed))
    }

    fn print(&self, as_json: bool) {
        if as_json {
            println!("{:#}", self.json());
        } else {
            self.text();
        }
    }

    fn text(&self) {
        if let Some((days, spent)) = &self.days {
            let counts = days.counts;
            println!("days         {:>10}", days.seeds);
            println!("steps        {:>10}", counts.steps);
            println!("events acked {:>10}", counts.acked);
            println!("crashes      {:>10}", counts.crashes);
            println!("deliveries   {:>10}", counts.deliveries);
            println!("put off      {:>10}", counts.put_off);
            println!("epochs       {:>10}", counts.epochs);
            println!("trims        {:>10}", counts.trims);
            println!("segments     {:>10}", counts.segments);
            let (right, all) = (counts.minutes_right, counts.minutes_all);
            println!("minute right {right:>10} of {all}");
            if let Some(spent) = spent {
                println!("CPU seconds  {spent:>10.1}");
                println!("steps/CPU-s  {:>10.0}", per_second(counts.steps, *spent));
            }
            println!("days failed  {:>10}", days.failed.len());
            for failed in &days.failed {
                println!("  {}", failed.finding.sentence);
                println!(
                    "    sim --seed {} --until {}",
                    failed.seed, failed.finding.step
                );
            }
        }
        for (name, (count, failed)) in self.stories() {
            println!("{name}: {count} stories, {} failed", failed.len());
            failed
                .iter()
                .for_each(|(seed, sentence)| println!("  seed {seed}: {sentence}"));
        }
        if let Some(differing) = &self.meta {
            println!("meta: {META_DAYS} seeds twice, {} differ", differing.len());
            differing
                .iter()
                .for_each(|(_, sentence)| println!("  {sentence}"));
        }
        for caught in self.caught.iter().flatten() {
            let noticed = if caught.is_noticed() {
                "noticed"
            } else {
                "UNNOTICED"
            };
            let said = caught
                .finding
                .as_ref()
                .map_or("nothing", |found| &found.sentence);
            let (law, what) = (caught.who.law(), caught.who.describe());
            println!("{law:?} {what}: {noticed} on day {}: {said}", caught.days);
        }
    }

    fn json(&self) -> serde_json::Value {
        let days = self.days.as_ref().map(|(days, spent)| {
            let failed = days.failed.iter().map(|failed| {
                json!({ "seed": failed.seed, "step": failed.finding.step,
                    "law": failed.finding.law.map(|law| format!("{law:?}")),
                    "sentence": failed.finding.sentence })
            });
            let counts = days.counts;
            json!({ "seeds": days.seeds, "steps": counts.steps, "events_acked": counts.acked,
                "crashes": counts.crashes, "deliveries": counts.deliveries,
                "put_off": counts.put_off, "epochs": counts.epochs, "trims": counts.trims, "segments": counts.segments,
                "minutes_right": counts.minutes_right, "minutes_all": counts.minutes_all, "cpu_seconds": spent,
                "steps_per_cpu_second": spent.map(|spent| per_second(counts.steps, spent)),
                "failed": failed.collect::<Vec<_>>() })
        });
        let caught = self.caught.iter().flatten().map(|caught| {
            json!({ "law": format!("{:?}", caught.who.law()), "saboteur": caught.who.describe(),
                "noticed": caught.is_noticed(), "days": caught.days,
                "sentence": caught.finding.as_ref().map(|found| &found.sentence) })
        });
        json!({ "fresh_base": self.fresh_base, "days": days,
            "forks": self.forks.as_ref().map(|(count, _)| count),
            "forks_failed": self.forks.as_ref().map(|(_, failed)| failed.len()),
            "forgets": self.forgets.as_ref().map(|(count, _)| count),
            "forgets_failed": self.forgets.as_ref().map(|(_, failed)| failed.len()),
            "meta_differing": self.meta.as_ref().map(Vec::len),
            "saboteurs": caught.collect::<Vec<_>>(), "good": self.is_good() })
    }
}

fn per_second(steps: u64, spent: f64) -> f64 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    f64::from(steps) / spent.max(0.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let read = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        let options = read("--seed 7 --until 40").unwrap().unwrap();
        assert_eq!((options.seed, options.until), (Some(7), Some(40)));
        assert!(read("--seeds").is_err());
        assert!(read("--seeds many").is_err());
        assert!(read("--format xml").is_err());
        assert!(read("--what").is_err());
        assert!(read("--help").unwrap().is_none());
    }

    #[test]
    fn each_known_seed_holds_and_says_which_bug_it_found() {
        for line in KNOWN
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let (seed, bug) = line.split_once(' ').expect("a seed, then its bug in words");
            assert!(
                seed.parse::<u64>().is_ok() && bug.trim().len() > 20,
                "{line}"
            );
        }
        for seed in known_seeds() {
            assert_eq!(world::day(seed, None, None).finding, None, "seed {seed}");
        }
    }
}
