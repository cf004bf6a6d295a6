//! OTLP in JSON, by its own mapping: ids in hex, 64-bit integers as strings or numbers, names in
//! lower camel case, unknown names passed over. Elements are looked at one by one, as in protobuf.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Traces;
use super::span::{Attribute, Attributes, Kept, Mark, Marks, STATUS_ERROR, Span};

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Traces, serde_json::Error> {
    let request: Request = serde_json::from_slice(body)?;
    Ok(request.resource_spans.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    resource_spans: Option<Traces>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Option<Resource>,
    scope_spans: Option<Scopes>,
}

#[derive(Deserialize)]
struct Resource {
    attributes: Option<Attributes>,
}

/// All spans of a list of scopes.
#[derive(Default)]
struct Scopes(Kept);

#[derive(Deserialize)]
struct ScopeSpans {
    spans: Option<Kept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson {
    trace_id: Option<Hex<16>>,
    span_id: Option<Hex<8>>,
    parent_span_id: Option<Hex<8>>,
    name: Option<String>,
    start_time_unix_nano: Option<Integer>,
    end_time_unix_nano: Option<Integer>,
    attributes: Option<Attributes>,
    events: Option<Marks>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct KeyValue {
    key: Option<String>,
    value: Option<AnyValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Integer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    name: Option<String>,
    time_unix_nano: Option<Integer>,
}

#[derive(Deserialize)]
struct Status {
    code: Option<StatusCode>,
}

impl From<SpanJson> for Span {
    fn from(json: SpanJson) -> Self {
        let ns = |time: Option<Integer>| time.and_then(|Integer(ns)| u64::try_from(ns).ok());
        let status = json.status.and_then(|status| status.code);
        let name = json.name.as_deref().unwrap_or_default();
        Self {
            named_checkout: Self::is_checkouts_name(name),
            trace: json.trace_id.map_or([0; 16], |id| id.0),
            id: json.span_id.map_or([0; 8], |id| id.0),
            parent: json.parent_span_id.map_or([0; 8], |id| id.0),
            start_ns: ns(json.start_time_unix_nano).unwrap_or_default(),
            end_ns: ns(json.end_time_unix_nano).unwrap_or_default(),
            error: status.is_some_and(|code| code.0),
            attributes: json.attributes.unwrap_or_default(),
            marks: json.events.unwrap_or_default(),
        }
    }
}

/// Something that takes the elements of an array one by one.
trait Gather: Default {
    type Element: for<'de> Deserialize<'de>;
    fn gather(&mut self, element: Self::Element);
}

impl Gather for Traces {
    type Element = ResourceSpans;
    fn gather(&mut self, element: ResourceSpans) {
        let resource = element.resource.and_then(|resource| resource.attributes);
        let Scopes(kept) = element.scope_spans.unwrap_or_default();
        self.add(resource.unwrap_or_default(), kept);
    }
}

impl Gather for Scopes {
    type Element = ScopeSpans;
    fn gather(&mut self, element: ScopeSpans) {
        self.0.append(element.spans.unwrap_or_default());
    }
}

impl Gather for Kept {
    type Element = SpanJson;
    fn gather(&mut self, element: SpanJson) {
        self.push(element.into());
    }
}

impl Gather for Attributes {
    type Element = KeyValue;
    fn gather(&mut self, element: KeyValue) {
        let value = match element.value {
            Some(AnyValue {
                string_value: Some(text),
                ..
            }) => Attribute::Text(text),
            Some(AnyValue {
                bool_value: Some(flag),
                ..
            }) => Attribute::Flag(flag),
            Some(AnyValue {
                int_value: Some(Integer(number)),
                ..
            }) => i64::try_from(number).map_or(Attribute::Other, Attribute::Int),
            Some(_) | None => Attribute::Other,
        };
        self.set(element.key.as_deref().unwrap_or_default(), value);
    }
}

impl Gather for Marks {
    type Element = Event;
    fn gather(&mut self, element: Event) {
        let at_ns = element
            .time_unix_nano
            .and_then(|Integer(ns)| u64::try_from(ns).ok());
        let name = element.name.unwrap_or_default();
        self.push(Mark::of(&name, at_ns.unwrap_or_default()));
    }
}

struct Elements<T>(PhantomData<T>);

impl<'de, T: Gather> Visitor<'de> for Elements<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut out = T::default();
        while let Some(element) = elements.next_element()? {
            out.gather(element);
        }
        Ok(out)
    }
}

macro_rules! gathered {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                json.deserialize_seq(Elements(PhantomData))
            }
        }
    )*};
}

gathered! { Traces Scopes Kept Attributes Marks }

/// An integer, as a string of digits or as a number.
struct Integer(i128);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
                Ok(Integer(number.into()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
                Ok(Integer(number.into()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Integer, E> {
                text.parse()
                    .map(Integer)
                    .map_err(|_| E::custom("an integer"))
            }
        }
        json.deserialize_any(Digits)
    }
}

/// Bytes in hex; zero where they are not of this length.
struct Hex<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let text = String::deserialize(json)?;
        Ok(Self(bytes_of(&text).unwrap_or([0; N])))
    }
}

fn bytes_of<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes: Option<Vec<u8>> = digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}

/// Whether a status is an error; some write the code's name.
struct StatusCode(bool);

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Code;
        impl Visitor<'_> for Code {
            type Value = StatusCode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status code")
            }
            fn visit_u64<E: Error>(self, code: u64) -> Result<StatusCode, E> {
                Ok(StatusCode(code == STATUS_ERROR))
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<StatusCode, E> {
                Ok(StatusCode(name == "STATUS_CODE_ERROR"))
            }
        }
        json.deserialize_any(Code)
    }
}

/// Counts the elements at the end of `path`; each step is the names that lead on.
pub(super) fn count(body: &[u8], path: &[&[&str]]) -> Result<u64, serde_json::Error> {
    let mut found = 0;
    let mut json = serde_json::Deserializer::from_slice(body);
    let tally = Tally {
        path,
        found: &mut found,
    };
    tally.deserialize(&mut json)?;
    json.end()?;
    Ok(found)
}

/// At the end of the path each element of an array is one; before it an object leads on by its
/// names, an array by each element.
struct Tally<'a> {
    path: &'a [&'a [&'a str]],
    found: &'a mut u64,
}

impl<'de> DeserializeSeed<'de> for Tally<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tally<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if self.path.is_empty() {
            while elements.next_element::<IgnoredAny>()?.is_some() {
                *self.found += 1;
            }
            return Ok(());
        }
        loop {
            let each = Tally {
                path: self.path,
                found: &mut *self.found,
            };
            if elements.next_element_seed(each)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut names: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.path.split_first() else {
            while names.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(name) = names.next_key::<String>()? {
            if step.contains(&name.as_str()) {
                names.next_value_seed(Tally {
                    path: rest,
                    found: &mut *self.found,
                })?;
            } else {
                names.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_its_length_in_either_case() {
        assert_eq!(bytes_of("0aFF"), Some([0x0a, 0xff]));
        for bad in ["0aF", "0aFF0", "0aFFFF", "0a€", "+aFF", ""] {
            assert_eq!(bytes_of::<2>(bad), None, "{bad}");
        }
    }

    #[test]
    fn elements_are_counted_along_the_path() {
        let path: &[&[&str]] = &[&["metrics"], &["sum", "gauge"], &["dataPoints"]];
        let body = br#"{"metrics":[{"sum":{"dataPoints":[{},{"x":[1]}]},"name":"a"},
            {"gauge":{"dataPoints":[1]}},{"summary":{"dataPoints":[1]}},{"sum":null}]}"#;
        assert_eq!(count(body, path).ok(), Some(3));
        for bad in ["{\"metrics\":", "7", "{} x"] {
            assert!(count(bad.as_bytes(), path).is_err(), "{bad}");
        }
    }
}
