//! Exchange rates: rows that are added and never changed.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;

/// Who gave a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An administrator.
    Admin,
    /// The European Central Bank's reference rates.
    Ecb,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Ecb => "ecb",
        }
    }
}

/// A rate of a pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairRate {
    pub(crate) base: Currency,
    pub(crate) quote: Currency,
    pub(crate) rate: Rate,
}

/// Adds rates as of a time, where the pair has none as of it; gives the number of new ones.
pub(crate) async fn add(
    connection: &mut PgConnection,
    rates: &[PairRate],
    as_of: DateTime<Utc>,
    source: Source,
) -> Result<u64, Error> {
    let bases: Vec<i16> = rates.iter().map(|pair| pair.base.numeric()).collect();
    let quotes: Vec<i16> = rates.iter().map(|pair| pair.quote.numeric()).collect();
    let numbers: Vec<Decimal> = rates.iter().map(|pair| pair.rate.as_decimal()).collect();
    let added = sqlx::query!(
        "INSERT INTO exchange_rates (base, quote, rate, as_of, source) \
         SELECT base, quote, rate, $4, $5 FROM unnest($1::SMALLINT[], $2::SMALLINT[], $3::NUMERIC[]) AS pair (base, quote, rate) \
         ON CONFLICT DO NOTHING",
        &bases,
        &quotes,
        &numbers,
        as_of,
        source.name(),
    )
    .execute(connection)
    .await?;
    Ok(added.rows_affected())
}

/// The rate of a pair as of exactly a time.
pub(crate) async fn as_of(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
    as_of: DateTime<Utc>,
) -> Result<Option<Rate>, Error> {
    let rate = sqlx::query_scalar!(
        "SELECT rate FROM exchange_rates WHERE base = $1 AND quote = $2 AND as_of = $3",
        base.numeric(),
        quote.numeric(),
        as_of,
    )
    .fetch_optional(connection)
    .await?;
    let read = |rate| Rate::new(rate).map_err(|_| PlatformError::Stored("rate"));
    Ok(rate.map(read).transpose()?)
}
