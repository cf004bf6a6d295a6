//! Bytes to values and back at every border.
//!
//! [`door`] is the one way in: decode, check, redact, encode, second look. Everything here is pure:
//! no file, network or clock; every decoder bounds what it inflates, nests and counts before it
//! allocates, and no error repeats a value it read.

pub mod alertmanager;
pub mod answer_v1;
pub mod audit;
pub mod books_v1;
pub mod client_loss;
pub mod close;
pub mod cloudevents;
pub mod count_sheet;
pub mod door;
pub mod enrol;
pub mod event_v1;
pub mod exposition;
pub mod feed_v1;
mod inflate;
pub mod json;
pub mod keyring;
pub mod lanes;
pub mod lease;
pub mod note;
pub mod openslo;
pub mod otlp;
pub mod outbox;
pub mod pass;
pub mod policy;
pub mod problem;
pub mod provider;
pub mod raw;
pub mod routes;
pub mod sales_file;
pub mod schema;
pub mod settlement;
pub mod verdict;
