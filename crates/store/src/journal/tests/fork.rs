//! A restored backup or a cloned disk: what was not replicated moves to an epoch of its own.

use super::*;

/// A backup of two epochs that goes on: the first is replicated, the second is not, and the ledger
/// knows another one under its number.
fn restored(fs: &FaultFs) -> Journal<FaultFs> {
    let (mut journal, _) = open(fs, 1);
    for n in 0..5 {
        journal
            .append(vec![sale(&format!("old{n}"), n)], stamp())
            .unwrap();
    }
    drop(journal);
    let (mut journal, _) = open(fs, 2);
    let first = journal.epochs()[0];
    journal.set_acked(vec![Acked {
        epoch: first.epoch.0,
        epoch_id: first.epoch_id.0.to_vec(),
        trunk_seq: first.last_seq.0,
        bulk_seq: first.last_seq.0,
    }]);
    for n in 0..60 {
        let batch = vec![sale(&format!("new{n}"), n), chat(&format!("talk{n}"))];
        journal.append(batch, stamp()).unwrap();
    }
    journal
}

fn expect() -> Vec<String> {
    let old = (0..5).map(|n| format!("old{n}"));
    let new = (0..60).flat_map(|n| [format!("new{n}"), format!("talk{n}")]);
    let mut all: Vec<_> = old.chain(new).collect();
    all.sort();
    all
}

#[track_caller]
fn stand_once(journal: &mut Journal<FaultFs>) {
    let (frames, gaps) = held(journal);
    assert!(gaps.values().all(Vec::is_empty));
    let mut all = ids(&frames);
    all.sort();
    assert_eq!(all, expect());
}

#[test]
fn unreplicated_events_move_to_a_higher_epoch_with_their_origin() {
    let fs = FaultFs::new(1);
    let mut journal = restored(&fs);
    let commit = journal.fork(9, stamp()).unwrap();
    let Event::System(SystemEvent::RigStarted(started)) = &commit
        .records
        .iter()
        .find(|one| one.seq == Seq(1))
        .unwrap()
        .record
        .event
    else {
        panic!("a start");
    };
    assert_eq!((&*started.reason, started.previous_epoch), ("fork", 1));
    assert_eq!(started.void_epochs, [2]);
    assert_eq!(started.previous_totals[0].captured, 10);
    let moved = commit.records.iter().find_map(|one| one.record.origin);
    assert_eq!(moved.map(|origin| origin.epoch), Some(2));
    assert_eq!(journal.head().get().epoch, Epoch(9));
    let mut second = 0;
    while journal.fork_goes_on() {
        second += 1;
        assert!(second < 50);
        journal.append(Vec::new(), stamp()).unwrap();
    }
    stand_once(&mut journal);
    let again = journal
        .append(vec![sale("new7", 7), sale("old2", 2)], stamp())
        .unwrap();
    assert_eq!(place(&again.verdicts[0]).0, 9);
    assert_eq!(place(&again.verdicts[1]).0, 1);
    drop(journal);
    let (mut journal, recovery) = open(&fs, 3);
    assert!(recovery.gaps.is_empty());
    assert!(!journal.fork_goes_on());
    stand_once(&mut journal);
    // A number from a peer that cannot be meant moves nothing.
    journal.fork(u32::MAX, stamp()).unwrap();
    assert_eq!(journal.head().get().epoch, Epoch(11));
}

#[test]
fn a_crash_at_any_call_of_a_fork_loses_and_doubles_nothing() {
    let run = |journal: &mut Journal<FaultFs>| -> Result<(), AppendError> {
        journal.fork(9, stamp())?;
        while journal.fork_goes_on() {
            journal.append(Vec::new(), stamp())?;
        }
        Ok(())
    };
    let calls = {
        let fs = FaultFs::new(4);
        let mut journal = restored(&fs);
        let before = fs.ops();
        run(&mut journal).unwrap();
        fs.ops() - before
    };
    for call in 0..calls {
        for fault in [Fault::Io, Fault::PowerCut] {
            let fs = FaultFs::new(call);
            let mut journal = restored(&fs);
            fs.fail_at(fs.ops() + call, fault);
            drop(run(&mut journal));
            drop(journal);
            fs.crash();
            let (mut journal, recovery) = open(&fs, 3);
            assert_eq!(recovery.gaps, [], "call {call} {fault:?}");
            let mut steps = 0;
            while journal.fork_goes_on() {
                steps += 1;
                assert!(steps < 50, "call {call}");
                journal.append(Vec::new(), stamp()).unwrap();
            }
            stand_once(&mut journal);
        }
    }
}
