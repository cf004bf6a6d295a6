//! A disk that acknowledges a sync and keeps nothing of it when the power goes.
//!
//! ```text
//! sell, exchange ─► the disk begins to forget ─► sell, exchange a little ─► power cut ─► start
//!       ▲                                                                                 │
//!       └──────────────────────── a few times ────────────────────────────────────────────┘
//! ```
//!
//! No journal can keep what its disk threw away. What always holds all the same: the till starts by
//! itself and sells; what was safe before the disk began to forget is there; no seq stands for two
//! things; what the ledger had taken is in the books, and where the ledger holds more of a life than
//! the disk does, the journal names the difference as a gap. What neither disk nor ledger knows is
//! in no sum.

use std::collections::BTreeMap;

use popwatch_core::id::{EpochId, PopupId};
use popwatch_core::invariant::Law;
use popwatch_store::fs::faulty::FaultFs;

use super::{Counted, POPUP, ROUNDS_MAX, Spot, Story};
use crate::check::{Checked, Finding};
use crate::model::{Fact, Model};
use crate::rig::{EpochRead, reread};

/// Times the power is cut.
const CUTS_MAX: u64 = 4;

/// Something a till was told is safe.
struct Told {
    spot: Spot,
    fact: Fact,
    /// Whether the disk kept what it acknowledged then.
    kept: bool,
}

/// Tells the story of a seed; `forks` counts the records that were lost and named.
pub(crate) fn story(seed: u64) -> Result<Counted, Finding> {
    let mut story = Story::new(seed)?;
    let mut told = Vec::new();
    story.join(FaultFs::new(seed))?;
    for _ in 0..1 + story.dice.below(CUTS_MAX) {
        story.rounds(&mut told, true)?;
        story.devices[0].disk.forget();
        story.rounds(&mut told, false)?;
        story.devices[0].lose_power(story.now_ms);
        story.start(0)?;
    }
    story.rounds(&mut told, true)?;
    story.exchange(0, usize::MAX)?;
    story.now_ms += 120_000;
    story.exchange(0, usize::MAX)?;
    story.judge(&told)?;
    Ok(story.counts)
}

impl Story {
    /// Sells a few times, and lets some of it reach the peers.
    fn rounds(&mut self, told: &mut Vec<Told>, kept: bool) -> Checked {
        for _ in 0..1 + self.dice.below(ROUNDS_MAX) {
            for fact in self.sell(0)? {
                let id = self.life_of(fact.place.1)?;
                told.push(Told {
                    spot: (id.0.to_vec(), fact.place.2),
                    fact,
                    kept,
                });
            }
            match self.dice.below(4) {
                0 => self.exchange(0, usize::MAX)?,
                1 => {
                    let some = 1 + self.dice.index(4);
                    self.exchange(0, some)?;
                }
                _ => {}
            }
            self.now_ms += 1_000 + self.dice.below(90_000);
        }
        Ok(())
    }

    fn life_of(&self, epoch: u32) -> Result<EpochId, Finding> {
        let live = self.devices[0].live.as_ref();
        let epochs = live.map(|live| live.journal.epochs()).unwrap_or_default();
        let found = epochs.iter().rfind(|of| of.epoch.0 == epoch);
        found
            .map(|of| of.epoch_id)
            .ok_or_else(|| Finding::defect(format!("epoch {epoch} was written and is not known")))
    }

    fn judge(&mut self, told: &[Told]) -> Checked {
        let live = self.devices[0].live.as_mut();
        let live = live.ok_or_else(|| Finding::defect("the till does not run".into()))?;
        let read = reread(&mut live.journal)
            .map_err(|fault| Finding::defect(format!("the journal is not read: {fault}")))?;
        let lives: BTreeMap<Vec<u8>, &EpochRead> = read
            .iter()
            .map(|of| (of.info.epoch_id.0.to_vec(), of))
            .collect();
        for of in &read {
            dense(of)?;
        }
        let mut stands = Model::default();
        for (at, one) in told.iter().enumerate() {
            let here = lives.get(&one.spot.0).copied();
            let frame = here.and_then(|of| frame(of, one.spot.1));
            let heard = self.heard.records.contains(&one.spot);
            match frame {
                Some(bytes) if bytes == one.fact.payload => {}
                Some(_) => return lost(one, "holds other bytes"),
                None if one.kept => return lost(one, "is gone, although its disk kept it"),
                None => {
                    self.counts.forks += 1;
                    let whole = self.heard.whole.get(&one.spot.0).copied().unwrap_or(0);
                    let named = here.is_none_or(|of| is_named(of, one.spot.1));
                    if one.spot.1 <= whole && !named {
                        return lost(one, "is gone, the ledger knows it, and no gap names it");
                    }
                }
            }
            if frame.is_some() || heard {
                let mut fact = one.fact.clone();
                // One epoch number can be of two lives.
                fact.place.0 = at;
                stands.acked(fact);
            }
        }
        self.booked(&stands)
    }

    /// The books hold what disk or ledger knew, once.
    fn booked(&self, stands: &Model) -> Checked {
        let popup = PopupId::new(POPUP).map_err(|fault| Finding::defect(format!("{fault}")))?;
        let view = self.books.books(&popup).map_err(Finding::books)?;
        let expect = stands.in_the_books().remove(POPUP).unwrap_or_default();
        if view.totals == expect {
            return Ok(());
        }
        let sentence = format!(
            "L3: events lost or doubled in the books: {:?}, known {expect:?}",
            view.totals
        );
        Err(Finding::of(Law::L3, sentence))
    }
}

fn lost(one: &Told, how: &str) -> Checked {
    let (epoch, seq) = (one.fact.place.1, one.spot.1);
    let sentence = format!("L1: epoch {epoch} seq {seq} was safe and {how}");
    Err(Finding::of(Law::L1, sentence))
}

fn frame(of: &EpochRead, seq: u64) -> Option<&[u8]> {
    let found = of.frames.iter().find(|(at, _)| *at == seq);
    found.map(|(_, payload)| payload.as_slice())
}

fn is_named(of: &EpochRead, seq: u64) -> bool {
    let within = |(first, last): &(u64, u64)| (*first..=*last).contains(&seq);
    of.lost.iter().any(within)
}

/// Each seq of an epoch is a record or lost by name, and only one of them.
fn dense(of: &EpochRead) -> Checked {
    for seq in 1..=of.info.last_seq.0 {
        let records = of.frames.iter().filter(|(at, _)| *at == seq).count();
        if records > 1 || (records == 1) == is_named(of, seq) {
            let epoch = of.info.epoch;
            let sentence = format!("L2: {epoch:?} seq {seq} stands for {records} records");
            return Err(Finding::of(Law::L2, sentence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_forgetful_disk_loses_is_named_as_far_as_a_peer_knew_it() {
        let mut all = Counted::default();
        for seed in 0..60 {
            let told = story(seed).unwrap_or_else(|finding| panic!("seed {seed}: {finding:?}"));
            all.acked += told.acked;
            all.forks += told.forks;
        }
        assert!(all.forks > 100 && all.acked > 1_000, "{all:?}");
    }
}
