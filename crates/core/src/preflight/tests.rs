//! Each row healthy, then broken on purpose in each way it can be.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;

const DAY: i64 = 24 * 3_600_000;
/// Three hours that begin in one.
const WINDOW: Window = Window {
    now_ms: 0,
    starts_ms: 3_600_000,
    ends_ms: 4 * 3_600_000,
};

const ROOM: DiskRoom = DiskRoom {
    free: 100 << 30,
    events: 60_000,
    bytes_each: 400,
    reserve: 64 << 20,
};

fn synced() -> FsyncCheck {
    FsyncCheck {
        place: Place::Disk,
        fault: None,
        count: 200,
        p50_us: 800,
        p99_us: 4_000,
        is_honest: true,
    }
}

fn near() -> PeerNet {
    PeerNet {
        peer: "ledger".into(),
        sent: 100,
        answered: 100,
        p95_us: 20_000,
        up: Some(1 << 20),
        expected: 10_000,
    }
}

fn pinned(pin: Pin) -> Vec<PeerTls> {
    let peer = |pin| PeerTls {
        peer: "ledger".into(),
        pin,
    };
    vec![peer(Pin::Right), peer(pin)]
}

fn echoes(echo: Echo) -> Vec<(String, Echo)> {
    vec![("ledger".into(), Echo::Same), ("region".into(), echo)]
}

const SIGNED: PolicyCheck = PolicyCheck {
    is_signed: true,
    is_restricted: false,
    is_held: false,
    expires_ms: Some(4 * 3_600_000 + DAY),
    residual: 0,
    differs: false,
};

const OPERATORS: AccessCheck = AccessCheck {
    is_open: false,
    operators: 2,
    without: 0,
    verified: Some(true),
    list_age_ms: Some(60_000),
    pass_ends_ms: Some(12 * 3_600_000),
};

fn account() -> ProviderAccount {
    ProviderAccount {
        name: "main".into(),
        has_secret: true,
        sample_taken: Some(true),
        forgery_refused: Some(true),
        offline_declared: true,
    }
}

fn sold(outcome: Outcome) -> SaleCheck {
    let step = |name, outcome| Step { name, outcome };
    SaleCheck {
        steps: vec![
            step("durable", Outcome::Done(4)),
            step("at the region", outcome),
        ],
        secrets: Secrets::None { bytes: 9_000_000 },
    }
}

fn with_secrets(secrets: Secrets) -> SaleCheck {
    SaleCheck {
        secrets,
        ..sold(Outcome::Done(4))
    }
}

const PROVED: AuditCheck = AuditCheck {
    granted: Some(true),
    proved: Some(true),
    witnessed: Some(true),
};

const HEARD: RetentionCheck = RetentionCheck {
    missing: 0,
    lease_ends_ms: Some(DAY),
    in_backup: false,
};

fn battery(minutes: Option<u32>, in_use: bool) -> PowerCheck {
    PowerCheck {
        mains_declared: false,
        battery: Some(Battery {
            charge: Some(90),
            in_use: Some(in_use),
            minutes,
        }),
        has_ups: false,
    }
}

fn ups_says(gives_up: bool, minutes: u32) -> Finding {
    ups(&UpsCheck {
        declared: true,
        answered: true,
        gives_up,
        charge: Some(80),
        minutes: Some(minutes),
    })
}

fn time(error_ms: Option<i64>, past_mark_ms: i64) -> Finding {
    clock(&ClockCheck {
        error_ms,
        within_ms: 3,
        exchanges: 8,
        past_mark_ms: Some(past_mark_ms),
    })
}

fn crew(set: impl FnOnce(&mut RigsCheck)) -> Finding {
    let mut seen = RigsCheck {
        known: 4,
        ..RigsCheck::default()
    };
    set(&mut seen);
    rigs(&seen)
}

/// Every row as it should be.
fn healthy() -> Vec<Finding> {
    vec![
        power(&battery(Some(300), true), &WINDOW),
        ups_says(false, 40),
        disk(&ROOM),
        fsync(&synced()),
        time(Some(-12), 1_000),
        net(&[near()]),
        portal(&echoes(Echo::Same)),
        tls(&pinned(Pin::Right), None, &WINDOW),
        policy(&SIGNED, &WINDOW),
        access(&OPERATORS, &WINDOW),
        crew(|_| {}),
        provider(&[account()]),
        retention(&HEARD, &WINDOW),
        sale(&sold(Outcome::Done(30))),
        page(&PageCheck {
            answers: true,
            local_only: false,
            phone_ms: Some(300),
        }),
        audit(&PROVED),
    ]
}

#[test]
fn a_healthy_rig_goes() {
    let findings = healthy();
    for finding in &findings {
        assert_eq!(finding.severity, Severity::Pass, "{finding:?}");
        assert!(finding.todo.is_empty() && !finding.measured.is_empty());
    }
    let found: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(found, Check::ALL);
    assert_eq!(Verdict::of(&findings), Verdict::Go);
    assert!(!Verdict::Go.is_refusal(true));
    let places = crate::code::Code::ALL
        .iter()
        .filter(|code| code.number() / 100 == 13);
    assert_eq!(
        places.count(),
        Check::ALL.len(),
        "each check has its own code"
    );
}

#[test]
fn what_nobody_looked_at_never_passes() {
    assert_eq!(Verdict::of(&[]), Verdict::Warnings);
    assert_eq!(Verdict::of(&healthy()[1..]), Verdict::Warnings);
    let unseen = Finding::not_checked(Check::Policy, "none yet", "later");
    assert_eq!(Verdict::of(&[unseen]), Verdict::Warnings);
}

/// Every way in which a row can be broken, and what it must weigh.
#[expect(clippy::too_many_lines, reason = "a table: each row is a case")]
fn broken() -> Vec<(&'static str, Finding, Severity)> {
    use Severity::{NoGo, NotChecked, Warning};
    let late = Window {
        now_ms: 4 * 3_600_000 - 60_000,
        ..WINDOW
    };
    let fsync_at = |place| fsync(&FsyncCheck { place, ..synced() });
    let way = |set: fn(&mut PeerNet)| {
        let mut one = near();
        set(&mut one);
        net(&[near(), one])
    };
    let provider_with = |set: fn(&mut ProviderAccount)| {
        let mut one = account();
        set(&mut one);
        provider(&[account(), one])
    };
    let access_with = |set: fn(&mut AccessCheck)| {
        let mut seen = OPERATORS;
        set(&mut seen);
        access(&seen, &WINDOW)
    };
    let policy_with = |set: fn(&mut PolicyCheck)| {
        let mut seen = SIGNED;
        set(&mut seen);
        policy(&seen, &WINDOW)
    };
    vec![
        (
            "battery too short",
            power(&battery(Some(209), true), &WINDOW),
            NoGo,
        ),
        (
            "battery just enough",
            power(&battery(Some(210), true), &WINDOW),
            Warning,
        ),
        (
            "the last minute needs 31",
            power(&battery(Some(30), true), &late),
            NoGo,
        ),
        (
            "battery not in use",
            power(&battery(None, false), &WINDOW),
            NotChecked,
        ),
        (
            "no battery, nothing said",
            power(&PowerCheck::default(), &WINDOW),
            Warning,
        ),
        (
            "mains alone",
            power(
                &PowerCheck {
                    mains_declared: true,
                    ..PowerCheck::default()
                },
                &WINDOW,
            ),
            Warning,
        ),
        ("UPS gives up", ups_says(true, 40), NoGo),
        ("UPS too small", ups_says(false, 9), Warning),
        (
            "UPS silent",
            ups(&UpsCheck {
                declared: true,
                ..UpsCheck::default()
            }),
            Warning,
        ),
        (
            "disk too small",
            disk(&DiskRoom {
                free: 70 << 20,
                ..ROOM
            }),
            NoGo,
        ),
        (
            "disk small",
            disk(&DiskRoom {
                free: 100 << 20,
                ..ROOM
            }),
            Warning,
        ),
        ("memory", fsync_at(Place::Memory), NoGo),
        ("layer", fsync_at(Place::Layer), NoGo),
        ("network mount", fsync_at(Place::Network), NoGo),
        (
            "read-only",
            fsync(&FsyncCheck {
                fault: Some("read-only".into()),
                ..synced()
            }),
            NoGo,
        ),
        (
            "too fast",
            fsync(&FsyncCheck {
                is_honest: false,
                ..synced()
            }),
            Warning,
        ),
        (
            "slow",
            fsync(&FsyncCheck {
                p99_us: 100_001,
                ..synced()
            }),
            Warning,
        ),
        ("clock a day behind", time(Some(0), -DAY), NoGo),
        ("clock off", time(Some(-2_001), 0), Warning),
        ("no peer for the clock", time(None, 0), NotChecked),
        ("probes lost", way(|one| one.answered = 97), Warning),
        ("slow way", way(|one| one.p95_us = 500_001), Warning),
        ("narrow way", way(|one| one.up = Some(9_999)), Warning),
        ("no way", way(|one| one.answered = 0), Warning),
        ("no peer", net(&[]), NotChecked),
        ("captive portal", portal(&echoes(Echo::Other)), Warning),
        (
            "all silent",
            portal(&[("ledger".into(), Echo::Silent)]),
            NotChecked,
        ),
        (
            "another key",
            tls(&pinned(Pin::Stranger), None, &WINDOW),
            NoGo,
        ),
        (
            "plain to another machine",
            tls(&pinned(Pin::Plain), None, &WINDOW),
            Warning,
        ),
        (
            "peer silent",
            tls(&pinned(Pin::Silent), None, &WINDOW),
            NotChecked,
        ),
        (
            "certificate ends",
            tls(
                &pinned(Pin::Right),
                Some(Certificate {
                    ends_ms: WINDOW.ends_ms + DAY,
                }),
                &WINDOW,
            ),
            Warning,
        ),
        ("unsigned", policy_with(|seen| seen.is_signed = false), NoGo),
        (
            "restricted",
            policy_with(|seen| seen.is_restricted = true),
            NoGo,
        ),
        ("residual", policy_with(|seen| seen.residual = 1), NoGo),
        (
            "policy ends",
            policy_with(|seen| seen.expires_ms = Some(5 * 3_600_000)),
            NoGo,
        ),
        ("held", policy_with(|seen| seen.is_held = true), NoGo),
        (
            "digests differ",
            policy_with(|seen| seen.differs = true),
            Warning,
        ),
        (
            "operator without a factor",
            access_with(|seen| seen.without = 1),
            NoGo,
        ),
        (
            "wrong code",
            access_with(|seen| seen.verified = Some(false)),
            NoGo,
        ),
        (
            "list a day old",
            access_with(|seen| seen.list_age_ms = Some(86_400_001)),
            Warning,
        ),
        (
            "pass ends",
            access_with(|seen| seen.pass_ends_ms = Some(3_600_000)),
            Warning,
        ),
        (
            "no code shown",
            access_with(|seen| seen.verified = None),
            NotChecked,
        ),
        (
            "fork",
            crew(|seen| seen.forked = vec!["rig-1".into()]),
            NoGo,
        ),
        (
            "rig silent",
            crew(|seen| seen.silent = vec!["rig-2".into()]),
            Warning,
        ),
        (
            "rig differs",
            crew(|seen| seen.differing = vec!["rig-3".into()]),
            Warning,
        ),
        ("no rig known", crew(|seen| seen.known = 0), NotChecked),
        (
            "no secret",
            provider_with(|one| one.has_secret = false),
            NoGo,
        ),
        (
            "forgery taken",
            provider_with(|one| one.forgery_refused = Some(false)),
            NoGo,
        ),
        (
            "sample refused",
            provider_with(|one| one.sample_taken = Some(false)),
            NoGo,
        ),
        (
            "offline unknown",
            provider_with(|one| one.offline_declared = false),
            Warning,
        ),
        (
            "not tried",
            provider_with(|one| one.sample_taken = None),
            NotChecked,
        ),
        ("no account", provider(&[]), NotChecked),
        (
            "key missing",
            retention(
                &RetentionCheck {
                    missing: 1,
                    ..HEARD
                },
                &WINDOW,
            ),
            NoGo,
        ),
        (
            "lease ends",
            retention(
                &RetentionCheck {
                    lease_ends_ms: Some(5 * 3_600_000),
                    ..HEARD
                },
                &WINDOW,
            ),
            Warning,
        ),
        (
            "keys backed up",
            retention(
                &RetentionCheck {
                    in_backup: true,
                    ..HEARD
                },
                &WINDOW,
            ),
            Warning,
        ),
        (
            "step failed",
            sale(&sold(Outcome::Failed("no answer".into()))),
            NoGo,
        ),
        ("step slow", sale(&sold(Outcome::Done(5_001))), Warning),
        (
            "peer away",
            sale(&sold(Outcome::Stopped("nobody answers".into()))),
            NotChecked,
        ),
        (
            "secret kept",
            sale(&with_secrets(Secrets::Found(vec!["a log".into()]))),
            NoGo,
        ),
        (
            "not searched",
            sale(&with_secrets(Secrets::NotSearched)),
            NotChecked,
        ),
        ("page away", page(&PageCheck::default()), Warning),
        (
            "page here only",
            page(&PageCheck {
                answers: true,
                local_only: true,
                phone_ms: None,
            }),
            Warning,
        ),
        (
            "no phone",
            page(&PageCheck {
                answers: true,
                local_only: false,
                phone_ms: None,
            }),
            NotChecked,
        ),
        (
            "read failed",
            audit(&AuditCheck {
                granted: Some(false),
                ..PROVED
            }),
            NoGo,
        ),
        (
            "proof fails",
            audit(&AuditCheck {
                proved: Some(false),
                ..PROVED
            }),
            NoGo,
        ),
        (
            "no witness",
            audit(&AuditCheck {
                witnessed: None,
                ..PROVED
            }),
            Warning,
        ),
        (
            "nobody may read",
            audit(&AuditCheck {
                granted: None,
                proved: None,
                ..PROVED
            }),
            NotChecked,
        ),
    ]
}

#[test]
fn each_row_broken_on_purpose_is_found_and_judged() {
    let cases = broken();
    for (how, finding, severity) in &cases {
        assert_eq!(finding.severity, *severity, "{how}: {finding:?}");
        assert!(
            !finding.todo.is_empty() && !finding.needed.is_empty(),
            "{how}"
        );
        // In the place of the healthy row, it alone decides.
        let mut findings = healthy();
        findings.retain(|one| one.check != finding.check);
        findings.push(finding.clone());
        let expect = match severity {
            Severity::NoGo => Verdict::NoGo,
            Severity::Pass | Severity::NotChecked | Severity::Warning => Verdict::Warnings,
        };
        assert_eq!(Verdict::of(&findings), expect, "{how}");
        assert_eq!(expect.is_refusal(false), expect == Verdict::NoGo, "{how}");
        assert!(expect.is_refusal(true), "{how}");
    }
    for check in Check::ALL {
        let ways = cases
            .iter()
            .filter(|(_, finding, _)| finding.check == *check);
        assert!(
            ways.count() > 1,
            "{} is broken in two ways at least",
            check.name()
        );
    }
}

#[test]
fn two_faults_at_once_are_as_bad_as_the_worse() {
    let cases = broken();
    for (_, one, _) in &cases {
        for (_, other, _) in cases
            .iter()
            .filter(|(_, other, _)| other.check != one.check)
        {
            let mut findings = healthy();
            findings.retain(|found| found.check != one.check && found.check != other.check);
            findings.extend([one.clone(), other.clone()]);
            let worst = one.severity.max(other.severity);
            let is_no_go = Verdict::of(&findings) == Verdict::NoGo;
            assert_eq!(is_no_go, worst == Severity::NoGo, "{one:?} {other:?}");
        }
    }
}

#[test]
fn numbers_are_for_people() {
    assert_eq!(disk(&ROOM).measured, "100 GiB free");
    assert_eq!(
        fsync(&synced()).measured,
        "200 × 4 KiB: p50 800 µs, p99 4.0 ms"
    );
    assert_eq!(
        time(Some(-12), 0).measured,
        "-12 ms, within 3 ms, 8 exchanges"
    );
    assert_eq!(WINDOW.minutes_left(), 180);
    assert_eq!(WINDOW.hours(), 3);
    assert_eq!(Verdict::Warnings.to_string(), "go with warnings");
    assert!(is_rehearsal("preflight-fri-7") && !is_rehearsal("fri"));
}
