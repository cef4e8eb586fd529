//! Unlinking a bank account: first nothing goes through it any more, then DriveWealth forgets it, then, with the last account
//! of a link, Plaid. Whoever repeats the request goes on where it stopped.

use domain::ids::{BankAccountId, ProfileId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;

use super::store::{self, BankAccountRow};
use super::view::{BankAccountList, BankAccountView};
use crate::bank_account::{Bank, PLAID};
use crate::broker::{Broker, PARTY};
use crate::{Error, profile};

/// Unlinks bank accounts.
#[derive(Debug)]
pub struct BankUnlinks {
    database: Database,
    broker: Broker,
    bank: Bank,
    clock: ClockHandle,
}

platform::from_environment!(BankUnlinks {
    database,
    broker,
    bank,
    clock
});

impl BankUnlinks {
    /// Unlinks a bank account; gives those that are left.
    ///
    /// # Errors
    /// Not found for an account that isn't the caller's; rejected while a money flow of it is under way; transient when
    /// DriveWealth or Plaid doesn't respond: the account is of no use any more, and the same request goes on.
    pub async fn unlink(
        &self,
        profile: ProfileId,
        id: BankAccountId,
        deadline: Deadline,
    ) -> Result<BankAccountList, Error> {
        let row = self.delete(profile, id).await?;
        let client = self.broker.client().await?;
        for broker_id in store::broker_ids(&row) {
            client
                .delete_bank_account(&broker_id, deadline.instant())
                .await
                .done(PARTY)?;
        }
        self.end_link(profile, &row, deadline).await?;
        let rows = self
            .database
            .with(async |connection| store::list(connection, profile, None).await)
            .await?;
        Ok(BankAccountList {
            items: rows.into_iter().map(BankAccountView::from).collect(),
        })
    }

    /// Under the profile's lock, which a money flow keeps from being taken while it is written; it looks at the account again then.
    async fn delete(&self, profile: ProfileId, id: BankAccountId) -> Result<BankAccountRow, Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                profile::store::lock(connection, profile).await?;
                let rows = store::list(connection, profile, Some(id)).await?;
                let row = rows.into_iter().next().ok_or(Error::BankAccountNotFound)?;
                if store::has_open_flow(connection, id).await? {
                    return Err(Error::BankAccountInUse);
                }
                store::set_deleted(connection, id, now).await?;
                Ok(row)
            })
            .await
    }

    /// Ends the link with its last account. What is unlinked is recorded behind it, so that a repetition comes here too.
    async fn end_link(
        &self,
        profile: ProfileId,
        row: &BankAccountRow,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let left = self
            .database
            .with(async |connection| store::count_of_item(connection, profile, row.item).await)
            .await?;
        let is_last = left <= 1;
        if is_last && row.ended_at.is_none() {
            let token = self.bank.open(&row.item_id, &row.access_token_sealed).await?;
            let client = self.bank.client().await?;
            client.remove_item(&token, deadline.instant()).await.done(PLAID)?;
        }
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                if is_last {
                    store::set_ended(connection, row.item, now).await?;
                }
                store::set_unlinked(connection, row.id, now).await
            })
            .await
    }
}
