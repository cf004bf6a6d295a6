//! Bundles against the order of checks: who signed, which version, what is joined.

use super::super::tests::MARKET;
use super::*;

pub(in crate::policy) const NOW: i64 = 1_795_000_000_000;

fn key(number: u8) -> NoteKey {
    NoteKey::new(&format!("acme/{number}"), &[number; 32])
}

pub(in crate::policy) fn org() -> NoteKey {
    NoteKey::new("acme-coop.org.popwatch", &[9; 32])
}

pub(in crate::policy) fn popup() -> PopupId {
    PopupId::new("night-market-2026-11").unwrap()
}

/// The market's policy without a floor, as a version of its own.
pub(in crate::policy) fn version(
    number: u32,
    parent: Option<Digest>,
    edit: impl Fn(&str) -> String,
) -> Document {
    let parent = parent.map_or(String::new(), |parent| format!("parent: {parent}\n"));
    let lines = MARKET.lines().filter(|line| {
        !["parent:", "floor:", "version:"]
            .iter()
            .any(|head| line.starts_with(head))
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let text = edit(&format!("{text}version: {number}\n{parent}"));
    Document::from_yaml(&text).unwrap()
}

pub(in crate::policy) fn plain(text: &str) -> String {
    text.to_owned()
}

pub(in crate::policy) fn stricter(text: &str) -> String {
    text.replace("min_group: 5", "min_group: 7")
}

pub(in crate::policy) fn looser(text: &str) -> String {
    text.replace("min_group: 5", "min_group: 3")
}

pub(in crate::policy) fn signed_by(document: &Document, keys: &[NoteKey]) -> Bundle {
    let mut bundle = Bundle::unsigned(document);
    for key in keys {
        bundle.sign(key).unwrap();
    }
    Bundle::read(bundle.to_json().as_bytes()).unwrap()
}

fn floor(version: u32, threshold: u32) -> Document {
    let keys: Vec<_> = [1, 2].map(|number| key(number).public().to_string()).into();
    let parent = match version {
        1 => String::new(),
        _ => format!("parent: {}\n", Digest([0; 32])),
    };
    let text = format!(
        "{parent}api: popwatch/policy/v1\nkind: org_floor\norg: acme-coop\nversion: {version}\n\
         not_before: 2026-01-01T00:00:00Z\nexpires: 2027-01-01T00:00:00Z\n\
         signing: {{threshold: {threshold}, signers: [\"{}\", \"{}\"]}}\n",
        keys[0], keys[1]
    );
    Document::from_yaml(&text).unwrap()
}

struct Rig {
    key: PublicKey,
    floor: Option<Verified>,
    documents: Vec<Verified>,
    may_replace: bool,
    popup: PopupId,
}

impl Rig {
    fn new() -> Self {
        Self {
            key: org().public(),
            floor: None,
            documents: Vec::new(),
            may_replace: true,
            popup: popup(),
        }
    }

    fn trust(&self) -> Trust<'_> {
        Trust {
            org: "acme-coop",
            org_key: &self.key,
            floor: self.floor.as_ref(),
        }
    }

    fn brings(&mut self, bundle: &Bundle) -> Result<&'static str, (u16, String)> {
        let held = Held {
            popup: &self.popup,
            documents: &self.documents,
            now_ms: NOW,
            may_replace: self.may_replace,
        };
        let decision = accept(bundle, &self.trust(), &held, |_| Ok(()));
        match decision.map_err(|refusal| (refusal.code.number(), refusal.what))? {
            Decision::Known => Ok("known"),
            Decision::Replace(one) => {
                self.documents = vec![one];
                Ok("replace")
            }
            Decision::Join(one) => {
                self.documents.push(one);
                Ok("join")
            }
            Decision::Fork(one) => {
                self.documents.push(one);
                Ok("fork")
            }
        }
    }

    fn runs(&self) -> Effective {
        effective(&self.documents, self.floor.as_ref()).unwrap()
    }
}

fn code(said: Result<&'static str, (u16, String)>) -> u16 {
    said.expect_err("a refusal").0
}

#[test]
fn without_a_floor_the_organisation_itself_signs() {
    let first = version(1, None, plain);
    let mut rig = Rig::new();
    assert_eq!(rig.brings(&signed_by(&first, &[org()])), Ok("replace"));
    assert_eq!(rig.brings(&signed_by(&first, &[org()])), Ok("known"));
    assert_eq!(code(rig.brings(&signed_by(&first, &[key(1)]))), 611);
    assert_eq!(code(rig.brings(&signed_by(&first, &[]))), 611);
}

#[test]
fn the_floor_says_who_signs_and_how_many() {
    let mut rig = Rig::new();
    let bundle = signed_by(&floor(1, 2), &[org()]);
    rig.floor = accept_floor(&bundle, &rig.trust(), NOW).unwrap();
    assert_eq!(accept_floor(&bundle, &rig.trust(), NOW), Ok(None));
    let stranger = signed_by(&floor(2, 1), &[key(1)]);
    let said = accept_floor(&stranger, &rig.trust(), NOW).unwrap_err();
    assert_eq!(said.code, Code::PolicySignerUnknown);
    let first = version(1, None, plain);
    assert_eq!(code(rig.brings(&signed_by(&first, &[key(1)]))), 612);
    assert_eq!(code(rig.brings(&signed_by(&first, &[org()]))), 611);
    assert_eq!(
        rig.brings(&signed_by(&first, &[key(1), key(2)])),
        Ok("replace")
    );
    // One signer twice is one signer.
    let mut twice = signed_by(&first, &[key(1)]);
    assert!(matches!(twice.sign(&key(1)), Err(SignFault::Twice)));
    let (_, line) = note::parts(&twice.note).unwrap();
    let line = line.to_owned();
    twice.note.push_str(&line);
    assert_eq!(
        code(
            Rig {
                floor: rig.floor.clone(),
                ..Rig::new()
            }
            .brings(&twice)
        ),
        612
    );
}

#[test]
fn the_first_check_that_fails_is_the_one_that_is_told() {
    let good = signed_by(&version(1, None, plain), &[org()]);
    let with = |edit: &dyn Fn(&mut Bundle)| {
        let mut bundle = good.clone();
        edit(&mut bundle);
        code(Rig::new().brings(&bundle))
    };
    assert_eq!(with(&|bundle| bundle.note.truncate(9)), 610);
    assert_eq!(with(&|bundle| bundle.policy["version"] = 2.into()), 610);
    assert_eq!(with(&|bundle| bundle.policy["x"] = 1.5.into()), 610);
    assert_eq!(
        with(&|bundle| bundle.note = bundle.note.replace("\n1\n", "\n2\n")),
        611
    );
    let other = |edit: fn(&str) -> String| {
        let document = version(1, None, edit);
        code(Rig::new().brings(&signed_by(&document, &[org()])))
    };
    assert_eq!(
        other(|text| text.replace("org: acme-coop", "org: acme")),
        613
    );
    assert_eq!(
        other(|text| text.replace("night-market-2026-11", "day-market")),
        613
    );
    assert_eq!(other(|text| format!("{text}floor: 1\n")), 617);
    let mut late = Rig::new();
    let ended = version(1, None, |text| {
        text.replace("2026-12-04", "2026-11-02")
            .replace("-28T", "-01T")
            .replace("not_before: 2026-11-27", "not_before: 2026-10-27")
    });
    assert_eq!(code(late.brings(&signed_by(&ended, &[org()]))), 617);
    let refusal = Bundle::read(b"{}").unwrap_err();
    assert_eq!(refusal.code, Code::PolicyDigestWrong);
    let large = vec![b' '; POLICY_BUNDLE_BYTES_MAX + 1];
    assert_eq!(
        Bundle::read(&large).unwrap_err().code,
        Code::PolicyDigestWrong
    );
}

#[test]
fn what_is_signed_but_unlawful_is_refused_by_its_schema() {
    let document = version(1, None, plain);
    let mut bundle = Bundle::unsigned(&document);
    bundle.policy["disclosure"]["min_group"] = 1.into();
    let digest = digest_of(&bundle.policy).unwrap();
    let mut policy = document.policy;
    policy.carried.digest = digest;
    bundle.note = org().sign(&policy.signed_text());
    let said = Rig::new().brings(&bundle).unwrap_err();
    assert_eq!(said.0, 602);
    assert!(said.1.contains("disclosure.min_group"), "{}", said.1);
    // And nobody signs it by our hand.
    assert!(matches!(
        bundle.sign(&key(3)),
        Err(SignFault::Document { .. })
    ));
}

#[test]
fn before_the_window_newer_replaces_and_inside_it_only_tightens() {
    let first = version(1, None, plain);
    let digest = first.policy.carried.digest;
    let loose = signed_by(&version(2, Some(digest), looser), &[org()]);
    let mut before = Rig::new();
    before.brings(&signed_by(&first, &[org()])).unwrap();
    let old = before.runs();
    let mut inside = Rig::new();
    inside.brings(&signed_by(&first, &[org()])).unwrap();
    inside.may_replace = false;
    assert_eq!(before.brings(&loose), Ok("replace"));
    assert!(!before.runs().at_least(&old));
    assert_eq!(inside.brings(&loose), Ok("join"));
    assert!(inside.runs().at_least(&old) && inside.runs().carried.version == 2);
    assert_eq!(
        code(inside.brings(&signed_by(&version(1, None, stricter), &[org()]))),
        615
    );
}

#[test]
fn a_fork_is_joined_until_a_higher_version() {
    let (one, other) = (version(1, None, looser), version(1, None, stricter));
    let mut rig = Rig::new();
    rig.brings(&signed_by(&one, &[org()])).unwrap();
    assert_eq!(rig.brings(&signed_by(&other, &[org()])), Ok("fork"));
    assert!(rig.documents.iter().all(|one| {
        let alone = Effective::of(one.policy(), None);
        rig.runs().at_least(&alone)
    }));
    // The next may follow either of them, and nothing else.
    let next = version(2, Some(Digest([1; 32])), plain);
    assert_eq!(code(rig.brings(&signed_by(&next, &[org()]))), 617);
    let next = version(2, Some(one.policy.carried.digest), plain);
    assert_eq!(rig.brings(&signed_by(&next, &[org()])), Ok("replace"));
    // A version that was missed in between needs no parent that is known.
    let later = version(9, Some(Digest([1; 32])), plain);
    assert_eq!(rig.brings(&signed_by(&later, &[org()])), Ok("replace"));
}

#[test]
fn a_failed_self_test_is_no_policy() {
    let bundle = signed_by(&version(1, None, plain), &[org()]);
    let rig = Rig::new();
    let held = Held {
        popup: &rig.popup,
        documents: &[],
        now_ms: NOW,
        may_replace: true,
    };
    let said = accept(&bundle, &rig.trust(), &held, |_| Err("residual 1".into()));
    assert_eq!(said.unwrap_err().code, Code::PolicyUnfit);
}

#[test]
fn no_bytes_make_a_bundle_panic() {
    let bytes = signed_by(&version(1, None, plain), &[org()]).to_json();
    for at in (0..bytes.len()).step_by(3) {
        let mut cut = bytes.clone().into_bytes();
        cut[at] ^= 1;
        if let Ok(bundle) = Bundle::read(&cut) {
            let said = Rig::new().brings(&bundle);
            let same = bundle == Bundle::read(bytes.as_bytes()).unwrap();
            assert!(said.is_err() || same, "byte {at}");
        }
    }
}
