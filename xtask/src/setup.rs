//! Programs that checks need beside Rust: which Debian package brings each, and installing them.
//!
//! What is missing is installed when the user may install, in one go; else every missing program
//! is printed with its package, the command that installs it and the stage that will be skipped.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell;

/// A program some tests need. A test names it as `#[ignore = "needs: NAME"]` inside a module
/// `needs_NAME`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// The name tests use.
    pub(crate) name: &'static str,
    /// Programs, any of which will do.
    programs: &'static [&'static str],
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    /// What its tests import, as pip takes it; kept in a virtual environment under the target
    /// folder.
    modules: &'static [&'static str],
}

impl Tool {
    fn present(&self) -> bool {
        self.is_on_path() && self.has_modules()
    }

    fn is_on_path(&self) -> bool {
        self.programs.iter().any(|program| shell::on_path(program))
    }

    fn has_modules(&self) -> bool {
        let stamp = || std::fs::read_to_string(environment().join(STAMP));
        self.modules.is_empty() || stamp().is_ok_and(|held| held == self.modules.join("\n"))
    }

    /// What a person would type to bring what is missing.
    fn remedy(&self) -> String {
        if self.is_on_path() {
            format!("pip install {}", self.modules.join(" "))
        } else {
            install_line(self.packages)
        }
    }
}

/// Says which modules the virtual environment holds; written last.
const STAMP: &str = "holds.txt";

/// The virtual environment the tests look for.
fn environment() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target
        .unwrap_or_else(|| shell::root().join("target"))
        .join("check-python")
}

/// A browser that can be driven without a screen.
pub(crate) const CHROMIUM: Tool = Tool {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome"],
    packages: &["chromium"],
    modules: &[],
};

/// Prometheus' own checker of what `/metrics` prints.
pub(crate) const PROMTOOL: Tool = Tool {
    name: "promtool",
    programs: &["promtool"],
    packages: &["prometheus"],
    modules: &[],
};

/// What people try a web service with.
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    programs: &["curl"],
    packages: &["curl"],
    modules: &[],
};

/// Python, and the official SDK of CloudEvents in a virtual environment.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3",
    programs: &["python3"],
    packages: &["python3", "python3-venv"],
    modules: &["cloudevents==2.2.0"],
};

/// Lets a system call of a running process fail.
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    programs: &["strace"],
    packages: &["strace"],
    modules: &[],
};

/// Gives a process a file system of its own.
pub(crate) const UNSHARE: Tool = Tool {
    name: "unshare",
    programs: &["unshare"],
    packages: &["util-linux"],
    modules: &[],
};

/// All of them.
pub(crate) const TOOLS: [&Tool; 6] = [&CHROMIUM, &CURL, &PROMTOOL, &PYTHON, &STRACE, &UNSHARE];

/// How long the package manager may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Tries to bring what `wanted` lacks; answers the tools that are still missing. `stage` names the
/// stage that will be skipped without a tool.
pub(crate) fn provide(
    wanted: &[&'static Tool],
    stage: impl Fn(&Tool) -> &'static str,
) -> Vec<&'static str> {
    let lacking = missing(wanted);
    if lacking.is_empty() {
        return Vec::new();
    }
    let off_path: Vec<_> = lacking
        .iter()
        .copied()
        .filter(|tool| !tool.is_on_path())
        .collect();
    match privilege() {
        _ if off_path.is_empty() => {}
        Some(prefix) => install(&prefix, &off_path),
        None => shell::say(
            "set-up: nothing can be installed here: that takes apt-get, and root or password-less sudo",
        ),
    }
    for tool in lacking.iter().filter(|tool| tool.is_on_path()) {
        if let Err(fault) = fetch(tool) {
            shell::say(&format!("set-up: {fault:#}; is PyPI in reach?"));
        }
    }
    let lacking = missing(wanted);
    for tool in &lacking {
        shell::say(&format!(
            "set-up: {} is missing; `{}` brings it; until then {} is skipped",
            tool.name,
            tool.remedy(),
            stage(tool),
        ));
    }
    lacking.iter().map(|tool| tool.name).collect()
}

fn missing(wanted: &[&'static Tool]) -> Vec<&'static Tool> {
    let lacks = |tool: &&&'static Tool| !tool.present();
    wanted.iter().filter(lacks).copied().collect()
}

/// The words before a command that make it run as root; `None` when there is no way.
fn privilege() -> Option<Vec<&'static str>> {
    if !shell::on_path("apt-get") {
        return None;
    }
    let quick = Duration::from_secs(10);
    let id = shell::capture(shell::command("id").arg("-u"), quick);
    if id.is_ok_and(|id| id.trim() == "0") {
        return Some(Vec::new());
    }
    let sudo = shell::on_path("sudo")
        && shell::run(shell::command("sudo").args(["-n", "true"]), quick).is_ok();
    sudo.then(|| vec!["sudo", "-n"])
}

/// One refresh and one installation. A failure is printed: what is then still missing is skipped.
fn install(prefix: &[&str], lacking: &[&'static Tool]) {
    let packages = packages(lacking);
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&packages);
    for args in [vec!["update"], install] {
        // Behind sudo, which clears the environment: `env` sets it again on the other side.
        let mut words = prefix.to_vec();
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend(args);
        let mut command = shell::command(words[0]);
        command.args(&words[1..]);
        if let Err(fault) = shell::run(&mut command, LIMIT) {
            shell::say(&format!("set-up: {fault:#}"));
            return;
        }
    }
}

/// Makes the virtual environment with a tool's modules, anew.
fn fetch(tool: &Tool) -> Result<()> {
    let (folder, stamp) = (environment(), environment().join(STAMP));
    let mut create = shell::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&folder);
    shell::run(&mut create, LIMIT)?;
    let pip = folder.join("bin/pip");
    let mut install = shell::command(&pip.to_string_lossy());
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    shell::run(install.args(tool.modules), LIMIT)?;
    std::fs::write(&stamp, tool.modules.join("\n"))
        .with_context(|| format!("cannot write {}", stamp.display()))
}

/// Each package once, in order.
fn packages(tools: &[&'static Tool]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = tools
        .iter()
        .flat_map(|tool| tool.packages.iter().copied())
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn install_line(packages: &[&str]) -> String {
    format!(
        "sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static ABSENT: Tool = Tool {
        name: "absent",
        programs: &["no-such-program-anywhere"],
        packages: &["zebra", "absent"],
        modules: &[],
    };

    static UNFETCHED: Tool = Tool {
        name: "unfetched",
        programs: &["sh"],
        packages: &["dash"],
        modules: &["no-such-module==0.0.0"],
    };

    #[test]
    fn a_tool_whose_programs_are_not_there_is_missing() {
        assert_eq!(missing(&[&ABSENT]), [&ABSENT]);
    }

    #[test]
    fn a_program_whose_modules_are_not_there_is_missing_and_says_how_to_get_them() {
        assert_eq!(missing(&[&UNFETCHED]), [&UNFETCHED]);
        assert_eq!(UNFETCHED.remedy(), "pip install no-such-module==0.0.0");
        assert_eq!(ABSENT.remedy(), install_line(ABSENT.packages));
    }

    #[test]
    fn all_packages_are_asked_for_once() {
        assert_eq!(
            packages(&[&ABSENT, &PYTHON, &ABSENT]),
            ["absent", "python3", "python3-venv", "zebra"]
        );
    }

    #[test]
    fn the_printed_command_can_be_pasted() {
        assert_eq!(
            install_line(PROMTOOL.packages),
            "sudo apt-get install -y --no-install-recommends prometheus"
        );
    }
}
