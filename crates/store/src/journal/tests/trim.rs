//! What goes when it is replicated, and what stays.

use popwatch_core::limits;

use super::*;

/// Everything so far is acknowledged.
fn acked(journal: &Journal<FaultFs>) -> Vec<Acked> {
    let epochs = journal.epochs().into_iter();
    let one = |info: EpochInfo| Acked {
        epoch: info.epoch.0,
        epoch_id: info.epoch_id.0.to_vec(),
        trunk_seq: info.last_seq.0,
        bulk_seq: info.last_seq.0,
    };
    epochs.map(one).collect()
}

fn at(wall_ms: i64, second: u64) -> Stamp {
    Stamp {
        wall_ms,
        mono_ns: second * 1_000_000_000,
        ..stamp()
    }
}

fn over() -> Stamp {
    at(WALL + 1 + limits::JOURNAL_KEEP_MS, 1)
}

fn fill(journal: &mut Journal<FaultFs>, name: &str, count: i64) {
    for n in 0..count {
        let one = vec![sale(&format!("{name}{n}"), n + 1)];
        journal.append(one, stamp()).unwrap();
    }
}

/// Two lives with sales, and a third that is open.
fn lives(fs: &FaultFs) -> Journal<FaultFs> {
    for (life, name) in [(1, "a"), (2, "b")] {
        let (mut journal, _) = open(fs, life);
        fill(&mut journal, name, 40);
        drop(journal);
    }
    let (mut journal, _) = open(fs, 3);
    fill(&mut journal, "c", 3);
    journal
}

fn segments(fs: &FaultFs) -> usize {
    let names = fs.names();
    names
        .iter()
        .filter(|name| name.starts_with("journal/"))
        .count()
}

#[test]
fn whole_epochs_go_when_replicated_and_long_over() {
    let fs = FaultFs::new(1);
    let mut journal = lives(&fs);
    assert!(
        journal.trim(over()).unwrap().records.is_empty(),
        "nothing is acknowledged"
    );
    let mut most = acked(&journal);
    most[1].bulk_seq -= 1;
    journal.set_acked(most);
    assert!(
        journal.trim(at(WALL + 1, 1)).unwrap().records.is_empty(),
        "not yet over for so long"
    );
    let before = segments(&fs);
    let commit = journal.trim(over()).unwrap();
    assert_eq!(systems(&commit.records), ["rig.trimmed"]);
    let epochs: Vec<_> = journal.epochs().iter().map(|info| info.epoch.0).collect();
    assert_eq!(
        epochs,
        [2, 3],
        "one record of the second is not acknowledged"
    );
    assert!(segments(&fs) < before);
    journal.set_acked(acked(&journal));
    journal.trim(over()).unwrap();
    assert_eq!(segments(&fs), 1);
    assert!(!fs.names().iter().any(|name| name.starts_with("cache/")));
    let all = held(&mut journal);
    drop(journal);
    let (mut journal, recovery) = open(&fs, 4);
    assert_eq!((recovery.gaps.len(), recovery.quarantined.len()), (0, 0));
    let (frames, gaps) = held(&mut journal);
    assert!(gaps.values().all(Vec::is_empty));
    assert!(
        all.0
            .iter()
            .all(|(place, frame)| frames.get(place) == Some(frame))
    );
    assert_eq!(
        journal
            .epochs()
            .iter()
            .map(|info| info.epoch.0)
            .collect::<Vec<_>>(),
        [3, 4]
    );
    // And the next life after that, in which the statement itself has gone.
    journal.set_acked(acked(&journal));
    journal.trim(over()).unwrap();
    drop(journal);
    let (journal, recovery) = open(&fs, 5);
    assert!(recovery.gaps.is_empty());
    assert_eq!(
        journal
            .epochs()
            .iter()
            .map(|info| info.epoch.0)
            .collect::<Vec<_>>(),
        [4, 5]
    );
}

#[test]
fn on_a_low_disk_all_that_is_replicated_goes_and_keys_stay() {
    let fs = FaultFs::new(1);
    let mut journal = lives(&fs);
    fill(&mut journal, "d", 900);
    journal.set_acked(acked(&journal));
    let used: u64 = fs
        .names()
        .iter()
        .map(|name| fs.bytes(name).unwrap().len() as u64)
        .sum();
    // 4 % free, and room for one more segment.
    fs.capacity(used * 100 / 96);
    assert_eq!(journal.look_at_disk(at(WALL, 1)).level, 1, "{used}");
    let commit = journal.trim(at(WALL, 4)).unwrap();
    let said = systems(&commit.records);
    assert!(
        said.contains(&"rig.trimmed") && said.contains(&"rig.started"),
        "{said:?}"
    );
    // The epoch that was current goes once the ledger has its end too.
    journal.set_acked(acked(&journal));
    journal.trim(at(WALL, 5)).unwrap();
    let again = |journal: &mut Journal<FaultFs>| {
        for (name, n) in [("a", 7), ("b", 30), ("d", 1), ("d", 280)] {
            let one = vec![sale(&format!("{name}{n}"), n + 1)];
            let commit = journal.append(one, at(WALL, 6)).unwrap();
            assert!(
                matches!(commit.verdicts[0], Verdict::Duplicate(_)),
                "{name}{n}"
            );
        }
    };
    again(&mut journal);
    let epochs = journal.epochs().len();
    assert_eq!(epochs, 1);
    drop(journal);
    fs.capacity(u64::MAX);
    let (mut journal, recovery) = open(&fs, 9);
    assert!(recovery.gaps.is_empty());
    again(&mut journal);
    // Seven days after the popup the keys go as well.
    journal.look_at_disk(at(WALL, 9));
    journal.trim(over()).unwrap();
    assert!(!fs.names().iter().any(|name| name.starts_with("cache/")));
}

#[test]
fn a_crash_at_any_call_of_a_trim_leaves_no_gap() {
    let ready = || {
        let fs = FaultFs::new(5);
        let mut journal = lives(&fs);
        journal.set_acked(acked(&journal));
        (fs, journal)
    };
    let calls = {
        let (fs, mut journal) = ready();
        let before = fs.ops();
        journal.trim(over()).unwrap();
        fs.ops() - before
    };
    assert!(calls > 6);
    for call in 0..calls {
        for fault in [Fault::Io, Fault::PowerCut] {
            let (fs, mut journal) = ready();
            fs.fail_at(fs.ops() + call, fault);
            drop(journal.trim(over()));
            drop(journal);
            fs.crash();
            let (mut journal, recovery) = open(&fs, 4);
            assert_eq!(recovery.gaps, [], "call {call} {fault:?}");
            let (frames, gaps) = held(&mut journal);
            assert!(gaps.values().all(Vec::is_empty), "call {call} {fault:?}");
            let kept = ids(&frames);
            assert_eq!(kept.iter().filter(|id| id.starts_with('c')).count(), 3);
            for name in ["a", "b"] {
                let left = kept.iter().filter(|id| id.starts_with(name)).count();
                assert!(left == 0 || left == 40, "call {call}: {left} of {name}");
            }
        }
    }
}
