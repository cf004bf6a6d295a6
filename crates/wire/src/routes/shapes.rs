//! What the routes are made of: the parameters, bodies and answers that several of them share.

use super::{Answer, Body, Kind, Method, Parameter, Role, Route};
use crate::problem;

pub(super) const POPUP: Parameter = Parameter {
    name: "popup",
    in_path: true,
    doc: "The popup.",
    kind: Kind::Name,
    values: &[],
};

pub(super) const PROVIDER: Parameter = Parameter {
    name: "provider",
    in_path: true,
    doc: "Who sends.",
    kind: Kind::Text,
    values: &["stripe", "square", "shopify", "adyen"],
};
pub(super) const CREATOR: Parameter = Parameter {
    name: "creator",
    in_path: true,
    doc: "Whose statement.",
    kind: Kind::Text,
    values: &[],
};
pub(super) const ACCOUNT: Parameter = Parameter {
    name: "account",
    in_path: false,
    doc: "The account, where the provider has several here.",
    kind: Kind::Text,
    values: &[],
};

pub(super) const JSON: &str = "application/json";
pub(super) const PROTOBUF: &str = "application/x-protobuf";

pub(super) const fn body(media: &'static str, schema: Option<&'static str>) -> Body {
    Body { media, schema }
}

pub(super) const fn done(
    doc: &'static str,
    media: &'static str,
    schema: Option<&'static str>,
) -> Answer {
    Answer {
        status: 200,
        doc,
        body: Some(body(media, schema)),
    }
}

pub(super) const fn refused(status: u16, doc: &'static str) -> Answer {
    Answer {
        status,
        doc,
        body: Some(body(problem::MEDIA_TYPE, Some("Problem"))),
    }
}

pub(super) const NO_POPUP: Answer = refused(404, "No such popup is known here.");
pub(super) const BAD_QUERY: Answer = refused(400, "A parameter is wrong.");
pub(super) const AUDIT_DAMAGED: Answer = refused(
    500,
    "The stored entries are not what was signed; nothing of them is shown.",
);
pub(super) const NOT_MODIFIED: Answer = Answer {
    status: 304,
    doc: "Nothing changed since the ETag that was sent.",
    body: None,
};
pub(super) const FEED: Answer = done(
    "A feed: an event `snapshot`, then `delta`; a `tick` every 5 s; `behind` to one that has seen more \
     elsewhere. Rows are whole, so any delta may be skipped.",
    "text/event-stream",
    None,
);
pub(super) const FEED_FULL: Answer = refused(503, "Too many live readers.");
pub(super) const LIVE: [Answer; 4] = [
    done("The view as it stands.", JSON, Some("Document")),
    NOT_MODIFIED,
    BAD_QUERY,
    NO_POPUP,
];
/// As [`LIVE`], in the form of the lanes.
pub(super) const CELLS: [Answer; 2] = [done("The cells.", PROTOBUF, None), NO_POPUP];
pub(super) const LANE_TAKES: [Body; 1] = [body(PROTOBUF, None)];
pub(super) const LANE_ANSWERS: [Answer; 4] = [
    done("What was taken, by position.", PROTOBUF, None),
    refused(400, "The batch is damaged or of another protocol."),
    refused(409, "The batch does not continue what is held here."),
    refused(413, "The batch is too large."),
];
pub(super) const OTLP_TAKES: [Body; 2] = [body(PROTOBUF, None), body(JSON, Some("Otlp"))];

pub(super) const fn otlp(
    path: &'static str,
    summary: &'static str,
    answers: &'static [Answer],
) -> Route {
    Route {
        roles: &[Role::Edge],
        method: Method::Post,
        path,
        summary,
        parameters: &[],
        takes: &OTLP_TAKES,
        answers,
    }
}

/// An error that exporters read: a `google.rpc.Status` in the format of the request.
pub(super) const fn status_message(status: u16, doc: &'static str) -> Answer {
    Answer {
        status,
        doc,
        body: Some(body(JSON, None)),
    }
}

pub(super) const OTLP_BAD: [Answer; 3] = [
    status_message(400, "The body is no OTLP message; nothing of it was kept."),
    status_message(413, "The body or its number of spans is too large."),
    status_message(415, "The content type or encoding is not supported."),
];
pub(super) const OTLP_TRACES: [Answer; 6] = [
    done(
        "Taken, safe on this till; what was not stands in `partialSuccess`.",
        JSON,
        None,
    ),
    OTLP_BAD[0],
    OTLP_BAD[1],
    OTLP_BAD[2],
    status_message(
        429,
        "Checkouts are not kept now; come again after Retry-After.",
    ),
    status_message(
        503,
        "Nothing can be made durable now; send the same spans again.",
    ),
];
pub(super) const OTLP_REFUSED: [Answer; 5] = [
    done("All of it refused, in `partialSuccess`.", JSON, None),
    OTLP_BAD[0],
    OTLP_BAD[1],
    OTLP_BAD[2],
    status_message(429, "Too many requests are being read."),
];
pub(super) const BOOKS: [Answer; 3] = [
    done("The books as they stand.", JSON, Some("Document")),
    BAD_QUERY,
    NO_POPUP,
];

pub(super) const fn get(
    roles: &'static [Role],
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answers: &'static [Answer],
) -> Route {
    Route {
        roles,
        method: Method::Get,
        path,
        summary,
        parameters,
        takes: &[],
        answers,
    }
}

pub(super) const fn live(path: &'static str, summary: &'static str) -> Route {
    get(&[Role::Region], path, summary, &[POPUP], &LIVE)
}

pub(super) const LISTS: [Answer; 4] = [
    done("As it stands.", JSON, Some("Document")),
    NOT_MODIFIED,
    BAD_QUERY,
    NO_POPUP,
];
pub(super) const RIG: Parameter = Parameter {
    name: "rig",
    in_path: true,
    doc: "The rig's name.",
    kind: Kind::Rig,
    values: &[],
};
pub(super) const ENROLLED: [Answer; 6] = [
    done("The membership and its proof.", JSON, Some("Document")),
    refused(400, "It cannot be read."),
    refused(401, "The code is not proved over this connection."),
    refused(403, "No such code waits here."),
    refused(413, "It is too large."),
    refused(503, "It could not be written down; try again."),
];
pub(super) const MEMBERS: [Answer; 6] = [
    done("Done.", JSON, Some("Document")),
    refused(400, "It cannot be read."),
    refused(403, "It is not allowed."),
    refused(404, "No such rig is in the register."),
    refused(413, "It is too large."),
    refused(503, "It could not be written down; try again."),
];
pub(super) const CURSOR: Parameter = asked("cursor", "Where the page before ended.");
pub(super) const CURSOR_NUMBER: Parameter = counted("cursor", "Where the page before ended.");
pub(super) const CLOSE_TAKES: [Body; 1] = [body(JSON, None)];
pub(super) const FILE_TAKES: [Body; 2] = [body("text/csv", None), body(JSON, None)];
pub(super) const CLOSED: [Answer; 5] = [
    done("The certificate and its key.", JSON, Some("Document")),
    BAD_QUERY,
    NO_POPUP,
    refused(
        409,
        "Another close runs, money is open, or the moment is too early.",
    ),
    refused(507, "The certificate would be too large."),
];
pub(super) const TAKEN: [Answer; 6] = [
    done("What became of its rows.", JSON, Some("Document")),
    BAD_QUERY,
    NO_POPUP,
    refused(413, "It is too large."),
    refused(422, "It cannot be taken; nothing of it was."),
    refused(503, "The books take nothing at the moment; send it again."),
];

pub(super) const fn asked(name: &'static str, doc: &'static str) -> Parameter {
    Parameter {
        name,
        in_path: false,
        doc,
        kind: Kind::Text,
        values: &[],
    }
}

/// `1` in the query turns it on.
pub(super) const fn flag(name: &'static str, doc: &'static str) -> Parameter {
    Parameter {
        values: &["0", "1"],
        ..asked(name, doc)
    }
}

/// A number in the query.
pub(super) const fn counted(name: &'static str, doc: &'static str) -> Parameter {
    Parameter {
        kind: Kind::Number,
        ..asked(name, doc)
    }
}

pub(super) const fn books(
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answers: &'static [Answer],
) -> Route {
    get(&[Role::Ledger], path, summary, parameters, answers)
}

pub(super) const fn brought(
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    takes: &'static [Body],
    answers: &'static [Answer],
) -> Route {
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path,
        summary,
        parameters,
        takes,
        answers,
    }
}

pub(super) const fn lane(
    role: &'static [Role],
    path: &'static str,
    summary: &'static str,
) -> Route {
    Route {
        roles: role,
        method: Method::Post,
        path,
        summary,
        parameters: &[],
        takes: &LANE_TAKES,
        answers: &LANE_ANSWERS,
    }
}
