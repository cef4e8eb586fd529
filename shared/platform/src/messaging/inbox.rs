//! The inbox: an event from outside is taken once, in the transaction of its effect.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

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
    /// The event as it came: as text, so that its numbers stay what they are.
    pub payload: &'a RawValue,
}

/// Takes the event; `false` when it was taken before. Waits for a concurrent taker to commit or roll back.
///
/// # Errors
/// When the database fails.
pub async fn take(connection: &mut PgConnection, arrival: &Arrival<'_>) -> Result<bool, PlatformError> {
    let inserted = sqlx::query!(
        "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
        arrival.source,
        arrival.event_id,
        arrival.kind,
        arrival.occurred_at,
        Json(arrival.payload) as _,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Whether the event was taken before, for handlers that ask somebody outside before they begin a transaction.
///
/// # Errors
/// When the database fails.
pub async fn was_taken(
    connection: &mut PgConnection,
    source: &str,
    event_id: &str,
) -> Result<bool, PlatformError> {
    let row = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM inbox_events WHERE source = $1 AND event_id = $2) AS "taken!""#,
        source,
        event_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}
