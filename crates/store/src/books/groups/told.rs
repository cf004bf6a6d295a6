//! Words between groups: stored by whom they are for, found by who says them.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::ledger::FactId;
use popwatch_core::ledger::group::{GroupKey, GroupKind, Outcome, Word};

use super::super::BooksFault;
use super::super::db::values;
use super::super::posting::Poster;
use super::{Hash, place};

/// The words to a group under any of its keys, ascending by cause and part.
pub(super) fn words(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    hashes: &BTreeSet<Hash>,
) -> Result<Vec<Word>, BooksFault> {
    let number = kind.number();
    let spoken = match poster.marks.spoken.get(&number) {
        Some(known) => *known,
        None => {
            let any: bool = poster
                .db
                .one(
                    "SELECT EXISTS (SELECT 1 FROM group_words WHERE kind = ?1)",
                    values![number],
                    |row| row.get(0),
                )
                .map_err(BooksFault::sql("look for words"))?;
            poster.marks.spoken.insert(number, any);
            any
        }
    };
    let mut out = Vec::new();
    if !spoken {
        return Ok(out);
    }
    for hash in hashes {
        let found = poster
            .db
            .rows(
                "SELECT cause, part, bytes FROM group_words WHERE kind = ?1 AND hash = ?2",
                values![number, *hash],
                |row| {
                    Ok(Word {
                        cause: FactId(row.get(0)?),
                        part: row.get(1)?,
                        to: GroupKey { kind, hash: *hash },
                        bytes: row.get(2)?,
                    })
                },
            )
            .map_err(BooksFault::sql("read words"))?;
        out.extend(found);
    }
    out.sort_by(|a, b| (a.cause, &a.part).cmp(&(b.cause, &b.part)));
    Ok(out)
}

type Said = BTreeMap<(u8, Hash, String), Vec<u8>>;

/// Makes the words of every cause what it says now, and marks whom a change concerns.
pub(super) fn say(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    outcome: &Outcome,
    before: &BTreeSet<FactId>,
) -> Result<(), BooksFault> {
    let mut by_cause: BTreeMap<FactId, Said> = BTreeMap::new();
    for cause in super::causes_of(outcome) {
        by_cause.entry(cause).or_default();
    }
    for word in &outcome.words {
        // Words go forward only; one to an earlier kind would never be heard.
        if place(word.to.kind) > place(kind) {
            let to = (word.to.kind.number(), word.to.hash, word.part.clone());
            let said = by_cause.entry(word.cause).or_default();
            said.insert(to, word.bytes.clone());
        }
    }
    for (cause, said) in by_cause {
        let old = match before.contains(&cause) {
            true => of_cause(poster, cause)?,
            false => Said::new(),
        };
        for (to, bytes) in &said {
            if old.get(to) != Some(bytes) {
                put(poster, cause, to, bytes)?;
            }
        }
        for to in old.keys().filter(|to| !said.contains_key(to)) {
            take_back(poster, cause, to)?;
        }
    }
    Ok(())
}

/// Takes back every word of a cause.
pub(super) fn unsay(poster: &mut Poster<'_>, cause: FactId) -> Result<(), BooksFault> {
    for to in of_cause(poster, cause)?.keys() {
        take_back(poster, cause, to)?;
    }
    Ok(())
}

fn of_cause(poster: &Poster<'_>, cause: FactId) -> Result<Said, BooksFault> {
    let rows = poster
        .db
        .rows(
            "SELECT kind, hash, part, bytes FROM group_words WHERE cause = ?1",
            values![cause.0],
            |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)),
        )
        .map_err(BooksFault::sql("read words"))?;
    Ok(rows.into_iter().collect())
}

fn put(
    poster: &mut Poster<'_>,
    cause: FactId,
    to: &(u8, Hash, String),
    bytes: &[u8],
) -> Result<(), BooksFault> {
    poster
        .db
        .run(
            "INSERT INTO group_words (kind, hash, cause, part, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (kind, hash, cause, part) DO UPDATE SET bytes = excluded.bytes",
            values![to.0, to.1, cause.0, to.2, *bytes],
        )
        .map_err(BooksFault::sql("write a word"))?;
    poster.marks.spoken.insert(to.0, true);
    mark(poster, to);
    Ok(())
}

fn take_back(
    poster: &mut Poster<'_>,
    cause: FactId,
    to: &(u8, Hash, String),
) -> Result<(), BooksFault> {
    poster
        .db
        .run(
            "DELETE FROM group_words WHERE kind = ?1 AND hash = ?2 AND cause = ?3 AND part = ?4",
            values![to.0, to.1, cause.0, to.2],
        )
        .map_err(BooksFault::sql("take back a word"))?;
    mark(poster, to);
    Ok(())
}

fn mark(poster: &mut Poster<'_>, to: &(u8, Hash, String)) {
    if let Some(kind) = GroupKind::from_number(to.0) {
        poster.marks.mark(GroupKey { kind, hash: to.1 });
    }
}
