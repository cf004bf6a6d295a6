//! Looks for planted values where nothing may be kept of them: answers, files, folders.
//!
//! What always holds: a finding names the place, never the value; a file is read a piece at a time,
//! whatever its size; folders are not left by links.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use popwatch_core::limits::PREFLIGHT_SEARCH_BYTES_MAX;
use popwatch_core::preflight::Secrets;

/// Bytes of a file that are in memory at once.
const PIECE: usize = 1 << 20;
/// Places that are named.
const NAMED_MAX: usize = 8;

/// Searches answers, then files, the newest first, up to a bound.
pub(super) fn search(planted: &[Vec<u8>], answers: &[Bytes], places: &[PathBuf]) -> Secrets {
    let mut bytes = 0;
    let mut found = Vec::new();
    for answer in answers {
        bytes += answer.len() as u64;
        if holds(planted, answer) {
            found.push(String::from("an answer"));
            break;
        }
    }
    let mut files = Vec::new();
    for place in places {
        collect(place, &mut files);
    }
    files.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
    for (_, path) in files {
        let left = PREFLIGHT_SEARCH_BYTES_MAX.saturating_sub(bytes);
        let Ok((read, is_there)) = search_file(planted, &path, left) else {
            // It went while we looked, as segments and write-ahead files do.
            continue;
        };
        bytes += read;
        if is_there && found.len() < NAMED_MAX {
            found.push(path.display().to_string());
        }
    }
    match found.is_empty() {
        true => Secrets::None { bytes },
        false => Secrets::Found(found),
    }
}

fn collect(place: &Path, files: &mut Vec<(SystemTime, PathBuf)>) {
    let Ok(told) = std::fs::symlink_metadata(place) else {
        return;
    };
    if told.is_file() {
        let changed = told.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        files.push((changed, place.to_path_buf()));
    } else if told.is_dir() {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        entries.for_each(|entry| collect(&entry.path(), files));
    }
}

fn search_file(planted: &[Vec<u8>], path: &Path, most: u64) -> std::io::Result<(u64, bool)> {
    let overlap = planted.iter().map(Vec::len).max().unwrap_or(1) - 1;
    let mut file = File::open(path)?.take(most);
    let mut piece = Vec::with_capacity(PIECE + overlap);
    let mut read = 0;
    loop {
        let before = piece.len();
        let got = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        read += got as u64;
        if holds(planted, piece.get(..before + got).unwrap_or_default()) {
            return Ok((read, true));
        }
        if got == 0 {
            return Ok((read, false));
        }
        // What may begin here and end in the next piece.
        piece.drain(..piece.len().saturating_sub(overlap));
    }
}

fn holds(planted: &[Vec<u8>], text: &[u8]) -> bool {
    planted.iter().any(|value| finds(text, value))
}

/// Whether `text` has `value`, by its first byte.
fn finds(text: &[u8], value: &[u8]) -> bool {
    let Some((first, _)) = value.split_first() else {
        return false;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(value) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_wherever_it_lies_and_never_named() {
        let folder = std::env::temp_dir().join(format!("popwatch-search-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        let planted = vec![b"secret-7".to_vec()];
        let mut text = vec![b's'; PIECE - 4];
        std::fs::write(folder.join("a/clean"), &text).unwrap();
        let places = [folder.clone()];
        let clean = search(&planted, &[Bytes::from_static(b"nothing")], &places);
        assert_eq!(
            clean,
            Secrets::None {
                bytes: PIECE as u64 + 3
            }
        );
        // Across two pieces.
        text.extend_from_slice(b"secret-7");
        std::fs::write(folder.join("a/b/file"), &text).unwrap();
        let Secrets::Found(found) = search(&planted, &[], &places) else {
            panic!("it is there");
        };
        assert!(found.len() == 1 && found[0].ends_with("a/b/file"));
        let answer = Bytes::from_static(b"{\"x\":\"secret-7\"}");
        assert_eq!(
            search(&planted, &[answer], &[]),
            Secrets::Found(vec!["an answer".into()])
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
