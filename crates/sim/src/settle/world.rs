//! The honest part of a set: sales, refunds, and what provider and bank make of them.

use popwatch_core::event::central::{ProviderObject, SettlementLine};
use popwatch_core::money::{Currency, div_half_even};
use popwatch_core::provider::{ObjectKind, ObjectState, ProviderKind};
use popwatch_core::settlement::LineKind;
use popwatch_store::fs::faulty::Dice;

use super::{ACCOUNT, Claim, Expected, FEES};

/// When the popup opens: 2026-03-06T18:00:00Z.
const OPENS_MS: i64 = 1_772_820_000_000;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Everything that is so, before it is written down.
pub(super) struct World {
    pub(super) provider: ProviderKind,
    pub(super) dice: Dice,
    pub(super) currency: Currency,
    pub(super) opens_ms: i64,
    pub(super) claims: Vec<Claim>,
    pub(super) objects: Vec<ProviderObject>,
    pub(super) rows: Vec<Row>,
    pub(super) payouts: Vec<Payout>,
    /// Lines that a second file tells otherwise.
    pub(super) corrected: Vec<SettlementLine>,
    pub(super) expected: Vec<Expected>,
    /// Sales in which nothing was planted yet, the next one last.
    spare: Vec<Sale>,
    ids: u64,
}

/// One sale and where its parts stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sale {
    /// In `claims`.
    pub(super) claim: usize,
    /// In `objects`.
    pub(super) object: usize,
    /// In `rows`.
    pub(super) row: usize,
}

/// One row of the file.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) line: SettlementLine,
    /// In `payouts`; `None` for a row that is in none.
    pub(super) payout: Option<usize>,
    /// The provider never writes it.
    pub(super) lost: bool,
    /// It stands twice.
    pub(super) twice: bool,
    /// The rate from the buyer's currency, as written.
    pub(super) rate: Option<String>,
}

/// One payout.
#[derive(Debug, Clone)]
pub(super) struct Payout {
    pub(super) id: String,
    /// By which the bank knows it.
    pub(super) trace: String,
    /// What it pays beyond its lines.
    pub(super) beyond: i64,
    pub(super) state: ObjectState,
    /// What the bank shows beyond it; `None` when it shows nothing.
    pub(super) bank: Option<i64>,
}

impl World {
    pub(super) fn new(provider: ProviderKind, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let currency = ["EUR", "GBP", "USD", "JPY"][dice.index(4)];
        let sales = 34 + dice.below(8);
        let captures: Vec<_> = (0..sales)
            .map(|sale| {
                let at_ms = OPENS_MS + i64::try_from(sale).unwrap_or(0) * 97_000;
                let amount = 500 + i64::try_from(dice.below(20_000)).unwrap_or(0);
                (
                    format!("pay-{seed}-{sale}"),
                    (70_001 + sale).to_string(),
                    amount,
                    at_ms,
                )
            })
            .collect();
        Self::build(provider, dice, currency, &captures)
    }

    pub(super) fn over(
        provider: ProviderKind,
        seed: u64,
        currency: &str,
        captures: &[(String, String, i64, i64)],
    ) -> Self {
        Self::build(provider, Dice(seed), currency, captures)
    }

    fn build(
        provider: ProviderKind,
        dice: Dice,
        currency: &str,
        captures: &[(String, String, i64, i64)],
    ) -> Self {
        let mut world = Self {
            provider,
            dice,
            currency: Currency::new(currency).expect("a set has a currency with minor units"),
            opens_ms: captures
                .iter()
                .map(|capture| capture.3)
                .min()
                .unwrap_or(OPENS_MS),
            claims: Vec::new(),
            objects: Vec::new(),
            rows: Vec::new(),
            payouts: Vec::new(),
            corrected: Vec::new(),
            expected: Vec::new(),
            spare: Vec::new(),
            ids: 0,
        };
        let halves = [world.payout(), world.payout()];
        for (at, (reference, order, amount, at_ms)) in captures.iter().enumerate() {
            let payout = halves[usize::from(at * 2 >= captures.len())];
            let sale = world.sale(reference, order, *amount, *at_ms, payout);
            if world.dice.below(5) == 0 {
                let part = 1 + world
                    .dice
                    .below(u64::try_from(*amount / 4).unwrap_or(0) + 1);
                world.refund(sale, i64::try_from(part).unwrap_or(1), false);
            } else {
                world.spare.push(sale);
            }
        }
        world.spare.reverse();
        world
    }

    /// A sale of which nothing special is told yet.
    pub(super) fn spare(&mut self) -> Option<Sale> {
        self.spare.pop()
    }

    /// A payout of its own for a spare sale.
    pub(super) fn spare_payout(&mut self) -> Option<usize> {
        let sale = self.spare()?;
        let payout = self.payout();
        self.rows[sale.row].payout = Some(payout);
        Some(payout)
    }

    /// What the provider takes for a payment.
    pub(super) fn fee(gross: i64) -> i64 {
        let part = div_half_even(i128::from(gross) * i128::from(FEES.percent_ppm), 1_000_000);
        i64::try_from(part).expect("a small part of an amount") + FEES.fixed
    }

    pub(super) fn expect(&mut self, class: &'static str, hint: &str, amount: i64) {
        self.expected.push(Expected {
            class,
            hint: hint.to_owned(),
            currency: self.currency.code().to_owned(),
            amount,
        });
    }

    /// A new id of the provider's; few digits in a row, so that none looks like a card number.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        let roll = self.dice.roll();
        let tail: String = (0..8)
            .map(|at| char::from(b'A' + u8::try_from(roll >> (at * 5) & 15).unwrap_or(0)))
            .collect();
        match self.provider {
            ProviderKind::Shopify => (8_000_000 + self.ids * 7).to_string(),
            ProviderKind::Adyen => format!("{tail}{:06}GX", self.ids),
            ProviderKind::Stripe | ProviderKind::Square => format!("{prefix}{tail}{}", self.ids),
        }
    }

    fn payout(&mut self) -> usize {
        let id = match self.provider {
            ProviderKind::Adyen => (101 + self.payouts.len()).to_string(),
            ProviderKind::Stripe | ProviderKind::Square | ProviderKind::Shopify => self.id("po_"),
        };
        let trace = match self.provider {
            ProviderKind::Stripe | ProviderKind::Square => self.id("TRACE"),
            ProviderKind::Shopify | ProviderKind::Adyen => String::new(),
        };
        self.payouts.push(Payout {
            id,
            trace,
            beyond: 0,
            state: ObjectState::Paid,
            bank: Some(0),
        });
        self.payouts.len() - 1
    }

    fn sale(
        &mut self,
        reference: &str,
        order: &str,
        amount: i64,
        at_ms: i64,
        payout: usize,
    ) -> Sale {
        let at_ms = at_ms - at_ms.rem_euclid(1_000);
        self.claims.push(Claim {
            reference: reference.to_owned(),
            refund_of: None,
            order: order.to_owned(),
            amount,
            currency: self.currency.code().to_owned(),
            at_ms,
        });
        let id = self.id("pi_");
        let charge = self.id("ch_");
        let mut object = self.object(
            ObjectKind::Payment,
            ObjectState::Captured,
            id,
            amount,
            at_ms,
        );
        object.stamps.push(reference.to_owned());
        object.order.push_str(order);
        if self.provider == ProviderKind::Stripe {
            object.aliases.push(charge.clone());
        }
        let mut line = self.line(LineKind::Charge, amount, Self::fee(amount), at_ms);
        match self.provider {
            ProviderKind::Stripe => {
                (line.object, line.parent) = (charge.clone(), object.object.clone());
                line.movement = charge;
                line.stamps.push(reference.to_owned());
                line.order.push_str(order);
            }
            ProviderKind::Square => line.object.clone_from(&object.object),
            ProviderKind::Shopify => {
                line.object.clone_from(&object.object);
                line.movement.clone_from(&object.object);
                line.order.push_str(order);
            }
            ProviderKind::Adyen => {
                line.object.clone_from(&object.object);
                line.movement = charge;
                line.stamps.push(reference.to_owned());
                line.order.push_str(reference);
            }
        }
        self.objects.push(object);
        Sale {
            claim: self.claims.len() - 1,
            object: self.objects.len() - 1,
            row: self.row(line, Some(payout)),
        }
    }

    /// A refund of a part of a sale, with its claim and object; a lost one has no row.
    pub(super) fn refund(&mut self, sale: Sale, amount: i64, lost: bool) -> String {
        let claim = self.claims[sale.claim].clone();
        let at_ms = claim.at_ms + 3_600_000;
        let reference = format!("{}-r", claim.reference);
        self.claims.push(Claim {
            reference: reference.clone(),
            refund_of: Some(claim.reference.clone()),
            amount,
            at_ms,
            ..claim
        });
        let id = self.id("re_");
        let parent = self.objects[sale.object].object.clone();
        let mut object = self.object(
            ObjectKind::Refund,
            ObjectState::Succeeded,
            id.clone(),
            amount,
            at_ms,
        );
        object.parent = parent;
        object.stamps.push(reference);
        self.objects.push(object);
        let line = self.line(LineKind::Refund, -amount, 0, at_ms);
        let line = self.of_payment(line, sale, &id);
        let payout = self.rows[sale.row].payout;
        let row = self.row(line, payout);
        self.rows[row].lost = lost;
        id
    }

    /// A dispute of a sale; answers its id.
    pub(super) fn dispute(&mut self, sale: Sale, fee: i64) -> String {
        let (amount, at_ms) = (
            self.claims[sale.claim].amount,
            self.claims[sale.claim].at_ms,
        );
        let at_ms = at_ms + DAY_MS;
        let id = self.id("dp_");
        let parent = self.objects[sale.object].object.clone();
        let mut object = self.object(
            ObjectKind::Dispute,
            ObjectState::Open,
            id.clone(),
            amount,
            at_ms,
        );
        object.parent = parent;
        self.objects.push(object);
        let line = self.line(LineKind::Dispute, -amount, fee, at_ms);
        let line = self.of_payment(line, sale, &id);
        let payout = self.rows[sale.row].payout;
        self.row(line, payout);
        id
    }

    /// A row that is of no payment.
    pub(super) fn plain_row(&mut self, kind: LineKind, gross: i64) -> usize {
        let at_ms = self.opens_ms + DAY_MS;
        let line = self.line(kind, gross, 0, at_ms);
        self.row(line, Some(0))
    }

    pub(super) fn row(&mut self, mut line: SettlementLine, payout: Option<usize>) -> usize {
        line.line = match self.provider {
            ProviderKind::Adyen => String::new(),
            ProviderKind::Stripe => self.id("txn_"),
            ProviderKind::Square => self.id("poe_"),
            ProviderKind::Shopify => self.id(""),
        };
        self.rows.push(Row {
            line,
            payout,
            lost: false,
            twice: false,
            rate: None,
        });
        self.rows.len() - 1
    }

    /// Says of which payment a refund or dispute is, as the provider's file says it.
    fn of_payment(&self, mut line: SettlementLine, sale: Sale, id: &str) -> SettlementLine {
        let charge = &self.rows[sale.row].line;
        line.object.push_str(id);
        line.parent.clone_from(&charge.object);
        match self.provider {
            ProviderKind::Stripe => line.order.clone_from(&charge.order),
            ProviderKind::Square => {}
            ProviderKind::Shopify => {
                line.parent.clear();
                line.movement.push_str(id);
                line.order.clone_from(&charge.order);
            }
            ProviderKind::Adyen => {
                line.movement.push_str(id);
                line.order.clone_from(&charge.order);
                line.stamps.clone_from(&charge.stamps);
            }
        }
        line
    }

    fn object(
        &self,
        kind: ObjectKind,
        state: ObjectState,
        id: String,
        amount: i64,
        at_ms: i64,
    ) -> ProviderObject {
        ProviderObject {
            provider: self.provider.text().to_owned(),
            account: ACCOUNT.to_owned(),
            kind: kind.text().to_owned(),
            delivery: format!("generated-{id}"),
            object: id,
            currency: self.currency.code().to_owned(),
            amount,
            state: state.text().to_owned(),
            created_ms: at_ms,
            version: at_ms / 1_000,
            occurred_ms: at_ms,
            message: "generated".to_owned(),
            ..ProviderObject::default()
        }
    }

    /// A payout as Stripe's messages tell it.
    pub(super) fn payout_object(&self, payout: &Payout, amount: i64) -> ProviderObject {
        let at_ms = self.opens_ms + 2 * DAY_MS;
        let id = payout.id.clone();
        let mut object = self.object(ObjectKind::Payout, payout.state, id, amount, at_ms);
        object.trace.clone_from(&payout.trace);
        object
    }

    fn line(&self, kind: LineKind, gross: i64, fee: i64, at_ms: i64) -> SettlementLine {
        SettlementLine {
            provider: self.provider.text().to_owned(),
            account: ACCOUNT.to_owned(),
            kind: kind.text().to_owned(),
            raw_kind: raw_kind(self.provider, kind).to_owned(),
            currency: self.currency.code().to_owned(),
            gross,
            fee,
            net: gross - fee,
            occurred_ms: at_ms,
            ..SettlementLine::default()
        }
    }
}

/// What a provider calls a kind.
pub(super) fn raw_kind(provider: ProviderKind, kind: LineKind) -> &'static str {
    let [stripe, square, shopify, adyen] = match kind {
        LineKind::Charge => ["charge", "CHARGE", "charge", "Settled"],
        LineKind::Refund => ["refund", "REFUND", "refund", "Refunded"],
        LineKind::Dispute => ["dispute", "DISPUTE", "dispute", "Chargeback"],
        LineKind::Fee => ["fee", "FEE", "", "Fee"],
        LineKind::ReserveHold => [
            "risk_reserved_funds",
            "RESERVE_HOLD",
            "reserve",
            "ReserveAdjustment",
        ],
        LineKind::ReserveRelease => [
            "risk_reserved_funds",
            "RESERVE_RELEASE",
            "reserve",
            "ReserveAdjustment",
        ],
        LineKind::Payout => ["payout", "PAYOUT", "payout", "MerchantPayout"],
        LineKind::Other => [
            "platform_earning",
            "ESCHEATMENT",
            "tax_refund",
            "PaymentCost",
        ],
        LineKind::ChargeReversal
        | LineKind::RefundReversal
        | LineKind::DisputeReversal
        | LineKind::FeeTax
        | LineKind::PayoutReversal
        | LineKind::Adjustment
        | LineKind::Transfer => [""; 4],
    };
    match provider {
        ProviderKind::Stripe => stripe,
        ProviderKind::Square => square,
        ProviderKind::Shopify => shopify,
        ProviderKind::Adyen => adyen,
    }
}
