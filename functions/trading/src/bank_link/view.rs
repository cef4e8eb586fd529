//! What callers see of linked bank accounts.

use chrono::{DateTime, Utc};
use domain::ids::BankAccountId;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::BankAccountRow;

/// A token with which the app opens Plaid's page.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlaidLinkTokenView {
    /// The token.
    pub link_token: String,
    /// Until when it is good (RFC 3339, UTC).
    pub expires_at: DateTime<Utc>,
}

/// A linked bank account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BankAccountView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: BankAccountId,
    /// Its name.
    pub name: String,
    /// The last digits of its number; null where the bank doesn't say.
    pub mask: Option<String>,
    /// The bank's name; null where Plaid doesn't say.
    pub institution_name: Option<String>,
    /// `linking`, `verifying` (small deposits are on their way), `linked` or `failed`.
    pub status: String,
    /// What is in it, in minor units of `currency`; null where the bank doesn't say.
    pub balance_cents: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// When the bank said so (RFC 3339, UTC).
    pub balance_as_of: Option<DateTime<Utc>>,
    /// Whether its customer has to do something before it can be used, and what: `sign-in` on Plaid's page, or `link-again`.
    pub needs: Option<&'static str>,
}

/// The linked bank accounts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BankAccountList {
    /// All of them.
    pub items: Vec<BankAccountView>,
}

impl From<BankAccountRow> for BankAccountView {
    fn from(row: BankAccountRow) -> Self {
        let needs = if row.ended_at.is_some() || row.is_token_invalid || row.status == "failed" {
            Some("link-again")
        } else {
            row.needs_reauth_since.map(|_| "sign-in")
        };
        Self {
            id: row.id,
            name: row.name,
            mask: row.mask,
            institution_name: row.institution_name,
            status: row.status,
            balance_cents: row.balance_cents,
            currency: row.currency.map(|currency| currency.code().to_owned()),
            balance_as_of: row.balance_as_of,
            needs,
        }
    }
}
