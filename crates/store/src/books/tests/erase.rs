//! Observations whose time is over are gone, and nothing that is told of the books changes.

use popwatch_core::event::{CheckoutStarted, Event};
use popwatch_core::id::CheckoutId;

use super::fixture::*;
use crate::books::Books;

const SECRET: &str = "co-never-again";

fn started(checkout: &str) -> Event {
    Event::CheckoutStarted(CheckoutStarted {
        checkout: CheckoutId::new(checkout).unwrap(),
        channel: None,
        creator: None,
        viewer: None,
    })
}

fn rig() -> Rig {
    let mut rig = Rig::new("till-1", 1, 1);
    rig.event("s1", 0, started(SECRET));
    rig.event("p1", 1, captured("p1", 500, &[("mug", 1, 500)]));
    rig.event("s2", 2, started("co-2"));
    rig.event("r1", 3, received("mug", 9));
    rig
}

fn erase(books: &mut Books) -> u64 {
    let mut all = 0;
    loop {
        match books.erase_observations(&popup()).unwrap() {
            0 => return all,
            some => all += some,
        }
    }
}

#[test]
pub(super) fn what_is_erased_is_still_held_and_nothing_else_is_told() {
    let rig = rig();
    let batches = rig.all();
    let mut books = deliver(&batches);
    let before = state(&books);
    assert_eq!(erase(&mut books), 2);
    let after = state(&books);
    assert_eq!((before.view.erased, after.view.erased), (0, 2));
    assert_eq!(after.view.coverage, before.view.coverage);
    assert_eq!(after.view.currencies, before.view.currencies);
    assert_eq!(after.view.books_root, before.view.books_root);
    assert_eq!(after.reconciliation, before.reconciliation);
    // Brought again they are what is held; the bytes stay away.
    for batch in &batches {
        let ack = books.accept(batch, now()).unwrap();
        assert!(ack.not_ok.iter().all(|odd| odd.code.is_empty()), "{ack:?}");
    }
    assert_eq!(state(&books), after);
    let left = books.records_after(&popup(), None, 10).unwrap();
    let is_observation = |event: &Event| matches!(event, Event::CheckoutStarted(_));
    let shown = left.iter().filter_map(|(_, record)| record.as_ref());
    assert_eq!(
        shown.filter(|record| is_observation(&record.event)).count(),
        0
    );
    assert!(left.len() >= 2, "sales and stock stay");
    // Cells that say more are no difference.
    let region = Some(cells(&[rig]));
    let found = books.reconcile(&popup(), region, now().wall).unwrap();
    assert_eq!(
        (found.cells.compared, found.breaks.len()),
        (0, after.reconciliation.breaks.len())
    );
}

#[test]
fn what_is_erased_is_in_no_file_of_the_books() {
    let folder = std::env::temp_dir().join(format!("popwatch-erase-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    let mut books = Books::open(&folder.join("books.sqlite")).unwrap();
    for batch in &rig().all() {
        books.accept(batch, now()).unwrap();
    }
    let holds = || {
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let holding = files.filter(|file| {
            let bytes = std::fs::read(file).unwrap();
            bytes
                .windows(SECRET.len())
                .any(|part| part == SECRET.as_bytes())
        });
        holding.count()
    };
    assert_eq!(holds(), 1);
    assert_eq!(erase(&mut books), 2);
    books.wipe().unwrap();
    assert_eq!(holds(), 0);
    drop(books);
    std::fs::remove_dir_all(&folder).unwrap();
}
