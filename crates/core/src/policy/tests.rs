//! Policies against their law (L8): random joins only tighten, in any order; differences have a direction.

use super::duration::Span;
use super::ladder::{Ladder, Rung, STEPS};
use super::limit::{Limit, Unit};
use super::rule::{Detector, Detectors, Domain, Holds, Rule};
use super::terms::{ExtraRule, Terms, governed, is_observation};
use super::*;
use crate::access::raw::PartClass;
use crate::access::{Action, Scope};
use crate::event::EventType;
use crate::invariant;
use alloc::vec;
use proptest::prelude::*;

/// Numbers that look random and are the same every time (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn rule(draw: &mut Draw, holds: Holds) -> Rule {
    let table = |draw: &mut Draw| Rule::Generalize(draw.pick(&["coarse", "fine"]).into());
    let person = |draw: &mut Draw, domains: &[Domain]| {
        let domain = (!draw.chance(3)).then(|| draw.pick(domains));
        Rule::person(domain, draw.chance(2))
    };
    match (draw.below(4), holds) {
        (0, _) => Rule::Remove,
        (_, Holds::Fact | Holds::Digits4) => Rule::Keep,
        (1, Holds::Choice) => Rule::Redact,
        (_, Holds::Choice) => Rule::Keep,
        (_, Holds::Subject) => {
            Rule::person(Some(draw.pick(&[Domain::Viewer, Domain::Buyer])), false)
        }
        (_, Holds::Email) => person(draw, &[Domain::Email]),
        (_, Holds::Phone) => person(draw, &[Domain::Phone]),
        (_, Holds::Ip) => Rule::Truncate {
            v4: draw.pick(&[8, 16, 24]),
            v6: draw.pick(&[32, 40, 48]),
        },
        (_, Holds::Geo) => Rule::Grid {
            m: draw.pick(&[500, 1_000, 5_000]),
        },
        (1, Holds::Label) => table(draw),
        (_, Holds::Label) => Rule::Redact,
        (1, Holds::Text) => Rule::Score,
        (_, Holds::Text) => Rule::Scan {
            detectors: match draw.chance(2) {
                true => Detectors::FLOOR.with(draw.pick(Detector::ALL)),
                false => Detectors::FLOOR,
            },
            max_bytes: draw.pick(&[100, 1_000, 4_096]),
        },
    }
}

/// A policy that nobody wrote.
fn terms(draw: &mut Draw) -> Terms {
    let mut terms = match draw.chance(4) {
        true => Terms::floor(),
        false => Terms::of_popup(),
    };
    for (of, field) in governed() {
        let rule = rule(draw, Holds::of(field.kind));
        terms.fields.insert((of, field.name), rule);
    }
    for limit in Limit::ALL {
        let step = match limit.unit() {
            Unit::Span => Span::hours(1).ms(),
            Unit::Number => 1,
        };
        terms.set_limit(*limit, limit.floor() + step * draw.below(4) as u64);
    }
    for path in ["client.ip", "buyer.email", "note"] {
        if draw.chance(2) {
            let holds = draw.pick(Holds::ALL);
            let extra = ExtraRule {
                holds,
                class: draw.pick(PartClass::ALL),
                rule: rule(draw, holds),
            };
            let on = draw.pick(&[EventType::CheckoutStarted, EventType::PaymentCaptured]);
            terms.extra.set((on, path.into()), extra);
        }
    }
    let (mut rungs, mut after, mut step) = (Vec::new(), 0, draw.below(2));
    while step < STEPS.len() {
        rungs.push(Rung {
            after: Span::days(after),
            step: STEPS[step],
        });
        after += 1 + draw.below(9) as u64;
        step += 1 + draw.below(3);
    }
    terms.ladder = Ladder::new(rungs).unwrap();
    for of in EventType::ALL.iter().filter(|of| is_observation(**of)) {
        if draw.chance(3) {
            terms.sampling.insert(*of, draw.pick(&[0, 100, 100_000]));
        }
    }
    terms.refuses_unknown = draw.chance(2);
    terms.actions.retain(|_| !draw.chance(4));
    terms.purposes.retain(|_| !draw.chance(4));
    for action in Action::ALL {
        if draw.chance(4) {
            terms.step_up.insert(*action);
        }
    }
    terms
}

fn effective(draw: &mut Draw) -> Effective {
    let terms = terms(draw);
    let (version, mark) = (draw.pick(&[1, 2, 3]), draw.pick(&[1u8, 2]));
    Effective {
        terms,
        carried: Carried {
            version,
            digest: Digest([mark; 32]),
            window: None,
            promises: Value::count(u64::from(version) << 8 | u64::from(mark)),
            commerce: Value::Null,
            stated: crate::policy::Stated::default(),
            rollout: Value::Null,
            trial: Span::minutes(10),
        },
    }
}

fn law(parts: &[Effective; 3]) -> invariant::Held {
    invariant::only_tightens(parts, Effective::join, Effective::at_least)
}

#[test]
fn a_join_only_tightens() {
    let mut draw = Draw(7);
    for _ in 0..5_000 {
        let parts = core::array::from_fn(|_| effective(&mut draw));
        assert_eq!(law(&parts), Ok(()));
    }
}

#[test]
fn a_join_that_loosens_is_seen() {
    let mut draw = Draw(8);
    let parts = core::array::from_fn(|_| effective(&mut draw));
    let looser = |one: &Effective, other: &Effective| {
        let mut joined = one.join(other);
        let loose = Limit::RawKeep.floor() + Span::days(9).ms();
        joined.terms.set_limit(Limit::RawKeep, loose);
        joined
    };
    let held = invariant::only_tightens(&parts, looser, Effective::at_least);
    assert!(held.unwrap_err().starts_with("L8: "));
    let last = |one: &Effective, _: &Effective| one.clone();
    assert!(invariant::only_tightens(&parts, last, Effective::at_least).is_err());
}

#[test]
fn documents_in_any_order_come_to_one_policy() {
    let mut draw = Draw(9);
    for _ in 0..100 {
        let mut documents: Vec<_> = (0..5).map(|_| effective(&mut draw)).collect();
        let whole = |documents: &[Effective]| {
            let (first, rest) = documents.split_first().unwrap();
            rest.iter().fold(first.clone(), |sum, next| sum.join(next))
        };
        let once = whole(&documents);
        for _ in 0..4 {
            let (one, other) = (draw.below(5), draw.below(5));
            documents.swap(one, other);
            let again = draw.pick(&documents);
            documents.push(again);
            assert_eq!(whole(&documents), once);
        }
    }
}

#[test]
fn rules_of_each_kind_are_a_lattice() {
    let mut rules: Vec<Rule> = vec![Rule::Keep, Rule::Redact, Rule::Score, Rule::Remove];
    let mut draw = Draw(3);
    for _ in 0..300 {
        let holds = draw.pick(Holds::ALL);
        rules.push(rule(&mut draw, holds));
    }
    rules.sort();
    rules.dedup();
    for a in &rules {
        for b in &rules {
            // The order and the join say the same.
            assert_eq!(a.at_least(b), a.join(b) == *a, "{a} and {b}");
            for c in &rules {
                let parts = [a.clone(), b.clone(), c.clone()];
                assert_eq!(
                    invariant::only_tightens(&parts, Rule::join, Rule::at_least),
                    Ok(())
                );
            }
        }
    }
}

#[test]
fn the_floor_is_below_everything_and_restricted_keeps_nobody() {
    let (floor, usual, strict) = (Terms::floor(), Terms::built_in(), Terms::restricted());
    assert!(usual.at_least(&floor) && !floor.at_least(&usual));
    assert!(strict.at_least(&usual) && strict.at_least(&Terms::of_popup()));
    let gone = strict.fields.values().all(|rule| *rule == Rule::Remove);
    assert!(gone && strict.purposes.is_empty());
    let raw = (Scope::Operator, Action::RawRead);
    assert!(usual.actions.contains(&raw) && !strict.actions.contains(&raw));
    let text = usual.fields[&(EventType::ChatMessage, "text")].clone();
    assert_eq!(text, Rule::Score);
    for (of, field) in governed() {
        let rule = &floor.fields[&(of, field.name)];
        assert!(
            Holds::of(field.kind).admits(rule),
            "{} {}",
            of.name(),
            field.name
        );
    }
}

#[test]
fn falling_back_is_never_looser_and_removes_what_differs() {
    let mut draw = Draw(11);
    for _ in 0..300 {
        let (good, failed) = (terms(&mut draw), terms(&mut draw));
        let back = good.fall_back(&failed);
        assert!(back.at_least(&good) && back.at_least(&failed));
        for (key, rule) in &back.fields {
            assert!(good.fields[key] == failed.fields[key] || *rule == Rule::Remove);
        }
        assert_eq!(good.fall_back(&good), good);
    }
}

#[test]
fn a_difference_has_a_direction() {
    let mut draw = Draw(5);
    let old = effective(&mut draw);
    let mut new = old.clone();
    new.terms.set_limit(Limit::RawKeep, 0);
    new.terms.step_up.clear();
    new.carried.commerce = Value::text("other");
    let turns: Vec<_> = diff(&old, &new)
        .into_iter()
        .map(|change| (change.coordinate, change.turn))
        .collect();
    let of = |name: &str| {
        let mut named = turns.iter().filter(|(of, _)| of.starts_with(name));
        named.next().map(|(_, turn)| *turn)
    };
    assert_eq!(of("retention.raw.keep"), Some(Turn::Tighter));
    assert_eq!(of("access.step_up.actions."), Some(Turn::Looser));
    assert_eq!(of("commerce"), Some(Turn::Other));
    assert_eq!(of("fields."), None);
    assert!(diff(&old, &old).is_empty());
}

proptest! {
    #[test]
    fn a_difference_is_looser_just_where_the_order_says_so(one: u64, other: u64) {
        let (old, new) = (effective(&mut Draw(one)), effective(&mut Draw(other)));
        let is_looser = diff(&old, &new).iter().any(|change| change.turn == Turn::Looser);
        prop_assert_eq!(is_looser, !new.at_least(&old));
    }
}
