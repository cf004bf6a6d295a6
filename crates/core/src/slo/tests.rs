//! Promises as a region and a rig watch them, from cells; and the parts that can be told apart.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::string::String;
use std::vec;

use super::detector::Detector;
use super::promises::{Promise, PromiseFault, Promised, check};
use super::{Outcomes, Overrun, Scope, Signal, Slo, SloState, SloView, Watch};
use crate::cell::{Cell, CheckoutCounts, MoneyRow, PaymentCounts, StartRow};
use crate::event::promises::{PlanStep, Promises, SloPromise};
use crate::event::system::PopupPolicy;
use crate::time::{Minute, Now, WallMs};
use crate::view::{Shift, Standing};

const M0: u32 = 29_000_000;

/// Three hours of a stall with what its rigs sent.
struct Stall {
    watch: Watch,
    policy: PopupPolicy,
    cells: BTreeMap<(String, u32, u32), Cell>,
    conflicts: BTreeMap<u32, i128>,
    clear: Option<u32>,
    epoch: u32,
}

impl Stall {
    fn new(scope: Scope) -> Self {
        let policy = PopupPolicy {
            popup: "stall".into(),
            version: 1,
            starts_ms: Minute(M0).start().0,
            ends_ms: Minute(M0 + 180).start().0,
            ..PopupPolicy::default()
        };
        Self {
            watch: Watch::new(scope),
            policy,
            cells: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            clear: None,
            epoch: 1,
        }
    }

    /// Changes one cell as its rig would and hands it over.
    fn cell(&mut self, rig: &str, minute: u32, change: impl FnOnce(&mut Cell)) {
        let key = (String::from(rig), self.epoch, minute);
        let held = self.cells.get(&key).cloned();
        let mut cell = held.clone().unwrap_or_else(|| Cell {
            popup: "stall".into(),
            rig: rig.into(),
            epoch: self.epoch,
            minute: M0 + minute,
            ..Cell::default()
        });
        if let Some(held) = held {
            self.watch.shift(Shift::Take, &held);
        }
        change(&mut cell);
        self.watch.shift(Shift::Add, &cell);
        self.cells.insert(key, cell);
    }

    fn checkouts(&mut self, rig: &str, minute: u32, ok: u64, fault: u64) {
        self.cell(rig, minute, |cell| {
            let counts = cell.checkout.get_or_insert_default();
            counts.ok += ok;
            counts.fault += fault;
        });
    }

    fn look(&mut self, minute: u32) {
        let rigs: Vec<String> = self.cells.keys().map(|(rig, ..)| rig.clone()).collect();
        let mut rigs = rigs;
        rigs.dedup();
        let clear_ms = Minute(M0 + self.clear.unwrap_or(minute)).start().0;
        let standing = |rig| Standing {
            rig,
            epoch: self.epoch,
            have_seq: 1,
            clear_ms: Some(clear_ms),
            beacon: None,
            backlog: None,
            heard: Now::default(),
            silent: false,
            forked: false,
        };
        let standings: Vec<_> = rigs.iter().map(|rig| standing(rig.as_str())).collect();
        let now = WallMs(Minute(M0 + minute).start().0 + 30_000);
        let conflicts = &self.conflicts;
        self.watch
            .look(Some(&self.policy), &standings, conflicts, now);
    }

    fn view(&self, slo: Slo) -> &SloView {
        let mut views = self.watch.views().iter();
        views.find(|view| view.slo == slo).unwrap()
    }

    fn success(&self) -> Signal {
        self.view(Slo::CheckoutSuccess).popup
    }
}

#[track_caller]
fn state(stall: &Stall, expect: SloState) {
    assert_eq!(stall.success().state, expect, "{:?}", stall.success());
}

#[test]
fn one_failure_is_weighed_as_written_down() {
    let mut stall = Stall::new(Scope::Popup);
    stall.checkouts("till-1", 0, 0, 1);
    stall.look(0);
    // The mean of 2, 4, 10, 30 and 90 is 27.2.
    assert_eq!(stall.success().evidence_milli, 1_435);
    // T is 225 minutes, a half of 1 % is the popup's: log10(45,000).
    assert_eq!(stall.success().page_at_milli, Some(4_653));
    assert_eq!(stall.success().notices_in_a_row, 3);
    let rigs = &stall.view(Slo::CheckoutSuccess).rigs;
    assert_eq!(rigs[0].2.alpha_ppb, 1_250_000, "an eighth of 1 %");
}

#[test]
fn tokens_redeemed_on_two_rigs_are_bad_ones_of_the_popup_and_of_no_rig() {
    let mut stall = Stall::new(Scope::Popup);
    let redeem = |stall: &mut Stall, rig: &str, minute, n| {
        stall.cell(rig, minute, |cell| {
            cell.tokens.get_or_insert_default().redeemed += n;
        });
    };
    redeem(&mut stall, "till-1", 0, 10);
    redeem(&mut stall, "till-2", 0, 10);
    stall.look(0);
    let quiet = stall.view(Slo::TokenConflict).popup.evidence_milli;
    stall.conflicts.insert(M0, 2);
    stall.look(0);
    let seen = stall.view(Slo::TokenConflict).clone();
    assert_eq!(seen.so_far, Outcomes { n: 20, bad: 2 });
    assert!(seen.rigs.iter().all(|(_, so_far, _)| so_far.bad == 0));
    let told = seen.popup.evidence_milli;
    assert!(told > quiet + 1_000, "{quiet} then {told}");
    // One that a late cell moves to another minute is not new, and a void takes one back.
    stall.conflicts = BTreeMap::from([(M0, 1), (M0 + 1, 1)]);
    stall.look(0);
    assert_eq!(stall.view(Slo::TokenConflict).popup.evidence_milli, told);
    stall.conflicts.remove(&(M0 + 1));
    stall.look(0);
    let seen = stall.view(Slo::TokenConflict).clone();
    assert_eq!((seen.so_far.bad, seen.popup.evidence_milli), (1, told));
    // Ten minutes later it is history: shown, and no evidence.
    stall.look(12);
    let before = stall.view(Slo::TokenConflict).popup.evidence_milli;
    stall.conflicts.insert(M0 + 2, 5);
    stall.look(12);
    let seen = stall.view(Slo::TokenConflict);
    assert_eq!((seen.so_far.bad, seen.popup.evidence_milli), (6, before));
}

#[test]
fn an_outage_pages_and_a_healthy_quarter_of_an_hour_ends_it() {
    let mut stall = Stall::new(Scope::Popup);
    for minute in 0..30 {
        stall.checkouts("till-1", minute, 8, 0);
        stall.look(minute);
    }
    state(&stall, SloState::Quiet);
    stall.checkouts("till-1", 30, 0, 2);
    stall.look(30);
    assert_ne!(stall.success().state, SloState::Page);
    stall.checkouts("till-1", 30, 0, 2);
    stall.look(30);
    state(&stall, SloState::Page);
    let page = stall.success().page.unwrap();
    assert_eq!(page.seen, Outcomes { n: 116, bad: 4 });
    for minute in 31..45 {
        stall.checkouts("till-1", minute, 8, 0);
        stall.look(minute);
        state(&stall, SloState::Page);
    }
    for minute in 45..47 {
        stall.checkouts("till-1", minute, 8, 0);
        stall.look(minute);
    }
    state(&stall, SloState::Resolved);
    assert_eq!(stall.success().page.map(|page| page.number), Some(1));
    for minute in 47..50 {
        stall.checkouts("till-1", minute, 0, 4);
        stall.look(minute);
    }
    assert_eq!(stall.success().page.map(|page| page.number), Some(2));
}

#[test]
fn a_rig_that_fails_alone_is_named() {
    let mut stall = Stall::new(Scope::Popup);
    for minute in 0..20 {
        for rig in ["till-1", "till-2", "till-3"] {
            stall.checkouts(rig, minute, 8, 0);
        }
        stall.look(minute);
    }
    stall.checkouts("till-2", 20, 0, 5);
    stall.look(20);
    let view = stall.view(Slo::CheckoutSuccess);
    let states = view.rigs.iter().map(|(_, _, signal)| signal.state);
    let expect = [SloState::Quiet, SloState::Page, SloState::Quiet];
    assert_eq!(states.collect::<Vec<_>>(), expect);
}

#[test]
fn evidence_does_not_hang_on_order_or_pieces() {
    let batches: Vec<(u32, u64, u64)> = (0..40)
        .map(|n| (n % 5, n.into(), u64::from(n % 7 == 0)))
        .collect();
    let mut whole = Stall::new(Scope::Popup);
    for (minute, ok, fault) in &batches {
        whole.checkouts("till-1", *minute, *ok, *fault);
    }
    whole.look(4);
    let mut pieces = Stall::new(Scope::Popup);
    for (minute, ok, fault) in batches.iter().rev() {
        pieces.checkouts("till-1", *minute, *ok, 0);
        pieces.look(4);
        pieces.checkouts("till-1", *minute, 0, *fault);
        pieces.look(4);
    }
    assert_eq!(
        whole.success().evidence_milli,
        pieces.success().evidence_milli
    );
    let promise = Promise::default_of(Slo::CheckoutSuccess);
    let bits = |order: &mut dyn Iterator<Item = &(u32, u64, u64)>| {
        let mut detector = Detector::new(&promise, M0, 225);
        for (minute, ok, fault) in order {
            let outcomes = Outcomes {
                n: ok + fault,
                bad: *fault,
            };
            detector.feed(M0 + minute, outcomes);
            detector.evidence(M0 + 4);
        }
        detector.evidence(M0 + 30).ln_mean.to_bits()
    };
    assert_eq!(bits(&mut batches.iter()), bits(&mut batches.iter().rev()));
}

#[test]
fn a_rig_and_a_region_weigh_the_same() {
    let (mut rig, mut region) = (Stall::new(Scope::Rig), Stall::new(Scope::Popup));
    for minute in 0..40 {
        for second in 0..6 {
            let fault = u64::from((minute * 7 + second) % 29 == 0);
            rig.checkouts("till-1", minute, 1, fault);
            rig.look(minute);
            region.checkouts("till-1", minute, 1, fault);
        }
        region.checkouts("till-2", minute, 9, 0);
        region.look(minute);
    }
    let on_rig = rig.success();
    let at_region = region.view(Slo::CheckoutSuccess).rigs[0].2;
    assert_eq!(on_rig.evidence_milli, at_region.evidence_milli);
    assert_eq!(on_rig.alpha_ppb, at_region.alpha_ppb);
    assert!(rig.view(Slo::CheckoutSuccess).rigs.is_empty());
}

#[test]
fn what_comes_late_pages_nobody_and_revises_the_evidence() {
    let mut stall = Stall::new(Scope::Popup);
    stall.checkouts("till-1", 0, 0, 9);
    stall.look(6);
    assert_ne!(stall.success().state, SloState::Page);
    assert_eq!(
        stall.view(Slo::CheckoutSuccess).so_far,
        Outcomes { n: 9, bad: 9 }
    );
    stall.checkouts("till-1", 10, 0, 4);
    stall.look(10);
    state(&stall, SloState::Page);
    stall.checkouts("till-2", 9, 20, 0);
    stall.look(14);
    assert_eq!(stall.success().page.unwrap().revised, None, "still in time");
    stall.look(20);
    stall.checkouts("till-2", 8, 50, 0);
    stall.look(21);
    let page = stall.success().page.unwrap();
    let (before, after) = (Outcomes { n: 33, bad: 13 }, Outcomes { n: 83, bad: 13 });
    assert_eq!((page.seen, page.revised), (before, Some(after)));
}

/// A new anchor gives a rig's records other minutes: what only moved is not fed again.
#[test]
fn what_moves_to_another_minute_is_fed_once() {
    let mut stall = Stall::new(Scope::Popup);
    for minute in 0..5 {
        stall.checkouts("till-1", minute, 8, 1);
    }
    stall.look(5);
    let once = stall.success().evidence_milli;
    for minute in 0..5 {
        stall.cell("till-1", minute, |cell| cell.checkout = None);
    }
    for minute in 0..5 {
        stall.checkouts("till-1", minute + 1, 8, 1);
    }
    stall.look(5);
    assert_eq!(stall.success().evidence_milli, once);
    assert_eq!(
        stall.view(Slo::CheckoutSuccess).so_far,
        Outcomes { n: 45, bad: 5 }
    );
}

fn started(stall: &mut Stall, minute: u32, starts: u64, in_time: u64, left: u64) {
    stall.cell("till-1", minute, |cell| {
        cell.checkout = Some(CheckoutCounts {
            started: starts,
            by_start: vec![StartRow {
                minute: M0 + minute,
                closed: in_time + left,
                in_time,
                left,
                fault: 0,
            }],
            ..CheckoutCounts::default()
        });
    });
}

#[test]
fn a_hang_is_late_once_its_limit_is_over_and_its_rig_told_all() {
    let mut stall = Stall::new(Scope::Popup);
    for minute in 0..10 {
        started(&mut stall, minute, 8, 7, 1);
        stall.look(minute);
    }
    for minute in 10..13 {
        started(&mut stall, minute, 8, 0, 0);
        stall.look(minute);
    }
    // Minute 9 is judged at 11:05; the first of the hang is due at 12:05.
    let so_far = stall.view(Slo::CheckoutDeadline).so_far;
    assert_eq!(so_far, Outcomes { n: 70, bad: 0 });
    stall.clear = Some(13);
    stall.look(13);
    let view = stall.view(Slo::CheckoutDeadline);
    assert_eq!(view.so_far, Outcomes { n: 78, bad: 8 });
    assert_eq!(view.popup.state, SloState::Page);
}

#[test]
fn a_rig_out_of_touch_does_not_hang() {
    let mut stall = Stall::new(Scope::Popup);
    started(&mut stall, 0, 8, 0, 0);
    stall.clear = Some(1);
    for minute in 1..30 {
        stall.look(minute);
    }
    assert_eq!(
        stall.view(Slo::CheckoutDeadline).so_far,
        Outcomes::default()
    );
    assert_eq!(
        stall.view(Slo::CheckoutDeadline).popup.state,
        SloState::NoData
    );
}

/// Checkouts open when a rig starts anew are neither good nor bad: nobody knows.
#[test]
fn what_an_epochs_end_interrupted_is_out() {
    let mut stall = Stall::new(Scope::Popup);
    started(&mut stall, 0, 8, 5, 0);
    stall.look(4);
    assert_eq!(
        stall.view(Slo::CheckoutDeadline).so_far,
        Outcomes { n: 8, bad: 3 }
    );
    stall.epoch = 2;
    started(&mut stall, 3, 1, 1, 0);
    stall.look(5);
    stall.look(6);
    assert_eq!(
        stall.view(Slo::CheckoutDeadline).so_far,
        Outcomes { n: 6, bad: 0 }
    );
}

#[test]
fn a_long_way_in_one_go_ends_where_minute_by_minute_does() {
    for (slo, armed_for) in [Slo::CheckoutSuccess, Slo::RefundRate]
        .into_iter()
        .flat_map(|slo| [1, 7, 90, 5_000].map(|minutes| (slo, minutes)))
    {
        let promise = Promise::default_of(slo);
        let mut fed = Detector::new(&promise, M0, armed_for);
        for (minute, n, bad) in [
            (-900, 4, 1),
            (-899, 9, 9),
            (3, 6, 2),
            (400, 5, 5),
            (1_190, 8, 3),
        ] {
            fed.feed(M0.saturating_add_signed(minute), Outcomes { n, bad });
        }
        for end in [5, 90, 91, 405, 1_200, 1_201] {
            let mut slow = fed.clone();
            for minute in M0 - 1_000..M0 + end {
                slow.evidence(minute);
            }
            assert_eq!(
                fed.clone().evidence(M0 + end),
                slow.evidence(M0 + end),
                "{slo:?} {armed_for} {end}"
            );
        }
    }
    // From the beginning of time; minute by minute this would take a quarter of a minute.
    let mut old = Detector::new(&Promise::default_of(Slo::CheckoutSuccess), 0, 180);
    assert_eq!(old.evidence(M0).rearmed, (M0 - 1) / 180);
}

#[test]
fn after_its_minutes_it_is_armed_once_more_and_then_only_watches() {
    let mut stall = Stall::new(Scope::Popup);
    stall.policy.ends_ms = Minute(M0 + 30).start().0;
    stall.policy.promises = Some(Promises {
        overrun_min: Some(0),
        ..Promises::default()
    });
    // Over, so nothing pages; but what it is armed for is told.
    for (minute, bar) in [(29, true), (30, true), (59, true), (60, false)] {
        stall.checkouts("till-1", minute, 1, 0);
        stall.look(minute);
        assert_eq!(stall.success().page_at_milli.is_some(), bar, "{minute}");
    }
    stall.checkouts("till-1", 61, 0, 9);
    stall.look(61);
    assert_ne!(stall.success().state, SloState::Page);
    // A setup day before the doors open uses minutes up, too.
    let mut early = Detector::new(&Promise::default_of(Slo::CheckoutSuccess), M0 + 1_000, 10);
    for minute in 0..15 {
        early.feed(M0 + minute * 2, Outcomes { n: 1, bad: 0 });
        let rearmed = early.evidence(M0 + minute * 2).rearmed;
        assert_eq!(rearmed, u32::from(minute >= 10), "{minute}");
    }
    assert_eq!(Overrun::default(), Overrun::None);
}

#[test]
fn refunds_are_held_against_the_orders_of_the_hour_before() {
    let mut stall = Stall::new(Scope::Popup);
    let row = |conversions, refunds| MoneyRow {
        currency: "EUR".into(),
        conversions,
        refunds,
        ..MoneyRow::default()
    };
    for minute in 0..60 {
        stall.cell("till-1", minute, |cell| {
            cell.money = vec![row(4, u64::from(minute % 20 == 0))]
        });
        stall.look(minute);
    }
    let refunds = |stall: &Stall| stall.view(Slo::RefundRate).popup;
    assert_eq!(refunds(&stall).state, SloState::Quiet);
    for minute in 60..66 {
        stall.cell("till-1", minute, |cell| cell.money = vec![row(4, 3)]);
        stall.look(minute);
    }
    assert_eq!(refunds(&stall).state, SloState::Page);
    let so_far = stall.view(Slo::RefundRate).so_far;
    assert_eq!(so_far, Outcomes { n: 264, bad: 21 });
}

#[test]
fn declined_cards_are_outcomes_and_no_faults() {
    let mut stall = Stall::new(Scope::Popup);
    stall.cell("till-1", 0, |cell| {
        cell.payments = Some(PaymentCounts {
            captured: 5,
            refused: 3,
            fault: 1,
        });
    });
    stall.look(0);
    assert_eq!(
        stall.view(Slo::PaymentSuccess).so_far,
        Outcomes { n: 9, bad: 1 }
    );
}

#[test]
fn the_budget_follows_the_plan_and_ends_exact() {
    let mut stall = Stall::new(Scope::Popup);
    stall.policy.promises = Some(Promises {
        plan: vec![
            PlanStep {
                at_min: 0,
                checkouts_per_hour: 60,
            },
            PlanStep {
                at_min: 60,
                checkouts_per_hour: 600,
            },
        ],
        ..Promises::default()
    });
    // As planned: one a minute in the first hour, 1,260 in all.
    for minute in 0..60 {
        stall.checkouts("till-1", minute, 1, 0);
    }
    stall.look(59);
    let budget = stall.view(Slo::CheckoutSuccess).budget.unwrap();
    assert_eq!((budget.expected, budget.allowed_milli), (1_260, 12_600));
    assert_eq!((budget.consumed_ppm, budget.pace_ppm), (0, 0));
    stall.checkouts("till-1", 61, 140, 0);
    stall.checkouts("till-1", 170, 0, 4);
    stall.look(200);
    let budget = stall.view(Slo::CheckoutSuccess).budget.unwrap();
    assert_eq!((budget.expected, budget.allowed_milli), (204, 2_040));
    assert_eq!((budget.consumed_ppm, budget.survival_ppm), (1_960_784, 0));
}

#[test]
fn promises_that_nobody_can_keep_are_refused_in_plain_words() {
    let slo = |objective_ppm, alpha_ppm| SloPromise {
        slo: Slo::CheckoutSuccess.number(),
        objective_ppm,
        alpha_ppm,
        tier: 0,
    };
    let of = |slos: &[SloPromise]| Promises {
        slos: slos.to_vec(),
        ..Promises::default()
    };
    let fault = |promises: &Promises| check(promises).unwrap_err();
    assert_eq!(check(&Promises::default()), Ok(()));
    let only = Slo::CheckoutSuccess;
    for objective in [0, 1_000_000, u32::MAX] {
        let promises = of(&[slo(Some(objective), None)]);
        assert_eq!(fault(&promises), PromiseFault::Objective(only));
    }
    let strict = of(&[slo(Some(999_901), None)]);
    assert_eq!(fault(&strict), PromiseFault::TooStrict(only));
    let twice = of(&[slo(None, None), slo(None, None)]);
    assert_eq!(fault(&twice), PromiseFault::Twice(only));
    let sum = of(&[slo(None, Some(199_999))]);
    assert_eq!(fault(&sum), PromiseFault::AlphaSum(239_999));
    let plan = Promises {
        plan: vec![
            PlanStep {
                at_min: 5,
                checkouts_per_hour: 1
            };
            2
        ],
        ..Promises::default()
    };
    assert_eq!(fault(&plan), PromiseFault::Plan);
    let text = std::format!("{}", fault(&strict));
    assert!(text.contains("too short"), "{text}");
    // What comes from elsewhere is brought within the rules.
    let mut stall = Stall::new(Scope::Popup);
    stall.policy.promises = Some(of(&[slo(Some(u32::MAX), Some(u32::MAX))]));
    let promised = Promised::of(&stall.policy);
    assert_eq!(promised.promise(only).objective_ppm, 999_900);
    stall.checkouts("till-1", 0, 1, 1);
    stall.look(0);
}
