//! Records that have done their work.

use sqlx::PgConnection;

use crate::Error;

/// Deletes messages of the outbox that were published a month ago, `limit` at the most; gives how many.
pub(crate) async fn delete_published(connection: &mut PgConnection, limit: i64) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "DELETE FROM outbox_messages WHERE id IN (SELECT id FROM outbox_messages \
         WHERE published_at < now() - interval '30 days' ORDER BY published_at LIMIT $1)",
        limit,
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes events of the inbox that came a quarter of a year ago, `limit` at the most; gives how many.
pub(crate) async fn delete_taken(connection: &mut PgConnection, limit: i64) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "DELETE FROM inbox_events WHERE (source, event_id) IN (SELECT source, event_id FROM inbox_events \
         WHERE received_at < now() - interval '90 days' ORDER BY received_at LIMIT $1)",
        limit,
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}
