//! A rate that an administrator sets. One that changes too much at once waits for another administrator.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::held_rate::HeldRateStatus;
use domain::wallets::rates::{ExchangeRate, RateMaxAge, RateMaxJump, RateStatus};
use platform::audit;
use platform::clock::ClockHandle;
use platform::http::optional_time;
use platform::idempotency::Replayable;
use platform::security::identity::Operator;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::store::{self, Source, StoredRate};
use super::view::{self, ExchangeRateView};
use super::{accept, copies, limits};
use crate::held_rate::store::NewHeldRate;
use crate::placement::Nodes;
use crate::{Error, held_rate};

/// Steps of a day are judged as one.
const DAY: TimeDelta = TimeDelta::days(1);

/// A rate to set.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
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

/// Sets rates.
#[derive(Debug)]
pub struct RateSetting {
    nodes: Nodes,
    clock: ClockHandle,
    max_age: RateMaxAge,
    max_jump: RateMaxJump,
}

platform::from_environment!(RateSetting {
    nodes,
    clock,
    max_age: limits::read_max_age,
    max_jump: limits::read_max_jump,
});

impl RateSetting {
    /// Sets the rate of a pair as of a time that isn't in the future, now unless given. It counts unless the pair has a
    /// newer one, or it changes too much at once: then it is under review. The opposite direction is a pair of its own.
    /// `replayed` when the pair had this rate as of this time.
    ///
    /// # Errors
    /// Rejected for one currency, a rate beyond 16 digits before the point or 12 after it, a time in the future, and a rate
    /// that would gain with the opposite one; a conflict when the pair has another rate as of that time.
    pub async fn set(
        &self,
        operator: &Operator,
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
        let status = self.nodes.first().transaction(async |connection| {
            store::lock(connection).await?;
            if let Some(status) = self.status(connection, &set, now).await? {
                return Ok(Replayable::replayed(status));
            }
            let subject = format!("{base}/{quote}");
            audit::record(connection, operator, "set_exchange_rate", &subject, &request, now).await?;
            self.add(connection, &set, operator, now)
                .await
                .map(Replayable::new)
        });
        let status: Replayable<RateStatus> = status.await?;
        copies::after_change(&self.nodes).await;
        Ok(status.map(|status| ExchangeRateView::of(&set, status, self.max_age)))
    }

    /// What has become of the rate, if it was set before.
    async fn status(
        &self,
        connection: &mut PgConnection,
        set: &StoredRate,
        now: DateTime<Utc>,
    ) -> Result<Option<RateStatus>, Error> {
        let StoredRate {
            base,
            quote,
            rate,
            as_of,
            ..
        } = *set;
        match store::as_of(connection, base, quote, as_of).await? {
            Some(stored) if stored == rate => {
                let newest = store::newest_of(connection, base, quote).await?;
                let newest = newest.map_or(as_of, |newest| newest.as_of);
                Ok(Some(view::status(set, newest, self.max_age, now)))
            }
            Some(_) => Err(Error::RateIsHistory { base, quote }),
            None => {
                let held = held_rate::store::find(connection, set.pair(), rate, as_of).await?;
                Ok(held.map(|status| match status {
                    HeldRateStatus::Refused => RateStatus::Refused,
                    _ => RateStatus::UnderReview,
                }))
            }
        }
    }

    async fn add(
        &self,
        connection: &mut PgConnection,
        set: &StoredRate,
        operator: &Operator,
        now: DateTime<Utc>,
    ) -> Result<RateStatus, Error> {
        let StoredRate {
            base,
            quote,
            rate,
            as_of,
            ..
        } = *set;
        let newest = store::newest_of(connection, base, quote).await?;
        // Behind a newer one it is history, and converts nothing.
        let counts = newest.is_none_or(|newest| newest.as_of < as_of);
        if counts {
            accept::gains_nothing(connection, base, quote, rate).await?;
        }
        let before = newest.map(|newest| newest.rate);
        if let Some(before) = before
            && counts
            && (self.max_jump.is_exceeded(before, rate) || self.creeps(connection, set, now).await?)
        {
            let jump = NewHeldRate {
                rate: *set,
                set_by: Some(operator.as_str().to_owned()),
                before,
            };
            held_rate::hold(connection, &[jump], now).await?;
            return Ok(RateStatus::UnderReview);
        }
        store::add(connection, &[*set], now).await?;
        if counts {
            held_rate::replaced(connection, &[*set], self.max_jump, now).await?;
        }
        let newest = newest.map_or(as_of, |newest| newest.as_of.max(as_of));
        Ok(view::status(set, newest, self.max_age, now))
    }

    /// Whether a rate changes too much within a day, by however many steps.
    async fn creeps(
        &self,
        connection: &mut PgConnection,
        set: &StoredRate,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let day_ago = store::counted_at(connection, set.pair(), now - DAY).await?;
        Ok(day_ago.is_some_and(|before| self.max_jump.is_exceeded(before, set.rate)))
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
