//! Bytes to values and back at every border.

pub mod answer_v1;
pub mod lanes;
pub mod sales_file;
