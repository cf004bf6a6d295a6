//! What the records of one epoch, read in order, contradict or leave open: running totals that differ
//! from the records (E-TOTAL), a clock that ran backwards (E-CLOCK), a rig that never said it was done
//! (E-UNSEALED).
//!
//! ```text
//! held records in seq order ──► EpochCheck ──► breaks of a popup
//! ```
//!
//! Corrected time here is the time of admission under the anchor that governs the record: within the
//! reach of one anchor it cannot run backwards, since the steady clock does not.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Commodity;
use super::breaks::{Break, BreakClass};
use super::reconcile::EpochCoverage;
use crate::anchor::{Anchor, admission};
use crate::event::{Class, Event, system::SystemEvent};
use crate::id::{PopupId, RigId};
use crate::limits::{CLOCK_SUSPECT_MS, CLOCK_UNCERTAIN_MS};
use crate::money::{Currency, Money};
use crate::record::Record;

/// Checks the records of one epoch against each other. Feed all held ones in seq order.
#[derive(Debug, Clone)]
pub struct EpochCheck {
    rig: RigId,
    epoch: u32,
    totals: Totals,
    clock: ClockCheck,
    farewell: Farewell,
}

impl EpochCheck {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(rig: RigId, epoch: u32) -> Self {
        Self {
            rig,
            epoch,
            totals: Totals::default(),
            clock: ClockCheck::default(),
            farewell: Farewell::default(),
        }
    }

    /// Takes the next record. A hole before it makes the sums unknown until they are stated again.
    pub fn record(&mut self, seq: u64, record: &Record) {
        self.totals.record(seq, record);
        self.clock.record(seq, record);
        let admitted = admission(&record.stamp, self.clock.anchor.as_ref());
        let at_ms = admitted.0.max(record.stamp.wall_ms);
        self.farewell.record(record, at_ms);
    }

    /// What of a popup the records contradict.
    #[must_use]
    pub fn breaks(&self, popup: &PopupId) -> Vec<Break> {
        let mut out = self.totals.breaks(popup, &self.rig, self.epoch);
        out.extend(self.clock.named(popup, &self.rig, self.epoch));
        out
    }

    /// Whether the rig never said that it is done with a popup which is over (E-UNSEALED): no later
    /// epoch, no clean stop, not begun or sealed at or after `ends_ms`, and that moment has passed at
    /// `as_of_ms` (both ms since 1970). What it recorded last may then be unknown to all but the rig.
    #[must_use]
    pub fn unsealed(
        &self,
        popup: &PopupId,
        coverage: &EpochCoverage,
        ends_ms: i64,
        as_of_ms: i64,
    ) -> Option<Break> {
        let said = self.farewell.stopped
            || coverage.ended_at.is_some()
            || (self.farewell.began_ms.max(self.farewell.sealed_ms))
                .is_some_and(|at_ms| at_ms >= ends_ms);
        if said || as_of_ms < ends_ms {
            return None;
        }
        let rig = &self.rig;
        let sentence = match coverage.held_last {
            0 => format!("{rig} took part and has sent nothing; nobody knows what it recorded."),
            last => format!(
                "{rig} has not said that it is done; record {last} is the last that is known of it, \
                 and there may be more."
            ),
        };
        let keys = [popup.to_string(), rig.to_string(), self.epoch.to_string()];
        let at = format!("{rig}/{}/{}", self.epoch, coverage.held_last);
        Some(Break::new(BreakClass::Unsealed, keys.into(), sentence).evident([at].into()))
    }
}

/// The last word of an epoch.
#[derive(Debug, Clone, Default)]
struct Farewell {
    stopped: bool,
    /// When its first record was made, ms since 1970, by the later of its own and the corrected clock.
    began_ms: Option<i64>,
    /// When it was sealed last, by the same.
    sealed_ms: Option<i64>,
}

impl Farewell {
    fn record(&mut self, record: &Record, at_ms: i64) {
        self.began_ms.get_or_insert(at_ms);
        self.stopped = matches!(&record.event, Event::System(SystemEvent::RigStopped(_)));
        if matches!(&record.event, Event::System(SystemEvent::RigSeal(_))) {
            self.sealed_ms = self.sealed_ms.max(Some(at_ms));
        }
    }
}

/// How far the clock of the money records can be believed.
#[derive(Debug, Clone, Default)]
struct ClockCheck {
    anchor: Option<Anchor>,
    last: Option<Dated>,
    odd: BTreeMap<PopupId, OddClock>,
}

#[derive(Debug, Clone, Copy)]
struct Dated {
    mono_ns: u64,
    at_ms: i64,
}

#[derive(Debug, Clone, Default)]
struct OddClock {
    /// Money records that lie before the one before them by more than a clock may err.
    backwards: u64,
    /// The furthest step back, ms.
    step_ms: i64,
    /// The greatest uncertainty of a money record, ms, where that is beyond belief.
    uncertain_ms: u64,
    /// The first such record.
    first_seq: u64,
}

impl ClockCheck {
    fn record(&mut self, seq: u64, record: &Record) {
        if let Event::System(SystemEvent::ClockAnchored(anchored)) = &record.event
            && let Some(anchor) = Anchor::of(anchored, None)
        {
            self.anchored(anchor, anchored.rebucket);
        }
        let Some(popup) = &record.popup else { return };
        if record.event.class() != Class::Money {
            return;
        }
        let anchor = self.anchor.as_ref();
        let at_ms = admission(&record.stamp, anchor).0;
        let mono_ns = record.stamp.mono_ns;
        let back_ms = self.last.map_or(0, |last| last.at_ms.saturating_sub(at_ms));
        let uncertain_ms = anchor.map_or(0, |anchor| anchor.uncertainty_ms(mono_ns));
        let is_back = u64::try_from(back_ms).is_ok_and(|back_ms| back_ms > CLOCK_SUSPECT_MS);
        if is_back || uncertain_ms > CLOCK_UNCERTAIN_MS {
            let odd = self.odd.entry(popup.clone()).or_insert(OddClock {
                first_seq: seq,
                ..OddClock::default()
            });
            odd.backwards += u64::from(is_back);
            odd.step_ms = odd.step_ms.max(back_ms);
            if uncertain_ms > CLOCK_UNCERTAIN_MS {
                odd.uncertain_ms = odd.uncertain_ms.max(uncertain_ms);
            }
        }
        self.last = Some(Dated { mono_ns, at_ms });
    }

    /// From here on another anchor governs, and with `rebucket` all before it too: what was odd under
    /// the clock before is so no longer.
    fn anchored(&mut self, anchor: Anchor, rebucket: bool) {
        if rebucket {
            self.odd.clear();
            if let Some(last) = &mut self.last {
                last.at_ms = anchor.true_ms(last.mono_ns).0;
            }
        }
        self.anchor = Some(anchor);
    }

    fn named(&self, popup: &PopupId, rig: &RigId, epoch: u32) -> Option<Break> {
        let odd = self.odd.get(popup)?;
        let seconds = |ms: u64| ms.div_ceil(1_000);
        let back = match odd.backwards {
            0 => None,
            1 => Some(String::from("once")),
            count => Some(format!("{count} times")),
        };
        let by = seconds(odd.step_ms.unsigned_abs());
        let back = back.map(|often| format!("its clock ran back {often}, by up to {by} s"));
        let unsure = match odd.uncertain_ms {
            0 => None,
            ms => Some(format!("it may be wrong by {} s", seconds(ms))),
        };
        let what: Vec<String> = back.into_iter().chain(unsure).collect();
        let sentence = format!(
            "The times of {rig}'s sales are not certain: {}. Amounts are not touched.",
            what.join(", and ")
        );
        let keys = [popup.to_string(), rig.to_string(), epoch.to_string()];
        let at = format!("{rig}/{epoch}/{}", odd.first_seq);
        Some(Break::new(BreakClass::Clock, keys.into(), sentence).evident([at].into()))
    }
}

/// The running totals that money records carry, against the records themselves.
#[derive(Debug, Clone)]
struct Totals {
    next_seq: u64,
    sums: BTreeMap<(String, String), Option<(i64, i64)>>,
    off: BTreeMap<(String, String), (i64, u64)>,
    seen_hole: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            next_seq: 1,
            sums: BTreeMap::new(),
            off: BTreeMap::new(),
            seen_hole: false,
        }
    }
}

impl Totals {
    fn record(&mut self, seq: u64, record: &Record) {
        if seq != self.next_seq {
            self.seen_hole = true;
            self.sums.values_mut().for_each(|sum| *sum = None);
        }
        self.next_seq = seq + 1;
        let (currency, own) = if let Event::PaymentCaptured(sale) = &record.event {
            (sale.currency, (sale.amount.0, 0))
        } else if let Event::PaymentRefunded(asked) = &record.event {
            (asked.currency, (0, asked.amount.0))
        } else {
            return;
        };
        for row in &record.totals {
            if row.currency != currency.code() {
                continue;
            }
            let key = (row.popup.clone(), row.currency.clone());
            let before = match self.sums.get(&key) {
                Some(known) => *known,
                None => (!self.seen_hole).then_some((0, 0)),
            };
            if let Some((captured, refunded)) = before {
                let expect = (
                    captured.saturating_add(own.0),
                    refunded.saturating_add(own.1),
                );
                let off = row
                    .captured
                    .saturating_sub(expect.0)
                    .saturating_sub(row.refunded.saturating_sub(expect.1));
                if (row.captured, row.refunded) != expect {
                    let entry = self.off.entry(key.clone()).or_insert((0, seq));
                    entry.0 = entry.0.saturating_add(off);
                }
            }
            self.sums.insert(key, Some((row.captured, row.refunded)));
        }
    }

    fn breaks(&self, popup: &PopupId, rig: &RigId, epoch: u32) -> Vec<Break> {
        self.off
            .iter()
            .filter(|((of, _), _)| of == popup.as_str())
            .filter_map(|((_, code), (off, seq))| {
                let currency = Currency::new(code)?;
                let keys = [
                    popup.to_string(),
                    rig.to_string(),
                    epoch.to_string(),
                    code.clone(),
                ];
                let sentence = format!(
                    "{rig}'s own running total differs from its sales and refunds by {}.",
                    Money::new(*off, currency)
                );
                let at = format!("{rig}/{epoch}/{seq}");
                Some(
                    Break::new(BreakClass::Total, keys.into(), sentence)
                        .amounting(Commodity::Money(currency), *off, None)
                        .evident([at].into()),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::system::{ClockAnchored, Seal};
    use crate::id::{EventId, Source};
    use crate::ledger::{Ranges, whole};
    use crate::record::{Content, Flags, Stamp};

    const HOUR_MS: i64 = 3_600_000;

    fn popup() -> PopupId {
        PopupId::new("fri").unwrap()
    }

    fn check() -> EpochCheck {
        EpochCheck::new(RigId::new("till-2").unwrap(), 3)
    }

    /// A record of this steady second, whose wall clock read so many ms.
    fn at(second: u64, wall_ms: i64, event: Event) -> Record {
        Record {
            popup: (event.class() == Class::Money).then(popup),
            source: Source::new("till").unwrap(),
            id: EventId::new("1").unwrap(),
            stamp: Stamp {
                mono_ns: second * 1_000_000_000,
                wall_ms,
                time_ms: None,
                age_ms: None,
            },
            flags: Flags::default(),
            event,
            totals: Vec::new(),
            content: Content::default(),
            policy_version: 1,
            origin: None,
            beyond: None,
        }
    }

    fn sale(second: u64, wall_ms: i64) -> Record {
        at(
            second,
            wall_ms,
            Event::PaymentCaptured(whole::sale("p", 500, &[])),
        )
    }

    fn anchored(second: u64, true_ms: i64, u_ms: u32, rebucket: bool) -> Record {
        let anchored = ClockAnchored {
            mono_ns: second * 1_000_000_000,
            wall_us: true_ms * 1_000,
            u_ms,
            rebucket,
            ..ClockAnchored::default()
        };
        at(
            second,
            true_ms,
            Event::System(SystemEvent::ClockAnchored(anchored)),
        )
    }

    fn told(records: &[Record]) -> Vec<String> {
        let mut check = check();
        for (seq, record) in (1..).zip(records) {
            check.record(seq, record);
        }
        let named = check.breaks(&popup());
        named.into_iter().map(|found| found.sentence).collect()
    }

    #[test]
    fn a_clock_set_back_between_sales_is_named_and_a_small_step_is_not() {
        let back = [sale(1, HOUR_MS), sale(2, HOUR_MS - 5_000), sale(3, HOUR_MS)];
        let [sentence] = &told(&back)[..] else {
            panic!("one break")
        };
        assert!(
            sentence.contains("ran back once, by up to 5 s"),
            "{sentence}"
        );
        assert!(told(&[sale(1, HOUR_MS), sale(2, HOUR_MS - 2_000)]).is_empty());
        assert!(told(&[sale(1, HOUR_MS), sale(2, HOUR_MS + 1_000)]).is_empty());
    }

    #[test]
    fn an_anchor_that_moves_what_came_before_takes_the_word_back() {
        let back = [sale(1, HOUR_MS), sale(2, 0)];
        let settled = anchored(3, 9 * HOUR_MS, 20, true);
        let after = sale(4, 0);
        assert_eq!(
            told(&[back.as_slice(), core::slice::from_ref(&after)].concat()).len(),
            1
        );
        assert!(told(&[back.as_slice(), &[settled, after]].concat()).is_empty());
        // One that moves nothing before it leaves the step where it is.
        let later = anchored(3, 0, 20, false);
        assert_eq!(told(&[sale(1, HOUR_MS), later, sale(4, 0)]).len(), 1);
    }

    #[test]
    fn sales_under_an_anchor_beyond_belief_are_named() {
        let sure = [anchored(1, HOUR_MS, 60_000, false), sale(1, HOUR_MS)];
        assert!(told(&sure).is_empty());
        let unsure = [anchored(1, HOUR_MS, 60_001, false), sale(1, HOUR_MS)];
        assert!(told(&unsure)[0].contains("may be wrong by 61 s"));
    }

    fn covered(ended_at: Option<u64>) -> EpochCoverage {
        EpochCoverage {
            rig: RigId::new("till-2").unwrap(),
            epoch: 3,
            trunk: Ranges::of([(1, 2)]),
            bulk: Ranges::of([(1, 2)]),
            lost: Ranges::default(),
            held_last: 2,
            ended_at,
            ended_least: ended_at,
            beacon_head: 2,
        }
    }

    #[test]
    fn a_rig_that_vanished_before_the_end_is_named_until_it_says_that_it_is_done() {
        let seal = |wall_ms| {
            at(
                9,
                wall_ms,
                Event::System(SystemEvent::RigSeal(Seal::default())),
            )
        };
        let stop = at(
            9,
            2,
            Event::System(SystemEvent::RigStopped(Seal::default())),
        );
        let unsealed = |records: &[Record], ended_at, as_of_ms| {
            let mut check = check();
            for (seq, record) in (1..).zip(records) {
                check.record(seq, record);
            }
            let found = check.unsealed(&popup(), &covered(ended_at), HOUR_MS, as_of_ms);
            found.map(|found| (found.class.text(), found.sentence))
        };
        let vanished = [sale(1, 1), seal(HOUR_MS - 1)];
        let (class, sentence) = unsealed(&vanished, None, HOUR_MS).unwrap();
        assert_eq!(class, "E-UNSEALED");
        assert!(sentence.contains("record 2 is the last"), "{sentence}");
        assert_eq!(
            unsealed(&vanished, None, HOUR_MS - 1),
            None,
            "it is not over"
        );
        assert_eq!(unsealed(&vanished, Some(2), HOUR_MS), None, "a later epoch");
        assert_eq!(unsealed(&[sale(1, 1), stop.clone()], None, HOUR_MS), None);
        assert_eq!(unsealed(&[sale(1, 1), seal(HOUR_MS)], None, HOUR_MS), None);
        assert_eq!(
            unsealed(&[sale(1, HOUR_MS)], None, HOUR_MS),
            None,
            "begun after it"
        );
        let silent = EpochCoverage {
            held_last: 0,
            ..covered(None)
        };
        let found = check().unsealed(&popup(), &silent, HOUR_MS, HOUR_MS);
        assert!(found.unwrap().sentence.contains("has sent nothing"));
        // What is said after a stop takes it back: the rig went on.
        assert!(unsealed(&[sale(1, 1), stop, sale(2, 3)], None, HOUR_MS).is_some());
    }
}
