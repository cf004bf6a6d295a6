//! Bytes to values and back at every border.

pub mod answer_v1;
