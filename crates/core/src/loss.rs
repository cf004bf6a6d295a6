//! What was refused on purpose, counted where it happens and said in `rig.loss` (L10).
//!
//! ```text
//! quiet ── a loss ──► first report at once ──► one each minute while losses come
//!   ▲                                                        │
//!   └──── the last report, when none came for ten seconds ◄──┘
//! ```
//!
//! What always holds: every count that was given is in exactly one report, or waits for the next;
//! a report that could not be journaled is given back and is in the next one. Rows are bounded:
//! beyond the bound a popup's name goes, its count stays.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::Class;
use crate::event::system::{Loss, LossCount};
use crate::id::PopupId;
use crate::limits::LOSS_ROWS_MAX;
use crate::shed;
use crate::time::{MonoMs, Now};

/// Between two reports while losses come, ms.
const REPORT_EVERY_MS: u64 = 60_000;
/// No loss for this long ends the spell, ms.
const QUIET_MS: u64 = 10_000;

/// Why an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The disk is low.
    DiskLow,
    /// The disk is tight.
    DiskTight,
    /// Only the reserve is left.
    DiskReserve,
    /// Nothing could be made durable.
    NotDurable,
    /// Too many events waited.
    QueueFull,
    /// Its record passes the bound of a frame.
    TooLarge,
    /// It would open one popup more than a rig has.
    PopupsFull,
    /// The client's own outbox was full.
    Client,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DiskLow,
        Self::DiskTight,
        Self::DiskReserve,
        Self::NotDurable,
        Self::QueueFull,
        Self::TooLarge,
        Self::PopupsFull,
        Self::Client,
    ];

    /// The cause of what a disk at this level sheds.
    #[must_use]
    pub const fn shed(level: u8) -> Self {
        match level {
            0 | 1 => Self::DiskLow,
            2 => Self::DiskTight,
            shed::LEVEL_RESERVE => Self::DiskReserve,
            _ => Self::NotDurable,
        }
    }

    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskLow => "disk_low",
            Self::DiskTight => "disk_tight",
            Self::DiskReserve => "disk_reserve",
            Self::NotDurable => "not_durable",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::PopupsFull => "popups_full",
            Self::Client => "client",
        }
    }

    const fn place(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::DiskLow
            | Self::DiskTight
            | Self::DiskReserve
            | Self::NotDurable
            | Self::QueueFull
            | Self::TooLarge
            | Self::PopupsFull => "rig",
        }
    }
}

type Row = (Cause, Class, Option<PopupId>);

/// The counts since the last report, and those since the start.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    waiting: BTreeMap<Row, u64>,
    totals: BTreeMap<(Class, Cause), u64>,
    since_ms: i64,
    newest: MonoMs,
    reported: Option<MonoMs>,
}

impl Losses {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `count` events of a class were refused.
    pub fn count(
        &mut self,
        class: Class,
        cause: Cause,
        popup: Option<&PopupId>,
        count: u64,
        now: Now,
    ) {
        if count == 0 {
            return;
        }
        if self.waiting.is_empty() {
            self.since_ms = now.wall.0;
        }
        self.newest = now.mono;
        let total = self.totals.entry((class, cause)).or_default();
        *total = total.saturating_add(count);
        self.add((cause, class, popup.cloned()), count);
    }

    /// When a report is due; `None` while there is nothing to say.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        if self.waiting.is_empty() {
            return None;
        }
        let spell = self.reported.map(|at| at.after(REPORT_EVERY_MS));
        Some(match spell {
            None => self.newest,
            Some(next) => next.min(self.newest.after(QUIET_MS)),
        })
    }

    /// The reports that are due, one per place; they no longer wait here.
    pub fn report(&mut self, now: Now) -> Vec<Loss> {
        if self.deadline().is_none_or(|due| now.mono < due) {
            if now.mono >= self.newest.after(QUIET_MS) {
                self.reported = None;
            }
            return Vec::new();
        }
        let ended = now.mono >= self.newest.after(QUIET_MS);
        self.reported = (!ended).then_some(now.mono);
        self.drain(now)
    }

    /// Everything that waits, whether due or not: for a clean stop.
    pub fn drain(&mut self, now: Now) -> Vec<Loss> {
        let mut places: BTreeMap<&'static str, Vec<LossCount>> = BTreeMap::new();
        for ((cause, class, popup), count) in core::mem::take(&mut self.waiting) {
            places.entry(cause.place()).or_default().push(LossCount {
                class: class.name().into(),
                cause: cause.name().into(),
                popup: popup.map(|popup| String::from(&popup)).unwrap_or_default(),
                count,
            });
        }
        let reports = places.into_iter().map(|(place, counts)| Loss {
            counts,
            since_ms: self.since_ms,
            until_ms: now.wall.0,
            place: place.into(),
        });
        reports.collect()
    }

    /// A report could not be journaled: its counts wait again.
    pub fn give_back(&mut self, loss: &Loss) {
        self.since_ms = match self.waiting.is_empty() {
            true => loss.since_ms,
            false => self.since_ms.min(loss.since_ms),
        };
        for row in &loss.counts {
            let class = Class::ALL.iter().find(|class| class.name() == row.class);
            let cause = Cause::ALL.iter().find(|cause| cause.name() == row.cause);
            if let (Some(class), Some(cause)) = (class, cause) {
                self.add((*cause, *class, PopupId::new(&row.popup).ok()), row.count);
            }
        }
    }

    /// Counts since the start, by class and cause.
    pub fn totals(&self) -> impl Iterator<Item = (Class, Cause, u64)> + '_ {
        self.totals
            .iter()
            .map(|((class, cause), count)| (*class, *cause, *count))
    }

    fn add(&mut self, mut row: Row, count: u64) {
        if self.waiting.len() >= LOSS_ROWS_MAX && !self.waiting.contains_key(&row) {
            row.2 = None;
        }
        let waiting = self.waiting.entry(row).or_default();
        *waiting = waiting.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::losses_named;
    use crate::time::WallMs;
    use std::format;

    fn at(ms: u64) -> Now {
        Now {
            wall: WallMs(1_000_000 + i64::try_from(ms).unwrap()),
            mono: MonoMs(ms),
        }
    }

    fn sum(reports: &[Loss]) -> u64 {
        let counts = reports.iter().flat_map(|loss| &loss.counts);
        counts.map(|row| row.count).sum()
    }

    #[test]
    fn a_spell_is_said_at_once_each_minute_and_at_its_end() {
        let mut losses = Losses::new();
        assert_eq!(losses.deadline(), None);
        let night = PopupId::new("night").unwrap();
        let mut said = Vec::new();
        for second in 0..150u64 {
            let now = at(second * 1_000);
            if second < 130 {
                losses.count(Class::Ambient, Cause::DiskLow, Some(&night), 2, now);
            }
            let reports = losses.report(now);
            if !reports.is_empty() {
                said.push((second, sum(&reports)));
            }
        }
        assert_eq!(said, [(0, 2), (60, 120), (120, 120), (139, 18)]);
        // The next spell is new: it is said at once.
        losses.count(Class::Journey, Cause::DiskTight, None, 1, at(200_000));
        assert_eq!(losses.deadline(), Some(MonoMs(200_000)));
    }

    #[test]
    fn rig_and_client_are_told_apart_and_nothing_given_back_is_lost() {
        let mut losses = Losses::new();
        losses.count(Class::Ambient, Cause::Client, None, 12, at(5));
        losses.count(Class::Money, Cause::NotDurable, None, 1, at(6));
        let reports = losses.report(at(7));
        let places: Vec<_> = reports.iter().map(|loss| loss.place.as_str()).collect();
        assert_eq!(places, ["client", "rig"]);
        for loss in &reports {
            losses.give_back(loss);
        }
        let again = losses.drain(at(9));
        assert_eq!(sum(&again), 13);
        assert_eq!(
            (again[0].since_ms, again[0].until_ms),
            (1_000_005, 1_000_009)
        );
    }

    #[test]
    fn rows_are_bounded_and_every_refusal_stays_counted() {
        let mut losses = Losses::new();
        let mut refused = BTreeMap::new();
        for number in 0..LOSS_ROWS_MAX as u64 * 3 {
            let popup = PopupId::new(&format!("popup-{number}")).unwrap();
            losses.count(
                Class::Ambient,
                Cause::QueueFull,
                Some(&popup),
                3,
                at(number),
            );
            *refused.entry(("ambient", "queue_full")).or_default() += 3;
        }
        let reports = losses.drain(at(9_999));
        assert!(reports[0].counts.len() <= LOSS_ROWS_MAX + 1);
        losses_named(&refused, &reports).unwrap();
        assert!(losses_named(&refused, &[]).is_err());
        assert_eq!(
            losses.totals().map(|(.., count)| count).sum::<u64>(),
            sum(&reports)
        );
    }
}
