//! Claims: what tills say about money that a provider should know of.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::group::{Group, GroupKey};
use super::super::post;
use super::super::rules::{AccountRules, Rules};
use super::super::{Account, Chart, Fact};
use super::tie;
use crate::event::system::SystemEvent;
use crate::event::{Event, PaymentCaptured};
use crate::money::Money;

/// What a claim says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Money was taken.
    Tender {
        /// While the provider could not be asked.
        offline: bool,
    },
    /// Money went back.
    Refund {
        /// From the drawer: no provider is involved.
        cash: bool,
    },
}

/// One claim.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) fact: Rc<Fact>,
    pub(super) said: Said,
    pub(super) money: Money,
    /// The reference that was stamped: the payment or the refund.
    pub(super) reference: String,
    /// The payment that a refund gives back; a tender's own.
    pub(super) payment: String,
    pub(super) provider_ref: String,
    pub(super) order: String,
    pub(super) fee: Option<i64>,
    /// Where its money stands until the provider confirms it.
    pub(super) stands: Account,
}

impl Claim {
    pub(super) fn is_tender(&self) -> bool {
        matches!(self.said, Said::Tender { .. })
    }

    pub(super) fn is_offline(&self) -> bool {
        self.said == Said::Tender { offline: true }
    }

    /// Whether this text is what a till would have stamped for it.
    pub(super) fn is_stamped(&self, stamp: &str) -> bool {
        stamp == self.reference || stamp == self.fact.event_id.as_str()
    }
}

pub(super) fn keys(fact: &Fact, rules: &Rules, keys: &mut Vec<GroupKey>) {
    let mut push = |account: &AccountRules, reference: &str| {
        keys.push(tie("ref", &account.name, reference));
        keys.push(tie("ref", &account.name, fact.event_id.as_str()));
    };
    let popup = fact.popup.as_str();
    if let Event::PaymentCaptured(of) = &fact.event {
        if !post::is_cash(of) {
            let Some(account) = rules.account_of(of.provider.as_ref().map(|name| name.as_str()))
            else {
                return;
            };
            push(account, of.payment.as_str());
            if let Some(id) = &of.provider_ref {
                keys.push(tie("obj", &account.name, id.as_str()));
            }
            keys.push(tie("ord", &account.name, of.order.as_str()));
        }
        keys.push(tie("sale", popup, of.payment.as_str()));
    } else if let Event::PaymentRefunded(of) = &fact.event {
        // A refund names no provider: any account may know it.
        rules
            .accounts
            .iter()
            .for_each(|account| push(account, of.refund.as_str()));
        keys.push(tie("sale", popup, of.payment.as_str()));
    } else if let Event::PaymentDisputed(of) = &fact.event {
        for account in &rules.accounts {
            keys.push(tie("obj", &account.name, of.dispute.as_str()));
        }
        keys.push(tie("sale", popup, of.payment.as_str()));
    }
}

/// The claims at one account, in canonical order. A refund whose sale is unknown belongs to the
/// account that knows its stamp, else to the org's only account.
pub(super) fn claims(group: &Group<'_>, account: &AccountRules) -> Vec<Claim> {
    let facts = group.members.iter();
    facts
        .filter_map(|fact| claim(group, account, fact))
        .collect()
}

fn claim(group: &Group<'_>, account: &AccountRules, fact: &Rc<Fact>) -> Option<Claim> {
    if let Event::PaymentCaptured(of) = &fact.event {
        let provider = of.provider.as_ref().map(|name| name.as_str());
        let at = group.rules.account_of(provider)?;
        if post::is_cash(of) || at.name != account.name {
            return None;
        }
        let offline = of.offline == Some(true);
        let row = match offline {
            true => Chart::OfflineStored,
            false => Chart::EdgeCaptured,
        };
        return Some(Claim {
            fact: Rc::clone(fact),
            said: Said::Tender { offline },
            money: Money::new(of.amount.0, of.currency),
            reference: String::from(of.payment.as_str()),
            payment: String::from(of.payment.as_str()),
            provider_ref: of
                .provider_ref
                .as_ref()
                .map_or_else(String::new, String::from),
            order: String::from(of.order.as_str()),
            fee: of.fee.map(|fee| fee.0),
            stands: Account::at_provider(row, &fact.position.rig, provider),
        });
    }
    let Event::PaymentRefunded(of) = &fact.event else {
        return None;
    };
    let sale = sale_of(group, fact, of.payment.as_str());
    if !is_at(group, account, sale, of.refund.as_str()) {
        return None;
    }
    Some(Claim {
        fact: Rc::clone(fact),
        said: Said::Refund {
            cash: sale.is_some_and(post::is_cash),
        },
        money: Money::new(of.amount.0, of.currency),
        reference: String::from(of.refund.as_str()),
        payment: String::from(of.payment.as_str()),
        provider_ref: String::new(),
        order: String::new(),
        fee: None,
        stands: Account::plain(Chart::RefundPayable),
    })
}

fn sale_of<'g>(group: &'g Group<'_>, fact: &Fact, payment: &str) -> Option<&'g PaymentCaptured> {
    let of_popup = group
        .members
        .iter()
        .filter(|other| other.popup == fact.popup);
    let mut sales = of_popup.filter_map(|other| {
        if let Event::PaymentCaptured(sale) = &other.event {
            Some(sale)
        } else {
            None
        }
    });
    sales.find(|sale| sale.payment.as_str() == payment)
}

fn is_at(
    group: &Group<'_>,
    account: &AccountRules,
    sale: Option<&PaymentCaptured>,
    refund: &str,
) -> bool {
    if let Some(sale) = sale {
        let provider = sale.provider.as_ref().map(|name| name.as_str());
        let at = group.rules.account_of(provider);
        // A cash refund belongs to no account; the first one says so, that it is said once.
        let first = group.rules.accounts.first();
        return match post::is_cash(sale) {
            true => first.is_some_and(|one| one.name == account.name),
            false => at.is_some_and(|at| at.name == account.name),
        };
    }
    if let [only] = group.rules.accounts.as_slice() {
        return only.name == account.name;
    }
    let knows = |fact: &Rc<Fact>| {
        if let Event::System(SystemEvent::ProviderObject(of)) = &fact.event {
            of.account == account.name && of.stamps.iter().any(|stamp| stamp == refund)
        } else {
            false
        }
    };
    group.members.iter().any(knows)
}
