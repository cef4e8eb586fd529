//! What callers see of a quote.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::WalletId;
use serde::Serialize;
use utoipa::ToSchema;

/// What a transfer would pay and bring now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuoteView {
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// Its currency, an ISO 4217 code.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// What the payer would pay, in minor units of the currency.
    #[schema(minimum = 1)]
    pub amount: i64,
    /// The receiver's currency, an ISO 4217 code.
    #[schema(value_type = String)]
    pub receiver_currency: Currency,
    /// What the receiver would get, in minor units of the receiver's currency.
    #[schema(minimum = 1)]
    pub receiver_amount: i64,
    /// Payer's currency to receiver's currency, a decimal; "1" for one currency.
    pub exchange_rate: String,
    /// As of when the rate is (RFC 3339, UTC); null for one currency.
    pub as_of: Option<DateTime<Utc>>,
    /// Until when the rate converts, unless a newer one counts before (RFC 3339, UTC); null for one currency.
    pub valid_until: Option<DateTime<Utc>>,
}
