//! The coordinates of a policy that are one number: which way is strict, and how far a policy may go
//! the other way.

use alloc::format;
use alloc::string::{String, ToString};

use super::duration::Span;
use crate::limits::SPAN_DAYS_MAX;

/// What the number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Ms, written as a span.
    Span,
    /// Things, or minor units.
    Number,
}

/// Which way is strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strict {
    /// Less is stricter: it joins by the minimum.
    Less,
    /// More is stricter: it joins by the maximum.
    More,
}

macro_rules! limits {
    ($($name:ident = $path:literal, $unit:ident, $strict:ident, floor $floor:expr, usual $usual:expr, $says:literal;)*) => {
        /// A coordinate that is one number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit { $(#[doc = $says] $name,)* }

        impl Limit {
            /// All of them, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Where it stands in a document.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// What it counts.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }

            /// Which way is strict.
            #[must_use]
            pub const fn strict(self) -> Strict {
                match self { $(Self::$name => Strict::$strict,)* }
            }

            /// The loosest that any policy may say.
            #[must_use]
            pub const fn floor(self) -> u64 {
                match self { $(Self::$name => $floor,)* }
            }

            /// What holds where a policy of a popup says nothing.
            #[must_use]
            pub const fn usual(self) -> u64 {
                match self { $(Self::$name => $usual,)* }
            }

            /// What it is, for a reader.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }
        }
    };
}

/// As long as a span can be.
const ANY: u64 = Span::days(SPAN_DAYS_MAX).ms();

const fn days(days: u64) -> u64 {
    Span::days(days).ms()
}

const fn hours(hours: u64) -> u64 {
    Span::hours(hours).ms()
}

limits! {
    OfflineGrace = "offline_grace", Span, Less, floor days(30), usual days(3), "How long a rig runs on after the policy expired.";
    RawKeep = "retention.raw.keep", Span, Less, floor days(30), usual hours(72), "Strings that were not understood, from the window's end.";
    RawLease = "retention.raw.rig_lease", Span, Less, floor hours(72), usual hours(24), "How long a rig has their key.";
    PseudonymKeep = "retention.pseudonym.keep", Span, Less, floor ANY, usual days(14), "Pseudonyms, from the window's end.";
    PseudonymLease = "retention.pseudonym.rig_lease", Span, Less, floor hours(72), usual hours(24), "How long a rig has their key.";
    ContactKeep = "retention.contact.keep", Span, Less, floor ANY, usual days(90), "How somebody is reached, from the window's end.";
    ContactLease = "retention.contact.rig_lease", Span, Less, floor hours(72), usual hours(24), "How long a rig has their key.";
    FreetextKeep = "retention.freetext.keep", Span, Less, floor days(7), usual hours(24), "What somebody wrote, from the window's end.";
    FreetextLease = "retention.freetext.rig_lease", Span, Less, floor hours(72), usual hours(12), "How long a rig has their key.";
    RecordsRig = "retention.records.rig", Span, Less, floor ANY, usual days(7), "Replicated records on a rig, from the window's end.";
    RecordsObservations = "retention.records.observations", Span, Less, floor ANY, usual days(30), "Records of observations at the ledger.";
    RecordsBooks = "retention.records.books", Span, More, floor 0, usual days(3_650), "Records of money and stock at the ledger.";
    CellsKeep = "retention.cells.keep", Span, Less, floor ANY, usual days(400), "Cells of minutes.";
    AuditKeep = "retention.audit.keep_at_least", Span, More, floor days(400), usual days(400), "The audit trail, at least.";
    MinGroup = "disclosure.min_group", Number, More, floor 3, usual 5, "Orders below which a row by a buyer's attribute is not shown.";
    MinContributors = "disclosure.min_contributors", Number, More, floor 3, usual 3, "Sellers with sales below which a co-op sees ranks and no amounts.";
    MoneyStep = "disclosure.money_step", Number, More, floor 1, usual 100, "To what amounts of a co-op are rounded, minor units.";
    StepUpAge = "access.step_up.max_age", Span, Less, floor hours(1), usual Span::minutes(5).ms(), "How old a second factor may be.";
    RawWindow = "access.raw_read.window_max", Span, Less, floor days(1), usual hours(2), "The longest window of one raw read.";
    RawRows = "access.raw_read.rows_max", Number, Less, floor 100_000, usual 10_000, "The most rows of one raw read.";
    Witnesses = "access.raw_read.witnesses", Number, More, floor 0, usual 0, "Others who must sign the trail before a raw read.";
    PassTtl = "access.passes.ttl", Span, Less, floor days(30), usual hours(12), "The longest life of a pass.";
}

impl Limit {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The one that stands at `path`.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.path() == path)
    }

    /// The stricter of both.
    #[must_use]
    pub fn join(self, one: u64, other: u64) -> u64 {
        match self.strict() {
            Strict::Less => one.min(other),
            Strict::More => one.max(other),
        }
    }

    /// Whether `value` is as strict as `other`.
    #[must_use]
    pub const fn at_least(self, value: u64, other: u64) -> bool {
        match self.strict() {
            Strict::Less => value <= other,
            Strict::More => value >= other,
        }
    }

    /// A value as a document writes it.
    #[must_use]
    pub fn show(self, value: u64) -> String {
        match self.unit() {
            Unit::Span => Span::of_ms(value).to_string(),
            Unit::Number => value.to_string(),
        }
    }

    /// The floor in words, for who passed it.
    #[must_use]
    pub fn floor_text(self) -> String {
        let most = match self.strict() {
            Strict::Less => "at most",
            Strict::More => "at least",
        };
        format!("{most} {}", self.show(self.floor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_is_not_below_the_floor_and_each_path_is_found() {
        for (at, limit) in Limit::ALL.iter().enumerate() {
            assert!(limit.at_least(limit.usual(), limit.floor()), "{limit:?}");
            assert_eq!(Limit::at(limit.path()), Some(*limit));
            assert_eq!(limit.index(), at);
        }
        assert_eq!(Limit::at("retention.raw"), None);
        assert_eq!(Limit::RawKeep.floor_text(), "at most P30D");
        assert_eq!(Limit::MinGroup.floor_text(), "at least 3");
    }
}
