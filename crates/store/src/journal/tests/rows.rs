//! Each row of the recovery table on real bytes: which row is taken, and what the folder and the
//! journal look like afterwards.

use popwatch_core::event::system::Trimmed;

use super::recovery::{FooterState, HeaderState, Place, Row, decide};
use super::scan::{Body, Scan, scan};
use super::*;

/// Epoch 1, stopped: several closed segments of single-record commits.
fn stopped() -> (FaultFs, Held) {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    for n in 0..150 {
        journal
            .append(vec![sale(&format!("a{n}"), n + 1)], stamp())
            .unwrap();
    }
    journal.stop(stamp()).unwrap();
    let (frames, _) = held(&mut journal);
    (fs, frames)
}

fn segments(fs: &FaultFs) -> Vec<String> {
    let all = fs.names().into_iter();
    all.filter(|name| name.starts_with("journal/")).collect()
}

fn first_epoch() -> EpochId {
    let mut id = [1; 16];
    id[15] = 1;
    EpochId(id)
}

fn header_of(bytes: &[u8]) -> format::SegmentHeader {
    let format::HeaderRead::Ok(header) = format::SegmentHeader::read(bytes) else {
        panic!("a sound header");
    };
    *header
}

fn scan_of(bytes: &[u8]) -> Scan {
    let first = header_of(bytes).first_seq;
    scan(bytes, Epoch(1), &first_epoch(), first)
}

/// Gives the bytes of a closed segment the wanted shape.
fn shape(bytes: &mut Vec<u8>, header: HeaderState, footer: FooterState, body: Body) {
    let found = scan_of(bytes);
    let footer_at = usize::try_from(found.end).unwrap();
    let mut damage = |index: usize| {
        let at = usize::try_from(found.frames[index].at).unwrap();
        bytes[at + 40] ^= 8;
    };
    match body {
        Body::Clean => {}
        Body::Holes => damage(found.frames.len() / 2),
        Body::Torn => damage(found.frames.len() - 1),
        Body::Empty => bytes[8192..footer_at].fill(0),
    }
    if footer == FooterState::No {
        bytes.truncate(footer_at);
    }
    let mut stated = header_of(bytes);
    match header {
        // One copy is enough.
        HeaderState::Ok => bytes[17] ^= 1,
        HeaderState::None => bytes[..8192].fill(0),
        HeaderState::Foreign => {
            stated.rig = RigId::new("till-2").unwrap();
            bytes[..8192].copy_from_slice(&stated.block());
        }
        HeaderState::Newer => {
            stated.epoch = Epoch(70);
            let mut copy = stated.encode();
            copy[8] = 9;
            let sum = format::crc(&copy[..252]);
            copy[252..256].copy_from_slice(&sum.to_le_bytes());
            bytes[..256].copy_from_slice(&copy);
            bytes[4096..4352].copy_from_slice(&copy);
        }
    }
}

/// The row that the bytes deserve. In the last segment a footer counts only with the seal it was
/// written with; without it, its frame still proves the commits before that seal.
fn deserved(header: HeaderState, footer: FooterState, body: Body, place: Place) -> Row {
    if (header, footer, place) == (HeaderState::Ok, FooterState::Ok, Place::Last) {
        match body {
            Body::Torn => return Row::R8,
            Body::Empty => return Row::R9,
            Body::Clean | Body::Holes => {}
        }
    }
    decide(header, footer, body, place)
}

#[test]
fn the_whole_product_on_real_bytes_takes_its_row_and_ends_as_it_says() {
    let (fs, before) = stopped();
    let names = segments(&fs);
    assert!(names.len() >= 4, "{names:?}");
    for header in [
        HeaderState::Ok,
        HeaderState::None,
        HeaderState::Foreign,
        HeaderState::Newer,
    ] {
        for footer in [FooterState::Ok, FooterState::No] {
            for body in [Body::Clean, Body::Holes, Body::Torn, Body::Empty] {
                for (place, name) in [
                    (Place::Last, &names[names.len() - 1]),
                    (Place::Inner, &names[1]),
                ] {
                    let copy = fs.copy(1);
                    let mut bytes = copy.bytes(name).unwrap();
                    let span = span_of(&bytes);
                    shape(&mut bytes, header, footer, body);
                    copy.put(name, bytes.clone());
                    let row = deserved(header, footer, body, place);
                    let what = format!("{header:?} {footer:?} {body:?} {place:?} {row:?}");
                    let mut end = End::of(&copy, &before, name, &what);
                    assert!(
                        end.rows.contains(&(name.clone(), row)),
                        "{what}: {:?}",
                        end.rows
                    );
                    end.is_as_the_row_says(row, &bytes, span, &what);
                }
            }
        }
    }
}

/// First and last seq of an undamaged segment.
fn span_of(bytes: &[u8]) -> (u64, u64) {
    let frames = scan_of(bytes).frames;
    let last = frames.last().unwrap().header.seq.0;
    (frames[0].header.seq.0, last)
}

/// What a start made of a damaged journal.
struct End {
    fs: FaultFs,
    name: String,
    rows: Vec<(String, Row)>,
    recovery: Recovery,
    head: Epoch,
    /// Seqs of epoch 1 that are not there any more.
    lost: Vec<u64>,
    /// What of them gaps name.
    named: Vec<(u64, u64)>,
    last: u64,
}

impl End {
    #[track_caller]
    fn of(fs: &FaultFs, before: &Held, name: &str, what: &str) -> Self {
        let (mut journal, recovery) = open(fs, 2);
        let (frames, gaps) = held(&mut journal);
        let fresh = journal.append(vec![sale("fresh", 1)], stamp()).unwrap();
        assert!(matches!(fresh.verdicts[0], Verdict::Accepted(_)), "{what}");
        let missing = |place: &&(u32, u64)| frames.get(*place) != before.get(*place);
        let lost: Vec<_> = before.keys().filter(missing).map(|place| place.1).collect();
        let end = Self {
            fs: fs.clone(),
            name: name.into(),
            rows: recovery.rows.clone(),
            head: journal.head().get().epoch,
            lost,
            named: gaps.get(&1).cloned().unwrap_or_default(),
            last: journal.epochs()[0].last_seq.0,
            recovery,
        };
        drop(journal);
        let (_, again) = open(fs, 3);
        assert_eq!(again.gaps, [], "{what}: found twice");
        assert_eq!(again.newer_format, end.recovery.newer_format);
        end
    }

    /// Every lost seq lies in a gap, or behind the end that nothing contradicts.
    #[track_caller]
    fn is_named(&self, what: &str) {
        for seq in &self.lost {
            let within = |(first, last): &(u64, u64)| (*first..=*last).contains(seq);
            let named = self.named.iter().any(within);
            assert!(named || *seq > self.last, "{what}: {seq} is not named");
        }
    }

    fn quarantined(&self) -> Vec<Vec<u8>> {
        let names = self.recovery.quarantined.iter();
        names.map(|name| self.fs.bytes(name).unwrap()).collect()
    }

    #[track_caller]
    fn is_as_the_row_says(
        &mut self,
        row: Row,
        bytes: &[u8],
        (first, last): (u64, u64),
        what: &str,
    ) {
        self.is_named(what);
        let here = self.fs.bytes(&self.name);
        let all: Vec<u64> = (first..=last).collect();
        let inner = last < 150;
        match row {
            Row::R1 => {
                assert_eq!(here.as_deref(), Some(bytes), "{what}: untouched");
                assert!(
                    self.recovery.newer_format && self.head == Epoch(71),
                    "{what}"
                );
            }
            Row::R2 | Row::R4 => {
                assert_eq!(here, None, "{what}");
                assert_eq!(self.quarantined(), [bytes], "{what}");
                assert_eq!(self.lost, all, "{what}");
            }
            Row::R3 => {
                assert_eq!(here, None, "{what}");
                let nothing = bytes.iter().all(|byte| *byte == 0);
                assert_eq!(self.quarantined().is_empty(), nothing, "{what}");
            }
            Row::R5 | Row::R6 | Row::R7 | Row::R9 | Row::R10 => {
                let now = here.unwrap();
                let closed = format::read_trailer(&now[now.len() - 32..]).is_some();
                assert!(closed, "{what}: has a footer afterwards");
                assert!(
                    self.lost.len() <= 1 || matches!(row, Row::R6 | Row::R9),
                    "{what}: {:?}",
                    self.lost
                );
            }
            Row::R8 => {
                assert_eq!(self.lost, [last], "{what}");
                assert_eq!(self.named, [], "{what}: a torn tail is no gap");
                assert_eq!(self.quarantined().len(), 1, "{what}");
                let Event::System(SystemEvent::RigStarted(started)) =
                    &self.recovery.records[0].record.event
                else {
                    panic!("{what}: a start");
                };
                assert_eq!(started.tail_bytes_cut, self.recovery.bytes_cut);
                assert_eq!(
                    (started.tail_first, started.tail_last),
                    (last, last),
                    "{what}"
                );
            }
            Row::R11 => {
                assert_eq!(
                    (&*self.lost, &*self.named),
                    (&[last][..], &[(last, last)][..]),
                    "{what}"
                );
                assert_eq!(self.recovery.gaps[0].cause, "torn", "{what}");
            }
            Row::R12 => {
                assert_eq!((here, self.last), (None, first - 1), "{what}");
                assert_eq!(self.recovery.gaps, [], "{what}");
            }
            Row::R13 => {
                assert_eq!((here, &*self.lost), (None, &*all), "{what}");
            }
            Row::R14 | Row::R15 | Row::R16 | Row::R17 => panic!("{what}: not about one file"),
        }
        if inner && matches!(row, Row::R2 | Row::R4 | Row::R13) {
            assert_eq!(self.named, [(first, last)], "{what}");
            assert_eq!(self.recovery.gaps[0].cause, "missing_file", "{what}");
            assert!(!self.recovery.gaps[0].value_unknown, "{what}");
        }
    }
}

#[test]
fn what_was_trimmed_is_no_gap_and_costs_no_value() {
    let (fs, before) = stopped();
    let names = segments(&fs);
    let (_, last) = span_of(&fs.bytes(&names[0]).unwrap());
    let (mut journal, _) = open(&fs, 2);
    let upto = Acked {
        epoch: 1,
        epoch_id: first_epoch().0.to_vec(),
        trunk_seq: last,
        bulk_seq: last,
    };
    let trimmed = SystemEvent::RigTrimmed(Trimmed {
        first_segment: 1,
        last_segment: 1,
        upto: vec![upto],
    });
    journal
        .append_own(vec![(None, Event::System(trimmed))], stamp())
        .unwrap();
    drop(journal);
    fs.remove(&names[0]);

    let copy = fs.copy(1);
    let report = inspect::fsck(&copy).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert!(report.lines()[0].contains(&format!(", 1..{last} trimmed")));
    let (mut journal, recovery) = open(&copy, 3);
    assert_eq!((recovery.gaps, journal.gaps()), (Vec::new(), &[][..]));
    let info = journal.epochs()[0];
    assert_eq!(info.trimmed, Seq(last));
    let items = journal.read(Epoch(1), Seq(1), 1).unwrap();
    assert!(matches!(items[0], ReadItem::Frame { seq, .. } if seq.0 == last + 1));
    let parts = journal.batch(
        Epoch(1),
        popwatch_core::event::Cursor::Trunk,
        Seq(1),
        10,
        10,
    );
    assert_eq!(parts.unwrap().first_seq, Seq(1));
    assert!(journal.gaps().is_empty());

    // The sums before the prefix are gone, those behind it still tell what is lost.
    let (seq, frame) = before
        .iter()
        .find(|(place, _)| place.1 == last + 20)
        .unwrap();
    flip_frame(&fs, &names[1], seq.1);
    let amount = Sums::of(&popwatch_core::record::decode(&frame[32..]).unwrap().event)
        .unwrap()
        .1;
    let report = inspect::fsck(&fs).unwrap();
    let gap = &report.epochs[0].gaps[0];
    assert_eq!(
        (gap.first, gap.last, gap.known),
        (Seq(seq.1), Seq(seq.1), true)
    );
    assert_eq!(gap.rows[0].captured, amount.captured);
    assert!(report.epochs[0].faults.is_empty(), "{report:?}");
    // The first statement behind the prefix is lost itself: nothing tells its value.
    flip_frame(&fs, &names[1], last + 1);
    let report = inspect::fsck(&fs).unwrap();
    assert_eq!(report.epochs[0].gaps[0].value, "value unknown");
    assert!(report.epochs[0].gaps[1].known);
}

/// Damages the payload of one record.
fn flip_frame(fs: &FaultFs, name: &str, seq: u64) {
    let bytes = fs.bytes(name).unwrap();
    let frames = scan_of(&bytes).frames;
    let frame = frames
        .iter()
        .find(|frame| frame.header.seq.0 == seq)
        .unwrap();
    fs.flip(name, usize::try_from(frame.at).unwrap() + 40, 3);
}

#[test]
fn the_quarantine_keeps_its_bound_and_lets_the_oldest_go() {
    let fs = FaultFs::new(1);
    for (name, bytes) in [
        ("000000000009.pwj.tail.0", 30),
        ("000000000010.pwj.tail.1", 40),
        ("000000000010.pwj.tail.0", 50),
        ("000000000002.pwj.0", 20),
    ] {
        fs.put(&format!("quarantine/{name}"), vec![1; bytes]);
    }
    let left = recovery::bound_quarantine(&fs, 100).unwrap();
    assert_eq!((left.files, left.bytes, left.dropped), (2, 90, 2));
    assert_eq!(
        fs.list("quarantine").unwrap(),
        ["000000000010.pwj.tail.0", "000000000010.pwj.tail.1"]
    );
    // A start counts what is there.
    let (journal, recovery) = open(&fs, 1);
    assert_eq!(journal.quarantine(), recovery.quarantine);
    assert_eq!(
        (recovery.quarantine.files, recovery.quarantine.dropped),
        (2, 0)
    );
}

#[test]
fn a_start_goes_on_after_the_disk_refused_it() {
    let (fs, before) = stopped();
    let calls = {
        let copy = fs.copy(1);
        drop(open(&copy, 2));
        copy.ops()
    };
    for call in 0..calls {
        let copy = fs.copy(1);
        copy.fail_at(call, Fault::Full);
        match Journal::open(copy.clone(), opening(2)) {
            Err(OpenError::Unavailable { .. }) => {}
            // A part of a file that cannot be read now is read as damage, and nothing is cut by it.
            Ok((journal, _)) => drop(journal),
            Err(OpenError::Locked) => panic!("nobody holds it"),
        }
        let (mut journal, _) = open(&copy, 3);
        let (frames, gaps) = held(&mut journal);
        for place in before.keys() {
            let named = |(first, last): &(u64, u64)| (*first..=*last).contains(&place.1);
            let there = frames.contains_key(place) || gaps[&1].iter().any(named);
            assert!(there, "call {call}: {place:?}");
        }
    }
}

#[test]
fn a_peer_betrays_an_acknowledged_tail_that_looked_torn() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    for n in 0..5 {
        journal
            .append(vec![sale(&format!("a{n}"), n)], stamp())
            .unwrap();
    }
    let head = journal.head().get().seq.0;
    let name = segment::segment_name(1);
    drop(journal);
    flip_frame(&fs, &name, head);
    let (mut journal, recovery) = open(&fs, 2);
    assert_eq!(
        (recovery.gaps.len(), journal.epochs()[0].last_seq.0),
        (0, head - 1)
    );
    assert!(!journal.peer_knows(Epoch(1), Seq(head - 1)), "no news");
    assert!(!journal.peer_knows(Epoch(2), Seq(99)), "its own epoch");
    assert!(!journal.peer_knows(Epoch(9), Seq(1)), "an unknown epoch");
    assert!(!journal.peer_knows(Epoch(1), Seq(u64::MAX)), "nonsense");
    assert!(journal.peer_knows(Epoch(1), Seq(head)));
    let (_, gaps) = held(&mut journal);
    assert_eq!(gaps[&1], [(head, head)]);
    let records = journal.append(vec![sale("b", 1)], stamp()).unwrap().records;
    assert_eq!(systems(&records), ["rig.gap"]);
    drop(journal);
    let report = inspect::fsck(&fs).unwrap();
    let line = format!("till-1 epoch 1: 1..{head}, missing {head}..{head} (media, value unknown)");
    assert_eq!(report.lines()[0], line);
    let (mut journal, recovery) = open(&fs, 3);
    assert_eq!(
        (recovery.gaps.len(), journal.epochs()[0].last_seq.0),
        (0, head)
    );
    assert_eq!(held(&mut journal).1[&1], [(head, head)]);

    // An epoch that ended for certain is not argued with.
    journal.stop(stamp()).unwrap();
    drop(journal);
    let (mut journal, _) = open(&fs, 4);
    assert!(!journal.peer_knows(Epoch(3), Seq(1_000)));
}

#[test]
fn acknowledged_positions_in_a_seal_betray_a_lost_end() {
    let (fs, before) = stopped();
    let head = before.keys().next_back().unwrap().1;
    let (mut journal, _) = open(&fs, 2);
    journal.set_acked(vec![Acked {
        epoch: 1,
        epoch_id: first_epoch().0.to_vec(),
        trunk_seq: head - 1,
        bulk_seq: head,
    }]);
    journal.append(vec![sale("b", 1)], stamp()).unwrap();
    journal.seal(stamp()).unwrap();
    let start = segments(&fs).pop().unwrap();
    drop(journal);
    // The last segment of epoch 1 is gone, and so is the record that states where it ended.
    let closed = segments(&fs);
    fs.remove(&closed[closed.len() - 2]);
    fs.flip(&start, 8192 + 40, 1);
    let (mut journal, recovery) = open(&fs, 3);
    let gap = recovery.gaps.iter().find(|gap| gap.epoch == 1).unwrap();
    assert_eq!(
        (gap.last, &*gap.cause, gap.value_unknown),
        (head, "media", true)
    );
    let (_, gaps) = held(&mut journal);
    assert_eq!(gaps[&1], [(gap.first, head)]);
}
