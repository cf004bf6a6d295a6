//! The parts of the book that are made from the code: its table of contents, the list of error codes
//! and the HTTP reference.

use std::fmt::Write as _;

use popwatch_core::code::Code;
use popwatch_wire::routes::{Method, ROUTES, Role, Route};

use super::Generated;

/// The written chapters, as they are read: part, then title and page. A test finds pages that are
/// missing here.
const PARTS: &[(&str, &[(&str, &str)])] = &[
    (
        "Begin",
        &[
            ("Five minutes", "start.md"),
            ("How the parts fit", "concepts.md"),
            ("A market with four tills", "four-tills.md"),
        ],
    ),
    (
        "The evening",
        &[
            ("Before doors open", "preflight.md"),
            ("What the till's page says", "at-the-stall.md"),
            ("The screens", "screens.md"),
            ("When something goes wrong", "operations.md"),
            ("A new laptop, a lost laptop", "enrolment.md"),
        ],
    ),
    (
        "The books",
        &[
            ("Reconciling and closing", "reconciling.md"),
            ("Settlement files", "settlement.md"),
            ("Breaks", "breaks.md"),
            ("The report", "report.md"),
        ],
    ),
    (
        "Trust",
        &[
            ("What never reaches the disk", "redaction.md"),
            ("Who is let in", "access.md"),
            ("What may be kept", "policy.md"),
            ("How long anything stays", "retention.md"),
            ("The audit trail", "audit.md"),
            ("Security and threat model", "security.md"),
        ],
    ),
    (
        "Reference",
        &[
            ("Configuration", "config.md"),
            ("Events", "events.md"),
            ("Reporting from a checkout", "sdk.md"),
            ("OpenTelemetry", "otlp.md"),
            ("HTTP", "http.md"),
            ("How far it goes", "scale.md"),
            ("Benches and proofs", "bench.md"),
        ],
    ),
];

/// `docs/SUMMARY.md`, as mdBook reads it.
pub(super) fn summary() -> Generated {
    let mut text = String::from("# Summary\n");
    for (part, chapters) in PARTS {
        line(&mut text, format_args!("\n# {part}\n"));
        for (title, page) in *chapters {
            line(&mut text, format_args!("- [{title}]({page})"));
        }
    }
    text.push_str("- [Error codes](errors.md)\n");
    for code in Code::ALL {
        line(&mut text, format_args!("  - [{code}](errors/{code}.md)"));
    }
    Generated {
        path: String::from("docs/SUMMARY.md"),
        text,
    }
}

/// `docs/errors.md`: each code with its title.
pub(super) fn errors() -> Generated {
    let mut text = String::from(
        "# Error codes\n\nEvery error carries one of these. Its page says what it means, what was kept and what \
         to do.\n\n| code | is |\n|---|---|\n",
    );
    for code in Code::ALL {
        let title = code.title();
        line(
            &mut text,
            format_args!("| [{code}](errors/{code}.md) | {title} |"),
        );
    }
    Generated {
        path: String::from("docs/errors.md"),
        text,
    }
}

/// `docs/http.md`: each role's routes.
pub(super) fn http() -> Generated {
    let mut text = String::from(
        "# HTTP\n\nWhat each role answers. For programs the same stands in `spec/openapi-edge.json`, \
         `spec/openapi-region.json` and `spec/openapi-ledger.json`. Errors are `application/problem+json` (RFC \
         9457) with a `code`; [Error codes](errors.md) has them all. Where passes are asked for, they come as \
         `Authorization: Bearer pw1...` or as the cookie of a session ([who is let in](access.md)).\n",
    );
    for role in Role::ALL {
        let name = role.name();
        line(&mut text, format_args!("\n## {name}\n"));
        line(
            &mut text,
            format_args!("On port {} unless it is told another.", role.port()),
        );
        for route in ROUTES.iter().filter(|route| route.roles.contains(&role)) {
            described(&mut text, route);
        }
    }
    Generated {
        path: String::from("docs/http.md"),
        text,
    }
}

fn described(text: &mut String, route: &Route) {
    let method = match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let (path, summary) = (route.path, route.summary);
    line(text, format_args!("\n### {method} {path}\n\n{summary}"));
    if !route.parameters.is_empty() {
        text.push('\n');
    }
    for parameter in route.parameters {
        let place = if parameter.in_path {
            "in the path"
        } else {
            "in the query"
        };
        let (name, doc) = (parameter.name, parameter.doc);
        let values = match parameter.values {
            [] => String::new(),
            values => format!(" One of `{}`.", values.join("`, `")),
        };
        line(text, format_args!("- `{name}` {place}: {doc}{values}"));
    }
    if !route.takes.is_empty() {
        let media: Vec<_> = route
            .takes
            .iter()
            .map(|body| format!("`{}`", body.media))
            .collect();
        line(text, format_args!("\nTakes {}.", media.join(", ")));
    }
    text.push_str("\n| status | when | body |\n|---|---|---|\n");
    for answer in route.answers {
        let body = answer
            .body
            .map_or(String::new(), |body| format!("`{}`", body.media));
        line(
            text,
            format_args!("| {} | {} | {body} |", answer.status, answer.doc),
        );
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::shell;

    #[test]
    fn each_page_is_in_the_book() {
        let chapters = PARTS.iter().flat_map(|(_, chapters)| *chapters);
        let listed: BTreeSet<String> = chapters.map(|(_, page)| (*page).to_owned()).collect();
        let made = ["SUMMARY.md", "errors.md"];
        let folder = shell::root().join("docs");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".md") && !made.contains(&name.as_str()))
            .collect();
        assert_eq!(listed, there);
    }
}
