//! The SQL of trading.

pub(crate) mod accounts;
pub(crate) mod balances;
pub(crate) mod bank_accounts;
pub(crate) mod money_flow;
pub(crate) mod payments;
pub(crate) mod portfolios;
pub(crate) mod session;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::money::Money;
use platform::error::PlatformError;
use sqlx::PgConnection;

/// Money from its columns.
pub(crate) fn money(minor: i64, currency: &str) -> Result<Money, PlatformError> {
    let currency = Currency::parse(currency.trim()).map_err(|_| PlatformError::Stored("currency"))?;
    Ok(Money::new(minor, currency))
}

/// A typed id from its column.
pub(crate) fn id<T: TryFrom<i64>>(value: i64) -> Result<T, PlatformError> {
    T::try_from(value).map_err(|_| PlatformError::Stored("id"))
}

/// The database's time. What the broker tells of cash is ordered by the time at which it was asked for, and the clocks of
/// instances differ.
pub(crate) async fn time(connection: &mut PgConnection) -> Result<DateTime<Utc>, PlatformError> {
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(connection)
        .await?;
    Ok(now)
}
