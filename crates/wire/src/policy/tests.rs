//! Documents are read or refused where they are wrong; what is refused names place and floor.

use super::*;
use popwatch_core::event::EventType;
use popwatch_core::id::PopupId;
use popwatch_core::policy::rule::{Domain, Rule};
use popwatch_core::policy::terms::Terms;
use popwatch_core::policy::{Effective, Turn, diff};

/// A policy that uses every section.
const DAY_MS: u64 = 86_400_000;
pub(super) const MARKET: &str = include_str!("market.yaml");

fn fault(text: &str) -> PolicyFault {
    Document::from_yaml(text).expect_err("an unlawful document")
}

/// Line of the first occurrence.
fn line_of(text: &str, what: &str) -> usize {
    let lines = text.lines().enumerate();
    let mut found = lines.filter(|(_, line)| line.contains(what));
    found.next().map_or(0, |(at, _)| at + 1)
}

#[test]
fn the_built_in_policy_is_the_one_that_runs_without_any() {
    let read = Document::from_yaml(BUILT_IN).unwrap();
    assert_eq!(read.policy.terms, Terms::built_in());
    let effective = Effective::of(&read.policy, None);
    assert_eq!(effective.terms, Terms::built_in());
}

#[test]
fn a_whole_document_is_read() {
    let read = Document::from_yaml(MARKET).unwrap();
    let terms = &read.policy.terms;
    let rule = |of, field| terms.fields[&(of, field)].clone();
    assert_eq!(rule(EventType::PaymentCaptured, "tip"), Rule::Keep);
    assert_eq!(rule(EventType::PaymentCaptured, "token"), Rule::Remove);
    assert_eq!(rule(EventType::ChatMessage, "text"), Rule::Score);
    let viewer = Rule::person(Some(Domain::Viewer), false);
    assert_eq!(rule(EventType::CheckoutStarted, "viewer"), viewer);
    assert_eq!(rule(EventType::ChatMessage, "viewer"), viewer);
    assert_eq!(terms.extra.kept().count(), 2);
    assert_eq!(terms.sampled_ppm(EventType::ProductViewed), 100_000);
    assert_eq!(read.policy.head.version, 42);
    assert!(terms.at_least(&Terms::floor()));
}

#[test]
fn the_canonical_form_reads_back_as_the_same_document() {
    let read = Document::from_yaml(MARKET).unwrap();
    let json: Json = serde_json::from_str(&read.canonical.canonical()).unwrap();
    assert_eq!(Document::from_json(&json).unwrap(), read);
    assert_eq!(digest_of(&json), Some(read.policy.carried.digest));
    // Comments, order and quotes are no part of it.
    let other = MARKET
        .replace("org: acme-coop", "org: \"acme-coop\"   # us")
        .replace(
            "{min_group: 5, min_contributors: 3",
            "{min_contributors: 3, min_group: 5",
        );
    assert_ne!(other, MARKET);
    assert_eq!(Document::from_yaml(&other).unwrap(), read);
}

#[test]
fn what_yaml_has_beyond_plain_values_is_refused_where_it_stands() {
    for (yaml, line, said) in [
        ("a: &x 1\nb: 2\n", 1, "anchor"),
        ("a: 1\nb: *x\n", 2, "not YAML"),
        ("a: &x 1\nb: *x\n", 1, "anchor"),
        ("a: !!str 1\n", 1, "tag"),
        ("a: 1\na: 2\n", 2, "already"),
        ("a: 1.5\n", 1, "integers"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: [1, 2\nb: 2\n", 2, "not YAML"),
        ("a:\n  - b:\n", 2, "missing"),
        ("a: 007\n", 1, "zeros"),
        ("a: 99999999999999999999\n", 1, "too large"),
        ("? [a]\n: 1\n", 1, "no text"),
        ("", 0, "empty"),
    ] {
        let said_of = tree::yaml(yaml).expect_err(yaml);
        assert_eq!(said_of.code, Code::PolicyUnreadable);
        assert!(said_of.what.contains(said), "{yaml:?}: {said_of}");
        assert!(said_of.at.line.abs_diff(line) <= 1, "{yaml:?}: {said_of}");
    }
    let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
    assert!(tree::yaml(&deep).unwrap_err().what.contains("deeper"));
    let deep: Json = serde_json::from_str(&deep).unwrap();
    assert!(tree::json(&deep, 1).unwrap_err().what.contains("deeper"));
    let large = format!("a: '{}'", "x".repeat(256 << 10));
    assert!(tree::yaml(&large).unwrap_err().what.contains("256 KiB"));
}

/// Edits that make a lawful document unlawful: what is replaced, by what, and the code.
const EDITS: &[(&str, &str, u16)] = &[
    ("api: popwatch/policy/v1", "api: popwatch/policy/v2", 601),
    ("kind: popup", "kind: creator", 601),
    ("org: acme-coop", "org: [acme]", 601),
    ("popup: night-market-2026-11", "popup: \"a b\"", 601),
    ("version: 42", "version: 0", 601),
    ("version: 42", "version: 1", 601),
    ("version: 42", "version: \"42\"", 601),
    ("parent: sha256:9f2c", "parent: sha256:xxxx", 601),
    ("parent: sha256:9f2c", "parents: sha256:9f2c", 601),
    (
        "expires: 2026-12-04T00:00:00Z",
        "expires: 2026-11-28T18:00:00Z",
        601,
    ),
    ("expires: 2026-12-04T00:00:00Z", "expires: 2026-12-04", 601),
    ("offline_grace: P3D", "offline_grace: P31D", 602),
    ("offline_grace: P3D", "offline_grace: 3 days", 601),
    (
        "ends: 2026-11-28T23:00:00Z",
        "ends: 2026-11-28T16:00:00Z",
        601,
    ),
    (
        "starts: 2026-11-28T17:00:00Z",
        "starts: 2026-11-01T17:00:00Z",
        601,
    ),
    ("currencies: [EUR]", "currencies: [XXX]", 601),
    ("raw:       {keep: PT72H", "raw:       {keep: P31D", 602),
    ("freetext:  {keep: PT24H", "freetext:  {keep: P8D", 602),
    ("rig_lease: PT12H", "rig_lease: PT73H", 602),
    ("rig_lease: PT12H", "lease: PT12H", 601),
    ("keep_at_least: P400D", "keep_at_least: P30D", 602),
    ("step: PT15M", "step: PT7M", 601),
    ("viewer: {pseudonym: viewer}", "viewer: keep", 602),
    (
        "viewer: {pseudonym: viewer}",
        "viewer: {pseudonym: email}",
        601,
    ),
    (
        "viewer: {pseudonym: viewer}",
        "buyer: {pseudonym: viewer}",
        601,
    ),
    ("stages: keep", "order: remove", 601),
    ("reason: redact", "amount: remove", 601),
    ("text: score", "text: keep", 602),
    (
        "text: score",
        "text: {redact: {detectors: [track, code, email, iban, phone], max_bytes: 4096}, seal: true}",
        602,
    ),
    (
        "text: score",
        "text: {redact: {detectors: [track, pan, code, email, iban, phone], max_bytes: 4096}}",
        602,
    ),
    ("v4: 24", "v4: 32", 602),
    ("v6: 48", "v6: 64", 602),
    ("path: buyer.email", "path: buyer.card_number", 602),
    ("path: buyer.email", "path: a.b.c.d", 601),
    ("path: buyer.email", "path: amount", 601),
    ("type: email", "type: digits4", 601),
    ("class: contact", "class: public", 601),
    ("unknown_types: refuse", "unknown_types: keep", 601),
    ("product.viewed: 100000", "payment.captured: 100000", 602),
    ("product.viewed: 100000", "product.viewed: 1000001", 601),
    ("min_group: 5", "min_group: 2", 602),
    (
        "creator: [view.summary, raw.read]",
        "auditor: [raw.read]",
        601,
    ),
    (
        "auditor: [audit.read, policy.read]",
        "auditor: [raw.read]",
        602,
    ),
    (
        "actions: [raw.read, policy.propose",
        "actions: [policy.propose",
        602,
    ),
    ("purposes: [dispute", "purposes: [curiosity, dispute", 601),
    ("rows_max: 10000", "rows_max: 100001", 602),
    ("trial: PT10M", "trial: P2D", 601),
    ("promises: []", "promises: 7", 601),
    ("promises: []", "promises: {objective: 1}", 601),
    ("promises: []", "promises: {slos: [{slo: mood}]}", 601),
    (
        "promises: []",
        "promises: {slos: [{slo: checkout_success, objective_ppm: 1000000}]}",
        601,
    ),
    (
        "promises: []",
        "promises: {slos: [{slo: checkout_success, tier: wake}]}",
        601,
    ),
    ("promises: []", "promises: {plan: [{at_min: 0}]}", 601),
    ("promises: []", "promises: {overrun_min: 9999}", 601),
    ("promises: []", "promises: {checkout_limit: PT0S}", 601),
    ("commerce: {}", "commerce: {stock: some}", 601),
    (
        "commerce: {}",
        "commerce: {shares: [{creator: ana, rate_ppm: 1000001}]}",
        601,
    ),
    (
        "commerce: {}",
        "commerce: {shares: [{creator: ana, rate_ppm: 1, coop: south}]}",
        601,
    ),
    (
        "commerce: {}",
        "commerce: {coops: [{name: south, members: [{name: bo, weight_ppm: 1}]}]}",
        601,
    ),
    ("commerce: {}", "commerce: {lines: 3}", 601),
    ("disclosure:", "disclose:", 601),
    ("commerce: {}", "commerce: {}\nsecrets: {}", 601),
];

const PROMISES: &str = "promises:
  slos: [{slo: checkout_success, objective_ppm: 995000, alpha_ppm: 10000}, {slo: refund_rate, tier: watch}]
  plan: [{at_min: 0, checkouts_per_hour: 400}, {at_min: 80, checkouts_per_hour: 2400}]
  overrun_min: 30
  rigs: 3
  checkout_limit: PT90S";
const COMMERCE: &str = "commerce:
  stock: all
  offline_loss: customer
  dispute_keeps_share: true
  shares: [{creator: ana, rate_ppm: 125000, hold_days: 7}, {creator: bo, rate_ppm: 80000, tips_ppm: 500000, cap: 900, coop: north}]
  coops: [{name: north, members: [{name: bo, weight_ppm: 400000}, {name: cy, weight_ppm: 600000}]}]";

#[test]
fn what_a_document_promises_is_what_a_journal_states() {
    let popup = PopupId::new("fri").unwrap();
    let text = MARKET.replace("promises: []", PROMISES);
    let text = text.replace("commerce: {}", COMMERCE);
    let text = text.replace(
        "min_contributors: 3, money_step: 100",
        "min_contributors: 4, money_step: 500",
    );
    let policy = Document::from_yaml(&text).unwrap().policy;
    let carried = policy.carried;
    let stated = carried.popup_policy(&popup, &policy.terms).unwrap();
    let cells = stated.cells.as_ref().unwrap();
    let rungs = cells.ladder.iter();
    let rungs: Vec<_> = rungs
        .map(|rung| (rung.after_ms / DAY_MS, rung.step_min))
        .collect();
    assert_eq!(rungs, [(0, 1), (7, 15), (90, 1_440)]);
    assert_eq!(cells.keep_ms, 400 * DAY_MS);
    let coop = stated.coop.unwrap();
    assert_eq!((coop.min_contributors, coop.money_step), (4, 500));
    let promises = stated.promises.as_ref().unwrap();
    assert_eq!((promises.plan.len(), promises.rigs), (2, 3));
    assert_eq!(promises.slos[0].objective_ppm, Some(995_000));
    assert_eq!(promises.overrun_min, Some(30));
    let commerce = stated.commerce.as_ref().unwrap();
    assert!(commerce.stock_all && commerce.offline_owed && commerce.dispute_keeps_share);
    assert!(!commerce.lines_gross && !commerce.returns_by_moves);
    let card = commerce.card("bo").unwrap();
    assert_eq!((card.cap, card.coop.as_str()), (Some(900), "north"));
    let window = carried.window.as_ref().unwrap();
    assert_eq!(
        (stated.starts_ms, stated.ends_ms, stated.version),
        (window.starts_ms, window.ends_ms, 42)
    );
    assert_eq!(
        (stated.checkout_limit_ms, &stated.zone),
        (90_000, &window.zone)
    );
    assert_eq!(stated.digest, carried.digest.0);
    // One that says nothing leaves the defaults, and no shares.
    let plain = Document::from_yaml(MARKET).unwrap().policy;
    let plain = plain.carried.popup_policy(&popup, &plain.terms).unwrap();
    assert_eq!((&plain.promises, &plain.commerce), (&None, &None));
    assert_eq!(plain.checkout_limit_ms, 60_000);
}

#[test]
fn each_unlawful_edit_is_refused_with_its_line() {
    assert!(EDITS.len() >= 40);
    for (good, bad, code) in EDITS {
        let text = MARKET.replacen(good, bad, 1);
        assert_ne!(text, MARKET, "{good}");
        let said = fault(&text);
        assert_eq!(said.code.number(), *code, "{bad}: {said}");
        let words = bad.lines().last().unwrap();
        let is_whole = ["version: 1", "starts:"]
            .iter()
            .any(|head| bad.starts_with(head));
        if !is_whole {
            assert_eq!(said.at.line, line_of(&text, words), "{bad}: {said}");
        }
        assert!(said.at.line > 0 && said.at.column > 0, "{bad}: {said}");
    }
}

#[test]
fn a_fault_names_the_coordinate_and_its_floor_and_no_value() {
    let text = MARKET.replace("raw:       {keep: PT72H", "raw:       {keep: P77D");
    let said = fault(&text).to_string();
    assert!(said.contains("retention.raw.keep") && said.contains("at most P30D"));
    assert!(!said.contains("P77D"), "{said}");
    let said = fault(&MARKET.replace("viewer: {pseudonym: viewer}", "viewer: keep")).to_string();
    let words = "fields.checkout.started.viewer: is looser than any policy may be; the floor is pseudonym(viewer)";
    assert!(said.contains(words), "{said}");
}

#[test]
fn an_organisations_floor_binds_only_what_it_names() {
    let key = crate::note::NoteKey::new("acme/ops", &[5; 32]).public();
    let text = format!(
        "api: popwatch/policy/v1\nkind: org_floor\norg: acme-coop\nversion: 1\n\
         not_before: 2026-01-01T00:00:00Z\nexpires: 2027-01-01T00:00:00Z\n\
         signing: {{threshold: 1, signers: [\"{key}\"]}}\n\
         retention: {{raw: {{keep: PT1H}}}}\nfields: {{chat.message: {{viewer: remove}}}}\n"
    );
    let floor = Document::from_yaml(&text).unwrap().policy;
    let market = Document::from_yaml(MARKET).unwrap().policy;
    let (alone, under) = (
        Effective::of(&market, None),
        Effective::of(&market, Some(&floor)),
    );
    let changes = diff(&alone, &under);
    let names: Vec<_> = changes
        .iter()
        .map(|change| change.coordinate.as_str())
        .collect();
    assert_eq!(names, ["fields.chat.message.viewer", "retention.raw.keep"]);
    assert!(changes.iter().all(|change| change.turn == Turn::Tighter));
    let unreachable = text.replace("threshold: 1", "threshold: 2");
    assert_eq!(fault(&unreachable).path, "signing.threshold");
    assert!(
        fault(&format!("{text}window: {{}}\n"))
            .path
            .contains("window")
    );
}

#[test]
fn no_bytes_make_it_panic() {
    // Cut at many places: each is read or refused.
    for (at, _) in MARKET.char_indices().step_by(5) {
        let (head, tail) = MARKET.split_at(at);
        for text in [head, tail] {
            if let Err(fault) = Document::from_yaml(text) {
                assert_eq!(fault.code.number() / 100, 6);
            }
        }
    }
}
