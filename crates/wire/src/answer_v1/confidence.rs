//! The card that tells creators whether to go on: what could spoil their evening, each by its own.
//!
//! There is no score made of all: nobody can act on a 73. The card is as bad as its worst part; a part
//! of which little is known says so and makes nothing worse.

use popwatch_core::slo::{Slo, SloState, SloView};
use popwatch_core::view::{PopupView, StockRow};
use serde::Serialize;

/// Outcomes below which a part is not judged good: 0.95 to this power is under 5 %.
const OUTCOMES_MIN: u64 = 59;

/// How a part is, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing happened yet, or nobody watches it.
    NoData,
    /// Nothing to say, by fewer outcomes than it takes to say so.
    Few,
    /// Nothing to say.
    Ok,
    /// Worth a look.
    Watch,
    /// Somebody is woken.
    Page,
}

/// Redemption, refunds, payments, stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfidenceRow {
    /// The worst of them.
    pub state: Confidence,
    /// Each.
    pub parts: Vec<ConfidencePart>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfidencePart {
    /// `redemption`, `refunds`, `payments` or `stock`.
    pub part: &'static str,
    /// How it is.
    pub state: Confidence,
    /// By how many outcomes; of stock by how many SKUs that somebody keeps stock of.
    pub n: u64,
}

/// The card of a popup.
pub(super) fn confidence(view: &PopupView) -> ConfidenceRow {
    card(&view.slos, &view.stock)
}

fn card(slos: &[SloView], shelf: &[StockRow]) -> ConfidenceRow {
    let parts = vec![
        promised(slos, "redemption", Slo::TokenConflict),
        promised(slos, "refunds", Slo::RefundRate),
        promised(slos, "payments", Slo::PaymentSuccess),
        stock(shelf),
    ];
    let worst = parts.iter().map(|part| part.state).max();
    ConfidenceRow {
        state: worst.unwrap_or(Confidence::NoData),
        parts,
    }
}

fn promised(slos: &[SloView], part: &'static str, slo: Slo) -> ConfidencePart {
    let found = slos.iter().find(|one| one.slo == slo);
    let n = found.map_or(0, |one| one.so_far.n);
    let state = match found.map(|one| one.popup.state) {
        None | Some(SloState::NoData) => Confidence::NoData,
        Some(SloState::Quiet | SloState::Resolved) if n < OUTCOMES_MIN => Confidence::Few,
        Some(SloState::Quiet | SloState::Resolved) => Confidence::Ok,
        Some(SloState::Watch) => Confidence::Watch,
        Some(SloState::Page) => Confidence::Page,
    };
    ConfidencePart { part, state, n }
}

/// Stock that may have been sold twice is worth a look; stock that was needs somebody.
fn stock(shelf: &[StockRow]) -> ConfidencePart {
    let kept = shelf.iter().filter(|row| row.expected.is_some());
    let state = |row: &StockRow| {
        if row.oversold {
            Confidence::Page
        } else if row.expected_low.is_none_or(|low| low < 0) {
            Confidence::Watch
        } else {
            Confidence::Ok
        }
    };
    ConfidencePart {
        part: "stock",
        state: kept.clone().map(state).max().unwrap_or(Confidence::NoData),
        n: kept.count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use popwatch_core::slo::{Outcomes, Overrun, Signal, Tier};
    use popwatch_core::view::{Amounts, StockSums};

    use super::*;

    fn slo(slo: Slo, state: SloState, n: u64) -> SloView {
        SloView {
            slo,
            tier: Tier::Page,
            objective_ppm: 990_000,
            alpha_ppm: 5_000,
            so_far: Outcomes { n, bad: 0 },
            budget: None,
            popup: Signal {
                state,
                ..Signal::default()
            },
            rigs: Vec::new(),
            overrun: Overrun::None,
        }
    }

    fn sku(expected: Option<i128>, expected_low: Option<i128>) -> StockRow {
        StockRow {
            sku: "mug".into(),
            moved: StockSums::default(),
            expected,
            expected_low,
            count: None,
            oversold: false,
            money: Amounts::default(),
        }
    }

    #[test]
    fn the_card_is_as_bad_as_its_worst_part_and_says_where_little_is_known() {
        use Confidence::{Few, NoData, Ok, Page, Watch};
        let states = |slos: &[SloView], shelf: &[StockRow]| {
            let row = card(slos, shelf);
            let parts: Vec<_> = row.parts.iter().map(|part| part.state).collect();
            (row.state, parts)
        };
        assert_eq!(states(&[], &[]), (NoData, vec![NoData; 4]));
        let mut slos = [
            slo(Slo::RefundRate, SloState::Quiet, 58),
            slo(Slo::PaymentSuccess, SloState::Resolved, 59),
        ];
        let unkept = [sku(None, None)];
        let few = vec![NoData, Few, Ok, NoData];
        assert_eq!(states(&slos, &unkept), (Ok, few));
        // Silent rigs may sell more than is there.
        let low = [sku(Some(4), Some(-1))];
        assert_eq!(states(&slos, &low).0, Watch);
        slos[1].popup.state = SloState::Page;
        assert_eq!(states(&slos, &low).0, Page);
    }
}
