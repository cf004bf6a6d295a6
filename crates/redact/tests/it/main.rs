//! Detectors against published numbers and addresses, real rows and generated look-alikes.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod contacts;
mod detectors;
mod events;
