//! Bytes to values and back at every border.
//!
//! Every decoder is bounded by [`popwatch_core::limits`] before it allocates and answers hostile
//! bytes with a typed fault, never a panic.

pub mod answer_v1;
pub mod exposition;
pub mod lanes;
pub mod moment;
pub mod sales_file;
