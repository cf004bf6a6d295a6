//! `[popups.commerce]`: what a popup promises, checked before it is journaled.

use std::collections::BTreeSet;

use popwatch_core::event::commerce::{Commerce, Coop, CoopMember, ShareCard, WHOLE_PPM};
use popwatch_core::id::{CreatorId, PopupId};
use popwatch_core::limits::{
    AMOUNT_MINOR_MAX, COMMERCE_COOPS_MAX, COMMERCE_SHARES_MAX, COOP_MEMBERS_MAX, HOLD_DAYS_MAX,
};
use serde::Deserialize;

use super::ConfigFault;

/// `[popups.commerce]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommerceConfig {
    /// Rate cards.
    pub shares: Vec<ShareConfig>,
    /// Co-ops.
    pub coops: Vec<CoopConfig>,
    /// Which SKUs are stocked. Default: those that somebody received or allocated.
    pub stock: StockRule,
    /// When goods are back. Default: when a refund names their lines.
    pub returns: ReturnsRule,
    /// What lines hold. Default: no tax.
    pub lines: LinesRule,
    /// Who bears a payment that was stored offline and refused. Default: the shop.
    pub offline_loss: OfflineLoss,
    /// A payment stored offline that is lost takes its creator's share with it.
    pub offline_reverses_share: bool,
    /// A dispute leaves its creator's share as it is.
    pub dispute_keeps_share: bool,
}

/// One entry of `shares`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareConfig {
    /// Whose.
    pub creator: String,
    /// Of the goods before tax, millionths.
    pub rate_ppm: u32,
    /// Of the tip, millionths. Default: all of it.
    pub tips_ppm: Option<u32>,
    /// Days after the popup's end until the share is available. Default: the ledger's.
    pub hold_days: Option<u32>,
    /// The share of one payment is at most this, minor units. Default: no bound.
    pub cap: Option<i64>,
    /// The co-op into whose pool the share goes. Default: none.
    pub coop: Option<String>,
}

/// One entry of `coops`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoopConfig {
    /// Its name.
    pub name: String,
    /// Its members; their weights are a whole.
    pub members: Vec<CoopMemberConfig>,
}

/// One member of a co-op.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoopMemberConfig {
    /// Who.
    pub name: String,
    /// Of the pool, millionths.
    pub weight_ppm: u32,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident { $(#[$adoc:meta])* $a:ident, $(#[$bdoc:meta])* $b:ident })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $(#[$adoc])* #[default] $a, $(#[$bdoc])* $b }
    )*};
}

rules! {
    /// Which SKUs are stocked.
    StockRule {
        /// Those that somebody received or allocated.
        Received,
        /// All.
        All
    }
    /// When goods are back.
    ReturnsRule {
        /// When a refund names their lines.
        ByLines,
        /// When they are moved.
        ByMoves
    }
    /// What the lines of a sale hold.
    LinesRule {
        /// No tax.
        Net,
        /// Tax.
        Gross
    }
    /// Who bears a payment that was stored offline and refused.
    OfflineLoss {
        /// The shop.
        Shop,
        /// The customer, who owes it.
        Customer
    }
}

impl CommerceConfig {
    /// As the journal states it.
    pub(super) fn checked(&self, popup: &PopupId) -> Result<Commerce, ConfigFault> {
        let wrong = |field: &str, problem: String| ConfigFault::Value {
            field: format!("popups.commerce.{field} of {popup}"),
            problem,
        };
        let few = |field: &str, count: usize, max: usize| match count > max {
            true => Err(wrong(field, format!("has more than {max} entries"))),
            false => Ok(()),
        };
        few("shares", self.shares.len(), COMMERCE_SHARES_MAX)?;
        few("coops", self.coops.len(), COMMERCE_COOPS_MAX)?;
        let mut creators = BTreeSet::new();
        for card in &self.shares {
            card.check()
                .map_err(|(field, problem)| wrong(&format!("shares.{field}"), problem))?;
            if !creators.insert(&card.creator) {
                let problem = String::from("names a creator twice");
                return Err(wrong("shares.creator", problem));
            }
            let coop = card.coop.as_ref();
            if coop.is_some_and(|name| !self.coops.iter().any(|coop| coop.name == *name)) {
                let problem = String::from("is not one of popups.commerce.coops");
                return Err(wrong("shares.coop", problem));
            }
        }
        let mut names = BTreeSet::new();
        for coop in &self.coops {
            few("coops.members", coop.members.len(), COOP_MEMBERS_MAX)?;
            if !names.insert(&coop.name) || !coop.stated().is_whole() {
                let problem = format!(
                    "must be different co-ops, each of different members whose weights are \
                     {WHOLE_PPM} together"
                );
                return Err(wrong("coops", problem));
            }
            let people = coop.members.iter().map(|member| &member.name);
            if people
                .chain([&coop.name])
                .any(|name| CreatorId::new(name).is_err())
            {
                let problem = String::from("must be names of at most 64 bytes");
                return Err(wrong("coops", problem));
            }
        }
        Ok(self.stated())
    }

    fn stated(&self) -> Commerce {
        let card = |card: &ShareConfig| ShareCard {
            creator: card.creator.clone(),
            rate_ppm: card.rate_ppm,
            tips_ppm: card.tips_ppm,
            hold_days: card.hold_days,
            cap: card.cap,
            coop: card.coop.clone().unwrap_or_default(),
        };
        Commerce {
            shares: self.shares.iter().map(card).collect(),
            coops: self.coops.iter().map(CoopConfig::stated).collect(),
            stock_all: self.stock == StockRule::All,
            returns_by_moves: self.returns == ReturnsRule::ByMoves,
            lines_gross: self.lines == LinesRule::Gross,
            offline_owed: self.offline_loss == OfflineLoss::Customer,
            offline_reverses_share: self.offline_reverses_share,
            dispute_keeps_share: self.dispute_keeps_share,
        }
    }
}

impl ShareConfig {
    /// What is wrong with it: the field and the problem.
    fn check(&self) -> Result<(), (&'static str, String)> {
        CreatorId::new(&self.creator).map_err(|fault| ("creator", fault.to_string()))?;
        let share = |ppm: u32| ppm <= WHOLE_PPM;
        let range = |max: String| format!("must lie between 0 and {max}");
        if !share(self.rate_ppm) {
            return Err(("rate_ppm", range(WHOLE_PPM.to_string())));
        }
        if !self.tips_ppm.is_none_or(share) {
            return Err(("tips_ppm", range(WHOLE_PPM.to_string())));
        }
        if self.hold_days.is_some_and(|days| days > HOLD_DAYS_MAX) {
            return Err(("hold_days", range(HOLD_DAYS_MAX.to_string())));
        }
        if !self
            .cap
            .is_none_or(|cap| (0..=AMOUNT_MINOR_MAX).contains(&cap))
        {
            return Err(("cap", range(AMOUNT_MINOR_MAX.to_string())));
        }
        Ok(())
    }
}

impl CoopConfig {
    fn stated(&self) -> Coop {
        let member = |member: &CoopMemberConfig| CoopMember {
            name: member.name.clone(),
            weight_ppm: member.weight_ppm,
        };
        Coop {
            name: self.name.clone(),
            members: self.members.iter().map(member).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: &str = r#"
        stock = "all"
        returns = "by_moves"
        shares = [
          { creator = "ana", rate_ppm = 125_000, hold_days = 7 },
          { creator = "bo", rate_ppm = 80_000, tips_ppm = 500_000, cap = 900, coop = "north" },
        ]
        [[coops]]
        name = "north"
        members = [{ name = "bo", weight_ppm = 400_000 }, { name = "cy", weight_ppm = 600_000 }]
    "#;

    fn checked(text: &str) -> Result<Commerce, String> {
        let config: CommerceConfig = toml::from_str(text).map_err(|fault| fault.to_string())?;
        let popup = PopupId::new("fri").unwrap();
        config.checked(&popup).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_promised_is_stated() {
        let commerce = checked(CARDS).unwrap();
        assert!(commerce.stock_all && commerce.returns_by_moves && !commerce.lines_gross);
        assert_eq!(commerce.card("bo").unwrap().coop, "north");
        assert_eq!(commerce.coop("north").unwrap().members.len(), 2);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (good, bad, said) in [
            ("600_000", "600_001", "1000000"),
            ("125_000", "1_000_001", "rate_ppm"),
            ("coop = \"north\"", "coop = \"south\"", "shares.coop"),
            ("creator = \"bo\"", "creator = \"ana\"", "twice"),
            ("cap = 900", "cap = -1", "cap"),
            ("hold_days = 7", "hold_days = 9999", "hold_days"),
            ("\"by_moves\"", "\"by_magic\"", "by_magic"),
        ] {
            let fault = checked(&CARDS.replace(good, bad)).unwrap_err();
            assert!(fault.contains(said), "{bad}: {fault}");
        }
    }
}
