//! The database, for what isn't shown anywhere else.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::Result;

const CONNECTIONS: u32 = 4;

/// A pool of connections to the functions' database.
#[derive(Debug, Clone)]
pub struct Database(PgPool);

/// A money flow as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FlowRow {
    /// Its id.
    pub id: i64,
    /// Below zero for a withdrawal.
    pub amount_cents: i64,
    /// `pending`, `approved`, `success`, `failed`.
    pub status: String,
    /// What is known of the call to the broker.
    pub provider_state: String,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// Why it failed or was parked, in words.
    pub failure_reason: Option<String>,
    /// How often it was looked up.
    pub lookups: i32,
    /// When it is looked up next.
    pub next_lookup_at: Option<DateTime<Utc>>,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct OutboxRow {
    /// Its id; counts up.
    pub id: i64,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type.
    pub kind: String,
    /// What it is ordered by.
    pub ordering_key: String,
    /// The event.
    pub payload: Value,
    /// The queue or topic.
    pub destination: String,
    /// Whether it waits behind a message of its key that failed, or failed itself.
    pub held: bool,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
}

/// An event of the inbox.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct InboxRow {
    /// Who sent it.
    pub source: String,
    /// Its type.
    pub kind: String,
    /// Its payload.
    pub payload: Value,
}

const FLOW: &str = "SELECT id, amount_cents, status, provider_state, failure_code, failure_reason, lookups, \
                    next_lookup_at FROM trading_money_flow WHERE id = $1";
const FLOWS: &str = "SELECT id, amount_cents, status, provider_state, failure_code, failure_reason, lookups, \
                     next_lookup_at FROM trading_money_flow WHERE profile_id = $1 ORDER BY id";
const OUTBOX_OF_FLOW: &str = "SELECT id, event_id, kind, ordering_key, COALESCE(payload, 'null') AS payload, destination, held, \
                              published_at FROM outbox_messages \
                              WHERE (payload #>> '{data,money_flow_id}')::BIGINT = $1 ORDER BY id";
const OUTBOX_OF_KEY: &str = "SELECT id, event_id, kind, ordering_key, COALESCE(payload, \
                                 (SELECT named.payload FROM outbox_events_of_source(source, ARRAY[source_key], ARRAY[source_id]) AS named), \
                                 'null') AS payload, destination, held, \
                             published_at FROM outbox_messages WHERE ordering_key = $1 ORDER BY id";

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// When it can't.
    pub async fn open(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        Ok(Self(pool.connect(url).await?))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// The pool, for a statement of one's own.
    pub fn pool(&self) -> &PgPool {
        &self.0
    }

    /// A flow.
    ///
    /// # Errors
    /// When there is none.
    pub async fn flow(&self, id: i64) -> Result<FlowRow> {
        Ok(sqlx::query_as(FLOW).bind(id).fetch_one(&self.0).await?)
    }

    /// A profile's flows, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flows_of(&self, profile_id: i64) -> Result<Vec<FlowRow>> {
        Ok(sqlx::query_as(FLOWS).bind(profile_id).fetch_all(&self.0).await?)
    }

    /// The outbox's messages about a flow, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_of_flow(&self, id: i64) -> Result<Vec<OutboxRow>> {
        Ok(sqlx::query_as(OUTBOX_OF_FLOW).bind(id).fetch_all(&self.0).await?)
    }

    /// The outbox's messages of an ordering key, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_of_key(&self, key: &str) -> Result<Vec<OutboxRow>> {
        Ok(sqlx::query_as(OUTBOX_OF_KEY).bind(key).fetch_all(&self.0).await?)
    }

    /// The events of a flow in the outbox, as `kind → destination`, sorted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_of_flow(&self, id: i64) -> Result<Vec<String>> {
        let rows = self.outbox_of_flow(id).await?;
        let mut events: Vec<String> = rows
            .iter()
            .map(|row| format!("{} → {}", row.kind, row.destination))
            .collect();
        events.sort();
        Ok(events)
    }

    /// An event of the inbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox(&self, event_id: &str) -> Result<Option<InboxRow>> {
        let sql = "SELECT source, kind, payload FROM inbox_events WHERE event_id = $1";
        Ok(sqlx::query_as(sql).bind(event_id).fetch_optional(&self.0).await?)
    }

    /// A count, by a statement with one number to bind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, sql: &'static str, bound: i64) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).bind(bound).fetch_one(&self.0).await?)
    }

    /// A change, by a statement with one number to bind; gives the number of rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change(&self, sql: &'static str, bound: i64) -> Result<u64> {
        Ok(sqlx::query(sql)
            .bind(bound)
            .execute(&self.0)
            .await?
            .rows_affected())
    }

    /// Makes a flow's look-up due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make_due(&self, flow: i64) -> Result {
        self.change(
            "UPDATE trading_money_flow SET next_lookup_at = now() WHERE id = $1",
            flow,
        )
        .await?;
        Ok(())
    }
}
