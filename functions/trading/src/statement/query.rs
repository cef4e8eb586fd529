//! How callers ask for a list of documents.

use chrono::NaiveDate;
use domain::ids::StatementId;
use platform::http::Problem;
use platform::pagination::PageRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::kind::{MONTHLY, TAX, TRADE_CONFIRMATION};

platform::list! {
    /// The documents of an account, newest first.
    pub StatementList: StatementPosition = "account-statements"
}

/// Which documents to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountStatementsQuery {
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Documents of this kind alone; all unless given.
    #[schema(value_type = Option<String>, pattern = "^(monthly|trade_confirmation|tax)$")]
    pub kind: Option<ListedKind>,
}

/// A kind to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedKind {
    /// Monthly statements.
    Monthly,
    /// Trade confirmations.
    TradeConfirmation,
    /// Tax forms.
    Tax,
}

impl AccountStatementsQuery {
    /// The page that is asked for.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<PageRequest<StatementList>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }

    /// The kind that is asked for; `None` for all.
    pub fn kind(&self) -> Option<&'static str> {
        self.kind.map(|kind| match kind {
            ListedKind::Monthly => MONTHLY,
            ListedKind::TradeConfirmation => TRADE_CONFIRMATION,
            ListedKind::Tax => TAX,
        })
    }
}

/// Where a page ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatementPosition {
    pub(super) day: NaiveDate,
    pub(super) id: StatementId,
}
