//! Calls that a provider bills, made because a customer asked: each profile has so many a day, so that nobody can run up costs.

mod store;

use domain::ids::ProfileId;
use domain::market::MarketCalendar;
use platform::clock::ClockHandle;
use platform::database::Database;

use crate::Error;

/// A kind of call, by the word that it is counted under.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PaidCall {
    /// Plaid fetches a balance from the bank.
    BankBalance,
}

impl PaidCall {
    const fn name(self) -> &'static str {
        match self {
            Self::BankBalance => "bank-balance",
        }
    }

    /// How many a profile has on a New York day.
    const fn limit(self) -> i32 {
        match self {
            // Two accounts that are looked at every 5 minutes of a working day.
            Self::BankBalance => 200,
        }
    }
}

/// Counts a call before it is made.
///
/// # Errors
/// Rejected when the profile has had all of its day.
pub(crate) async fn count(
    database: &Database,
    clock: &ClockHandle,
    profile: ProfileId,
    call: PaidCall,
) -> Result<(), Error> {
    let today = MarketCalendar::business_date(clock.now());
    let counted = database
        .with(async |connection| store::count(connection, profile, call.name(), today, call.limit()).await)
        .await?;
    match counted {
        true => Ok(()),
        false => Err(Error::BankAskedTooOften { limit: call.limit() }),
    }
}
