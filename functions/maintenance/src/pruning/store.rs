//! Records that have done their work.

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
