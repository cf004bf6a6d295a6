//! Redaction of one event, as a source of fields between the outside form and the typed event.
//!
//! [`RedactingSource`] wraps the source that reads the outside form, so that a typed event that was
//! not redacted never exists. Per field, in this order: detectors over every text, ids and labels
//! too; the content hash; what the plan says. A chat text ends here: its score takes its place. Where looking fails, texts become a fixed word;
//! numbers and references stay (a reference that could not be looked at is mapped).

mod beyond;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use popwatch_core::access::raw::PartClass;
use popwatch_core::event::{
    ChatScore, EventType, Field, FieldFault, FieldSource, Kind, Line, Stage, Value, ValueFault,
};
use popwatch_core::id::{CheckoutStage, CreatorId, PopupId, Sku};
use popwatch_core::record::{Content, ContentHasher};

use crate::detect::{self, Budget, ERROR_WORD, Look, Place, Rule};
pub use crate::plan::Plan;
use crate::pseudonym::{Keys, PseudonymKeys, ReferenceKey};
use crate::seal::PopupKeys;
use crate::sentiment;
pub use beyond::Unsealed;

/// What stands for a required subject while its popup has no live key.
pub const REMOVED_WORD: &str = "[removed]";

/// Names that are removed wherever they stand, letters and digits compared in lower case: what PCI
/// DSS forbids to keep after authorisation, even encrypted.
const FORBIDDEN_NAMES: &[&str] = &[
    "pan",
    "cardnumber",
    "cardno",
    "ccnumber",
    "ccnum",
    "creditcard",
    "primaryaccountnumber",
    "cvv",
    "cvv2",
    "cvc",
    "cvc2",
    "cav2",
    "cid",
    "csc",
    "cvn",
    "securitycode",
    "cardcode",
    "pin",
    "pinblock",
    "track",
    "track1",
    "track2",
    "trackdata",
    "magstripe",
    "iccdata",
    "tag57",
];
const NAME_BYTES_MAX: usize = 20;

/// Whether a key is one of the names that are removed with their value.
#[must_use]
pub fn forbidden_name(name: &str) -> bool {
    let mut plain = [0; NAME_BYTES_MAX];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        let Some(slot) = plain.get_mut(length) else {
            return false;
        };
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    FORBIDDEN_NAMES
        .iter()
        .any(|forbidden| forbidden.as_bytes() == &plain[..length])
}

/// Where a field's text stands.
#[must_use]
pub fn place(field: &Field) -> Place {
    match field.kind {
        Kind::Reference | Kind::Subject => Place::Reference,
        Kind::Name if field.name == "sku" => Place::Sku,
        Kind::Name => Place::Label,
        Kind::Remark
        | Kind::Text
        | Kind::Currency
        | Kind::Minor
        | Kind::MinorSigned
        | Kind::Count
        | Kind::CountSigned
        | Kind::Bytes
        | Kind::Millis
        | Kind::Moment
        | Kind::Thousandths
        | Kind::Flag
        | Kind::Choice(_)
        | Kind::OpenChoice(_)
        | Kind::Lines
        | Kind::Stages => Place::Text,
    }
}

/// Maps a reference that looks like a card number, track, bank account or internet address, the same way at every border; any other
/// stays.
#[must_use]
pub fn reference<'a>(text: &'a str, key: &ReferenceKey) -> Cow<'a, str> {
    if detect::reference_must_go(text) {
        Cow::Owned(key.map(text))
    } else {
        Cow::Borrowed(text)
    }
}

/// What redaction did, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Hits per rule, in the order of [`Rule::ALL`].
    pub hits: [u64; Rule::ALL.len()],
    /// References mapped because they look like a card number.
    pub references_mapped: u64,
    /// Fields the catalogue does not know.
    pub unknown_fields: u64,
    /// Fields removed for their name.
    pub forbidden_names: u64,
    /// Fields removed by the plan.
    pub planned: u64,
    /// Subjects removed because their popup has no live key.
    pub keyless: u64,
    /// Texts cut to their bound.
    pub cut: u64,
    /// Texts that could not be looked at and became [`ERROR_WORD`].
    pub errors: u64,
    /// Records in which the second look found something: must stay 0.
    pub residual: u64,
}

impl Counts {
    /// Adds what another event counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.hits.iter_mut().zip(other.hits) {
            *sum += more;
        }
        self.references_mapped += other.references_mapped;
        self.unknown_fields += other.unknown_fields;
        self.forbidden_names += other.forbidden_names;
        self.planned += other.planned;
        self.keyless += other.keyless;
        self.cut += other.cut;
        self.errors += other.errors;
        self.residual += other.residual;
    }

    /// The hits of one rule.
    #[must_use]
    pub const fn hits(&self, rule: Rule) -> u64 {
        self.hits[rule as usize]
    }
}

/// What redaction works by.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Keys of pseudonyms and references.
    pub keys: &'a Keys,
    /// What is kept.
    pub plan: &'a Plan,
    /// The keys of the event's popup that are alive; `None` where those of `keys` do for it.
    pub popup_keys: Option<&'a PopupKeys>,
}

/// What is left of a source once its event was read.
#[derive(Debug)]
pub struct Finished<S> {
    /// The hash of the event's content.
    pub content: Content,
    /// What is kept beyond the catalogue.
    pub beyond: Unsealed,
    /// What was done.
    pub counts: Counts,
    /// The wrapped source.
    pub inner: S,
}

/// A source of redacted fields.
pub struct RedactingSource<'a, S> {
    inner: S,
    of: EventType,
    popup: Option<&'a PopupId>,
    rules: Rules<'a>,
    hasher: ContentHasher,
    beyond: Unsealed,
    counts: Counts,
    budget: Budget,
    broken: bool,
}

impl<'a, S: FieldSource> RedactingSource<'a, S> {
    /// Wraps the source of one event. `hash_key` is the journal's id twice.
    #[must_use]
    pub fn new(
        inner: S,
        of: EventType,
        popup: Option<&'a PopupId>,
        rules: Rules<'a>,
        hash_key: &[u8; 32],
    ) -> Self {
        Self {
            inner,
            of,
            popup,
            rules,
            hasher: ContentHasher::new(hash_key, of, popup),
            beyond: Unsealed::default(),
            counts: Counts::default(),
            budget: Budget::default(),
            broken: false,
        }
    }

    /// Ends the event.
    pub fn finish(self) -> Finished<S> {
        Finished {
            content: self.hasher.finish(),
            beyond: self.beyond,
            counts: self.counts,
            inner: self.inner,
        }
    }

    fn detected(&mut self, field: &'static Field, value: Value) -> Result<Value, ValueFault> {
        Ok(match value {
            Value::Text(text) => match field.kind {
                Kind::Subject => Value::Text(text),
                Kind::Reference => match self.reference(&text) {
                    Some(mapped) => Value::Text(mapped.into()),
                    None => Value::Text(text),
                },
                Kind::Text => self.chat(field, &text),
                Kind::Remark => self.remark(field, text),
                Kind::OpenChoice(choices) if !choices.contains(&&*text) => {
                    Value::Text((*choices.last().expect("a choice has members")).into())
                }
                Kind::Name
                | Kind::Currency
                | Kind::Minor
                | Kind::MinorSigned
                | Kind::Count
                | Kind::CountSigned
                | Kind::Bytes
                | Kind::Millis
                | Kind::Moment
                | Kind::Thousandths
                | Kind::Flag
                | Kind::Choice(_)
                | Kind::OpenChoice(_)
                | Kind::Lines
                | Kind::Stages => match self.text(&text, place(field)) {
                    Some(clean) => Value::Text(clean.into()),
                    None => Value::Text(text),
                },
            },
            Value::Int(_) if field.kind == Kind::Text => return Err(ValueFault::Type("a string")),
            Value::Int(number) => {
                no_card(number)?;
                value
            }
            Value::Flag(_) => value,
            Value::Lines(lines) => Value::Lines(
                lines
                    .into_iter()
                    .map(|line| self.line(line))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Stages(stages) => {
                Value::Stages(stages.into_iter().map(|stage| self.stage(stage)).collect())
            }
        })
    }

    /// What stands for a chat text: its score. What the detectors find in it is counted.
    fn chat(&mut self, field: &'static Field, text: &str) -> Value {
        if self.rules.plan.removes(self.of, field) {
            return Value::Int(ChatScore::NOT_COVERED.code());
        }
        let (look, bytes_max) = self.rules.plan.look(self.of, field, Place::Text);
        let cut = self.cut(text, bytes_max);
        match self.rules.plan.sealing(self.of, field) {
            Some((rules, kept_max)) => {
                self.sealed_text(PartClass::Freetext, field.name, cut, rules, kept_max);
            }
            None => drop(self.text(cut, look)),
        }
        let scored = catch_unwind(|| sentiment::score(text));
        let score = scored.unwrap_or_else(|_| {
            self.counts.errors += 1;
            ChatScore::NOT_COVERED
        });
        Value::Int(score.code())
    }

    /// A remark without what was found in it, within what the plan keeps of it. Digits at the cut go:
    /// fewer of them could be a card number.
    fn remark(&mut self, field: &'static Field, text: Arc<str>) -> Value {
        let (look, bytes_max) = self.rules.plan.look(self.of, field, place(field));
        let clean = self.text(&text, look);
        let kept = clean.as_deref().unwrap_or(&text);
        if kept.len() > bytes_max {
            self.counts.cut += 1;
            return Value::Text(fit(kept.to_owned(), bytes_max).into());
        }
        Value::Text(clean.map_or(text, Arc::from))
    }

    fn line(&mut self, line: Line) -> Result<Line, ValueFault> {
        no_card(line.qty)?;
        no_card(line.amount)?;
        let sku = match self.text(line.sku.as_str(), Place::Sku) {
            Some(clean) => Sku::new(&clean).map_err(ValueFault::Id)?,
            None => line.sku,
        };
        let creator = match line.creator {
            Some(creator) => Some(match self.text(creator.as_str(), Place::Label) {
                Some(clean) => CreatorId::new(&clean).map_err(ValueFault::Id)?,
                None => creator,
            }),
            None => None,
        };
        Ok(Line {
            sku,
            creator,
            ..line
        })
    }

    fn stage(&mut self, stage: Stage) -> Stage {
        match self.text(stage.name.as_str(), Place::Label) {
            Some(clean) => Stage {
                name: CheckoutStage::new(&clean).expect("a cleaned name fits where it stood"),
                ..stage
            },
            None => stage,
        }
    }

    /// The text without what was found in it, `None` when nothing was.
    fn text(&mut self, text: &str, look: impl Into<Look>) -> Option<String> {
        let look = look.into();
        if self.broken {
            return Some(self.error(text));
        }
        let mut budget = self.budget;
        let mut hits = [0; Rule::ALL.len()];
        let looked = catch_unwind(AssertUnwindSafe(|| {
            tests_may_panic(text);
            let clean = detect::clean(text, look, &mut budget, |rule| hits[rule as usize] += 1);
            clean.map(|clean| fit(clean, text.len()))
        }));
        self.budget = budget;
        self.broken = looked.is_err() || budget.spent();
        match looked {
            Ok(clean) if !self.broken => {
                for (sum, more) in self.counts.hits.iter_mut().zip(hits) {
                    *sum += more;
                }
                clean
            }
            _ => Some(self.error(text)),
        }
    }

    fn error(&mut self, text: &str) -> String {
        self.counts.errors += 1;
        fit(ERROR_WORD.to_owned(), text.len())
    }

    /// What stands for a reference, `None` when it may stay. References are looked at even after a
    /// failure, each by itself: orders and payments have to stay joined.
    fn reference(&mut self, text: &str) -> Option<String> {
        let looked = catch_unwind(AssertUnwindSafe(|| {
            tests_may_panic(text);
            detect::reference_must_go(text)
        }));
        if looked.is_ok_and(|hit| !hit) {
            return None;
        }
        self.counts.references_mapped += 1;
        Some(self.rules.keys.reference.map(text))
    }

    /// A text within its bound: what the detectors look through.
    fn cut<'t>(&mut self, text: &'t str, bytes_max: usize) -> &'t str {
        if text.len() <= bytes_max {
            return text;
        }
        self.counts.cut += 1;
        &text[..text.floor_char_boundary(bytes_max)]
    }

    /// What the plan leaves of a value.
    fn planned(&mut self, field: &'static Field, value: Value) -> Option<Value> {
        let plan = self.rules.plan;
        if plan.removes(self.of, field) {
            self.counts.planned += 1;
            let is_subject = matches!(field.kind, Kind::Subject);
            // A text went before it was scored.
            let is_gone = matches!(field.kind, Kind::Text);
            return match field.required {
                true if is_subject => Some(Value::Text(REMOVED_WORD.into())),
                true if is_gone => Some(value),
                true | false => None,
            };
        }
        match (field.kind, value) {
            (Kind::Subject, Value::Text(text)) => self.subject(field, &text),
            (Kind::Name, Value::Text(text)) => {
                Some(Value::Text(match plan.table(self.of, field) {
                    Some(table) => table.general(&text).into(),
                    None => text,
                }))
            }
            (_, value) => Some(value),
        }
    }

    /// The key that the popup's pseudonyms are made with, if it has one that is alive.
    fn keys(&self) -> Option<PseudonymKeys> {
        match self.rules.popup_keys {
            Some(own) => own.pseudonym.clone(),
            None => self.rules.keys.of(self.popup?),
        }
    }

    fn subject(&mut self, field: &'static Field, text: &str) -> Option<Value> {
        let stand_in = match self.keys() {
            Some(keys) => keys.stand_in(self.rules.plan.domain(self.of, field), text),
            None => {
                self.counts.keyless += 1;
                if !field.required {
                    return None;
                }
                REMOVED_WORD.to_owned()
            }
        };
        Some(Value::Text(stand_in.into()))
    }
}

impl<S: FieldSource> FieldSource for RedactingSource<'_, S> {
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
        let Some(value) = self.inner.take(field)? else {
            return Ok(None);
        };
        let value = self.detected(field, value).map_err(|fault| FieldFault {
            path: field.name.to_owned(),
            fault,
        })?;
        self.hasher.field(field, &value);
        Ok(self.planned(field, value))
    }
}

fn no_card(number: i64) -> Result<(), ValueFault> {
    if detect::is_card_number(number) {
        Err(ValueFault::Card)
    } else {
        Ok(())
    }
}

/// Keeps a replaced text within the length it had or that of the longest word, so that redaction never
/// makes a text too long for its field. Digits at the cut go: fewer of them could be a card number.
fn fit(mut text: String, length: usize) -> String {
    let length = length.max(ERROR_WORD.len());
    if text.len() > length {
        text.truncate(text.floor_char_boundary(length));
        let kept = text.trim_end_matches(|c: char| !c.is_ascii() || c.is_ascii_digit());
        text.truncate(kept.len());
    }
    text
}

#[cfg(not(test))]
const fn tests_may_panic(_text: &str) {}

#[cfg(test)]
fn tests_may_panic(text: &str) {
    assert!(!text.contains("make the detector panic"), "asked for");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::ReferenceKey;
    use popwatch_core::event::Event;

    struct Fields(Vec<(&'static str, Value)>);

    impl FieldSource for Fields {
        fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
            let found = self.0.iter().find(|(name, _)| *name == field.name);
            Ok(found.map(|(_, value)| value.clone()))
        }
    }

    fn refund(remark: &str) -> (Event, Counts) {
        let text = |text: &str| Value::Text(text.into());
        let fields = Fields(vec![
            ("refund", text("r-1")),
            ("payment", text("make the detector panic")),
            ("amount", Value::Int(500)),
            ("currency", text("GBP")),
            ("remark", text(remark)),
        ]);
        let keys = Keys::new(ReferenceKey::new([1; 32]));
        let plan = Plan::default();
        let rules = Rules {
            keys: &keys,
            plan: &plan,
            popup_keys: None,
        };
        let of = EventType::PaymentRefunded;
        let mut source = RedactingSource::new(fields, of, None, rules, &[0; 32]);
        let event = Event::read(of, &mut source).unwrap();
        (event, source.finish().counts)
    }

    #[test]
    fn a_panicking_detector_costs_the_texts_and_never_the_fact() {
        let secret = "make the detector panic over 4111111111111111";
        let (event, counts) = refund(secret);
        let Event::PaymentRefunded(refund) = event else {
            panic!("a refund");
        };
        assert_eq!((refund.refund.as_str(), refund.amount.0), ("r-1", 500));
        assert!(refund.payment.as_str().starts_with("x_"));
        assert_eq!(refund.remark.unwrap().as_str(), ERROR_WORD);
        assert_eq!((counts.errors, counts.references_mapped), (1, 1));
    }

    #[test]
    fn after_the_bound_no_text_is_kept() {
        let many = "4111 1111 1111 1112 ".repeat(3_000);
        let (event, counts) = refund(&many);
        let Event::PaymentRefunded(refund) = event else {
            panic!("a refund");
        };
        assert_eq!(refund.remark.unwrap().as_str(), ERROR_WORD);
        assert_eq!(counts.errors, 1);
    }

    #[test]
    fn names_are_compared_by_letters_and_digits() {
        for name in ["pan", "Card-Number", "card_no", "CVV2", "track 1", "cc.num"] {
            assert!(forbidden_name(name), "{name}");
        }
        for name in [
            "",
            "span",
            "pin_ms",
            "payment",
            "primary_account_number_of_somebody",
        ] {
            assert!(!forbidden_name(name), "{name}");
        }
    }
}
