//! The SQL of commissions.

pub(crate) mod attempts;
pub(crate) mod checkouts;
pub(crate) mod collection;
pub(crate) mod customers;
pub(crate) mod discrepancies;
pub(crate) mod history;
pub(crate) mod invoices;
pub(crate) mod invoicing;
pub(crate) mod payment_methods;
pub(crate) mod suspensions;

use domain::currency::Currency;
use domain::money::Money;
use platform::error::PlatformError;

/// Money from its columns.
pub(crate) fn money(minor: i64, currency: &str) -> Result<Money, PlatformError> {
    let currency = Currency::parse(currency.trim()).map_err(|_| PlatformError::Stored("currency"))?;
    Ok(Money::new(minor, currency))
}

/// A typed id from its column.
pub(crate) fn id<T: TryFrom<i64>>(value: i64) -> Result<T, PlatformError> {
    T::try_from(value).map_err(|_| PlatformError::Stored("id"))
}

/// An outside id from its column.
pub(crate) fn outside_id<T: TryFrom<String>>(value: String) -> Result<T, PlatformError> {
    T::try_from(value).map_err(|_| PlatformError::Stored("outside id"))
}
