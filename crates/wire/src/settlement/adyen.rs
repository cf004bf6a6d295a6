//! `adyen.settlement`: Adyen's settlement detail report.
//!
//! Rows have no id. Amounts stand in pairs of debit and credit, of which one is empty; so is whatever
//! fee the row does not have. Where the buyer's currency differs, the gross is converted at the row's
//! own rate; what rounding leaves is said on the line.

use popwatch_core::event::central::SettlementLine;
use popwatch_core::settlement::LineKind;

use super::figures::{Converted, Decimal, Unit, abbreviation, amount_or_zero, bounded};
use super::rows::{Header, Row};
use super::{Desk, Fault, field};

/// Where the columns stand.
pub(super) struct Columns {
    /// Part of the layout, never read: whose account it is says the upload.
    _merchant_account: Option<usize>,
    psp: Option<usize>,
    merchant: Option<usize>,
    created: Option<usize>,
    zone: Option<usize>,
    kind: Option<usize>,
    modification: Option<usize>,
    gross_currency: Option<usize>,
    gross_debit: Option<usize>,
    gross_credit: Option<usize>,
    rate: Option<usize>,
    net_currency: Option<usize>,
    net_debit: Option<usize>,
    net_credit: Option<usize>,
    commission: Option<usize>,
    markup: Option<usize>,
    scheme: Option<usize>,
    interchange: Option<usize>,
    batch: Option<usize>,
}

impl Columns {
    pub(super) fn find(header: &Header<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            _merchant_account: header.need("Merchant Account")?,
            psp: header.need("Psp Reference")?,
            merchant: header.need("Merchant Reference")?,
            created: header.need("Creation Date")?,
            zone: header.need("TimeZone")?,
            kind: header.need("Type")?,
            modification: header.need("Modification Reference")?,
            gross_currency: header.need("Gross Currency")?,
            gross_debit: header.need("Gross Debit (GC)")?,
            gross_credit: header.need("Gross Credit (GC)")?,
            rate: header.need("Exchange Rate")?,
            net_currency: header.need("Net Currency")?,
            net_debit: header.need("Net Debit (NC)")?,
            net_credit: header.need("Net Credit (NC)")?,
            commission: header.need("Commission (NC)")?,
            markup: header.need("Markup (NC)")?,
            scheme: header.need("Scheme Fees (NC)")?,
            interchange: header.need("Interchange (NC)")?,
            batch: header.need("Batch Number")?,
        })
    }

    /// The normal line of a row.
    pub(super) fn line(
        &self,
        row: &Row<'_>,
        desk: &mut Desk<'_>,
        number: u64,
    ) -> Result<SettlementLine, Fault> {
        let of = desk
            .units
            .find("Net Currency", &row.get(self.net_currency))?;
        let mut line = desk.line(number);
        line.currency.push_str(of.code());
        self.fees(row, of, &mut line)?;
        let credit = amount_or_zero("Net Credit (NC)", &row.get(self.net_credit), of)?;
        line.net = credit - amount_or_zero("Net Debit (NC)", &row.get(self.net_debit), of)?;
        self.gross(row, of, desk, &mut line)?;

        line.raw_kind = desk.keep.id("Type", &row.get(self.kind))?;
        let kind = kind(&line.raw_kind, line.net);
        line.kind.push_str(kind.text());
        line.movement = desk
            .keep
            .id("Modification Reference", &row.get(self.modification))?;
        let psp = desk.keep.id("Psp Reference", &row.get(self.psp))?;
        place(kind, psp, &mut line);
        line.order = desk
            .keep
            .id("Merchant Reference", &row.get(self.merchant))?;
        if !line.order.is_empty() {
            line.stamps.push(line.order.clone());
        }
        line.payout = desk.keep.id("Batch Number", &row.get(self.batch))?;
        let zone_s = abbreviation(&row.get(self.zone));
        line.occurred_ms = desk.time("Creation Date", &row.get(self.created), zone_s)?;
        line.line = id(&line, desk)?;
        Ok(line)
    }

    fn fees(&self, row: &Row<'_>, of: Unit, line: &mut SettlementLine) -> Result<(), Fault> {
        let commission = amount_or_zero("Commission (NC)", &row.get(self.commission), of)?;
        line.fee = commission + amount_or_zero("Markup (NC)", &row.get(self.markup), of)?;
        let scheme = amount_or_zero("Scheme Fees (NC)", &row.get(self.scheme), of)?;
        line.scheme_fee =
            scheme + amount_or_zero("Interchange (NC)", &row.get(self.interchange), of)?;
        Ok(())
    }

    /// The gross in the net's currency. A row that states none, as fees and payouts do, has what its
    /// net and fees make.
    fn gross(
        &self,
        row: &Row<'_>,
        of: Unit,
        desk: &mut Desk<'_>,
        line: &mut SettlementLine,
    ) -> Result<(), Fault> {
        let fees = line.fee + line.scheme_fee;
        let (debit, credit) = (row.get(self.gross_debit), row.get(self.gross_credit));
        if debit.trim_ascii().is_empty() && credit.trim_ascii().is_empty() {
            let too_large = field("Net Credit (NC)", "makes a gross beyond 12 digits");
            line.gross = bounded(i128::from(line.net) + i128::from(fees)).ok_or(too_large)?;
            return Ok(());
        }
        let from = desk
            .units
            .find("Gross Currency", &row.get(self.gross_currency))?;
        let credit = amount_or_zero("Gross Credit (GC)", &credit, from)?;
        let gross = credit - amount_or_zero("Gross Debit (GC)", &debit, from)?;
        if from == of {
            line.gross = gross;
            return Ok(());
        }
        let rate = Decimal::parse(&row.get(self.rate)).filter(|rate| rate.mantissa > 0);
        let converted = rate
            .and_then(|rate| Converted::at(gross, from.currency, rate, of.currency))
            .ok_or(field(
                "Exchange Rate",
                "must be a positive decimal such as 1.0656568",
            ))?;
        line.gross = converted.minor;
        line.buyer_currency.push_str(from.code());
        line.buyer_amount = gross;
        if converted.explains(fees, line.net) {
            line.rounding = line.net + fees - line.gross;
        }
        Ok(())
    }
}

/// Says what moved: of a refund or dispute that is its own reference, beside it the payment's.
fn place(kind: LineKind, psp: String, line: &mut SettlementLine) {
    let is_of_payment = matches!(
        kind,
        LineKind::Refund | LineKind::RefundReversal | LineKind::Dispute | LineKind::DisputeReversal
    );
    if is_of_payment && !line.movement.is_empty() {
        line.object.clone_from(&line.movement);
        line.parent = psp;
    } else {
        line.object = psp;
    }
}

/// The id of a row: its batch, type, references and amounts, and which equal row it is.
fn id(line: &SettlementLine, desk: &mut Desk<'_>) -> Result<String, Fault> {
    let mut amounts = String::with_capacity(64);
    let minor = [
        line.gross,
        line.fee,
        line.scheme_fee,
        line.net,
        line.buyer_amount,
    ];
    for amount in minor {
        amounts.push_str(&amount.to_string());
        amounts.push(' ');
    }
    amounts.push_str(&line.currency);
    amounts.push_str(&line.buyer_currency);
    let parts = [
        line.payout.as_str(),
        &line.raw_kind,
        &line.object,
        &line.parent,
        &line.movement,
        &amounts,
    ];
    desk.keyless.id(&parts).map_err(Fault::File)
}

fn kind(raw: &str, net: i64) -> LineKind {
    match raw {
        "Settled" => LineKind::Charge,
        "Refunded" => LineKind::Refund,
        "RefundedReversed" => LineKind::RefundReversal,
        "Chargeback" | "SecondChargeback" => LineKind::Dispute,
        "ChargebackReversed" => LineKind::DisputeReversal,
        "Fee" | "InvoiceDeduction" | "MiscCosts" => LineKind::Fee,
        "ReserveAdjustment" => LineKind::reserve(net),
        "MerchantPayout" => LineKind::Payout,
        "DepositCorrection" | "BalanceTransfer" => LineKind::Adjustment,
        _ => LineKind::Other,
    }
}
