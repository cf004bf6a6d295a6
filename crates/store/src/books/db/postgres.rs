//! PostgreSQL: one connection to a server, rows kept back and written as arrays.
