//! The envelope's forms: structured, batch, binary and NDJSON, cut into single events.
//!
//! A body is first cut by a scan that only counts brackets and quotes; number, size and nesting of
//! events are known before the first of them is parsed.

use popwatch_core::code::Code;
use popwatch_core::limits::{EVENT_BYTES_MAX, EVENT_DEPTH_MAX, REQUEST_EVENTS_MAX};
use serde_json::{Map, Value as Json};

use crate::problem::Problem;
use crate::verdict::EventProblem;

/// A request to admit events, as it came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Header `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// Headers by name and value; those that begin with `ce-` are read, the case of names is not.
    pub ce_headers: &'a [(&'a str, &'a str)],
    /// The body, still encoded.
    pub body: &'a [u8],
}

/// How events stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Structured,
    Batch,
    Either,
    Lines,
    Binary,
}

/// One event's envelope: attributes and `data`, each by its name.
pub type Envelope = Map<String, Json>;

/// Cuts the inflated body of a request into envelopes and gives each to `each`, in order, or why it
/// is none. Fails when the request as a whole is not taken; what was given before is then void.
pub fn read(
    request: &Request<'_>,
    body: &[u8],
    each: &mut dyn FnMut(Result<Envelope, EventProblem>),
) -> Result<(), Problem> {
    match form(request)? {
        Form::Structured => structured(body, each),
        Form::Batch => batch(body, each),
        Form::Either => match body.iter().find(|byte| !is_space(**byte)) {
            Some(b'[') => batch(body, each),
            _ => structured(body, each),
        },
        Form::Lines => lines(body, each),
        Form::Binary => binary(request, body, each),
    }
}

fn form(request: &Request<'_>) -> Result<Form, Problem> {
    let media = request.content_type.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| media.eq_ignore_ascii_case(name);
    let binary = header(request, "specversion").is_some();
    if is("application/cloudevents+json") {
        Ok(Form::Structured)
    } else if is("application/cloudevents-batch+json") {
        Ok(Form::Batch)
    } else if is("application/x-ndjson") {
        Ok(Form::Lines)
    } else if binary && (media.is_empty() || is_json(media)) {
        Ok(Form::Binary)
    } else if is("application/json") {
        Ok(Form::Either)
    } else {
        Err(Problem::new(
            Code::MediaTypeUnsupported,
            "send application/cloudevents+json, application/cloudevents-batch+json, \
             application/json, application/x-ndjson, or binary CloudEvents with JSON data",
        ))
    }
}

/// Whether a media type without parameters is JSON.
pub(crate) fn is_json(media: &str) -> bool {
    let media = media.to_ascii_lowercase();
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

fn header<'a>(request: &Request<'a>, attribute: &str) -> Option<&'a str> {
    let mut headers = request.ce_headers.iter();
    headers.find_map(|(name, value)| {
        let rest = ce_name(name)?;
        rest.eq_ignore_ascii_case(attribute).then_some(*value)
    })
}

fn ce_name(header: &str) -> Option<&str> {
    let (prefix, name) = header.split_at_checked(3)?;
    prefix.eq_ignore_ascii_case("ce-").then_some(name)
}

fn structured(
    body: &[u8],
    each: &mut dyn FnMut(Result<Envelope, EventProblem>),
) -> Result<(), Problem> {
    each(parse(body).map_err(|fault| fault.of_body(0))?);
    Ok(())
}

fn batch(body: &[u8], each: &mut dyn FnMut(Result<Envelope, EventProblem>)) -> Result<(), Problem> {
    for element in elements(body)? {
        let (start, end) = element;
        each(parse(&body[start..end]).map_err(|fault| fault.of_body(start))?);
    }
    Ok(())
}

fn lines(body: &[u8], each: &mut dyn FnMut(Result<Envelope, EventProblem>)) -> Result<(), Problem> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let filled = || {
        body.split(|byte| *byte == b'\n')
            .filter(|line| !line.iter().all(|byte| is_space(*byte)))
    };
    if filled().nth(REQUEST_EVENTS_MAX).is_some() {
        return Err(too_many());
    }
    for line in filled() {
        each(match parse(line) {
            Ok(event) => event,
            Err(fault) => Err(EventProblem::whole(
                Code::BodyUnparsable,
                format!(
                    "the line is {}, byte {} of it; send one JSON object a line",
                    fault.what, fault.offset
                ),
            )),
        });
    }
    Ok(())
}

fn binary(
    request: &Request<'_>,
    body: &[u8],
    each: &mut dyn FnMut(Result<Envelope, EventProblem>),
) -> Result<(), Problem> {
    let empty = body.iter().all(|byte| is_space(*byte));
    let data = match measure(body) {
        _ if empty => None,
        Err(problem) => {
            each(Err(problem));
            return Ok(());
        }
        Ok(()) => Some(
            serde_json::from_slice(body).map_err(|error| Torn::json(&error, body).of_body(0))?,
        ),
    };
    each(attributes(request).map(|mut envelope| {
        if let Some(data) = data {
            envelope.insert("data".to_owned(), data);
        }
        envelope
    }));
    Ok(())
}

/// The attributes in `ce-` headers, percent-decoded.
fn attributes(request: &Request<'_>) -> Result<Envelope, EventProblem> {
    let mut envelope = Envelope::new();
    for (name, value) in request.ce_headers {
        let Some(name) = ce_name(name) else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        // `data` is the body's name, no attribute can have it.
        if name == "data" || name == "data_base64" {
            continue;
        }
        let value = percent_decoded(value).ok_or_else(|| {
            EventProblem::whole(
                Code::EnvelopeInvalid,
                "a ce- header is not percent-encoded UTF-8; encode it as CloudEvents' HTTP binding says",
            )
        })?;
        envelope.insert(name, Json::String(value));
    }
    Ok(envelope)
}

fn percent_decoded(text: &str) -> Option<String> {
    let text = match text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        Some(quoted) => quoted,
        None => text,
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let decoded = escape
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

/// Bytes that are not JSON.
struct Torn {
    what: &'static str,
    offset: usize,
}

impl Torn {
    fn json(error: &serde_json::Error, text: &[u8]) -> Self {
        let line = text
            .split_inclusive(|byte| *byte == b'\n')
            .take(error.line().saturating_sub(1))
            .map(<[u8]>::len)
            .sum::<usize>();
        let what = if error.is_eof() {
            "cut short"
        } else {
            "not JSON"
        };
        Self {
            what,
            offset: line + error.column().saturating_sub(1),
        }
    }

    fn of_body(self, start: usize) -> Problem {
        let offset = start + self.offset;
        Problem::new(
            Code::BodyUnparsable,
            format!(
                "the body is {} at byte {offset}; nothing of it was kept, send it again whole",
                self.what
            ),
        )
        .at(offset)
    }
}

/// Why a body that should be one JSON value is refused, with the byte where reading stopped.
pub(crate) fn unparsable(error: &serde_json::Error, body: &[u8]) -> Problem {
    Torn::json(error, body).of_body(0)
}

/// Parses one event: not JSON is the caller's matter, JSON that is no event the event's.
fn parse(text: &[u8]) -> Result<Result<Envelope, EventProblem>, Torn> {
    if let Err(problem) = measure(text) {
        return Ok(Err(problem));
    }
    match serde_json::from_slice(text).map_err(|error| Torn::json(&error, text))? {
        Json::Object(envelope) => Ok(Ok(envelope)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Ok(Err(EventProblem::whole(
                Code::EnvelopeInvalid,
                "an event is a JSON object with the attributes of CloudEvents 1.0",
            )))
        }
    }
}

/// Checks size and nesting of one event before it is parsed.
fn measure(text: &[u8]) -> Result<(), EventProblem> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(EventProblem::whole(
            Code::EventTooLarge,
            format!("an event may have {} KiB", EVENT_BYTES_MAX >> 10),
        ));
    }
    let mut scan = Scan::default();
    if text.iter().any(|byte| {
        scan.step(*byte);
        scan.depth > EVENT_DEPTH_MAX
    }) {
        return Err(EventProblem::whole(
            Code::EventTooLarge,
            format!("an event may nest {EVENT_DEPTH_MAX} deep"),
        ));
    }
    Ok(())
}

/// Where inside JSON a byte stands, by counting brackets outside strings.
#[derive(Default)]
struct Scan {
    depth: usize,
    string: bool,
    escape: bool,
}

impl Scan {
    fn step(&mut self, byte: u8) {
        if self.string {
            if self.escape {
                self.escape = false;
            } else if byte == b'\\' {
                self.escape = true;
            } else if byte == b'"' {
                self.string = false;
            }
            return;
        }
        match byte {
            b'"' => self.string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The spans of an array's elements.
fn elements(body: &[u8]) -> Result<Vec<(usize, usize)>, Problem> {
    let torn = |what, offset| Torn { what, offset }.of_body(0);
    let open = body
        .iter()
        .position(|byte| !is_space(*byte))
        .unwrap_or(body.len());
    if body.get(open) != Some(&b'[') {
        return Err(torn("no JSON array", open));
    }
    let mut spans = Vec::new();
    let mut scan = Scan::default();
    let mut start = open + 1;
    for (at, byte) in body.iter().enumerate().skip(open) {
        scan.step(*byte);
        let ends = !scan.string && scan.depth == 0;
        if !ends && (scan.string || scan.depth != 1 || *byte != b',') {
            continue;
        }
        let blank = body[start..at].iter().all(|byte| is_space(*byte));
        let empty = ends && spans.is_empty() && blank;
        if blank && !empty {
            return Err(torn("not JSON", at));
        }
        if !blank {
            spans.push((start, at));
        }
        if spans.len() > REQUEST_EVENTS_MAX {
            return Err(too_many());
        }
        start = at + 1;
        if ends {
            return match body[start..].iter().position(|byte| !is_space(*byte)) {
                Some(rest) => Err(torn("not JSON", start + rest)),
                None => Ok(spans),
            };
        }
    }
    Err(torn("cut short", body.len()))
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn too_many() -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("a request may have {REQUEST_EVENTS_MAX} events; send fewer at once"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attributes per event, or the code it is refused with.
    type Read = Vec<Result<usize, Code>>;

    fn read_all(media: &str, body: &str) -> Result<Read, (Code, Option<usize>)> {
        let request = Request {
            content_type: Some(media),
            ..Request::default()
        };
        let mut out = Vec::new();
        read(&request, body.as_bytes(), &mut |event| {
            out.push(
                event
                    .map(|event| event.len())
                    .map_err(|problem| problem.code),
            );
        })
        .map_err(|problem| (problem.code, problem.offset))?;
        Ok(out)
    }

    const CE: &str = "application/cloudevents+json; charset=utf-8";
    const BATCH: &str = "Application/CloudEvents-Batch+JSON";
    const LINES: &str = "application/x-ndjson";

    #[test]
    fn each_form_is_cut_into_events() {
        let any = "application/json;charset=utf-8";
        assert_eq!(read_all(CE, r#" {"a":1} "#), Ok(vec![Ok(1)]));
        assert_eq!(
            read_all(BATCH, r#"[{"a":"],{"}, {"a":1,"b":[{}]}] "#),
            Ok(vec![Ok(1), Ok(2)])
        );
        assert_eq!(read_all(BATCH, " [ ] "), Ok(vec![]));
        assert_eq!(read_all(any, "[{}]"), Ok(vec![Ok(0)]));
        assert_eq!(read_all(any, "{}"), Ok(vec![Ok(0)]));
        assert_eq!(
            read_all(LINES, "\u{feff}{}\r\n\n  \n{\"a\":1}\nnonsense\n[]"),
            Ok(vec![
                Ok(0),
                Ok(1),
                Err(Code::BodyUnparsable),
                Err(Code::EnvelopeInvalid)
            ])
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_offset() {
        for (media, body, offset) in [
            (CE, r#"{"a":}"#, 5),
            (CE, "{\n \"a\" 1}", 7),
            (BATCH, r#"[{},{"a":}]"#, 9),
            (BATCH, "[{},]", 4),
            (BATCH, "[,{}]", 1),
            (BATCH, "[{}] x", 5),
            (BATCH, "[{}", 3),
            (BATCH, "{}", 0),
            (BATCH, "", 0),
        ] {
            assert_eq!(
                read_all(media, body),
                Err((Code::BodyUnparsable, Some(offset))),
                "{body}"
            );
        }
        assert_eq!(
            read_all("text/plain", "{}"),
            Err((Code::MediaTypeUnsupported, None))
        );
    }

    #[test]
    fn bounds_hold_before_parsing() {
        let deep = format!(
            "[{{\"a\":{}{}}},{{}}]",
            "[".repeat(40_000),
            "]".repeat(40_000)
        );
        assert_eq!(
            read_all(BATCH, &deep),
            Ok(vec![Err(Code::EventTooLarge), Ok(0)])
        );
        let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(EVENT_BYTES_MAX));
        assert_eq!(
            read_all(LINES, &long),
            Ok(vec![Err(Code::EventTooLarge), Ok(0)])
        );
        let many = "{}\n".repeat(REQUEST_EVENTS_MAX + 1);
        assert_eq!(read_all(LINES, &many), Err((Code::BodyTooLarge, None)));
        let many = format!("[{}{{}}]", "{},".repeat(REQUEST_EVENTS_MAX));
        assert_eq!(read_all(BATCH, &many), Err((Code::BodyTooLarge, None)));
    }

    #[test]
    fn headers_are_percent_decoded_whatever_their_case() {
        let request = Request {
            content_type: Some("application/json"),
            ce_headers: &[
                ("Ce-SpecVersion", "1.0"),
                ("ce-id", "S%C3%B8ren 50%"),
                ("x-tag", "y"),
            ],
            ..Request::default()
        };
        let mut out = Vec::new();
        read(&request, b" {\"a\":1}", &mut |event| {
            out.push(event.unwrap())
        })
        .unwrap();
        assert_eq!(out[0]["specversion"], "1.0");
        assert_eq!(out[0]["id"], "Søren 50%");
        assert_eq!(out[0]["data"]["a"], 1);
        assert_eq!(out[0].len(), 3);
    }
}
