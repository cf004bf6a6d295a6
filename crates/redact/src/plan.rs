//! What is done with each field of each type: what a policy means for redaction.
//!
//! A field the plan says nothing about is treated as its kind is: texts are looked through, a person
//! becomes a viewer's pseudonym, a chat is scored, the rest stays. What always holds: a required fact
//! stays whatever the plan says, and no plan makes the detectors of [`RuleSet::LEAST`] look away.

use std::collections::BTreeMap;

use popwatch_core::event::commerce::WHOLE_PPM;
use popwatch_core::event::{EventType, Field, Kind};
use popwatch_core::limits;
use popwatch_core::policy::rule;
use popwatch_core::policy::terms::ExtraRule;

use crate::detect::{Look, Place, Rule, RuleSet};
use crate::pseudonym::Domain;
use crate::region::Region;

/// What is done with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It goes, and is counted. Of a required person a fixed word stays, of a required chat text a
    /// score that says nothing.
    Remove,
    /// A person stands there under a pseudonym of this domain.
    Pseudonym(Domain),
    /// A text without what these rules find in it, cut to so many bytes.
    Redact {
        /// What is looked for; those of [`RuleSet::LEAST`] always are.
        rules: RuleSet,
        /// Bytes kept at most.
        bytes_max: usize,
    },
    /// A label as one of a few that say less.
    Generalize(Table),
    /// A text as [`Step::Redact`] leaves it, sealed; its score stands open.
    Seal {
        /// What is looked for; those of [`RuleSet::LEAST`] always are.
        rules: RuleSet,
        /// Bytes kept at most.
        bytes_max: usize,
    },
}

/// A field beyond the catalogue that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Where it stands: at most three names with dots between.
    pub path: String,
    /// What it holds and what is done with it.
    pub rule: ExtraRule,
}

/// Labels for labels: what holds a piece stands under the name of that piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    /// What stands for a label in which no piece occurs.
    pub const OTHER: &str = "other";

    /// Takes pieces in lower case and the names for them; the first that occurs counts.
    #[must_use]
    pub const fn new(rows: Vec<(String, String)>) -> Self {
        Self(rows)
    }

    /// What stands for a label.
    #[must_use]
    pub fn general(&self, label: &str) -> &str {
        let label = label.to_lowercase();
        let mut rows = self.0.iter();
        let row = rows.find(|(piece, _)| label.contains(piece.as_str()));
        row.map_or(Self::OTHER, |(_, name)| name)
    }
}

/// What is done with the fields of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    steps: BTreeMap<(EventType, &'static str), Step>,
    declared: BTreeMap<EventType, Vec<Declared>>,
    /// Of which types how many records keep their sealed parts, millionths.
    sampling: BTreeMap<EventType, u32>,
    region: Option<Region>,
}

impl Plan {
    /// A plan that removes these fields beyond the built-in one, which keeps all.
    #[must_use]
    pub fn removing(fields: impl IntoIterator<Item = (EventType, &'static str)>) -> Self {
        let steps = fields.into_iter().map(|field| (field, Step::Remove));
        Self {
            steps: steps.collect(),
            ..Self::default()
        }
    }

    /// Required facts only: what runs without a policy that is in force.
    #[must_use]
    pub fn restricted() -> Self {
        let beyond = EventType::ALL.iter().flat_map(|of| {
            let fields = of.fields().iter().filter(|field| !is_fact(field));
            fields.map(|field| (*of, field.name))
        });
        Self::removing(beyond)
    }

    /// The same with another step for one field.
    #[must_use]
    pub fn with(mut self, of: EventType, field: &'static str, step: Step) -> Self {
        self.steps.insert((of, field), step);
        self
    }

    /// The same with one more declared field.
    #[must_use]
    pub fn declaring(mut self, of: EventType, declared: Declared) -> Self {
        self.declared.entry(of).or_default().push(declared);
        self
    }

    /// The same with sealed parts in so many of a million records of a type.
    #[must_use]
    pub fn sampling(mut self, of: EventType, ppm: u32) -> Self {
        self.sampling.insert(of, ppm);
        self
    }

    /// The declared fields of a type.
    #[must_use]
    pub fn declared(&self, of: EventType) -> &[Declared] {
        self.declared.get(&of).map_or(&[], Vec::as_slice)
    }

    /// Whether the record of this key keeps its sealed parts: the same answer wherever it is asked.
    #[must_use]
    pub fn keeps_sealed(&self, of: EventType, key: &[u8; 12]) -> bool {
        let Some(ppm) = self.sampling.get(&of) else {
            return true;
        };
        let [a, b, c, d, e, f, g, h, ..] = *key;
        let drawn = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        drawn * u128::from(WHOLE_PPM) < u128::from(*ppm) << 64
    }

    /// How a text at a place is looked at for everything.
    #[must_use]
    pub fn around(&self, place: Place) -> Look {
        Look {
            region: self.region,
            ..Look::from(place)
        }
    }

    /// How a text is sealed: what is looked for and how many bytes are kept.
    #[must_use]
    pub fn sealing(&self, of: EventType, field: &Field) -> Option<(RuleSet, usize)> {
        match self.step(of, field) {
            Some(Step::Seal { rules, bytes_max }) => Some((*rules, *bytes_max)),
            Some(_) | None => None,
        }
    }

    /// The same with a region whose own form of phone numbers counts too.
    #[must_use]
    pub const fn in_region(mut self, region: Option<Region>) -> Self {
        self.region = region;
        self
    }

    /// Whether a field goes.
    #[must_use]
    pub fn removes(&self, of: EventType, field: &Field) -> bool {
        !is_fact(field) && matches!(self.step(of, field), Some(Step::Remove))
    }

    /// Under which domain a person stands.
    #[must_use]
    pub fn domain(&self, of: EventType, field: &Field) -> Domain {
        match self.step(of, field) {
            Some(Step::Pseudonym(domain)) => *domain,
            Some(_) | None => Domain::Viewer,
        }
    }

    /// The table that a label goes through.
    #[must_use]
    pub fn table(&self, of: EventType, field: &Field) -> Option<&Table> {
        match self.step(of, field) {
            Some(Step::Generalize(table)) if !field.required => Some(table),
            Some(_) | None => None,
        }
    }

    /// How a text is looked at, and how many bytes of it.
    #[must_use]
    pub fn look(&self, of: EventType, field: &Field, place: Place) -> (Look, usize) {
        let all = self.around(place);
        // What is part of an event's identity is looked through the same way under every policy.
        let free = matches!(field.kind, Kind::Remark);
        match self.step(of, field) {
            Some(Step::Redact { rules, bytes_max }) if free => {
                let rules = rules.or(RuleSet::LEAST);
                (Look { rules, ..all }, *bytes_max)
            }
            Some(_) | None => (all, limits::CHAT_BYTES_MAX),
        }
    }

    fn step(&self, of: EventType, field: &Field) -> Option<&Step> {
        if self.steps.is_empty() {
            return None;
        }
        self.steps.get(&(of, field.name))
    }
}

/// The domain that a policy names.
#[must_use]
pub const fn domain_of(domain: rule::Domain) -> Domain {
    match domain {
        rule::Domain::Viewer => Domain::Viewer,
        rule::Domain::Buyer => Domain::Buyer,
        rule::Domain::Email => Domain::Email,
        rule::Domain::Phone => Domain::Phone,
        rule::Domain::Chat => Domain::Chat,
    }
}

/// The detectors that a policy names.
#[must_use]
pub fn rules_of(detectors: rule::Detectors) -> RuleSet {
    let rules = detectors.iter().map(|detector| match detector {
        rule::Detector::Track => Rule::Track,
        rule::Detector::Pan => Rule::Pan,
        rule::Detector::Code => Rule::Code,
        rule::Detector::Email => Rule::Email,
        rule::Detector::Iban => Rule::Iban,
        rule::Detector::Phone => Rule::Phone,
        rule::Detector::Ip => Rule::Ip,
        rule::Detector::UrlQuery => Rule::UrlQuery,
        rule::Detector::Handle => Rule::Handle,
    });
    rules.fold(RuleSet::LEAST, RuleSet::with)
}

/// Whether a field is what has to stay: required, and neither a person nor a chat's text.
fn is_fact(field: &Field) -> bool {
    field.required && !matches!(field.kind, Kind::Subject | Kind::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(of: EventType, name: &str) -> &'static Field {
        let mut fields = of.fields().iter();
        fields.find(|field| field.name == name).unwrap()
    }

    #[test]
    fn no_plan_removes_a_fact_or_looks_away_from_the_least() {
        for of in EventType::ALL {
            for field in of.fields() {
                let plan = Plan::removing([(*of, field.name)]);
                assert_eq!(plan.removes(*of, field), !is_fact(field), "{}", field.name);
                assert!(!Plan::default().removes(*of, field));
                assert!(Plan::restricted().removes(*of, field) || is_fact(field));
            }
        }
        let of = EventType::PaymentRefunded;
        let step = Step::Redact {
            rules: RuleSet::NONE,
            bytes_max: 5,
        };
        let plan = Plan::default().with(of, "remark", step.clone());
        let (look, bytes) = plan.look(of, field(of, "remark"), Place::Text);
        assert_eq!((look.rules, bytes), (RuleSet::LEAST, 5));
        let plan = Plan::default().with(of, "payment", step);
        let (look, _) = plan.look(of, field(of, "payment"), Place::Reference);
        assert_eq!(look.rules, RuleSet::ALL);
    }

    #[test]
    fn a_label_is_the_first_piece_that_occurs() {
        let rows = [("shop", "web"), ("stall", "street")];
        let rows = rows.map(|(piece, name)| (piece.to_owned(), name.to_owned()));
        let table = Table::new(rows.to_vec());
        for (label, general) in [("Shop 7", "web"), ("the stall", "street"), ("Ada", "other")] {
            assert_eq!(table.general(label), general);
        }
    }
}
