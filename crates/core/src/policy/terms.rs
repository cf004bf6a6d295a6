//! All that a policy can be strict about, as a product of coordinates.
//!
//! What always holds (L8): [`Terms::join`] works on each coordinate alone, so it is associative,
//! commutative and idempotent, and its result is never weaker than either side.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::duration::Span;
use super::ladder::Ladder;
use super::limit::Limit;
use super::rule::{Holds, Rule};
use crate::access::raw::{PartClass, Purpose};
use crate::access::{Action, Scope};
use crate::event::commerce::WHOLE_PPM;
use crate::event::{Class, EventType, Field};

/// A field that a policy decides about.
pub type FieldKey = (EventType, &'static str);

/// A field beyond the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraRule {
    /// What it holds.
    pub holds: Holds,
    /// Under which key it is sealed.
    pub class: PartClass,
    /// What is done with it.
    pub rule: Rule,
}

/// Fields beyond the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    /// What is said of them; `None` is removed. Where [`Self::open`] is not, only those that stay.
    named: BTreeMap<(EventType, String), Option<ExtraRule>>,
    /// Whether one that is not named may stand in another document.
    open: bool,
}

/// All that a policy can be strict about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Each field of [`governed`].
    pub fields: BTreeMap<FieldKey, Rule>,
    /// Fields beyond the catalogue.
    pub extra: Extras,
    /// The coordinates that are one number, by [`Limit::index`].
    limits: [u64; Limit::COUNT],
    /// How fine cells stay.
    pub ladder: Ladder,
    /// Of which types how many records keep their sealed parts, millionths; all of those not named.
    pub sampling: BTreeMap<EventType, u32>,
    /// Whether an event of an unknown type is refused rather than taken apart.
    pub refuses_unknown: bool,
    /// What each scope may do.
    pub actions: BTreeSet<(Scope, Action)>,
    /// What single records are read for.
    pub purposes: BTreeSet<Purpose>,
    /// What needs a fresh second factor, beside what the table of access says.
    pub step_up: BTreeSet<Action>,
}

/// The fields that a policy decides about: optional ones, and required ones that are no facts.
pub fn governed() -> impl Iterator<Item = (EventType, &'static Field)> {
    EventType::ALL.iter().flat_map(|of| {
        let fields = of.fields().iter();
        fields
            .filter(|field| !field.required || is_person(field))
            .map(|field| (*of, field))
    })
}

/// Whether a field holds a person or what a person wrote.
fn is_person(field: &Field) -> bool {
    matches!(Holds::of(field.kind), Holds::Subject | Holds::Text)
}

/// Whether a type may be sampled: money and stock never are.
#[must_use]
pub const fn is_observation(of: EventType) -> bool {
    match of.class() {
        Class::Journey | Class::Ambient => true,
        Class::System | Class::Money | Class::Stock => false,
    }
}

/// What the table of access lets anybody do.
fn table() -> BTreeSet<(Scope, Action)> {
    let all = Scope::ALL.iter();
    all.flat_map(|scope| Action::ALL.iter().map(move |action| (*scope, *action)))
        .filter(|(scope, action)| action.is_open_to(*scope))
        .collect()
}

impl Terms {
    /// The built-in floor: the loosest that any policy may be.
    #[must_use]
    pub fn floor() -> Self {
        Self {
            fields: fields(|field| Holds::of(field.kind).loosest()),
            extra: Extras {
                named: BTreeMap::new(),
                open: true,
            },
            limits: core::array::from_fn(|at| Limit::ALL[at].floor()),
            ladder: Ladder::default(),
            sampling: BTreeMap::new(),
            refuses_unknown: false,
            actions: table(),
            purposes: Purpose::ALL.iter().copied().collect(),
            step_up: BTreeSet::from([Action::RawRead]),
        }
    }

    /// What a document of a popup begins with: required fields alone, a person under a pseudonym, what
    /// somebody wrote read for its mood and not kept; everything else as usual.
    #[must_use]
    pub fn of_popup() -> Self {
        Self {
            fields: fields(|field| match (field.required, Holds::of(field.kind)) {
                (true, Holds::Text) => Rule::Score,
                (true, holds) => holds.loosest(),
                (false, _) => Rule::Remove,
            }),
            extra: Extras {
                named: BTreeMap::new(),
                open: false,
            },
            limits: core::array::from_fn(|at| Limit::ALL[at].usual()),
            refuses_unknown: true,
            ..Self::floor()
        }
    }

    /// The built-in policy of an organisation without one: every field of the catalogue that may stay.
    #[must_use]
    pub fn built_in() -> Self {
        let stays = |field: &Field| {
            let holds = Holds::of(field.kind);
            if holds == Holds::Text {
                Rule::Score
            } else {
                holds.loosest()
            }
        };
        Self {
            fields: fields(stays),
            ..Self::of_popup()
        }
    }

    /// What runs without a policy in force: facts alone; no person, no text, nothing sealed, no raw
    /// reads.
    #[must_use]
    pub fn restricted() -> Self {
        let mut terms = Self::of_popup();
        for rule in terms.fields.values_mut() {
            *rule = Rule::Remove;
        }
        terms.purposes.clear();
        terms
            .actions
            .retain(|(_, action)| *action != Action::RawRead);
        terms
    }

    /// A coordinate that is one number.
    #[must_use]
    pub const fn limit(&self, limit: Limit) -> u64 {
        self.limits[limit.index()]
    }

    /// A coordinate that is a span.
    #[must_use]
    pub const fn span(&self, limit: Limit) -> Span {
        Span::of_ms(self.limit(limit))
    }

    /// Says a coordinate that is one number.
    pub const fn set_limit(&mut self, limit: Limit, value: u64) {
        self.limits[limit.index()] = value;
    }

    /// How many of a type's records keep their sealed parts, millionths.
    #[must_use]
    pub fn sampled_ppm(&self, of: EventType) -> u32 {
        self.sampling.get(&of).copied().unwrap_or(WHOLE_PPM)
    }

    /// The stricter of both, coordinate by coordinate.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut fields = self.fields.clone();
        for (key, rule) in &other.fields {
            fields
                .entry(*key)
                .and_modify(|mine| *mine = mine.join(rule))
                .or_insert_with(|| rule.clone());
        }
        let mut sampling = self.sampling.clone();
        for (of, ppm) in &other.sampling {
            let mine = sampling.entry(*of).or_insert(*ppm);
            *mine = (*mine).min(*ppm);
        }
        Self {
            fields,
            extra: self.extra.join(&other.extra),
            limits: core::array::from_fn(|at| {
                Limit::ALL[at].join(self.limits[at], other.limits[at])
            }),
            ladder: self.ladder.join(&other.ladder),
            sampling,
            refuses_unknown: self.refuses_unknown || other.refuses_unknown,
            actions: self.actions.intersection(&other.actions).copied().collect(),
            purposes: (self.purposes.intersection(&other.purposes))
                .copied()
                .collect(),
            step_up: self.step_up.union(&other.step_up).copied().collect(),
        }
    }

    /// Whether nothing passes it that the other holds back. Written down apart from [`Self::join`].
    #[must_use]
    pub fn at_least(&self, other: &Self) -> bool {
        let limits = Limit::ALL.iter();
        let mut fields = other.fields.iter();
        let mut types = EventType::ALL.iter();
        fields.all(|(key, rule)| {
            let mine = self.fields.get(key);
            mine.is_none_or(|mine| mine.at_least(rule))
        }) && self.extra.at_least(&other.extra)
            && limits
                .copied()
                .all(|limit| limit.at_least(self.limit(limit), other.limit(limit)))
            && self.ladder.at_least(&other.ladder)
            && types.all(|of| self.sampled_ppm(*of) <= other.sampled_ppm(*of))
            && (self.refuses_unknown || !other.refuses_unknown)
            && self.actions.is_subset(&other.actions)
            && self.purposes.is_subset(&other.purposes)
            && self.step_up.is_superset(&other.step_up)
    }

    /// Every field on which the two differ is removed, all else is joined: what runs after a version
    /// turned out not to work here. Never looser than either.
    #[must_use]
    pub fn fall_back(&self, failed: &Self) -> Self {
        let mut terms = self.join(failed);
        for (key, rule) in &mut terms.fields {
            if self.fields.get(key) != failed.fields.get(key) {
                *rule = Rule::Remove;
            }
        }
        if self.extra != failed.extra {
            let names = self.extra.names().chain(failed.extra.names());
            let differing: Vec<_> = names
                .filter(|key| self.extra.rule(key) != failed.extra.rule(key))
                .cloned()
                .collect();
            for key in differing {
                terms.extra.named.insert(key, None);
            }
            terms.extra = terms.extra.normal();
        }
        terms
    }

    /// Each coordinate with its value in words, in the order of the document. Equal values have equal
    /// words and different ones different words.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows: Vec<(String, String)> = Vec::new();
        for limit in Limit::ALL {
            rows.push((
                String::from(limit.path()),
                limit.show(self.limits[limit.index()]),
            ));
        }
        rows.push((
            String::from("retention.cells.ladder"),
            self.ladder.to_string(),
        ));
        for ((of, field), rule) in &self.fields {
            rows.push((format!("fields.{}.{field}", of.name()), rule.to_string()));
        }
        for (key, rule) in &self.extra.named {
            let said = match rule {
                Some(extra) => extra.to_string(),
                None => Rule::Remove.to_string(),
            };
            rows.push((format!("extra.{}.{}", key.0.name(), key.1), said));
        }
        rows.push((String::from("extra"), String::from(self.extra.rest())));
        let unknown = if self.refuses_unknown {
            "refuse"
        } else {
            "opaque"
        };
        rows.push((String::from("unknown_types"), String::from(unknown)));
        for (of, ppm) in &self.sampling {
            rows.push((format!("sampling.{}", of.name()), ppm.to_string()));
        }
        let yes = |yes: bool| String::from(if yes { "yes" } else { "no" });
        for (scope, action) in table() {
            rows.push((
                format!("access.scopes.{}.{}", scope.text(), action.text()),
                yes(self.actions.contains(&(scope, action))),
            ));
        }
        for action in Action::ALL {
            rows.push((
                format!("access.step_up.actions.{}", action.text()),
                yes(self.step_up.contains(action)),
            ));
        }
        for purpose in Purpose::ALL {
            rows.push((
                format!("access.raw_read.purposes.{}", purpose.text()),
                yes(self.purposes.contains(purpose)),
            ));
        }
        rows
    }
}

fn fields(rule: impl Fn(&Field) -> Rule) -> BTreeMap<FieldKey, Rule> {
    governed()
        .map(|(of, field)| ((of, field.name), rule(field)))
        .collect()
}

impl Extras {
    /// Says what is done with a field beyond the catalogue.
    pub fn set(&mut self, key: (EventType, String), rule: ExtraRule) {
        let rule = Some(rule).filter(|extra| extra.rule != Rule::Remove);
        self.named.insert(key, rule);
        *self = self.normal();
    }

    /// Those that stay.
    pub fn kept(&self) -> impl Iterator<Item = (&(EventType, String), &ExtraRule)> {
        self.named
            .iter()
            .filter_map(|(key, rule)| Some((key, rule.as_ref()?)))
    }

    fn names(&self) -> impl Iterator<Item = &(EventType, String)> {
        self.named.keys()
    }

    /// What is said of one: `None` where anything may be.
    fn rule(&self, key: &(EventType, String)) -> Option<Option<&ExtraRule>> {
        match self.named.get(key) {
            Some(rule) => Some(rule.as_ref()),
            None if self.open => None,
            None => Some(None),
        }
    }

    const fn rest(&self) -> &'static str {
        if self.open { "open" } else { "remove" }
    }

    fn join(&self, other: &Self) -> Self {
        let mut named = BTreeMap::new();
        for key in self.names().chain(other.names()) {
            let rule = match (self.rule(key), other.rule(key)) {
                (None, None) => continue,
                (Some(one), None) | (None, Some(one)) => one.cloned(),
                (Some(one), Some(two)) => one.zip(two).and_then(|(one, two)| one.join(two)),
            };
            named.insert(key.clone(), rule);
        }
        let open = self.open && other.open;
        Self { named, open }.normal()
    }

    /// One form: what is removed is not named where all else is removed too.
    fn normal(&self) -> Self {
        let mut named = self.named.clone();
        named.retain(|_, rule| self.open || rule.is_some());
        Self {
            named,
            open: self.open,
        }
    }

    fn at_least(&self, other: &Self) -> bool {
        let mut keys = self.names().chain(other.names());
        (!self.open || other.open)
            && keys.all(|key| match (self.rule(key), other.rule(key)) {
                (_, None) | (Some(None), _) => true,
                (None, Some(_)) | (Some(Some(_)), Some(None)) => false,
                (Some(Some(mine)), Some(Some(theirs))) => {
                    mine.holds == theirs.holds
                        && mine.class == theirs.class
                        && mine.rule.at_least(&theirs.rule)
                }
            })
    }
}

impl ExtraRule {
    /// The stricter of both; `None` is removed.
    fn join(&self, other: &Self) -> Option<Self> {
        let is_same = self.holds == other.holds && self.class == other.class;
        let rule = self.rule.join(&other.rule);
        (is_same && rule != Rule::Remove).then_some(Self { rule, ..*self })
    }
}

impl core::fmt::Display for ExtraRule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (holds, class) = (self.holds.text(), self.class.text());
        write!(f, "{} ({holds}, {class})", self.rule)
    }
}
