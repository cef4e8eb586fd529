//! The outbox as its relay sees it.

use chrono::{DateTime, Utc};
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
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) event_id: Uuid,
    pub(super) kind: String,
    pub(super) ordering_key: String,
    pub(super) payload: Value,
    pub(super) destination_kind: String,
    pub(super) destination: String,
}

impl Message {
    /// The work that caused the event.
    pub(super) fn correlation_id(&self) -> Option<&str> {
        self.payload.get("correlation_id")?.as_str()
    }
}

/// Takes the relay's lock for the rest of the session; `false` when another relay holds it for longer than a second.
///
/// A relay that has just found nothing more is done in far less, so that what was written behind its back is not left to
/// the schedule. One that holds the lock for longer reads the outbox again after its wave.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<bool, Error> {
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

/// The messages that can go out at `now`: the oldest of each key and destination, unless it waits after a failure. No more
/// than `max_of_destination` of a destination, those first that have been due for longest.
///
/// One that was never tried is due whatever its time says: that is the database's, whose clock may be ahead of ours.
pub(super) async fn due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    max_of_destination: i64,
) -> Result<Vec<Message>, Error> {
    let messages = sqlx::query_as!(
        Message,
        "WITH first_of_key AS ( \
             SELECT DISTINCT ON (destination_kind, destination, ordering_key) \
                 id, destination_kind, destination, attempts, next_attempt_at \
             FROM outbox_messages WHERE published_at IS NULL \
             ORDER BY destination_kind, destination, ordering_key, id \
         ), due AS ( \
             SELECT id, row_number() OVER \
                 (PARTITION BY destination_kind, destination ORDER BY next_attempt_at, id) AS place \
             FROM first_of_key WHERE attempts = 0 OR next_attempt_at <= $1 \
         ) \
         SELECT id, event_id, kind, ordering_key, payload, destination_kind, destination \
         FROM outbox_messages WHERE id IN (SELECT id FROM due WHERE place <= $2)",
        now,
        max_of_destination,
    )
    .fetch_all(connection)
    .await?;
    Ok(messages)
}

/// When the oldest message was written that is not published yet.
pub(super) async fn oldest_unpublished(
    connection: &mut PgConnection,
) -> Result<Option<DateTime<Utc>>, Error> {
    let oldest =
        sqlx::query_scalar!("SELECT MIN(created_at) FROM outbox_messages WHERE published_at IS NULL");
    Ok(oldest.fetch_one(connection).await?)
}

/// Records the outcome of a wave at `now`: the messages that got through, and those that failed, which wait (2, 4, 8 … 60
/// seconds) for their next attempt.
pub(super) async fn record(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    published: &[i64],
    failed: &[i64],
    reasons: &[String],
) -> Result<(), Error> {
    sqlx::query!(
        "WITH failure AS (SELECT id, reason FROM unnest($3::BIGINT[], $4::TEXT[]) AS failure (id, reason)) \
         UPDATE outbox_messages SET \
            published_at = CASE WHEN outbox_messages.id = ANY($2) THEN $1::TIMESTAMPTZ END, \
            attempts = attempts + 1, \
            last_error = failure.reason, \
            next_attempt_at = $1::TIMESTAMPTZ + LEAST(power(2, LEAST(attempts, 6) + 1), 60) * interval '1 second' \
         FROM (SELECT unnest($2::BIGINT[]) AS id UNION ALL SELECT id FROM failure) AS tried \
         LEFT JOIN failure ON failure.id = tried.id \
         WHERE outbox_messages.id = tried.id",
        now,
        published,
        failed,
        reasons,
    )
    .execute(connection)
    .await?;
    Ok(())
}
