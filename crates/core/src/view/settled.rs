//! The view of a popup that is over: what is left when its cells go.
//!
//! Sums, signals and verdicts stay as they were at that moment. Minutes are merged to wider steps,
//! rigs and whatever counts people one by one are gone.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::sums::Shift;
use super::{Boards, MinutePoint, PopupView};

/// Minutes of the step at which small rows go.
const DAY_MIN: u32 = 24 * 60;

/// How a view stands that is no longer made from cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// When its cells went, ms since 1970.
    pub since_ms: i64,
    /// Minutes that one of [`PopupView::minutes`] stands for.
    pub step_min: u32,
}

impl PopupView {
    /// Lets what names rigs go; from here on nothing but [`Self::coarsen`] changes it. What a rig had
    /// not sent stays named: nobody can say any more what it was.
    pub(crate) fn settle(&mut self, since_ms: i64) {
        self.settled = Some(Settled {
            since_ms,
            step_min: 1,
        });
        self.asof.server_ms = 0;
        self.rigs = Vec::new();
        self.boards.rigs = Vec::new();
        for slo in &mut self.slos {
            slo.rigs = Vec::new();
        }
        if self.asof.have >= self.asof.known {
            self.asof.silent = Vec::new();
        }
    }

    /// Merges minutes to a step of so many. At the step of a day, rows of creators and SKUs with fewer
    /// than `min_group` orders or units go; the sums keep them.
    pub(crate) fn coarsen(&mut self, step_min: u32, min_group: u64) {
        let Some(settled) = &mut self.settled else {
            return;
        };
        settled.step_min = step_min.max(1);
        self.minutes = merged(core::mem::take(&mut self.minutes), settled.step_min);
        if settled.step_min >= DAY_MIN {
            let least = i128::from(min_group);
            let Boards {
                creators, products, ..
            } = &mut self.boards;
            creators.retain(|row| row.sums.orders >= least);
            products.retain(|row| row.sums.units >= least);
            self.stock.retain(|row| row.moved.sold >= least);
        }
    }
}

fn merged(minutes: Vec<MinutePoint>, step_min: u32) -> Vec<MinutePoint> {
    let mut steps: BTreeMap<u32, MinutePoint> = BTreeMap::new();
    for mut point in minutes {
        point.minute -= point.minute % step_min;
        match steps.get_mut(&point.minute) {
            Some(held) => held.add(&point),
            None => drop(steps.insert(point.minute, point)),
        }
    }
    steps.into_values().collect()
}

impl MinutePoint {
    fn add(&mut self, other: &Self) {
        for (currency, sums) in &other.money {
            match self.money.binary_search_by_key(currency, |(held, _)| *held) {
                Ok(at) => self.money[at].1.shift(Shift::Add, sums),
                Err(at) => self.money.insert(at, (*currency, *sums)),
            }
        }
        self.checkout.shift(Shift::Add, &other.checkout);
        self.orders.shift(Shift::Add, &other.orders);
        self.streams.shift(Shift::Add, &other.streams);
    }
}
