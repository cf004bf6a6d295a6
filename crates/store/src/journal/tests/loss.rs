//! What a loss was worth, to the minor unit, on real bytes; and the copy that `repair` makes of it.

use std::cell::Cell;

use super::rewrite::rewrite;
use super::scan::scan;
use super::*;
use crate::fs::{File, Fs};

/// A sale: seq, popup, currency, minor units.
type Sold = (u64, &'static str, &'static str, i64);

/// Single-record commits over several segments, two popups and two currencies; not stopped.
fn sold(count: i64) -> (FaultFs, Vec<Sold>) {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut all = Vec::new();
    for n in 0..count {
        let popup = if n % 5 == 0 { "stream" } else { "stall" };
        let code = if n % 3 == 0 { "GBP" } else { "EUR" };
        let (id, minor) = (format!("s{n}"), 100 + n * 7);
        let given = draft(&id, popup, captured(&id, minor, code), 1);
        let commit = journal.append(vec![given], stamp()).unwrap();
        all.push((place(&commit.verdicts[0]).1, popup, code, minor));
        if n % 20 == 19 {
            journal.seal(stamp()).unwrap();
        }
    }
    drop(journal);
    (fs, all)
}

fn first_epoch() -> EpochId {
    let mut id = [1; 16];
    id[15] = 1;
    EpochId(id)
}

fn segments(fs: &FaultFs) -> Vec<String> {
    let all = fs.names().into_iter();
    all.filter(|name| name.starts_with("journal/")).collect()
}

/// Damages the payloads of these seqs of epoch 1.
fn lose(fs: &FaultFs, seqs: std::ops::RangeInclusive<u64>) {
    for name in segments(fs) {
        for frame in scan(&fs.bytes(&name).unwrap(), Epoch(1), &first_epoch(), Seq(1)).frames {
            if seqs.contains(&frame.header.seq.0) {
                fs.flip(&name, usize::try_from(frame.at).unwrap() + 40, 3);
            }
        }
    }
}

fn expected(all: &[Sold], seqs: std::ops::RangeInclusive<u64>) -> BTreeMap<(String, String), i64> {
    let mut sums = BTreeMap::new();
    for (_, popup, code, minor) in all.iter().filter(|sold| seqs.contains(&sold.0)) {
        *sums
            .entry(((*popup).to_owned(), (*code).to_owned()))
            .or_default() += minor;
    }
    sums
}

fn captured_of(
    rows: &[popwatch_core::event::system::TotalsRow],
) -> BTreeMap<(String, String), i64> {
    rows.iter()
        .map(|row| ((row.popup.clone(), row.currency.clone()), row.captured))
        .collect()
}

/// fsck, the next start and a second fsck all name exactly this range with exactly its value.
#[track_caller]
fn check(fs: &FaultFs, all: &[Sold], seqs: std::ops::RangeInclusive<u64>) {
    let expect = expected(all, seqs.clone());
    let range = (*seqs.start(), *seqs.end());
    let told = |report: &inspect::FsckReport| {
        let gaps = &report.epochs[0].gaps;
        assert_eq!(gaps.len(), 1, "{report:?}");
        let gap = &gaps[0];
        assert_eq!(
            (gap.first.0, gap.last.0, gap.known),
            (range.0, range.1, true)
        );
        assert_eq!(captured_of(&gap.rows), expect);
        assert!(report.epochs[0].faults.is_empty(), "{report:?}");
        gap.recorded
    };
    assert!(!told(&inspect::fsck(fs).unwrap()));
    let (mut journal, _) = open(fs, 2);
    assert_eq!(held(&mut journal).1[&1], [range]);
    let gap = journal.gaps()[0].clone();
    assert_eq!(
        (captured_of(&gap.value), gap.value_unknown),
        (expect.clone(), false)
    );
    journal.append(vec![sale("later", 1)], stamp()).unwrap();
    drop(journal);
    assert!(told(&inspect::fsck(fs).unwrap()), "it is recorded");
}

#[test]
fn a_loss_in_the_middle_of_two_popups_and_two_currencies_is_exact() {
    let (fs, all) = sold(120);
    let (first, last) = (all[9].0, all[16].0);
    assert_eq!(expected(&all, first..=last).len(), 4);
    lose(&fs, first..=last);
    check(&fs, &all, first..=last);
}

#[test]
fn a_loss_over_a_segments_boundary_is_exact() {
    let (fs, all) = sold(120);
    let second = fs.bytes(&segments(&fs)[1]).unwrap();
    let format::HeaderRead::Ok(header) = format::SegmentHeader::read(&second) else {
        panic!("a header");
    };
    // The seal at the roll goes with it: what stood in it is told by later statements.
    let border = header.first_seq.0;
    lose(&fs, border - 4..=border + 3);
    check(&fs, &all, border - 4..=border + 3);
}

/// The seal that closes a segment was lost with the first record of the commit before it. What was
/// left of that commit looked torn to the appraisal but not to the reader, and counted as lost.
#[test]
fn a_sale_between_two_losses_at_a_segments_end_is_not_counted_as_lost() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut amounts = BTreeMap::new();
    let mut n = 0;
    while journal.segments() < 2 {
        let batch = [sale(&format!("a{n}"), 100 + n), sale(&format!("b{n}"), 900)];
        let commit = journal.append(batch.into(), stamp()).unwrap();
        amounts.insert(place(&commit.verdicts[0]).1, 100 + n);
        n += 1;
    }
    journal.append(vec![sale("z", 1)], stamp()).unwrap();
    let name = segments(&fs)[0].clone();
    let frames = scan(&fs.bytes(&name).unwrap(), Epoch(1), &first_epoch(), Seq(1)).frames;
    let seal = frames.last().unwrap().header.seq.0;
    let lost: Vec<_> = amounts.range(..seal).next_back().into_iter().collect();
    assert_eq!(*lost[0].0, seal - 2);
    lose(&fs, seal - 2..=seal - 2);
    lose(&fs, seal..=seal);

    // Damage that comes while the journal is open is found by reading.
    let (frames, gaps) = held(&mut journal);
    assert_eq!(gaps[&1], [(seal - 2, seal - 2), (seal, seal)]);
    assert!(frames.contains_key(&(1, seal - 1)));
    let told: i64 = journal
        .gaps()
        .iter()
        .flat_map(|gap| &gap.value)
        .map(|row| row.captured)
        .sum();
    assert_eq!(told, *lost[0].1, "{:?}", journal.gaps());
    // And the same for who looks from outside.
    let report = inspect::fsck(&fs).unwrap();
    let rows = report.epochs[0].gaps.iter().flat_map(|gap| &gap.rows);
    assert_eq!(rows.map(|row| row.captured).sum::<i64>(), *lost[0].1);
    assert!(report.epochs[0].faults.is_empty(), "{report:?}");
}

#[test]
fn a_missing_segment_is_exact() {
    let (fs, all) = sold(150);
    let name = segments(&fs)[1].clone();
    let bytes = fs.bytes(&name).unwrap();
    let format::HeaderRead::Ok(header) = format::SegmentHeader::read(&bytes) else {
        panic!("a header");
    };
    let frames = scan(&bytes, Epoch(1), &first_epoch(), header.first_seq).frames;
    let (first, last) = (header.first_seq.0, frames.last().unwrap().header.seq.0);
    fs.remove(&name);
    check(&fs, &all, first..=last);
}

#[test]
fn without_a_later_statement_the_rest_is_unknown() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut seqs = Vec::new();
    for (id, popup, minor) in [
        ("a", "stall", 100),
        ("b", "stall", 200),
        ("c", "stall", 300),
        ("d", "stream", 400),
        ("e", "stall", 500),
    ] {
        let given = draft(id, popup, captured(id, minor, "EUR"), 1);
        let commit = journal
            .append(vec![given, chat(&format!("{id}-chat"))], stamp())
            .unwrap();
        seqs.push(place(&commit.verdicts[0]).1);
    }
    drop(journal);
    // `c` and all of `d`: only the stall is stated again.
    lose(&fs, seqs[2]..=seqs[3]);
    let report = inspect::fsck(&fs).unwrap();
    assert_eq!(
        report.epochs[0].gaps[0].value,
        "EUR 3.00 and an unknown rest"
    );
    let (mut journal, _) = open(&fs, 2);
    held(&mut journal);
    let gap = &journal.gaps()[0];
    assert_eq!((gap.value[0].captured, gap.value_unknown), (300, true));
    drop(journal);
    let line = inspect::fsck(&fs).unwrap().lines()[0].clone();
    assert!(
        line.ends_with("(media, EUR 3.00 and an unknown rest)"),
        "{line}"
    );
}

/// A seal names what changed since the one before it; if that one is lost too, it proves nothing.
#[test]
fn a_seal_behind_a_lost_seal_does_not_hide_a_row() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut sell = |id: &str, popup: &str| {
        let given = draft(id, popup, captured(id, 100, "EUR"), 1);
        let commit = journal.append(vec![given], stamp()).unwrap();
        place(&commit.verdicts[0]).1
    };
    sell("a", "stall");
    let first = sell("b", "stream");
    journal.seal(stamp()).unwrap();
    let sealed = journal.head().get().seq.0;
    let given = draft("c", "stall", captured("c", 100, "EUR"), 1);
    journal.append(vec![given], stamp()).unwrap();
    journal.seal(stamp()).unwrap();
    drop(journal);
    // The implied policy, the sale and the seal that stated it.
    lose(&fs, first - 1..=sealed);
    let report = inspect::fsck(&fs).unwrap();
    assert_eq!(
        report.epochs[0].gaps[0].value, "value unknown",
        "{report:?}"
    );
}

#[test]
fn a_loss_beside_a_recorded_gap_adds_its_own_value_only() {
    let (fs, all) = sold(60);
    let (first, second) = (all[20].0, all[21].0);
    assert_eq!((all[20].2, second), ("EUR", first + 1));
    lose(&fs, first..=first);
    let (mut journal, _) = open(&fs, 2);
    held(&mut journal);
    journal.append(vec![sale("later", 1)], stamp()).unwrap();
    drop(journal);
    lose(&fs, second..=all[22].0);
    let report = inspect::fsck(&fs).unwrap();
    let gaps = &report.epochs[0].gaps;
    assert_eq!(captured_of(&gaps[0].rows), expected(&all, first..=first));
    assert_eq!(
        captured_of(&gaps[1].rows),
        expected(&all, second..=all[22].0)
    );
    assert!(gaps.iter().all(|gap| gap.known), "{report:?}");
    assert!(gaps[0].recorded && !gaps[1].recorded);
}

/// What a start names, without where it was found.
fn named(gaps: &[Gap]) -> Vec<Gap> {
    let mut gaps: Vec<_> = gaps
        .iter()
        .map(|gap| Gap {
            file: String::new(),
            offset: 0,
            bytes: 0,
            ..gap.clone()
        })
        .collect();
    gaps.sort_by_key(|gap| (gap.epoch, gap.first));
    gaps
}

#[test]
fn a_repaired_copy_holds_the_same_frames_in_place_and_opens_with_the_same_gaps() {
    let damage: [fn(&FaultFs, &[Sold]); 6] = [
        |_, _| {},
        |fs, all| lose(fs, all[9].0..=all[16].0),
        |fs, _| fs.remove(&segments(fs)[1]),
        |fs, _| fs.zero(&segments(fs)[1], 0, 8192),
        |fs, _| {
            let name = &segments(fs)[1];
            let mut bytes = fs.bytes(name).unwrap();
            bytes.truncate(12_000);
            fs.put(name, bytes);
        },
        |fs, all| lose(fs, all[119].0..=all[119].0),
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        let (fs, all) = sold(120);
        damage(&fs, &all);
        let before: Vec<_> = fs.names().iter().map(|name| fs.bytes(name)).collect();
        let out = FaultFs::new(3);
        let mut told = Vec::new();
        let done = rewrite(&fs, &out, &mut |done, all| told.push((done, all))).unwrap();
        assert_eq!(done.segments, segments(&out).len(), "{number}");
        assert!(told.last().is_some_and(|(done, all)| done == all));
        let after: Vec<_> = fs.names().iter().map(|name| fs.bytes(name)).collect();
        assert!(before == after, "{number}: the source is only read");

        let (mut source, first) = open(&fs.copy(1), 2);
        let (mut copy, second) = open(&out.copy(1), 2);
        let first_of = |(frames, gaps): (Held, Named)| {
            let frames = frames.into_iter().filter(|((epoch, _), _)| *epoch == 1);
            (frames.collect::<Held>(), gaps[&1].clone())
        };
        let (one, other) = (first_of(held(&mut source)), first_of(held(&mut copy)));
        assert!(one.0 == other.0, "{number}: frames differ");
        assert_eq!(one.1, other.1, "{number}");
        assert_eq!(named(source.gaps()), named(copy.gaps()), "{number}");
        assert_eq!(
            (first.clean, second.torn),
            (second.clean, Vec::new()),
            "{number}"
        );
        for name in segments(&out) {
            let copied = out.bytes(&name).unwrap();
            let from = fs.bytes(&name).unwrap();
            for frame in scan(&copied, Epoch(1), &first_epoch(), Seq(1)).frames {
                let start = usize::try_from(frame.at).unwrap();
                let range = start..start + frame.header.frame_bytes();
                assert_eq!(copied[range.clone()], from[range], "{number}: {name}");
            }
            assert!(format::read_trailer(&copied[copied.len() - 32..]).is_some());
        }
        let (old, new) = (inspect::fsck(&fs).unwrap(), inspect::fsck(&out).unwrap());
        assert_eq!(old.is_whole(), new.is_whole());
        let gaps = |report: &inspect::FsckReport| report.epochs[0].gaps.clone();
        assert_eq!(gaps(&old), gaps(&new), "{number}");
    }
}

/// Notes the largest piece that is read at once.
#[derive(Clone)]
struct Metered<'a>(FaultFs, &'a Cell<usize>);
struct MeteredFile<'a>(<FaultFs as Fs>::File, &'a Cell<usize>);

impl<'a> Fs for Metered<'a> {
    type File = MeteredFile<'a>;
    type Lock = <FaultFs as Fs>::Lock;

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn create(&self, name: &str, len: u64) -> io::Result<Self::File> {
        Ok(MeteredFile(self.0.create(name, len)?, self.1))
    }
    fn open(&self, name: &str) -> io::Result<Self::File> {
        Ok(MeteredFile(self.0.open(name)?, self.1))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn unlink(&self, name: &str) -> io::Result<()> {
        self.0.unlink(name)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }
    fn total_bytes(&self) -> io::Result<u64> {
        self.0.total_bytes()
    }
    fn lock(&self) -> io::Result<Self::Lock> {
        self.0.lock()
    }
}

impl File for MeteredFile<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.set(self.1.get().max(buf.len()));
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

/// However long the journal: one segment at a time.
#[test]
fn the_tools_read_no_more_than_a_segment_at_once() {
    let (fs, all) = sold(300);
    lose(&fs, all[40].0..=all[45].0);
    let longest = segments(&fs)
        .iter()
        .map(|name| fs.bytes(name).unwrap().len())
        .max();
    let longest = longest.unwrap().max(48 << 10);
    let before = fs.read_bytes();
    let largest = Cell::new(0);
    let metered = Metered(fs.clone(), &largest);
    inspect::fsck(&metered).unwrap();
    inspect::inspect(&metered, &mut |_| {}).unwrap();
    let exported = inspect::records(&metered).unwrap();
    assert_eq!(
        exported.filter_map(Result::ok).count() + 6,
        usize::try_from(total(&fs)).unwrap()
    );
    rewrite(&metered, &FaultFs::new(2), &mut |_, _| {}).unwrap();
    assert!(largest.get() <= longest, "{} of {longest}", largest.get());
    let all: usize = segments(&fs)
        .iter()
        .map(|name| fs.bytes(name).unwrap().len())
        .sum();
    let read = fs.read_bytes() - before;
    assert!(
        read < 4 * 3 * u64::try_from(all).unwrap(),
        "{read} of {all}"
    );
}

fn total(fs: &FaultFs) -> u64 {
    inspect::fsck(fs).unwrap().epochs[0].last_seq.0
}
