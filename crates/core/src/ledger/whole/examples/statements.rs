//! What a creator is told.

use super::*;
use crate::ledger::attribution::{self, Witness};
use crate::ledger::breaks::BreakId;
use crate::ledger::statement::{self, Sales, ShareState};
use std::boxed::Box;

struct Heard<'a>(&'a Day);

impl Witness for Heard<'_> {
    fn token_creator(&self) -> Option<&CreatorId> {
        None
    }
    fn drop_creator(&self, sku: &Sku, at_ms: i64) -> Option<CreatorId> {
        attribution::open_drop(&self.0.drops(&popup(), sku), at_ms)
    }
}

impl Sales for Day {
    fn sale(&self, cause: FactId) -> Option<Rc<Fact>> {
        let behind = self
            .facts
            .iter()
            .find(|fact| statement::causes(fact).contains(&cause))?;
        let payment = match &behind.event {
            Event::PaymentCaptured(of) => &of.payment,
            Event::PaymentRefunded(of) => &of.payment,
            _ => return None,
        };
        let id = FactId::of_capture(&popup(), payment.as_str());
        self.facts.iter().find(|fact| fact.id == id).cloned()
    }
    fn card(&self, sale: &Fact) -> Card {
        StockContext::card(self, sale)
    }
    fn witness<'a>(&'a self, _: &'a Fact) -> Box<dyn Witness + 'a> {
        Box::new(Heard(self))
    }
    fn at_risk(&self, sale: &Fact) -> bool {
        matches!(&sale.event, Event::PaymentCaptured(of) if of.offline == Some(true))
    }
    fn found(&self, _: &Fact) -> Option<BreakId> {
        None
    }
}

#[test]
fn a_statement_is_a_fold_of_entries() {
    let mut day = day(promised());
    let lines = [
        line("a", 1, 600, None),
        line("b", 2, 400, None),
        line("c", 1, 50, Some("bo")),
    ];
    day.add_sale("till-1", 10, cash(of_ana(sale("p1", 1050, &lines))));
    let mut stored = of_ana(sale("p2", 300, &[]));
    stored.offline = Some(true);
    day.add_sale("till-1", 11, stored);
    day.add_refund(12, "r", "p1", 210, &[]);
    counted(&mut day, 900, 840);
    let paid = CreatorPaid {
        popup: "fri".into(),
        creator: "ana".into(),
        currency: "GBP".into(),
        amount: 90,
        paid_ms: 5,
        reference: "x".into(),
    };
    day.add_own(30, SystemEvent::CreatorPaid(paid));
    day.as_of_ms = 2 * DAY_MS;
    let books = day.books();
    let of = |creator: &str| {
        statement::statement(
            books.entries.iter(),
            &day,
            &CreatorId::new(creator).unwrap(),
        )
    };
    let ana = of("ana");
    let sums = ana.currencies[&gbp()];
    assert_eq!(
        (sums.earned, sums.reversed, sums.held, sums.at_risk),
        (130, 20, 30, 30)
    );
    assert_eq!((sums.available, sums.paid, sums.receivable), (0, 90, 10));
    assert_eq!(
        sums.earned - sums.reversed,
        sums.held + sums.available + sums.paid - sums.receivable
    );
    let lines: Vec<_> = ana
        .lines
        .iter()
        .map(|line| (line.sku.as_str(), line.goods, line.share, line.state))
        .collect();
    assert_eq!(
        lines,
        [
            ("a", 600, 60, ShareState::Available),
            ("b", 400, 40, ShareState::Available),
            ("", 300, 30, ShareState::AtRisk)
        ]
    );
    assert_eq!(of("bo").lines[0].state, ShareState::Pooled);
}
