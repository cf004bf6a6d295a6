//! What cells say of outcomes: whole numbers by rig, life and minute.
//!
//! Always holds: adding a cell and taking it away again leaves the tally as it was; numbers wrap
//! inside and are read as at least 0, so no cell, however odd, breaks a sum.
#![deny(clippy::float_arithmetic)]

use super::{Outcomes, Slo};
use crate::cell::{Cell, StartRow};
use crate::view::Shift;

/// Kinds of numbers kept of one minute.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Of {
    Ok,
    Fault,
    Started,
    Closed,
    InTime,
    Left,
    Settled,
    SettledBad,
    Probes,
    ProbesBad,
    Redeemed,
    Duplicate,
    Orders,
    Refunds,
}

const KINDS: usize = Of::Refunds as usize + 1;

/// Numbers of one minute, or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally([i64; KINDS]);

impl Tally {
    fn put(&mut self, of: Of, count: u64) {
        self.0[of as usize] = i64::try_from(count).unwrap_or(i64::MAX);
    }

    fn get(&self, of: Of) -> u64 {
        u64::try_from(self.0[of as usize]).unwrap_or(0)
    }

    /// Adds or takes all numbers of another.
    pub(super) fn shift(&mut self, by: Shift, other: &Self) {
        for (held, number) in self.0.iter_mut().zip(other.0) {
            *held = match by {
                Shift::Add => held.wrapping_add(number),
                Shift::Take => held.wrapping_sub(number),
            };
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checkouts that started.
    pub(super) fn started(&self) -> u64 {
        self.get(Of::Started)
    }

    /// What it says of a promise that is judged at once.
    pub(super) fn outcomes(&self, slo: Slo) -> Outcomes {
        let of_bad = |good: Of, bad: Of| Outcomes {
            n: self.get(good).saturating_add(self.get(bad)),
            bad: self.get(bad),
        };
        match slo {
            Slo::CheckoutSuccess => of_bad(Of::Ok, Of::Fault),
            Slo::PaymentSuccess => of_bad(Of::Settled, Of::SettledBad),
            Slo::ProbeSuccess => of_bad(Of::Probes, Of::ProbesBad),
            Slo::TokenConflict => of_bad(Of::Redeemed, Of::Duplicate),
            Slo::RefundRate => Outcomes {
                n: self.get(Of::Orders),
                bad: self.get(Of::Refunds),
            },
            Slo::CheckoutDeadline => self.deadline(false),
        }
    }

    /// What became of the checkouts that started here, once their limit is over. Those that hang
    /// count as late unless their epoch is over: then nobody knows (`interrupted`).
    pub(super) fn deadline(&self, interrupted: bool) -> Outcomes {
        let known = if interrupted {
            self.get(Of::Closed)
        } else {
            self.get(Of::Started).max(self.get(Of::Closed))
        };
        let n = known.saturating_sub(self.get(Of::Left));
        Outcomes {
            n,
            bad: n.saturating_sub(self.get(Of::InTime)),
        }
    }
}

/// What a cell says of its own minute and of the minutes in which its checkouts started.
pub(super) fn of_cell(cell: &Cell) -> impl Iterator<Item = (u32, Tally)> + '_ {
    let starts = cell.checkout.iter().flat_map(|checkout| &checkout.by_start);
    let starts = starts.map(|row| (row.minute, of_start(row)));
    [(cell.minute, own(cell))].into_iter().chain(starts)
}

fn own(cell: &Cell) -> Tally {
    let mut tally = Tally::default();
    if let Some(checkout) = &cell.checkout {
        tally.put(Of::Ok, checkout.ok);
        tally.put(Of::Fault, checkout.fault);
        tally.put(Of::Started, checkout.started);
    }
    if let Some(payments) = &cell.payments {
        tally.put(
            Of::Settled,
            payments.captured.saturating_add(payments.refused),
        );
        tally.put(Of::SettledBad, payments.fault);
    }
    if let Some(host) = &cell.host {
        tally.put(Of::Probes, host.probe_ok);
        tally.put(Of::ProbesBad, host.probe_fault);
    }
    if let Some(tokens) = &cell.tokens {
        tally.put(Of::Redeemed, tokens.redeemed);
        tally.put(Of::Duplicate, tokens.duplicate);
    }
    // What the provider says of the same sale is the same sale.
    let till = || cell.money.iter().filter(|row| row.origin == 0);
    let sum = |sum: u64, count: u64| sum.saturating_add(count);
    tally.put(Of::Orders, till().map(|row| row.conversions).fold(0, sum));
    tally.put(Of::Refunds, till().map(|row| row.refunds).fold(0, sum));
    tally
}

fn of_start(row: &StartRow) -> Tally {
    let mut tally = Tally::default();
    tally.put(Of::Closed, row.closed);
    tally.put(Of::InTime, row.in_time);
    tally.put(Of::Left, row.left);
    tally
}
