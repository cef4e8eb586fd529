//! Exchange rates: set by administrators, or read from the European Central Bank. A rate is history: it is added and never
//! changed. See README, Exchange rates.

mod file;
pub mod refresh;
pub(crate) mod store;
pub mod view;

use chrono::{DateTime, SubsecRound, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::rates::{ExchangeRate, RateMaxAge};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::http::optional_time;
use platform::idempotency::Replayable;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use store::{PairRate, Source, StoredRate};
use view::ExchangeRateView;

/// A rate to set.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRateRequest {
    /// Major units of the quote currency for one of the base currency: a decimal above zero as a text, at most 16 digits
    /// before the point and 12 after it.
    #[schema(
        value_type = String,
        pattern = r"^(0\.0{0,11}[1-9][0-9]{0,11}|[1-9][0-9]{0,15}(\.[0-9]{1,12})?)$",
        examples("0.9217")
    )]
    pub rate: Rate,
    /// From when it counts (RFC 3339), not in the future; now unless given.
    #[serde(default, deserialize_with = "optional_time")]
    pub as_of: Option<DateTime<Utc>>,
}

/// The exchange rates.
#[derive(Debug)]
pub struct ExchangeRates {
    database: Database,
    clock: ClockHandle,
    max_age: RateMaxAge,
}

platform::from_environment!(ExchangeRates {
    database,
    clock,
    max_age: read_max_age,
});

/// Reads `EXCHANGE_RATE_MAX_AGE_DAYS`, for how many days a rate converts.
pub(crate) fn read_max_age(environment: &mut Environment) -> Option<RateMaxAge> {
    environment.required("EXCHANGE_RATE_MAX_AGE_DAYS")
}

impl ExchangeRates {
    /// The newest rate of a pair, whether it still converts or not.
    ///
    /// # Errors
    /// Not found where the pair has none.
    pub async fn find(&self, base: Currency, quote: Currency) -> Result<ExchangeRateView, Error> {
        let newest = self
            .database
            .with(async |connection| store::newest_of(connection, base, quote).await)
            .await?;
        let newest = newest.ok_or(Error::RateNotFound { base, quote })?;
        Ok(ExchangeRateView::of(
            &newest,
            newest.as_of,
            self.max_age,
            self.clock.now(),
        ))
    }

    /// Sets the rate of a pair as of a time that isn't in the future, now unless given. It counts unless the pair has a
    /// newer one. The opposite direction is a pair of its own. `replayed` when the pair had this rate as of this time.
    ///
    /// # Errors
    /// Rejected for one currency, a rate beyond 16 digits before the point or 12 after it, a time in the future, and a rate
    /// that would gain with the opposite one; a conflict when the pair has another rate as of that time.
    pub async fn set(
        &self,
        base: Currency,
        quote: Currency,
        request: ExchangeRateRequest,
    ) -> Result<Replayable<ExchangeRateView>, Error> {
        let now = self.clock.now();
        // As exact as it is stored.
        let as_of = request.as_of.unwrap_or(now).trunc_subsecs(6);
        let set = StoredRate {
            rate: checked(base, quote, request.rate, as_of, now)?,
            source: Source::Admin,
            base,
            quote,
            as_of,
        };
        let (added, newest) = self
            .database
            .transaction(async |connection| set_rate(connection, &set, now).await)
            .await?;
        Ok(Replayable {
            value: ExchangeRateView::of(&set, newest, self.max_age, now),
            replayed: !added,
        })
    }
}

/// Adds a rate unless it is there; gives whether it wasn't, and as of when the pair's newest is.
async fn set_rate(
    connection: &mut PgConnection,
    set: &StoredRate,
    now: DateTime<Utc>,
) -> Result<(bool, DateTime<Utc>), Error> {
    let StoredRate {
        base,
        quote,
        rate,
        as_of,
        source,
    } = *set;
    store::lock(connection).await?;
    let newest = store::newest_of(connection, base, quote).await?;
    match store::as_of(connection, base, quote, as_of).await? {
        Some(stored) if stored == rate => {
            return Ok((false, newest.map_or(as_of, |newest| newest.as_of)));
        }
        Some(_) => return Err(Error::RateIsHistory { base, quote }),
        None => {}
    }
    // Behind a newer one it is history, and converts nothing.
    let counts = newest.is_none_or(|newest| newest.as_of < as_of);
    let reverse = store::newest_of(connection, quote, base).await?;
    if let Some(reverse) = reverse.filter(|reverse| counts && rate.gains_with(reverse.rate)) {
        return Err(Error::RateGains {
            base,
            quote,
            reverse: reverse.rate,
            as_of: reverse.as_of,
        });
    }
    store::add(connection, &[PairRate { base, quote, rate }], as_of, source, now).await?;
    Ok((true, newest.map_or(as_of, |newest| newest.as_of.max(as_of))))
}

/// The rate by which money of one currency becomes money of another now.
///
/// # Errors
/// Rejected where there is none, or the newest is too old.
pub(crate) async fn converting(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
    max_age: RateMaxAge,
    now: DateTime<Utc>,
) -> Result<StoredRate, Error> {
    let newest = store::newest_of(connection, base, quote).await?;
    let newest = newest.ok_or(Error::NoExchangeRate)?;
    if max_age.allows(newest.as_of, now) {
        Ok(newest)
    } else {
        Err(Error::RateTooOld {
            base,
            quote,
            as_of: newest.as_of,
            max_age_days: max_age.days(),
        })
    }
}

fn checked(
    base: Currency,
    quote: Currency,
    rate: Rate,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<ExchangeRate, Error> {
    let invalid = |field, message: &str| Error::Invalid {
        field,
        message: message.to_owned(),
    };
    if base == quote {
        return Err(invalid("quote", "has to be another currency than base"));
    }
    let rate = ExchangeRate::new(rate).map_err(|error| invalid("rate", &error.to_string()))?;
    if as_of > now {
        return Err(invalid("as_of", "may not be in the future"));
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_two_currencies_storable_and_not_of_the_future() {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let refused = |quote, rate: &str, as_of: &str| {
            let as_of = as_of.parse().unwrap();
            match checked(Currency::EUR, quote, Rate::parse(rate).unwrap(), as_of, now) {
                Err(Error::Invalid { field, .. }) => Some(field),
                other => other.map(|_| None).unwrap(),
            }
        };
        let just_now = "2026-11-24T10:00:00Z";
        assert_eq!(refused(Currency::USD, "1.085", just_now), None);
        assert_eq!(refused(Currency::EUR, "1", just_now), Some("quote"));
        assert_eq!(refused(Currency::USD, "0.0000000000001", just_now), Some("rate"));
        assert_eq!(
            refused(Currency::USD, "1.085", "2026-11-24T10:00:00.000001Z"),
            Some("as_of")
        );
    }
}
