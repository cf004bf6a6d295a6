//! `GET /readyz`: whether a role can do its work.

use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Nothing fails.
    pub ready: bool,
    /// What fails.
    pub failing: Vec<Failing>,
}

/// One thing that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// `journal`, `disk` or `fold`.
    pub check: String,
    /// What is seen, for a person.
    pub detail: String,
}
