//! The list of what has moved money, over money flows, collection versions and the commissions' view.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{CollectionId, ProfileId};
use sqlx::PgConnection;

use super::query::{HistoryFilter, HistoryPosition};
use crate::Error;

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Which table it is of: entries of one time are ordered by it.
    source: i32,
    pub(super) kind: String,
    pub(super) id: i64,
    pub(super) status: String,
    pub(super) amount_cents: Option<i64>,
    pub(super) currency: Currency,
    pub(super) name: Option<String>,
    pub(super) collection_id: Option<CollectionId>,
    pub(super) failure_code: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) settled_at: Option<DateTime<Utc>>,
}

impl Entry {
    pub(super) fn position(&self) -> HistoryPosition {
        HistoryPosition {
            at: self.created_at,
            source: self.source,
            id: self.id,
        }
    }
}

/// The profile's entries after the one at which a page ended, newest first. Each table gives at most a page, by its index.
pub(super) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
    filter: Option<HistoryFilter>,
    after: Option<&HistoryPosition>,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let entries = sqlx::query_as!(
        Entry,
        r#"SELECT source AS "source!", kind AS "kind!", id AS "id!", status AS "status!", amount_cents,
                  currency AS "currency!: _", name, collection_id AS "collection_id: _", failure_code,
                  created_at AS "created_at!", settled_at
           FROM (
               (SELECT 1 AS source, CASE WHEN amount_cents < 0 THEN 'withdrawal' ELSE 'deposit' END AS kind, id, status,
                       abs(amount_cents) AS amount_cents, currency, NULL::TEXT AS name, NULL::BIGINT AS collection_id,
                       failure_code, created_at, settled_at
                FROM trading_money_flow
                WHERE profile_id = $1
                  AND ($2::TEXT IS NULL OR $2 = CASE WHEN amount_cents < 0 THEN 'withdrawal' ELSE 'deposit' END)
                  AND ($3::TIMESTAMPTZ IS NULL OR (created_at <= $3 AND (created_at, 1, id) < ($3, $4, $5)))
                ORDER BY created_at DESC, id DESC LIMIT $6)
               UNION ALL
               (SELECT 2, 'rebalancing', version.id, version.status,
                       COALESCE(actual_amount_cents, planned_amount_cents, target_amount_cents), 'USD', collections.name,
                       collection_id, failure_code, version.created_at, settled_at
                FROM trading_collection_versions AS version JOIN collections ON collections.id = collection_id
                WHERE profile_id = $1 AND ($2::TEXT IS NULL OR $2 = 'rebalancing')
                  AND ($3::TIMESTAMPTZ IS NULL
                       OR (version.created_at <= $3 AND (version.created_at, 2, version.id) < ($3, $4, $5)))
                ORDER BY version.created_at DESC, version.id DESC LIMIT $6)
               UNION ALL
               (SELECT 3, 'commission', invoice_id, status, amount_cents, currency, description, NULL, NULL, created_at,
                       paid_at
                FROM commission_history
                WHERE profile_id = $1 AND ($2::TEXT IS NULL OR $2 = 'commission')
                  AND ($3::TIMESTAMPTZ IS NULL OR (created_at <= $3 AND (created_at, 3, invoice_id) < ($3, $4, $5)))
                ORDER BY created_at DESC, invoice_id DESC LIMIT $6)
           ) AS entries
           ORDER BY created_at DESC, source DESC, id DESC LIMIT $6"#,
        profile as _,
        filter.map(HistoryFilter::name),
        after.map(|position| position.at),
        after.map_or(i32::MAX, |position| position.source),
        after.map_or(i64::MAX, |position| position.id),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(entries)
}
