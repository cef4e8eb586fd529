//! The European Central Bank's reference rates, as rates between every two of its currencies.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Europe::Berlin;
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::conversion::RATE_SCALE;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::ecb::{EcbClient, ReferenceRates};
use providers::outcome::Outcome;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

use super::store::{self, PairRate, Source};
use crate::Error;

/// The banks agree on the rates at ten past two in Frankfurt (ECB, "Euro foreign exchange reference rates").
const CONCERTATION: Option<NaiveTime> = NaiveTime::from_hms_opt(14, 10, 0);
/// Longer than Easter, the longest time without new rates.
const MAX_AGE: TimeDelta = TimeDelta::days(6);

/// The report of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The day of the rates; null when they could not be read.
    pub date: Option<NaiveDate>,
    /// Pairs that have a new rate.
    pub added: u64,
    /// Why the old rates still count; null when all is well.
    pub not_refreshed: Option<String>,
}

/// Refreshes the rates.
#[derive(Debug)]
pub struct RateRefresh {
    database: Database,
    clock: ClockHandle,
    feed: EcbClient,
}

platform::from_environment!(RateRefresh {
    database,
    clock,
    feed: read_feed,
});

/// Reads `RATES_FEED_URL`, the address of the daily file.
fn read_feed(environment: &mut Environment) -> Option<EcbClient> {
    match EcbClient::new(environment.required("RATES_FEED_URL")?) {
        Ok(feed) => Some(feed),
        Err(error) => {
            environment.problem(format!("the rate feed's client can't be made: {error}"));
            None
        }
    }
}

impl RateRefresh {
    /// Reads the newest reference rates and adds them. A feed that can't be read, or that is from the future or old, adds
    /// nothing: the rates there are go on to count, and the metric `ExchangeRatesNotRefreshed` counts the run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        match self.newest(deadline).await {
            Ok((rates, as_of)) => self.add(&rates, as_of).await,
            Err(reason) => Ok(not_refreshed(reason)),
        }
    }

    /// The bank's newest rates with the time as of which they are, or why they can't be used.
    async fn newest(&self, deadline: Deadline) -> Result<(ReferenceRates, DateTime<Utc>), String> {
        match self.feed.daily_rates(deadline.instant()).await {
            Outcome::Done(rates) => usable(rates, self.clock.now()),
            Outcome::Declined(decline) => Err(decline.message),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(reason.to_string()),
        }
    }

    async fn add(&self, rates: &ReferenceRates, as_of: DateTime<Utc>) -> Result<Report, Error> {
        let pairs = pairs(rates);
        let added = self
            .database
            .with(async |connection| store::add(connection, &pairs, as_of, Source::Ecb).await)
            .await?;
        Ok(Report {
            date: Some(rates.date),
            added,
            not_refreshed: None,
        })
    }
}

fn not_refreshed(reason: String) -> Report {
    metrics::count("ExchangeRatesNotRefreshed", 1);
    tracing::warn!(reason, "refreshing the exchange rates failed; the old ones count");
    Report {
        date: None,
        added: 0,
        not_refreshed: Some(reason),
    }
}

/// The rates with the moment as of which they are, if that is neither in the future nor long ago.
fn usable(rates: ReferenceRates, now: DateTime<Utc>) -> Result<(ReferenceRates, DateTime<Utc>), String> {
    let as_of = CONCERTATION
        .and_then(|time| rates.date.and_time(time).and_local_timezone(Berlin).earliest())
        .ok_or("the day of the rates has no such time")?
        .with_timezone(&Utc);
    if as_of > now {
        return Err(format!("the rates are of {}, which is in the future", rates.date));
    }
    if now - as_of > MAX_AGE {
        return Err(format!("the rates are of {}, which is long ago", rates.date));
    }
    Ok((rates, as_of))
}

/// The rate of every currency to every other, by way of the euro: half-even to the decimals that are stored. A pair whose
/// rate would be nothing then has none.
fn pairs(rates: &ReferenceRates) -> Vec<PairRate> {
    let euro = (Currency::EUR, Decimal::ONE);
    let for_one_euro: Vec<(Currency, Decimal)> = rates
        .rates
        .iter()
        .map(|(currency, rate)| (*currency, rate.as_decimal()))
        .chain([euro])
        .collect();
    let cross = |base: &(Currency, Decimal), quote: &(Currency, Decimal)| {
        let rate = quote
            .1
            .checked_div(base.1)?
            .round_dp_with_strategy(RATE_SCALE, RoundingStrategy::MidpointNearestEven);
        Some(PairRate {
            base: base.0,
            quote: quote.0,
            rate: Rate::new(rate).ok()?,
        })
    };
    for_one_euro
        .iter()
        .flat_map(|base| for_one_euro.iter().map(move |quote| (base, quote)))
        .filter(|(base, quote)| base.0 != quote.0)
        .filter_map(|(base, quote)| cross(base, quote))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(date: &str) -> ReferenceRates {
        let rate = |text: &str| Rate::parse(text).unwrap();
        ReferenceRates {
            date: date.parse().unwrap(),
            rates: vec![(Currency::USD, rate("1.0850")), (Currency::JPY, rate("163.22"))],
        }
    }

    #[test]
    fn every_pair_of_the_feed_has_a_rate() {
        let pairs = pairs(&feed("2026-11-24"));
        let of = |base, quote| {
            let pair = pairs
                .iter()
                .find(|pair| pair.base == base && pair.quote == quote)
                .unwrap();
            pair.rate.to_string()
        };
        assert_eq!(pairs.len(), 6);
        assert_eq!(of(Currency::EUR, Currency::USD), "1.085");
        // 1 / 1.085 = 0.92165898617511…
        assert_eq!(of(Currency::USD, Currency::EUR), "0.921658986175");
        // 163.22 / 1.085 = 150.43317972350230…
        assert_eq!(of(Currency::USD, Currency::JPY), "150.433179723502");
        // 1.085 / 163.22 = 0.00664746967283…
        assert_eq!(of(Currency::JPY, Currency::USD), "0.006647469673");
    }

    #[test]
    fn rates_of_the_future_and_of_long_ago_are_refused() {
        let at = |now: &str, date: &str| usable(feed(date), now.parse().unwrap()).map(|(_, as_of)| as_of);
        // Ten past two in Frankfurt is 13:10 in winter and 12:10 in summer.
        let winter: DateTime<Utc> = "2026-11-24T13:10:00Z".parse().unwrap();
        assert_eq!(at("2026-11-24T15:10:00Z", "2026-11-24"), Ok(winter));
        let summer: DateTime<Utc> = "2026-07-01T12:10:00Z".parse().unwrap();
        assert_eq!(at("2026-07-01T14:10:00Z", "2026-07-01"), Ok(summer));
        assert!(at("2026-11-24T13:09:59Z", "2026-11-24").is_err());
        assert!(at("2026-11-30T13:10:00Z", "2026-11-24").is_ok());
        assert!(at("2026-11-30T13:10:01Z", "2026-11-24").is_err());
    }
}
