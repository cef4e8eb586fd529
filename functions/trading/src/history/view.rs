//! What callers see of what has moved money.

use chrono::{DateTime, Utc};
use domain::ids::CollectionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Entry;

/// Something that has moved money, or is about to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryEntryView {
    /// `deposit`, `withdrawal`, `rebalancing` (an order of a collection) or `commission` (an invoice).
    #[schema(pattern = "^(deposit|withdrawal|rebalancing|commission)$")]
    pub kind: String,
    /// Its id among those of its kind; deposits and withdrawals are one kind in this.
    #[schema(minimum = 1)]
    pub id: i64,
    /// Its status, in the words of its kind.
    pub status: String,
    /// The amount in minor units of `currency`, above zero; of a rebalancing what was traded, what it came to or what was
    /// asked for, whichever is known, below zero where it sells, and null where only a percentage is.
    pub amount_cents: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// The collection's name, or the invoice's; null otherwise.
    pub name: Option<String>,
    /// The collection; null otherwise.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub collection_id: Option<CollectionId>,
    /// Why it failed, as a code; null otherwise.
    pub failure_code: Option<String>,
    /// When it began (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When it came to its status, if that is an end (RFC 3339, UTC).
    pub settled_at: Option<DateTime<Utc>>,
}

impl From<Entry> for HistoryEntryView {
    fn from(entry: Entry) -> Self {
        Self {
            kind: entry.kind,
            id: entry.id,
            status: entry.status,
            amount_cents: entry.amount_cents,
            currency: entry.currency.code().to_owned(),
            name: entry.name,
            collection_id: entry.collection_id,
            failure_code: entry.failure_code,
            created_at: entry.created_at,
            settled_at: entry.settled_at,
        }
    }
}
