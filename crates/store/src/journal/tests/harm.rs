//! Random damage to any file: the journal opens again by itself, takes the next sale, and whatever
//! had been acknowledged and is lost has a name.

use super::*;

/// Two epochs of several segments, both stopped; what they hold and how far each went.
fn two_epochs() -> (FaultFs, Held) {
    let fs = FaultFs::new(1);
    for life in 1..=2 {
        let (mut journal, _) = open(&fs, life);
        let mut n = 0;
        let segments = journal.segments();
        while journal.segments() < segments + 3 {
            let batch = (0..=n % 3).map(|k| sale(&format!("e{life}-{n}-{k}"), n + 1));
            journal.append(batch.collect(), stamp()).unwrap();
            n += 1;
        }
        journal.stop(stamp()).unwrap();
        drop(journal);
    }
    let copy = fs.copy(1);
    let (mut journal, _) = open(&copy, 3);
    let (mut frames, _) = held(&mut journal);
    frames.retain(|(epoch, _), _| *epoch < 3);
    (fs, frames)
}

#[test]
fn after_random_damage_it_opens_sells_and_names_every_loss() {
    let (fs, before) = two_epochs();
    let names = fs.names();
    let last = |epoch: u32| {
        before
            .keys()
            .filter(|at| at.0 == epoch)
            .map(|at| at.1)
            .max()
            .unwrap()
    };
    let (mut lost_all, mut betrayed) = (0, 0);
    for seed in 0..400 {
        let copy = fs.copy(seed);
        let mut dice = Dice(seed);
        let harm: Vec<_> = (0..1 + dice.below(4))
            .map(|_| copy.harm(&mut dice, &names))
            .collect();
        let what = format!("seed {seed}: {}", harm.join("; "));
        let (mut journal, _) = open(&copy, 4);
        held(&mut journal);
        let fresh = journal.append(vec![sale("fresh", 1)], stamp()).unwrap();
        assert!(matches!(fresh.verdicts[0], Verdict::Accepted(_)), "{what}");
        // The peers hold everything that was ever shipped, and say so.
        for epoch in [1, 2] {
            betrayed += usize::from(journal.peer_knows(Epoch(epoch), Seq(last(epoch))));
        }
        let known: Vec<_> = journal.epochs().iter().map(|info| info.epoch.0).collect();
        let (frames, gaps) = held(&mut journal);
        let missing = |at: &&(u32, u64)| frames.get(*at) != before.get(*at);
        for (epoch, seq) in before.keys().filter(missing) {
            // Of an epoch without one file left the peers tell by a fork.
            let within = |(first, last): &(u64, u64)| (*first..=*last).contains(seq);
            let named = gaps.get(epoch).is_some_and(|gaps| gaps.iter().any(within));
            assert!(
                named || !known.contains(epoch),
                "{what}: {epoch}/{seq} has no name"
            );
            lost_all += 1;
        }
        journal.append(vec![sale("more", 1)], stamp()).unwrap();
        drop(journal);
        let (mut journal, again) = open(&copy, 5);
        assert_eq!(again.gaps, [], "{what}: found twice");
        assert_eq!(held(&mut journal).1.get(&2), gaps.get(&2), "{what}");
    }
    assert!(lost_all > 1_000 && betrayed > 10, "{lost_all} {betrayed}");
}
