//! Passes say what was issued and never more.

use super::revoked::Revoked;
use super::*;

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

fn key() -> AccessKey {
    AccessKey::new(&[9; 32])
}

fn subject() -> Subject {
    Subject {
        org: "acme".into(),
        pass: "p-1".into(),
        actor: "a-7".into(),
        scope: Scope::Coop,
        extent: "stalls".into(),
        members: vec!["ana".into(), "ben".into()],
        popup: Some("fri-market".into()),
    }
}

fn issued() -> String {
    issue(&key(), &subject(), NOW, NOW + HOUR, &[1; 32]).unwrap()
}

fn at<'a>(now_ms: i64, action: Action) -> Circumstances<'a> {
    Circumstances {
        now_ms,
        action: Some(action),
        popup: Some("fri-market"),
        rig: None,
        network: Network::Tls,
    }
}

fn opened(pass: &str, at: &Circumstances<'_>) -> Result<Opened, PassFault> {
    open(pass, &key().public(), at)
}

#[test]
fn a_pass_says_what_was_issued_until_it_expires() {
    let pass = issued();
    assert!(
        pass.starts_with("pw1.") && pass.len() < 1_000,
        "{}",
        pass.len()
    );
    let found = opened(&pass, &at(NOW, Action::Books)).unwrap();
    let mut members = found.subject.members.clone();
    members.sort();
    let told = Subject {
        members,
        ..found.subject.clone()
    };
    assert_eq!(told, subject());
    assert_eq!((found.issued_ms, found.expires_ms), (NOW, NOW + HOUR));
    assert!(opened(&pass, &at(NOW + HOUR, Action::Books)).is_ok());
    let late = opened(&pass, &at(NOW + HOUR + 1_000, Action::Books));
    assert_eq!(late, Err(PassFault::Expired));
    let public = AccessPublic::parse(&key().public().to_string()).unwrap();
    assert_eq!(public, key().public());
    let stranger = AccessKey::new(&[8; 32]).public();
    let fault = open(&pass, &stranger, &at(NOW, Action::Books)).unwrap_err();
    assert_eq!(fault.code(), Code::PassInvalid);
}

#[test]
fn who_hands_a_pass_on_gives_less_and_never_more() {
    let less = Less {
        expires_ms: Some(NOW + 60_000),
        actions: vec![Action::ViewSummary, Action::ViewBoard],
        ..Less::default()
    };
    let given = hand_on(&issued(), &less, &[2; 32]).unwrap();
    let says = |pass: &str, at: &Circumstances<'_>| opened(pass, at).map(|_| ());
    assert_eq!(says(&given, &at(NOW, Action::ViewBoard)), Ok(()));
    assert_eq!(
        says(&given, &at(NOW, Action::Books)),
        Err(PassFault::Narrowed)
    );
    assert_eq!(
        says(&given, &at(NOW + 61_000, Action::ViewBoard)),
        Err(PassFault::Expired)
    );
    // A longer life, another popup, all actions: nothing of it comes back.
    let more = Less {
        expires_ms: Some(NOW + 10 * HOUR),
        popup: Some("fri-market".into()),
        actions: Action::ALL.to_vec(),
        ..Less::default()
    };
    let again = hand_on(&given, &more, &[3; 32]).unwrap();
    assert_eq!(says(&again, &at(NOW, Action::ViewBoard)), Ok(()));
    assert_eq!(
        says(&again, &at(NOW, Action::Books)),
        Err(PassFault::Narrowed)
    );
    assert_eq!(
        says(&again, &at(NOW + 61_000, Action::ViewBoard)),
        Err(PassFault::Expired)
    );
    let elsewhere = Circumstances {
        popup: Some("sat"),
        ..at(NOW, Action::ViewBoard)
    };
    assert_eq!(says(&again, &elsewhere), Err(PassFault::Narrowed));
    let lan = Less {
        network: Some(Network::Lan),
        rig: Some("till-1".into()),
        ..Less::default()
    };
    let lan = hand_on(&again, &lan, &[4; 32]).unwrap();
    assert_eq!(
        says(&lan, &at(NOW, Action::ViewBoard)),
        Err(PassFault::Narrowed)
    );
    let there = Circumstances {
        network: Network::Lan,
        rig: Some("till-1"),
        ..at(NOW, Action::ViewBoard)
    };
    assert_eq!(says(&lan, &there), Ok(()));
    let last = hand_on(&lan, &Less::default(), &[5; 32]).unwrap();
    let fault = hand_on(&last, &Less::default(), &[6; 32]);
    assert_eq!(fault, Err(PassFault::HandedOn));
    assert_eq!(says(&last, &there), Ok(()));
    assert_eq!(blocks(&last).unwrap().len(), 5);
}

#[test]
fn a_block_that_adds_facts_or_rules_is_refused() {
    let token = UnverifiedBiscuit::from_base64(padded(&issued()).unwrap()).unwrap();
    for source in [
        "scope(\"operator\", \"\")",
        "member($m) <- org($m)",
        "check all time($t), $t > 2020-01-01T00:00:00Z",
    ] {
        let block = BlockBuilder::new().code(format!("{source};")).unwrap();
        let forged = token.append_with_keypair(&pair(&[4; 32]), block).unwrap();
        let forged = written(forged.to_base64().unwrap()).unwrap();
        let fault = opened(&forged, &at(NOW, Action::Books)).unwrap_err();
        assert_eq!(fault.code(), Code::PassInvalid, "{source}");
    }
}

#[test]
fn no_changed_letter_of_a_pass_passes() {
    let pass = issued();
    let when = at(NOW, Action::Books);
    for index in PREFIX.len()..pass.len() - 1 {
        let mut bytes = pass.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(opened(&changed, &when).is_err(), "letter {index}");
    }
    for text in [
        "",
        "pw1.",
        "pw2.AAAA",
        "pw1.\u{e4}",
        &pass[1..],
        &format!("{pass}="),
    ] {
        let fault = opened(text, &when).unwrap_err();
        assert_eq!(fault.code(), Code::PassInvalid, "{text:?}");
    }
    let huge = format!("pw1.{}", "A".repeat(PASS_BYTES_MAX));
    assert_eq!(opened(&huge, &when), Err(PassFault::TooLarge));
}

#[test]
fn a_pass_is_revoked_by_itself_by_its_origin_and_by_its_actor() {
    let pass = issued();
    let given = hand_on(&pass, &Less::default(), &[2; 32]).unwrap();
    let when = at(NOW, Action::Books);
    let (first, second) = (
        opened(&pass, &when).unwrap(),
        opened(&given, &when).unwrap(),
    );
    let of = |id: &str| {
        let mut list = Revoked::default();
        list.add(id, NOW);
        (list.has(&first), list.has(&second))
    };
    assert_eq!(of(&revocation_id(&given).unwrap()), (false, true));
    assert_eq!(of(&revocation_id(&pass).unwrap()), (true, true));
    assert_eq!(of("p-1"), (true, true));
    assert_eq!(of("actor:a-7"), (true, true));
    assert_eq!(of("actor:a-8"), (false, false));
    let mut list = Revoked::default();
    list.add("actor:a-7", NOW - 1);
    assert!(
        !list.has(&first),
        "issued after all of the actor's were revoked"
    );
    assert!(!list.is_old(NOW) && list.is_old(NOW + 24 * HOUR));
}

#[test]
fn names_that_could_be_read_as_checks_are_not_issued() {
    for bad in ["a\"b", "a b", "a;b", "a\nb", "\u{e4}", &"x".repeat(97)] {
        let of = Subject {
            actor: bad.to_string(),
            ..subject()
        };
        let fault = issue(&key(), &of, NOW, NOW + HOUR, &[1; 32]).unwrap_err();
        assert_eq!(fault, PassFault::Name("the actor"), "{bad:?}");
    }
}
