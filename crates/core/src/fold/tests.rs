//! Builders of records and a readable form of cells, for the tests below.

mod bounds;
mod examples;
mod laws;
mod signals;

use super::*;
use crate::event::*;
use crate::id::*;
use crate::money::Currency;
use crate::record::{Content, Flags, Stamp};
use std::format;
use std::string::String;
use std::vec;

const HOUR_MS: i64 = 3_600_000;
/// Start of the popup in every test, ms since 1970.
const STARTS: i64 = 500_000 * HOUR_MS;
const FIRST: u32 = 500_000 * 60;

fn gbp() -> Currency {
    Currency::new("GBP").unwrap()
}

fn popup() -> PopupId {
    PopupId::new("p").unwrap()
}

/// A record `ms` after the popup's start, admitted at its own time.
fn record(ms: i64, event: Event) -> Record {
    let system = matches!(event, Event::System(_));
    Record {
        event,
        popup: (!system).then(popup),
        source: Source::new("till").unwrap(),
        id: EventId::new("e").unwrap(),
        stamp: Stamp {
            mono_ns: u64::try_from(ms + 86_400_000).unwrap() * 1_000_000,
            wall_ms: STARTS + ms,
            time_ms: None,
            age_ms: None,
        },
        beyond: None,
        content: Content::default(),
        policy_version: 3,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    }
}

fn policy() -> Event {
    Event::System(SystemEvent::PolicyApplied(PopupPolicy {
        popup: "p".into(),
        version: 3,
        starts_ms: STARTS,
        ends_ms: STARTS + 3 * HOUR_MS,
        ..PopupPolicy::default()
    }))
}

fn empty() -> EpochFold {
    EpochFold::new(RigId::new("till-1").unwrap(), Epoch(2), EpochId([7; 16]))
}

fn fold(records: &[Record]) -> EpochFold {
    let mut fold = empty();
    for (seq, record) in (1..).zip(records) {
        assert_eq!(fold.apply(Seq(seq), record), Step::Folded);
    }
    fold
}

/// Folds a policy and events given with their seconds after the popup's start.
fn fold_events(events: Vec<(i64, Event)>) -> EpochFold {
    let mut records = vec![record(0, policy())];
    records.extend(
        events
            .into_iter()
            .map(|(second, event)| record(second * 1_000, event)),
    );
    fold(&records)
}

/// The parts of all cells that say something, a line per row, `+minute` before each cell.
#[expect(clippy::too_many_lines, reason = "one stanza per part of a cell")]
fn show(fold: &EpochFold) -> String {
    let mut lines = Vec::new();
    let mut row = |name: String, numbers: &[(&str, i128)]| {
        let said = numbers.iter().filter(|(_, number)| *number != 0);
        let said: Vec<_> = said
            .map(|(what, number)| format!(" {what} {number}"))
            .collect();
        lines.push(format!("{name}{}", said.concat()));
    };
    for cell in fold.cells() {
        row(
            format!("+{}", i64::from(cell.minute) - i64::from(FIRST)),
            &[],
        );
        for m in &cell.money {
            let mode = if m.offline { " offline" } else { "" };
            row(
                format!("money {} {}{mode}", m.currency, m.method),
                &[
                    ("gross", m.gross.into()),
                    ("refund", m.refund.into()),
                    ("tip", m.tip.into()),
                    ("tax", m.tax.into()),
                    ("fee", m.fee.into()),
                    ("authorized", m.authorized.into()),
                    ("captures", m.captures.into()),
                    ("refunds", m.refunds.into()),
                    ("conversions", m.conversions.into()),
                ],
            );
        }
        for r in &cell.risk {
            let numbers = [
                ("failed", r.failed.into()),
                ("recovered", r.recovered.into()),
            ];
            row(format!("risk {}", r.currency), &numbers);
        }
        for s in &cell.skus {
            row(
                format!("sku {}", s.sku),
                &[
                    ("sold", s.sold.into()),
                    ("returned", s.returned.into()),
                    ("received", s.received.into()),
                    ("adjusted", s.adjusted.into()),
                    ("in", s.moved_in.into()),
                    ("out", s.moved_out.into()),
                    ("allocated", s.allocated.into()),
                ],
            );
            for m in &s.money {
                let numbers = [("gross", m.gross.into()), ("refund", m.refund.into())];
                row(format!(" {}", m.currency), &numbers);
            }
            if let Some(c) = s.count {
                let after = c.sold_after_in_minute.into();
                row(" count".into(), &[("qty", c.qty.into()), ("after", after)]);
            }
        }
        for c in &cell.creators {
            row(
                format!("creator {} {} {}", c.creator, c.currency, c.evidence),
                &[
                    ("gross", c.gross.into()),
                    ("refund", c.refund.into()),
                    ("orders", c.orders.into()),
                    ("units", c.units.into()),
                ],
            );
        }
        if let Some(c) = &cell.checkout {
            row(
                "checkout".into(),
                &[
                    ("started", c.started.into()),
                    ("ok", c.ok.into()),
                    ("fault", c.fault.into()),
                    ("left", c.left.into()),
                    ("recovered", c.recovered.into()),
                    ("unseen", c.unseen.into()),
                ],
            );
            for s in c.by_start.iter().chain(&c.older) {
                let name = match s.minute {
                    0 => " older".into(),
                    minute => format!(" from +{}", minute - FIRST),
                };
                row(
                    name,
                    &[
                        ("closed", s.closed.into()),
                        ("in_time", s.in_time.into()),
                        ("left", s.left.into()),
                        ("fault", s.fault.into()),
                    ],
                );
            }
        }
        for h in &cell.hists {
            let sum_ms = i128::from(h.sum_us / 1_000);
            row(
                format!("hist {}", h.kind),
                &[("n", h.count.into()), ("ms", sum_ms)],
            );
        }
        if let Some(t) = &cell.tokens {
            row(
                "tokens".into(),
                &[
                    ("issued", t.issued.into()),
                    ("redeemed", t.redeemed.into()),
                    ("duplicate", t.duplicate.into()),
                    ("expired", t.expired.into()),
                    ("voided", t.voided.into()),
                    ("provisional", t.provisional.into()),
                    ("set", i128::try_from(t.set.len()).unwrap()),
                ],
            );
        }
        for s in &cell.streams {
            row(
                format!("stream {}", s.stream),
                &[
                    ("messages", s.messages.into()),
                    ("samples", s.samples.into()),
                    ("sum", s.viewers_sum.into()),
                    ("max", s.viewers_max.into()),
                    ("last", s.viewers_last.into()),
                ],
            );
        }
        for d in &cell.drops {
            let at = |ms: i64| {
                if ms == 0 {
                    0
                } else {
                    i128::from((ms - STARTS) / 1_000)
                }
            };
            row(
                format!("drop {} {} {}", d.drop, d.creator, d.sku),
                &[
                    ("opened", at(d.opened_ms)),
                    ("closed", at(d.closed_ms)),
                    ("qty", d.qty.into()),
                    ("price", d.price.into()),
                ],
            );
        }
        for f in &cell.fulfil {
            row(
                format!("fulfil {} {}", f.member, f.step),
                &[("orders", f.orders.into())],
            );
        }
        if let Some(h) = cell.host {
            let numbers = [h.battery_min, h.disk_min].map(|least| least.unwrap_or(-1).into());
            row(
                "host".into(),
                &[
                    ("battery", numbers[0]),
                    ("disk", numbers[1]),
                    ("ok", h.probe_ok.into()),
                    ("fault", h.probe_fault.into()),
                ],
            );
        }
        if let Some(c) = &cell.counts {
            row(
                "counts".into(),
                &[
                    ("losses", c.losses.into()),
                    ("unmatched", c.unmatched.into()),
                    ("duplicates", c.duplicates.into()),
                    ("other", c.other().into()),
                    ("refunds_unknown", c.refunds_unknown.into()),
                ],
            );
        }
    }
    lines.join("\n")
}

#[track_caller]
fn check(events: Vec<(i64, Event)>, expect: &[&str]) {
    assert_eq!(show(&fold_events(events)), expect.join("\n"));
}

fn capture(payment: &str, order: &str, amount: i64) -> PaymentCaptured {
    PaymentCaptured {
        payment: PaymentId::new(payment).unwrap(),
        order: OrderId::new(order).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
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
        lines: None,
    }
}

fn captured(payment: &str, order: &str, amount: i64) -> Event {
    Event::PaymentCaptured(capture(payment, order, amount))
}

fn line(sku: &str, qty: i64, amount: i64, creator: &str) -> Line {
    Line {
        sku: Sku::new(sku).unwrap(),
        qty,
        amount,
        creator: CreatorId::new(creator).ok(),
    }
}

fn sale(payment: &str, amount: i64, lines: Vec<Line>) -> Event {
    Event::PaymentCaptured(PaymentCaptured {
        lines: Some(lines),
        ..capture(payment, payment, amount)
    })
}

fn failed(payment: &str, order: &str, amount: i64, reason: Reason) -> Event {
    Event::PaymentFailed(PaymentFailed {
        payment: PaymentId::new(payment).unwrap(),
        order: OrderId::new(order).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
        reason: Some(reason),
        remark: None,
        latency_ms: None,
    })
}

fn refund(refund: &str, payment: &str, amount: i64, lines: Vec<Line>) -> Event {
    Event::PaymentRefunded(PaymentRefunded {
        refund: RefundId::new(refund).unwrap(),
        payment: PaymentId::new(payment).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
        reason: None,
        remark: None,
        lines: (!lines.is_empty()).then_some(lines),
    })
}

fn started(checkout: &str) -> Event {
    Event::CheckoutStarted(CheckoutStarted {
        checkout: CheckoutId::new(checkout).unwrap(),
        channel: None,
        creator: None,
        viewer: None,
    })
}

fn completed(checkout: &str, order: &str, duration_ms: Option<u32>) -> Event {
    Event::CheckoutCompleted(CheckoutCompleted {
        checkout: CheckoutId::new(checkout).unwrap(),
        order: OrderId::new(order).unwrap(),
        duration_ms: duration_ms.map(Millis),
        stages: None,
    })
}

fn abandoned(checkout: &str, reason: Option<Reason>) -> Event {
    Event::CheckoutAbandoned(CheckoutAbandoned {
        checkout: CheckoutId::new(checkout).unwrap(),
        stage: CheckoutStage::new("payment").unwrap(),
        reason,
        remark: None,
    })
}

fn counted(sku: &str, qty: i64) -> Event {
    Event::InventoryCounted(InventoryCounted {
        sku: Sku::new(sku).unwrap(),
        qty: Count(qty),
    })
}

fn moved(from: &str, to: &str, qty: i64) -> Event {
    Event::InventoryMoved(InventoryMoved {
        sku: Sku::new("s").unwrap(),
        qty: Count(qty),
        from: StockPlace::new(from).ok(),
        to: StockPlace::new(to).ok(),
        reason: None,
    })
}

fn allocated(to: &str, qty: i64) -> Event {
    Event::InventoryAllocated(InventoryAllocated {
        sku: Sku::new("s").unwrap(),
        qty: Count(qty),
        from: None,
        to: StockPlace::new(to).ok(),
        reason: None,
    })
}

fn fulfilled(order: &str, step: FulfilmentStep, member: &str) -> Event {
    Event::OrderFulfilled(OrderFulfilled {
        order: OrderId::new(order).unwrap(),
        step,
        coop_member: MemberId::new(member).ok(),
    })
}

fn issued(token: &str, creator: &str, expires_s: Option<i64>) -> Event {
    Event::TokenIssued(TokenIssued {
        token: TokenId::new(token).unwrap(),
        creator: CreatorId::new(creator).ok(),
        order: None,
        value: None,
        currency: None,
        expires: expires_s.map(|second| Moment(STARTS + second * 1_000)),
    })
}

fn redeemed(token: &str) -> Event {
    Event::TokenRedeemed(TokenRedeemed {
        token: TokenId::new(token).unwrap(),
        creator: None,
        order: None,
        value: None,
        currency: None,
        expires: None,
    })
}

fn watched(stream: &str, viewers: i64) -> Event {
    Event::AudienceSampled(AudienceSampled {
        stream: ChatStream::new(stream).unwrap(),
        viewers: Count(viewers),
    })
}

fn bytes(fold: &EpochFold) -> Vec<Vec<u8>> {
    fold.cells().map(Cell::encode_canonical).collect()
}
