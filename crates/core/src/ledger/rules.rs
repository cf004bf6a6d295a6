//! What the books are told beside facts: provider accounts and timers.
//!
//! They are an argument of every evaluation, never read from the world: the same facts and rules give
//! the same books. What a popup promises its creators travels in its policy records instead.

use alloc::string::String;
use alloc::vec::Vec;

use crate::money::div_half_even;
use crate::provider::ProviderKind;

/// A provider account that belongs to this org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRules {
    /// Its name in the configuration; with the provider it names the account's book.
    pub name: String,
    /// Which provider.
    pub provider: ProviderKind,
    /// What the provider takes for a payment, when it is known beforehand.
    pub fees: Option<FeeModel>,
    /// What the provider takes for a dispute, minor units, when it is known beforehand.
    pub dispute_fee: Option<i64>,
    /// How long the provider keeps a payment that a device stored, ms.
    pub offline_life_ms: i64,
    /// The bank account its payouts go to, as bank files name it; `None` where any will do.
    pub payout_bank: Option<String>,
}

/// A fee: so much of the amount, and so much beside it, at most so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeModel {
    /// Millionths of the amount.
    pub percent_ppm: u32,
    /// Minor units.
    pub fixed: i64,
    /// Minor units.
    pub cap: Option<i64>,
}

impl FeeModel {
    /// What is taken for an amount, minor units: the part is rounded once, half to even.
    #[must_use]
    pub fn of(&self, amount: i64) -> i64 {
        let scaled = i128::from(amount).saturating_mul(i128::from(self.percent_ppm));
        let part = div_half_even(scaled, 1_000_000);
        let fee = i64::try_from(part)
            .unwrap_or(i64::MAX)
            .saturating_add(self.fixed);
        self.cap.map_or(fee, |cap| fee.min(cap))
    }
}

/// How long a difference may last before it is a break, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// From a claim to its object.
    pub confirm_ms: i64,
    /// From an object to its claim.
    pub unclaimed_ms: i64,
    /// From a captured object to its settlement line, and from a line to its payout.
    pub settle_ms: i64,
    /// From a payout to its bank line.
    pub bank_ms: i64,
    /// From a popup's end until shares are available, where the rate card says nothing.
    pub hold_ms: i64,
    /// Before a popup's start its facts may already come.
    pub before_ms: i64,
    /// After a popup's end its facts may still come.
    pub after_ms: i64,
}

impl Timers {
    /// 30 min, 30 min, 3 days, 3 days, 14 days; a window of 2 h before and 6 h after.
    pub const DEFAULT: Self = Self {
        confirm_ms: 30 * 60_000,
        unclaimed_ms: 30 * 60_000,
        settle_ms: 3 * 86_400_000,
        bank_ms: 3 * 86_400_000,
        hold_ms: 14 * 86_400_000,
        before_ms: 2 * 3_600_000,
        after_ms: 6 * 3_600_000,
    };
}

/// Everything an evaluation is told beside facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Provider accounts of this org, ascending by name.
    pub accounts: Vec<AccountRules>,
    /// Timers.
    pub timers: Timers,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            timers: Timers::DEFAULT,
        }
    }
}

impl Rules {
    /// The account a claim of this provider belongs to: the one of that name, else the only one of
    /// that kind; without a provider the org's only account. `None` when nothing can check the claim.
    #[must_use]
    pub fn account_of(&self, provider: Option<&str>) -> Option<&AccountRules> {
        let mut fitting = self.accounts.iter().filter(|account| {
            provider.is_none_or(|name| account.name == name || account.provider.text() == name)
        });
        let by_name = self
            .accounts
            .iter()
            .find(|account| Some(account.name.as_str()) == provider);
        by_name.or_else(|| fitting.next().filter(|_| fitting.next().is_none()))
    }

    /// The account of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&AccountRules> {
        self.accounts.iter().find(|account| account.name == name)
    }
}
