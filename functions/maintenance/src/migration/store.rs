//! Running the SQL files, which are compiled into the function.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::Error;

/// The migrations that there are.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../../infra/migrations");
/// The rights of each area's user; the owner's name is to be put in.
const RIGHTS: &str = include_str!("../../../../infra/rights.sql");
const OWNER: &str = "{owner}";

/// Applies the migrations that are missing, in a session that ends with them: RDS Proxy pins a session that says SET.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<(), Error> {
    // A migration may take longer than a request may.
    connection
        .execute("SET statement_timeout = 0; SET lock_timeout = '60s'")
        .await?;
    Ok(MIGRATIONS.run(connection).await?)
}

/// Gives each area's user its rights, and takes away what is none of them, at once. Makes the users that aren't there.
pub(super) async fn give_rights(connection: &mut PgConnection) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    // Of two runs at once, one would find the rights changed under its hands.
    let owner = sqlx::query_scalar!(
        r#"SELECT current_user::TEXT AS "owner!" FROM (SELECT pg_advisory_xact_lock(hashtext('rights'))) AS alone"#
    )
    .fetch_one(&mut *transaction)
    .await?;
    let is_plain = owner
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_plain {
        return Err(Error::OwnersName(owner));
    }
    sqlx::raw_sql(AssertSqlSafe(RIGHTS.replace(OWNER, &owner)))
        .execute(&mut *transaction)
        .await
        .map_err(Error::Rights)?;
    Ok(transaction.commit().await?)
}

/// Makes a database that of a slot, of which it gives ids from then on; one that is another's refuses.
pub(super) async fn set_wallet_slot(connection: &mut PgConnection, slot: i16) -> Result<(), Error> {
    sqlx::query!("SELECT FROM set_wallet_slot($1)", slot)
        .execute(connection)
        .await
        .map_err(|error| Error::Slot { slot, error })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use local_cloud::backends::Postgres;
    use sqlx::Connection;

    use super::*;

    /// Areas come to `main` in another order than their numbers: a database may have the newest without one before it.
    #[tokio::test]
    async fn migration_is_applied_after_one_of_a_higher_number() {
        let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/migrations");
        for file in std::fs::read_dir(all).unwrap() {
            let path = file.unwrap().path();
            if !path.ends_with("0030_dealers.sql") {
                std::fs::copy(&path, others.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let postgres = Postgres::start(folder.path()).await.unwrap();
        let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
        let before = Migrator::new(others.path()).await.unwrap();
        before.run(&mut connection).await.unwrap();
        assert!(before.version_exists(50) && !before.version_exists(30));
        for _ in 0..2 {
            apply(&mut connection).await.unwrap();
        }
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let expected: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(applied, expected);
        connection.close().await.unwrap();
        postgres.stop().await.unwrap();
    }
}
