//! The answer of `POST /v1/events`: a verdict per event, in the order they came.

use popwatch_core::code::Code;
use serde::{Deserialize, Serialize};

/// Why one event was refused. Never carries a value of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventProblem {
    /// The stable code.
    pub code: Code,
    /// Which attribute or field, such as `data.lines[2].qty`.
    pub field: Option<String>,
    /// What is wrong and what to do, in plain words.
    pub detail: String,
}

impl EventProblem {
    /// A problem with a field.
    #[must_use]
    pub fn of(code: Code, field: &str, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: Some(field.to_owned()),
            detail: detail.into(),
        }
    }

    /// A problem with the event as a whole.
    #[must_use]
    pub fn whole(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            detail: detail.into(),
        }
    }
}

/// The body of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The rig that answers.
    pub rig: String,
    /// Its epoch.
    pub epoch: u32,
    /// Records up to here are safe on this till.
    pub durable_seq: u64,
    /// One per event, in the order they came.
    pub results: Vec<Verdict>,
}

/// The verdict of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The event's id as it came; absent where none could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Its epoch where that is not the answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Its seq, of a duplicate the first one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// It came after its popup was closed: kept and shipped, not in the live view.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Kept, safe on this till.
    Accepted,
    /// The same event was kept before.
    Duplicate,
    /// Not kept.
    Rejected,
}

/// Why an event was refused, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code, such as `PW0103`.
    pub code: String,
    /// Which attribute or field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Verdict {
    /// Kept at a seq of the answer's epoch.
    #[must_use]
    pub const fn accepted(id: String, seq: u64) -> Self {
        Self::kept(id, Status::Accepted, None, seq)
    }

    /// Kept before, at a seq of `epoch` (none: the answer's).
    #[must_use]
    pub const fn duplicate(id: String, epoch: Option<u32>, seq: u64) -> Self {
        Self::kept(id, Status::Duplicate, epoch, seq)
    }

    const fn kept(id: String, status: Status, epoch: Option<u32>, seq: u64) -> Self {
        Self {
            id: Some(id),
            status,
            epoch,
            seq: Some(seq),
            late: false,
            error: None,
        }
    }

    /// Refused.
    #[must_use]
    pub fn rejected(id: Option<String>, problem: &EventProblem) -> Self {
        Self {
            id,
            status: Status::Rejected,
            epoch: None,
            seq: None,
            late: false,
            error: Some(ErrorBody {
                code: problem.code.to_string(),
                field: problem.field.clone(),
                detail: problem.detail.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_shape_that_clients_know() {
        let problem = EventProblem::of(Code::DataInvalid, "data.amount", "is missing");
        let answer = Answer {
            rig: "till-1".into(),
            epoch: 3,
            durable_seq: 1842,
            results: vec![
                Verdict::accepted("a".into(), 1841),
                Verdict::duplicate("b".into(), None, 97),
                Verdict::rejected(Some("c".into()), &problem),
            ],
        };
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            json,
            r#"{"rig":"till-1","epoch":3,"durable_seq":1842,"results":[{"id":"a","status":"accepted","seq":1841},{"id":"b","status":"duplicate","seq":97},{"id":"c","status":"rejected","error":{"code":"PW0103","field":"data.amount","detail":"is missing"}}]}"#
        );
        assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), answer);
    }
}
