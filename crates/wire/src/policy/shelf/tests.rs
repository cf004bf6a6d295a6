//! A shelf against what is brought to it: what replaces, what only tightens, and what is kept.

use popwatch_core::policy::duration::Span;

use super::super::bundle::tests::{NOW, looser, org, plain, popup, signed_by, stricter, version};
use super::*;

const ORG: &str = "acme-coop";

/// A moment inside the market's window, and one before it.
fn window() -> (i64, i64) {
    let of = version(1, None, plain);
    let begins = of.policy.carried.window.unwrap().starts_ms;
    (begins + 60_000, begins - 60_000)
}

fn offer(shelf: &mut Shelf, bundle: &Bundle, now_ms: i64) -> Result<Outcome, u16> {
    let key = org().public();
    let trust = Trust {
        org: ORG,
        org_key: &key,
        floor: None,
    };
    let offered = shelf.offer(bundle, &trust, now_ms);
    offered.map_err(|refusal| refusal.code.number())
}

fn two(edit: fn(&str) -> String) -> (Bundle, Bundle) {
    let first = version(1, None, plain);
    let second = version(2, Some(first.policy.carried.digest), edit);
    (signed_by(&first, &[org()]), signed_by(&second, &[org()]))
}

fn min_group(shelf: &Shelf, now_ms: i64) -> String {
    let (_, terms, _) = shelf.running(None, now_ms);
    let rows = terms.rows();
    let row = rows.into_iter().find(|row| row.0 == "disclosure.min_group");
    row.unwrap().1
}

#[test]
fn before_the_window_a_newer_version_replaces_and_inside_it_only_tightens() {
    let (inside, before) = window();
    let (first, second) = two(looser);
    let mut early = Shelf::new(popup());
    assert_eq!(offer(&mut early, &first, before), Ok(Outcome::Accepted));
    let mut late = early.clone();
    let mut used = early.clone();
    assert_eq!(offer(&mut early, &second, before), Ok(Outcome::Accepted));
    assert_eq!(min_group(&early, before), "3");
    assert_eq!(offer(&mut late, &second, inside), Ok(Outcome::Joined));
    assert_eq!(min_group(&late, inside), "5");
    assert_eq!(late.bundles().count(), 2);
    // A record of the popup closes the way to anything looser, whatever the clock says.
    assert!(used.take_use() && !used.take_use());
    assert_eq!(offer(&mut used, &second, before), Ok(Outcome::Joined));
    assert_eq!(min_group(&used, before), "5");
    assert_eq!(offer(&mut used, &second, before), Ok(Outcome::Known));
    assert_eq!(offer(&mut early, &first, before), Err(615));
    assert_eq!(early.attempts().last().unwrap().outcome, "refused");
}

#[test]
fn what_does_not_work_on_trial_is_fallen_back_from_and_never_loosens() {
    let (inside, before) = window();
    let (first, second) = two(stricter);
    let mut shelf = Shelf::new(popup());
    assert!(!shelf.see(Seen::Started { clean: false }, before));
    offer(&mut shelf, &first, before).unwrap();
    let after_trial = before + Span::days(1).ms_signed();
    assert!(shelf.see(Seen::Nothing, after_trial));
    assert_eq!(shelf.phase(), Phase::Good);
    offer(&mut shelf, &second, inside).unwrap();
    let good = shelf.last_good().unwrap();
    assert_eq!(good.version, 1);
    let (_, newest, _) = shelf.running(None, inside);
    let seen = Seen::Redacted {
        events: 10,
        errors: 0,
        residual: 1,
    };
    assert!(shelf.see(seen, inside));
    let (mode, terms, mark) = shelf.running(None, inside);
    assert_eq!((mode, mark.unwrap().version), (Mode::FellBack, 2));
    assert!(terms.at_least(&newest));
    assert_eq!(shelf.attempts().last().unwrap().reason, "residual");
}

#[test]
fn a_shelf_is_read_back_as_it_was_kept_and_damage_is_no_shelf() {
    let (inside, before) = window();
    let (first, second) = two(stricter);
    let mut shelf = Shelf::new(popup());
    offer(&mut shelf, &first, before).unwrap();
    offer(&mut shelf, &second, inside).unwrap();
    shelf.take_use();
    assert_eq!(offer(&mut shelf, &first, inside), Ok(Outcome::Known));
    let parent = Some(Digest([0; 32]));
    let foreign = signed_by(&version(3, parent, stricter), &[]);
    assert_eq!(offer(&mut shelf, &foreign, NOW), Err(611));
    let kept = shelf.to_json();
    assert_eq!(Shelf::from_json(&kept, &popup()), Some(shelf));
    let text = String::from_utf8(kept).unwrap();
    for (from, to) in [
        ("\"min_group\": 7", "\"min_group\": 3"),
        ("popwatch.dev/policy/v1", "popwatch.dev/policy/v2"),
        ("\"used\": true", "\"used\": 1"),
    ] {
        assert!(text.contains(from), "{from}");
        let damaged = text.replace(from, to);
        assert_eq!(Shelf::from_json(damaged.as_bytes(), &popup()), None);
    }
    let other = PopupId::new("other").unwrap();
    assert_eq!(Shelf::from_json(text.as_bytes(), &other), None);
    assert_eq!(
        Shelf::from_json(&text.as_bytes()[..text.len() - 2], &popup()),
        None
    );
}
