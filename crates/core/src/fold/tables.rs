//! What the fold remembers of what came before: bounded, the oldest forgotten first.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashTable;

use super::At;
use super::shares::Share;
use crate::event::{DropClosed, DropOpened};
use crate::id::{CheckoutId, OrderId, PaymentId, PaymentMethod, ProviderName, RefundId, Sku};
use crate::id::{CreatorId, FlashDropId, StockPlace, TokenId};
use crate::ledger::attribution::sole_creator;
use crate::limits;
use crate::money::Currency;
use crate::time::Minute;

/// The tables of one epoch.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Checkouts that started and have not ended.
    pub(super) open: Fifo<CheckoutId, Started>,
    /// Checkouts that ended, with the hash of who began them.
    pub(super) closed: Fifo<CheckoutId, Option<u64>>,
    pub(super) orders: Fifo<OrderId, Order>,
    pub(super) payments: Fifo<PaymentId, Payment>,
    pub(super) refunds: Fifo<RefundId, ()>,
    pub(super) tokens: Fifo<TokenId, Token>,
    /// Places that are rigs of the popup: this one and those that stock was allocated to.
    rigs: BTreeSet<String>,
    recent: VecDeque<RecentLine>,
    /// Flash drops in the order in which they opened, at most [`limits::FOLD_DROPS_MAX`].
    drops: VecDeque<Offer>,
}

/// A flash drop.
#[derive(Debug, Clone)]
struct Offer {
    popup_no: usize,
    drop: FlashDropId,
    sku: Sku,
    creator: Option<CreatorId>,
    opened_ms: i64,
    closed_ms: Option<i64>,
}

/// A checkout that started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    pub(super) minute: Minute,
    pub(super) mono_ns: u64,
    /// Hash of who began it.
    pub(super) viewer: Option<u64>,
}

/// When an order was first paid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paid {
    pub(super) minute: Minute,
    /// Steady clock, ns.
    pub(super) mono_ns: u64,
    pub(super) currency: Currency,
}

/// What is known of an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// Its first capture.
    pub(super) paid: Option<Paid>,
    /// Captured and refunded in the currency of its first capture, minor units.
    pub(super) captured: i64,
    pub(super) refunded: i64,
    /// Something of it was refunded.
    pub(super) any_refund: bool,
    /// It was handed over or shipped, or wholly refunded before that.
    pub(super) left: bool,
    /// Hash of who began its checkout, and whether that is known to have paid.
    pub(super) viewer: Option<u64>,
    pub(super) linked: bool,
    /// A payment of it was taken offline.
    pub(super) offline: bool,
    /// A payment of it failed.
    pub(super) failed: bool,
    /// What its first technical failure put at risk.
    pub(super) at_risk: Option<(Currency, i64)>,
    /// That amount was captured later.
    pub(super) recovered: bool,
    /// Steps it reached, one bit each.
    pub(super) steps: u8,
}

/// What is known of a payment.
#[derive(Debug, Clone, Default)]
pub(super) struct Payment {
    provider: Option<ProviderName>,
    states: u8,
    more: Vec<(Option<ProviderName>, u8)>,
    /// How it was captured first. Boxed, so that the table's nodes stay small.
    pub(super) sale: Option<Box<Sale>>,
}

/// States of a payment that count once per provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaymentState {
    Authorized = 1,
    Captured = 2,
    Failed = 4,
}

/// What a refund needs to know of its sale.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) currency: Currency,
    pub(super) order: OrderId,
    pub(super) method: PaymentMethod,
    pub(super) offline: bool,
    pub(super) shares: Vec<Share>,
}

/// What is known of a token.
#[derive(Debug, Clone, Default)]
pub(super) struct Token {
    pub(super) creator: Option<CreatorId>,
    pub(super) expires_ms: Option<i64>,
    pub(super) issued: bool,
    pub(super) redeemed: bool,
    pub(super) voided: bool,
}

/// Net units of one SKU that one record sold.
#[derive(Debug, Clone)]
struct RecentLine {
    popup_no: usize,
    minute: Minute,
    sku: Sku,
    /// (corrected ms, seq): the order of one rig's moments.
    moment: (i64, u64),
    net: i64,
}

impl Tables {
    pub(super) fn new(rig: &str) -> Self {
        Self {
            open: Fifo::new(limits::FOLD_CHECKOUTS_MAX),
            closed: Fifo::new(limits::FOLD_TABLE_MAX),
            orders: Fifo::new(limits::FOLD_TABLE_MAX),
            payments: Fifo::new(limits::FOLD_TABLE_MAX),
            refunds: Fifo::new(limits::FOLD_TABLE_MAX),
            tokens: Fifo::new(limits::FOLD_TABLE_MAX),
            rigs: BTreeSet::from([String::from(rig)]),
            recent: VecDeque::new(),
            drops: VecDeque::new(),
        }
    }

    /// Learns that a flash drop opened; its first opening stands.
    pub(super) fn drop_opened(&mut self, at: &At, data: &DropOpened) {
        if self.offer(at, &data.drop).is_some() {
            return;
        }
        if self.drops.len() >= limits::FOLD_DROPS_MAX {
            self.drops.pop_front();
        }
        self.drops.push_back(Offer {
            popup_no: at.popup_no,
            drop: data.drop.clone(),
            sku: data.sku.clone(),
            creator: data.creator.clone(),
            opened_ms: at.time.0,
            closed_ms: None,
        });
    }

    /// Learns that a flash drop closed; its first closing stands.
    pub(super) fn drop_closed(&mut self, at: &At, data: &DropClosed) {
        if let Some(offer) = self.offer(at, &data.drop) {
            offer.closed_ms.get_or_insert(at.time.0);
        }
    }

    fn offer(&mut self, at: &At, drop: &FlashDropId) -> Option<&mut Offer> {
        let mut drops = self.drops.iter_mut();
        drops.find(|offer| offer.popup_no == at.popup_no && offer.drop == *drop)
    }

    /// The one creator in whose flash drops a SKU is on offer.
    pub(super) fn drop_creator(&self, at: &At, sku: &Sku) -> Option<CreatorId> {
        let open = self.drops.iter().filter(|offer| {
            offer.popup_no == at.popup_no
                && offer.sku == *sku
                && offer.opened_ms <= at.time.0
                && offer
                    .closed_ms
                    .is_none_or(|closed_ms| at.time.0 < closed_ms)
        });
        sole_creator(open.map(|offer| offer.creator.as_ref()))
    }

    /// Learns that a place is a rig.
    pub(super) fn learn_rig(&mut self, place: &StockPlace) {
        if self.rigs.len() < limits::FOLD_RIGS_MAX && !self.rigs.contains(place.as_str()) {
            self.rigs.insert(String::from(place));
        }
    }

    /// Whether a place is a rig as far as this epoch tells.
    pub(super) fn is_rig(&self, place: &str) -> bool {
        self.rigs.contains(place)
    }

    /// Remembers that `net` units of a SKU left (or, negative, came back).
    pub(super) fn sold(&mut self, at: &At, sku: &Sku, net: i64) {
        if self.recent.len() >= limits::FOLD_RECENT_LINES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(RecentLine {
            popup_no: at.popup_no,
            minute: at.minute,
            sku: sku.clone(),
            moment: (at.time.0, at.seq.0),
            net,
        });
    }

    /// Net units of a SKU sold after `at` in its minute, as far as remembered.
    pub(super) fn sold_after(&self, at: &At, sku: &Sku) -> i64 {
        let moment = (at.time.0, at.seq.0);
        self.recent
            .iter()
            .filter(|line| (line.popup_no, line.minute) == (at.popup_no, at.minute))
            .filter(|line| line.moment > moment && line.sku == *sku)
            .fold(0, |sum, line| line.net.saturating_add(sum))
    }
}

impl Payment {
    /// Whether it was captured or failed before, whoever said so.
    pub(super) fn is_final(&self) -> bool {
        let finals = PaymentState::Captured as u8 | PaymentState::Failed as u8;
        let states = self.more.iter().map(|(_, states)| *states);
        states
            .chain([self.states])
            .any(|states| states & finals != 0)
    }

    /// Notes that a provider reported a state; `false` when it had done so before.
    pub(super) fn first(&mut self, provider: Option<&ProviderName>, state: PaymentState) -> bool {
        let bit = state as u8;
        if self.states == 0 {
            self.provider = provider.cloned();
        }
        let known = if self.provider.as_ref() == provider {
            Some(&mut self.states)
        } else {
            let mut more = self.more.iter_mut();
            more.find(|(name, _)| name.as_ref() == provider)
                .map(|(_, states)| states)
        };
        if let Some(states) = known {
            let first = *states & bit == 0;
            *states |= bit;
            return first;
        }
        let fits = self.more.len() + 1 < limits::FOLD_PAYMENT_PROVIDERS_MAX;
        if fits {
            self.more.push((provider.cloned(), bit));
        }
        fits
    }
}

/// An identity that a table can be keyed by.
pub(super) trait Id: Eq + Clone {
    fn text(&self) -> &str;
}

macro_rules! ids {
    ($($name:ident),*) => {$(
        impl Id for $name {
            fn text(&self) -> &str {
                self.as_str()
            }
        }
    )*};
}

ids!(CheckoutId, OrderId, PaymentId, RefundId, TokenId);

/// Multiply and fold, eight bytes at a time. Not for secrets: it only spreads keys.
fn spread(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = ODD ^ u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let chunks = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    for word in chunks {
        hash = (hash ^ word).wrapping_mul(ODD);
        hash ^= hash >> 32;
    }
    hash
}

/// One entry; its hash is kept so that the index can grow without looking at ids.
#[derive(Debug, Clone)]
struct Kept<K, V> {
    hash: u64,
    id: K,
    value: V,
}

/// A map that forgets the entry put in first once it holds `max`.
///
/// Entries stand in the order they were put in; the index finds an entry's number by the hash of
/// its id and is never iterated, so no order but the entries' own can be seen.
#[derive(Debug, Clone)]
pub(super) struct Fifo<K, V> {
    index: HashTable<u64>,
    /// `None` is one that was removed since.
    entries: VecDeque<Option<Kept<K, V>>>,
    /// Number of the first of `entries`.
    first: u64,
    max: usize,
}

impl<K: Id, V> Fifo<K, V> {
    fn new(max: usize) -> Self {
        Self {
            index: HashTable::new(),
            entries: VecDeque::new(),
            first: 0,
            max,
        }
    }

    pub(super) fn get(&self, id: &K) -> Option<&V> {
        let number = self.find(spread(id.text().as_bytes()), id)?;
        kept(&self.entries, self.first, number).map(|kept| &kept.value)
    }

    /// The entry as it stands, to change it.
    pub(super) fn get_mut(&mut self, id: &K) -> Option<&mut V> {
        let number = self.find(spread(id.text().as_bytes()), id)?;
        let place = place(self.first, number);
        let kept = self.entries.get_mut(place).and_then(Option::as_mut);
        kept.map(|kept| &mut kept.value)
    }

    /// Puts in a new entry. Answers whether an older one was forgotten for it, `None` when the
    /// id is already there and nothing changed.
    pub(super) fn insert(&mut self, id: &K, value: V) -> Option<bool> {
        let hash = spread(id.text().as_bytes());
        if self.find(hash, id).is_some() {
            return None;
        }
        let full = self.index.len() >= self.max;
        if full {
            self.forget_oldest();
        }
        self.push(hash, id, value);
        Some(full)
    }

    /// The entry, put in with its default if it is not there. A full table makes room before it
    /// looks.
    pub(super) fn entry(&mut self, id: &K) -> &mut V
    where
        V: Default,
    {
        if self.index.len() >= self.max {
            self.forget_oldest();
        }
        let hash = spread(id.text().as_bytes());
        let number = match self.find(hash, id) {
            Some(number) => number,
            None => self.push(hash, id, V::default()),
        };
        let place = place(self.first, number);
        let kept = self.entries.get_mut(place).and_then(Option::as_mut);
        &mut kept.expect("the index names entries that are there").value
    }

    /// Takes an entry out. Its place goes with the next clearing, which comes before there are
    /// twice as many places as the map may hold.
    pub(super) fn remove(&mut self, id: &K) -> Option<V> {
        let hash = spread(id.text().as_bytes());
        let (entries, first) = (&mut self.entries, self.first);
        let is_it = |number: &u64| kept(entries, first, *number).is_some_and(|it| it.id == *id);
        let (number, _) = self.index.find_entry(hash, is_it).ok()?.remove();
        let taken = entries
            .get_mut(place(first, number))
            .and_then(Option::take)?;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        if self.entries.len() >= self.max.saturating_mul(2) {
            self.clear_out();
        }
        Some(taken.value)
    }

    fn find(&self, hash: u64, id: &K) -> Option<u64> {
        let (entries, first) = (&self.entries, self.first);
        let is_it = |number: &u64| {
            kept(entries, first, *number).is_some_and(|it| it.hash == hash && it.id == *id)
        };
        self.index.find(hash, is_it).copied()
    }

    /// Puts an entry last and answers its number.
    fn push(&mut self, hash: u64, id: &K, value: V) -> u64 {
        let number = self.first + u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        let id = id.clone();
        self.entries.push_back(Some(Kept { hash, id, value }));
        let (entries, first) = (&self.entries, self.first);
        self.index.insert_unique(hash, number, |number| {
            kept(entries, first, *number).map_or(0, |kept| kept.hash)
        });
        number
    }

    fn forget_oldest(&mut self) {
        while let Some(oldest) = self.entries.pop_front() {
            let number = self.first;
            self.first += 1;
            if let Some(oldest) = oldest {
                let found = self.index.find_entry(oldest.hash, |at| *at == number);
                if let Ok(found) = found {
                    found.remove();
                }
                return;
            }
        }
    }

    /// Leaves out the places of what was removed; the others are numbered anew.
    fn clear_out(&mut self) {
        self.entries.retain(Option::is_some);
        self.first = 0;
        self.index.clear();
        for (number, kept) in (0..).zip(self.entries.iter().flatten()) {
            let entries = &self.entries;
            self.index.insert_unique(kept.hash, number, |number| {
                self::kept(entries, 0, *number).map_or(0, |kept| kept.hash)
            });
        }
    }
}

fn place(first: u64, number: u64) -> usize {
    usize::try_from(number - first).expect("as many places as fit in memory")
}

fn kept<K, V>(entries: &VecDeque<Option<Kept<K, V>>>, first: u64, at: u64) -> Option<&Kept<K, V>> {
    entries.get(place(first, at)).and_then(Option::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec::Vec;

    fn order(n: u32) -> OrderId {
        OrderId::new(&format!("o{n}")).unwrap()
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_what_was_removed_takes_no_place() {
        let mut fifo = Fifo::new(3);
        for n in 0..3 {
            assert_eq!(fifo.insert(&order(n), n), Some(false));
        }
        assert_eq!(fifo.insert(&order(1), 9), None);
        assert_eq!(fifo.remove(&order(0)), Some(0));
        assert_eq!(fifo.insert(&order(3), 3), Some(false));
        assert_eq!(fifo.insert(&order(4), 4), Some(true));
        let left: Vec<_> = (0..5)
            .filter_map(|n| fifo.get(&order(n)).copied())
            .collect();
        assert_eq!(left, [2, 3, 4]);
        for n in 5..100 {
            *fifo.entry(&order(n)) = n;
            assert_eq!(fifo.remove(&order(n)), Some(n));
            assert!(fifo.entries.len() <= 6, "the places are cleared");
        }
    }

    #[test]
    fn what_stays_is_found_after_the_places_were_cleared() {
        let mut fifo = Fifo::new(4);
        assert_eq!(fifo.insert(&order(0), 0), Some(false));
        for n in 1..50 {
            assert_eq!(fifo.insert(&order(n), n), Some(false));
            assert_eq!(fifo.remove(&order(n)), Some(n));
            assert!(fifo.entries.len() <= 8, "the places are cleared");
            assert_eq!(fifo.get(&order(0)), Some(&0));
            assert_eq!(fifo.get(&order(n)), None);
        }
    }

    #[test]
    fn a_payment_counts_once_per_provider_and_state() {
        let [a, b] = ["a", "b"].map(|name| ProviderName::new(name).unwrap());
        let mut payment = Payment::default();
        let mut first = |provider, state| payment.first(provider, state);
        assert!(first(Some(&a), PaymentState::Authorized));
        assert!(first(Some(&a), PaymentState::Captured));
        assert!(!first(Some(&a), PaymentState::Captured));
        assert!(first(Some(&b), PaymentState::Captured));
        assert!(first(None, PaymentState::Captured));
        assert!(!first(Some(&b), PaymentState::Captured));
        assert!(!first(None, PaymentState::Captured));
    }
}
