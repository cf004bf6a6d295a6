//! The centre's own journal: what providers, files and people at a desk say, in the table of records.
//!
//! Rig `central`, epoch 1, seqs without a hole, frames and hash chain like those of every rig; a
//! record is durable when the transaction that also posts it has committed. No rig may ship under
//! this name: the ledger is its only writer.
//!
//! | a record says | verdict | appended |
//! |---|---|---|
//! | something new | `Stored` | yes |
//! | what a held record says of the same event or business key | `Exists` | only when it is earlier |
//! | something else under a held key | `Conflict` | yes, once |
//!
//! An earlier telling of the same is appended because the first in canonical order posts, whatever
//! came first.

use std::collections::BTreeMap;

use popwatch_core::event::Cursor;
use popwatch_core::id::{EpochId, JournalId, Position};
use popwatch_core::lane::{Item, ItemBody, PROTOCOL, RecordBatch};
use popwatch_core::ledger::Fact;
use popwatch_core::limits::{BATCH_ITEMS_MAX, PAYLOAD_BYTES_MAX};
use popwatch_core::record::{self, Record};
use popwatch_core::time::Now;

use super::db::{Db, values};
use super::held::Held;
use super::rows::{column, position};
use super::{Books, BooksFault, Terms, frame, intake};

pub use popwatch_core::lane::CENTRAL;

/// Its only epoch.
const EPOCH: u32 = 1;

/// What became of a record that was appended at the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CentralVerdict {
    /// It is new and stands at this position.
    Stored(Position),
    /// A record at this position says the same.
    Exists(Position),
    /// Its id or business key says something else already; it is kept here, and a break names it.
    Conflict(Position),
}

impl CentralVerdict {
    /// Where the record that decided stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        match self {
            Self::Stored(at) | Self::Exists(at) | Self::Conflict(at) => at,
        }
    }
}

impl Books {
    /// Appends records to the centre's journal and posts them, all in one transaction; one verdict
    /// per record, in their order.
    ///
    /// Fails as a whole when a record is too large, when the journal is damaged, or when the
    /// database fails. The same records again append nothing.
    pub fn append_central(
        &mut self,
        records: Vec<Record>,
        now: Now,
    ) -> Result<Vec<CentralVerdict>, BooksFault> {
        let terms = &self.terms;
        self.transact(|db| append(db, terms, &records, now))
    }
}

/// Where the journal stands.
struct Tail {
    epoch_id: EpochId,
    last: u64,
    chain: [u8; 32],
}

/// What the records of one call that are not yet stored say: by event and by business key.
#[derive(Default)]
struct Told(BTreeMap<[u8; 16], Vec<Telling>>);

/// One record that states a fact.
#[derive(Clone)]
struct Telling {
    content: [u8; 16],
    occurred_ms: i64,
    position: Position,
    conflict: bool,
}

fn append(
    db: &Db,
    terms: &Terms,
    records: &[Record],
    now: Now,
) -> Result<Vec<CentralVerdict>, BooksFault> {
    let mut verdicts = Vec::with_capacity(records.len());
    let mut waiting: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut tail: Option<Tail> = None;
    let mut told = Told::default();
    for record in records {
        let payload = record::encode(record);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(BooksFault::Bound("bytes in one record"));
        }
        let tail = match &mut tail {
            Some(tail) => tail,
            none => none.insert(read_tail(db, now, &payload)?),
        };
        let seq = tail.last + 1 + waiting.len() as u64;
        let at = position(CENTRAL, i64::from(EPOCH), column(seq))?;
        let fact = Fact::of(record, at.clone());
        let mut repeat = false;
        if let Some(fact) = &fact {
            let known = told.same(db, fact)?;
            repeat = !known.is_empty();
            let earlier = |one: &Telling| one.occurred_ms <= fact.occurred_ms;
            if let Some(known) = known.into_iter().find(earlier) {
                verdicts.push(match known.conflict {
                    false => CentralVerdict::Exists(known.position),
                    true => CentralVerdict::Conflict(known.position),
                });
                continue;
            }
            told.add(fact);
        }
        waiting.push((verdicts.len(), payload));
        verdicts.push(match repeat {
            false => CentralVerdict::Stored(at),
            true => CentralVerdict::Exists(at),
        });
        if waiting.len() == BATCH_ITEMS_MAX {
            flush(db, terms, tail, &mut waiting, &mut verdicts, now)?;
            told = Told::default();
        }
    }
    if let Some(tail) = &mut tail {
        flush(db, terms, tail, &mut waiting, &mut verdicts, now)?;
    }
    Ok(verdicts)
}

/// Stores and posts what waits, and says which of it is a repeat or in conflict.
fn flush(
    db: &Db,
    terms: &Terms,
    tail: &mut Tail,
    waiting: &mut Vec<(usize, Vec<u8>)>,
    verdicts: &mut [CentralVerdict],
    now: Now,
) -> Result<(), BooksFault> {
    if waiting.is_empty() {
        return Ok(());
    }
    let first_seq = tail.last + 1;
    let before = tail.chain;
    let mut items = Vec::with_capacity(waiting.len());
    for (_, payload) in &*waiting {
        let class = popwatch_core::event::Class::System;
        let bytes = frame::make(class, EPOCH, tail.last + 1, &tail.epoch_id, payload);
        let read = frame::parse(&bytes, frame::seed(&tail.epoch_id))
            .ok_or(BooksFault::Damaged("own frame"))?;
        tail.chain = read.chain(tail.chain);
        tail.last += 1;
        items.push(Item {
            body: Some(ItemBody::Frame(bytes)),
        });
    }
    let batch = RecordBatch {
        protocol: PROTOCOL,
        rig: CENTRAL.to_string(),
        journal_id: JournalId(tail.epoch_id.0).0.to_vec(),
        epoch: EPOCH,
        epoch_id: tail.epoch_id.0.to_vec(),
        cursor: Cursor::Trunk as u32,
        first_seq,
        items,
        chain_before: before.to_vec(),
        chain_after: tail.chain.to_vec(),
        ..RecordBatch::default()
    };
    let ack = intake::take(db, terms, &batch, now)?;
    for odd in ack.not_ok {
        let Some((at, _)) = odd
            .seq
            .checked_sub(first_seq)
            .and_then(|at| waiting.get(usize::try_from(at).ok()?))
        else {
            continue;
        };
        if let Some(verdict) = verdicts.get_mut(*at) {
            let position = verdict.position().clone();
            *verdict = match odd.verdict.as_str() {
                "conflict" => CentralVerdict::Conflict(position),
                _ => CentralVerdict::Exists(position),
            };
        }
    }
    waiting.clear();
    Ok(())
}

/// The end of the journal; its epoch's id is made of what opens it.
fn read_tail(db: &Db, now: Now, payload: &[u8]) -> Result<Tail, BooksFault> {
    let found: Option<(Vec<u8>, Vec<u8>)> = db
        .row(
            "SELECT epoch_id, trunk FROM rig_epochs WHERE rig = ?1 AND epoch = ?2",
            values![CENTRAL, EPOCH],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(BooksFault::sql("read the centre's journal"))?;
    let Some((epoch_id, trunk)) = found else {
        let mut id = [0; 16];
        blake3::Hasher::new_derive_key("popwatch.central.v1")
            .update(&now.wall.0.to_le_bytes())
            .update(payload)
            .finalize_xof()
            .fill(&mut id);
        let epoch_id = EpochId(id);
        return Ok(Tail {
            epoch_id,
            last: 0,
            chain: frame::chain_start(epoch_id, Cursor::Trunk),
        });
    };
    let damaged = BooksFault::Damaged("journal of the centre");
    let (Some(epoch_id), Some(held)) = (EpochId::from_slice(&epoch_id), Held::decode(&trunk))
    else {
        return Err(damaged);
    };
    let last = held.ranges().contiguous();
    match held.checkpoints(last, last).get(&last) {
        Some(chain) if last > 0 && held.ranges().last() == last => Ok(Tail {
            epoch_id,
            last,
            chain: *chain,
        }),
        _ => Err(damaged),
    }
}

impl Told {
    /// The records that already say what this one would, what posts and is earliest first.
    fn same(&self, db: &Db, fact: &Fact) -> Result<Vec<Telling>, BooksFault> {
        let mut known: Vec<Telling> = stored(db, fact)?;
        for key in [fact.event_key.0, fact.id.0] {
            known.extend(self.0.get(&key).into_iter().flatten().cloned());
        }
        known.retain(|one| one.content == fact.content);
        known.sort_by_key(|one| (one.conflict, one.occurred_ms));
        Ok(known)
    }

    fn add(&mut self, fact: &Fact) {
        for key in [fact.event_key.0, fact.id.0] {
            self.0.entry(key).or_default().push(Telling {
                content: fact.content,
                occurred_ms: fact.occurred_ms,
                position: fact.position.clone(),
                conflict: false,
            });
        }
    }
}

fn stored(db: &Db, fact: &Fact) -> Result<Vec<Telling>, BooksFault> {
    let rows: Vec<([u8; 16], i64, i64, String, i64, i64)> = db
        .rows(
            "SELECT content, occurred_ms, state, rig, epoch, seq FROM facts WHERE event = ?1
             UNION ALL
             SELECT content, occurred_ms, state, rig, epoch, seq FROM facts WHERE fact_id = ?2",
            values![fact.event_key.0, fact.id.0],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .map_err(BooksFault::sql("look up a fact"))?;
    rows.into_iter()
        .map(|(content, occurred_ms, state, rig, epoch, seq)| {
            Ok(Telling {
                content,
                occurred_ms,
                position: position(&rig, epoch, seq)?,
                conflict: state == 2,
            })
        })
        .collect()
}
