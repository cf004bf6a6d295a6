//! What a popup promises creators, co-ops and suppliers, as people write it: in a policy, or in a
//! configuration.

use std::collections::BTreeSet;

use popwatch_core::event::commerce::{Commerce, Coop, CoopMember, ShareCard, WHOLE_PPM};
use popwatch_core::id::CreatorId;
use popwatch_core::limits::{
    AMOUNT_MINOR_MAX, COMMERCE_COOPS_MAX, COMMERCE_SHARES_MAX, COOP_MEMBERS_MAX, HOLD_DAYS_MAX,
};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use super::SectionFault;
use super::cursor::{Cursor, Fields, Read};

/// What a popup promises creators, co-ops and suppliers: `[popups.commerce]` of a configuration,
/// `commerce` of a policy.
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
    /// As a journal states it.
    pub fn checked(&self) -> Result<Commerce, SectionFault> {
        let wrong = SectionFault::field;
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
                let problem = String::from("is not one of the coops");
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

/// The section of a policy; an empty one says nothing.
pub(super) fn read(of: &Cursor<'_>) -> Read<Option<Commerce>> {
    let mut fields = of.map()?;
    if fields.is_empty() {
        return Ok(None);
    }
    let mut said = CommerceConfig {
        stock: choice(&mut fields, "stock", "received and all")?,
        returns: choice(&mut fields, "returns", "by_lines and by_moves")?,
        lines: choice(&mut fields, "lines", "net and gross")?,
        offline_loss: choice(&mut fields, "offline_loss", "shop and customer")?,
        offline_reverses_share: flag(&mut fields, "offline_reverses_share")?,
        dispute_keeps_share: flag(&mut fields, "dispute_keeps_share")?,
        ..CommerceConfig::default()
    };
    if let Some(shares) = fields.take("shares") {
        for card in shares.list(COMMERCE_SHARES_MAX)? {
            said.shares.push(share(&card)?);
        }
    }
    if let Some(coops) = fields.take("coops") {
        for coop in coops.list(COMMERCE_COOPS_MAX)? {
            let mut coop = coop.map()?;
            let name = coop.need("name")?.text()?.to_owned();
            let mut members = Vec::new();
            for member in coop.need("members")?.list(COOP_MEMBERS_MAX)? {
                let mut member = member.map()?;
                members.push(CoopMemberConfig {
                    name: member.need("name")?.text()?.to_owned(),
                    weight_ppm: member.need("weight_ppm")?.small(0, WHOLE_PPM)?,
                });
                member.done()?;
            }
            said.coops.push(CoopConfig { name, members });
            coop.done()?;
        }
    }
    fields.done()?;
    said.checked().or_else(|fault| fault.at(of)).map(Some)
}

fn share(of: &Cursor<'_>) -> Read<ShareConfig> {
    let mut fields = of.map()?;
    let number = |of: Option<Cursor<'_>>, max| of.map(|of| of.small(0, max)).transpose();
    let (cap, coop) = (fields.take("cap"), fields.take("coop"));
    let card = ShareConfig {
        creator: fields.need("creator")?.text()?.to_owned(),
        rate_ppm: fields.need("rate_ppm")?.small(0, WHOLE_PPM)?,
        tips_ppm: number(fields.take("tips_ppm"), WHOLE_PPM)?,
        hold_days: number(fields.take("hold_days"), HOLD_DAYS_MAX)?,
        cap: cap.map(|cap| cap.number(0, AMOUNT_MINOR_MAX)).transpose()?,
        coop: coop
            .map(|coop| coop.text().map(str::to_owned))
            .transpose()?,
    };
    fields.done()?;
    Ok(card)
}

fn choice<T>(fields: &mut Fields<'_>, name: &str, known: &str) -> Read<T>
where
    T: Default + for<'a> Deserialize<'a>,
{
    let parse = |text: &str| {
        let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        T::deserialize(text).ok()
    };
    fields
        .take(name)
        .map_or_else(|| Ok(T::default()), |of| of.one(parse, known))
}

fn flag(fields: &mut Fields<'_>, name: &str) -> Read<bool> {
    fields.take(name).map_or(Ok(false), |of| of.flag())
}
