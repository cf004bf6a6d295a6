//! placeholder
pub mod lanes;
pub mod sales_file;
