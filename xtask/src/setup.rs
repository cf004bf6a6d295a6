//! Programs that checks need beside Rust: which Debian package brings each, and installing them.
//!
//! What is missing is installed when the user may install, in one go; else every missing program
//! is printed with its package, the command that installs it and the stage that will be skipped.

use std::time::Duration;

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
}

impl Tool {
    fn present(&self) -> bool {
        self.programs.iter().any(|program| shell::on_path(program))
    }
}

/// A browser that can be driven without a screen.
pub(crate) const CHROMIUM: Tool = Tool {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome"],
    packages: &["chromium"],
};

/// Prometheus' own checker of what `/metrics` prints.
pub(crate) const PROMTOOL: Tool = Tool {
    name: "promtool",
    programs: &["promtool"],
    packages: &["prometheus"],
};

/// Python with virtual environments.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3",
    programs: &["python3"],
    packages: &["python3", "python3-venv"],
};

/// All of them.
pub(crate) const TOOLS: [&Tool; 3] = [&CHROMIUM, &PROMTOOL, &PYTHON];

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
    match privilege() {
        Some(prefix) => install(&prefix, &lacking),
        None => shell::say(
            "set-up: nothing can be installed here: that takes apt-get, and root or password-less sudo",
        ),
    }
    let lacking = missing(wanted);
    for tool in &lacking {
        shell::say(&format!(
            "set-up: {} is missing; `{}` brings it; until then {} is skipped",
            tool.name,
            install_line(tool.packages),
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
    };

    #[test]
    fn a_tool_whose_programs_are_not_there_is_missing() {
        assert_eq!(missing(&[&ABSENT]), [&ABSENT]);
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
