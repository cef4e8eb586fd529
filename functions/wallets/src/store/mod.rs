//! The SQL of the wallets. Every statement about clients names them: `client_id` stands in its key.

pub(crate) mod clients;
pub(crate) mod movements;
pub(crate) mod payments;
pub(crate) mod rates;
pub(crate) mod reconciliation;
pub(crate) mod requests;
pub(crate) mod statement;
pub(crate) mod transfers;

use domain::currency::Currency;
use platform::error::PlatformError;

/// A currency from its column.
pub(crate) fn currency(numeric: i16) -> Result<Currency, PlatformError> {
    Currency::from_numeric(numeric).map_err(|_| PlatformError::Stored("currency"))
}

/// A typed id from its column.
pub(crate) fn id<T: TryFrom<i64>>(value: i64) -> Result<T, PlatformError> {
    T::try_from(value).map_err(|_| PlatformError::Stored("id"))
}
