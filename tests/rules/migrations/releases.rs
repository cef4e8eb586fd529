//! The code of before on the schema of now: each of its statements is prepared there, and takes and gives what it did. And
//! the other way round, which nobody is promised: what of the code of now the schema of before doesn't know.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use local_cloud::backends::Postgres;
use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::{
    AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, SqlSafeStr, Statement, TypeInfo,
};

use crate::folder;

/// A statement of a release: its text, and the names and types that it takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    sql: String,
    takes: Vec<String>,
    gives: Vec<(String, String)>,
}

fn git(arguments: &[&str]) -> Option<Vec<u8>> {
    let root = folder().join("../..");
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// The commit before the newest one that has changed the schema.
fn before() -> Option<String> {
    let newest = git(&["log", "-n1", "--format=%H", "--", "infra/migrations"])?;
    let newest = String::from_utf8(newest).ok()?.trim().to_owned();
    let before = String::from_utf8(git(&["rev-parse", &format!("{newest}^")])?).ok()?;
    Some(before.trim().to_owned())
}

/// The folders of a commit, in a folder.
fn unpack(commit: &str, to: &Path) {
    let packed =
        git(&["archive", "--format=tar", commit, ".sqlx", "infra/migrations"]).expect("git packs the commit");
    let file = to.join("packed.tar");
    std::fs::write(&file, packed).expect("a folder for it");
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&file)
        .arg("-C")
        .arg(to)
        .status();
    assert!(
        unpacked.is_ok_and(|status| status.success()),
        "tar unpacks the commit"
    );
}

/// The statements of a folder `.sqlx`.
fn statements(folder: &Path) -> Vec<Known> {
    let files = std::fs::read_dir(folder.join(".sqlx")).expect("the statements of the code");
    let read = files.map(|file| {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a statement is text");
        let known: Value = serde_json::from_str(&text).expect("a statement is JSON");
        let described = &known["describe"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Known {
            sql: known["query"].as_str().unwrap_or_default().to_owned(),
            takes: list(&described["parameters"]["Left"])
                .iter()
                .map(type_name)
                .collect(),
            gives: list(&described["columns"])
                .iter()
                .map(|column| {
                    (
                        column["name"].as_str().unwrap_or_default().to_owned(),
                        type_name(&column["type_info"]),
                    )
                })
                .collect(),
        }
    });
    read.collect()
}

/// A type as PostgreSQL names it, from the name that the macros have for it.
fn type_name(described: &Value) -> String {
    let name = described.as_str().unwrap_or("another");
    let (element, array) = name
        .strip_suffix("Array")
        .map_or((name, ""), |element| (element, "[]"));
    let element = if element == "Bpchar" { "char" } else { element };
    format!("{}{array}", element.to_uppercase())
}

/// The statements that a database doesn't take, or that take or give something else there.
async fn misfits(connection: &mut PgConnection, statements: &[Known]) -> BTreeMap<String, String> {
    let mut misfits = BTreeMap::new();
    for known in statements {
        let sql = AssertSqlSafe(known.sql.clone()).into_sql_str();
        let misfit = match connection.prepare(sql).await {
            Err(error) => Some(error.to_string()),
            Ok(prepared) => {
                let takes = match prepared.parameters() {
                    Some(Either::Left(types)) => types.iter().map(|one| one.name().to_owned()).collect(),
                    _ => Vec::new(),
                };
                let columns = prepared.columns().iter();
                let gives: Vec<(String, String)> = columns
                    .map(|column| (column.name().to_owned(), column.type_info().name().to_owned()))
                    .collect();
                let differs = takes != known.takes || gives != known.gives;
                differs.then(|| {
                    format!(
                        "{takes:?} and {gives:?} instead of {:?} and {:?}",
                        known.takes, known.gives
                    )
                })
            }
        };
        misfits.extend(misfit.map(|misfit| (known.sql.clone(), misfit)));
    }
    misfits
}

async fn migrated(state: &Path, migrations: &Path) -> (Postgres, PgConnection) {
    let postgres = Postgres::start(state).await.expect("PostgreSQL starts");
    let mut connection = PgConnection::connect(postgres.url())
        .await
        .expect("PostgreSQL answers");
    let migrator = Migrator::new(migrations.to_owned())
        .await
        .expect("the migrations are read");
    migrator
        .run(&mut connection)
        .await
        .expect("the migrations can be applied");
    (postgres, connection)
}

#[tokio::test]
async fn code_of_before_works_with_the_schema_of_now() {
    let Some(commit) = before() else {
        println!("not tried: this is no clone with the history of the migrations");
        return;
    };
    let [old, state, old_state] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    unpack(&commit, old.path());
    let (code_of_before, code_of_now) = (statements(old.path()), statements(&folder().join("../..")));
    assert!(
        code_of_before.len() > 300,
        "only {} statements",
        code_of_before.len()
    );

    let (postgres, mut connection) = migrated(state.path(), &folder()).await;
    let none = misfits(&mut connection, &code_of_before).await;
    assert!(
        none.is_empty(),
        "the code of {commit} fails with the schema of now: {none:#?}"
    );
    // What doesn't fit is seen.
    connection
        .execute("ALTER TABLE invoices RENAME COLUMN due_date TO due")
        .await
        .expect("the owner may");
    connection
        .execute("ALTER TABLE wallets ALTER COLUMN balance TYPE NUMERIC")
        .await
        .expect("the owner may");
    let seen = misfits(&mut connection, &code_of_before).await;
    assert!(
        seen.values().any(|misfit| misfit.contains("due_date")),
        "{seen:#?}"
    );
    assert!(
        seen.values().any(|misfit| misfit.contains("NUMERIC")),
        "{seen:#?}"
    );
    drop(connection);
    postgres.stop().await.expect("PostgreSQL stops");

    let (postgres, mut connection) = migrated(old_state.path(), &old.path().join("infra/migrations")).await;
    let none = misfits(&mut connection, &code_of_before).await;
    assert!(
        none.is_empty(),
        "the code of {commit} fails with its own schema: {none:#?}"
    );
    let missing = misfits(&mut connection, &code_of_now).await;
    println!(
        "{} statements of {commit} fit the schema of now; of {} of now, {} need it",
        code_of_before.len(),
        code_of_now.len(),
        missing.len()
    );
    drop(connection);
    postgres.stop().await.expect("PostgreSQL stops");
}
