//! SQL as PostgreSQL wants it. It is written as SQLite reads it; what both read stays as it is.

use super::{Insert, Kind};

/// A statement with its values as `$1` instead of `?1`.
pub(in crate::books) fn statement(sql: &str) -> String {
    sql.replace('?', "$")
}

/// The statement of [`super::Db::known`] for all keys at once.
pub(super) fn any(sql: &str) -> String {
    statement(&sql.replace("= ?1", "= ANY(?1)"))
}

/// A schema step: the types and literals of PostgreSQL, no options of SQLite's tables. Texts are
/// compared byte by byte, as SQLite does.
pub(in crate::books) fn schema(sql: &str) -> String {
    [
        (") STRICT, WITHOUT ROWID", ")"),
        (") STRICT", ")"),
        (" WITHOUT ROWID", ""),
        (" BLOB", " BYTEA"),
        (" INTEGER", " BIGINT"),
        (" TEXT", " TEXT COLLATE \"C\""),
        ("x'", "'\\x"),
    ]
    .into_iter()
    .fold(sql.to_string(), |sql, (from, to)| sql.replace(from, to))
}

/// The insert of one row as an insert of many, whose values come as one array per column.
pub(super) fn arrays(into: &Insert) -> String {
    let (head, rest) = into.sql.split_once("VALUES").unwrap_or((into.sql, ""));
    let tail = rest.split_once(')').map_or("", |(_, tail)| tail);
    let columns: Vec<String> = (1..)
        .zip(into.kinds)
        .map(|(number, kind)| format!("${number}::{}[]", type_name(*kind)))
        .collect();
    format!("{head}SELECT * FROM unnest({}){tail}", columns.join(", "))
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Text => "text",
        Kind::Blob => "bytea",
    }
}

/// Whether a statement names a table.
pub(super) fn names(sql: &str, table: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    sql.match_indices(table).any(|(at, _)| {
        let bytes = sql.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + table.len());
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_as_a_whole_word() {
        assert!(names("SELECT 1 FROM facts f", "facts"));
        assert!(names("INSERT INTO facts(a)", "facts"));
        assert!(!names("SELECT facts_n FROM old_facts", "facts"));
    }

    #[test]
    fn one_row_becomes_arrays() {
        let into = Insert {
            table: "t",
            kinds: &[Kind::Int, Kind::Blob],
            key: 1,
            sql: "INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT (a) DO NOTHING",
        };
        assert_eq!(
            arrays(&into),
            "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::bytea[]) \
             ON CONFLICT (a) DO NOTHING"
        );
    }

    #[test]
    fn a_schema_step_has_the_types_of_the_server() {
        let step =
            "CREATE TABLE t (\n  n INTEGER PRIMARY KEY, a TEXT, b BLOB\n) STRICT, WITHOUT ROWID;";
        assert_eq!(
            schema(step),
            "CREATE TABLE t (\n  n BIGINT PRIMARY KEY, a TEXT COLLATE \"C\", b BYTEA\n);"
        );
        assert_eq!(schema("VALUES (x'00', x'')"), "VALUES ('\\x00', '\\x')");
    }
}
