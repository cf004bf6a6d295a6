//! Policies from the command line: written, checked, compared, signed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn popwatch(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_popwatch"))
        .arg("policy")
        .args(args)
        .output()
        .unwrap()
}

#[track_caller]
fn said(args: &[&str], status: i32) -> String {
    let output = popwatch(args);
    let text = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}{err}");
    text + &err
}

#[test]
fn a_policy_is_checked_compared_and_signed_by_two() {
    let name = format!("popwatch-policy-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let write = |name: &str, content: &str| {
        fs::write(path(name), content).unwrap();
        text(path(name))
    };

    let built_in = said(&["show"], 0);
    let market = write("market.yaml", &built_in);
    assert!(said(&["check", &market], 0).contains("fields.chat.message.text"));
    let loose = built_in.replace("raw:       {keep: PT72H", "raw:       {keep: P9D");
    let loose = write("loose.yaml", &loose);
    let turns = said(&["diff", &market, &loose], 3);
    assert!(
        turns.contains("looser") && turns.contains("P3D -> P9D"),
        "{turns}"
    );
    assert!(said(&["diff", &loose, &market], 0).contains("tighter"));
    let line = 1 + built_in
        .lines()
        .position(|line| line.contains("unknown_types"))
        .unwrap();
    let wrong = write("wrong.yaml", &built_in.replace("unknown_types", "unknown"));
    let refused = said(&["check", &wrong], 3);
    assert!(
        refused.contains(&format!("PW0601: line {line}, column 1: unknown")),
        "{refused}"
    );

    for name in ["one", "two"] {
        let public = said(&["key", name, "--out", &text(path(name))], 0);
        assert!(public.starts_with(&format!("{name}+")), "{public}");
    }
    let first = write(
        "first.json",
        &said(&["sign", &market, "--key", &text(path("one"))], 0),
    );
    let both = said(&["sign", &first, "--key", &text(path("two"))], 0);
    assert_eq!(both.matches("\u{2014} ").count(), 2, "{both}");
    assert!(said(&["sign", &wrong, "--key", &text(path("one"))], 3).contains("PW0601"));
    assert!(said(&["schema"], 0).contains("draft/2020-12"));
    fs::remove_dir_all(folder).unwrap();
}
