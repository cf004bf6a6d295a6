//! `docs/events.md`: what each event type may hold, as a table for people.

use popwatch_core::event::{Class, EventType, Field, Kind};
use popwatch_core::limits;

use super::Generated;

const HEAD: &str = "\
# Events

Written by `cargo xtask codegen` from the catalogue in `crates/core/src/event/catalogue.rs`.

An event is a CloudEvents 1.0 object. `specversion` is `1.0`; `type` is one of the names below;
`id` and `source` together name the event for ever, so a repeat counts once; `time` is the till's
clock and optional; the extension `popup` names the popup. The fields below lie in `data`. Fields
that are not listed are dropped and counted. The class says what goes first when a rig runs short
of disk: ambient, then journey, then stock, money last.
";

/// The whole page.
pub(super) fn page() -> Generated {
    let mut text = String::from(HEAD);
    for class in Class::ALL {
        for kind in EventType::ALL.iter().filter(|kind| kind.class() == class) {
            section(*kind, &mut text);
        }
    }
    Generated {
        path: String::from("docs/events.md"),
        text,
    }
}

fn section(kind: EventType, text: &mut String) {
    let (name, class) = (kind.name(), kind.class().name());
    text.push_str(&format!(
        "\n## popwatch.{name}\n\n{} Class: {class}.\n\n",
        kind.doc()
    ));
    text.push_str("| field | | holds | says |\n|---|---|---|---|\n");
    for field in kind.fields() {
        text.push_str(&row(field));
    }
}

fn row(field: &Field) -> String {
    let need = if field.required { "required" } else { "" };
    let (name, doc) = (field.name, field.doc);
    format!("| `{name}` | {need} | {} | {doc} |\n", holds(field.kind))
}

/// What a field holds, in words.
fn holds(kind: Kind) -> String {
    let fixed = match kind {
        Kind::Reference => "a reference: letters, digits and `. _ : ~ / -`",
        Kind::Name => "a name",
        Kind::Subject => "a person; leaves the rig as a pseudonym or not at all",
        Kind::Remark => "a short remark; redacted",
        Kind::Text => "text; scored on the rig and not stored",
        Kind::Currency => "an ISO 4217 code",
        Kind::Minor => return minor("0"),
        Kind::MinorSigned => return minor(&format!("-{}", limits::AMOUNT_MINOR_MAX)),
        Kind::Count => return format!("an integer, 0 to {}", limits::QUANTITY_MAX),
        Kind::CountSigned => {
            return format!("an integer, -{0} to {0}", limits::QUANTITY_MAX);
        }
        Kind::Bytes => "bytes, an integer",
        Kind::Millis => "milliseconds, an integer",
        Kind::Moment => "a moment, RFC 3339",
        Kind::Thousandths => "a number, kept to three decimals",
        Kind::Flag => "`true` or `false`",
        Kind::Choice(choices) => return format!("one of {}", quoted(choices)),
        Kind::OpenChoice(choices) => {
            let last = choices.last().copied().unwrap_or_default();
            return format!(
                "one of {}; anything else reads as `{last}`",
                quoted(choices)
            );
        }
        Kind::Lines => "a list of `{sku, qty, amount, creator}`; `creator` is optional",
        Kind::Stages => "an object of durations by stage, each name ending in `_ms`",
    };
    fixed.to_owned()
}

fn minor(least: &str) -> String {
    format!(
        "minor units, an integer, {least} to {}",
        limits::AMOUNT_MINOR_MAX
    )
}

fn quoted(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_and_field_has_its_row() {
        let text = page().text;
        for kind in EventType::ALL {
            let head = format!("\n## popwatch.{}\n", kind.name());
            let section = text.split(&head).nth(1).unwrap();
            let section = section.split("\n## ").next().unwrap();
            assert_eq!(section.matches("\n| `").count(), kind.fields().len());
        }
        let amount = "| `amount` | required | minor units, an integer, 0 to 999999999999 |";
        assert!(text.contains(amount));
    }
}
