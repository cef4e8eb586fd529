//! Exchange rates that an administrator sets.

use chrono::{DateTime, SubsecRound, Utc};
use domain::clock::Clock;
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::conversion::is_storable;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::answer::Answer;
use crate::store::rates::{self, PairRate, Source};

/// A rate of a pair of currencies.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExchangeRateView {
    /// The currency of which there is one, an ISO 4217 code.
    pub base: String,
    /// The currency in which the rate is told, an ISO 4217 code.
    pub quote: String,
    /// Major units of `quote` for one of `base`, a decimal.
    pub rate: String,
    /// From when it counts (RFC 3339, UTC); of a pair's rates the newest counts.
    pub as_of: DateTime<Utc>,
}

/// The exchange rates.
#[derive(Debug)]
pub struct ExchangeRates {
    database: Database,
}

impl ExchangeRates {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// Sets the rate of a pair as of a time that isn't in the future, now unless given. It counts unless the pair has a
    /// newer one. The opposite direction is a pair of its own.
    ///
    /// # Errors
    /// Rejected for one currency, a rate beyond 16 digits before the point or 12 after it, and a time in the future; a
    /// conflict when the pair has another rate as of that time.
    pub async fn set(
        &self,
        base: Currency,
        quote: Currency,
        rate: Rate,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Answer<ExchangeRateView>, Error> {
        let invalid = |field, message: &str| {
            Err(Error::Invalid {
                field,
                message: message.to_owned(),
            })
        };
        if base == quote {
            return invalid("quote", "has to be another currency than base");
        }
        if !is_storable(rate) {
            return invalid(
                "rate",
                "may have at most 16 digits before the point and 12 after it",
            );
        }
        let now = SystemClock.now();
        // As exact as it is stored.
        let as_of = as_of.unwrap_or(now).trunc_subsecs(6);
        if as_of > now {
            return invalid("as_of", "may not be in the future");
        }
        let mut connection = self.database.pool().await?.acquire().await?;
        let pair = PairRate { base, quote, rate };
        let added = rates::add(&mut connection, &[pair], as_of, Source::Admin).await?;
        if added == 0 {
            let stored = rates::as_of(&mut connection, base, quote, as_of).await?;
            if stored.map(|rate| rate.normalize()) != Some(rate.as_decimal()) {
                return Err(Error::RateIsHistory { base, quote });
            }
        }
        Ok(Answer {
            view: ExchangeRateView {
                base: base.code().to_owned(),
                quote: quote.code().to_owned(),
                rate: rate.to_string(),
                as_of,
            },
            replayed: added == 0,
        })
    }
}
