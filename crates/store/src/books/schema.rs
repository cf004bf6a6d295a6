//! The database's schema: numbered steps, forward only, each in one transaction, each remembered
//! with its checksum.
//!
//! A database that knows a step this binary does not was written by a newer popwatch: it is left
//! untouched (PW0341).

use super::BooksFault;
use super::db::{Db, DbFault, values};

/// All steps, ascending; a released one is never edited.
const STEPS: &[(i64, &str)] = &[
    (1, include_str!("migrations/0001_books.sql")),
    (2, include_str!("migrations/0002_resent.sql")),
    (3, include_str!("migrations/0003_forks.sql")),
    (4, include_str!("migrations/0004_groups.sql")),
    (5, include_str!("migrations/0005_members.sql")),
];

/// Brings a database to the newest step. A file that holds books is copied first.
pub(super) fn migrate(db: &Db) -> Result<(), BooksFault> {
    let newest = STEPS.last().map_or(0, |(number, _)| *number);
    let known = db
        .has_table("schema_version")
        .map_err(BooksFault::sql("look for the schema"))?;
    let applied: Vec<(i64, Vec<u8>)> = match known {
        false => Vec::new(),
        true => read_steps(db)?,
    };
    if let Some((found, _)) = applied.last().filter(|(number, _)| *number > newest) {
        return Err(BooksFault::SchemaNewer {
            found: *found,
            known: newest,
        });
    }
    for (number, sum) in &applied {
        let step = STEPS.iter().find(|(known, _)| known == number);
        if step.is_none_or(|(_, sql)| checksum(sql) != sum[..]) {
            return Err(BooksFault::SchemaForeign { step: *number });
        }
    }
    let done = applied.last().map_or(0, |(number, _)| *number);
    if done > 0 && done < newest {
        db.copy_aside(&format!("before-step-{}", done + 1))
            .map_err(BooksFault::sql("copy itself before a new schema"))?;
    }
    for (number, sql) in STEPS.iter().filter(|(number, _)| *number > done) {
        apply(db, *number, sql).map_err(BooksFault::sql("bring the schema up to date"))?;
    }
    Ok(())
}

fn read_steps(db: &Db) -> Result<Vec<(i64, Vec<u8>)>, BooksFault> {
    db.rows(
        "SELECT number, checksum FROM schema_version ORDER BY number",
        values![],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .map_err(BooksFault::sql("read the schema's version"))
}

fn apply(db: &Db, number: i64, sql: &str) -> Result<(), DbFault> {
    let step = db.begin()?;
    db.script(
        "CREATE TABLE IF NOT EXISTS schema_version (
           number INTEGER PRIMARY KEY, checksum BLOB NOT NULL
         ) STRICT",
    )?;
    db.script(sql)?;
    db.run(
        "INSERT INTO schema_version (number, checksum) VALUES (?1, ?2)",
        values![number, checksum(sql)],
    )?;
    step.commit()
}

fn checksum(sql: &str) -> [u8; 32] {
    *blake3::hash(sql.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_left_alone() {
        let db = Db::open_memory().unwrap();
        migrate(&db).unwrap();
        migrate(&db).unwrap();
        db.script("INSERT INTO schema_version VALUES (99, x'00')")
            .unwrap();
        let fault = migrate(&db).unwrap_err();
        assert!(matches!(
            fault,
            BooksFault::SchemaNewer {
                found: 99,
                known: 5
            }
        ));
    }

    #[test]
    fn an_edited_step_is_noticed() {
        let db = Db::open_memory().unwrap();
        migrate(&db).unwrap();
        db.script("UPDATE schema_version SET checksum = x'00'")
            .unwrap();
        assert!(matches!(
            migrate(&db),
            Err(BooksFault::SchemaForeign { step: 1 })
        ));
    }
}
