//! The outbox as its relay sees it.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// The advisory lock that one relay at a time holds.
const RELAY_LOCK: i64 = 0x6f75_7462_6f78;

/// A message to publish.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) event_id: Uuid,
    pub(crate) kind: String,
    pub(crate) ordering_key: String,
    pub(crate) payload: Value,
    pub(crate) destination_kind: String,
    pub(crate) destination: String,
    /// It doesn't wait after a failure.
    pub(crate) is_due: bool,
}

impl Message {
    /// The work that caused the event.
    pub(crate) fn correlation_id(&self) -> Option<&str> {
        self.payload.get("correlation_id")?.as_str()
    }
}

/// Waits until no other relay works; the session's lock time-out bounds the wait.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_advisory_lock($1)", RELAY_LOCK)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets the next relay work.
pub(crate) async fn unlock(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_advisory_unlock($1)", RELAY_LOCK)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// The oldest messages that are not published.
pub(crate) async fn unpublished(connection: &mut PgConnection, limit: i64) -> Result<Vec<Message>, Error> {
    let messages = sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, kind, ordering_key, payload, destination_kind, destination,
                  next_attempt_at <= now() AS "is_due!"
           FROM outbox_messages WHERE published_at IS NULL ORDER BY id LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(messages)
}

/// Age of the oldest unpublished message in seconds; 0 when there is none.
pub(crate) async fn oldest_age_seconds(connection: &mut PgConnection) -> Result<u64, Error> {
    let age = sqlx::query_scalar!(
        r#"SELECT COALESCE(EXTRACT(EPOCH FROM now() - MIN(created_at)), 0)::BIGINT AS "age!"
           FROM outbox_messages WHERE published_at IS NULL"#,
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(age).unwrap_or(0))
}

/// Records a wave: what got through, and what waits (2, 4, 8 … 60 seconds) for its next attempt.
pub(crate) async fn mark(
    connection: &mut PgConnection,
    published: &[i64],
    failed: &[i64],
    reasons: &[String],
) -> Result<(), Error> {
    sqlx::query!(
        "WITH failure AS (SELECT id, reason FROM unnest($2::BIGINT[], $3::TEXT[]) AS failure (id, reason)) \
         UPDATE outbox_messages SET \
            published_at = CASE WHEN outbox_messages.id = ANY($1) THEN now() END, \
            attempts = attempts + 1, \
            last_error = failure.reason, \
            next_attempt_at = now() + LEAST(power(2, LEAST(attempts, 6) + 1), 60) * interval '1 second' \
         FROM (SELECT unnest($1::BIGINT[]) AS id UNION ALL SELECT id FROM failure) AS tried \
         LEFT JOIN failure ON failure.id = tried.id \
         WHERE outbox_messages.id = tried.id",
        published,
        failed,
        reasons,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes what was published a month ago, some at a time.
pub(crate) async fn prune(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!(
        "DELETE FROM outbox_messages WHERE id IN (SELECT id FROM outbox_messages \
         WHERE published_at < now() - interval '30 days' ORDER BY id LIMIT 1000)",
    )
    .execute(connection)
    .await?;
    Ok(())
}
