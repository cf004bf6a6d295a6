//! The HTTP routes as data: the node serves exactly these, and the `OpenAPI` document is made of
//! them ([`openapi`]).

mod access;
mod bodies;
mod document;
mod shapes;

pub use access::{Found, Need, Shows, find, is_for_members, is_lane, need};
pub use document::openapi;
use shapes::{
    ACCOUNT, AUDIT_DAMAGED, BAD_QUERY, BOOKS, CELLS, CLOSE_TAKES, CLOSED, CREATOR, CURSOR,
    CURSOR_NUMBER, ENROLLED, FEED, FEED_FULL, FILE_TAKES, JSON, LISTS, LIVE, MEMBERS, NO_POPUP,
    NOT_MODIFIED, OTLP_REFUSED, OTLP_TRACES, POPUP, PROVIDER, RIG, TAKEN, asked, body, books,
    brought, counted, done, flag, get, lane, live, otlp, refused,
};

/// Which role serves a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// On a rig.
    Edge,
    /// The compute-adjacent cache.
    Region,
    /// The central books.
    Ledger,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Edge, Self::Region, Self::Ledger];

    /// Its name on the command line and in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Region => "region",
            Self::Ledger => "ledger",
        }
    }

    /// Where it listens unless told otherwise.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Edge => 8710,
            Self::Region => 8720,
            Self::Ledger => 8730,
        }
    }
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Takes something in.
    Post,
}

impl Method {
    const fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}

/// What a parameter is written like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number from 0 to 2³² - 1.
    Number,
    /// A popup's name.
    Name,
    /// A rig's name.
    Rig,
}

/// A parameter of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it stands in the path; else in the query, and may be left out.
    pub in_path: bool,
    /// What it says.
    pub doc: &'static str,
    /// What it is written like.
    pub kind: Kind,
    /// All values it can have; empty when any of its kind is one.
    pub values: &'static [&'static str],
}

/// A body that goes in or comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// Its media type.
    pub media: &'static str,
    /// The component that describes it, none for bytes and free text.
    pub schema: Option<&'static str>,
}

/// One answer of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// When it comes.
    pub doc: &'static str,
    /// Its body.
    pub body: Option<Body>,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Who serves it.
    pub roles: &'static [Role],
    /// How it is asked.
    pub method: Method,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Parameters of path and query.
    pub parameters: &'static [Parameter],
    /// Bodies it takes.
    pub takes: &'static [Body],
    /// Answers beside those every route has.
    pub answers: &'static [Answer],
}

/// All routes.
pub const ROUTES: &[Route] = &[
    Route {
        roles: &[Role::Edge],
        method: Method::Post,
        path: "/v1/events",
        summary: "Take events in; answers when they are safe on this till, a verdict each.",
        parameters: &[],
        takes: &[
            body("application/cloudevents+json", Some("Event")),
            body("application/cloudevents-batch+json", Some("Events")),
            body("application/x-ndjson", None),
            body(JSON, None),
        ],
        answers: &[
            done("A verdict per event, in order.", JSON, Some("Verdicts")),
            refused(400, "The body could not be parsed; nothing of it was kept."),
            refused(403, "The Host or Origin is not allowed."),
            refused(408, "The body did not come in time."),
            refused(413, "The body or its number of events is too large."),
            refused(415, "The content type or encoding is not supported."),
            refused(
                429,
                "Nothing of these classes is kept now; come again after Retry-After.",
            ),
            refused(
                503,
                "Nothing can be made durable now; send the same ids again.",
            ),
        ],
    },
    otlp(
        "/v1/traces",
        "Take OTLP spans in: checkouts become their timings, others are counted and left.",
        &OTLP_TRACES,
    ),
    otlp(
        "/v1/logs",
        "Refuse OTLP logs, each record counted.",
        &OTLP_REFUSED,
    ),
    otlp(
        "/v1/metrics",
        "Refuse OTLP metrics, each data point counted.",
        &OTLP_REFUSED,
    ),
    Route {
        roles: &[Role::Edge, Role::Ledger],
        method: Method::Post,
        path: "/v1/webhooks/{provider}",
        summary: "Take a payment provider's message in; answers when what it tells is durable.",
        parameters: &[PROVIDER, ACCOUNT],
        takes: &[body(JSON, None)],
        answers: &[
            done(
                "Taken, or held already, or of no interest.",
                "text/plain",
                None,
            ),
            refused(400, "It verifies and is not what this provider sends."),
            refused(401, "It does not verify; nothing of it was kept."),
            refused(404, "No such account is configured here."),
            refused(408, "The body did not come in time."),
            refused(413, "The body is too large."),
            refused(503, "It could not be made durable; send it again."),
        ],
    },
    get(
        &[Role::Edge],
        "/v1/status",
        "How this rig is: position, what is not sent yet, clock, disk, losses.",
        &[],
        &[done("The status.", JSON, Some("Document"))],
    ),
    get(
        &[Role::Edge],
        "/v1/preflight",
        "What the last preflight of this rig found, and whether that still says much.",
        &[],
        &[done(
            "The report; `verdict` is null where none was made.",
            JSON,
            Some("Document"),
        )],
    ),
    get(
        &[Role::Edge, Role::Region],
        "/v1/popups/{popup}/summary",
        "What a popup sold, in total and by the minute's state.",
        &[POPUP],
        &LIVE,
    ),
    get(
        &[Role::Edge],
        "/v1/popups/{popup}/cells",
        "The rig's own cells of a popup.",
        &[POPUP],
        &CELLS,
    ),
    get(
        &[Role::Edge, Role::Region],
        "/v1/popups/{popup}/stream",
        "The popup's view as a feed; `Last-Event-ID` goes on where a feed of any region ended.",
        &[
            POPUP,
            Parameter {
                name: "view",
                in_path: false,
                doc: "Who reads.",
                kind: Kind::Text,
                values: &["operator", "rig", "creator", "coop", "board"],
            },
            Parameter {
                name: "since",
                in_path: false,
                doc: "The id of the last event held, where `Last-Event-ID` cannot be sent.",
                kind: Kind::Text,
                values: &[],
            },
        ],
        &[FEED, BAD_QUERY, NO_POPUP, FEED_FULL],
    ),
    lane(&[Role::Region], "/v1/cells", "The cells lane."),
    get(
        &[Role::Region],
        "/v1/popups",
        "The popups known here.",
        &[],
        &[done("The list.", JSON, Some("Document")), NOT_MODIFIED],
    ),
    live("/v1/popups/{popup}/series", "Minute by minute."),
    get(
        &[Role::Region],
        "/v1/popups/{popup}/leaderboards/{kind}",
        "Who and what sells most.",
        &[
            POPUP,
            Parameter {
                name: "kind",
                in_path: true,
                doc: "What is ranked.",
                kind: Kind::Text,
                values: &["creators", "products", "rigs"],
            },
        ],
        &LIVE,
    ),
    live(
        "/v1/popups/{popup}/inventory",
        "Expected stock against counted stock.",
    ),
    live(
        "/v1/popups/{popup}/rigs",
        "The rigs that take part and how complete they are.",
    ),
    get(
        &[Role::Edge, Role::Region],
        "/v1/popups/{popup}/slo",
        "What the popup promises: budgets, evidence, pages.",
        &[
            POPUP,
            Parameter {
                name: "format",
                in_path: false,
                doc: "openslo: as OpenSLO documents, with what that format cannot say.",
                kind: Kind::Text,
                values: &["json", "openslo"],
            },
        ],
        &LIVE,
    ),
    live(
        "/v1/popups/{popup}/signals",
        "Funnel, chat and flash drops.",
    ),
    lane(&[Role::Ledger], "/v1/records", "The records lane."),
    Route {
        roles: &[Role::Edge, Role::Ledger],
        method: Method::Post,
        path: "/v1/popups/{popup}/raw",
        summary: "Read single records for a purpose; each read stands in the audit trail first.",
        parameters: &[POPUP],
        takes: &[body(JSON, Some("RawRead"))],
        answers: &[
            done("A record a line.", "application/x-ndjson", None),
            BAD_QUERY,
            refused(
                401,
                "A pass, or a fresh code of the second factor, is needed.",
            ),
            refused(403, "The pass or the policy does not allow it."),
            AUDIT_DAMAGED,
            refused(503, "The trail cannot be written, so nothing is shown."),
        ],
    },
    Route {
        roles: &[Role::Edge, Role::Ledger],
        method: Method::Post,
        path: "/v1/policies",
        summary: "Bring a signed policy, of a popup or the organisation's floor; it runs where it passes.",
        parameters: &[],
        takes: &[body(JSON, Some("PolicyBundle"))],
        answers: &[
            done("What became of it.", JSON, Some("Document")),
            refused(
                401,
                "A pass and a fresh code of the second factor are needed.",
            ),
            refused(
                403,
                "The pass does not allow it, or no known signer signed it.",
            ),
            refused(409, "A newer version is held."),
            refused(413, "It is too large."),
            refused(422, "It is damaged, not lawful, or cannot run here."),
            refused(503, "It could not be kept, so it does not run."),
        ],
    },
    get(
        &[Role::Edge, Role::Ledger],
        "/v1/popups/{popup}/policy",
        "The policy of a popup: what runs, what was brought, and the signed bundles.",
        &[POPUP],
        &[
            done("The policy.", JSON, Some("Document")),
            NOT_MODIFIED,
            NO_POPUP,
        ],
    ),
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/popups/{popup}/leases",
        summary: "Lend an enrolled rig the keys of a popup, and hear which of those it had are no more.",
        parameters: &[POPUP],
        takes: &[body(JSON, Some("Lease"))],
        answers: &[
            done(
                "The keys, and until when each is lent.",
                JSON,
                Some("Document"),
            ),
            BAD_QUERY,
            refused(
                403,
                "The key that asks is of no member that sells for this popup.",
            ),
            refused(503, "The loan could not be kept or written down."),
        ],
    },
    get(
        &[Role::Edge, Role::Ledger],
        "/v1/audit",
        "The audit trail: who did what, the newest entries last, with its signed head and its key.",
        &[
            counted(
                "from",
                "Number of the first entry; the last page if absent.",
            ),
            counted("limit", "How many entries at most."),
        ],
        &[
            done("A page of it.", JSON, Some("Document")),
            BAD_QUERY,
            AUDIT_DAMAGED,
        ],
    ),
    get(
        &[Role::Edge, Role::Ledger],
        "/v1/popups/{popup}/access-log",
        "Who looked at single records, what for, and what became of it; for a creator, at their own.",
        &[POPUP],
        &[
            done("The reads, newest first.", JSON, Some("Document")),
            NO_POPUP,
            AUDIT_DAMAGED,
        ],
    ),
    get(
        &[Role::Ledger],
        "/v1/audit/peers",
        "The newest heads seen of the peers' trails, and which are not believed.",
        &[],
        &[done("The peers.", JSON, Some("Document"))],
    ),
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/audit/peer",
        summary: "Exchange the newest heads of two audit trails, each with the proof that it goes on.",
        parameters: &[],
        takes: &[body(JSON, Some("AuditHead"))],
        answers: &[
            done(
                "Our head, and what we make of yours.",
                JSON,
                Some("Document"),
            ),
            BAD_QUERY,
            refused(413, "It is too large."),
            refused(503, "It could not be kept."),
        ],
    },
    get(
        &[Role::Edge, Role::Ledger],
        "/v1/audit/{number}/proof",
        "That an entry is in the trail, as a file that needs only the key (c2sp.org/tlog-proof@v1).",
        &[Parameter {
            name: "number",
            in_path: true,
            doc: "Number of the entry, from 0.",
            kind: Kind::Number,
            values: &[],
        }],
        &[
            done("The proof.", "text/plain", None),
            BAD_QUERY,
            refused(404, "There is no entry of that number."),
            AUDIT_DAMAGED,
        ],
    ),
    get(
        &[Role::Edge, Role::Ledger],
        "/audit/checkpoint",
        "The trail's signed head (C2SP tlog-checkpoint).",
        &[],
        &[
            done("A signed note.", "text/plain", None),
            refused(404, "The trail has no entry yet."),
        ],
    ),
    get(
        &[Role::Edge, Role::Ledger],
        "/audit/tile/{tile}",
        "A tile of hashes, or a bundle of entries (C2SP tlog-tiles); the path has slashes.",
        &[Parameter {
            name: "tile",
            in_path: true,
            doc: "Level and number, such as 0/000.p/7 or entries/000.p/7.",
            kind: Kind::Text,
            values: &[],
        }],
        &[
            done("Its bytes.", "application/octet-stream", None),
            refused(404, "The trail has no such tile."),
            AUDIT_DAMAGED,
        ],
    ),
    books(
        "/v1/popups/{popup}/books",
        "Balances of a popup, or with entries=1 the effective entries behind them; CSV by Accept.",
        &[
            POPUP,
            flag("entries", "1: the entries, a page at a time."),
            asked(
                "account",
                "Of the entries, those on this account or row of the chart.",
            ),
            counted("correction", "Of the entries, those up to this correction."),
            CURSOR_NUMBER,
        ],
        &LISTS,
    ),
    books(
        "/v1/popups/{popup}/breaks",
        "Named differences that are open or explained; CSV by Accept.",
        &[
            POPUP,
            asked("state", "open, resolved or accepted."),
            asked("class", "One class, such as E-GAP."),
            asked("severity", "info, warn or money."),
            CURSOR,
        ],
        &LISTS,
    ),
    books(
        "/v1/popups/{popup}/reconciliation",
        "Whether journal, cells and books agree, and where not.",
        &[
            POPUP,
            asked(
                "as_of",
                "RFC 3339: timers run out by this moment; now if absent.",
            ),
            flag("full", "1: everything evaluated anew."),
        ],
        &BOOKS,
    ),
    books(
        "/v1/popups/{popup}/statements/{creator}",
        "What a creator earned, line by line; CSV by Accept.",
        &[POPUP, CREATOR, CURSOR_NUMBER],
        &LISTS,
    ),
    books(
        "/v1/popups/{popup}/close",
        "A certificate of the books, with the key that verifies it.",
        &[POPUP, counted("n", "Which one; the newest if absent.")],
        &BOOKS,
    ),
    brought(
        "/v1/popups/{popup}/close",
        "Close the books and sign a certificate; the same books again give the same one.",
        &[POPUP],
        &CLOSE_TAKES,
        &CLOSED,
    ),
    brought(
        "/v1/popups/{popup}/settlements",
        "Take a settlement file; answers when its rows are in the books.",
        &[
            POPUP,
            asked("provider", "stripe, square, shopify, adyen or bank."),
            asked("account", "The account's name; main if absent."),
            asked("layout", "auto, or the name of a layout."),
        ],
        &FILE_TAKES,
        &TAKEN,
    ),
    brought(
        "/v1/popups/{popup}/counts",
        "Take a count sheet, CSV or JSON.",
        &[POPUP],
        &FILE_TAKES,
        &TAKEN,
    ),
    brought(
        "/v1/popups/{popup}/decisions",
        "Take a decision: accept a break, match a payment, note what creators were paid.",
        &[POPUP],
        &CLOSE_TAKES,
        &TAKEN,
    ),
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/enrol",
        summary: "A new machine proves its code, over TLS with its own key, and is told what it needs.",
        parameters: &[],
        takes: &[body(JSON, Some("CodeProof"))],
        answers: &ENROLLED,
    },
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/rigs",
        summary: "Make a code with which one machine may join, once.",
        parameters: &[],
        takes: &[body(JSON, Some("NewRig"))],
        answers: &MEMBERS,
    },
    get(
        &[Role::Ledger],
        "/v1/rigs",
        "Who is enrolled, who was revoked, and what of theirs waits.",
        &[],
        &[
            done("The register.", JSON, Some("Document")),
            refused(503, "The books take nothing at the moment; ask again."),
        ],
    ),
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/rigs/{rig}/revocation",
        summary: "Keep what a rig sends from now on, and do not book it.",
        parameters: &[RIG],
        takes: &[],
        answers: &MEMBERS,
    },
    Route {
        roles: &[Role::Ledger],
        method: Method::Post,
        path: "/v1/rigs/{rig}/acceptance",
        summary: "Book what was kept of a revoked rig.",
        parameters: &[RIG],
        takes: &[],
        answers: &MEMBERS,
    },
    get(
        &Role::ALL,
        "/v1/session",
        "Who this browser's session speaks for.",
        &[],
        &[
            done("Who it is.", JSON, Some("Document")),
            refused(401, "There is no session."),
        ],
    ),
    Route {
        roles: &Role::ALL,
        method: Method::Post,
        path: "/v1/session",
        summary: "Begin a session with a pass, show a second factor, or end it; answers with a cookie.",
        parameters: &[],
        takes: &[body(JSON, Some("SessionWish"))],
        answers: &[
            done("Who it is.", JSON, Some("Document")),
            BAD_QUERY,
            refused(401, "The pass or the code is not taken."),
            refused(413, "It is too large."),
        ],
    },
    get(
        &Role::ALL,
        "/metrics",
        "Metrics for Prometheus.",
        &[],
        &[done("The exposition.", "text/plain", None)],
    ),
    get(
        &Role::ALL,
        "/healthz",
        "Whether the process works.",
        &[asked(
            "n",
            "A word of letters and digits that comes back, with this machine's time in µs and the version.",
        )],
        &[
            done("It works.", "text/plain", None),
            refused(503, "It does not; the body says what fails."),
        ],
    ),
    Route {
        roles: &Role::ALL,
        method: Method::Post,
        path: "/healthz",
        summary: "Read up to 1 MiB and forget it: how fast the way here is.",
        parameters: &[],
        takes: &[body("application/octet-stream", None)],
        answers: &[
            done("Read.", "text/plain", None),
            refused(408, "The body did not come in time."),
            refused(413, "The body is too large."),
        ],
    },
    get(
        &Role::ALL,
        "/readyz",
        "Whether it can take what it is for.",
        &[],
        &[
            done("It can.", JSON, Some("Document")),
            refused(503, "It cannot; the body names what fails."),
        ],
    ),
    get(
        &Role::ALL,
        "/openapi.json",
        "This description.",
        &[],
        &[done("The document.", JSON, Some("Document"))],
    ),
    get(
        &Role::ALL,
        "/",
        "The page for people.",
        &[],
        &[done("The page.", "text/html", None)],
    ),
];

#[cfg(test)]
mod tests;
