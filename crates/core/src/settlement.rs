//! Settlement lines as the books see them: what kind of movement a row of a provider's file is, and
//! whether its own figures agree.

use crate::event::central::SettlementLine;
use crate::provider::names;

names! {
    /// What a row of a settlement file moves.
    LineKind {
        Charge = "charge", "A payment.";
        ChargeReversal = "charge_reversal", "Part of a payment, or all of it, comes undone.";
        Refund = "refund", "A refund.";
        RefundReversal = "refund_reversal", "A refund comes undone.";
        Dispute = "dispute", "Money held or taken for a dispute.";
        DisputeReversal = "dispute_reversal", "Money of a dispute comes back.";
        Fee = "fee", "A fee by itself.";
        FeeTax = "tax", "Tax on fees by itself.";
        ReserveHold = "reserve_hold", "Money set aside by the provider.";
        ReserveRelease = "reserve_release", "Money set aside comes free.";
        Payout = "payout", "Paid out.";
        PayoutReversal = "payout_reversal", "A payout came back.";
        Adjustment = "adjustment", "A correction of the provider's.";
        Transfer = "transfer", "Moved between accounts of one provider.";
        Other = "other", "Anything else.";
    }
}

impl LineKind {
    /// Whether its net is part of the sum that a payout pays. Rows of payouts themselves are not.
    #[must_use]
    pub const fn counts_in_payout(self) -> bool {
        !matches!(self, Self::Payout | Self::PayoutReversal)
    }

    /// Hold or release, by the sign of the money: what leaves us is held.
    #[must_use]
    pub const fn reserve(minor: i64) -> Self {
        if minor < 0 {
            Self::ReserveHold
        } else {
            Self::ReserveRelease
        }
    }
}

/// Whether a line's own figures agree: gross − fees + rounding = net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// They do.
    Agrees,
    /// They do not.
    Differs {
        /// What the net has beyond the rest, minor units: net + fees − gross − rounding.
        /// Clamped to 64 bits.
        by: i64,
        /// The buyer paid in another currency, so the rate may be what is wrong.
        converted: bool,
    },
}

/// Adds up a line's own figures: gross − fee − tax on it − scheme fee + rounding against net.
#[must_use]
pub fn arithmetic(line: &SettlementLine) -> Arithmetic {
    let by = i128::from(line.net) + fees(line) - i128::from(line.gross) - i128::from(line.rounding);
    if by == 0 {
        return Arithmetic::Agrees;
    }
    let clamped = by.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    Arithmetic::Differs {
        by: i64::try_from(clamped).expect("it was clamped to 64 bits"),
        converted: !line.buyer_currency.is_empty() && line.buyer_currency != line.currency,
    }
}

/// All that a line takes for itself, minor units.
#[must_use]
pub fn fees(line: &SettlementLine) -> i128 {
    i128::from(line.fee) + i128::from(line.fee_tax) + i128::from(line.scheme_fee)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(gross: i64, fee: i64, net: i64) -> SettlementLine {
        SettlementLine {
            gross,
            fee,
            net,
            currency: "EUR".into(),
            ..SettlementLine::default()
        }
    }

    #[test]
    fn a_lines_figures_agree_or_the_difference_is_named() {
        assert_eq!(arithmetic(&line(2_500, 95, 2_405)), Arithmetic::Agrees);
        assert_eq!(arithmetic(&line(-50, -2, -48)), Arithmetic::Agrees);
        let by = |by| Arithmetic::Differs {
            by,
            converted: false,
        };
        assert_eq!(arithmetic(&line(-150, -25, -175)), by(-50));
        assert_eq!(arithmetic(&line(2_400, 0, 2_305)), by(-95));
        let scheme = SettlementLine {
            scheme_fee: 24,
            ..line(100, 0, 76)
        };
        assert_eq!(arithmetic(&scheme), Arithmetic::Agrees);
        assert_eq!(arithmetic(&line(i64::MIN, 0, i64::MAX)), by(i64::MAX));
    }

    #[test]
    fn rounding_between_currencies_is_part_of_the_sum() {
        let converted = SettlementLine {
            rounding: 1,
            buyer_currency: "USD".into(),
            ..line(570, 27, 544)
        };
        assert_eq!(arithmetic(&converted), Arithmetic::Agrees);
        let wrong = SettlementLine {
            net: 546,
            ..converted
        };
        let expect = Arithmetic::Differs {
            by: 2,
            converted: true,
        };
        assert_eq!(arithmetic(&wrong), expect);
    }

    #[test]
    fn a_payouts_own_row_is_not_part_of_what_it_pays() {
        let outside: alloc::vec::Vec<_> = LineKind::ALL
            .iter()
            .filter(|kind| !kind.counts_in_payout())
            .collect();
        assert_eq!(outside, [&LineKind::Payout, &LineKind::PayoutReversal]);
        assert_eq!(LineKind::reserve(-1), LineKind::ReserveHold);
        assert_eq!(LineKind::reserve(1), LineKind::ReserveRelease);
    }
}
