//! Random damage to any file of a till, on a disk in memory: does it start again by itself, does it
//! take the next sale, and has everything that was acknowledged and is lost a name and a value?

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use popwatch_core::event::Event;
use popwatch_core::id::{Epoch, Seq};
use popwatch_core::record;
use popwatch_store::fs::faulty::{Dice, FaultFs};
use popwatch_store::journal::Verdict;

use super::journal::{Held, held, open};
use crate::sample;
use crate::table::Row;

/// Journals damaged.
const DAMAGES: u64 = 10_000;
/// Segments of each of the two epochs.
const SEGMENTS: usize = 3;

/// Two epochs, both stopped as they should be, each damaged up to four times at once.
pub(super) fn damage(quick: bool) -> Result<Vec<Row>> {
    tried(if quick { DAMAGES / 20 } else { DAMAGES })
}

fn tried(tries: u64) -> Result<Vec<Row>> {
    let (fs, before) = stopped()?;
    let names = fs.names();
    let mut found = Found::default();
    for seed in 0..tries {
        let copy = fs.copy(seed);
        let mut dice = Dice(seed);
        let count = 1 + dice.below(4);
        let what: Vec<_> = (0..count).map(|_| copy.harm(&mut dice, &names)).collect();
        let wrong = found.wrong;
        if let Err(fault) = found.one(&copy, &before) {
            found.refused += 1;
            crate::shell::complain(&format!("seed {seed}: {}: {fault:#}", what.join("; ")));
        }
        if found.wrong > wrong {
            crate::shell::complain(&format!("seed {seed}: {}", what.join("; ")));
        }
    }
    Ok(vec![
        Row::note(
            "damage: journals damaged at random",
            usize::try_from(tries)?,
        ),
        Row::count("damage: starts that needed help", found.refused, 0),
        Row::count("damage: sales refused afterwards", found.unsold, 0),
        Row::note("damage: records lost", found.lost),
        Row::note("damage: of them named because a peer knew", found.betrayed),
        Row::note(
            "damage: of them in an epoch without a file left",
            found.gone,
        ),
        Row::count("damage: records lost without a name", found.unnamed, 0),
        Row::note("damage: epochs with a loss and a known value", found.valued),
        Row::count("damage: values that are not what was lost", found.wrong, 0),
        Row::count("damage: losses that a second start finds", found.again, 0),
    ])
}

#[derive(Default)]
struct Found {
    refused: usize,
    unsold: usize,
    lost: usize,
    betrayed: usize,
    gone: usize,
    unnamed: usize,
    valued: usize,
    wrong: usize,
    again: usize,
}

impl Found {
    fn one(&mut self, fs: &FaultFs, before: &Held) -> Result<()> {
        let mut journal = open(fs, 4)?.0;
        // What damage only reading finds is recorded with the next commit.
        held(&mut journal)?;
        let key = *journal.journal_key();
        let fresh = sample::draft(1_000_000, 1, &key)?;
        let sold = journal.append(vec![fresh], sample::stamp(1_000_000))?;
        let accepted = |verdict: &Verdict| matches!(verdict, Verdict::Accepted(_));
        self.unsold += usize::from(!sold.verdicts.iter().all(accepted));
        let silent = held(&mut journal)?;
        for (epoch, last) in &before.last {
            journal.peer_knows(Epoch(*epoch), Seq(*last));
        }
        let after = held(&mut journal)?;
        for (place, _) in before
            .frames
            .iter()
            .filter(|(at, old)| after.frames.get(*at) != Some(*old))
        {
            self.lost += 1;
            if !after.last.contains_key(&place.0) {
                self.gone += 1;
            } else if !named(&after, *place) {
                self.unnamed += 1;
            } else if !named(&silent, *place) {
                self.betrayed += 1;
            }
        }
        self.values(&journal, before, &after)?;
        journal.append(Vec::new(), sample::stamp(1_000_001))?;
        drop(journal);
        let again = open(fs, 5)?.1;
        self.again += again.gaps.len();
        Ok(())
    }

    /// Where an epoch's gaps all know their value, it is what was lost.
    fn values(
        &mut self,
        journal: &popwatch_store::journal::Journal<FaultFs>,
        before: &Held,
        after: &Held,
    ) -> Result<()> {
        for epoch in before
            .last
            .keys()
            .filter(|epoch| after.last.contains_key(*epoch))
        {
            let gaps: Vec<_> = journal
                .gaps()
                .iter()
                .filter(|gap| gap.epoch == *epoch)
                .collect();
            if gaps.is_empty() || gaps.iter().any(|gap| gap.value_unknown) {
                continue;
            }
            let told: i64 = gaps
                .iter()
                .flat_map(|gap| &gap.value)
                .map(|row| row.captured)
                .sum();
            let mut lost = 0;
            for (place, frame) in &before.frames {
                if place.0 == *epoch && after.frames.get(place) != Some(frame) {
                    lost += captured(frame)?;
                }
            }
            self.valued += 1;
            if told != lost {
                self.wrong += 1;
                crate::shell::complain(&format!(
                    "epoch {epoch}: {lost} lost, {told} told: {gaps:?}"
                ));
            }
        }
        Ok(())
    }
}

fn named(held: &Held, (epoch, seq): (u32, u64)) -> bool {
    let gaps = held.gaps.get(&epoch).map(Vec::as_slice).unwrap_or_default();
    gaps.iter()
        .any(|(first, last)| (*first..=*last).contains(&seq))
}

fn captured(frame: &[u8]) -> Result<i64> {
    let payload = frame.get(popwatch_core::lane::FRAME_HEADER_BYTES..);
    let record = record::decode(payload.context("a frame has a header")?)?;
    if let Event::PaymentCaptured(sale) = record.event {
        return Ok(sale.amount.0);
    }
    Ok(0)
}

fn stopped() -> Result<(FaultFs, Held)> {
    let fs = FaultFs::new(1);
    let mut number = 0;
    for life in 1..=2 {
        let mut journal = open(&fs, life)?.0;
        let key = *journal.journal_key();
        let until = journal.segments() + SEGMENTS;
        while journal.segments() < until {
            let batch = (number..number + 1 + number % 5).map(|n| sample::draft(n, n % 4, &key));
            let batch = batch.collect::<Result<Vec<_>>>()?;
            number += batch.len() as u64;
            journal.append(batch, sample::stamp(number))?;
        }
        journal.stop(sample::stamp(number))?;
    }
    let mut journal = open(&fs.copy(1), 3)?.0;
    let mut before = held(&mut journal)?;
    let past = |epoch: u32| epoch < 3;
    before.frames.retain(|place, _| past(place.0));
    before.last.retain(|epoch, _| past(*epoch));
    before.gaps = BTreeMap::new();
    Ok((fs, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_damaged_journals_start_sell_and_name_their_losses() {
        let rows = tried(150).unwrap();
        for row in &rows {
            assert!(row.holds, "{}: {}", row.what, row.measured);
        }
        // Seeds are fixed: enough is lost for the rows to say something.
        let lost = rows.iter().find(|row| row.what == "damage: records lost");
        assert!(lost.is_some_and(|row| row.number > 500.0));
    }
}
