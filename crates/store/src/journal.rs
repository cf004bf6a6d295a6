//! x
pub mod footer;
pub mod format;
pub mod keys;
pub mod scan;
pub mod totals;
