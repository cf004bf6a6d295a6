//! The one way in: decode, check, redact, encode, second look.
//!
//! Every event gets an admission of its own, in the order they came; one that is bad, or trips a
//! defect of ours, never costs its neighbours anything. Idempotency, shedding and the journal come
//! after the door.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use popwatch_core::code::Code;
use popwatch_core::event::system::{RESERVED_PREFIXES, RESERVED_TYPES, UNRESERVED_TYPE};
use popwatch_core::event::{Event, EventType, FieldFault, ValueFault};
use popwatch_core::id::{EventId, IdFault, JournalId, PopupId, RigId, Source};
use popwatch_core::limits;
use popwatch_core::record::{Draft, Flags, Record, Stamp, event_key};
use popwatch_redact::apply::{Counts, Plan, RedactingSource, Rules};
use popwatch_redact::detect::{self, Budget, Place, Rule};
use popwatch_redact::proof::{self, Redacted, Sealing};
use popwatch_redact::pseudonym::Keys;
use popwatch_redact::seal::PopupKeys;
use serde_json::{Map, Value as Json};

pub use crate::cloudevents::Request;
use crate::cloudevents::{self, Envelope};
use crate::inflate::inflate;
use crate::json::{JsonSource, rfc3339_ms, text_at};
use crate::problem::Problem;
use crate::verdict::EventProblem;

/// Moments an event may claim, ms since 1970: the years 2000 to 2100.
const TIME_MS: std::ops::RangeInclusive<i64> = 946_684_800_000..=4_102_444_800_000;

/// What admission works by; the same for all requests of one journal and policy.
#[derive(Debug, Clone)]
pub struct Door {
    /// The rig that admits.
    pub rig: RigId,
    /// Its journal: keys and content hashes hold inside it.
    pub journal_id: JournalId,
    /// Where events without a popup belong.
    pub default_popup: Option<PopupId>,
    /// Keys of pseudonyms and references.
    pub keys: Keys,
    /// What is kept of a popup that has no policy of its own.
    pub plan: Plan,
}

/// When and from where a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Steady clock, ns (counts sleep).
    pub mono_ns: u64,
    /// Wall clock, ms since 1970.
    pub wall_ms: i64,
    /// The sender runs on the rig's own host and shares its clock.
    pub local_sender: bool,
}

/// How a popup stands at this till.
#[derive(Debug, Clone, Default)]
pub struct Standing<'a> {
    /// Up to which moment its records are folded, ms since 1970; `None` where nobody told.
    pub until_ms: Option<i64>,
    /// The policy of it that is in force, by which the ledger says what was promised; 0 for none.
    pub policy_version: u32,
    /// What its own policy keeps; `None` where the door's does for it.
    pub plan: Option<&'a Plan>,
    /// Its keys that are alive; `None` where the door's do for it.
    pub keys: Option<Arc<PopupKeys>>,
}

/// Says how each popup stands.
pub type Stands<'a> = &'a dyn Fn(&PopupId) -> Standing<'a>;

/// What the door made of one event.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every admission is the large one"
)]
pub enum Admission {
    /// Ready for the journal. Its `id` is the one that was sent.
    Ready(Redacted<Draft>),
    /// Refused.
    Rejected {
        /// Its id, where it could be read and may be repeated.
        id: Option<String>,
        /// Why.
        problem: EventProblem,
    },
}

impl Door {
    /// Takes a request: an admission per event, in order, or why the request as a whole is refused.
    pub fn admit(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Result<Vec<Admission>, Problem> {
        self.admit_counted(request, arrival, &mut Counts::default())
    }

    /// As [`Door::admit`], and adds what redaction did to `counts`.
    pub fn admit_counted(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
        counts: &mut Counts,
    ) -> Result<Vec<Admission>, Problem> {
        self.admit_under(request, arrival, &|_| Standing::default(), counts)
    }

    /// As [`Door::admit_counted`]. `stands` says under which policy a popup's records are taken, and up to
    /// which moment they are folded; what was reported and made after it is marked as late.
    pub fn admit_under(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
        stands: Stands<'_>,
        counts: &mut Counts,
    ) -> Result<Vec<Admission>, Problem> {
        let body = inflate(request.content_encoding, request.body)?;
        let mut admissions = Vec::new();
        cloudevents::read(request, &body, &mut |event| {
            admissions.push(match event {
                Ok(envelope) => self.one(&envelope, arrival, stands, counts),
                Err(problem) => Admission::Rejected { id: None, problem },
            });
        })?;
        Ok(admissions)
    }

    /// One event's way through, whatever its envelope was made of.
    pub(crate) fn one(
        &self,
        envelope: &Envelope,
        arrival: Arrival,
        stands: Stands<'_>,
        counts: &mut Counts,
    ) -> Admission {
        let mut counted = Counts::default();
        let checked = catch_unwind(AssertUnwindSafe(|| {
            tests_may_panic(envelope);
            self.check(envelope, arrival, stands, &mut counted)
        }));
        counts.add(&counted);
        let problem = match checked {
            Ok(Ok(draft)) => return Admission::Ready(draft),
            Ok(Err(problem)) => problem,
            Err(_) => EventProblem::whole(
                Code::Defect,
                "popwatch failed on this event and did not keep it; please report it",
            ),
        };
        Admission::Rejected {
            id: repeatable_id(envelope),
            problem,
        }
    }

    fn check(
        &self,
        envelope: &Envelope,
        arrival: Arrival,
        stands: Stands<'_>,
        counts: &mut Counts,
    ) -> Result<Redacted<Draft>, EventProblem> {
        if attribute(envelope, "specversion")? != "1.0" {
            return Err(envelope_fault("specversion", "must be 1.0"));
        }
        let id = id(attribute(envelope, "id")?)?;
        let source = self.source(attribute(envelope, "source")?, counts)?;
        let of = event_type(attribute(envelope, "type")?)?;
        let popup = self.popup(envelope, of)?;
        let data = data(envelope)?;
        let (time_ms, time_good) = time(envelope);
        let (age_ms, age_good) = age(envelope);
        let made_ms = time_ms.unwrap_or(arrival.wall_ms).min(arrival.wall_ms);
        let standing = popup.as_ref().map(stands).unwrap_or_default();

        let hash_key = self.hash_key();
        let plan = standing.plan.unwrap_or(&self.plan);
        let rules = Rules {
            keys: &self.keys,
            plan,
            popup_keys: standing.keys.as_deref(),
        };
        let declared = plan.declared(of);
        let json = JsonSource::new(of, data, declared);
        let mut fields = RedactingSource::new(json, of, popup.as_ref(), rules, &hash_key);
        let event = Event::read(of, &mut fields).map_err(|fault| field_problem(&fault));
        for one in declared {
            if let Some(text) = text_at(data, &one.path) {
                fields.declared(one, &text);
            }
        }
        let done = fields.finish();
        counts.add(&done.counts);
        counts.unknown_fields += done.inner.unknown;
        counts.forbidden_names += done.inner.forbidden;

        let key = event_key(&hash_key, &source, &id);
        let record = Record {
            event: event?,
            popup,
            source,
            id,
            stamp: Stamp {
                mono_ns: arrival.mono_ns,
                wall_ms: arrival.wall_ms,
                time_ms,
                age_ms,
            },
            beyond: None,
            content: done.content,
            policy_version: standing.policy_version,
            flags: Flags {
                late: standing.until_ms.is_some_and(|until| made_ms > until),
                local_sender: arrival.local_sender,
                time_ignored: !(time_good && age_good),
            },
            totals: Vec::new(),
            origin: None,
        };
        let mut beyond = done.beyond;
        if !plan.keeps_sealed(of, &key) {
            beyond.drop_sealed();
        }
        let sealing = Sealing {
            beyond,
            keys: standing.keys.as_deref(),
            rig: self.rig.as_str(),
        };
        let proven = proof::prove(record, key, Some(sealing));
        counts.residual += u64::from(proven.residual);
        Ok(proven.draft)
    }

    fn hash_key(&self) -> [u8; 32] {
        journal_key(&self.journal_id)
    }

    /// A source may be an address (`mailto:`) and is mapped then: the sender's other events stay
    /// joined.
    fn source(&self, text: &str, counts: &mut Counts) -> Result<Source, EventProblem> {
        let source = Source::new(text).map_err(|fault| identity_fault("source", fault))?;
        match forbidden(text) {
            Some(Rule::Email) => {
                counts.hits[Rule::Email as usize] += 1;
                let mapped = self.keys.reference.map(text);
                Ok(Source::new(&mapped).expect("base 32 is printable"))
            }
            Some(_) => Err(card("source")),
            None => Ok(source),
        }
    }

    fn popup(&self, envelope: &Envelope, of: EventType) -> Result<Option<PopupId>, EventProblem> {
        let named = envelope.get("popup").filter(|value| !value.is_null());
        let Some(named) = named else {
            return match &self.default_popup {
                Some(popup) => Ok(Some(popup.clone())),
                // What a host measures belongs to the rig.
                None if of == EventType::RigSampled => Ok(None),
                None => Err(envelope_fault(
                    "popup",
                    "is missing and this rig has no default; name the popup in the extension popup",
                )),
            };
        };
        let text = named
            .as_str()
            .ok_or_else(|| envelope_fault("popup", "must be a string"))?;
        let popup = PopupId::new(text).map_err(|fault| identity_fault("popup", fault))?;
        if forbidden(text).is_some() {
            return Err(card("popup"));
        }
        Ok(Some(popup))
    }
}

fn attribute<'a>(envelope: &'a Envelope, name: &str) -> Result<&'a str, EventProblem> {
    match envelope.get(name) {
        Some(Json::String(text)) => Ok(text),
        Some(Json::Null) | None => Err(envelope_fault(name, "is missing")),
        Some(_) => Err(envelope_fault(name, "must be a string")),
    }
}

fn id(text: &str) -> Result<EventId, EventProblem> {
    let id = EventId::new(text).map_err(|fault| identity_fault("id", fault))?;
    match forbidden(text) {
        Some(Rule::Email) => Err(envelope_fault(
            "id",
            "holds an e-mail address; make ids of random characters",
        )),
        Some(_) => Err(card("id")),
        None => Ok(id),
    }
}

/// The first thing an identity must not hold.
pub(crate) fn forbidden(text: &str) -> Option<Rule> {
    let mut budget = Budget::default();
    let hits = detect::scan(text, Place::Identity, &mut budget);
    if budget.spent() {
        return Some(Rule::Pan);
    }
    hits.iter().map(|hit| hit.rule).min()
}

fn event_type(text: &str) -> Result<EventType, EventProblem> {
    let reserved = RESERVED_TYPES.contains(&text)
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix));
    if reserved && text != UNRESERVED_TYPE {
        return Err(EventProblem::of(
            Code::TypeReserved,
            "type",
            "only popwatch itself writes events of this type",
        ));
    }
    EventType::from_cloudevents(text).ok_or_else(|| {
        EventProblem::of(
            Code::TypeUnknown,
            "type",
            "is not a type popwatch knows; /openapi.json lists them",
        )
    })
}

fn data(envelope: &Envelope) -> Result<&Map<String, Json>, EventProblem> {
    if envelope.contains_key("data_base64") {
        return Err(envelope_fault(
            "data_base64",
            "is not taken; send the event's data as JSON in data",
        ));
    }
    if let Some(Json::String(media)) = envelope.get("datacontenttype") {
        let media = media.split(';').next().unwrap_or_default().trim();
        if !cloudevents::is_json(media) {
            return Err(envelope_fault(
                "datacontenttype",
                "must be application/json",
            ));
        }
    }
    static NONE: std::sync::LazyLock<Map<String, Json>> = std::sync::LazyLock::new(Map::new);
    match envelope.get("data") {
        Some(Json::Object(data)) => Ok(data),
        Some(Json::Null) | None => Ok(&NONE),
        Some(_) => Err(EventProblem::of(
            Code::DataInvalid,
            "data",
            "must be a JSON object",
        )),
    }
}

/// The event's own time and whether it was good: no reason to refuse a sale.
fn time(envelope: &Envelope) -> (Option<i64>, bool) {
    match envelope.get("time") {
        None | Some(Json::Null) => (None, true),
        Some(value) => {
            let ms = value.as_str().and_then(rfc3339_ms);
            let ms = ms.filter(|ms| TIME_MS.contains(ms));
            (ms, ms.is_some())
        }
    }
}

/// The event's age when it was sent, ms, and whether it was good.
fn age(envelope: &Envelope) -> (Option<u32>, bool) {
    let number = match envelope.get("agems") {
        None | Some(Json::Null) => return (None, true),
        Some(Json::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    let age = number
        .and_then(|ms| u32::try_from(ms).ok())
        .filter(|ms| i32::try_from(*ms).is_ok());
    (age, age.is_some())
}

/// The id to repeat in a verdict: only one that holds nothing forbidden.
fn repeatable_id(envelope: &Envelope) -> Option<String> {
    let text = envelope.get("id")?.as_str()?;
    let looked = catch_unwind(|| EventId::new(text).is_ok() && forbidden(text).is_none());
    looked.is_ok_and(|good| good).then(|| text.to_owned())
}

fn envelope_fault(name: &str, detail: &str) -> EventProblem {
    EventProblem::of(Code::EnvelopeInvalid, name, detail)
}

fn identity_fault(name: &str, fault: IdFault) -> EventProblem {
    EventProblem::of(Code::EnvelopeInvalid, name, fault.to_string())
}

fn card(name: &str) -> EventProblem {
    EventProblem::of(
        Code::CardInIdentity,
        name,
        "looks like a payment card number; use an identity without one, popwatch never keeps it",
    )
}

fn field_problem(fault: &FieldFault) -> EventProblem {
    let code = match fault.fault {
        ValueFault::Card => Code::CardInIdentity,
        ValueFault::Many(_) => Code::EventTooLarge,
        ValueFault::Id(IdFault::TooLong { max }) if max == limits::STRING_BYTES_MAX => {
            Code::EventTooLarge
        }
        ValueFault::Missing
        | ValueFault::Type(_)
        | ValueFault::Id(_)
        | ValueFault::Currency
        | ValueFault::Range { .. }
        | ValueFault::Choice
        | ValueFault::Damaged => Code::DataInvalid,
    };
    EventProblem::of(
        code,
        &format!("data.{}", fault.path),
        fault.fault.to_string(),
    )
}

#[cfg(not(test))]
const fn tests_may_panic(_envelope: &Envelope) {}

/// The key of a journal's event keys: its id twice.
#[must_use]
pub fn journal_key(id: &JournalId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&id.0);
    key[16..].copy_from_slice(&id.0);
    key
}

#[cfg(test)]
fn tests_may_panic(envelope: &Envelope) {
    assert!(!envelope.contains_key("makethedoorpanic"), "asked for");
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_redact::pseudonym::ReferenceKey;

    #[test]
    fn a_defect_costs_one_event_and_no_neighbour() {
        let door = Door {
            rig: RigId::new("till-1").unwrap(),
            journal_id: JournalId([7; 16]),
            default_popup: PopupId::new("night").ok(),
            keys: Keys::new(ReferenceKey::new([1; 32])),
            plan: Plan::default(),
        };
        let event = |id: &str, more: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"popwatch.inventory.counted",{more}"data":{{"sku":"a","qty":1}}}}"#
            )
        };
        let body = [
            event("1", ""),
            event("2", r#""makethedoorpanic":1,"#),
            event("3", ""),
        ];
        let body = body.join("\n");
        let request = Request {
            content_type: Some("application/x-ndjson"),
            body: body.as_bytes(),
            ..Request::default()
        };
        let arrival = Arrival {
            mono_ns: 1,
            wall_ms: 2,
            local_sender: true,
        };
        let admissions = door.admit(&request, arrival).unwrap();
        assert!(matches!(&admissions[0], Admission::Ready(draft)
            if draft.get().record.flags.local_sender));
        assert!(
            matches!(&admissions[1], Admission::Rejected { id: Some(id), problem }
            if id == "2" && problem.code == Code::Defect)
        );
        assert!(matches!(&admissions[2], Admission::Ready(_)));
    }
}
