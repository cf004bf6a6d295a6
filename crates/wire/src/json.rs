//! An event's data as JSON, walked through the catalogue.
//!
//! Money and counts are integers and nothing else; a measured number is read digit by digit, so no
//! float comes near either. Names the catalogue does not have are counted and left.

use std::borrow::Cow;

use jiff::Timestamp;
use popwatch_core::event::{
    EventType, Field, FieldFault, FieldSink, FieldSource, Kind, Line, Stage, Value, ValueFault,
};
use popwatch_core::id::{CheckoutStage, CreatorId, IdFault, Sku};
use popwatch_core::limits;
use popwatch_redact::apply::forbidden_name;
use popwatch_redact::plan::Declared;
use serde_json::{Map, Number, Value as Json};

/// How a stage's name ends in JSON.
const STAGE_SUFFIX: &str = "_ms";

/// Reads fields from a JSON object.
pub struct JsonSource<'a> {
    data: &'a Map<String, Json>,
    /// Names the catalogue does not have.
    pub unknown: u64,
    /// Names that are removed whatever they hold.
    pub forbidden: u64,
}

impl<'a> JsonSource<'a> {
    /// Reads the data of an event, in which a policy declares fields beyond the catalogue.
    #[must_use]
    pub fn new(of: EventType, data: &'a Map<String, Json>, declared: &[Declared]) -> Self {
        let mut source = Self {
            data,
            unknown: 0,
            forbidden: 0,
        };
        source.count_unknown(data, |name| {
            let mut paths = declared.iter().map(|one| &*one.path);
            of.fields().iter().any(|field| field.name == name)
                || paths.any(|path| path.split('.').next() == Some(name))
        });
        for (name, value) in data.iter().filter(|_| !declared.is_empty()) {
            source.count_beside(name, value, declared);
        }
        source
    }

    fn count_unknown(&mut self, object: &Map<String, Json>, known: impl Fn(&str) -> bool) {
        for name in object.keys().filter(|name| !known(name)) {
            if forbidden_name(name) {
                self.forbidden += 1;
            } else {
                self.unknown += 1;
            }
        }
    }

    /// Counts what stands beside declared fields below the first name.
    fn count_beside(&mut self, path: &str, value: &Json, declared: &[Declared]) {
        let below = format!("{path}.");
        let is_way = declared.iter().any(|one| one.path.starts_with(&below));
        let Json::Object(object) = value else {
            return;
        };
        if !is_way {
            return;
        }
        for (name, value) in object {
            let path = format!("{below}{name}");
            let below = format!("{path}.");
            let is_known = |one: &Declared| one.path == path || one.path.starts_with(&below);
            if declared.iter().any(is_known) {
                self.count_beside(&path, value, declared);
            } else if forbidden_name(name) {
                self.forbidden += 1;
            } else {
                self.unknown += 1;
            }
        }
    }

    fn lines(&mut self, name: &str, lines: &[Json]) -> Result<Vec<Line>, FieldFault> {
        if lines.len() > limits::EVENT_LINES_MAX {
            return Err(at(name, ValueFault::Many(limits::EVENT_LINES_MAX)));
        }
        let lines = lines.iter().enumerate();
        lines
            .map(|(index, line)| {
                self.line(line).map_err(|(key, fault)| FieldFault {
                    path: format!("{name}[{index}]{key}"),
                    fault,
                })
            })
            .collect()
    }

    fn line(&mut self, line: &Json) -> Result<Line, (&'static str, ValueFault)> {
        let Json::Object(line) = line else {
            return Err(("", ValueFault::Type("an object")));
        };
        self.count_unknown(line, |name| {
            matches!(name, "sku" | "qty" | "amount" | "creator")
        });
        let present = |name: &str| line.get(name).filter(|value| !value.is_null());
        let text = |name, key| match present(name) {
            Some(Json::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err((key, ValueFault::Type("a string"))),
            None => Ok(None),
        };
        let number = |name, key, min, max| match present(name) {
            Some(value) => match integer(value, "an integer").map_err(|fault| (key, fault))? {
                number if (min..=max).contains(&number) => Ok(number),
                _ => Err((key, ValueFault::Range { min, max })),
            },
            None => Err((key, ValueFault::Missing)),
        };
        let sku = text("sku", ".sku")?.ok_or((".sku", ValueFault::Missing))?;
        let creator = text("creator", ".creator")?
            .map(CreatorId::new)
            .transpose()
            .map_err(|fault| (".creator", ValueFault::Id(fault)))?;
        let amount = limits::AMOUNT_MINOR_MAX;
        Ok(Line {
            sku: Sku::new(sku).map_err(|fault| (".sku", ValueFault::Id(fault)))?,
            qty: number("qty", ".qty", 0, limits::QUANTITY_MAX)?,
            amount: number("amount", ".amount", -amount, amount)?,
            creator,
        })
    }

    fn stages(&mut self, name: &str, stages: &Map<String, Json>) -> Result<Vec<Stage>, FieldFault> {
        if stages.len() > limits::EVENT_STAGES_MAX {
            return Err(at(name, ValueFault::Many(limits::EVENT_STAGES_MAX)));
        }
        let mut out = Vec::with_capacity(stages.len());
        for (index, (key, value)) in stages.iter().enumerate() {
            if forbidden_name(key) {
                self.forbidden += 1;
                continue;
            }
            // A stage is named by its place: its name is what a client wrote.
            let fault = |fault| FieldFault {
                path: format!("{name}[{index}]"),
                fault,
            };
            let stage = key.strip_suffix(STAGE_SUFFIX).unwrap_or(key);
            let ms = integer(value, "an integer of milliseconds").map_err(fault)?;
            let max = i64::from(i32::MAX);
            out.push(Stage {
                name: CheckoutStage::new(stage).map_err(|id| fault(ValueFault::Id(id)))?,
                ms: u32::try_from(ms)
                    .ok()
                    .filter(|_| ms <= max)
                    .ok_or_else(|| fault(ValueFault::Range { min: 0, max }))?,
            });
        }
        Ok(out)
    }
}

/// The text, number or truth value at a path of at most three names.
#[must_use]
pub fn text_at<'a>(data: &'a Map<String, Json>, path: &str) -> Option<Cow<'a, str>> {
    let mut names = path.split('.');
    let first = data.get(names.next()?)?;
    match names.try_fold(first, |value, name| value.get(name))? {
        Json::String(text) => Some(Cow::Borrowed(text)),
        value @ (Json::Number(_) | Json::Bool(_)) => Some(Cow::Owned(value.to_string())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

impl FieldSource for JsonSource<'_> {
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
        let Some(value) = self.data.get(field.name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let name = field.name;
        let value = match field.kind {
            Kind::Reference
            | Kind::Name
            | Kind::Subject
            | Kind::Remark
            | Kind::Text
            | Kind::Currency
            | Kind::Choice(_)
            | Kind::OpenChoice(_) => text(field.kind, value),
            Kind::Minor | Kind::MinorSigned => {
                integer(value, "an integer of minor units (pence, cents)").map(Value::Int)
            }
            Kind::Count | Kind::CountSigned | Kind::Bytes => {
                integer(value, "an integer").map(Value::Int)
            }
            Kind::Millis => integer(value, "an integer of milliseconds").map(Value::Int),
            Kind::Moment => moment(value).map(Value::Int),
            Kind::Thousandths => thousandths(value).map(Value::Int),
            Kind::Flag => value
                .as_bool()
                .map(Value::Flag)
                .ok_or(ValueFault::Type("true or false")),
            Kind::Lines => match value {
                Json::Array(lines) => {
                    return self.lines(name, lines).map(|l| Some(Value::Lines(l)));
                }
                Json::Null
                | Json::Bool(_)
                | Json::Number(_)
                | Json::String(_)
                | Json::Object(_) => Err(ValueFault::Type("an array of lines")),
            },
            Kind::Stages => match value {
                Json::Object(stages) => {
                    return self.stages(name, stages).map(|s| Some(Value::Stages(s)));
                }
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                    Err(ValueFault::Type("an object of milliseconds"))
                }
            },
        };
        value.map(Some).map_err(|fault| at(name, fault))
    }
}

fn at(path: &str, fault: ValueFault) -> FieldFault {
    FieldFault {
        path: path.to_owned(),
        fault,
    }
}

fn text(kind: Kind, value: &Json) -> Result<Value, ValueFault> {
    let Json::String(text) = value else {
        return Err(ValueFault::Type("a string"));
    };
    let max = limits::STRING_BYTES_MAX;
    if text.len() > max && kind != Kind::Text {
        return Err(ValueFault::Id(IdFault::TooLong { max }));
    }
    Ok(Value::Text(text.as_str().into()))
}

fn integer(value: &Json, what: &'static str) -> Result<i64, ValueFault> {
    value.as_i64().ok_or(ValueFault::Type(what))
}

fn moment(value: &Json) -> Result<i64, ValueFault> {
    let fault = ValueFault::Type("a moment as in RFC 3339, such as 2026-11-28T18:00:00Z");
    let text = value.as_str().ok_or(fault)?;
    rfc3339_ms(text).ok_or(fault)
}

/// Reads a moment, ms since 1970.
#[must_use]
pub fn rfc3339_ms(text: &str) -> Option<i64> {
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

/// Writes a moment given in ms since 1970; empty when it lies outside the years RFC 3339 can write.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |at| at.to_string())
}

/// A number in thousandths, rounded half to even, read from its decimal digits.
fn thousandths(value: &Json) -> Result<i64, ValueFault> {
    let fault = ValueFault::Type("a number");
    let Json::Number(number) = value else {
        return Err(fault);
    };
    decimal_thousandths(&number.to_string()).ok_or(fault)
}

fn decimal_thousandths(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{part}");
    let all = all.trim_start_matches('0');
    // Where the thousandths end inside the digits.
    let end = i32::try_from(all.len()).ok()? - i32::try_from(part.len()).ok()? + exponent + 3;
    let Ok(end) = usize::try_from(end) else {
        return Some(0);
    };
    if end > 18 && !all.is_empty() {
        return None;
    }
    let kept = &all[..end.min(all.len())];
    let zeros = u32::try_from(end - kept.len()).ok()?;
    let mut value = match kept {
        "" => 0,
        digits => digits
            .parse::<i64>()
            .ok()?
            .checked_mul(10i64.checked_pow(zeros)?)?,
    };
    let rest = &all[kept.len()..];
    let above_half = rest > "5" && rest.trim_end_matches('0') != "5";
    let half = rest.trim_end_matches('0') == "5";
    if above_half || (half && value % 2 == 1) {
        value += 1;
    }
    Some(sign * value)
}

/// Collects fields into a JSON object. Chat text is left out: it is never written anywhere.
#[derive(Default)]
pub struct JsonSink(pub Map<String, Json>);

impl FieldSink for JsonSink {
    fn put(&mut self, field: &'static Field, value: Value) {
        if field.kind == Kind::Text {
            return;
        }
        let json = match value {
            Value::Text(text) => Json::from(&*text),
            Value::Int(number) if field.kind == Kind::Moment => Json::from(rfc3339(number)),
            Value::Int(number) if field.kind == Kind::Thousandths => decimal(number),
            Value::Int(number) => Json::from(number),
            Value::Flag(flag) => Json::from(flag),
            Value::Lines(lines) => lines.iter().map(line_json).collect(),
            Value::Stages(stages) => Json::Object(
                stages
                    .iter()
                    .map(|stage| {
                        (
                            format!("{}{STAGE_SUFFIX}", stage.name),
                            Json::from(stage.ms),
                        )
                    })
                    .collect(),
            ),
        };
        self.0.insert(field.name.to_owned(), json);
    }
}

fn line_json(line: &Line) -> Json {
    let mut out = Map::new();
    out.insert("sku".to_owned(), Json::from(line.sku.as_str()));
    out.insert("qty".to_owned(), Json::from(line.qty));
    out.insert("amount".to_owned(), Json::from(line.amount));
    if let Some(creator) = &line.creator {
        out.insert("creator".to_owned(), Json::from(creator.as_str()));
    }
    Json::Object(out)
}

fn decimal(thousandths: i64) -> Json {
    let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
    if part == 0 {
        return Json::from(whole);
    }
    let sign = if thousandths < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:03}", whole.unsigned_abs(), part.unsigned_abs());
    text.parse::<Number>().map_or(Json::Null, Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_number_is_read_by_its_digits() {
        for (text, expected) in [
            ("20.1", Some(20_100)),
            ("0.0005", Some(0)),
            ("0.0015", Some(2)),
            ("0.00151", Some(2)),
            ("0.0025", Some(2)),
            ("-3.1415926", Some(-3_142)),
            ("12", Some(12_000)),
            ("0", Some(0)),
            ("1e3", Some(1_000_000)),
            ("2.5e-4", Some(0)),
            ("1e-9", Some(0)),
            ("1e30", None),
            ("999999999999", Some(999_999_999_999_000)),
        ] {
            assert_eq!(decimal_thousandths(text), expected, "{text}");
        }
    }

    #[test]
    fn thousandths_come_back_as_they_went() {
        for number in [0, 1, -1, 20_100, -3_142, 99_999, 1_000] {
            let json = decimal(number);
            assert_eq!(thousandths(&json), Ok(number), "{json}");
        }
    }

    #[test]
    fn moments_are_rfc_3339_with_any_offset() {
        for text in [
            "2026-11-28T18:00:00Z",
            "2026-11-28T18:00:00.000Z",
            "2026-11-28T19:00:00+01:00",
        ] {
            assert_eq!(rfc3339_ms(text), Some(1_795_888_800_000), "{text}");
        }
        assert_eq!(rfc3339_ms("yesterday"), None);
        assert_eq!(rfc3339(1_795_888_800_000), "2026-11-28T18:00:00Z");
    }
}
