//! Exchange rates: set by administrators, or read from the European Central Bank. A rate is history: it is added and never
//! changed. See README, Exchange rates.

pub mod refresh;
pub(crate) mod store;
pub mod view;

use chrono::{DateTime, SubsecRound, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::conversion::is_storable;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::http::optional_time;
use platform::idempotency::Replayable;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;
use store::{PairRate, Source};
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
}

platform::from_environment!(ExchangeRates { database, clock });

impl ExchangeRates {
    /// Sets the rate of a pair as of a time that isn't in the future, now unless given. It counts unless the pair has a
    /// newer one. The opposite direction is a pair of its own. `replayed` when the pair had this rate as of this time.
    ///
    /// # Errors
    /// Rejected for one currency, a rate beyond 16 digits before the point or 12 after it, and a time in the future; a
    /// conflict when the pair has another rate as of that time.
    pub async fn set(
        &self,
        base: Currency,
        quote: Currency,
        request: ExchangeRateRequest,
    ) -> Result<Replayable<ExchangeRateView>, Error> {
        let now = self.clock.now();
        // As exact as it is stored.
        let as_of = request.as_of.unwrap_or(now).trunc_subsecs(6);
        let rate = request.rate;
        check(base, quote, rate, as_of, now)?;
        let added = self
            .database
            .with(async |connection| {
                let pair = PairRate { base, quote, rate };
                let added = store::add(connection, &[pair], as_of, Source::Admin).await?;
                if added == 0 && store::as_of(connection, base, quote, as_of).await? != Some(rate) {
                    return Err(Error::RateIsHistory { base, quote });
                }
                Ok(added)
            })
            .await?;
        Ok(Replayable {
            value: ExchangeRateView {
                base,
                quote,
                rate: rate.to_string(),
                as_of,
            },
            replayed: added == 0,
        })
    }
}

fn check(
    base: Currency,
    quote: Currency,
    rate: Rate,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (field, message) = if base == quote {
        ("quote", "has to be another currency than base")
    } else if !is_storable(rate) {
        (
            "rate",
            "may have at most 16 digits before the point and 12 after it",
        )
    } else if as_of > now {
        ("as_of", "may not be in the future")
    } else {
        return Ok(());
    };
    Err(Error::Invalid {
        field,
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_two_currencies_storable_and_not_of_the_future() {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let refused = |quote, rate: &str, as_of: &str| {
            let as_of = as_of.parse().unwrap();
            match check(Currency::EUR, quote, Rate::parse(rate).unwrap(), as_of, now) {
                Err(Error::Invalid { field, .. }) => Some(field),
                other => other.map(|()| None).unwrap(),
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
