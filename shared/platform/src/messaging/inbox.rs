//! The inbox: an event from outside is recorded once, in the transaction of its effect.

use chrono::{DateTime, Utc};
use domain::storable::storable;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::database::Database;
use crate::error::PlatformError;

/// An event that arrived.
#[derive(Debug, Clone)]
pub struct Arrival<'a> {
    /// Who sent it, for instance `drivewealth`.
    pub source: &'a str,
    /// The sender's id of the event.
    pub event_id: &'a str,
    /// The sender's name for what happened.
    pub kind: &'a str,
    /// When it happened, as the sender says.
    pub occurred_at: DateTime<Utc>,
    /// When it came, by our clock: by this it is forgotten after some months.
    pub received_at: DateTime<Utc>,
    /// The event as it came: as text, so that its numbers stay what they are. What JSONB refuses is replaced.
    pub payload: &'a RawValue,
}

/// Records the event and does its effect, in one transaction; `None` when it was recorded before, and nothing is done then.
///
/// # Errors
/// The effect's, and when the database fails; the event isn't recorded then, and has to be delivered again.
pub async fn once<T, E>(
    database: &Database,
    arrival: &Arrival<'_>,
    effect: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<Option<T>, E>
where
    E: From<PlatformError>,
{
    database
        .transaction(async move |connection| {
            if !record(connection, arrival).await? {
                return Ok(None);
            }
            effect(connection).await.map(Some)
        })
        .await
}

/// Records the event within the caller's transaction; `false` when it was recorded before. Waits for a concurrent
/// delivery to commit or roll back.
///
/// # Errors
/// When the database fails.
pub async fn record(connection: &mut PgConnection, arrival: &Arrival<'_>) -> Result<bool, PlatformError> {
    let inserted = sqlx::query!(
        "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        arrival.source,
        arrival.event_id,
        arrival.kind,
        arrival.occurred_at,
        Json(&*storable(arrival.payload)) as _,
        arrival.received_at,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Records an event that nobody handles yet, to be handled when its handler comes; `false` when it was recorded before.
///
/// # Errors
/// When the database fails.
pub async fn record_unhandled(database: &Database, arrival: &Arrival<'_>) -> Result<bool, PlatformError> {
    database
        .transaction(async move |connection| {
            if !record(connection, arrival).await? {
                return Ok(false);
            }
            sqlx::query!(
                "UPDATE inbox_events SET is_unhandled = true WHERE source = $1 AND event_id = $2",
                arrival.source,
                arrival.event_id,
            )
            .execute(connection)
            .await?;
            Ok(true)
        })
        .await
}

/// An event that was kept until its handler came.
#[derive(Debug)]
pub struct Kept {
    /// The sender's id of the event.
    pub event_id: String,
    /// The sender's name for what happened.
    pub kind: String,
    /// When it happened, as the sender says.
    pub occurred_at: DateTime<Utc>,
    /// The event as it came.
    pub payload: Box<RawValue>,
}

/// The oldest events of these kinds that were kept without an effect.
///
/// # Errors
/// When the database fails.
pub async fn kept(
    database: &Database,
    source: &str,
    kinds: &[String],
    limit: i64,
) -> Result<Vec<Kept>, PlatformError> {
    database
        .with(async move |connection| {
            let rows = sqlx::query!(
                r#"SELECT event_id, kind, occurred_at, payload AS "payload: Json<Box<RawValue>>" FROM inbox_events
                   WHERE is_unhandled AND source = $1 AND kind = ANY($2) ORDER BY received_at, event_id LIMIT $3"#,
                source,
                kinds,
                limit,
            )
            .fetch_all(connection)
            .await?;
            let kept = rows.into_iter().map(|row| Kept {
                event_id: row.event_id,
                kind: row.kind,
                occurred_at: row.occurred_at,
                payload: row.payload.0,
            });
            Ok(kept.collect())
        })
        .await
}

/// A kept event is handled now; `false` when it was before.
///
/// # Errors
/// When the database fails.
pub async fn set_handled(database: &Database, source: &str, event_id: &str) -> Result<bool, PlatformError> {
    database
        .with(async move |connection| {
            let updated = sqlx::query!(
                "UPDATE inbox_events SET is_unhandled = false WHERE source = $1 AND event_id = $2 AND is_unhandled",
                source,
                event_id,
            )
            .execute(connection)
            .await?;
            Ok(updated.rows_affected() == 1)
        })
        .await
}

/// Whether the event was recorded before: for handlers that call somebody outside before its effect is written.
///
/// # Errors
/// When the database fails.
pub async fn was_recorded(database: &Database, source: &str, event_id: &str) -> Result<bool, PlatformError> {
    database
        .with(async move |connection| {
            let row = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM inbox_events WHERE source = $1 AND event_id = $2) AS "taken!""#,
                source,
                event_id,
            )
            .fetch_one(connection)
            .await?;
            Ok(row)
        })
        .await
}
