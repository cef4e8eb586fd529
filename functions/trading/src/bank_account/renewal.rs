//! A bank account whose token has died at DriveWealth (K110) gets another one: a new token of Plaid's, a new bank account at
//! DriveWealth in the place of the old one. Plaid's link is as good as before, so that its customer has nothing to do.
//!
//! The new account is looked for by its name, which is made from the old one's id, before it is made under a key from that id:
//! whoever renews again, at the same time or after a crash, finds or gets the same.

use domain::ids::{BankAccountId, DriveWealthBankAccountId};
use platform::database::Database;
use platform::deadline::Deadline;
use providers::drivewealth::{BrokerBankAccount, NewBankAccount};
use providers::outcome::{Decline, Outcome, Reason};
use secrecy::SecretString;
use uuid::Uuid;

use super::plaid::Bank;
use super::store::{self, Renewable};
use crate::broker::Broker;
use crate::{Error, onboarding};

/// What came of a renewal.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// Another bank account stands in the place of the refused one.
    Renewed,
    /// It can't be renewed: its customer has to link it again.
    Impossible,
    /// Somebody doesn't respond; renewing again goes on from there.
    Later(Reason),
}

/// Renews bank accounts at DriveWealth.
#[derive(Debug)]
pub(crate) struct BankRenewals {
    database: Database,
    broker: Broker,
    bank: Bank,
}

platform::from_environment!(BankRenewals {
    database,
    broker,
    bank
});

impl BankRenewals {
    /// Puts another bank account in the place of the one that DriveWealth refuses, unless one is there.
    ///
    /// # Errors
    /// When the database fails, or a secret can't be read.
    pub(crate) async fn renew(
        &self,
        bank_account: BankAccountId,
        refused: &DriveWealthBankAccountId,
        deadline: Deadline,
    ) -> Result<Renewal, Error> {
        let row = self
            .database
            .with(async |connection| store::renewable(connection, bank_account).await)
            .await?;
        // An account that was unlinked meanwhile is of no use, and one that was renewed is.
        let Some(row) = row else {
            return Ok(Renewal::Impossible);
        };
        if row.drivewealth_bank_account_id != *refused {
            return Ok(Renewal::Renewed);
        }
        let made = match self.make(bank_account, &row, deadline).await? {
            Outcome::Done(made) => made,
            Outcome::Declined(decline) => {
                tracing::warn!(%bank_account, code = decline.code, "a bank token could not be renewed");
                return Ok(Renewal::Impossible);
            }
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => return Ok(Renewal::Later(reason)),
        };
        self.database
            .with(async |connection| store::set_renewed(connection, bank_account, refused, &made).await)
            .await?;
        // Not before: whoever is refused because the old one is gone finds the new one. Its token is dead, so that nothing
        // comes of one that stays.
        let client = self.broker.client().await?;
        if let Outcome::Declined(Decline { code: reason, .. })
        | Outcome::Retryable(Reason(reason))
        | Outcome::Unknown(Reason(reason)) = client.delete_bank_account(refused, deadline.instant()).await
        {
            tracing::warn!(%bank_account, %reason, "a bank account whose token has died stays at the broker");
        }
        Ok(Renewal::Renewed)
    }

    /// Finds the new account at DriveWealth, or makes it.
    async fn make(
        &self,
        bank_account: BankAccountId,
        row: &Renewable,
        deadline: Deadline,
    ) -> Result<Outcome<BrokerBankAccount>, Error> {
        let key = onboarding::key("bank-account-after", row.drivewealth_bank_account_id.as_str());
        let nickname = nickname(bank_account, key);
        let client = self.broker.client().await?;
        let user = &row.drivewealth_user_id;
        let listed = match client.bank_accounts_of(user, deadline.instant()).await {
            Outcome::Done(listed) => listed,
            Outcome::Declined(decline) => return Ok(Outcome::Declined(decline)),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => return Ok(Outcome::Retryable(reason)),
        };
        let found = listed
            .into_iter()
            .find(|listed| listed.nickname.as_deref() == Some(&nickname));
        if let Some(found) = found {
            return Ok(Outcome::Done(found));
        }
        let token = self.bank.open(&row.item_id, &row.access_token_sealed).await?;
        let plaid = self.bank.client().await?;
        let made = plaid.processor_token(&token, &row.plaid_account_id, deadline.instant());
        let processor_token = match made.await {
            Outcome::Done(token) => SecretString::from(token),
            Outcome::Declined(decline) => return Ok(Outcome::Declined(decline)),
            // Another token does no harm.
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => return Ok(Outcome::Retryable(reason)),
        };
        let new = NewBankAccount {
            user,
            nickname: &nickname,
            processor_token: &processor_token,
            idempotency_key: key,
        };
        Ok(client.create_bank_account(&new, deadline.instant()).await)
    }
}

/// The new account's name: another one for each account that it takes the place of.
fn nickname(bank_account: BankAccountId, key: Uuid) -> String {
    let key = key.simple().to_string();
    format!("bank-account-{bank_account}-{}", key.get(..8).unwrap_or(&key))
}
