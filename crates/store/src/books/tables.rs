//! The tables that take rows with every event: how a row of each is inserted.
//!
//! One way into each table, so that rows of one table are written in the order in which they came.

use super::db::{Insert, Kind};

/// A record at its position, which held none.
pub(super) static RECORDS: Insert = Insert {
    table: "records",
    kinds: &[
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Blob,
        Kind::Blob,
    ],
    key: 0,
    sql: "INSERT INTO records (rig, epoch, seq, class, book, fact_id, bytes)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
};

/// A fact as one record states it.
pub(super) static FACTS: Insert = Insert {
    table: "facts",
    kinds: &[
        Kind::Blob,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Blob,
        Kind::Blob,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
    ],
    key: 0,
    sql: "INSERT INTO facts (fact_id, rig, epoch, seq, book, kind, event, content, state,
            occurred_ms, recorded_ms, currency, amount)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
};

/// An entry or its reversal, under a number of our own making.
pub(super) static ENTRIES: Insert = Insert {
    table: "entries",
    kinds: &[
        Kind::Int,
        Kind::Text,
        Kind::Blob,
        Kind::Blob,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Blob,
    ],
    key: 0,
    sql: "INSERT INTO entries (n, book, entry_id, fact_id, rule, reverses, correction, live,
            occurred_ms, recorded_ms, legs)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
};

/// What a fact says of a SKU; said again, it replaces what was said.
pub(super) static STOCK_LINES: Insert = Insert {
    table: "stock_lines",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Blob,
        Kind::Text,
        Kind::Int,
        Kind::Int,
    ],
    key: 4,
    sql: "INSERT INTO stock_lines (book, sku, kind, fact_id, place, occurred_ms, units)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
          ON CONFLICT (book, sku, kind, fact_id) DO UPDATE SET place = excluded.place,
            occurred_ms = excluded.occurred_ms, units = excluded.units",
};

/// Which group a fact belongs to.
pub(super) static GROUP_MEMBERS: Insert = Insert {
    table: "group_members",
    kinds: &[Kind::Int, Kind::Blob, Kind::Int, Kind::Blob],
    key: 4,
    sql: "INSERT INTO group_members (kind, hash, idle, fact_id) VALUES (?1, ?2, ?3, ?4)
          ON CONFLICT DO NOTHING",
};

/// What a group stands for.
pub(super) static GROUP_STATES: Insert = Insert {
    table: "group_states",
    kinds: &[Kind::Int, Kind::Blob, Kind::Int, Kind::Blob],
    key: 2,
    sql: "INSERT INTO group_states (kind, hash, due_ms, causes) VALUES (?1, ?2, ?3, ?4)
          ON CONFLICT (kind, hash) DO UPDATE SET
            due_ms = excluded.due_ms, causes = excluded.causes",
};

/// Which group asked about something that is no fact.
pub(super) static GROUP_ASKS: Insert = Insert {
    table: "group_asks",
    kinds: &[Kind::Text, Kind::Int, Kind::Blob],
    key: 3,
    sql: "INSERT INTO group_asks (topic, kind, hash) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
};

/// A claim that waits for its reconciliation.
pub(super) static OPEN_CLAIMS: Insert = Insert {
    table: "open_claims",
    kinds: &[Kind::Text, Kind::Int, Kind::Int, Kind::Blob],
    key: 3,
    sql: "INSERT INTO open_claims (rig, epoch, seq, fact_id) VALUES (?1, ?2, ?3, ?4)
          ON CONFLICT DO NOTHING",
};

/// What a batch adds to an account.
pub(super) static BALANCES: Insert = Insert {
    table: "balances",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Int],
    key: 3,
    sql: "INSERT INTO balances (book, commodity, account, debit, credit)
          VALUES (?1, ?2, ?3, ?4, ?5)
          ON CONFLICT (book, commodity, account) DO UPDATE SET
            debit = balances.debit + excluded.debit, credit = balances.credit + excluded.credit",
};
