//! What is shipped beside the binary: configurations that are read, completions and the manual.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use popwatch_node::config::Config;

use crate::support::{BINARY, Folder};

fn packaging(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging")
        .join(folder)
}

#[test]
fn every_configuration_that_is_shipped_is_read_to_its_last_field() {
    let mut read = 0;
    for folder in ["examples", "debian", "container"] {
        for entry in fs::read_dir(packaging(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let shown = path.display();
            let config = Config::read(&path).unwrap_or_else(|fault| panic!("{shown}: {fault}"));
            if let Some(edge) = &config.edge {
                edge.rig_id().unwrap();
                edge.popup_id().unwrap();
                edge.check_regions().unwrap();
            }
            if let Some(region) = &config.region {
                region.check_alerts().unwrap();
                region.check_upstream().unwrap();
            }
            for popup in &config.popups {
                popup
                    .policy()
                    .unwrap_or_else(|fault| panic!("{shown}: {fault}"));
            }
            read += 1;
        }
    }
    assert_eq!(read, 7);
}

#[test]
fn a_shell_completes_each_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(BINARY).args(["completions", shell]).output();
        let script = String::from_utf8(output.unwrap().stdout).unwrap();
        for command in ["demo", "reconcile", "audit", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command_with_its_example() {
    let folder = Folder::new("man");
    let done = Command::new(BINARY).arg("man").arg(folder.path()).status();
    assert!(done.unwrap().success());
    for page in ["popwatch", "popwatch-run", "popwatch-journal-fsck"] {
        let text = fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
        assert!(text.contains("Example: "), "{page}");
    }
    let gone = folder.path().join("no-such-folder");
    let output = Command::new(BINARY).arg("man").arg(&gone).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot write the manual to"), "{said}");
}
