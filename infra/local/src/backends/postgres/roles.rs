//! The roles of the database: its owner, who migrates it, and those as whom the functions of each area sign in.

use std::collections::BTreeSet;

use anyhow::ensure;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::{ROLE, options, scram};

/// The database and its owner. The owner makes roles as it does on AWS, and is no superuser.
pub(super) async fn create_database(superuser_url: &str, password: &str) -> anyhow::Result<()> {
    let mut connection = options(superuser_url)?.connect().await?;
    create_role(&mut connection, ROLE).await?;
    // A statement that defines a role takes no parameters; there is nothing to quote in a verifier.
    let verifier = scram::verifier(password)?;
    let owner = format!("alter role {ROLE} login createrole password '{verifier}'");
    sqlx::query(AssertSqlSafe(owner)).execute(&mut connection).await?;
    let database: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = 'moneta')")
            .fetch_one(&mut connection)
            .await?;
    if !database {
        sqlx::query("create database moneta owner moneta")
            .execute(&mut connection)
            .await?;
    }
    Ok(connection.close().await?)
}

/// Users of the database, each with the owner's password.
pub(super) async fn create_users(superuser_url: &str, users: &BTreeSet<String>) -> anyhow::Result<()> {
    let mut connection = options(superuser_url)?.connect().await?;
    let verifier: String =
        sqlx::query_scalar("select rolpassword from pg_catalog.pg_authid where rolname = 'moneta'")
            .fetch_one(&mut connection)
            .await?;
    // The owner is there, and `migrate` signs in as it.
    for user in users.iter().filter(|user| *user != ROLE) {
        create_role(&mut connection, user).await?;
        // Newer servers let a role be changed only by who administers it.
        let statements = [
            format!("alter role \"{user}\" login password '{verifier}'"),
            format!("grant \"{user}\" to {ROLE} with admin option"),
        ];
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
    }
    Ok(connection.close().await?)
}

async fn create_role(connection: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    ensure!(
        is_plain && !name.is_empty(),
        "{name} is no name for a user of the database"
    );
    let exists: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        sqlx::query(AssertSqlSafe(format!("create role \"{name}\"")))
            .execute(connection)
            .await?;
    }
    Ok(())
}
