//! The estimator against a world whose true time is known.

use super::*;
use proptest::prelude::*;

const BOOT: BootId = BootId([4; 16]);
/// True time when the steady clock read 0, ms.
const START_MS: i64 = 1_778_922_000_000;

fn now(mono_ms: u64, wall_off_ms: i64) -> Now {
    let mono = i64::try_from(mono_ms).unwrap();
    Now {
        wall: WallMs(START_MS + mono + wall_off_ms),
        mono: MonoMs(mono_ms),
    }
}

/// An exchange that ends at `mono_ms`, its ways so long, with a peer whose clock is right.
fn exchange(mono_ms: u64, there_ms: u64, back_ms: u64) -> Exchange {
    let sent = mono_ms - there_ms - back_ms;
    let came = START_MS * 1_000 + i64::try_from((sent + there_ms) * 1_000).unwrap();
    Exchange {
        sent_mono_ns: sent * 1_000_000,
        recv_wall_us: came,
        send_wall_us: came,
        received_mono_ns: mono_ms * 1_000_000,
        peer_u_ms: 0,
    }
}

fn clock() -> Clock {
    let mut clock = Clock::default();
    clock.epoch(Some(BOOT));
    clock
}

/// What is written at `at`; it becomes durable at once.
fn written(clock: &mut Clock, at: Now) -> Option<ClockAnchored> {
    let Some(SystemEvent::ClockAnchored(record)) = clock.due(at) else {
        return None;
    };
    clock.anchored(&record, at.mono);
    Some(record)
}

proptest! {
    #[test]
    fn true_time_lies_within_the_uncertainty(
        at in 100_000u64..10_000_000, there in 0u64..20_000, back in 0u64..20_000, held in 0i64..9_000,
    ) {
        let mut one = exchange(at, there, back);
        // The peer thinks for a while before it answers.
        one.send_wall_us += held * 1_000;
        one.received_mono_ns += u64::try_from(held).unwrap() * 1_000_000;
        let (tie, trip_ns) = one.tie().unwrap();
        let apart = (tie.true_ms(tie.mono_ns()).0 - START_MS
            - i64::try_from(tie.mono_ns() / 1_000_000).unwrap()).unsigned_abs();
        prop_assert!(apart <= u64::from(tie.u_ms()), "{apart} ms apart, u {}", tie.u_ms());
        prop_assert_eq!(trip_ns, (there + back) * 1_000_000);
    }

    #[test]
    fn no_times_of_a_peer_panic(
        sent_mono_ns in any::<u64>(), recv_wall_us in any::<i64>(), send_wall_us in any::<i64>(),
        received_mono_ns in any::<u64>(), peer_u_ms in any::<u32>(),
    ) {
        let one = Exchange { sent_mono_ns, recv_wall_us, send_wall_us, received_mono_ns, peer_u_ms };
        let mut clock = clock();
        clock.exchanged(0, "ledger", &one, MonoMs(5));
        let due = clock.due(now(5, 0));
        let state = clock.state(now(5, 0));
        prop_assert!(due.is_none() || state.u_ms.is_some(), "an anchor has an uncertainty");
    }
}

#[test]
fn the_first_contact_of_an_epoch_is_written_and_moves_what_came_before() {
    let mut clock = clock();
    assert_eq!(clock.due(now(50_000, 0)), None);
    assert!(clock.state(now(50_000, 0)).suspect);
    clock.exchanged(1, "region 1", &exchange(50_000, 20, 20), MonoMs(50_000));
    let record = written(&mut clock, now(50_000, -3_600_000)).unwrap();
    assert!(record.rebucket);
    assert_eq!(
        (record.peer.as_str(), record.mono_ns),
        ("region 1", 50_000_000_000)
    );
    assert_eq!(record.wall_us, (START_MS + 50_000) * 1_000);
    assert_eq!(record.u_ms, 21);
    let state = clock.state(now(60_000, -3_600_000));
    assert_eq!(state.offset_ms, Some(-3_600_000));
    assert!(!state.suspect);
    assert_eq!(state.anchor_age_ms, Some(10_000));
}

#[test]
fn an_anchor_that_does_not_come_back_is_written_again() {
    let mut clock = clock();
    clock.exchanged(0, "ledger", &exchange(50_000, 1, 1), MonoMs(50_000));
    assert!(clock.due(now(50_000, 0)).is_some());
    assert_eq!(clock.due(now(59_999, 0)), None);
    assert!(clock.due(now(60_000, 0)).is_some());
}

#[test]
fn little_news_is_written_seldom_and_only_with_traffic() {
    let mut clock = clock();
    clock.exchanged(0, "ledger", &exchange(50_000, 20, 20), MonoMs(50_000));
    written(&mut clock, now(50_000, 0)).unwrap();
    let later = 50_000 + limits::CLOCK_ANCHOR_EVERY_MS;
    clock.exchanged(0, "ledger", &exchange(later, 20, 20), MonoMs(later));
    assert_eq!(clock.due(now(later, 0)), None, "nothing was sold");
    clock.traffic();
    assert_eq!(clock.due(now(later - 1, 0)), None);
    assert!(!written(&mut clock, now(later, 0)).unwrap().rebucket);
}

#[test]
fn a_surer_estimate_and_a_moved_one_are_written() {
    let mut clock = clock();
    let mut slow = exchange(50_000, 0, 12_000);
    slow.peer_u_ms = 9_000;
    clock.exchanged(0, "ledger", &slow, MonoMs(50_000));
    assert!(written(&mut clock, now(50_000, 0)).unwrap().rebucket);
    assert!(clock.state(now(50_000, 0)).suspect, "15 s is too much");
    clock.exchanged(0, "ledger", &exchange(61_000, 1, 1), MonoMs(61_000));
    assert!(
        written(&mut clock, now(61_000, 0)).unwrap().rebucket,
        "it lay 6 s off"
    );
    // The peer's clock is set by 400 ms: enough for a record, not for new minutes.
    let mut set = exchange(72_000, 1, 1);
    set.recv_wall_us += 400_000;
    set.send_wall_us += 400_000;
    clock.exchanged(0, "ledger", &set, MonoMs(72_000));
    assert!(!written(&mut clock, now(72_000, 0)).unwrap().rebucket);
}

#[test]
fn a_slow_exchange_does_not_count() {
    let mut clock = clock();
    clock.exchanged(0, "ledger", &exchange(50_000, 10, 10), MonoMs(50_000));
    clock.exchanged(0, "ledger", &exchange(60_000, 0, 5_000), MonoMs(60_000));
    assert_eq!(clock.state(now(60_000, 0)).offset_ms, Some(0));
}

#[test]
fn of_two_peers_that_disagree_the_ledger_is_believed_and_the_journal_stays_quiet() {
    let mut clock = clock();
    clock.exchanged(0, "ledger", &exchange(50_000, 10, 10), MonoMs(50_000));
    let mut wrong = exchange(50_500, 1, 1);
    wrong.recv_wall_us += 3_600_000_000;
    wrong.send_wall_us += 3_600_000_000;
    clock.exchanged(1, "region 1", &wrong, MonoMs(50_500));
    assert_eq!(clock.state(now(50_500, 0)).offset_ms, Some(0));
    written(&mut clock, now(50_500, 0)).unwrap();
    assert_eq!(clock.due(now(99_000, 0)), None);
}

#[test]
fn a_step_of_the_wall_clock_is_told_once_and_a_slew_never() {
    let mut clock = clock();
    for second in 0..100u64 {
        clock.look(now(second * 1_000, i64::try_from(second).unwrap() * 500));
    }
    assert_eq!(clock.due(now(100_000, 50_000)), None);
    clock.look(now(100_000, -172_800_000));
    let Some(SystemEvent::ClockStepped(step)) = clock.due(now(100_000, -172_800_000)) else {
        panic!("a step of two days is told");
    };
    assert_eq!(step.by_ms, -172_800_000 - 49_500);
    clock.look(now(101_000, 0));
    assert_eq!(clock.due(now(101_000, 0)), None, "one a minute");
    assert!(clock.due(now(160_001, 0)).is_some());
    assert_eq!(clock.due(now(300_000, 0)), None);
}

#[test]
fn a_later_epoch_of_the_same_boot_starts_with_its_anchor_and_another_boot_without() {
    let mut clock = clock();
    clock.exchanged(0, "ledger", &exchange(50_000, 10, 10), MonoMs(50_000));
    let first = written(&mut clock, now(50_000, 0)).unwrap();
    let mut restarted = Clock::default();
    restarted.epoch(Some(BOOT));
    restarted.anchored(&first, MonoMs(90_000));
    restarted.epoch(Some(BOOT));
    let handed_on = written(&mut restarted, now(90_000, 0)).unwrap();
    assert_eq!(handed_on, first);
    restarted.epoch(Some(BootId([5; 16])));
    assert_eq!(restarted.due(now(1_000, 0)), None);
    assert!(restarted.state(now(1_000, 0)).suspect);
}

#[test]
fn a_replayed_days_wall_clock_is_true() {
    let mut clock = clock();
    clock.trust_wall();
    clock.exchanged(0, "ledger", &exchange(50_000, 10, 10), MonoMs(50_000));
    clock.look(now(50_000, 0));
    clock.look(now(50_001, 900_000));
    assert_eq!(clock.due(now(50_001, 900_000)), None);
    assert_eq!(clock.true_now(now(50_001, 900_000)), now(50_001, 900_000));
    assert!(!clock.state(now(50_001, 900_000)).suspect);
}
