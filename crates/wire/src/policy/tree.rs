//! A policy document as a tree in which every value knows where it stood: read from YAML, or from the
//! canonical JSON that travels.
//!
//! What always holds: a tree has texts, integers and flags only, is at most [`POLICY_DEPTH_MAX`] deep,
//! and names no key twice. What YAML has beyond that (anchors, aliases, tags, several documents, other
//! keys than texts) is refused where it stands.

use std::collections::BTreeMap;

use popwatch_core::ledger::close::Value;
use popwatch_core::limits::{POLICY_BYTES_MAX, POLICY_DEPTH_MAX};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::Value as Json;

use super::PolicyFault;

/// Where something stood, both from 1; zeros for what came as canonical JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// A value and where it stood.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Int(i64),
    Flag(bool),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
}

/// The largest integer that JSON carries exactly everywhere.
const SAFE_INTEGER: i64 = 9_007_199_254_740_991;

impl Node {
    /// Its one form in bytes.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Text(text) => Value::text(text),
            Kind::Int(number) => Value::Number(*number),
            Kind::Flag(yes) => Value::Bool(*yes),
            Kind::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Kind::Map(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, _, node)| (name.clone(), node.value()));
                Value::Map(fields.collect::<BTreeMap<_, _>>())
            }
        }
    }

    /// Where a path of keys stands, as far as it goes.
    pub(super) fn find(&self, path: &str) -> Place {
        let mut node = self;
        let mut at = self.at;
        for key in path.split('.') {
            let Kind::Map(fields) = &node.kind else { break };
            let Some((_, place, next)) = fields.iter().find(|(name, ..)| name == key) else {
                break;
            };
            (node, at) = (next, *place);
        }
        at
    }
}

fn refuse<T>(at: Place, what: &str) -> Result<T, PolicyFault> {
    Err(PolicyFault::unreadable(at, "", what))
}

fn place(mark: &Marker) -> Place {
    Place {
        line: mark.line(),
        column: mark.col() + 1,
    }
}

/// Reads a YAML document.
pub(super) fn yaml(text: &str) -> Result<Node, PolicyFault> {
    if text.len() > POLICY_BYTES_MAX {
        return refuse(Place::default(), "is larger than 256 KiB");
    }
    let mut source = Source {
        parser: Parser::new_from_str(text),
    };
    let mut root = None;
    loop {
        let (event, at) = source.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => {
                if root.is_some() {
                    return refuse(at, "a second document; a policy is one");
                }
                root = Some(source.node(event, at, 1)?);
            }
        }
    }
    root.ok_or_else(|| PolicyFault::unreadable(Place::default(), "", "is empty"))
}

struct Source<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), PolicyFault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span.start))),
            // What the parser says may repeat what stood there, so only the place is told.
            Some(Err(fault)) => refuse(place(fault.marker()), "is not YAML that can be read"),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, at: Place, depth: usize) -> Result<Node, PolicyFault> {
        if depth > POLICY_DEPTH_MAX {
            return refuse(at, "is nested deeper than 16 levels");
        }
        let kind = match event {
            Event::Alias(_) => return refuse(at, "an alias; write the value out"),
            Event::Scalar(text, style, anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                scalar(&text, style, at)?
            }
            Event::SequenceStart(anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return refuse(at, "ends where a value should stand"),
        };
        Ok(Node { at, kind })
    }

    fn list(&mut self, depth: usize) -> Result<Kind, PolicyFault> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Kind::List(items));
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, PolicyFault> {
        let mut fields: Vec<(String, Place, Node)> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(Kind::Map(fields)),
                Event::Scalar(text, _, anchor, tag) => {
                    plain(at, anchor, tag.is_some())?;
                    text.into_owned()
                }
                Event::Alias(_) => return refuse(at, "an alias; write the value out"),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => return refuse(at, "a key that is no text"),
            };
            if fields.iter().any(|(known, ..)| *known == name) {
                return refuse(at, "a key that stands here already");
            }
            let (event, value_at) = self.next()?;
            let node = self.node(event, value_at, depth + 1)?;
            fields.push((name, at, node));
        }
    }
}

fn plain(at: Place, anchor: usize, has_tag: bool) -> Result<(), PolicyFault> {
    match (anchor, has_tag) {
        (0, false) => Ok(()),
        (0, true) => refuse(at, "a tag; values say themselves what they are"),
        (_, _) => refuse(at, "an anchor; write the value out each time"),
    }
}

fn scalar(text: &str, style: ScalarStyle, at: Place) -> Result<Kind, PolicyFault> {
    if style != ScalarStyle::Plain {
        return Ok(Kind::Text(text.to_owned()));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts_as_number = digits.starts_with(|c: char| c.is_ascii_digit());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => refuse(at, "a value is missing"),
        "true" => Ok(Kind::Flag(true)),
        "false" => Ok(Kind::Flag(false)),
        _ if starts_as_number && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number: Option<i64> = text.parse().ok();
            let number = number.filter(|number| number.to_string() == text);
            match number.filter(|number| number.abs() <= SAFE_INTEGER) {
                Some(number) => Ok(Kind::Int(number)),
                None => refuse(at, "an integer too large, or with zeros before it"),
            }
        }
        // Anything else that a reader of YAML would take for a number.
        _ if text.parse::<f64>().is_ok() || text.starts_with(".") => {
            refuse(at, "a fraction; numbers are integers")
        }
        _ => Ok(Kind::Text(text.to_owned())),
    }
}

/// Takes over a document that came as JSON.
pub(super) fn json(value: &Json, depth: usize) -> Result<Node, PolicyFault> {
    let at = Place::default();
    if depth > POLICY_DEPTH_MAX {
        return refuse(at, "is nested deeper than 16 levels");
    }
    let kind = match value {
        Json::Null => return refuse(at, "a value is missing"),
        Json::Bool(yes) => Kind::Flag(*yes),
        Json::Number(number) => {
            let number = number.as_i64();
            match number.filter(|number| number.abs() <= SAFE_INTEGER) {
                Some(number) => Kind::Int(number),
                None => return refuse(at, "a number that is no integer or too large"),
            }
        }
        Json::String(text) => Kind::Text(text.clone()),
        Json::Array(items) => {
            let items = items.iter().map(|item| json(item, depth + 1));
            Kind::List(items.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, node)| Ok((name.clone(), at, json(node, depth + 1)?)));
            Kind::Map(fields.collect::<Result<_, PolicyFault>>()?)
        }
    };
    Ok(Node { at, kind })
}
