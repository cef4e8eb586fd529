//! Accounts as their traders see them: the record, and over it the live state.

pub(crate) mod store;
pub mod view;

use std::time::Duration;

use domain::ids::{FundedAccountId, UserId};
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::error::chain;
use platform::observability::metrics;
use platform::pagination::{Page, PageRequest};

use crate::Error;
use crate::live::store::{LiveAccount, LiveTable};
use store::{AccountList, Listed};
use view::{FundedAccountView, LiveFundedAccountView};

/// How long the live state is waited for; then the record is served.
const LIVE_PATIENCE: Duration = Duration::from_millis(1_500);

/// The accounts of traders.
#[derive(Debug)]
pub struct Accounts {
    database: Database,
}

platform::from_environment!(Accounts { database });

impl Accounts {
    /// A page of the trader's accounts, the newest activation first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        user: UserId,
        page: PageRequest<AccountList>,
    ) -> Result<Page<FundedAccountView>, Error> {
        let accounts = self
            .database
            .with(async |connection| store::list(connection, user, &page).await)
            .await?;
        Ok(Page::from_overfetched(
            &accounts,
            &page,
            |account| FundedAccountView::from(account),
            |account| Listed {
                activated_at: account.activated_at,
                id: account.id,
            },
        )?)
    }
}

/// One account with its live state.
#[derive(Debug)]
pub struct LiveReader {
    database: Database,
    table: LiveTable,
}

impl FromEnvironment for LiveReader {
    fn read(environment: &mut Environment) -> Option<Self> {
        let (database, table) = (Database::read(environment), LiveTable::read(environment));
        Some(Self {
            database: database?,
            table: table?,
        })
    }
}

impl LiveReader {
    /// The trader's account: the live state over the record, or the record alone where the live state can't be read, which
    /// it says.
    ///
    /// # Errors
    /// Not found for an account that isn't the trader's; transient when the database can't be reached.
    pub async fn get(&self, user: UserId, id: FundedAccountId) -> Result<LiveFundedAccountView, Error> {
        let account = self
            .database
            .with(async |connection| store::find(connection, user, id).await)
            .await?;
        let account = account.ok_or(Error::AccountNotFound)?;
        let live = self.live(id).await;
        Ok(LiveFundedAccountView::of(&account, live.as_ref()))
    }

    async fn live(&self, id: FundedAccountId) -> Option<LiveAccount> {
        let failed = match tokio::time::timeout(LIVE_PATIENCE, self.table.get(id)).await {
            Ok(Ok(live)) => return live,
            Ok(Err(error)) => chain(&error),
            Err(_) => "timed out".to_owned(),
        };
        tracing::warn!(funded_account_id = %id, error = failed, "reading the live state failed");
        metrics::count("ServedFromRecord", 1);
        None
    }
}
