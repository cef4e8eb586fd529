//! The outbox as its relay sees it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::chunk::Verdict;
use super::destination::Destination;
use super::message::Message;
use crate::Error;

/// The first half of the advisory locks that relays hold, one for each destination that is worked on.
const RELAY_LOCK: i32 = 0x6f75_7462;
/// Messages of a chunk.
const MAX_MESSAGES: i64 = 1000;
/// Bytes of a chunk's events, the last of them apart: it stays in memory.
const MAX_BYTES: i64 = 4 << 20;
/// Held keys that are tried again side by side.
const MAX_HELD_KEYS: i64 = 200;
/// Messages of a held key that follow one that got through.
const MAX_OF_HELD_KEY: i64 = 100;

/// A message of a held key whose time has come.
#[derive(Debug)]
pub(super) struct DueOfHeldKey {
    pub(super) message: Message,
    /// It failed before; otherwise one before it got through, and it follows.
    pub(super) has_failed: bool,
}

/// Takes the lock of a destination for this session; `false` when another relay holds it.
pub(super) async fn lock(connection: &mut PgConnection, destination: &Destination) -> Result<bool, Error> {
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock($1, hashtext($2::TEXT || ' ' || $3)) AS "locked!""#,
        RELAY_LOCK,
        destination.kind,
        destination.name,
    );
    Ok(locked.fetch_one(connection).await?)
}

/// Gives the lock of a destination back.
pub(super) async fn unlock(connection: &mut PgConnection, destination: &Destination) -> Result<(), Error> {
    sqlx::query!(
        "SELECT pg_advisory_unlock($1, hashtext($2::TEXT || ' ' || $3))",
        RELAY_LOCK,
        destination.kind,
        destination.name,
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// The destinations that something is due for at `now`, but for those that are out of reach until later. Found by steps
/// from one to the next in the index, however much waits for each.
pub(super) async fn destinations(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<Destination>, Error> {
    let destinations = sqlx::query_as!(
        Destination,
        r#"WITH RECURSIVE waiting (kind, name) AS (
            (SELECT destination_kind, destination FROM outbox_messages WHERE published_at IS NULL AND NOT held
             ORDER BY destination_kind, destination LIMIT 1)
            UNION ALL
            SELECT next.destination_kind, next.destination FROM waiting CROSS JOIN LATERAL
                (SELECT destination_kind, destination FROM outbox_messages
                 WHERE published_at IS NULL AND NOT held
                   AND (destination_kind, destination) > (waiting.kind, waiting.name)
                 ORDER BY destination_kind, destination LIMIT 1) AS next
         ), due (kind, name) AS (
            SELECT kind, name FROM waiting
            UNION
            SELECT destination_kind, destination FROM outbox_held_keys WHERE retry_at <= $1
         )
         SELECT kind AS "kind!", name AS "name!" FROM due
         WHERE NOT EXISTS (SELECT 1 FROM outbox_held_destinations AS held
                           WHERE (held.destination_kind, held.destination) = (due.kind, due.name) AND held.retry_at > $1)"#,
        now,
    );
    Ok(destinations.fetch_all(connection).await?)
}

/// Whether something is due for a destination at `now`.
pub(super) async fn is_anything_due(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM outbox_messages
                          WHERE destination_kind = $1 AND destination = $2 AND published_at IS NULL AND NOT held)
               OR EXISTS (SELECT 1 FROM outbox_held_keys
                          WHERE destination_kind = $1 AND destination = $2 AND retry_at <= $3) AS "due!""#,
        destination.kind,
        destination.name,
        now,
    );
    Ok(due.fetch_one(connection).await?)
}

/// The newest message that waits for a destination. Whole rows are compared, here and below, because only the index of
/// what waits has them: the one of all ids would lead through everything that was published.
pub(super) async fn newest_waiting(
    connection: &mut PgConnection,
    destination: &Destination,
) -> Result<Option<i64>, Error> {
    let newest = sqlx::query_scalar!(
        "SELECT id FROM outbox_messages \
         WHERE (destination_kind, destination, id) > ($1, $2, 0) AND (destination_kind, destination, id) <= ($1, $2, $3) \
           AND published_at IS NULL AND NOT held \
         ORDER BY destination_kind DESC, destination DESC, id DESC LIMIT 1",
        destination.kind,
        destination.name,
        i64::MAX,
    );
    Ok(newest.fetch_optional(connection).await?)
}

/// The next messages that wait for a destination, of those with an id after `position` and up to `newest`.
pub(super) async fn waiting(
    connection: &mut PgConnection,
    destination: &Destination,
    position: i64,
    newest: i64,
) -> Result<Vec<Message>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, event_id, kind, ordering_key, payload::TEXT, payload ->> 'correlation_id' AS correlation_id,
               source, source_key, source_id, created_at, is_held AS "is_held!", false AS "has_failed!"
           FROM (
            SELECT message.*, held_key.ordering_key IS NOT NULL AS is_held,
                   sum(pg_column_size(payload)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                       AS bytes_before
            FROM (SELECT * FROM outbox_messages
                  WHERE (destination_kind, destination, id) > ($1, $2, $3)
                    AND (destination_kind, destination, id) <= ($1, $2, $4)
                    AND published_at IS NULL AND NOT held
                  ORDER BY destination_kind, destination, id LIMIT $5) AS message
            LEFT JOIN outbox_held_keys AS held_key USING (destination_kind, destination, ordering_key)
           ) AS chunk
           WHERE coalesce(bytes_before, 0) < $6 ORDER BY id"#,
        destination.kind,
        destination.name,
        position,
        newest,
        MAX_MESSAGES,
        MAX_BYTES,
    )
    .fetch_all(&mut *connection)
    .await?;
    let due = with_events_of_sources(connection, rows).await?;
    Ok(due.into_iter().map(|due| due.message).collect())
}

/// What is due at `now` of the held keys of a destination: the oldest message of each, or the next ones where the last
/// attempt got through. Keys that have nothing left are held no more.
pub(super) async fn due_of_held_keys(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
) -> Result<Vec<DueOfHeldKey>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT message.id, event_id, message.kind, message.ordering_key, payload::TEXT,
               payload ->> 'correlation_id' AS correlation_id, source, source_key, source_id, created_at,
               false AS "is_held!", attempts > 0 AS "has_failed!"
           FROM (SELECT * FROM outbox_held_keys
                 WHERE destination_kind = $1 AND destination = $2 AND retry_at <= $3
                 ORDER BY retry_at LIMIT $4) AS held_key
           CROSS JOIN LATERAL
               (SELECT id, event_id, kind, ordering_key, payload, source, source_key, source_id, created_at FROM outbox_messages
                WHERE (destination_kind, destination, ordering_key)
                    = (held_key.destination_kind, held_key.destination, held_key.ordering_key)
                  AND published_at IS NULL AND held
                ORDER BY id LIMIT CASE WHEN held_key.attempts = 0 THEN $5::BIGINT ELSE 1 END) AS message
           ORDER BY held_key.retry_at, message.ordering_key, message.id LIMIT $6"#,
        destination.kind,
        destination.name,
        now,
        MAX_HELD_KEYS,
        MAX_OF_HELD_KEY,
        MAX_MESSAGES,
    )
    .fetch_all(&mut *connection)
    .await?;
    with_events_of_sources(connection, rows).await
}

/// When the oldest message was written that is not published yet: of those that wait, the first of each destination, and
/// of each held key.
pub(super) async fn oldest_unpublished(
    connection: &mut PgConnection,
) -> Result<Option<DateTime<Utc>>, Error> {
    let oldest = sqlx::query_scalar!(
        "WITH RECURSIVE first (destination_kind, destination, created_at) AS ( \
            (SELECT destination_kind, destination, created_at FROM outbox_messages \
             WHERE published_at IS NULL AND NOT held ORDER BY destination_kind, destination, id LIMIT 1) \
            UNION ALL \
            SELECT next.* FROM first CROSS JOIN LATERAL \
                (SELECT destination_kind, destination, created_at FROM outbox_messages \
                 WHERE published_at IS NULL AND NOT held \
                   AND (destination_kind, destination) > (first.destination_kind, first.destination) \
                 ORDER BY destination_kind, destination, id LIMIT 1) AS next \
         ) \
         SELECT min(since) FROM (SELECT created_at AS since FROM first \
                                 UNION ALL SELECT waiting_since FROM outbox_held_keys) AS waiting",
    );
    Ok(oldest.fetch_one(connection).await?)
}

/// Records at `now` that messages got through, and with them that their destination is within reach.
pub(super) async fn record_published(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
    published: &[i64],
) -> Result<(), Error> {
    if published.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH reached AS (DELETE FROM outbox_held_destinations WHERE destination_kind = $1 AND destination = $2) \
         UPDATE outbox_messages SET published_at = $3::TIMESTAMPTZ WHERE id = ANY($4)",
        destination.kind,
        destination.name,
        now,
        published,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds the keys that failed for 2, 4, 8 … 60 seconds, by how often their oldest message has failed; and the messages
/// behind them.
pub(super) async fn hold_keys(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
    verdict: &Verdict,
) -> Result<(), Error> {
    if verdict.held.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = verdict.held_keys.keys().cloned().collect();
    let held = verdict.held_keys.values();
    let reasons: Vec<Option<String>> = held.clone().map(|key| key.reason.clone()).collect();
    let since: Vec<DateTime<Utc>> = held.map(|key| key.waiting_since).collect();
    sqlx::query!(
        "WITH message AS (UPDATE outbox_messages SET held = true WHERE id = ANY($4)) \
         INSERT INTO outbox_held_keys AS held_key \
            (destination_kind, destination, ordering_key, attempts, retry_at, last_error, waiting_since) \
         SELECT $1::TEXT, $2::TEXT, ordering_key, (reason IS NOT NULL)::INTEGER, \
                $3::TIMESTAMPTZ + (CASE WHEN reason IS NULL THEN 0 ELSE 2 END) * interval '1 second', reason, since \
         FROM unnest($5::TEXT[], $6::TEXT[], $7::TIMESTAMPTZ[]) AS failure (ordering_key, reason, since) \
         ON CONFLICT (destination_kind, destination, ordering_key) DO UPDATE SET \
            attempts = held_key.attempts + 1, \
            retry_at = $3::TIMESTAMPTZ + LEAST(power(2, LEAST(held_key.attempts, 6) + 1), 60) * interval '1 second', \
            last_error = EXCLUDED.last_error \
         WHERE EXCLUDED.last_error IS NOT NULL",
        destination.kind,
        destination.name,
        now,
        &verdict.held,
        &keys,
        &reasons as _,
        &since,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Nothing is sent to the destination for 2, 4, 8 … 60 seconds, by how often it was out of reach.
pub(super) async fn hold_destination(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO outbox_held_destinations AS held (destination_kind, destination, attempts, retry_at, last_error) \
         VALUES ($1, $2, 1, $3::TIMESTAMPTZ + interval '2 seconds', $4) \
         ON CONFLICT (destination_kind, destination) DO UPDATE SET \
            attempts = held.attempts + 1, \
            retry_at = $3::TIMESTAMPTZ + LEAST(power(2, LEAST(held.attempts, 6) + 1), 60) * interval '1 second', \
            last_error = EXCLUDED.last_error",
        destination.kind,
        destination.name,
        now,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// After these messages of held keys got through: what is left of their keys is due at once; keys with nothing left, and
/// due ones that had nothing, are held no more.
pub(super) async fn release(
    connection: &mut PgConnection,
    destination: &Destination,
    now: DateTime<Utc>,
    published: &[i64],
) -> Result<(), Error> {
    sqlx::query!(
        "WITH progressed AS (SELECT DISTINCT ordering_key FROM outbox_messages WHERE id = ANY($4)), candidate AS ( \
            SELECT ordering_key, ordering_key IN (SELECT ordering_key FROM progressed) AS has_progressed, EXISTS ( \
                SELECT 1 FROM outbox_messages AS message \
                WHERE (message.destination_kind, message.destination, message.ordering_key) \
                    = (held_key.destination_kind, held_key.destination, held_key.ordering_key) \
                  AND published_at IS NULL AND held) AS has_more \
            FROM outbox_held_keys AS held_key \
            WHERE destination_kind = $1 AND destination = $2 AND retry_at <= $3 \
         ), emptied AS ( \
            DELETE FROM outbox_held_keys USING candidate \
            WHERE destination_kind = $1 AND destination = $2 AND NOT has_more \
              AND outbox_held_keys.ordering_key = candidate.ordering_key \
         ) \
         UPDATE outbox_held_keys SET attempts = 0, retry_at = $3, last_error = NULL FROM candidate \
         WHERE destination_kind = $1 AND destination = $2 AND has_more AND has_progressed \
           AND outbox_held_keys.ordering_key = candidate.ordering_key",
        destination.kind,
        destination.name,
        now,
        published,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A message as it is stored.
struct Row {
    id: i64,
    event_id: uuid::Uuid,
    kind: String,
    ordering_key: String,
    payload: Option<String>,
    correlation_id: Option<String>,
    source: Option<String>,
    source_key: Option<i64>,
    source_id: Option<i64>,
    created_at: DateTime<Utc>,
    is_held: bool,
    has_failed: bool,
}

/// An event that is read from where it stands, instead of being carried by the outbox.
struct EventOfSource {
    source: String,
    source_key: Option<i64>,
    source_id: i64,
    payload: String,
    correlation_id: Option<String>,
}

async fn with_events_of_sources(
    connection: &mut PgConnection,
    rows: Vec<Row>,
) -> Result<Vec<DueOfHeldKey>, Error> {
    let named = |row: &Row| Some((row.source.clone()?, row.source_key, row.source_id?));
    let places: Vec<Place> = rows.iter().filter_map(named).collect();
    let mut events = BTreeMap::new();
    if !places.is_empty() {
        for event in events_of_sources(connection, &places).await? {
            events.insert(
                (event.source, event.source_key, event.source_id),
                (event.payload, event.correlation_id),
            );
        }
    }
    let complete = |mut row: Row| {
        if let Some((payload, correlation_id)) = named(&row).and_then(|named| events.get(&named).cloned()) {
            row.payload = Some(payload);
            row.correlation_id = correlation_id;
        }
        row.into_due()
    };
    Ok(rows.into_iter().map(complete).collect())
}

/// Where an event stands: its source, and the one or two numbers by which that has it.
type Place = (String, Option<i64>, i64);

async fn events_of_sources(
    connection: &mut PgConnection,
    places: &[Place],
) -> Result<Vec<EventOfSource>, Error> {
    let sources: Vec<String> = places.iter().map(|(source, ..)| source.clone()).collect();
    let keys: Vec<Option<i64>> = places.iter().map(|(_, key, _)| *key).collect();
    let ids: Vec<i64> = places.iter().map(|(.., id)| *id).collect();
    let events = sqlx::query_as!(
        EventOfSource,
        r#"SELECT named.source AS "source!", event.source_key, event.source_id AS "source_id!",
                  event.payload::TEXT AS "payload!", event.payload ->> 'correlation_id' AS correlation_id
           FROM (SELECT source, array_agg(key) AS keys, array_agg(id) AS ids
                   FROM unnest($1::TEXT[], $2::BIGINT[], $3::BIGINT[]) AS named (source, key, id)
                 GROUP BY source) AS named
           CROSS JOIN LATERAL outbox_events_of_source(named.source, named.keys, named.ids) AS event
           WHERE event.payload IS NOT NULL"#,
        &sources,
        &keys as _,
        &ids,
    );
    Ok(events.fetch_all(connection).await?)
}

impl Row {
    fn into_due(self) -> DueOfHeldKey {
        DueOfHeldKey {
            has_failed: self.has_failed,
            message: Message {
                id: self.id,
                event_id: self.event_id,
                kind: self.kind,
                ordering_key: self.ordering_key,
                payload: self.payload,
                correlation_id: self.correlation_id,
                created_at: self.created_at,
                is_held: self.is_held,
            },
        }
    }
}
