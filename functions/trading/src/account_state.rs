//! The state of a brokerage account, as DriveWealth tells it when it is asked.

use providers::drivewealth::BrokerAccount;
use sqlx::PgConnection;

use crate::Error;
use crate::events::{self, TradingAccountOpened};
use crate::store::accounts::{self, KeptAccount};

/// Takes over the account's state, unless a newer one is known, and tells of an account that is open for the first time.
/// `None` for an account that isn't ours.
pub(crate) async fn take_over(
    connection: &mut PgConnection,
    reading: &BrokerAccount,
) -> Result<Option<KeptAccount>, Error> {
    let kept = accounts::keep_status(connection, reading).await?;
    if let Some(account) = kept.as_ref().filter(|account| account.is_newly_open) {
        let opened = TradingAccountOpened {
            trading_account_id: account.trading_account_id,
            profile_id: account.profile_id,
        };
        events::trading_account_opened(connection, reading.updated_at, opened).await?;
    }
    Ok(kept)
}
