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
    /// What its tests import.
    modules: Modules,
}

/// Packages of one registry, as its own client takes them, pinned; kept under the target folder.
#[derive(Debug, PartialEq, Eq)]
struct Modules {
    registry: Registry,
    /// The folder of the target folder that the tests look for.
    folder: &'static str,
    names: &'static [&'static str],
}

/// Where modules come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registry {
    /// With pip, into a virtual environment.
    PyPi,
    /// With npm, into a folder of modules; none of their scripts runs.
    Npm,
}

impl Registry {
    const fn name(self) -> &'static str {
        match self {
            Self::PyPi => "PyPI",
            Self::Npm => "the npm registry",
        }
    }
}

const NO_MODULES: Modules = Modules {
    registry: Registry::PyPi,
    folder: "",
    names: &[],
};

/// Where the build and these checks put what they make.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| shell::root().join("target"))
}

impl Modules {
    fn present(&self) -> bool {
        let stamp = || std::fs::read_to_string(target().join(self.folder).join(STAMP));
        self.names.is_empty() || stamp().is_ok_and(|held| held == self.names.join("\n"))
    }

    /// What a person would type.
    fn command(&self) -> String {
        let client = match self.registry {
            Registry::PyPi => "pip install",
            Registry::Npm => "npm install",
        };
        format!("{client} {}", self.names.join(" "))
    }

    /// Lays the folder out anew.
    fn fetch(&self) -> Result<()> {
        let folder = target().join(self.folder);
        match self.registry {
            Registry::PyPi => {
                let mut create = shell::command("python3");
                create.args(["-m", "venv", "--clear"]).arg(&folder);
                shell::run(&mut create, LIMIT)?;
                let pip = folder.join("bin/pip");
                let mut install = shell::command(&pip.to_string_lossy());
                install.args(["install", "--quiet", "--disable-pip-version-check"]);
                shell::run(install.args(self.names), LIMIT)?;
            }
            Registry::Npm => {
                if folder.exists() {
                    std::fs::remove_dir_all(&folder)
                        .with_context(|| format!("cannot empty {}", folder.display()))?;
                }
                let mut install = shell::command("npm");
                install.args([
                    "install",
                    "--silent",
                    "--no-save",
                    "--no-audit",
                    "--no-fund",
                ]);
                install.arg("--ignore-scripts").arg("--prefix").arg(&folder);
                shell::run(install.args(self.names), LIMIT)?;
            }
        }
        let stamp = folder.join(STAMP);
        std::fs::write(&stamp, self.names.join("\n"))
            .with_context(|| format!("cannot write {}", stamp.display()))
    }
}

impl Tool {
    fn present(&self) -> bool {
        self.is_on_path() && self.modules.present() && self.may_work()
    }

    /// Whether the machine lets it do what the tests ask of it: some do not let a process look into
    /// another or have a file system of its own.
    fn may_work(&self) -> bool {
        let trial = TRIALS.iter().find(|(name, _)| *name == self.name);
        trial.is_none_or(|(_, words)| {
            let mut trial = shell::command(words[0]);
            shell::capture(trial.args(&words[1..]), Duration::from_secs(10)).is_ok()
        })
    }

    fn is_on_path(&self) -> bool {
        self.programs.iter().any(|program| shell::on_path(program))
    }

    /// Whether only its modules are missing. One that needs none has no folder of its own to lay out anew.
    fn wants_modules(&self) -> bool {
        self.is_on_path() && !self.modules.present()
    }

    /// What a person would type to bring what is missing.
    fn remedy(&self) -> String {
        if self.is_on_path() {
            self.modules.command()
        } else {
            install_line(self.packages)
        }
    }
}

/// Says which modules a folder holds; written last.
const STAMP: &str = "holds.txt";

/// A browser that can be driven without a screen.
pub(crate) const CHROMIUM: Tool = Tool {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome"],
    packages: &["chromium"],
    modules: NO_MODULES,
};

/// A browser, and the rules by which pages are read by everybody.
pub(crate) const AXE: Tool = Tool {
    name: "axe",
    programs: &["npm"],
    packages: &["nodejs", "npm", "chromium"],
    modules: Modules {
        registry: Registry::Npm,
        folder: "check-axe",
        names: &["axe-core@4.14.1"],
    },
};

/// Prometheus' own checker of what `/metrics` prints.
pub(crate) const PROMTOOL: Tool = Tool {
    name: "promtool",
    programs: &["promtool"],
    packages: &["prometheus"],
    modules: NO_MODULES,
};

/// A real Prometheus, which scrapes all roles.
pub(crate) const PROMETHEUS: Tool = Tool {
    name: "prometheus",
    programs: &["prometheus"],
    packages: &["prometheus"],
    modules: NO_MODULES,
};

/// A real Alertmanager, which is told of pages.
pub(crate) const ALERTMANAGER: Tool = Tool {
    name: "alertmanager",
    programs: &["prometheus-alertmanager"],
    packages: &["prometheus-alertmanager"],
    modules: NO_MODULES,
};

/// What several regions share as a mirror.
pub(crate) const REDIS: Tool = Tool {
    name: "redis",
    programs: &["redis-server"],
    packages: &["redis-server"],
    modules: NO_MODULES,
};

/// Plain-text accounting, which reads exported books.
pub(crate) const HLEDGER: Tool = Tool {
    name: "hledger",
    programs: &["hledger"],
    packages: &["hledger"],
    modules: NO_MODULES,
};

/// What people try a web service with.
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    programs: &["curl"],
    packages: &["curl"],
    modules: NO_MODULES,
};

/// What Debian packages are built with.
pub(crate) const DPKG_DEB: Tool = Tool {
    name: "dpkg_deb",
    programs: &["dpkg-deb"],
    packages: &["dpkg"],
    modules: NO_MODULES,
};

/// Python, and in a virtual environment the official SDKs of CloudEvents and OpenTelemetry and a
/// transparency log's verifier.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3",
    programs: &["python3"],
    packages: &["python3", "python3-venv"],
    modules: Modules {
        registry: Registry::PyPi,
        folder: "check-python",
        names: &[
            "cloudevents==2.2.0",
            "opentelemetry-sdk==1.45.2",
            "opentelemetry-exporter-otlp-proto-http==1.45.2",
            "pymerkle==7.0.0",
            "PyNaCl==1.6.2",
            "setuptools==80.9.0",
        ],
    },
};

/// Node, the official SDK of OpenTelemetry for JavaScript, and what shops bundle and minify with.
pub(crate) const NODE: Tool = Tool {
    name: "node",
    programs: &["npm"],
    packages: &["nodejs", "npm"],
    modules: Modules {
        registry: Registry::Npm,
        folder: "check-node",
        names: &[
            "@opentelemetry/api@1.9.1",
            "@opentelemetry/exporter-trace-otlp-http@0.223.1",
            "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
            "@opentelemetry/resources@2.12.0",
            "@opentelemetry/sdk-trace-node@2.12.0",
            "esbuild@0.25.0",
        ],
    },
};

/// The daemon of the Network UPS Tools, in the folder where their driver of a made-up UPS lies too:
/// the `upsd` on the path is a script that asks whether the machine wants one.
pub(crate) const UPSD: Tool = Tool {
    name: "upsd",
    programs: &["/lib/nut/upsd"],
    packages: &["nut-server"],
    modules: NO_MODULES,
};

/// Lets a system call of a running process fail.
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    programs: &["strace"],
    packages: &["strace"],
    modules: NO_MODULES,
};

/// A database server; its tests start their own, from where Debian keeps its programs by version.
pub(crate) const POSTGRESQL: Tool = Tool {
    name: "postgresql",
    programs: &["pg_ctlcluster"],
    packages: &["postgresql"],
    modules: NO_MODULES,
};

/// Gives a process a file system of its own.
pub(crate) const UNSHARE: Tool = Tool {
    name: "unshare",
    programs: &["unshare"],
    packages: &["util-linux"],
    modules: NO_MODULES,
};

/// All of them.
pub(crate) const TOOLS: [&Tool; 15] = [
    &ALERTMANAGER,
    &AXE,
    &CHROMIUM,
    &CURL,
    &DPKG_DEB,
    &HLEDGER,
    &NODE,
    &POSTGRESQL,
    &PROMETHEUS,
    &PROMTOOL,
    &PYTHON,
    &REDIS,
    &STRACE,
    &UNSHARE,
    &UPSD,
];

/// What a tool must be able to do, by its name.
const TRIALS: [(&str, &[&str]); 3] = [
    (
        "axe",
        &[
            "sh",
            "-c",
            "command -v chromium || command -v chromium-browser || command -v google-chrome",
        ],
    ),
    ("strace", &["strace", "-f", "-o", "/dev/null", "true"]),
    (
        "unshare",
        &["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
    ),
];

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
    for tool in lacking.iter().filter(|tool| tool.wants_modules()) {
        if let Err(fault) = tool.modules.fetch() {
            let registry = tool.modules.registry.name();
            shell::say(&format!("set-up: {fault:#}; is {registry} in reach?"));
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
        modules: NO_MODULES,
    };

    static UNFETCHED: Tool = Tool {
        name: "unfetched",
        programs: &["sh"],
        packages: &["dash"],
        modules: Modules {
            registry: Registry::PyPi,
            folder: "check-nothing",
            names: &["no-such-module==0.0.0"],
        },
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

    /// To lay out the folder of no modules anew would empty the folder of the whole build.
    #[test]
    fn only_a_program_whose_modules_are_missing_has_them_fetched() {
        let plain = Tool {
            name: "plain",
            programs: &["sh"],
            packages: &["dash"],
            modules: NO_MODULES,
        };
        let wants = [&UNFETCHED, &plain, &ABSENT].map(Tool::wants_modules);
        assert_eq!(wants, [true, false, false]);
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
