//! The chart of accounts and what amounts can be of.
//!
//! An account is a row of the chart and, where the row is kept per rig, provider, break and so on,
//! the part that tells it apart: `1100:till-1:stripe`. Positive balances of debit rows and negative
//! balances of credit rows are the usual state; rows that may have any sign say so in the ledger's
//! documents, not here.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::id::{CreatorId, RigId, Sku};
use crate::money::Currency;

macro_rules! chart {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        /// A row of the chart of accounts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Chart { $( #[doc = $title] $name, )* }

        impl Chart {
            /// All rows, ascending by code within their kind.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The code, such as `1100` or `S120`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $( Self::$name => $code, )* }
            }

            /// The name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )* }
            }
        }
    };
}

chart! {
    CashTill = "1010", "cash in the till";
    EdgeCaptured = "1100", "captured at the till, not yet confirmed";
    OfflineStored = "1110", "taken offline, not yet confirmed";
    ManualClearing = "1190", "manual entries to be cleared";
    PspPending = "1200", "with the provider, not yet settled";
    PspAvailable = "1210", "with the provider, settled";
    PspReserve = "1220", "held back by the provider";
    PspDisputeHold = "1230", "held for disputes";
    PayoutTransit = "1300", "payouts on their way";
    Bank = "1310", "bank";
    CreatorReceivable = "1400", "owed by creators";
    CustomerReceivable = "1410", "owed by customers";
    Tax = "2010", "tax collected";
    Tips = "2020", "tips to be passed on";
    CreatorHeld = "2030", "creators' shares, held";
    CreatorAvailable = "2031", "creators' shares, available";
    CoopPool = "2040", "co-op pool";
    TokenValue = "2050", "value of tokens sold";
    TokenClearing = "2055", "tokens between redemption and sale";
    RefundPayable = "2070", "refunds asked, not yet confirmed";
    CustomerOvercharge = "2080", "charged too much, owed back";
    Suspense = "3900", "not explained yet";
    FxClearing = "3950", "between currencies";
    Sales = "4010", "sales";
    Promo = "4020", "promotions";
    Returns = "4030", "returns";
    TokenBreakage = "4050", "tokens that ended unused";
    FxRounding = "4060", "rounding between currencies";
    Manual = "4090", "manual entries";
    Fee = "5010", "provider fees";
    FeeTax = "5011", "tax on provider fees";
    SchemeFee = "5012", "card scheme fees";
    DisputeLoss = "5020", "disputes lost";
    DisputeFee = "5021", "dispute fees";
    OfflineLoss = "5030", "offline payments lost";
    TokenLoss = "5031", "tokens used twice or never issued";
    Commission = "5040", "creators' commission";
    CashOverShort = "5050", "cash over or short";
    Unexplained = "5090", "accepted without explanation";
    StockWorld = "S100", "outside world";
    StockPool = "S120", "shared stock";
    StockRights = "S130", "set aside for a rig";
    StockHeld = "S140", "held in carts";
    StockSold = "S150", "sold";
    StockHandedOver = "S160", "handed over";
    StockReturned = "S170", "returned, not yet restocked";
    StockAdjust = "S180", "adjusted";
    StockDamaged = "S190", "damaged";
    StockOversold = "S195", "oversold";
    TokenIssuer = "T100", "token issuer";
    TokenOutstanding = "T110", "tokens outstanding";
    TokenRights = "T120", "tokens leased to a rig";
    TokenRedeemed = "T130", "tokens redeemed";
    TokenExpired = "T140", "tokens expired";
    TokenVoided = "T150", "tokens voided";
    TokenConflict = "T160", "tokens in conflict";
}

impl Chart {
    /// Finds a row by its code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|row| row.code() == code)
    }

    /// Whether units standing here can still be sold.
    #[must_use]
    pub fn is_on_hand(self) -> bool {
        matches!(self, Self::StockPool | Self::StockRights | Self::StockHeld)
    }
}

/// One account: a row of the chart and the part that tells it apart, empty where the row is one
/// account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The row.
    pub of: Chart,
    /// Rig, rig and provider, break …; empty for most rows.
    pub part: String,
}

impl Account {
    /// A row that is one account.
    #[must_use]
    pub fn plain(of: Chart) -> Self {
        Self {
            of,
            part: String::new(),
        }
    }

    /// A row's account for one part.
    #[must_use]
    pub fn of(of: Chart, part: &str) -> Self {
        Self {
            of,
            part: part.to_string(),
        }
    }

    /// A row's account for a rig and a provider; `-` where the till did not name the provider.
    #[must_use]
    pub fn at_provider(of: Chart, rig: &RigId, provider: Option<&str>) -> Self {
        Self {
            of,
            part: format!("{rig}:{}", provider.unwrap_or("-")),
        }
    }

    /// Reads what Display wrote; `None` for an unknown code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (code, part) = text.split_once(':').unwrap_or((text, ""));
        Chart::from_code(code).map(|of| Self::of(of, part))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of.code())?;
        if self.part.is_empty() {
            Ok(())
        } else {
            write!(f, ":{}", self.part)
        }
    }
}

/// What a leg counts: nothing adds across commodities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Commodity {
    /// Minor units of a currency.
    Money(Currency),
    /// Items of a SKU.
    Units(Sku),
    /// Tokens of a campaign: those of one creator, or of the `house`.
    Tokens(CreatorId),
}

impl Commodity {
    /// The currency, `None` for stock and tokens.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        match self {
            Self::Money(currency) => Some(*currency),
            Self::Units(_) | Self::Tokens(_) => None,
        }
    }

    /// The SKU, `None` for money and tokens.
    #[must_use]
    pub fn sku(&self) -> Option<&Sku> {
        match self {
            Self::Money(_) | Self::Tokens(_) => None,
            Self::Units(sku) => Some(sku),
        }
    }

    /// Reads what Display wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(sku) = text.strip_prefix("u:") {
            return Sku::new(sku).ok().map(Self::Units);
        }
        match text.strip_prefix("t:") {
            Some(campaign) => CreatorId::new(campaign).ok().map(Self::Tokens),
            None => Currency::new(text).map(Self::Money),
        }
    }
}

/// `GBP`, `u:` and the SKU, or `t:` and the campaign.
impl fmt::Display for Commodity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(currency) => f.write_str(currency.code()),
            Self::Units(sku) => write!(f, "u:{sku}"),
            Self::Tokens(campaign) => write!(f, "t:{campaign}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_commodities_read_back() {
        for row in Chart::ALL {
            for account in [Account::plain(*row), Account::of(*row, "till-1:a:b")] {
                assert_eq!(Account::parse(&account.to_string()), Some(account));
            }
        }
        for commodity in [
            Commodity::Money(Currency::new("GBP").unwrap()),
            Commodity::Units(Sku::new("GBP").unwrap()),
            Commodity::Tokens(CreatorId::new("GBP").unwrap()),
        ] {
            assert_eq!(Commodity::parse(&commodity.to_string()), Some(commodity));
        }
        assert_eq!(Account::parse("9999"), None);
    }

    #[test]
    fn codes_are_unique() {
        for (at, row) in Chart::ALL.iter().enumerate() {
            assert_eq!(Chart::from_code(row.code()), Some(Chart::ALL[at]));
        }
    }
}
