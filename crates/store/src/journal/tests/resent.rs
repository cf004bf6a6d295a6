//! The bug: a record lost to media damage still answered `duplicate` when the till sent it again,
//! because its key in the footer outlived the frame. The till let go of its copy and the sale was
//! gone for good.

use super::*;

/// Sales `a0..` of 1, 2, 3 … cents.
fn filled(fs: &FaultFs, count: i64) -> Journal<FaultFs> {
    let (mut journal, _) = open(fs, 1);
    for n in 0..count {
        journal
            .append(vec![sale(&format!("a{n}"), n + 1)], stamp())
            .unwrap();
    }
    journal
}

/// Damages the frame of a sale; answers the segment's file.
fn hurt(fs: &FaultFs, id: &str) -> String {
    let wanted = [&[u8::try_from(id.len()).unwrap()], id.as_bytes()].concat();
    for name in fs.names() {
        let bytes = fs.bytes(&name).unwrap();
        let place = bytes.windows(wanted.len()).position(|part| part == wanted);
        if let Some(at) = place {
            fs.flip(&name, at, 0);
            return name;
        }
    }
    panic!("{id} is nowhere");
}

fn captured_sum(frames: &Held) -> i64 {
    let records = frames
        .values()
        .map(|frame| popwatch_core::record::decode(&frame[32..]).unwrap());
    records
        .filter_map(|record| Sums::of(&record.event))
        .map(|(_, sums)| sums.captured)
        .sum()
}

#[test]
fn a_lost_sale_is_taken_again_and_says_where_it_stood() {
    for (count, id, closed) in [(8, "a3", false), (60, "a3", true), (60, "a30", true)] {
        let fs = FaultFs::new(1);
        drop(filled(&fs, count));
        let minor: i64 = id[1..].parse::<i64>().unwrap() + 1;
        hurt(&fs, id);
        let (mut journal, _) = open(&fs, 2);
        let commit = journal.append(vec![sale(id, minor)], stamp()).unwrap();
        let Verdict::Accepted(at) = &commit.verdicts[0] else {
            panic!("{id} of {count}: {:?}", commit.verdicts);
        };
        let at = at.get().clone();
        let new = commit.records.iter().find(|one| one.seq == at.seq).unwrap();
        let gap = &journal.gaps()[0];
        assert_eq!(journal.gaps().len(), 1);
        // The segment that was open when the power went has no keys but those of its frames.
        let origin = new.record.origin.map(|origin| (origin.epoch, origin.seq));
        assert_eq!(origin, closed.then_some((gap.epoch, gap.first)));
        // The loss stays named with its exact value.
        assert_eq!(gap.value[0].captured, minor);
        // Once more: it stands now.
        let again = journal.append(vec![sale(id, minor)], stamp()).unwrap();
        assert_eq!(again.verdicts, [Verdict::Duplicate(at.clone())]);
        let other = journal.append(vec![sale(id, minor + 1)], stamp()).unwrap();
        assert_eq!(other.verdicts, [Verdict::Conflict { first: at.clone() }]);
        let (frames, _) = held(&mut journal);
        assert_eq!(captured_sum(&frames), (1..=count).sum::<i64>());
        assert_eq!(new.record.totals[0].captured, minor);
        drop(journal);
        let (mut journal, _) = open(&fs, 3);
        let again = journal.append(vec![sale(id, minor)], stamp()).unwrap();
        assert_eq!(again.verdicts, [Verdict::Duplicate(at)]);
        for n in 0..count {
            let one = sale(&format!("a{n}"), n + 1);
            let again = journal.append(vec![one], stamp()).unwrap();
            assert!(matches!(again.verdicts[0], Verdict::Duplicate(_)), "a{n}");
        }
        let (frames, _) = held(&mut journal);
        assert_eq!(captured_sum(&frames), (1..=count).sum::<i64>());
    }
}

/// The footer of a closed segment is trusted at a start; nothing looked at its frames before.
#[test]
fn damage_that_nobody_has_read_yet_is_found_by_the_repeat() {
    let fs = FaultFs::new(1);
    let mut journal = filled(&fs, 60);
    journal.stop(stamp()).unwrap();
    drop(journal);
    hurt(&fs, "a5");
    let (mut journal, recovery) = open(&fs, 2);
    assert!(recovery.gaps.is_empty());
    let before = fs.read_bytes();
    let batch = vec![sale("a5", 6), sale("a6", 7), sale("a4", 5)];
    let commit = journal.append(batch, stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    assert!(matches!(commit.verdicts[1], Verdict::Duplicate(_)));
    assert!(matches!(commit.verdicts[2], Verdict::Duplicate(_)));
    assert_eq!(systems(&commit.records), ["rig.gap"]);
    // Each segment is read through once, not for each repeat.
    let first = fs.read_bytes() - before;
    journal.append(vec![sale("a6", 7)], stamp()).unwrap();
    let second = fs.read_bytes() - before - first;
    assert!(second * 2 < first, "{second} after {first}");
}
