//! What callers see of a document.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::StatementId;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Listed;

/// A document about the account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountStatementView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: StatementId,
    /// `monthly` (a statement), `trade_confirmation` or `tax` (a form for the tax office).
    #[schema(pattern = "^(monthly|trade_confirmation|tax)$")]
    pub kind: String,
    /// Its name, as the broker gave it.
    pub name: String,
    /// Its day in New York.
    pub day: NaiveDate,
    /// When the broker told of it (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

impl From<Listed> for AccountStatementView {
    fn from(statement: Listed) -> Self {
        Self {
            id: statement.id,
            kind: statement.kind,
            name: statement.display_name,
            day: statement.day,
            created_at: statement.created_at,
        }
    }
}

/// A link to a document's file.
#[derive(Clone, Serialize, ToSchema)]
pub struct AccountStatementLinkView {
    /// Where the file is, for a short time and for whoever has the link: ask anew rather than keep it.
    pub url: String,
}

impl std::fmt::Debug for AccountStatementLinkView {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccountStatementLinkView")
            .finish_non_exhaustive()
    }
}
