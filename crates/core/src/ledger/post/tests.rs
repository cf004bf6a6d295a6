//! Posting rules over generated facts: whatever a fact says, its entries balance and its money is
//! all there.

use super::*;
use crate::event::{Minor, PaymentCaptured, PaymentRefunded};
use crate::id::{
    CreatorId, Epoch, EventId, OrderId, PaymentId, PaymentMethod, Position, RefundId, Seq, Source,
    TokenId,
};
use crate::ledger::FactId;
use crate::ledger::fact::EventKey;
use crate::money::Currency;
use proptest::prelude::*;
use std::vec;

struct Shop;

impl StockContext for Shop {
    fn stocked(&self, _: &PopupId, sku: &Sku) -> bool {
        sku.as_str() != "fee"
    }
    fn granted(&self, _: &PopupId, sku: &Sku, _: &RigId) -> bool {
        sku.as_str() == "mug"
    }
    fn card(&self, _: &Fact) -> Card {
        Card::None
    }
}

fn fact(event: Event, mark: u8) -> Fact {
    let source = Source::new("t").unwrap();
    Fact {
        id: FactId([mark; 16]),
        event_key: EventKey::of(&source, &EventId::new("e").unwrap()),
        event_id: EventId::new("e").unwrap(),
        policy_version: 0,
        content: [0; 16],
        popup: PopupId::new("fri").unwrap(),
        position: Position {
            rig: RigId::new("till-1").unwrap(),
            epoch: Epoch(1),
            seq: Seq(u64::from(mark)),
        },
        occurred_ms: 5,
        event,
    }
}

prop_compose! {
    fn any_sale()(
        amount in 0i64..100_000,
        tip in prop::option::of(0i64..2_000),
        tax in prop::option::of(0i64..20_000),
        cash in any::<bool>(),
        offline in prop::option::of(any::<bool>()),
        token in any::<bool>(),
        creator in any::<bool>(),
        lines in prop::option::of(prop::collection::vec((0usize..3, -3i64..9, -500i64..9_000), 0..5)),
    ) -> PaymentCaptured {
        PaymentCaptured {
            payment: PaymentId::new("p").unwrap(),
            order: OrderId::new("o").unwrap(),
            amount: Minor(amount),
            currency: Currency::new("EUR").unwrap(),
            method: PaymentMethod::new(if cash { "cash" } else { "card" }).unwrap(),
            provider: None,
            provider_ref: None,
            offline,
            tip: tip.map(Minor),
            tax: tax.map(Minor),
            fee: None,
            latency_ms: None,
            checkout: None,
            creator: creator.then(|| CreatorId::new("ana").unwrap()),
            token: token.then(|| TokenId::new("t").unwrap()),
            lines: lines.map(|lines| lines.into_iter().map(|(sku, qty, amount)| Line {
                sku: Sku::new(["mug", "cap", "fee"][sku]).unwrap(),
                qty,
                amount,
                creator: None,
            }).collect()),
        }
    }
}

fn sum(posted: &Posted, chart: &[Chart]) -> i128 {
    posted
        .entries
        .iter()
        .flat_map(|entry| &entry.get().legs)
        .filter(|leg| leg.commodity.currency().is_some() && chart.contains(&leg.account.of))
        .map(|leg| i128::from(leg.amount))
        .sum()
}

const TENDERED: [Chart; 3] = [Chart::CashTill, Chart::EdgeCaptured, Chart::OfflineStored];

fn asked(refund: &str, amount: i64) -> PaymentRefunded {
    PaymentRefunded {
        refund: RefundId::new(refund).unwrap(),
        payment: PaymentId::new("p").unwrap(),
        amount: Minor(amount),
        currency: Currency::new("EUR").unwrap(),
        reason: None,
        remark: None,
        lines: None,
    }
}

proptest! {
    #[test]
    fn a_sale_keeps_all_its_money(sale in any_sale()) {
        let parts = SaleParts::of(&sale);
        prop_assert_eq!(parts.goods + parts.tax + parts.tip - parts.token, parts.paid);
        let posted = post(&fact(Event::PaymentCaptured(sale.clone()), 1), &Shop).unwrap();
        prop_assert_eq!(sum(&posted, &TENDERED), i128::from(sale.amount.0));
        prop_assert_eq!(sum(&posted, &[Chart::Sales]), -parts.goods);
        prop_assert_eq!(posted.breaks.is_empty(), parts.off == 0);
        let named: i128 = posted.breaks.iter().map(|found| i128::from(found.amount)).sum();
        prop_assert_eq!(named, parts.off);
    }

    #[test]
    fn refunds_of_a_whole_sale_undo_it_exactly(sale in any_sale(), cuts in prop::collection::vec(0i64..40_000, 0..5)) {
        let whole = sale.amount.0;
        let sold = fact(Event::PaymentCaptured(sale.clone()), 1);
        let mut left = whole;
        let mut total = Posted::default();
        let mut refunds: Vec<i64> = cuts.into_iter().map(|cut| {
            let part = cut.min(left);
            left -= part;
            part
        }).collect();
        refunds.push(left);
        let mut before = 0;
        for (at, amount) in refunds.into_iter().enumerate() {
            let asked = asked(&format!("r{at}"), amount);
            let context = RefundContext { sale: Some(&sold), before };
            let one = fact(Event::PaymentRefunded(asked.clone()), 2);
            total.entries.extend(refund(&one, &asked, &context, &Shop).unwrap().entries);
            before += i128::from(amount);
        }
        let parts = SaleParts::of(&sale);
        let owed = [Chart::RefundPayable, Chart::CashTill];
        prop_assert_eq!(sum(&total, &owed), -i128::from(whole));
        if parts.goods >= parts.token && parts.paid > 0 {
            prop_assert_eq!(sum(&total, &[Chart::Tax]), parts.tax);
            prop_assert_eq!(sum(&total, &[Chart::Tips]), parts.tip);
            prop_assert_eq!(sum(&total, &[Chart::Returns]), parts.goods - parts.token);
        }
    }
}

#[test]
fn a_refund_beyond_its_sale_falls_on_returns() {
    let sale = Event::PaymentCaptured(PaymentCaptured {
        tax: Some(Minor(20)),
        ..any_card_sale(120)
    });
    let sold = fact(sale, 1);
    let context = RefundContext {
        sale: Some(&sold),
        before: 100,
    };
    let asked = asked("r", 50);
    let one = fact(Event::PaymentRefunded(asked.clone()), 2);
    let posted = refund(&one, &asked, &context, &Shop).unwrap();
    assert_eq!(sum(&posted, &[Chart::RefundPayable]), -50);
    assert_eq!(sum(&posted, &[Chart::Tax]), 3);
    assert_eq!(sum(&posted, &[Chart::Returns]), 47);
}

fn any_card_sale(amount: i64) -> PaymentCaptured {
    PaymentCaptured {
        payment: PaymentId::new("p").unwrap(),
        order: OrderId::new("o").unwrap(),
        amount: Minor(amount),
        currency: Currency::new("EUR").unwrap(),
        method: PaymentMethod::new("card").unwrap(),
        provider: None,
        provider_ref: None,
        offline: None,
        tip: None,
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: Some(vec![]),
    }
}

#[test]
fn bad_signatures_of_one_hour_and_reason_are_one_break() {
    let of = ProviderRefused {
        provider: "stripe".into(),
        account: "main".into(),
        reason: "future".into(),
        hour_ms: 3_600_000,
    };
    let first = refused(&of);
    let [found] = first.breaks.as_slice() else {
        panic!("{first:?}");
    };
    assert_eq!((found.class.text(), found.suspense), ("P-SIG", 0));
    assert!(
        found
            .sentence
            .contains("stripe account main came with a signature from the future")
    );
    let next = refused(&ProviderRefused {
        hour_ms: 7_200_000,
        ..of
    });
    assert_ne!(next.breaks[0].id, found.id);
}
