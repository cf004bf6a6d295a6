//! Whether events stand in the minute in which they truly happened, whatever clocks claimed.
//!
//! The world knows when everything happened. A second, plain reading of the anchors says where the
//! fold must have put each sale; both are compared with the cells.

use std::collections::BTreeMap;

use popwatch_core::anchor::{Anchor, event_time};
use popwatch_core::event::Event;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::fold::EpochFold;
use popwatch_core::id::BootId;
use popwatch_core::record::{self, Record};
use popwatch_core::time::{Minute, WallMs};

use crate::check::Finding;
use crate::model::Model;
use crate::rig::{EpochRead, Rig, WALL_MS, reread};
use crate::world::Counts;

/// Of a thousand events with a contact in their epoch, so many stand in the right minute.
const OF_A_THOUSAND: u64 = 999;

/// Whether enough events of some days stand in the right minute.
#[must_use]
pub(crate) fn enough(counts: Counts) -> bool {
    counts.minutes_right * 1_000 >= counts.minutes_all * OF_A_THOUSAND
}

/// Events of a rig in their true minute, and all that can be judged: those of epochs in which a peer
/// told the time, unless they only state the time of a clock that is not the rig's or was set before
/// they were sent.
pub(crate) fn right(rig: &mut Rig, model: &Model) -> Result<(u64, u64), Finding> {
    let Some(live) = &mut rig.live else {
        return Ok((0, 0));
    };
    let read = reread(&mut live.journal)
        .map_err(|error| Finding::defect(format!("a journal that works is not read: {error}")))?;
    let (mut right, mut all) = (0, 0);
    for EpochRead { info, frames, .. } in read {
        let records: Vec<_> = frames
            .iter()
            .filter_map(|(seq, payload)| Some((*seq, record::decode(payload).ok()?)))
            .collect();
        let clock = Reading::of(&records);
        if let Some(fold) = live.edge.folds().get(&info.epoch) {
            clock.agrees(fold, &records)?;
        }
        let Some(boot_ms) = clock.boot.and_then(|boot| rig.boot_starts.get(&boot)) else {
            continue;
        };
        if clock.anchors.is_empty() {
            continue;
        }
        for (seq, record) in &records {
            let place = (rig.no, info.epoch.0, *seq);
            if let Some(true_ms) = truth(record, *boot_ms, place, model) {
                all += 1;
                right += u64::from(clock.minute(*seq, record) == Minute::of(WallMs(true_ms)));
            }
        }
    }
    Ok((right, all))
}

/// When an event truly happened, ms since 1970; `None` for what cannot be judged.
fn truth(record: &Record, boot_ms: u64, place: (usize, u32, u64), model: &Model) -> Option<i64> {
    if matches!(record.event, Event::System(_)) {
        return None;
    }
    let happened = |world_ms: u64| Some(WALL_MS + i64::try_from(world_ms).ok()?);
    let stamp = &record.stamp;
    let fact = model.at(place)?;
    let own = fact.key.0 == format!("till:t{}", place.0 + 1);
    match (stamp.age_ms, stamp.time_ms) {
        (Some(_), _) => happened(fact.at_ms),
        (None, Some(said)) if own && record.flags.local_sender => {
            let (at, admitted) = (
                happened(fact.at_ms)?,
                happened(boot_ms + stamp.mono_ns / 1_000_000)?,
            );
            // A clock that was set between event and sending: what it showed before, nobody knows.
            (said - at == stamp.wall_ms - admitted).then_some(at)
        }
        (None, Some(_)) => None,
        (None, None) => happened(boot_ms + stamp.mono_ns / 1_000_000),
    }
}

/// What an epoch's records say of its clock.
struct Reading {
    boot: Option<BootId>,
    /// By seq; the second says whether it governs all before it.
    anchors: BTreeMap<u64, (Anchor, bool)>,
    starts: BTreeMap<String, i64>,
}

impl Reading {
    fn of(records: &[(u64, Record)]) -> Self {
        let mut reading = Self {
            boot: None,
            anchors: BTreeMap::new(),
            starts: BTreeMap::new(),
        };
        for (seq, record) in records {
            let Event::System(event) = &record.event else {
                continue;
            };
            if let SystemEvent::RigStarted(started) = event {
                reading.boot = BootId::from_slice(&started.boot_id);
            } else if let SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy) =
                event
            {
                let popup = policy.popup.clone();
                reading.starts.insert(popup, policy.starts_ms);
            } else if let SystemEvent::ClockAnchored(anchored) = event
                && let Some(anchor) = Anchor::of(anchored, reading.boot)
            {
                reading.anchors.insert(*seq, (anchor, anchored.rebucket));
            }
        }
        reading
    }

    /// The last anchor with `rebucket` governs all before it, every other one what follows it.
    fn governing(&self, seq: u64) -> Option<&Anchor> {
        let mut moving = self.anchors.iter().rev();
        let last = moving.find(|(_, (_, rebucket))| *rebucket);
        if let Some((at, (anchor, _))) = last
            && seq < *at
        {
            return Some(anchor);
        }
        let before = self.anchors.range(..seq).next_back();
        before.map(|(_, (anchor, _))| anchor)
    }

    fn minute(&self, seq: u64, record: &Record) -> Minute {
        let popup = record.popup.as_ref().map(|popup| popup.as_str());
        let starts = popup.and_then(|popup| self.starts.get(popup)).copied();
        let anchor = self.governing(seq);
        Minute::of(event_time(&record.stamp, record.flags, anchor, starts.map(WallMs)).at)
    }

    /// The cells of an epoch hold each of its sales in the minute that the anchors say.
    fn agrees(&self, fold: &EpochFold, records: &[(u64, Record)]) -> Result<(), Finding> {
        let mut told: BTreeMap<(String, u32), u64> = BTreeMap::new();
        for (seq, record) in records {
            if let (Event::PaymentCaptured(_), Some(popup)) = (&record.event, &record.popup)
                && !record.flags.late
            {
                let key = (String::from(popup), self.minute(*seq, record).0);
                *told.entry(key).or_default() += 1;
            }
        }
        let mut held: BTreeMap<(String, u32), u64> = BTreeMap::new();
        for cell in fold.cells() {
            let captures: u64 = cell.money.iter().map(|row| row.captures).sum();
            if captures > 0 {
                held.insert((cell.popup.clone(), cell.minute), captures);
            }
        }
        if told == held {
            return Ok(());
        }
        let epoch = fold.cells().next().map_or(0, |cell| cell.epoch);
        Err(Finding::defect(format!(
            "the anchors of epoch {epoch} put its sales into {told:?}, its cells into {held:?}"
        )))
    }
}
