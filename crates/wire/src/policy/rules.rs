//! What a document says of fields: those of the catalogue, and others that it declares.

use popwatch_core::access::raw::PartClass;
use popwatch_core::event::{EventType, Field};
use popwatch_core::limits::{EXTRA_SEGMENTS_MAX, POLICY_RULES_MAX};
use popwatch_core::policy::rule::{Detector, Detectors, Domain, Holds, Rule};
use popwatch_core::policy::terms::{ExtraRule, Terms, governed};
use popwatch_redact::apply::forbidden_name;

use super::cursor::{Cursor, Read};
use super::tree::Kind;

/// What a field beyond the catalogue may hold.
pub(super) const EXTRA_HOLDS: [Holds; 8] = [
    Holds::Email,
    Holds::Phone,
    Holds::Ip,
    Holds::Geo,
    Holds::Label,
    Holds::Digits4,
    Holds::Subject,
    Holds::Text,
];
/// The longest name of a table, bytes.
const TABLE_BYTES_MAX: usize = 32;
/// The longest segment of a path, bytes.
const SEGMENT_BYTES_MAX: usize = 64;

/// The type of this name, without `popwatch.`.
pub(super) fn event_type(name: &str) -> Option<EventType> {
    EventType::ALL.iter().copied().find(|of| of.name() == name)
}

/// The section `fields`.
pub(super) fn fields(section: &Cursor<'_>, terms: &mut Terms) -> Read<()> {
    let mut count = 0;
    for (name, of_type, unknown) in section.map()?.all() {
        let of = event_type(name).ok_or(unknown)?;
        for (name, value, unknown) in of_type.map()?.all() {
            count += 1;
            if count > POLICY_RULES_MAX {
                return value.refuse(format!(
                    "is rule {count}; there are at most {POLICY_RULES_MAX}"
                ));
            }
            let field = of.fields().iter().find(|field| field.name == name);
            let field = field.ok_or(unknown)?;
            if let Some(rule) = catalogue(&value, of, field)? {
                terms.fields.insert((of, field.name), rule);
            }
        }
    }
    Ok(())
}

/// The rule of a field of the catalogue; `None` for a fact, which is kept whatever is said.
fn catalogue(value: &Cursor<'_>, of: EventType, field: &Field) -> Read<Option<Rule>> {
    let said = rule(value)?;
    if !governed().any(|(known, one)| known == of && one.name == field.name) {
        return match said {
            Rule::Keep => Ok(None),
            Rule::Redact
            | Rule::Generalize(_)
            | Rule::Person { .. }
            | Rule::Truncate { .. }
            | Rule::Grid { .. }
            | Rule::Scan { .. }
            | Rule::Score
            | Rule::Remove => {
                value.refuse("is a fact that counts and books need; it is always kept")
            }
        };
    }
    let holds = Holds::of(field.kind);
    let loosest = holds.loosest();
    // A person of the catalogue is a viewer and nobody else.
    let fits = holds.admits(&said) && (holds != Holds::Subject || said.at_least(&loosest));
    match fits {
        true => Ok(Some(said)),
        false => Err(misfit(value, holds, &said)),
    }
}

/// Why a rule does not do: of another family, or too loose a one of the right family.
fn misfit(value: &Cursor<'_>, holds: Holds, said: &Rule) -> super::PolicyFault {
    let loosest = holds.loosest();
    let is_other = *said != Rule::Keep && said.join(&loosest) == Rule::Remove;
    let said = match is_other {
        true => value.refuse::<()>(format!(
            "is no rule for a field that holds a {}",
            holds.text()
        )),
        false => value.below(loosest.to_string()),
    };
    said.expect_err("both refuse")
}

/// The section `extra`.
pub(super) fn extra(section: &Cursor<'_>, terms: &mut Terms) -> Read<()> {
    let mut seen = Vec::new();
    for item in section.list(POLICY_RULES_MAX)? {
        let mut parts = item.map()?;
        let on = parts
            .need("on")?
            .one(event_type, "the event types of docs/events.md")?;
        let place = parts.need("path")?;
        let path = path(&place, on)?;
        let known = EXTRA_HOLDS.map(Holds::text).join(", ");
        let holds = |text: &str| Holds::parse(text).filter(|of| EXTRA_HOLDS.contains(of));
        let holds = parts.need("type")?.one(holds, &known)?;
        let class = parts.need("class")?;
        let class = class.one(PartClass::parse, "raw, contact and freetext")?;
        let action = parts.need("do")?;
        let rule = rule(&action)?;
        parts.done()?;
        if holds == Holds::Digits4 && rule == Rule::Keep && class != PartClass::Contact {
            return action.below("remove, except in class contact");
        }
        if !holds.admits(&rule) {
            return Err(misfit(&action, holds, &rule));
        }
        let key = (on, path);
        if seen.contains(&key) {
            return place.refuse("is declared already");
        }
        seen.push(key.clone());
        terms.extra.set(key, ExtraRule { holds, class, rule });
    }
    Ok(())
}

fn path(of: &Cursor<'_>, on: EventType) -> Read<String> {
    let text = of.text()?;
    let segments: Vec<&str> = text.split('.').collect();
    let is_name = |segment: &&str| {
        (1..=SEGMENT_BYTES_MAX).contains(&segment.len())
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if segments.len() > EXTRA_SEGMENTS_MAX || !segments.iter().all(is_name) {
        return of.refuse("must be at most three segments of a-z, 0-9 and _, with points between");
    }
    if segments.iter().any(|segment| forbidden_name(segment)) {
        return of.below("remove: what is called like card data is never stored");
    }
    let is_known = |field: &Field| segments.first() == Some(&field.name);
    if on.fields().iter().any(is_known) {
        return of.refuse("begins with a field of the catalogue; say it in fields");
    }
    Ok(text.to_owned())
}

/// A rule as it is written.
fn rule(of: &Cursor<'_>) -> Read<Rule> {
    const WORDS: &str = "keep, remove, redact, score, or an object with pseudonym, seal, truncate, \
                         generalize, grid_m or redact";
    if !matches!(of.node.kind, Kind::Map(_)) {
        let word = |text: &str| match text {
            "keep" => Some(Rule::Keep),
            "remove" => Some(Rule::Remove),
            "redact" => Some(Rule::Redact),
            "score" => Some(Rule::Score),
            _ => None,
        };
        return of.one(word, WORDS);
    }
    let mut parts = of.map()?;
    let seal = parts.take("seal");
    let seal = seal.map(|seal| seal.flag()).transpose()?;
    let rule = if let Some(redact) = parts.take("redact") {
        let rule = scan(&redact)?;
        if seal != Some(true) {
            return of.below("seal: true, or score: what somebody wrote is never stored unsealed");
        }
        rule
    } else if let Some(truncate) = parts.take("truncate") {
        let mut bits = truncate.map()?;
        let width = |bits: Option<Cursor<'_>>, most| match bits {
            Some(bits) => bits.small(0, most),
            None => truncate.refuse("needs v4 and v6"),
        };
        let (v4, v6) = (width(bits.take("v4"), 32)?, width(bits.take("v6"), 128)?);
        bits.done()?;
        let narrow = |bits: u32| u8::try_from(bits).expect("at most 128");
        unsealed(
            of,
            seal,
            Rule::Truncate {
                v4: narrow(v4),
                v6: narrow(v6),
            },
        )?
    } else if let Some(table) = parts.take("generalize") {
        let name = table.text()?;
        let is_name = (1..=TABLE_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name {
            return table.refuse("must be the name of a table: a-z, 0-9 and _");
        }
        unsealed(of, seal, Rule::Generalize(name.to_owned()))?
    } else if let Some(grid) = parts.take("grid_m") {
        let m = grid.small(0, u32::MAX)?;
        unsealed(of, seal, Rule::Grid { m })?
    } else {
        let domain = parts.take("pseudonym");
        let known = Domain::ALL.iter().map(|domain| domain.text());
        let known = known.collect::<Vec<_>>().join(", ");
        let domain = domain.map(|domain| domain.one(Domain::parse, &known));
        match (domain.transpose()?, seal) {
            (None, None | Some(false)) => return of.refuse(format!("must be one of {WORDS}")),
            (domain, seal) => Rule::person(domain, seal.unwrap_or(false)),
        }
    };
    parts.done()?;
    Ok(rule)
}

fn unsealed(of: &Cursor<'_>, seal: Option<bool>, rule: Rule) -> Read<Rule> {
    match seal {
        Some(true) => of.refuse("cannot be sealed beside"),
        Some(false) | None => Ok(rule),
    }
}

fn scan(of: &Cursor<'_>) -> Read<Rule> {
    let mut parts = of.map()?;
    let known = Detector::ALL.iter().map(|one| one.text());
    let known = known.collect::<Vec<_>>().join(", ");
    let mut detectors = Detectors::default();
    for item in parts.need("detectors")?.list(Detector::ALL.len())? {
        detectors = detectors.with(item.one(Detector::parse, &known)?);
    }
    let max_bytes = parts.need("max_bytes")?.small(1, u32::MAX)?;
    parts.done()?;
    Ok(Rule::Scan {
        detectors,
        max_bytes,
    })
}
