//! How callers ask for a list of what has moved money.

use chrono::{DateTime, Utc};
use platform::http::Problem;
use platform::pagination::PageRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

platform::list! {
    /// What has moved the money of a profile, newest first.
    pub AccountHistory: HistoryPosition = "account-history"
}

/// Which entries to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TradingHistoryQuery {
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Entries of this kind alone; all unless given.
    #[schema(value_type = Option<String>, pattern = "^(deposit|withdrawal|rebalancing|commission)$")]
    pub kind: Option<HistoryFilter>,
}

impl TradingHistoryQuery {
    /// The page that is asked for.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<PageRequest<AccountHistory>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}

/// A kind to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryFilter {
    /// Money into the account.
    Deposit,
    /// Money out of the account.
    Withdrawal,
    /// Orders of collections.
    Rebalancing,
    /// Invoices over commissions.
    Commission,
}

impl HistoryFilter {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Rebalancing => "rebalancing",
            Self::Commission => "commission",
        }
    }
}

/// Where a page ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HistoryPosition {
    pub(super) at: DateTime<Utc>,
    pub(super) source: i32,
    pub(super) id: i64,
}
