//! `popwatch journal repair`: what is sound of a journal, in a folder of its own.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::inspect;
use popwatch_store::journal::rewrite::{Rewritten, rewrite};
use serde_json::json;

use super::{fsck_json, fsck_lines};
use crate::args::RepairArgs;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};

/// Folder of the secrets that pseudonyms are made with: without it a till would make new ones.
const KEYS: &str = "keys";

pub(super) fn run(from: &OsFs, args: &RepairArgs, format: Format) -> anyhow::Result<Exit> {
    let (data, out) = (&args.dir, &args.out);
    fits(data, out)?;
    let (name, target) = (data.display(), out.display());
    let to = OsFs::new(out).with_context(|| format!("cannot make {target}"))?;
    let bar = print::progress(0, "bytes");
    let written = rewrite(from, &to, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let written = written.with_context(|| {
        format!(
            "cannot copy the journal of {name} to {target}; what is there is not usable: remove it, \
             see to both disks, and try again"
        )
    })?;
    keys(data, out).with_context(|| format!("cannot copy {name}/{KEYS} to {target}"))?;
    say(&to, &written, out, format)?;
    Ok(Exit::Done)
}

fn say(to: &OsFs, written: &Rewritten, out: &Path, format: Format) -> anyhow::Result<()> {
    let target = out.display();
    let report = inspect::fsck(to).with_context(|| format!("cannot read {target} back"))?;
    if format == Format::Json {
        return print::json_pretty(&json!({
            "out": target.to_string(),
            "segments": written.segments,
            "records": written.records,
            "newer": written.newer,
            "left": written.left,
            "fsck": fsck_json(&report),
        }));
    }
    fsck_lines(&report).iter().try_for_each(print::line)?;
    for name in &written.newer {
        let name = plain(name);
        print::line(format!("copied as it is, for a newer popwatch: {name}"))?;
    }
    for name in &written.left {
        print::line(format!("left behind, no record in it: {}", plain(name)))?;
    }
    let (records, segments) = (written.records, written.segments);
    print::line(format!(
        "{records} records in {segments} segments of {target}"
    ))?;
    print::note(format!(
        "start the edge with --data {target}; keep the old folder until the ledger has everything"
    ));
    Ok(())
}

/// The copy must have a folder of its own, outside the journal's.
fn fits(data: &Path, out: &Path) -> anyhow::Result<()> {
    let name = out.display();
    let misuse = |why: &str| Err(Misuse::argument(format!("--out {name} {why}")).into());
    let within = real(data).and_then(|data| Ok(real(out)?.starts_with(data)));
    if within.with_context(|| format!("cannot look at {name}"))? {
        return misuse("lies in the journal's own folder; give one outside it");
    }
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => misuse("is not empty; give a new folder"),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            misuse("is a file; give a new folder")
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {name}")),
    }
}

/// A path without links and dots; of one that is not there yet as far as it is there.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut rest: Vec<OsString> = Vec::new();
    let mut here = path.as_path();
    loop {
        match here.canonicalize() {
            Ok(found) => {
                return Ok(rest
                    .iter()
                    .rev()
                    .fold(found, |found, part| found.join(part)));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(error) => match (here.file_name(), here.parent()) {
                (Some(part), Some(parent)) => {
                    rest.push(part.to_owned());
                    here = parent;
                }
                (_, _) => return Err(error),
            },
        }
    }
}

/// Copies the secrets with their rights; a folder without any is one whose edge is given them.
fn keys(data: &Path, out: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(data.join(KEYS)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    fs::create_dir_all(out.join(KEYS))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let target = out.join(KEYS).join(entry.file_name());
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    fs::File::open(out.join(KEYS))?.sync_all()
}
