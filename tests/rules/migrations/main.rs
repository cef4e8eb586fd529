//! Migrations work while the release before them runs: no statement holds a large table for long, and this is measured.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it can't read"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, and positions are found before"
)]

mod locks;
mod releases;
mod statements;

use std::path::{Path, PathBuf};

use statements::{Statement, hazards};

/// The newest migration of before this rule; those stay as they are.
const NEWEST_BEFORE_THE_RULE: i64 = 57;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/migrations")
}

/// Every migration with its number, in order.
fn migrations() -> Vec<(i64, PathBuf)> {
    let files = std::fs::read_dir(folder()).expect("infra/migrations can be read");
    let mut found: Vec<(i64, PathBuf)> = files
        .map(|file| file.expect("a file of the folder").path())
        .map(|path| (number_of(&path), path))
        .collect();
    found.sort();
    found
}

fn number_of(path: &Path) -> i64 {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let number = name.split_once('_').and_then(|(number, _)| number.parse().ok());
    number.unwrap_or_else(|| panic!("{name} has to be named NUMBER_what_it_does.sql"))
}

#[test]
fn new_migration_holds_no_existing_table_for_long() {
    let mut wrong = Vec::new();
    for (number, path) in migrations() {
        if number <= NEWEST_BEFORE_THE_RULE {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a migration is text");
        let found = hazards(&text).into_iter();
        wrong.extend(found.map(|hazard| format!("{}: {hazard}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn migrations_have_one_number_each() {
    let numbers: Vec<i64> = migrations().into_iter().map(|(number, _)| number).collect();
    assert!(
        numbers.is_sorted_by(|before, after| before < after),
        "{numbers:?}"
    );
}

#[test]
fn statements_are_read_to_their_ends() {
    let text = "-- one; no\nCREATE TABLE a (b TEXT DEFAULT ';'); /* two; */ CREATE FUNCTION f() AS $$ SELECT 1; SELECT 2 $$;\nDROP TABLE c";
    let read: Vec<String> = Statement::all(text)
        .into_iter()
        .map(|one| one.words.join(" "))
        .collect();
    assert_eq!(
        read,
        [
            "CREATE TABLE A ( B TEXT DEFAULT ';' )",
            "CREATE FUNCTION F ( ) AS $$ SELECT 1; SELECT 2 $$",
            "DROP TABLE C"
        ]
    );
}

#[test]
fn what_holds_a_table_is_known() {
    for (sql, part) in [
        ("CREATE INDEX i ON t (a);", "CONCURRENTLY"),
        ("CREATE UNIQUE INDEX i ON t (a);", "CONCURRENTLY"),
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "no-transaction"),
        ("DROP INDEX i;", "CONCURRENTLY"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);", "NOT VALID"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u;", "NOT VALID"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a);", "USING INDEX"),
        ("ALTER TABLE t ADD PRIMARY KEY (a);", "USING INDEX"),
        ("ALTER TABLE t ALTER COLUMN a TYPE BIGINT;", "TYPE"),
        ("ALTER TABLE t ALTER a SET NOT NULL;", "SET NOT NULL"),
        ("ALTER TABLE t ADD COLUMN a INT REFERENCES u;", "REFERENCES"),
        (
            "ALTER TABLE t ADD COLUMN a UUID DEFAULT gen_random_uuid();",
            "constant",
        ),
        (
            "ALTER TABLE t ADD COLUMN a BIGINT GENERATED ALWAYS AS IDENTITY;",
            "GENERATED",
        ),
        ("ALTER TABLE t ADD COLUMN a INT NOT NULL;", "DEFAULT"),
        ("ALTER TABLE t ADD COLUMN a INT CHECK (a > 0);", "CHECK"),
        ("ALTER TABLE t DROP COLUMN a;", "contract"),
        ("ALTER TABLE t RENAME COLUMN a TO b;", "contract"),
        ("DROP TABLE t;", "contract"),
        ("UPDATE t SET a = 1;", "portions"),
        ("DELETE FROM t;", "portions"),
        ("LOCK TABLE t;", "LOCK"),
        ("CLUSTER t;", "CLUSTER"),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c;",
            "migration of its own",
        ),
    ] {
        let found = hazards(sql);
        assert!(
            found.iter().any(|hazard| hazard.contains(part)),
            "{sql}: {found:?}"
        );
    }
}

#[test]
fn what_holds_no_table_passes() {
    for sql in [
        "CREATE TABLE t (a INT PRIMARY KEY); CREATE INDEX i ON t (a); ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0); UPDATE t SET a = 1;",
        "CREATE TABLE IF NOT EXISTS t (a INT); CREATE INDEX i ON t USING brin (a);",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
        "-- no-transaction\nDROP INDEX CONCURRENTLY i;",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;",
        "ALTER TABLE t VALIDATE CONSTRAINT c;",
        "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i;",
        "ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b TEXT NOT NULL DEFAULT 'x', ADD COLUMN c TIMESTAMPTZ NOT NULL DEFAULT now();",
        "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ALTER COLUMN a DROP NOT NULL; ALTER TABLE t ALTER a SET DEFAULT 1;",
        "CREATE OR REPLACE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ UPDATE t SET a = 1 RETURNING a $$;",
        "-- contract: nothing reads it since 0.4\nALTER TABLE t DROP COLUMN a;",
        "COMMENT ON TABLE t IS 'x; DROP TABLE t'; CREATE VIEW v AS SELECT 1; INSERT INTO t VALUES (1);",
    ] {
        assert_eq!(hazards(sql), Vec::<String>::new(), "{sql}");
    }
}
