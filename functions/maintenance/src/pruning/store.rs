//! Records that have done their work, and what owners of tables publish for keeping them in order.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;

/// Deletes messages of the outbox that were published before `before`, `max_rows` at the most; returns how many.
pub(super) async fn delete_published(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    max_rows: i64,
) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "DELETE FROM outbox_messages WHERE id IN (SELECT id FROM outbox_messages \
         WHERE published_at < $1 LIMIT $2)",
        before,
        max_rows,
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes events of the inbox that came before `before`, the oldest first and `max_rows` at the most; returns how many.
pub(super) async fn delete_received(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    max_rows: i64,
) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "DELETE FROM inbox_events WHERE (source, event_id) IN (SELECT source, event_id FROM inbox_events \
         WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
        before,
        max_rows,
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Makes the partitions of the equity histories for this month and the next.
pub(super) async fn make_equity_partitions(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(r#"SELECT make_funded_equity_partitions($1) AS "made!""#, now)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Thins the equity histories before `before`; returns how many rows it took, `max_rows` at the most.
pub(super) async fn thin_equity(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    max_rows: i64,
) -> Result<u64, Error> {
    let thinned = sqlx::query_scalar!(
        r#"SELECT thin_funded_equity_history($1, $2) AS "thinned!""#,
        before,
        max_rows
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(thinned).unwrap_or_default())
}
