//! The hash chains of both cursors through a batch.
//!
//! Lost and withheld records make a chain unknown; the next seal states both chains, and there they
//! start again. Wherever both sides know a chain they must agree.

use std::collections::BTreeMap;

use popwatch_core::event::system::{Seal, SystemEvent};
use popwatch_core::event::{Class, Cursor, Event};
use popwatch_core::lane::{RecordBatch, SkipWhy};
use popwatch_core::record;

use super::super::BooksFault;
use super::super::db::values;
use super::super::frame::{self, Frame};
use super::super::held::{Chain, Held};
use super::super::rows::{column, number};
use super::Intake;
use super::head::Place;

pub(super) struct Walked {
    pub(super) before: Chain,
    pub(super) after: Chain,
    pub(super) forked: bool,
}

impl Intake<'_> {
    /// Follows the chain through the batch and compares it wherever both sides know it.
    pub(super) fn walk_chain(
        &self,
        batch: &RecordBatch,
        places: &[Place<'_>],
        (held, other): (&Held, &Held),
        last: u64,
    ) -> Result<Walked, BooksFault> {
        let start = batch.first_seq - 1;
        let mut known = held.checkpoints(start, last);
        if start == 0 {
            known.insert(0, frame::chain_start(self.head.epoch_id, self.head.cursor));
        }
        let before: Chain = batch.chain_before[..].try_into().ok();
        let mut chain = before;
        let differs = |seq: u64, chain: &Chain| match (known.get(&seq), chain) {
            (Some(ours), Some(theirs)) => ours != theirs,
            (Some(_) | None, _) => false,
        };
        let mut forked = differs(start, &chain);
        let seals = self.held_seals(start, last)?;
        let mut at = start;
        for place in places {
            match place {
                Place::Frame(frame) => {
                    if let Some([trunk, bulk]) = self.sealed_chains(frame) {
                        forked |= chain.is_some_and(|chain| chain != trunk);
                        chain = Some(trunk);
                        let known = other.checkpoints(frame.seq, frame.seq);
                        forked |= known.get(&frame.seq).is_some_and(|ours| *ours != bulk);
                    }
                    chain = chain.map(|chain| frame.chain(chain));
                }
                Place::Skip { skip, .. } => match skip.why() {
                    SkipWhy::OtherCursor | SkipWhy::Void => {
                        for (_, stated) in seals.range(at + 1..=place.last()) {
                            forked |= chain.is_some_and(|chain| chain != *stated);
                            chain = Some(*stated);
                        }
                    }
                    SkipWhy::Gap | SkipWhy::Withheld | SkipWhy::Unsaid => chain = None,
                },
            }
            forked |= differs(place.last(), &chain);
            at = place.last();
        }
        let stated: Chain = batch.chain_after[..].try_into().ok();
        if let (Some(stated), Some(chain)) = (stated, chain)
            && stated != chain
            && !forked
        {
            return Err(BooksFault::Batch("does not end in the chain it states"));
        }
        Ok(Walked {
            before,
            after: chain,
            forked,
        })
    }

    /// The chains that a seal states, before itself: trunk, bulk.
    fn sealed_chains(&self, frame: &Frame<'_>) -> Option<[[u8; 32]; 2]> {
        if frame.class != Class::System {
            return None;
        }
        chains_of(frame.payload())
    }

    /// The bulk chains that held seals state, when bulk is walked: the seals are on the trunk.
    fn held_seals(&self, from: u64, to: u64) -> Result<BTreeMap<u64, [u8; 32]>, BooksFault> {
        if self.head.cursor == Cursor::Trunk {
            return Ok(BTreeMap::new());
        }
        let read = || {
            self.db.rows::<(i64, Vec<u8>)>(
                "SELECT seq, bytes FROM records WHERE rig = ?1 AND epoch = ?2
                     AND seq > ?3 AND seq <= ?4 AND class = 0 AND bytes IS NOT NULL",
                values![
                    self.head.rig.as_str(),
                    self.head.epoch,
                    column(from),
                    column(to)
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        };
        let held = read().map_err(BooksFault::sql("read seals"))?;
        let stated = held.into_iter().filter_map(|(seq, bytes)| {
            let [_, bulk] = chains_of(bytes.get(frame::HEADER_BYTES..)?)?;
            Some((number(seq), bulk))
        });
        Ok(stated.collect())
    }
}

fn chains_of(payload: &[u8]) -> Option<[[u8; 32]; 2]> {
    let Event::System(event) = record::decode(payload).ok()?.event else {
        return None;
    };
    let (SystemEvent::RigSeal(seal) | SystemEvent::RigStopped(seal)) = event else {
        return None;
    };
    let Seal {
        chain_trunk,
        chain_bulk,
        ..
    } = seal;
    Some([
        chain_trunk[..].try_into().ok()?,
        chain_bulk[..].try_into().ok()?,
    ])
}
