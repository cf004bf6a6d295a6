//! What the SDKs hold of the catalogue: a typed call per event type, and the table of classes and
//! integer fields behind the checks that a client makes itself.

use popwatch_core::event::{EventType, Field, Kind};

use super::Generated;

/// The catalogue as each SDK has it.
pub(super) fn files() -> [Generated; 3] {
    [javascript(), declarations(), python()]
}

fn file(path: &str, text: String) -> Generated {
    Generated {
        path: path.to_owned(),
        text,
    }
}

/// `payment.captured` as `paymentCaptured`.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut is_start = false;
    for letter in name.chars() {
        if letter == '.' || letter == '_' {
            is_start = true;
        } else if std::mem::take(&mut is_start) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Whether a field is an integer in JSON.
pub(super) const fn is_integer(kind: Kind) -> bool {
    match kind {
        Kind::Minor
        | Kind::MinorSigned
        | Kind::Count
        | Kind::CountSigned
        | Kind::Bytes
        | Kind::Millis => true,
        Kind::Reference
        | Kind::Name
        | Kind::Subject
        | Kind::Remark
        | Kind::Text
        | Kind::Currency
        | Kind::Moment
        | Kind::Thousandths
        | Kind::Flag
        | Kind::Choice(_)
        | Kind::OpenChoice(_)
        | Kind::Lines
        | Kind::Stages => false,
    }
}

fn integers(kind: EventType) -> Vec<&'static str> {
    let fields = kind.fields().iter();
    let integers = fields.filter(|field| is_integer(field.kind));
    integers.map(|field| field.name).collect()
}

fn javascript() -> Generated {
    let mut text = String::from(
        "// Written by `cargo xtask codegen`. Of each type: its class, then its integer fields.\n\
         export const TYPES = {\n",
    );
    for kind in EventType::ALL {
        let mut words = vec![kind.class().name()];
        words.extend(integers(*kind));
        text.push_str(&format!(
            "  \"{}\": \"{}\",\n",
            kind.name(),
            words.join(" ")
        ));
    }
    text.push_str("};\n");
    file("sdk/typescript/src/catalogue.js", text)
}

fn declarations() -> Generated {
    let mut text = String::from(
        "// Written by `cargo xtask codegen` from the catalogue of events.\n\
         import type { Emitted, Options } from \"./index.js\";\n\n\
         /** Minor units and counts: an integer; a float is refused. */\n\
         export type Integer = number | bigint;\n\n\
         /** A line of a sale. */\n\
         export interface Line {\n  sku: string;\n  qty: Integer;\n  amount: Integer;\n  creator?: string;\n}\n",
    );
    for kind in EventType::ALL {
        text.push_str(&format!(
            "\n/** {} */\nexport interface {} {{\n",
            kind.doc(),
            pascal(kind.name())
        ));
        for field in kind.fields() {
            let mark = if field.required { "" } else { "?" };
            text.push_str(&format!(
                "  /** {} */\n  {}{mark}: {};\n",
                field.doc,
                field.name,
                typescript(field.kind)
            ));
        }
        text.push_str("}\n");
    }
    text.push_str("\n/** A call per type of the catalogue. */\nexport interface Calls {\n");
    for kind in EventType::ALL {
        let (call, holds) = (camel(kind.name()), pascal(kind.name()));
        let doc = kind.doc();
        text.push_str(&format!(
            "  /** {doc} */\n  {call}(data: {holds}, options?: Options): Emitted;\n"
        ));
    }
    text.push_str("}\n");
    file("sdk/typescript/src/catalogue.d.ts", text)
}

fn pascal(name: &str) -> String {
    let camel = camel(name);
    camel[..1].to_uppercase() + &camel[1..]
}

fn typescript(kind: Kind) -> String {
    if is_integer(kind) {
        return String::from("Integer");
    }
    match kind {
        Kind::Choice(choices) => choices
            .iter()
            .map(|one| format!("\"{one}\""))
            .collect::<Vec<_>>()
            .join(" | "),
        Kind::Flag => String::from("boolean"),
        Kind::Thousandths => String::from("number"),
        Kind::Lines => String::from("Line[]"),
        Kind::Stages => String::from("Record<string, Integer>"),
        Kind::Minor
        | Kind::MinorSigned
        | Kind::Count
        | Kind::CountSigned
        | Kind::Bytes
        | Kind::Millis
        | Kind::Reference
        | Kind::Name
        | Kind::Subject
        | Kind::Remark
        | Kind::Text
        | Kind::Currency
        | Kind::Moment
        | Kind::OpenChoice(_) => String::from("string"),
    }
}

fn python() -> Generated {
    let mut text = String::from(
        "\"\"\"Written by `cargo xtask codegen` from the catalogue of events: a call per type.\"\"\"\n\
         # ruff: noqa\n\n\
         # Of each type: its class, then its integer fields.\n\
         TYPES = {\n",
    );
    for kind in EventType::ALL {
        let mut words = vec![kind.class().name()];
        words.extend(integers(*kind));
        text.push_str(&format!(
            "    \"{}\": \"{}\",\n",
            kind.name(),
            words.join(" ")
        ));
    }
    text.push_str(
        "}\n\n\nclass Calls:\n    \"\"\"A call per type; each answers like `emit`.\"\"\"\n",
    );
    for kind in EventType::ALL {
        let call = kind.name().replace('.', "_");
        let (needed, other): (Vec<&Field>, Vec<&Field>) =
            kind.fields().iter().partition(|field| field.required);
        text.push_str(&format!("\n    def {call}(\n        self,\n        *,\n"));
        for field in &needed {
            let (name, hint) = (argument(field.name), hint(field.kind));
            text.push_str(&format!("        {name}: {hint},\n"));
        }
        for field in &other {
            let (name, hint) = (argument(field.name), hint(field.kind));
            text.push_str(&format!("        {name}: \"{hint} | None\" = None,\n"));
        }
        text.push_str(
            "        event_id: \"str | None\" = None,\n        event_time: \"str | None\" = None,\n    ):\n",
        );
        let doc = kind.doc();
        text.push_str(&format!("        \"\"\"{doc}\"\"\"\n        data = {{\n"));
        for field in kind.fields() {
            let (name, holds) = (field.name, argument(field.name));
            text.push_str(&format!("            \"{name}\": {holds},\n"));
        }
        text.push_str(&format!(
            "        }}\n        return self.emit(\"{}\", data, id=event_id, time=event_time)\n",
            kind.name()
        ));
    }
    file("sdk/python/popwatch/catalogue.py", text)
}

/// The argument that a field is in Python, where `from` is a word of the language.
fn argument(name: &str) -> &str {
    if name == "from" { "from_" } else { name }
}

fn hint(kind: Kind) -> &'static str {
    if is_integer(kind) {
        return "int";
    }
    match kind {
        Kind::Flag => "bool",
        Kind::Thousandths => "float",
        Kind::Lines => "list",
        Kind::Stages => "dict",
        Kind::Minor
        | Kind::MinorSigned
        | Kind::Count
        | Kind::CountSigned
        | Kind::Bytes
        | Kind::Millis
        | Kind::Reference
        | Kind::Name
        | Kind::Subject
        | Kind::Remark
        | Kind::Text
        | Kind::Currency
        | Kind::Moment
        | Kind::Choice(_)
        | Kind::OpenChoice(_) => "str",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_call() {
        let [table, types, calls] = files();
        for kind in EventType::ALL {
            let name = kind.name();
            assert!(table.text.contains(&format!("\"{name}\": \"")));
            assert!(types.text.contains(&format!("  {}(data: ", camel(name))));
            assert!(
                calls
                    .text
                    .contains(&format!("    def {}(", name.replace('.', "_")))
            );
        }
        let paid = "\"payment.captured\": \"money amount tip tax fee latency_ms\"";
        assert!(table.text.contains(paid), "{}", table.text);
    }
}
