//! Everything CI checks, cheap things first, ended by the first failure.
//!
//! What always holds: each stage says its name and its seconds; a stage that lacks a program is a
//! skip that names the program, never a pass; the last line counts passes, skips and failures.

mod demo;
mod stages;
mod web;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::setup::{self, Tool};
use crate::shell;

/// Seeds the simulator gets when the command line does not say.
const SEEDS: u64 = 200;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// End after the simulator.
    fast: bool,
    /// Run this stage alone.
    only: Option<String>,
    /// How many fresh seeds the simulator gets.
    seeds: u64,
    /// A skip is a failure.
    no_skip: bool,
}

/// One stage.
struct Stage {
    /// Its name on the command line and in the last line.
    name: &'static str,
    /// Whether `--fast` runs it.
    fast: bool,
    /// Programs its tests need; empty for a stage that needs none.
    tools: &'static [&'static Tool],
    /// Does it.
    run: fn(&Stand) -> Result<()>,
}

/// What a stage can know.
struct Stand {
    /// Fresh seeds for the simulator.
    seeds: u64,
    /// Programs of this stage that some test needs and that are there.
    tools: Vec<&'static str>,
}

/// All stages, in the order they run.
const STAGES: &[Stage] = &[
    Stage::plain("format", true, stages::format),
    Stage::plain("lint", true, stages::lint),
    Stage::plain("test", true, stages::test),
    Stage::plain("doc", true, stages::doc),
    Stage::plain("generated", true, stages::generated),
    Stage::plain("sim", true, stages::sim),
    Stage::plain("demo", false, demo::demo),
    Stage {
        name: "page",
        fast: false,
        tools: &[&setup::CHROMIUM, &setup::AXE],
        run: stages::needs,
    },
    Stage {
        name: "web",
        fast: false,
        tools: &[&setup::NODE],
        run: web::built,
    },
    Stage {
        name: "borders",
        fast: false,
        tools: &[
            &setup::ALERTMANAGER,
            &setup::CURL,
            &setup::DPKG_DEB,
            &setup::PROMETHEUS,
            &setup::PROMTOOL,
            &setup::HLEDGER,
            &setup::PYTHON,
            &setup::NODE,
            &setup::UPSD,
        ],
        run: stages::needs,
    },
    Stage {
        name: "faults",
        fast: false,
        tools: &[&setup::STRACE, &setup::UNSHARE],
        run: stages::needs,
    },
    Stage {
        name: "stores",
        fast: false,
        tools: &[&setup::POSTGRESQL, &setup::REDIS],
        run: stages::needs,
    },
];

impl Stage {
    const fn plain(name: &'static str, fast: bool, run: fn(&Stand) -> Result<()>) -> Self {
        Self {
            name,
            fast,
            tools: &[],
            run,
        }
    }
}

/// How the stages ended.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    /// Stage and what it lacked.
    skipped: Vec<(&'static str, String)>,
    failed: Vec<&'static str>,
}

/// Runs the stages; answers whether none failed.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let options = Options::read(args)?;
    let chosen = options.choose()?;
    let used = stages::needs_of_tests(&shell::root())?;
    let wanted = |stage: &Stage| -> Vec<&'static Tool> {
        let used = |tool: &&&'static Tool| used.contains(tool.name);
        stage.tools.iter().filter(used).copied().collect()
    };
    let all_wanted: Vec<_> = chosen.iter().flat_map(|stage| wanted(stage)).collect();
    let missing = setup::provide(&all_wanted, stage_of);

    let mut tally = Tally::default();
    for (at, stage) in chosen.iter().enumerate() {
        let wanted: Vec<_> = wanted(stage).iter().map(|tool| tool.name).collect();
        if !stage.tools.is_empty() && wanted.is_empty() {
            shell::say(&format!("== {}: no test belongs to it", stage.name));
            continue;
        }
        one(stage, &wanted, &missing, &options, &mut tally);
        if !tally.failed.is_empty() {
            let rest: Vec<_> = chosen[at + 1..].iter().map(|stage| stage.name).collect();
            if !rest.is_empty() {
                shell::say(&format!("not run: {}", rest.join(", ")));
            }
            break;
        }
    }
    shell::say(&tally.last_line());
    Ok(tally.failed.is_empty())
}

/// Runs one stage and counts how it ended.
fn one(
    stage: &Stage,
    wanted: &[&'static str],
    missing: &[&str],
    options: &Options,
    tally: &mut Tally,
) {
    let (lacking, there): (Vec<_>, Vec<_>) = wanted
        .iter()
        .copied()
        .partition(|tool| missing.contains(tool));
    shell::say(&format!("== {}", stage.name));
    let start = Instant::now();
    let context = Stand {
        seeds: options.seeds,
        tools: there,
    };
    let done = (stage.run)(&context);
    let seconds = start.elapsed().as_secs_f32();
    match done {
        Err(fault) => {
            shell::say(&format!(
                "{}: failed in {seconds:.1} s: {fault:#}",
                stage.name
            ));
            tally.failed.push(stage.name);
        }
        Ok(()) if lacking.is_empty() => {
            shell::say(&format!("{}: passed in {seconds:.1} s", stage.name));
            tally.passed += 1;
        }
        Ok(()) => {
            let lacking = lacking.join(", ");
            shell::say(&format!("{}: skipped without {lacking}", stage.name));
            tally.skipped.push((stage.name, lacking));
            if options.no_skip {
                tally.failed.push(stage.name);
            }
        }
    }
}

/// The stage whose tests need a tool.
fn stage_of(tool: &Tool) -> &'static str {
    let owns = |stage: &&Stage| stage.tools.contains(&tool);
    STAGES
        .iter()
        .find(owns)
        .map_or("no stage", |stage| stage.name)
}

impl Tally {
    fn last_line(&self) -> String {
        let mut line = format!(
            "check: {} passed, {} skipped",
            self.passed,
            self.skipped.len()
        );
        if !self.skipped.is_empty() {
            let named = |(stage, lacking): &(&str, String)| format!("{stage}: {lacking}");
            let named: Vec<_> = self.skipped.iter().map(named).collect();
            line.push_str(&format!(" ({})", named.join("; ")));
        }
        line.push_str(&format!(", {} failed", self.failed.len()));
        line
    }
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self {
            fast: false,
            only: None,
            seeds: SEEDS,
            no_skip: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                let missing = || shell::usage(&format!("{arg} needs a value"));
                args.next().cloned().ok_or_else(missing)
            };
            match arg.as_str() {
                "--fast" => options.fast = true,
                "--no-skip" => options.no_skip = true,
                "--only" => options.only = Some(value()?),
                "--seeds" => {
                    let seeds = value()?;
                    let wrong = || shell::usage("--seeds takes a whole number");
                    options.seeds = seeds.parse().ok().with_context(wrong)?;
                }
                other => return Err(shell::usage(&format!("check has no option {other}"))),
            }
        }
        Ok(options)
    }

    fn choose(&self) -> Result<Vec<&'static Stage>> {
        let Some(only) = &self.only else {
            return Ok(STAGES.iter().filter(|s| s.fast || !self.fast).collect());
        };
        let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
        match STAGES.iter().find(|stage| stage.name == only) {
            Some(stage) => Ok(vec![stage]),
            None => Err(shell::usage(&format!(
                "no stage is called {only}; there are: {}",
                names.join(", ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn options(line: &str) -> Result<Options> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&args)
    }

    /// Runs stages that do nothing or fail, and answers the last line.
    fn last_line(stages: &[(bool, &'static [&'static str])], no_skip: bool) -> String {
        let line = if no_skip { "--no-skip" } else { "" };
        let options = options(line).unwrap();
        let mut tally = Tally::default();
        for (succeeds, wanted) in stages {
            let run: fn(&Stand) -> Result<()> = if *succeeds {
                |_| Ok(())
            } else {
                |_| bail!("x")
            };
            let stage = Stage::plain("services", false, run);
            one(
                &stage,
                wanted,
                &["postgresql", "paper"],
                &options,
                &mut tally,
            );
        }
        tally.last_line()
    }

    #[test]
    fn the_last_line_counts_and_names_skips() {
        assert_eq!(
            last_line(&[], false),
            "check: 0 passed, 0 skipped, 0 failed"
        );
        assert_eq!(
            last_line(&[(true, &[]), (true, &["postgresql"])], false),
            "check: 1 passed, 1 skipped (services: postgresql), 0 failed"
        );
        assert_eq!(
            last_line(&[(true, &["chromium", "paper", "postgresql"])], false),
            "check: 0 passed, 1 skipped (services: paper, postgresql), 0 failed"
        );
        assert_eq!(
            last_line(&[(false, &[])], false),
            "check: 0 passed, 0 skipped, 1 failed"
        );
    }

    #[test]
    fn a_skip_fails_when_none_is_allowed() {
        assert_eq!(
            last_line(&[(true, &["postgresql"])], true),
            "check: 0 passed, 1 skipped (services: postgresql), 1 failed"
        );
    }

    #[test]
    fn fast_ends_after_the_simulator() {
        let names = |line: &str| -> Vec<_> {
            let chosen = options(line).unwrap().choose().unwrap();
            chosen.iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names("--fast").last(), Some(&"sim"));
        assert_eq!(names("").len(), STAGES.len());
        assert_eq!(names("--only demo"), ["demo"]);
    }

    #[test]
    fn wrong_options_are_named() {
        let fault = |line: &str| match options(line) {
            Ok(options) => options.choose().map(|_| ()).unwrap_err().to_string(),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(fault("--quick"), "check has no option --quick");
        assert_eq!(fault("--only"), "--only needs a value");
        assert!(fault("--only nap").starts_with("no stage is called nap; there are: format,"));
        assert_eq!(fault("--seeds many"), "--seeds takes a whole number");
    }

    #[test]
    fn each_tool_belongs_to_a_stage() {
        assert!(setup::TOOLS.iter().all(|tool| stage_of(tool) != "no stage"));
    }
}
