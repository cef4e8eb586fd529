//! What callers see of exchange rates.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use serde::Serialize;
use utoipa::ToSchema;

/// A rate of a pair of currencies.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExchangeRateView {
    /// The currency of which there is one, an ISO 4217 code.
    #[schema(value_type = String)]
    pub base: Currency,
    /// The currency that the rate gives so many of, an ISO 4217 code.
    #[schema(value_type = String)]
    pub quote: Currency,
    /// Major units of `quote` for one of `base`, a decimal.
    pub rate: String,
    /// From when it counts (RFC 3339, UTC); of a pair's rates the newest counts.
    pub as_of: DateTime<Utc>,
}
