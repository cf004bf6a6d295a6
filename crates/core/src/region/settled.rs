//! Popups that are over. By its policy a region lets cells go: at the first coarser step of the
//! ladder, and at the latest when pseudonyms end, the view as it stands is kept and merged further as
//! it ages; at the end of all nothing is left. Where room runs out, what ended longest ago goes first,
//! so that no popup of last month keeps tonight's out.
//!
//! What always holds: a popup whose cells went is not filled again by rigs that still hold them.
//! What they send of it is answered as held, so they need not send it again. Only where it goes on is
//! it shown anew: a later window is stated, or without one something is sold on a later day.
#![deny(clippy::float_arithmetic)]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::holding::Holding;
use super::{Life, Region};
use crate::cell::Cell;
use crate::event::system::PopupPolicy;
use crate::limits;
use crate::slo::Scope;
use crate::time::{Minute, Now};
use crate::view::{Asof, PopupView};

#[cfg(test)]
mod tests;

/// What is left of a popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    view: PopupView,
    ended_ms: i64,
    tag: [u8; 32],
}

impl Settled {
    fn new(mut view: PopupView, ended_ms: i64, now: Now) -> Self {
        view.settle(now.wall.0);
        let tag = [0; 32];
        let mut settled = Self {
            view,
            ended_ms,
            tag,
        };
        settled.coarsen(1, 0);
        settled
    }

    fn coarsen(&mut self, step_min: u32, min_group: u64) {
        self.view.coarsen(step_min, min_group);
        self.tag = *blake3::hash(format!("{:?}", self.view).as_bytes()).as_bytes();
    }

    fn step_min(&self) -> u32 {
        self.view.settled.map_or(1, |settled| settled.step_min)
    }

    /// The view at a moment.
    pub(super) fn view(&self, now: Now) -> PopupView {
        let view = self.view.clone();
        let server_ms = now.wall.0;
        let asof = Asof {
            server_ms,
            ..view.asof
        };
        PopupView { asof, ..view }
    }

    /// What is known of the popup itself.
    pub(super) fn facts(&self) -> &crate::view::PopupFacts {
        &self.view.popup
    }

    /// Stands for all that it shows.
    pub(super) fn tag(&self) -> &[u8] {
        &self.tag
    }
}

/// A popup whose cells are gone for good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    ended_ms: i64,
    /// Of the policy that said so.
    rank: (u32, bool),
}

impl Past {
    fn of(holding: &Holding) -> Self {
        Self {
            ended_ms: ended(holding).unwrap_or_default(),
            rank: holding.policy().map(PopupPolicy::rank).unwrap_or_default(),
        }
    }

    /// Whether a moment is of another day than the one it ended on.
    fn is_before(&self, ms: i64) -> bool {
        let since_ms = u64::try_from(ms.saturating_sub(self.ended_ms));
        since_ms.is_ok_and(|since_ms| since_ms >= limits::REGION_ENDED_MS)
    }
}

/// What is to be done with a popup.
enum Due {
    Nothing,
    Coarsen(u32),
    Settle(u32),
    LetGo,
}

impl Region {
    /// Lets go of what must not be held any longer. A rig's own cells go with its records.
    pub(super) fn age(&mut self, now: Now) {
        if self.scope == Scope::Rig {
            return;
        }
        let all: Vec<_> = self.popups.keys().cloned().collect();
        for popup in all {
            match self.due(&popup, now) {
                Due::Nothing => {}
                Due::Coarsen(step_min) => self.coarsen(&popup, step_min),
                Due::Settle(step_min) => {
                    let view = self.view(&popup, now);
                    let holding = self.popups.get_mut(&popup);
                    if let (Some(view), Some(holding)) = (view, holding) {
                        let ended_ms = holding.ends_ms().unwrap_or_default();
                        self.bytes -= holding.settle(Settled::new(view, ended_ms, now));
                    }
                    self.coarsen(&popup, step_min);
                }
                Due::LetGo => self.forget(&popup),
            }
        }
    }

    fn coarsen(&mut self, popup: &str, step_min: u32) {
        if let Some(holding) = self.popups.get_mut(popup) {
            let min_group = holding.cell_terms().min_group;
            if let Some(settled) = holding.settled_mut() {
                settled.coarsen(step_min, min_group);
                holding.changed();
            }
        }
    }

    fn due(&self, popup: &str, now: Now) -> Due {
        let Some(holding) = self.popups.get(popup) else {
            return Due::Nothing;
        };
        let Some(age_ms) = age_ms(holding, now) else {
            return Due::Nothing;
        };
        let terms = holding.cell_terms();
        let step_min = terms.step_min(age_ms);
        if age_ms >= terms.keep_ms {
            return Due::LetGo;
        }
        if let Some(settled) = holding.settled() {
            return match step_min > settled.step_min() {
                true => Due::Coarsen(step_min),
                false => Due::Nothing,
            };
        }
        // A coarser step waits for what rigs have not sent yet, people's stand-ins do not. Both wait for
        // a region that is being filled again.
        let must = age_ms >= terms.pseudonyms_ms;
        let may = must || (step_min > 1 && self.is_whole(popup, now));
        match may && holding.is_quiet(now) {
            true => Due::Settle(step_min),
            false => Due::Nothing,
        }
    }

    /// Whether all that its rigs are known to hold came.
    fn is_whole(&self, popup: &str, now: Now) -> bool {
        let asof = self.view(popup, now).map(|view| view.asof);
        asof.is_some_and(|asof| asof.have >= asof.known)
    }

    /// Whether cells of this life are not wanted: the life is void, or its popup is over.
    pub(super) fn is_over(&self, life: &Life) -> bool {
        self.is_void(life) || self.is_past(&life.popup)
    }

    /// Whether a popup's cells are gone for good.
    pub(super) fn is_past(&self, popup: &str) -> bool {
        self.past_of(popup).is_some()
    }

    fn past_of(&self, popup: &str) -> Option<Past> {
        let held = self.popups.get(popup);
        let settled = held.filter(|holding| holding.settled().is_some());
        self.past
            .get(popup)
            .copied()
            .or_else(|| settled.map(Past::of))
    }

    /// A popup that is over goes on where a later window is stated.
    pub(super) fn revive_by(&mut self, policy: &PopupPolicy) {
        let goes_on = self.past_of(&policy.popup).is_some_and(|past| {
            policy.is_stated() && policy.rank() >= past.rank && past.is_before(policy.ends_ms)
        });
        if goes_on {
            self.revive(&policy.popup);
        }
    }

    /// A popup that is over and had no stated window goes on where something happens on a later day.
    pub(super) fn revive_with(&mut self, cell: &Cell) {
        let starts_ms = Minute(cell.minute).start().0;
        let goes_on = self
            .past_of(&cell.popup)
            .is_some_and(|past| past.rank == <(u32, bool)>::default() && past.is_before(starts_ms));
        if goes_on {
            self.revive(&cell.popup);
        }
    }

    fn revive(&mut self, popup: &str) {
        self.past.remove(popup);
        self.popups.remove(popup);
    }

    /// The canonical bytes of the counting cells of a popup, in the order of their keys; `None` where
    /// they are gone because it is over.
    #[must_use]
    pub fn cells_held(&self, popup: &str) -> Option<Vec<Vec<u8>>> {
        (!self.is_past(popup)).then(|| self.cells(popup))
    }

    /// Makes room by letting the popup go that ended longest ago, and a day ago at least; whether
    /// there was one.
    pub(super) fn make_room(&mut self, for_popup: &str, now: Now) -> bool {
        let ended = self.popups.iter().filter_map(|(popup, holding)| {
            let age_ms = age_ms(holding, now)?;
            (popup != for_popup && age_ms >= limits::REGION_ENDED_MS).then_some((age_ms, popup))
        });
        let Some(oldest) = ended.max().map(|(_, popup)| popup.clone()) else {
            return false;
        };
        self.forget(&oldest);
        self.counters.popups_let_go += 1;
        true
    }

    /// Forgets the rig that was silent longest, a day at least, and has part in no popup; whether
    /// there was one.
    pub(super) fn make_room_for_rig(&mut self, now: Now) -> bool {
        let silent = self.contacts.iter().filter_map(|(rig, contact)| {
            let silent_ms = now.mono.since(contact.heard.mono);
            let has_part = || self.popups.values().any(|holding| holding.has_rig(rig));
            (silent_ms >= limits::REGION_ENDED_MS && !has_part()).then_some((silent_ms, rig))
        });
        let Some(longest) = silent.max().map(|(_, rig)| rig.clone()) else {
            return false;
        };
        self.contacts.remove(&longest).is_some()
    }

    fn forget(&mut self, popup: &str) {
        let Some(holding) = self.popups.remove(popup) else {
            return;
        };
        self.bytes -= holding.bytes();
        self.past.insert(String::from(popup), Past::of(&holding));
        if self.past.len() > limits::REGION_PAST_MAX {
            let oldest = self.past.iter().min_by_key(|(_, past)| past.ended_ms);
            if let Some(oldest) = oldest.map(|(popup, _)| popup.clone()) {
                self.past.remove(&oldest);
            }
        }
    }
}

/// When a popup ended or will, ms since 1970, settled or not.
fn ended(holding: &Holding) -> Option<i64> {
    match holding.settled() {
        Some(settled) => Some(settled.ended_ms),
        None => holding.ends_ms(),
    }
}

/// Since when a popup is over, ms; `None` before.
fn age_ms(holding: &Holding, now: Now) -> Option<u64> {
    u64::try_from(now.wall.0.saturating_sub(ended(holding)?)).ok()
}
