//! The centre's own journal.

use popwatch_core::event::Event;
use popwatch_core::event::central::{BankLine, MatchAccepted};
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::{EventId, Source};
use popwatch_core::record::{self, Record, Stamp};

use super::fixture::*;
use crate::books::{Books, BooksFault, CENTRAL, CentralVerdict};

pub(super) fn central(id: &str, at_s: i64, event: SystemEvent) -> Record {
    Record {
        popup: None,
        source: Source::new("central").unwrap(),
        id: EventId::new(id).unwrap(),
        stamp: Stamp {
            mono_ns: 0,
            wall_ms: T0 + at_s * 1_000,
            time_ms: None,
            age_ms: None,
        },
        beyond: None,
        content: record::Content::default(),
        policy_version: 0,
        flags: record::Flags::default(),
        totals: Vec::new(),
        origin: None,
        event: Event::System(event),
    }
}

pub(super) fn bank(line: &str, amount: i64) -> SystemEvent {
    SystemEvent::BankLine(BankLine {
        account: "giro".into(),
        line: line.into(),
        date_ms: T0,
        currency: "GBP".into(),
        amount,
        ..BankLine::default()
    })
}

fn matched() -> SystemEvent {
    SystemEvent::MatchAccepted(MatchAccepted {
        popup: "fri".into(),
        claim: "p1".into(),
        provider: "stripe".into(),
        account: "main".into(),
        object: "pi_1".into(),
        ..MatchAccepted::default()
    })
}

fn seqs(verdicts: &[CentralVerdict]) -> Vec<(char, u64)> {
    verdicts
        .iter()
        .map(|verdict| {
            let letter = match verdict {
                CentralVerdict::Stored(_) => 's',
                CentralVerdict::Exists(_) => 'e',
                CentralVerdict::Conflict(_) => 'c',
            };
            (letter, verdict.position().seq.0)
        })
        .collect()
}

#[test]
pub(super) fn what_is_known_is_not_appended_again() {
    let mut books = fresh_books();
    let first = vec![
        central("a", 1, bank("1", 500)),
        central("b", 1, bank("2", 700)),
    ];
    let verdicts = books.append_central(first.clone(), now()).unwrap();
    assert_eq!(seqs(&verdicts), [('s', 1), ('s', 2)]);
    let again = books.append_central(first, now()).unwrap();
    assert_eq!(seqs(&again), [('e', 1), ('e', 2)]);
    let more = vec![
        central("c", 2, bank("3", 1)),
        central("d", 2, bank("3", 1)),
        central("e", 2, bank("1", 501)),
        central("e", 2, bank("1", 501)),
    ];
    let verdicts = books.append_central(more.clone(), now()).unwrap();
    assert_eq!(seqs(&verdicts), [('s', 3), ('e', 3), ('c', 4), ('e', 4)]);
    let again = books.append_central(more, now()).unwrap();
    assert_eq!(seqs(&again), [('e', 3), ('e', 3), ('c', 4), ('c', 4)]);
}

#[test]
pub(super) fn an_earlier_telling_of_the_same_is_kept_and_posts() {
    let mut books = fresh_books();
    let late = central("a", 9, matched());
    let early = central("b", 3, matched());
    let later = central("c", 11, matched());
    let told = |record: &Record, books: &mut Books| {
        seqs(&books.append_central(vec![record.clone()], now()).unwrap())
    };
    assert_eq!(told(&late, &mut books), [('s', 1)]);
    assert_eq!(told(&early, &mut books), [('e', 2)]);
    assert_eq!(told(&later, &mut books), [('e', 2)]);
    assert_eq!(told(&early, &mut books), [('e', 2)]);
}

#[test]
pub(super) fn no_rig_ships_under_the_name_of_the_centre() {
    let mut books = fresh_books();
    let mut rig = Rig::new("till-1", 1, 1);
    rig.event("1", 1, captured("p1", 100, &[]));
    let mut batch = rig.trunk();
    batch.rig = CENTRAL.to_string();
    assert!(matches!(
        books.accept(&batch, now()),
        Err(BooksFault::Batch(_))
    ));
}

#[test]
pub(super) fn a_journal_longer_than_one_batch_keeps_its_chain() {
    let mut books = fresh_books();
    let many = 5_000;
    let records = (0..many)
        .map(|at| central(&format!("r{at}"), 1, bank(&format!("{at}"), at)))
        .collect();
    let verdicts = books.append_central(records, now()).unwrap();
    let last = verdicts.last().unwrap().position().seq.0;
    assert_eq!(last, 5_000);
    let next = books
        .append_central(vec![central("next", 1, bank("next", 1))], now())
        .unwrap();
    assert_eq!(seqs(&next), [('s', 5_001)]);
}
