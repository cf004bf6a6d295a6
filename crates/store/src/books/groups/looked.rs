//! Looking at a group as it stands: what its members say that makes no entry.

use popwatch_core::ledger::group::{Group, GroupKey};

use super::super::BooksFault;
use super::super::posting::Poster;
use super::around::Around;
use super::{gather, told};

/// Brings the group of a key together and asks it something; `None` for a group of no facts or of
/// more than are evaluated together. The poster must not have touched anything: nothing is written.
pub(in crate::books) fn look<T>(
    poster: &mut Poster<'_>,
    key: GroupKey,
    ask: impl FnOnce(&Group<'_>) -> T,
) -> Result<Option<(GroupKey, T)>, BooksFault> {
    let (gathered, _) = gather(poster, key)?;
    if gathered.members.is_empty() || gathered.beyond {
        return Ok(None);
    }
    let words = told::words(poster, key.kind, &gathered.hashes)?;
    let around = Around::new(poster, key.kind, &gathered.hashes);
    let answer = ask(&Group {
        kind: key.kind,
        key: gathered.key,
        members: &gathered.members,
        words: &words,
        rules: &poster.terms.rules,
        as_of_ms: poster.as_of_ms,
        around: &around,
    });
    // What it asked about makes no entry here, so nobody needs to wake it.
    around.finish()?;
    Ok(Some((gathered.key, answer)))
}
