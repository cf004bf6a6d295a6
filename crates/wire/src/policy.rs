//! Policy documents: YAML to a checked [`Policy`] with the line of every mistake, its one canonical
//! form, and its JSON Schema.
//!
//! ```text
//! YAML ──► tree with places ──► Policy (core)          line, column, path, what is wrong
//!               └──► canonical JSON (RFC 8785) ──► SHA-256: what is signed and what rigs read
//! ```
//!
//! What always holds: a [`Document`] is lawful: no unknown key, nothing below the built-in floor, head
//! and window in order. A fault names place, path and rule, never a value.

pub mod bundle;
pub mod commerce;
mod cursor;
pub mod plan;
pub mod promises;
mod read;
mod rules;
pub mod schema;
pub mod self_test;
pub mod shelf;
#[cfg(test)]
mod tests;
mod tree;

use popwatch_core::code::Code;
use popwatch_core::ledger::close::Value;
use popwatch_core::policy::{Digest, Policy};
use popwatch_core::slo::promises::PromiseFault;
use serde_json::Value as Json;

pub use tree::Place;

/// First field of every document.
pub const API: &str = "popwatch/policy/v1";

/// The built-in policy as a document, with comments: what `policy show` prints to begin with.
pub const BUILT_IN: &str = include_str!("policy/built_in.yaml");

/// A lawful document with its canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it says.
    pub policy: Policy,
    /// The form that is signed.
    pub canonical: Value,
}

/// Why a document is not taken: where, which coordinate, which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// PW0601 where it cannot be read, PW0602 where it is below the floor.
    pub code: Code,
    /// Where; zeros for a document that came as canonical JSON.
    pub at: Place,
    /// Which coordinate or key; empty for the document as a whole.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl PolicyFault {
    fn unreadable(at: Place, path: &str, what: impl Into<String>) -> Self {
        Self {
            code: Code::PolicyUnreadable,
            at,
            path: path.to_owned(),
            what: what.into(),
        }
    }

    fn below(at: Place, path: &str, floor: impl Into<String>) -> Self {
        let floor: String = floor.into();
        Self {
            code: Code::PolicyBelowFloor,
            at,
            path: path.to_owned(),
            what: format!("is looser than any policy may be; the floor is {floor}"),
        }
    }
}

impl std::error::Error for PolicyFault {}

impl std::fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at.line > 0 {
            write!(f, "line {}, column {}: ", self.at.line, self.at.column)?;
        }
        match self.path.as_str() {
            "" => f.write_str(&self.what),
            path => write!(f, "{path}: {}", self.what),
        }
    }
}

/// What a section says that cannot be kept, wherever it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectionFault {
    /// A value outside its rule.
    #[error("{field} {problem}")]
    Field {
        /// Which, by its path in the section.
        field: String,
        /// The rule.
        problem: String,
    },
    /// A promise that nobody can keep.
    #[error(transparent)]
    Promise(PromiseFault),
}

impl SectionFault {
    fn field(field: &str, problem: String) -> Self {
        Self::Field {
            field: field.to_owned(),
            problem,
        }
    }

    /// The same, said of a document.
    fn at<T>(&self, of: &cursor::Cursor<'_>) -> cursor::Read<T> {
        match self {
            Self::Field { field, problem } => {
                let path = format!("{}.{field}", of.path);
                Err(PolicyFault::unreadable(of.node.at, &path, problem))
            }
            Self::Promise(fault) => of.refuse(fault.to_string()),
        }
    }
}

impl Document {
    /// Reads a document as people write it.
    pub fn from_yaml(text: &str) -> Result<Self, PolicyFault> {
        Self::of(&tree::yaml(text)?)
    }

    /// Reads a document as it travels.
    pub fn from_json(json: &Json) -> Result<Self, PolicyFault> {
        Self::of(&tree::json(json, 1)?)
    }

    fn of(root: &tree::Node) -> Result<Self, PolicyFault> {
        let canonical = root.value();
        let digest = Digest(canonical.digest());
        let policy = read::policy(root, digest)?;
        Ok(Self { policy, canonical })
    }
}

/// The digest of a document that came as JSON, whatever it says; `None` for what no document can be.
#[must_use]
pub fn digest_of(json: &Json) -> Option<Digest> {
    let tree = tree::json(json, 1).ok()?;
    Some(Digest(tree.value().digest()))
}
