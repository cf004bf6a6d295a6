//! Settlement sets that tie end to end, generated: such sets do not exist publicly.
//!
//! A seed makes a popup's claims, the provider's objects for them, its settlement lines and payouts,
//! the bank's lines, and the files in which provider and bank would tell of these. Faults are planted
//! in the world before the files are written; what each must lead to is worked out here, with
//! arithmetic of its own, and stands in [`Set::expected`]. Nothing in a set is real.
//!
//! What always holds: a set is a function of provider, seed and faults; without faults every sum ties
//! and nothing is expected.

mod plant;
mod world;
mod write;

use popwatch_core::event::central::{BankLine, ProviderObject, SettlementLine};
use popwatch_core::id::PopupId;
use popwatch_core::ledger::rules::{AccountRules, FeeModel};
use popwatch_core::provider::ProviderKind;
use popwatch_wire::settlement::Layout;

pub use write::PERSONAL;

/// The popup of every set.
pub const POPUP: &str = "generated-market";
/// The provider account of every set.
pub const ACCOUNT: &str = "main";
/// The bank account of every set.
pub const BANK: &str = "current";
/// What the provider takes for a payment in every set.
pub const FEES: FeeModel = FeeModel {
    percent_ppm: 14_000,
    fixed: 25,
    cap: None,
};
/// Columns that hold the stamped reference in a Stripe file.
pub const STAMP_COLUMNS: [&str; 1] = ["payment_metadata[pw_ref]"];
/// Columns that hold the order in a Stripe file.
pub const ORDER_COLUMNS: [&str; 1] = ["payment_metadata[order]"];

/// Something that goes wrong between a sale and the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A captured payment that the provider never settles.
    MissingCharge,
    /// A payment that is settled twice, by two lines; the payout pays both.
    DuplicateCharge,
    /// The provider takes another fee than agreed, and pays out less.
    WrongFee,
    /// A refund that the provider never settles.
    LostRefund,
    /// One line stands twice in the file, word for word. No difference comes of it.
    RepeatedLine,
    /// A line's net is not what its gross and fee make; the payout pays the net.
    WrongNet,
    /// A line's gross is not what was captured; net and payout follow it.
    WrongGross,
    /// The payout pays another sum than its lines make.
    PayoutResidual,
    /// The payout never reaches the bank.
    BankMissing,
    /// Another amount reaches the bank.
    BankOther,
    /// A dispute for which the provider takes a fee nobody agreed on.
    DisputeWithFee,
    /// A chargeback without a fee. No difference comes of it.
    Chargeback,
    /// Money is held back and released in full. No difference comes of it.
    ReserveHeld,
    /// Less is released than was held back.
    ReserveShort,
    /// A buyer paid in another currency; rounding stays below one minor unit. No difference.
    Converted,
    /// A buyer paid in another currency and the net is off by more.
    ConvertedWrong,
    /// The payout fails.
    PayoutFailed,
    /// A row of a kind nobody knows.
    UnknownKind,
    /// A fee that names no payment.
    FeeWithoutSource,
    /// A line that is in no payout for weeks.
    Unpaid,
    /// A second file tells a line again with another amount.
    CorrectedLine,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::MissingCharge,
        Self::DuplicateCharge,
        Self::WrongFee,
        Self::LostRefund,
        Self::RepeatedLine,
        Self::WrongNet,
        Self::WrongGross,
        Self::PayoutResidual,
        Self::BankMissing,
        Self::BankOther,
        Self::DisputeWithFee,
        Self::Chargeback,
        Self::ReserveHeld,
        Self::ReserveShort,
        Self::Converted,
        Self::ConvertedWrong,
        Self::PayoutFailed,
        Self::UnknownKind,
        Self::FeeWithoutSource,
        Self::Unpaid,
        Self::CorrectedLine,
    ];

    /// Whether a provider's files can show it: Adyen's rows have no id and each lies in a batch, and
    /// only its rows have a rate.
    #[must_use]
    pub const fn is_possible(self, provider: ProviderKind) -> bool {
        let adyen = matches!(provider, ProviderKind::Adyen);
        match self {
            Self::RepeatedLine | Self::CorrectedLine => !adyen,
            Self::Unpaid => matches!(provider, ProviderKind::Stripe | ProviderKind::Shopify),
            // Adyen tells of a failed payout by mail alone.
            Self::PayoutFailed => !adyen,
            Self::Converted | Self::ConvertedWrong => adyen,
            Self::MissingCharge
            | Self::DuplicateCharge
            | Self::WrongFee
            | Self::LostRefund
            | Self::WrongNet
            | Self::WrongGross
            | Self::PayoutResidual
            | Self::BankMissing
            | Self::BankOther
            | Self::DisputeWithFee
            | Self::Chargeback
            | Self::ReserveHeld
            | Self::ReserveShort
            | Self::UnknownKind
            | Self::FeeWithoutSource => true,
        }
    }
}

/// What a till says of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The payment's id, or the refund's; also what is stamped into the provider's object.
    pub reference: String,
    /// Of a refund the payment's id.
    pub refund_of: Option<String>,
    /// The order.
    pub order: String,
    /// Minor units, positive.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// When, ms since 1970.
    pub at_ms: i64,
}

/// A break that books of this set must show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// Its class, such as `B-MISSING`.
    pub class: &'static str,
    /// What it is about: the id of the object or payout; of a line without an object its raw kind;
    /// of a reserve nothing.
    pub hint: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units as the table of breaks gives them: what was captured or paid out, or how far the
    /// row, payout or bank line lies above what it should be. Of money that left us it is negative.
    pub amount: i64,
}

/// A file as the provider or the bank would write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its layout.
    pub layout: Layout,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One generated world. What it says is invented.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Whose account.
    pub provider: ProviderKind,
    /// The popup that sold.
    pub popup: PopupId,
    /// What the tills say, in the order of time.
    pub claims: Vec<Claim>,
    /// What the provider's messages say: payments, refunds, disputes, and Stripe's payouts.
    pub objects: Vec<ProviderObject>,
    /// The payouts that the files state, as they must be read.
    pub stated: Vec<ProviderObject>,
    /// The normal lines that the files must give, in their order. `line` is empty where the file has
    /// no ids; `file` and `row` are empty.
    pub lines: Vec<SettlementLine>,
    /// The bank's movements that the file must give, likewise.
    pub bank: Vec<BankLine>,
    /// The files: the provider's, a second one of it where a line is corrected, the bank's.
    pub files: Vec<File>,
    /// The breaks of classes B that the books must find, sorted. Others may stand beside them, such
    /// as that a payout is known from a file alone.
    pub expected: Vec<Expected>,
    /// When every timer has run out, ms since 1970.
    pub as_of_ms: i64,
}

impl Set {
    /// The account as the books' rules know it.
    #[must_use]
    pub fn account_rules(&self) -> AccountRules {
        AccountRules {
            name: ACCOUNT.to_owned(),
            provider: self.provider,
            fees: Some(FEES),
            dispute_fee: None,
            offline_life_ms: 86_400_000,
            payout_bank: None,
        }
    }
}

/// Makes a set: faults that a provider's files cannot show are left out, each is planted once in a
/// place of its own.
#[must_use]
pub fn generate(provider: ProviderKind, seed: u64, faults: &[Fault]) -> Set {
    let mut world = world::World::new(provider, seed);
    plant::plant(&mut world, faults);
    write::set(world)
}

/// The same over given sales, such as those of a real day: (reference, order, minor units, ms since
/// 1970) of each capture, all of one currency of two decimals.
#[must_use]
pub fn generate_over(
    provider: ProviderKind,
    seed: u64,
    faults: &[Fault],
    currency: &str,
    captures: &[(String, String, i64, i64)],
) -> Set {
    let mut world = world::World::over(provider, seed, currency, captures);
    plant::plant(&mut world, faults);
    write::set(world)
}

#[cfg(test)]
mod tests;
