//! Running the SQL files, which are compiled into the function.

use sqlx::migrate::Migrator;
use sqlx::{Executor, PgConnection};

use crate::Error;

/// The migrations that there are.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../../infra/migrations");

/// Applies the migrations that are missing, in a session that ends with them: RDS Proxy pins a session that says SET.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<(), Error> {
    // A migration may take longer than a request may.
    connection
        .execute("SET statement_timeout = 0; SET lock_timeout = '60s'")
        .await?;
    Ok(MIGRATIONS.run(connection).await?)
}
