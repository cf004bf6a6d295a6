//! SQL as PostgreSQL wants it.
