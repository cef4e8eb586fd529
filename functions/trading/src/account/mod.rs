//! A trading account: what the app shows of it, and its state at the broker.

pub(crate) mod store;
mod view;

use domain::ids::ProfileId;
use platform::database::Database;
use providers::drivewealth::BrokerAccount;
use sqlx::PgConnection;

pub use self::view::TradingProfileView;

use self::store::SavedState;
use crate::Error;
use crate::events::{self, TradingAccountOpened};

/// Profiles as the app shows them.
#[derive(Debug)]
pub struct TradingProfiles {
    database: Database,
}

platform::from_environment!(TradingProfiles { database });

impl TradingProfiles {
    /// The profile's trading.
    ///
    /// # Errors
    /// Not found for a profile without a trading account.
    pub async fn get(&self, profile: ProfileId) -> Result<TradingProfileView, Error> {
        let row = self
            .database
            .with(async |connection| store::load_profile(connection, profile).await)
            .await?;
        TradingProfileView::try_from(row.ok_or(Error::NoTradingAccount)?)
    }
}

/// Applies the account's state at the broker, unless a newer one is known, and publishes the opening of an account that is
/// open for the first time. `None` for an account that isn't ours.
pub(crate) async fn apply_broker_state(
    connection: &mut PgConnection,
    account: &BrokerAccount,
) -> Result<Option<SavedState>, Error> {
    let saved = store::save_state(connection, account).await?;
    if let Some(saved) = saved.as_ref().filter(|saved| saved.is_newly_open) {
        let opened = TradingAccountOpened {
            trading_account_id: saved.trading_account_id,
            profile_id: saved.profile_id,
        };
        events::publish_trading_account_opened(connection, account.updated_at, opened).await?;
    }
    Ok(saved)
}
