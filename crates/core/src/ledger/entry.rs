//! Entries: sets of legs that balance per commodity, and their ids.
//!
//! [`Balanced`] is the proof: its one constructor checks, and every store of entries asks for it
//! (L6). A leg's amount is positive for debit and negative for credit, so a reversal is the same
//! legs with the other sign, and balances are sums.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use super::{Account, Commodity, FactId, FieldHash};
use super::{put_text, put_varint, take_text, take_varint, unzigzag, zigzag};
use crate::invariant;

macro_rules! rules {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// Which posting rule made an entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $( #[doc = $doc] $name, )* }

        impl Rule {
            /// All rules that are in use.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];
            /// Changes when a rule posts the same fact differently.
            pub const VERSION: u32 = 1;

            /// Its name in the books.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// Finds a rule by its name.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.text() == text)
            }
        }
    };
}

rules! {
    Captured = "R10", "A capture by card or wallet.";
    CapturedCash = "R11", "A capture in cash.";
    CapturedOffline = "R12", "A capture while the provider could not be asked.";
    Shares = "R13", "Shares of creators in a sale.";
    SaleStock = "R14", "Stock that left with a sale.";
    Confirmed = "R15", "A provider confirms a claim.";
    SecondCharge = "R16", "A second charge on one reference: owed to the customer.";
    SecondChargeBack = "R17", "A second charge given back.";
    Unclaimed = "R18", "A provider took money that no till claims.";
    Unconfirmed = "R19", "A till claims money that the provider has not got.";
    Settled = "R20", "A settlement line, or how far lines and object differ.";
    Reserve = "R21", "Money set aside by a provider, or set free.";
    PaidOut = "R22", "A payout sent, arrived at the bank or come back.";
    Refund = "R23", "A refund asked.";
    ShareBack = "R24", "Shares that a refund or a lost payment takes back.";
    RefundConfirmed = "R25", "A provider confirms a refund, or it came undone.";
    OfflineLost = "R26", "A payment stored offline that the provider refused.";
    Dispute = "R27", "A dispute opened, won or lost.";
    ShareDispute = "R28", "Shares that a dispute takes, or gives back when it is won.";
    TokenIssued = "R30", "A token handed out.";
    TokenRedeemed = "R31", "A token used.";
    TokenLost = "R32", "A token used again, too late, or never handed out.";
    TokenEnded = "R33", "A token that ended unused, or paid a sale without lines.";
    StockIn = "R40", "Stock received, allocated or moved.";
    StockBack = "R41", "Stock handed over, or that came back with a refund.";
    StockAdjust = "R42", "Stock adjusted, or the certain skew of a count.";
    Oversold = "R43", "Stock used beyond what was there.";
    GapValue = "R50", "The value of a lost range.";
    GapExplained = "R51", "A provider's object explains part of a lost range.";
    Exchanged = "R62", "Charged in one currency, settled in another.";
    SharePaid = "R60", "A pool divided, a share released, or a creator paid.";
    Manual = "R61", "A cash count, or a manual entry.";
}

/// One leg: so much of one commodity on one account; debit positive, credit negative.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg {
    /// Where.
    pub account: Account,
    /// What of.
    pub commodity: Commodity,
    /// Minor units or items.
    pub amount: i64,
}

/// 16 bytes that name an entry by its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({self})")
    }
}

/// A set of legs made from one fact by one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The fact behind it.
    pub fact: FactId,
    /// The rule that made it.
    pub rule: Rule,
    /// When it happened, corrected, ms since 1970.
    pub occurred_ms: i64,
    /// The legs, ascending, one per account and commodity, none of them zero.
    pub legs: Vec<Leg>,
}

/// An entry whose legs sum to zero per commodity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balanced<T>(T);

/// Why legs are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// They do not sum to zero per commodity.
    #[error("the legs do not balance")]
    Unbalanced,
    /// A sum leaves the range of 64 bits.
    #[error("a sum of legs leaves the range of 64 bits")]
    Overflow,
}

impl Balanced<Entry> {
    /// Merges legs on the same account and commodity, drops zeros, sorts, and checks the balance.
    /// `Ok(None)` when nothing is left to post.
    pub fn new(
        fact: FactId,
        rule: Rule,
        occurred_ms: i64,
        legs: impl IntoIterator<Item = (Account, Commodity, i128)>,
    ) -> Result<Option<Self>, EntryFault> {
        let mut sums: BTreeMap<(Account, Commodity), i128> = BTreeMap::new();
        for (account, commodity, amount) in legs {
            let sum = sums.entry((account, commodity)).or_default();
            *sum = sum.checked_add(amount).ok_or(EntryFault::Overflow)?;
        }
        let legs = sums
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .map(|((account, commodity), amount)| {
                let amount = i64::try_from(amount).map_err(|_| EntryFault::Overflow)?;
                Ok(Leg {
                    account,
                    commodity,
                    amount,
                })
            })
            .collect::<Result<Vec<_>, EntryFault>>()?;
        invariant::books_balance(legs.iter().map(|leg| (&leg.commodity, leg.amount)))
            .map_err(|_| EntryFault::Unbalanced)?;
        Ok((!legs.is_empty()).then_some(Self(Entry {
            fact,
            rule,
            occurred_ms,
            legs,
        })))
    }

    /// The entry.
    #[must_use]
    pub fn get(&self) -> &Entry {
        &self.0
    }

    /// Its id: the same fact, rule and legs give the same one.
    #[must_use]
    pub fn id(&self) -> EntryId {
        let entry = &self.0;
        let mut hash = FieldHash::new("popwatch.entry.v1");
        hash.field(&entry.fact.0)
            .field(entry.rule.text().as_bytes())
            .field(&Rule::VERSION.to_le_bytes());
        for leg in &entry.legs {
            hash.field(leg.account.of.code().as_bytes())
                .field(leg.account.part.as_bytes())
                .field(leg.commodity.to_string().as_bytes())
                .field(&leg.amount.to_le_bytes());
        }
        EntryId(hash.finish())
    }
}

/// Legs as packed bytes: count, then per leg code, part, commodity, zigzag amount.
#[must_use]
pub fn encode_legs(legs: &[Leg]) -> Vec<u8> {
    let mut out = Vec::with_capacity(legs.len() * 24);
    put_varint(&mut out, legs.len() as u64);
    for leg in legs {
        put_text(&mut out, leg.account.of.code());
        put_text(&mut out, &leg.account.part);
        put_text(&mut out, &leg.commodity.to_string());
        put_varint(&mut out, zigzag(leg.amount));
    }
    out
}

/// Reads what [`encode_legs`] wrote; `None` for damage.
#[must_use]
pub fn decode_legs(bytes: &[u8]) -> Option<Vec<Leg>> {
    let mut rest = bytes;
    let count = take_varint(&mut rest)?;
    let mut legs = Vec::new();
    for _ in 0..count {
        let of = super::Chart::from_code(take_text(&mut rest)?)?;
        let account = Account::of(of, take_text(&mut rest)?);
        let commodity = Commodity::parse(take_text(&mut rest)?)?;
        let amount = unzigzag(take_varint(&mut rest)?);
        legs.push(Leg {
            account,
            commodity,
            amount,
        });
    }
    rest.is_empty().then_some(legs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sku;
    use crate::ledger::Chart;
    use crate::money::Currency;

    fn leg(of: Chart, code: &str, amount: i128) -> (Account, Commodity, i128) {
        let commodity = Currency::new(code).map_or_else(
            || Commodity::Units(Sku::new(code).unwrap()),
            Commodity::Money,
        );
        (Account::plain(of), commodity, amount)
    }

    fn make(legs: &[(Account, Commodity, i128)]) -> Result<Option<Balanced<Entry>>, EntryFault> {
        Balanced::new(FactId([7; 16]), Rule::Captured, 5, legs.iter().cloned())
    }

    #[test]
    fn only_balanced_legs_become_an_entry() {
        let good = [
            leg(Chart::Bank, "GBP", 5),
            leg(Chart::Sales, "GBP", -5),
            leg(Chart::StockSold, "a", 1),
            leg(Chart::StockPool, "a", -1),
        ];
        assert!(make(&good).unwrap().is_some());
        for at in 0..good.len() {
            let mut short = good.to_vec();
            short.remove(at);
            assert_eq!(
                make(&short),
                Err(EntryFault::Unbalanced),
                "without leg {at}"
            );
        }
        let across = [leg(Chart::Bank, "GBP", 5), leg(Chart::Sales, "EUR", -5)];
        assert_eq!(make(&across), Err(EntryFault::Unbalanced));
        let huge = [
            leg(Chart::Bank, "GBP", i128::from(i64::MAX) + 1),
            leg(Chart::Sales, "GBP", -i128::from(i64::MAX) - 1),
        ];
        assert_eq!(make(&huge), Err(EntryFault::Overflow));
    }

    #[test]
    fn the_order_of_legs_does_not_change_the_id() {
        let legs = [
            leg(Chart::Bank, "GBP", 5),
            leg(Chart::Sales, "GBP", -3),
            leg(Chart::Sales, "GBP", -2),
            leg(Chart::Tax, "GBP", 0),
        ];
        let mut other = legs.to_vec();
        other.reverse();
        let (one, other) = (
            make(&legs).unwrap().unwrap(),
            make(&other).unwrap().unwrap(),
        );
        assert_eq!(one.id(), other.id());
        assert_eq!(one.get().legs.len(), 2);
        let bytes = encode_legs(&one.get().legs);
        assert_eq!(decode_legs(&bytes).as_ref(), Some(&one.get().legs));
        assert_eq!(decode_legs(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn nothing_left_is_no_entry() {
        let legs = [leg(Chart::Bank, "GBP", 5), leg(Chart::Bank, "GBP", -5)];
        assert_eq!(make(&legs), Ok(None));
    }
}
