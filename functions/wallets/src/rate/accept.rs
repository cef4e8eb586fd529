//! A held rate that is accepted counts: one that was set by itself, one of the bank's file with all rates of its currency.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::wallets::rates::{ExchangeRate, RateMaxJump};
use sqlx::PgConnection;

use super::file::{FileRates, LeftOut};
use super::store::{self, PairRate, Source, StoredRate};
use crate::held_rate::store::HeldRate;
use crate::{Error, held_rate};

/// Adds what an accepted rate stands for.
///
/// # Errors
/// Rejected where it would gain with an opposite rate that counts.
pub(crate) async fn add(
    connection: &mut PgConnection,
    held: &HeldRate,
    max_jump: RateMaxJump,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let StoredRate { as_of, source, .. } = held.rate;
    let rates = match source {
        Source::Admin => of_pair(connection, &held.rate).await?,
        Source::Ecb => of_currency(connection, &held.rate).await?,
    };
    store::add(connection, &rates, as_of, source, now).await?;
    held_rate::replaced(connection, &rates, as_of, max_jump, now).await
}

async fn of_pair(connection: &mut PgConnection, held: &StoredRate) -> Result<Vec<PairRate>, Error> {
    let StoredRate {
        base, quote, rate, ..
    } = *held;
    gains_nothing(connection, base, quote, rate).await?;
    Ok(vec![PairRate { base, quote, rate }])
}

/// The rates of a currency to the others that count of its file, and back.
async fn of_currency(connection: &mut PgConnection, held: &StoredRate) -> Result<Vec<PairRate>, Error> {
    let mut listed = store::file_as_of(connection, held.as_of).await?;
    listed.retain(|other| other.quote != held.quote);
    listed.push(*held);
    let mut file = FileRates::of_stored(held.as_of, &listed);
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
