//! How far the money of a popup has come, and what a person could decide: claims, payments stored
//! offline, payouts with their residuals, pairs that nothing but time and amount speaks for.
//!
//! Reading changes nothing. A suggestion never posts; only a decision does.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::event::Event;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::ledger::entry::Rule;
use popwatch_core::ledger::group::{GroupKey, GroupKind, keys_of};
use popwatch_core::ledger::pairing::{OpenEnd, Suggestion, open_ends, suggest};
use popwatch_core::ledger::payout::{self, Explained};
use popwatch_core::ledger::{Account, Chart, FactId, Leg, statement};
use popwatch_core::limits::{
    PAYOUTS_EXPLAINED_MAX, SUGGEST_APART_MS, SUGGEST_CLAIMS_MAX, SUGGEST_OBJECTS_MAX,
};
use popwatch_core::money::Currency;

use super::db::values;
use super::groups::{claims, look};
use super::posting::Poster;
use super::rows::{column, number};
use super::{Books, BooksFault};

/// The type of a capture, as the records number it.
const CAPTURED: i64 = 11;
/// The type of a provider's object.
const OBJECT: i64 = 140;

/// How far claims of one currency have come, minor units. Cash is claimed of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims {
    /// Tills say that providers took it; stored payments are in it.
    pub claimed: i128,
    /// Of it providers say the same.
    pub confirmed: i128,
    /// Settlement lines list it.
    pub settled: i128,
    /// Of the claimed: stored on a device, not authorised by anybody yet.
    pub stored_offline: i128,
}

/// Payments that one rig stored offline and nobody authorised yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The rig.
    pub rig: RigId,
    /// The provider; `-` where the sale names none.
    pub provider: String,
    /// ISO 4217.
    pub currency: Currency,
    /// How many.
    pub count: u64,
    /// Σ, minor units.
    pub amount: i128,
    /// When the first of them was taken, ms since 1970.
    pub oldest_ms: i64,
    /// When the provider gives the first of them up, ms since 1970, where that is known.
    pub expires_ms: Option<i64>,
    /// Shares of creators and co-ops in them, minor units.
    pub share_at_risk: i128,
}

/// What of a popup's money is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unsettled {
    /// By currency.
    pub claims: BTreeMap<Currency, Claims>,
    /// By rig, provider and currency.
    pub exposure: Vec<Exposure>,
    /// K4: claims and objects that may be one payment.
    pub suggestions: Vec<Suggestion>,
    /// Open claims that were not compared for them, the oldest ones: there are more than
    /// [`SUGGEST_CLAIMS_MAX`].
    pub not_compared: u64,
    /// Payouts that carry this popup's lines, with their residuals, 0 too.
    pub payouts: Vec<Explained>,
}

impl Books {
    /// Money of each popup that its provider has not confirmed, or that a break stands about: captured
    /// minus refunded, minor units. A popup of which nothing waits is there with nothing; without an
    /// account at a provider nobody is asked, and none is there. Its cost grows with the claims that are
    /// open.
    pub fn waiting(&self) -> Result<BTreeMap<PopupId, BTreeMap<Currency, i64>>, BooksFault> {
        if self.terms.rules.accounts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut out = claims::waiting(&self.db)?;
        for popup in self.popups()? {
            out.entry(popup).or_default();
        }
        Ok(out)
    }

    /// How far the money of a popup has come.
    pub fn unsettled(&self, popup: &PopupId) -> Result<Unsettled, BooksFault> {
        let (claims, stored) = self.claims(popup)?;
        Ok(Unsettled {
            claims,
            exposure: self.exposure(&stored)?,
            suggestions: self.suggestions(popup)?,
            not_compared: self.not_compared(popup)?,
            payouts: self.payouts(popup)?,
        })
    }

    /// Payments stored offline, by rig, provider and currency.
    pub fn exposed(&self, popup: &PopupId) -> Result<Vec<Exposure>, BooksFault> {
        let (_, stored) = self.claims(popup)?;
        self.exposure(&stored)
    }

    /// Sums of claims, and the captures stored offline.
    fn claims(
        &self,
        popup: &PopupId,
    ) -> Result<(BTreeMap<Currency, Claims>, Vec<FactId>), BooksFault> {
        let rules = [
            Rule::Captured,
            Rule::CapturedOffline,
            Rule::Confirmed,
            Rule::Settled,
        ];
        let (mut sums, mut stored) = (BTreeMap::<Currency, Claims>::new(), Vec::new());
        for entry in self.entries_by(popup, &rules)? {
            if entry.rule == Rule::CapturedOffline {
                stored.push(entry.fact);
            }
            for leg in &entry.legs {
                if let Some(currency) = leg.commodity.currency() {
                    count(sums.entry(currency).or_default(), entry.rule, leg);
                }
            }
        }
        let view = self.books(popup)?;
        for (currency, books) in &view.currencies {
            let stands = books
                .accounts
                .iter()
                .filter(|line| line.account.of == Chart::OfflineStored)
                .map(|line| i128::from(line.balance()))
                .sum::<i128>();
            if stands != 0 {
                sums.entry(*currency).or_default().stored_offline = stands;
            }
        }
        sums.retain(|_, of| *of != Claims::default());
        Ok((sums, stored))
    }

    fn exposure(&self, stored: &[FactId]) -> Result<Vec<Exposure>, BooksFault> {
        let mut out: BTreeMap<(RigId, String, Currency), Exposure> = BTreeMap::new();
        for id in stored {
            let Some(sale) = self.stated(*id)? else {
                continue;
            };
            let Event::PaymentCaptured(of) = &sale.event else {
                continue;
            };
            let stands = self.stored_offline(&sale)?;
            if stands == 0 {
                continue;
            }
            let named = of.provider.as_ref().map(ToString::to_string);
            let life = (self.terms.rules.account_of(named.as_deref()))
                .map(|account| account.offline_life_ms)
                .filter(|life| *life > 0);
            let rig = sale.position.rig.clone();
            let provider = named.unwrap_or_else(|| String::from("-"));
            let key = (rig.clone(), provider.clone(), of.currency);
            let one = out.entry(key).or_insert(Exposure {
                rig,
                provider,
                currency: of.currency,
                count: 0,
                amount: 0,
                oldest_ms: sale.occurred_ms,
                expires_ms: None,
                share_at_risk: 0,
            });
            one.count += 1;
            one.amount += stands;
            one.oldest_ms = one.oldest_ms.min(sale.occurred_ms);
            one.expires_ms = life.map(|life| one.oldest_ms.saturating_add(life));
            for cause in statement::causes(&sale) {
                let entries = self.entries_of(&sale.popup, cause)?;
                one.share_at_risk += entries.iter().flatten().map(share).sum::<i128>();
            }
        }
        Ok(out.into_values().collect())
    }

    /// Open claims of a popup beyond those that are compared.
    fn not_compared(&self, popup: &PopupId) -> Result<u64, BooksFault> {
        let all: i64 = self
            .db
            .one(
                "SELECT COUNT(*) FROM open_claims c
                 JOIN facts f ON f.fact_id = c.fact_id AND f.rig = c.rig AND f.epoch = c.epoch
                   AND f.seq = c.seq
                 WHERE f.book = ?1 AND f.kind = ?2 AND f.state = 1",
                values![popup.as_str(), CAPTURED],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("count claims"))?;
        Ok(number(all).saturating_sub(SUGGEST_CLAIMS_MAX as u64))
    }

    /// K4 over the open claims of a popup and the objects around them that nothing is paired with.
    fn suggestions(&self, popup: &PopupId) -> Result<Vec<Suggestion>, BooksFault> {
        let claims: Vec<([u8; 16], i64)> = self
            .db
            .rows(
                "SELECT f.fact_id, f.occurred_ms FROM open_claims c
                 JOIN facts f ON f.fact_id = c.fact_id AND f.rig = c.rig AND f.epoch = c.epoch
                   AND f.seq = c.seq
                 WHERE f.book = ?1 AND f.kind = ?2 AND f.state = 1
                 ORDER BY f.occurred_ms DESC, f.fact_id LIMIT ?3",
                values![popup.as_str(), CAPTURED, column(SUGGEST_CLAIMS_MAX as u64)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read claims"))?;
        let (Some((_, newest)), Some((_, oldest))) = (claims.first(), claims.last()) else {
            return Ok(Vec::new());
        };
        let from = oldest.saturating_sub(SUGGEST_APART_MS);
        let until = newest.saturating_add(SUGGEST_APART_MS);
        let objects: Vec<[u8; 16]> = self
            .db
            .rows(
                "SELECT DISTINCT fact_id FROM facts
                 WHERE kind = ?1 AND state = 1 AND occurred_ms BETWEEN ?2 AND ?3
                 ORDER BY fact_id LIMIT ?4",
                values![OBJECT, from, until, column(SUGGEST_OBJECTS_MAX as u64)],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read objects"))?;
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let all = claims.iter().map(|(id, _)| *id).chain(objects);
        let (mut left, mut right) = self.open_ends(all.map(FactId))?;
        left.retain(|end| end.book == popup.as_str());
        right.retain(|end| end.book.starts_with('~') || end.book == popup.as_str());
        Ok(suggest(&left, &right))
    }

    /// Claims and objects in the groups of these facts that nothing is paired with.
    fn open_ends(
        &self,
        facts: impl Iterator<Item = FactId>,
    ) -> Result<(Vec<OpenEnd>, Vec<OpenEnd>), BooksFault> {
        let mut poster = Poster::new(&self.db, &self.terms, self.terms.as_of_ms);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut seen: BTreeSet<GroupKey> = BTreeSet::new();
        for id in facts {
            let Some(fact) = poster.fact(id)? else {
                continue;
            };
            let keys = keys_of(&fact, &self.terms.rules);
            let Some(key) = keys.into_iter().find(|key| key.kind == GroupKind::Pairing) else {
                continue;
            };
            if let Some((group, (claims, objects))) = look(&mut poster, key, open_ends)?
                && seen.insert(group)
            {
                left.extend(claims);
                right.extend(objects);
            }
        }
        Ok((left, right))
    }

    /// The payouts that carry lines of a popup, explained.
    fn payouts(&self, popup: &PopupId) -> Result<Vec<Explained>, BooksFault> {
        let on_the_way: Vec<String> = self
            .db
            .rows(
                "SELECT DISTINCT account FROM balances WHERE book = ?1 AND account LIKE '1300:%'
                   AND (debit <> 0 OR credit <> 0)
                 ORDER BY account LIMIT ?2",
                values![popup.as_str(), column(PAYOUTS_EXPLAINED_MAX as u64)],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("list payouts"))?;
        let mut poster = Poster::new(&self.db, &self.terms, self.terms.as_of_ms);
        let told = self.accounts_told()?;
        let mut out: Vec<Explained> = Vec::new();
        for account in on_the_way {
            let Some(account) = Account::parse(&account) else {
                continue;
            };
            for of in &told {
                let key = payout::key(&of.0, &of.1, &account.part);
                let Some((_, found)) = look(&mut poster, key, payout::explain)? else {
                    continue;
                };
                let fits = |one: &Explained| {
                    (&one.provider, &one.account, &one.payout) == (&of.0, &of.1, &account.part)
                };
                out.extend(found.unwrap_or_default().into_iter().filter(fits));
            }
        }
        Ok(out)
    }

    /// Provider and name of the accounts whose files or messages the books hold.
    fn accounts_told(&self) -> Result<Vec<(String, String)>, BooksFault> {
        let books: Vec<String> = self
            .db
            .rows(
                "SELECT DISTINCT book FROM facts WHERE book LIKE '~%' ORDER BY book",
                values![],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("list account books"))?;
        let names = books.iter().filter_map(|book| {
            let (provider, account) = book.strip_prefix('~')?.split_once(':')?;
            Some((provider.to_owned(), account.to_owned()))
        });
        Ok(names.collect())
    }
}

/// Adds what a leg says of how far claims have come.
fn count(sum: &mut Claims, rule: Rule, leg: &Leg) {
    let (of, amount) = (leg.account.of, i128::from(leg.amount));
    let is_claim = matches!(of, Chart::EdgeCaptured | Chart::OfflineStored);
    if is_claim && matches!(rule, Rule::Captured | Rule::CapturedOffline) {
        sum.claimed += amount;
    }
    if of == Chart::PspPending && rule == Rule::Confirmed && amount > 0 {
        sum.confirmed += amount;
    }
    if of == Chart::PspPending && rule == Rule::Settled && amount < 0 {
        sum.settled -= amount;
    }
}

/// What a leg says of shares.
fn share(leg: &Leg) -> i128 {
    match matches!(leg.account.of, Chart::CreatorHeld | Chart::CoopPool) {
        true => -i128::from(leg.amount),
        false => 0,
    }
}
