//! Layouts, goldens and hostile bytes.
