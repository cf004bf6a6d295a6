//! How long keys live: what a policy's terms mean for the machines that hold them.

use super::Window;
use super::limit::Limit;
use super::terms::Terms;
use crate::access::names;
use crate::access::raw::PartClass;

names! {
    /// What a key of a popup is for. Each class dies apart.
    KeyClass {
        Raw = "raw", "Strings that were not understood.";
        Contact = "contact", "How somebody is reached.";
        Freetext = "freetext", "What somebody wrote.";
        Pseudonym = "pseudonym", "Stand-ins for people.";
    }
}

impl KeyClass {
    /// The sealed parts that it opens; none for pseudonyms.
    #[must_use]
    pub const fn part(self) -> Option<PartClass> {
        match self {
            Self::Raw => Some(PartClass::Raw),
            Self::Contact => Some(PartClass::Contact),
            Self::Freetext => Some(PartClass::Freetext),
            Self::Pseudonym => None,
        }
    }

    /// The class of a part.
    #[must_use]
    pub const fn of(part: PartClass) -> Self {
        match part {
            PartClass::Raw => Self::Raw,
            PartClass::Contact => Self::Contact,
            PartClass::Freetext => Self::Freetext,
        }
    }

    const fn limits(self) -> (Limit, Limit) {
        match self {
            Self::Raw => (Limit::RawKeep, Limit::RawLease),
            Self::Contact => (Limit::ContactKeep, Limit::ContactLease),
            Self::Freetext => (Limit::FreetextKeep, Limit::FreetextLease),
            Self::Pseudonym => (Limit::PseudonymKeep, Limit::PseudonymLease),
        }
    }
}

/// How long the keys of one popup live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    ends_ms: Option<i64>,
    keep_ms: [i64; KeyClass::ALL.len()],
    lease_ms: [i64; KeyClass::ALL.len()],
    observations_ms: i64,
}

impl Retention {
    /// What these terms say, and when the popup ends, where its policy says so.
    #[must_use]
    pub fn new(terms: &Terms, window: Option<&Window>) -> Self {
        let span = |limit| terms.span(limit).ms_signed();
        let each = |pick: fn((Limit, Limit)) -> Limit| {
            core::array::from_fn(|at| span(pick(KeyClass::ALL[at].limits())))
        };
        Self {
            ends_ms: window.map(|window| window.ends_ms),
            keep_ms: each(|limits| limits.0),
            lease_ms: each(|limits| limits.1),
            observations_ms: span(Limit::RecordsObservations),
        }
    }

    /// From when on a key is no more, ms since 1970: its keep after the popup's end, and where no policy
    /// says when that is, after the last event.
    #[must_use]
    pub fn not_after_ms(&self, class: KeyClass, last_event_ms: i64) -> i64 {
        let ends_ms = self.ends_ms.unwrap_or(last_event_ms);
        ends_ms.saturating_add(self.keep_ms[class as usize])
    }

    /// Until when a rig that asks at a moment is lent a key: never longer than the key lives.
    #[must_use]
    pub fn lease_until_ms(&self, class: KeyClass, last_event_ms: i64, now_ms: i64) -> i64 {
        let lease_ms = now_ms.saturating_add(self.lease_ms[class as usize]);
        lease_ms.min(self.not_after_ms(class, last_event_ms))
    }

    /// From when on the bytes of observations are no more at the ledger, ms since 1970; `None` where no
    /// policy says when the popup ends.
    #[must_use]
    pub fn observations_until_ms(&self) -> Option<i64> {
        Some(self.ends_ms?.saturating_add(self.observations_ms))
    }

    /// Whether a new key may take the place of one that is no more: not where the popup has ended for good.
    #[must_use]
    pub const fn may_renew(&self) -> bool {
        self.ends_ms.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_key_lives_its_keep_from_the_end_and_a_lease_never_outlives_it() {
        let terms = Terms::built_in();
        let window = Window {
            starts_ms: 0,
            ends_ms: 10 * HOUR,
            zone: "UTC".into(),
            currencies: alloc::vec::Vec::new(),
            phone_region: "DE".into(),
        };
        let retention = Retention::new(&terms, Some(&window));
        let keep = terms.span(Limit::FreetextKeep).ms_signed();
        let end = 10 * HOUR + keep;
        assert_eq!(retention.not_after_ms(KeyClass::Freetext, 99 * HOUR), end);
        let lease = terms.span(Limit::FreetextLease).ms_signed();
        let lent = |now| retention.lease_until_ms(KeyClass::Freetext, 0, now);
        assert_eq!(lent(0), lease);
        assert_eq!(lent(end - HOUR), end);
        assert!(!retention.may_renew());
        // Where nobody says when it ends, the last event does.
        let open = Retention::new(&terms, None);
        assert_eq!(open.not_after_ms(KeyClass::Freetext, HOUR), HOUR + keep);
        assert!(open.may_renew() && open.observations_until_ms().is_none());
    }
}
