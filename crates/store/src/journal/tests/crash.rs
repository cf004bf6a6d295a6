use super::*;

/// A day in random steps. Answers what was acknowledged and what was given without an answer.
fn day(
    fs: &FaultFs,
    journal: &mut Journal<FaultFs>,
    dice: &mut Dice,
    name: &str,
    acked: &mut Held,
) -> Vec<String> {
    let mut open_ends = Vec::new();
    for step in 0..1 + dice.below(25) {
        if dice.below(8) == 0 {
            drop(journal.seal(stamp()));
            continue;
        }
        let batch: Vec<_> = (0..1 + dice.below(6))
            .map(|n| {
                let id = format!("{name}-{step}-{n}");
                match dice.below(3) {
                    0 => chat(&id),
                    1 => stock(&id, 3),
                    _ => sale(&id, i64::try_from(step * 10 + n).unwrap()),
                }
            })
            .collect();
        let given: Vec<_> = batch
            .iter()
            .map(|one| one.get().record.id.to_string())
            .collect();
        match journal.append(batch, stamp()) {
            Ok(commit) => {
                for one in &commit.records {
                    let frame = frame_of(journal, one);
                    acked.insert((one.epoch.0, one.seq.0), frame);
                }
                for (verdict, id) in commit.verdicts.iter().zip(&given) {
                    assert!(matches!(verdict, Verdict::Accepted(_)), "{id} is new");
                }
            }
            Err(_) => open_ends.extend(given),
        }
        if fs.lock().is_ok() {
            unreachable!("the journal holds the lock");
        }
    }
    open_ends
}

/// The record's bytes, as it will have to be found again.
fn frame_of(_: &mut Journal<FaultFs>, one: &Committed) -> Vec<u8> {
    popwatch_core::record::encode(&one.record)
}

fn payloads(frames: &Held) -> Held {
    let payload = |frame: &Vec<u8>| {
        popwatch_core::record::encode(&popwatch_core::record::decode(&frame[32..]).unwrap())
    };
    frames
        .iter()
        .map(|(at, frame)| (*at, payload(frame)))
        .collect()
}

#[track_caller]
fn survives(acked: &Held, journal: &mut Journal<FaultFs>, seed: u64) {
    let (frames, gaps) = held(journal);
    let found = payloads(&frames);
    let law = invariant::acked_survives(acked, |at| found.get(at).cloned());
    assert!(law.is_ok(), "seed {seed}: {law:?}");
    assert!(gaps.values().all(Vec::is_empty), "seed {seed}: {gaps:?}");
    let mut all = ids(&frames);
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "seed {seed}: an event stands twice");
    let fresh = journal.append(vec![sale(&format!("fresh-{seed}"), 1)], stamp());
    assert!(fresh.is_ok(), "seed {seed}");
}

#[test]
fn what_was_acknowledged_survives_every_crash() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let fs = FaultFs::new(seed ^ 0xBAD);
        let mut acked = Held::new();
        for life in 0..4u8 {
            let (mut journal, recovery) = open(&fs, life + 1);
            for one in &recovery.records {
                acked.insert(
                    (one.epoch.0, one.seq.0),
                    popwatch_core::record::encode(&one.record),
                );
            }
            survives(&acked, &mut journal, seed);
            let cut = fs.ops() + dice.below(40);
            if dice.below(3) > 0 {
                fs.fail_at(cut, Fault::PowerCut);
            }
            day(
                &fs,
                &mut journal,
                &mut dice,
                &format!("{seed}-{life}"),
                &mut acked,
            );
            drop(journal);
            if dice.below(3) == 0 {
                fs.kill();
            } else {
                fs.crash();
            }
        }
    }
}

#[test]
fn random_faults_never_lose_or_double_an_acknowledged_event() {
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let fs = FaultFs::new(seed ^ 0xFA17);
        let mut acked = Held::new();
        for life in 0..3u8 {
            fs.fail_rate(0);
            let (mut journal, recovery) = open(&fs, life + 1);
            for one in &recovery.records {
                acked.insert(
                    (one.epoch.0, one.seq.0),
                    popwatch_core::record::encode(&one.record),
                );
            }
            survives(&acked, &mut journal, seed);
            fs.fail_rate(60_000);
            let name = format!("{seed}-{life}");
            let again = day(&fs, &mut journal, &mut dice, &name, &mut acked);
            fs.fail_rate(0);
            // What had no answer may be given again.
            let commit = journal.append(Vec::new(), stamp()).unwrap();
            for one in &commit.records {
                acked.insert(
                    (one.epoch.0, one.seq.0),
                    popwatch_core::record::encode(&one.record),
                );
            }
            drop(again);
            drop(journal);
            fs.crash();
        }
    }
}

#[test]
fn each_call_failing_once_loses_nothing_and_the_journal_goes_on() {
    let run = |fs: &FaultFs, acked: &mut Vec<String>| -> bool {
        let Ok((mut journal, _)) = Journal::open(fs.clone(), opening(1)) else {
            return false;
        };
        for n in 0..30 {
            let batch = vec![sale(&format!("a{n}"), n), chat(&format!("b{n}"))];
            if journal.append(batch, stamp()).is_ok() {
                acked.extend([format!("a{n}"), format!("b{n}")]);
            }
            if n % 10 == 9 {
                drop(journal.seal(stamp()));
            }
        }
        journal.stop(stamp()).is_ok()
    };
    let calls = {
        let fs = FaultFs::new(0);
        assert!(run(&fs, &mut Vec::new()));
        fs.ops()
    };
    assert!(calls > 60);
    for call in 0..calls {
        for fault in [Fault::Io, Fault::Full, Fault::Short] {
            let fs = FaultFs::new(call);
            fs.fail_at(call, fault);
            let mut acked = Vec::new();
            run(&fs, &mut acked);
            fs.crash();
            let (mut journal, _) = open(&fs, 2);
            let (frames, gaps) = held(&mut journal);
            let mut found = ids(&frames);
            found.sort();
            acked.sort();
            assert_eq!(found, acked, "call {call} {fault:?}");
            assert!(gaps.values().all(Vec::is_empty));
            journal.append(vec![sale("fresh", 1)], stamp()).unwrap();
        }
    }
}

#[test]
fn each_call_of_a_recovery_failing_once_only_delays_it() {
    let build = || {
        let fs = FaultFs::new(5);
        let (mut journal, _) = open(&fs, 1);
        for n in 0..80 {
            journal
                .append(vec![sale(&format!("a{n}"), n)], stamp())
                .unwrap();
        }
        drop(journal);
        // A torn tail and a hole to repair.
        let last = fs
            .names()
            .into_iter()
            .rfind(|name| name.starts_with("journal/"))
            .unwrap();
        let bytes = fs.bytes(&last).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        fs.flip(&last, end - 20, 1);
        fs
    };
    let fs = build();
    let before = fs.ops();
    let (mut journal, _) = open(&fs, 2);
    let calls = fs.ops() - before;
    let (expect, _) = held(&mut journal);
    let expect = ids(&expect);
    for call in 0..calls {
        for fault in [Fault::Io, Fault::PowerCut] {
            let fs = build();
            fs.fail_at(fs.ops() + call, fault);
            let tried = Journal::open(fs.clone(), opening(2));
            drop(tried);
            fs.crash();
            let (mut journal, _) = open(&fs, 3);
            let (frames, _) = held(&mut journal);
            assert_eq!(ids(&frames), expect, "call {call} {fault:?}");
        }
    }
}

#[test]
fn a_journal_cut_at_any_byte_of_its_last_batch_keeps_all_before_it() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    for n in 0..5 {
        journal
            .append(vec![sale(&format!("a{n}"), n)], stamp())
            .unwrap();
    }
    let start = usize::try_from(journal.open.as_ref().unwrap().end).unwrap();
    let batch = (0..4).map(|n| sale(&format!("last{n}"), n)).collect();
    journal.append(batch, stamp()).unwrap();
    let end = usize::try_from(journal.open.as_ref().unwrap().end).unwrap();
    drop(journal);
    let name = segment::segment_name(1);
    let whole = fs.bytes(&name).unwrap();
    for cut in start..=end {
        for shorten in [false, true] {
            let fs = fs.copy(2);
            let mut bytes = whole.clone();
            if shorten {
                bytes.truncate(cut);
            } else {
                bytes[cut..].fill(0);
            }
            fs.put(&name, bytes);
            let (mut journal, recovery) = open(&fs, 2);
            assert!(recovery.gaps.is_empty(), "cut at {cut}");
            let (frames, gaps) = held(&mut journal);
            let found = ids(&frames);
            assert!(
                found.len() >= 5 && (cut < end || found.len() == 9),
                "cut at {cut}"
            );
            assert_eq!(found[..5], ["a0", "a1", "a2", "a3", "a4"]);
            assert!(gaps.values().all(Vec::is_empty));
            let again = (0..4).map(|n| sale(&format!("last{n}"), n)).collect();
            let commit = journal.append(again, stamp()).unwrap();
            let known = commit
                .verdicts
                .iter()
                .filter(|verdict| matches!(verdict, Verdict::Duplicate(_)));
            assert_eq!(known.count(), found.len() - 5);
        }
    }
}
