//! Promises of one popup, watched: cells in, what people read out.
//!
//! ```text
//! shift(cell) ─► tallies by rig, life, minute ─► look(now): what is new and at most 5 minutes late
//!                                                is fed once ─► guards ─► views
//! ```
//!
//! What always holds:
//! - An outcome is fed at most once: each minute keeps what was counted of it, and a rig is never fed
//!   more than it has, so an outcome that a new anchor moves to another minute is not new.
//! - A checkout's deadline is judged once, when its rig has sent everything up to the end of its
//!   start minute, the limit and 5 s: a rig out of touch is not a rig that hangs.
//! - What is fed is a sum of whole numbers per minute; see [`super::detector`].
#![deny(clippy::float_arithmetic)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::budget::Budget;
use super::conflicts::{self, Conflicts};
use super::detector::RECENT_MINUTES;
use super::guard::{Guard, Look, Share};
use super::promises::Promised;
use super::tally::{self, Tally};
use super::{Outcomes, Overrun, SLOS, Slo, SloState, SloView, Tier};
use crate::cell::Cell;
use crate::event::system::PopupPolicy;
use crate::limits::{SLO_LATE_MINUTES_MAX, SLO_SLACK_MS};
use crate::time::{Minute, WallMs};
use crate::view::{Shift, Standing};

/// For whom it is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// A region: the popup as a whole, and each rig.
    #[default]
    Popup,
    /// A rig's own page: that rig alone, with a rig's share of false pages.
    Rig,
}

/// One minute of one life of a rig.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    tally: Tally,
    /// What was counted of it so far, per promise: good and bad ones.
    counted: [(u64, u64); SLOS],
    /// What was judged of its checkouts' deadlines.
    verdict: Option<Outcomes>,
}

/// One rig.
#[derive(Debug, Clone)]
struct Rig {
    minutes: BTreeMap<u32, BTreeMap<u32, Seen>>,
    held: Tally,
    /// Good and bad ones counted so far, fed or late.
    counted: [(u64, u64); SLOS],
    /// Sum of all verdicts on deadlines.
    judged: Outcomes,
    /// Checkouts in minutes that were judged.
    judged_started: u64,
    changed: BTreeSet<(u32, u32)>,
    /// Minutes with starts that are not judged yet.
    waiting: BTreeSet<(u32, u32)>,
    newest_epoch: u32,
    guards: Vec<Guard>,
}

/// The promises of one popup.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    scope: Scope,
    promised: Option<Promised>,
    rigs: BTreeMap<String, Rig>,
    popup: Vec<Guard>,
    conflicts: Conflicts,
    views: Vec<SloView>,
    looked: Option<u32>,
    changed: bool,
    /// Rises with every change of the views.
    revision: u64,
}

impl Watch {
    /// Nothing watched yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            ..Self::default()
        }
    }

    /// What people read of it, by promise; empty while no policy is known or nothing happened.
    #[must_use]
    pub fn views(&self) -> &[SloView] {
        &self.views
    }

    /// Rises with every change of [`Self::views`].
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Adds a cell that counts, or takes one away that no longer does.
    pub fn shift(&mut self, by: Shift, cell: &Cell) {
        let rig = match self.rigs.get_mut(&cell.rig) {
            Some(rig) => rig,
            None => {
                let guards = guards(self.promised.as_ref(), self.rig_share(&cell.rig));
                let rig = Rig::new(guards);
                self.rigs.entry(cell.rig.clone()).or_insert(rig)
            }
        };
        for (minute, tally) in tally::of_cell(cell).filter(|(_, tally)| !tally.is_empty()) {
            rig.shift(by, cell.epoch, minute, &tally);
            self.changed = true;
        }
    }

    /// Looks at everything that is new: `token_conflicts` by minute are what only all rigs together
    /// tell. Cheap when nothing is new and the minute is the same.
    pub fn look(
        &mut self,
        policy: Option<&PopupPolicy>,
        rigs: &[Standing<'_>],
        token_conflicts: &BTreeMap<u32, i128>,
        now: WallMs,
    ) {
        let Some(policy) = policy else {
            return;
        };
        self.learn(policy);
        let Some(promised) = self.promised.clone() else {
            return;
        };
        let minute = Minute::of(now).0;
        let mut fed = false;
        for standing in rigs {
            let Some(rig) = self.rigs.get_mut(standing.rig) else {
                continue;
            };
            let horizon_ms = standing.clear_ms.unwrap_or(i64::MIN).min(now.0);
            rig.enter(standing.epoch);
            let news = rig.count(minute).into_iter();
            let news: Vec<_> = news.chain(rig.judge(&promised, horizon_ms, now)).collect();
            for (slo, at, outcomes) in news {
                fed = true;
                rig.guards[slo.place()].feed(at, outcomes);
                self.popup[slo.place()].feed(at, outcomes);
            }
        }
        let conflicts = self.conflicts.learn(token_conflicts);
        self.changed |= conflicts.is_some();
        for (at, fresh) in conflicts.into_iter().flatten() {
            if minute.saturating_sub(at) <= SLO_LATE_MINUTES_MAX {
                let (n, bad) = (fresh, fresh);
                let guard = &mut self.popup[Slo::TokenConflict.place()];
                guard.feed(at.min(minute), Outcomes { n, bad });
            }
        }
        if fed || self.changed || self.looked != Some(minute) {
            self.changed = false;
            self.looked = Some(minute);
            self.refresh(&promised, minute, now.0);
        }
    }

    /// Follows the policy. One that changes a promise starts the detectors anew: what was bet on the
    /// old promise says nothing of the new one.
    fn learn(&mut self, policy: &PopupPolicy) {
        let promised = Promised::of(policy);
        if self.promised.as_ref() == Some(&promised) {
            return;
        }
        let share = match self.scope {
            Scope::Popup => Share::Popup,
            Scope::Rig => Share::Rig,
        };
        self.popup = guards(Some(&promised), share);
        let planned = usize::try_from(promised.rigs).unwrap_or(usize::MAX);
        for (rank, rig) in self.rigs.values_mut().enumerate() {
            let share = if rank < planned {
                Share::Rig
            } else {
                Share::Unplanned
            };
            rig.guards = guards(Some(&promised), share);
        }
        self.promised = Some(promised);
        self.changed = true;
    }

    /// A rig that comes when as many as planned are there is only watched.
    fn rig_share(&self, name: &str) -> Share {
        let planned = self.promised.as_ref().map_or(u32::MAX, |known| known.rigs);
        let planned = usize::try_from(planned).unwrap_or(usize::MAX);
        let there = self.rigs.len() - usize::from(self.rigs.contains_key(name));
        if there < planned {
            Share::Rig
        } else {
            Share::Unplanned
        }
    }

    fn refresh(&mut self, promised: &Promised, minute: u32, now_ms: i64) {
        let views: Vec<_> = (Slo::ALL.into_iter())
            .filter(|slo| promised.promise(*slo).tier != Tier::Off)
            .map(|slo| self.view(promised, slo, minute, now_ms))
            .collect();
        if views != self.views {
            self.views = views;
            self.revision += 1;
        }
    }

    fn view(&mut self, promised: &Promised, slo: Slo, minute: u32, now_ms: i64) -> SloView {
        let promise = promised.promise(slo);
        let is_over = minute >= promised.ends.saturating_add(promised.overrun);
        let span = minute.saturating_sub(RECENT_MINUTES - 1)..=minute;
        let so_far = self.so_far(slo);
        let recent = self.within(slo, span);
        let budget = Budget::at(promised, promise, minute, so_far, recent);
        let look = Look {
            now_ms,
            minute,
            is_worth_a_page: budget.is_some_and(|budget| budget.is_worth_a_page()),
            is_over,
        };
        let (mut popup, mut overrun) = self.popup[slo.place()].look(&look);
        if let Some(mut page) = self.popup[slo.place()].page_mut().copied() {
            revise(&mut page, minute, |span| self.within(slo, span));
            if let Some(held) = self.popup[slo.place()].page_mut() {
                *held = page;
            }
            popup.page = Some(page);
        }
        if so_far == Outcomes::default() {
            popup.state = SloState::NoData;
        }
        let mut rigs = Vec::new();
        for (name, rig) in &mut self.rigs {
            let so_far = rig.so_far(slo);
            if self.scope == Scope::Rig || so_far == Outcomes::default() {
                continue;
            }
            let (mut signal, own) = rig.guards[slo.place()].look(&look);
            overrun = overrun.max(own);
            let mut page = rig.guards[slo.place()].page_mut().copied();
            if let Some(page) = &mut page {
                revise(page, minute, |span| rig.within(slo, span));
                signal.page = Some(*page);
            }
            if let (Some(held), Some(page)) = (rig.guards[slo.place()].page_mut(), page) {
                *held = page;
            }
            rigs.push((name.clone(), so_far, signal));
        }
        SloView {
            slo,
            tier: promise.tier,
            objective_ppm: promise.objective_ppm,
            alpha_ppm: promise.alpha_ppm,
            so_far,
            budget,
            popup,
            rigs,
            overrun: if is_over { Overrun::None } else { overrun },
        }
    }
}

impl Watch {
    /// All outcomes of the popup so far.
    fn so_far(&self, slo: Slo) -> Outcomes {
        let rigs = self.rigs.values().map(|rig| rig.so_far(slo));
        let outcomes = rigs.fold(Outcomes::default(), Outcomes::and);
        match slo == Slo::TokenConflict {
            true => conflicts::with(outcomes, self.conflicts.all()),
            false => outcomes,
        }
    }

    /// Outcomes of some minutes, of all rigs.
    fn within(&self, slo: Slo, span: RangeInclusive<u32>) -> Outcomes {
        let rigs = self.rigs.values().map(|rig| rig.within(slo, span.clone()));
        let outcomes = rigs.fold(Outcomes::default(), Outcomes::and);
        match slo == Slo::TokenConflict {
            true => conflicts::with(outcomes, self.conflicts.within(span)),
            false => outcomes,
        }
    }
}

/// Compares what a page saw with what is known of the same minutes now. While data may still come in
/// time, what is known is what was seen.
fn revise(
    page: &mut super::Page,
    minute: u32,
    known: impl FnOnce(RangeInclusive<u32>) -> Outcomes,
) {
    let raised = Minute::of(WallMs(page.since_ms)).0;
    let known = known(raised.saturating_sub(RECENT_MINUTES - 1)..=raised);
    if minute <= raised.saturating_add(SLO_LATE_MINUTES_MAX) {
        page.seen = known;
    } else {
        page.revised = (known != page.seen).then_some(known);
    }
}

fn guards(promised: Option<&Promised>, share: Share) -> Vec<Guard> {
    let Some(promised) = promised else {
        return Vec::new();
    };
    let guard = |slo| Guard::new(promised, promised.promise(slo), share);
    Slo::ALL.into_iter().map(guard).collect()
}

impl Rig {
    fn new(guards: Vec<Guard>) -> Self {
        Self {
            minutes: BTreeMap::new(),
            held: Tally::default(),
            counted: [(0, 0); SLOS],
            judged: Outcomes::default(),
            judged_started: 0,
            changed: BTreeSet::new(),
            waiting: BTreeSet::new(),
            newest_epoch: 0,
            guards,
        }
    }

    fn shift(&mut self, by: Shift, epoch: u32, minute: u32, tally: &Tally) {
        self.held.shift(by, tally);
        let seen = self.minutes.entry(epoch).or_default();
        let seen = seen.entry(minute).or_default();
        seen.tally.shift(by, tally);
        if seen.verdict.is_none() && seen.tally.started() > 0 {
            self.waiting.insert((epoch, minute));
        }
        self.changed.insert((epoch, minute));
    }

    /// Takes note of its newest epoch: what was open in the one before is judged once more.
    fn enter(&mut self, epoch: u32) {
        if epoch <= self.newest_epoch {
            return;
        }
        let before = core::mem::replace(&mut self.newest_epoch, epoch);
        if let Some(minutes) = self.minutes.get(&before) {
            let judged = minutes.iter().filter(|(_, seen)| seen.verdict.is_some());
            self.changed
                .extend(judged.map(|(minute, _)| (before, *minute)));
        }
    }

    /// What is new of the promises that are judged at once, if it is not too late.
    fn count(&mut self, now: u32) -> Vec<(Slo, u32, Outcomes)> {
        let mut news = Vec::new();
        for (epoch, minute) in core::mem::take(&mut self.changed) {
            let Some(seen) = self
                .minutes
                .get_mut(&epoch)
                .and_then(|held| held.get_mut(&minute))
            else {
                continue;
            };
            if let Some(verdict) = &mut seen.verdict {
                let again = seen.tally.deadline(epoch < self.newest_epoch);
                self.judged.n = self
                    .judged
                    .n
                    .saturating_sub(verdict.n)
                    .saturating_add(again.n);
                let bad = self.judged.bad.saturating_sub(verdict.bad);
                self.judged.bad = bad.saturating_add(again.bad);
                *verdict = again;
            }
            let late = now.saturating_sub(minute) > SLO_LATE_MINUTES_MAX;
            for slo in Slo::ALL
                .into_iter()
                .filter(|slo| *slo != Slo::CheckoutDeadline)
            {
                let place = slo.place();
                let (good, bad) = parts(slo, seen.tally.outcomes(slo));
                let (good_all, bad_all) = parts(slo, self.held.outcomes(slo));
                let (held, all) = (&mut seen.counted[place], &mut self.counted[place]);
                // Never more than the rig has in all: what only moved here is not new.
                let new_good = good
                    .saturating_sub(held.0)
                    .min(good_all.saturating_sub(all.0));
                let new_bad = bad
                    .saturating_sub(held.1)
                    .min(bad_all.saturating_sub(all.1));
                (held.0, held.1) = (held.0.max(good), held.1.max(bad));
                (all.0, all.1) = (all.0 + new_good, all.1 + new_bad);
                if !late && (new_good, new_bad) != (0, 0) {
                    news.push((slo, minute.min(now), whole(slo, new_good, new_bad)));
                }
            }
        }
        news
    }

    /// Judges the deadlines of minutes whose time is over, in the order of their starts.
    fn judge(
        &mut self,
        promised: &Promised,
        horizon_ms: i64,
        now: WallMs,
    ) -> Vec<(Slo, u32, Outcomes)> {
        let mut news = Vec::new();
        let wait_ms = i64::from(promised.limit_ms).saturating_add(SLO_SLACK_MS);
        let due_ms = |minute: u32| {
            Minute(minute.saturating_add(1))
                .start()
                .0
                .saturating_add(wait_ms)
        };
        let due: Vec<_> = (self.waiting.iter().copied())
            .filter(|(_, minute)| due_ms(*minute) <= horizon_ms)
            .collect();
        for (epoch, minute) in due {
            self.waiting.remove(&(epoch, minute));
            let Some(seen) = self
                .minutes
                .get_mut(&epoch)
                .and_then(|held| held.get_mut(&minute))
            else {
                continue;
            };
            let verdict = seen.tally.deadline(epoch < self.newest_epoch);
            seen.verdict = Some(verdict);
            self.judged = self.judged.and(verdict);
            let before = self.judged_started;
            self.judged_started = before.saturating_add(seen.tally.started());
            let is_new = self.judged_started <= self.held.started();
            let (now_minute, at) = (Minute::of(now).0, Minute::of(WallMs(due_ms(minute))).0);
            let late = now_minute.saturating_sub(at) > SLO_LATE_MINUTES_MAX;
            if is_new && !late && verdict.n > 0 {
                news.push((Slo::CheckoutDeadline, at, verdict));
            }
        }
        news
    }

    /// All outcomes so far.
    fn so_far(&self, slo: Slo) -> Outcomes {
        if slo == Slo::CheckoutDeadline {
            return self.judged;
        }
        self.held.outcomes(slo)
    }

    /// Outcomes of some minutes.
    fn within(&self, slo: Slo, span: RangeInclusive<u32>) -> Outcomes {
        let seen = self
            .minutes
            .values()
            .flat_map(|held| held.range(span.clone()));
        let outcomes = seen.filter_map(|(_, seen)| match slo {
            Slo::CheckoutDeadline => seen.verdict,
            Slo::CheckoutSuccess
            | Slo::PaymentSuccess
            | Slo::ProbeSuccess
            | Slo::TokenConflict
            | Slo::RefundRate => Some(seen.tally.outcomes(slo)),
        });
        outcomes.fold(Outcomes::default(), Outcomes::and)
    }
}

/// Good and bad ones; orders and refunds of a rate stand beside each other.
fn parts(slo: Slo, outcomes: Outcomes) -> (u64, u64) {
    match slo {
        Slo::RefundRate => (outcomes.n, outcomes.bad),
        Slo::CheckoutSuccess
        | Slo::CheckoutDeadline
        | Slo::PaymentSuccess
        | Slo::ProbeSuccess
        | Slo::TokenConflict => (outcomes.n.saturating_sub(outcomes.bad), outcomes.bad),
    }
}

fn whole(slo: Slo, good: u64, bad: u64) -> Outcomes {
    let n = match slo {
        Slo::RefundRate => good,
        Slo::CheckoutSuccess
        | Slo::CheckoutDeadline
        | Slo::PaymentSuccess
        | Slo::ProbeSuccess
        | Slo::TokenConflict => good.saturating_add(bad),
    };
    Outcomes { n, bad }
}
