//! A held rate that is accepted counts: one that was set by itself, one of the bank's file with all rates of its currency.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::wallets::rates::{ExchangeRate, RateMaxAge, RateMaxJump};
use sqlx::PgConnection;

use super::file::{FileRates, LeftOut};
use super::store::{self, Source, StoredRate};
use crate::held_rate::store::HeldRate;
use crate::{Error, held_rate};

/// Adds what an accepted rate stands for.
///
/// # Errors
/// Rejected where it would gain with an opposite rate that counts.
pub(crate) async fn add(
    connection: &mut PgConnection,
    held: &HeldRate,
    max_age: RateMaxAge,
    max_jump: RateMaxJump,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rates = match held.rate.source {
        Source::Admin => of_pair(connection, &held.rate).await?,
        Source::Ecb => of_currency(connection, &held.rate, max_age.oldest(now)).await?,
    };
    store::add(connection, &rates, now).await?;
    held_rate::replaced(connection, &rates, max_jump, now).await
}

async fn of_pair(connection: &mut PgConnection, held: &StoredRate) -> Result<Vec<StoredRate>, Error> {
    let StoredRate {
        base, quote, rate, ..
    } = *held;
    gains_nothing(connection, base, quote, rate).await?;
    Ok(vec![*held])
}

/// The rates of a currency to the others of which the files have one that converts, each as it counts now, and back.
async fn of_currency(
    connection: &mut PgConnection,
    held: &StoredRate,
    oldest: DateTime<Utc>,
) -> Result<Vec<StoredRate>, Error> {
    let mut file = FileRates::of_accepted(held);
    file.carry(&store::newest_of_files(connection, oldest).await?);
    let newest = store::newest(connection, &file.pairs()).await?;
    let mut rates = file.rates(&newest);
    rates.retain(|pair| [pair.base, pair.quote].contains(&held.quote));
    for left_out in &file.left_out {
        if let LeftOut::Gains {
            base,
            quote,
            reverse,
            as_of,
            ..
        } = *left_out
            && [base, quote].contains(&held.quote)
        {
            return Err(Error::RateGains {
                base,
                quote,
                reverse,
                as_of,
            });
        }
    }
    Ok(rates)
}

/// Passes a rate that gains nothing with the opposite one that counts.
pub(super) async fn gains_nothing(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
    rate: ExchangeRate,
) -> Result<(), Error> {
    let reverse = store::newest_of(connection, quote, base).await?;
    match reverse.filter(|reverse| rate.gains_with(reverse.rate)) {
        Some(reverse) => Err(Error::RateGains {
            base,
            quote,
            reverse: reverse.rate,
            as_of: reverse.as_of,
        }),
        None => Ok(()),
    }
}
