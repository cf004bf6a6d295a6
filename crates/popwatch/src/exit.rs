//! The four exit statuses, and which one an error means.

use popwatch_core::code::Code;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It could not be done.
    Failed = 1,
    /// Wrong usage, or input that cannot be read.
    Misused = 2,
    /// Done, and the answer is no: events rejected, gaps or breaks found.
    No = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that is the caller's: status 2. Says what is wrong, on what, and the next step.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Misuse {
    code: Code,
    message: String,
}

impl Misuse {
    /// A wrong argument.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self {
            code: Code::ArgumentInvalid,
            message: message.into(),
        }
    }

    /// Input that cannot be read.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self {
            code: Code::InputUnreadable,
            message: message.into(),
        }
    }
}

/// The status an error ends the process with.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<Misuse>()) {
        Exit::Misused
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn misuse_is_found_under_its_context() {
        let error = anyhow::Error::from(Misuse::input("a.csv is empty"));
        assert_eq!(error.to_string(), "PW1102: a.csv is empty");
        let wrapped: anyhow::Result<()> = Err(error).context("cannot replay");
        assert_eq!(of(&wrapped.unwrap_err()), Exit::Misused);
        assert_eq!(of(&anyhow::anyhow!("the edge is gone")), Exit::Failed);
    }
}
