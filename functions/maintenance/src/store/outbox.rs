//! The outbox as its relay sees it.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// The advisory lock that one relay at a time holds.
const RELAY_LOCK: i64 = 0x6f75_7462_6f78;
/// SQLSTATE of a lock that was waited for too long.
const LOCK_NOT_AVAILABLE: &str = "55P03";

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
}

impl Message {
    /// The work that caused the event.
    pub(crate) fn correlation_id(&self) -> Option<&str> {
        self.payload.get("correlation_id")?.as_str()
    }
}

/// Takes the relay's lock for the rest of the session; `false` when another relay holds on to it.
///
/// A relay that has just found nothing more is done in far less than the second that is waited, so that what was
/// written behind its back is not left to the schedule. One that holds on longer looks again after its wave.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query!("SELECT set_config('lock_timeout', '1s', false)")
        .fetch_one(&mut *connection)
        .await?;
    let waited = sqlx::query!("SELECT pg_advisory_lock($1)", RELAY_LOCK)
        .execute(connection)
        .await;
    match waited {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What can go out now: the oldest message of each key and destination, unless it waits after a failure. No more than
/// `share` of a destination, those first that have been due for longest.
pub(crate) async fn due(connection: &mut PgConnection, share: i64) -> Result<Vec<Message>, Error> {
    let messages = sqlx::query_as!(
        Message,
        "WITH first_of_key AS ( \
             SELECT DISTINCT ON (destination_kind, destination, ordering_key) \
                 id, destination_kind, destination, next_attempt_at \
             FROM outbox_messages WHERE published_at IS NULL \
             ORDER BY destination_kind, destination, ordering_key, id \
         ), due AS ( \
             SELECT id, row_number() OVER \
                 (PARTITION BY destination_kind, destination ORDER BY next_attempt_at, id) AS place \
             FROM first_of_key WHERE next_attempt_at <= now() \
         ) \
         SELECT id, event_id, kind, ordering_key, payload, destination_kind, destination \
         FROM outbox_messages WHERE id IN (SELECT id FROM due WHERE place <= $1)",
        share,
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
