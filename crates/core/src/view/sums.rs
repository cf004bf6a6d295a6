//! Sums that can be added to and taken from: what makes a view incremental.
//!
//! Always holds: an entry equal to zero is not in its map, so the state after any sequence of
//! additions and removals depends only on what remains, never on the way there.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::string::String;

/// Whether a contribution comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// It comes.
    Add,
    /// It goes.
    Take,
}

impl Shift {
    /// `value`, negated when it goes.
    pub(crate) fn of(self, value: impl Into<i128>) -> i128 {
        match self {
            Self::Add => value.into(),
            Self::Take => -value.into(),
        }
    }
}

macro_rules! sums {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: i128,)*
        }

        impl $name {
            /// Adds or takes `other`, field by field.
            pub fn shift(&mut self, by: Shift, other: &Self) {
                $(self.$field += by.of(other.$field);)*
            }
        }
    )*};
}

sums! {
    /// Sums of one currency, minor units and counts, as the till reports them. What the provider
    /// confirms stands apart and is never added.
    MoneySums {
        /// Captured.
        gross,
        /// Refunded, positive.
        refund,
        /// Tips.
        tip,
        /// Tax.
        tax,
        /// Provider fees.
        fee,
        /// Captures.
        captures,
        /// Refunds.
        refunds,
        /// Orders first paid.
        conversions,
        /// Of what was captured: taken while the provider could not be asked.
        offline_gross,
        /// Captures of that kind.
        offline_captures,
        /// Captured, as the provider confirms it.
        confirmed_gross,
        /// Refunded, as the provider confirms it.
        confirmed_refund,
    }

    /// Sums of one row of a leaderboard.
    BoardSums {
        /// Captured, minor units.
        gross,
        /// Refunded, positive, minor units.
        refund,
        /// Units sold minus returned.
        units,
        /// Orders.
        orders,
    }

    /// Movements of one SKU, units.
    StockSums {
        /// Sold.
        sold,
        /// Returned with refunds.
        returned,
        /// Received.
        received,
        /// Adjusted, signed.
        adjusted,
        /// Moved in.
        moved_in,
        /// Moved out.
        moved_out,
        /// Set aside for rigs.
        allocated,
        /// Rows that show that stock of this SKU is kept at all.
        evidence,
    }

    /// Checkouts by what became of them.
    CheckoutSums {
        /// Started.
        started,
        /// Completed.
        completed,
        /// Abandoned, for whatever reason.
        abandoned,
        /// Of them abandoned for a technical reason.
        fault,
        /// Completed after a failed payment.
        recovered,
        /// Closed without a known start.
        unseen,
    }

    /// Money of one currency that failed for a technical reason, minor units.
    RiskSums {
        /// Amounts of orders at their first technical failure.
        failed,
        /// The same amounts when they were captured later on the same rig.
        recovered,
    }

    /// Orders after they were paid.
    OrderSums {
        /// First paid.
        paid,
        /// Handed over or shipped for the first time.
        out,
        /// Wholly refunded before that.
        gone,
        /// Refunded for the first time, in part or wholly.
        refunded,
    }

    /// Chat and audience of one stream.
    StreamSums {
        /// Chat messages.
        messages,
        /// Of them with a word of the lexicon.
        covered,
        /// Of those negative.
        negative,
        /// Of those positive.
        positive,
        /// Sum of the scores, ten-thousandths.
        score,
        /// Audience samples.
        samples,
        /// Sum of viewers over the samples.
        viewers,
    }

    /// What did not fit or did not match.
    CountSums {
        /// Events lost or shed, as declared.
        losses,
        /// Facts about something unknown.
        unmatched,
        /// Repeats under another id.
        duplicates,
        /// Facts in a row `other` or in no row, all dimensions.
        other,
        /// Of them amounts in currencies beyond the bound: only in the books.
        other_currencies,
        /// Refunds of payments not seen.
        refunds_unknown,
    }
}

/// Checkouts of one start minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OpenSums {
    /// Started in it.
    pub(crate) started: i128,
    /// Of them closed since.
    pub(crate) closed: i128,
}

impl RiskSums {
    /// What is at risk still.
    #[must_use]
    pub fn at_risk(&self) -> i128 {
        self.failed - self.recovered
    }
}

impl OrderSums {
    /// Paid and neither out nor gone; never negative, for one may go out on a rig that did not
    /// see it paid.
    #[must_use]
    pub fn backlog(&self) -> i128 {
        (self.paid - self.out - self.gone).max(0)
    }
}

impl MoneySums {
    /// Captured minus refunded; may be negative.
    #[must_use]
    pub fn net(&self) -> i128 {
        self.gross - self.refund
    }
}

impl BoardSums {
    /// Captured minus refunded; may be negative.
    #[must_use]
    pub fn net(&self) -> i128 {
        self.gross - self.refund
    }
}

impl StockSums {
    /// Units that should be there.
    #[must_use]
    pub fn expected(&self) -> i128 {
        self.received + self.moved_in - self.moved_out + self.adjusted - self.sold + self.returned
    }
}

/// As [`touch`] for a name: a row that is there needs no name of its own.
pub(crate) fn touch_named<V: Default + PartialEq>(
    map: &mut BTreeMap<String, V>,
    name: &str,
    change: impl FnOnce(&mut V),
) {
    if let Some(held) = map.get_mut(name) {
        change(held);
        if *held == V::default() {
            map.remove(name);
        }
        return;
    }
    let mut value = V::default();
    change(&mut value);
    if value != V::default() {
        map.insert(String::from(name), value);
    }
}

/// Changes the entry of `key` and lets it go when nothing is left of it.
pub(crate) fn touch<K: Ord, V: Default + PartialEq>(
    map: &mut BTreeMap<K, V>,
    key: K,
    change: impl FnOnce(&mut V),
) {
    use alloc::collections::btree_map::Entry;
    match map.entry(key) {
        Entry::Occupied(mut held) => {
            change(held.get_mut());
            if *held.get() == V::default() {
                held.remove();
            }
        }
        Entry::Vacant(free) => {
            let mut value = V::default();
            change(&mut value);
            if value != V::default() {
                free.insert(value);
            }
        }
    }
}
