//! What each route asks of whoever calls it. One table; a route that is not in it is open to nobody.

use popwatch_core::access::Action;

use super::{Method, ROUTES, Route};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it says nothing of a popup, or brings its own proof.
    Open,
    /// That the action is allowed.
    To(Action, Shows),
}

/// How much of a popup a route shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// All of it.
    Whole,
    /// What a board shows.
    Board,
    /// What the creator in its path earned.
    Creator,
    /// What comes from the caller's own rig.
    OwnRig,
    /// What the caller may see of it: the handler narrows its answer.
    Own,
    /// What the audience in its query sees.
    Feed,
}

/// What the route with this method and path asks.
#[must_use]
pub fn need(method: Method, path: &str) -> Option<Need> {
    use Method::{Get, Post};
    use Need::{Open, To};
    use Shows::{Board, Creator, Feed, Own, OwnRig, Whole};
    Some(match (method, path) {
        (Get, "/healthz" | "/readyz" | "/openapi.json" | "/") => Open,
        // Read and forgotten.
        (Post, "/healthz") => Open,
        // Signed by the provider.
        (Post, "/v1/webhooks/{provider}") => Open,
        // The code is proved in the body.
        (Post, "/v1/enrol") => Open,
        (Get | Post, "/v1/rigs")
        | (Post, "/v1/rigs/{rig}/revocation" | "/v1/rigs/{rig}/acceptance") => {
            To(Action::RigEnrol, Whole)
        }
        // The pass is in the body.
        (Get | Post, "/v1/session") => Open,
        (Post, "/v1/events" | "/v1/traces" | "/v1/logs" | "/v1/metrics") => {
            To(Action::Ingest, OwnRig)
        }
        (Post, "/v1/records" | "/v1/cells") => To(Action::Ingest, OwnRig),
        (Post, "/v1/audit/peer") => To(Action::Ingest, OwnRig),
        (Get, "/v1/status" | "/v1/preflight" | "/metrics" | "/v1/popups/{popup}/cells") => {
            To(Action::ViewRig, Whole)
        }
        (Get, "/v1/popups/{popup}/rigs") => To(Action::ViewRig, Whole),
        (Get, "/v1/popups") => To(Action::ViewBoard, Own),
        (Get, "/v1/popups/{popup}/leaderboards/{kind}" | "/v1/popups/{popup}/inventory") => {
            To(Action::ViewBoard, Board)
        }
        (
            Get,
            "/v1/popups/{popup}/summary"
            | "/v1/popups/{popup}/series"
            | "/v1/popups/{popup}/slo"
            | "/v1/popups/{popup}/signals",
        ) => To(Action::ViewSummary, Whole),
        (Get, "/v1/popups/{popup}/stream") => To(Action::ViewSummary, Feed),
        (
            Get,
            "/v1/popups/{popup}/books"
            | "/v1/popups/{popup}/breaks"
            | "/v1/popups/{popup}/reconciliation"
            | "/v1/popups/{popup}/close",
        ) => To(Action::Books, Whole),
        (Get, "/v1/popups/{popup}/statements/{creator}") => To(Action::Books, Creator),
        (Post, "/v1/popups/{popup}/close" | "/v1/popups/{popup}/decisions") => {
            To(Action::PopupClose, Whole)
        }
        (Post, "/v1/popups/{popup}/settlements") => To(Action::Settlements, Whole),
        (Post, "/v1/popups/{popup}/counts") => To(Action::Counts, Whole),
        (Post, "/v1/popups/{popup}/raw") => To(Action::RawRead, Own),
        (Post, "/v1/policies") => To(Action::PolicyPropose, Whole),
        (Get, "/v1/popups/{popup}/policy") | (Post, "/v1/popups/{popup}/leases") => {
            To(Action::PolicyRead, Whole)
        }
        (Get, "/v1/popups/{popup}/access-log") => To(Action::AuditRead, Own),
        (Get, "/v1/audit" | "/v1/audit/peers") => To(Action::AuditRead, Whole),
        (Get, "/v1/audit/{number}/proof") => To(Action::AuditRead, Own),
        // Heads hold hashes alone, and whoever keeps one keeps us honest.
        (Get, "/audit/checkpoint") => Open,
        (Get, "/audit/tile/{tile}") => To(Action::AuditRead, Whole),
        (Get | Post, _) => return None,
    })
}

/// Whether peers of one organisation speak on it with each other.
#[must_use]
pub fn is_lane(route: &Route) -> bool {
    matches!(
        (route.method, route.path),
        (Method::Post, "/v1/records" | "/v1/cells" | "/v1/audit/peer")
    )
}

/// Whether members of the organisation may ask it by their key alone.
#[must_use]
pub fn is_for_members(route: &Route) -> bool {
    matches!(
        (route.method, route.path),
        (Method::Get, "/v1/popups/{popup}/policy") | (Method::Post, "/v1/popups/{popup}/leases")
    )
}

/// A route that a path is of, and what stands in its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The route.
    pub route: &'static Route,
    /// What stands for the popup.
    pub popup: Option<&'a str>,
    /// What stands for the creator.
    pub creator: Option<&'a str>,
}

/// The route that a request is of, whoever serves it: what a path asks is the same everywhere.
#[must_use]
pub fn find(method: Method, path: &str) -> Option<Found<'_>> {
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| matched(route, path))
}

fn matched<'a>(route: &'static Route, path: &'a str) -> Option<Found<'a>> {
    let mut found = Found {
        route,
        popup: None,
        creator: None,
    };
    // A tile's path has slashes of its own.
    if let Some(start) = route.path.strip_suffix("{tile}") {
        return path.starts_with(start).then_some(found);
    }
    let mut parts = path.split('/');
    for pattern in route.path.split('/') {
        let part = parts.next()?;
        match pattern {
            "{popup}" => found.popup = Some(part),
            "{creator}" => found.creator = Some(part),
            named if named.starts_with('{') => {}
            fixed if fixed == part => {}
            _other => return None,
        }
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_says_what_it_asks() {
        for route in ROUTES {
            let need = need(route.method, route.path);
            assert!(need.is_some(), "{:?} {}", route.method, route.path);
        }
    }

    #[test]
    fn a_path_finds_its_route() {
        let of = |path| find(Method::Get, path);
        let found = of("/v1/popups/fri/statements/ana").unwrap();
        assert_eq!((found.popup, found.creator), (Some("fri"), Some("ana")));
        assert_eq!(
            of("/audit/tile/0/000.p/7").unwrap().route.path,
            "/audit/tile/{tile}"
        );
        assert_eq!(of("/v1/popups/fri/statements"), None);
        assert_eq!(of("/v1/popups/fri/books/"), None);
        assert_eq!(of("/V1/audit"), None);
        assert_eq!(find(Method::Post, "/v1/audit"), None);
    }
}
