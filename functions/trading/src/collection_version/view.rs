//! What callers see of a collection version, and how they ask for a list.

use chrono::{DateTime, Utc};
use domain::ids::{CollectionId, CollectionVersionId, TradingAccountId};
use domain::trading::collection::version::CollectionVersionStatus;
use platform::http::Problem;
use platform::pagination::PageRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Version;
use crate::collection::SymbolWeightView;

platform::list! {
    /// The versions of a profile's portfolios, newest first.
    pub VersionList: CollectionVersionId = "rebalancings"
}

/// An order to change what is held of a collection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CollectionVersionView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: CollectionVersionId,
    /// The collection.
    #[schema(value_type = i64, minimum = 1)]
    pub collection_id: CollectionId,
    /// The collection's name at the catalogue.
    pub collection_uniq_id: String,
    /// The trading account.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// Its status.
    #[schema(schema_with = status_schema)]
    pub status: CollectionVersionStatus,
    /// Cents to put in, above zero, or to take out, below zero, as it was asked for.
    pub absolute_amount_delta_cents: Option<i64>,
    /// Percent of the cash, or of what is held, as it was asked for.
    pub relative_amount_delta_percent: Option<i64>,
    /// What that came to in cents when it was carried out; null before.
    pub planned_amount_cents: Option<i64>,
    /// What was traded for it in cents, below zero where it was sold; null until it is complete.
    pub actual_amount_cents: Option<i64>,
    /// What it consists of: the weights given with it or, once it is carried out, those that were taken.
    pub weights: Vec<SymbolWeightView>,
    /// Why it failed, as a code; null otherwise.
    pub failure_code: Option<String>,
    /// From when it is carried out (RFC 3339, UTC); until then it can be cancelled.
    pub applies_at: DateTime<Utc>,
    /// When it was complete, failed or cancelled (RFC 3339, UTC).
    pub settled_at: Option<DateTime<Utc>>,
    /// When it was requested (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

/// The statuses, for the API's description.
fn status_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Its status."))
        .enum_values(Some(
            CollectionVersionStatus::ALL.map(CollectionVersionStatus::name),
        ))
        .build()
}

impl From<Version> for CollectionVersionView {
    fn from(version: Version) -> Self {
        let weights = version.symbols.into_iter().zip(version.weights);
        let weights = weights.map(|(symbol, weight)| SymbolWeightView {
            symbol,
            weight: weight.normalize().to_string(),
        });
        Self {
            weights: weights.collect(),
            id: version.id,
            collection_id: version.collection_id,
            collection_uniq_id: version.collection_uniq_id,
            trading_account_id: version.trading_account_id,
            status: version.status,
            absolute_amount_delta_cents: version.target_amount_cents,
            relative_amount_delta_percent: version.target_percent,
            planned_amount_cents: version.planned_amount_cents,
            actual_amount_cents: version.actual_amount_cents,
            failure_code: version.failure_code,
            applies_at: version.applies_at,
            settled_at: version.settled_at,
            created_at: version.created_at,
        }
    }
}

/// Which orders to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Orders in this status alone, or `all`; `complete` unless given.
    #[schema(value_type = Option<String>, pattern = "^(complete|all|pending|executing|failed|cancelled)$")]
    pub status: Option<HistoryStatus>,
}

/// A status to list, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryStatus {
    /// Whatever the status.
    All,
    /// Waits to be carried out.
    Pending,
    /// Is being carried out.
    Executing,
    /// Was carried out.
    Complete,
    /// Wasn't carried out, or not whole.
    Failed,
    /// Was taken back.
    Cancelled,
}

impl HistoryQuery {
    /// The page that is asked for.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<PageRequest<VersionList>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }

    /// The status that is asked for; `None` for all.
    pub fn status(&self) -> Option<CollectionVersionStatus> {
        match self.status.unwrap_or(HistoryStatus::Complete) {
            HistoryStatus::All => None,
            HistoryStatus::Pending => Some(CollectionVersionStatus::Pending),
            HistoryStatus::Executing => Some(CollectionVersionStatus::Executing),
            HistoryStatus::Complete => Some(CollectionVersionStatus::Complete),
            HistoryStatus::Failed => Some(CollectionVersionStatus::Failed),
            HistoryStatus::Cancelled => Some(CollectionVersionStatus::Cancelled),
        }
    }
}
