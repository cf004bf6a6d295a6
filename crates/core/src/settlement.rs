//! Settlement lines as the books see them: what kind of movement a row of a provider's file is.

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
