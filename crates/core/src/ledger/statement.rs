//! Statements: what a creator earned, as a fold over entries.
